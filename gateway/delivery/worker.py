"""
The loop that hands documents over: claim, send, record.

One thread speaks with the ledger (claims and settles) and decides what starts; a bounded pool of
threads sends. No transaction is open while a request is under way. A delivery that is claimed and
not settled, whatever happened to the process, is due again when its lease ends: sending it twice is
harmless, losing it is not possible.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from gateway import faults
from gateway.delivery.agenda import Agenda
from gateway.delivery.attempt import ArrivalReport, Attempts, Clock, Meter, Queue, Uncounted
from gateway.delivery.circuit import CircuitPolicy
from gateway.delivery.results import Results
from gateway.delivery.retry import POLICIES, RetryPolicy
from gateway.delivery.send import Group, Sender, grouped
from gateway.errors import (
    GatewayError,
)
from gateway.ledger.records import (
    Claim,
)
from gateway.model import AgencyCode, Lane

_log = structlog.get_logger()


def utc_now() -> datetime:
    """The clock of a running gateway."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How much at once, and how often to look."""

    threads: int = 8
    """Requests under way at once."""
    per_endpoint: int = 2
    """Of these, to one endpoint; one only while its last try failed, so that a few
    endpoints that hang cannot hold all threads."""
    batch: int = 32
    """Claims taken at once for one endpoint: claiming one by one costs many times more."""
    fresh: timedelta = timedelta(seconds=2)
    """How long a claim may wait its turn here. Then it goes back, so that something more urgent for the
    same endpoint is never behind more than this."""
    lease: timedelta = timedelta(minutes=5)
    """Lengthened while a request is under way."""
    shortest_poll: timedelta = timedelta(milliseconds=50)
    """Pause after finding nothing due; doubles up to ``poll``."""
    poll: timedelta = timedelta(seconds=1)
    settle_within: timedelta = timedelta(milliseconds=50)
    """How long the result of a try may wait for others to be recorded with; not at all when none is under way."""
    settle_together: int = 32
    """Results recorded in one transaction at most."""


