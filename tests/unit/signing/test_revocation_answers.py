"""What is asked of authorities, and which of their answers may be kept."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.errors import RevocationNotAuthentic, RevocationUnreadable
from gateway.signing import keys
from gateway.signing.policy import Reason
from gateway.signing.revocation import authentic_crl, authentic_ocsp, crl_urls, ocsp_request, ocsp_urls
from gateway.signing.trust import RevocationFacts, RevocationMode, TrustAnchors, read_item
from tests.support import pki

PERSON = pki.person(crl_url="http://ca.example/a.crl", ocsp_url="http://ocsp.example/")
AUTHORITIES = [pki.root().certificate, pki.intermediate().certificate]


def kept(raw: bytes) -> str:
    return authentic_ocsp(raw, PERSON.certificate, pki.intermediate().certificate, source="test").kind


def test_a_certificate_says_where_to_ask() -> None:
    assert crl_urls(PERSON.certificate) == ("http://ca.example/a.crl",)
    assert ocsp_urls(PERSON.certificate) == ("http://ocsp.example/",)
    assert crl_urls(pki.agency().certificate) == ocsp_urls(pki.agency().certificate) == ()


def test_other_kinds_of_addresses_are_no_addresses() -> None:
    names = [x509.UniformResourceIdentifier(u) for u in ("ldap://ca.example/cn=x", "HTTP://ca.example/b.crl")]
    points = [x509.DistributionPoint(full_name=names, relative_name=None, reasons=None, crl_issuer=None)]
    made = pki.certify(keys.subject_name("x"), extensions=[(x509.CRLDistributionPoints(points), False)])
    assert crl_urls(made.certificate) == ("HTTP://ca.example/b.crl",)


def test_the_question_names_the_certificate_and_nothing_else() -> None:
    asked = ocsp.load_der_ocsp_request(ocsp_request(PERSON.certificate, pki.intermediate().certificate))
    assert asked.serial_number == PERSON.certificate.serial_number
    assert list(asked.extensions) == []


def test_an_answer_by_the_issuer_or_by_a_responder_that_it_appointed_is_kept() -> None:
    assert kept(pki.ocsp_response(PERSON.certificate)) == "ocsp"
    assert kept(pki.ocsp_response(PERSON.certificate, responder=pki.intermediate())) == "ocsp"
    rsa = pki.rsa_authority()
    of_rsa = pki.certify(keys.subject_name("Sở RSA"), issuer=rsa)
    answer = pki.ocsp_response(of_rsa.certificate, issuer=rsa, responder=rsa)
    assert authentic_ocsp(answer, of_rsa.certificate, rsa.certificate, source="test").kind == "ocsp"


def appointed(*purposes: x509.ObjectIdentifier, issuer: keys.SigningKey | None = None) -> keys.SigningKey:
    usages = frozenset({"digital_signature"})
    return pki.certify(keys.subject_name("OCSP"), issuer=issuer, usages=usages, purposes=purposes)


@pytest.mark.parametrize("who", ["stranger", "another person", "without the purpose", "of another authority"])
def test_an_answer_by_anybody_else_is_not(who: str) -> None:
    responder = {
        "stranger": pki.stranger,
        "another person": pki.agency_ec,
        "without the purpose": lambda: appointed(ExtendedKeyUsageOID.CLIENT_AUTH),
        "of another authority": lambda: appointed(ExtendedKeyUsageOID.OCSP_SIGNING, issuer=pki.rsa_authority()),
    }[who]()
    with pytest.raises(RevocationNotAuthentic):
        kept(pki.ocsp_response(PERSON.certificate, responder=responder))


def test_an_answer_about_another_certificate_is_not_kept() -> None:
    with pytest.raises(RevocationNotAuthentic):
        kept(pki.ocsp_response(pki.agency_ec().certificate))


def test_an_answer_that_was_changed_is_not_kept() -> None:
    raw = bytearray(pki.ocsp_response(PERSON.certificate))
    raw[-1] ^= 1
    with pytest.raises((RevocationNotAuthentic, RevocationUnreadable)):
        kept(bytes(raw))


@pytest.mark.parametrize("raw", [b"", b"<html>", b"\x30\x03\x0a\x01\x03", b"\x30" * 500])
def test_what_is_no_answer_is_not_kept(raw: bytes) -> None:
    with pytest.raises(RevocationUnreadable):
        kept(raw)
    with pytest.raises(RevocationUnreadable):
        authentic_crl(raw, AUTHORITIES, source="test")


def test_a_list_by_a_known_authority_is_kept() -> None:
    for authority in (pki.root(), pki.intermediate()):
        assert authentic_crl(pki.crl(authority), AUTHORITIES, source="test").kind == "crl"
    assert authentic_crl(pki.crl(pki.rsa_authority()), [pki.rsa_authority().certificate], source="test").kind == "crl"


def test_a_list_by_anybody_else_is_not() -> None:
    namesake = keys.make_ca(pki.intermediate().certificate.subject, at=pki.NOW - timedelta(days=1))
    for raw in (
        pki.crl(signer=pki.stranger()),
        pki.crl(namesake),
        pki.crl(pki.rsa_authority()),
        pki.ocsp_response(PERSON.certificate),
    ):
        with pytest.raises(RevocationNotAuthentic):
            authentic_crl(raw, AUTHORITIES, source="test")
    with pytest.raises(RevocationNotAuthentic):
        kept(pki.crl())


def _twice(certificate: x509.Certificate) -> x509.Certificate:
    """A certificate with one extension twice; its signature does not matter here."""
    made = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
    listed = made["tbs_certificate"]["extensions"]
    listed.append(listed[0])
    return x509.load_der_x509_certificate(made.dump(force=True))


def _of_x400() -> x509.Certificate:
    """A certificate whose other name is an X.400 address, which cryptography does not know."""
    names = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), bytes.fromhex("3004a3020500"))
    return pki.certify(keys.subject_name("x"), extensions=[(names, False)]).certificate


@pytest.mark.parametrize("made", [_twice(PERSON.certificate), _of_x400()], ids=["twice", "of an unknown kind"])
def test_a_certificate_whose_extensions_cannot_be_read_stops_nobody(made: x509.Certificate) -> None:
    assert crl_urls(made) == ocsp_urls(made) == ()
    # They may forbid anything.
    assert not keys.known(made).may_sign


def test_a_list_of_a_version_that_nobody_knows_is_not_kept() -> None:
    made = asn1_crl.CertificateList.load(pki.crl())
    made["tbs_cert_list"]["version"] = asn1_crl.Version(67)
    with pytest.raises(RevocationNotAuthentic):
        authentic_crl(made.dump(force=True), AUTHORITIES, source="test")


def test_of_six_hundred_mutated_lists_and_answers_each_is_kept_or_refused_by_name() -> None:
    dice = random.Random(20261122)
    ways = {pki.crl(): lambda raw: authentic_crl(raw, AUTHORITIES, source="test").kind}
    ways[pki.ocsp_response(PERSON.certificate)] = kept
    outcomes: set[str] = set()
    for good, read in ways.items():
        for _ in range(300):
            raw = bytearray(good)
            for _ in range(dice.choice((1, 1, 2, 4))):
                raw[dice.randrange(len(raw))] = dice.randrange(256)
            try:
                outcomes.add(read(bytes(raw)))
            except (RevocationUnreadable, RevocationNotAuthentic) as e:
                outcomes.add(e.code)
    assert {"trust.revocation_unreadable", "trust.revocation_not_authentic"} <= outcomes


def _of_the_same_name(responder: keys.SigningKey) -> x509.Certificate:
    """A stranger's, as like the responder's as anybody can make it."""
    made = pki.certify(
        responder.certificate.subject,
        issuer=pki.stranger(),
        usages=frozenset({"digital_signature"}),
        purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,),
        extensions=((x509.OCSPNoCheck(), False),),
    )
    return made.certificate


def _named(responder: keys.SigningKey, *certificates: x509.Certificate) -> bytes:
    """That PERSON was revoked, by a responder that is named by its subject, with these certificates."""
    template = ocsp.load_der_ocsp_response(pki.ocsp_response(PERSON.certificate, revoked=(pki.NOW, None)))
    (single,) = template.responses
    builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
        single.issuer_name_hash,
        single.issuer_key_hash,
        single.serial_number,
        single.hash_algorithm,
        single.certificate_status,
        single.this_update_utc,
        single.next_update_utc,
        single.revocation_time_utc,
        None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, responder.certificate)
    made = builder.certificates(certificates).sign(responder.private, hashes.SHA256())
    return made.public_bytes(Encoding.DER)


def test_certificates_that_somebody_put_into_an_answer_take_nothing_from_it() -> None:
    responder = pki.ocsp_responder()
    raw = _named(responder, _of_the_same_name(responder), responder.certificate)
    item = authentic_ocsp(raw, PERSON.certificate, pki.intermediate().certificate, source="test")
    assert ocsp.load_der_ocsp_response(item.der).certificates == [responder.certificate]
    of_root = read_item(pki.crl(pki.root()), source="test")
    anchors = TrustAnchors(
        [pki.root().certificate],
        [pki.intermediate().certificate],
        mode=RevocationMode.IF_KNOWN,
        facts=RevocationFacts([of_root, item]),
    )
    assert anchors.judge(keys.known(PERSON.certificate), at=pki.NOW).reason is Reason.CERTIFICATE_REVOKED


def test_an_answer_by_the_issuer_itself_needs_no_certificate() -> None:
    raw = _named(pki.intermediate(), pki.ocsp_responder().certificate)
    item = authentic_ocsp(raw, PERSON.certificate, pki.intermediate().certificate, source="test")
    assert ocsp.load_der_ocsp_response(item.der).certificates == []
