"""
The answers of an axis' catalogue, read as a stream: 123,000 units are never in memory at once.

``{"status": "OK", "ErrorCode": "0", "ErrorDesc": "…", "data": [{…}, …]}``, keys in any order, so that the error
code may come after the last unit: what was read before it is not to be believed until the reader has ended.

Source: domain §2.1, calls of the catalogue.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

from gateway.errors import CatalogueUnusable

_CHUNK = 64 * 1024
_LONGEST_VALUE = 1024 * 1024
"""Characters of one unit; real ones have about 300."""


def read_rows(source: BinaryIO, *, name: str) -> Iterator[dict[str, Any]]:
    """
    The objects in ``data``, one after the other.

    :param source: the bytes of one answer, at its first; untrusted.
    :param name: what to call the answer in errors.
    :raises CatalogueUnusable: it is not JSON (a proxy's page, an empty body), not all of it, not this envelope, or the
        axis says that the call failed. Nothing of it should be put to use then.
    """
    text = _Text(source, name)
    outcome: dict[str, Any] = {}
    text.expect("{")
    while text.peek() != "}":
        key = text.value()
        text.expect(":")
        if key == "data" and text.peek() == "[":
            yield from _objects(text)
        elif isinstance(key, str):
            outcome[key] = text.value()
        else:
            text.fail("a key is not a text")
        if text.peek() == ",":
            text.expect(",")
        elif text.peek() != "}":
            text.fail("a comma or the end is missing")
    text.expect("}")
    if text.peek():
        text.fail("something follows its end")
    if str(outcome.get("ErrorCode")) != "0":
        raise CatalogueUnusable(f"{name}: The axis answers with ErrorCode {str(outcome.get('ErrorCode'))[:20]!a}.")


def _objects(text: _Text) -> Iterator[dict[str, Any]]:
    text.expect("[")
    while text.peek() != "]":
        row = text.value()
        if not isinstance(row, dict):
            text.fail("a unit is not an object")
        yield row
        if text.peek() == ",":
            text.expect(",")
        elif text.peek() != "]":
            text.fail("a comma or the end of the list is missing")
    text.expect("]")


class _Text:
    """JSON text that is read as it comes; only one value of it is kept."""

    def __init__(self, source: BinaryIO, name: str) -> None:
        self._source, self._name = source, name
        # Some servers begin with a byte order mark.
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._parse = json.JSONDecoder().raw_decode
        self._buffer, self._at, self._ended = "", 0, False

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            while self._at < len(self._buffer):
                if self._buffer[self._at] not in " \t\r\n":
                    return self._buffer[self._at]
                self._at += 1
            if not self._more():
                return ""

    def expect(self, character: str) -> None:
        """Pass over this character."""
        if self.peek() != character:
            self.fail("it is not JSON of the kind that a catalogue has, or was cut off")
        self._at += 1

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        while True:
            try:
                value, end = self._parse(self._buffer, self._at)
            except json.JSONDecodeError:
                end = None
            except RecursionError:
                self.fail("a value is nested too deeply")
            # A number at the end of what was read may go on.
            if end is not None and (end < len(self._buffer) or self._ended):
                self._at = end
                return value
            if len(self._buffer) - self._at > _LONGEST_VALUE:
                self.fail("it is not JSON, or one value is too long")
            if not self._more() and end is None:
                self.fail("it is not JSON, or was cut off")

    def _more(self) -> bool:
        if self._ended:
            return False
        chunk = self._source.read(_CHUNK)
        self._ended = not chunk
        try:
            self._buffer = self._buffer[self._at :] + self._decode.decode(chunk, final=self._ended)
        except UnicodeDecodeError:
            self.fail("it is not UTF-8")
        self._at = 0
        return not self._ended

    def fail(self, why: str) -> NoReturn:
        """Give up."""
        raise CatalogueUnusable(f"{self._name}: The answer cannot be used: {why}.")
