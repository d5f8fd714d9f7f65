"""
Hostile packages and hostile HTTP against one running gateway, from an agency that must sign.

Each is refused with its own code, none is accepted, nothing is fetched from where they point, and the same
process serves a good package afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import urllib3

from gateway.ledger import Ledger
from gateway.ledger.records import Filter
from gateway.model import Agency, AgencyCode, DocumentId, Standing
from gateway.signing.keys import SigningKey, certificates_to_pem
from tests.support import documents, hostile, pki, signed, wire
from tests.support.exchange import COMMUNE, DEPARTMENT, PROVINCE, agencies, registered
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.hostile import HOSTILE
from tests.support.signed import handmade, reference
from tests.support.torture import quiet_port

pytestmark = pytest.mark.timeout(300)

VECTORS = sorted((Path(__file__).parents[1] / "vectors" / "rejected").glob("*.xml"))
_CPU_SECONDS = 2.0
"""For one refusal, of the server's own time (spec/security.md §4)."""
_GROWTH_BYTES = 150 * 1024 * 1024
"""Of resident memory over all vectors; the largest of them have 9 MB."""

Senders = tuple[Callable[[], SigningKey], ...]
REGISTERED: Senders = (pki.agency, pki.agency_ec)


@dataclass(frozen=True)
class Vector:
    """One hostile package, and what must be answered."""

    name: str
    code: str
    make: Callable[[], bytes]
    senders: Senders = REGISTERED
    caller: AgencyCode = DEPARTMENT
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What was answered, and what it cost."""

    status: int
    codes: frozenset[str]
    seconds: float
    """CPU of the server."""


def _from_files() -> Iterator[Vector]:
    for path in VECTORS:
        code = str(tomllib.loads(path.with_suffix(".toml").read_text(encoding="utf-8"))["code"])
        yield Vector(f"file:{path.stem}", code, path.read_bytes)


def _built() -> Iterator[Vector]:
    for name, build, code in documents.BUILT:
        if name != "package-300-mb":  # more than the body limit: see the tests about HTTP
            yield Vector(f"built:{name}", code, build)


_JUDGED_BEFORE = {
    "sender-altered": "sender.not_allowed",
    "recipient-added": "M.MessageHeader.To.OrganId",
    "attachment-emptied": "N.AttachmentEncoded.Attachment.ContentTransferEncoded",
}
"""What a gateway sees in some of these packages before it comes to their signature."""


def _about_signatures() -> Iterator[Vector]:
    for vector in HOSTILE:
        code = _JUDGED_BEFORE.get(vector.differs, vector.code)
        yield Vector(f"signature:{vector.differs}", code, vector.make, tuple(vector.sender))


CANARY = "http://127.0.0.1:1"
"""Stands for the canary's URL until it has a port."""


def _signed_over(change: Callable[[bytes], bytes]) -> Callable[[], bytes]:
    return lambda: handmade(change(hostile.plain()), pki.agency())


def _before_root(text: str) -> Callable[[], bytes]:
    return lambda: hostile.good().replace(b"<edXML ", text.encode() + b"<edXML ", 1)


