"""
Signing keys: loaded once, named when unusable, made for ``gateway init``.

Whatever signs is a :class:`Signer`: a key out of a file (:class:`SigningKey`, here) or one that
never leaves its token (``token.TokenKey``). A private key leaves this module only as the object
that signs. Files are written readable by their owner alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from gateway.errors import KeyUnusable

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

MINIMUM_RSA_BITS = 2048
UNREADABLE_EXTENSIONS = (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
"""What cryptography raises for the extensions of a certificate; the latter two are no ``ValueError``."""

# XML-DSig method and JWS algorithm of each kind of key; the digest of an EC key is
# the one of its curve's strength, because JWS (RFC 7518 §3.4) allows no other.
_XMLDSIG = "http://www.w3.org/2001/04/xmldsig-more#"
_OF_CURVE: dict[str, tuple[str, str, hashes.HashAlgorithm]] = {
    "secp256r1": (_XMLDSIG + "ecdsa-sha256", "ES256", hashes.SHA256()),
    "secp384r1": (_XMLDSIG + "ecdsa-sha384", "ES384", hashes.SHA384()),
    "secp521r1": (_XMLDSIG + "ecdsa-sha512", "ES512", hashes.SHA512()),
}
_OF_RSA: tuple[str, str, hashes.HashAlgorithm] = (_XMLDSIG + "rsa-sha256", "RS256", hashes.SHA256())


class Signer(Protocol):
    """
    What can sign as one certificate's holder, wherever its private key is.

    Receipts, seals, packages and PDFs are made with one of these, and ask no more of it.
    """

    @property
    def certificate(self) -> x509.Certificate:
        """The holder's; its public key checks what :meth:`sign` makes."""

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """Issuing certificates that came with the key, leaf's issuer first; may be empty."""

    @property
    def algorithm(self) -> str:
        """XML-DSig SignatureMethod URI."""

    @property
    def jws_algorithm(self) -> str:
        """The same in JWS: ``RS256``, ``ES256``, ``ES384`` or ``ES512``."""

    @property
    def certificate_der(self) -> bytes: ...

    @property
    def certificate_sha256(self) -> str:
        """Lower-case hex of the DER."""

    def sign(self, data: bytes) -> bytes:
        """
        The signature value over ``data``, as XML-DSig and JWS write it: PKCS#1 v1.5, or ``r || s``.

        :raises KeyUnusable: it cannot sign now, such as a token that has been pulled out.
        """


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How a key signs here: one way for each kind of key."""

    xmldsig: str
    """SignatureMethod URI."""
    jws: str
    digest: str
    """hashlib's name of the digest that is signed."""
    width: int | None
    """Bytes of each of ``r`` and ``s``; ``None`` for RSA."""

    @property
    def hash(self) -> hashes.HashAlgorithm:
        """The digest as cryptography's object."""
        return _HASHES[self.digest]


