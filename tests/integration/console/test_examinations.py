"""What a clerk sees of a document's files at a glance: who signed, whether it stands, and what holds the document."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from gateway.console import words
from gateway.ledger import Action, Ledger
from gateway.ledger.records import ExaminationResult, Examined, NewExamination
from gateway.ledger.revocation import Rejudged
from gateway.model import (
    DeliveryState,
    ExaminationKind,
    ExaminationState,
    FilePart,
    FileSignature,
    FileStanding,
    FileVerdict,
    SignerRole,
    Standing,
    StatusCode,
    Verdict,
)
from tests.support.console import Clock, an_attachment, log_in, token
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


def judged(
    ledger: Ledger, *signatures: FileSignature, standing: FileStanding, member: str | None = None, **found: Any
) -> str:
    """A document whose one file was judged so."""
    attachment = an_attachment("công văn.pdf")
    document = a_document(attachments=(attachment,))
    verdict = FileVerdict(
        content_id=attachment.content_id, name=attachment.name, member=member, format="pdf", standing=standing,
        reason="file.altered_after" if standing is FileStanding.ALTERED else "file.verified",
        signatures=signatures, judged_at=NOON, **found,
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


def test_which_file_is_the_dispatch_and_which_lacks_whose_signature_is_seen(
    operator: FlaskClient, ledger: Ledger
) -> None:
    good = shown(operator, judged(ledger, standing=FileStanding.VALID, part=FilePart.MAIN))
    assert "văn bản chính" in good
    assert "Còn thiếu chữ ký" not in good
    lacks = (SignerRole.AGENCY, SignerRole.PERSON)
    bad = shown(operator, judged(ledger, standing=FileStanding.UNSIGNED, part=FilePart.ENCLOSED, lacks=lacks))
    assert "tệp kèm theo" in bad
    assert "Còn thiếu chữ ký hợp lệ của: Cơ quan, Người có thẩm quyền" in bad


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


# At a glance, without opening anything


def row_of(client: FlaskClient, document: str, address: str = "/console/") -> str | None:
    """The document's first row of the log, in plain words; ``None``: it is not listed."""
    for row in re.findall(r"<tr class=.*?</tr>", client.get(address).text, re.DOTALL):
        if document in row:
            return " ".join(re.sub(r"<[^>]+>", " ", row).split())
    return None


PERSON, AGENCY = SignerRole.PERSON, SignerRole.AGENCY
ALTERED = FileStanding.ALTERED


