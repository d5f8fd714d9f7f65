"""The queue: who gets what, in which order, and what happens when a worker dies."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from gateway.errors import LeaseLost
from gateway.ledger import Action, Ledger
from gateway.ledger.records import (
    Abandoned,
    Claim,
    Delivered,
    Failed,
    Forwarded,
    Outcome,
    Refused,
)
from gateway.model import AgencyCode, BusinessType, Channel, DeliveryState, Lane, PackageKind, StatusCode
from tests.support.ledger import (
    LEASE,
    NOON,
    OTHER,
    RECEIVER,
    SENDER,
    a_delivery,
    a_document,
    a_reply,
    a_status,
    at,
    claim,
    claim_one,
    report,
)


def enqueue(ledger: Ledger, **delivery: object) -> str:
    """One document with one delivery; the id of the latter."""
    made = a_delivery(**delivery)  # type: ignore[arg-type] # fields of the delivery
    ledger.accept(a_document(lane=made.lane), [made])
    return made.id


def test_a_claim_says_all_that_sending_needs(ledger: Ledger) -> None:
    document = a_document(lane=Lane.URGENT)
    delivery = a_delivery(lane=Lane.URGENT, as_written=AgencyCode("000.02.14.H37"), via=OTHER, channel=Channel.PEER)
    ledger.accept(document, [delivery])
    got = claim_one(ledger, at(1), worker="w7")
    assert got == Claim(
        delivery_id=delivery.id,
        token=got.token,
        worker="w7",
        leased_until=at(1) + LEASE,
        claimed_at=at(1),
        attempt=1,
        tried_before=False,
        trying_since=NOON,
        accepted_at=NOON,
        document_id=document.id,
        kind=PackageKind.DOCUMENT,
        sender=SENDER,
        recipient=RECEIVER,
        as_written=AgencyCode("000.02.14.H37"),
        via=OTHER,
        channel=Channel.PEER,
        lane=Lane.URGENT,
        sha256=document.sha256,
        size=document.size,
        endpoint_failures=0,
        probe=False,
    )


def test_the_completed_package_is_what_is_sent(ledger: Ledger) -> None:
    ledger.accept(a_document(forward_sha256="f" * 64, forward_size=7, forward_payload=b"1234567"), [a_delivery()])
    got = claim_one(ledger)
    assert (got.sha256, got.size) == ("f" * 64, 7)


def test_the_highest_lane_goes_first_then_the_longest_due(ledger: Ledger) -> None:
    late = enqueue(ledger, due_at=at(-1))
    early = enqueue(ledger, due_at=at(-2))
    urgent = enqueue(ledger, lane=Lane.URGENT)
    flash = enqueue(ledger, lane=Lane.FLASH_TIMED, recipient=OTHER)
    elsewhere = enqueue(ledger, recipient=OTHER, due_at=at(-3))
    assert [c.delivery_id for c in claim(ledger)] == [flash, urgent, elsewhere, early, late]


def test_only_what_is_due_is_claimed(ledger: Ledger) -> None:
    enqueue(ledger, due_at=at(1))
    assert claim(ledger) == []
    assert len(claim(ledger, at(1))) == 1


def test_mailbox_deliveries_and_other_channels_are_not_claimed(ledger: Ledger) -> None:
    enqueue(ledger, channel=Channel.MAILBOX)
    enqueue(ledger, recipient=OTHER, channel=Channel.PEER)
    assert claim(ledger, channels=(Channel.PUSH,)) == []
    assert [c.channel for c in claim(ledger)] == [Channel.PEER]


def test_a_claim_is_bounded_in_all_and_for_one_endpoint(ledger: Ledger) -> None:
    for _ in range(5):
        enqueue(ledger)
    enqueue(ledger, recipient=OTHER, due_at=at(0.5))
    assert claim(ledger, limit=0) == []
    first = claim(ledger, at(1), limit=4, per_endpoint=2)
    assert Counter(c.via for c in first) == {RECEIVER: 2, OTHER: 1}
    assert len(claim(ledger, at(1), limit=1, per_endpoint=2)) == 1


def test_a_lane_does_not_exceed_the_endpoints_share(ledger: Ledger) -> None:
    for lane in (Lane.FLASH, Lane.FLASH, Lane.NORMAL):
        enqueue(ledger, lane=lane)
    assert [c.lane for c in claim(ledger, per_endpoint=2)] == [Lane.FLASH, Lane.FLASH]


def test_an_endpoint_that_the_worker_is_busy_with_is_left_out(ledger: Ledger) -> None:
    enqueue(ledger)
    enqueue(ledger, recipient=OTHER)
    assert [c.via for c in claim(ledger, without={RECEIVER})] == [OTHER]


def test_what_is_leased_is_nobody_elses_until_the_lease_ends(ledger: Ledger) -> None:
    enqueue(ledger)
    first = claim_one(ledger, NOON)
    assert claim(ledger, NOON + LEASE - timedelta(seconds=1), worker="w2") == []
    second = claim_one(ledger, NOON + LEASE, worker="w2")
    assert second.delivery_id == first.delivery_id
    assert second.attempt == 2
    with pytest.raises(LeaseLost):
        ledger.settle(first, Delivered(), now=NOON + LEASE)
    assert ledger.settle(second, Delivered(), now=NOON + LEASE) is DeliveryState.DELIVERED
    assert [(a.number, a.worker, a.outcome) for a in ledger.attempts(first.delivery_id)] == [
        (1, "w1", "lost"),
        (2, "w2", "delivered"),
    ]
    assert Action.DELIVERY_LEASE_EXPIRED in [e.action for e in ledger.events()]


def test_a_late_worker_may_settle_as_long_as_nobody_has_taken_over(ledger: Ledger) -> None:
    enqueue(ledger)
    late = claim_one(ledger)
    assert ledger.settle(late, Delivered(), now=NOON + 3 * LEASE) is DeliveryState.DELIVERED


def test_a_claim_is_settled_once(ledger: Ledger) -> None:
    enqueue(ledger)
    got = claim_one(ledger)
    ledger.settle(got, Delivered(), now=NOON)
    with pytest.raises(LeaseLost):
        ledger.settle(got, Delivered(), now=NOON)
    assert len(ledger.attempts(got.delivery_id)) == 1


@pytest.mark.parametrize(
    ("outcome", "state", "action", "error"),
    [
        (Delivered(detail="204"), DeliveryState.DELIVERED, Action.DELIVERY_DELIVERED, None),
        (Forwarded(receipt="{}"), DeliveryState.FORWARDED, Action.DELIVERY_FORWARDED, None),
        (
            Failed(code="delivery.peer_failed", detail="503", retry_at=at(10)),
            DeliveryState.WAITING,
            Action.DELIVERY_ATTEMPT_FAILED,
            "delivery.peer_failed",
        ),
        (
            Refused(code="delivery.peer_refused", detail="422"),
            DeliveryState.REFUSED,
            Action.DELIVERY_REFUSED,
            "delivery.peer_refused",
        ),
        (
            Abandoned(code="delivery.peer_failed", detail="503"),
            DeliveryState.ABANDONED,
            Action.DELIVERY_ABANDONED,
            "delivery.peer_failed",
        ),
    ],
    ids=lambda v: type(v).__name__,
)
def test_every_outcome_is_a_state_an_attempt_and_an_event(
    ledger: Ledger, outcome: Outcome, state: DeliveryState, action: Action, error: str | None
) -> None:
    delivery_id = enqueue(ledger)
    assert ledger.settle(claim_one(ledger), outcome, now=at(1)) is state
    row = ledger.delivery(delivery_id)
    assert row is not None
    assert (row.state, row.error_code, row.changed_at) == (state, error, at(1))
    assert row.settled_at == (None if state.is_open else at(1))
    (attempt,) = ledger.attempts(delivery_id)
    assert (attempt.started_at, attempt.ended_at, attempt.code) == (NOON, at(1), error)
    assert attempt.outcome == type(outcome).__name__.lower()
    assert attempt.receipt == getattr(outcome, "receipt", None)
    assert attempt.detail == getattr(outcome, "detail", None)
    assert ledger.events()[-1].action is action
    assert ledger.events()[-1].actor == "w1"


def test_a_failed_try_waits_until_its_time_and_is_counted(ledger: Ledger) -> None:
    enqueue(ledger)
    for number in (1, 2, 3):
        got = claim_one(ledger, at(number * 10))
        assert got.attempt == number
        ledger.settle(got, Failed(code="c", detail="d", retry_at=at(number * 10 + 10)), now=at(number * 10 + 1))
        assert claim(ledger, at(number * 10 + 9)) == []


def test_leases_are_lengthened_while_they_hold(ledger: Ledger) -> None:
    enqueue(ledger)
    got = claim_one(ledger)
    assert ledger.extend([got], now=at(4), lease=LEASE) == {got.delivery_id}
    assert claim(ledger, at(8)) == []
    claim_one(ledger, at(9), worker="w2")
    assert ledger.extend([got], now=at(9), lease=LEASE) == set()


def test_what_is_given_back_is_due_at_once_and_was_not_a_try(ledger: Ledger) -> None:
    enqueue(ledger)
    got = claim_one(ledger)
    assert ledger.release([got], now=at(1)) == 1
    assert ledger.release([got], now=at(1)) == 0
    again = claim_one(ledger, at(1))
    assert again.attempt == 1
    assert ledger.attempts(got.delivery_id) == []


def test_an_automatic_status_is_recorded_with_the_delivery_and_only_once(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    got = claim_one(ledger)
    reply = a_reply(document)
    ledger.settle(got, Delivered(), now=NOON, reply=reply)
    with pytest.raises(LeaseLost):
        ledger.settle(got, Delivered(), now=NOON, reply=a_reply(document))
    (row,) = ledger.deliveries(document.id)
    assert row.status is StatusCode.ARRIVED
    assert [d.id for d in ledger.documents().rows if d.kind is PackageKind.STATUS] == [reply.document.id]
    (back,) = ledger.deliveries(reply.document.id)
    assert (back.recipient, back.state) == (SENDER, DeliveryState.WAITING)


def test_a_settlement_whose_reply_fails_is_not_recorded(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    got = claim_one(ledger)
    reply = a_reply(document)
    broken = type(reply)(document=reply.document, deliveries=reply.deliveries * 2, status=reply.status)
    with pytest.raises(Exception, match=r"(?i)unique"):
        ledger.settle(got, Delivered(), now=NOON, reply=broken)
    row = ledger.delivery(got.delivery_id)
    assert row is not None
    assert row.state is DeliveryState.LEASED
    assert ledger.settle(got, Delivered(), now=NOON, reply=reply) is DeliveryState.DELIVERED


def test_a_status_quicker_than_the_receipt_makes_it_delivered(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery(channel=Channel.PEER)])
    got = claim_one(ledger)
    report(ledger, a_status(document))
    assert ledger.settle(got, Forwarded(receipt="{}"), now=NOON) is DeliveryState.DELIVERED


# Settling several together


def test_tries_that_ended_differently_are_settled_together(ledger: Ledger) -> None:
    outcomes: list[Outcome] = [
        Delivered(detail="204"),
        Forwarded(receipt="{}"),
        Failed(code="delivery.peer_failed", detail="503", retry_at=at(10)),
        Refused(code="delivery.peer_refused", detail="422"),
        Abandoned(code="delivery.peer_failed", detail="504"),
    ]
    for _ in outcomes:
        enqueue(ledger)
    items = [(got, outcome, None) for got, outcome in zip(reversed(claim(ledger)), outcomes, strict=True)]
    states = [
        DeliveryState.DELIVERED,
        DeliveryState.FORWARDED,
        DeliveryState.WAITING,
        DeliveryState.REFUSED,
        DeliveryState.ABANDONED,
    ]
    assert list(ledger.settle_all(items, now=at(1))) == states
    for (got, outcome, _), state in zip(items, states, strict=True):
        row = ledger.delivery(got.delivery_id)
        assert row is not None
        assert (row.state, row.error_code) == (state, getattr(outcome, "code", None))
        assert row.settled_at == (None if state.is_open else at(1))
        (attempt,) = ledger.attempts(got.delivery_id)
        assert (attempt.outcome, attempt.ended_at) == (type(outcome).__name__.lower(), at(1))
        assert [e.delivery for e in ledger.events()].count(got.delivery_id) == 2, "enqueued, and how it ended"
    assert claim(ledger, at(9)) == []
    assert claim_one(ledger, at(10)).delivery_id == items[2][0].delivery_id


def test_nothing_to_settle_is_nothing_done(ledger: Ledger) -> None:
    assert list(ledger.settle_all([], now=NOON)) == []


def test_one_that_lost_its_lease_spoils_nothing_for_the_others(ledger: Ledger) -> None:
    documents = [a_document() for _ in range(3)]
    for document in documents:
        ledger.accept(document, [a_delivery()])
    first = {got.document_id: got for got in claim(ledger)}
    claims = [first[document.id] for document in documents]
    ledger.release([claims[1]], now=NOON)
    stolen = claim_one(ledger, worker="w2")
    items = [(got, Delivered(), a_reply(document)) for got, document in zip(claims, documents, strict=True)]
    results = ledger.settle_all(items, now=NOON)
    assert (results[0], results[2]) == (DeliveryState.DELIVERED, DeliveryState.DELIVERED)
    assert isinstance(results[1], LeaseLost)
    row = ledger.delivery(stolen.delivery_id)
    assert row is not None
    assert (row.state, row.status) == (DeliveryState.LEASED, None)
    assert ledger.attempts(stolen.delivery_id) == []
    replies = {d.id for d in ledger.documents().rows if d.kind is PackageKind.STATUS}
    assert replies == {items[0][2].document.id, items[2][2].document.id}
    assert ledger.settle(stolen, Delivered(), now=NOON) is DeliveryState.DELIVERED


def test_settled_together_each_reply_is_recorded_once(ledger: Ledger) -> None:
    documents = [a_document() for _ in range(3)]
    for document in documents:
        ledger.accept(document, [a_delivery()])
    by_document = {got.document_id: got for got in claim(ledger)}
    again = [(by_document[d.id], Delivered(), a_reply(d)) for d in documents]
    twice = [(by_document[d.id], Delivered(), a_reply(d)) for d in documents]
    first = ledger.settle_all([*again, twice[0]], now=NOON)
    assert list(first[:3]) == [DeliveryState.DELIVERED] * 3
    assert isinstance(first[3], LeaseLost), "named twice, settled once"
    assert all(isinstance(result, LeaseLost) for result in ledger.settle_all(twice, now=NOON))
    replies = [d.id for d in ledger.documents().rows if d.kind is PackageKind.STATUS]
    assert sorted(replies) == sorted(reply.document.id for _, _, reply in again)
    for document in documents:
        (row,) = ledger.deliveries(document.id)
        assert row.status is StatusCode.ARRIVED
        assert len(ledger.attempts(row.id)) == 1


def test_a_crash_while_settling_together_leaves_all_of_it_to_be_settled_again(ledger: Ledger) -> None:
    documents = [a_document() for _ in range(2)]
    for document in documents:
        ledger.accept(document, [a_delivery()])
    by_document = {got.document_id: got for got in claim(ledger)}
    whole, broken = (a_reply(document) for document in documents)
    broken = type(broken)(document=broken.document, deliveries=broken.deliveries * 2, status=broken.status)
    items = [(by_document[d.id], Delivered(), r) for d, r in zip(documents, (whole, broken), strict=True)]
    with pytest.raises(Exception, match=r"(?i)unique"):
        ledger.settle_all(items, now=NOON)
    for got, _, _ in items:
        row = ledger.delivery(got.delivery_id)
        assert row is not None
        assert row.state is DeliveryState.LEASED
        assert ledger.attempts(got.delivery_id) == []
    assert [d for d in ledger.documents().rows if d.kind is PackageKind.STATUS] == []
    assert list(ledger.settle_all(items[:1], now=NOON)) == [DeliveryState.DELIVERED]


def test_those_that_wait_for_several_settled_together_go_once_all_have_left(ledger: Ledger) -> None:
    original = a_document()
    ledger.accept(original, [a_delivery()])
    update = a_document(business_type=BusinessType.UPDATE, targets=(original.identity,))
    (first,) = claim(ledger)
    ledger.accept(update, [a_delivery()])
    other = a_document()
    ledger.accept(other, [a_delivery()])
    recall = a_document(business_type=BusinessType.REVOKE, targets=(original.identity, other.identity))
    ledger.accept(recall, [a_delivery()])
    (second,) = claim(ledger)
    ledger.settle_all([(first, Delivered(), None), (second, Delivered(), None)], now=at(1))
    (row,) = ledger.deliveries(recall.id)
    assert row.blocked, "the update has not left yet"
    third = claim_one(ledger, at(1))
    assert third.document_id == update.id
    ledger.settle_all([(third, Delivered(), None)], now=at(2))
    last = claim_one(ledger, at(2))
    assert (last.document_id, last.trying_since) == (recall.id, at(2))


@pytest.mark.timeout(600)
def test_workers_that_settle_together_do_not_wait_in_a_circle(ledger: Ledger) -> None:
    for _ in range(40):
        enqueue(ledger)
    claims = claim(ledger, limit=40, per_endpoint=40)
    barrier = threading.Barrier(4)

    def settle(number: int) -> int:
        mine = claims if number % 2 else claims[::-1]
        barrier.wait(timeout=30)
        if number == 3:
            ledger.extend(mine, now=NOON, lease=LEASE)
        results = ledger.settle_all([(got, Delivered(), None) for got in mine], now=NOON)
        return sum(result is DeliveryState.DELIVERED for result in results)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(settle, range(4))) == [0, 0, 0, 40]


# Circuits


def test_an_unknown_endpoint_is_closed(ledger: Ledger) -> None:
    state = ledger.endpoint(RECEIVER)
    assert (state.failures, state.open_until, state.last_success_at) == (0, None, None)
    assert ledger.endpoints() == []


def test_failures_are_counted_and_a_success_ends_them(ledger: Ledger) -> None:
    ledger.endpoint_failed(RECEIVER, code="c1", now=at(1), open_until=None)
    state = ledger.endpoint_failed(RECEIVER, code="c2", now=at(2), open_until=None)
    assert (state.failures, state.open_until, state.last_error_code, state.last_failure_at) == (2, None, "c2", at(2))
    enqueue(ledger)
    got = claim_one(ledger, at(3))
    assert (got.endpoint_failures, got.probe) == (2, False)
    ledger.endpoint_succeeded(RECEIVER, now=at(4))
    state = ledger.endpoint(RECEIVER)
    assert (state.failures, state.last_success_at, state.last_error_code) == (0, at(4), "c2")
    assert ledger.endpoints() == [state]


def test_success_is_noted_to_the_minute(ledger: Ledger) -> None:
    ledger.endpoint_succeeded(RECEIVER, now=NOON)
    ledger.endpoint_succeeded(RECEIVER, now=at(0.5))
    assert ledger.endpoint(RECEIVER).last_success_at == NOON
    ledger.endpoint_succeeded(RECEIVER, now=at(1))
    assert ledger.endpoint(RECEIVER).last_success_at == at(1)


def test_an_open_circuit_holds_back_its_own_deliveries_only(ledger: Ledger) -> None:
    for _ in range(3):
        enqueue(ledger, lane=Lane.FLASH)
    enqueue(ledger, recipient=OTHER)
    ledger.endpoint_failed(RECEIVER, code="c", now=NOON, open_until=at(10))
    assert [c.via for c in claim(ledger)] == [OTHER]


def test_after_its_time_an_open_circuit_is_probed_with_one_delivery(ledger: Ledger) -> None:
    for _ in range(3):
        enqueue(ledger)
    ledger.endpoint_failed(RECEIVER, code="c", now=NOON, open_until=at(10))
    probe = claim_one(ledger, at(10))
    assert (probe.probe, probe.endpoint_failures) == (True, 1)
    # Until the probe's outcome is known, or its lease has ended, nobody else tries.
    assert claim(ledger, at(11)) == []
    ledger.settle(probe, Failed(code="c", detail="", retry_at=at(12)), now=at(11))
    ledger.endpoint_failed(RECEIVER, code="c", now=at(11), open_until=at(30))
    assert claim(ledger, at(29)) == []
    probe = claim_one(ledger, at(30))
    assert probe.probe
    ledger.settle(probe, Delivered(), now=at(30))
    ledger.endpoint_succeeded(RECEIVER, now=at(30))
    assert [c.probe for c in claim(ledger, at(30))] == [False, False]
    opened = [e.action for e in ledger.events() if e.action.startswith("endpoint.")]
    assert opened == [Action.ENDPOINT_OPENED, Action.ENDPOINT_CLOSED]


def test_a_probe_whose_worker_died_is_followed_by_another(ledger: Ledger) -> None:
    enqueue(ledger)
    ledger.endpoint_failed(RECEIVER, code="c", now=NOON, open_until=at(10))
    lost = claim_one(ledger, at(10))
    assert claim(ledger, at(10) + LEASE - timedelta(seconds=1)) == []
    again = claim_one(ledger, at(10) + LEASE)
    assert (again.delivery_id, again.probe, again.attempt) == (lost.delivery_id, True, 2)


def probed(ledger: Ledger, now: datetime, *, code: str = "delivery.peer_failed") -> str:
    """Claim the probe of an open circuit, let it fail, and leave the circuit open for ten minutes; which one it was."""
    probe = claim_one(ledger, now)
    assert probe.probe
    ledger.endpoint_failed(RECEIVER, code=code, now=now, open_until=now + timedelta(minutes=10))
    ledger.settle(probe, Failed(code=code, detail="", retry_at=now + timedelta(seconds=5)), now=now)
    return probe.delivery_id


def test_what_failed_as_the_probe_is_not_the_next_probe_while_others_wait(ledger: Ledger) -> None:
    """Else one document that fails by itself, and is the most urgent, keeps all others of its endpoint for ever."""
    flash, normal = enqueue(ledger, lane=Lane.FLASH), enqueue(ledger)
    ledger.endpoint_failed(RECEIVER, code="c", now=NOON, open_until=at(10))
    later = enqueue(ledger, lane=Lane.URGENT, due_at=at(15))
    assert [probed(ledger, at(m)) for m in (10, 20, 30, 40, 50)] == [flash, later, normal, flash, later]


def test_where_nobody_was_reached_the_most_urgent_take_turns(ledger: Ledger) -> None:
    """No document is at fault then, and the one that finds the endpoint back goes first."""
    flash = [enqueue(ledger, lane=Lane.FLASH), enqueue(ledger, lane=Lane.FLASH)]
    normal = enqueue(ledger)
    ledger.endpoint_failed(RECEIVER, code="c", now=NOON, open_until=at(10))
    order = [probed(ledger, at(m), code="delivery.peer_unreachable") for m in (10, 20, 30, 40)]
    assert order == flash * 2
    assert [probed(ledger, at(m)) for m in (50, 60, 70)] == [*flash, normal], "until it may be their own fault"


def test_where_nobody_was_reached_too_the_next_probe_is_another(ledger: Ledger) -> None:
    flash, normal = enqueue(ledger, lane=Lane.FLASH), enqueue(ledger)
    ledger.endpoint_failed(RECEIVER, code="c", now=NOON, open_until=at(10))
    order = [probed(ledger, at(m), code="delivery.peer_unreachable") for m in (10, 20, 30)]
    assert order == [flash, normal, flash]


def test_of_one_lane_too_the_next_probe_is_another(ledger: Ledger) -> None:
    first, second = enqueue(ledger, lane=Lane.FLASH), enqueue(ledger, lane=Lane.FLASH, due_at=at(11))
    ledger.endpoint_failed(RECEIVER, code="c", now=NOON, open_until=at(10))
    assert [probed(ledger, at(m)) for m in (10, 20, 30)] == [first, second, first]


def test_what_waits_alone_is_the_probe_each_time(ledger: Ledger) -> None:
    only = enqueue(ledger)
    enqueue(ledger, recipient=OTHER, due_at=at(60))
    ledger.endpoint_failed(RECEIVER, code="c", now=NOON, open_until=at(10))
    assert [probed(ledger, at(m)) for m in (10, 20, 30)] == [only] * 3


def test_a_try_from_before_the_circuit_opened_was_no_probe(ledger: Ledger) -> None:
    urgent, normal = enqueue(ledger, lane=Lane.FLASH), enqueue(ledger)
    for got in claim(ledger):
        ledger.settle(got, Failed(code="c", detail="", retry_at=at(1)), now=NOON)
    ledger.endpoint_failed(RECEIVER, code="c", now=NOON, open_until=at(10))
    assert [probed(ledger, at(m)) for m in (10, 20)] == [urgent, normal]


def test_a_probe_whose_worker_died_is_followed_by_another_delivery(ledger: Ledger) -> None:
    """It may be the very document that the worker died of."""
    lost, normal = enqueue(ledger, lane=Lane.FLASH), enqueue(ledger)
    ledger.endpoint_failed(RECEIVER, code="c", now=NOON, open_until=at(10))
    assert claim_one(ledger, at(10)).delivery_id == lost
    assert probed(ledger, at(10) + LEASE) == normal
    assert probed(ledger, at(30)) == lost


def test_a_full_batch_does_not_cost_an_endpoint_its_probe(ledger: Ledger) -> None:
    flash, normal = enqueue(ledger, lane=Lane.FLASH), enqueue(ledger)
    ledger.endpoint_failed(RECEIVER, code="c", now=NOON, open_until=at(10))
    assert probed(ledger, at(10)) == flash
    enqueue(ledger, recipient=OTHER, lane=Lane.URGENT)
    assert claim_one(ledger, at(20), limit=1).delivery_id == normal


# Many at once


@pytest.mark.timeout(600)
def test_concurrent_workers_never_claim_the_same_delivery(ledger: Ledger) -> None:
    vias = [AgencyCode(f"H37.{n}") for n in range(4)]
    for n in range(120):
        enqueue(ledger, recipient=vias[n % 4], lane=Lane(n % 3))
    taken: list[str] = []
    errors: list[BaseException] = []
    lock = threading.Lock()

    def work(name: str) -> None:
        try:
            while claims := ledger.claim(worker=name, now=NOON, lease=LEASE, limit=7, per_endpoint=3):
                with lock:
                    taken.extend(c.delivery_id for c in claims)
                for got in claims:
                    ledger.settle(got, Delivered(), now=NOON)
        except BaseException as e:  # noqa: BLE001 - whatever it is, the test must show it
            errors.append(e)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, [f"w{n}" for n in range(6)]))
    assert errors == []
    # A worker that found nothing because others held it may have ended early; what is left is claimable.
    while claims := claim(ledger):
        taken.extend(c.delivery_id for c in claims)
    assert len(taken) == len(set(taken)) == 120


@pytest.mark.timeout(600)
def test_of_many_settlements_of_one_claim_one_counts(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    got = claim_one(ledger)
    barrier = threading.Barrier(8)

    def settle(_n: int) -> bool:
        barrier.wait(timeout=30)
        try:
            ledger.settle(got, Delivered(), now=NOON, reply=a_reply(document))
        except LeaseLost:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(settle, range(8))) == 1
    assert len([d for d in ledger.documents().rows if d.kind is PackageKind.STATUS]) == 1
