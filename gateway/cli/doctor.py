"""``gateway doctor``: everything that can be wrong with an installation, and what to do about it."""

from __future__ import annotations

import enum
import http.client
import os
import shutil
import ssl
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from rich.text import Text as RichText

from gateway.bootstrap import check_settings, gateway_key, heads_path, malware_scanner
from gateway.cli import exits
from gateway.cli.command import command, for_programs, option
from gateway.cli.founding import CERTIFICATE, KEYS, SESSION_KEY
from gateway.cli.opened import Opened, opened
from gateway.cli.shell import Shell, moment, plain
from gateway.cli.words import Text
from gateway.clock import utc_now
from gateway.console.words import EXAMINATIONS
from gateway.delivery.http import HttpClient, HttpSettings
from gateway.delivery.lgsp import read_credential
from gateway.delivery.push import read_secrets
from gateway.delivery.vxp import VxpAxis
from gateway.directory import exists_at
from gateway.directory.certificates import covered, registrations
from gateway.errors import GatewayError, LedgerOutdated, ScanFailed
from gateway.evidence.chain import spelled
from gateway.exchange.revocation import is_stale
from gateway.exchange.sealing import newest_head_within
from gateway.exchange.stamping import overdue
from gateway.ledger import sqlite_version_is_safe, upkeep
from gateway.ledger.chain import LogState
from gateway.ledger.records import FetchState
from gateway.model import Agency, Channel, DeliveryState, ExaminationState, PackageKind
from gateway.scanning.clamd import Deadline
from gateway.settings import Settings
from gateway.signing.keys import load_certificates
from gateway.signing.token import Token
from gateway.signing.token_service import SharedTokenKey
from gateway.signing.trust import CLOCK_SKEW

_CLOCK_WARN = timedelta(seconds=2)
_CLOCK_FAIL = timedelta(seconds=60)
"""Push receivers refuse what is some minutes off (Standard Webhooks); receipts and seals name the time."""
_FREE_WARN = 5 * 1024**3
_FREE_FAIL = 256 * 1024**2
_INODES_WARN = 50_000
_EXPIRY_FAIL, _EXPIRY_SOON, _EXPIRY_WARN = timedelta(days=7), timedelta(days=30), timedelta(days=60)
_STUCK = timedelta(hours=1)
_ASKED = timedelta(seconds=5)
_HEADS_BEHIND = 10
"""Batches by which the second place may be behind while one is being written."""


