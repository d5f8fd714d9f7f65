"""
What the provincial protocol answers: its error numbers and its two shapes.

The axis of Lạng Sơn answers other than its vendor's document says (domain §2.2). ``actual`` is what it really
says, with the members of the document beside them, as clients were written for either; ``documented`` is the
document's alone. The only place where errors become numbers of this protocol.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Literal

from flask import Response, g, request
from werkzeug.exceptions import HTTPException

from gateway import errors
from gateway.api import problems
from gateway.api.encoding import base64_chunks, base64_length
from gateway.api.plain import unaccented

Shape = Literal["actual", "documented"]

NUMBERS: Mapping[type[errors.GatewayError], int | None] = {
    errors.IncompleteUpload: 21,
    errors.DigestMismatch: 21,
    errors.EmptyPackage: 10,
    errors.MalformedPackage: 22,
    errors.UnknownPackage: 22,
    errors.InvalidPackage: 22,
    errors.SenderNotAllowed: 19,
    errors.RecipientClosed: 23,
    errors.RoutingError: 18,
    # Nothing is wrong with the package: it is to be sent again.
    errors.RevocationUnknown: 20,
    errors.DocumentError: 10,
    errors.BodyTooLarge: 10,
    errors.LengthRequired: 10,
    errors.UnsupportedMedia: 10,
    # On 15 clients give up, but after a new login this call would do: a token has the number of HTTP alone.
    errors.SessionEnded: None,
    errors.NotAuthenticated: 15,
    errors.TooManyRequests: 20,
    errors.SigningBusy: 20,
    # Wrong words of the client: the protocol has no number for them.
    errors.RequestError: None,
    # Of the helper on a clerk's machine; a gateway never answers with it.
    errors.HelperError: None,
    errors.GatewayError: 20,
}
"""
By the nearest ancestor; ``None`` where the protocol has no number: the status of HTTP stands in its place.
``docs/integrate/lgsp.md`` says what each means; a test compares.
"""

_WORDS = {
    10: "File khong hop le",
    15: "Sai SystemId hoac SecretKey",
    18: "Don vi nhan khong ton tai",
    19: "Don vi gui khong dang ky",
    20: "Loi he thong tu phia LGSP",
    21: "Loi xu ly file",
    22: "Format edXML khong dung chuan",
    23: "Don vi nhan da khoa",
}
"""As the protocol's own list has them."""
_DONE = "Thanh cong"
_TYPE = "application/json; charset=utf-8"


def number_of(error: type[errors.GatewayError]) -> int | None:
    """The protocol's number for an error; ``None`` when it has none."""
    return next(NUMBERS[c] for c in error.__mro__ if c in NUMBERS)


def http_status_of(error: type[errors.GatewayError]) -> int:
    """
    The HTTP status that goes with an error.

    200 where the gateway has judged a document: clients read the number of a refusal then, and would try for ever
    on any other. All else is said to HTTP as well, so that nobody takes a refused question for an empty list.
    """
    judged = issubclass(error, errors.DocumentError) and not issubclass(error, errors.RevocationUnknown)
    return 200 if judged else problems.status_of(error)


def about_document(doc_id: str) -> dict[str, Any]:
    """``data`` of a call about one package."""
    return {"docId": doc_id, "status": "OK", "errorCode": "0", "errorDesc": _DONE}


def _envelope(shape: Shape, **members: Any) -> dict[str, Any]:
    """All of a successful answer but ``data``."""
    real = {"code": 200, "errorDetail": []} if shape == "actual" else {}
    return {**real, "success": True, "message": _DONE, **members}


def success(shape: Shape, data: object, **members: Any) -> Response:
    """
    The answer of a call that was carried out.

    :param data: what the call brings; about one package ``about_document``.
    :param members: what stands beside it: ``docId``, ``count``, ``token``.
    """
    return Response(_json({**_envelope(shape, **members), "data": data}), content_type=_TYPE)


def package(shape: Shape, facts: Mapping[str, Any], reader: BinaryIO, size: int) -> Response:
    """
    The answer that brings a package, encoded while it is sent.

    :param facts: members of ``data`` beside the package, which is its member ``data``.
    :param reader: the package from its first byte; closed with the answer.
    :param size: its length in bytes.
    """
    before = f'{_json(_envelope(shape))[:-1]},"data":{_json(facts)[:-1]},"data":"'.encode()
    after = b'"}}'

    def pieces() -> Iterator[bytes]:
        yield before
        yield from base64_chunks(reader)
        yield after

    answer = Response(pieces(), content_type=_TYPE)
    answer.call_on_close(reader.close)  # also when the client has gone, or asked for the head only
    answer.headers["Content-Length"] = str(len(before) + base64_length(size) + len(after))
    return answer


def failure(shape: Shape, error: errors.GatewayError, status: int | None = None) -> Response:
    """
    The answer of a call that was refused or failed; the gateway's own code stands in brackets.

    :param status: of HTTP, when the framework has decided it.
    """
    kind = type(error)
    http = status or http_status_of(kind)
    number = number_of(kind)
    hidden = problems.status_of(kind) == 500  # paths, SQL or key labels may be in its detail
    detail = error.en() if hidden else error.detail
    where = f" ({error.path})" if error.path and not hidden else ""
    words = error.vi if number is None else f"{_WORDS[number]}: {error.vi}"
    particular = f"{error.code}: {detail}{where}"
    summary = f"{unaccented(words)} [{error.code}]"
    if shape == "documented":  # it has no other place for what exactly is wrong
        summary += f" {unaccented(particular)}"
    data = {"docId": None, "status": "error", "errorCode": str(number or http), "errorDesc": summary}
    body: dict[str, Any] = {"success": False, "message": f"{error.vi} [{error.code}]", "data": data}
    if shape == "actual":
        body = {"code": number or http, **body, "errorDetail": [{"exception": particular}]}
    else:
        body["docId"] = None
    answer = Response(_json(body), http, content_type=_TYPE)
    if http in (429, 503, 507):
        answer.headers["Retry-After"] = "30"
    if request.method == "POST" and not g.get("body_read", False):
        # The rest of an unread body would be taken for the next request.
        answer.headers["Connection"] = "close"
    return answer


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# Handlers of a blueprint


def of_gateway(shape: Shape, error: errors.GatewayError) -> Response:
    """Answer one of our errors, once noted."""
    problems.note(error, http_status_of(type(error)))
    return failure(shape, error)


def of_framework(shape: Shape, error: HTTPException) -> Response:
    """Answer what the framework refused."""
    named = problems.named(error)
    problems.note(named, error.code or 500)
    return failure(shape, named, None if isinstance(named, errors.DocumentError) else error.code)


def of_anything(shape: Shape, error: Exception) -> Response:
    """Answer what nobody foresaw, and say nothing of it."""
    problems.note_unexpected(error)
    return failure(shape, errors.GatewayError())
