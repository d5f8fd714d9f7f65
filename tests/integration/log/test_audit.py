"""Whoever changes the event log behind the gateway's back is found out, and where."""

import contextlib
import random
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from gateway.evidence.audit import Fault, Report
from gateway.evidence.chain import digest_of, seal
from gateway.exchange.log_audit import audit
from gateway.exchange.sealing import HeadsFile, Sealer
from gateway.ledger import Ledger, open_engine
from tests.support import pki
from tests.support.ledger import NOON, a_delivery, a_document
from tests.support.log import stamped

ROOT = (pki.root().certificate,)
EVENTS = 12
"""Of ``sealed``: three batches of four."""


def accept(ledger: Ledger, count: int) -> None:
    for _ in range(count):
        ledger.accept(a_document(), [a_delivery()])


def sealer(ledger: Ledger, heads: Path | None = None) -> Sealer:
    return Sealer(ledger.log, gateway="H37", clock=lambda: NOON, heads=None if heads is None else HeadsFile(heads))


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    return tmp_path / "heads.jsonl"


def in_three_batches(ledger: Ledger, heads: Path) -> Ledger:
    """Three batches of four events, the first two stamped, and their heads in a second place."""
    for number in range(3):
        accept(ledger, 2)
        sealer(ledger, heads).seal()
        if number == 1:
            stamped(ledger)
    return ledger


@pytest.fixture
def sealed(ledger: Ledger, heads: Path) -> Ledger:
    return in_three_batches(ledger, heads)


@pytest.fixture
def sqlite(tmp_path: Path, heads: Path, _migrated_sqlite: Path) -> Iterator[Ledger]:
    """The same for what no engine has to do with, or SQLite alone."""
    path = tmp_path / "ledger.sqlite3"
    shutil.copyfile(_migrated_sqlite, path)
    engine = open_engine(f"sqlite:///{path}")
    yield in_three_batches(Ledger(engine), heads)
    engine.dispose()


def edit(ledger: Ledger, *statements: str, **values: Any) -> None:
    """What somebody with the database's password does."""
    with ledger.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement), values)


def look(ledger: Ledger, heads: Path | None = None) -> Report:
    return audit(ledger.log, anchors=ROOT, heads=heads)


def found(report: Report) -> list[tuple[Fault, tuple[int, ...]]]:
    return sorted((finding.fault, finding.events) for finding in report.findings)


INSERT = (
    "INSERT INTO events (id, at, action, document, delivery, actor, data) "
    "SELECT {id}, at, action, document, delivery, actor, data FROM events WHERE id = {of}"
)


def test_a_log_that_nobody_touched_is_whole(sealed: Ledger, heads: Path) -> None:
    report = look(sealed, heads)
    assert report.findings == ()
    assert (report.events, report.batches, report.unsealed, report.heads) == (EVENTS, 3, 0, 3)
    assert (report.stamps, report.stamped_to, report.stamped_at) == (1, 8, pki.NOW.replace(microsecond=0))
    assert report.vouched
    accept(sealed, 1)
    assert (look(sealed).findings, look(sealed).unsealed) == ((), 2)


def test_an_empty_log_is_whole(ledger: Ledger) -> None:
    report = look(ledger)
    assert (report.findings, report.events, report.vouched) == ((), 0, False)


def test_a_log_can_be_looked_at_while_things_happen(sealed: Ledger, heads: Path) -> None:
    ending = threading.Event()

    def happen() -> None:
        while not ending.is_set():
            accept(sealed, 1)
            sealer(sealed, heads).seal()

    with ThreadPoolExecutor(2) as pool:
        at_work = [pool.submit(happen) for _ in range(2)]
        reports = [look(sealed, heads) for _ in range(8)]
        ending.set()
    assert [one.exception() for one in at_work] == [None, None]
    assert [report.findings for report in reports] == [()] * 8
    assert look(sealed, heads).events > EVENTS


@pytest.mark.parametrize(
    "change",
    ["actor = 'H37.9'", "actor = NULL", "data = '{}'", "data = data || ' '", "action = 'document.refused'",
     "document = NULL", "delivery = 'x'", "at = '2026-11-22 05:00:00.000001'"],
)  # fmt: skip
def test_a_changed_event_is_named(sealed: Ledger, change: str) -> None:
    edit(sealed, f"UPDATE events SET {change} WHERE id = 5")
    assert found(look(sealed)) == [(Fault.CHANGED, (5,))]


