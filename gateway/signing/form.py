"""
The one form of signature that is accepted, taken apart before any cryptography.

An enveloped ``ds:Signature``, the only one, directly in the package's one header, with one
Reference to the whole document; XAdES adds a second one, to its own signed properties, and nothing
else. signxml would ignore transforms that it does not know, take the first signature anywhere, and
digest thousands of references; so nothing reaches it that this module has not read as exactly
that form.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from gateway.edxml import names
from gateway.edxml.package import C14N
from gateway.model import Standing
from gateway.signing import policy as table
from gateway.signing.policy import (
    DS,
    DSIG11,
    EXCLUSIVE,
    SIGNED_PROPERTIES,
    XADES,
    XADES_141,
    Reason,
    SignaturePolicy,
)

_IDS = etree.XPath("//*/@*[local-name()='Id' or local-name()='ID' or local-name()='id']", smart_strings=False)

_ANYTHING = f"{{{DS}}}*"
_SIGNATURE = f"{{{DS}}}Signature"
_REFERENCE = f"{{{DS}}}Reference"
_TRANSFORMS = f"{{{DS}}}Transforms"
_TRANSFORM = f"{{{DS}}}Transform"
_X509_DATA = f"{{{DS}}}X509Data"
_CERTIFICATE = f"{{{DS}}}X509Certificate"
_KEY_VALUE = f"{{{DS}}}KeyValue"
_INCLUSIVE_NAMESPACES = f"{{{EXCLUSIVE}}}InclusiveNamespaces"
_SIGNATURE_CHILDREN = [f"{{{DS}}}SignedInfo", f"{{{DS}}}SignatureValue"]
_SIGNATURE_CHILDREN_AND_KEY = [*_SIGNATURE_CHILDREN, f"{{{DS}}}KeyInfo"]
_OBJECT = f"{{{DS}}}Object"
_SIGNED_INFO_METHODS = [f"{{{DS}}}CanonicalizationMethod", f"{{{DS}}}SignatureMethod"]
_REFERENCE_CHILDREN = [_TRANSFORMS, f"{{{DS}}}DigestMethod", f"{{{DS}}}DigestValue"]
_QUALIFYING_PROPERTIES = f"{{{XADES}}}QualifyingProperties"
_SIGNED_PROPERTIES = f"{{{XADES}}}SignedProperties"
_UNSIGNED_PROPERTIES = f"{{{XADES}}}UnsignedProperties"
_KEY_INFO_CHILDREN = {_X509_DATA, f"{{{DS}}}KeyName", _KEY_VALUE}
_SIGNATURE_ATTRIBUTES = frozenset({"Id"})
_REFERENCE_ATTRIBUTES = frozenset({"URI", "Id"})
_VOCABULARY = frozenset({DS, DSIG11, XADES, XADES_141})
"""Namespaces of what a signature says of itself."""
_OF_PACKAGES = frozenset(n for table in vars(names).values() if isinstance(table, names.Spellings) for n in table)
"""In lower case."""


class Finding(Exception):
    """What ends a judgement early; ``verify.judge`` turns it into a verdict, and it goes no further."""

    def __init__(self, reason: Reason, standing: Standing = Standing.INVALID) -> None:
        self.reason = reason
        self.standing = standing
        super().__init__(reason)


@dataclass(frozen=True)
class Reference:
    """What the signature says of the document."""

    c14n: C14N
    prefixes: tuple[str, ...]
    """``InclusiveNamespaces``; ``#default`` stands for the default namespace."""
    digest_method: str
    """Algorithm URI."""
    hash_name: str
    """The same by hashlib's name."""
    digest: bytes
    target: str = ""
    """URI: empty for the whole document, ``#…`` for the signed properties."""


@dataclass(frozen=True)
class SignedProperties:
    """What an XAdES signature says of itself; believed only once :func:`engine.check` has passed."""

    element: etree._Element
    reference: Reference
    signing_time: datetime | None
    """The signer's word; aware UTC. ``None``: it says none that can be read."""
    certificate_digests: tuple[tuple[str, bytes], ...]
    """Digest (hashlib's name, value) of the certificate that the signer means, and of any others after it."""
    tokens: tuple[bytes, ...]
    """DER of time-stamp tokens over SignatureValue; not covered by the signature, not judged."""


