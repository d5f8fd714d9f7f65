"""Whatever an axis lists: the directory is sound, and the same again is nothing new."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from gateway.directory import Directory, check_agencies
from gateway.directory.catalogue_store import CatalogueStore
from gateway.directory.store import DirectoryStore
from gateway.ledger import open_engine, prepare
from gateway.model import Level, Severity
from tests.support.agencies import LANG_SON, MAILBOX, NOW, an_agency
from tests.support.catalogue import a_unit, an_answer

IDS = ["a", "b", "c", "d", "e"]
# Few enough to collide: both generations, two provinces, a centre, and one of neither generation.
CODES = ["H41", "H41.5", "H41.5.1", "000.00.05.H41", "000.00.00.H41", "H44.5", "H37.9", "01.01.W00", "vxp.saas.03"]
OWN = (
    an_agency("000.00.00.H37", "H37", level=Level.PROVINCE, endpoint=MAILBOX),
    an_agency("H44.5", level=Level.DEPARTMENT, endpoint=MAILBOX),
)

ROWS = st.builds(
    lambda unit, code, pid, other, version, deleted, agency: a_unit(
        unit, code, pid, oldCode=other, version=version, deleted=deleted, isAgency=agency
    ),
    st.sampled_from(IDS),
    st.sampled_from(CODES),
    st.none() | st.sampled_from([*IDS, "z"]),
    st.none() | st.sampled_from(CODES),
    st.none() | st.integers(1, 3),
    st.booleans(),
    st.booleans(),
)
LEVEL_ROWS = st.builds(
    lambda code, other: {"id": 1, "code": code, "name": f"Cơ quan {code}", "code102": other},
    st.sampled_from(CODES),
    st.none() | st.sampled_from(CODES),
)
LISTS = st.lists(
    st.tuples(
        st.lists(ROWS, min_size=1, max_size=6, unique_by=lambda row: row["id"]), st.lists(LEVEL_ROWS, max_size=3)
    ),
    min_size=1,
    max_size=3,
)


@pytest.fixture(scope="module")
def prepared() -> Iterator[Path]:
    """A database with the operator's own agencies, to be copied for each example."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prepared.sqlite3"
        engine = open_engine(f"sqlite:///{path}")
        prepare(engine)
        DirectoryStore(engine).import_agencies(OWN, source="own", now=NOW)
        engine.dispose()
        yield path


def _sync(catalogue: CatalogueStore, rows: list[dict[str, Any]], levels: list[dict[str, Any]]) -> int:
    run = catalogue.begin("test", now=NOW)
    catalogue.take(run, an_answer(rows), name="units", now=NOW)
    catalogue.take(run, an_answer(levels), name="levels", now=NOW, by_level=True)
    catalogue.settle(run, now=NOW)
    return catalogue.publish(run, now=NOW).changes


@settings(max_examples=60, deadline=None)
@given(lists=LISTS)
def test_whatever_is_listed_leaves_a_sound_directory(
    prepared: Path, lists: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copy(prepared, Path(folder) / "ledger.sqlite3")
        engine = open_engine(f"sqlite:///{path}")
        event.listen(engine, "connect", _hastily)
        try:
            catalogue, store = CatalogueStore(engine), DirectoryStore(engine)
            for rows, levels in lists:
                _sync(catalogue, rows, levels)
            # Rows of one list that contradict each other may need to be seen twice; then it must rest.
            changes = [_sync(catalogue, *lists[-1]) for _ in range(4)]
            assert changes[-1] == 0
            assert catalogue.overview().unsettled == 0
            directory = store.load(LANG_SON)
        finally:
            engine.dispose()
    _is_sound(directory)


def _hastily(connection: Any, _record: Any) -> None:
    """No example outlives a power cut."""
    connection.execute("PRAGMA synchronous = OFF")


def _is_sound(directory: Directory) -> None:
    errors = [f for f in check_agencies(directory.agencies()) if f.severity is Severity.ERROR]
    assert errors == []
    for own in OWN:
        assert directory.get(own.code) == own
    held = [code for agency in directory.agencies() for code in agency.codes]
    assert len(held) == len(set(held))
    strangers = [agency for agency in directory.agencies() if agency not in OWN]
    assert not any(directory.is_inside(agency) for agency in strangers)
    assert not any(agency.endpoint or agency.certificates for agency in strangers)
