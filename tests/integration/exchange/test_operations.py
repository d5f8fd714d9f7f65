"""Recalls, updates and replacements: what they concern, who may ask, who answers, and what becomes of each copy."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from gateway.errors import LeaseLost, NotFound, OperationNotAllowed
from gateway.exchange import mailbox, operations
from gateway.exchange.accept import Answer
from gateway.ledger.actions import Action
from gateway.ledger.records import Claim, Failed, Forwarded, LogRow, OperationState, StatusEffect
from gateway.model import (
    Agency,
    AgencyCode,
    Business,
    BusinessType,
    Channel,
    DeliveryState,
    DocumentChange,
    DocumentId,
    DocumentNumber,
    Endpoint,
    Level,
    PackageKind,
    RecallState,
    ReceiverChange,
    Replacement,
    StatusCode,
    StatusReport,
)
from tests.support import documents
from tests.support.exchange import ABOVE, COMMUNE, DEPARTMENT, MAILBOX, OTHER_PROVINCE, PROVINCE, PUSHED, Site

OTHER = AgencyCode("H37.31")
D = DocumentId("000.00.14.H37,2026/03/05,07/SA-VP")
N = DocumentId("000.00.14.H37,2026/03/06,08/SA-VP")
LEASE = timedelta(minutes=5)


@pytest.fixture
def site(site: Site) -> Site:
    """With a second commune."""
    site.known[OTHER] = Agency(code=OTHER, name="UBND xã Thử", level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX)
    return site


def sent(site: Site, *recipients: AgencyCode, caller: AgencyCode = DEPARTMENT, **changes: Any) -> Answer:
    site.clock.forward(minutes=1)
    raw = documents.a_package(recipients=tuple(documents.an_organization(r) for r in recipients), **changes)
    return site.accept(raw, caller=caller)


def recall(site: Site, *recipients: AgencyCode, **changes: Any) -> Answer:
    business = changes.pop("business", Business(type=BusinessType.REVOKE, reason="Gửi nhầm"))
    return sent(site, *recipients, business=business, **changes)


def update(site: Site, *recipients: AgencyCode, **changes: Any) -> Answer:
    business = Business(type=BusinessType.UPDATE, reason="Sửa số liệu", changes=(DocumentChange(content=True),))
    return sent(site, *recipients, **({"business": business, "subject": "Bản cập nhật"} | changes))


def replaces(site: Site, *recipients: AgencyCode, by: tuple[Replacement, ...], **changes: Any) -> Answer:
    return sent(
        site,
        *recipients,
        **(
            {
                "document_id": N,
                "number": DocumentNumber(number="08", notation="SA-VP"),
                "issued_on": date(2026, 3, 6),
                "business": Business(type=BusinessType.REPLACE, reason="Thay thế", replacements=by),
            }
            | changes
        ),
    )


def asks_back(site: Site, receiver: AgencyCode, *, caller: AgencyCode = DEPARTMENT, **changes: Any) -> Answer:
    """A status 13 in edXML."""
    site.clock.forward(minutes=1)
    asked = replace(documents.a_status().responses[0], code=receiver)
    report = StatusReport(code=StatusCode.RECALL_ASKED, description="Gửi nhầm", reported_at=site.clock())
    raw = documents.a_status_package(
        StatusCode.RECALL_ASKED,
        **({"sender": documents.an_organization(caller), "responses": (asked,), "status": report} | changes),
    )
    return site.accept(raw, caller=caller)


def answers(
    site: Site, code: StatusCode, receiver: AgencyCode = COMMUNE, *, asker: str = DEPARTMENT, **names: Any
) -> Answer:
    """15, 16 or another status by a receiver, naming the document unless told otherwise."""
    site.clock.forward(minutes=1)
    about = replace(documents.a_status().responses[0], code=AgencyCode(asker), **names)
    words = "Đã vào sổ, đang xử lý" if code.needs_reason else None
    report = StatusReport(code=code, description=words, reported_at=site.clock())
    raw = documents.a_status_package(
        code, sender=documents.an_organization(receiver), responses=(about,), status=report
    )
    caller = next(a.code for a in site.known.values() if receiver in a.codes)
    return site.accept(raw, caller=caller)


def copy(site: Site, answer: Answer, recipient: AgencyCode = COMMUNE) -> Any:
    return next(d for d in site.ledger.deliveries(answer.document_id) if d.recipient == recipient)


def requests(site: Site, answer: Answer) -> list[tuple[AgencyCode, OperationState]]:
    return [(r.recipient, r.state) for r in site.ledger.operations_on(answer.document_id)]


def told(site: Site, owner: AgencyCode = DEPARTMENT) -> list[StatusCode]:
    """The statuses that wait in a mailbox, but for the automatic 01."""
    rows = [r for r in box(site, owner) if r.document.kind is PackageKind.STATUS]
    reports = site.ledger.reports([r.document.id for r in rows])
    return sorted(r.code for r in reports.values() if r.code is not StatusCode.ARRIVED)


def box(site: Site, owner: AgencyCode) -> list[LogRow]:
    return list(mailbox.peek(site.parts, caller=site.known[owner], limit=50, after=None).rows)


def try_push(site: Site) -> Claim:
    """What a worker does until the endpoint answers."""
    [claim] = site.ledger.claim(worker="w", now=site.clock(), lease=LEASE, limit=1)
    return claim


# What nobody has collected


def test_a_recall_of_what_nobody_collected_takes_it_back_at_once(site: Site) -> None:
    answer = sent(site, COMMUNE)
    asked = recall(site, COMMUNE)
    taken = copy(site, answer)
    assert (taken.state, taken.recall) == (DeliveryState.WITHDRAWN, RecallState.WITHDRAWN)
    assert box(site, COMMUNE) == []
    assert copy(site, asked).state is DeliveryState.WITHDRAWN


def test_the_gateway_answers_15_for_what_it_took_back_itself(site: Site) -> None:
    answer = sent(site, COMMUNE)
    asked = recall(site, COMMUNE)
    assert told(site) == [StatusCode.AGREED]
    [row] = site.ledger.operations_on(asked.document_id)
    assert (row.document, row.state, row.answered_by) == (answer.document_id, OperationState.AGREED, PROVINCE)


def test_a_recalled_document_posted_again_is_a_repetition_and_goes_to_nobody(site: Site) -> None:
    sent(site, COMMUNE)
    recall(site, COMMUNE)
    assert sent(site, COMMUNE).duplicate
    assert box(site, COMMUNE) == []


def test_status_13_takes_back_what_nobody_collected_as_a_recall_does(site: Site) -> None:
    answer = sent(site, COMMUNE)
    asked = asks_back(site, COMMUNE)
    assert copy(site, answer).recall is RecallState.WITHDRAWN
    assert (box(site, COMMUNE), told(site)) == ([], [StatusCode.AGREED])
    assert requests(site, asked) == [(COMMUNE, OperationState.AGREED)]


def test_a_recall_takes_back_the_copies_that_it_names_and_no_others(site: Site) -> None:
    answer = sent(site, COMMUNE, OTHER)
    recall(site, COMMUNE)
    states = [copy(site, answer, r).state for r in (COMMUNE, OTHER)]
    assert states == [DeliveryState.WITHDRAWN, DeliveryState.WAITING]


def test_a_recall_takes_back_the_update_that_waits_behind_the_document(site: Site) -> None:
    sent(site, COMMUNE)
    changed = update(site, COMMUNE)
    recall(site, COMMUNE)
    assert copy(site, changed).state is DeliveryState.WITHDRAWN
    assert requests(site, changed) == [(COMMUNE, OperationState.LAPSED)]
    assert box(site, COMMUNE) == []


def test_a_replacement_goes_on_when_what_it_replaces_is_taken_back(site: Site) -> None:
    sent(site, COMMUNE)
    replaces(site, COMMUNE, by=(Replacement(document_id=D),))
    recall(site, COMMUNE)
    assert [r.document.document_id for r in box(site, COMMUNE)] == [N]


def test_without_the_policy_a_recall_follows_its_document_and_waits_for_the_answer(site: Site) -> None:
    site.rule(withdraw_uncollected=False)
    answer = sent(site, COMMUNE)
    asked = recall(site, COMMUNE)
    assert [r.document.id for r in box(site, COMMUNE)] == [answer.document_id]
    assert copy(site, answer).recall is RecallState.REQUESTED
    site.collect(COMMUNE)
    assert [r.document.id for r in box(site, COMMUNE)] == [asked.document_id]


def test_a_document_being_collected_is_not_taken_back_under_its_receivers_hands(site: Site) -> None:
    answer = sent(site, COMMUNE)
    lock = mailbox.lock(site.parts, copy(site, answer).id, caller=site.known[COMMUNE], lease=LEASE)
    recall(site, COMMUNE)
    mailbox.acknowledge(site.parts, copy(site, answer).id, lock.token, caller=site.known[COMMUNE])
    got = copy(site, answer)
    assert (got.state, got.recall) == (DeliveryState.DELIVERED, RecallState.REQUESTED)


def test_a_lock_that_has_ended_does_not_save_a_document_from_its_recall(site: Site) -> None:
    answer = sent(site, COMMUNE)
    mailbox.lock(site.parts, copy(site, answer).id, caller=site.known[COMMUNE], lease=LEASE)
    site.clock.forward(minutes=6)
    recall(site, COMMUNE)
    assert copy(site, answer).state is DeliveryState.WITHDRAWN


def test_what_was_handed_out_is_asked_back_however_long_ago_its_lock_has_ended(site: Site) -> None:
    answer = sent(site, COMMUNE)
    mailbox.hand_out(site.parts, copy(site, answer).id, caller=site.known[COMMUNE])
    site.clock.forward(days=3)
    recall(site, COMMUNE)
    got = copy(site, answer)
    assert (got.state, got.recall) == (DeliveryState.WAITING, RecallState.REQUESTED)


def test_what_was_fetched_over_a_protocol_is_asked_back_after_its_lease_too(site: Site) -> None:
    answer = sent(site, COMMUNE)
    mailbox.package(site.parts, copy(site, answer).id, [site.known[COMMUNE]]).reader.close()
    site.clock.forward(minutes=6)
    recall(site, COMMUNE)
    assert copy(site, answer).recall is RecallState.REQUESTED


def test_what_was_taken_back_a_moment_ago_is_not_handed_out(site: Site) -> None:
    answer = sent(site, COMMUNE)
    recall(site, COMMUNE)
    with pytest.raises(NotFound):
        site.parts.ledger.hand_out(copy(site, answer).id, COMMUNE, now=site.clock())


def test_what_was_pushed_in_vain_may_have_arrived_and_waits_for_its_receivers_answer(site: Site) -> None:
    answer = sent(site, PUSHED)
    claim = try_push(site)
    retry = Failed(code="delivery.peer_unreachable", detail="", retry_at=site.clock() + LEASE)
    site.ledger.settle(claim, retry, now=site.clock())
    asked = recall(site, PUSHED)
    got = copy(site, answer, PUSHED)
    assert (got.state, got.recall) == (DeliveryState.WAITING, RecallState.REQUESTED)
    assert copy(site, asked, PUSHED).blocked


def test_who_has_reported_on_a_copy_has_it_and_is_asked(site: Site) -> None:
    answer = sent(site, COMMUNE)
    answers(site, StatusCode.REGISTERED)
    recall(site, COMMUNE)
    assert copy(site, answer).recall is RecallState.REQUESTED
    assert told(site) == [StatusCode.REGISTERED]


@pytest.mark.parametrize("turn", range(8))
def test_a_recall_and_an_acknowledgement_at_once_agree_on_who_was_first(site: Site, turn: int) -> None:
    answer = sent(site, COMMUNE)
    receiver = site.known[COMMUNE]
    lock = mailbox.lock(site.parts, copy(site, answer).id, caller=receiver, lease=LEASE)
    site.clock.forward(minutes=6)
    both = threading.Barrier(2)

    def acknowledge() -> bool:
        both.wait()
        try:
            mailbox.acknowledge(site.parts, lock.delivery_id, lock.token, caller=receiver)
        except (LeaseLost, NotFound):
            return False
        return True

    def ask() -> None:
        both.wait()
        recall(site, COMMUNE, subject=f"Lần {turn}")

    with ThreadPoolExecutor(2) as pool:
        acknowledged, asked = pool.submit(acknowledge), pool.submit(ask)
        asked.result()
    got = copy(site, answer)
    if acknowledged.result():
        assert (got.state, got.recall) == (DeliveryState.DELIVERED, RecallState.REQUESTED)
    else:
        assert (got.state, got.recall) == (DeliveryState.WITHDRAWN, RecallState.WITHDRAWN)


@pytest.mark.parametrize("asks", [recall, update])
def test_an_operation_that_an_operator_takes_back_waits_for_nobody(site: Site, asks: Any) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    asked = asks(site, COMMUNE)
    operations.withdraw(site.parts, [copy(site, asked).id], reason="Gửi nhầm", actor="operator")
    assert requests(site, asked) == [(COMMUNE, OperationState.LAPSED)]
    assert (copy(site, answer).state, copy(site, answer).recall) == (DeliveryState.DELIVERED, RecallState.NONE)


@pytest.mark.parametrize("turn", range(8))
def test_an_operator_and_a_sender_at_once_do_not_wait_for_each_other(site: Site, turn: int) -> None:
    site.rule(withdraw_uncollected=False)
    answer = sent(site, COMMUNE)
    asked = copy(site, recall(site, COMMUNE)).id
    both = threading.Barrier(2)

    def take_back() -> None:
        both.wait()
        operations.withdraw(site.parts, [asked], reason="Gửi nhầm", actor="operator")

    def ask() -> None:
        both.wait()
        recall(site, COMMUNE, subject=f"Lần {turn}")

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(take_back), pool.submit(ask)]:
            done.result()
    assert copy(site, answer).recall is RecallState.REQUESTED


# What was collected


def test_a_recall_after_collection_asks_its_receiver(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    asked = recall(site, COMMUNE)
    assert copy(site, answer).recall is RecallState.REQUESTED
    assert [r.document.id for r in box(site, COMMUNE)] == [asked.document_id]
    assert told(site) == []


def test_15_on_a_recall_withdraws_the_copy(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    asked = recall(site, COMMUNE)
    answers(site, StatusCode.AGREED)
    got = copy(site, answer)
    assert (got.state, got.recall) == (DeliveryState.WITHDRAWN, RecallState.WITHDRAWN)
    [row] = site.ledger.operations_on(asked.document_id)
    assert (row.state, row.answered_by) == (OperationState.AGREED, COMMUNE)


def test_15_on_status_13_withdraws_the_copy(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    asks_back(site, COMMUNE)
    assert copy(site, answer).recall is RecallState.REQUESTED
    answers(site, StatusCode.AGREED)
    assert copy(site, answer).state is DeliveryState.WITHDRAWN


def test_what_was_taken_back_after_collection_is_still_its_receivers_to_see(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    recall(site, COMMUNE)
    answers(site, StatusCode.AGREED)
    assert site.ledger.may_see(answer.document_id, COMMUNE)


def test_nothing_comes_after_a_copy_was_taken_back(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    recall(site, COMMUNE)
    answers(site, StatusCode.AGREED)
    answers(site, StatusCode.REGISTERED)
    got = copy(site, answer)
    assert (got.state, got.status) == (DeliveryState.WITHDRAWN, StatusCode.ARRIVED)


def test_a_recall_after_06_is_refused_with_16_and_asked_again(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    answers(site, StatusCode.DONE)
    recall(site, COMMUNE)
    answers(site, StatusCode.DISAGREED)
    declined = copy(site, answer)
    assert (declined.recall, declined.status) == (RecallState.NONE, StatusCode.DONE)
    recall(site, COMMUNE, subject="Đề nghị lần hai")
    assert copy(site, answer).recall is RecallState.REQUESTED
    answers(site, StatusCode.AGREED)
    assert copy(site, answer).state is DeliveryState.WITHDRAWN
    assert requests(site, answer) == [(COMMUNE, OperationState.DECLINED), (COMMUNE, OperationState.AGREED)]


def test_06_and_then_a_late_03_leave_a_waiting_recall_as_it_is(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    recall(site, COMMUNE)
    answers(site, StatusCode.DONE)
    answers(site, StatusCode.REGISTERED)
    got = copy(site, answer)
    assert (got.status, got.recall) == (StatusCode.DONE, RecallState.REQUESTED)


def test_an_answer_that_nothing_was_asked_for_is_history(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    answers(site, StatusCode.AGREED)
    trace = site.ledger.trace(answer.document_id)
    assert trace is not None
    assert trace.statuses[-1].effect is StatusEffect.RECORDED
    assert copy(site, answer).state is DeliveryState.DELIVERED


def test_02_ends_a_recall_that_waits(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    asked = recall(site, COMMUNE)
    answers(site, StatusCode.REFUSED)
    got = copy(site, answer)
    assert (got.state, got.recall) == (DeliveryState.REFUSED, RecallState.NONE)
    assert requests(site, asked) == [(COMMUNE, OperationState.LAPSED)]


def refuses(site: Site, delivery: str, receiver: AgencyCode = COMMUNE) -> None:
    """Locks and refuses in the mailbox."""
    lock = mailbox.lock(site.parts, delivery, caller=site.known[receiver], lease=LEASE)
    mailbox.refuse(site.parts, delivery, lock.token, reason="Đã vào sổ", caller=site.known[receiver])


@pytest.mark.parametrize("asks", [recall, update, asks_back])
def test_what_refuses_an_operation_in_the_mailbox_is_its_answer_and_not_the_copys(site: Site, asks: Any) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    asked = asks(site, COMMUNE)
    refuses(site, copy(site, asked).id)
    got = copy(site, answer)
    assert (got.state, got.recall) == (DeliveryState.DELIVERED, RecallState.NONE)
    assert (requests(site, asked), told(site)) == ([(COMMUNE, OperationState.DECLINED)], [StatusCode.DISAGREED])


def test_an_operation_that_was_answered_and_is_then_refused_in_the_mailbox_changes_nothing(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    asked = recall(site, COMMUNE)
    answers(site, StatusCode.DISAGREED)
    refuses(site, copy(site, asked).id)
    assert copy(site, answer).state is DeliveryState.DELIVERED
    assert told(site) == [StatusCode.DISAGREED]


def test_who_refuses_a_replacement_declines_it(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    new = replaces(site, COMMUNE, by=(Replacement(document_id=D),))
    refuses(site, copy(site, new).id)
    assert requests(site, new) == [(COMMUNE, OperationState.DECLINED)]
    assert (copy(site, answer).state, copy(site, answer).recall) == (DeliveryState.DELIVERED, RecallState.NONE)
    assert told(site) == [StatusCode.REFUSED]


def test_each_answer_answers_the_operation_that_has_waited_longest(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    update(site, COMMUNE)
    recall(site, COMMUNE)
    answers(site, StatusCode.AGREED)
    got = copy(site, answer)
    assert (got.state, got.recall) == (DeliveryState.DELIVERED, RecallState.REQUESTED)
    answers(site, StatusCode.AGREED)
    assert copy(site, answer).state is DeliveryState.WITHDRAWN


def test_a_recall_goes_on_to_the_gateway_that_has_the_document(site: Site) -> None:
    answer = sent(site, OTHER_PROVINCE)
    site.ledger.settle(try_push(site), Forwarded(receipt="{}"), now=site.clock())
    asked = recall(site, OTHER_PROVINCE)
    assert try_push(site).document_id == asked.document_id
    assert copy(site, answer, OTHER_PROVINCE).recall is RecallState.REQUESTED


def test_15_from_beyond_the_next_gateway_withdraws_the_copy(site: Site) -> None:
    answer = sent(site, OTHER_PROVINCE)
    site.ledger.settle(try_push(site), Forwarded(receipt="{}"), now=site.clock())
    recall(site, OTHER_PROVINCE)
    site.accept(documents.a_status_package(StatusCode.AGREED), caller=ABOVE)
    assert copy(site, answer, OTHER_PROVINCE).state is DeliveryState.WITHDRAWN


# Updates and replacements


def test_15_on_an_update_leaves_the_main_state(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    answers(site, StatusCode.REGISTERED)
    update(site, COMMUNE)
    answers(site, StatusCode.AGREED)
    got = copy(site, answer)
    assert (got.state, got.status, got.recall) == (
        DeliveryState.DELIVERED,
        StatusCode.REGISTERED,
        RecallState.AGREED,
    )


def test_an_update_never_overtakes_its_document(site: Site) -> None:
    sent(site, COMMUNE)
    changed = update(site, COMMUNE)
    assert copy(site, changed).blocked
    assert copy(site, changed).state is not DeliveryState.WITHDRAWN


def test_a_receiver_added_by_an_update_gets_it_as_a_document_of_its_own(site: Site) -> None:
    answer = sent(site, COMMUNE)
    changes = (DocumentChange(receivers=True, receiver_changes=(ReceiverChange(code=OTHER, added=True),)),)
    business = Business(type=BusinessType.UPDATE, reason="Thêm nơi nhận", changes=changes)
    changed = update(site, COMMUNE, OTHER, business=business)
    assert requests(site, changed) == [(COMMUNE, OperationState.REQUESTED)]
    assert requests(site, answer) == [(COMMUNE, OperationState.REQUESTED)]
    assert (len(box(site, OTHER)), told(site)) == (1, [])


def test_what_an_update_brought_to_an_added_receiver_can_be_recalled(site: Site) -> None:
    sent(site, COMMUNE)
    changed = update(site, COMMUNE, OTHER)
    recall(site, OTHER)
    assert copy(site, changed, OTHER).state is DeliveryState.WITHDRAWN


def test_an_update_of_what_was_recalled_arrives_as_a_document(site: Site) -> None:
    sent(site, COMMUNE)
    recall(site, COMMUNE)
    changed = update(site, COMMUNE)
    assert [r.document.id for r in box(site, COMMUNE)] == [changed.document_id]
    assert requests(site, changed) == []


def test_an_update_that_came_after_a_recall_is_recalled_itself(site: Site) -> None:
    sent(site, COMMUNE)
    recall(site, COMMUNE)
    changed = update(site, COMMUNE)
    site.collect(COMMUNE)
    asked = recall(site, COMMUNE, subject="Lần hai")
    [row] = site.ledger.operations_on(asked.document_id)
    assert (row.document, row.state) == (changed.document_id, OperationState.REQUESTED)


def test_statuses_after_a_recall_are_of_the_update_that_came_then(site: Site) -> None:
    sent(site, COMMUNE)
    recall(site, COMMUNE)
    changed = update(site, COMMUNE)
    site.collect(COMMUNE)
    answers(site, StatusCode.REGISTERED)
    assert copy(site, changed).status is StatusCode.REGISTERED


def test_statuses_after_a_refusal_are_of_the_update_that_came_then(site: Site) -> None:
    sent(site, COMMUNE)
    site.collect(COMMUNE)
    answers(site, StatusCode.REFUSED)
    changed = update(site, COMMUNE)
    site.collect(COMMUNE)
    answers(site, StatusCode.REGISTERED)
    assert copy(site, changed).status is StatusCode.REGISTERED


def test_an_update_that_only_changed_a_copy_does_not_outlive_it(site: Site) -> None:
    sent(site, COMMUNE)
    site.collect(COMMUNE)
    changed = update(site, COMMUNE)
    site.collect(COMMUNE)
    answers(site, StatusCode.AGREED)
    recall(site, COMMUNE)
    answers(site, StatusCode.AGREED)
    answers(site, StatusCode.REGISTERED)
    again = recall(site, COMMUNE, subject="Lần hai")
    assert requests(site, again) == [(COMMUNE, OperationState.AGREED)]
    assert copy(site, changed).status is None


def test_statuses_of_an_added_receiver_are_never_of_the_recall(site: Site) -> None:
    sent(site, COMMUNE)
    changed = update(site, COMMUNE, OTHER)
    site.collect(OTHER)
    asked = recall(site, OTHER)
    answers(site, StatusCode.REFUSED, receiver=OTHER)
    assert copy(site, changed, OTHER).state is DeliveryState.REFUSED
    assert requests(site, asked) == [(OTHER, OperationState.LAPSED)]


def test_15_on_a_replacement_is_an_answer_by_its_own_id(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    new = replaces(site, COMMUNE, by=(Replacement(document_id=D),))
    site.collect(COMMUNE)
    answers(site, StatusCode.AGREED, document_id=N, number="08/SA-VP", issued_on=date(2026, 3, 6))
    assert copy(site, answer).recall is RecallState.AGREED
    assert copy(site, answer).state is DeliveryState.DELIVERED
    assert requests(site, new) == [(COMMUNE, OperationState.AGREED)]


def test_15_on_a_replacement_is_an_answer_by_the_old_id(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    replaces(site, COMMUNE, by=(Replacement(document_id=D),))
    answers(site, StatusCode.AGREED)
    assert copy(site, answer).recall is RecallState.AGREED


def test_a_replacement_concerns_only_the_receivers_in_its_list(site: Site) -> None:
    answer = sent(site, COMMUNE, OTHER)
    new = replaces(site, COMMUNE, OTHER, by=(Replacement(document_id=D, recipients=(OTHER,)),))
    assert requests(site, new) == [(OTHER, OperationState.REQUESTED)]
    assert copy(site, answer).recall is RecallState.NONE


def test_a_replacement_without_a_list_of_receivers_concerns_all(site: Site) -> None:
    sent(site, COMMUNE, OTHER)
    new = replaces(site, COMMUNE, OTHER, by=(Replacement(document_id=D),))
    assert requests(site, new) == [(COMMUNE, OperationState.REQUESTED), (OTHER, OperationState.REQUESTED)]


def test_one_replacement_may_take_the_place_of_several_documents(site: Site) -> None:
    sent(site, COMMUNE)
    third = DocumentId("000.00.14.H37,2026/03/05,06/SA-VP")
    sent(site, COMMUNE, document_id=third, number=DocumentNumber(number="06", notation="SA-VP"))
    new = replaces(site, COMMUNE, by=(Replacement(document_id=D), Replacement(document_id=third)))
    assert requests(site, new) == [(COMMUNE, OperationState.REQUESTED)] * 2


def test_a_replacement_names_its_receivers_under_any_of_their_codes(site: Site) -> None:
    site.change(OTHER, aliases=(AgencyCode("000.31.00.H37"),))
    sent(site, OTHER)
    new = replaces(site, OTHER, by=(Replacement(document_id=D, recipients=(AgencyCode("000.31.00.H37"),)),))
    assert requests(site, new) == [(OTHER, OperationState.REQUESTED)]


# What is meant


def test_a_recall_may_name_its_document_within_bussiness(site: Site) -> None:
    answer = sent(site, COMMUNE)
    business = Business(type=BusinessType.REVOKE, reason="Gửi nhầm", document_id=D)
    own = DocumentId("000.00.14.H37,2026/03/07,09/TH")
    asked = recall(site, COMMUNE, business=business, document_id=own, number=DocumentNumber(number="09", notation="TH"))
    assert site.ledger.operations_on(asked.document_id)[0].document == answer.document_id


def test_a_recall_with_a_foreign_id_in_bussiness_is_found_by_the_header(site: Site) -> None:
    answer = sent(site, COMMUNE)
    foreign = DocumentId("000.00.00.G22,2015/09/30,7816/VPCP-TTĐT")
    recall(site, COMMUNE, business=Business(type=BusinessType.REVOKE, reason="Gửi nhầm", document_id=foreign))
    assert copy(site, answer).state is DeliveryState.WITHDRAWN


def test_an_update_goes_by_the_header_before_bussiness(site: Site) -> None:
    third = DocumentId("000.00.14.H37,2026/03/05,06/SA-VP")
    sent(site, COMMUNE, document_id=third, number=DocumentNumber(number="06", notation="SA-VP"))
    answer = sent(site, COMMUNE)
    business = Business(type=BusinessType.UPDATE, reason="Sửa", document_id=third)
    changed = update(site, COMMUNE, business=business)
    assert [r.document for r in site.ledger.operations_on(changed.document_id)] == [answer.document_id]


def test_number_notation_and_date_find_what_no_id_finds(site: Site) -> None:
    answer = sent(site, COMMUNE)
    recall(site, COMMUNE, document_id=DocumentId("không-có"))
    assert copy(site, answer).state is DeliveryState.WITHDRAWN


def test_a_number_that_two_documents_have_recalls_neither(site: Site) -> None:
    one, two = (sent(site, COMMUNE, document_id=DocumentId(name)) for name in ("A-2026-07", "B-2026-07"))
    asked = recall(site, COMMUNE, document_id=DocumentId("C-2026-07"))
    assert requests(site, asked) == [(COMMUNE, OperationState.ORPHAN)]
    assert [copy(site, answer).state for answer in (one, two)] == [DeliveryState.WAITING] * 2
    assert told(site) == [StatusCode.DISAGREED]


def test_of_two_documents_with_one_number_the_one_named_is_recalled(site: Site) -> None:
    one, two = (sent(site, COMMUNE, document_id=DocumentId(name)) for name in ("A-2026-07", "B-2026-07"))
    recall(site, COMMUNE, document_id=DocumentId("B-2026-07"))
    assert [copy(site, answer).state for answer in (one, two)] == [DeliveryState.WAITING, DeliveryState.WITHDRAWN]


def test_a_document_sent_under_one_code_is_recalled_under_the_other(site: Site) -> None:
    """TT10 in the document, QĐ20 in its recall: ids and senders are written differently, and are the same."""
    answer = sent(site, COMMUNE)
    recall(
        site,
        COMMUNE,
        sender=documents.an_organization("H37.14"),
        document_id=DocumentId("H37.14,2026/03/05,07/SA-VP"),
        number=DocumentNumber(number="09", notation="TH"),
    )
    assert copy(site, answer).state is DeliveryState.WITHDRAWN


def test_codes_of_both_generations_are_mixed_in_one_conversation(site: Site) -> None:
    """Each side names the other, and the document, by whichever of its codes it likes."""
    tt10, qd20 = AgencyCode("000.31.00.H37"), OTHER
    site.change(OTHER, aliases=(tt10,))
    under_the_other = DocumentId("H37.14,2026/03/05,07/SA-VP")
    answer = sent(site, tt10)
    site.collect(OTHER)
    answers(site, StatusCode.REGISTERED, receiver=tt10, asker="H37.14", document_id=under_the_other)
    answers(site, StatusCode.DONE, receiver=qd20, document_id=under_the_other, number=None, issued_on=None)
    assert copy(site, answer, OTHER).status is StatusCode.DONE
    recall(
        site,
        qd20,
        sender=documents.an_organization("H37.14"),
        document_id=under_the_other,
    )
    assert copy(site, answer, OTHER).recall is RecallState.REQUESTED
    answers(site, StatusCode.AGREED, receiver=tt10, asker="H37.14")
    assert copy(site, answer, OTHER).state is DeliveryState.WITHDRAWN


def test_a_number_with_a_year_and_a_slash_is_kept_whole(site: Site) -> None:
    number = DocumentNumber(number="12", notation="2024/QĐ-UBND")
    name = DocumentId("000.00.14.H37,2026/03/05,12/2024/QĐ-UBND")
    answer = sent(site, COMMUNE, document_id=name, number=number)
    recall(site, COMMUNE, document_id=None, number=number)
    assert copy(site, answer).state is DeliveryState.WITHDRAWN


def test_a_recipient_twice_under_both_codes_is_asked_once(site: Site) -> None:
    site.change(OTHER, aliases=(AgencyCode("000.31.00.H37"),))
    sent(site, OTHER, AgencyCode("000.31.00.H37"))
    asked = recall(site, AgencyCode("000.31.00.H37"), OTHER)
    assert requests(site, asked) == [(OTHER, OperationState.AGREED)]
    assert told(site) == [StatusCode.AGREED]


# Who may ask


def test_another_agency_cannot_recall_a_document(site: Site) -> None:
    answer = sent(site, COMMUNE)
    with pytest.raises(OperationNotAllowed):
        recall(site, COMMUNE, caller=OTHER, sender=documents.an_organization(OTHER))
    assert copy(site, answer).state is DeliveryState.WAITING


def test_another_agency_cannot_ask_a_document_back_by_status_13(site: Site) -> None:
    answer = sent(site, COMMUNE)
    with pytest.raises(OperationNotAllowed):
        asks_back(site, COMMUNE, caller=OTHER)
    assert copy(site, answer).recall is RecallState.NONE


def test_a_registered_successor_recalls_what_its_predecessor_sent(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.change(DEPARTMENT, valid_to=date(2026, 1, 1), successors=(OTHER,), closed_reason="thử")
    recall(site, COMMUNE, caller=OTHER, sender=documents.an_organization(OTHER))
    assert copy(site, answer).state is DeliveryState.WITHDRAWN


def test_what_a_successor_does_stands_with_the_document(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.change(DEPARTMENT, valid_to=date(2026, 1, 1), successors=(OTHER,), closed_reason="thử")
    asked = recall(site, COMMUNE, caller=OTHER, sender=documents.an_organization(OTHER))
    trace = site.ledger.trace(answer.document_id)
    assert trace is not None
    assert [o.id for o in trace.operations] == [asked.document_id]


def test_a_successor_that_has_updated_a_document_recalls_the_document(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    site.change(DEPARTMENT, valid_to=date(2026, 1, 1), successors=(OTHER,), closed_reason="thử")
    update(site, COMMUNE, caller=OTHER, sender=documents.an_organization(OTHER))
    asked = recall(site, COMMUNE, caller=OTHER, sender=documents.an_organization(OTHER))
    [row] = site.ledger.operations_on(asked.document_id)
    assert (row.document, row.state) == (answer.document_id, OperationState.REQUESTED)


def test_statuses_to_a_successor_that_has_updated_a_document_are_of_the_document(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    site.change(DEPARTMENT, valid_to=date(2026, 1, 1), successors=(OTHER,), closed_reason="thử")
    update(site, COMMUNE, caller=OTHER, sender=documents.an_organization(OTHER))
    answers(site, StatusCode.REGISTERED, asker=OTHER)
    assert copy(site, answer).status is StatusCode.REGISTERED


def test_each_of_several_successors_recalls_what_their_predecessor_sent(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.change(DEPARTMENT, valid_to=date(2026, 1, 1), successors=(OTHER, PUSHED), closed_reason="thử")
    recall(site, COMMUNE, caller=OTHER, sender=documents.an_organization(OTHER))
    assert copy(site, answer).state is DeliveryState.WITHDRAWN


def test_a_recall_reaches_the_copy_that_the_receivers_predecessor_got(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    site.change(COMMUNE, valid_to=date(2026, 1, 1), successors=(OTHER,), closed_reason="thử")
    recall(site, COMMUNE)
    assert copy(site, answer).recall is RecallState.REQUESTED
    answers(site, StatusCode.AGREED, receiver=OTHER)
    assert copy(site, answer).state is DeliveryState.WITHDRAWN


@pytest.fixture
def merged(site: Site) -> Agency:
    """The commune that takes the places of both communes as soon as they are closed."""
    code = AgencyCode("H37.41")
    site.known[code] = replace(site.known[OTHER], code=code, name="UBND xã Mới")
    return site.known[code]


def close(site: Site, *codes: AgencyCode, heir: Agency) -> None:
    for code in codes:
        site.change(code, valid_to=date(2026, 1, 1), successors=(heir.code,), closed_reason="thử")


def test_a_recall_takes_back_the_copies_of_all_whose_places_one_has_taken(site: Site, merged: Agency) -> None:
    sent(site, COMMUNE, OTHER)
    close(site, COMMUNE, OTHER, heir=merged)
    asked = recall(site, COMMUNE, OTHER)
    assert requests(site, asked) == [(merged.code, OperationState.AGREED)] * 2
    assert (box(site, merged.code), told(site)) == ([], [StatusCode.AGREED] * 2)


def test_what_one_of_two_merged_receivers_had_collected_is_asked_for(site: Site, merged: Agency) -> None:
    answer = sent(site, COMMUNE, OTHER)
    site.collect(OTHER)
    close(site, COMMUNE, OTHER, heir=merged)
    asked = recall(site, COMMUNE, OTHER)
    assert [r.document.id for r in box(site, merged.code)] == [asked.document_id]
    assert copy(site, answer, COMMUNE).state is DeliveryState.WITHDRAWN
    assert copy(site, answer, OTHER).recall is RecallState.REQUESTED


@pytest.mark.parametrize("asks", [recall, update])
def test_one_answer_speaks_for_the_copies_of_all_whose_places_one_has_taken(
    site: Site, merged: Agency, asks: Any
) -> None:
    sent(site, COMMUNE, OTHER)
    site.collect(COMMUNE)
    site.collect(OTHER)
    close(site, COMMUNE, OTHER, heir=merged)
    asked = asks(site, COMMUNE, OTHER)
    answers(site, StatusCode.AGREED, receiver=merged.code)
    assert requests(site, asked) == [(merged.code, OperationState.AGREED)] * 2


@pytest.mark.parametrize("asks", [recall, asks_back])
def test_a_recall_at_a_closed_receiver_leaves_its_successors_own_copy(site: Site, asks: Any) -> None:
    answer = sent(site, COMMUNE, OTHER)
    close(site, COMMUNE, heir=site.known[OTHER])
    asks(site, COMMUNE)
    states = [copy(site, answer, r).state for r in (COMMUNE, OTHER)]
    assert states == [DeliveryState.WITHDRAWN, DeliveryState.WAITING]


def test_a_recall_at_a_successor_leaves_its_predecessors_copy(site: Site) -> None:
    answer = sent(site, COMMUNE, OTHER)
    close(site, COMMUNE, heir=site.known[OTHER])
    recall(site, OTHER)
    states = [copy(site, answer, r).state for r in (COMMUNE, OTHER)]
    assert states == [DeliveryState.WAITING, DeliveryState.WITHDRAWN]


def test_a_copy_that_stands_for_two_receivers_is_asked_for_once(site: Site, merged: Agency) -> None:
    close(site, COMMUNE, OTHER, heir=merged)
    sent(site, COMMUNE, OTHER)
    asked = recall(site, COMMUNE, OTHER)
    assert requests(site, asked) == [(merged.code, OperationState.AGREED)]


# What is not known


@pytest.mark.parametrize("kind", [BusinessType.REVOKE, BusinessType.UPDATE, BusinessType.REPLACE])
def test_an_orphan_is_kept_handed_on_and_answered_16(site: Site, kind: BusinessType) -> None:
    replaced = (Replacement(document_id=D),) if kind is BusinessType.REPLACE else ()
    asked = sent(site, COMMUNE, business=Business(type=kind, reason="Sửa", replacements=replaced))
    assert requests(site, asked) == [(COMMUNE, OperationState.ORPHAN)]
    assert [r.document.id for r in box(site, COMMUNE)] == [asked.document_id]
    assert told(site) == [StatusCode.DISAGREED]


def test_the_answer_to_an_orphan_says_why(site: Site) -> None:
    asked = recall(site, COMMUNE)
    [row] = site.ledger.operations_on(asked.document_id)
    assert row.reason
    assert row.answered_by == PROVINCE


def test_an_orphan_that_is_posted_again_is_answered_once(site: Site) -> None:
    recall(site, COMMUNE)
    assert recall(site, COMMUNE).duplicate
    assert told(site) == [StatusCode.DISAGREED]


def test_an_orphan_is_written_down_as_one(site: Site) -> None:
    recall(site, COMMUNE)
    assert Action.OPERATION_ORPHANED in [e.action for e in site.ledger.events()]


def test_status_13_on_an_unknown_document_is_answered_16(site: Site) -> None:
    asked = asks_back(site, COMMUNE)
    assert requests(site, asked) == [(COMMUNE, OperationState.ORPHAN)]
    assert told(site) == [StatusCode.DISAGREED]


def test_a_document_that_comes_after_its_orphaned_recall_is_delivered(site: Site) -> None:
    """The sender was told 16: it knows that the recall had no effect, and asks again if it still wants it."""
    recall(site, COMMUNE)
    answer = sent(site, COMMUNE)
    assert copy(site, answer).recall is RecallState.NONE
    assert answer.document_id in [r.document.id for r in box(site, COMMUNE)]


def test_an_orphan_asked_again_after_its_document_came_takes_effect(site: Site) -> None:
    recall(site, COMMUNE)
    answer = sent(site, COMMUNE)
    recall(site, COMMUNE, subject="Đề nghị lần hai")
    assert copy(site, answer).state is DeliveryState.WITHDRAWN


def test_a_receiver_that_knows_an_orphans_document_may_still_answer(site: Site) -> None:
    asked = recall(site, COMMUNE)
    answers(site, StatusCode.AGREED)
    [row] = site.ledger.operations_on(asked.document_id)
    assert (row.state, row.answered_by) == (OperationState.AGREED, COMMUNE)


def test_a_recall_at_one_who_was_never_sent_the_document_is_answered_16(site: Site) -> None:
    sent(site, COMMUNE)
    asked = recall(site, OTHER)
    assert requests(site, asked) == [(OTHER, OperationState.DECLINED)]
    assert told(site) == [StatusCode.DISAGREED]


def test_a_recall_of_what_was_refused_is_answered_16(site: Site) -> None:
    answer = sent(site, COMMUNE)
    site.collect(COMMUNE)
    answers(site, StatusCode.REFUSED)
    asked = recall(site, COMMUNE)
    assert requests(site, asked) == [(COMMUNE, OperationState.DECLINED)]
    assert copy(site, answer).recall is RecallState.NONE


def test_a_second_recall_of_what_was_taken_back_is_answered_15_again(site: Site) -> None:
    sent(site, COMMUNE)
    recall(site, COMMUNE)
    recall(site, COMMUNE, subject="Đề nghị lần hai")
    assert told(site) == [StatusCode.AGREED, StatusCode.AGREED]
    assert box(site, COMMUNE) == []


def test_what_the_gateway_before_has_answered_is_not_answered_again(site: Site) -> None:
    asked = sent(
        site,
        COMMUNE,
        caller=ABOVE,
        sender=documents.an_organization(OTHER_PROVINCE),
        business=Business(type=BusinessType.REVOKE, reason="Gửi nhầm"),
    )
    assert requests(site, asked) == [(COMMUNE, OperationState.ORPHAN)]
    assert site.ledger.operations_on(asked.document_id)[0].answered_by is None


def test_an_axis_that_does_not_answer_orphans_has_them_answered(site: Site) -> None:
    site.change(ABOVE, endpoint=Endpoint(channel=Channel.VXP, url="http://127.0.0.1:9", credential="above"))
    asked = sent(
        site,
        COMMUNE,
        caller=ABOVE,
        sender=documents.an_organization(OTHER_PROVINCE),
        business=Business(type=BusinessType.REVOKE, reason="Gửi nhầm"),
    )
    assert site.ledger.operations_on(asked.document_id)[0].answered_by == PROVINCE


def test_a_peer_that_hands_over_one_recipient_at_a_time_asks_each(site: Site) -> None:
    def hand_over(raw: bytes, recipient: AgencyCode) -> Answer:
        return site.accept(raw, caller=ABOVE, only=[recipient])

    organizations = tuple(documents.an_organization(r) for r in (COMMUNE, OTHER))
    sender = documents.an_organization(OTHER_PROVINCE)
    document = documents.a_package(sender=sender, recipients=organizations)
    business = Business(type=BusinessType.REVOKE, reason="Gửi nhầm")
    asked = documents.a_package(sender=sender, recipients=organizations, business=business)
    for raw in (document, asked):
        for recipient in (COMMUNE, OTHER):
            answer = hand_over(raw, recipient)
    assert requests(site, answer) == [(COMMUNE, OperationState.AGREED), (OTHER, OperationState.AGREED)]


# Statuses before what they are about


def test_15_before_the_document_is_kept_as_history(site: Site) -> None:
    answers(site, StatusCode.AGREED)
    answer = sent(site, COMMUNE)
    got = copy(site, answer)
    assert (got.state, got.recall) == (DeliveryState.WAITING, RecallState.NONE)


def test_16_needs_a_reason(site: Site) -> None:
    raw = documents.a_status_package(
        StatusCode.DISAGREED,
        sender=documents.an_organization(COMMUNE),
        status=StatusReport(code=StatusCode.DISAGREED, reported_at=site.clock()),
    )
    with pytest.raises(Exception, match="Description") as caught:
        site.accept(raw, caller=COMMUNE)
    assert getattr(caught.value, "code", "") == "package.invalid"
