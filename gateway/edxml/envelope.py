"""
Tree → envelope: what a package says besides the content of its files, and where it departs from the standard.

Severities follow one rule: an *error* is what makes sender, receivers, identity or meaning uncertain;
everything else is a *warning* that stays with the document. Lengths, code lists and cardinalities are
those of domain §1.2, with the tolerances it names; the schema checks none of them (domain §1.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

from lxml import etree

from gateway.edxml import moments, names
from gateway.edxml.findings import Findings
from gateway.edxml.limits import Limits
from gateway.edxml.secrecy import is_marked, is_marked_in_brackets
from gateway.edxml.sections import Section, has_xlink
from gateway.edxml.tree import split_name
from gateway.errors import InvalidPackage, PackageLimitExceeded
from gateway.model import (
    AgencyCode,
    Business,
    BusinessType,
    CodeGeneration,
    DocumentChange,
    DocumentId,
    DocumentNumber,
    DocumentType,
    Envelope,
    Hop,
    Lane,
    Organization,
    OtherInfo,
    ReceiverChange,
    Replacement,
    ResponseFor,
    Severity,
    SignerInfo,
    StaffInfo,
    StatusCode,
    StatusReport,
)

T = TypeVar("T")
ERROR, WARNING = Severity.ERROR, Severity.WARNING
_LONGEST_IDENTITY = 255
"""Characters of anything that documents are found by (domain §1.4)."""


@dataclass(frozen=True, kw_only=True)
class Outline:
    """The large parts of a package, found."""

    header: Section
    message: Section
    trace_list: Section | None
    references: tuple[Section, ...]
    attachments: tuple[Section, ...]


def outline(root: etree._Element, findings: Findings, limits: Limits) -> Outline:
    """
    Find header, manifest and attachments.

    :raises InvalidPackage: there is no header, or not one alone: nobody could say what the package is.
    """
    top = Section(root, "", names.IN_ROOT, split_name(root)[0], findings)
    envelope = top.section(names.ENVELOPE, names.IN_ENVELOPE, at="")
    header = None if envelope is None else envelope.section(names.HEADER, names.IN_HEADER, at="")
    message = None if header is None else header.section(names.MESSAGE_HEADER, names.IN_MESSAGE_HEADER)
    if envelope is None or header is None or message is None:
        findings.missing(
            names.ENVELOPE if envelope is None else names.HEADER if header is None else names.MESSAGE_HEADER
        )
        raise InvalidPackage(findings.violations)
    if any(len(s.all(n)) > 1 for s, n in ((top, names.ENVELOPE), (envelope, names.HEADER), (header, "MessageHeader"))):
        raise InvalidPackage(findings.violations)
    body = envelope.section(names.BODY, names.IN_BODY, at=names.BODY)
    manifest = None if body is None else body.section(names.MANIFEST, names.IN_MANIFEST, at=names.MANIFEST)
    encoded = top.section(names.ENCODED, names.IN_ENCODED)
    attachments = () if encoded is None else tuple(encoded.sections(names.ATTACHMENT, names.IN_ATTACHMENT))
    references = () if manifest is None else tuple(manifest.sections("Reference", names.IN_REFERENCE))
    if max(len(attachments), len(references)) > limits.attachments:
        raise PackageLimitExceeded(limit="attachments", allowed=limits.attachments, path=names.ENCODED)
    return Outline(
        header=header,
        message=message,
        trace_list=header.section(names.TRACE_LIST, names.IN_TRACE_LIST),
        references=references,
        attachments=attachments,
    )


def looks_like_csharp(parts: Outline) -> bool:
    """Whether the C# kit wrote it: xlink attributes, SOAP attributes on the trace list, DigitalSignature (V2)."""
    trace = parts.trace_list
    return (
        names.DIGITAL_SIGNATURE in parts.header
        or any(has_xlink(r.element) for r in parts.references)
        or (trace is not None and any(str(k).rpartition("}")[2] == "mustUnderstand" for k in trace.element.attrib))
    )


