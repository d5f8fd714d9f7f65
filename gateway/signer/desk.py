"""The person at the machine: is told what a page wants signed, and answers with a PIN or not at all."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

ANSWER_WITHIN = timedelta(minutes=2)
_LONGEST_WORDS = 200


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
    """A page's words in one line: no control or direction characters, which would move or hide what stands there."""
    line = "".join(" " if unicodedata.category(c).startswith("Z") else c for c in text)
    clean = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in line)
    return clean if len(clean) <= _LONGEST_WORDS else clean[: _LONGEST_WORDS - 1] + "…"
