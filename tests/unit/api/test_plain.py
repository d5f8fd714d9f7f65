"""Vietnamese in ASCII, and packages in Base64."""

from __future__ import annotations

import base64
import io

import pytest

from gateway.api.encoding import base64_chunks, base64_length
from gateway.api.plain import unaccented
from gateway.errors import every_error


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Đơn vị nhận đã khóa", "Don vi nhan da khoa"),
        ("ƯỚC ữ ặ ỡ", "UOC u a o"),
        ("a – “b” …", 'a - "b" ...'),
        ("日", "?"),
    ],
)
def test_diacritics_go_and_letters_stay(text: str, plain: str) -> None:
    assert unaccented(text) == plain


def test_every_sentence_of_the_gateway_can_be_said_in_ascii() -> None:
    assert [e.code for e in every_error() if "?" in unaccented(e.vi)] == []


class Dribble(io.BytesIO):
    """Gives fewer bytes than it is asked for, as readers may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 1000))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 999, 1000, 1001, 200_000])
@pytest.mark.parametrize("reader", [io.BytesIO, Dribble])
def test_pieces_of_base64_make_the_whole(reader: type[io.BytesIO], size: int) -> None:
    content = bytes(i % 251 for i in range(size))
    encoded = b"".join(base64_chunks(reader(content)))
    assert encoded == base64.b64encode(content)
    assert len(encoded) == base64_length(size)
