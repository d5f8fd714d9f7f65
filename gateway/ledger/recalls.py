"""
Recalls, updates and replacements: what they ask of single copies, and how that is answered (domain §1.6, §1.7).

The state of a copy's recall moves by ``states.RECALLS`` alone; each operation on each copy keeps a row of its own,
so that who asked, who answered and what lapsed is never lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select, update

from gateway.ledger import settling
from gateway.ledger.actions import Action
from gateway.ledger.identity import stored_all
from gateway.ledger.records import Asked, Finding, Found, NewOperation, OperationRow, OperationState, Reply
from gateway.ledger.rows import Insert
from gateway.ledger.statements import chunks, event, record
from gateway.ledger.states import DeliveryEvent, RecallEvent, answer_to, may_be_asked, next_recall, next_state
from gateway.ledger.tables import deliveries, delivery_blocks, documents, operation_requests, statuses
from gateway.model import AgencyCode, BusinessType, Channel, DeliveryState, PackageKind, RecallState, StatusCode

# What an operation meets


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """One finding, with what it was judged by."""

    asked: Asked
    finding: Finding
    document: str | None
    copy: Row[Any] | None

    @property
    def found(self) -> Found:
        """For those outside."""
        copy = None if self.copy is None else self.copy.id
        return Found(
            recipient=self.asked.recipient,
            place=self.asked.places[0],
            finding=self.finding,
            document=self.document,
            delivery=copy,
        )


def meet(
    connection: Connection, operation: NewOperation, *, package: str, now: datetime, lock: bool = True
) -> list[Meeting]:
    """
    What an operation meets at its recipients.

    :param package: the gateway's id of its package, which is no document for itself to concern.
    :param lock: the copies are locked, so that what is decided by them still holds when it is done.
    """
    meant: dict[tuple[str, ...], Sequence[str]] = {}
    for asked in operation.asked:
        for names in asked.aims:
            if names not in meant:
                meant[names] = _meant(connection, operation.senders, names, package)
    places = sorted({place for asked in operation.asked for place in asked.places})
    ids = sorted({i for found in meant.values() for i in found})
    copies = _copies(connection, ids, places, lock=lock)
    met: dict[object, Meeting] = {}
    for asked in operation.asked:
        for names in asked.aims:
            copy = the_copy(connection, copies, meant[names], asked.places)
            # A recipient named twice, by its own code and a predecessor's, may have one copy or two.
            key = (asked.recipient, names, None if copy is None else copy.id)
            if key not in met:
                met[key] = _meeting(operation, asked, meant[names], copy, now)
    return list(met.values())


def _meant(connection: Connection, senders: Sequence[str], names: Sequence[str], package: str) -> Sequence[str]:
    """
    The document that these names stand for and the later versions of it, oldest kind first; empty: unknown.

    Or not known for certain: a careless sender gives one number to several documents.
    """
    for name in stored_all(names):
        found: list[Row[Any]] = []
        for sender in senders:
            found += connection.execute(
                select(documents.c.id, documents.c.business_type, documents.c.identity)
                .where(
                    documents.c.sender == sender,
                    documents.c.kind == PackageKind.DOCUMENT,
                    # A recall has brought nobody a document.
                    documents.c.business_type != BusinessType.REVOKE,
                    or_(documents.c.identity == name, documents.c.alias == name),
                    documents.c.id != package,
                )
                .order_by(documents.c.business_type, documents.c.received_at, documents.c.id)
            ).all()
            # A successor's update may have the name of what its predecessor sent.
            if any(row.business_type is not BusinessType.UPDATE for row in found):
                break
        if len({row.identity for row in found if row.business_type is not BusinessType.UPDATE}) > 1:
            return ()
        if found:
            return [row.id for row in sorted(found, key=lambda row: row.business_type is BusinessType.UPDATE)]
    return ()


def _copies(connection: Connection, ids: Sequence[str], places: Sequence[str], *, lock: bool) -> list[Row[Any]]:
    """All deliveries of these documents to these agencies, in the order of their ids."""
    if not ids:
        return []
    rows: list[Row[Any]] = []
    for part in chunks(places):
        statement = select(deliveries).where(deliveries.c.document.in_(ids), deliveries.c.recipient.in_(part))
        rows += connection.execute(statement.order_by(deliveries.c.id)).all()
    if not lock:
        return rows
    return _locked(connection, [row.id for row in rows])


def _locked(connection: Connection, ids: Iterable[str]) -> list[Row[Any]]:
    """These deliveries, locked in one order everywhere, so that nobody waits in a circle."""
    wanted = sorted(set(ids))
    return [
        row
        for part in chunks(wanted)
        for row in connection.execute(
            select(deliveries).where(deliveries.c.id.in_(part)).order_by(deliveries.c.id).with_for_update()
        )
    ]


def the_copy(
    connection: Connection, rows: Iterable[Row[Any]], ids: Sequence[str], places: Sequence[str]
) -> Row[Any] | None:
    """
    Which of these deliveries is a recipient's copy: of the document itself rather than of a later version of it.

    One that was refused or taken back is it no more once a later version has come as a document of its own.

    :param ids: of the document and what has its name, in their order.
    :param places: the recipient, and others whose copy may be meant, in their order.
    """
    order = {code: i for i, code in enumerate(places)}
    own = [row for row in rows if row.document in ids and row.recipient in order]
    own.sort(key=lambda row: (ids.index(row.document), order[row.recipient]))
    if not own or may_be_asked(own[0].state):
        return own[0] if own else None
    later = {row.id: row for row in own[1:] if row.document != own[0].document and may_be_asked(row.state)}
    # What only asked to change or to take back the copy is none.
    asking = connection.scalars(
        select(operation_requests.c.own).where(
            operation_requests.c.own.in_(list(later)),
            or_(operation_requests.c.delivery.is_not(None), operation_requests.c.business_type == BusinessType.REVOKE),
        )
    )
    for delivery in set(asking):
        del later[delivery]
    return next(iter(later.values()), own[0])


def _meeting(
    operation: NewOperation, asked: Asked, ids: Sequence[str], copy: Row[Any] | None, now: datetime
) -> Meeting:
    document = copy.document if copy is not None else (ids[0] if ids else None)
    return Meeting(asked=asked, finding=_finding(operation, document, copy, now), document=document, copy=copy)


def _finding(operation: NewOperation, document: str | None, copy: Row[Any] | None, now: datetime) -> Finding:
    if document is None:
        return Finding.ORPHAN
    recalls = operation.business_type is BusinessType.REVOKE
    if copy is None:
        return Finding.NOT_SENT if recalls else Finding.NEW
    if not may_be_asked(copy.state):
        if not recalls:
            return Finding.NEW
        return Finding.TAKEN_BACK if copy.state is DeliveryState.WITHDRAWN else Finding.REFUSED
    if recalls and operation.take_back and uncollected(copy, now):
        return Finding.UNCOLLECTED
    return Finding.ASKED


def uncollected(copy: Row[Any], now: datetime) -> bool:
    """
    Whether it is certain that the receiver does not have a copy.

    From a mailbox somebody has it whom its bytes were handed out to, acknowledged or not; a lock alone that has ended
    says nothing. Elsewhere a try that failed may have arrived all the same, and only its answer was lost. Who has
    reported on it has it.
    """
    if copy.status is not None or copy.handed_out_at is not None:
        return False
    if copy.channel is Channel.MAILBOX:
        ended = copy.state is DeliveryState.LEASED and copy.due_at <= now
        return ended or copy.state is DeliveryState.WAITING
    return copy.state is DeliveryState.WAITING and copy.attempts == 0


def lacks_a_reply(operation: NewOperation, meetings: Sequence[Meeting]) -> bool:
    """Whether something was found for which no answer was prepared: the ledger has moved since the preparations."""
    return any(operation.needs_reply(m.finding) and m.finding not in m.asked.replies for m in meetings)


_STAYS_HERE = (Finding.UNCOLLECTED, Finding.TAKEN_BACK)


def stay_here(meetings: Sequence[Meeting]) -> set[AgencyCode]:
    """The recipients to whom the operation itself is not handed on: they have nothing to give back."""
    goes_on = {m.asked.recipient for m in meetings if m.finding not in _STAYS_HERE}
    return {m.asked.recipient for m in meetings} - goes_on


# What an operation does


_INSERT = Insert(operation_requests)


def carry_out(
    connection: Connection,
    operation: NewOperation,
    meetings: Sequence[Meeting],
    *,
    package: str,
    own: Mapping[AgencyCode, str],
    now: datetime,
) -> None:
    """
    Ask, take back or give up, as was found; the answers themselves are recorded by the caller.

    :param own: recipient → the delivery that brings it the operation.
    """
    gone = [own[recipient] for recipient in stay_here(meetings) if recipient in own]
    for meeting in meetings:
        if meeting.finding is Finding.NEW:
            continue
        asked = meeting.asked
        answer = asked.replies[meeting.finding].status.id if operation.needs_reply(meeting.finding) else None
        if meeting.finding is Finding.UNCOLLECTED:
            assert meeting.copy is not None
            take_back(
                connection,
                [meeting.copy],
                actor=operation.gateway,
                data={"by_operation": package},
                answers={meeting.copy.id: asked.replies[meeting.finding]},
                now=now,
            )
        if meeting.finding is Finding.ASKED:
            assert meeting.copy is not None
            _move(connection, meeting.copy, [RecallEvent.ASK], now)
        _keep(connection, operation, meeting, package=package, own=own.get(asked.recipient), answer=answer, now=now)
    _withdraw_unseen(connection, gone, actor=operation.gateway, data={"by_operation": package}, now=now)


_STATES = {
    Finding.ASKED: OperationState.REQUESTED,
    Finding.UNCOLLECTED: OperationState.AGREED,
    Finding.TAKEN_BACK: OperationState.AGREED,
    Finding.ORPHAN: OperationState.ORPHAN,
    Finding.NOT_SENT: OperationState.DECLINED,
    Finding.REFUSED: OperationState.DECLINED,
}
"""What becomes of an operation at once."""


def _keep(
    connection: Connection,
    operation: NewOperation,
    meeting: Meeting,
    *,
    package: str,
    own: str | None,
    answer: str | None,
    now: datetime,
) -> None:
    state = _STATES[meeting.finding]
    if state is OperationState.DECLINED and answer is None:
        state = OperationState.REQUESTED  # another gateway has answered; the receiver may still
    _INSERT.one(
        connection,
        {
            "package": package,
            "business_type": operation.business_type,
            "recipient": meeting.asked.recipient,
            "document": meeting.document,
            "delivery": None if meeting.copy is None else meeting.copy.id,
            "own": own,
            "state": state,
            "asked_at": now,
            "answered_at": None if answer is None else now,
            "answered_by": None if answer is None else operation.gateway,
            "answer": answer,
        },
    )
    happened = Action.OPERATION_REQUESTED if answer is None else Action.OPERATION_ANSWERED
    if state is OperationState.ORPHAN:
        happened = Action.OPERATION_ORPHANED
    told = event(
        now,
        happened,
        document=meeting.document or package,
        delivery=None if meeting.copy is None else meeting.copy.id,
        actor=None if answer is None else operation.gateway,
        package=package,
        business_type=operation.business_type.value,
        recipient=meeting.asked.recipient,
        finding=meeting.finding.value,
        state=state.value,
    )
    record(connection, [told])


def take_back(
    connection: Connection,
    copies: Sequence[Row[Any]],
    *,
    actor: str,
    data: Mapping[str, Any],
    answers: Mapping[str, Reply],
    now: datetime,
) -> None:
    """
    Take back copies, and with each whatever waits for it to be changed or recalled.

    :param copies: locked; a mailbox lock on them has ended.
    :param data: what the events say.
    :param answers: by copy, the status 15 that answers the recalls of it; the caller records it.
    """
    followers: list[str] = []
    for copy in copies:
        waiting = _open_on(connection, copy.id)
        # A replacement is a document of its own, and goes on its way.
        followers += [r.own for r in waiting if r.own and r.business_type is not BusinessType.REPLACE]
        reply = answers.get(copy.id)
        by = None if reply is None else reply.document.received_from
        _lapse(connection, _brought_by(connection, copy.id), now)
        _close(connection, waiting, answer=None if reply is None else reply.status.id, by=by, now=now)
        _move(connection, copy, [RecallEvent.TAKE_BACK], now)
    _give_back(connection, [copy for copy in copies if copy.state is DeliveryState.LEASED], now)
    _withdraw(connection, _locked(connection, [copy.id for copy in copies]), actor=actor, data=data, now=now)
    _withdraw_unseen(connection, followers, actor=actor, data=data, now=now)


def _give_back(connection: Connection, leased: Sequence[Row[Any]], now: datetime) -> None:
    """End the locks that have run out."""
    if not leased:
        return
    settling.record_attempts(connection, [settling.attempt(row, now=now, outcome="lost") for row in leased])
    after = next_state(DeliveryState.LEASED, DeliveryEvent.LOSE_LEASE)
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_([row.id for row in leased]))
        .values(state=after, token=None, worker=None, taken_at=None)
    )


def _withdraw_unseen(
    connection: Connection, ids: Sequence[str], *, actor: str, data: Mapping[str, Any], now: datetime
) -> None:
    """Withdraw those operations that have certainly not reached their receiver; the others go on."""
    here = [row for row in _locked(connection, ids) if row.state is DeliveryState.WAITING and uncollected(row, now)]
    _withdraw(connection, here, actor=actor, data=data, now=now)


def _withdraw(
    connection: Connection, rows: Sequence[Row[Any]], *, actor: str, data: Mapping[str, Any], now: datetime
) -> None:
    if not rows:
        return
    for part in chunks([row.id for row in rows]):
        # They wait for nothing any more.
        connection.execute(delete(delivery_blocks).where(delivery_blocks.c.delivery.in_(part)))
        connection.execute(update(deliveries).where(deliveries.c.id.in_(part)).values(blockers=0))
    steps = [
        settling.Move(delivery=row, happening=DeliveryEvent.WITHDRAW, actor=actor, data=dict(data)) for row in rows
    ]
    settling.move_all(connection, steps, now=now)


def _move(connection: Connection, copy: Row[Any], events: Sequence[RecallEvent], now: datetime) -> RecallState:
    """Take a locked copy's recall from state to state."""
    state: RecallState = copy.recall
    for happening in events:
        state = next_recall(state, happening)
    connection.execute(update(deliveries).where(deliveries.c.id == copy.id).values(recall=state, changed_at=now))
    return state


