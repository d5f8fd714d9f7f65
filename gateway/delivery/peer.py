"""Handing a document to another gateway: a POST to its ``/api/v1``, answered with its receipt."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import BinaryIO

from gateway.delivery.answers import failure
from gateway.delivery.http import Answer, HttpClient, header_value
from gateway.errors import DeliveryError, GatewayError, PeerAnswerUnusable, PeerRefused

MOST_RECIPIENTS = 100
"""Recipients named in one post: codes have at most 35 characters, and servers allow a header about 8,000."""


def send(
    http: HttpClient,
    *,
    url: str,
    key: str,
    recipients: Sequence[str],
    body: bytes | BinaryIO,
    size: int,
    sha256: str,
    now: datetime,
) -> str:
    """
    Post one package for some of its recipients; returning means that the peer has it durably.

    :param url: the peer's base URL; ``/api/v1/documents`` is added.
    :param key: the API key that the peer gave us.
    :param recipients: codes as written in the package, at most ``MOST_RECIPIENTS``.
    :param sha256: of the body, lower-case hex; the peer checks what it received against it.
    :return: the peer's receipt, JSON as it was answered.
    :raises PeerAnswerUnusable: success that is not a receipt for these bytes (a portal's log-in page, a cut answer),
        or a refusal that does not come from a gateway; the document may be there, and posting it again is harmless.
    :raises DeliveryError: see ``answers.failure``.
    """
    answer = http.post(
        url.rstrip("/") + "/api/v1/documents",
        body=body,
        size=size,
        headers={
            "Content-Type": "application/xml",
            "Accept": "application/json, application/problem+json",
            "Authorization": f"Bearer {header_value(key)}",
            "Gateway-Recipients": ",".join(_member(code) for code in recipients),
            "Content-Digest": content_digest(sha256),
        },
    )
    if answer.status in (200, 202):
        return _receipt(answer, sha256)
    if 200 <= answer.status < 300:
        raise PeerAnswerUnusable(f"HTTP {answer.status}, which is no answer to a document.")
    error = failure(answer, now=now)
    if isinstance(error, PeerRefused) and error.peer_code is None:
        # Something in front of the peer said no (a proxy, a wrong path): the document was not judged.
        raise PeerAnswerUnusable(f"HTTP {answer.status} without a problem code.")
    raise error


def concerns_recipients(error: GatewayError) -> bool:
    """
    True for a refusal that names recipients.

    A package is routed whole or not at all, so that one unknown recipient refuses those posted with it.
    """
    return isinstance(error, PeerRefused) and (error.peer_code or "").startswith("recipient.")


def content_digest(sha256: str) -> str:
    """The value of ``Content-Digest`` for a SHA-256 in hex (RFC 9530 §2)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode('ascii')}:"


def _member(code: str) -> str:
    """One code in the list; a comma or a space inside would make two of it."""
    if "," in code or " " in code:
        raise DeliveryError("The recipient's code cannot be written in a header.")
    return header_value(code)


def _receipt(answer: Answer, sha256: str) -> str:
    if answer.media_type != "application/json":
        raise PeerAnswerUnusable(f"HTTP {answer.status} with {answer.media_type or 'no type'} instead of JSON.")
    if answer.truncated:
        raise PeerAnswerUnusable(f"HTTP {answer.status} with more than a receipt.")
    try:
        text = answer.body.decode("utf-8")
        receipt = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise PeerAnswerUnusable(f"HTTP {answer.status} with JSON that cannot be read.") from e
    if not isinstance(receipt, dict) or receipt.get("sha256") != sha256:
        raise PeerAnswerUnusable(f"HTTP {answer.status} with a receipt for something else.")
    return text
