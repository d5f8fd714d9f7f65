"""``gateway examinations``: documents kept here until they are examined, or refused for what was found."""

from __future__ import annotations

import click

from gateway.cli.command import Group, for_programs, option
from gateway.cli.opened import actor, opened, utc_now
from gateway.cli.shell import Shell, moment, plain
from gateway.cli.words import Text
from gateway.console.texts import say
from gateway.console.verdicts import FILE_PARTS, SIGNER_ROLES
from gateway.console.words import EXAMINATION_STATES, EXAMINATIONS, finding
from gateway.errors import NotFound
from gateway.model import ExaminationKind

examinations = Group(
    "examinations",
    words=Text(
        "Văn bản đang bị giữ để kiểm tra (chữ ký trong tệp, mã độc, thu hồi chứng thư), hoặc không được chuyển.",
        "Documents kept here to be examined (signatures in files, malware, revocation), or refused for it.",
    ),
    examples="gateway examinations list\ngateway examinations list --kind malware\n"
    'gateway examinations release MÃ --kind malware --reason "Đã quét bằng tay"',
)

_KINDS = click.Choice([kind.value for kind in ExaminationKind])


@examinations.command_of(
    "list", Text("Liệt kê những gì đang chờ kiểm tra hoặc không được chuyển.", "List what is pending or was refused.")
)
@option("--kind", type=_KINDS, words=Text("Chỉ loại kiểm tra này.", "Only this kind."))
@option("--limit", type=click.IntRange(1, 1000), default=100, words=Text("Số dòng mỗi loại.", "How many of each."))
@for_programs()
def list_examinations(shell: Shell, *, kind: str | None, limit: int) -> None:
    """Show open examinations."""
    kinds = [ExaminationKind(kind)] if kind else list(ExaminationKind)
    with opened(shell.settings()) as gateway:
        found = [row for each in kinds for row in gateway.ledger.open_examinations(each, limit=limit)]
    if shell.json:
        shell.result(found)
        return
    columns = [
        Text("Văn bản", "Document"),
        Text("Kiểm tra", "Examination"),
        Text("Tình trạng", "State"),
        Text("Giữ", "Holds"),
        Text("Lý do", "Reason"),
        Text("Số lần", "Tries"),
        Text("Từ", "Since"),
    ]
    shell.table(
        columns,
        [
            (r.document, EXAMINATIONS[r.kind].say(shell.language),
             EXAMINATION_STATES[r.state].words.say(shell.language), "✔" if r.keeps else "",
             finding(r.reason, shell.language) if r.reason else "", r.attempts,
             moment(r.created_at))
            for r in found
        ],
    )  # fmt: skip


@examinations.command_of("show", Text("Kết quả kiểm tra một văn bản.", "What was found of one document."))
@click.argument("document")
@for_programs()
def show(shell: Shell, *, document: str) -> None:
    """Show the examinations of a document, with its files."""
    with opened(shell.settings()) as gateway:
        rows = gateway.ledger.examinations(document)
        if not rows and gateway.ledger.document(document) is None:
            raise NotFound(f"There is no document {document}.")
    if shell.json:
        shell.result(rows)
        return
    for row in rows:
        state = EXAMINATION_STATES[row.state].words.say(shell.language)
        said = finding(row.reason, shell.language) if row.reason else ""
        click.echo(f"{EXAMINATIONS[row.kind].say(shell.language)}: {state}. {said} {plain(row.detail or '')}".rstrip())
        for one in row.result.files if row.result else ():
            name = one.name if one.member is None else f"{one.name} › {one.member}"
            part = "" if one.part is None else f", {FILE_PARTS[one.part].say(shell.language)}"
            click.echo(f"  {plain(name)}: {one.standing} ({one.reason}){part}")
            if one.lacks:
                whose = ", ".join(SIGNER_ROLES[role].say(shell.language) for role in one.lacks)
                click.echo(f"    {say('doc.files.lacks', shell.language, whose=whose)}")
            for signature in one.signatures:
                click.echo(f"    {signature.role}: {signature.standing} {plain(signature.subject or '')}".rstrip())


@examinations.command_of(
    "release",
    Text(
        "Cho chuyển một văn bản đang bị giữ, hoặc đã không được chuyển, bất kể kết quả kiểm tra.",
        "Let a document go that is held or was refused, whatever its examination says.",
    ),
)
@click.argument("document")
@option("--kind", type=_KINDS, required=True, words=Text("Loại kiểm tra.", "Which examination."))
@option("--reason", required=True, words=Text("Lý do; ghi vào nhật ký.", "Why; the event log keeps it."))
@for_programs()
def release(shell: Shell, *, document: str, kind: str, reason: str) -> None:
    """Release a document."""
    with opened(shell.settings()) as gateway:
        again = gateway.ledger.release_examination(
            document, ExaminationKind(kind), reason=reason, actor=actor(), now=utc_now()
        )
    if shell.json:
        shell.result({"document": document, "kind": kind, "sent_again": again})
        return
    shell.note(
        Text(
            "Đã cho chuyển {document}; {count} lượt đã bị từ chối được gửi lại.",
            "{document} may go; {count} deliveries that had been refused are sent again.",
        ),
        document=document,
        count=len(again),
    )
