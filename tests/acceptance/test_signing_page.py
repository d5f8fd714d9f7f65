"""A person at a browser signs a file: the page, the API and the helper are real, and so is the browser."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from flask import Flask

from gateway.cli.server import Patience, Serving, WebServer
from gateway.errors import SigningDeclined
from gateway.ledger.actions import Action
from gateway.model import FileStanding
from tests.support import pdfs, pki
from tests.support.browser import Browser, Page, running_browser
from tests.support.exchange import COMMUNE, DEPARTMENT, PROVINCE, agencies, registered
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.programs import needs
from tests.support.signer import PIN, Desk, KeysInMemory

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs("chromium")]

PERSON = pki.person()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    known = agencies()
    department = replace(known[DEPARTMENT], certificates=(registered(PERSON, "person"),))
    running = a_gateway(
        tmp_path_factory.mktemp("gateway"),
        code=PROVINCE,
        agencies=[known[PROVINCE], department, known[COMMUNE]],
        first_levels=["H37"],
    )
    running.program = "tests.support.served"
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as started:
        yield started


@contextmanager
def served(desk: Desk) -> Iterator[Desk]:
    """The helper on a port of this machine."""

    def application(environ: dict[str, object], start: object) -> object:
        app: Flask = desk.app
        return app(environ, start)  # type: ignore[arg-type]  # WSGI, as it comes

    server = WebServer("127.0.0.1", 0, application, threads=2, patience=Patience())
    server.prepare()
    desk.port = server.port
    serving = Serving(server)
    serving.start()
    try:
        yield desk
    finally:
        serving.stop()


@pytest.fixture
def desk(gateway: RunningGateway) -> Iterator[Desk]:
    with served(Desk(KeysInMemory([PERSON, pki.agency_ec()]), origins=(gateway.url,))) as helper:
        yield helper


def opened(browser: Browser, gateway: RunningGateway, desk: Desk) -> Page:
    """The page, with the agency's key typed in and the check asked for."""
    page = browser.page()
    page.go(f"{gateway.url}/console/signing?port={desk.port}")
    page.fill("#key", gateway.key(DEPARTMENT))
    page.click("[data-check]")
    return page


def paired(page: Page, desk: Desk) -> None:
    page.wait("!document.querySelector('[data-code]').hidden")
    [(_, code)] = desk.person.codes
    page.fill("#code", code)
    page.click("[data-pair]")
    page.wait("document.querySelectorAll('[name=certificate]').length === 2")


def status(page: Page) -> str:
    return str(page.run("document.querySelector('[data-status]').textContent"))


def test_a_person_pairs_the_page_and_signs_a_file(
    browser: Browser, gateway: RunningGateway, desk: Desk, tmp_path: Path
) -> None:
    page = opened(browser, gateway, desk)
    paired(page, desk)
    # The registered one can be chosen, the other is said not to be registered.
    assert page.run("[...document.querySelectorAll('[name=certificate]')].map(c => c.disabled)") == [False, True]
    file = tmp_path / "Quyết định.pdf"
    file.write_bytes(pdfs.plain())
    page.choose_file("#file", file)
    page.click("[data-sign]")
    page.wait("!document.querySelector('[data-result]').hidden")
    [question] = desk.person.questions
    assert (question.origin, question.description, question.kind) == (gateway.url, "Quyết định.pdf", "pdf")
    place, sha256 = page.run("(d => [d.file, d.sha256])(document.querySelector('[data-signing]').dataset)")
    answer = requests.get(
        gateway.url + place, headers={"Authorization": f"Bearer {gateway.key(DEPARTMENT)}"}, timeout=20
    )
    assert hashlib.sha256(answer.content).hexdigest() == sha256
    [verdict] = pdfs.judged(answer.content)
    assert [s.standing for s in verdict.signatures] == [FileStanding.VALID]
    assert page.run("document.querySelector('[data-download]').href").startswith("blob:")
    assert PIN not in page.run("document.documentElement.outerHTML + JSON.stringify(localStorage)")


