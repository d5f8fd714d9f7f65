"""
XAdES signatures of one exact form: baseline B, and T once a time-stamp is put in (ETSI EN 319 132-1).

Seals and evidence files are signed with it, and packages where XAdES is asked for. What is read must be, byte for
byte, what :meth:`XadesSignature.render` writes of the values found in it; so nothing in it is open to a second
opinion, no canonicalisation is done, and signing costs one private-key operation. Anybody's XAdES library verifies
it, for the form is ordinary: exclusive canonicalisation named explicitly for every reference that is XML
(``spec/ecosystem.md`` T12), RSA or ECDSA.
Signatures of others, of any form, are ``signing/form.py``'s matter.
"""

from __future__ import annotations

import binascii
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from gateway.errors import EvidenceInvalid, KeyUnusable
from gateway.signing.keys import Signer, scheme_of, signature_fits
from gateway.signing.policy import DS, ENVELOPED, EXCLUSIVE, SIGNED_PROPERTIES, XADES

ENVELOPED_XML: Final = (ENVELOPED, EXCLUSIVE)
"""Transforms of a reference to the document around the signature."""

IDS: Final = frozenset({"signature", "signature-properties", "reference-0"})
"""Ids of a signature with one reference; the document around it must not use them."""
BYTES_MAX = 4 * 1024 * 1024
"""Largest signature that is read: 5,000 references need half of it."""

_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
_SIGNATURE = f"{{{DS}}}Signature"
_ATTRIBUTE = str.maketrans({"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"})
_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One thing that is signed."""

    uri: str
    """``""`` for the document around the signature; the name of a file beside it otherwise."""
    digest: bytes
    """SHA-256 of the file, or of the document's canonical form without the signature."""
    media_type: str
    transforms: tuple[str, ...] = ()
    """Algorithm URIs; empty for a file."""


@dataclass(frozen=True, kw_only=True)
class XadesSignature:
    """The values of one signature; that it verifies is not said."""

    references: tuple[Reference, ...]
    method: str
    """SignatureMethod URI."""
    signed_at: datetime
    """The signer's own word, aware UTC, whole seconds."""
    certificate_der: bytes
    value: bytes
    """SignatureValue."""
    token: bytes | None = None
    """DER of the RFC 3161 token over :meth:`stamped_bytes`; ``None`` in baseline B."""

    def render(self) -> bytes:
        """The ``ds:Signature``, canonical UTF-8, as it stands in its document."""
        signed_info, properties = self._parts()
        return (
            f'<ds:Signature xmlns:ds="{DS}" Id="signature"><ds:SignedInfo>{signed_info}</ds:SignedInfo>'
            f"<ds:SignatureValue>{b64encode(self.value).decode()}</ds:SignatureValue>"
            f"{_key_info(self.certificate_der)}"
            f'<ds:Object><xades:QualifyingProperties xmlns:xades="{XADES}" Target="#signature">'
            f'<xades:SignedProperties Id="signature-properties">{properties}</xades:SignedProperties>'
            f"{self._unsigned()}</xades:QualifyingProperties></ds:Object></ds:Signature>"
        ).encode()

    def to_be_signed(self) -> bytes:
        """Canonical SignedInfo: what the private key signs."""
        return f'<ds:SignedInfo xmlns:ds="{DS}">{self._parts()[0]}</ds:SignedInfo>'.encode()

    def stamped_bytes(self) -> bytes:
        """Canonical SignatureValue: what a SignatureTimeStamp is over (EN 319 132-1 §5.3)."""
        return f'<ds:SignatureValue xmlns:ds="{DS}">{b64encode(self.value).decode()}</ds:SignatureValue>'.encode()

    def stamped(self, token: bytes) -> XadesSignature:
        """The same in baseline T; the token is not checked here."""
        return replace(self, token=token)

    def check(self, certificate: x509.Certificate) -> None:
        """
        Check the value with a certificate's key; the digests of what is referred to are the caller's to compare.

        :raises EvidenceInvalid: another certificate is named, or the key did not make the value.
        """
        try:
            scheme = scheme_of(certificate)
            if scheme.xmldsig != self.method or self.certificate_der != certificate.public_bytes(Encoding.DER):
                raise EvidenceInvalid("The signature names another certificate.")
            if not signature_fits(certificate, self.value, self.to_be_signed()):
                raise EvidenceInvalid("The signature was not made with the key of this certificate.")
        except KeyUnusable as e:
            raise EvidenceInvalid("The certificate's key is of a kind that signs no evidence.") from e

    def _parts(self) -> tuple[str, str]:
        return _signed_parts(self.references, self.method, self.signed_at, self.certificate_der)

    def _unsigned(self) -> str:
        if self.token is None:
            return ""
        return (
            "<xades:UnsignedProperties><xades:UnsignedSignatureProperties><xades:SignatureTimeStamp>"
            f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"></ds:CanonicalizationMethod>'
            f"<xades:EncapsulatedTimeStamp>{b64encode(self.token).decode()}</xades:EncapsulatedTimeStamp>"
            "</xades:SignatureTimeStamp></xades:UnsignedSignatureProperties></xades:UnsignedProperties>"
        )


