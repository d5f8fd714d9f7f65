"""
The directory with the national catalogue's 123,265 agencies, against one with a single province's 1,000.

Memory is measured in a process of its own, which loads from a real SQLite file; times are CPU of this one.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from sqlalchemy import Engine, text

from gateway.directory.directory import Directory
from gateway.directory.store import DirectoryStore
from gateway.ledger import open_engine, prepare
from gateway.routing import route
from tests.support.agencies import NATIONAL, NOW
from tests.support.catalogue import a_catalogue

Row = tuple[str, float, float]
"""Name, measured ratio, and the bar that it must not exceed."""

LARGE, SMALL = 123_265, 1_000
RECIPIENTS = 20
ROUNDS = 7
MEMORY_MB = 150
"""What loading the catalogue, searching it, and loading it anew after a change may cost, at its peak."""

_GROWTH = """
import sys
from pathlib import Path
from gateway.directory.store import DirectoryStore
from gateway.ledger import open_engine
from tests.support.agencies import NATIONAL, NOW, an_agency

def peak():  # kilobytes; ru_maxrss would begin with the parent's
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])

store = DirectoryStore(open_engine(sys.argv[1]))
store.version()
before = peak()
directory = store.load(NATIONAL)
loaded = peak()
directory.search("hoa tien")
searched = peak()
directory = store.load(NATIONAL, previous=directory)
print(loaded - before, searched - before, peak() - before)
"""


def bench_routing() -> Row:
    """CPU per recipient in the large directory ÷ in the small one."""
    large, small = (Directory(a_catalogue(size), NATIONAL) for size in (LARGE, SMALL))
    ratio = statistics.median(_route_cpu(large, seed=n) / _route_cpu(small, seed=n) for n in range(ROUNDS))
    return f"routing cost per recipient, {LARGE:,} ÷ {SMALL:,} agencies", ratio, 2.0


def _route_cpu(directory: Directory, *, seed: int) -> float:
    chance = random.Random(seed)
    codes = [chance.choice(chance.choice(directory.agencies()).codes) for _ in range(100 * RECIPIENTS)]
    packages = [codes[i : i + RECIPIENTS] for i in range(0, len(codes), RECIPIENTS)]
    return _cpu(lambda: [route(package, directory, at=NOW) for package in packages])


def bench_load() -> Row:
    """CPU of loading the whole directory ÷ of parsing its JSON."""
    return f"load {LARGE:,} agencies ÷ parse their JSON", _stored()["load"], 10.0


def bench_memory() -> Row:
    """Peak growth of a process that loads, searches and loads anew ÷ the bound."""
    return f"memory for {LARGE:,} agencies, searched and reloaded ÷ {MEMORY_MB} MB", _stored()["memory"], 1.0


def bench_search() -> Row:
    """95th percentile of searches ÷ one look-up by primary key in SQLite."""
    return f"search among {LARGE:,} agencies, p95 ÷ a look-up by key", _stored()["search"], 30.0


@cache
def _stored() -> dict[str, float]:
    """One catalogue in one SQLite file serves three rows."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'ledger.sqlite3'}"
        engine = open_engine(url)
        prepare(engine)
        store = DirectoryStore(engine)
        store.import_agencies(a_catalogue(LARGE), source="generated", now=NOW)
        loading = _cpu(lambda: store.load(NATIONAL)) / _parsing(engine)
        searching = _search_p95(store.load(NATIONAL)) / _look_up(engine)
        engine.dispose()
        answer = subprocess.run([sys.executable, "-c", _GROWTH, url], check=True, capture_output=True, text=True)
    megabytes = max(int(kilobytes) / 1024 for kilobytes in answer.stdout.split())
    return {"load": loading, "search": searching, "memory": megabytes / MEMORY_MB}


def _parsing(engine: Engine) -> float:
    with engine.connect() as connection:
        bodies = [body for (body,) in connection.execute(text("SELECT body FROM agencies"))]
    return _cpu(lambda: [json.loads(body) for body in bodies])


def _look_up(engine: Engine) -> float:
    def once() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT body FROM agencies WHERE code = :code"), {"code": "000.00.00.H01"}).one()

    return statistics.median(_cpu(once) for _ in range(200))


def _search_p95(directory: Directory) -> float:
    return statistics.quantiles([_cpu(lambda q=query: directory.search(q)) for query in _queries(directory)], n=20)[-1]


def _queries(directory: Directory) -> list[str]:
    """What people type: one or two words of names, with or without marks, whole or begun."""
    directory.search("once, so that the index is there")
    chance = random.Random(2)
    queries = []
    for agency in chance.sample(directory.agencies(), 200):
        words = agency.name.split()
        start = chance.randrange(len(words) - 1)
        typed = " ".join(words[start : start + chance.choice((1, 2, 3))])
        queries.append(typed[: chance.choice((3, 5, 100))])
    return queries


def _cpu(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


BENCHES = (bench_routing, bench_load, bench_memory, bench_search)

if __name__ == "__main__":
    for bench in BENCHES:
        name, ratio, bar = bench()
        print(f"{name}: {ratio:.2f} (bar {bar}) {'ok' if ratio <= bar else 'MISSED'}")
