"""Sealing the event log: every few seconds what has happened is chained, and the chain's head is kept elsewhere too."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

import structlog

from gateway.errors import GatewayError
from gateway.evidence.audit import Head
from gateway.evidence.chain import BATCH_EVENTS, digest_of, seal
from gateway.ledger.chain import EventLog
from gateway.model import LogBatch

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_ROUND = 64
"""Batches of one round at most, so that a round ends soon when the program is told to stop."""
_HEADS_ROUND = 50
_LINE_BYTES = 512
"""Of one line in the file of heads, at most."""


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """What came of one round."""

    batches: int
    events: int
    complete: bool
    """False when there is more than one round takes, or somebody else wrote for so long that it could not be known."""


class Sealer:
    """Seals what has happened. Any number of processes may: who comes second finds it done."""

    def __init__(
        self,
        log: EventLog,
        *,
        gateway: str,
        clock: Callable[[], datetime],
        every: timedelta = timedelta(seconds=5),
        heads: HeadsFile | None = None,
    ) -> None:
        self._events = log
        self._gateway = gateway
        self._clock = clock
        self._every = every
        self._heads = heads

    def run(self, stop: threading.Event) -> None:
        """Seal until told to stop; what has happened until then is sealed at the end."""
        while True:
            ending = stop.wait(self._every.total_seconds())
            try:
                done = self.seal()
                while done.batches and not done.complete and not ending and not stop.is_set():
                    done = self.seal()
            except GatewayError as e:
                # Nothing is lost: it is sealed once the ledger answers again.
                _log.error("log.not_sealed", code=e.code)
            except Exception:  # noqa: BLE001 # nobody would notice that this thread has ended
                _log.exception("log.fault")
            if ending:
                return

    def seal(self) -> Sealed:
        """
        Seal what has happened so far, as far as one round goes.

        :raises LedgerUnavailable: try again.
        """
        log = self._events
        newest = log.newest_batch()
        sealed_to = 0 if newest is None else newest.last_id
        to = log.decided_to(after=sealed_to)
        batches = events = 0
        while to is not None and sealed_to < to and batches < _ROUND:
            some = log.between(sealed_to, to, limit=BATCH_EVENTS)
            if not some:
                sealed_to = to  # numbers that came to nothing
                break
            newest = seal(some, after=newest, gateway=self._gateway, now=self._clock())
            if not log.add_batch(newest):
                # Another process was quicker; it is as good as done.
                return Sealed(batches=batches, events=events, complete=True)
            sealed_to, batches, events = newest.last_id, batches + 1, events + len(some)
        if self._heads is not None:
            self._heads.follow(log)
        return Sealed(batches=batches, events=events, complete=to is not None and sealed_to >= to)


class HeadsFile:
    """
    A copy of the chain's heads in a second place, one line for each batch, that is only ever appended to.

    Whoever rewrites the ledger's chain, or cuts its end off, would have to rewrite this file too: it belongs on
    another machine, or on a medium that can be written once.
    """

    def __init__(self, path: Path, *, patience: timedelta = timedelta(seconds=10)) -> None:
        """:param patience: so long it is waited for; a file server that is gone keeps whoever asks it for ever."""
        self._path = path
        self._patience = patience
        self._under_way: _Errand[int] | None = None

    def follow(self, log: EventLog) -> int:
        """
        Append what is missing; how many lines that were.

        A trouble with the file is written to the program's own log and stops nothing: the next round appends it. One
        that hangs is left to itself, and as long as it does nobody else asks.
        """
        if self._under_way is not None:
            if self._under_way.is_alive():
                return 0
            _log.warning("log.heads_back", action="log.heads_back")
            self._under_way = None
        errand = _Errand(lambda: self._follow(log))
        try:
            return errand.result(self._patience)
        except TimeoutError:
            self._under_way = errand
            # Once, and not each round: it is said again when it is back.
            _log.error("log.heads_not_written", code="storage.unavailable", reason="it does not answer")
            return 0
        except OSError as e:
            _log.error("log.heads_not_written", code="storage.unavailable", reason=e.strerror)
            return 0

    def _follow(self, log: EventLog) -> int:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with open(descriptor, "r+b", buffering=0) as file:
            # Several processes may share the file; a file system without locks gives an OSError.
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return 0  # somebody else is at it; sealing does not wait for that
            count, number = 0, _last_number(file) or newest_head(self._path)
            while batches := log.batches_after(number, limit=_HEADS_ROUND):
                number = batches[-1].number
                lines = b"".join(_line(batch) for batch in batches)
                if file.write(lines) != len(lines):
                    raise OSError(0, "a line was not written to its end")
                count += len(batches)
            if count:
                os.fsync(file.fileno())
        return count


class _Errand(threading.Thread, Generic[T]):
    """Work of which nobody can say whether it ever ends, such as opening a file of a server that is gone."""

    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__(name="heads", daemon=True)
        self._work = work
        self._done: list[T] = []
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        """Do it."""
        try:
            self._done.append(self._work())
        except Exception as e:  # noqa: BLE001 # whatever it is, who waits for the result raises it
            self._error = e

    def result(self, patience: timedelta) -> T:
        """
        What came of it; raises what it raised.

        :raises TimeoutError: it has not ended in time.
        """
        self.join(patience.total_seconds())
        if self.is_alive():
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        if self._error is not None:
            raise self._error
        return self._done[0]


def newest_head_within(path: Path, patience: timedelta = timedelta(seconds=10)) -> int:
    """
    As ``newest_head``, for who must not wait for ever.

    :raises OSError: it cannot be read, or does not answer in time.
    """
    return _Errand(lambda: newest_head(path)).result(patience)


def _line(batch: LogBatch) -> bytes:
    facts = {"batch": batch.number, "last": batch.last_id, "sha256": digest_of(batch.header).hex()}
    return json.dumps(facts, separators=(",", ":")).encode() + b"\n"


def _last_number(file: BinaryIO) -> int:
    """
    Number of the last whole line near the end, or 0; a line that was cut off by a full disk is ended, and said again.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 4 * _LINE_BYTES))
    tail = file.read()
    if tail and not tail.endswith(b"\n"):
        file.write(b"\n")
    numbers = [head.batch for head in (read_head(line) for line in tail.split(b"\n")) if head is not None]
    return numbers[-1] if numbers else 0


def read_head(line: bytes) -> Head | None:
    """What a line of the file says; ``None`` when it is none."""
    try:
        facts = json.loads(line)
        head = Head(batch=facts["batch"], last=facts["last"], sha256=facts["sha256"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return head if type(head.batch) is int and type(head.last) is int and isinstance(head.sha256, str) else None


def heads_in(path: Path, *, size: int) -> Iterator[Head | None]:
    """
    The lines of a file of heads; ``None`` for one that is none.

    :param size: bytes to read; what is appended meanwhile is left out.
    :raises OSError: it cannot be read.
    """
    with path.open("rb") as file:
        read = 0
        while read < size and (line := file.readline(_LINE_BYTES)):
            read += len(line)
            if line.strip():
                yield read_head(line)


def newest_head(path: Path) -> int:
    """
    Number of the newest batch in a file of heads; 0 when it knows none.

    :raises OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 4 * _LINE_BYTES))
        heads = [read_head(line) for line in file.read(4 * _LINE_BYTES).split(b"\n")]
    newest = max((head.batch for head in heads if head is not None), default=0)
    # After a failure of the disk or the server the end may hold no line at all.
    return newest or max((head.batch for head in heads_in(path, size=size) if head is not None), default=0)
