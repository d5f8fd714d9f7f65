"""
What a signature is put over, recognised for what it is before a key touches it.

Whoever signs bytes that somebody else sends signs anything: a login, a contract, a time-stamp. So only two things
are recognised, with nothing in them that a signature of a PDF or of a package does not have.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from asn1crypto import cms, tsp
from lxml import etree

from gateway.edxml.parser import hardened_parser
from gateway.errors import NothingToSign
from gateway.signing.policy import DS

LONGEST_BYTES = 64 * 1024
"""Of what is signed: hashes and names, never the document."""
_SET = 0x31
_DIGEST_LENGTHS = frozenset({32, 48, 64})
"""SHA-256, SHA-384, SHA-512."""
_XML_DIGESTS = frozenset(
    {
        "http://www.w3.org/2001/04/xmlenc#sha256",
        "http://www.w3.org/2001/04/xmldsig-more#sha384",
        "http://www.w3.org/2001/04/xmlenc#sha512",
    }
)
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.47"
_ATTRIBUTES = frozenset(
    {
        _CONTENT_TYPE,
        _MESSAGE_DIGEST,
        _SIGNING_CERTIFICATE,
        "1.2.840.113549.1.9.5",  # signing time
        "1.2.840.113549.1.9.52",  # which algorithms protect it (RFC 6211)
        "1.2.840.113583.1.1.8",  # revocation answers (ISO 32000-2 §12.8.3.3.2)
        "1.2.840.113549.1.9.16.2.15",  # the name of a signature policy
    }
)
"""What a signature inside a PDF says of itself; anything else is not signed unseen."""


@dataclass(frozen=True, kw_only=True)
class ToBeSigned:
    """What a person can be told of the bytes that are to be signed."""

    kind: str
    """``pdf`` or ``package``."""
    digest: str
    """Of the document, lower-case hex: of the PDF's signed bytes, or of the package's canonical form."""
    certificate_sha256: str | None
    """The certificate that the signature itself will name, in lower-case hex; ``None``: it names none."""


def recognise(data: bytes) -> ToBeSigned:
    """
    Say what the bytes are.

    :param data: from a page, untrusted: the DER of CMS signed attributes, or a canonical ``ds:SignedInfo``.
    :raises NothingToSign: they are neither, or hold what does not belong there.

    Source: RFC 5652 §5.3, ETSI EN 319 122-1 §5, XML Signature 1.1 §4.4.
    """
    if len(data) > LONGEST_BYTES:
        raise NothingToSign(f"What is signed has at most {LONGEST_BYTES} bytes.")
    if data[:1] == bytes([_SET]):
        return _attributes(data)
    if data[:1] == b"<":
        return _signed_info(data)
    raise NothingToSign


def _attributes(data: bytes) -> ToBeSigned:
    values: dict[str, Any] = {}
    try:
        attributes = cms.CMSAttributes.load(data, strict=True)
        for attribute in attributes:
            values[attribute["type"].dotted] = attribute["values"]
        named = len(values) == len(attributes) and set(values) <= _ATTRIBUTES
        content = values[_CONTENT_TYPE].native
        digests = values[_MESSAGE_DIGEST].native
        certificate = _named_certificate(values.get(_SIGNING_CERTIFICATE))
    # asn1crypto reads lazily and says what it dislikes with whichever of these is at hand.
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as e:
        raise NothingToSign from e
    # The content of a PDF's signature is plain data; a time-stamp or a signature over a signature is not.
    if not named or content != ["data"] or len(digests) != 1 or len(digests[0]) not in _DIGEST_LENGTHS:
        raise NothingToSign
    return ToBeSigned(kind="pdf", digest=digests[0].hex(), certificate_sha256=certificate)


def _named_certificate(values: Any) -> str | None:
    """The first of ESS signing-certificate-v2 (RFC 5035 §4) is the signer's; by SHA-256 unless it says otherwise."""
    if values is None:
        return None
    named: tsp.SigningCertificateV2 = values[0]
    first = named["certs"][0]
    return first["cert_hash"].native.hex() if first["hash_algorithm"]["algorithm"].native == "sha256" else None


def _signed_info(data: bytes) -> ToBeSigned:
    try:
        root = etree.fromstring(data, hardened_parser())
    except (etree.XMLSyntaxError, ValueError) as e:
        raise NothingToSign from e
    # Its own canonical form: nothing is signed that was not seen, such as a comment or an entity.
    if root.tag != _ds("SignedInfo") or data not in _canonical_forms(root):
        raise NothingToSign
    if [child.tag for child in list(root)[:2]] != [_ds("CanonicalizationMethod"), _ds("SignatureMethod")]:
        raise NothingToSign
    whole = [digest for uri, digest in _references(root) if uri == ""]
    if len(whole) != 1:
        raise NothingToSign
    return ToBeSigned(kind="package", digest=whole[0].hex(), certificate_sha256=None)


def _references(root: etree._Element) -> Iterator[tuple[str, bytes]]:
    """The references: to the whole document, or to a part of the signature itself (XAdES)."""
    for child in list(root)[2:]:
        uri = child.get("URI")
        method, value = child.find(_ds("DigestMethod")), child.find(_ds("DigestValue"))
        if child.tag != _ds("Reference") or uri is None or method is None or value is None:
            raise NothingToSign
        if not (uri == "" or uri.startswith("#")) or method.get("Algorithm") not in _XML_DIGESTS:
            raise NothingToSign
        try:
            digest = b64decode(value.text or "", validate=True)
        except ValueError as e:
            raise NothingToSign from e
        if len(digest) not in _DIGEST_LENGTHS:
            raise NothingToSign
        yield uri, digest


def _canonical_forms(root: etree._Element) -> tuple[bytes, ...]:
    return tuple(etree.tostring(root, method="c14n", exclusive=e, with_comments=False) for e in (True, False))


def _ds(name: str) -> str:
    return f"{{{DS}}}{name}"
