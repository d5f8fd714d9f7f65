"""
The gateway as a client of an axis, examined by the conformance kit as any vendor's software would be.

The kit plays the axis on its bad day: answers are lost, a list is an error page, a document comes twice, a token dies.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.conformance.axis import PARTNER
from gateway.conformance.rules import Outcome
from gateway.conformance.server import ConformanceServer
from gateway.conformance.stand import RULES, a_stand
from gateway.conformance.watch import Watch
from gateway.model import AgencyCode, Channel, Endpoint, Level, StatusCode
from tests.support import documents
from tests.support.agencies import MAILBOX, an_agency
from tests.support.gateways import RunningGateway, a_gateway

pytestmark = pytest.mark.timeout(600)

PROVINCE, AGENCY, ABOVE = AgencyCode("000.00.00.H37"), AgencyCode("000.00.14.H37"), AgencyCode("00.22.W00")
SYSTEM, SECRET = "02.37.W00", "bi-mat-de-thu"
PATIENCE_SECONDS = 240.0
CREDENTIAL = {
    "vxp": SECRET,
    "lgsp": json.dumps({"username": SYSTEM, "password": SECRET, "application_code": "edoc", "secret_key": SECRET}),
}


@contextlib.contextmanager
def an_axis(protocol: str) -> Iterator[tuple[ConformanceServer, Watch]]:
    """The kit's, served."""
    watch = Watch(protocol, RULES[protocol])
    server = a_stand(
        ("127.0.0.1", 0), watch, protocol=protocol, system=SYSTEM, secret=SECRET, agency=AGENCY, faults=True
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server, watch
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def a_client(folder: Path, protocol: str, url: str) -> Iterator[RunningGateway]:
    """A province's gateway below that axis."""
    axis = Endpoint(channel=Channel(protocol), url=url, system=SYSTEM, credential="axis")
    agencies = [
        an_agency(PROVINCE, level=Level.PROVINCE, endpoint=MAILBOX),
        an_agency(AGENCY, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(ABOVE, level=Level.NATIONAL, hidden=True, endpoint=axis),
    ]
    gateway = a_gateway(
        folder,
        code=PROVINCE,
        agencies=agencies,
        first_levels=["H37"],
        default_route=ABOVE,
        secrets=["axis"],
        fetch={"seconds": 1},
        web={"rate_limit": "1000000 per minute"},
    )
    gateway.set_secret("axis", CREDENTIAL[protocol])
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


def collect(gateway: RunningGateway, folder: Path) -> None:
    """What the agency's system does all day: take what there is, register it, disagree with recalls."""
    with gateway.client(AGENCY) as client:
        for item in client.inbox(limit=100)["items"]:
            if item["locked"]:
                continue
            token = client.lock(item["delivery"])["token"]
            path = folder / "collected"
            with path.open("wb") as file:
                client.fetch(item["delivery"], file)
            client.acknowledge(item["delivery"], token)
            document = item["document"]
            if document["kind"] != "document":
                continue
            recalled = b"BussinessDocType>1<" in path.read_bytes()
            if recalled:
                client.report_status(document["id"], StatusCode.DISAGREED, description="Đã xử lý")
            else:
                client.report_status(document["id"], StatusCode.REGISTERED)


def until(true: Callable[[], bool], what: Callable[[], Any]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)


TOLD_AGAIN = {"ack.lost", "ack.twice"}
"""Need a second acknowledgement, which the gateway makes after a minute."""


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "later"), [("vxp", set()), ("lgsp", TOLD_AGAIN)])
def test_the_gateway_keeps_every_rule_for_clients(protocol: str, later: set[str], tmp_path: Path) -> None:
    """:param later: rules that are not waited for: one of the two protocols shows them, and that is enough."""
    letter = documents.a_package(
        sender=documents.an_organization(AGENCY), recipients=(documents.an_organization(PARTNER),)
    )
    (tmp_path / "letter").write_bytes(letter)
    with (
        an_axis(protocol) as (axis, watch),
        a_client(tmp_path / "below", protocol, f"http://127.0.0.1:{axis.port}") as gateway,
    ):
        with gateway.client(AGENCY) as client:
            client.post_document(tmp_path / "letter")

        def not_kept(outcome: Outcome) -> dict[str, Any]:
            lines = [line for line in watch.report().lines if line.outcome is outcome]
            return {line.rule.id.partition(".")[2]: line.reason for line in lines}

        def known() -> bool:
            collect(gateway, tmp_path)
            return bool(not_kept(Outcome.FAIL)) or not_kept(Outcome.OPEN).keys() <= later

        until(known, lambda: f"{not_kept(Outcome.OPEN)}\n{gateway.log_tail(5)}")
        assert not_kept(Outcome.FAIL) == {}
        # Sent twice for the lost answer or not: the axis has it once, and what came twice is one document here.
        assert len([s for s in axis.axis.sent.values() if s.kind == "edoc"]) == 1
        with gateway.client(AGENCY) as client:
            rows = client.documents(kind="document", sender=PARTNER, limit=50)["documents"]
        assert len({row["document_id"] for row in rows}) == 2, "two documents, and the recall of one"
