"""``gateway verify``: packages, signed files, receipts, seals and evidence files, offline, by what is given alone."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.cli import exits
from gateway.cli.command import command, for_programs, option
from gateway.cli.misuse import Misuse
from gateway.cli.packages import opened_package, package_facts
from gateway.cli.shell import Shell, moment, plain
from gateway.cli.trusted import A_FILE, anchor_option, certificates_of, revocation_of, tsa_anchor_option
from gateway.cli.words import Text
from gateway.clock import utc_now
from gateway.console.verdicts import FILE_STANDINGS, SIGNER_ROLES, verdict_sentence
from gateway.edxml import Package
from gateway.errors import EvidenceInvalid
from gateway.evidence.given import Given
from gateway.evidence.kinds import FileKind, kind_of
from gateway.evidence.points import Findings, Outcome, Words
from gateway.model import FileStanding, FileVerdict, PackageKind, Severity, Standing, Verdict
from gateway.signing.files import Inspector
from gateway.signing.files.wire import to_json
from gateway.signing.policy import SignaturePolicy
from gateway.signing.trust import RevocationFacts, RevocationMode, TrustAnchors
from gateway.signing.verify import judge

_SMALL_BYTES = 1024 * 1024
"""Of a receipt or a seal."""


@command(
    "verify",
    Text(
        """Kiểm tra, không cần mạng hay trục: gói tin, PDF đã ký, biên nhận, niêm phong, tệp bằng chứng (.asice).
Loại tệp nhận biết theo nội dung. Chỉ tin những chứng thư mà bạn đưa ra, không tin chứng thư nằm trong tệp.
Mã kết thúc 0: chứng minh được (gói tin: không có lỗi và không có chữ ký sai); 1: không.""",
        """Check, without a network or a gateway: a package, a signed PDF, a receipt, a seal, an evidence file (.asice).
The kind is told by the content. Only certificates that you give are believed, never those inside the file.
Exit code 0: proven (of a package: no errors and no false signature); 1: not.""",
    ),
    examples="""\
