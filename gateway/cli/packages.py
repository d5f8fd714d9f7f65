"""``gateway sign``, ``verify`` and ``read``: packages as files, without any gateway."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import click
from cryptography import x509

from gateway.bootstrap import utc_now
from gateway.cli import exits
from gateway.cli.command import command, for_programs, option
from gateway.cli.misuse import Misuse
from gateway.cli.shell import Shell, moment, plain
from gateway.cli.words import Text
from gateway.console.words import verdict_sentence
from gateway.edxml import Limits, Package, read_unverified
from gateway.errors import KeyUnusable
from gateway.model import PackageKind, Severity, Standing, Verdict
from gateway.signing.keys import load_certificates, load_key
from gateway.signing.policy import SignaturePolicy
from gateway.signing.sign import sign_package_to
from gateway.signing.trust import TrustAnchors
from gateway.signing.verify import judge

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


# Sign


@command(
    "sign",
    Text(
        """Ký số gói tin bằng khóa của cơ quan; các byte khác của gói tin giữ nguyên.
Mật khẩu của khóa lấy từ --password-file, biến GATEWAY_KEY_PASSWORD, hoặc hỏi tại màn hình.""",
        """Sign a package with an agency's key; all its other bytes stay as they are.
The key's password comes from --password-file, GATEWAY_KEY_PASSWORD, or is asked for at the terminal.""",
    ),
    examples="""\
gateway sign van-ban.edxml --key co-quan.p12 -o van-ban.signed.edxml
gateway sign van-ban.edxml --key co-quan.pem --certificate co-quan.crt > van-ban.signed.edxml""",
)
@click.argument("file", type=_FILE)
@option("--key", "key_file", type=_FILE, required=True, words=Text("Khóa: PKCS#12 hoặc PEM.", "Key: PKCS#12 or PEM."))
@option(
    "--certificate",
    type=_FILE,
    words=Text("Chứng thư, nếu không nằm trong tệp khóa.", "Its certificate, when not in the key's file."),
)
@option("--password-file", type=_FILE, words=Text("Tệp chứa mật khẩu của khóa.", "File with the key's password."))
@option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    words=Text("Tệp kết quả; mặc định đầu ra chuẩn.", "Where to write; by default standard output."),
)
@option("--force", is_flag=True, words=Text("Ghi đè tệp kết quả.", "Replace an existing file."))
def sign(
    shell: Shell,
    *,
    file: Path,
    key_file: Path,
    certificate: Path | None,
    password_file: Path | None,
    output: Path | None,
    force: bool,
) -> None:
    """Write the signed package."""
    key = load_key(key_file, _password(key_file, password_file), certificate=certificate)
    with _written(output, force=force) as out:
        sign_package_to(file, key, out)
    shell.note(
        Text("Đã ký bằng chứng thư {sha256} ({subject}).", "Signed with certificate {sha256} ({subject})."),
        sha256=key.certificate_sha256[:16],
        subject=key.certificate.subject.rfc4514_string(),
    )


def _password(key_file: Path, password_file: Path | None) -> str | None:
    if password_file is not None:
        return password_file.read_text(encoding="utf-8").strip()
    given = os.environ.get("GATEWAY_KEY_PASSWORD")
    if given is not None:
        return given
    try:
        raw = key_file.read_bytes()
    except OSError as e:
        raise KeyUnusable(f"{key_file.name} cannot be read: {e.strerror}.") from e
    is_open = b"-----BEGIN" in raw and b"ENCRYPTED" not in raw
    if is_open or not sys.stdin.isatty():
        return None
    return str(click.prompt("Password", hide_input=True, err=True))


@contextlib.contextmanager
def _written(output: Path | None, *, force: bool) -> Iterator[BinaryIO]:
    """A file that appears only when it is complete; ``None`` is standard output."""
    if output is None:
        yield sys.stdout.buffer
        return
    if output.exists() and not force:
        raise Misuse(Text("{output} đã có; --force để thay.", "{output} exists; --force replaces it."), output=output)
    handle, name = tempfile.mkstemp(dir=output.parent, prefix=output.name)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
        Path(name).replace(output)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


# Verify and read


@command(
    "verify",
    Text(
        """Đọc và kiểm tra gói tin, không cần trục: loại, nơi gửi, nơi nhận, tệp kèm theo, lỗi, chữ ký.
Chữ ký chỉ được tin theo chứng thư mà bạn đưa ra, không theo chứng thư nằm trong gói tin.
Mã kết thúc 0: hợp lệ, hoặc đọc được mà không có chữ ký xác minh được; 1: có lỗi hoặc chữ ký sai.""",
        """Read and check a package, without a gateway: kind, sender, recipients, files, errors, signature.
A signature is believed by the certificates that you give, never by those inside the package.
Exit code 0: valid, or readable without a signature that could be verified; 1: errors, or a false signature.""",
    ),
    examples="""\
gateway verify van-ban.edxml
gateway verify van-ban.edxml --certificate so-khcn.crt --anchor ca.crt
gateway verify van-ban.edxml --json""",
)
@click.argument("file", type=_FILE)
@option(
    "--certificate",
    "certificates",
    type=_FILE,
    multiple=True,
    words=Text("Chứng thư của cơ quan gửi (PEM); có thể lặp lại.", "The sender's certificate (PEM); may be repeated."),
)
@option(
    "--gateway-certificate",
    "gateway_certificates",
    type=_FILE,
    multiple=True,
    words=Text("Chứng thư của trục chuyển tới (PEM).", "Certificate of the gateway that handed it over (PEM)."),
)
@option(
    "--anchor",
    "anchors",
    type=_FILE,
    multiple=True,
    words=Text("Chứng thư gốc tin cậy (PEM).", "Trust anchor (PEM)."),
)
@option("--tolerate-sha1", is_flag=True, words=Text("Chấp nhận SHA-1 (yếu).", "Accept SHA-1, as weak."))
@for_programs()
def verify(
    shell: Shell,
    *,
    file: Path,
    certificates: tuple[Path, ...],
    gateway_certificates: tuple[Path, ...],
    anchors: tuple[Path, ...],
    tolerate_sha1: bool,
) -> int:
    """Say what is in a package and whether it may be believed."""
    every = frozenset(Standing) - {Standing.INVALID}
    with _read(file) as package:
        verdict = judge(
            package,
            sender=_all(certificates),
            gateway=_all(gateway_certificates),
            policy=SignaturePolicy(accepted=every, tolerate_sha1=tolerate_sha1),
            anchors=TrustAnchors(_all(anchors)),
            at=utc_now(),
        )
        wrong = bool(package.errors) or verdict.standing is Standing.INVALID
        if shell.json:
            shell.result({**_facts(package), "verdict": verdict, "ok": not wrong})
        else:
            _describe(shell, package, verdict)
    return exits.FAILED if wrong else exits.DONE


