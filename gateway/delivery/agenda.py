"""What one worker has claimed: what waits its turn here, is under way, or is not settled yet. Shared by its threads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

from gateway.delivery.send import Group
from gateway.ledger.records import Claim
from gateway.model import AgencyCode


class Agenda:
    """
    The groups to send, the most urgent first, with no more under way at once than allowed.

    A slow endpoint uses up its own places, never those of another.
    """

    def __init__(self, *, threads: int, per_endpoint: int) -> None:
        self._threads = threads
        self._per_endpoint = per_endpoint
        self._lock = threading.Lock()
        self._ready: list[tuple[float, Group]] = []
        self._running: Counter[AgencyCode] = Counter()
        self._held: dict[str, Claim] = {}

    def add(self, groups: Iterable[Group], *, at: float) -> None:
        """Put groups in line; ``at`` is what ``take_stale`` compares with."""
        with self._lock:
            for group in groups:
                self._ready.append((at, group))
                self._held.update((claim.delivery_id, claim) for claim in group.claims)
            # Stable: within a lane the order of claiming, which is that of falling due.
            self._ready.sort(key=lambda entry: -entry[1].lane)

    def begin(self) -> Group | None:
        """The next group that may be sent now, counted as under way from here on; ``None`` when there is none."""
        with self._lock:
            return self._begin()

    def end(self, group: Group, *, then: bool) -> Group | None:
        """
        A group is no longer under way; ``then`` begins the next, as ``begin`` does.

        Its leases are kept until ``forget`` says that how it ended is recorded.
        """
        with self._lock:
            self._running[group.via] -= 1
            if not self._running[group.via]:
                del self._running[group.via]
            return self._begin() if then else None

    def forget(self, claims: Iterable[Claim]) -> None:
        """These are settled, or given up: their leases are no longer kept."""
        with self._lock:
            self._forget(claims)

    def _begin(self) -> Group | None:
        if self._running.total() >= self._threads:
            return None
        for place, (_, group) in enumerate(self._ready):
            if self._running.get(group.via, 0) < self._places(group):
                del self._ready[place]
                self._running[group.via] += 1
                return group
        return None

    def _places(self, group: Group) -> int:
        """One only while the endpoint's last try failed, so that a few that hang cannot hold all threads."""
        return 1 if group.claims[0].endpoint_failures else self._per_endpoint

    def take_stale(self, before: float) -> list[Claim]:
        """Take back what has waited here since before that time."""
        with self._lock:
            stale = [group for at, group in self._ready if at < before]
            if stale:
                self._ready = [(at, group) for at, group in self._ready if at >= before]
            return self._taken(stale)

    def take_all(self) -> list[Claim]:
        """Take back all that has not begun."""
        with self._lock:
            groups = [group for _, group in self._ready]
            self._ready.clear()
            return self._taken(groups)

    def _taken(self, groups: Iterable[Group]) -> list[Claim]:
        claims = [claim for group in groups for claim in group.claims]
        self._forget(claims)
        return claims

    def _forget(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            held = self._held.get(claim.delivery_id)
            # A delivery whose lease was lost may have been claimed again, by this very worker.
            if held is not None and held.token == claim.token:
                del self._held[claim.delivery_id]

    def held(self) -> list[Claim]:
        """Everything whose lease is to be kept: waiting, under way, and not yet settled."""
        with self._lock:
            return list(self._held.values())

    def occupied(self) -> set[AgencyCode]:
        """Endpoints for which nothing more is to be claimed: they have enough here."""
        with self._lock:
            full = {via for via, count in self._running.items() if count >= self._per_endpoint}
            return full | {group.via for _, group in self._ready}

    @property
    def is_full(self) -> bool:
        """True while every thread has something to send."""
        with self._lock:
            return self._running.total() >= self._threads

    @property
    def is_quiet(self) -> bool:
        """True when nothing waits here and nothing is under way: no further result is to be expected."""
        with self._lock:
            return not self._ready and not self._running

    @property
    def is_empty(self) -> bool:
        """True when it is quiet and everything is settled."""
        with self._lock:
            return not self._held
