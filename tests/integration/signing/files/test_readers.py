"""
What PDF readers see differently is not valid.

Each file here was `valid` once, while PDFium, pdf.js, MuPDF or poppler showed another amount than was signed, or
something over it that the verdict did not tell of (docs/decisions/0041).
"""

from __future__ import annotations

import asyncio
import functools
import io
from collections.abc import Callable

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name, pdf_string
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers

from gateway.errors import FileNotSignable
from gateway.model import FileSignature, FileStanding, FileVerdict, SignerRole
from gateway.signing.files import FileReason
from gateway.signing.pdf_sign import PdfSignOptions
from tests.support import pdfs, pki
from tests.support.increments import FORGED, FORGED_TEXT, PAGE, TEXT, by_word, linearised, revised, stream, written

VALID, ALTERED, UNREADABLE = FileStanding.VALID, FileStanding.ALTERED, FileStanding.UNREADABLE
NOTHING = {60: b"<</Nothing true>>"}
"""A new object that nobody names."""
COVERING = b"1 g -2000 -2000 5000 5000 re f"


def judged(content: bytes) -> FileVerdict:
    (verdict,) = pdfs.judged(content)
    return verdict


def only(verdict: FileVerdict) -> FileSignature:
    (signature,) = verdict.signatures
    return signature


def signed(content: bytes) -> bytes:
    return pdfs.signed(content, pki.person())


def signed_elsewhere(content: bytes) -> bytes:
    """By a program that does not look at what it signs."""
    out = io.BytesIO()
    metadata = signers.PdfSignatureMetadata(
        field_name="S", md_algorithm="sha256", subfilter=fields.SigSeedSubFilter.PADES
    )
    writer = IncrementalPdfFileWriter(io.BytesIO(content), strict=False)
    asyncio.run(signers.async_sign_pdf(writer, metadata, pdfs.pyhanko_signer(pki.person()), output=out))
    return out.getvalue()


@functools.cache
def page() -> bytes:
    return signed(written(PAGE))


def split(number: int) -> bytes:
    """A number as Python reads it, and no reader of PDFs."""
    return b"%s_%s" % (str(number)[:1].encode(), str(number)[1:].encode())


@pytest.mark.parametrize(
    "end",
    [
        lambda at: b"startxref\n%d\n%%%%EOF startxref 15 %%%%EOF\n" % at,
        lambda at: b"startxref 15\nstartxref%d\n%%%%EOF\n" % at,
        lambda at: b"startxref\n%s\n%%%%EOF\n" % split(at),
        lambda at: b"startxref\n+%d\n%%%%EOF\n" % at,
        lambda at: b"startxrefs\n%d\n%%%%EOF\n" % at,
        lambda at: b"startxref\n%d\n%%%%EOF\n%%startxref 15\n%%%%EOF\n" % at,
    ],
    ids=["behind-the-end", "same-line", "underscore", "plus", "longer-word", "comment"],
)
def test_which_table_counts_is_said_in_one_way_only(end: Callable[[int], bytes]) -> None:
    verdict = judged(revised(page(), NOTHING, end=end))
    assert (verdict.standing, verdict.reason) == (UNREADABLE, FileReason.BROKEN)


def test_a_revision_by_hand_that_changes_nothing_is_read() -> None:
    verdict = judged(revised(page(), NOTHING))
    assert (verdict.standing, only(verdict).added_after) == (VALID, ())


