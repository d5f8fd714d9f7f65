"""
What is put into the ledger and what is read from it, as values.

Every time is aware UTC. Every agency code is the primary code of the directory unless the
field says ``as_written``. Ids are UUIDv7 as text (``new_id``), so they sort by age.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, TypeVar

import uuid_utils

from gateway.ledger.actions import Action
from gateway.ledger.identity import number_in
from gateway.model import (
    AgencyCode,
    Attachment,
    BusinessType,
    Channel,
    DeliveryState,
    DocumentNumber,
    ExaminationKind,
    ExaminationState,
    FileVerdict,
    Lane,
    PackageKind,
    RecallState,
    StatusCode,
    Verdict,
    Violation,
)

T = TypeVar("T")


def new_id() -> str:
    """A fresh id for a document, a delivery or a status: UUIDv7, lower-case text."""
    return str(uuid_utils.uuid7())


# Put in


@dataclass(frozen=True, kw_only=True)
class NewDocument:
    """One package to accept, a dispatch or a status."""

    id: str
    """The gateway's own id (``new_id``); receipts name it."""
    kind: PackageKind
    sender: AgencyCode
    sender_as_written: AgencyCode
    sender_name: str | None = None
    """For reading and searching only."""
    document_id: str | None = None
    """As sent."""
    identity: str
    """``Envelope.identity``, or ``sha256:`` and the package's hash when that is ``None``; for a status always
    the latter."""
    alias: str | None = None
    """The other name under which a status may refer to it: number, notation and date (``~2026/11/22,07/QĐ``)
    when the identity is a DocumentId; the key of a random DocumentId when it is not."""
    business_type: BusinessType = BusinessType.NEW
    revision: str = ""
    """Empty for a new document and for a status; the package's SHA-256 for business types 1–3, which repeat the id."""
    targets: tuple[str, ...] = ()
    """Identities of the sender's earlier documents that this one operates on; it does not overtake them."""
    sha256: str
    """Of the package as received, lower-case hex."""
    size: int
    payload: bytes | None = None
    """The package when it is kept in the ledger; ``None`` when it is already in the payload store."""
    forward_sha256: str | None = None
    """Of the package as completed by the gateway; ``None`` when it is forwarded as received."""
    forward_size: int | None = None
    forward_payload: bytes | None = None
    """As ``payload``, for the completed package."""
    number: str | None = None
    notation: str | None = None
    issued_on: date | None = None
    type_name: str | None = None
    subject: str | None = None
    lane: Lane = Lane.NORMAL
    verdict: Verdict
    warnings: tuple[Violation, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    received_at: datetime
    received_from: AgencyCode
    """The agency of the credential that handed it over."""
    system: str | None = None
    """Id of the system whose credential it was, for the event only; ``None``: it was an API key, or made here."""
    receipt: str
    """JSON, signed; returned again to every repetition."""
    seal: bytes


@dataclass(frozen=True, kw_only=True)
class NewDelivery:
    """The promise to hand a document over to one recipient."""

    id: str
    recipient: AgencyCode
    as_written: AgencyCode
    recipient_name: str | None = None
    """For reading and searching only."""
    via: AgencyCode
    """The agency whose endpoint is used: the recipient or an ancestor, or the gateway above."""
    channel: Channel
    lane: Lane = Lane.NORMAL
    due_at: datetime
    redirected_from: AgencyCode | None = None


@dataclass(frozen=True, kw_only=True)
class NewStatus:
    """What a status package reports; accepted together with that package."""

    id: str
    code: StatusCode
    description: str | None = None
    reported_at: datetime
    """The reporter's clock."""
    reporter: AgencyCode
    about_sender: AgencyCode
    """Sender of the document reported on: ``ResponseFor.OrganId``; for code 13 the reporter itself."""
    about_identity: str
    """Identity of that document as its ``ResponseFor`` gives it (DocumentId key first)."""
    about_alias: str | None = None
    """The second name that ``ResponseFor`` allows (number and date, or a random DocumentId)."""
    copy_of: tuple[AgencyCode, ...]
    """Whose copy is reported on, as primary codes: first the reporter, or for code 13 the receiver that is asked;
    then others with which it has become one. A copy that was redirected from one of them counts as well."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A status that the gateway makes itself while it settles a delivery; recorded in the same transaction."""

    document: NewDocument
    deliveries: tuple[NewDelivery, ...]
    status: NewStatus


class Finding(enum.StrEnum):
    """What an operation meets at one recipient; decided once, when it is accepted."""

    ASKED = "asked"
    """The recipient has a copy, or one is on its way: it is asked, and answers."""
    NEW = "new"
    """An update or a replacement comes to somebody without a copy: nothing is asked, it is a document like any."""
    UNCOLLECTED = "uncollected"
    """A recall of what nobody has collected: it is taken back at once."""
    TAKEN_BACK = "taken_back"
    """A recall of what was taken back before."""
    ORPHAN = "orphan"
    """The document meant is not known."""
    NOT_SENT = "not_sent"
    """A recall; the document is known, but was never sent to this recipient."""
    REFUSED = "refused"
    """A recall; this recipient had refused the document."""

    @property
    def answer(self) -> StatusCode | None:
        """What the gateway answers by itself; ``None``: nothing, or the recipient does."""
        if self in (Finding.UNCOLLECTED, Finding.TAKEN_BACK):
            return StatusCode.AGREED
        if self in (Finding.ORPHAN, Finding.NOT_SENT, Finding.REFUSED):
            return StatusCode.DISAGREED
        return None


@dataclass(frozen=True, kw_only=True)
class Found:
    """One finding."""

    recipient: AgencyCode
    place: AgencyCode
    """Whose copy was meant first of all; several may be asked of one recipient, which has taken their places."""
    finding: Finding
    document: str | None
    """The gateway's id of the document meant; ``None`` for an orphan."""
    delivery: str | None
    """The recipient's copy of it."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What an operation asks of one recipient."""

    recipient: AgencyCode
    places: tuple[AgencyCode, ...]
    """Whose copy may be meant: first the agency named, then the recipient and those whose place it has taken."""
    aims: tuple[tuple[str, ...], ...]
    """For each document meant the names that it may have, the surest first; none for a recipient that is asked
    nothing."""
    replies: Mapping[Finding, Reply] = field(default_factory=dict)
    """The answers that the gateway gives itself, prepared for what is to be found."""


@dataclass(frozen=True, kw_only=True)
class NewOperation:
    """A recall, an update or a replacement (business types 1–3, status 13); accepted together with its package."""

    business_type: BusinessType
    senders: tuple[AgencyCode, ...]
    """Whose documents may be meant: the sender's own first, then those of agencies that it has succeeded."""
    asked: tuple[Asked, ...]
    take_back: bool
    """Whether what nobody has collected is taken back at once."""
    answers_orphans: bool = True
    """False when the gateway that handed it over has answered already."""
    gateway: AgencyCode
    """This gateway's code: who answers where nobody else can."""

    def needs_reply(self, finding: Finding) -> bool:
        """Whether the gateway answers this itself."""
        if finding in (Finding.ORPHAN, Finding.NOT_SENT) and not self.answers_orphans:
            return False
        return finding.answer is not None


@dataclass(frozen=True, kw_only=True)
class NewEvent:
    """A step worth keeping besides those that the ledger records itself."""

    action: Action
    data: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: codes, counts, hashes. Never payloads or personal data."""
    actor: str | None = None


@dataclass(frozen=True, kw_only=True)
class NewRefusal:
    """A package that was turned away."""

    at: datetime
    credential_agency: AgencyCode | None
    """``None`` when the caller was not known."""
    code: str
    """Of the error."""
    path: str | None = None
    detail: str
    sha256: str | None = None
    """``None`` when the body was not read to its end."""
    size: int
    payload: bytes | None = None
    """Kept up to a bound; ``None`` when it is too large."""


# Answers


class StatusEffect(enum.StrEnum):
    """What a status changed when it was recorded."""

    PARKED = "parked"
    """Its document is unknown; it waits for it."""
    ADVANCED = "advanced"
    """The delivery's status moved forward."""
    REFUSED = "refused"
    """The delivery is refused."""
    RECORDED = "recorded"
    """History only: a late lower rank, a repetition of what is known, or 13, 15, 16."""
    CONTRADICTORY = "contradictory"
    """02 after the document was registered: history, and a hint to the operator."""
    UNMATCHED = "unmatched"
    """The document is known, but no delivery of it to the reporter; it waits for one."""
    ANSWERED = "answered"
    """15 or 16: what a recall, an update or a replacement asked is settled."""


class OperationState(enum.StrEnum):
    """What has become of one operation on one copy."""

    REQUESTED = "requested"
    """The receiver has not answered yet."""
    AGREED = "agreed"
    """15, by the receiver, or by the gateway for a copy that nobody had collected."""
    DECLINED = "declined"
    """16, by the receiver, or by the gateway because there is nothing to take back; may be asked again."""
    ORPHAN = "orphan"
    """The document meant is not known here; the gateway has answered 16, the receiver may still know better."""
    LAPSED = "lapsed"
    """The copy was taken back or refused before this was answered."""

    @property
    def is_open(self) -> bool:
        """Whether an answer of the receiver still counts."""
        return self in (OperationState.REQUESTED, OperationState.ORPHAN)


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The document is durable."""

    document_id: str
    """The gateway's id."""
    receipt: str
    status_effect: StatusEffect | None = None
    """``None`` for a dispatch."""


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """The same package was accepted before."""

    document_id: str
    """The gateway's id of the first."""
    receipt: str
    """The first receipt."""
    added: tuple[str, ...] = ()
    """Ids of deliveries made now, for recipients that the first request did not ask for."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A worker's right to try one delivery, until the lease ends."""

    delivery_id: str
    token: str
    """Fences ``settle``: another worker's claim has another one."""
    worker: str
    leased_until: datetime
    claimed_at: datetime
    attempt: int
    """1 for the first try since acceptance, unblocking or replay; counted when claimed."""
    tried_before: bool
    """Whether there was any try before this one, also before a replay: the receiver may have the document."""
    trying_since: datetime
    """Acceptance, unblocking or last replay: what the retry policy's patience counts from."""
    accepted_at: datetime
    document_id: str
    """The gateway's id."""
    kind: PackageKind
    sender: AgencyCode
    recipient: AgencyCode
    as_written: AgencyCode
    via: AgencyCode
    channel: Channel
    lane: Lane
    sha256: str
    """Of the package to send: as completed by the gateway, else as received."""
    size: int
    endpoint_failures: int
    """Failures in a row at this endpoint before this claim."""
    probe: bool
    """True when the endpoint's circuit is open and this one try may close it."""


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """The receiver's own system has it."""

    detail: str | None = None


@dataclass(frozen=True, kw_only=True)
class Forwarded:
    """The next gateway has accepted it."""

    receipt: str
    """Its receipt, kept with the attempt."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """This try did not succeed; there will be another."""

    code: str
    """Dotted code of the error."""
    detail: str
    """Free of secrets and personal data."""
    retry_at: datetime


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The receiver, or the next gateway, refused it for good."""

    code: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Abandoned:
    """The last try did not succeed; only a replay will bring another."""

    code: str
    detail: str


Outcome = Delivered | Forwarded | Failed | Refused | Abandoned


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A receiver's right to acknowledge or refuse one delivery of its mailbox."""

    delivery_id: str
    token: str
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Settled:
    """The end of a mailbox delivery."""

    delivery_id: str
    state: DeliveryState
    at: datetime
    """When it was first settled."""
    repeated: bool
    """True when this request only repeated an earlier one; nothing was changed."""


# Read


@dataclass(frozen=True, kw_only=True)
class DocumentSummary:
    """One accepted package, as listed."""

    id: str
    kind: PackageKind
    sender: AgencyCode
    sender_as_written: AgencyCode
    sender_name: str | None
    document_id: str | None
    identity: str
    alias: str | None
    business_type: BusinessType
    targets: tuple[str, ...]
    sha256: str
    size: int
    forward_sha256: str | None
    forward_size: int | None
    number: str | None
    notation: str | None
    issued_on: date | None
    type_name: str | None
    subject: str | None
    lane: Lane
    verdict: Verdict
    received_at: datetime
    received_from: AgencyCode

    @property
    def sent_sha256(self) -> str:
        """Of the package as it leaves this gateway."""
        return self.forward_sha256 or self.sha256


@dataclass(frozen=True, kw_only=True)
class DocumentRow(DocumentSummary):
    """One accepted package with all that is kept of it besides its bytes."""

    warnings: tuple[Violation, ...]
    attachments: tuple[Attachment, ...]
    receipt: str
    seal: bytes


@dataclass(frozen=True, kw_only=True)
class DeliveryRow:
    """One delivery."""

    id: str
    document: str
    """The gateway's id of the document."""
    sender: AgencyCode
    recipient: AgencyCode
    recipient_name: str | None
    as_written: AgencyCode
    via: AgencyCode
    channel: Channel
    lane: Lane
    redirected_from: AgencyCode | None
    state: DeliveryState
    due_at: datetime
    """Next try while waiting, end of the lease while leased; past and meaningless afterwards."""
    blocked: bool
    """Waits until an earlier delivery to the same recipient has left."""
    attempts: int
    """All tries, replays included."""
    created_at: datetime
    changed_at: datetime
    settled_at: datetime | None
    """When it was forwarded, delivered, refused, abandoned or withdrawn; ``None`` while open."""
    error_code: str | None
    """Of the last failed try; ``None`` when none failed since, or it was replayed."""
    status: StatusCode | None
    """The furthest that the receiver reported, or 02."""
    status_at: datetime | None
    recall: RecallState
    """What has become of the sender's wish to take it back or to change it."""

    @property
    def hidden(self) -> bool:
        """Not its receiver's to see: held up behind an earlier one, or taken back before it was collected."""
        return self.blocked or (self.state is DeliveryState.WITHDRAWN and self.status is None)


@dataclass(frozen=True, kw_only=True)
class LogRow:
    """One line of the routing log: a delivery and its document."""

    delivery: DeliveryRow
    document: DocumentSummary


@dataclass(frozen=True, kw_only=True)
class AttemptRow:
    """One try of a delivery."""

    id: int
    delivery: str
    number: int
    worker: str
    started_at: datetime
    ended_at: datetime
    outcome: str
    """``delivered``, ``forwarded``, ``failed``, ``refused``, ``abandoned``, or ``lost`` when the worker died."""
    code: str | None
    detail: str | None
    receipt: str | None
    """Of the next gateway."""


@dataclass(frozen=True, kw_only=True)
class StatusRow:
    """One reported status."""

    id: str
    package: str
    """The gateway's id of the status package."""
    document: str | None
    """The gateway's id of the document reported on; ``None`` while parked."""
    delivery: str | None
    code: StatusCode
    description: str | None
    reported_at: datetime
    received_at: datetime
    reporter: AgencyCode
    about_sender: AgencyCode
    about_identity: str
    effect: StatusEffect


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a status package says, and of which document."""

    package: str
    """The gateway's id of the status package."""
    code: StatusCode
    document: str | None
    """The gateway's id of the document reported on; ``None`` while parked."""
    number: str | None
    """Of that document, as its notation."""
    notation: str | None
    about_identity: str
    """As the status names the document, and so its alias."""
    about_alias: str | None

    @property
    def about(self) -> str | None:
        """What people call the document: its number, else the one in the status's names for it, else such a name."""
        names = [name for name in (self.about_identity, self.about_alias) if name]
        numbers = (number_in(name) for name in names)
        own = DocumentNumber(number=self.number, notation=self.notation).text
        return next((text for text in (own, *numbers, *names) if text), None)


@dataclass(frozen=True, kw_only=True)
class OperationRow:
    """One operation on one copy."""

    package: str
    """The gateway's id of the operation, or of the status 13."""
    business_type: BusinessType
    recipient: AgencyCode
    document: str | None
    """The gateway's id of the document meant; ``None`` for an orphan."""
    delivery: str | None
    """The copy of that document."""
    own: str | None
    """The delivery by which the operation itself reaches the recipient."""
    state: OperationState
    asked_at: datetime
    answered_at: datetime | None
    answered_by: AgencyCode | None
    """The receiver, or this gateway."""
    reason: str | None
    """The answer's words."""


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """One entry of the event log."""

    id: int
    at: datetime
    action: Action
    document: str | None
    delivery: str | None
    actor: str | None
    """Agency code, worker, or operator's login; ``None`` for the gateway itself."""
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The way of one document so far, each list oldest first."""

    document: DocumentRow
    deliveries: tuple[DeliveryRow, ...]
    attempts: tuple[AttemptRow, ...]
    statuses: tuple[StatusRow, ...]
    """Reports on this document; for a status package, the report that it carried."""
    events: tuple[EventRow, ...]
    operations: tuple[DocumentSummary, ...]
    """The sender's later packages that revoke, update or replace it."""
    requests: tuple[OperationRow, ...]
    """What was asked of its copies; for an operation, what it asked itself."""


@dataclass(frozen=True, kw_only=True)
class RefusalRow:
    """One package that was turned away."""

    id: int
    at: datetime
    credential_agency: AgencyCode | None
    code: str
    path: str | None
    detail: str
    sha256: str | None
    size: int
    payload_kept: bool


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How much there is, for the console and the metrics."""

    states: Mapping[DeliveryState, int]
    """Every state has an entry."""
    blocked: int
    """Waiting deliveries that must not overtake another."""
    parked_statuses: int
    refusals: int


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What waits at one endpoint."""

    via: AgencyCode
    channel: Channel
    waiting: int
    oldest: datetime
    """Acceptance of the oldest."""


@dataclass(frozen=True, kw_only=True)
class EndpointState:
    """The circuit of one endpoint."""

    via: AgencyCode
    failures: int
    """In a row."""
    open_until: datetime | None
    """``None``: closed. In the past: the next claim may probe it with one delivery."""
    opened_at: datetime | None
    last_success_at: datetime | None
    """To the minute."""
    last_failure_at: datetime | None
    last_error_code: str | None


@dataclass(frozen=True, kw_only=True)
class InboxState:
    """What is known of an axis that is asked for arrivals."""

    via: AgencyCode
    due_at: datetime
    """When it is asked next; while it is being asked, the end of the asker's lease."""
    since: datetime
    """When it was asked first."""
    listed_to: datetime | None
    """Everything that arrived there before was listed once; ``None`` until it answered."""
    failures: int
    """In a row."""
    last_success_at: datetime | None
    last_failure_at: datetime | None
    last_error_code: str | None
    """Of the last failure, also when it has recovered since."""
    last_error_detail: str | None
    last_arrival_at: datetime | None
    """When something new was listed last."""
    silent_since: datetime | None
    """When it was found to be silent; ``None`` while it is not."""


class FetchState(enum.StrEnum):
    """What became of a package that an axis has listed."""

    TAKEN = "taken"
    """Durable here, now or before."""
    NOT_TAKEN = "not_taken"
    """Refused, or not to be had; it is tried again, for a while."""
    GIVEN_UP = "given_up"
    """Tried often enough; only an operator lets it be tried again."""
    DISMISSED = "dismissed"
    """Given up, and an operator has said why that is well."""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """One package of an axis, by the axis' own id."""

    via: AgencyCode
    doc_id: str
    kind: PackageKind
    state: FetchState
    document: str | None = None
    """The gateway's id, once it is taken."""
    error_code: str | None = None
    """Why it is not."""
    attempts: int
    """To fetch and take it."""
    first_seen: datetime
    changed_at: datetime
    due_at: datetime
    """Of the next try, or of the next acknowledgement."""
    acked_at: datetime | None = None
    """When the axis was last told, ``done`` or ``fail``."""
    acks: int = 0
    """How often it was told, or was meant to be."""


class Concern(enum.StrEnum):
    """
    Why somebody should look at a document: kept beside it, so that lists are marked and filtered without reading all
    that was found. In the order of their weight.
    """

    MALWARE = "malware"
    """Malware was found in a file."""
    ALTERED = "altered"
    """A file was changed after it was signed."""
    REVOKED = "revoked"
    """A signer of a file, or who signed the package, had a certificate that was revoked then."""
    MISSING = "missing"
    """No file carries the signatures that its type of document requires."""
    KEPT = "kept"
    """An examination keeps it here: it is to come, or has refused it."""
    UNTRUSTED = "untrusted"
    """A signature inside a file, by a certificate that nobody here trusts."""
    UNREADABLE = "unreadable"
    """The signatures of a file could not be judged."""
    UNEXAMINED = "unexamined"
    """An examination could not be carried out, and the document went on without."""
    RELEASED = "released"
    """It went on in spite of an examination."""
    REJUDGED = "rejudged"
    """A signature has been judged otherwise since the document came; more than that it became known as good."""


class SignedFiles(enum.StrEnum):
    """Which of the two signatures of a dispatch one of a document's files carries, valid and not altered since."""

    BOTH = "both"
    PERSON = "person"
    AGENCY = "agency"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Glance:
    """What is shown of a document's signatures and examinations where it is listed."""

    concerns: tuple[Concern, ...] = ()
    """In the order of their weight."""
    signed: SignedFiles | None = None
    """``None``: its files have not been judged."""
    pending: bool = False
    """Its files are to be judged, or judged anew."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What to list; absent members do not restrict."""

    agency: AgencyCode | None = None
    """As sender or as recipient."""
    sender: AgencyCode | None = None
    recipient: AgencyCode | None = None
    via: AgencyCode | None = None
    visible_to: AgencyCode | None = None
    """Only what this agency sent or handed over, or is recipient or endpoint of."""
    states: frozenset[DeliveryState] = frozenset()
    """Empty means every state."""
    kind: PackageKind | None = None
    since: datetime | None = None
    """Accepted at or after."""
    until: datetime | None = None
    """Accepted before."""
    text: str | None = None
    """Words, accents and case ignored, all of which must occur in subject, number, id, or a name or code of
    sender or recipient; of a status, also in those of the document reported on, unless ``visible_to`` is given.
    Reads whatever the other members leave."""
    identity: str | None = None
    """Or alias; quick together with the sender."""
    operation: OperationState | None = None
    """Only deliveries of which something is asked that stands so, or that bring the asking; quick for open ones."""
    concern: Concern | None = None
    """Only documents for which there is this reason to look."""


EVERYTHING = Filter()
"""No restriction."""


@dataclass(frozen=True, kw_only=True)
class Page(Generic[T]):
    """Part of a list."""

    rows: tuple[T, ...]
    next: str | None
    """Cursor of what follows; ``None`` at the end."""


# Accounts


class OperatorRole(enum.StrEnum):
    """What a person may do in the console."""

    VIEWER = "viewer"
    """Looks only."""
    OPERATOR = "operator"
    """Also replays."""
    ADMIN = "admin"
    """Also manages keys and operators."""


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """The credential of one agency's system."""

    id: str
    prefix: str
    """The part that may be shown; unique."""
    secret_sha256: str
    """Hex. The secret has high entropy, so a plain hash is enough; the caller compares in constant time."""
    agency: AgencyCode
    scopes: frozenset[str]
    label: str = ""
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    """From this moment on it is refused; may lie ahead while a key is rotated."""
    last_used_at: datetime | None = None
    """To the hour."""

    def is_valid(self, at: datetime) -> bool:
        """Neither expired nor revoked at that moment."""
        return not any(end is not None and end <= at for end in (self.expires_at, self.revoked_at))


@dataclass(frozen=True, kw_only=True)
class System:
    """A client's system that speaks one of the protocols of the country (VXP, LGSP) with a shared secret."""

    id: str
    """``systemid`` or ``X-SystemId``: 1 to 64 printable ASCII characters without blanks."""
    name: str
    agencies: tuple[AgencyCode, ...]
    """Primary codes; it speaks for each as an API key of that agency would."""
    gateway: bool
    """True: it is itself an axis or a province's centre. What it collects counts as forwarded, not as arrived,
    and makes no 01; recipients behind it are its own to deliver to."""
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class SystemSecret:
    """One secret of a system, as it is kept."""

    sealed: str
    """Readable only with the key of ``gateway.exchange.systems.SecretBox``."""
    created_at: datetime
    expires_at: datetime | None = None
    """Set when it is replaced: it works until then. ``None``: the newest."""

    def is_valid(self, at: datetime) -> bool:
        """Not replaced, or still in the overlap of its rotation."""
        return self.expires_at is None or self.expires_at > at


class RequestKind(enum.StrEnum):
    """What a system asks to be done to the directory."""

    ADD = "add"
    DELETE = "delete"


class Decision(enum.StrEnum):
    """What an operator made of a request."""

    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, kw_only=True)
