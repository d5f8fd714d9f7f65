"""What is sent, by whom, and what must have come of it at the end."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

from gateway.cli.demo.files import a_pdf, a_workbook
from gateway.edxml import kit_reference, write_document
from gateway.model import (
    AgencyCode,
    Business,
    BusinessType,
    DocumentId,
    DocumentNumber,
    DocumentType,
    Envelope,
    FileStanding,
    Organization,
    OtherInfo,
    SignerInfo,
    SignerRole,
)
from gateway.signing.keys import SigningKey
from gateway.signing.pdf_sign import PdfSignOptions
from gateway.signing.sign import sign_package, sign_pdf

DEPARTMENT = AgencyCode("000.00.14.H37")
FINANCE = AgencyCode("000.00.12.H37")
DONG_DANG = AgencyCode("H37.21")
MAU_SON_DISTRICT = AgencyCode("000.00.25.H37")
CAO_LOC_DISTRICT = AgencyCode("000.00.24.H37")
CAO_LOC_STATION = AgencyCode("000.27.24.H37")
THUONG_MAU = AgencyCode("000.21.26.H37")
LANG_SON = AgencyCode("000.00.00.H37")
LAO_CAI = AgencyCode("000.00.00.H38")
LAO_CAI_FINANCE = AgencyCode("000.00.12.H38")
GOVERNMENT_OFFICE = AgencyCode("000.00.00.G22")
NATIONAL = AgencyCode("000.00.22.W00")

DONE = ("01", "03", "05", "06")
"""What a receiver reports that registers, processes and finishes a document; 01 comes by itself."""
REFUSED = ("02",)


@dataclass(frozen=True, kw_only=True)
class Office:
    """An agency that signs what it issues: first the competent person, then its seal."""

    code: AgencyCode
    seal: SigningKey
    """The agency's; signs the package, too."""
    person: SigningKey
    holder: str
    """The person's name and position."""

    def issue(self, pdf: bytes, *, at: datetime) -> bytes:
        """The PDF with both signatures, in the order of the law (NĐ 30/2020 Art. 5)."""
        with tempfile.TemporaryDirectory(prefix="demo-") as folder:
            draft, signed, issued = (Path(folder) / name for name in ("draft.pdf", "signed.pdf", "issued.pdf"))
            draft.write_bytes(pdf)
            sign_pdf(draft, signed, self.person, at=at)
            sign_pdf(signed, issued, self.seal, at=at, options=PdfSignOptions(role=SignerRole.AGENCY))
            return issued.read_bytes()


