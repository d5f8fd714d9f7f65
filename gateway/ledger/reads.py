"""What the console, the API and the command line look at. Nothing here writes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, Subquery, and_, func, or_, select, text, union

from gateway.ledger import recalls
from gateway.ledger.engine import first_row
from gateway.ledger.filters import (
    Way,
    after_in_mailbox,
    bounded,
    delivery_conditions,
    document_conditions,
    encode_cursor,
    moment_cursor,
    visible_to,
    ways,
    within_times,
)
from gateway.ledger.identity import revision_of, stored
from gateway.ledger.records import (
    AttemptRow,
    Backlog,
    Counts,
    DeliveryRow,
    DocumentRow,
    DocumentSummary,
    EventRow,
    Filter,
    LogRow,
    Page,
    Report,
    StatusRow,
    Trace,
)
from gateway.ledger.statements import chunks
from gateway.ledger.tables import (
    IN_MAILBOX,
    attempts,
    deliveries,
    document_targets,
    documents,
    events,
    operation_requests,
    refusals,
    statuses,
)
from gateway.model import AgencyCode, BusinessType, DeliveryState, PackageKind

_SUMMARY = [documents.c[name] for name in DocumentSummary.__dataclass_fields__]
_DOCUMENT = [documents.c[name] for name in DocumentRow.__dataclass_fields__]
_DELIVERY = [
    (deliveries.c.blockers > 0).label("blocked") if name == "blocked" else deliveries.c[name]
    for name in DeliveryRow.__dataclass_fields__
]
_STATUS = [statuses.c[name] for name in StatusRow.__dataclass_fields__]


def _delivery_row(values: Sequence[Any]) -> DeliveryRow:
    return DeliveryRow(**dict(zip(DeliveryRow.__dataclass_fields__, values, strict=True)))


def _summary_row(values: Sequence[Any]) -> DocumentSummary:
    return DocumentSummary(**dict(zip(DocumentSummary.__dataclass_fields__, values, strict=True)))


def _log_row(row: Row[Any]) -> LogRow:
    split = len(_DELIVERY)
    return LogRow(delivery=_delivery_row(row[:split]), document=_summary_row(row[split:]))


_LOG = select(*_DELIVERY, *_SUMMARY).join_from(deliveries, documents)


# One document


def document(connection: Connection, document_id: str) -> DocumentRow | None:
    """One document by the gateway's id."""
    row = connection.execute(select(*_DOCUMENT).where(documents.c.id == document_id)).one_or_none()
    return None if row is None else DocumentRow(**row._mapping)


def summaries(connection: Connection, document_ids: Collection[str]) -> dict[str, DocumentSummary]:
    """Documents by the gateway's ids; those that are unknown have no entry."""
    statement = select(*_SUMMARY)
    found = (
        _summary_row(row)
        for part in chunks(sorted(set(document_ids)))
        for row in connection.execute(statement.where(documents.c.id.in_(part)))
    )
    return {one.id: one for one in found}


def find_document(
    connection: Connection, sender: AgencyCode, identity: str, business_type: BusinessType | None, kind: PackageKind
) -> DocumentRow | None:
    """The first document known under a name; one whose own it is comes before those that have it as a second one."""
    name = stored(identity)
    statement = select(*_DOCUMENT).where(
        documents.c.sender == sender,
        documents.c.kind == kind,
        or_(documents.c.identity == name, documents.c.alias == name),
    )
    if business_type is not None:
        statement = statement.where(documents.c.business_type == business_type)
    order = (documents.c.identity != name, documents.c.business_type, documents.c.received_at, documents.c.id)
    first = statement.order_by(*order).limit(1)
    row = connection.execute(first).one_or_none()
    return None if row is None else DocumentRow(**row._mapping)


def documents_named(
    connection: Connection, sender: AgencyCode, identity: str, business_type: BusinessType, limit: int
) -> list[DocumentRow]:
    """The documents of a sender under an identity, the latest first; several only for operations, which repeat it."""
    rows = connection.execute(
        select(*_DOCUMENT)
        .where(
            documents.c.sender == sender,
            documents.c.identity == stored(identity),
            documents.c.business_type == business_type,
            documents.c.kind == PackageKind.DOCUMENT,
        )
        .order_by(documents.c.received_at.desc(), documents.c.id.desc())
        .limit(limit)
    )
    return [DocumentRow(**row._mapping) for row in rows]


