"""
Errors as RFC 9457 problem documents; the only table of HTTP statuses.

``type`` and ``code`` are stable and never translated; ``title`` follows ``Accept-Language``,
``vi`` and ``en`` are always both there. A 500 says nothing of its cause to the caller.
"""

from __future__ import annotations

from typing import Any

import structlog
from flask import Flask, Response, g, json, request
from werkzeug.exceptions import BadRequest, ClientDisconnected, HTTPException, RequestEntityTooLarge, TooManyRequests

from gateway import errors

CONTENT_TYPE = "application/problem+json"

_STATUS: dict[type[errors.GatewayError], int] = {
    errors.MalformedPackage: 400,
    errors.ForbiddenMarkup: 400,
    errors.UnknownPackage: 400,
    errors.IncompleteUpload: 400,
    errors.DigestMismatch: 400,
    errors.PackageLimitExceeded: 413,
    errors.DocumentConflict: 409,
    errors.DocumentKeptBack: 409,
    errors.SignatureRejected: 403,
    errors.RevocationUnknown: 503,
    errors.SenderNotAllowed: 403,
    errors.DocumentError: 422,
    errors.NotAuthenticated: 401,
    errors.NotPermitted: 403,
    errors.NotFound: 404,
    errors.UnsupportedMedia: 415,
    errors.BodyTooLarge: 413,
    errors.LengthRequired: 411,
    errors.TooManyRequests: 429,
    errors.TooManyRegistrations: 429,
    errors.TooManySignings: 429,
    errors.SigningBusy: 503,
    errors.SigningCertificateUnusable: 422,
    errors.SigningMismatch: 422,
    errors.SigningExpired: 410,
    errors.StateConflict: 409,
    errors.ReasonRequired: 422,
    errors.RequestError: 400,
    errors.PageNotAllowed: 403,
    errors.PageNotPaired: 401,
    errors.NothingToSign: 422,
    errors.HelperBusy: 409,
    errors.NobodyAnswered: 408,
    errors.HelperKeyUnknown: 404,
    errors.HelperError: 403,
    errors.DeliveryError: 502,
    errors.TokenUnusable: 503,
    errors.StorageFull: 507,
    errors.LedgerUnavailable: 503,
    errors.LedgerOutdated: 503,
    errors.PayloadStoreUnavailable: 503,
}

_HTTP_CODES = {
    400: errors.RequestError,
    401: errors.NotAuthenticated,
    403: errors.NotPermitted,
    404: errors.NotFound,
    413: errors.BodyTooLarge,
    415: errors.UnsupportedMedia,
    429: errors.TooManyRequests,
}
"""What errors of the framework are called; others are a plain request error with their own status."""

_log = structlog.get_logger()


def status_of(error: type[errors.GatewayError]) -> int:
    """The HTTP status of the nearest listed ancestor; 500 if none is listed."""
    return next((_STATUS[c] for c in error.__mro__ if c in _STATUS), 500)


def prefers_vietnamese() -> bool:
    """Vietnamese unless the caller asks for English."""
    return request.accept_languages.best_match(["vi", "en"], default="vi") == "vi"


def problem_document(error: errors.GatewayError, status: int) -> dict[str, Any]:
    """
    The problem as a JSON object.

    :return: ``type``, ``title``, ``status``, ``code``, ``detail``, ``vi``, ``en``, ``request_id``; where they apply
        ``path``, ``errors`` (violations), ``recipients``, ``choices``, ``existing``, ``verdict``.
    """
    hidden = status == 500  # paths, SQL or key labels may be in its detail
    document: dict[str, Any] = {
        "type": f"urn:eoffice-gateway:error:{error.code}",
        "title": error.vi if prefers_vietnamese() else error.en(),
        "status": status,
        "code": error.code,
        "detail": "The gateway could not process this request." if hidden else error.detail,
        "vi": error.vi,
        "en": error.en(),
        "request_id": g.get("request_id"),
    }
    if error.path is not None and not hidden:
        document["path"] = error.path
    match error:
        case errors.InvalidPackage():
            document["errors"] = [
                {"code": v.code, "path": v.code.partition(".")[2], "severity": v.severity, "vi": v.vi, "en": v.en}
                for v in error.violations
            ]
        case errors.RoutingError():
            document["recipients"] = error.recipients
            document["choices"] = error.choices
        case errors.DocumentConflict():
            document["existing"] = error.existing
        case errors.SignatureRejected():
            document["verdict"] = {"standing": error.verdict.standing, "reason": error.verdict.reason}
        case errors.PackageLimitExceeded():
            document["limit"] = {"name": error.limit, "allowed": error.allowed}
        case _:
            pass
    return document


