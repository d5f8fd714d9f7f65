"""
A province's gateway and the one above it, as processes with keys of their own.

Documents wait below while there is nobody above, or somebody who answers nonsense; they go up in order of
urgency, once, and their statuses come back.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.founding import CERTIFICATE
from gateway.directory.certificates import register_certificate
from gateway.ledger.records import DocumentSummary, Filter
from gateway.model import (
    Agency,
    Channel,
    DeliveryState,
    DocumentId,
    DocumentNumber,
    Endpoint,
    Level,
    OtherInfo,
    PackageKind,
    StatusCode,
)
from gateway.signing.keys import SigningKey, certificates_to_pem, load_certificates
from gateway.signing.sign import sign_package
from tests.support import documents, wire
from tests.support.exchange import registered
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.peer import PORTAL, RESETS, Receiver, Reply, Request, a_receiver, fails, says
from tests.support.torture import ABOVE, NEIGHBOUR, PROVINCE, PUSH_SECRET, PUSHED, SENDER, a_key, quiet_port

pytestmark = pytest.mark.timeout(600)

PATIENCE_SECONDS = 240.0


def until(true: Callable[[], bool], what: str, *, log: Callable[[], str] = str) -> None:
    """Wait for it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"{what}\n{log()}"
        time.sleep(0.05)


@dataclass
class Pair:
    """The two gateways, and the department's system below."""

    lower: RunningGateway
    upper: RunningGateway
    key: SigningKey
    pushed: Receiver
    folder: Path
    posted: dict[str, bytes] = field(default_factory=dict)
    """DocumentId → package."""

    def post(self, number: int, *, lane: int = 0, signed: bool = True, to: str = NEIGHBOUR) -> dict[str, Any]:
        """A department posts a letter below."""
        name = f"{SENDER},2026/03/05,{number}/SA-VP"
        raw = documents.a_package(
            recipients=(documents.an_organization(to),),
            document_id=DocumentId(name),
            number=DocumentNumber(number=str(number), notation="SA-VP"),
            other=OtherInfo(priority=lane, promulgation_amount=1, page_amount=2, direction=False),
        )
        self.posted[name] = sign_package(raw, self.key) if signed else raw
        return self.again(name)

    def again(self, name: str) -> dict[str, Any]:
        """The same bytes once more."""
        package = self.folder / "posted.edxml"
        package.write_bytes(self.posted[name])
        with self.lower.client(SENDER) as client:
            return client.post_document(package)

    def states(self) -> Counter[DeliveryState]:
        """Of the documents' deliveries below."""
        ledger = self.lower.ledger()
        try:
            return Counter(
                row.delivery.state for row in ledger.search(Filter(kind=PackageKind.DOCUMENT), limit=200).rows
            )
        finally:
            ledger.engine.dispose()

    def all_are(self, state: DeliveryState) -> bool:
        """Whether every document posted so far is in that state below."""
        return self.states() == {state: len(self.posted)}

    def failures_below(self) -> Counter[str]:
        """Error codes of all tries below."""
        ledger = self.lower.ledger()
        try:
            rows = ledger.search(Filter(kind=PackageKind.DOCUMENT), limit=200).rows
            return Counter(a.code for row in rows for a in ledger.attempts(row.delivery.id) if a.code is not None)
        finally:
            ledger.engine.dispose()

    def arrived(self) -> list[DocumentSummary]:
        """The documents above, in order of arrival."""
        ledger = self.upper.ledger()
        try:
            rows = ledger.documents(Filter(kind=PackageKind.DOCUMENT), limit=200).rows
            return sorted(rows, key=lambda row: (row.received_at, row.id))
        finally:
            ledger.engine.dispose()

    def collect_above(self) -> list[str]:
        """The neighbour takes everything from its mailbox; the gateway's ids of what it took."""
        taken = []
        with self.upper.client(NEIGHBOUR) as client:
            while items := client.inbox(limit=50)["items"]:
                for item in items:
                    lock = client.lock(item["delivery"])
                    with (self.folder / "collected").open("wb") as file:
                        client.fetch(item["delivery"], file)
                    client.acknowledge(item["delivery"], lock["token"])
                    taken.append(item["document"]["id"])
        return taken

    def statuses_below(self, receipt_id: str) -> list[str]:
        """Codes reported on a document, in order."""
        with self.lower.client(SENDER) as client:
            return [s["code"] for s in client.trace(receipt_id)["statuses"]]


