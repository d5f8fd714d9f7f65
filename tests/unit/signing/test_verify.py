"""What is validly signed is accepted, whoever signed it; every other state has its verdict."""

import hashlib
import itertools
from pathlib import Path

import pytest
from lxml import etree

from gateway.edxml import C14N
from gateway.errors import SignatureRejected
from gateway.model import SignedBy, Standing
from gateway.signing.policy import Reason, SignaturePolicy
from gateway.signing.trust import TrustAnchors
from gateway.signing.verify import VerifiedDocument, verify
from tests.support import documents, judge, pki, signed

SIGNERS = {"gateway": signed.by_gateway, "signxml": signed.by_signxml, "xmlsec": signed.by_xmlsec}
KEYS = {"rsa": pki.agency, "ec": pki.agency_ec}
FORMS = list(itertools.product(SIGNERS, KEYS, [C14N.EXCLUSIVE, C14N.INCLUSIVE_10, C14N.INCLUSIVE_11], ["ds", None]))


@pytest.mark.parametrize(("signer", "kind", "c14n", "prefix"), FORMS, ids=lambda v: getattr(v, "name", str(v)))
def test_every_signer_s_work_is_accepted_here(
    signer: str, kind: str, c14n: C14N, prefix: str | None, tmp_path: Path
) -> None:
    key = KEYS[kind]()
    raw = SIGNERS[signer](documents.a_package(), key, c14n=c14n, prefix=prefix)
    verdict = signed.verdict_on(raw, tmp_path)
    assert (verdict.standing, verdict.reason) == (Standing.VALID, Reason.VERIFIED)
    assert verdict.certificate_sha256 == key.certificate_sha256
    assert verdict.signature_method == key.algorithm
    assert verdict.signed_by is SignedBy.SENDER


@pytest.mark.parametrize(("signer", "kind", "c14n", "prefix"), FORMS, ids=lambda v: getattr(v, "name", str(v)))
def test_altering_the_subject_makes_it_invalid(
    signer: str, kind: str, c14n: C14N, prefix: str | None, tmp_path: Path
) -> None:
    raw = SIGNERS[signer](documents.a_package(subject="V/v A"), KEYS[kind](), c14n=c14n, prefix=prefix)
    verdict = signed.verdict_on(raw.replace(b"V/v A", b"V/v B"), tmp_path)
    assert (verdict.standing, verdict.reason) == (Standing.INVALID, Reason.DIGEST_MISMATCH)


@pytest.mark.parametrize("curve", ["secp384r1", "secp521r1"])
def test_larger_curves_are_accepted(curve: str, tmp_path: Path) -> None:
    key = pki.agency_of_curve(curve)
    assert (
        signed.verdict_on(signed.by_gateway(documents.a_package(), key), tmp_path, sender=[key]).standing
        is Standing.VALID
    )


def test_a_status_is_verified_like_a_document(tmp_path: Path) -> None:
    raw = signed.by_gateway(documents.a_status_package(), pki.agency())
    assert signed.verdict_on(raw, tmp_path).standing is Standing.VALID


def test_the_gateway_that_hands_over_may_have_signed(tmp_path: Path) -> None:
    raw = signed.by_gateway(documents.a_package(), pki.gateway())
    verdict = signed.verdict_on(raw, tmp_path, gateway=[pki.gateway()])
    assert (verdict.standing, verdict.signed_by) == (Standing.VALID, SignedBy.GATEWAY)


@pytest.mark.parametrize(
    "key_info",
    ["", signed.named(pki.agency().certificate_der, pki.intermediate().certificate_der)],
    ids=["none", "chain"],
)
def test_key_info_is_only_a_hint(key_info: str, tmp_path: Path) -> None:
    raw = signed.handmade(documents.a_package(), pki.agency(), key_info=key_info)
    assert signed.verdict_on(raw, tmp_path).certificate_sha256 == pki.agency().certificate_sha256


def test_a_certificate_is_found_among_expired_ones_without_a_hint(tmp_path: Path) -> None:
    raw = signed.handmade(documents.a_package(), pki.agency_ec(), key_info="")
    verdict = signed.verdict_on(raw, tmp_path, sender=[pki.expired(), pki.agency(), pki.agency_ec()])
    assert verdict.certificate_sha256 == pki.agency_ec().certificate_sha256


def test_inclusive_namespaces_are_honoured(tmp_path: Path) -> None:
    inside = f'<ec:InclusiveNamespaces xmlns:ec="{signed.EXCLUSIVE}" PrefixList="edXML #default"/>'
    raw = documents.a_package()
    # The lists change nothing in this document's canonical form but the place of declarations.
    canonical = etree.tostring(
        etree.fromstring(raw), method="c14n", exclusive=True, inclusive_ns_prefixes=["edXML", "#default"]
    )
    reference = signed.reference(raw, inside=inside, digest=hashlib.sha256(canonical).digest())
    package = signed.handmade(raw, pki.agency(), references=reference)
    judge.xmlsec_verifies(package, pki.agency().certificate)
    assert signed.verdict_on(package, tmp_path).standing is Standing.VALID


def test_without_a_canonicalization_transform_inclusive_is_meant(tmp_path: Path) -> None:
    raw = documents.a_package()
    reference = signed.reference(raw, transforms=[signed.ENVELOPED, signed.INCLUSIVE])
    reference = reference.replace(f'<ds:Transform Algorithm="{signed.INCLUSIVE}"></ds:Transform>', "")
    package = signed.handmade(raw, pki.agency(), references=reference)
    judge.xmlsec_verifies(package, pki.agency().certificate)
    assert signed.verdict_on(package, tmp_path).canonicalization == signed.INCLUSIVE


