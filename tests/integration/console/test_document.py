"""One document's page."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from gateway.errors import EvidenceTooLarge, PayloadMissing
from gateway.ledger import Ledger
from gateway.ledger.actions import Action
from gateway.model import BusinessType, StatusCode
from tests.support.console import COMMUNE, Clock, a_console, a_days_work, accept, add_person, log_in
from tests.support.ledger import (
    NOON,
    a_delivery,
    a_document,
    a_reply,
    a_status,
    an_operation,
    an_orphan,
    asked,
    report,
)


def section(page: str, name: str) -> str:
    found = re.search(rf'aria-labelledby="{name}".*?</section>', page, re.DOTALL)
    assert found is not None
    return found[0]


def test_a_finished_document_tells_its_whole_way(operator: FlaskClient, ledger: Ledger) -> None:
    ids = a_days_work(ledger, NOON)
    page = operator.get(f"/console/documents/{ids['finished']}").text
    way = section(page, "way")
    for sentence in (
        "Tiếp nhận gói tin, cấp biên nhận",
        "Xếp hàng chuyển tới 2 nơi nhận",
        "Đã tới Sở Khoa học và Công nghệ tỉnh Lạng Sơn",
        "tiến trình w1",
        "báo: Hoàn thành",
    ):
        assert sentence in way
    assert len(re.findall(r'class="status status-', section(page, "statuses"))) == 4
    assert "Chữ ký hợp lệ của Văn phòng Ủy ban nhân dân tỉnh Lạng Sơn" in section(page, "signature")
    assert "ab" * 32 in section(page, "signature")
    assert "Ngày ban hành sau ngày gửi." in section(page, "warnings")
    assert "M.MessageHeader.PromulgationInfo.PromulgationDate" in section(page, "warnings")
    assert "1,1 MB" in section(page, "attachments")
    assert "ef" * 32 in section(page, "attachments")


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        ("failing", ["Gửi lỗi, sẽ thử lại", "Không kết nối được tới hệ thống nhận.", "Sẽ thử lại lúc 22/11/2026"]),
        ("abandoned", ["Ngừng gửi tới Sở Khoa học", "connection refused"]),
        ("refused", ["từ chối khi lấy", "Gửi nhầm cơ quan", "Từ chối tiếp nhận"]),
        ("recall", ["Chờ văn bản trước", "Thu hồi"]),
        ("waiting", ["chờ lâu: 9 giờ", "Văn bản thu hồi, cập nhật hoặc thay thế", "Thượng khẩn"]),
    ],
)
def test_what_went_wrong_is_said_in_words(
    operator: FlaskClient, ledger: Ledger, name: str, sentences: list[str]
) -> None:
    ids = a_days_work(ledger, NOON)
    page = operator.get(f"/console/documents/{ids[name]}").text
    for sentence in sentences:
        assert sentence in page


def test_every_document_of_a_day_opens_in_both_languages(operator: FlaskClient, ledger: Ledger) -> None:
    a_days_work(ledger, NOON)
    rows = ledger.documents(limit=200).rows
    assert len(rows) > 8
    for language in ("vi", "en"):
        with operator.session_transaction() as session:
            session["language"] = language
        for row in rows:
            answer = operator.get(f"/console/documents/{row.id}")
            assert answer.status_code == 200
            assert f'lang="{language}"' in answer.text


def test_many_recipients_are_folded_and_queued_in_one_step(operator: FlaskClient, ledger: Ledger) -> None:
    ids = a_days_work(ledger, NOON)
    page = operator.get(f"/console/documents/{ids['many']}").text
    assert "Các nơi nhận (300)" in page
    assert "275 nơi nhận nữa" in page
    assert "Xếp hàng chuyển tới 300 nơi nhận" in page
    assert len(re.findall(r"<li class=", section(page, "way"))) == 2
    assert len(page) < 600_000


def test_a_status_package_leads_to_its_document(operator: FlaskClient, ledger: Ledger) -> None:
    document = accept(ledger, a_delivery(COMMUNE), number="12", notation="UBND-VP")
    reply = a_reply(document, StatusCode.DONE)
    ledger.accept(replace(reply.document, number=None, notation=None), reply.deliveries, reply.status)
    page = operator.get(f"/console/documents/{reply.document.id}").text
    assert "Gói trạng thái: 06 Hoàn thành về 12/UBND-VP" in page  # the title
    named = rf'href="/console/documents/{document.id}"><bdi>12/UBND-VP</bdi>'
    heading = re.search(r"<h1>.*?</h1>", page, re.DOTALL)
    assert heading is not None
    assert re.search(named, heading[0])
    assert re.search(named, section(page, "facts"))
    assert f"/console/documents/{document.id}" in section(page, "statuses")
    assert "(không số)" not in page
    # Nobody reports on a status.
    assert "Chưa phản hồi" not in page
    assert "Xử lý tại nơi nhận" not in section(page, "deliveries")


def test_the_package_of_a_status_that_waits_for_its_document_says_which(operator: FlaskClient, ledger: Ledger) -> None:
    awaited = a_document(number="12", notation="UBND-VP", identity="~2026/11/22,12/UBND-VP", alias=None)
    accepted = report(ledger, a_status(awaited, StatusCode.REFUSED))
    page = operator.get(f"/console/documents/{accepted.document_id}").text
    assert "Gói trạng thái: 02 Từ chối tiếp nhận về 12/UBND-VP" in page


def test_the_package_is_what_was_received_and_its_taking_is_recorded(viewer: FlaskClient, ledger: Ledger) -> None:
    document = accept(ledger, a_delivery(COMMUNE), payload=b"<edXML>\xc4\x91</edXML>")
    answer = viewer.get(f"/console/documents/{document.id}/package")
    assert answer.data == b"<edXML>\xc4\x91</edXML>"
    assert answer.content_length == len(answer.data)
    assert answer.headers["Content-Disposition"] == f"attachment; filename={document.id}.edxml"
    assert answer.content_type == "application/octet-stream"
    last = ledger.events()[-1]
    assert (last.action, last.actor, last.document) == (Action.OPERATOR_PACKAGE_DOWNLOADED, "xem", document.id)
    assert "Tải gói tin" in viewer.get(f"/console/documents/{document.id}").text


def test_the_evidence_file_is_offered_and_made_for_whoever_asks(viewer: FlaskClient, ledger: Ledger) -> None:
    document = accept(ledger, a_delivery(COMMUNE))
    page = viewer.get(f"/console/documents/{document.id}").text
    assert "Tải bằng chứng (.asice)" in page
    assert f"/console/documents/{document.id}/evidence" in page
    with viewer.get(f"/console/documents/{document.id}/evidence") as answer:
        made = answer.text
    # What is made is shown in tests/integration/exchange/test_evidence.py; here, for whom.
    assert made == f"{document.id} xem"
    assert answer.content_length == len(made)
    assert answer.content_type == "application/vnd.etsi.asic-e+zip"
    assert answer.headers["Content-Disposition"] == f"attachment; filename={document.id}.asice"
    assert viewer.get("/console/documents/nothing/evidence").status_code == 404


def test_a_package_that_is_gone_is_said_kindly(ledger: Ledger, clock: Clock) -> None:
    def gone(document_id: str) -> None:
        raise PayloadMissing

    add_person(ledger)
    document = accept(ledger, a_delivery(COMMUNE))
    client = a_console(ledger, clock, open_package=gone).test_client()
    log_in(client)
    answer = client.get(f"/console/documents/{document.id}/package")
    assert answer.status_code == 404
    assert "payload.missing" in answer.text
    assert client.get("/console/documents/unknown/package").status_code == 404


def test_replay_is_offered_only_where_and_to_whom_it_is_possible(
    operator: FlaskClient, viewer: FlaskClient, ledger: Ledger
) -> None:
    ids = a_days_work(ledger, NOON)
    assert "Gửi lại…" in operator.get(f"/console/documents/{ids['abandoned']}").text
    assert "Gửi lại…" not in operator.get(f"/console/documents/{ids['finished']}").text
    assert "Gửi lại…" not in viewer.get(f"/console/documents/{ids['abandoned']}").text


# Recalls, updates, replacements


def test_a_document_says_what_is_asked_of_each_copy_and_who_answered(operator: FlaskClient, ledger: Ledger) -> None:
    document = a_document()
    leg = a_delivery(COMMUNE)
    ledger.accept(document, [leg])
    recall = an_operation(document)
    ledger.accept(recall, [a_delivery(COMMUNE)], operation=asked(document, BusinessType.REVOKE, COMMUNE))
    page = operator.get(f"/console/documents/{document.id}").text
    assert "Chờ trả lời" in section(page, "requests")
    assert f"/console/documents/{recall.id}" in section(page, "requests")
    assert "Chờ nơi nhận trả lời" in section(page, "deliveries")
    report(
        ledger,
        a_status(document, StatusCode.DISAGREED, reporter=COMMUNE, copy_of=(COMMUNE,), description="Đã vào sổ"),
    )
    answered = section(operator.get(f"/console/documents/{document.id}").text, "requests")
    for words in ("Không đồng ý", "Ủy ban nhân dân xã Đồng Đăng trả lời", "Đã vào sổ"):
        assert words in answered


def test_an_orphan_says_that_its_document_is_not_known(operator: FlaskClient, ledger: Ledger) -> None:
    orphan = an_orphan(ledger)
    page = operator.get(f"/console/documents/{orphan.id}").text
    assert "Không rõ văn bản gốc" in section(page, "requests")
    assert "trục không xác định được văn bản gốc" in section(page, "way")


def test_the_log_finds_orphans(operator: FlaskClient, ledger: Ledger) -> None:
    ledger.accept(a_document(), [a_delivery(COMMUNE)])
    orphan = an_orphan(ledger)
    page = operator.get("/console/?operation=orphan").text
    assert re.findall(r'class="number" href="/console/documents/([^"]+)"', page) == [orphan.id]


def test_evidence_that_fits_no_file_is_a_friendly_page(ledger: Ledger, clock: Clock) -> None:
    def too_large(trace: object, actor: str) -> io.BytesIO:
        raise EvidenceTooLarge

    add_person(ledger)
    client = a_console(ledger, clock, export_evidence=too_large).test_client()
    log_in(client)
    document = accept(ledger, a_delivery(COMMUNE))
    answer = client.get(f"/console/documents/{document.id}/evidence")
    assert answer.status_code == 413
    assert "Bằng chứng quá lớn" in answer.text
    assert "evidence.too_large" in answer.text
