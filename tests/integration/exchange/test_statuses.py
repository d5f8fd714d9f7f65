"""Reports when agencies have merged, codes have passed on, and things have happened since: what each is about."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from gateway.errors import NotCollected
from gateway.exchange import mailbox, statuses
from gateway.exchange.accept import Answer
from gateway.ledger.records import Forwarded, StatusEffect
from gateway.model import (
    Agency,
    AgencyCode,
    Business,
    BusinessType,
    DeliveryState,
    DocumentId,
    Level,
    PackageKind,
    StatusCode,
)
from tests.support import documents
from tests.support.exchange import ABOVE, COMMUNE, DEPARTMENT, MAILBOX, OTHER_PROVINCE, PROVINCE, PUSHED, Site

FIRST, SECOND = AgencyCode("H37.31"), AgencyCode("H37.32")
LEASE = timedelta(minutes=5)


def found(site: Site, code: AgencyCode, **changes: Any) -> Agency:
    """An agency of the province that the others do not have."""
    values: dict[str, Any] = {"name": f"Xã thử {code}", "level": Level.COMMUNE, "parent": PROVINCE, "endpoint": MAILBOX}
    site.known[code] = Agency(code=code, **(values | changes))
    return site.known[code]


def merge(site: Site, *codes: AgencyCode, into: AgencyCode, on: date = date(2026, 1, 1)) -> None:
    """Close agencies that have one successor."""
    for code in codes:
        site.change(code, valid_to=on, successors=(into,), closed_reason="thử")


def sent_to(site: Site, *recipients: AgencyCode, **changes: Any) -> Answer:
    raw = documents.a_package(recipients=tuple(documents.an_organization(r) for r in recipients), **changes)
    return site.accept(raw)


def reports(
    site: Site, reporter: str, *, code: StatusCode = StatusCode.DONE, caller: AgencyCode, **changes: Any
) -> None:
    """An agency's own status package, handed over by somebody who speaks for it."""
    raw = documents.a_status_package(code, sender=documents.an_organization(reporter), **changes)
    site.accept(raw, caller=caller)


def effects(site: Site, answer: Answer) -> list[StatusEffect]:
    trace = site.ledger.trace(answer.document_id)
    assert trace is not None
    return [s.effect for s in trace.statuses]


def copies(site: Site, answer: Answer) -> dict[AgencyCode, StatusCode | None]:
    return {d.recipient: d.status for d in site.ledger.deliveries(answer.document_id)}


# What is a repetition


def report(site: Site, answer: Answer, caller: AgencyCode, code: StatusCode, words: str | None = None) -> Answer:
    """In JSON."""
    site.clock.forward(minutes=1)
    return statuses.report_status(
        site.parts, caller=site.known[caller], document_id=answer.document_id, code=code, description=words
    )


def test_the_same_refusal_after_a_replay_is_a_new_one(site: Site) -> None:
    answer = sent_to(site, COMMUNE)
    report(site, answer, COMMUNE, StatusCode.REFUSED, "Sai thẩm quyền")
    [copy] = site.ledger.deliveries(answer.document_id)
    site.ledger.replay([copy.id], reason="đã sửa", actor="operator", now=site.clock.forward(minutes=1))
    again = report(site, answer, COMMUNE, StatusCode.REFUSED, "Sai thẩm quyền")
    assert not again.duplicate
    [copy] = site.ledger.deliveries(answer.document_id)
    assert (copy.state, copy.status) == (DeliveryState.REFUSED, StatusCode.REFUSED)
    assert report(site, answer, COMMUNE, StatusCode.REFUSED, "Sai thẩm quyền").duplicate


def test_a_document_asked_back_again_after_the_answer_is_asked_back_twice(site: Site) -> None:
    site.rule(withdraw_uncollected=False)
    answer = sent_to(site, COMMUNE)
    first = report(site, answer, DEPARTMENT, StatusCode.RECALL_ASKED, "Gửi nhầm")
    assert report(site, answer, DEPARTMENT, StatusCode.RECALL_ASKED, "Gửi nhầm").document_id == first.document_id
    report(site, answer, COMMUNE, StatusCode.DISAGREED, "Đã xử lý")
    again = report(site, answer, DEPARTMENT, StatusCode.RECALL_ASKED, "Gửi nhầm")
    assert not again.duplicate
    trace = site.ledger.trace(answer.document_id)
    assert trace is not None
    assert [s.code for s in trace.statuses] == ["13", "16", "13"]


# Before and after the document is collected

