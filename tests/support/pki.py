"""
A public-key infrastructure for tests: made once per run, in memory, never written to disk.

Its time is fixed: everything is judged at ``NOW``, so no test depends on the clock.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.signing import keys
from gateway.signing.keys import PrivateKey, SigningKey
from gateway.signing.trust import TrustAnchors

NOW = datetime(2026, 3, 5, 7, 30, tzinfo=UTC)
"""The moment of receipt in tests."""

YEAR = timedelta(days=365)


@functools.cache
def root() -> SigningKey:
    """The anchor."""
    return keys.make_ca(keys.subject_name("Chứng thực thử nghiệm — Gốc", organization="Thử nghiệm"), at=NOW - YEAR)


@functools.cache
def intermediate() -> SigningKey:
    """The authority that issues to agencies."""
    name = keys.subject_name("Chứng thực thử nghiệm — Cơ quan", organization="Thử nghiệm")
    return keys.make_ca(name, at=NOW - YEAR, issuer=root())


@functools.cache
def anchors() -> TrustAnchors:
    """The root trusted, the intermediate known."""
    return TrustAnchors([root().certificate], [intermediate().certificate])


def issue(
    name: str,
    private: PrivateKey | None = None,
    *,
    at: datetime = NOW - YEAR,
    valid_for: timedelta = 2 * YEAR,
    key_usage: x509.KeyUsage | None = None,
) -> SigningKey:
    """A new certificate under the intermediate; P-256 unless a key is given."""
    return keys.issue_certificate(
        intermediate(),
        keys.subject_name(name, organization="Tỉnh Lạng Sơn", code="MST:0100000000"),
        private or keys.generate_key(),
        at=at,
        valid_for=valid_for,
        key_usage=key_usage,
    )


@functools.cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """One RSA key of each size; making one costs a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@functools.cache
def agency() -> SigningKey:
    """The sender of the test packages, with RSA-2048 as most agencies have."""
    return issue("Sở Thử nghiệm Đặc biệt", rsa_key())


@functools.cache
def agency_ec() -> SigningKey:
    """The same agency's newer key, on P-256."""
    return issue("Sở Thử nghiệm Đặc biệt (EC)")


@functools.cache
def agency_of_curve(curve: str) -> SigningKey:
    """A certificate for a key on ``secp384r1`` or ``secp521r1``."""
    return issue(
        f"Sở {curve}", ec.generate_private_key({"secp384r1": ec.SECP384R1, "secp521r1": ec.SECP521R1}[curve]())
    )


@functools.cache
def other_agency() -> SigningKey:
    """Registered too, but for somebody else."""
    return issue("UBND xã Bên Cạnh", rsa.generate_private_key(public_exponent=65537, key_size=2048))


@functools.cache
def gateway() -> SigningKey:
    """The gateway's own key."""
    return issue("Trục liên thông tỉnh Lạng Sơn")


@functools.cache
def stranger() -> SigningKey:
    """Certified by an authority that nobody here trusts."""
    foreign = keys.make_ca(keys.subject_name("Ai đó"), at=NOW - YEAR)
    return keys.issue_certificate(
        foreign, keys.subject_name("Sở Thử nghiệm Đặc biệt"), keys.generate_key(), at=NOW - YEAR
    )


@functools.cache
def expired() -> SigningKey:
    """Ended an hour before ``NOW``."""
    return issue("Sở Hết hạn", rsa_key(), at=NOW - YEAR, valid_for=YEAR - timedelta(hours=1))


@functools.cache
def not_yet_valid() -> SigningKey:
    """Begins an hour after ``NOW``."""
    return issue("Sở Tương lai", rsa_key(), at=NOW + timedelta(hours=1))


@functools.cache
def weak() -> SigningKey:
    """RSA-1024. The certificate itself is well made."""
    return issue("Sở Khóa ngắn", rsa_key(1024))


@functools.cache
def wrong_usage() -> SigningKey:
    """May encipher keys, not sign."""
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return issue("Sở Mã hóa", rsa_key(), key_usage=usage)


@functools.cache
def authority_as_signer() -> SigningKey:
    """A CA certificate used to sign a document."""
    return intermediate()
