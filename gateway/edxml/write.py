"""
Model → bytes, exactly as the national kit writes them (domain §1.1, §1.2, §1.8, §1.12).

Some receivers match on prefixes and on element order, so both are the kit's: the default namespace
on the root and on everything about attachments, the prefix ``edXML`` inside the envelope, bound
again on each encoded content. Where the kit's code and its sample packages disagree on order, the
samples are followed. Lines end with LF. The same model and contents always give the same bytes.
"""

from __future__ import annotations

import base64
import io
import re
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO

from gateway.edxml import names
from gateway.edxml.content import extension, is_wrapper
from gateway.edxml.moments import write_date, write_moment
from gateway.errors import InvalidPackage
from gateway.model import (
    Business,
    DocumentChange,
    Envelope,
    Hop,
    Organization,
    OtherInfo,
    Reference,
    Replacement,
    ResponseFor,
    Severity,
    StaffInfo,
    Violation,
)

_PROLOG = '<?xml version="1.0" encoding="UTF-8"?>\n'
_STORED_RAW = frozenset({"pdf", "doc", "docx", "xsl", "xslx", "zip"})
"""Extensions that kit 0.0.3 does not wrap; the two misspelt ones are its own, so xls and xlsx are wrapped."""
_PIECE = 3 * 64 * 1024
"""Bytes encoded at once: a multiple of 3, so that no padding falls inside."""
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time of every ZIP entry, so that writing is deterministic."""
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


def kit_content_type(name: str) -> str:
    """What the kit declares for a file of that name: ``application/<ext>`` stored raw, else ``application/zip``."""
    kind = extension(name)
    return f"application/{kind}" if kind in _STORED_RAW else "application/zip"


def kit_reference(content_id: str, name: str) -> Reference:
    """A manifest entry as the kit makes it: the name twice, and its declared type."""
    return Reference(content_id=content_id, name=name, description=name, content_type=kit_content_type(name))


def write_document(envelope: Envelope, contents: Mapping[str, Path | bytes]) -> bytes:
    """
    The package of a document, in memory; for large contents use ``write_document_to``.

    :param contents: ``content_id`` of each of the envelope's references → unwrapped content.
    :raises InvalidPackage: a reference has no content, or a text holds characters that XML cannot carry.
    """
    out = io.BytesIO()
    write_document_to(envelope, contents, out)
    return out.getvalue()


def write_document_to(envelope: Envelope, contents: Mapping[str, Path | bytes], out: BinaryIO) -> None:
    """
    Write the package of a document, never holding an attachment.

    A content is wrapped in a ZIP when the kit would (by its name), when the reference declares
    ``application/zip``, or when the bare content would be taken for such a wrapping by its reader.

    :param contents: as for ``write_document``; files are read once, in pieces.
    :raises InvalidPackage: as for ``write_document``; before anything is written.
    """
    missing = [r.content_id for r in envelope.references if r.content_id not in contents]
    if missing:
        raise InvalidPackage(
            [
                Violation(
                    code="N.AttachmentEncoded",
                    severity=Severity.ERROR,
                    vi="Thiếu nội dung của tệp đính kèm.",
                    en="A reference has no content.",
                )
            ]
        )
    head = _Writer()
    head.lines.append(_PROLOG)
    head.open_root()
    _envelope(head, envelope)
    for reference in envelope.references:
        head.check(reference.content_id, reference.name, reference.content_type, reference.description)
    out.write(head.written())
    out.write(f"  <{names.ENCODED}>\n".encode())
    for reference in envelope.references:
        _attachment(reference, contents[reference.content_id], out)
    out.write(f"  </{names.ENCODED}>\n</{names.ROOT}>\n".encode())


def write_status(envelope: Envelope) -> bytes:
    """
    The package of a status: no recipients, trace, body or attachments (domain §1.7).

    :param envelope: with ``status`` and the one ``responses`` entry it is about.
    :raises ValueError: it has no status.
    :raises InvalidPackage: a text holds characters that XML cannot carry.
    """
    if envelope.status is None:
        raise ValueError("an envelope without a status is written by write_document")
    status = envelope.status
    w = _Writer()
    w.lines.append(_PROLOG)
    w.open_root()
    with w.element(names.ENVELOPE, f' xmlns:{names.PREFIX}="{names.QCVN}"'), w.element(names.HEADER):
        with w.element(names.MESSAGE_HEADER):
            _organization(w, "From", envelope.sender)
            for response in envelope.responses:
                _response(w, response)
            _staff(w, status.staff)
            w.text("StatusCode", status.code)
            w.text("Description", status.description)
            w.moment("Timestamp", status.reported_at)
        _trace_list(w, envelope)
    w.lines.append(f"</{names.ROOT}>\n")
    return w.written()


class _Writer:
    """Lines of the envelope, indented by two, every element with the kit's prefix; empty values are left out."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._open: list[str] = []

    def open_root(self) -> None:
        self.lines.append(f'<{names.ROOT} xmlns="{names.QCVN}">\n')

    def element(self, name: str, attributes: str = "") -> _Element:
        return _Element(self, name, attributes)

    def begin(self, name: str, attributes: str) -> None:
        self.lines.append(f"{self._margin}<{names.PREFIX}:{name}{attributes}>\n")
        self._open.append(name)

    def end(self) -> None:
        name = self._open.pop()
        self.lines.append(f"{self._margin}</{names.PREFIX}:{name}>\n")

    def text(self, name: str, value: str | None) -> None:
        if value:
            self.check(value)
            self.lines.append(
                f"{self._margin}<{names.PREFIX}:{name}>{value.translate(_ESCAPES)}</{names.PREFIX}:{name}>\n"
            )

    def texts(self, name: str, values: Iterable[str]) -> None:
        for value in values:
            self.text(name, value)

    def number(self, name: str, value: int | None) -> None:
        self.text(name, None if value is None else str(value))

    def digit(self, name: str, value: bool | None) -> None:
        self.text(name, None if value is None else "1" if value else "0")

    def date(self, name: str, value: date | None) -> None:
        self.text(name, None if value is None else write_date(value))

    def moment(self, name: str, value: datetime | None) -> None:
        self.text(name, None if value is None else write_moment(value))

    def check(self, *values: str | None) -> None:
        if any(value and _UNWRITABLE.search(value) for value in values):
            raise InvalidPackage(
                [
                    Violation(
                        code="T.MessageHeader",
                        severity=Severity.ERROR,
                        vi="Có ký tự điều khiển không được phép trong XML.",
                        en="A text holds control characters that XML cannot carry.",
                    )
                ]
            )

    def written(self) -> bytes:
        return "".join(self.lines).encode()

    @property
    def _margin(self) -> str:
        return "  " * (len(self._open) + 1)


