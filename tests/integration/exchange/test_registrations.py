"""What systems ask of the directory: it waits, and only an operator's decision changes anything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from gateway.directory.store import DirectoryStore
from gateway.errors import (
    AgencyKnown,
    DirectoryInvalid,
    NotFound,
    NotPermitted,
    ReasonRequired,
    RegistrationInvalid,
    StateConflict,
    TooManyRegistrations,
)
from gateway.exchange.registrations import approve, reject, request_agency
from gateway.exchange.systems import add_system
from gateway.ledger import Action
from gateway.ledger.records import AgencyRequest, Decision, RequestKind, System
from gateway.model import Agency, AgencyCode, Level
from tests.support.exchange import ABOVE, COMMUNE, DEPARTMENT, PROVINCE, Site

NEW = AgencyCode("H37.22")


@pytest.fixture
def system(site: Site) -> System:
    """A system of the department."""
    return a_system(site, "H37.DN.001", DEPARTMENT)


def a_system(site: Site, id: str, *agencies: AgencyCode) -> System:  # noqa: A002 # the word of the protocols
    add_system(site.ledger, site.box, id=id, name="thử", agencies=agencies, gateway=False, now=site.clock())
    found = site.ledger.find_system(id)
    assert found is not None
    return found[0]


def ask(site: Site, system: System, **changes: Any) -> AgencyRequest:
    asked: dict[str, Any] = {
        "kind": RequestKind.ADD,
        "code": NEW,
        "parent": PROVINCE,
        "name": "UBND xã thử",
        "mail": "vanthu@xa.example",
    }
    return request_agency(site.parts, system, **asked | changes)


def ask_to_delete(site: Site, system: System, code: AgencyCode) -> AgencyRequest:
    return request_agency(site.parts, system, kind=RequestKind.DELETE, code=code)


@pytest.fixture
def store(site: Site) -> DirectoryStore:
    """The directory in the database, which says what the site's does."""
    made = DirectoryStore(site.ledger.engine)
    made.import_agencies(list(site.known.values()), source="test", now=site.clock())
    return made


@pytest.fixture
def approved(site: Site, store: DirectoryStore) -> Callable[..., Agency]:
    """Approves a request; the site's directory then is what the database says."""

    def do(asked: AgencyRequest, **given: Any) -> Agency:
        directory = store.load(site.parts.site)
        agency = approve(site.ledger, store, directory, asked.id, actor="cli:lan", now=site.clock(), **given)
        site.known.clear()
        site.known.update({a.code: a for a in store.export()})
        return agency

    return do


# Asking


def test_asking_changes_nothing_in_the_directory(site: Site, system: System) -> None:
    ask(site, system)
    assert site.parts.directory().find(NEW, at=site.clock()) is None
    [waits] = site.ledger.agency_requests()
    assert (waits.system, waits.code, waits.parent, waits.decision) == ("H37.DN.001", NEW, PROVINCE, None)


def test_asking_again_is_the_same_request(site: Site, system: System) -> None:
    first = ask(site, system)
    assert ask(site, system, name="Tên khác") == first
    assert site.ledger.agency_requests() == [first]


def test_asking_again_after_a_decision_is_a_new_request(site: Site, system: System) -> None:
    first = ask(site, system)
    reject(site.ledger, first.id, reason="Sai mã", actor="cli:lan", now=site.clock())
    assert ask(site, system).id != first.id


def test_two_systems_ask_apart(site: Site, system: System) -> None:
    ask(site, system)
    ask(site, a_system(site, "other", COMMUNE))
    assert [r.system for r in site.ledger.agency_requests()] == ["H37.DN.001", "other"]


def test_the_code_is_kept_in_its_normal_form(site: Site, system: System) -> None:
    assert ask(site, system, code=" h37.22 ").code == NEW


def test_only_so_many_of_one_system_wait(site: Site, system: System) -> None:
    for number in range(3):
        ask(site, system, code=f"H37.3{number}", limit=3)
    with pytest.raises(TooManyRegistrations):
        ask(site, system, limit=3)
    ask(site, a_system(site, "other", COMMUNE), limit=3)


