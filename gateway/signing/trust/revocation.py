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
from pyhanko_certvalidator.authority import AuthorityWithCert
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import CRLValidationError, OCSPValidationError, RevokedError
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo, ValidationTimingParams
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.revinfo.validate_crl import verify_crl
from pyhanko_certvalidator.revinfo.validate_ocsp import verify_ocsp_response
from pyhanko_certvalidator.util import ConsList

from gateway.signing.trust.facts import LATEST, RevocationItem, single_answers
from gateway.signing.trust.lists import ListSignature
from gateway.signing.trust.paths import EVER, FAILURES, Algorithms, Store, Tolerance, run

ANSWER_LASTS = timedelta(hours=12)
"""How long an OCSP answer without nextUpdate counts; RFC 6960 §4.2.2.1: newer information is always available."""

_HOLD = "certificate_hold"
_SIGNERS_MAX = 8
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
    signer_ends: datetime = LATEST
    """When the certificate of whoever signed it ends, where that is not the issuer's own."""

    def counts_until(self, skew: timedelta) -> datetime:
        """
        The last moment at which "not revoked" may be concluded from this.

        Not after the signer's own end: nobody tells any more whether his key was stolen, and whoever has it dates
        an answer back and promises any nextUpdate.
        """
        said = self.next_update or min(self.this_update, LATEST) + ANSWER_LASTS
        return min(said, self.signer_ends, LATEST) + skew


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


def _crl_about(item: RevocationItem, certificate: asn1.Certificate) -> bytes:
    """
    A CRL for certvalidator to search for one certificate.

    It decodes every entry in Python, which for half a million takes half a minute. In an indirect CRL the entries
    depend on each other, and all of them are seen.
    """
    point = crl.CertificateList.load(item.opened.bare).issuing_distribution_point_value
    if point is not None and point["indirect_crl"].native:
        return item.der
    return item.opened.about(certificate["tbs_certificate"]["serial_number"].dump())


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
        behind = _behind(item, certificate, path, context, store)
    except (CRLValidationError, OCSPValidationError, *FAILURES):
        return None
    return Statement(
        item=item,
        revoked_at=revoked_at,
        reason=reason,
        this_update=made[0],
        next_update=made[1],
        # RFC 6960 §4.2.2.2.1: of a responder that says so, revocation is not asked.
        signers=tuple(c for c in behind if c.ocsp_no_check_value is None),
        signer_ends=min((c.not_valid_after for c in behind if _signed(item, c)), default=LATEST),
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
    more: dict[str, Any] = {"ocsps": [item.der]}
    if item.kind == "crl":
        listed = _crl_about(item, certificate)
        more = {
            "crls": [crl.CertificateList.load(listed)],
            "signature_validator": ListSignature(item.opened, listed),
        }
    context = store.context(
        at=at,
        algorithms=algorithms,
        extra=path.iter_certs(include_root=False),
        **more,
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


def _behind(
    item: RevocationItem,
    certificate: asn1.Certificate,
    path: ValidationPath,
    context: ValidationContext,
    store: Store,
) -> tuple[asn1.Certificate, ...]:
    """The certificates that an item's signature rests on, other than the issuer's in the path."""
    if item.kind == "crl":
        own = context.revinfo_manager.check_crl_issuer(context.crls[0])
        found = [own] if own is not None else []
    else:
        answer = ocsp.OCSPResponse.load(item.der).basic_ocsp_response
        found = list(answer["certs"] or ())
        if len(found) > _SIGNERS_MAX:
            raise ValueError("An OCSP answer with more certificates than any authority sends along.")
        # What the answer leaves out is looked for among those that are known.
        if not any(_signed(item, c) for c in found):
            found += [c for c in store.intermediates if _may_answer(c) and _signed(item, c)]
    issuer = path.find_issuing_authority(certificate)
    known = issuer.certificate.sha256 if isinstance(issuer, AuthorityWithCert) else None
    return tuple(c for c in found if c.sha256 != known)


def _may_answer(certificate: asn1.Certificate) -> bool:
    purposes = certificate.extended_key_usage_value
    return purposes is not None and "ocsp_signing" in purposes.native


def _signed(item: RevocationItem, certificate: asn1.Certificate) -> bool:
    """Whether an item names this certificate as its signer's; an answer may carry others, too."""
    if item.kind == "crl":
        return True
    named = ocsp.OCSPResponse.load(item.der).response_data["responder_id"]
    if named.name == "by_key":
        return named.native in (certificate.public_key.sha1, certificate.key_identifier)
    return bool(named.chosen == certificate.subject)


def _signed_with(item: RevocationItem) -> algos.SignedDigestAlgorithm:
    if item.kind == "crl":
        return crl.CertificateList.load(item.opened.bare)["signature_algorithm"]
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
