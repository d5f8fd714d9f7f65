"""
The page of an evidence file, for people: what was sent, who signed, who had it when, and what proves that.

HTML that stands alone (no script, nothing fetched, printable) and PDF with its fonts, each in Vietnamese and English,
made from what ``evidence.json`` says. The page proves nothing by itself and says so; it tells how to check.
"""

from __future__ import annotations

import functools
import io
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from html import escape
from itertools import islice
from typing import Any, Final, NamedTuple

import fontpkg_noto_sans
import reportlab
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

from gateway import __version__
from gateway.evidence.points import Language, Words
from gateway.model import VIETNAM_TIME, BusinessType

LANGUAGES: Final[tuple[Language, ...]] = ("vi", "en")

ROWS_MAX: Final = 500
"""Rows of one table on the page; all of them are in ``evidence.json``."""

CELL_MAX: Final = 1_000
"""Characters of one text on the page; strangers wrote some, and laying out a long one takes seconds."""

TABLE_CELL_MAX: Final = 200
"""Characters of one cell of a table: there may be hundreds of rows, and ``evidence.json`` has the whole text."""

SHOWN_MAX: Final = 300_000
"""Characters on a page that is made anew to be compared; laying out more takes minutes."""

MADE_WITH: Final = f"{__version__}, reportlab {reportlab.__version__}"
"""The same page is made of the same facts by the same versions alone."""

_FONT = "EvidenceSans"


class _Text(NamedTuple):
    vi: str
    en: str

    def say(self, language: Language) -> str:
        return self.vi if language == "vi" else self.en


@dataclass(frozen=True, kw_only=True)
class Section:
    """One heading with what stands below it; all texts plain, to be escaped where they are shown."""

    title: str
    note: str | None = None
    columns: tuple[str, ...] = ()
    """Headings of a table; empty: each row is a label and what it is."""
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0
    """Rows beyond ``ROWS_MAX``."""


def shown(facts: Mapping[str, Any], language: Language, words: Words) -> int:
    """How many characters a page shows."""
    return sum(len(cell) for section in sections(facts, language, words) for row in section.rows for cell in row)


def as_html(facts: Mapping[str, Any], language: Language, words: Words) -> bytes:
    """The page as HTML that needs nothing else."""
    title = _title(facts, language)
    body = "".join(_html_section(s, language) for s in sections(facts, language, words))
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>\n"
    ).encode()


def as_pdf(facts: Mapping[str, Any], language: Language, words: Words) -> bytes:
    """The same page as PDF, its fonts inside."""
    _register_font()
    out = io.BytesIO()
    title = _title(facts, language)
    page = SimpleDocTemplate(
        out,
        pagesize=A4,
        title=title,
        author=str(facts["gateway"]["name"]),
        lang=language,
        invariant=1,
        leftMargin=18 * mm,
        rightMargin=18 * mm,
        topMargin=16 * mm,
        bottomMargin=16 * mm,
    )
    flow: list[Flowable] = [Paragraph(_marked(title), _styles()["title"])]
    for section in sections(facts, language, words):
        flow += _pdf_section(section, language)
    page.build(flow)
    return out.getvalue()


