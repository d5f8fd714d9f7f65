"""Chains are judged at a given moment, against configured anchors only, and remembered only while they stand."""

import asyncio
import threading
from collections import Counter
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.signing import keys
from gateway.signing.keys import SigningKey, known
from gateway.signing.policy import Reason
from gateway.signing.trust import Revocation, TrustAnchors, TrustFinding
from tests.support import pki


def test_a_registered_certificate_chains_to_its_anchor() -> None:
    assert pki.anchors().judge(known(pki.agency().certificate), at=pki.NOW).reason is None
    assert pki.anchors().judge(known(pki.agency_ec().certificate), at=pki.NOW).reason is None


def test_a_stranger_does_not() -> None:
    assert pki.anchors().judge(known(pki.stranger().certificate), at=pki.NOW).reason is Reason.CERTIFICATE_UNTRUSTED


def test_without_the_intermediate_there_is_no_chain() -> None:
    assert (
        TrustAnchors([pki.root().certificate]).judge(known(pki.agency().certificate), at=pki.NOW).reason
        is Reason.CERTIFICATE_UNTRUSTED
    )


@pytest.mark.parametrize("certificate", [pki.intermediate, pki.agency], ids=["authority", "the-leaf-itself"])
def test_any_certificate_may_be_an_anchor(certificate) -> None:
    assert TrustAnchors([certificate().certificate]).judge(known(pki.agency().certificate), at=pki.NOW).reason is None


def test_without_anchors_registration_is_the_ground_of_trust() -> None:
    nothing = TrustAnchors()
    assert not nothing
    assert nothing.judge(known(pki.stranger().certificate), at=pki.NOW).reason is None


@pytest.mark.parametrize(
    ("days", "reason"),
    [(-11, Reason.CERTIFICATE_UNTRUSTED), (-9, None), (0, None), (9, None), (11, Reason.CERTIFICATE_UNTRUSTED)],
)
def test_the_moment_decides_about_the_whole_path_also_when_remembered(days: int, reason: Reason | None) -> None:
    authority = an_authority(at=pki.NOW - timedelta(days=10), valid_for=timedelta(days=20))
    leaf = known(pki.certify(keys.subject_name("Sở Lâu năm"), issuer=authority).certificate)
    anchors = TrustAnchors([pki.root().certificate], [pki.intermediate().certificate, authority.certificate])
    assert anchors.judge(leaf, at=pki.NOW).reason is None
    assert anchors.judge(leaf, at=pki.NOW + timedelta(days=days)).reason is reason
    assert anchors.judge(leaf, at=pki.NOW).reason is None


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
    assert pki.anchors().judge(known(certificate), at=pki.NOW).reason is None


# Findings


def finding_on(key: SigningKey, **how: object) -> TrustFinding:
    return pki.anchors().judge(known(key.certificate), **{"at": pki.NOW, **how})  # type: ignore[arg-type] # the arguments of judge


def test_a_finding_names_the_chain_from_leaf_to_anchor() -> None:
    finding = finding_on(pki.agency())
    assert finding.reason is None
    assert not finding.weak
    assert finding.chain == (pki.agency().certificate, pki.intermediate().certificate, pki.root().certificate)
    assert finding.revocation is Revocation.NOT_ASKED


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (pki.expired, Reason.CERTIFICATE_EXPIRED),
        (pki.not_yet_valid, Reason.CERTIFICATE_NOT_YET_VALID),
        (pki.wrong_usage, Reason.CERTIFICATE_USAGE),
        (pki.authority_as_signer, Reason.CERTIFICATE_USAGE),
        (pki.rsa1024, Reason.KEY_TOO_SMALL),
        (pki.stranger, Reason.CERTIFICATE_UNTRUSTED),
        (pki.sha1_certificate, Reason.CERTIFICATE_UNTRUSTED),
        (pki.sha1_rsa_certificate, Reason.CERTIFICATE_UNTRUSTED),
    ],
)
def test_a_certificate_that_is_not_good_is_named_by_its_fault(key, reason: Reason) -> None:
    finding = finding_on(key())
    assert finding.reason is reason
    assert finding.chain == ()


@pytest.mark.parametrize("key", [pki.signs_only, pki.repudiates_not, pki.no_usage])
def test_either_signing_usage_or_none_at_all_will_do(key) -> None:
    assert finding_on(key()).reason is None


