"""What the helper does for a paired page: say what there is, and sign what the person agrees to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from cryptography import x509

from gateway.errors import GatewayError, HelperBusy, KeyUnusable, NothingToSign, TokenPinNeeded
from gateway.signer.desk import Consent, Desk, Question, printable
from gateway.signer.keyring import Keyring, find
from gateway.signer.preflight import AtGateway, CertificateState, Finding, examine, examine_clock
from gateway.signing.keys import Signer, fingerprint
from gateway.signing.to_be_signed import ToBeSigned, recognise


class GatewayFacts(Protocol):
    """What a helper that was told of its gateway asks there; the page may ask instead."""

    def ahead(self) -> timedelta | None:
        """How far this machine's clock is ahead of the gateway's; ``None`` when it cannot be asked."""

    def says_of(self, sha256: str) -> AtGateway | None:
        """What a certificate is worth for the agency; ``None`` when it cannot be asked."""


@dataclass(frozen=True, kw_only=True)
class State:
    """The preflight: what a page shows before anybody types a PIN."""

    now: datetime
    """This machine's time, aware UTC."""
    key: str
    """What the person calls the token or file."""
    trouble: GatewayError | None
    """Why no certificate can be read; ``None`` when it can."""
    certificates: tuple[CertificateState, ...]
    findings: tuple[Finding, ...]
    """On the machine itself."""
    asked_gateway: bool
    """Whether registration and clock were compared with the gateway's."""

    @property
    def is_ready(self) -> bool:
        """There is a certificate in whose way nothing stands."""
        return self.trouble is None and any(c.can_sign for c in self.certificates)


@dataclass(frozen=True, kw_only=True)
class Signed:
    """One signature."""

    signature: bytes
    """As XML-DSig and JWS write it: PKCS#1 v1.5, or ``r`` and ``s`` as numbers of the curve's width."""
    algorithm: str
    """XML-DSig URI of how it was made."""
    certificate_sha256: str


@dataclass(frozen=True, kw_only=True)
class _Open:
    """A key that stays open for a while, for one page."""

    origin: str
    until: datetime
    signer: Signer
    closing: ExitStack
    timer: threading.Timer


