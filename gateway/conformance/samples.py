"""Harmless packages: test letters from a system to itself, marked as such, each with a number of its own."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.conformance.rules import Broken, require
from gateway.edxml import Limits, kit_reference, read_unverified, write_document, write_status
from gateway.errors import DocumentError, InvalidPackage
from gateway.model import (
    VIETNAM_TIME,
    AgencyCode,
    Business,
    BusinessType,
    DocumentId,
    DocumentNumber,
    DocumentType,
    Envelope,
    Hop,
    Organization,
    OtherInfo,
    ResponseFor,
    SignerInfo,
    StatusCode,
    StatusReport,
    Violation,
)

NOTATION = "KTTT-KIEMTHU"
"""Of every number that the kit makes: kiểm tra tương thích, kiểm thử."""
SUBJECT = "V/v kiểm tra tương thích giao thức, không phải văn bản hành chính"
_PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One test document."""

    envelope: Envelope
    content: bytes
    """Of its one attachment, unwrapped."""
    raw: bytes

    @property
    def number(self) -> str:
        """``number/notation``."""
        return f"{self.envelope.number.number}/{self.envelope.number.notation}"

    @property
    def document_id(self) -> str:
        """As the package has it."""
        return str(self.envelope.document_id)


def a_letter(sender: str, recipients: Sequence[str], *, reason: str = "") -> Letter:
    """
    A new test document.

    :param sender: code of the calling system's agency.
    :param recipients: codes; its own, so that it troubles nobody.
    :param reason: what it is for, in its content.
    """
    now = datetime.now(UTC)
    today = now.astimezone(VIETNAM_TIME).date()
    # Drawn, not counted: two runs on one day must not meet, and eleven characters are what fits.
    number = str(secrets.randbelow(9 * 10**9) + 10**9)
    envelope = Envelope(
        sender=_organization(sender),
        recipients=tuple(_organization(code) for code in recipients),
        document_id=DocumentId(f"{sender},{today:%Y/%m/%d},{number}/{NOTATION}"),
        number=DocumentNumber(number=number, notation=NOTATION),
        issued_place="Hà Nội",
        issued_on=today,
        document_type=DocumentType(type=2, detail=18, name="Công văn"),
        subject=SUBJECT,
        content=reason or SUBJECT,
        signer=SignerInfo(competence="TL.", position="Kiểm thử viên", full_name="Văn bản kiểm thử"),
        other=OtherInfo(priority=0, promulgation_amount=1, page_amount=1, direction=False),
        steering_type=1,
        places=("Lưu: kiểm thử",),
        trace=(Hop(code=AgencyCode(sender), at=now),),
        business=Business(type=BusinessType.NEW, reason="Văn bản điện tử mới", paper=False),
        references=(kit_reference("main", "kiem-thu.pdf"),),
    )
    return _written(envelope, _PDF + f"%{number}\n".encode())


def changed(letter: Letter) -> Letter:
    """The same letter in other words under the same DocumentId."""
    return _written(replace(letter.envelope, subject=f"{SUBJECT} (bản khác)"), letter.content)


def recall(letter: Letter) -> Letter:
    """The recall of a letter: business type 1, by its sender."""
    business = Business(type=BusinessType.REVOKE, reason="Thu hồi văn bản kiểm thử", paper=False)
    return _written(replace(letter.envelope, business=replace(business, document_id=letter.envelope.document_id)),
                    letter.content)  # fmt: skip


def a_report(letter: Letter, reporter: str, code: StatusCode = StatusCode.REGISTERED) -> bytes:
    """The status package of a recipient of a letter."""
    original = letter.envelope
    return write_status(
        Envelope(
            sender=_organization(reporter),
            responses=(
                ResponseFor(
                    code=original.sender.code,
                    number=letter.number,
                    document_id=original.document_id,
                    issued_on=original.issued_on,
                ),
            ),
            status=StatusReport(
                code=code,
                description="Kiểm thử" if code.needs_reason else None,
                reported_at=datetime.now(UTC).replace(microsecond=0),
            ),
        )
    )


def sha256(data: bytes) -> str:
    """Lower-case hex."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a package holds, as its receiver sees it."""

    envelope: Envelope
    files: tuple[str, ...]
    """SHA-256 of each attachment, unwrapped: an axis may wrap anew, so only this can be compared."""
    warnings: tuple[Violation, ...]
    """Departures from the standard that were tolerated."""


def seen_in(raw: bytes) -> Seen:
    """
    Read a package.

    :raises DocumentError: it is none, or not one that can be trusted to say what it says.
    """
    with TemporaryDirectory() as spool, read_unverified(raw, limits=Limits(), spool=Path(spool)) as package:
        if package.errors:
            raise InvalidPackage(list(package.errors))
        files = []
        for attachment in package.attachments:
            with package.open(attachment) as file:
                files.append(sha256(file.read()))
        return Seen(envelope=package.envelope, files=tuple(files), warnings=package.warnings)


def require_same(letter: Letter, raw: bytes) -> None:
    """
    Whether what was handed out is the letter: its id, and the file within.

    :raises Broken: it is not.
    """
    try:
        seen = seen_in(raw)
    except DocumentError as e:
        raise Broken(f"Gói tin nhận về không đọc được: {e.vi}", f"What was handed out cannot be read: {e}") from e
    require(
        str(seen.envelope.document_id) == letter.document_id,
        f"Nhận về văn bản khác: {seen.envelope.document_id}.",
        f"Another document was handed out: {seen.envelope.document_id}.",
    )
    require(
        seen.files == (sha256(letter.content),),
        "Tệp đính kèm nhận về khác tệp đã gửi.",
        "The attachment that was handed out is not the one that was sent.",
    )


def _written(envelope: Envelope, content: bytes) -> Letter:
    return Letter(envelope=envelope, content=content, raw=write_document(envelope, {"main": content}))


def _organization(code: str) -> Organization:
    return Organization(code=AgencyCode(code), name=f"Cơ quan {code}")
