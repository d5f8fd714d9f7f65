"""``gateway agencies``: the directory in force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gateway.cli import exits
from gateway.cli.command import Group, Place, for_programs, option
from gateway.cli.opened import actor, local_site, opened, utc_now
from gateway.cli.shell import Shell, plain
from gateway.cli.words import Text
from gateway.directory import (
    Directory,
    Finding,
    certificate_of,
    check_agencies,
    check_site,
    dump_agencies,
    load_agencies,
)
from gateway.ledger.actions import Action
from gateway.ledger.records import NewEvent
from gateway.model import Agency, Severity

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

agencies = Group(
    "agencies",
    words=Text(
        "Danh bạ cơ quan: mã định danh, điểm nhận, chứng thư.", "The directory: codes, endpoints, certificates."
    ),
    examples="""\
gateway agencies check config/agencies.toml
gateway agencies import config/agencies.toml
gateway agencies list "dong dang"
gateway agencies export > agencies.toml""",
    places={
        name: Place("gateway.cli.registrations", name, words)
        for name, words in {
            "requests": Text("Yêu cầu thêm, xóa cơ quan đang chờ duyệt.", "What systems ask to add or delete."),
            "approve": Text("Duyệt một yêu cầu.", "Approve such a request."),
            "reject": Text("Từ chối một yêu cầu.", "Turn such a request down."),
        }.items()
    },
)


@agencies.command_of(
    "import",
    Text(
        """Đưa danh bạ trong tệp vào sử dụng, thay toàn bộ danh bạ cũ; tiến trình đang chạy thấy ngay.
--merge: chỉ thêm hoặc sửa các cơ quan có trong tệp.""",
        """Put a file's directory in force, replacing all of the old one; running processes see it at once.
