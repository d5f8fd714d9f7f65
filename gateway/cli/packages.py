"""``gateway verify`` and ``read``: packages as files, without any gateway."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from cryptography import x509

from gateway.bootstrap import utc_now
from gateway.cli import exits
from gateway.cli.command import command, for_programs, option
from gateway.cli.shell import Shell, moment, plain
from gateway.cli.words import Text
from gateway.console.words import verdict_sentence
from gateway.edxml import Limits, Package, read_unverified
from gateway.model import PackageKind, Severity, Standing, Verdict
from gateway.signing.keys import load_certificates
from gateway.signing.policy import SignaturePolicy
from gateway.signing.trust import TrustAnchors
from gateway.signing.verify import judge

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


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
