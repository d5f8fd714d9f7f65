"""The one way out, against a real receiver on the loopback."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.delivery.http import HttpClient, HttpSettings
from gateway.errors import EndpointMisconfigured, PayloadMissing, PeerUnreachable, PeerUntrusted
from tests.support.peer import (
    DROPS_THE_ANSWER,
    RESETS,
    Receiver,
    Reply,
    a_receiver,
    fails,
    says,
)

BODY = b"<edXML/>"


def post(http: HttpClient, url: str, body: bytes | BinaryIO = BODY, **headers: str) -> int:
    size = len(body) if isinstance(body, bytes) else body.seek(0, 2)
    return http.post(url, body=body, size=size, headers=headers).status


@pytest.mark.parametrize("size", [0, 1, 20_000, 32 * 1024, 32 * 1024 + 1, 700_000])
@pytest.mark.parametrize("kind", ["bytes", "file"])
def test_a_body_arrives_whole(http: HttpClient, receiver: Receiver, size: int, kind: str) -> None:
    content = bytes(i % 251 for i in range(size))
    assert post(http, receiver.url, content if kind == "bytes" else io.BytesIO(content)) == 204
    (request,) = receiver.requests
    assert request.body == content
    assert request.headers["content-length"] == str(size)
    assert "transfer-encoding" not in request.headers


def test_a_file_read_before_is_sent_from_its_start(http: HttpClient, receiver: Receiver) -> None:
    body = io.BytesIO(b"0123456789")
    body.read()
    post(http, receiver.url, body)
    assert receiver.requests[0].body == b"0123456789"


@pytest.mark.parametrize("body", [b"short", io.BytesIO(b"short")])
def test_a_payload_of_another_size_is_not_sent(http: HttpClient, receiver: Receiver, body: bytes | BinaryIO) -> None:
    with pytest.raises(PayloadMissing):
        http.post(receiver.url, body=body, size=1000, headers={})
    assert not receiver.requests


def test_what_cannot_be_measured_is_not_sent(http: HttpClient, receiver: Receiver) -> None:
    class Pipe(io.RawIOBase):
        def seekable(self) -> bool:
            return False

    with pytest.raises(PayloadMissing):
        http.post(receiver.url, body=Pipe(), size=0, headers={})  # type: ignore[arg-type] # that is the test
    assert not receiver.requests


def test_connections_are_kept_alive(http: HttpClient, receiver: Receiver) -> None:
    receiver.script.extend([Reply(), says(200, b"{}"), says(202, b""), fails(503)])
    for _ in range(6):
        post(http, receiver.url)
    assert {request.connection for request in receiver.requests} == {1}


def test_the_query_of_an_endpoint_is_kept_and_no_proxy_or_name_of_a_library_is_used(
    http: HttpClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    post(http, receiver.url + "/in/box?org=H37")
    (request,) = receiver.requests
    assert request.path == "/in/box?org=H37"
    assert request.headers["user-agent"] == "edxml-gateway"
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(http: HttpClient, receiver: Receiver, status: int) -> None:
    with a_receiver() as elsewhere:
        receiver.default = Reply(status, (("Location", elsewhere.url),), stores=False)
        assert post(http, receiver.url, Authorization="Bearer secret") == status
        assert not elsewhere.requests


def test_no_more_of_an_answer_is_read_than_the_limit(http: HttpClient, receiver: Receiver) -> None:
    receiver.default = says(200, b"x" * 10_000_000)
    answer = http.post(receiver.url, body=BODY, size=len(BODY), headers={})
    assert (answer.truncated, len(answer.body)) == (True, 4096)
    receiver.default = says(200, b"x" * 4096)
    answer = http.post(receiver.url, body=BODY, size=len(BODY), headers={})
    assert (answer.truncated, len(answer.body)) == (False, 4096)


def test_a_compressed_bomb_stays_compressed(http: HttpClient, receiver: Receiver) -> None:
    receiver.default = Reply(200, (("Content-Encoding", "gzip"),), b"\x1f\x8b" + b"\0" * 100, stores=False)
    answer = http.post(receiver.url, body=BODY, size=len(BODY), headers={})
    assert answer.body == b"\x1f\x8b" + b"\0" * 100


@pytest.mark.parametrize("reply", [DROPS_THE_ANSWER, RESETS, Reply(200, body=b"x" * 100, ends="half")])
def test_a_broken_connection_is_named(http: HttpClient, receiver: Receiver, reply: Reply) -> None:
    receiver.default = reply
    with pytest.raises(PeerUnreachable) as caught:
        post(http, receiver.url)
    assert "connection broke" in caught.value.detail


def test_an_answer_that_does_not_come_is_not_waited_for(http: HttpClient, receiver: Receiver) -> None:
    release = threading.Event()
    receiver.default = Reply(until=release)
    with pytest.raises(PeerUnreachable) as caught:
        post(http, receiver.url)
    release.set()
    assert "in time" in caught.value.detail


def test_an_answer_that_trickles_is_not_waited_for_either(http: HttpClient) -> None:
    """Each byte comes in time, all of them would not."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, over = server.getsockname()[1], threading.Event()

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while not over.wait(0.1):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            with pytest.raises(PeerUnreachable):
                post(http, f"http://127.0.0.1:{port}")
        finally:
            over.set()
            thread.join()