@pytest.mark.parametrize(
    "content",
    [
        lambda: revised(page(), NOTHING, unlisted=FORGED),
        lambda: revised(page(), NOTHING, unlisted=b"(\n" + FORGED + b")\n"),
        lambda: revised(page(), {60: stream(FORGED)}),
        lambda: revised(page(), NOTHING, unlisted=FORGED.replace(b" obj", b" % \n obj")),
        lambda: revised(page(), NOTHING, header=b"%d 0 xyz\n"),
        lambda: revised(page(), NOTHING, header=b"+%d 0 obj\n"),
        lambda: revised(page(), NOTHING, header=b"%%\n%d 0 obj\n"),
        lambda: revised(page(), NOTHING, trailer=b">>\ntrailer\n<</Root 60 0 R"),
        lambda: revised(page(), NOTHING, table=lambda t: t.replace(b"xref\n", b"xrefs\n")),
        lambda: revised(page(), NOTHING, table=lambda t: t.replace(b" n \n", b" n\n")),
        lambda: revised(page(), NOTHING, table=lambda t: t.replace(b" n \n", b" n\r\n\n")),
        lambda: revised(page(), NOTHING, table=lambda t: t.replace(b"\n0000", b"\n000_")),
        lambda: revised(page(), NOTHING, table=lambda t: t.replace(b"/Root", b"/Boot")),
        lambda: revised(page(), {60: stream(b"data").replace(b"/Length 4", b"/Length 3")}),
        lambda: revised(page(), NOTHING, trailer=b"/XRefStm 100"),
        lambda: revised(page(), {60: b"<</Nothing true>x"}),
        lambda: revised(page(), {60: b"<</Nothing true % >>\n>>"}),
        lambda: revised(page(), {60: b"<</Nothing#00 true>>"}),
        lambda: revised(page(), NOTHING, trailer=b"/Nothing <4x>"),
        lambda: signed_elsewhere(written({**PAGE, 5: PAGE[5] + b"\nendobj\n" + FORGED.removesuffix(b"\nendobj\n")})),
    ],
    ids=[
        *("unlisted", "in-a-string", "in-a-stream", "before-a-comment", "another-word", "plus", "behind-a-comment"),
        *(
            "trailer",
            "longer-word",
            "short-lines",
            "long-lines",
            "underscore",
            "no-root",
            "length",
            "hybrid",
            *("end-of-dictionary", "comment", "name", "trailer-string", "when-signed"),
        ),
    ],
)
def test_what_only_a_searching_reader_finds_makes_a_file_unreadable(content: Callable[[], bytes]) -> None:
    verdict = judged(content())
    assert (verdict.standing, verdict.reason) == (UNREADABLE, FileReason.BROKEN)


def test_an_older_object_behind_a_newer_one_makes_a_file_unreadable() -> None:
    first = written(PAGE)
    row = b"4 1\n%010d 00000 n \n" % first.index(b"4 0 obj")
    # The newest table counts the first content again; who looks through the file counts the last.
    back = revised(revised(first, {4: stream(FORGED_TEXT)}), {}, table=lambda t: t.replace(b"0 0\n", row))
    verdict = judged(signed_elsewhere(back))
    assert (verdict.standing, verdict.reason) == (UNREADABLE, FileReason.BROKEN)
    with pytest.raises(FileNotSignable):
        signed(back)


BORROWED = {
    **PAGE,
    3: b"<</Type/Page/Parent 6 0 R/Contents 4 0 R>>",
    2: b"<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595 842]/Resources<</Font<</F1 5 0 R>>>>>>",
    6: b"<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595 842]/Resources<</Font<</F1 5 0 R>>>>>>",
}
"""A page that names as its parent what is not above it."""
TURNED = b"<</Type/Pages/Kids[3 0 R]/Count 1/Rotate 180/MediaBox[0 0 595 842]>>"


@pytest.mark.parametrize("name", ["Info", "MarkInfo", "Extensions"])
def test_what_a_page_takes_over_from_may_not_change_by_another_name(name: str) -> None:
    entry = b"/%s 6 0 R" % name.encode()
    trailer, root = (entry, b"") if name == "Info" else (b"", entry)
    before = signed(written({**BORROWED, 1: PAGE[1].replace(b">>", root + b">>")}, trailer=trailer))
    assert judged(before).standing is VALID
    verdict = judged(revised(before, {6: TURNED}, trailer=trailer))
    assert (verdict.standing, verdict.reason) == (ALTERED, FileReason.ALTERED_AFTER)


def test_what_a_page_takes_over_from_may_not_come_later() -> None:
    before = signed(written({**PAGE, 3: PAGE[3].replace(b"/Parent 2 0 R", b"/Parent 60 0 R")}))
    verdict = judged(revised(before, {60: TURNED}))
    assert (verdict.standing, verdict.reason) == (ALTERED, FileReason.ALTERED_AFTER)


def test_a_file_as_word_writes_it_is_read() -> None:
    # Word names objects for newer readers in a second table, which stands alone: all readers find them.
    person = signed(by_word())
    both = pdfs.signed(person, pki.agency_seal(), options=PdfSignOptions(role=SignerRole.AGENCY))
    for content, added in ((person, ()), (both, ("signature",)), (revised(person, NOTHING), ())):
        verdict = judged(content)
        assert (verdict.standing, verdict.signatures[0].added_after) == (VALID, added)


def test_two_tables_in_one_are_read_differently() -> None:
    # PDFium, MuPDF, poppler and pdf.js go by the first, in which the page is free.
    verdict = judged(signed_elsewhere(by_word(as_one=True)))
    assert (verdict.standing, verdict.reason) == (UNREADABLE, FileReason.BROKEN)


