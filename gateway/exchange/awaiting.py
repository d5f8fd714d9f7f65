"""What becomes of a package whose certificate may have been revoked, without anybody knowing now; pure."""

from __future__ import annotations

from datetime import datetime

from gateway.exchange.parts import ExaminationRules
from gateway.ledger.records import NewExamination
from gateway.model import Agency, BusinessType, Envelope, ExaminationKind, PackageKind, Standing, Verdict


def borne(rules: ExaminationRules, envelope: Envelope) -> frozenset[Standing]:
    """
    Verdicts that the deployment bears with for now, whatever it accepts for good.

    A status, a recall, an update and a replacement take effect at once, so there is no keeping them back: where
    documents are held until it is known, those are to be sent again.
    """
    at_once = envelope.kind is PackageKind.STATUS or envelope.business_type is not BusinessType.NEW
    if rules.revocation_unknown == "accept" or (rules.revocation_unknown == "hold" and not at_once):
        return frozenset({Standing.INDETERMINATE})
    return frozenset()


def awaited(rules: ExaminationRules, sender: Agency, verdict: Verdict, *, now: datetime) -> tuple[NewExamination, ...]:
    """
    That a package is to be judged again once it is known; it is kept here until then where the deployment says so.

    Not kept is what the sender's own entry accepts as it is.
    """
    if verdict.standing is not Standing.INDETERMINATE:
        return ()
    accepted = sender.accepts is not None and Standing.INDETERMINATE in sender.accepts
    holds = rules.revocation_unknown == "hold" and not accepted
    kind = ExaminationKind.REVOCATION
    return (NewExamination(kind=kind, holds=holds, reason=verdict.reason, due_at=now),)
