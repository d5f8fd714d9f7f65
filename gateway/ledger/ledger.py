"""The ledger as its callers see it: each method is one transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Engine

from gateway.ledger.records import (
    DEFAULT_BOUNDS,
    EVERYTHING,
    Accepted,
    ApiKey,
    AttemptRow,
    Backlog,
    Claim,
    Counts,
    DeliveryRow,
    DocumentRow,
    DocumentSummary,
    Duplicate,
    EndpointState,
    EventRow,
    Filter,
    Lock,
    LogRow,
    NewDelivery,
    NewDocument,
    NewEvent,
    NewRefusal,
    NewStatus,
    Operator,
    OperatorRole,
    Outcome,
    Page,
    RefusalBounds,
    RefusalRow,
    Reply,
    Settled,
    Trace,
)
from gateway.model import AgencyCode, BusinessType, Channel, DeliveryState, PackageKind


class Ledger:
    """
    Documents, deliveries, statuses and events in one database (design D3).

    Every method raises ``LedgerUnavailable`` when the database cannot be used (try again) and
    ``StorageFull`` when it has no room; nothing was changed then. Times are aware UTC and come
    from the caller. Safe for use by several threads and processes.
    """

    def __init__(self, engine: Engine, *, refusals: RefusalBounds = DEFAULT_BOUNDS) -> None:
        self.engine = engine
        self._refusals = refusals

    # Acceptance

    def accept(
        self,
        document: NewDocument,
        deliveries: Sequence[NewDelivery],
        status: NewStatus | None = None,
        events: Sequence[NewEvent] = (),
    ) -> Accepted | Duplicate:
        """
        Make the document, its deliveries, its status and the events durable, or find that they are.

        The same identity with the same bytes is a ``Duplicate``: the first receipt, and deliveries are
        added for recipients that were not asked for before (a peer may forward one recipient at a time).
        A status that was reported before, even in other bytes, is a ``Duplicate`` of its first package.
        Deliveries of a package with ``targets`` wait until the open deliveries of those documents to the
        same recipient have left. Statuses that came before their document are applied now.

        :param status: given exactly when ``document.kind`` is a status.
        :raises DocumentConflict: other bytes under an identity that is taken; recorded as an event.
        """
        raise NotImplementedError

    def record_refusal(self, refusal: NewRefusal) -> int:
        """Keep a package that was turned away, within bounds; the oldest go first. Returns its number."""
        raise NotImplementedError

    # Documents

    def document(self, document_id: str) -> DocumentRow | None:
        """One document by the gateway's id."""
        raise NotImplementedError

    def find_document(
        self,
        sender: AgencyCode,
        identity: str,
        *,
        business_type: BusinessType | None = None,
        kind: PackageKind = PackageKind.DOCUMENT,
    ) -> DocumentRow | None:
        """The first document of a sender known under an identity or alias; of that business type when given."""
        raise NotImplementedError

    def payload(self, sha256: str) -> bytes | None:
        """The bytes of a package kept in the ledger; ``None`` when it is in the payload store, or unknown."""
        raise NotImplementedError

    def may_see(self, document_id: str, agency: AgencyCode) -> bool:
        """Whether this agency sent it, handed it over, or is recipient or endpoint of one of its deliveries."""
        raise NotImplementedError

    # The queue

    def claim(
        self,
        *,
        worker: str,
        now: datetime,
        lease: timedelta,
        limit: int,
        per_endpoint: int = 2,
        channels: Sequence[Channel] = (Channel.PUSH, Channel.PEER),
        without: Collection[AgencyCode] = (),
    ) -> list[Claim]:
        """
        Take up to ``limit`` due deliveries: highest lane first, then longest due.

        At most ``per_endpoint`` for one endpoint, none for an endpoint whose circuit is open, one
        (``Claim.probe``) for an endpoint whose circuit may be tried again. Expired leases are due again.
        Its cost depends on the number of endpoints with something waiting, not on how much waits.

        :param without: endpoints (``via``) that the worker is busy with already.
        """
        raise NotImplementedError

    def settle(self, claim: Claim, outcome: Outcome, *, now: datetime, reply: Reply | None = None) -> DeliveryState:
        """
        Record how a try ended: attempt, state, event and reply in one transaction.

        Deliveries that waited for this one to leave become due.

        :param reply: the automatic status 01; recorded exactly once, or not at all.
        :return: the state after it.
        :raises LeaseLost: the lease ended and another worker has the delivery; nothing was recorded.
        """
        raise NotImplementedError

    def extend(self, claims: Sequence[Claim], *, now: datetime, lease: timedelta) -> set[str]:
        """Lengthen leases that still hold; the ids of the deliveries that were lengthened."""
        raise NotImplementedError

    def release(self, claims: Sequence[Claim], *, now: datetime) -> int:
        """Give claims back untried (a worker that drains); due at once, and the try is not counted."""
        raise NotImplementedError

    def endpoint(self, via: AgencyCode) -> EndpointState:
        """The circuit of one endpoint; a closed one without history when nothing is known."""
        raise NotImplementedError

    def endpoints(self) -> list[EndpointState]:
        """All endpoints that were ever tried, by code."""
        raise NotImplementedError

    def endpoint_failed(
        self, via: AgencyCode, *, code: str, now: datetime, open_until: datetime | None
    ) -> EndpointState:
        """Count a failure; ``open_until`` opens the circuit (or keeps it open) until then, ``None`` leaves it."""
        raise NotImplementedError

    def endpoint_succeeded(self, via: AgencyCode, *, now: datetime) -> None:
        """Close the circuit. Costs one read when nothing changes, so it may be called after every success."""
        raise NotImplementedError

    # The mailbox

    def inbox(self, via: AgencyCode, *, limit: int = 50, after: str | None = None) -> Page[LogRow]:
        """What is to be collected through this endpoint, highest lane first, then oldest; locked ones included."""
        raise NotImplementedError

    def lock(self, delivery_id: str, via: AgencyCode, *, now: datetime, lease: timedelta) -> Lock:
        """
        Reserve one delivery for its receiver.

        :raises NotFound: no such delivery in this mailbox.
        :raises StateConflict: locked by another request, until the time it names.
        :raises TransitionForbidden: it was settled before.
        """
        raise NotImplementedError

    def acknowledge(
        self, delivery_id: str, via: AgencyCode, token: str, *, now: datetime, reply: Reply | None = None
    ) -> Settled:
        """
        The receiver has it. The same request again returns the same answer, marked as repeated.

        A lock that has ended still acknowledges as long as nobody else has taken it.

        :raises NotFound: no such delivery in this mailbox.
        :raises LeaseLost: another lock was given out since, or the token never was one.
        :raises TransitionForbidden: it was refused under this token.
        """
        raise NotImplementedError

    def refuse(
        self, delivery_id: str, via: AgencyCode, token: str, *, reason: str, now: datetime, reply: Reply | None = None
    ) -> Settled:
        """
        The receiver does not take it; as ``acknowledge``.

        :param reason: kept with the attempt, shown to the sender by the reply (status 02).
        :raises ReasonRequired: the reason is blank.
        """
        raise NotImplementedError

    # Operators

    def replay(
        self, which: Sequence[str] | Filter, *, reason: str, actor: str, now: datetime, limit: int = 10_000
    ) -> list[str]:
        """
        Put abandoned or refused deliveries back to waiting, due now.

        :param which: delivery ids, all of which must be replayable; or a filter, of which those that are
            replayable are taken, oldest first, up to ``limit``.
        :return: ids of the deliveries replayed; call again while it is as long as the limit.
        :raises ReasonRequired: the reason is blank.
        :raises NotFound: an id is unknown; nothing was changed.
        :raises TransitionForbidden: an id is in another state; nothing was changed.
        """
        raise NotImplementedError

    def withdraw(self, delivery_ids: Sequence[str], *, reason: str, actor: str, now: datetime) -> list[str]:
        """Take waiting or abandoned deliveries back for good; errors as in ``replay``."""
        raise NotImplementedError

    def delivery(self, delivery_id: str) -> DeliveryRow | None:
        """One delivery."""
        raise NotImplementedError

    def log_row(self, delivery_id: str) -> LogRow | None:
        """One delivery and its document."""
        raise NotImplementedError

    def deliveries(self, document_id: str) -> list[DeliveryRow]:
        """All deliveries of one document, oldest first."""
        raise NotImplementedError

    def attempts(self, delivery_id: str) -> list[AttemptRow]:
        """All tries of one delivery, oldest first."""
        raise NotImplementedError

    def search(self, filters: Filter = EVERYTHING, *, limit: int = 50, cursor: str | None = None) -> Page[LogRow]:
        """
        The routing log, newest first: one row per delivery.

        :param limit: at most 200.
        :raises RequestError: the cursor is not one of ours.
        """
        raise NotImplementedError

    def documents(
        self, filters: Filter = EVERYTHING, *, limit: int = 50, cursor: str | None = None
    ) -> Page[DocumentSummary]:
        """The accepted packages, newest first; as ``search``, but one row per document."""
        raise NotImplementedError

    def counts(self, *, kind: PackageKind | None = None) -> Counts:
        """Live counts."""
        raise NotImplementedError

    def backlog(self) -> list[Backlog]:
        """What waits, by endpoint."""
        raise NotImplementedError

    def trace(self, document_id: str) -> Trace | None:
        """The way of one document; ``None`` when it is unknown."""
        raise NotImplementedError

    def events(self, *, after: int = 0, limit: int = 1000) -> list[EventRow]:
        """The event log, oldest first, from after the given number."""
        raise NotImplementedError

    def refusals(self, *, limit: int = 50, before: int | None = None) -> list[RefusalRow]:
        """Packages turned away, newest first, older than the given number."""
        raise NotImplementedError

    def refusal_payload(self, refusal_id: int) -> bytes | None:
        """The bytes of a package turned away; ``None`` when not kept."""
        raise NotImplementedError

    # Accounts

    def add_key(self, key: ApiKey, *, actor: str) -> None:
        """Register a key."""
        raise NotImplementedError

    def find_key(self, prefix: str) -> ApiKey | None:
        """By the part that may be shown; also when expired or revoked (``ApiKey.is_valid``)."""
        raise NotImplementedError

    def keys(self, agency: AgencyCode | None = None) -> list[ApiKey]:
        """All keys, of one agency or of all, oldest first."""
        raise NotImplementedError

    def revoke_key(self, prefix: str, *, at: datetime, actor: str, now: datetime) -> ApiKey:
        """Refuse a key from ``at`` on (which may lie ahead); an earlier revocation stands. Raises ``NotFound``."""
        raise NotImplementedError

    def touch_key(self, key: ApiKey, *, now: datetime) -> None:
        """Note that a key was used; writes at most once an hour."""
        raise NotImplementedError

    def add_operator(self, operator: Operator, *, actor: str) -> None:
        """Register a person. Raises ``StateConflict`` when the login is taken."""
        raise NotImplementedError

    def find_operator(self, login: str) -> Operator | None:
        """By login; also when disabled."""
        raise NotImplementedError

    def operator(self, operator_id: str) -> Operator | None:
        """By id; also when disabled."""
        raise NotImplementedError

    def operators(self) -> list[Operator]:
        """All, by login."""
        raise NotImplementedError

    def change_operator(
        self,
        login: str,
        *,
        actor: str,
        now: datetime,
        password_hash: str | None = None,
        role: OperatorRole | None = None,
        language: str | None = None,
        disabled: bool | None = None,
    ) -> Operator:
        """Change what is given. Raises ``NotFound``."""
        raise NotImplementedError

    def note_login(self, login: str, *, now: datetime) -> None:
        """Remember when a person last logged in."""
        raise NotImplementedError
