"""A receiver and a client for each test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from gateway.delivery.http import HttpClient, HttpSettings
from gateway.ledger import Ledger
from tests.support.databases import (  # noqa: F401 # fixtures
    _migrated_sqlite,
    database_url,
    engine,
    engine_name,
    ledger,
    postgres,
)
from tests.support.deliveries import SendingSite
from tests.support.peer import Receiver, a_receiver

QUICK = HttpSettings(connect_timeout=timedelta(seconds=2), read_timeout=timedelta(seconds=3), answer_limit_bytes=4096)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as running:
        yield running


@pytest.fixture
def http() -> Iterator[HttpClient]:
    client = HttpClient(QUICK)
    yield client
    client.close()


@pytest.fixture
def site(ledger: Ledger, http: HttpClient) -> SendingSite:  # noqa: F811 # asks for the fixture above
    return SendingSite(ledger, http)
