"""A time-stamp counts when it is over what we have, by an authority that is believed at its moment; or not at all."""

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

import pytest

from gateway.errors import TimestampInvalid
from gateway.evidence.timestamp import Stamp, check_token
from tests.support import pki

DIGEST = hashlib.sha256(b"statement").digest()
ROOT = (pki.root().certificate,)


def a_token(**changes: Any) -> bytes:
    return pki.timestamp_token(DIGEST, **changes)


def test_a_stamp_says_when_and_by_whom() -> None:
    stamp = check_token(a_token(), DIGEST, ROOT)
    assert stamp.at == pki.NOW.replace(microsecond=0)
    assert "Dấu thời gian thử nghiệm" in stamp.authority
    assert stamp.chain == (pki.tsa().certificate, pki.intermediate().certificate, pki.root().certificate)
    assert stamp.trusted
    assert stamp.policy == pki.POLICY


def test_a_stamp_outlives_its_authority_s_certificate() -> None:
    """It is judged at its own moment; at a later one it would not hold, as the caller may ask."""
    early = pki.NOW - 2 * pki.YEAR + timedelta(days=400)
    token = a_token(at=early, authority=pki.tsa(expired=True))
    assert check_token(token, DIGEST, ROOT).at == early.replace(microsecond=0)
    with pytest.raises(TimestampInvalid):
        check_token(token, DIGEST, ROOT, at=pki.NOW)
    with pytest.raises(TimestampInvalid):
        check_token(a_token(authority=pki.tsa(expired=True)), DIGEST, ROOT)


def test_without_anchors_the_signature_is_judged_and_nobody_is_trusted() -> None:
    stamp = check_token(a_token(authority=pki.tsa_stranger()), DIGEST, ())
    assert not stamp.trusted
    assert stamp.chain == (pki.tsa_stranger().certificate,)


def test_the_authority_s_certificate_may_come_from_elsewhere_never() -> None:
    """A token without its signer's certificate cannot be checked; those between may be given."""
    with pytest.raises(TimestampInvalid):
        check_token(a_token(with_chain=False), DIGEST, ROOT, extra=[pki.tsa().certificate])


@pytest.mark.parametrize(
    "token",
    [
        a_token(authority=pki.tsa_stranger()),
        pki.timestamp_token(hashlib.sha256(b"other").digest()),
        a_token(hash_name="sha384"),
        a_token(authority=pki.person()),
        a_token(at=pki.NOW + 20 * pki.YEAR),
        b"",
        b"\x30\x03\x02\x01\x01",
        a_token()[:-1],
        a_token() + b"\x00",
        bytes(100_000),
    ],
    ids=["stranger", "other digest", "other hash", "not an authority", "after its end", "empty", "no token", "cut",
         "longer", "huge"],
)  # fmt: skip
def test_a_token_that_differs_in_one_thing_is_refused(token: bytes) -> None:
    with pytest.raises(TimestampInvalid) as caught:
        check_token(token, DIGEST, ROOT)
    assert caught.value.code == "evidence.timestamp"


@pytest.mark.parametrize(
    ("reason", "after", "holds"),
    [
        (pki.Reason.key_compromise, -1, False),
        (pki.Reason.key_compromise, 30, False),  # whoever has the key may date back
        (None, 30, False),
        (pki.Reason.superseded, -1, False),
        (pki.Reason.superseded, 30, True),
        (pki.Reason.cessation_of_operation, 30, True),
    ],
    ids=["stolen before", "stolen later", "no reason, later", "replaced before", "replaced later", "closed later"],
)
def test_what_a_revoked_authority_has_stamped(reason: pki.Reason | None, after: int, holds: bool) -> None:
    """As RFC 3161 §4 has it; whatever the age of the list."""
    moment = pki.NOW + timedelta(days=after)
    revoked = {pki.tsa().certificate.serial_number: (moment, reason)}
    lists = [
        pki.crl(pki.root(), {}),
        pki.crl(pki.intermediate(), revoked, this_update=pki.NOW + timedelta(days=60)),
    ]
    if holds:
        assert check_token(a_token(), DIGEST, ROOT, crls=lists).trusted
    else:
        with pytest.raises(TimestampInvalid):
            check_token(a_token(), DIGEST, ROOT, crls=lists)


def test_a_revocation_list_of_somebody_else_says_nothing() -> None:
    revoked = {pki.tsa().certificate.serial_number: (pki.NOW - timedelta(days=1), pki.Reason.key_compromise)}
    forged = pki.crl(pki.intermediate(), revoked, signer=pki.stranger())
    assert check_token(a_token(), DIGEST, ROOT, crls=[forged]).trusted


def test_another_policy_than_the_one_asked_for_is_refused() -> None:
    assert check_token(a_token(), DIGEST, ROOT, policy=pki.POLICY).policy == pki.POLICY
    with pytest.raises(TimestampInvalid):
        check_token(a_token(), DIGEST, ROOT, policy="1.2.3.4")


def test_a_token_can_be_checked_within_a_coroutine() -> None:
    async def check() -> Stamp:
        return check_token(a_token(), DIGEST, ROOT)

    assert asyncio.run(check()).trusted


def test_no_byte_of_a_token_can_be_changed() -> None:
    """But for what its signature does not cover, which changes nothing that is said."""
    token = a_token()
    good = check_token(token, DIGEST, ROOT)
    for place in range(0, len(token), 7):
        changed = token[:place] + bytes([token[place] ^ 1]) + token[place + 1 :]
        try:
            assert check_token(changed, DIGEST, ROOT) == good
        except TimestampInvalid:
            continue
