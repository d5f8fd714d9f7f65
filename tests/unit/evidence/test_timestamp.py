"""A time-stamp counts when it is over what we have, by an authority that is believed at its moment; or not at all."""

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.errors import TimestampInvalid, TimestampRevoked
from gateway.evidence.timestamp import Stamp, check_token, refuse_loose, stripped
from gateway.signing import keys
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


@pytest.mark.parametrize(
    ("since", "until"), [(-pki.YEAR, timedelta(days=-1)), (timedelta(days=1), pki.YEAR)], ids=["ended", "not begun"]
)
def test_a_root_that_was_not_valid_then_is_believed_no_more_than_its_authorities(
    since: timedelta, until: timedelta
) -> None:
    root = keys.make_ca(keys.subject_name("Gốc"), at=pki.NOW + since, valid_for=until - since)
    authority = pki.certify(
        keys.subject_name("Dấu thời gian"),
        issuer=root,
        usages=frozenset({"digital_signature"}),
        purposes=(ExtendedKeyUsageOID.TIME_STAMPING,),
        purposes_critical=True,
    )
    token = a_token(authority=authority)
    with pytest.raises(TimestampInvalid):
        check_token(token, DIGEST, (root.certificate,))
    assert not check_token(token, DIGEST, ()).trusted


def test_a_stamp_that_is_proven_older_than_the_theft_of_its_key_is_believed() -> None:
    theft = pki.NOW + timedelta(days=30)
    revoked = {pki.tsa().certificate.serial_number: (theft, pki.Reason.key_compromise)}
    lists = [pki.crl(pki.intermediate(), revoked, this_update=theft)]
    assert check_token(a_token(), DIGEST, ROOT, crls=lists, held=theft - timedelta(seconds=1)).trusted
    for held in (theft, theft + pki.YEAR, None):
        with pytest.raises(TimestampRevoked) as caught:
            check_token(a_token(), DIGEST, ROOT, crls=lists, held=held)
        assert (caught.value.code, caught.value.since) == ("evidence.timestamp_revoked", theft)


def test_a_certificate_of_an_unknown_version_in_a_token_is_refused_and_no_crash() -> None:
    token = a_token()
    own = pki.tsa().certificate.tbs_certificate_bytes
    odd = token.replace(own, own.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x03", 1))
    assert odd != token
    for anchors in (ROOT, ()):
        with pytest.raises(TimestampInvalid):
            check_token(odd, DIGEST, anchors)


def test_no_byte_of_a_stripped_token_can_be_changed() -> None:
    """A good copy of the certificate between it and the root is at hand."""
    sent = a_token()
    first = check_token(sent, DIGEST, ROOT)
    token = stripped(sent, first.chain[:-1])
    assert stripped(token, first.chain[:-1]) == token
    assert check_token(token, DIGEST, ROOT) == first
    refuse_loose(token, first.chain)
    refuse_loose(token, first.chain[:2])  # who believes in the intermediate needs nothing above it
    refuse_loose(token, first.chain[:1])

    def check(changed: bytes) -> None:
        refuse_loose(changed, check_token(changed, DIGEST, ROOT, extra=[pki.intermediate().certificate]).chain)

    for place in range(3, len(token), 13):
        with pytest.raises(TimestampInvalid):
            check(token[:place] + bytes([token[place] ^ 1]) + token[place + 1 :])


def test_what_a_certificate_above_the_authority_leaves_unsigned_cannot_be_changed() -> None:
    """How many bits of its signature are unused: where the last one is 0, two encodings are one signature."""
    while True:
        between = keys.make_ca(keys.subject_name("Cấp trên"), at=pki.NOW - pki.YEAR, issuer=pki.root())
        if between.certificate.signature[-1] & 1 == 0:
            break
    authority = pki.certify(
        keys.subject_name("Dấu thời gian"),
        issuer=between,
        usages=frozenset({"digital_signature"}),
        purposes=(ExtendedKeyUsageOID.TIME_STAMPING,),
        purposes_critical=True,
    )
    token = a_token(authority=authority)
    assert check_token(token, DIGEST, ROOT).chain[1] == between.certificate
    signature = between.certificate.signature
    changed = token.replace(b"\x00" + signature, b"\x01" + signature)
    assert changed != token
    with pytest.raises(TimestampInvalid):
        check_token(changed, DIGEST, ROOT)


def test_a_token_as_an_authority_sends_it_may_hold_more_than_a_stripped_one() -> None:
    chain = check_token(a_token(), DIGEST, ROOT).chain
    with pytest.raises(TimestampInvalid):
        refuse_loose(stripped(a_token(), [*chain[:-1], pki.person().certificate]), chain)


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
