"""
Where one request ends and the next begins, read strictly.

Cheroot reads lengths as Python reads numbers, lets the last of two lengths win, passes control characters on,
asks for a body before anybody has looked at what its header says, and takes a chunk, or the rest of a body that
nobody asked for, into memory whole. What two programs can read in two ways is refused here (RFC 9112 §6, §7), and
nothing is asked for or held that the application did not ask for.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from typing import Any, BinaryIO

from cheroot.errors import MaxSizeExceeded
from cheroot.server import HTTPRequest, KnownLengthRFile

from gateway.cli.lingering import MOST_DISCARDED

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_DIGITS = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_LONGEST_LINE = 8 * 1024
_LONGEST_TRAILERS = 64 * 1024
_MOST_HEADERS = 200
_PIECE = 64 * 1024

_ONCE = frozenset(
    {b"Authorization", b"Content-Digest", b"Content-Length", b"Content-Type", b"Gateway-Recipients", b"Host",
     b"Transfer-Encoding"}
)  # fmt: skip
"""Headers that mean nothing clear when they come twice."""


class Malformed(ValueError):
    """Framing that two readers could understand differently."""


def read_headers(connection: BinaryIO, headers: dict[bytes, bytes], *, most: int) -> None:
    """
    Header lines as RFC 9110 §5 has them, up to the empty line, into ``headers``.

    Names with an underscore are dropped: in the application's environment they could not be told from those with
    a hyphen, which a proxy in front vouches for.

    :param most: bytes that may be read.
    :raises Malformed: what is no header line, or twice what may come once.
    :raises MaxSizeExceeded: there are more bytes; cheroot answers it.
    """
    left = most
    for _ in range(_MOST_HEADERS + 1):
        line = connection.readline(left + 1)
        left -= len(line)
        if left < 0:
            raise MaxSizeExceeded
        if line == b"\r\n":
            return
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


class _Invited:
    """A connection whose client sends its body when it is asked to: at the first look at that body."""

    def __init__(self, connection: BinaryIO, invite: Callable[[], None]) -> None:
        self._connection = connection
        self._invite: Callable[[], None] | None = invite

    def read(self, size: int) -> bytes:
        """As the connection's."""
        self._ask()
        return self._connection.read(size)

    def readline(self, size: int) -> bytes:
        """As the connection's."""
        self._ask()
        return self._connection.readline(size)

    def _ask(self) -> None:
        if self._invite is not None:
            invite, self._invite = self._invite, None
            invite()


class StrictRequest(HTTPRequest):
    """A request of which cheroot's own reading is kept only where it is strict."""

    _chunks: ChunkedBody | None = None

    def read_request_headers(self) -> bool:
        """
        In place of cheroot's, which says 100 to ``Expect`` here.

        A client that asks first learns from the header alone what can be known from it: that its key is none, that
        the body is too large, that it comes too often. It sends the body only when the application wants it.
        """
        left = self.server.max_request_header_size - self.rfile.bytes_read
        try:
            read_headers(self.conn.rfile, self.inheaders, most=left)
            check_framing(self.inheaders, self.response_protocol)
        except Malformed as e:
            self.simple_response("400 Bad Request", str(e))
            return False
        self.chunked_read = b"Transfer-Encoding" in self.inheaders
        asked = self.inheaders.get(b"Connection", b"")
        self.close_connection = asked == b"close" if self._speaks_11 else asked != b"Keep-Alive"
        return True

    @property
    def _speaks_11(self) -> bool:
        return bool(self.response_protocol == "HTTP/1.1")

    def respond(self) -> None:
        """The application's turn; a short answer leaves in one piece with its header."""
        length = int(self.inheaders.get(b"Content-Length", 0))
        connection = self.conn.rfile
        if self._expects_invitation() and (length or self.chunked_read):
            connection = _Invited(connection, self._invite)
        if self.chunked_read:
            self._chunks = ChunkedBody(connection)
            self.rfile = io.BufferedReader(self._chunks, _PIECE)
        else:
            self.rfile = KnownLengthRFile(connection, length)
        try:
            self.server.gateway(self).respond()
            if self.ready:
                self.ensure_headers_sent()
            if self.chunked_write:
                self.conn.wfile.write(b"0\r\n\r\n")
        finally:
            self.conn.wfile.flush()

    def _expects_invitation(self) -> bool:
        """HTTP/1.0 knows no answer before the answer (RFC 9110 §10.1.1)."""
        return self._speaks_11 and self.inheaders.get(b"Expect", b"").lower() == b"100-continue"

    def _invite(self) -> None:
        if not self.sent_headers:
            self.conn.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def send_headers(self) -> None:
        """The answer does not wait for the body: an application that left some of it unread ends the connection."""
        if any(name.lower() == b"connection" and value.lower() == b"close" for name, value in self.outheaders):
            self.close_connection = True
        if self.is_body_unread:
            self.close_connection = True
            self.conn.may_still_come(self._most_to_come())
        self.conn.wfile.hold_next()
        super().send_headers()

    def simple_response(self, status: str, msg: str = "") -> None:
        """The server's own answer to what is not passed on: the last on its connection, whatever still comes."""
        self.close_connection = True
        self.conn.may_still_come(MOST_DISCARDED)
        head = (
            f"{self.server.protocol} {status}\r\n"
            f"Content-Length: {len(msg)}\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
        )
        with contextlib.suppress(OSError):  # nobody is there to hear it
            self.conn.wfile.write(f"{head}{msg}".encode("latin-1"))

    @property
    def is_body_unread(self) -> bool:
        """Whether the next byte on the connection still belongs to this request."""
        if self._chunks is not None:
            return not self._chunks.is_read
        return bool(getattr(self.rfile, "remaining", 0))

    def _most_to_come(self) -> int:
        if self._chunks is not None:
            return MOST_DISCARDED
        return int(getattr(self.rfile, "remaining", 0)) - int(self.conn.rfile.buffered())
