"""The windows in which an LGSP axis is asked: two to seven days, the last one exclusive, overlapping."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.delivery.lgsp import windows

NOON = datetime(2026, 3, 2, 5, tzinfo=UTC)
"""Of 2 March in Vietnam."""


def test_the_window_ends_tomorrow_because_its_last_day_is_exclusive() -> None:
    assert windows(NOON - timedelta(minutes=1), NOON) == [(date(2026, 3, 1), date(2026, 3, 3))]


def test_a_little_past_midnight_in_vietnam_the_days_are_those_of_vietnam() -> None:
    half_past_midnight = datetime(2026, 3, 1, 17, 30, tzinfo=UTC)
    assert windows(half_past_midnight, half_past_midnight)[-1][1] == date(2026, 3, 3)


@pytest.mark.parametrize("hours", [0, 1, 12, 24, 36, 100, 168, 200, 500, 1000])
def test_every_window_is_of_two_to_seven_days_and_they_leave_no_gap(hours: int) -> None:
    since = NOON - timedelta(hours=hours)
    found = windows(since, NOON)
    assert all(timedelta(days=2) <= stop - start <= timedelta(days=7) for start, stop in found)
    assert all(following[0] <= before[1] for before, following in itertools.pairwise(found))
    assert found[0][0] <= (since - timedelta(minutes=10)).date()
    assert found[-1][1] == date(2026, 3, 3)


def test_the_first_look_goes_30_days_back() -> None:
    assert windows(None, NOON)[0][0] == date(2026, 1, 31)


def test_a_clock_that_was_set_back_does_not_make_an_empty_window() -> None:
    assert windows(NOON + timedelta(days=9), NOON) == [(date(2026, 3, 1), date(2026, 3, 3))]
