"""
The provincial axis of Lạng Sơn: JSON over HTTP with a token, a system id and a secret key (domain §2.2).

A newer login ends the older token, so all threads share one holder of each credential's token; what another
program's login ended is renewed once, and then the call is made again.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from gateway.delivery.axis import (
    LISTED,
    Inbox,
    Outgoing,
    Readable,
    framed,
    json_of,
    listed,
    lost,
    refusal,
    rows_of,
)
from gateway.delivery.http import Answer, HttpClient, spool_file
from gateway.delivery.unwrap import Decoded, split
from gateway.errors import (
    AxisDown,
    AxisNotAuthenticated,
    AxisPackageUnusable,
    EndpointMisconfigured,
    PeerRefused,
    PeerUnreachable,
)
from gateway.model import VIETNAM_TIME, AgencyCode, PackageKind

_TOKEN_LASTS = timedelta(minutes=29)
"""A token lives 30 minutes; its clients keep it a minute less (domain §2.2)."""
_WELL = ("0", "200")
_LONGEST_WINDOW = timedelta(days=7)
"""A longer one is rejected."""
_OVERLAP = timedelta(days=1)
"""Documents appear late. Ten minutes would do, but a window is of days."""
_FIRST_LOOK = timedelta(days=30)
"""How far back the first list goes."""
_HOLDERS = 256


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What an account at the axis consists of, besides its system id."""

    username: str
    password: str = field(repr=False)
    application_code: str
    secret_key: str = field(repr=False)


def read_credential(text: str) -> Credential:
    """
    The secret of an LGSP endpoint: a JSON object or TOML with ``username``, ``password``, ``application_code``
    and ``secret_key``.

    :raises EndpointMisconfigured: it is something else; the sentence repeats nothing of it.
    """
    try:
        content = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as e:
        raise EndpointMisconfigured("The secret of the LGSP endpoint is neither JSON nor TOML.") from e
    names = ("username", "password", "application_code", "secret_key")
    values = {name: value for name in names if isinstance(value := content.get(name), str) and value}
    missing = [name for name in names if name not in values]
    if missing or set(content) - set(names):
        wrong = ", ".join(missing) or "a member that is not known"
        raise EndpointMisconfigured(f"The secret of the LGSP endpoint: {wrong}.")
    return Credential(**values)


class TokenHolder:
    """The token of one credential, shared by all threads."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._token: str | None = None
        self._until = 0.0

    def token(self, login: Callable[[], str], *, spoiled: str | None = None) -> str:
        """
        A token that should be valid; whoever comes while one thread logs in waits for its token.

        :param login: gets a new one.
        :param spoiled: a token that the axis no longer accepts; when another thread has replaced it already, no login
            is made.
        """
        with self._lock:
            if self._token is None or self._token == spoiled or self._monotonic() >= self._until:
                # Forgotten first: a login that fails must not leave a token that the axis has already ended.
                self._token = None
                self._token = login()
                self._until = self._monotonic() + _TOKEN_LASTS.total_seconds()
            return self._token

    def forget(self) -> None:
        """The axis does not accept it."""
        with self._lock:
            self._token = None


class Tokens:
    """The holders of a process, one for each credential at each axis."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._holders: dict[str, TokenHolder] = {}

    def holder(self, url: str, system: str, secret: str) -> TokenHolder:
        """The holder of this credential; a changed secret has another one."""
        key = hashlib.sha256("\0".join((url, system, secret)).encode()).hexdigest()
        with self._lock:
            if key not in self._holders and len(self._holders) >= _HOLDERS:
                del self._holders[next(iter(self._holders))]
            return self._holders.setdefault(key, TokenHolder(self._monotonic))


def windows(since: datetime | None, now: datetime) -> list[tuple[date, date]]:
    """
    The days to list: first one and, exclusive, last one of each window.

    At least two days, since ``toDate`` is exclusive and a window of one day always empty; at most seven;
    always one day more than seems needed, because documents appear late.

    :param since: everything before was listed; ``None`` at the beginning.
    """
    today = now.astimezone(VIETNAM_TIME).date()
    start = (now - _FIRST_LOOK if since is None else since - _OVERLAP).astimezone(VIETNAM_TIME).date()
    end = today + timedelta(days=1)
    start = min(start, today - timedelta(days=1))
    found = []
    while start < end:
        stop = min(start + _LONGEST_WINDOW, end)
        found.append((start, stop))
        start = stop
    # The last one may be left with a single day.
    last_start, last_stop = found[-1]
    found[-1] = (min(last_start, last_stop - timedelta(days=2)), last_stop)
    return found


