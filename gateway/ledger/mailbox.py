"""The mailbox: look, lock, acknowledge or refuse."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from gateway.errors import LeaseLost, NotFound, ReasonRequired, StateConflict
from gateway.ledger import acceptance, recalls, settling
from gateway.ledger.actions import Action
from gateway.ledger.bounds import LONGEST_DESCRIPTION, cut
from gateway.ledger.records import Lock, Reply, Settled
from gateway.ledger.statements import event, record
from gateway.ledger.states import DeliveryEvent, next_state
from gateway.ledger.tables import attempts, deliveries
from gateway.model import AgencyCode, Channel, DeliveryState, StatusCode

Owners = Sequence[AgencyCode]
"""Who asks, and then the closed agencies whose mailboxes have become its own."""


def lock(connection: Connection, delivery_id: str, owners: Owners, *, now: datetime, lease: timedelta) -> Lock:
    """As ``Ledger.lock``, inside a transaction."""
    delivery = _in_mailbox(connection, delivery_id, owners)
    state = delivery.state
    if state is DeliveryState.LEASED:
        if delivery.due_at > now:
            raise StateConflict(f"The delivery is locked until {delivery.due_at.isoformat()}.")
        state = next_state(state, DeliveryEvent.LOSE_LEASE)
        settling.record_attempts(connection, [settling.attempt(delivery, now=now, outcome="lost")])
    made = Lock(delivery_id=delivery_id, token=secrets.token_urlsafe(24), until=now + lease)
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(
            state=next_state(state, DeliveryEvent.TAKE),
            due_at=made.until,
            token=made.token,
            worker=owners[0],
            taken_at=now,
            attempts=deliveries.c.attempts + 1,
            changed_at=now,
        )
    )
    locked = event(
        now,
        Action.MAILBOX_LOCKED,
        document=delivery.document,
        delivery=delivery_id,
        actor=owners[0],
        until=made.until.isoformat(),
    )
    record(connection, [locked])
    return made


def acknowledge(
    connection: Connection, delivery_id: str, owners: Owners, token: str, *, now: datetime, reply: Reply | None
) -> Settled:
    """As ``Ledger.acknowledge``, inside a transaction."""
    return _settle(
        connection,
        delivery_id,
        owners,
        token,
        happening=DeliveryEvent.DELIVER,
        action=Action.MAILBOX_ACKNOWLEDGED,
        now=now,
        reply=reply,
        reason=None,
    )


def refuse(
    connection: Connection,
    delivery_id: str,
    owners: Owners,
    token: str,
    *,
    reason: str,
    now: datetime,
    reply: Reply | None,
) -> Settled:
    """As ``Ledger.refuse``, inside a transaction."""
    if not reason.strip():
        raise ReasonRequired
    return _settle(
        connection,
        delivery_id,
        owners,
        token,
        happening=DeliveryEvent.REFUSE,
        action=Action.MAILBOX_REFUSED,
        now=now,
        reply=reply,
        reason=reason,
    )


def finish(
    connection: Connection, delivery_id: str, owners: Owners, *, forwarded: bool, now: datetime, reply: Reply | None
) -> Settled:
    """As ``Ledger.finish``, inside a transaction."""
    acceptance.lock_replies(connection, [reply])
    delivery = _in_mailbox(connection, delivery_id, owners)
    if _has_it(delivery):
        return Settled(delivery_id=delivery_id, state=delivery.state, at=delivery.settled_at, repeated=True)
    if delivery.state is DeliveryState.WITHDRAWN:
        raise NotFound(f"The delivery {delivery_id} was taken back before it was collected.")
    return _settle(
        connection,
        delivery_id,
        owners,
        _token(connection, delivery, owners, now=now),
        happening=DeliveryEvent.FORWARD if forwarded else DeliveryEvent.DELIVER,
        action=Action.DELIVERY_FORWARDED if forwarded else Action.MAILBOX_ACKNOWLEDGED,
        now=now,
        reply=reply,
        reason=None,
    )


def hand_out(connection: Connection, delivery_id: str, owners: Owners, *, now: datetime) -> None:
    """As ``Ledger.hand_out``, inside a transaction."""
    delivery = _in_mailbox(connection, delivery_id, owners)
    if delivery.state is DeliveryState.WITHDRAWN and delivery.handed_out_at is None and delivery.status is None:
        raise NotFound(f"There is no delivery {delivery_id} in this mailbox.")
    if delivery.handed_out_at is None:
        connection.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(handed_out_at=now))


def hold(connection: Connection, delivery_id: str, owners: Owners, *, now: datetime, lease: timedelta) -> Settled:
    """As ``Ledger.hold``, inside a transaction."""
    delivery = _in_mailbox(connection, delivery_id, owners)
    again = delivery.state is DeliveryState.LEASED
    if again:
        connection.execute(
            update(deliveries).where(deliveries.c.id == delivery_id).values(due_at=now + lease, changed_at=now)
        )
    else:
        lock(connection, delivery_id, owners, now=now, lease=lease)
    return Settled(delivery_id=delivery_id, state=DeliveryState.LEASED, at=now, repeated=again)


def put_back(
    connection: Connection,
    delivery_id: str,
    owners: Owners,
    *,
    reason: str | None,
    retry_at: Callable[[int], datetime],
    now: datetime,
) -> Settled:
    """As ``Ledger.put_back``, inside a transaction."""
    delivery = _in_mailbox(connection, delivery_id, owners)
    if delivery.state is DeliveryState.WAITING and delivery.due_at > now:
        return Settled(delivery_id=delivery_id, state=delivery.state, at=delivery.changed_at, repeated=True)
    _token(connection, delivery, owners, now=now)
    delivery = _in_mailbox(connection, delivery_id, owners)
    due_at = retry_at(delivery.attempts - delivery.attempts_before)
    step = settling.Move(
        delivery=delivery,
        happening=DeliveryEvent.FAIL,
        actor=owners[0],
        changes={"due_at": due_at, "error_code": FAILED_AT_RECEIVER},
        data={"code": FAILED_AT_RECEIVER, "attempt": delivery.attempts, "retry_at": due_at.isoformat()},
    )
    state = settling.move(connection, step, now=now)
    detail = cut(reason, LONGEST_DESCRIPTION)
    tried = settling.attempt(delivery, now=now, outcome="failed", code=FAILED_AT_RECEIVER, detail=detail)
    settling.record_attempts(connection, [tried])
    return Settled(delivery_id=delivery_id, state=state, at=now, repeated=False)


FAILED_AT_RECEIVER = "mailbox.failed"
"""Stands where errors have their code: the receiver's system has fetched it and could not use it."""

