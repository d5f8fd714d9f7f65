"""
Connections to endpoints: opened, kept alive for the next request, and given up when there is any doubt about them.

The protocol itself is the standard library's ``http.client``; what is here is which connection serves a request.
For small documents a library with more to offer costs as much again as the request (decision 0019).
"""

from __future__ import annotations

import functools
import http.client
import io
import select
import socket
import ssl
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, NamedTuple, cast


class Origin(NamedTuple):
    """What a connection leads to."""

    scheme: str
    """``http`` or ``https``."""
    host: str
    """A name, or an address without brackets."""
    port: int


class NotConnected(Exception):
    """There is no connection, so nothing was sent; the cause is what the operating system or ``ssl`` said."""


class EndedEarly(http.client.HTTPException):
    """The answer is shorter than it said."""


class Connections:
    """Idle connections by origin; shared by all threads."""

    def __init__(
        self,
        *,
        connect_timeout: float,
        read_timeout: float,
        tls: ssl.SSLContext,
        kept_per_origin: int,
        origins: int,
        block: int,
    ) -> None:
        """
        Keep the bounds.

        :param connect_timeout: seconds; for the connection, the TLS handshake, and each block sent.
        :param read_timeout: seconds; from the request to the end of the answer's head, and for each piece of its body.
        :param kept_per_origin: idle connections kept for one origin.
        :param origins: origins for which some are kept; of the one used longest ago all are closed first.
        :param block: bytes of a file given to the socket at a time.
        """
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._tls = tls
        self._kept = kept_per_origin
        self._origins = origins
        self._block = block
        self._idle: OrderedDict[Origin, deque[http.client.HTTPConnection]] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def exchange(
        self, origin: Origin, method: str, path: str, *, body: bytes | BinaryIO | None, headers: Mapping[str, str]
    ) -> Iterator[Answering]:
        """
        Make one request; inside the block its answer is read.

        :param body: goes out as it is; ``headers`` say how long it is.
        :raises NotConnected: nothing was sent.
        :raises OSError, http.client.HTTPException: it broke, or took too long, after that.
        """
        connection = self._idle_one(origin) or self._new(origin)
        whole = False
        try:
            answering = Answering(self._request(connection, method, path, body, headers))
            yield answering
            whole = answering.read_to_its_end and not answering.response.will_close
        finally:
            if whole:
                answering.response.close()
                self._keep(origin, connection)
            else:
                connection.close()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle = [connection for connections in self._idle.values() for connection in connections]
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _request(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | BinaryIO | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        connection.sock.settimeout(self._connect_timeout)
        # It may have stopped listening because it has answered already: too large, wrong key.
        with suppress(BrokenPipeError):
            connection.request(method, path, body, headers)
        return connection.getresponse()

    def _idle_one(self, origin: Origin) -> http.client.HTTPConnection | None:
        """The one used last, if the other side has not closed it since."""
        while True:
            with self._lock:
                idle = self._idle.get(origin)
                if not idle:
                    return None
                connection = idle.pop()
            if not _has_news(connection):
                return connection
            connection.close()

    def _new(self, origin: Origin) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        if origin.scheme == "https":
            connection = http.client.HTTPSConnection(
                origin.host, origin.port, timeout=self._connect_timeout, context=self._tls, blocksize=self._block
            )
        else:
            connection = http.client.HTTPConnection(
                origin.host, origin.port, timeout=self._connect_timeout, blocksize=self._block
            )
        connection.response_class = functools.partial(_Response, patience=self._read_timeout)  # type: ignore[assignment] # anything that makes a response will do
        try:
            connection.connect()
        except (OSError, UnicodeError) as e:  # a name can be one that no resolver may be asked for
            connection.close()
            raise NotConnected from e
        return connection

    def _keep(self, origin: Origin, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            idle = self._idle.setdefault(origin, deque())
            self._idle.move_to_end(origin)
            idle.append(connection)
            surplus = [idle.popleft()] if len(idle) > self._kept else []
            if len(self._idle) > self._origins:
                surplus += self._idle.popitem(last=False)[1]
        for one in surplus:
            one.close()


class Answering:
    """The answer to one request, while it arrives."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.response = response
        self.status = response.status
        self.headers = response.headers
        self.read_to_its_end = False

    def read(self, most: int) -> bytes:
        """
        What has arrived, at least one byte and at most that many, or nothing when it is at its end.

        :raises EndedEarly: the connection was closed before.
        """
        response = self.response
        if isinstance(response, _Response):
            response.wait_anew()
        if response.isclosed() or response.length == 0:
            self.read_to_its_end = True
            return b""
        piece = response.read1(most)
        if not piece:
            # Without a length, and not in chunks, the end of the connection is the end of the answer.
            if response.length:
                raise EndedEarly
            self.read_to_its_end = True
        return piece


class _Response(http.client.HTTPResponse):
    """
    An answer that is read within a time.

    The socket's own time is that of one wait. A head, the sizes of chunks, and 1xx answers before the true one
    can come byte by byte for ever, each of them in time.
    """

    def __init__(self, sock: socket.socket, *args: Any, patience: float, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        raw = self.fp.detach()
        self._timed = _Timed(cast("socket.SocketIO", raw), sock)
        self._patience = patience
        self.fp = io.BufferedReader(self._timed)
        self.wait_anew()

    def wait_anew(self) -> None:
        """From now on the time counts again."""
        self._timed.deadline = time.monotonic() + self._patience


class _Timed(io.RawIOBase):
    """What a socket receives before a deadline."""

    deadline = 0.0
    """``time.monotonic()``."""

    def __init__(self, raw: socket.SocketIO, sock: socket.socket) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        """
        As files do.

        :raises TimeoutError: nothing came before the deadline.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Give up the socket's file, as ``http.client`` expects of it."""
        self._raw.close()
        super().close()


def _has_news(connection: http.client.HTTPConnection) -> bool:
    """Whether something came in while nothing was asked: the end of the connection, or what nobody can assign."""
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
