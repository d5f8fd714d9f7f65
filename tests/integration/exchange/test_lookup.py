"""What an agency may see of documents: the sender the whole, a recipient its own copy."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.errors import NotFound
from gateway.exchange import lookup, mailbox
from gateway.exchange.accept import Answer
from gateway.ledger.actions import Action
from gateway.ledger.records import Filter
from gateway.model import AgencyCode, Business, BusinessType, DeliveryState, StatusCode
from tests.support import documents
from tests.support.exchange import COMMUNE, DEPARTMENT, OTHER_PROVINCE, PROVINCE, PUSHED, Site

LEASE = timedelta(minutes=5)


def sent_to(site: Site, *recipients: AgencyCode, **changes: object) -> Answer:
    to = tuple(documents.an_organization(r) for r in recipients)
    return site.accept(documents.a_package(recipients=to, **changes))  # type: ignore[arg-type] # members of an envelope


def refused_by_one_of_two(site: Site) -> Answer:
    answer = sent_to(site, COMMUNE, PROVINCE)
    caller = site.known[PROVINCE]
    [row] = mailbox.peek(site.parts, caller=caller, limit=9, after=None).rows
    lock = mailbox.lock(site.parts, row.delivery.id, caller=caller, lease=LEASE)
    mailbox.refuse(site.parts, row.delivery.id, lock.token, reason="Sai thẩm quyền", caller=caller)
    return answer


def test_a_recipient_sees_of_the_way_of_a_document_only_its_own_copy(site: Site) -> None:
    answer = refused_by_one_of_two(site)
    trace = lookup.visible_trace(site.parts, answer.document_id, caller=site.known[COMMUNE])
    assert [d.recipient for d in trace.deliveries] == [COMMUNE]
    assert (trace.attempts, trace.statuses) == ((), ())
    [copy] = trace.deliveries
    assert [(e.action, e.delivery) for e in trace.events] == [
        (Action.DOCUMENT_ACCEPTED, None),
        (Action.DELIVERY_ENQUEUED, copy.id),
    ]
    copies = lookup.visible_deliveries(site.parts, trace.document, caller=site.known[COMMUNE])
    assert copies == list(trace.deliveries)


def test_who_reported_sees_the_report_and_its_try(site: Site) -> None:
    answer = refused_by_one_of_two(site)
    trace = lookup.visible_trace(site.parts, answer.document_id, caller=site.known[PROVINCE])
    assert [d.recipient for d in trace.deliveries] == [PROVINCE]
    assert [s.code for s in trace.statuses] == [StatusCode.REFUSED]
    assert [a.outcome for a in trace.attempts] == ["refused"]


def test_the_sender_sees_the_whole_way(site: Site) -> None:
    answer = refused_by_one_of_two(site)
    trace = lookup.visible_trace(site.parts, answer.document_id, caller=site.known[DEPARTMENT])
    assert trace == site.ledger.trace(answer.document_id)
    copies = lookup.visible_deliveries(site.parts, trace.document, caller=site.known[DEPARTMENT])
    assert copies == list(trace.deliveries)


def test_who_receives_a_status_sees_what_it_reports(site: Site) -> None:
    refused_by_one_of_two(site)
    caller = site.known[DEPARTMENT]
    [row] = mailbox.peek(site.parts, caller=caller, limit=9, after=None).rows
    trace = lookup.visible_trace(site.parts, row.document.id, caller=caller)
    assert [(s.code, s.description) for s in trace.statuses] == [(StatusCode.REFUSED, "Sai thẩm quyền")]


def test_a_recipient_is_not_shown_operations_that_are_not_for_it(site: Site) -> None:
    answer = sent_to(site, COMMUNE, PROVINCE)
    recall = Business(type=BusinessType.REVOKE, reason="Thu hồi")
    later = sent_to(site, PROVINCE, business=recall)
    hidden = lookup.visible_trace(site.parts, answer.document_id, caller=site.known[COMMUNE])
    assert hidden.operations == ()
    whole = lookup.visible_trace(site.parts, answer.document_id, caller=site.known[DEPARTMENT])
    assert [o.id for o in whole.operations] == [later.document_id]


def test_a_withdrawn_copy_is_no_longer_its_recipients_to_see(site: Site) -> None:
    answer = sent_to(site, COMMUNE, PUSHED)
    [copy] = [d for d in site.ledger.deliveries(answer.document_id) if d.recipient == COMMUNE]
    site.ledger.withdraw([copy.id], reason="Gửi nhầm", actor="o", now=site.clock())
    with pytest.raises(NotFound):
        lookup.visible_document(site.parts, answer.document_id, caller=site.known[COMMUNE])
    with pytest.raises(NotFound):
        mailbox.delivery_of(site.parts, copy.id, site.known[COMMUNE])
    assert site.ledger.documents(Filter(visible_to=COMMUNE)).rows == ()
    lookup.visible_document(site.parts, answer.document_id, caller=site.known[DEPARTMENT])
    lookup.visible_document(site.parts, answer.document_id, caller=site.known[PUSHED])


def test_a_copy_that_waits_for_an_earlier_one_is_not_shown_before_its_turn(site: Site) -> None:
    site.rule(withdraw_uncollected=False)
    sent_to(site, COMMUNE)
    recall = sent_to(site, COMMUNE, business=Business(type=BusinessType.REVOKE, reason="Thu hồi"))
    caller = site.known[COMMUNE]
    [waiting] = site.ledger.deliveries(recall.document_id)
    assert waiting.blocked
    [first] = mailbox.peek(site.parts, caller=caller, limit=9, after=None).rows
    with pytest.raises(NotFound):
        lookup.visible_document(site.parts, recall.document_id, caller=caller)
    with pytest.raises(NotFound):
        mailbox.delivery_of(site.parts, waiting.id, caller)
    assert [d.id for d in site.ledger.documents(Filter(visible_to=COMMUNE)).rows] == [first.document.id]
    lock = mailbox.lock(site.parts, first.delivery.id, caller=caller, lease=LEASE)
    mailbox.acknowledge(site.parts, first.delivery.id, lock.token, caller=caller)
    lookup.visible_document(site.parts, recall.document_id, caller=caller)
    assert mailbox.delivery_of(site.parts, waiting.id, caller).delivery.recipient == COMMUNE


def test_a_recipient_cannot_ask_for_the_states_of_others_copies(site: Site) -> None:
    answer = refused_by_one_of_two(site)
    refused = frozenset({DeliveryState.REFUSED})

    def listed(agency: AgencyCode) -> list[str]:
        rows = site.ledger.documents(Filter(visible_to=agency, sender=DEPARTMENT, states=refused)).rows
        return [d.id for d in rows]

    assert (listed(COMMUNE), listed(OTHER_PROVINCE)) == ([], [])
    assert listed(PROVINCE) == listed(DEPARTMENT) == [answer.document_id]