def _pointing() -> Iterator[Vector]:
    """Packages that ask for something to be fetched."""
    forbidden, structure = "package.forbidden_markup", "signature.structure"
    yield Vector("fetch:dtd", forbidden, _before_root(f'<!DOCTYPE edXML SYSTEM "{CANARY}/x.dtd">'))
    yield Vector("fetch:dtd-public", forbidden, _before_root(f'<!DOCTYPE edXML PUBLIC "-//x" "{CANARY}/x.dtd">'))
    yield Vector("fetch:entity", forbidden, _before_root(f'<!DOCTYPE edXML [<!ENTITY e SYSTEM "{CANARY}/e">]>'))
    yield Vector(
        "fetch:parameter-entity", forbidden, _before_root(f'<!DOCTYPE edXML [<!ENTITY % e SYSTEM "{CANARY}/e"> %e;]>')
    )
    yield Vector("fetch:stylesheet", forbidden, _before_root(f'<?xml-stylesheet href="{CANARY}/x.xsl"?>'))
    yield Vector(
        "fetch:xinclude",
        forbidden,
        _signed_over(
            lambda raw: raw.replace(
                b"<edXML:Subject>",
                f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{CANARY}/i"/><edXML:Subject>'.encode(),
            )
        ),
    )
    yield Vector(
        "fetch:retrieval-method",
        structure,
        lambda: handmade(
            hostile.plain(),
            pki.agency(),
            key_info=f'<ds:KeyInfo><ds:RetrievalMethod URI="{CANARY}/key"/></ds:KeyInfo>',
        ),
    )
    yield Vector(
        "fetch:reference",
        "signature.reference",
        lambda: handmade(hostile.plain(), pki.agency(), references=reference(hostile.plain(), uri=f"{CANARY}/doc")),
    )
    yield Vector(
        "fetch:second-reference",
        "signature.reference",
        lambda: handmade(
            hostile.plain(),
            pki.agency(),
            references=reference(hostile.plain()) + reference(hostile.plain(), uri=f"{CANARY}/doc"),
        ),
    )
    yield Vector(
        "fetch:xslt",
        "signature.transform",
        lambda: handmade(
            hostile.plain(),
            pki.agency(),
            references=reference(
                hostile.plain(),
                transforms=(signed.ENVELOPED, "http://www.w3.org/TR/1999/REC-xslt-19991116"),
                inside='<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0">'
                f'<xsl:include href="{CANARY}/x.xsl"/></xsl:stylesheet>',
            ),
        ),
    )
    yield Vector(
        "fetch:schema-location",
        "signature.digest_mismatch",
        lambda: hostile.good().replace(
            b"<edXML:edXMLBody>",
            b'<edXML:edXMLBody xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            + f'xsi:schemaLocation="urn:x {CANARY}/x.xsd">'.encode(),
        ),
    )


def _about_who_and_where() -> Iterator[Vector]:
    """Packages that are right in themselves and come from, or go to, the wrong place."""

    def to(*codes: str) -> Callable[[], bytes]:
        recipients = tuple(documents.an_organization(code) for code in codes)
        return lambda: signed.by_gateway(documents.a_package(recipients=recipients), pki.agency())

    yield Vector("who:another-agency-s-package", "sender.not_allowed", hostile.good, caller=COMMUNE)
    yield Vector("who:another-agency-s-unsigned", "sender.not_allowed", hostile.plain, caller=COMMUNE)
    yield Vector(
        "who:as-the-province",
        "sender.not_allowed",
        lambda: signed.by_gateway(
            documents.a_package(sender=documents.an_organization(PROVINCE)),
            pki.agency(),
        ),
    )
    yield Vector(
        "who:as-nobody",
        "sender.unknown",
        lambda: signed.by_gateway(documents.a_package(sender=documents.an_organization("H37.404")), pki.agency()),
    )
    yield Vector("where:nobody", "recipient.unknown", to("H37.404"))
    yield Vector("where:nobody-beside-somebody", "recipient.unknown", to(COMMUNE, "H37.404"))
    yield Vector(
        "where:header-names-another",
        "recipient.not_in_package",
        hostile.good,
        headers=(("Gateway-Recipients", "000.00.15.H37"),),
    )
    yield Vector("where:header-names-nobody", "request.invalid", hostile.good, headers=(("Gateway-Recipients", ","),))
    yield Vector(
        "what:other-digest",
        "package.digest_mismatch",
        hostile.good,
        headers=(("Content-Digest", f"sha-256=:{'A' * 43}=:"),),
    )
    yield Vector("what:html", "package.unknown", lambda: b"<html><body>Please log in</body></html>")
    yield Vector("what:soap", "package.unknown", lambda: b'<s:Envelope xmlns:s="urn:s"><s:Body/></s:Envelope>')
    yield Vector("what:zip", "package.malformed", lambda: documents.zipped({"a.edxml": hostile.good()}))
    yield Vector("what:twice", "package.malformed", lambda: hostile.good() * 2)


ALL = (*_from_files(), *_built(), *_about_signatures(), *_pointing(), *_about_who_and_where())


# The gateway


def _agencies(senders: Senders) -> list[Agency]:
    known = agencies()
    certificates = tuple(registered(key()) for key in senders)
    known[DEPARTMENT] = replace(
        known[DEPARTMENT], certificates=certificates, accepts=frozenset({Standing.VALID}), endpoint=None
    )
    return list(known.values())


