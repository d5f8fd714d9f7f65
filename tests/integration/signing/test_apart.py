"""PDFs are prepared in a process that can be ended: what becomes of it is a refusal of the file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from gateway.errors import FileNotSignable, PersonSignatureMissing, SigningBusy, StorageFull
from gateway.model import SignerRole
from gateway.signing.apart import Bounds, PreparedApart
from gateway.signing.pdf_sign import PdfSignOptions
from gateway.signing.prepare import Prepared, complete_pdf, prepare_pdf
from tests.support import pdfs, pki


def prepare(
    apart: PreparedApart,
    folder: Path,
    content: bytes,
    role: SignerRole = SignerRole.PERSON,
    image: bytes | None = None,
) -> Prepared:
    (folder / "source").write_bytes(content)
    return apart.prepare(
        folder / "source",
        folder / "prepared",
        certificate=pki.person().certificate,
        chain=pki.person().chain,
        options=PdfSignOptions(role=role, image=image),
        at=pki.NOW,
    )


def test_what_is_prepared_apart_can_be_completed_here(tmp_path: Path) -> None:
    prepared = prepare(PreparedApart(), tmp_path, pdfs.plain())
    signature = pki.person().sign(prepared.to_be_signed)
    complete_pdf(prepared, signature, prepared_file=tmp_path / "prepared", out=tmp_path / "signed")
    [verdict] = pdfs.judged((tmp_path / "signed").read_bytes())
    assert verdict.has_person


def test_an_error_comes_out_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(PersonSignatureMissing):
        prepare(PreparedApart(), tmp_path, pdfs.plain(), SignerRole.AGENCY)


def of_many_objects(count: int) -> bytes:
    """One page that refers to so many dictionaries, each of which must be read: seconds of work."""
    referred = b" ".join(b"%d 0 R" % number for number in range(4, 4 + count))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/PieceInfo[" + referred + b"]>>",
        *(b"<</A %d/B[1 2 3]>>" % number for number in range(count)),
    ]
    return pdf_of(objects)


def pdf_of(objects: Sequence[bytes]) -> bytes:
    """A PDF with a plain table; the first object is the catalogue."""
    content, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, value in enumerate(objects, 1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%b\nendobj\n" % (number, value)
    table, size = len(content), len(objects) + 1
    content += b"xref\n0 %d\n0000000000 65535 f \n" % size + b"".join(b"%010d 00000 n \n" % o for o in offsets)
    return bytes(content) + b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, table)


def test_a_file_whose_preparation_takes_too_much_computing_is_refused(tmp_path: Path) -> None:
    bounds = Bounds(time=timedelta(seconds=1), patience=timedelta(minutes=4))
    with pytest.raises(FileNotSignable, match="too long"):
        prepare(PreparedApart(bounds), tmp_path, of_many_objects(200_000))


def test_a_machine_that_has_no_time_is_not_the_file_s_fault(tmp_path: Path) -> None:
    with pytest.raises(SigningBusy):
        prepare(PreparedApart(Bounds(patience=timedelta(microseconds=1))), tmp_path, pdfs.plain())


def test_a_file_that_takes_too_much_memory_is_refused(tmp_path: Path) -> None:
    image = io.BytesIO()
    Image.new("RGBA", (2000, 2000)).save(image, "PNG")
    # Less than the libraries have already: what the image unpacks to is too much.
    with pytest.raises(FileNotSignable, match=r"memory|died"):
        prepare(PreparedApart(Bounds(memory_bytes=2**20)), tmp_path, pdfs.plain(), image=image.getvalue())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_is_not_the_file_s_fault(tmp_path: Path) -> None:
    (tmp_path / "prepared").symlink_to("/dev/full")
    with pytest.raises(StorageFull):
        prepare(PreparedApart(), tmp_path, pdfs.plain())


def test_when_all_places_are_taken_for_too_long_the_next_is_told_to_come_again(tmp_path: Path) -> None:
    with pytest.raises(SigningBusy):
        prepare(PreparedApart(Bounds(time=timedelta(microseconds=1), at_once=0)), tmp_path, pdfs.plain())


def test_the_process_apart_is_the_same_as_preparing_here(tmp_path: Path) -> None:
    apart = prepare(PreparedApart(), tmp_path, pdfs.plain())
    here = prepare_pdf(
        tmp_path / "source",
        tmp_path / "here",
        certificate=pki.person().certificate,
        chain=pki.person().chain,
        options=PdfSignOptions(role=SignerRole.PERSON),
        at=pki.NOW,
    )
    assert (apart.kind, apart.chain, apart.signature_algorithm) == (here.kind, here.chain, here.signature_algorithm)
    assert (tmp_path / "prepared").stat().st_size == (tmp_path / "here").stat().st_size
