"""The queue that the deliveries are: claiming with leases, settling, and the endpoints' circuits."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    bindparam,
    case,
    func,
    literal,
    select,
    text,
    true,
    tuple_,
    update,
)

from gateway.errors import LeaseLost, PeerUnreachable, PeerUntrusted
from gateway.ledger import acceptance, settling
from gateway.ledger.actions import Action
from gateway.ledger.records import (
    Abandoned,
    Claim,
    Delivered,
    EndpointState,
    Failed,
    Forwarded,
    Outcome,
    Refused,
    Reply,
)
from gateway.ledger.statements import chunks, event, insert_new, record
from gateway.ledger.states import DeliveryEvent, next_state
from gateway.ledger.tables import DUE, attempts, deliveries, documents, endpoints
from gateway.ledger.types import UtcDateTime
from gateway.model import AgencyCode, Channel, DeliveryState, Lane, StatusCode

# Claiming


@dataclass(frozen=True, kw_only=True)
class Head:
    """The longest due delivery of one lane at one endpoint."""

    lane: Lane
    via: AgencyCode
    channel: Channel
    due_at: datetime


_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


def _heads_statement(*, lateral: bool) -> Select[Any]:
    """
    One row per lane and endpoint that has something waiting: its earliest due time.

    A walk over the index that jumps from one (lane, endpoint) to the next, so that its cost
    depends on how many of those there are and not on how much waits at each.

    :param lateral: PostgreSQL takes each step in a lateral subquery; it might otherwise join by hashing
        the whole table. SQLite has none and always looks the row up.
    """
    first = deliveries.alias("first")
    start = select(*_of_head(first)).where(text(DUE)).order_by(*_in_index_order(first)).limit(1).subquery("start")
    walk = select(start).cte("walk", recursive=True)
    following = deliveries.alias("following")
    # Beyond all that waits at this endpoint. The last time there is stands for "all": SQLite seeks to the
    # first row that is equal and passes by all that are. The endpoint is made an expression: between two
    # columns of text SQLite would use the index for the lane alone.
    beyond = tuple_(following.c.lane, following.c.via, following.c.due_at) > tuple_(
        walk.c.lane, walk.c.via.concat(""), literal(_END_OF_TIME, UtcDateTime())
    )
    step = select(*_of_head(following)).where(text(DUE), beyond).order_by(*_in_index_order(following)).limit(1)
    if lateral:
        ahead = step.correlate(walk).lateral("ahead")
        walk = walk.union_all(select(ahead).select_from(walk.join(ahead, true())))
    else:
        row = deliveries.alias("row")
        found = step.with_only_columns(following.c.id).correlate(walk).scalar_subquery()
        walk = walk.union_all(select(*_of_head(row)).select_from(walk.join(row, row.c.id == found)))
    return select(walk.c.lane, walk.c.via, walk.c.channel, walk.c.due_at)


def _of_head(table: FromClause) -> list[ColumnElement[Any]]:
    return [table.c.lane, table.c.via, table.c.channel, table.c.due_at]


def _in_index_order(table: FromClause) -> list[ColumnElement[Any]]:
    return [table.c.lane, table.c.via, table.c.due_at, table.c.id]


HEADS = {"sqlite": _heads_statement(lateral=False), "postgresql": _heads_statement(lateral=True)}

DUE_AT_ENDPOINT = (
    select(deliveries.c.id)
    .where(
        text(DUE),
        deliveries.c.lane == bindparam("lane"),
        deliveries.c.via == bindparam("via"),
        deliveries.c.due_at <= bindparam("now"),
    )
    .order_by(deliveries.c.due_at, deliveries.c.id)
    .limit(bindparam("room"))
    .with_for_update(skip_locked=True)
)


def due_heads(
    connection: Connection, *, now: datetime, channels: Sequence[Channel], without: Collection[AgencyCode]
) -> list[Head]:
    """What is due, highest lane first, then longest due; a look without locks, to be confirmed by ``claim``."""
    heads = [
        Head(lane=row.lane, via=row.via, channel=row.channel, due_at=row.due_at)
        for row in connection.execute(HEADS[connection.dialect.name])
        if row.due_at <= now and row.channel in channels and row.via not in without
    ]
    return sorted(heads, key=lambda h: (-h.lane, h.due_at, h.via))


def claim(
    connection: Connection,
    heads: Sequence[Head],
    *,
    worker: str,
    now: datetime,
    lease: timedelta,
    limit: int,
    per_endpoint: int,
) -> list[Claim]:
    """Take what the heads promise, as far as it is still there."""
    circuits = _ill_endpoints(connection)
    rooms: dict[AgencyCode, int] = {}
    probes: set[AgencyCode] = set()
    taken: list[str] = []
    for head in heads:
        if len(taken) >= limit:
            break
        if head.via not in rooms:
            circuit = circuits.get(head.via)
            if circuit is None or circuit.open_until is None:
                rooms[head.via] = per_endpoint
            else:
                rooms[head.via] = 0
                if _may_probe(connection, circuit, now=now, lease=lease):
                    probes.add(head.via)
                    taken += _probe(connection, circuit, [h for h in heads if h.via == head.via], now=now)
        room = min(rooms[head.via], limit - len(taken))
        if room == 0:
            continue
        ids = _due(connection, head, now=now, room=room)
        rooms[head.via] -= len(ids)
        taken += ids
    return _take(connection, taken, circuits, probes, worker=worker, now=now, until=now + lease)


def _due(connection: Connection, head: Head, *, now: datetime, room: int) -> Sequence[str]:
    parameters = {"lane": head.lane, "via": head.via, "now": now, "room": room}
    return connection.scalars(DUE_AT_ENDPOINT, parameters).all()


_ILL = select(endpoints).where(endpoints.c.failures > 0)


def _ill_endpoints(connection: Connection) -> Mapping[AgencyCode, Row[Any]]:
    return {row.via: row for row in connection.execute(_ILL)}


def _may_probe(connection: Connection, circuit: Row[Any], *, now: datetime, lease: timedelta) -> bool:
    """Whether an open circuit may be tried: by one worker, once; others see it open until the probe's lease ends."""
    if circuit.open_until > now:
        return False
    won = connection.execute(
        update(endpoints)
        .where(endpoints.c.via == circuit.via, endpoints.c.open_until == circuit.open_until)
        .values(open_until=now + lease)
    )
    return won.rowcount == 1


