"""
The one way in which bytes become a tree: bounded by expat first, then parsed by a hardened lxml.

There is one parser and no second opinion: what is read, digested and checked against the schema
is the same tree (design D8). Everything refused here is refused before lxml sees a byte, except
in packages so plain that nothing but their depth could be refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import NoReturn
from xml.parsers import expat

from lxml import etree

from gateway.edxml import names
from gateway.edxml.limits import Limits
from gateway.errors import EmptyPackage, ForbiddenMarkup, MalformedPackage, PackageLimitExceeded

CHUNK = 256 * 1024
"""Bytes fed to expat at once: expat 2.5 reads an unfinished token again with every chunk."""
_HEAD = 4096
_LONGEST_JUNK = 1024
_UTF8_NAMES = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_UTF16_NAMES = frozenset({"utf-16", "utf16", "ucs-2", "iso-10646-ucs-2"})
_SHORTEST_ATTRIBUTE = len(' a=""')
_LONGEST_PLAIN_TAG = 256
_USUAL_DEPTH = 12
_DECLARATION = re.compile(rb'(?:<\?xml version="1\.0" encoding="(?:UTF|utf)-8"(?: standalone="(?:yes|no)")?\?>)?')
_PLAIN_TAG = re.compile(rb'(<[\x00- "-;=@-\x7f]{1,%d}+>)' % _LONGEST_PLAIN_TAG)
"""Of ASCII less ``! < > ?``."""
_UNDEFINED_ENTITY = 11  # XML_ERROR_UNDEFINED_ENTITY


@dataclass(frozen=True, kw_only=True)
class Prolog:
    """Where the XML begins in the bytes received, and how it is encoded."""

    encoding: str
    """``utf-8``, ``utf-16-le`` or ``utf-16-be``."""
    skip: int
    """Bytes before the XML: byte order mark, blanks, junk."""
    junk: bool
    """True when something else than a byte order mark and blanks stood there."""

    @property
    def expat_encoding(self) -> str:
        """The name under which expat knows the encoding; given to it, the declared one is ignored."""
        return {"utf-8": "UTF-8", "utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE"}[self.encoding]


def read_prolog(head: bytes) -> Prolog:
    """
    Find the beginning of the XML and its encoding from the first bytes.

    :param head: the first bytes of the package, 4 KB or all of it.
    :raises EmptyPackage: there are none.
    :raises MalformedPackage: no markup near the beginning, or UTF-32.

    Source: domain §1.1 (``1212`` before the prolog of an official sample), §1.11.
    """
    if not head:
        raise EmptyPackage
    if head.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        raise MalformedPackage("The package is in UTF-32; only UTF-8 and UTF-16 are accepted.")
    if head.startswith((b"\xff\xfe", b"<\x00")):
        return Prolog(encoding="utf-16-le", skip=2 * head.startswith(b"\xff\xfe"), junk=False)
    if head.startswith((b"\xfe\xff", b"\x00<")):
        return Prolog(encoding="utf-16-be", skip=2 * head.startswith(b"\xfe\xff"), junk=False)
    start = head.find(b"<", 0, _LONGEST_JUNK + 1)
    if start < 0:
        raise MalformedPackage("There is no XML at the beginning of the package.")
    before = head[:start].replace(b"\xef\xbb\xbf", b"").strip()
    return Prolog(encoding="utf-8", skip=start, junk=bool(before))


def refuse_declaration(prolog: Prolog, declared: str | None) -> None:
    """
    Refuse an XML declaration that contradicts the bytes.

    Readers differ in whom they believe, so such a package could mean two things.

    :raises MalformedPackage: the declared encoding is not the one of the bytes, or not accepted at all.
    """
    if declared is None:
        return
    known = _UTF8_NAMES if prolog.encoding == "utf-8" else _UTF16_NAMES | {prolog.encoding, prolog.encoding[:6] + "le"}
    if declared.lower() not in known:
        raise MalformedPackage("The declared encoding is not UTF-8 or UTF-16, or is not that of the bytes.")


class Guard:
    """
    Bounds and prohibitions, checked event by event while expat reads.

    Shared by the pre-scan of small packages and the streaming reader of large ones.
    """

    def __init__(self, limits: Limits, prolog: Prolog) -> None:
        self.limits = limits
        self.prolog = prolog
        self.depth = 0
        self.elements = 0
        self.comments = False
        self.expat = parser = expat.ParserCreate(prolog.expat_encoding)
        parser.ordered_attributes = True
        parser.specified_attributes = True
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity
        parser.ProcessingInstructionHandler = self._instruction
        parser.CommentHandler = self._comment
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        self._fed = 0

    def feed(self, chunks: Iterable[bytes]) -> None:
        """
        Read all chunks (each at most ``CHUNK`` bytes) to the end.

        :raises MalformedPackage: it is not well-formed.
        :raises ForbiddenMarkup: DOCTYPE, entities, processing instructions.
        :raises PackageLimitExceeded: a bound of the limit table.
        """
        parser = self.expat
        try:
            for chunk in chunks:
                self._fed += len(chunk)
                parser.Parse(chunk, False)
                if self._fed - parser.CurrentByteIndex > self.limits.tag_bytes + CHUNK:
                    raise PackageLimitExceeded(limit="tag_bytes", allowed=self.limits.tag_bytes)
            parser.Parse(b"", True)
            # The parser holds our methods and we hold the parser: let go, or it lives until garbage is collected.
            del self.expat
        except expat.ExpatError as e:
            raise translated(e) from e

    def start(self, name: str, attributes: list[str]) -> None:
        """One more element."""
        limits = self.limits
        self.depth += 1
        self.elements += 1
        if self.depth > limits.depth:
            raise PackageLimitExceeded(limit="depth", allowed=limits.depth)
        if self.elements > limits.elements:
            raise PackageLimitExceeded(limit="elements", allowed=limits.elements)
        if len(name) > limits.name_bytes:
            raise PackageLimitExceeded(limit="name_bytes", allowed=limits.name_bytes)
        if attributes:
            self._bound(attributes)

    def end(self, name: str) -> None:  # noqa: ARG002 - expat calls it with the name
        """One element less."""
        self.depth -= 1

    def _bound(self, attributes: list[str]) -> None:
        limits = self.limits
        if len(attributes) > 2 * limits.attributes_per_element:
            raise PackageLimitExceeded(limit="attributes_per_element", allowed=limits.attributes_per_element)
        if max(map(len, attributes[::2])) > limits.name_bytes:
            raise PackageLimitExceeded(limit="name_bytes", allowed=limits.name_bytes)
        if sum(map(len, attributes)) > limits.tag_bytes:
            raise PackageLimitExceeded(limit="tag_bytes", allowed=limits.tag_bytes)

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:  # noqa: ARG002 - expat's shape
        refuse_declaration(self.prolog, encoding)

    def _doctype(self, *_: object) -> NoReturn:
        raise ForbiddenMarkup("The package holds a DOCTYPE.")

    def _entity(self, *_: object) -> NoReturn:
        raise ForbiddenMarkup("The package declares an entity.")

    def _instruction(self, *_: object) -> NoReturn:
        raise ForbiddenMarkup("The package holds a processing instruction.")

    def _comment(self, text: str) -> None:
        if len(text) > self.limits.tag_bytes:
            raise PackageLimitExceeded(limit="tag_bytes", allowed=self.limits.tag_bytes)
        self.comments = True


def plain_tags(utf8: bytes, limits: Limits) -> bytes | None:
    """
    All tags, when a glance at the bytes shows that the guard would find nothing, save perhaps too much depth.

    Only when all of it is short tags of ASCII with text between them, as in nearly every package:
    no declarations, comments, CDATA, processing instructions or references, each ``<`` opening and each
    ``>`` closing one tag, and no tag long enough for more attributes or a longer name than is allowed.
    It takes a tenth of the time that expat's events take.

    :return: the tags one after the other, brackets included; ``None`` when the guard is to look.
    """
    fitting = min(limits.name_bytes, limits.tag_bytes, limits.attributes_per_element * _SHORTEST_ATTRIBUTE)
    declaration = _DECLARATION.match(utf8)
    if fitting < _LONGEST_PLAIN_TAG or declaration is None or b"&" in utf8:
        return None
    parts = _PLAIN_TAG.split(utf8[declaration.end() :])
    text, tags = b"".join(parts[::2]), parts[1::2]
    if not tags or len(tags) > limits.elements or b"<" in text or b">" in text:
        return None
    return b"".join(tags)


def parse_plain(utf8: bytes, limits: Limits) -> Tree | None:
    """The tree of a plain package; ``None`` when something is wrong with it, which the guard is then to name."""
    try:
        root = etree.fromstring(utf8, hardened_parser())
    except etree.XMLSyntaxError:
        return None
    # Each level asked about costs, and nearly all packages have few.
    if _deeper_than(min(_USUAL_DEPTH, limits.depth))(root) and _deeper_than(limits.depth)(root):
        return None
    return Tree(root=root, namespace_well_formed=True)


@cache
def _deeper_than(depth: int) -> etree.XPath:
    return etree.XPath(f"boolean({'/*' * (depth + 1)})")


def translated(error: expat.ExpatError) -> MalformedPackage | ForbiddenMarkup:
    """Our name for what expat complains about; its message holds no text of the package."""
    if error.code == _UNDEFINED_ENTITY:
        return ForbiddenMarkup("The package refers to an entity that XML does not define.")
    return MalformedPackage(f"The package is not well-formed XML: {error}.")


def pieces(data: bytes) -> Iterable[bytes]:
    """A byte string in chunks of the size that expat is fed."""
    view = memoryview(data)
    return (bytes(view[i : i + CHUNK]) for i in range(0, len(data), CHUNK))


def hardened_parser(*, huge: bool = False) -> etree.XMLParser:
    """
    A new lxml parser with everything switched off that reaches outside or grows.

    Comments are dropped while parsing, as canonicalisation drops them: otherwise the text before
    a comment would be read and the text around it digested (spec/security.md §2.5).

    :param huge: texts may exceed 10 MB; only for what this program has written itself.
    """
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=huge,
        recover=False,
        remove_comments=True,
        remove_pis=False,
        remove_blank_text=False,
        strip_cdata=True,
        collect_ids=False,
    )


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A parsed package."""

    root: etree._Element
    namespace_well_formed: bool
    """False when prefixes were undeclared; they were then bound so that local names decide."""


