"""What a page may ask to have signed, and what not."""

from __future__ import annotations

import base64
import hashlib
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from asn1crypto import algos, cms, tsp

from gateway.edxml.package import C14N
from gateway.errors import NothingToSign
from gateway.signing.policy import DS, ENVELOPED, SIGNED_PROPERTIES
from gateway.signing.prepare import PackageForm, prepare_package
from gateway.signing.to_be_signed import LONGEST_BYTES, recognise
from tests.support import documents, pki

DIGEST = hashlib.sha256(b"a document").digest()


def attributes(*more: tuple[str, Any], content: str = "data", digest: bytes = DIGEST) -> bytes:
    """Signed attributes as a PDF's signature has them."""
    given = [("content_type", content), ("message_digest", digest), *more]
    return bytes(cms.CMSAttributes([{"type": kind, "values": [value]} for kind, value in given]).dump())


def names_certificate(der: bytes) -> tuple[str, Any]:
    algorithm = algos.DigestAlgorithm({"algorithm": "sha256"})
    certificate = tsp.ESSCertIDv2({"hash_algorithm": algorithm, "cert_hash": hashlib.sha256(der).digest()})
    return "signing_certificate_v2", tsp.SigningCertificateV2({"certs": [certificate]})


def signed_info(*, uri: str = "", digest: str | None = None, more: str = "", c14n: C14N = C14N.EXCLUSIVE) -> bytes:
    """As ``gateway.signing.template`` has it signed."""
    value = digest if digest is not None else base64.b64encode(DIGEST).decode()
    return (
        f'<ds:SignedInfo xmlns:ds="{DS}"><ds:CanonicalizationMethod Algorithm="{c14n}">'
        '</ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256">'
        f'</ds:SignatureMethod><ds:Reference URI="{uri}"><ds:Transforms>'
        f'<ds:Transform Algorithm="{ENVELOPED}"></ds:Transform></ds:Transforms>'
        '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod>'
        f"<ds:DigestValue>{value}</ds:DigestValue></ds:Reference>{more}</ds:SignedInfo>"
    ).encode()


def of_properties(kind: str = SIGNED_PROPERTIES, identity: str = "reference-1") -> str:
    """A reference to XAdES' own properties, as ``gateway.signing.xades`` has it signed."""
    return (
        f'<ds:Reference Id="{identity}" Type="{kind}" URI="#properties"><ds:Transforms>'
        f'<ds:Transform Algorithm="{C14N.EXCLUSIVE}"></ds:Transform></ds:Transforms>'
        '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod>'
        f"<ds:DigestValue>{base64.b64encode(DIGEST).decode()}</ds:DigestValue></ds:Reference>"
    )


def test_the_attributes_of_a_pdf_s_signature_name_its_digest_and_its_certificate() -> None:
    der = pki.agency().certificate_der
    found = recognise(attributes(names_certificate(der)))
    assert (found.kind, found.digest) == ("pdf", DIGEST.hex())
    assert found.certificate_sha256 == hashlib.sha256(der).hexdigest()


def test_attributes_need_not_name_a_certificate() -> None:
    assert recognise(attributes()).certificate_sha256 is None


def test_the_signed_info_of_a_package_names_the_digest_of_the_whole() -> None:
    found = recognise(signed_info())
    assert (found.kind, found.digest, found.certificate_sha256) == ("package", DIGEST.hex(), None)


def test_a_second_reference_into_the_signature_itself_belongs_to_xades() -> None:
    assert recognise(signed_info(more=of_properties())).digest == DIGEST.hex()


def test_what_the_gateway_has_signed_of_a_package_is_recognised() -> None:
    for form in PackageForm:
        prepared = prepare_package(documents.a_package(), certificate=pki.agency().certificate, form=form, at=pki.NOW)
        assert recognise(prepared.to_be_signed).kind == "package"


def changed(old: str, new: str) -> bytes:
    """Something else in a SignedInfo that stays canonical."""
    data = signed_info().decode()
    assert old in data
    return data.replace(old, new, 1).encode()


