"""``gateway certificates``: with which certificates agencies and their people may sign."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from cryptography import x509

from gateway.bootstrap import trust_anchors
from gateway.cli import exits
from gateway.cli.command import Group, for_programs, option
from gateway.cli.opened import Opened, actor, opened, utc_now
from gateway.cli.shell import Shell, moment
from gateway.cli.words import Text
from gateway.directory import certificate_of
from gateway.directory.certificates import (
    ROLES,
    Registration,
    added,
    covered,
    ended,
    find_registrations,
    register_certificate,
    registrations,
    rotated,
)
from gateway.errors import KeyUnusable, NotFound
from gateway.exchange.expiry import THRESHOLDS
from gateway.exchange.revocation import RevocationKeeper, is_stale
from gateway.ledger.actions import Action
from gateway.ledger.records import NewEvent
from gateway.ledger.revocation import Watched
from gateway.model import VIETNAM_TIME, Agency, RegisteredCertificate, Verdict
from gateway.settings import Settings
from gateway.signing.keys import known, load_certificates
from gateway.signing.policy import Reason
from gateway.signing.trust import RevocationFacts, RevocationMode, TrustAnchors

_PEM = click.Path(exists=True, dir_okay=False, path_type=Path)
_DAYS = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
_MOST = 10_000
"""Documents that ``affected`` shows."""

certificates = Group(
    "certificates",
    words=Text(
        """Chứng thư số mà cơ quan, người có thẩm quyền dùng để ký: đăng ký, thay, kết thúc, sắp hết hạn, bị thu hồi.
Chỉ chứng thư đã đăng ký mới được tin; khóa riêng không bao giờ được đưa vào đây.""",
        """Certificates that agencies and their people sign with: registering, replacing, ending, expiry, revocation.
Only registered ones are believed; a private key never belongs here.""",
    ),
    examples="""\
gateway certificates add H37.21 dong-dang.pem
gateway certificates add H37.21 chu-tich.pem --role person --holder "Nguyễn Văn A, Chủ tịch"
gateway certificates rotate H37.21 moi.pem --overlap-days 30
gateway certificates expiring --days 60
gateway certificates affected 3f9a01c2b4d5""",
)


def _file(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except UnicodeDecodeError as e:
        raise KeyUnusable(f"{path.name} is not PEM text.") from e


def _moment(day: datetime | None) -> datetime | None:
    """What is typed is Vietnam time."""
    return None if day is None else day.replace(tzinfo=VIETNAM_TIME)


def _note(gateway: Opened, action: Action, now: datetime, **facts: Any) -> None:
    gateway.ledger.record_event(NewEvent(action=action, actor=actor(), data=facts), now=now)


def _registered(shell: Shell, code: str, new: RegisteredCertificate, version: int) -> None:
    certificate = certificate_of(new)
    if shell.json:
        shell.result({"agency": code, "sha256": new.sha256, "role": new.role, "directory_version": version})
        return
    shell.say(
        Text(
            "{agency}: đã đăng ký {subject} ({role}), đến {end}.\n{sha256}",
            "{agency}: registered {subject} ({role}), until {end}.\n{sha256}",
        ),
        agency=code,
        subject=certificate.subject.rfc4514_string(),
        role=new.role,
        end=moment(certificate.not_valid_after_utc),
        sha256=new.sha256,
    )


_HOLDER = option(
    "--holder",
    words=Text('Họ tên, chức vụ của người ký: "Nguyễn Văn A, Chủ tịch".', "Name and position of the person."),
)
_FROM = option("--from", "since", type=_DAYS, words=Text("Tính từ lúc (giờ Việt Nam).", "Counts from (Vietnam time)."))


@certificates.command_of(
    "add",
    Text(
        """Đăng ký một chứng thư (PEM) cho cơ quan; tiến trình đang chạy thấy ngay.
Vai trò: agency (con dấu của cơ quan), person (người có thẩm quyền), gateway (trục chuyển gói tin tới).""",
        """Register a certificate (PEM) for an agency; running processes see it at once.
Roles: agency (its seal), person (a competent person of it), gateway (a gateway that hands packages over).""",
    ),
    examples="""\