def test_sha1_in_the_path_is_weak_where_it_is_tolerated() -> None:
    finding = finding_on(pki.sha1_certificate(), tolerate_sha1=True)
    assert (finding.reason, finding.weak) == (None, True)
    with_rsa_authority = finding_on(
        pki.sha1_rsa_certificate(), tolerate_sha1=True, extra=[pki.rsa_authority().certificate]
    )
    assert (with_rsa_authority.reason, with_rsa_authority.weak) == (None, True)


def test_tolerance_makes_nothing_weak_that_is_not() -> None:
    assert not finding_on(pki.agency(), tolerate_sha1=True, tolerate_rsa_1024=True).weak


def test_a_key_of_a_kind_that_nobody_knows_is_never_strong_enough() -> None:
    ec_key = b"\x2a\x86\x48\xce\x3d\x02\x01"
    der = pki.agency_ec().certificate.public_bytes(Encoding.DER).replace(ec_key, ec_key[:-1] + b"\x1f")
    strange = known(x509.load_der_x509_certificate(der))
    assert (strange.rsa_bits, strange.curve) == (None, None)
    for anchors in (TrustAnchors(), pki.anchors()):
        assert anchors.judge(strange, at=pki.NOW, tolerate_rsa_1024=True).reason is Reason.KEY_TOO_SMALL


def test_rsa_1024_is_weak_where_it_is_tolerated_and_less_never() -> None:
    finding = finding_on(pki.rsa1024(), tolerate_rsa_1024=True)
    assert (finding.reason, finding.weak) == (None, True)
    assert finding_on(pki.rsa1024(), tolerate_sha1=True).reason is Reason.KEY_TOO_SMALL
    assert finding_on(pki.agency(), minimum_rsa_bits=3072).reason is Reason.KEY_TOO_SMALL
    assert finding_on(pki.agency(), minimum_rsa_bits=3072, tolerate_rsa_1024=True).weak


def test_an_issuer_with_rsa_1024_is_tolerated_only_with_the_setting() -> None:
    authority = pki.certify(
        keys.subject_name("Gốc cũ"),
        pki.rsa_key(1024),
        issuer=pki.root(),
        ca=True,
        usages=frozenset({"key_cert_sign", "crl_sign"}),
    )
    leaf = known(pki.certify(keys.subject_name("Sở dưới gốc cũ"), issuer=authority).certificate)
    anchors = TrustAnchors([pki.root().certificate], [authority.certificate])
    assert anchors.judge(leaf, at=pki.NOW).reason is Reason.CERTIFICATE_UNTRUSTED
    tolerated = anchors.judge(leaf, at=pki.NOW, tolerate_rsa_1024=True)
    assert (tolerated.reason, tolerated.weak) == (None, True)


def test_certificates_that_came_along_help_to_build_a_path_and_are_not_believed() -> None:
    anchors = TrustAnchors([pki.root().certificate])
    leaf = known(pki.agency().certificate)
    assert anchors.judge(leaf, at=pki.NOW).reason is Reason.CERTIFICATE_UNTRUSTED
    assert anchors.judge(leaf, at=pki.NOW, extra=[pki.intermediate().certificate]).reason is None
    stranger = pki.stranger()
    own = anchors.judge(known(stranger.certificate), at=pki.NOW, extra=list(stranger.chain))
    assert own.reason is Reason.CERTIFICATE_UNTRUSTED


def without_key_identifiers(name: x509.Name) -> x509.Certificate:
    """Self-issued, by a key of its own: anybody of this name could have issued it."""
    private = keys.generate_key()
    builder = x509.CertificateBuilder(
        name, name, private.public_key(), x509.random_serial_number(), pki.NOW - pki.YEAR, pki.NOW + pki.YEAR
    )
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True).sign(private, hashes.SHA256())


def test_a_maze_of_certificates_that_may_all_have_issued_each_other_does_not_stall_the_search() -> None:
    name = keys.subject_name("Mê cung")
    maze = [without_key_identifiers(name) for _ in range(14)]  # 14! ways through it
    finding = pki.anchors().judge(known(leaf_under(maze[0])), at=pki.NOW, extra=maze)
    assert finding.reason is Reason.CERTIFICATE_UNTRUSTED


def leaf_under(issuer: x509.Certificate) -> x509.Certificate:
    """A leaf that says that it was issued by that name."""
    private = keys.generate_key()
    return x509.CertificateBuilder(
        issuer.subject, keys.subject_name("Lạc lối"), private.public_key(), 5, pki.NOW - pki.YEAR, pki.NOW + pki.YEAR
    ).sign(private, hashes.SHA256())


