"""
A public-key infrastructure for tests: made once per run, in memory, never written to disk.

Its time is fixed: everything is judged at ``NOW``, so no test depends on the clock. CRLs, OCSP
answers and time-stamps are made for any moment; ``pki_server`` serves them over HTTP.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from asn1crypto import algos, cms, core, tsp
from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from gateway.signing import keys
from gateway.signing.keys import PrivateKey, SigningKey
from gateway.signing.trust import TrustAnchors

NOW = datetime(2026, 3, 5, 7, 30, tzinfo=UTC)
"""The moment of receipt in tests."""

YEAR = timedelta(days=365)
LONG = 8 * YEAR
"""How long certificates last unless a test is about their end: servers in tests live by the machine's clock."""


@functools.cache
def root() -> SigningKey:
    """The anchor."""
    return keys.make_ca(keys.subject_name("Chứng thực thử nghiệm — Gốc", organization="Thử nghiệm"), at=NOW - YEAR)


@functools.cache
def intermediate() -> SigningKey:
    """The authority that issues to agencies."""
    name = keys.subject_name("Chứng thực thử nghiệm — Cơ quan", organization="Thử nghiệm")
    return keys.make_ca(name, at=NOW - YEAR, issuer=root())


@functools.cache
def anchors() -> TrustAnchors:
    """The root trusted, the intermediate known."""
    return TrustAnchors([root().certificate], [intermediate().certificate])


def issue(
    name: str,
    private: PrivateKey | None = None,
    *,
    at: datetime = NOW - YEAR,
    valid_for: timedelta = LONG,
    key_usage: x509.KeyUsage | None = None,
) -> SigningKey:
    """A new certificate under the intermediate; P-256 unless a key is given."""
    return keys.issue_certificate(
        intermediate(),
        keys.subject_name(name, organization="Tỉnh Lạng Sơn", code="MST:0100000000"),
        private or keys.generate_key(),
        at=at,
        valid_for=valid_for,
        key_usage=key_usage,
    )


@functools.cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """One RSA key of each size; making one costs a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@functools.cache
def agency() -> SigningKey:
    """The sender of the test packages, with RSA-2048 as most agencies have."""
    return issue("Sở Thử nghiệm Đặc biệt", rsa_key())


@functools.cache
def agency_ec() -> SigningKey:
    """The same agency's newer key, on P-256."""
    return issue("Sở Thử nghiệm Đặc biệt (EC)")


@functools.cache
def agency_of_curve(curve: str) -> SigningKey:
    """A certificate for a key on ``secp384r1`` or ``secp521r1``."""
    return issue(
        f"Sở {curve}", ec.generate_private_key({"secp384r1": ec.SECP384R1, "secp521r1": ec.SECP521R1}[curve]())
    )


@functools.cache
def other_agency() -> SigningKey:
    """Registered too, but for somebody else."""
    return issue("UBND xã Bên Cạnh", rsa.generate_private_key(public_exponent=65537, key_size=2048))


@functools.cache
def gateway() -> SigningKey:
    """The gateway's own key."""
    return issue("Trục liên thông tỉnh Lạng Sơn")


@functools.cache
def stranger() -> SigningKey:
    """Certified by an authority that nobody here trusts."""
    foreign = keys.make_ca(keys.subject_name("Ai đó"), at=NOW - YEAR)
    return keys.issue_certificate(
        foreign, keys.subject_name("Sở Thử nghiệm Đặc biệt"), keys.generate_key(), at=NOW - YEAR
    )


@functools.cache
def expired() -> SigningKey:
    """Ended an hour before ``NOW``."""
    return issue("Sở Hết hạn", rsa_key(), at=NOW - YEAR, valid_for=YEAR - timedelta(hours=1))


@functools.cache
def not_yet_valid() -> SigningKey:
    """Begins an hour after ``NOW``."""
    return issue("Sở Tương lai", rsa_key(), at=NOW + timedelta(hours=1))


@functools.cache
def weak() -> SigningKey:
    """RSA-1024. The certificate itself is well made."""
    return issue("Sở Khóa ngắn", rsa_key(1024))


@functools.cache
def wrong_usage() -> SigningKey:
    """May encipher keys, not sign."""
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return issue("Sở Mã hóa", rsa_key(), key_usage=usage)


@functools.cache
def authority_as_signer() -> SigningKey:
    """A CA certificate used to sign a document."""
    return intermediate()


# Certificates that say where to ask about them


Reason = x509.ReasonFlags
Revoked = Mapping[int, tuple[datetime, Reason | None]]
"""By serial number: since when, and why (``None``: not said)."""

