"""The wish that a server ends, as the system tells it."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType


def end_when_told_as_first_process() -> None:
    """
    SIGTERM ends this process also while it is the first of a container and no :class:`Signals` waits for it yet.

    The kernel gives process 1 no default action: a stop that comes while libraries are loaded or tables are
    changed would be lost, and the container killed at the end of its time. What is under way is rolled back.
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


class Signals:
    """SIGTERM and SIGINT as an event; the second SIGINT is the impatient person's and ends at once."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._noticed)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself returned

    def _noticed(self, number: int, _frame: FrameType | None) -> None:
        if self.stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.stop.set()