def test_a_file_may_not_become_a_linearised_one_by_what_is_added() -> None:
    # poppler and pdf.js show another page as soon as the file is as long as it says.
    length = len(revised(signed(linearised(0)), NOTHING))
    before = signed(linearised(length))
    assert judged(before).standing is VALID
    changed = revised(before, NOTHING)
    assert len(changed) == length
    verdict = judged(changed)
    assert (verdict.standing, verdict.reason) == (UNREADABLE, FileReason.BROKEN)


def test_what_a_linearised_file_begins_with_is_no_matter_while_it_is_longer() -> None:
    verdict = judged(revised(signed(linearised(100)), NOTHING))
    assert verdict.standing is VALID


def numbers(*values: float) -> generic.ArrayObject:
    return generic.ArrayObject([generic.FloatObject(v) for v in values])


def form(data: bytes = b"1 0 0 RG 2 2 136 76 re S", **entries: generic.PdfObject) -> generic.StreamObject:
    """An appearance; an entry that is null is left out."""
    made = {"BBox": numbers(0, 0, 140, 80), "Subtype": pdf_name("/Form"), **entries}
    kept = {pdf_name(f"/{k}"): v for k, v in made.items() if not isinstance(v, generic.NullObject)}
    return generic.StreamObject(kept, stream_data=data)


def nested(data: bytes) -> generic.StreamObject:
    within = generic.DictionaryObject({pdf_name("/X"): form(data)})
    return form(b"/X Do", Resources=generic.DictionaryObject({pdf_name("/XObject"): within}))


def stamp(looks: generic.StreamObject | None, **entries: generic.PdfObject) -> bytes:
    """The signed page with a stamp on its empty upper left; ``None``: without an appearance."""

    def write(writer: IncrementalPdfFileWriter) -> None:
        shown = generic.DictionaryObject()
        if looks is not None:
            for inner in looks.get("/Resources", {}).get("/XObject", {}):
                held = looks["/Resources"]["/XObject"]
                held[inner] = writer.add_object(held.raw_get(inner))
            shown[pdf_name("/N")] = writer.add_object(looks)
        pdfs.annotation(**{"AP": shown, **entries})(writer)

    return pdfs.updated(page(), write)


def test_a_stamp_with_forms_in_its_appearance_is_one() -> None:
    for content in (stamp(form(b"q 1 0 0 RG 2 2 136 76 re S Q")), stamp(nested(b"q 0 0 140 80 re f Q"))):
        assert (judged(content).standing, only(judged(content)).added_after) == (VALID, ("stamp",))


@pytest.mark.parametrize(
    "content",
    [
        lambda: stamp(form(COVERING, BBox=generic.NullObject())),
        lambda: stamp(form(COVERING, BBox=numbers(0, 0, 140))),
        lambda: stamp(form(COVERING, BBox=numbers(0, 0, 0.0005, 0.0005))),
        lambda: stamp(form(COVERING, Matrix=numbers(1, 1, 1, 1, 0, 0))),
        lambda: stamp(form(COVERING, Matrix=numbers(1, 0, 0))),
        lambda: stamp(form(b"Q Q Q " + COVERING)),
        lambda: stamp(form(b"\x0bq Q " + COVERING)),
        lambda: stamp(form(b"q Q Q " + COVERING + b" q")),
        lambda: stamp(form(b"BI /W 1 /H 1 /BPC 8 /CS /G ID x EI Q " + COVERING)),
        lambda: stamp(nested(b"Q Q Q " + COVERING)),
        lambda: stamp(None),
        lambda: stamp(
            None,
            Subtype=pdf_name("/FreeText"),
            DA=pdf_string("/Helv 80 Tf"),
            Contents=pdf_string("W" * 400),
            RD=numbers(-300, -300, -300, -300),
        ),
        lambda: stamp(form(COVERING), F=generic.NumberObject(4 | 8)),
        lambda: stamp(form(COVERING), Subtype=pdf_name("/Text"), F=generic.NumberObject(4 | 8)),
        lambda: stamp(form(BBox=numbers(0, 0, 500, 500)), Subtype=pdf_name("/Text"), Rect=numbers(60, 700, 80, 720)),
    ],
    ids=[
        *("no-box", "half-a-box", "little-box", "flat-matrix", "half-a-matrix", "restored-too-often", "vertical-tab"),
        *("restored-first", "inline-image", "nested", "made-by-the-reader", "text-made-by-the-reader", "growing-stamp"),
        *("growing-note", "note-as-large-as-it-likes"),
    ],
)
def test_what_a_reader_draws_beside_its_place_is_no_stamp(content: Callable[[], bytes]) -> None:
    verdict = judged(content())
    assert (verdict.standing, verdict.reason) == (ALTERED, FileReason.ALTERED_AFTER)


