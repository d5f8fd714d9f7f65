"""
Judging again what was accepted: when a certificate turns out to have been revoked, and when what was not known is.

Only the certificate is judged again: that the signature is its key's, over these bytes, does not change. Deliveries
that have left are not taken back, which is for people to decide; what was kept here is let go or refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

import structlog
from cryptography import x509

from gateway.errors import GatewayError, LedgerUnavailable
from gateway.ledger import Ledger
from gateway.ledger.records import ExaminationResult, Examined
from gateway.ledger.revocation import Rejudged
from gateway.model import VIETNAM_TIME, ExaminationKind, ExaminationState, Standing, Verdict
from gateway.signing.keys import KnownCertificate, known
from gateway.signing.policy import Reason, is_weak
from gateway.signing.trust import Revocation, TrustAnchors, TrustFinding

_log = structlog.get_logger()

_PAGE = 200
"""Documents that are read at a time."""
_AT_ONCE = 50
"""Documents judged anew in one transaction: a tenth of a second in which SQLite lets nobody else write."""


class Between(Protocol):
    """Called after each portion of a long work, while nothing is locked: to rest, or to raise and so end it."""

    def __call__(self) -> None:
        """Take the time that others need."""


def at_once() -> None:
    """Rests not at all; for who waits for the end."""


def reconsidered(verdict: Verdict, finding: TrustFinding) -> Verdict | None:
    """
    The verdict that follows from what is known of its certificate now; ``None`` when the old one stands.

    Revocation alone is judged again: a certificate that an operator's policy would not accept any more was
    good enough then.

    :param verdict: the present one, of a package that a certificate verified.
    :param finding: on that certificate at ``verdict.judged_at``, however weak it is.
    """
    # What can become valid: what was not known, and what was invalid for this alone.
    undone = verdict.standing is Standing.INDETERMINATE or verdict.reason == Reason.CERTIFICATE_REVOKED
    if verdict.standing not in (Standing.VALID, Standing.VALID_WEAK) and not undone:
        return None
    if finding.reason is Reason.CERTIFICATE_REVOKED:
        new = replace(
            verdict,
            standing=Standing.INVALID,
            reason=str(Reason.CERTIFICATE_REVOKED),
            revocation=finding.revocation.value,
            revoked_at=finding.revoked_at,
        )
    elif not undone or finding.reason is not None or finding.revocation is Revocation.UNKNOWN:
        return None
    else:
        new = replace(
            verdict,
            standing=_good(verdict, finding),
            reason=str(Reason.VERIFIED),
            revocation=finding.revocation.value,
            revoked_at=finding.revoked_at,
        )
    same = (new.standing, new.reason, new.revoked_at) == (verdict.standing, verdict.reason, verdict.revoked_at)
    return None if same else new


def _good(verdict: Verdict, finding: TrustFinding) -> Standing:
    weak = finding.weak or (
        verdict.signature_method is not None
        and verdict.digest_method is not None
        and is_weak(verdict.signature_method, verdict.digest_method)
    )
    return Standing.VALID_WEAK if weak else Standing.VALID


def _why(verdict: Verdict) -> str:
    """For the sender, whose certificate it is; the wire has one language."""
    since = "" if verdict.revoked_at is None else f" từ {verdict.revoked_at.astimezone(VIETNAM_TIME):%d/%m/%Y %H:%M:%S}"
    return f"Chứng thư đã ký gói tin bị thu hồi{since} (SHA-256 {(verdict.certificate_sha256 or '')[:16]}…)."


class Rejudge:
    """Puts verdicts right in the ledger, and lets go or refuses what waited for that."""

    def __init__(
        self,
        ledger: Ledger,
        anchors: TrustAnchors,
        *,
        settle: Callable[[str, ExaminationKind, Examined], bool],
        counted: Callable[[Standing], None] = lambda _: None,
    ) -> None:
        """
        :param anchors: with the facts, which the caller keeps fresh.
        :param settle: ends an examination of a document; whether it was ended now.
        :param counted: told each standing that a document has come to.
        """
        self._ledger = ledger
        self._anchors = anchors
        self._settle = settle
        self._counted = counted

    def of_certificate(
        self, certificate: KnownCertificate, *, since: datetime, cause: str, now: datetime, between: Between = at_once
    ) -> int:
        """
        Judge anew the documents that a certificate verified, now that it counts as revoked from another date.

        An agency has a hundred thousand of them. Each portion is durable by itself; whoever is ended in the middle
        begins again, and passes over what is done.

        :param since: of documents received then or later.
        :param cause: ``revoked`` or ``unrevoked``.
        :param between: called after each portion, whether or not there was anything to change.
        :return: documents whose verdict has changed.
        """
        changed = 0
        last: tuple[datetime, str] | None = None
        while page := self._ledger.documents_verified_by(certificate.sha256, since=since, after=last, limit=_PAGE):
            last = (page[-1][1], page[-1][0])
            changes = [
                Rejudged(document=document, old=verdict, new=new, cause=cause)
                for document, _, verdict in page
                if (new := reconsidered(verdict, self._judged(certificate, verdict))) is not None
            ]
            for start in range(0, len(changes), _AT_ONCE):
                changed += self._put_right(changes[start : start + _AT_ONCE], now)
                between()
            if not changes:
                between()  # to read a hundred thousand takes minutes, too
        return changed

    def undecided(self, *, now: datetime, between: Between = at_once) -> int:
        """
        Judge anew what was accepted though revocation was not known, and end that it is waited for.

        :param between: as for ``of_certificate``.
        :return: documents of which it is known now.
        """
        known_now = portion = 0
        last: str | None = None
        while rows := self._ledger.open_examinations(ExaminationKind.REVOCATION, limit=_PAGE, after=last):
            last = rows[-1].document
            for row in rows:
                if row.state is ExaminationState.PENDING and self._decided(row.document, holds=row.holds, now=now):
                    known_now, portion = known_now + 1, portion + 1
                if portion >= _AT_ONCE // 2:
                    portion = 0
                    between()
            between()
        return known_now

    def _decided(self, document_id: str, *, holds: bool, now: datetime) -> bool:
        """As :meth:`_decide`; a document that cannot be decided about keeps no other one waiting."""
        try:
            return self._decide(document_id, holds=holds, now=now)
        except LedgerUnavailable:
            raise
        except GatewayError as error:
            _log.error("document.undecided", action="document.undecided", document=document_id, code=error.code)
            return False

    def _decide(self, document_id: str, *, holds: bool, now: datetime) -> bool:
        """Judge one document anew; whether it is known now what it is."""
        document = self._ledger.document(document_id)
        if document is None:
            return False
        verdict = document.verdict
        if verdict.standing is Standing.INDETERMINATE:
            certificate = self._certificate(verdict)
            new = None if certificate is None else reconsidered(verdict, self._judged(certificate, verdict))
            if new is None:
                return False
            change = Rejudged(document=document_id, old=verdict, new=new, cause="known")
            if not self._put_right([change], now):
                return False  # somebody else has judged it meanwhile; the next round sees that
            verdict = new
        refused = holds and verdict.standing is Standing.INVALID
        outcome = Examined(
            state=ExaminationState.REFUSED if refused else ExaminationState.DONE,
            reason=verdict.reason,
            detail=_why(verdict) if refused else None,
            result=ExaminationResult(verdict=verdict),
        )
        return self._settle(document_id, ExaminationKind.REVOCATION, outcome)

    def _certificate(self, verdict: Verdict) -> KnownCertificate | None:
        if verdict.certificate_sha256 is None:
            return None
        der = self._ledger.certificates_der([verdict.certificate_sha256]).get(verdict.certificate_sha256)
        return None if der is None else known(x509.load_der_x509_certificate(der))

    def _judged(self, certificate: KnownCertificate, verdict: Verdict) -> TrustFinding:
        """At the moment of receipt, whatever policy tolerated then."""
        return self._anchors.judge(certificate, at=verdict.judged_at, tolerate_sha1=True, tolerate_rsa_1024=True)

    def _put_right(self, changes: list[Rejudged], now: datetime) -> int:
        done = set(self._ledger.rejudge(changes, now=now)) if changes else set()
        for change in changes:
            if change.document in done:
                self._counted(change.new.standing)
        if done:
            # One line for all: each document has its event.
            first = next(change for change in changes if change.document in done)
            _log.warning(
                "document.rejudged",
                action="document.rejudged",
                documents=len(done),
                first=first.document,
                certificate=first.new.certificate_sha256,
                cause=first.cause,
            )
        return len(done)
