"""A gateway's first day, by the commands alone and with real processes: init, keys, serve, send, collect, report."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.cli.root import root
from gateway.model import Agency, Level
from gateway.signing.keys import certificates_to_pem, issue_certificate
from tests.support import documents, pki
from tests.support.agencies import MAILBOX, an_agency
from tests.support.gateways import RunningGateway, a_gateway, start_gateway

PROVINCE, DEPARTMENT, COMMUNE = "000.00.00.H37", "000.00.14.H37", "H37.21"


def agencies() -> list[Agency]:
    """The province, which signs nothing and collects; a department below it; a commune."""
    return [
        an_agency(PROVINCE, "H37", level=Level.PROVINCE, endpoint=MAILBOX),
        an_agency(DEPARTMENT, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(COMMUNE, level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX),
    ]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[RunningGateway]:
    gateway = start_gateway(tmp_path / "h37", code=PROVINCE, first_levels=["H37"], agencies=agencies())
    yield gateway
    gateway.kill()


@pytest.fixture
def idle(tmp_path: Path) -> RunningGateway:
    """Prepared, not served."""
    return a_gateway(tmp_path / "h37", code=PROVINCE, first_levels=["H37"], agencies=agencies())


def call(gateway: RunningGateway, *arguments: str, code: int = 0, stdin: str | None = None) -> Result:
    """One command in this process."""
    done = CliRunner().invoke(root, ["--lang", "en", "--config", str(gateway.config), *arguments], input=stdin)
    assert done.exit_code == code, f"{arguments}: {done.exit_code}\n{done.output}\n{done.exception!r}"
    return done


def as_agency(gateway: RunningGateway, agency: str, folder: Path, *arguments: str, code: int = 0) -> Result:
    """One command as an agency's system calls it: with its key in a file."""
    key = folder / f"{agency}.key"
    key.write_text(gateway.key(agency), encoding="ascii")
    return call(gateway, *arguments, "--url", gateway.url, "--key-file", str(key), code=code)


def test_a_document_goes_its_way_by_commands_alone(served: RunningGateway, tmp_path: Path) -> None:
    package = tmp_path / "package.edxml"
    package.write_bytes(documents.a_package(recipients=(documents.an_organization(COMMUNE),)))
    [receipt] = json.loads(as_agency(served, DEPARTMENT, tmp_path, "send", str(package), "--json").stdout)
    [item] = json.loads(as_agency(served, COMMUNE, tmp_path, "inbox", "list", "--json").stdout)["items"]
    assert item["document"]["id"] == receipt["id"]

    into = tmp_path / "in"
    fetched = json.loads(
        as_agency(served, COMMUNE, tmp_path, "inbox", "fetch", "--to", str(into), "--ack", "--json").stdout
    )
    assert [p.name for p in into.iterdir()] == [f"{item['delivery']}.edxml"]
    assert fetched[0]["acknowledged"] is True
    assert json.loads(as_agency(served, COMMUNE, tmp_path, "inbox", "list", "--json").stdout)["items"] == []

    as_agency(served, COMMUNE, tmp_path, "status", receipt["id"], "03")
    way = json.loads(as_agency(served, DEPARTMENT, tmp_path, "trace", receipt["id"], "--json").stdout)
    assert [d["state"] for d in way["deliveries"]] == ["delivered"]
    assert {s["code"] for s in way["statuses"]} == {"01", "03"}
    assert "document.accepted" in as_agency(served, DEPARTMENT, tmp_path, "trace", receipt["id"]).stdout

    again = as_agency(served, DEPARTMENT, tmp_path, "send", str(package), "--json")
    assert json.loads(again.stdout)[0]["duplicate"] is True
    assert served.stop() == 0


def test_a_refused_document_goes_back_with_the_reason(served: RunningGateway, tmp_path: Path) -> None:
    package = tmp_path / "package.edxml"
    package.write_bytes(documents.a_package(recipients=(documents.an_organization(COMMUNE),)))
    as_agency(served, DEPARTMENT, tmp_path, "send", str(package))
    [item] = json.loads(as_agency(served, COMMUNE, tmp_path, "inbox", "list", "--json").stdout)["items"]
    refused = as_agency(
        served, COMMUNE, tmp_path, "inbox", "refuse", item["delivery"], "--reason", "Gửi nhầm", "--json"
    )
    assert json.loads(refused.stdout)["state"] == "refused"
    listed = json.loads(call(served, "deliveries", "list", "--state", "refused", "--json").stdout)["deliveries"]
    assert [d["delivery"]["id"] for d in listed] == [item["delivery"]]
    assert "Refused" in call(served, "deliveries", "show", item["delivery"]).stdout
    call(served, "deliveries", "replay", item["delivery"], "--reason", "Đã thống nhất lại")
    assert json.loads(as_agency(served, COMMUNE, tmp_path, "inbox", "list", "--json").stdout)["items"]