def sign(references: Sequence[Reference], signer: Signer, *, at: datetime) -> XadesSignature:
    """
    Sign digests that were computed elsewhere, in baseline B.

    :param at: what the signature says of its time; aware.
    """
    unsigned = XadesSignature(
        references=tuple(references),
        method=signer.algorithm,
        signed_at=at.astimezone(UTC).replace(microsecond=0),
        certificate_der=signer.certificate_der,
        value=b"",
    )
    return replace(unsigned, value=signer.sign(unsigned.to_be_signed()))


def read(raw: bytes) -> XadesSignature:
    """
    The values of a signature of our form.

    :param raw: the ``ds:Signature`` alone; not trusted.
    :raises EvidenceInvalid: it is not, byte for byte, what :meth:`XadesSignature.render` writes.
    """
    if len(raw) > BYTES_MAX:
        raise EvidenceInvalid("The signature is larger than any of ours.")
    try:
        found = _read(etree.fromstring(raw, _PARSER))
    # lxml's errors; what a missing element, a wrong date or broken base64 raise while the values are taken.
    except (etree.LxmlError, _NotOurs, ValueError) as e:
        raise not_ours() from e
    if found.render() != raw:
        raise not_ours()
    return found


def not_ours() -> EvidenceInvalid:
    """What is said of a signature of any other form."""
    return EvidenceInvalid("The signature is not of the form that this program writes.")


class _NotOurs(Exception):
    """An element that every signature of ours has is missing."""


