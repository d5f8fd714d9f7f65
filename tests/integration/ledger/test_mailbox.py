"""The mailbox: look, lock, acknowledge or refuse, and again when the answer was lost."""

import pytest

from gateway.errors import LeaseLost, NotFound, ReasonRequired, RequestError, StateConflict, TransitionForbidden
from gateway.ledger import Action, Ledger
from gateway.ledger.filters import encode_cursor
from gateway.ledger.records import new_id
from gateway.model import Channel, DeliveryState, Lane, PackageKind, StatusCode
from tests.support.ledger import (
    LEASE,
    NOON,
    OTHER,
    RECEIVER,
    a_delivery,
    a_document,
    a_reply,
    a_status,
    at,
    report,
)


def put(ledger: Ledger, **delivery: object) -> str:
    """One document in a mailbox; the id of the delivery."""
    made = a_delivery(**({"channel": Channel.MAILBOX} | delivery))  # type: ignore[arg-type] # fields of the delivery
    ledger.accept(a_document(), [made])
    return made.id


def test_looking_shows_the_most_urgent_first_and_changes_nothing(ledger: Ledger) -> None:
    ordinary, second = put(ledger), put(ledger)
    flash = put(ledger, lane=Lane.FLASH)
    put(ledger, channel=Channel.PUSH)
    put(ledger, recipient=OTHER)
    below = put(ledger, recipient=OTHER, via=RECEIVER)
    for _ in range(2):
        assert [r.delivery.id for r in ledger.inbox(RECEIVER).rows] == [flash, ordinary, second, below]
    assert ledger.inbox(RECEIVER).next is None


def test_a_long_mailbox_is_read_in_parts(ledger: Ledger) -> None:
    ids = [put(ledger, lane=Lane(n % 3)) for n in range(7)]
    seen: list[str] = []
    cursor = None
    while True:
        page = ledger.inbox(RECEIVER, limit=3, after=cursor)
        seen += [r.delivery.id for r in page.rows]
        if page.next is None:
            break
        cursor = page.next
    assert sorted(seen) == sorted(ids)
    assert [r.delivery.lane for r in ledger.inbox(RECEIVER).rows] == sorted((n % 3 for n in range(7)), reverse=True)
    for cursor in ("x", encode_cursor(99, "x"), encode_cursor("x", "x")):
        with pytest.raises(RequestError):
            ledger.inbox(RECEIVER, after=cursor)
    with pytest.raises(RequestError):
        ledger.inbox(RECEIVER, limit=0)


def test_a_locked_delivery_stays_in_sight_and_an_acknowledged_one_does_not(ledger: Ledger) -> None:
    delivery_id = put(ledger)
    lock = ledger.lock(delivery_id, RECEIVER, now=NOON, lease=LEASE)
    assert lock.until == NOON + LEASE
    (row,) = ledger.inbox(RECEIVER).rows
    assert (row.delivery.state, row.delivery.due_at) == (DeliveryState.LEASED, lock.until)
    settled = ledger.acknowledge(delivery_id, RECEIVER, lock.token, now=at(1))
    assert (settled.state, settled.at, settled.repeated) == (DeliveryState.DELIVERED, at(1), False)
    assert ledger.inbox(RECEIVER).rows == ()
    (attempt,) = ledger.attempts(delivery_id)
    assert (attempt.number, attempt.worker, attempt.outcome) == (1, RECEIVER, "delivered")
    assert [e.action for e in ledger.events()][-2:] == [Action.MAILBOX_LOCKED, Action.MAILBOX_ACKNOWLEDGED]


def test_only_the_mailboxs_owner_sees_and_takes(ledger: Ledger) -> None:
    delivery_id = put(ledger)
    lock = ledger.lock(delivery_id, RECEIVER, now=NOON, lease=LEASE)
    assert ledger.inbox(OTHER).rows == ()
    with pytest.raises(NotFound):
        ledger.lock(delivery_id, OTHER, now=NOON, lease=LEASE)
    with pytest.raises(NotFound):
        ledger.acknowledge(delivery_id, OTHER, lock.token, now=NOON)
    with pytest.raises(NotFound):
        ledger.refuse(delivery_id, OTHER, lock.token, reason="x", now=NOON)
    with pytest.raises(NotFound):
        ledger.lock(new_id(), RECEIVER, now=NOON, lease=LEASE)
    with pytest.raises(NotFound):
        ledger.lock(put(ledger, channel=Channel.PUSH), RECEIVER, now=NOON, lease=LEASE)


def test_a_lock_keeps_others_out_until_it_ends(ledger: Ledger) -> None:
    delivery_id = put(ledger)
    first = ledger.lock(delivery_id, RECEIVER, now=NOON, lease=LEASE)
    with pytest.raises(StateConflict):
        ledger.lock(delivery_id, RECEIVER, now=at(1), lease=LEASE)
    second = ledger.lock(delivery_id, RECEIVER, now=NOON + LEASE, lease=LEASE)
    assert second.token != first.token
    with pytest.raises(LeaseLost):
        ledger.acknowledge(delivery_id, RECEIVER, first.token, now=NOON + LEASE)
    assert not ledger.acknowledge(delivery_id, RECEIVER, second.token, now=NOON + LEASE).repeated
    assert [a.outcome for a in ledger.attempts(delivery_id)] == ["lost", "delivered"]


def test_a_lock_that_has_ended_still_acknowledges_when_nobody_took_over(ledger: Ledger) -> None:
    delivery_id = put(ledger)
    lock = ledger.lock(delivery_id, RECEIVER, now=NOON, lease=LEASE)
    assert ledger.acknowledge(delivery_id, RECEIVER, lock.token, now=NOON + 2 * LEASE).state is DeliveryState.DELIVERED