def note(*, opens: bool, window: tuple[float, float, float, float]) -> bytes:
    """The signed page with a note and its window."""

    def write(writer: IncrementalPdfFileWriter) -> None:
        pdfs.annotation((60, 700, 80, 720), Subtype=pdf_name("/Text"))(writer)
        page_ref = writer.find_page_for_modification(0)[0]
        ref = list(page_ref.get_object()["/Annots"])[-1]
        pdfs.annotation(window, Subtype=pdf_name("/Popup"), Parent=ref)(writer)
        popup = list(page_ref.get_object()["/Annots"])[-1]
        for one in (popup, ref):
            del one.get_object()["/AP"]
        popup.get_object()["/Open"] = generic.BooleanObject(opens)
        ref.get_object()["/Popup"] = popup

    return pdfs.updated(page(), write)


def test_the_window_of_a_note_may_open_beside_the_text_and_not_over_it() -> None:
    over, beside = (50, 300, 550, 650), (300, 650, 500, 800)
    assert judged(note(opens=False, window=over)).standing is VALID
    assert judged(note(opens=True, window=beside)).standing is VALID
    assert judged(note(opens=True, window=over)).standing is ALTERED


def field(**entries: generic.PdfObject) -> bytes:
    """The signed page with a field for a signature, which nobody signed."""

    def write(writer: IncrementalPdfFileWriter) -> None:
        shown = generic.DictionaryObject({pdf_name("/N"): writer.add_object(form(COVERING, BBox=generic.NullObject()))})
        made = {"Subtype": pdf_name("/Widget"), "FT": pdf_name("/Sig"), "T": pdf_string("Later"), "AP": shown}
        pdfs.annotation(**{**made, **entries})(writer)
        listed = writer.find_page_for_modification(0)[0].get_object()["/Annots"]
        widget = listed.raw_get(len(listed) - 1)
        del widget.get_object()["/Contents"]
        fields = writer.root["/AcroForm"]["/Fields"]
        fields.append(widget)
        writer.update_container(fields)

    return pdfs.updated(page(), write)


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({}, FileReason.COVERED_AFTER),
        ({"Rect": numbers(60, 700, 200, 780, 0)}, FileReason.COVERED_AFTER),
        ({"Rect": numbers(60, 700, 60, 700)}, FileReason.COVERED_AFTER),
        ({"Subtype": pdf_name("/Link"), "Dest": pdf_name("/Elsewhere")}, FileReason.ALTERED_AFTER),
        ({"Subtype": pdf_name("/Watermark")}, FileReason.ALTERED_AFTER),
    ],
    ids=["no-box", "five-numbers", "no-size", "link", "watermark"],
)
def test_a_field_for_a_signature_is_drawn_where_it_says(
    entries: dict[str, generic.PdfObject], reason: FileReason
) -> None:
    verdict = judged(field(**entries))
    assert (verdict.standing, verdict.reason) == (ALTERED, reason)


def test_a_field_whose_name_is_no_text_makes_a_file_unreadable() -> None:
    # Its reader crashed: found by changing files at random.
    again = page().replace(b"/T (", b"/X (", 1).replace(b"/FT /Sig", b"/FT /Sig\n/T <<>>", 1)
    verdict = judged(again)
    assert (verdict.standing, verdict.reason) == (UNREADABLE, FileReason.BROKEN)


def test_a_file_full_of_words_that_are_looked_for_is_read_once() -> None:
    # Not in the square of its length, which would be a day; the suite's own bound ends that.
    words = b"trailer %" * 300_000 + b"1 0 " * 300_000 + b"9" * 1_000_000
    assert judged(signed(written({**PAGE, 6: stream(words)}))).standing is VALID


def test_the_content_of_these_pages_is_what_is_signed() -> None:
    # Or the tests above would prove nothing of it.
    assert TEXT in page()
    assert only(judged(page())).role is SignerRole.PERSON
    again = pdfs.signed(page(), pki.agency_seal(), options=PdfSignOptions(role=SignerRole.AGENCY))
    assert judged(again).standing is VALID