# How it is answered


def answer(
    connection: Connection, delivery: Row[Any], code: StatusCode, *, reporter: AgencyCode, status: str, now: datetime
) -> bool:
    """
    Let 15 or 16 answer what was asked of a copy; whether there was anything to answer.

    A report names the document, and an operation often has the same name: then the operation that has waited
    longest is answered, since receivers get them in order. One that names the operation itself answers that one.

    :param delivery: that the report is about, locked: the copy, or the delivery of the operation.
    :param status: id of the report.
    """
    waiting = connection.execute(
        _OPEN.where(or_(operation_requests.c.delivery == delivery.id, operation_requests.c.own == delivery.id))
    ).all()
    named = [r for r in waiting if r.own == delivery.id] or list(waiting[:1])
    if named and named[0].own not in (None, delivery.id):
        # One that has taken the places of several answers for the copies of all of them.
        first = named[0]
        same = (operation_requests.c.own == first.own, operation_requests.c.document == first.document)
        named = list(connection.execute(_OPEN.where(*same)))
    _decide(connection, named, code, status=status, by=reporter, now=now)
    return bool(named)


def _decide(
    connection: Connection,
    requests: Sequence[Row[Any]],
    code: StatusCode,
    *,
    status: str,
    by: AgencyCode,
    now: datetime,
) -> None:
    """Answer requests of one operation with 15 or 16."""
    if not requests:
        return
    agreed = code is StatusCode.AGREED
    state = OperationState.AGREED if agreed else OperationState.DECLINED
    _set(connection, [r.id for r in requests], state, answer=status, by=by, now=now)
    _tell(connection, Action.OPERATION_ANSWERED, requests, state, by=by, now=now)
    ids = [r.delivery for r in requests if r.delivery is not None]
    for copy in _locked(connection, ids):
        _answered(connection, copy, answer_to(requests[0].business_type, code), status=status, by=by, now=now)


