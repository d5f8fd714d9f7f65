"""What holds for every route of the whole application, as it is served."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from gateway.api.app import PUBLIC_ENDPOINTS, App
from gateway.bootstrap import join, make_app, prepare_database
from gateway.cli.founding import make_keys, settings_toml
from gateway.console.blueprint import PUBLIC as CONSOLE_PUBLIC
from gateway.settings import load_settings

DOCUMENTATION = frozenset(
    {
        "openapi.openapi",
        "openapi.doc_url",
        "openapi.static",
        "swagger.swagger",
        "swagger.static",
        "swagger.oauth2-redirect",
    }
)
"""Pages of the OpenAPI library: the contract is public."""

PUBLIC = PUBLIC_ENDPOINTS | CONSOLE_PUBLIC | DOCUMENTATION | {"home", "static"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The application of a new gateway, joined by bootstrap."""
    folder = tmp_path_factory.mktemp("gateway")
    config = folder / "config" / "gateway.toml"
    config.parent.mkdir()
    config.write_text(
        settings_toml({"gateway": {"code": "000.00.00.H37", "name": "Thử", "first_levels": ["H37"]}}),
        encoding="utf-8",
    )
    settings = load_settings(config)
    now = datetime.now(UTC)
    make_keys(settings, at=now)
    prepare_database(settings, now=now)
    gateway = join(settings)
    yield make_app(gateway)
    gateway.ledger.engine.dispose()


def test_every_route_demands_authentication_or_is_listed_as_public(app: App) -> None:
    client = app.test_client()
    open_routes = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint in PUBLIC:
            continue
        url = re.sub(r"<[^>]+>", "x", rule.rule)
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            response = client.open(url, method=method)
            asked_to_log_in = response.status_code == 302 and "/console/login" in response.headers["Location"]
            if response.status_code not in (400, 401, 403) and not asked_to_log_in:
                open_routes.append((method, rule.rule, response.status_code))
    assert open_routes == []


def test_every_public_endpoint_exists(app: App) -> None:
    known = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert known >= PUBLIC - {"static", "openapi.static"}


def test_a_person_who_types_the_bare_address_comes_to_the_console(app: App) -> None:
    response = app.test_client().get("/")
    assert (response.status_code, response.headers["Location"]) == (302, "/console/")


def test_a_new_gateway_is_ready(app: App) -> None:
    assert app.test_client().get("/readyz").get_json() == {"status": "ready", "missing": {}}


def test_no_server_header_and_no_debugger(app: App) -> None:
    assert not app.debug
    assert not app.testing
