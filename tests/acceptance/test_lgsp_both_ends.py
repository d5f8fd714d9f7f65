"""Our client and our server of the provincial protocol, each written from the protocol alone, understand each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.delivery.axis import Outgoing
from gateway.delivery.http import HttpClient, HttpSettings
from gateway.delivery.lgsp import LgspAxis, Tokens
from gateway.errors import AxisNotAuthenticated, PeerRefused
from gateway.ledger import Ledger, open_engine, prepare
from gateway.model import AgencyCode, DocumentId, DocumentNumber, Level, PackageKind
from tests.support import documents
from tests.support.agencies import an_agency
from tests.support.exchange import COMMUNE, DEPARTMENT, MAILBOX, PROVINCE, Site, a_site
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.systems import a_system

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass
class Ends:
    """A running gateway, two systems as our client sees them, and a ledger to have documents from."""

    gateway: RunningGateway
    site: Site
    sender: LgspAxis
    receiver: LgspAxis

    def outgoing(self, raw: bytes) -> Outgoing:
        document = self.site.ledger.document(self.site.accept(raw).document_id)
        assert document is not None
        return Outgoing(
            document=document, recipients=(COMMUNE,), body=raw, size=len(raw), sha256=document.sha256, attempt=1,
            since=datetime.now(UTC),
        )  # fmt: skip


def credential(system: str, secret: str) -> str:
    return json.dumps({"username": system, "password": secret, "application_code": "gateway", "secret_key": secret})


@pytest.fixture(scope="module", params=["actual", "documented"])
def ends(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    """A gateway that lets the newest login alone be valid, in each of its shapes."""
    folder = tmp_path_factory.mktemp("ends")
    agencies = [
        an_agency(PROVINCE, level=Level.PROVINCE, endpoint=MAILBOX),
        an_agency(DEPARTMENT, "H37.14", level=Level.DEPARTMENT, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(COMMUNE, level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX),
    ]
    own = {"response": request.param, "single_token": True}
    gateway = a_gateway(folder / "gateway", code=PROVINCE, agencies=agencies, first_levels=["H37"], lgsp=own)
    secrets = {system: a_system(gateway, system, code) for system, code in (("S", DEPARTMENT), ("R", COMMUNE))}
    gateway.start()
    engine = open_engine(f"sqlite:///{folder / 'ledger.sqlite3'}")
    prepare(engine)
    http = HttpClient(HttpSettings())
    sender, receiver = (
        LgspAxis(http=http, url=f"{gateway.url}/lgsp", system=s, secret=credential(s, secret), tokens=Tokens())
        for s, secret in secrets.items()
    )
    with a_site(Ledger(engine), folder) as site:
        yield Ends(gateway, site, sender, receiver)
    http.close()
    engine.dispose()
    gateway.stop()


def letter(number: int, to: AgencyCode = COMMUNE) -> bytes:
    return documents.a_package(
        recipients=(documents.an_organization(to),),
        document_id=DocumentId(f"{DEPARTMENT},2026/03/05,{number}/SA-VP"),
        number=DocumentNumber(number=str(number), notation="SA-VP"),
    )


def now() -> datetime:
    return datetime.now(UTC)


def waiting(ends: Ends) -> set[str]:
    return {row.doc_id for row in ends.receiver.inbox(PackageKind.DOCUMENT, since=None, now=now()).entries}


def test_a_sent_document_is_collected_and_settled(ends: Ends, tmp_path: Path) -> None:
    raw = letter(1)
    receipt = json.loads(ends.sender.send(ends.outgoing(raw), now=now()))
    ledger = ends.gateway.ledger()
    document = ledger.document(receipt["docId"])
    ledger.engine.dispose()
    assert document is not None
    assert document.size == len(raw)
    (doc_id,) = waiting(ends)
    with ends.receiver.package(doc_id, folder=tmp_path, limit_bytes=1_000_000, now=now()) as reader:
        package = b"".join(iter(lambda: reader.read(1_000), b""))
    assert len(package) == document.forward_size
    ends.receiver.acknowledge(doc_id, taken=True, now=now())
    assert waiting(ends) == set()
    assert len(ends.sender.inbox(PackageKind.STATUS, since=None, now=now()).entries) == 1


def test_the_same_bytes_after_a_lost_answer_are_the_same_document(ends: Ends) -> None:
    outgoing = ends.outgoing(letter(2))
    first = ends.sender.send(outgoing, now=now())
    assert ends.sender.send(replace(outgoing, attempt=2), now=now()) == first


def test_what_the_server_refuses_is_final_to_the_client(ends: Ends) -> None:
    raw = letter(3, AgencyCode("H37.404"))
    with pytest.raises(PeerRefused) as refused:
        ends.sender.send(replace(ends.outgoing(letter(4)), body=raw, size=len(raw)), now=now())
    assert refused.value.peer_code == "recipient.unknown"


def test_a_token_that_another_login_ended_is_renewed_within_the_call(ends: Ends) -> None:
    before = waiting(ends)
    elsewhere = replace(ends.receiver, tokens=Tokens())
    there = {row.doc_id for row in elsewhere.inbox(PackageKind.DOCUMENT, since=None, now=now()).entries}
    assert waiting(ends) == there == before


def test_a_wrong_secret_is_known_for_what_it_is(ends: Ends) -> None:
    wrong = replace(ends.sender, secret=credential("S", "another"))
    with pytest.raises(AxisNotAuthenticated):
        wrong.inbox(PackageKind.DOCUMENT, since=now() - timedelta(days=1), now=now())


def test_a_document_that_failed_is_not_listed_at_once(ends: Ends) -> None:
    ends.sender.send(ends.outgoing(letter(5)), now=now())
    before = waiting(ends)
    doc_id = max(before)
    ends.receiver.acknowledge(doc_id, taken=False, now=now())
    assert waiting(ends) == before - {doc_id}
