"""How tries ended, until it is recorded: together, since one transaction for many costs a fraction of one for each."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from gateway.ledger.records import Claim, Outcome, Reply


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How one try of one delivery ended."""

    claim: Claim
    outcome: Outcome
    reply: Reply | None
    """The automatic status 01 to record together with it."""
    seconds: float
    """What the try took."""


class Results:
    """
    Collects how tries ended; put in by the threads that send, taken out by the one that settles.

    The gap that this makes between a try and its record is safe. All that while the delivery is leased,
    and its lease is lengthened, so nobody else sends it. Should the process die in the gap, the lease
    ends and the delivery is sent again, as after a death during the request itself: the receiver
    recognises it, a system by its ``webhook-id``, a gateway by its identity and bytes (design D6).
    """

    def __init__(self, *, within: timedelta, most: int) -> None:
        """
        :param within: how long a result may wait for others.
        :param most: results that are settled together; keeps transactions, and the waiting of other writers, short.
        """
        self._within = within.total_seconds()
        self._most = most
        self._lock = threading.Lock()
        self._waiting: list[tuple[float, Ended]] = []

    def put(self, ended: Sequence[Ended]) -> bool:
        """Add some; true when whoever settles should look at the clock (the first ones), or act (enough)."""
        now = time.monotonic()
        with self._lock:
            before = len(self._waiting)
            self._waiting += [(now, one) for one in ended]
            return before == 0 or before < self._most <= len(self._waiting)

    def take(self, *, at_once: bool) -> list[Ended]:
        """
        What is to be settled now, the oldest first; empty when it is better to wait for more.

        :param at_once: no more are to be expected.
        """
        with self._lock:
            if not (at_once or len(self._waiting) >= self._most or self._seconds_left() == 0):
                return []
            taken = [one for _, one in self._waiting[: self._most]]
            del self._waiting[: self._most]
            return taken

    @property
    def seconds_left(self) -> float | None:
        """Until the oldest must be settled; ``None`` when there is nothing."""
        with self._lock:
            return self._seconds_left() if self._waiting else None

    def _seconds_left(self) -> float:
        if not self._waiting:
            return self._within
        return max(self._waiting[0][0] + self._within - time.monotonic(), 0)
