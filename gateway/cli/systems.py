"""``gateway systems``: clients that speak VXP or LGSP, and their secrets."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from gateway.cli.command import Group, for_programs, option
from gateway.cli.opened import Opened, actor, opened, utc_now
from gateway.cli.shell import Shell, moment
from gateway.cli.words import Text
from gateway.exchange.systems import (
    KEY_FILE,
    SecretBox,
    add_system,
    change_system,
    list_systems,
    revoke_system,
    rotate_secret,
)
from gateway.ledger.records import System
from gateway.model import Agency, Channel
from gateway.settings import Settings

systems = Group(
    "systems",
    words=Text(
        """Hệ thống kết nối theo giao thức VXP hoặc LGSP (systemid, X-SystemId) và khóa bí mật của chúng.
Khóa chỉ hiện một lần; trong cơ sở dữ liệu khóa được mã hóa.""",
        """Systems that connect by VXP or LGSP (systemid, X-SystemId), and their secrets.
A secret is shown once; the database holds it sealed.""",
    ),
    examples="""\
gateway systems add H37.DN.001 --name "eOffice Sở Tài chính" --agency 000.00.14.H37
gateway systems rotate H37.DN.001 --overlap-hours 24
gateway systems list --json""",
)


def secret_box(settings: Settings) -> SecretBox:
    """What seals the secrets of this gateway's systems."""
    return SecretBox(settings.within_data(KEY_FILE))


def _show(shell: Shell, system_id: str, secret: str, **facts: object) -> None:
    if shell.json:
        shell.result({"system": system_id, "secret": secret, **facts})
        return
    shell.note(Text("Khóa bí mật của {system}, chỉ hiện lần này:", "Secret of {system}, shown this once:"),
               system=system_id)  # fmt: skip
    click.echo(secret)


@systems.command_of(
    "add",
    Text(
        """Cho một hệ thống kết nối thay mặt các cơ quan đã nêu, và không cơ quan nào khác.
Cơ quan cần có điểm nhận kiểu mailbox thì hệ thống mới lấy được văn bản.""",
        """Let a system connect for the agencies named, and for no others.
For a system to collect documents, its agencies need an endpoint of the channel mailbox.""",
    ),
    examples=Text(
        """\
gateway systems add H37.DN.001 --name "eOffice Sở Tài chính" --agency 000.00.14.H37
gateway systems add xa-phuong --name "eOffice các xã" --agency H37.21 --agency H37.22 > xa-phuong.secret
gateway systems add 00.37.W00 --name "Trục tỉnh Lạng Sơn" --agency 000.00.00.H37 --gateway   # trên trục quốc gia""",
        """\
gateway systems add H37.DN.001 --name "eOffice of the Department of Finance" --agency 000.00.14.H37
gateway systems add communes --name "eOffice of the communes" --agency H37.21 --agency H37.22 > communes.secret
gateway systems add 00.37.W00 --name "Gateway of Lạng Sơn" --agency 000.00.00.H37 --gateway   # on the national axis""",
    ),
)
@click.argument("system")
@option("--name", required=True, words=Text("Tên để người vận hành nhận ra.", "What operators know it by."))
@option(
    "--agency",
    "codes",
    multiple=True,
    required=True,
    words=Text("Mã cơ quan mà hệ thống thay mặt; có thể lặp lại.", "Agency that it speaks for; may be repeated."),
)
@option(
    "--gateway",
    is_flag=True,
    words=Text(
        "Chính nó là một trục: văn bản nó lấy là đã chuyển tiếp, chưa phải đã đến nơi nhận.",
        "It is itself a gateway: what it collects is forwarded, not arrived.",
    ),
)
@for_programs()
def add(shell: Shell, *, system: str, name: str, codes: tuple[str, ...], gateway: bool) -> None:
    """Register a system and show its secret."""
    now = utc_now()
    with opened(shell.settings()) as site:
        agencies = [site.agency(code, at=now) for code in codes]
        secret = add_system(
            site.ledger,
            secret_box(site.settings),
            id=system,
            name=name,
            agencies=[agency.code for agency in agencies],
            gateway=gateway,
            now=now,
            actor=actor(),
        )
        without = [agency.code for agency in agencies if not _has_mailbox(site, agency, now)]
    _show(shell, system, secret, without_mailbox=without)
    if without and not shell.json:
        shell.note(
            Text(
                'Lưu ý: không có hộp thư (channel = "mailbox"), nên hệ thống này không lấy được văn bản của: {codes}',
                'Note: no mailbox (channel = "mailbox"), so this system cannot collect for: {codes}',
            ),
            codes=", ".join(without),
        )


def _has_mailbox(site: Opened, agency: Agency, now: datetime) -> bool:
    holder = site.directory().endpoint_holder(agency, at=now)
    return (
        holder is not None
        and holder.code == agency.code
        and holder.endpoint is not None
        and holder.endpoint.channel is Channel.MAILBOX
    )


