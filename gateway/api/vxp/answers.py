"""
What the kit reads: its envelope and its codes.

``{"status", "ErrorCode", "ErrorDesc"}`` and what belongs to the call beside them, in ASCII alone: the kit reads
some answers as that. The only place where errors become numbers of this protocol, and what HTTP says beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from flask import Response, g, request
from werkzeug.exceptions import HTTPException

from gateway import errors
from gateway.api import problems
from gateway.api.plain import unaccented

TYPE = "application/json; charset=utf-8"
_LONGEST_WORDS = 500
_ROWS_AT_ONCE = 200
_RAW = frozenset({"vxp.download_edoc"})
"""Calls whose answer is no envelope, so that only the HTTP status can say that it is none of theirs."""
_DONE = {"status": "OK", "ErrorCode": "0", "ErrorDesc": "Thanh cong"}

CODES: Mapping[type[errors.GatewayError], str] = {
    errors.IncompleteUpload: "21",
    errors.DigestMismatch: "21",
    errors.MalformedPackage: "22",
    errors.EmptyPackage: "10",
    errors.UnknownPackage: "22",
    errors.InvalidPackage: "22",
    errors.SenderNotAllowed: "19",
    errors.RecipientClosed: "23",
    errors.RoutingError: "18",
    errors.SignatureRejected: "403",
    # Nothing is wrong with the package: it is to be sent again.
    errors.RevocationUnknown: "20",
    errors.DocumentConflict: "409",
    errors.DocumentError: "10",
    errors.BodyTooLarge: "10",
    errors.UnsupportedMedia: "10",
    errors.NotAuthenticated: "15",
    errors.NotPermitted: "403",
    errors.NotFound: "404",
    errors.StateConflict: "409",
    errors.TooManyRequests: "429",
    errors.TooManyRegistrations: "429",
    errors.RequestError: "400",
    errors.GatewayError: "20",
}
"""
By the nearest ancestor; numbers of the provincial protocol where it has one for the same thing (domain §2.2), of HTTP
where it has none. ``docs/integrate/vxp.md`` says what each means; a test compares.
"""


def code_of(error: type[errors.GatewayError]) -> str:
    """The protocol's number for an error."""
    return next(CODES[c] for c in error.__mro__ if c in CODES)


def http_status_of(error: errors.GatewayError) -> int:
    """
    What HTTP says of a failed call.

    200 where the gateway has judged what it was sent: the kit reads the body, and clients that read it only after a 200
    must learn the code. What proxies, and clients that try again, have to know is said to them as well: who is not
    let in, what was too large or came too often, and that the gateway cannot work.
    """
    status = problems.status_of(type(error))
    by_http = errors.NotAuthenticated | errors.BodyTooLarge | errors.TooManyRequests
    return status if status >= 500 or isinstance(error, by_http) else 200


def success(**members: Any) -> Response:
    """The answer of a call that was carried out; ``members`` stand beside the envelope's own."""
    return Response(_json({**_DONE, **members}), content_type=TYPE)


def rows(data: Iterable[Mapping[str, Any]]) -> Response:
    """A list as ``data``, sent while it is made: a catalogue is never in memory as one text."""
    return Response(_list(iter(data)), content_type=TYPE)


def _list(data: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    yield before_data() + "["
    separator = ""
    while some := list(islice(data, _ROWS_AT_ONCE)):
        yield separator + ",".join(map(_json, some))
        separator = ","
    yield "]}"


def before_data() -> str:
    """An answer up to where the value of ``data`` begins, after which there is only ``}``."""
    return _json(_DONE)[:-1] + ',"data":'


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def failure(error: errors.GatewayError, status: int | None = None) -> Response:
    """The answer of a call that was refused or failed."""
    code = status or http_status_of(error)
    body = {"status": "FAIL", "ErrorCode": code_of(type(error)), "ErrorDesc": words_of(error)}
    answer = Response(_json(body), code, content_type=TYPE)
    if code == 401:
        answer.headers["WWW-Authenticate"] = "XroadVnpt"
    if code in (429, 503, 507):
        answer.headers["Retry-After"] = "30"
    if request.method != "HEAD" and not g.get("body_read", False) and request.content_length != 0:
        # The rest of an unread body would be taken for the next request.
        answer.headers["Connection"] = "close"
    return answer


def words_of(error: errors.GatewayError) -> str:
    """One sentence without accents, what it is about, and the gateway's own code in brackets."""
    match error:
        case errors.InvalidPackage():
            about = [v.code for v in error.violations]
        case errors.RoutingError():
            about = [*error.recipients, *(f"-> {choice}" for choice in error.choices)]
        case errors.DocumentConflict():
            about = [error.existing]
        case errors.SignatureRejected():
            about = [error.verdict.reason]
        case _ if error.path is not None and problems.status_of(type(error)) < 500:
            about = [error.path]
        case _:
            about = []
    sentence = error.vi.rstrip(".")
    named = f": {', '.join(about)}" if about else ""
    return f"{unaccented(sentence + named)[:_LONGEST_WORDS]} [{error.code}]"


def of_gateway(error: errors.GatewayError) -> Response:
    """Answer one of our errors, once noted."""
    raw = request.endpoint in _RAW
    status = problems.status_of(type(error)) if raw else http_status_of(error)
    problems.note(error, status)
    return failure(error, status)


def of_framework(error: HTTPException) -> Response:
    """Answer what the framework refused."""
    return of_gateway(problems.named(error))


def of_anything(error: Exception) -> Response:
    """Answer what nobody foresaw, and say nothing of it."""
    problems.note_unexpected(error)
    return failure(errors.GatewayError())
