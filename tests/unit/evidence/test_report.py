"""The page of an evidence file, whatever strangers wrote into the document."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.evidence.report import CELL_MAX, SHOWN_MAX, as_html, as_pdf, shown
from gateway.evidence.told import are_too_long
from gateway.model import Standing

AT = "2026-03-05T07:30:00+00:00"


def word(table: str, code: str, language: str) -> str:
    """As the code is: what it is called is another part's matter."""
    return code


def facts(text: str) -> dict[str, Any]:
    """What ``evidence.json`` says of a document into which a stranger wrote this text wherever he can."""
    return {
        "id": "01a2",
        "made_at": AT,
        "gateway": {"code": "H37", "name": "Trục"},
        "document": {
            "document_id": text,
            "number": text,
            "issued_on": "2026-03-05",
            "type": text,
            "subject": text,
            "sender": "000.00.14.H37",
            "sender_name": text,
            "received_at": AT,
            "sha256": "0" * 64,
            "size": 1,
            "attachments": [{"name": text, "size": 1, "sha256": "0" * 64}],
        },
        "verdict": {
            "standing": Standing.UNSIGNED,
            "reason": "signature.absent",
            "judged_at": AT,
            "subject": text,
            "certificate_sha256": None,
        },
        "judgements": [],
        "files": [],
        "seal": {"subject": text, "stamped_at": None, "authority": None},
        "deliveries": [],
        "statuses": [{"code": "03", "reporter": "H37", "received_at": AT, "description": text}],
        "operations": [
            {"business_type": 1, "number": text, "subject": text, "received_at": AT, "package": "operations/0001.edxml"}
        ],
        "events": [],
    }


@pytest.mark.parametrize(
    "text",
    ["⸻" * CELL_MAX, "Ý kiến " * 5_000, "x" * 100_000, "<b>&" * 1_000, "\n" * 5_000 + "x", "\x00\u202e\ud800" * 1_000],
    ids=["wide", "words", "one-word", "marked", "lines", "control"],
)
def test_a_text_longer_than_a_page_does_not_keep_the_page_from_being_made(text: str) -> None:
    assert as_pdf(facts(text), "vi", word).startswith(b"%PDF-")
    page = as_html(facts(text), "vi", word).decode()
    assert len(page) < 100_000
    assert not {"\x00", "\u202e"} & set(page)


def test_files_that_nobody_judged_are_not_told_to_be_without_signatures() -> None:
    page = as_html(facts("x"), "en", word).decode().partition("Signatures inside the files")[2]
    assert page.startswith("</h2><p>The gateway has noted no verdict on signatures inside the files.</p></section>")


def test_a_text_of_several_lines_is_told_in_one() -> None:
    assert (
        "<td>Đồng ý. Chuyển phòng Một.</td>" in as_html(facts("Đồng ý.\r\n\tChuyển phòng Một.\n"), "vi", word).decode()
    )


def test_a_table_of_strangers_texts_is_short_and_a_page_of_too_many_is_not_made_to_be_compared() -> None:
    """Laying out two million characters took minutes, and whoever checks the file waited for it."""
    told = facts("<b>&⸻ý " * 170)
    one = {"code": "03", "reporter": "H37", "received_at": AT, "description": "⸻ý " * 500}
    assert "⸻ý " * 100 not in as_html({**told, "statuses": [one]}, "vi", word).decode()
    event = {"at": AT, "action": "x" * 900, "actor": "y" * 900, "delivery": None, "stamped_at": None}
    many = {**told, "statuses": [one] * 500, "events": [event] * 500, "operations": told["operations"] * 500}
    assert shown(many, "vi", word) > SHOWN_MAX
    assert are_too_long(many, word)
    assert not are_too_long(told, word)
    assert not are_too_long({}, word)
