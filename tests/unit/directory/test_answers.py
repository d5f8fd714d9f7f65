"""An axis' answer is read as a stream, and believed only when all of it is there."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.directory.answers import read_rows
from gateway.errors import CatalogueUnusable
from tests.support.catalogue import an_answer


class Dribble(io.BytesIO):
    """A file that gives a few bytes at a time."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__(content)
        self._size = size

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._size)


def rows_of(content: bytes) -> list[dict[str, Any]]:
    return list(read_rows(io.BytesIO(content), name="list.json"))


def test_the_rows_come_in_their_order() -> None:
    rows = [{"code": "H37"}, {"code": "H41"}]
    assert list(read_rows(an_answer(rows), name="x")) == rows


VALUES = st.none() | st.text(max_size=8) | st.integers() | st.booleans()


@given(rows=st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), max_size=6), size=st.integers(1, 40))
def test_it_does_not_matter_where_the_bytes_are_cut(rows: list[dict[str, Any]], size: int) -> None:
    answer = Dribble(an_answer(rows).getvalue(), size)
    assert list(read_rows(answer, name="x")) == rows


def test_the_error_code_may_come_after_the_rows() -> None:
    assert rows_of(b'{"data": [{"code": "H37"}], "status": "OK", "ErrorCode": "0"}') == [{"code": "H37"}]


def test_an_error_code_after_the_rows_makes_them_unusable() -> None:
    with pytest.raises(CatalogueUnusable):
        rows_of(b'{"data": [{"code": "H37"}], "status": "FAIL", "ErrorCode": "20"}')


def test_a_byte_order_mark_is_passed_over() -> None:
    assert rows_of(b'\xef\xbb\xbf{"ErrorCode": 0, "data": []}') == []


def test_without_a_list_there_are_no_rows() -> None:
    assert rows_of(b'{"ErrorCode": "0", "data": null}') == []


WHOLE = an_answer([{"code": "H37", "n": 12}]).getvalue()


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_an_answer_that_was_cut_off_is_unusable(end: int) -> None:
    with pytest.raises(CatalogueUnusable):
        rows_of(WHOLE[:end])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><body>502 Bad Gateway</body></html>",
        b"[]",
        b"{}",
        b'{"status": "OK"}',
        b'{"ErrorCode": "0", "data": [1]}',
        b'{"ErrorCode": "0", "data": [{} {}]}',
        b'{"ErrorCode": "0" "data": []}',
        b'{1: 2, "ErrorCode": "0"}',
        b'{"ErrorCode": "0", "data": []} and more',
        b'{"ErrorCode": "0", "data": [{"name": "\xff"}]}',
        b'{"ErrorCode": "0", "data": [{"name": ' + b"[" * 100_000,
        b'{"ErrorCode": "0", "data": [{"name": "' + b"x" * 1_200_000 + b'"}]}',
    ],
    ids=[
        "empty",
        "a proxy's page",
        "an array",
        "no outcome",
        "no error code",
        "a number for a unit",
        "no comma between units",
        "no comma between keys",
        "a number for a key",
        "something after the end",
        "not UTF-8",
        "nested without end",
        "one unit without end",
    ],
)
def test_what_is_not_such_an_answer_is_unusable(content: bytes) -> None:
    with pytest.raises(CatalogueUnusable):
        rows_of(content)


def test_rows_come_before_the_whole_answer_is_read() -> None:
    source = io.BytesIO(json.dumps({"ErrorCode": "0", "data": [{"code": "x" * 100}] * 10_000}).encode())
    next(read_rows(source, name="x"))
    assert source.tell() < 100_000
