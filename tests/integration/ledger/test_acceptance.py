"""Acceptance: once, whole, and whoever comes second gets the first receipt."""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from gateway.errors import DocumentConflict
from gateway.ledger import Action, Ledger, open_engine
from gateway.ledger.records import Accepted, Duplicate, NewEvent, new_id
from gateway.ledger.tables import deliveries, documents, payloads
from gateway.model import AgencyCode, Attachment, BusinessType, DeliveryState, Lane, PackageKind, StatusCode
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
    report,
)


def actions(ledger: Ledger) -> list[Action]:
    return [event.action for event in ledger.events()]


def test_an_accepted_document_is_kept_with_everything_said_of_it(ledger: Ledger) -> None:
    document = a_document(
        lane=Lane.FLASH, targets=("x",), forward_sha256="f" * 64, forward_size=9, forward_payload=b"9"
    )
    delivery = a_delivery(redirected_from=OTHER)
    answer = ledger.accept(document, [delivery], events=[NewEvent(action=Action.DELIVERY_BLOCKED, data={"n": 1})])
    assert answer == Accepted(document_id=document.id, receipt=document.receipt)
    kept = ledger.document(document.id)
    assert kept is not None
    for field in kept.__dataclass_fields__:
        assert getattr(kept, field) == getattr(document, field), field
    assert kept.sent_sha256 == "f" * 64
    assert ledger.payload(document.sha256) == document.payload
    assert ledger.payload("f" * 64) == b"9"
    (row,) = ledger.deliveries(document.id)
    assert (row.recipient, row.state, row.blocked, row.redirected_from) == (
        RECEIVER,
        DeliveryState.WAITING,
        False,
        OTHER,
    )
    assert ledger.delivery(row.id) == row
    log = ledger.log_row(row.id)
    assert log is not None
    assert log.delivery == row
    assert log.document.id == document.id
    assert actions(ledger) == [Action.DOCUMENT_ACCEPTED, Action.DELIVERY_ENQUEUED, Action.DELIVERY_BLOCKED]


def test_what_is_unknown_is_none(ledger: Ledger) -> None:
    assert ledger.document("x") is None
    assert ledger.delivery("x") is None
    assert ledger.log_row("x") is None
    assert ledger.payload("0" * 64) is None
    assert ledger.trace("x") is None
    assert ledger.find_document(SENDER, "x") is None
    assert ledger.deliveries("x") == []
    assert ledger.attempts("x") == []


def test_a_payload_in_the_store_is_not_in_the_ledger(ledger: Ledger) -> None:
    document = a_document(payload=None, sha256="a" * 64, size=10**7)
    ledger.accept(document, [])
    assert ledger.payload(document.sha256) is None


