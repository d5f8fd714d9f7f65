"""Looking after the database: is it whole, what time does it have, a copy of it while it is used."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pysqlite3
from sqlalchemy import Engine, text

from gateway.errors import LedgerUnavailable, SettingsInvalid
from gateway.ledger.engine import open_engine, reading, translated


@dataclass(frozen=True, kw_only=True)
class DatabaseFacts:
    """What an operator asks of a database."""

    engine: str
    """``sqlite`` or ``postgresql``."""
    version: str
    """Of SQLite's library in this process, or of the server."""
    now: datetime
    """The server's clock, aware UTC; for SQLite this machine's."""
    size_bytes: int
    journal: str | None
    """SQLite's journal mode, which must be ``wal``; ``None`` for PostgreSQL."""


def facts(engine: Engine) -> DatabaseFacts:
    """Ask the database about itself."""
    with reading(engine) as connection:
        if engine.dialect.name == "sqlite":
            pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
            size = pages * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
            return DatabaseFacts(
                engine="sqlite",
                version=str(pysqlite3.sqlite_version),
                now=datetime.now(UTC),
                size_bytes=size,
                journal=str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()),
            )
        row = connection.execute(
            text("SELECT current_setting('server_version'), clock_timestamp(), pg_database_size(current_database())")
        ).one()
        return DatabaseFacts(
            engine="postgresql", version=str(row[0]), now=row[1].astimezone(UTC), size_bytes=int(row[2]), journal=None
        )


def faults(engine: Engine) -> list[str]:
    """
    What SQLite finds wrong with the file (``PRAGMA quick_check``); empty when nothing is.

    PostgreSQL has no such question; its own tools (``pg_amcheck``) are for its administrator.
    """
    if engine.dialect.name != "sqlite":
        return []
    with reading(engine) as connection:
        rows = connection.exec_driver_sql("PRAGMA quick_check(20)").scalars().all()
    return [str(row) for row in rows if row != "ok"]


def backup(engine: Engine, target: Path) -> int:
    """
    Copy a SQLite database to a new file while it is used; the size of the copy in bytes.

    The copy is of one moment, is checked, and appears under its name only when it is complete and on disk.

    :raises SettingsInvalid: the file exists, cannot be written, or the database is PostgreSQL.
    :raises LedgerUnavailable: the copy did not succeed, or is damaged.
    """
    if engine.dialect.name != "sqlite":
        raise SettingsInvalid("PostgreSQL is backed up with its own tools: pg_dump --format=custom, or base backups.")
    if target.exists():
        raise SettingsInvalid(f"{target} exists; a backup is never overwritten.")
    part = target.with_name(target.name + ".part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.close(descriptor)
        _copy(engine, part)
        _refuse_damaged(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
        _sync_folder(target.parent)
    except OSError as e:
        raise SettingsInvalid(f"{target} cannot be written: {e.strerror}.") from e
    finally:
        for leftover in (part, Path(f"{part}-wal"), Path(f"{part}-shm")):
            leftover.unlink(missing_ok=True)
    return target.stat().st_size


def _copy(engine: Engine, part: Path) -> None:
    with translated(), contextlib.closing(engine.raw_connection()) as raw:
        source: Any = raw.driver_connection
        with contextlib.closing(pysqlite3.dbapi2.connect(str(part))) as copy:
            try:
                source.backup(copy)
                # A copy in WAL mode would want files beside it; a backup is one file.
                copy.execute("PRAGMA journal_mode = DELETE")
            except pysqlite3.dbapi2.Error as e:
                raise LedgerUnavailable(f"The backup did not succeed ({type(e).__name__}).") from e


def _refuse_damaged(copy: Path) -> None:
    engine = open_engine(f"sqlite:///{copy}")
    try:
        found = faults(engine)
    finally:
        engine.dispose()
    if found:
        raise LedgerUnavailable(f"The backup is damaged: {found[0]}.")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
