"""
Time-stamps: asking authorities for them, and stamping the event log.

An authority that is down stops nothing. The statement about the log waits in the ledger, the failure is an event, and
when authorities answer again everything that was sealed meanwhile is stamped: later than it could have been, no less.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from cryptography import x509

from gateway.delivery.http import HttpClient
from gateway.errors import DeliveryError, GatewayError, LogProofInvalid, TimestampInvalid, TimestampRefused
from gateway.evidence.chain import STATEMENT_BATCHES, digest_of, moment, read_header, state
from gateway.evidence.timestamp import Stamp, check_token
from gateway.ledger.chain import EventLog
from gateway.model import LogStamp
from gateway.signing import timestamp
from gateway.signing.timestamp import TOKEN_BYTES_MAX, HashName
from gateway.signing.trust import CLOCK_SKEW

_log = structlog.get_logger(__name__)

_ANSWER_TYPE = "application/timestamp-reply"


class Timestamps:
    """The time-stamp authorities of the settings. Safe for use by several threads."""

    def __init__(
        self,
        http: HttpClient,
        *,
        urls: Sequence[str],
        anchors: Sequence[x509.Certificate] = (),
        policy: str | None = None,
    ) -> None:
        """
        :param urls: asked in this order until one gives a token that holds.
        :param anchors: whom to believe; empty: any token that is over what was asked is taken, by whomever.
        :param policy: OID to ask for; ``None``: the authority's own choice.
        """
        self._http = http
        self._urls = tuple(urls)
        self._anchors = tuple(anchors)
        self._policy = policy

    def fetch(
        self, digest: bytes, *, hash_name: HashName = "sha256", near: datetime | None = None
    ) -> tuple[bytes, Stamp]:
        """
        A token over this digest, DER, and what it says.

        :param near: the moment that it should name, within ten minutes. One of the two clocks is wrong otherwise, and
            such a stamp would prove a moment that was not; ``None``: any.
        :raises DeliveryError: no authority gave one; the trouble of the last that was asked.
        """
        trouble: DeliveryError = TimestampRefused("No time-stamp authority is configured.")
        for url in self._urls:
            try:
                token = timestamp.fetch(digest, url=url, post=self._post, policy=self._policy, hash_name=hash_name)
                stamp = check_token(token, digest, self._anchors, policy=self._policy, hash_name=hash_name)
                if near is None or abs(stamp.at - near) <= CLOCK_SKEW:
                    return token, stamp
                trouble = TimestampRefused(f"The authority says {stamp.at.isoformat()}, and it is {near.isoformat()}.")
            except TimestampInvalid as e:
                trouble = TimestampRefused(e.detail)
            except DeliveryError as e:
                trouble = e
        raise trouble

    def stamp(self, digest: bytes) -> bytes | None:
        """As ``fetch``, for what is as good without: ``None``, and a line in the log, when no authority gave one."""
        try:
            token, _ = self.fetch(digest)
        except DeliveryError as e:
            _log.warning("timestamp.not_had", code=e.code)
            return None
        return token

    def _post(self, url: str, body: bytes, media_type: str) -> bytes:
        headers = {"Content-Type": media_type, "Accept": _ANSWER_TYPE}
        answer = self._http.request(
            "POST", url, body=body, size=len(body), headers=headers, answer_limit_bytes=2 * TOKEN_BYTES_MAX
        )
        if answer.status != 200 or answer.truncated:
            raise TimestampRefused(f"The authority answers with HTTP status {answer.status} instead of a time-stamp.")
        return answer.body


@dataclass(frozen=True, kw_only=True)
class StampPace:
    """When the event log is stamped."""

    every: timedelta = timedelta(hours=1)
    """What was sealed is stamped after so long at the latest."""
    events: int = 10_000
    """And once there are so many events."""
    first_pause: timedelta = timedelta(minutes=1)
    """After a failure; doubled for each that follows."""
    longest_pause: timedelta = timedelta(minutes=15)
    look: timedelta = timedelta(seconds=15)
    """How often to look whether something is due."""

    def pause(self, failures: int) -> timedelta:
        """Until a statement is tried again that has failed so often."""
        # Bounded for the same reason as in RetryPolicy: timedelta overflows.
        doubled: timedelta = self.first_pause * 2 ** min(max(failures - 1, 0), 20)
        return min(doubled, self.longest_pause)


class StampMeter(Protocol):
    """Who counts; the metrics live elsewhere."""

    def stamped(self, outcome: str) -> None:
        """The log was ``stamped``, or could not be: the code of the failure."""


class Stamper:
    """Stamps the event log. Any number of processes may run one: a statement is tried by one at a time."""

    def __init__(
        self,
        log: EventLog,
        timestamps: Timestamps,
        *,
        gateway: str,
        clock: Callable[[], datetime],
        pace: StampPace,
        meter: StampMeter | None = None,
    ) -> None:
        self._events = log
        self._timestamps = timestamps
        self._gateway = gateway
        self._clock = clock
        self._pace = pace
        self._meter = meter

    def run(self, stop: threading.Event) -> None:
        """Stamp what is due until told to stop."""
        while not stop.is_set():
            try:
                while self.stamp() and not stop.is_set():
                    pass
            except GatewayError as e:
                _log.error("timestamp.fault", code=e.code)
            except Exception:  # noqa: BLE001 # nobody would notice that this thread has ended
                _log.exception("timestamp.fault")
            stop.wait(self._pace.look.total_seconds())

    def stamp(self, *, at_once: bool = False) -> bool:
        """
        Have one statement stamped, when one is due or waits.

        :param at_once: also when none is due, or the pause after a failure has not ended.
        :return: whether one was stamped: there may be more.
        """
        now = self._clock()
        waiting = self._events.newest_stamp()
        if waiting is None or waiting.token is not None:
            waiting = self._next(waiting, now, at_once=at_once)
        if waiting is None:
            return False
        before = now if at_once else now - self._pace.pause(waiting.attempts)
        if not self._events.claim_stamp(waiting.number, now=now, tried_before=before):
            return False
        return self._ask(waiting)

    def _next(self, before: LogStamp | None, now: datetime, *, at_once: bool) -> LogStamp | None:
        """A new statement about everything sealed since the one before; ``None`` when it is not time for one."""
        found = self._events.state()
        if found.unstamped_header is None:
            return None
        if not (at_once or self._is_due(found.unstamped_header, found.sealed_to, now)):
            return None
        first = 1 if before is None else before.last_batch + 1
        headers = self._events.headers_between(first, min(found.batches, first + STATEMENT_BATCHES - 1))
        made = state(headers, after=before, gateway=self._gateway, first=first, now=now)
        # Another process may have been quicker; then its statement is the one.
        self._events.add_stamp(made)
        return self._events.newest_stamp()

    def _is_due(self, oldest: str, sealed_to: int, now: datetime) -> bool:
        try:
            header = read_header(oldest)
            # A clock that was ahead is told from one that differs a little between two machines.
            since = abs(now - moment(header.sealed_at))
            return sealed_to - header.first >= self._pace.events or since >= self._pace.every
        except (LogProofInvalid, ValueError):
            # It was tampered with. What comes after it is to be stamped all the same.
            return True

    def _ask(self, waiting: LogStamp) -> bool:
        try:
            token, stamp = self._timestamps.fetch(digest_of(waiting.statement), near=self._clock())
        except DeliveryError as e:
            if self._events.stamp_failed(waiting.number, code=e.code, detail=e.detail, now=self._clock()):
                _log.error("timestamp.failed", code=e.code)
            if self._meter is not None:
                self._meter.stamped(e.code)
            return False
        self._events.stamped(waiting.number, token=token, at=stamp.at, now=self._clock())
        if self._meter is not None:
            self._meter.stamped("stamped")
        return True


def overdue(waiting: LogStamp | None, *, now: datetime) -> timedelta:
    """
    For how long a stamp has been due and was not to be had, by the newest statement; zero when none is due.

    One that became due in the future was made by a clock that was wrong: that, too, is a reason for an alarm.
    """
    if waiting is None or waiting.token is not None or waiting.made_at is None:
        return timedelta(0)
    return abs(now - waiting.made_at)