def test_a_critical_extension_that_nobody_knows_breaks_the_path() -> None:
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    leaf = pki.certify(keys.subject_name("Sở Kỳ lạ"), extensions=((strange, True),))
    assert finding_on(leaf).reason is Reason.CERTIFICATE_UNTRUSTED
    harmless = pki.certify(keys.subject_name("Sở Kỳ lạ"), extensions=((strange, False),))
    assert finding_on(harmless).reason is None


SIGNS_CERTIFICATES = frozenset({"key_cert_sign", "crl_sign"})


def an_authority(issuer: SigningKey | None = None, **change: object) -> SigningKey:
    """An authority below the intermediate, right unless changed."""
    right = {"issuer": issuer, "ca": True, "usages": SIGNS_CERTIFICATES}
    # Of another name than its issuer: what certifies itself does not count in a path's length.
    name = keys.subject_name("Chứng thực cấp hai" if issuer is None else "Chứng thực cấp ba")
    return pki.certify(name, **right | change)  # type: ignore[arg-type] # pki.certify's


def permitted(*organizations: str) -> x509.NameConstraints:
    def name(organization: str) -> x509.DirectoryName:
        country = x509.NameAttribute(NameOID.COUNTRY_NAME, "VN")
        return x509.DirectoryName(x509.Name([country, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)]))

    return x509.NameConstraints([name(o) for o in organizations], None)


@pytest.mark.parametrize(
    ("chain", "reason"),
    [
        (lambda: [an_authority()], None),
        (lambda: [an_authority(path_length=0)], None),
        (lambda: [an_authority(path_length=1), an_authority], None),
        (lambda: [an_authority(extensions=((permitted("Sở Đúng"), True),))], None),
        (lambda: [an_authority(path_length=0), an_authority], Reason.CERTIFICATE_UNTRUSTED),
        (lambda: [an_authority(ca=False)], Reason.CERTIFICATE_UNTRUSTED),
        (lambda: [an_authority(usages=frozenset({"crl_sign"}))], Reason.CERTIFICATE_UNTRUSTED),
        (lambda: [an_authority(valid_for=pki.YEAR - timedelta(seconds=1))], Reason.CERTIFICATE_UNTRUSTED),
        (lambda: [an_authority(at=pki.NOW + timedelta(seconds=1))], Reason.CERTIFICATE_UNTRUSTED),
        (lambda: [an_authority(extensions=((permitted("Sở Khác"), True),))], Reason.CERTIFICATE_UNTRUSTED),
        (lambda: [an_authority(pki.stranger())], Reason.CERTIFICATE_UNTRUSTED),
    ],
    ids=[
        "right",
        "path-length-kept",
        "path-length-kept-by-two",
        "name-permitted",
        "path-too-long",
        "no-authority",
        "may-not-certify",
        "authority-expired",
        "authority-not-yet-valid",
        "name-not-permitted",
        "authority-untrusted",
    ],
)
def test_an_authority_between_has_to_be_right_in_everything(chain, reason: Reason | None) -> None:
    first, *more = chain()
    authorities = [first]
    for make in more:
        authorities.append(make(authorities[-1]))
    subject = keys.subject_name("Sở Đúng", organization="Sở Đúng")
    leaf = pki.certify(subject, issuer=authorities[-1])
    assert finding_on(leaf, extra=[a.certificate for a in authorities]).reason is reason


def test_a_certificate_whose_signature_was_changed_has_no_path() -> None:
    der = bytearray(pki.agency().certificate_der)
    der[-1] ^= 1
    changed = x509.load_der_x509_certificate(bytes(der))
    assert pki.anchors().judge(known(changed), at=pki.NOW).reason is Reason.CERTIFICATE_UNTRUSTED


def test_judging_works_inside_somebodys_event_loop_and_in_many_threads_at_once() -> None:
    anchors = TrustAnchors([pki.root().certificate], [pki.intermediate().certificate])

    async def inside() -> TrustFinding:
        return anchors.judge(known(pki.agency().certificate), at=pki.NOW)

    assert asyncio.run(inside()).reason is None
    fresh = TrustAnchors([pki.root().certificate], [pki.intermediate().certificate])
    found: list[Reason | None] = []
    everybody = [known(k().certificate) for k in (pki.agency, pki.person, pki.agency_ec, pki.stranger)]

    def ask() -> None:
        found.extend(fresh.judge(c, at=pki.NOW).reason for c in everybody)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(found) == {None: 24, Reason.CERTIFICATE_UNTRUSTED: 8}