@pytest.mark.parametrize(
    ("signatures", "standing", "said"),
    [
        ((signature(PERSON), signature(AGENCY)), FileStanding.VALID, "Tệp đủ hai chữ ký"),
        ((signature(PERSON),), FileStanding.VALID, "Tệp chỉ có chữ ký cá nhân"),
        ((signature(AGENCY),), FileStanding.VALID, "Tệp chỉ có chữ ký cơ quan"),
        ((), FileStanding.UNSIGNED, "Tệp không có chữ ký hợp lệ"),
        ((signature(PERSON, ALTERED),), ALTERED, "Tệp bị thay đổi sau khi ký"),
        ((signature(PERSON, FileStanding.REVOKED),), FileStanding.REVOKED, "Chứng thư đã bị thu hồi"),
        ((signature(PERSON, FileStanding.UNTRUSTED),), FileStanding.UNTRUSTED, "Chữ ký không đáng tin cậy"),
        ((), FileStanding.UNREADABLE, "Tệp không đọc được"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_the_log_says_of_each_document_how_its_files_are_signed(
    operator: FlaskClient,
    ledger: Ledger,
    signatures: tuple[FileSignature, ...],
    standing: FileStanding,
    said: str,
) -> None:
    document = judged(ledger, *signatures, standing=standing)
    row = row_of(operator, document)
    assert row is not None
    assert said in row
    head = shown(operator, document).partition('id="deliveries"')[0]
    assert said in head


def test_a_row_stands_out_for_what_was_found_in_files(operator: FlaskClient, ledger: Ledger) -> None:
    judged(ledger, signature(PERSON), signature(AGENCY), standing=FileStanding.VALID)
    assert 'class="attention' not in operator.get("/console/").text
    judged(ledger, standing=FileStanding.UNREADABLE)
    judged(ledger, signature(PERSON, ALTERED), standing=ALTERED)
    assert re.findall(r'<tr class="attention (\w+)', operator.get("/console/").text) == ["bad", "warn"]


def test_what_is_to_be_judged_is_said_and_what_is_held(operator: FlaskClient, ledger: Ledger) -> None:
    held = kept(ledger)
    row = row_of(operator, held)
    assert row is not None
    assert "Đang bị giữ lại" in row
    assert "Chờ xét chữ ký trong tệp" in row


def test_the_first_page_counts_what_to_look_at_and_leads_there(operator: FlaskClient, ledger: Ledger) -> None:
    page = operator.get("/console/").text
    assert 'class="looks none"' in page
    altered, held = judged(ledger, signature(PERSON, ALTERED), standing=ALTERED), kept(ledger)
    page = operator.get("/console/").text
    assert 'class="looks"' in page
    links = dict(
        re.findall(r'<a class="look mark \w+" href="([^"]+)"[^>]*>\s*<span class="shape".*?</span>([^<]+)', page)
    )
    leads = {words.strip(): address.replace("&amp;", "&") for address, words in links.items()}
    assert set(leads) == {"Tệp bị thay đổi sau khi ký", "Đang bị giữ lại"}
    assert "from=23/10/2026" in leads["Tệp bị thay đổi sau khi ký"].replace("%2F", "/")
    assert "from" not in leads["Đang bị giữ lại"]
    for said, inside, outside in (
        ("Tệp bị thay đổi sau khi ký", altered, held),
        ("Đang bị giữ lại", held, altered),
    ):
        assert row_of(operator, inside, leads[said]) is not None
        assert row_of(operator, outside, leads[said]) is None
    counts = operator.get("/console/counts.json").json
    assert counts is not None
    assert (counts["counts"]["concern-altered"], counts["counts"]["concern-kept"]) == (1, 1)
    assert counts["counts"]["concern-malware"] == 0


def test_what_is_older_than_thirty_days_is_counted_no_more_unless_it_is_kept(
    operator: FlaskClient, ledger: Ledger, clock: Clock
) -> None:
    judged(ledger, signature(PERSON, ALTERED), standing=ALTERED)
    kept(ledger)
    clock.pass_time(days=31)
    log_in(operator)
    counts = operator.get("/console/counts.json").json
    assert counts is not None
    assert (counts["counts"]["concern-altered"], counts["counts"]["concern-kept"]) == (0, 1)


def test_a_package_that_was_judged_again_is_told_in_the_log_and_at_the_head_of_its_page(
    operator: FlaskClient, ledger: Ledger
) -> None:
    valid = Verdict(standing=Standing.VALID, reason="signature.verified", judged_at=NOON)
    invalid = replace(valid, standing=Standing.INVALID, reason="signature.certificate_revoked", revoked_at=at(-60))
    document = a_document(verdict=valid)
    ledger.accept(document, [a_delivery()])
    ledger.rejudge([Rejudged(document=document.id, old=valid, new=invalid, cause="revoked")], now=at(1))
    row = row_of(operator, document.id)
    assert row is not None
    assert "Kết luận lại về chữ ký" in row
    page = shown(operator, document.id)
    assert re.search(
        r'class="flash bad" role="status"><a href="#signature">.{,60}chứng thư đã bị thu hồi',
        page.partition('id="deliveries"')[0],
    )
    way = page.partition('id="way"')[2].partition("</section>")[0]
    assert "Hợp lệ → Không hợp lệ · chứng thư đã bị thu hồi" in way
    assert "signature.certificate_revoked" not in way


def test_the_way_says_what_was_found_in_the_files(operator: FlaskClient, ledger: Ledger) -> None:
    document = judged(ledger, signature(PERSON, ALTERED), standing=ALTERED)
    way = shown(operator, document).partition('id="way"')[2].partition("</section>")[0]
    assert re.search(
        r'<li class="bad">(?:(?!<li).)*Đã kiểm tra chữ ký trong tệp(?:(?!<li).)*1 tệp: Nội dung bị thay đổi', way
    )


def test_an_archive_full_of_altered_files_does_not_push_the_page_away(operator: FlaskClient, ledger: Ledger) -> None:
    document = a_document(attachments=(attachment := an_attachment("a.zip"),))
    one = FileVerdict(
        content_id=attachment.content_id, name="a.zip", format="pdf", standing=ALTERED, reason="file.altered_after",
        judged_at=NOON,
    )  # fmt: skip
    files = tuple(replace(one, member=f"{n}.pdf") for n in range(30))
    ledger.accept(document, [a_delivery()], examinations=[NewExamination(kind=FILES, due_at=NOON)])
    done = Examined(state=ExaminationState.DONE, reason="file.judged", result=ExaminationResult(files=files))
    ledger.settle_examination(document.id, FILES, done, now=at(1))
    page = shown(operator, document.id)
    assert page.count('class="flash bad"') == 11
    assert "Còn 20 tệp nữa cần xem lại" in page


# Letting go


def kept(ledger: Ledger, *, refused: bool = False, kind: ExaminationKind = FILES) -> str:
    """A document that an examination holds, or has refused."""
    document, delivery = a_document(), a_delivery()
    ledger.accept(document, [delivery], examinations=[NewExamination(kind=kind, holds=True, due_at=NOON)])
    if refused:
        outcome = Examined(state=ExaminationState.REFUSED, reason="malware.found", detail="a.pdf: Thu.Nghiem-1")
        replies = {delivery.id: a_reply(document, StatusCode.REFUSED)}
        ledger.settle_examination(document.id, kind, outcome, now=at(1), replies=replies)
    return document.id


def release(client: FlaskClient, document: str, **form: str) -> TestResponse:
    known = {"csrf_token": token(client.get("/console/")), "kind": "files", "reason": "Đã quét bằng tay"}
    return client.post(f"/console/documents/{document}/release", data=known | form)


@pytest.mark.parametrize("refused", [False, True])
def test_an_operator_lets_a_document_go_with_a_reason(operator: FlaskClient, ledger: Ledger, refused: bool) -> None:
    document = kept(ledger, refused=refused)
    page = shown(operator, document)
    assert "Xác nhận cho chuyển" in page
    assert "Gửi lại" not in page  # no replay sends what an examination refuses
    answer = release(operator, document)
    assert (answer.status_code, answer.location) == (303, f"/console/documents/{document}")
    (delivery,) = ledger.deliveries(document)
    assert (delivery.state, delivery.blocked) == (DeliveryState.WAITING, False)
    (told,) = [e for e in ledger.events() if e.action is Action.DOCUMENT_RELEASED]
    assert (told.actor, told.data["reason"]) == ("van.hanh", "Đã quét bằng tay")
    page = shown(operator, document)
    assert "Đã cho chuyển; lý do đã ghi vào nhật ký." in page
    assert "Xác nhận cho chuyển" not in page
    release(operator, document)  # pressed twice
    assert "Kiểm tra này không còn giữ văn bản." in shown(operator, document)


def test_nothing_is_let_go_without_a_reason_or_what_is_not_there(operator: FlaskClient, ledger: Ledger) -> None:
    document = kept(ledger)
    release(operator, document, reason="  ")
    assert "Hãy nêu lý do cho chuyển." in shown(operator, document)
    assert release(operator, document, kind="malware").status_code == 404
    assert release(operator, document, kind="x").status_code == 404
    assert release(operator, "unknown").status_code == 404
    assert ledger.deliveries(document)[0].blocked


def test_who_may_only_look_lets_nothing_go_and_gets_no_malware(viewer: FlaskClient, ledger: Ledger) -> None:
    held, infected = kept(ledger), kept(ledger, refused=True, kind=ExaminationKind.MALWARE)
    assert "Xác nhận cho chuyển" not in shown(viewer, held)
    assert release(viewer, held).status_code == 403
    assert ledger.deliveries(held)[0].blocked
    for what in ("package", "evidence"):
        assert viewer.get(f"/console/documents/{infected}/{what}").status_code == 403
    assert viewer.get(f"/console/documents/{held}/package").status_code == 200


def test_a_form_that_has_expired_leads_back_to_its_document(operator: FlaskClient, ledger: Ledger) -> None:
    document = kept(ledger)
    page = f"/console/documents/{document}"
    assert f'name="next" value="{page}"' in operator.get(page).text
    answer = release(operator, document, csrf_token="of another session", next=page)
    assert answer.status_code == 400
    assert "Biểu mẫu đã hết hạn" in answer.text
    assert f'<a class="button primary" href="{page}">Mở lại trang</a>' in answer.text
    assert ledger.deliveries(document)[0].blocked


def test_a_form_sent_after_the_log_in_ended_comes_back_to_its_document(
    operator: FlaskClient, ledger: Ledger, clock: Clock
) -> None:
    document = kept(ledger)
    page = f"/console/documents/{document}"
    csrf = token(operator.get(page))
    clock.pass_time(hours=8)
    form = {"csrf_token": csrf, "kind": "files", "reason": "x", "next": page}
    answer = operator.post(f"{page}/release", data=form)
    assert (answer.status_code, answer.location) == (302, f"/console/login?next={page}")
    assert ledger.deliveries(document)[0].blocked
