"""What systems list over the protocols of the country: what is to be collected, and what became of what they sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, or_, select, union

from gateway.ledger.bounds import storable
from gateway.ledger.filters import after_in_mailbox, bounded, encode_cursor, moment_cursor
from gateway.ledger.identity import stored
from gateway.ledger.reads import log_rows
from gateway.ledger.records import LogRow, Page
from gateway.ledger.tables import IN_MAILBOX, deliveries, documents
from gateway.model import AgencyCode, DeliveryState, PackageKind

MOST_LISTED = 1_000
"""Rows of one page. Kits without paging take one page for all that there is."""

Owners = Sequence[AgencyCode]
"""Agencies that a system speaks for, and the closed ones whose place they have taken."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which part of a list is asked for; absent members do not restrict."""

    kind: PackageKind | None = None
    since: datetime | None = None
    """At or after."""
    until: datetime | None = None
    """Before."""


def listed(
    connection: Connection, owners: Owners, window: Window, *, now: datetime, limit: int, after: str | None
) -> Page[LogRow]:
    """As ``Ledger.listed``."""
    statement = select(deliveries.c.id, deliveries.c.lane).where(*_to_collect(owners, window, now))
    if after is not None:
        statement = statement.where(after_in_mailbox(after))
    limit = bounded(limit, MOST_LISTED)
    found = connection.execute(statement.order_by(deliveries.c.lane.desc(), deliveries.c.id).limit(limit + 1)).all()
    rows = log_rows(connection, [row.id for row in found[:limit]])
    following = encode_cursor(int(found[limit - 1].lane), found[limit - 1].id) if len(found) > limit else None
    return Page(rows=tuple(rows), next=following)


def count(connection: Connection, owners: Owners, window: Window, *, now: datetime) -> int:
    """How many rows all pages of ``listed`` have."""
    conditions = _to_collect(owners, window, now)
    return connection.scalar(select(func.count()).select_from(deliveries).where(*conditions)) or 0


def _to_collect(owners: Owners, window: Window, now: datetime) -> list[ColumnElement[bool]]:
    since = deliveries.c.trying_since
    return [
        literal_column(IN_MAILBOX),
        # Only equality lets the index give the order.
        deliveries.c.via.in_(owners) if len(owners) > 1 else deliveries.c.via == owners[0],
        # What is under way stays listed: who fetched it may have lost it before it was safe.
        or_(deliveries.c.state == DeliveryState.LEASED, deliveries.c.due_at <= now),
        *([] if window.kind is None else [deliveries.c.kind == window.kind]),
        # Not by acceptance: what was held back or replayed comes late, and clients ask for the last days only.
        *([] if window.since is None else [since >= window.since]),
        *([] if window.until is None else [since < window.until]),
    ]


def sent(
    connection: Connection, owners: Owners, window: Window, *, document_id: str | None, limit: int, after: str | None
) -> Page[LogRow]:
    """As ``Ledger.sent``."""
    limit = bounded(limit, MOST_LISTED)
    position = None if after is None else moment_cursor(after)
    found: dict[str, datetime] = {}
    for ways in _ways(connection, owners, document_id):
        found |= _newest(connection, ways, window, limit=limit + 1, position=position)
    newest = sorted(((at, delivery) for delivery, at in found.items()), reverse=True)
    shown = newest[:limit]
    rows = log_rows(connection, list(map(itemgetter(1), shown)))
    following = encode_cursor(shown[-1][0].isoformat(), shown[-1][1]) if len(newest) > limit else None
    return Page(rows=tuple(rows), next=following)


def _ways(connection: Connection, owners: Owners, document_id: str | None) -> Iterator[Sequence[ColumnElement[bool]]]:
    """The ways in which a document may be one of these agencies', in groups that are asked for together."""
    if document_id is not None:
        meant = documents.c.id.in_(_meant(connection, owners, document_id))
        yield [and_(meant, or_(documents.c.sender.in_(owners), documents.c.received_from.in_(owners)))]
        return
    # Agency by agency: in the order of its index each costs one page, however much it has sent.
    for owner in owners:
        yield [
            documents.c.sender == owner,
            and_(documents.c.received_from == owner, documents.c.received_from != documents.c.sender),
        ]


def _meant(connection: Connection, owners: Owners, document_id: str) -> list[str]:
    """The gateway's ids of what is meant: by such an id, or by the name that one of the agencies gave its own."""
    if not storable(document_id):
        return []
    # Of what was handed over for others there is no index of names; by the gateway's id it is found.
    own = select(documents.c.id).where(documents.c.sender.in_(owners), documents.c.identity == stored(document_id))
    by_id = select(documents.c.id).where(documents.c.id == document_id)
    return [row.id for row in connection.execute(union(by_id, own))]


def _newest(
    connection: Connection,
    ways: Sequence[ColumnElement[bool]],
    window: Window,
    *,
    limit: int,
    position: tuple[datetime, str] | None,
) -> dict[str, datetime]:
    """The newest deliveries of the documents that are met in one of the ways, with their times of acceptance."""
    at, row_id = documents.c.received_at, deliveries.c.id
    conditions: list[ColumnElement[bool]] = []
    if window.kind is not None:
        conditions.append(documents.c.kind == window.kind)
    if window.since is not None:
        conditions.append(at >= window.since)
    if window.until is not None:
        conditions.append(at < window.until)
    if position is not None:
        moment, last = position
        # The first condition follows from the second; it is what an index on the time can use.
        conditions += [at <= moment, or_(at < moment, and_(at == moment, row_id < last))]
    base = select(row_id.label("id"), at.label("at")).join_from(documents, deliveries).where(*conditions)
    parts = [base.where(way).order_by(at.desc(), row_id.desc()).limit(limit).subquery() for way in ways]
    rows = connection.execute(union(*(select(part) for part in parts)))
    return {row.id: row.at for row in rows}
