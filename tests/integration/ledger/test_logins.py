"""Which token each system was given last."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from gateway.ledger import Ledger
from gateway.ledger.records import System
from gateway.model import AgencyCode

NOW = datetime(2026, 3, 5, 2, tzinfo=UTC)


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    """With the systems A and B."""
    made = Ledger(engine)
    for name in ("A", "B"):
        system = System(id=name, name=name, agencies=(AgencyCode("H37.21"),), gateway=False, created_at=NOW)
        made.add_system(system, "sealed", actor=None)
    return made


def test_before_any_login_there_is_no_token(ledger: Ledger) -> None:
    assert ledger.last_token("A") is None


def test_a_newer_token_takes_the_place_of_the_older_one_of_its_system(ledger: Ledger) -> None:
    for system, token in (("A", "1"), ("B", "2"), ("A", "3")):
        ledger.note_token(system, token, now=NOW)
    assert (ledger.last_token("A"), ledger.last_token("B")) == ("3", "2")


def test_of_logins_at_once_one_is_the_last(ledger: Ledger) -> None:
    tokens = [str(n) for n in range(16)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda token: ledger.note_token("A", token, now=NOW), tokens))
    assert ledger.last_token("A") in tokens
