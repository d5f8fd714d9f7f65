"""
The directory with the national catalogue's 123,265 agencies, against one with a single province's 1,000.

The catalogue comes as an axis answers it, through a real SQLite file. Memory is measured in processes of their own;
times are CPU of this one.
"""

from __future__ import annotations

import hashlib
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

from gateway.directory.catalogue_store import CatalogueStore
from gateway.directory.directory import Directory
from gateway.directory.store import DirectoryStore
from gateway.ledger import open_engine, prepare
from gateway.model import Level
from gateway.routing import route
from tests.support.agencies import NATIONAL, NOW, an_agency
from tests.support.catalogue import a_catalogue, an_answer, unit_rows

Row = tuple[str, float, float]
"""Name, measured ratio, and the bar that it must not exceed."""

LARGE, SMALL = 123_265, 1_000
RECIPIENTS = 20
ROUNDS = 7
MEMORY_MB = 150
"""What loading the catalogue, searching it, and loading it anew after a change may cost, at its peak."""

CHANGED = 1_000
"""Units that an incremental sync finds changed, among all the others."""

_PEAK = """
import sys
from pathlib import Path
from gateway.directory.catalogue_store import CatalogueStore
from gateway.directory.store import DirectoryStore
from gateway.ledger import open_engine
from tests.support.agencies import NATIONAL, NOW

def peak():  # kilobytes; ru_maxrss would begin with the parent's
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])

"""
_SYNC = (
    _PEAK
    + """
catalogue = CatalogueStore(open_engine(sys.argv[1]))
catalogue.is_empty()
before = peak()
run = catalogue.begin("axis", now=NOW)
with open(sys.argv[2], "rb") as answer:
    catalogue.take(run, answer, name="getSynchronizeUnit", now=NOW)
catalogue.settle(run, now=NOW)
done = catalogue.publish(run, now=NOW)
print(peak() - before, done.changes)
"""
)
_GROWTH = (
    _PEAK
    + """
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
)


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


def bench_first_fill() -> Row:
    """Peak growth of a process that fills an empty catalogue ÷ the bound."""
    return f"memory for the first fill of {LARGE:,} agencies ÷ {MEMORY_MB} MB", _stored()["fill"], 1.0


def bench_sync() -> Row:
    """Peak growth of a process that reads the whole list again and finds some units changed ÷ the bound."""
    name = f"memory for a sync of {LARGE:,} agencies, {CHANGED:,} changed ÷ {MEMORY_MB} MB"
    return name, _stored()["sync"], 1.0


def bench_sync_cost() -> Row:
    """CPU of a sync that finds nothing changed ÷ that of parsing its answer and hashing each unit."""
    return f"sync of {LARGE:,} agencies, none changed ÷ parse and hash them", _stored()["unchanged"], 20.0


def bench_search() -> Row:
    """95th percentile of searches ÷ one look-up by primary key in SQLite."""
    return f"search among {LARGE:,} agencies, p95 ÷ a look-up by key", _stored()["search"], 30.0


@cache
def _stored() -> dict[str, float]:
    """One catalogue in one SQLite file serves all rows but the first."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'ledger.sqlite3'}"
        answers = [Path(folder) / "first.json", Path(folder) / "second.json"]
        for answer, version in zip(answers, (1, 2), strict=True):
            _write_answer(answer, version)
        engine = open_engine(url)
        prepare(engine)
        store = DirectoryStore(engine)
        store.import_agencies([an_agency("000.00.22.W00", level=Level.NATIONAL)], source="own", now=NOW)
        fill, added = _in_a_process(_SYNC, url, str(answers[0]))
        sync, changed = _in_a_process(_SYNC, url, str(answers[1]))
        if (added, changed) != (LARGE, CHANGED):
            raise AssertionError(f"{added} were added and {changed} changed")
        unchanged = _cpu(lambda: _sync(engine, answers[1])) / _cpu(lambda: _parse_and_hash(answers[1]))
        loading = _cpu(lambda: store.load(NATIONAL)) / _parsing(engine)
        searching = _search_p95(store.load(NATIONAL)) / _look_up(engine)
        engine.dispose()
        grown = _in_a_process(_GROWTH, url)
    memory = {"fill": fill, "sync": sync, "memory": max(grown)}
    return {"load": loading, "search": searching, "unchanged": unchanged} | {
        name: kilobytes / 1024 / MEMORY_MB for name, kilobytes in memory.items()
    }


def _in_a_process(code: str, *arguments: str) -> list[int]:
    answer = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    return [int(word) for word in answer.stdout.split()]


def _write_answer(path: Path, version: int) -> None:
    """The generated catalogue as ``getSynchronizeUnit`` answers it; in the second version some have other names."""
    rows = unit_rows(LARGE)
    if version > 1:
        changed = set(random.Random(3).sample(range(LARGE), CHANGED))
        rows = (
            row | {"name": f"{row['name']} (mới)", "version": version} if n in changed else row
            for n, row in enumerate(rows)
        )
    path.write_bytes(an_answer(rows).getvalue())


def _sync(engine: Engine, path: Path) -> None:
    catalogue = CatalogueStore(engine)
    run = catalogue.begin("axis", now=NOW)
    with path.open("rb") as answer:
        catalogue.take(run, answer, name="getSynchronizeUnit", now=NOW)
    catalogue.settle(run, now=NOW)
    catalogue.publish(run, now=NOW)


def _parse_and_hash(path: Path) -> None:
    for row in json.loads(path.read_bytes())["data"]:
        hashlib.sha256(json.dumps(row).encode()).hexdigest()


def _parsing(engine: Engine) -> float:
    with engine.connect() as connection:
        bodies = [body for (body,) in connection.execute(text("SELECT body FROM catalogue_units"))]
    return _cpu(lambda: [json.loads(body) for body in bodies])


def _look_up(engine: Engine) -> float:
    with engine.connect() as connection:
        unit = connection.execute(text("SELECT unit FROM catalogue_codes WHERE code = '000.00.00.H01'")).scalar_one()

    def once() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT body FROM catalogue_units WHERE unit = :unit"), {"unit": unit}).one()

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


BENCHES = (bench_routing, bench_first_fill, bench_sync, bench_sync_cost, bench_load, bench_memory, bench_search)

if __name__ == "__main__":
    for bench in BENCHES:
        name, ratio, bar = bench()
        print(f"{name}: {ratio:.2f} (bar {bar}) {'ok' if ratio <= bar else 'MISSED'}")
