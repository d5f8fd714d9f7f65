"""The ledger as its callers see it: each method is one transaction, unless it is one for each portion of many."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import Engine

from gateway.errors import DocumentConflict, GatewayError, OperationOutpaced, ReasonRequired
from gateway.ledger import (
    acceptance,
    accounts,
    concerns,
    examinations,
    examined,
    fetched,
    mailbox,
    operations,
    protocol,
    queue,
    reads,
    recalls,
    refused,
    revocation,
    seal_stamps,
    signing_requests,
    statements,
    systems,
)
from gateway.ledger.actions import Action
from gateway.ledger.chain import EventLog
from gateway.ledger.engine import reading, writing, written
from gateway.ledger.protocol import Window
from gateway.ledger.records import (
    DEFAULT_BOUNDS,
    EVERYTHING,
    Accepted,
    AgencyRequest,
    ApiKey,
    AttemptRow,
    Backlog,
    Claim,
    Concern,
    Counts,
    Decision,
    DeliveryRow,
    DocumentRow,
    DocumentSummary,
    Duplicate,
    EndpointState,
    EventRow,
    ExaminationClaim,
    ExaminationCount,
    ExaminationRow,
    Examined,
    Fetched,
    FetchState,
    Filter,
    Found,
    Glance,
    InboxState,
    Lock,
    LogRow,
    NewDelivery,
    NewDocument,
    NewEvent,
    NewExamination,
    NewOperation,
    NewRefusal,
    NewStatus,
    OperationRow,
    Operator,
    OperatorRole,
    Outcome,
    Page,
    RefusalBounds,
    RefusalRow,
    Reply,
    Report,
    Settled,
    SigningBounds,
    SigningRequest,
    StatusRow,
    System,
    SystemSecret,
    Trace,
)
from gateway.model import (
    CALLED,
    AgencyCode,
    BusinessType,
    Channel,
    DeliveryState,
    ExaminationKind,
    PackageKind,
    Verdict,
)

_PORTION = 500
"""Rows that one transaction of a long work changes, so that others can write in between."""


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
        self.log = EventLog(engine)
        """The event log's chain; a door of its own."""

    # Acceptance

    def accept(
        self,
        document: NewDocument,
        deliveries: Sequence[NewDelivery],
        status: NewStatus | None = None,
        events: Sequence[NewEvent] = (),
        operation: NewOperation | None = None,
        *,
        examinations: Sequence[NewExamination] = (),
    ) -> Accepted | Duplicate:
        """
        Make the document, its deliveries, its status and the events durable, or find that they are.

        The same identity with the same bytes is a ``Duplicate``: the first receipt, and deliveries are
        added for recipients that were not asked for before (a peer may forward one recipient at a time).
        A status that was reported before, even in other bytes, is a ``Duplicate`` of its first package.
        Deliveries of a package with ``targets`` wait until the open deliveries of those documents to the
        same recipient have left. Statuses that came before their document or its delivery are applied now.

        :param status: given exactly when ``document.kind`` is a status.
        :param operation: given for business types 1–3 and for status 13; it takes effect in the same transaction.
        :param examinations: to come or done, at most one of each kind; those that hold keep all deliveries of the
            document here, also those that a repeat adds. A repeat begins none.
        :raises DocumentKeptBack: a repeat asks for further recipients of what was refused after an examination.
        :raises DocumentConflict: other bytes under an identity that is taken; recorded as an event.
        :raises OperationOutpaced: what the operation meets now is not what it was prepared for (``meet``); nothing
            was written.
        """
        result = written(
            self.engine,
            lambda connection: acceptance.accept(
                connection,
                document,
                deliveries,
                status,
                events=events,
                operation=operation,
                examinations=examinations,
            ),
        )
        if isinstance(result, acceptance.Outpaced):
            raise OperationOutpaced
        # Raised after the commit: that there was a conflict is a fact to keep.
        if isinstance(result, acceptance.Conflict):
            raise DocumentConflict(existing=result.existing)
        return result

    def meet(self, operation: NewOperation, *, package: str, now: datetime) -> list[Found]:
        """What an operation would meet at its recipients now; a look without locks, to be confirmed by ``accept``."""
        with reading(self.engine) as connection:
            return [m.found for m in recalls.meet(connection, operation, package=package, now=now, lock=False)]

    def recalls_waiting(self, deliveries: Sequence[str]) -> set[str]:
        """Those of the deliveries of which a recall waits for an answer."""
        with reading(self.engine) as connection:
            return recalls.recalls_waiting(connection, deliveries)

    def operations_on(self, document_id: str) -> tuple[OperationRow, ...]:
        """What was asked of a document's copies, and what it asked itself if it is an operation; oldest first."""
        with reading(self.engine) as connection:
            return recalls.concerning(connection, document_id)

    def record_refusal(self, refusal: NewRefusal) -> int:
        """Keep a package that was turned away, within bounds; the oldest go first. Returns its number."""
        with writing(self.engine) as connection:
            return refused.keep(connection, refusal, self._refusals)

    # Documents

    def document(self, document_id: str) -> DocumentRow | None:
        """One document by the gateway's id."""
        with reading(self.engine) as connection:
            return reads.document(connection, document_id)

    def find_document(
        self,
        sender: AgencyCode,
        identity: str,
        *,
        business_type: BusinessType | None = None,
        kind: PackageKind = PackageKind.DOCUMENT,
    ) -> DocumentRow | None:
        """The first document of a sender known under an identity or alias; of that business type when given."""
        with reading(self.engine) as connection:
            return reads.find_document(connection, sender, identity, business_type, kind)

    def documents_named(
        self, sender: AgencyCode, identity: str, *, business_type: BusinessType, limit: int = 50
    ) -> list[DocumentRow]:
        """The documents of a sender under an identity, the latest first; several only for business types 1 to 3."""
        with reading(self.engine) as connection:
            return reads.documents_named(connection, sender, identity, business_type, limit)

    def accepted_before(
        self, sender: AgencyCode, identity: str, *, business_type: BusinessType, kind: PackageKind, sha256: str
    ) -> DocumentRow | None:
        """
        The document accepted from a sender under an identity with these very bytes, or ``None``.

        Asked for every package; costs next to nothing as long as the answer is ``None``.
        """
        known = reads.accepted_before(
            self.engine, sender, identity, business_type=business_type, kind=kind, sha256=sha256
        )
        return None if known is None else self.document(known)

    def numbered(self, sender: AgencyCode, number: str, *, other_than: str) -> str | None:
        """
        A new document (gateway's id) of a sender that has this number under another identity, or ``None``.

        :param number: number, notation and date as one name, e.g. ``~2026/11/22,07/QĐ``.
        :param other_than: the identity that may have it.
        """
        return reads.numbered(self.engine, sender, number, other_than=other_than)

    def last_report(self, document_id: str, delivery_id: str) -> StatusRow | None:
        """The latest status on one copy of a document, whoever reported it; a replay leaves those before it behind."""
        with reading(self.engine) as connection:
            return reads.last_report(connection, document_id, delivery_id)

    def payload(self, sha256: str) -> bytes | None:
        """The bytes of a package kept in the ledger; ``None`` when it is in the payload store, or unknown."""
        return reads.payload(self.engine, sha256)

    def may_see(self, document_id: str, agency: AgencyCode) -> bool:
        """Whether this agency sent it, handed it over, or is recipient or endpoint of one of its deliveries."""
        with reading(self.engine) as connection:
            return reads.may_see(connection, document_id, agency)

    # The queue

    def claim(
        self,
        *,
        worker: str,
        now: datetime,
        lease: timedelta,
        limit: int,
        per_endpoint: int = 2,
        channels: Sequence[Channel] = CALLED,
        without: Collection[AgencyCode] = (),
    ) -> list[Claim]:
        """
        Take up to ``limit`` due deliveries: highest lane first, then longest due.

        At most ``per_endpoint`` for one endpoint, none for an endpoint whose circuit is open, one
        (``Claim.probe``) for an endpoint whose circuit may be tried again. Expired leases are due again.
        Its cost depends on the number of endpoints with something waiting, not on how much waits.

        :param without: endpoints (``via``) that the worker is busy with already.
        """
        with reading(self.engine) as connection:
            heads = queue.due_heads(connection, now=now, channels=channels, without=without)
        if not heads or limit < 1:
            return []
        with writing(self.engine) as connection:
            return queue.claim(
                connection, heads, worker=worker, now=now, lease=lease, limit=limit, per_endpoint=per_endpoint
            )

    def settle(self, claim: Claim, outcome: Outcome, *, now: datetime, reply: Reply | None = None) -> DeliveryState:
        """
        Record how a try ended: attempt, state, event and reply in one transaction.

        Deliveries that waited for this one to leave become due.

        :param reply: the automatic status 01; recorded exactly once, or not at all.
        :return: the state after it.
        :raises LeaseLost: the lease ended and another worker has the delivery; nothing was recorded.
        """
        (result,) = self.settle_all([(claim, outcome, reply)], now=now)
        if isinstance(result, GatewayError):
            raise result
        return result

    def settle_all(
        self, items: Sequence[tuple[Claim, Outcome, Reply | None]], *, now: datetime
    ) -> Sequence[DeliveryState | GatewayError]:
        """
        Record how several tries ended, in one transaction: a fraction of what it costs to ``settle`` each.

        Each is held to its own lease: one that lost it is recorded nowhere and spoils nothing for the others.

        :param items: claim, outcome, and the automatic status 01 or ``None``; recorded exactly once, or not at all.
        :return: in the same order the state after each, or ``LeaseLost``.
        :raises GatewayError: of any other kind; nothing of all this was recorded.
        """
        with writing(self.engine) as connection:
            return queue.settle_all(connection, items, now=now)

    def extend(self, claims: Sequence[Claim], *, now: datetime, lease: timedelta) -> set[str]:
        """Lengthen leases that still hold; the ids of the deliveries that were lengthened."""
        with writing(self.engine) as connection:
            return queue.extend(connection, claims, until=now + lease)

    def release(self, claims: Sequence[Claim], *, now: datetime) -> int:
        """Give claims back untried (a worker that drains); due at once, and the try is not counted."""
        with writing(self.engine) as connection:
            return queue.release(connection, claims, now=now)

    def endpoint(self, via: AgencyCode) -> EndpointState:
        """The circuit of one endpoint; a closed one without history when nothing is known."""
        with reading(self.engine) as connection:
            return queue.endpoint(connection, via)

    def endpoints(self) -> list[EndpointState]:
        """All endpoints that were ever tried, by code."""
        with reading(self.engine) as connection:
            return queue.all_endpoints(connection)

    def endpoint_failed(
        self, via: AgencyCode, *, code: str, now: datetime, open_until: datetime | None
    ) -> EndpointState:
        """Count a failure; ``open_until`` opens the circuit (or keeps it open) until then, ``None`` leaves it."""
        with writing(self.engine) as connection:
            return queue.endpoint_failed(connection, via, code=code, now=now, open_until=open_until)

    def endpoint_succeeded(self, via: AgencyCode, *, now: datetime) -> None:
        """Close the circuit. Costs one read when nothing changes, so it may be called after every success."""
        with reading(self.engine) as connection:
            known = queue.endpoint(connection, via)
        if queue.success_is_news(known, now):
            with writing(self.engine) as connection:
                queue.endpoint_succeeded(connection, via, now=now)

    # The mailbox

    # ``formerly``: closed agencies whose place the owner of the mailbox has taken; what is left in theirs is its own.

    def inbox(
        self,
        via: AgencyCode,
        *,
        formerly: Collection[AgencyCode] = (),
        limit: int = 50,
        after: str | None = None,
    ) -> Page[LogRow]:
        """What is to be collected through this endpoint, highest lane first, then oldest; locked ones included."""
        with reading(self.engine) as connection:
            return reads.inbox(connection, via, formerly=formerly, limit=limit, after=after)

    def lock(
        self,
        delivery_id: str,
        via: AgencyCode,
        *,
        formerly: Collection[AgencyCode] = (),
        now: datetime,
        lease: timedelta,
    ) -> Lock:
        """
        Reserve one delivery for its receiver.

        :raises NotFound: no such delivery in this mailbox.
        :raises StateConflict: locked by another request, until the time it names.
        :raises TransitionForbidden: it was settled before.
        """
        with writing(self.engine) as connection:
            return mailbox.lock(connection, delivery_id, (via, *formerly), now=now, lease=lease)

    def acknowledge(
        self,
        delivery_id: str,
        via: AgencyCode,
        token: str,
        *,
        formerly: Collection[AgencyCode] = (),
        now: datetime,
        reply: Reply | None = None,
    ) -> Settled:
        """
        The receiver has it. The same request again returns the same answer, marked as repeated.

        A lock that has ended still acknowledges as long as nobody else has taken it.

        :raises NotFound: no such delivery in this mailbox.
        :raises LeaseLost: another lock was given out since, or the token never was one.
        :raises TransitionForbidden: it was refused under this token.
        """
        with writing(self.engine) as connection:
            return mailbox.acknowledge(connection, delivery_id, (via, *formerly), token, now=now, reply=reply)

    def refuse(
        self,
        delivery_id: str,
        via: AgencyCode,
        token: str,
        *,
        reason: str,
        formerly: Collection[AgencyCode] = (),
        now: datetime,
        reply: Reply | None = None,
    ) -> Settled:
        """
        The receiver does not take it; as ``acknowledge``.

        :param reason: kept with the attempt, shown to the sender by the reply (status 02).
        :raises ReasonRequired: the reason is blank.
        """
        with writing(self.engine) as connection:
            return mailbox.refuse(connection, delivery_id, (via, *formerly), token, reason=reason, now=now, reply=reply)

    # The same mailbox over the protocols of the country, whose clients know no locks

    def listed(
        self, owners: Sequence[AgencyCode], window: Window, *, now: datetime, limit: int, after: str | None = None
    ) -> Page[LogRow]:
        """
        What these agencies have to collect: highest lane first, then oldest.

        What ``hold`` has taken is among it, what ``put_back`` gave back only once its delay is over. The window
        is over the time since which it is to be collected: acceptance, or when it was let go or replayed.

        :param owners: at least one.
        :param limit: at most 1,000.
        :raises RequestError: the cursor is not one of ours, or the limit is none.
        """
        with reading(self.engine) as connection:
            return protocol.listed(connection, owners, window, now=now, limit=limit, after=after)

    def count_listed(self, owners: Sequence[AgencyCode], window: Window, *, now: datetime) -> int:
        """How many rows ``listed`` has on all its pages."""
        with reading(self.engine) as connection:
            return protocol.count(connection, owners, window, now=now)

    def sent(
        self,
        owners: Sequence[AgencyCode],
        window: Window,
        *,
        document_id: str | None = None,
        limit: int,
        after: str | None = None,
    ) -> Page[LogRow]:
        """
        What these agencies sent or handed over, newest first: one row per recipient.

        :param document_id: the gateway's id, or the sender's own DocumentId of what it sent itself.
        :param limit: at most 1,000.
        :raises RequestError: the cursor is not one of ours, or the limit is none.
        """
        with reading(self.engine) as connection:
            return protocol.sent(connection, owners, window, document_id=document_id, limit=limit, after=after)

    def finish(
        self,
        delivery_id: str,
        via: AgencyCode,
        *,
        formerly: Collection[AgencyCode] = (),
        forwarded: bool,
        now: datetime,
        reply: Reply | None = None,
    ) -> Settled:
        """
        The receiver has it, whoever holds a lock on it; as ``lock`` and ``acknowledge`` in one transaction.

        The same again returns the same answer, marked as repeated; so does one after it was refused.

        :param forwarded: its recipient is behind the owner of the mailbox, which delivers it further.
        :raises NotFound: no such delivery in this mailbox.
        :raises TransitionForbidden: it was taken back.
        """
        with writing(self.engine) as connection:
            return mailbox.finish(connection, delivery_id, (via, *formerly), forwarded=forwarded, now=now, reply=reply)

    def hand_out(
        self, delivery_id: str, via: AgencyCode, *, formerly: Collection[AgencyCode] = (), now: datetime
    ) -> None:
        """
        The bytes are about to be handed to the receiver: from now on nobody can say that it does not have them.

        :raises NotFound: no such delivery in this mailbox, or it was just taken back.
        """
        with writing(self.engine) as connection:
            mailbox.hand_out(connection, delivery_id, (via, *formerly), now=now)

    def hold(
        self,
        delivery_id: str,
        via: AgencyCode,
        *,
        formerly: Collection[AgencyCode] = (),
        now: datetime,
        lease: timedelta,
    ) -> Settled:
        """
        The receiver works at it: reserved for the lease, or that much longer when it was reserved already.

        :raises NotFound: no such delivery in this mailbox.
        :raises TransitionForbidden: it was settled before.
        """
        with writing(self.engine) as connection:
            return mailbox.hold(connection, delivery_id, (via, *formerly), now=now, lease=lease)

    def put_back(
        self,
        delivery_id: str,
        via: AgencyCode,
        *,
        formerly: Collection[AgencyCode] = (),
        reason: str | None,
        retry_at: Callable[[int], datetime],
        now: datetime,
    ) -> Settled:
        """
        The receiver has fetched it and could not use it: a failed try, and it waits again.

        Said once more before its delay is over it is a repetition, and not counted.

        :param retry_at: from the number of tries so far, when it is to be listed again.
        :raises NotFound: no such delivery in this mailbox.
        :raises TransitionForbidden: it was settled before.
        """
        with writing(self.engine) as connection:
            return mailbox.put_back(
                connection, delivery_id, (via, *formerly), reason=reason, retry_at=retry_at, now=now
            )

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
        with writing(self.engine) as connection:
            return operations.replay(connection, which, reason=reason, actor=actor, now=now, limit=limit)

    def withdraw(
        self,
        delivery_ids: Sequence[str],
        *,
        reason: str,
        actor: str,
        now: datetime,
        replies: Mapping[str, Reply] = MappingProxyType({}),
    ) -> list[str]:
        """
        Take waiting or abandoned deliveries back for good; errors as in ``replay``.

        :param replies: for each of them that a recall waits for, the status 15 that answers it.
        :raises OperationOutpaced: a recall came meanwhile for which there is no reply; nothing was changed.
        """
        with writing(self.engine) as connection:
            return operations.withdraw(connection, delivery_ids, reason=reason, actor=actor, now=now, replies=replies)

    def delivery(self, delivery_id: str) -> DeliveryRow | None:
        """One delivery."""
        with reading(self.engine) as connection:
            return reads.delivery(connection, delivery_id)

    def log_row(self, delivery_id: str) -> LogRow | None:
        """One delivery and its document."""
        with reading(self.engine) as connection:
            return reads.log_row(connection, delivery_id)

    def deliveries(self, document_id: str) -> list[DeliveryRow]:
        """All deliveries of one document, oldest first."""
        with reading(self.engine) as connection:
            return reads.deliveries_of(connection, document_id)

    def attempts(self, delivery_id: str) -> list[AttemptRow]:
        """All tries of one delivery, oldest first."""
        with reading(self.engine) as connection:
            return reads.attempts_of_delivery(connection, delivery_id)

    def search(self, filters: Filter = EVERYTHING, *, limit: int = 50, cursor: str | None = None) -> Page[LogRow]:
        """
        The routing log, newest first: one row per delivery.

        :param limit: at most 200.
        :raises RequestError: the cursor is not one of ours.
        """
        with reading(self.engine) as connection:
            return reads.search(connection, filters, limit=limit, cursor=cursor)

    def documents(
        self, filters: Filter = EVERYTHING, *, limit: int = 50, cursor: str | None = None
    ) -> Page[DocumentSummary]:
        """The accepted packages, newest first; as ``search``, but one row per document."""
        with reading(self.engine) as connection:
            return reads.list_documents(connection, filters, limit=limit, cursor=cursor)

    def counts(self, *, kind: PackageKind | None = None) -> Counts:
        """Live counts."""
        with reading(self.engine) as connection:
            return reads.counts(connection, kind)

    def backlog(self) -> list[Backlog]:
        """What waits, by endpoint."""
        with reading(self.engine) as connection:
            return reads.backlog(connection)

    def trace(self, document_id: str) -> Trace | None:
        """The way of one document; ``None`` when it is unknown."""
        with reading(self.engine) as connection:
            return reads.trace(connection, document_id)

    def reports(self, packages: Sequence[str]) -> Mapping[str, Report]:
        """What status packages say, by the gateway's ids of the packages; other ids have no entry."""
        with reading(self.engine) as connection:
            return reads.reports(connection, packages)

    def events(self, *, after: int = 0, limit: int = 1000) -> list[EventRow]:
        """The event log, oldest first, from after the given number."""
        with reading(self.engine) as connection:
            return reads.read_events(connection, after=after, limit=limit)

    def record_event(self, new: NewEvent, *, now: datetime, document_id: str | None = None) -> None:
        """Keep a step that people take outside of the ledger, such as a log-in or a download."""
        with writing(self.engine) as connection:
            statements.record(
                connection, [statements.event(now, new.action, document=document_id, actor=new.actor, **new.data)]
            )

    def refusals(self, *, limit: int = 50, before: int | None = None) -> list[RefusalRow]:
        """Packages turned away, newest first, older than the given number."""
        with reading(self.engine) as connection:
            return refused.rows(connection, limit=limit, before=before)

    def refusal_payload(self, refusal_id: int) -> bytes | None:
        """The bytes of a package turned away; ``None`` when not kept."""
        with reading(self.engine) as connection:
            return refused.payload(connection, refusal_id)

    # Accounts

    def add_key(self, key: ApiKey, *, actor: str) -> None:
        """Register a key."""
        with writing(self.engine) as connection:
            accounts.add_key(connection, key, actor=actor)

    def find_key(self, prefix: str) -> ApiKey | None:
        """By the part that may be shown; also when expired or revoked (``ApiKey.is_valid``)."""
        with reading(self.engine) as connection:
            return accounts.find_key(connection, prefix)

    def keys(self, agency: AgencyCode | None = None) -> list[ApiKey]:
        """All keys, of one agency or of all, oldest first."""
        with reading(self.engine) as connection:
            return accounts.keys(connection, agency)

    def revoke_key(self, prefix: str, *, at: datetime, actor: str, now: datetime) -> ApiKey:
        """Refuse a key from ``at`` on (which may lie ahead); an earlier revocation stands. Raises ``NotFound``."""
        with writing(self.engine) as connection:
            return accounts.revoke_key(connection, prefix, at=at, actor=actor, now=now)

    def touch_key(self, key: ApiKey, *, now: datetime) -> None:
        """Note that a key was used; writes at most once an hour."""
        if key.last_used_at is not None and now - key.last_used_at < accounts.USE_IS_FRESH:
            return
        with writing(self.engine) as connection:
            accounts.touch_key(connection, key.id, now=now)

    def add_operator(self, operator: Operator, *, actor: str) -> None:
        """Register a person. Raises ``StateConflict`` when the login is taken."""
        with writing(self.engine) as connection:
            accounts.add_operator(connection, operator, actor=actor)

    def find_operator(self, login: str) -> Operator | None:
        """By login; also when disabled."""
        with reading(self.engine) as connection:
            return accounts.find_operator(connection, login)

    def operator(self, operator_id: str) -> Operator | None:
        """By id; also when disabled."""
        with reading(self.engine) as connection:
            return accounts.operator(connection, operator_id)

    def operators(self) -> list[Operator]:
        """All, by login."""
        with reading(self.engine) as connection:
            return accounts.all_operators(connection)

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
        given = {"password_hash": password_hash, "role": role, "language": language}
        values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if disabled is not None:
            values["disabled_at"] = now if disabled else None
        with writing(self.engine) as connection:
            return accounts.change_operator(connection, login, values=values, actor=actor, now=now)

    def note_login(self, login: str, *, now: datetime) -> None:
        """Remember when a person last logged in."""
        with writing(self.engine) as connection:
            accounts.note_login(connection, login, now=now)

    # Systems that speak the protocols of the country

    def add_system(self, system: System, sealed: str, *, actor: str | None) -> None:
        """Register a system with its first secret, sealed. Raises ``StateConflict`` when the id was given before."""
        with writing(self.engine) as connection:
            systems.add_system(connection, system, sealed, actor=actor)

    def find_system(self, system_id: str) -> tuple[System, tuple[SystemSecret, ...]] | None:
        """By id, also when revoked, with all its secrets, newest first, replaced ones included."""
        with reading(self.engine) as connection:
            return systems.find_system(connection, system_id)

    def systems(self) -> list[System]:
        """All, by id."""
        with reading(self.engine) as connection:
            return systems.all_systems(connection)

    def rotate_secret(
        self, system_id: str, sealed: str, *, until: datetime, actor: str | None, now: datetime
    ) -> System:
        """
        Give a system a new secret; the ones before work until ``until``, or end earlier if they already would.

        :raises NotFound: there is no such system.
        :raises StateConflict: it was revoked.
        """
        with writing(self.engine) as connection:
            return systems.rotate_secret(connection, system_id, sealed, until=until, actor=actor, now=now)

    def change_system(
        self,
        system_id: str,
        *,
        name: str | None,
        agencies: Sequence[AgencyCode] | None,
        actor: str | None,
        now: datetime,
    ) -> System:
        """Change what is given; its secrets stay. Raises ``NotFound``."""
        with writing(self.engine) as connection:
            return systems.change_system(connection, system_id, name=name, agencies=agencies, actor=actor, now=now)

    def revoke_system(self, system_id: str, *, actor: str | None, now: datetime) -> System:
        """Refuse a system from now on; an earlier revocation stands. Raises ``NotFound``."""
        with writing(self.engine) as connection:
            return systems.revoke_system(connection, system_id, actor=actor, now=now)

    def note_token(self, system_id: str, token_id: str, *, now: datetime) -> None:
        """Remember which token a system was given last; of earlier ones nothing is kept."""
        with writing(self.engine) as connection:
            systems.note_token(connection, system_id, token_id, now=now)

    def last_token(self, system_id: str) -> str | None:
        """The id of the token that a system was given last; ``None`` when none was noted."""
        with reading(self.engine) as connection:
            return systems.last_token(connection, system_id)

    def request_agency(self, asked: AgencyRequest, *, limit: int) -> AgencyRequest:
        """
        Keep what a system asks of the directory until an operator decides.

        :param limit: requests of one system that may be undecided.
        :return: the one that already waits for this code, when there is one.
        :raises TooManyRegistrations: so many wait already.
        """
        with writing(self.engine) as connection:
            return systems.request_agency(connection, asked, limit=limit)

    def agency_request(self, request_id: str) -> AgencyRequest | None:
        """One request, decided or not."""
        with reading(self.engine) as connection:
            return systems.find_request(connection, request_id)

    def agency_requests(self, *, undecided: bool = True, limit: int = 1000) -> list[AgencyRequest]:
        """What systems ask of the directory, oldest first; by default only what waits for a decision."""
        with reading(self.engine) as connection:
            return systems.requests(connection, undecided=undecided, limit=limit)

    def decide_request(
        self, request_id: str, decision: Decision, *, reason: str | None, actor: str, now: datetime
    ) -> AgencyRequest:
        """
        Note what an operator decided; the directory is the caller's to change.

        :raises NotFound: there is no such request.
        :raises StateConflict: it was decided before.
        """
        with writing(self.engine) as connection:
            return systems.decide_request(connection, request_id, decision, reason=reason, actor=actor, now=now)

    # What is fetched from axes

    def take_inbox(
        self,
        via: AgencyCode,
        *,
        now: datetime,
        lease: timedelta,
        at_once: bool = False,
        furthest: timedelta | None = None,
    ) -> InboxState | None:
        """
        The right to ask an axis for what has arrived there, until the lease ends; what is known of it.

        :param at_once: an operator asks now, due or not.
        :param furthest: when it is due later than this from now, a clock was ahead, and it is due now.
        :return: ``None`` when it is not due, or another worker is asking.
        """
        with writing(self.engine) as connection:
            return fetched.take_inbox(connection, via, now=now, lease=lease, at_once=at_once, furthest=furthest)

    def extend_inbox(self, via: AgencyCode, *, until: datetime) -> None:
        """Lengthen that right."""
        with writing(self.engine) as connection:
            fetched.extend_inbox(connection, via, until=until)

    def inboxes(self) -> list[InboxState]:
        """All axes that were ever asked, by code."""
        with reading(self.engine) as connection:
            return fetched.all_inboxes(connection)

    def inbox_listed(
        self,
        via: AgencyCode,
        *,
        now: datetime,
        due_at: datetime,
        listed_to: datetime | None,
        arrived: bool,
        silent_after: timedelta | None,
    ) -> None:
        """
        An axis has answered; events when it had failed, is silent for too long, or no longer is.

        :param due_at: when it is asked next.
        :param listed_to: everything that arrived before is known now; ``None``: not all of it.
        :param arrived: something new was listed.
        :param silent_after: without arrivals for so long it counts as silent; ``None``: never.
        """
        with writing(self.engine) as connection:
            fetched.inbox_listed(
                connection,
                via,
                now=now,
                due_at=due_at,
                listed_to=listed_to,
                arrived=arrived,
                silent_after=silent_after,
            )

    def inbox_failed(
        self, via: AgencyCode, *, code: str, detail: str, now: datetime, due_at: datetime, arrived: bool = False
    ) -> None:
        """
        An axis could not be asked, or not to the end; an event once for each cause.

        :param arrived: it listed something new before.
        """
        with writing(self.engine) as connection:
            fetched.inbox_failed(connection, via, code=code, detail=detail, now=now, due_at=due_at, arrived=arrived)

    def fetched(self, via: AgencyCode, doc_ids: Sequence[str]) -> Mapping[str, Fetched]:
        """Those of an axis' ids that were met before."""
        with reading(self.engine) as connection:
            return fetched.known(connection, via, doc_ids)

    def note_fetched(self, one: Fetched, *, action: Action | None = None, **data: Any) -> None:
        """Remember what became of one package of an axis; with an event when an action is given."""
        with writing(self.engine) as connection:
            fetched.note(connection, one, action=action, data=data)

    def unacknowledged(self, via: AgencyCode, *, now: datetime, limit: int) -> list[Fetched]:
        """What an axis is to be told now: ``done`` of what was taken, ``fail`` of the rest."""
        with reading(self.engine) as connection:
            return fetched.unacknowledged(connection, via, now=now, limit=limit)

    def to_fetch_again(self, via: AgencyCode, *, now: datetime, limit: int) -> list[Fetched]:
        """What could not be taken and is to be tried now, the longest due first."""
        with reading(self.engine) as connection:
            return fetched.to_fetch_again(connection, via, now=now, limit=limit)

    def fetch_troubles(self, via: AgencyCode | None = None, *, limit: int = 100) -> list[Fetched]:
        """What axes have for us and could not be taken, the latest first."""
        with reading(self.engine) as connection:
            return fetched.troubles(connection, via, limit=limit)

    def fetch_counts(self) -> Mapping[tuple[AgencyCode, FetchState], int]:
        """How much of each axis could not be taken, by state; what is zero has no entry."""
        with reading(self.engine) as connection:
            return fetched.counts(connection)

    def retry_fetched(self, via: AgencyCode, doc_ids: Collection[str] = (), *, actor: str, now: datetime) -> int:
        """
        Let what could not be taken be fetched again, now, as often as the first time; how many that are.

        :param doc_ids: empty means all of this axis.
        :raises NotFound: an id is not among them; nothing was changed.
        """
        with writing(self.engine) as connection:
            return fetched.retry(connection, via, doc_ids, actor=actor, now=now)

    def dismiss_fetched(
        self, via: AgencyCode, doc_ids: Collection[str], *, reason: str, actor: str, now: datetime
    ) -> int:
        """
        Leave what could not be taken where it is: it counts as a trouble no more; how many that are.

        The axis is still told ``fail`` and nothing else; naming an id to ``retry_fetched`` brings it back.

        :param doc_ids: at least one.
        :raises ReasonRequired: the reason is blank.
        :raises NotFound: an id is not among what was not taken; nothing was changed.
        """
        if not reason.strip():
            raise ReasonRequired
        with writing(self.engine) as connection:
            return fetched.dismiss(connection, via, doc_ids, reason=reason.strip(), actor=actor, now=now)

    # Signing in two steps

    def check_signing_room(self, agency: AgencyCode, size: int, bounds: SigningBounds, *, now: datetime) -> None:
        """
        Whether an agency may have one more file of so many bytes prepared; a look before anything is read.

        :raises TooManySignings: it may not.
        """
        with reading(self.engine) as connection:
            signing_requests.check_room(connection, agency, size, bounds, now=now)

    def add_signing(self, new: SigningRequest, bounds: SigningBounds) -> None:
        """
        Keep that a file waits for its signature.

        :raises TooManySignings: the agency has as many as it may; nothing was kept.
        """
        with writing(self.engine) as connection:
            signing_requests.add(connection, new, bounds)

    def signing(self, request_id: str, agency: AgencyCode) -> SigningRequest | None:
        """A file that an agency signs in two steps; ``None`` when there is none, or it is another agency's."""
        with reading(self.engine) as connection:
            return signing_requests.find(connection, request_id, agency)

    def complete_signing(
        self,
        request_id: str,
        agency: AgencyCode,
        *,
        signature_sha256: str,
        result_sha256: str,
        result_size: int,
        stamped: bool,
        now: datetime,
        kept_until: datetime,
    ) -> SigningRequest:
        """
        Keep that the signature is in the file, which is durable already; the same signature again changes nothing.

        :raises NotFound: there is none, or it is another agency's.
        :raises SigningCompleted: it was completed with another signature.
        :raises SigningExpired: its time is over.
        """
        with writing(self.engine) as connection:
            return signing_requests.complete(
                connection,
                request_id,
                agency,
                signature_sha256=signature_sha256,
                result_sha256=result_sha256,
                result_size=result_size,
                stamped=stamped,
                now=now,
                kept_until=kept_until,
            )

    def note_signing_mismatch(self, request: SigningRequest, *, now: datetime) -> None:
        """Keep that what came back was no signature over what was prepared."""
        with writing(self.engine) as connection:
            signing_requests.note_mismatch(connection, request, now=now)

    def cancel_signing(self, request_id: str, agency: AgencyCode, *, now: datetime) -> None:
        """
        Forget a request, signed or not.

        :raises NotFound: there is none, or it is another agency's.
        """
        with writing(self.engine) as connection:
            signing_requests.cancel(connection, request_id, agency, now=now)

    def expire_signings(self, *, now: datetime) -> list[str]:
        """Forget a bounded number of those whose time is over; the ids of these."""
        with writing(self.engine) as connection:
            return signing_requests.expire(connection, now=now)

    def known_signings(self, ids: list[str]) -> set[str]:
        """Those of the ids (at most 500) that are requests still."""
        with reading(self.engine) as connection:
            return signing_requests.known(connection, ids)

    # Examinations

    def claim_examinations(
        self,
        kinds: Collection[ExaminationKind],
        *,
        now: datetime,
        lease: timedelta,
        limit: int,
        served: Collection[AgencyCode] = (),
    ) -> list[ExaminationClaim]:
        """
        Take up to ``limit`` examinations that are due: those that hold a document first, then the longest due.

        One whose lease ended is due again. Costs one read when there is none.

        :param served: senders that had their turn: documents of others that are as urgent come first.
        """
        with reading(self.engine) as connection:
            due = examinations.due(connection, kinds, now=now, limit=limit, served=served)
        if not due:
            return []
        with writing(self.engine) as connection:
            return examinations.claim(connection, due, now=now, lease=lease)

    def postpone_examination(self, claim: ExaminationClaim, *, reason: str, due_at: datetime, now: datetime) -> bool:
        """
        It could not be done now; whether the claim still held.

        :param reason: stable dotted code, shown while it waits.
        """
        with writing(self.engine) as connection:
            return examinations.postpone(connection, claim, reason=reason, due_at=due_at, now=now)

    def extend_examination(self, claim: ExaminationClaim, *, lease: timedelta, now: datetime) -> bool:
        """Go on carrying it out; whether the claim still held."""
        with writing(self.engine) as connection:
            return examinations.extend(connection, claim, until=now + lease, now=now)

    def hasten_examinations(self, kind: ExaminationKind, *, reason: str, now: datetime) -> int:
        """
        Let what was postponed for one reason be done now: what stood against it may have changed.

        :return: how many.
        """
        with writing(self.engine) as connection:
            return examinations.hasten(connection, kind, reason=reason, now=now)

    def set_examinations_right(self, *, now: datetime, ahead: timedelta) -> int:
        """
        Let what a clock has put off that was ahead be done now; costs one read when there is nothing.

        Who carries one of them out meanwhile may find that somebody else does too; one of the two ends it.

        :param ahead: clocks of several machines may differ by so much.
        :return: how many.
        """
        with reading(self.engine) as connection:
            if not examinations.any_from_ahead(connection, now=now, ahead=ahead):
                return 0
        with writing(self.engine) as connection:
            return examinations.set_right(connection, now=now, ahead=ahead)

    def settle_examination(
        self,
        document_id: str,
        kind: ExaminationKind,
        outcome: Examined,
        *,
        now: datetime,
        token: str | None = None,
        replies: Mapping[str, Reply | None] = MappingProxyType({}),
    ) -> bool:
        """
        End a pending examination, exactly once: what it holds is let go, or refused and its sender told.

        :param token: of the claim under which it was carried out; ``None``: it needs none.
        :param replies: for a refusal, for each delivery that waits, what its sender is told (status 02, or 16 for an
            operation); ``None`` where nobody is to be told.
        :return: whether it was ended now; ``False`` when it had been before, or there is none.
        :raises LeaseLost: somebody else carries it out by now; nothing was changed.
        :raises OperationOutpaced: a delivery waits for which there is no reply; nothing was changed.
        :raises NotFound: there is no such document.
        """
        with writing(self.engine) as connection:
            return examined.settle(connection, document_id, kind, outcome, now=now, token=token, replies=replies)

    def release_examination(
        self, document_id: str, kind: ExaminationKind, *, reason: str, actor: str, now: datetime
    ) -> list[str]:
        """
        Let a document go without an examination that keeps it here, or in spite of it.

        What had been refused because of it is sent after all, unless another examination refuses it too.

        :return: ids of the deliveries that were refused and are due again.
        :raises ReasonRequired: the reason is blank.
        :raises NotFound: the document has no such examination.
        :raises TransitionForbidden: it does not keep the document here.
        """
        with writing(self.engine) as connection:
            return operations.release(connection, document_id, kind, reason=reason, actor=actor, now=now)

    def examinations(self, document_id: str) -> tuple[ExaminationRow, ...]:
        """All examinations of one document, by kind."""
        with reading(self.engine) as connection:
            return examinations.of_document(connection, document_id)

    def open_examinations(
        self, kind: ExaminationKind, *, limit: int = 100, after: str | None = None
    ) -> list[ExaminationRow]:
        """
        Examinations of one kind that are pending or were refused, by document id.

        :param after: a document id; what comes after it.
        """
        with reading(self.engine) as connection:
            return examinations.pending(connection, kind, limit=limit, after=after)

    def examination_counts(self) -> list[ExaminationCount]:
        """How many examinations are to come or were refused, by kind; what is zero has no entry."""
        with reading(self.engine) as connection:
            return examinations.counts(connection)

    def summaries(self, document_ids: Collection[str]) -> Mapping[str, DocumentSummary]:
        """Documents by the gateway's ids; those that are unknown have no entry."""
        with reading(self.engine) as connection:
            return reads.summaries(connection, document_ids)

    def glances(self, document_ids: Collection[str]) -> Mapping[str, Glance]:
        """What lists show of documents' signatures and examinations; where there is nothing to say is no entry."""
        with reading(self.engine) as connection:
            return concerns.glances(connection, document_ids)

    def concern_counts(self, *, since: datetime) -> Mapping[Concern, int]:
        """
        How many documents accepted from then on there is each reason to look at; every reason has an entry.

        What is kept here counts whenever it came.
        """
        with reading(self.engine) as connection:
            return concerns.counts(connection, since=since)

    # Revocation

    def take_revocation_round(self, *, now: datetime, lease: timedelta, at_once: bool = False) -> bool:
        """
        Whether this process is the one that asks now what has been revoked; nobody else does until the lease ends.

        :param at_once: also when the round is not due, or somebody else is at it.
        """
        with writing(self.engine) as connection:
            return revocation.take_round(connection, now=now, lease=lease, at_once=at_once)

    def end_revocation_round(self, *, now: datetime, due_at: datetime, done: bool = True) -> None:
        """Say when the next round is due; while one is under way (not ``done``), lengthen its lease."""
        with writing(self.engine) as connection:
            revocation.end_round(connection, now=now, due_at=due_at, done=done)

    def last_revocation_round(self) -> datetime | None:
        """When a round was completed last; ``None``: never."""
        with reading(self.engine) as connection:
            return revocation.last_round(connection)

    def revocation_version(self) -> int:
        """Grows with each change of what is known of revocation; 0 at first."""
        with reading(self.engine) as connection:
            return revocation.version(connection)

    def revocation_items(self, known: Mapping[str, str]) -> tuple[int, set[str], list[revocation.StoredItem]]:
        """
        What is known of revocation now.

        :param known: SHA-256 of the item that the caller has of each source.
        :return: the version; the sources that have an item; and the items that the caller does not have.
        """
        with reading(self.engine) as connection:
            # The version first: items that are newer than it only cause one more look.
            number = revocation.version(connection)
            present = revocation.item_names(connection)
            new = [name for name, sha256 in present.items() if known.get(name) != sha256]
            return number, set(present), revocation.items(connection, new)

    def revocation_sources(self) -> list[revocation.Source]:
        """Where CRLs and OCSP answers come from, and how that goes."""
        with reading(self.engine) as connection:
            return revocation.sources(connection)

    def plan_revocation(self, wanted: Mapping[str, str], *, now: datetime) -> None:
        """Note sources (name → ``crl`` or ``ocsp``) to be asked from now on; known ones stay as they are."""
        with writing(self.engine) as connection:
            revocation.plan(connection, wanted, now=now)

    def keep_revocation(self, item: revocation.StoredItem, *, now: datetime, due_at: datetime) -> bool:
        """Keep what a source answered, unless it is older than what is known; whether it says anything new."""
        with writing(self.engine) as connection:
            return revocation.keep(connection, item, now=now, due_at=due_at)

    def same_revocation(self, name: str, sha256: str, *, now: datetime, due_at: datetime) -> bool:
        """
        Note that a source answered what it had answered before, which need not be looked at again.

        :param sha256: of the answer.
        :return: whether it is what is kept of it; nothing was noted otherwise.
        """
        with writing(self.engine) as connection:
            return revocation.same(connection, name, sha256, now=now, due_at=due_at)

    def revocation_failed(self, name: str, *, code: str, detail: str, now: datetime, due_at: datetime) -> None:
        """Note that a source gave nothing usable; what it gave before stays."""
        with writing(self.engine) as connection:
            revocation.failed(connection, name, code=code, detail=detail, now=now, due_at=due_at)

    def drop_revocation(self, names: Collection[str], *, now: datetime) -> None:
        """Forget sources with what they gave."""
        with writing(self.engine) as connection:
            revocation.drop(connection, names, now=now)

    def watch_certificates(
        self, new: Sequence[revocation.NewWatched], *, now: datetime, most_of_files: int = 20_000
    ) -> None:
        """
        Look after the revocation of these certificates from now on.

        :param most_of_files: of signers inside files only so many are watched; those met longest ago are forgotten.
        """
        for part in statements.chunks(new):
            with writing(self.engine) as connection:
                revocation.watch(connection, part, now=now, most_of_files=most_of_files)

    def note_file_signers(
        self,
        document_id: str,
        signers: Sequence[tuple[revocation.NewWatched, bool]],
        *,
        now: datetime,
        most_of_files: int = 20_000,
    ) -> None:
        """
        Remember by whose certificates the files of a document are signed, and watch these.

        :param signers: each with whether its revocation was not known when the file was judged.
        """
        with writing(self.engine) as connection:
            revocation.note_signers(connection, document_id, signers, now=now, most=most_of_files)

    def examine_files_again(
        self,
        certificate: str,
        *,
        since: datetime | None,
        now: datetime,
        between: Callable[[], None] = lambda: None,
    ) -> int:
        """
        Let the files that a certificate signed be judged anew; what has been handed over stays so.

        :param since: of documents received then or later; ``None``: those that were judged without knowing.
        :param between: called after each portion, while nothing is locked; raises to leave the rest.
        :return: how many documents.
        """
        count, last = 0, ""
        while True:
            with writing(self.engine) as connection:
                done, more = revocation.examine_again(
                    connection, certificate, since=since, now=now, after=last, limit=_PORTION
                )
            count += done
            if done:
                between()
            if more is None:
                return count
            last = more

    def watched_certificates(self) -> list[revocation.Watched]:
        """The certificates that are watched, those that end first at the head."""
        with reading(self.engine) as connection:
            return revocation.watched(connection)

    def certificates_der(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """The DER of watched certificates, by SHA-256; unknown ones are left out."""
        with reading(self.engine) as connection:
            return revocation.certificates(connection, names)

    def note_revocation(self, found: Sequence[revocation.Finding], *, now: datetime) -> None:
        """Keep what was found of watched certificates; a revocation that was not known is an event."""
        for part in statements.chunks(found):
            with writing(self.engine) as connection:
                revocation.note_findings(connection, part, now=now)

    def announce_expiring(self, ends: Sequence[revocation.Expiring], *, now: datetime) -> None:
        """An event for each certificate whose end is near, once for each threshold."""
        with writing(self.engine) as connection:
            revocation.announce(connection, ends, now=now)

    def documents_verified_by(
        self,
        certificate: str,
        *,
        since: datetime | None = None,
        after: tuple[datetime, str] | None = None,
        limit: int = 200,
    ) -> list[tuple[str, datetime, Verdict]]:
        """
        Documents (id, received, present verdict) whose package this certificate verified, oldest first.

        :param certificate: SHA-256 of its DER.
        :param since: received at or after.
        :param after: receipt and id of the last one of the page before.
        """
        with reading(self.engine) as connection:
            return revocation.verified_by(connection, certificate, since=since, after=after, limit=limit)

    def rejudge(self, changes: Sequence[revocation.Rejudged], *, now: datetime) -> list[str]:
        """
        Put other verdicts in the place of those that documents have, and keep the former as history.

        :return: the documents changed; one whose verdict is not what the caller had read is passed over.
        """
        with writing(self.engine) as connection:
            return revocation.rejudge(connection, changes, now=now)

    def judgements(self, document_id: str) -> tuple[revocation.Judged, ...]:
        """All judgements of a document's package, oldest first; empty when the one of its receipt stands."""
        with reading(self.engine) as connection:
            return revocation.history(connection, document_id)

    def changed_verdicts(self, *, limit: int, before: int | None = None) -> list[tuple[int, revocation.Judged]]:
        """Verdicts that changed after the acceptance, the latest first, each with its number for paging."""
        with reading(self.engine) as connection:
            return revocation.changed_verdicts(connection, limit=limit, before=before)

    # Evidence

    def seal_stamp(self, document_id: str) -> bytes | None:
        """The time-stamp over a document's seal (RFC 3161 token, DER); ``None``: it has none yet."""
        with reading(self.engine) as connection:
            return seal_stamps.find(connection, document_id)

    def keep_seal_stamp(self, document_id: str, token: bytes, *, now: datetime) -> bytes:
        """Keep a time-stamp over a document's seal; the first one stays and is returned."""
        with writing(self.engine) as connection:
            return seal_stamps.keep(connection, document_id, token, at=now)