@dataclass(frozen=True, kw_only=True)
class SignedInfo:
    """What is signed of the accepted form, besides the properties themselves."""

    method: str
    """SignatureMethod URI."""
    method_name: str
    """signxml's name of the method."""
    canonicalization: C14N
    prefixes: tuple[str, ...]
    document: Reference
    own: Reference | None
    """To XAdES' signed properties; ``None``: plain XML-DSig."""


@dataclass(frozen=True)
class EnvelopedSignature:
    """A signature of the accepted form; that it verifies is not said."""

    element: etree._Element
    signature_method: str
    method_name: str
    """signxml's name of the method."""
    canonicalization: str
    """Algorithm URI, of SignedInfo."""
    canonicalization_prefixes: tuple[str, ...]
    reference: Reference
    named_certificates: tuple[bytes, ...]
    """DER of what KeyInfo claims, not parsed: only compared with what is registered."""
    key_value: etree._Element | None
    value: bytes
    """SignatureValue."""
    properties: SignedProperties | None = None
    """``None``: plain XML-DSig."""

    @property
    def references(self) -> frozenset[Reference]:
        """All that SignedInfo demands."""
        return frozenset({self.reference} if self.properties is None else {self.reference, self.properties.reference})


def take_apart(root: etree._Element, policy: SignaturePolicy) -> EnvelopedSignature:
    """
    Read the package's signature as the accepted form.

    :param root: the skeleton's root, free of comments.
    :raises Finding: it is of another form, or uses what policy does not accept.

    Source: W3C XML Signature Best Practices §2.1; spec/security.md traps 3, 4, 12 as vectors in the tests.
    """
    return read_signature(_the_one_signature(root), policy)


def bound_namespaces(root: etree._Element) -> None:
    """
    Refuse what would take long to canonicalise.

    :raises Finding: more namespace declarations around one element than any package has.
    """
    depth = 0
    for event, _ in etree.iterwalk(root, events=("start-ns", "end-ns")):
        depth += 1 if event == "start-ns" else -1
        if depth > table.NAMESPACES_IN_SCOPE_MAX:
            raise Finding(Reason.STRUCTURE)


def read_signature(element: etree._Element, policy: SignaturePolicy) -> EnvelopedSignature:
    """
    Read one ``ds:Signature``, wherever it stands, as the accepted form.

    :raises Finding: it is of another form, or uses what policy does not accept.
    """
    signed_info, value, key_info, qualifying = _parts(element)
    _refuse_smuggled([key_info, None if qualifying is None else qualifying.find(_UNSIGNED_PROPERTIES)])
    info = read_signed_info(signed_info, policy)
    if (info.own is None) != (qualifying is None):
        raise Finding(Reason.STRUCTURE)  # An Object that nothing covers would look signed.
    return EnvelopedSignature(
        element=element,
        signature_method=info.method,
        method_name=info.method_name,
        canonicalization=info.canonicalization.value,
        canonicalization_prefixes=info.prefixes,
        reference=info.document,
        named_certificates=tuple(_certificates(key_info)),
        key_value=None if key_info is None else key_info.find(_KEY_VALUE),
        value=_decode(value),
        properties=(
            None if info.own is None or qualifying is None else _read_properties(element, qualifying, info.own, policy)
        ),
    )


def read_signed_info(signed_info: etree._Element, policy: SignaturePolicy) -> SignedInfo:
    """
    Read a ``ds:SignedInfo`` as the accepted form has it.

    :raises Finding: it is of another form, or uses what policy does not accept.
    """
    document, own = _references(signed_info)
    children = _children(signed_info)
    if _tags(children) != _SIGNED_INFO_METHODS + [_REFERENCE] * (len(children) - 2):
        raise Finding(Reason.STRUCTURE)
    canonicalization_method, signature_method = children[:2]
    method = signature_method.get("Algorithm", "")
    method_name = policy.method(method)
    if method_name is None:
        raise Finding(Reason.ALGORITHM)
    if len(signature_method):
        raise Finding(Reason.STRUCTURE)
    canonicalization, prefixes = read_canonicalization(canonicalization_method)
    return SignedInfo(
        method=method,
        method_name=method_name,
        canonicalization=canonicalization,
        prefixes=prefixes,
        document=read_reference(document, policy),
        own=None if own is None else read_reference(own, policy),
    )


