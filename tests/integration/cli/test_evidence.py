"""``gateway evidence`` and ``gateway verify``: the proof outlives the gateway that gave it."""

from __future__ import annotations

import errno
import functools
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.cli import evidence
from gateway.cli.opened import opened
from gateway.cli.root import root
from gateway.evidence import renewal
from gateway.evidence.container import MEDIA_TYPE, ContainerReader
from gateway.signing import keys
from gateway.signing.keys import SigningKey, certificates_to_pem
from tests.integration.cli.test_life import COMMUNE, DEPARTMENT, PROVINCE, agencies, call
from tests.support import documents, pdfs, pki
from tests.support.evidence import YEARS_LATER, an_evidence_file, each_page_once
from tests.support.gateways import RunningGateway, a_gateway, start_gateway
from tests.support.ledger import a_delivery, a_document
from tests.support.pki_server import PkiServer


def told(*arguments: object) -> Result:
    return CliRunner().invoke(root, ["verify", "--lang", "en", *map(str, arguments)])


@pytest.fixture(autouse=True)
def _each_page_once(monkeypatch: pytest.MonkeyPatch) -> None:
    each_page_once(monkeypatch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evidence, its parts, and the root certificate; nothing of a gateway."""
    here = tmp_path_factory.mktemp("evidence")
    raw = an_evidence_file(tmp_path_factory.mktemp("gateway"))
    (here / "van-ban.asice").write_bytes(raw)
    with (here / "van-ban.asice").open("rb") as source:
        reader = ContainerReader(source)
        for name in ("package.edxml", "seal.xml", "receipt.json"):
            (here / name).write_bytes(reader.read(name, limit=10**7))
    (here / "receipt.jws").write_text(json.loads((here / "receipt.json").read_text())["jws"])
    (here / "root.crt").write_bytes(certificates_to_pem([pki.root().certificate]))
    (here / "gateway.crt").write_bytes(certificates_to_pem([pki.gateway().certificate]))
    (here / "chain.crt").write_bytes(certificates_to_pem([pki.intermediate().certificate]))
    (here / "agency.crt").write_bytes(certificates_to_pem([pki.agency().certificate]))
    return here


AT = ("--at", "2026-03-06")
LATER = ("--at", YEARS_LATER.strftime("%Y-%m-%d"))


def test_an_evidence_file_is_proven_by_the_root_years_later_in_words(folder: Path) -> None:
    done = told(folder / "van-ban.asice", "--anchor", folder / "root.crt", *LATER)
    assert done.exit_code == 0, done.output
    assert "CONCLUSION: proven, that CN=Trục liên thông" in done.stdout
    assert "The package is the one that was sealed" in done.stdout
    vietnamese = CliRunner().invoke(
        root,
        ["verify", "--lang", "vi", str(folder / "van-ban.asice"), "--anchor", str(folder / "root.crt"), *LATER],
    )
    assert "KẾT LUẬN: chứng minh được, rằng CN=Trục liên thông" in vietnamese.stdout
    meant = ("--gateway-certificate", folder / "gateway.crt")
    assert (
        "CONCLUSION: proven.\n"
        in told(folder / "van-ban.asice", "--anchor", folder / "root.crt", *meant, *LATER).stdout
    )
    assert "Gói tin đúng là gói đã được niêm phong" in vietnamese.stdout


def test_a_changed_byte_names_the_part_and_fails(folder: Path, tmp_path: Path) -> None:
    raw = bytearray((folder / "van-ban.asice").read_bytes())
    raw[raw.index(b"KT. GI")] ^= 1
    changed = tmp_path / "changed.asice"
    changed.write_bytes(raw)
    done = told(changed, "--anchor", folder / "root.crt", "--json")
    facts = json.loads(done.stdout)
    assert (done.exit_code, facts["ok"]) == (1, False)
    assert [(p["part"], p["outcome"], p["code"]) for p in facts["points"]] == [
        ("package.edxml", "broken", "container.altered")
    ]
    words = told(changed, "--anchor", folder / "root.crt").stdout
    assert "package.edxml" in words
    assert "CONCLUSION: NOT proven" in words


def test_even_the_first_bytes_of_an_evidence_file_are_its_own(folder: Path, tmp_path: Path) -> None:
    raw = (folder / "van-ban.asice").read_bytes()
    for at in range(80):
        (tmp_path / "file").write_bytes(raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :])
        facts = json.loads(told(tmp_path / "file", "--json").stdout)
        assert facts["kind"] == "evidence", at
        assert not facts["ok"]


def test_without_a_root_nothing_is_proven(folder: Path) -> None:
    done = told(folder / "van-ban.asice", *AT)
    assert done.exit_code == 1
    assert "no root certificate was given" in done.stdout


def test_a_seal_by_itself_with_its_time_stamp(folder: Path) -> None:
    # A seal carries its signer's certificate, and not the one above it: that is given as well.
    anchors = ("--anchor", folder / "chain.crt", "--anchor", folder / "root.crt")
    assert told(folder / "seal.xml", *anchors, *LATER).exit_code == 0
    facts = json.loads(told(folder / "seal.xml", *AT, "--json").stdout)
    assert (facts["kind"], facts["ok"]) == ("seal", False)
    (folder / "changed.xml").write_bytes((folder / "seal.xml").read_bytes().replace(b"<Size>", b"<Size>1", 1))
    changed = json.loads(told(folder / "changed.xml", *anchors, "--json").stdout)
    assert [p["code"] for p in changed["points"]] == ["seal.broken"]


@pytest.mark.parametrize("name", ["receipt.json", "receipt.jws"])
def test_a_receipt_with_the_gateway_s_certificate(folder: Path, name: str) -> None:
    own = ("--gateway-certificate", folder / "gateway.crt")
    done = told(folder / name, *own, *AT)
    assert done.exit_code == 0, done.output
    assert "accepted package SHA-256" in done.stdout
    codes = [p["code"] for p in json.loads(told(folder / name, *own, *LATER, "--json").stdout)["points"]]
    assert codes == ["receipt.alone", "signer.no_time"]
    without = json.loads(told(folder / name, "--anchor", folder / "root.crt", *AT, "--json").stdout)
    assert [p["code"] for p in without["points"]] == ["receipt.no_certificate"]


@pytest.mark.parametrize("content", ["{}", '{"jws": 5}', '{"jws": "a.b.c"}', "{", "aaaaaaaaaaaa.bbb.ccc", "[" * 5000])
def test_what_is_no_receipt_is_told(folder: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "r.json").write_text(content)
    done = told(tmp_path / "r.json", "--gateway-certificate", folder / "gateway.crt", "--json")
    assert done.exit_code == 1
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_the_package_in_it_by_the_sender_s_certificate(folder: Path) -> None:
    done = told(folder / "package.edxml", "--certificate", folder / "agency.crt", *AT, "--json")
    facts = json.loads(done.stdout)
    assert (done.exit_code, facts["verdict"]["standing"]) == (0, "valid")


def test_a_file_that_grew_too_large_for_its_kind_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "big.json").write_bytes(b"{" + b" " * 2_000_000)
    done = CliRunner().invoke(root, ["verify", str(tmp_path / "big.json")])
    assert done.exit_code == 1
    assert "evidence.invalid" in done.stderr


# Files that are signed inside


def test_a_signed_pdf_by_the_root_and_changed_or_without_it_not(folder: Path, tmp_path: Path) -> None:
    good = tmp_path / "quyet-dinh.pdf"
    good.write_bytes(pdfs.signed(pdfs.plain(), pki.person()))
    anchors = ("--anchor", folder / "chain.crt", "--anchor", folder / "root.crt")
    done = told(good, *anchors, *AT)
    assert done.exit_code == 0, done.output
    assert pki.person().certificate.subject.rfc4514_string() in done.stdout
    assert told(good, *AT).exit_code == 1
    raw = good.read_bytes()
    at = raw.index(b"stream", 200) + 20
    good.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    changed = json.loads(told(good, *anchors, *AT, "--json").stdout)
    assert (changed["kind"], changed["ok"]) == ("file", False)
    assert changed["files"][0]["standing"] in ("altered", "unreadable")


def test_a_pdf_without_signatures_proves_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.pdf").write_bytes(pdfs.plain())
    done = told(tmp_path / "plain.pdf", "--anchor", folder / "root.crt", "--json")
    assert (done.exit_code, json.loads(done.stdout)["files"][0]["standing"]) == (1, "unsigned")


# A gateway that is switched off and gone


@functools.cache
def authority() -> SigningKey:
    """Of today, so that a served gateway's clock fits."""
    return keys.make_ca(keys.subject_name("Gốc của hôm nay"), at=datetime.now(UTC) - timedelta(days=1))


@pytest.fixture
def tsa() -> Iterator[PkiServer]:
    with PkiServer() as server:
        server.authority = pki.certify(
            keys.subject_name("Dấu thời gian của hôm nay"),
            issuer=authority(),
            at=datetime.now(UTC) - timedelta(days=1),
            usages=frozenset({"digital_signature"}),
            purposes=(ExtendedKeyUsageOID.TIME_STAMPING,),
            purposes_critical=True,
        )
        yield server


@pytest.fixture
def served(tmp_path: Path, tsa: PkiServer) -> Iterator[RunningGateway]:
    anchor = tmp_path / "root.crt"
    anchor.write_bytes(certificates_to_pem([authority().certificate]))
    gateway = start_gateway(
        tmp_path / "h37",
        code=PROVINCE,
        first_levels=["H37"],
        agencies=agencies(),
        ca=authority(),
        timestamps={"urls": [tsa.tsa_url], "ca": [str(anchor)]},
    )
    yield gateway
    gateway.kill()


@pytest.mark.slow
def test_it_is_proven_after_the_gateway_and_its_database_are_gone(served: RunningGateway, tmp_path: Path) -> None:
    package = documents.a_package(recipients=(documents.an_organization(COMMUNE),))
    (tmp_path / "package.edxml").write_bytes(package)
    key = tmp_path / "key"
    key.write_text(served.key(DEPARTMENT), encoding="ascii")
    sent = call(served, "send", str(tmp_path / "package.edxml"), "--url", served.url, "--key-file", str(key), "--json")
    document = json.loads(sent.stdout)[0]["id"]
    call(served, "log", "seal", "--stamp")
    over_http = asked_over_http(served, document)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    exported = call(served, "evidence", "export", document, "-o", str(elsewhere / "van-ban.asice"))
    assert (exported.stdout, "gateway verify" in exported.stderr) == ("", True), "the file may go to standard output"
    assert served.stop() == 0
    shutil.rmtree(served.folder)

    (elsewhere / "over-http.asice").write_bytes(over_http)
    shutil.copy(tmp_path / "root.crt", elsewhere / "root.crt")
    years = (datetime.now(UTC) + timedelta(days=5 * 365)).strftime("%Y-%m-%d")
    done = verify_as_a_program(elsewhere, "van-ban.asice", "--anchor", "root.crt", "--at", years)
    assert done.returncode == 0, done.stdout + done.stderr
    assert told(elsewhere / "over-http.asice", "--anchor", elsewhere / "root.crt", "--at", years).exit_code == 0
    raw = bytearray((elsewhere / "van-ban.asice").read_bytes())
    raw[random.Random(1).randrange(len(raw))] ^= 1
    (elsewhere / "changed.asice").write_bytes(raw)
    assert told(elsewhere / "changed.asice", "--anchor", elsewhere / "root.crt").exit_code == 1


def asked_over_http(gateway: RunningGateway, document: str) -> bytes:
    import urllib.request

    request = urllib.request.Request(
        f"{gateway.url}/api/v1/documents/{document}/evidence",
        headers={"Authorization": f"Bearer {gateway.key(DEPARTMENT)}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["Content-Type"] == MEDIA_TYPE
        assert f"{document}.asice" in answer.headers["Content-Disposition"]
        content: bytes = answer.read()
        assert int(answer.headers["Content-Length"]) == len(content)
        return content


def verify_as_a_program(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", "verify", "--lang", "en", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_unknown_document_or_a_file_that_is_there_is_told(tmp_path: Path) -> None:
    idle = a_gateway(tmp_path / "h37", code=PROVINCE, first_levels=["H37"], agencies=agencies())
    assert "not_found" in call(idle, "evidence", "export", "nothing", "--json", code=1).stderr
    with opened(idle.settings) as at_hand:
        document = a_document()
        at_hand.ledger.accept(document, [a_delivery()])
    there = tmp_path / "there.asice"
    there.write_text("kept")
    call(idle, "evidence", "export", document.id, "-o", str(there), code=2)
    assert there.read_text() == "kept"


# Renewed


@pytest.fixture
def roots(folder: Path, tmp_path: Path) -> tuple[str, ...]:
    """Whom to believe: the root of the documents, and that of today's authority."""
    today = tmp_path / "today.crt"
    today.write_bytes(certificates_to_pem([authority().certificate]))
    return ("--anchor", str(folder / "root.crt"), "--anchor", str(today))


def renewing(*arguments: object) -> Result:
    return CliRunner().invoke(root, ["evidence", "renew", "--lang", "en", *map(str, arguments)])


def test_a_file_is_renewed_over_the_network_and_proven_decades_later_without_one(
    folder: Path, tmp_path: Path, tsa: PkiServer, roots: tuple[str, ...]
) -> None:
    out, file = tmp_path / "renewed.asice", folder / "van-ban.asice"
    done = renewing(file, "--tsa", tsa.tsa_url, *roots, "--out", out)
    assert done.exit_code == 0, done.output
    assert "renewed, number 1; " in done.stdout
    told_of = told(out, *roots, "--at", "2060-01-01")
    assert told_of.exit_code == 0, told_of.output
    assert "Renewal: time-stamp by " in told_of.stdout
    assert "Renew before the end: gateway evidence renew" in told_of.stdout, "its own authority has ended by then"
    assert "nothing says whether their certificates had been revoked" in told_of.stdout
    assert file.read_bytes() != out.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["renewed.asice", "today.crt"], "no half of one is left"


def test_files_are_renewed_in_their_place_when_they_are_due(
    folder: Path, tmp_path: Path, tsa: PkiServer, roots: tuple[str, ...]
) -> None:
    good, other = tmp_path / f"{'a' * 249}.asice", tmp_path / "b.asice"  # as long as a name may be
    shutil.copy(folder / "van-ban.asice", good)
    good.chmod(0o640)
    other.write_bytes((folder / "van-ban.asice").read_bytes()[:-1])
    ask = ("--tsa", tsa.tsa_url, *roots, "--replace", "--json", "--due")
    # Its authority ends in March 2027.
    first = renewing(good, other, *ask, 5_000)
    rows = json.loads(first.stdout)
    assert first.exit_code == 1
    assert [(r["renewed"], r["code"]) for r in rows] == [(True, None), (False, "evidence.altered")]
    assert good.stat().st_mode & 0o777 == 0o640
    renewed_once = good.read_bytes()
    again = renewing(good, *ask, 1)
    assert json.loads(again.stdout) == [{"file": str(good), "renewed": False, "code": None}]
    assert good.read_bytes() == renewed_once


def test_a_file_with_the_longest_name_is_renewed_in_its_place_by_any_letters(
    folder: Path, tmp_path: Path, tsa: PkiServer, roots: tuple[str, ...]
) -> None:
    long = tmp_path / f"{'ử' * 82}x.asice"
    assert len(long.name.encode()) == 253
    shutil.copy(folder / "van-ban.asice", long)
    done = renewing(long, "--tsa", tsa.tsa_url, *roots, "--replace")
    assert done.exit_code == 0, done.output
    assert long.name in done.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["today.crt", long.name], "no half of one is left"


def test_a_file_that_cannot_be_written_is_told_and_kept_and_the_others_are_renewed(
    folder: Path, tmp_path: Path, tsa: PkiServer, roots: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    full, good = tmp_path / "a.asice", tmp_path / "b.asice"
    for file in (full, good):
        shutil.copy(folder / "van-ban.asice", file)
    before = full.read_bytes()
    finish = renewal.Prepared.finish
    calls: list[int] = []

    def finish_or_full(prepared: renewal.Prepared, token: bytes) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finish(prepared, token)

    monkeypatch.setattr(renewal.Prepared, "finish", finish_or_full)
    done = renewing(full, good, "--tsa", tsa.tsa_url, *roots, "--replace", "--json")
    assert done.exit_code == 1
    rows = [(r["renewed"], r["code"]) for r in json.loads(done.stdout)]
    assert rows == [(False, "storage.full"), (True, None)]
    assert "No space left on device" in done.stderr
    assert full.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.asice", "b.asice", "today.crt"], "no half of one is left"


def test_an_interrupted_renewal_leaves_the_file_as_it_was(
    folder: Path, tmp_path: Path, tsa: PkiServer, roots: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.asice"
    shutil.copy(folder / "van-ban.asice", file)
    before = file.read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(renewal.Prepared, "finish", interrupted)
    assert renewing(file, "--tsa", tsa.tsa_url, *roots, "--replace").exit_code != 0
    assert file.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.asice", "today.crt"]


def test_a_folder_that_takes_an_hour_is_renewed_to_its_end(
    folder: Path, tmp_path: Path, tsa: PkiServer, roots: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The authority is held against the clock as it is when it is asked, not as it was at the first file."""
    files = [tmp_path / name for name in ("a.asice", "b.asice")]
    for file in files:
        shutil.copy(folder / "van-ban.asice", file)
    began = datetime.now(UTC) - timedelta(hours=1)
    moments = iter([began])
    monkeypatch.setattr(evidence, "utc_now", lambda: next(moments, datetime.now(UTC)))
    done = renewing(*files, "--tsa", tsa.tsa_url, *roots, "--replace", "--json")
    assert [r["code"] for r in json.loads(done.stdout)] == [None, None], done.stderr


def test_an_authority_whose_clock_is_wrong_renews_nothing(
    folder: Path, tmp_path: Path, tsa: PkiServer, roots: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for away in (timedelta(minutes=-11), timedelta(minutes=11)):
        monkeypatch.setattr(evidence, "utc_now", lambda away=away: datetime.now(UTC) + away)
        done = renewing(folder / "van-ban.asice", "--tsa", tsa.tsa_url, *roots, "--out", tmp_path / "o", "--json")
        assert json.loads(done.stdout)[0]["code"] == "timestamp.refused", away


@pytest.mark.parametrize("missing", ["anchor", "place", "two to one", "there"])
def test_a_renewal_without_a_root_or_a_place_is_refused(
    folder: Path, tmp_path: Path, roots: tuple[str, ...], missing: str
) -> None:
    file, out = folder / "van-ban.asice", tmp_path / "out.asice"
    (tmp_path / "there.asice").write_text("kept")
    arguments: dict[str, tuple[object, ...]] = {
        "anchor": (file, "--out", out),
        "place": (file, *roots),
        "two to one": (file, file, *roots, "--out", out),
        "there": (file, *roots, "--out", tmp_path / "there.asice"),
    }
    done = renewing(*arguments[missing], "--tsa", "http://127.0.0.1:9/")
    assert done.exit_code == 2, done.output
    assert not out.exists()
    assert (tmp_path / "there.asice").read_text() == "kept"


def test_an_authority_that_does_not_answer_or_is_not_believed_renews_nothing(
    folder: Path, tmp_path: Path, tsa: PkiServer, roots: tuple[str, ...]
) -> None:
    file, out = folder / "van-ban.asice", tmp_path / "out.asice"
    down = renewing(file, "--tsa", "http://127.0.0.1:9/", *roots, "--out", out, "--json")
    assert (down.exit_code, json.loads(down.stdout)[0]["renewed"]) == (1, False)
    strange = renewing(file, "--tsa", tsa.tsa_url, "--anchor", folder / "root.crt", "--out", out, "--json")
    assert json.loads(strange.stdout)[0]["code"] == "evidence.timestamp"
    assert not out.exists()


def test_roots_of_time_stamp_authorities_can_be_given_apart(folder: Path, tmp_path: Path) -> None:
    file = folder / "van-ban.asice"
    other = tmp_path / "other.crt"
    other.write_bytes(certificates_to_pem([authority().certificate]))
    anchor = ("--anchor", folder / "root.crt")
    assert told(file, *anchor, "--tsa-anchor", folder / "root.crt", *LATER).exit_code == 0
    apart = told(file, *anchor, "--tsa-anchor", other, *LATER, "--json")
    assert apart.exit_code == 1
    assert "stamp.not_believed" in {p["code"] for p in json.loads(apart.stdout)["points"]}


def test_a_time_stamp_in_a_pdf_is_judged_by_the_roots_of_authorities_too(folder: Path, tmp_path: Path) -> None:
    stamped = tmp_path / "stamped.pdf"
    stamped.write_bytes(pdfs.signed(pdfs.plain(), pki.person(), token=pki.timestamp_token))
    other = tmp_path / "other.crt"
    other.write_bytes(certificates_to_pem([authority().certificate]))
    anchors = ("--anchor", folder / "chain.crt", "--anchor", folder / "root.crt")
    for more, expected in (((), True), (("--tsa-anchor", other), False)):
        facts = json.loads(told(stamped, *anchors, *more, *AT, "--json").stdout)
        assert (facts["files"][0]["signatures"][0]["stamped_at"] is not None) is expected


def test_what_is_not_known_of_revocation_can_be_demanded(folder: Path, tmp_path: Path) -> None:
    file, anchor = folder / "van-ban.asice", ("--anchor", folder / "root.crt")
    default = json.loads(told(file, *anchor, *AT, "--json").stdout)
    assert (default["ok"], default["revocation_unknown"] > 0) == (True, True)
    strict = told(file, *anchor, *AT, "--require-revocation", "--json")
    assert (strict.exit_code, json.loads(strict.stdout)["ok"]) == (1, False)
