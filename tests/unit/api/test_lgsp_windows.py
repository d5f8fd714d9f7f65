"""The windows of days that the provincial protocol asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.api.lgsp.windows import widest_since, window
from gateway.errors import WindowRefused


def test_days_are_those_of_viet_nam() -> None:
    asked = window("2026/03/05", "2026/03/07", longest_days=7)
    assert asked.since == datetime(2026, 3, 4, 17, tzinfo=UTC)
    assert asked.until == datetime(2026, 3, 6, 17, tzinfo=UTC)


def test_a_window_of_one_and_the_same_day_is_empty_and_no_fault() -> None:
    asked = window("2026/03/05", "2026/03/05", longest_days=7)
    assert asked.since == asked.until


@pytest.mark.parametrize(
    ("now", "since"),
    [
        (datetime(2025, 12, 31, 16, 59, tzinfo=UTC), datetime(2025, 12, 24, 17, tzinfo=UTC)),  # 31/12, 23:59
        (datetime(2025, 12, 31, 17, 0, tzinfo=UTC), datetime(2025, 12, 25, 17, tzinfo=UTC)),  # 01/01, 00:00
        (datetime(2028, 3, 5, 3, 0, tzinfo=UTC), datetime(2028, 2, 27, 17, tzinfo=UTC)),  # a leap year: from 28/02
    ],
)
def test_the_widest_window_has_today_as_its_last_day(now: datetime, since: datetime) -> None:
    assert widest_since(now, longest_days=7) == since
    assert since + timedelta(days=7) > now >= since + timedelta(days=6)


def test_seven_days_are_not_too_many() -> None:
    asked = window("2026/03/01", "2026/03/08", longest_days=7)
    assert (asked.until - asked.since).days == 7


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026/03/01", "2026/03/09"),  # eight days
        ("2026/03/06", "2026/03/05"),
        ("2026-03-05", "2026-03-06"),
        ("05/03/2026", "06/03/2026"),
        ("2026/3/5", "2026/3/6"),
        ("2026/02/30", "2026/03/01"),
        ("2026/13/01", "2026/13/02"),
        ("0000/01/01", "0000/01/02"),
        ("2026/03/05 00:00:00", "2026/03/06 00:00:00"),
        ("２０２６/03/05", "2026/03/06"),  # digits of another script
        ("", "2026/03/06"),
        (None, "2026/03/06"),
        ("2026/03/05", None),
    ],
)
def test_other_windows_are_refused(since: str | None, until: str | None) -> None:
    with pytest.raises(WindowRefused):
        window(since, until, longest_days=7)


def test_the_operator_may_allow_more_days() -> None:
    assert (window("2026/03/01", "2026/03/09", longest_days=8).until.day) == 9