gateway certificates add H37.21 dong-dang.pem
gateway certificates add H37.21 chu-tich.pem --role person --holder "Nguyễn Văn A, Chủ tịch" --to 2027-06-30""",
)
@click.argument("agency")
@click.argument("file", type=_PEM)
@option("--role", type=click.Choice(ROLES), default="agency", show_default=True, words=Text("Vai trò.", "Role."))
@_HOLDER
@_FROM
@option("--to", "until", type=_DAYS, words=Text("Tính đến lúc (giờ Việt Nam).", "Counts until (Vietnam time)."))
@for_programs()
def add(
    shell: Shell,
    *,
    agency: str,
    file: Path,
    role: str,
    holder: str | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Register."""
    new = register_certificate(
        _file(file), role=role, holder=holder, valid_from=_moment(since), valid_to=_moment(until)
    )
    now = utc_now()
    with opened(shell.settings()) as gateway:
        code = gateway.agency(agency, at=now).code
        source = f"certificates add {new.sha256[:16]}"
        _, version = gateway.store.change(code, lambda a: added(a, new), source=source, now=now)
        facts = {"certificate": new.sha256, "agency": code, "role": role, "version": version}
        _note(gateway, Action.CERTIFICATE_ADDED, now, **facts)
    _registered(shell, code, new, version)


@certificates.command_of(
    "rotate",
    Text(
        """Đăng ký chứng thư mới thay chứng thư cũ cùng vai trò; trong thời gian gối nhau cả hai đều được chấp nhận.""",
        """Register a certificate in place of the old one of the same role; both count during the overlap.""",
    ),
    examples="""\
gateway certificates rotate H37.21 moi.pem
gateway certificates rotate H37.21 moi.pem --role person --replaces 3f9a01c2 --overlap-days 7""",
)
@click.argument("agency")
@click.argument("file", type=_PEM)
@option("--role", type=click.Choice(ROLES), default="agency", show_default=True, words=Text("Vai trò.", "Role."))
@_HOLDER
@option(
    "--replaces",
    words=Text("SHA-256 (hoặc 8 ký tự đầu) của chứng thư cũ.", "SHA-256 (or its first 8 characters) of the old one."),
)
@option(
    "--overlap-days",
    type=click.FloatRange(0, 366),
    default=30,
    show_default=True,
    words=Text("Chứng thư cũ còn được chấp nhận bao lâu.", "For so long the old one still counts."),
)
@_FROM
@for_programs()
def rotate(
    shell: Shell,
    *,
    agency: str,
    file: Path,
    role: str,
    holder: str | None,
    replaces: str | None,
    overlap_days: float,
    since: datetime | None,
) -> None:
    """Replace."""
    new = register_certificate(_file(file), role=role, holder=holder, valid_from=_moment(since))
    now = utc_now()
    overlap = timedelta(days=overlap_days)
    with opened(shell.settings()) as gateway:
        before = gateway.agency(agency, at=now)
        _, old = rotated(before, new, replaces=replaces, now=now, overlap=overlap)
        after, version = gateway.store.change(
            before.code,
            lambda a: rotated(a, new, replaces=old.sha256, now=now, overlap=overlap)[0],
            source=f"certificates rotate {new.sha256[:16]}",
            now=now,
        )
        until = next(c.valid_to for c in after.certificates if c.sha256 == old.sha256 and c.role == role)
        facts = {
            "certificate": new.sha256,
            "old": old.sha256,
            "old_until": None if until is None else until.isoformat(),
            "agency": before.code,
            "role": role,
            "version": version,
        }
        _note(gateway, Action.CERTIFICATE_ROTATED, now, **facts)
    _registered(shell, before.code, new, version)
    shell.say(
        Text("Chứng thư cũ {old} được chấp nhận đến {until}.", "The old one, {old}, counts until {until}."),
        old=old.sha256[:16],
        until=moment(until),
    )


@certificates.command_of(
    "end",
    Text(
        """Kết thúc đăng ký một chứng thư, ngay hoặc vào lúc đã nêu. Những gì đã ký trước đó không thay đổi.
Chứng thư bị lộ khóa: báo cơ quan cấp thu hồi; kết thúc đăng ký ở đây để chặn ngay.""",
        """End a certificate's registration, now or at a moment. What was signed before stays as it is.
When its key is in wrong hands: have the authority revoke it, and end it here to stop it at once.""",
    ),
    examples="gateway certificates end 3f9a01c2\ngateway certificates end 3f9a01c2 --at 2027-01-01",
)
@click.argument("sha256")
@option("--at", "until", type=_DAYS, words=Text("Vào lúc (giờ Việt Nam); mặc định: ngay.", "When; at once otherwise."))
@for_programs()
def end(shell: Shell, *, sha256: str, until: datetime | None) -> None:
    """End a registration."""
    now = utc_now()
    at = _moment(until) or now
    with opened(shell.settings()) as gateway:
        found = find_registrations(gateway.store.export(), sha256)
        name, source = found[0].certificate.sha256, f"certificates end {found[0].certificate.sha256[:16]}"
        # Of every agency: a key in wrong hands is in wrong hands everywhere.
        for code in dict.fromkeys(r.agency.code for r in found):
            _, version = gateway.store.change(code, lambda a: ended(a, name, at=at), source=source, now=now)
            facts = {
                "certificate": name,
                "agency": code,
                "role": ", ".join(r.certificate.role for r in found if r.agency.code == code),
                "until": at.isoformat(),
                "version": version,
            }
            _note(gateway, Action.CERTIFICATE_ENDED, now, **facts)
    agencies = list(dict.fromkeys(r.agency.code for r in found))
    if shell.json:
        shell.result({"agencies": agencies, "sha256": name, "until": at, "directory_version": version})
        return
    shell.say(
        Text("{agency}: {sha256} tính đến {until}.", "{agency}: {sha256} counts until {until}."),
        agency=", ".join(agencies),
        sha256=name[:16],
        until=moment(at),
    )


