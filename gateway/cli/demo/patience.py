"""How long the demo waits: as long as something moves, for a slow machine is not a broken one."""

from __future__ import annotations

import time
from collections.abc import Callable

STILL_SECONDS = 60.0
"""Nothing that is on its way has moved for so long: it will not move any more."""
AT_MOST_SECONDS = 600.0
"""From the start of the command, whatever still moves."""


class Patience:
    """Begins with the command; ends when nothing has moved for too long, or at the outer bound."""

    def __init__(
        self,
        *,
        still: float = STILL_SECONDS,
        at_most: float = AT_MOST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.still = still
        self._at_most = at_most
        self._clock = clock
        self._began = self._moved = clock()
        self._seen: object = None

    def see(self, state: object) -> None:
        """Look at how things stand; different from the last time means that something has moved."""
        if state != self._seen:
            self._seen, self._moved = state, self._clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the command began."""
        return self._clock() - self._began

    @property
    def over(self) -> bool:
        """Whether there is nothing more to wait for."""
        now = self._clock()
        return now - self._moved > self.still or now - self._began > self._at_most
