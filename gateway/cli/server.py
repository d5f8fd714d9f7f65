"""The web server of one process: cheroot, with bounds on how long a client may take."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from cheroot.server import HTTPConnection
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

from gateway.cli.framing import StrictRequest
from gateway.cli.lingering import Lingering
from gateway.cli.streams import Meter, MeteredSocket, SocketReader, SocketWriter

_log = structlog.get_logger()

HEADER_BYTES = 64 * 1024
FORMS = b"/console/"
"""Under this path people send forms, of 64 KB at most: some of them before anybody knows who they are."""
LOGINS = b"/auth/login"
"""So ends the path under which systems log in, whatever prefix it has: neither does anybody know them before."""
DRAIN_SECONDS = 30
"""How long requests under way may take to end when the program is told to stop."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How slow a client may be. A thread serves one request at a time, so a slow one takes it from all others."""

    silence_seconds: int = 20
    """Between two pieces of a request or an answer."""
    header_seconds: float = 20
    """From the first byte of a request to the end of its header."""
    window_seconds: float = 60
    slowest_bytes: int = 16 * 1024
    """In each window, of body or answer together: 273 bytes a second. A commune's 128 kbit/s has sixty times that."""
    form_seconds: float = 10
    """From the end of the header to the end of a form: whoever may send one may not even have logged in."""
    farewell_seconds: float = 5
    """For what still comes after an early answer; it takes no thread."""


class _WatchedRequest(StrictRequest):
    """Tells its connection when its header has been read, and when the application has its turn."""

    def respond(self) -> None:
        """As its base."""
        self.conn.header_read(self)
        super().respond()


class _WatchedConnection(HTTPConnection):
    """A connection whose present request is known to the watch."""

    RequestHandlerClass = _WatchedRequest

    def __init__(self, server: Any, connection: Any, _makefile: Any = None) -> None:
        self._meter = Meter()
        self._unread = 0
        super().__init__(server, connection, self._file)

    def _file(self, connection: Any, mode: str, _size: int) -> SocketReader | SocketWriter:
        """One direction of the connection, plain or under TLS, in place of cheroot's own files."""
        if "r" in mode:
            return SocketReader(MeteredSocket(connection, "r", self._meter))
        return SocketWriter(MeteredSocket(connection, "w", self._meter))

    def communicate(self) -> Any:
        """Serve one request, watched."""
        watch: Watch = self.server.watch
        with watch.over(self):
            return super().communicate()  # type: ignore[no-untyped-call]  # cheroot's stubs leave it out

    def header_read(self, request: StrictRequest) -> None:
        """The header is complete; from now on the rate counts."""
        self.server.watch.header_read(self, request)

    def may_still_come(self, most: int) -> None:
        """The answer is given, and so many bytes of the request may still come that nobody will read."""
        self._unread = most

    def close(self) -> None:
        """As its base; but a client that is still sending is given the time to see the answer."""
        if self._unread <= 0:
            super().close()
            return
        self.rfile.close()
        self.server.lingering.take(self.socket, self._unread)

    @property
    def moved_bytes(self) -> int:
        """Bytes read and written since it was opened, up to this moment."""
        return self._meter.bytes


@dataclass
class _Turn:
    """One request under way."""

    connection: Any
    began: float
    header_read: bool = False
    header_ended: float = 0.0
    form: StrictRequest | None = None
    """The request, when it is one that may bring a form."""
    window_began: float = 0.0
    window_bytes: int = 0


