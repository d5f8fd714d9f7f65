"""
Kill a gateway again and again under traffic, then judge what became of every document.

Clients post and collect all the time, as eOffice systems do: they repeat the same bytes, or the same
acknowledgement, until they are answered. The receivers are idempotent and count. What counts as dead is a
process that ended by SIGKILL at the named step (``gateway.faults``) or at a moment of our choosing.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import queue
import random
import signal
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import urllib3
from sqlalchemy import func, select, text, update

from gateway.exchange.log_audit import audit
from gateway.faults import POINTS
from gateway.ledger.tables import deliveries, documents, examinations, statuses
from gateway.model import (
    Agency,
    AgencyCode,
    Channel,
    DeliveryState,
    DocumentId,
    DocumentNumber,
    Endpoint,
    ExaminationState,
    Level,
    OtherInfo,
    PackageKind,
    StatusCode,
)
from gateway.payloads import FileStore
from gateway.signing import keys
from gateway.signing.keys import SigningKey
from gateway.signing.sign import sign_package
from tests.support import documents as packages
from tests.support.exchange import registered
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.peer import DROPS_THE_ANSWER, Receiver, Reply, Request, a_receiver

SENDER = AgencyCode("000.00.14.H37")
COMMUNE = AgencyCode("H37.21")
PUSHED = AgencyCode("000.00.15.H37")
PROVINCE = AgencyCode("000.00.00.H37")
NEIGHBOUR = AgencyCode("000.00.00.H38")
ABOVE = AgencyCode("000.00.22.W00")
RECIPIENTS = (COMMUNE, PUSHED, NEIGHBOUR)
"""By mailbox, by push, and through the gateway above."""
PUSH_SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMhIQ=="

POSTERS = 4
COLLECTORS = 2
DEATH_SECONDS = 120.0
"""Until a process must have met its end; generous, for busy machines."""
DRAIN_SECONDS = 240.0

KILLS: Counter[tuple[str, str]] = Counter()
"""(engine, step) → kills made in this test run, for the summary."""


def quiet_port() -> int:
    """
    A free port that no outgoing connection takes by chance.

    Clients that knock at a dead gateway could otherwise be given its port as their own, connect to themselves,
    and keep the gateway from listening again.
    """
    rng = random.Random()
    for _ in range(200):
        port = rng.randrange(15_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


def a_key(name: str, *, at: datetime) -> SigningKey:
    """A key and certificate of today: processes have the real clock."""
    ca = keys.make_ca(keys.subject_name("Chứng thực thử nghiệm"), at=at - timedelta(days=2))
    return keys.issue_certificate(ca, keys.subject_name(name), keys.generate_key(), at=at - timedelta(days=1))


# What is posted


@dataclass
class Item:
    """One package and what its sender was told of it."""

    raw: bytes
    signed: bool
    sha256: str = ""
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sha256 = hashlib.sha256(self.raw).hexdigest()


class Press:
    """Makes packages: most small, some above what the ledger keeps, half of them signed, of every urgency."""

    def __init__(self, key: SigningKey, rng: random.Random) -> None:
        self._key = key
        self._rng = rng
        self._numbers = itertools.count(1)

    def make(self, *, large: bool = False, signed: bool | None = None) -> Item:
        """The next package; ``signed`` by chance unless said."""
        number = next(self._numbers)
        changes: dict[str, Any] = {
            "recipients": tuple(packages.an_organization(code) for code in RECIPIENTS),
            "document_id": DocumentId(f"{SENDER},2026/03/05,{number}/SA-VP"),
            "number": DocumentNumber(number=str(number), notation="SA-VP"),
            "other": OtherInfo(priority=self._rng.randrange(5), promulgation_amount=1, page_amount=2, direction=False),
        }
        contents = {"main": packages.PDF + self._rng.randbytes(600_000 if large else self._rng.randrange(4_000))}
        raw = packages.a_package(contents=contents, **changes)
        signed = self._rng.random() < 0.5 if signed is None else signed
        return Item(raw=sign_package(raw, self._key) if signed else raw, signed=signed)


# Who posts and collects


class Clients:
    """Agencies' systems that never give up; threads that outlive every death of the gateway."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        self._stop = threading.Event()
        self._waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._unanswered = 0
        self.items: list[Item] = []
        self.collected: defaultdict[str, set[str]] = defaultdict(set)
        """Delivery id → SHA-256 of what was fetched and then acknowledged."""
        self.faults: list[str] = []
        """Answers that a client must never get."""
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=POSTERS + COLLECTORS, retries=False)
        self._sends = {"Authorization": f"Bearer {gateway.key(SENDER)}", "Content-Type": "application/xml"}
        self._receives = {"Authorization": f"Bearer {gateway.key(COMMUNE)}", "Content-Type": "application/json"}
        self._threads = [
            threading.Thread(target=work, name=work.__name__, daemon=True)
            for work in [self._post_all] * POSTERS + [self._collect_all] * COLLECTORS
        ]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)
        self._pool.clear()

    def post(self, item: Item, *, twice: bool = False) -> None:
        """Have a package posted by one client, or by two at once."""
        self.items.append(item)
        for _ in range(2 if twice else 1):
            with self._lock:
                self._unanswered += 1
            self._waiting.put(item)

    @property
    def is_idle(self) -> bool:
        """Every package has been answered."""
        return not self._unanswered

    def _post_all(self) -> None:
        while not self._stop.is_set():
            try:
                item = self._waiting.get(timeout=0.1)
            except queue.Empty:
                continue
            while not self._stop.is_set():
                status, body = self._ask("POST", "/documents", body=item.raw, headers=self._sends)
                if status in (200, 202):
                    with self._lock:
                        item.answers.append((status, json.loads(body)))
                        self._unanswered -= 1
                    break
                if status not in (None, 503):
                    self.faults.append(f"post: {status} {body[:300]!r}")
                    break
                self._stop.wait(0.05)

    def _collect_all(self) -> None:
        while not self._stop.is_set():
            status, body = self._ask("GET", "/inbox?limit=20", headers=self._receives)
            found = json.loads(body)["items"] if status == 200 else []
            for row in found:
                self._collect(row["delivery"])
            self._stop.wait(0.05 if found else 0.2)

    def _collect(self, delivery: str) -> None:
        """Lock, fetch, store, acknowledge; an unanswered acknowledgement is repeated with the same token."""
        status, body = self._ask("POST", f"/inbox/{delivery}/lock", body=b"{}", headers=self._receives)
        if status != 200:
            return  # locked by another client, settled, or the gateway is down
        token = json.loads(body)["token"]
        status, package = self._ask("GET", f"/inbox/{delivery}/package", headers=self._receives)
        if status != 200:
            return
        request = json.dumps({"token": token}).encode()
        while not self._stop.is_set():
            status, body = self._ask("POST", f"/inbox/{delivery}/ack", body=request, headers=self._receives)
            if status == 200:
                with self._lock:
                    self.collected[delivery].add(hashlib.sha256(package).hexdigest())
                return
            if status == 409:
                return  # another client has locked it since
            if status not in (None, 503):
                self.faults.append(f"ack: {status} {body[:300]!r}")
                return
            self._stop.wait(0.05)

    def _ask(self, method: str, path: str, **request: Any) -> tuple[int | None, bytes]:
        """One request; ``None`` when there was no answer or only part of one."""
        try:
            answer = self._pool.request(method, f"{self._gateway.url}/api/v1{path}", timeout=20, **request)
        except urllib3.exceptions.HTTPError:
            return None, b""
        return answer.status, answer.data


