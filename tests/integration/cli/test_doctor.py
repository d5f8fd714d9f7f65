"""The doctor finds what is wrong, and says what to do."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.cli.doctor import Grade, examine
from gateway.cli.opened import opened
from gateway.model import Channel, Endpoint
from tests.integration.cli.test_life import COMMUNE, agencies, call
from tests.support.catalogue import a_unit, an_answer
from tests.support.gateways import RunningGateway, a_gateway


@pytest.fixture
def gateway(tmp_path: Path) -> RunningGateway:
    made = a_gateway(
        tmp_path / "h37", code="000.00.00.H37", first_levels=["H37"], agencies=agencies(), secrets=["above"]
    )
    made.set_secret("above", "gwk_000000000000_x")
    return made


def grades(gateway: RunningGateway, now: datetime | None = None) -> Mapping[str, Grade]:
    return {f.name: f.grade for f in examine(gateway.settings, now=now or datetime.now(UTC))}


def test_a_sound_gateway_has_no_failure(gateway: RunningGateway) -> None:
    found = grades(gateway)
    assert Grade.FAIL not in found.values(), found
    assert found["database.integrity"] is Grade.OK


def test_the_exit_code_says_whether_something_fails(gateway: RunningGateway) -> None:
    assert "ok" in call(gateway, "doctor").stdout
    (gateway.settings.data / "keys/gateway.p12").unlink()
    assert "fail" in call(gateway, "doctor", "--json", code=1).stdout


def test_keys_that_others_may_read_fail(gateway: RunningGateway) -> None:
    (gateway.settings.data / "keys/session.key").chmod(0o644)
    assert grades(gateway)["keys.permissions"] is Grade.FAIL


@pytest.mark.parametrize(("days", "grade"), [(61, Grade.OK), (59, Grade.WARN), (29, Grade.WARN), (6, Grade.FAIL)])
def test_a_certificate_near_its_end_is_seen_early(gateway: RunningGateway, days: int, grade: Grade) -> None:
    end = datetime.now(UTC) + timedelta(days=730)
    assert grades(gateway, end - timedelta(days=days))["certificate.own"] is grade


def test_an_endpoint_without_its_secret_fails(gateway: RunningGateway) -> None:
    push = Endpoint(channel=Channel.PUSH, url="http://127.0.0.1:9/x", credential="nobody-knows")
    gateway.set_agencies([replace(a, endpoint=push) if a.code == COMMUNE else a for a in agencies()])
    assert grades(gateway)[f"endpoint.{COMMUNE}"] is Grade.FAIL


def test_a_peer_that_does_not_answer_is_a_warning(gateway: RunningGateway) -> None:
    peer = Endpoint(channel=Channel.PEER, url="http://127.0.0.1:9", credential="above")
    gateway.set_agencies([replace(a, endpoint=peer) if a.code == COMMUNE else a for a in agencies()])
    assert grades(gateway)[f"link.{COMMUNE}"] is Grade.WARN


def test_a_database_of_another_version_fails(gateway: RunningGateway) -> None:
    ledger = gateway.ledger()
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    ledger.engine.dispose()
    assert grades(gateway)["database"] is Grade.FAIL


def test_a_database_that_is_none_fails(gateway: RunningGateway) -> None:
    for path in gateway.settings.data.glob("ledger.sqlite3*"):
        path.unlink()
    (gateway.settings.data / "ledger.sqlite3").write_bytes(b"This is no database. " * 100)
    assert grades(gateway)["database"] is Grade.FAIL


def synced(gateway: RunningGateway, *, finished: bool = True) -> None:
    with opened(gateway.settings) as site:
        now = datetime.now(UTC)
        run = site.catalogue.begin("test", now=now)
        site.catalogue.take(run, an_answer([a_unit("a", "H41")]), name="x", now=now)
        if finished:
            site.catalogue.settle(run, now=now)
            site.catalogue.publish(run, now=now)


def test_without_a_catalogue_there_is_nothing_to_say_of_one(gateway: RunningGateway) -> None:
    assert "catalogue" not in grades(gateway)


@pytest.mark.parametrize(("days", "grade"), [(13, Grade.OK), (15, Grade.WARN)])
def test_an_old_catalogue_is_a_warning(gateway: RunningGateway, days: int, grade: Grade) -> None:
    synced(gateway)
    assert grades(gateway, datetime.now(UTC) + timedelta(days=days))["catalogue"] is grade


def test_a_catalogue_that_was_not_finished_is_a_warning(gateway: RunningGateway) -> None:
    synced(gateway, finished=False)
    assert grades(gateway)["catalogue"] is Grade.WARN
