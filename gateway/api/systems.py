"""
Which system is calling, for whom it speaks, and how often it may call: what the protocols of the country share.

How a system proves who it is differs from protocol to protocol and is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from limits import RateLimitItem, parse

from gateway.api.rate import RateLimit
from gateway.directory import Directory
from gateway.errors import NotAuthenticated, TooManyRequests
from gateway.exchange.systems import LiveSystem, Systems, callers
from gateway.ledger.records import System
from gateway.model import Agency


@dataclass(frozen=True, kw_only=True)
class SystemCaller:
    """An authenticated system and the agencies that it speaks for."""

    system: System
    agencies: tuple[Agency, ...]
    """At least one; those of the system that the directory has."""

    @property
    def agency(self) -> Agency:
        """The first: under whose code requests are logged and refusals recorded."""
        return self.agencies[0]


class SystemDoor:
    """Lets systems in; one per process and protocol, shared by its threads."""

    def __init__(
        self,
        *,
        systems: Systems,
        directory: Callable[[], Directory],
        clock: Callable[[], datetime],
        rate_limit: str,
    ) -> None:
        """:param rate_limit: per system, and per address that is turned away (notation of ``limits``)."""
        self._systems = systems
        self._directory = directory
        self._clock = clock
        self._limit: RateLimitItem = parse(rate_limit)
        self._rate = RateLimit(self._limit)

    def find(self, system_id: str) -> LiveSystem | None:
        """The system of an id as it stands in a request; ``None`` for one that may not call."""
        return self._systems.find(system_id)

    def admit(self, system: System) -> SystemCaller:
        """
        Let in a system that has proved who it is.

        :raises TooManyRequests: it came too often.
        :raises NotAuthenticated: none of its agencies is in the directory any more.
        """
        self._count(f"system:{system.id}")
        agencies = callers(system, self._directory(), self._clock())
        if not agencies:
            raise NotAuthenticated("None of the agencies that this system speaks for is in the directory any more.")
        return SystemCaller(system=system, agencies=tuple(agencies))

    @contextmanager
    def watching(self, address: str) -> Iterator[None]:
        """
        Count failed proofs by the address that they come from.

        :raises TooManyRequests: instead of a ``NotAuthenticated`` raised within, when there were too many.
        """
        try:
            yield
        except NotAuthenticated:
            self._count(f"address:{address}")
            raise

    def _count(self, whom: str) -> None:
        if not self._rate.admits(whom):
            raise TooManyRequests(f"At most {self._limit} are served.")
