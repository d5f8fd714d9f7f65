"""Whom to believe while evidence is checked: the anchors and certificates given, and hints out of the file itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography import x509

from gateway.errors import TimestampInvalid
from gateway.evidence.given import Given
from gateway.evidence.points import Outcome, Point
from gateway.evidence.timestamp import Stamp, check_token
from gateway.signing.keys import known
from gateway.signing.policy import Reason
from gateway.signing.trust import CLOCK_SKEW, RevocationFacts, RevocationItem, RevocationMode, TrustAnchors

__all__ = ["Belief", "Given"]


class Belief:
    """
    Judges signers and time-stamps by what was given.

    Certificates and revocation items out of the file help to build paths and say who was revoked; they are believed
    only as far as they chain to what was given.
    """

    def __init__(
        self, given: Given, certificates: Sequence[x509.Certificate] = (), revocation: Iterable[RevocationItem] = ()
    ) -> None:
        self.given = given
        revocation = tuple(revocation)
        self._items = (*given.revocation, *revocation)
        self._certificates = tuple(certificates)
        self._pinned = TrustAnchors()
        self.anchors = TrustAnchors(
            given.anchors,
            certificates,
            mode=RevocationMode.IF_KNOWN,
            facts=RevocationFacts(given.revocation, unvouched=revocation),
        )

    def signer(self, part: str, certificate: x509.Certificate, *, proven: datetime | None) -> Point:
        """
        Whether a gateway's certificate was to be believed when it signed.

        :param part: the part that it signed.
        :param proven: the moment by which the signature existed; ``None``: nothing proves one, so it is judged now.
        """
        facts, at = known(certificate), proven or self.given.at
        values = {"subject": facts.subject, "moment": at.isoformat(), "certificate_sha256": facts.sha256}
        pinned = certificate in self.given.gateways
        if not pinned and self.given.gateways and facts.subject not in {known(c).subject for c in self.given.gateways}:
            return Point(part=part, outcome=Outcome.UNPROVEN, code="signer.other_gateway", values=values)
        if not pinned and not self.given.anchors:
            return Point(part=part, outcome=Outcome.UNPROVEN, code="signer.no_anchor", values=values)
        found = (self._pinned if pinned else self.anchors).judge(facts, at=at)
        if found.reason is None:
            values["revocation"] = str(found.revocation)
            return Point(part=part, outcome=Outcome.HOLDS, code="signer.believed", values=values)
        values["reason"] = str(found.reason)
        if proven is None and found.reason in (Reason.CERTIFICATE_EXPIRED, Reason.CERTIFICATE_REVOKED):
            return Point(part=part, outcome=Outcome.UNPROVEN, code="signer.no_time", values=values)
        if found.reason is Reason.CERTIFICATE_REVOKED and found.revoked_at is not None:
            values["revoked"] = found.revoked_at.isoformat()
            return Point(part=part, outcome=Outcome.BROKEN, code="signer.revoked", values=values)
        return Point(part=part, outcome=Outcome.UNPROVEN, code="signer.not_believed", values=values)

    def stamp(self, part: str, token: bytes | None, digest: bytes) -> tuple[Point, Stamp | None]:
        """
        What a time-stamp proves.

        :param digest: SHA-256 of what it must be over.
        :return: the point, and the stamp when it holds and its authority is believed.
        """
        if token is None:
            return Point(part=part, outcome=Outcome.NOTED, code="stamp.none"), None
        try:
            stamp = self._checked(token, digest, self.given.anchors)
        except TimestampInvalid as error:
            return self._refused(part, token, digest, error), None
        if not stamp.trusted:
            detail = {"detail": "–", "authority": stamp.authority}
            return Point(part=part, outcome=Outcome.UNPROVEN, code="stamp.not_believed", values=detail), None
        values = {"authority": stamp.authority, "stamped": stamp.at.isoformat()}
        if stamp.at > self.given.at + CLOCK_SKEW:
            return Point(part=part, outcome=Outcome.UNPROVEN, code="stamp.future", values=values), None
        return Point(part=part, outcome=Outcome.HOLDS, code="stamp.holds", values=values), stamp

    def _refused(self, part: str, token: bytes, digest: bytes, error: TimestampInvalid) -> Point:
        """Whether it is the token that is wrong, or only that its maker is not believed."""
        try:
            self._checked(token, digest, ())
        except TimestampInvalid as damaged:
            values = {"detail": damaged.detail}
            return Point(part=part, outcome=Outcome.BROKEN, code="stamp.broken", values=values)
        return Point(part=part, outcome=Outcome.UNPROVEN, code="stamp.not_believed", values={"detail": error.detail})

    def _checked(self, token: bytes, digest: bytes, anchors: Sequence[x509.Certificate]) -> Stamp:
        lists = [item.der for item in self._items if item.kind == "crl"] if anchors else []
        return check_token(token, digest, anchors, extra=self._certificates, crls=lists)