@pytest.fixture(scope="module")
def canary() -> Iterator[wire.Canary]:
    with wire.a_canary() as listening:
        yield listening


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One process, at the time when the vectors' certificates are valid; nothing is delivered."""
    folder = tmp_path_factory.mktemp("hostile")
    authorities = [pki.root().certificate, pki.intermediate().certificate]
    anchors = folder / "anchors.pem"
    anchors.write_bytes(certificates_to_pem(authorities))
    served = a_gateway(
        folder,
        code=PROVINCE,
        agencies=_agencies(REGISTERED),
        first_levels=["H37"],
        default_route="000.00.22.W00",
        secrets=["pushed", "above"],
        web={"rate_limit": "1000000 per minute", "body_limit_bytes": 20 * 1024 * 1024},
        signing={"anchors": [str(anchors)]},
        log={"level": "warning"},
    )
    served.program = "tests.support.served"
    served.port = quiet_port()
    try:
        yield served.start(worker="none")
    finally:
        served.kill()


@pytest.fixture(scope="module")
def ledger(gateway: RunningGateway) -> Iterator[Ledger]:
    opened = gateway.ledger()
    yield opened
    opened.engine.dispose()


def pid_of(gateway: RunningGateway) -> int:
    assert gateway.process is not None
    assert gateway.process.poll() is None, gateway.log_tail()
    return gateway.process.pid


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _codes(body: bytes) -> frozenset[str]:
    """Every name that an answer gives to what is wrong."""
    problem: dict[str, Any] = json.loads(body)
    found = {problem["code"], *(e["code"] for e in problem.get("errors", ()))}
    return frozenset(found | ({problem["verdict"]["reason"]} if "verdict" in problem else set()))


@dataclass(frozen=True)
class Run:
    """All vectors, posted once."""

    outcomes: dict[str, Outcome]
    pid: int
    grown_bytes: int
    accepted: int


@pytest.fixture(scope="module")
def run(gateway: RunningGateway, ledger: Ledger, canary: wire.Canary) -> Run:
    """Post every vector; those with the same registered certificates together."""
    pool = urllib3.PoolManager(retries=False)
    keys = {code: {"Authorization": f"Bearer {gateway.key(code)}"} for code in (DEPARTMENT, COMMUNE)}
    groups: defaultdict[Senders, list[Vector]] = defaultdict(list)
    for vector in ALL:
        groups[vector.senders].append(vector)
    pid = pid_of(gateway)
    outcomes: dict[str, Outcome] = {}
    at_first = 0
    for senders, vectors in groups.items():
        gateway.set_agencies(_agencies(senders))
        time.sleep(1.3)  # until the running process has seen it
        for vector in vectors:
            before = cpu_seconds(pid)
            answer = pool.request(
                "POST",
                f"{gateway.url}/api/v1/documents",
                body=vector.make().replace(CANARY.encode(), canary.url.encode()),
                headers={**keys[vector.caller], "Content-Type": "application/xml", **dict(vector.headers)},
                timeout=60,
            )
            outcomes[vector.name] = Outcome(answer.status, _codes(answer.data), cpu_seconds(pid) - before)
            at_first = at_first or resident_bytes(pid)
    gateway.set_agencies(_agencies(REGISTERED))
    time.sleep(1.3)
    accepted = len(ledger.documents(Filter()).rows)
    return Run(outcomes, pid, resident_bytes(pid) - at_first, accepted)


# Packages


def test_there_are_more_than_a_hundred_vectors_each_with_its_name() -> None:
    assert len({v.name for v in ALL}) == len(ALL) >= 200


@pytest.mark.parametrize("vector", ALL, ids=lambda v: v.name)
def test_a_hostile_package_is_refused_with_its_code(vector: Vector, run: Run) -> None:
    outcome = run.outcomes[vector.name]
    assert 400 <= outcome.status < 500
    assert vector.code in outcome.codes
    assert outcome.seconds < _CPU_SECONDS


def test_none_was_accepted_and_the_process_is_unhurt(gateway: RunningGateway, run: Run) -> None:
    assert run.accepted == 0
    assert pid_of(gateway) == run.pid
    assert run.grown_bytes < _GROWTH_BYTES


def test_nothing_was_fetched(run: Run, canary: wire.Canary) -> None:
    assert canary.calls == []


def test_each_refusal_is_kept_for_the_operator(run: Run, ledger: Ledger) -> None:
    about_packages = [v for v in ALL if v.code != "request.invalid"]
    kept = ledger.refusals(limit=200)
    assert len(kept) == min(len(about_packages), 200)


# HTTP


