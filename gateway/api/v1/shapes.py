"""
What goes in and out as JSON: the public contract, as models that the OpenAPI document is made from.

Times are ISO 8601 with offset, in UTC; dates ``yyyy-MM-dd``; codes as in the directory.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.ledger.records import (
    AttemptRow,
    DeliveryRow,
    DocumentSummary,
    EventRow,
    ExaminationRow,
    LogRow,
    OperationRow,
    OperationState,
    StatusRow,
)
from gateway.model import (
    Agency,
    AgencyCode,
    Attachment,
    BusinessType,
    DeliveryState,
    DocumentId,
    DocumentNumber,
    DocumentType,
    Envelope,
    ExaminationKind,
    ExaminationState,
    FilePart,
    FileSignature,
    FileStanding,
    FileVerdict,
    Organization,
    OtherInfo,
    PackageKind,
    RecallState,
    Reference,
    ResponseFor,
    SignerInfo,
    SignerRole,
    StatusCode,
    Verdict,
    Violation,
)


def _usable(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("A time needs its offset, e.g. 2026-01-31T07:00:00+07:00.")
    if not 1900 <= moment.year <= 2200:
        raise ValueError("The year is not between 1900 and 2200.")
    return moment


Moment = Annotated[datetime, AfterValidator(_usable)]
"""A time with its offset, far enough from the ends of the calendar to be told in any other."""


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Out(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid")


# In


class DocumentPath(BaseModel):
    """A document by the gateway's id."""

    document: str = Field(description="The gateway's id of the document (UUID)")


class DeliveryPath(BaseModel):
    """A delivery of the caller's mailbox."""

    delivery: str = Field(description="The id of the delivery (UUID)")


class DocumentsQuery(_Query):
    """Filters of the list; all must hold."""

    agency: str | None = Field(None, description="Code of the sender or of a recipient")
    sender: str | None = None
    recipient: str | None = None
    state: DeliveryState | None = Field(None, description="Some delivery is in this state")
    operation: OperationState | None = Field(
        None, description="A recall, update or replacement stands so at some copy; e.g. `requested`: not answered yet"
    )
    kind: PackageKind | None = None
    since: Moment | None = Field(None, description="Accepted at or after; ISO 8601 with offset")
    until: Moment | None = Field(None, description="Accepted before; ISO 8601 with offset")
    q: str | None = Field(None, max_length=200, description="Words; accents and case ignored")
    document_id: str | None = Field(None, max_length=500, description="DocumentId as the sender gave it")
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=200)


class InboxQuery(_Query):
    """Paging of the mailbox."""

    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=200)


class AgenciesQuery(_Query):
    """Search for recipients."""

    q: str = Field("", max_length=200, description="Part of a name or code; accents ignored")
    limit: int = Field(20, ge=1, le=100)


class AckIn(_In):
    """The receiver has stored the document."""

    token: str = Field(max_length=100, description="From the lock")


class RefuseIn(_In):
    """The receiver does not take the document."""

    token: str = Field(max_length=100, description="From the lock")
    reason: str = Field(max_length=2000, description="Travels to the sender with status 02")


class StatusIn(_In):
    """A status on a received document."""

    document: str = Field(max_length=100, description="The gateway's id of the document")
    code: StatusCode = Field(
        description="01 and 03 to 06 only once the document is collected; 01 is the gateway's to send"
    )
    description: str | None = Field(None, max_length=2000, description="Must be given with 02, 13 and 16")
    agency: str | None = Field(
        None, max_length=35, description="Whose copy, when there are several that the caller has to do with"
    )
    reported_at: Moment | None = Field(None, description="ISO 8601 with offset; absent means now")


class NumberIn(_In):
    """Số và ký hiệu."""

    number: str = Field(min_length=1, max_length=11)
    notation: str = Field(min_length=1, max_length=30)


class TypeIn(_In):
    """Kind of document."""

    type: int | None = Field(None, description="1 legal, 2 administrative")
    detail: int | None = None
    name: str = Field(min_length=1, max_length=100, description="Công văn, Quyết định, …")


