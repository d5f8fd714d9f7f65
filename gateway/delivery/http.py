"""
The one way out: POST over HTTP to an endpoint that an operator named, and a bounded, checked answer.

No redirects, no retries (they belong to the ledger), no proxies from the environment, no cookies.
What ``http.client``, ``ssl`` and the socket raise is translated here, once, into delivery errors whose
sentences name the endpoint's host and never a path, a header or a body.
"""

from __future__ import annotations

import errno
import functools
import http.client
import io
import re
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from gateway.delivery.connections import Answering, Connections, NotConnected, Origin
from gateway.errors import (
    DeliveryError,
    EndpointMisconfigured,
    PayloadMissing,
    PayloadStoreUnavailable,
    PeerUnreachable,
    PeerUntrusted,
    StorageFull,
)

_SEND_BLOCK = 32 * 1024
"""Bytes given to the socket at a time: each is bounded by the connect timeout, so that a larger
block would fail on a commune's 128 kbit/s line (32 KB in 10 s is 26 kbit/s)."""
_PIECE = 256 * 1024
_SLOWEST = 4 * 1024
"""Bytes per second: a quarter of a commune's 128 kbit/s line. What is downloaded slower is given up."""
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
"""RFC 9110 §5.5, without the obsolete upper half: no control characters, nothing to fold."""
_DELAY_SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, kw_only=True)
class HttpSettings:
    """Bounds on one exchange with an endpoint."""

    connect_timeout: timedelta = timedelta(seconds=10)
    """For the connection, the TLS handshake, and each block sent."""
    read_timeout: timedelta = timedelta(seconds=60)
    """For the beginning of the answer, and again for all of its body."""
    answer_limit_bytes: int = 64 * 1024
    """More of an answer than this is not read."""
    ca_file: Path | None = None
    """PEM file of CAs believed besides the system's own."""
    connections_per_endpoint: int = 2
    """Connections kept alive; the worker keeps no more than this many in use."""
    endpoints: int = 256
    """Endpoints whose connections are kept alive; the one used longest ago is closed first."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an endpoint answered, as far as it was read."""

    status: int
    media_type: str
    """Lower case, without parameters; empty when none was sent."""
    body: bytes
    truncated: bool
    """True when there was more than the limit: ``body`` is then only its beginning."""
    retry_after: str | None = None
    """As sent; see ``retry_time``."""


@dataclass(frozen=True)
class _Target:
    scheme: str
    host: str
    port: int
    path: str

    @property
    def name(self) -> str:
        """How the endpoint is called in errors."""
        return f"{self.host}:{self.port}"


@functools.lru_cache(maxsize=1024)
def _target(url: str) -> _Target:
    """
    An endpoint's URL in parts.

    :raises EndpointMisconfigured: unless it is plain http or https, without credentials (they would end
        in logs) and without a fragment.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as e:
        raise EndpointMisconfigured("The endpoint's URL cannot be read.") from e
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EndpointMisconfigured("The endpoint's URL is not an absolute http or https URL.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise EndpointMisconfigured("The endpoint's URL must hold neither credentials nor a fragment.")
    if not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise EndpointMisconfigured("The endpoint's URL holds characters that must be percent-encoded.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80), path)


class HttpClient:
    """The process's connections to endpoints; one instance, shared by all threads."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._connections = Connections(
            connect_timeout=settings.connect_timeout.total_seconds(),
            read_timeout=settings.read_timeout.total_seconds(),
            tls=_tls(settings.ca_file),
            kept_per_origin=settings.connections_per_endpoint,
            origins=settings.endpoints,
            block=_SEND_BLOCK,
        )
        self._closed = threading.Event()

    def post(self, url: str, *, body: bytes | BinaryIO, size: int, headers: Mapping[str, str]) -> Answer:
        """As ``request``, for the usual way of handing something over."""
        return self.request("POST", url, body=body, size=size, headers=headers)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | BinaryIO | None = None,
        size: int = 0,
        answer_limit_bytes: int | None = None,
    ) -> Answer:
        """
        Make one request and return what the endpoint answered, whatever its status.

        :param body: the bytes, or a seekable file with exactly these bytes: what cannot be measured
            beforehand (a generator) could go out empty and be thanked for (``PayloadMissing`` then).
            ``None`` for a request without one.
        :param size: bytes in the body.
        :param headers: values are checked; secrets among them appear in no error.
        :param answer_limit_bytes: more of the answer is not read; ``None`` means as the settings say.
        :raises EndpointMisconfigured: URL or header value not usable; nothing was sent.
        :raises PeerUntrusted: TLS failed; nothing was sent.
        :raises PeerUnreachable: no connection, a timeout, or a broken one. The endpoint may have the
            document all the same (``nothing_sent`` is false then): receivers are idempotent, so sending it
            again does no harm.
        """
        with self._response(method, _target(url), body, size, headers) as response:
            return self._read(response, _target(url), answer_limit_bytes or self._settings.answer_limit_bytes)

    def download(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        to: BinaryIO,
        limit_bytes: int,
        body: bytes | None = None,
    ) -> Answer:
        """
        Make one request and write the body of a successful answer to a file, as it comes.

        :param to: where a 2xx answer's body goes; any other status is answered as by ``request``.
        :param limit_bytes: more than this is not read.
        :return: for 2xx without a body; ``truncated`` says that there was more than the limit.
        :raises DeliveryError: as ``request``; ``PeerUnreachable`` also for an answer that ended too early or comes
            slower than any line in use.
        """
        target = _target(url)
        with self._response(method, target, body, 0 if body is None else len(body), headers) as response:
            if not 200 <= response.status < 300:
                return self._read(response, target, self._settings.answer_limit_bytes)
            written = self._write(response, target, to, limit_bytes)
            return _answer(response, b"", truncated=written > limit_bytes)

    @contextmanager
    def _response(
        self, method: str, target: _Target, body: bytes | BinaryIO | None, size: int, headers: Mapping[str, str]
    ) -> Iterator[Answering]:
        checked = _checked(headers)
        if body is not None:
            checked["Content-Length"] = str(size)
        measured = None if body is None else _measured(body, size)
        try:
            with self._connections.exchange(
                Origin(target.scheme, target.host, target.port), method, target.path, body=measured, headers=checked
            ) as answering:
                yield answering
        except (NotConnected, http.client.HTTPException, OSError) as e:
            raise _translated(e, target) from e

    def _write(self, response: Answering, target: _Target, to: BinaryIO, limit: int) -> int:
        """The body into a file, as long as it comes faster than the slowest line; bytes written."""
        started = time.monotonic()
        patience = self._settings.read_timeout.total_seconds()
        written = 0
        while written <= limit and (piece := response.read(_PIECE)):
            try:
                to.write(piece)
            except OSError as e:
                raise _unwritten(e) from e
            written += len(piece)
            if time.monotonic() - started > patience + written / _SLOWEST:
                raise PeerUnreachable(f"{target.name}: the answer did not end in time.")
            if self._closed.is_set():
                raise PeerUnreachable(f"{target.name}: this program ended before the answer did.")
        try:
            to.flush()
        except OSError as e:
            raise _unwritten(e) from e
        return written

    def _read(self, response: Answering, target: _Target, limit: int) -> Answer:
        """The answer up to its limit, in bounded time however slowly it trickles."""
        deadline = time.monotonic() + self._settings.read_timeout.total_seconds()
        body = bytearray()
        while len(body) <= limit and (piece := response.read(limit + 1 - len(body))):
            body += piece
            if time.monotonic() > deadline:
                raise PeerUnreachable(f"{target.name}: the answer did not end in time.")
        return _answer(response, bytes(body[:limit]), truncated=len(body) > limit)

    def close(self) -> None:
        """Close the idle connections, and let downloads under way end with what they have."""
        self._closed.set()
        self._connections.close()