_OPEN = (
    select(operation_requests)
    .where(operation_requests.c.state.in_([s for s in OperationState if s.is_open]))
    .order_by(operation_requests.c.asked_at, operation_requests.c.id)
    .with_for_update()
)


def _open_on(connection: Connection, copy: str) -> Sequence[Row[Any]]:
    return connection.execute(_OPEN.where(operation_requests.c.delivery == copy)).all()


def _answered(
    connection: Connection, copy: Row[Any], happening: RecallEvent, *, status: str, by: AgencyCode, now: datetime
) -> None:
    """What an answer does to the copy."""
    if copy.recall is not RecallState.REQUESTED:
        return  # its request had lapsed
    waiting = _open_on(connection, copy.id)
    if happening is not RecallEvent.AGREE_TO_RECALL:
        _move(connection, copy, [happening, *([RecallEvent.ASK] if waiting else [])], now)
        return
    _move(connection, copy, [happening], now)
    _close(connection, waiting, answer=status, by=by, now=now)
    if may_be_asked(copy.state):
        step = settling.Move(
            delivery=copy,
            happening=DeliveryEvent.REPORT_WITHDRAWAL,
            actor=by,
            # Who collected it before may still repeat the acknowledgement.
            changes={} if copy.state.is_open else {"token": copy.token},
            data={"by_status": StatusCode.AGREED.value},
        )
        settling.move(connection, step, now=now)
    followers = [r.own for r in waiting if r.own and r.business_type is not BusinessType.REPLACE]
    _withdraw_unseen(connection, followers, actor=by, data={"by_status": StatusCode.AGREED.value}, now=now)


