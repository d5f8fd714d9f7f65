"""The end of a delivery, or of a try: state, attempt, event, and those that waited for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from gateway.ledger.actions import Action
from gateway.ledger.rows import Insert, Update
from gateway.ledger.statements import chunks, event, record
from gateway.ledger.states import HOLDS_BACK, DeliveryEvent, next_state
from gateway.ledger.tables import attempts, deliveries, delivery_blocks
from gateway.model import DeliveryState

_ACTIONS = {
    DeliveryState.WAITING: Action.DELIVERY_ATTEMPT_FAILED,
    DeliveryState.FORWARDED: Action.DELIVERY_FORWARDED,
    DeliveryState.DELIVERED: Action.DELIVERY_DELIVERED,
    DeliveryState.REFUSED: Action.DELIVERY_REFUSED,
    DeliveryState.ABANDONED: Action.DELIVERY_ABANDONED,
    DeliveryState.WITHDRAWN: Action.DELIVERY_WITHDRAWN,
}


@dataclass(frozen=True, kw_only=True)
class Move:
    """One step of one delivery."""

    delivery: Row[Any]
    """Locked, with the columns of ``MOVED``."""
    happening: DeliveryEvent
    action: Action | None = None
    """What the event is called; ``None``: as the state reached."""
    actor: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Values for ``token``, ``error_code`` and ``due_at`` that differ from the usual: the first is cleared, the
    others stay."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What the event says."""


MOVED = tuple(deliveries.c[name] for name in ("id", "document", "state", "error_code", "due_at"))
"""What a ``Move`` must know of its delivery."""

_MOVE = Update(
    deliveries,
    where="id",
    columns=("state", "changed_at", "settled_at", "token", "worker", "taken_at", "error_code", "due_at"),
)


def move_all(connection: Connection, moves: Sequence[Move], *, now: datetime) -> list[DeliveryState]:
    """
    Take locked deliveries to their next states, record it, and let go whoever waited for them to leave.

    :return: the states reached, in the order of the moves.
    :raises TransitionForbidden: something cannot happen in the present state of its delivery.
    """
    if not moves:
        return []
    states = [next_state(move.delivery.state, move.happening) for move in moves]
    steps = list(zip(moves, states, strict=True))
    _MOVE.all(connection, [_values(move, state, now) for move, state in steps])
    record(connection, [_event(move, state, now) for move, state in steps])
    left = [m.delivery.id for m, state in steps if m.delivery.state in HOLDS_BACK and state not in HOLDS_BACK]
    for part in chunks(left):
        _let_go(connection, part, now)
    return states


def move(connection: Connection, step: Move, *, now: datetime) -> DeliveryState:
    """As ``move_all``, for one delivery."""
    (state,) = move_all(connection, [step], now=now)
    return state


def _values(move: Move, state: DeliveryState, now: datetime) -> dict[str, Any]:
    # All columns each time, so that one statement serves whatever happened.
    usual = {
        "id": move.delivery.id,
        "state": state,
        "changed_at": now,
        "settled_at": None if state.is_open else now,
        "token": None,
        "worker": None,
        "taken_at": None,
        "error_code": move.delivery.error_code,
        "due_at": move.delivery.due_at,
    }
    return usual | dict(move.changes)


def _event(move: Move, state: DeliveryState, now: datetime) -> dict[str, Any]:
    return event(
        now,
        move.action or _ACTIONS[state],
        document=move.delivery.document,
        delivery=move.delivery.id,
        actor=move.actor,
        **move.data,
    )


_UNBLOCK = (
    delete(delivery_blocks)
    .where(delivery_blocks.c.blocked_by.in_(bindparam("left", expanding=True)))
    .returning(delivery_blocks.c.delivery, delivery_blocks.c.blocked_by)
)
_WAITING = (
    select(*(deliveries.c[name] for name in ("id", "document", "blockers", "due_at", "trying_since")))
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(deliveries.c.id)
    .with_for_update()
)
_FREE = update(deliveries).where(deliveries.c.id == bindparam("freed"))


def _let_go(connection: Connection, left: Sequence[str], now: datetime) -> None:
    """Those that waited for these deliveries only become due, and their patience begins."""
    gone: dict[str, list[str]] = {}
    for row in connection.execute(_UNBLOCK, {"left": left}):
        gone.setdefault(row.delivery, []).append(row.blocked_by)
    rows: list[dict[str, Any]] = []
    unblocked: list[dict[str, Any]] = []
    for part in chunks(list(gone)):
        for row in connection.execute(_WAITING, {"ids": part}):
            blockers = row.blockers - len(gone[row.id])
            times = (now, now) if blockers == 0 else (row.due_at, row.trying_since)
            rows.append({"freed": row.id, "blockers": blockers, "due_at": times[0], "trying_since": times[1]})
            if blockers == 0:
                after = gone[row.id][-1]
                unblocked.append(
                    event(now, Action.DELIVERY_UNBLOCKED, document=row.document, delivery=row.id, after=after)
                )
    if rows:
        connection.execute(_FREE, rows)
        record(connection, unblocked)


_INSERT_ATTEMPT = Insert(attempts)


def record_attempts(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep how tries ended; rows are made by ``attempt``."""
    _INSERT_ATTEMPT.all(connection, rows)


def attempt(
    delivery: Row[Any],
    *,
    now: datetime,
    outcome: str,
    code: str | None = None,
    detail: str | None = None,
    receipt: str | None = None,
) -> dict[str, Any]:
    """One row of the attempts: how one try of a leased delivery ended."""
    return {
        "delivery": delivery.id,
        "number": delivery.attempts,
        "worker": delivery.worker,
        "started_at": delivery.taken_at,
        "ended_at": now,
        "outcome": outcome,
        "code": code,
        "detail": detail,
        "receipt": receipt,
    }
