"""Push and peer, against a real receiver on the loopback."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from gateway.delivery import peer, push
from gateway.delivery.http import HttpClient
from gateway.errors import (
    DeliveryError,
    EndpointMisconfigured,
    PeerAnswerUnusable,
    PeerFailed,
    PeerRefused,
    PeerUnreachable,
    SenderNotAccepted,
)
from tests.support.peer import (
    CUTS_THE_ANSWER,
    DROPS_THE_ANSWER,
    PORTAL,
    Receiver,
    Reply,
    fails,
    receipt_for,
    says,
)

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BODY = "<edXML>Công văn</edXML>".encode()
SHA256 = hashlib.sha256(BODY).hexdigest()


def now() -> datetime:
    return datetime.now(UTC)


def push_it(http: HttpClient, receiver: Receiver, *, body: bytes = BODY, delivery_id: str = "d-1") -> None:
    push.send(
        http,
        url=receiver.url + "/hook",
        secret=SECRET,
        delivery_id=delivery_id,
        recipient="000.01.02.H37",
        body=body,
        size=len(body),
        now=now(),
    )


def post_to_peer(http: HttpClient, receiver: Receiver, *recipients: str, key: str = "gw_key") -> str:
    return peer.send(
        http,
        url=receiver.url + "/",
        key=key,
        recipients=recipients or ("000.00.00.G22",),
        body=io.BytesIO(BODY),
        size=len(BODY),
        sha256=SHA256,
        now=now(),
    )


# Push


def test_the_receivers_library_verifies_what_arrived(http: HttpClient, receiver: Receiver) -> None:
    push_it(http, receiver)
    (request,) = receiver.requests
    Webhook(SECRET).verify(request.body, request.headers, json_parse=False)
    assert request.headers["webhook-id"] == "d-1"
    assert request.headers["content-type"] == "application/xml"
    assert request.headers["gateway-recipients"] == "000.01.02.H37"


@pytest.mark.parametrize("reply", [says(200, b""), says(201, b"{}"), Reply(204), says(200, b"x" * 100_000)])
def test_any_2xx_means_delivered(http: HttpClient, receiver: Receiver, reply: Reply) -> None:
    receiver.default = reply
    push_it(http, receiver)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (fails(410), PeerRefused),
        (fails(422, code="package.invalid"), PeerRefused),
        (fails(302), EndpointMisconfigured),
        (fails(401), EndpointMisconfigured),
        (fails(404), EndpointMisconfigured),
        (fails(429), PeerFailed),
        (fails(500), PeerFailed),
        (DROPS_THE_ANSWER, PeerUnreachable),
    ],
)
def test_what_is_not_2xx_is_not_delivered(
    http: HttpClient, receiver: Receiver, reply: Reply, kind: type[DeliveryError]
) -> None:
    receiver.default = reply
    with pytest.raises(DeliveryError) as caught:
        push_it(http, receiver)
    assert type(caught.value) is kind
    assert "Nguyễn" not in caught.value.detail


# Peer


def test_a_peer_gets_recipients_key_and_digest(http: HttpClient, receiver: Receiver) -> None:
    receipt = post_to_peer(http, receiver, "000.00.00.G22", "H38.14.2")
    (request,) = receiver.requests
    assert json.loads(receipt) == receipt_for(request)
    assert request.path == "/api/v1/documents"
    assert request.headers["authorization"] == "Bearer gw_key"
    assert request.headers["gateway-recipients"] == "000.00.00.G22,H38.14.2"
    digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
    assert request.headers["content-digest"] == f"sha-256=:{digest}:"
    assert request.headers["content-type"] == "application/xml"


def test_the_receipt_of_a_repetition_is_a_receipt(http: HttpClient, receiver: Receiver) -> None:
    receiver.default = says(200, json.dumps({"sha256": SHA256}).encode(), "application/json; charset=utf-8")
    assert json.loads(post_to_peer(http, receiver))["sha256"] == SHA256


@pytest.mark.parametrize(
    "reply",
    [
        PORTAL,
        says(202, json.dumps({"sha256": "0" * 64}).encode()),
        says(202, json.dumps({"sha256": SHA256.upper()}).encode()),
        says(202, b"{}"),
        says(202, b"[]"),
        says(202, b""),
        says(202, b"null"),
        says(202, b'{"sha256": "'),
        says(202, b"\xff\xfe"),
        says(202, b"[" * 4000),
        says(202, json.dumps({"sha256": SHA256, "x": "y" * 5000}).encode()),
        says(202, json.dumps({"sha256": SHA256}).encode(), "text/html"),
        says(201, json.dumps({"sha256": SHA256}).encode()),
        Reply(204),
        says(400, b"<html>Bad Request</html>", "text/html"),
        fails(413),
    ],
)
def test_what_is_no_receipt_for_these_bytes_is_not_success(http: HttpClient, receiver: Receiver, reply: Reply) -> None:
    receiver.default = reply
    with pytest.raises(PeerAnswerUnusable):
        post_to_peer(http, receiver)


def test_half_a_receipt_is_a_broken_connection(http: HttpClient, receiver: Receiver) -> None:
    receiver.default = CUTS_THE_ANSWER
    with pytest.raises(PeerUnreachable):
        post_to_peer(http, receiver)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (fails(422, code="package.invalid"), PeerRefused),
        (fails(409, code="document.conflict"), PeerRefused),
        (fails(403, code="signature.rejected"), PeerRefused),
        (fails(403, code="sender.not_allowed"), SenderNotAccepted),
        (fails(401, code="request.not_authenticated"), EndpointMisconfigured),
        (fails(404), EndpointMisconfigured),
        (fails(301), EndpointMisconfigured),
        (fails(429, code="request.too_many"), PeerFailed),
        (fails(400, code="package.incomplete_upload"), PeerFailed),
        (fails(503), PeerFailed),
        (fails(507, code="storage.full"), PeerFailed),
    ],
)
def test_a_refusal_says_whose_matter_it_is(
    http: HttpClient, receiver: Receiver, reply: Reply, kind: type[DeliveryError]
) -> None:
    receiver.default = reply
    with pytest.raises(DeliveryError) as caught:
        post_to_peer(http, receiver)
    assert type(caught.value) is kind


def test_the_code_of_a_refusal_is_kept_and_nothing_else_of_it(http: HttpClient, receiver: Receiver) -> None:
    receiver.default = fails(422, code="recipient.closed")
    with pytest.raises(PeerRefused) as caught:
        post_to_peer(http, receiver)
    assert caught.value.peer_code == "recipient.closed"
    assert caught.value.detail == "HTTP 422 recipient.closed"
    assert peer.concerns_recipients(caught.value)


@pytest.mark.parametrize("code", ["a,b", "a b", "a\r\nX: y", "Hà Nội"])
def test_a_code_that_would_change_the_header_is_not_sent(http: HttpClient, receiver: Receiver, code: str) -> None:
    with pytest.raises(DeliveryError):
        post_to_peer(http, receiver, code)
    assert not receiver.requests


def test_a_key_that_would_change_the_header_is_not_sent(http: HttpClient, receiver: Receiver) -> None:
    with pytest.raises(EndpointMisconfigured) as caught:
        post_to_peer(http, receiver, key="secret\nX: y")
    assert "secret" not in caught.value.detail
