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
import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from gateway.errors import AxisDown, AxisPackageUnusable

_LONG = 4 * 1024
"""Characters from which on a text is not read with the rest."""
_AROUND = 256 * 1024
"""Bytes that may stand around the long text."""
_PIECE = 256 * 1024
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

    :param file: a real file; not closed here.
    :return: ``None`` when no text is long: the package is then somewhere in the object itself.
    :raises AxisDown: it is not a JSON object.
    """
    size = file.seek(0, io.SEEK_END)
    where = None
    if size > _LONG:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            where = _longest(content)
            around = content[:] if where is None and size <= _AROUND else b""
            if where is not None and size - (where.end - where.start) <= _AROUND:
                around = content[: where.start] + content[where.end :]
    else:
        file.seek(0)
        around = file.read()
    try:
        answer = json.loads(around)
    except (ValueError, RecursionError) as e:
        raise AxisDown(f"{size} bytes that are not a JSON object.") from e
    if not isinstance(answer, dict):
        raise AxisDown("The JSON is not an object.")
    return answer, where


def _longest(content: mmap.mmap) -> Where | None:
    """The first text of more than ``_LONG`` bytes."""
    at = 0
    while (start := content.find(b'"', at)) >= 0:
        end = start
        while True:
            end = content.find(b'"', end + 1)
            if end < 0:
                return None
            if not _is_escaped(content, end):
                break
        if end - start > _LONG:
            return Where(start + 1, end)
        at = end + 1
    return None


def _is_escaped(content: mmap.mmap, at: int) -> bool:
    slashes = 0
    while content[at - 1 - slashes : at - slashes] == b"\\":
        slashes += 1
    return slashes % 2 == 1


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
