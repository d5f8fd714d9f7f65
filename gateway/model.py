"""
The vocabulary of the gateway: what a package says, who it concerns, and where it stands.

Everything here is a value: frozen, comparable, free of files, clocks and networks.
The names of the trade and their wire spellings are in ``docs/glossary.md``.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

VIETNAM_TIME = timezone(timedelta(hours=7), "UTC+7")
"""The zone of every zone-less time on the wire; Vietnam has had no other since 1975."""

_TT10 = re.compile(r"[0-9]{3}\.[0-9]{2}\.[0-9]{2}\.[A-Z][0-9]{2}")
_QD20 = re.compile(r"[A-Z][0-9]{2}(\.[0-9A-Z]{1,6}){0,6}")
_SHORT_TT10 = re.compile(r"([0-9]{2,3}\.){1,2}[A-Z][0-9]{2}")
_UUID = re.compile(r"\{?[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}\}?", re.IGNORECASE)
_LATIN_MARKS = re.compile("[\u0300-\u034e\u0350-\u036f]+")
"""All combining characters below U+0370, which are all that Vietnamese has."""
_BEYOND_LATIN = re.compile("[\u0370-\U0010ffff]")


def fold(text: str) -> str:
    """
    The form of a text under which people search: lower case, no marks, đ as d.

    Made here and stored, because neither SQLite nor PostgreSQL folds Vietnamese
    the same way (``lower('Đ')`` stays, FTS5 keeps đ).
    """
    decomposed = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    without_marks = _BEYOND_LATIN.sub(_unmarked, _LATIN_MARKS.sub("", decomposed))
    return unicodedata.normalize("NFC", without_marks)


def _unmarked(character: re.Match[str]) -> str:
    return "" if unicodedata.combining(character[0]) else character[0]


def normal_key(text: str) -> str:
    """A text as it is compared for identity: trimmed and NFC; never shown instead of the original."""
    return unicodedata.normalize("NFC", text.strip())


# Agencies


class CodeGeneration(enum.Enum):
    """Which rule an agency code was made by."""

    TT10 = "tt10"
    """Thông tư 10/2016/TT-BTTTT: ``000.00.00.H37``, level 4 to level 1."""
    QD20 = "qd20"
    """Quyết định 20/2020/QĐ-TTg: ``H37.14.2``, level 1 downwards."""
    OTHER = "other"
    """Neither; seen in the field (``vxp.saas.03``) and kept as sent."""


class AgencyCode(str):
    """
    The code of an agency as it is written on the wire (``OrganId``).

    Equality is by text: two generations of one agency are two codes, and only the
    directory knows that they are one agency (mapping is by catalogue, not by rule).
    """

    __slots__ = ()

    LONGEST = 35
    """Characters; QĐ 20/2020 codes are the longest in use."""

    @classmethod
    def normal(cls, text: str) -> AgencyCode:
        """The code as it is looked up: trimmed, upper case, short TT10 forms padded on the left with zero groups."""
        code = text.strip().upper()
        if _SHORT_TT10.fullmatch(code):
            groups = code.split(".")
            lead = [g.zfill(w) for g, w in zip(groups[:-1], (3, 2, 2)[4 - len(groups) :], strict=True)]
            code = ".".join([*("000", "00", "00")[: 4 - len(groups)], *lead, groups[-1]])
        return cls(code)

    @property
    def generation(self) -> CodeGeneration:
        """Which rule the text follows."""
        if _TT10.fullmatch(self):
            return CodeGeneration.TT10
        if _QD20.fullmatch(self):
            return CodeGeneration.QD20
        return CodeGeneration.OTHER

    @property
    def parent(self) -> AgencyCode | None:
        """The code one level up, by the rule of its generation; ``None`` at the top and for other forms."""
        if self.generation is CodeGeneration.TT10:
            groups = self.split(".")
            for i in range(3):
                if int(groups[i]):
                    return AgencyCode(".".join([*("000", "00", "00")[: i + 1], *groups[i + 1 :]]))
            return None
        if self.generation is CodeGeneration.QD20 and "." in self:
            return AgencyCode(self.rpartition(".")[0])
        return None

    @property
    def level1(self) -> str | None:
        """The first-level part (``H37``, ``G22``): province or ministry; ``None`` for other forms."""
        if self.generation is CodeGeneration.TT10:
            return self.rpartition(".")[2]
        if self.generation is CodeGeneration.QD20:
            return self.partition(".")[0]
        return None


class Level(enum.StrEnum):
    """The tier of an agency."""

    NATIONAL = "national"
    PROVINCE = "province"
    DEPARTMENT = "department"
    DISTRICT = "district"
    """Abolished on 1 July 2025; such agencies are closed and have successors or none."""
    COMMUNE = "commune"


# What a package says


class DocumentId(str):
    """
    The identity that the sender gave a document, as sent.

    Norm: ``OrganId,yyyy/MM/dd,Number/Notation`` (QĐ 28/2018 Art. 10); in the wild also
    UUIDs and anything else. Holds commas, slashes and Vietnamese letters: never a path or a header.
    """

    __slots__ = ()

    @property
    def key(self) -> str:
        """What two ids are compared by: NFC and trimmed (domain §1.4)."""
        return normal_key(self)

    @property
    def is_uuid(self) -> bool:
        """True for a random id, which some software makes anew on every retry."""
        return _UUID.fullmatch(self.strip()) is not None


class PackageKind(enum.StrEnum):
    """A dispatch, or a report on one."""

    DOCUMENT = "document"
    STATUS = "status"


class Variant(enum.StrEnum):
    """The dialect a package is written in (domain §1.11)."""

    V1 = "v1"
    """QCVN 102, as the national Java kit writes it."""
    V2 = "v2"
    """The C# kit: xlink attributes, unprefixed content, SOAP attributes on the trace list."""
    V3 = "v3"
    """The old Bkav e-doc in a SOAP envelope; recognised and refused."""
    V4 = "v4"
    """The flat ``go.vn`` form; recognised and refused."""
    V5 = "v5"
    """V1 with other letter cases in its element names."""


