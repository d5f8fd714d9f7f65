"""An evidence container has one form; every other byte of it is refused, and the part is named."""

from __future__ import annotations

import io
import random
import zipfile
import zlib

import pytest

from gateway.errors import EvidenceAltered, EvidenceTooLarge
from gateway.evidence import container
from gateway.evidence.container import ContainerReader, ContainerWriter, manifest_of

PARTS = {"package.edxml": b"<edXML/>" * 40, "page.vi.html": b"<html></html>", "log/0001.json": b"{}", "empty.json": b""}


def a_container(parts: dict[str, bytes] | None = None) -> bytes:
    out = io.BytesIO()
    writer = ContainerWriter(out)
    for name, content in (PARTS if parts is None else parts).items():
        writer.add(name, [content])
    writer.close()
    return out.getvalue()


GOOD = a_container()


def read_whole(raw: bytes) -> dict[str, bytes]:
    reader = ContainerReader(io.BytesIO(raw))
    return {name: reader.read(name, limit=10_000) for name in reader.entries}


def test_what_was_written_is_read_and_begins_as_asic_wants() -> None:
    assert read_whole(GOOD) == {"mimetype": container.MEDIA_TYPE.encode(), **PARTS}
    assert GOOD[30:38] == b"mimetype"
    assert GOOD[38 : 38 + len(container.MEDIA_TYPE)] == container.MEDIA_TYPE.encode()


def test_other_programs_read_it() -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
        assert archive.testzip() is None
        assert {i.filename: archive.read(i) for i in archive.infolist()} == read_whole(GOOD)
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_STORED}


def test_every_bit_of_every_byte_counts() -> None:
    drawn = random.Random(7)
    for at in range(len(GOOD)):
        changed = bytearray(GOOD)
        changed[at] ^= 1 << drawn.randrange(8)
        with pytest.raises(EvidenceAltered) as seen:
            read_whole(bytes(changed))
        assert seen.value.part in {"zip", "mimetype", *PARTS}, at


@pytest.mark.parametrize("name", PARTS)
def test_a_changed_part_is_named(name: str) -> None:
    if not PARTS[name]:
        return
    at = GOOD.index(PARTS[name])
    with pytest.raises(EvidenceAltered) as seen:
        read_whole(GOOD[:at] + b"!" + GOOD[at + 1 :])
    assert seen.value.part == name


def _zipped(*parts: tuple[str, bytes], comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), container.MEDIA_TYPE)
        for name, content in parts:
            archive.writestr(zipfile.ZipInfo(name), content)
        archive.comment = comment
    return out.getvalue()


def _twice() -> bytes:
    out = io.BytesIO()
    writer = ContainerWriter(out)
    writer.add("a.json", [b"1"])
    writer.digests.clear()
    writer.add("a.json", [b"2"])
    writer.close()
    return out.getvalue()


def _hidden() -> bytes:
    """A part that the directory does not name."""
    entries = [e for e in ContainerReader(io.BytesIO(GOOD)).entries.values() if e.name != "page.vi.html"]
    end = GOOD.index(b"PK\x01\x02")
    return GOOD[:end] + container._directory(entries, end)


TRICKS = {
    "another program's form": _zipped(("a.json", b"{}")),
    "comment": _zipped(("a.json", b"{}"), comment=b"hi"),
    "two of a name": _twice(),
    "not in the directory": _hidden(),
    "bytes before": b"#!/bin/sh\n" + GOOD,
    "bytes after": GOOD + b"\0",
    "another zip after": GOOD + GOOD,
    "cut": GOOD[:-1],
    "half": GOOD[: len(GOOD) // 2],
    "empty": b"",
    "no parts": a_container({})[: -22 - 54],
    "zip64 size": GOOD.replace(
        container._local(ContainerReader(io.BytesIO(GOOD)).entries["package.edxml"]),
        container._local(
            container.Entry(name="package.edxml", size=0xFFFFFFFF, crc=zlib.crc32(PARTS["package.edxml"]), start=0)
        ),
    ),
    "directory of nothing": container._directory([], 0),
}


@pytest.mark.parametrize("raw", TRICKS.values(), ids=TRICKS)
def test_zip_tricks_are_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceAltered):
        read_whole(raw)


@pytest.mark.parametrize(
    "name", ["../a", "/a", "a/../b", "a//b", "a\\b", "", ".a", "a/.b", "C:a", "a b", "văn.bản", "a/b/c/d", "a" * 121]
)
def test_names_that_could_lead_elsewhere_cannot_be_written_nor_read(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a part"):
        ContainerWriter(io.BytesIO()).add(name, [b""])
    with pytest.raises(EvidenceAltered):
        read_whole(_zipped((name or "-", b"")))


def test_a_container_holds_a_bounded_number_of_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "ENTRIES_MAX", 3)
    writer = ContainerWriter(io.BytesIO())
    writer.add("a", [])
    writer.add("b", [])
    with pytest.raises(EvidenceTooLarge):
        writer.add("c", [])
    with pytest.raises(EvidenceAltered):
        read_whole(GOOD)


def test_a_container_never_grows_beyond_what_its_sizes_can_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "BYTES_MAX", 1000)
    with pytest.raises(EvidenceTooLarge):
        ContainerWriter(io.BytesIO()).add("a", (bytes(100) for _ in range(20)))
    monkeypatch.setattr(container, "BYTES_MAX", 100)
    with pytest.raises(EvidenceAltered):
        read_whole(GOOD)


def test_a_part_larger_than_expected_is_not_read_into_memory() -> None:
    with pytest.raises(EvidenceAltered):
        ContainerReader(io.BytesIO(GOOD)).read("package.edxml", limit=10)


def test_the_manifest_names_every_part_with_its_type() -> None:
    manifest = manifest_of(["package.edxml", "seal.xml", "page.pdf"]).decode()
    assert 'manifest:full-path="/" manifest:media-type="application/vnd.etsi.asic-e+zip"' in manifest
    assert 'manifest:full-path="page.pdf" manifest:media-type="application/pdf"' in manifest
    assert 'manifest:full-path="package.edxml" manifest:media-type="application/xml"' in manifest
