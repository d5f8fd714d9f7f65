"""``gateway send``, ``inbox``, ``status`` and ``trace``: what an agency's system does, from the command line."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, Progress, TextColumn

from gateway.cli import exits
from gateway.cli.command import Group, command, for_programs, option
from gateway.cli.misuse import Misuse
from gateway.cli.shell import Shell, plain
from gateway.cli.words import Text
from gateway.delivery.agency import AgencyClient, AgencySettings
from gateway.errors import GatewayError
from gateway.model import VIETNAM_TIME, StatusCode

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _connection(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which gateway, and who one is. The key is never an argument: those are public."""
    for declare in reversed(
        [
            option(
                "--url",
                envvar="GATEWAY_URL",
                default="http://127.0.0.1:8080",
                show_default=True,
                words=Text("Địa chỉ trục (hoặc GATEWAY_URL).", "The gateway (or GATEWAY_URL)."),
            ),
            option(
                "--key-file",
                type=_FILE,
                words=Text(
                    "Tệp chứa khóa API; hoặc biến GATEWAY_KEY.", "File with the API key; or the variable GATEWAY_KEY."
                ),
            ),
            option("--ca-file", type=_FILE, words=Text("CA để tin kết nối TLS (PEM).", "CA to believe for TLS (PEM).")),
        ]
    ):
        function = declare(function)
    return function


def _client(url: str, key_file: Path | None, ca_file: Path | None) -> AgencyClient:
    key = key_file.read_text(encoding="ascii").strip() if key_file else os.environ.get("GATEWAY_KEY", "").strip()
    if not key:
        raise Misuse(
            Text(
                "Cần có khóa: --key-file, hoặc biến môi trường GATEWAY_KEY.",
                "A key is needed: --key-file, or GATEWAY_KEY in the environment.",
            )
        )
    return AgencyClient(AgencySettings(url=url, key=key, ca_file=ca_file))


@command(
    "send",
    Text(
        """Gửi gói tin edXML (văn bản hoặc trạng thái). Gửi lại cùng gói tin không tạo bản thứ hai.
Một gói bị từ chối thì vẫn gửi tiếp các gói sau; mã kết thúc nói nên sửa (1) hay thử lại (3).""",
        """Send edXML packages (documents or statuses). Sending one again makes no second copy.
Goes on after a package that is refused; the exit code tells whether to correct (1) or to try again (3).""",
    ),
    examples=Text(
        """\
gateway send van-ban.edxml --url https://truc.example --key-file khoa.txt
gateway send *.edxml --json
gateway send van-ban.edxml --only H37.21       # bản này chỉ cho một nơi nhận (giữa các trục)""",
        """\
gateway send van-ban.edxml --url https://truc.example --key-file khoa.txt
gateway send *.edxml --json
gateway send van-ban.edxml --only H37.21       # this copy is for one of its recipients (between gateways)""",
    ),
)
@click.argument("files", nargs=-1, required=True, type=_FILE)
@option(
    "--only",
    multiple=True,
    words=Text("Chỉ cho nơi nhận này; có thể lặp lại.", "Only for this recipient; may be repeated."),
)
@_connection
@for_programs()
def send(
    shell: Shell,
    *,
    files: tuple[Path, ...],
    only: tuple[str, ...],
    url: str,
    key_file: Path | None,
    ca_file: Path | None,
) -> int:
    """Post packages."""
    receipts: list[dict[str, Any]] = []
    worst = exits.DONE
    with _client(url, key_file, ca_file) as client, _progress(shell) as progress:
        task = progress.add_task("", total=len(files))
        for file in files:
            progress.update(task, description=plain(file.name))
            try:
                receipt = client.post_document(file, recipients=only)
            except GatewayError as error:
                click.echo(f"{plain(file)}:", err=True)
                shell.failed(error)
                worst = max(worst, exits.exit_code(error))
                receipts.append({"file": str(file), "error": error.code, "detail": error.detail})
            else:
                receipts.append({"file": str(file), **receipt})
                _sent(shell, file, receipt)
            progress.advance(task)
    if shell.json:
        shell.result(receipts)
    return worst


def _sent(shell: Shell, file: Path, receipt: dict[str, Any]) -> None:
    text = (
        Text("{file}: đã có từ trước, mã {id}", "{file}: was there before, id {id}")
        if receipt.get("duplicate")
        else Text("{file}: đã tiếp nhận, mã {id}, {standing}", "{file}: accepted, id {id}, {standing}")
    )
    shell.say(text, file=file, id=receipt["id"], standing=receipt["standing"])


def _progress(shell: Shell) -> Progress:
    """A bar on standard error, at a terminal only; gone when it is done."""
    console = shell.console(errors=True)
    hidden = not console.is_terminal or shell.verbosity < 0 or shell.json
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
        console=console, transient=True, disable=hidden,
    )  # fmt: skip