@pytest.mark.parametrize(
    ("method", "digest"), [("rsa-sha1", signed.SHA1), ("rsa-sha1", signed.SHA256), (None, signed.SHA1)]
)
def test_sha1_is_weak_where_tolerated_and_invalid_elsewhere(method: str | None, digest: str, tmp_path: Path) -> None:
    raw = documents.a_package()
    reference = signed.reference(raw, digest_method=digest)
    package = signed.handmade(raw, pki.agency(), references=reference, method=method and signed.DS + method)
    tolerated = signed.verdict_on(package, tmp_path, policy=signed.TOLERANT)
    assert (tolerated.standing, tolerated.reason) == (Standing.VALID_WEAK, Reason.VERIFIED)
    refused = signed.verdict_on(package, tmp_path)
    assert (refused.standing, refused.reason) == (Standing.INVALID, Reason.ALGORITHM)


def test_a_signature_of_an_agency_without_certificates_is_unverifiable(tmp_path: Path) -> None:
    raw = signed.by_gateway(documents.a_package(), pki.agency())
    verdict = signed.verdict_on(raw, tmp_path, sender=[])
    assert (verdict.standing, verdict.reason) == (Standing.UNVERIFIABLE, Reason.NO_REGISTERED_CERTIFICATE)


def test_but_an_altered_one_is_invalid_all_the_same(tmp_path: Path) -> None:
    raw = signed.by_gateway(documents.a_package(), pki.agency()).replace(b"07-SA-VP", b"08-SA-VP")
    assert signed.verdict_on(raw, tmp_path, sender=[]).reason == Reason.DIGEST_MISMATCH


def test_a_package_without_signature_is_unsigned(tmp_path: Path) -> None:
    verdict = signed.verdict_on(documents.a_package(), tmp_path)
    assert (verdict.standing, verdict.reason) == (Standing.UNSIGNED, Reason.NONE)


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        ("<Signature><SignedInfo/></Signature>", Reason.FOREIGN_NAMESPACE),
        ("<edXML:DigitalSignature/>", Reason.PLACEHOLDER),
        (
            f'<Signature xmlns="{signed.DS}"><SignedInfo><Reference URI=""><Transforms>'
            '<Transform Algorithm="http://www.w3.org/TR/xml-exc-c14n#"/></Transforms></Reference></SignedInfo>'
            "<KeyInfo><X509Data><X509Certificate>MIIFqTCCBJG</X509Certificate></X509Data></KeyInfo></Signature>",
            Reason.PLACEHOLDER,
        ),
    ],
    ids=["kit", "empty", "kit-placeholder"],
)
def test_what_nobody_could_verify_is_unverifiable(element: str, reason: Reason, tmp_path: Path) -> None:
    raw = documents.a_package().replace(signed.END_OF_HEADER, element.encode() + signed.END_OF_HEADER)
    verdict = signed.verdict_on(raw, tmp_path)
    assert (verdict.standing, verdict.reason) == (Standing.UNVERIFIABLE, reason)


def test_undeclared_prefixes_leave_nothing_to_verify(tmp_path: Path) -> None:
    plain = documents.a_package().replace(b"<AttachmentEncoded>", b'<AttachmentEncoded x:y="">')
    assert signed.verdict_on(plain, tmp_path).standing is Standing.UNSIGNED
    raw = signed.by_gateway(documents.a_package(), pki.agency())
    verdict = signed.verdict_on(raw.replace(b"<AttachmentEncoded>", b'<AttachmentEncoded x:y="">'), tmp_path)
    assert (verdict.standing, verdict.reason) == (Standing.UNVERIFIABLE, Reason.PLACEHOLDER)


def test_without_anchors_registration_is_enough(tmp_path: Path) -> None:
    raw = signed.by_gateway(documents.a_package(), pki.stranger())
    verdict = signed.verdict_on(raw, tmp_path, sender=[pki.stranger()], anchors=TrustAnchors())
    assert verdict.standing is Standing.VALID


@pytest.mark.parametrize("large", [False, True], ids=["tree", "stream"])
def test_a_verified_document_comes_through_the_door_with_its_verdict(large: bool, tmp_path: Path) -> None:
    contents = {"main": documents.PDF + bytes(300_000 if large else 10)}
    raw = signed.by_gateway(documents.a_package(contents=contents), pki.agency())
    (tmp_path / "package.edxml").write_bytes(raw)
    with documents.read(tmp_path / "package.edxml", tmp_path) as package:
        document = verify(
            package,
            sender=[pki.agency().certificate],
            gateway=(),
            policy=signed.ONLY_VALID,
            anchors=pki.anchors(),
            at=pki.NOW,
        )
    assert document.package is package
    assert document.signed
    assert document.verdict.standing is Standing.VALID


def test_an_unsigned_package_may_be_let_in_but_never_as_signed(tmp_path: Path) -> None:
    policy = SignaturePolicy(accepted=frozenset({Standing.VALID, Standing.UNSIGNED}))
    with documents.read(documents.a_package(), tmp_path) as package:
        document = verify(package, sender=(), gateway=(), policy=policy, anchors=pki.anchors(), at=pki.NOW)
    assert not document.signed


def test_a_refusal_carries_its_verdict(tmp_path: Path) -> None:
    with pytest.raises(SignatureRejected) as caught:
        signed.let_in(documents.a_package(), tmp_path)
    assert caught.value.verdict.reason == Reason.NONE


def test_there_is_no_other_door(tmp_path: Path) -> None:
    with documents.read(documents.a_package(), tmp_path) as package, pytest.raises(TypeError):
        VerifiedDocument(package, signed.verdict_on(documents.a_package(), tmp_path), True, object())


def test_no_policy_accepts_the_invalid() -> None:
    with pytest.raises(ValueError, match="invalid"):
        SignaturePolicy(accepted=frozenset(Standing))