def test_a_repetition_is_answered_when_no_more_are_taken(site: Site, system: System) -> None:
    first = ask(site, system, limit=1)
    assert ask(site, system, limit=1) == first


def test_a_mail_address_is_in_no_event(site: Site, system: System) -> None:
    ask(site, system)
    [requested] = [e for e in site.ledger.events() if e.action is Action.AGENCY_REQUESTED]
    assert "vanthu" not in str(requested)
    assert requested.data["code"] == NEW


@pytest.mark.parametrize(
    "wrong",
    [
        {"code": ""},
        {"code": "x" * 36},
        {"code": "mã số"},
        {"name": " "},
        {"name": None},
        {"name": "x" * 501},
        {"name": "a\nb"},
        {"mail": None},
        {"mail": "x" * 321},
        {"parent": "mã số"},
    ],
)
def test_what_is_missing_or_cannot_be_taken_is_named(site: Site, system: System, wrong: dict[str, Any]) -> None:
    with pytest.raises(RegistrationInvalid) as raised:
        ask(site, system, **wrong)
    assert raised.value.path == next(iter(wrong))


@pytest.mark.parametrize("code", [DEPARTMENT, "H37.14"])
def test_an_agency_that_the_directory_has_cannot_be_added(site: Site, system: System, code: str) -> None:
    with pytest.raises(AgencyKnown):
        ask(site, system, code=code)


def test_a_system_may_ask_to_delete_its_own_agency(site: Site, system: System) -> None:
    asked = ask_to_delete(site, system, AgencyCode("H37.14"))
    assert (asked.kind, asked.code, asked.name, asked.mail) == (RequestKind.DELETE, DEPARTMENT, None, None)


def test_a_system_may_not_ask_to_delete_anothers(site: Site, system: System) -> None:
    with pytest.raises(NotPermitted):
        ask_to_delete(site, system, COMMUNE)


def test_what_is_unknown_cannot_be_deleted(site: Site, system: System) -> None:
    with pytest.raises(NotFound):
        ask_to_delete(site, system, NEW)


def test_what_is_closed_cannot_be_deleted(site: Site, system: System) -> None:
    site.change(DEPARTMENT, valid_to=date(2025, 7, 1), closed_reason="thử")
    with pytest.raises(StateConflict):
        ask_to_delete(site, system, DEPARTMENT)


# Deciding


def test_an_approved_agency_is_in_the_directory_below_its_parent(
    site: Site, system: System, approved: Callable[..., Agency]
) -> None:
    approved(ask(site, system), level=Level.COMMUNE)
    agency = site.parts.directory().find(NEW, at=site.clock())
    assert agency is not None
    assert (agency.name, agency.level, agency.parent, agency.endpoint) == (
        "UBND xã thử",
        Level.COMMUNE,
        PROVINCE,
        None,
    )


def test_what_the_operator_says_wins_over_what_was_asked(
    site: Site, system: System, approved: Callable[..., Agency]
) -> None:
    agency = approved(ask(site, system), level=Level.DEPARTMENT, parent=AgencyCode("H37.14"), name="Chi cục thử")
    assert (agency.parent, agency.name) == (DEPARTMENT, "Chi cục thử")


def test_the_level_must_be_said(site: Site, system: System, approved: Callable[..., Agency]) -> None:
    asked = ask(site, system)
    with pytest.raises(RegistrationInvalid):
        approved(asked)
    assert site.ledger.agency_requests() == [asked]


def test_a_parent_that_nobody_knows_is_not_invented(
    site: Site, system: System, approved: Callable[..., Agency]
) -> None:
    asked = ask(site, system, parent="H37.99")
    with pytest.raises(NotFound):
        approved(asked, level=Level.COMMUNE)
    assert site.ledger.agency_requests() == [asked]


def test_an_approved_deletion_closes_the_agency_as_of_today(
    site: Site, system: System, approved: Callable[..., Agency]
) -> None:
    agency = approved(ask_to_delete(site, system, DEPARTMENT), successors=[PROVINCE], reason="Sáp nhập")
    assert (agency.valid_to, agency.successors, agency.closed_reason) == (
        site.clock().date(),
        (PROVINCE,),
        "Sáp nhập",
    )
    assert agency.endpoint is not None