def refused(connection: Connection, delivery: Row[Any], *, reporter: AgencyCode, status: str, now: datetime) -> None:
    """
    Its receiver has refused a document: nothing is asked of this copy any more, and what came with it is declined.

    :param status: id of the report, a 02.
    """
    if delivery.recall is RecallState.REQUESTED:
        _lapse(connection, _open_on(connection, delivery.id), now)
    asked = _brought_by(connection, delivery.id)
    _decide(connection, asked, StatusCode.DISAGREED, status=status, by=reporter, now=now)


def _brought_by(connection: Connection, delivery: str) -> Sequence[Row[Any]]:
    """What waits for the receiver of this delivery to answer it."""
    return connection.execute(_OPEN.where(operation_requests.c.own == delivery)).all()


def _lapse(connection: Connection, requests: Sequence[Row[Any]], now: datetime) -> None:
    """These are not asked any more."""
    if not requests:
        return
    _set(connection, [r.id for r in requests], OperationState.LAPSED, answer=None, by=None, now=now)
    _tell(connection, Action.OPERATION_LAPSED, requests, OperationState.LAPSED, by=None, now=now)
    for copy in _locked(connection, [r.delivery for r in requests if r.delivery is not None]):
        if copy.recall is RecallState.REQUESTED:
            others = _open_on(connection, copy.id)
            _move(connection, copy, [RecallEvent.LAPSE, *([RecallEvent.ASK] if others else [])], now)


