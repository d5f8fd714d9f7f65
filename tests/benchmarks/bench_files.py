"""
What judging PDFs costs those whose documents are accepted meanwhile: time of an acceptance while signed PDFs are judged
÷ without, 95th percentile, and the time for all.

Two gateways as ``gateway serve`` runs them, web and worker in one process, are posted the same in turns by a process of
its own: letters, and every fourth a PDF with two signatures, another each time, some of which unpack to 64 MB. One
judges no files; the other does from the first post on, and is given the time to finish before the other's turn. The
bar is what two cores allow: without examinations client and server keep both busy, and the reader is a third. Were a
PDF judged in the server, or a lock held for it, a letter would wait for those before it: ten times as long and more.
"""

from __future__ import annotations

import functools
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from gateway.model import Channel, DocumentId, Endpoint, ExaminationKind, ExaminationState, Level
from gateway.signing.sign import sign_package
from tests.support import documents, pdfs, pki
from tests.support.agencies import an_agency
from tests.support.exchange import COMMUNE, registered
from tests.support.gateways import RunningGateway, a_gateway

Row = tuple[str, float, float]
"""Name, measured ratio, and the bar that must not be exceeded."""

BAR_P95 = 2.0
BAR_RATE = 2.0
POSTS = 160
CLIENTS = 4
ROUNDS = 3


def _letter(number: int, content: bytes) -> bytes:
    return sign_package(
        documents.a_package(
            document_id=DocumentId(f"{documents.SENDER},2026/03/05,{number}/FILES"),
            recipients=(documents.an_organization(COMMUNE),),
            contents={"main": content},
        ),
        pki.agency(),
    )


def _post(number: int) -> bytes:
    """A letter, or every fourth time a PDF to be judged."""
    content = documents.PDF
    if number % 4 == 0:
        content = _bomb() if number % 40 == 0 else pdfs.issued()
    # Another file each time: the verdict on one that came a moment ago is remembered.
    return _letter(number, content + b"%% %d\n" % number)


@functools.cache
def _bomb() -> bytes:
    return pdfs.unpacking_to(64 * 2**20)


def post_all(port: int, key: str, folder: Path) -> tuple[list[float], float]:
    """The seconds that each letter took, and those of everything together; run in a process of its own."""
    bodies = list(enumerate(p.read_bytes() for p in sorted(folder.glob("*.edxml"))))
    took: list[float] = []
    failures: list[int] = []

    def client(mine: Sequence[tuple[int, bytes]]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/xml"}
        for number, body in mine:
            began = time.perf_counter()
            connection.request("POST", "/api/v1/documents", body, headers)
            answer = connection.getresponse()
            answer.read()
            if number % 4:
                took.append(time.perf_counter() - began)
            if answer.status != 202:
                failures.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=client, args=(bodies[n::CLIENTS],)) for n in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(f"{len(failures)} posts were not accepted: {failures[:5]}")
    return took, time.perf_counter() - began


def _posted(folder: Path, gateway: RunningGateway, key: str, bodies: Sequence[bytes]) -> tuple[list[float], float]:
    folder.mkdir()
    for n, body in enumerate(bodies):
        (folder / f"{n:05}.edxml").write_bytes(body)
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench_files", str(gateway.port), key, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-500:]
    took, all_together = json.loads(done.stdout)
    return took, all_together


def _waiting(gateway: RunningGateway) -> int:
    ledger = gateway.ledger()
    try:
        counts = ledger.examination_counts()
    finally:
        ledger.engine.dispose()
    return sum(c.count for c in counts if c.kind is ExaminationKind.FILES and c.state is ExaminationState.PENDING)


def _gateway(folder: Path, *, inspect: bool) -> RunningGateway:
    mailbox = Endpoint(channel=Channel.MAILBOX)
    return a_gateway(
        folder,
        code="000.00.00.H37",
        first_levels=["H37"],
        agencies=[
            an_agency(documents.SENDER, endpoint=mailbox, certificates=(registered(pki.agency()),)),
            an_agency(COMMUNE, level=Level.COMMUNE, endpoint=mailbox),
        ],
        web={"rate_limit": "1000000 per minute"},
        files={"inspect": inspect},
    ).start(worker="thread")


def measure() -> tuple[float, float]:
    """Ratio of the 95th percentiles, and of the times for all; medians of the rounds."""
    slower, longer = [], []
    with tempfile.TemporaryDirectory(dir=Path.home()) as name, ExitStack() as stack:
        folder = Path(name)
        idle, busy = _gateway(folder / "idle", inspect=False), _gateway(folder / "busy", inspect=True)
        stack.callback(busy.kill)
        stack.callback(idle.kill)
        keys = {id(g): g.key(documents.SENDER) for g in (idle, busy)}
        for turn in range(ROUNDS):
            posts = [_post(turn * POSTS + n) for n in range(POSTS)]
            judging = _posted(folder / f"busy-{turn}", busy, keys[id(busy)], posts)
            assert _waiting(busy), "everything was judged before the round was over"
            _until_done(busy)
            without = _posted(folder / f"idle-{turn}", idle, keys[id(idle)], posts)
            slower.append(_p95(judging[0]) / _p95(without[0]))
            longer.append(judging[1] / without[1])
    return statistics.median(slower), statistics.median(longer)


def _p95(took: Sequence[float]) -> float:
    return statistics.quantiles(took, n=20)[-1]


def _until_done(gateway: RunningGateway) -> None:
    """The other gateway's round must not share the machine with the reader."""
    deadline = time.monotonic() + 300
    while _waiting(gateway):
        assert time.monotonic() < deadline, "the backlog is not judged"
        time.sleep(0.2)


_measured: list[tuple[float, float]] = []


def _once() -> tuple[float, float]:
    if not _measured:
        _measured.append(measure())
    return _measured[0]


def bench_acceptance_p95() -> Row:
    """How much longer a sender waits, at the 95th percentile, while PDFs of others are judged."""
    return "acceptance while PDFs are judged ÷ without, p95", _once()[0], BAR_P95


def bench_acceptance_time() -> Row:
    """How much longer all of them take."""
    return "acceptance while PDFs are judged ÷ without, time for all", _once()[1], BAR_RATE


BENCHES = (bench_acceptance_p95, bench_acceptance_time)

if __name__ == "__main__":
    print(json.dumps(post_all(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))))
