"""Packages that were turned away: kept for a look, within bounds."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select, update

from gateway.ledger.actions import Action
from gateway.ledger.records import NewRefusal, RefusalBounds, RefusalRow
from gateway.ledger.statements import event, record
from gateway.ledger.tables import refusals


def keep(connection: Connection, refusal: NewRefusal, bounds: RefusalBounds) -> int:
    """As ``Ledger.record_refusal``, inside a transaction."""
    payload = refusal.payload
    if payload is not None and len(payload) > bounds.largest_payload:
        payload = None
    inserted = connection.execute(
        insert(refusals).returning(refusals.c.id),
        {
            "at": refusal.at,
            "credential_agency": refusal.credential_agency,
            "code": refusal.code,
            "path": refusal.path,
            "detail": refusal.detail,
            "sha256": refusal.sha256,
            "size": refusal.size,
            "kept_bytes": len(payload or b""),
            "payload": payload,
        },
    )
    number: int = inserted.scalar_one()
    record(
        connection,
        [
            event(
                refusal.at,
                Action.DOCUMENT_REFUSED,
                actor=refusal.credential_agency,
                refusal=number,
                code=refusal.code,
                path=refusal.path,
                sha256=refusal.sha256,
                size=refusal.size,
            )
        ],
    )
    _prune(connection, number, bounds)
    return number


def _prune(connection: Connection, newest: int, bounds: RefusalBounds) -> None:
    """Drop the oldest rows beyond the number, and the oldest payloads beyond the bytes."""
    # By number rather than by count: the numbers have gaps, so this keeps a few rows less, never more.
    connection.execute(delete(refusals).where(refusals.c.id <= newest - bounds.rows))
    running = func.sum(refusals.c.kept_bytes).over(order_by=refusals.c.id.desc())
    kept = select(refusals.c.id, running.label("total")).where(refusals.c.kept_bytes > 0).subquery()
    beyond = select(kept.c.id).where(kept.c.total > bounds.payload_bytes)
    connection.execute(update(refusals).where(refusals.c.id.in_(beyond)).values(payload=None, kept_bytes=0))


def rows(connection: Connection, *, limit: int, before: int | None) -> list[RefusalRow]:
    """Newest first."""
    statement = select(
        refusals.c.id,
        refusals.c.at,
        refusals.c.credential_agency,
        refusals.c.code,
        refusals.c.path,
        refusals.c.detail,
        refusals.c.sha256,
        refusals.c.size,
        refusals.c.payload.is_not(None).label("payload_kept"),
    )
    if before is not None:
        statement = statement.where(refusals.c.id < before)
    statement = statement.order_by(refusals.c.id.desc()).limit(limit)
    return [RefusalRow(**row._mapping) for row in connection.execute(statement)]


def payload(connection: Connection, number: int) -> bytes | None:
    """The bytes, when kept."""
    content: bytes | None = connection.scalar(select(refusals.c.payload).where(refusals.c.id == number))
    return content
