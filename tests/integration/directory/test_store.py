"""The directory in real databases: imports, versions, and the snapshot that follows them."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect

from gateway.directory import Directory, dump_agencies, load_agencies
from gateway.directory.keeper import DirectoryKeeper
from gateway.directory.store import DirectoryStore, metadata
from gateway.errors import DirectoryInvalid, LedgerOutdated, LedgerUnavailable
from gateway.ledger import open_engine
from gateway.model import Agency, Level
from tests.support.agencies import LANG_SON, MAILBOX, NOW, an_agency

PROVINCE = an_agency("000.00.00.H37", "H37", level=Level.PROVINCE, name="UBND tỉnh Lạng Sơn", endpoint=MAILBOX)
DEPARTMENT = an_agency("000.00.14.H37", "H37.14", parent="H37")
COMMUNE = an_agency("H37.21", level=Level.COMMUNE, parent="H37")
DEMO = Path(__file__).resolve().parents[3] / "config" / "demo"


@pytest.fixture
def store(engine: Engine) -> DirectoryStore:
    return DirectoryStore(engine)


def put(store: DirectoryStore, *agencies: Agency, keep_others: bool = False) -> tuple[int, int, int, int]:
    result = store.import_agencies(agencies, source="test", now=NOW, keep_others=keep_others)
    return result.version, result.added, result.changed, result.removed


def test_the_migrated_tables_have_the_columns_that_the_store_uses(engine: Engine) -> None:
    for table in metadata.tables.values():
        present = {column["name"]: column for column in inspect(engine).get_columns(table.name)}
        assert {column.name for column in table.columns} == present.keys()
        assert all(present[column.name]["nullable"] == column.nullable for column in table.columns)


def test_an_empty_store_is_version_0_and_an_empty_directory(store: DirectoryStore) -> None:
    assert store.version() == 0
    assert store.export() == []
    assert len(store.load(LANG_SON)) == 0


def test_what_was_imported_is_exported_and_loaded(store: DirectoryStore) -> None:
    agencies = load_agencies(DEMO / "langson.agencies.toml")
    result = store.import_agencies(agencies, source="langson.agencies.toml", now=NOW)
    assert (result.version, result.added, result.unchanged) == (1, len(agencies), False)
    assert dump_agencies(store.export()) == dump_agencies(agencies)
    directory = store.load(LANG_SON)
    assert directory.version == 1
    assert directory.agencies() == tuple(sorted(agencies, key=lambda a: a.code))


def test_it_is_known_when_each_agency_was_last_changed(store: DirectoryStore) -> None:
    put(store, PROVINCE, DEPARTMENT)
    later, renamed = NOW + timedelta(days=1), an_agency("000.00.14.H37", "H37.14", parent="H37", name="Sở Mới")
    store.import_agencies([PROVINCE, renamed], source="test", now=later)
    known = store.changed_at([PROVINCE.code, DEPARTMENT.code, COMMUNE.code])
    assert known == {PROVINCE.code: NOW, DEPARTMENT.code: later}


def test_an_import_says_what_it_changed_and_makes_one_version(store: DirectoryStore) -> None:
    assert put(store, PROVINCE, DEPARTMENT) == (1, 2, 0, 0)
    renamed = an_agency("000.00.00.H37", "H37", level=Level.PROVINCE, name="Tỉnh Lạng Sơn", endpoint=MAILBOX)
    assert put(store, renamed, COMMUNE) == (2, 1, 1, 1)
    assert store.export() == [renamed, COMMUNE]


def test_the_same_import_again_changes_nothing(store: DirectoryStore) -> None:
    put(store, PROVINCE, DEPARTMENT)
    again = store.import_agencies([DEPARTMENT, PROVINCE], source="again", now=NOW + timedelta(days=1))
    assert again.unchanged
    assert again.version == store.version() == 1
    (only,) = store.versions()
    assert (only.version, only.at, only.source) == (1, NOW, "test")


def test_the_same_content_has_the_same_digest(store: DirectoryStore) -> None:
    put(store, PROVINCE, DEPARTMENT)
    put(store, PROVINCE)
    put(store, PROVINCE, DEPARTMENT)
    third, second, first = store.versions()
    assert third.sha256 == first.sha256 != second.sha256


def test_a_part_of_a_catalogue_leaves_the_others(store: DirectoryStore) -> None:
    put(store, PROVINCE, DEPARTMENT)
    assert put(store, COMMUNE, keep_others=True) == (2, 1, 0, 0)
    assert store.export() == [PROVINCE, DEPARTMENT, COMMUNE]


def test_an_import_that_contradicts_what_stays_changes_nothing(store: DirectoryStore) -> None:
    put(store, PROVINCE)
    with pytest.raises(DirectoryInvalid):
        put(store, an_agency("H38.1", "H37", level=Level.NATIONAL), keep_others=True)
    with pytest.raises(DirectoryInvalid):
        put(store, DEPARTMENT)  # its parent would be removed
    assert store.export() == [PROVINCE]
    assert store.version() == 1


def test_imports_at_once_make_one_version_each(engine: Engine) -> None:
    put(DirectoryStore(engine), PROVINCE)
    faults: list[Exception] = []

    def add(number: int) -> None:
        try:
            put(DirectoryStore(engine), an_agency(f"H37.{number}", parent="H37"), keep_others=True)
        except LedgerUnavailable as e:
            faults.append(e)

    threads = [threading.Thread(target=add, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert DirectoryStore(engine).version() == 5
    assert len(DirectoryStore(engine).export()) == 5


def test_a_new_snapshot_uses_unchanged_agencies_again(store: DirectoryStore) -> None:
    put(store, PROVINCE, DEPARTMENT)
    first = store.load(LANG_SON)
    put(store, PROVINCE, COMMUNE)
    second = store.load(LANG_SON, previous=first)
    assert second.get("H37") is first.get("H37")
    assert second.get("H37.14") is None
    assert second.get("H37.21") == COMMUNE


def test_a_database_without_tables_is_outdated(empty_database_url: str) -> None:
    engine = open_engine(empty_database_url)
    with pytest.raises(LedgerOutdated):
        DirectoryStore(engine).version()
    engine.dispose()


def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.sqlite3'}")
    with pytest.raises(LedgerUnavailable):
        DirectoryStore(engine).version()


# The keeper


class CountingStore(DirectoryStore):
    """A store that counts what it was asked."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.polls = 0
        self.loads = 0

    def version(self) -> int:
        self.polls += 1
        return super().version()

    def load(self, *args: object, **kwargs: object) -> Directory:
        self.loads += 1
        return super().load(*args, **kwargs)  # type: ignore[arg-type] # passed on as they come


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_the_keeper_looks_once_a_second_and_loads_when_the_version_changed(engine: Engine) -> None:
    store, clock = CountingStore(engine), Clock()
    keeper = DirectoryKeeper(store, LANG_SON, monotonic=clock)
    put(store, PROVINCE)
    first = keeper.current()
    put(store, PROVINCE, DEPARTMENT)
    assert keeper.current() is first
    assert (store.polls, store.loads) == (0, 1)
    clock.seconds += 1.0
    second = keeper.current()
    assert second.get("H37.14") == DEPARTMENT
    assert (store.polls, store.loads) == (1, 2)
    clock.seconds += 1.0
    assert keeper.current() is second
    assert (store.polls, store.loads) == (2, 2)


