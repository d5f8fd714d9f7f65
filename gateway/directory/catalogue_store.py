"""
The catalogue of an axis in the database: filled, kept up to date, and searched.

A sync is ``begin``, ``take`` for every list, ``settle``, ``publish``. Each works in transactions of a thousand units,
may be broken off anywhere, and costs nothing for what did not change. Running processes see the result when it is
published, as one new version of the directory.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, delete, func, insert, or_, select, update

from gateway.directory.answers import read_rows
from gateway.directory.catalogue import DEEPEST, Listed, Problem, listed
from gateway.directory.catalogue_merge import codes_of_units, covered_units
from gateway.directory.catalogue_settle import CLOSED, settle_page
from gateway.directory.catalogue_take import take
from gateway.directory.database import reading, writing
from gateway.directory.directory import Directory, LocalSite, closed_at
from gateway.directory.rows import from_body
from gateway.directory.search import words_of
from gateway.directory.tables import runs_table, units_table
from gateway.directory.versions import latest, record
from gateway.errors import CatalogueAlarming, CatalogueUnusable, DirectoryInvalid
from gateway.model import Agency, AgencyCode

_BATCH = 1_000
"""Units per transaction: some ten milliseconds, so that documents are accepted in between."""
_MOST = 500_000
"""Units of one list: four times those of the country. What lists more is no catalogue, and would fill the memory."""
_ROUNDS = 10 * DEEPEST
"""Looks at what changed: as many as the tree is deep, and some for circles. More would never end."""
_RUNS_KEPT = 200
_FEW, _SHARE = 200, 0.05
"""Closings that are taken without asking: so many, or this part of the agencies that exist."""
_EFFECTS = ("added", "changed", "closed", "reopened", "withdrawn")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One reading of the catalogue."""

    run: int
    source: str
    started_at: datetime
    finished_at: datetime | None
    """``None`` when it was broken off; the next one goes on."""
    counts: Mapping[str, int]
    """``rows`` read, ``unreadable`` among them, ``new``, ``updated`` and ``outdated`` units, ``codes_refused`` and
    ``codes_contested``; agencies ``added``, ``changed``, ``closed``, ``reopened`` and ``withdrawn``."""
    version: int | None
    """Of the directory, when the run changed it."""

    @property
    def changes(self) -> int:
        """How many agencies became different."""
        return sum(self.counts.get(effect, 0) for effect in _EFFECTS)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One unit of the catalogue, for people."""

    code: AgencyCode
    name: str
    centre: str | None
    problem: Problem | None
    """Why it is not an agency; ``None`` when it is one, or another one under a further code."""
    agency: Agency | None
    standing: str
    """``in_force``; ``closed``; ``own_file`` (the operator's own agency stands instead); ``own_province`` (not in the
    operator's file, so not reached); ``not_taken``; ``same_as_another``."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where the catalogue says something else of an agency of the operator's own."""

    agency: AgencyCode
    kind: str
    """``closed_there``, ``closed_here``, or ``further_codes``."""
    codes: tuple[AgencyCode, ...] = ()
    """Those that the operator's agency lacks."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What the catalogue holds."""

    units: int
    open: int
    closed: int
    hidden: int
    problems: Mapping[str, int]
    unsettled: int
    """Units that a sync which was broken off has left."""
    highest_version: int | None
    runs: tuple[Run, ...] = field(default=())
    """The latest, newest first."""


class CatalogueStore:
    """The catalogue's tables."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # Syncing

    def begin(self, source: str, *, now: datetime) -> int:
        """
        Begin a run.

        :param source: file or axis; kept with the run and with the directory's version.
        :return: its number.
        :raises DirectoryInvalid: there are no agencies of the operator's own yet. They come first: against them is
            judged what the catalogue may say.
        """
        with writing(self._engine) as connection:
            if latest(connection) == 0:
                raise DirectoryInvalid("The directory is empty; import your own agencies before a catalogue.")
            table = runs_table
            number = (connection.execute(select(func.max(table.c.run))).scalar() or 0) + 1
            connection.execute(
                insert(table), {"run": number, "source": source, "started_at": now, "counts": "{}", "finished_at": None}
            )
            connection.execute(delete(table).where(table.c.run <= number - _RUNS_KEPT))
        return number

    def take(self, run: int, answer: BinaryIO, *, name: str, now: datetime, by_level: bool = False) -> int:
        """
        Keep what one answer of the axis lists.

        :param answer: its bytes, at the first; read as a stream.
        :param name: what to call it in errors.
        :param by_level: it answers ``getAgenciesListQD20``.
        :return: how many rows it has.
        :raises CatalogueUnusable: it is not such an answer, or not all of it. What was read stays marked and comes
            into force with the next run that succeeds.
        """
        rows = read_rows(answer, name=name)
        total = 0
        while some := list(islice(rows, _BATCH)):
            total += len(some)
            if total > _MOST:
                raise CatalogueUnusable(f"{name}: It lists more than {_MOST:,} units.")
            self._take(run, some, by_level=by_level, now=now)
        if not total and not by_level:
            # An axis that is out of order may well answer with an empty list.
            raise CatalogueUnusable(f"{name}: The catalogue is empty.")
        return total

    def _take(self, run: int, rows: Iterable[Mapping[str, Any]], *, by_level: bool, now: datetime) -> None:
        units = [listed(row, by_level=by_level) for row in rows]
        readable: list[Listed] = [unit for unit in units if unit is not None]
        counts = Counter({"rows": len(units), "unreadable": len(units) - len(readable)})
        with writing(self._engine) as connection:
            counts.update(take(connection, readable, now=now))
            _count(connection, run, counts)

    def settle(self, run: int, *, now: datetime, accept_closings: bool = False) -> None:
        """
        Find the place of every unit that changed.

        :param accept_closings: also when unusually many agencies would be closed.
        :raises CatalogueAlarming: they would, and nobody has agreed; nothing was changed.
        :raises CatalogueUnusable: it contradicts itself without end.
        """
        if not accept_closings:
            self._refuse_alarming()
        circles = False
        for _ in range(_ROUNDS):
            settled = self._round(run, circles=circles, now=now)
            if circles and not settled:
                return
            # Only when nothing else can be settled are circles given up; what is below them comes after.
            circles = not settled
        raise CatalogueUnusable("The catalogue's units do not come to rest; run `gateway catalogue status`.")

    def _refuse_alarming(self) -> None:
        table = units_table
        with reading(self._engine) as connection:
            standing = connection.execute(select(func.count()).select_from(table).where(_OPEN)).scalar_one()
            closing = select(func.count()).select_from(table)
            closings = connection.execute(
                closing.where(table.c.changed.is_(True), table.c.deleted.is_(True), _OPEN)
            ).scalar_one()
        if closings > max(_FEW, standing * _SHARE):
            raise CatalogueAlarming(
                f"The catalogue closes {closings} of {standing} agencies; "
                "look at it, and run `gateway catalogue sync` with --accept-closings if that is right.",
                closings=closings,
            )

    def _round(self, run: int, *, circles: bool, now: datetime) -> int:
        """Look once at every changed unit."""
        settled, after = 0, ""
        while True:
            with writing(self._engine) as connection:
                page = settle_page(connection, after=after, circles=circles, now=now)
                if page is None:
                    return settled
                _count(connection, run, page.counts)
            after, settled = page.last, settled + page.settled

    def publish(self, run: int, *, now: datetime) -> Run:
        """
        End a run: what it and those before it that were broken off have changed is a new version of the directory.

        Another one may be at work at the same time: whoever publishes later adds what the first did not have.
        """
        table = runs_table
        this = table.c.run == run
        open_until_now = and_(table.c.run < run, table.c.finished_at.is_(None))
        with writing(self._engine) as connection:
            ending = [_run(row) for row in connection.execute(select(table).where(or_(this, open_until_now)))]
            source = next(each.source for each in ending if each.run == run)
            changed = any(each.changes for each in ending)
            version = record(connection, source=source, now=now) if changed else None
            connection.execute(update(table).where(open_until_now).values(finished_at=now))
            connection.execute(update(table).where(this).values(finished_at=now, version=version))
            row = connection.execute(select(table).where(this)).one()
        return _run(row)

    # Looking

    def overview(self, *, runs: int = 5) -> Overview:
        """What there is, and the latest runs."""
        table = units_table
        with reading(self._engine) as connection:

            def count(*conditions: ColumnElement[bool]) -> int:
                return connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()

            problems = connection.execute(
                select(table.c.problem, func.count().label("number"))
                .where(table.c.problem.is_not(None))
                .group_by(table.c.problem)
            )
            latest_runs = connection.execute(select(runs_table).order_by(runs_table.c.run.desc()).limit(runs))
            return Overview(
                units=count(),
                open=count(_OPEN),
                closed=count(table.c.body.is_not(None), ~_OPEN),
                hidden=count(table.c.body.is_not(None), table.c.body.contains('"hidden"', autoescape=True)),
                problems={row.problem: row.number for row in problems},
                unsettled=count(table.c.changed.is_(True)),
                highest_version=connection.execute(select(func.max(table.c.version))).scalar(),
                runs=tuple(_run(row) for row in latest_runs),
            )

    def is_empty(self) -> bool:
        """Whether nothing was ever taken: a first fill is due."""
        with reading(self._engine) as connection:
            return connection.execute(select(units_table.c.unit).limit(1)).first() is None

    def search(self, text: str, own: Directory, *, at: datetime, limit: int = 20) -> tuple[Unit, ...]:
        """
        Units by words of their names or the beginning of a code, accents ignored; centres and those not taken, too.

        :param own: the operator's agencies alone.
        """
        table = units_table
        words = [table.c.folded.contains(word, autoescape=True) for word in words_of(text)]
        code = table.c.code.startswith(AgencyCode.normal(text), autoescape=True)
        query = select(table).where(or_(and_(*words), code) if words else code)
        return self._units(query.order_by(table.c.depth, table.c.name, table.c.unit).limit(limit), own, at=at)

    def problems(self, own: Directory, *, at: datetime, limit: int = 200) -> tuple[Unit, ...]:
        """Units that were not taken, by their codes."""
        table = units_table
        query = select(table).where(table.c.problem.is_not(None)).order_by(table.c.code, table.c.unit).limit(limit)
        return self._units(query, own, at=at)

    def _units(self, query: Any, own: Directory, *, at: datetime) -> tuple[Unit, ...]:
        with reading(self._engine) as connection:
            covered = covered_units(connection, own)
            return tuple(_unit(row, own, covered, at=at) for row in connection.execute(query))

    def differences(self, own: Directory, *, at: datetime) -> tuple[Difference, ...]:
        """Where the operator's own agencies and the catalogue do not agree; the operator's stand."""
        with reading(self._engine) as connection:
            covered = covered_units(connection, own)
            codes = codes_of_units(connection, list(covered))
            closed = {
                row.code
                for row in connection.execute(select(units_table.c.code).where(units_table.c.body.is_not(None), ~_OPEN))
                if row.code in covered
            }
        return tuple(_differences(covered, codes, closed, at=at))

    def unknown_here(self, own: Directory, *, at: datetime, limit: int = 200) -> tuple[Unit, ...]:
        """
        Agencies of the gateway's own province or branch that the operator's file lacks.

        Documents for them are refused as for unknown recipients until the operator adds them.
        """
        found: list[Unit] = []
        with reading(self._engine) as connection:
            covered = covered_units(connection, own)
            for row in connection.execute(select(units_table).where(_OPEN, _at_home(own.local))):
                unit = _unit(row, own, covered, at=at)
                if unit.standing == "own_province":
                    found.append(unit)
                    if len(found) >= limit:
                        break
        return tuple(found)


_OPEN = and_(units_table.c.body.is_not(None), ~units_table.c.body.contains(CLOSED, autoescape=True))


def _at_home(local: LocalSite) -> ColumnElement[bool]:
    """Narrows down to the first-level parts; the rest is told by ``LocalSite.covers``."""
    parts = {AgencyCode(code).level1 or code for code in local.first_levels}
    return units_table.c.level1.in_(parts)


def _count(connection: Connection, run: int, counts: Counter[str]) -> None:
    table = runs_table
    before = connection.execute(select(table.c.counts).where(table.c.run == run)).scalar_one()
    total = Counter(json.loads(before)) + counts
    connection.execute(update(table).where(table.c.run == run).values(counts=json.dumps(total, sort_keys=True)))


def _run(row: Row[Any]) -> Run:
    return Run(
        run=row.run,
        source=row.source,
        started_at=row.started_at,
        finished_at=row.finished_at,
        counts=json.loads(row.counts),
        version=row.version,
    )


def _unit(row: Row[Any], own: Directory, covered: Mapping[str, Agency], *, at: datetime) -> Unit:
    agency = None if row.body is None else from_body(row.body, {})
    return Unit(
        code=AgencyCode(row.code),
        name=row.name,
        centre=row.centre,
        problem=None if row.problem is None else Problem(row.problem),
        agency=agency,
        standing=_standing(row, agency, own, covered, at=at),
    )


def _standing(
    row: Row[Any], agency: Agency | None, own: Directory, covered: Mapping[str, Agency], *, at: datetime
) -> str:
    if agency is None:
        return "not_taken" if row.problem else "same_as_another"
    if row.code in covered:
        return "own_file"
    if any(own.local.covers(code) for code in agency.codes) or row.level1 in own.local.first_levels:
        return "own_province"
    return "closed" if closed_at(agency, at) else "in_force"


def _differences(
    covered: Mapping[str, Agency], codes: Mapping[str, list[AgencyCode]], closed: set[str], *, at: datetime
) -> Iterator[Difference]:
    for primary, agency in sorted(covered.items(), key=lambda item: item[1].code):
        if (primary in closed) is not closed_at(agency, at):
            yield Difference(agency=agency.code, kind="closed_there" if primary in closed else "closed_here")
        lacking = tuple(code for code in codes.get(primary, ()) if code not in agency.codes)
        if lacking:
            yield Difference(agency=agency.code, kind="further_codes", codes=lacking)
