"""
From revocation items to a status at a moment: first what an authority truly said, then what follows from it.

The first step (:func:`statement`) is certvalidator's: whether an item is about this certificate, signed by
one who may, at the time that it was made. It does not depend on the moment that is judged. The second
(:func:`status_at`) is a table of docs/trust.md, and pure.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from asn1crypto import algos, crl, ocsp
from asn1crypto import x509 as asn1
from pyhanko_certvalidator._state import ValProcState
from pyhanko_certvalidator.authority import AuthorityWithCert
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import CRLValidationError, OCSPValidationError, RevokedError
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo, ValidationTimingParams
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.revinfo.validate_crl import verify_crl
from pyhanko_certvalidator.revinfo.validate_ocsp import verify_ocsp_response
from pyhanko_certvalidator.util import ConsList

from gateway.signing.trust.facts import LATEST, RevocationItem, single_answers
from gateway.signing.trust.paths import EVER, FAILURES, Algorithms, Store, Tolerance, run

ANSWER_LASTS = timedelta(hours=12)
"""How long an OCSP answer without nextUpdate counts; RFC 6960 §4.2.2.1: newer information is always available."""

_HOLD = "certificate_hold"
_SEQUENCE = 0x30
_SIGNERS_MAX = 4
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
    signers: tuple[asn1.Certificate, ...] = ()
    """Certificates behind the item, besides the issuer's own, that may themselves have been revoked."""

    def counts_until(self, skew: timedelta) -> datetime:
        """The last moment at which "not revoked" may be concluded from this."""
        return min(self.next_update or min(self.this_update, LATEST) + ANSWER_LASTS, LATEST) + skew


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
    """A CRL's content of which only the entries about one certificate are seen."""

    serial: bytes | None = None
    """DER of its serial number; ``None``: all entries are seen."""

    def __getitem__(self, key: object) -> Any:
        found = super().__getitem__(key)
        if self.serial is None or key != "revoked_certificates":
            return found
        entries = found.contents or b""
        if self.serial not in entries:
            return []
        return [crl.RevokedCertificate.load(entry) for entry in _entries(entries, self.serial)]


class _CertificateList(crl.CertificateList):  # type: ignore[misc] # asn1crypto has no types
    _fields = [("tbs_cert_list", _TbsCertList), *crl.CertificateList._fields[1:]]  # noqa: RUF012 — asn1crypto's way


def _crl_about(der: bytes, certificate: asn1.Certificate) -> crl.CertificateList:
    """
    A CRL for certvalidator to search for one certificate.

    It decodes every entry in Python, which for a list of 120,000 takes seconds, while an entry's first bytes say
    whom it is about. In an indirect CRL the entries depend on each other, and all of them are seen.
    """
    parsed = _CertificateList.load(der)
    point = parsed.issuing_distribution_point_value
    if point is None or not point["indirect_crl"].native:
        parsed["tbs_cert_list"].serial = certificate["tbs_certificate"]["serial_number"].dump()
    return parsed


def _entries(entries: bytes, serial: bytes) -> Iterator[bytes]:
    """
    The entries of a CRL that begin with a serial number.

    :param entries: SEQUENCEs, one after the other.
    :raises ValueError: they are not.
    """
    at = 0
    while at < len(entries):
        length, header = entries[at + 1], 2
        if length & 0x80:
            header += length & 0x7F
            length = int.from_bytes(entries[at + 2 : at + header], "big")
        end = at + header + length
        if entries[at] != _SEQUENCE or end > len(entries):
            raise ValueError("A CRL's entries are not in DER.")
        if entries.startswith(serial, at + header):
            yield entries[at:end]
        at = end


