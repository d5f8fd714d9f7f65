"""Making a document durable, once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Row, bindparam, select, union

from gateway.ledger import examinations as examining
from gateway.ledger import recalls, statuses
from gateway.ledger.actions import Action
from gateway.ledger.bounds import (
    LONGEST_DOCUMENT_ID,
    LONGEST_NAME,
    LONGEST_NUMBER,
    LONGEST_SUBJECT,
    cut,
    cut_attachments,
)
from gateway.ledger.identity import stored, stored_all
from gateway.ledger.records import (
    Accepted,
    Duplicate,
    NewDelivery,
    NewDocument,
    NewEvent,
    NewExamination,
    NewOperation,
    NewStatus,
    Reply,
)
from gateway.ledger.rows import Insert
from gateway.ledger.statements import event, lock_names, record
from gateway.ledger.states import HOLDS_BACK
from gateway.ledger.tables import deliveries, delivery_blocks, document_targets, documents, payloads
from gateway.model import BusinessType, DeliveryState, PackageKind, RecallState, fold


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """Other bytes are known under this identity; the event about it is to be committed."""

    existing: str


@dataclass(frozen=True, kw_only=True)
class Outpaced:
    """The ledger has moved since an operation was prepared; nothing was written."""


def accept(
    connection: Connection,
    document: NewDocument,
    new_deliveries: Sequence[NewDelivery],
    status: NewStatus | None,
    *,
    events: Sequence[NewEvent] = (),
    operation: NewOperation | None = None,
    examinations: Sequence[NewExamination] = (),
    by_gateway: bool = False,
) -> Accepted | Duplicate | Conflict | Outpaced:
    """
    As ``Ledger.accept``, inside a transaction.

    :param by_gateway: the gateway answers itself, and has let that take effect already.
    """
    if (status is not None) != (document.kind is PackageKind.STATUS):
        raise ValueError("A status package and its status are accepted together.")
    lock_names(connection, [*names_touched(document, status), *_names_of(operation)])
    if status is not None and (known := statuses.find_report(connection, status)) is not None:
        return _repeated(connection, document, _document(connection, known), new_deliveries, None)
    work = _operation(connection, document, operation)
    if work is not None and recalls.lacks_a_reply(work.operation, work.meetings):
        return Outpaced()
    if not _INSERT_DOCUMENT.one(connection, _document_values(document)):
        existing = connection.execute(_EXISTING, _identity_values(document)).one()
        return _known(connection, document, existing, new_deliveries, work)
    _insert_payloads(connection, document)
    _insert_targets(connection, document)
    rows = [event(document.received_at, Action.DOCUMENT_ACCEPTED, document=document.id, **_facts(document))]
    held = examining.begin(connection, document.id, examinations, now=document.received_at)
    rows += _insert_deliveries(
        connection, document.id, document.received_at, document, new_deliveries, work=work, held=held
    )
    rows += examining.told(document.id, examinations, now=document.received_at)
    rows += [event(document.received_at, e.action, document=document.id, actor=e.actor, **e.data) for e in events]
    record(connection, rows)
    effect = None
    if status is None:
        statuses.apply_parked(connection, document)
    else:
        effect = statuses.report(
            connection, status, package=document.id, received_at=document.received_at, by_gateway=by_gateway
        )
    _carry_out(connection, document.id, document, new_deliveries, work)
    return Accepted(document_id=document.id, receipt=document.receipt, status_effect=effect)


@dataclass(frozen=True, kw_only=True)
class _Work:
    """An operation, and what it meets."""

    operation: NewOperation
    meetings: Sequence[recalls.Meeting]

    @property
    def stays_here(self) -> set[str]:
        """The recipients to whom the operation is not handed on."""
        return {str(code) for code in recalls.stay_here(self.meetings)}


def _operation(connection: Connection, document: NewDocument, operation: NewOperation | None) -> _Work | None:
    if operation is None:
        return None
    meetings = recalls.meet(connection, operation, package=document.id, now=document.received_at)
    return _Work(operation=operation, meetings=meetings)


def _names_of(operation: NewOperation | None) -> list[tuple[str, str]]:
    """The names that an operation and the answers to it have to do with."""
    if operation is None:
        return []
    aims = dict.fromkeys(names for asked in operation.asked for names in asked.aims)
    meant = [(sender, name) for sender in operation.senders for names in aims for name in stored_all(names)]
    replies = [reply for asked in operation.asked for reply in asked.replies.values()]
    return meant + [name for reply in replies for name in names_touched(reply.document, reply.status)]


def _carry_out(
    connection: Connection,
    document_id: str,
    document: NewDocument,
    new_deliveries: Sequence[NewDelivery],
    work: _Work | None,
) -> None:
    """Let an operation take effect at the recipients that it is delivered to now, and record what is answered."""
    if work is None:
        return
    own = {d.recipient: d.id for d in new_deliveries}
    # A status 13 whose receiver cannot be reached any more still takes back what is here.
    meetings = [m for m in work.meetings if document.kind is PackageKind.STATUS or m.asked.recipient in own]
    recalls.carry_out(connection, work.operation, meetings, package=document_id, own=own, now=document.received_at)
    replies = {
        reply.status.id: reply
        for m in meetings
        if work.operation.needs_reply(m.finding)
        for reply in [m.asked.replies[m.finding]]
    }
    for reply in replies.values():
        accept_reply(connection, reply)


def accept_reply(connection: Connection, reply: Reply | None) -> None:
    """Record the status that the gateway itself answers with. Its names are locked by the caller, first of all."""
    if reply is not None:
        accept(connection, reply.document, reply.deliveries, reply.status, by_gateway=True)


def names_touched(document: NewDocument, status: NewStatus | None) -> list[tuple[str, str]]:
    """The names (sender and identity) that accepting this has to do with."""
    names: list[tuple[str, str]] = [(document.sender, name) for name in stored_all((document.identity, document.alias))]
    if status is not None:
        about = stored_all((status.about_identity, status.about_alias))
        names += [(status.about_sender, name) for name in about]
    return names


def lock_replies(connection: Connection, replies: Iterable[Reply | None]) -> None:
    """Take the locks that ``accept_reply`` needs for all of these, before any row is locked."""
    names = [name for reply in replies if reply for name in names_touched(reply.document, reply.status)]
    lock_names(connection, names)


_FIRST = (documents.c.id, documents.c.sha256, documents.c.receipt, documents.c.received_at)

# The unique constraint decides whether a document is known; asked for is only what is.
_IDENTITY = ("sender", "identity", "business_type", "revision", "kind")
_EXISTING = select(*_FIRST).where(*(documents.c[name] == bindparam(name) for name in _IDENTITY))

_INSERT_DOCUMENT = Insert(documents, or_nothing_if=_IDENTITY)
_INSERT_PAYLOAD = Insert(payloads, or_nothing_if=("sha256",))
_INSERT_TARGET = Insert(document_targets)
_INSERT_DELIVERY = Insert(deliveries)
_INSERT_BLOCK = Insert(delivery_blocks)


def _identity_values(document: NewDocument) -> dict[str, Any]:
    return {
        "sender": document.sender,
        "identity": stored(document.identity),
        "business_type": document.business_type,
        "revision": document.revision,
        "kind": document.kind,
    }


def _known(
    connection: Connection,
    document: NewDocument,
    existing: Row[Any],
    new_deliveries: Sequence[NewDelivery],
    work: _Work | None,
) -> Duplicate | Conflict:
    """What it means that the identity is taken."""
    if existing.sha256 == document.sha256:
        return _repeated(connection, document, existing, new_deliveries, work)
    conflict = event(
        document.received_at,
        Action.DOCUMENT_CONFLICT,
        document=existing.id,
        actor=document.received_from,
        sha256=document.sha256,
        size=document.size,
    )
    record(connection, [conflict])
    return Conflict(existing=existing.id)


def _document(connection: Connection, document_id: str) -> Row[Any]:
    return connection.execute(select(*_FIRST).where(documents.c.id == document_id)).one()


_NAMES_OF_COPY = (deliveries.c.recipient, deliveries.c.redirected_from, deliveries.c.as_written)


def _repeated(
    connection: Connection,
    document: NewDocument,
    existing: Row[Any],
    new_deliveries: Sequence[NewDelivery],
    work: _Work | None,
) -> Duplicate:
    """
    Note the repetition, and deliver to those that the earlier requests did not ask for.

    Whose agency has closed since, or whose code has passed on, was asked for all the same: under any of its names.
    """
    names = connection.execute(select(*_NAMES_OF_COPY).where(deliveries.c.document == existing.id))
    asked_for = {name for row in names for name in row if name is not None}
    missing = [d for d in new_deliveries if asked_for.isdisjoint((d.recipient, d.redirected_from, d.as_written))]
    rows = [
        event(
            document.received_at,
            Action.DOCUMENT_DUPLICATE,
            document=existing.id,
            actor=document.received_from,
            sha256=document.sha256,
            added=len(missing) or None,
        )
    ]
    held = examining.keeping(connection, existing.id) if missing else 0
    rows += _insert_deliveries(connection, existing.id, existing.received_at, document, missing, work=work, held=held)
    record(connection, rows)
    if missing:
        statuses.apply_parked(connection, document)
        _carry_out(connection, existing.id, document, missing, work)
    return Duplicate(document_id=existing.id, receipt=existing.receipt, added=tuple(d.id for d in missing))


def _document_values(document: NewDocument) -> dict[str, Any]:
    return {
        **_identity_values(document),
        "id": document.id,
        "received_at": document.received_at,
        "folded": folded(
            document.subject,
            document.number,
            document.notation,
            f"{document.number or ''}/{document.notation or ''}",
            document.document_id,
            document.type_name,
            document.sender,
            document.sender_as_written,
            document.sender_name,
        ),
        "alias": stored(document.alias) if document.alias else None,
        "certificate": document.verdict.certificate_sha256,
        "sha256": document.sha256,
        "size": document.size,
        "forward_sha256": document.forward_sha256,
        "forward_size": document.forward_size,
        "lane": document.lane,
        "received_from": document.received_from,
        "sender_as_written": document.sender_as_written,
        "sender_name": cut(document.sender_name, LONGEST_NAME),
        "document_id": cut(document.document_id, LONGEST_DOCUMENT_ID),
        "number": cut(document.number, LONGEST_NUMBER),
        "notation": cut(document.notation, LONGEST_NUMBER),
        "issued_on": document.issued_on,
        "type_name": cut(document.type_name, LONGEST_NAME),
        "subject": cut(document.subject, LONGEST_SUBJECT),
        "targets": tuple(stored_all(document.targets)),
        "verdict": document.verdict,
        "warnings": document.warnings,
        "attachments": cut_attachments(document.attachments),
        "receipt": document.receipt,
        "seal": document.seal,
    }


def folded(*texts: str | None) -> str:
    """What is searched in: the texts without accents and case, one per line, bounded."""
    return fold("\n".join(dict.fromkeys(t[:_SEARCHED] for t in texts if t)))[:_SEARCHED]


_SEARCHED = 4_000
"""Characters of a document that a search looks at."""


def _facts(document: NewDocument) -> dict[str, Any]:
    return {
        "actor": document.received_from,
        "system": document.system,
        "sha256": document.sha256,
        "size": document.size,
        "lane": int(document.lane),
        "standing": document.verdict.standing.value,
        "warnings": len(document.warnings) or None,
        "forward_sha256": document.forward_sha256,
        # The chain of the log, once stamped, proves with these that both were there by then.
        "seal_sha256": hashlib.sha256(document.seal).hexdigest(),
        "receipt_sha256": hashlib.sha256(document.receipt.encode()).hexdigest(),
    }


def _insert_payloads(connection: Connection, document: NewDocument) -> None:
    packages = [(document.sha256, document.size, document.payload)]
    if document.forward_sha256 is not None:
        packages.append((document.forward_sha256, document.forward_size or 0, document.forward_payload))
    for sha256, size, content in packages:
        _INSERT_PAYLOAD.one(connection, {"sha256": sha256, "size": size, "content": content})


def _insert_targets(connection: Connection, document: NewDocument) -> None:
    for name in stored_all(document.targets):
        _INSERT_TARGET.one(connection, {"document": document.id, "target": name, "sender": document.sender})


def _insert_deliveries(
    connection: Connection,
    document_id: str,
    accepted_at: datetime,
    document: NewDocument,
    new_deliveries: Sequence[NewDelivery],
    *,
    work: _Work | None,
    held: int,
) -> list[dict[str, Any]]:
    """
    Enqueue, and say so in events (returned, not recorded).

    :param held: how many examinations keep the document here.
    """
    if not new_deliveries:
        return []
    ahead = _ahead(connection, document_id, document, new_deliveries, work)
    shared = {"document": document_id, "accepted_at": accepted_at, **_of_document(document)}
    rows = [shared | _delivery_values(d, len(ahead.get(d.recipient, ())) + held) for d in new_deliveries]
    _INSERT_DELIVERY.all(connection, rows)
    _INSERT_BLOCK.all(
        connection,
        [{"delivery": d.id, "blocked_by": blocker} for d in new_deliveries for blocker in ahead.get(d.recipient, ())],
    )
    enqueued = Action.DELIVERY_HELD if held else Action.DELIVERY_ENQUEUED
    return [
        event(
            document.received_at,
            Action.DELIVERY_BLOCKED if d.recipient in ahead else enqueued,
            document=document_id,
            delivery=d.id,
            recipient=d.recipient,
            via=d.via,
            channel=d.channel.value,
            redirected_from=d.redirected_from,
            blocked_by=ahead.get(d.recipient),
        )
        for d in new_deliveries
    ]


def _ahead(
    connection: Connection,
    document_id: str,
    document: NewDocument,
    new_deliveries: Sequence[NewDelivery],
    work: _Work | None,
) -> Mapping[str, list[str]]:
    """
    Deliveries that those of this operation must not overtake, by recipient.

    They are locked, so that none of them leaves between being seen here and being waited for.
    """
    if document.business_type is BusinessType.NEW and not document.targets and work is None:
        return {}
    # Where each copy waits: with the recipient, or with an agency whose place it has taken.
    places = {d.recipient: d.recipient for d in new_deliveries}
    if work is not None:
        for asked in work.operation.asked:
            places |= {place: asked.recipient for place in asked.places if asked.recipient in places}
        for recipient in work.stays_here:
            places = {place: of for place, of in places.items() if of != recipient}
    found = connection.execute(
        select(deliveries.c.recipient, deliveries.c.id)
        .where(
            deliveries.c.document.in_(_concerned(document, work)),
            deliveries.c.document != document_id,
            deliveries.c.kind == PackageKind.DOCUMENT,
            deliveries.c.state.in_(HOLDS_BACK),
            deliveries.c.recipient.in_(list(places)),
        )
        .order_by(deliveries.c.id)
        .with_for_update()
    )
    ahead: dict[str, list[str]] = {}
    for recipient, delivery_id in found:
        ahead.setdefault(places[recipient], []).append(delivery_id)
    return ahead


def _concerned(document: NewDocument, work: _Work | None) -> CompoundSelect[Any]:
    """The documents that an operation concerns, and what else operates on these."""
    senders = [document.sender]
    own = () if document.kind is PackageKind.STATUS else (document.identity, document.alias)
    names = stored_all((*own, *document.targets))
    if work is not None:
        senders = list(dict.fromkeys([*senders, *work.operation.senders]))
        aims = dict.fromkeys(aim for asked in work.operation.asked for aim in asked.aims)
        names = stored_all((*names, *(name for aim in aims for name in aim)))
    of_sender = documents.c.sender.in_(senders)
    return union(
        select(documents.c.id).where(of_sender, documents.c.identity.in_(names)),
        select(documents.c.id).where(of_sender, documents.c.alias.in_(names)),
        select(document_targets.c.document).where(
            document_targets.c.sender.in_(senders), document_targets.c.target.in_(names)
        ),
    )


def _of_document(document: NewDocument) -> dict[str, Any]:
    return {
        "kind": document.kind,
        "sender": document.sender,
        "created_at": document.received_at,
        "trying_since": document.received_at,
        "changed_at": document.received_at,
    }


def _delivery_values(delivery: NewDelivery, blockers: int) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "recipient": delivery.recipient,
        "via": delivery.via,
        "channel": delivery.channel,
        "lane": delivery.lane,
        "state": DeliveryState.WAITING,
        "due_at": delivery.due_at,
        "blockers": blockers,
        "attempts": 0,
        "attempts_before": 0,
        "recall": RecallState.NONE,
        "as_written": delivery.as_written,
        "recipient_name": cut(delivery.recipient_name, LONGEST_NAME),
        "redirected_from": delivery.redirected_from,
        "folded": folded(delivery.recipient, delivery.as_written, delivery.recipient_name),
    }
