"""Handing a document to an agency's own system: a POST signed as Standard Webhooks prescribe."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import BinaryIO

from gateway.delivery.answers import failure
from gateway.delivery.http import HttpClient
from gateway.errors import EndpointMisconfigured

_PREFIX = "whsec_"
_SHORTEST_SECRET = 24
"""Bytes; Standard Webhooks asks for 24 to 64."""
_BLOCK = 256 * 1024


def read_secrets(text: str) -> tuple[bytes, ...]:
    """
    The keys in a push secret: one, or several with spaces or line ends between them while a secret is
    being changed; the receiver then finds a signature that it can check, whichever it knows.

    :raises EndpointMisconfigured: for anything but ``whsec_`` and base64 of at least 24 bytes.
    """
    keys = []
    for word in text.split():
        if not word.startswith(_PREFIX):
            raise EndpointMisconfigured(f"The push secret does not begin with {_PREFIX}.")
        try:
            key = base64.b64decode(word.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError) as e:
            raise EndpointMisconfigured("The push secret is not base64.") from e
        if len(key) < _SHORTEST_SECRET:
            raise EndpointMisconfigured(f"The push secret is shorter than {_SHORTEST_SECRET} bytes.")
        keys.append(key)
    if not keys:
        raise EndpointMisconfigured("The push secret is empty.")
    return tuple(keys)


def signature(keys: Sequence[bytes], *, webhook_id: str, timestamp: int, body: bytes | BinaryIO) -> str:
    """
    The value of ``webhook-signature``: one ``v1,`` signature per key, with spaces between them.

    :param timestamp: seconds since the epoch, the same as in ``webhook-timestamp``.
    :param body: a file is read from its start and left anywhere.

    Source: Standard Webhooks 1.0.0, "Signature scheme" (HMAC-SHA256 over ``id.timestamp.body``).
    """
    macs = [hmac.new(key, f"{webhook_id}.{timestamp}.".encode(), hashlib.sha256) for key in keys]
    if isinstance(body, bytes):
        for mac in macs:
            mac.update(body)
    else:
        body.seek(0)
        while block := body.read(_BLOCK):
            for mac in macs:
                mac.update(block)
    return " ".join(f"v1,{base64.b64encode(mac.digest()).decode('ascii')}" for mac in macs)


def send(
    http: HttpClient,
    *,
    url: str,
    secret: str,
    delivery_id: str,
    recipient: str,
    body: bytes | BinaryIO,
    size: int,
    now: datetime,
) -> None:
    """
    Post one package to an agency's system; returning means that it has answered 2xx and has the document.

    :param secret: as ``read_secrets`` takes it.
    :param delivery_id: becomes ``webhook-id``: the same for every attempt, so that the receiver can
        recognise a document that it already has.
    :param recipient: the code, as written in the package, that this copy is for: a system may serve several agencies.
    :param now: becomes ``webhook-timestamp``; receivers refuse what is some minutes off.
    :raises DeliveryError: ``answers.failure`` says which answer is which error; 410 means never again.
    """
    keys = read_secrets(secret)
    timestamp = int(now.timestamp())
    answer = http.post(
        url,
        body=body,
        size=size,
        headers={
            "Content-Type": "application/xml",
            "webhook-id": delivery_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(keys, webhook_id=delivery_id, timestamp=timestamp, body=body),
            "Gateway-Recipients": recipient,
        },
    )
    if not 200 <= answer.status < 300:
        raise failure(answer, now=now)