class Worker:
    """Hands over what is due. One instance per process; several processes may share a ledger."""

    def __init__(
        self,
        *,
        name: str,
        queue: Queue,
        sender: Sender,
        arrival_report: ArrivalReport | None = None,
        policies: Mapping[Lane, RetryPolicy] = POLICIES,
        circuits: CircuitPolicy | None = None,
        pace: Pace | None = None,
        clock: Clock = utc_now,
        jitter: Callable[[], float] = random.random,
        meter: Meter | None = None,
    ) -> None:
        """
        :param name: stands in the ledger beside what it does; unique among running workers.
        :param arrival_report: makes the automatic status 01 for a document that a push has just brought to
            its receiver, or ``None`` when there is none to send; it is recorded together with the delivery.
        :param clock: aware UTC.
        :param jitter: chance, in [0, 1).
        """
        self._name = name
        self._queue = queue
        self._attempts = Attempts(
            queue=queue,
            sender=sender,
            arrival_report=arrival_report,
            policies=policies,
            circuits=circuits or CircuitPolicy(),
            jitter=jitter,
            meter=meter or Uncounted(),
        )
        self._pace = pace or Pace()
        self._clock = clock
        self._news = threading.Event()
        self._woken = False
        self._agenda = Agenda(threads=self._pace.threads, per_endpoint=self._pace.per_endpoint)
        self._results = Results(within=self._pace.settle_within, most=self._pace.settle_together)
        # What follows belongs to the claiming thread alone.
        self._unfinished: set[AgencyCode] = set()
        self._next_claim = 0.0
        self._next_extension = 0.0
        self._idle = self._pace.shortest_poll.total_seconds()

    # Running

    def run(self, stop: threading.Event) -> None:
        """
        Hand over what is due until ``stop`` is set; then finish what is under way and give the rest back.

        ``wake`` makes it notice ``stop`` at once instead of after the poll interval.
        """
        _log.info("worker.started", worker=self._name, threads=self._pace.threads)
        with self._pool() as pool:
            while not stop.is_set():
                self._keep_leases()
                self._release(self._agenda.take_stale(time.monotonic() - self._pace.fresh.total_seconds()))
                self._start(pool, self._clock)
                settled = self._settle(self._clock)
                claimed = self._should_claim() and self._claim_more()
                if not (settled or claimed):
                    self._wait(self._time_to_next())
            self._drain()
        _log.info("worker.stopped", worker=self._name)

    def run_once(self, now: datetime) -> int:
        """Claim one batch as of ``now``, try all of it, and return how many deliveries that were."""
        claims = self._claim(now, without=())
        with self._pool() as pool:
            while not self._agenda.is_empty:
                self._start(pool, lambda: now)
                if not self._settle(lambda: now):
                    self._wait(self._pace.poll.total_seconds())
        return len(claims)

    def wake(self) -> None:
        """Look for due deliveries now; called when a document was accepted or the program is to end."""
        self._woken = True
        self._news.set()

    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._pace.threads, thread_name_prefix="deliver")

    def _drain(self) -> None:
        """Give back what has not begun, and keep the leases of what has until it ends."""
        self._release(self._agenda.take_all())
        while not self._agenda.is_empty:
            self._keep_leases()
            if not self._settle(self._clock):
                self._wait(self._pace.poll.total_seconds())

    def _wait(self, seconds: float) -> None:
        """Until there is news, that time has passed, or results must be settled."""
        left = self._results.seconds_left
        self._news.wait(seconds if left is None else min(seconds, left))
        self._news.clear()

    # Claiming

    def _should_claim(self) -> bool:
        """
        Whether to ask the ledger now: only with a thread to spare and nothing here to give it.

        After an empty-handed look, not before the pause is over, unless there is reason to expect
        something: a wake-up, or an endpoint that is free again and had more due than one batch.
        """
        if self._agenda.is_full:
            return False
        if self._woken or time.monotonic() >= self._next_claim:
            return True
        return not self._unfinished <= self._agenda.occupied()

    def _claim_more(self) -> bool:
        """Claim a batch; true when there was something."""
        self._woken = False
        without = self._agenda.occupied()
        try:
            claims = self._claim(self._clock(), without=without)
        except GatewayError as e:
            # The ledger is locked, full or away: everything waits, nothing is lost.
            _log.error("worker.claim_failed", worker=self._name, code=e.code, detail=e.detail)
            self._pause(longest=True)
            return False
        taken = Counter(claim.via for claim in claims)
        self._unfinished = {via for via in self._unfinished if via in without}
        self._unfinished |= {via for via, count in taken.items() if count >= self._pace.batch}
        if claims:
            self._idle = self._pace.shortest_poll.total_seconds()
        full = len(claims) >= self._limit()
        self._next_claim = time.monotonic() + (0 if full else self._idle)
        if not claims:
            self._pause()
        return bool(claims)

    def _claim(self, now: datetime, *, without: Collection[AgencyCode]) -> list[Claim]:
        claims = self._queue.claim(
            worker=self._name,
            now=now,
            lease=self._pace.lease,
            limit=self._limit(),
            per_endpoint=self._pace.batch,
            without=without,
        )
        if claims:
            faults.point("deliver.after_claim")
        self._agenda.add(grouped(claims), at=time.monotonic())
        return claims

    def _limit(self) -> int:
        return self._pace.batch * 2

    def _pause(self, *, longest: bool = False) -> None:
        poll = self._pace.poll.total_seconds()
        self._idle = poll if longest else self._idle
        self._next_claim = time.monotonic() + self._idle
        self._idle = min(self._idle * 2, poll)

    def _time_to_next(self) -> float:
        """Seconds until there may be something to do without news from a thread or from outside."""
        poll = self._pace.poll.total_seconds()
        if self._agenda.is_full:
            return poll
        return min(max(self._next_claim - time.monotonic(), 0.001), poll)

    def _keep_leases(self) -> None:
        """Lengthen what is held here when a third of a lease has passed: a large document takes its time."""
        if time.monotonic() < self._next_extension:
            return
        self._next_extension = time.monotonic() + self._pace.lease.total_seconds() / 3
        held = self._agenda.held()
        if not held:
            return
        try:
            self._queue.extend(held, now=self._clock(), lease=self._pace.lease)
        except GatewayError as e:
            # Leases that end meanwhile are noticed when their deliveries are settled.
            _log.error("worker.extend_failed", worker=self._name, code=e.code)

    def _release(self, claims: Sequence[Claim]) -> None:
        if not claims:
            return
        try:
            self._queue.release(claims, now=self._clock())
        except GatewayError as e:
            # Then their leases end by themselves.
            _log.error("worker.release_failed", worker=self._name, code=e.code)

    # Sending

    def _start(self, pool: ThreadPoolExecutor, clock: Clock) -> None:
        """Give what may be sent now to free threads."""
        while (group := self._agenda.begin()) is not None:
            pool.submit(self._send, group, clock).add_done_callback(self._ended)

    def _send(self, group: Group | None, clock: Clock) -> None:
        """Send one group, then whatever may be sent next: while there is something, no thread has to be woken."""
        while group is not None:
            finished = False
            try:
                # Before the group ends: once all is quiet here, every result is there to be taken.
                if self._results.put(self._attempts.make(group, clock)):
                    self._news.set()
                finished = True
            finally:
                if not finished:
                    self._agenda.forget(group.claims)
                group = self._agenda.end(group, then=finished)

    def _ended(self, future: Future[None]) -> None:
        """A thread has nothing more to send; or it met something that nobody foresaw, after its request."""
        if (error := future.exception()) is not None:
            # Not settled: the lease ends, and the delivery is due again.
            _log.error("worker.fault", worker=self._name, exc_info=error)
        self._news.set()

    # Settling

    def _settle(self, clock: Clock) -> bool:
        """Record the results that are due to be recorded; true when there were some."""
        ended = self._results.take(at_once=self._agenda.is_quiet)
        if not ended:
            return False
        try:
            self._attempts.settle(ended, clock())
        except Exception as error:  # noqa: BLE001 # what nobody foresaw costs these deliveries another try, not the worker
            _log.error("worker.fault", worker=self._name, exc_info=error)
        finally:
            self._agenda.forget(one.claim for one in ended)
        return True
