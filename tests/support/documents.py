"""
Synthetic documents and statuses for every test: nobody's real names, codes of the demo provinces.

``an_envelope(**changes)`` and ``a_status(**changes)`` give models, ``a_package(**changes)`` and
``a_status_package(**changes)`` the bytes; each is valid without warnings until a change breaks it.
"""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from gateway.edxml import Limits, Package, kit_reference, read_unverified, write_document, write_status
from gateway.model import (
    AgencyCode,
    Attachment,
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
)

SENDER = AgencyCode("000.00.14.H37")
RECIPIENT = AgencyCode("000.00.00.H38")
COMMUNE = AgencyCode("H37.21")
ISSUED = date(2026, 3, 5)
SENT_AT = datetime(2026, 3, 5, 7, 3, 9, tzinfo=UTC)
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
"""Recognised as a PDF, with the binary line that text handling destroys; no viewer need open it."""


def an_organization(code: str = SENDER, **changes: Any) -> Organization:
    """An agency as packages name it."""
    return replace(
        Organization(code=AgencyCode(code), in_charge="UBND tỉnh Lạng Sơn", name=f"Cơ quan {code}"), **changes
    )


def an_envelope(**changes: Any) -> Envelope:
    """A letter from a department of Lạng Sơn to Lào Cai and to a commune, with one attachment ``main``."""
    return replace(
        Envelope(
            sender=an_organization(SENDER),
            recipients=(an_organization(RECIPIENT), an_organization(COMMUNE)),
            document_id=DocumentId("000.00.14.H37,2026/03/05,07/SA-VP"),
            number=DocumentNumber(number="07", notation="SA-VP"),
            issued_place="Lạng Sơn",
            issued_on=ISSUED,
            document_type=DocumentType(type=2, detail=18, name="Công văn"),
            subject="V/v kiểm thử liên thông văn bản",
            content="V/v kiểm thử liên thông văn bản",
            signer=SignerInfo(competence="KT. GIÁM ĐỐC", position="Phó Giám đốc", full_name="Nguyễn Văn Mẫu"),
            other=OtherInfo(priority=0, promulgation_amount=1, page_amount=2, direction=False),
            steering_type=1,
            places=("Như trên", "Lưu: VT"),
            trace=(Hop(code=SENDER, at=SENT_AT),),
            business=Business(type=BusinessType.NEW, reason="Văn bản điện tử mới", paper=False),
            references=(kit_reference("main", "07-SA-VP.pdf"),),
        ),
        **changes,
    )


def contents_of(envelope: Envelope) -> dict[str, bytes]:
    """A small PDF for each of the envelope's references."""
    return {r.content_id: PDF + f"%{r.content_id}\n".encode() for r in envelope.references}


def a_package(*, contents: Mapping[str, bytes | Path] | None = None, **changes: Any) -> bytes:
    """The bytes of ``an_envelope(**changes)``; a PDF for each reference unless ``contents`` says otherwise."""
    envelope = an_envelope(**changes)
    return write_document(envelope, contents_of(envelope) if contents is None else contents)


def a_status(code: StatusCode = StatusCode.REGISTERED, **changes: Any) -> Envelope:
    """The recipient's report on ``an_envelope()`` to its sender; with a reason where one is needed."""
    return replace(
        Envelope(
            sender=an_organization(RECIPIENT),
            responses=(
                ResponseFor(
                    code=SENDER,
                    number="07/SA-VP",
                    document_id=DocumentId("000.00.14.H37,2026/03/05,07/SA-VP"),
                    issued_on=ISSUED,
                ),
            ),
            status=StatusReport(
                code=code,
                description="Không thuộc thẩm quyền" if code.needs_reason else None,
                reported_at=datetime(2026, 3, 5, 8, 10, tzinfo=UTC),
            ),
        ),
        **changes,
    )


def a_status_package(code: StatusCode = StatusCode.REGISTERED, **changes: Any) -> bytes:
    """The bytes of ``a_status(...)``."""
    return write_status(a_status(code, **changes))


