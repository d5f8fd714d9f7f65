"""The mailbox over the protocols of the country: no locks, several agencies, what is not done is listed again."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.delivery.retry import POLICIES
from gateway.edxml import SignatureForm
from gateway.errors import LeaseLost, NotFound, RequestError, TransitionForbidden
from gateway.exchange import mailbox
from gateway.exchange.accept import Answer
from gateway.ledger import Action, Ledger
from gateway.ledger.records import LogRow, Page, Settled
from gateway.model import (
    Agency,
    AgencyCode,
    Business,
    BusinessType,
    DeliveryState,
    DocumentId,
    DocumentNumber,
    Lane,
    OtherInfo,
    PackageKind,
    RecallState,
    StatusCode,
)
from tests.support import documents
from tests.support.exchange import ABOVE, COMMUNE, DEPARTMENT, OTHER_PROVINCE, PROVINCE, PUSHED, Site, a_site

LEASE = timedelta(minutes=5)
FIRST_WAIT = POLICIES[Lane.NORMAL].first_wait


@pytest.fixture
def unsigned(ledger: Ledger, tmp_path: Path) -> Iterator[Site]:
    """A gateway that forwards packages without a signature as they came."""
    with a_site(ledger, tmp_path, complete_unsigned=False) as joined:
        yield joined


def sent_to(site: Site, *recipients: AgencyCode, number: int = 7, **changes: object) -> Answer:
    """A document of the department with a number of its own."""
    envelope = {
        "recipients": tuple(documents.an_organization(r) for r in recipients),
        "document_id": DocumentId(f"000.00.14.H37,2026/03/05,{number:02}/SA-VP"),
        "number": DocumentNumber(number=f"{number:02}", notation="SA-VP"),
    } | changes
    return site.accept(documents.a_package(**envelope))


def agencies_of(site: Site, *codes: AgencyCode) -> list[Agency]:
    return [site.known[code] for code in codes]


def page(site: Site, *codes: AgencyCode, **asked: object) -> Page[LogRow]:
    options = {"kind": None, "since": None, "until": None, "limit": 100, "after": None} | asked
    return mailbox.listed(site.parts, agencies_of(site, *codes), **options)  # type: ignore[arg-type] # a test's words


def box(site: Site, *codes: AgencyCode, **asked: object) -> list[LogRow]:
    return list(page(site, *codes, **asked).rows)


def numbers(rows: list[LogRow]) -> list[str | None]:
    return [row.document.number for row in rows]


def settle(site: Site, row: LogRow, outcome: str, *codes: AgencyCode, **said: object) -> Settled:
    options = {"gateway": False, "reason": None} | said
    owners = agencies_of(site, *(codes or (COMMUNE,)))
    return mailbox.settle(site.parts, row.delivery.id, owners, outcome, **options)  # type: ignore[arg-type] # as above


def sent(site: Site, *codes: AgencyCode, **asked: object) -> Page[LogRow]:
    options = {"since": None, "until": None, "document_id": None, "limit": 100, "after": None} | asked
    return mailbox.sent(site.parts, agencies_of(site, *codes), **options)  # type: ignore[arg-type] # as above


# done


def test_a_document_that_is_done_is_listed_no_more_and_its_sender_gets_status_01(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    assert settle(site, row, "done").state is DeliveryState.DELIVERED
    assert box(site, COMMUNE) == []
    [report] = box(site, DEPARTMENT, kind=PackageKind.STATUS)
    assert report.document.sender == COMMUNE


def test_done_said_again_answers_the_same_and_reports_nothing(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    first = settle(site, row, "done")
    site.clock.forward(minutes=1)
    again = settle(site, row, "done")
    assert (again.repeated, again.state, again.at) == (True, first.state, first.at)
    assert len(box(site, DEPARTMENT)) == 1


def test_what_a_gateway_collects_is_forwarded_and_makes_no_01(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    assert settle(site, row, "done", gateway=True).state is DeliveryState.FORWARDED
    assert box(site, DEPARTMENT) == []


def test_done_of_a_gateway_said_again_answers_the_same(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    settle(site, row, "done", gateway=True)
    again = settle(site, row, "done", gateway=True)
    assert (again.repeated, again.state) == (True, DeliveryState.FORWARDED)


def test_a_status_that_is_done_is_not_reported_on(site: Site) -> None:
    sent_to(site, COMMUNE)
    settle(site, box(site, COMMUNE)[0], "done")
    settle(site, box(site, DEPARTMENT)[0], "done", DEPARTMENT)
    assert box(site, COMMUNE, DEPARTMENT) == []


def test_done_ends_a_document_under_processing(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    settle(site, row, "processing")
    assert settle(site, row, "done").state is DeliveryState.DELIVERED
    assert len(site.ledger.attempts(row.delivery.id)) == 1


def test_done_after_the_lease_of_processing_ended_still_counts(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    settle(site, row, "processing")
    site.clock.forward(hours=1)
    assert settle(site, row, "done").state is DeliveryState.DELIVERED
    assert [a.outcome for a in site.ledger.attempts(row.delivery.id)] == ["delivered"]


def test_done_wins_over_a_lock_that_another_client_of_the_agency_holds(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    lock = mailbox.lock(site.parts, row.delivery.id, caller=site.known[COMMUNE], lease=LEASE)
    settle(site, row, "done")
    other = mailbox.acknowledge(site.parts, row.delivery.id, lock.token, caller=site.known[COMMUNE])
    assert other.repeated
    assert len(box(site, DEPARTMENT)) == 1


def test_done_after_the_receiver_refused_it_by_a_status_changes_nothing(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    refusal = documents.a_status_package(StatusCode.REFUSED, sender=documents.an_organization(COMMUNE))
    site.accept(refusal, caller=COMMUNE)
    settled = settle(site, row, "done")
    assert (settled.repeated, settled.state) == (True, DeliveryState.REFUSED)


@pytest.mark.parametrize("gateway", [False, True])
def test_done_said_again_after_the_receiver_gave_it_back_changes_nothing(site: Site, gateway: bool) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    settle(site, row, "done", gateway=gateway)
    sent_to(site, COMMUNE, business=Business(type=BusinessType.REVOKE, reason="Gửi nhầm"))
    agreed = documents.a_status_package(StatusCode.AGREED, sender=documents.an_organization(COMMUNE))
    site.accept(agreed, caller=COMMUNE)
    settled = settle(site, row, "done", gateway=gateway)
    assert (settled.repeated, settled.state) == (True, DeliveryState.WITHDRAWN)


def test_done_said_by_several_at_once_makes_one_status_01(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    with ThreadPoolExecutor(4) as pool:
        settled = list(pool.map(lambda _: settle(site, row, "done"), range(4)))
    assert sorted(s.repeated for s in settled) == [False, True, True, True]
    assert len(box(site, DEPARTMENT)) == 1


# processing


def test_what_is_under_processing_stays_listed(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    assert settle(site, row, "processing").state is DeliveryState.LEASED
    assert [mailbox.transport_status(r.delivery) for r in box(site, COMMUNE)] == ["processing"]


def test_processing_said_again_lengthens_the_lease_and_is_the_same_try(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    settle(site, row, "processing")
    site.clock.forward(minutes=4)
    assert settle(site, row, "processing").repeated
    [still] = box(site, COMMUNE)
    assert (still.delivery.due_at, still.delivery.attempts) == (site.clock() + site.parts.rules.mailbox_lease, 1)


def test_what_is_under_processing_is_locked_against_other_clients(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    settle(site, row, "processing")
    with pytest.raises(LeaseLost):
        mailbox.acknowledge(site.parts, row.delivery.id, "guessed", caller=site.known[COMMUNE])


def test_processing_of_a_document_that_is_done_is_refused(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    settle(site, row, "done")
    with pytest.raises(TransitionForbidden):
        settle(site, row, "processing")


# fail


def test_a_document_that_failed_is_listed_again_after_the_delay_of_its_lane(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    assert settle(site, row, "fail", reason="Hết dung lượng").state is DeliveryState.WAITING
    assert box(site, COMMUNE) == []
    site.clock.now += FIRST_WAIT
    assert [mailbox.transport_status(r.delivery) for r in box(site, COMMUNE)] == ["fail"]


def test_a_failed_try_is_counted_with_its_reason(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    settle(site, row, "fail", reason="Hết dung lượng")
    [tried] = site.ledger.attempts(row.delivery.id)
    assert (tried.outcome, tried.code, tried.detail) == ("failed", "mailbox.failed", "Hết dung lượng")


def test_a_failed_try_is_an_event_that_says_when_the_next_may_be(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    settle(site, row, "fail")
    [failed] = [e for e in site.ledger.events() if e.action is Action.DELIVERY_ATTEMPT_FAILED]
    assert failed.data == {
        "code": "mailbox.failed",
        "attempt": 1,
        "retry_at": (site.clock() + FIRST_WAIT).isoformat(),
    }


def test_fail_said_again_within_the_delay_is_not_counted(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    settle(site, row, "fail")
    assert settle(site, row, "fail").repeated
    assert len(site.ledger.attempts(row.delivery.id)) == 1


def test_each_failure_doubles_the_delay(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    settle(site, row, "fail")
    site.clock.now += FIRST_WAIT
    settle(site, row, "fail")
    site.clock.now += FIRST_WAIT
    assert box(site, COMMUNE) == []
    site.clock.now += FIRST_WAIT
    assert len(box(site, COMMUNE)) == 1


def test_a_document_that_fails_for_weeks_is_never_abandoned(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    for _ in range(20):
        assert settle(site, row, "fail").state is DeliveryState.WAITING
        site.clock.forward(days=1)
    [still] = box(site, COMMUNE)
    assert (still.delivery.attempts, still.delivery.error_code) == (20, "mailbox.failed")


def test_a_failed_document_may_be_done_before_its_delay_is_over(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    settle(site, row, "fail")
    assert settle(site, row, "done").state is DeliveryState.DELIVERED
    delivery = site.ledger.delivery(row.delivery.id)
    assert delivery is not None
    assert delivery.error_code is None


def test_fail_after_done_is_refused(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    settle(site, row, "done")
    with pytest.raises(TransitionForbidden):
        settle(site, row, "fail")


# Lists


def test_a_system_lists_what_all_its_agencies_have_to_collect(site: Site) -> None:
    sent_to(site, COMMUNE, PROVINCE)
    assert {r.delivery.via for r in box(site, COMMUNE, PROVINCE)} == {COMMUNE, PROVINCE}


def test_what_another_collects_is_not_listed(site: Site) -> None:
    sent_to(site, COMMUNE)
    assert box(site, PROVINCE) == []


def test_a_system_without_agencies_lists_nothing(site: Site) -> None:
    sent_to(site, COMMUNE)
    assert (page(site), mailbox.count(site.parts, [], None)) == (Page(rows=(), next=None), 0)


def test_what_is_pushed_is_not_listed(site: Site) -> None:
    sent_to(site, PUSHED)
    assert box(site, PUSHED) == []


def test_documents_and_statuses_are_listed_apart(site: Site) -> None:
    sent_to(site, COMMUNE)
    settle(site, box(site, COMMUNE)[0], "done")
    assert box(site, DEPARTMENT, kind=PackageKind.DOCUMENT) == []
    assert [r.document.kind for r in box(site, DEPARTMENT, kind=PackageKind.STATUS)] == [PackageKind.STATUS]


def test_the_most_urgent_is_listed_first_and_then_the_oldest(site: Site) -> None:
    for number, priority in ((1, 0), (2, 3), (3, 0)):
        sent_to(site, COMMUNE, number=number, other=OtherInfo(priority=priority))
        site.clock.forward(seconds=1)
    assert numbers(box(site, COMMUNE)) == ["02", "01", "03"]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_together_are_the_whole_list(site: Site, limit: int) -> None:
    for number in range(1, 6):
        sent_to(site, COMMUNE, PROVINCE, number=number, other=OtherInfo(priority=number % 3))
    found: list[LogRow] = []
    after = None
    while True:
        part = page(site, COMMUNE, PROVINCE, limit=limit, after=after)
        found += part.rows
        if (after := part.next) is None:
            break
    assert found == box(site, COMMUNE, PROVINCE)
    assert len(found) == 10


@pytest.mark.parametrize("limit", [0, 1_001])
def test_a_page_has_up_to_a_thousand_rows(site: Site, limit: int) -> None:
    with pytest.raises(RequestError):
        page(site, COMMUNE, limit=limit)


@pytest.mark.parametrize("cursor", ["x", "WzksICJ4Il0"])
def test_a_cursor_of_somebody_else_is_refused(site: Site, cursor: str) -> None:
    with pytest.raises(RequestError):
        page(site, COMMUNE, after=cursor)


def test_a_window_leaves_out_what_came_before_and_after_it(site: Site) -> None:
    start = site.clock()
    for number in (1, 2, 3):
        sent_to(site, COMMUNE, number=number)
        site.clock.forward(hours=1)
    hour = timedelta(hours=1)
    assert numbers(box(site, COMMUNE, since=start + hour, until=start + 2 * hour)) == ["02"]


def test_what_was_held_back_is_listed_by_when_it_was_let_go(site: Site) -> None:
    sent_to(site, COMMUNE)
    [first] = box(site, COMMUNE)
    settle(site, first, "processing")
    recall = Business(type=BusinessType.REVOKE, document_id=DocumentId("000.00.14.H37,2026/03/05,07/SA-VP"), reason="x")
    site.accept(
        documents.a_package(
            recipients=(documents.an_organization(COMMUNE),), business=recall, references=(), contents={}
        )
    )
    let_go = site.clock.forward(days=3)
    settle(site, first, "done")
    assert len(box(site, COMMUNE, since=let_go)) == 1


def test_what_waits_behind_an_earlier_document_is_neither_listed_nor_handed_out(site: Site) -> None:
    sent_to(site, COMMUNE)
    [first] = box(site, COMMUNE)
    settle(site, first, "processing")
    recall = Business(type=BusinessType.REVOKE, document_id=DocumentId("000.00.14.H37,2026/03/05,07/SA-VP"), reason="x")
    answer = site.accept(
        documents.a_package(
            recipients=(documents.an_organization(COMMUNE),), business=recall, references=(), contents={}
        )
    )
    [blocked] = site.ledger.deliveries(answer.document_id)
    assert [r.delivery.id for r in box(site, COMMUNE)] == [first.delivery.id]
    with pytest.raises(NotFound):
        mailbox.package(site.parts, blocked.id, agencies_of(site, COMMUNE))


def test_the_count_is_that_of_the_list(site: Site) -> None:
    for number in (1, 2, 3):
        sent_to(site, COMMUNE, number=number)
    settle(site, box(site, COMMUNE)[0], "fail")
    settle(site, box(site, COMMUNE)[0], "processing")
    assert mailbox.count(site.parts, agencies_of(site, COMMUNE), PackageKind.DOCUMENT) == 2
    assert mailbox.count(site.parts, agencies_of(site, COMMUNE), PackageKind.STATUS) == 0


def test_what_waits_for_a_closed_agency_is_its_successors_to_collect(site: Site) -> None:
    former = AgencyCode("H37.20")
    site.known[former] = replace(site.known[COMMUNE], code=former)
    sent_to(site, former)
    site.known[former] = replace(
        site.known[former], valid_to=site.clock().date(), successors=(COMMUNE,), closed_reason="thử"
    )
    [row] = box(site, COMMUNE)
    assert row.delivery.via == former
    assert settle(site, row, "done").state is DeliveryState.DELIVERED


# One package


def test_the_package_is_handed_out_as_the_gateway_completed_it(site: Site, tmp_path: Path) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    _, reader, _ = mailbox.package(site.parts, row.delivery.id, agencies_of(site, COMMUNE))
    with reader, documents.read(reader.read(), tmp_path) as package:
        assert package.sha256 == row.document.forward_sha256


def test_the_package_is_handed_out_as_it_came_when_nothing_was_added(unsigned: Site, tmp_path: Path) -> None:
    sent_to(unsigned, COMMUNE)
    [row] = box(unsigned, COMMUNE)
    _, reader, _ = mailbox.package(unsigned.parts, row.delivery.id, agencies_of(unsigned, COMMUNE))
    with reader, documents.read(reader.read(), tmp_path) as package:
        assert (package.sha256, row.document.forward_sha256) == (row.document.sha256, None)


def test_a_test_axis_hands_packages_out_as_the_real_one_does(ledger: Ledger, tmp_path: Path) -> None:
    with a_site(ledger, tmp_path, reserialise=True) as axis:
        sent_to(axis, COMMUNE)
        [row] = box(axis, COMMUNE)
        handed = mailbox.package(axis.parts, row.delivery.id, agencies_of(axis, COMMUNE))
        raw = handed.reader.read()
        accepted = axis.parts.ledger.document(row.document.id)
    assert accepted is not None
    with documents.read(raw, tmp_path) as package:
        assert len(raw) == handed.size
        assert package.signature_form is SignatureForm.FOREIGN
        assert [a.sha256 for a in package.attachments] == [a.sha256 for a in accepted.attachments]


def test_a_package_may_be_fetched_again_after_it_is_done(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    settle(site, row, "done")
    _, reader, _ = mailbox.package(site.parts, row.delivery.id, agencies_of(site, COMMUNE))
    with reader:
        assert reader.read(5) == b"<?xml"


def fetch(site: Site, row: LogRow) -> None:
    mailbox.package(site.parts, row.delivery.id, agencies_of(site, COMMUNE)).reader.close()


def test_what_was_just_fetched_is_shown_as_under_way_and_stays_listed(site: Site) -> None:
    sent_to(site, COMMUNE)
    fetch(site, box(site, COMMUNE)[0])
    assert [mailbox.transport_status(r.delivery) for r in box(site, COMMUNE)] == ["processing"]


def test_what_was_just_fetched_is_not_taken_back_unseen_its_recall_follows_it(site: Site) -> None:
    answer = sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    fetch(site, row)
    sent_to(site, COMMUNE, business=Business(type=BusinessType.REVOKE, reason="Gửi nhầm"))
    assert box(site, DEPARTMENT, kind=PackageKind.STATUS) == []
    assert settle(site, row, "done").state is DeliveryState.DELIVERED
    assert [r.document.business_type for r in box(site, COMMUNE)] == [BusinessType.REVOKE]
    assert [d.recall for d in site.ledger.deliveries(answer.document_id)] == [RecallState.REQUESTED]


def test_fetching_again_is_the_same_try(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    fetch(site, row)
    site.clock.forward(hours=1)
    fetch(site, row)
    settle(site, row, "done")
    assert [a.outcome for a in site.ledger.attempts(row.delivery.id)] == ["delivered"]
    assert len([e for e in site.ledger.events() if e.action is Action.MAILBOX_LOCKED]) == 1


@pytest.mark.parametrize("outcome", ["done", "processing", "fail"])
def test_another_agencys_delivery_is_not_to_be_found(site: Site, outcome: str) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    with pytest.raises(NotFound):
        settle(site, row, outcome, DEPARTMENT, PROVINCE)
    assert len(box(site, COMMUNE)) == 1


def test_another_agencys_package_is_not_handed_out(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    with pytest.raises(NotFound):
        mailbox.package(site.parts, row.delivery.id, agencies_of(site, DEPARTMENT, PROVINCE))


def test_a_delivery_that_is_withdrawn_can_neither_be_had_nor_settled(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    site.ledger.withdraw([row.delivery.id], reason="Gửi nhầm", actor="test", now=site.clock())
    assert box(site, COMMUNE) == []
    with pytest.raises(NotFound):
        settle(site, row, "done")


@pytest.mark.parametrize("strange", ["", "\0", "\ud800", "a" * 5_000, "%", "' OR 1=1"])
def test_a_strange_id_is_not_to_be_found(site: Site, strange: str) -> None:
    with pytest.raises(NotFound):
        mailbox.package(site.parts, strange, agencies_of(site, COMMUNE))
    assert sent(site, COMMUNE, document_id=strange).rows == ()


def test_a_strange_reason_is_kept_as_far_as_it_can_be(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    settle(site, row, "fail", reason="lỗi\0\ud800" + "x" * 5_000)
    [tried] = site.ledger.attempts(row.delivery.id)
    assert tried.detail is not None
    assert tried.detail.startswith("lỗi  xxx")


# What was sent


def test_what_was_sent_has_one_row_for_each_recipient(site: Site) -> None:
    sent_to(site, COMMUNE, PROVINCE)
    assert {r.delivery.recipient for r in sent(site, DEPARTMENT).rows} == {COMMUNE, PROVINCE}


def test_the_newest_that_was_sent_comes_first(site: Site) -> None:
    for number in (1, 2, 3):
        sent_to(site, COMMUNE, number=number)
        site.clock.forward(seconds=1)
    assert numbers(list(sent(site, DEPARTMENT).rows)) == ["03", "02", "01"]


def test_what_others_sent_is_not_listed(site: Site) -> None:
    sent_to(site, COMMUNE)
    assert sent(site, COMMUNE).rows == ()


def test_what_was_handed_over_for_others_is_listed_as_sent(site: Site) -> None:
    raw = documents.a_package(
        sender=documents.an_organization(OTHER_PROVINCE), recipients=(documents.an_organization(COMMUNE),)
    )
    site.accept(raw, caller=ABOVE)
    [row] = sent(site, ABOVE).rows
    assert (row.document.sender, row.document.received_from) == (OTHER_PROVINCE, ABOVE)


def test_statuses_are_not_among_the_documents_that_were_sent(site: Site) -> None:
    sent_to(site, COMMUNE)
    settle(site, box(site, COMMUNE)[0], "done")
    assert sent(site, COMMUNE).rows == ()
    assert len(sent(site, COMMUNE, kind=PackageKind.STATUS).rows) == 1


def test_one_document_that_was_sent_is_found_by_the_gateways_id(site: Site) -> None:
    sent_to(site, COMMUNE, number=1)
    answer = sent_to(site, COMMUNE, number=2)
    assert numbers(list(sent(site, DEPARTMENT, document_id=answer.document_id).rows)) == ["02"]


def test_one_document_that_was_sent_is_found_by_the_senders_own_id(site: Site) -> None:
    sent_to(site, COMMUNE, number=1)
    sent_to(site, COMMUNE, number=2)
    [row] = sent(site, DEPARTMENT, document_id="000.00.14.H37,2026/03/05,02/SA-VP").rows
    assert row.document.number == "02"


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_pages_of_what_was_sent_are_the_whole_list(site: Site, limit: int) -> None:
    for number in range(1, 4):
        sent_to(site, COMMUNE, PROVINCE, number=number)
    found: list[LogRow] = []
    after = None
    while True:
        part = sent(site, DEPARTMENT, COMMUNE, limit=limit, after=after)
        found += part.rows
        if (after := part.next) is None:
            break
    assert len({r.delivery.id for r in found}) == len(found) == 6


def test_a_window_over_what_was_sent_ends_before_its_end(site: Site) -> None:
    start = site.clock()
    for number in (1, 2, 3):
        sent_to(site, COMMUNE, number=number)
        site.clock.forward(hours=1)
    hour = timedelta(hours=1)
    found = sent(site, DEPARTMENT, since=start + hour, until=start + 2 * hour).rows
    assert numbers(list(found)) == ["02"]


# The protocols' words


@pytest.mark.parametrize(
    ("state", "error_code", "word"),
    [
        (DeliveryState.WAITING, None, "initial"),
        (DeliveryState.WAITING, "mailbox.failed", "fail"),
        (DeliveryState.LEASED, "mailbox.failed", "processing"),
        (DeliveryState.FORWARDED, None, "done"),
        (DeliveryState.DELIVERED, None, "done"),
        (DeliveryState.REFUSED, None, "fail"),
        (DeliveryState.ABANDONED, "delivery.peer_failed", "fail"),
        (DeliveryState.WITHDRAWN, None, "fail"),
    ],
)
def test_each_state_has_a_word_in_the_protocols(
    site: Site, state: DeliveryState, error_code: str | None, word: str
) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    assert mailbox.transport_status(replace(row.delivery, state=state, error_code=error_code)) == word