def parse(utf8: bytes) -> Tree:
    """
    Parse bytes that have passed the guard.

    Undeclared prefixes are bound on the root, ``edXML`` to the standard's namespace and others to
    one of their own, because the official sample ``edoc.edxml`` has them and the kit's parser knows
    no namespaces (domain §1.1). Such a tree is never canonicalised: it has no canonical form.

    :param utf8: UTF-8 without anything before the XML.
    :raises MalformedPackage: lxml refuses what expat took for well-formed.
    """
    try:
        return Tree(root=etree.fromstring(utf8, hardened_parser()), namespace_well_formed=True)
    except etree.XMLSyntaxError as e:
        unbound = _unbound_prefixes(utf8)
        if not unbound:
            raise MalformedPackage(f"The package is not well-formed XML: {e.msg}.") from e
    try:
        return Tree(root=etree.fromstring(_bind(utf8, unbound), hardened_parser()), namespace_well_formed=False)
    except etree.XMLSyntaxError as e:
        raise MalformedPackage(f"The package is not well-formed XML: {e.msg}.") from e


def refuse_xinclude(root: etree._Element) -> None:
    """
    Refuse XInclude anywhere; nothing here would follow it, but something behind us might.

    :raises ForbiddenMarkup: there is one.
    """
    if next(root.iter(f"{{{names.XINCLUDE}}}*"), None) is not None:
        raise ForbiddenMarkup("The package holds an XInclude.")