@dataclass(frozen=True, kw_only=True)
class LgspAxis:
    """One axis that speaks LGSP, as one system sees it; the contract of the methods is in ``axis.Axis``."""

    http: HttpClient
    url: str
    """Base URL, without ``/v1``."""
    system: str
    secret: str = field(repr=False)
    """See ``read_credential``."""
    tokens: Tokens

    @property
    def lists_until_acknowledged(self) -> bool:
        """Whatever came in the days that are asked for."""
        return False

    # Sending

    def send(self, outgoing: Outgoing, *, now: datetime) -> str:
        """
        Post the package as a form.

        The axis keeps no list that could be asked after a lost answer: the same bytes are sent again then, and
        it knows them by the document's identity.
        """
        boundary = f"gateway-{secrets.token_hex(16)}"
        message = "status" if outgoing.document.kind is PackageKind.STATUS else "edoc"
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="messageType"\r\n\r\n{message}\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="edocFile"; filename="{outgoing.document.id}.edxml"'
            "\r\nContent-Type: application/xml\r\n\r\n"
        )
        body, size = framed(head.encode("ascii"), outgoing.body, f"\r\n--{boundary}--\r\n".encode("ascii"))
        try:
            content = self._call(
                "POST",
                "/v1/sendEdoc",
                body=body,
                size=size,
                media_type=f"multipart/form-data; boundary={boundary}",
                attempt=outgoing.attempt,
                now=now,
            )
        except PeerUnreachable as e:
            raise lost(e) from e
        return json.dumps({"protocol": "lgsp", "docId": _doc_id(content)})

    def already_sent(self, outgoing: Outgoing, *, now: datetime) -> Mapping[AgencyCode, str]:
        """Nothing: there is no such list."""
        del outgoing, now
        return {}

    # Fetching

    def inbox(self, kind: PackageKind, *, since: datetime | None, now: datetime) -> Inbox:
        """What came since, in windows as the axis allows them."""
        message = "status" if kind is PackageKind.STATUS else "edoc"
        rows: list[Mapping[str, Any]] = []
        for start, stop in windows(since, now):
            query = f"messageType={message}&fromDate={start:%Y/%m/%d}&toDate={stop:%Y/%m/%d}"
            content = self._call("GET", f"/v1/syncReceivedEdocList?{query}", now=now)
            data = content.get("data")
            rows += rows_of(data.get("data") if isinstance(data, dict) else data)
        return Inbox(entries=listed(rows))

    @contextmanager
    def package(self, doc_id: str, *, folder: Path, limit_bytes: int, now: datetime) -> Iterator[Readable]:
        """``getEdoc``; the package is ``data.data``."""
        with spool_file(folder) as file:
            answer = self._downloaded(doc_id, file, limit_bytes, now=now)
            if answer.truncated:
                raise AxisPackageUnusable(f"The axis answers with more than {limit_bytes} bytes allow.")
            content, where = split(file)
            self._answered(content, answer, attempt=1, now=now, about=doc_id)
            data = content.get("data")
            inline = data.get("data") if isinstance(data, dict) else data
            if where is not None and inline == "":
                yield Decoded.within(file, where)
            elif isinstance(inline, str) and inline:
                yield Decoded.of(inline)
            else:
                raise AxisPackageUnusable(f"The axis has no content under {doc_id}.")

    def acknowledge(self, doc_id: str, *, taken: bool, now: datetime) -> None:
        """``updateStatus``."""
        body = json.dumps({"docId": doc_id, "status": "done" if taken else "fail"}).encode("ascii")
        self._call(
            "POST",
            "/v1/updateStatus",
            body=body,
            size=len(body),
            media_type="application/json",
            now=now,
            about=doc_id,
        )

    # Calls

    def _call(
        self,
        method: str,
        path: str,
        *,
        now: datetime,
        body: bytes | BinaryIO | None = None,
        size: int = 0,
        media_type: str | None = None,
        attempt: int = 1,
        about: str | None = None,
    ) -> dict[str, Any]:
        extra = {"Content-Type": media_type} if media_type else {}

        def ask(headers: Mapping[str, str]) -> Answer:
            return self.http.request(
                method,
                self._url(path),
                headers={**headers, **extra},
                body=body,
                size=size,
                answer_limit_bytes=LISTED,
            )

        answer = self._with_token(ask, now)
        content = json_of(answer, now=now)
        self._answered(content, answer, attempt=attempt, now=now, about=about)
        return content

    def _downloaded(self, doc_id: str, file: BinaryIO, limit_bytes: int, *, now: datetime) -> Answer:
        url = self._url(f"/v1/getEdoc?docId={quote(doc_id, safe='')}")

        def ask(headers: Mapping[str, str]) -> Answer:
            file.seek(0)
            file.truncate()
            limit = limit_bytes // 3 * 4 + LISTED
            return self.http.download("GET", url, headers=headers, to=file, limit_bytes=limit)

        answer = self._with_token(ask, now)
        if not 200 <= answer.status < 300:
            self._answered(json_of(answer, now=now), answer, attempt=1, now=now, about=doc_id)
        return answer

    def _with_token(self, ask: Callable[[Mapping[str, str]], Answer], now: datetime) -> Answer:
        """
        Make a call, and once more with a new token when the axis no longer accepts this one.

        :raises AxisNotAuthenticated: nor the new one.
        """
        credential = read_credential(self.secret)
        holder = self.tokens.holder(self.url, self.system, self.secret)
        spoiled: str | None = None
        for _ in range(2):
            token = holder.token(lambda: self._login(credential, now), spoiled=spoiled)
            answer = ask(
                {
                    "Accept": "application/json",
                    "Authorization": f"Bearer {token}",
                    "X-SystemId": self.system,
                    "X-SecretKey": credential.secret_key,
                }
            )
            if answer.status != 401:
                return answer
            spoiled = token
        raise AxisNotAuthenticated("HTTP 401 with a token that was just given.")

    def _login(self, credential: Credential, now: datetime) -> str:
        body = json.dumps(
            {
                "username": credential.username,
                "password": credential.password,
                "applicationCode": credential.application_code,
                "otp": None,
                "twoFactorProvider": None,
                "typeObjs": [0, 1],
            }
        ).encode("utf-8")
        try:
            answer = self.http.request(
                "POST",
                self._url("/v1/auth/login?allow_anonymous=true"),
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                body=body,
                size=len(body),
            )
        except PeerUnreachable as e:
            e.nothing_sent = True  # of the package, which only goes out with a token
            raise
        if answer.status in (401, 403):
            raise AxisNotAuthenticated(f"The log-in was refused: HTTP {answer.status}.")
        content = json_of(answer, now=now)
        try:
            self._accepted(content, answer, attempt=1, now=now)
        except PeerRefused as e:
            raise AxisNotAuthenticated(f"The log-in was refused: {e.detail}") from e
        data = content.get("data")
        token = data.get("token") if isinstance(data, dict) else None
        if not isinstance(token, str) or not token:
            raise AxisDown("The log-in succeeded without a token.")
        return token

    def _url(self, path: str) -> str:
        return self.url.rstrip("/") + path

    def _answered(
        self, content: Mapping[str, Any], answer: Answer, *, attempt: int, now: datetime, about: str | None
    ) -> None:
        """As ``_accepted``, for a call with a token: one that is refused in the body alone is forgotten."""
        if _verdict(content)[0] == "401":
            self.tokens.holder(self.url, self.system, self.secret).forget()
        self._accepted(content, answer, attempt=attempt, now=now, about=about)

    def _accepted(
        self, content: Mapping[str, Any], answer: Answer, *, attempt: int, now: datetime, about: str | None = None
    ) -> None:
        """
        Status and content say that it went well, in the axis' own shape or the documented one.

        :raises AxisDown: it is neither shape, or they contradict each other.
        """
        code, description = _verdict(content)
        if code is None:
            raise AxisDown(f"HTTP {answer.status} with JSON of neither shape.")
        if code not in _WELL:
            raise refusal(code, description, answer, attempt=attempt, now=now, about=about)
        if not 200 <= answer.status < 300:
            raise AxisDown(f"HTTP {answer.status} with a code that says that all is well.")