HIDDEN = "<ds:XPath>not(self::node())</ds:XPath>"
UNSEEN: dict[str, bytes] = {
    "a transform by XSLT": changed(ENVELOPED, "http://www.w3.org/TR/1999/REC-xslt-19991116"),
    "an XPath that leaves nothing of the document": changed(
        "</ds:Transforms>",
        f'<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">{HIDDEN}</ds:Transform>'
        "</ds:Transforms>",
    ),
    "no enveloped signature": changed(ENVELOPED, C14N.EXCLUSIVE),
    "another method": changed("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "urn:i-owe-you-a-million"),
    "SHA-1": changed("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#rsa-sha1"),
    "a key that everybody has": changed("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#hmac-sha1"),
    "another canonical form": changed(C14N.EXCLUSIVE, "urn:anything"),
    "words in the method": changed("</ds:SignatureMethod>", "I agree</ds:SignatureMethod>"),
    "words in the reference": changed("</ds:Reference>", "I agree</ds:Reference>"),
    "words in a transform": changed("</ds:Transform>", "I agree</ds:Transform>"),
    "words in the digest's method": changed("</ds:DigestMethod>", "I agree</ds:DigestMethod>"),
    "words in an attribute": changed("<ds:Reference URI", '<ds:Reference Id="I owe you" URI'),
    "an attribute of SignedInfo": changed(f'"{DS}">', f'"{DS}" Id="I-owe-you">'),
    "an attribute of the method": changed('rsa-sha256">', 'rsa-sha256" Note="I agree">'),
    "an element that nobody knows": changed("</ds:Reference>", "<ds:Promise></ds:Promise></ds:Reference>"),
    "a namespace that nobody needs": changed(f'xmlns:ds="{DS}"', f'xmlns:ds="{DS}" xmlns:x="urn:i-owe-you"'),
    "a namespace that has no canonical form": changed(f'xmlns:ds="{DS}"', f'xmlns:ds="{DS}" xmlns:x="I-owe-you"'),
    "a second reference to anything": signed_info(more=of_properties("urn:other")),
    "two references to properties": signed_info(more=of_properties() + of_properties(identity="again")),
}


def test_attributes_say_each_thing_once() -> None:
    """RFC 5652 §11, RFC 5035 §5: of two values a reader may take the other one."""
    kind, mine = names_certificate(pki.agency().certificate_der)
    _, another = names_certificate(pki.person().certificate_der)
    whole = cms.CMSAttributes.load(attributes((kind, mine)))
    said = next(a for a in whole if a["type"].native == kind)
    said["values"] = type(said["values"])([mine, another])
    with pytest.raises(NothingToSign):
        recognise(whole.dump(force=True))


@pytest.mark.parametrize("data", UNSEEN.values(), ids=UNSEEN)
def test_a_signed_info_holds_nothing_that_a_package_s_does_not(data: bytes) -> None:
    with pytest.raises(NothingToSign):
        recognise(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HTTP/1.1",
        hashlib.sha256(b"any").digest(),
        b"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9",  # what a JSON Web Token has signed
        b" " * 64 + b"TLS 1.3, client CertificateVerify\x00" + DIGEST,  # RFC 8446 §4.4.3
        attributes() + b"\x00",
        attributes()[:-1],
        b"\x30" + attributes()[1:],
        attributes(content="tst_info"),  # a time-stamp
        attributes(content="signed_data"),
        attributes(digest=b"short"),
        attributes(("message_digest", DIGEST)),  # twice
        attributes(("signing_time", cms.Time({"utc_time": datetime(2026, 1, 1, tzinfo=UTC)})), ("smime_capabilities",
                   [{"capability_id": "1.2.3"}])),  # mail
        bytes(cms.CMSAttributes([{"type": "content_type", "values": ["data"]}]).dump()),
        b"<SignedInfo/>",
        signed_info()[:-1],
        signed_info().replace(b"<ds:Reference", b"<!-- seen? --><ds:Reference"),
        b"<!DOCTYPE x [<!ENTITY e ''>]>" + signed_info(),
        signed_info(uri="#part"),  # nothing of the document
        signed_info(uri="https://example.vn/"),
        signed_info(digest="AAAA"),
        signed_info(digest="not base64"),
        signed_info(more=signed_info().decode()),
        signed_info().replace(b"xmlenc#sha256", b"xmlenc#sha1__"),
        b"<" * (LONGEST_BYTES + 1),
    ],
)  # fmt: skip
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(NothingToSign):
        recognise(data)


def test_nothing_that_was_changed_is_taken_for_something_else_than_it_says() -> None:
    """Whatever comes, there is one answer or one refusal; and what is recognised can be told from what it is."""
    chance = random.Random(20260305)
    good = [attributes(), attributes(names_certificate(pki.agency().certificate_der)), signed_info()]
    recognised = 0
    for number in range(3000):
        data = bytearray(good[number % len(good)])
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(data))
            data[place : place + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 2))
        try:
            found = recognise(bytes(data))
        except NothingToSign:
            continue
        recognised += 1
        assert bytes.fromhex(found.digest) in data or base64.b64encode(bytes.fromhex(found.digest)) in data
    # The digest itself may be any, so some changes stay within what is known.
    assert 0 < recognised < 1500
