"""``gateway evidence``: what proves the way of a document, as one file that anybody can check."""

from __future__ import annotations

import contextlib
import errno
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import click
from cryptography import x509

from gateway.bootstrap import join, make_evidence, make_http, make_timestamps, timestamp_anchors
from gateway.cli import exits
from gateway.cli.command import Group, for_programs, option
from gateway.cli.misuse import CODE, Misuse
from gateway.cli.opened import actor
from gateway.cli.output import written
from gateway.cli.shell import Shell, moment
from gateway.cli.trusted import A_FILE, anchor_option, certificates_of, revocation_of, tsa_anchor_option
from gateway.cli.words import Text
from gateway.clock import utc_now
from gateway.delivery.http import HttpClient, HttpSettings
from gateway.errors import DeliveryError, EvidenceInvalid, EvidenceTooLarge, NotFound, StorageFull
from gateway.evidence.given import Given
from gateway.evidence.renewing import Renewed, is_due, renew
from gateway.exchange.stamping import Timestamps
from gateway.signing.timestamp import HashName
from gateway.signing.trust import RevocationFacts

evidence = Group(
    "evidence",
    words=Text("Tệp bằng chứng về văn bản.", "Evidence files of documents."),
    examples="""\
gateway evidence export 01a200ec-5c01-75c8-9165-5747b21712ca -o van-ban.asice
gateway verify van-ban.asice --anchor root.crt
gateway evidence renew van-ban.asice --replace""",
)


@evidence.command_of(
    "export",
    Text(
        """Xuất một tệp chứa mọi bằng chứng về một văn bản: gói tin, niêm phong, biên nhận, trạng thái, nhật ký.
Tệp kiểm tra được bằng `gateway verify`, không cần trục này và không cần mạng.""",
        """Write one file with all evidence on a document: package, seal, receipts, statuses, log, certificates.
`gateway verify` checks it, without this gateway and without a network.""",
    ),
    examples="gateway evidence export 01a200ec-5c01-75c8-9165-5747b21712ca",
)
@click.argument("document")
@option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    words=Text("Tệp kết quả; mặc định MÃ.asice tại đây.", "Where to write; by default ID.asice here."),
)
@option("--force", is_flag=True, words=Text("Ghi đè tệp đã có.", "Replace an existing file."))
@for_programs()
def export(shell: Shell, *, document: str, output: Path | None, force: bool) -> None:
    """Write the file; it appears only when it is complete."""
    settings = shell.settings()
    gateway = join(settings)
    http = make_http(settings)
    try:
        trace = gateway.ledger.trace(document)
        if trace is None:
            raise NotFound(f"The ledger has no document {document}.")
        path = output or Path(f"{trace.document.id}.asice")
        with (
            written(path, force=force, mode=0o600) as out,
            make_evidence(gateway, http).export(trace, actor=actor()) as made,
        ):
            shutil.copyfileobj(made, out)
    finally:
        http.close()
        gateway.scratch.close()
        gateway.ledger.engine.dispose()
    if shell.json:
        shell.result({"document": trace.document.id, "file": path, "size": path.stat().st_size})
    # Beside the result: the file itself may go to standard output.
    shell.note(
        Text(
            "Đã ghi {path}; kiểm tra: gateway verify {path} --anchor CHỨNG-THƯ-GỐC.",
            "Wrote {path}; check it with: gateway verify {path} --anchor ROOT-CERTIFICATE.",
        ),
        path=path,
    )


@evidence.command_of(
    "renew",
    Text(
        """Gia hạn tệp bằng chứng: thêm một dấu thời gian trên toàn bộ tệp, trước khi các dấu thời gian cũ mất giá trị.
Nội dung cũ giữ nguyên từng byte. Kèm vào tệp những gì sau này cần để xét các dấu thời gian cũ.
Không có --tsa thì hỏi các máy chủ trong cấu hình của trục này (timestamps.urls), tin timestamps.ca.""",
        """Renew evidence files: one more time-stamp over everything in them, before the older ones lose their worth.
What is there stays byte for byte. What is needed to judge the older time-stamps later goes in as well.
Without --tsa the authorities of this gateway's settings (timestamps.urls) are asked, and timestamps.ca is believed.""",
    ),
    examples="""\
gateway evidence renew van-ban.asice --tsa http://tsa.example.vn --anchor root.crt --out van-ban-2031.asice
gateway evidence renew luu-tru/*.asice --replace --due 365""",
)
@click.argument("files", nargs=-1, required=True, type=A_FILE)
@option(
    "--tsa",
    "urls",
    multiple=True,
    words=Text("Máy chủ cấp dấu thời gian (RFC 3161).", "Time-stamp authority (RFC 3161)."),
)
@anchor_option
@tsa_anchor_option
@option(
    "--revocation",
    "lists",
    type=A_FILE,
    multiple=True,
    words=Text(
        "Danh sách thu hồi (CRL) hoặc trả lời OCSP, đưa vào tệp; có thể lặp lại.",
        "Revocation list (CRL) or OCSP answer, which goes into the file; may be repeated.",
    ),
)
@option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), words=Text("Tệp kết quả.", "Where to write."))
@option("--replace", is_flag=True, words=Text("Ghi thay chính các tệp đó.", "Write in the place of the files."))
@option(
    "--due",
    type=click.IntRange(min=0, max=36_500),
    words=Text(
        "Chỉ gia hạn tệp mà dấu thời gian mới nhất hết được bảo đảm trong số ngày này.",
        "Renew only those whose newest time-stamp is not vouched for any more in so many days.",
    ),
)
@option(
    "--hash",
    "hash_name",
    type=click.Choice(["sha256", "sha384", "sha512"]),
    default="sha512",
    words=Text("Thuật toán băm; mặc định sha512.", "Digest algorithm; by default sha512."),
)
@for_programs()
def renew_files(
    shell: Shell,
    *,
    files: tuple[Path, ...],
    urls: tuple[str, ...],
    anchors: tuple[Path, ...],
    authorities: tuple[Path, ...],
    lists: tuple[Path, ...],
    out: Path | None,
    replace: bool,
    due: int | None,
    hash_name: HashName,
) -> int:
    """Renew each file; each appears only when it is complete."""
    if (out is None) is not replace or (out is not None and (len(files) > 1 or out.exists())):
        raise Misuse(
            Text(
                "Cần --out (một tệp chưa có) cho một tệp, hoặc --replace.",
                "Give --out (a file that is not there yet) for one file, or --replace.",
            )
        )
    with contextlib.ExitStack() as closing:
        site = closing.enter_context(_authority(shell, urls))
        given = Given(
            anchors=certificates_of(anchors),
            authorities=certificates_of(authorities) or (() if anchors else site.anchors),
            revocation=revocation_of(lists),
            at=utc_now(),
        )
        if not given.stamp_anchors:
            raise Misuse(
                Text(
                    "Cần chứng thư gốc của bên cấp dấu thời gian: --anchor hoặc --tsa-anchor.",
                    "Give the root of the time-stamp authority: --anchor or --tsa-anchor.",
                )
            )
        wishes = _Wishes(given=given, site=site, due=due, hash_name=hash_name)
        told = [_renewed(shell, file, out or file, wishes) for file in files]
    if shell.json:
        shell.result(told)
    return exits.DONE if all(row["code"] is None for row in told) else exits.FAILED


