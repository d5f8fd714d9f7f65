"""What has happened is sealed in the order of its numbers, once, whoever seals; and every event of it can be proved."""

import fcntl
import json
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from gateway.clock import utc_now
from gateway.errors import LogProofInvalid
from gateway.evidence.audit import Head
from gateway.evidence.chain import check_proof, ids_of, read_header
from gateway.evidence.timestamp import check_token
from gateway.exchange.log_audit import audit
from gateway.exchange.log_proofs import inclusion
from gateway.exchange.sealing import HeadsFile, Sealer, heads_in, newest_head, newest_head_within
from gateway.ledger import Ledger
from gateway.ledger.actions import Action
from gateway.ledger.chain import EventLog
from gateway.ledger.statements import event, record
from tests.support import pki
from tests.support.ledger import NOON, a_delivery, a_document
from tests.support.log import stamped


def sealer(ledger: Ledger, heads: Path | None = None) -> Sealer:
    return Sealer(ledger.log, gateway="H37", clock=lambda: NOON, heads=None if heads is None else HeadsFile(heads))


def accept(ledger: Ledger, count: int) -> list[str]:
    """So many documents, two events each; their ids."""
    documents = [a_document() for _ in range(count)]
    for document in documents:
        ledger.accept(document, [a_delivery()])
    return [document.id for document in documents]


def sealed_ids(ledger: Ledger) -> list[int]:
    return [number for batch in ledger.log.batches_after(0, limit=1000) for number in ids_of(batch)]


def test_everything_that_happened_is_sealed_once(ledger: Ledger) -> None:
    accept(ledger, 3)
    first = sealer(ledger).seal()
    assert (first.batches, first.events, first.complete) == (1, 6, True)
    assert sealer(ledger).seal().batches == 0
    accept(ledger, 2)
    assert sealer(ledger).seal().events == 4
    assert sealed_ids(ledger) == [event.id for event in ledger.log.between(0, None, limit=100)]
    one, two = (read_header(batch.header) for batch in ledger.log.batches_after(0, limit=10))
    assert (two.number, two.first, two.previous_link) == (2, one.last + 1, one.head)


def test_an_empty_log_has_nothing_to_seal(ledger: Ledger) -> None:
    assert sealer(ledger).seal().batches == 0
    assert ledger.log.newest_batch() is None
    assert inclusion(ledger.log, "nobody's") == ()


