"""The catalogue over the national kit's protocol, and what systems ask of it."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Mapping
from datetime import UTC, date, datetime

import pytest

from gateway.api.vxp import shapes
from gateway.directory import Directory, LocalSite
from gateway.model import Agency, AgencyCode, Level
from tests.support.exchange import ABOVE, COMMUNE, DEPARTMENT, PROVINCE, PUSHED, Site
from tests.support.vxp import VxpSite, VxpSystem, a_vxp, failed, rows, succeeded

LEARNT = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
def system(site: Site) -> VxpSystem:
    """The department's."""
    return a_vxp(site, changed=LEARNT).system(DEPARTMENT)


def by_code(system: VxpSystem, call: str, **logical: str) -> Mapping[str, Mapping[str, object]]:
    return {row["code"]: row for row in rows(system.call(call, **logical))}


def test_the_list_has_both_generations_of_codes(system: VxpSystem) -> None:
    found = by_code(system, "getAgenciesList")
    assert found[DEPARTMENT] == {
        "id": DEPARTMENT, "pid": PROVINCE, "code": DEPARTMENT, "name": "Sở Kiểm thử", "mail": "", "oldCode": "H37.14",
    }  # fmt: skip
    assert (found[COMMUNE]["oldCode"], found[PROVINCE]["pid"]) == ("", "")


def test_agencies_that_do_not_exist_are_not_listed(site: Site, system: VxpSystem) -> None:
    site.change(PUSHED, valid_to=date(2025, 7, 1))
    site.change(COMMUNE, valid_from=date(2027, 1, 1))
    assert {PUSHED, COMMUNE}.isdisjoint(by_code(system, "getAgenciesList"))


def test_the_list_by_level_goes_by_the_new_codes(system: VxpSystem) -> None:
    assert set(by_code(system, "getAgenciesListQD20", level="1")) == {"H37"}
    second = by_code(system, "getAgenciesListQD20", level="2")
    assert set(second) == {"H37.14", COMMUNE}
    assert second["H37.14"]["code102"] == DEPARTMENT
    assert set(by_code(system, "getAgenciesListQD20")) == {"H37", "H37.14", COMMUNE}


def test_a_level_that_is_no_number_is_refused(system: VxpSystem) -> None:
    assert failed(system.call("getAgenciesListQD20", level="one")) == ("400", "request.invalid")


def test_units_have_the_version_of_their_last_change(system: VxpSystem) -> None:
    unit = by_code(system, "getSynchronizeUnit")[DEPARTMENT]
    assert (unit["version"], unit["modifyDate"]) == (int(LEARNT.timestamp()), "2026/02/01 07:00:00")
    assert (unit["deleted"], unit["isAgency"], unit["centerCode"]) == (False, True, DEPARTMENT)
    assert isinstance(unit["version"], int)


def test_a_centre_among_the_units_is_no_agency(system: VxpSystem) -> None:
    assert by_code(system, "getSynchronizeUnit")[ABOVE]["isAgency"] is False


def test_a_closed_unit_is_deleted_as_of_the_day_on_which_it_closed(site: Site, system: VxpSystem) -> None:
    site.change(PUSHED, valid_to=date(2025, 7, 1))
    unit = by_code(system, "getSynchronizeUnit")[PUSHED]
    assert (unit["deleted"], unit["modifyDate"]) == (True, "2025/07/01 00:00:00")
    assert unit["version"] == int(LEARNT.timestamp()), "learnt of later than it happened"


def test_a_unit_that_closed_since_the_directory_learnt_of_it_has_a_new_version(site: Site, system: VxpSystem) -> None:
    site.change(PUSHED, valid_to=date(2026, 3, 1))
    version = by_code(system, "getSynchronizeUnit")[PUSHED]["version"]
    assert version == int(datetime(2026, 2, 28, 17, tzinfo=UTC).timestamp())


def test_a_unit_to_come_is_not_there_yet(site: Site, system: VxpSystem) -> None:
    site.change(PUSHED, valid_from=date(2027, 1, 1))
    assert PUSHED not in by_code(system, "getSynchronizeUnit")