def read_envelope(parts: Outline, findings: Findings, limits: Limits) -> Envelope:
    """
    Read everything that the header says. References are read with the attachments, which they are paired with.

    :raises InvalidPackage: what is missing or wrong leaves nothing to speak of: no sender's code, or a status
        without a known code and a time. Carries all violations found in the header.
    """
    message = parts.message
    is_status = "StatusCode" in message
    written_sender = message.section("From", names.IN_ORGANIZATION)
    sender = None if written_sender is None else _organization(written_sender)
    if written_sender is None:
        findings.missing("MessageHeader.From")
    # Everything is read before anything is given up, so that the sender learns all that is wrong at once.
    trace, business = _trace_list(parts.trace_list, findings, is_status=is_status)
    known = _Known(sender or _NOBODY, trace, business)
    envelope = _status_of(known, message, findings) if is_status else _document_of(known, message, findings, limits)
    if sender is None or envelope is None:
        raise InvalidPackage(findings.violations)
    _refuse_secrets(envelope, findings)
    return envelope


class _Known(NamedTuple):
    """What both kinds have, read first."""

    sender: Organization
    trace: tuple[Hop, ...]
    business: Business | None


_NOBODY = Organization(code=AgencyCode(""))
"""Stands in while the rest is read; never leaves this module."""


# Documents


def _document_of(known: _Known, message: Section, findings: Findings, limits: Limits) -> Envelope:
    code = message.section("Code", names.IN_CODE)
    issued = message.section("PromulgationInfo", names.IN_PROMULGATION)
    number = DocumentNumber()
    if code is None:
        findings.missing("MessageHeader.Code")
    else:
        number = DocumentNumber(
            number=_identifying(code, "CodeNumber", 11), notation=_identifying(code, "CodeNotation", 30)
        )
    if issued is None:
        findings.missing("MessageHeader.PromulgationInfo")
    issued_on = None if issued is None else issued.date("PromulgationDate", required=ERROR, bad=ERROR)
    due_on = message.date("DueDate")
    if due_on is not None and issued_on is not None and due_on < issued_on:
        findings.meaningless(
            "MessageHeader.DueDate",
            WARNING,
            vi="Hạn xử lý trước ngày ban hành.",
            en="The due date is before the date of issue.",
        )
    for name in ("StaffInfo", "Description", "Timestamp"):
        if name in message:
            findings.meaningless(
                f"MessageHeader.{name}",
                WARNING,
                vi=f"{name} chỉ dùng trong gói trạng thái.",
                en=f"{name} belongs to status packages only.",
            )
    tasks = message.section("ResponseForTask", names.IN_TASKS)
    places = message.section("ToPlaces", names.IN_PLACES)
    return Envelope(
        sender=known.sender,
        trace=known.trace,
        business=known.business,
        recipients=_recipients(message, findings, limits),
        document_id=_document_id(message, findings),
        number=number,
        issued_place=None if issued is None else issued.text("Place", longest=50, required=ERROR),
        issued_on=issued_on,
        document_type=_document_type(message, findings),
        subject=message.text("Subject", longest=500, required=ERROR),
        content=message.text("Content", longest=500),
        signer=_signer(message, findings),
        due_on=due_on,
        other=_other(message, findings),
        responses=tuple(r for s in message.sections("ResponseFor", names.IN_RESPONSE) if (r := _response(s))),
        steering_type=message.number("SteeringType"),
        task_codes=() if tasks is None else tasks.texts("TaskCode"),
        application_type=message.text("ApplicationType"),
        places=() if places is None else places.texts("Place", longest=150),
    )


def _identifying(section: Section, name: str, longest: int) -> str | None:
    """A mandatory text that documents are found by: long is odd, very long would not fit an index."""
    value = section.text(name, longest=longest, required=ERROR)
    if value is not None and len(value) > _LONGEST_IDENTITY:
        section.findings.too_long(f"{section.path}.{name}", _LONGEST_IDENTITY, ERROR)
    return value


def _organization(section: Section) -> Organization | None:
    """``None`` without a code, which alone is ever used to route."""
    code = section.text("OrganId", longest=AgencyCode.LONGEST, severity=ERROR, required=ERROR)
    if code is not None and AgencyCode.normal(code).generation is CodeGeneration.OTHER:
        section.findings.bad_form(
            f"{section.path}.OrganId",
            "an agency code of TT 10/2016 or QĐ 20/2020",
            WARNING,
            vi="mã định danh theo TT 10/2016 hoặc QĐ 20/2020",
        )
    name = section.text("OrganName", longest=200, required=WARNING)
    in_charge = section.text("OrganizationInCharge", longest=200)
    address = section.text("OrganAdd", longest=250)
    email = section.text("Email", longest=100)
    if email is not None and email.count("@") != 1:
        section.findings.bad_form(f"{section.path}.Email", "an e-mail address", WARNING, vi="địa chỉ thư điện tử")
    telephone = section.text("Telephone", longest=20)
    fax = section.text("Fax", longest=20)
    website = section.text("Website")  # the checker's 20 characters refuse real addresses (domain §1.2)
    if code is None:
        return None
    return Organization(
        code=AgencyCode(code),
        in_charge=in_charge,
        name=name,
        address=address,
        email=email,
        telephone=telephone,
        fax=fax,
        website=website,
    )