def test_an_acknowledgement_repeated_gets_the_first_answer(ledger: Ledger) -> None:
    document = a_document()
    delivery = a_delivery(channel=Channel.MAILBOX)
    ledger.accept(document, [delivery])
    lock = ledger.lock(delivery.id, RECEIVER, now=NOON, lease=LEASE)
    ledger.acknowledge(delivery.id, RECEIVER, lock.token, now=at(1), reply=a_reply(document))
    again = ledger.acknowledge(delivery.id, RECEIVER, lock.token, now=at(2), reply=a_reply(document))
    assert (again.state, again.at, again.repeated) == (DeliveryState.DELIVERED, at(1), True)
    assert len(ledger.attempts(delivery.id)) == 1
    assert len([d for d in ledger.documents().rows if d.kind is PackageKind.STATUS]) == 1
    (row,) = ledger.deliveries(document.id)
    assert row.status is StatusCode.ARRIVED


def test_a_token_that_never_was_one_acknowledges_nothing(ledger: Ledger) -> None:
    delivery_id = put(ledger)
    with pytest.raises(LeaseLost):
        ledger.acknowledge(delivery_id, RECEIVER, "", now=NOON)
    ledger.lock(delivery_id, RECEIVER, now=NOON, lease=LEASE)
    for token in ("", "x", "é"):
        with pytest.raises(LeaseLost):
            ledger.acknowledge(delivery_id, RECEIVER, token, now=NOON)


def test_a_refusal_needs_a_reason_and_is_repeatable(ledger: Ledger) -> None:
    document = a_document()
    delivery = a_delivery(channel=Channel.MAILBOX)
    ledger.accept(document, [delivery])
    lock = ledger.lock(delivery.id, RECEIVER, now=NOON, lease=LEASE)
    with pytest.raises(ReasonRequired):
        ledger.refuse(delivery.id, RECEIVER, lock.token, reason="  ", now=NOON)
    reply = a_reply(document, StatusCode.REFUSED)
    settled = ledger.refuse(delivery.id, RECEIVER, lock.token, reason="Sai thẩm quyền", now=at(1), reply=reply)
    assert (settled.state, settled.repeated) == (DeliveryState.REFUSED, False)
    assert ledger.refuse(delivery.id, RECEIVER, lock.token, reason="khác", now=at(2)).repeated
    (attempt,) = ledger.attempts(delivery.id)
    assert (attempt.outcome, attempt.code, attempt.detail) == ("refused", "mailbox.refused", "Sai thẩm quyền")
    (row,) = ledger.deliveries(document.id)
    assert (row.status, row.error_code) == (StatusCode.REFUSED, "mailbox.refused")
    assert "Sai thẩm quyền" not in str([e.data for e in ledger.events()])
    with pytest.raises(TransitionForbidden):
        ledger.acknowledge(delivery.id, RECEIVER, lock.token, now=at(3))


def test_what_is_settled_cannot_be_locked_or_refused(ledger: Ledger) -> None:
    delivery_id = put(ledger)
    lock = ledger.lock(delivery_id, RECEIVER, now=NOON, lease=LEASE)
    ledger.acknowledge(delivery_id, RECEIVER, lock.token, now=NOON)
    with pytest.raises(TransitionForbidden):
        ledger.lock(delivery_id, RECEIVER, now=NOON, lease=LEASE)
    with pytest.raises(TransitionForbidden):
        ledger.refuse(delivery_id, RECEIVER, lock.token, reason="x", now=NOON)


def test_a_refusal_by_status_package_takes_it_out_of_the_mailbox(ledger: Ledger) -> None:
    document = a_document()
    delivery = a_delivery(channel=Channel.MAILBOX)
    ledger.accept(document, [delivery])
    report(ledger, a_status(document, StatusCode.REFUSED))
    assert ledger.inbox(RECEIVER).rows == ()
    (row,) = ledger.deliveries(document.id)
    assert row.state is DeliveryState.REFUSED


def test_an_acknowledgement_is_answered_again_after_the_receiver_reported_a_refusal(ledger: Ledger) -> None:
    document = a_document()
    delivery = a_delivery(channel=Channel.MAILBOX)
    ledger.accept(document, [delivery])
    lock = ledger.lock(delivery.id, RECEIVER, now=NOON, lease=LEASE)
    first = ledger.acknowledge(delivery.id, RECEIVER, lock.token, now=at(1))
    report(ledger, a_status(document, StatusCode.REFUSED), received_at=at(2))
    again = ledger.acknowledge(delivery.id, RECEIVER, lock.token, now=at(3))
    assert (again.repeated, again.state, again.at) == (True, first.state, first.at)
    (row,) = ledger.deliveries(document.id)
    assert row.state is DeliveryState.REFUSED
    with pytest.raises(TransitionForbidden):
        ledger.refuse(delivery.id, RECEIVER, lock.token, reason="x", now=at(3))
    # A replay is another hand-over: it needs another lock.
    ledger.replay([delivery.id], reason="x", actor="o", now=at(4))
    with pytest.raises(LeaseLost):
        ledger.acknowledge(delivery.id, RECEIVER, lock.token, now=at(5))


def test_a_refusal_reported_while_locked_ends_the_lock(ledger: Ledger) -> None:
    document = a_document()
    delivery = a_delivery(channel=Channel.MAILBOX)
    ledger.accept(document, [delivery])
    lock = ledger.lock(delivery.id, RECEIVER, now=NOON, lease=LEASE)
    report(ledger, a_status(document, StatusCode.REFUSED))
    with pytest.raises(LeaseLost):
        ledger.acknowledge(delivery.id, RECEIVER, lock.token, now=at(1))