# Who is delivered to


class Seen:
    """What came to the receivers, beyond what they count themselves."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.pushed: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        """webhook-id → (recipient, SHA-256) of every request under it."""
        self.status_packages: dict[str, bytes] = {}
        """webhook-id → body, of what came to the sender of the documents."""

    def push(self, request: Request) -> Reply | None:
        """Note a push; now and then the answer is lost."""
        webhook = request.headers["webhook-id"]
        digest = hashlib.sha256(request.body).hexdigest()
        self.pushed[webhook].add((request.headers["gateway-recipients"], digest))
        if request.path == "/sender":
            self.status_packages[webhook] = request.body
        return self.ambiguous(request)

    def ambiguous(self, _request: Request) -> Reply | None:
        """Lose the answer now and then."""
        return DROPS_THE_ANSWER if self._rng.random() < 0.03 else None


def agencies_of(push: str, peer: str, key: SigningKey) -> list[Agency]:
    """A sender that signs and is told of statuses by push, a commune with a mailbox, a department, a neighbour."""
    return [
        Agency(code=PROVINCE, name="UBND tỉnh Lạng Sơn", level=Level.PROVINCE,
               endpoint=Endpoint(channel=Channel.MAILBOX)),
        Agency(code=SENDER, name="Sở Gửi thử", level=Level.DEPARTMENT, parent=PROVINCE,
               certificates=(registered(key),),
               endpoint=Endpoint(channel=Channel.PUSH, url=f"{push}/sender", credential="push")),
        Agency(code=PUSHED, name="Sở Nhận đẩy", level=Level.DEPARTMENT, parent=PROVINCE,
               endpoint=Endpoint(channel=Channel.PUSH, url=f"{push}/pushed", credential="push")),
        Agency(code=COMMUNE, name="UBND xã thử", level=Level.COMMUNE, parent=PROVINCE,
               endpoint=Endpoint(channel=Channel.MAILBOX)),
        Agency(code=NEIGHBOUR, name="UBND tỉnh Lào Cai", level=Level.PROVINCE),
        Agency(code=ABOVE, name="Trục quốc gia thử", level=Level.NATIONAL, hidden=True,
               endpoint=Endpoint(channel=Channel.PEER, url=peer, credential="peer")),
    ]  # fmt: skip


# The rack


@dataclass(frozen=True)
class Kill:
    """One death."""

    point: str | None
    """The step; ``None``: at a random moment."""
    victim: str = "serve"
    """``serve`` (web and worker in one process), ``web`` or ``worker``."""


class Rack:
    """A gateway under traffic, and its deaths so far."""

    def __init__(
        self,
        *,
        gateway: RunningGateway,
        engine: str,
        clients: Clients,
        seen: Seen,
        peer: Receiver,
        press: Press,
        rng: random.Random,
    ) -> None:
        self.gateway = gateway
        self.engine = engine
        self.clients = clients
        self.seen = seen
        self.peer = peer
        self.press = press
        self.rng = rng
        self.ledger = gateway.ledger()

    # Dying

    def die(self, kill: Kill) -> None:
        """Start the victim with its fault, drive traffic until it is dead, and make sure that it was SIGKILL."""
        process = self.start(kill)
        self.post_some(5, large=2 if kill.point and "payload" in kill.point else 0)
        deadline = time.monotonic() + DEATH_SECONDS
        at = time.monotonic() + self.rng.uniform(0.0, 3.5)
        more = time.monotonic() + 3.0
        while process.poll() is None:
            now = time.monotonic()
            assert now < deadline, f"{kill} was not met\n{self.gateway.log_tail()}"
            if kill.point is None and now > at:
                process.kill()
                process.wait(timeout=20)
            elif now > more and self.clients.is_idle:
                # Not while it still starts, or is behind: a busy machine would be given the more to do.
                self.post_some(3, large=1 if kill.point and "payload" in kill.point else 0)
                more = now + 1.0
            time.sleep(0.02)
        assert process.returncode == -signal.SIGKILL, f"{kill}: {process.returncode}\n{self.gateway.log_tail()}"
        KILLS[self.engine, kill.point or "random"] += 1
        self.let_leases_end(kill.victim)

    def start(self, kill: Kill) -> Any:
        """The process that is to die; the others go on."""
        fault = {"GATEWAY_FAULT": f"{kill.point}:{self._count(kill.point)}"} if kill.point else {}
        if kill.victim == "worker":
            return self.gateway.start_worker(environment=fault)
        self.gateway.start(environment=fault, worker="thread" if kill.victim == "serve" else "none", wait=False)
        return self.gateway.process

    def _count(self, point: str) -> int:
        return int(self.rng.randint(1, 2 if "payload" in point or point.startswith("mailbox") else 5))

    def post_some(self, count: int, *, large: int = 0) -> None:
        """New traffic; some of it by two clients at once."""
        for number in range(count):
            is_large = number < large or self.rng.random() < 0.04
            self.clients.post(self.press.make(large=is_large), twice=self.rng.random() < 0.25)

    def let_leases_end(self, victim: str) -> None:
        """As if the leases of the dead had run out: a test cannot wait for each of them."""
        concerned = {
            "serve": deliveries.c.channel.in_(list(Channel)),
            "web": deliveries.c.channel == Channel.MAILBOX,
            "worker": deliveries.c.channel != Channel.MAILBOX,
        }[victim]
        with self.ledger.engine.begin() as connection:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.state == DeliveryState.LEASED, concerned)
                .values(due_at=datetime.now(UTC))
            )
            if victim != "web":  # which examines nothing
                connection.execute(
                    update(examinations)
                    .where(examinations.c.state == ExaminationState.PENDING)
                    .values(due_at=datetime.now(UTC))
                )

    # Recovering

    def drain(self) -> None:
        """Wait until every package is answered, no delivery is open, and every file has been examined."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while self.open_deliveries() or self.open_examinations() or not self.clients.is_idle:
            assert time.monotonic() < deadline, (
                f"not drained: {self.open_deliveries()} open, {self.open_examinations()} not examined, "
                f"idle: {self.clients.is_idle}, {self.clients.faults}\n{self.gateway.log_tail()}"
            )
            time.sleep(0.1)

    def open_deliveries(self) -> list[tuple[Any, ...]]:
        """What is still to be delivered."""
        with self.ledger.engine.connect().execution_options(read_only=True) as connection:
            rows = connection.execute(
                select(deliveries.c.id, deliveries.c.recipient, deliveries.c.channel, deliveries.c.state).where(
                    deliveries.c.state.not_in(SETTLED)
                )
            )
            return [tuple(row) for row in rows]

    def open_examinations(self) -> int:
        """How many are still to be made; while one is, files of its are in the spool."""
        with self.ledger.engine.connect().execution_options(read_only=True) as connection:
            pending = examinations.c.state == ExaminationState.PENDING
            return connection.execute(select(func.count()).select_from(examinations).where(pending)).scalar_one()


