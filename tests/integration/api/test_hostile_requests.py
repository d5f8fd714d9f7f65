"""Requests that are odd, too large, or from nobody: each has its code, leaves its trace, and none is a 500."""

from __future__ import annotations

import base64
import http.client
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cryptography import x509
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from gateway.api.services import Services
from gateway.cli.server import Patience, Serving, WebServer
from gateway.ledger import Ledger
from gateway.model import DocumentId, DocumentNumber
from tests.integration.api.test_v1 import code_of, post, to_commune
from tests.support import documents, pki
from tests.support.exchange import COMMUNE, DEPARTMENT, PUSHED, Site, a_site

JSON = "application/json"
METADATA = {
    "recipients": [{"code": COMMUNE}],
    "number": {"number": "08", "notation": "SA-VP"},
    "issued_on": "2026-03-05",
    "issued_place": "Lang Son",
    "document_type": {"name": "To trinh", "type": 2},
    "subject": "Báo cáo",
}


def posted(site: Site, client: FlaskClient, number: int = 1) -> str:
    """A document to the commune; the gateway's id."""
    raw = to_commune(document_id=DocumentId(f"id-{number}"), number=DocumentNumber(number=str(number), notation="Q"))
    return str(post(client, raw, site.key(DEPARTMENT)).get_json()["id"])


def composed(
    site: Site, client: FlaskClient, metadata: bytes, *, name: bytes = b"a.pdf", as_file: bool = False
) -> TestResponse:
    """A multipart post of just these bytes."""
    named = b'; filename="metadata.json"' if as_file else b""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="metadata"%s\r\n\r\n%s\r\n' % (named, metadata)
        + b'--b\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\n\r\n' % name
        + documents.PDF
        + b"\r\n--b--\r\n"
    )
    return client.post(
        "/api/v1/documents", data=body, content_type="multipart/form-data; boundary=b", headers=site.key(DEPARTMENT)
    )


# Words in JSON


@pytest.mark.parametrize("call", ["statuses", "inbox/x/lock", "inbox/x/ack", "inbox/x/refuse"])
def test_json_over_64_kb_is_refused_before_it_is_read(site: Site, client: FlaskClient, call: str) -> None:
    body = io.BytesIO(b"[" + b"{}," * 40_000 + b"{}]")
    response = client.post(
        f"/api/v1/{call}",
        input_stream=body,
        content_type=JSON,
        environ_overrides={"CONTENT_LENGTH": str(len(body.getvalue()))},
        headers=site.key(COMMUNE),
    )
    assert (response.status_code, code_of(response)) == (413, "request.body_too_large")
    assert body.tell() == 0


def test_a_key_for_something_else_is_told_so_before_its_body_is_read(site: Site, client: FlaskClient) -> None:
    body = io.BytesIO(b"{}")
    response = client.post(
        "/api/v1/inbox/x/ack",
        input_stream=body,
        content_type=JSON,
        environ_overrides={"CONTENT_LENGTH": "2"},
        headers=site.key(COMMUNE, scopes=("read",)),
    )
    assert (response.status_code, code_of(response)) == (403, "request.not_permitted")
    assert body.tell() == 0


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"a":' * 10_000, b"1" * 5_000, b"{", b"\xff\xfe\xfa"])
@pytest.mark.parametrize("call", ["statuses", "inbox/x/lock"])
def test_json_that_cannot_be_read_answers_400(site: Site, client: FlaskClient, call: str, body: bytes) -> None:
    response = client.post(f"/api/v1/{call}", data=body, content_type=JSON, headers=site.key(COMMUNE))
    assert (response.status_code, code_of(response)) == (400, "request.invalid")


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe\xfa", b"<edXML/>"])
def test_a_body_that_is_not_json_is_called_so(site: Site, client: FlaskClient, body: bytes) -> None:
    response = client.post("/api/v1/statuses", data=body, content_type=JSON, headers=site.key(COMMUNE))
    assert json.loads(response.data)["detail"] == "The body is not JSON in UTF-8."