@dataclass(kw_only=True)
class Dispatch:
    """One package to send, and what is expected of it."""

    name: str
    """How it is called on the screen: its number, or the sample's file name."""
    at: str
    """Which gateway it is posted to: ``langson``, ``laocai`` or ``national``."""
    by: AgencyCode
    """Whose key posts it."""
    package: Path
    expected: Mapping[AgencyCode, tuple[str, ...]] = field(default_factory=dict)
    """Recipient as written → statuses that must come back to the sender."""
    refusal: str | None = None
    """Code with which the gateway must refuse it; ``None``: it must accept it."""
    contents: frozenset[str] = frozenset()
    """SHA-256 of the files, which every receiver must find unchanged."""
    document_id: str | None = None
    """As the sender gave it."""
    is_sample: bool = False
    """Of the national kit; what is expected of it is known once its recipients are."""
    is_status: bool = False
    main_file: FileStanding | None = None
    """What every gateway must find of the signatures inside its PDF; ``None``: nobody asks."""
    posted_id: str | None = None
    """The gateway's id, once accepted."""
    refused_with: str | None = None
    """The code with which it was refused."""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A document in the making."""

    sender: AgencyCode
    sender_name: str
    number: str
    notation: str
    subject: str
    recipients: Sequence[AgencyCode]
    names: Mapping[str, str]
    """Names of agencies by code."""
    place: str
    issued_on: date
    files: Mapping[str, bytes]
    """File name → content."""
    priority: int = 0

    @property
    def document_id(self) -> str:
        """In the form of QĐ 28/2018 Art. 10."""
        return f"{self.sender},{self.issued_on:%Y/%m/%d},{self.number}/{self.notation}"

    def write(self, key: SigningKey | None) -> bytes:
        """The package; signed when there is a key."""
        references = tuple(kit_reference(f"tep-{n}", name) for n, name in enumerate(self.files, 1))
        contents = {r.content_id: content for r, content in zip(references, self.files.values(), strict=True)}
        envelope = Envelope(
            sender=Organization(code=self.sender, name=self.sender_name),
            recipients=tuple(Organization(code=c, name=self.names.get(c)) for c in self.recipients),
            document_id=DocumentId(self.document_id),
            number=DocumentNumber(number=self.number, notation=self.notation),
            issued_place=self.place,
            issued_on=self.issued_on,
            document_type=DocumentType(type=2, detail=18, name="Công văn"),
            subject=self.subject,
            content=self.subject,
            signer=SignerInfo(competence="TL. THỦ TRƯỞNG", position="Chánh Văn phòng", full_name="Nguyễn Văn Mẫu"),
            other=OtherInfo(priority=self.priority, promulgation_amount=1, page_amount=1, direction=False),
            steering_type=1,
            places=("Như trên", "Lưu: VT"),
            business=Business(type=BusinessType.NEW, reason="Văn bản điện tử mới", paper=False),
            references=references,
        )
        raw = write_document(envelope, contents)
        return sign_package(raw, key) if key else raw


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A letter, where it is posted, and what must come of it."""

    letter: Letter
    at: str
    """Name of the gateway."""
    signer: str | None = None
    """Whose key signs it; ``None``: unsigned, as many agencies still send."""
    expected: Mapping[AgencyCode, tuple[str, ...]] = field(default_factory=dict)
    refusal: str | None = None
    altered: bool = False
    """Changed after it was signed."""
    is_file_altered: bool = False
    """Its PDF was changed after both had signed it, and then sent in a package that is signed and whole."""

    def dispatch(self, folder: Path, offices: Mapping[str, Office], *, at: datetime) -> Dispatch:
        """
        Sign the PDF, write the package and sign that.

        :param at: when people sign, aware.
        """
        letter, office = self.letter, offices[self.signer] if self.signer else None
        standing = FileStanding.UNSIGNED
        if office is not None and self.refusal is None:
            (name, main), *_ = letter.files.items()
            main, standing = office.issue(main, at=at), FileStanding.VALID
            if self.is_file_altered:
                main, standing = main.replace(_SUM, _FORGED_SUM), FileStanding.ALTERED
            letter = replace(letter, files={**letter.files, name: main})
        raw = letter.write(office.seal if office else None)
        if self.altered:
            raw = raw.replace(_ORIGINAL.encode(), _FORGED.encode())
        path = folder / f"{letter.number}-{letter.notation}.edxml"
        path.write_bytes(raw)
        return Dispatch(
            name=f"{letter.number}/{letter.notation}",
            at=self.at,
            by=letter.sender,
            package=path,
            expected=self.expected,
            refusal=self.refusal,
            contents=frozenset(hashlib.sha256(content).hexdigest() for content in letter.files.values()),
            document_id=letter.document_id,
            main_file=standing if self.refusal is None else None,
        )


_ORIGINAL = "kinh phí 10 triệu đồng"
_FORGED = "kinh phí 90 triệu đồng"
_SUM, _FORGED_SUM = b"10.000.000", b"90.000.000"