SETTLED = (DeliveryState.DELIVERED, DeliveryState.FORWARDED)


@contextlib.contextmanager
def a_rack(folder: Path, engine: str, ledger_url: str | None, *, seed: int, lease_seconds: int = 300) -> Iterator[Rack]:
    """A gateway set up but not started, its clients at work, its receivers listening; all gone at the end."""
    rng = random.Random(seed)
    seen = Seen(random.Random(seed + 1))
    key = a_key("Sở Gửi thử", at=datetime.now(UTC))
    with a_receiver() as push, a_receiver() as peer:
        push.keep = peer.keep = False
        push.rule, peer.rule = seen.push, seen.ambiguous
        gateway = a_gateway(
            folder,
            code=PROVINCE,
            agencies=agencies_of(push.url, peer.url, key),
            first_levels=["H37"],
            default_route=ABOVE,
            secrets=["push", "peer"],
            ledger_url=ledger_url,
            web={"rate_limit": "1000000 per minute"},
            console={"enabled": False},
            log={"level": "warning"},
            log_chain={"seal_seconds": 0.1},  # so that kills meet it at work
            delivery={
                "wait_factor": 0.001,  # a try that a kill cut short counts, and makes the next wait longer
                "lease_seconds": lease_seconds,
                "mailbox_lease_seconds": lease_seconds,
                "read_timeout_seconds": 20,
            },
        )
        gateway.set_secret("push", PUSH_SECRET)
        gateway.set_secret("peer", "gwk_test")
        gateway.port = quiet_port()
        rack: Rack | None = None
        try:
            with Clients(gateway) as clients:
                rack = Rack(
                    gateway=gateway,
                    engine=engine,
                    clients=clients,
                    seen=seen,
                    peer=peer,
                    press=Press(key, rng),
                    rng=rng,
                )
                yield rack
        finally:
            gateway.kill()
            if rack is not None:
                rack.ledger.engine.dispose()