def test_threads_share_one_snapshot_that_was_loaded_once(engine: Engine) -> None:
    store = CountingStore(engine)
    put(store, PROVINCE)
    keeper = DirectoryKeeper(store, LANG_SON, monotonic=Clock())
    seen: list[Directory] = []
    threads = [threading.Thread(target=lambda: seen.append(keeper.current())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len({id(directory) for directory in seen}) == 1
    assert store.loads == 1


def test_while_one_thread_loads_the_others_go_on(engine: Engine) -> None:
    loading, go_on = threading.Event(), threading.Event()

    class SlowStore(CountingStore):
        def load(self, *args: object, **kwargs: object) -> Directory:
            if self.loads:
                loading.set()
                assert go_on.wait(20)
            return super().load(*args, **kwargs)

    store, clock = SlowStore(engine), Clock()
    put(store, PROVINCE)
    keeper = DirectoryKeeper(store, LANG_SON, monotonic=clock)
    first = keeper.current()
    put(store, PROVINCE, DEPARTMENT)
    clock.seconds += 1.0
    renewed: list[Directory] = []
    thread = threading.Thread(target=lambda: renewed.append(keeper.current()))
    thread.start()
    assert loading.wait(20)
    assert keeper.current() is first
    go_on.set()
    thread.join()
    assert renewed[0].version == 2
    assert keeper.current() is renewed[0]


def test_a_store_that_fails_is_asked_again(engine: Engine) -> None:
    class FailingStore(CountingStore):
        fails = False

        def version(self) -> int:
            if self.fails:
                raise LedgerUnavailable
            return super().version()

    store, clock = FailingStore(engine), Clock()
    put(store, PROVINCE)
    keeper = DirectoryKeeper(store, LANG_SON, monotonic=clock)
    first = keeper.current()
    clock.seconds += 1.0
    store.fails = True
    with pytest.raises(LedgerUnavailable):
        keeper.current()
    store.fails = False
    assert keeper.current() is first


def test_agencies_may_come_from_any_sequence(store: DirectoryStore) -> None:
    agencies: Sequence[Agency] = (PROVINCE,)
    assert store.import_agencies(agencies, source="tuple", now=NOW).added == 1
