"""
Whether a certificate may be believed at a given moment: dates, usage, key, path, revocation.

What was found is remembered with the time in which it cannot change, so that the same certificate costs
a look-up in a dictionary for the next package.
"""

from __future__ import annotations

import enum
import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from asn1crypto import x509 as asn1
from cryptography import x509

from gateway.signing.keys import KnownCertificate, fingerprint
from gateway.signing.policy import CURVES, Reason
from gateway.signing.trust.facts import RevocationFacts, RevocationItem
from gateway.signing.trust.paths import OLDEST_RSA_BITS, Chain, Store, Tolerance
from gateway.signing.trust.revocation import Revocation, Statement, Status, of_path, statement, status_at

CLOCK_SKEW = timedelta(minutes=10)
"""How far the clocks of authorities and of the gateway may differ before a CRL or an OCSP answer counts as stale."""

REMEMBERED = 20_000
"""Findings; a certificate and its policy make one. Beyond, all are forgotten and found again."""

_OPINION = {Revocation.GOOD: 0, Revocation.UNKNOWN: 1, Revocation.REVOKED: 2}


class RevocationMode(enum.StrEnum):
    """What the deployment makes of revocation; setting ``revocation.mode``."""

    OFF = "off"
    """Not judged."""
    IF_KNOWN = "if_known"
    """What is known to be revoked is refused; what is not known counts as valid, and the verdict shows it."""
    REQUIRED = "required"
    """What is not known is ``indeterminate``."""


@dataclass(frozen=True, kw_only=True)
class TrustFinding:
    """What is known of one certificate at one moment."""

    reason: Reason | None
    """``None``: good at that moment, as far as revocation is known."""
    weak: bool = False
    """SHA-1 in the path or an RSA-1024 key, which policy tolerates."""
    revocation: Revocation = Revocation.NOT_ASKED
    undecided: bool = False
    """Revocation is unknown and the deployment requires it: the verdict is at best ``indeterminate``."""
    revoked_at: datetime | None = None
    """Aware UTC, by the authority's word; also when that is after the moment, and the certificate was good then."""
    revocation_reason: str | None = None
    """asn1crypto's name of the CRLReason, e.g. ``key_compromise``."""
    chain: tuple[x509.Certificate, ...] = ()
    """Leaf first, anchor last; empty when there is none."""
    items: tuple[RevocationItem, ...] = ()
    """CRLs and OCSP answers that decided."""


@dataclass(frozen=True, kw_only=True)
class _Remembered:
    version: int
    start: datetime
    end: datetime
    finding: TrustFinding


@dataclass(frozen=True, kw_only=True)
class _Walked:
    chains: tuple[Chain, ...]
    start: datetime
    end: datetime