class BusinessType(enum.Enum):
    """What a package does to a document (``BussinessDocType``)."""

    NEW = 0
    REVOKE = 1
    UPDATE = 2
    REPLACE = 3


class StatusCode(enum.StrEnum):
    """What a status package reports; values are the wire's (domain §1.7)."""

    ARRIVED = "01"
    """In the receiver's system; the clerk has not acted. Sent by a machine."""
    REFUSED = "02"
    REGISTERED = "03"
    ASSIGNED = "04"
    PROCESSING = "05"
    DONE = "06"
    RECALL_ASKED = "13"
    AGREED = "15"
    DISAGREED = "16"

    @property
    def needs_reason(self) -> bool:
        """Whether a description must say why."""
        return self in (StatusCode.REFUSED, StatusCode.RECALL_ASKED, StatusCode.DISAGREED)

    @property
    def rank(self) -> int | None:
        """Progress of the main line 01 < 03 < 04 < 05 < 06; ``None`` for codes that are not progress."""
        line = (StatusCode.ARRIVED, StatusCode.REGISTERED, StatusCode.ASSIGNED, StatusCode.PROCESSING, StatusCode.DONE)
        return line.index(self) if self in line else None


class Lane(enum.IntEnum):
    """
    How urgent a document is; the wire's ``Priority``.

    Lanes are served highest first; retry limits depend on them.
    """

    NORMAL = 0
    URGENT = 1
    VERY_URGENT = 2
    FLASH = 3
    """Hỏa tốc."""
    FLASH_TIMED = 4
    """Hỏa tốc hẹn giờ."""


@dataclass(frozen=True, kw_only=True)
class Organization:
    """An agency as a package names it; only ``code`` is ever used to route."""

    code: AgencyCode
    in_charge: str | None = None
    name: str | None = None
    address: str | None = None
    email: str | None = None
    telephone: str | None = None
    fax: str | None = None
    website: str | None = None


