"""
Where one request ends and the next begins, read strictly.

Cheroot reads lengths as Python reads numbers, lets the last of two lengths win, passes control characters on,
and takes a chunk, or the rest of a body that nobody asked for, into memory whole. What two programs can read in
two ways is refused here (RFC 9112 §6, §7), and nothing is held that the application did not ask for.
"""

from __future__ import annotations

import contextlib
import io
import re
import socket
import time
from typing import Any, BinaryIO

from cheroot.server import HTTPRequest

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_DIGITS = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_LONGEST_LINE = 8 * 1024
_LONGEST_TRAILERS = 64 * 1024
_MOST_HEADERS = 200
_DISCARDED = 4 * 1024 * 1024
"""Bytes of a body that nobody wanted which are thrown away after the answer, so that it is not lost in a reset."""
_WAIT = 1.0
"""Seconds that this may take in all: meanwhile the thread serves nobody else."""
_WAIT_STRANGER = 0.1
"""The same, for a request without a valid key."""
_PIECE = 64 * 1024

_ONCE = frozenset(
    {b"Authorization", b"Content-Digest", b"Content-Length", b"Content-Type", b"Gateway-Recipients", b"Host",
     b"Transfer-Encoding"}
)  # fmt: skip
"""Headers that mean nothing clear when they come twice."""


class Malformed(ValueError):
    """Framing that two readers could understand differently."""


class HeaderReader:
    """
    Header lines as RFC 9110 §5 has them; cheroot answers 400 to a ``ValueError``.

    Names with an underscore are dropped: in the application's environment they could not be told from those with
    a hyphen, which a proxy in front vouches for.
    """

    def __call__(self, rfile: Any, headers: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Read up to the empty line, into ``headers``."""
        for _ in range(_MOST_HEADERS + 1):
            line = rfile.readline()
            if line == b"\r\n":
                return headers
            _note(headers, *_field(line))
        raise Malformed("Too many headers.")


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line[:-2].partition(b":")
    if not line.endswith(b"\r\n") or not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise Malformed("Illegal header line.")
    return name.title(), value.strip(b" \t")


def _note(headers: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    if b"_" in name:
        return
    if name not in headers:
        headers[name] = value
    elif name in _ONCE:
        raise Malformed("A header that may come once came twice.")
    else:
        headers[name] += (b"; " if name == b"Cookie" else b", ") + value


def check_framing(headers: dict[bytes, bytes], protocol: str) -> None:
    """
    One opinion on where the body ends.

    :raises Malformed: a length that is no number, a coding other than ``chunked``, or both.
    """
    length, coding = headers.get(b"Content-Length"), headers.get(b"Transfer-Encoding")
    if length is not None and not _DIGITS.fullmatch(length):
        raise Malformed("Malformed Content-Length.")
    if coding is None:
        return
    if length is not None or protocol != "HTTP/1.1":
        raise Malformed("Transfer-Encoding is not possible here.")
    if coding.lower() != b"chunked":
        raise Malformed("The only transfer coding is chunked.")


class ChunkedBody(io.RawIOBase):
    """A body in chunks, however large each of them says that it is; trailers are read and forgotten."""

    def __init__(self, connection: BinaryIO) -> None:
        super().__init__()
        self._connection = connection
        self._left = 0
        self.is_read = False
        """True once the end of the body and its trailers have been read."""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """
        Some of the body; 0 at its end.

        :raises Malformed: the coding is broken or the body ends within.
        """
        if self.is_read:
            return 0
        if not self._left:
            self._left = self._next_size()
            if not self._left:
                self._trailers()
                self.is_read = True
                return 0
        view = memoryview(buffer).cast("B")
        piece = self._connection.read(min(self._left, len(view)))
        if not piece:
            raise Malformed("The body ended within a chunk.")
        view[: len(piece)] = piece
        self._left -= len(piece)
        if not self._left and self._connection.read(2) != b"\r\n":
            raise Malformed("A chunk is longer than it says.")
        return len(piece)

    def _next_size(self) -> int:
        size, _, extension = self._line().partition(b";")
        if not _CHUNK_SIZE.fullmatch(size.rstrip(b" \t")) or not _VALUE.fullmatch(extension):
            raise Malformed("Malformed chunk size.")
        return int(size, 16)

    def _trailers(self) -> None:
        size = 0
        while line := self._line():
            size += len(line)
            if size > _LONGEST_TRAILERS:
                raise Malformed("The trailers are too long.")

    def _line(self) -> bytes:
        line = self._connection.readline(_LONGEST_LINE)
        if not line.endswith(b"\r\n"):
            raise Malformed("A line of the coding does not end.")
        return line[:-2]


class StrictRequest(HTTPRequest):
    """A request of which cheroot's own reading is kept only where it is strict."""

    header_reader = HeaderReader()
    _chunks: ChunkedBody | None = None
    _is_cut = False
    """The answer was given before the body had been read."""

    def read_request_headers(self) -> bool:
        """As cheroot's, after which the framing has one meaning."""
        if not super().read_request_headers():  # type: ignore[no-untyped-call]  # cheroot's stubs leave it out
            return False
        try:
            check_framing(self.inheaders, self.response_protocol)
        except Malformed as e:
            self.close_connection = True
            self.simple_response("400 Bad Request", str(e))
            return False
        return True

    def respond(self) -> None:
        """As cheroot's, over our own reader of chunks; afterwards the rest of a body that nobody wanted is let go."""
        if self.chunked_read:
            self._respond_to_chunks()
        else:
            super().respond()
        if self._is_cut:
            self._let_go()

    def _respond_to_chunks(self) -> None:
        self._chunks = ChunkedBody(self.conn.rfile)
        self.rfile = io.BufferedReader(self._chunks, _PIECE)
        self.server.gateway(self).respond()
        if self.ready:
            self.ensure_headers_sent()
        if self.chunked_write:
            self.conn.wfile.write(b"0\r\n\r\n")

    def send_headers(self) -> None:
        """The answer goes out at once: an application that left some of the body unread has the connection ended."""
        if any(name.lower() == b"connection" and value.lower() == b"close" for name, value in self.outheaders):
            self.close_connection = True
        self._is_cut = self._is_unread()
        if self._is_cut:
            self.close_connection = True
        super().send_headers()

    def _is_unread(self) -> bool:
        """Whether the next byte on the connection still belongs to this request."""
        if self._chunks is not None:
            return not self._chunks.is_read
        return bool(getattr(self.rfile, "remaining", 0))

    def _let_go(self) -> None:
        """
        Say that nothing more comes from here, and throw away for a moment what the client still sends.

        Closed with bytes unread, the connection would be reset, and the answer lost with it. Whoever has no key
        is not waited for at all: it would hold the thread that others wait for.
        """
        connection = self.conn.socket
        status: Any = self.status  # bytes, though cheroot's stubs say text
        deadline = time.monotonic() + (_WAIT_STRANGER if status.startswith(b"401") else _WAIT)
        left = self._most_to_discard()
        with contextlib.suppress(OSError):  # also TimeoutError: the time is over, or the client has gone
            connection.shutdown(socket.SHUT_WR)
            while left > 0 and (wait := deadline - time.monotonic()) > 0:
                connection.settimeout(wait)
                piece = connection.recv(_PIECE)
                if not piece:
                    return
                left -= len(piece)

    def _most_to_discard(self) -> int:
        if self._chunks is not None:
            return _DISCARDED
        buffered = len(self.conn.rfile.peek()) if self.conn.rfile.has_data() else 0
        return min(_DISCARDED, int(getattr(self.rfile, "remaining", 0)) - buffered)
