"""What is looked for in the tree of a package before anything is read: its root, its signatures, its contents."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from gateway.edxml import names
from gateway.errors import MalformedPackage, UnknownPackage, UnsupportedVariant

DS_SIGNATURE = f"{{{names.DSIG}}}{names.SIGNATURE}"
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
    name = etree.QName(root)
    refuse_root(name.namespace, name.localname)


def refuse_root(namespace: str | None, local: str) -> None:
    """The same from the name alone, for the streaming reader, which has no tree yet."""
    if namespace in _OLD_FORMS:
        raise UnsupportedVariant(f"The package is of an old form that is not accepted: {_OLD_FORMS[namespace]}.")
    if namespace not in (names.QCVN, None) or local.lower() != names.ROOT.lower():
        raise UnknownPackage("The root element is not edXML in the namespace of QCVN 102.")


def header_signatures(root: etree._Element) -> list[etree._Element]:
    """Every ``ds:Signature`` that is a child of the header, in document order."""
    own = own_namespaces(etree.QName(root).namespace)
    return [
        child
        for envelope in children(root, names.ENVELOPE, own)
        for header in children(envelope, names.HEADER, own)
        for child in header
        if child.tag == DS_SIGNATURE
    ]


def encoded_contents(root: etree._Element) -> list[etree._Element]:
    """Every element that holds an encoded content, in document order: the ones that the streaming reader empties."""
    own = own_namespaces(etree.QName(root).namespace)
    return [
        content
        for encoded in children(root, names.ENCODED, own)
        for attachment in children(encoded, names.ATTACHMENT, own)
        for content in children(attachment, names.CONTENT, own)
    ]


def own_namespaces(of_root: str | None) -> frozenset[str | None]:
    """The namespaces that elements of a package may be in: none at all only when the root is in none."""
    return frozenset({names.QCVN} if of_root else {names.QCVN, None})


def children(element: etree._Element, name: str, own: frozenset[str | None]) -> Iterator[etree._Element]:
    """Children of the package's own namespaces by name, letter case forgiven."""
    for child in element:
        found = etree.QName(child)
        if found.localname.lower() == name.lower() and found.namespace in own:
            yield child


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
