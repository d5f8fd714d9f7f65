"""``gateway axis``: what is fetched from axes that speak VXP or LGSP."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from datetime import datetime

import click

from gateway.bootstrap import join, make_http, make_poller
from gateway.cli import exits
from gateway.cli.command import Group, for_programs, option
from gateway.cli.opened import actor, opened, utc_now
from gateway.cli.shell import Shell, moment, plain
from gateway.cli.words import Text
from gateway.directory import exists_at
from gateway.errors import NotFound
from gateway.model import Agency

axis = Group(
    "axis",
    words=Text(
        """Lấy văn bản từ các trục mà trục này kết nối tới (VXP, LGSP): tình trạng, hỏi ngay, lấy lại.
Trục là cơ quan trong danh bạ có điểm nhận kiểu vxp hoặc lgsp.""",
        """Fetching from the axes that this gateway is joined to (VXP, LGSP): how it stands, ask now, fetch again.
An axis is an agency of the directory with an endpoint of the channel vxp or lgsp.""",
    ),
    examples="gateway axis status\ngateway axis poll 000.00.22.W00\ngateway axis retry 000.00.22.W00",
)


def _is_axis(agency: Agency, now: datetime) -> bool:
    return agency.endpoint is not None and agency.endpoint.channel.is_axis and exists_at(agency, now)


@axis.command_of(
    "status",
    Text(
        "Mỗi trục: lần trả lời gần nhất, lỗi và nguyên nhân; những gói tin không nhận được.",
        "Each axis: when it answered last, what failed and why; packages that could not be taken.",
    ),
)
@for_programs()
def status(shell: Shell) -> int:
    """Show how fetching stands; exit code 1 while an axis fails, or a package waits for an operator."""
    now = utc_now()
    with opened(shell.settings()) as gateway:
        inboxes = gateway.ledger.inboxes()
        troubles = gateway.ledger.fetch_troubles()
        asked = {inbox.via for inbox in inboxes}
        own = gateway.own().agencies()
        never_asked = [a.code for a in own if _is_axis(a, now) and a.code not in asked]
    failing = any(inbox.failures for inbox in inboxes)
    code = exits.FAILED if failing or any(one.state == "given_up" for one in troubles) else exits.DONE
    if shell.json:
        shell.result({"axes": inboxes, "never_asked": never_asked, "not_taken": troubles})
        return code
    shell.table(
        [
            Text("Trục", "Axis"),
            Text("Trả lời lúc", "Answered"),
            Text("Có văn bản lúc", "Arrival"),
            Text("Lỗi liên tiếp", "Failures"),
            Text("Lỗi gần nhất", "Last failure"),
        ],
        [
            (
                inbox.via,
                moment(inbox.last_success_at) if inbox.last_success_at else "",
                moment(inbox.last_arrival_at) if inbox.last_arrival_at else "",
                inbox.failures,
                plain(f"{inbox.last_error_code}: {inbox.last_error_detail}") if inbox.failures else "",
            )
            for inbox in inboxes
        ]
        + [(code, shell.words(Text("chưa hỏi lần nào", "never asked")), "", "", "") for code in never_asked],
    )
    if troubles:
        shell.table(
            [Text("Trục", "Axis"), Text("docId", "docId"), Text("Tình trạng", "State"), Text("Mã lỗi", "Code"),
             Text("Số lần", "Tries"), Text("Lúc", "At")],
            [(one.via, plain(one.doc_id), one.state, one.error_code or "", one.attempts, moment(one.changed_at))
             for one in troubles],
        )  # fmt: skip
    return code


@axis.command_of(
    "poll",
    Text(
        "Hỏi một trục ngay bây giờ, nhận những gì nó có.",
        "Ask one axis now, and take what it has.",
    ),
)
@click.argument("code")
@for_programs()
def poll(shell: Shell, *, code: str) -> int:
    """Ask now; exit code 1 when the axis failed or something was not taken."""
    settings = shell.settings()
    gateway = join(settings)
    http = make_http(settings)
    try:
        found = gateway.parts.directory().find(code, at=gateway.parts.clock())
        if found is None or not _is_axis(found, gateway.parts.clock()):
            raise NotFound(f"The directory has no axis {code}; `gateway agencies list` shows all.")
        # The log is of use here too, and must not mix with the result.
        with redirect_stdout(sys.stderr):
            polled = make_poller(gateway, http).poll(found, at_once=True)
    finally:
        http.close()
        gateway.ledger.engine.dispose()
    facts = {
        "taken": polled.taken,
        "not_taken": polled.not_taken,
        "complete": polled.complete,
        "error": polled.error.code if polled.error else None,
        "detail": polled.error.detail if polled.error else None,
    }
    if shell.json:
        shell.result(facts)
    else:
        shell.note(
            Text("Nhận {taken}, không nhận được {not_taken}.", "{taken} taken, {not_taken} not taken."),
            taken=polled.taken,
            not_taken=polled.not_taken,
        )
        if polled.error is not None:
            said = polled.error.vi if shell.language == "vi" else polled.error.en()
            click.echo(f"{polled.error.code}: {said} ({plain(polled.error.detail)})")
    return exits.FAILED if polled.error or polled.not_taken else exits.DONE


@axis.command_of(
    "retry",
    Text(
        """Cho lấy lại những gói tin không nhận được, sau khi đã sửa nguyên nhân.
Không nêu docId: tất cả của trục đó.""",
        """Let packages that could not be taken be fetched again, once the cause is repaired.
Without docIds: all of that axis.""",
    ),
    examples="gateway axis retry 000.00.22.W00\ngateway axis retry 000.00.22.W00 64f0c2 64f0c3",
)
@click.argument("code")
@click.argument("doc_ids", nargs=-1, metavar="[DOCID]...")
@for_programs()
def retry(shell: Shell, *, code: str, doc_ids: tuple[str, ...]) -> None:
    """Make them due."""
    now = utc_now()
    with opened(shell.settings()) as gateway:
        agency = gateway.agency(code, at=now)
        count = gateway.ledger.retry_fetched(agency.code, doc_ids, actor=actor(), now=now)
    if shell.json:
        shell.result({"retried": count})
    else:
        shell.note(Text("{count} gói tin sẽ được lấy lại.", "{count} packages will be fetched again."), count=count)


@axis.command_of(
    "dismiss",
    Text(
        """Thôi theo dõi những gói tin không nhận được và không cần nhận nữa; phải nêu lý do.
Trục vẫn được báo là không nhận (fail); `gateway axis retry` kèm docId thì lấy lại.""",
        """Follow no further what could not be taken and is not needed; a reason is required.
The axis is still told that it was not taken (fail); `gateway axis retry` with the docId fetches it again.""",
    ),
    examples='gateway axis dismiss 000.00.22.W00 64f0c2 --reason "Nơi gửi đã gửi lại"',
)
@click.argument("code")
@click.argument("doc_ids", nargs=-1, required=True, metavar="DOCID...")
@option("--reason", required=True, words=Text("Lý do, được lưu trong nhật ký.", "Why; the event log keeps it."))
@for_programs()
def dismiss(shell: Shell, *, code: str, doc_ids: tuple[str, ...], reason: str) -> None:
    """Leave them."""
    now = utc_now()
    with opened(shell.settings()) as gateway:
        agency = gateway.agency(code, at=now)
        count = gateway.ledger.dismiss_fetched(agency.code, doc_ids, reason=reason, actor=actor(), now=now)
    if shell.json:
        shell.result({"dismissed": count})
    else:
        shell.note(Text("{count} gói tin thôi theo dõi.", "{count} packages are followed no further."), count=count)