def a_good_package(number: int) -> bytes:
    """Signed by its sender, with an id of its own."""
    raw = documents.a_package(document_id=DocumentId(f"000.00.14.H37,2026/03/05,{number}/HTTP"))
    return signed.by_gateway(raw, pki.agency())


def test_a_good_package_is_accepted_after_all_that(gateway: RunningGateway, run: Run, ledger: Ledger) -> None:
    assert post(gateway, a_good_package(0)) == 202
    assert post(gateway, a_good_package(0)) == 200
    assert identities(ledger) == {"000.00.14.H37,2026/03/05,0/HTTP"}


def post(gateway: RunningGateway, raw: bytes, *, seconds: float = 60) -> int:
    """One ordinary post; its status."""
    headers = {"Authorization": f"Bearer {gateway.key(DEPARTMENT)}", "Content-Type": "application/xml"}
    with urllib3.PoolManager(retries=False) as pool:
        return pool.request(
            "POST", f"{gateway.url}/api/v1/documents", body=raw, headers=headers, timeout=seconds
        ).status


def identities(ledger: Ledger) -> set[str]:
    return {str(row.document_id) for row in ledger.documents(Filter(), limit=200).rows}


PACKAGE = a_good_package(99_999)
"""What every malformed request carries: were it let through, the ledger would show it."""
HOST = ("Host", "gateway")
XML = ("Content-Type", "application/xml")
KEY = b"Authorization: Bearer KEY"
"""KEY is replaced by the real one: nothing here may fail for want of it."""
LENGTH = ("Content-Length", str(len(PACKAGE)))
CHUNKED = ("Transfer-Encoding", "chunked")
TARGET = "/api/v1/documents"


def posting(*headers: tuple[str, str] | bytes, body: bytes = PACKAGE, target: str = TARGET, **more: str) -> bytes:
    return wire.request("POST", target, [HOST, XML, KEY, *headers], body, **more)


SMUGGLED = posting(LENGTH)