def _recipients(message: Section, findings: Findings, limits: Limits) -> tuple[Organization, ...]:
    written = message.all("To")
    if not written:
        findings.missing("MessageHeader.To")
    if len(written) > limits.recipients:
        raise PackageLimitExceeded(limit="recipients", allowed=limits.recipients, path="MessageHeader.To")
    found = tuple(o for s in message.sections("To", names.IN_ORGANIZATION) if (o := _organization(s)) is not None)
    if len({AgencyCode.normal(o.code) for o in found}) < len(found):
        findings.meaningless(
            "MessageHeader.To.OrganId",
            ERROR,
            vi="Một cơ quan nhận được ghi nhiều lần.",
            en="A recipient is named more than once.",
        )
    return found


def _document_id(message: Section, findings: Findings) -> DocumentId | None:
    path = "MessageHeader.DocumentId"
    text = message.text("DocumentId", longest=_LONGEST_IDENTITY, severity=ERROR, required=WARNING)
    if text is None:
        return None
    document_id = DocumentId(text)
    if document_id.is_uuid:
        findings.bad_form(
            path, "agency, date and number; a random id changes with every retry", WARNING, vi="mã,ngày,số/ký hiệu"
        )
    else:
        _check_document_id(text, path, findings)
    return document_id


def _check_document_id(text: str, path: str, findings: Findings) -> None:
    """Dates inside are never trusted: an official sample has 30 February (domain §1.4)."""
    parts = text.split(",")
    if len(parts) < 3 or "/" not in parts[2]:
        findings.bad_form(path, "OrganId,yyyy/MM/dd,Number/Notation", WARNING)
    elif moments.read_date(parts[1].strip()) is None:
        findings.meaningless(
            path, WARNING, vi=f"{path} chứa ngày không tồn tại.", en=f"{path} holds a date that does not exist."
        )


def _document_type(message: Section, findings: Findings) -> DocumentType | None:
    section = message.section("DocumentType", names.IN_DOCUMENT_TYPE)
    if section is None:
        findings.missing("MessageHeader.DocumentType")
        return None
    return DocumentType(
        type=section.number("Type", required=ERROR),
        detail=section.number("TypeDetail"),
        name=section.text("TypeName", longest=100, required=WARNING),
    )


def _signer(message: Section, findings: Findings) -> SignerInfo | None:
    section = message.section("SignerInfo", names.IN_SIGNER)
    if section is None:
        findings.missing("MessageHeader.SignerInfo", WARNING)
        return None
    return _some(
        SignerInfo(
            competence=section.text("Competence", longest=100),
            position=section.text("Position", longest=100),
            full_name=section.text("FullName", longest=50, required=WARNING),
        )
    )


def _other(message: Section, findings: Findings) -> OtherInfo | None:
    section = message.section("OtherInfo", names.IN_OTHER)
    if section is None:
        return None
    priority = section.number("Priority")
    if priority is not None and not 0 <= priority <= max(Lane):
        findings.meaningless(
            "MessageHeader.OtherInfo.Priority",
            WARNING,
            vi="Độ khẩn không thuộc 0…4; được coi là thường.",
            en="The priority is not one of 0…4; it is taken as normal.",
        )
    appendixes = section.section("Appendixes", names.IN_APPENDIXES)
    return _some(
        OtherInfo(
            priority=priority,
            sphere=section.text("SphereOfPromulgation", longest=100),
            typist=section.text("TyperNotation", longest=10),
            promulgation_amount=section.number("PromulgationAmount"),
            page_amount=section.number("PageAmount"),
            reply_fors=section.text("ReplyFors"),
            direction=section.flag("Direction"),
            reference_codes=section.text("ReferenceCodes"),
            appendixes=() if appendixes is None else appendixes.texts("Appendix"),
        )
    )


def _response(section: Section) -> ResponseFor | None:
    code = section.text("OrganId", longest=AgencyCode.LONGEST)
    document_id = section.text("DocumentId", longest=_LONGEST_IDENTITY)
    return _some(
        ResponseFor(
            code=None if code is None else AgencyCode(code),
            number=section.text("Code", longest=_LONGEST_IDENTITY),
            document_id=None if document_id is None else DocumentId(document_id),
            issued_on=section.date("PromulgationDate"),
        )
    )


