"""Acceptances that wait for SQLite at one moment share a commit; each has its own answer, none before it is durable."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pysqlite3
import pytest
from sqlalchemy import Connection, Engine, event, text

from gateway.errors import DocumentConflict, LedgerUnavailable, RequestError, StorageFull
from gateway.ledger import Ledger, open_engine
from gateway.ledger.engine import _lines, writing, written
from gateway.ledger.records import Accepted, Duplicate, new_id
from tests.support.ledger import NOON, a_delivery, a_document

LONG = 30.0


@pytest.fixture
def path(tmp_path: Path, _migrated_sqlite: Path) -> Path:
    made = tmp_path / "ledger.sqlite3"
    shutil.copyfile(_migrated_sqlite, made)
    return made


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    opened = open_engine(f"sqlite:///{path}")
    yield opened
    opened.dispose()


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return Ledger(engine)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


@contextmanager
def commits(engine: Engine) -> Iterator[list[str]]:
    """What is done to transactions that write, while the block lasts."""
    seen: list[str] = []

    def note(connection: Connection) -> None:
        if not connection.get_execution_options().get("read_only", False):
            seen.append("commit")

    event.listen(engine, "commit", note)
    yield seen
    event.remove(engine, "commit", note)


def together(engine: Engine, pool: ThreadPoolExecutor, *works: Callable[[], object]) -> list[Any]:
    """What each returned or raised, when all of them came, in this order, while another thread wrote."""
    line = _lines[engine.pool]
    futures: list[Future[object]] = []
    deadline = time.monotonic() + LONG
    with writing(engine):
        for number, work in enumerate(works, 1):
            futures.append(pool.submit(work))
            while line.length < number:
                assert time.monotonic() < deadline
                time.sleep(0.001)
    return [future.exception(LONG) or future.result() for future in futures]


def kept(ledger: Ledger) -> set[str]:
    return {row.id for row in ledger.documents().rows}


def test_acceptances_that_wait_together_share_a_commit(
    ledger: Ledger, engine: Engine, pool: ThreadPoolExecutor
) -> None:
    made = [a_document() for _ in range(4)]
    with commits(engine) as seen:
        answers = together(engine, pool, *(lambda d=d: ledger.accept(d, [a_delivery()]) for d in made))
    assert answers == [Accepted(document_id=d.id, receipt=d.receipt) for d in made]
    assert seen == ["commit"] * 2  # of the one that wrote before, and theirs
    assert kept(ledger) == {d.id for d in made}


def test_alone_an_acceptance_is_a_plain_transaction(ledger: Ledger, engine: Engine) -> None:
    statements: list[str] = []
    with engine.connect() as connection:
        connection.connection.driver_connection.set_trace_callback(statements.append)  # type: ignore[union-attr] # is there
        connection.rollback()
    statements.clear()
    ledger.accept(a_document(), [a_delivery()])
    assert statements[0] == "BEGIN IMMEDIATE"
    assert statements.count("COMMIT") == 1
    assert not [s for s in statements if "SAVEPOINT" in s]


def test_what_is_wrong_with_one_does_no_harm_to_the_others(
    ledger: Ledger, engine: Engine, pool: ThreadPoolExecutor
) -> None:
    taken, first, last = a_document(), a_document(), a_document()
    ledger.accept(taken, [])
    twice = a_delivery()
    half, unstorable = a_document(), a_document(subject="\ud800")
    answers = together(
        engine,
        pool,
        lambda: ledger.accept(first, [a_delivery()]),
        lambda: ledger.accept(half, [twice, twice]),
        lambda: ledger.accept(unstorable, []),
        lambda: ledger.accept(a_document(identity=taken.identity), []),
        lambda: ledger.accept(replace(first, id=new_id()), [a_delivery()]),
        lambda: ledger.accept(last, [a_delivery()]),
    )
    assert answers[0] == Accepted(document_id=first.id, receipt=first.receipt)
    assert isinstance(answers[1], pysqlite3.dbapi2.IntegrityError)
    assert isinstance(answers[2], RequestError)
    assert isinstance(answers[3], DocumentConflict)
    assert answers[4] == Duplicate(document_id=first.id, receipt=first.receipt)
    assert answers[5] == Accepted(document_id=last.id, receipt=last.receipt)
    assert kept(ledger) == {taken.id, first.id, last.id}
    assert ledger.payload(half.sha256) is None
    assert {e.document for e in ledger.events()} == {taken.id, first.id, last.id}


def test_a_commit_that_fails_fails_all(ledger: Ledger, engine: Engine, pool: ThreadPoolExecutor) -> None:
    document = a_document()

    def of_nobody(connection: Connection) -> None:
        # Found out at the commit, which refuses it then.
        connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        connection.execute(text("INSERT INTO document_targets VALUES ('nobody', 'x', 'H37')"))

    answers = together(
        engine, pool, lambda: ledger.accept(document, [a_delivery()]), lambda: written(engine, of_nobody)
    )
    assert ["FOREIGN KEY" in str(answer) for answer in answers] == [True, True]
    assert kept(ledger) == set()
    assert isinstance(ledger.accept(document, [a_delivery()]), Accepted)


def test_on_a_full_disk_nobody_is_told_that_it_is_durable(
    ledger: Ledger, engine: Engine, pool: ThreadPoolExecutor
) -> None:
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.rollback()
    room: list[int | None] = [pages]

    def bound(driver: Any, *_: object) -> None:
        driver.execute(f"PRAGMA max_page_count = {room[0] or 2**31}")

    event.listen(engine, "checkout", bound)
    made = [a_document(payload=bytes(400_000)) for _ in range(3)]
    answers = together(engine, pool, *(lambda d=d: ledger.accept(d, [a_delivery()]) for d in made))
    assert [type(answer) for answer in answers] == [StorageFull] * 3
    assert kept(ledger) == set()
    room[0] = None
    for document in made:
        assert isinstance(ledger.accept(document, [a_delivery()]), Accepted)


def test_a_database_that_another_process_holds_is_unavailable_to_all(path: Path, pool: ThreadPoolExecutor) -> None:
    engine = open_engine(f"sqlite:///{path}", busy_seconds=1.0)
    ledger = Ledger(engine)
    holder = pysqlite3.dbapi2.connect(str(path), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        answers = [
            future.exception(LONG) for future in [pool.submit(ledger.accept, a_document(), []) for _ in range(3)]
        ]
    finally:
        holder.rollback()
        holder.close()
    assert [type(answer) for answer in answers] == [LedgerUnavailable] * 3
    assert isinstance(ledger.accept(a_document(), []), Accepted)
    engine.dispose()


def test_a_thread_that_is_stopped_leaves_nothing_and_strands_nobody(
    ledger: Ledger, engine: Engine, pool: ThreadPoolExecutor
) -> None:
    document, other = a_document(), a_document()

    def stopped(connection: Connection) -> None:
        connection.execute(text("DELETE FROM events"))
        raise SystemExit

    ledger.accept(other, [])
    answers = together(engine, pool, lambda: written(engine, stopped), lambda: ledger.accept(document, [a_delivery()]))
    assert [type(answer) for answer in answers] == [SystemExit, LedgerUnavailable]
    assert kept(ledger) == {other.id}
    assert len(ledger.events()) == 1
    assert isinstance(ledger.accept(document, [a_delivery()]), Accepted)


def test_an_acceptance_inside_a_transaction_of_the_same_thread_is_a_mistake(ledger: Ledger, engine: Engine) -> None:
    with pytest.raises(RuntimeError), writing(engine):
        ledger.accept(a_document(), [])
    assert isinstance(ledger.accept(a_document(received_at=NOON), []), Accepted)
