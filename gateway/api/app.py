"""Put the API, its errors, its documentation and the machine endpoints into a Flask app."""

from __future__ import annotations

import re
import time
from collections import Counter as Tally
from collections.abc import Callable
from typing import Any

import structlog
from flask import Flask, Response, g, json, redirect, request
from flask_openapi3.models.info import Info
from flask_openapi3.models.security_scheme import SecurityScheme
from flask_openapi3.openapi import OpenAPI
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import ValidationError
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers.response import Response as AnyResponse

from gateway.api import problems
from gateway.api.services import Services
from gateway.api.v1 import signing
from gateway.api.v1.routes import invalid, v1
from gateway.errors import GatewayError
from gateway.exchange.expiry import counts as ending_counts
from gateway.exchange.expiry import endings
from gateway.exchange.revocation import source_state
from gateway.exchange.stamping import overdue
from gateway.ledger.records import FetchState, new_id
from gateway.model import ExaminationState

_log = structlog.get_logger()
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

PUBLIC_ENDPOINTS = frozenset({"healthz", "readyz", "metrics", "docs", "openapi_json"})
"""Endpoints of this module that need no credential; the test about authentication reads this list."""

_LARGE_BODIES = frozenset({"v1.post_document", "v1.prepare_signing", "lgsp.send_edoc", "vxp.send_edoc"})
_CALLS = (signing,)
"""Calls of ``v1`` that stand beside its routes; imported for them."""
_SMALL_BODY_BYTES = 64 * 1024
"""Words in JSON, a form of the console: of these nobody has more to say, and they are read into memory."""

SECURITY_SCHEMES: dict[str, SecurityScheme | dict[str, Any]] = {
    "key": {"type": "http", "scheme": "bearer", "description": "The key of an agency's system"}
}


def refused_input(error: ValidationError) -> Response:
    """What flask-openapi3 is told to answer when a query or body does not fit its model."""
    return problems.problem(invalid(error, "request"))


App = OpenAPI
"""The kind of application that serves; named here so that others need not know the library."""


def new_app(title: str, *, version: str, proxies: int = 0) -> OpenAPI:
    """
    An application without any call yet.

    :param proxies: how many reverse proxies stand in front; only their forwarded addresses are believed.
    """
    app = OpenAPI(
        "gateway",
        info=Info(title=title, version=version),
        security_schemes=SECURITY_SCHEMES,
        validation_error_status=400,
        validation_error_callback=refused_input,
    )
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=0)  # type: ignore[method-assign] # as Werkzeug documents it
    return app


def install(
    app: OpenAPI, services: Services, *, ready: Callable[[], dict[str, str]], registry: CollectorRegistry
) -> None:
    """
    Add everything that programs call.

    :param ready: names each part that is not ready with the code of what is wrong; empty when all are.
    :param registry: what ``/metrics`` shows; others count into it too.
    """
    app.extensions["gateway"] = services
    app.config["MAX_CONTENT_LENGTH"] = services.parts.rules.body_limit_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = 1024 * 1024
    app.config["MAX_FORM_PARTS"] = 600
    app.json.ensure_ascii = False  # type: ignore[attr-defined] # of Flask's default provider
    problems.install(app)
    _observe(app, registry)
    app.register_api(v1)
    _machine_endpoints(app, services, ready, registry)
    _documentation(app)


def _observe(app: Flask, registry: CollectorRegistry) -> None:
    """Request ids, one log line and one measurement per request; no bodies, no query strings."""
    served = Counter("gateway_requests_total", "Requests answered", ["method", "endpoint", "status"], registry=registry)
    seconds = Histogram("gateway_request_seconds", "Time to answer", ["endpoint"], registry=registry)

    @app.before_request
    def begin() -> None:
        asked = request.headers.get("X-Request-ID", "")
        g.request_id = asked if _REQUEST_ID.fullmatch(asked) else new_id()
        g.began = time.perf_counter()
        if request.endpoint not in _LARGE_BODIES:
            request.max_content_length = _SMALL_BODY_BYTES

    @app.after_request
    def end(response: Response) -> Response:
        took = time.perf_counter() - g.began if "began" in g else 0.0
        endpoint = request.endpoint or "none"
        response.headers.setdefault("X-Request-ID", g.get("request_id", ""))
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Cache-Control", "no-store")
        served.labels(request.method, endpoint, str(response.status_code)).inc()
        seconds.labels(endpoint).observe(took)
        if endpoint not in PUBLIC_ENDPOINTS:
            caller = g.get("caller")
            _log.info(
                "request",
                action="request.served",
                request_id=g.get("request_id"),
                method=request.method,
                endpoint=endpoint,
                status=response.status_code,
                milliseconds=round(took * 1000, 1),
                agency=caller.agency.code if caller else None,
            )
        return response


