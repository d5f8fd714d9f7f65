"""What a catalogue's row says, and what place its unit gets."""

from datetime import date
from typing import Any

import pytest

from gateway.directory.catalogue import NOWHERE, Listed, Place, Problem, day_of, listed, place
from gateway.model import AgencyCode, Level
from tests.support.agencies import code, codes
from tests.support.catalogue import a_unit

TODAY = date(2026, 3, 2)
LANG_SON = Place(anchor=code("H37"), level1="H37", tier=Level.PROVINCE, depth=1)


def read(row: dict[str, Any], *, by_level: bool = False) -> Listed:
    unit = listed(row, by_level=by_level)
    assert unit is not None
    return unit


def a_listed(text: str, **changes: Any) -> Listed:
    return read(a_unit("1", text, "2", **changes))


# Rows


def test_a_row_of_the_synchronisation_is_read_whole() -> None:
    unit = read(a_unit("65f", "h37.21", "65e", version=7, centerCode="00.22.W00", deleted=True, isAgency=False))
    assert (unit.id, unit.parent, unit.code, unit.version, unit.centre) == ("65f", "65e", "H37.21", 7, "00.22.W00")
    assert (unit.deleted, unit.modified, unit.is_agency) == (True, date(2024, 5, 6), False)


@pytest.mark.parametrize("key", ["code102", "oldCode"])
def test_the_code_of_the_other_generation_is_read_from_either_list(key: str) -> None:
    assert read({"code": "H37.21", "name": "Sở Tài chính", key: "21.37.H37"}).others == codes("000.21.37.H37")


def test_in_the_lists_by_level_ids_and_places_are_not_believed() -> None:
    unit = read({"id": 5, "pid": 3, "code": "H37.21", "name": "x"}, by_level=True)
    assert (unit.id, unit.parent) == (None, None)


def test_ids_may_be_numbers() -> None:
    assert read({"id": 5, "pid": 0, "code": "H37.21", "name": "x"}).id == "5"


def test_mail_addresses_are_not_kept() -> None:
    assert "example" not in repr(read(a_unit("1", "H37.21")))


def test_a_name_becomes_one_line() -> None:
    assert read({"id": "1", "code": "H37", "name": " Sở\n Tài\u202e chính "}).name == "Sở Tài chính"


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"code": "H37"},
        {"code": "H37", "name": " "},
        {"code": "sở tài chính", "name": "x"},
        {"code": 5, "name": "x"},
    ],
    ids=["nothing", "no name", "a blank name", "a name for a code", "a number for a code"],
)
def test_what_could_not_be_found_is_not_read(row: dict[str, Any]) -> None:
    assert listed(row) is None


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2025-07-01", date(2025, 7, 1)),
        ("2025-06-30T17:00:00Z", date(2025, 7, 1)),  # midnight in Vietnam
        ("2025-07-01 00:00:00.0", date(2025, 7, 1)),
        ("2025/07/01 10:00:00", date(2025, 7, 1)),
        ("01/07/2025 10:00:00", date(2025, 7, 1)),
        (1751302800000, date(2025, 7, 1)),
        ("1751302800000", date(2025, 7, 1)),
        ("31/02/2025", None),
        ("Jul 1, 2025 12:00:00 AM", None),
        (1751302800, None),  # seconds or what else
        ("", None),
        (None, None),
        (True, None),
    ],
)
def test_days_are_read_in_every_form_that_means_one_day(written: object, day: date | None) -> None:
    assert day_of(written) == day


# Places


def test_a_unit_stands_below_its_parent() -> None:
    placed = place(a_listed("H37.21", name="Sở Tài chính"), codes("000.21.00.H37"), LANG_SON, closed_on=TODAY)
    assert placed.agency is not None
    assert (placed.agency.parent, placed.agency.level, placed.agency.aliases) == (
        "H37",
        Level.DEPARTMENT,
        ("000.21.00.H37",),
    )
    assert placed.place == Place(anchor=code("H37.21"), level1="H37", tier=Level.DEPARTMENT, depth=2)


def test_a_code_of_another_province_than_the_parents_is_not_taken() -> None:
    placed = place(a_listed("H44.21"), (), LANG_SON, closed_on=TODAY)
    assert (placed.agency, placed.problem) == (None, Problem.OTHER_PROVINCE)


def test_what_stands_below_a_unit_that_is_not_taken_is_judged_by_the_province_above() -> None:
    outside = place(a_listed("H44.21"), (), LANG_SON, closed_on=TODAY).place
    assert place(a_listed("H44.21.1"), (), outside, closed_on=TODAY).problem is Problem.OTHER_PROVINCE
    below = place(a_listed("H37.21.1"), (), outside, closed_on=TODAY)
    assert below.agency is not None
    assert below.agency.parent == "H37"


@pytest.mark.parametrize(("text", "level"), [("H44", Level.PROVINCE), ("000.00.00.G22", Level.NATIONAL)])
def test_provinces_and_ministries_stand_below_nobody(text: str, level: Level) -> None:
    placed = place(a_listed(text), (), LANG_SON, closed_on=TODAY)
    assert placed.agency is not None
    assert (placed.agency.parent, placed.agency.level, placed.problem) == (None, level, None)


def test_centres_are_hidden_and_claim_nothing_of_what_they_connect() -> None:
    centre = place(a_listed("00.22.W00"), (), LANG_SON, closed_on=TODAY)
    assert centre.agency is not None
    assert (centre.agency.hidden, centre.place) == (True, NOWHERE)


def test_what_only_groups_others_is_hidden() -> None:
    placed = place(a_listed("H37.21", isAgency=False), (), LANG_SON, closed_on=TODAY)
    assert placed.agency is not None
    assert placed.agency.hidden


def test_a_deleted_unit_is_closed_and_says_why() -> None:
    placed = place(a_listed("H37.21", deleted=True), (), LANG_SON, closed_on=date(2025, 7, 1))
    assert placed.agency is not None
    assert placed.agency.valid_to == date(2025, 7, 1)
    assert placed.agency.closed_reason


def test_codes_of_neither_generation_stand_where_they_are_listed() -> None:
    placed = place(a_listed("vxp.saas.03"), (), LANG_SON, closed_on=TODAY)
    assert placed.agency is not None
    assert (placed.agency.parent, placed.place.level1) == ("H37", "H37")


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("UBND xã Hòa Tiến", Level.COMMUNE),
        ("Ủy ban nhân dân phường Đồng Đăng", Level.COMMUNE),
        ("Đặc khu Vân Đồn", Level.COMMUNE),
        ("UBND thị xã Hồng Lĩnh", Level.DISTRICT),
        ("UBND huyện Cao Lộc", Level.DISTRICT),
        ("Sở Xã hội", Level.DEPARTMENT),
        ("Xãng", Level.DEPARTMENT),
    ],
)
def test_the_level_is_read_from_the_name(name: str, level: Level) -> None:
    placed = place(a_listed("H37.21", name=name), (), LANG_SON, closed_on=TODAY)
    assert placed.agency is not None
    assert placed.agency.level is level


def test_below_a_department_there_are_no_communes() -> None:
    office = Place(anchor=AgencyCode("H37.21"), level1="H37", tier=Level.DEPARTMENT, depth=2)
    placed = place(a_listed("H37.21.1", name="Phường đội"), (), office, closed_on=TODAY)
    assert placed.agency is not None
    assert placed.agency.level is Level.DEPARTMENT
