"""
The line in which the writers of one process wait for SQLite, which takes one at a time.

Who waits with an errand need not come up himself: whoever does takes along the errands of all who wait, so that
they share one transaction and one commit. Nobody waits for company: alone, one goes at once.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from gateway.errors import LedgerUnavailable

T = TypeVar("T")


class Errand(Generic[T]):
    """What one thread wants done in a transaction, and what came of it."""

    def __init__(self, work: Callable[[Connection], T]) -> None:
        self._work = work
        self._answer: list[T] = []
        self.error: BaseException | None = None

    def run(self, connection: Connection) -> None:
        """Do the work; the answer is good when the transaction is durable."""
        self._answer = [self._work(connection)]

    def result(self) -> T:
        """The answer; raises what went wrong, with the work or with the transaction."""
        if self.error is not None:
            raise self.error
        [answer] = self._answer
        return answer


class _Place:
    """Where one thread stands in line."""

    def __init__(self, errand: Errand[Any] | None) -> None:
        self.errand = errand
        self.called = threading.Event()
        """It is this thread's turn, or its errand has been run."""
        self.first = False
        """It is this thread's turn."""


class Line:
    """Lets in one thread at a time, in the order of their coming."""

    def __init__(self, seconds: float) -> None:
        """
        Begin with nobody.

        :param seconds: how long a thread waits for its turn.
        """
        self._seconds = seconds
        self._guard = threading.Lock()
        self._inside: int | None = None
        """Which thread; ``0`` while it is being called in."""
        self._waiting: deque[_Place] = deque()

    @property
    def length(self) -> int:
        """How many wait now."""
        return len(self._waiting)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """
        A turn for whatever the block does.

        :raises LedgerUnavailable: it did not come in time.
        """
        self._come_in(None)
        try:
            yield
        finally:
            self._go()

    def together(self, work: Callable[[Connection], T], commit: Callable[[Sequence[Errand[Any]]], None]) -> T:
        """
        Have work done in a transaction, by this thread or by one that waited before it.

        :param commit: runs errands in one transaction. When it returns, each is durable or says by its ``error`` why
            not; when it raises, none is.
        :return: what the work returned; raises what it raised.
        :raises LedgerUnavailable: the turn did not come in time, or the thread that ran the errand was stopped.
        """
        errand = Errand(work)
        if self._come_in(errand):
            try:
                self._run([errand], commit)
            finally:
                self._go()
        return errand.result()

    def _run(self, errands: list[Errand[Any]], commit: Callable[[Sequence[Errand[Any]]], None]) -> None:
        taken = self._take_waiting()
        errands += [place.errand for place in taken if place.errand is not None]
        # Overwritten by what comes of it; stands only if this thread is stopped in between.
        outcome: BaseException | None = LedgerUnavailable("The ledger was interrupted.")
        try:
            commit(errands)
            outcome = None
        except Exception as e:  # noqa: BLE001 # whatever it is, each of those who wait for their errand raises it
            outcome = e
        finally:
            for errand in errands:
                errand.error = outcome if errand.error is None else errand.error
            for place in taken:
                place.called.set()

    def _come_in(self, errand: Errand[Any] | None) -> bool:
        """Wait for the turn. ``False``: another thread has run the errand meanwhile."""
        place = _Place(errand)
        with self._guard:
            if self._inside is None:
                self._inside = threading.get_ident()
                return True
            if self._inside == threading.get_ident():
                raise RuntimeError("A transaction inside a transaction of the same thread would wait for itself.")
            self._waiting.append(place)
        try:
            called = place.called.wait(self._seconds)
            if not called and not self._left(place):
                # Just now called in, or taken along by the one inside, whose outcome is this one's too.
                place.called.wait()
                called = True
        except BaseException:
            if not self._left(place) and place.first:
                self._go()
            raise
        if not called:
            raise LedgerUnavailable("The ledger is locked by another writer.")
        if place.first:
            self._inside = threading.get_ident()
        return place.first

    def _left(self, place: _Place) -> bool:
        """Leave the line; ``False`` when the place is in it no more."""
        with self._guard:
            if place not in self._waiting:
                return False
            self._waiting.remove(place)
            return True

    def _take_waiting(self) -> list[_Place]:
        """Those whose errands can be taken along; they leave the line."""
        with self._guard:
            taken = [place for place in self._waiting if place.errand is not None]
            self._waiting = deque(place for place in self._waiting if place.errand is None)
            return taken

    def _go(self) -> None:
        """Let the next one in."""
        with self._guard:
            if not self._waiting:
                self._inside = None
                return
            self._inside = 0
            following = self._waiting.popleft()
            following.first = True
            following.called.set()