# The judge


def judge(rack: Rack) -> None:
    """Accepted ⊆ delivered, once per recipient in effect, bytes equal, one status 01 per copy, nothing left over."""
    assert not rack.clients.faults
    posted = {item.sha256: item for item in rack.clients.items}
    for item in posted.values():
        _answers_agree(item)
    with rack.ledger.engine.connect().execution_options(read_only=True) as connection:
        if rack.engine == "sqlite":
            assert connection.execute(text("PRAGMA integrity_check")).scalars().all() == ["ok"]
            assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
        known = connection.execute(select(documents)).all()
        copies = connection.execute(select(deliveries)).all()
        reports = connection.execute(select(statuses)).all()
    sent = {row.id: row for row in known if row.kind is PackageKind.DOCUMENT}
    told = {row.id: row for row in known if row.kind is PackageKind.STATUS}
    assert {row.sha256 for row in sent.values()} == set(posted)
    assert len(sent) == len(posted)
    assert {answer["id"] for item in posted.values() for _, answer in item.answers} == set(sent)
    _bytes_are_kept(rack, known, posted)
    _each_recipient_has_it_once(rack, sent, told, copies)
    _one_arrival_per_copy(rack, sent, told, copies, reports)
    _nothing_temporary_is_left(rack)
    _the_log_is_whole(rack)


def _answers_agree(item: Item) -> None:
    """Every answer to the same bytes is the first receipt; at most one calls it new."""
    assert item.answers
    assert sum(status == 202 for status, _ in item.answers) <= 1
    assert len({json.dumps(a | {"duplicate": None}, sort_keys=True) for _, a in item.answers}) == 1
    assert all(a["sha256"] == item.sha256 and a["duplicate"] == (s == 200) for s, a in item.answers)


