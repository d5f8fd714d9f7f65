"""Packages as files: sign, verify, read."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.root import root
from gateway.signing.keys import certificates_to_pem, key_to_pem, key_to_pkcs12
from tests.support import documents, pki


def _gateway(*arguments: object, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(root, ["--lang", "en", *map(str, arguments)], env=environment)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "package.edxml"
    path.write_bytes(documents.a_package())
    return path


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "agency.crt"
    path.write_bytes(certificates_to_pem([pki.agency().certificate]))
    return path


@pytest.fixture
def signed(package: Path, tmp_path: Path) -> Path:
    key = tmp_path / "agency.p12"
    key.write_bytes(key_to_pkcs12(pki.agency(), "secret"))
    out = tmp_path / "signed.edxml"
    done = _gateway("sign", package, "--key", key, "-o", out, environment={"GATEWAY_KEY_PASSWORD": "secret"})
    assert done.exit_code == 0, done.output
    return out


def test_what_was_signed_verifies_with_the_certificate_that_one_gives(signed: Path, certificate: Path) -> None:
    done = _gateway("verify", signed, "--certificate", certificate, "--json")
    facts = json.loads(done.stdout)
    assert done.exit_code == 0
    assert facts["verdict"]["standing"] == "valid"
    assert facts["ok"] is True


def test_a_certificate_inside_the_package_is_not_believed(signed: Path) -> None:
    facts = json.loads(_gateway("verify", signed, "--json").stdout)
    assert facts["verdict"]["standing"] == "unverifiable"


def test_an_altered_package_fails(signed: Path, certificate: Path) -> None:
    signed.write_bytes(signed.read_bytes().replace("kiểm thử".encode(), "kiểm tra".encode()))
    done = _gateway("verify", signed, "--certificate", certificate)
    assert done.exit_code == 1
    assert "signature.digest_mismatch" in done.stdout


def test_an_unsigned_package_is_said_to_be_unsigned_and_is_no_failure(package: Path) -> None:
    done = _gateway("verify", package)
    assert done.exit_code == 0
    assert "signature.none" in done.stdout
    for part in ("000.00.14.H37", "000.00.00.H38", "07/SA-VP", "07-SA-VP.pdf", "SHA-256"):
        assert part in done.stdout


def test_a_status_is_described(tmp_path: Path) -> None:
    path = tmp_path / "status.edxml"
    path.write_bytes(documents.a_status_package())
    done = _gateway("verify", path)
    assert done.exit_code == 0
    assert "03" in done.stdout


def test_a_package_with_errors_fails(tmp_path: Path) -> None:
    path = tmp_path / "broken.edxml"
    path.write_bytes(documents.with_content(documents.a_package(), b"not base64!", encode=False))
    done = _gateway("verify", path)
    assert done.exit_code == 1
    assert "ERROR" in done.stdout


def test_what_is_no_package_fails_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    path.write_bytes(b"<html/>")
    done = _gateway("verify", path)
    assert done.exit_code == 1
    assert "package.unknown" in done.stderr


def test_an_error_for_programs_is_json(tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    path.write_bytes(b"<html/>")
    done = _gateway("verify", path, "--json")
    assert json.loads(done.stderr)["error"]["code"] == "package.unknown"


def test_everything_in_a_package_can_be_read_as_json(package: Path) -> None:
    facts = json.loads(_gateway("read", package).stdout)
    assert facts["kind"] == "document"
    assert facts["envelope"]["document_id"] == "000.00.14.H37,2026/03/05,07/SA-VP"
    assert facts["attachments"][0]["name"] == "07-SA-VP.pdf"


def test_the_wrong_password_is_for_whoever_keeps_the_key(package: Path, tmp_path: Path) -> None:
    key = tmp_path / "agency.p12"
    key.write_bytes(key_to_pkcs12(pki.agency(), "secret"))
    done = _gateway("sign", package, "--key", key, environment={"GATEWAY_KEY_PASSWORD": "wrong"})
    assert done.exit_code == 4
    assert "key.unusable" in done.stderr


def test_a_key_without_password_needs_none_and_writes_to_standard_output(package: Path, tmp_path: Path) -> None:
    key = tmp_path / "agency.pem"
    key.write_bytes(key_to_pem(pki.agency()))
    done = _gateway("sign", package, "--key", key)
    assert done.exit_code == 0
    assert b"Signature" in done.stdout_bytes


def test_a_password_may_stand_in_a_file(package: Path, tmp_path: Path) -> None:
    key, password = tmp_path / "agency.p12", tmp_path / "password"
    key.write_bytes(key_to_pkcs12(pki.agency(), "secret"))
    password.write_text("secret\n")
    assert _gateway("sign", package, "--key", key, "--password-file", password).exit_code == 0


def test_an_existing_file_is_replaced_only_when_asked(signed: Path, package: Path, tmp_path: Path) -> None:
    key = tmp_path / "agency.pem"
    key.write_bytes(key_to_pem(pki.other_agency()))
    before = signed.read_bytes()
    assert _gateway("sign", package, "--key", key, "-o", signed).exit_code == 2
    assert signed.read_bytes() == before
    assert _gateway("sign", package, "--key", key, "-o", signed, "--force").exit_code == 0
    assert signed.read_bytes() != before


def test_a_failed_signature_leaves_no_file(signed: Path, tmp_path: Path) -> None:
    key, out = tmp_path / "agency.pem", tmp_path / "twice.edxml"
    key.write_bytes(key_to_pem(pki.agency()))
    done = _gateway("sign", signed, "--key", key, "-o", out)
    assert (done.exit_code, out.exists()) == (1, False)
    assert "package.already_signed" in done.stderr
    assert [p for p in tmp_path.iterdir() if p.name.startswith("twice")] == []