_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def scheme_of(certificate: x509.Certificate) -> Scheme:
    """
    How the key of this certificate signs.

    :raises KeyUnusable: it is of a kind, curve or size that this gateway does not sign with.
    """
    try:
        public = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as e:
        raise KeyUnusable("The certificate's public key cannot be read.") from e
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < MINIMUM_RSA_BITS:
            raise KeyUnusable(f"The RSA key has {public.key_size} bits; at least {MINIMUM_RSA_BITS} are needed.")
        method, jws, digest = _OF_RSA
        return Scheme(xmldsig=method, jws=jws, digest=digest.name, width=None)
    if isinstance(public, ec.EllipticCurvePublicKey):
        if public.curve.name not in _OF_CURVE:
            raise KeyUnusable(f"The curve {public.curve.name} is not one of {', '.join(_OF_CURVE)}.")
        method, jws, digest = _OF_CURVE[public.curve.name]
        return Scheme(xmldsig=method, jws=jws, digest=digest.name, width=(public.key_size + 7) // 8)
    raise KeyUnusable(f"A key of kind {type(public).__name__} cannot sign here; RSA or EC can.")


def signature_fits(certificate: x509.Certificate, signature: bytes, data: bytes) -> bool:
    """
    Whether the certificate's key made this signature value over ``data``.

    :param signature: as :meth:`Signer.sign` gives it.
    :raises KeyUnusable: as :func:`scheme_of`.
    """
    scheme = scheme_of(certificate)
    public = certificate.public_key()
    try:
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(signature, data, padding.PKCS1v15(), scheme.hash)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(der_signature(signature, scheme), data, ec.ECDSA(scheme.hash))
    except (InvalidSignature, ValueError):
        return False
    return True


def der_signature(signature: bytes, scheme: Scheme) -> bytes:
    """
    A signature value as CMS writes it: ECDSA as the DER of ``r`` and ``s``, RSA as it is.

    :raises ValueError: an EC signature whose length is not that of its curve.
    """
    if scheme.width is None:
        return signature
    if len(signature) != 2 * scheme.width:
        raise ValueError(f"An EC signature of this curve has {2 * scheme.width} bytes.")
    r, s = signature[: scheme.width], signature[scheme.width :]
    return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


@dataclass(frozen=True)
class SigningKey:
    """
    A private key with its certificate, ready to sign.

    Made by :func:`load_key` or :func:`signing_key`, which check that the two belong together.
    """

    private: PrivateKey = field(repr=False)
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()
    """Issuing certificates that came with the key, leaf's issuer first; may be empty."""
    algorithm: str = field(init=False)
    """XML-DSig SignatureMethod URI."""
    jws_algorithm: str = field(init=False)
    """The same in JWS: ``RS256``, ``ES256``, ``ES384`` or ``ES512``."""
    certificate_der: bytes = field(init=False, repr=False)
    certificate_sha256: str = field(init=False)
    """Lower-case hex of the DER; the key's name in logs, and ``kid`` in receipts."""
    _hash: hashes.HashAlgorithm = field(init=False, repr=False)

    def __post_init__(self) -> None:
        key = self.private
        method, jws, digest = _OF_RSA if isinstance(key, rsa.RSAPrivateKey) else _OF_CURVE[key.curve.name]
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        for name, value in (
            ("algorithm", method),
            ("jws_algorithm", jws),
            ("_hash", digest),
            ("certificate_der", der),
            ("certificate_sha256", fingerprint(self.certificate)),
        ):
            object.__setattr__(self, name, value)

    def sign(self, data: bytes) -> bytes:
        """
        The signature value over ``data`` in the form that XML-DSig and JWS share.

        RSA: PKCS#1 v1.5. EC: ``r`` and ``s`` as two numbers of the curve's width,
        not the DER that cryptography makes (XML-DSig 1.1 §6.4.3, RFC 7518 §3.4).
        """
        key = self.private
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(data, padding.PKCS1v15(), self._hash)
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(self._hash)))
        width = (key.key_size + 7) // 8
        return r.to_bytes(width, "big") + s.to_bytes(width, "big")


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER in lower-case hex: how a certificate is named everywhere."""
    return certificate.fingerprint(hashes.SHA256()).hex()


@dataclass(frozen=True)
class KnownCertificate:
    """What is asked of a certificate again and again, read out of it once."""

    certificate: x509.Certificate
    der: bytes
    sha256: str
    """Lower-case hex of the DER."""
    subject: str
    """RFC 4514."""
    not_before: datetime
    not_after: datetime
    """Inclusive, like ``not_before``; both aware UTC."""
    may_sign: bool
    """By :func:`usage_allows_signing`."""
    rsa_bits: int | None
    """``None`` for keys that are not RSA, or cannot be read."""
    curve: str | None
    """cryptography's name; ``None`` for keys that are not EC, or cannot be read."""