ARRIVED_OR_MORE = [code for code in StatusCode if code.rank is not None]


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("code", ARRIVED_OR_MORE)
def test_what_was_never_collected_is_not_reported_as_arrived_or_done(
    site: Site, code: StatusCode, locked: bool
) -> None:
    answer = sent_to(site, COMMUNE)
    [copy] = site.ledger.deliveries(answer.document_id)
    if locked:
        mailbox.lock(site.parts, copy.id, caller=site.known[COMMUNE], lease=LEASE)
    with pytest.raises(NotCollected) as refusal:
        report(site, answer, COMMUNE, code)
    assert copy.id in refusal.value.detail
    assert copies(site, answer) == {COMMUNE: None}
    assert effects(site, answer) == []


@pytest.mark.parametrize("code", ARRIVED_OR_MORE)
def test_what_was_collected_is_reported_on(site: Site, code: StatusCode) -> None:
    answer = sent_to(site, COMMUNE)
    site.collect(COMMUNE)
    report(site, answer, COMMUNE, code)
    assert copies(site, answer) == {COMMUNE: code}


def test_a_document_may_be_refused_before_it_is_collected(site: Site) -> None:
    answer = sent_to(site, COMMUNE)
    report(site, answer, COMMUNE, StatusCode.REFUSED, "Sai thẩm quyền")
    [copy] = site.ledger.deliveries(answer.document_id)
    assert (copy.state, copy.status) == (DeliveryState.REFUSED, StatusCode.REFUSED)


@pytest.mark.parametrize(("recipient", "caller"), [(PUSHED, PUSHED), (OTHER_PROVINCE, ABOVE)])
def test_what_others_took_is_reported_on_though_their_answer_is_not_here_yet(
    site: Site, recipient: AgencyCode, caller: AgencyCode
) -> None:
    """The receiver of a push, or the next gateway, may have it before its answer has come."""
    answer = sent_to(site, recipient)
    report(site, answer, caller, StatusCode.ARRIVED)
    report(site, answer, caller, StatusCode.DONE)
    assert copies(site, answer) == {recipient: StatusCode.DONE}


def test_an_agencys_own_package_on_what_it_did_not_collect_is_taken(site: Site) -> None:
    answer = sent_to(site, COMMUNE)
    reports(site, COMMUNE, code=StatusCode.REGISTERED, caller=COMMUNE)
    assert copies(site, answer) == {COMMUNE: StatusCode.REGISTERED}


@pytest.mark.parametrize("at_a_time_of_its_own", [False, True])
def test_an_arrival_that_the_gateway_has_reported_is_not_reported_again(site: Site, at_a_time_of_its_own: bool) -> None:
    answer = sent_to(site, COMMUNE)
    site.collect(COMMUNE)
    report(site, answer, COMMUNE, StatusCode.REGISTERED)
    again = statuses.report_status(
        site.parts,
        caller=site.known[COMMUNE],
        document_id=answer.document_id,
        code=StatusCode.ARRIVED,
        description="Đã đến",
        reported_at=site.clock.forward(minutes=1) if at_a_time_of_its_own else None,
    )
    trace = site.ledger.trace(answer.document_id)
    assert trace is not None
    assert [s.code for s in trace.statuses] == [StatusCode.ARRIVED, StatusCode.REGISTERED]
    assert (again.duplicate, again.document_id) == (True, trace.statuses[0].package)


# Whose copy


def test_a_second_predecessors_report_is_about_the_copy_that_both_share(site: Site) -> None:
    found(site, FIRST)
    found(site, SECOND)
    merge(site, FIRST, SECOND, into=COMMUNE)
    answer = sent_to(site, FIRST, SECOND)
    reports(site, SECOND, caller=COMMUNE)
    assert copies(site, answer) == {COMMUNE: StatusCode.DONE}


def test_a_successor_reports_under_its_own_code_on_what_its_predecessor_received(site: Site) -> None:
    found(site, FIRST)
    answer = sent_to(site, FIRST)
    merge(site, FIRST, into=COMMUNE)
    reports(site, COMMUNE, caller=COMMUNE)
    assert copies(site, answer) == {FIRST: StatusCode.DONE}


def test_a_predecessor_and_its_successor_have_a_copy_each(site: Site) -> None:
    found(site, FIRST)
    answer = sent_to(site, FIRST, COMMUNE)
    merge(site, FIRST, into=COMMUNE)
    reports(site, COMMUNE, caller=COMMUNE)
    assert copies(site, answer) == {FIRST: None, COMMUNE: StatusCode.DONE}
    reports(site, FIRST, caller=COMMUNE, code=StatusCode.REGISTERED)
    assert copies(site, answer) == {FIRST: StatusCode.REGISTERED, COMMUNE: StatusCode.DONE}


@pytest.mark.parametrize("named", [COMMUNE, FIRST])
def test_a_superior_cannot_report_on_a_successors_copy_in_the_name_of_the_closed_agency(
    named: AgencyCode, site: Site
) -> None:
    """The province speaks for its closed commune, but not for the one that took its place; redirected copies too."""
    found(site, FIRST, endpoint=None)
    merge(site, FIRST, into=COMMUNE)
    answer = sent_to(site, named)
    reports(site, FIRST, caller=PROVINCE, code=StatusCode.REFUSED)
    assert copies(site, answer) == {COMMUNE: None}
    assert effects(site, answer) == [StatusEffect.UNMATCHED]


