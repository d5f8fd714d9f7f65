"""
``kill -9`` at every named step, on both databases: nothing accepted is lost, nothing is delivered twice in effect.

The long form (``make torture``) makes more than 200 kills; the short one is part of every test run.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from gateway.faults import POINTS
from tests.support.databases import PARAMS, PostgresServer
from tests.support.torture import Kill, Rack, a_rack, judge

ACCEPTING = tuple(p for p in POINTS if not p.startswith("deliver."))
"""Steps of the web process."""
DELIVERING = tuple(p for p in POINTS if p.startswith("deliver."))
"""Steps of the worker."""


def together(times: int, seed: int) -> list[Kill]:
    """Every step so many times, web and worker in one process, in any order."""
    kills = [Kill(point) for point in POINTS] * times
    random.Random(seed).shuffle(kills)
    return kills


WEB_KILLS = [Kill(point, "web") for point in ACCEPTING] * 2
WORKER_KILLS = [Kill(point, "worker") for point in DELIVERING] * 4
RANDOM_KILLS = 16
LONG = together(4, seed=4)
SHORT = {
    "sqlite": ["accept.after_payload", "deliver.after_settle", "mailbox.after_acknowledge"],
    "postgresql": ["accept.after_commit", "deliver.after_send", "mailbox.after_acknowledge"],
}
"""One death in each of accept, deliver and acknowledge: starting a gateway is what costs."""
PLANNED = len(PARAMS) * (len(LONG) + len(WEB_KILLS) + len(WORKER_KILLS) + RANDOM_KILLS)


@pytest.fixture(params=PARAMS)
def engine(request: pytest.FixtureRequest) -> str:
    """Each database."""
    return str(request.param)


@pytest.fixture
def ledger_url(engine: str, request: pytest.FixtureRequest) -> str | None:
    """``None``: SQLite in the gateway's own folder."""
    if engine == "sqlite":
        return None
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.empty_database()


def recover(rack: Rack) -> None:
    """Start once more, without a fault; finish the traffic; judge."""
    rack.gateway.start()
    rack.drain()
    judge(rack)


def test_the_plan_has_more_than_200_kills_and_every_step_on_each_database() -> None:
    per_step = Counter(kill.point for kill in [*LONG, *WEB_KILLS, *WORKER_KILLS])
    assert set(per_step) == set(POINTS)
    assert min(per_step.values()) >= 6
    assert len(PARAMS) < 2 or PLANNED >= 200


@pytest.mark.torture
@pytest.mark.timeout(900)
def test_nothing_is_lost_or_doubled_when_web_and_worker_are_one_process(
    engine: str, ledger_url: str | None, tmp_path: Path
) -> None:
    with a_rack(tmp_path, engine, ledger_url, seed=1) as rack:
        for kill in LONG:
            rack.die(kill)
        recover(rack)


@pytest.mark.torture
@pytest.mark.timeout(900)
def test_nothing_is_lost_or_doubled_when_the_web_process_dies_beside_a_worker(
    engine: str, ledger_url: str | None, tmp_path: Path
) -> None:
    with a_rack(tmp_path, engine, ledger_url, seed=2) as rack:
        rack.gateway.start_worker()
        for kill in WEB_KILLS:
            rack.die(kill)
        rack.gateway.start(worker="none")
        rack.drain()
        judge(rack)


@pytest.mark.torture
@pytest.mark.timeout(900)
def test_nothing_is_lost_or_doubled_when_the_worker_dies_beside_the_web_process(
    engine: str, ledger_url: str | None, tmp_path: Path
) -> None:
    with a_rack(tmp_path, engine, ledger_url, seed=3) as rack:
        rack.gateway.start(worker="none")
        for kill in WORKER_KILLS:
            rack.die(kill)
        rack.gateway.start_worker()
        rack.drain()
        judge(rack)


@pytest.mark.torture
@pytest.mark.timeout(900)
def test_nothing_is_lost_or_doubled_when_it_dies_at_any_moment(
    engine: str, ledger_url: str | None, tmp_path: Path
) -> None:
    with a_rack(tmp_path, engine, ledger_url, seed=5) as rack:
        for _ in range(RANDOM_KILLS):
            rack.die(Kill(None))
        recover(rack)


@pytest.mark.timeout(600)
def test_a_gateway_killed_in_accept_deliver_and_acknowledge_loses_and_doubles_nothing(
    engine: str, ledger_url: str | None, tmp_path: Path
) -> None:
    with a_rack(tmp_path, engine, ledger_url, seed=6) as rack:
        for step in SHORT[engine]:
            rack.die(Kill(step))
        recover(rack)
