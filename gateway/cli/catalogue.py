"""``gateway catalogue``: the agencies of the country, as an axis lists them, beside the gateway's own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path
from typing import BinaryIO

import click

from gateway.bootstrap import make_http
from gateway.cli.command import Group, for_programs, option
from gateway.cli.opened import Opened, actor, opened, utc_now
from gateway.cli.shell import Shell, moment
from gateway.cli.words import Text
from gateway.delivery.axes import reach
from gateway.delivery.http import HttpClient
from gateway.delivery.vxp import VxpAxis
from gateway.directory.catalogue import Problem
from gateway.directory.catalogue_store import Difference, Run, Unit
from gateway.errors import EndpointMisconfigured
from gateway.exchange.catalogue import sync_from_axis, sync_from_files
from gateway.model import Channel

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

catalogue = Group(
    "catalogue",
    words=Text(
        """Danh mục cơ quan của trục quốc gia, đứng bên cạnh danh bạ của chính trục này.
Danh bạ của mình (agencies.toml) luôn được ưu tiên; cơ quan thuộc tỉnh mình chỉ lấy từ danh bạ của mình.""",
        """The national axis' catalogue of agencies, which stands beside this gateway's own directory.
The own directory (agencies.toml) always wins; agencies of the own province come from the own directory alone.""",
    ),
    examples="""\
gateway catalogue sync --from 000.00.22.W00
gateway catalogue status
gateway catalogue search "so tai chinh nghe an" """,
)


@catalogue.command_of(
    "sync",
    Text(
        """Cập nhật danh mục: hỏi trục (--from) hoặc đọc các kết quả đã lưu thành tệp (--file, --level-file).
Chạy lại bao nhiêu lần cũng được; bị ngắt giữa chừng thì chạy lại là làm tiếp. Cơ quan bị xóa thì đóng, không bỏ.""",
        """Bring the catalogue up to date: ask an axis (--from), or read answers that were saved (--file, --level-file).
It may be run as often as one likes, and goes on when it was broken off. Deleted agencies are closed, not removed.""",
    ),
    examples=Text(
        """\
gateway catalogue sync --from 000.00.22.W00           # hằng đêm
gateway catalogue sync --from 000.00.22.W00 --full    # hằng tuần: cả mã định danh mới
gateway catalogue sync --file getAgenciesList.json --file getSynchronizeUnit.json --level-file cap1.json""",
        """\
gateway catalogue sync --from 000.00.22.W00           # every night
gateway catalogue sync --from 000.00.22.W00 --full    # every week: also new codes
gateway catalogue sync --file getAgenciesList.json --file getSynchronizeUnit.json --level-file level1.json""",
    ),
)
@option("--from", "axis", words=Text("Mã của trục trong danh bạ (kênh vxp).", "The axis' code in the directory (vxp)."))
@option(
    "--file",
    "files",
    type=_FILE,
    multiple=True,
    words=Text("Kết quả getAgenciesList, getSynchronizeUnit.", "An answer to getAgenciesList or getSynchronizeUnit."),
)
@option(
    "--level-file",
    "levels",
    type=_FILE,
    multiple=True,
    words=Text("Kết quả getAgenciesListQD20.", "An answer to getAgenciesListQD20."),
)
@option("--full", is_flag=True, words=Text("Hỏi lại mọi danh sách.", "Ask for every list again."))
@option(
    "--accept-closings",
    is_flag=True,
    words=Text("Chấp nhận đóng nhiều cơ quan cùng lúc.", "Also when unusually many agencies are closed."),
)
@for_programs()
def sync(
    shell: Shell,
    *,
    axis: str | None,
    files: Sequence[Path],
    levels: Sequence[Path],
    full: bool,
    accept_closings: bool,
) -> None:
    """Take and publish."""
    if (axis is None) is not bool(files or levels):
        raise click.UsageError(shell.words(Text("Nêu --from, hoặc --file.", "Give either --from, or --file.")))
    with opened(shell.settings()) as site:
        if axis is None:
            run = sync_from_files(
                site.catalogue,
                site.ledger,
                files,
                levels,
                actor=actor(),
                clock=utc_now,
                accept_closings=accept_closings,
            )
        else:
            with closing(make_http(site.settings)) as http:
                run = sync_from_axis(
                    site.catalogue,
                    site.ledger,
                    partial(_asked, http, site, axis),
                    source=axis,
                    actor=actor(),
                    clock=utc_now,
                    full=full,
                    accept_closings=accept_closings,
                )
    _tell(shell, run)


def _asked(http: HttpClient, site: Opened, code: str, call: str, **parameters: str) -> AbstractContextManager[BinaryIO]:
    """One call of the axis; directory and secret are read anew each time."""
    # An axis is of the operator's own agencies: what it lists itself gives no endpoints.
    agency = site.own().find(code, at=utc_now())
    endpoint, url, secret = reach(agency, code, site.settings.secret)
    if endpoint.channel is not Channel.VXP or not endpoint.system:
        raise EndpointMisconfigured(f"{code} has no endpoint of the channel vxp, which alone has a catalogue.")
    client = VxpAxis(http=http, url=url, system=endpoint.system, secret=secret)
    return client.catalogue(call, folder=site.settings.data, now=utc_now(), **parameters)


def _tell(shell: Shell, run: Run) -> None:
    if shell.json:
        shell.result(run)
        return
    counts = {name: run.counts.get(name, 0) for name in _COUNTED}
    shell.say(
        Text(
            """Đã đọc {rows} dòng ({unreadable} dòng không dùng được, {outdated} dòng cũ hơn).
