"""The two directions of a connection, as cheroot asks for them: what is read ahead, and what waits to be sent."""

from __future__ import annotations

import io
import socket
from typing import Any, Literal

_READ_AHEAD = 32 * 1024
"""A common package and its header in one piece; each connection that is kept open holds as much."""
_PIECE = 16 * 1024
"""One record of TLS, and handed over at once: the timeout of a socket under TLS counts for all that it was given."""


class Meter:
    """Bytes that have passed one socket, in either direction."""

    def __init__(self) -> None:
        self.bytes = 0


class MeteredSocket(socket.SocketIO):
    """Counts each piece as it passes: the buffers above tell only of whole ones, of 256 KB and more."""

    def __init__(self, connection: socket.socket, mode: Literal["r", "w"], meter: Meter) -> None:
        super().__init__(connection, mode)
        self._meter = meter
        self.rests = False
        """While true nothing is read from the socket, as if nothing had come."""

    def readinto(self, buffer: Any) -> int | None:
        """As its base."""
        if self.rests:
            return None
        count = super().readinto(buffer)
        self._meter.bytes += count or 0
        return count

    def write(self, data: Any) -> int | None:
        """As its base."""
        count = super().write(data)
        self._meter.bytes += count or 0
        return count


class SocketReader(io.BufferedReader):
    """
    What comes, read ahead.

    Cheroot's own is Python's slow twin of ``io``, for the sake of one question that this one answers too.
    """

    def __init__(self, socket_io: MeteredSocket) -> None:
        super().__init__(socket_io, _READ_AHEAD)
        self._socket_io = socket_io

    def buffered(self) -> int:
        """Bytes that have been read ahead; nothing is read for it."""
        # ``peek`` reads when it finds nothing, so the socket has nothing for that moment.
        self._socket_io.rests = True
        try:
            return len(self.peek())
        finally:
            self._socket_io.rests = False

    def has_data(self) -> bool:
        """As cheroot's: whether the next request has begun already."""
        return self.buffered() > 0


class SocketWriter:
    """What goes: each write at once and whole, but for the one that was asked to wait for the next."""

    def __init__(self, socket_io: MeteredSocket) -> None:
        self._socket_io = socket_io
        self._waits = False
        self._waiting = b""

    def hold_next(self) -> None:
        """Keep what is written next until more follows, or ``flush``."""
        self._waits = True

    def write(self, data: bytes) -> int:
        """Send all of it, behind what waits."""
        if self._waits:
            self._waits = False
            self._waiting += data
        elif len(self._waiting) + len(data) <= _PIECE:
            together, self._waiting = self._waiting + data, b""
            self._send(together)
        else:
            self.flush()
            self._send(data)
        return len(data)

    def flush(self) -> None:
        """Send what waits for more."""
        waiting, self._waiting = self._waiting, b""
        self._waits = False
        self._send(waiting)

    def _send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._socket_io.write(left[:_PIECE]) or 0 :]