def test_the_others_stay_as_they_are(site: Site, system: System, approved: Callable[..., Agency]) -> None:
    before = dict(site.known)
    approved(ask(site, system), level=Level.COMMUNE)
    assert {code: a for code, a in site.known.items() if code != NEW} == before


def test_a_decision_is_kept_with_who_made_it_and_why(
    site: Site, system: System, approved: Callable[..., Agency]
) -> None:
    asked = ask(site, system)
    approved(asked, level=Level.COMMUNE, reason="Công văn 12")
    decided = site.ledger.agency_request(asked.id)
    assert decided is not None
    assert (decided.decision, decided.actor, decided.reason) == (Decision.APPROVED, "cli:lan", "Công văn 12")
    assert site.ledger.agency_requests() == []
    assert [r.id for r in site.ledger.agency_requests(undecided=False)] == [asked.id]


def test_a_decision_and_the_change_are_events(site: Site, system: System, approved: Callable[..., Agency]) -> None:
    approved(ask(site, system), level=Level.COMMUNE)
    actions = [e.action for e in site.ledger.events()]
    assert actions[-2:] == [Action.DIRECTORY_CHANGED, Action.AGENCY_REQUEST_DECIDED]


def test_an_approval_that_was_cut_off_can_be_repeated(
    site: Site, system: System, store: DirectoryStore, approved: Callable[..., Agency]
) -> None:
    asked = ask(site, system)
    half_way = Agency(code=NEW, name="UBND xã thử", level=Level.COMMUNE, parent=PROVINCE)
    store.import_agencies([half_way], source="test", now=site.clock(), keep_others=True)
    version = store.version()
    approved(asked, level=Level.COMMUNE)
    assert store.version() == version
    assert site.ledger.agency_requests() == []


def test_an_agency_that_came_by_another_way_meanwhile_is_not_changed(
    site: Site, system: System, store: DirectoryStore, approved: Callable[..., Agency]
) -> None:
    asked = ask(site, system)
    other = Agency(code=NEW, name="Tên khác", level=Level.COMMUNE, parent=PROVINCE)
    store.import_agencies([other], source="test", now=site.clock(), keep_others=True)
    with pytest.raises(AgencyKnown):
        approved(asked, level=Level.COMMUNE)


def test_a_closing_that_contradicts_the_directory_leaves_the_request_open(
    site: Site, system: System, store: DirectoryStore, approved: Callable[..., Agency]
) -> None:
    asked = ask_to_delete(site, system, DEPARTMENT)
    with pytest.raises(DirectoryInvalid):
        approved(asked, successors=[DEPARTMENT])
    assert site.ledger.agency_requests() == [asked]
    assert store.version() == 1


def test_a_rejection_must_say_why(site: Site, system: System) -> None:
    asked = ask(site, system)
    with pytest.raises(ReasonRequired):
        reject(site.ledger, asked.id, reason=" ", actor="cli:lan", now=site.clock())


def test_a_request_is_decided_once(site: Site, system: System, approved: Callable[..., Agency]) -> None:
    asked = ask(site, system)
    reject(site.ledger, asked.id, reason="Sai mã", actor="cli:lan", now=site.clock())
    with pytest.raises(StateConflict):
        reject(site.ledger, asked.id, reason="Sai mã", actor="cli:lan", now=site.clock())
    with pytest.raises(StateConflict):
        approved(asked, level=Level.COMMUNE)


def test_what_was_never_asked_cannot_be_decided(site: Site) -> None:
    with pytest.raises(NotFound):
        reject(site.ledger, "x", reason="Sai mã", actor="cli:lan", now=site.clock())


def test_the_system_of_the_parent_speaks_for_what_was_approved(site: Site, approved: Callable[..., Agency]) -> None:
    below = a_system(site, "H37.DN.002", DEPARTMENT)
    approved(ask(site, below, code="000.01.14.H37", parent=DEPARTMENT), level=Level.DEPARTMENT)
    directory = site.parts.directory()
    assert directory.speaks_for(site.known[DEPARTMENT], AgencyCode("000.01.14.H37"), at=site.clock())
    assert not directory.speaks_for(site.known[ABOVE], AgencyCode("000.01.14.H37"), at=site.clock())
