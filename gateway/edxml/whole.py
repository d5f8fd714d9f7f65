"""Small packages: skeleton and digests from the one tree that is in memory."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence

from lxml import etree

from gateway.edxml import names
from gateway.edxml.canonical import Recipe, escape_text
from gateway.edxml.limits import Limits
from gateway.edxml.package import C14N
from gateway.edxml.stream import digest_of
from gateway.edxml.tree import encoded_contents, header_signatures, split_name, take_out
from gateway.errors import MalformedPackage


class WholeTree:
    """
    Skeleton and digests of a package that is in memory as one tree.

    The texts of its encoded contents are taken out of the tree and held beside it: what is decoded, and
    what is digested between the octets of the rest. Canonicalising them would cost libxml2 as much as
    all the rest of the tree does, and none of them needs it.
    """

    def __init__(self, root: etree._Element, limits: Limits) -> None:
        self.signatures = header_signatures(root)
        self._root = root
        self._limits = limits
        self._texts = {element: element.text or "" for element in encoded_contents(root)}
        for element in self._texts:
            element.text = None

    def text(self, element: etree._Element) -> str:
        """The text of an encoded content, up to its first child, which it should not have."""
        return self._texts[element]

    def skeleton(self) -> bytes:
        """The tree, written down."""
        return etree.tostring(self._root, encoding="utf-8", xml_declaration=False)

    def digest(self, c14n: C14N, digest: str, inclusive_prefixes: Sequence[str], position: int) -> bytes:
        """The digest of the document less one signature."""
        if "#default" in inclusive_prefixes:
            # lxml looks prefixes up among the names that it has met, and so ignores this one.
            written = etree.tostring(self._copy(), encoding="utf-8", xml_declaration=False)
            return digest_of(written, Recipe(c14n, digest, tuple(inclusive_prefixes), position), self._limits)
        return self.by_libxml2(Recipe(c14n, digest, tuple(inclusive_prefixes), position))

    def by_libxml2(self, recipe: Recipe) -> bytes:
        """
        Canonicalise the tree as it is, and digest the octets around those of the signature, contents put in.

        No element is canonicalised otherwise for what stands beside or in it, so leaving the signature out of
        the octets is the same as taking it out of the tree, and neither copies nor changes the tree.
        """
        pieces = self._pieces(recipe)
        if pieces is None:
            root = self._copy()
            signatures = header_signatures(root)
            if recipe.position < len(signatures):
                take_out(signatures[recipe.position])
            pieces = [_canonical(root, recipe)]
        digest = hashlib.new(recipe.digest, usedforsecurity=False)
        for piece in pieces:
            digest.update(piece)
        return digest.digest()

    def _pieces(self, recipe: Recipe) -> list[bytes] | None:
        """
        The canonical form in pieces; ``None`` when they are not to be told apart.

        That is when other elements are called as the signature or a content is, or contents hold elements.
        """
        if any(map(len, self._texts)):
            return None
        canonical = _canonical(self._root, recipe)
        if recipe.position < len(self.signatures):
            if len(list(self._root.iter(f"{{*}}{names.SIGNATURE}"))) != 1:
                return None
            place = _only_place(canonical, self.signatures[recipe.position])
            canonical = canonical[: place.start] + canonical[place.stop :]
        if not self._texts:
            return [canonical]
        # Every element has one end tag: as many of this name as there are contents means that they are the contents'.
        end_tag = _end_tag(next(iter(self._texts)))
        first, *others = canonical.split(end_tag)
        if len(others) != len(self._texts) or any(_end_tag(element) != end_tag for element in self._texts):
            return None
        pieces = [first]
        for text, after in zip(self._texts.values(), others, strict=True):
            pieces += (_escaped(text).encode(), end_tag, after)
        return pieces

    def _copy(self) -> etree._Element:
        """The tree again, with the contents in it."""
        root = copy.deepcopy(self._root)
        for element, text in zip(encoded_contents(root), self._texts.values(), strict=True):
            element.text = text or None
        return root


def _escaped(text: str) -> str:
    # Base64 holds nothing to escape, and looking is ten times as fast as translating.
    return escape_text(text) if any(c in text for c in "&<>\r") else text


def _end_tag(element: etree._Element) -> bytes:
    local = split_name(element)[1]
    return f"</{element.prefix}:{local}>".encode() if element.prefix else f"</{local}>".encode()


def _canonical(root: etree._Element, recipe: Recipe) -> bytes:
    exclusive = recipe.c14n is C14N.EXCLUSIVE
    prefixes = list(recipe.prefixes) if exclusive and recipe.prefixes else None
    try:
        canonical: bytes = etree.tostring(
            root, method="c14n", exclusive=exclusive, with_comments=False, inclusive_ns_prefixes=prefixes
        )
    except etree.C14NError as e:
        raise MalformedPackage("The package has no canonical form: a namespace is not an absolute URI.") from e
    return canonical


def _only_place(canonical: bytes, element: etree._Element) -> slice:
    """
    Where in the canonical form of its document an element stands, of which no other has the local name.

    In canonical XML ``<`` begins a tag and is nothing else, and every element has an end tag. So one
    element of this name means one end tag of this name.
    """
    end_tag = _end_tag(element)
    name = end_tag[2:-1]
    end = canonical.index(end_tag) + len(end_tag)
    # Of its start tag one form is there: with declarations, or without when its ancestors have made them.
    return slice(max(canonical.find(b"<%b " % name, 0, end), canonical.find(b"<%b>" % name, 0, end)), end)
