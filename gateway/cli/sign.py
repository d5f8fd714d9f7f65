"""``gateway sign``: PDFs and packages, with a key in a file or in a token."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import click
from cryptography import x509

from gateway.cli.command import command, option
from gateway.cli.misuse import Misuse
from gateway.cli.output import written
from gateway.cli.shell import Shell, moment
from gateway.cli.words import Text
from gateway.clock import utc_now
from gateway.delivery.http import HttpClient, HttpSettings
from gateway.errors import KeyUnusable, StorageFull, TokenPinNeeded
from gateway.model import SignerRole
from gateway.signing.keys import Signer, load_certificates, load_key, usage_allows_signing
from gateway.signing.pdf_sign import PdfForm, PdfSignOptions, Place
from gateway.signing.sign import Stamp, sign_package_to, sign_package_xades, sign_pdf
from gateway.signing.token import Token, read_pin

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_PDF_WITHIN = 1024
"""Bytes in which a PDF says that it is one (ISO 32000-1 Annex H, note 13)."""


@command(
    "sign",
    Text(
        """Ký số tệp PDF (PAdES) hoặc gói tin edXML (XML-DSig, XAdES) bằng khóa trong tệp hoặc trong thiết bị PKCS#11.
Phần đã có của tệp giữ nguyên từng byte. Có --tsa thì kèm dấu thời gian (PAdES-B-T, XAdES-T).
Mật khẩu của khóa: --password-file, biến GATEWAY_KEY_PASSWORD, hoặc hỏi tại màn hình.
Mã PIN của thiết bị: hỏi tại màn hình; cho máy: --pin-file hoặc biến GATEWAY_TOKEN_PIN. PIN không bao giờ được lưu.""",
        """Sign a PDF (PAdES) or an edXML package (XML-DSig, XAdES) with a key in a file or in a PKCS#11 token.
