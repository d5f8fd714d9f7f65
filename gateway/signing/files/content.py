"""The operators of a PDF's content, with their operands (ISO 32000-2 §7.8.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_TOKEN = re.compile(
    rb"[\s\0]*(?:%[^\r\n]*[\s\0]*)*"
    rb"(?:(?P<string>\()|(?P<dictionary><<|>>)|<(?P<hex>[0-9A-Fa-f\s]*)>|(?P<bracket>[\[\]])"
    rb"|/(?P<name>[^\s\0()<>\[\]{}/%]*)|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?=[\s\0()<>\[\]{}/%]|$)"
    rb"|(?P<operator>[^\s\0()<>\[\]{}/%]+)|(?P<brace>[{}])|(?P<end>$))"
)
_IMAGE_END = re.compile(rb"[\s\0]EI(?=[\s\0]|$)")
_STRING_PART = re.compile(rb"[^()\\]+|\\(?:[0-7]{1,3}|\r\n|[\s\S])|[()]")
_OPERANDS_MAX = 4_096
_BYTES = 16
"""That are passed over, as white space or a string, in the time of one token."""


class TooMuch(Exception):
    """Content that would take too long to read."""


class Work:
    """What is left of the work that some content may make: tokens, or what takes as long."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int = 1) -> None:
        """:raises TooMuch: there is no more."""
        self.left -= count
        if self.left < 0:
            raise TooMuch


def operators(content: bytes, work: Work) -> Iterator[tuple[bytes, list[object]]]:
    """
    Operators with their operands: floats, names with their slash, strings as bytes, arrays of these.

    Dictionaries among the operands are left out, and the data of inline images is passed over.

    :raises ValueError: it is no content.
    :raises TooMuch: an operator has too many operands, or all together are too much work.
    """
    work.take(1 + len(content) // _BYTES)
    operands: list[object] = []
    array: list[object] | None = None
    for kind, value in _tokens(content, work):
        if kind == "operator":
            assert isinstance(value, bytes)  # as the tokens are made
            yield value, operands
            operands, array = [], None
        elif value == b"[" and kind == "bracket":
            array = []
        elif kind == "bracket":
            operands.append(array or [])
            array = None
        else:
            (operands if array is None else array).append(value)
            if max(len(operands), len(array or ())) > _OPERANDS_MAX:
                raise TooMuch


def _tokens(content: bytes, work: Work) -> Iterator[tuple[str, object]]:
    at = 0
    while True:
        work.take()
        token = _TOKEN.match(content, at)
        if token is None:
            raise ValueError("The content of a page is none.")
        kind, at = token.lastgroup or "end", token.end()
        if kind == "end":
            return
        if kind == "string":
            text, at = string_at(content, at)
            yield kind, text
        elif kind == "operator" and token[kind] == b"BI":
            yield kind, b"BI"
            end = _IMAGE_END.search(content, at)
            at = end.end() if end else len(content)
        elif kind in _VALUES and token[kind] not in _CONSTANTS:
            yield kind, _VALUES[kind](token[kind])


def string_at(content: bytes, at: int) -> tuple[bytes, int]:
    """A literal string that begins at ``at``, and where it ends; of an escape only the length matters here."""
    parts: list[bytes] = []
    depth = 1
    while depth:
        part = _STRING_PART.match(content, at)
        if part is None:
            raise ValueError("A string of a page does not end.")
        at = part.end()
        text = part[0]
        depth += (text == b"(") - (text == b")")
        if text.startswith(b"\\"):
            text = _unescaped(text)
        if depth:
            parts.append(text)
    return b"".join(parts), at


_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b"", b"\r": b"", b"\r\n": b""}


def _unescaped(text: bytes) -> bytes:
    rest = text[1:]
    if rest[:1].isdigit() and rest[:1] not in (b"8", b"9"):
        return bytes([int(rest, 8) & 0xFF])
    return _ESCAPES.get(rest, rest)


def _hex(digits: bytes) -> bytes:
    text = b"".join(digits.split())
    return bytes.fromhex((text + b"0" * (len(text) % 2)).decode("ascii"))


def _name(text: bytes) -> str:
    return "/" + text.decode("latin-1")


def _itself(text: bytes) -> bytes:
    return text


_VALUES: dict[str, Callable[[bytes], object]] = {
    "hex": _hex,
    "number": float,
    "name": _name,
    "bracket": _itself,
    "operator": _itself,
}
_CONSTANTS = (b"true", b"false", b"null")