BROKEN: dict[str, bytes] = {
    # Bodies that end early or never.
    "length-too-long": posting(("Content-Length", str(len(PACKAGE) + 100))),
    "length-missing": posting(),
    "chunk-cut": posting(CHUNKED, body=wire.chunked(PACKAGE)[:-300]),
    "chunks-without-end": posting(CHUNKED, body=wire.chunked(PACKAGE)[: -len(b"0\r\n\r\n")]),
    # Lengths that are none.
    "length-too-short": posting(("Content-Length", str(len(PACKAGE) - 100))),
    "length-negative": posting(("Content-Length", f"-{len(PACKAGE)}")),
    "length-with-plus": posting(("Content-Length", f"+{len(PACKAGE)}")),
    "length-in-words": posting(("Content-Length", "many")),
    "length-hexadecimal": posting(("Content-Length", hex(len(PACKAGE)))),
    "length-with-underscore": posting(("Content-Length", "1_0")),
    "length-in-other-digits": posting("Content-Length: ٣٠٠".encode()),
    "length-list-differing": posting(("Content-Length", f"{len(PACKAGE)}, 5")),
    "length-twice-differing": posting(("Content-Length", "5"), LENGTH),
    "length-huge": posting(("Content-Length", "9" * 30)),
    "length-over-the-limit": posting(("Content-Length", str(400 * 1024 * 1024))),
    # Chunks that are none.
    "chunk-size-garbage": posting(CHUNKED, body=b"zz\r\n" + PACKAGE + b"\r\n0\r\n\r\n"),
    "chunk-size-negative": posting(CHUNKED, body=b"-5\r\n" + PACKAGE + b"\r\n0\r\n\r\n"),
    "chunk-size-with-prefix": posting(CHUNKED, body=b"0x%x\r\n" % len(PACKAGE) + PACKAGE + b"\r\n0\r\n\r\n"),
    "chunk-size-with-underscore": posting(CHUNKED, body=b"1_0\r\n" + PACKAGE + b"\r\n0\r\n\r\n"),
    "chunk-size-huge": posting(CHUNKED, body=b"f" * 40 + b"\r\n" + PACKAGE + b"\r\n0\r\n\r\n"),
    "chunk-line-endless": posting(CHUNKED, body=b"1;" + b"x" * 200_000),
    "chunk-without-line-end": posting(CHUNKED, body=b"%x\r\n" % len(PACKAGE) + PACKAGE + b"XX0\r\n\r\n"),
    "chunk-garbage": posting(CHUNKED, body=bytes(range(256)) * 20),
    # Two opinions on where the body ends.
    "length-and-chunked": posting(LENGTH, CHUNKED),
    "chunked-and-length-smuggling": posting(
        ("Content-Length", str(5 + len(SMUGGLED))), CHUNKED, body=b"0\r\n\r\n" + SMUGGLED
    ),
    "length-and-chunked-smuggling": wire.request(
        "POST", "/healthz", [HOST, ("Content-Length", "6"), CHUNKED], b"0\r\n\r\nG" + SMUGGLED
    ),
    "coding-unknown": posting(("Transfer-Encoding", "gzip"), LENGTH),
    "coding-x": posting(("Transfer-Encoding", "xchunked"), LENGTH),
    "coding-chunked-not-last": posting(("Transfer-Encoding", "chunked, identity"), body=wire.chunked(PACKAGE)),
    "coding-chunked-twice": posting(CHUNKED, CHUNKED, body=wire.chunked(PACKAGE)),
    "coding-space-before-colon": posting(b"Transfer-Encoding : chunked", LENGTH),
    "coding-in-http-1.0": posting(CHUNKED, body=wire.chunked(PACKAGE), version="HTTP/1.0"),
    "smuggled-behind-a-get": wire.request("GET", "/healthz", [HOST, LENGTH, CHUNKED], b"0\r\n\r\n" + SMUGGLED),
    # Headers.
    "header-with-nul": posting(LENGTH, b"X-A: a\0b"),
    "header-name-with-nul": posting(LENGTH, b"X\0A: a"),
    "header-without-colon": posting(LENGTH, b"nonsense"),
    "header-name-with-space": posting(LENGTH, b"X A: a"),
    "header-folded": posting(LENGTH, b"X-A: a\r\n b"),
    "header-with-bare-cr": posting(LENGTH, b"X-A: a\rContent-Length: 5"),
    "header-huge": posting(LENGTH, b"X-A: " + b"a" * 200_000),
    "headers-many": posting(LENGTH, *[b"X-%d: a" % i for i in range(20_000)]),
    "length-behind-bare-lf": posting(b"X-A: a\nContent-Length: 5", LENGTH),
    # The request line.
    "target-up-and-down": posting(LENGTH, target="/api/v1/documents/../../api/v1/documents/"),
    "target-dots": posting(LENGTH, target="/api/v1/./documents"),
    "target-encoded-dots": posting(LENGTH, target="/api/v1/documents/%2e%2e/documents"),
    "target-encoded-slash": posting(LENGTH, target="/api%2fv1%2fdocuments"),
    "target-twice-encoded": posting(LENGTH, target="/api/v1/%2564ocuments"),
    "target-backslash": posting(LENGTH, target="/api/v1\\documents"),
    "target-double-slash": posting(LENGTH, target="//api//v1//documents"),
    "target-with-nul": posting(LENGTH, target="/api/v1/documents%00"),
    "target-with-parameter": posting(LENGTH, target="/api/v1/documents;a=b"),
    "target-long": posting(LENGTH, target="/api/v1/documents?" + "a" * 200_000),
    "target-letter-case": posting(LENGTH, target="/API/V1/Documents"),
    "target-with-space": posting(LENGTH, target="/api/v1/documents x"),
    "method-unknown": wire.request("PSOT", TARGET, [HOST, XML, KEY, LENGTH], PACKAGE),
    "method-put": wire.request("PUT", TARGET, [HOST, XML, KEY, LENGTH], PACKAGE),
    "method-overridden": wire.request(
        "DELETE", TARGET, [HOST, XML, KEY, LENGTH, ("X-HTTP-Method-Override", "POST")], PACKAGE
    ),
    "method-with-nul": wire.request("PO\0ST", TARGET, [HOST, XML, KEY, LENGTH], PACKAGE),
    "version-unknown": posting(LENGTH, version="HTTP/9.9"),
    "version-0.9": b"POST /api/v1/documents\r\n\r\n" + PACKAGE,
    "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "no-line-end": b"A" * 200_000,
    # Who and what.
    "key-of-nobody": wire.request(
        "POST", TARGET, [HOST, XML, LENGTH, ("Authorization", "Bearer gwk_000000000000_x")], PACKAGE
    ),
    "key-by-another-scheme": wire.request(
        "POST", TARGET, [HOST, XML, LENGTH, ("Authorization", "Basic YTpi")], PACKAGE
    ),
    "key-missing": wire.request("POST", TARGET, [HOST, XML, LENGTH], PACKAGE),
    "key-with-a-tail": posting(LENGTH).replace(KEY, KEY + b"x"),
    "type-json": posting(LENGTH).replace(b"application/xml", b"application/json"),
    "type-missing": posting(LENGTH).replace(b"Content-Type: application/xml\r\n", b""),
    "type-form": posting(LENGTH).replace(b"application/xml", b"application/x-www-form-urlencoded"),
    "encoding-gzip": posting(LENGTH, ("Content-Encoding", "gzip")),
}

