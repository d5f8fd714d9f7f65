"""A gateway whose key is in a token: several processes accept documents, none has the key in a file."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.bootstrap import join, make_app
from gateway.cli import exits
from gateway.cli.doctor import Grade
from gateway.evidence.receipt import check_receipt
from gateway.settings import load_settings
from gateway.signing import keys
from gateway.signing.keys import SigningKey
from gateway.signing.token_service import SharedTokenKey
from tests.integration.cli.test_doctor import grades
from tests.integration.cli.test_life import COMMUNE, DEPARTMENT, agencies, as_agency, call
from tests.support import documents
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.tokens import PIN, SoftToken, needs_softhsm, soft_token

pytestmark = needs_softhsm()


@pytest.fixture(scope="module")
def key() -> SigningKey:
    """A gateway's key that is good today, whatever day it is: these are real processes with the real clock."""
    now = datetime.now(UTC) - timedelta(days=1)
    authority = keys.make_ca(keys.subject_name("Chứng thực thử nghiệm"), at=now)
    return keys.issue_certificate(authority, keys.subject_name("Trục H37"), keys.generate_key(), at=now)


@pytest.fixture
def soft(tmp_path: Path, key: SigningKey) -> Iterator[SoftToken]:
    with soft_token(tmp_path / "token", ("gateway", key)) as made:
        yield made


@pytest.fixture
def gateway(tmp_path: Path, soft: SoftToken) -> Iterator[RunningGateway]:
    made = a_gateway(
        tmp_path / "h37",
        code="000.00.00.H37",
        first_levels=["H37"],
        agencies=agencies(),
        signing={"token_module": str(soft.module), "token_label": soft.label, "pin_file": "keys/token.pin"},
    )
    pin = made.settings.data / "keys" / "token.pin"
    pin.touch(mode=0o600)
    pin.write_text(PIN)
    yield made
    made.kill()


@pytest.mark.slow
def test_processes_of_a_gateway_sign_with_one_token(
    gateway: RunningGateway, soft: SoftToken, key: SigningKey, tmp_path: Path
) -> None:
    assert not (gateway.settings.data / "keys" / "gateway.p12").exists()
    environment = {"SOFTHSM2_CONF": os.environ["SOFTHSM2_CONF"]}
    gateway.start(processes=2, worker="none", environment=environment)
    package = tmp_path / "package.edxml"
    raw = documents.a_package(recipients=(documents.an_organization(COMMUNE),))
    # Several, so that each of the processes gets one: the one that holds the token and the one that asks it.
    for number in range(6):
        package.write_bytes(raw.replace(b"07/SA-VP", b"%d/SA-VP" % (10 + number)))
        [receipt] = json.loads(as_agency(gateway, DEPARTMENT, tmp_path, "send", str(package), "--json").stdout)
        assert check_receipt(receipt["jws"], key.certificate).receipt_id == receipt["id"]
    assert gateway.stop() == 0


def test_a_gateway_without_its_token_does_not_start_and_says_why(gateway: RunningGateway, soft: SoftToken) -> None:
    soft.pull()
    done = call(gateway, "config", "check", code=exits.LATER)
    assert "token.absent" in done.output
    soft.plug()
    call(gateway, "config", "check")


def test_a_token_pulled_out_while_serving_promises_nothing_and_goes_on_when_it_is_back(
    gateway: RunningGateway, soft: SoftToken, key: SigningKey
) -> None:
    joined = join(load_settings(gateway.config))
    client = make_app(joined).test_client()
    headers = {"Authorization": f"Bearer {gateway.key(DEPARTMENT)}", "Content-Type": "application/xml"}
    raw = documents.a_package(recipients=(documents.an_organization(COMMUNE),))
    assert client.get("/readyz").status_code == 200
    soft.pull()
    refused = client.post("/api/v1/documents", data=raw, headers=headers)
    assert refused.status_code == 503
    assert refused.get_json()["code"] == "token.absent"
    assert client.get("/readyz").get_json()["missing"]["key"] == "token.absent"
    assert joined.ledger.documents(limit=10).rows == ()
    soft.plug()
    accepted = client.post("/api/v1/documents", data=raw, headers=headers)
    assert accepted.status_code == 202
    assert check_receipt(accepted.get_json()["jws"], key.certificate).sender == DEPARTMENT
    assert isinstance(joined.parts.key, SharedTokenKey)
    joined.parts.key.close()
    joined.ledger.engine.dispose()


def test_the_doctor_looks_at_the_token(gateway: RunningGateway, soft: SoftToken) -> None:
    found = grades(gateway)
    assert found["token"] is Grade.OK
    assert found["certificate.own"] is Grade.OK
    pin = gateway.settings.data / "keys" / "token.pin"
    pin.chmod(0o644)
    assert grades(gateway)["token"] is Grade.FAIL
    assert grades(gateway)["keys.permissions"] is Grade.FAIL
    pin.chmod(0o600)
    pin.write_text("000000")
    assert grades(gateway)["token"] is Grade.FAIL
    pin.write_text(PIN)
    assert grades(gateway)["token"] is Grade.OK
    soft.pull()
    assert grades(gateway)["token"] is Grade.FAIL
