"""``gateway log``: whether the event log is what was sealed, and what vouches for it."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.bootstrap import heads_path, join, make_http, make_sealer, make_stamper, timestamp_anchors
from gateway.cli import exits
from gateway.cli.command import Group, for_programs, option
from gateway.cli.opened import opened, utc_now
from gateway.cli.shell import Shell, moment, plain
from gateway.cli.words import Text
from gateway.errors import NotFound, SettingsInvalid
from gateway.evidence.audit import Fault, LogFinding, Report
from gateway.evidence.chain import EventProof, check_proof
from gateway.evidence.chain import moment as moment_of
from gateway.exchange.log_audit import audit
from gateway.exchange.log_proofs import inclusion
from gateway.exchange.stamping import overdue
from gateway.ledger import Ledger, check, open_engine
from gateway.signing.keys import load_certificates
from gateway.signing.trust import read_item

log = Group(
    "log",
    words=Text(
        """Nhật ký sự kiện được niêm phong thành chuỗi và đóng dấu thời gian: kiểm tra, xem, niêm phong ngay.""",
        """The event log is sealed into a chain and time-stamped: verify it, look at it, seal now.""",
    ),
    examples="gateway log verify\ngateway log verify --heads /mnt/elsewhere/heads.jsonl\ngateway log show",
)

_FAULTS = {
    Fault.CHANGED: Text("sự kiện bị sửa", "event changed"),
    Fault.REMOVED: Text("sự kiện bị xóa", "event removed"),
    Fault.INSERTED: Text("sự kiện bị chèn thêm", "event inserted"),
    Fault.REORDERED: Text("sự kiện bị đổi chỗ", "events re-ordered"),
    Fault.BATCH_BROKEN: Text("lô niêm phong hỏng", "batch broken"),
    Fault.BATCH_MISSING: Text("thiếu lô niêm phong", "batch missing"),
    Fault.STAMP_BROKEN: Text("dấu thời gian không khớp", "time-stamp does not fit"),
    Fault.STAMP_MISSING: Text("thiếu dấu thời gian", "time-stamp missing"),
    Fault.TAIL_MISSING: Text("phần cuối bị cắt", "the end was cut off"),
    Fault.HEAD_DIFFERS: Text("khác với bản sao thứ hai", "differs from the second place"),
    Fault.HEADS_UNREADABLE: Text("bản sao thứ hai không đọc được", "the second place cannot be read"),
}


@log.command_of(
    "verify",
    Text(
        """Kiểm tra toàn bộ nhật ký: sự kiện nào bị sửa, xóa, chèn, đổi chỗ; chuỗi, dấu thời gian, bản sao thứ hai.
Chỉ đọc; trục vẫn chạy được. Mã kết thúc 1 khi thấy điều gì không đúng.""",
        """Read the whole log: which events were changed, removed, inserted, re-ordered; chain, stamps, second place.
Only reads; the gateway may run meanwhile. Exit code 1 when anything is not as it was.""",
    ),
    examples="""\
gateway log verify
gateway log verify --heads /mnt/elsewhere/heads.jsonl --anchor tsa-root.pem
gateway log verify --database sqlite:////backup/ledger.sqlite3 --json""",
)
@option(
    "--database",
    words=Text(
        "Cơ sở dữ liệu khác, ví dụ bản sao lưu: sqlite:///tệp; khi đó cấu hình không được dùng.",
        "Another database, such as a backup: sqlite:///file; the settings then do not count.",
    ),
)
@option(
    "--heads",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    words=Text(
        "Tệp bản sao thứ hai; mặc định theo [log_chain].", "The second place's file; by default as [log_chain]."
    ),
)
@option(
    "--anchor",
    "anchors",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    words=Text(
        "Chứng thư gốc (PEM) của máy chủ dấu thời gian; mặc định theo [timestamps] ca.",
        "Anchors (PEM) of the time-stamp authorities; by default as [timestamps] ca.",
    ),
)
@option(
    "--crl",
    "crls",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    words=Text(
        "Danh sách thu hồi (CRL) để xét máy chủ dấu thời gian; ngoài những gì trục đã tải.",
        "Revocation lists (CRL) to hold the time-stamp authorities against, besides those that the gateway has.",
    ),
)
@for_programs()
def verify(
    shell: Shell, *, database: str | None, heads: Path | None, anchors: tuple[Path, ...], crls: tuple[Path, ...]
) -> int:
    """Look at all of it."""
    lists = [_crl(path) for path in crls]
    believed = [c for path in anchors for c in load_certificates(path)]
    if database is None:
        # A copy is judged by what is given alone, on whatever machine it lies.
        settings = shell.settings()
        database = settings.ledger_url
        believed = believed or timestamp_anchors(settings)
        heads = heads or heads_path(settings)
    engine = open_engine(database)
    try:
        check(engine)
        ledger = Ledger(engine)
        lists += [item.der for item in ledger.revocation_items({})[2] if item.kind == "crl"]
        report = audit(ledger.log, anchors=believed, crls=lists, heads=heads)
    finally:
        engine.dispose()
    whole = not report.findings
    if shell.json:
        shell.result({"whole": whole, "vouched": report.vouched, "report": report})
    else:
        _show(shell, report)
    return exits.DONE if whole else exits.FAILED


