"""
The person at a display: a small window, in a process of its own.

Windows and threads do not go together, and a window that hangs must not hang the helper: so each question starts
``gateway.signer.dialog``, which gets the question by its standard input and answers by its standard output.
A pipe is seen by the two alone; arguments and the environment would be seen by others.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from gateway.errors import NobodyAnswered, NoWayToAsk, SigningDeclined
from gateway.model import VIETNAM_TIME
from gateway.signer.desk import ANSWER_WITHIN, Consent, Question
from gateway.signer.pairing import CODE_LASTS
from gateway.signer.texts import KINDS, Language, say

PROGRAM = (sys.executable, "-m", "gateway.signer.dialog")
_LONGEST_ANSWER = 4096


class Window:
    """Asks in windows."""

    def __init__(self, language: Language, *, program: Sequence[str] = PROGRAM) -> None:
        """
        Use a program that shows windows.

        :param program: the dialog, as it is started.
        """
        self._language = language
        self._program = tuple(program)
        self._lock = threading.Lock()
        self._code: subprocess.Popen[bytes] | None = None

    def check(self) -> None:
        """
        Try whether there is a display.

        :raises NoWayToAsk: there is none.
        """
        self._run({"check": True}, timedelta(seconds=20))

    def show_code(self, origin: str, code: str) -> None:
        """As ``Desk``; there is one such window at a time, and it closes by itself when its code is void."""
        words = say("pair", self._language, origin=origin, code=f"{code[:4]} {code[4:]}")
        message = {
            "lines": [words],
            "close": self._word("button.close"),
            "title": self._word("title"),
            "seconds": CODE_LASTS.total_seconds(),
        }
        with self._lock:
            # Whoever asks for codes without end, as any program of the machine can, fills no screen and no memory.
            self._close_code()
            try:
                self._code = subprocess.Popen(  # noqa: S603 # our own
                    self._program, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
                assert self._code.stdin is not None
                with self._code.stdin as pipe:
                    pipe.write(json.dumps(message).encode())
            except OSError as e:
                raise NoWayToAsk from e

    def _close_code(self) -> None:
        before, self._code = self._code, None
        if before is not None:
            before.kill()
            before.wait()

    def ask(self, question: Question, *, wait: timedelta = ANSWER_WITHIN) -> Consent:
        """As ``Desk``: the button is the consent, the PIN goes with it."""
        end = say("date", self._language, date=f"{question.not_after.astimezone(VIETNAM_TIME):%d/%m/%Y}")
        lines = [
            say("asks", self._language, origin=question.origin),
            say("says", self._language, description=f"“{question.description}”"),
            say("kind", self._language, kind=KINDS[question.kind].say(self._language)),
            say("digest", self._language, digest=question.digest),
            say("holder", self._language, holder=question.holder, end=end),
        ]
        answer = self._run(
            {
                "title": self._word("title"),
                "lines": [" ".join(line.split()) for line in lines],
                "pin": self._word("field.pin") if question.needs_pin else None,
                "sign": self._word("button.sign"),
                "decline": self._word("button.decline"),
            },
            wait,
        )
        pin = answer.get("pin")
        if answer.get("agreed") is not True or (question.needs_pin and not pin):
            raise SigningDeclined
        return Consent(pin=str(pin) if question.needs_pin else None)

    def _word(self, key: str) -> str:
        return say(key, self._language)

    def _run(self, message: dict[str, Any], wait: timedelta) -> dict[str, Any]:
        try:
            done = subprocess.run(  # noqa: S603 # our own
                self._program,
                input=json.dumps(message).encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=wait.total_seconds(),
                check=False,
            )
        except subprocess.TimeoutExpired as e:
            raise NobodyAnswered from e
        except OSError as e:
            raise NoWayToAsk from e
        if done.returncode != 0:
            raise NoWayToAsk
        try:
            answer = json.loads(done.stdout[:_LONGEST_ANSWER])
        except ValueError as e:
            raise NoWayToAsk from e
        return answer if isinstance(answer, dict) else {}
