"""Collecting from the mailbox, and the statuses that the gateway writes itself."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from gateway.errors import LeaseLost, NotFound, NotPermitted, ReasonRequired, StateConflict
from gateway.exchange import lookup, mailbox, own_reports, statuses
from gateway.exchange.accept import Answer
from gateway.ledger.records import Filter, LogRow
from gateway.model import Agency, AgencyCode, Channel, DeliveryState, Level, PackageKind, SignedBy, Standing, StatusCode
from tests.support import documents
from tests.support.exchange import ABOVE, COMMUNE, DEPARTMENT, PROVINCE, PUSHED, Site

LEASE = timedelta(minutes=5)


def sent_to(site: Site, *recipients: AgencyCode) -> Answer:
    raw = documents.a_package(recipients=tuple(documents.an_organization(r) for r in recipients))
    return site.accept(raw)


def box(site: Site, owner: AgencyCode) -> tuple[LogRow, ...]:
    return mailbox.peek(site.parts, caller=site.known[owner], limit=50, after=None).rows


def names_in(words: str | None) -> set[AgencyCode]:
    """The agencies that a description names by their codes."""
    return {code for code in (COMMUNE, DEPARTMENT, PUSHED, AgencyCode("000.00.24.H37")) if code in (words or "")}


def close_district(site: Site, *, successor: AgencyCode = COMMUNE) -> AgencyCode:
    """A district that was abolished, with one successor."""
    closed = AgencyCode("000.00.24.H37")
    site.known[closed] = Agency(
        code=closed,
        name="Huyện cũ",
        level=Level.DISTRICT,
        parent=PROVINCE,
        valid_to=date(2025, 7, 1),
        successors=(successor,),
        closed_reason="thử",
    )
    return closed


def statuses_for(site: Site, owner: AgencyCode) -> list[LogRow]:
    return [r for r in box(site, owner) if r.document.kind is PackageKind.STATUS]


def test_looking_into_the_mailbox_changes_nothing(site: Site) -> None:
    sent_to(site, COMMUNE)
    assert box(site, COMMUNE) == box(site, COMMUNE)


def test_an_acknowledged_document_is_gone_and_the_sender_gets_status_01(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    lock = mailbox.lock(site.parts, row.delivery.id, caller=site.known[COMMUNE], lease=LEASE)
    settled = mailbox.acknowledge(site.parts, row.delivery.id, lock.token, caller=site.known[COMMUNE])
    assert settled.state is DeliveryState.DELIVERED
    assert box(site, COMMUNE) == ()
    [report] = statuses_for(site, DEPARTMENT)
    assert report.document.sender == COMMUNE
    assert (report.document.verdict.standing, report.document.verdict.signed_by) == (Standing.VALID, SignedBy.GATEWAY)


def test_the_status_01_says_which_document_has_arrived(site: Site, tmp_path: Path) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    lock = mailbox.lock(site.parts, row.delivery.id, caller=site.known[COMMUNE], lease=LEASE)
    mailbox.acknowledge(site.parts, row.delivery.id, lock.token, caller=site.known[COMMUNE])
    [report] = statuses_for(site, DEPARTMENT)
    raw = lookup.open_package(site.parts, report.document.sent_sha256).read()
    with documents.read(raw, tmp_path) as package:
        assert not package.errors
        envelope = package.envelope
        assert envelope.status is not None
        assert envelope.status.code is StatusCode.ARRIVED
        assert envelope.responses[0].document_id == "000.00.14.H37,2026/03/05,07/SA-VP"
        assert envelope.responses[0].number == "07/SA-VP"
        assert envelope.responses[0].code == DEPARTMENT


def test_the_second_acknowledgement_answers_the_same_and_reports_nothing(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    lock = mailbox.lock(site.parts, row.delivery.id, caller=site.known[COMMUNE], lease=LEASE)
    first = mailbox.acknowledge(site.parts, row.delivery.id, lock.token, caller=site.known[COMMUNE])
    site.clock.forward(minutes=1)
    again = mailbox.acknowledge(site.parts, row.delivery.id, lock.token, caller=site.known[COMMUNE])
    assert (again.repeated, again.at) == (True, first.at)
    assert len(statuses_for(site, DEPARTMENT)) == 1


def test_an_acknowledged_status_is_not_reported_on(site: Site) -> None:
    sent_to(site, COMMUNE)
    for owner in (COMMUNE, DEPARTMENT):
        [row] = box(site, owner)
        lock = mailbox.lock(site.parts, row.delivery.id, caller=site.known[owner], lease=LEASE)
        mailbox.acknowledge(site.parts, row.delivery.id, lock.token, caller=site.known[owner])
    assert site.ledger.search(Filter(states=frozenset({DeliveryState.WAITING}))).rows == ()


def test_a_refused_document_sends_status_02_with_the_reason(site: Site) -> None:
    answer = sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    lock = mailbox.lock(site.parts, row.delivery.id, caller=site.known[COMMUNE], lease=LEASE)
    mailbox.refuse(site.parts, row.delivery.id, lock.token, reason="Sai địa chỉ", caller=site.known[COMMUNE])
    trace = site.ledger.trace(answer.document_id)
    assert trace is not None
    assert [(s.code, s.description) for s in trace.statuses] == [(StatusCode.REFUSED, "Sai địa chỉ")]
    assert [d.state for d in trace.deliveries] == [DeliveryState.REFUSED]
    assert len(statuses_for(site, DEPARTMENT)) == 1


def test_a_refusal_must_say_why(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    lock = mailbox.lock(site.parts, row.delivery.id, caller=site.known[COMMUNE], lease=LEASE)
    with pytest.raises(ReasonRequired):
        mailbox.refuse(site.parts, row.delivery.id, lock.token, reason="  ", caller=site.known[COMMUNE])


def test_a_locked_document_cannot_be_locked_again_until_the_lease_ends(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    caller = site.known[COMMUNE]
    first = mailbox.lock(site.parts, row.delivery.id, caller=caller, lease=LEASE)
    with pytest.raises(StateConflict):
        mailbox.lock(site.parts, row.delivery.id, caller=caller, lease=LEASE)
    site.clock.forward(minutes=6)
    mailbox.lock(site.parts, row.delivery.id, caller=caller, lease=LEASE)
    with pytest.raises(LeaseLost):
        mailbox.acknowledge(site.parts, row.delivery.id, first.token, caller=caller)


def test_nobody_touches_anothers_mailbox(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    assert box(site, PUSHED) == ()
    with pytest.raises(NotFound):
        mailbox.lock(site.parts, row.delivery.id, caller=site.known[PUSHED], lease=LEASE)
    with pytest.raises(NotFound):
        mailbox.delivery_of(site.parts, row.delivery.id, site.known[PUSHED])


def test_a_report_in_the_name_of_an_abolished_agency_is_about_its_successors_copy(site: Site) -> None:
    closed = close_district(site)
    answer = sent_to(site, closed)
    site.accept(documents.a_status_package(StatusCode.DONE, sender=documents.an_organization(closed)), caller=COMMUNE)
    [copy] = site.ledger.deliveries(answer.document_id)
    assert (copy.recipient, copy.redirected_from, copy.status) == (COMMUNE, closed, StatusCode.DONE)


# Reports in JSON


def test_a_receiver_reports_without_writing_xml(site: Site) -> None:
    answer = sent_to(site, COMMUNE)
    site.collect(COMMUNE)
    statuses.report_status(
        site.parts,
        caller=site.known[COMMUNE],
        document_id=answer.document_id,
        code=StatusCode.REGISTERED,
        description=None,
    )
    assert [d.status for d in site.ledger.deliveries(answer.document_id)] == [StatusCode.REGISTERED]
    arrival, report = statuses_for(site, DEPARTMENT)
    assert (arrival.document.sender, report.document.sender) == (COMMUNE, COMMUNE)


def test_a_receiver_that_must_sign_may_still_report_in_json(site: Site) -> None:
    site.change(COMMUNE, accepts=frozenset({Standing.VALID}))
    answer = sent_to(site, COMMUNE)
    site.collect(COMMUNE)
    statuses.report_status(
        site.parts,
        caller=site.known[COMMUNE],
        document_id=answer.document_id,
        code=StatusCode.DONE,
        description=None,
    )
    assert [d.status for d in site.ledger.deliveries(answer.document_id)] == [StatusCode.DONE]


def test_a_report_in_json_that_is_repeated_is_one_report(site: Site) -> None:
    answer = sent_to(site, COMMUNE)
    site.collect(COMMUNE)
    report = {"caller": site.known[COMMUNE], "document_id": answer.document_id, "description": None}
    answers = []
    for code in (StatusCode.REGISTERED, StatusCode.REGISTERED, StatusCode.DONE):
        answers.append(statuses.report_status(site.parts, code=code, **report))  # type: ignore[arg-type] # one dict for three calls
        site.clock.forward(seconds=30)
    assert [a.duplicate for a in answers] == [False, True, False]
    assert answers[1].receipt == answers[0].receipt
    assert len(statuses_for(site, DEPARTMENT)) == len(("01", "03", "06"))


def test_who_received_no_copy_reports_nothing(site: Site) -> None:
    answer = sent_to(site, COMMUNE)
    for stranger, error in ((PUSHED, NotFound), (DEPARTMENT, NotPermitted)):
        with pytest.raises(error):
            statuses.report_status(
                site.parts,
                caller=site.known[stranger],
                document_id=answer.document_id,
                code=StatusCode.DONE,
                description=None,
            )


def test_a_sender_asks_for_one_copy_back_without_writing_xml(site: Site, tmp_path: Path) -> None:
    answer = sent_to(site, COMMUNE, PUSHED)
    site.collect(COMMUNE)
    ask = {"document_id": answer.document_id, "code": StatusCode.RECALL_ASKED, "description": "Gửi nhầm"}
    with pytest.raises(NotPermitted):
        statuses.report_status(site.parts, caller=site.known[DEPARTMENT], **ask)  # type: ignore[arg-type] # one dict for three calls
    with pytest.raises(NotPermitted):
        statuses.report_status(site.parts, caller=site.known[PUSHED], **ask)  # type: ignore[arg-type] # as above
    statuses.report_status(site.parts, caller=site.known[DEPARTMENT], agency=COMMUNE, **ask)  # type: ignore[arg-type] # as above
    [request] = [r for r in box(site, COMMUNE) if r.document.kind is PackageKind.STATUS]
    raw = lookup.open_package(site.parts, request.document.sent_sha256).read()
    with documents.read(raw, tmp_path) as package:
        assert (package.envelope.sender.code, package.envelope.responses[0].code) == (DEPARTMENT, COMMUNE)
    trace = site.ledger.trace(answer.document_id)
    assert trace is not None
    assert [(s.code, s.description) for s in trace.statuses[1:]] == [(StatusCode.RECALL_ASKED, "Gửi nhầm")]


@pytest.mark.parametrize("code", [StatusCode.REFUSED, StatusCode.DISAGREED])
def test_some_statuses_must_say_why(site: Site, code: StatusCode) -> None:
    answer = sent_to(site, COMMUNE)
    with pytest.raises(ReasonRequired):
        statuses.report_status(
            site.parts, caller=site.known[COMMUNE], document_id=answer.document_id, code=code, description=" "
        )


def test_a_redirected_receiver_reports_under_either_code(site: Site) -> None:
    closed = close_district(site)
    answer = sent_to(site, closed)
    site.collect(COMMUNE)
    for code, agency in ((StatusCode.REGISTERED, closed), (StatusCode.DONE, COMMUNE)):
        statuses.report_status(
            site.parts,
            caller=site.known[COMMUNE],
            document_id=answer.document_id,
            code=code,
            description=None,
            agency=agency,
        )
    [copy] = site.ledger.deliveries(answer.document_id)
    assert copy.status is StatusCode.DONE


def test_a_push_that_succeeded_is_reported_to_the_sender(site: Site) -> None:
    sent_to(site, PUSHED)
    [claim] = site.ledger.claim(worker="w", now=site.clock(), lease=LEASE, limit=5, channels=[Channel.PUSH])
    reply = own_reports.arrival_report(site.parts, claim, site.clock())
    assert reply is not None
    assert (reply.status.code, reply.status.reporter) == (StatusCode.ARRIVED, PUSHED)
    assert [d.recipient for d in reply.deliveries] == [DEPARTMENT]


def test_a_push_to_a_successor_is_reported_as_such(site: Site) -> None:
    closed = close_district(site, successor=PUSHED)
    sent_to(site, closed)
    [claim] = site.ledger.claim(worker="w", now=site.clock(), lease=LEASE, limit=5, channels=[Channel.PUSH])
    reply = own_reports.arrival_report(site.parts, claim, site.clock())
    assert reply is not None
    assert names_in(reply.status.description) == {closed, PUSHED}
    assert reply.status.reporter == PUSHED


@pytest.mark.parametrize("redirected", [True, False])
def test_the_sender_is_told_when_a_successor_has_collected_its_document(site: Site, *, redirected: bool) -> None:
    closed = close_district(site)
    answer = sent_to(site, closed if redirected else COMMUNE)
    [row] = box(site, COMMUNE)
    lock = mailbox.lock(site.parts, row.delivery.id, caller=site.known[COMMUNE], lease=LEASE)
    mailbox.acknowledge(site.parts, row.delivery.id, lock.token, caller=site.known[COMMUNE])
    trace = site.ledger.trace(answer.document_id)
    assert trace is not None
    [status] = trace.statuses
    assert status.code is StatusCode.ARRIVED
    assert names_in(status.description) == ({closed, COMMUNE} if redirected else set())


def test_a_report_goes_up_when_the_sender_is_outside(site: Site) -> None:
    raw = documents.a_package(
        sender=documents.an_organization("000.00.00.H38"), recipients=(documents.an_organization(PUSHED),)
    )
    site.accept(raw, caller=ABOVE)
    [claim] = site.ledger.claim(worker="w", now=site.clock(), lease=LEASE, limit=5, channels=[Channel.PUSH])
    reply = own_reports.arrival_report(site.parts, claim, site.clock())
    assert reply is not None
    assert [(d.recipient, d.via) for d in reply.deliveries] == [("000.00.00.H38", ABOVE)]
