"""A console on a SQLite ledger, and somebody who has logged in to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway.ledger import Ledger
from gateway.ledger.records import OperatorRole
from tests.support.console import Clock, a_console, add_person, log_in


@pytest.fixture
def engine_name() -> str:
    """The ledger's own tests compare the engines; here one is enough."""
    return "sqlite"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(ledger: Ledger, clock: Clock) -> Flask:
    return a_console(ledger, clock)


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    """Somebody who has not logged in."""
    return app.test_client()


@pytest.fixture
def person(app: Flask, ledger: Ledger) -> Callable[..., FlaskClient]:
    """Make somebody and log them in."""

    def make(login: str, role: OperatorRole, **changes: str) -> FlaskClient:
        add_person(ledger, login, role, **changes)
        client = app.test_client()
        assert log_in(client, login).status_code == 302
        return client

    return make


@pytest.fixture
def operator(person: Callable[..., FlaskClient]) -> FlaskClient:
    return person("van.hanh", OperatorRole.OPERATOR)


@pytest.fixture
def viewer(person: Callable[..., FlaskClient]) -> FlaskClient:
    return person("xem", OperatorRole.VIEWER)
