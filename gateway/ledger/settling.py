"""The end of a delivery, or of a try: state, attempt, event, and those that waited for it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, case, delete, insert, literal, update

from gateway.ledger.actions import Action
from gateway.ledger.statements import event, record
from gateway.ledger.states import HOLDS_BACK, DeliveryEvent, next_state
from gateway.ledger.tables import attempts, deliveries, delivery_blocks
from gateway.ledger.types import UtcDateTime
from gateway.model import DeliveryState

_ACTIONS = {
    DeliveryState.WAITING: Action.DELIVERY_ATTEMPT_FAILED,
    DeliveryState.FORWARDED: Action.DELIVERY_FORWARDED,
    DeliveryState.DELIVERED: Action.DELIVERY_DELIVERED,
    DeliveryState.REFUSED: Action.DELIVERY_REFUSED,
    DeliveryState.ABANDONED: Action.DELIVERY_ABANDONED,
    DeliveryState.WITHDRAWN: Action.DELIVERY_WITHDRAWN,
}


def move(
    connection: Connection,
    delivery: Row[Any],
    happening: DeliveryEvent,
    *,
    now: datetime,
    action: Action | None = None,
    actor: str | None = None,
    changes: dict[str, Any] | None = None,
    **data: Any,
) -> DeliveryState:
    """
    Take a locked delivery to its next state, record it, and let go whoever waited for it to leave.

    :param action: what the event is called; by default as the state reached.
    :param changes: further columns to set.
    :param data: what the event says.
    :raises TransitionForbidden: it cannot happen in the present state.
    """
    state = next_state(delivery.state, happening)
    values: dict[str, Any] = {"state": state, "changed_at": now, "token": None, "worker": None, "taken_at": None}
    if not state.is_open:
        values["settled_at"] = now
    connection.execute(update(deliveries).where(deliveries.c.id == delivery.id).values(values | (changes or {})))
    row = event(
        now,
        action or _ACTIONS[state],
        document=delivery.document,
        delivery=delivery.id,
        actor=actor,
        **data,
    )
    record(connection, [row])
    if delivery.state in HOLDS_BACK and state not in HOLDS_BACK:
        _let_go(connection, delivery.id, now)
    return state


def _let_go(connection: Connection, delivery_id: str, now: datetime) -> None:
    """Those that waited for this delivery only become due, and their patience begins."""
    waiting = connection.scalars(
        delete(delivery_blocks).where(delivery_blocks.c.blocked_by == delivery_id).returning(delivery_blocks.c.delivery)
    ).all()
    if not waiting:
        return
    last = deliveries.c.blockers == 1
    moment = literal(now, UtcDateTime())
    changed = connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(waiting))
        .values(
            blockers=deliveries.c.blockers - 1,
            due_at=case((last, moment), else_=deliveries.c.due_at),
            trying_since=case((last, moment), else_=deliveries.c.trying_since),
        )
        .returning(deliveries.c.id, deliveries.c.document, deliveries.c.blockers)
    ).all()
    record(
        connection,
        [
            event(now, Action.DELIVERY_UNBLOCKED, document=row.document, delivery=row.id, after=delivery_id)
            for row in changed
            if row.blockers == 0
        ],
    )


def record_attempt(
    connection: Connection,
    delivery: Row[Any],
    *,
    now: datetime,
    outcome: str,
    code: str | None = None,
    detail: str | None = None,
    receipt: str | None = None,
) -> None:
    """Keep how one try of a leased delivery ended."""
    connection.execute(
        insert(attempts),
        {
            "delivery": delivery.id,
            "number": delivery.attempts,
            "worker": delivery.worker,
            "started_at": delivery.taken_at,
            "ended_at": now,
            "outcome": outcome,
            "code": code,
            "detail": detail,
            "receipt": receipt,
        },
    )
