"""The person at a display: what goes to the program that shows the window, and what its answers mean."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import NobodyAnswered, NoWayToAsk, SigningDeclined
from gateway.signer.window import Window
from tests.unit.signer.test_terminal import QUESTION


def window(tmp_path: Path, program: str) -> Window:
    """Another program in the place of the dialog, which reads the same message."""
    source = f"import json, sys, time\nmessage = json.loads(sys.stdin.buffer.read())\n{program}\n"
    script = tmp_path / "dialog.py"
    script.write_text(source, encoding="utf-8")
    return Window("vi", program=[sys.executable, str(script)])


def test_the_button_and_the_pin_are_the_consent(tmp_path: Path) -> None:
    asked = window(tmp_path, "print(json.dumps({'agreed': True, 'pin': '123456'}))")
    assert asked.ask(QUESTION).pin == "123456"


def test_the_person_is_shown_who_asks_for_what(tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    program = f"open({str(shown)!r}, 'w').write('|'.join(message['lines'])); print(json.dumps({{'agreed': False}}))"
    with pytest.raises(SigningDeclined):
        window(tmp_path, program).ask(QUESTION)
    for words in (QUESTION.origin, QUESTION.description, QUESTION.digest, QUESTION.holder, "05/03/2026"):
        assert words in shown.read_text()


@pytest.mark.parametrize(
    "answer",
    [
        "{'agreed': False}",
        "{'agreed': False, 'pin': '123456'}",
        "{'agreed': True, 'pin': ''}",
        "{'agreed': 'yes'}",
        "[]",
    ],
)
def test_anything_else_is_a_no(tmp_path: Path, answer: str) -> None:
    with pytest.raises(SigningDeclined):
        window(tmp_path, f"print(json.dumps({answer}))").ask(QUESTION)


def test_a_window_that_nobody_answers_is_closed(tmp_path: Path) -> None:
    with pytest.raises(NobodyAnswered):
        window(tmp_path, "time.sleep(600)").ask(QUESTION, wait=timedelta(milliseconds=100))


@pytest.mark.parametrize("program", ["raise SystemExit(3)", "print('not JSON')", "print()"])
def test_a_window_that_fails_is_no_consent(tmp_path: Path, program: str) -> None:
    with pytest.raises(NoWayToAsk):
        window(tmp_path, program).ask(QUESTION)


def test_a_program_that_is_not_there_is_no_consent() -> None:
    with pytest.raises(NoWayToAsk):
        Window("vi", program=["/nowhere/dialog"]).ask(QUESTION)


@pytest.mark.skipif(bool(os.environ.get("DISPLAY")) or sys.platform in ("win32", "darwin"), reason="there is a display")
def test_the_dialog_itself_says_when_there_is_no_display() -> None:
    with pytest.raises(NoWayToAsk):
        Window("vi").check()


def test_there_is_one_window_with_a_code_and_it_is_told_to_close(tmp_path: Path) -> None:
    program = (
        f"import os, pathlib; pathlib.Path({str(tmp_path)!r}, f'shown-{{os.getpid()}}').write_text(json.dumps(message))"
        "\ntime.sleep(600)"
    )
    asked = window(tmp_path, program)
    started: list[int] = []
    for number in range(3):
        asked.show_code("https://eoffice.example.vn", f"{number}" * 8)
        assert asked._code is not None
        started.append(asked._code.pid)
        shown = tmp_path / f"shown-{started[-1]}"
        deadline = time.monotonic() + 20
        while not (shown.exists() and shown.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert json.loads(shown.read_text())["seconds"] == 180
    asked._close_code()
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_program_that_is_not_there_shows_no_code() -> None:
    with pytest.raises(NoWayToAsk):
        Window("vi", program=["/nowhere/dialog"]).show_code("https://eoffice.example.vn", "12345678")