def statement(
    item: RevocationItem, certificate: asn1.Certificate, path: ValidationPath, *, store: Store, tolerance: Tolerance
) -> Statement | None:
    """
    What an item says of a certificate; ``None`` when it says nothing that can be believed.

    Judged at the time that the item was made, so that today's list can be used for a signature of last year.
    Delta CRLs and lists of only some reasons are not enough by themselves, and so say nothing.

    :param path: a validated path that contains the certificate.
    """
    try:
        made = _made_at(item, certificate)
        algorithms = Algorithms(tolerance)
        # certvalidator asks this of certificates only, and would take a list that was signed with MD5.
        if made is None or not algorithms.signature_algorithm_allowed(_signed_with(item), None, None):
            return None
        context = _context(item, certificate, path, at=made[0], store=store, algorithms=algorithms)
        revoked_at, reason = _said(item, certificate, path, context)
        signers = _signers(item, certificate, path, context)
    except (CRLValidationError, OCSPValidationError, *FAILURES):
        return None
    return Statement(
        item=item,
        revoked_at=revoked_at,
        reason=reason,
        this_update=made[0],
        next_update=made[1],
        signers=signers,
    )


def _context(
    item: RevocationItem,
    certificate: asn1.Certificate,
    path: ValidationPath,
    *,
    at: datetime,
    store: Store,
    algorithms: Algorithms,
) -> ValidationContext:
    """A context that knows one item, and judges whoever signed it at the time that it was made."""
    context = store.context(
        at=at,
        algorithms=algorithms,
        extra=path.iter_certs(include_root=False),
        crls=[_crl_about(item.der, certificate)] if item.kind == "crl" else [],
        ocsps=[item.der] if item.kind == "ocsp" else [],
    )
    # Not "at a point in time": entries count whatever their date is. Which of them counts when is status_at's.
    timing = ValidationTimingInfo(validation_time=at, best_signature_time=at, point_in_time_validation=False)
    context.timing_params = ValidationTimingParams(timing, time_tolerance=timedelta(0))
    return context


def _said(
    item: RevocationItem, certificate: asn1.Certificate, path: ValidationPath, context: ValidationContext
) -> tuple[datetime | None, str | None]:
    """
    When and why a certificate was revoked, or neither.

    :raises CRLValidationError: it does not say, or may not; so do ``OCSPValidationError`` and :data:`FAILURES`.
    """
    state = ValProcState(cert_path_stack=ConsList.sing(path), init_index=path.pkix_len)
    verify = verify_crl if item.kind == "crl" else verify_ocsp_response
    try:
        run(verify(certificate, path, context, proc_state=state))
    except RevokedError as e:
        return e.revocation_dt, str(e.reason.native)
    return None, None


def _signers(
    item: RevocationItem, certificate: asn1.Certificate, path: ValidationPath, context: ValidationContext
) -> tuple[asn1.Certificate, ...]:
    """The certificates behind an item that can themselves have been revoked, other than the issuer's in the path."""
    if item.kind == "crl":
        own = context.revinfo_manager.check_crl_issuer(context.crls[0])
        found = [own] if own is not None else []
    else:
        answer = ocsp.OCSPResponse.load(item.der).basic_ocsp_response
        found = [c for c in answer["certs"] or () if c.ocsp_no_check_value is None][:_SIGNERS_MAX]
    issuer = path.find_issuing_authority(certificate)
    known = issuer.certificate.sha256 if isinstance(issuer, AuthorityWithCert) else None
    return tuple(c for c in found if c.sha256 != known)


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
            # Until the end of the whole: an answer about several certificates counts as long as all it says does.
            return answer["this_update"].native, item.next_update
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

    :param statuses: of the certificates below the anchor, at the same moment. None, when the certificate is itself
        an anchor: nobody but its issuer could say that it was revoked.
    """
    if not statuses:
        return Status(revocation=Revocation.UNKNOWN)
    worst = next(
        (r for r in (Revocation.REVOKED, Revocation.UNKNOWN) if any(s.revocation is r for s in statuses)),
        Revocation.GOOD,
    )
    dated = [s for s in statuses if s.revoked_at is not None]
    first = min(dated, key=lambda s: s.revoked_at or EVER[1], default=None)
    # That the others are good did not decide that one is revoked.
    deciding = [s for s in statuses if s.revocation is worst] if worst is Revocation.REVOKED else statuses
    items = {item.sha256: item for s in deciding for item in s.items}
    return Status(
        revocation=worst,
        revoked_at=first.revoked_at if first else None,
        reason=first.reason if first else None,
        items=tuple(items.values()),
        start=max(s.start for s in statuses),
        end=min(s.end for s in statuses),
    )