def _bytes_are_kept(rack: Rack, known: Sequence[Any], posted: dict[str, Item]) -> None:
    store = FileStore(rack.gateway.settings.data / "payloads")
    for row in known:
        for sha256 in {row.sha256, row.forward_sha256} - {None}:
            content = rack.ledger.payload(sha256)
            if content is None:
                with store.open(sha256) as stream:
                    content = stream.read()
            assert hashlib.sha256(content).hexdigest() == sha256
        if row.sha256 in posted and posted[row.sha256].signed:
            assert row.forward_sha256 is None, "a signed package is handed on as it came"


def _each_recipient_has_it_once(rack: Rack, sent: dict[str, Any], told: dict[str, Any], copies: Sequence[Any]) -> None:
    per_document = Counter((row.document, row.recipient) for row in copies if row.document in sent)
    assert set(per_document) == {(document, recipient) for document in sent for recipient in RECIPIENTS}
    assert set(per_document.values()) == {1}
    peer_effects = set()
    expected: dict[str, tuple[str, str]] = {}
    for row in copies:
        package = sent.get(row.document) or told[row.document]
        sha256 = package.forward_sha256 or package.sha256
        match row.channel:
            case Channel.PUSH:
                assert row.state is DeliveryState.DELIVERED
                expected[row.id] = (row.as_written, sha256)
            case Channel.MAILBOX:
                assert row.state is DeliveryState.DELIVERED
                assert rack.clients.collected[row.id] == {sha256}
            case Channel.PEER:
                assert row.state is DeliveryState.FORWARDED
                peer_effects.add(f"{sha256}:{row.as_written}")
    # By id, to the right recipient, with the bytes that the ledger says; and no id that the ledger does not know.
    pushed = {webhook: sorted(what) for webhook, what in rack.seen.pushed.items()}
    differing = {
        i: (pushed.get(i), expected.get(i)) for i in pushed.keys() | expected if pushed.get(i) != [expected.get(i)]
    }
    assert not differing, differing
    # No recipient got the same bytes under two ids.
    assert set(Counter(expected.values()).values()) <= {1}
    assert set(rack.peer.effects) == peer_effects
    mailbox = {row.id for row in copies if row.channel is Channel.MAILBOX}
    assert set(rack.clients.collected) == mailbox


def _one_arrival_per_copy(
    rack: Rack, sent: dict[str, Any], told: dict[str, Any], copies: Sequence[Any], reports: Sequence[Any]
) -> None:
    """Of status 01, for each copy that its receiver's own system has; a peer reports its own."""
    arrived = Counter((row.document, row.delivery) for row in reports if row.code is StatusCode.ARRIVED)
    own = {(row.document, row.id) for row in copies if row.document in sent and row.channel is not Channel.PEER}
    assert set(arrived) == own
    assert set(arrived.values()) <= {1}
    assert len(reports) == len(told) == len(own)
    # What the sender's system was told, by its own reading of the packages.
    names = Counter()
    for body in rack.seen.status_packages.values():
        with packages.read(body, rack.gateway.folder) as package:
            status = package.envelope.status
            assert status is not None
            names[package.envelope.responses[0].document_id, package.envelope.sender.code, status.code] += 1
    wanted = {(row.document_id, by, StatusCode.ARRIVED) for row in sent.values() for by in (COMMUNE, PUSHED)}
    assert set(names) == wanted
    assert set(names.values()) <= {1}


def _nothing_temporary_is_left(rack: Rack) -> None:
    """What the dead left in the spool and beside the payloads has been cleared away by the restart."""
    data = rack.gateway.settings.data
    left = [p for place in (data / "spool", data / "payloads" / "incoming") for p in place.rglob("*") if p.is_file()]
    assert [p for p in left if p.suffix != ".lock"] == []


def _the_log_is_whole(rack: Rack) -> None:
    """Whenever it died, events are sealed in their order, once, and none is missing."""
    report = audit(rack.ledger.log)
    assert (report.findings, report.events > 0) == ((), True)


def summary(kills: Counter[tuple[str, str]]) -> Iterator[str]:
    """Kills by step and engine, as a table."""
    engines = sorted({engine for engine, _ in kills})
    yield f"{'step':28}" + "".join(f"{engine:>12}" for engine in engines)
    for point in [*POINTS, "random"]:
        yield f"{point:28}" + "".join(f"{kills[engine, point]:>12}" for engine in engines)
    yield f"{'all':28}" + "".join(f"{sum(n for (e, _), n in kills.items() if e == engine):>12}" for engine in engines)
    yield f"together {kills.total()} kills"