def test_nobody_there_is_named(http: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PeerUnreachable) as caught:
        post(http, f"http://127.0.0.1:{port}/secret-path")
    assert "ConnectionRefusedError" in caught.value.detail
    assert "secret-path" not in caught.value.detail


def test_what_is_not_http_is_named(http: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(PeerUnreachable):
            post(http, f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/only/a/path",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "http://user:secret@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1/#part",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\r\nX: y",
        "http://127.0.0.1/tiếng",
        "http://[::1/",
    ],
)
def test_a_url_that_is_none_is_the_operators_matter(http: HttpClient, url: str) -> None:
    with pytest.raises(EndpointMisconfigured) as caught:
        post(http, url)
    assert "secret" not in caught.value.detail


def test_a_header_cannot_smuggle_another(http: HttpClient, receiver: Receiver) -> None:
    with pytest.raises(EndpointMisconfigured) as caught:
        post(http, receiver.url, Authorization="Bearer secret\r\nX-Other: 1")
    assert "secret" not in caught.value.detail
    assert not receiver.requests


# TLS


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "pair.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def tls_receiver(pair: Path) -> Iterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    with a_receiver(tls=context) as running:
        yield running


def test_a_stranger_with_a_certificate_of_its_own_gets_nothing(http: HttpClient, tls_receiver: Receiver) -> None:
    with pytest.raises(PeerUntrusted) as caught:
        post(http, tls_receiver.url)
    assert "self-signed certificate" in caught.value.detail
    assert not tls_receiver.requests


def test_a_ca_of_the_deployment_is_believed_for_the_names_in_its_certificates(
    tls_receiver: Receiver, pair: Path
) -> None:
    http = HttpClient(HttpSettings(ca_file=pair))
    try:
        assert post(http, tls_receiver.url.replace("127.0.0.1", "localhost")) == 204
        with pytest.raises(PeerUntrusted) as caught:
            post(http, tls_receiver.url)
        assert "127.0.0.1" in caught.value.detail
    finally:
        http.close()
    assert len(tls_receiver.requests) == 1


def test_plain_http_behind_an_https_url_is_named(http: HttpClient, receiver: Receiver) -> None:
    with pytest.raises(PeerUntrusted):
        post(http, receiver.url.replace("http:", "https:"))


def test_a_file_of_cas_that_is_none_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pem", tmp_path):
        with pytest.raises(EndpointMisconfigured):
            HttpClient(HttpSettings(ca_file=path))


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (HEAD, b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
    ],
    ids=["header", "continue", "size-of-a-chunk", "trailer"],
)
def test_what_trickles_around_an_answer_is_not_waited_for_either(http: HttpClient, first: bytes, again: bytes) -> None:
    """None of it is the body, whose time is counted by itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, over = server.getsockname()[1], threading.Event()

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(first)
                for _ in range(100):
                    if over.wait(0.1):
                        return
                    try:
                        connection.sendall(again)
                    except OSError:
                        return

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            with pytest.raises(PeerUnreachable) as caught:
                post(http, f"http://127.0.0.1:{port}")
            assert "in time" in caught.value.detail
        finally:
            over.set()
            thread.join()


def test_a_download_ends_when_the_program_does(http: HttpClient) -> None:
    """It may take hours over a slow line; what is not taken is fetched again."""
    first, rest = b"x" * 1000, b"y" * 1000

    class Spool(io.BytesIO):
        def write(self, content: Any, /) -> int:
            http.close()
            wrote.set()
            return super().write(content)

    with socket.create_server(("127.0.0.1", 0)) as server:
        port, wrote = server.getsockname()[1], threading.Event()

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(HEAD + b"Content-Length: 2000\r\n\r\n" + first)
                wrote.wait(10)
                with contextlib.suppress(OSError):
                    connection.sendall(rest)

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            with pytest.raises(PeerUnreachable):
                http.download("GET", f"http://127.0.0.1:{port}", headers={}, to=Spool(), limit_bytes=5000)
        finally:
            wrote.set()
            thread.join()
