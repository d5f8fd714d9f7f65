"""
Which pages may ask: each was paired once, by its person typing a code that the helper shows.

The list of origins keeps other pages of a browser away. It keeps nobody away who writes his own requests, such as
another account on a shared machine: that is what the code is for, and the token that the page gets for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.errors import PageNotPaired, PairingCodeWrong

CODE_DIGITS = 8
CODE_LASTS = timedelta(minutes=3)
_TRIES = 5
_BETWEEN_CODES = timedelta(seconds=5)
"""So that a program that asks for one code after the other gains less than one guess in a second."""
_TOKEN_LASTS = timedelta(days=30)
_MOST_KEPT = 100


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """A code on the screen."""

    code: str
    since: datetime
    tries_left: int = _TRIES


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """One page that may ask."""

    origin: str
    token_sha256: str
    until: datetime


class Pairings:
    """The paired pages of one person; safe for several threads."""

    def __init__(self, file: Path | None, *, clock: Callable[[], datetime]) -> None:
        """
        Read what was paired before.

        :param file: where hashes of tokens are kept between starts, for its owner alone; ``None``: nowhere. One
            that cannot be read counts as empty: pages are then paired again.
        :param clock: aware UTC.
        """
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()
        self._shown: dict[str, _Shown] = {}
        self._paired: list[Pairing] = _read(file) if file is not None else []

    def begin(self, origin: str) -> str:
        """
        A new code to be shown to the person; the page's earlier one is void.

        :raises PairingCodeWrong: the page was given one a moment ago.
        """
        now = self._clock()
        with self._lock:
            before = self._shown.get(origin)
            # One from the future is of a clock that has been put right since.
            if before is not None and timedelta() <= now - before.since < _BETWEEN_CODES:
                raise PairingCodeWrong("A code was shown a moment ago; wait some seconds before asking for another.")
            code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
            self._shown[origin] = _Shown(code=code, since=now)
            return code

    def finish(self, origin: str, code: str) -> str:
        """
        The token of a page whose person has typed the code.

        :raises PairingCodeWrong: it is another, was used, or is too old; after five tries it is void.
        """
        now = self._clock()
        with self._lock:
            shown = self._shown.get(origin)
            if shown is None or shown.tries_left <= 0 or not timedelta() <= now - shown.since <= CODE_LASTS:
                raise PairingCodeWrong
            if not hmac.compare_digest(shown.code.encode(), code.strip().encode(errors="replace")):
                self._shown[origin] = replace(shown, tries_left=shown.tries_left - 1)
                raise PairingCodeWrong
            # Not forgotten but used up, so that the next code is not asked for at once either.
            self._shown[origin] = replace(shown, tries_left=0)
            token = secrets.token_urlsafe(32)
            new = Pairing(origin=origin, token_sha256=_hash(token), until=now + _TOKEN_LASTS)
            self._paired = [*[p for p in self._paired if p.until > now][-_MOST_KEPT + 1 :], new]
            self._keep()
            return token

    def check(self, origin: str, token: str) -> None:
        """
        :raises PageNotPaired: no such token, or it is another page's, or its time is over.
        """
        now, given = self._clock(), _hash(token)
        with self._lock:
            if not any(hmac.compare_digest(p.token_sha256, given) for p in self._paired if self._is(p, origin, now)):
                raise PageNotPaired

    def forget(self, origin: str) -> None:
        """End every pairing of a page."""
        with self._lock:
            self._paired = [p for p in self._paired if p.origin != origin]
            self._keep()

    @staticmethod
    def _is(pairing: Pairing, origin: str, now: datetime) -> bool:
        return pairing.origin == origin and pairing.until > now

    def _keep(self) -> None:
        """Write the file anew; where that cannot be done the pairing lasts until the helper ends."""
        if self._file is None:
            return
        rows = [{"origin": p.origin, "sha256": p.token_sha256, "until": p.until.isoformat()} for p in self._paired]
        beside = self._file.with_suffix(".new")
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                json.dump(rows, out)
            beside.replace(self._file)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _read(file: Path) -> list[Pairing]:
    try:
        rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        return [
            Pairing(
                origin=str(row["origin"]),
                token_sha256=str(row["sha256"]),
                until=datetime.fromisoformat(row["until"]),
            )
            for row in rows
        ][-_MOST_KEPT:]
    except (OSError, ValueError, KeyError, TypeError):
        return []
