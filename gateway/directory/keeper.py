"""The present directory, kept in memory and renewed when the store has a newer version."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gateway.directory.directory import Directory, LocalSite
from gateway.directory.store import DirectoryStore


class DirectoryKeeper:
    """
    One snapshot for all threads of a process.

    Asking costs nothing until the poll is due; then one thread looks at the version and, if
    need be, loads, while the others go on with the snapshot that there is.
    """

    def __init__(
        self, store: DirectoryStore, local: LocalSite, *, monotonic: Callable[[], float], poll_seconds: float = 1.0
    ) -> None:
        """
        :param monotonic: seconds that only grow (``time.monotonic``).
        :param poll_seconds: how old a change may become before it is seen.
        """
        self._store = store
        self._local = local
        self._monotonic = monotonic
        self._poll_seconds = poll_seconds
        self._lock = threading.Lock()
        self._present: Directory | None = None
        self._poll_at = 0.0

    def current(self) -> Directory:
        """
        The directory of at most ``poll_seconds`` ago.

        Asked for once per use case and passed on, so that one document is judged by one directory.

        :raises LedgerUnavailable: the store does not answer; the next call asks again.
        """
        present = self._present
        if present is None:
            with self._lock:
                return self._renewed()
        if self._monotonic() >= self._poll_at and self._lock.acquire(blocking=False):
            try:
                return self._renewed()
            finally:
                self._lock.release()
        return present

    def _renewed(self) -> Directory:
        """Called with the lock held; another thread may have renewed it meanwhile."""
        now = self._monotonic()
        present = self._present
        if present is not None and now < self._poll_at:
            return present
        if present is None or self._store.version() != present.version:
            present = self._store.load(self._local, previous=present)
        self._present, self._poll_at = present, self._monotonic() + self._poll_seconds
        return present