def accepted_before(
    engine: Engine, sender: AgencyCode, identity: str, *, business_type: BusinessType, kind: PackageKind, sha256: str
) -> str | None:
    """The document (gateway's id) that was accepted under this identity with these very bytes."""
    revision = revision_of(business_type, sha256)
    row = first_row(engine, _BY_IDENTITY, sender, stored(identity), business_type.value, revision, kind.value)
    return row[0] if row is not None and row[1] == sha256 else None


_BY_IDENTITY = (
    "SELECT id, sha256 FROM documents"
    " WHERE sender = ? AND identity = ? AND business_type = ? AND revision = ? AND kind = ?"
)


def numbered(engine: Engine, sender: AgencyCode, number: str, *, other_than: str) -> str | None:
    """A new document (gateway's id) of a sender that has this number under another identity."""
    own = (stored(other_than), BusinessType.NEW.value, PackageKind.DOCUMENT.value)
    row = first_row(engine, _NUMBERED, sender, stored(number), *own, sender, stored(number), *own)
    return None if row is None else row[0]


# Two searches, so that each goes by its own index.
_NUMBERED = (
    "SELECT id FROM documents WHERE sender = ? AND alias = ? AND identity <> ? AND business_type = ? AND kind = ?"
    " UNION ALL"
    " SELECT id FROM documents WHERE sender = ? AND identity = ? AND identity <> ? AND business_type = ? AND kind = ?"
    " LIMIT 1"
)


def payload(engine: Engine, sha256: str) -> bytes | None:
    """The bytes of a package kept in the ledger."""
    row = first_row(engine, _PAYLOAD, sha256)
    return None if row is None else row[0]


_PAYLOAD = "SELECT content FROM payloads WHERE sha256 = ?"


def may_see(connection: Connection, document_id: str, agency: AgencyCode) -> bool:
    """Whether a document is an agency's to see."""
    statement = select(documents.c.id).where(documents.c.id == document_id, visible_to(agency))
    return connection.scalar(statement) is not None


def delivery(connection: Connection, delivery_id: str) -> DeliveryRow | None:
    """One delivery."""
    row = connection.execute(select(*_DELIVERY).where(deliveries.c.id == delivery_id)).one_or_none()
    return None if row is None else _delivery_row(row)


def log_row(connection: Connection, delivery_id: str) -> LogRow | None:
    """One delivery and its document."""
    row = connection.execute(_LOG.where(deliveries.c.id == delivery_id)).one_or_none()
    return None if row is None else _log_row(row)


def log_rows(connection: Connection, delivery_ids: Sequence[str]) -> list[LogRow]:
    """Deliveries and their documents, in the order of the ids; those that are unknown are left out."""
    rows: dict[str, LogRow] = {}
    for part in chunks(delivery_ids):
        found = connection.execute(_LOG.where(deliveries.c.id.in_(part)))
        rows |= {row.delivery.id: row for row in map(_log_row, found)}
    return [rows[i] for i in delivery_ids if i in rows]


def deliveries_of(connection: Connection, document_id: str) -> list[DeliveryRow]:
    """All deliveries of one document, oldest first."""
    statement = select(*_DELIVERY).where(deliveries.c.document == document_id)
    return [
        _delivery_row(row) for row in connection.execute(statement.order_by(deliveries.c.created_at, deliveries.c.id))
    ]


def attempts_of_delivery(connection: Connection, delivery_id: str) -> list[AttemptRow]:
    """All tries of one delivery, oldest first."""
    return _attempts(connection, attempts.c.delivery == delivery_id)


def _attempts(connection: Connection, condition: ColumnElement[bool]) -> list[AttemptRow]:
    statement = select(attempts).where(condition).order_by(attempts.c.id)
    return [AttemptRow(**row._mapping) for row in connection.execute(statement)]


def trace(connection: Connection, document_id: str) -> Trace | None:
    """The way of one document."""
    found = document(connection, document_id)
    if found is None:
        return None
    own = select(deliveries.c.id).where(deliveries.c.document == document_id)
    concerning = select(*_STATUS).where(or_(statuses.c.document == document_id, statuses.c.package == document_id))
    steps = select(events).where(events.c.document == document_id).order_by(events.c.id)
    return Trace(
        document=found,
        deliveries=tuple(deliveries_of(connection, document_id)),
        attempts=tuple(_attempts(connection, attempts.c.delivery.in_(own))),
        statuses=tuple(
            StatusRow(**row._mapping)
            for row in connection.execute(concerning.order_by(statuses.c.received_at, statuses.c.id))
        ),
        events=tuple(EventRow(**row._mapping) for row in connection.execute(steps)),
        operations=_operations(connection, found),
        requests=recalls.concerning(connection, document_id),
    )


