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
from gateway.signing.to_be_signed import LONGEST_BYTES, recognise
from tests.support import pki

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
        f'<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:CanonicalizationMethod Algorithm="{c14n}">'
        '</ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256">'
        f'</ds:SignatureMethod><ds:Reference URI="{uri}">'
        '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod>'
        f"<ds:DigestValue>{value}</ds:DigestValue></ds:Reference>{more}</ds:SignedInfo>"
    ).encode()


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
    second = signed_info(uri="#properties").decode().partition("<ds:Reference")[2].partition("</ds:SignedInfo>")[0]
    assert recognise(signed_info(more=f"<ds:Reference{second}")).digest == DIGEST.hex()


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