@dataclass(frozen=True, kw_only=True)
class _Site:
    """Where time-stamps are had, and what is known there."""

    timestamps: Timestamps
    anchors: tuple[x509.Certificate, ...] = ()
    known: RevocationFacts


@dataclass(frozen=True, kw_only=True)
class _Wishes:
    """How files are renewed."""

    given: Given
    site: _Site
    due: int | None
    """Days; ``None``: whether they need it or not."""
    hash_name: HashName


@contextlib.contextmanager
def _authority(shell: Shell, urls: tuple[str, ...]) -> Iterator[_Site]:
    """The authorities named in the call, or those of the gateway's settings, with what it knows of revocation."""
    if urls:
        http = HttpClient(HttpSettings(connect_timeout=timedelta(seconds=10), read_timeout=timedelta(seconds=30)))
        try:
            yield _Site(timestamps=Timestamps(http, urls=urls), known=RevocationFacts())
        finally:
            http.close()
        return
    settings = shell.settings()
    gateway = join(settings)
    http = make_http(settings)
    try:
        gateway.parts.freshen()
        timestamps = make_timestamps(settings, http)
        if timestamps is None:
            raise Misuse(
                Text(
                    "Cấu hình không có timestamps.urls; hãy cho --tsa.",
                    "The settings have no timestamps.urls; give --tsa.",
                )
            )
        anchors = tuple(timestamp_anchors(settings))
        yield _Site(timestamps=timestamps, anchors=anchors, known=gateway.parts.anchors.facts)
    finally:
        http.close()
        gateway.scratch.close()
        gateway.ledger.engine.dispose()


def _renewed(shell: Shell, file: Path, out: Path, wishes: _Wishes) -> dict[str, object]:
    """Renew one file, and tell it; what is wrong with one file keeps no other from being renewed."""
    row: dict[str, object] = {"file": file, "renewed": False, "code": None}
    # A folder may take hours.
    wishes = replace(wishes, given=replace(wishes.given, at=utc_now()))
    try:
        with file.open("rb") as source:
            due = wishes.due is None or is_due(source, wishes.given, within=timedelta(days=wishes.due))
            made = _written(source, file, out, wishes) if due else None
    except OSError as e:
        full = e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        shell.note(Text("{file}: {why}.", "{file}: {why}."), file=file, why=e.strerror or e)
        return {**row, "code": StorageFull.code if full else CODE}
    except (EvidenceInvalid, EvidenceTooLarge, DeliveryError) as e:
        said = Text("{file}: {vi} ({code}: {detail})", "{file}: {detail} ({code})")
        shell.note(said, file=file, vi=e.vi, detail=e.detail, code=e.code)
        return {**row, "code": e.code}
    if made is None:
        shell.say(Text("{file}: chưa đến hạn.", "{file}: not due yet."), file=file)
        return row
    shell.say(
        Text(
            "{file}: đã gia hạn lần {number}; {authority}, {at}.",
            "{file}: renewed, number {number}; {authority}, {at}.",
        ),
        file=out,
        number=made.number,
        authority=made.stamp.authority,
        at=moment(made.stamp.at),
    )
    for part in made.doubtful:
        shell.note(
            Text(
                "{file}: dấu thời gian ở {part} nay không tin được; gia hạn không chữa được điều đó.",
                "{file}: the time-stamp in {part} is not believed now; a renewal does not mend that.",
            ),
            file=file,
            part=part,
        )
    return {**row, "renewed": True, "number": made.number, "at": made.stamp.at, "doubtful": made.doubtful}


def _written(source: BinaryIO, file: Path, out: Path, wishes: _Wishes) -> Renewed:
    """The renewed file in its place; there is never half of one."""

    def ask(digest: bytes, hash_name: HashName) -> bytes:
        return wishes.site.timestamps.fetch(digest, hash_name=hash_name, near=utc_now())[0]

    mode = stat.S_IMODE(file.stat().st_mode)
    with written(out, force=out == file, mode=mode) as made:
        return renew(source, made, wishes.given, ask=ask, known=wishes.site.known, hash_name=wishes.hash_name)