def _below(upper_url: str, push_url: str, key: SigningKey) -> list[Agency]:
    peer = Endpoint(channel=Channel.PEER, url=upper_url, credential="above")
    return [
        Agency(code=PROVINCE, name="UBND tỉnh Lạng Sơn", level=Level.PROVINCE,
               endpoint=Endpoint(channel=Channel.MAILBOX)),
        Agency(code=SENDER, name="Sở Gửi thử", level=Level.DEPARTMENT, parent=PROVINCE,
               certificates=(registered(key),), endpoint=Endpoint(channel=Channel.MAILBOX)),
        Agency(code=PUSHED, name="Sở Nhận đẩy", level=Level.DEPARTMENT, parent=PROVINCE,
               endpoint=Endpoint(channel=Channel.PUSH, url=push_url, credential="push")),
        Agency(code=ABOVE, name="Trục quốc gia thử", level=Level.NATIONAL, hidden=True, endpoint=peer),
    ]  # fmt: skip


def _above(lower_url: str, key: SigningKey) -> list[Agency]:
    peer = Endpoint(channel=Channel.PEER, url=lower_url, credential="below")
    return [
        Agency(code=PROVINCE, name="UBND tỉnh Lạng Sơn", level=Level.PROVINCE, endpoint=peer),
        Agency(code=SENDER, name="Sở Gửi thử", level=Level.DEPARTMENT, parent=PROVINCE,
               certificates=(registered(key),)),
        Agency(code=NEIGHBOUR, name="UBND tỉnh Lào Cai", level=Level.PROVINCE,
               endpoint=Endpoint(channel=Channel.MAILBOX)),
    ]  # fmt: skip


@contextmanager
def a_pair(folder: Path) -> Iterator[Pair]:
    """Both set up and knowing each other's keys; neither is started."""
    key = a_key("Sở Gửi thử", at=datetime.now(UTC))
    ports = quiet_port(), quiet_port()
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    web = {"rate_limit": "1000000 per minute"}
    with a_receiver() as pushed:
        lower = a_gateway(
            folder / "lower",
            code=PROVINCE,
            agencies=_below(urls[1], pushed.url, key),
            first_levels=["H37"],
            default_route=ABOVE,
            secrets=["above", "push"],
            web=web,
            # One request at a time, so that the order of arrival is the order of sending.
            delivery={"per_endpoint": 1, "read_timeout_seconds": 40, "wait_factor": 0.001},
        )
        upper = a_gateway(
            folder / "upper",
            code=ABOVE,
            agencies=_above(urls[0], key),
            secrets=["below"],
            web=web,
            delivery={"wait_factor": 0.005, "lease_seconds": 10},
        )
        lower.port, upper.port = ports
        # Each is given the other's API key and, for what only a gateway has signed, its certificate.
        lower.set_secret("above", upper.key(PROVINCE))
        lower.set_secret("push", PUSH_SECRET)
        below = [_with_certificate(a, upper) if a.code == ABOVE else a for a in _below(urls[1], pushed.url, key)]
        above = [_with_certificate(a, lower) if a.code == PROVINCE else a for a in _above(urls[0], key)]
        lower.set_agencies(below)
        upper.set_agencies(above)
        upper.set_secret("below", lower.key(ABOVE))
        try:
            yield Pair(lower, upper, key, pushed, folder)
        finally:
            lower.kill()
            upper.kill()


def _with_certificate(agency: Agency, gateway: RunningGateway) -> Agency:
    own = load_certificates(gateway.settings.data / CERTIFICATE)[:1]
    return replace(agency, certificates=(register_certificate(certificates_to_pem(own).decode(), role="gateway"),))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with a_pair(tmp_path) as made:
        yield made


def test_what_waited_goes_up_in_order_of_urgency_once_the_gateway_above_returns(pair: Pair) -> None:
    pair.lower.start()
    lanes = [0, 3, 1, 4, 0, 2, 4, 1, 3, 0, 2, 1, 4, 3, 2, 0]
    for number, lane in enumerate(lanes):
        pair.post(number, lane=lane, signed=number % 2 == 0)
    for name in list(pair.posted)[::3]:
        assert pair.again(name)["duplicate"] is True
    until(lambda: pair.failures_below()["delivery.peer_unreachable"] >= 8, "nobody was tried")
    assert pair.all_are(DeliveryState.WAITING)
    pair.upper.start()
    until(lambda: pair.all_are(DeliveryState.FORWARDED), "not all went up", log=pair.lower.log_tail)
    arrived = pair.arrived()
    assert sorted(str(row.document_id) for row in arrived) == sorted(pair.posted)
    assert [int(row.lane) for row in arrived] == sorted(lanes, reverse=True)


def test_statuses_come_back_down_once_each(pair: Pair) -> None:
    pair.lower.start()
    pair.upper.start()
    receipts = [pair.post(number, signed=number % 2 == 0)["id"] for number in range(4)]
    until(lambda: len(pair.arrived()) == len(receipts), "not all arrived", log=pair.lower.log_tail)
    collected = pair.collect_above()
    with pair.upper.client(NEIGHBOUR) as client:
        for document in collected:
            client.report_status(document, StatusCode.REGISTERED)
            client.report_status(document, StatusCode.DONE)
    for receipt in receipts:
        until(lambda r=receipt: len(pair.statuses_below(r)) >= 3, "statuses are missing", log=pair.upper.log_tail)  # type: ignore[misc]  # mypy cannot see the type of a default
        assert sorted(pair.statuses_below(receipt)) == ["01", "03", "06"]
    assert pair.all_are(DeliveryState.DELIVERED)