gateway verify 0195f0d2.asice --anchor root.crt
gateway verify quyet-dinh.pdf --anchor root.crt
gateway verify bien-nhan.json --gateway-certificate truc.crt
gateway verify van-ban.edxml --certificate so-khcn.crt --anchor root.crt
gateway verify van-ban.edxml --json""",
)
@click.argument("file", type=A_FILE)
@anchor_option
@tsa_anchor_option
@option(
    "--certificate",
    "certificates",
    type=A_FILE,
    multiple=True,
    words=Text("Chứng thư của cơ quan gửi (PEM); có thể lặp lại.", "The sender's certificate (PEM); may be repeated."),
)
@option(
    "--gateway-certificate",
    "gateway_certificates",
    type=A_FILE,
    multiple=True,
    words=Text(
        "Chứng thư của trục (PEM): tin như chứng thư gốc, và chỉ trục này được coi là trục.",
        "The gateway's certificate (PEM): believed like an anchor, and nobody else is taken for the gateway.",
    ),
)
@option(
    "--revocation",
    "lists",
    type=A_FILE,
    multiple=True,
    words=Text("Danh sách thu hồi (CRL) hoặc trả lời OCSP.", "Revocation list (CRL) or OCSP answer."),
)
@option(
    "--require-revocation",
    is_flag=True,
    words=Text(
        "Chỉ coi là chứng minh được khi biết rằng các chứng thư chưa bị thu hồi.",
        "Count as proven only what is known to be signed with certificates that were not revoked.",
    ),
)
@option(
    "--at",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    words=Text("Xét như vào lúc này (UTC); mặc định là bây giờ.", "Judge as of this moment (UTC); by default now."),
)
@option("--tolerate-sha1", is_flag=True, words=Text("Chấp nhận SHA-1 (yếu).", "Accept SHA-1, as weak."))
@for_programs()
def verify(
    shell: Shell,
    *,
    file: Path,
    anchors: tuple[Path, ...],
    authorities: tuple[Path, ...],
    certificates: tuple[Path, ...],
    gateway_certificates: tuple[Path, ...],
    lists: tuple[Path, ...],
    require_revocation: bool,
    at: datetime | None,
    tolerate_sha1: bool,
) -> int:
    """Say what a file proves."""
    given = Given(
        anchors=certificates_of(anchors),
        authorities=certificates_of(authorities),
        gateways=certificates_of(gateway_certificates),
        senders=certificates_of(certificates),
        revocation=revocation_of(lists),
        require_revocation=require_revocation,
        at=utc_now() if at is None else at.replace(tzinfo=UTC),
    )
    try:
        match kind_of(file):
            case FileKind.FILE:
                return _file(shell, file, given)
            case FileKind.PACKAGE:
                return _package(shell, file, given, tolerate_sha1=tolerate_sha1)
            case kind:
                return _tell(shell, _evidence(file, kind, given))
    except OSError as e:
        raise Misuse(Text("{file}: {reason}", "{file}: {reason}"), file=file, reason=e.strerror or e) from e


def _small(file: Path) -> bytes:
    with file.open("rb") as source:
        raw = source.read(_SMALL_BYTES + 1)
    if len(raw) > _SMALL_BYTES:
        raise EvidenceInvalid("The file is larger than any receipt or seal.")
    return raw


def _trust(given: Given) -> TrustAnchors:
    # Asked also when nothing is given: a signed file may carry answers of its own.
    mode = RevocationMode.REQUIRED if given.require_revocation else RevocationMode.IF_KNOWN
    return TrustAnchors(
        given.anchors, mode=mode, facts=RevocationFacts(given.revocation), authorities=given.authorities
    )


# Evidence: point by point

_OUTCOMES = {
    Outcome.HOLDS: Text("✔ đúng", "✔ holds"),
    Outcome.UNPROVEN: Text("? chưa chứng minh", "? not proven"),
    Outcome.BROKEN: Text("✘ SAI", "✘ BROKEN"),
    Outcome.NOTED: Text("· ghi nhận", "· noted"),
}
_KINDS_OF_EVIDENCE = {
    "evidence": Text("Tệp bằng chứng", "Evidence file"),
    "seal": Text("Niêm phong", "Seal"),
    "receipt": Text("Biên nhận", "Receipt"),
}
_PROVEN = Text("KẾT LUẬN: chứng minh được.", "CONCLUSION: proven.")
_PROVEN_AS_SAID = Text(
    "KẾT LUẬN: chứng minh được, rằng {subject} nói như vậy.", "CONCLUSION: proven, that {subject} says so."
)
_REVOCATION_UNKNOWN = Text(
    "LƯU Ý: với {count} chữ ký hoặc dấu thời gian, không có gì cho biết chứng thư đã bị thu hồi hay chưa; đưa thêm "
    "bằng --revocation, hoặc buộc phải biết bằng --require-revocation.",
    "NOTE: of {count} signatures or time-stamps nothing says whether their certificates had been revoked; give more by "
    "--revocation, or demand to know by --require-revocation.",
)
_NOT_PROVEN = Text(
    "KẾT LUẬN: KHÔNG chứng minh được; xem các dòng không đánh dấu ✔.",
    "CONCLUSION: NOT proven; see the lines without a ✔.",
)


def _evidence(file: Path, kind: FileKind, given: Given) -> Findings:
    # Here and not above: what reads time-stamps takes longer to load than a package takes to be checked.
    from gateway.evidence import offline  # noqa: PLC0415

    if kind is FileKind.SEAL:
        return offline.verify_seal(_small(file), given)
    if kind is FileKind.RECEIPT:
        return offline.verify_receipt(_small(file).decode("utf-8", "replace"), given)
    with (
        tempfile.TemporaryDirectory(prefix="gateway-verify-") as spool,
        file.open("rb") as source,
        Inspector() as inspector,
    ):
        return offline.verify_bundle(source, given, spool=Path(spool), words=_words(), inspector=inspector)


def _words() -> Words:
    """What people call states and events; they are the ledger's, which other kinds of files need not load."""
    from gateway.console.words import called  # noqa: PLC0415

    return called


