"""Seals hold what was found, verify for independent judges, and refuse every change."""

import dataclasses
import re
from datetime import timedelta

import pytest
import xmlsec
from lxml import etree
from signxml.verifier import SignatureConfiguration, XMLVerifier

from gateway.errors import EvidenceInvalid
from gateway.evidence.seal import SealedAttachment, SealFacts, check_seal, make_seal
from gateway.model import AgencyCode, DocumentId, SignedBy, Standing, Verdict
from tests.support import judge, pki


def facts(**changes: object) -> SealFacts:
    """A seal's facts with everything that needs escaping in them."""
    usual = SealFacts(
        id="0195f0d2-7a51-7000-8000-000000000001",
        gateway=AgencyCode("H37"),
        document_id=DocumentId("000.00.14.H37,2026/03/05,07/SA-VP & <Đặc>"),
        sender=AgencyCode("000.00.14.H37"),
        recipients=(AgencyCode("000.00.00.H38"), AgencyCode("H37.21")),
        sha256="ab" * 32,
        size=20_480,
        attachments=(
            SealedAttachment(content_id="a1", name='Công văn "số 7"\r\n\t>.pdf', size=17, sha256="cd" * 32),
            SealedAttachment(content_id="a2", name="", size=0, sha256="ef" * 32),
        ),
        verdict=Verdict(
            standing=Standing.VALID,
            reason="signature.verified",
            judged_at=pki.NOW,
            signed_by=SignedBy.SENDER,
            certificate_sha256="12" * 32,
            subject="CN=Sở Thử nghiệm,C=VN",
            signature_method="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            digest_method="http://www.w3.org/2001/04/xmlenc#sha256",
            canonicalization="http://www.w3.org/2001/10/xml-exc-c14n#",
        ),
        received_at=pki.NOW,
        sealed_at=pki.NOW + timedelta(microseconds=1500),
    )
    return dataclasses.replace(usual, **changes)


BARE = {
    "document_id": None,
    "recipients": (),
    "attachments": (),
    "verdict": Verdict(standing=Standing.UNSIGNED, reason="signature.none", judged_at=pki.NOW),
}


@pytest.mark.parametrize(
    "key", [pki.gateway, pki.agency, lambda: pki.agency_of_curve("secp384r1")], ids=["p256", "rsa", "p384"]
)
@pytest.mark.parametrize("changes", [{}, BARE], ids=["full", "bare"])
def test_a_seal_says_again_what_was_sealed(key, changes) -> None:
    sealed = facts(**changes)
    assert check_seal(make_seal(sealed, key()), key().certificate) == sealed


def test_a_seal_outlives_its_certificate() -> None:
    assert check_seal(make_seal(facts(), pki.expired()), pki.expired().certificate) == facts()


def test_a_seal_is_written_in_canonical_form() -> None:
    raw = make_seal(facts(), pki.gateway())
    assert etree.tostring(etree.fromstring(raw), method="c14n", exclusive=True) == raw


@pytest.mark.parametrize("key", [pki.gateway, pki.agency], ids=["p256", "rsa"])
def test_other_judges_verify_a_seal(key) -> None:
    raw = make_seal(facts(), key())
    judge.xmlsec_verifies(raw, key().certificate)
    config = SignatureConfiguration(location="./", verification_time=pki.NOW)
    assert XMLVerifier().verify(raw, x509_cert=key().certificate, expect_config=config).signed_xml is not None


def test_other_judges_refuse_a_changed_seal() -> None:
    raw = make_seal(facts(), pki.gateway()).replace(b"H37.21", b"H37.22")
    with pytest.raises(xmlsec.Error):
        judge.xmlsec_verifies(raw, pki.gateway().certificate)


SIGNATURE = re.compile(rb"<ds:Signature .*</ds:Signature>", re.DOTALL)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda s: s.replace(b"ab" * 32, b"ac" * 32),
        lambda s: s.replace(b"<Standing>valid<", b"<Standing>unsigned<"),
        lambda s: s.replace(b"<Recipient>H37.21</Recipient>", b""),
        lambda s: SIGNATURE.sub(b"", s),
        lambda s: s.replace(b"</Recipients>", b"</Recipients><!-- -->"),
        lambda s: b'<?xml version="1.0"?><!DOCTYPE Seal>' + s,
        lambda s: b"<Wrap>" + s + b"</Wrap>",
        lambda s: SIGNATURE.sub(b"", s).replace(b"</Verdict>", SIGNATURE.search(s)[0] + b"</Verdict>"),
        lambda s: SIGNATURE.sub(lambda m: m[0] * 2, s),
        lambda s: s.replace(b"enveloped-signature", b"base64"),
        lambda s: s[:-3],
        lambda s: b"",
        lambda s: s.decode().encode("utf-16"),
        lambda s: s + b" " * 1024 * 1024,
        lambda s: re.sub(rb"(<ds:SignatureValue>)[^<]*", rb"\1", s),
        lambda s: s.replace(b"ecdsa-sha256", b"rsa-sha256"),
    ],
    ids=[
        "hash", "standing", "recipient", "no-signature", "comment", "doctype", "wrapped", "signature-moved",
        "two-signatures", "transform", "cut", "empty", "utf-16", "huge", "no-value", "other-method",
    ],
)  # fmt: skip
def test_a_changed_seal_is_refused_by_name(tamper) -> None:
    with pytest.raises(EvidenceInvalid):
        check_seal(tamper(make_seal(facts(), pki.gateway())), pki.gateway().certificate)


def test_another_key_s_seal_is_refused() -> None:
    with pytest.raises(EvidenceInvalid):
        check_seal(make_seal(facts(), pki.agency_ec()), pki.gateway().certificate)


def test_something_else_signed_by_the_gateway_is_no_seal() -> None:
    raw = make_seal(facts(sha256="not a digest"), pki.gateway())
    with pytest.raises(EvidenceInvalid):
        check_seal(raw, pki.gateway().certificate)


@pytest.mark.parametrize("text", ["\x00", "\x1f", "￾", "\ud800"])
def test_what_xml_cannot_carry_is_not_sealed(text: str) -> None:
    attachment = SealedAttachment(content_id="a", name=f"tệp{text}.pdf", size=1, sha256="ab" * 32)
    with pytest.raises(EvidenceInvalid):
        make_seal(facts(attachments=(attachment,)), pki.gateway())
