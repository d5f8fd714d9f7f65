"""
A province's gateway whose national axis speaks VXP or LGSP: two processes, the axis being a gateway in that role.

Documents and statuses go up by one call and come down by being fetched; a province that is killed meanwhile loses
nothing and doubles nothing.
"""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.cli.founding import CERTIFICATE
from gateway.directory.certificates import register_certificate
from gateway.ledger.records import Filter
from gateway.model import Agency, AgencyCode, Channel, DeliveryState, DocumentId, Endpoint, Level, PackageKind
from gateway.signing.keys import certificates_to_pem, load_certificates
from tests.support import documents
from tests.support.gateways import RunningGateway, a_gateway

pytestmark = pytest.mark.timeout(600)

AXIS = AgencyCode("000.00.22.W00")
PROVINCE, DEPARTMENT, COMMUNE = (AgencyCode(c) for c in ("000.00.00.H37", "000.00.14.H37", "H37.21"))
NEIGHBOUR, OTHER = (AgencyCode(c) for c in ("000.00.00.H38", "000.00.00.H41"))
SYSTEM = "00.37.W00"
MAILBOX = Endpoint(channel=Channel.MAILBOX)
PATIENCE_SECONDS = 240.0


def until(true: Callable[[], bool], what: str, log: Callable[[], str]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"{what}\n{log()}"
        time.sleep(0.1)


@dataclass
class Country:
    """The province below, and the axis."""

    province: RunningGateway
    axis: RunningGateway
    folder: Path

    def post(self, at: RunningGateway, sender: str, *recipients: str, number: int = 7) -> tuple[str, DocumentId]:
        """An agency posts a letter; the gateway's id and the document's own."""
        name = DocumentId(f"{sender},2026/03/05,{number}/SA-VP")
        package = self.folder / "posted.edxml"
        package.write_bytes(
            documents.a_package(
                sender=documents.an_organization(sender),
                recipients=tuple(documents.an_organization(code) for code in recipients),
                document_id=name,
            )
        )
        with at.client(sender) as client:
            return client.post_document(package)["id"], name

    def received(self, at: RunningGateway, recipient: str) -> Counter[str]:
        """DocumentIds on their way to one recipient, with how many deliveries each has."""
        ledger = at.ledger()
        try:
            only = Filter(kind=PackageKind.DOCUMENT, recipient=AgencyCode(recipient))
            return Counter(str(row.document.document_id) for row in ledger.search(only, limit=200).rows)
        finally:
            ledger.engine.dispose()

    def states(self, at: RunningGateway, document: str) -> dict[str, DeliveryState]:
        ledger = at.ledger()
        try:
            return {str(d.recipient): d.state for d in ledger.deliveries(document)}
        finally:
            ledger.engine.dispose()

    def states_above(self) -> Counter[DeliveryState]:
        """Of all deliveries of documents to the commune, at the axis."""
        ledger = self.axis.ledger()
        try:
            only = Filter(kind=PackageKind.DOCUMENT, recipient=COMMUNE)
            return Counter(row.delivery.state for row in ledger.search(only, limit=200).rows)
        finally:
            ledger.engine.dispose()

    def collect(self, at: RunningGateway, owner: str) -> list[str]:
        """An agency takes everything from its mailbox; the gateway's ids of what it took."""
        taken = []
        with at.client(owner) as client:
            for item in client.inbox(limit=50)["items"]:
                lock = client.lock(item["delivery"])
                with (self.folder / "collected").open("wb") as file:
                    client.fetch(item["delivery"], file)
                client.acknowledge(item["delivery"], lock["token"])
                taken.append(item["document"]["id"])
        return taken

    def statuses(self, at: RunningGateway, sender: str, document: str) -> list[str]:
        """Codes reported on a document, in order."""
        with at.client(sender) as client:
            return [s["code"] for s in client.trace(document)["statuses"]]

    def logs(self) -> str:
        return f"{self.province.log_tail()}\n\n{self.axis.log_tail()}"


def _agencies(channel: Channel, axis_url: str) -> list[Agency]:
    endpoint = Endpoint(channel=channel, url=f"{axis_url}/{channel.value}", credential="axis", system=SYSTEM)
    return [
        Agency(code=PROVINCE, name="UBND tỉnh Lạng Sơn", level=Level.PROVINCE, endpoint=MAILBOX),
        Agency(code=DEPARTMENT, name="Sở Kiểm thử", level=Level.DEPARTMENT, parent=PROVINCE, endpoint=MAILBOX),
        Agency(code=COMMUNE, name="UBND xã Kiểm thử", level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX),
        Agency(code=AXIS, name="Trục quốc gia thử", level=Level.NATIONAL, hidden=True, endpoint=endpoint),
    ]


def _agencies_above() -> list[Agency]:
    return [
        Agency(code=AXIS, name="Trục quốc gia thử", level=Level.NATIONAL, hidden=True),
        Agency(code=PROVINCE, name="UBND tỉnh Lạng Sơn", level=Level.PROVINCE, endpoint=MAILBOX),
        Agency(code=DEPARTMENT, name="Sở Kiểm thử", level=Level.DEPARTMENT, parent=PROVINCE),
        Agency(code=COMMUNE, name="UBND xã Kiểm thử", level=Level.COMMUNE, parent=PROVINCE),
        Agency(code=NEIGHBOUR, name="UBND tỉnh Lào Cai", level=Level.PROVINCE, endpoint=MAILBOX),
        Agency(code=OTHER, name="UBND tỉnh Nghệ An", level=Level.PROVINCE, endpoint=MAILBOX),
    ]


@contextmanager
def a_country(
    folder: Path, channel: Channel, *, exchange_above: Mapping[str, object] | None = None
) -> Iterator[Country]:
    """Both set up, joined and running; ``exchange_above``: settings of the axis' section of that name."""
    limits = {"rate_limit": "1000000 per minute"}
    axis = a_gateway(folder / "axis", code=AXIS, agencies=_agencies_above(), web=limits, exchange=exchange_above or {})
    added = json.loads(
        axis.run("systems", "add", SYSTEM, "--name", "Lạng Sơn", "--agency", PROVINCE, "--gateway", "--json").stdout
    )
    province = a_gateway(
        folder / "province",
        code=PROVINCE,
        agencies=_agencies(channel, "http://127.0.0.1:9"),
        first_levels=["H37"],
        default_route=AXIS,
        secrets=["axis"],
        web=limits,
        fetch={"seconds": 0.2},
    )
    axis.start()
    province.set_agencies(_agencies(channel, axis.url))
    # What only the other gateway has signed: the statuses that it makes itself.
    axis.set_agencies([_with_certificate(a, province) if a.code == PROVINCE else a for a in _agencies_above()])
    lgsp = {"username": SYSTEM, "password": added["secret"], "application_code": "EDOC", "secret_key": added["secret"]}
    province.set_secret("axis", added["secret"] if channel is Channel.VXP else json.dumps(lgsp))
    province.start()
    try:
        yield Country(province, axis, folder)
    finally:
        province.kill()
        axis.kill()


@pytest.fixture(params=[Channel.VXP, Channel.LGSP], ids=lambda channel: channel.value)
def country(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Country]:
    with a_country(tmp_path, request.param) as made:
        yield made


def _with_certificate(agency: Agency, gateway: RunningGateway) -> Agency:
    own = load_certificates(gateway.settings.data / CERTIFICATE)[:1]
    return replace(agency, certificates=(register_certificate(certificates_to_pem(own).decode(), role="gateway"),))


def test_a_document_goes_up_to_two_provinces_and_its_statuses_come_down(country: Country) -> None:
    sent, name = country.post(country.province, DEPARTMENT, NEIGHBOUR, OTHER, COMMUNE)
    until(
        lambda: (
            country.states(country.province, sent)
            == {NEIGHBOUR: DeliveryState.FORWARDED, OTHER: DeliveryState.FORWARDED, COMMUNE: DeliveryState.WAITING}
        ),
        "it did not go up",
        country.logs,
    )
    assert country.received(country.axis, NEIGHBOUR) == country.received(country.axis, OTHER) == Counter({name: 1})
    # The commune has it from the province, and from nobody else.
    assert country.received(country.axis, COMMUNE) == Counter()
    assert len(country.collect(country.axis, NEIGHBOUR)) == 1
    until(lambda: "01" in country.statuses(country.province, DEPARTMENT, sent), "no status came down", country.logs)
    assert country.states(country.province, sent)[NEIGHBOUR] is DeliveryState.DELIVERED
    assert country.states(country.province, sent)[OTHER] is DeliveryState.FORWARDED


def test_a_document_comes_down_to_two_of_ours_and_their_statuses_go_up(country: Country) -> None:
    sent, name = country.post(country.axis, NEIGHBOUR, DEPARTMENT, COMMUNE, OTHER)
    until(lambda: country.received(country.province, COMMUNE) == Counter({name: 1}), "it did not come", country.logs)
    assert country.received(country.province, DEPARTMENT) == Counter({name: 1})
    assert country.received(country.province, OTHER) == Counter()
    (taken,) = country.collect(country.province, COMMUNE)
    with country.province.client(COMMUNE) as client:
        client.report_status(taken, "03")
    until(lambda: country.statuses(country.axis, NEIGHBOUR, sent) == ["01", "03"], "no statuses went up", country.logs)


@pytest.mark.parametrize("country", [Channel.VXP], indirect=True, ids=["vxp"])
def test_a_province_that_is_killed_while_it_fetches_loses_and_doubles_nothing(country: Country) -> None:
    country.province.stop()
    names = [country.post(country.axis, NEIGHBOUR, COMMUNE, number=n)[1] for n in range(12)]
    for fault in ("accept.before_commit:2", "accept.after_commit:2", "accept.after_spool:3"):
        country.province.start(environment={"GATEWAY_FAULT": fault}, wait=False)
        assert country.province.wait_for_end(seconds=60) == -signal.SIGKILL
    country.province.start()
    until(lambda: len(country.received(country.province, COMMUNE)) == len(names), "not all came", country.logs)
    assert country.received(country.province, COMMUNE) == Counter(names)
    # All is acknowledged above: nothing is left to be listed.
    until(
        lambda: country.states_above() == Counter({DeliveryState.FORWARDED: len(names)}),
        "not acknowledged",
        country.logs,
    )
