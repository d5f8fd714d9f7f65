"""Names, cursors, words and column types."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from gateway.errors import RequestError
from gateway.ledger import sqlite_version_is_safe
from gateway.ledger.acceptance import folded
from gateway.ledger.filters import bounded, decode_cursor, encode_cursor, moment_cursor, words
from gateway.ledger.identity import stored, stored_all
from gateway.ledger.records import ApiKey, new_id
from gateway.ledger.types import Coded, Json, Named, Numbered, UtcDateTime
from gateway.model import AgencyCode, Channel, Lane, Severity, Violation

NOON = datetime(2026, 11, 22, 5, tzinfo=UTC)


def test_short_names_are_stored_as_they_are_and_long_ones_by_hash() -> None:
    assert stored("000.00.00.G22,2015/09/30,7816/VPCP-TTĐT") == "000.00.00.G22,2015/09/30,7816/VPCP-TTĐT"
    assert stored("x" * 5000) == stored("x" * 5000) != stored("x" * 5001)
    assert len(stored("x" * 1_000_000)) < 200


def test_names_are_stored_once_and_absent_ones_not_at_all() -> None:
    assert stored_all(("a", None, "", "b", "a")) == ["a", "b"]


def test_new_ids_sort_by_age() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000


def test_a_cursor_comes_back_as_it_was() -> None:
    assert decode_cursor(encode_cursor(3, "id"), int, str) == [3, "id"]
    assert moment_cursor(encode_cursor(NOON.isoformat(), "id")) == (NOON, "id")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "€",
        "!!!",
        "AAAA",
        encode_cursor(1),
        encode_cursor("id", "id", "id"),
        encode_cursor("2026-13-01", "id"),
        encode_cursor("2026-11-22T05:00:00", "id"),  # a time without zone
        encode_cursor(1, "id"),
        encode_cursor(True, "id"),
    ],
)
def test_a_cursor_of_somebody_else_is_refused(cursor: str) -> None:
    with pytest.raises(RequestError):
        moment_cursor(cursor)


@pytest.mark.parametrize("limit", [-1, 0, 201, 10**9])
def test_a_page_is_bounded(limit: int) -> None:
    with pytest.raises(RequestError):
        bounded(limit)


def test_words_lose_accents_and_are_bounded() -> None:
    assert words("  Đề   ÁN ") == ["de", "an"]
    assert words(None) == []
    assert len(words("a " * 100)) == 8


def test_what_is_searched_in_is_folded_and_bounded() -> None:
    assert folded("Đề án", None, "", "07/QĐ-UBND") == "de an\n07/qd-ubnd"
    assert len(folded("x" * 1_000_000)) == 4000


def test_the_sqlite_in_use_is_a_safe_one() -> None:
    assert sqlite_version_is_safe()


def test_a_key_is_valid_until_it_expires_or_is_revoked() -> None:
    key = ApiKey(
        id="1", prefix="p", secret_sha256="0" * 64, agency=AgencyCode("H37"), scopes=frozenset(), created_at=NOON
    )
    ending = {"expires_at": NOON}, {"revoked_at": NOON}
    assert key.is_valid(NOON)
    for end in ending:
        ended = ApiKey(**{f: getattr(key, f) for f in key.__dataclass_fields__} | end)
        assert not ended.is_valid(NOON)
        assert ended.is_valid(NOON - timedelta(seconds=1))


# Column types

LITE, POST = sqlite.dialect(), postgresql.dialect()


def test_naive_times_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        UtcDateTime().process_bind_param(datetime(2026, 11, 22), LITE)  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize("dialect", [LITE, POST], ids=["sqlite", "postgresql"])
def test_times_of_any_zone_come_back_in_utc(dialect: object) -> None:
    there = NOON.astimezone(timezone(timedelta(hours=7)))
    kept = UtcDateTime().process_bind_param(there, dialect)  # type: ignore[arg-type] # one dialect or the other
    back = UtcDateTime().process_result_value(kept, dialect)  # type: ignore[arg-type] # as above
    assert back == NOON
    assert back is not None
    assert back.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (Json(tuple[Violation, ...]), (Violation(code="N.Code", severity=Severity.WARNING, vi="Thiếu", en="Missing"),)),
        (Json(frozenset[str]), frozenset({"send"})),
        (Coded(Channel), Channel.PEER),
        (Numbered(Lane), Lane.FLASH),
        (Named(AgencyCode), AgencyCode("H37.1")),
        (UtcDateTime(), NOON),
    ],
    ids=lambda v: type(v).__name__,
)
def test_values_come_back_as_they_were(column: object, value: object) -> None:
    kept = column.process_bind_param(value, LITE)  # type: ignore[attr-defined] # each is a TypeDecorator
    back = column.process_result_value(kept, LITE)  # type: ignore[attr-defined] # as above
    assert back == value
    assert type(back) is type(value)
    assert column.process_bind_param(None, LITE) is None  # type: ignore[attr-defined] # as above
    assert column.process_result_value(None, LITE) is None  # type: ignore[attr-defined] # as above
