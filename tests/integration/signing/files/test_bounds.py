"""Small PDFs that would be read for years: work is counted, and a file that asks for too much of it is unreadable."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest
from pyhanko.pdf_utils.reader import PdfFileReader

from gateway.errors import FileNotSignable
from gateway.model import FileStanding, FileVerdict
from gateway.signing.files import FileReason
from gateway.signing.files.usages import CountedReader
from tests.support import pdfs, pki
from tests.support.increments import PAGE, revised, stream, written

STAMP = b"<</Type/Annot/Subtype/Stamp/Rect[400 700 450 750]/F 4/AP<</N 9001 0 R>>>>"
LOOKS = stream(b"0 0 10 10 re S", b"/Type/XObject/Subtype/Form/BBox[0 0 10 10]")


def judged(content: bytes) -> FileVerdict:
    (verdict,) = pdfs.judged(content)
    return verdict


def with_page(entries: bytes, objects: Mapping[int, bytes]) -> bytes:
    """A PDF whose page has these entries too."""
    return written({**PAGE, 3: PAGE[3].replace(b"/MediaBox", entries + b"/MediaBox"), **objects})


def stamped(pdf: bytes, *, looks: bytes = LOOKS) -> bytes:
    """The same, signed, and with a stamp that somebody added."""
    signed = pdfs.signed(pdf, pki.person())
    page = signed[signed.rindex(b"\n3 0 obj") :].split(b"endobj")[0].partition(b"obj")[2].strip()
    before, between, annotations = page.partition(b"/Annots [")
    assert between
    return revised(signed, {3: before + between + b"9000 0 R " + annotations, 9000: STAMP, 9001: looks})


def doubled(levels: int, node: bytes, end: bytes) -> dict[int, bytes]:
    """Objects from 10 on, each of which names the next one twice."""
    return {n: node.replace(b"NEXT", b"%d 0 R" % (n + 1)) for n in range(10, 10 + levels)} | {10 + levels: end}


def tagged(pages: int, lines: int) -> bytes:
    """A PDF with a structure tree as programs write it: elements name their pages, and a table names the elements."""
    objects: dict[int, bytes] = {5: PAGE[5], 4: PAGE[4]}
    kids, sections, table = [], [], []
    for page in range(pages):
        at = 20 + page * (lines + 3)
        elements = [b"%d 0 R" % n for n in range(at + 3, at + 3 + lines)]
        objects[at] = PAGE[3].replace(b"/MediaBox", b"/StructParents %d/MediaBox" % page)
        objects[at + 1] = b"<</Type/StructElem/S/Sect/P 8 0 R/K[%s]>>" % b" ".join(elements)
        objects[at + 2] = b"[%s]" % b" ".join(elements)
        for line in range(lines):
            objects[at + 3 + line] = b"<</Type/StructElem/S/P/P %d 0 R/Pg %d 0 R/K %d>>" % (at + 1, at, line)
        kids.append(b"%d 0 R" % at)
        sections.append(b"%d 0 R" % (at + 1))
        table.append(b"%d %d 0 R" % (page, at + 2))
    objects[1] = b"<</Type/Catalog/Pages 2 0 R/StructTreeRoot 7 0 R/MarkInfo<</Marked true>>>>"
    objects[2] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (pages, b" ".join(kids))
    objects[7] = b"<</Type/StructTreeRoot/K 8 0 R/ParentTree<</Nums[%s]>>>>" % b" ".join(table)
    objects[8] = b"<</Type/StructElem/S/Document/P 7 0 R/K[%s]>>" % b" ".join(sections)
    return written(dict(sorted(objects.items())))


DIAMONDS = {
    "lists": with_page(b"/Z 10 0 R", doubled(30, b"[NEXT NEXT]", b"null")),
    "in the structure": written(
        {
            **PAGE,
            1: b"<</Type/Catalog/Pages 2 0 R/StructTreeRoot 7 0 R>>",
            7: b"<</Type/StructTreeRoot/K 10 0 R>>",
            **doubled(30, b"[NEXT NEXT]", b"<<>>"),
        }
    ),
    "everything names everything": with_page(
        b"/Z 10 0 R", {n: b"[%s]" % b" ".join(b"%d 0 R" % m for m in range(10, 40)) for n in range(10, 40)}
    ),
}


@pytest.mark.parametrize("content", DIAMONDS.values(), ids=DIAMONDS.keys())
def test_more_paths_than_can_be_compared_make_a_file_unreadable(content: bytes) -> None:
    verdict = judged(stamped(content))
    assert (verdict.standing, verdict.reason) == (FileStanding.UNREADABLE, FileReason.TOO_LARGE)


def test_fields_with_more_names_than_can_be_listed_are_not_read_and_not_signed() -> None:
    """Each field hangs under both fields of the level above it: 2³⁰ names."""
    fields = {n: b"<</FT/Tx/T(f%d)/Kids[%d 0 R %d 0 R]>>" % (n, n // 2 * 2 + 2, n // 2 * 2 + 3) for n in range(10, 70)}
    ends = {n: b"<</FT/Tx/T(f%d)>>" % n for n in (70, 71)}
    root = b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[10 0 R 11 0 R]>>>>"
    content = written({**PAGE, 1: root, **fields, **ends})
    verdict = judged(content)
    assert (verdict.standing, verdict.reason) == (FileStanding.UNREADABLE, FileReason.TOO_LARGE)
    with pytest.raises(FileNotSignable):
        pdfs.signed(content, pki.person())


def test_a_long_chain_of_bookmarks_is_compared_as_any_other_file() -> None:
    """Each names the next: pyHanko's own listing goes as deep as the chain is long, and fails there."""
    marks = {n: b"<</Title(x)/Parent 9 0 R/Next %d 0 R>>" % (n + 1) for n in range(10, 1_200)}
    first = b"<</Type/Catalog/Pages 2 0 R/Outlines 9 0 R>>"
    content = written({**PAGE, 1: first, 9: b"<</First 10 0 R>>", **marks, 1_200: b"<</Title(x)/Parent 9 0 R>>"})
    verdict = judged(stamped(content))
    assert verdict.standing is FileStanding.VALID
    assert verdict.signatures[0].added_after == ("stamp",)


