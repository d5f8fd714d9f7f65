"""
The other side of ``/api/v1``: what an agency's program calls, and ours on the command line.

A thin client: JSON as it comes, one error for each way of not succeeding.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import requests

from gateway.delivery.answers import failure
from gateway.delivery.http import Answer, header_value
from gateway.errors import PeerAnswerUnusable, PeerUnreachable, PeerUntrusted

_ANSWER_LIMIT = 8 * 1024 * 1024
_CHUNK = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class AgencySettings:
    """Which gateway, and how to speak to it."""

    url: str
    """Base URL; ``/api/v1`` is added."""
    key: str
    """The agency's API key."""
    ca_file: Path | None = None
    """PEM file of the CAs to believe; ``None`` means those that ``requests`` carries."""
    connect_timeout_seconds: float = 10
    read_timeout_seconds: float = 120


class AgencyClient:
    """
    One agency's view of a gateway; a context manager.

    Every method raises ``PeerUnreachable`` (try again: each call may be repeated without harm), or what
    ``answers.failure`` makes of the gateway's refusal, with the gateway's own sentence in its ``detail``.
    """

    def __init__(self, settings: AgencySettings) -> None:
        self._base = settings.url.rstrip("/") + "/api/v1"
        self._timeout = (settings.connect_timeout_seconds, settings.read_timeout_seconds)
        self._session = requests.Session()
        self._session.trust_env = False  # neither proxies nor passwords from the surroundings
        self._session.verify = str(settings.ca_file) if settings.ca_file else True
        self._session.headers.update(
            {"Authorization": f"Bearer {header_value(settings.key)}", "User-Agent": "edxml-gateway"}
        )

    def __enter__(self) -> AgencyClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def post_document(self, package: Path, *, recipients: Sequence[str] = ()) -> dict[str, Any]:
        """
        Post an edXML package, a document or a status; the receipt.

        :param recipients: restricts this copy to some of the package's recipients; gateways use it.
        """
        headers = {"Content-Type": "application/xml"}
        if recipients:
            headers["Gateway-Recipients"] = header_value(",".join(recipients))
        with package.open("rb") as body:
            return self._json("POST", "/documents", data=body, headers=headers)

    def inbox(self, *, limit: int = 50, cursor: str | None = None) -> dict[str, Any]:
        """What is to be collected: ``items`` and the cursor ``next``. Looking changes nothing."""
        return self._json("GET", "/inbox", params={"limit": limit} | ({"cursor": cursor} if cursor else {}))

    def lock(self, delivery: str) -> dict[str, Any]:
        """Reserve one delivery; ``token`` and ``until``."""
        return self._json("POST", f"/inbox/{delivery}/lock", json={})

    def fetch(self, delivery: str, to: BinaryIO) -> int:
        """Write a delivery's package to a file; the number of bytes. Acknowledge only after it is safely stored."""
        with self._request("GET", f"/inbox/{delivery}/package") as response:
            return sum(to.write(chunk) for chunk in response.iter_content(_CHUNK))

    def acknowledge(self, delivery: str, token: str) -> dict[str, Any]:
        """It is stored here: the sender gets status 01."""
        return self._json("POST", f"/inbox/{delivery}/ack", json={"token": token})

    def refuse(self, delivery: str, token: str, *, reason: str) -> dict[str, Any]:
        """It is not taken: the sender gets status 02 with the reason."""
        return self._json("POST", f"/inbox/{delivery}/refuse", json={"token": token, "reason": reason})

    def report_status(
        self, document: str, code: str, *, description: str | None = None, agency: str | None = None
    ) -> dict[str, Any]:
        """
        Report on a received document; the receipt of the status.

        :param document: the gateway's id of it.
        :param agency: for whose copy, when the caller serves several recipients of it.
        """
        body = {"document": document, "code": code, "description": description, "agency": agency}
        return self._json("POST", "/statuses", json=body)

    def certificate(self, sha256: str) -> dict[str, Any]:
        """What the gateway says of a certificate before it signs: ``registered``, ``role``, ``reason``, ``now``."""
        return self._json("GET", f"/signing/certificates/{sha256}")

    def trace(self, document: str) -> dict[str, Any]:
        """The way of a document so far, by the gateway's id of it."""
        return self._json("GET", f"/documents/{document}/trace")

    def evidence(self, document: str, to: BinaryIO) -> int:
        """Write a document's evidence file (ASiC-E), by the gateway's id of it; the number of bytes."""
        headers = {"Accept": "application/vnd.etsi.asic-e+zip"}
        with self._request("GET", f"/documents/{document}/evidence", headers=headers) as response:
            return sum(to.write(chunk) for chunk in response.iter_content(_CHUNK))

    def documents(self, **filters: str | int) -> dict[str, Any]:
        """The documents that the agency may see, newest first; filters as in the API's description."""
        return self._json("GET", "/documents", params=filters)

    def agencies(self, text: str, *, limit: int = 20) -> dict[str, Any]:
        """Find recipients by part of a name or code, accents ignored."""
        return self._json("GET", "/agencies", params={"q": text, "limit": limit})

    def _json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        with self._request(method, path, **request) as response:
            body = _bounded(response)
        try:
            content = json.loads(body)
        except (ValueError, RecursionError) as e:
            raise PeerAnswerUnusable(f"HTTP {response.status_code} without readable JSON.") from e
        if not isinstance(content, dict):
            raise PeerAnswerUnusable(f"HTTP {response.status_code} with JSON that is no object.")
        return content

    @contextmanager
    def _request(self, method: str, path: str, **request: Any) -> Iterator[requests.Response]:
        try:
            with self._session.request(
                method, self._base + path, timeout=self._timeout, allow_redirects=False, stream=True, **request
            ) as response:
                if response.status_code not in (200, 202):
                    raise _refusal(response)
                yield response
        except requests.exceptions.SSLError as e:
            raise PeerUntrusted(f"TLS with the gateway failed ({_cause(e)}).") from e
        except requests.RequestException as e:
            raise PeerUnreachable(f"The gateway cannot be reached ({type(e).__name__}).") from e


def _cause(error: BaseException) -> str:
    """The innermost reason, which says what to do: an unknown CA, another name, an expired certificate."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return _cause(reason)
    return str(getattr(error, "verify_message", None) or type(error).__name__)


def _bounded(response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > _ANSWER_LIMIT:
            raise PeerAnswerUnusable(f"HTTP {response.status_code} with more than {_ANSWER_LIMIT} bytes.")
    return bytes(body)


def _refusal(response: requests.Response) -> Exception:
    """The gateway's refusal; its sentence is the caller's own business, and shown to nobody else."""
    body = _bounded(response)
    answer = Answer(
        status=response.status_code,
        media_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
        body=body,
        truncated=False,
        retry_after=response.headers.get("Retry-After"),
    )
    error = failure(answer, now=datetime.now(UTC))
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        return error
    if isinstance(problem, Mapping) and isinstance(problem.get("detail"), str):
        error.detail = f"{error.detail}: {problem['detail']}"
    return error