def _unbound_prefixes(utf8: bytes) -> list[str]:
    """The prefixes that are used where they are not declared; asked of expat, lxml's log tells only of some."""
    scopes: list[frozenset[str]] = [frozenset({"", "xml"})]
    found: dict[str, None] = {}

    def start(name: str, attributes: list[str]) -> None:
        keys = attributes[::2]
        scope = scopes[-1] | {key[6:] for key in keys if key.startswith("xmlns:")}
        scopes.append(scope)
        used = [name, *(key for key in keys if key != "xmlns" and not key.startswith("xmlns:"))]
        found.update(dict.fromkeys(p for key in used if (p := key.rpartition(":")[0]) not in scope))

    parser = expat.ParserCreate("UTF-8")
    parser.ordered_attributes = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: scopes.pop()
    for chunk in pieces(utf8):
        parser.Parse(chunk, False)
    return list(found)


def _bind(utf8: bytes, prefixes: list[str]) -> bytes:
    """The same bytes with the prefixes declared on the root element."""
    start = re.search(rb"<(?![?!])[^\s/>]+", _without_comments(utf8))
    if start is None:
        raise MalformedPackage
    added = "".join(
        f' xmlns:{p}="{names.QCVN if p == names.PREFIX else "urn:undeclared:" + p}"' for p in prefixes
    ).encode()
    return utf8[: start.end()] + added + utf8[start.end() :]


def _without_comments(utf8: bytes) -> bytes:
    """The same length, comments blanked, so that the first tag can be found by its bracket."""
    return re.sub(rb"<!--.*?-->", lambda m: b" " * len(m[0]), utf8, flags=re.DOTALL)