class Watch:
    """
    Ends connections that dribble.

    Cheroot's own timeout is from byte to byte: one byte every few seconds would hold a thread for
    hours, and as many clients as there are threads would stop the gateway.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._turns: dict[int, _Turn] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def over(self, connection: Any) -> Iterator[None]:
        """Watch a connection for the time of one request."""
        with self._lock:
            self._turns[id(connection)] = _Turn(connection=connection, began=time.monotonic())
        try:
            yield
        finally:
            with self._lock:
                self._turns.pop(id(connection), None)

    def header_read(self, connection: Any, request: StrictRequest) -> None:
        """The request of this connection has its header."""
        with self._lock:
            turn = self._turns.get(id(connection))
            if turn is not None:
                turn.header_read, turn.header_ended = True, time.monotonic()
                turn.window_began, turn.window_bytes = turn.header_ended, connection.moved_bytes
                turn.form = request if _may_be_anybodys(request.path) else None

    def moved(self) -> list[int]:
        """Of each request under way, the bytes that its connection has read and written."""
        with self._lock:
            return [turn.connection.moved_bytes for turn in self._turns.values()]

    def look(self, now: float) -> int:
        """End what is too slow at that monotonic moment; how many that were."""
        with self._lock:
            slow = [turn for turn in self._turns.values() if self._is_slow(turn, now)]
        for turn in slow:
            _log.warning("slow client", action="request.too_slow", header_read=turn.header_read)
            with contextlib.suppress(OSError):
                # Only shut down: the thread that serves it finds the end and closes it.
                turn.connection.socket.shutdown(socket.SHUT_RDWR)
        return len(slow)

    def _is_slow(self, turn: _Turn, now: float) -> bool:
        patience = self._patience
        if not turn.header_read:
            return now - turn.began > patience.header_seconds
        if turn.form is not None and turn.form.is_body_unread and now - turn.header_ended > patience.form_seconds:
            return True
        if now - turn.window_began < patience.window_seconds:
            return False
        moved = turn.connection.moved_bytes
        slow = bool(moved - turn.window_bytes < patience.slowest_bytes)
        turn.window_began, turn.window_bytes = now, moved
        return slow


def _may_be_anybodys(path: bytes) -> bool:
    return path.startswith(FORMS) or path.endswith(LOGINS)


class WebServer(Server):
    """Cheroot, watched, logging as the rest of the program does."""

    ConnectionClass = _WatchedConnection

    def __init__(self, host: str, port: int, application: Any, *, threads: int, patience: Patience) -> None:
        super().__init__(
            (host, port),
            application,
            numthreads=threads,
            max=threads,
            request_queue_size=256,
            timeout=patience.silence_seconds,
            shutdown_timeout=DRAIN_SECONDS,
            server_name="gateway",
        )
        self.max_request_header_size = HEADER_BYTES
        self.keep_alive_conn_limit = 1000
        self.watch = Watch(patience)
        self.lingering = Lingering(patience.farewell_seconds)

    def use_tls(self, certificate: Path, key: Path) -> None:
        """Speak TLS with this certificate (PEM with its chain) and key."""
        self.ssl_adapter = BuiltinSSLAdapter(str(certificate), str(key))

    @staticmethod
    def bind_socket(socket_: socket.socket, bind_addr: Any) -> socket.socket:
        """
        As its base; afterwards the port can be had again as soon as this process has ended.

        Cheroot leaves ``SO_REUSEADDR`` out for port 0, because it could be given the port of another program. Set
        behind the bind that cannot happen, and the connections that outlive the process in TIME_WAIT have it.
        """
        socket_.bind(bind_addr)
        socket_.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return socket_

    @property
    def port(self) -> int:
        """The port that is listened on; after ``prepare``."""
        return int(self.socket.getsockname()[1])

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """One line; bodies and headers never come here, addresses may."""
        event = "web server"
        _log.log(level, event, action="server.trouble", detail=str(msg)[:500], exc_info=traceback)


class Serving:
    """A web server at work in threads of its own."""

    def __init__(self, server: WebServer) -> None:
        self._server = server
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="web-watch", daemon=True)

    def start(self) -> None:
        """Take requests; ``server.prepare`` has been called."""
        self._thread.start()
        self._watcher.start()

    def stop(self) -> None:
        """Take no more requests, let those under way end, close."""
        self._server.stop()
        self._ended.set()
        self._server.lingering.wake()
        self._thread.join(timeout=DRAIN_SECONDS)

    @property
    def is_alive(self) -> bool:
        """False when it has ended by itself, which it never should."""
        return self._thread.is_alive()

    def _serve(self) -> None:
        self._server.serve()

    def _watch(self) -> None:
        while not self._ended.is_set():
            self._server.lingering.look(1.0)
            self._server.watch.look(time.monotonic())
        self._server.lingering.close()