def sections(facts: Mapping[str, Any], language: Language, words: Words) -> list[Section]:
    """What the page says, in order."""

    def say(vi: str, en: str) -> str:
        return vi if language == "vi" else en

    document, verdict = facts["document"], facts["verdict"]
    recipients = {d["id"]: d["recipient_name"] or d["recipient"] for d in facts["deliveries"]}
    return [
        Section(title=say("Cách đọc trang này", "How to read this page"), note=_HOW.say(language), rows=()),
        _section(
            say("Văn bản", "Document"),
            [
                (say("Số, ký hiệu", "Number"), document["number"]),
                (say("Ngày ban hành", "Issued on"), _day(document["issued_on"])),
                (say("Loại", "Type"), document["type"]),
                (say("Trích yếu", "Subject"), document["subject"]),
                (say("Nơi gửi", "From"), _named(document["sender"], document["sender_name"])),
                ("DocumentId", document["document_id"]),
                (say("Mã tại trục", "Id at the gateway"), facts["id"]),
                (say("Trục liên thông", "Gateway"), _named(facts["gateway"]["code"], facts["gateway"]["name"])),
                (say("Tiếp nhận lúc", "Received at"), _moment(document["received_at"])),
                (say("Gói tin", "Package"), f"{document['size']} byte · SHA-256 {document['sha256']}"),
                (say("Lập tệp này lúc", "This file was made at"), _moment(facts["made_at"])),
            ],
        ),
        _section(
            say("Tệp kèm theo", "Attached files"),
            [(a["name"], str(a["size"]), a["sha256"]) for a in document["attachments"][:ROWS_MAX]],
            columns=(say("Tên", "Name"), say("Số byte", "Bytes"), "SHA-256"),
            total=len(document["attachments"]),
        ),
        _section(
            say("Chữ ký trên gói tin", "Signature on the package"),
            [
                *_verdict_rows(verdict, language, words),
                *(
                    (
                        say("Lúc tiếp nhận ", "At receipt ") + _moment(j["at"])
                        if j["cause"] == "receipt"
                        else say("Xét lại ", "Judged again ") + _moment(j["at"]),
                        words("standing", j["verdict"]["standing"], language),
                    )
                    for j in facts["judgements"][:ROWS_MAX]
                ),
            ],
        ),
        _section(
            say("Chữ ký trong tệp", "Signatures inside the files"),
            list(islice(_file_rows(facts["files"], language, words), ROWS_MAX)),
            total=sum(len(f["signatures"]) or 1 for f in facts["files"]),
            columns=(say("Tệp", "File"), say("Người ký", "Signer"), say("Tư cách", "As"), say("Kết luận", "Verdict")),
            # An empty table would say that there are no signatures.
            note=None if facts["files"] else _NO_FILES.say(language),
        ),
        _section(
            say("Nơi nhận", "Recipients"),
            [
                (
                    _named(d["recipient"], d["recipient_name"]),
                    words("state", d["state"], language),
                    words("status", d["status"], language) if d["status"] else "–",
                    _moment(d["settled_at"] or d["created_at"]),
                )
                for d in facts["deliveries"][:ROWS_MAX]
            ],
            columns=(
                say("Nơi nhận", "Recipient"),
                say("Chuyển", "Delivery"),
                say("Trạng thái", "Status"),
                say("Lúc", "At"),
            ),
            total=len(facts["deliveries"]),
        ),
        _section(
            say("Trạng thái xử lý được báo", "Statuses reported"),
            [
                (
                    _moment(s["received_at"]),
                    s["reporter"],
                    words("status", s["code"], language),
                    s["description"] or "–",
                )
                for s in facts["statuses"][:ROWS_MAX]
            ],
            columns=(
                say("Nhận lúc", "Received at"),
                say("Nơi báo", "By"),
                say("Trạng thái", "Status"),
                say("Nội dung", "Text"),
            ),
            total=len(facts["statuses"]),
        ),
        _section(
            say("Thu hồi, cập nhật, thay thế", "Recalls, updates, replacements"),
            [
                (
                    _moment(o["received_at"]),
                    _BUSINESS[o["business_type"]].say(language),
                    o["number"] or "–",
                    o["subject"] or "–",
                )
                for o in facts["operations"][:ROWS_MAX]
            ],
            columns=(
                say("Nhận lúc", "Received at"),
                say("Loại", "Kind"),
                say("Số, ký hiệu", "Number"),
                say("Trích yếu", "Subject"),
            ),
            total=len(facts["operations"]),
        ),
        _section(
            say("Nhật ký của trục", "The gateway's log"),
            [
                (
                    _moment(e["at"]),
                    " · ".join(filter(None, (words("event", e["action"], language), recipients.get(e["delivery"])))),
                    e["actor"] or say("trục", "the gateway"),
                    _moment(e["stamped_at"]),
                )
                for e in facts["events"][:ROWS_MAX]
            ],
            columns=(
                say("Lúc", "At"),
                say("Việc", "What"),
                say("Ai", "Who"),
                say("Dấu thời gian", "Time-stamped"),
            ),
            total=len(facts["events"]),
        ),
        _section(
            say("Niêm phong", "Seal"),
            [
                (say("Ký bởi", "Signed by"), facts["seal"]["subject"]),
                (say("Dấu thời gian", "Time-stamp"), _stamp(facts["seal"], language)),
            ],
        ),
    ]


