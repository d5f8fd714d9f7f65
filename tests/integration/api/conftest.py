"""A gateway on SQLite: what the API answers does not depend on the database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from gateway.ledger import Ledger, open_engine, prepare
from tests.support.exchange import Site, a_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The gateway of Lạng Sơn."""
    engine = open_engine(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    prepare(engine)
    with a_site(Ledger(engine), tmp_path) as joined:
        yield joined
    engine.dispose()


@pytest.fixture
def client(site: Site) -> FlaskClient:
    """Its REST API."""
    return site.client()
