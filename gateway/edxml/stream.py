"""
Large packages in bounded memory: one expat pass that splits, decodes, hashes and digests (design D8).

The header stands before the attachments, so the events of the header are kept until its
``SignedInfo`` has named the algorithms, and the digest is then made in the same pass. When they
are not known in time, or another digest is asked for, the source is read a second time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lxml import etree

from gateway.edxml import names
from gateway.edxml.canonical import (
    NO_SCOPE,
    Attributes,
    EnvelopedDigest,
    Recipe,
    Scope,
    escape_attribute,
    escape_text,
)
from gateway.edxml.content import Base64Sink, Decoded, Sink, Spool
from gateway.edxml.limits import Limits
from gateway.edxml.package import C14N
from gateway.edxml.parser import CHUNK, Guard, Prolog, Tree, parse, pieces, read_prolog
from gateway.edxml.tree import encoded_contents, own_namespaces, refuse_root
from gateway.errors import ForbiddenMarkup, MalformedPackage, PackageLimitExceeded

_HEAD = 4096
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_DIGESTS = {
    "http://www.w3.org/2000/09/xmldsig#sha1": "sha1",
    "http://www.w3.org/2001/04/xmldsig-more#sha224": "sha224",
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
_CONTENT_PATH = [n.lower() for n in (names.ROOT, names.ENCODED, names.ATTACHMENT, names.CONTENT)]
_CONTENT_NAME = names.CONTENT.encode()
_HEADER_PATH = [n.lower() for n in (names.ROOT, names.ENVELOPE, names.HEADER)]
_NO_FORM = "The package has no canonical form: a namespace is not an absolute URI."
_UNBOUND = "urn:undeclared"
_DEEPEST = 4
"""Levels of which the names matter."""


class Source:
    """The bytes of a package, from the beginning, as often as needed; hashed the first time."""

    def __init__(self, held: bytes | Path) -> None:
        self._held = held
        self.prolog: Prolog = read_prolog(self._head())
        self.sha256 = ""
        self.size = 0

    def chunks(self) -> Iterator[bytes]:
        """The XML in pieces of at most ``CHUNK`` bytes, without what stands before it."""
        digest = hashlib.sha256()
        size, skip = 0, self.prolog.skip
        for chunk in self._pieces():
            digest.update(chunk)
            size += len(chunk)
            yield chunk[skip:] if skip else chunk
            skip = 0
        if self.size and (self.size, self.sha256) != (size, digest.hexdigest()):
            raise MalformedPackage("The package changed while it was read.")
        self.size, self.sha256 = size, digest.hexdigest()

    def _pieces(self) -> Iterator[bytes]:
        if isinstance(self._held, bytes):
            yield from pieces(self._held)
            return
        with self._held.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def _head(self) -> bytes:
        if isinstance(self._held, bytes):
            return self._held[:_HEAD]
        with self._held.open("rb") as file:
            return file.read(_HEAD)


class _Opened(NamedTuple):
    """A start tag and where it stands."""

    name: str
    """As written."""
    written: list[str]
    """Names and values in turn, declarations included."""
    attributes: Attributes
    scope: Scope
    uri: str
    local: str
    is_signature: bool
    """True for a ``ds:Signature`` that is a child of the header."""


class _Closed(NamedTuple):
    """An end tag."""

    name: str


class _Walk(Guard):
    """Knows at each event where it is: scope of namespaces, and names of the outer levels."""

    def __init__(self, limits: Limits, prolog: Prolog) -> None:
        super().__init__(limits, prolog)
        self.relative_namespace = False
        self._scopes: list[Scope] = [NO_SCOPE]
        self._path: list[str] = []
        self._own: frozenset[str] = frozenset()
        self._content_at = -1
        """Where the tag of the encoded content that was entered last begins; -1 after anything else."""
        parser = self.expat
        parser.buffer_text = True
        parser.buffer_size = CHUNK
        parser.CharacterDataHandler = self.text

    def feed(self, chunks: Iterable[bytes]) -> None:
        """As ``Guard.feed``; contents of attachments go around expat where they need nothing of it."""
        super().feed(self._around(chunks) if self.prolog.encoding == "utf-8" else chunks)

    def divert(self, text: bytes) -> bool:
        """Take text of an encoded content as it stands, without ``&`` or CR in it; ``False``: let expat read it."""
        raise NotImplementedError

    def _around(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """
        The chunks, less the text of encoded contents.

        expat needs 4 ms to pass on a megabyte of base64 that it has nothing to say about. Text is taken
        from behind a start tag to the next ``<`` only when expat itself has just reported that very tag,
        so that comments, attributes and other places where the name may occur are never mistaken for it.
        What is not found here (a name cut by the end of a chunk, another letter case) goes through expat.
        """
        diverting = False
        for chunk in chunks:
            at = 0
            while at < len(chunk):
                if diverting:
                    end = chunk.find(b"<", at)
                    diverting = end < 0
                    text = chunk[at : len(chunk) if diverting else end]
                    at += len(text)
                    if b"&" in text or b"\r" in text or not self.divert(text):
                        yield text
                    continue
                found = chunk.find(_CONTENT_NAME, at)
                close = chunk.find(b">", found) if found >= 0 else -1
                if close < 0:
                    yield chunk[at:]
                    break
                begin = self._fed + chunk.rfind(b"<", at, found) - at
                self._content_at = -1
                yield chunk[at : close + 1]
                at = close + 1
                diverting = self._content_at == begin

    def start(self, name: str, attributes: list[str]) -> None:
        super().start(name, attributes)
        scope = self._scopes[-1]
        plain: Attributes = ()
        if attributes:
            scope, plain = self._split(attributes, scope)
        prefix, _, local = name.rpartition(":")
        for used in (prefix, *(key.rpartition(":")[0] for key, _ in plain if ":" in key)):
            if used not in scope:
                scope = {**scope, used: _UNBOUND}
        self._scopes.append(scope)
        # An undeclared prefix counts as the package's own, as in ``parser.parse``.
        uri = scope[prefix]
        if uri == _UNBOUND and prefix == names.PREFIX:
            uri = names.QCVN
        if self.depth <= _DEEPEST:
            if self.depth == 1:
                self._own = own_namespaces(uri)
            self._path.append(local.lower() if uri in self._own else "")
        is_content = self.depth == _DEEPEST and self._path == _CONTENT_PATH
        self._content_at = self.expat.CurrentByteIndex if is_content else -1
        is_signature = (
            self.depth == _DEEPEST
            and uri == names.DSIG
            and local == names.SIGNATURE
            and self._path[:-1] == _HEADER_PATH
        )
        self.entered(_Opened(name, attributes, plain, scope, uri, local, is_signature))

    def end(self, name: str) -> None:
        self._content_at = -1
        self.left(name)
        if self.depth <= _DEEPEST:
            self._path.pop()
        self._scopes.pop()
        super().end(name)

    def entered(self, tag: _Opened) -> None:
        """A start tag was read."""
        raise NotImplementedError

    def left(self, name: str) -> None:
        """An end tag was read; the element is still the innermost one."""
        raise NotImplementedError

    def text(self, text: str) -> None:
        """Character data was read, in pieces of any size."""
        raise NotImplementedError

    def _split(self, attributes: list[str], scope: Scope) -> tuple[Scope, Attributes]:
        declared: dict[str, str] = {}
        plain: list[tuple[str, str]] = []
        for key, value in zip(attributes[::2], attributes[1::2], strict=True):
            if key == "xmlns" or key.startswith("xmlns:"):
                declared[key[6:]] = value
                self.relative_namespace |= bool(value) and _ABSOLUTE.match(value) is None
            else:
                plain.append((key, value))
        return ({**scope, **declared} if declared else scope), plain


class DigestWalk(_Walk):
    """The second pass: nothing but the digest."""

    def __init__(self, limits: Limits, prolog: Prolog, recipe: Recipe) -> None:
        super().__init__(limits, prolog)
        self._digest = EnvelopedDigest(recipe)
        self.left = self._digest.end  # type: ignore[method-assign] # one call less per event
        self.expat.CharacterDataHandler = self._digest.text
        self.result = self._digest.digest

    def entered(self, tag: _Opened) -> None:
        self._digest.start(tag.name, tag.attributes, tag.scope, is_signature=tag.is_signature)

    def divert(self, text: bytes) -> bool:
        if b">" in text:
            return False
        self._digest.plain(text)
        return True


class _Peek:
    """Learns from the first ``Reference URI=""`` of a signature how the document will be digested."""

    def __init__(self) -> None:
        self._c14n = C14N.INCLUSIVE_10  # what XML-DSig prescribes when no transform names one
        self._prefixes: tuple[str, ...] = ()
        self._inside_reference = False
        self._in_transform = False
        self.recipe: Recipe | None = None

    def see(self, tag: _Opened) -> None:
        """One element inside the signature."""
        uri, local, values = tag.uri, tag.local, dict(tag.attributes)
        if uri == names.DSIG and local == "Reference":
            self._inside_reference = self.recipe is None and values.get("URI") == ""
        elif not self._inside_reference:
            return
        elif local == "Transform":
            self._in_transform = values.get("Algorithm") in set(C14N)
            if self._in_transform:
                self._c14n = C14N(values["Algorithm"])
        elif local == "InclusiveNamespaces" and self._in_transform:
            self._prefixes = tuple(values.get("PrefixList", "").split())
        elif local == "DigestMethod" and values.get("Algorithm") in _DIGESTS and self.recipe is None:
            prefixes = self._prefixes if self._c14n is C14N.EXCLUSIVE else ()
            self.recipe = Recipe(self._c14n, _DIGESTS[values["Algorithm"]], prefixes)


class Splitter(_Walk):
    """The first pass: skeleton, contents, and the digest that the signature will ask for."""

    def __init__(self, limits: Limits, prolog: Prolog, spool: Spool) -> None:
        super().__init__(limits, prolog)
        self.contents: list[Base64Sink] = []
        self.recipe: Recipe | None = None
        """What ``digest`` is the digest of; ``None`` when there is nothing to digest, or it was learnt too late."""
        self._spool = spool
        self._skeleton: list[str] = []
        self._skeleton_size = 0
        self._text_size = 0
        self._content: Base64Sink | None = None
        self._digest: EnvelopedDigest | None = None
        self._peek: _Peek | None = None
        self._in_signature = 0
        self._recorded: list[_Opened | _Closed | str] | None = []

    @property
    def skeleton(self) -> bytes:
        """The package without its contents, comments and prolog."""
        return "".join(self._skeleton).encode()

    @property
    def digest(self) -> bytes | None:
        """By ``recipe``."""
        return None if self._digest is None else self._digest.digest()

    def entered(self, tag: _Opened) -> None:
        if self.depth == 1:
            refuse_root(tag.uri or None, tag.local)
        if tag.uri == names.XINCLUDE:
            raise ForbiddenMarkup("The package holds an XInclude.")
        self._text_size = 0
        if self._digest is not None:
            self._digest.start(tag.name, tag.attributes, tag.scope, is_signature=tag.is_signature)
        elif self._recorded is not None:
            self._recorded.append(tag)
            self._look(tag)
        pairs = zip(tag.written[::2], tag.written[1::2], strict=True)
        written = "".join(f' {key}="{escape_attribute(value)}"' for key, value in pairs)
        self._keep(f"<{tag.name}{written}>")
        if self._content is not None:
            self._content.fault = "it holds elements"
        elif self.depth == _DEEPEST and self._path == _CONTENT_PATH:
            self._begin_content()

    def left(self, name: str) -> None:
        if self._content is not None and self.depth == _DEEPEST:
            self._content.finish()
            self._content = None
        self._text_size = 0
        self._in_signature -= bool(self._in_signature)
        self._keep(f"</{name}>")
        if self._digest is not None:
            self._digest.end(name)
        elif self._recorded is not None:
            self._recorded.append(_Closed(name))
            if self.depth == len(_HEADER_PATH) and self._path == _HEADER_PATH:
                self._replay()

    def text(self, text: str) -> None:
        if self._content is not None and self.depth == _DEEPEST:
            self._take(self._content, text)
            return
        self._text_size += len(text)
        if self._text_size > self.limits.text_bytes:
            raise PackageLimitExceeded(limit="text_bytes", allowed=self.limits.text_bytes)
        self._keep(escape_text(text))
        if self._digest is not None:
            self._digest.text(text)
        elif self._recorded is not None:
            self._recorded.append(text)

    def divert(self, text: bytes) -> bool:
        if self._content is None or not self._content.feed(text):
            return False  # expat shall judge it, and the digest escape it
        if self._digest is not None:
            self._digest.plain(text)
        return True

    def _keep(self, markup: str) -> None:
        self._skeleton_size += len(markup)
        if self._skeleton_size > self.limits.skeleton_bytes:
            raise PackageLimitExceeded(limit="skeleton_bytes", allowed=self.limits.skeleton_bytes)
        self._skeleton.append(markup)

    def _begin_content(self) -> None:
        if len(self.contents) >= self.limits.attachments:
            raise PackageLimitExceeded(limit="attachments", allowed=self.limits.attachments, path=names.ENCODED)
        self._content = Base64Sink(Sink(self._spool, self.limits))
        self.contents.append(self._content)
        self._recorded = None  # attachments before the end of the header: a second pass will digest

    def _take(self, content: Base64Sink, text: str) -> None:
        """Text of an attachment: decoded, digested, and kept nowhere."""
        if not text.isascii():
            content.fault = "it holds characters that are not base64"
        data = text.encode()
        if content.feed(data) and b"\r" not in data:
            if self._digest is not None:
                self._digest.plain(data)
            return
        if self._digest is not None:
            self._digest.text(text)

    def _look(self, tag: _Opened) -> None:
        if tag.is_signature and self._peek is None:
            self._peek = _Peek()
            self._in_signature = 1
        elif self._in_signature and self._peek is not None:
            self._in_signature += 1
            self._peek.see(tag)

    def _replay(self) -> None:
        """The header has ended: digest it by what its signature names, and the rest as it comes."""
        events, self._recorded = self._recorded or [], None
        self.recipe = None if self._peek is None else self._peek.recipe
        if self.recipe is None:
            return
        self._digest = digest = EnvelopedDigest(self.recipe)
        for event in events:
            if isinstance(event, _Opened):
                digest.start(event.name, event.attributes, event.scope, is_signature=event.is_signature)
            elif isinstance(event, _Closed):
                digest.end(event.name)
            else:
                digest.text(event)


class StreamedPackage:
    """A large package after its first pass."""

    def __init__(self, held: bytes | Path, *, limits: Limits, spool: Spool) -> None:
        self.source = Source(held)
        self._limits = limits
        self._pass = Splitter(limits, self.source.prolog, spool)
        self._pass.feed(self.source.chunks())
        self._skeleton = self._pass.skeleton
        self.tree: Tree = parse(self._skeleton)
        self._sinks = dict(zip(encoded_contents(self.tree.root), self._pass.contents, strict=True))

    @property
    def has_comments(self) -> bool:
        """Whether the package holds any; the skeleton does not."""
        return self._pass.comments

    def content(self, element: etree._Element) -> Decoded:
        """What was decoded from that element of the skeleton."""
        return self._sinks[element].finish()

    def skeleton(self) -> bytes:
        """As digested; with undeclared prefixes declared, when there were any, so that others can parse it."""
        if self.tree.namespace_well_formed:
            return self._skeleton
        return etree.tostring(self.tree.root, encoding="utf-8", xml_declaration=False)

    def digest(self, c14n: C14N, digest: str, inclusive_prefixes: Sequence[str], position: int) -> bytes:
        """From the first pass when it made the one asked for, else from another pass over the source."""
        if self._pass.relative_namespace:
            raise MalformedPackage(_NO_FORM)
        prefixes = tuple(inclusive_prefixes) if c14n is C14N.EXCLUSIVE else ()
        recipe = Recipe(c14n, digest, prefixes, position)
        made = self._pass.digest
        if made is not None and self._pass.recipe == recipe:
            return made
        walk = DigestWalk(self._limits, self.source.prolog, recipe)
        walk.feed(self.source.chunks())
        return walk.result()


def digest_of(raw: bytes, recipe: Recipe, limits: Limits) -> bytes:
    """
    The same digest of bytes in memory, UTF-8 and without anything before the XML.

    :raises MalformedPackage: there is no canonical form.
    """
    walk = DigestWalk(limits, read_prolog(raw), recipe)
    walk.feed(pieces(raw))
    if walk.relative_namespace:
        raise MalformedPackage(_NO_FORM)
    return walk.result()