class Helper:
    """Signs with one person's keys, one signature at a time."""

    def __init__(
        self,
        *,
        keyring: Keyring,
        desk: Desk,
        clock: Callable[[], datetime],
        gateway: GatewayFacts | None = None,
        keep_open: timedelta = timedelta(),
    ) -> None:
        """
        Join a person with the keys.

        :param clock: aware UTC.
        :param keep_open: for so long after a signature the same page needs no PIN again, only a yes. The PIN is not
            kept for it: the log-in is.
        """
        self._keyring = keyring
        self._desk = desk
        self._clock = clock
        self._gateway = gateway
        self._keep_open = keep_open
        # The token takes one at a time, and so does the person.
        self._turn = threading.Lock()
        self._open: _Open | None = None

    def show_code(self, origin: str, code: str) -> None:
        """Show the person the code with which a page is paired."""
        self._desk.show_code(origin, code)

    def state(self) -> State:
        """
        What is there now; asked anew each time, for tokens come and go.

        :raises HelperBusy: a signature is being made.
        """
        now, trouble, certificates = self._clock(), None, []
        with self._alone():
            try:
                certificates = self._certificates()
            except KeyUnusable as e:
                trouble = e
        ahead = self._gateway.ahead() if self._gateway else None
        # One that does not answer is not asked again for each certificate, while the page waits.
        says_of = self._gateway.says_of if self._gateway and ahead is not None else _nobody_knows
        states = [examine(c, at_gateway=says_of(fingerprint(c)), at=now) for c in certificates]
        return State(
            now=now,
            key=self._keyring.name,
            trouble=trouble,
            certificates=tuple(states),
            findings=examine_clock(ahead),
            asked_gateway=ahead is not None,
        )

    def sign(self, *, origin: str, certificate_sha256: str, to_be_signed: bytes, description: str) -> Signed:
        """
        Sign what a page asks for, if the person agrees.

        :param to_be_signed: untrusted; only what ``recognise`` knows is signed.
        :param description: the page's words, untrusted.
        :raises NothingToSign: it is something else, or names another certificate.
        :raises KeyUnusable, HelperKeyUnknown: the token or the certificate is not there, cannot sign, or the PIN is
            wrong.
        :raises SigningDeclined, NobodyAnswered, NoWayToAsk: the person did not agree.
        :raises HelperBusy: another signature is being made.
        """
        asked = recognise(to_be_signed)
        if asked.certificate_sha256 not in (None, certificate_sha256):
            raise NothingToSign("What is to be signed names another certificate.")
        with self._alone():
            certificate = find(self._certificates(), certificate_sha256)
            known = examine(certificate, at_gateway=None, at=self._clock())
            faults = [f.words.en for f in known.findings if f.level == "error"]
            if faults:
                raise KeyUnusable(f"The certificate cannot sign: {' '.join(faults)}")
            question = _question(origin, description, asked, known)
            held = self._held(origin, certificate_sha256)
            if held is not None:
                self._desk.ask(replace(question, needs_pin=False))
                try:
                    return self._with(held, to_be_signed)
                except TokenPinNeeded:
                    pass  # the token has been pulled out and put back since: it wants its PIN
            consent = self._desk.ask(question)
            return self._unlocked(consent, origin, certificate_sha256, to_be_signed)

    def close(self) -> None:
        """Log out; the helper is about to end."""
        with self._turn:
            self._let_go()

    def _certificates(self) -> list[x509.Certificate]:
        """What the token holds now; an open log-in that no longer shows its own is over, and is asked anew without."""
        try:
            found = self._keyring.certificates()
        except KeyUnusable:
            self._let_go()
            raise
        held = self._open
        if held is None or held.signer.certificate in found:
            return found
        self._let_go()
        return self._keyring.certificates()

    def _unlocked(self, consent: Consent, origin: str, certificate_sha256: str, data: bytes) -> Signed:
        """Sign with the PIN that was given, and leave the key open where that is wished for."""
        self._let_go()
        with ExitStack() as closing:
            signer = closing.enter_context(self._keyring.unlocked(certificate_sha256, consent.pin or ""))
            signed = self._with(signer, data)
            if self._keep_open:
                self._keep(origin, signer, closing.pop_all())
        return signed

    def _with(self, signer: Signer, data: bytes) -> Signed:
        try:
            value = signer.sign(data)
        except KeyUnusable:
            self._let_go()
            raise
        return Signed(signature=value, algorithm=signer.algorithm, certificate_sha256=signer.certificate_sha256)

    def _held(self, origin: str, certificate_sha256: str) -> Signer | None:
        """The open key, when it is the right one and this page's."""
        held = self._open
        if held is None or held.origin != origin or held.until <= self._clock():
            return None
        return held.signer if held.signer.certificate_sha256 == certificate_sha256 else None

    def _keep(self, origin: str, signer: Signer, closing: ExitStack) -> None:
        """Leave the key open, and see that it is closed also when nobody asks again."""
        timer = threading.Timer(self._keep_open.total_seconds(), self.close)
        timer.daemon = True
        self._open = _Open(
            origin=origin, until=self._clock() + self._keep_open, signer=signer, closing=closing, timer=timer
        )
        timer.start()

    def _let_go(self) -> None:
        held, self._open = self._open, None
        if held is not None:
            held.timer.cancel()
            held.closing.close()

    def _alone(self) -> _Turn:
        return _Turn(self._turn)


class _Turn:
    """The lock, refused at once when another has it: a page asks again, and nobody's question waits behind another."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise HelperBusy

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _question(origin: str, description: str, asked: ToBeSigned, known: CertificateState) -> Question:
    return Question(
        origin=origin,
        description=printable(description),
        kind=asked.kind,
        digest=asked.digest,
        holder=printable(known.holder),
        not_after=known.not_after,
        needs_pin=True,
    )


def _nobody_knows(_sha256: str) -> AtGateway | None:
    return None