def _read(signature: etree._Element) -> XadesSignature:
    if signature.tag != _SIGNATURE:
        raise _NotOurs
    properties = f"ds:Object/{_X}QualifyingProperties/"
    stamp = signature.find(
        _path(f"{properties}{_X}UnsignedProperties/{_X}UnsignedSignatureProperties/{_X}SignatureTimeStamp")
    )
    signed = f"{properties}{_X}SignedProperties/"
    formats = signature.findall(_path(f"{signed}{_X}SignedDataObjectProperties/{_X}DataObjectFormat/{_X}MimeType"))
    references = [r for r in signature.findall(_path("ds:SignedInfo/ds:Reference")) if r.get("Type") is None]
    if len(formats) != len(references):
        raise _NotOurs
    signed_at = _given(signature, f"{signed}{_X}SignedSignatureProperties/{_X}SigningTime")
    method = signature.find(_path("ds:SignedInfo/ds:SignatureMethod"))
    return XadesSignature(
        references=tuple(
            Reference(
                uri=r.get("URI", ""),
                digest=_decoded(r, "ds:DigestValue"),
                media_type=media_type.text or "",
                transforms=tuple(t.get("Algorithm", "") for t in r.findall(_path("ds:Transforms/ds:Transform"))),
            )
            for r, media_type in zip(references, formats, strict=True)
        ),
        method="" if method is None else method.get("Algorithm", ""),
        signed_at=datetime.strptime(signed_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
        certificate_der=_decoded(signature, "ds:KeyInfo/ds:X509Data/ds:X509Certificate"),
        value=_decoded(signature, "ds:SignatureValue"),
        token=None if stamp is None else _decoded(stamp, f"{_X}EncapsulatedTimeStamp"),
    )


_X = "xades:"


@lru_cache(maxsize=64)
def _path(path: str) -> str:
    """A path with prefixes as ElementTree wants it."""
    return path.replace("ds:", f"{{{DS}}}").replace("xades:", f"{{{XADES}}}")


def _given(element: etree._Element, path: str) -> str:
    value = element.findtext(_path(path))
    if value is None:
        raise _NotOurs
    return value


def _decoded(element: etree._Element, path: str) -> bytes:
    return binascii.a2b_base64(_given(element, path).encode("ascii"), strict_mode=True)


@lru_cache(maxsize=8)
def _signed_parts(
    references: tuple[Reference, ...], method: str, signed_at: datetime, certificate_der: bytes
) -> tuple[str, str]:
    """
    What stands inside SignedInfo, and inside SignedProperties.

    Remembered, because a signature asks for it when it is made and again when it is written.
    """
    formats = "".join(
        f'<xades:DataObjectFormat ObjectReference="#reference-{n}">'
        f"<xades:MimeType>{r.media_type.translate(_TEXT)}</xades:MimeType></xades:DataObjectFormat>"
        for n, r in enumerate(references)
    )
    before = (
        "<xades:SignedSignatureProperties>"
        f"<xades:SigningTime>{signed_at.strftime('%Y-%m-%dT%H:%M:%SZ')}</xades:SigningTime>"
        "<xades:SigningCertificateV2><xades:Cert><xades:CertDigest>"
    )
    after = (
        "</xades:CertDigest></xades:Cert></xades:SigningCertificateV2></xades:SignedSignatureProperties>"
        f"<xades:SignedDataObjectProperties>{formats}</xades:SignedDataObjectProperties>"
    )
    # Exclusive canonicalisation writes SignedProperties apart: each ``ds:`` element in it declares its prefix.
    canonical = (
        f'<xades:SignedProperties xmlns:xades="{XADES}" Id="signature-properties">'
        f"{before}{_certificate_digest(certificate_der, declared=True)}{after}</xades:SignedProperties>"
    )
    digest = b64encode(sha256(canonical.encode()).digest()).decode()
    signed_info = (
        f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{method}"></ds:SignatureMethod>'
        f"{''.join(_reference(n, r) for n, r in enumerate(references))}"
        f'<ds:Reference Type="{SIGNED_PROPERTIES}" URI="#signature-properties">'
        f'<ds:Transforms><ds:Transform Algorithm="{EXCLUSIVE}"></ds:Transform></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{_SHA256}"></ds:DigestMethod>'
        f"<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>"
    )
    return signed_info, f"{before}{_certificate_digest(certificate_der, declared=False)}{after}"


def _reference(number: int, reference: Reference) -> str:
    transforms = "".join(f'<ds:Transform Algorithm="{t}"></ds:Transform>' for t in reference.transforms)
    return (
        f'<ds:Reference Id="reference-{number}" URI="{reference.uri.translate(_ATTRIBUTE)}">'
        f"{f'<ds:Transforms>{transforms}</ds:Transforms>' if transforms else ''}"
        f'<ds:DigestMethod Algorithm="{_SHA256}"></ds:DigestMethod>'
        f"<ds:DigestValue>{b64encode(reference.digest).decode()}</ds:DigestValue></ds:Reference>"
    )


@lru_cache(maxsize=64)
def _key_info(der: bytes) -> str:
    """The certificate as KeyInfo has it: the same in all signatures of one key."""
    return (
        f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{b64encode(der).decode()}"
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    )


@lru_cache(maxsize=64)
def _certificate_digest(der: bytes, *, declared: bool) -> str:
    """CertDigest's content, with or without declarations of its prefix."""
    scope = f' xmlns:ds="{DS}"' if declared else ""
    return (
        f'<ds:DigestMethod{scope} Algorithm="{_SHA256}"></ds:DigestMethod>'
        f"<ds:DigestValue{scope}>{b64encode(sha256(der).digest()).decode()}</ds:DigestValue>"
    )
