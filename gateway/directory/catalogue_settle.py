"""
Find the place of every unit that changed, parents before children, and make the agency that the directory has of it.

The marks in the table are the list of what is still to be done, so that a sync that was broken off goes on where it
stopped, and one that changed ten units costs as much as ten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, true, update

from gateway.directory.catalogue import CIRCLE, NOWHERE, Listed, Place, Placed, Problem, place, refused, stands_alone
from gateway.directory.directory import vietnam_day
from gateway.directory.rows import to_body
from gateway.directory.search import searched_by
from gateway.directory.tables import codes_table, units_table
from gateway.model import AgencyCode, Level

_PAGE = 1_000
CLOSED = '"valid_to"'
"""In the body of a closed agency, and of no other: quotes within texts are escaped there."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """What one transaction settled."""

    last: str
    """The last unit that was looked at."""
    settled: int
    counts: Counter[str]
    """How many agencies were ``added``, ``changed``, ``closed``, ``reopened`` or ``withdrawn`` (not credible now)."""


def settle_page(connection: Connection, *, after: str, circles: bool, now: datetime) -> Page | None:
    """
    Settle the next changed units whose parents are settled.

    :param after: units up to this one have been looked at in this round.
    :param circles: give up what waits for its parent: when a round settles nothing, only circles are left.
    :return: ``None`` when there are no more units to look at.
    """
    table = units_table
    query = select(table).where(table.c.changed == true(), table.c.unit > after).order_by(table.c.unit).limit(_PAGE)
    rows = connection.execute(query).all()
    if not rows:
        return None
    surroundings = _Surroundings(connection, rows)
    written, moved, counts = [], [], Counter[str]()
    for row in rows:
        if circles:
            placed = CIRCLE
        else:
            above = surroundings.above(row)
            if above is None:
                continue
            placed = _placed(row, surroundings, above, now=now)
        body = None if placed.agency is None else to_body(placed.agency)
        written.append(
            {
                "key": row.unit,
                **_columns(placed.place),
                "new_above": surroundings.unit_above(row),
                "new_problem": placed.problem,
                "new_body": body,
                "new_folded": searched_by(row.name, (row.code, *surroundings.codes_of(row.unit))),
            }
        )
        surroundings.settled[row.unit] = placed.place
        if placed.place != _place_of(row):
            moved.append(row.unit)
        counts[_difference(row.body, body)] += 1
    _write(connection, written, moved, now=now)
    del counts[""]
    return Page(last=rows[-1].unit, settled=len(written), counts=counts)


def is_open(body: str | None) -> bool:
    """Whether a unit is an agency of the directory that is not deleted."""
    return body is not None and CLOSED not in body


def _difference(before: str | None, after: str | None) -> str:
    """What becomes of the agency; blank when nothing does."""
    if before == after:
        return ""
    if before is None:
        return "added"
    if after is None:
        return "withdrawn"
    if is_open(before) == is_open(after):
        return "changed"
    return "closed" if is_open(before) else "reopened"


def _placed(row: Row[Any], surroundings: _Surroundings, above: Place, *, now: datetime) -> Placed:
    if row.same_as is not None:
        return Placed(place=above, agency=None, problem=None)
    codes = surroundings.codes_of(row.unit)
    if row.code not in codes:
        return refused(Problem.CODE_TAKEN, above)
    unit = Listed(
        id=row.unit,
        parent=row.parent,
        code=AgencyCode(row.code),
        others=(),
        name=row.name,
        version=row.version,
        centre=row.centre,
        deleted=row.deleted,
        modified=row.closed_on,
        is_agency=row.is_agency,
    )
    aliases = [AgencyCode(code) for code in codes if code != row.code]
    return place(unit, aliases, above, closed_on=row.closed_on or vietnam_day(now))


def _place_of(row: Row[Any]) -> Place:
    return Place(
        anchor=None if row.anchor is None else AgencyCode(row.anchor),
        level1=row.level1,
        tier=None if row.tier is None else Level(row.tier),
        depth=row.depth,
    )


def _columns(place: Place) -> dict[str, object]:
    return {"new_anchor": place.anchor, "new_level1": place.level1, "new_tier": place.tier, "new_depth": place.depth}


class _Surroundings:
    """The units above those of a page, and the codes of these."""

    def __init__(self, connection: Connection, rows: Sequence[Row[Any]]) -> None:
        self.settled: dict[str, Place] = {}
        """Those that the page has settled so far."""
        self._connection = connection
        self._codes: dict[str, list[str]] = {}
        units = [row.unit for row in rows]
        query = select(codes_table).where(codes_table.c.unit.in_(units))
        for code in connection.execute(query.order_by(codes_table.c.former, codes_table.c.code)):
            self._codes.setdefault(code.unit, []).append(code.code)
        query = select(codes_table).where(
            codes_table.c.code.in_({row.sought for row in rows if row.sought is not None})
        )
        self._holders = {code.code: code.unit for code in connection.execute(query)}
        wanted = {unit for row in rows for unit in (row.same_as, row.parent) if unit is not None}
        self._units = self._load(wanted | set(self._holders.values()))

    def _load(self, wanted: Collection[str]) -> dict[str, Row[Any]]:
        table = units_table
        columns = (table.c.unit, table.c.changed, table.c.anchor, table.c.level1, table.c.tier, table.c.depth)
        return {row.unit: row for row in self._connection.execute(select(*columns).where(table.c.unit.in_(wanted)))}

    def codes_of(self, unit: str) -> Sequence[str]:
        """Every code that a unit answers to, former ones last."""
        return self._codes.get(unit, ())

    def above(self, row: Row[Any]) -> Place | None:
        """The place above a unit; ``None`` while it is not settled itself."""
        unit = self.unit_above(row)
        if unit is None:
            return NOWHERE
        settled = self.settled.get(unit)
        if settled is not None:
            return settled
        known = self._units[unit]
        return None if known.changed else _place_of(known)

    def unit_above(self, row: Row[Any]) -> str | None:
        """What it is the same as; or the unit that is listed as its parent; or the holder of the code above its own."""
        if row.same_as is not None:
            return row.same_as if row.same_as in self._units else None
        if stands_alone(AgencyCode(row.code)):
            return None
        if row.parent in self._units and row.parent != row.unit:
            return str(row.parent)
        holder = self._holders.get(row.sought)
        return None if holder == row.unit else holder


def _write(
    connection: Connection, written: Sequence[dict[str, object]], moved: Sequence[str], *, now: datetime
) -> None:
    if not written:
        return
    table = units_table
    # Those below first: what is settled here may itself be below another of this page, which it has seen settled.
    if moved:
        connection.execute(
            update(table).where(table.c.above.in_(moved), table.c.changed.is_(False)).values(changed=True)
        )
    connection.execute(_SETTLE.values(updated_at=now), written)


_SETTLE = (
    update(units_table)
    .where(units_table.c.unit == bindparam("key"))
    .values(
        {column: bindparam(f"new_{column}") for column in ("above", "anchor", "level1", "tier", "depth", "problem")}
        | {"body": bindparam("new_body"), "folded": bindparam("new_folded"), "changed": False}
    )
)
