"""Receiving a body: its length, its end, its place."""

from __future__ import annotations

import errno
import hashlib
import io
from pathlib import Path

import pytest

from gateway.errors import BodyTooLarge, EmptyPackage, IncompleteUpload, PayloadStoreUnavailable, StorageFull
from gateway.exchange.upload import Upload, receive, spooled, upload_of


def take(raw: bytes, spool: Path, *, expected: int | None = None, limit: int = 10_000, inline: int = 100) -> Upload:
    return receive(io.BytesIO(raw), expected=expected, limit_bytes=limit, inline_bytes=inline, spool=spool)


class Broken(io.RawIOBase):
    """A connection that breaks after some bytes."""

    def __init__(self, raw: bytes, error: OSError) -> None:
        self._raw = io.BytesIO(raw)
        self._error = error

    def read(self, size: int = -1, /) -> bytes:
        """What there is, then the break."""
        chunk = self._raw.read(size)
        if not chunk:
            raise self._error
        return chunk


@pytest.mark.parametrize("size", [1, 100, 101, 5000])
def test_a_body_is_hashed_whatever_its_size(tmp_path: Path, size: int) -> None:
    raw = bytes(i % 251 for i in range(size))
    with take(raw, tmp_path, expected=size) as upload, upload.open() as reader:
        assert (upload.size, upload.sha256, reader.read()) == (size, hashlib.sha256(raw).hexdigest(), raw)
        assert isinstance(upload.source, bytes) == (size <= 100)
    assert list(tmp_path.iterdir()) == []


def test_a_chunked_body_needs_no_length(tmp_path: Path) -> None:
    assert take(b"abc", tmp_path).size == 3


@pytest.mark.parametrize("expected", [10_001, None])
def test_a_body_over_the_limit_is_refused(tmp_path: Path, expected: int | None) -> None:
    with pytest.raises(BodyTooLarge):
        take(b"x" * 10_001, tmp_path, expected=expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [50, 500])
def test_a_body_that_ends_early_is_incomplete(tmp_path: Path, size: int) -> None:
    with pytest.raises(IncompleteUpload):
        take(b"x" * size, tmp_path, expected=size + 1)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_body_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmptyPackage):
        take(b"", tmp_path, expected=0)


def test_a_break_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(IncompleteUpload):
        receive(
            Broken(b"x" * 500, OSError(errno.ECONNRESET, "broken")),
            expected=None,
            limit_bytes=10_000,
            inline_bytes=100,
            spool=tmp_path,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_spool_that_is_not_there_is_our_trouble(tmp_path: Path) -> None:
    with pytest.raises(PayloadStoreUnavailable):
        take(b"x" * 500, tmp_path / "gone")


def test_a_package_in_memory_can_be_lent_as_a_file(tmp_path: Path) -> None:
    with spooled(upload_of(b"abc"), tmp_path) as path:
        assert path.read_bytes() == b"abc"
    assert list(tmp_path.iterdir()) == []


def test_lending_on_a_full_disk_is_named(tmp_path: Path) -> None:
    upload = upload_of(b"abc")
    with pytest.raises(StorageFull), spooled(upload, tmp_path):
        raise OSError(errno.ENOSPC, "full")
    with pytest.raises(PayloadStoreUnavailable), spooled(upload, tmp_path):
        raise OSError(errno.EIO, "other")
    assert list(tmp_path.iterdir()) == []
