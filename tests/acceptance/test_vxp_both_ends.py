"""Our client and our server of the national protocol, each written from the protocol alone, understand each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.delivery.axis import Outgoing
from gateway.delivery.http import HttpClient, HttpSettings
from gateway.delivery.vxp import VxpAxis
from gateway.errors import AxisNotAuthenticated, PeerRefused
from gateway.ledger import Ledger, open_engine, prepare
from gateway.model import AgencyCode, DocumentId, Level, PackageKind
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
    sender: VxpAxis
    receiver: VxpAxis

    def outgoing(self, raw: bytes, *to: AgencyCode) -> Outgoing:
        document = self.site.ledger.document(self.site.accept(raw).document_id)
        assert document is not None
        return Outgoing(
            document=document, recipients=to, body=raw, size=len(raw), sha256=document.sha256, attempt=1,
            since=datetime.now(UTC),
        )  # fmt: skip


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    folder = tmp_path_factory.mktemp("ends")
    agencies = [
        an_agency(PROVINCE, level=Level.PROVINCE, endpoint=MAILBOX),
        an_agency(DEPARTMENT, "H37.14", level=Level.DEPARTMENT, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(COMMUNE, level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX),
    ]
    gateway = a_gateway(folder / "gateway", code=PROVINCE, agencies=agencies, first_levels=["H37"])
    secrets = {system: a_system(gateway, system, code) for system, code in (("S", DEPARTMENT), ("R", COMMUNE))}
    gateway.start()
    engine = open_engine(f"sqlite:///{folder / 'ledger.sqlite3'}")
    prepare(engine)
    http = HttpClient(HttpSettings())
    sender, receiver = (
        VxpAxis(http=http, url=f"{gateway.url}/vxp", system=system, secret=secret) for system, secret in secrets.items()
    )
    with a_site(Ledger(engine), folder) as site:
        yield Ends(gateway, site, sender, receiver)
    http.close()
    engine.dispose()
    gateway.stop()


def letter(number: int) -> bytes:
    return documents.a_package(
        recipients=(documents.an_organization(COMMUNE),),
        document_id=DocumentId(f"{DEPARTMENT},2026/03/05,{number}/SA-VP"),
        number=documents.DocumentNumber(number=str(number), notation="SA-VP"),
    )


def now() -> datetime:
    return datetime.now(UTC)


def waiting(ends: Ends) -> set[str]:
    """What the receiver is shown."""
    return {row.doc_id for row in ends.receiver.inbox(PackageKind.DOCUMENT, since=None, now=now()).entries}


def test_a_sent_document_is_collected_byte_for_byte_but_for_what_the_gateway_adds(ends: Ends, tmp_path: Path) -> None:
    raw = letter(1)
    receipt = json.loads(ends.sender.send(ends.outgoing(raw, COMMUNE), now=now()))
    ledger = ends.gateway.ledger()
    document = ledger.document(receipt["docId"])
    ledger.engine.dispose()
    assert document is not None
    assert document.sha256 == ends.outgoing(raw, COMMUNE).sha256
    [listed] = ends.receiver.inbox(PackageKind.DOCUMENT, since=None, now=now()).entries
    with ends.receiver.package(listed.doc_id, folder=tmp_path, limit_bytes=1_000_000, now=now()) as reader:
        package = b"".join(iter(lambda: reader.read(1_000), b""))
    assert len(package) == document.forward_size
    ends.receiver.acknowledge(listed.doc_id, taken=True, now=now())
    assert ends.receiver.inbox(PackageKind.DOCUMENT, since=None, now=now()).entries == []
    assert len(ends.sender.inbox(PackageKind.STATUS, since=None, now=now()).entries) == 1


def test_what_arrived_without_an_answer_is_found_again(ends: Ends) -> None:
    first, second = (ends.outgoing(letter(number), COMMUNE) for number in (2, 3))
    assert ends.sender.already_sent(first, now=now()) == {}
    ends.sender.send(first, now=now())
    assert set(ends.sender.already_sent(first, now=now())) == {COMMUNE}
    assert ends.sender.already_sent(second, now=now()) == {}


def test_what_the_server_refuses_is_final_to_the_client(ends: Ends) -> None:
    raw = documents.a_package(recipients=(documents.an_organization("H37.404"),))
    outgoing = replace(
        ends.outgoing(letter(4), COMMUNE), body=raw, size=len(raw), sha256=hashlib.sha256(raw).hexdigest()
    )
    with pytest.raises(PeerRefused):
        ends.sender.send(outgoing, now=now())


def test_a_wrong_secret_is_known_for_what_it_is(ends: Ends) -> None:
    wrong = VxpAxis(http=ends.sender.http, url=ends.sender.url, system="S", secret="another")
    with pytest.raises(AxisNotAuthenticated):
        wrong.inbox(PackageKind.DOCUMENT, since=now() - timedelta(days=1), now=now())


def test_a_document_that_failed_is_not_listed_at_once(ends: Ends) -> None:
    ends.sender.send(ends.outgoing(letter(5), COMMUNE), now=now())
    before = waiting(ends)
    doc_id = max(before)
    ends.receiver.acknowledge(doc_id, taken=False, now=now())
    assert waiting(ends) == before - {doc_id}


@pytest.mark.parametrize("call", ["getAgenciesList", "getAgenciesListQD20", "getSynchronizeUnit"])
def test_the_catalogue_can_be_read(ends: Ends, tmp_path: Path, call: str) -> None:
    with ends.sender.catalogue(call, folder=tmp_path, now=now()) as file:
        answer = json.load(file)
    assert answer["ErrorCode"] == "0"
    assert {row["code"] for row in answer["data"]} & {DEPARTMENT, "H37.14"}


def test_the_axis_counts_what_waits(ends: Ends) -> None:
    assert isinstance(ends.receiver.count(PackageKind.DOCUMENT, now=now()), int)