class SignerIn(_In):
    """Who signed the paper, in words."""

    competence: str | None = Field(None, max_length=100)
    position: str | None = Field(None, max_length=100)
    full_name: str | None = Field(None, max_length=50)


class RecipientIn(_In):
    """One recipient."""

    code: str = Field(min_length=1, max_length=35)
    name: str | None = Field(None, max_length=200, description="Absent means as in the directory")


class ResponseIn(_In):
    """A document that this one answers."""

    code: str | None = Field(None, max_length=35)
    number: str | None = Field(None, max_length=50, description="7816/VPCP-TTĐT")
    document_id: str | None = Field(None, max_length=255)
    issued_on: date | None = None


class MetadataIn(_In):
    """
    The ``metadata`` part of a multipart post: what an edXML header says.

    What is not here the gateway adds only where it knows it: the agencies' names from the directory, the sender's
    trace header at the moment of the first post, the business type 0, and a DocumentId in the form of QĐ 28/2018 made
    from sender, date and number when none is given.
    """

    sender: str | None = Field(None, max_length=35, description="Absent means the agency of the key")
    recipients: list[RecipientIn] = Field(min_length=1, max_length=5000)
    number: NumberIn
    issued_on: date
    issued_place: str = Field(min_length=1, max_length=50)
    document_type: TypeIn
    subject: str = Field(min_length=1, max_length=500)
    content: str | None = Field(None, max_length=500)
    signer: SignerIn | None = None
    due_on: date | None = None
    priority: int = Field(0, ge=0, le=4)
    document_id: str | None = Field(None, max_length=255)
    steering_type: int | None = Field(None, ge=0, le=3)
    places: list[str] = Field(default_factory=list, max_length=200)
    responses: list[ResponseIn] = Field(default_factory=list, max_length=200)

    def envelope(self, sender: Agency, references: tuple[Reference, ...]) -> Envelope:
        """The model of the package to write."""
        code = AgencyCode(self.sender) if self.sender else sender.code
        number = DocumentNumber(number=self.number.number, notation=self.number.notation)
        made = f"{code},{self.issued_on:%Y/%m/%d},{number.text}"
        return Envelope(
            sender=Organization(code=code, name=sender.name),
            recipients=tuple(Organization(code=AgencyCode(r.code), name=r.name) for r in self.recipients),
            document_id=DocumentId(self.document_id or made),
            number=number,
            issued_place=self.issued_place,
            issued_on=self.issued_on,
            document_type=DocumentType(**self.document_type.model_dump()),
            subject=self.subject,
            content=self.content,
            signer=SignerInfo(**self.signer.model_dump()) if self.signer else None,
            due_on=self.due_on,
            other=OtherInfo(priority=self.priority),
            steering_type=self.steering_type,
            places=tuple(self.places),
            responses=tuple(
                ResponseFor(
                    code=AgencyCode(r.code) if r.code else None,
                    number=r.number,
                    document_id=DocumentId(r.document_id) if r.document_id else None,
                    issued_on=r.issued_on,
                )
                for r in self.responses
            ),
            references=references,
        )


class RevokeIn(_In):
    """Take a document back."""

    reason: str = Field(max_length=500, description="Travels to the recipients")
    recipients: list[str] | None = Field(
        None, max_length=5000, description="Whose copies, by code; absent means all that can still be asked for"
    )


class UpdateIn(_In):
    """
    A new version of a document for its recipients; what is absent stays as it was.

    Files, when there are any, take the place of all that there were.
    """

    reason: str = Field(max_length=500, description="Travels to the recipients")
    added: list[str] = Field(default_factory=list, max_length=5000, description="Codes of further recipients")
    issued_place: str | None = Field(None, min_length=1, max_length=50)
    document_type: TypeIn | None = None
    subject: str | None = Field(None, min_length=1, max_length=500)
    content: str | None = Field(None, max_length=500)
    signer: SignerIn | None = None
    due_on: date | None = None
    priority: int | None = Field(None, ge=0, le=4)
    steering_type: int | None = Field(None, ge=0, le=3)
    places: list[str] | None = Field(None, max_length=200)

    def changes(self, now: OtherInfo | None) -> dict[str, Any]:
        """
        The members of the envelope that are given.

        :param now: as the document has it; the priority is one of its members.
        """
        given: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("issued_place", "subject", "content", "due_on", "steering_type")
            if getattr(self, name) is not None
        }
        if self.document_type is not None:
            given["document_type"] = DocumentType(**self.document_type.model_dump())
        if self.signer is not None:
            given["signer"] = SignerInfo(**self.signer.model_dump())
        if self.places is not None:
            given["places"] = tuple(self.places)
        if self.priority is not None:
            given["other"] = replace(now or OtherInfo(), priority=self.priority)
        return given