@dataclass(frozen=True, kw_only=True)
class DocumentNumber:
    """Số và ký hiệu. ``number`` is text: ``07``, ``74fass22``."""

    number: str | None = None
    notation: str | None = None

    @property
    def text(self) -> str | None:
        """``number/notation`` as written on paper; ``None`` when both are absent."""
        return "/".join(p for p in (self.number, self.notation) if p) or None


@dataclass(frozen=True, kw_only=True)
class DocumentType:
    """Kind of document; ``name`` is authoritative in practice (domain §1.5)."""

    type: int | None = None
    detail: int | None = None
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class SignerInfo:
    """Who signed the paper, in words; no proof of anything."""

    competence: str | None = None
    position: str | None = None
    full_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class OtherInfo:
    """``OtherInfo``; absent members are ``None``, never defaults."""

    priority: int | None = None
    """As sent; ``Envelope.lane`` is what it means."""
    sphere: str | None = None
    typist: str | None = None
    promulgation_amount: int | None = None
    page_amount: int | None = None
    reply_fors: str | None = None
    direction: bool | None = None
    reference_codes: str | None = None
    appendixes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ResponseFor:
    """The document that this one answers; in a status, the document reported on."""

    code: AgencyCode | None = None
    """In a status: who must receive it."""
    number: str | None = None
    """``7816/VPCP-TTĐT``: one string here, unlike in the header."""
    document_id: DocumentId | None = None
    issued_on: date | None = None


@dataclass(frozen=True, kw_only=True)
class StaffInfo:
    """A person to ask. Personal data: never logged."""

    department: str | None = None
    department_id: str | None = None
    staff: str | None = None
    staff_id: str | None = None
    email: str | None = None
    mobile: str | None = None


@dataclass(frozen=True, kw_only=True)
class Hop:
    """One ``TraceHeader``: which system had the package, and when."""

    code: str | None = None
    """As sent; the field also shows the literal ``null``."""
    at: datetime | None = None
    """Aware UTC."""


@dataclass(frozen=True, kw_only=True)
class ReceiverChange:
    """One receiver added to or removed from a document by an update."""

    code: AgencyCode
    added: bool | None = None
    """``None`` when ``ReceiverType`` is absent."""


