"""What operators do to deliveries: replay and withdraw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, case, literal, or_, select, union, update

from gateway.errors import NotFound, OperationOutpaced, ReasonRequired, TransitionForbidden
from gateway.ledger import acceptance, examinations, examined, recalls
from gateway.ledger.actions import Action
from gateway.ledger.filters import delivery_conditions, ways, within_times
from gateway.ledger.records import Filter, Reply
from gateway.ledger.statements import chunks, event, lock_names, record
from gateway.ledger.states import DeliveryEvent, next_state, states_that
from gateway.ledger.tables import deliveries, documents, operation_requests
from gateway.model import DeliveryState, ExaminationKind, StatusCode


def replay(
    connection: Connection, which: Sequence[str] | Filter, *, reason: str, actor: str, now: datetime, limit: int
) -> list[str]:
    """As ``Ledger.replay``, inside a transaction."""
    _demand(reason)
    rows = (
        _replayable(connection, which, limit)
        if isinstance(which, Filter)
        else _named(connection, which, DeliveryEvent.REPLAY)
    )
    kept = examinations.kept_back(connection, {row.document for row in rows if row.state is DeliveryState.REFUSED})
    if kept:
        raise TransitionForbidden(
            f"Refused after an examination, to be released first: {', '.join(sorted(kept)[:10])}."
        )
    _make_due(connection, rows, reason=reason, actor=actor, now=now)
    return [row.id for row in rows]


def release(
    connection: Connection, document_id: str, kind: ExaminationKind, *, reason: str, actor: str, now: datetime
) -> list[str]:
    """As ``Ledger.release_examination``, inside a transaction."""
    _demand(reason)
    refused = examined.release(connection, document_id, kind, reason=reason, actor=actor, now=now)
    if refused:
        _make_due(connection, _named(connection, refused, DeliveryEvent.REPLAY), reason=reason, actor=actor, now=now)
    return refused


def _make_due(connection: Connection, rows: Sequence[Row[Any]], *, reason: str, actor: str, now: datetime) -> None:
    refused = deliveries.c.status == StatusCode.REFUSED
    for part in chunks(rows):
        connection.execute(
            update(deliveries)
            .where(deliveries.c.id.in_([row.id for row in part]))
            .values(
                state=next_state(part[0].state, DeliveryEvent.REPLAY),
                due_at=now,
                trying_since=now,
                attempts_before=deliveries.c.attempts,
                settled_at=None,
                token=None,
                # Of the tries before; it begins anew, and the attempts keep why those ended.
                error_code=None,
                changed_at=now,
                # A refusal would otherwise end the main line of statuses before it begins again.
                status=case((refused, literal(None, deliveries.c.status.type)), else_=deliveries.c.status),
            )
        )
        record(
            connection,
            [
                event(
                    now,
                    Action.DELIVERY_REPLAYED,
                    document=row.document,
                    delivery=row.id,
                    actor=actor,
                    reason=reason,
                    was=row.state.value,
                )
                for row in part
            ],
        )


def withdraw(
    connection: Connection,
    ids: Sequence[str],
    *,
    reason: str,
    actor: str,
    now: datetime,
    replies: Mapping[str, Reply],
) -> list[str]:
    """As ``Ledger.withdraw``, inside a transaction."""
    _demand(reason)
    touched = [name for reply in replies.values() for name in acceptance.names_touched(reply.document, reply.status)]
    lock_names(connection, [*touched, *_names(connection, ids)])
    rows = _named(connection, ids, DeliveryEvent.WITHDRAW)
    unanswered = recalls.recalls_waiting(connection, [row.id for row in rows]) - set(replies)
    if unanswered:
        raise OperationOutpaced
    answered = {row.id: replies[row.id] for row in rows if row.id in replies}
    recalls.take_back(connection, rows, actor=actor, data={"reason": reason}, answers=answered, now=now)
    for reply in answered.values():
        acceptance.accept_reply(connection, reply)
    return [row.id for row in rows]


def _names(connection: Connection, ids: Sequence[str]) -> list[tuple[str, str]]:
    """The names of the documents that these deliveries bring, or ask something of: packages about them wait."""
    names: list[tuple[str, str]] = []
    for part in chunks(sorted(set(ids))):
        brought = select(deliveries.c.document).where(deliveries.c.id.in_(part))
        meant = select(operation_requests.c.document).where(operation_requests.c.own.in_(part))
        found = select(documents.c.sender, documents.c.identity, documents.c.alias)
        for row in connection.execute(found.where(documents.c.id.in_(union(brought, meant)))):
            names += [(row.sender, name) for name in (row.identity, row.alias) if name]
    return names


def _demand(reason: str) -> None:
    if not reason.strip():
        raise ReasonRequired


def _named(connection: Connection, ids: Sequence[str], happening: DeliveryEvent) -> list[Row[Any]]:
    """The deliveries named, locked; all of them, or none and an error that names those at fault."""
    wanted = sorted(set(ids))
    rows: list[Row[Any]] = []
    for part in chunks(wanted):
        rows += connection.execute(
            select(deliveries).where(deliveries.c.id.in_(part)).order_by(deliveries.c.id).with_for_update()
        ).all()
    missing = set(wanted) - {row.id for row in rows}
    if missing:
        raise NotFound(f"There is no delivery {', '.join(sorted(missing)[:10])}.")
    allowed = states_that(happening)
    wrong = [f"{row.id} ({row.state})" for row in rows if row.state not in allowed]
    if wrong:
        raise TransitionForbidden(f"Not possible for {', '.join(wrong[:10])}.")
    return rows


def _replayable(connection: Connection, filters: Filter, limit: int) -> list[Row[Any]]:
    """The oldest replayable deliveries under the filter, locked; those that others hold are left to them."""
    return list(
        connection.execute(
            select(deliveries)
            .join_from(deliveries, documents)
            .where(
                deliveries.c.state.in_(states_that(DeliveryEvent.REPLAY)),
                *delivery_conditions(filters),
                *within_times(filters, deliveries.c.accepted_at),
                or_(*(way.condition for way in ways(filters, on_delivery=True))),
                or_(deliveries.c.state != DeliveryState.REFUSED, examinations.NOT_KEPT_BACK),
            )
            .order_by(deliveries.c.id)
            .limit(limit)
            .with_for_update(of=deliveries, skip_locked=True)
        )
    )
