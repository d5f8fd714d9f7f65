"""``gateway deliveries``: what is on its way, what is stuck, and sending it again."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from datetime import datetime
from typing import Any

import click

from gateway.bootstrap import join
from gateway.cli.command import Group, for_programs, option
from gateway.cli.opened import Opened, actor, opened, utc_now
from gateway.cli.shell import Shell, moment, plain
from gateway.cli.words import Text
from gateway.console.filters import OFFERED_OPERATIONS, unlisted_code
from gateway.console.words import STATES, cause, report_title
from gateway.errors import NotFound
from gateway.exchange import operations
from gateway.ledger.records import Filter, LogRow, OperationState, Report
from gateway.model import VIETNAM_TIME, AgencyCode, DeliveryState, DocumentNumber, PackageKind

deliveries = Group(
    "deliveries",
    words=Text("Lượt chuyển văn bản: xem, tìm cái bị kẹt, gửi lại.", "Deliveries: look, find what is stuck, replay."),
    examples="""\
gateway deliveries list --state abandoned
gateway deliveries show 01a200ec-5c01-75c8-9165-5747b21712ca
gateway deliveries replay --state abandoned --agency 000.00.22.W00 --reason "Trục quốc gia đã hoạt động lại" """,
)


def _filters(function: Any) -> Any:
    """The options that choose deliveries."""
    for declare in reversed(
        [
            option(
                "--state",
                "states",
                type=click.Choice([s.value for s in DeliveryState]),
                multiple=True,
                words=Text("Tình trạng; có thể lặp lại.", "State; may be repeated."),
            ),
            option(
                "--operation",
                type=click.Choice([s.value for s in OFFERED_OPERATIONS]),
                words=Text(
                    "Có thu hồi, cập nhật, thay thế chờ trả lời, hoặc không rõ văn bản gốc.",
                    "With a recall, update or replacement that waits for an answer, or whose document is not known.",
                ),
            ),
            option("--agency", words=Text("Mã nơi gửi hoặc nơi nhận.", "Code of sender or recipient.")),
            option("--via", words=Text("Mã cơ quan có điểm nhận.", "Code of the agency whose endpoint is used.")),
            option(
                "--since",
                type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
                words=Text("Tiếp nhận từ lúc (giờ Việt Nam).", "Accepted at or after (Vietnam time)."),
            ),
            option(
                "--until",
                type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
                words=Text("Tiếp nhận trước lúc (giờ Việt Nam).", "Accepted before (Vietnam time)."),
            ),
            option("--text", words=Text("Từ cần tìm, không cần dấu.", "Words; accents ignored.")),
        ]
    ):
        function = declare(function)
    return function


def _filter(
    shell: Shell,
    gateway: Opened,
    *,
    states: Sequence[str],
    operation: str | None,
    agency: str | None,
    via: str | None,
    since: datetime | None,
    until: datetime | None,
    text: str | None,
) -> Filter:
    now = utc_now()
    return Filter(
        states=frozenset(DeliveryState(s) for s in states),
        operation=OperationState(operation) if operation else None,
        agency=_agency(shell, gateway, agency, at=now) if agency else None,
        via=gateway.agency(via, at=now).code if via else None,
        since=since.replace(tzinfo=VIETNAM_TIME) if since else None,
        until=until.replace(tzinfo=VIETNAM_TIME) if until else None,
        text=text,
    )


def _agency(shell: Shell, gateway: Opened, typed: str, *, at: datetime) -> AgencyCode:
    """The agency meant, by its primary code; one that only the ledger has met by the code as it is."""
    try:
        return gateway.agency(typed, at=at).code
    except NotFound:
        code = unlisted_code(typed)
        if code is None:
            raise
    # Perhaps it was misspelt.
    shell.note(
        Text(
            "Danh bạ không có cơ quan {code}; tìm trong sổ cái.", "The directory has no agency {code}; looking anyway."
        ),
        code=code,
    )
    return code


@deliveries.command_of(
    "list",
    Text("Liệt kê, mới nhất trước.", "List, newest first."),
    examples="gateway deliveries list --limit 20\ngateway deliveries list --state waiting --via 000.00.22.W00 --json",
)
@_filters
@option("--limit", type=click.IntRange(1, 200), default=50, words=Text("Số dòng.", "How many."))
@option("--cursor", words=Text("Trang sau: giá trị `next` của trang trước.", "Next page: `next` of the one before."))
@for_programs()
def list_deliveries(shell: Shell, *, limit: int, cursor: str | None, **wanted: Any) -> None:
    """Show deliveries."""
    with opened(shell.settings()) as gateway:
        page = gateway.ledger.search(_filter(shell, gateway, **wanted), limit=limit, cursor=cursor)
        reports = _reports(gateway, page.rows)
    if shell.json:
        found = [_facts(row, reports.get(row.document.id)) for row in page.rows]
        shell.result({"deliveries": found, "next": page.next})
        return
    columns = [
        Text("Lượt chuyển", "Delivery"),
        Text("Tiếp nhận", "Accepted"),
        Text("Văn bản", "Document"),
        Text("Nơi gửi", "From"),
        Text("Nơi nhận", "To"),
        Text("Tình trạng", "State"),
        Text("Lần gửi", "Tries"),
        Text("Trạng thái", "Status"),
        Text("Lỗi", "Error"),
    ]
    shell.table(
        columns,
        [
            (
                row.delivery.id,
                moment(row.document.received_at),
                _title(shell, row, reports.get(row.document.id)),
                row.document.sender,
                row.delivery.recipient,
                STATES[row.delivery.state].words.say(shell.language),
                row.delivery.attempts,
                row.delivery.status.value if row.delivery.status else "",
                row.delivery.error_code or "",
            )
            for row in page.rows
        ],
    )
    if page.next:
        shell.note(Text("Còn nữa: --cursor {cursor}", "There is more: --cursor {cursor}"), cursor=page.next)


def _reports(gateway: Opened, rows: Sequence[LogRow]) -> Mapping[str, Report]:
    """What those rows that are statuses say, by the packages' ids."""
    statuses = {row.document.id for row in rows if row.document.kind is PackageKind.STATUS}
    return gateway.ledger.reports(sorted(statuses))


