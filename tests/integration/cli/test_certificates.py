"""Certificates of agencies, by the commands alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.bootstrap import check_settings, join, make_revocation_http, make_revocation_watch, trust_anchors
from gateway.cli.doctor import Grade, examine
from gateway.cli.exits import exit_code
from gateway.cli.opened import opened, utc_now
from gateway.cli.root import root
from gateway.directory import registered_certificates
from gateway.errors import KeyUnusable, SettingsInvalid
from gateway.ledger.actions import Action
from gateway.ledger.revocation import Rejudged
from gateway.model import AgencyCode, Level, Standing, Verdict
from gateway.signing.keys import SigningKey, certificates_to_pem, generate_key, issue_certificate, make_ca, subject_name
from tests.support import pki
from tests.support.agencies import MAILBOX, an_agency
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.ledger import a_document
from tests.support.pki_server import Fault, PkiServer

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
    [data] = [data for action, data in events(idle) if action is Action.CERTIFICATE_ADDED]
    assert data == {"certificate": key.certificate_sha256, "agency": COMMUNE, "role": "person", "version": 2}


def test_a_list_of_nothing_says_so_and_is_no_bare_heading(idle: RunningGateway) -> None:
    for command in ("list", "expiring"):
        assert call(idle, command).stdout == "There is nothing to list.\n"
        assert call(idle, command, language="vi").stdout == "Không có gì để liệt kê.\n"
        assert facts(idle, command) == []


def test_the_same_certificate_twice_an_unknown_agency_and_a_private_key_are_refused(
    idle: RunningGateway, tmp_path: Path
) -> None:
    key = a_key(400)
    file = pem(tmp_path, key)
    call(idle, "add", COMMUNE, file)
    assert "request.state_conflict" in call(idle, "add", COMMUNE, file, code=1).output
    assert "request.not_found" in call(idle, "add", "H99.1", file, code=1).output
    secret = tmp_path / "key.pem"
    secret.write_text("-----BEGIN " + "PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----\n")
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
    [data] = [data for action, data in events(idle) if action is Action.CERTIFICATE_ROTATED]
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


def test_the_certificate_of_several_agencies_is_ended_for_all_of_them(idle: RunningGateway, tmp_path: Path) -> None:
    key = a_key(400)
    for code, role in ((PROVINCE, "agency"), (COMMUNE, "agency"), (COMMUNE, "gateway")):
        call(idle, "add", code, pem(tmp_path, key), "--role", role)
    call(idle, "end", key.certificate_sha256)
    assert facts(idle, "list") == []
    told = [data for action, data in events(idle) if action is Action.CERTIFICATE_ENDED]
    assert {d["agency"]: d["role"] for d in told} == {PROVINCE: "agency", COMMUNE: "agency, gateway"}


def test_the_documents_that_rest_on_a_certificate_are_named(
    idle: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert "There may be more" not in call(idle, "affected", "ab" * 32).stdout
    monkeypatch.setattr("gateway.cli.certificates._MOST", 1)
    assert "There may be more" in call(idle, "affected", "ab" * 32).stdout


def test_the_list_speaks_both_languages(idle: RunningGateway, tmp_path: Path) -> None:
    call(idle, "add", COMMUNE, pem(tmp_path, a_key(400)))
    assert "not asked" in call(idle, "list").stdout
    assert "không hỏi" in call(idle, "list", language="vi").stdout
    assert AgencyCode(COMMUNE) in call(idle, "list", language="vi").stdout


# With an authority that can be asked


@pytest.fixture
def authority() -> Iterator[PkiServer]:
    with PkiServer() as server:
        yield server


def a_seal(authority: PkiServer) -> SigningKey:
    """Of the commune, good now: commands look at the clock."""
    return pki.certify(
        subject_name("UBND xã Đồng Đăng"),
        at=utc_now() - DAY,
        valid_for=400 * DAY,
        crl_url=authority.crl_url,
        ocsp_url=authority.ocsp_url,
    )


def asking(folder: Path, authority: PkiServer, **revocation: object) -> RunningGateway:
    """A gateway that believes the test authorities, and asks them."""
    config = folder / "h37" / "config"
    config.mkdir(parents=True)
    (config / "anchors.pem").write_bytes(certificates_to_pem([pki.root().certificate]))
    (config / "between.pem").write_bytes(certificates_to_pem([pki.intermediate().certificate]))
    listed: dict[str, object] = {"mode": "required", "urls": [authority.url], "crls": [authority.root_crl_url]}
    return a_gateway(
        folder / "h37",
        code=PROVINCE,
        first_levels=["H37"],
        agencies=[
            an_agency(PROVINCE, "H37", level=Level.PROVINCE, endpoint=MAILBOX),
            an_agency(COMMUNE, level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX),
        ],
        signing={"anchors": ["anchors.pem"], "intermediates": ["between.pem"]},
        revocation=listed | revocation,
    )


def ask(gateway: RunningGateway) -> None:
    """One round, as the worker makes them."""
    joined = join(gateway.settings)
    http = make_revocation_http(gateway.settings)
    try:
        assert make_revocation_watch(joined, http).round(at_once=True)
    finally:
        http.close()
        joined.scratch.close()
        joined.ledger.engine.dispose()


def test_commands_and_doctor_say_what_the_authority_says(tmp_path: Path, authority: PkiServer) -> None:
    gateway, key = asking(tmp_path, authority), a_seal(authority)
    call(gateway, "add", COMMUNE, pem(tmp_path, key))
    (before,) = facts(gateway, "check", code=1)["certificates"]
    assert (before["problem"], before["revocation"], before["undecided"]) == (None, "unknown", True)
    ask(gateway)
    (good,) = facts(gateway, "check")["certificates"]
    assert (good["problem"], good["revocation"], len(good["issuers"])) == (None, "good", 2)
    assert [c["revocation"] for c in facts(gateway, "list")] == ["good"]
    assert grades(gateway)["revocation"] is Grade.OK
    since = utc_now().replace(microsecond=0) - timedelta(hours=1)
    authority.revoke(key.certificate, since)
    ask(gateway)
    (bad,) = facts(gateway, "check", code=1)["certificates"]
    assert bad["problem"] == "signature.certificate_revoked"
    (listed,) = facts(gateway, "list")
    assert (listed["revocation"], datetime.fromisoformat(listed["revoked_at"])) == ("revoked", since)
    assert "REVOKED" in call(gateway, "check", code=1).stdout
    assert grades(gateway)[f"certificate.{key.certificate_sha256[:12]}"] is Grade.FAIL


def test_a_source_that_fails_is_named(tmp_path: Path, authority: PkiServer) -> None:
    gateway = asking(tmp_path, authority)
    call(gateway, "add", COMMUNE, pem(tmp_path, a_seal(authority)))
    authority.ocsp = Fault.DOWN
    ask(gateway)
    shown = facts(gateway, "check", code=1)
    assert [s["last_error_code"] for s in shown["sources"] if s["failures"]] == ["delivery.peer_failed"]
    assert "delivery.peer_failed" in call(gateway, "check", code=1).stdout
    assert grades(gateway)["revocation.source"] is Grade.FAIL


def test_a_certificate_of_a_stranger_is_of_no_use(tmp_path: Path, authority: PkiServer) -> None:
    gateway = asking(tmp_path, authority)
    (found,) = facts(gateway, "check", pem(tmp_path, a_key(400)), code=1)["certificates"]
    assert found["problem"] == "signature.certificate_untrusted"
    assert "OF NO AUTHORITY" in call(gateway, "check", pem(tmp_path, a_key(400)), code=1).stdout


def test_a_certificate_whose_name_cannot_be_read_is_named_and_no_crash(idle: RunningGateway, tmp_path: Path) -> None:
    strange = pem(tmp_path, pki.nameless(pki.agency()))
    for asked in (("check", strange), ("add", COMMUNE, strange)):
        assert "key.unusable" in call(idle, *asked, code=exit_code(KeyUnusable())).stderr


@pytest.mark.parametrize("urls", [["ca.gov.vn"], ["http://ca.gov.vn/?x"], ["http://u:p@ca.gov.vn/"]])
def test_an_address_that_is_none_is_refused_at_the_start(tmp_path: Path, authority: PkiServer, urls: list[str]) -> None:
    gateway = asking(tmp_path, authority, urls=urls)
    with pytest.raises(SettingsInvalid):
        check_settings(gateway.settings)


def test_revocation_without_anchors_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        a_gateway(tmp_path / "h37", code=PROVINCE, agencies=[], revocation={"mode": "if_known"})
    assert refused.value.path == "revocation.mode"


def grades(gateway: RunningGateway) -> dict[str, Grade]:
    return {f.name: f.grade for f in examine(gateway.settings, now=utc_now(), links=False)}


def test_time_stamps_inside_files_may_have_roots_of_their_own(tmp_path: Path) -> None:
    files: list[dict[str, object]] = [{}, {"timestamp_ca": ["tsa.pem"]}]
    found = []
    for number, section in enumerate(files):
        config = tmp_path / f"h{number}" / "config"
        config.mkdir(parents=True)
        for name, certificate in (("anchors", pki.root().certificate), ("tsa", pki.tsa_stranger_root())):
            (config / f"{name}.pem").write_bytes(certificates_to_pem([certificate]))
        gateway = a_gateway(
            config.parent,
            code=PROVINCE,
            first_levels=["H37"],
            agencies=[],
            signing={"anchors": ["anchors.pem"]},
            files=section,
        )
        found.append(trust_anchors(gateway.settings))
    assert [t.authorities.anchors for t in found] == [(pki.root().certificate,), (pki.tsa_stranger_root(),)]
    assert [t.anchors for t in found] == [(pki.root().certificate,)] * 2
