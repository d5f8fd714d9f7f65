"""Plain HTTP to whatever is examined: nothing is followed, retried or believed, and every answer is bounded."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.conformance.rules import Broken, require
from gateway.errors import PeerUnreachable, PeerUntrusted, SettingsInvalid

_LONGEST_ANSWER = 32 * 1024 * 1024
"""Bytes: what is sent here is a few kilobytes, but a list may show all that waits."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    """Names in small letters; of several with one name the last."""
    body: bytes
    invited: bool = False
    """Whether ``100 Continue`` came before the body was sent."""

    def json(self) -> dict[str, Any]:
        """
        The JSON object that it must be.

        :raises Broken: it is none.
        """
        try:
            content = json.loads(self.body)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            kind = self.headers.get("content-type", "?")
            begin = self.body[:60].decode("utf-8", "replace")
            raise Broken(
                f"HTTP {self.status}, {kind}: không phải đối tượng JSON, bắt đầu bằng {begin!r}.",
                f"HTTP {self.status}, {kind}: no JSON object, begins with {begin!r}.",
            )
        return content


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where the examined gateway is."""

    url: str
    """Base URL, with the prefix of the protocol if it has one."""
    ca_file: Path | None = None
    timeout_seconds: float = 60

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsInvalid(f"{self.url} is no http or https address.")

    def ask(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: bytes = b"",
        *,
        waits: bool = False,
    ) -> Answer:
        """
        One request on a connection of its own, with just these headers, ``Host`` and ``Connection: close``.

        :param waits: the body is held back until the server asks for it, or answers.
        :raises PeerUnreachable, PeerUntrusted: there is no connection at all.
        :raises Broken: the connection ended or fell silent within the answer, or the answer is no HTTP.
        """
        parts = urlsplit(self.url)
        path = parts.path.rstrip("/") + target
        connection = self._connect(parts.scheme == "https", parts.hostname or "", parts.port)
        try:
            return _asked(connection, method, path, headers, body, waits=waits)
        except (http.client.HTTPException, OSError) as e:
            raise Broken(
                f"Không có câu trả lời HTTP trọn vẹn ({type(e).__name__}).",
                f"There was no whole HTTP answer ({type(e).__name__}).",
            ) from e
        finally:
            connection.close()

    def _connect(self, tls: bool, host: str, port: int | None) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        if tls:
            context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
            connection = http.client.HTTPSConnection(host, port, timeout=self.timeout_seconds, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self.timeout_seconds)
        try:
            connection.connect()
        except ssl.SSLError as e:
            raise PeerUntrusted(f"TLS with {host} failed ({e.reason}).") from e
        except OSError as e:
            raise PeerUnreachable(f"{host} cannot be reached ({type(e).__name__}).") from e
        return connection


def _asked(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    *,
    waits: bool,
) -> Answer:
    connection.putrequest(method, path, skip_accept_encoding=True)
    connection.putheader("Connection", "close")
    for name, value in headers:
        connection.putheader(name, value.encode("utf-8"))
    invited = False
    if waits:
        connection.putheader("Expect", "100-continue")
        connection.endheaders()
        invited = _is_invited(connection.sock)
        if invited:
            connection.send(body)
    else:
        connection.endheaders(body or None)
    response = connection.getresponse()  # passes over 100 by itself
    content = response.read(_LONGEST_ANSWER + 1)
    require(
        len(content) <= _LONGEST_ANSWER,
        f"Câu trả lời dài hơn {_LONGEST_ANSWER} byte.",
        f"The answer is longer than {_LONGEST_ANSWER} bytes.",
    )
    found = {name.lower(): value for name, value in response.getheaders()}
    return Answer(status=response.status, headers=found, body=content, invited=invited)


def _is_invited(connection: socket.socket) -> bool:
    """Whether what comes next is ``100 Continue``; it is only looked at, not taken."""
    while True:
        # A TLS connection cannot be peeked at: ``Expect`` is asked of plain ones only.
        begin = connection.recv(12, socket.MSG_PEEK)
        if len(begin) == 12 or not begin:
            return begin.endswith(b" 100")


def multipart(fields: Mapping[str, tuple[str | None, str | None, bytes]]) -> tuple[str, bytes]:
    """
    ``multipart/form-data``: its Content-Type and body.

    :param fields: name → file name, Content-Type, value.
    """
    boundary = "gateway-conformance-9b1f0c7e2d5a4c38"
    pieces = []
    for name, (filename, kind, value) in fields.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        head += f'; filename="{filename}"' if filename else ""
        head += f"\r\nContent-Type: {kind}" if kind else ""
        pieces.append(head.encode() + b"\r\n\r\n" + value + b"\r\n")
    return f"multipart/form-data; boundary={boundary}", b"".join(pieces) + f"--{boundary}--\r\n".encode()
