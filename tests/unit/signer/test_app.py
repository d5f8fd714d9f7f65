"""Who may ask the helper, and for what: requests as browsers and others on the machine make them."""

from __future__ import annotations

import re
import threading
from base64 import b64decode, b64encode
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from gateway.errors import NobodyAnswered, PageNotAllowed, SigningDeclined
from gateway.signer.app import _OPEN, is_open_to_change, origin_of
from gateway.signer.desk import Consent, Question
from gateway.signer.preflight import AtGateway
from gateway.signing.keys import signature_fits
from tests.support import pki
from tests.support.signer import PAGE, PIN, PORT, Desk, KeysInMemory, Person
from tests.unit.signing.test_to_be_signed import DIGEST, attributes, names_certificate, signed_info

HOST = f"127.0.0.1:{PORT}"
EVIL = "https://evil.example.com"


@pytest.fixture
def desk() -> Desk:
    return Desk(KeysInMemory([pki.agency(), pki.agency_ec()]))


@pytest.fixture
def client(desk: Desk) -> FlaskClient:
    return desk.client()


def headers(token: str | None = None, *, origin: str | None = PAGE, host: str = HOST, **more: str) -> dict[str, str]:
    given = {"Host": host, **more}
    if origin is not None:
        given["Origin"] = origin
    if token is not None:
        given["Authorization"] = f"Bearer {token}"
    return given


def code_of(response: TestResponse) -> tuple[int, str]:
    body = response.get_json()
    assert body["vi"].endswith(".")
    assert body["en"].endswith((".", "`."))
    return response.status_code, body["code"]


def ask(client: FlaskClient, token: str | None, data: bytes | None = None, **changes: Any) -> TestResponse:
    body = {
        "certificate_sha256": pki.agency().certificate_sha256,
        "to_be_signed": b64encode(signed_info() if data is None else data).decode(),
        "description": "12/QĐ-UBND",
        **changes,
    }
    return client.post("/v1/sign", json=body, headers=headers(token))


# Who may ask


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"[::1]:{PORT}", f"LOCALHOST:{PORT}"])
def test_requests_that_name_this_machine_are_heard(client: FlaskClient, host: str) -> None:
    assert client.get("/v1/hello", headers=headers(host=host)).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example.com", f"evil.example.com:{PORT}", "127.0.0.1", "127.0.0.1:80", f"127.0.0.1.nip.io:{PORT}", ""],
)
def test_a_name_that_was_bent_to_this_machine_is_refused(client: FlaskClient, host: str) -> None:
    response = client.get("/v1/hello", headers=headers(host=host))
    assert code_of(response) == (403, "signer.page_not_allowed")
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    "origin",
    [EVIL, None, "null", "", PAGE + ".evil.com", PAGE + ":8443", "http://eoffice.example.vn", PAGE.upper(), PAGE + "/"],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_another_page_is_refused_and_cannot_read_why(client: FlaskClient, origin: str | None, method: str) -> None:
    response = client.open("/v1/state", method=method, headers=headers(origin=origin))
    assert code_of(response) == (403, "signer.page_not_allowed")
    assert not [name for name in dict(response.headers) if name.startswith("Access-Control-")]


def test_a_preflight_of_an_allowed_page_is_answered_for_the_private_network_too(client: FlaskClient) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Private-Network": "true"}
    response = client.options("/v1/sign", headers=headers(**asked))
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == PAGE
    assert response.headers["Access-Control-Allow-Private-Network"] == "true"
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    assert response.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_the_private_network_is_not_spoken_of_when_nobody_asked(client: FlaskClient) -> None:
    response = client.options("/v1/sign", headers=headers(**{"Access-Control-Request-Method": "POST"}))
    assert "Access-Control-Allow-Private-Network" not in response.headers


