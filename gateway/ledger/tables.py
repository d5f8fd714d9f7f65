"""
The tables, as of the newest migration; a test compares the two.

The directory's tables (``agencies``, ``directory_versions``) are made by the same migrations
but described in ``gateway.directory``.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from gateway.ledger.actions import Action
from gateway.ledger.records import (
    Concern,
    Decision,
    ExaminationResult,
    FetchState,
    OperationState,
    OperatorRole,
    RequestKind,
    SignedFiles,
    SigningState,
    StatusEffect,
)
from gateway.ledger.types import Coded, Json, Named, Numbered, UtcDateTime
from gateway.model import (
    AgencyCode,
    Attachment,
    BusinessType,
    Channel,
    DeliveryState,
    ExaminationKind,
    ExaminationState,
    Lane,
    PackageKind,
    RecallState,
    StatusCode,
    Verdict,
    Violation,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

SERIAL = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers only INTEGER keys by itself."""

_OPEN = "state IN ('waiting', 'leased') AND blockers = 0"

DUE = f"CASE WHEN {_OPEN} AND channel <> 'mailbox' THEN 1 ELSE 0 END = 1"
"""
What workers choose from. The index and the queries must carry this very text: that is how the
planners know that the one serves the other. One CASE, because SQLite would otherwise see a condition
on the state and prefer the index on that.
"""

IN_MAILBOX = f"CASE WHEN {_OPEN} AND channel = 'mailbox' THEN 1 ELSE 0 END = 1"
"""What receivers choose from."""

WITHOUT_COPY = "delivery IS NULL"
"""Statuses whose document, or the copy of it that they are about, is not known yet."""

OPEN_REQUEST = "state IN ('requested', 'orphan')"
"""Operations that somebody should look at: not answered by the receiver."""

_HANDED_OVER = "received_from <> sender"
"""Documents that came with another agency's credential than the sender's."""

_INDIRECT = "via <> recipient"
"""Deliveries through an endpoint that is not the recipient's own."""


UNACKNOWLEDGED = "acked_at IS NULL"
"""What was fetched from an axis that does not know yet what became of it."""

NOT_TAKEN = "state <> 'taken' AND state <> 'dismissed'"
"""What an axis has for us and could not be taken."""


