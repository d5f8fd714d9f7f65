"""An examination that holds keeps every copy here until it is done, exactly once; what it refuses goes to nobody."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.errors import (
    DocumentKeptBack,
    LeaseLost,
    NotFound,
    OperationOutpaced,
    ReasonRequired,
    TransitionForbidden,
)
from gateway.ledger import Action, Ledger, examinations
from gateway.ledger.records import (
    Abandoned,
    Claim,
    Delivered,
    Duplicate,
    ExaminationResult,
    Examined,
    Filter,
    Finding,
    Forwarded,
    NewDelivery,
    NewDocument,
    NewExamination,
    Reply,
)
from gateway.model import (
    AgencyCode,
    BusinessType,
    Channel,
    DeliveryState,
    ExaminationKind,
    ExaminationState,
    FileStanding,
    FileVerdict,
    RecallState,
    StatusCode,
)
from tests.support.ledger import (
    LEASE,
    NOON,
    OTHER,
    RECEIVER,
    SENDER,
    a_delivery,
    a_document,
    a_reply,
    an_operation,
    asked,
    at,
    claim,
    claim_one,
)

FILES, MALWARE, REVOCATION = ExaminationKind
GOOD = Examined(state=ExaminationState.DONE, reason="file.verified")
BAD = Examined(state=ExaminationState.REFUSED, reason="malware.found", detail="a.pdf: Test.Signature")
VERDICT = FileVerdict(
    content_id="f1", name="công văn.pdf", format="pdf", standing=FileStanding.UNSIGNED, reason="file.unsigned",
    judged_at=NOON,
)  # fmt: skip


def holding(*kinds: ExaminationKind) -> list[NewExamination]:
    return [NewExamination(kind=kind, holds=True, due_at=NOON) for kind in kinds or (FILES,)]


def held(ledger: Ledger, *kinds: ExaminationKind, deliveries: list[NewDelivery] | None = None) -> NewDocument:
    """An accepted document that is kept here."""
    document = a_document()
    ledger.accept(document, deliveries or [a_delivery()], examinations=holding(*kinds))
    return document


def refuse(ledger: Ledger, document: NewDocument, kind: ExaminationKind = FILES, minute: float = 1) -> bool:
    replies: dict[str, Reply | None] = {
        d.id: a_reply(document, StatusCode.REFUSED, reporter=d.recipient, copy_of=(d.recipient,))
        for d in ledger.deliveries(document.id)
    }
    return ledger.settle_examination(document.id, kind, BAD, now=at(minute), replies=replies)


def states(ledger: Ledger, document: NewDocument) -> list[tuple[DeliveryState, bool]]:
    return [(d.state, d.blocked) for d in ledger.deliveries(document.id)]


def actions(ledger: Ledger) -> list[Action]:
    return [e.action for e in ledger.events()]


def test_a_held_document_is_neither_claimed_nor_collected_nor_seen(ledger: Ledger) -> None:
    mailbox = a_delivery(OTHER, channel=Channel.MAILBOX)
    document = held(ledger, deliveries=[a_delivery(), mailbox])
    assert claim(ledger) == []
    assert ledger.inbox(OTHER).rows == ()
    with pytest.raises(NotFound):
        ledger.lock(mailbox.id, OTHER, now=NOON, lease=LEASE)
    assert not ledger.may_see(document.id, OTHER)
    assert ledger.may_see(document.id, SENDER)
    assert actions(ledger).count(Action.DELIVERY_HELD) == 2


def test_what_is_done_lets_all_copies_go_and_their_patience_begins(ledger: Ledger) -> None:
    document = held(ledger, deliveries=[a_delivery(), a_delivery(OTHER)])
    assert ledger.settle_examination(document.id, FILES, GOOD, now=at(7))
    claims = claim(ledger, at(7))
    assert {c.trying_since for c in claims} == {at(7)}
    assert {c.recipient for c in claims} == {RECEIVER, OTHER}
    assert actions(ledger).count(Action.DELIVERY_RELEASED) == 2
    examined = next(e for e in ledger.events() if e.action is Action.DOCUMENT_EXAMINED)
    assert examined.data == {"kind": "files", "state": "done", "code": "file.verified"}


def test_an_examination_ends_once(ledger: Ledger) -> None:
    document = held(ledger)
    assert ledger.settle_examination(document.id, FILES, GOOD, now=at(1))
    assert not ledger.settle_examination(document.id, FILES, GOOD, now=at(2))
    assert not refuse(ledger, document, minute=3)
    assert states(ledger, document) == [(DeliveryState.WAITING, False)]


def test_several_that_hold_are_all_waited_for(ledger: Ledger) -> None:
    document = held(ledger, FILES, MALWARE, REVOCATION)
    for kind in (MALWARE, FILES):
        ledger.settle_examination(document.id, kind, GOOD, now=at(1))
        assert claim(ledger, at(1)) == []
    ledger.settle_examination(document.id, REVOCATION, GOOD, now=at(2))
    assert claim_one(ledger, at(2)).document_id == document.id


def test_one_that_does_not_hold_delays_nothing(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()], examinations=[NewExamination(kind=FILES, due_at=NOON)])
    assert claim_one(ledger).document_id == document.id
    found = ExaminationResult(files=(VERDICT,))
    outcome = replace(GOOD, result=found)
    assert ledger.settle_examination(document.id, FILES, outcome, now=at(1))
    (row,) = ledger.examinations(document.id)
    assert (row.state, row.result, row.keeps) == (ExaminationState.DONE, found, False)
    assert Action.DELIVERY_RELEASED not in actions(ledger)


def test_one_done_by_the_acceptance_is_on_record(ledger: Ledger) -> None:
    document = a_document()
    done = NewExamination(
        kind=MALWARE, state=ExaminationState.DONE, reason="malware.none", due_at=NOON,
        result=ExaminationResult(scanned=2, scanner="ClamAV 1.4"),
    )  # fmt: skip
    ledger.accept(document, [a_delivery()], examinations=[done])
    assert claim_one(ledger).document_id == document.id
    (row,) = ledger.examinations(document.id)
    assert (row.state, row.result) == (ExaminationState.DONE, done.result)
    assert Action.DOCUMENT_EXAMINED in actions(ledger)


def test_recipients_that_a_repeat_adds_are_held_too(ledger: Ledger) -> None:
    document = held(ledger)
    again = ledger.accept(replace(document, received_at=at(1)), [a_delivery(), a_delivery(OTHER)])
    assert isinstance(again, Duplicate)
    assert len(again.added) == 1
    assert claim(ledger, at(1)) == []
    ledger.settle_examination(document.id, FILES, GOOD, now=at(2))
    assert {c.recipient for c in claim(ledger, at(2))} == {RECEIVER, OTHER}


def test_recipients_added_after_it_was_done_are_not_held(ledger: Ledger) -> None:
    document = held(ledger)
    ledger.settle_examination(document.id, FILES, GOOD, now=at(1))
    ledger.accept(replace(document, received_at=at(2)), [a_delivery(OTHER)])
    assert {c.recipient for c in claim(ledger, at(2))} == {RECEIVER, OTHER}


# Refused


def test_a_refusal_reaches_no_receiver_and_tells_the_sender(ledger: Ledger) -> None:
    mailbox = a_delivery(OTHER, channel=Channel.MAILBOX)
    document = held(ledger, deliveries=[a_delivery(), mailbox])
    assert refuse(ledger, document)
    assert states(ledger, document) == [(DeliveryState.REFUSED, True)] * 2
    assert {d.status for d in ledger.deliveries(document.id)} == {StatusCode.REFUSED}
    assert {d.error_code for d in ledger.deliveries(document.id)} == {"malware.found"}
    told = ledger.inbox(SENDER).rows
    assert len(told) == 2
    assert not ledger.may_see(document.id, OTHER)
    assert ledger.may_see(document.id, SENDER)
    assert claim(ledger, at(5)) == []
    assert actions(ledger).count(Action.DELIVERY_REJECTED) == 2
    (row,) = ledger.examinations(document.id)
    assert (row.state, row.reason, row.detail) == (ExaminationState.REFUSED, "malware.found", "a.pdf: Test.Signature")
    assert all("a.pdf" not in str(e.data) for e in ledger.events())


def test_what_was_refused_goes_to_no_further_recipients(ledger: Ledger) -> None:
    document = held(ledger)
    refuse(ledger, document)
    with pytest.raises(DocumentKeptBack) as refused:
        ledger.accept(replace(document, received_at=at(2)), [a_delivery(OTHER)])
    assert refused.value.code == "document.kept_back"
    assert len(ledger.deliveries(document.id)) == 1
    # The same again for those that were asked for is a repetition like any.
    assert isinstance(ledger.accept(replace(document, received_at=at(2)), [a_delivery()]), Duplicate)


def test_no_replay_sends_what_was_refused(ledger: Ledger) -> None:
    document, other = held(ledger), a_document()
    ledger.accept(other, [a_delivery()])
    ledger.settle(claim_one(ledger), Abandoned(code="c", detail=""), now=NOON)
    refuse(ledger, document)
    (delivery,) = ledger.deliveries(document.id)
    with pytest.raises(TransitionForbidden):
        ledger.replay([delivery.id], reason="gửi lại", actor="operator", now=at(2))
    (replayed,) = ledger.replay(Filter(recipient=RECEIVER), reason="gửi lại", actor="operator", now=at(2))
    assert replayed != delivery.id
    assert claim_one(ledger, at(2)).document_id == other.id


def test_a_refusal_without_an_answer_for_each_copy_changes_nothing(ledger: Ledger) -> None:
    document = held(ledger)
    with pytest.raises(OperationOutpaced):
        ledger.settle_examination(document.id, FILES, BAD, now=at(1))
    assert states(ledger, document) == [(DeliveryState.WAITING, True)]
    assert ledger.examinations(document.id)[0].state is ExaminationState.PENDING


def test_a_second_refusal_finds_nothing_to_refuse(ledger: Ledger) -> None:
    document = held(ledger, FILES, MALWARE)
    assert refuse(ledger, document, MALWARE)
    assert ledger.settle_examination(document.id, FILES, BAD, now=at(2))
    assert len(ledger.inbox(SENDER).rows) == 1
    assert claim(ledger, at(3)) == []


def test_what_does_not_hold_cannot_refuse_and_what_holds_is_not_given_up(ledger: Ledger) -> None:
    loose, kept = a_document(), held(ledger)
    ledger.accept(loose, [a_delivery()], examinations=[NewExamination(kind=FILES, due_at=NOON)])
    with pytest.raises(ValueError, match="may have left"):
        ledger.settle_examination(loose.id, FILES, BAD, now=at(1))
    failed = Examined(state=ExaminationState.FAILED, reason="payload.missing")
    with pytest.raises(ValueError, match="postponed"):
        ledger.settle_examination(kept.id, FILES, failed, now=at(1))
    assert ledger.settle_examination(loose.id, FILES, failed, now=at(1))


# Released by an operator


def test_an_operator_lets_go_what_waits(ledger: Ledger) -> None:
    document = held(ledger)
    assert ledger.release_examination(document.id, FILES, reason="gấp", actor="thu", now=at(1)) == []
    assert claim_one(ledger, at(1)).document_id == document.id
    assert ledger.examinations(document.id)[0].state is ExaminationState.RELEASED
    assert not ledger.settle_examination(document.id, FILES, GOOD, now=at(2))
    released = next(e for e in ledger.events() if e.action is Action.DOCUMENT_RELEASED)
    assert (released.actor, released.data["was"], released.data["reason"]) == ("thu", "pending", "gấp")


def test_an_operator_lets_go_what_was_refused(ledger: Ledger) -> None:
    document = held(ledger)
    refuse(ledger, document)
    (delivery,) = ledger.deliveries(document.id)
    done = ledger.release_examination(document.id, FILES, reason="báo nhầm", actor="thu", now=at(2))
    assert done == [delivery.id]
    claimed = claim_one(ledger, at(2))
    assert claimed.delivery_id == delivery.id
    ledger.settle(claimed, Delivered(), now=at(2))
    assert states(ledger, document) == [(DeliveryState.DELIVERED, False)]
    ledger.accept(replace(document, received_at=at(3)), [a_delivery(OTHER)])
    assert claim_one(ledger, at(3)).recipient == OTHER


def test_what_two_examinations_refuse_is_released_from_both(ledger: Ledger) -> None:
    document = held(ledger, FILES, MALWARE)
    refuse(ledger, document, MALWARE)
    ledger.settle_examination(document.id, FILES, replace(BAD, reason="file.signature_required"), now=at(1))
    assert ledger.release_examination(document.id, FILES, reason="r", actor="thu", now=at(2)) == []
    assert claim(ledger, at(2)) == []
    assert len(ledger.release_examination(document.id, MALWARE, reason="r", actor="thu", now=at(3))) == 1
    assert claim_one(ledger, at(3)).document_id == document.id


def test_a_release_while_another_examination_is_pending_waits_for_it(ledger: Ledger) -> None:
    document = held(ledger, FILES, MALWARE)
    refuse(ledger, document, MALWARE)
    ledger.release_examination(document.id, MALWARE, reason="r", actor="thu", now=at(2))
    assert states(ledger, document) == [(DeliveryState.WAITING, True)]
    ledger.settle_examination(document.id, FILES, GOOD, now=at(3))
    assert claim_one(ledger, at(3)).trying_since == at(3)


def test_only_what_is_kept_is_released_and_with_a_reason(ledger: Ledger) -> None:
    document = held(ledger)
    with pytest.raises(ReasonRequired):
        ledger.release_examination(document.id, FILES, reason=" ", actor="thu", now=at(1))
    with pytest.raises(NotFound):
        ledger.release_examination(document.id, MALWARE, reason="r", actor="thu", now=at(1))
    with pytest.raises(NotFound):
        ledger.release_examination("unknown", MALWARE, reason="r", actor="thu", now=at(1))
    ledger.settle_examination(document.id, FILES, GOOD, now=at(1))
    with pytest.raises(TransitionForbidden):
        ledger.release_examination(document.id, FILES, reason="r", actor="thu", now=at(2))


# Meeting what else holds back or takes back


@pytest.mark.parametrize("first", ["examined", "left"])
def test_a_held_update_waits_for_its_examination_and_for_its_document(ledger: Ledger, first: str) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    update = an_operation(document, BusinessType.UPDATE, received_at=at(1))
    ledger.accept(update, [a_delivery()], operation=asked(document, BusinessType.UPDATE), examinations=holding())
    leaves = claim_one(ledger, at(2))
    if first == "left":
        ledger.settle(leaves, Delivered(), now=at(2))
    else:
        ledger.settle_examination(update.id, FILES, GOOD, now=at(2))
    assert states(ledger, update) == [(DeliveryState.WAITING, True)]
    if first == "left":
        ledger.settle_examination(update.id, FILES, GOOD, now=at(3))
    else:
        ledger.settle(leaves, Delivered(), now=at(3))
    then = claim_one(ledger, at(3))
    assert (then.document_id, then.trying_since) == (update.id, at(3))


def test_an_operation_waits_while_its_document_is_held(ledger: Ledger) -> None:
    document = held(ledger)
    recall = an_operation(document)
    ledger.accept(recall, [a_delivery()], operation=asked(document))
    assert claim(ledger) == []
    ledger.settle_examination(document.id, FILES, GOOD, now=at(1))
    got = claim_one(ledger, at(1))
    assert got.document_id == document.id
    ledger.settle(got, Delivered(), now=at(1))
    assert claim_one(ledger, at(1)).document_id == recall.id


def test_a_recall_takes_a_held_document_back_for_good(ledger: Ledger) -> None:
    document = held(ledger)
    recall = an_operation(document)
    reply = a_reply(document, StatusCode.AGREED)
    operation = asked(document, take_back=True, replies={Finding.UNCOLLECTED: reply})
    ledger.accept(recall, [a_delivery()], operation=operation)
    assert states(ledger, document) == [(DeliveryState.WITHDRAWN, False)]
    # The examination ends later, whichever way, and moves nothing.
    assert ledger.settle_examination(document.id, FILES, BAD, now=at(1))
    assert states(ledger, document) == [(DeliveryState.WITHDRAWN, False)]
    assert [c.document_id for c in claim(ledger, at(2))] == []
    assert [row.document.id for row in ledger.inbox(SENDER).rows] == [reply.document.id]


def test_an_operator_withdraws_a_held_document(ledger: Ledger) -> None:
    document = held(ledger)
    (delivery,) = ledger.deliveries(document.id)
    ledger.withdraw([delivery.id], reason="gửi nhầm", actor="thu", now=at(1))
    ledger.settle_examination(document.id, FILES, GOOD, now=at(2))
    assert states(ledger, document) == [(DeliveryState.WITHDRAWN, False)]
    assert claim(ledger, at(3)) == []


def test_a_refused_update_is_declined_and_leaves_the_copy_as_it_was(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    ledger.settle(claim_one(ledger), Delivered(), now=NOON)
    update = an_operation(document, BusinessType.UPDATE, identity=document.identity, alias=None, received_at=at(1))
    ledger.accept(update, [a_delivery()], operation=asked(document, BusinessType.UPDATE), examinations=holding())
    (own,) = ledger.deliveries(update.id)
    (copy,) = ledger.deliveries(document.id)
    assert copy.recall is RecallState.REQUESTED
    reply = a_reply(document, StatusCode.DISAGREED)
    ledger.settle_examination(update.id, FILES, BAD, now=at(2), replies={own.id: reply})
    (copy,) = ledger.deliveries(document.id)
    assert (copy.state, copy.recall, copy.status) == (DeliveryState.DELIVERED, RecallState.NONE, None)
    assert states(ledger, update) == [(DeliveryState.REFUSED, True)]
    assert [row.document.id for row in ledger.inbox(SENDER).rows] == [reply.document.id]


def test_a_refused_document_lets_its_followers_go(ledger: Ledger) -> None:
    document = held(ledger)
    update = an_operation(document, BusinessType.UPDATE, received_at=at(1))
    ledger.accept(update, [a_delivery()], operation=asked(document, BusinessType.UPDATE))
    assert refuse(ledger, document, minute=2)
    assert claim_one(ledger, at(2)).document_id == update.id


# Who carries them out


def test_what_holds_is_claimed_first_then_the_longest_due(ledger: Ledger) -> None:
    documents = []
    for minute, holds in ((2, False), (1, False), (3, True)):
        document = a_document()
        one = NewExamination(kind=FILES, holds=holds, due_at=at(minute))
        ledger.accept(document, [a_delivery()], examinations=[one])
        documents.append(document.id)
    assert ledger.claim_examinations([MALWARE], now=at(9), lease=LEASE, limit=9) == []
    first = ledger.claim_examinations([FILES], now=at(9), lease=LEASE, limit=2)
    assert [c.document for c in first] == [documents[2], documents[1]]
    assert [(c.holds, c.attempt) for c in first] == [(True, 1), (False, 1)]
    (last,) = ledger.claim_examinations([FILES], now=at(9), lease=LEASE, limit=9)
    assert last.document == documents[0]


def test_who_sends_many_at_once_does_not_keep_others_waiting(ledger: Ledger) -> None:
    def due(minute: float, sender: AgencyCode, *, holds: bool = False) -> str:
        document = a_document(sender=sender, sender_as_written=sender)
        one = NewExamination(kind=FILES, holds=holds, due_at=at(minute))
        ledger.accept(document, [a_delivery()], examinations=[one])
        return document.id

    many = [due(minute, SENDER) for minute in (1, 2, 3)]
    other = due(4, OTHER)
    urgent = due(5, SENDER, holds=True)

    def claimed(*served: AgencyCode) -> list[str]:
        return [c.document for c in ledger.claim_examinations([FILES], now=at(9), lease=LEASE, limit=1, served=served)]

    # What holds a document comes first all the same.
    assert claimed(SENDER) == [urgent]
    assert claimed() == [many[0]]
    assert claimed(SENDER) == [other]
    assert claimed(SENDER, OTHER) == [many[1]]
    assert claimed(SENDER) == [many[2]]
    assert claimed(SENDER) == []


def test_who_comes_after_more_than_is_looked_through_has_his_turn_too(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examinations, "_WINDOW", 2)
    senders = [SENDER, SENDER, SENDER, OTHER]
    queue = [a_document(sender=sender, sender_as_written=sender) for sender in senders]
    for minute, document in enumerate(queue):
        one = NewExamination(kind=FILES, due_at=at(minute))
        ledger.accept(document, [a_delivery()], examinations=[one])
    claims = ledger.claim_examinations([FILES], now=at(9), lease=LEASE, limit=3, served=[SENDER])
    assert [c.document for c in claims] == [queue[3].id, queue[0].id, queue[1].id]


def test_a_lost_lease_is_claimed_again_and_its_holder_settles_nothing(ledger: Ledger) -> None:
    document = held(ledger)
    (lost,) = ledger.claim_examinations([FILES], now=NOON, lease=LEASE, limit=1)
    assert ledger.claim_examinations([FILES], now=NOON + LEASE - timedelta(seconds=1), lease=LEASE, limit=1) == []
    (again,) = ledger.claim_examinations([FILES], now=NOON + LEASE, lease=LEASE, limit=1)
    assert again.attempt == 2
    with pytest.raises(LeaseLost):
        ledger.settle_examination(document.id, FILES, GOOD, now=at(6), token=lost.token)
    assert not ledger.postpone_examination(lost, reason="r", due_at=at(20), now=at(6))
    assert ledger.settle_examination(document.id, FILES, GOOD, now=at(6), token=again.token)


def test_what_is_postponed_says_why_and_falls_due_again(ledger: Ledger) -> None:
    document = held(ledger, MALWARE)
    (got,) = ledger.claim_examinations([MALWARE], now=NOON, lease=LEASE, limit=1)
    reason = "malware.scanner_unreachable"
    assert ledger.postpone_examination(got, reason=reason, due_at=at(2), now=at(1))
    assert ledger.examinations(document.id)[0].reason == reason
    assert ledger.claim_examinations([MALWARE], now=at(1), lease=LEASE, limit=1) == []
    assert len(ledger.claim_examinations([MALWARE], now=at(2), lease=LEASE, limit=1)) == 1
    (count,) = ledger.examination_counts()
    assert (count.kind, count.holds, count.count, count.oldest) == (MALWARE, True, 1, NOON)
    assert [row.document for row in ledger.open_examinations(MALWARE)] == [document.id]
    assert ledger.open_examinations(MALWARE, after=document.id) == []


def test_claims_at_once_share_nothing(ledger: Ledger) -> None:
    for _ in range(12):
        held(ledger)
    with ThreadPoolExecutor(6) as pool:
        rounds = pool.map(lambda _: ledger.claim_examinations([FILES], now=NOON, lease=LEASE, limit=4), range(6))
    claimed = [c.document for claims in rounds for c in claims]
    # Who looked at the same ones as another has got none of those; they are somebody's, and the rest is still there.
    rest = ledger.claim_examinations([FILES], now=NOON, lease=LEASE, limit=12)
    claimed += [c.document for c in rest]
    assert len(claimed) == len(set(claimed)) == 12


def test_repeats_that_add_recipients_while_it_ends_lose_and_leak_nothing(ledger: Ledger) -> None:
    document = held(ledger)
    others = [a_delivery(f"H37.9{n}") for n in range(8)]

    def add(delivery: NewDelivery) -> None:
        ledger.accept(replace(document, received_at=at(1)), [delivery])

    with ThreadPoolExecutor(9) as pool:
        done = [pool.submit(add, delivery) for delivery in others]
        done.append(pool.submit(ledger.settle_examination, document.id, FILES, GOOD, now=at(1)))
        for future in done:
            future.result()
    assert states(ledger, document) == [(DeliveryState.WAITING, False)] * 9
    assert len(claim(ledger, at(1), limit=20)) == 9


def test_a_copy_that_leaves_while_an_update_of_it_is_refused_waits_in_no_circle(ledger: Ledger) -> None:
    for _ in range(8):
        document = a_document()
        ledger.accept(document, [a_delivery()])
        leaves = claim_one(ledger)
        update = an_operation(document, BusinessType.UPDATE, identity=document.identity, alias=None, received_at=at(1))
        ledger.accept(update, [a_delivery()], operation=asked(document, BusinessType.UPDATE), examinations=holding())
        (own,) = ledger.deliveries(update.id)
        replies: dict[str, Reply | None] = {own.id: a_reply(document, StatusCode.DISAGREED)}
        together = threading.Barrier(2)

        def leave(claimed: Claim = leaves, together: threading.Barrier = together) -> None:
            together.wait(10)
            ledger.settle(claimed, Forwarded(receipt="{}"), now=at(2))

        with ThreadPoolExecutor(1) as pool:
            left = pool.submit(leave)
            together.wait(10)
            assert ledger.settle_examination(update.id, FILES, BAD, now=at(2), replies=replies)
            left.result()
        assert states(ledger, document) == [(DeliveryState.FORWARDED, False)]
        assert states(ledger, update) == [(DeliveryState.REFUSED, True)]