@dataclass(frozen=True, kw_only=True)
class DocumentChange:
    """What an update (business type 2) changed."""

    content: bool | None = None
    receivers: bool | None = None
    receiver_changes: tuple[ReceiverChange, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """One document that a replacement (business type 3) takes the place of."""

    document_id: DocumentId | None = None
    recipients: tuple[AgencyCode, ...] = ()
    """Empty means all recipients."""


@dataclass(frozen=True, kw_only=True)
class Business:
    """``Bussiness`` [sic]: what the package does to a document."""

    type: BusinessType = BusinessType.NEW
    document_id: DocumentId | None = None
    """Unreliable: the official samples carry a foreign one (domain §1.6)."""
    reason: str | None = None
    paper: bool | None = None
    changes: tuple[DocumentChange, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    staff: tuple[StaffInfo, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One entry of the manifest."""

    content_id: str
    """Without any leading ``cid:``."""
    name: str | None = None
    content_type: str | None = None
    description: str | None = None


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """
    One attached file. Its content is opened from the package, never held (design D8).

    ``size`` and ``sha256`` are of the *unwrapped* content: the axis unzips and re-zips,
    so nothing else survives the way (domain §1.9).
    """

    content_id: str
    """Without any leading ``cid:``."""
    name: str
    """As sent; never used as a path."""
    size: int
    """Bytes, unwrapped."""
    sha256: str
    """Lower-case hex, unwrapped."""
    media_type: str
    """What the content is by its first bytes, whatever was declared."""
    wrapped: bool = False
    """True when the wire holds a ZIP with one entry around the content."""
    content_type: str | None = None
    description: str | None = None
    field_name: str | None = None
    mime_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class StatusReport:
    """The body of a status package."""

    code: StatusCode
    description: str | None = None
    reported_at: datetime
    """Aware UTC; the reporter's clock, often wrong."""
    staff: StaffInfo | None = None


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """
    Everything that a package says besides the content of its files.

    One shape serves both kinds: a status has ``status`` and no recipients of its own
    (its receiver is ``responses[0].code``); a document has recipients and a number.
    """

    sender: Organization
    recipients: tuple[Organization, ...] = ()
    document_id: DocumentId | None = None
    number: DocumentNumber = DocumentNumber()
    issued_place: str | None = None
    issued_on: date | None = None
    document_type: DocumentType | None = None
    subject: str | None = None
    content: str | None = None
    signer: SignerInfo | None = None
    due_on: date | None = None
    other: OtherInfo | None = None
    responses: tuple[ResponseFor, ...] = ()
    steering_type: int | None = None
    task_codes: tuple[str, ...] = ()
    application_type: str | None = None
    places: tuple[str, ...] = ()
    trace: tuple[Hop, ...] = ()
    business: Business | None = None
    references: tuple[Reference, ...] = ()
    status: StatusReport | None = None

    @property
    def kind(self) -> PackageKind:
        """A status is recognised by its ``StatusCode`` alone (domain §1.7)."""
        return PackageKind.DOCUMENT if self.status is None else PackageKind.STATUS

    @property
    def lane(self) -> Lane:
        """The urgency; a status travels as ordinary mail, an unknown priority as the ordinary one."""
        priority = self.other.priority if self.other else None
        return Lane(priority) if priority is not None and 0 <= priority <= max(Lane) else Lane.NORMAL

    @property
    def business_type(self) -> BusinessType:
        """Absent means new (domain §1.2)."""
        return self.business.type if self.business else BusinessType.NEW

    @property
    def identity(self) -> str | None:
        """
        What this document is known by among the documents of its sender (domain §1.4).

        The DocumentId; when that is absent or random, number, notation and date together;
        ``None`` when those are incomplete too (the bytes are then the only identity).
        """
        if self.document_id and self.document_id.key and not self.document_id.is_uuid:
            return self.document_id.key
        if self.number.number and self.number.notation and self.issued_on:
            return normal_key(f"~{self.issued_on:%Y/%m/%d},{self.number.text}")
        return None


class Severity(enum.StrEnum):
    """Whether a departure from the standard stops a package."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Violation:
    """
    One departure of a package from QCVN 102.

    ``code`` is stable: ``N.`` missing, ``R.`` out of range, ``T.`` wrong form,
    ``M.`` meaningless, followed by the element's path (domain §1.10).
    """

    code: str
    severity: Severity
    vi: str
    en: str


# Trust


class Standing(enum.StrEnum):
    """What is known of a package's signature (design D2)."""

    VALID = "valid"
    VALID_WEAK = "valid_weak"
    """Verified, with an algorithm that policy tolerates."""
    UNSIGNED = "unsigned"
    UNVERIFIABLE = "unverifiable"
    """There is something like a signature that nobody could verify: the kit's form outside
    the XML-DSig namespace, placeholders, or no certificate registered for the sender."""
    INDETERMINATE = "indeterminate"
    """Verified, but revocation is not known."""
    INVALID = "invalid"


class SignedBy(enum.StrEnum):
    """Whose registered certificate verified the package."""

    SENDER = "sender"
    GATEWAY = "gateway"
    """The gateway that handed it over, for a package that its sender did not sign."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The judgement on one package's signature at one moment, with its evidence."""

    standing: Standing
    reason: str
    """Stable dotted code, e.g. ``signature.verified``, ``signature.digest_mismatch``."""
    judged_at: datetime
    """Aware UTC: the moment that certificates were judged at, which is the time of receipt."""
    signed_by: SignedBy | None = None
    certificate_sha256: str | None = None
    """Lower-case hex of the DER of the certificate that verified the package."""
    subject: str | None = None
    """RFC 4514 subject of that certificate."""
    signature_method: str | None = None
    """Algorithm URI."""
    digest_method: str | None = None
    canonicalization: str | None = None
    revocation: str | None = None
    """``good``, ``revoked``, ``unknown`` at ``judged_at``, of the certificate and its issuers; ``None``: not asked."""
    revoked_at: datetime | None = None
    """Aware UTC: since when the certificate, or one above it, is revoked by the authority's word; also when that is
    after ``judged_at``, and it was good then. ``None``: nothing of the kind was known."""


# Signatures inside files


class SignerRole(enum.StrEnum):
    """In which capacity a dispatch is signed (NĐ 30/2020 Art. 5; domain §4.3)."""

    PERSON = "person"
    """The competent person; signs first."""
    AGENCY = "agency"
    """The agency's seal; signs last."""
    UNKNOWN = "unknown"


class FileStanding(enum.StrEnum):
    """What is known of one signature inside a file, and of a file by the worst of its signatures."""

    VALID = "valid"
    VALID_WEAK = "valid_weak"
    """Valid, with an algorithm or key that policy tolerates."""
    INDETERMINATE = "indeterminate"
    """Intact and chained to an anchor; whether the certificate was revoked is not known."""
    UNTRUSTED = "untrusted"
    """Intact, but the certificate does not chain to a configured anchor, or was not good at that time."""
    REVOKED = "revoked"
    """Intact, by a certificate that was revoked when it signed."""
    ALTERED = "altered"
    """What was signed has been changed, or something was added that a later signature or stamp may not add."""
    UNSIGNED = "unsigned"
    """The file could carry signatures and carries none."""
    UNREADABLE = "unreadable"
    """It could not be judged: broken, encrypted, too large, or its reader crashed or stalled."""
    NOT_JUDGED = "not_judged"
    """A format whose signatures are recognised and named, and not judged; or one that carries none."""


@dataclass(frozen=True, kw_only=True)
class FileSignature:
    """One signature inside a file."""

    field: str
    """Name of the signature field, or of the part of the file."""
    role: SignerRole
    standing: FileStanding
    reason: str
    """Stable dotted code, e.g. ``file.verified``, ``file.altered_after``."""
    subject: str | None = None
    """RFC 4514 subject of the signer's certificate."""
    certificate_sha256: str | None = None
    claimed_at: datetime | None = None
    """When the signer says that it signed; aware UTC."""
    stamped_at: datetime | None = None
    """When a time-stamp authority that is trusted says so; aware UTC."""
    revision: int | None = None
    """Of the file, counted from 1, that the signature covers."""
    revisions: int | None = None
    """How many revisions the file has."""
    added_after: tuple[str, ...] = ()
    """What later revisions added, in stable words: ``signature``, ``stamp``, ``form``, ``content``; empty: nothing."""
    certificate: str | None = None
    """The signer's certificate, base64 of the DER, for asking about its revocation. Whoever judges a file hands it
    on; it is kept with no verdict."""


class FilePart(enum.StrEnum):
    """What a file of a document is, where its type requires signatures."""

    MAIN = "main"
    """The dispatch: the file that carries, or must carry, what is required."""
    ENCLOSED = "enclosed"
    """An annex, a copy, or whatever else came along."""


@dataclass(frozen=True, kw_only=True)
class FileVerdict:
    """The judgement on the signatures inside one attached file, or one file inside an attached archive."""

    content_id: str
    """Of the attachment."""
    name: str
    """Of the attachment, as sent."""
    member: str | None = None
    """Path inside the archive; ``None``: the attachment itself."""
    format: str
    """``pdf``, ``ooxml``, ``zip`` or ``other``, by content."""
    standing: FileStanding
    reason: str
    """Stable dotted code."""
    signatures: tuple[FileSignature, ...] = ()
    judged_at: datetime
    """Aware UTC."""
    part: FilePart | None = None
    """``None``: nothing was required, or no file could be told to be the dispatch."""
    lacks: tuple[SignerRole, ...] = ()
    """Whose signatures are required of it and are not there, or do not count."""

    @property
    def has_person(self) -> bool:
        """Whether a competent person's signature is present and valid."""
        return self._has(SignerRole.PERSON)

    @property
    def has_agency(self) -> bool:
        """Whether the agency's signature is present and valid."""
        return self._has(SignerRole.AGENCY)

    def _has(self, role: SignerRole) -> bool:
        good = (FileStanding.VALID, FileStanding.VALID_WEAK)
        return any(s.role is role and s.standing in good for s in self.signatures)


# Examinations


class ExaminationKind(enum.StrEnum):
    """What a document is examined for, at its acceptance or after it."""

    FILES = "files"
    """The signatures inside its files."""
    MALWARE = "malware"
    REVOCATION = "revocation"
    """Whether the certificate that verified the package had been revoked, which was not known when it came."""


class ExaminationState(enum.StrEnum):
    """Where an examination stands. One that holds keeps the document here until it is done."""

    PENDING = "pending"
    DONE = "done"
    """Nothing stands against handing the document over."""
    REFUSED = "refused"
    """The document is not handed over; its sender is told so."""
    FAILED = "failed"
    """It could not be done and is not tried again; only one that does not hold ends so."""
    RELEASED = "released"
    """An operator lets the document go without it, or in spite of it."""

    @property
    def keeps(self) -> bool:
        """Whether a document stays here while an examination that holds stands so."""
        return self in (ExaminationState.PENDING, ExaminationState.REFUSED)


# Deliveries


class Channel(enum.StrEnum):
    """How an endpoint is reached."""

    MAILBOX = "mailbox"
    """The agency collects: peek, lock, acknowledge."""
    PUSH = "push"
    """The gateway posts to the agency's URL, signed as Standard Webhooks prescribe."""
    PEER = "peer"
    """Another gateway's ``/api/v1``."""
    VXP = "vxp"
    """An axis that speaks the national kit's protocol; it is posted to and asked (domain §2.1)."""
    LGSP = "lgsp"
    """An axis that speaks Lạng Sơn's protocol; it is posted to and asked (domain §2.2)."""

    @property
    def is_gateway(self) -> bool:
        """Whether another gateway or axis is behind it, which delivers further, rather than a receiver."""
        return self in (Channel.PEER, Channel.VXP, Channel.LGSP)

    @property
    def is_axis(self) -> bool:
        """Whether it is asked for what has arrived there, and answers in a protocol that is not ours."""
        return self in (Channel.VXP, Channel.LGSP)


CALLED = (Channel.PUSH, Channel.PEER, Channel.VXP, Channel.LGSP)
"""Channels by which a worker hands documents over; the others wait to be collected."""


class DeliveryState(enum.StrEnum):
    """Where one document stands on its way to one recipient; transitions in ``ledger/states.py``."""

    WAITING = "waiting"
    """To be sent, or to be collected from the mailbox."""
    LEASED = "leased"
    """A worker sends it, or a receiver has locked it, until the lease ends."""
    FORWARDED = "forwarded"
    """The next gateway has accepted it and answered with its receipt."""
    DELIVERED = "delivered"
    """The receiver's own system has it: acknowledged, or its endpoint answered 2xx."""
    REFUSED = "refused"
    """The receiver refused it with a reason."""
    ABANDONED = "abandoned"
    """Tries ended without success; replayable."""
    WITHDRAWN = "withdrawn"
    """Taken back: before it was collected, or because its receiver agreed to give it back."""

    @property
    def is_open(self) -> bool:
        """True while the gateway, or the mailbox's owner, still has something to do."""
        return self in (DeliveryState.WAITING, DeliveryState.LEASED)


class RecallState(enum.StrEnum):
    """
    What has become of the sender's wish to take back or change one copy; transitions in ``ledger/states.py``.

    It stands beside the state of the delivery and the status of the copy (domain §1.7).
    """

    NONE = "none"
    """Nothing is asked, or what was asked was declined and may be asked again."""
    REQUESTED = "requested"
    """A recall, an update or a replacement waits for the receiver's answer."""
    AGREED = "agreed"
    """The receiver has agreed to an update or a replacement: it has the new version."""
    WITHDRAWN = "withdrawn"
    """It was taken back; nothing comes after that."""


# Agencies as the directory knows them


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where an agency's system is reached."""

    channel: Channel
    url: str | None = None
    """``None`` for a mailbox."""
    credential: str | None = None
    """Name of a secret in the settings (push secret, peer key, secret of an axis); never the secret itself."""
    system: str | None = None
    """The id under which this gateway is known to an axis (``systemid``, ``X-SystemId``); ``None`` elsewhere."""


@dataclass(frozen=True, kw_only=True)
class RegisteredCertificate:
    """A certificate that an agency, or one of its people, may sign with."""

    pem: str
    sha256: str
    """Lower-case hex of the DER; how it is named in verdicts and logs."""
    role: str = "agency"
    """``agency`` (its seal), ``person``, or ``gateway`` (signs what it hands over)."""
    holder: str | None = None
    """The person's name and position, for people to read; ``None`` for an agency's or a gateway's."""
    valid_from: datetime | None = None
    """Start of the registration, aware UTC; ``None`` means as long as the certificate itself."""
    valid_to: datetime | None = None
    """End of the registration, exclusive; ``None`` means as long as the certificate itself."""


@dataclass(frozen=True, kw_only=True)
class Agency:
    """One agency with its history (design D11)."""

    code: AgencyCode
    """The primary code: what the ledger stores, whichever code a package used."""
    aliases: tuple[AgencyCode, ...] = ()
    """Its codes of the other generation and of former times."""
    name: str
    level: Level
    parent: AgencyCode | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    """First day on which it no longer exists, in Vietnam time; ``None`` while it does."""
    successors: tuple[AgencyCode, ...] = ()
    closed_reason: str | None = None
    """Legal basis of the closing, shown to senders."""
    endpoint: Endpoint | None = None
    """``None``: reached through the nearest ancestor that has one."""
    certificates: tuple[RegisteredCertificate, ...] = ()
    accepts: frozenset[Standing] | None = None
    """Verdicts accepted from this sender; ``None`` means the deployment's default."""
    tolerate_sha1: bool = False
    """Signatures and certificates with SHA-1 count as ``valid_weak``."""
    tolerate_rsa_1024: bool = False
    """RSA keys from 1024 bits, its own and its issuers', count as ``valid_weak``."""
    hidden: bool = False
    """Not offered to people as a recipient: interconnection centres (``…W00``)."""

    @property
    def codes(self) -> tuple[AgencyCode, ...]:
        """Every code that it answers to, the primary one first."""
        return (self.code, *self.aliases)


# The event log's chain


@dataclass(frozen=True, kw_only=True)
class LogEvent:
    """One event as it is stored, text for text: what the log's chain is made over."""

    id: int
    at: str
    """As stored, in the form ``2026-11-22T05:00:00.000000Z``; a row that was tampered with may hold anything."""
    action: str
    document: str | None
    """The gateway's id of the document, or ``None``."""
    delivery: str | None
    actor: str | None
    data: str
    """JSON, exactly as stored."""


@dataclass(frozen=True, kw_only=True)
class LogBatch:
    """Some events in a row, sealed together; everything in it is checked by whoever reads it."""

    number: int
    """1 for the first batch, without gaps."""
    last_id: int
    """Id of its last event."""
    header: str
    """JSON, the text that is hashed and stamped; see ``gateway.evidence.chain``."""
    ids: bytes
    """Ids of its events, 8 bytes each, big-endian."""
    links: bytes
    """One SHA-256 for each event, 32 bytes each."""


@dataclass(frozen=True, kw_only=True)
class LogStamp:
    """A statement about batches in a row, and a time-stamp authority's token over it."""

    number: int
    """1 for the first, without gaps."""
    last_batch: int
    statement: str
    """JSON, the text that is hashed and stamped."""
    token: bytes | None
    """RFC 3161 ``TimeStampToken``, DER; ``None`` while no authority has answered."""
    made_at: datetime | None = None
    """``None`` where times are not read, because they might have been tampered with; the statement says it too."""
    stamped_at: datetime | None = None
    """As the token says."""
    attempts: int = 0
    """Tries without success so far, or before the one that succeeded."""
    error_code: str | None = None
    """Of the last try without success; ``None`` once it has succeeded."""
    tried_at: datetime | None = None
    """Of that try."""