def test_the_page_is_used_by_keyboard_and_each_certificate_says_what_is_the_matter(
    browser: Browser, gateway: RunningGateway, desk: Desk
) -> None:
    press = "document.querySelector('{}').dispatchEvent(new KeyboardEvent('keydown', {{key: 'Enter'}}))"
    page = browser.page()
    page.go(f"{gateway.url}/console/signing?port={desk.port}")
    page.fill("#key", gateway.key(DEPARTMENT))
    page.run(press.format("#key"))
    page.wait("!document.querySelector('[data-code]').hidden")
    page.fill("#code", desk.person.codes[0][1])
    page.run(press.format("#code"))
    page.wait("document.querySelectorAll('[name=certificate]').length === 2")
    told = page.run(
        "[...document.querySelectorAll('[name=certificate]')].map(c => c.getAttribute('aria-describedby').split(' ')"
        ".map(id => document.getElementById(id).textContent).join(' '))"
    )
    assert all(told)
    assert len(set(told)) == 2
    # What a screen reader is to read out stands in a place that was there before.
    assert page.run("document.querySelector('[data-status]').parentElement.getAttribute('role')") == "status"


def test_nothing_pressed_is_without_an_answer(browser: Browser, gateway: RunningGateway, desk: Desk) -> None:
    page = browser.page()
    page.go(f"{gateway.url}/console/signing?port={desk.port}")
    page.click("[data-check]")
    assert status(page) == "Hãy nhập khóa API của cơ quan."
    assert page.run("document.activeElement.id") == "key"
    page.fill("#key", gateway.key(DEPARTMENT))
    page.click("[data-check]")
    paired(page, desk)
    page.wait("!document.querySelector('[data-file]').hidden")
    page.click("[data-sign]")
    page.wait("document.querySelector('[data-status]').classList.contains('bad')")
    assert status(page) == "Hãy chọn tệp cần ký."
    assert page.run("document.activeElement.id") == "file"
    assert desk.person.questions == []


def test_a_person_who_declines_is_told_and_nothing_is_left_waiting(
    browser: Browser, gateway: RunningGateway, desk: Desk, tmp_path: Path
) -> None:
    page = opened(browser, gateway, desk)
    paired(page, desk)
    desk.person.answer = SigningDeclined()
    (tmp_path / "a.pdf").write_bytes(pdfs.plain())
    page.choose_file("#file", tmp_path / "a.pdf")
    page.click("[data-sign]")
    page.wait("document.querySelector('[data-status]').classList.contains('bad')")
    assert status(page) == SigningDeclined.vi
    page.wait("!document.querySelector('[data-sign]').disabled")
    ledger = gateway.ledger()
    told = [event.action for event in ledger.events() if event.action.startswith("signing.")]
    ledger.engine.dispose()
    assert told[-2:] == [Action.SIGNING_PREPARED, Action.SIGNING_CANCELLED]


def test_a_token_that_is_not_there_is_said_in_the_person_s_words(
    browser: Browser, gateway: RunningGateway, desk: Desk
) -> None:
    desk.keyring.pulled_out = True
    page = opened(browser, gateway, desk)
    page.wait("!document.querySelector('[data-code]').hidden")
    page.fill("#code", desk.person.codes[0][1])
    page.click("[data-pair]")
    page.wait("document.querySelector('[data-status]').classList.contains('bad')")
    assert status(page) == "Không đọc hoặc không dùng được khóa hay chứng thư số."
    desk.keyring.pulled_out = False
    page.click("[data-check]")
    page.wait("document.querySelectorAll('[name=certificate]').length === 2")


def test_a_page_that_the_helper_was_not_told_of_gets_nothing(
    browser: Browser, gateway: RunningGateway, desk: Desk
) -> None:
    with served(Desk(KeysInMemory([PERSON]), origins=("https://eoffice.example.vn",))) as other:
        page = opened(browser, gateway, other)
        page.wait("document.querySelector('[data-status]').classList.contains('bad')")
        assert "--allow-origin" in status(page)
        assert other.person.codes == []
        # Not by a request that needs no preflight either, nor with a token that was found elsewhere.
        token = other.token("https://eoffice.example.vn")
        address = f"http://127.0.0.1:{other.port}"
        for options in ("{method: 'POST', body: '{}', mode: 'no-cors'}", f"{{headers: {{Authorization: '{token}'}}}}"):
            page.run(f"fetch('{address}/v1/sign', {options}).then(r => r.text()).catch(() => null)")
        assert page.run(f"fetch('{address}/v1/hello').then(() => 'read', () => 'refused')") == "refused"
        assert other.person.questions == []
