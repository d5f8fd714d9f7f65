"""The mailbox of an agency that closed: its one successor collects what still waits there."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from gateway.errors import NotFound
from gateway.exchange import lookup, mailbox
from gateway.exchange.accept import Answer
from gateway.ledger.records import LogRow
from gateway.model import Agency, AgencyCode, Channel, DeliveryState, Endpoint, Level, PackageKind, StatusCode
from tests.support import documents
from tests.support.exchange import COMMUNE, DEPARTMENT, PROVINCE, PUSHED, Site

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
