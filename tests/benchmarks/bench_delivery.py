"""
What one delivery costs in CPU, as a multiple of one RSA-2048 signature and one plain POST.

Both sides post the same 20 KB to the same receiver, which runs in a process of its own. A delivery
is claimed, sent and settled by the real worker on a real SQLite ledger; floor and worker take turns,
and the median of the rounds' ratios counts.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import logging
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gateway.delivery.http import HttpClient, HttpSettings
from gateway.delivery.worker import Pace
from gateway.ledger import Ledger, open_engine, prepare
from gateway.model import DeliveryState
from tests.support.deliveries import SendingSite

Row = tuple[str, float, float]
"""Name, measured ratio, and the bar that it must not exceed."""

BAR = 2.0
BODY_BYTES = 20 * 1024
DELIVERIES = 300
ROUNDS = 5


def cpu_of(work: Callable[[], None]) -> float:
    """Seconds of CPU that this process, all threads together, spends on it."""
    before = time.process_time()
    work()
    return time.process_time() - before


@contextlib.contextmanager
def receiver_process() -> Iterator[int]:
    """A receiver in another process; its port."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.peer"], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def body(number: int) -> bytes:
    """20 KB, different each time."""
    return f"<edXML>{number:020}".encode().ljust(BODY_BYTES - 8, b"x") + b"</edXML>"


def floor(port: int, key: rsa.RSAPrivateKey) -> None:
    """One signature and one POST for each delivery."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for number in range(DELIVERIES):
        content = body(number)
        key.sign(content, padding.PKCS1v15(), hashes.SHA256())
        connection.request("POST", "/hook", content, {"Content-Type": "application/xml"})
        connection.getresponse().read()
    connection.close()


def deliver(site: SendingSite, deliveries: list[str]) -> None:
    """Let the worker run until all is settled; it is told to stop as soon as the last one is."""
    left, done, stop = itertools.count(len(deliveries) - 1, -1), threading.Event(), threading.Event()

    class Counting:
        def attempted(self, **_: object) -> None:
            if next(left) == 0:
                done.set()

        def circuit_opened(self, via: object) -> None:
            raise AssertionError(via)

    worker = site.worker(meter=Counting(), pace=Pace())
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    assert done.wait(60)
    stop.set()
    worker.wake()
    thread.join()


def measure(channel: str) -> float:
    """The ratio for one channel."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    ratios = []
    with tempfile.TemporaryDirectory() as folder, receiver_process() as port, logs_as_in_production(Path(folder)):
        engine = open_engine(f"sqlite:///{Path(folder) / 'ledger.sqlite3'}")
        prepare(engine)
        client = HttpClient(HttpSettings())
        site = SendingSite(Ledger(engine), client)
        url = f"http://127.0.0.1:{port}"
        if channel == "push":
            site.push_to("000.00.15.H37", url)
        else:
            site.peer_at("000.00.15.H37", url)
        for round_ in range(ROUNDS):
            documents = [
                site.accept("000.00.15.H37", body=body((round_ + 1) * DELIVERIES + n)) for n in range(DELIVERIES)
            ]
            base = cpu_of(lambda: floor(port, key))
            ours = cpu_of(lambda: deliver(site, documents))  # noqa: B023 # called at once
            ratios.append(ours / base)
            states = {site.delivery(document).state for document in documents}
            assert states <= {DeliveryState.DELIVERED, DeliveryState.FORWARDED}, states
        client.close()
        engine.dispose()
    return statistics.median(ratios)


@contextlib.contextmanager
def logs_as_in_production(folder: Path) -> Iterator[None]:
    """One JSON line per try, written to a file."""
    before = structlog.get_config()
    with (folder / "log").open("w", encoding="utf-8") as log:
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=structlog.WriteLoggerFactory(log),
            cache_logger_on_first_use=False,
        )
        try:
            yield
        finally:
            structlog.configure(**before)


def bench_push() -> Row:
    """Claim, send and settle one push."""
    return "delivery CPU, push ÷ (RSA-2048 sign + http.client POST)", measure("push"), BAR


def bench_peer() -> Row:
    """Claim, send and settle one post to a peer."""
    return "delivery CPU, peer ÷ (RSA-2048 sign + http.client POST)", measure("peer"), BAR


BENCHES = (bench_push, bench_peer)

if __name__ == "__main__":
    for bench in BENCHES:
        name, ratio, bar = bench()
        print(f"{name}: {ratio:.2f} (bar {bar}) {'ok' if ratio <= bar else 'MISSED'}")
