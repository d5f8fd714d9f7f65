"""What a person types into the filters, and what the ledger is asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.console.filters import agency_label, read_filters
from gateway.ledger.records import Concern
from gateway.model import DeliveryState, PackageKind
from tests.support.agencies import a_directory
from tests.support.console import PROVINCE

DIRECTORY = a_directory(PROVINCE)


def test_nothing_typed_lists_documents_of_every_state() -> None:
    asked = read_filters({}, DIRECTORY)
    assert asked.filters.kind is PackageKind.DOCUMENT
    assert not asked.restricts
    assert asked.query() == {}


def test_days_are_days_in_vietnam_and_the_last_one_counts() -> None:
    asked = read_filters({"from": "01/07/2025", "to": "1/7/2025"}, DIRECTORY)
    assert asked.filters.since == datetime(2025, 6, 30, 17, tzinfo=UTC)
    assert asked.filters.until == datetime(2025, 7, 1, 17, tzinfo=UTC)


def test_a_minute_may_be_named() -> None:
    asked = read_filters({"from": "01/07/2025 08:30", "to": "01/07/2025 08:30"}, DIRECTORY)
    assert asked.filters.since == datetime(2025, 7, 1, 1, 30, tzinfo=UTC)
    assert asked.filters.until == datetime(2025, 7, 1, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "typed",
    [
        "31/02/2026",
        "2026-11-22",
        "22/11/26",
        "hôm nay",
        "01/13/2026",
        "1/1/9999",
        "1/1/2026 25:00",
        "٠١/٠١/٢٠٢٦",
        "1/1",
    ],
)
def test_what_is_no_date_is_said_and_does_not_filter(typed: str) -> None:
    asked = read_filters({"to": typed}, DIRECTORY)
    assert asked.filters.until is None
    assert asked.faults == {"to": "log.filter.bad_date"}
    assert asked.until == typed


@pytest.mark.parametrize(
    "typed",
    [
        "H37.14.2",
        "h37.14.2",
        "000.02.14.H37",  # the code of the other generation
        "02.14.H37",  # its short form
        "Ủy ban nhân dân xã Đồng Đăng — H37.14.2",  # as the list offers it
        "uy ban nhan dan xa dong dang",
    ],
)
def test_an_agency_is_found_by_any_of_its_codes_and_its_whole_name(typed: str) -> None:
    asked = read_filters({"agency": typed}, DIRECTORY)
    assert asked.filters.agency == "H37.14.2"
    assert asked.filters.text is None
    assert not asked.faults


def test_a_name_of_several_is_looked_for_as_text_and_they_are_offered() -> None:
    asked = read_filters({"agency": "so", "q": "đề án"}, DIRECTORY)
    assert asked.filters.agency is None
    assert asked.filters.text == "đề án so"
    assert asked.faults == {"agency": "log.filter.agency_as_text"}
    assert len(asked.choices) > 1
    label = agency_label(asked.choices[0])
    assert read_filters({"agency": label}, DIRECTORY).filters.agency == asked.choices[0].code


def test_part_of_a_name_is_looked_for_as_text_since_the_ledger_knows_more_agencies_than_the_directory() -> None:
    asked = read_filters({"agency": "nong nghiep"}, DIRECTORY)
    assert asked.filters.agency is None
    assert asked.filters.text == "nong nghiep"
    assert [a.code for a in asked.choices] == ["H37.22"]
    assert asked.faults == {"agency": "log.filter.agency_as_text"}


def test_a_code_that_the_directory_does_not_know_is_still_a_code() -> None:
    asked = read_filters({"agency": "000.00.12.h41"}, DIRECTORY)
    assert asked.filters.agency == "000.00.12.H41"
    assert not asked.faults


def test_members_of_the_url_come_back_as_they_were() -> None:
    typed = {"q": "đề án", "agency": "so", "state": "abandoned", "kind": "all", "from": "x", "to": "01/07/2025"}
    asked = read_filters(typed, DIRECTORY)
    assert asked.query() == typed
    assert asked.query(state=None, cursor="c") == {**{k: v for k, v in typed.items() if k != "state"}, "cursor": "c"}
    assert asked.filters.states == {DeliveryState.ABANDONED}
    assert asked.filters.kind is None


def test_hostile_members_are_bounded_and_clean() -> None:
    asked = read_filters({"q": "a\x00b\u202ec" + "x" * 5000, "state": "gone", "kind": "'--"}, DIRECTORY)
    assert asked.filters.text is not None
    assert len(asked.filters.text) <= 200
    assert asked.filters.text.startswith("a b c")
    assert asked.filters.states == frozenset()
    assert asked.filters.kind is PackageKind.DOCUMENT
    assert asked.faults == {"state": "log.filter.not_offered", "kind": "log.filter.not_offered"}


def test_a_concern_is_one_of_those_offered_and_stays_in_the_address() -> None:
    asked = read_filters({"concern": "altered"}, DIRECTORY)
    assert asked.filters.concern is Concern.ALTERED
    assert asked.restricts
    assert asked.query() == {"concern": "altered"}
    asked = read_filters({"concern": "x"}, DIRECTORY)
    assert asked.filters.concern is None
    assert asked.faults == {"concern": "log.filter.not_offered"}
