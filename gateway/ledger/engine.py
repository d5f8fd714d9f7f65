"""Opening, preparing and checking the database; transactions; one translation of the drivers' errors."""

from __future__ import annotations

import contextlib
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import alembic.command
import alembic.config
import alembic.script
import psycopg
import psycopg.errors
import pysqlite3
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url, text
from sqlalchemy.pool import Pool

from gateway.errors import GatewayError, LedgerOutdated, LedgerUnavailable, RequestError, SettingsInvalid, StorageFull
from gateway.ledger.line import Errand, Line
from gateway.ledger.rows import spelled

T = TypeVar("T")

_MIGRATIONS = Path(__file__).parent / "migrations"

_BUSY_SECONDS = 30.0
"""How long a SQLite writer waits for another process before the ledger counts as unavailable."""

_PREPARE_LOCK = 0x65646F63
"""PostgreSQL advisory lock held while migrating; any fixed number of our own."""

_FIRST_SAFE_SQLITE = (3, 51, 3)
"""Earlier ones can corrupt a WAL database while one connection checkpoints and another commits ("WAL-reset")."""


def sqlite_version_is_safe() -> bool:
    """False for the SQLite versions that can corrupt a WAL database (3.7.0–3.51.2)."""
    return tuple(pysqlite3.sqlite_version_info) >= _FIRST_SAFE_SQLITE


def open_engine(url: str, *, busy_seconds: float = _BUSY_SECONDS) -> Engine:
    """
    An engine for ``sqlite:///file`` or ``postgresql+psycopg://…``; connects when first used.

    On SQLite every transaction begins as ``BEGIN IMMEDIATE`` unless its connection has the execution
    option ``read_only`` (``connection.execution_options(read_only=True)``): a transaction that began by
    reading cannot always go on to write.

    :param busy_seconds: how long a SQLite writer waits for the others.
    :raises SettingsInvalid: for any other kind of URL.
    """
    try:
        parsed = make_url(url)
    except exc.ArgumentError as e:
        raise SettingsInvalid("ledger.url is not a database URL.", path="ledger.url") from e
    if parsed.drivername in ("sqlite", "sqlite+pysqlite") and parsed.database not in (None, "", ":memory:"):
        return _open_sqlite(parsed, busy_seconds)
    if parsed.drivername == "postgresql+psycopg":
        return _open_postgresql(parsed)
    raise SettingsInvalid(
        f"ledger.url must be sqlite:///<file> or postgresql+psycopg://…, not {parsed.drivername}.", path="ledger.url"
    )


# Parameters are hidden: a statement that goes wrong ends up in the log, and what people wrote must not.


def _open_sqlite(url: URL, busy_seconds: float) -> Engine:
    engine = create_engine(
        url,
        module=pysqlite3.dbapi2,
        connect_args={"timeout": busy_seconds},
        pool_size=16,
        max_overflow=48,
        pool_timeout=busy_seconds,
        hide_parameters=True,
    )
    event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "begin", _on_sqlite_begin)
    _lines[engine.pool] = Line(busy_seconds)
    return engine


def _on_sqlite_connect(connection: Any, _record: Any) -> None:
    # The driver would begin transactions by itself, and not for every statement; we begin them.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _on_sqlite_begin(connection: Connection) -> None:
    read_only = connection.get_execution_options().get("read_only", False)
    # Straight to the driver: as a statement of SQLAlchemy's it would cost as much as the whole look-up that follows.
    driver: Any = connection.connection.driver_connection
    driver.execute("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _open_postgresql(url: URL) -> Engine:
    return create_engine(
        url,
        pool_size=16,
        max_overflow=48,
        pool_timeout=_BUSY_SECONDS,
        # A server that was restarted meanwhile costs one more connection, not an error.
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"connect_timeout": 10, "options": "-c timezone=UTC"},
    )


# Transactions


# SQLite has one writer at a time, and those that wait poll for it with growing pauses; in line they neither starve
# nor sleep, and can share a commit. Writers of other processes are still waited for by SQLite.
_lines: weakref.WeakKeyDictionary[Pool, Line] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """
    A transaction that writes: durable when the block ends, gone when it raises.

    :raises LedgerUnavailable: the database cannot be used now; nothing was changed.
    :raises StorageFull: there is no room; nothing was changed.
    :raises LedgerOutdated: the tables are not there.
    """
    line = _lines.get(engine.pool)
    with line.alone() if line else contextlib.nullcontext(), translated(), engine.begin() as connection:
        yield connection


def written(engine: Engine, work: Callable[[Connection], T]) -> T:
    """
    What some work in a transaction returns, once that is durable; what ``writing`` is, and raises, for one call.

    On SQLite the work of several threads that wait at the same moment shares one transaction, for a commit costs
    more than the work of many: it may be done by another of these threads. When it raises, it alone is undone;
    when the transaction fails, all of it is.
    """
    line = _lines.get(engine.pool)
    if line is None:
        with writing(engine) as connection:
            return work(connection)
    with translated():
        return line.together(work, partial(_commit, engine))


def _commit(engine: Engine, errands: Sequence[Errand[Any]]) -> None:
    """Run errands in one transaction."""
    with engine.begin() as connection:
        if len(errands) == 1:
            errands[0].run(connection)
            return
        for errand in errands:
            _run_apart(errand, connection)


