"""Which connection serves a request, and when one is given up."""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence

import pytest

from gateway.delivery.connections import Connections, EndedEarly, NotConnected, Origin

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
TOO_SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\nok"
TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Server:
    """Answers the n-th request of all with the n-th answer; counts connections."""

    def __init__(self, answers: Sequence[bytes], *, closes: bool = False, reads_body: bool = True) -> None:
        self.connections = 0
        self.closed = threading.Semaphore(0)
        """Released for each connection that has ended on this side."""
        self._answers = list(answers)
        self._closes = closes
        self._reads_body = reads_body
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.origin = Origin("http", "127.0.0.1", self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as reader:
            while self._answers and (line := reader.readline()):
                size = 0
                while line.strip():
                    name, _, value = line.partition(b":")
                    size = int(value) if name.lower() == b"content-length" else size
                    line = reader.readline()
                if self._reads_body:
                    reader.read(size)
                answer = self._answers.pop(0)
                connection.sendall(answer)
                if not self._reads_body:
                    # First the end of the answer, then the end of all: what is unread makes TCP reset the connection.
                    connection.shutdown(socket.SHUT_WR)
                if self._closes or answer in (TOO_SHORT, UNTIL_CLOSED, TOO_LARGE):
                    break
        self.closed.release()

    def close(self) -> None:
        self._listener.close()


@contextlib.contextmanager
def a_server(*answers: bytes, closes: bool = False, reads_body: bool = True) -> Iterator[Server]:
    server = Server(answers, closes=closes, reads_body=reads_body)
    try:
        yield server
    finally:
        server.close()


def some_connections(*, kept: int = 2, origins: int = 4) -> Connections:
    return Connections(
        connect_timeout=5,
        read_timeout=5,
        tls=ssl.create_default_context(),
        kept_per_origin=kept,
        origins=origins,
        block=32 * 1024,
    )


@pytest.fixture
def connections() -> Iterator[Connections]:
    made = some_connections()
    yield made
    made.close()


def ask(connections: Connections, server: Server, *, body: bytes = b"", read: bool = True) -> bytes:
    headers = {"Content-Length": str(len(body))}
    with connections.exchange(server.origin, "POST", "/", body=body, headers=headers) as answering:
        found = b""
        while read and (piece := answering.read(100)):
            found += piece
        return found


@pytest.mark.parametrize("answer", [OK, CHUNKED])
def test_an_answer_read_to_its_end_leaves_the_connection_to_the_next(connections: Connections, answer: bytes) -> None:
    with a_server(answer, OK) as server:
        assert [ask(connections, server), ask(connections, server)] == [b"ok", b"ok"]
        assert server.connections == 1


def test_a_connection_that_the_other_side_has_closed_is_not_used(connections: Connections) -> None:
    with a_server(OK, OK, closes=True) as server:
        ask(connections, server)
        server.closed.acquire()
        assert ask(connections, server) == b"ok"
        assert server.connections == 2


def test_what_came_unasked_is_not_taken_for_the_next_answer(connections: Connections) -> None:
    with a_server(OK + OK.replace(b"ok", b"no"), OK) as server:
        assert [ask(connections, server), ask(connections, server)] == [b"ok", b"ok"]


def test_an_answer_left_unread_ends_its_connection(connections: Connections) -> None:
    with a_server(OK, OK) as server:
        ask(connections, server, read=False)
        assert ask(connections, server) == b"ok"
        assert server.connections == 2


def test_an_answer_shorter_than_it_said_is_no_answer(connections: Connections) -> None:
    with a_server(TOO_SHORT) as server, pytest.raises(EndedEarly):
        ask(connections, server)


def test_an_answer_without_a_length_ends_with_its_connection(connections: Connections) -> None:
    with a_server(UNTIL_CLOSED, OK) as server:
        assert [ask(connections, server), ask(connections, server)] == [b"ok", b"ok"]
        assert server.connections == 2


def test_an_answer_given_before_all_was_sent_is_heard(connections: Connections) -> None:
    body, size = io.BytesIO(bytes(50_000_000)), {"Content-Length": "50000000"}
    with (
        a_server(TOO_LARGE, reads_body=False) as server,
        connections.exchange(server.origin, "POST", "/", body=body, headers=size) as answering,
    ):
        assert answering.status == 413


def test_no_more_idle_connections_are_kept_than_was_said() -> None:
    connections = some_connections(kept=1)
    with a_server(OK, OK, OK, OK) as server:
        with contextlib.ExitStack() as both:
            for _ in range(2):
                answering = both.enter_context(
                    connections.exchange(server.origin, "POST", "/", body=b"", headers={"Content-Length": "0"})
                )
                while answering.read(100):
                    pass
        server.closed.acquire()  # the surplus one
        assert not server.closed.acquire(blocking=False)
    connections.close()


def test_the_origin_used_longest_ago_is_let_go_first() -> None:
    connections = some_connections(origins=1)
    with a_server(OK, OK) as first, a_server(OK) as second:
        ask(connections, first)
        ask(connections, second)
        first.closed.acquire()
        ask(connections, first)
        assert first.connections == 2
    connections.close()


def test_where_nobody_listens_nothing_was_sent(connections: Connections) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        origin = Origin("http", "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(NotConnected), connections.exchange(origin, "GET", "/", body=None, headers={}):
            pass


def test_a_name_that_nobody_may_have_is_nowhere(connections: Connections) -> None:
    origin = Origin("http", "a" * 70 + ".example", 80)
    with pytest.raises(NotConnected), connections.exchange(origin, "GET", "/", body=None, headers={}):
        pass
