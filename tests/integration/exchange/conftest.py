"""A gateway on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.ledger import Ledger
from tests.support.exchange import Site, a_site


@pytest.fixture
def site(ledger: Ledger, tmp_path: Path) -> Iterator[Site]:
    """The gateway of Lạng Sơn."""
    with a_site(ledger, tmp_path) as joined:
        yield joined