_RECEIVED = frozenset({DeliveryState.DELIVERED, DeliveryState.FORWARDED, DeliveryState.REFUSED})
"""States in which the receiver has it, whatever was made of it: to be told so again changes nothing."""


def _has_it(delivery: Row[Any]) -> bool:
    """Whether the receiver has it, or had it before it gave it back: then it was acknowledged, or reported on."""
    collected = delivery.token is not None or delivery.status is not None
    return delivery.state in _RECEIVED or (delivery.state is DeliveryState.WITHDRAWN and collected)


def _token(connection: Connection, delivery: Row[Any], owners: Owners, *, now: datetime) -> str:
    """The lock that a delivery is settled under at once: the one there is, even when it has ended, or a new one."""
    if delivery.state is DeliveryState.LEASED and delivery.token is not None:
        held: str = delivery.token
        return held
    return lock(connection, delivery.id, owners, now=now, lease=timedelta(0)).token


_REFUSED_BY_RECEIVER = "mailbox.refused"
"""Stands where errors have their code."""


def _settle(
    connection: Connection,
    delivery_id: str,
    owners: Owners,
    token: str,
    *,
    happening: DeliveryEvent,
    action: Action,
    now: datetime,
    reply: Reply | None,
    reason: str | None,
) -> Settled:
    acceptance.lock_replies(connection, [reply])
    delivery = _in_mailbox(connection, delivery_id, owners)
    if delivery.token is None or not secrets.compare_digest(delivery.token.encode(), token.encode()):
        raise LeaseLost
    wanted = next_state(DeliveryState.LEASED, happening)
    if (first := _settled_so(connection, delivery, wanted)) is not None:
        return Settled(delivery_id=delivery_id, state=wanted, at=first, repeated=True)
    code = None if reason is None else _REFUSED_BY_RECEIVER
    # The token stays, so that the same request can be answered again.
    kept = {"token": token, "error_code": code}
    step = settling.Move(
        delivery=delivery, happening=happening, action=action, actor=owners[0], changes=kept, data={"code": code}
    )
    state = settling.move(connection, step, now=now)
    tried = settling.attempt(delivery, now=now, outcome=state.value, code=code, detail=reason)
    settling.record_attempts(connection, [tried])
    if reply is not None and reply.status.code is StatusCode.DISAGREED:
        said = reply.status
        recalls.answer(connection, delivery, said.code, reporter=said.reporter, status=said.id, now=now)
    acceptance.accept_reply(connection, reply)
    return Settled(delivery_id=delivery_id, state=state, at=now, repeated=False)


def _settled_so(connection: Connection, delivery: Row[Any], wanted: DeliveryState) -> datetime | None:
    """When this very try ended so, whatever the receiver reported since; ``None`` when it did not."""
    if delivery.state.is_open:
        return None
    ended: datetime | None = connection.scalar(
        select(attempts.c.ended_at).where(
            attempts.c.delivery == delivery.id,
            attempts.c.number == delivery.attempts,
            attempts.c.outcome == wanted.value,
        )
    )
    return ended


def _in_mailbox(connection: Connection, delivery_id: str, owners: Owners) -> Row[Any]:
    """The delivery, locked against others; only if it is this agency's to see now."""
    delivery = connection.execute(
        select(deliveries)
        .where(
            deliveries.c.id == delivery_id,
            deliveries.c.via.in_(owners),
            deliveries.c.channel == Channel.MAILBOX,
            deliveries.c.blockers == 0,
        )
        .with_for_update()
    ).one_or_none()
    if delivery is None:
        raise NotFound(f"There is no delivery {delivery_id} in this mailbox.")
    return delivery