def drafts(names: Mapping[str, str], *, today: date) -> list[Draft]:
    """
    The demo's own documents.

    :param names: agencies' names by code, as the national directory has them.
    :param today: their date of issue.
    """

    def letter(
        sender: AgencyCode,
        number: tuple[str, str],
        subject: str,
        to: Sequence[AgencyCode],
        *,
        files: Mapping[str, bytes] | None = None,
        priority: int = 0,
        place: str = "Lạng Sơn",
        sum_line: str | None = None,
    ) -> Letter:
        return Letter(
            sender=sender,
            sender_name=names[sender],
            number=number[0],
            notation=number[1],
            subject=subject,
            recipients=to,
            names=names,
            place=place,
            issued_on=today,
            files={f"{'-'.join(number)}.pdf": _main(subject, names[sender], sum_line), **(files or {})},
            priority=priority,
        )

    def all_done(*codes: str) -> dict[AgencyCode, tuple[str, ...]]:
        return {AgencyCode(code): DONE for code in codes}

    return [
        # Signed, most urgent, three files, to every tier: commune, own province, other province, national.
        Draft(
            at="langson",
            signer="department",
            letter=letter(
                DEPARTMENT,
                ("07", "SKHCN-CĐS"),
                "V/v triển khai liên thông văn bản điện tử đến cấp xã",
                [DONG_DANG, LAO_CAI, GOVERNMENT_OFFICE, LANG_SON],
                files={
                    "Phụ lục 1.xlsx": a_workbook(
                        [("Đơn vị", "Hạn hoàn thành"), ("Xã Đồng Đăng", "31/12/2026"), ("Xã Mẫu Sơn", "31/12/2026")]
                    ),
                    "Thuyết minh.txt": "Kèm theo Công văn số 07/SKHCN-CĐS.\n".encode(),
                },
                priority=3,
            ),
            expected=all_done(DONG_DANG, LAO_CAI, GOVERNMENT_OFFICE, LANG_SON),
        ),
        # Unsigned, from a commune: pushed to a department, to another province's department, and to a
        # station whose district is gone, so that the province collects for it.
        Draft(
            at="langson",
            letter=letter(
                DONG_DANG,
                ("12", "UBND-VP"),
                "V/v báo cáo kết quả tiếp nhận, xử lý văn bản điện tử quý IV",
                [DEPARTMENT, LAO_CAI_FINANCE, CAO_LOC_STATION],
                place="Đồng Đăng",
            ),
            expected=all_done(DEPARTMENT, LAO_CAI_FINANCE, CAO_LOC_STATION),
        ),
        # Refused by its receiver.
        Draft(
            at="langson",
            signer="department",
            letter=letter(DEPARTMENT, ("08", "SKHCN-VP"), "V/v góp ý dự thảo quy chế quản lý đề tài", [FINANCE]),
            expected={FINANCE: REFUSED},
        ),
        # Three tiers: to a commune that is reached through its district.
        Draft(
            at="langson",
            signer="department",
            letter=letter(
                DEPARTMENT,
                ("11", "SKHCN-CĐS"),
                "V/v hướng dẫn số hóa, bàn giao hồ sơ qua đơn vị cấp huyện trung gian",
                [THUONG_MAU],
            ),
            expected=all_done(THUONG_MAU),
        ),
        # From the other province, under codes of both generations, and to a district that has one successor.
        Draft(
            at="laocai",
            signer="laocai",
            letter=letter(
                LAO_CAI,
                ("345", "UBND-NC"),
                "V/v phối hợp chia sẻ dữ liệu giữa hai tỉnh Lào Cai và Lạng Sơn",
                [AgencyCode("H37.14"), AgencyCode("000.21.24.H37"), MAU_SON_DISTRICT],
                place="Lào Cai",
            ),
            expected=all_done("H37.14", "000.21.24.H37", MAU_SON_DISTRICT),
        ),
        # Downwards, signed with RSA.
        Draft(
            at="national",
            signer="government",
            letter=letter(
                GOVERNMENT_OFFICE,
                ("7816", "VPCP-KSTT"),
                "V/v đẩy mạnh gửi, nhận văn bản điện tử giữa các cơ quan trong hệ thống hành chính",
                [LANG_SON, LAO_CAI],
                priority=1,
                place="Hà Nội",
            ),
            expected=all_done(LANG_SON, LAO_CAI),
        ),
        # Its PDF says another sum than both signed: it gets in, for its package is whole, and everybody sees it.
        Draft(
            at="langson",
            signer="department",
            letter=letter(
                DEPARTMENT,
                ("13", "SKHCN-VP"),
                "V/v thanh toán kinh phí hội thảo chuyển đổi số",
                [DONG_DANG],
                sum_line=f"So tien: {_SUM.decode()} dong",
            ),
            expected=all_done(DONG_DANG),
            is_file_altered=True,
        ),
        # Two that must not get in: a closed district with several successors, and a forgery.
        Draft(
            at="langson",
            signer="department",
            letter=letter(
                DEPARTMENT,
                ("09", "SKHCN-VP"),
                "V/v gửi nhầm tới huyện đã kết thúc hoạt động",
                [CAO_LOC_DISTRICT],
            ),
            refusal="recipient.closed",
        ),
        Draft(
            at="langson",
            signer="department",
            letter=letter(DEPARTMENT, ("10", "SKHCN-VP"), f"V/v cấp {_ORIGINAL}", [DONG_DANG]),
            refusal="signature.rejected",
            altered=True,
        ),
    ]


def _main(subject: str, sender: str, sum_line: str | None) -> bytes:
    return a_pdf(
        subject,
        [
            "Thực hiện Quyết định số 28/2018/QĐ-TTg của Thủ tướng Chính phủ về việc gửi, nhận văn bản điện tử "
            "giữa các cơ quan trong hệ thống hành chính nhà nước, cơ quan đề nghị các đơn vị phối hợp thực hiện.",
            "Văn bản này do chương trình trình diễn tạo ra; mọi nội dung chỉ để minh họa, không có giá trị pháp lý.",
        ],
        head=sender.upper(),
        sum_line=sum_line,
    )
