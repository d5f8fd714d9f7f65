"""
What an axis' catalogue of agencies says, and what the directory makes of it.

Pure: ``listed`` reads one unit of any of the three lists, ``place`` finds its place below its parent or names why it
has none. Catalogues that circulate are full of invented codes (domain §3.1), so nothing is taken that contradicts
itself, and what is not taken is reported, never repaired by a guess.

Source: domain §2.1 (calls of the catalogue), §3; docs/decisions/0023.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from gateway.directory.search import words_of
from gateway.model import VIETNAM_TIME, Agency, AgencyCode, CodeGeneration, Level

_NAME = 300
"""Characters of a name; what is longer is cut. The longest real names have about 200."""
_ID = 100
_CODE = re.compile(r"[0-9A-Z._-]+")
_CENTRE = "W"
"""First letter of the first-level part of centres such as ``00.22.W00``: systems, not agencies."""
CLOSED_REASON = "Đã bị xóa khỏi danh mục cơ quan của trục liên thông."
"""Shown to senders; an axis gives no other."""


class Problem(StrEnum):
    """Why a unit of the catalogue is not in the directory."""

    OTHER_PROVINCE = "other_province"
    """Its code has the first-level part of another province or ministry than its parent."""
    CODE_TAKEN = "code_taken"
    """Another unit that exists has its code."""
    CIRCLE = "circle"
    """Its parents lead back to it."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One unit as one list names it."""

    id: str | None
    """The axis' own; ``None`` in the lists by level, whose units are known by their codes."""
    parent: str | None
    """The id of the unit above, if there is such a unit; ``None`` when it is not said."""
    code: AgencyCode
    """In its normal form."""
    others: tuple[AgencyCode, ...]
    """Its codes of the other generation or of earlier times, in their normal form."""
    name: str
    version: int | None
    """Grows with every change; ``None`` in lists that have none."""
    centre: str | None
    """The centre through which it is connected."""
    deleted: bool
    modified: date | None
    """The day of its last change in Vietnam, which of a deleted one is the day of its end; ``None`` when not said."""
    is_agency: bool
    """False for what only groups others."""


def listed(row: Mapping[str, Any], *, by_level: bool = False) -> Listed | None:
    """
    One row of ``getAgenciesList`` or ``getSynchronizeUnit``, or of ``getAgenciesListQD20``.

    Mail addresses are not read: they belong to people, and nothing here needs them.

    :param row: untrusted.
    :param by_level: it is of ``getAgenciesListQD20``, which does not say where units stand and whose ids may be others.
    :return: ``None`` when it has no code that could be one, or no name: nothing can be found by it.
    """
    code, name = _code(row.get("code")), _name(row.get("name"))
    if code is None or not name:
        return None
    others = (_code(row.get("code102")), _code(row.get("oldCode")))
    version = row.get("version")
    return Listed(
        id=None if by_level else _id(row.get("id")),
        parent=None if by_level else _id(row.get("pid")),
        code=code,
        others=tuple(dict.fromkeys(other for other in others if other is not None and other != code)),
        name=name,
        version=version if type(version) is int and 0 <= version < 2**63 else None,
        centre=_id(row.get("centerCode")),
        deleted=_is_true(row.get("deleted")),
        modified=day_of(row.get("modifyDate")),
        is_agency=row.get("isAgency") is None or _is_true(row.get("isAgency")),
    )


def _code(value: object) -> AgencyCode | None:
    if not isinstance(value, str):
        return None
    code = AgencyCode.normal(value)
    return code if len(code) <= AgencyCode.LONGEST and _CODE.fullmatch(code) else None


def _name(value: object) -> str:
    """One line without control characters, NFC."""
    if not isinstance(value, str):
        return ""
    text = " ".join("".join(" " if unicodedata.category(c)[0] == "C" else c for c in value).split())
    return unicodedata.normalize("NFC", text)[:_NAME]


def _id(value: object) -> str | None:
    """Ids are texts or numbers; what stands for none (``0``, ``-1``) is the id of no unit, and needs no rule."""
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value.strip()) <= _ID:
        return None
    return value.strip()


def _is_true(value: object) -> bool:
    return value is True or value == 1 or (isinstance(value, str) and value.strip().lower() in ("true", "1"))


_FORMS = ("%Y/%m/%d", "%d/%m/%Y", "%Y-%m-%d", "%d-%m-%Y")


def day_of(value: object) -> date | None:
    """
    The day of a ``modifyDate`` in Vietnam.

    No document says how it is written, so every form is read that means one day only: ISO 8601, day first or year first
    with or without a time, milliseconds since 1970. ``None`` for all else, never a guess.
    """
    text = str(value).strip() if type(value) is int or isinstance(value, str) else ""
    if re.fullmatch("[0-9]{12,13}", text):
        return datetime.fromtimestamp(int(text) / 1000, UTC).astimezone(VIETNAM_TIME).date()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _day_alone(re.split(r"[T ]", text, maxsplit=1)[0])
    return moment.date() if moment.tzinfo is None else moment.astimezone(VIETNAM_TIME).date()