# The mailbox

inbox = Group(
    "inbox",
    words=Text(
        "Hộp thư của cơ quan: xem, lấy, xác nhận, từ chối.", "An agency's mailbox: look, fetch, acknowledge, refuse."
    ),
    examples="""\
gateway inbox list --key-file khoa.txt
gateway inbox fetch --to ./den --ack --key-file khoa.txt
gateway inbox refuse 01a200ec-5c01-75c8-9165-5747b21712ca --reason "Không thuộc thẩm quyền" """,
)


@inbox.command_of("list", Text("Xem những gì chờ lấy; không thay đổi gì.", "See what waits; changes nothing."))
@option("--limit", type=click.IntRange(1, 200), default=50, words=Text("Số dòng.", "How many."))
@_connection
@for_programs()
def list_inbox(shell: Shell, *, limit: int, url: str, key_file: Path | None, ca_file: Path | None) -> None:
    """Show the mailbox."""
    with _client(url, key_file, ca_file) as client:
        page = client.inbox(limit=limit)
    if shell.json:
        shell.result(page)
        return
    columns = [
        Text("Lượt chuyển", "Delivery"),
        Text("Loại", "Kind"),
        Text("Nơi gửi", "From"),
        Text("Cho", "For"),
        Text("Số", "Number"),
        Text("Trích yếu", "Subject"),
        Text("Đang khóa", "Locked"),
    ]
    rows = []
    for item in page["items"]:
        document = item["document"]
        number = "/".join(filter(None, (document["number"], document["notation"])))
        locked = "✔" if item["locked"] else ""
        sender = document["sender_name"] or document["sender"]
        rows.append(
            (item["delivery"], document["kind"], sender, item["recipient"], number, document["subject"] or "", locked)
        )
    shell.table(columns, rows)


@inbox.command_of(
    "fetch",
    Text(
        """Lấy gói tin về thư mục, tên tệp là mã lượt chuyển. --ack: xác nhận sau khi tệp đã ghi an toàn.
Không nêu mã lượt chuyển: lấy tất cả.""",
        """Fetch packages into a folder, named by their delivery's id. --ack acknowledges once the file is safe.
Without ids: everything.""",
    ),
    examples="gateway inbox fetch --to ./den --ack --key-file khoa.txt",
)
@click.argument("ids", nargs=-1)
@option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    words=Text("Thư mục nhận.", "Where to put them."),
)
@option("--ack", is_flag=True, words=Text("Xác nhận đã nhận.", "Acknowledge."))
@_connection
@for_programs()
def fetch(
    shell: Shell,
    *,
    ids: tuple[str, ...],
    folder: Path,
    ack: bool,
    url: str,
    key_file: Path | None,
    ca_file: Path | None,
) -> None:
    """Collect packages."""
    folder.mkdir(parents=True, exist_ok=True)
    fetched: list[dict[str, Any]] = []
    with _client(url, key_file, ca_file) as client:
        for delivery in ids or _waiting(client):
            token = client.lock(delivery)["token"]
            path = _store(client, delivery, folder)
            if ack:
                client.acknowledge(delivery, token)
            fetched.append({"delivery": delivery, "file": str(path), "token": token, "acknowledged": ack})
            shell.say(Text("{path}", "{path}"), path=path)
    if shell.json:
        shell.result(fetched)


def _waiting(client: AgencyClient) -> list[str]:
    """All that nobody else has locked; gathered first, because acknowledging changes the list."""
    found: list[str] = []
    cursor = None
    while True:
        page = client.inbox(limit=200, cursor=cursor)
        found += [item["delivery"] for item in page["items"] if not item["locked"]]
        cursor = page["next"]
        if cursor is None:
            return found