Cơ quan: thêm {added}, sửa {changed}, đóng {closed}, mở lại {reopened}, rút {withdrawn}.""",
            """{rows} rows read ({unreadable} unusable, {outdated} outdated).
Agencies: {added} added, {changed} changed, {closed} closed, {reopened} reopened, {withdrawn} withdrawn.""",
        ),
        **counts,
    )
    if run.version is None:
        shell.say(Text("Danh bạ không thay đổi.", "The directory has not changed."))
    else:
        shell.say(Text("Danh bạ phiên bản {version}.", "Directory version {version}."), version=run.version)


_COUNTED = ("rows", "unreadable", "outdated", "added", "changed", "closed", "reopened", "withdrawn")


@catalogue.command_of(
    "status",
    Text(
        """Danh mục có gì, các lần cập nhật gần đây, và điều cần người vận hành xem.
--details: liệt kê cơ quan không được nhận, cơ quan của tỉnh mình chưa có trong danh bạ, và chỗ khác nhau.""",
        """What the catalogue holds, the latest runs, and what an operator should look at.
--details: list what was not taken, what the own file lacks of the own province, and where the two differ.""",
    ),
    examples="gateway catalogue status\ngateway catalogue status --details",
)
@option("--details", is_flag=True, words=Text("Liệt kê từng cơ quan.", "List each agency."))
@for_programs()
def status(shell: Shell, *, details: bool) -> None:
    """Show the state."""
    with opened(shell.settings()) as site:
        store, own, now = site.catalogue, site.own(), utc_now()
        overview = store.overview()
        problems, missing = store.problems(own, at=now), store.unknown_here(own, at=now)
        differences = store.differences(own, at=now)
    if shell.json:
        facts = {"problems": problems, "missing": missing, "differences": differences}
        shell.result({"overview": overview, **(facts if details else {key: len(v) for key, v in facts.items()})})
        return
    shell.say(
        Text(
            "{units} đơn vị: {open} đang hoạt động, {closed} đã đóng, {hidden} ẩn; phiên bản cao nhất {highest}.",
            "{units} units: {open} agencies that exist, {closed} closed, {hidden} hidden; highest version {highest}.",
        ),
        units=overview.units,
        open=overview.open,
        closed=overview.closed,
        hidden=overview.hidden,
        highest=overview.highest_version if overview.highest_version is not None else "–",
    )
    if overview.unsettled:
        shell.say(
            Text(
                "{n} đơn vị chờ xử lý: lần cập nhật trước bị ngắt; chạy lại `gateway catalogue sync`.",
                "{n} units wait: the last sync was broken off; run `gateway catalogue sync` again.",
            ),
            n=overview.unsettled,
        )
    _runs(shell, overview.runs)
    for problem, number in sorted(overview.problems.items()):
        shell.say(Text("Không nhận: {n} ({why}).", "Not taken: {n} ({why})."), n=number,
                  why=shell.words(_PROBLEMS[Problem(problem)]))  # fmt: skip
    shell.say(
        Text(
            "Thuộc tỉnh mình mà danh bạ chưa có: {missing}. Danh bạ và danh mục khác nhau: {differences}.",
            "Of the own province and not in the own file: {missing}. Differences from the own file: {differences}.",
        ),
        missing=len(missing),
        differences=len(differences),
    )
    if details:
        _units(shell, [*problems, *missing])
        _differences(shell, differences)


def _runs(shell: Shell, runs: Sequence[Run]) -> None:
    columns = [
        Text("Lần", "Run"),
        Text("Bắt đầu", "Started"),
        Text("Xong", "Finished"),
        Text("Nguồn", "Source"),
        Text("Dòng", "Rows"),
        Text("Thay đổi", "Changes"),
        Text("Phiên bản", "Version"),
    ]
    rows = [
        (
            run.run,
            moment(run.started_at),
            moment(run.finished_at),
            run.source,
            run.counts.get("rows", 0),
            run.changes,
            run.version or "",
        )
        for run in runs
    ]
    shell.table(columns, rows)


def _differences(shell: Shell, differences: Sequence[Difference]) -> None:
    columns = [Text("Cơ quan", "Agency"), Text("Khác nhau", "Difference"), Text("Mã", "Codes")]
    shell.table(
        columns, [(each.agency, shell.words(_DIFFERENCES[each.kind]), " ".join(each.codes)) for each in differences]
    )


@catalogue.command_of(
    "search",
    Text(
        "Tìm trong danh mục theo tên (không cần dấu) hoặc mã, kể cả đơn vị ẩn và đơn vị không được nhận.",
        "Find in the catalogue by name (accents ignored) or code; also what is hidden or was not taken.",
    ),
    examples='gateway catalogue search "so tai chinh nghe an"\ngateway catalogue search H41.5 --json',
)
@click.argument("text")
@option("--limit", type=click.IntRange(1, 1000), default=20, words=Text("Số dòng nhiều nhất.", "Rows at most."))
@for_programs()
def search(shell: Shell, *, text: str, limit: int) -> None:
    """Find units."""
    with opened(shell.settings()) as site:
        found = site.catalogue.search(text, site.own(), at=utc_now(), limit=limit)
    if shell.json:
        shell.result(found)
        return
    _units(shell, found)


def _units(shell: Shell, units: Sequence[Unit]) -> None:
    columns = [
        Text("Mã", "Code"),
        Text("Mã khác", "Aliases"),
        Text("Tên", "Name"),
        Text("Cấp trên", "Parent"),
        Text("Trung tâm", "Centre"),
        Text("Tình trạng", "Standing"),
    ]
    shell.table(columns, [_row(shell, unit) for unit in units])


def _row(shell: Shell, unit: Unit) -> tuple[object, ...]:
    agency = unit.agency
    return (
        unit.code,
        " ".join(agency.aliases) if agency else "",
        unit.name,
        (agency.parent if agency else None) or "",
        unit.centre or "",
        shell.words(_PROBLEMS[unit.problem] if unit.problem else _STANDINGS[unit.standing]),
    )


_PROBLEMS = {
    Problem.OTHER_PROVINCE: Text("mã thuộc tỉnh, bộ khác cấp trên", "code of another province than its parent's"),
    Problem.CODE_TAKEN: Text("mã đã thuộc đơn vị khác", "another unit has its code"),
    Problem.CIRCLE: Text("cấp trên vòng quanh", "its parents lead back to it"),
}
_STANDINGS = {
    "in_force": Text("đang dùng", "in force"),
    "closed": Text("đã đóng", "closed"),
    "own_file": Text("theo danh bạ của mình", "as the own file says"),
    "own_province": Text("thuộc tỉnh mình, chưa có trong danh bạ", "of the own province, not in the own file"),
    "same_as_another": Text("là mã khác của đơn vị khác", "further code of another unit"),
}
_DIFFERENCES = {
    "closed_there": Text("danh mục đã đóng", "closed in the catalogue"),
    "closed_here": Text("chỉ danh bạ của mình đã đóng", "closed in the own file only"),
    "further_codes": Text("danh mục có thêm mã", "the catalogue knows further codes"),
}
