"""The vocabulary: what codes, identities, lanes and statuses are."""

from __future__ import annotations

import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import (
    AgencyCode,
    CodeGeneration,
    DeliveryState,
    DocumentId,
    DocumentNumber,
    Envelope,
    Lane,
    Organization,
    OtherInfo,
    PackageKind,
    StatusCode,
    fold,
    normal_key,
)


@pytest.mark.parametrize(
    ("text", "normal", "generation", "parent", "level1"),
    [
        ("000.00.14.H37", "000.00.14.H37", CodeGeneration.TT10, "000.00.00.H37", "H37"),
        ("002.00.20.H13", "002.00.20.H13", CodeGeneration.TT10, "000.00.20.H13", "H13"),
        ("000.46.24.H44", "000.46.24.H44", CodeGeneration.TT10, "000.00.24.H44", "H44"),
        ("000.00.00.H37", "000.00.00.H37", CodeGeneration.TT10, None, "H37"),
        ("28.22.H17", "000.28.22.H17", CodeGeneration.TT10, "000.00.22.H17", "H17"),
        ("01.02.G22", "000.01.02.G22", CodeGeneration.TT10, "000.00.02.G22", "G22"),
        (" h37.14.2 ", "H37.14.2", CodeGeneration.QD20, "H37.14", "H37"),
        ("H37", "H37", CodeGeneration.QD20, None, "H37"),
        ("H37.DN.001", "H37.DN.001", CodeGeneration.QD20, "H37.DN", "H37"),
        ("vxp.saas.03", "VXP.SAAS.03", CodeGeneration.OTHER, None, None),
        ("001.00.20.TT2", "001.00.20.TT2", CodeGeneration.OTHER, None, None),
        ("", "", CodeGeneration.OTHER, None, None),
    ],
)
def test_codes_of_both_generations_are_understood(
    text: str, normal: str, generation: CodeGeneration, parent: str | None, level1: str | None
) -> None:
    code = AgencyCode.normal(text)
    assert (code, code.generation, code.parent, code.level1) == (normal, generation, parent, level1)


@given(st.text(max_size=40))
def test_normalising_a_code_twice_is_normalising_it_once(text: str) -> None:
    once = AgencyCode.normal(text)
    assert AgencyCode.normal(once) == once


@pytest.mark.parametrize("text", ["Đề án", "ĐỀ ÁN", "de an", unicodedata.normalize("NFD", "Đề án")])
def test_searching_ignores_marks_and_case(text: str) -> None:
    assert fold(text) == "de an"


def test_folding_drops_every_combining_character_and_no_other() -> None:
    everything = "".join(chr(c) for c in range(0x20000) if not 0xD800 <= c < 0xE000)
    expected = unicodedata.normalize("NFD", everything.casefold().replace("đ", "d"))
    kept = "".join(c for c in expected if not unicodedata.combining(c))
    assert fold(everything) == unicodedata.normalize("NFC", kept)


def test_keys_are_compared_in_nfc_and_trimmed() -> None:
    assert normal_key(" " + unicodedata.normalize("NFD", "7816/VPCP-TTĐT ế")) == "7816/VPCP-TTĐT ế"


def an(**changes: object) -> Envelope:
    fields: dict[str, object] = {
        "sender": Organization(code=AgencyCode("H37")),
        "number": DocumentNumber(number="07", notation="SA-VP"),
        "issued_on": date(2026, 3, 5),
        **changes,
    }
    return Envelope(**fields)  # type: ignore[arg-type] # tests give what they say


@pytest.mark.parametrize(
    ("document_id", "identity"),
    [
        ("H37,2026/03/05,07/SA-VP", "H37,2026/03/05,07/SA-VP"),
        (" H37,2026/03/05,07/SA-VP ", "H37,2026/03/05,07/SA-VP"),
        ("9fbfbad2-f1f8-4256-a2eb-50fb1061cddb", "~2026/03/05,07/SA-VP"),
        ("", "~2026/03/05,07/SA-VP"),
        (None, "~2026/03/05,07/SA-VP"),
    ],
)
def test_a_random_id_is_no_identity(document_id: str | None, identity: str) -> None:
    assert an(document_id=DocumentId(document_id) if document_id is not None else None).identity == identity


def test_without_id_and_number_there_is_no_identity() -> None:
    assert an(number=DocumentNumber(number="07")).identity is None


@pytest.mark.parametrize(("priority", "lane"), [(None, 0), (0, 0), (3, 3), (4, 4), (9, 0), (-1, 0)])
def test_an_unknown_priority_is_the_ordinary_one(priority: int | None, lane: int) -> None:
    assert an(other=OtherInfo(priority=priority)).lane == Lane(lane)


def test_a_package_without_a_status_is_a_document() -> None:
    assert (an().kind, an().lane) == (PackageKind.DOCUMENT, Lane.NORMAL)


def test_progress_has_an_order_and_other_statuses_have_none() -> None:
    ranks = [c.rank for c in StatusCode]
    assert ranks == [0, None, 1, 2, 3, 4, None, None, None]


def test_only_refusals_and_requests_must_say_why() -> None:
    assert [c.value for c in StatusCode if c.needs_reason] == ["02", "13", "16"]


def test_two_states_are_open() -> None:
    assert [s for s in DeliveryState if s.is_open] == [DeliveryState.WAITING, DeliveryState.LEASED]
