"""A time-stamp is taken only as the answer to the question that was asked."""

import hashlib

import pytest
from asn1crypto import tsp

from gateway.errors import DeliveryError, TimestampRefused
from gateway.signing import timestamp
from tests.support import pki

DIGEST = hashlib.sha256(b"a signature").digest()


def test_the_question_names_the_digest_and_wants_the_certificates() -> None:
    asked = timestamp.query(DIGEST, policy="1.2.3.4")
    request = tsp.TimeStampReq.load(asked.body, strict=True)
    assert request["message_imprint"]["hashed_message"].native == DIGEST
    assert request["message_imprint"]["hash_algorithm"]["algorithm"].native == "sha256"
    assert request["cert_req"].native is True
    assert request["nonce"].native == asked.nonce > 0
    assert request["req_policy"].dotted == "1.2.3.4"
    assert timestamp.query(DIGEST).nonce != asked.nonce


@pytest.mark.parametrize("authority", [pki.tsa, lambda: pki.tsa(bits=2048)], ids=["p256", "rsa"])
def test_a_right_answer_gives_its_token(authority) -> None:
    posted: list[tuple[str, str]] = []

    def post(url: str, body: bytes, media_type: str) -> bytes:
        posted.append((url, media_type))
        return pki.timestamp_answer(body, authority=authority())

    token = timestamp.fetch(DIGEST, url="http://tsa.test/", post=post)
    assert timestamp.covers(token, DIGEST)
    assert not timestamp.covers(token, hashlib.sha256(b"another").digest())
    assert posted == [("http://tsa.test/", "application/timestamp-query")]


@pytest.mark.parametrize(
    "reply",
    [
        lambda body: b"",
        lambda body: b"<html>down</html>",
        lambda body: pki.timestamp_refusal(),
        lambda body: pki.timestamp_answer(body)[:-1],
        lambda body: pki.timestamp_answer(body) + b"\0",
        lambda body: pki.timestamp_answer(timestamp.query(DIGEST).body),
        lambda body: pki.timestamp_answer(body.replace(DIGEST, hashlib.sha256(b"another").digest())),
        lambda body: pki.timestamp_answer(body).replace(DIGEST, hashlib.sha256(b"another").digest()),
        lambda body: _spoiled(pki.timestamp_answer(body)),
    ],
    ids=["empty", "html", "no", "cut", "longer", "other-nonce", "other-digest", "put-in", "signature"],
)
def test_any_other_answer_is_refused_by_name(reply) -> None:
    asked = timestamp.query(DIGEST)
    with pytest.raises(TimestampRefused) as caught:
        timestamp.answer(asked, reply(asked.body))
    assert caught.value.code == "timestamp.refused"
    assert isinstance(caught.value, DeliveryError)


def test_an_answer_that_is_broken_anywhere_is_refused_by_name() -> None:
    """Also where asn1crypto looks only when it is asked for a value."""
    asked = timestamp.query(DIGEST)
    whole = pki.timestamp_answer(asked.body)
    named = whole.index(DIGEST)
    refused = 0
    for place in range(max(0, named - 60), named + 120):
        for value in (0x00, 0x7F, 0xFF):
            try:
                timestamp.answer(asked, whole[:place] + bytes([value]) + whole[place + 1 :])
            except TimestampRefused:
                refused += 1
    assert refused > 100


def _spoiled(answer: bytes) -> bytes:
    """With the last byte of the signature changed: the last of the structure, for nothing follows it."""
    return answer[:-1] + bytes([answer[-1] ^ 1])


def test_what_is_no_token_covers_nothing() -> None:
    for raw in (b"", b"0", b"0" * 1000, pki.timestamp_token(DIGEST, with_chain=False), bytes(100_000)):
        assert not timestamp.covers(raw, DIGEST)