def test_every_call_but_pairing_demands_a_token(desk: Desk, client: FlaskClient) -> None:
    open_calls = []
    for rule in desk.app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            response = client.open(rule.rule, method=method, json={}, headers=headers())
            if response.status_code != 401:
                open_calls.append(rule.endpoint)
    assert set(open_calls) == _OPEN


def test_a_token_of_another_page_is_refused(desk: Desk) -> None:
    both = Desk(desk.keyring, origins=(PAGE, "https://other.example.vn"))
    response = both.client().get("/v1/state", headers=headers(both.token("https://other.example.vn")))
    assert code_of(response) == (401, "signer.not_paired")


def test_a_form_that_a_page_can_send_without_asking_is_refused(desk: Desk, client: FlaskClient) -> None:
    for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        response = client.post("/v1/sign", data="{}", content_type=media, headers=headers(desk.token()))
        assert code_of(response) == (400, "request.invalid")
        desk.clock.forward(seconds=10)


def test_a_page_is_paired_by_the_code_that_the_person_was_shown(desk: Desk, client: FlaskClient) -> None:
    assert client.post("/v1/pairing", json={}, headers=headers()).status_code == 202
    [(origin, code)] = desk.person.codes
    assert origin == PAGE
    assert re.fullmatch(r"\d{8}", code)
    token = client.post("/v1/pairing/code", json={"code": code}, headers=headers()).get_json()["token"]
    assert client.get("/v1/state", headers=headers(token)).status_code == 200
    assert client.delete("/v1/pairing", headers=headers(token)).status_code == 204
    assert client.get("/v1/state", headers=headers(token)).status_code == 401


def test_a_wrong_code_pairs_nobody(desk: Desk, client: FlaskClient) -> None:
    client.post("/v1/pairing", json={}, headers=headers())
    for code in ("x", "\\ud800", "１２３４５６７８"):
        body = f'{{"code": "{code}"}}'.encode()
        response = client.post("/v1/pairing/code", data=body, content_type="application/json", headers=headers())
        assert code_of(response) == (403, "signer.pairing_code_wrong")
    assert desk.person.codes[0][1] not in response.get_data(as_text=True)


# What is signed


@pytest.mark.parametrize("key", [pki.agency, pki.agency_ec], ids=["rsa", "ec"])
def test_what_comes_back_is_the_signature_over_what_was_asked(desk: Desk, client: FlaskClient, key: Any) -> None:
    sha256 = key().certificate_sha256
    data = attributes(names_certificate(key().certificate_der))
    answer = ask(client, desk.token(), data, certificate_sha256=sha256).get_json()
    assert signature_fits(key().certificate, b64decode(answer["signature"]), data)
    assert (answer["certificate_sha256"], answer["signature_algorithm"]) == (sha256, key().algorithm)


def test_the_person_sees_who_asks_for_what(desk: Desk, client: FlaskClient) -> None:
    ask(client, desk.token(), description="12/QĐ\n\x1b[2J\u202egiả")
    [question] = desk.person.questions
    assert (question.origin, question.kind, question.digest) == (PAGE, "package", DIGEST.hex())
    assert question.holder == "Sở Thử nghiệm Đặc biệt"
    assert question.description == "12/QĐ\ufffd\ufffd[2J\ufffdgiả"


@pytest.mark.parametrize(
    ("refusal", "status"),
    [(SigningDeclined(), 403), (NobodyAnswered(), 408)],
    ids=["declined", "no answer"],
)
def test_without_consent_nothing_is_signed(desk: Desk, client: FlaskClient, refusal: Any, status: int) -> None:
    desk.person.answer = refusal
    assert code_of(ask(client, desk.token())) == (status, refusal.code)


def test_a_wrong_pin_signs_nothing_and_is_not_repeated_to_anybody(desk: Desk, client: FlaskClient) -> None:
    desk.person.answer = Consent(pin="not-the-pin")
    response = ask(client, desk.token())
    assert code_of(response) == (409, "key.unusable")
    assert "not-the-pin" not in response.get_data(as_text=True)
    assert "not-the-pin" not in repr(desk.person.answer)