def problem(error: errors.GatewayError, status: int | None = None) -> Response:
    """The answer for one error."""
    code = status or status_of(type(error))
    body = json.dumps(problem_document(error, code))
    response = Response(body, code, content_type=CONTENT_TYPE)
    response.headers["Content-Language"] = "vi" if prefers_vietnamese() else "en"
    if code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="gateway"'
    if code in (429, 503, 507):
        response.headers.setdefault("Retry-After", "30")
    if request.method != "HEAD" and code in (400, 401, 403, 413) and not g.get("body_read", False):
        # The rest of an unread body would be taken for the next request.
        response.headers["Connection"] = "close"
    return response


def note(error: errors.GatewayError, status: int) -> None:
    """One line for a request that failed, whatever the protocol that it came over."""
    level = _log.error if status >= 500 else _log.info
    level(
        "request failed",
        action="request.failed",
        code=error.code,
        status=status,
        request_id=g.get("request_id"),
        detail=error.detail if status >= 500 else None,
        cause=type(error.__cause__).__name__ if error.__cause__ else None,
    )


def note_unexpected(error: Exception) -> None:
    """The line for a failure that nobody foresaw, with its whole story."""
    _log.error(
        "unexpected failure",
        action="request.unexpected",
        request_id=g.get("request_id"),
        cause=type(error).__name__,
        exc_info=error,
    )


def named(error: HTTPException) -> errors.GatewayError:
    """What the framework refused, by the gateway's own name."""
    if isinstance(error, ClientDisconnected):
        return errors.IncompleteUpload()
    if isinstance(error, RequestEntityTooLarge):
        return errors.BodyTooLarge()
    if (error.code or 500) == 500:
        return errors.GatewayError()
    return _HTTP_CODES.get(error.code or 500, errors.RequestError)(_detail(error))


def _of_gateway(error: errors.GatewayError) -> Response:
    note(error, status_of(type(error)))
    return problem(error)


def _of_framework(error: HTTPException) -> Response:
    """Keep what the framework says in its headers (Allow, Retry-After), change the body to a problem."""
    status = error.code or 500
    if isinstance(error, ClientDisconnected | RequestEntityTooLarge) or status == 500:
        return problem(named(error))
    answer = problem(named(error), status)
    original = dict(error.get_headers(request.environ))
    for name in ("Allow", "Retry-After", "WWW-Authenticate"):
        if name in original:
            answer.headers[name] = original[name]
    if isinstance(error, TooManyRequests):
        answer.headers.setdefault("Retry-After", "30")
    return answer


def _detail(error: HTTPException) -> str | None:
    """What the framework says, where that helps the caller; its words on 400 and 404 are about browsers."""
    if type(error) is BadRequest and request.is_json:
        return "The body is not JSON in UTF-8."
    if error.description == type(error).description and error.code in (400, 404):
        return None
    return error.description


def _of_anything(error: Exception) -> Response:
    note_unexpected(error)
    return problem(errors.GatewayError(), 500)


def install(app: Flask) -> None:
    """Answer every failure of this app as a problem document."""
    app.register_error_handler(errors.GatewayError, _of_gateway)
    app.register_error_handler(HTTPException, _of_framework)
    app.register_error_handler(Exception, _of_anything)