# Looking


@certificates.command_of(
    "list",
    Text("Liệt kê chứng thư đã đăng ký.", "List the registered certificates."),
    examples="gateway certificates list\ngateway certificates list H37.21 --json",
)
@click.argument("agency", required=False)
@option("--all", "everything", is_flag=True, words=Text("Cả chứng thư đã hết hạn.", "Those that have ended, too."))
@for_programs()
def list_certificates(shell: Shell, *, agency: str | None, everything: bool) -> None:
    """Show registrations."""
    now = utc_now()
    with opened(shell.settings()) as gateway:
        known = {w.sha256: w for w in gateway.ledger.watched_certificates()}
        agencies = [gateway.agency(agency, at=now)] if agency else gateway.store.export()
    found = [r for r in registrations(agencies) if everything or r.ends > now]
    _show(shell, found, known, now)


@certificates.command_of(
    "expiring",
    Text(
        "Chứng thư sắp hết hạn mà chưa có chứng thư thay; mã kết thúc 1 khi có.",
        "Certificates that end soon and have no successor; exit code 1 when there are some.",
    ),
    examples="gateway certificates expiring\ngateway certificates expiring --days 7 --json",
)
@option(
    "--days",
    type=click.IntRange(1, 3660),
    default=max(THRESHOLDS),
    show_default=True,
    words=Text("Trong số ngày này.", "Within so many days."),
)
@for_programs()
def expiring(shell: Shell, *, days: int) -> int:
    """Show what ends soon."""
    now = utc_now()
    with opened(shell.settings()) as gateway:
        known = {w.sha256: w for w in gateway.ledger.watched_certificates()}
        agencies = gateway.store.export()
    found = [r for r in registrations(agencies) if now < r.ends <= now + timedelta(days=days) and not covered(r)]
    _show(shell, sorted(found, key=lambda r: r.ends), known, now)
    return exits.FAILED if found else exits.DONE


def _show(shell: Shell, found: list[Registration], known: dict[str, Watched], now: datetime) -> None:
    if shell.json:
        shell.result([_facts(r, known.get(r.certificate.sha256), now) for r in found])
        return
    columns = [
        Text("Cơ quan", "Agency"),
        Text("Vai trò", "Role"),
        Text("Người giữ", "Holder"),
        Text("Chủ thể", "Subject"),
        Text("Từ", "From"),
        Text("Đến", "Until"),
        Text("Thu hồi", "Revocation"),
        Text("SHA-256", "SHA-256"),
    ]
    shell.table(columns, [_row(shell, r, known.get(r.certificate.sha256)) for r in found])


def _row(shell: Shell, r: Registration, watched: Watched | None) -> tuple[object, ...]:
    return (
        r.agency.code,
        shell.words(_ROLES[r.certificate.role]),
        r.certificate.holder or "",
        certificate_of(r.certificate).subject.rfc4514_string(),
        moment(r.begins),
        moment(r.ends),
        _revocation(shell, watched),
        r.certificate.sha256[:16],
    )


_ROLES = {
    "agency": Text("con dấu cơ quan", "agency"),
    "person": Text("cá nhân", "person"),
    "gateway": Text("trục", "gateway"),
}
_STATES = {
    "good": Text("còn hiệu lực", "good"),
    "revoked": Text("BỊ THU HỒI {at}", "REVOKED {at}"),
    "unknown": Text("chưa rõ", "unknown"),
    "not_asked": Text("không hỏi", "not asked"),
}


