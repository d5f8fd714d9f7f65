"""The page that signs with a key on the reader's machine: for everybody, and nothing in it but its own script."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from gateway.console.headers import CONTENT_SECURITY_POLICY


def test_the_page_needs_no_log_in(stranger: FlaskClient) -> None:
    answer = stranger.get("/console/signing")
    assert answer.status_code == 200
    assert "gateway signer" in answer.text


def test_the_page_may_also_ask_the_reader_s_own_machine_and_no_other(stranger: FlaskClient) -> None:
    policy = stranger.get("/console/signing").headers["Content-Security-Policy"]
    loosened = set(policy.split("; ")) - set(CONTENT_SECURITY_POLICY.split("; "))
    assert loosened == {"connect-src 'self' http://127.0.0.1:*"}
    assert stranger.get("/console/login").headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY


def test_nothing_of_what_is_typed_goes_anywhere_without_the_script(stranger: FlaskClient) -> None:
    page = stranger.get("/console/signing").text
    section = page.partition("data-signing")[2].partition("</section>")[0]
    assert "<form" not in section
    assert re.findall(r"<input id=\"key\"[^>]*name=", section) == []


@pytest.mark.parametrize(("language", "title"), [("vi", "Ký số tệp"), ("en", "Sign a file")])
def test_the_page_speaks_both_languages(stranger: FlaskClient, language: str, title: str) -> None:
    first = stranger.get("/console/signing").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', first)
    assert token is not None
    form = {"csrf_token": token.group(1), "language": language, "next": "/console/"}
    stranger.post("/console/language", data=form)
    assert title in stranger.get("/console/signing").text


def test_every_page_leads_there_also_before_the_log_in(stranger: FlaskClient, viewer: FlaskClient) -> None:
    link = 'href="/console/signing"'
    assert stranger.get("/console/login").text.count(link) == 2
    assert link in stranger.get("/console/signing").text
    for page in ("/console/", "/console/refusals", "/console/certificates", "/console/nowhere"):
        assert link in viewer.get(page).text
    assert 'href="/console/login"' in stranger.get("/console/signing").text
    assert 'href="/console/refusals"' not in stranger.get("/console/signing").text


def test_the_page_says_how_the_helper_is_started_for_this_very_address(stranger: FlaskClient) -> None:
    page = stranger.get("/console/signing", base_url="https://truc.langson.gov.vn").text
    assert re.search(
        r"gateway signer --token \S+ --allow-origin <span[^>]*>https://truc\.langson\.gov\.vn</span>", page
    )
