"""
Asking an authority about certificates: which addresses they name, what is asked, and whether an answer may be kept.

An answer that nobody could vouch for must not take the place of a good one, so signatures are looked at here
already; whether it decides about a certificate is for ``trust`` to say when it is used. No network: the bytes
come and go through ``gateway.exchange.revocation``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from asn1crypto import core
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from gateway.errors import RevocationNotAuthentic
from gateway.signing.keys import UNREADABLE_EXTENSIONS
from gateway.signing.trust import RevocationItem, read_item
from gateway.signing.trust.facts import UNREADABLE

OCSP_REQUEST = "application/ocsp-request"

_Response = ocsp.OCSPResponse
_UNREADABLE = (x509.InvalidVersion, *UNREADABLE_EXTENSIONS)
"""What cryptography raises for lists and answers of strangers: one that got out would end the round for all others."""


def crl_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    """Where a certificate says that the CRL is (RFC 5280 §4.2.1.13); its word, to be followed only where allowed."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, *UNREADABLE_EXTENSIONS):
        return ()
    return _urls(name for point in points for name in point.full_name or ())


def ocsp_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    """Where a certificate says that OCSP answers (RFC 5280 §4.2.2.1); its word, to be followed only where allowed."""
    try:
        places = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, *UNREADABLE_EXTENSIONS):
        return ()
    return _urls(p.access_location for p in places if p.access_method == AuthorityInformationAccessOID.OCSP)


def _urls(names: Iterable[x509.GeneralName]) -> tuple[str, ...]:
    found = (name.value for name in names if isinstance(name, x509.UniformResourceIdentifier))
    return tuple(dict.fromkeys(url for url in found if url.lower().startswith(("http://", "https://"))))


def ocsp_request(certificate: x509.Certificate, issuer: x509.Certificate) -> bytes:
    """
    The question to an OCSP responder, DER.

    Without a nonce: responders answer from a store (RFC 5019), and how old an answer may be is policy here.
    """
    # Only names the certificate; RFC 5019 §2.1.1 demands SHA-1, and many responders know nothing else.
    digest = hashes.SHA1()  # noqa: S303 # see above
    return ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, digest).build().public_bytes(Encoding.DER)


def authentic_crl(raw: bytes, authorities: Sequence[x509.Certificate], *, source: str) -> RevocationItem:
    """
    A CRL that one of these authorities signed.

    :param raw: DER or PEM, not trusted.
    :param authorities: of the chains to the configured anchors.
    :raises RevocationUnreadable: it is no CRL.
    :raises RevocationNotAuthentic: none of them signed it.
    """
    item = read_item(raw, source=source)
    if item.kind != "crl":
        raise RevocationNotAuthentic(f"{source} is an OCSP answer and not a CRL.")
    try:
        listed = x509.load_der_x509_crl(item.der)
        named = [a for a in authorities if a.subject == listed.issuer]
        signed = any(_signed_by(a, listed) for a in named)
    except _UNREADABLE as e:
        raise RevocationNotAuthentic(f"{source}: its signature cannot be checked ({type(e).__name__}).") from e
    if not signed:
        raise RevocationNotAuthentic(f"{source}: no known authority of that name signed it.")
    return item


def _signed_by(authority: x509.Certificate, listed: x509.CertificateRevocationList) -> bool:
    key = authority.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return False
    return listed.is_signature_valid(key)


def authentic_ocsp(
    raw: bytes, certificate: x509.Certificate, issuer: x509.Certificate, *, source: str
) -> RevocationItem:
    """
    An OCSP answer about a certificate, signed by its issuer or by a responder that the issuer appointed.

    :param raw: DER, not trusted.
    :return: the answer with its responder's certificate alone.
    :raises RevocationUnreadable: it is no OCSP answer, or a refusal to answer.
    :raises RevocationNotAuthentic: it is about another certificate, or signed by somebody else.

    Source: RFC 6960 §4.2.2.2.
    """
    item = read_item(raw, source=source)
    if item.kind != "ocsp":
        raise RevocationNotAuthentic(f"{source} is a CRL and not an OCSP answer.")
    try:
        answer = ocsp.load_der_ocsp_response(item.der)
        about = {single.serial_number for single in answer.responses}
        signer = next((c for c in _responders(answer, issuer) if _answered_by(c, answer)), None)
    except _UNREADABLE as e:
        raise RevocationNotAuthentic(f"{source}: it cannot be checked ({type(e).__name__}).") from e
    if certificate.serial_number not in about:
        raise RevocationNotAuthentic(f"{source}: it is about another certificate than the one asked about.")
    if signer is None:
        raise RevocationNotAuthentic(f"{source}: neither the issuer nor a responder that it appointed signed it.")
    try:
        bare = _bare(item.der, None if signer == issuer else signer)
    except UNREADABLE as e:
        raise RevocationNotAuthentic(f"{source}: it cannot be taken apart ({type(e).__name__}).") from e
    return read_item(bare, source=source)


def _bare(der: bytes, responder: x509.Certificate | None) -> bytes:
    """
    An OCSP answer with no other certificate than its responder's.

    The certificates are not signed: whoever stands on the way could put one of the responder's name before it, and
    whoever looks for the responder by its name (RFC 6960 §4.2.2.3) would find that, and believe the answer no more.
    """
    basic = asn1_ocsp.OCSPResponse.load(der).basic_ocsp_response
    parts = {name: basic[name] for name in ("tbs_response_data", "signature_algorithm", "signature")}
    if responder is not None:
        parts["certs"] = [asn1_x509.Certificate.load(responder.public_bytes(Encoding.DER))]
    content = {
        "response_type": "basic_ocsp_response",
        "response": core.ParsableOctetString(asn1_ocsp.BasicOCSPResponse(parts).dump()),
    }
    bare: bytes = asn1_ocsp.OCSPResponse({"response_status": "successful", "response_bytes": content}).dump()
    return bare


def _responders(answer: _Response, issuer: x509.Certificate) -> Iterable[x509.Certificate]:
    yield issuer
    for certificate in answer.certificates:
        if _appointed(certificate, issuer):
            yield certificate


def _appointed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (TypeError, InvalidSignature, x509.ExtensionNotFound, *_UNREADABLE):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in uses


def _answered_by(certificate: x509.Certificate, answer: _Response) -> bool:
    key, digest = certificate.public_key(), answer.signature_hash_algorithm
    if digest is None:
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(digest))
        else:
            return False
    except InvalidSignature:
        return False
    return True