def _machine_endpoints(
    app: OpenAPI, services: Services, ready: Callable[[], dict[str, str]], registry: CollectorRegistry
) -> None:
    deliveries = Gauge("gateway_deliveries", "Deliveries by state", ["state"], registry=registry)
    parked = Gauge("gateway_parked_statuses", "Statuses whose document is not known", registry=registry)
    oldest = Gauge("gateway_oldest_waiting_seconds", "Age of the oldest waiting delivery", registry=registry)
    axes = Gauge("gateway_axes", "Axes that are asked for arrivals, by how they answer", ["state"], registry=registry)
    unsealed = Gauge("gateway_log_unsealed_events", "Events that the log's chain does not hold yet", registry=registry)
    waits = Gauge("gateway_timestamp_waiting_seconds", "How long a stamp of the log has been due", registry=registry)
    examinations = Gauge(
        "gateway_examinations", "Examinations to come, that hold, and refused", ["kind", "state"], registry=registry
    )
    sources = Gauge("gateway_revocation_sources", "CRLs and OCSP answers by state", ["state"], registry=registry)
    ending = Gauge(
        "gateway_certificates_ending", "Certificates without a successor, by the days left", ["days"], registry=registry
    )
    not_taken = Gauge("gateway_axis_packages", "What axes have and could not be taken", ["state"], registry=registry)

    @app.get("/healthz", doc_ui=False)
    def healthz() -> Response:
        """The process answers; nothing else is asked."""
        return Response('{"status":"ok"}', content_type="application/json")

    @app.get("/readyz", doc_ui=False)
    def readyz() -> Response:
        """Whether documents can be accepted now; 503 with the part that stands in the way."""
        missing = ready()
        body = json.dumps({"status": "not_ready" if missing else "ready", "missing": missing})
        return Response(body, 503 if missing else 200, content_type="application/json")

    @app.get("/metrics", doc_ui=False)
    def metrics() -> Response:
        """Prometheus text; labels are bounded: no documents, no agencies."""
        try:
            counts = services.parts.ledger.counts()
            waiting = services.parts.ledger.backlog()
            inboxes = services.parts.ledger.inboxes()
            troubles = services.parts.ledger.fetch_counts()
            log = services.parts.ledger.log.state()
            examined = services.parts.ledger.examination_counts()
            revocation = services.parts.ledger.revocation_sources()
            agencies = services.parts.directory().agencies()
        except GatewayError as error:
            return problems.problem(error)
        for state, number in counts.states.items():
            deliveries.labels(state.value).set(number)
        parked.set(counts.parked_statuses)
        answers = Tally("failing" if i.failures else "silent" if i.silent_since else "answering" for i in inboxes)
        for how in ("answering", "failing", "silent"):
            axes.labels(how).set(answers[how])
        for fetched in (FetchState.NOT_TAKEN, FetchState.GIVEN_UP):
            not_taken.labels(fetched.value).set(sum(n for (_, state), n in troubles.items() if state is fetched))
        examinations.clear()
        for one in examined:
            held = one.holds and one.state is ExaminationState.PENDING
            examinations.labels(one.kind.value, "held" if held else one.state.value).set(one.count)
        now = services.parts.clock()
        oldest.set(max(((now - b.oldest).total_seconds() for b in waiting), default=0.0))
        late = Tally(source_state(s, now, services.parts.anchors.clock_skew) for s in revocation)
        for how in ("good", "failing", "stale"):
            sources.labels(how).set(late[how])
        ends = endings((a for a in agencies if a.certificates), own=services.parts.key.certificate, now=now)
        for days, number in ending_counts(ends, now=now).items():
            ending.labels(str(days)).set(number)
        unsealed.set(log.newest_id - log.sealed_to)
        waits.set(overdue(log.waiting, now=now).total_seconds())
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _documentation(app: OpenAPI) -> None:
    @app.get("/openapi.json", doc_ui=False)
    def openapi_json() -> Response:
        """The OpenAPI document."""
        return Response(json.dumps(app.api_doc), content_type="application/json; charset=utf-8")

    @app.get("/docs", doc_ui=False)
    def docs() -> AnyResponse:
        """The same for people; the page and its scripts come from this server alone."""
        return redirect("/openapi/swagger")