def _probe(connection: Connection, circuit: Row[Any], heads: Sequence[Head], *, now: datetime) -> list[str]:
    """
    The delivery that tries an open circuit: never the one that tried it last while another waits.

    A document that fails for reasons of its own would otherwise keep all others of its endpoint waiting, for it
    is most urgent and due each time. Where the failure may have been the document's, it goes behind all whose
    turn was longer ago; where nobody was reached, the most urgent stay in front, since any would have failed.

    Two of each lane are enough to look at: within a lane a failed try falls due after those that wait, and so
    makes room for them.

    :param heads: those of this endpoint, the most urgent first.
    """
    candidates = [delivery for head in heads for delivery in _due(connection, head, now=now, room=2)]
    if len(candidates) > 1:
        tries = _tries(connection, candidates, since=circuit.opened_at)
        tried = [delivery for delivery in candidates if tries[delivery].last > circuit.opened_at]
        latest = max(tried, key=lambda delivery: tries[delivery].last, default=None)
        # Stable: among equals the most urgent, and then the longest due.
        candidates.sort(key=lambda delivery: (delivery == latest, tries[delivery].suspect))
    return candidates[:1]


@dataclass(frozen=True, kw_only=True)
class _Tries:
    """When a delivery last tried an open circuit; the moment of opening when it did not."""

    last: datetime
    suspect: datetime
    """The last try whose failure may have been the document's own."""


