"""Systems: who they are, for whom they speak, and their secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import (
    KeyUnusable,
    NotAuthenticated,
    NotFound,
    SenderClosed,
    SenderNotAllowed,
    StateConflict,
    SystemInvalid,
    UnknownRecipient,
)
from gateway.exchange.accept import Answer, accept
from gateway.exchange.systems import (
    LiveSystem,
    SecretBox,
    Systems,
    acting,
    add_system,
    callers,
    change_system,
    list_systems,
    revoke_system,
    rotate_secret,
)
from gateway.exchange.upload import upload_of
from gateway.ledger import Action
from gateway.ledger.records import System
from gateway.model import AgencyCode, Hop
from tests.support import documents
from tests.support.exchange import COMMUNE, DEPARTMENT, PROVINCE, PUSHED, Site

REMEMBERED = timedelta(seconds=5)
OVERLAP = timedelta(days=3)


def add(site: Site, id: str = "H37.DN.001", *, agencies: Sequence[AgencyCode] = (COMMUNE,), **changes: bool) -> str:  # noqa: A002 # as add_system
    return add_system(
        site.ledger,
        site.box,
        id=id,
        name="eOffice thử",
        agencies=agencies,
        gateway=changes.get("gateway", False),
        now=site.clock(),
    )


def known_to(site: Site) -> Systems:
    return Systems(ledger=site.ledger, box=site.box, clock=site.clock)


def found(site: Site, id: str = "H37.DN.001") -> LiveSystem | None:  # noqa: A002 # as above
    """As a process that has just started finds it."""
    return known_to(site).find(id)


def secrets_of(site: Site) -> tuple[str, ...] | None:
    live = found(site)
    return None if live is None else live.secrets


def a_system(*agencies: AgencyCode) -> System:
    return System(id="x", name="x", agencies=agencies, gateway=False, created_at=documents.SENT_AT)


# Finding


def test_a_system_is_found_with_its_secret(site: Site) -> None:
    secret = add(site, agencies=(COMMUNE, PROVINCE), gateway=True)
    live = found(site)
    assert live is not None
    assert live.secrets == (secret,)
    assert (live.system.name, live.system.agencies, live.system.gateway) == ("eOffice thử", (COMMUNE, PROVINCE), True)


def test_an_unknown_system_is_not_found(site: Site) -> None:
    add(site)
    assert found(site, "H37.DN.002") is None


@pytest.mark.parametrize("id", ["", "a b", "hệ-thống", "x" * 65, "a\n", "a\0"])
def test_an_id_that_no_system_can_have_is_not_found(site: Site, id: str) -> None:  # noqa: A002 # as above
    assert found(site, id) is None


def test_a_revoked_system_is_not_found(site: Site) -> None:
    add(site)
    revoke_system(site.ledger, "H37.DN.001", site.clock())
    assert found(site) is None


def test_a_revocation_is_noticed_within_five_seconds(site: Site) -> None:
    add(site)
    systems = known_to(site)
    assert systems.find("H37.DN.001") is not None
    revoke_system(site.ledger, "H37.DN.001", site.clock())
    site.clock.now += REMEMBERED
    assert systems.find("H37.DN.001") is None


def test_a_busy_system_costs_no_query_for_each_request(site: Site) -> None:
    add(site)
    systems = known_to(site)
    first = systems.find("H37.DN.001")
    assert systems.find("H37.DN.001") is first


def test_a_system_that_was_not_there_is_found_as_soon_as_it_is(site: Site) -> None:
    systems = known_to(site)
    assert systems.find("H37.DN.001") is None
    add(site)
    assert systems.find("H37.DN.001") is not None


# Adding


@pytest.mark.parametrize("id", ["a", "H37.DN.001", "vxp.saas.03", "!~", "x" * 64])
def test_an_id_has_up_to_64_printable_ascii_characters(site: Site, id: str) -> None:  # noqa: A002 # as above
    add(site, id)
    assert found(site, id) is not None


@pytest.mark.parametrize("id", ["", "a b", "hệ-thống", "x" * 65, "a\n", "a\0", "\x7f"])
def test_another_id_is_refused(site: Site, id: str) -> None:  # noqa: A002 # as above
    with pytest.raises(SystemInvalid):
        add(site, id)


def test_a_system_must_speak_for_somebody(site: Site) -> None:
    with pytest.raises(SystemInvalid):
        add(site, agencies=())


def test_an_id_is_given_once_even_after_it_was_revoked(site: Site) -> None:
    add(site)
    revoke_system(site.ledger, "H37.DN.001", site.clock())
    with pytest.raises(StateConflict):
        add(site)


def test_systems_are_listed_by_id_revoked_ones_included(site: Site) -> None:
    add(site, "b")
    add(site, "a")
    revoke_system(site.ledger, "b", site.clock())
    assert [(s.id, s.revoked_at is None) for s in list_systems(site.ledger)] == [("a", True), ("b", False)]


def test_revoking_twice_keeps_the_first_time(site: Site) -> None:
    add(site)
    first = revoke_system(site.ledger, "H37.DN.001", site.clock())
    site.clock.forward(days=1)
    assert revoke_system(site.ledger, "H37.DN.001", site.clock()) == first


def test_a_system_speaks_for_other_agencies_once_it_is_changed(site: Site) -> None:
    add(site)
    systems = known_to(site)
    systems.find("H37.DN.001")
    change_system(site.ledger, "H37.DN.001", agencies=[PROVINCE, DEPARTMENT], now=site.clock())
    site.clock.now += REMEMBERED
    live = systems.find("H37.DN.001")
    assert live is not None
    assert (live.system.agencies, live.system.name) == ((PROVINCE, DEPARTMENT), "eOffice thử")


def test_a_change_is_an_event_that_says_for_whom_it_speaks_now(site: Site) -> None:
    add(site)
    change_system(site.ledger, "H37.DN.001", agencies=[PROVINCE], now=site.clock(), actor="cli:lan")
    last = site.ledger.events()[-1]
    assert (last.action, last.actor) == (Action.SYSTEM_CHANGED, "cli:lan")
    assert last.data == {"system": "H37.DN.001", "agencies": [PROVINCE]}


@pytest.mark.parametrize("wrong", [{"name": " "}, {"agencies": ()}])
def test_a_system_is_not_changed_into_none(site: Site, wrong: dict[str, Any]) -> None:
    add(site)
    with pytest.raises(SystemInvalid):
        change_system(site.ledger, "H37.DN.001", now=site.clock(), **wrong)


def test_what_is_unknown_cannot_be_changed(site: Site) -> None:
    with pytest.raises(NotFound):
        change_system(site.ledger, "x", name="y", now=site.clock())


def test_what_is_unknown_cannot_be_revoked(site: Site) -> None:
    with pytest.raises(NotFound):
        revoke_system(site.ledger, "x", site.clock())


def test_adding_rotating_and_revoking_are_events_without_secrets(site: Site) -> None:
    first = add(site)
    second = rotate_secret(site.ledger, site.box, "H37.DN.001", overlap=OVERLAP, now=site.clock(), actor="cli:lan")
    revoke_system(site.ledger, "H37.DN.001", site.clock())
    events = site.ledger.events()
    assert [e.action for e in events] == [Action.SYSTEM_ADDED, Action.SYSTEM_SECRET_ROTATED, Action.SYSTEM_REVOKED]
    assert events[1].actor == "cli:lan"
    told = str([e.data for e in events])
    assert first not in told
    assert second not in told


# Secrets


def test_both_secrets_work_during_the_overlap_the_newest_first(site: Site) -> None:
    first = add(site)
    second = rotate_secret(site.ledger, site.box, "H37.DN.001", overlap=OVERLAP, now=site.clock())
    assert secrets_of(site) == (second, first)


def test_the_former_secret_ends_with_the_overlap(site: Site) -> None:
    add(site)
    second = rotate_secret(site.ledger, site.box, "H37.DN.001", overlap=OVERLAP, now=site.clock())
    site.clock.now += OVERLAP
    assert secrets_of(site) == (second,)


def test_without_overlap_the_former_secret_ends_at_once(site: Site) -> None:
    add(site)
    second = rotate_secret(site.ledger, site.box, "H37.DN.001", overlap=timedelta(0), now=site.clock())
    assert secrets_of(site) == (second,)


def test_a_second_rotation_does_not_lengthen_the_first_overlap(site: Site) -> None:
    first = add(site)
    rotate_secret(site.ledger, site.box, "H37.DN.001", overlap=timedelta(hours=1), now=site.clock())
    rotate_secret(site.ledger, site.box, "H37.DN.001", overlap=OVERLAP, now=site.clock())
    site.clock.forward(hours=1)
    left = secrets_of(site)
    assert left is not None
    assert first not in left
    assert len(left) == 2


def test_a_running_process_takes_the_new_secret_within_five_seconds(site: Site) -> None:
    add(site)
    systems = known_to(site)
    systems.find("H37.DN.001")
    second = rotate_secret(site.ledger, site.box, "H37.DN.001", overlap=OVERLAP, now=site.clock())
    site.clock.now += REMEMBERED
    live = systems.find("H37.DN.001")
    assert live is not None
    assert live.secrets[0] == second


def test_the_secret_of_a_revoked_system_cannot_be_rotated(site: Site) -> None:
    add(site)
    revoke_system(site.ledger, "H37.DN.001", site.clock())
    with pytest.raises(StateConflict):
        rotate_secret(site.ledger, site.box, "H37.DN.001", overlap=OVERLAP, now=site.clock())


def test_the_database_holds_no_secret_in_the_clear(site: Site) -> None:
    secret = add(site)
    kept = site.ledger.find_system("H37.DN.001")
    assert kept is not None
    [sealed] = kept[1]
    assert secret not in sealed.sealed
    assert site.box.open(sealed.sealed) == secret


def test_a_system_in_a_traceback_shows_no_secret(site: Site) -> None:
    secret = add(site)
    assert secret not in repr(found(site))


def test_the_key_is_its_owners_alone(site: Site, tmp_path: Path) -> None:
    add(site)
    assert (tmp_path / "systems.key").stat().st_mode & 0o777 == 0o600


def test_a_key_is_made_once(tmp_path: Path) -> None:
    made = [SecretBox(tmp_path / "systems.key").make_key() for _ in range(2)]
    assert made == [True, False]
    assert [p.name for p in tmp_path.iterdir()] == ["systems.key"]


def test_another_process_opens_what_was_sealed(tmp_path: Path) -> None:
    sealed = SecretBox(tmp_path / "systems.key").seal("bí mật")
    assert SecretBox(tmp_path / "systems.key").open(sealed) == "bí mật"


@pytest.mark.parametrize("content", [None, b"", b"not a key"])
def test_without_its_key_a_system_is_an_operators_matter(site: Site, tmp_path: Path, content: bytes | None) -> None:
    add(site)
    key = tmp_path / "systems.key"
    key.unlink()
    if content is not None:
        key.write_bytes(content)
    with pytest.raises(KeyUnusable):
        Systems(ledger=site.ledger, box=SecretBox(key), clock=site.clock).find("H37.DN.001")


def test_a_lost_key_is_not_replaced_unnoticed(site: Site, tmp_path: Path) -> None:
    add(site)
    (tmp_path / "systems.key").unlink()
    with pytest.raises(KeyUnusable):
        add_system(
            site.ledger,
            SecretBox(tmp_path / "systems.key"),
            id="y",
            name="y",
            agencies=(COMMUNE,),
            gateway=False,
            now=site.clock(),
        )


def test_after_a_lost_key_a_rotation_without_overlap_brings_a_system_back(site: Site, tmp_path: Path) -> None:
    add(site)
    (tmp_path / "systems.key").unlink()
    site.box = SecretBox(tmp_path / "systems.key")
    site.box.make_key()
    with pytest.raises(KeyUnusable):
        found(site)
    second = rotate_secret(site.ledger, site.box, "H37.DN.001", overlap=timedelta(0), now=site.clock())
    assert secrets_of(site) == (second,)


# For whom it speaks


def test_a_system_speaks_for_its_agencies_and_those_reached_through_them(site: Site) -> None:
    department, below = site.known[DEPARTMENT], AgencyCode("000.01.14.H37")
    site.known[below] = replace(department, code=below, aliases=(), parent=DEPARTMENT, endpoint=None)
    directory = site.parts.directory()
    system = a_system(COMMUNE, DEPARTMENT)
    speakers = {code: acting(system, directory, code, site.clock()) for code in (COMMUNE, DEPARTMENT, below)}
    assert speakers == {COMMUNE: site.known[COMMUNE], DEPARTMENT: department, below: department}


def test_a_system_speaks_for_no_others(site: Site) -> None:
    system = a_system(COMMUNE, DEPARTMENT)
    assert acting(system, site.parts.directory(), PUSHED, site.clock()) is None


def test_a_system_speaks_for_an_agency_under_any_of_its_codes(site: Site) -> None:
    found_by = acting(a_system(DEPARTMENT), site.parts.directory(), AgencyCode("H37.14"), site.clock())
    assert found_by == site.known[DEPARTMENT]


def test_agencies_that_the_directory_has_no_more_are_left_out(site: Site) -> None:
    system = a_system(AgencyCode("H37.99"), COMMUNE)
    assert callers(system, site.parts.directory(), site.clock()) == [site.known[COMMUNE]]


# Handing over


def hand_over(site: Site, *speakers: AgencyCode, sender: AgencyCode = DEPARTMENT) -> Answer:
    raw = documents.a_package(
        sender=documents.an_organization(sender), recipients=(documents.an_organization(PROVINCE),)
    )
    agencies = [site.known[code] for code in speakers]
    return accept(site.parts, upload_of(raw), caller=agencies, system="H37.DN.001")


def test_of_several_agencies_the_one_that_speaks_for_the_sender_hands_over(site: Site) -> None:
    answer = hand_over(site, COMMUNE, DEPARTMENT)
    document = site.ledger.document(answer.document_id)
    assert document is not None
    assert document.received_from == DEPARTMENT


def test_the_event_of_acceptance_names_the_system(site: Site) -> None:
    answer = hand_over(site, DEPARTMENT)
    trace = site.ledger.trace(answer.document_id)
    assert trace is not None
    assert trace.events[0].data["system"] == "H37.DN.001"


def test_a_package_of_an_agency_that_the_system_does_not_speak_for_is_refused_under_its_first(site: Site) -> None:
    with pytest.raises(SenderNotAllowed):
        hand_over(site, COMMUNE, PUSHED)
    [refusal] = site.ledger.refusals()
    assert (refusal.code, refusal.credential_agency) == ("sender.not_allowed", COMMUNE)


def test_a_refusal_for_another_reason_is_recorded_under_who_hands_over(site: Site) -> None:
    raw = documents.a_package(recipients=(documents.an_organization("H37.99"),))
    agencies = [site.known[code] for code in (COMMUNE, DEPARTMENT)]
    with pytest.raises(UnknownRecipient):
        accept(site.parts, upload_of(raw), caller=agencies)
    [refusal] = site.ledger.refusals()
    assert refusal.credential_agency == DEPARTMENT


def test_a_system_whose_agencies_are_gone_hands_nothing_over(site: Site) -> None:
    with pytest.raises(NotAuthenticated):
        hand_over(site)


def closed_below(site: Site, holder: AgencyCode) -> AgencyCode:
    """An agency reached through another, closed since it sent its document."""
    closed = AgencyCode("H37.21.1")
    site.known[closed] = replace(
        site.known[holder], code=closed, parent=holder, endpoint=None, valid_to=date(2026, 3, 5), closed_reason="thử"
    )
    return closed


def sent_before_it_closed(closed: AgencyCode) -> bytes:
    return documents.a_package(
        sender=documents.an_organization(closed),
        recipients=(documents.an_organization(PROVINCE),),
        trace=(Hop(code=closed, at=datetime(2026, 3, 4, tzinfo=UTC)),),
    )


def test_what_a_gateway_accepted_before_its_sender_closed_is_taken_from_it(site: Site) -> None:
    raw = sent_before_it_closed(closed_below(site, COMMUNE))
    accept(site.parts, upload_of(raw), caller=[site.known[COMMUNE]], system="x", by_gateway=True)
    assert site.ledger.refusals() == []


def test_a_system_that_is_no_gateway_has_no_grace_for_a_closed_sender(site: Site) -> None:
    raw = sent_before_it_closed(closed_below(site, COMMUNE))
    with pytest.raises(SenderClosed):
        accept(site.parts, upload_of(raw), caller=[site.known[COMMUNE]], system="x")
