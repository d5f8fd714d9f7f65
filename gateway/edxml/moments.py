"""
Dates and times of the wire ↔ dates and aware UTC moments.

Emitted: ``yyyy/MM/dd`` and ``yyyy/MM/dd HH:mm:ss``. Accepted: also dashes, day first, and ISO 8601
with or without a zone; without one it is Vietnam's (design D10). The kit's own parser is lenient
(30 February becomes 2 March, ``28/09/2018`` the year 34); this one is not (domain §1.4).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone

from gateway.model import VIETNAM_TIME

_YEAR_FIRST = r"(?P<y>[0-9]{4})(?P<s>[/-])(?P<m>[0-9]{1,2})(?P=s)(?P<d>[0-9]{1,2})"
_DAY_FIRST = r"(?P<d2>[0-9]{1,2})(?P<s2>[/-])(?P<m2>[0-9]{1,2})(?P=s2)(?P<y2>[0-9]{4})"
_DATE = rf"(?:{_YEAR_FIRST}|{_DAY_FIRST})"
_TIME = r"(?P<H>[0-9]{1,2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:\.(?P<f>[0-9]{1,9}))?)?"
_ZONE = r"(?P<z>Z|z|[+-][0-9]{2}:?[0-9]{2})"
_MOMENT = re.compile(rf"{_DATE}(?:[T ]\s*{_TIME}\s*{_ZONE}?)?")
_KIT_DATE = re.compile(r"([0-9]{4})/([0-9]{2})/([0-9]{2})")
_KIT_TIME = re.compile(r"([0-9]{4})/([0-9]{2})/([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})")
_EARLIEST = 1900
"""Years before are slips: the kit turns a day-first date into one of the first century."""


def read_date(text: str) -> tuple[date, bool] | None:
    """
    The date that a text names, and whether it is written as the kit writes it.

    A moment with a zone is the date in Vietnam at that moment. ``None`` when it names no date.
    """
    read = _read(text, _KIT_DATE)
    return None if read is None else (read[0].astimezone(VIETNAM_TIME).date(), read[1])


def read_moment(text: str) -> tuple[datetime, bool] | None:
    """The aware UTC moment that a text names, and whether it is written as the kit writes it; ``None``: none."""
    return _read(text, _KIT_TIME)


def write_date(day: date) -> str:
    """``yyyy/MM/dd``."""
    return f"{day.year:04}/{day.month:02}/{day.day:02}"


def write_moment(moment: datetime) -> str:
    """``yyyy/MM/dd HH:mm:ss`` in Vietnam time; the wire has no fractions of a second."""
    local = moment.astimezone(VIETNAM_TIME)
    return f"{write_date(local.date())} {local:%H:%M:%S}"


def _read(text: str, kit: re.Pattern[str]) -> tuple[datetime, bool] | None:
    """The aware UTC moment, and whether it is written in the form ``kit``, which nearly all are and is read faster."""
    by_kit = kit.fullmatch(text)
    found = by_kit or _MOMENT.fullmatch(text)
    if found is None:
        return None
    try:
        if by_kit is not None:
            year, month, day, hour, minute, second = (*map(int, by_kit.groups()), 0, 0, 0)[:6]
            local = datetime(year, month, day, hour, minute, second, tzinfo=VIETNAM_TIME)
        else:
            local = _anywhere(found.groupdict())
        moment = local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None  # 30 February, 25 o'clock, the end of the calendar
    return (moment, by_kit is not None) if moment.year >= _EARLIEST else None


def _anywhere(part: dict[str, str | None]) -> datetime:
    fraction = (part["f"] or "0").ljust(6, "0")[:6]
    day = date(int(part["y"] or part["y2"] or 0), int(part["m"] or part["m2"] or 0), int(part["d"] or part["d2"] or 0))
    clock = time(int(part["H"] or 0), int(part["M"] or 0), int(part["S"] or 0), int(fraction))
    return datetime.combine(day, clock, tzinfo=_zone(part["z"]))


def _zone(text: str | None) -> timezone:
    if text is None:
        return VIETNAM_TIME
    if text in "Zz":
        return UTC
    ahead = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-ahead if text[0] == "-" else ahead)
