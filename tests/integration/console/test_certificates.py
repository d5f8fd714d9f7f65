"""The page of certificates: who signs with what, until when, and what was judged anew."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway.directory.certificates import register_certificate
from gateway.ledger import Ledger
from gateway.ledger.records import OperatorRole
from gateway.ledger.revocation import Finding, NewWatched, Rejudged, StoredItem
from gateway.model import SignedBy, Standing, Verdict
from gateway.signing.keys import SigningKey, certificates_to_pem
from tests.support import pki
from tests.support.agencies import a_directory
from tests.support.console import COMMUNE, PROVINCE, Clock, a_console, add_person, log_in
from tests.support.ledger import NOON, a_document, at

DAY = timedelta(days=1)


def a_key(name: str, days: int) -> SigningKey:
    return pki.certify(pki.keys.subject_name(name), at=NOON - DAY, valid_for=days * DAY + DAY)


SOON, LATER, OWN = a_key("Xã sắp hết hạn", 20), a_key("Xã <b>lâu dài</b>", 300), a_key("Trục", 5)
VALID = Verdict(
    standing=Standing.VALID,
    reason="signature.verified",
    judged_at=NOON,
    signed_by=SignedBy.SENDER,
    certificate_sha256=LATER.certificate_sha256,
)
INVALID = replace(VALID, standing=Standing.INVALID, reason="signature.certificate_revoked", revoked_at=at(-60))


def watched(key: SigningKey, origin: str) -> NewWatched:
    certificate = key.certificate
    return NewWatched(
        sha256=key.certificate_sha256,
        origin=origin,
        subject=certificate.subject.rfc4514_string(),
        not_after=certificate.not_valid_after_utc,
        der=key.certificate_der,
    )


@pytest.fixture
def app(ledger: Ledger, clock: Clock) -> Flask:
    def registered(key: SigningKey, role: str, holder: str | None = None) -> object:
        return register_certificate(certificates_to_pem([key.certificate]).decode(), role=role, holder=holder)

    held = (registered(SOON, "person", "Bà Hà, Chủ tịch"), registered(LATER, "agency"))
    agencies = [replace(a, certificates=held) if a.code == COMMUNE else a for a in PROVINCE]
    ledger.watch_certificates(
        [watched(SOON, "registered"), watched(LATER, "registered"), watched(OWN, "own")], now=NOON
    )
    directory = a_directory(agencies)
    return a_console(ledger, clock, directory=lambda: directory)


def test_those_that_end_first_stand_first_with_whose_they_are(viewer: FlaskClient) -> None:
    page = viewer.get("/console/certificates").text
    assert re.findall(r'<code class="hash" title="SHA-256">(\w+)<', page) == [
        k.certificate_sha256 for k in (OWN, SOON, LATER)
    ]
    assert "Bà Hà, Chủ tịch" in page
    assert "Ủy ban nhân dân xã Đồng Đăng" in page
    assert "còn 20 ngày" in page
    assert "khóa của trục này" in page
    assert "<b>lâu" not in page


def test_the_filter_shows_what_needs_attention(viewer: FlaskClient, ledger: Ledger) -> None:
    page = viewer.get("/console/certificates?show=expiring").text
    assert SOON.certificate_sha256 in page
    assert LATER.certificate_sha256 not in page
    assert 'show=expiring" aria-current="page"' in page
    assert "Không có chứng thư nào bị thu hồi" in viewer.get("/console/certificates?show=revoked").text
    revoked = Finding(sha256=LATER.certificate_sha256, state="revoked", revoked_at=at(-60), reason="key_compromise")
    ledger.note_revocation([revoked], now=NOON)
    page = viewer.get("/console/certificates?show=revoked").text
    assert LATER.certificate_sha256 in page
    assert "Bị thu hồi" in page
    assert viewer.get("/console/certificates?show=else").status_code == 400
    assert viewer.get("/console/certificates?before=x").status_code == 400


def test_the_nearer_the_end_the_louder(viewer: FlaskClient, clock: Clock) -> None:
    page = viewer.get("/console/certificates").text
    assert re.findall(r'<span class="mark (\w+)"><span[^>]*>.</span>([^<]+)</span>', page)[:4:2] == [
        ("bad", "còn 5 ngày"), ("warn", "còn 20 ngày"),
    ]  # fmt: skip
    clock.pass_time(days=4, hours=1)
    log_in(viewer, "xem")
    assert "hết hạn trong 24 giờ" in viewer.get("/console/certificates").text


def test_without_any_certificate_the_page_says_what_to_do(ledger: Ledger, clock: Clock) -> None:
    add_person(ledger, "ai", OperatorRole.VIEWER)
    client = a_console(ledger, clock).test_client()
    log_in(client, "ai")
    page = client.get("/console/certificates").text
    assert "<table" not in page
    assert "Chưa đăng ký chứng thư nào" in page
    assert "gateway certificates add" in page
    assert "Không có chứng thư nào hết hạn trong 60 ngày" in client.get("/console/certificates?show=expiring").text


def test_a_source_that_fails_or_is_late_stands_at_the_top(viewer: FlaskClient, ledger: Ledger, clock: Clock) -> None:
    item = StoredItem(
        name="http://ca.example/late.crl", kind="crl", der=b"1", sha256="1", this_update=NOON, next_update=NOON + DAY
    )
    ledger.keep_revocation(item, now=NOON, due_at=NOON)
    assert "late.crl" not in viewer.get("/console/certificates").text
    ledger.revocation_failed("http://ca.example/x", code="delivery.peer_failed", detail="x", now=NOON, due_at=NOON)
    page = viewer.get("/console/certificates").text
    assert "http://ca.example/x" in page
    assert "delivery.peer_failed" in page
    clock.pass_time(hours=25)
    log_in(viewer, "xem")
    assert "late.crl" in viewer.get("/console/certificates").text


def test_changed_verdicts_are_listed_with_their_documents_and_paged(viewer: FlaskClient, ledger: Ledger) -> None:
    documents = [a_document(verdict=VALID, number=str(n), subject=f"Việc {n}") for n in range(52)]
    for document in documents:
        ledger.accept(document, [])
    ledger.rejudge([Rejudged(document=d.id, old=VALID, new=INVALID, cause="revoked") for d in documents], now=at(5))
    page = viewer.get("/console/certificates").text
    assert page.count("/console/documents/") == 50
    older = re.search(r'rel="next" href="([^"]+)"', page)
    assert older is not None
    rest = viewer.get(older[1].replace("&amp;", "&")).text
    assert rest.count("/console/documents/") == 2
    assert documents[0].id in rest
    assert "<bdi>0/QĐ-UBND</bdi>" in rest
    assert "Việc 0" in rest


def test_a_documents_page_tells_how_it_was_judged_at_first_and_later(viewer: FlaskClient, ledger: Ledger) -> None:
    document = a_document(verdict=VALID)
    ledger.accept(document, [])
    assert "khi tiếp nhận" not in viewer.get(f"/console/documents/{document.id}").text
    ledger.rejudge([Rejudged(document=document.id, old=VALID, new=INVALID, cause="revoked")], now=at(5))
    page = viewer.get(f"/console/documents/{document.id}").text
    assert "khi tiếp nhận" in page
    assert "chứng thư bị thu hồi" in page
    assert "Kết luận lại về chữ ký" in page


def test_it_speaks_english_too(app: Flask, ledger: Ledger) -> None:
    add_person(ledger, "en", OperatorRole.VIEWER, language="en")
    client = app.test_client()
    log_in(client, "en")
    page = client.get("/console/certificates").text
    assert "Ending within 60 days" in page
    assert "20 days left" in page