def _verdict(content: Mapping[str, Any]) -> tuple[str | None, object]:
    """
    The code of an answer and its description; ``None`` when it has no code.

    Really it is ``{code: 200|0, message, data, errorDetail: [{exception}]}``; documented was ``{success, message,
    docId, data: {docId, status, errorCode, errorDesc}}`` (domain §2.2).
    """
    data = content.get("data")
    inner = data if isinstance(data, dict) else {}
    code = _number(content.get("code"))
    if code is None and isinstance(content.get("success"), bool):
        code = "0" if content["success"] else _FAILED
    within = _number(inner.get("errorCode"))
    if code in (*_WELL, _FAILED) and within is not None and within not in _WELL:
        code = within
    if code in _WELL and (content.get("errorDetail") or content.get("success") is False):
        code = _FAILED
    return code, inner.get("errorDesc") or content.get("message")


_FAILED = "without a number"
"""The axis says that it failed and not how; that may pass."""


def _number(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return str(value).strip() or None


def _doc_id(content: Mapping[str, Any]) -> str | None:
    """The axis' id of what was sent; it does not always say."""
    data = content.get("data")
    inner = data if isinstance(data, dict) else {"docId": data}
    found = inner.get("docId") or content.get("docId")
    return found[:200] if isinstance(found, str) else None
