"""``gateway db``: upgrade, check, back up."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.bootstrap import prepare_database
from gateway.cli import exits
from gateway.cli.command import Group, for_programs
from gateway.cli.shell import Shell
from gateway.cli.words import Text
from gateway.clock import utc_now
from gateway.ledger import check, open_engine, sqlite_version_is_safe, upkeep

db = Group(
    "db",
    words=Text(
        "Cơ sở dữ liệu của trục: nâng cấp, kiểm tra, sao lưu.", "The gateway's database: upgrade, check, back up."
    ),
    examples="""\
gateway db upgrade
gateway db check
gateway db backup /backup/gateway-2026-11-22.sqlite3""",
)


@db.command_of(
    "upgrade",
    Text(
        "Đưa cấu trúc bảng về phiên bản này; `gateway serve` tự làm việc này.",
        "Bring the tables to this version; `gateway serve` does it by itself.",
    ),
)
def upgrade(shell: Shell) -> None:
    """Run the migrations."""
    prepare_database(shell.settings(), now=utc_now())
    shell.say(Text("Cơ sở dữ liệu đã ở phiên bản này.", "The database is of this version."))


@db.command_of("check", Text("Kiểm tra phiên bản và tính toàn vẹn.", "Check version and integrity."))
@for_programs()
def check_database(shell: Shell) -> int:
    """Answer whether the database is usable and whole."""
    engine = open_engine(shell.settings().ledger_url)
    try:
        check(engine)
        facts, faults = upkeep.facts(engine), upkeep.faults(engine)
    finally:
        engine.dispose()
    safe = facts.engine != "sqlite" or sqlite_version_is_safe()
    if shell.json:
        shell.result({"facts": facts, "faults": faults, "version_is_safe": safe})
    else:
        shell.say(
            Text("{engine} {version}, {size} byte", "{engine} {version}, {size} bytes"),
            engine=facts.engine,
            version=facts.version,
            size=facts.size_bytes,
        )
        for fault in faults:
            click.echo(f"  {fault}")
        if not faults and safe:
            shell.say(Text("Không thấy hư hỏng.", "Nothing is damaged."))
    return exits.DONE if not faults and safe else exits.FAILED


@db.command_of(
    "backup",
    Text(
        """Sao lưu cơ sở dữ liệu SQLite khi trục đang chạy. Gói tin lớn nằm ở thư mục payloads: sao lưu SAU lệnh này.
PostgreSQL: dùng pg_dump.""",
        """Back up the SQLite database while the gateway runs. Large packages are in the folder payloads: copy it
AFTER this command. PostgreSQL: use pg_dump.""",
    ),
    examples="gateway db backup /backup/ledger.sqlite3 && rsync -a var/payloads /backup/",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(shell: Shell, *, file: Path) -> None:
    """Copy the database."""
    engine = open_engine(shell.settings().ledger_url)
    try:
        check(engine)
        size = upkeep.backup(engine, file.absolute())
    finally:
        engine.dispose()
    shell.say(Text("Đã sao lưu {size} byte vào {file}", "Backed up {size} bytes to {file}"), size=size, file=file)