@command(
    "read",
    Text(
        "Đọc gói tin và in mọi thông tin dạng JSON; không kiểm tra chữ ký.",
        "Read a package and print all of it as JSON; signatures are not judged.",
    ),
    examples="gateway read van-ban.edxml\ngateway read van-ban.edxml --json | jq .envelope.subject",
)
@click.argument("file", type=_FILE)
@for_programs()
def read(shell: Shell, *, file: Path) -> int:
    """Print a package."""
    with _read(file) as package:
        shell.result(_facts(package))
        return exits.FAILED if package.errors else exits.DONE


@contextlib.contextmanager
def _read(file: Path) -> Iterator[Package]:
    with (
        tempfile.TemporaryDirectory(prefix="gateway-read-") as spool,
        read_unverified(file, limits=Limits(), spool=Path(spool)) as package,
    ):
        yield package


def _all(files: Sequence[Path]) -> list[x509.Certificate]:
    return [certificate for file in files for certificate in load_certificates(file)]


def _facts(package: Package) -> dict[str, Any]:
    return {
        "kind": package.envelope.kind,
        "variant": package.variant,
        "sha256": package.sha256,
        "size": package.size,
        "signature_form": package.signature_form,
        "envelope": package.envelope,
        "attachments": [asdict(attachment) for attachment in package.attachments],
        "violations": [asdict(violation) for violation in package.violations],
    }


_KINDS = {
    PackageKind.DOCUMENT: Text("Văn bản", "Document"),
    PackageKind.STATUS: Text("Trạng thái xử lý", "Status"),
}
_SEVERITIES = {Severity.ERROR: Text("LỖI", "ERROR"), Severity.WARNING: Text("Cảnh báo", "Warning")}
_LABELS = {
    "from": Text("Nơi gửi", "From"),
    "to": Text("Nơi nhận", "To"),
    "subject": Text("Trích yếu", "Subject"),
    "number": Text("Số, ký hiệu", "Number"),
    "id": Text("DocumentId", "DocumentId"),
    "about": Text("Về văn bản", "About"),
    "status": Text("Trạng thái", "Status"),
    "package": Text("Gói tin", "Package"),
    "file": Text("Tệp kèm", "File"),
    "signature": Text("Chữ ký", "Signature"),
    "certificate": Text("Chứng thư", "Certificate"),
}


def _describe(shell: Shell, package: Package, verdict: Verdict) -> None:
    """What a clerk wants to know, one line each."""
    envelope = package.envelope

    def line(label: str, value: object) -> None:
        click.echo(f"{_LABELS[label].say(shell.language):<14} {plain(value)}")

    click.echo(f"{_KINDS[envelope.kind].say(shell.language)} · edXML {package.variant.value}")
    line("from", _named(envelope.sender.code, envelope.sender.name))
    for recipient in envelope.recipients:
        line("to", _named(recipient.code, recipient.name))
    if envelope.number.text:
        line("number", envelope.number.text)
    if envelope.document_id:
        line("id", envelope.document_id)
    if envelope.subject:
        line("subject", envelope.subject)
    if envelope.status is not None:
        line("status", f"{envelope.status.code.value} · {moment(envelope.status.reported_at)}")
        for response in envelope.responses:
            line("about", " · ".join(filter(None, (response.code, response.number, response.document_id))))
    line("package", f"{package.size} byte · SHA-256 {package.sha256}")
    for attachment in package.attachments:
        facts = f"{attachment.size} byte · {attachment.media_type} · SHA-256 {attachment.sha256}"
        line("file", f"{attachment.name} · {facts}")
    for violation in package.violations:
        severity = _SEVERITIES[violation.severity].say(shell.language)
        sentence = violation.vi if shell.language == "vi" else violation.en
        click.echo(f"{severity:<14} {plain(sentence)} ({plain(violation.code)})")
    line("signature", _in_words(shell, package, verdict))
    if verdict.certificate_sha256:
        line("certificate", f"{verdict.subject} · SHA-256 {verdict.certificate_sha256}")


def _named(code: str, name: str | None) -> str:
    return f"{code} · {name}" if name else code


def _in_words(shell: Shell, package: Package, verdict: Verdict) -> str:
    sender = package.envelope.sender
    return f"{verdict_sentence(verdict, sender.name or sender.code, shell.language)} ({verdict.reason})"