class _Element:
    """An open element of the writer; leaving the block closes it."""

    def __init__(self, writer: _Writer, name: str, attributes: str) -> None:
        self._writer, self._name, self._attributes = writer, name, attributes

    def __enter__(self) -> None:
        self._writer.begin(self._name, self._attributes)

    def __exit__(self, *_: object) -> None:
        self._writer.end()


def _envelope(w: _Writer, envelope: Envelope) -> None:
    with w.element(names.ENVELOPE, f' xmlns:{names.PREFIX}="{names.QCVN}"'):
        with w.element(names.HEADER):
            _message_header(w, envelope)
            _trace_list(w, envelope)
        with w.element(names.BODY), w.element(names.MANIFEST, ' version="1.0"'):
            for reference in envelope.references:
                with w.element("Reference"):
                    w.text("ContentId", f"cid:{reference.content_id}" if reference.content_id else None)
                    w.text("ContentType", reference.content_type)
                    w.text("Description", reference.description)
                    w.text("AttachmentName", reference.name)


def _message_header(w: _Writer, envelope: Envelope) -> None:
    with w.element(names.MESSAGE_HEADER):
        _organization(w, "From", envelope.sender)
        for recipient in envelope.recipients:
            _organization(w, "To", recipient)
        w.text("DocumentId", envelope.document_id)
        with w.element("Code"):
            w.text("CodeNumber", envelope.number.number)
            w.text("CodeNotation", envelope.number.notation)
        with w.element("PromulgationInfo"):
            w.text("Place", envelope.issued_place)
            w.date("PromulgationDate", envelope.issued_on)
        if kind := envelope.document_type:
            with w.element("DocumentType"):
                w.number("Type", kind.type)
                w.number("TypeDetail", kind.detail)
                w.text("TypeName", kind.name)
        w.text("Subject", envelope.subject)
        w.text("Content", envelope.content)
        if signer := envelope.signer:
            with w.element("SignerInfo"):
                w.text("Competence", signer.competence)
                w.text("Position", signer.position)
                w.text("FullName", signer.full_name)
        w.date("DueDate", envelope.due_on)
        if envelope.other:
            _other(w, envelope.other)
        for response in envelope.responses:
            _response(w, response)
        w.number("SteeringType", envelope.steering_type)
        _list(w, "ResponseForTask", "TaskCode", envelope.task_codes)
        w.text("ApplicationType", envelope.application_type)
        _list(w, "ToPlaces", "Place", envelope.places)


def _organization(w: _Writer, name: str, organization: Organization) -> None:
    with w.element(name):
        w.text("OrganId", organization.code)
        w.text("OrganizationInCharge", organization.in_charge)
        w.text("OrganName", organization.name)
        w.text("OrganAdd", organization.address)
        w.text("Email", organization.email)
        w.text("Telephone", organization.telephone)
        w.text("Fax", organization.fax)
        w.text("Website", organization.website)


def _other(w: _Writer, other: OtherInfo) -> None:
    with w.element("OtherInfo"):
        w.number("Priority", other.priority)
        w.text("SphereOfPromulgation", other.sphere)
        w.text("TyperNotation", other.typist)
        w.number("PromulgationAmount", other.promulgation_amount)
        w.number("PageAmount", other.page_amount)
        w.text("ReplyFors", other.reply_fors)
        w.text("Direction", None if other.direction is None else str(other.direction).lower())
        w.text("ReferenceCodes", other.reference_codes)
        _list(w, "Appendixes", "Appendix", other.appendixes)