@pytest.mark.parametrize("data", [b"anything at all", b"GET / HTTP/1.1", attributes(content="tst_info")])
def test_nothing_but_a_document_s_signature_is_signed_nor_asked_about(
    desk: Desk, client: FlaskClient, data: bytes
) -> None:
    assert code_of(ask(client, desk.token(), data)) == (422, "signer.nothing_to_sign")
    assert desk.person.questions == []


def test_a_signature_that_names_another_certificate_is_not_made(desk: Desk, client: FlaskClient) -> None:
    data = attributes(names_certificate(pki.agency_ec().certificate_der))
    assert code_of(ask(client, desk.token(), data)) == (422, "signer.nothing_to_sign")


def test_a_certificate_that_the_token_does_not_hold_is_named(desk: Desk, client: FlaskClient) -> None:
    response = ask(client, desk.token(), certificate_sha256="00" * 32)
    assert code_of(response) == (404, "signer.certificate_unknown")


@pytest.mark.parametrize("key", [pki.expired, pki.not_yet_valid, pki.wrong_usage])
def test_a_certificate_that_cannot_sign_now_is_not_asked_about(key: Any) -> None:
    desk = Desk(KeysInMemory([key()]))
    response = ask(desk.client(), desk.token(), certificate_sha256=key().certificate_sha256)
    assert response.get_json()["code"] == "key.unusable"
    assert desk.person.questions == []


@pytest.mark.parametrize(
    "change",
    [
        {"certificate_sha256": "AB" * 32},
        {"certificate_sha256": None},
        {"to_be_signed": "not base64!"},
        {"to_be_signed": "chữ ký"},
        {"to_be_signed": 7},
        {"description": None},
        {"description": "x" * 1001},
    ],
)
def test_a_request_that_is_not_well_formed_is_refused(desk: Desk, client: FlaskClient, change: Any) -> None:
    assert code_of(ask(client, desk.token(), **change)) == (400, "request.invalid")


def test_a_body_beyond_the_bound_is_not_read(desk: Desk, client: FlaskClient) -> None:
    assert ask(client, desk.token(), b"x" * 200_000).status_code == 413


def test_one_signature_is_made_at_a_time(desk: Desk) -> None:
    asked, go_on = threading.Event(), threading.Event()

    class Slow(Person):
        def ask(self, question: Question, **_: Any) -> Consent:
            asked.set()
            assert go_on.wait(20)
            return Consent(pin=PIN)

    slow = Desk(desk.keyring, person=Slow())
    token = slow.token()
    first: list[int] = []
    thread = threading.Thread(target=lambda: first.append(ask(slow.client(), token).status_code))
    thread.start()
    assert asked.wait(20)
    try:
        assert code_of(ask(slow.client(), token)) == (409, "signer.busy")
        assert code_of(slow.client().get("/v1/state", headers=headers(token))) == (409, "signer.busy")
    finally:
        go_on.set()
        thread.join()
    assert first == [200]


# Preflight


def state(desk: Desk) -> dict[str, Any]:
    token = desk.token()
    desk.clock.forward(seconds=10)
    found: dict[str, Any] = desk.client().get("/v1/state", headers=headers(token)).get_json()
    return found


def test_the_state_names_the_certificates_and_is_ready(desk: Desk) -> None:
    found = state(desk)
    assert found["ready"] is True
    assert [c["sha256"] for c in found["certificates"]] == [k.certificate_sha256 for k in desk.keyring.keys]
    assert found["certificates"][0]["holder"] == "Sở Thử nghiệm Đặc biệt"
    assert found["key"] == "Token thử"
    assert (found["findings"], found["asked_gateway"]) == ([], False)


