"""Migrations, checks, and what happens when the database says no."""

import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pysqlite3
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import StatementError

from gateway.directory.tables import metadata as directory_metadata
from gateway.errors import LedgerOutdated, LedgerUnavailable, RequestError, SettingsInvalid, StorageFull
from gateway.ledger import Ledger, check, open_engine, prepare
from gateway.ledger.engine import reading, writing
from gateway.ledger.records import Delivered
from gateway.ledger.tables import metadata
from tests.support.databases import PostgresServer
from tests.support.ledger import NOON, a_delivery, a_document, claim, claim_one

DIRECTORY = frozenset(directory_metadata.tables)


def test_an_empty_database_is_outdated_until_prepared(empty_database_url: str) -> None:
    engine = open_engine(empty_database_url)
    try:
        with pytest.raises(LedgerOutdated):
            check(engine)
        with pytest.raises(LedgerOutdated):
            Ledger(engine).counts()
        prepare(engine)
        check(engine)
        prepare(engine)
        check(engine)
    finally:
        engine.dispose()


def test_another_version_is_outdated(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerOutdated):
        check(engine)


def test_the_migrations_make_the_tables_that_are_described(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                # Another part describes these.
                "include_name": lambda name, kind, _parents: kind != "table" or name not in DIRECTORY,
            },
        )
        assert compare_metadata(context, metadata) == []
    assert set(DIRECTORY) <= set(inspect(engine).get_table_names())


def test_partial_indexes_are_the_ones_that_are_described(engine: Engine) -> None:
    inspector = inspect(engine)
    described = {
        index.name: str(index.dialect_options["sqlite"]["where"])
        for table in metadata.tables.values()
        for index in table.indexes
        if index.dialect_options["sqlite"]["where"] is not None
    }
    option = f"{engine.dialect.name}_where"
    made = {
        index["name"]
        for table in metadata.tables
        for index in inspector.get_indexes(table)
        if index.get("dialect_options", {}).get(option) is not None
    }
    assert made == set(described)


def test_two_that_prepare_at_once_both_succeed(empty_database_url: str) -> None:
    code = (
        "import sys; from gateway.ledger import check, open_engine, prepare\n"
        "engine = open_engine(sys.argv[1]); prepare(engine); check(engine); engine.dispose()"
    )
    command = [sys.executable, "-W", "error", "-c", code, empty_database_url]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    answers = [(p.communicate(timeout=60)[1].decode(), p.returncode) for p in processes]
    assert answers == [("", 0)] * 3


def test_threads_that_prepare_at_once_all_succeed(empty_database_url: str) -> None:
    engines = [open_engine(empty_database_url) for _ in range(4)]
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(prepare, engines))
        check(engines[0])
    finally:
        for engine in engines:
            engine.dispose()


@pytest.mark.parametrize(
    "url", ["", "x", "sqlite://", "sqlite:///:memory:", "mysql://h/d", "postgresql://h/d", "postgresql+psycopg2://h/d"]
)
def test_other_databases_are_refused_by_name(url: str) -> None:
    with pytest.raises(SettingsInvalid):
        open_engine(url)


def test_a_text_that_cannot_be_stored_is_the_callers_fault(ledger: Ledger) -> None:
    with pytest.raises(RequestError):
        ledger.accept(a_document(subject="\ud800"), [])
    assert ledger.documents().rows == ()


def test_a_statement_that_is_wrong_stays_what_it_is(engine: Engine) -> None:
    with pytest.raises(Exception, match=r"(?i)syntax"), writing(engine) as connection:
        connection.execute(text("SELEKT"))


# SQLite


@pytest.fixture
def sqlite_engine(tmp_path: Path, _migrated_sqlite: Path) -> Engine:
    path = tmp_path / "ledger.sqlite3"
    shutil.copyfile(_migrated_sqlite, path)
    return open_engine(f"sqlite:///{path}", busy_seconds=0.2)


def test_a_statement_that_is_wrong_is_told_without_what_it_was_about(engine: Engine) -> None:
    """It ends up in the log, and names and subjects have no place there."""
    with pytest.raises(StatementError) as raised, reading(engine) as connection:
        connection.execute(text("SELEKT :name"), {"name": "Nguyen Van A"})
    assert "Nguyen" not in str(raised.value)


def test_sqlite_is_durable_checks_references_and_writes_ahead(sqlite_engine: Engine) -> None:
    with reading(sqlite_engine) as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    sqlite_engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_full_disk_is_named_and_nothing_is_half_written(sqlite_engine: Engine) -> None:
    ledger = Ledger(sqlite_engine)
    document = a_document()
    ledger.accept(document, [a_delivery()])
    with sqlite_engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.rollback()
    sqlite_engine.dispose()
    full = open_engine(str(sqlite_engine.url))
    with full.connect() as connection:
        # Of this connection only; the pool then hands out this very one.
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        connection.rollback()
    crowded = Ledger(full)
    with pytest.raises(StorageFull):
        crowded.accept(a_document(payload=bytes(400_000)), [a_delivery()])
    assert len(crowded.documents().rows) == 1
    assert len(claim(crowded)) == 1
    full.dispose()


