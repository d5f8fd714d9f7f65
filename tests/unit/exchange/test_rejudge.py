"""What follows for a verdict from what becomes known of its certificate, and what is borne with until then."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.exchange.awaiting import awaited, borne
from gateway.exchange.parts import ExaminationRules
from gateway.exchange.rejudge import reconsidered
from gateway.model import Business, BusinessType, SignedBy, Standing, StatusCode, Verdict
from gateway.signing.policy import Reason
from gateway.signing.trust import Revocation, TrustFinding
from tests.support import documents, pki
from tests.support.agencies import an_agency

SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256"
SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2000/09/xmldsig#sha1"
BEFORE = pki.NOW - timedelta(days=1)


def verdict(standing: Standing, reason: Reason = Reason.VERIFIED, algorithms: tuple[str, str] = SHA256) -> Verdict:
    return Verdict(
        standing=standing,
        reason=str(reason),
        judged_at=pki.NOW,
        signed_by=SignedBy.SENDER,
        certificate_sha256="ab" * 32,
        signature_method=algorithms[0],
        digest_method=algorithms[1],
    )


GOOD = TrustFinding(reason=None, revocation=Revocation.GOOD)
UNKNOWN = TrustFinding(reason=None, revocation=Revocation.UNKNOWN, undecided=True)
REVOKED = TrustFinding(reason=Reason.CERTIFICATE_REVOKED, revocation=Revocation.REVOKED, revoked_at=BEFORE)
OFF = TrustFinding(reason=None)
VALID, WEAK = verdict(Standing.VALID), verdict(Standing.VALID_WEAK, algorithms=SHA1)
OPEN = verdict(Standing.INDETERMINATE, Reason.REVOCATION_UNKNOWN)
INVALID = replace(verdict(Standing.INVALID, Reason.CERTIFICATE_REVOKED), revoked_at=BEFORE)


@pytest.mark.parametrize(
    ("before", "finding", "after"),
    [
        (VALID, GOOD, None),
        (VALID, UNKNOWN, None),
        (VALID, replace(GOOD, weak=True), None),  # policy may have tolerated it without calling it weak
        (VALID, REVOKED, Standing.INVALID),
        (WEAK, REVOKED, Standing.INVALID),
        (OPEN, UNKNOWN, None),
        (OPEN, GOOD, Standing.VALID),
        (OPEN, replace(GOOD, weak=True), Standing.VALID_WEAK),
        (replace(OPEN, signature_method=SHA1[0]), GOOD, Standing.VALID_WEAK),
        (OPEN, OFF, Standing.VALID),
        (OPEN, REVOKED, Standing.INVALID),
        (INVALID, REVOKED, None),
        (INVALID, GOOD, Standing.VALID),
        (INVALID, UNKNOWN, None),
        # What has nothing to do with revocation is not judged again.
        (VALID, TrustFinding(reason=Reason.CERTIFICATE_UNTRUSTED), None),
        (OPEN, TrustFinding(reason=Reason.KEY_TOO_SMALL), None),
        (verdict(Standing.INVALID, Reason.DIGEST_MISMATCH), GOOD, None),
        (verdict(Standing.INVALID, Reason.DIGEST_MISMATCH), REVOKED, None),
        (verdict(Standing.UNSIGNED, Reason.NONE), REVOKED, None),
        (verdict(Standing.UNVERIFIABLE, Reason.PLACEHOLDER), REVOKED, None),
    ],
)
def test_revocation_alone_is_judged_again(before: Verdict, finding: TrustFinding, after: Standing | None) -> None:
    new = reconsidered(before, finding)
    assert (None if new is None else new.standing) is after
    if new is not None:
        assert (new.reason == Reason.CERTIFICATE_REVOKED) is (after is Standing.INVALID)
        assert new.revoked_at == finding.revoked_at
        assert (new.judged_at, new.certificate_sha256) == (before.judged_at, before.certificate_sha256)


def test_a_date_that_was_moved_is_a_change() -> None:
    earlier = replace(REVOKED, revoked_at=BEFORE - timedelta(days=1))
    new = reconsidered(INVALID, earlier)
    assert new is not None
    assert new.revoked_at == earlier.revoked_at


NEW = documents.an_envelope()
STATUS = documents.a_status(StatusCode.REGISTERED)
RECALL = documents.an_envelope(business=Business(type=BusinessType.REVOKE))
UPDATE = documents.an_envelope(business=Business(type=BusinessType.UPDATE))


@pytest.mark.parametrize(
    ("outage", "envelope", "taken"),
    [
        ("accept", NEW, True), ("accept", STATUS, True), ("accept", RECALL, True), ("accept", UPDATE, True),
        ("hold", NEW, True), ("hold", STATUS, False), ("hold", RECALL, False), ("hold", UPDATE, False),
        ("refuse", NEW, False), ("refuse", STATUS, False), ("refuse", RECALL, False), ("refuse", UPDATE, False),
    ],
)  # fmt: skip
def test_what_takes_effect_at_once_is_never_held(outage: Any, envelope: Any, taken: bool) -> None:
    standings = borne(ExaminationRules(revocation_unknown=outage), envelope)
    assert standings == (frozenset({Standing.INDETERMINATE}) if taken else frozenset())


@pytest.mark.parametrize(
    ("outage", "accepts", "holds"),
    [
        ("hold", None, True),
        ("hold", frozenset({Standing.VALID}), True),
        ("hold", frozenset({Standing.VALID, Standing.INDETERMINATE}), False),
        ("accept", None, False),
    ],
)
def test_what_is_not_known_is_judged_again_and_held_where_nobody_takes_it_so(
    outage: Any, accepts: frozenset[Standing] | None, holds: bool
) -> None:
    sender = an_agency("H37.21", accepts=accepts)
    (one,) = awaited(ExaminationRules(revocation_unknown=outage), sender, OPEN, now=pki.NOW)
    assert one.holds is holds
    assert awaited(ExaminationRules(revocation_unknown=outage), sender, VALID, now=pki.NOW) == ()