class AgencyRequest:
    """``registerAgency`` or ``deleteAgency``: a wish that an operator decides on; nobody registers himself."""

    id: str
    system: str
    kind: RequestKind
    code: AgencyCode
    parent: AgencyCode | None
    """As asked; ``None`` when it was not given."""
    name: str | None
    """Of the agency; ``None`` for ``delete``."""
    mail: str | None
    """Personal data, perhaps: never logged, nor in an event."""
    requested_at: datetime
    decided_at: datetime | None = None
    decision: Decision | None = None
    actor: str | None = None
    """Who decided."""
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A person who may log in to the console."""

    id: str
    login: str
    """Unique, compared as written."""
    password_hash: str
    """Argon2, made by the caller."""
    role: OperatorRole
    language: str
    """``vi`` or ``en``."""
    created_at: datetime
    disabled_at: datetime | None = None
    last_login_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RefusalBounds:
    """How much of what was turned away is kept."""

    rows: int = 10_000
    payload_bytes: int = 256 * 1024 * 1024
    """Of all kept packages together; the oldest are dropped first, their rows stay."""
    largest_payload: int = 512 * 1024
    """A larger package is not kept."""


DEFAULT_BOUNDS = RefusalBounds()


# Signing in two steps


class SigningState(enum.StrEnum):
    """How far a file is on its way to a signature that is made elsewhere."""

    PREPARED = "prepared"
    """What is to be signed has been handed out."""
    COMPLETED = "completed"
    """The signature is in the file, which is kept until ``expires_at``."""


@dataclass(frozen=True, kw_only=True)
class SigningRequest:
    """One file that is signed in two steps; gone when its time is over."""

    id: str
    agency: AgencyCode
    state: SigningState
    certificate: str
    """SHA-256 of the DER in lower-case hex."""
    kind: str
    """``pdf`` or ``package``."""
    source_sha256: str
    size: int
    """Bytes of the file as it came."""
    prepared: bytes
    """``Prepared`` of ``gateway.signing.prepare`` as it is kept; no secret in it."""
    created_at: datetime
    expires_at: datetime
    """Until when it may be completed; afterwards, until when the file is kept."""
    completed_at: datetime | None = None
    signature_sha256: str | None = None
    """Of the signature that it was completed with, so that a repeat is known."""
    result_sha256: str | None = None
    """Of the signed file."""
    result_size: int | None = None
    stamped: bool = False
    """Whether the signed file carries a time-stamp."""


@dataclass(frozen=True, kw_only=True)
class SigningBounds:
    """How much one agency may have."""

    number: int
    """Of files prepared and not yet signed."""
    bytes: int
    """Of all its files, signed ones too: what it may take of the disk."""


# Examinations


@dataclass(frozen=True, kw_only=True)
class ExaminationResult:
    """What an examination found; which members say something depends on its kind."""

    files: tuple[FileVerdict, ...] = ()
    """On the signatures inside each attached file, in the order of the package."""
    scanned: int | None = None
    """How many files were searched for malware; ``None``: none were."""
    scanner: str | None = None
    """The scanner and its signatures, in its own words."""
    verdict: Verdict | None = None
    """On the package's own signature, judged anew."""


