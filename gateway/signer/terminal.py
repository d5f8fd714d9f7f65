"""The person at a terminal: words on the screen, a PIN typed unseen."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta

from gateway.errors import NobodyAnswered, NoWayToAsk, SigningDeclined
from gateway.model import VIETNAM_TIME
from gateway.signer.desk import ANSWER_WITHIN, Consent, Question, in_rows
from gateway.signer.texts import KINDS, Language, say

_LONGEST_PIN = 128
_COLUMNS = 80
_LABEL_COLUMNS = 22
"""Of what stands before the page's words."""


class Terminal:
    """Asks on the terminal that the helper was started from."""

    def __init__(self, tty: int, language: Language, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """
        Use a terminal.

        :param tty: its descriptor, open for reading and writing; the caller's to close.
        """
        self._tty = tty
        self._language = language
        self._monotonic = monotonic

    def show_code(self, origin: str, code: str) -> None:
        """As ``Desk``."""
        self._write("\n" + say("pair", self._language, origin=origin, code=f"{code[:4]} {code[4:]}") + "\n")

    def ask(self, question: Question, *, wait: timedelta = ANSWER_WITHIN) -> Consent:
        """As ``Desk``: the PIN itself is the consent; an empty line is a no."""
        end = say("date", self._language, date=f"{question.not_after.astimezone(VIETNAM_TIME):%d/%m/%Y}")
        lines = [
            "",
            say("asks", self._language, origin=question.origin),
            say("says", self._language, description=self._beside(question.description)),
            say("kind", self._language, kind=KINDS[question.kind].say(self._language)),
            say("digest", self._language, digest=question.digest),
            say("holder", self._language, holder=question.holder, end=end),
            say("pin" if question.needs_pin else "yes", self._language, seconds=int(wait.total_seconds())),
        ]
        with _unseen(self._tty):
            # What was typed before the question is no answer to it.
            self._pass_over()
            self._write("\n".join(lines) + " ")
            answer = self._line(self._monotonic() + wait.total_seconds()).strip()
        self._write("\n")
        if question.needs_pin:
            if not answer:
                raise SigningDeclined
            return Consent(pin=answer)
        if answer.casefold() not in ("ky", "ký", "sign"):
            raise SigningDeclined
        return Consent()

    def _beside(self, description: str) -> str:
        """The page's words between quotation marks, each row of them marked as theirs."""
        try:
            columns = os.get_terminal_size(self._tty).columns or _COLUMNS
        except OSError:
            columns = _COLUMNS
        rows = in_rows(f"“{description}”", max(columns - _LABEL_COLUMNS, 20))
        return ("\n" + " " * (_LABEL_COLUMNS - 3) + "│ ").join(rows)

    def _write(self, text: str) -> None:
        left = text.encode("utf-8", "replace")
        try:
            while left:
                left = left[os.write(self._tty, left) :]
        except OSError as e:
            raise NoWayToAsk from e

    def _pass_over(self) -> None:
        try:
            while select.select([self._tty], [], [], 0)[0] and os.read(self._tty, _LONGEST_PIN):
                pass
        except OSError as e:
            raise NoWayToAsk from e

    def _line(self, until: float) -> str:
        raw = bytearray()
        while not raw.endswith((b"\n", b"\r")):
            left = until - self._monotonic()
            if left <= 0 or not select.select([self._tty], [], [], left)[0]:
                raise NobodyAnswered
            try:
                piece = os.read(self._tty, _LONGEST_PIN)
            except OSError as e:
                raise NoWayToAsk from e
            if not piece:
                raise NoWayToAsk("The terminal was closed.")
            raw += piece
            if len(raw) > _LONGEST_PIN:
                raise SigningDeclined(f"A PIN has at most {_LONGEST_PIN} bytes.")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as e:
            raise SigningDeclined("The PIN is not UTF-8.") from e


if sys.platform == "win32":

    def _unseen(descriptor: int) -> AbstractContextManager[None]:
        """Windows has no such terminal: the helper asks in windows there."""
        del descriptor
        raise NoWayToAsk

else:
    import termios

    @contextmanager
    def _unseen(descriptor: int) -> Iterator[None]:
        try:
            before = termios.tcgetattr(descriptor)
            termios.tcsetattr(descriptor, termios.TCSAFLUSH, [*before[:3], before[3] & ~termios.ECHO, *before[4:]])
        except termios.error as e:
            raise NoWayToAsk from e
        try:
            yield
        finally:
            with suppress(termios.error):  # the terminal may have gone
                termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