def test_the_same_package_again_gets_the_first_receipt(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    again = replace(document, id=new_id(), receipt="{}", received_at=at(1))
    assert ledger.accept(again, [a_delivery()]) == Duplicate(document_id=document.id, receipt=document.receipt)
    assert len(ledger.deliveries(document.id)) == 1
    assert actions(ledger)[-1] is Action.DOCUMENT_DUPLICATE


def test_a_repetition_adds_the_recipients_that_were_not_asked_for_before(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    added = a_delivery(OTHER, due_at=at(1))
    answer = ledger.accept(replace(document, id=new_id(), received_at=at(1)), [a_delivery(), added])
    assert answer == Duplicate(document_id=document.id, receipt=document.receipt, added=(added.id,))
    assert [d.recipient for d in ledger.deliveries(document.id)] == [RECEIVER, OTHER]
    assert {c.recipient for c in claim(ledger, at(1))} == {RECEIVER, OTHER}


@pytest.mark.parametrize(
    ("first", "repeated"),
    [
        ({}, {"recipient": OTHER, "as_written": OTHER, "redirected_from": RECEIVER}),
        ({"recipient": OTHER, "redirected_from": RECEIVER}, {}),
        ({"recipient": OTHER, "redirected_from": RECEIVER}, {"recipient": GATEWAY, "redirected_from": RECEIVER}),
        ({"as_written": GATEWAY}, {"recipient": OTHER, "as_written": GATEWAY}),
    ],
    ids=["closed-since", "closed-then", "closed-twice", "same-words"],
)
def test_a_repetition_adds_no_second_copy_for_whom_it_goes_elsewhere_now(
    ledger: Ledger, first: dict[str, Any], repeated: dict[str, Any]
) -> None:
    document = a_document()
    of_receiver: dict[str, Any] = {"recipient": RECEIVER, "as_written": RECEIVER}
    ledger.accept(document, [a_delivery(**(of_receiver | first))])
    answer = ledger.accept(replace(document, id=new_id()), [a_delivery(**(of_receiver | repeated))])
    assert answer == Duplicate(document_id=document.id, receipt=document.receipt)
    assert len(ledger.deliveries(document.id)) == 1


def test_other_bytes_under_a_taken_identity_are_a_conflict_that_is_recorded(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [])
    with pytest.raises(DocumentConflict) as raised:
        ledger.accept(a_document(identity=document.identity), [a_delivery()])
    assert raised.value.existing == document.id
    assert actions(ledger) == [Action.DOCUMENT_ACCEPTED, Action.DOCUMENT_CONFLICT]
    assert len(ledger.documents().rows) == 1
    assert ledger.search().rows == ()


def test_an_update_repeats_the_identity_with_other_bytes(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [])
    for _ in range(2):
        update = a_document(identity=document.identity, business_type=BusinessType.UPDATE)
        update = replace(update, revision=update.sha256)
        assert isinstance(ledger.accept(update, []), Accepted)
        assert isinstance(ledger.accept(replace(update, id=new_id()), []), Duplicate)
    assert len(ledger.documents().rows) == 3


def test_another_sender_may_use_the_same_identity(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [])
    assert isinstance(ledger.accept(a_document(identity=document.identity, sender=OTHER), []), Accepted)


def test_a_document_is_found_by_its_identity_and_its_alias(ledger: Ledger) -> None:
    document = a_document()
    update = a_document(identity=document.identity, alias=None, business_type=BusinessType.UPDATE, revision="r")
    ledger.accept(update, [])
    ledger.accept(document, [])
    for name in (document.identity, str(document.alias)):
        found = ledger.find_document(SENDER, name)
        assert found is not None
        assert found.id == document.id
    found = ledger.find_document(SENDER, document.identity, business_type=BusinessType.UPDATE)
    assert found is not None
    assert found.id == update.id
    assert ledger.find_document(OTHER, document.identity) is None
    assert ledger.find_document(SENDER, document.identity, kind=PackageKind.STATUS) is None


def test_a_package_accepted_before_is_known_by_its_bytes(ledger: Ledger) -> None:
    document = a_document()
    update, again = (
        a_document(
            identity=document.identity,
            business_type=BusinessType.UPDATE,
            payload=body,
            revision=hashlib.sha256(body).hexdigest(),
        )
        for body in (b"2", b"3")
    )
    for made in (document, update, again):
        ledger.accept(made, [])
        found = ledger.accepted_before(
            SENDER, made.identity, business_type=made.business_type, kind=made.kind, sha256=made.sha256
        )
        assert found is not None
        assert (found.id, found.receipt) == (made.id, made.receipt)
    unknown: list[dict[str, Any]] = [
        {"sha256": "0" * 64},
        {"sha256": update.sha256},
        {"business_type": BusinessType.UPDATE},
        {"kind": PackageKind.STATUS},
    ]
    asked: dict[str, Any] = {"business_type": document.business_type, "kind": document.kind, "sha256": document.sha256}
    for changed in unknown:
        assert ledger.accepted_before(SENDER, document.identity, **(asked | changed)) is None
    assert ledger.accepted_before(OTHER, document.identity, **asked) is None
    assert ledger.accepted_before(SENDER, "another", **asked) is None


def test_an_identity_of_any_length_is_kept_and_found(ledger: Ledger) -> None:
    name = "Đ" * 1_000_000
    document = a_document(identity=name, alias=name + "2", targets=(name + "3",))
    ledger.accept(document, [])
    assert isinstance(ledger.accept(replace(document, id=new_id()), []), Duplicate)
    for known in (name, name + "2"):
        found = ledger.find_document(SENDER, known)
        assert found is not None
        assert found.id == document.id
    assert len(ledger.documents(limit=1).rows) == 1


def test_a_document_that_fails_half_way_leaves_nothing(ledger: Ledger, engine: Engine) -> None:
    twice = a_delivery()
    with pytest.raises(Exception, match=r"(?i)unique"):
        ledger.accept(a_document(), [twice, twice])
    with engine.connect() as connection:
        for table in (documents, deliveries, payloads):
            assert connection.scalar(select(func.count()).select_from(table)) == 0
    assert ledger.events() == []


def test_a_status_package_needs_its_status(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="together"):
        ledger.accept(a_document(kind=PackageKind.STATUS), [])
    with pytest.raises(ValueError, match="together"):
        ledger.accept(a_document(), [], a_status(a_document()))


# Many at once


def at_once(number: int, work: Callable[[int], object]) -> list[object]:
    """The answers, or errors, of that many threads that began together."""
    barrier = threading.Barrier(number)

    def begin(i: int) -> object:
        barrier.wait(timeout=30)
        try:
            return work(i)
        except Exception as e:  # noqa: BLE001 - the test judges what it was
            return e

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(begin, range(number)))


@pytest.mark.timeout(600)
def test_fifty_identical_posts_at_once_make_one_document(ledger: Ledger) -> None:
    for _ in range(5):
        document = a_document()
        answers = at_once(
            50, lambda _i, d=document: ledger.accept(replace(d, id=new_id(), receipt=f'"{new_id()}"'), [a_delivery()])
        )
        accepted = [a for a in answers if isinstance(a, Accepted)]
        assert len(accepted) == 1, answers
        assert {(a.document_id, a.receipt) for a in answers if isinstance(a, Duplicate)} == {
            (accepted[0].document_id, accepted[0].receipt)
        }
        assert len([a for a in answers if isinstance(a, Duplicate)]) == 49
        assert len(ledger.deliveries(accepted[0].document_id)) == 1
    assert len(ledger.documents().rows) == 5


def test_of_different_bytes_at_once_one_wins(ledger: Ledger) -> None:
    document = a_document()
    answers = at_once(10, lambda _i: ledger.accept(a_document(identity=document.identity), [a_delivery()]))
    winners = [a for a in answers if isinstance(a, Accepted)]
    losers = [a for a in answers if isinstance(a, DocumentConflict)]
    assert (len(winners), len(losers)) == (1, 9), answers
    assert {e.existing for e in losers} == {winners[0].document_id}


def test_a_document_and_its_status_at_once_always_meet(ledger: Ledger) -> None:
    for _ in range(10):
        document = a_document()
        status = a_status(document)

        def work(i: int, document=document, status=status) -> object:  # type: ignore[no-untyped-def] # bound for the loop
            if i:
                return report(ledger, status)
            return ledger.accept(document, [a_delivery()])

        answers = at_once(2, work)
        assert all(isinstance(a, Accepted) for a in answers), answers
        (delivery,) = ledger.deliveries(document.id)
        assert delivery.status is StatusCode.ARRIVED
    assert ledger.counts().parked_statuses == 0


def test_two_processes_worth_of_engines_share_one_queue(ledger: Ledger, database_url: str) -> None:
    second = open_engine(database_url)
    try:
        other = Ledger(second)
        document = a_document()
        ledger.accept(document, [a_delivery()])
        assert isinstance(other.accept(replace(document, id=new_id()), [a_delivery()]), Duplicate)
        assert len(claim(other)) == 1
        assert claim(ledger) == []
    finally:
        second.dispose()


def test_a_reply_is_a_status_document_of_its_own(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    status = a_status(document)
    package = a_status_package(status, received_from=GATEWAY, received_at=NOON + timedelta(seconds=1))
    answer = ledger.accept(package, [a_delivery(SENDER)], status)
    assert isinstance(answer, Accepted)
    (row,) = ledger.deliveries(package.id)
    assert row.recipient == SENDER
    assert AgencyCode(row.sender) == RECEIVER


def test_what_is_kept_for_reading_is_bounded_and_the_package_is_whole(ledger: Ledger) -> None:
    long = "ă" * 900_000
    columns = ("subject", "sender_name", "document_id", "number", "notation", "type_name")
    attachment = Attachment(
        content_id="1", name=long, size=1, sha256="0" * 64, media_type="application/pdf", description=long
    )
    document = a_document(
        **dict.fromkeys(columns, long), payload=long.encode(), targets=(long,), attachments=(attachment,)
    )
    ledger.accept(document, [a_delivery(recipient_name=long)])
    kept = ledger.document(document.id)
    assert kept is not None
    lengths = {name: len(getattr(kept, name)) for name in columns}
    assert lengths == {
        "subject": 2_000, "sender_name": 500, "document_id": 1_000, "number": 500, "notation": 500, "type_name": 500,
    }  # fmt: skip
    assert (len(kept.attachments[0].name), len(kept.attachments[0].description or "")) == (500, 2_000)
    assert kept.attachments[0].content_id == "1"
    assert sum(map(len, kept.targets)) < 200
    [copy] = ledger.deliveries(document.id)
    assert len(copy.recipient_name or "") == 500
    assert ledger.payload(document.sha256) == document.payload


def test_identities_that_differ_far_behind_are_not_the_same(ledger: Ledger) -> None:
    long = "x" * 900_000
    first, second = (a_document(identity=f"{long}{n}", alias=None, document_id=f"{long}{n}") for n in (1, 2))
    assert all(isinstance(ledger.accept(d, [a_delivery()]), Accepted) for d in (first, second))
    found = ledger.find_document(SENDER, second.identity)
    assert found is not None
    assert found.id == second.id
    report(ledger, a_status(second))
    [copy] = ledger.deliveries(second.id)
    assert copy.status is StatusCode.ARRIVED


def test_the_words_of_a_status_are_bounded(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    report(ledger, a_status(document, StatusCode.REFUSED, description="ă" * 900_000))
    trace = ledger.trace(document.id)
    assert trace is not None
    assert [len(s.description or "") for s in trace.statuses] == [2_000]
