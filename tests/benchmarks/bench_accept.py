"""
What the way through the server costs: served accepts per second ÷ the least that any gateway would do.

The floor verifies one signature (exclusive C14N, SHA-256, RSA-2048) and commits one row with the
package as a blob, in this process. Served is one ``gateway serve`` (one web process, no worker), posted
to over keep-alive connections by a client process. Both write to the same disk with full durability.
"""

from __future__ import annotations

import hashlib
import http.client
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pysqlite3.dbapi2 as sqlite
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from gateway.edxml.parser import hardened_parser
from gateway.model import AgencyCode, Channel, DocumentId, Endpoint, Level
from gateway.signing.sign import sign_package
from tests.support import documents, pki
from tests.support.agencies import an_agency
from tests.support.exchange import registered
from tests.support.gateways import a_gateway

Row = tuple[str, float, float]
"""Name, measured ratio, and the bar that must be reached."""

AT_LEAST = True
BAR = 0.2
BODY_BYTES = 20 * 1024
FLOORS = 600
POSTS = 600
CLIENTS = 4
ROUNDS = 3
COMMUNE = AgencyCode("H37.21")


def packages(count: int, start: int) -> list[bytes]:
    """Signed letters of about 20 KB, each another document."""
    content = {"main": documents.PDF + b"%" * (BODY_BYTES * 3 // 4 - 6_500)}
    return [
        sign_package(
            documents.a_package(
                document_id=DocumentId(f"{documents.SENDER},2026/03/05,{n}/BENCH"),
                recipients=(documents.an_organization(COMMUNE),),
                contents=content,
            ),
            pki.agency(),
        )
        for n in range(start, start + count)
    ]


def floor_rate(folder: Path, raw: bytes, number: int) -> float:
    """Verify and commit, per second."""
    connection = sqlite.connect(str(folder / f"floor-{number}.sqlite3"), isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")
    key = pki.agency().private
    assert isinstance(key, rsa.RSAPrivateKey)
    signed = b"x" * 500
    value = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    public = key.public_key()
    tree = etree.fromstring(raw, hardened_parser())
    began = time.perf_counter()
    for _ in range(FLOORS):
        hashlib.sha256(etree.tostring(tree, method="c14n", exclusive=True)).digest()
        public.verify(value, signed, padding.PKCS1v15(), hashes.SHA256())
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t (body) VALUES (?)", (raw,))
        connection.execute("COMMIT")
    took = time.perf_counter() - began
    connection.close()
    return FLOORS / took


def post_all(port: int, key: str, folder: Path) -> float:
    """Posts per second over several keep-alive connections; run in a process of its own."""
    bodies = [p.read_bytes() for p in sorted(folder.glob("*.edxml"))]
    failures: list[int] = []

    def client(mine: list[bytes]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/xml"}
        for body in mine:
            connection.request("POST", "/api/v1/documents", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 202:
                failures.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=client, args=(bodies[n::CLIENTS],)) for n in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    if failures:
        raise SystemExit(f"{len(failures)} posts were not accepted: {failures[:5]}")
    return len(bodies) / took


def bench_served_accept() -> Row:
    """Served ÷ floor, the best of some rounds, floor and server in turns."""
    with tempfile.TemporaryDirectory(dir=Path.home()) as name:
        folder = Path(name)
        mailbox = Endpoint(channel=Channel.MAILBOX)
        gateway = a_gateway(
            folder / "gateway",
            code="000.00.00.H37",
            first_levels=["H37"],
            agencies=[
                an_agency(documents.SENDER, endpoint=mailbox, certificates=(registered(pki.agency()),)),
                an_agency(COMMUNE, level=Level.COMMUNE, endpoint=mailbox),
            ],
            web={"rate_limit": "1000000 per minute"},
        ).start(worker="none")
        try:
            key = gateway.key(documents.SENDER)
            ratios = [_round(folder, gateway.port, key, n) for n in range(ROUNDS)]
        finally:
            gateway.stop()
    return "served accept ÷ (floor + inline blob), one process, keep-alive", max(ratios), BAR


def _round(folder: Path, port: int, key: str, number: int) -> float:
    bodies = folder / f"bodies-{number}"
    bodies.mkdir()
    raws = packages(POSTS, number * POSTS)
    for n, raw in enumerate(raws):
        (bodies / f"{n:05}.edxml").write_bytes(raw)
    floor = floor_rate(folder, raws[0], number)
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench_accept", str(port), key, str(bodies)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-500:]
    return float(done.stdout) / floor


BENCHES = (bench_served_accept,)

if __name__ == "__main__":
    print(post_all(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
