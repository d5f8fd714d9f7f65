"""Pages for everything that goes wrong, in words that help."""

from __future__ import annotations

import structlog
from flask import render_template
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from gateway.console.blueprint import pages
from gateway.errors import (
    EvidenceTooLarge,
    GatewayError,
    LedgerOutdated,
    LedgerUnavailable,
    NotFound,
    PayloadMissing,
    PayloadStoreUnavailable,
    RequestError,
    StorageFull,
)

_log = structlog.get_logger("gateway.console")

_UNAVAILABLE = (LedgerUnavailable, LedgerOutdated, PayloadStoreUnavailable, StorageFull)
_KNOWN = {400, 403, 404, 405, 413, 429}


def failure(status: int, key: str | None = None, *, code: str | None = None) -> ResponseReturnValue:
    """
    A page that says what is wrong and where to go on.

    :param key: of the texts ``error.<key>.title`` and ``error.<key>.body``; the status when absent.
    :param code: of the error, for whoever is asked for help.
    """
    page = render_template("console/error.html", status=status, key=key or str(status), code=code)
    return page, status


@pages.errorhandler(CSRFError)
def expired(error: CSRFError) -> ResponseReturnValue:
    """A form from an old session, or from elsewhere."""
    del error
    return failure(400, "csrf")


def http_failure(error: HTTPException) -> ResponseReturnValue:
    """Any failure that Flask itself names."""
    response = error.get_response()
    status = error.code or 500
    if status < 400:
        return response
    body, status = _page_of(status)
    # Started from the error's own response, which keeps Allow and Retry-After.
    response.set_data(body)
    response.content_type = "text/html; charset=utf-8"
    return response, status


def _page_of(status: int) -> tuple[str, int]:
    key = str(status) if status in _KNOWN else "500" if status >= 500 else "400"
    return render_template("console/error.html", status=status, key=key, code=None), status


def unforeseen(error: Exception) -> ResponseReturnValue:
    """A failure that nobody named: the log has it, the page says nothing of it."""
    _log.error("A console page failed.", action="console.failed", exc_info=error)
    return failure(500)


pages.register_error_handler(HTTPException, http_failure)
pages.register_error_handler(Exception, unforeseen)
for _status in (400, 401, 403, 404, 405, 413, 414, 415, 429, 500):
    # One by one: an application's handler for a status comes before a blueprint's for all of them.
    pages.register_error_handler(_status, http_failure)


@pages.errorhandler(GatewayError)
def gateway_failure(error: GatewayError) -> ResponseReturnValue:
    """A failure of the gateway that the page itself did not expect."""
    if isinstance(error, NotFound):
        return failure(404)
    if isinstance(error, RequestError):
        return failure(400, code=error.code)
    if isinstance(error, EvidenceTooLarge):
        return failure(413, "evidence", code=error.code)
    if isinstance(error, PayloadMissing):
        return failure(404, "payload", code=error.code)
    status = 503 if isinstance(error, _UNAVAILABLE) else 500
    _log.error("A console page could not be made.", action="console.failed", code=error.code, detail=error.detail)
    return failure(status, code=error.code)


@pages.route("/<path:unknown>")
def nowhere(unknown: str) -> ResponseReturnValue:
    """Every other address under ``/console/``."""
    del unknown
    return failure(404)
