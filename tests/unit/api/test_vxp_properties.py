"""Whatever comes over the national kit's protocol is read, or turned away by name."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.vxp.body import read_package
from gateway.api.vxp.hashes import forms
from gateway.api.vxp.headers import check_signature, hmac_of, system_of
from gateway.api.vxp.moments import since, until
from gateway.errors import GatewayError, NotAuthenticated

NAMES = st.sampled_from(["docId", "docid", "systemid", "timestamp", "to", "hash-file", "x", ""])
VALUES = st.one_of(st.none(), st.text(max_size=20), st.integers(), st.lists(st.text(max_size=3), max_size=2))
OBJECTS = st.dictionaries(st.builds("XroadVnpt-{}".format, NAMES), VALUES, max_size=6)


def received(text: str, single: dict[str, str], secret: str = "s") -> dict[str, str]:
    raw = text.encode("utf-8", "surrogatepass")
    signed = {"XroadVnpt-sign-header": raw.decode("latin-1"), "XroadVnpt-hash-header": hmac_of(raw, secret)}
    return {name.lower(): value for name, value in {**single, **signed}.items()}


@given(st.one_of(st.text(), OBJECTS.map(json.dumps)), st.dictionaries(NAMES, st.text(max_size=20)))
def test_signed_headers_are_read_or_turned_away(text: str, single: dict[str, str]) -> None:
    call = received(text, {f"XroadVnpt-{name}": value for name, value in single.items()})

    def header(name: str) -> str | None:
        return call.get(name.lower())

    with suppress(NotAuthenticated):
        system_of(header)
    with suppress(NotAuthenticated):
        headers = check_signature(header, ["s"])
        for name in ("docId", "docid", "to"):
            headers.get(name)


@given(st.dictionaries(NAMES.filter(bool), st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=9)))
def test_what_was_signed_is_what_is_read(logical: dict[str, str]) -> None:
    single = {f"XroadVnpt-{name}": value for name, value in logical.items()}
    spelled = {name.lower() for name in logical}
    call = received(json.dumps(single), single)
    if len(spelled) < len(logical):  # both spellings: the single header holds both
        call["xroadvnpt-docid"] = f"{logical['docid']}, {logical['docId']}"
    headers = check_signature(lambda name: call.get(name.lower()), ["s"])
    assert {name: headers.get(name) for name in logical} == {name: value or None for name, value in logical.items()}


@given(st.text(), st.text(min_size=1))
def test_another_secret_never_signs(text: str, secret: str) -> None:
    call = received(text, {}, secret)
    with pytest.raises(NotAuthenticated):
        check_signature(lambda name: call.get(name.lower()), [secret + "x"])


class InPieces(io.RawIOBase):
    """A body that comes in pieces of given sizes, then of one byte."""

    def __init__(self, raw: bytes, sizes: list[int]) -> None:
        super().__init__()
        self._raw, self._sizes = raw, sizes

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._sizes.pop(0) if self._sizes else 1
        piece = self._raw[: min(wanted, size) if size >= 0 else wanted]
        self._raw = self._raw[len(piece) :]
        return piece


PIECES = st.lists(st.integers(min_value=1, max_value=9), max_size=20)
BYTES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"<a>", b"--b", b"--", b"x"]), max_size=12).map(b"".join)


def unwrapped(raw: bytes, sizes: list[int], hash_file: str | None, kind: str | None) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        upload, _ = read_package(
            InPieces(raw, sizes), content_type=kind, expected=len(raw), hash_file=hash_file, limit_bytes=1_000,
            inline_bytes=20, spool=Path(folder),
        )  # fmt: skip
        with upload, upload.open() as file:
            content = file.read()
        assert hashlib.sha256(content).hexdigest() == upload.sha256
        assert list(Path(folder).iterdir()) == []
    return content


@settings(deadline=None)
@given(BYTES, PIECES, st.sampled_from([None, "multipart/form-data; boundary=b", "text/xml"]))
def test_a_body_is_read_or_turned_away(raw: bytes, sizes: list[int], kind: str | None) -> None:
    try:
        content = unwrapped(raw, sizes, None, kind)
    except GatewayError:
        return
    assert content in raw


@settings(deadline=None)
@given(BYTES, PIECES, st.booleans(), st.booleans())
def test_a_package_comes_out_as_its_hash_says(package: bytes, sizes: list[int], line_end: bool, padded: bool) -> None:
    package = b"<" + package
    digest = hashlib.sha256(package).digest()
    written = digest.hex() if padded else min(forms(digest), key=len)
    assert unwrapped(package + (b"\r\n" if line_end else b""), sizes, written, None) == package


@given(st.text(max_size=30))
def test_a_date_is_understood_or_not(text: str) -> None:
    first, last = since(text), until(text)
    assert (first is None) == (last is None)
    assert first is None or last is None or first < last