_NOBODY_REACHED = (PeerUnreachable.code, PeerUntrusted.code)
"""Failures that any other document would have met as well."""
_TRIES = (
    select(
        deliveries.c.id,
        deliveries.c.taken_at,
        func.max(attempts.c.started_at).label("last"),
        # One whose worker died has no code, and is suspect.
        func.max(case((attempts.c.code.in_(_NOBODY_REACHED), None), else_=attempts.c.started_at)).label("suspect"),
    )
    .join_from(deliveries, attempts, isouter=True)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
    .group_by(deliveries.c.id, deliveries.c.taken_at)
)


def _tries(connection: Connection, ids: Sequence[str], *, since: datetime) -> dict[str, _Tries]:
    """
    How these have tried a circuit that opened at that moment.

    A try whose worker died is not among the attempts yet, but the delivery says when it was taken.
    """

    def latest(*moments: datetime | None) -> datetime:
        return max([since, *(moment for moment in moments if moment is not None)])

    return {
        row.id: _Tries(last=latest(row.taken_at, row.last), suspect=latest(row.taken_at, row.suspect))
        for row in connection.execute(_TRIES, {"ids": ids})
    }


def _take(
    connection: Connection,
    ids: Sequence[str],
    circuits: Mapping[AgencyCode, Row[Any]],
    probes: Collection[AgencyCode],
    *,
    worker: str,
    now: datetime,
    until: datetime,
) -> list[Claim]:
    if not ids:
        return []
    _note_lost(connection, ids, now)
    token = secrets.token_urlsafe(16)
    values = {"due_at": until, "token": token, "worker": worker, "taken_at": now, "changed_at": now}
    connection.execute(_TAKE, {"ids": ids, **values})
    rows = connection.execute(_CLAIMED, {"ids": ids})
    claims = {
        row.delivery_id: Claim(
            token=token,
            worker=worker,
            leased_until=until,
            claimed_at=now,
            endpoint_failures=circuits[row.via].failures if row.via in circuits else 0,
            probe=row.via in probes,
            **row._mapping,
        )
        for row in rows
    }
    return [claims[i] for i in ids]


_THESE = deliveries.c.id.in_(bindparam("ids", expanding=True))
_OF_CLAIM = (
    deliveries.c.id.label("delivery_id"),
    (deliveries.c.attempts - deliveries.c.attempts_before).label("attempt"),
    (deliveries.c.attempts > 1).label("tried_before"),
    deliveries.c.trying_since,
    deliveries.c.accepted_at,
    documents.c.id.label("document_id"),
    deliveries.c.kind,
    deliveries.c.sender,
    deliveries.c.recipient,
    deliveries.c.as_written,
    deliveries.c.via,
    deliveries.c.channel,
    deliveries.c.lane,
    func.coalesce(documents.c.forward_sha256, documents.c.sha256).label("sha256"),
    func.coalesce(documents.c.forward_size, documents.c.size).label("size"),
)
_CLAIMED = select(*_OF_CLAIM).join_from(deliveries, documents).where(_THESE)
_TAKE = (
    update(deliveries)
    .where(_THESE)
    .values(
        state=next_state(DeliveryState.WAITING, DeliveryEvent.TAKE),
        attempts=deliveries.c.attempts + 1,
    )
)
_LEASED_BEFORE = select(deliveries).where(_THESE, deliveries.c.state == DeliveryState.LEASED)


def _note_lost(connection: Connection, ids: Sequence[str], now: datetime) -> None:
    """Say of those that were leased already that their worker is gone."""
    lost = connection.execute(_LEASED_BEFORE, {"ids": ids}).all()
    for row in lost:
        next_state(row.state, DeliveryEvent.LOSE_LEASE)
    settling.record_attempts(connection, [settling.attempt(row, now=now, outcome="lost") for row in lost])
    record(
        connection,
        [
            event(now, Action.DELIVERY_LEASE_EXPIRED, document=row.document, delivery=row.id, worker=row.worker)
            for row in lost
        ],
    )


