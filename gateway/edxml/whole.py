"""Small packages: skeleton and digests from the one tree that is in memory."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence

from lxml import etree

from gateway.edxml.canonical import Recipe
from gateway.edxml.limits import Limits
from gateway.edxml.package import C14N
from gateway.edxml.stream import digest_of
from gateway.edxml.tree import encoded_contents, header_signatures, take_out
from gateway.errors import MalformedPackage


class WholeTree:
    """Skeleton and digests of a package that is in memory as one tree."""

    def __init__(self, root: etree._Element, limits: Limits) -> None:
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
        """Canonicalise a copy of the tree without its signature; small packages only, so the copy is cheap."""
        root = copy.deepcopy(self._root)
        signatures = header_signatures(root)
        if recipe.position < len(signatures):
            take_out(signatures[recipe.position])
        exclusive = recipe.c14n is C14N.EXCLUSIVE
        prefixes = list(recipe.prefixes) if exclusive and recipe.prefixes else None
        try:
            canonical = etree.tostring(
                root, method="c14n", exclusive=exclusive, with_comments=False, inclusive_ns_prefixes=prefixes
            )
        except etree.C14NError as e:
            raise MalformedPackage("The package has no canonical form: a namespace is not an absolute URI.") from e
        return hashlib.new(recipe.digest, canonical, usedforsecurity=False).digest()