def _refuse_smuggled(uncovered: Sequence[etree._Element | None]) -> None:
    """
    Refuse a second package in those parts of a signature that the signature does not cover.

    Whoever looks for the first MessageHeader anywhere, as the national kit does by its name and prefix alone, would
    read there what nobody has signed.
    """
    for element in (e for part in uncovered if part is not None for e in part.iter()):
        namespace, _, name = str(element.tag)[1:].rpartition("}")
        if namespace not in _VOCABULARY or name.lower() in _OF_PACKAGES:
            raise Finding(Reason.STRUCTURE)


def _references(signed_info: etree._Element) -> tuple[etree._Element, etree._Element | None]:
    """The reference to the document and, of XAdES, the one to the signed properties; no other is accepted."""
    every = list(signed_info.iterchildren(_REFERENCE))
    own = [r for r in every if r.get("Type") == SIGNED_PROPERTIES]
    if len(every) != 1 + len(own) or len(own) > 1:
        raise Finding(Reason.REFERENCE)
    return next(r for r in every if r not in own), own[0] if own else None


def _read_properties(
    signature: etree._Element, qualifying: etree._Element, own: Reference, policy: SignaturePolicy
) -> SignedProperties:
    """
    The properties inside the signature's own Object.

    What is unsigned there is looked at for time-stamps alone.

    Source: ETSI EN 319 132-1 §4.3, §4.4, §5.2, §5.3.
    """
    tags = _tags(_children(qualifying))
    if tags not in ([_SIGNED_PROPERTIES], [_SIGNED_PROPERTIES, _UNSIGNED_PROPERTIES]):
        raise Finding(Reason.STRUCTURE)
    element = qualifying[0]
    identity, whole = element.get("Id"), signature.get("Id")
    if not identity or own.target != f"#{identity}" or not whole or qualifying.get("Target") != f"#{whole}":
        raise Finding(Reason.REFERENCE)
    steps = {"x": XADES, "ds": DS}
    digests = []
    for version in ("SigningCertificateV2", "SigningCertificate"):
        for named in element.iterfind(f"x:SignedSignatureProperties/x:{version}/x:Cert/x:CertDigest", steps):
            algorithm, value = named.find("ds:DigestMethod", steps), named.find("ds:DigestValue", steps)
            known = None if algorithm is None else policy.digest(algorithm.get("Algorithm"))
            if known is None or value is None:
                raise Finding(Reason.ALGORITHM)
            digests.append((known[0], _decode(value)))
    stamps = "x:UnsignedProperties/x:UnsignedSignatureProperties/x:SignatureTimeStamp/x:EncapsulatedTimeStamp"
    tokens = list(qualifying.iterfind(stamps, steps))
    if len(tokens) > table.TOKENS_MAX or len(digests) > table.KEY_INFO_CERTIFICATES_MAX:
        raise Finding(Reason.STRUCTURE)
    return SignedProperties(
        element=element,
        reference=own,
        signing_time=_moment(element.findtext("x:SignedSignatureProperties/x:SigningTime", None, steps)),
        certificate_digests=tuple(digests),
        tokens=tuple(_decode(token, table.TOKEN_CHARACTERS_MAX) for token in tokens),
    )