def _revocation(shell: Shell, watched: Watched | None) -> str:
    if watched is None:
        return shell.words(_STATES["not_asked"])
    return shell.words(_STATES[watched.state], at=moment(watched.revoked_at))


def _facts(r: Registration, watched: Watched | None, now: datetime) -> dict[str, Any]:
    return {
        "agency": r.agency.code,
        "role": r.certificate.role,
        "holder": r.certificate.holder,
        "subject": certificate_of(r.certificate).subject.rfc4514_string(),
        "issuer": certificate_of(r.certificate).issuer.rfc4514_string(),
        "sha256": r.certificate.sha256,
        "begins": r.begins,
        "ends": r.ends,
        "days_left": max(0, (r.ends - now).days),
        "covered": covered(r),
        "revocation": watched.state if watched else "not_asked",
        "revoked_at": watched.revoked_at if watched else None,
        "revocation_reason": watched.reason if watched else None,
        "checked_at": watched.checked_at if watched else None,
    }


@certificates.command_of(
    "check",
    Text(
        """Xét từng chứng thư đã đăng ký (hoặc trong tệp PEM) như khi tiếp nhận gói tin bây giờ.
Xét cả nguồn tin thu hồi. Mã kết thúc 1 khi có chứng thư không ký được, hoặc nguồn tin thu hồi đang lỗi hay quá hạn.""",
        """Judge each registered certificate (or those of PEM files) as for a package that comes now.
The sources of revocation, too. Exit code 1 when one cannot sign, or a source fails or is out of date.""",
    ),
    examples="gateway certificates check\ngateway certificates check moi.pem --json",
)
@click.argument("files", nargs=-1, type=_PEM)
@for_programs()
def check(shell: Shell, *, files: tuple[Path, ...]) -> int:
    """Judge certificates now."""
    settings, now = shell.settings(), utc_now()
    facts = RevocationFacts()
    anchors = trust_anchors(settings, facts)
    with opened(settings) as gateway:
        if anchors.mode is not RevocationMode.OFF:
            RevocationKeeper(gateway.ledger, facts, monotonic=time.monotonic).freshen()
        sources = gateway.ledger.revocation_sources() if anchors.mode is not RevocationMode.OFF else []
        found = [] if files else [r for r in registrations(gateway.store.export()) if r.ends > now]
    judged = [_judged(anchors, settings, certificate_of(r.certificate), now, r.agency) for r in found]
    judged += [_judged(anchors, settings, c, now, None) for path in files for c in load_certificates(path)]
    bad = [s for s in sources if s.failures or is_stale(s, now, anchors.clock_skew)]
    if shell.json:
        shell.result({"certificates": judged, "sources": sources})
    else:
        _show_judged(shell, judged)
        for source in bad:
            text = Text(
                "Nguồn tin thu hồi {name}: lỗi {code}, tin cũ đến {until}",
                "Source {name}: {code}, what it said last is good until {until}",
            )
            code = source.last_error_code or "–"
            shell.say(text, name=source.name, code=code, until=moment(source.next_update))
    good = all(one["problem"] is None and not one["undecided"] for one in judged) and not bad
    return exits.DONE if good else exits.FAILED


def _judged(
    anchors: TrustAnchors, settings: Settings, certificate: x509.Certificate, now: datetime, agency: Agency | None
) -> dict[str, Any]:
    """What is known of one certificate, by the policy for its agency."""
    try:
        facts = known(certificate)
    except ValueError as e:
        raise KeyUnusable(f"The certificate's name or dates cannot be read ({e}).") from e
    finding = anchors.judge(
        facts,
        at=now,
        tolerate_sha1=agency is not None and agency.tolerate_sha1,
        tolerate_rsa_1024=agency is not None and agency.tolerate_rsa_1024,
        minimum_rsa_bits=settings.signing.minimum_rsa_bits,
    )
    return {
        "agency": agency.code if agency else None,
        "sha256": facts.sha256,
        "subject": facts.subject,
        "ends": facts.not_after,
        "problem": str(finding.reason) if finding.reason else None,
        "weak": finding.weak,
        "revocation": finding.revocation.value,
        "undecided": finding.undecided,
        "revoked_at": finding.revoked_at,
        "issuers": [c.subject.rfc4514_string() for c in finding.chain[1:]],
    }