def test_a_catalogue_of_the_country_is_never_in_memory_as_one() -> None:
    local = LocalSite(code=PROVINCE, first_levels=frozenset({"H37"}))
    directory = Directory(
        [Agency(code=AgencyCode(f"H{i % 63:02}.{i}"), name=f"Cơ quan {i}", level=Level.COMMUNE) for i in range(30_000)],
        local,
    )
    tracemalloc.start()
    try:
        size = sum(len(json.dumps(unit)) for unit in shapes.units(directory, lambda codes: {}, at=LEARNT))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 4_000_000
    assert most < 1_500_000


# Wishes


WISH = {"id": "1", "pcode": PROVINCE, "code": "H37.99", "name": "Xã Mới", "mail": "vt@example.vn", "mobile": "0"}


def register(system: VxpSystem, **changes: object) -> tuple[str, str] | None:
    answer = system.call("registerAgency", json.dumps(WISH | changes).encode(), kind="application/json")
    content = json.loads(answer.data)
    return None if content["status"] == "OK" else failed(answer)


def test_a_registration_waits_for_an_operator(site: Site, system: VxpSystem) -> None:
    assert register(system) is None
    [asked] = site.ledger.agency_requests()
    assert (asked.kind, asked.code, asked.parent, asked.name) == ("add", "H37.99", PROVINCE, "Xã Mới")
    assert site.parts.directory().find("H37.99", at=site.clock()) is None


def test_a_registration_said_again_is_the_same(site: Site, system: VxpSystem) -> None:
    assert [register(system), register(system)] == [None, None]
    assert len(site.ledger.agency_requests()) == 1


@pytest.mark.parametrize("missing", ["code", "name", "mail"])
def test_a_registration_needs_code_name_and_mail(system: VxpSystem, missing: str) -> None:
    assert register(system, **{missing: None}) == ("400", "registration.invalid")


def test_a_registration_of_what_is_no_text_is_refused(system: VxpSystem) -> None:
    assert register(system, name=["x"]) == ("400", "registration.invalid")


def test_a_code_that_is_taken_is_not_registered(system: VxpSystem) -> None:
    assert register(system, code=COMMUNE) == ("409", "registration.agency_known")


def test_registrations_that_wait_are_bounded(site: Site, system: VxpSystem) -> None:
    answers = [register(system, code=f"H37.{i}") for i in range(1_000, 1_101)]
    assert set(answers[:100]) == {None}
    assert answers[100] == ("429", "registration.too_many")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"[" * 5_000, b"\xff"])
def test_a_registration_that_is_no_object_is_refused(system: VxpSystem, body: bytes) -> None:
    assert failed(system.call("registerAgency", body)) == ("400", "request.invalid")


def test_a_registration_of_many_bytes_is_refused_by_http_too(system: VxpSystem) -> None:
    answer = system.call("registerAgency", b" " * 70_000)
    assert (answer.status_code, failed(answer)) == (413, ("10", "request.body_too_large"))


def test_a_deletion_waits_for_an_operator(site: Site, system: VxpSystem) -> None:
    succeeded(system.call("deleteAgency", AgencyCode="H37.14"))
    [asked] = site.ledger.agency_requests()
    assert (asked.kind, asked.code) == ("delete", DEPARTMENT)
    assert site.parts.directory().find(DEPARTMENT, at=site.clock()) is not None


def test_another_agency_cannot_be_deleted(system: VxpSystem) -> None:
    assert failed(system.call("deleteAgency", AgencyCode=COMMUNE)) == ("403", "request.not_permitted")


def test_a_deletion_needs_a_code(system: VxpSystem) -> None:
    assert failed(system.call("deleteAgency")) == ("400", "registration.invalid")


def test_a_wish_is_kept_for_the_system_that_had_it(site: Site) -> None:
    vxp: VxpSite = a_vxp(site)
    assert register(vxp.system(COMMUNE, id="one")) is None
    assert [asked.system for asked in site.ledger.agency_requests()] == ["one"]
