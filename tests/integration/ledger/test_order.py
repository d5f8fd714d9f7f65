"""A recall, update or replacement never overtakes the document that it concerns."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.errors import NotFound
from gateway.ledger import Action, Ledger
from gateway.ledger.records import Abandoned, Delivered, Failed, Forwarded, Outcome, Refused
from gateway.model import AgencyCode, BusinessType, Channel, DeliveryState, StatusCode
from tests.support.ledger import (
    LEASE,
    NOON,
    OTHER,
    RECEIVER,
    SENDER,
    a_delivery,
    a_document,
    a_status,
    an_operation,
    at,
    claim,
    claim_one,
    report,
)


@pytest.mark.parametrize("business_type", [BusinessType.REVOKE, BusinessType.UPDATE, BusinessType.REPLACE])
@pytest.mark.parametrize(
    "outcome", [Delivered(), Forwarded(receipt="{}"), Refused(code="c", detail="")], ids=lambda o: type(o).__name__
)
def test_an_operation_waits_until_its_document_has_left(
    ledger: Ledger, business_type: BusinessType, outcome: Outcome
) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    operation = an_operation(document, business_type, received_at=at(1))
    ledger.accept(operation, [a_delivery(due_at=at(1))])
    (waiting,) = ledger.deliveries(operation.id)
    assert waiting.blocked
    assert ledger.counts().blocked == 1
    first = claim_one(ledger, at(2))
    assert first.document_id == document.id
    ledger.settle(first, Failed(code="c", detail="", retry_at=at(3)), now=at(2))
    first = claim_one(ledger, at(9))
    assert first.document_id == document.id
    ledger.settle(first, outcome, now=at(10))
    then = claim_one(ledger, at(10))
    assert (then.document_id, then.trying_since, then.attempt) == (operation.id, at(10), 1)
    assert Action.DELIVERY_UNBLOCKED in [e.action for e in ledger.events()]
    assert ledger.counts().blocked == 0


def test_an_operation_on_the_same_identity_needs_no_target(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    ledger.accept(an_operation(document, identity=document.identity, targets=()), [a_delivery()])
    assert claim_one(ledger).document_id == document.id


def test_operations_go_one_after_the_other(ledger: Ledger) -> None:
    document = a_document()
    update = an_operation(document, BusinessType.UPDATE, identity=document.identity)
    revoke = an_operation(document, identity="another")
    for d in (document, update, revoke):
        ledger.accept(d, [a_delivery()])
    for d in (document, update, revoke):
        got = claim_one(ledger)
        assert got.document_id == d.id
        ledger.settle(got, Delivered(), now=NOON)


def test_an_operation_on_a_replacement_waits_for_it(ledger: Ledger) -> None:
    document = a_document()
    replacement = an_operation(document, BusinessType.REPLACE)
    update = an_operation(replacement, BusinessType.UPDATE, targets=(str(replacement.alias),))
    for d in (replacement, update):
        ledger.accept(d, [a_delivery()])
    assert claim_one(ledger).document_id == replacement.id


def test_only_the_same_recipient_and_sender_hold_back(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery(OTHER)])
    strangers = a_document(sender=AgencyCode("H38"), identity=document.identity)
    ledger.accept(strangers, [a_delivery()])
    operation = an_operation(document)
    ledger.accept(operation, [a_delivery(), a_delivery(OTHER)])
    blocked = {d.recipient: d.blocked for d in ledger.deliveries(operation.id)}
    assert blocked == {RECEIVER: False, OTHER: True}


def test_what_has_left_holds_nobody_back(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    ledger.settle(claim_one(ledger), Delivered(), now=NOON)
    operation = an_operation(document)
    ledger.accept(operation, [a_delivery()])
    assert claim_one(ledger).document_id == operation.id


def test_an_operation_before_its_document_is_not_held_back(ledger: Ledger) -> None:
    document = a_document()
    operation = an_operation(document)
    ledger.accept(operation, [a_delivery()])
    ledger.accept(document, [a_delivery()])
    assert len(claim(ledger)) == 2


def test_an_abandoned_document_still_holds_back_until_replayed_or_withdrawn(ledger: Ledger) -> None:
    for way_out in ("replay", "withdraw"):
        document = a_document()
        delivery = a_delivery()
        ledger.accept(document, [delivery])
        operation = an_operation(document)
        ledger.accept(operation, [a_delivery()])
        ledger.settle(claim_one(ledger), Abandoned(code="c", detail=""), now=NOON)
        assert claim(ledger) == []
        if way_out == "replay":
            ledger.replay([delivery.id], reason="đường truyền đã thông", actor="operator", now=at(1))
            ledger.settle(claim_one(ledger, at(1)), Delivered(), now=at(1))
        else:
            ledger.withdraw([delivery.id], reason="gửi nhầm", actor="operator", now=at(1))
        got = claim_one(ledger, at(1))
        assert got.document_id == operation.id
        ledger.settle(got, Delivered(), now=at(1))


def test_a_report_of_refusal_lets_those_behind_go(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    operation = an_operation(document)
    ledger.accept(operation, [a_delivery()])
    report(ledger, a_status(document, StatusCode.REFUSED))
    assert claim_one(ledger).document_id == operation.id


def test_a_blocked_delivery_is_not_in_the_mailbox_yet(ledger: Ledger) -> None:
    document = a_document()
    first, second = a_delivery(channel=Channel.MAILBOX), a_delivery(channel=Channel.MAILBOX)
    ledger.accept(document, [first])
    ledger.accept(an_operation(document), [second])
    assert [r.delivery.id for r in ledger.inbox(RECEIVER).rows] == [first.id]
    with pytest.raises(NotFound):
        ledger.lock(second.id, RECEIVER, now=NOON, lease=LEASE)
    lock = ledger.lock(first.id, RECEIVER, now=NOON, lease=LEASE)
    ledger.acknowledge(first.id, RECEIVER, lock.token, now=NOON)
    assert [r.delivery.id for r in ledger.inbox(RECEIVER).rows] == [second.id]


def test_an_operation_on_two_documents_waits_for_both(ledger: Ledger) -> None:
    documents = a_document(), a_document()
    for document in documents:
        ledger.accept(document, [a_delivery()])
    operation = an_operation(documents[0], BusinessType.REPLACE, targets=tuple(d.identity for d in documents))
    ledger.accept(operation, [a_delivery()])
    first, second = claim(ledger)
    ledger.settle(first, Delivered(), now=NOON)
    assert claim(ledger) == []
    ledger.settle(second, Delivered(), now=NOON)
    assert claim_one(ledger).document_id == operation.id


@pytest.mark.timeout(600)
def test_an_operation_accepted_while_its_document_leaves_is_never_stuck(ledger: Ledger) -> None:
    for _ in range(15):
        document = a_document()
        ledger.accept(document, [a_delivery()])
        got = claim_one(ledger)
        operation = an_operation(document)
        with ThreadPoolExecutor(2) as pool:
            leaving = pool.submit(ledger.settle, got, Delivered(), now=NOON)
            coming = pool.submit(ledger.accept, operation, [a_delivery()])
            leaving.result(30)
            coming.result(30)
        got = claim_one(ledger)
        assert got.document_id == operation.id
        ledger.settle(got, Delivered(), now=NOON)


def test_two_blockers_that_leave_together_let_go_once(ledger: Ledger) -> None:
    for _ in range(10):
        documents = a_document(), a_document()
        for document in documents:
            ledger.accept(document, [a_delivery()])
        operation = an_operation(documents[0], targets=tuple(d.identity for d in documents))
        ledger.accept(operation, [a_delivery()])
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda got: ledger.settle(got, Delivered(), now=NOON), claim(ledger)))
        got = claim_one(ledger)
        assert got.document_id == operation.id
        ledger.settle(got, Delivered(), now=NOON)


def test_the_trace_names_the_operations_on_a_document(ledger: Ledger) -> None:
    document = a_document()
    by_target = an_operation(document, received_at=at(1))
    by_identity = an_operation(document, BusinessType.UPDATE, identity=document.identity, targets=(), received_at=at(2))
    for d in (document, by_target, by_identity, a_document()):
        ledger.accept(d, [])
    trace = ledger.trace(document.id)
    assert trace is not None
    assert [o.id for o in trace.operations] == [by_target.id, by_identity.id]
    assert trace.document.sender == SENDER
    assert all(d.state is DeliveryState.WAITING for d in trace.deliveries)
