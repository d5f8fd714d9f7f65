"""Small packages: skeleton and digests from the one tree that is in memory."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence

from lxml import etree

from gateway.edxml import names
from gateway.edxml.canonical import Recipe
from gateway.edxml.limits import Limits
from gateway.edxml.package import C14N
from gateway.edxml.stream import digest_of
from gateway.edxml.tree import encoded_contents, header_signatures, take_out
from gateway.errors import MalformedPackage


class WholeTree:
    """Skeleton and digests of a package that is in memory as one tree."""

    def __init__(self, root: etree._Element, limits: Limits) -> None:
        self.signatures = header_signatures(root)
        self._root = root
        self._limits = limits
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
        """The digest of the document less one signature."""
        if "#default" in inclusive_prefixes:
            # lxml looks prefixes up among the names that it has met, and so ignores this one.
            written = etree.tostring(self._root, encoding="utf-8", xml_declaration=False)
            return digest_of(written, Recipe(c14n, digest, tuple(inclusive_prefixes), position), self._limits)
        return self.by_libxml2(Recipe(c14n, digest, tuple(inclusive_prefixes), position))

    def by_libxml2(self, recipe: Recipe) -> bytes:
        """
        Canonicalise the tree as it is, and digest the octets around those of the signature.

        No element is canonicalised otherwise for what stands beside it, so leaving the signature out of
        the octets is the same as taking it out of the tree, and neither copies nor changes the tree.
        """
        canonical = _canonical(self._root, recipe)
        if recipe.position >= len(self.signatures):
            return hashlib.new(recipe.digest, canonical, usedforsecurity=False).digest()
        place = _only_place(canonical, self.signatures[recipe.position])
        if place is None:
            return self._by_copy(recipe)
        digest = hashlib.new(recipe.digest, usedforsecurity=False)
        digest.update(canonical[: place.start])
        digest.update(canonical[place.stop :])
        return digest.digest()

    def _by_copy(self, recipe: Recipe) -> bytes:
        """The same from a copy of the tree that the signature was taken out of."""
        root = copy.deepcopy(self._root)
        take_out(header_signatures(root)[recipe.position])
        return hashlib.new(recipe.digest, _canonical(root, recipe), usedforsecurity=False).digest()


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


def _only_place(canonical: bytes, element: etree._Element) -> slice | None:
    """
    Where in the canonical form of its document an element stands; ``None`` when others are called the same.

    In canonical XML ``<`` begins a tag and is nothing else, and every element has an end tag. So one
    end tag of this name means one element of this name.
    """
    name = (f"{element.prefix}:{names.SIGNATURE}" if element.prefix else names.SIGNATURE).encode()
    if canonical.count(b"</%b>" % name) != 1:
        return None
    end = canonical.index(b"</%b>" % name) + len(b"</%b>" % name)
    # Of its start tag one form is there: with declarations, or without when its ancestors have made them.
    return slice(max(canonical.find(b"<%b " % name, 0, end), canonical.find(b"<%b>" % name, 0, end)), end)