_MAY_BE_SILENT = frozenset({"version-0.9", "tls-hello", "no-line-end", "header-huge", "headers-many", "target-long"})
"""A connection that is closed without a word is a refusal too; these may be cut while they are still sent."""


@pytest.mark.parametrize("name", BROKEN)
def test_broken_http_is_not_taken_for_a_package(name: str, gateway: RunningGateway, ledger: Ledger, run: Run) -> None:
    before = identities(ledger)
    data = BROKEN[name].replace(KEY, f"Authorization: Bearer {gateway.key(DEPARTMENT)}".encode())
    answered = wire.statuses(wire.say(gateway.port, data, end=True))
    assert 202 not in answered
    assert all(code < 500 or code in (501, 505) for code in answered)
    assert answered or name in _MAY_BE_SILENT
    assert all(code >= 300 for code in answered) or b"/healthz" in data
    assert identities(ledger) == before
    assert pid_of(gateway) == run.pid


ASKING = ("Expect", "100-continue")
DECIDED: dict[str, tuple[bytes, int]] = {
    "key-of-nobody": (posting(LENGTH, ASKING, body=b"").replace(KEY, b"Authorization: Bearer gwk_000000000000_x"), 401),
    "nowhere": (posting(LENGTH, ASKING, body=b"", target="/api/v1/nowhere"), 404),
    "too-large": (posting(("Content-Length", str(400 * 1024 * 1024)), ASKING, body=b""), 413),
    "type-unknown": (posting(LENGTH, ASKING, body=b"").replace(b"application/xml", b"text/plain"), 415),
    "form-of-a-stranger": (
        wire.request("POST", "/console/login", [HOST, ("Content-Length", "9000"), ASKING,
                                                ("Content-Type", "application/x-www-form-urlencoded")]), 413),
}  # fmt: skip
"""What can be said of a request before its body is there."""


@pytest.mark.parametrize("name", DECIDED)
def test_a_client_that_asks_before_it_sends_is_told_what_its_header_decides(
    name: str, gateway: RunningGateway, run: Run
) -> None:
    head, status = DECIDED[name]
    answer = wire.say(gateway.port, head.replace(KEY, f"Authorization: Bearer {gateway.key(DEPARTMENT)}".encode()))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in answer


def test_a_client_that_asks_before_it_sends_is_asked_for_a_good_package(gateway: RunningGateway, run: Run) -> None:
    raw = a_good_package(3)
    head = posting(("Content-Length", str(len(raw))), ASKING, body=b"")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        connection.sendall(head.replace(KEY, f"Authorization: Bearer {gateway.key(DEPARTMENT)}".encode()))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(raw)
        assert connection.recv(1000).startswith(b"HTTP/1.1 202 ")


@pytest.fixture(scope="module")
def two_processes(run: Run, gateway: RunningGateway) -> Iterator[RunningGateway]:
    """The same gateway as gunicorn serves it, beside the other."""
    other = RunningGateway(gateway.folder, gateway.settings, port=quiet_port())
    try:
        yield other.start(worker="none", processes=2)
    finally:
        other.kill()


@pytest.mark.parametrize("name", [n for n in BROKEN if n != "target-encoded-slash"])  # to gunicorn it is a slash
def test_broken_http_is_not_taken_for_a_package_by_gunicorn(
    name: str, two_processes: RunningGateway, gateway: RunningGateway, ledger: Ledger
) -> None:
    before = identities(ledger)
    data = BROKEN[name].replace(KEY, f"Authorization: Bearer {gateway.key(DEPARTMENT)}".encode())
    answered = wire.statuses(wire.say(two_processes.port, data, end=True))
    assert 202 not in answered
    assert all(code < 500 or code in (501, 505) for code in answered)
    assert identities(ledger) == before


