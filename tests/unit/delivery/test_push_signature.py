"""Push signatures, judged by the Standard Webhooks library as a receiver would use it."""

import base64
import io
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from gateway.delivery.push import read_secrets, signature
from gateway.errors import EndpointMisconfigured

OLD = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NEW = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
BODY = "<edXML>Công văn</edXML>".encode()


def headers(secrets: str, body: bytes | io.BytesIO = BODY) -> dict[str, str]:
    at = int(datetime.now(UTC).timestamp())
    value = signature(read_secrets(secrets), webhook_id="d-1", timestamp=at, body=body)
    return {"webhook-id": "d-1", "webhook-timestamp": str(at), "webhook-signature": value}


def test_the_receivers_library_verifies() -> None:
    Webhook(OLD).verify(BODY, headers(OLD), json_parse=False)


def test_another_body_does_not_verify() -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(BODY + b" ", headers(OLD), json_parse=False)


@pytest.mark.parametrize("known", [OLD, NEW])
def test_while_a_secret_is_changed_both_verify(known: str) -> None:
    Webhook(known).verify(BODY, headers(f"{NEW}\n{OLD}"), json_parse=False)


def test_a_file_is_signed_as_its_bytes_are() -> None:
    large = b"<a>" + b"x" * 1_000_000 + b"</a>"
    body = io.BytesIO(large)
    body.seek(17)
    Webhook(OLD).verify(large, headers(OLD, body), json_parse=False)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "  ",
        OLD.removeprefix("whsec_"),
        "whsec_",
        "whsec_!!!",
        "whsec_" + base64.b64encode(b"short").decode(),
        f"{OLD} whsec_x",
    ],
)
def test_a_secret_that_is_none_is_named_without_being_shown(secret: str) -> None:
    with pytest.raises(EndpointMisconfigured) as caught:
        read_secrets(secret)
    assert not secret.strip() or secret not in caught.value.detail