def test_what_is_turned_away_tells_the_sender_and_stays_to_be_looked_at(served: RunningGateway, tmp_path: Path) -> None:
    package = tmp_path / "package.edxml"
    package.write_bytes(documents.a_package(recipients=(documents.an_organization("H37.999"),)))
    done = as_agency(served, DEPARTMENT, tmp_path, "send", str(package), code=1)
    assert "recipient.unknown" in done.stderr
    [refusal] = json.loads(call(served, "refusals", "list", "--json").stdout)
    assert refusal["code"] == "recipient.unknown"
    assert "recipient.unknown" in call(served, "refusals", "show", str(refusal["id"])).stdout
    kept = call(served, "refusals", "show", str(refusal["id"]), "--package")
    assert kept.stdout_bytes == package.read_bytes()
    assert "recipient.unknown" in call(served, "refusals", "list").stdout


def test_without_a_key_the_call_is_a_usage_error_and_a_wrong_key_is_for_the_operator(
    served: RunningGateway, tmp_path: Path
) -> None:
    assert call(served, "inbox", "list", "--url", served.url, code=2)
    wrong = tmp_path / "wrong.key"
    wrong.write_text("gwk_000000000000_wrong")
    call(served, "inbox", "list", "--url", served.url, "--key-file", str(wrong), code=4)


def test_a_gateway_that_is_not_there_is_to_be_tried_later(idle: RunningGateway, tmp_path: Path) -> None:
    idle.port = 9  # discard; nothing listens there
    as_agency(idle, COMMUNE, tmp_path, "inbox", "list", code=3)


# Setting up


def test_init_makes_everything_once_and_overwrites_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    first = CliRunner().invoke(root, ["init", str(folder), "--code", "h38", "--name", "Lào Cai", "--json"])
    assert first.exit_code == 0, first.output
    facts = json.loads(first.stdout)
    assert facts["password"]
    keys = tmp_path / "var" / "keys"
    assert {p.name for p in keys.iterdir()} >= {"gateway.p12", "gateway.password", "session.key", "test-ca.p12"}
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in keys.iterdir())
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and "sqlite" not in p.name}
    second = CliRunner().invoke(root, ["init", str(folder), "--json"])
    assert json.loads(second.stdout)["made"] == []
    assert json.loads(second.stdout)["password"] is None
    assert before == {p: p.read_bytes() for p in before}