_EMPTY: dict[type[object], object] = {kind: kind() for kind in (SignerInfo, OtherInfo, ResponseFor, StaffInfo)}


def _some(value: T) -> T | None:
    """``None`` for a value that says nothing: an element with only empty children is as good as absent."""
    return None if value == _EMPTY[type(value)] else value


# The trace list


def _trace_list(
    section: Section | None, findings: Findings, *, is_status: bool
) -> tuple[tuple[Hop, ...], Business | None]:
    if section is None:
        if not is_status:
            findings.missing(names.TRACE_LIST, WARNING)
        return (), None
    hops = tuple(_hop(s) for s in section.sections(names.TRACE, names.IN_TRACE))
    if not hops:
        findings.missing(f"{names.TRACE_LIST}.{names.TRACE}", WARNING)
    business = section.section(names.BUSINESS, names.IN_BUSINESS)
    paper = section.flag("Paper")  # the kit writes it here or inside Bussiness
    if business is not None:
        return hops, _business(business, findings, paper)
    return hops, None if paper is None else Business(paper=paper)


def _hop(section: Section) -> Hop:
    code = section.text("OrganId", longest=AgencyCode.LONGEST, required=WARNING)
    if code == "null":
        section.findings.meaningless(
            f"{section.path}.OrganId",
            WARNING,
            vi="Mã cơ quan trong vết xử lý là chữ 'null'.",
            en="The agency of a trace header is the word 'null'.",
        )
    return Hop(code=code, at=_moment(section, "Timestamp", WARNING))


def _moment(section: Section, name: str, severity: Severity) -> datetime | None:
    text = section.text(name, required=severity)
    if text is None:
        return None
    read = moments.read_moment(text)
    if read is None or not read[1]:
        section.findings.bad_form(
            f"{section.path}.{name}",
            "a time as yyyy/MM/dd HH:mm:ss",
            severity if read is None else WARNING,
            vi="thời gian dạng yyyy/MM/dd HH:mm:ss",
        )
    return None if read is None else read[0]


def _business(section: Section, findings: Findings, paper: bool | None) -> Business:
    kind = _business_type(section, findings)
    reason = section.text("BussinessDocReason", required=None if kind is BusinessType.NEW else ERROR)
    about = section.text("DocumentId", longest=_LONGEST_IDENTITY, severity=ERROR)
    if about is not None:
        _check_document_id(about, f"{section.path}.DocumentId", findings)
    replaced = section.all("ReplacementInfoList")
    if kind is BusinessType.REPLACE and not replaced:
        findings.missing(f"{section.path}.ReplacementInfoList", WARNING)
    inside = section.flag("Paper")
    return Business(
        type=kind,
        document_id=None if about is None else DocumentId(about),
        reason=reason,
        paper=paper if inside is None else inside,
        changes=tuple(_change(s) for s in section.sections("BussinessDocumentInfo", names.IN_CHANGE)),
        replacements=tuple(
            _replacement(one)
            for s in section.sections("ReplacementInfoList", names.IN_REPLACEMENTS)
            for one in s.sections("ReplacementInfo", names.IN_REPLACEMENT)
        ),
        staff=tuple(p for s in section.sections("StaffInfo", names.IN_STAFF) if (p := _staff(s)) is not None),
    )


def _business_type(section: Section, findings: Findings) -> BusinessType:
    """Absent is new; what is written and not known is an error, because a recall must not pass for a new document."""
    number = section.number("BussinessDocType", bad=ERROR)
    if number is None:
        return BusinessType.NEW
    try:
        return BusinessType(number)
    except ValueError:
        findings.meaningless(
            f"{section.path}.BussinessDocType",
            ERROR,
            vi="Loại nghiệp vụ không thuộc 0…3.",
            en="The business type is not one of 0…3.",
        )
        return BusinessType.NEW


def _change(section: Section) -> DocumentChange:
    receivers = section.section("ReceiverList", names.IN_RECEIVERS)
    written = () if receivers is None else tuple(receivers.sections("Receiver", names.IN_RECEIVER))
    return DocumentChange(
        content=section.flag("DocumentInfo"),
        receivers=section.flag("DocumentReceiver"),
        receiver_changes=tuple(
            ReceiverChange(code=AgencyCode(code), added=s.flag("ReceiverType"))
            for s in written
            if (code := s.text("OrganId", longest=AgencyCode.LONGEST, required=ERROR)) is not None
        ),
    )