def _wrong_receipt() -> Reply:
    return says(202, json.dumps({"id": "x", "sha256": "0" * 64, "jws": "e30.e30.e30"}).encode())


def test_nonsense_from_above_is_survived(pair: Pair) -> None:
    """Each answer leaves the document where it is; the redirect is not followed."""
    with wire.a_canary() as canary:
        redirect = Reply(302, (("Location", f"{canary.url}/api/v1/documents"),), b"", stores=False)
        permanent = Reply(308, (("Location", f"{canary.url}/api/v1/documents"),), b"", stores=False)
        nonsense = [
            fails(500), PORTAL, redirect, permanent, _wrong_receipt(), says(202, b"[]"), says(200, b"{"),
            says(204, b""),
            fails(503, retry_after="0"), fails(404), fails(401), fails(429), RESETS, Reply(stores=False, ends="half"),
        ]  # fmt: skip
        with a_receiver(fails(500), port=pair.upper.port) as stand_in:
            stand_in.script.extend(nonsense)
            pair.lower.start()
            pair.post(1)
            until(lambda: not stand_in.script, "the nonsense was not heard", log=pair.lower.log_tail)
            # One look: between two, the worker may have taken it or put it back.
            assert set(+pair.states()) <= {DeliveryState.WAITING, DeliveryState.LEASED}
            assert not stand_in.effects
        pair.upper.start()
        until(lambda: pair.all_are(DeliveryState.FORWARDED), "it did not go up", log=pair.lower.log_tail)
        assert len(pair.arrived()) == 1
        assert canary.calls == []


def test_a_gateway_above_that_does_not_answer_delays_nobody_else(pair: Pair) -> None:
    """All pushes are through while the requests upward still hang."""
    answer = threading.Event()

    def hangs(request: Request) -> Reply:
        return Reply(until=answer)

    with a_receiver(port=pair.upper.port) as stand_in:
        stand_in.rule = hangs
        pair.lower.start()
        for number in range(6):
            pair.post(number, lane=4)
        until(lambda: stand_in.in_flight >= 1, "nothing went up", log=pair.lower.log_tail)
        for number in range(6, 26):
            pair.post(number, to=PUSHED)
        until(lambda: len(pair.pushed.effects) == 20, "the others waited", log=pair.lower.log_tail)
        assert stand_in.in_flight >= 1, "the one above has not answered yet"
        assert not answer.is_set()
        answer.set()
        until(lambda: pair.states()[DeliveryState.FORWARDED] == 6, "they did not go up", log=pair.lower.log_tail)


def test_a_gateway_above_killed_in_the_middle_has_each_document_once(pair: Pair) -> None:
    pair.lower.start()
    steps = ["accept.after_verify:3", "accept.after_commit:4", "accept.before_commit:2", "accept.after_commit:1"]
    receipts = []
    for step in steps:
        upper = pair.upper.start(environment={"GATEWAY_FAULT": step})
        receipts += [pair.post(len(receipts) + n, lane=n, signed=n % 2 == 0)["id"] for n in range(5)]
        assert upper.wait_for_end(seconds=60) == -9
    pair.upper.start()
    until(lambda: pair.all_are(DeliveryState.FORWARDED), "not all went up", log=pair.lower.log_tail)
    arrived = pair.arrived()
    assert sorted(str(row.document_id) for row in arrived) == sorted(pair.posted)
    # The copy above has the bytes that were sent below, whoever completed them.
    ledger = pair.lower.ledger()
    try:
        sent = {str(row.document_id): ledger.document(row.id) for row in ledger.documents(Filter(), limit=200).rows}
    finally:
        ledger.engine.dispose()
    assert {str(row.document_id): row.sha256 for row in arrived} == {n: sent[n].sent_sha256 for n in pair.posted}  # type: ignore[union-attr]  # they are there
    # And what was killed above goes back down as well: statuses with the gateway above dying while it delivers them.
    pair.upper.kill()
    pair.upper.start(environment={"GATEWAY_FAULT": "deliver.after_send:2"}, worker="process")
    pair.collect_above()
    assert pair.upper.worker is not None
    assert pair.upper.worker.wait(timeout=60) == -9
    pair.upper.start_worker()
    for receipt in receipts:
        until(lambda r=receipt: pair.statuses_below(r) == ["01"], "01 is missing", log=pair.upper.log_tail)  # type: ignore[misc]  # as above
    assert pair.all_are(DeliveryState.DELIVERED)