def read(source: bytes | Path, spool: Path, **limits: int) -> Package:
    """Read with the default limits, some of them changed."""
    return read_unverified(source, limits=Limits(**limits), spool=spool)


def content_of(package: Package, attachment: Attachment) -> bytes:
    """The unwrapped content of one attachment."""
    with package.open(attachment) as file:
        return file.read()


def zipped(entries: Mapping[str, bytes]) -> bytes:
    """A ZIP with these entries."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def with_content(raw: bytes, content: bytes, *, encode: bool = True) -> bytes:
    """A package whose first encoded content is replaced, as it stands or as base64."""
    start = raw.index(b">", raw.index(b"ContentTransferEncoded")) + 1
    end = raw.index(b"</edXML:ContentTransferEncoded>")
    return raw[:start] + (base64.b64encode(content) if encode else content) + raw[end:]


# Hostile packages too large to keep as files


def _with_subject(inside: bytes) -> bytes:
    return a_package().replace(b"</edXML:Subject>", inside + b"</edXML:Subject>")


def _many_attributes() -> bytes:
    attributes = b" ".join(b'a%d="1"' % i for i in range(100_000))
    return a_package().replace(b"<edXML:Subject>", b"<edXML:Subject " + attributes + b">")


def _many_recipients() -> bytes:
    to = b"<edXML:To><edXML:OrganId>H37.%d</edXML:OrganId></edXML:To>"
    return a_package().replace(b"<edXML:DocumentId>", b"".join(to % i for i in range(6_000)) + b"<edXML:DocumentId>")


def _many_attachments() -> bytes:
    one = b"<Attachment><ContentId>cid:%d</ContentId><edXML:ContentTransferEncoded "
    one += b'xmlns:edXML="http://www.mic.gov.vn/TBT/QCVN_102_2016">QQ==</edXML:ContentTransferEncoded></Attachment>'
    return a_package().replace(b"</AttachmentEncoded>", b"".join(one % i for i in range(600)) + b"</AttachmentEncoded>")


def _zip_with_many_entries() -> bytes:
    return with_content(a_package(), zipped({str(i): b"" for i in range(30_000)}))


BUILT = [
    ("attributes-100000", _many_attributes, "package.limit_exceeded"),
    ("deep-100000", lambda: _with_subject(b"<d>" * 100_000 + b"</d>" * 100_000), "package.limit_exceeded"),
    ("wide-200000", lambda: _with_subject(b"<d/>" * 200_000), "package.limit_exceeded"),
    ("text-3-mb", lambda: _with_subject(b"x" * 3_000_000), "package.limit_exceeded"),
    ("tag-unfinished-8-mb", lambda: _with_subject(b"<x " + b" " * 8_000_000), "package.limit_exceeded"),
    ("attribute-8-mb", lambda: _with_subject(b'<d a="' + b"x" * 8_000_000 + b'"/>'), "package.limit_exceeded"),
    ("name-8-mb", lambda: _with_subject(b"<" + b"x" * 8_000_000 + b"/>"), "package.limit_exceeded"),
    ("comment-8-mb", lambda: _with_subject(b"<!--" + b"x" * 8_000_000 + b"-->"), "package.limit_exceeded"),
    ("recipients-6000", _many_recipients, "package.limit_exceeded"),
    ("attachments-600", _many_attachments, "package.limit_exceeded"),
    ("zip-entries-30000", _zip_with_many_entries, "M.AttachmentEncoded.Attachment.ContentTransferEncoded"),
    (
        "package-300-mb",
        lambda: with_content(a_package(), b"QUFB" * 1000, encode=False) + bytes(300 * 1024 * 1024),
        "package.limit_exceeded",
    ),
    (
        "zip-bomb-64-mb",
        lambda: with_content(a_package(), zipped({"a.pdf": bytes(64 * 1024 * 1024)})),
        "package.limit_exceeded",
    ),
]
"""Name, builder, and the code of the refusal."""
