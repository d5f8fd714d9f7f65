"""
The directory in the database, one row per agency; each change makes a new version.

Beside the operator's own agencies stand those of an axis' catalogue (``catalogue_store``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, bindparam, delete, insert, select, update

from gateway.directory.catalogue_merge import beside
from gateway.directory.check import check_agencies, refuse_errors
from gateway.directory.database import STREAMED, chunks, reading, writing
from gateway.directory.directory import Directory, LocalSite
from gateway.directory.rows import folded, from_body, to_body
from gateway.directory.tables import agencies_table, codes_table, metadata, units_table, versions_table
from gateway.directory.versions import latest, record
from gateway.errors import NotFound
from gateway.model import Agency, AgencyCode

__all__ = ["DirectoryStore", "DirectoryVersion", "ImportResult", "metadata"]


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """What an import changed."""

    version: int
    """Of the directory afterwards; the one before when nothing changed."""
    added: int
    changed: int
    removed: int

    @property
    def unchanged(self) -> bool:
        """True when the directory already said all of it."""
        return not (self.added or self.changed or self.removed)


@dataclass(frozen=True, kw_only=True)
class DirectoryVersion:
    """One change of the directory: when, and from where."""

    version: int
    at: datetime
    """Aware UTC."""
    source: str
    sha256: str
    """Of the whole directory as it then was; equal when two gateways know the same."""


class DirectoryStore:
    """The directory's tables."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def import_agencies(
        self, agencies: Sequence[Agency], *, source: str, now: datetime, keep_others: bool = False
    ) -> ImportResult:
        """
        Make the directory say what these agencies say, all at once or not at all.

        :param source: file or catalogue that they come from; kept with the version.
        :param now: aware.
        :param keep_others: leave agencies that are not among these as they are (a part of a
            catalogue). Otherwise they are removed: the list is all of the operator's own agencies. Those of an
            axis' catalogue are no concern of an import: they stand beside, where the operator's leave room.
        :raises DirectoryInvalid: the directory would contradict itself; nothing was changed.
        """
        new = {agency.code: agency for agency in agencies}
        with writing(self._engine) as connection:
            others = [a for a in _stored(connection) if a.code not in new] if keep_others else []
            whole = [*others, *agencies]
            refuse_errors(check_agencies(whole), source=source)
            difference = _difference(connection, new.values(), keep_others=keep_others)
            version = latest(connection)
            if difference.any:
                _write(connection, difference, now=now)
                version = record(connection, source=source, now=now) or version
        return ImportResult(version=version, **difference.counts)

    def change(
        self, code: AgencyCode, change: Callable[[Agency], Agency], *, source: str, now: datetime
    ) -> tuple[Agency, int]:
        """
        Change one of the operator's own agencies, seen as it is at that moment.

        :param change: the agency as it shall be; may raise, and then nothing is changed.
        :return: the agency as it is now, and the version of the directory.
        :raises NotFound: the operator's own agencies have none of that primary code.
        :raises DirectoryInvalid: the directory would contradict itself; nothing was changed.
        """
        with writing(self._engine) as connection:
            whole = {agency.code: agency for agency in _stored(connection)}
            if code not in whole:
                raise NotFound(
                    f"{code} is not among the operator's own agencies; "
                    "`gateway agencies import --merge` takes it over from a file."
                )
            changed = change(whole[code])
            version = latest(connection)
            if changed != whole[code]:
                refuse_errors(check_agencies([*(a for a in whole.values() if a.code != code), changed]), source=source)
                _write(connection, _Difference(added=(), changed=(changed,), removed=()), now=now)
                version = record(connection, source=source, now=now) or version
        return changed, version

    def export(self) -> list[Agency]:
        """The operator's own agencies in the order of their codes; ``dump_agencies`` writes them as TOML."""
        with reading(self._engine) as connection:
            return list(_stored(connection))

    def changed_at(self, codes: Sequence[AgencyCode]) -> dict[AgencyCode, datetime]:
        """When the rows of some agencies were last written, by primary code; aware UTC. Unknown codes are left out."""
        listed, units = codes_table.c.code, units_table.c
        own = select(agencies_table.c.code, agencies_table.c.updated_at)
        others = select(listed, units.updated_at).join(units_table, units.unit == codes_table.c.unit)
        found: dict[AgencyCode, datetime] = {}
        with reading(self._engine) as connection:
            for some in chunks(codes):
                # The operator's own last: they stand instead of those of the catalogue.
                for query in (others.where(listed.in_(some)), own.where(agencies_table.c.code.in_(some))):
                    found |= {AgencyCode(row.code): row.updated_at for row in connection.execute(query)}
        return found

    def version(self) -> int:
        """Of the present directory; 0 before the first import. One look-up in a small index."""
        with reading(self._engine) as connection:
            return latest(connection)

    def versions(self, limit: int = 20) -> list[DirectoryVersion]:
        """The latest changes, newest first."""
        query = select(versions_table).order_by(versions_table.c.version.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [DirectoryVersion(**row) for row in connection.execute(query).mappings()]

    def load(self, local: LocalSite, *, previous: Directory | None = None) -> Directory:
        """
        The present directory: the operator's own agencies, and beside them those of the catalogue.

        :param previous: an earlier snapshot, whose agencies are used again where they have not
            changed: while both are alive, a catalogue is then not in memory twice.
        """
        with reading(self._engine) as connection:
            # The version first: rows that are newer than it only cause one more load.
            version = latest(connection)
            own = tuple(_reusing(_stored(connection), previous))
            others = _reusing(beside(connection, Directory(own, local)), previous)
            return Directory((*own, *others), local, version=version)


@dataclass(frozen=True, kw_only=True)
class _Difference:
    """What must be written so that the table says what was given."""

    added: Sequence[Agency]
    changed: Sequence[Agency]
    removed: Sequence[str]

    @property
    def any(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    @property
    def counts(self) -> dict[str, int]:
        return {"added": len(self.added), "changed": len(self.changed), "removed": len(self.removed)}


def _difference(connection: Connection, agencies: Iterable[Agency], *, keep_others: bool) -> _Difference:
    waiting = {str(agency.code): agency for agency in agencies}
    changed: list[Agency] = []
    removed: list[str] = []
    query = select(agencies_table.c.code, agencies_table.c.body)
    for code, body in connection.execute(query, execution_options=STREAMED):
        agency = waiting.pop(code, None)
        if agency is None:
            if not keep_others:
                removed.append(code)
        elif to_body(agency) != body:
            changed.append(agency)
    return _Difference(added=list(waiting.values()), changed=changed, removed=removed)


def _write(connection: Connection, difference: _Difference, *, now: datetime) -> None:
    table = agencies_table
    dropping = delete(table).where(table.c.code == bindparam("gone"))
    changing = (
        update(table)
        .where(table.c.code == bindparam("known"))
        .values(body=bindparam("new_body"), folded=bindparam("new_folded"), updated_at=now)
    )
    for codes in chunks(difference.removed):
        connection.execute(dropping, [{"gone": code} for code in codes])
    for agencies in chunks(difference.changed):
        connection.execute(
            changing, [{"known": str(a.code), "new_body": to_body(a), "new_folded": folded(a)} for a in agencies]
        )
    for agencies in chunks(difference.added):
        connection.execute(
            insert(table),
            [{"code": str(a.code), "body": to_body(a), "folded": folded(a), "updated_at": now} for a in agencies],
        )


def _stored(connection: Connection) -> Iterator[Agency]:
    query = select(agencies_table.c.body).order_by(agencies_table.c.code)
    parents: dict[str, AgencyCode] = {}
    for (body,) in connection.execute(query, execution_options=STREAMED):
        yield from_body(body, parents)


def _reusing(agencies: Iterable[Agency], previous: Directory | None) -> Iterator[Agency]:
    for agency in agencies:
        known = None if previous is None else previous.get(agency.code)
        yield known if known is not None and known == agency else agency
