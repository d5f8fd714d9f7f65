"""Whom to believe while evidence is checked: the anchors and certificates given, and hints out of the file itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, TypedDict

from cryptography import x509

from gateway.errors import TimestampInvalid, TimestampRevoked
from gateway.evidence.given import Given
from gateway.evidence.points import Outcome, Point
from gateway.evidence.timestamp import Stamp, check_token, refuse_loose, refuse_revoked
from gateway.signing.keys import known
from gateway.signing.policy import Reason
from gateway.signing.timestamp import HashName
from gateway.signing.trust import (
    CLOCK_SKEW,
    Revocation,
    RevocationFacts,
    RevocationItem,
    RevocationMode,
    TrustAnchors,
    TrustFinding,
)

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
        self._told_to_end: set[tuple[str, datetime]] = set()
        facts = RevocationFacts(given.revocation, unvouched=revocation)

        def anchors(mode: RevocationMode) -> TrustAnchors:
            return TrustAnchors(given.anchors, certificates, mode=mode, facts=facts, authorities=given.authorities)

        self.strict = anchors(RevocationMode.REQUIRED)
        """The same, for whom what is not known of revocation is to be told from what is good."""
        self.anchors = self.strict if given.require_revocation else anchors(RevocationMode.IF_KNOWN)
        self._answers = TrustAnchors(
            given.stamp_anchors,
            certificates,
            mode=RevocationMode.IF_KNOWN,
            facts=RevocationFacts(_answers(given.revocation), unvouched=_answers(revocation)),
        )
        """Knows what OCSP says alone: revocation lists are read where the token is."""

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
        code = self._signed(found, values, proven=proven is not None)
        outcome = {"signer.believed": Outcome.HOLDS, "signer.revoked": Outcome.BROKEN}.get(code, Outcome.UNPROVEN)
        return Point(part=part, outcome=outcome, code=code, values=values)

    @staticmethod
    def _signed(found: TrustFinding, values: dict[str, str], *, proven: bool) -> str:
        """What is made of a finding; what the sentence names is added to ``values``."""
        if found.reason is None:
            values["revocation"] = str(found.revocation)
            return "signer.revocation_unknown" if found.undecided else "signer.believed"
        values["reason"] = str(found.reason)
        if not proven and found.reason in (Reason.CERTIFICATE_EXPIRED, Reason.CERTIFICATE_REVOKED):
            return "signer.no_time"
        if found.reason is Reason.CERTIFICATE_REVOKED and found.revoked_at is not None:
            values["revoked"] = found.revoked_at.isoformat()
            return "signer.revoked"
        return "signer.not_believed"

    def stamp(
        self,
        part: str,
        token: bytes | None,
        digest: bytes,
        *,
        held: datetime | None = None,
        hash_name: HashName = "sha256",
        renews: bool = False,
    ) -> tuple[list[Point], Stamp | None]:
        """
        What a time-stamp proves.

        :param digest: of what it must be over, by ``hash_name``.
        :param held: the moment by which something newer proves that it existed; ``None``: nothing does.
        :param renews: whether it is a renewal's, which has one form.
        :return: the points, the first of which judges; and the stamp when it holds and its authority is believed.
        """
        if token is None:
            return [Point(part=part, outcome=Outcome.NOTED, code="stamp.none")], None
        anchors = self.given.stamp_anchors
        try:
            stamp = self._checked(token, digest, anchors, held=held, hash_name=hash_name)
            revocation = self._not_revoked(stamp, held=held) if stamp.trusted else Revocation.NOT_ASKED
        except TimestampInvalid as error:
            return [self._refused(part, token, digest, error, held=held, hash_name=hash_name, renews=renews)], None
        if renews and (loose := _loose(part, token, stamp)) is not None:
            return [loose], None
        values = {"authority": stamp.authority, "stamped": stamp.at.isoformat(), "revocation": str(revocation)}
        code = self._doubt(stamp, revocation, held=held, values=values)
        if code is not None:
            return [Point(part=part, outcome=Outcome.UNPROVEN, code=code, values=values)], None
        found = [
            Point(part=part, outcome=Outcome.HOLDS, code="renewal.holds" if renews else "stamp.holds", values=values)
        ]
        return [*found, *self._ended(part, stamp, held or self.given.at)], stamp

    def _doubt(
        self, stamp: Stamp, revocation: Revocation, *, held: datetime | None, values: dict[str, str]
    ) -> str | None:
        """Why a stamp that holds is not believed; what the sentence names is added to ``values``."""
        if not stamp.trusted:
            values["detail"] = "–"
            return "stamp.not_believed"
        if stamp.at > self.given.at + CLOCK_SKEW:
            return "stamp.future"
        if held is not None and stamp.at > held + CLOCK_SKEW:
            values["held"] = held.isoformat()
            return "stamp.later"
        if self.given.require_revocation and revocation is not Revocation.GOOD:
            return "stamp.revocation_unknown"
        return None

    def _ended(self, part: str, stamp: Stamp, held: datetime) -> Iterator[Point]:
        """That nobody says any more whether the authority's key is its own: once for each authority."""
        if held <= stamp.ends or (stamp.authority, stamp.ends) in self._told_to_end:
            return
        self._told_to_end.add((stamp.authority, stamp.ends))
        values = {"authority": stamp.authority, "ended": stamp.ends.isoformat()}
        yield Point(part=part, outcome=Outcome.NOTED, code="stamp.ended", values=values)

    def _not_revoked(self, stamp: Stamp, *, held: datetime | None) -> Revocation:
        """
        What is known of the authority's certificate at the stamp's moment, by OCSP answers as well.

        :raises TimestampRevoked: it is not to be believed.
        """
        asked = known(stamp.chain[0])
        answered = self._answers.judge(asked, at=stamp.at, **_ANY_KEY)
        if answered.revoked_at is not None:
            harmless = answered.revocation_reason in _HARMLESS
            refuse_revoked(answered.revoked_at, harmless=harmless, stamped_at=stamp.at, held=held)
        return self.anchors.authorities.judge(asked, at=stamp.at, **_ANY_KEY).revocation

    def _refused(
        self,
        part: str,
        token: bytes,
        digest: bytes,
        error: TimestampInvalid,
        *,
        held: datetime | None,
        hash_name: HashName,
        renews: bool,
    ) -> Point:
        """Whether it is the token that is wrong, or only that its maker is not believed."""
        try:
            stamp = self._checked(token, digest, (), held=held, hash_name=hash_name)
        except TimestampInvalid as damaged:
            values = {"detail": damaged.detail}
            return Point(part=part, outcome=Outcome.BROKEN, code="stamp.broken", values=values)
        if renews and (loose := _loose(part, token, stamp)) is not None:
            return loose
        if isinstance(error, TimestampRevoked):
            values = {
                "authority": stamp.authority,
                "stamped": stamp.at.isoformat(),
                "revoked": error.since.isoformat(),
                **({} if held is None else {"held": held.isoformat()}),
            }
            code = "stamp.revoked" if held is None or error.since <= stamp.at else "stamp.renewed_late"
            return Point(part=part, outcome=Outcome.UNPROVEN, code=code, values=values)
        return Point(part=part, outcome=Outcome.UNPROVEN, code="stamp.not_believed", values={"detail": error.detail})

    def _checked(
        self,
        token: bytes,
        digest: bytes,
        anchors: Sequence[x509.Certificate],
        *,
        held: datetime | None,
        hash_name: HashName,
    ) -> Stamp:
        lists = [item.der for item in self._items if item.kind == "crl"] if anchors else []
        return check_token(token, digest, anchors, extra=self._certificates, crls=lists, held=held, hash_name=hash_name)


def _loose(part: str, token: bytes, stamp: Stamp) -> Point | None:
    """What is wrong with the bytes of a token that its signature leaves open; ``None``: nothing."""
    try:
        refuse_loose(token, stamp.chain)
    except TimestampInvalid as error:
        return Point(part=part, outcome=Outcome.BROKEN, code="stamp.broken", values={"detail": error.detail})
    return None


_HARMLESS: Final = frozenset({"affiliation_changed", "superseded", "cessation_of_operation"})
"""Reasons for which what was stamped before stays good (RFC 3161 §4), by asn1crypto's names. "Unspecified" is one
there; here it also stands for no reason at all, which is none."""


class _Tolerance(TypedDict):
    tolerate_sha1: bool
    minimum_rsa_bits: int
    tolerate_rsa_1024: bool


_ANY_KEY: Final[_Tolerance] = {"tolerate_sha1": True, "minimum_rsa_bits": 1024, "tolerate_rsa_1024": True}
"""Asked here is revocation alone: whom to believe is the token's reader's question."""


def _answers(items: Iterable[RevocationItem]) -> Iterator[RevocationItem]:
    """The OCSP answers among them."""
    return (item for item in items if item.kind == "ocsp")
