"""
From revocation items to a status at a moment: first what an authority truly said, then what follows from it.

The first step (:func:`statement`) is certvalidator's: whether an item is about this certificate, signed by
one who may, at the time that it was made. It does not depend on the moment that is judged. The second
(:func:`status_at`) is a table of docs/trust.md, and pure.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from asn1crypto import algos, crl, ocsp
from asn1crypto import x509 as asn1
from pyhanko_certvalidator._state import ValProcState
from pyhanko_certvalidator.errors import CRLValidationError, OCSPValidationError, RevokedError
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.revinfo.validate_crl import verify_crl
from pyhanko_certvalidator.revinfo.validate_ocsp import verify_ocsp_response
from pyhanko_certvalidator.util import ConsList

from gateway.signing.trust.facts import RevocationItem, single_answers
from gateway.signing.trust.paths import EVER, FAILURES, Algorithms, Store, Tolerance, run

ANSWER_LASTS = timedelta(hours=12)
"""How long an OCSP answer without nextUpdate counts; RFC 6960 §4.2.2.1: newer information is always available."""

_HOLD = "certificate_hold"
_TICK = timedelta(microseconds=1)


class Revocation(enum.StrEnum):
    """What is known of a certificate's revocation at a moment, its issuers' included."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    """Nothing that counts at that moment: not fetched, stale, forged, or the authority does not know."""
    NOT_ASKED = "not_asked"
    """The deployment does not judge revocation."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What one item says of one certificate; its signature has been checked."""

    item: RevocationItem
    revoked_at: datetime | None
    """``None``: not revoked, as far as the authority knew at ``this_update``."""
    reason: str | None
    """asn1crypto's name of the CRLReason; ``None`` when not revoked."""
    this_update: datetime
    next_update: datetime | None

    def counts_until(self, skew: timedelta) -> datetime:
        """The last moment at which "not revoked" may be concluded from this."""
        return (self.next_update or self.this_update + ANSWER_LASTS) + skew


@dataclass(frozen=True, kw_only=True)
class Status:
    """The status of a certificate, or of a whole path, at a moment."""

    revocation: Revocation
    revoked_at: datetime | None = None
    """When the authority says that it was revoked, also when that was after the moment."""
    reason: str | None = None
    items: tuple[RevocationItem, ...] = ()
    """What decided."""
    start: datetime = EVER[0]
    end: datetime = EVER[1]
    """The time in which these facts give the same status; both ends included."""


class _TbsCertList(crl.TbsCertList):  # type: ignore[misc] # asn1crypto has no types
    """A CRL's content that skips its entries when none of them can be about the certificate in question."""

    skip = False

    def __getitem__(self, key: object) -> Any:
        return () if self.skip and key == "revoked_certificates" else super().__getitem__(key)


class _CertificateList(crl.CertificateList):  # type: ignore[misc] # asn1crypto has no types
    _fields = [("tbs_cert_list", _TbsCertList), *crl.CertificateList._fields[1:]]  # noqa: RUF012 — asn1crypto's way


def _crl_about(der: bytes, certificate: asn1.Certificate) -> crl.CertificateList:
    """
    A CRL for certvalidator to search for one certificate.

    It decodes every entry in Python: 0.4 seconds for 20,000. An entry about the certificate holds its
    serial number's encoding, so where these bytes are nowhere in the list there is nothing to search.
    """
    parsed = _CertificateList.load(der)
    parsed["tbs_cert_list"].skip = certificate["tbs_certificate"]["serial_number"].dump() not in der
    return parsed


