"""
A receiver on the loopback that does what the test says: a gateway, or an agency's own system.

It is idempotent, as receivers must be: ``effects`` counts what it would have done once, by
``webhook-id`` (push) or by document and recipient (peer); ``requests`` holds everything that came.
``python -m tests.support.peer`` runs one in a process of its own and prints its port.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import ssl
import struct
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PEER_PATH = "/api/v1/documents"


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    at: float
    """``time.monotonic()`` when it had arrived whole."""
    connection: int
    """Number of the connection that it came on."""


@dataclass(frozen=True)
class Reply:
    """What to do with one request."""

    status: int | None = None
    """``None``: as a good receiver would (202 with a receipt, or 204)."""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    stores: bool = True
    """Whether the document takes effect."""
    after: float = 0.0
    """Seconds before answering."""
    until: threading.Event | None = None
    """Answer only when this is set."""
    ends: str = "whole"
    """``whole``; ``half``: the connection is cut within the answer; ``dropped``: before it; ``reset``: by TCP."""


ACCEPTS = Reply()
DROPS_THE_ANSWER = Reply(ends="dropped")
"""The ambiguous case: the document is there, and the sender does not know."""
RESETS = Reply(ends="reset", stores=False)
CUTS_THE_ANSWER = Reply(ends="half")
PORTAL = Reply(200, (("Content-Type", "text/html"),), b"<html>Please log in</html>", stores=False)


def fails(status: int, *, code: str | None = None, retry_after: str | None = None) -> Reply:
    """An error answer; with a problem document when there is a code."""
    headers = [("Retry-After", retry_after)] if retry_after is not None else []
    if code is None:
        return Reply(status, tuple(headers), b"", stores=False)
    kind = f"urn:eoffice-gateway:error:{code}"
    problem = {"type": kind, "status": status, "code": code, "detail": "Ông Nguyễn Văn A"}
    headers.append(("Content-Type", "application/problem+json"))
    return Reply(status, tuple(headers), json.dumps(problem).encode(), stores=False)


def says(status: int, body: bytes, media_type: str = "application/json") -> Reply:
    """Any answer."""
    return Reply(status, (("Content-Type", media_type),), body, stores=False)


@dataclass
class Receiver:
    """The receiver's memory and orders."""

    url: str = ""
    default: Reply = ACCEPTS
    script: deque[Reply] = field(default_factory=deque)
    """Replies to the next requests, before ``default`` applies."""
    rule: Callable[[Request], Reply | None] | None = None
    """Decides by the request; ``None`` leaves it to the script."""
    requests: list[Request] = field(default_factory=list)
    effects: Counter[str] = field(default_factory=Counter)
    """How often each thing took effect; an idempotent receiver never has more than 1."""
    repeats: Counter[str] = field(default_factory=Counter)
    """How often each thing came again after it had taken effect."""
    in_flight: int = 0
    most_in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    keep: bool = True
    """False: bodies are counted and forgotten, for benchmarks."""

    def arrived(self, request: Request) -> Reply:
        """Record one request and decide on it."""
        with self.lock:
            if self.keep:
                self.requests.append(request)
            reply = self.rule(request) if self.rule else None
            if reply is None:
                reply = self.script.popleft() if self.script else self.default
            if reply.stores and (reply.status is None or 200 <= reply.status < 300):
                for effect in effects_of(request):
                    if effect in self.effects:
                        self.repeats[effect] += 1
                    else:
                        self.effects[effect] = 1
        return reply


def effects_of(request: Request) -> list[str]:
    """What one request would do: names that are the same for a repetition of it."""
    if "webhook-id" in request.headers:
        return [request.headers["webhook-id"]]
    digest = hashlib.sha256(request.body).hexdigest()
    return [f"{digest}:{code}" for code in request.headers.get("gateway-recipients", "").split(",")]


def receipt_for(request: Request) -> dict[str, str]:
    """The receipt of a gateway that accepted this request."""
    digest = hashlib.sha256(request.body).hexdigest()
    return {"id": f"peer-{digest[:8]}", "sha256": digest, "jws": "e30.e30.e30"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        with self.server.receiver.lock:
            self.server.connections += 1
            self.number = self.server.connections

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            # The sender died while it sent: what did not come whole has no effect.
            self.close_connection = True
            return
        headers = {k.lower(): v for k, v in self.headers.items()}
        request = Request(self.path, headers, body, time.monotonic(), self.number)
        receiver = self.server.receiver
        with receiver.lock:
            receiver.in_flight += 1
            receiver.most_in_flight = max(receiver.most_in_flight, receiver.in_flight)
        try:
            reply = receiver.arrived(request)
            if reply.until is not None:
                reply.until.wait(30)
            if reply.after:
                time.sleep(reply.after)
        finally:
            with receiver.lock:
                receiver.in_flight -= 1
        self._answer(reply, request)

    def _answer(self, reply: Reply, request: Request) -> None:
        if reply.ends in ("dropped", "reset"):
            if reply.ends == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        status, headers, body = reply.status, list(reply.headers), reply.body or b""
        if status is None and request.path.endswith(PEER_PATH):
            status, body = 202, json.dumps(receipt_for(request)).encode()
            headers.append(("Content-Type", "application/json"))
        elif status is None:
            status = 204
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if reply.ends == "half":
            body = body[: len(body) // 2]
            self.close_connection = True
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body)  # the sender may have had enough of it

    def log_message(self, *args: object) -> None:
        """Tests read ``requests`` instead."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    connections = 0

    def __init__(self, receiver: Receiver, port: int = 0) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A broken connection is what the tests are about; anything else is a fault of the test."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type] # the base class types sockets only


@contextlib.contextmanager
def a_receiver(default: Reply = ACCEPTS, *, tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Receiver]:
    """A receiver on a loopback port, by default a free one, until the block ends."""
    receiver = Receiver(default=default)
    server = _Server(receiver, port)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _main() -> None:
    receiver = Receiver(keep=False)
    server = _Server(receiver)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _main()
