"""
When to leave an endpoint alone; pure.

A broken endpoint must cost its own documents some waiting and everybody else nothing. After
some failures in a row its circuit opens: nothing is sent until a time that grows with each
further failure. After that time one delivery is let through; its success closes the circuit.
The state is stored by the ledger, so that several workers share it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta


class Gate(enum.Enum):
    """What a circuit lets through at a moment."""

    CLOSED = "closed"
    """Everything."""
    OPEN = "open"
    """Nothing."""
    HALF_OPEN = "half_open"
    """One delivery, to find out."""


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """The recent history of one endpoint."""

    failures: int = 0
    """Failures in a row that say something about the endpoint."""
    open_until: datetime | None = None
    """Aware UTC; ``None`` while the circuit is closed."""

    def gate(self, now: datetime) -> Gate:
        """What may be sent at ``now``."""
        if self.open_until is None:
            return Gate.CLOSED
        return Gate.OPEN if now < self.open_until else Gate.HALF_OPEN


CLOSED = Circuit()
"""The state after a success, and of an endpoint that was never tried."""


@dataclass(frozen=True, kw_only=True)
class CircuitPolicy:
    """How much failure opens a circuit, and for how long."""

    opens_after: int = 5
    """Failures in a row."""
    first_pause: timedelta = timedelta(seconds=30)
    """First opening; doubles with each failure let through afterwards."""
    longest_pause: timedelta = timedelta(minutes=10)
    """The doubling stops here: an endpoint that is back is found within this time."""
    spread: float = 0.25
    """Largest part of a pause that chance adds to it."""

    def after_failure(self, circuit: Circuit, *, now: datetime, jitter: float) -> Circuit:
        """
        The state after one more failure.

        A failure that comes in while the circuit is open belongs to an attempt made before it
        opened: it says nothing new, and does not make the pause longer.

        :param jitter: chance, in [0, 1).
        """
        if circuit.gate(now) is Gate.OPEN:
            return circuit
        failures = circuit.failures + 1
        if failures < self.opens_after:
            return replace(circuit, failures=failures)
        # Bounded for the same reason as in RetryPolicy: timedelta overflows.
        pause = min(self.first_pause * 2 ** min(failures - self.opens_after, 32), self.longest_pause)
        return Circuit(failures=failures, open_until=now + pause * (1 + self.spread * jitter))

    def scaled(self, factor: float) -> CircuitPolicy:
        """The same policy with every pause multiplied. For demonstrations and tests."""
        return replace(self, first_pause=self.first_pause * factor, longest_pause=self.longest_pause * factor)
