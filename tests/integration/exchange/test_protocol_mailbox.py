"""The mailbox over the protocols of the country: no locks, several agencies, what is not done is listed again."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from gateway.errors import NotFound, RequestError, TransitionForbidden
from gateway.exchange import mailbox
from gateway.exchange.accept import Answer
from gateway.ledger.records import LogRow, Page, Settled
from gateway.model import Agency, AgencyCode, DeliveryState, Lane, Level, PackageKind, StatusCode
from tests.support import documents
from tests.support.exchange import COMMUNE, DEPARTMENT, PROVINCE, PUSHED, Site


def sent_to(site: Site, *recipients: AgencyCode, **changes: object) -> Answer:
    raw = documents.a_package(recipients=tuple(documents.an_organization(r) for r in recipients), **changes)
    return site.accept(raw)


def agencies_of(site: Site, *codes: AgencyCode) -> list[Agency]:
    return [site.known[code] for code in codes]


def page(site: Site, *codes: AgencyCode, **asked: object) -> Page[LogRow]:
    options = {"kind": None, "since": None, "until": None, "limit": 100, "after": None} | asked
    return mailbox.listed(site.parts, agencies_of(site, *codes), **options)  # type: ignore[arg-type] # a test's words


def box(site: Site, *codes: AgencyCode, **asked: object) -> list[LogRow]:
    return list(page(site, *codes, **asked).rows)


def settle(site: Site, row: LogRow, outcome: str, *codes: AgencyCode, **said: object) -> Settled:
    options = {"gateway": False, "reason": None} | said
    owners = agencies_of(site, *(codes or (COMMUNE,)))
    return mailbox.settle(site.parts, row.delivery.id, owners, outcome, **options)  # type: ignore[arg-type] # as above


def test_a_document_that_is_done_is_listed_no_more_and_its_sender_gets_status_01(site: Site) -> None:
    sent_to(site, COMMUNE)
    [row] = box(site, COMMUNE)
    assert settle(site, row, "done").state is DeliveryState.DELIVERED
    assert box(site, COMMUNE) == []
    [report] = box(site, DEPARTMENT)
    assert report.document.kind is PackageKind.STATUS