def _store(client: AgencyClient, delivery: str, folder: Path) -> Path:
    """The package under a name that is ours: what packages call themselves is no file name."""
    if not all(c.isalnum() or c == "-" for c in delivery):
        raise Misuse(
            Text("{delivery} không phải là mã của lượt chuyển.", "{delivery} is not the id of a delivery."),
            delivery=delivery,
        )
    path = folder / f"{delivery}.edxml"
    handle, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            client.fetch(delivery, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return path


@inbox.command_of(
    "ack",
    Text("Xác nhận đã nhận; nơi gửi được báo trạng thái 01.", "Acknowledge; the sender gets status 01."),
    examples="gateway inbox ack 01a200ec-5c01-75c8-9165-5747b21712ca --key-file khoa.txt",
)
@click.argument("delivery")
@option(
    "--token", words=Text("Mã khóa của lần lấy trước; mặc định khóa lại.", "Token of the fetch; by default locks anew.")
)
@_connection
@for_programs()
def ack(
    shell: Shell, *, delivery: str, token: str | None, url: str, key_file: Path | None, ca_file: Path | None
) -> None:
    """Acknowledge one delivery."""
    with _client(url, key_file, ca_file) as client:
        answer = client.acknowledge(delivery, token or client.lock(delivery)["token"])
    _settled(shell, answer)


@inbox.command_of(
    "refuse",
    Text(
        "Từ chối nhận; nơi gửi được báo trạng thái 02 kèm lý do.", "Refuse; the sender gets status 02 with the reason."
    ),
    examples='gateway inbox refuse 01a200ec-5c01-75c8-9165-5747b21712ca --reason "Gửi nhầm" --key-file khoa.txt',
)
@click.argument("delivery")
@option("--reason", required=True, words=Text("Lý do.", "Why."))
@option(
    "--token", words=Text("Mã khóa của lần lấy trước; mặc định khóa lại.", "Token of the fetch; by default locks anew.")
)
@_connection
@for_programs()
def refuse(
    shell: Shell,
    *,
    delivery: str,
    reason: str,
    token: str | None,
    url: str,
    key_file: Path | None,
    ca_file: Path | None,
) -> None:
    """Refuse one delivery."""
    with _client(url, key_file, ca_file) as client:
        answer = client.refuse(delivery, token or client.lock(delivery)["token"], reason=reason)
    _settled(shell, answer)


def _settled(shell: Shell, answer: dict[str, Any]) -> None:
    if shell.json:
        shell.result(answer)
    shell.say(Text("{delivery}: {state}", "{delivery}: {state}"), delivery=answer["delivery"], state=answer["state"])


# Statuses and traces


@command(
    "status",
    Text(
        """Báo trạng thái xử lý của văn bản đã nhận: 03 tiếp nhận, 04 phân công, 05 đang xử lý, 06 hoàn thành,
02 từ chối, 15 đồng ý, 16 không đồng ý (02, 16 phải có lý do).""",
        """Report on a received document: 03 registered, 04 assigned, 05 in progress, 06 done, 02 refused,
15 agreed, 16 disagreed (02 and 16 need a reason).""",
    ),
    examples="""\
gateway status 01a200ec-5bd6-76be-b821-f59a11a0b8cf 03 --key-file khoa.txt
gateway status 01a200ec-5bd6-76be-b821-f59a11a0b8cf 02 --reason "Sai thể thức" --key-file khoa.txt""",
)
@click.argument("document")
@click.argument("code", type=click.Choice([code.value for code in StatusCode]))
@option("--reason", words=Text("Lý do hoặc nội dung.", "Why, or what."))
@option(
    "--agency", words=Text("Báo cho cơ quan nào, khi phục vụ nhiều cơ quan.", "For which agency, when serving several.")
)
@_connection
@for_programs()
def status(
    shell: Shell,
    *,
    document: str,
    code: str,
    reason: str | None,
    agency: str | None,
    url: str,
    key_file: Path | None,
    ca_file: Path | None,
) -> None:
    """Report a status."""
    with _client(url, key_file, ca_file) as client:
        receipt = client.report_status(document, code, description=reason, agency=agency)
    if shell.json:
        shell.result(receipt)
    shell.say(Text("Đã báo {code}, mã {id}", "Reported {code}, id {id}"), code=code, id=receipt["id"])


def _local(moment: str) -> str:
    """An ISO 8601 time as people of the country read it."""
    return f"{datetime.fromisoformat(moment).astimezone(VIETNAM_TIME):%d/%m/%Y %H:%M:%S}"


@command(
    "trace",
    Text(
        "Đường đi của một văn bản: từng bước, từng lần gửi, trạng thái.", "A document's way: each step, try and status."
    ),
    examples="gateway trace 01a200ec-5bd6-76be-b821-f59a11a0b8cf --key-file khoa.txt",
)
@click.argument("document")
@_connection
@for_programs()
def trace(shell: Shell, *, document: str, url: str, key_file: Path | None, ca_file: Path | None) -> None:
    """Show the way of a document."""
    with _client(url, key_file, ca_file) as client:
        way = client.trace(document)
    if shell.json:
        shell.result(way)
        return
    about = way["document"]
    number = "/".join(filter(None, (about["number"], about["notation"])))
    click.echo(plain(f"{number or about['id']} · {about['subject'] or ''}"))
    for delivery in way["deliveries"]:
        name = delivery["recipient_name"] or delivery["recipient"]
        click.echo(plain(f"  → {name} ({delivery['via']}): {delivery['state']} {delivery['status'] or ''}"))
    for event in way["events"]:
        facts = " ".join(f"{k}={v}" for k, v in event["data"].items())
        click.echo(plain(f"  {_local(event['at'])}  {event['action']:<26} {event['actor'] or ''} {facts}"))
