"""
The helper's few calls, and who may make them.

Every request is made on this machine: so says the socket. It must also name this machine (a page that has its own name
resolved to 127.0.0.1 sends that name: DNS rebinding), come from a page that the helper was told of, and, beyond
pairing, carry the token of that very page.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, json, request
from werkzeug.exceptions import HTTPException

from gateway.errors import GatewayError, KeyUnusable, PageNotAllowed, PageNotPaired, RequestError
from gateway.signer.helper import Helper, State
from gateway.signer.pairing import CODE_DIGITS, Pairings
from gateway.signer.preflight import CertificateState, Finding

_log = structlog.get_logger()

_BODY_BYTES = 128 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PREFLIGHT_SECONDS = 600
_OPEN = frozenset({"hello", "begin_pairing", "finish_pairing"})
"""Calls of pages that are allowed and not paired yet; the test about them reads this list."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def origin_of(text: str) -> str:
    """
    One origin as browsers send it: scheme, host, and the port where it is not the scheme's own.

    :raises PageNotAllowed: it is something else, such as ``*`` or an address with a path.
    """
    split = urlsplit(text.strip().lower())
    try:
        port = split.port
    except ValueError as e:
        raise PageNotAllowed(f"{text} is not an origin: its port is no number.") from e
    if split.scheme not in ("https", "http") or not split.hostname or split.path not in ("", "/"):
        raise PageNotAllowed(f"{text} is not an origin such as https://eoffice.example.vn.")
    if split.query or split.fragment or split.username is not None or "*" in split.hostname:
        raise PageNotAllowed(f"{text} is not an origin such as https://eoffice.example.vn.")
    host = f"[{split.hostname}]" if ":" in split.hostname else split.hostname
    default = {"https": 443, "http": 80}[split.scheme]
    return f"{split.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")


def is_open_to_change(origin: str) -> bool:
    """Whether whoever sits on the network could change the page: plain HTTP from another machine."""
    split = urlsplit(origin)
    return split.scheme == "http" and split.hostname not in _LOOPBACK


class Door:
    """Who may ask."""

    def __init__(self, *, origins: Collection[str], port: Callable[[], int], pairings: Pairings) -> None:
        """
        Name the pages.

        :param origins: as ``origin_of`` writes them; nothing else is compared.
        :param port: that is listened on.
        """
        self.origins = frozenset(origins)
        self.pairings = pairings
        self._port = port

    def is_this_machine(self, host: str) -> bool:
        """Whether a Host header names this machine and port, and nothing else that leads here."""
        return host.lower() in {f"{name}:{self._port()}" for name in ("127.0.0.1", "localhost", "[::1]")}

    def page(self) -> str:
        """
        The origin of the request.

        :raises PageNotAllowed: it has none, or another.
        """
        origin = request.headers.get("Origin")
        if origin is None or origin not in self.origins:
            raise PageNotAllowed
        return origin

    def admit(self) -> str:
        """
        The paired page of the request.

        :raises PageNotAllowed, PageNotPaired: it is none.
        """
        origin = self.page()
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise PageNotPaired
        self.pairings.check(origin, token.strip())
        return origin


def make_app(helper: Helper, door: Door, *, version: str, status_of: Callable[[type[GatewayError]], int]) -> Flask:
    """
    The helper as a web application.

    :param status_of: the gateway's own table of HTTP statuses.
    """
    app = Flask("gateway-signer", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _BODY_BYTES
    app.json.ensure_ascii = False  # type: ignore[attr-defined] # of Flask's default provider
    _guard(app, door, status_of)
    _calls(app, helper, door, version)
    return app


def _guard(app: Flask, door: Door, status_of: Callable[[type[GatewayError]], int]) -> None:
    @app.before_request
    def who() -> Response | None:
        if not door.is_this_machine(request.headers.get("Host", "")):
            raise PageNotAllowed("The request does not name this machine.")
        door.page()
        if request.method == "OPTIONS":
            return Response(status=204)
        if request.endpoint not in _OPEN:
            door.admit()
        if request.method == "POST" and request.mimetype != "application/json":
            # Anything else a page could send without asking first (CORS "simple requests").
            raise RequestError("Send application/json.")
        return None

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Vary"] = "Origin"
        origin = request.headers.get("Origin")
        if origin in door.origins and door.is_this_machine(request.headers.get("Host", "")):
            response.headers["Access-Control-Allow-Origin"] = origin or ""
            if request.method == "OPTIONS":
                _preflight(response)
        return response

    @app.errorhandler(GatewayError)
    def refused(error: GatewayError) -> Response:
        # A key that cannot be used is nothing out of order here: tokens come and go, and PINs are mistyped.
        status = 409 if isinstance(error, KeyUnusable) else status_of(type(error))
        _log.info("refused", action="signer.refused", code=error.code, endpoint=request.endpoint)
        return _answer(_problem(error), status)

    @app.errorhandler(HTTPException)
    def not_understood(error: HTTPException) -> Response:
        return _answer(_problem(RequestError()), error.code or 500)

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> Response:
        # Only its kind: what it says may hold what was typed.
        _log.error("unexpected failure", action="signer.unexpected", cause=type(error).__name__)
        return _answer(_problem(GatewayError()), 500)


def _preflight(response: Response) -> None:
    """What the page may send; a page on the Internet must be let into this machine by name (Private Network Access)."""
    response.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
    response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
    response.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_SECONDS)
    if request.headers.get("Access-Control-Request-Private-Network") == "true":
        response.headers["Access-Control-Allow-Private-Network"] = "true"


