"""
What follows from one request: the outcome of each delivery in it, and what it says about the endpoint.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from gateway import faults
from gateway.delivery.circuit import Circuit, CircuitPolicy
from gateway.delivery.results import Ended
from gateway.delivery.retry import RetryPolicy
from gateway.delivery.send import Group, Sender, Tried
from gateway.errors import (
    EndpointMisconfigured,
    GatewayError,
    LedgerUnavailable,
    PeerAnswerUnusable,
    PeerFailed,
    PeerRefused,
    PeerUnreachable,
    SenderNotAccepted,
    StorageFull,
)
from gateway.ledger.records import (
    Abandoned,
    Claim,
    Delivered,
    EndpointState,
    Failed,
    Forwarded,
    Outcome,
    Refused,
    Reply,
)
from gateway.model import CALLED, AgencyCode, Channel, DeliveryState, Lane

_log = structlog.get_logger()

_ENDPOINT_ANSWERED = (Delivered, Forwarded, PeerRefused, SenderNotAccepted)
"""The endpoint is there and has judged the document, whatever it said of it: asked before the faults below."""
_ENDPOINT_AT_FAULT = (PeerUnreachable, PeerFailed, PeerAnswerUnusable, EndpointMisconfigured)
"""Failures that say something about the endpoint, and not about one document or about ourselves."""

Clock = Callable[[], datetime]
ArrivalReport = Callable[[Claim, datetime], Reply | None]
_Replies = Mapping[str, Reply | None]
"""By delivery id."""


class Queue(Protocol):
    """What the worker needs of the ledger; its contract is in ``gateway.ledger.ledger``."""

    def claim(
        self,
        *,
        worker: str,
        now: datetime,
        lease: timedelta,
        limit: int,
        per_endpoint: int = 2,
        channels: Sequence[Channel] = CALLED,
        without: Collection[AgencyCode] = (),
    ) -> list[Claim]: ...
    def settle_all(
        self, items: Sequence[tuple[Claim, Outcome, Reply | None]], *, now: datetime
    ) -> Sequence[DeliveryState | GatewayError]: ...
    def extend(self, claims: Sequence[Claim], *, now: datetime, lease: timedelta) -> set[str]: ...
    def release(self, claims: Sequence[Claim], *, now: datetime) -> int: ...
    def endpoint(self, via: AgencyCode) -> EndpointState: ...
    def endpoint_failed(
        self, via: AgencyCode, *, code: str, now: datetime, open_until: datetime | None
    ) -> EndpointState: ...
    def endpoint_succeeded(self, via: AgencyCode, *, now: datetime) -> None: ...


class Meter(Protocol):
    """Who counts; the metrics live elsewhere."""

    def attempted(self, *, channel: Channel, lane: Lane, outcome: str, seconds: float) -> None:
        """One delivery was tried; ``outcome`` as the ledger names it, or ``lost`` with its lease."""

    def circuit_opened(self, via: AgencyCode) -> None:
        """One endpoint is left alone for a time."""


class Uncounted:
    """A meter that counts nothing."""

    def attempted(self, *, channel: Channel, lane: Lane, outcome: str, seconds: float) -> None:
        """Nothing."""

    def circuit_opened(self, via: AgencyCode) -> None:
        """Nothing."""


class Attempts:
    """Makes requests and records what came of them; used by several threads at once."""

    def __init__(
        self,
        *,
        queue: Queue,
        sender: Sender,
        arrival_report: ArrivalReport | None,
        policies: Mapping[Lane, RetryPolicy],
        circuits: CircuitPolicy,
        jitter: Callable[[], float],
        meter: Meter,
    ) -> None:
        self._queue = queue
        self._sender = sender
        self._arrival_report = arrival_report
        self._policies = policies
        self._circuits = circuits
        self._jitter = jitter
        self._meter = meter
        self._lock = threading.Lock()
        self._noted: dict[AgencyCode, datetime] = {}

    def make(self, group: Group, clock: Clock) -> list[Ended]:
        """Make one request, and say how every delivery in it ended; to be recorded by ``settle``."""
        started = time.monotonic()
        faults.point("deliver.before_send")
        tries = self._try(group, clock)
        faults.point("deliver.after_send")
        return [
            ended
            for tried, replies in tries
            for ended in self._conclude(tried, replies, clock(), time.monotonic() - started)
        ]

    def settle(self, ended: Sequence[Ended], now: datetime) -> None:
        """Record how some tries ended, whichever requests they belong to."""
        for _ in ended:
            faults.point("deliver.before_settle")
        results = self._settled(ended, now)
        for _ in ended:
            faults.point("deliver.after_settle")
        for one, result in zip(ended, results, strict=True):
            # LeaseLost: another worker has it, and sends again what we sent; the receiver knows it by its id.
            # Otherwise the ledger could not record the try: it is due again when the lease ends.
            self._report(one.claim, result if isinstance(result, GatewayError) else one.outcome, one.seconds)

    def _settled(self, ended: Sequence[Ended], now: datetime) -> Sequence[DeliveryState | GatewayError]:
        items = [(one.claim, one.outcome, one.reply) for one in ended]
        try:
            return self._queue.settle_all(items, now=now)
        except (LedgerUnavailable, StorageFull) as e:
            return [e] * len(ended)
        except Exception as e:  # noqa: BLE001 # one that cannot be recorded, by a bug or not, must not take the others along
            if len(ended) > 1:
                return [result for one in ended for result in self._settled([one], now)]
            if isinstance(e, GatewayError):
                return [e]
            (one,) = ended
            _log.exception("delivery.fault", delivery=one.claim.delivery_id, document=one.claim.document_id)
            return [GatewayError("Recording the attempt met a fault of the gateway.")]

    def _try(self, group: Group, clock: Clock) -> list[tuple[Tried, _Replies]]:
        try:
            return [(tried, self._replies(tried, clock())) for tried in self._sender.send(group, now=clock())]
        except Exception:  # noqa: BLE001 # a bug met by one document must not stop the others; it becomes a failed try
            claim = group.claims[0]
            _log.exception("delivery.fault", delivery=claim.delivery_id, document=claim.document_id, via=claim.via)
            return [(Tried(group=group, result=GatewayError("The attempt met a fault of the gateway.")), {})]

    def _replies(self, tried: Tried, now: datetime) -> _Replies:
        """Status 01 for each document that the receiver's own system has now; a peer reports arrival itself."""
        if self._arrival_report is None or not isinstance(tried.result, Delivered):
            return {}
        return {claim.delivery_id: self._arrival_report(claim, now) for claim in tried.group.claims}

    def _conclude(self, tried: Tried, replies: _Replies, now: datetime, seconds: float) -> list[Ended]:
        """What one request means for every delivery in it; the endpoint's circuit learns of it at once."""
        circuit = self._endpoint_learns(tried, now)
        return [
            Ended(
                claim=claim,
                outcome=self._outcome(claim, tried.result, circuit, now),
                reply=replies.get(claim.delivery_id),
                seconds=seconds,
            )
            for claim in tried.group.claims
        ]

    def _outcome(
        self, claim: Claim, result: Delivered | Forwarded | GatewayError, circuit: Circuit | None, now: datetime
    ) -> Outcome:
        if not isinstance(result, GatewayError):
            return result
        if isinstance(result, PeerRefused):
            return Refused(code=result.code, detail=result.detail)
        asked = result.retry_at if isinstance(result, PeerFailed) else None
        at = self._policies[claim.lane].next_attempt(
            since=claim.trying_since, attempts=claim.attempt, now=now, jitter=self._jitter(), not_before=asked
        )
        if at is None:
            return Abandoned(code=result.code, detail=result.detail)
        if circuit is not None and circuit.open_until is not None:
            # The circuit paces the tries now, with one probe at a time. A longer wait of its own would only
            # keep the document here after the endpoint has come back, unless the endpoint has asked for it.
            at = min(at, max(circuit.open_until, asked or now, now))
        return Failed(code=result.code, detail=result.detail, retry_at=at)

    # What the endpoint's circuit learns

    def _endpoint_learns(self, tried: Tried, now: datetime) -> Circuit | None:
        """Tell the ledger how the endpoint did; the circuit after a failure, ``None`` when none is open."""
        via, claim = tried.group.via, tried.group.claims[0]
        try:
            if isinstance(tried.result, _ENDPOINT_ANSWERED):
                self._endpoint_succeeded(claim, now)
            elif isinstance(tried.result, _ENDPOINT_AT_FAULT):
                return self._endpoint_failed(claim, tried.result.code, now)
        except GatewayError as e:
            _log.error("worker.circuit_not_recorded", via=via, code=e.code)
        return None

    def _endpoint_failed(self, claim: Claim, code: str, now: datetime) -> Circuit:
        state = self._queue.endpoint(claim.via)
        # While a probe is under way the ledger shows the circuit as open to everybody; to the probe it is not.
        before = Circuit(failures=state.failures, open_until=None if claim.probe else state.open_until)
        after = self._circuits.after_failure(before, now=now, jitter=self._jitter())
        if after == before:
            return after
        opened = after.open_until
        self._queue.endpoint_failed(claim.via, code=code, now=now, open_until=opened)
        if opened is not None:
            _log.warning("endpoint.opened", via=claim.via, code=code, failures=after.failures, until=opened.isoformat())
            self._meter.circuit_opened(claim.via)
        return after

    def _endpoint_succeeded(self, claim: Claim, now: datetime) -> None:
        """Close the circuit; when there is nothing to close, only the time of the last success, once a minute."""
        with self._lock:
            noted = self._noted.get(claim.via)
            due = noted is None or now - noted >= timedelta(minutes=1)
            if not (due or claim.probe or claim.endpoint_failures):
                return
            self._noted[claim.via] = now
        self._queue.endpoint_succeeded(claim.via, now=now)

    # The log

    def _report(self, claim: Claim, outcome: Outcome | GatewayError, seconds: float) -> None:
        """One line and one count for one try of one delivery."""
        name, action = _NAMES.get(type(outcome), _LOST)
        self._meter.attempted(channel=claim.channel, lane=claim.lane, outcome=name, seconds=seconds)
        facts = {
            "delivery": claim.delivery_id,
            "document": claim.document_id,
            "recipient": claim.recipient,
            "via": claim.via,
            "channel": claim.channel.value,
            "attempt": claim.attempt,
            "seconds": round(seconds, 4),
        }
        if isinstance(outcome, Delivered | Forwarded):
            _log.info(action, **facts)
            return
        facts |= {"code": outcome.code, "detail": outcome.detail}
        if isinstance(outcome, Failed):
            facts["retry_at"] = outcome.retry_at.isoformat()
        _log.warning(action, **facts)


_NAMES: Mapping[type, tuple[str, str]] = {
    Delivered: ("delivered", "delivery.delivered"),
    Forwarded: ("forwarded", "delivery.forwarded"),
    Failed: ("failed", "delivery.attempt_failed"),
    Refused: ("refused", "delivery.refused"),
    Abandoned: ("abandoned", "delivery.abandoned"),
}
"""Outcome of a try: its name in the metrics, and the action in the log, which is that of the ledger's event."""
_LOST = ("lost", "delivery.not_settled")
