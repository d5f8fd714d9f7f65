"""What is fetched from axes: when each was asked, what it listed, and whether it knows what became of that."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, text, update

from gateway.errors import NotFound
from gateway.ledger.actions import Action
from gateway.ledger.records import Fetched, FetchState, InboxState
from gateway.ledger.statements import chunks, event, insert_new, record
from gateway.ledger.tables import NOT_TAKEN, UNACKNOWLEDGED, fetched, inboxes
from gateway.model import AgencyCode

_REMEMBERED = timedelta(days=180)
"""How long the id of something acknowledged is known; no axis is asked for longer ago."""
_FORGOTTEN_AT_ONCE = 500
_LONGEST_DETAIL = 500


def take_inbox(
    connection: Connection,
    via: AgencyCode,
    *,
    now: datetime,
    lease: timedelta,
    at_once: bool,
    furthest: timedelta | None,
) -> InboxState | None:
    """As ``Ledger.take_inbox``, inside a transaction."""
    insert_new(connection, inboxes, ("via",), {"via": via, "due_at": now, "since": now, "failures": 0})
    row = _locked(connection, via)
    is_ahead = furthest is not None and row.due_at > now + furthest
    if row.due_at > now and not (at_once or is_ahead):
        return None
    connection.execute(update(inboxes).where(inboxes.c.via == via).values(due_at=now + lease))
    return InboxState(**row._mapping)


def extend_inbox(connection: Connection, via: AgencyCode, *, until: datetime) -> None:
    """As ``Ledger.extend_inbox``, inside a transaction."""
    connection.execute(update(inboxes).where(inboxes.c.via == via).values(due_at=until))


def all_inboxes(connection: Connection) -> list[InboxState]:
    """All axes that were ever asked, by code."""
    return [InboxState(**row._mapping) for row in connection.execute(select(inboxes).order_by(inboxes.c.via))]


def inbox_listed(
    connection: Connection,
    via: AgencyCode,
    *,
    now: datetime,
    due_at: datetime,
    listed_to: datetime | None,
    arrived: bool,
    silent_after: timedelta | None,
) -> None:
    """As ``Ledger.inbox_listed``, inside a transaction."""
    before = _locked(connection, via)
    last = now if arrived else (before.last_arrival_at or before.since)
    silent = silent_after is not None and now - last >= silent_after
    rows = []
    if before.failures:
        rows.append(event(now, Action.AXIS_RECOVERED, via=via, failures=before.failures, code=before.last_error_code))
    if silent and before.silent_since is None:
        rows.append(event(now, Action.AXIS_SILENT, via=via, last_arrival=last.isoformat()))
    if arrived and before.silent_since is not None:
        rows.append(_heard(via, before.silent_since, now))
    values: dict[str, Any] = {
        "due_at": due_at,
        "failures": 0,
        "last_success_at": now,
        "listed_to": listed_to or before.listed_to,
        "last_arrival_at": now if arrived else before.last_arrival_at,
        "silent_since": (before.silent_since or now) if silent else None,
    }
    connection.execute(update(inboxes).where(inboxes.c.via == via).values(values))
    record(connection, rows)
    _forget(connection, via, now)


def _heard(via: AgencyCode, silent_since: datetime, now: datetime) -> dict[str, Any]:
    return event(now, Action.AXIS_HEARD, via=via, silent_since=silent_since.isoformat())


def inbox_failed(
    connection: Connection,
    via: AgencyCode,
    *,
    code: str,
    detail: str,
    now: datetime,
    due_at: datetime,
    arrived: bool,
) -> None:
    """As ``Ledger.inbox_failed``, inside a transaction."""
    before = _locked(connection, via)
    if not before.failures or before.last_error_code != code:
        # Once for each cause, not for each time that it is met.
        record(connection, [event(now, Action.AXIS_FAILED, via=via, code=code, detail=detail[:_LONGEST_DETAIL])])
    if arrived and before.silent_since is not None:
        record(connection, [_heard(via, before.silent_since, now)])
    connection.execute(
        update(inboxes)
        .where(inboxes.c.via == via)
        .values(
            due_at=due_at,
            failures=before.failures + 1,
            last_failure_at=now,
            last_error_code=code,
            last_error_detail=detail[:_LONGEST_DETAIL],
            last_arrival_at=now if arrived else before.last_arrival_at,
            silent_since=None if arrived else before.silent_since,
        )
    )


def known(connection: Connection, via: AgencyCode, doc_ids: Sequence[str]) -> Mapping[str, Fetched]:
    """Those of the axis' ids that were met before."""
    found: dict[str, Fetched] = {}
    for part in chunks(doc_ids):
        rows = connection.execute(select(fetched).where(fetched.c.via == via, fetched.c.doc_id.in_(part)))
        found.update((row.doc_id, Fetched(**row._mapping)) for row in rows)
    return found


def note(connection: Connection, one: Fetched, *, action: Action | None, data: Mapping[str, Any]) -> None:
    """As ``Ledger.note_fetched``, inside a transaction."""
    values = asdict(one)
    if not insert_new(connection, fetched, ("via", "doc_id"), values):
        connection.execute(update(fetched).where(*_is(one.via, one.doc_id)).values(values))
    if action is not None:
        facts = {"via": one.via, "doc_id": one.doc_id, "code": one.error_code, **data}
        record(connection, [event(one.changed_at, action, document=one.document, **facts)])


