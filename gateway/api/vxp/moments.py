"""
Times in lists: what clients write into ``fromDate`` and ``toDate``, and what they are shown.

A time without a zone is one in Việt Nam (domain §1.11).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.model import VIETNAM_TIME

_DAYS = ("%Y/%m/%d", "%Y-%m-%d", "%d/%m/%Y", "%Y%m%d")
_CLOCKS = (" %H:%M:%S", "T%H:%M:%S", " %H:%M")


def shown(moment: datetime | None) -> str:
    """A time as edXML writes it; empty when there is none."""
    return "" if moment is None else f"{moment.astimezone(VIETNAM_TIME):%Y/%m/%d %H:%M:%S}"


def since(text: str) -> datetime | None:
    """The first moment meant by ``fromDate``; ``None`` when nobody can tell."""
    return _day(text) or _moment(text)


def until(text: str) -> datetime | None:
    """The first moment after ``toDate``: a day belongs to the window as a whole; ``None`` when nobody can tell."""
    day = _day(text)
    if day is not None:
        return day + timedelta(days=1)
    moment = _moment(text)
    return None if moment is None else moment + timedelta(seconds=1)


def _day(text: str) -> datetime | None:
    return _first(text, _DAYS)


def _moment(text: str) -> datetime | None:
    local = _first(text, [day + clock for day in _DAYS for clock in _CLOCKS])
    if local is not None:
        return local
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=VIETNAM_TIME)
    return moment if _is_usable(moment) else None


def _first(text: str, forms: list[str] | tuple[str, ...]) -> datetime | None:
    for form in forms:
        try:
            moment = datetime.strptime(text, form).replace(tzinfo=VIETNAM_TIME)
        except ValueError:
            continue
        return moment if _is_usable(moment) else None
    return None


def _is_usable(moment: datetime) -> bool:
    """Far enough from the ends of the calendar to be told in any zone."""
    return 1900 <= moment.year <= 2200
