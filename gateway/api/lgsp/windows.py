"""The days that ``syncReceivedEdocList`` is asked for. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.errors import WindowRefused
from gateway.model import VIETNAM_TIME

_DAY = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Window:
    """From the first moment of one day in Việt Nam up to, and without, that of another; aware."""

    since: datetime
    until: datetime
    """Excluded: on the real axis too a window of one and the same day is empty (domain §2.2)."""

    def reaches(self, now: datetime) -> bool:
        """Whether it ends with yesterday or later, as clients ask that want what is new."""
        return self.until >= _today(now)


def window(from_date: str | None, to_date: str | None, *, longest_days: int) -> Window:
    """
    The window between two dates.

    :param from_date: ``yyyy/MM/dd``, a day in Việt Nam; untrusted, as is ``to_date``.
    :param longest_days: more days than this between the two are refused.
    :raises WindowRefused: a date is missing, none, or after the other; or the window is too wide.
    """
    since, until = _midnight(from_date, "fromDate"), _midnight(to_date, "toDate")
    if until < since:
        raise WindowRefused("toDate lies before fromDate.", path="toDate")
    if (until - since).days > longest_days:
        raise WindowRefused(f"At most {longest_days} days may lie between fromDate and toDate.", path="toDate")
    return Window(since=since, until=until)


def widest_since(now: datetime, *, longest_days: int) -> datetime:
    """
    Where the widest window begins that reaches up to a moment.

    :param now: aware.
    """
    return _today(now) - timedelta(days=longest_days - 1)  # the last of its days is today, and not tomorrow


def _today(now: datetime) -> datetime:
    return now.astimezone(VIETNAM_TIME).replace(hour=0, minute=0, second=0, microsecond=0)


def _midnight(text: str | None, name: str) -> datetime:
    if text is None or not _DAY.fullmatch(text.strip()):
        raise WindowRefused(f"{name} is not of the form yyyy/MM/dd.", path=name)
    try:
        midnight = datetime.strptime(text.strip(), "%Y/%m/%d").replace(tzinfo=VIETNAM_TIME)
        midnight.astimezone(UTC)  # which the first day of all has none of
    except (ValueError, OverflowError) as e:
        raise WindowRefused(f"{name} is not a day of the calendar.", path=name) from e
    return midnight
