"""Which certificates end soon, and whom that concerns; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from gateway.directory import exists_at
from gateway.directory.certificates import covered, registrations
from gateway.ledger.revocation import Expiring
from gateway.model import Agency
from gateway.signing.keys import fingerprint

THRESHOLDS = (7, 30, 60)
"""Days before the end of a certificate at which it is told."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """A certificate that can be signed with now, and until when."""

    sha256: str
    ends: datetime
    origin: str
    """``registered``, ``own`` or ``former``."""
    agency: str | None = None
    role: str | None = None
    covered: bool = False
    """Its end is near, and its successor is registered already."""

    def threshold(self, now: datetime) -> int | None:
        """The smallest number of days that is left at most; ``None``: more than the largest, or it has ended."""
        left = self.ends - now
        if left <= timedelta(0):
            return None
        return next((days for days in THRESHOLDS if left <= timedelta(days=days)), None)


def endings(
    agencies: Iterable[Agency],
    *,
    own: x509.Certificate | None = None,
    former: Sequence[x509.Certificate] = (),
    now: datetime,
) -> list[Ending]:
    """
    The certificates that count now, those that end first at the head.

    :param own: of the gateway's key.
    :param former: of its earlier keys, which no successor covers: whoever keeps their seals should know.
    """
    found = [
        Ending(
            sha256=r.certificate.sha256,
            ends=r.ends,
            origin="registered",
            agency=r.agency.code,
            role=r.certificate.role,
            # Asked only where it matters: it compares with all of the agency's others.
            covered=r.ends - now <= timedelta(days=max(THRESHOLDS)) and covered(r),
        )
        for r in registrations(agencies)
        if r.ends > now and exists_at(r.agency, now)
    ]
    for origin, certificates in (("own", [own] if own else []), ("former", former)):
        found += [Ending(sha256=fingerprint(c), ends=c.not_valid_after_utc, origin=origin) for c in certificates]
    return sorted((e for e in found if e.ends > now), key=lambda e: (e.ends, e.sha256, e.agency or ""))


def to_announce(found: Iterable[Ending], *, now: datetime) -> list[Expiring]:
    """
    What is to be told now; the ledger leaves out what it has told before.

    A certificate of several agencies is told of once, for the one where it ends first.
    """
    told: dict[str, Expiring] = {}
    for one in found:
        days = one.threshold(now)
        if days is not None and not one.covered and one.sha256 not in told:
            facts = {"origin": one.origin, "agency": one.agency, "role": one.role}
            told[one.sha256] = Expiring(sha256=one.sha256, ends=one.ends, days=days, facts=facts)
    return list(told.values())


def counts(found: Iterable[Ending], *, now: datetime) -> dict[int, int]:
    """How many that no successor covers end within each number of days."""
    bare = [one.threshold(now) for one in found if not one.covered]
    return {days: sum(at is not None and at <= days for at in bare) for days in THRESHOLDS}
