"""Finding agencies by any code at any moment, and who reaches and speaks for whom."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.directory.describe import describe
from gateway.directory.directory import Directory, LocalSite, closed_at, exists_at
from gateway.errors import DirectoryInvalid
from gateway.model import AgencyCode, Level
from tests.support.agencies import (
    BEFORE_JULY,
    LANG_SON,
    MAILBOX,
    NATIONAL,
    NOW,
    PEER,
    PUSH,
    SINCE_JULY,
    a_directory,
    an_agency,
    code,
)

JULY = date(2025, 7, 1)

AXIS = an_agency("000.00.22.W00", level=Level.NATIONAL, endpoint=PEER, hidden=True)
PROVINCE = an_agency("000.00.00.H37", "H37", level=Level.PROVINCE, name="UBND tỉnh Lạng Sơn", endpoint=MAILBOX)
DEPARTMENT = an_agency("000.00.14.H37", "H37.14", parent="000.00.00.H37", endpoint=PUSH)
OFFICE = an_agency("000.01.14.H37", "H37.14.1", parent="H37.14")
DISTRICT = an_agency(
    "000.00.24.H37",
    "H37.24",
    level=Level.DISTRICT,
    parent="H37",
    endpoint=MAILBOX,
    valid_to=JULY,
    successors=("H37.21", "H37.22"),
)
COMMUNE = an_agency("H37.21", "000.21.24.H37", level=Level.COMMUNE, parent="H37", endpoint=MAILBOX)
OTHER_COMMUNE = an_agency("H37.22", level=Level.COMMUNE, parent="H37")
STATION = an_agency("000.27.24.H37", parent="000.00.24.H37")
NEIGHBOUR = an_agency("000.00.00.H38", "H38", level=Level.PROVINCE)
ALL = [AXIS, PROVINCE, DEPARTMENT, OFFICE, DISTRICT, COMMUNE, OTHER_COMMUNE, STATION, NEIGHBOUR]


@pytest.fixture
def directory() -> Directory:
    return a_directory(ALL)


# Codes


@pytest.mark.parametrize("written", ["H37.14", "h37.14", " 000.00.14.H37 ", "00.14.h37", "14.H37"])
def test_every_writing_of_a_code_finds_the_agency(directory: Directory, written: str) -> None:
    assert directory.find(written, at=NOW) is DEPARTMENT


@pytest.mark.parametrize("written", ["", "   ", "H37.99", "H37.14.", "vxp.saas.03", "0" * 100_000])
def test_a_code_that_nobody_has_finds_nothing(directory: Directory, written: str) -> None:
    assert directory.find(written, at=NOW) is None


@given(st.data())
def test_every_code_of_every_agency_finds_it(data: st.DataObject) -> None:
    numbers = data.draw(st.sets(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=20))
    agencies = [an_agency(f"000.{a:02}.{b:02}.H37", f"H37.{b}.{a}") for a, b in numbers]
    directory = a_directory(agencies)
    for agency in agencies:
        for written in agency.codes:
            shouted = data.draw(
                st.sampled_from([written, written.lower(), f" {written}", written.removeprefix("000.")])
            )
            assert directory.find(shouted, at=NOW) == agency
            assert directory.get(shouted) == agency


def test_a_code_that_was_passed_on_means_its_holder_of_the_time() -> None:
    old = an_agency("H38.CU", "000.00.00.H38", level=Level.PROVINCE, valid_to=JULY)
    new = an_agency("H38.MOI", "000.00.00.H38", level=Level.PROVINCE, valid_from=JULY)
    directory = a_directory([new, old])
    assert directory.find("000.00.00.H38", at=BEFORE_JULY) == old
    assert directory.find("000.00.00.H38", at=SINCE_JULY) == new


def test_a_closed_agency_is_still_found(directory: Directory) -> None:
    assert directory.find("H37.24", at=NOW) is DISTRICT


def test_an_agency_is_not_found_before_it_was_founded() -> None:
    directory = a_directory([an_agency("H37.9", valid_from=JULY)])
    assert directory.find("H37.9", at=BEFORE_JULY) is None
    assert directory.find("H37.9", at=SINCE_JULY) is not None


def test_agencies_close_at_midnight_in_vietnam() -> None:
    assert not closed_at(DISTRICT, BEFORE_JULY)
    assert closed_at(DISTRICT, SINCE_JULY)
    assert exists_at(DISTRICT, BEFORE_JULY)


def test_a_naive_moment_is_refused(directory: Directory) -> None:
    with pytest.raises(ValueError, match="aware"):
        directory.find("H37", at=datetime(2025, 7, 1))  # noqa: DTZ001 - the mistake under test


def test_one_primary_code_names_one_agency() -> None:
    with pytest.raises(DirectoryInvalid) as caught:
        a_directory([an_agency("H37"), an_agency("H37")])
    assert caught.value.path == "H37"


def test_children_are_found_under_any_code_of_the_parent(directory: Directory) -> None:
    assert {a.code for a in directory.children("H37")} == {"000.00.14.H37", "000.00.24.H37", "H37.21", "H37.22"}
    assert directory.children("H37.99") == ()


# Search


def test_search_ignores_accents_and_ranks_codes_then_beginnings_then_parts() -> None:
    by_code = an_agency("H37.1", name="Sở Xây dựng")
    by_word = an_agency("H38.5", name="Xã Hồng H37")
    by_part = an_agency("H38.6", name="Trường ThH37x")
    directory = a_directory([by_part, by_word, by_code])
    assert directory.search("h37") == (by_code, by_word, by_part)


def test_search_finds_by_words_in_any_order_and_by_what_people_write_short(directory: Directory) -> None:
    assert directory.search("son lang") == (PROVINCE,)
    assert directory.search("uỷ ban nhân dân tỉnh lạng") == (PROVINCE,)
    assert directory.search("UBND lạng sơn") == (PROVINCE,)
    assert directory.search("nobody at all") == ()


def test_search_leaves_out_hidden_agencies_unless_asked(directory: Directory) -> None:
    assert directory.search("W00") == ()
    assert directory.search("W00", hidden=True) == (AXIS,)


def test_search_may_leave_out_what_does_not_exist(directory: Directory) -> None:
    assert directory.search("H37.24", at=NOW) == ()
    assert directory.search("H37.24", at=BEFORE_JULY) == (DISTRICT,)


def test_search_returns_as_many_as_asked_each_once(directory: Directory) -> None:
    assert len(directory.search("co quan", limit=3)) == 3
    everything = directory.search("", limit=100, hidden=True)
    assert sorted(a.code for a in everything) == sorted(a.code for a in ALL)
    assert directory.search("co quan", limit=0) == ()


# Time


def test_one_successor_takes_the_place_through_a_chain() -> None:
    a = an_agency("H37.1", valid_to=date(2020, 1, 1), successors=("H37.2",))
    b = an_agency("H37.2", valid_to=JULY, successors=("H37.3",))
    c = an_agency("H37.3")
    directory = a_directory([a, b, c])
    assert directory.successor(a, at=BEFORE_JULY) is b
    assert directory.successor(a, at=NOW) is c
    assert directory.successor(c, at=NOW) is c


def test_those_whose_place_an_agency_takes_are_those_whose_successor_it_is() -> None:
    a = an_agency("H37.1", valid_to=date(2020, 1, 1), successors=("H37.2",))
    b = an_agency("H37.2", valid_to=JULY, successors=("H37.33",))
    c = an_agency("H37.3", "H37.33")
    divided = an_agency("H37.4", valid_to=JULY, successors=("H37.3", "H37.5"))
    to_close = an_agency("H37.6", valid_to=date(2999, 1, 1), successors=("H37.3",))
    directory = a_directory([a, b, c, divided, to_close, an_agency("H37.5")])
    assert directory.predecessors(c, at=NOW) == (b, a)
    assert directory.predecessors(b, at=BEFORE_JULY) == (a,)
    assert directory.predecessors(c, at=BEFORE_JULY) == directory.predecessors(b, at=NOW) == ()
    for agency in directory.agencies():
        assert all(directory.successor(p, at=NOW) is agency for p in directory.predecessors(agency, at=NOW))


def test_several_successors_are_no_successor_but_choices(directory: Directory) -> None:
    assert directory.successor(DISTRICT, at=NOW) is None
    assert directory.heirs(DISTRICT, at=NOW) == (COMMUNE, OTHER_COMMUNE)


def test_choices_are_living_agencies() -> None:
    gone = an_agency("H37.2", valid_to=JULY, successors=("H37.4",))
    directory = a_directory(
        [an_agency("H37.1", valid_to=JULY, successors=("H37.2", "H37.3")), gone, an_agency("H37.3"), an_agency("H37.4")]
    )
    first = directory.get("H37.1")
    assert first is not None
    assert sorted(a.code for a in directory.heirs(first, at=NOW)) == ["H37.3", "H37.4"]


def test_circles_do_not_hang() -> None:
    a = an_agency("H37.1", parent="H37.2", valid_to=JULY, successors=("H37.2",))
    b = an_agency("H37.2", parent="H37.1", valid_to=JULY, successors=("H37.1",))
    directory = a_directory([a, b])
    assert directory.predecessors(a, at=NOW) == ()
    assert directory.predecessors(a, at=BEFORE_JULY) == ()
    assert directory.successor(a, at=NOW) is None
    assert directory.heirs(a, at=NOW) == ()
    assert directory.endpoint_holder(a, at=NOW) is None


# Reaching


def test_an_agency_is_reached_at_its_own_endpoint_or_its_nearest_ancestors(directory: Directory) -> None:
    assert directory.endpoint_holder(DEPARTMENT, at=NOW) is DEPARTMENT
    assert directory.endpoint_holder(OFFICE, at=NOW) is DEPARTMENT
    assert directory.endpoint_holder(OTHER_COMMUNE, at=NOW) is PROVINCE


def test_a_closed_ancestor_is_passed_over(directory: Directory) -> None:
    assert directory.endpoint_holder(STATION, at=BEFORE_JULY) is DISTRICT
    assert directory.endpoint_holder(STATION, at=NOW) is PROVINCE


def test_what_is_outside_goes_up_and_what_is_inside_never_does(directory: Directory) -> None:
    assert directory.endpoint_holder(NEIGHBOUR, at=NOW) is AXIS
    stray = an_agency("H37.77")
    assert a_directory([*ALL, stray]).endpoint_holder(stray, at=NOW) is None


def test_an_agency_without_a_regular_code_belongs_where_its_ancestors_do() -> None:
    inside = an_agency("TRUONG.HOC", parent="H37.14")
    directory = a_directory([*ALL, inside])
    assert directory.is_inside(inside)
    assert not directory.is_inside(an_agency("TRUONG.KHAC"))


def test_there_is_no_way_up_when_the_gateway_above_is_closed_or_unknown() -> None:
    closed = an_agency("000.00.22.W00", level=Level.NATIONAL, endpoint=PEER, valid_to=JULY)
    assert a_directory([closed, NEIGHBOUR]).endpoint_holder(NEIGHBOUR, at=NOW) is None
    assert a_directory([NEIGHBOUR]).endpoint_holder(NEIGHBOUR, at=NOW) is None
    assert a_directory([AXIS, NEIGHBOUR], NATIONAL).endpoint_holder(NEIGHBOUR, at=NOW) is None


# Speaking


def test_a_holder_speaks_for_itself_and_for_those_it_reaches(directory: Directory) -> None:
    assert directory.speaks_for(DEPARTMENT, "H37.14", at=NOW)
    assert directory.speaks_for(DEPARTMENT, "000.01.14.H37", at=NOW)
    assert directory.speaks_for(PROVINCE, "H37.22", at=NOW)


def test_a_holder_does_not_speak_for_others(directory: Directory) -> None:
    assert not directory.speaks_for(DEPARTMENT, "H37.21", at=NOW)
    assert not directory.speaks_for(PROVINCE, "H37.14", at=NOW)  # it has software of its own
    assert not directory.speaks_for(OFFICE, "H37.14", at=NOW)
    assert not directory.speaks_for(DEPARTMENT, "H38", at=NOW)
    assert not directory.speaks_for(DEPARTMENT, "", at=NOW)


def test_the_gateway_above_speaks_for_everybody_outside_and_for_nobody_inside(directory: Directory) -> None:
    assert directory.speaks_for(AXIS, "000.00.00.H38", at=NOW)
    assert directory.speaks_for(AXIS, "000.00.00.G22", at=NOW)  # not in this directory
    assert not directory.speaks_for(AXIS, "H37.22", at=NOW)
    assert not directory.speaks_for(AXIS, "H37.99", at=NOW)  # not in this directory either
    assert not directory.speaks_for(AXIS, "", at=NOW)


def test_the_gateway_above_speaks_for_a_neighbour_that_is_reached_directly_too() -> None:
    neighbour = an_agency("000.00.00.H38", level=Level.PROVINCE, endpoint=PEER)
    directory = a_directory([AXIS, neighbour])
    assert directory.speaks_for(neighbour, "H38.1", at=NOW) is False  # unknown here: its word alone is no proof
    assert directory.speaks_for(neighbour, "000.00.00.H38", at=NOW)
    assert directory.speaks_for(AXIS, "000.00.00.H38", at=NOW)


def test_successors_speak_for_a_closed_agency_and_for_no_living_one(directory: Directory) -> None:
    assert directory.speaks_for(COMMUNE, "000.00.24.H37", at=NOW)
    assert directory.speaks_for(PROVINCE, "000.00.24.H37", at=NOW)  # through which the other successor is reached
    assert not directory.speaks_for(COMMUNE, "000.00.24.H37", at=BEFORE_JULY)
    assert not directory.speaks_for(DEPARTMENT, "000.00.24.H37", at=NOW)


# Describing


def test_an_agency_is_described_with_its_surroundings(directory: Directory) -> None:
    office = describe(directory, "H37.14.1", at=NOW)
    assert office is not None
    assert (office.agency, office.ancestors, office.children) == (OFFICE, (DEPARTMENT, PROVINCE), ())
    assert (office.closed, office.reached_through, office.successor) == (False, DEPARTMENT, None)
    assert office.choices == ()
    district = describe(directory, "H37.24", at=NOW)
    assert district is not None
    assert (district.closed, district.reached_through, district.successor) == (True, None, None)
    assert district.choices == (COMMUNE, OTHER_COMMUNE)
    assert district.children == (STATION,)
    assert describe(directory, "H37.99", at=NOW) is None


def test_the_local_site_covers_codes_of_its_first_levels_only() -> None:
    assert LANG_SON.covers(code("H37.1"))
    assert not LANG_SON.covers(code("H38.1"))
    assert not LANG_SON.covers(AgencyCode("VXP.SAAS.03"))


def test_now_is_after_july() -> None:
    assert NOW.tzinfo is UTC
    assert NOW > SINCE_JULY > BEFORE_JULY


def test_a_gateway_below_a_province_owns_its_branch_and_nothing_beside_it() -> None:
    commune = an_agency("H37.21", "000.21.24.H37", level=Level.COMMUNE, endpoint=MAILBOX)
    above = an_agency("000.00.00.H37", level=Level.PROVINCE, endpoint=PEER)
    local = LocalSite(
        code=code("H37.21"), first_levels=frozenset({"H37.21", "000.21.24.H37"}), default_route=above.code
    )
    branch = a_directory([commune, above], local)
    assert (local.covers(code("H37.21.3")), local.covers(code("H37.14"))) == (True, False)
    assert branch.speaks_for(above, "H37.14", at=NOW)
    assert not branch.speaks_for(above, "H37.21", at=NOW)