_HOW = _Text(
    "Trang này chỉ để đọc: nó kể lại những gì tệp bằng chứng chứa. Làm chứng là chữ ký và dấu thời gian trong tệp; "
    "ai cũng kiểm tra được, không cần mạng và không cần trục, bằng lệnh: gateway verify TỆP --anchor CHỨNG-THƯ-GỐC. "
    "Giờ ghi theo giờ Việt Nam (UTC+7).",
    "This page is only to be read: it retells what the evidence file holds. What proves it are the signatures and "
    "time-stamps in the file; anybody can check them, without a network and without the gateway, with: "
    "gateway verify FILE --anchor ROOT-CERTIFICATE. Times are Vietnam time (UTC+7).",
)
_BUSINESS: Final[Mapping[int, _Text]] = {
    BusinessType.NEW.value: _Text("Gửi mới", "New"),
    BusinessType.REVOKE.value: _Text("Thu hồi", "Recall"),
    BusinessType.UPDATE.value: _Text("Cập nhật", "Update"),
    BusinessType.REPLACE.value: _Text("Thay thế", "Replacement"),
}
_NOTHING = _Text("Không có.", "None.")
_NO_FILES = _Text(
    "Trục chưa ghi kết luận nào về chữ ký trong tệp.",
    "The gateway has noted no verdict on signatures inside the files.",
)
_MORE = _Text("… và {n} dòng nữa trong evidence.json.", "… and {n} more lines in evidence.json.")


def _title(facts: Mapping[str, Any], language: Language) -> str:
    head = "Chứng cứ về văn bản" if language == "vi" else "Evidence on document"
    return _printable(f"{head} {facts['document']['number'] or facts['document']['document_id'] or facts['id']}")


def _section(
    title: str,
    rows: Iterable[tuple[str | None, ...]],
    *,
    columns: tuple[str, ...] = (),
    note: str | None = None,
    total: int = 0,
) -> Section:
    """
    A section; rows whose value is not known are left out, unless they are of a table.

    :param rows: at most ``ROWS_MAX`` of a table.
    :param total: how many rows of the table there are.
    """
    most = TABLE_CELL_MAX if columns else CELL_MAX
    every = [tuple(_printable(cell, most) for cell in row) for row in rows if columns or row[-1]]
    return Section(
        title=title,
        note=note,
        columns=columns,
        rows=tuple(every),
        left_out=max(0, total - ROWS_MAX),
    )


def _verdict_rows(verdict: Mapping[str, Any], language: Language, words: Words) -> list[tuple[str, str | None]]:
    def say(vi: str, en: str) -> str:
        return vi if language == "vi" else en

    return [
        (say("Kết luận", "Verdict"), words("standing", verdict["standing"], language)),
        (say("Lý do", "Reason"), words("reason", verdict["reason"], language)),
        (say("Xét vào lúc", "Judged as of"), _moment(verdict["judged_at"])),
        (say("Người ký", "Signer"), verdict["subject"]),
        (say("Chứng thư SHA-256", "Certificate SHA-256"), verdict["certificate_sha256"]),
    ]


def _file_rows(files: Sequence[Mapping[str, Any]], language: Language, words: Words) -> Iterable[tuple[str, ...]]:
    for file in files:
        name = file["name"] if file["member"] is None else f"{file['name']} › {file['member']}"
        if not file["signatures"]:
            yield name, "–", "–", words("file", file["standing"], language)
        for signature in file["signatures"]:
            yield (
                name,
                signature["subject"] or "–",
                words("role", signature["role"], language),
                words("file", signature["standing"], language),
            )


def _stamp(seal: Mapping[str, Any], language: Language) -> str:
    if seal["stamped_at"] is None:
        return "chưa có" if language == "vi" else "none yet"
    return f"{_moment(seal['stamped_at'])} · {seal['authority']}"


def _named(code: str, name: str | None) -> str:
    return f"{name} ({code})" if name and name != code else code


def _moment(text: str | None) -> str:
    if text is None:
        return "–"
    return datetime.fromisoformat(text).astimezone(VIETNAM_TIME).strftime("%d/%m/%Y %H:%M:%S")


def _day(text: str | None) -> str | None:
    return None if text is None else date.fromisoformat(text).strftime("%d/%m/%Y")


