"""Certificates of agencies, by the commands alone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli.opened import opened, utc_now
from gateway.cli.root import root
from gateway.directory import registered_certificates
from gateway.ledger.actions import Action
from gateway.ledger.revocation import Rejudged
from gateway.model import AgencyCode, Level, Standing, Verdict
from gateway.signing.keys import SigningKey, certificates_to_pem, generate_key, issue_certificate, make_ca, subject_name
from tests.support import pki
from tests.support.agencies import MAILBOX, an_agency
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.ledger import a_document

PROVINCE, COMMUNE = "000.00.00.H37", "H37.21"
DAY = timedelta(days=1)


@pytest.fixture
def idle(tmp_path: Path) -> RunningGateway:
    """Prepared, not served."""
    agencies = [
        an_agency(PROVINCE, "H37", level=Level.PROVINCE, endpoint=MAILBOX),
        an_agency(COMMUNE, level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX),
    ]
    return a_gateway(tmp_path / "h37", code=PROVINCE, first_levels=["H37"], agencies=agencies)


def a_key(days: float, name: str = "UBND xã Đồng Đăng") -> SigningKey:
    """A certificate that ends so many days from now: commands look at the clock."""
    now = utc_now()
    authority = make_ca(subject_name("Chứng thực"), at=now - DAY)
    return issue_certificate(
        authority, subject_name(name), generate_key(), at=now - DAY, valid_for=DAY + timedelta(days=days)
    )


def pem(folder: Path, key: SigningKey) -> str:
    file = folder / f"{key.certificate_sha256[:12]}.pem"
    file.write_bytes(certificates_to_pem([key.certificate]))
    return str(file)


def call(gateway: RunningGateway, *arguments: str, code: int = 0, language: str = "en") -> Result:
    done = CliRunner().invoke(root, ["--lang", language, "--config", str(gateway.config), "certificates", *arguments])
    assert done.exit_code == code, f"{arguments}: {done.exit_code}\n{done.output}\n{done.exception!r}"
    return done


def facts(gateway: RunningGateway, *arguments: str, code: int = 0) -> Any:
    return json.loads(call(gateway, *arguments, "--json", code=code).stdout)


def counting(gateway: RunningGateway, at: datetime) -> set[str]:
    with opened(gateway.settings) as site:
        agency = site.agency(COMMUNE, at=at)
    return {c.sha256 for c in registered_certificates(agency, at=at)}


def events(gateway: RunningGateway) -> list[tuple[Action, dict[str, Any]]]:
    with opened(gateway.settings) as site:
        return [(e.action, dict(e.data)) for e in site.ledger.events()]


def test_a_certificate_is_registered_and_counts_at_once(idle: RunningGateway, tmp_path: Path) -> None:
    key = a_key(400)
    done = facts(idle, "add", COMMUNE, pem(tmp_path, key), "--role", "person", "--holder", "Bà Hà, Chủ tịch")
    assert (done["sha256"], done["directory_version"]) == (key.certificate_sha256, 2)
    assert counting(idle, utc_now()) == {key.certificate_sha256}
    (listed,) = facts(idle, "list")
    assert (listed["agency"], listed["role"], listed["holder"]) == (COMMUNE, "person", "Bà Hà, Chủ tịch")
    assert listed["days_left"] in (399, 400)
    ((action, data),) = [e for e in events(idle) if e[0] is Action.CERTIFICATE_ADDED]
    assert data == {"certificate": key.certificate_sha256, "agency": COMMUNE, "role": "person", "version": 2}


def test_the_same_certificate_twice_an_unknown_agency_and_a_private_key_are_refused(
    idle: RunningGateway, tmp_path: Path
) -> None:
    key = a_key(400)
    file = pem(tmp_path, key)
    call(idle, "add", COMMUNE, file)
    assert "request.state_conflict" in call(idle, "add", COMMUNE, file, code=1).output
    assert "request.not_found" in call(idle, "add", "H99.1", file, code=1).output
    secret = tmp_path / "key.pem"
    secret.write_text("-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----\n")
    assert "key.unusable" in call(idle, "add", COMMUNE, str(secret), code=4).output
    assert counting(idle, utc_now()) == {key.certificate_sha256}


def test_after_a_rotation_both_count_until_the_overlap_is_over(idle: RunningGateway, tmp_path: Path) -> None:
    old, new = a_key(20), a_key(400)
    call(idle, "add", COMMUNE, pem(tmp_path, old))
    assert [c["sha256"] for c in facts(idle, "expiring", code=1)] == [old.certificate_sha256]
    call(idle, "rotate", COMMUNE, pem(tmp_path, new), "--overlap-days", "7")
    assert counting(idle, utc_now() + 6.9 * DAY) == {old.certificate_sha256, new.certificate_sha256}
    assert counting(idle, utc_now() + 7.1 * DAY) == {new.certificate_sha256}
    assert facts(idle, "expiring") == []
    ((_, data),) = [e for e in events(idle) if e[0] is Action.CERTIFICATE_ROTATED]
    assert (data["certificate"], data["old"]) == (new.certificate_sha256, old.certificate_sha256)


def test_a_registration_is_ended_by_the_beginning_of_its_name(idle: RunningGateway, tmp_path: Path) -> None:
    key = a_key(400)
    call(idle, "add", COMMUNE, pem(tmp_path, key))
    call(idle, "end", key.certificate_sha256[:10])
    assert counting(idle, utc_now()) == set()
    assert facts(idle, "list") == []
    assert len(facts(idle, "list", "--all")) == 1
    assert Action.CERTIFICATE_ENDED in [a for a, _ in events(idle)]
    call(idle, "end", "0" * 10, code=1)


def test_the_documents_that_rest_on_a_certificate_are_named(idle: RunningGateway) -> None:
    verdict = Verdict(
        standing=Standing.VALID, reason="signature.verified", judged_at=pki.NOW, certificate_sha256="ab" * 32
    )
    document = a_document(verdict=verdict)
    with opened(idle.settings) as site:
        site.ledger.accept(document, [])
        invalid = replace(verdict, standing=Standing.INVALID, reason="signature.certificate_revoked")
        site.ledger.rejudge([Rejudged(document=document.id, old=verdict, new=invalid, cause="revoked")], now=utc_now())
    (found,) = facts(idle, "affected", "ab" * 32)
    assert (found["id"], found["standing"]) == (document.id, "invalid")
    assert facts(idle, "affected", "cd" * 32) == []
    call(idle, "affected", "abab", code=1)


def test_the_list_speaks_both_languages(idle: RunningGateway, tmp_path: Path) -> None:
    call(idle, "add", COMMUNE, pem(tmp_path, a_key(400)))
    assert "not asked" in call(idle, "list").stdout
    assert "không hỏi" in call(idle, "list", language="vi").stdout
    assert AgencyCode(COMMUNE) in call(idle, "list", language="vi").stdout
