"""
What the event log's chain costs acceptances: their time while the sealing job runs ÷ their time without it.

The job runs in the same process, as in ``gateway serve``, and ten times as often as by default, so that the lock that
it takes on PostgreSQL, its commits on SQLite and its hashing are all in what is measured. Packages of 20 KB, signed,
from four threads; both sides in turn. Bar: the chain may cost acceptances 10 %.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from gateway.clock import utc_now
from gateway.directory import Directory
from gateway.exchange.sealing import Sealer
from gateway.ledger import Ledger, open_engine, prepare
from gateway.model import DocumentId
from gateway.signing.sign import sign_package
from tests.support import documents, pki
from tests.support.databases import running_postgres
from tests.support.exchange import COMMUNE, DEPARTMENT, Site, a_site

BAR = 1.10
BODY_BYTES = 20 * 1024
ACCEPTS = 300
THREADS = 4
ROUNDS = 7
EVERY = timedelta(seconds=0.5)


def _packages(number: int) -> list[bytes]:
    content = {"main": documents.PDF + b"%" * (BODY_BYTES * 3 // 4 - 6_500)}
    return [
        sign_package(
            documents.a_package(
                document_id=DocumentId(f"{DEPARTMENT},2026/03/05,{n}/CHAIN"),
                recipients=(documents.an_organization(COMMUNE),),
                contents=content,
            ),
            pki.agency(),
        )
        for n in range(number * ACCEPTS, (number + 1) * ACCEPTS)
    ]


def _seconds(site: Site, number: int) -> float:
    packages = _packages(number)
    with ThreadPoolExecutor(THREADS) as pool:
        began = time.perf_counter()
        list(pool.map(site.accept, packages))
        return time.perf_counter() - began


@contextmanager
def _sealing(ledger: Ledger) -> Iterator[None]:
    """The job at work; at the end, as at the start, everything is sealed."""
    stop = threading.Event()
    sealer = Sealer(ledger.log, gateway="H37", clock=utc_now, every=EVERY)
    job = threading.Thread(target=sealer.run, args=(stop,))
    before = ledger.log.state().batches
    job.start()
    try:
        yield
        assert ledger.log.state().batches > before, "nothing was sealed while it was measured"
    finally:
        stop.set()
        job.join()


def _ratio(url: str) -> float:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.home())))
        engine = open_engine(url or f"sqlite:///{folder / 'ledger.sqlite3'}")
        stack.callback(engine.dispose)
        prepare(engine)
        site = stack.enter_context(a_site(Ledger(engine), folder))
        known = Directory(site.known.values(), site.parts.site)
        site.parts = replace(site.parts, directory=lambda: known)
        sealer = Sealer(site.ledger.log, gateway="H37", clock=utc_now)
        _seconds(site, 0)  # caches are warm
        pairs = []
        for n in range(ROUNDS):
            while sealer.seal().batches:
                pass
            first = 2 * n + 1
            without = _seconds(site, first)
            while sealer.seal().batches:
                pass
            with _sealing(site.ledger):
                pairs.append(_seconds(site, first + 1) / without)
        return statistics.median(pairs)


def chain_on_sqlite() -> tuple[str, float, float]:
    """As above."""
    return "SQLite: acceptance while the event log is sealed ÷ without", _ratio(""), BAR


def chain_on_postgresql() -> tuple[str, float, float]:
    """As above."""
    with running_postgres() as server:
        return "PostgreSQL: acceptance while the event log is sealed ÷ without", _ratio(server.empty_database()), BAR


BENCHES = (chain_on_sqlite, chain_on_postgresql)