@dataclass(frozen=True, kw_only=True)
class NewExamination:
    """An examination of a document that is being accepted: to come, or done already."""

    kind: ExaminationKind
    holds: bool = False
    """Nothing is handed over, and no receiver sees the document, before it is done."""
    state: ExaminationState = ExaminationState.PENDING
    """``PENDING``, or ``DONE`` when the acceptance has done it."""
    reason: str | None = None
    """Stable dotted code: why it waits, or what was found."""
    due_at: datetime
    result: ExaminationResult | None = None


@dataclass(frozen=True, kw_only=True)
class Examined:
    """How an examination ended."""

    state: ExaminationState
    """``DONE``, ``REFUSED``, ``FAILED``, or ``RELEASED`` when the settings have come to let it go without."""
    reason: str
    """Stable dotted code."""
    detail: str | None = None
    """For people: which file, which name. Free of secrets; it goes to the sender, and into no event."""
    result: ExaminationResult | None = None


@dataclass(frozen=True, kw_only=True)
class ExaminationClaim:
    """A worker's right to carry out one examination, until the lease ends."""

    document: str
    """The gateway's id."""
    kind: ExaminationKind
    holds: bool
    token: str
    """Fences what is written in its end: a later claim has another one."""
    attempt: int
    """1 for the first."""


@dataclass(frozen=True, kw_only=True)
class ExaminationRow:
    """One examination of one document."""

    document: str
    """The gateway's id."""
    kind: ExaminationKind
    holds: bool
    state: ExaminationState
    reason: str | None
    """Stable dotted code: of what was found, or of why it is not done yet; ``None``: not begun."""
    detail: str | None
    attempts: int
    due_at: datetime
    """Of the next try while it is pending, or the end of a lease; past and meaningless afterwards."""
    created_at: datetime
    changed_at: datetime
    result: ExaminationResult | None

    @property
    def keeps(self) -> bool:
        """Whether it keeps the document here."""
        return self.holds and self.state.keeps


@dataclass(frozen=True, kw_only=True)
class ExaminationCount:
    """How many examinations of one kind stand so."""

    kind: ExaminationKind
    state: ExaminationState
    holds: bool
    count: int
    oldest: datetime
    """Acceptance of the longest waiting document."""