def test_a_method_that_a_call_does_not_have_is_answered_as_the_page_of_errors_says(client: FlaskClient) -> None:
    response = client.delete("/api/v1/inbox")
    assert (response.status_code, code_of(response)) == (405, "request.invalid")
    assert "GET" in response.headers["Allow"]


# Times


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1899-12-31T00:00:00Z", "2026-01-01T00:00:00"]
)
def test_times_at_the_ends_of_the_calendar_answer_400(site: Site, client: FlaskClient, moment: str) -> None:
    document = posted(site, client)
    key = site.key(COMMUNE)
    answers = [client.get("/api/v1/documents", query_string={n: moment}, headers=key) for n in ("since", "until")]
    report = {"document": document, "code": "03", "reported_at": moment}
    answers.append(client.post("/api/v1/statuses", json=report, headers=key))
    assert [(a.status_code, code_of(a)) for a in answers] == [(400, "request.invalid")] * 3


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_cursor_at_the_ends_of_the_calendar_answers_400(site: Site, client: FlaskClient, moment: str) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps([moment, "b"]).encode()).decode().rstrip("=")
    response = client.get("/api/v1/documents", query_string={"cursor": cursor}, headers=site.key(COMMUNE))
    assert (response.status_code, code_of(response)) == (400, "request.invalid")


# Text that has lost its characters


@pytest.mark.parametrize("as_file", [False, True], ids=["field", "file"])
@pytest.mark.parametrize(
    "words",
    [
        json.dumps(METADATA, ensure_ascii=False).encode("latin-1"),
        json.dumps({**METADATA, "subject": "B\N{REPLACEMENT CHARACTER}o"}).encode(),
    ],
    ids=["latin-1", "lost-before"],
)
def test_words_that_are_not_utf_8_become_no_document(
    site: Site, client: FlaskClient, words: bytes, as_file: bool
) -> None:
    response = composed(site, client, words, as_file=as_file)
    assert (response.status_code, code_of(response)) == (400, "request.invalid")
    assert site.ledger.documents().rows == ()


def test_a_file_name_that_is_not_utf_8_becomes_no_document(site: Site, client: FlaskClient) -> None:
    response = composed(site, client, json.dumps(METADATA).encode(), name="báo cáo.pdf".encode("latin-1"))
    assert (response.status_code, code_of(response)) == (400, "request.invalid")
    assert site.ledger.documents().rows == ()


# The real server


@contextmanager
def served(client: FlaskClient) -> Iterator[int]:
    """The application behind the web server; its port."""
    server = WebServer("127.0.0.1", 0, client.application, threads=2, patience=Patience())
    server.prepare()
    serving = Serving(server)
    serving.start()
    try:
        yield server.port
    finally:
        serving.stop()


@pytest.mark.parametrize("query", ["q=ki%E1%BB%83m&limit=1", "q=ki%0Aem&limit=1", "q=kiem&limit=1&sender=h37.14"])
def test_the_link_to_the_next_page_leads_there(site: Site, client: FlaskClient, query: str) -> None:
    ids = [posted(site, client, n) for n in (1, 2)]
    with served(client) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        found = []
        target: str | None = f"/api/v1/documents?{query}"
        while target:
            connection.request("GET", target, headers=site.key(DEPARTMENT))
            answer = connection.getresponse()
            body = json.loads(answer.read())
            assert answer.status == 200, body
            found += [d["id"] for d in body["documents"]]
            link = answer.getheader("Link")
            target = link.partition(">")[0].lstrip("<") if link else None
        connection.close()
    assert sorted(found) == sorted(ids)