def test_the_second_of_two_merged_agencies_is_asked_for_the_copy_that_both_share(site: Site) -> None:
    site.rule(withdraw_uncollected=False)
    found(site, FIRST)
    found(site, SECOND)
    merge(site, FIRST, SECOND, into=COMMUNE)
    answer = sent_to(site, FIRST, SECOND)
    asked = replace(documents.a_status().responses[0], code=SECOND)
    reports(site, DEPARTMENT, code=StatusCode.RECALL_ASKED, caller=DEPARTMENT, responses=(asked,))
    assert effects(site, answer) == [StatusEffect.RECORDED]


def test_a_report_by_the_successor_that_only_the_gateway_above_knows_is_about_the_copy_it_went_to(site: Site) -> None:
    answer = sent_to(site, OTHER_PROVINCE)
    [taken] = site.ledger.claim(worker="w", now=site.clock(), lease=LEASE, limit=5)
    receipt = json.dumps({"recipients": ["000.00.00.H63"]})
    site.ledger.settle(taken, Forwarded(receipt=receipt), now=site.clock())
    reports(site, "000.00.00.H63", caller=ABOVE)
    assert copies(site, answer) == {OTHER_PROVINCE: StatusCode.DONE}


def test_the_second_predecessor_may_be_named_in_json(site: Site) -> None:
    found(site, FIRST)
    found(site, SECOND)
    merge(site, FIRST, SECOND, into=COMMUNE)
    answer = sent_to(site, FIRST, SECOND, PUSHED)
    for agency in (FIRST, SECOND, COMMUNE):
        site.clock.forward(minutes=1)
        statuses.report_status(
            site.parts,
            caller=site.known[COMMUNE],
            document_id=answer.document_id,
            code=StatusCode.DISAGREED,
            description=f"Thử {agency}",
            agency=agency,
        )
    assert effects(site, answer) == [StatusEffect.RECORDED] * 3


def test_an_agency_is_named_in_json_before_those_whose_place_it_took(site: Site) -> None:
    found(site, FIRST)
    answer = sent_to(site, FIRST, COMMUNE)
    site.collect(COMMUNE)
    merge(site, FIRST, into=COMMUNE)
    statuses.report_status(
        site.parts,
        caller=site.known[COMMUNE],
        document_id=answer.document_id,
        code=StatusCode.DONE,
        description=None,
        agency=COMMUNE,
    )
    assert copies(site, answer) == {FIRST: None, COMMUNE: StatusCode.DONE}


# Of which document


def pass_on(site: Site) -> Answer:
    """A document of the department under its short code, which passes to another department afterwards."""
    short = AgencyCode("H37.14")
    raw = documents.a_package(sender=documents.an_organization(short))
    answer = site.accept(raw)
    today = date(2026, 3, 6)
    site.change(DEPARTMENT, valid_to=today, successors=(PUSHED,), closed_reason="thử")
    site.change(PUSHED, aliases=(short,), valid_from=today)
    site.clock.forward(days=2)
    return answer


def test_a_report_under_a_code_that_was_passed_on_finds_the_document_of_its_former_holder(site: Site) -> None:
    answer = pass_on(site)
    asker = replace(documents.a_status().responses[0], code=AgencyCode("H37.14"))
    reports(site, OTHER_PROVINCE, caller=ABOVE, responses=(asker,))
    assert copies(site, answer)[OTHER_PROVINCE] is StatusCode.DONE
    assert site.ledger.counts().parked_statuses == 0


def test_a_report_to_the_successor_finds_the_document_of_its_predecessor(site: Site) -> None:
    answer = sent_to(site, COMMUNE)
    merge(site, DEPARTMENT, into=PUSHED)
    asker = replace(documents.a_status().responses[0], code=PUSHED)
    reports(site, COMMUNE, caller=COMMUNE, responses=(asker,))
    assert copies(site, answer) == {COMMUNE: StatusCode.DONE}


def test_a_successor_asks_back_what_its_predecessor_sent(site: Site) -> None:
    site.rule(withdraw_uncollected=False)
    answer = sent_to(site, COMMUNE)
    merge(site, DEPARTMENT, into=PUSHED)
    asked = replace(documents.a_status().responses[0], code=COMMUNE)
    reports(site, PUSHED, caller=PUSHED, code=StatusCode.RECALL_ASKED, responses=(asked,))
    assert effects(site, answer) == [StatusEffect.RECORDED]