def test_a_token_that_was_pulled_out_is_named_and_found_again_when_it_is_back(desk: Desk) -> None:
    desk.keyring.pulled_out = True
    gone = state(desk)
    assert (gone["ready"], gone["trouble"]["code"], gone["certificates"]) == (False, "key.unusable", [])
    desk.keyring.pulled_out = False
    assert state(desk)["ready"] is True


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (pki.expired, "certificate.expired"),
        (pki.not_yet_valid, "certificate.not_yet_valid"),
        (pki.wrong_usage, "certificate.usage"),
    ],
)
def test_a_certificate_that_cannot_sign_is_said_to(key: Any, code: str) -> None:
    found = state(Desk(KeysInMemory([key()])))
    assert [f["code"] for f in found["certificates"][0]["findings"]] == [code]
    assert (found["ready"], found["certificates"][0]["can_sign"]) == (False, False)


def test_a_certificate_that_ends_soon_can_still_sign() -> None:
    desk = Desk(KeysInMemory([pki.agency()]))
    desk.clock.now = pki.agency().certificate.not_valid_after_utc
    desk.clock.forward(days=-20)
    found = state(desk)
    assert [f["code"] for f in found["certificates"][0]["findings"]] == ["certificate.expiring"]
    assert found["ready"] is True


class Facts:
    def __init__(self, ahead_seconds: float | None, says: AtGateway | None) -> None:
        self._ahead, self._says = ahead_seconds, says

    def ahead(self) -> Any:
        from datetime import timedelta

        return None if self._ahead is None else timedelta(seconds=self._ahead)

    def says_of(self, sha256: str) -> AtGateway | None:
        del sha256
        return self._says


@pytest.mark.parametrize(
    ("facts", "machine", "certificate", "ready"),
    [
        (Facts(0, AtGateway.GOOD), [], [], True),
        (Facts(0, AtGateway.STRANGER), [], ["certificate.not_registered"], False),
        (Facts(0, AtGateway.UNUSABLE), [], ["certificate.unusable"], False),
        (Facts(600, AtGateway.GOOD), ["clock.wrong"], [], True),
        (Facts(-600, AtGateway.GOOD), ["clock.wrong"], [], True),
        (Facts(119, AtGateway.GOOD), [], [], True),
        (Facts(None, None), [], [], True),
    ],
)
def test_the_gateway_is_asked_where_it_is_known(
    facts: Facts, machine: list[str], certificate: list[str], ready: bool
) -> None:
    found = state(Desk(KeysInMemory([pki.agency()]), gateway=facts))
    assert [f["code"] for f in found["findings"]] == machine
    assert [f["code"] for f in found["certificates"][0]["findings"]] == certificate
    assert found["ready"] is ready


# Origins


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://eoffice.langson.gov.vn", "https://eoffice.langson.gov.vn"),
        ("HTTPS://EOffice.langson.gov.vn/", "https://eoffice.langson.gov.vn"),
        ("https://eoffice.langson.gov.vn:443", "https://eoffice.langson.gov.vn"),
        ("https://eoffice.langson.gov.vn:8443", "https://eoffice.langson.gov.vn:8443"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_origins_are_written_as_browsers_send_them(text: str, origin: str) -> None:
    assert origin_of(text) == origin


@pytest.mark.parametrize(
    "text",
    ["*", "null", "", "eoffice.langson.gov.vn", "https://*.gov.vn", "https://a.vn/path", "https://a.vn?x", "file:///x",
     "https://user@a.vn", "https://a.vn:port"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(PageNotAllowed):
        origin_of(text)


@pytest.mark.parametrize(
    ("origin", "changeable"),
    [
        ("http://eoffice.xa.vn", True),
        ("https://eoffice.xa.vn", False),
        ("http://localhost:8080", False),
        ("http://127.0.0.1", False),
    ],
)
def test_a_page_that_the_network_can_change_is_known(origin: str, changeable: bool) -> None:
    assert is_open_to_change(origin) is changeable
