"""Bytes on a connection to a gateway, well formed or not, and a port that must never be called."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


def say(port: int, data: bytes, *, end: bool = False, seconds: float = 15.0) -> bytes:
    """
    Send bytes on a connection of their own; all that was answered until the server closed or fell silent.

    :param end: close our sending side afterwards, as a client that died would.
    """
    answer = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        # It may close while we still send: that is an answer too.
        with contextlib.suppress(OSError):
            connection.sendall(data)
            if end:
                connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while piece := connection.recv(65536):
                answer += piece
                # After a whole answer on a connection that stays open, what follows comes at once or not at all.
                connection.settimeout(1.0)
    return bytes(answer)


def statuses(answer: bytes) -> list[int]:
    """The status codes of all answers on one connection, 100 left out."""
    lines = [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.")]
    return [code for line in lines if (code := int(line.split()[1])) != 100]


def request(
    method: str,
    target: str,
    headers: Sequence[tuple[str, str] | bytes],
    body: bytes = b"",
    *,
    version: str = "HTTP/1.1",
) -> bytes:
    """A request with just these headers, which may be raw lines; nothing is added or checked."""
    lines = [f"{method} {target} {version}".encode()]
    lines += [h if isinstance(h, bytes) else f"{h[0]}: {h[1]}".encode() for h in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(body: bytes, size: int = 1000) -> bytes:
    """A body in chunks, rightly."""
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


@dataclass
class Canary:
    """A listening port whose every caller is noted."""

    port: int
    calls: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where hostile packages point."""
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def a_canary() -> Iterator[Canary]:
    """A canary until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        canary = Canary(server.getsockname()[1])
        stop = threading.Event()

        def listen() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    caller, _ = server.accept()
                    with caller:
                        caller.settimeout(1.0)
                        with contextlib.suppress(OSError):
                            canary.calls.append(caller.recv(1000))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield canary
        finally:
            stop.set()
            thread.join(timeout=5)


@contextlib.contextmanager
def dribbling(port: int, head: bytes, *, clients: int, every: float = 0.5) -> Iterator[None]:
    """Clients that have sent ``head`` and go on with one byte at a time, until the block ends."""
    stop = threading.Event()

    def dribble() -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(head)
            while not stop.wait(every):
                connection.sendall(b"x")

    threads = [threading.Thread(target=dribble, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=15)