def _operations(connection: Connection, on: DocumentSummary) -> tuple[DocumentSummary, ...]:
    """Later packages that operate on this one: as was found, by their targets, or because they repeat its identity."""
    names = [name for name in (on.identity, on.alias) if name]
    targeting = select(document_targets.c.document).where(
        document_targets.c.sender == on.sender, document_targets.c.target.in_(names)
    )
    repeating = select(documents.c.id).where(
        documents.c.sender == on.sender,
        documents.c.identity.in_(names),
        documents.c.business_type != BusinessType.NEW,
    )
    # By number, or by the sender's successor.
    found = select(operation_requests.c.package).where(operation_requests.c.document == on.id)
    statement = (
        select(*_SUMMARY)
        .where(
            documents.c.id.in_(union(targeting, repeating, found)),
            documents.c.id != on.id,
            documents.c.kind == PackageKind.DOCUMENT,
        )
        .order_by(documents.c.received_at, documents.c.id)
    )
    if on.kind is not PackageKind.DOCUMENT:
        return ()
    return tuple(_summary_row(row) for row in connection.execute(statement))


def last_report(connection: Connection, document_id: str, delivery_id: str) -> StatusRow | None:
    """The latest status on one delivery since it was accepted, let go or replayed, whoever reported it."""
    statement = (
        select(*_STATUS)
        .join_from(statuses, deliveries, statuses.c.delivery == deliveries.c.id)
        .where(
            statuses.c.document == document_id,
            statuses.c.delivery == delivery_id,
            statuses.c.received_at >= deliveries.c.trying_since,
        )
        .order_by(statuses.c.received_at.desc(), statuses.c.id.desc())
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else StatusRow(**row._mapping)


def reports(connection: Connection, packages: Sequence[str]) -> dict[str, Report]:
    """What status packages say, by the packages' ids."""
    own = (statuses.c[name] for name in ("package", "code", "document", "about_identity", "about_alias"))
    statement = select(*own, documents.c.number, documents.c.notation).select_from(
        statuses.outerjoin(documents, statuses.c.document == documents.c.id)
    )
    rows = (
        row for part in chunks(packages) for row in connection.execute(statement.where(statuses.c.package.in_(part)))
    )
    return {row.package: Report(**row._mapping) for row in rows}


def read_events(connection: Connection, *, after: int, limit: int) -> list[EventRow]:
    """The event log from after a number."""
    statement = select(events).where(events.c.id > after).order_by(events.c.id).limit(limit)
    return [EventRow(**row._mapping) for row in connection.execute(statement)]


# Lists


def search(connection: Connection, filters: Filter, *, limit: int, cursor: str | None) -> Page[LogRow]:
    """The routing log, newest first."""
    base = select(deliveries.c.id).join_from(deliveries, documents).where(*delivery_conditions(filters))
    branches = [
        _newest(
            base.where(way.condition),
            filters,
            _time_of(way),
            deliveries.c.id,
            limit=limit,
            cursor=cursor,
        )
        for way in ways(filters, on_delivery=True)
    ]
    found, following = _merged(connection, branches, limit)
    rows = {log.delivery.id: log for log in map(_log_row, connection.execute(_LOG.where(deliveries.c.id.in_(found))))}
    return Page(rows=tuple(rows[i] for i in found), next=following)


def list_documents(connection: Connection, filters: Filter, *, limit: int, cursor: str | None) -> Page[DocumentSummary]:
    """The accepted packages, newest first."""
    conditions = document_conditions(filters)
    branches = []
    for way in ways(filters, on_delivery=False):
        at, row_id = _time_of(way), documents.c.id
        branch = select(row_id).where(*conditions, way.condition)
        if way.on_delivery:
            row_id = deliveries.c.document
            # One document may have several deliveries through one endpoint.
            branch = select(row_id).join_from(deliveries, documents).where(*conditions, way.condition).distinct()
        branches.append(_newest(branch, filters, at, row_id, limit=limit, cursor=cursor))
    found, following = _merged(connection, branches, limit)
    statement = select(*_SUMMARY).where(documents.c.id.in_(found))
    rows = {row.id: row for row in map(_summary_row, connection.execute(statement))}
    return Page(rows=tuple(rows[i] for i in found), next=following)


def _time_of(way: Way) -> ColumnElement[datetime]:
    """When the document was accepted, as the index of a way has it."""
    if way.received_at is not None:
        return way.received_at
    return deliveries.c.accepted_at if way.on_delivery else documents.c.received_at


def _newest(
    branch: Select[Any],
    filters: Filter,
    at: ColumnElement[datetime],
    row_id: ColumnElement[str],
    *,
    limit: int,
    cursor: str | None,
) -> Subquery:
    """The newest of a branch after the cursor: as many as the page needs, and one to know whether there are more."""
    branch = branch.add_columns(at.label("at")).where(*within_times(filters, at))
    if cursor is not None:
        moment, last = moment_cursor(cursor)
        # The first condition follows from the second; it is what an index on the time can use.
        branch = branch.where(at <= moment, or_(at < moment, and_(at == moment, row_id < last)))
    return branch.order_by(at.desc(), row_id.desc()).limit(bounded(limit) + 1).subquery()


def _merged(connection: Connection, branches: Sequence[Subquery], limit: int) -> tuple[list[str], str | None]:
    """The newest ids of all branches together, and the cursor of what follows."""
    merged = union(*(select(part) for part in branches)).subquery()
    row_id, at = merged.c
    rows = connection.execute(select(row_id, at).order_by(at.desc(), row_id.desc()).limit(limit + 1)).all()
    if len(rows) <= limit:
        return [row[0] for row in rows], None
    last_id, last_at = rows[limit - 1]
    return [row[0] for row in rows[:limit]], encode_cursor(last_at.isoformat(), last_id)


def inbox(
    connection: Connection, via: AgencyCode, *, formerly: Collection[AgencyCode], limit: int, after: str | None
) -> Page[LogRow]:
    """What is to be collected through an endpoint, and through those whose place it took."""
    # Only equality lets the index give the order.
    owner = deliveries.c.via.in_((via, *formerly)) if formerly else deliveries.c.via == via
    statement = _LOG.where(text(IN_MAILBOX), owner)
    if after is not None:
        statement = statement.where(after_in_mailbox(after))
    statement = statement.order_by(deliveries.c.lane.desc(), deliveries.c.id).limit(bounded(limit) + 1)
    rows = [_log_row(row) for row in connection.execute(statement)]
    if len(rows) <= limit:
        return Page(rows=tuple(rows), next=None)
    last_shown = rows[limit - 1].delivery
    return Page(rows=tuple(rows[:limit]), next=encode_cursor(int(last_shown.lane), last_shown.id))


# Counts


def counts(connection: Connection, kind: PackageKind | None) -> Counts:
    """How much there is."""
    by_state = select(deliveries.c.state, func.count().label("number")).group_by(deliveries.c.state)
    blocked = select(func.count()).where(deliveries.c.state == DeliveryState.WAITING, deliveries.c.blockers > 0)
    if kind is not None:
        by_state = by_state.where(deliveries.c.kind == kind)
        blocked = blocked.where(deliveries.c.kind == kind)
    present = {row.state: row.number for row in connection.execute(by_state)}
    return Counts(
        states={state: present.get(state, 0) for state in DeliveryState},
        blocked=connection.scalar(blocked) or 0,
        parked_statuses=connection.scalar(
            select(func.count()).select_from(statuses).where(statuses.c.document.is_(None))
        )
        or 0,
        refusals=connection.scalar(select(func.count()).select_from(refusals)) or 0,
    )


def backlog(connection: Connection) -> list[Backlog]:
    """What waits, by endpoint."""
    statement = (
        select(
            deliveries.c.via,
            deliveries.c.channel,
            func.count().label("waiting"),
            func.min(deliveries.c.accepted_at).label("oldest"),
        )
        .where(deliveries.c.state.in_([s for s in DeliveryState if s.is_open]))
        .group_by(deliveries.c.via, deliveries.c.channel)
        .order_by(deliveries.c.via, deliveries.c.channel)
    )
    return [Backlog(**row._mapping) for row in connection.execute(statement)]
