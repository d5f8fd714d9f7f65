"""What is looked for in the tree of a package before anything is read: its root, its signatures, its contents."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence

from lxml import etree

from gateway.edxml import names
from gateway.edxml.package import C14N
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
    return [
        child
        for envelope in children(root, names.ENVELOPE)
        for header in children(envelope, names.HEADER)
        for child in header
        if child.tag == DS_SIGNATURE
    ]


def encoded_contents(root: etree._Element) -> list[etree._Element]:
    """Every element that holds an encoded content, in document order: the ones that the streaming reader empties."""
    return [
        content
        for encoded in children(root, names.ENCODED)
        for attachment in children(encoded, names.ATTACHMENT)
        for content in children(attachment, names.CONTENT)
    ]


def children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """Children of the package's namespace by name, letter case forgiven."""
    for child in element:
        found = etree.QName(child)
        if found.localname.lower() == name.lower() and found.namespace in (names.QCVN, None):
            yield child


class WholeTree:
    """Skeleton and digests of a package that is in memory as one tree."""

    def __init__(self, root: etree._Element) -> None:
        self._root = root
        self._skeleton: bytes | None = None

    def skeleton(self) -> bytes:
        """Empty the attachments, write, and put their text back."""
        if self._skeleton is None:
            contents = [(e, e.text) for e in encoded_contents(self._root)]
            for element, _ in contents:
                element.text = None
            self._skeleton = etree.tostring(self._root, encoding="utf-8", xml_declaration=False)
            for element, text in contents:
                element.text = text
        return self._skeleton

    def digest(self, c14n: C14N, digest: str, inclusive_prefixes: Sequence[str], position: int) -> bytes:
        """Canonicalise a copy of the tree without its signature; small packages only, so the copy is cheap."""
        root = copy.deepcopy(self._root)
        signatures = header_signatures(root)
        if signatures:
            _remove(signatures[position])
        exclusive = c14n is C14N.EXCLUSIVE
        prefixes = list(inclusive_prefixes) if exclusive and inclusive_prefixes else None
        try:
            canonical = etree.tostring(
                root, method="c14n", exclusive=exclusive, with_comments=False, inclusive_ns_prefixes=prefixes
            )
        except etree.C14NError as e:
            raise MalformedPackage("The package has no canonical form: a namespace is not an absolute URI.") from e
        return hashlib.new(digest, canonical, usedforsecurity=False).digest()


def _remove(element: etree._Element) -> None:
    """Take an element out and leave the text behind it where it was."""
    parent, before = element.getparent(), element.getprevious()
    if parent is None:
        raise MalformedPackage
    if before is not None:
        before.tail = (before.tail or "") + (element.tail or "")
    else:
        parent.text = (parent.text or "") + (element.tail or "")
    parent.remove(element)
