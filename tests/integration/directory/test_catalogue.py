"""The catalogue of an axis in real databases: filled, synchronised, and put beside the operator's own agencies."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import Engine

from gateway.directory import Directory
from gateway.directory.catalogue import Problem
from gateway.directory.catalogue_store import CatalogueStore, Run
from gateway.directory.store import DirectoryStore
from gateway.errors import CatalogueAlarming, CatalogueUnusable, DirectoryInvalid, RecipientClosed, UnknownRecipient
from gateway.model import Agency, Level
from gateway.routing import route
from tests.support.agencies import LANG_SON, MAILBOX, NATIONAL, NOW, PEER, an_agency, codes
from tests.support.catalogue import a_unit, an_answer, unit_rows

PROVINCE = an_agency("000.00.00.H37", "H37", level=Level.PROVINCE, name="UBND tỉnh Lạng Sơn", endpoint=MAILBOX)
AXIS = an_agency("000.00.22.W00", level=Level.NATIONAL, endpoint=PEER, hidden=True)
OWN = (PROVINCE, AXIS)

NGHE_AN = a_unit("a", "H41", name="UBND tỉnh Nghệ An")
FINANCE = a_unit("b", "H41.5", "a", name="Sở Tài chính tỉnh Nghệ An")
WARD = a_unit("c", "H41.5.1", "b", name="Phòng Ngân sách")


@pytest.fixture
def store(engine: Engine) -> DirectoryStore:
    store = DirectoryStore(engine)
    store.import_agencies(OWN, source="test", now=NOW)
    return store


@pytest.fixture
def catalogue(engine: Engine, store: DirectoryStore) -> CatalogueStore:
    return CatalogueStore(engine)


def sync(
    catalogue: CatalogueStore, *rows: Mapping[str, Any], by_level: Iterable[Mapping[str, Any]] = (), **how: Any
) -> Run:
    """One run over ``getSynchronizeUnit`` and then ``getAgenciesListQD20``."""
    run = catalogue.begin("test", now=NOW)
    if rows:
        catalogue.take(run, an_answer(rows), name="units.json", now=NOW)
    catalogue.take(run, an_answer(by_level), name="levels.json", now=NOW, by_level=True)
    catalogue.settle(run, now=NOW, **how)
    return catalogue.publish(run, now=NOW)


def directory(store: DirectoryStore) -> Directory:
    return store.load(LANG_SON)


def found(store: DirectoryStore, text: str) -> Agency:
    agency = directory(store).find(text, at=NOW)
    assert agency is not None
    return agency


def problems(catalogue: CatalogueStore) -> list[tuple[str, Problem | None]]:
    return [(unit.code, unit.problem) for unit in catalogue.problems(Directory(OWN, LANG_SON), at=NOW)]


# First fill


def test_units_become_agencies_below_their_parents(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, WARD, NGHE_AN, FINANCE)  # children before their parents
    assert [a.code for a in directory(store).lineage(found(store, "H41.5.1"))] == ["H41.5.1", "H41.5", "H41"]


def test_a_fill_is_one_version_of_the_directory(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    run = sync(catalogue, NGHE_AN, FINANCE, WARD)
    assert (run.version, run.counts["added"]) == (2, 3)
    assert [v.source for v in store.versions()] == ["test", "test"]


def test_nothing_new_is_no_new_version(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, NGHE_AN, FINANCE)
    again = sync(catalogue, NGHE_AN, FINANCE)
    assert (again.version, again.changes, again.counts.get("updated", 0)) == (None, 0, 0)
    assert store.version() == 2


def test_what_did_not_change_is_not_settled_again(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    rows = [NGHE_AN, {**FINANCE, "oldCode": "000.00.05.H41"}, a_unit("z", "000.00.05.H41", "a")]
    sync(catalogue, *rows)
    sync(catalogue, *rows)  # the last of these is the second under another code, which the first run saw last
    run = catalogue.begin("test", now=NOW)
    catalogue.take(run, an_answer(rows), name="x", now=NOW)
    assert catalogue.overview().unsettled == 0


def test_the_whole_catalogue_may_be_longer_than_a_transaction(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    run = sync(catalogue, *unit_rows(2_500))
    own = [a for a in unit_rows(2_500) if a["code"].endswith("H37") or a["code"].startswith("H37")]
    assert run.counts["added"] == 2_500
    assert len(directory(store)) == 2_500 - len(own) + len(OWN)


def test_both_generations_of_codes_find_one_agency(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, NGHE_AN, FINANCE, by_level=[{"id": 9, "code": "H41.5", "name": "x", "code102": "000.00.05.H41"}])
    assert found(store, "00.05.H41").code == found(store, "h41.5").code == "H41.5"
    assert found(store, "H41.5").name == "Sở Tài chính tỉnh Nghệ An"


def test_a_unit_listed_under_both_codes_is_one_agency(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    old = a_unit("z", "000.00.05.H41", "a", name="Sở Tài chính")
    below = a_unit("y", "000.01.05.H41", "z", name="Phòng Kế hoạch")
    sync(catalogue, old, below, NGHE_AN, {**FINANCE, "oldCode": "000.00.05.H41"})
    assert found(store, "000.00.05.H41").code == "H41.5"
    assert found(store, "000.01.05.H41").parent == "H41.5"


@pytest.mark.parametrize("first", ["by level", "with its place"])
def test_it_does_not_matter_which_list_comes_first(
    catalogue: CatalogueStore, store: DirectoryStore, first: str
) -> None:
    level = {"id": 9, "code": "H41.5", "name": "Sở Tài chính", "code102": "000.00.05.H41"}
    if first == "by level":
        sync(catalogue, by_level=[level])
        assert found(store, "H41.5").parent is None
    sync(catalogue, NGHE_AN, FINANCE, by_level=[level])
    agency = found(store, "000.00.05.H41")
    assert (agency.code, agency.parent, agency.name) == ("H41.5", "H41", FINANCE["name"])


def test_units_only_listed_by_level_stand_below_the_holder_of_the_code_above(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    sync(catalogue, NGHE_AN, by_level=[{"id": 9, "code": "H41.5", "name": "Sở Tài chính"}])
    assert found(store, "H41.5").parent == "H41"


def test_centres_are_hidden_from_search(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, a_unit("w", "02.44.W00", name="Trung tâm tích hợp"))
    assert directory(store).search("tich hop") == ()
    assert found(store, "02.44.W00").hidden


# What is not taken


def test_codes_of_other_provinces_than_their_parents_are_reported_not_taken(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    sync(catalogue, NGHE_AN, a_unit("x", "H44.9", "a"))
    assert directory(store).find("H44.9", at=NOW) is None
    assert problems(catalogue) == [("H44.9", Problem.OTHER_PROVINCE)]


def test_two_units_that_exist_do_not_share_a_code(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, NGHE_AN, FINANCE, a_unit("d", "H41.5", "a", name="Sở Y tế"))
    assert found(store, "H41.5").name == FINANCE["name"]
    assert problems(catalogue) == [("H41.5", Problem.CODE_TAKEN)]


def test_a_unit_made_anew_takes_the_code_of_the_deleted_one(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    anew = a_unit("d", "H41.5", "a", name="Sở Tài chính và Kế hoạch")
    sync(catalogue, NGHE_AN, {**FINANCE, "deleted": True}, anew)
    agency = found(store, "H41.5")
    assert (agency.name, agency.valid_to) == (anew["name"], None)
    assert problems(catalogue) == []
    assert sync(catalogue, NGHE_AN, {**FINANCE, "deleted": True}, anew).changes == 0


def test_units_in_a_circle_are_reported(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, NGHE_AN, {**FINANCE, "pid": "c"}, WARD)
    assert problems(catalogue) == [("H41.5", Problem.CIRCLE), ("H41.5.1", Problem.CIRCLE)]
    assert sync(catalogue, NGHE_AN, FINANCE, WARD).counts["added"] == 2


def test_a_circle_that_closes_later_is_reported_and_may_open_again(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    sync(catalogue, FINANCE, WARD)
    sync(catalogue, newer(FINANCE, pid="c"))
    assert problems(catalogue) == [("H41.5", Problem.CIRCLE), ("H41.5.1", Problem.CIRCLE)]
    sync(catalogue, NGHE_AN, newer(newer(FINANCE)))
    assert problems(catalogue) == []
    assert [a.code for a in directory(store).lineage(found(store, "H41.5.1"))] == ["H41.5.1", "H41.5", "H41"]


def test_a_further_code_of_another_province_is_not_believed(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    run = sync(catalogue, NGHE_AN, {**FINANCE, "oldCode": "000.00.05.H44"})
    assert found(store, "H41.5").aliases == ()
    assert run.counts["codes_refused"] == 1


def test_what_has_no_code_is_counted(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    assert sync(catalogue, NGHE_AN, {"id": "q", "name": "Không mã"}).counts["unreadable"] == 1


# Incremental


def newer(row: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {**row, "version": row["version"] + 1, **changes}


def test_a_changed_name_is_one_change(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, NGHE_AN, FINANCE, WARD)
    run = sync(catalogue, NGHE_AN, newer(FINANCE, name="Sở Tài chính mới"), WARD)
    assert (run.counts["updated"], run.counts["changed"], run.version) == (1, 1, 3)
    assert found(store, "H41.5").name == "Sở Tài chính mới"


def test_older_versions_change_nothing(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, NGHE_AN, newer(FINANCE, name="Sở Tài chính mới"))
    run = sync(catalogue, FINANCE)
    assert (run.counts["outdated"], run.changes) == (1, 0)


def test_lists_without_versions_do_not_undo_what_has_one(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, NGHE_AN, FINANCE)
    without = {k: FINANCE[k] for k in ("id", "pid", "code")} | {"name": "Tên cũ", "oldCode": "000.00.05.H41"}
    sync(catalogue, without)
    assert (found(store, "000.00.05.H41").name, found(store, "000.00.05.H41").code) == (FINANCE["name"], "H41.5")


def test_deleted_units_are_closed_on_the_day_of_their_last_change(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    sync(catalogue, NGHE_AN, FINANCE)
    run = sync(catalogue, newer(FINANCE, deleted=True, modifyDate="2025-06-30T17:00:00Z"))
    assert run.counts["closed"] == 1
    assert found(store, "H41.5").valid_to == date(2025, 7, 1)
    with pytest.raises(RecipientClosed):
        route(codes("H41.5"), directory(store), at=NOW)


def test_a_deleted_unit_without_a_day_closes_when_it_is_first_seen_so(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    gone = newer(FINANCE, deleted=True, modifyDate=None)
    sync(catalogue, NGHE_AN, gone)
    run = catalogue.begin("test", now=NOW)
    catalogue.take(run, an_answer([gone]), name="x", now=NOW + timedelta(days=9))
    catalogue.settle(run, now=NOW + timedelta(days=9))
    assert found(store, "H41.5").valid_to == date(2026, 3, 2)


def test_a_unit_that_is_no_longer_deleted_opens_again(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, NGHE_AN, newer(FINANCE, deleted=True))
    run = sync(catalogue, newer(newer(FINANCE)))
    assert run.counts["reopened"] == 1
    assert found(store, "H41.5").valid_to is None


def test_what_a_list_leaves_out_stays(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, NGHE_AN, FINANCE, WARD)
    assert sync(catalogue, NGHE_AN).changes == 0


def test_a_unit_numbered_anew_keeps_its_old_code_and_its_children(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    sync(catalogue, NGHE_AN, FINANCE, WARD)
    sync(catalogue, newer(FINANCE, code="H41.7"))
    assert found(store, "H41.5").code == "H41.7"
    assert found(store, "H41.5.1").parent == "H41.7"


def test_a_former_code_passes_to_the_unit_that_is_listed_with_it(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    sync(catalogue, NGHE_AN, FINANCE)
    sync(catalogue, newer(FINANCE, code="H41.7"), a_unit("d", "H41.5", "a", name="Sở Y tế"))
    assert (found(store, "H41.5").name, found(store, "H41.7").aliases) == ("Sở Y tế", ())


def test_a_corrected_further_code_goes_back_to_its_unit(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    old = a_unit("z", "000.00.05.H41", "a", name="Sở Y tế")
    sync(catalogue, NGHE_AN, old, {**FINANCE, "oldCode": "000.00.05.H41"})
    assert found(store, "000.00.05.H41").code == "H41.5"
    sync(catalogue, newer(FINANCE, oldCode="000.00.06.H41"), old)
    assert found(store, "000.00.05.H41").name == "Sở Y tế"
    assert found(store, "000.00.06.H41").code == "H41.5"


def test_a_moved_unit_takes_those_below_it_along(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    other = a_unit("e", "H41.6", "a")
    loose = a_unit("f", "vxp.saas.03", "b")
    sync(catalogue, NGHE_AN, FINANCE, other, loose)
    sync(catalogue, newer(FINANCE, code="H41.9", pid="e"))
    assert [a.code for a in directory(store).lineage(found(store, "vxp.saas.03"))] == [
        "VXP.SAAS.03",
        "H41.9",
        "H41.6",
        "H41",
    ]


def test_a_parent_that_comes_later_is_found(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, FINANCE)
    assert found(store, "H41.5").parent is None
    sync(catalogue, NGHE_AN)
    assert found(store, "H41.5").parent == "H41"


def test_what_is_deleted_under_one_code_may_live_under_the_other(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    old = a_unit("z", "000.00.05.H41", "a", name="Sở Tài chính")
    both = {**FINANCE, "oldCode": "000.00.05.H41"}
    sync(catalogue, NGHE_AN, old, both)
    sync(catalogue, newer(both, deleted=True))
    assert found(store, "000.00.05.H41").valid_to is None
    assert found(store, "H41.5").valid_to is not None


# What goes wrong


def test_before_the_operators_own_agencies_there_is_no_catalogue(engine: Engine) -> None:
    with pytest.raises(DirectoryInvalid):
        CatalogueStore(engine).begin("test", now=NOW)


@pytest.mark.parametrize("content", [b"", b"<html>502</html>", an_answer([]).getvalue()], ids=["empty", "page", "none"])
def test_an_axis_out_of_order_changes_nothing(catalogue: CatalogueStore, store: DirectoryStore, content: bytes) -> None:
    sync(catalogue, NGHE_AN, FINANCE)
    run = catalogue.begin("test", now=NOW)
    with pytest.raises(CatalogueUnusable):
        catalogue.take(run, BytesIO(content), name="units.json", now=NOW)
    assert store.version() == 2


def test_a_fill_that_was_broken_off_goes_on(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    rows = list(unit_rows(1_500))
    cut = an_answer(rows).getvalue()
    run = catalogue.begin("test", now=NOW)
    with pytest.raises(CatalogueUnusable):
        catalogue.take(run, BytesIO(cut[: len(cut) * 9 // 10]), name="units.json", now=NOW)
    assert (store.version(), catalogue.overview().unsettled) == (1, 1_000)
    again = sync(catalogue, *rows)
    assert (again.counts["new"], again.counts["added"]) == (500, 1_500)


def test_what_was_settled_before_the_end_is_published_by_the_next_run(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    run = catalogue.begin("test", now=NOW)
    catalogue.take(run, an_answer([NGHE_AN]), name="x", now=NOW)
    catalogue.settle(run, now=NOW)  # and then the power fails
    assert sync(catalogue, NGHE_AN).version == 2
    assert store.version() == 2


def test_of_two_syncs_at_once_each_publishes_what_is_new(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    first, second = catalogue.begin("first", now=NOW), catalogue.begin("second", now=NOW)
    for run, row in ((second, NGHE_AN), (first, FINANCE)):
        catalogue.take(run, an_answer([row]), name="x", now=NOW)
        catalogue.settle(run, now=NOW)
        assert catalogue.publish(run, now=NOW).version == store.version()
    assert store.version() == 3
    assert found(store, "H41.5").parent == "H41"


def test_closing_unusually_many_needs_consent(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    rows = [NGHE_AN, *(a_unit(f"n{n}", f"H41.{n}", "a") for n in range(1, 300))]
    sync(catalogue, *rows)
    gone = [newer(row, deleted=True) for row in rows]
    with pytest.raises(CatalogueAlarming) as caught:
        sync(catalogue, *gone)
    assert caught.value.closings == 300
    assert found(store, "H41.5").valid_to is None
    assert sync(catalogue, *gone, accept_closings=True).counts["closed"] == 300


# Beside the operator's own


def test_the_operators_own_agency_wins_whichever_of_its_codes_is_listed(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    sync(catalogue, a_unit("p", "H37", name="Tên khác"), a_unit("w", "00.22.W00", deleted=True))
    assert found(store, "H37") == PROVINCE
    assert found(store, "000.00.22.W00") == AXIS


def test_an_own_agency_is_the_parent_of_the_catalogues(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    neighbour = an_agency("000.00.00.H41", "H41", level=Level.PROVINCE, endpoint=PEER)
    store.import_agencies([*OWN, neighbour], source="test", now=NOW)
    sync(catalogue, NGHE_AN, FINANCE)
    holder = directory(store).endpoint_holder(found(store, "H41.5"), at=NOW)
    assert holder == neighbour


def test_an_import_of_the_operators_file_leaves_the_catalogue(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, NGHE_AN, FINANCE)
    store.import_agencies([PROVINCE], source="test", now=NOW)
    assert found(store, "H41.5").name == FINANCE["name"]
    assert store.export() == [PROVINCE]


def test_what_leaves_the_operators_file_is_the_catalogues_again(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    sync(catalogue, NGHE_AN)
    store.import_agencies([*OWN, an_agency("H41", level=Level.PROVINCE, endpoint=PEER)], source="test", now=NOW)
    assert found(store, "H41").endpoint == PEER
    store.import_agencies(OWN, source="test", now=NOW)
    assert (found(store, "H41").endpoint, found(store, "H41").name) == (None, NGHE_AN["name"])


def test_the_own_province_is_only_what_the_operators_file_says(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    units = a_unit("p", "H37"), a_unit("q", "H37.99", "p"), a_unit("r", "vxp.saas.03", "q")
    sync(catalogue, *units)
    assert {a.code for a in directory(store).agencies()} == {a.code for a in OWN}
    with pytest.raises(UnknownRecipient):
        route(codes("H37.99"), directory(store), at=NOW)


def test_at_the_national_level_every_province_is_the_catalogues(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    sync(catalogue, a_unit("p", "H37"), a_unit("q", "H37.99", "p"))
    (made,) = route(codes("H37.99"), store.load(NATIONAL), at=NOW)
    assert made.via == PROVINCE.code


def test_agencies_of_the_catalogue_are_reached_through_the_gateway_above(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    sync(catalogue, NGHE_AN, {**FINANCE, "oldCode": "000.00.05.H41"})
    (made,) = route(codes("H41.5", "000.00.05.H41"), directory(store), at=NOW)  # one agency, named twice
    assert (made.recipient, made.via) == ("H41.5", AXIS.code)


def test_a_new_snapshot_uses_unchanged_agencies_of_the_catalogue_again(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    sync(catalogue, NGHE_AN, FINANCE)
    first = directory(store)
    sync(catalogue, newer(FINANCE, name="x"))
    second = store.load(LANG_SON, previous=first)
    assert second.get("H41") is first.get("H41")
    assert second.get("H41.5") != first.get("H41.5")


def test_equal_catalogues_have_equal_digests(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, NGHE_AN, FINANCE)
    sync(catalogue, newer(FINANCE, name="x"))
    sync(catalogue, newer(newer(FINANCE)))
    back, other, first, empty = store.versions()
    assert back.sha256 == first.sha256
    assert len({back.sha256, other.sha256, empty.sha256}) == 3


def test_when_an_agency_changed_is_known_for_both_kinds(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, NGHE_AN)
    assert store.changed_at(codes("H41", "000.00.00.H37", "H99")) == {"H41": NOW, "000.00.00.H37": NOW}


# Looking


OWN_DIRECTORY = Directory(OWN, LANG_SON)


@pytest.mark.parametrize("text", ["so tai chinh", "Sở Tài", "H41.5", "h41.5 ", "000.00.05"])
def test_units_are_found_by_words_and_codes(catalogue: CatalogueStore, store: DirectoryStore, text: str) -> None:
    sync(catalogue, NGHE_AN, {**FINANCE, "oldCode": "000.00.05.H41"})
    assert [unit.code for unit in catalogue.search(text, OWN_DIRECTORY, at=NOW)] == ["H41.5"]


@pytest.mark.parametrize("text", ["uy ban nhan dan tinh nghe an", "UBND nghệ an"])
def test_units_are_found_by_what_people_write_short(
    catalogue: CatalogueStore, store: DirectoryStore, text: str
) -> None:
    sync(catalogue, NGHE_AN)
    assert [unit.code for unit in catalogue.search(text, OWN_DIRECTORY, at=NOW)] == ["H41"]


def test_nothing_is_found_by_signs_of_the_query_language(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, NGHE_AN)
    assert catalogue.search("%", OWN_DIRECTORY, at=NOW) == ()


def test_each_unit_says_how_it_stands(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(
        catalogue,
        a_unit("p", "H37"),
        a_unit("q", "H37.99", "p"),
        NGHE_AN,
        {**FINANCE, "oldCode": "000.00.05.H41"},
        a_unit("z", "000.00.05.H41", "a"),
        a_unit("x", "H44.9", "a"),
        a_unit("d", "H41.8", "a", deleted=True),
    )
    standings = {}
    for text in ("H37", "H41", "H44", "000.00.05"):
        standings |= {unit.code: unit.standing for unit in catalogue.search(text, OWN_DIRECTORY, at=NOW)}
    assert standings == {
        "H37": "own_file",
        "H37.99": "own_province",
        "H41": "in_force",
        "H41.5": "in_force",
        "H41.8": "closed",
        "H44.9": "not_taken",
        "000.00.05.H41": "same_as_another",
    }


def test_agencies_of_the_own_province_that_the_file_lacks_are_listed(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    sync(catalogue, a_unit("p", "H37"), a_unit("q", "H37.99", "p"), NGHE_AN)
    assert [unit.code for unit in catalogue.unknown_here(OWN_DIRECTORY, at=NOW)] == ["H37.99"]


def test_where_the_operators_file_and_the_catalogue_differ_is_told(
    catalogue: CatalogueStore, store: DirectoryStore
) -> None:
    sync(catalogue, a_unit("p", "H37", deleted=True), a_unit("w", "00.22.W00", oldCode="W00.22"))
    assert [(d.agency, d.kind, d.codes) for d in catalogue.differences(OWN_DIRECTORY, at=NOW)] == [
        ("000.00.00.H37", "closed_there", ()),
        ("000.00.22.W00", "further_codes", ("W00.22",)),
    ]


def test_the_overview_counts(catalogue: CatalogueStore, store: DirectoryStore) -> None:
    sync(catalogue, NGHE_AN, newer(FINANCE, deleted=True), WARD, a_unit("x", "H44.9", "a"), a_unit("w", "01.01.W00"))
    overview = catalogue.overview()
    assert (overview.units, overview.open, overview.closed, overview.hidden) == (5, 3, 1, 1)
    assert (overview.problems, overview.unsettled, overview.highest_version) == ({"other_province": 1}, 0, 2)
    assert [run.version for run in overview.runs] == [2]