What is in the file already stays as it is. With --tsa a time-stamp goes in (PAdES-B-T, XAdES-T).
The key's password: --password-file, GATEWAY_KEY_PASSWORD, or asked for at the terminal.
The token's PIN: asked for at the terminal; for machines --pin-file or GATEWAY_TOKEN_PIN. It is never stored.""",
    ),
    examples=Text(
        """\
gateway sign van-ban.edxml --key co-quan.p12 -o van-ban.signed.edxml
gateway sign quyet-dinh.pdf --token /usr/lib/softhsm/libsofthsm2.so --image chu-ky.png -o da-ky.pdf
gateway sign da-ky.pdf --role agency --key co-quan.p12 --image con-dau.png --tsa http://tsa.ca.gov.vn -o ban-hanh.pdf
gateway sign ban-sao.pdf --role agency --kind copy --number 12/SY-UBND --key co-quan.p12 -o sao-y.pdf""",
        """\
gateway sign dispatch.edxml --key agency.p12 -o dispatch.signed.edxml
gateway sign decision.pdf --token /usr/lib/softhsm/libsofthsm2.so --image signature.png -o signed.pdf
gateway sign signed.pdf --role agency --key agency.p12 --image seal.png --tsa http://tsa.ca.gov.vn -o issued.pdf
gateway sign paper.pdf --role agency --kind copy --number 12/SY-UBND --key agency.p12 -o certified-copy.pdf""",
    ),
)
@click.argument("file", type=_FILE)
@option("--key", "key_file", type=_FILE, words=Text("Khóa: PKCS#12 hoặc PEM.", "Key: PKCS#12 or PEM."))
@option(
    "--certificate",
    type=_FILE,
    words=Text("Chứng thư, nếu không nằm trong tệp khóa.", "Its certificate, when not in the key's file."),
)
@option("--password-file", type=_FILE, words=Text("Tệp chứa mật khẩu của khóa.", "File with the key's password."))
@option("--token", "module", type=_FILE, words=Text("Thư viện PKCS#11 của thiết bị.", "The token's PKCS#11 module."))
@option("--token-label", words=Text("Tên thiết bị, khi cắm nhiều cái.", "Which token, when several are plugged in."))
@option(
    "--certificate-label",
    words=Text("Tên chứng thư, khi thiết bị có nhiều cái.", "Which certificate, when the token holds several."),
)
@option("--pin-file", type=_FILE, words=Text("Tệp chứa PIN (chỉ chủ đọc được).", "File with the PIN (mode 600)."))
@option("--tsa", words=Text("Máy chủ cấp dấu thời gian (RFC 3161).", "Time-stamp authority (RFC 3161)."))
@option(
    "--tsa-anchor",
    "tsa_anchors",
    type=_FILE,
    multiple=True,
    words=Text("Chứng thư gốc của máy chủ đó; có thể lặp lại.", "Its trust anchor; may be repeated."),
)
@option("--xades", is_flag=True, words=Text("Gói tin: ký dạng XAdES.", "Packages: sign as XAdES."))
@option(
    "--role",
    type=click.Choice(["person", "agency"]),
    default="person",
    words=Text(
        "PDF: người có thẩm quyền, hoặc cơ quan (sau người).", "PDF: the competent person, or the agency after them."
    ),
)
@option(
    "--kind",
    type=click.Choice([form.value for form in PdfForm]),
    default=PdfForm.ISSUED.value,
    words=Text("PDF: bản ban hành, phụ lục rời, bản sao.", "PDF: the dispatch itself, an annex, a certified copy."),
)
@option(
    "--image",
    type=_FILE,
    words=Text("PDF: hình chữ ký hoặc con dấu, PNG nền trong.", "PDF: image of signature or seal, transparent PNG."),
)
@option("--page", type=int, words=Text("PDF: trang đặt hình; -1 (mặc định): trang cuối.", "PDF: page; -1: the last."))
@option(
    "--at",
    "corner",
    nargs=2,
    type=float,
    words=Text("PDF: góc dưới trái của hình, mm từ mép trang.", "PDF: lower left corner of the image, mm on the page."),
)
@option("--width", type=click.FloatRange(5, 200), words=Text("PDF: bề rộng hình, mm.", "PDF: width of the image, mm."))
@option(
    "--number",
    words=Text("PDF: số và ký hiệu, in trên phụ lục và bản sao.", "PDF: number and notation, for annexes and copies."),
)
@option("--font", type=_FILE, words=Text("PDF: phông chữ cho dòng đó (TTF).", "PDF: font of that line (TTF)."))
@option("--reason", words=Text("PDF: lý do ký.", "PDF: reason for signing."))
@option("--location", words=Text("PDF: nơi ký.", "PDF: place of signing."))
@option(
    "--without-person",
    is_flag=True,
    words=Text(
        "PDF: để cơ quan ký khi chưa có chữ ký của người có thẩm quyền.",
        "PDF: let the agency sign although no competent person has.",
    ),
)
@option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    words=Text("Tệp kết quả; mặc định đầu ra chuẩn.", "Where to write; by default standard output."),
)
@option("--force", is_flag=True, words=Text("Ghi đè tệp kết quả.", "Replace an existing file."))
def sign(
    shell: Shell,
    *,
    file: Path,
    key_file: Path | None,
    certificate: Path | None,
    password_file: Path | None,
    module: Path | None,
    token_label: str | None,
    certificate_label: str | None,
    pin_file: Path | None,
    tsa: str | None,
    tsa_anchors: tuple[Path, ...],
    xades: bool,
    role: str,
    kind: str,
    image: Path | None,
    page: int | None,
    corner: tuple[float, float] | None,
    width: float | None,
    number: str | None,
    font: Path | None,
    reason: str | None,
    location: str | None,
    without_person: bool,
    output: Path | None,
    force: bool,
) -> None:
    """Write the signed file."""
    if (key_file is None) == (module is None):
        raise Misuse(Text("Cho biết khóa: --key hoặc --token.", "Say which key: --key or --token."))
    if page is not None and corner is None and role == SignerRole.AGENCY:
        raise Misuse(Text("Con dấu đặt ở trang khác: cần --at.", "A seal on a page that one names needs --at."))
    shown_on = -1 if page is None else page
    with _faults_of_files():
        options = PdfSignOptions(
            role=SignerRole(role),
            form=PdfForm(kind),
            image=image.read_bytes() if image else None,
            place=Place(page=shown_on, x_mm=corner[0], y_mm=corner[1]) if corner else None,
            page=shown_on,
            width_mm=width,
            number=number,
            font=font,
            reason=reason,
            location=location,
            without_person=without_person,
        )
        with contextlib.ExitStack() as closing:
            stamp = closing.enter_context(_stamping(tsa, tsa_anchors)) if tsa else None
            if key_file is not None:
                key: Signer = load_key(key_file, _password(shell, key_file, password_file), certificate=certificate)
            else:
                assert module is not None
                token = Token(module, label=token_label, pin=lambda: _pin(shell, pin_file))
                closing.callback(token.close)
                key = token.key(label=certificate_label)
            _demand_usable(key.certificate, at=utc_now())
            job = _Job(file=file, key=key, stamp=stamp, xades=xades or stamp is not None, options=options)
            with _written(output, force=force) as out:
                level = job.pdf(out) if _is_pdf(file) else job.package(out)
    shell.note(
        Text("Đã ký ({level}) bằng chứng thư {sha256} ({subject}).", "Signed ({level}) by {sha256} ({subject})."),
        level=level,
        sha256=key.certificate_sha256[:16],
        subject=key.certificate.subject.rfc4514_string(),
    )
    if tsa is None and level != "XML-DSig":
        shell.note(
            Text(
                "Không có dấu thời gian (--tsa): thời điểm ký chỉ là lời của người ký.",
                "No time-stamp (--tsa): when it was signed is only the signer's word.",
            )
        )


