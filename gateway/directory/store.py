"""
The directory in the database, one row per agency; each change makes a new version.

The tables are made by the ledger's migrations (one history for one database); they are described
here because nothing else reads or writes them.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    bindparam,
    delete,
    exc,
    func,
    insert,
    select,
    text,
    update,
)

from gateway.directory.check import check_agencies, refuse_errors
from gateway.directory.directory import Directory, LocalSite
from gateway.directory.rows import folded, from_body, to_body
from gateway.errors import LedgerOutdated, LedgerUnavailable
from gateway.model import Agency, AgencyCode

_T = TypeVar("_T")

_CHUNK = 2_000
"""Rows in memory at once while a catalogue is read or written."""
_STREAMED = {"yield_per": _CHUNK}


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite drops zones, so there it is stored as UTC without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """In UTC; a naive time is a mistake of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment must be aware")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware, whatever the session's zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


metadata = MetaData()

agencies_table = Table(
    "agencies",
    metadata,
    Column("code", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("folded", Text, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)

versions_table = Table(
    "directory_versions",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("source", Text, nullable=False),
    Column("sha256", Text, nullable=False),
)


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
            catalogue). Otherwise they are removed: the list is the whole directory.
        :raises DirectoryInvalid: the directory would contradict itself; nothing was changed.
        """
        new = {agency.code: agency for agency in agencies}
        with self._writing() as connection:
            others = [a for a in _stored(connection) if a.code not in new] if keep_others else []
            whole = [*others, *agencies]
            refuse_errors(check_agencies(whole), source=source)
            difference = _difference(connection, new.values(), keep_others=keep_others)
            version = _latest(connection)
            if difference.any:
                version += 1
                _write(connection, difference, now=now)
                connection.execute(
                    insert(versions_table),
                    {"version": version, "at": now, "source": source, "sha256": _digest(whole)},
                )
        return ImportResult(version=version, **difference.counts)

    def export(self) -> list[Agency]:
        """All agencies in the order of their codes; ``dump_agencies`` writes them as TOML."""
        with self._reading() as connection:
            return list(_stored(connection))

    def changed_at(self, codes: Sequence[AgencyCode]) -> dict[AgencyCode, datetime]:
        """When the rows of some agencies were last written, by primary code; aware UTC. Unknown codes are left out."""
        query = select(agencies_table.c.code, agencies_table.c.updated_at)
        found: dict[AgencyCode, datetime] = {}
        with self._reading() as connection:
            for start in range(0, len(codes), _CHUNK):
                some = query.where(agencies_table.c.code.in_(codes[start : start + _CHUNK]))
                found |= {AgencyCode(row.code): row.updated_at for row in connection.execute(some)}
        return found

    def version(self) -> int:
        """Of the present directory; 0 before the first import. One look-up in a small index."""
        with self._reading() as connection:
            return _latest(connection)

    def versions(self, limit: int = 20) -> list[DirectoryVersion]:
        """The latest changes, newest first."""
        query = select(versions_table).order_by(versions_table.c.version.desc()).limit(limit)
        with self._reading() as connection:
            return [DirectoryVersion(**row) for row in connection.execute(query).mappings()]

    def load(self, local: LocalSite, *, previous: Directory | None = None) -> Directory:
        """
        The present directory.

        :param previous: an earlier snapshot, whose agencies are used again where they have not
            changed: while both are alive, a catalogue is then not in memory twice.
        """
        with self._reading() as connection:
            # The version first: rows that are newer than it only cause one more load.
            version = _latest(connection)
            agencies = _stored(connection)
            return Directory(_reusing(agencies, previous), local, version=version)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        with _translated(), self._engine.execution_options(read_only=True).begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One writer at a time: the ledger's engine begins with the write lock on SQLite, here PostgreSQL takes it."""
        with _translated(), self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("LOCK TABLE directory_versions IN SHARE ROW EXCLUSIVE MODE"))
            yield connection


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
    for code, body in connection.execute(query, execution_options=_STREAMED):
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
    for codes in _chunks(difference.removed):
        connection.execute(dropping, [{"gone": code} for code in codes])
    for agencies in _chunks(difference.changed):
        connection.execute(
            changing, [{"known": str(a.code), "new_body": to_body(a), "new_folded": folded(a)} for a in agencies]
        )
    for agencies in _chunks(difference.added):
        connection.execute(
            insert(table),
            [{"code": str(a.code), "body": to_body(a), "folded": folded(a), "updated_at": now} for a in agencies],
        )


def _digest(agencies: Iterable[Agency]) -> str:
    digest = hashlib.sha256()
    for agency in sorted(agencies, key=lambda a: a.code):
        digest.update(to_body(agency).encode() + b"\n")
    return digest.hexdigest()


def _chunks(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))


def _latest(connection: Connection) -> int:
    return connection.execute(select(func.max(versions_table.c.version))).scalar() or 0


def _stored(connection: Connection) -> Iterator[Agency]:
    query = select(agencies_table.c.body).order_by(agencies_table.c.code)
    parents: dict[str, AgencyCode] = {}
    for (body,) in connection.execute(query, execution_options=_STREAMED):
        yield from_body(body, parents)


def _reusing(agencies: Iterable[Agency], previous: Directory | None) -> Iterator[Agency]:
    for agency in agencies:
        known = None if previous is None else previous.get(agency.code)
        yield known if known is not None and known == agency else agency


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """The drivers' errors as the gateway's own; their sentences may name hosts and stay in the chained cause."""
    try:
        yield
    except exc.DBAPIError as e:
        if getattr(e.orig, "sqlstate", None) == "42P01" or str(e.orig).startswith("no such table"):
            raise LedgerOutdated from e
        if isinstance(e, exc.OperationalError | exc.InterfaceError | exc.InternalError):
            raise LedgerUnavailable(f"The directory cannot be used now ({type(e.orig).__name__}).") from e
        raise
    except exc.TimeoutError as e:
        raise LedgerUnavailable("No connection to the ledger became free in time.") from e