def extend(connection: Connection, claims: Sequence[Claim], *, until: datetime) -> set[str]:
    """Lengthen the leases that still hold."""
    return {
        claim.delivery_id
        for claim in _in_order(claims)
        if connection.execute(update(deliveries).where(*_held(claim)).values(due_at=until)).rowcount
    }


def release(connection: Connection, claims: Sequence[Claim], *, now: datetime) -> int:
    """Give back what was not tried."""
    released = 0
    for claim in _in_order(claims):
        done = connection.execute(
            update(deliveries)
            .where(*_held(claim))
            .values(
                state=next_state(DeliveryState.LEASED, DeliveryEvent.GIVE_BACK),
                due_at=now,
                token=None,
                worker=None,
                taken_at=None,
                attempts=deliveries.c.attempts - 1,
                changed_at=now,
            )
        )
        released += done.rowcount
    return released


def _in_order(claims: Sequence[Claim]) -> list[Claim]:
    """As ``settle_all`` locks them, so that nobody waits in a circle."""
    return sorted(claims, key=lambda claim: claim.delivery_id)


def _held(claim: Claim) -> tuple[Any, ...]:
    return (
        deliveries.c.id == claim.delivery_id,
        deliveries.c.token == claim.token,
        deliveries.c.state == DeliveryState.LEASED,
    )


# Settling


Ended = tuple[Claim, Outcome, Reply | None]
"""How one try ended, and the automatic status that goes back."""

_TO_SETTLE = (
    select(*settling.MOVED, *(deliveries.c[name] for name in ("token", "worker", "taken_at", "attempts", "status")))
    .where(
        deliveries.c.id.in_(bindparam("ids", expanding=True)),
        deliveries.c.state == DeliveryState.LEASED,
    )
    # In one order everywhere, so that nobody waits in a circle.
    .order_by(deliveries.c.id)
    .with_for_update()
)


def settle_all(connection: Connection, items: Sequence[Ended], *, now: datetime) -> list[DeliveryState | LeaseLost]:
    """As ``Ledger.settle_all``, inside a transaction."""
    acceptance.lock_replies(connection, [reply for _, _, reply in items])
    leased = _leased(connection, [claim for claim, _, _ in items])
    tries: list[dict[str, Any]] = []
    moves: list[settling.Move] = []
    replies: list[Reply | None] = []
    places: list[int] = []
    for place, (claim, outcome, reply) in enumerate(items):
        delivery = leased.get(claim.delivery_id)
        if delivery is None or delivery.token != claim.token:
            continue
        del leased[claim.delivery_id]  # settled once, even if it is named twice
        tries.append(_attempt(delivery, outcome, now))
        moves.append(_end(delivery, outcome))
        replies.append(reply)
        places.append(place)
    settling.record_attempts(connection, tries)
    states = settling.move_all(connection, moves, now=now)
    for reply in replies:
        acceptance.accept_reply(connection, reply)
    settled = dict(zip(places, states, strict=True))
    return [
        settled[place] if place in settled else LeaseLost(f"The lease on {claim.delivery_id} is gone.")
        for place, (claim, _, _) in enumerate(items)
    ]


def _leased(connection: Connection, claims: Sequence[Claim]) -> dict[str, Row[Any]]:
    """The deliveries that are still under some lease, locked."""
    ids = sorted({claim.delivery_id for claim in claims})
    return {row.id: row for part in chunks(ids) for row in connection.execute(_TO_SETTLE, {"ids": part})}


def _attempt(delivery: Row[Any], outcome: Outcome, now: datetime) -> dict[str, Any]:
    match outcome:
        case Delivered(detail=detail):
            return settling.attempt(delivery, now=now, outcome="delivered", detail=detail)
        case Forwarded(receipt=receipt):
            return settling.attempt(delivery, now=now, outcome="forwarded", receipt=receipt)
        case Failed(code=code, detail=detail):
            return settling.attempt(delivery, now=now, outcome="failed", code=code, detail=detail)
        case Refused(code=code, detail=detail):
            return settling.attempt(delivery, now=now, outcome="refused", code=code, detail=detail)
        case Abandoned(code=code, detail=detail):
            return settling.attempt(delivery, now=now, outcome="abandoned", code=code, detail=detail)


