"""
What the two kinds of axes have in common: what is asked of one, and what its answers mean.

The protocols themselves are in ``vxp`` and ``lgsp``. Their own kits take a proxy's error page for an empty
inbox (domain §2.1, "silent outage trap"). Here an answer counts only when status, JSON and error code all say
so; anything else has a name.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import structlog

from gateway.delivery.answers import failure, failure_by_code
from gateway.delivery.http import Answer, retry_time
from gateway.errors import (
    AxisAnswerLost,
    AxisDown,
    AxisNotAuthenticated,
    DeliveryError,
    NotAuthenticated,
    NotFound,
    PeerFailed,
    PeerRefused,
    PeerUnreachable,
    PeerUntrusted,
    RecipientClosed,
    UnknownRecipient,
)
from gateway.ledger.records import DocumentSummary
from gateway.model import VIETNAM_TIME, AgencyCode, PackageKind

_log = structlog.get_logger()

LISTED = 8 * 1024 * 1024
"""Bytes of a list that are read; an axis lists whatever was not acknowledged, and a row has about 300."""
_DOC_ID = re.compile(r"[\x21-\x7e]{1,200}")
"""What can be asked for in a header."""
_OUR_CODE = re.compile(r"\[([a-z][a-z0-9_]{0,40}(?:\.[a-z0-9_]{1,40}){1,4})\]")
"""Another gateway of this kind adds its stable code to the description."""
_ONCE_MORE = 2
"""Tries after which code 21 counts as final (domain §2.2: to be retried once)."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One entry of an axis' inbox."""

    doc_id: str
    """The axis' own id of one delivery; not the DocumentId, not ours (domain §1.4)."""


@dataclass(frozen=True, kw_only=True)
class Inbox:
    """What an axis lists."""

    entries: Sequence[Listed]
    cut: bool = False
    """There is more than is read of a list; what is acknowledged makes room for it."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """One package on its way to an axis."""

    document: DocumentSummary
    recipients: tuple[AgencyCode, ...]
    """As the package writes them."""
    body: bytes | BinaryIO
    size: int
    """Bytes."""
    sha256: str
    """Of the body, lower-case hex."""
    attempt: int
    """1 for the first try."""
    since: datetime
    """When the gateway accepted it, aware UTC: it was not sent before."""


class Readable(Protocol):
    """Bytes of a package, once."""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes; empty at the end."""
        ...


class Axis(Protocol):
    """
    One axis, as one system that is registered there sees it.

    Every method raises ``AxisDown`` for what is not the protocol's answer, ``AxisNotAuthenticated`` for a secret
    that is not accepted, ``PeerFailed`` for what may pass, ``PeerRefused`` for what will not, and what ``HttpClient``
    raises.
    """

    @property
    def lists_until_acknowledged(self) -> bool:
        """Whether what it lists again was not acknowledged, as far as it knows; another lists whatever came."""
        ...

    def send(self, outgoing: Outgoing, *, now: datetime) -> str:
        """
        Hand over one package.

        :return: what the axis answered, as JSON; kept as the receipt.
        :raises AxisAnswerLost: it may have the package all the same.
        """
        ...

    def already_sent(self, outgoing: Outgoing, *, now: datetime) -> Mapping[AgencyCode, str]:
        """
        For which of the recipients the axis has this document from an earlier try; the receipt for each.

        Empty when the axis cannot be asked: the same bytes are sent again then.
        """
        ...

    def inbox(self, kind: PackageKind, *, since: datetime | None, now: datetime) -> Inbox:
        """
        What waits to be fetched.

        :param since: everything before was listed; ``None`` at the beginning. For axes that list by date.
        """
        ...

    def package(
        self, doc_id: str, *, folder: Path, limit_bytes: int, now: datetime
    ) -> AbstractContextManager[Readable]:
        """
        The bytes of one package, downloaded before the block begins and removed after it.

        :param folder: for temporary files.
        :raises AxisPackageUnusable: there are none, or more than ``limit_bytes``.
        """
        ...

    def acknowledge(self, doc_id: str, *, taken: bool, now: datetime) -> None:
        """Report the transport status ``done``, or ``fail`` for a package that is not taken."""
        ...


# Answers


def json_of(answer: Answer, *, now: datetime) -> dict[str, Any]:
    """
    The answer's JSON object, whatever it says.

    :raises AxisDown: no JSON object, or not all of one: a proxy's page, an empty body, a cut answer.
    :raises DeliveryError: a status without JSON that says itself what is wrong (401, 404, 429 …).
    """
    try:
        content = None if answer.truncated else json.loads(answer.body)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        return content
    if 300 <= answer.status < 500:
        error = failure(answer, now=now)
        # Something in front of the axis has said no; the package was not judged.
        if not isinstance(error, PeerRefused):
            raise error
    what = ascii(answer.media_type[:60]) if answer.media_type else "no type"
    size = f"more than {len(answer.body)}" if answer.truncated else f"{len(answer.body)}"
    raise AxisDown(f"HTTP {answer.status} with {size} bytes of {what} instead of a JSON object.")


