"""Who gets in, how far, and for how long."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway.console.access import STRANGERS_FORM_LONGEST
from gateway.console.blueprint import PUBLIC
from gateway.ledger import Ledger
from gateway.ledger.actions import Action
from gateway.ledger.records import OperatorRole
from tests.support.console import PASSWORD, Clock, a_console, add_person, log_in, token
from tests.support.ledger import NOON

VALUES = {"document_id": "abc", "refusal_id": 1, "unknown": "anything", "filename": "console.css"}


def actions(ledger: Ledger) -> list[tuple[Action, str | None]]:
    return [(e.action, e.actor) for e in ledger.events()]


def routes(app: Flask) -> list[tuple[str, str, str]]:
    """Every route of the console: endpoint, method, address."""
    with app.test_request_context():
        adapter = app.url_map.bind("localhost")
        return [
            (rule.endpoint, method, adapter.build(rule.endpoint, {a: VALUES[a] for a in rule.arguments}, method=method))
            for rule in app.url_map.iter_rules()
            if rule.endpoint.startswith("console.")
            for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}
        ]


def test_every_route_demands_a_login_or_is_listed_as_public(app: Flask) -> None:
    found = routes(app)
    assert len(found) > 10
    for endpoint, method, address in found:
        if endpoint in PUBLIC:
            continue
        stranger = app.test_client()
        page = token(stranger.get("/console/login"))
        answer = stranger.open(address, method=method, data={"csrf_token": page} if method == "POST" else None)
        assert answer.status_code in (302, 401), (endpoint, method)
        if answer.status_code == 302:
            assert answer.location.startswith("/console/login"), (endpoint, method)


def test_every_deed_demands_a_token(app: Flask, operator: FlaskClient) -> None:
    deeds = [(e, a) for e, method, a in routes(app) if method == "POST"]
    assert {e for e, _ in deeds} == {
        "console.login",
        "console.logout",
        "console.language",
        "console.replay",
        "console.release",
    }
    for endpoint, address in deeds:
        for data in ({}, {"csrf_token": "made-up"}):
            answer = operator.post(address, data=data)
            assert answer.status_code == 400, endpoint
            assert "Biểu mẫu đã hết hạn" in answer.text
    assert operator.get("/console/").status_code == 200


def test_a_token_of_another_session_is_refused(app: Flask, operator: FlaskClient) -> None:
    foreign = token(app.test_client().get("/console/login"))
    assert operator.post("/console/logout", data={"csrf_token": foreign}).status_code == 400


@pytest.mark.parametrize("address", ["/console/login", "/console/language", "/console/logout"])
def test_a_stranger_s_form_is_short(stranger: FlaskClient, address: str) -> None:
    body = io.BytesIO(b"x" * (STRANGERS_FORM_LONGEST + 1))
    answer = stranger.post(address, input_stream=body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 413
    assert body.tell() == 0  # its length alone decided


def test_a_form_of_somebody_known_may_be_longer(operator: FlaskClient) -> None:
    data = {"csrf_token": token(operator.get("/console/")), "language": "en", "next": "/" * STRANGERS_FORM_LONGEST}
    assert operator.post("/console/language", data=data).status_code == 302


def test_a_right_password_opens_the_page_that_was_asked_for(app: Flask, ledger: Ledger, stranger: FlaskClient) -> None:
    add_person(ledger)
    asked = stranger.get("/console/?q=đề+án&state=abandoned")
    assert asked.status_code == 302
    page = stranger.get(asked.location)
    answer = log_in(stranger, next="/console/?q=%C4%91%E1%BB%81+%C3%A1n&state=abandoned")
    assert page.status_code == 200
    assert answer.location == "/console/?q=%C4%91%E1%BB%81+%C3%A1n&state=abandoned"
    assert (Action.OPERATOR_LOGGED_IN, "van.hanh") in actions(ledger)
    known = ledger.find_operator("van.hanh")
    assert known is not None
    assert known.last_login_at == NOON


@pytest.mark.parametrize(
    ("login", "password", "recorded"),
    [("van.hanh", "sai", "van.hanh"), ("khong.co", PASSWORD, None), ("bi.khoa", PASSWORD, "bi.khoa"), ("", "", None)],
)
def test_a_failed_login_says_the_same_to_everybody(
    ledger: Ledger, stranger: FlaskClient, login: str, password: str, recorded: str | None
) -> None:
    add_person(ledger)
    add_person(ledger, "bi.khoa", disabled_at=NOON)
    answer = log_in(stranger, login, password)
    assert answer.status_code == 401
    assert "không đúng, hoặc tài khoản đã bị khóa" in answer.text
    assert actions(ledger)[-1] == (Action.OPERATOR_LOGIN_FAILED, recorded)
    assert stranger.get("/console/").status_code == 302


def test_login_tries_are_limited_by_address_and_by_name(ledger: Ledger, clock: Clock) -> None:
    add_person(ledger)
    app = a_console(ledger, clock, login_rate_limit="3 per minute")
    client = app.test_client()
    for name in ("a", "b", "c"):
        assert log_in(client, name, "sai").status_code == 401
    refused = log_in(client)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1

    def try_from(address: str) -> int:
        page = client.get("/console/login", environ_base={"REMOTE_ADDR": address})
        form = {"csrf_token": token(page), "login": "van.hanh", "password": "sai"}
        return client.post("/console/login", data=form, environ_base={"REMOTE_ADDR": address}).status_code

    # One name from many addresses: the first try above counted too.
    assert [try_from(f"192.0.2.{n}") for n in range(3)] == [401, 401, 429]


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example/", "/console/\\evil", "/elsewhere", "javascript:alert(1)", "/consolex"],
)
def test_a_link_leads_nowhere_else_after_the_login(ledger: Ledger, stranger: FlaskClient, target: str) -> None:
    add_person(ledger)
    assert log_in(stranger, next=target).location == "/console/"


def test_logging_out_ends_the_session_and_is_recorded(operator: FlaskClient, ledger: Ledger) -> None:
    answer = operator.post("/console/logout", data={"csrf_token": token(operator.get("/console/"))})
    assert answer.location == "/console/login?left=1"
    assert "Bạn đã đăng xuất" in operator.get(answer.location).text
    assert operator.get("/console/").status_code == 302
    assert actions(ledger)[-1] == (Action.OPERATOR_LOGGED_OUT, "van.hanh")


def test_a_login_ends_at_its_time_however_busy(operator: FlaskClient, clock: Clock) -> None:
    clock.pass_time(hours=7, minutes=59)
    assert operator.get("/console/counts.json").status_code == 200
    clock.pass_time(minutes=1)
    assert operator.get("/console/counts.json").status_code == 401
    assert operator.get("/console/").status_code == 302


def test_a_changed_password_or_a_disabled_account_ends_every_login(
    operator: FlaskClient, viewer: FlaskClient, ledger: Ledger
) -> None:
    ledger.change_operator("van.hanh", actor="test", now=NOON, password_hash="$argon2id$other")
    ledger.change_operator("xem", actor="test", now=NOON, disabled=True)
    assert operator.get("/console/").status_code == 302
    assert viewer.get("/console/").status_code == 302


def test_the_cookie_is_for_this_site_and_not_for_scripts(ledger: Ledger, clock: Clock) -> None:
    add_person(ledger)
    answer = log_in(a_console(ledger, clock).test_client())
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    secure = a_console(ledger, clock, secure_cookies=True).test_client().get("/console/login")
    assert "Secure" in secure.headers["Set-Cookie"]
    assert "Strict-Transport-Security" in secure.headers


def test_the_session_of_before_the_login_does_not_live_on(ledger: Ledger, stranger: FlaskClient) -> None:
    add_person(ledger)
    before = token(stranger.get("/console/login"))
    log_in(stranger)
    assert stranger.post("/console/logout", data={"csrf_token": before}).status_code == 400


@pytest.mark.parametrize(("role", "may"), [(r, r is not OperatorRole.VIEWER) for r in OperatorRole])
def test_only_some_roles_replay(person: Callable[..., FlaskClient], role: OperatorRole, may: bool) -> None:
    client = person("ai", role)
    assert client.get("/console/replay").status_code == (200 if may else 403)
    answer = client.post("/console/replay", data={"csrf_token": token(client.get("/console/"))})
    assert answer.status_code == (303 if may else 403)


def test_a_short_session_key_is_refused(ledger: Ledger, clock: Clock) -> None:
    with pytest.raises(ValueError, match="32"):
        a_console(ledger, clock, session_key=b"short")
