"""What holds for every page: headers, languages, failures."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from gateway.console.headers import CONTENT_SECURITY_POLICY
from gateway.errors import LedgerUnavailable
from gateway.ledger import Ledger
from gateway.ledger.actions import Action
from tests.support.console import Clock, a_console, a_days_work, add_person, log_in, token
from tests.support.ledger import NOON


def switch(client: FlaskClient, language: str, page: str) -> TestResponse:
    form = {"csrf_token": token(client.get(page)), "language": language, "next": page}
    return client.post("/console/language", data=form)


PAGES = [
    "/console/",
    "/console/?state=abandoned&q=de+an",
    "/console/refusals",
    "/console/certificates",
    "/console/replay",
    "/console/nowhere",
]


@pytest.mark.parametrize("address", [*PAGES, "/console/login", "/console/counts.json", "/console/static/console.css"])
def test_every_answer_carries_the_headers(operator: FlaskClient, address: str) -> None:
    with operator.get(address) as answer:
        headers = answer.headers
    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    if "static" not in address:
        assert headers["Cache-Control"] == "no-store"


def test_the_policy_allows_nothing_inline_and_nothing_foreign() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    assert not re.search(r"https?:|\*", CONTENT_SECURITY_POLICY)


def test_own_files_are_named_by_their_content_and_kept(stranger: FlaskClient) -> None:
    page = stranger.get("/console/login").text
    for address in re.findall(r'(?:href|src)="(/console/static/[^"]+)"', page):
        with stranger.get(address) as answer:
            assert answer.status_code == 200
            assert "immutable" in answer.headers["Cache-Control"]
    assert not re.search(r'(?:href|src)="(?!/console/|#)', page)


def test_requests_outside_of_the_console_run_none_of_its_code(app: Flask) -> None:
    @app.get("/api")
    def api() -> str:
        return "ok"

    @app.post("/api")
    def post() -> str:
        return "ok"

    client = app.test_client()
    answer = client.get("/api")
    assert "Vary" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert "Content-Security-Policy" not in answer.headers
    assert client.post("/api").status_code == 200


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_page_is_in_the_chosen_language(operator: FlaskClient, address: str, language: str) -> None:
    switch(operator, language, "/console/")
    page = operator.get(address).text
    assert f'<html lang="{language}">' in page
    assert ("Mọi mốc thời gian" in page) is (language == "vi")
    assert len(re.findall(r"<h1", page)) == 1
    assert re.search(r"<title>[^<]+ · Trục liên thông tỉnh Lạng Sơn</title>", page)


def test_the_language_is_remembered_for_the_person(app: Flask, operator: FlaskClient, ledger: Ledger) -> None:
    answer = switch(operator, "en", "/console/?q=x")
    assert answer.location == "/console/?q=x"
    known = ledger.find_operator("van.hanh")
    assert known is not None
    assert known.language == "en"
    assert Action.OPERATOR_CHANGED in [e.action for e in ledger.events()]
    elsewhere = app.test_client()
    log_in(elsewhere)
    assert '<html lang="en">' in elsewhere.get("/console/").text


def test_a_language_chosen_before_the_login_is_kept(ledger: Ledger, stranger: FlaskClient) -> None:
    add_person(ledger)
    switch(stranger, "en", "/console/login")
    assert "Log in" in stranger.get("/console/login").text
    log_in(stranger)
    assert "Routing log" in stranger.get("/console/").text


def test_a_language_that_nobody_speaks_is_refused(operator: FlaskClient) -> None:
    assert switch(operator, "fr", "/console/").status_code == 400


@pytest.mark.parametrize("address", ["/console/nowhere", "/console/documents/unknown", "/console/refusals/7/package"])
def test_what_is_not_there_is_said_kindly(operator: FlaskClient, address: str) -> None:
    answer = operator.get(address)
    assert answer.status_code == 404
    assert "Về nhật ký liên thông" in answer.text


def test_a_cursor_of_somebody_else_is_a_friendly_page(operator: FlaskClient) -> None:
    answer = operator.get("/console/?cursor=made-up")
    assert answer.status_code == 400
    assert "request.invalid" in answer.text
    assert operator.get("/console/refusals?before=x").status_code == 400


def test_a_form_that_is_too_large_is_a_friendly_page(operator: FlaskClient) -> None:
    answer = operator.post("/console/replay", data={"reason": "x" * 100_000})
    assert answer.status_code == 413
    assert "Biểu mẫu quá lớn" in answer.text


class Unplugged(Ledger):
    """A ledger whose database goes away when told."""

    away = False

    def operator(self, operator_id: str):  # type: ignore[no-untyped-def]  # as the ledger's own
        if self.away:
            raise LedgerUnavailable
        return super().operator(operator_id)


def test_a_ledger_that_is_away_is_a_friendly_page(ledger: Ledger, clock: Clock) -> None:
    unplugged = Unplugged(ledger.engine)
    add_person(ledger)
    client = a_console(unplugged, clock).test_client()
    log_in(client)
    switch(client, "en", "/console/")
    unplugged.away = True
    answer = client.get("/console/?q=x")
    assert answer.status_code == 503
    assert "The ledger cannot be reached" in answer.text
    assert 'href="/console/?q=x"' in answer.text
    unplugged.away = False
    assert client.get("/console/?q=x").status_code == 200


def test_a_failure_that_nobody_named_says_nothing_of_itself(ledger: Ledger, clock: Clock) -> None:
    def broken() -> None:
        raise RuntimeError("secret detail")

    add_person(ledger)
    client = a_console(ledger, clock, directory=broken).test_client()
    log_in(client)
    answer = client.get("/console/")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "Trang gặp lỗi" in answer.text


def test_pages_are_made_for_keyboards_and_readers(operator: FlaskClient, ledger: Ledger) -> None:
    ids = a_days_work(ledger, NOON)
    for address in ("/console/", f"/console/documents/{ids['finished']}", "/console/refusals"):
        page = operator.get(address).text
        assert 'class="skip" href="#main"' in page
        assert '<main id="main"' in page
        for table in re.findall(r"<table.*?</table>", page, re.DOTALL):
            assert "<caption" in table
            assert 'scope="col"' in table
        named = set(re.findall(r'<label for="([^"]+)"', page))
        for tag in re.findall(r"<(?:input|select|textarea)[^>]*>", page):
            if 'type="hidden"' not in tag:
                name = re.search(r'\bid="([^"]+)"', tag)
                assert "aria-label" in tag or (name and name[1] in named), tag
        ids_of_page = re.findall(r'\sid="([^"]+)"', page)
        assert len(ids_of_page) == len(set(ids_of_page))
        assert all('alt="' in tag for tag in re.findall(r"<img[^>]*>", page))
