"""Who is calling over the provincial protocol: a token of ``login``, and the id and secret of a system."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from limits import RateLimitItem, parse

from gateway.api.lgsp.tokens import Token, TokenMint
from gateway.api.rate import RateLimit
from gateway.directory import Directory
from gateway.errors import NotAuthenticated, SessionEnded, TooManyRequests
from gateway.exchange.systems import Systems, callers
from gateway.ledger import Ledger
from gateway.ledger.records import System, new_id
from gateway.model import Agency


@dataclass(frozen=True, kw_only=True)
class SystemCaller:
    """An authenticated system and the agencies that it speaks for now."""

    system: System
    agencies: tuple[Agency, ...]
    """At least one, in the order of the registration."""

    @property
    def agency(self) -> Agency:
        """The first: what the log names, and refusals that are nobody else's."""
        return self.agencies[0]


class Gatekeeper:
    """Gives tokens and turns headers into callers; one per process, shared by its threads."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        systems: Systems,
        directory: Callable[[], Directory],
        clock: Callable[[], datetime],
        mint: TokenMint,
        rate_limit: str,
        single_token: bool = False,
        shared_login: bool = False,
    ) -> None:
        """
        :param single_token: a newer login of a system ends its older token, as on the axis of Lạng Sơn. The last
            login is kept in the ledger, so that it holds whichever process is asked.
        :param shared_login: a token of any system will do; else it must be of the system that calls.
        """
        self._ledger = ledger
        self._systems = systems
        self._directory = directory
        self._clock = clock
        self._mint = mint
        self._single_token = single_token
        self._shared_login = shared_login
        self._limit: RateLimitItem = parse(rate_limit)
        self._rate = RateLimit(self._limit)

    def login(self, username: str, password: str, *, address: str) -> tuple[SystemCaller, str]:
        """
        A new token.

        :param username: the system's id.
        :param password: its secret.
        :param address: where the request came from; failed tries are counted by it.
        :raises NotAuthenticated: the two do not belong together.
        :raises TooManyRequests: this system, or this address with wrong credentials, came too often.
        """
        caller = self._counted(lambda: self._prove(username, password), address)
        now = self._clock()
        token_id = new_id()
        if self._single_token:
            self._ledger.note_token(caller.system.id, token_id, now=now)
        return caller, self._mint.make(caller.system.id, token_id=token_id, now=now)

    def admit(self, authorization: str | None, system_id: str, secret: str, *, address: str) -> SystemCaller:
        """
        The caller behind the three headers of every call.

        :param authorization: ``Authorization``; ``system_id`` and ``secret`` are ``X-SystemId`` and ``X-SecretKey``.
        :raises NotAuthenticated: id and secret do not belong together.
        :raises SessionEnded: they do, but there is no valid token: logging in helps.
        :raises TooManyRequests: as ``login``.
        """

        def caller() -> SystemCaller:
            # Before the token, so that a wrong secret is not answered by a new login.
            found = self._prove(system_id, secret)
            self._check_token(authorization, found.system)
            return found

        return self._counted(caller, address)

    def _counted(self, prove: Callable[[], SystemCaller], address: str) -> SystemCaller:
        try:
            caller = prove()
        except NotAuthenticated:
            self._count(f"address:{address}")
            raise
        self._count(f"system:{caller.system.id}")
        return caller

    def _count(self, whom: str) -> None:
        if not self._rate.admits(whom):
            raise TooManyRequests(f"At most {self._limit} are served.")

    def _prove(self, system_id: str, secret: str) -> SystemCaller:
        live = self._systems.find(system_id)
        given = secret.encode("utf-8", "surrogateescape")
        # Each, always, and one for an unknown system too: time tells nothing of which was right.
        right = [hmac.compare_digest(given, known.encode()) for known in (live.secrets if live else ("",))]
        if live is None or not any(right):
            raise NotAuthenticated("The id of the system and its secret do not belong together.")
        agencies = tuple(callers(live.system, self._directory(), self._clock()))
        if not agencies:
            raise NotAuthenticated("None of the agencies that this system speaks for is in the directory any more.")
        return SystemCaller(system=live.system, agencies=agencies)

    def _check_token(self, authorization: str | None, system: System) -> None:
        scheme, _, text = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise SessionEnded
        token = self._mint.read(text.strip(), now=self._clock())
        if token.system != system.id and not (self._shared_login and self._systems.find(token.system)):
            raise SessionEnded
        if self._single_token and not self._is_newest(token):
            raise SessionEnded

    def _is_newest(self, token: Token) -> bool:
        return self._ledger.last_token(token.system) == token.id
