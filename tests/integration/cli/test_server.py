"""The web server lets nobody hold its threads."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from gateway.cli.server import Patience, Serving, WebServer

THREADS = 2
BAR = Patience(window_seconds=60, slowest_bytes=16 * 1024)
"""Moments are given to the watch by hand: nothing here waits for its minute."""


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


# Bodies that nobody wants


def _refusing(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Knows nobody, and reads no body; says otherwise only to a GET."""
    if environ["REQUEST_METHOD"] == "GET":
        start_response("200 OK", [("Content-Length", "0")])
        return []
    start_response("401 Unauthorized", [("Content-Length", "2")])
    return [b"no"]


@contextmanager
def _served(application: Any, patience: Patience) -> Iterator[WebServer]:
    server = WebServer("127.0.0.1", 0, application, threads=THREADS, patience=patience)
    server.prepare()
    serving = Serving(server)
    serving.start()
    try:
        yield server
    finally:
        serving.stop()


def _beginning(length: int) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n"


@pytest.mark.parametrize("beginning", [_beginning(33_000_000), CHUNKED], ids=["length", "chunked"])
def test_bodies_without_a_key_hold_no_thread(beginning: bytes) -> None:
    with _served(_refusing, Patience()) as server, ExitStack() as stack:
        for _ in range(4 * THREADS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.sendall(beginning + b"x" * 1500)  # and then nothing: 20 seconds later the silence would end it
        other = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        other.request("GET", "/")
        assert other.getresponse().status == 200
        other.close()


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_refusal_reaches_those_who_were_still_sending(size: int) -> None:
    with _served(_refusing, Patience()) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("POST", "/", body=b"x" * size)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Connection"), answer.read()) == (401, "close", b"no")
        connection.close()


def test_a_body_that_was_read_keeps_the_connection() -> None:
    with _served(_application, Patience()) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        for _ in range(2):
            connection.request("POST", "/", body=b"x" * 100)
            answer = connection.getresponse()
            assert (answer.status, answer.getheader("Connection"), len(answer.read())) == (200, None, 100)
        connection.close()


# The bar for slow senders and receivers


def _until_moved(server: WebServer, count: int) -> None:
    """Until the one request under way has had that many bytes."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if any(moved >= count for moved in server.watch.moved()):
            return
        time.sleep(0.01)
    raise AssertionError(server.watch.moved())


@pytest.mark.parametrize(("rate", "cut"), [(2 * 16 * 1024, 0), (8 * 1024, 1)], ids=["twice-the-bar", "half-the-bar"])
def test_the_bar_counts_bytes_as_they_come(rate: int, cut: int) -> None:
    """The application asks for a quarter of a megabyte at once, as the API does."""
    with _served(_application, BAR) as server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(_beginning(256 * 1024))
        _until_moved(server, 1)
        now, sent = time.monotonic(), len(_beginning(256 * 1024))
        for minute in range(1, 4):
            connection.sendall(b"x" * rate)
            sent += rate
            _until_moved(server, sent)
            if server.watch.look(now + 61 * minute):
                assert cut == 1
                return
        assert cut == 0


def test_the_bar_counts_bytes_of_a_large_answer_as_they_go() -> None:
    def large(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(64 * 1024 * 1024))])
        return [bytes(64 * 1024 * 1024)]

    with _served(large, BAR) as server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        _until_moved(server, 64 * 1024)  # of an answer that is still being written
        assert server.watch.look(time.monotonic() + 61) == 0