POLICY = "1.3.6.1.4.1.55555.1.1"
"""The policy under which the test authority stamps times."""


def certify(
    subject: x509.Name,
    private: PrivateKey | None = None,
    *,
    issuer: SigningKey | None = None,
    at: datetime = NOW - YEAR,
    valid_for: timedelta = LONG,
    ca: bool = False,
    path_length: int | None = None,
    usages: frozenset[str] = frozenset({"digital_signature", "content_commitment"}),
    purposes: Sequence[x509.ObjectIdentifier] = (),
    purposes_critical: bool = False,
    crl_url: str | None = None,
    ocsp_url: str | None = None,
    issuer_url: str | None = None,
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
) -> SigningKey:
    """
    A certificate with everything about it to choose; under the intermediate by default.

    :param usages: names of :class:`x509.KeyUsage`'s arguments; none at all leaves the extension out.
    :param crl_url: for the CRL distribution point.
    :param ocsp_url: for the AuthorityInfoAccess, as is ``issuer_url`` (caIssuers).
    """
    issuer = issuer or intermediate()
    private = private or keys.generate_key()
    public = private.public_key()
    builder = (
        x509.CertificateBuilder(
            subject_name=subject,
            issuer_name=issuer.certificate.subject,
            public_key=public,
            serial_number=x509.random_serial_number(),
            not_valid_before=at,
            not_valid_after=at + valid_for,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(_authority_key(issuer), critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    )
    if usages:
        builder = builder.add_extension(_usage(*usages), critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=purposes_critical)
    if crl_url:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl_url)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    access = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
        for method, url in (
            (AuthorityInformationAccessOID.OCSP, ocsp_url),
            (AuthorityInformationAccessOID.CA_ISSUERS, issuer_url),
        )
        if url
    ]
    if access:
        builder = builder.add_extension(x509.AuthorityInformationAccess(access), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return SigningKey(private, builder.sign(issuer.private, hashes.SHA256()), (issuer.certificate, *issuer.chain))


@functools.cache
def person(
    name: str = "Nguyễn Văn Thử",
    *,
    organization: str = "Sở Thử nghiệm Đặc biệt",
    crl_url: str | None = None,
    ocsp_url: str | None = None,
    issuer_url: str | None = None,
) -> SigningKey:
    """A competent person of the agency; one per argument, on P-256."""
    subject = keys.subject_name(name, organization=organization, code="CCCD:001000000001")
    return certify(subject, crl_url=crl_url, ocsp_url=ocsp_url, issuer_url=issuer_url)


@functools.cache
def agency_seal(
    name: str = "Sở Thử nghiệm Đặc biệt",
    *,
    crl_url: str | None = None,
    ocsp_url: str | None = None,
    issuer_url: str | None = None,
    bits: int | None = None,
) -> SigningKey:
    """An agency's certificate, whose common name is the agency's own; one per argument, on P-256 or RSA."""
    subject = keys.subject_name(name, organization=name, code="MST:0100000000")
    private = rsa_key(bits) if bits else None
    return certify(subject, private, crl_url=crl_url, ocsp_url=ocsp_url, issuer_url=issuer_url)


@functools.cache
def revoked_person() -> SigningKey:
    """A person whose certificate :func:`revocations` says was revoked; the certificate itself is like any other."""
    return certify(keys.subject_name("Trần Thị Thu Hồi", organization="Sở Thử nghiệm Đặc biệt"))


@functools.cache
def revoked_agency() -> SigningKey:
    """An agency whose certificate :func:`revocations` says was revoked."""
    return certify(keys.subject_name("Sở Đã thu hồi", organization="Sở Đã thu hồi"), rsa_key())


def revocations(
    when: datetime = NOW - timedelta(days=1), reason: Reason | None = Reason.key_compromise
) -> dict[int, tuple[datetime, Reason | None]]:
    """Both ``revoked_*`` certificates, revoked at ``when``: for :func:`crl`."""
    return {key.certificate.serial_number: (when, reason) for key in (revoked_person(), revoked_agency())}


@functools.cache
def no_usage() -> SigningKey:
    """Like :func:`person`, without a KeyUsage extension."""
    return certify(keys.subject_name("Không mục đích", organization="Sở Thử nghiệm Đặc biệt"), usages=frozenset())


@functools.cache
def signs_only() -> SigningKey:
    """KeyUsage digitalSignature alone: what pyHanko refuses by default."""
    return certify(keys.subject_name("Chỉ ký số"), usages=frozenset({"digital_signature"}))


@functools.cache
def repudiates_not() -> SigningKey:
    """KeyUsage nonRepudiation alone: what signxml refuses by default."""
    return certify(keys.subject_name("Chống chối bỏ"), usages=frozenset({"content_commitment"}))


def rsa1024() -> SigningKey:
    """An agency with RSA-1024, as old tokens hold; the certificate itself is well made."""
    return weak()


@functools.cache
def sha1_certificate() -> SigningKey:
    """An agency's certificate that the intermediate signed with SHA-1; in all else like :func:`agency`."""
    good = issue("Sở Chứng thư SHA-1", rsa_key())
    return SigningKey(good.private, resigned_with_sha1(good.certificate, intermediate()), good.chain)


@functools.cache
def rsa_authority() -> SigningKey:
    """An authority with an RSA key under the root, as the real ones have."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = keys.subject_name("Chứng thực thử nghiệm — RSA", organization="Thử nghiệm")
    return certify(name, private, issuer=root(), ca=True, usages=frozenset({"key_cert_sign", "crl_sign"}))


@functools.cache
def sha1_rsa_certificate() -> SigningKey:
    """sha1WithRSAEncryption by an RSA authority: the form of the certificates of before 2015."""
    good = certify(keys.subject_name("Sở SHA-1 RSA"), rsa_key(), issuer=rsa_authority())
    return SigningKey(good.private, resigned_with_sha1(good.certificate, rsa_authority()), good.chain)


def resigned_with_sha1(certificate: x509.Certificate, issuer: SigningKey) -> x509.Certificate:
    """The same certificate, signed by its issuer with SHA-1; cryptography refuses to make these itself."""
    made = asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))
    of_rsa = isinstance(issuer.private, rsa.RSAPrivateKey)
    algorithm = algos.SignedDigestAlgorithm({"algorithm": "sha1_rsa" if of_rsa else "sha1_ecdsa"})
    made["tbs_certificate"]["signature"] = algorithm
    made["signature_algorithm"] = algorithm
    made["signature_value"] = _sign(issuer, made["tbs_certificate"].dump(force=True), hashes.SHA1())
    return x509.load_der_x509_certificate(made.dump(force=True))


def nameless(key: SigningKey) -> SigningKey:
    """The same key with a certificate whose name is no UTF-8: read only when it is asked for. Nobody has signed it."""
    name = key.certificate.subject.public_bytes()
    last = name.rindex(b"\x0c") + 2  # the first byte of the last UTF8String
    broken = name[:last] + b"\xff" + name[last + 1 :]
    return SigningKey(key.private, x509.load_der_x509_certificate(key.certificate_der.replace(name, broken, 1)))


def repetitious(key: SigningKey) -> SigningKey:
    """The same key with a certificate that has one extension twice. Nobody has signed it."""
    made = asn1_x509.Certificate.load(key.certificate_der)
    extensions = made["tbs_certificate"]["extensions"]
    extensions.append(extensions[0])
    return SigningKey(key.private, x509.load_der_x509_certificate(made.dump(force=True)))


# What authorities say of certificates later


def crl(
    issuer: SigningKey | None = None,
    revoked: Revoked | None = None,
    *,
    this_update: datetime = NOW - timedelta(hours=1),
    next_update: datetime | None = NOW + timedelta(days=7),
    signer: SigningKey | None = None,
    number: int = 1,
) -> bytes:
    """
    A certificate revocation list in DER.

    :param issuer: whose list; the intermediate's by default.
    :param signer: another key to sign with than the issuer's: a forged list.
    """
    issuer = issuer or intermediate()
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=issuer.certificate.subject,
        last_update=this_update,
        # cryptography makes none without an end; RFC 5280 demands one too.
        next_update=next_update or this_update + 100 * YEAR,
    )
    builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    builder = builder.add_extension(_authority_key(issuer), critical=False)
    for serial, (when, reason) in (revoked or {}).items():
        entry = x509.RevokedCertificateBuilder(serial, when)
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign((signer or issuer).private, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def long_crl(serials: Sequence[int]) -> bytes:
    """The intermediate's list with any number of entries; cryptography's builder copies all of them for each."""
    made = asn1_crl.CertificateList.load(crl())
    when = core.UTCTime(NOW - timedelta(days=1)).dump()
    entries = b"".join(_tlv(core.Integer(serial).dump() + when) for serial in serials)
    tbs = made["tbs_cert_list"]
    tbs["revoked_certificates"] = asn1_crl.RevokedCertificates.load(_tlv(entries))
    made["signature"] = core.OctetBitString(_sign(intermediate(), tbs.dump(force=False), hashes.SHA256()))
    der: bytes = made.dump()
    return der


def _tlv(content: bytes) -> bytes:
    """A SEQUENCE in DER."""
    der: bytes = core.Sequence(contents=content).dump()
    return der


def crl_with_sha1(issuer: SigningKey | None = None) -> bytes:
    """An empty list that its authority signed with SHA-1."""
    issuer = issuer or intermediate()
    made = asn1_crl.CertificateList.load(crl(issuer))
    of_rsa = isinstance(issuer.private, rsa.RSAPrivateKey)
    algorithm = algos.SignedDigestAlgorithm({"algorithm": "sha1_rsa" if of_rsa else "sha1_ecdsa"})
    made["tbs_cert_list"]["signature"] = algorithm
    made["signature_algorithm"] = algorithm
    made["signature"] = _sign(issuer, made["tbs_cert_list"].dump(force=True), hashes.SHA1())
    return bytes(made.dump(force=True))


_responders: dict[str, SigningKey] = {}


def ocsp_responder(issuer: SigningKey | None = None) -> SigningKey:
    """The delegated OCSP responder of the intermediate or another authority; its own status need not be asked."""
    issuer = issuer or intermediate()
    if issuer.certificate_sha256 not in _responders:
        _responders[issuer.certificate_sha256] = certify(
            keys.subject_name("OCSP thử nghiệm"),
            issuer=issuer,
            usages=frozenset({"digital_signature"}),
            purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,),
            extensions=((x509.OCSPNoCheck(), False),),
        )
    return _responders[issuer.certificate_sha256]


def ocsp_response(
    certificate: x509.Certificate | int,
    *,
    issuer: SigningKey | None = None,
    revoked: tuple[datetime, Reason | None] | None = None,
    unknown: bool = False,
    this_update: datetime = NOW - timedelta(hours=1),
    next_update: datetime | None = NOW + timedelta(days=1),
    responder: SigningKey | None = None,
    nonce: bytes | None = None,
    algorithm: hashes.HashAlgorithm | None = None,
) -> bytes:
    """
    An OCSP answer in DER: good unless ``revoked`` or ``unknown``.

    :param certificate: the one asked about, or its serial number.
    :param issuer: of that certificate; the intermediate by default.
    :param responder: who signs; the issuer's delegated responder by default, ``issuer`` itself is allowed too.
    :param nonce: echoed from the request.
    :param algorithm: of the CertID's hashes; SHA-1 by default, as everybody asks with.
    """
    issuer = issuer or intermediate()
    responder = responder or ocsp_responder(issuer)
    digest = algorithm or hashes.SHA1()  # RFC 5019: it names the issuer and protects nothing
    status = ocsp.OCSPCertStatus.UNKNOWN if unknown else ocsp.OCSPCertStatus.GOOD
    when, reason = revoked or (None, None)
    builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
        _hash(issuer.certificate.subject.public_bytes(), digest),
        _hash(_key_bits(issuer), digest),
        certificate if isinstance(certificate, int) else certificate.serial_number,
        digest,
        ocsp.OCSPCertStatus.REVOKED if revoked else status,
        this_update,
        next_update,
        when,
        reason,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, responder.certificate)
    if responder is not issuer:
        builder = builder.certificates([responder.certificate])
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.sign(responder.private, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


# Time-stamps (RFC 3161)


@functools.cache
def tsa(*, expired: bool = False, bits: int | None = None) -> SigningKey:
    """The time-stamping authority, under the intermediate; RSA of ``bits``, P-256 without."""
    return certify(
        keys.subject_name("Dấu thời gian thử nghiệm"),
        rsa_key(bits) if bits else None,
        at=NOW - YEAR,
        valid_for=YEAR - timedelta(hours=1) if expired else LONG,
        usages=frozenset({"digital_signature"}),
        purposes=(ExtendedKeyUsageOID.TIME_STAMPING,),
        purposes_critical=True,
    )


@functools.cache
def _tsa_stranger_root() -> SigningKey:
    return keys.make_ca(keys.subject_name("Ai đó đóng dấu"), at=NOW - YEAR)


def tsa_stranger_root() -> x509.Certificate:
    """The root of :func:`tsa_stranger`, for who wants to believe it."""
    return _tsa_stranger_root().certificate


@functools.cache
def tsa_stranger() -> SigningKey:
    """A time-stamping authority that chains to nobody known."""
    return certify(
        keys.subject_name("Dấu thời gian lạ"),
        issuer=_tsa_stranger_root(),
        usages=frozenset({"digital_signature"}),
        purposes=(ExtendedKeyUsageOID.TIME_STAMPING,),
        purposes_critical=True,
    )


def timestamp_token(
    digest: bytes,
    *,
    at: datetime = NOW,
    authority: SigningKey | None = None,
    hash_name: str = "sha256",
    nonce: int | None = None,
    serial: int | None = None,
    with_chain: bool = True,
) -> bytes:
    """
    A TimeStampToken (CMS ContentInfo, DER) over ``digest``.

    :param digest: hash of the stamped data, by ``hash_name``.
    :param with_chain: whether the authority's certificates are inside, as when the request asks for them.
    """
    authority = authority or tsa()
    info = tsp.TSTInfo(
        {
            "version": "v1",
            "policy": POLICY,
            "message_imprint": {"hash_algorithm": {"algorithm": hash_name}, "hashed_message": digest},
            "serial_number": serial if serial is not None else x509.random_serial_number(),
            "gen_time": at.astimezone(UTC).replace(microsecond=0),
            "accuracy": {"seconds": 1},
            **({"nonce": nonce} if nonce is not None else {}),
        }
    )
    certificates = [authority.certificate, *authority.chain]
    attributes = _signed_attributes(info, authority)
    of_rsa = isinstance(authority.private, rsa.RSAPrivateKey)
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": {"issuer_and_serial_number": _issuer_and_serial(authority)},
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_rsa" if of_rsa else "sha256_ecdsa"},
            "signature": _sign(authority, attributes.dump(), hashes.SHA256()),
        }
    )
    data = cms.SignedData(
        {
            "version": "v3",
            "digest_algorithms": [{"algorithm": "sha256"}],
            "encap_content_info": {"content_type": "tst_info", "content": info},
            "signer_infos": [signer],
            **({"certificates": [_asn1(c) for c in certificates]} if with_chain else {}),
        }
    )
    return bytes(cms.ContentInfo({"content_type": "signed_data", "content": data}).dump())


def timestamp_answer(request: bytes, *, at: datetime = NOW, authority: SigningKey | None = None) -> bytes:
    """The TimeStampResp that grants a TimeStampReq; both DER."""
    asked = tsp.TimeStampReq.load(request)
    token = timestamp_token(
        asked["message_imprint"]["hashed_message"].native,
        at=at,
        authority=authority,
        hash_name=asked["message_imprint"]["hash_algorithm"]["algorithm"].native,
        nonce=asked["nonce"].native,
        with_chain=bool(asked["cert_req"].native),
    )
    answer = tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": cms.ContentInfo.load(token)})
    return bytes(answer.dump())


def timestamp_refusal(failure: str = "system_failure") -> bytes:
    """A TimeStampResp that grants nothing; ``failure`` as asn1crypto names PKIFailureInfo's bits."""
    status = tsp.PKIStatusInfo({"status": "rejection", "fail_info": {failure}})
    # asn1crypto's TimeStampResp cannot be without a token; it is a SEQUENCE of the status alone (RFC 3161 §2.4.2).
    return bytes(core.Sequence(contents=status.dump()).dump())


def _signed_attributes(info: tsp.TSTInfo, authority: SigningKey) -> cms.CMSAttributes:
    certificate = {"cert_hash": hashlib.sha256(authority.certificate_der).digest()}
    return cms.CMSAttributes(
        [
            {"type": "content_type", "values": ["tst_info"]},
            {"type": "message_digest", "values": [hashlib.sha256(info.dump()).digest()]},
            {"type": "signing_certificate_v2", "values": [tsp.SigningCertificateV2({"certs": [certificate]})]},
        ]
    )


def _issuer_and_serial(key: SigningKey) -> cms.IssuerAndSerialNumber:
    made = _asn1(key.certificate)
    return cms.IssuerAndSerialNumber({"issuer": made.issuer, "serial_number": made.serial_number})


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))


def _sign(key: SigningKey, data: bytes, digest: hashes.HashAlgorithm) -> bytes:
    """A signature as X.509 and CMS write it."""
    if isinstance(key.private, rsa.RSAPrivateKey):
        return key.private.sign(data, padding.PKCS1v15(), digest)
    return key.private.sign(data, ec.ECDSA(digest))


def _authority_key(issuer: SigningKey) -> x509.AuthorityKeyIdentifier:
    public = issuer.certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(public)


def _usage(*names: str) -> x509.KeyUsage:
    bits = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    assert set(names) <= set(bits)
    return x509.KeyUsage(**{bit: bit in names for bit in bits})


def _key_bits(key: SigningKey) -> bytes:
    """The subjectPublicKey alone, without the octet of unused bits: what an OCSP CertID's key hash is over."""
    return bytes(_asn1(key.certificate).public_key["public_key"].contents[1:])


def _hash(data: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(data)
    return digest.finalize()