class ReplaceIn(MetadataIn):
    """A new document that takes the place of earlier ones."""

    reason: str = Field(max_length=500, description="Travels to the recipients")
    also: list[str] = Field(
        default_factory=list, max_length=50, description="Further documents that it takes the place of; gateway's ids"
    )


# Out


class ReceiptOut(BaseModel):
    """Proof of acceptance. ``jws`` holds the same facts, signed by the gateway (ES256 or RS256)."""

    model_config = ConfigDict(extra="allow")

    id: str
    gateway: str
    document_id: str | None
    sender: str
    recipients: list[str]
    sha256: str
    size: int
    accepted_at: datetime
    standing: str
    jws: str
    duplicate: bool = Field(False, description="The package had been accepted before; this is the first receipt")


class VerdictOut(_Out):
    """The judgement on the package's signature at the moment of receipt."""

    standing: str
    reason: str
    judged_at: datetime
    signed_by: str | None
    certificate_sha256: str | None
    subject: str | None
    signature_method: str | None
    digest_method: str | None
    canonicalization: str | None
    revocation: str | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, verdict: Verdict) -> VerdictOut:
        """From the ledger's value."""
        return cls(**{name: getattr(verdict, name) for name in cls.model_fields})


class JudgementOut(_Out):
    """One judgement of a package whose verdict has changed."""

    at: datetime
    cause: str = Field(
        description="`receipt`, `revoked` (a revocation became known), `unrevoked` (it was lifted), `known` (what was "
        "indeterminate is known)"
    )
    verdict: VerdictOut


class DeliveryOut(_Out):
    """One recipient's copy."""

    id: str
    recipient: str
    recipient_name: str | None
    as_written: str
    via: str
    channel: str
    redirected_from: str | None
    state: DeliveryState
    status: StatusCode | None
    status_at: datetime | None
    recall: RecallState
    attempts: int
    error_code: str | None
    changed_at: datetime

    @classmethod
    def of(cls, row: DeliveryRow) -> DeliveryOut:
        """From the ledger's row."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class DocumentOut(_Out):
    """One accepted package, as listed."""

    id: str
    kind: PackageKind
    sender: str
    sender_name: str | None
    document_id: str | None
    business_type: int
    number: str | None
    notation: str | None
    issued_on: date | None
    type_name: str | None
    subject: str | None
    lane: int
    sha256: str
    size: int
    forward_sha256: str | None
    received_at: datetime
    received_from: str
    verdict: VerdictOut

    @classmethod
    def of(cls, row: DocumentSummary) -> DocumentOut:
        """From the ledger's row."""
        plain = set(cls.model_fields) - {"business_type", "lane", "verdict"}
        return cls(
            **{name: getattr(row, name) for name in plain},
            business_type=BusinessType(row.business_type).value,
            lane=int(row.lane),
            verdict=VerdictOut.of(row.verdict),
        )


class ViolationOut(_Out):
    """One departure from QCVN 102 that was tolerated."""

    code: str
    severity: str
    vi: str
    en: str

    @classmethod
    def of(cls, violation: Violation) -> ViolationOut:
        """From the model."""
        return cls(code=violation.code, severity=violation.severity, vi=violation.vi, en=violation.en)