class TrustAnchors:
    """
    The configured anchors, what is known of revocation, and what was found before.

    Safe to use from many threads: findings are looked up without a lock and made under one.
    """

    def __init__(
        self,
        anchors: Sequence[x509.Certificate] = (),
        intermediates: Sequence[x509.Certificate] = (),
        *,
        mode: RevocationMode = RevocationMode.OFF,
        facts: RevocationFacts | None = None,
        clock_skew: timedelta = CLOCK_SKEW,
        authorities: Sequence[x509.Certificate] = (),
    ) -> None:
        """
        :param anchors: trusted without further question; none: registration is the ground of trust.
        :param intermediates: known, and trusted only when they chain to an anchor.
        :param facts: shared with whoever keeps them fresh.
        :param authorities: anchors of time-stamp authorities, where they are not those of the signers; none: they are.
        """
        self.anchors = tuple(anchors)
        self.intermediates = tuple(intermediates)
        self.mode = mode
        self.facts = facts if facts is not None else RevocationFacts()
        self.clock_skew = clock_skew
        self._store = Store(self.anchors, self.intermediates)
        self._lock = threading.Lock()
        self._findings: dict[tuple[object, ...], _Remembered] = {}
        self._paths: dict[tuple[object, ...], _Walked] = {}
        self._statements: dict[tuple[object, ...], Statement | None] = {}
        self._version = self.facts.version
        self.authority_anchors = tuple(authorities)
        """Empty where they are ``anchors``."""
        self.authorities: TrustAnchors = (
            TrustAnchors(authorities, intermediates, mode=mode, facts=self.facts, clock_skew=clock_skew)
            if authorities
            else self
        )
        """Whom to believe for time-stamps."""

    def __bool__(self) -> bool:
        """False when no anchor is configured: registration alone is then the ground of trust."""
        return bool(self.anchors)

    def judge(
        self,
        certificate: KnownCertificate,
        *,
        at: datetime,
        tolerate_sha1: bool = False,
        minimum_rsa_bits: int = 2048,
        tolerate_rsa_1024: bool = False,
        extra: Sequence[x509.Certificate] = (),
    ) -> TrustFinding:
        """
        Say whether a certificate was good to sign documents at a moment, and why not.

        :param at: aware: every certificate of the path, the anchor included, must be valid then.
        :param tolerate_sha1: issuers may have signed with SHA-1; the finding is then ``weak``.
        :param minimum_rsa_bits: of the certificate's own key.
        :param tolerate_rsa_1024: RSA keys from 1024 bits, its own and its issuers'; ``weak``.
        :param extra: certificates that came with the signature; they may help to build the path.

        Source: docs/trust.md; decision 0029.
        """
        weak_key = not _strong(certificate, minimum_rsa_bits)
        reason = _own_fault(certificate, at)
        if reason is None and weak_key and not (tolerate_rsa_1024 and (certificate.rsa_bits or 0) >= OLDEST_RSA_BITS):
            reason = Reason.KEY_TOO_SMALL
        if reason is not None:
            return TrustFinding(reason=reason)
        tolerance = Tolerance(sha1=tolerate_sha1, rsa_1024=tolerate_rsa_1024)
        finding = self._found(certificate, at, tolerance)
        if finding.reason is Reason.CERTIFICATE_UNTRUSTED and extra:
            finding = self._found(certificate, at, tolerance, tuple(extra))
        return replace(finding, weak=True) if weak_key and not finding.weak else finding

    def _found(
        self,
        certificate: KnownCertificate,
        at: datetime,
        tolerance: Tolerance,
        extra: tuple[x509.Certificate, ...] = (),
    ) -> TrustFinding:
        """Path and revocation, remembered."""
        if not self.anchors:
            return _UNANCHORED[self.mode]
        key = (certificate.sha256, tolerance, *(fingerprint(c) for c in extra))
        seen = self._findings.get(key)
        if seen is None or seen.version != self.facts.version or not seen.start <= at <= seen.end:
            with self._lock:
                self._forget()
                seen = self._find(self._walk(key, certificate, at, tolerance, extra), at, tolerance)
                self._findings[key] = seen
        return seen.finding

    def _forget(self) -> None:
        """Let go of what is out of date, for it holds lists of megabytes; and of everything when it is too much."""
        version = self.facts.version
        if version != self._version or len(self._findings) >= REMEMBERED:
            if len(self._findings) >= REMEMBERED or len(self._paths) >= REMEMBERED:
                self._paths.clear()
            self._findings.clear()
            current = {item.sha256 for item in self.facts.items} if len(self._statements) < REMEMBERED else set()
            self._statements = {key: said for key, said in self._statements.items() if key[0] in current}
            self._version = version

    def _walk(
        self,
        key: tuple[object, ...],
        certificate: KnownCertificate,
        at: datetime,
        tolerance: Tolerance,
        extra: tuple[x509.Certificate, ...],
    ) -> _Walked:
        """The paths at a moment; what becomes known of revocation does not change them."""
        walked = self._paths.get(key)
        if walked is None or not walked.start <= at <= walked.end:
            chains, (start, end) = self._store.chains(certificate.der, at=at, tolerance=tolerance, extra=extra)
            walked = self._paths[key] = _Walked(chains=tuple(chains), start=start, end=end)
        return walked

    def _find(self, walked: _Walked, at: datetime, tolerance: Tolerance) -> _Remembered:
        # Read first: items that come while this is being found make it out of date, not wrong for ever.
        version = self.facts.version
        chains, start, end = walked.chains, walked.start, walked.end
        if not chains:
            untrusted = TrustFinding(reason=Reason.CERTIFICATE_UNTRUSTED)
            return _Remembered(version=version, start=start, end=end, finding=untrusted)
        if self.mode is RevocationMode.OFF:
            finding = TrustFinding(reason=None, weak=chains[0].weak, chain=chains[0].certificates)
            return _Remembered(version=version, start=start, end=end, finding=finding)
        statuses = [(chain, self._status(chain, at, tolerance)) for chain in chains]
        # Cross-signed authorities: one revoked path does not spoil another.
        chain, status = min(statuses, key=lambda found: _OPINION[found[1].revocation])
        revoked = status.revocation is Revocation.REVOKED
        finding = TrustFinding(
            reason=Reason.CERTIFICATE_REVOKED if revoked else None,
            weak=chain.weak,
            revocation=status.revocation,
            undecided=status.revocation is Revocation.UNKNOWN and self.mode is RevocationMode.REQUIRED,
            revoked_at=status.revoked_at,
            revocation_reason=status.reason,
            chain=chain.certificates,
            items=status.items,
        )
        start = max([start, *(s.start for _, s in statuses)])
        end = min([end, *(s.end for _, s in statuses)])
        return _Remembered(version=version, start=start, end=end, finding=finding)

    def _status(self, chain: Chain, at: datetime, tolerance: Tolerance) -> Status:
        """Revocation of a path's certificates below the anchor."""
        statuses = []
        for issuer, certificate in itertools.pairwise(chain.path):
            said = self._heard(certificate, issuer, chain, tolerance)
            # Whoever has a key that was revoked can sign that all is good; that it was not is believed in any case.
            said = [s for s in said if s.revoked_at is not None or not self._withdrawn(s, chain, tolerance)]
            statuses.append(status_at(said, at=at, not_after=certificate.not_valid_after, skew=self.clock_skew))
        return of_path(statuses)

    def _heard(
        self, certificate: asn1.Certificate, issuer: asn1.Certificate, chain: Chain, tolerance: Tolerance
    ) -> list[Statement]:
        """What is said of a certificate of a path, by whomever may."""
        said = []
        for item in self.facts.about(certificate.serial_number, certificate.issuer.hashable):
            key = (item.sha256, certificate.sha256, issuer.sha256, tolerance)
            if key not in self._statements:
                self._statements[key] = statement(item, certificate, chain.path, store=self._store, tolerance=tolerance)
            found = self._statements[key]
            if found is not None:
                said.append(found)
        return said

    def _withdrawn(self, said: Statement, chain: Chain, tolerance: Tolerance) -> bool:
        """Whether a key behind a statement, besides the issuer's own, was revoked; who says so is not asked after."""
        for signer in said.signers:
            chains, _ = self._store.chains(
                signer.dump(), at=said.this_update, tolerance=tolerance, extra=chain.certificates
            )
            for found in chains[:1]:
                issuer, certificate = list(found.path)[-2:]
                if any(s.revoked_at is not None for s in self._heard(certificate, issuer, found, tolerance)):
                    return True
            if not chains:
                return True
        return False


def _own_fault(certificate: KnownCertificate, at: datetime) -> Reason | None:
    """What is wrong with the certificate whoever issued it."""
    if at < certificate.not_before:
        return Reason.CERTIFICATE_NOT_YET_VALID
    if at > certificate.not_after:
        return Reason.CERTIFICATE_EXPIRED
    if not certificate.may_sign:
        return Reason.CERTIFICATE_USAGE
    return None


def _strong(certificate: KnownCertificate, minimum_rsa_bits: int) -> bool:
    if certificate.rsa_bits is not None:
        return certificate.rsa_bits >= minimum_rsa_bits
    return certificate.curve in CURVES


# Without an anchor no CRL can be believed either; where revocation is required, that is not known, and not good.
_UNANCHORED = {
    RevocationMode.OFF: TrustFinding(reason=None),
    RevocationMode.IF_KNOWN: TrustFinding(reason=None, revocation=Revocation.UNKNOWN),
    RevocationMode.REQUIRED: TrustFinding(reason=None, revocation=Revocation.UNKNOWN, undecided=True),
}
