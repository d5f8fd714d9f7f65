"""How often each caller may come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from limits import RateLimitItem


class RateLimit:
    """
    At most so many within a while for each of many callers, however these are spread over it.

    The sliding window that ``limits`` calls a counter: those of the present window, and of the one
    before as large a part as still lies within the last while. Its own counting in memory starts a
    thread for every few requests, to forget the windows that are over; here they are forgotten
    together when a window begins.
    """

    def __init__(self, limit: RateLimitItem, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """
        :param limit: how many, and in how long (``limits.parse``).
        :param monotonic: seconds that only grow.
        """
        self._most = limit.amount
        self._seconds = limit.get_expiry()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._window = 0.0
        self._present: dict[str, int] = {}
        self._before: dict[str, int] = {}

    def admits(self, whom: str) -> bool:
        """Count one request of a caller; False when it is one too many, which does not count."""
        with self._lock:
            window, passed = divmod(self._monotonic(), self._seconds)
            if window != self._window:
                self._before = self._present if window == self._window + 1 else {}
                self._present, self._window = {}, window
            count = self._present.get(whom, 0)
            still_within = self._before.get(whom, 0) * (1 - passed / self._seconds)
            if int(still_within + count) >= self._most:
                return False
            self._present[whom] = count + 1
            return True
