"""A signing helper without a screen: its person is told by the test what to answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from flask import Flask
from flask.testing import FlaskClient

from gateway.api.problems import status_of
from gateway.errors import GatewayError, HelperKeyUnknown, KeyUnusable
from gateway.signer.app import Door, make_app
from gateway.signer.desk import ANSWER_WITHIN, Consent, Question
from gateway.signer.helper import Helper
from gateway.signer.pairing import Pairings
from gateway.signing.keys import Signer, SigningKey
from tests.support.exchange import Clock

PAGE = "https://eoffice.example.vn"
PORT = 28450
PIN = "123456"


@dataclass
class Person:
    """Answers as told, and remembers what was shown."""

    answer: Consent | GatewayError = field(default_factory=lambda: Consent(pin=PIN))
    codes: list[tuple[str, str]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def show_code(self, origin: str, code: str) -> None:
        self.codes.append((origin, code))

    def ask(self, question: Question, *, wait: timedelta = ANSWER_WITHIN) -> Consent:
        del wait
        self.questions.append(question)
        if isinstance(self.answer, GatewayError):
            raise self.answer
        return self.answer


@dataclass
class KeysInMemory:
    """A token without a device: the real key, which signs for the right PIN alone."""

    keys: list[SigningKey]
    name: str = "Token thử"
    pulled_out: bool = False

    def certificates(self) -> list[x509.Certificate]:
        if self.pulled_out:
            raise KeyUnusable("The token has been pulled out.")
        return [k.certificate for k in self.keys]

    @contextmanager
    def unlocked(self, sha256: str, pin: str) -> Iterator[Signer]:
        if pin != PIN:
            raise KeyUnusable("The PIN is wrong.")
        found = next((k for k in self.keys if k.certificate_sha256 == sha256), None)
        if found is None:
            raise HelperKeyUnknown
        yield found


@dataclass
class Desk:
    """A whole helper with its person and its keys."""

    keyring: Any
    person: Person = field(default_factory=Person)
    clock: Clock = field(default_factory=Clock)
    gateway: Any = None
    origins: tuple[str, ...] = (PAGE,)
    port: int = PORT
    kept: Path | None = None
    keep_open_minutes: int = 0

    def __post_init__(self) -> None:
        self.helper = Helper(
            keyring=self.keyring,
            desk=self.person,
            clock=self.clock,
            gateway=self.gateway,
            keep_open=timedelta(minutes=self.keep_open_minutes),
        )
        self.pairings = Pairings(self.kept, clock=self.clock)
        door = Door(origins=self.origins, port=lambda: self.port, pairings=self.pairings)
        self.app: Flask = make_app(self.helper, door, version="0", status_of=status_of)

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def token(self, origin: str = PAGE) -> str:
        """Of a page that has just been paired."""
        return self.pairings.finish(origin, self.pairings.begin(origin))
