"""``gateway agencies requests|approve|reject``: what systems ask of the directory, and what becomes of it."""

from __future__ import annotations

import click

from gateway.cli.command import command, for_programs, option
from gateway.cli.opened import actor, opened, utc_now
from gateway.cli.shell import Shell, moment
from gateway.cli.words import Text
from gateway.exchange import registrations
from gateway.ledger.records import AgencyRequest, Decision, RequestKind
from gateway.model import Agency, AgencyCode, Level

_KINDS = {RequestKind.ADD: Text("thêm", "add"), RequestKind.DELETE: Text("xóa", "delete")}
_DECISIONS = {
    None: Text("chờ duyệt", "waits"),
    Decision.APPROVED: Text("đã duyệt", "approved"),
    Decision.REJECTED: Text("đã từ chối", "rejected"),
}


@command(
    "requests",
    Text(
        """Yêu cầu thêm hoặc xóa cơ quan mà các hệ thống gửi qua giao thức quốc gia, đang chờ duyệt.
Danh bạ chỉ thay đổi khi người vận hành duyệt.""",
        """What systems asked through the national protocol, to add or delete an agency, and nobody has decided.
The directory changes only when an operator approves.""",
    ),
    examples="gateway agencies requests\ngateway agencies requests --all --json",
)
@option("--all", "everything", is_flag=True, words=Text("Cả yêu cầu đã duyệt.", "Also those that were decided."))
@for_programs()
def requests(shell: Shell, *, everything: bool) -> None:
    """Show requests, oldest first."""
    with opened(shell.settings()) as site:
        found = site.ledger.agency_requests(undecided=not everything)
    if shell.json:
        shell.result(found)
        return
    columns = [
        Text("Yêu cầu", "Request"),
        Text("Hệ thống", "System"),
        Text("Việc", "What"),
        Text("Mã", "Code"),
        Text("Cấp trên", "Parent"),
        Text("Tên", "Name"),
        Text("Thư", "Mail"),
        Text("Gửi lúc", "Asked"),
        Text("Kết quả", "Decision"),
    ]
    shell.table(columns, [_row(shell, asked) for asked in found])


def _row(shell: Shell, asked: AgencyRequest) -> tuple[object, ...]:
    decision = shell.words(_DECISIONS[asked.decision])
    return (
        asked.id,
        asked.system,
        shell.words(_KINDS[asked.kind]),
        asked.code,
        asked.parent or "",
        asked.name or "",
        asked.mail or "",
        moment(asked.requested_at),
        f"{decision}: {asked.reason}" if asked.reason else decision,
    )


@command(
    "approve",
    Text(
        """Duyệt một yêu cầu: thêm cơ quan vào danh bạ (chưa có điểm nhận riêng), hoặc đóng cơ quan từ hôm nay.
Giá trị nêu ở đây thay cho giá trị trong yêu cầu; thêm cơ quan thì phải nêu --level.""",
        """Approve a request: add the agency to the directory (without an endpoint of its own), or close it as of today.
What is given here wins over what was asked; to add an agency, --level must be given.""",
    ),
    examples="""\
gateway agencies approve 01a200ec-5c01-75c8-9165-5747b21712ca --level commune
gateway agencies approve 01a200ec-5c01-75c8-9165-5747b21712ca --level department --parent 000.00.00.H37
gateway agencies approve 01a200ed-75c8-7165-9165-5747b2171210 --successor H37.21 --reason "NQ 202/2025/QH15" """,
)
@click.argument("request")
@option(
    "--level",
    type=click.Choice([level.value for level in Level]),
    words=Text("Cấp của cơ quan được thêm.", "Level of the agency to add."),
)
@option("--parent", words=Text("Mã cơ quan cấp trên.", "Code of the agency above it."))
@option("--name", words=Text("Tên trong danh bạ.", "Its name in the directory."))
@option(
    "--successor",
    "successors",
    multiple=True,
    words=Text("Mã cơ quan kế thừa khi đóng; có thể lặp lại.", "Successor of an agency to close; may be repeated."),
)
@option("--reason", words=Text("Căn cứ; khi đóng thì bên gửi nhìn thấy.", "Why; senders see it when it is closed."))
@for_programs()
def approve(
    shell: Shell,
    *,
    request: str,
    level: str | None,
    parent: str | None,
    name: str | None,
    successors: tuple[str, ...],
    reason: str | None,
) -> None:
    """Do what a request asks."""
    with opened(shell.settings()) as site:
        agency = registrations.approve(
            site.ledger,
            site.store,
            site.directory(),
            request,
            actor=actor(),
            now=utc_now(),
            level=Level(level) if level else None,
            parent=AgencyCode.normal(parent) if parent else None,
            name=name,
            successors=[AgencyCode.normal(code) for code in successors],
            reason=reason,
        )
        holder = site.directory().endpoint_holder(agency, at=utc_now())
    if shell.json:
        facts = {"code": agency.code, "name": agency.name, "level": agency.level, "parent": agency.parent}
        through = holder.code if holder else None
        shell.result({"request": request, **facts, "valid_to": agency.valid_to, "through": through})
        return
    if agency.valid_to is not None:
        closed = Text("{code} đã đóng từ {day}.", "{code} is closed as of {day}.")
        shell.say(closed, code=agency.code, day=agency.valid_to)
        return
    _say_added(shell, agency, holder)


def _say_added(shell: Shell, agency: Agency, holder: Agency | None) -> None:
    if holder is None:
        shell.say(
            Text(
                "Danh bạ đã có {code}, nhưng chưa có đường tới: nêu --parent hoặc thêm điểm nhận trong tệp danh bạ.",
                "The directory has {code}, but no way leads there: give it a parent or an endpoint in the file.",
            ),
            code=agency.code,
        )
        return
    shell.say(
        Text(
            "Danh bạ đã có {code}, nhận văn bản qua {through}.", "The directory has {code}, reached through {through}."
        ),
        code=agency.code,
        through=holder.code,
    )


@command(
    "reject",
    Text("Từ chối một yêu cầu, nêu lý do.", "Turn a request down, with a reason."),
    examples='gateway agencies reject 01a200ec-5c01-75c8-9165-5747b21712ca --reason "Sai mã định danh"',
)
@click.argument("request")
@option("--reason", required=True, words=Text("Lý do.", "Why."))
@for_programs()
def reject(shell: Shell, *, request: str, reason: str) -> None:
    """Leave the directory as it is."""
    with opened(shell.settings()) as site:
        decided = registrations.reject(site.ledger, request, reason=reason, actor=actor(), now=utc_now())
    if shell.json:
        shell.result(decided)
        return
    shell.say(Text("Đã từ chối yêu cầu về {code}.", "Rejected the request on {code}."), code=decided.code)