# Packages that are not there


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_missing_payload_does_not_begin_as_a_success(ledger: Ledger, tmp_path: Any, method: str) -> None:
    with a_site(ledger, tmp_path, inline_bytes=1000, complete_unsigned=False) as site:
        client = site.client()
        document = posted(site, client)
        shutil.rmtree(tmp_path / "payloads")
        response = client.open(f"/api/v1/documents/{document}/package", method=method, headers=site.key(DEPARTMENT))
        assert response.status_code == 500
        assert response.content_type == "application/problem+json"


# Traces of what was turned away


def test_a_digest_mismatch_leaves_its_trace(site: Site, client: FlaskClient) -> None:
    raw = to_commune()
    post(client, raw, site.key(DEPARTMENT), **{"Content-Digest": "sha-256=:AAAA:"})
    [kept] = site.ledger.refusals()
    assert (kept.code, kept.credential_agency, kept.size) == ("package.digest_mismatch", DEPARTMENT, len(raw))
    assert kept.sha256 is not None


def test_words_in_the_name_of_another_leave_their_trace(site: Site, client: FlaskClient) -> None:
    response = composed(site, client, json.dumps({**METADATA, "sender": PUSHED}).encode())
    assert (response.status_code, code_of(response)) == (403, "sender.not_allowed")
    [kept] = site.ledger.refusals()
    assert (kept.code, kept.path, kept.credential_agency) == ("sender.not_allowed", "metadata.sender", DEPARTMENT)


@pytest.mark.parametrize("size", [21 * 1024 * 1024, int("9" * 30)], ids=["large", "absurd"])
@pytest.mark.parametrize("kind", ["application/xml", "multipart/form-data; boundary=b"])
def test_a_body_over_the_limit_leaves_its_trace(site: Site, client: FlaskClient, kind: str, size: int) -> None:
    response = client.post(
        "/api/v1/documents",
        input_stream=io.BytesIO(b"x"),
        content_type=kind,
        environ_overrides={"CONTENT_LENGTH": str(size)},
        headers=site.key(DEPARTMENT),
    )
    assert (response.status_code, code_of(response)) == (413, "request.body_too_large")
    kept = [(r.code, r.size, r.sha256) for r in site.ledger.refusals()]
    assert kept == [("request.body_too_large", min(size, 2**63 - 1), None)]


def test_what_accept_turns_away_is_kept_once(site: Site, client: FlaskClient) -> None:
    post(client, to_commune(subject=None), site.key(DEPARTMENT))
    composed(site, client, json.dumps({**METADATA, "recipients": [{"code": "H37.404"}]}).encode())
    assert sorted(r.code for r in site.ledger.refusals()) == ["package.invalid", "recipient.unknown"]


# Scopes and certificates


@pytest.mark.parametrize(("scope", "status"), [("receive", 202), ("send", 202), ("read", 403)])
def test_who_receives_may_report(site: Site, client: FlaskClient, scope: str, status: int) -> None:
    report = {"document": posted(site, client), "code": "03"}
    site.collect(COMMUNE)
    response = client.post("/api/v1/statuses", json=report, headers=site.key(COMMUNE, scopes=(scope,)))
    assert response.status_code == status, response.data


def _evidence_after_another_key(site: Site, former: dict[str, x509.Certificate]) -> Any:
    client = site.client()
    document = posted(site, client)
    other = pki.agency_ec()
    services: Services = client.application.extensions["gateway"]
    object.__setattr__(services.parts, "key", other)  # as after a restart with a new key
    object.__setattr__(services, "certificates", former)
    return client.get(f"/api/v1/documents/{document}/evidence", headers=site.key(DEPARTMENT)).get_json()


def test_evidence_of_a_former_key_comes_with_the_former_certificate(site: Site) -> None:
    former = site.parts.key
    shown = _evidence_after_another_key(site, {former.certificate_sha256: former.certificate})
    assert x509.load_pem_x509_certificate(shown["certificate"].encode()) == former.certificate


def test_evidence_whose_certificate_is_not_at_hand_comes_without_one(site: Site) -> None:
    assert _evidence_after_another_key(site, {})["certificate"] is None