def statement(
    item: RevocationItem, certificate: asn1.Certificate, path: ValidationPath, *, store: Store, tolerance: Tolerance
) -> Statement | None:
    """
    What an item says of a certificate; ``None`` when it says nothing that can be believed.

    Judged at the time that the item was made, so that today's list can be used for a signature of last year.
    Delta CRLs and lists of only some reasons are not enough by themselves, and so say nothing.

    :param path: a validated path that contains the certificate.
    """
    made = _made_at(item, certificate)
    algorithms = Algorithms(tolerance)
    # certvalidator asks this of certificates only, and would take a list that was signed with MD5.
    if made is None or not algorithms.signature_algorithm_allowed(_signed_with(item), None, None):
        return None
    this_update, next_update = made
    revoked_at: datetime | None = None
    reason: str | None = None
    lists = [_crl_about(item.der, certificate)] if item.kind == "crl" else []
    try:
        context = store.context(
            # A second later: an entry counts for certvalidator when it is older than the moment.
            at=this_update + timedelta(seconds=1),
            algorithms=algorithms,
            extra=path.iter_certs(include_root=False),
            crls=lists,
            ocsps=[item.der] if item.kind == "ocsp" else [],
        )
        state = ValProcState(cert_path_stack=ConsList.sing(path), init_index=path.pkix_len)
        verify = verify_crl if item.kind == "crl" else verify_ocsp_response
        run(verify(certificate, path, context, proc_state=state))
    except RevokedError as e:
        revoked_at, reason = e.revocation_dt, str(e.reason.native)
    except (CRLValidationError, OCSPValidationError, *FAILURES):
        return None
    return Statement(item=item, revoked_at=revoked_at, reason=reason, this_update=this_update, next_update=next_update)


def _signed_with(item: RevocationItem) -> algos.SignedDigestAlgorithm:
    if item.kind == "crl":
        return crl.CertificateList.load(item.der)["signature_algorithm"]
    return ocsp.OCSPResponse.load(item.der).basic_ocsp_response["signature_algorithm"]


def _made_at(item: RevocationItem, certificate: asn1.Certificate) -> tuple[datetime, datetime | None] | None:
    """thisUpdate and nextUpdate of what an item says of a certificate; ``None`` when it is about others."""
    if item.kind == "crl":
        return item.this_update, item.next_update
    for answer in single_answers(item.der):
        if answer["cert_id"]["serial_number"].native == certificate.serial_number:
            return answer["this_update"].native, answer["next_update"].native
    return None


def status_at(statements: Sequence[Statement], *, at: datetime, not_after: datetime, skew: timedelta) -> Status:
    """
    The status of one certificate at a moment.

    Revoked from the date that the authority names, for ever, except that a hold ends with a newer statement
    that the certificate is good. "Not revoked" can be concluded until nextUpdate and ``skew`` more, and for any
    earlier moment: a later statement knows of earlier revocations. One made after the certificate's end knows
    nothing any more (RFC 5280 §3.3), unless it names the certificate.

    :param not_after: of the certificate.
    :param skew: how far clocks may differ.
    """
    good = [s for s in statements if s.revoked_at is None]
    revoked = [s for s in statements if s.revoked_at is not None and not _released(s, good)]
    if revoked:
        first = min(revoked, key=lambda s: s.revoked_at or EVER[1])
        assert first.revoked_at is not None
        since = at >= first.revoked_at
        return Status(
            revocation=Revocation.REVOKED if since else Revocation.GOOD,
            revoked_at=first.revoked_at,
            reason=first.reason,
            items=(first.item,),
            start=first.revoked_at if since else EVER[0],
            end=EVER[1] if since else first.revoked_at - _TICK,
        )
    counting = [s for s in good if s.this_update <= not_after]
    if not counting:
        return Status(revocation=Revocation.UNKNOWN)
    longest = max(counting, key=lambda s: s.counts_until(skew))
    end = longest.counts_until(skew)
    if at <= end:
        return Status(revocation=Revocation.GOOD, items=(longest.item,), end=end)
    return Status(revocation=Revocation.UNKNOWN, start=end + _TICK)


def _released(revoked: Statement, good: Sequence[Statement]) -> bool:
    return revoked.reason == _HOLD and any(s.this_update > revoked.this_update for s in good)


def of_path(statuses: Sequence[Status]) -> Status:
    """
    The status of a path: revoked when one of its certificates is, good when all are.

    :param statuses: of the certificates below the anchor, at the same moment.
    """
    worst = next(
        (r for r in (Revocation.REVOKED, Revocation.UNKNOWN) if any(s.revocation is r for s in statuses)),
        Revocation.GOOD,
    )
    dated = [s for s in statuses if s.revoked_at is not None]
    first = min(dated, key=lambda s: s.revoked_at or EVER[1], default=None)
    items = {item.sha256: item for s in statuses for item in s.items}
    return Status(
        revocation=worst,
        revoked_at=first.revoked_at if first else None,
        reason=first.reason if first else None,
        items=tuple(items.values()),
        start=max((s.start for s in statuses), default=EVER[0]),
        end=min((s.end for s in statuses), default=EVER[1]),
    )