def test_what_init_made_is_served(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    assert CliRunner().invoke(root, ["--lang", "en", "init", str(folder)]).exit_code == 0
    for command in (["config", "check"], ["db", "check"], ["agencies", "check"], ["keys", "create", "000.00.00.H37"]):
        done = CliRunner().invoke(root, ["--config", str(folder / "gateway.toml"), *command])
        assert done.exit_code == 0, done.output


def test_a_request_for_a_real_certificate_and_the_certificate_that_comes_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    assert CliRunner().invoke(root, ["init", str(folder), "--csr"]).exit_code == 0
    request = x509.load_pem_x509_csr((tmp_path / "var/keys/gateway.csr").read_bytes())
    assert request.is_signature_valid
    issued = tmp_path / "issued.crt"
    private = serialization.load_pem_private_key((tmp_path / "var/keys/gateway-requested.key").read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    leaf = issue_certificate(pki.root(), request.subject, private, at=datetime.now(UTC))
    issued.write_bytes(certificates_to_pem([leaf.certificate]))
    taken = CliRunner().invoke(root, ["init", str(folder), "--certificate", str(issued)])
    assert taken.exit_code == 0, taken.output
    assert CliRunner().invoke(root, ["init", str(folder)]).exit_code == 0
    assert CliRunner().invoke(root, ["--config", str(folder / "gateway.toml"), "config", "check"]).exit_code == 0


# Administering


def test_keys_are_shown_once_rotated_with_overlap_and_revoked(idle: RunningGateway) -> None:
    made = json.loads(call(idle, "keys", "create", COMMUNE, "--scope", "read", "--label", "x", "--json").stdout)
    assert made["key"].startswith("gwk_")
    listed = call(idle, "keys", "list", "--json").stdout
    assert made["key"] not in listed
    assert "secret" not in listed
    rotated = json.loads(call(idle, "keys", "rotate", made["prefix"], "--json").stdout)
    states = {k["prefix"]: k["revoked_at"] for k in json.loads(call(idle, "keys", "list", COMMUNE, "--json").stdout)}
    assert states[made["prefix"]] is not None
    assert states[rotated["prefix"]] is None
    call(idle, "keys", "revoke", rotated["prefix"])
    call(idle, "keys", "rotate", rotated["prefix"], code=1)
    assert "revoked" in call(idle, "keys", "list").stdout
    call(idle, "keys", "create", "H99.1", code=1)


def test_operators_are_added_with_made_or_given_passwords_and_locked(idle: RunningGateway) -> None:
    made = call(idle, "operators", "add", "lan", "--role", "admin").stdout.strip()
    assert len(made) >= 12
    call(idle, "operators", "add", "lan", code=1)
    call(idle, "operators", "password", "lan", "--stdin", stdin="mật khẩu đủ dài\n")
    call(idle, "operators", "password", "lan", "--stdin", stdin="ngắn\n", code=2)
    call(idle, "operators", "disable", "lan")
    [lan] = json.loads(call(idle, "operators", "list", "--json").stdout)
    assert lan["disabled_at"] is not None
    assert "password_hash" not in lan
    call(idle, "operators", "disable", "lan", "--undo")
    assert "lan" in call(idle, "operators", "list").stdout


def test_the_directory_goes_out_and_in(idle: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "agencies.toml"
    file.write_text(call(idle, "agencies", "export").stdout, encoding="utf-8")
    result = json.loads(call(idle, "agencies", "import", str(file), "--json").stdout)
    assert (result["added"], result["changed"], result["removed"]) == (0, 0, 0)
    call(idle, "agencies", "import", str(file), "--dry-run")
    assert COMMUNE in call(idle, "agencies", "list", "h37.21").stdout
    assert json.loads(call(idle, "agencies", "show", "h37.21", "--json").stdout)["channel"] == "mailbox"
    shown = call(idle, "agencies", "show", "h37.21").stdout
    assert f"Code             {COMMUNE}\n" in shown
    assert "Mã định danh" in call(idle, "agencies", "show", "h37.21", "--lang", "vi").stdout
    call(idle, "agencies", "show", "H37.77", code=1)
    file.write_text(file.read_text(encoding="utf-8").replace('level = "commune"', 'level = "village"'))
    assert "level" in call(idle, "agencies", "import", str(file), code=4).stderr


def test_a_backup_is_a_whole_database_and_overwrites_nothing(idle: RunningGateway, tmp_path: Path) -> None:
    copy = tmp_path / "backup.sqlite3"
    call(idle, "keys", "create", COMMUNE)
    call(idle, "db", "backup", str(copy))
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    call(idle, "db", "backup", str(copy), code=4)
    os.environ["GATEWAY__LEDGER__URL"] = f"sqlite:///{copy}"
    try:
        assert len(json.loads(call(idle, "keys", "list", "--json").stdout)) == 1
        call(idle, "db", "check")
    finally:
        del os.environ["GATEWAY__LEDGER__URL"]


def test_replay_needs_to_know_what(idle: RunningGateway) -> None:
    call(idle, "deliveries", "replay", "--reason", "x", code=2)
    call(idle, "deliveries", "replay", "id", "--state", "abandoned", "--reason", "x", code=2)
    call(idle, "deliveries", "replay", "no-such-id", "--reason", "x", code=1)
    assert json.loads(call(idle, "deliveries", "replay", "--state", "abandoned", "--reason", "x", "--json").stdout) == {
        "replayed": []
    }


# Serving


@pytest.mark.slow
def test_several_processes_serve_and_end_together(idle: RunningGateway, tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    with (tmp_path / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gateway", "--config", str(idle.config)),
                *("serve", "--processes", "2", "--port", "0", "--port-file", str(port_file)),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    idle.process = process
    idle.wait_ready(port_file)
    package = tmp_path / "package.edxml"
    package.write_bytes(documents.a_package(recipients=(documents.an_organization(COMMUNE),)))
    as_agency(idle, DEPARTMENT, tmp_path, "send", str(package))
    assert idle.stop() == 0


def test_a_taken_port_is_said(served: RunningGateway) -> None:
    done = served.run("--lang", "en", "serve", "--port", str(served.port), check=False)
    assert done.returncode == 4
    assert "Cannot listen" in done.stderr