def _moment(text: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else None


def read_reference(reference: etree._Element, policy: SignaturePolicy) -> Reference:
    """
    What one ``ds:Reference`` demands.

    Read twice: here from what was received, and by the engine from the canonical bytes
    whose signature has just verified; the two must say the same.

    :raises Finding: neither the whole document nor an XAdES signature's own properties, other transforms,
        or a digest that policy does not accept.
    """
    own = reference.get("Type") == SIGNED_PROPERTIES
    target = reference.get("URI", "?")
    if not _REFERENCE_ATTRIBUTES.issuperset(set(reference.attrib) - ({"Type"} if own else set())):
        raise Finding(Reason.REFERENCE)
    if target[:1] != "#" if own else target != "":
        raise Finding(Reason.REFERENCE)
    children = _children(reference)
    if own and _tags(children) == _REFERENCE_CHILDREN[1:]:
        children = [etree.Element(_TRANSFORMS), *children]  # No Transforms says the same as none in it.
    if _tags(children) != _REFERENCE_CHILDREN:
        raise Finding(Reason.STRUCTURE if _TRANSFORMS in _tags(children) else Reason.TRANSFORM)
    transforms, digest_method, value = children
    c14n, prefixes = _read_transforms(transforms, enveloped=not own)
    uri = digest_method.get("Algorithm", "")
    known = policy.digest(uri)
    if known is None:
        raise Finding(Reason.ALGORITHM)
    if len(digest_method):
        raise Finding(Reason.STRUCTURE)
    return Reference(c14n, prefixes, uri, known[0], _decode(value), target)


def read_canonicalization(method: etree._Element) -> tuple[C14N, tuple[str, ...]]:
    """The algorithm and inclusive prefixes of a CanonicalizationMethod or of such a Transform."""
    c14n = table.CANONICALIZATIONS.get(method.get("Algorithm", ""))
    if c14n is None:
        raise Finding(Reason.ALGORITHM)
    if not len(method):
        return c14n, ()
    inclusive = method[0]
    if len(method) > 1 or inclusive.tag != _INCLUSIVE_NAMESPACES or c14n is not C14N.EXCLUSIVE:
        raise Finding(Reason.TRANSFORM)
    listed = inclusive.get("PrefixList", "")
    prefixes = tuple(listed.split())
    if len(listed) > table.PREFIX_LIST_CHARACTERS_MAX or len(prefixes) > table.PREFIXES_MAX or len(inclusive):
        raise Finding(Reason.TRANSFORM)
    return c14n, prefixes


def is_placeholder(root: etree._Element) -> bool:
    """
    Whether the one signature is the kit's placeholder in the right namespace.

    That is: a transform that exists nowhere, together with a certificate that is none. Both,
    because either alone may be an attempt to have a forged signature pass for a harmless one.
    """
    signature = next(root.iter(_SIGNATURE), None)
    if signature is None:
        return False
    transforms = [t.get("Algorithm") for t in signature.iter(_TRANSFORM)]
    if table.KIT_TRANSFORM not in transforms:
        return False
    return not any(_is_der_sequence(c.text or "") for c in signature.iter(_CERTIFICATE))


def _the_one_signature(root: etree._Element) -> etree._Element:
    """
    The only signature, in the only header of the only envelope, beside the only MessageHeader.

    Anything named Signature counts, in whatever namespace, because some reader would take it for one.
    """
    every = list(root.iter(f"{{*}}{names.SIGNATURE}"))
    envelope = _only(root, names.ENVELOPE)
    header = _only(envelope, names.HEADER)
    _only(header, names.MESSAGE_HEADER)
    if len(every) != 1 or every[0].tag != _SIGNATURE or every[0].getparent() is not header:
        raise Finding(Reason.STRUCTURE)
    element = every[0]
    # Nothing of XML-DSig outside the signature: a Manifest or Object beside it would look signed.
    if len(list(root.iter(_ANYTHING))) != len(list(element.iter(_ANYTHING))):
        raise Finding(Reason.STRUCTURE)
    taken = ids(root)
    if len(taken) != len(set(taken)):
        raise Finding(Reason.STRUCTURE)
    return element


def ids(root: etree._Element) -> list[str]:
    """What every attribute named Id, ID or id says, in whatever namespace: some reader would take each for a name."""
    found = _IDS(root)
    assert isinstance(found, list), "an XPath for attributes gives a list"
    return [str(value) for value in found]


def _parts(
    element: etree._Element,
) -> tuple[etree._Element, etree._Element, etree._Element | None, etree._Element | None]:
    """SignedInfo, SignatureValue, KeyInfo and QualifyingProperties, where there are these; all else is refused."""
    children = _children(element)
    if not _SIGNATURE_ATTRIBUTES.issuperset(element.attrib):
        raise Finding(Reason.STRUCTURE)
    qualifying = None
    if len(children) > 2 and children[-1].tag == _OBJECT:
        holder = children.pop()
        inside = _children(holder)
        if _tags(inside) != [_QUALIFYING_PROPERTIES]:
            raise Finding(Reason.STRUCTURE)
        qualifying = inside[0]
    if _tags(children) not in (_SIGNATURE_CHILDREN_AND_KEY, _SIGNATURE_CHILDREN):
        raise Finding(Reason.STRUCTURE)
    signed_info, value, *key_info = children
    return signed_info, value, key_info[0] if key_info else None, qualifying


def _read_transforms(transforms: etree._Element, *, enveloped: bool) -> tuple[C14N, tuple[str, ...]]:
    children = _children(transforms)
    if any(tag != _TRANSFORM for tag in _tags(children)) or len(children) > 1 + enveloped:
        raise Finding(Reason.TRANSFORM)
    if enveloped:
        if not children or children[0].get("Algorithm") != table.ENVELOPED or len(children[0]):
            raise Finding(Reason.TRANSFORM)
        children = children[1:]
    if not children:
        return C14N.INCLUSIVE_10, ()  # What XML-DSig 1.1 §4.4.3.2 prescribes when none is named.
    if children[0].get("Algorithm") not in table.CANONICALIZATIONS:
        raise Finding(Reason.TRANSFORM)
    return read_canonicalization(children[0])


def _certificates(key_info: etree._Element | None) -> Iterator[bytes]:
    if key_info is None:
        return
    if not _KEY_INFO_CHILDREN.issuperset(_tags(_children(key_info))):
        raise Finding(Reason.STRUCTURE)
    for data in key_info.iterchildren(_X509_DATA):
        _children(data)
    named = list(key_info.iter(_CERTIFICATE))
    if len(named) > table.KEY_INFO_CERTIFICATES_MAX:
        raise Finding(Reason.STRUCTURE)
    for certificate in named:
        yield _decode(certificate, table.CERTIFICATE_CHARACTERS_MAX)


def _decode(element: etree._Element, longest: int = table.VALUE_CHARACTERS_MAX) -> bytes:
    """Strict base64 of an element without children; Python's own decoder would skip what it does not know."""
    text = "".join((element.text or "").split())
    if len(element) or len(text) > longest:
        raise Finding(Reason.STRUCTURE)
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError) as e:
        raise Finding(Reason.STRUCTURE) from e


def _is_der_sequence(text: str) -> bool:
    """Whether base64 text decodes to one complete DER SEQUENCE, as every certificate is."""
    try:
        der = binascii.a2b_base64("".join(text.split()).encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        return False
    if len(der) < 4 or der[0] != 0x30 or der[1] < 0x81:
        return False
    width = der[1] & 0x7F
    return int.from_bytes(der[2 : 2 + width], "big") + 2 + width == len(der)


def _children(element: etree._Element) -> list[etree._Element]:
    """The children of an element that holds nothing else, as in XML-DSig's schema."""
    children = list(element)
    for text in (element.text, *[child.tail for child in children]):
        if text and not text.isspace():
            raise Finding(Reason.STRUCTURE)
    return children


def _tags(elements: Sequence[etree._Element]) -> list[object]:
    return [element.tag for element in elements]


def _only(element: etree._Element, name: str) -> etree._Element:
    """The one child of this local name, in any letter case (variant V5) and any namespace."""
    wanted = name.lower()
    found = [c for c in element if str(c.tag).rpartition("}")[2].lower() == wanted]
    if len(found) != 1:
        raise Finding(Reason.STRUCTURE)
    return found[0]
