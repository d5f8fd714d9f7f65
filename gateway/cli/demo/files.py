"""Files to attach: a real PDF with Vietnamese text, a workbook, a drawing. Made here, so none is copied about."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

import fontpkg_noto_sans
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

_LONG_AGO = (2026, 1, 1, 0, 0, 0)


def a_pdf(title: str, paragraphs: Sequence[str], *, head: str, sum_line: str | None = None) -> bytes:
    """
    A page of an official document as PDF, its font embedded.

    :param sum_line: one more line, in Latin letters, that stands in the file's bytes as it is written here.
    """
    font = next(p for p in (fontpkg_noto_sans.ROOT / "files").iterdir() if p.name.startswith("NotoSans["))
    if "NotoSans" not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(TTFont("NotoSans", str(font)))
    body = ParagraphStyle("body", fontName="NotoSans", fontSize=12, leading=18, spaceAfter=8, firstLineIndent=24)
    centre = ParagraphStyle("centre", parent=body, alignment=1, firstLineIndent=0)
    heading = ParagraphStyle("heading", parent=centre, fontSize=14, leading=22)
    out = io.BytesIO()
    page = SimpleDocTemplate(
        out, pagesize=A4, title=title, author=head, invariant=1, pageCompression=int(sum_line is None)
    )
    plain = ParagraphStyle("plain", parent=body, fontName="Helvetica")
    page.build(
        [
            Paragraph(escape(head), centre),
            Paragraph("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM<br/>Độc lập - Tự do - Hạnh phúc", centre),
            Spacer(1, 24),
            Paragraph(escape(title), heading),
            *(Paragraph(escape(text), body) for text in paragraphs),
            *([Paragraph(escape(sum_line), plain)] if sum_line else []),
        ]
    )
    return out.getvalue()


def a_workbook(rows: Sequence[Sequence[str]]) -> bytes:
    """A small XLSX workbook with one sheet of texts."""
    cells = "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{escape(text)}</t></is></c>' for text in row) + "</row>"
        for row in rows
    )
    office = "http://schemas.openxmlformats.org"
    declared = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    return _zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{office}/package/2006/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
            f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{office}/package/2006/relationships"><Relationship Id="rId1" '
            f'Type="{office}/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/>'
            "</Relationships>",
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{office}/package/2006/relationships">'
            f'<Relationship Id="rId1" Type="{office}/officeDocument/2006/relationships/worksheet" '
            'Target="worksheets/sheet1.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{office}/spreadsheetml/2006/main" '
            f'xmlns:r="{office}/officeDocument/2006/relationships"><sheets>'
            '<sheet name="Phụ lục" sheetId="1" r:id="rId1"/></sheets></workbook>',
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{office}/spreadsheetml/2006/main">'
            f"<sheetData>{cells}</sheetData></worksheet>",
        },
        declared,
    )


def _zipped(parts: Mapping[str, str], declared: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), declared + text, zipfile.ZIP_DEFLATED)
    return out.getvalue()