def _crl(path: Path) -> bytes:
    item = read_item(path.read_bytes(), source=str(path))
    if item.kind != "crl":
        raise SettingsInvalid(f"{path} is not a revocation list.")
    return item.der


def _show(shell: Shell, report: Report) -> None:
    for finding in report.findings:
        click.echo(f"{shell.words(_FAULTS[finding.fault])}: {_where(shell, finding)}")
    if report.more:
        shell.note(Text("… và {more} điều nữa.", "… and {more} more."), more=report.more)
    shell.note(
        Text(
            "{events} sự kiện đúng như đã niêm phong trong {batches} lô; {unsealed} chưa niêm phong.",
            "{events} events are what was sealed, in {batches} batches; {unsealed} are not sealed yet.",
        ),
        events=report.events,
        batches=report.batches,
        unsealed=report.unsealed,
    )
    if report.stamps:
        shell.note(
            Text(
                "{stamps} dấu thời gian khớp, gần nhất {at}, bao gồm đến sự kiện {to}.",
                "{stamps} time-stamps hold, the last of {at}, up to event {to}.",
            ),
            stamps=report.stamps,
            at=moment(report.stamped_at),
            to=report.stamped_to,
        )
    if report.longest_wait is not None:
        wait = report.longest_wait
        shell.note(
            Text(
                "Sự kiện {event} ngày {at} chờ dấu thời gian lâu nhất, đến {stamped}: trong khoảng đó ai viết lại "
                "nhật ký thì dấu thời gian không phát hiện được.",
                "Event {event} of {at} waited longest for a time-stamp, until {stamped}: stamps do not show whether "
                "the log was rewritten in between.",
            ),
            event=wait.event,
            at=moment(wait.at),
            stamped=moment(wait.stamped_at),
        )
    if report.untrusted_stamps:
        shell.note(
            Text(
                "Không có chứng thư gốc nên không biết ai đã đóng {count} dấu thời gian (--anchor).",
                "Without anchors nobody knows who made {count} of the time-stamps (--anchor).",
            ),
            count=report.untrusted_stamps,
        )
    if report.heads:
        shell.note(Text("{n} lô có trong bản sao thứ hai.", "{n} batches are in the second place too."), n=report.heads)
    if not report.findings:
        shell.say(Text("Nhật ký nguyên vẹn.", "The log is whole."))
        if not report.vouched:
            shell.note(
                Text(
                    "Nhưng không có gì bên ngoài làm chứng: ai viết lại cả chuỗi thì không phát hiện được. "
                    "Đặt [timestamps] hoặc [log_chain] heads_file.",
                    "But nothing from outside vouches for it: who writes the whole chain anew would not be found out. "
                    "Set [timestamps], or [log_chain] heads_file.",
                )
            )


def _where(shell: Shell, finding: LogFinding) -> str:
    words = []
    if finding.events:
        shown = ", ".join(str(number) for number in finding.events[:20])
        words.append(shell.words(Text("sự kiện {ids}", "event {ids}"), ids=shown))
    if finding.batch is not None:
        words.append(shell.words(Text("lô {batch}", "batch {batch}"), batch=finding.batch))
    return ", ".join(words) + (f" ({plain(finding.detail)})" if finding.detail else "")