@systems.command_of("list", Text("Liệt kê hệ thống.", "List systems."), examples="gateway systems list --json")
@for_programs()
def show_all(shell: Shell) -> None:
    """Show systems without their secrets."""
    now = utc_now()
    with opened(shell.settings()) as site:
        rows = [(system, _secrets(site, system, now)) for system in list_systems(site.ledger)]
    if shell.json:
        shell.result([_facts(system, ends) for system, ends in rows])
        return
    columns = [
        Text("Hệ thống", "System"),
        Text("Tên", "Name"),
        Text("Thay mặt", "Speaks for"),
        Text("Loại", "Kind"),
        Text("Thêm lúc", "Added"),
        Text("Tình trạng", "State"),
    ]
    kinds = {True: Text("trục", "gateway"), False: Text("hệ thống cơ quan", "agency system")}
    shell.table(
        columns,
        [
            (s.id, s.name, " ".join(s.agencies), shell.words(kinds[s.gateway]), moment(s.created_at),
             shell.words(_state(s, ends)))
            for s, ends in rows
        ],
    )  # fmt: skip


def _secrets(site: Opened, system: System, now: datetime) -> list[datetime | None]:
    """When each secret that is valid now ends, newest first; ``None``: not before it is replaced."""
    found = site.ledger.find_system(system.id)
    return [] if found is None else [secret.expires_at for secret in found[1] if secret.is_valid(now)]


def _facts(system: System, ends: list[datetime | None]) -> dict[str, object]:
    return {
        "system": system.id,
        "name": system.name,
        "agencies": list(system.agencies),
        "gateway": system.gateway,
        "created_at": system.created_at,
        "revoked_at": system.revoked_at,
        "secrets": 0 if system.revoked_at else len(ends),
        "former_secret_until": max((end for end in ends if end is not None), default=None),
    }


def _state(system: System, ends: list[datetime | None]) -> Text:
    if system.revoked_at is not None:
        return Text("đã thu hồi", "revoked")
    until = max((end for end in ends if end is not None), default=None)
    if until is None:
        return Text("hiệu lực", "valid")
    return Text(f"hiệu lực; khóa cũ đến {moment(until)}", f"valid; former secret until {moment(until)}")


@systems.command_of(
    "change",
    Text(
        "Đổi tên hệ thống, hoặc danh sách cơ quan mà nó thay mặt; khóa bí mật giữ nguyên.",
        "Give a system another name, or other agencies to speak for; its secret stays.",
    ),
    examples="gateway systems change xa-phuong --agency H37.21 --agency H37.22 --agency H37.23",
)
@click.argument("system")
@option("--name", words=Text("Tên mới.", "The new name."))
@option(
    "--agency",
    "codes",
    multiple=True,
    words=Text(
        "Cơ quan mà hệ thống thay mặt từ nay; phải nêu đủ.", "Agency that it speaks for from now on; name them all."
    ),
)
@for_programs()
def change(shell: Shell, *, system: str, name: str | None, codes: tuple[str, ...]) -> None:
    """Change a system."""
    now = utc_now()
    with opened(shell.settings()) as site:
        agencies = [site.agency(code, at=now).code for code in codes] or None
        changed = change_system(site.ledger, system, name=name, agencies=agencies, now=now, actor=actor())
    if shell.json:
        shell.result({"system": changed.id, "name": changed.name, "agencies": list(changed.agencies)})
        return
    shell.say(
        Text("{system} ({name}) thay mặt: {codes}", "{system} ({name}) speaks for: {codes}"),
        system=changed.id,
        name=changed.name,
        codes=" ".join(changed.agencies),
    )


@systems.command_of(
    "rotate",
    Text(
        "Cấp khóa bí mật mới; khóa cũ còn dùng được trong thời gian chuyển tiếp.",
        "Give a new secret; the old one keeps working for a while.",
    ),
    examples="gateway systems rotate H37.DN.001\ngateway systems rotate H37.DN.001 --overlap-hours 0",
)
@click.argument("system")
@option(
    "--overlap-hours",
    type=click.FloatRange(0, 24 * 90),
    default=72.0,
    show_default=True,
    words=Text("Khóa cũ còn hiệu lực thêm số giờ này.", "The old secret works for so many hours more."),
)
@for_programs()
def rotate(shell: Shell, *, system: str, overlap_hours: float) -> None:
    """Replace a secret."""
    overlap = timedelta(hours=overlap_hours)
    with opened(shell.settings()) as site:
        box = secret_box(site.settings)
        secret = rotate_secret(site.ledger, box, system, overlap=overlap, now=utc_now(), actor=actor())
    _show(shell, system, secret)


@systems.command_of(
    "revoke",
    Text(
        "Thu hồi một hệ thống ngay; mã của nó không được cấp lại.",
        "Revoke a system now; its id is never given again.",
    ),
    examples="gateway systems revoke H37.DN.001",
)
@click.argument("system")
@for_programs()
def revoke(shell: Shell, *, system: str) -> None:
    """End a system."""
    with opened(shell.settings()) as site:
        revoked = revoke_system(site.ledger, system, utc_now(), actor=actor())
    if shell.json:
        shell.result({"system": revoked.id, "revoked_at": revoked.revoked_at})
        return
    shell.say(
        Text(
            "Đã thu hồi {system}; tiến trình đang chạy còn nhận hệ thống này tối đa 5 giây.",
            "Revoked {system}; running processes may take it for up to 5 more seconds.",
        ),
        system=system,
    )
