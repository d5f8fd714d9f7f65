"""What systems hand over: in whose name, for which recipients, and what they said of it beside the package."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.errors import RoutingError, SenderNotAllowed, UnknownRecipient
from gateway.exchange.accept import Answer
from gateway.exchange.handover import Announced, hand_over
from gateway.exchange.upload import upload_of
from gateway.ledger.records import System
from gateway.model import AgencyCode, Channel, Endpoint, PackageKind
from tests.support import documents
from tests.support.agencies import an_agency
from tests.support.exchange import ABOVE, COMMUNE, DEPARTMENT, MAILBOX, OTHER_PROVINCE, PROVINCE, PUSHED, Site


def a_system(site: Site, *agencies: AgencyCode, gateway: bool = False) -> System:
    return System(id="H37.SYS", name="thử", agencies=agencies, gateway=gateway, created_at=site.clock())


def handed(site: Site, raw: bytes, system: System, **announced: Any) -> Answer:
    return hand_over(site.parts, upload_of(raw), system=system, announced=Announced(**announced))


def to(*codes: str, sender: str = DEPARTMENT) -> bytes:
    recipients = tuple(documents.an_organization(code) for code in codes)
    return documents.a_package(sender=documents.an_organization(sender), recipients=recipients)


def routed(site: Site, answer: Answer) -> list[AgencyCode]:
    return [delivery.recipient for delivery in site.ledger.deliveries(answer.document_id)]


def test_a_receivers_system_sends_to_all_that_the_package_names(site: Site) -> None:
    answer = handed(site, to(DEPARTMENT, COMMUNE), a_system(site, DEPARTMENT))
    assert routed(site, answer) == [DEPARTMENT, COMMUNE]


def test_what_is_behind_a_gateway_is_its_own_to_deliver(site: Site) -> None:
    below = AgencyCode("000.01.14.H37")
    site.known[below] = an_agency(below, parent=DEPARTMENT)
    answer = handed(site, to(below, DEPARTMENT, COMMUNE), a_system(site, DEPARTMENT, gateway=True))
    assert routed(site, answer) == [COMMUNE]


@pytest.mark.parametrize("gone", [OTHER_PROVINCE, AgencyCode("000.00.00.H41")], ids=["known", "unknown"])
def test_what_only_the_gateway_above_can_know_does_not_go_back_to_it(site: Site, gone: AgencyCode) -> None:
    site.change(ABOVE, endpoint=MAILBOX)
    system = a_system(site, ABOVE, gateway=True)
    answer = handed(site, to(COMMUNE, gone, sender="000.00.00.H50"), system)
    assert routed(site, answer) == [COMMUNE]


def test_a_closed_recipient_whose_heir_is_behind_the_gateway_is_behind_it(site: Site) -> None:
    closed = AgencyCode("H37.90")
    site.known[closed] = an_agency(closed, parent=PROVINCE, valid_to=date(2025, 7, 1), successors=(DEPARTMENT,))
    answer = handed(site, to(closed, COMMUNE), a_system(site, DEPARTMENT, gateway=True))
    assert routed(site, answer) == [COMMUNE]


def test_a_document_that_is_all_behind_its_gateway_is_refused(site: Site) -> None:
    with pytest.raises(RoutingError) as raised:
        handed(site, to(DEPARTMENT), a_system(site, DEPARTMENT, gateway=True))
    assert raised.value.recipients == (DEPARTMENT,)
    assert [refusal.code for refusal in site.ledger.refusals()] == ["recipient.unreachable"]


def test_an_unknown_recipient_of_our_own_is_still_a_fault(site: Site) -> None:
    with pytest.raises(UnknownRecipient):
        handed(site, to(DEPARTMENT, "H37.404"), a_system(site, DEPARTMENT, gateway=True))


def test_a_report_to_somebody_behind_the_gateway_is_recorded_and_goes_nowhere(site: Site) -> None:
    site.change(COMMUNE, parent=DEPARTMENT, endpoint=None)
    report = documents.a_status_package(sender=documents.an_organization(COMMUNE))
    answer = handed(site, report, a_system(site, DEPARTMENT, gateway=True), kind=PackageKind.STATUS)
    assert routed(site, answer) == []
    assert site.ledger.document(answer.document_id) is not None


def test_the_same_package_from_a_gateway_again_is_the_same(site: Site) -> None:
    system = a_system(site, DEPARTMENT, gateway=True)
    first, second = (handed(site, to(DEPARTMENT, COMMUNE), system) for _ in range(2))
    assert (first.duplicate, second.duplicate) == (False, True)
    assert routed(site, second) == [COMMUNE]


def test_a_push_endpoint_does_not_make_an_agency_a_gateway(site: Site) -> None:
    pushed = Endpoint(channel=Channel.PUSH, url="http://127.0.0.1:9/push", credential="pushed")
    site.change(DEPARTMENT, endpoint=pushed)
    assert routed(site, handed(site, to(DEPARTMENT), a_system(site, DEPARTMENT))) == [DEPARTMENT]


def test_a_refusal_is_recorded_under_the_first_agency(site: Site) -> None:
    with pytest.raises(SenderNotAllowed):
        handed(site, to(COMMUNE), a_system(site, PUSHED, COMMUNE))
    assert [refusal.credential_agency for refusal in site.ledger.refusals()] == [PUSHED]


# What was announced


def differences(site: Site, **announced: Any) -> Sequence[str]:
    with capture_logs() as lines:
        handed(site, to("H37.14", COMMUNE), a_system(site, DEPARTMENT), **announced)
    return [line["action"] for line in lines if line["log_level"] == "warning"]


@pytest.mark.parametrize(
    "recipients", [None, (COMMUNE, DEPARTMENT), ("H37.14", COMMUNE, "h37.21")], ids=["none", "same", "aliases"]
)
def test_what_agrees_is_not_worth_a_word(site: Site, recipients: tuple[str, ...] | None) -> None:
    codes = None if recipients is None else tuple(map(AgencyCode, recipients))
    assert differences(site, kind=PackageKind.DOCUMENT, recipients=codes) == []


@pytest.mark.parametrize("recipients", [(), (COMMUNE,), (COMMUNE, DEPARTMENT, PUSHED)], ids=["none", "fewer", "more"])
def test_other_recipients_are_logged_and_change_nothing(site: Site, recipients: tuple[AgencyCode, ...]) -> None:
    assert differences(site, recipients=recipients) == ["package.recipients_differ"]
    [document] = site.ledger.documents().rows
    assert [d.recipient for d in site.ledger.deliveries(document.id)] == [DEPARTMENT, COMMUNE]


def test_another_kind_is_logged_and_changes_nothing(site: Site) -> None:
    assert differences(site, kind=PackageKind.STATUS) == ["package.kind_differs"]
    [document] = site.ledger.documents().rows
    assert document.kind is PackageKind.DOCUMENT


def test_what_is_logged_of_other_recipients_can_be_written(site: Site) -> None:
    with capture_logs() as logs:
        handed(
            site,
            to(COMMUNE),
            a_system(site, DEPARTMENT),
            recipients=(AgencyCode("\ud800" * 9), AgencyCode("x" * 9_000)),
        )
    [line] = logs
    assert len(json.dumps(line, ensure_ascii=False).encode()) < 1_000