--merge: only add or change the agencies of the file.""",
    ),
    examples="gateway agencies import config/agencies.toml\ngateway agencies import ca-nuoc.toml --merge --dry-run",
)
@click.argument("file", type=_FILE)
@option("--merge", is_flag=True, words=Text("Giữ các cơ quan không có trong tệp.", "Keep agencies not in the file."))
@option("--dry-run", is_flag=True, words=Text("Chỉ kiểm tra.", "Check only."))
@for_programs()
def import_file(shell: Shell, *, file: Path, merge: bool, dry_run: bool) -> None:
    """Replace the directory."""
    wanted = load_agencies(file)
    if dry_run:
        shell.say(Text("Tệp dùng được: {n} cơ quan.", "The file is usable: {n} agencies."), n=len(wanted))
        return
    with opened(shell.settings()) as gateway:
        now = utc_now()
        result = gateway.store.import_agencies(wanted, source=file.name, now=now, keep_others=merge)
        if not result.unchanged:
            gateway.ledger.record_event(
                NewEvent(
                    action=Action.DIRECTORY_CHANGED,
                    actor=actor(),
                    data={
                        "version": result.version,
                        "added": result.added,
                        "changed": result.changed,
                        "removed": result.removed,
                    },
                ),
                now=now,
            )
    if shell.json:
        shell.result(result)
    shell.say(
        Text(
            "Danh bạ phiên bản {version}: thêm {added}, sửa {changed}, bỏ {removed}.",
            "Directory version {version}: {added} added, {changed} changed, {removed} removed.",
        ),
        version=result.version,
        added=result.added,
        changed=result.changed,
        removed=result.removed,
    )


@agencies.command_of("export", Text("In danh bạ đang dùng dạng TOML.", "Print the directory in force as TOML."))
def export(shell: Shell) -> None:
    """Print the directory."""
    with opened(shell.settings()) as gateway:
        click.echo(dump_agencies(gateway.store.export()), nl=False)


@agencies.command_of(
    "list",
    Text(
        "Liệt kê cơ quan của danh bạ mình, hoặc tìm (cả trong danh mục) theo tên, mã; không cần dấu.",
        "List the own agencies, or find any (the catalogue's too) by name or code; accents ignored.",
    ),
    examples='gateway agencies list\ngateway agencies list "so tai chinh"',
)
@click.argument("text", required=False)
@for_programs()
def list_agencies(shell: Shell, *, text: str | None) -> None:
    """Show agencies."""
    with opened(shell.settings()) as gateway:
        directory = gateway.directory()
        # A national catalogue has a hundred thousand more: those are searched, never listed.
        found = directory.search(text, limit=200) if text else tuple(gateway.store.export())
    if shell.json:
        shell.result([_facts(agency, directory) for agency in found])
        return
    columns = [
        Text("Mã", "Code"),
        Text("Mã khác", "Aliases"),
        Text("Tên", "Name"),
        Text("Kênh", "Channel"),
        Text("Qua", "Through"),
        Text("Chứng thư", "Certificates"),
    ]
    now = utc_now()
    rows = []
    for agency in found:
        holder = directory.endpoint_holder(agency, at=now)
        rows.append(
            (
                agency.code,
                " ".join(agency.aliases),
                agency.name,
                agency.endpoint.channel.value if agency.endpoint else "",
                holder.code if holder and holder.code != agency.code else "",
                len(agency.certificates) or "",
            )
        )
    shell.table(columns, rows)


@agencies.command_of("show", Text("Một cơ quan.", "One agency."), examples="gateway agencies show H37.21")
@click.argument("code")
@for_programs()
def show(shell: Shell, *, code: str) -> None:
    """Show all of an agency."""
    with opened(shell.settings()) as gateway:
        agency = gateway.agency(code, at=utc_now())
        directory = gateway.directory()
    facts = _facts(agency, directory)
    if shell.json:
        shell.result(facts)
        return
    for name, value in facts.items():
        if value not in (None, (), [], False):
            label = shell.words(_LABELS[name])
            click.echo(f"{label:<16} {plain(value if not isinstance(value, list) else '; '.join(map(str, value)))}")


_LABELS = {
    "code": Text("Mã định danh", "Code"),
    "aliases": Text("Mã khác", "Aliases"),
    "name": Text("Tên", "Name"),
    "level": Text("Cấp", "Level"),
    "parent": Text("Cơ quan cấp trên", "Parent"),
    "valid_from": Text("Từ ngày", "From"),
    "valid_to": Text("Đến ngày", "Until"),
    "successors": Text("Kế thừa", "Successors"),
    "closed_reason": Text("Lý do đóng", "Closed because"),
    "channel": Text("Kênh", "Channel"),
    "url": Text("Địa chỉ", "URL"),
    "credential": Text("Tên bí mật", "Credential"),
    "through": Text("Qua", "Through"),
    "accepts": Text("Chấp nhận chữ ký", "Accepts"),
    "certificates": Text("Chứng thư", "Certificates"),
}
"""What ``show`` calls the facts of an agency; programs get their names."""


def _facts(agency: Agency, directory: Directory) -> dict[str, Any]:
    holder = directory.endpoint_holder(agency, at=utc_now())
    return {
        "code": agency.code,
        "aliases": list(agency.aliases),
        "name": agency.name,
        "level": agency.level.value,
        "parent": agency.parent,
        "valid_from": agency.valid_from,
        "valid_to": agency.valid_to,
        "successors": list(agency.successors),
        "closed_reason": agency.closed_reason,
        "channel": agency.endpoint.channel.value if agency.endpoint else None,
        "url": agency.endpoint.url if agency.endpoint else None,
        "credential": agency.endpoint.credential if agency.endpoint else None,
        "through": holder.code if holder else None,
        "accepts": sorted(agency.accepts) if agency.accepts is not None else None,
        "certificates": [
            f"{c.role} {c.sha256[:16]} {certificate_of(c).subject.rfc4514_string()}" for c in agency.certificates
        ],
    }


@agencies.command_of(
    "check",
    Text(
        "Kiểm tra danh bạ trong tệp, hoặc danh bạ đang dùng khi không nêu tệp.",
        "Check a file's directory, or the one in force when no file is named.",
    ),
    examples="gateway agencies check\ngateway agencies check config/agencies.toml",
)
@click.argument("file", type=_FILE, required=False)
@for_programs()
def check(shell: Shell, *, file: Path | None) -> int:
    """Say what is wrong, and what to think about."""
    settings = shell.settings()
    if file is not None:
        found = load_agencies(file)
    else:
        with opened(settings) as gateway:
            found = gateway.store.export()
    findings: list[Finding] = [
        *check_agencies(found),
        *check_site(Directory(found, local_site(settings)), at=utc_now()),
    ]
    errors = [f for f in findings if f.severity is Severity.ERROR]
    if shell.json:
        shell.result(findings)
    else:
        for finding in findings:
            mark = Text("LỖI", "ERROR") if finding.severity is Severity.ERROR else Text("Lưu ý", "Note")
            click.echo(f"{shell.words(mark):<7} {plain(finding)}")
        shell.say(
            Text("{n} cơ quan, {errors} lỗi, {notes} lưu ý.", "{n} agencies, {errors} errors, {notes} notes."),
            n=len(found),
            errors=len(errors),
            notes=len(findings) - len(errors),
        )
    return exits.FAILED if errors else exits.DONE
