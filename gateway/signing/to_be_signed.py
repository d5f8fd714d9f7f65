"""
What a signature is put over, recognised for what it is before a key touches it.

Whoever signs bytes that somebody else sends signs anything: a login, a contract, a time-stamp. So only two things
are recognised, with nothing in them that a signature of a PDF or of a package does not have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from asn1crypto import cms, tsp
from lxml import etree

from gateway.edxml.package import C14N
from gateway.edxml.parser import hardened_parser
from gateway.errors import NothingToSign
from gateway.signing import form
from gateway.signing.policy import DS, EXCLUSIVE, SignaturePolicy

LONGEST_BYTES = 64 * 1024
"""Of what is signed: hashes and names, never the document."""
_SET = 0x31
_DIGEST_LENGTHS = frozenset({32, 48, 64})
"""SHA-256, SHA-384, SHA-512."""
_STRICT = SignaturePolicy(accepted=frozenset())
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
        once = len(values) == len(attributes) and all(len(said) == 1 for said in values.values())
        named = once and set(values) <= _ATTRIBUTES
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
        if root.tag != _ds("SignedInfo"):
            raise NothingToSign
        info = form.read_signed_info(root, _STRICT)
        canonical = _canonical(root, info)
    # What another form's transforms select, no person who compares a digest has seen.
    except (etree.XMLSyntaxError, etree.C14NError, ValueError, form.Finding) as e:
        raise NothingToSign from e
    # Its own canonical form: nothing is signed that was not seen, such as a comment or an entity.
    if data != canonical or any(map(_says_more, root.iter())):
        raise NothingToSign
    digests = [info.document.digest, *([info.own.digest] if info.own else [])]
    if any(len(digest) not in _DIGEST_LENGTHS for digest in digests):
        raise NothingToSign
    return ToBeSigned(kind="package", digest=info.document.digest.hex(), certificate_sha256=None)


def _canonical(root: etree._Element, info: form.SignedInfo) -> bytes:
    exclusive = info.canonicalization is C14N.EXCLUSIVE
    canonical: bytes = etree.tostring(
        root,
        method="c14n",
        exclusive=exclusive,
        with_comments=False,
        inclusive_ns_prefixes=list(info.prefixes) or None if exclusive else None,
    )
    return canonical


def _says_more(element: etree._Element) -> bool:
    """Whether an element holds words or attributes that no signature of a package needs: a promise would fit in."""
    words = [element.tail] if element.tag == _ds("DigestValue") else [element.text, element.tail]
    known = _SAYING.get(str(element.tag), frozenset())
    return (
        any(word and not word.isspace() for word in words)
        or not known.issuperset(element.attrib)
        or _NAME.fullmatch(element.get("Id", "x")) is None
    )


def _ds(name: str) -> str:
    return f"{{{DS}}}{name}"


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_SAYING = {
    _ds("CanonicalizationMethod"): frozenset({"Algorithm"}),
    _ds("SignatureMethod"): frozenset({"Algorithm"}),
    _ds("DigestMethod"): frozenset({"Algorithm"}),
    _ds("Transform"): frozenset({"Algorithm"}),
    _ds("Reference"): frozenset({"Id", "Type", "URI"}),
    f"{{{EXCLUSIVE}}}InclusiveNamespaces": frozenset({"PrefixList"}),
}
"""Attributes of elements that have any; their values are the form's."""
