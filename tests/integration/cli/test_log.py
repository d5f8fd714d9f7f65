"""``gateway log``: whole or not, by exit code and in words; what the doctor says of sealing and stamping."""

import json
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.cli.doctor import Grade, examine
from gateway.cli.opened import opened
from gateway.exchange.sealing import newest_head
from gateway.signing.keys import certificates_to_pem
from tests.integration.cli.test_life import PROVINCE, agencies, call
from tests.support import pki
from tests.support.databases import PostgresServer
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.ledger import a_delivery, a_document
from tests.support.pki_server import Fault, PkiServer


@pytest.fixture
def tsa() -> Iterator[PkiServer]:
    with PkiServer() as server:  # its clock is the one that the commands see
        yield server


@pytest.fixture
def gateway(tmp_path: Path, tsa: PkiServer) -> RunningGateway:
    """Prepared, not served; one document on its way. Its heads stand beside its folder."""
    anchors = tmp_path / "tsa.pem"
    anchors.write_bytes(certificates_to_pem([pki.root().certificate]))
    made = a_gateway(
        tmp_path / "h37",
        code=PROVINCE,
        first_levels=["H37"],
        agencies=agencies(),
        log_chain={"heads_file": str(tmp_path / "heads.jsonl")},
        timestamps={"urls": [tsa.tsa_url], "ca": [str(anchors)]},
    )
    happen(made)
    return made


def happen(gateway: RunningGateway) -> str:
    document = a_document()
    with opened(gateway.settings) as at_hand:
        at_hand.ledger.accept(document, [a_delivery()])
    return document.id


def edit(gateway: RunningGateway, statement: str) -> None:
    with opened(gateway.settings) as at_hand, at_hand.ledger.engine.begin() as connection:
        connection.execute(text(statement))


def grades(gateway: RunningGateway, now: datetime | None = None) -> Mapping[str, Grade]:
    found = examine(gateway.settings, now=now or datetime.now(UTC), links=False)
    return {f.name: f.grade for f in found if f.name.startswith("log.")}


def test_a_log_that_was_sealed_and_stamped_is_whole(gateway: RunningGateway) -> None:
    assert "Sealed" in call(gateway, "log", "seal", "--stamp").stdout
    shown = call(gateway, "log", "verify")
    assert "The log is whole." in shown.stdout
    assert "1 time-stamps hold" in shown.stderr
    facts = json.loads(call(gateway, "log", "verify", "--json").stdout)
    assert (facts["whole"], facts["vouched"], facts["report"]["heads"]) == (True, True, 1)
    assert "Nhật ký nguyên vẹn." in call(gateway, "--lang", "vi", "log", "verify").stdout


def test_what_was_changed_is_named_and_ends_with_1(gateway: RunningGateway) -> None:
    call(gateway, "log", "seal")
    edit(gateway, "UPDATE events SET actor = 'x' WHERE action = 'document.accepted'")
    shown = call(gateway, "log", "verify", code=1)
    assert "event changed: event " in shown.stdout
    facts = json.loads(call(gateway, "log", "verify", "--json", code=1).stdout)
    assert [finding["fault"] for finding in facts["report"]["findings"]] == ["changed"]


def test_an_end_that_was_cut_off_is_named(gateway: RunningGateway) -> None:
    call(gateway, "log", "seal")
    happen(gateway)
    call(gateway, "log", "seal")
    edit(gateway, "DELETE FROM log_batches WHERE number = 2")
    edit(gateway, "DELETE FROM events WHERE id > (SELECT last_id FROM log_batches WHERE number = 1)")
    shown = call(gateway, "log", "verify", code=1)
    assert "the end was cut off: " in shown.stdout
    assert "event removed: " in shown.stdout


def test_a_copy_is_judged_elsewhere_by_what_is_given(gateway: RunningGateway, tmp_path: Path) -> None:
    call(gateway, "log", "seal", "--stamp")
    copy = tmp_path / "copy.sqlite3"
    call(gateway, "db", "backup", str(copy))
    heads = shutil.copy(tmp_path / "heads.jsonl", tmp_path / "elsewhere.jsonl")
    shutil.rmtree(gateway.folder)
    given = ["--database", f"sqlite:///{copy}", "--heads", str(heads), "--anchor", str(tmp_path / "tsa.pem")]
    facts = json.loads(call(gateway, "log", "verify", *given, "--json").stdout)
    assert (facts["whole"], facts["vouched"], facts["report"]["untrusted_stamps"]) == (True, True, 0)
    assert "Without anchors nobody knows" in call(gateway, "log", "verify", *given[:4]).stderr


