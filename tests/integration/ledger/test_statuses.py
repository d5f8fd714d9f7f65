"""Statuses: forward only, once, and waiting for a document that is not there yet."""

from dataclasses import replace

import pytest

from gateway.ledger import Action, Ledger
from gateway.ledger.records import (
    Abandoned,
    Accepted,
    Delivered,
    Duplicate,
    Forwarded,
    NewDocument,
    StatusEffect,
    new_id,
)
from gateway.model import AgencyCode, BusinessType, Channel, DeliveryState, StatusCode
from tests.support.ledger import (
    GATEWAY,
    NOON,
    OTHER,
    RECEIVER,
    SENDER,
    a_delivery,
    a_document,
    a_status,
    a_status_package,
    at,
    claim,
    claim_one,
    report,
)

BELOW = AgencyCode("H37.14.2.5")


def states(ledger: Ledger, document_id: str) -> dict[str, tuple[DeliveryState, StatusCode | None]]:
    return {d.recipient: (d.state, d.status) for d in ledger.deliveries(document_id)}


def test_the_main_line_moves_forward_and_keeps_its_history(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    told = [
        (StatusCode.ARRIVED, StatusEffect.ADVANCED),
        (StatusCode.PROCESSING, StatusEffect.ADVANCED),
        (StatusCode.REGISTERED, StatusEffect.RECORDED),
        (StatusCode.AGREED, StatusEffect.RECORDED),
        (StatusCode.DONE, StatusEffect.ADVANCED),
        (StatusCode.REFUSED, StatusEffect.CONTRADICTORY),
    ]
    for n, (code, effect) in enumerate(told):
        answer = report(ledger, a_status(document, code, reported_at=at(n)), received_at=at(n))
        assert answer.status_effect is effect
    (row,) = ledger.deliveries(document.id)
    assert (row.status, row.status_at) == (StatusCode.DONE, at(4))
    trace = ledger.trace(document.id)
    assert trace is not None
    assert [(s.code, s.effect, s.delivery) for s in trace.statuses] == [(c, e, row.id) for c, e in told]
    assert Action.STATUS_CONTRADICTORY in [e.action for e in trace.events]


def test_a_report_makes_what_was_forwarded_or_abandoned_delivered(ledger: Ledger) -> None:
    for outcome in (Forwarded(receipt="{}"), Abandoned(code="c", detail="")):
        document = a_document()
        ledger.accept(document, [a_delivery()])
        ledger.settle(claim_one(ledger), outcome, now=NOON)
        report(ledger, a_status(document), received_at=at(5))
        (row,) = ledger.deliveries(document.id)
        assert (row.state, row.settled_at) == (DeliveryState.DELIVERED, at(5))


def test_a_refusal_refuses_wherever_the_document_is(ledger: Ledger) -> None:
    for outcome in (None, Forwarded(receipt="{}"), Delivered(), Abandoned(code="c", detail="")):
        document = a_document()
        ledger.accept(document, [a_delivery()])
        if outcome is not None:
            ledger.settle(claim_one(ledger), outcome, now=NOON)
        report(ledger, a_status(document, StatusCode.REFUSED))
        assert states(ledger, document.id) == {RECEIVER: (DeliveryState.REFUSED, StatusCode.REFUSED)}
        late = report(ledger, a_status(document, StatusCode.REGISTERED, reported_at=at(9)))
        assert late.status_effect is StatusEffect.RECORDED


def test_a_report_concerns_the_reporters_copy_alone(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery(), a_delivery(OTHER)])
    report(ledger, a_status(document))
    assert states(ledger, document.id) == {
        RECEIVER: (DeliveryState.WAITING, StatusCode.ARRIVED),
        OTHER: (DeliveryState.WAITING, None),
    }


def test_an_agency_below_the_recipient_may_report(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery(AgencyCode("H37")), a_delivery()])
    copy_of = (BELOW, RECEIVER, AgencyCode("H37"))
    report(ledger, a_status(document, reporter=BELOW, copy_of=copy_of))
    assert states(ledger, document.id)[RECEIVER] == (DeliveryState.WAITING, StatusCode.ARRIVED)
    assert states(ledger, document.id)["H37"] == (DeliveryState.WAITING, None)


