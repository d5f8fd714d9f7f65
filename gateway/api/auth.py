"""
Who is calling: API keys of agencies, and how often each may call.

A key is looked up by its public prefix and compared as a hash in constant time. What was
found is remembered for a few seconds, so that a busy sender does not cost one query a request;
a revoked key therefore works for at most ``_REMEMBERED`` more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from limits import RateLimitItem, parse

from gateway.api.rate import RateLimit
from gateway.directory import Directory
from gateway.errors import NotAuthenticated, NotPermitted, TooManyRequests
from gateway.exchange.keys import hash_of, matches, prefix_of
from gateway.ledger import Ledger
from gateway.ledger.records import ApiKey
from gateway.model import Agency

_REMEMBERED = timedelta(seconds=5)
_MOST_REMEMBERED = 10_000

SCOPES = ("send", "receive", "read")
"""What a key may do: post documents and statuses; collect from the mailbox; look up."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """An authenticated agency system."""

    agency: Agency
    key_id: str
    scopes: frozenset[str]

    def must(self, *scopes: str) -> None:
        """
        :raises NotPermitted: the key has none of those scopes.
        """
        if self.scopes.isdisjoint(scopes):
            raise NotPermitted(f"This key does not have the scope {' or '.join(map(repr, scopes))}.")


@dataclass(frozen=True, kw_only=True)
class _Known:
    key: ApiKey
    until: datetime


class Doorkeeper:
    """Turns ``Authorization`` headers into callers; one per process, shared by its threads."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        directory: Callable[[], Directory],
        clock: Callable[[], datetime],
        rate_limit: str,
    ) -> None:
        self._ledger = ledger
        self._directory = directory
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()
        self._limit: RateLimitItem = parse(rate_limit)
        self._rate = RateLimit(self._limit)

    def admit(self, authorization: str | None, *, address: str) -> Caller:
        """
        The caller behind an ``Authorization: Bearer`` header.

        :param address: where the request came from; failed tries are counted by it.
        :raises NotAuthenticated: no, wrong, expired or revoked key, or its agency is gone.
        :raises TooManyRequests: this key, or this address with bad keys, came too often.
        """
        try:
            caller = self._caller(authorization)
        except NotAuthenticated:
            self._count(f"address:{address}")
            raise
        self._count(f"key:{caller.key_id}")
        return caller

    def _count(self, whom: str) -> None:
        if not self._rate.admits(whom):
            raise TooManyRequests(f"At most {self._limit} are served.")

    def _caller(self, authorization: str | None) -> Caller:
        scheme, _, token = (authorization or "").partition(" ")
        prefix = prefix_of(token.strip()) if scheme.lower() == "bearer" else None
        if prefix is None:
            raise NotAuthenticated
        token = token.strip()
        now = self._clock()
        known = self._find(prefix, token, now)
        if not known.is_valid(now):
            raise NotAuthenticated("The key has been revoked or has expired.")
        agency = self._directory().find(known.agency, at=now)
        if agency is None:
            raise NotAuthenticated("The agency of this key is no longer in the directory.")
        return Caller(agency=agency, key_id=known.id, scopes=frozenset(known.scopes))

    def _find(self, prefix: str, token: str, now: datetime) -> ApiKey:
        remembered = self._known.get(prefix)
        if remembered is not None and remembered.until > now and matches(token, remembered.key.secret_sha256):
            return remembered.key
        key = self._ledger.find_key(prefix)
        # An unknown prefix costs the same comparison, so that time does not tell the two apart.
        if not matches(token, key.secret_sha256 if key else hash_of("")) or key is None:
            raise NotAuthenticated
        self._ledger.touch_key(key, now=now)
        with self._lock:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[prefix] = _Known(key=key, until=now + _REMEMBERED)
        return key
