"""The kit's own web server: enough HTTP for a client under examination, on a port of one's own, for tests only."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from gateway.conformance.axis import AnswerLost, Axis, Rejected
from gateway.conformance.watch import Watch

_LARGEST = 64 * 1024 * 1024
"""Bytes of a body; what is examined is how a client speaks, not how much."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    lines: Sequence[tuple[str, str]]
    """Header lines as they came: the national kit sends some names in two spellings at once."""
    body: bytes

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in small letters; of several with one name the last."""
        return {name.lower(): value for name, value in self.lines}

    @property
    def chunked(self) -> bool:
        """Whether the body came without saying how long it is."""
        return "transfer-encoding" in self.headers


@dataclass(frozen=True)
class Said:
    """One answer."""

    status: int
    body: bytes
    kind: str

    @classmethod
    def json(cls, status: int, content: Mapping[str, Any]) -> Said:
        """A JSON object, in ASCII as the national kit reads it."""
        return cls(status, json.dumps(content).encode("ascii"), "application/json")


class ConformanceServer(ThreadingHTTPServer):
    """
    Serves one protocol to one client.

    ``GET /conformance`` is the report so far as JSON: the only call that needs no proof of who calls.
    """

    daemon_threads = True

    def __init__(self, address: tuple[str, int], axis: Axis, watch: Watch, answer: Callable[[Heard], Said]) -> None:
        """:param answer: of the protocol; called by one thread at a time."""
        self.axis = axis
        self.watch = watch
        self.answer = answer
        super().__init__(address, _Handler)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    server: ConformanceServer
    protocol_version = "HTTP/1.1"  # and with it the answer to ``Expect: 100-continue``
    timeout = 60
    server_version, sys_version = "conformance", ""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        if self.path == "/conformance":
            self._say(Said.json(200, self.server.watch.report().as_json()))
            return
        body = self._body()
        if body is None:
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        heard = Heard(
            method=self.command,
            path=parts.path,
            query=dict(parse_qsl(parts.query)),
            lines=[(name, _utf8(value)) for name, value in self.headers.items()],
            body=body,
        )
        try:
            with self.server.axis.lock:
                said = self.server.answer(heard)
        except AnswerLost:
            self.close_connection = True
            return
        self._say(said)

    def _body(self) -> bytes | None:
        """The whole of it; ``None`` when it is too large or cannot be read."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _LARGEST:
            return None
        return self.rfile.read(int(length))

    def _chunks(self) -> bytes | None:
        body = bytearray()
        while len(body) <= _LARGEST:
            size = self.rfile.readline(64).partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,7}", size):
                return None
            if int(size, 16) == 0:
                self.rfile.readline(64)
                return bytes(body)
            body += self.rfile.read(int(size, 16))
            self.rfile.readline(64)
        return None

    def _say(self, said: Said) -> None:
        self.send_response(said.status)
        self.send_header("Content-Type", said.kind)
        self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        self.wfile.write(said.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # as its base names it
        """Says nothing: the report does."""


def _utf8(value: str) -> str:
    """A header as its client meant it: the standard library reads every byte as Latin-1."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def parts_of(heard: Heard) -> dict[str, bytes]:
    """The fields of a multipart body; none for a body of another kind."""
    kind = heard.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/"):
        return {}
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + heard.body)
    found = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            found[name] = content
    return found


def file_of(heard: Heard, names: Iterable[str]) -> bytes:
    """
    The package in a body: raw, or the field of one of these names.

    :raises Rejected: a form without it.
    """
    fields = parts_of(heard)
    if not fields:
        return heard.body
    for name in names:
        if name in fields:
            return fields[name]
    raise Rejected(10, "Khong co tep trong bieu mau")
