"""``gateway sign`` as a clerk calls it: PDFs and packages, files and tokens, with and without a time-stamp."""

import fcntl
import json
import os
import resource
import signal
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import exits
from gateway.cli.root import root
from gateway.model import FileStanding, SignerRole, Standing
from gateway.signing.keys import SigningKey, certificates_to_pem, key_to_pkcs12
from tests.support import documents, pdfs, pki, signed
from tests.support.pki_server import PkiServer
from tests.support.tokens import PIN, SoftToken, needs_softhsm, soft_token
from tests.unit.signing.test_prepare import BLUE, RED, pdfs_widget


def sign(*arguments: object, code: int = 0, language: str = "en", **environment: str) -> Result:
    words = ["--lang", language, "sign", *map(str, arguments)]
    done = CliRunner().invoke(root, words, env={"GATEWAY_KEY_PASSWORD": "secret", **environment})
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Keys, images and files to sign."""
    (tmp_path / "person.p12").write_bytes(key_to_pkcs12(pki.person(), "secret"))
    (tmp_path / "agency.p12").write_bytes(key_to_pkcs12(pki.agency_seal(), "secret"))
    (tmp_path / "blue.png").write_bytes(BLUE)
    (tmp_path / "red.png").write_bytes(RED)
    (tmp_path / "root.pem").write_bytes(certificates_to_pem([pki.root().certificate]))
    (tmp_path / "a.pdf").write_bytes(pdfs.plain())
    (tmp_path / "a.edxml").write_bytes(documents.a_package())
    return tmp_path


@pytest.fixture
def authority() -> Iterator[PkiServer]:
    with PkiServer() as server:
        yield server


def test_a_dispatch_is_signed_by_the_person_and_then_the_agency(folder: Path, authority: PkiServer) -> None:
    stamps = ["--tsa", authority.tsa_url, "--tsa-anchor", folder / "root.pem"]
    person, agency = ["--key", folder / "person.p12"], ["--key", folder / "agency.p12", "--role", "agency"]
    sign(folder / "a.pdf", *person, "--image", folder / "blue.png", *stamps, "-o", folder / "b.pdf")
    done = sign(folder / "b.pdf", *agency, "--image", folder / "red.png", *stamps, "-o", folder / "c.pdf")
    assert "PAdES-B-T" in done.stderr
    now = datetime.now(UTC)
    [verdict] = pdfs.judged((folder / "c.pdf").read_bytes(), at=now)
    assert verdict.standing is FileStanding.VALID
    assert [s.role for s in verdict.signatures] == [SignerRole.PERSON, SignerRole.AGENCY]
    assert all(s.stamped_at is not None and abs((now - s.stamped_at).total_seconds()) < 60 for s in verdict.signatures)


def test_without_an_authority_it_says_that_the_time_is_the_signer_s_word(folder: Path) -> None:
    done = sign(folder / "a.pdf", "--key", folder / "person.p12", "-o", folder / "b.pdf")
    assert "PAdES-B-B" in done.stderr
    assert "signer's word" in done.stderr
    assert pdfs.judged((folder / "b.pdf").read_bytes(), at=datetime.now(UTC))[0].standing is FileStanding.VALID


def test_an_agency_alone_is_refused_unless_one_insists(folder: Path) -> None:
    agency = ["--key", folder / "agency.p12", "--role", "agency", "-o", folder / "b.pdf"]
    assert "file.person_signature_missing" in sign(folder / "a.pdf", *agency, code=1).stderr
    assert "chưa có chữ ký" in sign(folder / "a.pdf", *agency, code=1, language="vi").stderr
    assert not (folder / "b.pdf").exists()
    sign(folder / "a.pdf", *agency, "--without-person")
    sign(folder / "a.pdf", *agency, "--kind", "copy", "--number", "12/SY-UBND", "--force")


@pytest.mark.parametrize("file", ["a.pdf", "a.edxml"])
def test_a_folder_that_is_not_there_is_told_without_a_traceback(folder: Path, file: str) -> None:
    command = [folder / file, "--key", folder / "person.p12", "-o", folder / "nowhere" / "out"]
    done = sign(*command, code=exits.USAGE, language="vi")
    assert "(command.usage)" in done.stderr
    assert "Không đọc hoặc ghi được tệp" in done.stderr


def test_a_result_can_be_read_by_whom_the_folder_s_files_are_for(folder: Path) -> None:
    person = ["--key", folder / "person.p12"]
    before = os.umask(0o027)
    try:
        sign(folder / "a.pdf", *person, "-o", folder / "b.pdf")
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "b.pdf").stat().st_mode) == 0o640
    longest = folder / f"{'x' * 251}.pdf"
    sign(folder / "a.pdf", *person, "-o", longest)
    assert longest.is_file()
    (folder / "b.pdf").chmod(0o664)
    sign(folder / "a.pdf", *person, "-o", folder / "b.pdf", "--force")
    assert stat.S_IMODE((folder / "b.pdf").stat().st_mode) == 0o664


@pytest.mark.parametrize("file", ["a.pdf", "a.edxml"])
def test_what_is_no_file_is_written_into_and_never_replaced(folder: Path, file: str) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    # Opened for both, so that neither end waits for the other; a signed file of this size fits in.
    handle = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.fcntl(handle, fcntl.F_SETPIPE_SZ, 1 << 20)
        sign(folder / file, "--key", folder / "person.p12", "-o", pipe, "--force")
        assert len(os.read(handle, 1 << 20)) > (folder / file).stat().st_size
    finally:
        os.close(handle)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_link_to_nowhere_is_not_replaced_unasked(folder: Path) -> None:
    link = folder / "link.pdf"
    link.symlink_to("nowhere.pdf")
    assert "--force" in sign(folder / "a.pdf", "--key", folder / "person.p12", "-o", link, code=2).stderr
    assert link.is_symlink()


def test_the_page_that_one_names_is_the_page_that_is_drawn_on(folder: Path) -> None:
    (folder / "two.pdf").write_bytes(pdfs.plain(pages=2))
    person = ["--key", folder / "person.p12", "--image", folder / "blue.png", "-o", folder / "b.pdf"]
    sign(folder / "two.pdf", *person, "--page", 1)
    assert pdfs_widget(folder / "b.pdf")[0] == 0
    seal = ["--key", folder / "agency.p12", "--role", "agency", "--image", folder / "red.png", "-o", folder / "c.pdf"]
    assert "--at" in sign(folder / "b.pdf", *seal, "--page", 1, code=2).stderr
    assert "no page 3" in sign(folder / "two.pdf", *person, "--page", 3, "--force", code=1).stderr


def test_a_full_disk_is_named_and_leaves_nothing(folder: Path) -> None:
    command = [folder / "a.pdf", "--key", folder / "person.p12", "-o", folder / "b.pdf"]
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    heeded = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, usual[1]))
        done = sign(*command, code=exits.LATER)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        signal.signal(signal.SIGXFSZ, heeded)
    assert "(storage.full)" in done.stderr
    assert list(folder.glob("b.pdf*")) == []


def test_a_password_file_that_is_no_text_is_named(folder: Path) -> None:
    (folder / "password").write_bytes(b"\xff\xfe")
    command = [folder / "a.pdf", "--key", folder / "person.p12", "--password-file", folder / "password"]
    assert "(key.unusable)" in sign(*command, code=exits.OPERATOR).stderr


@pytest.mark.parametrize(
    "key",
    [pki.expired, lambda: pki.issue("Sở Sau này", pki.rsa_key(), at=datetime(2090, 1, 1, tzinfo=UTC)), pki.wrong_usage],
    ids=["ended", "not-begun", "usage"],
)
@pytest.mark.parametrize("file", ["a.pdf", "a.edxml"])
def test_a_certificate_that_nobody_would_accept_signs_nothing(
    folder: Path, file: str, key: Callable[[], SigningKey]
) -> None:
    (folder / "k.p12").write_bytes(key_to_pkcs12(key(), "secret"))
    done = sign(folder / file, "--key", folder / "k.p12", "-o", folder / "out", code=exits.OPERATOR)
    assert "(key.unusable)" in done.stderr
    assert not (folder / "out").exists()


def test_an_authority_that_is_down_leaves_nothing_half_signed(folder: Path) -> None:
    command = [folder / "a.pdf", "--key", folder / "person.p12", "--tsa", "http://127.0.0.1:9/", "-o", folder / "b.pdf"]
    sign(*command, code=3)  # Later it may work.
    assert not (folder / "b.pdf").exists()
    assert sorted(p.name for p in folder.glob("b.pdf*")) == []


def test_an_authority_that_nobody_trusts_is_refused(folder: Path, authority: PkiServer) -> None:
    (folder / "other.pem").write_bytes(certificates_to_pem([pki.stranger().certificate]))
    stamps = ["--tsa", authority.tsa_url, "--tsa-anchor", folder / "other.pem"]
    command = [folder / "a.pdf", "--key", folder / "person.p12", *stamps, "-o", folder / "b.pdf"]
    assert "timestamp.refused" in sign(*command, code=3).stderr


@pytest.mark.parametrize(("options", "level"), [((), "XML-DSig"), (("--xades",), "XAdES-B-B")])
def test_packages_are_signed_in_both_forms(folder: Path, options: tuple[str, ...], level: str) -> None:
    (folder / "k.p12").write_bytes(key_to_pkcs12(pki.agency_ec(), "secret"))
    out = folder / "out.edxml"
    assert level in sign(folder / "a.edxml", "--key", folder / "k.p12", *options, "-o", out).stderr
    assert signed.verdict_on(out, folder).standing is Standing.VALID


def test_a_package_with_a_time_stamp_is_xades(folder: Path, authority: PkiServer) -> None:
    (folder / "k.p12").write_bytes(key_to_pkcs12(pki.agency_ec(), "secret"))
    out = folder / "out.edxml"
    done = sign(folder / "a.edxml", "--key", folder / "k.p12", "--tsa", authority.tsa_url, "-o", out)
    assert "XAdES-B-T" in done.stderr
    assert b"EncapsulatedTimeStamp" in out.read_bytes()
    assert signed.verdict_on(out, folder).standing is Standing.VALID


# Tokens


@pytest.fixture
def soft(tmp_path: Path) -> Iterator[SoftToken]:
    with soft_token(tmp_path / "token", ("person", pki.person()), ("agency", pki.agency_ec())) as made:
        yield made


@needs_softhsm()
def test_a_token_signs_pdfs_and_packages(folder: Path, soft: SoftToken) -> None:
    token = ["--token", soft.module, "--token-label", soft.label]
    pin = folder / "pin"
    pin.touch(mode=0o600)
    pin.write_text(PIN + "\n")
    sign(folder / "a.pdf", *token, "--certificate-label", "person", "--pin-file", pin, "-o", folder / "b.pdf")
    assert pdfs.judged((folder / "b.pdf").read_bytes(), at=datetime.now(UTC))[0].standing is FileStanding.VALID
    agency = ["--certificate-label", "agency", "-o", folder / "b.edxml"]
    sign(folder / "a.edxml", *token, *agency, GATEWAY_TOKEN_PIN=PIN)
    assert signed.verdict_on(folder / "b.edxml", folder).standing is Standing.VALID


@needs_softhsm()
@pytest.mark.parametrize(
    ("arguments", "pin", "error"),
    [
        (("--certificate-label", "person"), "000000", "token.pin_wrong"),
        (("--certificate-label", "person"), None, "token.pin_needed"),
        (("--certificate-label", "person"), "", "token.pin_needed"),
        (("--certificate-label", "nobody"), PIN, "token.key_unknown"),
        ((), PIN, "token.key_unknown"),
        (("--token-label", "other"), PIN, "token.absent"),
    ],
    ids=["wrong-pin", "no-pin", "empty-pin", "no-certificate", "several", "no-token"],
)
def test_what_is_wrong_with_a_token_is_named_and_its_pin_never_shown(
    folder: Path, soft: SoftToken, arguments: tuple[str, ...], pin: str | None, error: str
) -> None:
    command = [folder / "a.pdf", "--token", soft.module, *arguments, "-o", folder / "b.pdf", "-v"]
    code = exits.LATER if error == "token.absent" else exits.OPERATOR
    done = sign(*command, code=code, **({} if pin is None else {"GATEWAY_TOKEN_PIN": pin}))
    assert f"({error})" in done.stderr
    assert PIN not in done.output
    assert "000000" not in done.output
    assert not (folder / "b.pdf").exists()


def test_a_key_is_in_a_file_or_in_a_token(folder: Path) -> None:
    sign(folder / "a.pdf", code=2)
    sign(folder / "a.pdf", "--key", folder / "person.p12", "--token", folder / "person.p12", code=2)


def test_a_module_that_is_none_is_named(folder: Path) -> None:
    done = sign(folder / "a.pdf", "--token", folder / "a.pdf", "-o", folder / "b.pdf", code=4)
    assert "token.library_unusable" in done.stderr


def test_help_is_in_both_languages() -> None:
    for language, word in (("vi", "con dấu"), ("en", "seal")):
        assert word in sign("--help", language=language).stdout


def test_what_was_read_is_what_is_said(folder: Path) -> None:
    """The receipt of ``verify`` for a package that was signed here names the same certificate."""
    (folder / "k.p12").write_bytes(key_to_pkcs12(pki.agency_ec(), "secret"))
    (folder / "k.crt").write_bytes(certificates_to_pem([pki.agency_ec().certificate]))
    sign(folder / "a.edxml", "--key", folder / "k.p12", "--xades", "-o", folder / "b.edxml")
    words = ["--lang", "en", "verify", str(folder / "b.edxml"), "--certificate", str(folder / "k.crt"), "--json"]
    done = CliRunner().invoke(root, words)
    assert json.dumps(pki.agency_ec().certificate_sha256) in done.stdout
