"""Fifty clients post the same bytes at the same moment, twenty times: one document each, one receipt for all."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
import urllib3

from gateway.ledger.records import Filter
from tests.support.databases import PostgresServer
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.torture import PROVINCE, SENDER, Press, a_key, agencies_of, quiet_port

pytestmark = pytest.mark.timeout(600)

CLIENTS = 50
DOCUMENTS = 20


@pytest.fixture(
    params=[
        pytest.param(1, id="one-process-on-sqlite"),
        pytest.param(2, id="two-processes-on-postgresql", marks=pytest.mark.postgres),
    ]
)
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningGateway]:
    """Served by so many processes; nothing is delivered."""
    key = a_key("Sở Gửi thử", at=datetime.now(UTC))
    server: PostgresServer | None = request.getfixturevalue("postgres") if request.param > 1 else None
    served = a_gateway(
        tmp_path,
        code=PROVINCE,
        agencies=agencies_of("http://127.0.0.1:9", "http://127.0.0.1:9", key),
        first_levels=["H37"],
        default_route="000.00.22.W00",
        ledger_url=server.empty_database() if server else None,
        web={"rate_limit": "1000000 per minute"},
        log={"level": "warning"},
    )
    served.port = quiet_port()
    try:
        yield served.start(worker="none", processes=request.param)
    finally:
        served.kill()


def test_fifty_identical_posts_at_once_are_one_document(gateway: RunningGateway) -> None:
    press = Press(a_key("Sở Gửi thử", at=datetime.now(UTC)), Random(7))
    # Unsigned, because a signed one is refused here and there before it comes to the ledger; one is large.
    items = [press.make(large=number == 7, signed=False) for number in range(DOCUMENTS)]
    headers = {"Authorization": f"Bearer {gateway.key(SENDER)}", "Content-Type": "application/xml"}
    pool = urllib3.PoolManager(maxsize=CLIENTS, retries=False)
    starting = threading.Barrier(CLIENTS)

    def post(raw: bytes) -> tuple[int, dict[str, Any]]:
        starting.wait(timeout=60)
        answer = pool.request("POST", f"{gateway.url}/api/v1/documents", body=raw, headers=headers, timeout=60)
        return answer.status, json.loads(answer.data)

    with ThreadPoolExecutor(CLIENTS) as clients:
        for item in items:
            answers = list(clients.map(post, [item.raw] * CLIENTS))
            assert Counter(status for status, _ in answers) == {202: 1, 200: CLIENTS - 1}
            receipts = {json.dumps(body | {"duplicate": None}, sort_keys=True) for _, body in answers}
            assert len(receipts) == 1
    pool.clear()
    ledger = gateway.ledger()
    try:
        rows = ledger.documents(Filter(), limit=200).rows
        assert Counter(row.sha256 for row in rows) == {item.sha256: 1 for item in items}
        assert {len(ledger.deliveries(row.id)) for row in rows} == {3}
    finally:
        ledger.engine.dispose()