def unacknowledged(connection: Connection, via: AgencyCode, *, now: datetime, limit: int) -> list[Fetched]:
    """What the axis is to be told now, the longest due first."""
    rows = connection.execute(
        select(fetched)
        .where(fetched.c.via == via, text(UNACKNOWLEDGED), fetched.c.due_at <= now)
        .order_by(fetched.c.due_at, fetched.c.doc_id)
        .limit(limit)
    )
    return [Fetched(**row._mapping) for row in rows]


def to_fetch_again(connection: Connection, via: AgencyCode, *, now: datetime, limit: int) -> list[Fetched]:
    """What was not taken and is to be tried now, the longest due first."""
    rows = connection.execute(
        select(fetched)
        .where(
            fetched.c.via == via,
            text(NOT_TAKEN),
            fetched.c.state == FetchState.NOT_TAKEN,
            fetched.c.acked_at.is_not(None),
            fetched.c.due_at <= now,
        )
        .order_by(fetched.c.due_at, fetched.c.doc_id)
        .limit(limit)
    )
    return [Fetched(**row._mapping) for row in rows]


def troubles(connection: Connection, via: AgencyCode | None, *, limit: int) -> list[Fetched]:
    """What could not be taken, the latest first."""
    statement = select(fetched).where(text(NOT_TAKEN)).order_by(fetched.c.changed_at.desc()).limit(limit)
    if via is not None:
        statement = statement.where(fetched.c.via == via)
    return [Fetched(**row._mapping) for row in connection.execute(statement)]


def counts(connection: Connection) -> Mapping[tuple[AgencyCode, FetchState], int]:
    """How much of each axis could not be taken, by state."""
    rows = connection.execute(
        select(fetched.c.via, fetched.c.state, func.count()).where(text(NOT_TAKEN)).group_by("via", "state")
    )
    return {(row[0], row[1]): row[2] for row in rows}


def retry(connection: Connection, via: AgencyCode, doc_ids: Collection[str], *, actor: str, now: datetime) -> int:
    """As ``Ledger.retry_fetched``, inside a transaction."""
    rows = _not_taken(connection, via, doc_ids)
    for part in chunks([row.doc_id for row in rows]):
        connection.execute(
            update(fetched)
            .where(fetched.c.via == via, fetched.c.doc_id.in_(part))
            # Acknowledged, so that only being fetched again tells the axis anything.
            .values(state=FetchState.NOT_TAKEN, attempts=0, due_at=now, changed_at=now, acked_at=now)
        )
    if rows:
        record(connection, [event(now, Action.AXIS_RETRIED, actor=actor, via=via, count=len(rows))])
        connection.execute(update(inboxes).where(inboxes.c.via == via).values(due_at=now))
    return len(rows)


def dismiss(
    connection: Connection, via: AgencyCode, doc_ids: Collection[str], *, reason: str, actor: str, now: datetime
) -> int:
    """As ``Ledger.dismiss_fetched``, inside a transaction."""
    rows = _not_taken(connection, via, doc_ids)
    for part in chunks([row.doc_id for row in rows]):
        connection.execute(
            update(fetched)
            .where(fetched.c.via == via, fetched.c.doc_id.in_(part))
            .values(state=FetchState.DISMISSED, changed_at=now)
        )
    record(
        connection,
        [event(now, Action.AXIS_DISMISSED, actor=actor, via=via, doc_id=row.doc_id, reason=reason) for row in rows],
    )
    return len(rows)


def _not_taken(connection: Connection, via: AgencyCode, doc_ids: Collection[str]) -> Sequence[Row[Any]]:
    """Those of these ids, locked; without ids all that nobody has dismissed."""
    which: list[ColumnElement[bool]] = [fetched.c.via == via, fetched.c.state != FetchState.TAKEN]
    if doc_ids:
        which.append(fetched.c.doc_id.in_(list(doc_ids)))
    else:
        which.append(fetched.c.state != FetchState.DISMISSED)
    rows = connection.execute(select(fetched.c.doc_id).where(*which).with_for_update()).all()
    if missing := set(doc_ids) - {row.doc_id for row in rows}:
        raise NotFound(f"Nothing of {via} that was not taken has the docId {', '.join(sorted(missing))}.")
    return rows


def _forget(connection: Connection, via: AgencyCode, now: datetime) -> None:
    """Ids that were settled long ago and not listed since, a few at a time."""
    old = (
        select(fetched.c.doc_id)
        .where(
            fetched.c.via == via,
            fetched.c.acked_at < now - _REMEMBERED,
            fetched.c.state == FetchState.TAKEN,
        )
        .limit(_FORGOTTEN_AT_ONCE)
    )
    connection.execute(delete(fetched).where(fetched.c.via == via, fetched.c.doc_id.in_(old)))


def _locked(connection: Connection, via: AgencyCode) -> Row[Any]:
    return connection.execute(select(inboxes).where(inboxes.c.via == via).with_for_update()).one()


def _is(via: AgencyCode, doc_id: str) -> tuple[Any, ...]:
    return fetched.c.via == via, fetched.c.doc_id == doc_id
