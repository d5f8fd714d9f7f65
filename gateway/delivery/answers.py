"""What an endpoint's answer means for the delivery; pure."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from datetime import datetime

from gateway.delivery.http import Answer, retry_time
from gateway.errors import (
    DeliveryError,
    Disposition,
    EndpointMisconfigured,
    GatewayError,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    PeerFailed,
    PeerRefused,
    SenderClosed,
    SenderNotAccepted,
    SenderNotAllowed,
    every_error,
)

_PROBLEM = "application/problem+json"
_CODE = re.compile(r"[a-z][a-z0-9_]{0,40}(\.[a-z0-9_]{1,40}){1,4}")
_FOR_LATER = frozenset({408, 423, 425, 429})
"""The endpoint says itself that it is a matter of time."""
_FOR_OPERATOR = frozenset({401, 403, 404, 405, 407, 421, 426})
"""The credential or the URL is wrong: the document is not at fault, and must not be refused for it."""


def problem_code(answer: Answer) -> str | None:
    """
    The ``code`` of a problem document, or ``None``.

    The only part of an error's body that is kept: its sentences may hold personal data.

    Source: RFC 9457; the member ``code`` and the type ``urn:eoffice-gateway:error:<code>`` are this gateway's own.
    """
    if answer.media_type != _PROBLEM or answer.truncated:
        return None
    try:
        problem = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(problem, dict):
        return None
    code = problem.get("code") or str(problem.get("type", "")).removeprefix("urn:eoffice-gateway:error:")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def failure(answer: Answer, *, now: datetime) -> DeliveryError:
    """
    The failure that an answer other than success stands for.

    A code of our own error tree decides before the status: it says whether the document, the
    credential or the moment was wrong, where one status (403) may mean each of them.
    """
    code = problem_code(answer)
    detail = f"HTTP {answer.status}" + (f" {code}" if code else "")
    retry_at = retry_time(answer.retry_after, now=now)
    by_code = failure_by_code(code, detail, retry_at=retry_at) if code else None
    if by_code is not None:
        return by_code
    return _made(_by_status(answer.status), code, detail, retry_at)


def failure_by_code(code: str, detail: str, *, retry_at: datetime | None) -> DeliveryError | None:
    """The failure that a stable code of another gateway stands for; ``None`` for a code that is not known."""
    kind = _known().get(code)
    by_code = _by_code(kind) if kind else None
    return _made(by_code, code, detail, retry_at) if by_code else None


def _made(kind: type[DeliveryError], code: str | None, detail: str, retry_at: datetime | None) -> DeliveryError:
    if kind is PeerFailed:
        return PeerFailed(detail, retry_at=retry_at)
    if kind is PeerRefused:
        return PeerRefused(detail, peer_code=code)
    return kind(detail)


def _by_code(kind: type[GatewayError]) -> type[DeliveryError] | None:
    if issubclass(kind, SenderClosed):
        # Of this document alone, and for good: nothing is wrong with the endpoint.
        return PeerRefused
    if issubclass(kind, SenderNotAllowed):
        # The other side has not been told that we speak for this sender. Our credentials are good, and for others do.
        return SenderNotAccepted
    if issubclass(kind, NotAuthenticated | NotPermitted | NotFound):
        # The other side has not been told who we are, or this is not its address: so it is with every document.
        return EndpointMisconfigured
    if kind.disposition is Disposition.REJECT:
        return PeerRefused
    return PeerFailed


def _by_status(status: int) -> type[DeliveryError]:
    if 300 <= status < 400 or status in _FOR_OPERATOR:
        return EndpointMisconfigured
    if status in _FOR_LATER or status >= 500:
        return PeerFailed
    if 400 <= status < 500:
        return PeerRefused
    return PeerFailed


@functools.cache
def _known() -> Mapping[str, type[GatewayError]]:
    return {error.code: error for error in every_error()}
