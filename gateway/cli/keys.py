"""``gateway keys``: API keys of agencies' systems and of peers."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from gateway.cli.command import Group, for_programs, option
from gateway.cli.opened import actor, opened, utc_now
from gateway.cli.shell import Shell, moment
from gateway.cli.words import Text
from gateway.errors import NotFound
from gateway.exchange.keys import IssuedKey, issue_key
from gateway.ledger import Ledger
from gateway.ledger.records import ApiKey, new_id
from gateway.model import AgencyCode

SCOPES = ("send", "receive", "read")
"""As ``gateway.api.auth`` asks for them."""

keys = Group(
    "keys",
    words=Text(
        "Khóa API của hệ thống các cơ quan. Khóa chỉ hiện một lần; trong cơ sở dữ liệu chỉ có mã băm.",
        "API keys of agencies' systems. A key is shown once; the database holds its hash only.",
    ),
    examples="""\
gateway keys create H37.21 --label "eOffice xã Đồng Đăng"
gateway keys rotate 3f9a01c2b4d5 --overlap-hours 24
gateway keys list --json""",
)


def make_key(
    ledger: Ledger,
    agency: AgencyCode,
    *,
    now: datetime,
    by: str,
    scopes: frozenset[str] = frozenset(SCOPES),
    label: str = "",
    expires_at: datetime | None = None,
) -> IssuedKey:
    """Register a new key of an agency; its token exists in the answer only."""
    issued = issue_key()
    key = ApiKey(
        id=new_id(),
        prefix=issued.prefix,
        secret_sha256=issued.hash,
        agency=agency,
        scopes=scopes,
        label=label,
        created_at=now,
        expires_at=expires_at,
    )
    ledger.add_key(key, actor=by)
    return issued


def _show(shell: Shell, issued: IssuedKey, agency: str) -> None:
    if shell.json:
        shell.result({"agency": agency, "prefix": issued.prefix, "key": issued.token})
        return
    shell.note(Text("Khóa của {agency}, chỉ hiện lần này:", "Key of {agency}, shown this once:"), agency=agency)
    click.echo(issued.token)


@keys.command_of(
    "create",
    Text("Cấp khóa cho hệ thống của một cơ quan.", "Give an agency's system a key."),
    examples="""\
gateway keys create H37.21
gateway keys create 000.00.22.W00 --label "trục quốc gia" > national.key
gateway keys create H37.21 --scope read --days 30""",
)
@click.argument("agency")
@option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    words=Text("Quyền; có thể lặp lại; mặc định tất cả.", "What it may do; may be repeated; by default everything."),
)
@option("--label", default="", words=Text("Ghi chú để nhận ra khóa.", "A note to recognise it by."))
@option("--days", type=click.IntRange(1), words=Text("Hết hạn sau số ngày này.", "Expires after so many days."))
@for_programs()
def create(shell: Shell, *, agency: str, scopes: tuple[str, ...], label: str, days: int | None) -> None:
    """Register a key and show it."""
    now = utc_now()
    with opened(shell.settings()) as gateway:
        holder = gateway.agency(agency, at=now)
        issued = make_key(
            gateway.ledger,
            holder.code,
            now=now,
            by=actor(),
            scopes=frozenset(scopes or SCOPES),
            label=label,
            expires_at=now + timedelta(days=days) if days else None,
        )
        _show(shell, issued, holder.code)


@keys.command_of("list", Text("Liệt kê khóa.", "List keys."), examples="gateway keys list\ngateway keys list H37.21")
@click.argument("agency", required=False)
@for_programs()
def list_keys(shell: Shell, *, agency: str | None) -> None:
    """Show keys without their secrets."""
    now = utc_now()
    with opened(shell.settings()) as gateway:
        code = gateway.agency(agency, at=now).code if agency else None
        found = gateway.ledger.keys(code)
    if shell.json:
        hidden = {"secret_sha256"}
        shell.result([{n: getattr(k, n) for n in ApiKey.__dataclass_fields__ if n not in hidden} for k in found])
        return
    columns = [
        Text("Khóa", "Key"),
        Text("Cơ quan", "Agency"),
        Text("Quyền", "Scopes"),
        Text("Ghi chú", "Label"),
        Text("Cấp lúc", "Made"),
        Text("Dùng lần cuối", "Last used"),
        Text("Tình trạng", "State"),
    ]
    shell.table(
        columns,
        [
            (k.prefix, k.agency, " ".join(sorted(k.scopes)), k.label, moment(k.created_at), moment(k.last_used_at),
             shell.words(_state(k, now)))
            for k in found
        ],
    )  # fmt: skip


def _state(key: ApiKey, now: datetime) -> Text:
    if key.is_valid(now):
        ending = min((end for end in (key.expires_at, key.revoked_at) if end is not None), default=None)
        if ending is None:
            return Text("hiệu lực", "valid")
        return Text(f"hiệu lực đến {moment(ending)}", f"valid until {moment(ending)}")
    revoked = key.revoked_at is not None and key.revoked_at <= now
    return Text("đã thu hồi", "revoked") if revoked else Text("hết hạn", "expired")


@keys.command_of(
    "rotate",
    Text(
        "Cấp khóa mới thay khóa cũ; khóa cũ còn dùng được trong thời gian chuyển tiếp.",
        "Give a new key for an old one, which keeps working for a while.",
    ),
    examples="gateway keys rotate 3f9a01c2b4d5\ngateway keys rotate 3f9a01c2b4d5 --overlap-hours 0",
)
@click.argument("prefix")
@option(
    "--overlap-hours",
    type=click.FloatRange(0, 24 * 90),
    default=72.0,
    show_default=True,
    words=Text("Khóa cũ còn hiệu lực thêm số giờ này.", "The old key works for so many hours more."),
)
@for_programs()
def rotate(shell: Shell, *, prefix: str, overlap_hours: float) -> None:
    """Replace a key."""
    now = utc_now()
    with opened(shell.settings()) as gateway:
        old = gateway.ledger.find_key(prefix)
        if old is None or not old.is_valid(now):
            raise NotFound(f"There is no valid key {prefix}.")
        issued = make_key(
            gateway.ledger,
            old.agency,
            now=now,
            by=actor(),
            scopes=old.scopes,
            label=old.label,
            expires_at=old.expires_at,
        )
        gateway.ledger.revoke_key(prefix, at=now + timedelta(hours=overlap_hours), actor=actor(), now=now)
        _show(shell, issued, old.agency)


@keys.command_of("revoke", Text("Thu hồi khóa ngay.", "Revoke a key now."), examples="gateway keys revoke 3f9a01c2b4d5")
@click.argument("prefix")
def revoke(shell: Shell, *, prefix: str) -> None:
    """End a key."""
    now = utc_now()
    with opened(shell.settings()) as gateway:
        gateway.ledger.revoke_key(prefix, at=now, actor=actor(), now=now)
    shell.say(
        Text(
            "Đã thu hồi {prefix}; tiến trình đang chạy còn nhận khóa này tối đa 5 giây.",
            "Revoked {prefix}; running processes may take it for up to 5 more seconds.",
        ),
        prefix=prefix,
    )