def _partial(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def _code(name: str, *, nullable: bool = False, **options: Any) -> Column[AgencyCode]:
    return Column(name, Named(AgencyCode), nullable=nullable, **options)


# Columns that are searched stand first and bulky ones last: SQLite then finds the
# former without reading the pages that the latter overflow to.
documents = Table(
    "documents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Coded(PackageKind), nullable=False),
    _code("sender"),
    Column("identity", Text, nullable=False),
    Column("business_type", Numbered(BusinessType), nullable=False),
    Column("revision", Text, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("folded", Text, nullable=False),
    Column("alias", Text),
    Column("certificate", Text),  # that verified it: of the verdict, by which documents are found when it is revoked
    Column("sha256", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("forward_sha256", Text),
    Column("forward_size", BigInteger),
    Column("lane", Numbered(Lane), nullable=False),
    _code("received_from"),
    _code("sender_as_written"),
    Column("sender_name", Text),
    Column("document_id", Text),
    Column("number", Text),
    Column("notation", Text),
    Column("issued_on", Date),
    Column("type_name", Text),
    Column("subject", Text),
    Column("targets", Json(tuple[str, ...]), nullable=False),
    Column("verdict", Json(Verdict), nullable=False),
    Column("warnings", Json(tuple[Violation, ...]), nullable=False),
    Column("attachments", Json(tuple[Attachment, ...]), nullable=False),
    Column("receipt", Text, nullable=False),
    Column("seal", LargeBinary, nullable=False),
    UniqueConstraint("sender", "identity", "business_type", "revision", "kind", name="uq_documents_identity"),
    Index(None, "sender", "alias", **_partial("alias IS NOT NULL")),
    Index(None, "received_at"),
    Index(None, "sender", "received_at"),
    Index(None, "received_from", "received_at", **_partial(_HANDED_OVER)),
    Index(None, "certificate", "received_at", **_partial("certificate IS NOT NULL")),
)

payloads = Table(
    "payloads",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("content", LargeBinary),  # NULL: in the payload store
)

document_targets = Table(
    # What operations (business types 1–3) operate on, by the sender's own names for it.
    "document_targets",
    metadata,
    Column("document", Text, ForeignKey("documents.id"), primary_key=True),
    Column("target", Text, primary_key=True),
    _code("sender"),
    Index(None, "sender", "target"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("document", Text, ForeignKey("documents.id"), nullable=False),
    Column("kind", Coded(PackageKind), nullable=False),
    _code("sender"),
    _code("recipient"),
    _code("via"),
    Column("channel", Coded(Channel), nullable=False),
    Column("lane", Numbered(Lane), nullable=False),
    Column("state", Coded(DeliveryState), nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("blockers", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("accepted_at", UtcDateTime, nullable=False),
    Column("trying_since", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    Column("attempts", Integer, nullable=False),
    Column("attempts_before", Integer, nullable=False),  # those before the last replay
    Column("token", Text),
    Column("worker", Text),
    Column("taken_at", UtcDateTime),
    Column("handed_out_at", UtcDateTime),
    Column("error_code", Text),
    Column("status", Coded(StatusCode)),
    Column("status_at", UtcDateTime),
    Column("recall", Coded(RecallState), nullable=False),
    _code("as_written"),
    Column("recipient_name", Text),
    _code("redirected_from", nullable=True),
    Column("folded", Text, nullable=False),
    UniqueConstraint("document", "recipient"),
    Index("ix_deliveries_due", "lane", "via", "due_at", "id", **_partial(DUE)),
    Index("ix_deliveries_mailbox", "via", "lane", "id", **_partial(IN_MAILBOX)),
    Index(None, "accepted_at"),
    Index(None, "recipient", "accepted_at"),
    Index(None, "via", "accepted_at", **_partial(_INDIRECT)),
    Index(None, "state", "accepted_at", "kind"),
)

delivery_blocks = Table(
    # Who waits for whom to leave; ``deliveries.blockers`` counts the rows of the first column.
    "delivery_blocks",
    metadata,
    Column("delivery", Text, ForeignKey("deliveries.id"), primary_key=True),
    Column("blocked_by", Text, ForeignKey("deliveries.id"), primary_key=True),
    Index(None, "blocked_by"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("delivery", Text, ForeignKey("deliveries.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("worker", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("code", Text),
    Column("detail", Text),
    Column("receipt", Text),
    Index(None, "delivery"),
)

statuses = Table(
    "statuses",
    metadata,
    Column("id", Text, primary_key=True),
    Column("package", Text, ForeignKey("documents.id"), nullable=False),
    Column("document", Text, ForeignKey("documents.id")),
    Column("delivery", Text, ForeignKey("deliveries.id")),
    Column("code", Coded(StatusCode), nullable=False),
    Column("description", Text),
    Column("reported_at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    _code("reporter"),
    _code("about_sender"),
    Column("about_identity", Text, nullable=False),
    Column("about_alias", Text),
    Column("copy_of", Json(tuple[str, ...]), nullable=False),
    Column("effect", Coded(StatusEffect), nullable=False),
    Column("particulars", Text, nullable=False),
    UniqueConstraint(
        "reporter", "about_sender", "about_identity", "code", "reported_at", "particulars", name="uq_statuses_report"
    ),
    Index(None, "document"),
    Index(None, "package"),
    Index(
        "ix_statuses_waiting_identity",
        "about_sender",
        "about_identity",
        **_partial(WITHOUT_COPY),
    ),
    Index(
        "ix_statuses_waiting_alias",
        "about_sender",
        "about_alias",
        **_partial(WITHOUT_COPY),
    ),
)

operation_requests = Table(
    # What operations (business types 1–3 and status 13) ask of single copies, and how that was answered.
    "operation_requests",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("package", Text, ForeignKey("documents.id"), nullable=False),
    Column("business_type", Numbered(BusinessType), nullable=False),
    _code("recipient"),
    Column("document", Text, ForeignKey("documents.id")),  # NULL: the document meant is not known
    Column("delivery", Text, ForeignKey("deliveries.id")),  # the copy of that document; NULL: there is none
    Column("own", Text, ForeignKey("deliveries.id")),  # by which the operation itself reaches the recipient
    Column("state", Coded(OperationState), nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime),
    _code("answered_by", nullable=True),
    Column("answer", Text),  # the status; no foreign key, because it is written after this row is
    Index(None, "package"),
    Index(None, "document"),
    Index(None, "delivery"),
    Index(None, "own"),
    Index(None, "state", **_partial(OPEN_REQUEST)),
)

events = Table(
    "events",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("action", Coded(Action, 64), nullable=False),
    Column("document", Text),
    Column("delivery", Text),
    Column("actor", Text),
    Column("data", Json(dict[str, Any]), nullable=False),
    Index(None, "document", **_partial("document IS NOT NULL")),
    sqlite_autoincrement=True,  # a number is never given twice, so that a gap at the end can be seen
)

refusals = Table(
    "refusals",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    _code("credential_agency", nullable=True),
    Column("code", Text, nullable=False),
    Column("path", Text),
    Column("detail", Text, nullable=False),
    Column("sha256", Text),
    Column("size", BigInteger, nullable=False),
    Column("kept_bytes", BigInteger, nullable=False),
    Column("payload", LargeBinary),
    Index(
        "ix_refusals_kept",
        "id",
        "kept_bytes",
        **_partial("kept_bytes > 0"),
    ),
    sqlite_autoincrement=True,
)

endpoints = Table(
    "endpoints",
    metadata,
    _code("via", primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("open_until", UtcDateTime),
    Column("opened_at", UtcDateTime),
    Column("last_success_at", UtcDateTime),
    Column("last_failure_at", UtcDateTime),
    Column("last_error_code", Text),
)

inboxes = Table(
    # What is known of the axes that are asked for arrivals, one row each.
    "inboxes",
    metadata,
    _code("via", primary_key=True),
    Column("due_at", UtcDateTime, nullable=False),  # when to ask next; while somebody asks, the end of the lease
    Column("since", UtcDateTime, nullable=False),  # first asked
    Column("listed_to", UtcDateTime),
    Column("failures", Integer, nullable=False),
    Column("last_success_at", UtcDateTime),
    Column("last_failure_at", UtcDateTime),
    Column("last_error_code", Text),
    Column("last_error_detail", Text),
    Column("last_arrival_at", UtcDateTime),
    Column("silent_since", UtcDateTime),
)

fetched = Table(
    # What an axis has listed, by its own ids: what became of it here, and whether the axis knows that.
    "fetched",
    metadata,
    _code("via", primary_key=True),
    Column("doc_id", Text, primary_key=True),
    Column("kind", Coded(PackageKind), nullable=False),
    Column("state", Coded(FetchState), nullable=False),
    Column("document", Text, ForeignKey("documents.id")),
    Column("error_code", Text),
    Column("attempts", Integer, nullable=False),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),  # of the next try, or of the next acknowledgement
    Column("acked_at", UtcDateTime),
    Column("acks", Integer, nullable=False),
    Index("ix_fetched_unacknowledged", "via", "due_at", **_partial(UNACKNOWLEDGED)),
    Index("ix_fetched_troubles", "via", "state", **_partial(NOT_TAKEN)),
    Index(None, "acked_at", **_partial("acked_at IS NOT NULL")),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("prefix", Text, nullable=False, unique=True),
    Column("secret_sha256", Text, nullable=False),
    _code("agency"),
    Column("scopes", Json(frozenset[str]), nullable=False),
    Column("label", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
)

systems = Table(
    "systems",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("agencies", Json(tuple[str, ...]), nullable=False),
    Column("gateway", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)

system_secrets = Table(
    "system_secrets",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("system", Text, ForeignKey("systems.id"), nullable=False),
    Column("sealed", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Index(None, "system"),
)

system_logins = Table(
    "system_logins",
    metadata,
    Column("system", Text, ForeignKey("systems.id"), primary_key=True),
    Column("token", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

UNDECIDED = "decided_at IS NULL"

agency_requests = Table(
    "agency_requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("system", Text, ForeignKey("systems.id"), nullable=False),
    Column("kind", Coded(RequestKind), nullable=False),
    _code("code"),
    _code("parent", nullable=True),
    Column("name", Text),
    Column("mail", Text),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("decision", Coded(Decision)),
    Column("actor", Text),
    Column("reason", Text),
    # What is asked again while it is undecided is the same request.
    Index("uq_agency_requests_undecided", "system", "kind", "code", unique=True, **_partial(UNDECIDED)),
)

operators = Table(
    "operators",
    metadata,
    Column("id", Text, primary_key=True),
    Column("login", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("role", Coded(OperatorRole), nullable=False),
    Column("language", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("disabled_at", UtcDateTime),
    Column("last_login_at", UtcDateTime),
)

# Signing in two steps

signing_requests = Table(
    "signing_requests",
    metadata,
    Column("id", Text, primary_key=True),
    _code("agency"),
    Column("state", Coded(SigningState), nullable=False),
    Column("certificate", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("source_sha256", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("prepared", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("completed_at", UtcDateTime),
    Column("signature_sha256", Text),
    Column("result_sha256", Text),
    Column("result_size", BigInteger),
    Column("stamped", Boolean, nullable=False),
    Index(None, "agency", "state"),
    Index(None, "expires_at"),
)

# Examinations

UNEXAMINED = "state = 'pending'"
"""Examinations to come: what workers choose from, and what is counted."""

KEPT_BACK = "state = 'refused'"
"""Documents that were refused after an examination."""

examinations = Table(
    "examinations",
    metadata,
    Column("document", Text, ForeignKey("documents.id"), primary_key=True),
    Column("kind", Coded(ExaminationKind), primary_key=True),
    Column("holds", Boolean, nullable=False),
    Column("state", Coded(ExaminationState), nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("token", Text),
    Column("attempts", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("reason", Text),
    Column("detail", Text),
    Column("signed", Coded(SignedFiles)),  # what the result says of both signatures, for lists
    Column("result", Json(ExaminationResult)),
    Index("ix_examinations_due", "kind", "holds", "due_at", "document", **_partial(UNEXAMINED)),
    Index("ix_examinations_refused", "document", **_partial(KEPT_BACK)),
)

document_concerns = Table(
    # Why somebody should look at a document, of those there is a reason for; made from examinations and judgements.
    "document_concerns",
    metadata,
    Column("document", Text, ForeignKey("documents.id"), primary_key=True),
    Column("concern", Coded(Concern), primary_key=True),
    Column("received_at", UtcDateTime, nullable=False),  # the document's, so that the index gives the order of lists
    Index(None, "concern", "received_at", "document"),
)

# Revocation, and certificates that are watched

revocation_rounds = Table(
    # One row: who asks for what is known of revocation, and how often that has changed.
    "revocation_rounds",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("due_at", UtcDateTime, nullable=False),  # of the next round; while somebody is at it, the end of the lease
    Column("version", BigInteger, nullable=False),
    Column("last_round_at", UtcDateTime),
)

revocation_sources = Table(
    # Where CRLs and OCSP answers come from, each with the last one that was good.
    "revocation_sources",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("last_success_at", UtcDateTime),
    Column("last_failure_at", UtcDateTime),
    Column("last_error_code", Text),
    Column("last_error_detail", Text),
    Column("this_update", UtcDateTime),
    Column("next_update", UtcDateTime),
    Column("sha256", Text),  # of the item; NULL: there has been none
    Column("der", LargeBinary),
)

watched_certificates = Table(
    # Whose revocation and whose end are looked after: registered ones, our own, and those of signers inside files.
    "watched_certificates",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("origin", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("reason", Text),
    Column("checked_at", UtcDateTime),
    Column("not_after", UtcDateTime, nullable=False),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("announced_days", Integer),  # the smallest threshold that its end was announced for
    Column("announced_end", UtcDateTime),  # and which end that was
    Column("subject", Text, nullable=False),
    Column("der", LargeBinary, nullable=False),
    Index(None, "origin", "last_seen"),
)

judgements = Table(
    # Verdicts on a package that were not its last; written when the first one changes.
    "judgements",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("document", Text, ForeignKey("documents.id"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("cause", Text, nullable=False),
    Column("verdict", Json(Verdict), nullable=False),
    Index(None, "document"),
)

# The event log's chain

log_batches = Table(
    # Events sealed together; written once and never changed.
    "log_batches",
    metadata,
    Column("number", SERIAL, primary_key=True, autoincrement=False),
    Column("last_id", BigInteger, nullable=False),
    Column("header", Text, nullable=False),
    Column("ids", LargeBinary, nullable=False),
    Column("links", LargeBinary, nullable=False),
    Index(None, "last_id"),
)

log_stamps = Table(
    # Statements about batches; a row waits here until an authority has stamped it.
    "log_stamps",
    metadata,
    Column("number", SERIAL, primary_key=True, autoincrement=False),
    Column("last_batch", BigInteger, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("stamped_at", UtcDateTime),
    Column("attempts", Integer, nullable=False),
    Column("tried_at", UtcDateTime),
    Column("error_code", Text),
    Column("statement", Text, nullable=False),
    Column("token", LargeBinary),
    Index(None, "last_batch"),
)

# Evidence

seal_stamps = Table(
    # Time-stamps over documents' seals, had when evidence was first asked for.
    "seal_stamps",
    metadata,
    Column("document", Text, ForeignKey("documents.id"), primary_key=True),
    Column("had_at", UtcDateTime, nullable=False),
    Column("token", LargeBinary, nullable=False),
)

file_signers = Table(
    # By which certificates files of a document are signed, so that they are judged anew when one was revoked.
    "file_signers",
    metadata,
    Column("document", Text, ForeignKey("documents.id"), primary_key=True),
    Column("certificate", Text, primary_key=True),
    Column("undecided", Boolean, nullable=False),  # its revocation was not known when the file was judged
    Index("ix_file_signers_certificate", "certificate", "document"),
)
