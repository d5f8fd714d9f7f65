"""Parting from clients that are still sending."""

from __future__ import annotations

import contextlib
import queue
import selectors
import socket
import time
from dataclasses import dataclass

MOST_DISCARDED = 4 * 1024 * 1024
"""Bytes of a body that nobody wanted which are thrown away after the answer."""
_MOST_AT_ONCE = 256
"""Connections; when there are more, the oldest has had its time."""
_PIECE = 64 * 1024


@dataclass
class _Leaving:
    """A connection that has had its answer."""

    connection: socket.socket
    left: int
    """Bytes that may still come."""
    until: float


class Lingering:
    """
    Closes connections after early answers, without a thread for each (RFC 9112 §9.6).

    Closed with bytes unread, a connection is reset, and the answer may be lost with it. So what the client still
    sends is read and thrown away for a while. The threads that serve requests are few, and a client is free to say
    nothing for as long as it is waited for: they hand the connection over and serve the next.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._newcomers: queue.SimpleQueue[_Leaving] = queue.SimpleQueue()
        self._leaving: dict[int, _Leaving] = {}
        """By descriptor, the oldest first; like the selector touched by one thread only."""
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._bin = bytearray(_PIECE)

    def take(self, connection: socket.socket, most: int) -> None:
        """
        Say that nothing more comes from here, and close it later: by any thread.

        :param most: bytes that the client may still send; under TLS they arrive in records, which are a little longer.
        """
        most += most // 50 + _PIECE
        try:
            connection.shutdown(socket.SHUT_WR)
            connection.setblocking(False)
        except OSError:  # it has gone
            connection.close()
            return
        self._newcomers.put(_Leaving(connection, min(most, MOST_DISCARDED), time.monotonic() + self._seconds))
        self.wake()

    def wake(self) -> None:
        """End the wait of ``look``."""
        with contextlib.suppress(BlockingIOError):  # full of calls that it has not heard yet
            self._waker.send(b"!")

    def look(self, seconds: float) -> None:
        """Wait at most so long for anything to come, throw it away, and close what has ended or had its time."""
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._woken:
                self._woken.recv_into(self._bin)
            else:
                self._discard(self._leaving[key.fd])
        while not self._newcomers.empty():
            self._admit(self._newcomers.get())
        now = time.monotonic()
        for leaving in [one for one in self._leaving.values() if one.until < now]:
            self._close(leaving)

    def close(self) -> None:
        """Wait for nobody any more; ``take`` is not called again."""
        while not self._newcomers.empty():
            self._newcomers.get().connection.close()
        for leaving in list(self._leaving.values()):
            self._close(leaving)
        self._selector.close()
        self._woken.close()
        self._waker.close()

    def _admit(self, leaving: _Leaving) -> None:
        if len(self._leaving) >= _MOST_AT_ONCE:
            self._close(next(iter(self._leaving.values())))
        self._selector.register(leaving.connection, selectors.EVENT_READ)
        self._leaving[leaving.connection.fileno()] = leaving

    def _discard(self, leaving: _Leaving) -> None:
        try:
            count = leaving.connection.recv_into(self._bin)
        except BlockingIOError:
            return
        except OSError:  # reset by the client
            count = 0
        leaving.left -= count
        if not count or leaving.left <= 0:
            self._close(leaving)

    def _close(self, leaving: _Leaving) -> None:
        del self._leaving[leaving.connection.fileno()]
        self._selector.unregister(leaving.connection)
        leaving.connection.close()