@pytest.mark.parametrize("number", [1, 4, 5, 12])
def test_a_removed_event_is_named(sealed: Ledger, number: int) -> None:
    edit(sealed, f"DELETE FROM events WHERE id = {number}")
    assert found(look(sealed)) == [(Fault.REMOVED, (number,))]


@pytest.mark.parametrize("number", [0, -7, -(2**63) + 1])
def test_an_event_inserted_before_the_first_is_named(sqlite: Ledger, number: int) -> None:
    edit(sqlite, INSERT.format(id=number, of=3), f"UPDATE events SET actor = 'x' WHERE id = {number}")
    assert found(look(sqlite)) == [(Fault.INSERTED, (number,))]


def test_a_copy_of_an_event_is_an_inserted_one(sqlite: Ledger) -> None:
    edit(sqlite, INSERT.format(id=0, of=3))
    assert found(look(sqlite)) == [(Fault.INSERTED, (0,))]


def test_an_event_inserted_before_anything_was_sealed_is_named(ledger: Ledger) -> None:
    accept(ledger, 1)
    edit(ledger, INSERT.format(id=0, of=1))
    assert found(look(ledger)) == [(Fault.INSERTED, (0,))]


def test_ten_thousand_events_and_one_of_each_kind(ledger: Ledger) -> None:
    """Bar 5: one changed, one removed, one inserted, two that changed places; each is found, and nothing else."""
    edit(
        ledger,
        "INSERT INTO events (at, action, document, actor, data) WITH RECURSIVE n(i) AS "
        "(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT '2026-11-22 05:00:00.000000', "
        "'delivery.enqueued', 'document-' || i / 5, 'H37.' || i % 7, '{\"recipient\":\"H37.' || i || '\"}' FROM n",
    )
    while sealer(ledger).seal().batches:
        pass
    whole = look(ledger)
    assert (whole.findings, whole.events, whole.batches) == ((), 10_000, 10)
    edit(
        ledger,
        "UPDATE events SET actor = 'H37.99' WHERE id = 1234",
        "DELETE FROM events WHERE id = 5000",
        INSERT.format(id=0, of=7777),
        "UPDATE events SET id = 99999 WHERE id = 3000",
        "UPDATE events SET id = 3000 WHERE id = 9000",
        "UPDATE events SET id = 9000 WHERE id = 99999",
    )
    assert found(look(ledger)) == [
        (Fault.CHANGED, (1234,)),
        (Fault.INSERTED, (0,)),
        (Fault.REMOVED, (5000,)),
        (Fault.REORDERED, (3000, 9000)),
    ]


def test_an_event_inserted_where_a_number_came_to_nothing_is_named(ledger: Ledger) -> None:
    accept(ledger, 1)
    with ledger.engine.connect() as connection:
        connection.execute(
            text("INSERT INTO events (at, action, data) VALUES ('2026-11-22 05:00:00.000000', 'key.added', '{}')")
        )
        connection.rollback()
    if ledger.log.last_given() is not None:
        edit(ledger, INSERT.format(id=4, of=1), "UPDATE events SET actor = 'x' WHERE id = 4")  # leaves 3 free
        sealer(ledger).seal()
        edit(ledger, INSERT.format(id=3, of=1), "UPDATE events SET actor = 'y' WHERE id = 3")
        assert (Fault.INSERTED, (3,)) in found(look(ledger))
        return
    accept(ledger, 1)
    sealer(ledger).seal()
    edit(ledger, INSERT.format(id=3, of=1), "UPDATE events SET actor = 'x' WHERE id = 3")
    assert found(look(ledger)) == [(Fault.INSERTED, (3,))]


@pytest.mark.parametrize(("one", "other"), [(2, 3), (4, 5), (1, 12)])
def test_events_that_changed_places_are_named(sqlite: Ledger, one: int, other: int) -> None:
    edit(
        sqlite,
        f"UPDATE events SET id = 999 WHERE id = {one}",
        f"UPDATE events SET id = {one} WHERE id = {other}",
        f"UPDATE events SET id = {other} WHERE id = 999",
    )
    assert found(look(sqlite)) == [(Fault.REORDERED, (one, other))]


def test_an_event_that_was_moved_to_the_end_is_named(sealed: Ledger) -> None:
    accept(sealed, 1)
    edit(sealed, "UPDATE events SET id = 15 WHERE id = 3")
    assert found(look(sealed)) == [(Fault.REORDERED, (3, 15))]


