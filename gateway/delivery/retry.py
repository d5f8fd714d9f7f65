"""When to try again, and when to give up; pure: the time and the chance are arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from gateway.model import Lane


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How long to keep trying to hand one document to one endpoint."""

    first_wait: timedelta = timedelta(minutes=1)
    """Wait before the second attempt; doubles after each failure."""
    longest_wait: timedelta = timedelta(hours=4)
    """The doubling stops here, and so does what an endpoint may ask for with ``Retry-After``."""
    give_up_after: timedelta = timedelta(days=10)
    """Time since acceptance (or since a replay) after which no further attempt is made."""
    spread: float = 0.25
    """Largest part of a wait that chance adds to it, so that what failed together does not return together."""

    def next_attempt(
        self,
        *,
        since: datetime,
        attempts: int,
        now: datetime,
        jitter: float,
        not_before: datetime | None = None,
    ) -> datetime | None:
        """
        Say when to try again, or ``None`` to give up.

        :param since: when the document was accepted, or the delivery last replayed; aware UTC.
        :param attempts: attempts made since then, the one that just failed included; at least 1.
        :param now: when the attempt failed; aware UTC.
        :param jitter: chance, in [0, 1).
        :param not_before: what the endpoint's ``Retry-After`` said; heeded up to ``longest_wait``.
        """
        wait = self.wait(attempts=attempts)
        if not_before is not None:
            wait = max(wait, min(not_before - now, self.longest_wait))
        at = now + wait * (1 + self.spread * jitter)
        return at if at - since <= self.give_up_after else None

    def wait(self, *, attempts: int) -> timedelta:
        """How long to wait after so many attempts (at least 1), without anything that chance or the endpoint adds."""
        # Past 32 doublings the wait is longer than any longest_wait, and the
        # multiplication would overflow timedelta.
        doublings: int = 2 ** min(attempts - 1, 32)
        return min(self.first_wait * doublings, self.longest_wait)

    def scaled(self, factor: float) -> RetryPolicy:
        """The same policy with every wait multiplied; patience stays. For demonstrations and tests."""
        return replace(self, first_wait=self.first_wait * factor, longest_wait=self.longest_wait * factor)


_FLASH = RetryPolicy(
    first_wait=timedelta(seconds=5), longest_wait=timedelta(minutes=5), give_up_after=timedelta(days=14)
)

POLICIES: Mapping[Lane, RetryPolicy] = MappingProxyType(
    {
        # Every patience outlasts the longest public holiday (Tết, up to nine days), during
        # which a commune's server may well be switched off.
        Lane.NORMAL: RetryPolicy(),
        Lane.URGENT: RetryPolicy(first_wait=timedelta(seconds=30), longest_wait=timedelta(minutes=30)),
        Lane.VERY_URGENT: RetryPolicy(first_wait=timedelta(seconds=15), longest_wait=timedelta(minutes=15)),
        Lane.FLASH: _FLASH,
        Lane.FLASH_TIMED: _FLASH,
    }
)
"""The default policy of each lane."""


def scaled(policies: Mapping[Lane, RetryPolicy], factor: float) -> Mapping[Lane, RetryPolicy]:
    """The whole table with every wait multiplied by ``factor``."""
    return MappingProxyType({lane: policy.scaled(factor) for lane, policy in policies.items()})