def _run_apart(errand: Errand[Any], connection: Connection) -> None:
    """Run one errand of several, so that its failure is its own."""
    driver: Any = connection.connection.driver_connection
    driver.execute("SAVEPOINT errand")
    try:
        errand.run(connection)
    except Exception as e:
        if not driver.in_transaction:
            raise  # a full disk, for instance, lets SQLite undo the whole of the transaction by itself
        errand.error = e
        driver.execute("ROLLBACK TO errand")
    driver.execute("RELEASE errand")


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads, of one moment on SQLite; errors as in ``writing``."""
    with translated(), engine.connect() as connection, connection.execution_options(read_only=True).begin():
        yield connection


def first_row(engine: Engine, question: str, *values: str | int) -> tuple[Any, ...] | None:
    """
    The first row that a question to the database yields, or ``None``; errors as in ``writing``.

    Past SQLAlchemy, for the look-ups made for every document and every delivery: what it does around such
    a statement costs five times the statement.

    :param question: a SELECT with ``?`` for each value.
    :param values: as they are stored; and the row comes back as it is stored.
    """
    with (
        translated(),
        contextlib.closing(engine.raw_connection()) as connection,
        contextlib.closing(connection.cursor()) as cursor,
    ):
        cursor.execute(spelled(question, engine.dialect), values)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what the drivers raise into the gateway's own errors; statements that are wrong stay what they are."""
    try:
        yield
    except (exc.DBAPIError, pysqlite3.dbapi2.Error, psycopg.Error) as e:
        # SQLAlchemy does not wrap what happens while a new connection is being set up, nor what goes past it.
        cause = e.orig if isinstance(e, exc.DBAPIError) else e
        lost = isinstance(e, exc.DBAPIError) and e.connection_invalidated
        error = _sqlite_error(cause) if isinstance(cause, pysqlite3.dbapi2.Error) else _postgresql_error(cause, lost)
        if error is None:
            raise
        raise error from e
    except UnicodeEncodeError as e:
        raise RequestError("A text holds a character that cannot be stored.") from e
    except exc.TimeoutError as e:
        raise LedgerUnavailable("No connection to the ledger became free in time.") from e


_SQLITE_USABLE_AGAIN = frozenset(
    {
        pysqlite3.dbapi2.SQLITE_BUSY,
        pysqlite3.dbapi2.SQLITE_LOCKED,
        pysqlite3.dbapi2.SQLITE_NOMEM,
        pysqlite3.dbapi2.SQLITE_READONLY,
        pysqlite3.dbapi2.SQLITE_INTERRUPT,
        pysqlite3.dbapi2.SQLITE_IOERR,
        pysqlite3.dbapi2.SQLITE_CORRUPT,
        pysqlite3.dbapi2.SQLITE_CANTOPEN,
        pysqlite3.dbapi2.SQLITE_PROTOCOL,
        pysqlite3.dbapi2.SQLITE_PERM,
        pysqlite3.dbapi2.SQLITE_AUTH,
        pysqlite3.dbapi2.SQLITE_NOTADB,
    }
)


def _sqlite_error(cause: pysqlite3.dbapi2.Error) -> GatewayError | None:
    code = getattr(cause, "sqlite_errorcode", None)  # absent on errors of the driver itself
    if code is None:
        return None
    primary = code & 0xFF  # the higher bits say where it happened
    if primary == pysqlite3.dbapi2.SQLITE_FULL:
        return StorageFull("The ledger has no room left.")
    if primary in _SQLITE_USABLE_AGAIN:
        return _unavailable(cause.sqlite_errorname)
    if primary == pysqlite3.dbapi2.SQLITE_ERROR and str(cause).startswith(("no such table", "no such column")):
        return LedgerOutdated()
    return None


def _postgresql_error(cause: BaseException | None, lost: bool) -> GatewayError | None:
    if isinstance(cause, psycopg.errors.DiskFull):
        return StorageFull("The ledger has no room left.")
    if isinstance(cause, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        return LedgerOutdated()
    if isinstance(cause, psycopg.DataError):
        return RequestError("A text holds a character that cannot be stored.")
    if lost or isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError | psycopg.InternalError):
        return _unavailable(type(cause).__name__)
    return None


def _unavailable(name: str) -> LedgerUnavailable:
    # The driver's sentence may name hosts and files; it stays in the chained cause.
    return LedgerUnavailable(f"The ledger cannot be used now ({name}).")


# Migrations


def prepare(engine: Engine) -> None:
    """
    Bring the tables to this version and set WAL; before workers start.

    Safe when two processes do it at once: the second waits and finds everything done.

    :raises LedgerUnavailable: the database cannot be used, or another writer holds it.
    """
    if engine.dialect.name == "sqlite":
        _set_wal(engine)
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PREPARE_LOCK})
        config = _alembic()
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "head")


def _set_wal(engine: Engine) -> None:
    """
    Switch to WAL, which the file then remembers.

    SQLite answers "locked" at once, whatever the timeout, when two connections switch together: try again.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            with translated(), contextlib.closing(engine.raw_connection()) as raw:
                cursor = raw.cursor()
                cursor.execute("PRAGMA journal_mode = WAL")
                mode = cursor.fetchone()
                cursor.close()
        except LedgerUnavailable as e:
            if "locked" not in str(e.__cause__) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
            continue
        if mode is None or str(mode[0]).lower() != "wal":
            raise LedgerUnavailable("This file system does not allow SQLite's WAL; use a local disk or PostgreSQL.")
        return


def check(engine: Engine) -> None:
    """
    Make sure that the database answers and that its tables are of this version.

    :raises LedgerOutdated: they are not; ``prepare`` brings them there.
    :raises LedgerUnavailable: it does not answer.
    """
    with reading(engine) as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    if present != _newest():
        raise LedgerOutdated(f"{LedgerOutdated.en()} They are of version {present or 'none'}.")


@cache
def _newest() -> str | None:
    return alembic.script.ScriptDirectory.from_config(_alembic()).get_current_head()


def _alembic() -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    # Alembic would otherwise split paths at colons and spaces and warn about it.
    config.set_main_option("path_separator", "os")
    return config