class AttachmentOut(_Out):
    """One attached file; size and hash are of its unwrapped content."""

    content_id: str
    name: str
    size: int
    sha256: str
    media_type: str

    @classmethod
    def of(cls, attachment: Attachment) -> AttachmentOut:
        """From the model."""
        return cls(**{name: getattr(attachment, name) for name in cls.model_fields})


class FileSignatureOut(_Out):
    """One signature inside a file."""

    field: str = Field(description="Name of the signature field, or of the part of the file")
    role: SignerRole
    standing: FileStanding
    reason: str = Field(description="Stable code")
    subject: str | None = Field(description="RFC 4514 subject of the signer's certificate")
    certificate_sha256: str | None
    claimed_at: datetime | None = Field(description="When the signer says that it signed")
    stamped_at: datetime | None = Field(description="When a trusted time-stamp authority says so")
    revision: int | None = Field(description="Of the file, counted from 1, that the signature covers")
    revisions: int | None
    added_after: list[str] = Field(description="What later revisions added: `signature`, `stamp`, `form`, `content`")

    @classmethod
    def of(cls, signature: FileSignature) -> FileSignatureOut:
        """From the model."""
        plain = set(cls.model_fields) - {"added_after"}
        return cls(**{name: getattr(signature, name) for name in plain}, added_after=list(signature.added_after))


class FileOut(_Out):
    """What the signatures inside one attached file, or one file inside an attached archive, were judged to be."""

    content_id: str
    name: str
    member: str | None = Field(description="Path inside the archive; absent: the attachment itself")
    format: str
    standing: FileStanding
    reason: str = Field(description="Stable code")
    judged_at: datetime
    has_person: bool = Field(description="Whether a competent person's signature is present and valid")
    has_agency: bool = Field(description="Whether the agency's signature is present and valid")
    part: FilePart | None = Field(
        description="Where the document's type requires signatures: the dispatch, or enclosed with it"
    )
    lacks: list[SignerRole] = Field(description="Whose signatures are required of this file and are not there, valid")
    signatures: list[FileSignatureOut]

    @classmethod
    def of(cls, verdict: FileVerdict) -> FileOut:
        """From the model."""
        plain = set(cls.model_fields) - {"signatures", "lacks"}
        return cls(
            **{name: getattr(verdict, name) for name in plain},
            lacks=list(verdict.lacks),
            signatures=[FileSignatureOut.of(s) for s in verdict.signatures],
        )


class ExaminationOut(_Out):
    """What the document was, or is to be, examined for."""

    kind: ExaminationKind
    state: ExaminationState
    holds: bool = Field(description="Whether the document is handed over only when this is done")
    reason: str | None = Field(description="Stable code: what was found, or why it is not done yet")
    detail: str | None
    changed_at: datetime
    scanned: int | None = Field(description="How many files were searched for malware; absent: none")
    scanner: str | None

    @classmethod
    def of(cls, row: ExaminationRow) -> ExaminationOut:
        """From the ledger's row."""
        plain = set(cls.model_fields) - {"scanned", "scanner"}
        return cls(
            **{name: getattr(row, name) for name in plain},
            scanned=row.result.scanned if row.result else None,
            scanner=row.result.scanner if row.result else None,
        )


class DocumentDetailOut(DocumentOut):
    """One document with its copies, files and warnings."""

    deliveries: list[DeliveryOut]
    attachments: list[AttachmentOut]
    files: list[FileOut] = Field(description="The signatures inside the attached files, once they have been judged")
    examinations: list[ExaminationOut]
    warnings: list[ViolationOut]
    judgements: list[JudgementOut] = Field(
        description="How the package was judged at receipt and since, oldest first; empty when the first verdict stands"
    )


class DocumentsOut(_Out):
    """A page of the list; ``next`` is the cursor of what follows."""

    documents: list[DocumentOut]
    next: str | None


class EventOut(_Out):
    """One step."""

    at: datetime
    action: str
    delivery: str | None
    actor: str | None
    data: dict[str, Any]

    @classmethod
    def of(cls, row: EventRow) -> EventOut:
        """From the ledger's row."""
        return cls(at=row.at, action=row.action, delivery=row.delivery, actor=row.actor, data=dict(row.data))


