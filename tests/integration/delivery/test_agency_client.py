"""The agency's client and the gateway's own peer channel, against the real API served on the loopback."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cheroot.wsgi import Server

from gateway.delivery import peer
from gateway.delivery.agency import AgencyClient, AgencySettings
from gateway.delivery.http import HttpClient
from gateway.errors import (
    DeliveryError,
    EndpointMisconfigured,
    PeerAnswerUnusable,
    PeerRefused,
    PeerUnreachable,
)
from gateway.ledger import Ledger, open_engine, prepare
from gateway.model import AgencyCode
from tests.support.documents import COMMUNE, RECIPIENT, SENDER, a_package
from tests.support.exchange import Site, a_site
from tests.support.peer import PORTAL, Receiver


@pytest.fixture
def gateway_site(tmp_path: Path) -> Iterator[Site]:
    engine = open_engine(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    prepare(engine)
    with a_site(Ledger(engine), tmp_path) as joined:
        yield joined
    engine.dispose()


@pytest.fixture
def url(gateway_site: Site) -> Iterator[str]:
    server = Server(("127.0.0.1", 0), gateway_site.client().application)
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield f"http://127.0.0.1:{server.bind_addr[1]}"
    server.stop()
    thread.join()


def token(site: Site, agency: AgencyCode) -> str:
    return site.key(agency)["Authorization"].removeprefix("Bearer ")


def client(url: str, site: Site, agency: AgencyCode) -> AgencyClient:
    return AgencyClient(AgencySettings(url=url, key=token(site, agency)))


def test_a_document_is_posted_collected_and_acknowledged(url: str, gateway_site: Site, tmp_path: Path) -> None:
    package = tmp_path / "a.edxml"
    package.write_bytes(a_package())
    with client(url, gateway_site, SENDER) as sender, client(url, gateway_site, COMMUNE) as receiver:
        receipt = sender.post_document(package)
        assert not receipt["duplicate"]
        assert sender.post_document(package)["duplicate"]

        (item,) = receiver.inbox()["items"]
        lock = receiver.lock(item["delivery"])
        content = io.BytesIO()
        assert receiver.fetch(item["delivery"], content) == len(content.getvalue()) > 0
        assert receiver.acknowledge(item["delivery"], lock["token"])["state"] == "delivered"
        assert receiver.report_status(item["document"]["id"], "03")["sha256"]

        assert {s["code"] for s in sender.trace(receipt["id"])["statuses"]} == {"01", "03"}
        assert receipt["id"] in {d["id"] for d in sender.documents(limit=10)["documents"]}
        assert sender.agencies("co quan")["agencies"] is not None


def test_a_refusal_travels_with_its_reason(url: str, gateway_site: Site, tmp_path: Path) -> None:
    package = tmp_path / "a.edxml"
    package.write_bytes(a_package())
    with client(url, gateway_site, SENDER) as sender, client(url, gateway_site, COMMUNE) as receiver:
        receipt = sender.post_document(package, recipients=[COMMUNE])
        (item,) = receiver.inbox()["items"]
        lock = receiver.lock(item["delivery"])
        receiver.refuse(item["delivery"], lock["token"], reason="Không thuộc thẩm quyền")
        assert [s["code"] for s in sender.trace(receipt["id"])["statuses"]] == ["02"]


def test_what_goes_wrong_is_named(url: str, gateway_site: Site, tmp_path: Path) -> None:
    package = tmp_path / "a.edxml"
    package.write_bytes(b"<html/>")
    with client(url, gateway_site, SENDER) as sender:
        with pytest.raises(PeerRefused) as refused:
            sender.post_document(package)
        assert refused.value.peer_code == "package.unknown"
        assert "root element" in refused.value.detail, "the caller is shown the gateway's sentence"
        with pytest.raises(EndpointMisconfigured) as absent:
            sender.trace("no-such-document")
        assert "request.not_found" in absent.value.detail
    with (
        AgencyClient(AgencySettings(url=url, key="gw_unknown_key")) as stranger,
        pytest.raises(EndpointMisconfigured) as caught,
    ):
        stranger.inbox()
    assert "401" in caught.value.detail
    assert "gw_unknown_key" not in caught.value.detail


def test_nobody_there_and_somebody_else_there_are_named(receiver: Receiver, tmp_path: Path) -> None:
    package = tmp_path / "a.edxml"
    package.write_bytes(b"<edXML/>")
    with AgencyClient(AgencySettings(url="http://127.0.0.1:1", key="k")) as nobody, pytest.raises(PeerUnreachable):
        nobody.inbox()
    receiver.default = PORTAL
    with AgencyClient(AgencySettings(url=receiver.url, key="k")) as portal, pytest.raises(PeerAnswerUnusable):
        portal.post_document(package)


# The same API as a peer's


def post_as_peer(http: HttpClient, url: str, key: str, raw: bytes, *recipients: str) -> str:
    return peer.send(
        http,
        url=url,
        key=key,
        recipients=recipients,
        body=raw,
        size=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        now=datetime.now(UTC),
    )


def test_a_gateways_answers_are_what_the_peer_channel_expects(url: str, gateway_site: Site, http: HttpClient) -> None:
    key, raw = token(gateway_site, SENDER), a_package()
    first = post_as_peer(http, url, key, raw, COMMUNE)
    again = post_as_peer(http, url, key, raw, COMMUNE, RECIPIENT)
    assert first[:50] == again[:50]


@pytest.mark.parametrize(
    ("raw", "recipients", "code"),
    [
        (b"<html/>", [COMMUNE], "package.unknown"),
        (a_package(), ["000.00.99.H37"], "recipient.not_in_package"),
    ],
)
def test_a_gateways_refusals_are_understood(
    url: str, gateway_site: Site, http: HttpClient, *, raw: bytes, recipients: list[str], code: str
) -> None:
    with pytest.raises(PeerRefused) as caught:
        post_as_peer(http, url, token(gateway_site, SENDER), raw, *recipients)
    assert caught.value.peer_code == code


def test_a_key_that_the_peer_does_not_know_is_the_operators_matter(url: str, http: HttpClient) -> None:
    with pytest.raises(DeliveryError) as caught:
        post_as_peer(http, url, "gw_unknown_key", a_package(), COMMUNE)
    assert type(caught.value) is EndpointMisconfigured