def test_several_things_at_once_are_told_apart(sqlite: Ledger) -> None:
    edit(
        sqlite,
        "UPDATE events SET actor = 'x' WHERE id = 2",
        "DELETE FROM events WHERE id = 6",
        "UPDATE events SET id = 999 WHERE id = 9",
        "UPDATE events SET id = 9 WHERE id = 10",
        "UPDATE events SET id = 10 WHERE id = 999",
    )
    assert found(look(sqlite)) == [(Fault.CHANGED, (2,)), (Fault.REMOVED, (6,)), (Fault.REORDERED, (9, 10))]


def test_a_hundred_of_a_hundred_tamperings_are_found_and_located(sqlite: Ledger) -> None:
    rng = random.Random(35)
    accept(sqlite, 20)
    sealer(sqlite).seal()
    given = EVENTS + 40
    assert sqlite.log.last_given() == given
    edit(sqlite, "CREATE TABLE kept AS SELECT * FROM events")
    for _ in range(100):
        one, other = rng.sample(range(1, given + 1), 2)
        column, value = rng.choice(["actor", "document", "delivery", "data", "action", "at"]), rng.randbytes(4).hex()
        slipped_in = -rng.randrange(10)
        tampering, fault, numbers = rng.choice(
            [
                ([f"UPDATE events SET {column} = '{value}' WHERE id = {one}"], Fault.CHANGED, (one,)),
                ([f"DELETE FROM events WHERE id = {one}"], Fault.REMOVED, (one,)),
                ([INSERT.format(id=slipped_in, of=one)], Fault.INSERTED, (slipped_in,)),
                (
                    [
                        f"UPDATE events SET id = 9999 WHERE id = {one}",
                        f"UPDATE events SET id = {one} WHERE id = {other}",
                        f"UPDATE events SET id = {other} WHERE id = 9999",
                    ],
                    Fault.REORDERED,
                    tuple(sorted((one, other))),
                ),
            ]
        )
        edit(sqlite, *tampering)
        assert found(look(sqlite)) == [(fault, numbers)], tampering
        edit(sqlite, "DELETE FROM events", "INSERT INTO events SELECT * FROM kept")
    assert look(sqlite).findings == ()


# The chain itself


@pytest.mark.parametrize(
    "change",
    ["links = :blob", "ids = :blob", "header = replace(header, 'H37', 'H38')", "header = header || ' '",
     "header = 'nothing'", "last_id = 7"],
)  # fmt: skip
def test_a_batch_that_was_tampered_with_is_named(sqlite: Ledger, heads: Path, change: str) -> None:
    values = {"blob": bytes(128)} if ":blob" in change else {}
    edit(sqlite, f"UPDATE log_batches SET {change} WHERE number = 2", **values)
    report = look(sqlite, heads)
    # One that was rewritten well is no longer continued by the next.
    assert {(f.fault, f.batch) for f in report.findings} & {(Fault.BATCH_BROKEN, 2), (Fault.BATCH_BROKEN, 3)}
    assert {f.fault for f in report.findings} <= {
        Fault.BATCH_BROKEN, Fault.HEAD_DIFFERS, Fault.STAMP_BROKEN, Fault.INSERTED
    }  # fmt: skip


def test_a_batch_that_is_missing_is_named(sealed: Ledger) -> None:
    edit(sealed, "DELETE FROM log_batches WHERE number = 2")
    report = look(sealed)
    assert [(f.fault, f.batch) for f in report.findings if f.fault is not Fault.TAIL_MISSING] == [
        (Fault.BATCH_MISSING, 2), (Fault.STAMP_BROKEN, 2)
    ]  # fmt: skip


def test_after_a_batch_that_was_tampered_with_sealing_and_stamping_go_on(sqlite: Ledger) -> None:
    edit(sqlite, "UPDATE log_batches SET header = 'nothing' WHERE number = 3")
    accept(sqlite, 1)
    assert sealer(sqlite).seal().events == 2
    stamped(sqlite)
    report = look(sqlite)
    assert [(f.fault, f.batch, f.events) for f in report.findings] == [(Fault.BATCH_BROKEN, 3, (9, 12))]
    assert (report.events, report.stamped_to) == (10, 14)


def rewrite(ledger: Ledger, change: Callable[[Connection], object]) -> None:
    """Change events, and then make the whole chain anew so that it fits: the most that can be done in the ledger."""
    with ledger.engine.begin() as connection:
        change(connection)
        connection.execute(text("DELETE FROM log_batches"))
    batch = None
    for start in range(0, EVENTS, 4):
        some = ledger.log.between(start, start + 4, limit=4)
        batch = seal(some, after=batch, gateway="H37", now=NOON)
        assert ledger.log.add_batch(batch)