def _answer(response: Answering, body: bytes, *, truncated: bool) -> Answer:
    return Answer(
        status=response.status,
        media_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
        body=body,
        truncated=truncated,
        retry_after=response.headers.get("Retry-After"),
    )


@contextmanager
def spool_file(folder: Path) -> Iterator[BinaryIO]:
    """
    A file without a name for ``HttpClient.download``, until the block ends.

    :raises StorageFull, PayloadStoreUnavailable: there is no room, or no folder: our trouble, and no package's.
    """
    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 # closed below, where it may not fail a second time
    except OSError as e:
        raise _unwritten(e) from e
    try:
        yield file
    finally:
        with suppress(OSError):
            file.close()


def _unwritten(error: OSError) -> StorageFull | PayloadStoreUnavailable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageFull("The spool has no room left.")
    return PayloadStoreUnavailable(f"The spool cannot be written ({error.strerror}).")


def retry_time(value: str | None, *, now: datetime) -> datetime | None:
    """
    The moment that a ``Retry-After`` names, aware UTC; ``None`` when absent or unreadable.

    Source: RFC 9110 §10.2.3, both forms.
    """
    if value is None:
        return None
    if _DELAY_SECONDS.fullmatch(value.strip()):
        return now + timedelta(seconds=int(value))
    try:
        at = parsedate_to_datetime(value)
        # Also this fails, on the last day of all.
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def header_value(text: str) -> str:
    """
    The text, if it can stand in a header field.

    :raises EndpointMisconfigured: when it cannot; the sentence does not repeat it, since it may be a secret.
    """
    if not _HEADER_VALUE.fullmatch(text):
        raise EndpointMisconfigured("A header for the endpoint would hold characters that are not allowed there.")
    return text


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    # A compressed answer would have no bound.
    checked = {"User-Agent": "edxml-gateway", "Accept-Encoding": "identity"}
    for name, value in headers.items():
        checked[name] = header_value(value)
    return checked


def _measured(body: bytes | BinaryIO, size: int) -> bytes | BinaryIO:
    """The body from its start, after making sure that it is as long as will be declared."""
    if isinstance(body, bytes):
        if len(body) != size:
            raise PayloadMissing(f"The stored package has {len(body)} bytes instead of {size}.")
        # Large bodies go out in blocks, each with its own time (see _SEND_BLOCK).
        return body if size <= _SEND_BLOCK else io.BytesIO(body)
    if not body.seekable():
        raise PayloadMissing("The stored package was opened in a way that cannot be measured.")
    found = body.seek(0, io.SEEK_END)
    if found != size:
        raise PayloadMissing(f"The stored package has {found} bytes instead of {size}.")
    body.seek(0)
    return body


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as e:
            raise EndpointMisconfigured(f"The file of CAs for endpoints cannot be used ({type(e).__name__}).") from e
    return context


def _translated(error: NotConnected | http.client.HTTPException | OSError, target: _Target) -> DeliveryError:
    """One foreign exception as one of ours, with the reason of its cause."""
    if not isinstance(error, NotConnected):
        if isinstance(error, TimeoutError):
            return PeerUnreachable(f"{target.name}: no answer in time.")
        return PeerUnreachable(f"{target.name}: the connection broke ({type(error).__name__}).")
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError):
        reason = getattr(cause, "verify_message", None) or cause.reason or type(cause).__name__
        return PeerUntrusted(f"{target.name}: TLS failed ({reason}).")
    if isinstance(cause, TimeoutError):
        return PeerUnreachable(f"{target.name}: no connection in time.", nothing_sent=True)
    return PeerUnreachable(f"{target.name}: no connection ({type(cause).__name__}).", nothing_sent=True)