@lru_cache(maxsize=10_000)
def known(certificate: x509.Certificate) -> KnownCertificate:
    """The facts of a certificate out of the directory; a verification asks for most of them."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        key = None  # Of a kind or on a curve that nobody here can use: it is never strong enough.
    return KnownCertificate(
        certificate=certificate,
        der=certificate.public_bytes(serialization.Encoding.DER),
        sha256=fingerprint(certificate),
        subject=certificate.subject.rfc4514_string(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        may_sign=usage_allows_signing(certificate),
        rsa_bits=key.key_size if isinstance(key, rsa.RSAPublicKey) else None,
        curve=key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else None,
    )


def usage_allows_signing(certificate: x509.Certificate) -> bool:
    """
    The one statement on key usage: an end-entity certificate whose KeyUsage, when it has one,
    says digitalSignature or nonRepudiation.

    signxml demands the first, pyHanko the second, and Vietnamese issuers set either. The
    extended key usage is not looked at: no purpose there means "signs dispatches".
    """
    try:
        extensions = certificate.extensions
    except UNREADABLE_EXTENSIONS:
        return False  # Extensions that cannot be decoded may forbid anything.
    constraints = [e.value for e in extensions if isinstance(e.value, x509.BasicConstraints)]
    usages = [e.value for e in extensions if isinstance(e.value, x509.KeyUsage)]
    if any(c.ca for c in constraints):
        return False
    return all(u.digital_signature or u.content_commitment for u in usages)


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it is a CA's; one whose extensions cannot be read is nobody's, and allowed to sign nothing."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, *UNREADABLE_EXTENSIONS):
        return False


def signing_key(private: object, certificate: x509.Certificate, chain: Sequence[x509.Certificate] = ()) -> SigningKey:
    """
    Join a private key with its certificate.

    :raises KeyUnusable: when they do not belong together, or the key is of a kind,
        curve or size that this gateway does not sign with.
    """
    if isinstance(private, rsa.RSAPrivateKey):
        if private.key_size < MINIMUM_RSA_BITS:
            raise KeyUnusable(f"The RSA key has {private.key_size} bits; at least {MINIMUM_RSA_BITS} are needed.")
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        if private.curve.name not in _OF_CURVE:
            raise KeyUnusable(f"The curve {private.curve.name} is not one of {', '.join(_OF_CURVE)}.")
    else:
        raise KeyUnusable(f"A key of kind {type(private).__name__} cannot sign here; RSA or EC can.")
    if _spki(private.public_key()) != _spki(certificate.public_key()):
        raise KeyUnusable("The certificate does not belong to the private key.")
    return SigningKey(private, certificate, tuple(chain))


def load_key(path: Path, password: str | None = None, *, certificate: Path | None = None) -> SigningKey:
    """
    Load a signing key once; the object is kept, for loading costs 50 ms.

    :param path: a PKCS#12 file (``.p12``, ``.pfx``), or PEM with the key and, unless
        ``certificate`` names another file, its certificate. Told apart by content.
    :param password: ``None`` when the file is not encrypted.
    :param certificate: PEM or DER file of the certificate, leaf first; ``None``: in ``path``.
    :raises KeyUnusable: the file cannot be read, the password is wrong, there is no
        certificate, or key and certificate do not fit.
    """
    raw = _read(path)
    secret = password.encode() if password else None
    if b"-----BEGIN" in raw:
        private, certificates = _from_pem(raw, secret, path, certificate_inside=certificate is None)
    else:
        private, certificates = _from_pkcs12(raw, secret, path)
    if certificate is not None:
        certificates = load_certificates(certificate)
    if not certificates:
        raise KeyUnusable(f"{path.name} holds no certificate.")
    return signing_key(private, certificates[0], certificates[1:])


def load_certificates(path: Path) -> list[x509.Certificate]:
    """
    The certificates of one file, PEM (any number) or DER (one), in their order.

    :raises KeyUnusable: the file cannot be read or holds no certificate.
    """
    return read_certificates(_read(path), name=path.name)


def read_certificates(raw: bytes, *, name: str) -> list[x509.Certificate]:
    """
    The certificates in ``raw``, PEM or DER.

    :param name: what the error calls their source.
    :raises KeyUnusable: there is none, or one cannot be decoded.
    """
    try:
        if b"-----BEGIN" in raw:
            return x509.load_pem_x509_certificates(raw)
        return [x509.load_der_x509_certificate(raw)]
    except (ValueError, x509.InvalidVersion) as e:
        raise KeyUnusable(f"{name} is not a certificate.") from e


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise KeyUnusable(f"{path.name} cannot be read: {e.strerror}.") from e


def _from_pem(
    raw: bytes, secret: bytes | None, path: Path, *, certificate_inside: bool
) -> tuple[object, list[x509.Certificate]]:
    try:
        private = serialization.load_pem_private_key(raw, secret)
    # TypeError is how cryptography says that a password is missing or superfluous.
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise KeyUnusable(f"{path.name} holds no usable private key, or the password is wrong.") from e
    inside = certificate_inside and b"-----BEGIN CERTIFICATE-----" in raw
    return private, read_certificates(raw, name=path.name) if inside else []


def _from_pkcs12(raw: bytes, secret: bytes | None, path: Path) -> tuple[object, list[x509.Certificate]]:
    try:
        bundle = pkcs12.load_pkcs12(raw, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise KeyUnusable(f"{path.name} is not PKCS#12, or the password is wrong.") from e
    if bundle.key is None:
        raise KeyUnusable(f"{path.name} holds no private key.")
    leaf = [bundle.cert.certificate] if bundle.cert else []
    return bundle.key, leaf + [c.certificate for c in bundle.additional_certs]


def _spki(key: object) -> bytes | None:
    """The public key's encoding, for comparison; ``None`` for kinds that we never hold."""
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return None


