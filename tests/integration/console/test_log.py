"""The routing log."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from gateway.evidence import chain
from gateway.ledger import Ledger
from gateway.ledger.records import Forwarded, NewDocument
from gateway.model import AgencyCode, DeliveryState, Lane, StatusCode
from tests.support.console import (
    COMMUNE,
    FARMING,
    NATIONAL,
    OFFICE,
    SCIENCE,
    Clock,
    a_days_work,
    abandoned,
    accept,
    try_one,
)
from tests.support.ledger import NOON, a_delivery, a_document, a_reply, a_status, report


def subjects(page: str) -> list[str]:
    return re.findall(r'<span class="subject"><bdi>(.*?)</bdi>', page)


def numbers(page: str) -> list[str]:
    return re.findall(r'<a class="number"[^>]*><bdi>(.*?)</bdi>', page)


def next_page(page: str) -> str | None:
    found = re.search(r'rel="next" href="([^"]+)"', page)
    return found[1].replace("&amp;", "&") if found else None


def test_an_empty_log_says_so(operator: FlaskClient) -> None:
    page = operator.get("/console/").text
    assert "Chưa có văn bản nào đi qua trục" in page
    assert "<table" not in page


def test_a_row_says_what_where_and_how_it_stands(operator: FlaskClient, ledger: Ledger) -> None:
    accept(ledger, a_delivery(SCIENCE), subject="Đề án chuyển đổi số", lane=Lane.FLASH, number="12", notation="UBND-VP")
    page = operator.get("/console/").text
    assert "22/11/2026" in page
    assert "12:00:00" in page  # 05:00 UTC
    assert numbers(page) == ["12/UBND-VP"]
    assert subjects(page) == ["Đề án chuyển đổi số"]
    assert "Hỏa tốc" in page
    assert "Chờ chuyển" in page
    assert "Chưa phản hồi" in page
    assert "chưa thử" in page


@pytest.mark.parametrize("typed", ["de an", "ĐỀ ÁN", "đề án", "an de", "12/ubnd-vp", "so khoa hoc"])
def test_text_is_found_without_accents(operator: FlaskClient, ledger: Ledger, typed: str) -> None:
    accept(
        ledger,
        a_delivery(SCIENCE, recipient_name="Sở Khoa học và Công nghệ"),
        subject="Đề án chuyển đổi số",
        number="12",
        notation="UBND-VP",
    )
    accept(ledger, a_delivery(COMMUNE), subject="Kế hoạch")
    assert subjects(operator.get(f"/console/?q={quote(typed)}").text) == ["Đề án chuyển đổi số"]


def test_an_agency_is_sender_or_recipient(operator: FlaskClient, ledger: Ledger) -> None:
    accept(ledger, a_delivery(COMMUNE), subject="gửi đến")
    accept(ledger, a_delivery(SCIENCE), subject="gửi đi", sender=COMMUNE)
    accept(ledger, a_delivery(SCIENCE), subject="không liên quan", sender=OFFICE)
    assert set(subjects(operator.get("/console/?agency=uy+ban+nhan+dan+xa+dong+dang").text)) == {
        "gửi đến",
        "gửi đi",
    }
    several = operator.get("/console/?agency=so").text
    assert "Có phải ý bạn là" in several


def test_agencies_that_only_the_ledger_has_met_are_found_by_part_of_their_name(
    operator: FlaskClient, ledger: Ledger
) -> None:
    own = "Sở Nông nghiệp và Môi trường tỉnh Lạng Sơn"
    accept(ledger, a_delivery(FARMING, recipient_name=own), subject="trong tỉnh")
    beyond = a_delivery(AgencyCode("H38.22"), recipient_name="Sở Nông nghiệp và Môi trường tỉnh Lào Cai")
    accept(ledger, beyond, subject="ngoài tỉnh")
    page = operator.get("/console/?agency=so+nong+nghiep").text
    assert set(subjects(page)) == {"trong tỉnh", "ngoài tỉnh"}
    assert "Có phải ý bạn là" in page
    suggestion = quote(f"{own} — H37.22")
    assert subjects(operator.get(f"/console/?agency={suggestion}").text) == ["trong tỉnh"]


def reported(ledger: Ledger, code: StatusCode = StatusCode.DONE, **changes: Any) -> tuple[NewDocument, NewDocument]:
    """A document and the package of a status about it, which the next gateway has."""
    document = accept(ledger, a_delivery(SCIENCE), number="12", notation="UBND-VP", **changes)
    return document, a_report_on(ledger, document, code)


def a_report_on(ledger: Ledger, document: NewDocument, code: StatusCode) -> NewDocument:
    reply = a_reply(document, code, reporter=SCIENCE, copy_of=(SCIENCE,))
    bare = {"number": None, "notation": None, "issued_on": None, "type_name": None, "subject": None}
    package, upwards = replace(reply.document, **bare), a_delivery(NATIONAL)
    ledger.accept(package, [upwards], reply.status)
    try_one(ledger, upwards.id, Forwarded(receipt="{}"), NOON)
    return package


def test_a_status_is_listed_by_what_it_says_of_which_document(operator: FlaskClient, ledger: Ledger) -> None:
    document, package = reported(ledger)
    page = operator.get("/console/?kind=status").text
    [row] = re.findall(r"<tr class=.*?</tr>", page, re.DOTALL)
    said = " ".join(re.sub(r"<[^>]+>", "", row).split())
    assert "06 Hoàn thành về 12/UBND-VP" in said
    assert "không số" not in said
    assert f'href="/console/documents/{package.id}"' in row
    assert re.search(rf'href="/console/documents/{document.id}"><bdi>12/UBND-VP', row)


def test_nobody_reports_on_a_status(operator: FlaskClient, ledger: Ledger) -> None:
    reported(ledger)
    page = operator.get("/console/?kind=status").text
    assert "Xử lý tại nơi nhận" not in page
    assert "Chưa phản hồi" not in page
    assert "Xử lý tại nơi nhận" in operator.get("/console/").text
    assert "Xử lý tại nơi nhận" in operator.get("/console/?kind=all").text


def test_a_status_that_the_next_gateway_has_is_done(operator: FlaskClient, ledger: Ledger) -> None:
    _, package = reported(ledger)
    for address in ("/console/?kind=status", f"/console/documents/{package.id}"):
        page = operator.get(address).text
        assert re.search(r'<span class="mark good">.{,60}Trục kế tiếp đã nhận</span>', page)


@pytest.mark.parametrize("kind", ["status", "all"])
def test_a_status_is_found_by_the_number_of_its_document(operator: FlaskClient, ledger: Ledger, kind: str) -> None:
    _, package = reported(ledger)
    other = accept(ledger, a_delivery(SCIENCE), number="13", notation="UBND-VP")
    a_report_on(ledger, other, StatusCode.DONE)
    page = operator.get(f"/console/?kind={kind}&q=12/UBND-VP").text
    assert f'href="/console/documents/{package.id}"' in page
    assert "13/UBND-VP" not in page


def test_a_status_whose_document_is_awaited_says_which(operator: FlaskClient, ledger: Ledger) -> None:
    awaited = a_document(number="7", notation="QĐ-UBND", identity="~2026/11/22,7/QĐ-UBND", alias=None)
    a_report_on(ledger, awaited, StatusCode.REGISTERED)
    page = operator.get("/console/?kind=status&q=7/qd-ubnd").text
    assert "03 Đã tiếp nhận" in page
    assert "7/QĐ-UBND" in page


@pytest.mark.parametrize("member", ["state", "kind"])
def test_what_cannot_be_chosen_is_said(operator: FlaskClient, ledger: Ledger, member: str) -> None:
    accept(ledger, a_delivery(SCIENCE))
    page = operator.get(f"/console/?{member}=zzz").text
    assert f'id="{member}-fault"' in page
    assert f'aria-describedby="{member}-fault"' in page
    assert "“zzz”" in page
    assert len(numbers(page)) == 1


def test_states_and_kinds_filter(operator: FlaskClient, ledger: Ledger) -> None:
    document, _ = abandoned(ledger, subject="bỏ dở")
    accept(ledger, a_delivery(COMMUNE), subject="đang chờ")
    reply = a_reply(document)
    ledger.accept(reply.document, reply.deliveries, reply.status)
    assert subjects(operator.get("/console/?state=abandoned").text) == ["bỏ dở"]
    assert len(numbers(operator.get("/console/").text)) == 2
    assert len(numbers(operator.get("/console/?kind=status").text)) == 1
    assert len(numbers(operator.get("/console/?kind=all").text)) == 3


def test_days_filter_and_wrong_ones_are_said(operator: FlaskClient, ledger: Ledger) -> None:
    for days in range(3):
        at = NOON - timedelta(days=days)
        accept(ledger, a_delivery(COMMUNE, due_at=at), subject=f"{at:%d}", received_at=at)
    assert subjects(operator.get("/console/?from=21/11/2026&to=21/11/2026").text) == ["21"]
    assert len(subjects(operator.get("/console/?from=21/11/2026").text)) == 2
    wrong = operator.get("/console/?from=2026-11-21").text
    assert "không phải ngày dạng dd/mm/yyyy" in wrong
    assert 'aria-invalid="true"' in wrong
    assert "Ngày bắt đầu sau ngày kết thúc" in operator.get("/console/?from=22/11/2026&to=20/11/2026").text


def test_filters_live_in_the_url_and_can_be_cleared(operator: FlaskClient, ledger: Ledger) -> None:
    accept(ledger, a_delivery(COMMUNE))
    page = operator.get("/console/?q=phe+duyet&agency=H37.14.2&state=waiting&kind=all&from=01/01/2026").text
    for value in ("phe duyet", "H37.14.2", "01/01/2026"):
        assert f'value="{value}"' in page
    assert '<option value="waiting" selected>' in page
    assert '<option value="all" selected>' in page
    assert 'href="/console/">Bỏ lọc</a>' in page
    assert "Bỏ lọc" not in operator.get("/console/").text


def test_pages_neither_repeat_nor_skip_while_documents_arrive(operator: FlaskClient, ledger: Ledger) -> None:
    for n in range(120):
        at = NOON + timedelta(seconds=n // 7)  # many of the same second
        accept(ledger, a_delivery(COMMUNE, due_at=at), number=f"{n}", received_at=at)
    seen: list[str] = []
    address: str | None = "/console/?q=phe+duyet"
    while address is not None:
        page = operator.get(address).text
        seen += numbers(page)
        accept(ledger, a_delivery(COMMUNE), number="mới", received_at=NOON + timedelta(minutes=5))
        address = next_page(page)
        assert address is None or "q=phe+duyet" in address
    assert [n.split("/")[0] for n in seen] == [str(n) for n in reversed(range(120))]


def test_counts_lead_to_what_they_count(operator: FlaskClient, ledger: Ledger) -> None:
    a_days_work(ledger, NOON)
    page = operator.get("/console/").text
    counts = operator.get("/console/counts.json?kind=document").json
    assert counts is not None
    for state in DeliveryState:
        shown = re.search(rf'href="([^"]+)"[^>]*>\s*<span class="n" data-count="{state}">([^<]+)<', page)
        assert shown is not None
        assert shown[2] == counts["text"][state]
        rows: list[str] = []
        address: str | None = shown[1]
        while address is not None:
            listed = operator.get(address).text
            rows += numbers(listed)
            address = next_page(listed)
        assert len(rows) == counts["counts"][state]
    assert counts["counts"]["refusals"] == 3


def test_large_numbers_are_written_as_the_language_does(operator: FlaskClient, ledger: Ledger) -> None:
    legs = [a_delivery(AgencyCode(f"H37.40.{n}")) for n in range(1234)]
    accept(ledger, *legs)
    counts = operator.get("/console/counts.json").json
    assert counts is not None
    assert counts["counts"]["waiting"] == 1234
    assert counts["text"]["waiting"] == "1.234"


def test_what_is_stuck_stands_out(operator: FlaskClient, ledger: Ledger, clock: Clock) -> None:
    abandoned(ledger)
    accept(ledger, a_delivery(COMMUNE))
    fresh = operator.get("/console/").text
    assert len(re.findall(r'class="attention bad', fresh)) == 1
    assert "chờ lâu" not in fresh
    clock.pass_time(hours=5)
    late = operator.get("/console/").text
    assert "chờ lâu: 5 giờ" in late
    assert len(re.findall(r'class="attention warn', late)) == 1


def test_only_abandoned_rows_can_be_selected_and_only_by_who_may(
    operator: FlaskClient, viewer: FlaskClient, ledger: Ledger
) -> None:
    _, delivery = abandoned(ledger)
    accept(ledger, a_delivery(COMMUNE))
    assert re.findall(r'name="delivery" value="([^"]+)"', operator.get("/console/").text) == [delivery]
    assert 'name="delivery"' not in viewer.get("/console/").text


def test_statuses_that_wait_for_their_document_are_mentioned(operator: FlaskClient, ledger: Ledger) -> None:
    report(ledger, a_status(a_document()))
    assert "1 trạng thái đang chờ văn bản tương ứng" in operator.get("/console/").text


def test_hostile_texts_are_shown_and_do_nothing(operator: FlaskClient, ledger: Ledger) -> None:
    ids = a_days_work(ledger, NOON)
    for address in ("/console/", f"/console/documents/{ids['hostile']}"):
        page = operator.get(address).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert" in page
        assert "\u202e" not in page
        assert "⟨U+202E⟩" in page
    mirrored = operator.get(
        "/console/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&agency=%22%3E%3Cb%3E&from=%22%3E%3Cb%3E"
    )
    assert "<script>alert" not in mirrored.text
    assert "<b>" not in mirrored.text


def test_agencies_are_suggested_without_accents(operator: FlaskClient) -> None:
    found = operator.get("/console/agencies.json?q=nong+nghiep").json
    assert found == {"agencies": ["Sở Nông nghiệp và Môi trường tỉnh Lạng Sơn — H37.22"]}


def test_a_time_stamp_that_cannot_be_had_for_hours_is_an_alarm(
    operator: FlaskClient, ledger: Ledger, clock: Clock
) -> None:
    accept(ledger, a_delivery(SCIENCE))
    batch = chain.seal(ledger.log.between(0, None, limit=10), after=None, gateway="H37", now=NOON)
    assert ledger.log.add_batch(batch)
    assert ledger.log.add_stamp(chain.state([batch.header], after=None, gateway="H37", first=1, now=NOON))
    clock.now = NOON + timedelta(hours=4)
    assert "Chưa lấy được dấu thời gian" not in operator.get("/console/").text
    clock.now += timedelta(minutes=90)
    assert "Chưa lấy được dấu thời gian cho nhật ký từ 5 giờ" in operator.get("/console/").text
    assert ledger.log.stamped(1, token=b"token", at=NOON, now=NOON)
    assert "Chưa lấy được dấu thời gian" not in operator.get("/console/").text
