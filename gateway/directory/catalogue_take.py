"""
Keep what a catalogue lists, a batch of units at a time, and settle which unit answers to which code.

The same rows taken again change nothing, whatever else came between; so a fill that was broken off is begun anew.
Nothing here reaches the directory: what changed is marked for ``catalogue_settle``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from sqlalchemy import Boolean, ColumnElement, Connection, bindparam, insert, or_, select, update

from gateway.directory.catalogue import Listed, may_be_one, parent_code
from gateway.directory.directory import vietnam_day
from gateway.directory.tables import codes_table, units_table
from gateway.model import AgencyCode

_BY_CODE = "code:"
"""Begins the key of a unit that only the lists by level name; it yields to one with an id."""


@dataclass(kw_only=True)
class _Unit:
    """The columns of a unit that lists fill."""

    unit: str
    code: AgencyCode
    parent: str | None
    name: str
    version: int | None
    centre: str | None
    deleted: bool
    closed_on: date | None
    is_agency: bool
    same_as: str | None
    sought: AgencyCode | None
    """The code above its own: who holds it is its parent when no list says another."""

    @property
    def only_by_code(self) -> bool:
        return self.unit.startswith(_BY_CODE)


@dataclass(kw_only=True)
class _Held:
    """A code, and the unit that answers to it."""

    unit: str
    former: bool


_COLUMNS = tuple(units_table.c[field.name] for field in fields(_Unit))
_LISTED = ("version", "centre")
"""What may change without changing the agency."""


def take(connection: Connection, rows: Sequence[Listed], *, now: datetime) -> Counter[str]:
    """
    Keep a batch of rows.

    :param now: aware; the day on which a deleted unit ends whose list does not tell.
    :return: how many were ``new``, ``updated``, ``outdated`` (older than what is known), how many further codes were
        ``codes_refused`` (of another province) or ``codes_contested`` (another unit lists them, too).
    """
    batch = _Batch(connection, rows, today=vietnam_day(now))
    for row in rows:
        batch.take(row)
    batch.write(now=now)
    return batch.counts


class _Batch:
    """Everything that the rows of a batch may touch, loaded at once, changed in memory, written at once."""

    def __init__(self, connection: Connection, rows: Sequence[Listed], *, today: date) -> None:
        self._connection = connection
        self._today = today
        self._units: dict[str, _Unit] = {}
        self._codes: dict[str, _Held] = {}
        self._codes_of: dict[str, dict[AgencyCode, None]] = {}  # the same by unit, in a stable order
        self.counts: Counter[str] = Counter()
        self._load(rows)
        self._units_before = {key: dict(vars(unit)) for key, unit in self._units.items()}
        self._codes_before = {code: (held.unit, held.former) for code, held in self._codes.items()}
        self._touched: set[str] = set()

    # Loading

    def _load(self, rows: Sequence[Listed]) -> None:
        """The units that rows name, those that answer to their codes, and so on until nothing more is concerned."""
        units = {row.id if row.id is not None else _BY_CODE + row.code for row in rows}
        codes = {str(code) for row in rows for code in (row.code, *row.others)}
        asked = set[str]()
        while units or codes:
            self._load_codes(codes_table.c.code.in_(codes))
            asked |= codes
            before = self._units.keys() | set[str]()
            self._load_units(units | {held.unit for held in self._codes.values()})
            loaded = self._units.keys() - before
            self._load_codes(codes_table.c.unit.in_(loaded))
            # A unit's own code may be held by another.
            codes = {str(self._units[key].code) for key in loaded} - self._codes.keys() - asked
            units = {held.unit for held in self._codes.values()} - self._units.keys()

    def _load_codes(self, condition: ColumnElement[bool]) -> None:
        for row in self._connection.execute(select(codes_table).where(condition)):
            self._codes[row.code] = _Held(unit=row.unit, former=row.former)
            self._codes_of.setdefault(row.unit, {})[AgencyCode(row.code)] = None

    def _load_units(self, wanted: Collection[str]) -> None:
        """Units by their keys, those that they are the same as, and those that are the same as they."""
        missing = set(wanted) - self._units.keys()
        while missing:
            query = select(*_COLUMNS).where(
                or_(units_table.c.unit.in_(missing), units_table.c.same_as.in_(missing))  # both have an index
            )
            found = [_Unit(**row) for row in self._connection.execute(query).mappings()]
            for unit in found:
                unit.code = AgencyCode(unit.code)
            self._units |= {unit.unit: unit for unit in found}
            missing = {unit.same_as for unit in found if unit.same_as is not None} - self._units.keys()

    # Changing

    def take(self, row: Listed) -> None:
        """Keep one row."""
        unit = self._units.get(row.id) if row.id is not None else self._known_by_code(row)
        if unit is None:
            unit = self._new(row)
        elif row.id is not None and row.version is not None and unit.version is not None and row.version < unit.version:
            self.counts["outdated"] += 1
            return
        elif self._is_about(row, unit) and (row.version is not None or unit.version is None):
            # A list without versions may be older than what came with one; it only adds codes then.
            self._update(unit, row)
        self._hold_own(unit)
        answering = self._answering(unit)
        for code in (row.code, *row.others):
            self._hold(answering, code, unit)
        if row.others:
            self._replace_others(answering, (row.code, *row.others))

    @staticmethod
    def _is_about(row: Listed, unit: _Unit) -> bool:
        """Whether a row says more of a unit than codes; the lists by level only of what they alone name."""
        return row.id is not None or (unit.only_by_code and row.code == unit.code)

    def _known_by_code(self, row: Listed) -> _Unit | None:
        for code in (row.code, *row.others):
            held = self._codes.get(code)
            if held is not None and not held.former and may_be_one(row.code, code):
                return self._answering(self._units[held.unit])
        return self._units.get(_BY_CODE + row.code)

    def _new(self, row: Listed) -> _Unit:
        unit = _Unit(
            unit=row.id if row.id is not None else _BY_CODE + row.code,
            code=row.code,
            parent=row.parent,
            name=row.name,
            version=row.version,
            centre=row.centre,
            deleted=row.deleted,
            closed_on=(row.modified or self._today) if row.deleted else None,
            is_agency=row.is_agency,
            same_as=None,
            sought=parent_code(row.code),
        )
        self._units[unit.unit] = unit
        self.counts["new"] += 1
        return unit

    def _update(self, unit: _Unit, row: Listed) -> None:
        closing = row.deleted and not unit.deleted
        held = self._codes.get(row.code)
        if row.code != unit.code and (held is None or held.unit != unit.unit or held.former):
            # Numbered anew. A list in the other generation of codes, in contrast, changes nothing.
            if (old := self._codes.get(unit.code)) is not None and old.unit == unit.unit:
                old.former = True
                self._touched.add(unit.unit)
            unit.code, unit.sought = row.code, parent_code(row.code)
        unit.parent, unit.name, unit.is_agency = row.parent, row.name, row.is_agency
        unit.version, unit.centre = row.version, row.centre
        unit.closed_on = (row.modified or unit.closed_on or self._today) if row.deleted else None
        unit.deleted = row.deleted
        if closing:
            self._release(unit)

    def _release(self, unit: _Unit) -> None:
        """What is deleted under one code may still be listed under another."""
        for other in [u for u in self._units.values() if u.same_as == unit.unit and not u.deleted]:
            other.same_as = None
            self._give(other.code, other)

    def _hold_own(self, unit: _Unit) -> None:
        """Let a unit have its own code, or be the unit that has it as a further code."""
        held = self._codes.get(unit.code)
        holder = None if held is None or held.unit == unit.unit else self._units[held.unit]
        if held is None or holder is None or held.former:
            unit.same_as = None
            self._give(unit.code, unit)
        elif holder.code != unit.code:
            if holder.deleted and not unit.deleted:
                unit.same_as = None
                self._give(unit.code, unit)
            else:
                unit.same_as = holder.unit
        elif (holder.only_by_code and not unit.only_by_code) or (holder.deleted and not unit.deleted):
            unit.same_as = None
            self._become(holder, unit)
        elif unit.deleted:
            unit.same_as = holder.unit
        else:
            # Two that exist: the first has it; the other is reported when its place is sought.
            unit.same_as = None

    def _hold(self, unit: _Unit, code: AgencyCode, listed: _Unit) -> None:
        """Let a unit answer to one more code."""
        own, held = self._codes.get(unit.code), self._codes.get(code)
        if code == listed.code or own is None or own.unit != unit.unit:
            return
        if held is not None and held.unit == unit.unit:
            if held.former and code != unit.code:
                held.former = False
            return
        if not may_be_one(unit.code, code):
            self.counts["codes_refused"] += 1
        elif held is None or held.former:
            self._give(code, unit)
        elif unit.deleted:
            return
        elif self._units[held.unit].code == code:
            self._become(self._units[held.unit], unit)
        else:
            self.counts["codes_contested"] += 1

    def _replace_others(self, unit: _Unit, codes: Sequence[AgencyCode]) -> None:
        """An agency has one present code of each generation: those listed."""
        generations = {code.generation for code in codes}
        for code in self._codes_of.get(unit.unit, ()):
            held = self._codes[code]
            if not held.former and code != unit.code and code not in codes and code.generation in generations:
                held.former = True
                self._touched.add(unit.unit)

    def _become(self, one: _Unit, other: _Unit) -> None:
        """The first turns out to be the second: all its codes are."""
        if one is other:
            return
        one.same_as = other.unit
        for code in tuple(self._codes_of.get(one.unit, ())):
            self._give(code, other, former=self._codes[code].former)

    def _give(self, code: AgencyCode, unit: _Unit, *, former: bool = False) -> None:
        held = self._codes.get(code)
        if held is not None:
            if (held.unit, held.former) == (unit.unit, former):
                return
            self._touched.add(held.unit)
            del self._codes_of[held.unit][code]
        self._touched.add(unit.unit)
        self._codes_of.setdefault(unit.unit, {})[code] = None
        self._codes[code] = _Held(unit=unit.unit, former=former)

    def _answering(self, unit: _Unit) -> _Unit:
        """The unit itself, or the one that it turned out to be."""
        seen = {unit.unit}
        while unit.same_as is not None and unit.same_as in self._units and unit.same_as not in seen:
            seen.add(unit.same_as)
            unit = self._units[unit.same_as]
        return unit

    # Writing

    def write(self, *, now: datetime) -> None:
        """Write what differs from what was loaded, and mark what must find its place anew."""
        new, changed = [], []
        for key, unit in self._units.items():
            before, after = self._units_before.get(key), vars(unit)
            if before is None:
                new.append({**after, "changed": True, "depth": 0, "updated_at": now})
            elif before != after or key in self._touched:
                differs = key in self._touched or any(before[k] != after[k] for k in after if k not in _LISTED)
                self.counts["updated"] += before != after
                changed.append({f"new_{name}": value for name, value in after.items()} | {"differs": differs})
        if new:
            self._connection.execute(insert(units_table), new)
            self._unsettle(units_table.c.parent.in_([row["unit"] for row in new]))
        if changed:
            self._connection.execute(_UPDATE, changed)
        self._write_codes()

    def _unsettle(self, below: ColumnElement[bool]) -> None:
        """Units that were listed before the one above them, or that now have another one above them."""
        table = units_table
        self._connection.execute(update(table).where(below, table.c.changed.is_(False)).values(changed=True))

    def _write_codes(self) -> None:
        new, changed = [], []
        for code, held in self._codes.items():
            before = self._codes_before.get(code)
            if before is None:
                new.append({"code": str(code), "unit": held.unit, "former": held.former})
            elif before != (held.unit, held.former):
                changed.append({"key": code, "new_unit": held.unit, "new_former": held.former})
        if new:
            self._connection.execute(insert(codes_table), new)
        if changed:
            self._connection.execute(_UPDATE_CODE, changed)
        given = [row["code"] for row in new] + [row["key"] for row in changed]
        if given:
            self._unsettle(units_table.c.sought.in_(given))


_UPDATE = (
    update(units_table)
    .where(units_table.c.unit == bindparam("new_unit"))
    .values(
        {field.name: bindparam(f"new_{field.name}") for field in fields(_Unit) if field.name != "unit"}
        | {"changed": or_(units_table.c.changed, bindparam("differs", type_=Boolean))}
    )
)
_UPDATE_CODE = (
    update(codes_table)
    .where(codes_table.c.code == bindparam("key"))
    .values(unit=bindparam("new_unit"), former=bindparam("new_former"))
)