def test_a_database_that_another_process_holds_is_unavailable(sqlite_engine: Engine) -> None:
    ledger = Ledger(sqlite_engine)
    ledger.accept(a_document(), [a_delivery()])
    holder = pysqlite3.dbapi2.connect(str(sqlite_engine.url.database), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(LedgerUnavailable):
            ledger.accept(a_document(), [])
        # Readers are not kept out by a writer.
        assert len(ledger.documents().rows) == 1
    finally:
        holder.rollback()
        holder.close()
    ledger.settle(claim_one(ledger), Delivered(), now=NOON)
    sqlite_engine.dispose()


def test_a_pool_without_a_free_connection_is_unavailable(sqlite_engine: Engine) -> None:
    held = [sqlite_engine.connect() for _ in range(64)]
    try:
        with pytest.raises(LedgerUnavailable):
            Ledger(sqlite_engine).counts()
    finally:
        for connection in held:
            connection.close()
        sqlite_engine.dispose()


def test_a_thread_that_holds_the_ledger_makes_it_unavailable_to_others(sqlite_engine: Engine) -> None:
    began, end = threading.Event(), threading.Event()

    def hold() -> None:
        with writing(sqlite_engine):
            began.set()
            end.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    began.wait(30)
    try:
        with pytest.raises(LedgerUnavailable):
            Ledger(sqlite_engine).accept(a_document(), [])
    finally:
        end.set()
        thread.join()
        sqlite_engine.dispose()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"not a database" * 1000)
    engine = open_engine(f"sqlite:///{path}")
    with pytest.raises(LedgerUnavailable):
        prepare(engine)
    with pytest.raises(LedgerUnavailable):
        Ledger(engine).counts()
    engine.dispose()


def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'absent' / 'ledger.sqlite3'}")
    with pytest.raises(LedgerUnavailable):
        prepare(engine)


def test_the_due_and_mailbox_indexes_are_used_on_sqlite(sqlite_engine: Engine) -> None:
    plan = _plan(sqlite_engine, "EXPLAIN QUERY PLAN ")
    sqlite_engine.dispose()
    assert plan.count("ix_deliveries_due") == 3
    assert "(lane,via,due_at)>(?,?,?)" in plan  # with less, the walk would pass every row that waits
    assert "TEMP B-TREE" not in plan


# PostgreSQL


@pytest.mark.postgres
def test_postgresql_says_by_name_what_it_cannot_store(postgres: PostgresServer) -> None:
    url = postgres.ledger_database()
    engine = open_engine(url)
    ledger = Ledger(engine)
    with pytest.raises(RequestError):
        ledger.accept(a_document(subject="\0"), [])
    with pytest.raises(RequestError):
        ledger.document("\0")
    engine.dispose()
    postgres.drop(url)


@pytest.mark.postgres
def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    engine = open_engine(f"postgresql+psycopg://nobody@/none?host={tmp_path}")
    with pytest.raises(LedgerUnavailable):
        Ledger(engine).counts()
    with pytest.raises(LedgerUnavailable):
        prepare(engine)


@pytest.mark.postgres
def test_a_connection_that_broke_is_replaced(postgres: PostgresServer) -> None:
    url = postgres.ledger_database()
    engine = open_engine(url)
    ledger = Ledger(engine)
    ledger.accept(a_document(), [a_delivery()])
    with engine.connect() as connection:
        own = connection.scalar(text("SELECT pg_backend_pid()"))
    other = open_engine(url)
    with other.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own})
    other.dispose()
    assert len(ledger.documents().rows) == 1
    engine.dispose()
    postgres.drop(url)


@pytest.mark.postgres
def test_the_due_index_is_used_on_postgresql(postgres: PostgresServer) -> None:
    url = postgres.ledger_database()
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text("SET enable_seqscan = off"))
        plan = _plan(engine, "EXPLAIN ", connection)
    engine.dispose()
    postgres.drop(url)
    assert plan.count("ix_deliveries_due") == 3
    assert "Sort" not in plan
    assert "Hash" not in plan


def _plan(engine: Engine, explain: str, connection: object = None) -> str:
    """How both statements of a claim would run: the walk over the heads, and the taking at one endpoint."""
    from sqlalchemy import Connection

    from gateway.ledger.queue import DUE_AT_ENDPOINT, HEADS
    from gateway.model import Lane

    lines: list[str] = []

    def run(on: Connection) -> None:
        for statement, values in (
            (HEADS[engine.dialect.name], {}),
            (DUE_AT_ENDPOINT, {"lane": Lane.NORMAL, "via": "H37", "now": NOON, "room": 1}),
        ):
            compiled = statement.compile(engine, compile_kwargs={"render_postcompile": True})
            names = {**compiled.params, **values}
            bound = {k: (p(names[k]) if (p := compiled._bind_processors.get(k)) else names[k]) for k in compiled.params}
            parameters: object = tuple(bound[k] for k in compiled.positiontup or ()) if compiled.positional else bound
            rows = on.exec_driver_sql(explain + str(compiled), parameters)  # type: ignore[arg-type] # as compiled
            lines.extend(" ".join(map(str, row)) for row in rows)

    if isinstance(connection, Connection):
        run(connection)
    else:
        with reading(engine) as own:
            run(own)
    return "\n".join(lines)