class Grade(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    """Stable name of the check."""
    grade: Grade
    words: Text
    todo: Text | None = None
    """What to do, unless it is well."""


def ok(name: str, words: Text) -> Finding:
    """It is well."""
    return Finding(name=name, grade=Grade.OK, words=words)


def warn(name: str, words: Text, todo: Text) -> Finding:
    """It will become a trouble."""
    return Finding(name=name, grade=Grade.WARN, words=words, todo=todo)


def fail(name: str, words: Text, todo: Text) -> Finding:
    """It is a trouble."""
    return Finding(name=name, grade=Grade.FAIL, words=words, todo=todo)


@command(
    "doctor",
    Text(
        """Khám toàn bộ hệ thống: đồng hồ, đĩa, cơ sở dữ liệu, khóa, chứng thư, điểm nhận, lượt chuyển bị kẹt.
Mỗi dòng nói tốt, lưu ý hay hỏng, và phải làm gì. Mã kết thúc 1 khi có hỏng.""",
        """Examine the installation: clock, disk, database, keys, certificates, endpoints, stuck deliveries.
Each line says ok, warn or fail, and what to do. Exit code 1 when something fails.""",
    ),
    examples="gateway doctor\ngateway doctor --no-links --json",
)
@option("--no-links", is_flag=True, words=Text("Không thử kết nối ra ngoài.", "Do not try connections."))
@for_programs()
def doctor(shell: Shell, *, no_links: bool) -> int:
    """Look at everything."""
    settings = shell.settings()
    now = utc_now()
    findings: list[Finding] = []
    for finding in examine(settings, now=now, links=not no_links):
        findings.append(finding)
        if not shell.json:
            _show(shell, finding)
    failed = sum(f.grade is Grade.FAIL for f in findings)
    if shell.json:
        shell.result(
            [
                {
                    "check": f.name,
                    "grade": f.grade,
                    "detail": f.words.say(shell.language),
                    "todo": f.todo.say(shell.language) if f.todo else None,
                }
                for f in findings
            ]
        )
    return exits.FAILED if failed else exits.DONE


_MARKS = {
    Grade.OK: (Text("tốt", "ok"), "✔", "green"),
    Grade.WARN: (Text("lưu ý", "warn"), "▲", "yellow"),
    Grade.FAIL: (Text("HỎNG", "FAIL"), "✖", "bold red"),
}


def _show(shell: Shell, finding: Finding) -> None:
    words, shape, style = _MARKS[finding.grade]
    if finding.grade is Grade.OK and shell.verbosity < 0:
        return
    console = shell.console()
    console.print(
        RichText(f"{shape} {words.say(shell.language):<6} ", style=style)
        + RichText(plain(finding.words.say(shell.language))),
        soft_wrap=True,
    )
    if finding.todo is not None:
        console.print(RichText(f"           → {plain(finding.todo.say(shell.language))}"), soft_wrap=True)


def examine(settings: Settings, *, now: datetime, links: bool = True) -> Iterator[Finding]:
    """Look at everything, the groundwork first; what cannot be looked at is itself a finding."""
    yield from _clock(settings, now)
    yield from _disk(settings)
    yield from _keys(settings)
    yield from _token(settings, now) if settings.signing.token_module else _own_certificate(settings, now)
    yield from _scanner(settings)
    yield from _sqlite()
    try:
        with opened(settings) as gateway:
            yield from _database(gateway, now)
            yield from _directory(gateway, now, links=links)
            yield from _revocation(gateway, now)
            yield from _catalogue(gateway, now)
            yield from _queue(gateway, now)
            yield from _examinations(gateway, now)
            yield from _axes(gateway, now)
            yield from _log(gateway, now)
    except LedgerOutdated as error:
        yield fail("database", _error(error), Text("gateway db upgrade", "gateway db upgrade"))
    except GatewayError as error:
        yield fail(
            "database",
            _error(error),
            Text("Kiểm tra [ledger] và máy chủ cơ sở dữ liệu.", "Look at [ledger] and at the database server."),
        )


def _error(error: GatewayError) -> Text:
    return Text(f"{error.vi} ({error.detail})", f"{error.detail} ({error.code})")


# The machine


def _clock(settings: Settings, now: datetime) -> Iterator[Finding]:
    """This clock, against that of the file system and of time servers as far as they can be asked."""
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        before = time.time()
        with tempfile.NamedTemporaryFile(dir=settings.data, prefix=".clock-") as file:
            os.utime(file.name)
            written = Path(file.name).stat().st_mtime
        apart = timedelta(seconds=max(0.0, before - written, written - time.time()))
        yield _apart("clock.files", apart, Text("hệ thống tệp", "the file system"))
    except OSError:
        pass  # The disk's own check says that the folder cannot be written.
    synchronised = _synchronised()
    if synchronised is True:
        yield ok("clock.ntp", Text("Đồng hồ được đồng bộ với máy chủ thời gian.", "The clock is synchronised."))
    elif synchronised is False:
        yield warn(
            "clock.ntp",
            Text("Đồng hồ KHÔNG được đồng bộ.", "The clock is NOT synchronised."),
            Text("Bật chrony hoặc systemd-timesyncd.", "Turn on chrony or systemd-timesyncd."),
        )
    else:
        yield warn(
            "clock.ntp",
            Text(
                f"Không hỏi được việc đồng bộ đồng hồ (không có timedatectl, chronyc); bây giờ là {moment(now)}.",
                f"Whether the clock is synchronised cannot be asked (no timedatectl, chronyc); it is {moment(now)}.",
            ),
            Text(
                "So với giờ chuẩn; trong máy ảo, máy chủ phải đồng bộ.", "Compare it; in a container, the host syncs."
            ),
        )


def _apart(name: str, apart: timedelta, what: Text) -> Finding:
    seconds = round(apart.total_seconds(), 1)
    if apart <= _CLOCK_WARN:
        return ok(name, Text(f"Đồng hồ khớp với {what.vi}.", f"The clock agrees with {what.en}."))
    grade = fail if apart > _CLOCK_FAIL else warn
    return grade(
        name,
        Text(f"Đồng hồ lệch {seconds} giây so với {what.vi}.", f"The clock is {seconds} s off from {what.en}."),
        Text("Đồng bộ đồng hồ của cả hai máy (NTP).", "Synchronise the clocks of both machines (NTP)."),
    )


def _synchronised() -> bool | None:
    """What the machine's own service says; ``None`` when there is none to ask."""
    asked = (
        (["timedatectl", "show", "--property=NTPSynchronized", "--value"], lambda out: out.strip() == "yes"),
        (["chronyc", "-n", "tracking"], lambda out: "Leap status     : Normal" in out),
    )
    for arguments, read in asked:
        program = shutil.which(arguments[0])
        if program is None:
            continue
        try:
            done = subprocess.run(  # noqa: S603 - fixed arguments, found on the PATH of the operator
                [program, *arguments[1:]], capture_output=True, text=True, timeout=5, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return read(done.stdout)
    return None


def _disk(settings: Settings) -> Iterator[Finding]:
    todo = Text("Thêm dung lượng, hoặc chuyển [gateway] data.", "Add room, or move [gateway] data.")
    try:
        with tempfile.NamedTemporaryFile(dir=settings.data, prefix=".doctor-") as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
        usage = os.statvfs(settings.data)
    except OSError as e:
        yield fail(
            "disk.write",
            Text(
                f"Không ghi được vào {settings.data}: {e.strerror}.",
                f"{settings.data} cannot be written: {e.strerror}.",
            ),
            Text("Sửa quyền của thư mục dữ liệu.", "Correct the permissions of the data folder."),
        )
        return
    free, inodes = usage.f_bavail * usage.f_frsize, usage.f_favail
    room = f"{free / 1024**3:.1f} GB"
    words = Text(f"Đĩa còn {room} tại {settings.data}.", f"{room} are free at {settings.data}.")
    if free < _FREE_FAIL:
        yield fail("disk.space", words, todo)
    elif free < _FREE_WARN:
        yield warn("disk.space", words, todo)
    else:
        yield ok("disk.space", words)
    # Some file systems make inodes as needed and say 0 of 0.
    if usage.f_files and inodes < _INODES_WARN:
        yield warn("disk.inodes", Text(f"Còn {inodes} inode.", f"{inodes} inodes are left."), todo)


# Keys and certificates


def _keys(settings: Settings) -> Iterator[Finding]:
    try:
        check_settings(settings)
    except GatewayError as error:
        yield fail(
            "settings",
            _error(error),
            Text(
                "Sửa cấu hình, hoặc chạy `gateway init` để bổ sung khóa.", "Correct it, or run `gateway init` for keys."
            ),
        )
    else:
        yield ok("settings", Text("Cấu hình, khóa và bí mật đọc được.", "Settings, keys and secrets can be read."))
    private = [settings.within_data(settings.signing.key), settings.data / SESSION_KEY, settings.data / KEYS]
    if settings.signing.password_file is not None:
        private.append(settings.within_data(settings.signing.password_file))
    if settings.signing.pin_file is not None:
        private.append(settings.within_data(settings.signing.pin_file))
    private += [settings.beside(s.file) for s in settings.secrets.values() if s.file is not None]
    loose = [path for path in private if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if loose:
        names = " ".join(str(path) for path in loose)
        yield fail(
            "keys.permissions",
            Text(f"Người khác trên máy đọc được: {names}", f"Others on this machine may read: {names}"),
            Text(f"chmod go= {names}", f"chmod go= {names}"),
        )
    else:
        yield ok("keys.permissions", Text("Khóa chỉ chủ sở hữu đọc được.", "Keys are readable by their owner alone."))


def _token(settings: Settings, now: datetime) -> Iterator[Finding]:
    """The token that holds the gateway's key: there, not locked, and able to sign."""
    todo = Text(
        "Cắm thiết bị, kiểm tra [signing] token_*, certificate_label và tệp PIN.",
        "Plug it in; look at [signing] token_*, certificate_label and the PIN's file.",
    )
    section = settings.signing
    assert section.token_module is not None
    key = None
    try:
        token = Token(settings.beside(section.token_module), label=section.token_label, pin=lambda: "")
        if token.facts().last_try:
            # Signing here could be the try that locks it.
            yield fail(
                "token",
                Text("Chỉ còn một lần nhập PIN, sai là khóa.", "One more wrong PIN locks the token."),
                Text("Kiểm tra tệp PIN trước khi chạy trục.", "Check the PIN's file before the gateway runs."),
            )
            return
        key = gateway_key(settings)
        key.sign(b"gateway doctor")
    except GatewayError as error:
        yield fail("token", _error(error), todo)
        return
    finally:
        if isinstance(key, SharedTokenKey):
            key.close()
    yield ok("token", Text("Thiết bị ký số ký được.", "The token signs."))
    yield _expiry(
        "certificate.own",
        key.certificate.not_valid_after_utc,
        now,
        Text("Chứng thư của trục", "The gateway's certificate"),
    )


def _own_certificate(settings: Settings, now: datetime) -> Iterator[Finding]:
    path = settings.data / CERTIFICATE
    try:
        certificate = load_certificates(path)[0]
    except GatewayError as error:
        yield warn(
            "certificate.own",
            _error(error),
            Text(f"Đặt chứng thư của trục vào {path}.", f"Put the gateway's certificate at {path}."),
        )
        return
    yield _expiry(
        "certificate.own",
        certificate.not_valid_after_utc,
        now,
        Text("Chứng thư của trục", "The gateway's certificate"),
    )


def _expiry(name: str, end: datetime, now: datetime, whose: Text) -> Finding:
    left = end - now
    words = Text(f"{whose.vi} hết hạn {moment(end)}.", f"{whose.en} ends {moment(end)}.")
    todo = Text("Xin cấp chứng thư mới và đăng ký trước ngày đó.", "Get and register a new one before that day.")
    if left <= _EXPIRY_FAIL:
        return fail(name, words, todo)
    if left <= _EXPIRY_SOON:
        return warn(name, Text(f"{words.vi} (dưới 30 ngày)", f"{words.en} (less than 30 days)"), todo)
    return warn(name, words, todo) if left <= _EXPIRY_WARN else ok(name, words)


# The database


def _sqlite() -> Iterator[Finding]:
    if not sqlite_version_is_safe():
        yield fail(
            "sqlite.version",
            Text("Phiên bản SQLite này có thể làm hỏng cơ sở dữ liệu WAL.", "This SQLite can corrupt a WAL database."),
            Text("Cài lại pysqlite3 theo requirements.lock.", "Install pysqlite3 as in requirements.lock."),
        )


def _database(gateway: Opened, now: datetime) -> Iterator[Finding]:
    engine = gateway.ledger.engine
    facts = upkeep.facts(engine)
    yield ok(
        "database",
        Text(
            f"Cơ sở dữ liệu {facts.engine} {facts.version}, {facts.size_bytes // 1024} KB, đúng phiên bản bảng.",
            f"Database {facts.engine} {facts.version}, {facts.size_bytes // 1024} KB, tables of this version.",
        ),
    )
    if facts.engine == "postgresql":
        yield _apart("clock.database", abs(facts.now - now), Text("máy chủ cơ sở dữ liệu", "the database server"))
    elif facts.journal != "wal":
        yield fail(
            "database.wal",
            Text(f"SQLite không ở chế độ WAL ({facts.journal}).", f"SQLite is not in WAL mode ({facts.journal})."),
            Text("gateway db upgrade", "gateway db upgrade"),
        )
    found = upkeep.faults(engine)
    if found:
        yield fail(
            "database.integrity",
            Text(f"Cơ sở dữ liệu hư hỏng: {found[0]}", f"The database is damaged: {found[0]}"),
            Text("Dừng trục, giữ nguyên tệp, phục hồi từ bản sao lưu.", "Stop, keep the file, restore from a backup."),
        )
    elif facts.engine == "sqlite":
        yield ok("database.integrity", Text("Cơ sở dữ liệu không hư hỏng.", "The database is not damaged."))
    if not gateway.ledger.operators():
        yield warn(
            "operators",
            Text("Chưa có ai đăng nhập được trang điều hành.", "Nobody can log in to the console."),
            Text("gateway operators add TÊN --role admin", "gateway operators add NAME --role admin"),
        )


# The directory and the links


def _directory(gateway: Opened, now: datetime, *, links: bool) -> Iterator[Finding]:
    directory = gateway.directory()
    agencies = [agency for agency in directory.agencies() if exists_at(agency, now)]
    if directory.find(gateway.settings.gateway.code, at=now) is None:
        yield fail(
            "directory",
            Text("Danh bạ không có cơ quan của chính trục này.", "The directory lacks the gateway's own agency."),
            Text("gateway agencies import TỆP", "gateway agencies import FILE"),
        )
    else:
        yield ok(
            "directory",
            Text(f"Danh bạ có {len(agencies)} cơ quan đang hoạt động.", f"{len(agencies)} agencies in the directory."),
        )
    for agency in agencies:
        yield from _of_agency(agency, now)
        if agency.endpoint is not None and agency.endpoint.channel is not Channel.MAILBOX:
            yield from _endpoint(gateway.settings, agency, links=links)


def _of_agency(agency: Agency, now: datetime) -> Iterator[Finding]:
    """Its certificates that end soon or have ended, unless a successor is registered or somebody ended them."""
    for one in registrations([agency]):
        name = one.certificate.sha256[:12]
        closed = one.certificate.valid_to is not None and one.certificate.valid_to <= now
        finding = _expiry(
            f"certificate.{agency.code}",
            one.ends,
            now,
            Text(f"Chứng thư {name} của {agency.code}", f"{agency.code}'s {name}"),
        )
        if finding.grade is not Grade.OK and not closed and not covered(one):
            yield finding


_ROUND_LATE = timedelta(minutes=30)
"""Rounds follow each other within seconds, as long as a worker runs."""


def _revocation(gateway: Opened, now: datetime) -> Iterator[Finding]:
    """Whether it is known what has been revoked, and what rests on what was."""
    mode = gateway.settings.revocation.mode
    for watched in gateway.ledger.watched_certificates():
        if watched.state == "revoked" and watched.origin != "file" and watched.not_after > now:
            name, since = watched.sha256[:12], moment(watched.revoked_at)
            yield fail(
                f"certificate.{name}",
                Text(f"Chứng thư {name} bị thu hồi từ {since}.", f"Certificate {name} has been revoked since {since}."),
                Text(f"gateway certificates affected {name}", f"gateway certificates affected {name}"),
            )
    if mode == "off":
        yield ok("revocation", Text("Không xét việc thu hồi chứng thư.", "Revocation is not judged."))
        return
    last = gateway.ledger.last_revocation_round()
    if last is None or now - last > _ROUND_LATE:
        yield warn(
            "revocation.round",
            Text(f"Lần hỏi tin thu hồi gần nhất: {moment(last)}.", f"Revocation was last asked for: {moment(last)}."),
            Text("Chạy `gateway serve` hoặc `gateway worker`.", "Run `gateway serve` or `gateway worker`."),
        )
    sources = gateway.ledger.revocation_sources()
    bad = [s for s in sources if s.failures or is_stale(s, now, CLOCK_SKEW)]
    for source in bad:
        code = source.last_error_code or "–"
        until = moment(source.next_update)
        grade = fail if mode == "required" and is_stale(source, now, CLOCK_SKEW) else warn
        yield grade(
            "revocation.source",
            Text(f"{source.name}: {code}; tin cũ đến {until}.", f"{source.name}: {code}; good until {until}."),
            Text(
                "Kiểm tra mạng tới cơ quan chứng thực, [revocation] urls và folder.",
                "Look at the network to the authority, and at [revocation] urls and folder.",
            ),
        )
    if not sources:
        yield warn(
            "revocation",
            Text("Không có nguồn tin thu hồi nào.", "There is no source of revocation at all."),
            Text("Đặt [revocation] urls, crls hoặc folder.", "Set [revocation] urls, crls or folder."),
        )
    elif not bad:
        n = len(sources)
        yield ok("revocation", Text(f"{n} nguồn tin thu hồi còn hạn.", f"{n} sources of revocation are up to date."))


_CATALOGUE_AGE = timedelta(days=14)
"""Agencies open and close all the time; a catalogue older than this is no longer one."""


def _catalogue(gateway: Opened, now: datetime) -> Iterator[Finding]:
    """Of interest once somebody has begun to keep one."""
    overview = gateway.catalogue.overview(runs=200)
    if not overview.runs:
        return
    again = Text("gateway catalogue sync", "gateway catalogue sync")
    ended = max((run.finished_at for run in overview.runs if run.finished_at is not None), default=None)
    if ended is None or overview.unsettled:
        yield warn(
            "catalogue",
            Text("Lần cập nhật danh mục gần nhất chưa xong.", "The last catalogue sync did not finish."),
            again,
        )
    elif now - ended > _CATALOGUE_AGE:
        days = (now - ended).days
        yield warn(
            "catalogue",
            Text(f"Danh mục đã {days} ngày chưa cập nhật.", f"The last catalogue sync was {days} days ago."),
            again,
        )
    else:
        yield ok(
            "catalogue", Text(f"Danh mục có {overview.open} cơ quan.", f"{overview.open} agencies in the catalogue.")
        )


def _endpoint(settings: Settings, agency: Agency, *, links: bool) -> Iterator[Finding]:
    assert agency.endpoint is not None
    name = f"endpoint.{agency.code}"
    url, credential = agency.endpoint.url, agency.endpoint.credential
    if url is None or credential is None:
        yield fail(
            name,
            Text(f"Điểm nhận của {agency.code} thiếu url hoặc credential.", f"{agency.code} lacks url or credential."),
            Text(
                "Sửa agencies.toml rồi `gateway agencies import`.", "Correct agencies.toml, `gateway agencies import`."
            ),
        )
        return
    try:
        secret = settings.secret(credential)
        if secret is not None and agency.endpoint.channel is Channel.PUSH:
            read_secrets(secret)
        if secret is not None and agency.endpoint.channel is Channel.LGSP:
            read_credential(secret)
    except GatewayError as error:
        yield fail(name, _error(error), Text(f"Sửa bí mật [secrets.{credential}].", f"Correct [secrets.{credential}]."))
        return
    if secret is None:
        yield fail(
            name,
            Text(
                f"Không có bí mật {credential} cho {agency.code}.",
                f"There is no secret {credential} for {agency.code}.",
            ),
            Text(f"Thêm [secrets.{credential}] file = …", f"Add [secrets.{credential}] file = …"),
        )
        return
    if links and agency.endpoint.channel is Channel.PEER:
        yield _link(settings, agency.code, url)
    elif links and agency.endpoint.channel is Channel.VXP:
        yield _asked(settings, agency, url, secret)
    else:
        yield ok(name, Text(f"{agency.code}: có địa chỉ và bí mật.", f"{agency.code}: has address and secret."))


def _link(settings: Settings, code: str, url: str) -> Finding:
    name = f"link.{code}"
    trouble = _ask_health(url, settings.beside(settings.delivery.ca_file) if settings.delivery.ca_file else None)
    if trouble is None:
        return ok(name, Text(f"Kết nối được tới {code} ({url}).", f"{code} answers at {url}."))
    return warn(
        name,
        Text(f"Không kết nối được tới {code} ({url}): {trouble}", f"{code} does not answer at {url}: {trouble}"),
        Text(
            "Văn bản sẽ chờ; kiểm tra mạng và đầu bên kia.", "Documents wait; look at the network and the other side."
        ),
    )


def _asked(settings: Settings, agency: Agency, url: str, secret: str) -> Finding:
    """
    An axis that speaks VXP, asked for the number of what waits: that shows address and secret.

    One that speaks LGSP is not asked: a log-in here would end the token of the running gateway.
    """
    name, code = f"link.{agency.code}", agency.code
    assert agency.endpoint is not None
    ca_file = settings.beside(settings.delivery.ca_file) if settings.delivery.ca_file else None
    bounds = HttpSettings(connect_timeout=_ASKED, read_timeout=_ASKED, ca_file=ca_file)
    try:
        http_client = HttpClient(bounds)
        try:
            VxpAxis(http=http_client, url=url, system=agency.endpoint.system or "", secret=secret).count(
                PackageKind.DOCUMENT, now=utc_now()
            )
        finally:
            http_client.close()
    except GatewayError as error:
        return warn(
            name,
            Text(
                f"Trục {code} ({url}) không trả lời: {error.vi} ({error.detail})",
                f"The axis {code} ({url}) does not answer: {error.detail} ({error.code})",
            ),
            Text(
                "Văn bản sẽ chờ; kiểm tra địa chỉ, systemid, khóa bí mật và đầu bên kia.",
                "Documents wait; look at address, system id, secret, and the other side.",
            ),
        )
    return ok(name, Text(f"Trục {code} trả lời ({url}).", f"The axis {code} answers at {url}."))


def _ask_health(url: str, ca_file: Path | None) -> str | None:
    """``None`` when the other gateway answers; else why not."""
    parts = urlsplit(url)
    try:
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=5, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
        try:
            connection.request("GET", f"{parts.path.rstrip('/')}/healthz")
            answer = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as e:
        return f"{type(e).__name__}: {e}"
    return None if answer == 200 else f"HTTP {answer}"


# What is on its way


def _queue(gateway: Opened, now: datetime) -> Iterator[Finding]:
    counts = gateway.ledger.counts()
    backlog = gateway.ledger.backlog()
    late = [b for b in backlog if b.channel is not Channel.MAILBOX and now - b.oldest > _STUCK]
    for item in late:
        yield warn(
            "deliveries.stuck",
            Text(
                f"{item.waiting} lượt chờ ở {item.via}, cũ nhất từ {moment(item.oldest)}.",
                f"{item.waiting} deliveries wait at {item.via}, the oldest since {moment(item.oldest)}.",
            ),
            Text(
                f"gateway deliveries list --state waiting --via {item.via}", f"gateway deliveries list --via {item.via}"
            ),
        )
    abandoned = counts.states[DeliveryState.ABANDONED]
    if abandoned:
        yield warn(
            "deliveries.abandoned",
            Text(f"{abandoned} lượt đã ngừng gửi.", f"{abandoned} deliveries were given up."),
            Text(
                "gateway deliveries list --state abandoned; rồi `gateway deliveries replay … --reason …`",
                "gateway deliveries list --state abandoned; then `gateway deliveries replay … --reason …`",
            ),
        )
    if not late and not abandoned:
        waiting = counts.states[DeliveryState.WAITING]
        yield ok(
            "deliveries", Text(f"Không có lượt bị kẹt ({waiting} đang chờ).", f"Nothing is stuck ({waiting} wait).")
        )
    recent = [r for r in gateway.ledger.refusals(limit=200) if now - r.at < timedelta(days=1)]
    if recent:
        codes = ", ".join(sorted({r.code for r in recent}))
        yield warn(
            "refusals",
            Text(
                f"{len(recent)} gói tin bị từ chối trong 24 giờ qua ({codes}).",
                f"{len(recent)} packages refused in the last 24 hours ({codes}).",
            ),
            Text("gateway refusals list; báo cho nơi gửi.", "gateway refusals list; tell the senders."),
        )


def _scanner(settings: Settings) -> Iterator[Finding]:
    """Whether the malware scanner answers, and how old its signatures are by its own words."""
    scanner = malware_scanner(settings)
    if scanner is None:
        return
    try:
        version = scanner.clamd.version(deadline=Deadline.after(_ASKED))
    except ScanFailed as error:
        holds = settings.scanning.unreachable == "hold"
        yield (fail if holds else warn)(
            "scanning",
            Text(
                f"Bộ quét mã độc {settings.scanning.clamd} không trả lời: {error.detail}",
                f"The malware scanner {settings.scanning.clamd} does not answer: {error.detail}",
            ),
            Text(
                "Văn bản có tệp đang bị giữ lại: chạy lại clamd." if holds else "Tệp đang không được quét: chạy clamd.",
                "Documents with files are held: start clamd." if holds else "Files are not scanned: start clamd.",
            ),
        )
        return
    yield ok("scanning", Text(f"Bộ quét mã độc trả lời: {version}.", f"The malware scanner answers: {version}."))


def _examinations(gateway: Opened, now: datetime) -> Iterator[Finding]:
    """Documents that wait too long to be examined, and those that were refused for what was found."""
    counts = gateway.ledger.examination_counts()
    late = [c for c in counts if c.state is ExaminationState.PENDING and now - c.oldest > _STUCK]
    for one in late:
        held = Text("bị giữ", "held") if one.holds else Text("chờ", "waiting")
        yield (fail if one.holds else warn)(
            "examinations.late",
            Text(
                f"{one.count} văn bản {held.vi} để kiểm tra {EXAMINATIONS[one.kind].vi}, "
                f"cũ nhất từ {moment(one.oldest)}.",
                f"{one.count} documents {held.en} to be examined for {EXAMINATIONS[one.kind].en}, the oldest since "
                f"{moment(one.oldest)}.",
            ),
            Text(
                "gateway examinations list; sửa nguyên nhân, hoặc `gateway examinations release … --reason …`",
                "gateway examinations list; repair the cause, or `gateway examinations release … --reason …`",
            ),
        )
    refused = sum(c.count for c in counts if c.state is ExaminationState.REFUSED)
    if refused:
        yield warn(
            "examinations.refused",
            Text(
                f"{refused} văn bản không được chuyển sau kiểm tra.", f"{refused} documents refused after examination."
            ),
            Text(
                "gateway examinations list; nơi gửi đã được báo.", "gateway examinations list; the senders were told."
            ),
        )
    if not late and not refused:
        waiting = sum(c.count for c in counts)
        yield ok(
            "examinations",
            Text(
                f"Không văn bản nào bị giữ lâu ({waiting} chờ kiểm tra).",
                f"Nothing is held for long ({waiting} to be examined).",
            ),
        )


def _axes(gateway: Opened, now: datetime) -> Iterator[Finding]:
    """How fetching from axes stands: who fails and why, who is silent, what could not be taken."""
    seconds = gateway.settings.fetch.seconds
    for inbox in gateway.ledger.inboxes():
        name, via = f"axis.{inbox.via}", inbox.via
        if inbox.failures:
            since = moment(inbox.last_success_at) if inbox.last_success_at else "?"
            yield warn(
                name,
                Text(
                    f"Không hỏi được trục {via} ({inbox.failures} lần liên tiếp, trả lời gần nhất {since}): "
                    f"{inbox.last_error_code}: {inbox.last_error_detail}",
                    f"The axis {via} cannot be asked ({inbox.failures} times in a row, last answer {since}): "
                    f"{inbox.last_error_code}: {inbox.last_error_detail}",
                ),
                Text("gateway axis poll MÃ; xem docs/errors.md.", "gateway axis poll CODE; see docs/errors.md."),
            )
        elif inbox.silent_since is not None:
            yield warn(
                name,
                Text(
                    f"Trục {via} trả lời nhưng không có văn bản nào từ {moment(inbox.last_arrival_at or inbox.since)}.",
                    f"The axis {via} answers, and nothing has arrived since "
                    f"{moment(inbox.last_arrival_at or inbox.since)}.",
                ),
                Text(
                    "Hỏi đơn vị vận hành trục; kiểm tra systemid có đúng là của trục này.",
                    "Ask its operators; look whether the system id is this gateway's.",
                ),
            )
        elif seconds and now - inbox.due_at > _STUCK:
            yield warn(
                name,
                Text(f"Không ai hỏi trục {via} nữa.", f"Nobody asks the axis {via} any more."),
                Text("Chạy `gateway serve` hoặc `gateway worker`.", "Run `gateway serve` or `gateway worker`."),
            )
        else:
            yield ok(name, Text(f"Trục {via} được hỏi đều đặn.", f"The axis {via} is asked regularly."))
        late = [
            one
            for one in gateway.ledger.unacknowledged(via, now=now + timedelta(days=2), limit=500)
            if now - one.first_seen > _STUCK
        ]
        if late:
            yield warn(
                "axis.unacknowledged",
                Text(
                    f"Trục {via} chưa nhận xác nhận cho {len(late)} gói tin, cũ nhất từ "
                    f"{moment(min(one.first_seen for one in late))}.",
                    f"The axis {via} has not taken the acknowledgement of {len(late)} packages, the oldest of "
                    f"{moment(min(one.first_seen for one in late))}.",
                ),
                Text(
                    "Không mất gì; trục sẽ được báo lại. Hỏi đơn vị vận hành trục.",
                    "Nothing is lost; it is told again. Ask its operators.",
                ),
            )
    for (via, state), count in sorted(gateway.ledger.fetch_counts().items()):
        grade = fail if state is FetchState.GIVEN_UP else warn
        yield grade(
            "axis.not_taken",
            Text(f"{count} gói tin ở trục {via} không nhận được.", f"{count} packages of {via} could not be taken."),
            Text(
                f"gateway axis status; sửa nguyên nhân rồi `gateway axis retry {via}`.",
                f"gateway axis status; repair the cause, then `gateway axis retry {via}`.",
            ),
        )


# The event log


def _log(gateway: Opened, now: datetime) -> Iterator[Finding]:
    """Whether what happens is sealed, kept in the second place, and stamped; ``gateway log verify`` reads it all."""
    log, settings = gateway.ledger.log, gateway.settings
    found = log.state()
    unsealed = log.between(found.sealed_to, None, limit=1)
    oldest = unsealed[0].at if unsealed else None
    if oldest is not None and str(oldest) < spelled(now - _STUCK):
        yield warn(
            "log.unsealed",
            Text("Nhật ký sự kiện hơn một giờ không được niêm phong.", "The event log was not sealed for an hour."),
            Text(
                "Chạy `gateway serve` hoặc `gateway worker`; xem `gateway log verify`.",
                "Run `gateway serve` or `gateway worker`; see `gateway log verify`.",
            ),
        )
    else:
        yield ok("log.sealed", Text("Nhật ký sự kiện được niêm phong đều đặn.", "The event log is sealed regularly."))
    yield from _heads(settings, found)
    yield from _stamps(settings, found, now)


def _heads(settings: Settings, found: LogState) -> Iterator[Finding]:
    path = heads_path(settings)
    if path is None:
        return
    try:
        known = newest_head_within(path)
    except OSError as e:
        yield fail(
            "log.heads",
            Text(f"Không đọc được {path}: {e.strerror}.", f"{path} cannot be read: {e.strerror}."),
            Text("Sửa [log_chain] heads_file hoặc ổ đĩa đó.", "Correct [log_chain] heads_file, or that disk."),
        )
        return
    # One round may be under way.
    if known > found.batches or known + _HEADS_BEHIND < found.batches:
        yield fail(
            "log.heads",
            Text(
                f"Bản sao thứ hai có {known} lô niêm phong, cơ sở dữ liệu có {found.batches}.",
                f"The second place knows {known} batches, the ledger {found.batches}.",
            ),
            Text("gateway log verify; kiểm tra ổ đĩa của bản sao.", "gateway log verify; look at that place's disk."),
        )
    else:
        yield ok("log.heads", Text(f"Bản sao thứ hai có {known} lô.", f"The second place knows {known} batches."))


def _stamps(settings: Settings, found: LogState, now: datetime) -> Iterator[Finding]:
    section = settings.timestamps
    if not section.urls:
        return
    late = overdue(found.waiting, now=now)
    if found.waiting is not None and found.waiting.attempts:
        hours = f"{late / timedelta(hours=1):.1f}"
        grade = fail if late > timedelta(hours=section.alarm_after_hours) else warn
        yield grade(
            "log.timestamps",
            Text(
                f"Chưa lấy được dấu thời gian từ {hours} giờ ({found.waiting.error_code}).",
                f"No time-stamp could be had for {hours} hours ({found.waiting.error_code}).",
            ),
            Text(
                "Không mất gì, sẽ lấy bù; kiểm tra [timestamps] urls và mạng.",
                "Nothing is lost, it will be made up for; look at [timestamps] urls and the network.",
            ),
        )
    else:
        yield ok(
            "log.timestamps",
            Text(f"Dấu thời gian gần nhất {moment(found.stamped_at)}.", f"Last time-stamp {moment(found.stamped_at)}."),
        )
    if not section.ca:
        yield warn(
            "log.timestamps.ca",
            Text("Chưa có chứng thư gốc của máy chủ dấu thời gian.", "No anchors of time-stamp authorities are set."),
            Text("Đặt [timestamps] ca.", "Set [timestamps] ca."),
        )