# Making keys and certificates: `gateway init`, the demo and the tests


def generate_key(*, rsa_bits: int | None = None) -> PrivateKey:
    """A new private key: P-256, or RSA for systems that know nothing else (72 % dearer to sign with)."""
    if rsa_bits is not None:
        return rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
    return ec.generate_private_key(ec.SECP256R1())


def subject_name(common_name: str, *, organization: str | None = None, code: str | None = None) -> x509.Name:
    """
    A subject as Vietnamese issuers write it: country, organisation, code in ``UID``, common name.

    Texts go in as UTF-8, accents and all, trimmed to the 64 characters of X.520.
    """
    attributes = [x509.NameAttribute(NameOID.COUNTRY_NAME, "VN")]
    if organization:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization[:64]))
    if code:
        attributes.append(x509.NameAttribute(NameOID.USER_ID, code))
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]))
    return x509.Name(attributes)


def make_ca(
    subject: x509.Name, *, at: datetime, valid_for: timedelta = timedelta(days=3650), issuer: SigningKey | None = None
) -> SigningKey:
    """
    A certification authority for tests and demonstrations: self-signed, or under ``issuer``.

    :param at: start of validity, aware.
    """
    private = generate_key()
    builder = _certificate(subject, private, issuer, at, valid_for)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(ca=True), critical=True)
    certificate = builder.sign(issuer.private if issuer else private, hashes.SHA256())
    return SigningKey(private, certificate, (issuer.certificate,) if issuer else ())


def issue_certificate(
    issuer: SigningKey,
    subject: x509.Name,
    private: PrivateKey,
    *,
    at: datetime,
    valid_for: timedelta = timedelta(days=730),
    key_usage: x509.KeyUsage | None = None,
) -> SigningKey:
    """
    Certify an agency's or a gateway's key for signing documents.

    Key usage is digitalSignature *and* nonRepudiation: signxml demands the one,
    pyHanko the other.

    :param at: start of validity, aware.
    """
    builder = _certificate(subject, private, issuer, at, valid_for)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(key_usage or _key_usage(ca=False), critical=True)
    return SigningKey(private, builder.sign(issuer.private, hashes.SHA256()), (issuer.certificate, *issuer.chain))


def _certificate(
    subject: x509.Name, private: PrivateKey, issuer: SigningKey | None, at: datetime, valid_for: timedelta
) -> x509.CertificateBuilder:
    authority = issuer.certificate.public_key() if issuer else private.public_key()
    assert isinstance(authority, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    return (
        x509.CertificateBuilder(
            subject_name=subject,
            issuer_name=issuer.certificate.subject if issuer else subject,
            public_key=private.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=at,
            not_valid_after=at + valid_for,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=not ca,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def key_to_pem(key: SigningKey, password: str | None = None) -> bytes:
    """Private key (PKCS#8) followed by its certificate and chain."""
    private = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, _encryption(password)
    )
    return private + certificates_to_pem([key.certificate, *key.chain])


def key_to_pkcs12(key: SigningKey, password: str | None = None, *, name: str = "signing") -> bytes:
    """Private key, certificate and chain as PKCS#12."""
    return pkcs12.serialize_key_and_certificates(
        name.encode(), key.private, key.certificate, key.chain or None, _encryption(password)
    )


def certificates_to_pem(certificates: Sequence[x509.Certificate]) -> bytes:
    """Certificates as PEM, one after the other."""
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


def write_secret(path: Path, content: bytes) -> None:
    """
    Write a new file that only its owner can read, durably; an existing file is never replaced.

    :raises KeyUnusable: the file exists already or cannot be written.
    """
    try:
        # The mode is given at creation: a chmod afterwards would leave a moment in which others can read.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as e:
        raise KeyUnusable(f"{path.name} cannot be written: {e.strerror}.") from e


def _encryption(password: str | None) -> serialization.KeySerializationEncryption:
    if not password:
        return serialization.NoEncryption()
    return serialization.BestAvailableEncryption(password.encode())
