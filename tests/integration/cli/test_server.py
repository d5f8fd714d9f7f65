"""The web server lets nobody hold its threads."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from gateway.cli.server import Patience, Serving, WebServer

THREADS = 2


def _application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@pytest.fixture
def port() -> Iterator[int]:
    patience = Patience(silence_seconds=30, header_seconds=0.5, window_seconds=0.5, slowest_bytes=1000)
    server = WebServer("127.0.0.1", 0, _application, threads=THREADS, patience=patience)
    server.prepare()
    serving = Serving(server)
    serving.start()
    yield server.port
    serving.stop()
    assert not serving.is_alive


def _answer(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/", body=b"x" * 10)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    "beginning",
    [b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"],
    ids=["header", "body"],
)
def test_clients_that_dribble_lose_their_turn(port: int, beginning: bytes) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(2 * THREADS)]
        for connection in slow:
            connection.sendall(beginning)
        ended = threading.Event()

        def dribble() -> None:
            while not ended.wait(0.1):
                for connection in slow:
                    try:
                        connection.send(b"x")
                    except OSError:
                        continue

        thread = threading.Thread(target=dribble)
        thread.start()
        try:
            began = time.monotonic()
            assert _answer(port) == 200
            assert time.monotonic() - began < 15
        finally:
            ended.set()
            thread.join()


def test_an_honest_client_is_served(port: int) -> None:
    assert [_answer(port) for _ in range(5)] == [200] * 5


def test_a_header_without_end_is_refused(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n")
        assert b" 413 " in connection.recv(100)
