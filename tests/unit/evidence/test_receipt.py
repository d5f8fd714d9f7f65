"""Receipts are signed facts that any JOSE library can check."""

import base64
import dataclasses
import json

import jwt
import pytest

from gateway.errors import EvidenceInvalid
from gateway.evidence.receipt import ReceiptFacts, check_receipt, make_receipt
from gateway.model import AgencyCode, DocumentId, Standing
from tests.support import pki

FACTS = ReceiptFacts(
    receipt_id="0195f0d2-7a51-7000-8000-000000000001",
    gateway=AgencyCode("H37"),
    document_id=DocumentId("000.00.14.H37,2026/03/05,07/SA-VPĐ"),
    sender=AgencyCode("000.00.14.H37"),
    recipients=(AgencyCode("000.00.00.H38"), AgencyCode("H37.21")),
    sha256="ab" * 32,
    size=20_480,
    accepted_at=pki.NOW,
    standing=Standing.VALID,
)


@pytest.mark.parametrize(
    "key", [pki.gateway, pki.agency, lambda: pki.agency_of_curve("secp521r1")], ids=["p256", "rsa", "p521"]
)
def test_a_receipt_says_again_what_was_accepted(key) -> None:
    receipt = make_receipt(FACTS, key())
    assert check_receipt(receipt.jws, key().certificate) == FACTS
    assert receipt.as_json() == {**FACTS.as_json(), "jws": receipt.jws}
    assert ReceiptFacts.from_json(json.loads(json.dumps(receipt.as_json()))) == FACTS


def test_a_receipt_for_a_document_without_an_id() -> None:
    facts = dataclasses.replace(FACTS, document_id=None)
    assert check_receipt(make_receipt(facts, pki.gateway()).jws, pki.gateway().certificate) == facts


def test_another_library_s_view_of_a_receipt() -> None:
    jws = make_receipt(FACTS, pki.gateway()).jws
    assert jwt.get_unverified_header(jws) == {
        "alg": "ES256",
        "typ": "receipt+jwt",
        "kid": pki.gateway().certificate_sha256,
    }
    assert jwt.decode(jws, pki.gateway().certificate.public_key(), algorithms=["ES256"])["sha256"] == FACTS.sha256


def test_a_receipt_is_byte_for_byte_what_another_library_writes() -> None:
    key = pki.agency()  # RSA, whose signatures of the same are the same
    facts = json.dumps(FACTS.as_json(), ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"typ": "receipt+jwt", "kid": key.certificate_sha256}
    assert make_receipt(FACTS, key).jws == jwt.api_jws.PyJWS().encode(facts, key.private, "RS256", headers)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signed(payload: bytes, typ: str = "receipt+jwt", kid: str | None = None) -> str:
    headers = {"typ": typ, "kid": kid or pki.gateway().certificate_sha256}
    return jwt.api_jws.PyJWS().encode(payload, pki.gateway().private, "ES256", headers)


def _without(name: str) -> bytes:
    return json.dumps({k: v for k, v in FACTS.as_json().items() if k != name}).encode()


def _with(**changes: object) -> bytes:
    return json.dumps({**FACTS.as_json(), **changes}).encode()


GOOD = make_receipt(FACTS, pki.gateway()).jws
HEADER, PAYLOAD, VALUE = GOOD.split(".")
NO_ALGORITHM = _b64(b'{"alg":"none"}')


@pytest.mark.parametrize(
    "jws",
    [
        "",
        "a.b.c",
        "ü.ü.ü",
        f"{HEADER}.{PAYLOAD}.",
        f"{HEADER}.{PAYLOAD}.{_b64(b'0' * 64)}",
        f"{HEADER}.{_b64(_with(size=1))}.{VALUE}",
        f"{NO_ALGORITHM}.{PAYLOAD}.",
        jwt.encode({"a": 1}, "s" * 32, algorithm="HS256"),
        make_receipt(FACTS, pki.agency_ec()).jws,
        make_receipt(FACTS, pki.agency()).jws,
        _signed(json.dumps(FACTS.as_json()).encode(), typ="JWT"),
        _signed(json.dumps(FACTS.as_json()).encode(), kid="00"),
        _signed(b"[]"),
        _signed(b"not json"),
        _signed(b"\xff"),
        _signed(_without("sha256")),
        _signed(_with(standing="perfect")),
        _signed(_with(size="many")),
        _signed(_with(accepted_at="2026-03-05T07:30:00")),
        _signed(_with(accepted_at=5)),
        _signed(_with(recipients=[1])),
        _signed(_with(recipients=None)),
    ],
    ids=[
        "empty", "dots", "not-ascii", "value-empty", "value-zeros", "changed", "alg-none", "hmac", "other-key",
        "other-kind", "other-type", "other-kid", "list", "not-json", "not-utf8", "lacks-sha256", "standing",
        "size", "naive-time", "time-number", "recipient-number", "recipients-null",
    ],
)  # fmt: skip
def test_what_is_no_receipt_of_this_gateway_is_refused_by_name(jws: str) -> None:
    with pytest.raises(EvidenceInvalid):
        check_receipt(jws, pki.gateway().certificate)


def test_members_of_later_versions_are_ignored() -> None:
    assert check_receipt(_signed(_with(new="member")), pki.gateway().certificate) == FACTS
