"""Who is calling over the provincial protocol: a token of ``login``, and the id and secret of a system."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime

from gateway.api.lgsp.tokens import TokenMint
from gateway.api.systems import SystemCaller, SystemDoor
from gateway.errors import NotAuthenticated, SessionEnded
from gateway.ledger import Ledger
from gateway.ledger.records import System, new_id


class Gatekeeper:
    """Gives tokens and turns headers into callers; one per process, shared by its threads."""

    def __init__(
        self,
        *,
        door: SystemDoor,
        ledger: Ledger,
        clock: Callable[[], datetime],
        mint: TokenMint,
        single_token: bool,
        shared_login: bool,
    ) -> None:
        """
        :param single_token: a newer login of a system ends its older token, as on the axis of Lạng Sơn. Which was
            the last one is kept in the ledger, so that it holds whichever process is asked.
        :param shared_login: a token of any system will do; else it must be of the system that calls.
        """
        self._door = door
        self._ledger = ledger
        self._clock = clock
        self._mint = mint
        self._single_token = single_token
        self._shared_login = shared_login

    def login(self, username: str, password: str, *, address: str) -> tuple[SystemCaller, str]:
        """
        A new token.

        :param username: the system's id.
        :param password: its secret.
        :param address: where the request came from; failed tries are counted by it.
        :raises NotAuthenticated: the two do not belong together.
        :raises TooManyRequests: this system, or this address with wrong credentials, came too often.
        """
        with self._door.watching(address):
            caller = self._door.admit(self._proved(username, password))
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
        # Before the token, so that nobody logs in anew for a wrong secret.
        with self._door.watching(address):
            caller = self._door.admit(self._proved(system_id, secret))
        # Not by address: whoever has proved itself is told to log in, however many strangers share the address.
        self._check_token(authorization, caller.system)
        return caller

    def _proved(self, system_id: str, secret: str) -> System:
        live = self._door.find(system_id)
        given = secret.encode("utf-8", "surrogatepass")  # JSON can spell halves of characters
        # With each, always, and with one for an unknown system too: time tells nothing of which was right.
        right = [hmac.compare_digest(given, known.encode()) for known in (live.secrets if live else ("",))]
        if live is None or not any(right):
            raise NotAuthenticated("The id of the system and its secret do not belong together.")
        return live.system

    def _check_token(self, authorization: str | None, system: System) -> None:
        scheme, _, text = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise SessionEnded
        token = self._mint.read(text.strip(), now=self._clock())
        if token.system != system.id and not (self._shared_login and self._door.find(token.system)):
            raise SessionEnded
        if self._single_token and self._ledger.last_token(token.system) != token.id:
            raise SessionEnded
