"""Chains are judged at a given moment, against configured anchors only."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gateway.signing import keys
from gateway.signing.keys import known
from gateway.signing.trust import TrustAnchors
from tests.support import pki


def test_a_registered_certificate_chains_to_its_anchor() -> None:
    assert pki.anchors().trusts(known(pki.agency().certificate), at=pki.NOW)
    assert pki.anchors().trusts(known(pki.agency_ec().certificate), at=pki.NOW)


def test_a_stranger_does_not() -> None:
    assert not pki.anchors().trusts(known(pki.stranger().certificate), at=pki.NOW)


def test_without_the_intermediate_there_is_no_chain() -> None:
    assert not TrustAnchors([pki.root().certificate]).trusts(known(pki.agency().certificate), at=pki.NOW)


@pytest.mark.parametrize("certificate", [pki.intermediate, pki.agency], ids=["authority", "the-leaf-itself"])
def test_any_certificate_may_be_an_anchor(certificate) -> None:
    assert TrustAnchors([certificate().certificate]).trusts(known(pki.agency().certificate), at=pki.NOW)


def test_without_anchors_registration_is_the_ground_of_trust() -> None:
    nothing = TrustAnchors()
    assert not nothing
    assert nothing.trusts(known(pki.stranger().certificate), at=pki.NOW)


@pytest.mark.parametrize(
    ("days", "trusted"),
    [(-366, False), (-364, True), (0, True), (364, True), (366, False)],
)
def test_the_moment_decides_also_when_remembered(days: int, trusted: bool) -> None:
    anchors = TrustAnchors([pki.root().certificate], [pki.intermediate().certificate])
    leaf = pki.agency().certificate
    assert anchors.trusts(known(leaf), at=pki.NOW)
    assert anchors.trusts(known(leaf), at=pki.NOW + timedelta(days=days)) is trusted
    assert anchors.trusts(known(leaf), at=pki.NOW)


def test_critical_certificate_policies_are_no_obstacle() -> None:
    private = keys.generate_key()
    issuer = pki.intermediate()
    certificate = (
        x509.CertificateBuilder(
            issuer.certificate.subject,
            keys.subject_name("Văn thư"),
            private.public_key(),
            7,
            pki.NOW,
            pki.NOW + pki.YEAR,
        )
        .add_extension(
            x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3.4"), None)]), critical=True
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.private.public_key()), critical=False)
        .sign(issuer.private, hashes.SHA256())
    )
    assert pki.anchors().trusts(known(certificate), at=pki.NOW)
