"""Agencies that closed: what waits in their mailboxes, what is still under way from them, and what is repeated."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.errors import NotFound, SenderClosed
from gateway.exchange import lookup, mailbox
from gateway.exchange.accept import Answer
from gateway.ledger.records import LogRow
from gateway.model import Agency, AgencyCode, Channel, DeliveryState, Endpoint, Hop, Level, PackageKind, StatusCode
from tests.support import documents
from tests.support.exchange import ABOVE, COMMUNE, DEPARTMENT, OTHER_PROVINCE, PROVINCE, PUSHED, Site

LEASE = timedelta(minutes=5)


def box(site: Site, owner: AgencyCode) -> tuple[LogRow, ...]:
    return mailbox.peek(site.parts, caller=site.known[owner], limit=50, after=None).rows


def a_box_left_behind(site: Site, *successors: AgencyCode) -> tuple[AgencyCode, Answer]:
    """A district with a document in its mailbox, closed since; and that document."""
    district = AgencyCode("000.00.24.H37")
    site.known[district] = Agency(
        code=district,
        name="Huyện cũ",
        level=Level.DISTRICT,
        parent=PROVINCE,
        endpoint=Endpoint(channel=Channel.MAILBOX),
    )
    answer = site.accept(documents.a_package(recipients=(documents.an_organization(district),)))
    site.change(district, valid_to=date(2026, 1, 1), successors=successors, closed_reason="thử")
    return district, answer


def test_the_one_successor_collects_what_waits_in_the_mailbox_of_a_closed_agency(site: Site) -> None:
    district, answer = a_box_left_behind(site, COMMUNE)
    caller = site.known[COMMUNE]
    [row] = box(site, COMMUNE)
    assert (row.delivery.via, row.document.id) == (district, answer.document_id)
    lookup.visible_document(site.parts, answer.document_id, caller=caller)
    trace = lookup.visible_trace(site.parts, answer.document_id, caller=caller)
    assert [d.id for d in trace.deliveries] == [row.delivery.id]
    assert mailbox.delivery_of(site.parts, row.delivery.id, caller).document.id == answer.document_id
    lock = mailbox.lock(site.parts, row.delivery.id, caller=caller, lease=LEASE)
    mailbox.acknowledge(site.parts, row.delivery.id, lock.token, caller=caller)
    assert box(site, COMMUNE) == ()
    [copy] = site.ledger.deliveries(answer.document_id)
    assert (copy.state, copy.status) == (DeliveryState.DELIVERED, StatusCode.ARRIVED)
    assert [r.document.kind for r in box(site, DEPARTMENT)] == [PackageKind.STATUS]
    actors = {e.actor for e in site.ledger.events() if e.delivery == copy.id and e.action.startswith("mailbox.")}
    assert actors == {COMMUNE}


def test_the_one_successor_refuses_what_waits_in_the_mailbox_of_a_closed_agency(site: Site) -> None:
    _, answer = a_box_left_behind(site, COMMUNE)
    caller = site.known[COMMUNE]
    [row] = box(site, COMMUNE)
    lock = mailbox.lock(site.parts, row.delivery.id, caller=caller, lease=LEASE)
    mailbox.refuse(site.parts, row.delivery.id, lock.token, reason="Sai thẩm quyền", caller=caller)
    assert [d.state for d in site.ledger.deliveries(answer.document_id)] == [DeliveryState.REFUSED]


@pytest.mark.parametrize("successors", [(), (COMMUNE, PUSHED), (PUSHED,)])
def test_the_mailbox_of_a_closed_agency_is_not_anybody_elses(site: Site, successors: tuple[AgencyCode, ...]) -> None:
    _, answer = a_box_left_behind(site, *successors)
    caller = site.known[COMMUNE]
    [copy] = site.ledger.deliveries(answer.document_id)
    assert box(site, COMMUNE) == ()
    with pytest.raises(NotFound):
        mailbox.lock(site.parts, copy.id, caller=caller, lease=LEASE)
    with pytest.raises(NotFound):
        mailbox.delivery_of(site.parts, copy.id, caller)
    with pytest.raises(NotFound):
        lookup.visible_document(site.parts, answer.document_id, caller=caller)


# A sender that closed while its document was under way


def closed_on(site: Site, code: AgencyCode, day: date) -> None:
    site.change(code, valid_to=day, successors=(PUSHED,), closed_reason="thử")


def sent_on(at: datetime | None, sender: AgencyCode = OTHER_PROVINCE) -> bytes:
    """A document to the commune whose trace says when it was sent."""
    return documents.a_package(
        sender=documents.an_organization(sender),
        recipients=(documents.an_organization(COMMUNE),),
        trace=() if at is None else (Hop(code=sender, at=at),),
    )


def test_what_another_gateway_accepted_before_its_sender_closed_is_taken(site: Site) -> None:
    closed_on(site, OTHER_PROVINCE, date(2026, 3, 5))
    site.clock.forward(days=3)
    answer = site.accept(sent_on(datetime(2026, 3, 4, 16, 59, tzinfo=UTC)), caller=ABOVE)
    assert [d.recipient for d in site.ledger.deliveries(answer.document_id)] == [COMMUNE]


def test_what_another_gateway_accepted_after_its_sender_closed_is_refused(site: Site) -> None:
    closed_on(site, OTHER_PROVINCE, date(2026, 3, 5))
    # From midnight in Vietnam on, or at no stated time.
    for at in (datetime(2026, 3, 4, 17, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), None):
        with pytest.raises(SenderClosed):
            site.accept(sent_on(at), caller=ABOVE)


def test_the_last_hop_counts_not_what_the_sender_wrote_before_it(site: Site) -> None:
    closed_on(site, OTHER_PROVINCE, date(2026, 3, 5))
    early, late = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 5, 2, tzinfo=UTC)
    raw = documents.a_package(
        sender=documents.an_organization(OTHER_PROVINCE),
        recipients=(documents.an_organization(COMMUNE),),
        trace=(Hop(code=OTHER_PROVINCE, at=early), Hop(code=ABOVE, at=late)),
    )
    with pytest.raises(SenderClosed):
        site.accept(raw, caller=ABOVE)


def test_the_grace_for_documents_of_a_closed_sender_ends(site: Site) -> None:
    closed_on(site, OTHER_PROVINCE, date(2026, 3, 5))
    raw = sent_on(datetime(2026, 3, 4, tzinfo=UTC))
    site.clock.forward(days=14)
    with pytest.raises(SenderClosed):
        site.accept(raw, caller=ABOVE)
    site.clock.forward(hours=-15)
    assert not site.accept(raw, caller=ABOVE).duplicate


def test_a_closed_sender_or_its_successor_has_no_grace_itself(site: Site) -> None:
    closed_on(site, DEPARTMENT, date(2026, 3, 5))
    peer = Endpoint(channel=Channel.PEER, url="http://127.0.0.1:9", credential="below")
    site.change(DEPARTMENT, endpoint=peer)
    for caller in (DEPARTMENT, PUSHED):
        with pytest.raises(SenderClosed):
            site.accept(sent_on(datetime(2026, 3, 1, tzinfo=UTC), DEPARTMENT), caller=caller)


# Repeats after a merger


def test_a_repeat_after_two_mergers_brings_no_second_copy_of_the_second_predecessors(site: Site) -> None:
    first, second, heir = (AgencyCode(f"H37.{n}") for n in (31, 32, 33))
    box_of = {"level": Level.COMMUNE, "parent": PROVINCE, "endpoint": Endpoint(channel=Channel.MAILBOX)}
    for code in (first, second, heir):
        site.known[code] = Agency(code=code, name=f"Xã thử {code}", **box_of)  # type: ignore[arg-type] # one dict for all three
    for code in (first, second):
        site.change(code, valid_to=date(2026, 1, 1), successors=(heir,), closed_reason="thử")
    raw = documents.a_package(recipients=tuple(documents.an_organization(c) for c in (first, second)))
    answer = site.accept(raw)
    site.clock.forward(days=2)
    site.change(heir, valid_to=date(2026, 3, 6), successors=(COMMUNE,), closed_reason="thử")
    assert site.accept(raw).duplicate
    assert [d.recipient for d in site.ledger.deliveries(answer.document_id)] == [heir]


def test_a_repeat_for_a_code_that_was_passed_on_means_its_holder_of_then(site: Site) -> None:
    code = AgencyCode("H37.14")
    raw = documents.a_package(
        sender=documents.an_organization(COMMUNE), recipients=(documents.an_organization(DEPARTMENT),)
    )
    answer = site.accept(raw, caller=COMMUNE)
    day = date(2026, 3, 6)
    site.change(DEPARTMENT, valid_to=day, successors=(PUSHED,), closed_reason="thử")
    site.known[code] = Agency(
        code=code, name="Sở mới", level=Level.DEPARTMENT, parent=PROVINCE, endpoint=Endpoint(channel=Channel.MAILBOX),
        valid_from=day,
    )  # fmt: skip
    site.clock.forward(days=2)
    assert site.accept(raw, caller=COMMUNE, only=[code]).document_id == answer.document_id
    assert [d.recipient for d in site.ledger.deliveries(answer.document_id)] == [DEPARTMENT]


def test_a_status_repeated_in_other_bytes_after_its_asker_closed_is_not_delivered_twice(site: Site) -> None:
    site.accept(documents.a_package())
    first = site.accept(documents.a_status_package(StatusCode.DONE), caller=ABOVE)
    site.clock.forward(days=2)
    closed_on(site, DEPARTMENT, date(2026, 3, 6))
    again = site.accept(documents.a_status_package(StatusCode.DONE).replace(b"\n", b"\r\n"), caller=ABOVE)
    assert (again.duplicate, again.document_id) == (True, first.document_id)
    assert [d.recipient for d in site.ledger.deliveries(first.document_id)] == [DEPARTMENT]
