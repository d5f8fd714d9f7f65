"""``gateway conformance check``: our own gateway passes, and one that is wrong is told what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import exits
from gateway.cli.root import root
from gateway.model import AgencyCode, Level
from tests.support.agencies import MAILBOX, an_agency
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.systems import a_system
from tests.support.torture import quiet_port

PROVINCE, OWN, OTHER = AgencyCode("000.00.00.H37"), AgencyCode("000.00.14.H37"), AgencyCode("000.00.15.H37")
SYSTEM = "H37.QLVB"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("examined")
    agencies = [
        an_agency(PROVINCE, "H37", level=Level.PROVINCE, endpoint=MAILBOX),
        an_agency(OWN, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(OTHER, parent=PROVINCE, endpoint=MAILBOX),
    ]
    made = a_gateway(folder, code=PROVINCE, agencies=agencies, first_levels=["H37"])
    (folder / "v1.secret").write_text(made.key(OWN))
    (folder / "system.secret").write_text(a_system(made, SYSTEM, OWN))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def reserialising(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that writes packages anew, as the national axis does."""
    folder = tmp_path_factory.mktemp("reserialising")
    agencies = [an_agency(PROVINCE, level=Level.PROVINCE, endpoint=MAILBOX), an_agency(OWN, endpoint=MAILBOX),
                an_agency(OTHER, endpoint=MAILBOX)]  # fmt: skip
    made = a_gateway(folder, code=PROVINCE, agencies=agencies, first_levels=["H37"], exchange={"reserialise": True})
    (folder / "system.secret").write_text(a_system(made, SYSTEM, OWN))
    made.start()
    yield made
    made.stop()


def call(*arguments: str) -> tuple[int, str]:
    """The command's exit code and output."""
    done = CliRunner().invoke(root, ["--lang", "en", "conformance", *arguments])
    return done.exit_code, done.stdout


def check(gateway: RunningGateway, protocol: str, *more: str) -> tuple[int, Any]:
    """A check of a gateway of ours, as its report."""
    secret = gateway.folder / ("v1.secret" if protocol == "v1" else "system.secret")
    url = gateway.url if protocol == "v1" else f"{gateway.url}/{protocol}"
    code, output = call(
        "check", "--protocol", protocol, "--url", url, "--secret-file", str(secret), "--system", SYSTEM,
        "--agency", OWN, "--foreign", OTHER, "--json", *more,
    )  # fmt: skip
    return code, json.loads(output)


@pytest.mark.parametrize("protocol", ["v1", "vxp", "lgsp"])
def test_our_gateway_passes(gateway: RunningGateway, protocol: str) -> None:
    code, report = check(gateway, protocol)
    failed = [(r["rule"], r["reason"]["en"]) for r in report["rules"] if r["outcome"] == "fail"]
    assert (failed, code) == ([], exits.DONE)
    assert report["counts"]["pass"] >= 20


@pytest.mark.parametrize("protocol", ["vxp", "lgsp"])
def test_an_axis_that_writes_packages_anew_passes(reserialising: RunningGateway, protocol: str) -> None:
    """What counts is the file within, unwrapped: neither the envelope nor the wrapping is promised."""
    code, report = check(reserialising, protocol)
    failed = [(r["rule"], r["reason"]["en"]) for r in report["rules"] if r["outcome"] == "fail"]
    assert (failed, code) == ([], exits.DONE)


@pytest.mark.parametrize("protocol", ["v1", "vxp", "lgsp"])
def test_nothing_is_left_behind(gateway: RunningGateway, protocol: str) -> None:
    """The mailbox of the examined system is as it was."""
    with gateway.client(OWN) as client:
        before = [item["delivery"] for item in client.inbox(limit=200)["items"]]
        assert check(gateway, protocol)[0] == exits.DONE
        assert [item["delivery"] for item in client.inbox(limit=200)["items"]] == before


def test_nobody_else_is_troubled(gateway: RunningGateway) -> None:
    for protocol in ("v1", "vxp", "lgsp"):
        check(gateway, protocol)
    for agency in (OTHER, PROVINCE):
        with gateway.client(agency) as client:
            assert client.inbox()["items"] == []


def test_some_rules_can_be_asked_alone(gateway: RunningGateway) -> None:
    code, report = check(gateway, "v1", "--only", "v1.key")
    assert (code, [r["rule"] for r in report["rules"]]) == (exits.DONE, ["v1.key.missing", "v1.key.wrong"])


@pytest.mark.parametrize(("protocol", "rule"), [("vxp", "vxp.signature"), ("lgsp", "lgsp.headers")])
def test_rules_asked_alone_get_their_own_way_in(gateway: RunningGateway, protocol: str, rule: str) -> None:
    code, report = check(gateway, protocol, "--only", rule)
    assert (code, set(report["counts"])) == (exits.DONE, {"pass"})


@pytest.mark.parametrize(("protocol", "rule"), [("vxp", "vxp.signature.wrong"), ("lgsp", "lgsp.login.wrong")])
def test_a_refusal_proves_nothing_where_everything_is_refused(
    gateway: RunningGateway, tmp_path: Path, protocol: str, rule: str
) -> None:
    (tmp_path / "wrong").write_text("wrong")
    code, output = call(
        "check", "--protocol", protocol, "--url", f"{gateway.url}/{protocol}", "--system", SYSTEM, "--secret-file",
        str(tmp_path / "wrong"), "--only", rule, "--json",
    )  # fmt: skip
    assert [r["outcome"] for r in json.loads(output)["rules"]] == ["skip"]
    assert code == exits.FAILED, "nothing was shown"


def test_a_wrong_secret_fails_with_its_reason(gateway: RunningGateway, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong")
    code, output = call(
        "check", "--protocol", "vxp", "--url", f"{gateway.url}/vxp", "--system", SYSTEM, "--secret-file",
        str(tmp_path / "wrong"), "--only", "vxp.envelope",
    )  # fmt: skip
    assert code == exits.FAILED
    assert "FAIL  vxp.envelope" in output
    assert "Refused: 15" in output


def test_a_gateway_that_is_not_there_is_for_later(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    code, _ = call(
        "check", "--protocol", "v1", "--url", f"http://127.0.0.1:{quiet_port()}", "--secret-file",
        str(tmp_path / "secret"), "--agency", OWN,
    )  # fmt: skip
    assert code == exits.LATER


@pytest.mark.parametrize(
    "arguments",
    [
        ["--url", "http://127.0.0.1:1"],
        ["--url", "ftp://x", "--system", "x"],
        ["--url", "http://127.0.0.1:1", "--system", "x", "--only", "vxp.nothing"],
    ],
)
def test_a_call_that_lacks_something_is_told_so(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    code, _ = call("check", "--protocol", "vxp", "--secret-file", str(tmp_path / "secret"), *arguments)
    assert code in (exits.USAGE, exits.OPERATOR)


@pytest.mark.parametrize("protocol", ["v1", "vxp", "lgsp"])
@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_rule_has_its_own_name_and_sentence(protocol: str, language: str) -> None:
    done = CliRunner().invoke(root, ["conformance", "rules", "--protocol", protocol, "--json"])
    rules = json.loads(done.stdout)
    assert len({r["rule"] for r in rules}) == len(rules) == len({r[language] for r in rules})
    assert all(r["rule"].startswith(f"{protocol}.") for r in rules)