def _printable(text: str | None, most: int = CELL_MAX) -> str:
    """Strangers wrote some of this: no control, direction or unpaired characters, and no more than a page can hold."""
    given = " ".join((text or "")[: 2 * CELL_MAX].split())
    shown = "".join("�" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in given)
    return shown if len(shown) <= most else f"{shown[:most]}…"


# HTML

_STYLE = (
    "body{font:16px/1.5 system-ui,'Noto Sans',sans-serif;color:#1a1a1a;background:#fff;margin:0}"
    "main{max-width:60rem;margin:0 auto;padding:1.5rem}"
    "h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid #999}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;"
    "border-bottom:1px solid #ddd;overflow-wrap:anywhere}tbody th{font-weight:normal;color:#555;width:14rem}"
    "@media print{main{max-width:none;padding:0}h2{break-after:avoid}tr{break-inside:avoid}}"
)


def _html_section(section: Section, language: Language) -> str:
    note = f"<p>{escape(section.note)}</p>" if section.note else ""
    more = f"<p>{escape(_MORE.say(language).format(n=section.left_out))}</p>" if section.left_out else ""
    if not section.rows and not section.note:
        note = f"<p>{escape(_NOTHING.say(language))}</p>"
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in section.columns)
    rows = "".join(_html_row(row, headed=not section.columns) for row in section.rows)
    table = f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{rows}</tbody></table>" if rows else ""
    return f"<section><h2>{escape(section.title)}</h2>{note}{table}{more}</section>"


def _html_row(row: Sequence[str], *, headed: bool) -> str:
    first, *rest = row
    head = f'<th scope="row">{escape(first)}</th>' if headed else f"<td>{escape(first)}</td>"
    return f"<tr>{head}{''.join(f'<td>{escape(cell)}</td>' for cell in rest)}</tr>"


# PDF


def _register_font() -> None:
    if _FONT not in pdfmetrics.getRegisteredFontNames():
        font = next(p for p in (fontpkg_noto_sans.ROOT / "files").iterdir() if p.name.startswith("NotoSans["))
        pdfmetrics.registerFont(TTFont(_FONT, str(font)))


@functools.cache
def _styles() -> Mapping[str, ParagraphStyle]:
    cell = ParagraphStyle("cell", fontName=_FONT, fontSize=8.5, leading=12, wordWrap="CJK")
    return {
        "title": ParagraphStyle("title", parent=cell, fontSize=15, leading=22, spaceAfter=6, wordWrap=None),
        "heading": ParagraphStyle("heading", parent=cell, fontSize=11, leading=16, spaceBefore=10, keepWithNext=1),
        "text": ParagraphStyle("text", parent=cell, wordWrap=None),
        "label": ParagraphStyle("label", parent=cell, textColor=colors.HexColor("#555555")),
        # Hashes have no blanks to break at; CJK wrapping breaks anywhere.
        "cell": cell,
    }


def _pdf_section(section: Section, language: Language) -> Iterable[Flowable]:
    styles = _styles()
    yield Paragraph(_marked(section.title), styles["heading"])
    if section.note:
        yield Paragraph(_marked(section.note), styles["text"])
    elif not section.rows:
        yield Paragraph(_marked(_NOTHING.say(language)), styles["text"])
    if section.rows:
        width = A4[0] - 36 * mm
        labelled = not section.columns
        widths = [45 * mm, width - 45 * mm] if labelled else [width / len(section.columns)] * len(section.columns)
        head = [[Paragraph(_marked(c), styles["label"]) for c in section.columns]] if section.columns else []
        rows = [
            [Paragraph(_marked(cell), styles["label" if labelled and n == 0 else "cell"]) for n, cell in enumerate(row)]
            for row in section.rows
        ]
        look = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, -1), 0.25, colors.lightgrey)]
        # Rows are split where a page ends: one may be higher than a page.
        yield LongTable(
            head + rows, colWidths=widths, repeatRows=len(head), style=TableStyle(look), hAlign="LEFT", splitInRow=1
        )
    if section.left_out:
        yield Paragraph(_marked(_MORE.say(language).format(n=section.left_out)), styles["text"])
    yield Spacer(1, 4)


def _marked(text: str) -> str:
    """Plain text as reportlab's own markup wants it."""
    return escape(text, quote=False)
