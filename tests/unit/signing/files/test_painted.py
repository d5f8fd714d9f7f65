"""Where a page shows something: places of text and pictures, by hand; what cannot be laid out is everywhere."""

from __future__ import annotations

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name

from gateway.signing.files.painted import Painted, Rectangle, painted

FONT = generic.DictionaryObject(
    {
        pdf_name("/Subtype"): pdf_name("/TrueType"),
        pdf_name("/FirstChar"): generic.NumberObject(65),
        pdf_name("/Widths"): generic.ArrayObject([generic.NumberObject(n) for n in (500, 1000)]),
    }
)
WIDE = generic.DictionaryObject(
    {
        pdf_name("/Subtype"): pdf_name("/Type0"),
        pdf_name("/DescendantFonts"): generic.ArrayObject(
            [
                generic.DictionaryObject(
                    {
                        pdf_name("/DW"): generic.NumberObject(2000),
                        pdf_name("/W"): generic.ArrayObject(
                            [
                                generic.NumberObject(1),
                                generic.ArrayObject([generic.NumberObject(250)]),
                                generic.NumberObject(5),
                                generic.NumberObject(6),
                                generic.NumberObject(750),
                            ]
                        ),
                    }
                )
            ]
        ),
    }
)


def page(content: bytes, **objects: generic.PdfObject) -> generic.DictionaryObject:
    fonts = generic.DictionaryObject({pdf_name("/F1"): FONT, pdf_name("/F2"): WIDE})
    resources = {
        pdf_name("/Font"): fonts,
        pdf_name("/XObject"): generic.DictionaryObject({pdf_name(f"/{k}"): v for k, v in objects.items()}),
    }
    return generic.DictionaryObject(
        {
            pdf_name("/Resources"): generic.DictionaryObject(resources),
            pdf_name("/Contents"): generic.StreamObject(stream_data=content),
        }
    )


def areas(content: bytes, **objects: generic.PdfObject) -> list[tuple[float, float, float, float]]:
    found = painted(page(content, **objects)).areas
    assert found is not None
    return [(round(a.left, 2), round(a.bottom, 2), round(a.right, 2), round(a.top, 2)) for a in found]


def test_text_is_as_wide_as_its_font_says() -> None:
    assert areas(b"BT /F1 10 Tf 100 200 Td (AB) Tj ET") == [(100, 198, 115, 208.5)]
    assert areas(b"BT /F2 10 Tf 100 200 Td <000100050009> Tj ET") == [(100, 198, 130, 208.5)]


@pytest.mark.parametrize(
    "content",
    [
        b"BT /F1 10 Tf 1 0 0 1 100 200 Tm (AB) Tj ET",
        b"1 0 0 1 100 200 cm BT /F1 10 Tf (AB) Tj ET",
        b"q 1 0 0 1 9 9 cm Q 1 0 0 1 100 200 cm BT /F1 10 Tf [(A) 0 (B)] TJ ET",
        b"BT /F1 10 Tf 12 TL 100 212 Td (AB) ' ET",
        b"BT /F1 10 Tf 100 212 TD 0 -12 TD <4142> Tj ET",
        b"BT /F1 5 Tf 2 0 0 2 100 200 Tm (\\101\\102) Tj ET % a comment (with) things",
        b"/Span <</ActualText (x)>> BDC BT /F1 10 Tf 100 200 Td (AB) Tj ET EMC",
    ],
)
def test_the_same_place_is_reached_in_many_ways(content: bytes) -> None:
    left, bottom, right, top = zip(*areas(content), strict=True)
    assert (min(left), min(bottom), max(right), max(top)) == (100, 198, 115, 208.5)


def test_spacing_and_stretching_count() -> None:
    assert areas(b"BT /F1 10 Tf 2 Tc 50 Tz 0 0 Td (AB) Tj ET") == [(0, -2, 9.5, 8.5)]


def test_blanks_lines_and_rectangles_are_not_painted() -> None:
    assert areas(b"BT /F1 10 Tf ( ) Tj /F2 10 Tf <0003> Tj ET 0 0 500 500 re f 10 10 m 90 90 l S") == []


@pytest.mark.parametrize(
    "outline",
    [
        b"10 20 m 30 20 30 40 10 40 c h f",
        b"10 20 m 30 20 l 30 22 l 12 22 l 12 40 l 10 40 l h f",  # L
        b"10 40 m 30 40 l 20 20 l 18 20 l 28 38 l 10 38 l h f*",  # 7
    ],
)
def test_outlines_of_letters_are_painted(outline: bytes) -> None:
    assert areas(outline) == [(10, 20, 30, 40)]


def test_letters_of_one_path_are_painted_one_by_one_and_bars_of_tables_not() -> None:
    bar = b"0 0 m 500 0 l 500 1 l 0 1 l 0 0 l "
    assert areas(bar + b"10 20 m 30 20 30 40 10 40 c 50 20 m 70 40 l 50 40 l f") == [(10, 20, 30, 40), (50, 20, 70, 40)]


def test_what_is_filled_with_a_drawing_is_painted_everywhere() -> None:
    def filled(kind: int) -> Painted:
        tile = generic.DictionaryObject({pdf_name("/PatternType"): generic.NumberObject(kind)})
        made = page(b"/Pattern cs /P scn 0 0 600 800 re f")
        made["/Resources"][pdf_name("/Pattern")] = generic.DictionaryObject({pdf_name("/P"): tile})
        return painted(made)

    assert filled(1).areas is None
    assert filled(2).areas == []  # a transition between colours


def test_pictures_are_painted_where_they_are_placed() -> None:
    picture = generic.StreamObject({pdf_name("/Subtype"): pdf_name("/Image")}, stream_data=b"")
    assert areas(b"q 50 0 0 20 100 200 cm /Im Do Q", Im=picture) == [(100, 200, 150, 220)]
    assert areas(b"q 50 0 0 20 100 200 cm BI /W 1 /H 1 ID (((\nEI Q") == [(100, 200, 150, 220)]


def test_forms_are_laid_out_where_they_are_placed() -> None:
    matrix = generic.ArrayObject([generic.NumberObject(n) for n in (1, 0, 0, 1, 100, 0)])
    form = generic.StreamObject(
        {pdf_name("/Subtype"): pdf_name("/Form"), pdf_name("/Matrix"): matrix},
        stream_data=b"BT /F1 10 Tf (AB) Tj ET",
    )
    assert areas(b"1 0 0 1 0 200 cm /Fm Do", Fm=form) == [(100, 198, 115, 208.5)]


def test_a_form_that_draws_itself_is_painted_everywhere() -> None:
    form = generic.StreamObject({pdf_name("/Subtype"): pdf_name("/Form")}, stream_data=b"/Fm Do")
    assert painted(page(b"/Fm Do", Fm=form)).areas is None


@pytest.mark.parametrize(
    "content", [b"BT (AB", b"BT /F1 Tf (A) Tj", b"x " * 1_000_001, b"q " * 100, b"1 " * 5_000 + b"m"], ids=len
)
def test_what_cannot_be_laid_out_is_painted_everywhere(content: bytes) -> None:
    assert painted(page(content)).areas is None


def test_an_area_without_extent_lies_over_nothing() -> None:
    everywhere = Painted(None)
    assert everywhere.meets(Rectangle(left=0, bottom=0, right=1, top=1))
    assert not everywhere.meets(Rectangle(left=0, bottom=0, right=0, top=0))
    assert not everywhere.meets(None)
