"""What the worker decides, on a queue in memory and with a sender that does what the test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from gateway.delivery.circuit import CircuitPolicy
from gateway.delivery.retry import RetryPolicy
from gateway.delivery.send import Group, Sender, Tried, grouped
from gateway.delivery.worker import Pace, Worker
from gateway.errors import (
    EndpointMisconfigured,
    GatewayError,
    LedgerUnavailable,
    PayloadMissing,
    PeerFailed,
    PeerRefused,
    PeerUnreachable,
    SenderNotAccepted,
)
from gateway.ledger.records import Abandoned, Claim, Delivered, Failed, Forwarded, Refused, Reply
from gateway.model import AgencyCode, Channel, DeliveryState, Lane
from tests.support.queue import NOON, MemoryQueue

Result = Delivered | Forwarded | GatewayError
POLICY = RetryPolicy(
    first_wait=timedelta(minutes=1), longest_wait=timedelta(hours=4), give_up_after=timedelta(days=3), spread=0
)
CIRCUITS = CircuitPolicy(opens_after=3, first_pause=timedelta(seconds=30), longest_pause=timedelta(minutes=5), spread=0)
QUICK = Pace(
    threads=4,
    per_endpoint=2,
    batch=8,
    fresh=timedelta(milliseconds=150),
    shortest_poll=timedelta(milliseconds=5),
    poll=timedelta(milliseconds=20),
)


class ScriptedSender:
    """Ends each request as ``rule`` says, and remembers the order."""

    def __init__(self, rule: Callable[[Claim], Result] = lambda _: Delivered()) -> None:
        self.rule = rule
        self.sent: list[Group] = []
        self.lock = threading.Lock()
        self.under_way = 0
        self.most_under_way = 0

    def send(self, group: Group, *, now: object) -> Iterator[Tried]:
        with self.lock:
            self.sent.append(group)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            yield Tried(group=group, result=self.rule(group.claims[0]))
        finally:
            with self.lock:
                self.under_way -= 1

    def ids(self) -> list[str]:
        return [claim.delivery_id for group in self.sent for claim in group.claims]


def a_worker(queue: MemoryQueue, sender: ScriptedSender, **changes: Any) -> Worker:
    options: dict[str, Any] = {
        "policies": dict.fromkeys(Lane, POLICY),
        "circuits": CIRCUITS,
        "pace": QUICK,
        "clock": lambda: NOON,
        "jitter": lambda: 0.0,
        **changes,
    }
    return Worker(name="w-1", queue=queue, sender=cast("Sender", sender), **options)


@contextmanager
def running(worker: Worker) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        worker.wake()
        thread.join(20)
        assert not thread.is_alive(), "the worker did not end"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.002)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with capture_logs():
        yield


def state_of(queue: MemoryQueue, delivery: str) -> DeliveryState:
    return queue.entries[delivery].state


# Outcomes


def test_success_settles_as_delivered() -> None:
    queue = MemoryQueue()
    delivery = queue.add("A")
    assert a_worker(queue, ScriptedSender()).run_once(NOON) == 1
    assert queue.outcomes() == {delivery: Delivered()}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PeerUnreachable(), "delivery.peer_unreachable"),
        (PeerFailed("HTTP 503"), "delivery.peer_failed"),
        (EndpointMisconfigured(), "delivery.endpoint_misconfigured"),
        (SenderNotAccepted(), "delivery.sender_not_accepted"),
        (PayloadMissing(), "payload.missing"),
    ],
)
def test_a_failure_is_tried_again_at_the_policys_time(error: GatewayError, code: str) -> None:
    queue = MemoryQueue()
    delivery = queue.add("A")
    a_worker(queue, ScriptedSender(lambda _: error)).run_once(NOON)
    outcome = queue.outcomes()[delivery]
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retry_at) == (code, NOON + timedelta(minutes=1))


def test_retry_after_moves_the_next_try() -> None:
    queue = MemoryQueue()
    delivery = queue.add("A")
    error = PeerFailed("HTTP 429", retry_at=NOON + timedelta(hours=1))
    a_worker(queue, ScriptedSender(lambda _: error)).run_once(NOON)
    outcome = queue.outcomes()[delivery]
    assert isinstance(outcome, Failed)
    assert outcome.retry_at == NOON + timedelta(hours=1)


def test_an_open_circuit_paces_an_endpoint_that_asks_for_less() -> None:
    """Otherwise "503, come back in 30 seconds" would cost a document hours after the endpoint has come back."""
    queue = MemoryQueue()
    delivery = queue.add("A")
    now = NOON
    for _ in range(9):
        error = PeerFailed("HTTP 503", retry_at=now + timedelta(seconds=30))
        assert a_worker(queue, ScriptedSender(lambda _, e=error: e)).run_once(now) == 1
        outcome = queue.outcomes()[delivery]
        assert isinstance(outcome, Failed)
        last, now = now, outcome.retry_at
    assert now == queue.endpoint(AgencyCode("A")).open_until
    assert now - last <= CircuitPolicy().longest_pause


def test_a_refusal_ends_it_and_says_nothing_against_the_endpoint() -> None:
    queue = MemoryQueue()
    deliveries = [queue.add("A") for _ in range(6)]
    a_worker(queue, ScriptedSender(lambda _: PeerRefused("HTTP 410"))).run_once(NOON)
    assert set(queue.outcomes().values()) == {Refused(code="delivery.peer_refused", detail="HTTP 410")}
    assert len(queue.outcomes()) == len(deliveries)
    assert queue.endpoint(AgencyCode("A")).failures == 0


def test_a_document_too_old_is_abandoned() -> None:
    queue = MemoryQueue()
    delivery = queue.add("A", due_at=NOON - timedelta(days=3))
    a_worker(queue, ScriptedSender(lambda _: PeerUnreachable("gone"))).run_once(NOON)
    assert queue.outcomes()[delivery] == Abandoned(code="delivery.peer_unreachable", detail="gone")


def test_a_bug_in_one_delivery_is_a_failed_try_and_stops_nothing() -> None:
    queue = MemoryQueue()
    bad, good = queue.add("A"), queue.add("B")

    def rule(claim: Claim) -> Result:
        return Delivered() if claim.delivery_id == good else cast("Result", {}["the bug"])

    with capture_logs() as lines:
        a_worker(queue, ScriptedSender(rule)).run_once(NOON)
    outcome = queue.outcomes()[bad]
    assert isinstance(outcome, Failed)
    assert outcome.code == "gateway.unspecified"
    assert "the bug" not in outcome.detail
    assert queue.outcomes()[good] == Delivered()
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["delivery.fault"]


# The automatic status 01


def test_arrival_is_reported_with_a_push_and_not_with_a_peers_receipt() -> None:
    queue = MemoryQueue()
    pushed, forwarded = queue.add("A"), queue.add("B", channel=Channel.PEER)
    reply = cast("Reply", object())
    asked: list[str] = []

    def report(claim: Claim, now: object) -> Reply:
        asked.append(claim.delivery_id)
        assert now == NOON
        return reply

    sender = ScriptedSender(lambda c: Delivered() if c.delivery_id == pushed else Forwarded(receipt="{}"))
    a_worker(queue, sender, arrival_report=report).run_once(NOON)
    assert asked == [pushed]
    assert {claim.delivery_id: r for claim, _, r in queue.settled} == {pushed: reply, forwarded: None}


def test_a_bug_in_the_report_leaves_the_delivery_to_be_tried_again() -> None:
    queue = MemoryQueue()
    delivery = queue.add("A")

    def report(claim: Claim, now: object) -> Reply | None:
        raise ZeroDivisionError

    a_worker(queue, ScriptedSender(), arrival_report=report).run_once(NOON)
    outcome = queue.outcomes()[delivery]
    assert isinstance(outcome, Failed)
    assert outcome.code == "gateway.unspecified"


# Leases


def test_a_lost_lease_is_dropped_and_the_others_are_settled() -> None:
    queue = MemoryQueue()
    lost, kept = queue.add("A"), queue.add("B")

    def rule(claim: Claim) -> Result:
        if claim.delivery_id == lost:
            queue.steal(lost)
        return Delivered()

    with capture_logs() as lines:
        a_worker(queue, ScriptedSender(rule)).run_once(NOON)
    assert list(queue.outcomes()) == [kept]
    assert [line["code"] for line in lines if line["event"] == "delivery.not_settled"] == ["delivery.lease_lost"]


def test_a_ledger_that_cannot_record_does_not_end_the_worker() -> None:
    class Full(MemoryQueue):
        def settle_all(self, *args: Any, **kwargs: Any) -> list[DeliveryState | GatewayError]:
            raise LedgerUnavailable

        def endpoint_succeeded(self, *args: Any, **kwargs: Any) -> None:
            raise LedgerUnavailable

    queue = Full()
    delivery = queue.add("A")
    a_worker(queue, ScriptedSender()).run_once(NOON)
    assert state_of(queue, delivery) is DeliveryState.LEASED, "due again when the lease ends"


def test_leases_are_kept_while_a_request_is_under_way() -> None:
    queue, go = MemoryQueue(), threading.Event()
    delivery = queue.add("A")

    def rule(_: Claim) -> Result:
        go.wait(15)
        return Delivered()

    pace = Pace(lease=timedelta(milliseconds=30), poll=timedelta(milliseconds=5))
    with running(a_worker(queue, ScriptedSender(rule), pace=pace)):
        until(lambda: queue.extended[delivery] >= 3)
        go.set()
        until(lambda: delivery in queue.outcomes())


def test_a_ledger_that_is_away_is_asked_again() -> None:
    class Away(MemoryQueue):
        times = 0

        def claim(self, **kwargs: Any) -> list[Claim]:
            self.times += 1
            if self.times < 3:
                raise LedgerUnavailable
            return super().claim(**kwargs)

    queue = Away()
    delivery = queue.add("A")
    with running(a_worker(queue, ScriptedSender())):
        until(lambda: delivery in queue.outcomes())


# Settling together


@contextmanager
def one_under_way(queue: MemoryQueue, pace: Pace) -> Iterator[ScriptedSender]:
    """A worker with one request to SLOW that does not end before the block does."""
    go = threading.Event()
    queue.add("SLOW")

    def rule(claim: Claim) -> Result:
        if claim.via == "SLOW":
            go.wait(15)
        return Delivered()

    sender = ScriptedSender(rule)
    with running(a_worker(queue, sender, pace=pace)):
        until(lambda: len(sender.sent) == 1)
        try:
            yield sender
        finally:
            go.set()


def test_results_that_come_close_together_are_settled_together() -> None:
    queue = MemoryQueue()
    pace = Pace(shortest_poll=timedelta(milliseconds=5), settle_within=timedelta(seconds=60), settle_together=10)
    with one_under_way(queue, pace):
        for n in range(25):
            queue.add(f"B{n}")
        until(lambda: len(queue.outcomes()) == 20)
        assert queue.settlements == [10, 10]
    assert len(queue.outcomes()) == 26


def test_a_result_waits_for_others_no_longer_than_a_moment() -> None:
    queue = MemoryQueue()
    pace = Pace(shortest_poll=timedelta(milliseconds=5), poll=timedelta(seconds=60))
    with one_under_way(queue, pace):
        delivery = queue.add("B")
        until(lambda: delivery in queue.outcomes())


def test_a_result_does_not_wait_when_nothing_else_is_under_way() -> None:
    queue = MemoryQueue()
    delivery = queue.add("A")
    with running(a_worker(queue, ScriptedSender(), pace=Pace(settle_within=timedelta(hours=1)))):
        until(lambda: delivery in queue.outcomes())


def test_the_lease_of_what_waits_to_be_settled_is_kept() -> None:
    queue = MemoryQueue()
    pace = Pace(
        lease=timedelta(milliseconds=30),
        shortest_poll=timedelta(milliseconds=5),
        poll=timedelta(milliseconds=5),
        settle_within=timedelta(hours=1),
    )
    with one_under_way(queue, pace) as sender:
        delivery = queue.add("B")
        until(lambda: delivery in sender.ids())
        before = queue.extended[delivery]
        until(lambda: queue.extended[delivery] >= before + 3)
        assert delivery not in queue.outcomes()
    assert queue.outcomes()[delivery] == Delivered()


def test_a_result_that_cannot_be_recorded_does_not_take_the_others_along() -> None:
    class Picky(MemoryQueue):
        def settle_all(self, items: Any, *, now: Any) -> list[DeliveryState | GatewayError]:
            if any(claim.via == "BAD" for claim, _, _ in items):
                raise ZeroDivisionError
            return super().settle_all(items, now=now)

    queue = Picky()
    vias = ("A", "BAD", "B")
    deliveries = {via: queue.add(via) for via in vias}
    with capture_logs() as lines:
        a_worker(queue, ScriptedSender(), pace=Pace(threads=1)).run_once(NOON)
    assert set(queue.outcomes()) == {deliveries["A"], deliveries["B"]}
    assert state_of(queue, deliveries["BAD"]) is DeliveryState.LEASED
    reported = {line["delivery"]: line["event"] for line in lines if line["event"] != "delivery.fault"}
    assert reported == {
        deliveries["A"]: "delivery.delivered",
        deliveries["BAD"]: "delivery.not_settled",
        deliveries["B"]: "delivery.delivered",
    }


# Who goes first, and how many at once


def test_the_most_urgent_goes_first() -> None:
    queue = MemoryQueue()
    lanes = [Lane.NORMAL, Lane.FLASH, Lane.URGENT, Lane.FLASH_TIMED, Lane.VERY_URGENT, Lane.NORMAL]
    by_id = {queue.add("A", lane=lane): lane for lane in lanes}
    sender = ScriptedSender()
    a_worker(queue, sender, pace=Pace(threads=1)).run_once(NOON)
    order = [by_id[d] for d in sender.ids()]
    assert order == sorted(lanes, reverse=True)


def test_no_more_than_so_many_go_to_one_endpoint_at_once() -> None:
    queue, go = MemoryQueue(), threading.Event()
    for _ in range(8):
        queue.add("A")

    def rule(_: Claim) -> Result:
        go.wait(0.02)
        return Delivered()

    sender = ScriptedSender(rule)
    a_worker(queue, sender).run_once(NOON)
    assert sender.most_under_way == 2
    assert len(queue.outcomes()) == 8


def test_an_endpoint_that_hangs_delays_nobody_else() -> None:
    queue, go = MemoryQueue(), threading.Event()
    for _ in range(50):
        queue.add("HANGS", lane=Lane.FLASH)
    others = [queue.add(f"B{i % 5}") for i in range(100)]

    def rule(claim: Claim) -> Result:
        if claim.via == "HANGS":
            go.wait(15)
        return Delivered()

    sender = ScriptedSender(rule)
    with running(a_worker(queue, sender)):
        until(lambda: set(others) <= set(queue.outcomes()))
        assert {c.via for c, _, _ in queue.settled} == {"B0", "B1", "B2", "B3", "B4"}
        assert sum(g.via == "HANGS" for g in sender.sent) == 2
        go.set()


def test_what_waits_too_long_here_goes_back_so_that_the_urgent_can_pass() -> None:
    queue, first = MemoryQueue(), threading.Event()
    for _ in range(8):
        queue.add("SLOW")

    def rule(_: Claim) -> Result:
        first.wait(15)
        return Delivered()

    sender = ScriptedSender(rule)
    with running(a_worker(queue, sender)):
        until(lambda: len(sender.sent) == 2)
        until(lambda: sum(e.state is DeliveryState.WAITING for e in queue.entries.values()) == 6)
        assert all(e.attempts == (e.state is DeliveryState.LEASED) for e in queue.entries.values()), "not counted"
        urgent = queue.add("SLOW", lane=Lane.FLASH)
        first.set()
        until(lambda: len(queue.outcomes()) == 9)
        assert sender.ids()[2] == urgent


def test_an_endpoint_that_failed_gets_one_thread_only() -> None:
    queue, go = MemoryQueue(), threading.Event()
    queue.endpoint_failed(AgencyCode("A"), code="x", now=NOON, open_until=None)
    for _ in range(6):
        queue.add("A")

    def rule(_: Claim) -> Result:
        go.wait(0.02)
        return Delivered()

    sender = ScriptedSender(rule)
    a_worker(queue, sender).run_once(NOON)
    assert sender.most_under_way == 1


# Circuits


def test_failures_in_a_row_open_the_circuit_and_stop_the_sending() -> None:
    queue = MemoryQueue()
    for _ in range(20):
        queue.add("A")
    sender = ScriptedSender(lambda _: PeerUnreachable())
    worker = a_worker(queue, sender, pace=Pace(threads=1, batch=3))
    worker.run_once(NOON)
    assert queue.endpoint(AgencyCode("A")).open_until == NOON + timedelta(seconds=30)
    assert worker.run_once(NOON + timedelta(seconds=29)) == 0
    assert len(sender.sent) == 3


def test_after_the_pause_one_is_let_through_and_its_failure_doubles_the_pause() -> None:
    queue = MemoryQueue()
    for _ in range(5):
        queue.add("A")
    worker = a_worker(queue, ScriptedSender(lambda _: PeerUnreachable()), pace=Pace(threads=1, batch=3))
    worker.run_once(NOON)
    later = NOON + timedelta(seconds=30)
    assert worker.run_once(later) == 1
    assert queue.endpoint(AgencyCode("A")).open_until == later + timedelta(seconds=60)


def test_the_probes_success_closes_the_circuit_and_all_go() -> None:
    queue, broken = MemoryQueue(), True
    for _ in range(5):
        queue.add("A")

    def rule(_: Claim) -> Result:
        return PeerUnreachable() if broken else Delivered()

    worker = a_worker(queue, ScriptedSender(rule), pace=Pace(threads=1, batch=3))
    worker.run_once(NOON)
    broken = False
    later = NOON + timedelta(minutes=2)
    assert [worker.run_once(later) for _ in range(4)] == [1, 3, 1, 0]
    assert queue.endpoint(AgencyCode("A")).open_until is None
    assert set(queue.outcomes().values()) == {Delivered()}


def test_an_open_circuit_shortens_the_documents_own_wait() -> None:
    """Otherwise a document that failed often would stay for hours after its endpoint has come back."""
    queue = MemoryQueue()
    delivery = queue.add("A")
    queue.entries[delivery].attempts = 7
    queue.endpoint_failed(AgencyCode("A"), code="x", now=NOON, open_until=None)
    queue.endpoint_failed(AgencyCode("A"), code="x", now=NOON, open_until=None)
    a_worker(queue, ScriptedSender(lambda _: PeerUnreachable())).run_once(NOON)
    outcome = queue.outcomes()[delivery]
    assert isinstance(outcome, Failed)
    assert outcome.retry_at == NOON + timedelta(seconds=30), "instead of 128 minutes"


def test_an_answer_about_one_sender_says_nothing_against_the_endpoint() -> None:
    queue = MemoryQueue()
    deliveries = [queue.add("A") for _ in range(6)]
    a_worker(queue, ScriptedSender(lambda _: SenderNotAccepted())).run_once(NOON)
    assert {state_of(queue, d) for d in deliveries} == {DeliveryState.WAITING}
    assert queue.endpoint(AgencyCode("A")).failures == 0


@pytest.mark.parametrize("answer", [SenderNotAccepted(), PeerRefused("HTTP 422")])
def test_an_answer_about_one_document_closes_the_circuit_that_it_probed(answer: GatewayError) -> None:
    queue, broken = MemoryQueue(), True
    for _ in range(5):
        queue.add("A")

    def rule(_: Claim) -> Result:
        return PeerUnreachable() if broken else answer

    worker = a_worker(queue, ScriptedSender(rule), pace=Pace(threads=1, batch=3))
    worker.run_once(NOON)
    broken = False
    assert worker.run_once(NOON + timedelta(minutes=2)) == 1
    assert queue.endpoint(AgencyCode("A")).open_until is None


def test_credentials_that_are_wrong_for_everything_open_the_circuit() -> None:
    queue = MemoryQueue()
    for _ in range(3):
        queue.add("A")
    a_worker(queue, ScriptedSender(lambda _: EndpointMisconfigured("HTTP 401"))).run_once(NOON)
    assert queue.endpoint(AgencyCode("A")).open_until is not None


def test_a_fault_of_our_own_says_nothing_against_the_endpoint() -> None:
    queue = MemoryQueue()
    for _ in range(5):
        queue.add("A")
    a_worker(queue, ScriptedSender(lambda _: PayloadMissing())).run_once(NOON)
    assert queue.endpoint(AgencyCode("A")).failures == 0


# Starting and ending


def test_it_wakes_when_told() -> None:
    queue = MemoryQueue()
    slow = Pace(shortest_poll=timedelta(seconds=60), poll=timedelta(seconds=60))
    worker = a_worker(queue, ScriptedSender(), pace=slow)
    with running(worker):
        until(lambda: len(queue.claims) == 1)
        delivery = queue.add("A")
        worker.wake()
        until(lambda: delivery in queue.outcomes())


def test_it_finds_what_others_put_there_without_being_told() -> None:
    queue = MemoryQueue()
    with running(a_worker(queue, ScriptedSender())):
        until(lambda: len(queue.claims) >= 2)
        delivery = queue.add("A")
        until(lambda: delivery in queue.outcomes())


def test_a_queue_longer_than_a_batch_is_emptied_without_pauses() -> None:
    queue = MemoryQueue()
    for _ in range(100):
        queue.add("A")
    slow = Pace(batch=8, shortest_poll=timedelta(seconds=60), poll=timedelta(seconds=60))
    with running(a_worker(queue, ScriptedSender(), pace=slow)):
        until(lambda: len(queue.outcomes()) == 100)


def test_told_to_stop_it_finishes_what_is_under_way_and_gives_the_rest_back() -> None:
    queue, go, stop = MemoryQueue(), threading.Event(), threading.Event()
    for _ in range(8):
        queue.add("A")

    def rule(_: Claim) -> Result:
        go.wait(15)
        return Delivered()

    sender = ScriptedSender(rule)
    worker = a_worker(queue, sender, pace=Pace(poll=timedelta(milliseconds=20)))
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    until(lambda: len(sender.sent) == 2)
    stop.set()
    worker.wake()
    until(lambda: sum(e.state is DeliveryState.WAITING for e in queue.entries.values()) == 6)
    assert thread.is_alive()
    go.set()
    thread.join(15)
    assert not thread.is_alive()
    states = [e.state for e in queue.entries.values()]
    assert states.count(DeliveryState.DELIVERED) == 2
    assert states.count(DeliveryState.WAITING) == 6


# What stands in the log, and the counts


def test_one_line_per_try_without_payload() -> None:
    queue = MemoryQueue()
    queue.add("A")
    with capture_logs() as lines:
        a_worker(queue, ScriptedSender(lambda _: PeerFailed("HTTP 503"))).run_once(NOON)
    (line,) = lines
    assert line["event"] == "delivery.attempt_failed"
    assert set(line) == {
        "event",
        "log_level",
        "delivery",
        "document",
        "recipient",
        "via",
        "channel",
        "attempt",
        "seconds",
        "code",
        "detail",
        "retry_at",
    }


def test_every_try_and_every_opening_is_counted() -> None:
    class Counting:
        def __init__(self) -> None:
            self.outcomes: list[str] = []
            self.opened: list[str] = []

        def attempted(self, *, channel: Channel, lane: Lane, outcome: str, seconds: float) -> None:
            assert seconds >= 0
            self.outcomes.append(f"{channel} {lane.name} {outcome}")

        def circuit_opened(self, via: AgencyCode) -> None:
            self.opened.append(via)

    queue, meter = MemoryQueue(), Counting()
    for _ in range(3):
        queue.add("A", lane=Lane.FLASH)
    a_worker(queue, ScriptedSender(lambda _: PeerUnreachable()), meter=meter).run_once(NOON)
    assert meter.outcomes == ["push FLASH failed"] * 3
    assert meter.opened == ["A"]


# Grouping


def claims_of(queue: MemoryQueue) -> list[Claim]:
    return queue.claim(worker="w", now=NOON, lease=timedelta(minutes=1), limit=1000, per_endpoint=1000)


def test_one_document_to_one_peer_is_one_group() -> None:
    queue = MemoryQueue()
    for document in ("x", "y"):
        for recipient in ("R1", "R2", "R3"):
            queue.add("PEER", channel=Channel.PEER, document_id=document, as_written=AgencyCode(recipient))
    groups = grouped(claims_of(queue))
    assert [[c.as_written for c in g.claims] for g in groups] == [["R1", "R2", "R3"]] * 2
    assert [{c.document_id for c in g.claims} for g in groups] == [{"x"}, {"y"}]


def test_pushes_and_other_peers_and_other_bytes_are_groups_of_their_own() -> None:
    queue = MemoryQueue()
    queue.add("A", document_id="x")
    queue.add("A", document_id="x")
    queue.add("P1", channel=Channel.PEER, document_id="x")
    queue.add("P2", channel=Channel.PEER, document_id="x")
    queue.add("P2", channel=Channel.PEER, document_id="x", sha256="1" * 64)
    assert [len(g.claims) for g in grouped(claims_of(queue))] == [1] * 5


def test_a_header_is_never_too_long() -> None:
    queue = MemoryQueue()
    for i in range(250):
        queue.add("P", channel=Channel.PEER, document_id="x", as_written=AgencyCode(f"R{i}"))
    assert [len(g.claims) for g in grouped(claims_of(queue))] == [100, 100, 50]
