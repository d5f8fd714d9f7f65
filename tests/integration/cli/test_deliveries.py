"""``gateway deliveries`` on a ledger that has something to show."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.root import root
from gateway.ledger import Ledger, open_engine
from gateway.ledger.actions import Action
from gateway.ledger.records import Abandoned, Delivered
from gateway.model import AgencyCode, DeliveryState, StatusCode
from tests.support.agencies import MAILBOX, PEER, an_agency
from tests.support.console import abandoned, accept, try_one
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.ledger import NOON, RECEIVER, SENDER, a_delivery, a_reply, an_orphan

ABOVE, BEYOND = AgencyCode("H38"), AgencyCode("H38.7")
"""The gateway above, and an agency that is reached by it and stands in no directory of ours."""


@pytest.fixture
def gateway(tmp_path: Path) -> RunningGateway:
    agencies = [
        an_agency("H37", endpoint=MAILBOX),
        an_agency(SENDER, parent="H37", endpoint=MAILBOX),
        an_agency(ABOVE, endpoint=PEER),
    ]
    return a_gateway(tmp_path / "h37", code="H37", first_levels=["H37"], default_route=ABOVE, agencies=agencies)


@pytest.fixture
def ledger(gateway: RunningGateway) -> Iterator[Ledger]:
    engine = open_engine(gateway.settings.ledger_url)
    yield Ledger(engine)
    engine.dispose()


def call(gateway: RunningGateway, *arguments: str, code: int = 0, language: str = "vi") -> Result:
    done = CliRunner().invoke(root, ["--lang", language, "--config", str(gateway.config), "deliveries", *arguments])
    assert done.exit_code == code, f"{arguments}: {done.exit_code}\n{done.output}\n{done.exception!r}"
    return done


def test_agencies_that_only_the_ledger_has_met_can_be_asked_for(gateway: RunningGateway, ledger: Ledger) -> None:
    leg = a_delivery(BEYOND, via=ABOVE)
    accept(ledger, leg)
    abandoned(ledger)
    try_one(ledger, leg.id, Abandoned(code="delivery.peer_unreachable", detail="x"), NOON)
    listed = call(gateway, "list", "--agency", "h38.7", "--json")
    assert [d["delivery"]["id"] for d in json.loads(listed.stdout)["deliveries"]] == [leg.id]
    assert "H38.7" in listed.stderr  # that the directory does not know it: perhaps it was misspelt
    replayed = call(gateway, "replay", "--agency", "H38.7", "--reason", "x", "--json")
    assert json.loads(replayed.stdout) == {"replayed": [leg.id]}


def test_what_is_not_even_of_the_form_of_a_code_is_an_error(gateway: RunningGateway) -> None:
    call(gateway, "list", "--agency", "so tai chinh", code=1)


@pytest.mark.parametrize(
    ("language", "name"), [("vi", "06 Hoàn thành về 12/UBND-VP"), ("en", "06 Done for 12/UBND-VP")]
)
def test_a_status_is_named_by_what_it_says_of_which_document(
    gateway: RunningGateway, ledger: Ledger, language: str, name: str
) -> None:
    document = accept(ledger, a_delivery(RECEIVER), number="12", notation="UBND-VP")
    reply = a_reply(document, StatusCode.DONE)
    package = replace(reply.document, number=None, notation=None)
    ledger.accept(package, reply.deliveries, reply.status)
    assert name in call(gateway, "list", language=language).stdout
    assert name in call(gateway, "show", reply.deliveries[0].id, language=language).stdout
    found = call(gateway, "list", "--text", "12/ubnd-vp", "--json", language=language)
    reports = {d["document"]["id"]: d["report"] for d in json.loads(found.stdout)["deliveries"]}
    assert reports[document.id] is None
    assert (reports[package.id]["code"], reports[package.id]["document"]) == ("06", document.id)


# Recalls


def test_withdraw_takes_back_what_has_not_left_and_says_why(gateway: RunningGateway, ledger: Ledger) -> None:
    leg = a_delivery(BEYOND, via=ABOVE)
    accept(ledger, leg)
    done = call(gateway, "withdraw", leg.id, "--reason", "Gửi nhầm", "--json")
    assert json.loads(done.stdout) == {"withdrawn": [leg.id]}
    [event] = [e for e in ledger.events() if e.action is Action.DELIVERY_WITHDRAWN]
    assert event.data["reason"] == "Gửi nhầm"


def test_withdraw_takes_back_nothing_when_one_of_them_has_left(gateway: RunningGateway, ledger: Ledger) -> None:
    first, second = a_delivery(BEYOND, via=ABOVE), a_delivery(ABOVE)
    accept(ledger, first, second)
    try_one(ledger, first.id, Delivered(), NOON)
    call(gateway, "withdraw", first.id, second.id, "--reason", "Gửi nhầm", code=1)
    kept = ledger.delivery(second.id)
    assert kept is not None
    assert kept.state is DeliveryState.WAITING


def test_withdraw_must_say_why(gateway: RunningGateway, ledger: Ledger) -> None:
    leg = a_delivery(BEYOND, via=ABOVE)
    accept(ledger, leg)
    call(gateway, "withdraw", leg.id, "--reason", " ", code=1)


def test_operations_without_their_document_are_found(gateway: RunningGateway, ledger: Ledger) -> None:
    accept(ledger, a_delivery(ABOVE))
    orphan = an_orphan(ledger)
    listed = call(gateway, "list", "--operation", "orphan", "--json")
    assert [d["document"]["id"] for d in json.loads(listed.stdout)["deliveries"]] == [orphan.id]
    assert json.loads(call(gateway, "list", "--operation", "requested", "--json").stdout)["deliveries"] == []