@contextlib.contextmanager
def _faults_of_files() -> Iterator[None]:
    """
    What the system says of the caller's files, without a traceback.

    :raises StorageFull: there is no room for the result.
    :raises Misuse: a file or folder cannot be read or written.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # Whoever reads our output has had enough; the program's entry knows that.
    except OSError as e:
        why = f"{e.filename}: {e.strerror}" if e.filename else str(e.strerror)
        if e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFull(f"{why}.") from e
        raise Misuse(Text("Không đọc hoặc ghi được tệp: {why}.", "A file cannot be used: {why}."), why=why) from e


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What is signed by what; each way says the level that it has reached."""

    file: Path
    key: Signer
    stamp: Stamp | None
    xades: bool
    options: PdfSignOptions

    def pdf(self, out: BinaryIO) -> str:
        with tempfile.TemporaryDirectory(prefix="gateway-sign-") as own:
            done = Path(own) / "signed.pdf"
            sign_pdf(self.file, done, self.key, at=utc_now(), options=self.options, stamp=self.stamp)
            with done.open("rb") as signed:
                shutil.copyfileobj(signed, out)
        return "PAdES-B-T" if self.stamp else "PAdES-B-B"

    def package(self, out: BinaryIO) -> str:
        if not self.xades:
            sign_package_to(self.file, self.key, out)
            return "XML-DSig"
        sign_package_xades(self.file, self.key, out, at=utc_now(), stamp=self.stamp)
        return "XAdES-B-T" if self.stamp else "XAdES-B-B"


def _demand_usable(certificate: x509.Certificate, *, at: datetime) -> None:
    """
    See before signing that a signature by this certificate could be good now.

    :raises KeyUnusable: nobody would accept it: also where this machine's clock is far off.
    """
    if not usage_allows_signing(certificate):
        raise KeyUnusable("The certificate is not for signing documents.")
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begins <= at <= ends:
        raise KeyUnusable(
            f"The certificate is valid from {moment(begins)} to {moment(ends)}; this machine's clock says {moment(at)}."
        )


@contextlib.contextmanager
def _stamping(url: str, anchors: tuple[Path, ...]) -> Iterator[Callable[[bytes], bytes]]:
    # Here and not above: it brings the ledger and its database libraries along, and most signatures are not stamped.
    from gateway.exchange.stamping import Timestamps  # noqa: PLC0415

    http = HttpClient(HttpSettings(connect_timeout=timedelta(seconds=10), read_timeout=timedelta(seconds=30)))
    try:
        trusted = [c for path in anchors for c in load_certificates(path)]
        authority = Timestamps(http, urls=[url], anchors=trusted)
        yield lambda digest: authority.fetch(digest)[0]
    finally:
        http.close()


def _is_pdf(file: Path) -> bool:
    with file.open("rb") as opened:
        return b"%PDF-" in opened.read(_PDF_WITHIN)


def _pin(shell: Shell, pin_file: Path | None) -> str:
    given = read_pin(pin_file)
    if given:  # An empty one would be a try that counts.
        return given
    if not sys.stdin.isatty():
        raise TokenPinNeeded
    return str(click.prompt(shell.words(Text("Mã PIN của thiết bị", "PIN of the token")), hide_input=True, err=True))


def _password(shell: Shell, key_file: Path, password_file: Path | None) -> str | None:
    if password_file is not None:
        try:
            return password_file.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError as e:
            raise KeyUnusable(f"{password_file.name} is not text in UTF-8.") from e
    given = os.environ.get("GATEWAY_KEY_PASSWORD")
    if given is not None:
        return given
    try:
        raw = key_file.read_bytes()
    except OSError as e:
        raise KeyUnusable(f"{key_file.name} cannot be read: {e.strerror}.") from e
    is_open = b"-----BEGIN" in raw and b"ENCRYPTED" not in raw
    if is_open or not sys.stdin.isatty():
        return None
    return str(click.prompt(shell.words(Text("Mật khẩu của khóa", "Password of the key")), hide_input=True, err=True))


def _written(output: Path | None, *, force: bool) -> contextlib.AbstractContextManager[BinaryIO]:
    """Where the result goes; ``None`` is standard output."""
    return contextlib.nullcontext(sys.stdout.buffer) if output is None else written(output, force=force)