def _replacement(section: Section) -> Replacement:
    document_id = section.text("DocumentId", longest=_LONGEST_IDENTITY, severity=ERROR, required=WARNING)
    recipients = section.section("OrganIdList", names.IN_ORGAN_IDS)
    codes = () if recipients is None else recipients.texts("OrganId", longest=AgencyCode.LONGEST)
    return Replacement(
        document_id=None if document_id is None else DocumentId(document_id),
        recipients=tuple(AgencyCode(c) for c in codes),
    )


def _staff(section: Section) -> StaffInfo | None:
    return _some(
        StaffInfo(
            department=section.text("Department"),
            department_id=section.text("DepartmentId"),
            staff=section.text("Staff"),
            staff_id=section.text("StaffId"),
            email=section.text("Email"),
            mobile=section.text("Mobile"),
        )
    )


# Statuses


def _status_of(known: _Known, message: Section, findings: Findings) -> Envelope | None:
    """About which document, to whom, and what; ``None`` when what is reported cannot be said."""
    written = tuple(r for s in message.sections("ResponseFor", names.IN_RESPONSE) if (r := _response(s)) is not None)
    path = "MessageHeader.ResponseFor"
    if not written:
        findings.missing(path)
    elif len(written) > 1:
        findings.meaningless(
            path,
            ERROR,
            vi="Gói trạng thái nói về nhiều văn bản.",
            en="The status speaks of several documents.",
        )
    else:
        about = written[0]
        if about.code is None:
            findings.missing(f"{path}.OrganId")
        elif len(about.code) > AgencyCode.LONGEST:
            findings.too_long(f"{path}.OrganId", AgencyCode.LONGEST, ERROR)
        if about.document_id is None and (about.number is None or about.issued_on is None):
            findings.missing(f"{path}.DocumentId")
    for name in ("To", "Code", "Subject"):
        if name in message:
            findings.meaningless(
                f"MessageHeader.{name}",
                WARNING,
                vi=f"{name} không dùng trong gói trạng thái.",
                en=f"{name} has no meaning in a status package and was not read.",
            )
    status = _status(message, findings)
    if status is None:
        return None
    return Envelope(sender=known.sender, trace=known.trace, business=known.business, responses=written, status=status)


def _status(message: Section, findings: Findings) -> StatusReport | None:
    code = _status_code(message, findings)
    needed = code is not None and code.needs_reason
    description = message.text("Description", required=ERROR if needed else None)
    reported_at = _moment(message, "Timestamp", ERROR)
    staff = message.section("StaffInfo", names.IN_STAFF)
    if code is None or reported_at is None:
        return None
    return StatusReport(
        code=code,
        description=description,
        reported_at=reported_at,
        staff=None if staff is None else _staff(staff),
    )


def _status_code(message: Section, findings: Findings) -> StatusCode | None:
    path = "MessageHeader.StatusCode"
    text = message.text("StatusCode", required=ERROR)
    if text is None:
        return None
    try:
        code = StatusCode(text.zfill(2))
    except ValueError:
        findings.meaningless(
            path, ERROR, vi="Mã trạng thái không thuộc danh mục.", en="The status code is not one of the list."
        )
        return None
    if code != text:
        findings.bad_form(path, "two digits", WARNING, vi="hai chữ số")
    return code


# Secrets


def _refuse_secrets(envelope: Envelope, findings: Findings) -> None:
    """Documents with state secrets never travel here (QĐ 28/2018 Art. 1(2))."""
    other, kind = envelope.other, envelope.document_type
    marked = {
        "MessageHeader.OtherInfo.SphereOfPromulgation": other is not None and is_marked(other.sphere or "", bare=True),
        "MessageHeader.Code.CodeNotation": is_marked(envelope.number.notation or ""),
        "MessageHeader.DocumentType.TypeName": kind is not None and is_marked(kind.name or "", bare=True),
        "MessageHeader.Subject": is_marked_in_brackets(envelope.subject or ""),
    }
    for path, secret in marked.items():
        if secret:
            findings.meaningless(
                path,
                ERROR,
                vi="Văn bản mang dấu chỉ độ mật; không được gửi qua trục liên thông.",
                en="The document carries a secrecy mark; such documents must not travel over the axis.",
            )
