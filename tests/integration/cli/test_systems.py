"""Systems and their requests, by the commands alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli.opened import opened, utc_now
from gateway.cli.root import root
from gateway.cli.systems import secret_box
from gateway.exchange.systems import Systems
from gateway.ledger.records import AgencyRequest, RequestKind, new_id
from gateway.model import AgencyCode, Channel, Endpoint, Level
from tests.support import pki
from tests.support.agencies import MAILBOX, an_agency
from tests.support.gateways import RunningGateway, a_gateway

PROVINCE, DEPARTMENT, PUSHED = "000.00.00.H37", "000.00.14.H37", "000.00.15.H37"


@pytest.fixture
def idle(tmp_path: Path) -> RunningGateway:
    """Prepared, not served."""
    pushed = Endpoint(channel=Channel.PUSH, url="http://127.0.0.1:9/", credential="pushed")
    agencies = [
        an_agency(PROVINCE, "H37", level=Level.PROVINCE, endpoint=MAILBOX),
        an_agency(DEPARTMENT, "H37.14", parent=PROVINCE, endpoint=MAILBOX),
        an_agency(PUSHED, parent=PROVINCE, endpoint=pushed),
    ]
    return a_gateway(tmp_path / "h37", code=PROVINCE, first_levels=["H37"], agencies=agencies)


def call(gateway: RunningGateway, *arguments: str, code: int = 0, language: str = "en") -> Result:
    """One command in this process."""
    done = CliRunner().invoke(root, ["--lang", language, "--config", str(gateway.config), *arguments])
    assert done.exit_code == code, f"{arguments}: {done.exit_code}\n{done.output}\n{done.exception!r}"
    return done


def add(gateway: RunningGateway, *arguments: str, agency: str = DEPARTMENT) -> dict[str, Any]:
    done = call(gateway, "systems", "add", "H37.DN.001", "--name", "thử", "--agency", agency, "--json", *arguments)
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def secrets_of(gateway: RunningGateway) -> tuple[str, ...]:
    """Those that the gateway takes now."""
    with opened(gateway.settings) as site:
        live = Systems(ledger=site.ledger, box=secret_box(gateway.settings), clock=utc_now).find("H37.DN.001")
        return () if live is None else live.secrets


def requested(gateway: RunningGateway, kind: RequestKind = RequestKind.ADD, code: str = "H37.22") -> str:
    """The id of a request that a system made."""
    add(gateway)
    asked = AgencyRequest(
        id=new_id(),
        system="H37.DN.001",
        kind=kind,
        code=AgencyCode(code),
        parent=AgencyCode("H37") if kind is RequestKind.ADD else None,
        name="UBND xã thử" if kind is RequestKind.ADD else None,
        mail="vanthu@xa.example" if kind is RequestKind.ADD else None,
        requested_at=pki.NOW,
    )
    with opened(gateway.settings) as site:
        return site.ledger.request_agency(asked, limit=1).id


# Systems


def test_the_secret_alone_is_the_output_so_that_it_can_go_into_a_file(idle: RunningGateway) -> None:
    done = call(idle, "systems", "add", "H37.DN.001", "--name", "thử", "--agency", DEPARTMENT)
    assert done.stdout.strip() in secrets_of(idle)


def test_the_secret_is_shown_once(idle: RunningGateway) -> None:
    secret = add(idle)["secret"]
    assert secret not in call(idle, "systems", "list").output
    assert secret not in call(idle, "systems", "list", "--json").output


def test_an_agency_may_be_named_by_any_of_its_codes(idle: RunningGateway) -> None:
    add(idle, agency="h37.14")
    [system] = json.loads(call(idle, "systems", "list", "--json").stdout)
    assert (system["agencies"], system["gateway"]) == ([DEPARTMENT], False)


def test_a_gateway_is_marked_as_one(idle: RunningGateway) -> None:
    add(idle, "--gateway")
    [system] = json.loads(call(idle, "systems", "list", "--json").stdout)
    assert system["gateway"] is True


def test_an_agency_without_a_mailbox_is_named(idle: RunningGateway) -> None:
    assert add(idle, "--agency", PUSHED)["without_mailbox"] == [PUSHED]


def test_an_unknown_agency_is_not_spoken_for(idle: RunningGateway) -> None:
    call(idle, "systems", "add", "x", "--name", "thử", "--agency", "H37.99", code=1)


def test_an_id_that_is_none_is_refused(idle: RunningGateway) -> None:
    done = call(idle, "systems", "add", "a b", "--name", "thử", "--agency", DEPARTMENT, "--json", code=1)
    assert json.loads(done.stderr)["error"]["code"] == "system.invalid"


def test_a_taken_id_is_refused(idle: RunningGateway) -> None:
    add(idle)
    call(idle, "systems", "add", "H37.DN.001", "--name", "thử", "--agency", DEPARTMENT, code=1)


def test_a_rotated_secret_works_beside_the_new_one_for_the_overlap(idle: RunningGateway) -> None:
    first = add(idle)["secret"]
    second = json.loads(call(idle, "systems", "rotate", "H37.DN.001", "--json").stdout)["secret"]
    assert secrets_of(idle) == (second, first)
    [system] = json.loads(call(idle, "systems", "list", "--json").stdout)
    assert system["secrets"] == 2
    assert system["former_secret_until"] is not None


def test_a_revoked_system_is_out_and_stays_in_the_list(idle: RunningGateway) -> None:
    add(idle)
    call(idle, "systems", "revoke", "H37.DN.001")
    assert secrets_of(idle) == ()
    assert "revoked" in call(idle, "systems", "list").stdout
    call(idle, "systems", "rotate", "H37.DN.001", code=1)


def test_a_system_that_is_unknown_cannot_be_revoked(idle: RunningGateway) -> None:
    call(idle, "systems", "revoke", "x", code=1)


def test_a_lost_key_is_the_operators_to_restore(idle: RunningGateway) -> None:
    add(idle)
    (idle.settings.data / "keys/systems.key").unlink()
    call(idle, "systems", "rotate", "H37.DN.001", code=4)


def test_a_system_may_come_to_speak_for_other_agencies(idle: RunningGateway) -> None:
    secret = add(idle)["secret"]
    call(idle, "systems", "change", "H37.DN.001", "--agency", "H37", "--agency", DEPARTMENT)
    [system] = json.loads(call(idle, "systems", "list", "--json").stdout)
    assert (system["agencies"], system["name"]) == ([PROVINCE, DEPARTMENT], "thử")
    assert secrets_of(idle) == (secret,)


@pytest.mark.parametrize("command", ["add", "list", "change", "rotate", "revoke"])
def test_every_command_on_systems_teaches_by_examples(idle: RunningGateway, command: str) -> None:
    assert f"gateway systems {command}" in call(idle, "systems", command, "--help", language="vi").stdout


# Requests


def test_a_request_is_shown_with_what_an_operator_must_know(idle: RunningGateway) -> None:
    waits = requested(idle)
    [shown] = json.loads(call(idle, "agencies", "requests", "--json").stdout)
    assert (shown["id"], shown["system"], shown["kind"], shown["code"]) == (waits, "H37.DN.001", "add", "H37.22")
    assert re.search(r"H37\.22 +H37 +UBND xã thử +vanthu@xa\.example", call(idle, "agencies", "requests").stdout)


def test_an_approved_agency_is_reached_through_its_parent(idle: RunningGateway) -> None:
    done = call(idle, "agencies", "approve", requested(idle), "--level", "commune", "--json")
    assert json.loads(done.stdout)["through"] == PROVINCE
    assert json.loads(call(idle, "agencies", "show", "H37.22", "--json").stdout)["parent"] == PROVINCE
    assert json.loads(call(idle, "agencies", "requests", "--json").stdout) == []


def test_approving_without_a_level_says_what_is_missing(idle: RunningGateway) -> None:
    done = call(idle, "agencies", "approve", requested(idle), "--json", code=1)
    assert json.loads(done.stderr)["error"]["path"] == "level"


def test_an_approved_deletion_closes_the_agency(idle: RunningGateway) -> None:
    waits = requested(idle, RequestKind.DELETE, DEPARTMENT)
    call(idle, "agencies", "approve", waits, "--successor", "H37", "--reason", "Sáp nhập")
    shown = json.loads(call(idle, "agencies", "show", DEPARTMENT, "--json").stdout)
    assert (shown["successors"], shown["closed_reason"]) == ([PROVINCE], "Sáp nhập")
    assert shown["valid_to"] is not None


def test_a_rejected_request_changes_nothing_and_keeps_the_reason(idle: RunningGateway) -> None:
    call(idle, "agencies", "reject", requested(idle), "--reason", "Sai mã")
    call(idle, "agencies", "show", "H37.22", code=1)
    [shown] = json.loads(call(idle, "agencies", "requests", "--all", "--json").stdout)
    assert (shown["decision"], shown["reason"]) == ("rejected", "Sai mã")


def test_a_rejection_without_a_reason_is_a_usage_error(idle: RunningGateway) -> None:
    call(idle, "agencies", "reject", requested(idle), code=2)


def test_a_request_that_was_decided_is_not_decided_again(idle: RunningGateway) -> None:
    waits = requested(idle)
    call(idle, "agencies", "reject", waits, "--reason", "Sai mã")
    call(idle, "agencies", "approve", waits, "--level", "commune", code=1)
