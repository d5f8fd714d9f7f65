"""
What the ledger costs as it grows, and what durability costs.

- *Queue*: rounds of enqueue, claim and settle (20 deliveries each, ten endpoints, two lanes) per second with
  100,000 deliveries waiting ÷ with 1,000 waiting.
- *Commit*: acceptances per second (one document of 20 KB with three deliveries, ``synchronous=FULL``) ÷ appends
  of 4 KB with fdatasync per second, on the same disk.

Both sides of a ratio are measured in turn, so that what else the machine does falls on both.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text

from gateway.ledger import Ledger, open_engine, prepare
from gateway.ledger.records import Delivered
from gateway.model import AgencyCode, Lane
from tests.support.databases import running_postgres
from tests.support.ledger import LEASE, NOON, a_delivery, a_document

AT_LEAST = True

_ENDPOINTS = 10
_ROUND = 20
_FEW, _MANY = 1_000, 100_000

_DOCUMENTS = """
INSERT INTO documents (id, kind, sender, identity, business_type, revision, received_at, folded, sha256, size, lane,
  received_from, sender_as_written, targets, verdict, warnings, attachments, receipt, seal)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
SELECT 'fill-' || i, 'document', 'H37.1', 'fill-' || i, 0, '', {when}, 'phe duyet ke hoach so ' || i, 'fill-' || i,
  20000, i % 2, 'H37.1', '000.00.01.H37', '[]',
  '{{"standing": "unsigned", "reason": "signature.absent", "judged_at": "2026-11-22T05:00:00Z"}}', '[]', '[]', '{{}}',
  CAST('' AS {blob})
FROM n
"""

_DELIVERIES = """
INSERT INTO deliveries (id, document, kind, sender, recipient, via, channel, lane, state, due_at, blockers, created_at,
  accepted_at, trying_since, changed_at, attempts, attempts_before, recall, as_written, folded)
SELECT 'fill-' || id, id, kind, sender, 'H38.' || (size + length(id)),
  'H38.' || (CAST(substr(id, 6) AS INTEGER) % {vias}),
  'push', lane, 'waiting', received_at, 0, received_at, received_at, received_at, received_at, 0, 0,
  'none', 'H38', 'h38'
FROM documents
"""


def _fill(ledger: Ledger, count: int) -> None:
    """That many deliveries, due and waiting."""
    sqlite = ledger.engine.dialect.name == "sqlite"
    hour = (NOON - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M")
    # A millisecond apart, the newest last.
    when = (
        f"'{hour}:' || printf('%06.3f', i / 2000.0) || '000'"
        if sqlite
        else f"TIMESTAMPTZ '{hour}:00+00' + i * INTERVAL '0.5 milliseconds'"
    )
    with ledger.engine.begin() as connection:
        blob = "BLOB" if sqlite else "BYTEA"
        connection.execute(text(_DOCUMENTS.format(count=count, when=when, blob=blob)))
        connection.execute(text(_DELIVERIES.format(vias=_ENDPOINTS)))
    if sqlite:
        with closing(ledger.engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return
    with ledger.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))


def _round(ledger: Ledger) -> None:
    """Enqueue as many as are then claimed and settled, so that the number that waits stays."""
    for n in range(_ROUND):
        via = AgencyCode(f"H38.{n % _ENDPOINTS}")
        ledger.accept(a_document(lane=Lane(n % 2)), [a_delivery(via, lane=Lane(n % 2))])
    claims = ledger.claim(worker="bench", now=NOON, lease=LEASE, limit=_ROUND, per_endpoint=_ROUND // _ENDPOINTS)
    assert len(claims) == _ROUND
    for claim in claims:
        ledger.settle(claim, Delivered(), now=NOON)


def _ratio(numerator: Callable[[], object], denominator: Callable[[], object], *, rounds: int) -> float:
    """How many times as often the first can be done as the second: the median of pairs measured in turn."""
    numerator(), denominator()  # caches of both sides are warm
    pairs = [(_seconds(numerator), _seconds(denominator)) for _ in range(rounds)]
    return statistics.median(d / n for n, d in pairs)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def _filled(url: str, count: int) -> Iterator[Ledger]:
    engine = open_engine(url)
    try:
        prepare(engine)
        ledger = Ledger(engine)
        _fill(ledger, count)
        yield ledger
    finally:
        engine.dispose()


def _queue_ratio(few_url: str, many_url: str) -> float:
    with _filled(few_url, _FEW) as few, _filled(many_url, _MANY) as many:
        return _ratio(lambda: _round(many), lambda: _round(few), rounds=15)


def queue_on_sqlite() -> tuple[str, float, float]:
    """As above."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        ratio = _queue_ratio(f"sqlite:///{folder}/few.sqlite3", f"sqlite:///{folder}/many.sqlite3")
    return "SQLite: enqueue, claim, settle at 100,000 ÷ at 1,000 waiting", ratio, 0.8


def queue_on_postgresql() -> tuple[str, float, float]:
    """As above."""
    with running_postgres() as server:
        ratio = _queue_ratio(server.empty_database(), server.empty_database())
    return "PostgreSQL: enqueue, claim, settle at 100,000 ÷ at 1,000 waiting", ratio, 0.8


def commit_on_sqlite() -> tuple[str, float, float]:
    """As above."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-bench-")))
        engine = open_engine(f"sqlite:///{folder / 'ledger.sqlite3'}")
        stack.callback(engine.dispose)
        prepare(engine)
        ledger = Ledger(engine)
        raw = stack.enter_context((folder / "raw").open("wb", buffering=0))
        page = bytes(4096)

        def append() -> None:
            for _ in range(40):
                raw.write(page)
                os.fdatasync(raw.fileno())

        def accept() -> None:
            for _ in range(40):
                recipients = [AgencyCode(f"H38.{n}") for n in range(3)]
                ledger.accept(a_document(payload=os.urandom(20_000)), [a_delivery(r) for r in recipients])

        ratio = _ratio(accept, append, rounds=15)
    # Between 0.1 on a disk that syncs in 0.2 ms and 0.5 on one that takes 2; one at a time, so no commit is shared.
    return "SQLite: acceptance of 20 KB with 3 deliveries ÷ raw fdatasync", ratio, 0.08


BENCHES = (queue_on_sqlite, queue_on_postgresql, commit_on_sqlite)