def _calls(app: Flask, helper: Helper, door: Door, version: str) -> None:
    @app.get("/v1/hello")
    def hello() -> Response:
        """The helper is there; says nothing of its keys."""
        return _answer({"program": "gateway signer", "version": version, "code_digits": CODE_DIGITS})

    @app.post("/v1/pairing")
    def begin_pairing() -> Response:
        """Show a code to the person."""
        origin = door.page()
        helper.show_code(origin, door.pairings.begin(origin))
        return _answer({"shown": True}, 202)

    @app.post("/v1/pairing/code")
    def finish_pairing() -> Response:
        """Exchange the code that the person has typed for the page's token."""
        return _answer({"token": door.pairings.finish(door.page(), _text(_body(), "code", 32))})

    @app.delete("/v1/pairing")
    def end_pairing() -> Response:
        """Forget the page."""
        door.pairings.forget(door.page())
        return Response(status=204)

    @app.get("/v1/state")
    def state() -> Response:
        """The preflight."""
        return _answer(_state(helper.state()))

    @app.post("/v1/sign")
    def sign() -> Response:
        """One signature, if the person agrees."""
        body = _body()
        certificate = _text(body, "certificate_sha256", 64)
        if _SHA256.fullmatch(certificate) is None:
            raise RequestError("SHA-256 in lower-case hex is needed.", path="certificate_sha256")
        try:
            data = b64decode(_text(body, "to_be_signed", _BODY_BYTES), validate=True)
        except ValueError as e:
            raise RequestError("Base64 is needed.", path="to_be_signed") from e
        signed = helper.sign(
            origin=door.page(),
            certificate_sha256=certificate,
            to_be_signed=data,
            description=_text(body, "description", 1000),
        )
        return _answer(
            {
                "signature": b64encode(signed.signature).decode("ascii"),
                "signature_algorithm": signed.algorithm,
                "certificate_sha256": signed.certificate_sha256,
            }
        )


def _body() -> dict[str, Any]:
    try:
        body = request.get_json()
    except RecursionError as e:
        raise RequestError("The body is nested too deeply.") from e
    if not isinstance(body, dict):
        raise RequestError("A JSON object is needed.")
    return body


def _text(body: dict[str, Any], name: str, longest: int) -> str:
    value = body.get(name)
    if not isinstance(value, str) or len(value) > longest:
        raise RequestError(f"A text of at most {longest} characters is needed.", path=name)
    return value


def _answer(body: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json; charset=utf-8")


def _problem(error: GatewayError) -> dict[str, Any]:
    return {"code": error.code, "vi": error.vi, "en": error.en(), "detail": error.detail, "path": error.path}


def _state(state: State) -> dict[str, Any]:
    return {
        "now": state.now.isoformat(),
        "ready": state.is_ready,
        "key": state.key,
        "trouble": _problem(state.trouble) if state.trouble else None,
        "asked_gateway": state.asked_gateway,
        "findings": [_finding(f) for f in state.findings],
        "certificates": [_certificate(c) for c in state.certificates],
    }


def _certificate(one: CertificateState) -> dict[str, Any]:
    return {
        "sha256": one.sha256,
        "subject": one.subject,
        "holder": one.holder,
        "issuer": one.issuer,
        "serial": one.serial,
        "not_before": one.not_before.isoformat(),
        "not_after": one.not_after.isoformat(),
        "pem": one.pem,
        "can_sign": one.can_sign,
        "findings": [_finding(f) for f in one.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {"code": finding.code, "level": finding.level, "vi": finding.words.vi, "en": finding.words.en}
