"""
A package that comes as base64 within JSON (``getEdoc``), taken out without holding it.

Fifty megabytes of attachments are 89 MB of such an answer (domain §1.8). So the answer is a file; the one
long text in it is found by its quotation marks, the few bytes around it are read as JSON, and the text is
decoded piece by piece.
"""

from __future__ import annotations

import binascii
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from gateway.errors import AxisDown, AxisPackageUnusable

_LONG = 4 * 1024
"""Characters from which on a text is not read with the rest."""
_AROUND = 512 * 1024
"""Bytes that may stand around the long text."""
_PIECE = 256 * 1024
_BACKSLASH = ord("\\")
_BLANKS = re.compile(rb"\s+")
_ESCAPE = re.compile(rb"\\(?:u00(?P<hex>[0-9a-fA-F]{2})|(?P<plain>.))", re.DOTALL)
_MEANINGS = {b"/": b"/", b"r": b"", b"n": b"", b"t": b""}
"""Of the escapes that base64 may hold: Gson writes ``=`` as ``\\u003d``, others break lines."""
_LONGEST_ESCAPE = 6


@dataclass(frozen=True)
class Where:
    """The long text of an answer: the places between its quotation marks."""

    start: int
    end: int


def split(file: BinaryIO) -> tuple[dict[str, Any], Where | None]:
    """
    The answer without its long text, in whose place stands an empty one, and where that text is.

    :param file: seekable; not closed here.
    :return: ``None`` when no text is long: the package is then somewhere in the object itself.
    :raises AxisDown: it is not a JSON object.
    """
    size = file.seek(0, io.SEEK_END)
    where = _long_text(file)
    before, after = (size, size) if where is None else (where.start, where.end)
    if before + size - after > _AROUND:
        raise AxisDown(f"{size} bytes, of which too many are not the package.")
    file.seek(0)
    around = file.read(before)
    file.seek(after)
    around += file.read()
    try:
        answer = json.loads(around)
    except (ValueError, RecursionError) as e:
        raise AxisDown(f"{size} bytes that are not a JSON object.") from e
    if not isinstance(answer, dict):
        raise AxisDown("The JSON is not an object.")
    return answer, where


def _long_text(file: BinaryIO) -> Where | None:
    """The first text of more than ``_LONG`` bytes."""
    file.seek(0)
    at = slashes = 0
    start: int | None = None
    """Behind the quotation mark that the present text began with; ``None`` between texts."""
    while piece := file.read(_PIECE):
        quote = piece.find(b'"')
        while quote >= 0:
            if start is None:
                start = at + quote + 1
            elif not _slashes_before(piece, quote, slashes) % 2:
                if at + quote - start > _LONG:
                    return Where(start, at + quote)
                start = None
            quote = piece.find(b'"', quote + 1)
        slashes = _slashes_before(piece, len(piece), slashes)
        at += len(piece)
    return None


def _slashes_before(piece: bytes, end: int, carried: int) -> int:
    """How many backslashes stand right before a place, those included that ended the piece before this one."""
    count = 0
    while count < end and piece[end - 1 - count] == _BACKSLASH:
        count += 1
    return count + carried if count == end else count


class Decoded:
    """The bytes that a base64 text stands for, read once."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        """:param read: at most so many bytes of the text as it stands in the JSON; empty at its end."""
        self._read = read
        self._raw = b""
        self._text = b""
        self._ready = b""
        self._ended = False
        self._padded = False

    @classmethod
    def within(cls, file: BinaryIO, where: Where) -> Decoded:
        """The text at that place of a file."""
        file.seek(where.start)
        left = where.end - where.start

        def read(size: int) -> bytes:
            nonlocal left
            piece = file.read(min(size, left))
            left -= len(piece)
            return piece

        return cls(read)

    @classmethod
    def of(cls, text: str) -> Decoded:
        """A text that was read as JSON already."""
        return cls(io.BytesIO(text.encode("utf-8")).read)

    def read(self, size: int = -1, /) -> bytes:
        """
        At most ``size`` bytes (a negative number: a piece); empty at the end.

        :raises AxisPackageUnusable: it is not base64, or ends within a group of four.
        """
        while not self._ready and not self._ended:
            self._ready = self._decoded(_PIECE)
        out, self._ready = (self._ready, b"") if size < 0 else (self._ready[:size], self._ready[size:])
        return out

    def _decoded(self, size: int) -> bytes:
        piece = self._read(size)
        self._ended = not piece
        self._raw += piece
        self._text += self._plain()
        whole = len(self._text) if self._ended else len(self._text) // 4 * 4
        text, self._text = self._text[:whole], self._text[whole:]
        if not text:
            return b""
        if self._padded:
            raise AxisPackageUnusable("The base64 goes on after its padding.")
        self._padded = text.endswith(b"=")
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error as e:
            raise AxisPackageUnusable("The package is not base64.") from e

    def _plain(self) -> bytes:
        """What has come, without escapes and blanks; an escape that may be cut waits for the rest."""
        raw, self._raw = self._raw, b""
        cut = raw.rfind(b"\\")
        if not self._ended and cut >= 0 and len(raw) - cut < _LONGEST_ESCAPE:
            raw, self._raw = raw[:cut], raw[cut:]
        return _BLANKS.sub(b"", _ESCAPE.sub(_meaning, raw) if b"\\" in raw else raw)


def _meaning(escape: re.Match[bytes]) -> bytes:
    if escape["hex"] is not None:
        return bytes.fromhex(escape["hex"].decode("ascii"))
    meaning = _MEANINGS.get(escape["plain"])
    if meaning is None:
        raise AxisPackageUnusable("The package is not base64.")
    return meaning