def refusal(
    code: str, description: object, answer: Answer, *, attempt: int, now: datetime, about: str | None = None
) -> DeliveryError:
    """
    What an error code of an axis stands for.

    A stable code of our own in brackets decides first: one number stands for many. A number that nobody
    has documented may pass, so it is retried until patience ends. The description itself is not kept, since it may
    hold personal data.

    :param attempt: which try of the package this was; 1 for calls that are not about one.
    :param about: the docId that the call was about; that the axis does not know it says nothing about the endpoint.

    Source: domain §2.2, error codes.
    """
    ours = _OUR_CODE.search(description) if isinstance(description, str) else None
    detail = f"ErrorCode {code[:20]!a}" + (f" {ours[1]}" if ours else "") + f" (HTTP {answer.status})"
    retry_at = retry_time(answer.retry_after, now=now)
    if code in ("15", "401") or (ours and ours[1] == NotAuthenticated.code):
        return AxisNotAuthenticated(detail)
    if about is not None and (code == "404" or (ours and ours[1] == NotFound.code)):
        return PeerRefused(detail, peer_code=NotFound.code)
    known = failure_by_code(ours[1], detail, retry_at=retry_at) if ours else None
    if known is not None:
        return known
    if code in _REFUSES:
        return PeerRefused(detail, peer_code=_REFUSES[code])
    if code == "21" and attempt >= _ONCE_MORE:
        return PeerRefused(detail, peer_code="axis.21")
    return PeerFailed(detail, retry_at=retry_at)


_REFUSES = {
    "10": "axis.10",  # invalid file
    "18": UnknownRecipient.code,
    "19": "axis.19",  # the sender is not registered there
    "22": "axis.22",  # the form of the edXML
    "23": RecipientClosed.code,
}
"""Codes of an axis for which the same package will never do, in our words where we have some."""


def lost(error: PeerUnreachable) -> DeliveryError:
    """What it means for a package on its way that the connection broke."""
    if error.nothing_sent or isinstance(error, PeerUntrusted):
        return error
    return AxisAnswerLost(error.detail)


def rows_of(content: object) -> list[Mapping[str, Any]]:
    """
    The rows of a list; an axis without any may leave the member out.

    :raises AxisDown: it is something else than a list of objects.
    """
    if content is None:
        return []
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise AxisDown("The member data is not a list of objects.")
    return content


def listed(rows: Sequence[Mapping[str, Any]]) -> list[Listed]:
    """
    The rows that can be fetched, the oldest first, each docId once; its name is spelled in two ways (domain §2.1).

    A recall that is fetched before its document finds nothing to recall. When a row does not say its time in a way
    that can be read, the axis' own order stands.

    :raises AxisDown: there are rows, and none has an id that could be asked for: that is no empty inbox.
    """
    times = [_created(row) for row in rows]
    known = [at for at in times if at is not None]
    if len(known) == len(rows):
        rows = [row for _, row in sorted(zip(known, rows, strict=True), key=lambda pair: pair[0])]
    ids = [_id(row.get("docId") or row.get("docid")) for row in rows]
    usable = [i for i in ids if _DOC_ID.fullmatch(i)]
    if len(usable) < len(ids):
        if not usable:
            raise AxisDown(f"A list of {len(rows)} rows, none of them with a docId.")
        _log.warning("axis.rows_without_id", rows=len(rows), without=len(ids) - len(usable))
    return [Listed(doc_id=doc_id) for doc_id in dict.fromkeys(usable)]


def _id(value: object) -> str:
    """An id as it is asked for; empty when it is none."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def beginning(answer: Answer) -> dict[str, Any] | None:
    """
    The object of a list that was cut off, with those rows that are whole; ``None`` when it does not begin like one.

    Whatever the object says beside its rows must stand before them, as axes write it.
    """
    text = answer.body.decode("utf-8", "ignore")
    found = _ROWS.search(text)
    if not (answer.truncated and found and 200 <= answer.status < 300):
        return None
    rows: list[Any] = []
    try:
        content = json.loads(text[: found.start()].rstrip().rstrip(",") + "}")
        at = found.end()
        while next_row := _NEXT.match(text, at):
            row, at = _DECODER.raw_decode(text, next_row.end())
            rows.append(row)
    except (ValueError, RecursionError):
        if not rows:
            return None
    return {**content, "data": rows} if rows else None


_ROWS = re.compile(r'"data"\s*:\s*\[')
_NEXT = re.compile(r"[\s,]*(?=\{)")
_DECODER = json.JSONDecoder()


def _created(row: Mapping[str, Any]) -> datetime | None:
    text = next((value for name in _CREATED if isinstance(value := row.get(name), str)), "")
    for form in _MOMENTS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=VIETNAM_TIME)
        except ValueError:
            continue
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=VIETNAM_TIME)


_CREATED = ("created_time", "createdTime", "created_at", "createdAt", "createdDate")
"""How the time of arrival is called; VXP's name first, the others are what axes of that kind write."""
_MOMENTS = ("%Y/%m/%d %H:%M:%S", "%d/%m/%Y %H:%M:%S")
"""Besides those of ISO 8601."""


# Bodies


def framed(head: bytes, inner: bytes | BinaryIO, tail: bytes) -> tuple[BinaryIO, int]:
    """One seekable body of a file between two pieces of bytes, and its size; never in memory as a whole."""
    body = _Framed(head, inner, tail)
    return cast("BinaryIO", body), body.size


class _Framed(io.RawIOBase):
    """A file between two pieces of bytes as one seekable body, never in memory as a whole."""

    def __init__(self, head: bytes, inner: bytes | BinaryIO, tail: bytes) -> None:
        super().__init__()
        self._inner = io.BytesIO(inner) if isinstance(inner, bytes) else inner
        self._head, self._tail = head, tail
        self._length = self._inner.seek(0, io.SEEK_END)
        self.size = len(head) + self._length + len(tail)
        """Bytes in all."""
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """As files do."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def tell(self) -> int:
        """As files do."""
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        """As files do; at most up to the end of one of the three parts."""
        piece = self._piece(len(buffer))
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _piece(self, most: int) -> bytes:
        if self._at < len(self._head):
            return self._head[self._at : self._at + most]
        inside = self._at - len(self._head)
        if inside < self._length:
            self._inner.seek(inside)
            return self._inner.read(min(most, self._length - inside))
        after = inside - self._length
        return self._tail[after : after + most]