def _close(
    connection: Connection, waiting: Sequence[Row[Any]], *, answer: str | None, by: str | None, now: datetime
) -> None:
    """The copy is taken back: recalls of it have what they asked for, and there is nothing left to change."""
    recalls = [r for r in waiting if r.business_type is BusinessType.REVOKE]
    changes = [r for r in waiting if r.business_type is not BusinessType.REVOKE]
    _set(connection, [r.id for r in recalls], OperationState.AGREED, answer=answer, by=by, now=now)
    _tell(connection, Action.OPERATION_ANSWERED, recalls, OperationState.AGREED, by=by, now=now)
    _set(connection, [r.id for r in changes], OperationState.LAPSED, answer=None, by=None, now=now)
    _tell(connection, Action.OPERATION_LAPSED, changes, OperationState.LAPSED, by=None, now=now)


def _set(
    connection: Connection,
    ids: Sequence[int],
    state: OperationState,
    *,
    answer: str | None,
    by: str | None,
    now: datetime,
) -> None:
    if ids:
        connection.execute(
            update(operation_requests)
            .where(operation_requests.c.id.in_(ids))
            .values(state=state, answered_at=now, answered_by=by, answer=answer)
        )


def _tell(
    connection: Connection,
    action: Action,
    requests: Sequence[Row[Any]],
    state: OperationState,
    *,
    by: str | None,
    now: datetime,
) -> None:
    record(
        connection,
        [
            event(
                now,
                action,
                document=r.document or r.package,
                delivery=r.delivery,
                actor=by,
                package=r.package,
                business_type=r.business_type.value,
                recipient=r.recipient,
                state=state.value,
            )
            for r in requests
        ],
    )


# Looking


_ROW = [
    statuses.c.description.label("reason") if name == "reason" else operation_requests.c[name]
    for name in OperationRow.__dataclass_fields__
]


def concerning(connection: Connection, document_id: str) -> tuple[OperationRow, ...]:
    """What was asked of a document's copies, and what it asked itself; oldest first."""
    statement = (
        select(*_ROW)
        .select_from(operation_requests.outerjoin(statuses, operation_requests.c.answer == statuses.c.id))
        .where(or_(operation_requests.c.document == document_id, operation_requests.c.package == document_id))
        .order_by(operation_requests.c.id)
    )
    return tuple(OperationRow(**row._mapping) for row in connection.execute(statement))


def recalls_waiting(connection: Connection, copies: Sequence[str]) -> set[str]:
    """Those of the copies of which a recall waits for an answer."""
    return {
        copy
        for part in chunks(copies)
        for copy in connection.scalars(
            select(operation_requests.c.delivery).where(
                operation_requests.c.delivery.in_(part),
                operation_requests.c.business_type == BusinessType.REVOKE,
                operation_requests.c.state == OperationState.REQUESTED,
            )
        )
    }