def _title(shell: Shell, row: LogRow, report: Report | None) -> str:
    """What people call a package; the kind of one without a number."""
    if report is not None:
        return report_title(report, shell.language)
    document = row.document
    return DocumentNumber(number=document.number, notation=document.notation).text or document.kind.value


def _facts(row: LogRow, report: Report | None) -> dict[str, Any]:
    return {"delivery": row.delivery, "document": row.document, "report": report}


@deliveries.command_of("show", Text("Một lượt chuyển và các lần gửi.", "One delivery with its tries."))
@click.argument("delivery")
@for_programs()
def show(shell: Shell, *, delivery: str) -> None:
    """Show a delivery."""
    with opened(shell.settings()) as gateway:
        row = gateway.ledger.log_row(delivery)
        if row is None:
            raise NotFound(f"There is no delivery {delivery}.")
        attempts = gateway.ledger.attempts(delivery)
        report = _reports(gateway, [row]).get(row.document.id)
    if shell.json:
        shell.result({**_facts(row, report), "attempts": attempts})
        return
    mark = STATES[row.delivery.state]
    shell.say(
        Text(
            "{number} · {sender} → {recipient} qua {via}: {state}",
            "{number} · {sender} → {recipient} through {via}: {state}",
        ),
        number=_title(shell, row, report),
        sender=row.document.sender,
        recipient=row.delivery.recipient,
        via=row.delivery.via,
        state=f"{mark.shape} {mark.words.say(shell.language)}",
    )
    for attempt in attempts:
        words = cause(attempt.code, shell.language) if attempt.code else ""
        detail = plain(attempt.detail or "")
        click.echo(f"  {moment(attempt.started_at)}  {attempt.outcome:<10} {attempt.code or ''}  {words} {detail}")


@deliveries.command_of(
    "replay",
    Text(
        "Gửi lại các lượt đã ngừng hoặc bị từ chối: theo mã, hoặc theo điều kiện. Phải nêu lý do.",
        "Send abandoned or refused deliveries again: by id, or by filter. Must say why.",
    ),
    examples="""\
gateway deliveries replay 01a200ec-5c01-75c8-9165-5747b21712ca --reason "Đã sửa địa chỉ điểm nhận"
gateway deliveries replay --state abandoned --since 2026-11-20 --reason "Mất mạng hai ngày" """,
)
@click.argument("ids", nargs=-1)
@_filters
@option("--reason", required=True, words=Text("Lý do, lưu trong nhật ký.", "Why; kept in the event log."))
@for_programs()
def replay(shell: Shell, *, ids: tuple[str, ...], reason: str, **wanted: Any) -> None:
    """Put deliveries back to waiting."""
    if not ids and not any(wanted.values()):
        raise click.UsageError("Name deliveries, or say by options which.")
    if ids and any(wanted.values()):
        raise click.UsageError("Either name deliveries or choose by options, not both.")
    replayed: list[str] = []
    with opened(shell.settings()) as gateway:
        which = list(ids) if ids else _filter(shell, gateway, **wanted)
        limit = 10_000
        while True:
            some = gateway.ledger.replay(which, reason=reason, actor=actor(), now=utc_now(), limit=limit)
            replayed += some
            if ids or len(some) < limit:
                break
    if shell.json:
        shell.result({"replayed": replayed})
    shell.say(Text("Gửi lại {n} lượt.", "{n} deliveries will be sent again."), n=len(replayed))


@deliveries.command_of(
    "withdraw",
    Text(
        "Rút lại các lượt chưa rời trục: nơi nhận sẽ không nhận được nữa. Phải nêu lý do.",
        "Take back deliveries that have not left: their receivers will not get them. Must say why.",
    ),
    examples="""\
gateway deliveries withdraw 01a200ec-5c01-75c8-9165-5747b21712ca --reason "Cơ quan gửi đề nghị qua điện thoại" """,
)
@click.argument("ids", nargs=-1, required=True)
@option(
    "--reason",
    required=True,
    words=Text(
        "Lý do, lưu trong nhật ký; nơi gửi nhận được nếu đã đề nghị thu hồi.",
        "Why; kept in the event log, and told to a sender that has asked for a recall.",
    ),
)
@for_programs()
def withdraw(shell: Shell, *, ids: tuple[str, ...], reason: str) -> None:
    """Take deliveries back; a recall that waits for one is answered 15."""
    settings = shell.settings()
    gateway = join(settings)
    try:
        # The log is of use here too, and must not mix with the result.
        with redirect_stdout(sys.stderr):
            done = operations.withdraw(gateway.parts, list(ids), reason=reason, actor=actor())
    finally:
        gateway.ledger.engine.dispose()
    if shell.json:
        shell.result({"withdrawn": done})
    shell.say(Text("Đã rút lại {n} lượt.", "{n} deliveries were taken back."), n=len(done))