def test_without_anything_from_outside_that_is_said(tmp_path: Path) -> None:
    bare = a_gateway(tmp_path / "bare", code=PROVINCE, first_levels=["H37"], agencies=agencies())
    happen(bare)
    call(bare, "log", "seal")
    shown = call(bare, "log", "verify")
    assert "The log is whole." in shown.stdout
    assert "nothing from outside vouches" in shown.stderr
    assert "timestamps.urls names no authority" in call(bare, "log", "seal", "--stamp", code=4).stderr


def test_how_it_stands_and_where_a_document_s_events_are(gateway: RunningGateway) -> None:
    document = happen(gateway)
    call(gateway, "log", "seal", "--stamp")
    assert "Sealed up to event" in call(gateway, "log", "show").stdout
    assert json.loads(call(gateway, "log", "show", "--json").stdout)["state"]["batches"] == 1
    assert "delivery.enqueued" in call(gateway, "log", "show", document).stdout
    proofs = json.loads(call(gateway, "log", "show", document, "--json").stdout)
    assert [bool(proof["token"]) for proof in proofs] == [True, True]
    call(gateway, "log", "show", "nobody", code=1)


def test_an_authority_that_is_down_is_said_and_nothing_is_lost(gateway: RunningGateway, tsa: PkiServer) -> None:
    tsa.tsa = Fault.DOWN
    assert "No time-stamp could be had (timestamp.refused)" in call(gateway, "log", "seal", "--stamp", code=1).stderr
    now = datetime.now(UTC)
    assert grades(gateway)["log.timestamps"] is Grade.WARN
    assert grades(gateway, now + timedelta(hours=5))["log.timestamps"] is Grade.FAIL
    tsa.tsa = Fault.NONE
    call(gateway, "log", "seal", "--stamp")
    assert grades(gateway)["log.timestamps"] is Grade.OK


def test_the_doctor_sees_a_log_that_nobody_seals_and_a_second_place_that_is_behind(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    heads = tmp_path / "heads.jsonl"
    assert grades(gateway, datetime.now(UTC) + timedelta(days=1000))["log.unsealed"] is Grade.WARN
    call(gateway, "log", "seal")
    assert set(grades(gateway).values()) == {Grade.OK}
    assert newest_head(heads) == 1
    heads.write_bytes(heads.read_bytes().replace(b'"batch":1', b'"batch":9'))
    assert grades(gateway)["log.heads"] is Grade.FAIL
    heads.unlink()
    assert grades(gateway)["log.heads"] is Grade.FAIL
    call(gateway, "log", "verify", code=4)


@pytest.mark.postgres
def test_a_transaction_that_does_not_end_is_said_and_not_waited_for(tmp_path: Path, postgres: PostgresServer) -> None:
    url = postgres.empty_database()
    busy = a_gateway(tmp_path / "pg", code=PROVINCE, first_levels=["H37"], agencies=agencies(), ledger_url=url)
    happen(busy)
    with opened(busy.settings) as at_hand, at_hand.ledger.engine.connect() as slow:
        slow.execute(text("INSERT INTO events (at, action, data) VALUES (now(), 'key.added', '{}')"))
        assert "Run it again later" in call(busy, "log", "seal", code=1).stderr
        assert json.loads(call(busy, "log", "seal", "--json", code=1).stdout)["complete"] is False
    assert json.loads(call(busy, "log", "seal", "--json").stdout)["complete"] is True
    postgres.drop(url)


@pytest.mark.slow
def test_a_gateway_that_is_served_seals_by_itself(gateway: RunningGateway) -> None:
    gateway.start()
    try:
        gateway.stop()  # seals what has happened, at the latest now
    finally:
        gateway.kill()
    facts = json.loads(call(gateway, "log", "verify", "--json").stdout)
    assert (facts["whole"], facts["report"]["unsealed"]) == (True, 0)
    assert facts["report"]["events"] > 0