def test_a_large_backlog_is_sealed_in_batches_of_bounded_size(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO events (at, action, data) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                "WHERE i < 2500) SELECT :at, 'key.added', '{}' FROM n"
            ),
            {"at": "2026-11-22 05:00:00.000000"},
        )
    assert sealer(ledger).seal().batches == 3
    assert [len(batch.ids) // 8 for batch in ledger.log.batches_after(0, limit=10)] == [1024, 1024, 452]


def test_numbers_that_came_to_nothing_are_no_events(ledger: Ledger) -> None:
    """PostgreSQL gives a number before it knows what becomes of the transaction; SQLite takes it back."""
    accept(ledger, 1)
    with ledger.engine.connect() as connection:
        connection.execute(
            text("INSERT INTO events (at, action, data) VALUES (:at, 'key.added', '{}')"),
            {"at": "2026-11-22 05:00:00.000000"},
        )
        connection.rollback()
    accept(ledger, 1)
    sealer(ledger).seal()
    assert sealed_ids(ledger) == ([1, 2, 4, 5] if ledger.log.last_given() is None else [1, 2, 3, 4])


def test_several_sealers_at_once_seal_everything_once(ledger: Ledger) -> None:
    def work(number: int) -> None:
        for _ in range(6):
            if number % 2:
                accept(ledger, 2)
            else:
                sealer(ledger).seal()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    while not sealer(ledger).seal().complete:
        pass
    assert sealed_ids(ledger) == [event.id for event in ledger.log.between(0, None, limit=1000)]
    assert len(sealed_ids(ledger)) == 3 * 6 * 4


@pytest.mark.postgres
def test_an_event_whose_transaction_has_not_ended_is_waited_for(ledger: Ledger) -> None:
    """It has a smaller number than others that are durable, and would otherwise appear among what is sealed."""
    if ledger.log.last_given() is not None:
        pytest.skip("On SQLite there is one writer at a time.")
    with ledger.engine.connect() as slow:
        slow.execute(text("INSERT INTO events (at, action, data) VALUES (now(), 'key.added', '{}')"))
        done = threading.Thread(target=accept, args=(ledger, 1))
        done.start()
        done.join()
        assert [event.id for event in ledger.log.between(0, None, limit=10)] == [2, 3]
        waiting = sealer(ledger).seal()
        assert (waiting.batches, waiting.complete) == (0, False)
        slow.commit()
    assert sealer(ledger).seal().events == 3
    assert sealed_ids(ledger) == [1, 2, 3]


@pytest.fixture
def on_postgresql(ledger: Ledger) -> Ledger:
    """For what many writers at once make possible."""
    if ledger.log.last_given() is not None:
        pytest.skip("On SQLite there is one writer at a time.")
    return ledger


ONE_EVENT = "INSERT INTO events (at, action, data) VALUES (now(), 'key.added', '{}')"


@pytest.mark.postgres
def test_nobody_who_writes_ever_waits_for_the_sealer(on_postgresql: Ledger) -> None:
    """Not even while the sealer itself waits for a transaction that takes long."""
    with on_postgresql.engine.connect() as slow, on_postgresql.engine.connect() as quick, ThreadPoolExecutor(1) as pool:
        slow.execute(text(ONE_EVENT))
        accept(on_postgresql, 1)
        quick.execute(text("SET lock_timeout = '50ms'"))  # raises when it would have to wait for longer
        quick.commit()
        waiting, written = pool.submit(sealer(on_postgresql).seal), 0
        while not waiting.done():
            quick.execute(text(ONE_EVENT))
            quick.commit()
            written += 1
        assert not waiting.result().complete
        assert written > 1
        slow.commit()
    assert sealer(on_postgresql).seal().events == written + 3


@pytest.mark.postgres
def test_a_table_that_is_being_vacuumed_is_sealed(on_postgresql: Ledger) -> None:
    """With millions of events that takes many minutes, again and again."""
    accept(on_postgresql, 1)
    with on_postgresql.engine.connect() as vacuum:
        vacuum.execute(text("LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE"))  # what VACUUM and ANALYZE hold
        assert sealer(on_postgresql).seal().events == 2


@pytest.mark.postgres
def test_while_a_transaction_takes_long_the_sealer_tries_once_a_round(on_postgresql: Ledger) -> None:
    class Rounds(threading.Event):
        """Is set after the second round, or when somebody goes on asking within one."""

        pauses = asked = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.pauses += 1
            return self.pauses > 2

        def is_set(self) -> bool:
            self.asked += 1
            return self.asked > 10

    stop = Rounds()
    with on_postgresql.engine.connect() as slow:
        slow.execute(text(ONE_EVENT))
        accept(on_postgresql, 1)
        sealer(on_postgresql).run(stop)
    assert (stop.pauses, stop.asked) == (3, 0)


@pytest.mark.postgres
def test_whatever_order_many_writers_end_in_every_event_is_sealed_and_none_is_called_inserted(
    on_postgresql: Ledger,
) -> None:
    """Transactions that end late, are rolled back in whole or in part, while two sealers are at work."""
    engine, ending = on_postgresql.engine, threading.Event()

    def write(number: int) -> None:
        rng = random.Random(number)
        with engine.connect() as connection:
            for _ in range(50):
                connection.execute(text(ONE_EVENT))
                if rng.random() < 0.3:
                    part = connection.begin_nested()
                    connection.execute(text(ONE_EVENT))
                    part.rollback()
                    connection.execute(text(ONE_EVENT))
                connection.execute(text("SELECT pg_sleep(:s)"), {"s": rng.random() * 0.005})
                connection.rollback() if rng.random() < 0.3 else connection.commit()

    def keep_sealing() -> None:
        while not ending.is_set():
            sealer(on_postgresql).seal()

    with ThreadPoolExecutor(10) as pool:
        sealers = [pool.submit(keep_sealing) for _ in range(2)]
        for writer in [pool.submit(write, number) for number in range(8)]:
            writer.result()
        ending.set()
        for one in sealers:
            one.result()
    assert sealer(on_postgresql).seal().complete
    report = audit(on_postgresql.log)
    assert (report.findings, report.unsealed) == ((), 0)
    assert report.batches > 1  # some were sealed meanwhile; on a busy machine few
    assert sealed_ids(on_postgresql) == [event.id for event in on_postgresql.log.between(0, None, limit=10_000)]


def test_every_event_of_a_document_is_proved(ledger: Ledger) -> None:
    ids = accept(ledger, 4)
    sealer(ledger).seal()
    ids += accept(ledger, 3)
    sealer(ledger).seal()
    for document in ids:
        proofs = inclusion(ledger.log, document)
        assert [proof.token for proof in proofs] == [None, None]
        events = [check_proof(proof).event for proof in proofs]
        assert [event.action for event in events] == ["document.accepted", "delivery.enqueued"]
        assert {event.document for event in events} == {document}
    stamped(ledger)
    accept(ledger, 1)
    sealer(ledger).seal()
    for document in ids:
        for proof in inclusion(ledger.log, document):
            proven = check_proof(proof)
            assert proof.token is not None
            assert proven.stamped is not None
            assert check_token(proof.token, proven.stamped, [pki.root().certificate]).at == pki.NOW.replace(
                microsecond=0
            )


def test_a_document_whose_events_are_in_many_batches_and_statements_is_proved(ledger: Ledger) -> None:
    [document] = accept(ledger, 1)
    for number in range(30):
        with ledger.engine.begin() as connection:
            record(connection, [event(NOON, Action.EVIDENCE_EXPORTED, document=document)])
        accept(ledger, number % 2)
        sealer(ledger).seal()
        if number % 5 == 4 and number < 25:
            stamped(ledger)
    proofs = inclusion(ledger.log, document)
    proven = [check_proof(proof) for proof in proofs]
    assert [one.event.id for one in proven] == [e.id for e in ledger.log.of(document, limit=100)]
    assert [one.header.number for one in proven] == [1, 1, *range(1, 31)]
    assert [one.statement.number if one.statement else None for one in proven[2:]] == [
        number for number in (1, 2, 3, 4, 5, None) for _ in range(5)
    ]


def test_what_is_not_sealed_yet_has_no_proof_yet(ledger: Ledger) -> None:
    [document] = accept(ledger, 1)
    assert inclusion(ledger.log, document) == ()


def test_an_event_that_was_changed_after_it_was_sealed_is_not_proved(ledger: Ledger) -> None:
    [document] = accept(ledger, 1)
    sealer(ledger).seal()
    with ledger.engine.begin() as connection:
        connection.execute(text("UPDATE events SET actor = 'somebody' WHERE id = 2"))
    good, changed = inclusion(ledger.log, document)
    assert check_proof(good).event.id == 1
    with pytest.raises(LogProofInvalid):
        check_proof(changed)


def test_heads_are_kept_in_a_second_place(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "heads.jsonl"
    accept(ledger, 1)
    sealer(ledger).seal()  # before the file was named in the settings
    for _ in range(3):
        accept(ledger, 1)
        sealer(ledger, path).seal()
    heads = list(heads_in(path, size=path.stat().st_size))
    assert [head.batch for head in heads if head] == [1, 2, 3, 4]
    assert [head.last for head in heads if head] == [2, 4, 6, 8]
    assert HeadsFile(path).follow(ledger.log) == 0


def test_a_line_that_was_cut_off_is_said_again(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "heads.jsonl"
    accept(ledger, 1)
    sealer(ledger, path).seal()
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    accept(ledger, 1)
    sealer(ledger, path).seal()
    heads = list(heads_in(path, size=path.stat().st_size))
    assert heads[0] is None
    assert heads[1] == Head(**json.loads(whole))
    assert heads[2] is not None
    assert heads[2].batch == 2


def test_a_second_place_that_somebody_holds_stops_nothing(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "heads.jsonl"
    with path.open("wb") as held, ThreadPoolExecutor(1) as pool:
        fcntl.flock(held.fileno(), fcntl.LOCK_EX)
        accept(ledger, 1)
        assert pool.submit(sealer(ledger, path).seal).result(timeout=60).events == 2
        assert path.read_bytes() == b""
    assert HeadsFile(path).follow(ledger.log) == 1


def test_a_second_place_whose_end_is_no_lines_is_not_written_anew(ledger: Ledger, tmp_path: Path) -> None:
    """A file server that failed may leave zeros, a full disk many pieces."""
    path = tmp_path / "heads.jsonl"
    for _ in range(2):
        accept(ledger, 1)
        sealer(ledger, path).seal()
    with path.open("ab") as file:
        file.write(bytes(4096) + b"\n{\n" * 500)
    accept(ledger, 1)
    sealer(ledger, path).seal()
    heads = [head for head in heads_in(path, size=path.stat().st_size) if head]
    assert [head.batch for head in heads] == [1, 2, 3]
    assert newest_head(path) == 3
    assert audit(ledger.log, heads=path).findings == ()


def test_a_second_place_that_is_not_there_stops_nothing(ledger: Ledger, tmp_path: Path) -> None:
    accept(ledger, 1)
    assert sealer(ledger, tmp_path / "absent" / "heads.jsonl").seal().events == 2


def test_a_second_place_that_hangs_stops_no_sealing_and_is_caught_up_with_when_it_is_back(
    ledger: Ledger, tmp_path: Path
) -> None:
    """As a file server that is gone: whoever opens the file waits until it is back."""
    answers, asked = threading.Event(), []

    class Hanging(HeadsFile):
        def _follow(self, log: EventLog) -> int:
            asked.append(1)
            assert answers.wait(120)
            return super()._follow(log)

    path = tmp_path / "heads.jsonl"
    heads = Hanging(path, patience=timedelta(milliseconds=50))
    job = Sealer(ledger.log, gateway="H37", clock=utc_now, heads=heads)
    with capture_logs() as said:
        for number in (1, 2, 3):
            accept(ledger, 1)
            assert job.seal().complete
            assert ledger.log.state().batches == number
    # Told once, and one alone waits for it.
    assert [line["event"] for line in said] == ["log.heads_not_written"]
    assert (len(asked), path.exists()) == (1, False)
    answers.set()
    until = time.monotonic() + 60
    while not path.exists() or newest_head(path) < 3:
        assert time.monotonic() < until
        accept(ledger, 1)
        job.seal()
    assert audit(ledger.log, heads=path).findings == ()


def test_who_only_looks_at_a_second_place_that_hangs_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "heads"
    os.mkfifo(path)  # nobody writes: opening it waits
    with pytest.raises(OSError, match="timed out"):
        newest_head_within(path, timedelta(milliseconds=50))
    os.close(os.open(path, os.O_RDWR))  # and now it need not wait any more