def _response(w: _Writer, response: ResponseFor) -> None:
    with w.element("ResponseFor"):
        w.text("OrganId", response.code)
        w.text("Code", response.number)
        w.text("DocumentId", response.document_id)
        w.date("PromulgationDate", response.issued_on)


def _trace_list(w: _Writer, envelope: Envelope) -> None:
    if not envelope.trace and envelope.business is None:
        return
    with w.element(names.TRACE_LIST):
        for hop in envelope.trace:
            _hop(w, hop)
        if envelope.business:
            _business(w, envelope.business)


def _hop(w: _Writer, hop: Hop) -> None:
    with w.element(names.TRACE):
        w.text("OrganId", hop.code)
        w.moment("Timestamp", hop.at)


def _business(w: _Writer, business: Business) -> None:
    with w.element(names.BUSINESS):
        w.text("DocumentId", business.document_id)
        w.number("BussinessDocType", business.type.value)
        w.text("BussinessDocReason", business.reason)
        w.digit("Paper", business.paper)
        for change in business.changes:
            _change(w, change)
        if business.replacements:
            with w.element("ReplacementInfoList"):
                for replacement in business.replacements:
                    _replacement(w, replacement)
        for person in business.staff:
            _staff(w, person)


def _change(w: _Writer, change: DocumentChange) -> None:
    with w.element("BussinessDocumentInfo"):
        w.digit("DocumentInfo", change.content)
        w.digit("DocumentReceiver", change.receivers)
        if change.receiver_changes:
            with w.element("ReceiverList"):
                for receiver in change.receiver_changes:
                    with w.element("Receiver"):
                        w.text("OrganId", receiver.code)
                        w.digit("ReceiverType", receiver.added)


def _replacement(w: _Writer, replacement: Replacement) -> None:
    with w.element("ReplacementInfo"):
        w.text("DocumentId", replacement.document_id)
        _list(w, "OrganIdList", "OrganId", replacement.recipients)


def _staff(w: _Writer, staff: StaffInfo | None) -> None:
    if staff is None:
        return
    with w.element("StaffInfo"):
        w.text("Department", staff.department)
        w.text("DepartmentId", staff.department_id)
        w.text("Staff", staff.staff)
        w.text("StaffId", staff.staff_id)
        w.text("Email", staff.email)
        w.text("Mobile", staff.mobile)


def _list(w: _Writer, outer: str, inner: str, values: Iterable[str]) -> None:
    values = tuple(values)
    if values:
        with w.element(outer):
            w.texts(inner, values)


# Attachments


def _attachment(reference: Reference, content: Path | bytes, out: BinaryIO) -> None:
    name = reference.name or ""
    kind = extension(name)
    wrapped = kind not in _STORED_RAW or (reference.content_type == "application/zip" and kind != "zip")
    wrapped = wrapped or _would_be_unwrapped(content, name)
    declared = "application/zip" if wrapped else f"application/{kind}"
    fields = (
        ("ContentId", f"cid:{reference.content_id}"),
        ("AttachmentName", name),
        ("Description", reference.description),
        ("ContentType", declared),
    )
    lines = "".join(f"      <{tag}>{text.translate(_ESCAPES)}</{tag}>\n" for tag, text in fields if text)
    tag = f"{names.PREFIX}:{names.CONTENT}"
    out.write(f'    <{names.ATTACHMENT}>\n{lines}      <{tag} xmlns:{names.PREFIX}="{names.QCVN}">'.encode())
    encoder = _Base64Out(out)
    if wrapped:
        _zip(content, f"{uuid.uuid5(uuid.NAMESPACE_OID, reference.content_id)}.{kind}".rstrip("."), encoder)
    else:
        _copy(content, encoder)
    encoder.finish()
    out.write(f"</{tag}>\n    </{names.ATTACHMENT}>\n".encode())


class _Base64Out(io.RawIOBase):
    """Encodes what is written to it as one line of base64."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._out = out
        self._left = b""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override] # only bytes come here
        joined = self._left + bytes(data)
        whole = len(joined) - len(joined) % 3
        self._out.write(base64.b64encode(joined[:whole]))
        self._left = joined[whole:]
        return len(data)

    def finish(self) -> None:
        self._out.write(base64.b64encode(self._left))
        self._left = b""


def _copy(content: Path | bytes, out: _Base64Out) -> None:
    with _open(content) as file:
        while piece := file.read(_PIECE):
            out.write(piece)


def _zip(content: Path | bytes, entry_name: str, out: _Base64Out) -> None:
    """A ZIP with one entry; written without seeking, as the kit's own writer does."""
    entry = zipfile.ZipInfo(entry_name, _LONG_AGO)
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(out, "w") as archive, archive.open(entry, "w") as packed, _open(content) as file:
        while piece := file.read(_PIECE):
            packed.write(piece)


def _open(content: Path | bytes) -> BinaryIO:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


def _would_be_unwrapped(content: Path | bytes, name: str) -> bool:
    """Whether a reader would take this content itself for a ZIP around a file."""
    with _open(content) as file:
        return is_wrapper(file, name)