def test_the_gateways_own_report_is_about_the_document_that_it_delivered(site: Site) -> None:
    """Though the code that the document's sender wrote means another agency by now."""
    answer = pass_on(site)
    [row] = mailbox.peek(site.parts, caller=site.known[COMMUNE], limit=50, after=None).rows
    lock = mailbox.lock(site.parts, row.delivery.id, caller=site.known[COMMUNE], lease=LEASE)
    mailbox.acknowledge(site.parts, row.delivery.id, lock.token, caller=site.known[COMMUNE])
    assert copies(site, answer)[COMMUNE] is StatusCode.ARRIVED
    assert site.ledger.counts().parked_statuses == 0


def lose_code(site: Site, code: AgencyCode, *, to: AgencyCode) -> None:
    """A code passes to another agency, which does not take the place of its holder."""
    [holder] = [a for a in site.known.values() if code in a.aliases]
    site.change(holder.code, aliases=())
    site.change(to, aliases=(code,))


def test_a_receiver_whose_code_means_another_by_now_reports_under_its_own(site: Site) -> None:
    code = AgencyCode("H37.14")
    raw = documents.a_package(sender=documents.an_organization(COMMUNE), recipients=(documents.an_organization(code),))
    answer = site.accept(raw, caller=COMMUNE)
    lose_code(site, code, to=PUSHED)
    site.collect(DEPARTMENT)
    report(site, answer, DEPARTMENT, StatusCode.DONE)
    assert copies(site, answer) == {DEPARTMENT: StatusCode.DONE}
    told = mailbox.peek(site.parts, caller=site.known[COMMUNE], limit=50, after=None).rows
    assert {r.document.sender_as_written for r in told} == {DEPARTMENT}


def test_a_sender_whose_code_means_another_by_now_is_told_under_its_own(site: Site) -> None:
    code = AgencyCode("H37.14")
    raw = documents.a_package(sender=documents.an_organization(code), recipients=(documents.an_organization(COMMUNE),))
    answer = site.accept(raw)
    lose_code(site, code, to=PUSHED)
    site.collect(COMMUNE)
    report(site, answer, COMMUNE, StatusCode.DONE)
    told = mailbox.peek(site.parts, caller=site.known[DEPARTMENT], limit=50, after=None).rows
    assert [r.document.kind for r in told] == [PackageKind.STATUS] * 2
    assert copies(site, answer) == {COMMUNE: StatusCode.DONE}


# Whose


def test_a_report_on_one_of_two_documents_with_the_same_number_is_about_the_one_it_names(site: Site) -> None:
    one = sent_to(site, COMMUNE, document_id=DocumentId("AAA"))
    two = sent_to(site, COMMUNE, document_id=DocumentId("BBB"))
    caller = site.known[COMMUNE]
    waiting = {r.document.id: r.delivery.id for r in mailbox.peek(site.parts, caller=caller, limit=9, after=None).rows}
    lock = mailbox.lock(site.parts, waiting[two.document_id], caller=caller, lease=LEASE)
    mailbox.refuse(site.parts, lock.delivery_id, lock.token, reason="Trùng số", caller=caller)
    assert (copies(site, one), copies(site, two)) == ({COMMUNE: None}, {COMMUNE: StatusCode.REFUSED})
    left = mailbox.peek(site.parts, caller=caller, limit=9, after=None).rows
    assert [r.document.id for r in left] == [one.document_id]


def test_a_superior_cannot_ask_back_in_a_closed_agencys_name_what_its_successor_sent(site: Site) -> None:
    found(site, FIRST, endpoint=None)
    merge(site, FIRST, into=COMMUNE)
    raw = documents.a_package(
        sender=documents.an_organization(COMMUNE), recipients=(documents.an_organization(PUSHED),)
    )
    answer = site.accept(raw, caller=COMMUNE)
    asked = replace(documents.a_status().responses[0], code=PUSHED)
    reports(site, FIRST, code=StatusCode.RECALL_ASKED, caller=PROVINCE, responses=(asked,))
    assert effects(site, answer) == []


def test_a_copy_redirected_before_a_second_merger_is_still_the_first_ones(site: Site) -> None:
    found(site, FIRST)
    found(site, SECOND)
    merge(site, FIRST, into=SECOND)
    answer = sent_to(site, FIRST)
    merge(site, SECOND, into=COMMUNE, on=date(2026, 2, 1))
    reports(site, FIRST, caller=COMMUNE)
    assert effects(site, answer) == [StatusEffect.ADVANCED]


def test_a_successor_reports_on_the_document_before_its_update(site: Site) -> None:
    found(site, FIRST)
    first = sent_to(site, FIRST)
    merge(site, FIRST, into=COMMUNE)
    update = sent_to(site, FIRST, business=Business(type=BusinessType.UPDATE, reason="Sửa nội dung"))
    reports(site, COMMUNE, caller=COMMUNE)
    assert (effects(site, first), effects(site, update)) == ([StatusEffect.ADVANCED], [])
