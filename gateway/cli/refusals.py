"""``gateway refusals``: packages that were turned away."""

from __future__ import annotations

import sys

import click

from gateway.cli.command import Group, for_programs, option
from gateway.cli.opened import opened
from gateway.cli.shell import Shell, moment, plain
from gateway.cli.words import Text
from gateway.console.words import cause
from gateway.errors import NotFound

refusals = Group(
    "refusals",
    words=Text(
        "Gói tin bị từ chối, kèm lý do; gói tin nhỏ còn giữ để xem.",
        "Packages turned away, with the reason; small ones are kept to look at.",
    ),
    examples="gateway refusals list\ngateway refusals show 17\ngateway refusals show 17 --package > goi-tin.edxml",
)


@refusals.command_of("list", Text("Liệt kê, mới nhất trước.", "List, newest first."))
@option("--limit", type=click.IntRange(1, 200), default=50, words=Text("Số dòng.", "How many."))
@option("--before", type=int, words=Text("Chỉ số nhỏ hơn số này.", "Only below this number."))
@for_programs()
def list_refusals(shell: Shell, *, limit: int, before: int | None) -> None:
    """Show refusals."""
    with opened(shell.settings()) as gateway:
        found = gateway.ledger.refusals(limit=limit, before=before)
    if shell.json:
        shell.result(found)
        return
    columns = [
        Text("Số", "No."),
        Text("Lúc", "At"),
        Text("Từ hệ thống của", "From the system of"),
        Text("Mã lỗi", "Code"),
        Text("Lý do", "Reason"),
        Text("Byte", "Bytes"),
        Text("Còn giữ", "Kept"),
    ]
    shell.table(
        columns,
        [
            (r.id, moment(r.at), r.credential_agency or "?", r.code, cause(r.code, shell.language), r.size,
             "✔" if r.payload_kept else "")
            for r in found
        ],
    )  # fmt: skip


@refusals.command_of("show", Text("Một gói tin bị từ chối.", "One package that was turned away."))
@click.argument("number", type=int)
@option("--package", is_flag=True, words=Text("In gói tin ra đầu ra chuẩn.", "Write the package to standard output."))
@for_programs()
def show(shell: Shell, *, number: int, package: bool) -> None:
    """Show a refusal, or write its package."""
    with opened(shell.settings()) as gateway:
        row = next((r for r in gateway.ledger.refusals(limit=1, before=number + 1) if r.id == number), None)
        if row is None:
            raise NotFound(f"There is no refusal {number}.")
        raw = gateway.ledger.refusal_payload(number) if package else None
    if package:
        if raw is None:
            raise NotFound("The package was not kept.")
        sys.stdout.buffer.write(raw)
        return
    if shell.json:
        shell.result(row)
        return
    click.echo(f"{moment(row.at)} · {row.credential_agency or '?'} · {row.size} byte · SHA-256 {row.sha256 or '?'}")
    click.echo(f"{row.code}: {cause(row.code, shell.language)}")
    click.echo(f"{row.path or ''} {plain(row.detail)}".strip())
