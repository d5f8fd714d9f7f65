"""
Canonical XML, event by event: the octets that libxml2 would give for the whole document, in bounded memory.

Inclusive (1.0 and 1.1 agree on whole documents) and exclusive with ``InclusiveNamespaces``; comments
are dropped. That the octets are libxml2's is a property test over random documents.

Source: W3C Canonical XML 1.0 §2, Exclusive XML Canonicalization 1.0 §3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.edxml import names
from gateway.edxml.package import C14N

_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_ATTRIBUTE = str.maketrans({"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"})

Scope = Mapping[str, str]
"""Prefix → namespace in force; ``""`` is the default, bound to ``""`` when there is none."""

NO_SCOPE: Scope = {"": "", "xml": names.XML}
Attributes = Sequence[tuple[str, str]]
"""Names as written and values, without namespace declarations."""


def escape_text(text: str) -> str:
    """Character data as both canonical forms write it."""
    return text.translate(_TEXT)


def escape_attribute(text: str) -> str:
    """An attribute's value as both canonical forms write it."""
    return text.translate(_ATTRIBUTE)


@dataclass(frozen=True)
class Recipe:
    """What is to be digested, and how."""

    c14n: C14N
    digest: str
    """Name for ``hashlib``."""
    prefixes: tuple[str, ...] = ()
    """``InclusiveNamespaces``; only for the exclusive form."""
    position: int = 0
    """Which ``ds:Signature`` of the header is left out; counted from 0."""


class EnvelopedDigest:
    """The digest of a document less one signature of its header, fed with the document's events."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._hash = hashlib.new(recipe.digest, usedforsecurity=False)
        self._exclusive = recipe.c14n is C14N.EXCLUSIVE
        self._inclusive = frozenset("" if p == "#default" else p for p in recipe.prefixes)
        self._rendered: list[Scope] = [{"": ""}]
        self._signatures = 0
        self._skipped = 0

    def start(self, name: str, attributes: Attributes, scope: Scope, *, is_signature: bool) -> None:
        """A start tag; ``is_signature`` for a ``ds:Signature`` that is a child of the header."""
        if is_signature:
            self._signatures += 1
        if self._skipped or (is_signature and self._signatures == self.recipe.position + 1):
            self._skipped += 1
            return
        rendered = self._rendered[-1]
        declared = self._declarations(name, attributes, scope, rendered)
        if declared:
            rendered = {**rendered, **dict(declared)}
        self._rendered.append(rendered)
        # libxml2 does not escape namespaces ("&" is the only character that would need it), so neither do we.
        spaces = "".join(f' xmlns:{p}="{uri}"' if p else f' xmlns="{uri}"' for p, uri in declared)
        values = "".join(f' {key}="{escape_attribute(value)}"' for key, value in _sorted(attributes, scope))
        self._hash.update(f"<{name}{spaces}{values}>".encode())

    def end(self, name: str) -> None:
        """An end tag."""
        if self._skipped:
            self._skipped -= 1
            return
        self._rendered.pop()
        self._hash.update(f"</{name}>".encode())

    def text(self, text: str) -> None:
        """Character data."""
        if not self._skipped:
            self._hash.update(text.translate(_TEXT).encode())

    def plain(self, data: bytes) -> None:
        """Character data that needs no escaping, encoded."""
        if not self._skipped:
            self._hash.update(data)

    def digest(self) -> bytes:
        """After the last event."""
        return self._hash.digest()

    def _declarations(self, name: str, attributes: Attributes, scope: Scope, rendered: Scope) -> list[tuple[str, str]]:
        """The namespace declarations that this start tag shows, in canonical order."""
        if self._exclusive:
            used = {name.rpartition(":")[0], *(key.rpartition(":")[0] for key, _ in attributes if ":" in key)}
            shown = used | {p for p in self._inclusive if p in scope}
        else:
            shown = set(scope)
        return sorted((p, scope[p]) for p in shown if p != "xml" and rendered.get(p) != scope[p])


def _sorted(attributes: Attributes, scope: Scope) -> Attributes:
    """By namespace, then local name; those in no namespace first. UTF-8 and code points sort alike."""
    if len(attributes) < 2:
        return attributes

    def key(attribute: tuple[str, str]) -> tuple[str, str]:
        prefix, _, local = attribute[0].rpartition(":")
        return (scope[prefix] if prefix else "", local)

    return sorted(attributes, key=key)