def test_a_chain_that_was_rewritten_whole_is_found_by_its_stamps_and_by_the_second_place(
    sealed: Ledger, heads: Path
) -> None:
    rewrite(sealed, lambda connection: connection.execute(text("UPDATE events SET actor = 'x' WHERE id = 6")))
    report = look(sealed)
    assert [(f.fault, f.batch) for f in report.findings] == [(Fault.STAMP_BROKEN, 2)]
    report = look(sealed, heads)
    assert {(f.fault, f.batch) for f in report.findings} == {
        (Fault.STAMP_BROKEN, 2), (Fault.HEAD_DIFFERS, 2), (Fault.HEAD_DIFFERS, 3)
    }  # fmt: skip


def test_without_stamps_and_second_place_nobody_vouches_for_the_chain(sqlite: Ledger) -> None:
    edit(sqlite, "DELETE FROM log_stamps")
    rewrite(sqlite, lambda connection: connection.execute(text("UPDATE events SET actor = 'x' WHERE id = 6")))
    report = look(sqlite)
    assert report.findings == ()
    assert not report.vouched


def test_an_end_that_was_cut_off_is_known_in_the_second_place(sealed: Ledger, heads: Path) -> None:
    edit(sealed, "DELETE FROM log_batches WHERE number = 3", "DELETE FROM events WHERE id > 8")
    report = look(sealed, heads)
    assert (Fault.TAIL_MISSING, 3) in [(f.fault, f.batch) for f in report.findings]
    if sealed.log.last_given() is not None:
        assert (Fault.REMOVED, (9, 12)) in found(report)


def test_an_end_that_was_cut_off_is_known_to_a_stamp(sealed: Ledger) -> None:
    edit(sealed, "DELETE FROM log_batches WHERE number > 1", "DELETE FROM events WHERE id > 4")
    assert (Fault.TAIL_MISSING, 2) in [(f.fault, f.batch) for f in look(sealed).findings]


@pytest.mark.parametrize(
    "change",
    ["token = :blob", "statement = replace(statement, 'H37', 'H38')", "statement = ''", "last_batch = 1", "number = 2",
     "made_at = '1999-01-01 00:00:00.000000', token = :blob"],
)  # fmt: skip
def test_a_stamp_that_was_tampered_with_is_named(sqlite: Ledger, change: str) -> None:
    values = {"blob": pki.timestamp_token(bytes(32))} if ":blob" in change else {}
    edit(sqlite, f"UPDATE log_stamps SET {change}", **values)
    assert {f.fault for f in look(sqlite).findings} <= {Fault.STAMP_BROKEN, Fault.STAMP_MISSING}
    assert look(sqlite).findings


def stamp_anew(ledger: Ledger, at: datetime) -> None:
    """What anybody can do: have an authority stamp a log that was rewritten; with the moment at which it is asked."""
    edit(ledger, "DELETE FROM log_stamps")
    stamped(ledger, at=at)


def test_a_chain_that_was_rewritten_and_stamped_anew_is_told_by_when_it_was_stamped(sqlite: Ledger) -> None:
    happened = look(sqlite).longest_wait
    assert happened is not None
    assert (happened.event, happened.at) == (1, NOON)
    rewrite(sqlite, lambda connection: connection.execute(text("UPDATE events SET actor = 'x' WHERE id = 6")))
    stamp_anew(sqlite, at=pki.NOW + timedelta(days=100))
    report = look(sqlite)
    assert (report.findings, report.vouched) == ((), True)
    assert report.longest_wait is not None
    assert (report.longest_wait.event, report.longest_wait.at) == (1, NOON)
    assert report.longest_wait.length == happened.length + timedelta(days=100)


def test_a_token_that_was_removed_is_missed_once_there_is_a_later_statement(sqlite: Ledger) -> None:
    stamped(sqlite)
    edit(sqlite, "UPDATE log_stamps SET token = NULL WHERE number = 1")
    assert [(f.fault, f.batch) for f in look(sqlite).findings] == [(Fault.STAMP_MISSING, 2)]
    edit(sqlite, "UPDATE log_stamps SET token = NULL WHERE number = 2")
    edit(sqlite, "DELETE FROM log_stamps WHERE number = 1")
    assert Fault.STAMP_MISSING in {f.fault for f in look(sqlite).findings}