def _tell(shell: Shell, findings: Findings) -> int:
    words = _words()
    if shell.json:
        points = [point.as_json(words) for point in findings.points]
        unknown = findings.revocation_unknown
        shell.result({"kind": findings.kind, "ok": findings.proven, "revocation_unknown": unknown, "points": points})
    else:
        click.echo(_KINDS_OF_EVIDENCE[findings.kind].say(shell.language))
        for point in findings.points:
            outcome = _OUTCOMES[point.outcome].say(shell.language)
            click.echo(f"{outcome:<18} {plain(point.part):<26} {plain(point.say(shell.language, words))}")
        if findings.proven and findings.revocation_unknown:
            click.echo(_REVOCATION_UNKNOWN.say(shell.language, count=str(findings.revocation_unknown)))
        named = next((p.values["subject"] for p in findings.points if p.code == "gateway.named"), None)
        if findings.proven and named is not None:
            click.echo(_PROVEN_AS_SAID.say(shell.language, subject=plain(named)))
        else:
            click.echo((_PROVEN if findings.proven else _NOT_PROVEN).say(shell.language))
    return exits.DONE if findings.proven else exits.FAILED


# Files with signatures of their own


def _file(shell: Shell, file: Path, given: Given) -> int:
    with Inspector() as inspector:
        verdicts = inspector.inspect(
            file, content_id=file.name, name=file.name, registered=(), anchors=_trust(given), at=given.at
        )
    good = (FileStanding.VALID, FileStanding.VALID_WEAK)
    proven = bool(verdicts) and all(v.standing in good for v in verdicts)
    # Without an anchor a certificate is only consistent with itself.
    proven = proven and bool(given.anchors)
    if shell.json:
        shell.result({"kind": "file", "ok": proven, "files": [to_json(v) for v in verdicts]})
    else:
        for verdict in verdicts:
            _describe_file(shell, verdict)
        if not given.anchors:
            shell.note(_NO_ANCHOR)
        elif not given.revocation and not given.require_revocation:
            shell.note(_NO_REVOCATION)
        click.echo((_PROVEN if proven else _NOT_PROVEN).say(shell.language))
    return exits.DONE if proven else exits.FAILED


_NO_REVOCATION = Text(
    "Chưa đưa tin thu hồi nào (--revocation): chỉ xét những gì có trong tệp; --require-revocation để buộc phải biết.",
    "No revocation data was given (--revocation): only what is in the file counts; --require-revocation "
    "demands to know.",
)
_NO_ANCHOR = Text(
    "Chưa đưa chứng thư gốc (--anchor): chưa biết chữ ký là của ai.",
    "No root certificate was given (--anchor): whose signatures they are is not known.",
)


def _describe_file(shell: Shell, verdict: FileVerdict) -> None:
    name = verdict.name if verdict.member is None else f"{verdict.name} › {verdict.member}"
    mark = FILE_STANDINGS[verdict.standing]
    click.echo(f"{mark.shape} {plain(name)}: {mark.words.say(shell.language)} ({plain(verdict.reason)})")
    for signature in verdict.signatures:
        mark = FILE_STANDINGS[signature.standing]
        role = SIGNER_ROLES[signature.role].say(shell.language)
        when = moment(signature.stamped_at or signature.claimed_at)
        said = f"{mark.words.say(shell.language)} ({plain(signature.reason)})"
        click.echo(f"  {mark.shape} {plain(signature.subject or '–')} · {role} · {when} · {said}")


# Packages


def _package(shell: Shell, file: Path, given: Given, *, tolerate_sha1: bool) -> int:
    every = frozenset(Standing) - {Standing.INVALID}
    with opened_package(file) as package:
        verdict = judge(
            package,
            sender=given.senders,
            gateway=given.gateways,
            policy=SignaturePolicy(accepted=every, tolerate_sha1=tolerate_sha1),
            anchors=_trust(given),
            at=given.at,
        )
        wrong = bool(package.errors) or verdict.standing is Standing.INVALID
        if shell.json:
            shell.result({**package_facts(package), "verdict": verdict, "ok": not wrong})
        else:
            _describe(shell, package, verdict)
    return exits.FAILED if wrong else exits.DONE


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