def _end(delivery: Row[Any], outcome: Outcome) -> settling.Move:
    """What the end of a try does to its delivery."""
    changes: dict[str, Any] = {"error_code": None}
    said: dict[str, Any] = {"attempt": delivery.attempts}
    match outcome:
        case Delivered():
            happening = DeliveryEvent.DELIVER
        case Forwarded():
            # The receiver's status can be quicker than the next gateway's answer, which a retry brings.
            arrived = delivery.status is not None and delivery.status is not StatusCode.REFUSED
            happening = DeliveryEvent.DELIVER if arrived else DeliveryEvent.FORWARD
        case Failed(code=code, retry_at=retry_at):
            happening, changes = DeliveryEvent.FAIL, {"error_code": code, "due_at": retry_at}
            said |= {"code": code, "retry_at": retry_at.isoformat()}
        case Refused(code=code):
            happening, changes = DeliveryEvent.REFUSE, {"error_code": code}
            said |= {"code": code}
        case Abandoned(code=code):
            happening, changes = DeliveryEvent.ABANDON, {"error_code": code}
            said |= {"code": code}
    return settling.Move(delivery=delivery, happening=happening, actor=delivery.worker, changes=changes, data=said)


# Endpoints


def endpoint(connection: Connection, via: AgencyCode) -> EndpointState:
    """The circuit of one endpoint."""
    row = connection.execute(select(endpoints).where(endpoints.c.via == via)).one_or_none()
    if row is not None:
        return EndpointState(**row._mapping)
    return EndpointState(
        via=via,
        failures=0,
        open_until=None,
        opened_at=None,
        last_success_at=None,
        last_failure_at=None,
        last_error_code=None,
    )


def all_endpoints(connection: Connection) -> list[EndpointState]:
    """All endpoints that were ever tried."""
    return [EndpointState(**row._mapping) for row in connection.execute(select(endpoints).order_by(endpoints.c.via))]


def endpoint_failed(
    connection: Connection, via: AgencyCode, *, code: str, now: datetime, open_until: datetime | None
) -> EndpointState:
    """Count a failure; open the circuit when a time is given."""
    insert_new(connection, endpoints, ("via",), {"via": via, "failures": 0})
    before = connection.execute(select(endpoints).where(endpoints.c.via == via).with_for_update()).one()
    values: dict[str, Any] = {"failures": before.failures + 1, "last_failure_at": now, "last_error_code": code}
    if open_until is not None:
        values["open_until"] = open_until
        if before.opened_at is None:
            values["opened_at"] = now
            opened = event(now, Action.ENDPOINT_OPENED, via=via, code=code, until=open_until.isoformat())
            record(connection, [opened])
    connection.execute(update(endpoints).where(endpoints.c.via == via).values(values))
    return endpoint(connection, via)


SUCCESS_IS_FRESH = timedelta(minutes=1)
"""A success is noted no more often than this."""


def success_is_news(state: EndpointState, now: datetime) -> bool:
    """Whether a success changes what is known of an endpoint."""
    stale = state.last_success_at is None or now - state.last_success_at >= SUCCESS_IS_FRESH
    return stale or state.failures > 0 or state.open_until is not None


def endpoint_succeeded(connection: Connection, via: AgencyCode, *, now: datetime) -> None:
    """Close the circuit."""
    insert_new(connection, endpoints, ("via",), {"via": via, "failures": 0})
    before = connection.execute(select(endpoints).where(endpoints.c.via == via).with_for_update()).one()
    connection.execute(
        update(endpoints)
        .where(endpoints.c.via == via)
        .values(failures=0, open_until=None, opened_at=None, last_success_at=now)
    )
    if before.opened_at is not None:
        closed = event(now, Action.ENDPOINT_CLOSED, via=via, opened_at=before.opened_at.isoformat())
        record(connection, [closed])