def test_an_authority_whose_key_was_stolen_proves_nothing(sqlite: Ledger) -> None:
    stolen = {pki.tsa().certificate.serial_number: (pki.NOW + timedelta(days=30), pki.Reason.key_compromise)}
    lists = [pki.crl(pki.intermediate(), stolen, this_update=pki.NOW + timedelta(days=60))]
    report = audit(sqlite.log, anchors=ROOT, crls=lists)
    assert ([f.fault for f in report.findings], report.vouched) == ([Fault.STAMP_BROKEN], False)


def test_a_stamp_of_somebody_else_s_is_not_believed(sqlite: Ledger) -> None:
    stamp = sqlite.log.newest_stamp()
    assert stamp is not None
    forged = pki.timestamp_token(digest_of(stamp.statement), authority=pki.tsa_stranger())
    edit(sqlite, "UPDATE log_stamps SET token = :blob", blob=forged)
    assert [f.fault for f in look(sqlite).findings] == [Fault.STAMP_BROKEN]
    report = audit(sqlite.log)  # without anchors nobody is trusted, and that is said
    assert (report.findings, report.stamps, report.untrusted_stamps, report.vouched) == ((), 1, 1, False)


# The second place


def test_a_second_place_whose_lines_are_gone_or_changed_is_named(sqlite: Ledger, heads: Path) -> None:
    lines = heads.read_bytes().splitlines(keepends=True)
    heads.write_bytes(lines[0] + lines[2])
    assert [f.fault for f in look(sqlite, heads).findings] == [Fault.HEADS_UNREADABLE]
    heads.write_bytes(lines[0] + lines[1].replace(b'"last":8', b'"last":7') + lines[2])
    assert [f.fault for f in look(sqlite, heads).findings] == [Fault.HEAD_DIFFERS]
    heads.write_bytes(lines[0] + lines[1][:30] + b"\n" + lines[1] + lines[2])  # cut off once, and said again
    assert look(sqlite, heads).findings == ()
    heads.write_bytes(lines[1] + lines[2])  # begun later
    assert (look(sqlite, heads).findings, look(sqlite, heads).heads) == ((), 2)


# SQLite alone


def test_an_event_that_was_removed_before_it_was_sealed_is_missed(sqlite: Ledger) -> None:
    accept(sqlite, 2)
    edit(sqlite, "DELETE FROM events WHERE id IN (14, 16)")
    assert found(look(sqlite)) == [(Fault.REMOVED, (14,)), (Fault.REMOVED, (16,))]
    sealer(sqlite).seal()
    assert found(look(sqlite)) == [(Fault.REMOVED, (14,)), (Fault.REMOVED, (16,))]


@pytest.mark.parametrize(
    "change",
    ["actor = CAST(actor AS BLOB)", "actor = CAST(x'ff' AS TEXT)", "at = 'yesterday'", "at = 5", "data = x'7b7d'",
     "document = 7"],
)  # fmt: skip
def test_what_sqlite_lets_anybody_write_is_a_change_like_any_other(sqlite: Ledger, change: str) -> None:
    edit(sqlite, f"UPDATE events SET {change} WHERE id = 5")
    assert found(look(sqlite)) == [(Fault.CHANGED, (5,))]


@pytest.mark.parametrize(
    "change",
    ["UPDATE log_batches SET header = 7 WHERE number = 2", "UPDATE log_batches SET links = 'x' WHERE number = 2",
     "UPDATE log_batches SET last_id = 'x' WHERE number = 2", "UPDATE log_stamps SET made_at = 'x', token = 'y'",
     "UPDATE log_stamps SET last_batch = 'x'", "UPDATE log_batches SET ids = x'' WHERE number = 2"],
)  # fmt: skip
def test_a_chain_of_another_kind_is_named_too(sqlite: Ledger, change: str) -> None:
    edit(sqlite, change)
    assert look(sqlite).findings


def test_a_copy_can_be_looked_at_in_place_of_the_ledger(sqlite: Ledger, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite3"
    # As context managers of their own, connections only commit; Python 3.13 warns of those that nobody closed.
    with (
        contextlib.closing(sqlite3.connect(str(sqlite.engine.url.database))) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    copy.chmod(0o400)
    engine = open_engine(f"sqlite:///{copy}")
    try:
        assert audit(Ledger(engine).log, anchors=ROOT).findings == ()
    finally:
        engine.dispose()
