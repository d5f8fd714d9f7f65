"""
Adding to a package without touching another byte: a trace header, or a signature (design D1).

Positions come from expat, so the rest is copied as it is: junk, comments, prefixes and line ends included.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple
from xml.parsers import expat

from gateway.edxml import names
from gateway.edxml.canonical import escape_text
from gateway.edxml.limits import Limits
from gateway.edxml.moments import write_moment
from gateway.edxml.parser import CHUNK, Guard, Prolog, read_prolog, translated
from gateway.errors import MalformedPackage
from gateway.model import Hop

_HEAD = 4096
_OUTER = [n.lower() for n in (names.ROOT, names.ENVELOPE, names.HEADER)]


def complete(source: bytes | Path, *, hop: Hop | None, signature: bytes | None, limits: Limits, out: BinaryIO) -> str:
    """
    Write the package with a hop, a signature, or both added; every other byte is as it was.

    The hop follows the last ``TraceHeader``; a document without a ``TraceHeaderList`` gets one. A
    status has no trace and gets none. The signature becomes the last child of the header, without
    any blank around it, so that a digest made before it was added holds after it.

    :param source: a package that ``read_unverified`` has read; not checked again.
    :param signature: one ``ds:Signature`` element that declares its own namespaces, UTF-8.
    :param out: where to write; neither flushed nor closed.
    :return: SHA-256 of what was written, lower-case hex.
    :raises MalformedPackage: there is no header to add to.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        prolog = read_prolog(file.read(_HEAD))
        places = _find(file, prolog, limits)
        splices: list[_Splice] = []
        if hop is not None and not places.is_status:
            splices.append(_hop_at(places, hop, prolog))
        if signature is not None:
            splices.append(_Splice(places.header_end, signature.decode()))
        return _write(file, out, splices, prolog)


class _Splice(NamedTuple):
    """Text to put in."""

    at: int
    """Offset from the beginning of the XML."""
    text: str
    cut: int = 0
    """Bytes left out there."""


@dataclass
class _Places:
    """Offsets from the beginning of the XML (-1: there is none), and prefixes in use, colon included."""

    is_status: bool = False
    message_prefix: str = ""
    message_end: int = -1
    list_name: str = ""
    list_inside: int = -1
    list_empty_end: int = -1
    """Behind ``<TraceHeaderList/>``, when it is written so."""
    last_trace_end: int = -1
    header_end: int = -1


class _Scan(Guard):
    """Watches the events of the header and notes where things begin and end."""

    def __init__(self, limits: Limits, prolog: Prolog) -> None:
        super().__init__(limits, prolog)
        self.places = _Places()
        self._path: list[str] = []
        self._pending: Callable[[int], None] | None = None
        """What to do with the offset of the next event, which is where the last one ended."""
        self.expat.CommentHandler = self._other
        self.expat.DefaultHandler = self._other

    def start(self, name: str, attributes: list[str]) -> None:
        self._arrive()
        super().start(name, attributes)
        prefix, colon, local = name.rpartition(":")
        self._path.append(local.lower())
        inner = self._path[3:] if self._path[:3] == _OUTER else None
        if inner == ["messageheader"]:
            self.places.message_prefix = prefix + colon
        elif inner == ["messageheader", "statuscode"]:
            self.places.is_status = True
        elif inner == ["traceheaderlist"]:
            self.places.list_name = name
            self._pending = partial(setattr, self.places, "list_inside")

    def end(self, name: str) -> None:
        at = self._arrive()
        inner = self._path[3:] if self._path[:3] == _OUTER else None
        if inner == ["messageheader"]:
            self._pending = partial(setattr, self.places, "message_end")
        elif inner == ["traceheaderlist"]:
            self._pending = partial(self._list_ended, at)
        elif inner == ["traceheaderlist", "traceheader"]:
            self._pending = partial(setattr, self.places, "last_trace_end")
        elif inner == []:
            self.places.header_end = at
        self._path.pop()
        super().end(name)

    def _list_ended(self, at: int, following: int) -> None:
        """expat puts the end of ``<x/>`` behind it, so that only the next event tells it from ``<x></x>``."""
        if following == at:
            self.places.list_inside, self.places.list_empty_end = -1, at

    def _other(self, _: str) -> None:
        self._arrive()

    def _arrive(self) -> int:
        at = self.expat.CurrentByteIndex
        if self._pending is not None:
            self._pending(at)
            self._pending = None
        return at


def _find(file: BinaryIO, prolog: Prolog, limits: Limits) -> _Places:
    """Read as far as the end of the header."""
    scan = _Scan(limits, prolog)
    file.seek(prolog.skip)
    try:
        while scan.places.header_end < 0 and (chunk := file.read(CHUNK)):
            scan.expat.Parse(chunk, False)
    except expat.ExpatError as e:
        raise translated(e) from e
    if scan.places.header_end < 0 or scan.places.message_end < 0:
        raise MalformedPackage("The package has no header to add to.")
    return scan.places


def _hop_at(places: _Places, hop: Hop, prolog: Prolog) -> _Splice:
    name = places.list_name or f"{places.message_prefix}{names.TRACE_LIST}"
    prefix, colon, _ = name.rpartition(":")
    p = prefix + colon
    code = f"<{p}OrganId>{escape_text(hop.code)}</{p}OrganId>" if hop.code else ""
    at = f"<{p}Timestamp>{write_moment(hop.at)}</{p}Timestamp>" if hop.at else ""
    trace = f"\n        <{p}{names.TRACE}>{code}{at}</{p}{names.TRACE}>"
    if places.last_trace_end >= 0:
        return _Splice(places.last_trace_end, trace)
    if places.list_empty_end >= 0:
        cut = len("/>".encode(prolog.encoding))
        return _Splice(places.list_empty_end - cut, f">{trace}\n      </{name}>", cut)
    if places.list_inside >= 0:
        return _Splice(places.list_inside, trace)
    return _Splice(places.message_end, f"\n      <{name}>{trace}\n      </{name}>")


def _write(file: BinaryIO, out: BinaryIO, splices: list[_Splice], prolog: Prolog) -> str:
    """Copy the file with the splices made."""
    digest = hashlib.sha256()

    def put(data: bytes) -> None:
        digest.update(data)
        out.write(data)

    file.seek(0)
    here = 0
    for splice in sorted(splices, key=lambda s: s.at):
        while here < prolog.skip + splice.at and (piece := file.read(min(CHUNK, prolog.skip + splice.at - here))):
            here += len(piece)
            put(piece)
        put(splice.text.encode(prolog.encoding))
        here += len(file.read(splice.cut))
    while piece := file.read(CHUNK):
        put(piece)
    return digest.hexdigest()
