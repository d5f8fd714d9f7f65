"""Taking a package out of base64 within JSON, wherever it stands and however it is escaped, without holding it."""

from __future__ import annotations

import base64
import json
import random
import tempfile
import textwrap
import tracemalloc
from collections.abc import Iterator
from typing import Any, BinaryIO

import pytest

from gateway.delivery.unwrap import Decoded, split
from gateway.errors import AxisDown, AxisPackageUnusable

CONTENT = random.Random(1).randbytes(100_003)


@pytest.fixture
def file() -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as opened:
        yield opened


def written(file: BinaryIO, raw: bytes) -> BinaryIO:
    file.write(raw)
    file.flush()
    return file


def taken(file: BinaryIO, size: int = 1000) -> tuple[dict[str, Any], bytes]:
    answer, where = split(file)
    assert where is not None
    decoded = Decoded.within(file, where)
    out = bytearray()
    while piece := decoded.read(size):
        assert len(piece) <= size
        out += piece
    return answer, bytes(out)


def encoded(content: bytes = CONTENT) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "OK", "ErrorCode": "0", "data": encoded()},
        {"data": encoded(), "status": "OK", "ErrorCode": "0"},
        {"code": 200, "data": {"docId": 'a"b\\', "data": encoded()}, "message": "\\"},
    ],
    ids=["last", "first", "within"],
)
def test_the_package_is_found_wherever_it_stands(file: BinaryIO, answer: dict[str, Any]) -> None:
    rest, content = taken(written(file, json.dumps(answer).encode()))
    assert content == CONTENT
    assert set(rest) == set(answer)


@pytest.mark.parametrize("escape", [(b"=", b"\\u003d"), (b"/", b"\\/"), (b"+", b"\\u002B"), (b"=", b"\\u003D")])
@pytest.mark.parametrize("size", [1, 7, 4096, 1_000_000])
def test_escapes_mean_what_they_mean_in_json(file: BinaryIO, escape: tuple[bytes, bytes], size: int) -> None:
    raw = json.dumps({"data": encoded(CONTENT[:20_000])}).encode().replace(*escape)
    assert taken(written(file, raw), size)[1] == CONTENT[:20_000]


def test_broken_lines_are_joined(file: BinaryIO) -> None:
    raw = json.dumps({"data": "\r\n".join(textwrap.wrap(encoded(), 76))}).encode()
    assert taken(written(file, raw))[1] == CONTENT


@pytest.mark.parametrize("text", ["QUJD@" * 2000, "A" * 5001, "QQ==" + "QUJD" * 2000, "\\b" * 3000, "é" * 3000])
def test_what_is_no_base64_is_named(file: BinaryIO, text: str) -> None:
    with pytest.raises(AxisPackageUnusable):
        taken(written(file, json.dumps({"data": text}).encode()))


@pytest.mark.parametrize(
    "raw", [b"", b"<html>", b"[]", b'"x"', b'{"data": "' + b"A" * 9000, b"<html>" * 2000, b'{"a": ' + b"1" * 300_000]
)
def test_what_is_no_json_object_is_an_axis_that_is_down(file: BinaryIO, raw: bytes) -> None:
    with pytest.raises(AxisDown):
        split(written(file, raw))


@pytest.mark.parametrize("slashes", range(6))
def test_backslashes_before_a_quotation_mark_are_counted_across_pieces(file: BinaryIO, slashes: int) -> None:
    first = json.dumps("x" * 2000 + "\\" * slashes + '"').encode()
    # Pieces are of 256 KB. The quotation mark within the first text is the last byte of one, or begins the next.
    for place in range(256 * 1024 - 1, 256 * 1024 + 8):
        file.seek(0)
        file.truncate()
        blanks = b" " * (place - len(b'{"a":') - len(first) + len(b'""'))
        answer, content = taken(
            written(file, b"{" + blanks + b'"a":' + first + b',"data":"' + encoded().encode() + b'"}')
        )
        assert content == CONTENT
        assert answer["a"] == "x" * 2000 + "\\" * slashes + '"'


def test_a_short_package_stays_in_its_place(file: BinaryIO) -> None:
    answer, where = split(written(file, b'{"data": "QUJD"}'))
    assert (answer, where) == ({"data": "QUJD"}, None)
    assert Decoded.of("QUJD").read() == b"ABC"


def test_eighty_megabytes_pass_through_in_a_few(file: BinaryIO) -> None:
    file.write(b'{"ErrorCode":"0","data":"')
    for _ in range(80):
        file.write(b"QUJD" * 262_144)
    file.write(b'"}')
    file.flush()
    tracemalloc.start()
    try:
        _, where = split(file)
        assert where is not None
        decoded = Decoded.within(file, where)
        size = 0
        while piece := decoded.read(65_536):
            size += len(piece)
        assert size == 80 * 262_144 * 3
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()
