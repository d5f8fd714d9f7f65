"""The pure parts of the national kit's protocol: bodies, times, pages, numbers."""

from __future__ import annotations

import hashlib
import io
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.api.lgsp import answers as lgsp
from gateway.api.vxp import answers, moments, paging
from gateway.api.vxp.body import read_package
from gateway.errors import (
    BodyTooLarge,
    Disposition,
    DocumentConflict,
    GatewayError,
    IncompleteUpload,
    RequestError,
    RevocationUnknown,
    every_error,
)
from gateway.ledger.protocol import MOST_LISTED

PAGE = Path(__file__).resolve().parents[3] / "docs" / "integrate" / "vxp.md"


class Dribbling(io.BytesIO):
    """Gives a few bytes at a time, as a slow line does."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(3 if size is None or size < 0 else min(size, 3))


def unwrapped(body: bytes, spool: Path, *, hash_file: str | None = None, content_type: str | None = None) -> bytes:
    """The package in a body, however it came."""
    found = []
    for stream in (io.BytesIO(body), Dribbling(body)):
        upload, is_right = read_package(
            stream,
            content_type=content_type,
            expected=len(body),
            hash_file=hash_file,
            limit_bytes=1_000_000,
            inline_bytes=1_000_000,
            spool=spool,
        )
        assert is_right
        with upload, upload.open() as file:
            found.append(file.read())
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("body", "package"),
    [
        (b"<a/>\r\n", b"<a/>"),
        (b"<a/>", b"<a/>"),
        (b"<a/>\n", b"<a/>\n"),
        (b"<a/>\r", b"<a/>\r"),
        (b"<a/>\r\n\r\n", b"<a/>\r\n"),
        (b"<a>\r\n\r\r\n</a>\r\n", b"<a>\r\n\r\r\n</a>"),
        (b"\r\n<a/>\r\n", b"\r\n<a/>"),
    ],
)
def test_one_line_end_behind_a_bare_package_is_the_kits(tmp_path: Path, body: bytes, package: bytes) -> None:
    assert unwrapped(body, tmp_path) == package


@pytest.mark.parametrize("package", [b"<a/>", b"<a/>\r\n", b"<a/>\r\n\r\n", b"<a/>\r"])
@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_with_a_hash_the_package_is_what_has_that_hash(tmp_path: Path, package: bytes, end: bytes) -> None:
    digest = hashlib.sha256(package).digest()
    for written in (digest.hex(), "".join(f"{byte:x}" for byte in digest)):
        assert unwrapped(package + end, tmp_path, hash_file=written) == package


def a_form(content: bytes, boundary: str = "b") -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode()


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=b", "application/octet-stream", None])
@pytest.mark.parametrize("before", [b"", b"\r\n"])
def test_a_form_is_known_by_its_first_line(tmp_path: Path, content_type: str | None, before: bytes) -> None:
    body = before + a_form(b"<a/>\r\n")
    assert unwrapped(body, tmp_path, content_type=content_type) == b"<a/>\r\n"


def test_a_form_with_words_before_it_is_known_by_its_type(tmp_path: Path) -> None:
    body = b"This is a form.\r\n" + a_form(b"<a/>")
    assert unwrapped(body, tmp_path, content_type="multipart/form-data; boundary=b") == b"<a/>"


def test_a_package_that_holds_a_boundary_is_none(tmp_path: Path) -> None:
    body = b"<a>\r\n--b\r\n</a>"
    assert unwrapped(body, tmp_path, content_type="multipart/form-data; boundary=b") == body


@pytest.mark.parametrize(("expected", "error"), [(10, IncompleteUpload), (2_000, BodyTooLarge)])
def test_the_declared_length_is_believed(tmp_path: Path, expected: int, error: type[GatewayError]) -> None:
    with pytest.raises(error):
        read_package(
            io.BytesIO(b"<a/>"), content_type=None, expected=expected, hash_file=None, limit_bytes=1_000,
            inline_bytes=1_000, spool=tmp_path,
        )  # fmt: skip


def test_a_body_without_a_length_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(BodyTooLarge):
        read_package(
            io.BytesIO(b"<a/>" * 1_000), content_type=None, expected=None, hash_file=None, limit_bytes=3_999,
            inline_bytes=100, spool=tmp_path,
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("2026/03/05", datetime(2026, 3, 4, 17, tzinfo=UTC)),
        ("2026-03-05", datetime(2026, 3, 4, 17, tzinfo=UTC)),
        ("05/03/2026", datetime(2026, 3, 4, 17, tzinfo=UTC)),
        ("2026/03/05 14:03:09", datetime(2026, 3, 5, 7, 3, 9, tzinfo=UTC)),
        ("05/03/2026 14:03", datetime(2026, 3, 5, 7, 3, tzinfo=UTC)),
        ("2026-03-05T14:03:09", datetime(2026, 3, 5, 7, 3, 9, tzinfo=UTC)),
        ("2026-03-05T07:03:09Z", datetime(2026, 3, 5, 7, 3, 9, tzinfo=UTC)),
        ("2026-03-05T07:03:09.123+00:00", datetime(2026, 3, 5, 7, 3, 9, 123_000, tzinfo=UTC)),
    ],
)
def test_times_without_a_zone_are_those_of_vietnam(text: str, first: datetime) -> None:
    assert moments.since(text) == first


@pytest.mark.parametrize("text", ["", "05032026", "2014/02/30", "0034/09/28", "9999/12/31", "tomorrow", "1"])
def test_what_is_no_usable_time_is_none(text: str) -> None:
    assert (moments.since(text), moments.until(text)) == (None, None)


@pytest.mark.parametrize("text", ["2026/03/05", "2026-03-05", "05/03/2026", "20260305"])
def test_a_last_day_ends_with_its_midnight(text: str) -> None:
    assert moments.until(text) == datetime(2026, 3, 5, 17, tzinfo=UTC)


def test_without_paging_all_is_wanted_that_is_given_at_once() -> None:
    for size, index in ((None, None), ("0", "0"), ("0", None)):
        assert paging.wanted(size, index) == paging.Wanted(size=MOST_LISTED, before=0)


@pytest.mark.parametrize(
    ("size", "index", "wanted"),
    [("10", None, (10, 0)), ("10", "3", (10, 20)), (None, "2", (100, 100)), ("9999", "2", (500, 500))],
)
def test_pages_are_counted_from_one_or_zero(size: str | None, index: str | None, wanted: tuple[int, int]) -> None:
    assert paging.wanted(size, index) == paging.Wanted(size=wanted[0], before=wanted[1])


@pytest.mark.parametrize(("size", "index"), [("x", None), ("-1", None), ("1.5", None), ("100", "1002"), ("٣", None)])
def test_what_is_no_page_is_refused(size: str, index: str | None) -> None:
    with pytest.raises(RequestError):
        paging.wanted(size, index)


def test_every_error_has_a_number_of_the_protocol() -> None:
    assert all(re.fullmatch(r"[1-9][0-9]{1,2}", answers.code_of(error)) for error in every_error())


def test_a_package_whose_certificate_nobody_knows_about_is_to_be_sent_again_over_every_protocol() -> None:
    unknown = RevocationUnknown()
    assert (answers.code_of(type(unknown)), answers.http_status_of(unknown)) == ("20", 503)
    assert (lgsp.number_of(type(unknown)), lgsp.http_status_of(type(unknown))) == (20, 503)
    assert unknown.disposition is Disposition.RETRY


def test_every_number_is_explained_to_integrators() -> None:
    explained = set(re.findall(r"^\| `([0-9]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert explained == {"0", *answers.CODES.values()}


def test_words_of_a_failure_are_ascii_and_end_with_the_stable_code() -> None:
    words = answers.words_of(DocumentConflict(existing="0192"))
    assert words.isascii()
    assert words.endswith("0192 [document.conflict]")
