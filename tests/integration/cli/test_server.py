"""The web server lets nobody hold its threads."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.server import Patience, Serving, WebServer
from gateway.signing.keys import certificates_to_pem, key_to_pem
from tests.support import pki

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


def _answering(status: str) -> Any:
    """Says the same to everybody, and reads no body."""

    def answer(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response(status, [("Content-Length", "2")])
        return [b"no"]

    return answer


def _reading(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Says what it was told, in whatever framing."""
    body = environ["wsgi.input"].read(1000)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size and (piece := connection.recv(size - len(received))):
        received += piece
    return received


def _sent_until_reset(connection: socket.socket, piece: bytes, *, every: float = 0) -> int:
    """How many bytes it took until nobody listened; a gigabyte at most."""
    sent = 0
    while sent < 10**9:
        try:
            sent += connection.send(piece)
        except ConnectionError:
            break
        time.sleep(every)
    return sent


def _until(connection: socket.socket, end: bytes) -> bytes:
    received = b""
    while not received.endswith(end) and (piece := connection.recv(1000)):
        received += piece
    return received


def _all_of(connection: socket.socket) -> bytes:
    """Up to the end of what the server says on a connection."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def _trusting_anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextmanager
def _served(application: Any, patience: Patience, *, port: int = 0, tls: Path | None = None) -> Iterator[WebServer]:
    """:param tls: a folder for certificate and key."""
    server = WebServer("127.0.0.1", port, application, threads=THREADS, patience=patience)
    if tls is not None:
        certificate, key = tls / "certificate.pem", tls / "key.pem"
        certificate.write_bytes(certificates_to_pem([pki.gateway().certificate]))
        key.write_bytes(key_to_pem(pki.gateway()))
        server.use_tls(certificate, key)
    server.prepare()
    serving = Serving(server)
    serving.start()
    try:
        yield server
    finally:
        serving.stop()


def _beginning(length: int) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length


CHUNKS = b"2\r\n12\r\n3\r\n345\r\n0\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n"


@pytest.mark.parametrize("beginning", [_beginning(33_000_000), CHUNKED], ids=["length", "chunked"])
def test_bodies_without_a_key_hold_no_thread(beginning: bytes) -> None:
    with _served(_refusing, Patience()) as server, ExitStack() as stack:
        for _ in range(4 * THREADS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.sendall(beginning + b"x" * 1500)  # and then nothing: 20 seconds later the silence would end it
        other = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        other.request("GET", "/")
        assert other.getresponse().status == 200
        other.close()


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_refusal_reaches_those_who_were_still_sending(size: int) -> None:
    with _served(_refusing, Patience()) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("POST", "/", body=b"x" * size)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Connection"), answer.read()) == (401, "close", b"no")
        connection.close()


def test_a_body_that_was_read_keeps_the_connection() -> None:
    with _served(_application, Patience()) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for _ in range(2):
            connection.request("POST", "/", body=b"x" * 100)
            answer = connection.getresponse()
            assert (answer.status, answer.getheader("Connection"), len(answer.read())) == (200, None, 100)
        connection.close()


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found", "413 Content Too Large", "429 Too Many"])
@pytest.mark.parametrize("beginning", [_beginning(33_000_000), CHUNKED], ids=["length", "chunked"])
def test_whoever_still_sends_after_an_early_answer_holds_no_thread(beginning: bytes, status: str) -> None:
    with _served(_answering(status), Patience(farewell_seconds=600)) as server, ExitStack() as stack:
        for _ in range(4 * THREADS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            connection.sendall(beginning + b"x" * 1500)
            assert _all_of(connection).startswith(b"HTTP/1.1 " + status.encode())
            connection.sendall(b"x" * 1500)  # it is still listened to
        assert _answer(server.port) == int(status[:3])


@pytest.mark.parametrize("size", [10, 200_000, 3_000_000])
def test_an_early_answer_is_seen_by_those_who_send_on(size: int) -> None:
    with (
        _served(_answering("413 Content Too Large"), Patience()) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection,
    ):
        connection.sendall(_beginning(size) + b"x" * (size // 2))
        connection.sendall(b"x" * (size - size // 2))
        answer = _all_of(connection)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"\r\nConnection: close\r\n" in answer


def test_what_is_broken_is_told_so_however_much_follows() -> None:
    with (
        _served(_application, Patience()) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection,
    ):
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n" + b"x" * 1_000_000)
        assert _all_of(connection).startswith(b"HTTP/1.1 400 ")


def test_no_more_than_so_much_is_thrown_away() -> None:
    """The client sends for ever; with a reset it learns that nobody listens."""
    with (
        _served(_answering("404 Not Found"), Patience(farewell_seconds=600)) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection,
    ):
        connection.sendall(_beginning(10**9))
        assert _sent_until_reset(connection, b"x" * 65536) < 100_000_000


def test_a_client_that_stays_is_left_after_its_time() -> None:
    with (
        _served(_answering("404 Not Found"), Patience(farewell_seconds=0)) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection,
    ):
        connection.sendall(_beginning(10**9))
        assert _all_of(connection)
        assert _sent_until_reset(connection, b"x", every=0.05) < 1000


def test_an_answer_leaves_in_one_piece() -> None:
    with (
        _served(_application, Patience()) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection,
    ):
        for _ in range(3):
            connection.sendall(_beginning(5) + b"12345")
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.endswith(b"\r\n\r\n12345")


@pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
def test_an_answer_is_whole_whatever_its_size(size: int) -> None:
    with _served(_application, Patience()) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        body = bytes(i % 251 for i in range(size))
        for _ in range(2):
            connection.request("POST", "/", body=body)
            assert connection.getresponse().read() == body
        connection.close()


def test_requests_in_one_piece_are_answered_each() -> None:
    one = _beginning(5) + b"12345"
    with (
        _served(_application, Patience()) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection,
    ):
        connection.sendall(3 * one + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert _all_of(connection).count(b"HTTP/1.1 200 OK") == 4


def test_under_tls_it_is_the_same(tmp_path: Path) -> None:
    with _served(_application, Patience(), tls=tmp_path) as server:
        body = bytes(i % 251 for i in range(1_000_000))
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=20, context=_trusting_anybody())
        for _ in range(2):
            connection.request("POST", "/", body=body)
            assert connection.getresponse().read() == body
        connection.close()


def test_under_tls_an_early_answer_holds_no_thread_either(tmp_path: Path) -> None:
    patience = Patience(farewell_seconds=600)
    with _served(_answering("413 Content Too Large"), patience, tls=tmp_path) as server, ExitStack() as stack:
        for _ in range(2 * THREADS):
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            connection = stack.enter_context(_trusting_anybody().wrap_socket(plain))
            connection.sendall(_beginning(33_000_000) + b"x" * 1500)
            assert _until(connection, b"no").startswith(b"HTTP/1.1 413 ")
            connection.sendall(b"x" * 1500)


# Clients that ask before they send

ASKING = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nExpect: 100-continue\r\n%s\r\n"
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
FRAMINGS = {"length": (b"Content-Length: 5\r\n", b"12345"), "chunked": (b"Transfer-Encoding: chunked\r\n", CHUNKS)}


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found", "413 Content Too Large", "429 Too Many"])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_client_that_asks_first_learns_what_its_header_decides(framing: str, status: str) -> None:
    with (
        _served(_answering(status), Patience()) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection,
    ):
        connection.sendall(ASKING % FRAMINGS[framing][0])
        answer = _all_of(connection)
        assert answer.startswith(b"HTTP/1.1 " + status.encode())
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.count(b"HTTP/1.1 ") == 1


def test_a_client_that_asks_first_with_a_broken_header_is_refused_only() -> None:
    with (
        _served(_application, Patience()) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection,
    ):
        connection.sendall(ASKING % b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")
        assert _all_of(connection).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("spelling", [b"100-continue", b"100-Continue"])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_wanted_body_is_asked_for_once(framing: str, spelling: bytes) -> None:
    header, body = FRAMINGS[framing]
    with (
        _served(_reading, Patience()) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection,
    ):
        for _ in range(2):  # the connection stays
            connection.sendall((ASKING % header).replace(b"100-continue", spelling))
            assert _receive(connection, len(GO_ON)) == GO_ON
            connection.sendall(body)
            answer = _until(connection, b"12345")
            assert answer.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "request_",
    [
        _beginning(5) + b"12345",
        ASKING % b"Content-Length: 0\r\n",
        (ASKING % b"Content-Length: 5\r\n").replace(b"HTTP/1.1", b"HTTP/1.0") + b"12345",
    ],
    ids=["who-does-not-ask", "without-a-body", "in-http-1.0"],
)
def test_nobody_else_is_told_to_go_on(request_: bytes) -> None:
    with (
        _served(_reading, Patience()) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection,
    ):
        connection.sendall(request_)
        assert _receive(connection, len(b"HTTP/1.1 200")) == b"HTTP/1.1 200"


# The port


def test_a_port_that_was_any_free_one_can_be_had_again() -> None:
    with _served(_answering("404 Not Found"), Patience()) as server:
        port = server.port
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert _all_of(connection)  # the server closed first: its side is in TIME_WAIT
    with _served(_application, Patience(), port=port) as again:
        assert _answer(again.port) == 200


def test_nobody_else_can_have_the_port_meanwhile() -> None:
    with _served(_application, Patience()) as server, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", server.port))


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


# Forms


@pytest.mark.parametrize(
    ("target", "cut"),
    [(b"/console/login", 1), (b"/lgsp/v1/auth/login?allow_anonymous=true", 1), (b"/api/v1/documents", 0)],
    ids=["form", "login of a system", "document"],
)
@pytest.mark.parametrize("framing", [b"Content-Length: 5000", b"Transfer-Encoding: chunked"], ids=["length", "chunked"])
def test_a_form_has_little_time(target: bytes, cut: int, framing: bytes) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n" % (target, framing)
    with _served(_reading, BAR) as server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head + b"1388\r\nlogin=")
        _until_moved(server, len(head) + 12)
        now = time.monotonic()
        assert server.watch.look(now + 9) == 0
        assert server.watch.look(now + 11) == cut


def test_a_form_that_has_come_may_take_its_time() -> None:
    """What the application does with it afterwards is not the client's fault."""
    done = threading.Event()

    def thinking(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        environ["wsgi.input"].read(5)
        begun.set()
        assert done.wait(20)
        start_response("200 OK", [("Content-Length", "0")])
        return []

    begun = threading.Event()
    with _served(thinking, BAR) as server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /console/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345")
        assert begun.wait(20)
        assert server.watch.look(time.monotonic() + 11) == 0
        done.set()
        assert _receive(connection, len(b"HTTP/1.1 200")) == b"HTTP/1.1 200"