def _show_judged(shell: Shell, judged: list[dict[str, Any]]) -> None:
    columns = [
        Text("Cơ quan", "Agency"),
        Text("Chủ thể", "Subject"),
        Text("Kết luận", "Finding"),
        Text("Thu hồi", "Revocation"),
        Text("SHA-256", "SHA-256"),
    ]
    rows = [
        (
            one["agency"] or "",
            one["subject"],
            shell.words(_PROBLEMS.get(one["problem"] or "", _PROBLEMS[""])) + (" *" if one["weak"] else ""),
            shell.words(_STATES[one["revocation"]], at=moment(one["revoked_at"])),
            one["sha256"][:16],
        )
        for one in judged
    ]
    shell.table(columns, rows)
    if any(one["weak"] for one in judged):
        shell.say(Text("* thuật toán hoặc khóa yếu, được chấp nhận", "* a weak algorithm or key, tolerated"))


_PROBLEMS = {
    "": Text("dùng được", "usable"),
    Reason.CERTIFICATE_EXPIRED: Text("HẾT HẠN", "EXPIRED"),
    Reason.CERTIFICATE_NOT_YET_VALID: Text("CHƯA CÓ HIỆU LỰC", "NOT YET VALID"),
    Reason.CERTIFICATE_UNTRUSTED: Text("KHÔNG THUỘC CƠ QUAN CHỨNG THỰC ĐƯỢC TIN", "OF NO AUTHORITY THAT IS TRUSTED"),
    Reason.CERTIFICATE_USAGE: Text("KHÔNG DÙNG ĐỂ KÝ ĐƯỢC", "NOT TO SIGN DOCUMENTS WITH"),
    Reason.CERTIFICATE_REVOKED: Text("ĐÃ BỊ THU HỒI", "REVOKED"),
    Reason.KEY_TOO_SMALL: Text("KHÓA QUÁ NGẮN", "KEY TOO SMALL"),
}
"""By the reason of the finding."""


@certificates.command_of(
    "affected",
    Text(
        """Văn bản mà gói tin được xác nhận bằng chứng thư này, mới nhất sau cùng, với kết luận hiện nay.
Dùng khi chứng thư bị thu hồi hoặc nghi lộ khóa. Cơ sở dữ liệu biết cả chứng thư không còn đăng ký.""",
        """Documents whose package this certificate verified, the latest last, with their present verdicts.
For when it is revoked, or its key may be in wrong hands. Certificates no longer registered are known, too.""",
    ),
    examples="gateway certificates affected 3f9a01c2\ngateway certificates affected 3f9a01c2 --since 2026-11-01 --json",
)
@click.argument("sha256")
@option("--since", type=_DAYS, words=Text("Tiếp nhận từ lúc (giờ Việt Nam).", "Accepted at or after (Vietnam time)."))
@for_programs()
def affected(shell: Shell, *, sha256: str, since: datetime | None) -> None:
    """Show what rests on a certificate."""
    with opened(shell.settings()) as gateway:
        name = _name(gateway, sha256)
        found: list[tuple[str, datetime, Verdict]] = []
        after: tuple[datetime, str] | None = None
        while len(found) < _MOST and (
            page := gateway.ledger.documents_verified_by(name, since=_moment(since), after=after, limit=500)
        ):
            found += page
            after = (page[-1][1], page[-1][0])
    if shell.json:
        shell.result(
            [
                {"id": i, "received_at": at, "standing": v.standing, "reason": v.reason, "revoked_at": v.revoked_at}
                for i, at, v in found
            ]
        )
        return
    columns = [Text("Mã", "Id"), Text("Tiếp nhận", "Accepted"), Text("Kết luận", "Verdict"), Text("Lý do", "Reason")]
    shell.table(columns, [(i, moment(at), v.standing.value, v.reason) for i, at, v in found])
    shell.say(Text("{n} văn bản.", "{n} documents."), n=len(found))
    if len(found) >= _MOST:
        rest = Text("Có thể còn nữa: xem tiếp với --since {at}.", "There may be more: go on with --since {at}.")
        shell.say(rest, at=f"{found[-1][1].astimezone(VIETNAM_TIME):%Y-%m-%dT%H:%M:%S}")


def _name(gateway: Opened, sha256: str) -> str:
    """The whole name of a certificate that is, or was, registered or met."""
    wanted = sha256.strip().lower().replace(":", "")
    if len(wanted) == 64:
        return wanted
    names = {w.sha256 for w in gateway.ledger.watched_certificates()}
    names |= {r.certificate.sha256 for r in registrations(gateway.store.export())}
    found = [name for name in names if name.startswith(wanted)] if len(wanted) >= 8 else []
    if len(found) != 1:
        raise NotFound(f"{len(found)} known certificates begin with {wanted}; give at least 8 characters, or all 64.")
    return found[0]
