"""The person at a terminal, which is a real one: what is shown, what is typed, what is not echoed."""

from __future__ import annotations

import os
import pty
import select
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.errors import GatewayError, NobodyAnswered, NoWayToAsk, SigningDeclined
from gateway.signer.desk import Consent, Question, printable
from gateway.signer.terminal import Terminal
from tests.support import pki

QUESTION = Question(
    origin="https://eoffice.example.vn",
    description="12/QĐ-UBND",
    kind="pdf",
    digest="ab" * 32,
    holder="Nguyễn Văn Thử",
    not_after=pki.NOW,
    needs_pin=True,
)


class Screen:
    """The other end of a terminal: sees what is shown, and types."""

    def __init__(self) -> None:
        self.near, self.far = pty.openpty()
        self.shown = ""

    def until(self, words: str) -> None:
        """Read until these words are on the screen."""
        while words not in self.shown:
            assert select.select([self.near], [], [], 20)[0], self.shown
            self.shown += os.read(self.near, 4096).decode("utf-8", "replace")

    def type(self, text: str) -> None:
        os.write(self.near, text.encode())

    def rest(self) -> str:
        """Everything that was shown."""
        while select.select([self.near], [], [], 0.05)[0]:
            self.shown += os.read(self.near, 4096).decode("utf-8", "replace")
        return self.shown


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    yield made
    for descriptor in (made.near, made.far):
        os.close(descriptor)


def asking(screen: Screen, question: Question = QUESTION, **options: Any) -> tuple[threading.Thread, list[Any]]:
    """The question, being asked."""
    outcome: list[Any] = []

    def ask() -> None:
        try:
            outcome.append(Terminal(screen.far, "vi").ask(question, **options))
        except GatewayError as error:
            outcome.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, outcome


def answered(screen: Screen, text: str, question: Question = QUESTION) -> Any:
    thread, outcome = asking(screen, question)
    screen.until("giây):")
    screen.type(text)
    thread.join(20)
    return outcome[0]


def test_the_pin_is_the_consent_and_is_not_shown(screen: Screen) -> None:
    consent = answered(screen, "123456\n")
    assert isinstance(consent, Consent)
    assert consent.pin == "123456"
    assert "123456" not in screen.rest()


def test_the_person_is_shown_who_asks_for_what(screen: Screen) -> None:
    answered(screen, "123456\n")
    shown = screen.rest()
    for words in (QUESTION.origin, QUESTION.description, QUESTION.digest, QUESTION.holder, "05/03/2026", "PDF"):
        assert words in shown


@pytest.mark.parametrize("filler", [".", "─", "漢"])
def test_a_page_s_words_begin_no_line_of_the_question(screen: Screen, filler: str) -> None:
    fake = "  mã băm văn bản:    " + "00" * 16
    answered(screen, "123456\n", replace(QUESTION, description=printable(f"12/QĐ {filler * 70}{fake}")))
    for line in screen.rest().splitlines():
        assert not line.startswith(("  mã băm", "mã băm")) or QUESTION.digest in line
        assert sum(2 if c == "漢" else 1 for c in line) <= 80 or QUESTION.digest in line or "PIN" in line


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u3000", "\u2800", "\u3164", "\u115f"])
def test_a_page_s_words_are_not_moved_by_blanks(blank: str) -> None:
    assert printable(f"{blank * 3}a{blank * 60}b{blank}") == "a b"


@pytest.mark.parametrize("character", ["\n", "\x1b", "\u202e", "\ud800", "\u200b", "\ue000", "\U000e0041", "\u0378"])
def test_a_page_s_words_hold_nothing_that_is_not_seen(character: str) -> None:
    assert printable(f"a{character}b") == "a\N{REPLACEMENT CHARACTER}b"


def test_an_empty_line_is_a_no(screen: Screen) -> None:
    assert isinstance(answered(screen, "\n"), SigningDeclined)


def test_while_the_key_is_open_a_word_is_needed(screen: Screen) -> None:
    question = replace(QUESTION, needs_pin=False)
    consent = answered(screen, "ky\n", question)
    assert isinstance(consent, Consent)
    assert consent.pin is None


@pytest.mark.parametrize("text", ["\n", "y\n", "123456\n"])
def test_anything_but_that_word_is_a_no(screen: Screen, text: str) -> None:
    assert isinstance(answered(screen, text, replace(QUESTION, needs_pin=False)), SigningDeclined)


def test_what_was_typed_before_the_question_is_no_answer(screen: Screen) -> None:
    screen.type("654321\n")
    assert isinstance(answered(screen, "\n"), SigningDeclined)


def test_nobody_answers_in_time(screen: Screen) -> None:
    thread, outcome = asking(screen, wait=timedelta(milliseconds=50))
    thread.join(20)
    assert isinstance(outcome[0], NobodyAnswered)


def test_a_line_without_end_is_no_pin(screen: Screen) -> None:
    assert isinstance(answered(screen, "9" * 300 + "\n"), SigningDeclined)


def test_what_is_no_terminal_cannot_ask() -> None:
    near, far = os.pipe()
    try:
        with pytest.raises(NoWayToAsk):
            Terminal(far, "vi").ask(QUESTION)
    finally:
        os.close(near)
        os.close(far)


def test_a_code_is_shown_at_once(screen: Screen) -> None:
    Terminal(screen.far, "en").show_code("https://eoffice.example.vn", "12345678")
    screen.until("1234 5678")
    assert "https://eoffice.example.vn" in screen.rest()
