"""Seals hold what was found, verify for independent judges, and refuse every change."""

import dataclasses
import random
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import xmlsec
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml.xades import XAdESSignatureConfiguration, XAdESVerifier

from gateway.errors import EvidenceInvalid
from gateway.evidence.given import Given
from gateway.evidence.offline import verify_seal
from gateway.evidence.points import Outcome
from gateway.evidence.seal import SealedAttachment, SealFacts, check_seal, make_seal, read_seal
from gateway.model import AgencyCode, DocumentId, SignedBy, Standing, Verdict
from tests.support import judge, pki
from tests.support.evidence import of_the_first_form
from tests.support.programs import needs


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


REVOKED_LATER = dataclasses.replace(facts().verdict, revocation="good", revoked_at=pki.NOW + timedelta(days=3))
BARE = {
    "document_id": None,
    "recipients": (),
    "attachments": (),
    "verdict": Verdict(standing=Standing.UNSIGNED, reason="signature.none", judged_at=pki.NOW),
}


@pytest.mark.parametrize(
    "key", [pki.gateway, pki.agency, lambda: pki.agency_of_curve("secp384r1")], ids=["p256", "rsa", "p384"]
)
@pytest.mark.parametrize("changes", [{}, BARE, {"verdict": REVOKED_LATER}], ids=["full", "bare", "revocation"])
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
    config = XAdESSignatureConfiguration(location="./", verification_time=pki.NOW, expect_references=2)
    document, properties = XAdESVerifier().verify(raw, x509_cert=key().certificate, expect_config=config)
    assert document.signed_xml.findtext("{*}Sender") == "000.00.14.H37"
    assert properties.signed_properties.findtext("{*}SigningTime") == "2026-03-05T07:30:00Z"


@needs("xmlsec1")
def test_xmlsec1_verifies_a_seal_with_the_gateway_s_certificate(tmp_path: Path) -> None:
    (tmp_path / "seal.xml").write_bytes(make_seal(facts(), pki.gateway()))
    (tmp_path / "gateway.crt").write_bytes(pki.gateway().certificate.public_bytes(Encoding.PEM))
    command = ["xmlsec1", "--verify", "--pubkey-cert-pem", "gateway.crt", "seal.xml"]
    judged = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stderr


def test_a_time_stamp_changes_nothing_that_was_sealed() -> None:
    raw = make_seal(facts(), pki.gateway())
    stamped = read_seal(raw).stamped(b"a token")
    judge.xmlsec_verifies(stamped.render(), pki.gateway().certificate)
    assert read_seal(stamped.render()) == stamped
    assert check_seal(stamped.render(), pki.gateway().certificate) == facts()
    assert stamped.unstamped().render() == raw


def test_what_is_stamped_is_the_canonical_signature_value() -> None:
    raw = make_seal(facts(), pki.gateway())
    value = etree.fromstring(raw).find(".//{*}SignatureValue")
    assert read_seal(raw).signature.stamped_bytes() == etree.tostring(
        value, method="c14n", exclusive=True, with_tail=False
    )


@pytest.mark.parametrize("changes", [{}, BARE], ids=["full", "bare"])
def test_seals_of_the_first_form_are_read_for_ever(changes) -> None:
    raw = of_the_first_form(facts(**changes), pki.gateway())
    assert check_seal(raw, pki.gateway().certificate) == facts(**changes)
    with pytest.raises(EvidenceInvalid):
        check_seal(raw.replace(b"<Standing>", b"<Standing >"), pki.agency_ec().certificate)


def test_a_changed_seal_of_the_first_form_is_refused() -> None:
    raw = of_the_first_form(facts(), pki.gateway())
    with pytest.raises(EvidenceInvalid):
        check_seal(raw.replace(b"ab" * 32, b"ac" * 32), pki.gateway().certificate)


def test_any_other_byte_in_a_seal_is_seen() -> None:
    raw = make_seal(facts(), pki.gateway())
    stamped = read_seal(raw).stamped(bytes(300)).render()
    for at in random.Random(1).sample(range(len(stamped)), 150):
        changed = stamped[:at] + bytes([stamped[at] ^ 1]) + stamped[at + 1 :]
        try:
            same = read_seal(changed)
            same.check(pki.gateway().certificate)
        except EvidenceInvalid:
            continue
        # The token is not signed by the seal; who judges it sees the change.
        assert same.signature.token != bytes(300)
        assert same.unstamped().render() == raw


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


def test_a_seal_by_a_certificate_without_a_readable_name_is_broken_and_no_crash() -> None:
    found = verify_seal(make_seal(facts(), pki.nameless(pki.gateway())), Given(anchors=(), at=pki.NOW))
    assert [(p.outcome, p.code) for p in found.points] == [(Outcome.BROKEN, "seal.broken")]
