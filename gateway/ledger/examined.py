"""How examinations end: what they hold is let go, refused, or released by an operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from gateway.errors import LeaseLost, NotFound, OperationOutpaced, TransitionForbidden
from gateway.ledger import acceptance, concerns, recalls, settling
from gateway.ledger.actions import Action
from gateway.ledger.bounds import LONGEST_DESCRIPTION, cut, made_storable
from gateway.ledger.examinations import bounded, kept_back, of_document
from gateway.ledger.records import ExaminationResult, Examined, Reply
from gateway.ledger.statements import event, lock_names, record
from gateway.ledger.states import DeliveryEvent
from gateway.ledger.tables import deliveries, documents, examinations, operation_requests
from gateway.model import DeliveryState, ExaminationKind, ExaminationState, FileVerdict, StatusCode


def settle(
    connection: Connection,
    document_id: str,
    kind: ExaminationKind,
    outcome: Examined,
    *,
    now: datetime,
    token: str | None,
    replies: Mapping[str, Reply | None],
) -> bool:
    """As ``Ledger.settle_examination``, inside a transaction."""
    _lock(connection, document_id, replies)
    row = _locked(connection, document_id, kind)
    if row is None or row.state is not ExaminationState.PENDING:
        return False
    if token is not None and row.token != token:
        raise LeaseLost
    if outcome.state is ExaminationState.FAILED and row.holds:
        raise ValueError("What keeps a document here is postponed, not given up.")
    if outcome.state is ExaminationState.REFUSED and not row.holds:
        raise ValueError("A document that was not kept here may have left already.")
    _end(connection, document_id, kind, outcome, before=row.result, now=now)
    concerns.renew(connection, document_id, rejudged=concerns.differ(row.result, outcome.result))
    if row.holds and outcome.state is ExaminationState.REFUSED:
        _reject(connection, document_id, kind, outcome, now=now, replies=replies)
    elif row.holds:
        _let_go(connection, document_id, kind, now=now)
    return True


def _lock(connection: Connection, document_id: str, replies: Mapping[str, Reply | None]) -> None:
    """
    Let nobody accept anything about this document meanwhile.

    Before any row is locked, and the names of the replies with them, as everywhere.
    """
    one = connection.execute(
        select(documents.c.sender, documents.c.identity, documents.c.alias).where(documents.c.id == document_id)
    ).one_or_none()
    if one is None:
        raise NotFound(f"There is no document {document_id}.")
    names = [(one.sender, name) for name in (one.identity, one.alias) if name]
    touched = [n for r in replies.values() if r for n in acceptance.names_touched(r.document, r.status)]
    lock_names(connection, [*names, *touched])


def _locked(connection: Connection, document_id: str, kind: ExaminationKind) -> Row[Any] | None:
    return connection.execute(
        select(examinations)
        .where(examinations.c.document == document_id, examinations.c.kind == kind)
        .with_for_update()
    ).one_or_none()


def _end(
    connection: Connection,
    document_id: str,
    kind: ExaminationKind,
    outcome: Examined,
    *,
    before: ExaminationResult | None,
    now: datetime,
) -> None:
    result = None if outcome.result is None else bounded(outcome.result)
    # That files could not be judged anew takes nothing back of what was found in them.
    kept = before if outcome.state is ExaminationState.FAILED and result is None else result
    connection.execute(
        update(examinations)
        .where(examinations.c.document == document_id, examinations.c.kind == kind)
        .values(
            state=outcome.state,
            token=None,
            changed_at=now,
            reason=outcome.reason,
            detail=cut(None if outcome.detail is None else made_storable(outcome.detail), LONGEST_DESCRIPTION),
            signed=concerns.signed(kept),
            result=kept,
        )
    )
    record(
        connection,
        [
            event(
                now,
                Action.DOCUMENT_EXAMINED,
                document=document_id,
                kind=kind.value,
                state=outcome.state.value,
                code=outcome.reason,
                files=None if result is None else standings(result.files) or None,
                scanned=None if result is None else result.scanned,
            )
        ],
    )


def standings(files: Sequence[FileVerdict]) -> dict[str, int]:
    """How many files have each standing; what is zero has no entry."""
    found: dict[str, int] = {}
    for one in files:
        found[one.standing.value] = found.get(one.standing.value, 0) + 1
    return found


def _copies(connection: Connection, document_id: str) -> list[Row[Any]]:
    """The deliveries of a document that an examination counts on, locked in the order of everywhere."""
    # What was taken back waits for nothing: its blockers were taken off then.
    return list(
        connection.execute(
            select(deliveries)
            .where(
                deliveries.c.document == document_id,
                deliveries.c.state != DeliveryState.WITHDRAWN,
                deliveries.c.blockers > 0,
            )
            .order_by(deliveries.c.id)
            .with_for_update()
        )
    )


def _lock_concerned(connection: Connection, document_id: str) -> None:
    """
    Lock the copies that this document asks to change or to take back, before its own.

    Who lets such a copy leave locks it first, and then what waits for it: the other way round both would wait in a
    circle.
    """
    own = select(deliveries.c.id).where(deliveries.c.document == document_id)
    asked = select(operation_requests.c.delivery).where(operation_requests.c.own.in_(own))
    connection.execute(
        select(deliveries.c.id).where(deliveries.c.id.in_(asked)).order_by(deliveries.c.id).with_for_update()
    )


def _let_go(connection: Connection, document_id: str, kind: ExaminationKind, *, now: datetime) -> None:
    """One examination less keeps these: what waits for nothing else is due, and its patience begins."""
    told = []
    for row in _copies(connection, document_id):
        free = row.blockers == 1
        times = {"due_at": now, "trying_since": now} if free and row.state is DeliveryState.WAITING else {}
        connection.execute(
            update(deliveries).where(deliveries.c.id == row.id).values(blockers=row.blockers - 1, **times)
        )
        if times:
            released = event(
                now, Action.DELIVERY_RELEASED, document=document_id, delivery=row.id, examination=kind.value
            )
            told.append(released)
    record(connection, told)


def _reject(
    connection: Connection,
    document_id: str,
    kind: ExaminationKind,
    outcome: Examined,
    *,
    now: datetime,
    replies: Mapping[str, Reply | None],
) -> None:
    """
    Refuse what waits, in the receivers' stead. Their copies stay blocked: no receiver sees them, and no replay sends
    them, unless an operator releases the document.
    """
    _lock_concerned(connection, document_id)
    waiting = [row for row in _copies(connection, document_id) if row.state is DeliveryState.WAITING]
    if any(row.id not in replies for row in waiting):
        raise OperationOutpaced
    steps = [
        settling.Move(
            delivery=row,
            happening=DeliveryEvent.REJECT,
            action=Action.DELIVERY_REJECTED,
            changes={"error_code": outcome.reason},
            data={"code": outcome.reason, "examination": kind.value},
        )
        for row in waiting
    ]
    settling.move_all(connection, steps, now=now)
    for row in waiting:
        reply = replies[row.id]
        if reply is not None and reply.status.code is StatusCode.DISAGREED:
            said = reply.status
            recalls.answer(connection, row, said.code, reporter=said.reporter, status=said.id, now=now)
        acceptance.accept_reply(connection, reply)


# What operators decide


def release(
    connection: Connection, document_id: str, kind: ExaminationKind, *, reason: str, actor: str, now: datetime
) -> list[str]:
    """
    As ``Ledger.release_examination``, inside a transaction.

    :return: the deliveries that were refused because of it, which the caller replays.
    """
    _lock(connection, document_id, {})
    row = _locked(connection, document_id, kind)
    if row is None:
        raise NotFound(f"The document {document_id} has no examination {kind}.")
    if not (row.holds and row.state.keeps):
        raise TransitionForbidden(f"The examination {kind} does not keep the document here: it is {row.state}.")
    connection.execute(
        update(examinations)
        .where(examinations.c.document == document_id, examinations.c.kind == kind)
        .values(state=ExaminationState.RELEASED, token=None, changed_at=now)
    )
    concerns.renew(connection, document_id)
    released = event(
        now,
        Action.DOCUMENT_RELEASED,
        document=document_id,
        actor=actor,
        kind=kind.value,
        was=row.state.value,
        code=row.reason,
        reason=reason,
    )
    record(connection, [released])
    copies = _copies(connection, document_id)
    _let_go(connection, document_id, kind, now=now)
    if kept_back(connection, [document_id]):
        return []
    causes = {one.reason for one in of_document(connection, document_id) if one.holds}
    return [copy.id for copy in copies if copy.state is DeliveryState.REFUSED and copy.error_code in causes]