class AttemptOut(_Out):
    """One try of a delivery."""

    delivery: str
    number: int
    started_at: datetime
    ended_at: datetime
    outcome: str
    code: str | None
    detail: str | None

    @classmethod
    def of(cls, row: AttemptRow) -> AttemptOut:
        """From the ledger's row."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class StatusOut(_Out):
    """One report on the document."""

    id: str
    package: str
    delivery: str | None
    code: StatusCode
    description: str | None
    reported_at: datetime
    received_at: datetime
    reporter: str
    effect: str

    @classmethod
    def of(cls, row: StatusRow) -> StatusOut:
        """From the ledger's row."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class OperationOut(_Out):
    """A recall, an update or a replacement at one recipient, and how it was answered."""

    package: str = Field(description="The gateway's id of the operation, or of the status 13")
    business_type: int = Field(description="1 recall, also by status 13; 2 update; 3 replacement")
    recipient: str
    document: str | None = Field(description="The document that it concerns; null when that is not known here")
    delivery: str | None = Field(description="The recipient's copy of that document")
    state: OperationState
    asked_at: datetime
    answered_at: datetime | None
    answered_by: str | None = Field(description="The receiver, or the gateway")
    reason: str | None = Field(description="The answer's words")

    @classmethod
    def of(cls, row: OperationRow) -> OperationOut:
        """From the ledger's row."""
        plain = set(cls.model_fields) - {"business_type"}
        return cls(**{name: getattr(row, name) for name in plain}, business_type=row.business_type.value)


class TraceOut(_Out):
    """The way of a document so far; each list oldest first."""

    document: DocumentOut
    deliveries: list[DeliveryOut]
    attempts: list[AttemptOut]
    statuses: list[StatusOut]
    operations: list[OperationOut]
    events: list[EventOut]


class EvidenceOut(_Out):
    """
    What proves the acceptance: the signed receipt, the signed seal (XML), and the certificate that signed them.

    The receipt's ``jws`` names the certificate in ``kid`` by its SHA-256; it is ``null`` when the gateway has had
    another since and does not have this one at hand.
    """

    receipt: ReceiptOut
    seal: str
    certificate: str | None
    verdict: VerdictOut
    statuses: list[StatusOut]


class InboxItemOut(_Out):
    """One thing to collect."""

    delivery: str
    document: DocumentOut
    recipient: str
    as_written: str
    locked: bool

    @classmethod
    def of(cls, row: LogRow) -> InboxItemOut:
        """From the ledger's row."""
        return cls(
            delivery=row.delivery.id,
            document=DocumentOut.of(row.document),
            recipient=row.delivery.recipient,
            as_written=row.delivery.as_written,
            locked=row.delivery.state is DeliveryState.LEASED,
        )


class InboxOut(_Out):
    """A page of the mailbox, most urgent first."""

    items: list[InboxItemOut]
    next: str | None


class LockOut(_Out):
    """The right to acknowledge or refuse, until the time given."""

    delivery: str
    token: str
    until: datetime


class SettledOut(_Out):
    """The end of a mailbox delivery; ``repeated`` tells that an earlier request had ended it."""

    delivery: str
    state: DeliveryState
    at: datetime
    repeated: bool


class AgencyOut(_Out):
    """An agency that may be written to."""

    code: str
    aliases: list[str]
    name: str
    level: str
    parent: str | None
    valid_from: date | None
    valid_to: date | None
    successors: list[str]

    @classmethod
    def of(cls, agency: Agency) -> AgencyOut:
        """From the directory's value."""
        return cls(
            **{name: getattr(agency, name) for name in ("code", "name", "level", "parent", "valid_from", "valid_to")},
            aliases=list(agency.aliases),
            successors=list(agency.successors),
        )


class AgenciesOut(_Out):
    """Agencies found, best first."""

    agencies: list[AgencyOut]


class ProblemOut(BaseModel):
    """RFC 9457 problem; ``code`` is stable, see ``docs/errors.md``."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    vi: str
    en: str
    request_id: str | None = None
    path: str | None = None