@pytest.mark.parametrize(
    "content",
    [
        pdfs.issued(),
        pdfs.signed(tagged(3, 4), pki.person()),
        with_page(b"/Z 10 0 R", doubled(5, b"[NEXT NEXT]", b"null")),
        with_page(b"/Z 10 0 R", dict.fromkeys((10, 11, 12), b"[10 0 R 11 0 R<</A[12 0 R]/P 2 0 R>>3 0 R]")),
    ],
    ids=["signed twice", "tagged", "diamonds", "circles"],
)
def test_objects_are_reached_by_the_paths_that_pyhanko_lists(content: bytes) -> None:
    """Its rules of what may be changed go by them."""
    own, counted = PdfFileReader(io.BytesIO(content)), CountedReader(io.BytesIO(content))
    for revision in range(own.xrefs.total_revisions):
        theirs, ours = own.get_historical_resolver(revision), counted.get_historical_resolver(revision)
        theirs._load_reverse_xref_cache()
        ours._load_reverse_xref_cache()
        listed = theirs._indirect_object_access_cache
        assert listed
        assert {ref: ours._get_usages_of_ref(ref) for ref in listed} == listed


def test_a_large_tagged_file_takes_a_small_share_of_the_steps() -> None:
    content = tagged(20, 20)
    reader = CountedReader(io.BytesIO(content))
    allowed = reader.steps.left
    reader.get_historical_resolver(0)._load_reverse_xref_cache()
    assert 0 < allowed - reader.steps.left < allowed / 10
    assert judged(signed_by_both(content)).standing is FileStanding.VALID


def signed_by_both(pdf: bytes) -> bytes:
    """Signed twice: what the second signer added is compared with what the first one signed."""
    return pdfs.signed(pdfs.signed(pdf, pki.person()), pki.agency_seal())


FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 1 1]"
NAMES_FONT = FORM + b"/Resources<</Font<</F 11 0 R>>>>"
WIDE = b"<</Type/Font/Subtype/TrueType/FirstChar 0/Widths[%s]>>" % (b"500 " * 20_000)


@pytest.mark.parametrize(
    ("drawn", "objects"),
    [
        (200, {10: stream(b" " * 200_000, FORM)}),
        (300, {10: stream(b"1 " * 4_000, FORM)}),
        (300, {10: stream(b"[%s]0 d" % (b"1 " * 4_000), FORM)}),
        (100, {10: stream(b"/F 1 Tf", NAMES_FONT), 11: WIDE}),
    ],
    ids=["white space", "numbers", "lists", "a font"],
)
def test_a_page_that_is_too_much_work_to_lay_out_takes_no_stamp(drawn: int, objects: Mapping[int, bytes]) -> None:
    """Little is drawn, over and over: what the page shows is not known then, so nothing may be put over it."""
    page = PAGE[3].replace(b"/Font<<", b"/XObject<</X 10 0 R>>/Font<<")
    few, many = (
        judged(stamped(written({**PAGE, 3: page, 4: stream(b"/X Do " * times), **objects}))) for times in (3, drawn)
    )
    assert (few.standing, few.signatures[0].added_after) == (FileStanding.VALID, ("stamp",))
    assert (many.standing, many.reason) == (FileStanding.ALTERED, FileReason.ALTERED_AFTER)


def test_a_font_that_tells_each_width_over_and_over_cannot_be_laid_out() -> None:
    widths = b"0 65535 500 " * 3
    font = b"<</Type/Font/Subtype/Type0/DescendantFonts[<</Type/Font/Subtype/CIDFontType2/W[%s]>>]>>"
    told = judged(stamped(written({**PAGE, 5: font % widths[:12]})))
    assert told.standing is FileStanding.VALID
    assert judged(stamped(written({**PAGE, 5: font % widths}))).standing is FileStanding.ALTERED


def test_an_appearance_that_is_too_much_work_to_read_is_no_stamp() -> None:
    looks = b"0 0 10 10 re S " + b"[%s] 0 d " % (b"1 " * 4_000)
    few, many = (stream(looks * times, b"/Type/XObject/Subtype/Form/BBox[0 0 10 10]") for times in (3, 150))
    assert judged(stamped(written(PAGE), looks=few)).standing is FileStanding.VALID
    assert judged(stamped(written(PAGE), looks=many)).standing is FileStanding.ALTERED
