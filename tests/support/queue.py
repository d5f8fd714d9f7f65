"""A queue in memory with the ledger's contract, for tests of the worker's own decisions."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.errors import GatewayError, LeaseLost
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
from gateway.model import AgencyCode, Channel, DeliveryState, Lane, PackageKind

NOON = datetime(2026, 3, 2, 5, tzinfo=UTC)

_STATES = {
    Delivered: DeliveryState.DELIVERED,
    Forwarded: DeliveryState.FORWARDED,
    Failed: DeliveryState.WAITING,
    Refused: DeliveryState.REFUSED,
    Abandoned: DeliveryState.ABANDONED,
}


@dataclass
class Entry:
    """One delivery."""

    claim: Claim
    due_at: datetime
    state: DeliveryState = DeliveryState.WAITING
    attempts: int = 0
    token: str | None = None


class MemoryQueue:
    """What the worker needs of a ledger; ``entries`` and ``settled`` are for tests to look at."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.settled: list[tuple[Claim, Outcome, Reply | None]] = []
        self.settlements: list[int] = []
        """How many were settled together, each time."""
        self.claims: list[list[Claim]] = []
        self.extended: Counter[str] = Counter()
        self.circuits: dict[AgencyCode, EndpointState] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(
        self,
        via: str,
        *,
        lane: Lane = Lane.NORMAL,
        due_at: datetime = NOON,
        channel: Channel = Channel.PUSH,
        **changes: Any,
    ) -> str:
        """Put one delivery into the queue; its id."""
        number = next(self._numbers)
        facts: dict[str, Any] = {
            "document_id": f"doc-{number}",
            "recipient": AgencyCode(via),
            "as_written": AgencyCode(via),
            "sha256": "0" * 64,
            "size": 8,
            **changes,
        }
        claim = Claim(
            delivery_id=f"d-{number}",
            token="",
            worker="",
            leased_until=NOON,
            claimed_at=NOON,
            attempt=0,
            tried_before=False,
            trying_since=due_at,
            accepted_at=due_at,
            kind=PackageKind.DOCUMENT,
            sender=AgencyCode("000.00.01.H37"),
            via=AgencyCode(via),
            channel=channel,
            lane=lane,
            endpoint_failures=0,
            probe=False,
            **facts,
        )
        self.entries[claim.delivery_id] = Entry(claim, due_at)
        return claim.delivery_id

    def claim(
        self,
        *,
        worker: str,
        now: datetime,
        lease: timedelta,
        limit: int,
        per_endpoint: int = 2,
        channels: Sequence[Channel] = (Channel.PUSH, Channel.PEER),
        without: Collection[AgencyCode] = (),
    ) -> list[Claim]:
        with self._lock:
            taken: list[Claim] = []
            counts: Counter[AgencyCode] = Counter()
            due = [
                e
                for e in self.entries.values()
                if e.state in (DeliveryState.WAITING, DeliveryState.LEASED)
                and e.due_at <= now
                and e.claim.via not in without
            ]
            for entry in sorted(due, key=lambda e: (-e.claim.lane, e.due_at)):
                via = entry.claim.via
                state = self._state(via)
                probe = state.open_until is not None
                if state.open_until is not None and state.open_until > now:
                    continue
                if counts[via] >= (1 if probe else per_endpoint) or len(taken) >= limit:
                    continue
                counts[via] += 1
                if probe:  # open to everybody else until the probe's lease ends
                    self.circuits[via] = replace(state, open_until=now + lease)
                entry.attempts += 1
                entry.state, entry.due_at, entry.token = DeliveryState.LEASED, now + lease, f"t-{next(self._numbers)}"
                taken.append(
                    replace(
                        entry.claim,
                        token=entry.token,
                        worker=worker,
                        leased_until=entry.due_at,
                        claimed_at=now,
                        attempt=entry.attempts,
                        endpoint_failures=state.failures,
                        probe=probe,
                    )
                )
            self.claims.append(taken)
            return taken

    def settle_all(
        self, items: Sequence[tuple[Claim, Outcome, Reply | None]], *, now: datetime
    ) -> list[DeliveryState | GatewayError]:
        with self._lock:
            self.settlements.append(len(items))
            return [self._settle(*item) for item in items]

    def _settle(self, claim: Claim, outcome: Outcome, reply: Reply | None) -> DeliveryState | GatewayError:
        entry = self.entries[claim.delivery_id]
        if entry.token != claim.token:
            return LeaseLost()
        entry.state, entry.token = _STATES[type(outcome)], None
        if isinstance(outcome, Failed):
            entry.due_at = outcome.retry_at
        self.settled.append((claim, outcome, reply))
        return entry.state

    def extend(self, claims: Sequence[Claim], *, now: datetime, lease: timedelta) -> set[str]:
        with self._lock:
            held = {c.delivery_id for c in claims if self.entries[c.delivery_id].token == c.token}
            for delivery in held:
                self.entries[delivery].due_at = now + lease
                self.extended[delivery] += 1
            return held

    def release(self, claims: Sequence[Claim], *, now: datetime) -> int:
        with self._lock:
            held = [self.entries[c.delivery_id] for c in claims if self.entries[c.delivery_id].token == c.token]
            for entry in held:
                entry.state, entry.due_at, entry.token = DeliveryState.WAITING, now, None
                entry.attempts -= 1
            return len(held)

    def _state(self, via: AgencyCode) -> EndpointState:
        closed = EndpointState(
            via=via,
            failures=0,
            open_until=None,
            opened_at=None,
            last_success_at=None,
            last_failure_at=None,
            last_error_code=None,
        )
        return self.circuits.get(via, closed)

    def endpoint(self, via: AgencyCode) -> EndpointState:
        with self._lock:
            return self._state(via)

    def endpoint_failed(
        self, via: AgencyCode, *, code: str, now: datetime, open_until: datetime | None
    ) -> EndpointState:
        with self._lock:
            before = self._state(via)
            after = replace(
                before,
                failures=before.failures + 1,
                open_until=open_until or before.open_until,
                last_failure_at=now,
                last_error_code=code,
            )
            self.circuits[via] = after
            return after

    def endpoint_succeeded(self, via: AgencyCode, *, now: datetime) -> None:
        with self._lock:
            self.circuits[via] = replace(self._state(via), failures=0, open_until=None, last_success_at=now)

    def outcomes(self) -> dict[str, Outcome]:
        """The last outcome of each delivery."""
        return {claim.delivery_id: outcome for claim, outcome, _ in self.settled}

    def steal(self, delivery: str) -> None:
        """As if the lease had ended and another worker had claimed it."""
        self.entries[delivery].token = "somebody else's"
