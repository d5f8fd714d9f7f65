"""300 PDFs changed at random (bar 8 of trust): no crash, no hang, and nothing altered is valid."""

from __future__ import annotations

import io
import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader

from gateway.model import FileStanding, FileVerdict
from gateway.signing.files import FileLimits, FileReason, Inspector
from tests.support import mutations, pdfs, pki

_COUNT = 300
_REVISED = 100
"""Of these: one more revision that is well-formed, and changes something."""
_SECONDS = 2.0
_GOOD = (FileStanding.VALID, FileStanding.VALID_WEAK, FileStanding.INDETERMINATE)
_WORDS = (
    b"endobj\n",
    b"stream\n",
    b"endstream\n",
    b"startxref\n0\n%%EOF\n",
    b"trailer<</Root 1 0 R>>\n",
    b"1 0 obj<</Type/Catalog/Pages 1 0 R>>endobj\n",
    b"/Kids[1 0 R 2 0 R]",
    b"/ByteRange [0 1 2 3]",
    b"/Contents <00>",
    b"/Annots[1 0 R]",
    b"/Length 99999999",
    b"/Filter[/FlateDecode/FlateDecode]",
    b"<<" * 400,
    b"[" * 2_000,
    b"\xff" * 50,
)
_PIECES = re.compile(rb"(?<!\d)\d{1,9} 0 obj.{0,4000}?endobj\s", re.DOTALL)


_EXEMPT = frozenset(
    {"/AcroForm", "/DSS", "/Metadata", "/Extensions", "/MarkInfo", "/Version", "/Annots", "/Parent", "/P"}
)
"""What later revisions may change, and the ways back up."""


def _originals() -> list[bytes]:
    """Signed once; twice; once and stamped by a receiver; and not signed."""
    return [pdfs.by_person(), pdfs.issued(), pdfs.updated(pdfs.by_person(), pdfs.annotation()), pdfs.plain()]


def _changed() -> Iterator[tuple[int, bytes]]:
    """Two thirds changed as bytes, most of them without moving anything; a third by one more revision."""
    originals = _originals()
    by_bytes = _COUNT - _REVISED
    yield from mutations.mutated(originals, count=by_bytes, seed=8, words=_WORDS, pieces=_PIECES, in_place=0.7)
    chance = random.Random(9)
    for number in range(_REVISED):
        index = number % 3
        yield index, pdfs.updated(originals[index], lambda writer: _revise(writer, chance))


def _revise(writer: IncrementalPdfFileWriter, chance: random.Random) -> None:
    """Write one object of the file anew, with something else in it."""
    held = sorted({ref.idnum for n in range(writer.prev.xrefs.total_revisions) for ref in _written_in(writer, n)})
    found = generic.NullObject()
    while not isinstance(found, generic.DictionaryObject | generic.ArrayObject):
        reference = generic.Reference(chance.choice(held), 0, writer)
        found = writer.get_object(reference)
    values: list[generic.PdfObject] = [
        generic.NullObject(),
        generic.NumberObject(chance.randrange(-5, 900)),
        generic.NameObject("/Page"),
        generic.ArrayObject([generic.NumberObject(n) for n in (0, 0, 300, 300)]),
        generic.IndirectObject(chance.choice(held), 0, writer),
        writer.add_object(generic.StreamObject(stream_data=b"0 0 500 500 re f")),
    ]
    if isinstance(found, generic.ArrayObject):
        found.insert(chance.randrange(len(found) + 1), chance.choice(values))
    elif isinstance(found, generic.StreamObject) and chance.random() < 0.5:
        found._data, found._encoded_data = b"BT /F1 30 Tf 72 500 Td (9.000.000) Tj ET", None
    else:
        extra = [pdf_name(n) for n in ("/AA", "/OpenAction", "/Annots", "/Contents", "/V", "/AP", "/Rect", "/Kids")]
        found[chance.choice([*found, *extra])] = chance.choice(values)
    writer.mark_update(reference)


def _written_in(writer: IncrementalPdfFileWriter, revision: int) -> set[generic.Reference]:
    found: set[generic.Reference] = writer.prev.xrefs.explicit_refs_in_revision(revision)
    return found


def _shown(content: bytes) -> object:
    """All of the document but its form, annotations and metadata, by a reader that forgives much."""
    reader = PdfFileReader(io.BytesIO(content), strict=False)
    return _whole(reader.root, 0)


def _whole(value: object, depth: int) -> object:
    found = value.get_object() if isinstance(value, generic.IndirectObject) else value
    if depth > 12:
        return None
    if isinstance(found, generic.DictionaryObject):
        entries = {key: _whole(found.raw_get(key), depth + 1) for key in found if key not in _EXEMPT}
        return (entries, found.data) if isinstance(found, generic.StreamObject) else entries
    return [_whole(v, depth + 1) for v in found] if isinstance(found, generic.ArrayObject) else found


@pytest.mark.slow
def test_three_hundred_changed_pdfs_crash_nobody_and_none_that_was_altered_is_valid(tmp_path: Path) -> None:
    shown = [_shown(content) for content in _originals()]
    path = tmp_path / "file"
    found: Counter[str] = Counter()
    with Inspector(FileLimits(files_per_reader=_COUNT + 1)) as inspector:
        path.write_bytes(pdfs.plain())
        _judge(inspector, path)  # the start of the reader is not what is measured
        first = inspector.process_id
        for number, (index, content) in enumerate(_changed()):
            path.write_bytes(content)
            began = _worked(inspector)
            verdict = _judge(inspector, path)
            assert inspector.process_id == first, f"PDF {number} ended its reader: {verdict.reason}"
            assert _worked(inspector) - began < _SECONDS, number
            found[verdict.reason] += 1
            # Each signature that stands, for a file with one that does not may have another that does.
            if any(s.standing in _GOOD for s in verdict.signatures):
                assert _shown(content) == shown[index], f"PDF {number} is altered, and a signature stands"
    # The changes reach the reader, the digests and the comparison of revisions, or the rest would prove little.
    reached = (FileReason.BROKEN, FileReason.DIGEST_MISMATCH, FileReason.ALTERED_AFTER, FileReason.SIGNATURE_BROKEN)
    for reason in reached:
        assert found[reason] >= _COUNT // 30, (reason, found)


def _worked(inspector: Inspector) -> float:
    """Seconds of computing that the reader has taken; others on the machine do not count."""
    numbers = Path(f"/proc/{inspector.process_id}/stat").read_text("ascii").rpartition(")")[2].split()
    return sum(map(int, numbers[11:13])) / os.sysconf("SC_CLK_TCK")


def _judge(inspector: Inspector, path: Path) -> FileVerdict:
    (verdict,) = inspector.inspect(
        path, content_id="c", name="n", registered=pdfs.registered(), anchors=pki.anchors(), at=pdfs.NOW
    )
    return verdict