def _day_alone(text: str) -> date | None:
    for form in _FORMS:
        try:
            # Zone-less times of the wire are Vietnam's; only the day is wanted.
            return datetime.strptime(text, form).date()  # noqa: DTZ007 - see above
        except ValueError:
            continue
    return None


# The place of a unit


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a unit stands, and so what stands below it."""

    anchor: AgencyCode | None
    """Its own code, or that of the nearest unit above that is in the directory: the parent of those below."""
    level1: str | None
    """The first-level part that everything below it must have; ``None``: anything may."""
    tier: Level | None
    """Of the anchor."""
    depth: int
    """How many stand above it: parents have less than their children."""


NOWHERE = Place(anchor=None, level1=None, tier=None, depth=0)
"""Above the first level."""
DEEPEST = 30
"""What would stand deeper stands in a circle, or below one: real trees have about eight levels."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What is made of a unit."""

    place: Place
    agency: Agency | None
    """``None`` when it is another unit under another code, or has a problem."""
    problem: Problem | None


CIRCLE = Placed(place=Place(anchor=None, level1=None, tier=None, depth=DEEPEST), agency=None, problem=Problem.CIRCLE)
"""Of a unit whose parents lead back to it, and of all below: it stays so until one of them is listed elsewhere."""


def refused(problem: Problem, above: Place) -> Placed:
    """A unit that is not taken; what is listed below it stands below the nearest one above that is."""
    if above.depth >= DEEPEST:
        return CIRCLE
    here = Place(anchor=above.anchor, level1=above.level1, tier=above.tier, depth=above.depth + 1)
    return Placed(place=here, agency=None, problem=problem)


def place(unit: Listed, aliases: Sequence[AgencyCode], above: Place, *, closed_on: date) -> Placed:
    """
    Make an agency of a unit, or say why not.

    :param aliases: its further codes, of those that nobody else has.
    :param above: the place of its parent; ``NOWHERE`` when it has none.
    :param closed_on: the first day on which a deleted one no longer exists; of no interest for others.
    """
    # A code of neither generation says nothing of the province; a further code may.
    own = next((code.level1 for code in (unit.code, *aliases) if code.level1 is not None), None)
    if stands_alone(unit.code) or (own is not None and own[0] == _CENTRE):
        above = NOWHERE
    if above.depth >= DEEPEST:
        return CIRCLE
    if own and above.level1 and own != above.level1:
        return refused(Problem.OTHER_PROVINCE, above)
    tier = _tier(unit, above)
    agency = Agency(
        code=unit.code,
        aliases=tuple(aliases),
        name=unit.name,
        level=tier,
        parent=above.anchor,
        valid_to=closed_on if unit.deleted else None,
        closed_reason=CLOSED_REASON if unit.deleted else None,
        hidden=not unit.is_agency or any((code.level1 or "").startswith(_CENTRE) for code in (unit.code, *aliases)),
    )
    if own is not None and own[0] == _CENTRE:
        # Who is connected through a centre is still of some province.
        return Placed(place=NOWHERE, agency=agency, problem=None)
    here = Place(anchor=unit.code, level1=own or above.level1, tier=tier, depth=above.depth + 1)
    return Placed(place=here, agency=agency, problem=None)


_COMMUNE_WORDS = ("xa", "phuong", "thi tran", "dac khu")
_DISTRICT_WORDS = ("huyen", "quan", "thi xa", "thanh pho")
_GOVERNED = re.compile(r"(?:(?:ubnd|uy ban nhan dan|hdnd|hoi dong nhan dan) )?(.*)")


def _tier(unit: Listed, above: Place) -> Level:
    """
    The level, which no catalogue tells: by the code on top, by the name below.

    Nothing is routed by it; people see it, and search shows higher tiers first.
    """
    if unit.code.level1 is not None and unit.code.parent is None:
        return Level.PROVINCE if unit.code.level1[0] == "H" else Level.NATIONAL
    governed = _GOVERNED.fullmatch(" ".join(words_of(unit.name)))
    words = f"{governed[1] if governed else ''} "
    if above.tier in (Level.PROVINCE, Level.DISTRICT) and words.startswith(tuple(f"{w} " for w in _COMMUNE_WORDS)):
        # A town (thị xã) is no commune (xã), which its first word tells.
        return Level.COMMUNE
    if above.tier is Level.PROVINCE and words.startswith(tuple(f"{w} " for w in _DISTRICT_WORDS)):
        return Level.DISTRICT
    return Level.DEPARTMENT


def stands_alone(code: AgencyCode) -> bool:
    """Whether a tree begins here, whatever the catalogue hangs it below: a province, a ministry, or a centre."""
    return code.level1 is not None and (code.level1[0] == _CENTRE or code.parent is None)


def may_be_one(code: AgencyCode, other: AgencyCode) -> bool:
    """
    Whether two codes that a list gives to one unit are believed to be one agency's.

    Not when they are of two provinces or ministries: whoever answers to both would get what is meant for another.
    """
    return code.level1 is None or other.level1 is None or code.level1 == other.level1


def parent_code(code: AgencyCode) -> AgencyCode | None:
    """The code above, for units of which no list says where they stand."""
    return code.parent if code.generation is not CodeGeneration.OTHER else None
