"""What a clerk sees of a document's files at a glance: who signed, whether it stands, and what holds the document."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from gateway.console import words
from gateway.ledger import Ledger
from gateway.ledger.records import ExaminationResult, Examined, NewExamination
from gateway.model import (
    ExaminationKind,
    ExaminationState,
    FileSignature,
    FileStanding,
    FileVerdict,
    SignerRole,
    StatusCode,
)
from tests.support.console import an_attachment
from tests.support.ledger import LEASE, NOON, a_delivery, a_document, a_reply, at

FILES = ExaminationKind.FILES


def signature(role: SignerRole, standing: FileStanding = FileStanding.VALID, **changes: object) -> FileSignature:
    values: dict[str, object] = {
        "field": "Signature1",
        "role": role,
        "standing": standing,
        "reason": "file.verified",
        "subject": "CN=Nguyễn Thử,O=Sở Kiểm thử,C=VN",
        "claimed_at": NOON,
        "revision": 1,
        "revisions": 2,
        "added_after": ("signature", "stamp"),
    }
    return FileSignature(**(values | changes))  # type: ignore[arg-type]


def judged(ledger: Ledger, *signatures: FileSignature, standing: FileStanding, member: str | None = None) -> str:
    """A document whose one file was judged so."""
    attachment = an_attachment("công văn.pdf")
    document = a_document(attachments=(attachment,))
    verdict = FileVerdict(
        content_id=attachment.content_id, name=attachment.name, member=member, format="pdf", standing=standing,
        reason="file.altered_after" if standing is FileStanding.ALTERED else "file.verified",
        signatures=signatures, judged_at=NOON,
    )  # fmt: skip
    ledger.accept(document, [a_delivery()], examinations=[NewExamination(kind=FILES, due_at=NOON)])
    done = Examined(state=ExaminationState.DONE, reason="file.judged", result=ExaminationResult(files=(verdict,)))
    ledger.settle_examination(document.id, FILES, done, now=at(1))
    return document.id


def shown(client: FlaskClient, document: str) -> str:
    page = client.get(f"/console/documents/{document}")
    assert page.status_code == 200
    return re.sub(r"\s+", " ", page.text)


def test_who_signed_a_file_and_as_what_is_seen_at_a_glance(operator: FlaskClient, ledger: Ledger) -> None:
    document = judged(ledger, signature(SignerRole.PERSON), standing=FileStanding.VALID)
    page = shown(operator, document)
    assert "Người có thẩm quyền: đã ký, hợp lệ" in page
    assert "Cơ quan: không có chữ ký hợp lệ" in page
    for said in ("CN=Nguyễn Thử,O=Sở Kiểm thử,C=VN", "phiên bản 1/2", "sau đó thêm: chữ ký khác, dấu đến, ghi chú",
                  "ký lúc 22/11/2026", "Đã kiểm tra chữ ký trong tệp: Đã kiểm tra"):  # fmt: skip
        assert said in page


def test_a_time_stamp_is_told_from_what_the_signer_says(operator: FlaskClient, ledger: Ledger) -> None:
    stamped = signature(SignerRole.AGENCY, stamped_at=NOON)
    page = shown(operator, judged(ledger, stamped, standing=FileStanding.VALID))
    assert "dấu thời gian 22/11/2026" in page
    assert "theo người ký" not in page


@pytest.mark.parametrize("standing", FileStanding)
def test_every_standing_of_a_file_is_shown_in_words(
    operator: FlaskClient, ledger: Ledger, standing: FileStanding
) -> None:
    page = shown(operator, judged(ledger, standing=standing, member="phụ lục/a.pdf"))
    assert words.FILE_STANDINGS[standing].words.vi in page
    assert "trong tệp nén: phụ lục/a.pdf" in page


def test_what_holds_a_document_and_why_is_shown(operator: FlaskClient, ledger: Ledger) -> None:
    document = a_document()
    held = NewExamination(kind=ExaminationKind.MALWARE, holds=True, reason="malware.scanner_unreachable", due_at=NOON)
    ledger.accept(document, [a_delivery()], examinations=[held])
    (claim,) = ledger.claim_examinations([held.kind], now=NOON, lease=LEASE, limit=1)
    ledger.postpone_examination(claim, reason="malware.scanner_unreachable", due_at=at(5), now=NOON)
    page = shown(operator, document.id)
    for said in ("Chờ kiểm tra", "mã độc", "Không kết nối được bộ quét mã độc", "chưa chuyển trước khi kiểm tra xong",
                  "đã thử 1 lần", "Giữ lại, kiểm tra xong mới chuyển tới"):  # fmt: skip
        assert said in page


def test_a_refusal_after_an_examination_says_why(operator: FlaskClient, ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(
        document, [delivery := a_delivery()], examinations=[NewExamination(kind=FILES, holds=True, due_at=NOON)]
    )
    refused = Examined(state=ExaminationState.REFUSED, reason="file.signature_required", detail="Thiếu <chữ ký>.")
    replies = {delivery.id: a_reply(document, StatusCode.REFUSED)}
    ledger.settle_examination(document.id, FILES, refused, now=at(1), replies=replies)
    page = shown(operator, document.id)
    for said in ("Không cho chuyển", "Thiếu &lt;chữ ký&gt;.", "đã báo cho cơ quan gửi", "Loại văn bản này phải có đủ"):
        assert said in page


def test_a_scan_says_how_much_was_searched_and_by_what(operator: FlaskClient, ledger: Ledger) -> None:
    document = a_document()
    done = NewExamination(
        kind=ExaminationKind.MALWARE, state=ExaminationState.DONE, reason="malware.none", due_at=NOON,
        result=ExaminationResult(scanned=2, scanner="ClamAV 1.4.3/27600"),
    )  # fmt: skip
    ledger.accept(document, [a_delivery()], examinations=[done])
    page = shown(operator, document.id)
    assert "đã quét 2 tệp" in page
    assert "ClamAV 1.4.3/27600" in page


def test_a_file_that_was_altered_is_told_at_the_head_of_the_page_and_with_the_examination(
    operator: FlaskClient, ledger: Ledger
) -> None:
    altered = signature(SignerRole.PERSON, FileStanding.ALTERED)
    page = shown(operator, judged(ledger, altered, standing=FileStanding.ALTERED))
    head, _, rest = page.partition('id="deliveries"')
    alarm = re.search(
        r'<p class="flash bad" role="status"><a href="#attachments"><bdi>(.*?)</bdi></a>: (.+?)</p>', head
    )
    assert alarm is not None
    assert alarm[1] == "công văn.pdf"
    examination = rest.partition('id="examinations"')[2].partition("</section>")[0]
    assert "Nội dung bị thay đổi" in examination
    assert "<strong><bdi>Nguyễn Thử</bdi></strong>" in rest


def test_a_file_in_order_raises_no_alarm(operator: FlaskClient, ledger: Ledger) -> None:
    page = shown(operator, judged(ledger, signature(SignerRole.PERSON), standing=FileStanding.VALID))
    assert 'class="flash bad"' not in page
    assert "Hợp lệ" in page.partition('id="examinations"')[2].partition("</section>")[0]