@pytest.mark.parametrize("who", ["KEY", "gwk_000000000000_x"])
@pytest.mark.parametrize("how", ["length", "chunk"])
def test_a_body_that_nobody_wants_is_not_held_in_memory(
    who: str, how: str, gateway: RunningGateway, ledger: Ledger
) -> None:
    """100 MB of an announced gigabyte, for a call that takes none: one chunk is as large as it says that it is."""
    gigabyte = 1024**3
    framing = [("Content-Length", str(gigabyte))] if how == "length" else [CHUNKED]
    head = posting(*framing, body=b"" if how == "length" else b"%x\r\n" % gigabyte, target="/api/v1/nowhere")
    token = gateway.key(DEPARTMENT) if who == "KEY" else who
    before, pid = identities(ledger), pid_of(gateway)
    at_first = resident_bytes(pid)
    most = 0
    piece = b"x" * 1024 * 1024
    with (
        socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection,
        contextlib.suppress(OSError),  # it has had enough
    ):
        connection.sendall(head.replace(b"KEY", token.encode()))
        for _ in range(100):
            connection.sendall(piece)
            most = max(most, resident_bytes(pid) - at_first)
    assert most < 40 * 1024 * 1024
    assert identities(ledger) == before
    assert pid_of(gateway) == pid


@pytest.mark.parametrize("parts", [601, 5_000])
def test_a_form_of_too_many_parts_is_refused(parts: int, gateway: RunningGateway, ledger: Ledger) -> None:
    before = identities(ledger)
    one = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f%d.pdf"\r\n\r\n%%PDF-\r\n'
    body = b"".join(one % i for i in range(parts)) + b"--b--\r\n"
    headers = {
        "Authorization": f"Bearer {gateway.key(DEPARTMENT)}",
        "Content-Type": "multipart/form-data; boundary=b",
    }
    with urllib3.PoolManager(retries=False) as pool:
        answer = pool.request("POST", f"{gateway.url}/api/v1/documents", body=body, headers=headers, timeout=60)
    assert answer.status == 413
    assert identities(ledger) == before


def test_names_of_posted_files_lead_nowhere(gateway: RunningGateway, ledger: Ledger, tmp_path: Path) -> None:
    metadata = {
        "recipients": [{"code": COMMUNE}],
        "number": "1",
        "notation": "SA",
        "subject": "V/v tên tệp",
    }
    names = ["../../../../tmp/evil.pdf", "..\\..\\evil.pdf", "/etc/cron.d/evil", "evil\x00.pdf", "con"]
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\n\r\nQQ\r\n'
    body = b'--b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n' + json.dumps(metadata).encode() + b"\r\n"
    body += b"".join(part % name.encode() for name in names) + b"--b--\r\n"
    headers = {
        "Authorization": f"Bearer {gateway.key(DEPARTMENT)}",
        "Content-Type": "multipart/form-data; boundary=b",
    }
    with urllib3.PoolManager(retries=False) as pool:
        answer = pool.request("POST", f"{gateway.url}/api/v1/documents", body=body, headers=headers, timeout=60)
    assert answer.status < 500, answer.data
    assert not list(gateway.folder.rglob("*evil*"))
    assert not Path("/tmp/evil.pdf").exists()
    assert not Path("/etc/cron.d/evil").exists()


def test_clients_that_dribble_do_not_keep_others_waiting(gateway: RunningGateway, ledger: Ledger) -> None:
    """All threads but one are held by slow bodies and slow headers; a package is accepted all the same."""
    key = f"Authorization: Bearer {gateway.key(DEPARTMENT)}".encode()
    slow_body = posting(("Content-Length", "100000"), body=b"<edXML").replace(KEY, key)
    slow_head = b"POST /api/v1/documents HTTP/1.1\r\nHost: gateway\r\nX-A: "
    threads = gateway.settings.web.threads
    with (
        wire.dribbling(gateway.port, slow_body, clients=threads // 2),
        wire.dribbling(gateway.port, slow_head, clients=threads - threads // 2 - 1),
    ):
        assert post(gateway, a_good_package(1), seconds=30) == 202


def test_the_process_is_the_same_and_still_serves(gateway: RunningGateway, ledger: Ledger, run: Run) -> None:
    assert pid_of(gateway) == run.pid
    assert post(gateway, a_good_package(2)) == 202
    assert re.search(r'"level": ?"(error|critical)"', gateway.log.read_text(encoding="utf-8")) is None
