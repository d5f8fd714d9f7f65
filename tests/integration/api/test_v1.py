"""The native REST protocol, call by call, as an agency's system meets it."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from werkzeug.test import TestResponse

from gateway.evidence.receipt import check_receipt
from gateway.evidence.seal import check_seal
from gateway.model import AgencyCode
from tests.support import documents
from tests.support.exchange import COMMUNE, DEPARTMENT, PUSHED, Site

XML = "application/xml"


def post(client: FlaskClient, raw: bytes, headers: dict[str, str], **more: str) -> TestResponse:
    return client.post("/api/v1/documents", data=raw, content_type=XML, headers={**headers, **more})


def to_commune(**changes: Any) -> bytes:
    return documents.a_package(recipients=(documents.an_organization(COMMUNE),), **changes)


def code_of(response: TestResponse) -> str:
    assert response.content_type == "application/problem+json"
    problem = json.loads(response.data)
    assert problem["status"] == response.status_code
    assert problem["vi"]
    assert problem["en"]
    return str(problem["code"])


# Posting


def test_a_posted_package_answers_202_with_a_signed_receipt(site: Site, client: FlaskClient) -> None:
    response = post(client, to_commune(), site.key(DEPARTMENT))
    assert response.status_code == 202
    receipt = response.get_json()
    assert check_receipt(receipt["jws"], site.parts.key.certificate).receipt_id == receipt["id"]
    assert response.headers["Location"] == f"/api/v1/documents/{receipt['id']}"
    assert receipt["duplicate"] is False


def test_the_same_package_again_answers_200_with_the_first_receipt(site: Site, client: FlaskClient) -> None:
    key = site.key(DEPARTMENT)
    first = post(client, to_commune(), key).get_json()
    response = post(client, to_commune(), key)
    assert response.status_code == 200
    assert response.get_json() == {**first, "duplicate": True}


def test_other_bytes_under_the_same_id_answer_409_naming_the_first(site: Site, client: FlaskClient) -> None:
    key = site.key(DEPARTMENT)
    first = post(client, to_commune(), key).get_json()
    response = post(client, to_commune(subject="Khác"), key)
    assert (response.status_code, code_of(response)) == (409, "document.conflict")
    assert json.loads(response.data)["existing"] == first["id"]


def test_a_package_with_faults_answers_422_with_each_of_them(site: Site, client: FlaskClient) -> None:
    response = post(client, to_commune(subject=None), site.key(DEPARTMENT))
    assert (response.status_code, code_of(response)) == (422, "package.invalid")
    assert "N.MessageHeader.Subject" in [e["code"] for e in json.loads(response.data)["errors"]]


def test_a_doctype_answers_400(site: Site, client: FlaskClient) -> None:
    response = post(client, b"<!DOCTYPE edXML><edXML/>", site.key(DEPARTMENT))
    assert (response.status_code, code_of(response)) == (400, "package.forbidden_markup")


@pytest.mark.parametrize("size", [300_000, 700_000], ids=["attachments", "body"])
def test_a_spool_that_cannot_be_used_is_our_trouble(site: Site, client: FlaskClient, size: int) -> None:
    site.parts.spool.rmdir()
    response = post(client, to_commune(contents={"main": documents.PDF + bytes(size)}), site.key(DEPARTMENT))
    site.parts.spool.mkdir()
    assert (response.status_code, code_of(response)) == (503, "payload.store_unavailable")
    assert site.ledger.documents().rows == ()


def test_an_encoded_body_answers_415(site: Site, client: FlaskClient) -> None:
    response = post(client, to_commune(), site.key(DEPARTMENT), **{"Content-Encoding": "gzip"})
    assert (response.status_code, code_of(response)) == (415, "request.unsupported_media")


def test_an_empty_body_answers_400(site: Site, client: FlaskClient) -> None:
    response = post(client, b"", site.key(DEPARTMENT))
    assert (response.status_code, code_of(response)) == (400, "package.empty")


def test_an_unknown_recipient_answers_422_with_its_code(site: Site, client: FlaskClient) -> None:
    raw = documents.a_package(recipients=(documents.an_organization("H37.404"),))
    response = post(client, raw, site.key(DEPARTMENT))
    assert (response.status_code, code_of(response)) == (422, "recipient.unknown")
    assert json.loads(response.data)["recipients"] == ["H37.404"]


def test_another_agencys_package_answers_403(site: Site, client: FlaskClient) -> None:
    response = post(client, to_commune(), site.key(COMMUNE))
    assert (response.status_code, code_of(response)) == (403, "sender.not_allowed")


def test_a_body_over_the_limit_answers_413(site: Site, client: FlaskClient) -> None:
    response = client.post(
        "/api/v1/documents",
        input_stream=io.BytesIO(b"x"),
        content_type=XML,
        environ_overrides={"CONTENT_LENGTH": str(21 * 1024 * 1024)},
        headers=site.key(DEPARTMENT),
    )
    assert (response.status_code, code_of(response)) == (413, "request.body_too_large")


def test_a_body_cut_short_answers_400_and_is_not_accepted(site: Site, client: FlaskClient) -> None:
    raw = to_commune()
    response = client.post(
        "/api/v1/documents",
        input_stream=io.BytesIO(raw[:-100]),
        content_type=XML,
        environ_overrides={"CONTENT_LENGTH": str(len(raw))},
        headers=site.key(DEPARTMENT),
    )
    assert (response.status_code, code_of(response)) == (400, "package.incomplete_upload")
    assert site.ledger.documents().rows == ()


@pytest.mark.parametrize("digest", ["sha-256=:AAAA:", "sha-256=x y"])
def test_a_body_that_is_not_what_its_digest_says_is_not_accepted(site: Site, client: FlaskClient, digest: str) -> None:
    response = post(client, to_commune(), site.key(DEPARTMENT), **{"Content-Digest": digest})
    assert (response.status_code, code_of(response)) == (400, "package.digest_mismatch")
    assert site.ledger.documents().rows == ()


def test_json_where_xml_belongs_answers_415(site: Site, client: FlaskClient) -> None:
    response = client.post("/api/v1/documents", json={}, headers=site.key(DEPARTMENT))
    assert (response.status_code, code_of(response)) == (415, "request.unsupported_media")


def test_a_peer_restricts_a_copy_to_some_recipients(site: Site, client: FlaskClient) -> None:
    raw = documents.a_package(recipients=(documents.an_organization(COMMUNE), documents.an_organization(PUSHED)))
    response = post(client, raw, site.key(DEPARTMENT), **{"Gateway-Recipients": COMMUNE})
    assert response.get_json()["recipients"] == [COMMUNE]


def test_words_and_files_become_a_package(site: Site, client: FlaskClient) -> None:
    metadata = {
        "recipients": [{"code": COMMUNE, "name": "UBND xã"}],
        "number": {"number": "08", "notation": "SA-VP"},
        "issued_on": "2026-03-05",
        "issued_place": "Lạng Sơn",
        "document_type": {"name": "Công văn", "type": 2, "detail": 18},
        "subject": "V/v gửi không cần XML",
        "priority": 1,
    }
    response = client.post(
        "/api/v1/documents",
        data={
            "metadata": json.dumps(metadata),
            "files": [(io.BytesIO(documents.PDF), "tờ trình.pdf"), (io.BytesIO(b"a;b\n1;2\n"), "bảng.csv")],
        },
        headers=site.key(DEPARTMENT),
    )
    assert response.status_code == 202, response.data
    document = site.ledger.document(response.get_json()["id"])
    assert document is not None
    assert document.document_id == f"{DEPARTMENT},2026/03/05,08/SA-VP"
    assert [(a.name, a.size) for a in document.attachments] == [("tờ trình.pdf", len(documents.PDF)), ("bảng.csv", 8)]


def test_a_post_without_a_signer_is_told_of_that_alone(site: Site, client: FlaskClient) -> None:
    metadata = {
        "recipients": [{"code": COMMUNE}, {"code": PUSHED, "name": ""}],
        "number": {"number": "08", "notation": "SA-VP"},
        "issued_on": "2026-03-05",
        "issued_place": "Lạng Sơn",
        "document_type": {"name": "Công văn", "type": 2},
        "subject": "V/v gửi không cần XML",
    }
    key = site.key(DEPARTMENT)
    files = [(io.BytesIO(documents.PDF), "a.pdf"), (io.BytesIO(b"a;b\n"), "b.csv"), (io.BytesIO(b"x"), "không đuôi")]
    data = {"metadata": json.dumps(metadata), "files": files}
    posted = client.post("/api/v1/documents", data=data, headers=key).get_json()
    shown = client.get(f"/api/v1/documents/{posted['id']}", headers=key).get_json()
    assert [w["code"] for w in shown["warnings"]] == ["N.MessageHeader.SignerInfo"]


@pytest.mark.parametrize(
    ("metadata", "path"),
    [(None, "metadata"), ("{", "metadata"), ('{"subject": ""}', "metadata.recipients"), ('{"x": 1}', "metadata")],
)
def test_words_that_do_not_fit_answer_400_with_their_path(
    site: Site, client: FlaskClient, metadata: str | None, path: str
) -> None:
    data = {"files": [(io.BytesIO(b"x"), "a.txt")]} | ({"metadata": metadata} if metadata is not None else {})
    response = client.post("/api/v1/documents", data=data, headers=site.key(DEPARTMENT))
    assert (response.status_code, code_of(response)) == (400, "request.invalid")
    assert json.loads(response.data)["path"].startswith(path)


# Looking up


def test_a_document_shows_its_copies_files_and_warnings(site: Site, client: FlaskClient) -> None:
    key = site.key(DEPARTMENT)
    posted = post(client, to_commune(), key).get_json()
    shown = client.get(f"/api/v1/documents/{posted['id']}", headers=key).get_json()
    assert shown["subject"] == "V/v kiểm thử liên thông văn bản"
    assert [d["state"] for d in shown["deliveries"]] == ["waiting"]
    assert [a["name"] for a in shown["attachments"]] == ["07-SA-VP.pdf"]


def test_diacritics_are_not_escaped(site: Site, client: FlaskClient) -> None:
    key = site.key(DEPARTMENT)
    posted = post(client, to_commune(), key).get_json()
    assert "kiểm thử".encode() in client.get(f"/api/v1/documents/{posted['id']}", headers=key).data


@pytest.mark.parametrize("call", ["", "/package", "/trace", "/evidence"])
def test_a_document_of_others_is_not_there(site: Site, client: FlaskClient, call: str) -> None:
    posted = post(client, to_commune(), site.key(DEPARTMENT)).get_json()
    response = client.get(f"/api/v1/documents/{posted['id']}{call}", headers=site.key(PUSHED))
    assert (response.status_code, code_of(response)) == (404, "request.not_found")


def test_a_recipient_is_not_told_of_the_copies_of_others(site: Site, client: FlaskClient) -> None:
    both = documents.a_package(recipients=(documents.an_organization(COMMUNE), documents.an_organization(PUSHED)))
    posted = post(client, both, site.key(DEPARTMENT)).get_json()
    for agency, copies in ((COMMUNE, {COMMUNE}), (DEPARTMENT, {COMMUNE, PUSHED})):
        key = site.key(agency)
        for call in ("", "/trace"):
            shown = client.get(f"/api/v1/documents/{posted['id']}{call}", headers=key).get_json()
            assert {d["recipient"] for d in shown["deliveries"]} == copies


def test_the_list_finds_words_without_accents(site: Site, client: FlaskClient) -> None:
    key = site.key(DEPARTMENT)
    post(client, to_commune(subject="Đề án chuyển đổi số"), key)
    found = client.get("/api/v1/documents", query_string={"q": "de an"}, headers=key).get_json()
    assert [d["subject"] for d in found["documents"]] == ["Đề án chuyển đổi số"]
    assert client.get("/api/v1/documents", query_string={"q": "khong co"}, headers=key).get_json()["documents"] == []


def test_the_list_is_paged_with_a_cursor(site: Site, client: FlaskClient) -> None:
    key = site.key(DEPARTMENT)
    for n in range(3):
        post(client, to_commune(document_id=documents.DocumentId(f"id-{n}")), key)
        site.clock.forward(seconds=1)
    first = client.get("/api/v1/documents?limit=2", headers=key)
    body = first.get_json()
    assert [d["document_id"] for d in body["documents"]] == ["id-2", "id-1"]
    assert 'rel="next"' in first.headers["Link"]
    rest = client.get("/api/v1/documents", query_string={"limit": 2, "cursor": body["next"]}, headers=key).get_json()
    assert ([d["document_id"] for d in rest["documents"]], rest["next"]) == (["id-0"], None)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "state=gone", "cursor=%00", "since=2026-01-01T00:00:00", "unknown=1"]
)
def test_a_filter_that_does_not_fit_answers_400(site: Site, client: FlaskClient, query: str) -> None:
    response = client.get(f"/api/v1/documents?{query}", headers=site.key(DEPARTMENT))
    assert (response.status_code, code_of(response)) == (400, "request.invalid")


def test_the_package_comes_in_ranges_so_that_a_dropped_link_resumes(site: Site, client: FlaskClient) -> None:
    key = site.key(DEPARTMENT)
    posted = post(client, to_commune(), key).get_json()
    url = f"/api/v1/documents/{posted['id']}/package"
    whole = client.get(url, headers=key)
    part = client.get(url, headers={**key, "Range": "bytes=100-199", "If-Range": whole.headers["ETag"]})
    assert (part.status_code, part.data) == (206, whole.data[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole.data)}"
    assert client.get(url, headers={**key, "Range": "bytes=99999999-"}).status_code == 416
    assert client.get(url, headers={**key, "If-None-Match": whole.headers["ETag"]}).status_code == 304


def test_the_evidence_verifies_without_the_gateway(site: Site, client: FlaskClient) -> None:
    from cryptography import x509

    key = site.key(DEPARTMENT)
    posted = post(client, to_commune(), key).get_json()
    asked = {**key, "Accept": "application/json"}
    evidence = client.get(f"/api/v1/documents/{posted['id']}/evidence", headers=asked).get_json()
    certificate = x509.load_pem_x509_certificate(evidence["certificate"].encode())
    assert check_receipt(evidence["receipt"]["jws"], certificate).sha256 == posted["sha256"]
    assert check_seal(evidence["seal"].encode(), certificate).sha256 == posted["sha256"]


# The mailbox


def locked(client: FlaskClient, key: dict[str, str]) -> tuple[str, str]:
    [item] = client.get("/api/v1/inbox", headers=key).get_json()["items"]
    lock = client.post(f"/api/v1/inbox/{item['delivery']}/lock", json={}, headers=key)
    assert lock.status_code == 200, lock.data
    return item["delivery"], lock.get_json()["token"]


def test_a_commune_collects_what_is_for_it(site: Site, client: FlaskClient) -> None:
    post(client, to_commune(), site.key(DEPARTMENT))
    key = site.key(COMMUNE)
    delivery, token = locked(client, key)
    package = client.get(f"/api/v1/inbox/{delivery}/package", headers=key)
    assert package.data.startswith(b"<?xml")
    settled = client.post(f"/api/v1/inbox/{delivery}/ack", json={"token": token}, headers=key).get_json()
    assert (settled["state"], settled["repeated"]) == ("delivered", False)
    again = client.post(f"/api/v1/inbox/{delivery}/ack", json={"token": token}, headers=key).get_json()
    assert again == {**settled, "repeated": True}
    assert client.get("/api/v1/inbox", headers=key).get_json()["items"] == []


def test_a_commune_refuses_with_a_reason(site: Site, client: FlaskClient) -> None:
    posted = post(client, to_commune(), site.key(DEPARTMENT)).get_json()
    key = site.key(COMMUNE)
    delivery, token = locked(client, key)
    url = f"/api/v1/inbox/{delivery}/refuse"
    assert code_of(client.post(url, json={"token": token, "reason": " "}, headers=key)) == "request.reason_required"
    settled = client.post(url, json={"token": token, "reason": "Không đúng thẩm quyền"}, headers=key).get_json()
    assert settled["state"] == "refused"
    trace = client.get(f"/api/v1/documents/{posted['id']}/trace", headers=key).get_json()
    assert [(s["code"], s["description"]) for s in trace["statuses"]] == [("02", "Không đúng thẩm quyền")]


def test_a_wrong_token_answers_409(site: Site, client: FlaskClient) -> None:
    post(client, to_commune(), site.key(DEPARTMENT))
    key = site.key(COMMUNE)
    delivery, _ = locked(client, key)
    response = client.post(f"/api/v1/inbox/{delivery}/ack", json={"token": "wrong"}, headers=key)
    assert (response.status_code, code_of(response)) == (409, "delivery.lease_lost")


def test_a_status_on_what_still_waits_in_the_mailbox_answers_409(site: Site, client: FlaskClient) -> None:
    posted = post(client, to_commune(), site.key(DEPARTMENT)).get_json()
    status = {"document": posted["id"], "code": "06"}
    response = client.post("/api/v1/statuses", json=status, headers=site.key(COMMUNE))
    assert (response.status_code, code_of(response)) == (409, "delivery.not_collected")


def test_a_status_01_after_the_acknowledgement_answers_200_with_the_gateways_own(
    site: Site, client: FlaskClient
) -> None:
    posted = post(client, to_commune(), site.key(DEPARTMENT)).get_json()
    site.collect(COMMUNE)
    status = {"document": posted["id"], "code": "01"}
    response = client.post("/api/v1/statuses", json=status, headers=site.key(COMMUNE))
    assert (response.status_code, response.get_json()["duplicate"]) == (200, True)


def test_a_status_in_json_reaches_the_sender(site: Site, client: FlaskClient) -> None:
    posted = post(client, to_commune(), site.key(DEPARTMENT)).get_json()
    site.collect(COMMUNE)
    status = {"document": posted["id"], "code": "03"}
    response = client.post("/api/v1/statuses", json=status, headers=site.key(COMMUNE))
    assert response.status_code == 202, response.data
    items = client.get("/api/v1/inbox", headers=site.key(DEPARTMENT)).get_json()["items"]
    assert [i["document"]["kind"] for i in items] == ["status", "status"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"null", 400),
        (b"[]", 400),
        (b'{"document": "x", "code": "99"}', 400),
        (b'{"document": "00000000-0000-7000-8000-000000000000", "code": "03"}', 404),
        (b'{"document": "\\u0000", "code": "03"}', 404),
    ],
)
def test_a_status_that_does_not_fit_is_refused(site: Site, client: FlaskClient, body: bytes, status: int) -> None:
    response = client.post("/api/v1/statuses", data=body, content_type="application/json", headers=site.key(COMMUNE))
    assert response.status_code == status, response.data
    code_of(response)


def test_agencies_are_found_without_accents_and_hidden_ones_are_not(site: Site, client: FlaskClient) -> None:
    key = site.key(COMMUNE)
    found = client.get("/api/v1/agencies?q=dong dang", headers=key).get_json()["agencies"]
    assert [a["code"] for a in found] == [COMMUNE]
    assert client.get("/api/v1/agencies?q=truc quoc gia", headers=key).get_json()["agencies"] == []


# Keys


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer x", "Basic Zm9vOmJhcg==", "Bearer gwk_000000000000_secret", "Bearer gwk_é_x"],
)
def test_without_a_valid_key_the_answer_is_401(client: FlaskClient, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = client.get("/api/v1/inbox", headers=headers)
    assert (response.status_code, code_of(response)) == (401, "request.not_authenticated")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_an_expired_key_answers_401(site: Site, client: FlaskClient) -> None:
    key = site.key(DEPARTMENT, expires_at=site.clock() + timedelta(minutes=1))
    assert client.get("/api/v1/inbox", headers=key).status_code == 200
    site.clock.forward(minutes=2)
    assert client.get("/api/v1/inbox", headers=key).status_code == 401


def test_a_revoked_key_answers_401_within_seconds(site: Site, client: FlaskClient) -> None:
    key = site.key(DEPARTMENT)
    assert client.get("/api/v1/inbox", headers=key).status_code == 200
    prefix = key["Authorization"].split("_")[1]
    site.ledger.revoke_key(prefix, at=site.clock(), actor="test", now=site.clock())
    site.clock.forward(seconds=6)
    assert client.get("/api/v1/inbox", headers=key).status_code == 401


@pytest.mark.parametrize(("scope", "allowed"), [("read", "/api/v1/documents"), ("receive", "/api/v1/inbox")])
def test_a_key_does_only_what_its_scopes_say(site: Site, client: FlaskClient, scope: str, allowed: str) -> None:
    key = site.key(DEPARTMENT, scopes=(scope,))
    for url in ("/api/v1/documents", "/api/v1/inbox"):
        response = client.get(url, headers=key)
        assert response.status_code == (200 if url == allowed else 403)
    assert code_of(post(client, to_commune(), key)) == "request.not_permitted"


def test_too_many_requests_answer_429_with_retry_after(site: Site) -> None:
    client = site.client(rate_limit="3 per hour")
    key = site.key(DEPARTMENT)
    codes = [client.get("/api/v1/inbox", headers=key).status_code for _ in range(5)]
    assert codes[:3] == [200, 200, 200]
    response = client.get("/api/v1/inbox", headers=key)
    assert (response.status_code, code_of(response)) == (429, "request.too_many")
    assert "Retry-After" in response.headers


# For machines


def test_health_readiness_and_metrics_need_no_key(site: Site, client: FlaskClient) -> None:
    post(client, to_commune(), site.key(DEPARTMENT))
    assert client.get("/healthz").get_json() == {"status": "ok"}
    assert client.get("/readyz").status_code == 200
    metrics = client.get("/metrics").data.decode()
    assert 'gateway_deliveries{state="waiting"} 1.0' in metrics


def test_what_is_not_ready_is_named(site: Site) -> None:
    response = site.client(ready=lambda: {"disk": "storage.full"}).get("/readyz")
    assert (response.status_code, response.get_json()["missing"]) == (503, {"disk": "storage.full"})


def test_the_openapi_document_is_valid_and_names_every_call(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    validate(document)
    assert {
        "/api/v1/documents", "/api/v1/documents/{document}", "/api/v1/documents/{document}/package",
        "/api/v1/documents/{document}/trace", "/api/v1/documents/{document}/evidence", "/api/v1/inbox",
        "/api/v1/inbox/{delivery}/lock", "/api/v1/inbox/{delivery}/package", "/api/v1/inbox/{delivery}/ack",
        "/api/v1/inbox/{delivery}/refuse", "/api/v1/statuses", "/api/v1/agencies",
        "/api/v1/documents/{document}/revoke", "/api/v1/documents/{document}/update",
        "/api/v1/documents/{document}/replace",
        "/api/v1/signing", "/api/v1/signing/{signing}", "/api/v1/signing/{signing}/complete",
        "/api/v1/signing/{signing}/file", "/api/v1/signing/certificates/{sha256}",
    } == set(document["paths"])  # fmt: skip


def test_the_documentation_page_loads_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/docs", follow_redirects=True)
    assert page.status_code == 200
    assert b"//cdn" not in page.data
    assert b"https://" not in page.data


def test_unknown_paths_and_methods_are_problems_too(client: FlaskClient) -> None:
    assert code_of(client.get("/api/v1/nothing")) == "request.not_found"
    response = client.delete("/api/v1/inbox")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]
    code_of(response)


def test_titles_follow_the_language_and_codes_do_not(site: Site, client: FlaskClient) -> None:
    vi = json.loads(client.get("/api/v1/inbox").data)
    en = json.loads(client.get("/api/v1/inbox", headers={"Accept-Language": "en"}).data)
    assert (vi["title"], en["title"]) == (vi["vi"], vi["en"])
    assert vi["code"] == en["code"]


def test_a_request_id_is_echoed_when_it_is_harmless(client: FlaskClient) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "abc-12345"}).headers["X-Request-ID"] == "abc-12345"
    assert client.get("/healthz", headers={"X-Request-ID": 'x"<script>'}).headers["X-Request-ID"] != 'x"<script>'


def test_a_ledger_that_fails_answers_503_and_says_no_more(site: Site, client: FlaskClient) -> None:
    key = site.key(DEPARTMENT)
    with site.ledger.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE api_keys")
    response = client.get("/api/v1/inbox", headers=key)
    assert response.status_code == 503
    assert b"api_keys" not in response.data
    code_of(response)


def test_agency_codes_are_not_case_sensitive_in_filters(site: Site, client: FlaskClient) -> None:
    key = site.key(DEPARTMENT)
    post(client, to_commune(), key)
    found = client.get("/api/v1/documents", query_string={"recipient": "h37.21"}, headers=key).get_json()
    assert [d["sender"] for d in found["documents"]] == [AgencyCode(DEPARTMENT)]
