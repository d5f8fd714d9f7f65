"""The person at the machine: is told what a page wants signed, and answers with a PIN or not at all."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

ANSWER_WITHIN = timedelta(minutes=2)
_LONGEST_WORDS = 200
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Shown as nothing, and no blanks by their category."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the person is shown before anything is signed."""

    origin: str
    """The page that asks."""
    description: str
    """The page's own words, made printable; believed by nobody, and shown as such."""
    kind: str
    """``pdf`` or ``package``, as the bytes themselves say."""
    digest: str
    """Of the document, hex; to be compared by whoever wants certainty."""
    holder: str
    """Common name of the certificate."""
    not_after: datetime
    needs_pin: bool
    """False while the key is open: a yes is enough."""


@dataclass(frozen=True, kw_only=True)
class Consent:
    """The person has agreed."""

    pin: str | None = None
    """Never kept, logged or answered; ``None`` when it was not asked for."""

    def __repr__(self) -> str:
        """Without the PIN: a traceback or a log line must not have it."""
        return "Consent()"


class Desk(Protocol):
    """A way of speaking with the person; used by one thread at a time."""

    def show_code(self, origin: str, code: str) -> None:
        """Show the code with which a page is paired; does not wait."""
        ...

    def ask(self, question: Question, *, wait: timedelta = ANSWER_WITHIN) -> Consent:
        """
        Ask whether to sign, and for the PIN.

        :raises SigningDeclined: the person said no.
        :raises NobodyAnswered: nothing was said in time.
        :raises NoWayToAsk: the terminal or the display has gone.
        """
        ...


def printable(text: str) -> str:
    """
    A page's words in one line: no control or direction characters, which would move or hide what stands there.

    Nor characters that nobody has defined, nor blanks in a row, with which words are moved to where others belong.
    """
    line = " ".join(word for word in "".join(" " if _is_blank(c) else c for c in text).split(" ") if word)
    clean = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c).startswith("C") else c for c in line)
    return clean if len(clean) <= _LONGEST_WORDS else clean[: _LONGEST_WORDS - 1] + "…"


def _is_blank(character: str) -> bool:
    return unicodedata.category(character).startswith("Z") or character in _BLANK


def in_rows(text: str, columns: int) -> list[str]:
    """
    A text in rows that fit, so that a long one cannot go on where another line is expected to begin.

    :param columns: of a terminal; a wide character takes two.
    """
    rows, row, taken = [], "", 0
    for character in text:
        wide = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if taken + wide > columns:
            rows.append(row)
            row, taken = "", 0
        row, taken = row + character, taken + wide
    return [*rows, row]
