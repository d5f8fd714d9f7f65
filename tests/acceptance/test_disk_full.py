"""
No room left: nothing is answered 202 that is not durable, and with room again it goes on by itself.

On a small tmpfs where it may be mounted, and with a bound on the size of files (``RLIMIT_FSIZE``) anywhere.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
import urllib3

from gateway.ledger.records import Filter
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.torture import PROVINCE, SENDER, Item, Press, a_key, agencies_of, quiet_port

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="the means are Linux's"),
]

_MEGABYTES = 100
"""Of the tmpfs: more than a gateway must have free to say that it is ready."""


@contextmanager
def a_small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, or a loud skip where none may be mounted."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all the room that there is."""
    ballast = folder / "ballast"
    descriptor = os.open(ballast, os.O_CREAT | os.O_WRONLY)
    size = 1024 * 1024
    while size:
        try:
            os.write(descriptor, bytes(size))
        except OSError:
            size //= 2
    os.close(descriptor)
    return ballast


@contextmanager
def no_room(gateway: RunningGateway, how: str) -> Iterator[None]:
    """While the block lasts, the process cannot make its files grow."""
    data = gateway.settings.data
    if how == "tmpfs":
        ballast = fill(data)
        yield
        ballast.unlink()
        return
    assert gateway.process is not None
    pid = gateway.process.pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, ((data / "ledger.sqlite3-wal").stat().st_size + 20_000, hard))
    yield
    if gateway.process is not None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


@pytest.fixture(params=["tmpfs", "limit"])
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gateway(how: str, tmp_path: Path) -> Iterator[RunningGateway]:
    """On SQLite, delivering to nobody."""
    key = a_key("Sở Gửi thử", at=datetime.now(UTC))

    @contextmanager
    def served() -> Iterator[RunningGateway]:
        made = a_gateway(
            tmp_path,
            code=PROVINCE,
            agencies=agencies_of("http://127.0.0.1:9", "http://127.0.0.1:9", key),
            first_levels=["H37"],
            default_route="000.00.22.W00",
            web={"rate_limit": "1000000 per minute"},
            log={"level": "warning"},
        )
        made.port = quiet_port()
        try:
            yield made.start(worker="none")
        finally:
            made.kill()

    if how == "limit":
        with served() as running:
            yield running
        return
    with a_small_disk(tmp_path / "var"), served() as running:
        yield running


def post(gateway: RunningGateway, item: Item) -> int:
    headers = {"Authorization": f"Bearer {gateway.key(SENDER)}", "Content-Type": "application/xml"}
    with urllib3.PoolManager(retries=False) as pool:
        answer = pool.request("POST", f"{gateway.url}/api/v1/documents", body=item.raw, headers=headers, timeout=60)
    return int(answer.status)


def accepted(gateway: RunningGateway) -> set[str]:
    ledger = gateway.ledger()
    try:
        return {row.sha256 for row in ledger.documents(Filter(), limit=200).rows}
    finally:
        ledger.engine.dispose()


@pytest.mark.parametrize("dies", [False, True], ids=["lives", "killed-while-full"])
def test_a_full_disk_gives_no_false_202_and_goes_on_afterwards(gateway: RunningGateway, how: str, dies: bool) -> None:
    press = Press(a_key("Sở Gửi thử", at=datetime.now(UTC)), Random(11))
    items = [press.make(large=number % 4 == 3, signed=False) for number in range(40)]
    before, during = items[:3], items[3:]
    assert [post(gateway, item) for item in before] == [202] * len(before)
    with no_room(gateway, how):
        answers = {item.sha256: post(gateway, item) for item in during}
        if dies:
            gateway.kill()
    assert set(answers.values()) <= {202, 503, 507}
    assert list(answers.values()).count(202) < len(during), "there was room all the time"
    if dies:
        gateway.start(worker="none")
    promised = {item.sha256 for item in before} | {sha256 for sha256, status in answers.items() if status == 202}
    assert accepted(gateway) == promised
    again = [post(gateway, item) for item in during]
    assert again == [200 if answers[item.sha256] == 202 else 202 for item in during]
    gateway.kill()
    gateway.start(worker="none")
    assert accepted(gateway) == {item.sha256 for item in items}
    spool = gateway.settings.data / "spool"
    assert [p for p in spool.rglob("*") if p.is_file() and p.suffix != ".lock"] == []