@log.command_of(
    "show",
    Text(
        """Chuỗi niêm phong và dấu thời gian đang thế nào.
Kèm mã văn bản của trục: từng sự kiện của nó, ở lô nào, theo dấu thời gian nào.""",
        """How sealing and stamping stand.
With a document's id: each of its events, its batch, and the stamp over it.""",
    ),
    examples="gateway log show\ngateway log show 0195f0d2-7a51-7000-8000-000000000001 --json",
)
@click.argument("document", required=False)
@for_programs()
def show(shell: Shell, *, document: str | None) -> None:
    """Show the state, or one document's proofs."""
    now = utc_now()
    with opened(shell.settings()) as gateway:
        state = gateway.ledger.log.state()
        if document is not None:
            if gateway.ledger.document(document) is None:
                raise NotFound(f"There is no document {document}.")
            _show_proofs(shell, inclusion(gateway.ledger.log, document))
            return
    late = overdue(state.waiting, now=now)
    if shell.json:
        shell.result({"state": state, "overdue_seconds": late.total_seconds()})
        return
    rows = [
        (Text("Lô niêm phong", "Batches"), state.batches),
        (Text("Niêm phong đến sự kiện", "Sealed up to event"), state.sealed_to),
        (Text("Sự kiện mới nhất", "Newest event"), state.newest_id),
        (Text("Dấu thời gian bao gồm đến lô", "Stamped up to batch"), state.stamped_batches),
        (Text("Dấu thời gian gần nhất", "Last time-stamp"), moment(state.stamped_at)),
        (Text("Chờ dấu thời gian (phút)", "Waiting for a stamp (minutes)"), int(late.total_seconds() // 60)),
    ]
    if state.waiting is not None and state.waiting.error_code:
        rows.append((Text("Lỗi gần nhất", "Last failure"), state.waiting.error_code))
    shell.table([Text("Mục", "What"), Text("Giá trị", "Value")], [(shell.words(name), value) for name, value in rows])


def _show_proofs(shell: Shell, proofs: tuple[EventProof, ...]) -> None:
    proven = [check_proof(proof) for proof in proofs]
    if shell.json:
        shell.result([proof.as_json() for proof in proofs])
        return
    shell.table(
        [Text("Sự kiện", "Event"), Text("Việc", "Action"), Text("Lúc", "At"), Text("Lô", "Batch"),
         Text("Niêm phong lúc", "Sealed"), Text("Dấu thời gian số", "Time-stamp no.")],
        [
            (one.event.id, one.event.action, moment(moment_of(one.event.at)), one.header.number,
             moment(moment_of(one.header.sealed_at)), one.statement.number if one.statement else "–")
            for one in proven
        ],
    )  # fmt: skip


@log.command_of(
    "seal",
    Text(
        "Niêm phong ngay những gì đã xảy ra; --stamp: lấy cả dấu thời gian ngay.",
        "Seal what has happened now; --stamp: have it stamped now too.",
    ),
    examples="gateway log seal\ngateway log seal --stamp",
)
@option("--stamp", is_flag=True, words=Text("Lấy dấu thời gian ngay.", "Ask for a time-stamp now."))
@for_programs()
def seal(shell: Shell, *, stamp: bool) -> int:
    """Seal, and perhaps stamp; exit code 1 when something could not be sealed, or no stamp could be had."""
    settings = shell.settings()
    gateway = join(settings)
    http = make_http(settings)
    try:
        sealer = make_sealer(gateway)
        sealed = [sealer.seal()]
        while sealed[-1].batches and not sealed[-1].complete:
            sealed.append(sealer.seal())
        stamper = make_stamper(gateway, http) if stamp else None
        if stamp and stamper is None:
            raise SettingsInvalid("timestamps.urls names no authority.", path="timestamps.urls")
        while stamper is not None and stamper.stamp(at_once=True):
            pass
        state = gateway.ledger.log.state()
    finally:
        http.close()
        gateway.ledger.engine.dispose()
    events = sum(one.events for one in sealed)
    late = not sealed[-1].complete
    failed = stamp and state.stamped_batches < state.batches
    if shell.json:
        shell.result({"sealed": events, "complete": not late, "state": state})
    else:
        shell.say(Text("Đã niêm phong {events} sự kiện.", "Sealed {events} events."), events=events)
        if late:
            shell.note(
                Text(
                    "Phần còn lại chưa niêm phong được: có giao dịch ghi lâu chưa xong. Chạy lại sau.",
                    "The rest could not be sealed: a transaction has been writing for long. Run it again later.",
                )
            )
        if failed and state.waiting is not None:
            code = state.waiting.error_code or ""
            shell.note(Text("Chưa lấy được dấu thời gian ({code}).", "No time-stamp could be had ({code})."), code=code)
        elif stamp:
            shell.say(Text("Dấu thời gian: {at}.", "Time-stamp: {at}."), at=moment(state.stamped_at))
    return exits.FAILED if failed or late else exits.DONE
