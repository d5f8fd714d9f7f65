"""What is looked for in the tree of a package before anything is read: its root, its signatures, its contents."""

from __future__ import annotations

from lxml import etree

from gateway.edxml import names
from gateway.errors import MalformedPackage, UnknownPackage, UnsupportedVariant

DS_SIGNATURE = f"{{{names.DSIG}}}{names.SIGNATURE}"
_OWN = frozenset({names.QCVN})
_OWN_OR_NONE = frozenset({names.QCVN, ""})
_OLD_FORMS = {
    names.SOAP: "V3, the Bkav e-doc in a SOAP envelope",
    names.BKAV: "V3, the Bkav e-doc",
    names.GO_VN: "V4, the flat go.vn form",
}


def recognise_root(root: etree._Element) -> None:
    """
    Tell edXML from other XML by the root element.

    :raises UnsupportedVariant: V3 or V4 (domain §1.11).
    :raises UnknownPackage: anything else.
    """
    namespace, local = split_name(root)
    refuse_root(namespace or None, local)


def refuse_root(namespace: str | None, local: str) -> None:
    """The same from the name alone, for the streaming reader, which has no tree yet."""
    if namespace in _OLD_FORMS:
        raise UnsupportedVariant(f"The package is of an old form that is not accepted: {_OLD_FORMS[namespace]}.")
    if namespace not in (names.QCVN, None) or local.lower() != names.ROOT.lower():
        raise UnknownPackage("The root element is not edXML in the namespace of QCVN 102.")


def header_signatures(root: etree._Element) -> list[etree._Element]:
    """Every ``ds:Signature`` that is a child of the header, in document order."""
    return [signature for header in headers(root) for signature in header.iterchildren(DS_SIGNATURE)]


def headers(root: etree._Element) -> list[etree._Element]:
    """Every header; a package that can be read has one."""
    own = own_namespaces(split_name(root)[0])
    return [h for envelope in children(root, names.ENVELOPE, own) for h in children(envelope, names.HEADER, own)]


def encoded_contents(root: etree._Element) -> list[etree._Element]:
    """Every element that holds an encoded content, in document order: the ones that the streaming reader empties."""
    own = own_namespaces(split_name(root)[0])
    return [
        content
        for encoded in children(root, names.ENCODED, own)
        for attachment in children(encoded, names.ATTACHMENT, own)
        for content in children(attachment, names.CONTENT, own)
    ]


def own_namespaces(of_root: str) -> frozenset[str]:
    """The namespaces that elements of a package may be in: none at all (``""``) only when the root is in none."""
    return _OWN if of_root else _OWN_OR_NONE


def children(element: etree._Element, name: str, own: frozenset[str]) -> list[etree._Element]:
    """Children of the package's own namespaces by name, letter case forgiven."""
    wanted, length = name.lower(), len(name)
    alike = [child for child in element if child.tag[-length:].lower() == wanted]
    return [child for child in alike if len(split_name(child)[1]) == length and split_name(child)[0] in own]


def split_name(element: etree._Element) -> tuple[str, str]:
    """Namespace (``""`` for none) and local name; ``etree.QName`` does the same at five times the cost."""
    namespace, _, local = str(element.tag).rpartition("}")
    return namespace[1:], local


def take_out(element: etree._Element) -> None:
    """Take an element out and leave the text behind it where it was."""
    parent, before = element.getparent(), element.getprevious()
    if parent is None:
        raise MalformedPackage
    if before is not None:
        before.tail = (before.tail or "") + (element.tail or "")
    else:
        parent.text = (parent.text or "") + (element.tail or "")
    parent.remove(element)