def test_a_report_by_somebody_else_is_history_without_effect(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    answer = report(ledger, a_status(document, reporter=OTHER, copy_of=(OTHER,)))
    assert answer.status_effect is StatusEffect.UNMATCHED
    assert states(ledger, document.id) == {RECEIVER: (DeliveryState.WAITING, None)}
    trace = ledger.trace(document.id)
    assert trace is not None
    assert [s.effect for s in trace.statuses] == [StatusEffect.UNMATCHED]


def test_the_sender_asking_to_take_back_is_history_of_the_copy_asked_for(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    asked = a_status(document, StatusCode.RECALL_ASKED, reporter=SENDER, copy_of=(RECEIVER,))
    assert report(ledger, asked).status_effect is StatusEffect.RECORDED
    assert states(ledger, document.id) == {RECEIVER: (DeliveryState.WAITING, None)}


def test_the_same_report_again_is_a_duplicate_even_in_other_bytes(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    status = a_status(document)
    package = a_status_package(status)
    first = ledger.accept(package, [a_delivery(SENDER)], status)
    assert isinstance(first, Accepted)
    same = ledger.accept(replace(package, id=new_id()), [a_delivery(SENDER)], replace(status, id=new_id()))
    other = ledger.accept(a_status_package(status), [a_delivery(SENDER)], replace(status, id=new_id()))
    assert same == other == Duplicate(document_id=package.id, receipt=package.receipt)
    assert len(ledger.deliveries(package.id)) == 1
    trace = ledger.trace(document.id)
    assert trace is not None
    assert len(trace.statuses) == 1


def test_a_report_by_number_and_date_finds_the_document_of_a_document_id(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    named_otherwise = a_status(document, about_identity=str(document.alias), about_alias=None)
    assert report(ledger, named_otherwise).status_effect is StatusEffect.ADVANCED
    doubly = a_status(document, StatusCode.DONE, about_identity="elsewhere", about_alias=document.alias)
    assert report(ledger, doubly).status_effect is StatusEffect.ADVANCED


@pytest.mark.parametrize("named_by", ["identity", "alias", "second name"])
def test_a_report_before_its_document_waits_for_it(ledger: Ledger, named_by: str) -> None:
    document = a_document()
    names = {
        "identity": {},
        "alias": {"about_identity": document.alias, "about_alias": None},
        "second name": {"about_identity": "unknown", "about_alias": document.identity},
    }[named_by]
    later = a_status(document, StatusCode.PROCESSING, reported_at=at(2), **names)
    earlier = a_status(document, StatusCode.REGISTERED, reported_at=at(1), **names)
    assert report(ledger, later, received_at=at(1)).status_effect is StatusEffect.PARKED
    assert report(ledger, earlier, received_at=at(2)).status_effect is StatusEffect.PARKED
    strangers = a_document(sender=OTHER, identity=document.identity, alias=document.alias)
    ledger.accept(strangers, [a_delivery()])
    assert ledger.counts().parked_statuses == 2
    ledger.accept(replace(document, received_at=at(10)), [a_delivery()])
    assert states(ledger, document.id) == {RECEIVER: (DeliveryState.WAITING, StatusCode.PROCESSING)}
    assert ledger.counts().parked_statuses == 0
    trace = ledger.trace(document.id)
    assert trace is not None
    assert [s.effect for s in trace.statuses] == [StatusEffect.ADVANCED, StatusEffect.RECORDED]
    assert [e.action for e in trace.events].count(Action.STATUS_APPLIED) == 2


def test_a_contradiction_that_waited_is_flagged_when_it_is_applied(ledger: Ledger) -> None:
    document = a_document()
    report(ledger, a_status(document, StatusCode.REGISTERED))
    report(ledger, a_status(document, StatusCode.REFUSED), received_at=at(1))
    ledger.accept(document, [a_delivery()])
    trace = ledger.trace(document.id)
    assert trace is not None
    assert Action.STATUS_CONTRADICTORY in [e.action for e in trace.events]
    assert states(ledger, document.id) == {RECEIVER: (DeliveryState.WAITING, StatusCode.REGISTERED)}


def test_of_a_document_and_its_update_the_document_has_the_main_line(ledger: Ledger) -> None:
    document = a_document()
    update = a_document(identity=document.identity, business_type=BusinessType.UPDATE, revision="r")
    ledger.accept(update, [a_delivery(), a_delivery(OTHER)])
    ledger.accept(document, [a_delivery()])
    report(ledger, a_status(document))
    assert states(ledger, document.id) == {RECEIVER: (DeliveryState.WAITING, StatusCode.ARRIVED)}
    # A receiver that only the update brought in reports on the update.
    report(ledger, a_status(document, reporter=OTHER, copy_of=(OTHER,)))
    assert states(ledger, update.id)[OTHER] == (DeliveryState.WAITING, StatusCode.ARRIVED)


def test_a_withdrawn_delivery_takes_reports_as_history(ledger: Ledger) -> None:
    document = a_document()
    delivery = a_delivery(channel=Channel.MAILBOX)
    ledger.accept(document, [delivery])
    ledger.withdraw([delivery.id], reason="gửi nhầm", actor="operator", now=NOON)
    assert report(ledger, a_status(document)).status_effect is StatusEffect.RECORDED


def test_the_trace_of_a_status_package_shows_what_it_reported(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    status = a_status(document)
    package = a_status_package(status)
    ledger.accept(package, [a_delivery(SENDER)], status)
    trace = ledger.trace(package.id)
    assert trace is not None
    (row,) = trace.statuses
    assert (row.id, row.package, row.document, row.code) == (status.id, package.id, document.id, StatusCode.ARRIVED)
    assert trace.operations == ()


# Copies that come later, and copies that went elsewhere


def test_a_report_ahead_of_a_copy_that_is_added_later_takes_effect_then(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    early = report(ledger, a_status(document, StatusCode.REFUSED, reporter=OTHER, copy_of=(OTHER,)))
    assert early.status_effect is StatusEffect.UNMATCHED
    again = ledger.accept(replace(document, id=new_id(), received_at=at(5)), [a_delivery(), a_delivery(OTHER)])
    assert isinstance(again, Duplicate)
    assert states(ledger, document.id)[OTHER] == (DeliveryState.REFUSED, StatusCode.REFUSED)
    trace = ledger.trace(document.id)
    assert trace is not None
    assert [(s.effect, s.delivery) for s in trace.statuses] == [(StatusEffect.REFUSED, again.added[0])]
    assert [e.at for e in trace.events if e.action is Action.STATUS_APPLIED] == [at(5)]


def test_a_report_ahead_of_the_update_that_brings_the_copy_takes_effect_then(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    report(ledger, a_status(document, reporter=OTHER, copy_of=(OTHER,)))
    update = a_document(identity=document.identity, business_type=BusinessType.UPDATE, revision="r")
    ledger.accept(update, [a_delivery(), a_delivery(OTHER)])
    assert states(ledger, update.id)[OTHER] == (DeliveryState.WAITING, StatusCode.ARRIVED)
    trace = ledger.trace(update.id)
    assert trace is not None
    assert [s.effect for s in trace.statuses] == [StatusEffect.ADVANCED]


def test_a_report_by_somebody_else_stays_without_effect_when_copies_are_added(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    report(ledger, a_status(document, reporter=BELOW, copy_of=(BELOW,)))
    ledger.accept(replace(document, id=new_id()), [a_delivery(OTHER)])
    trace = ledger.trace(document.id)
    assert trace is not None
    assert [(s.effect, s.delivery) for s in trace.statuses] == [(StatusEffect.UNMATCHED, None)]
    assert Action.STATUS_APPLIED not in [e.action for e in trace.events]


def forwarded(ledger: Ledger, receipt: str, *recipients: AgencyCode) -> NewDocument:
    """A document that the next gateway took for these recipients, and answered with this receipt."""
    document = a_document()
    ledger.accept(document, [a_delivery(r, via=GATEWAY, channel=Channel.PEER) for r in recipients])
    for taken in claim(ledger):
        ledger.settle(taken, Forwarded(receipt=receipt), now=NOON)
    return document


def test_a_report_by_whom_the_next_gateways_receipt_names_instead_is_about_the_copy(ledger: Ledger) -> None:
    heir = AgencyCode("H38.9")
    document = forwarded(ledger, '{"recipients": ["H38.9", "H37.14.2"]}', OTHER, RECEIVER)
    answer = report(ledger, a_status(document, reporter=heir, copy_of=(heir,)))
    assert answer.status_effect is StatusEffect.ADVANCED
    assert states(ledger, document.id) == {
        OTHER: (DeliveryState.DELIVERED, StatusCode.ARRIVED),
        RECEIVER: (DeliveryState.FORWARDED, None),
    }


@pytest.mark.parametrize(
    "receipt",
    [
        '{"recipients": ["H38.9", "H38.10"]}',  # two copies went elsewhere: which one to whom is not said
        '{"recipients": ["H38.10"]}',
        '{"recipients": "H38.9"}',
        "{}",
    ],
)
def test_a_successor_is_not_guessed_from_a_receipt(ledger: Ledger, receipt: str) -> None:
    heir = AgencyCode("H38.9")
    document = forwarded(ledger, receipt, OTHER, RECEIVER)
    answer = report(ledger, a_status(document, reporter=heir, copy_of=(heir,)))
    assert answer.status_effect is StatusEffect.UNMATCHED


def test_the_same_report_again_is_the_same_though_its_agency_has_taken_anothers_place(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    status = a_status(document)
    package = a_status_package(status)
    ledger.accept(package, [], status)
    later = replace(status, id=new_id(), copy_of=(RECEIVER, OTHER))
    again = ledger.accept(a_status_package(later), [], later)
    assert isinstance(again, Duplicate)
    assert again.document_id == package.id
