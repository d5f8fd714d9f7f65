"""Files that are signed in two steps: what was prepared for whom, until when, and what became of it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from gateway.errors import NotFound, SigningCompleted, SigningExpired, TooManySignings
from gateway.ledger.actions import Action
from gateway.ledger.records import SigningBounds, SigningRequest, SigningState
from gateway.ledger.statements import event, lock_names, record
from gateway.ledger.tables import signing_requests
from gateway.model import AgencyCode

_SWEPT_AT_ONCE = 500


def add(connection: Connection, new: SigningRequest, bounds: SigningBounds) -> None:
    """As ``Ledger.add_signing``, inside a transaction."""
    # Two at the same moment must not both take the last place.
    lock_names(connection, [("signing", new.agency)])
    check_room(connection, new.agency, new.size, bounds, now=new.created_at)
    connection.execute(insert(signing_requests), asdict(new))
    record(connection, [_event(new.created_at, Action.SIGNING_PREPARED, new, sha256=new.source_sha256, size=new.size)])


def check_room(connection: Connection, agency: AgencyCode, size: int, bounds: SigningBounds, *, now: datetime) -> None:
    """As ``Ledger.check_signing_room``, inside a transaction."""
    held = connection.execute(
        select(func.count()).where(
            signing_requests.c.agency == agency,
            signing_requests.c.state == SigningState.PREPARED,
            signing_requests.c.expires_at > now,
        )
    ).scalar_one()
    # What is on the disk: signed files until they are forgotten, and what is over until it has been swept.
    on_disk = func.coalesce(signing_requests.c.result_size, signing_requests.c.size)
    held_bytes = connection.execute(
        select(func.coalesce(func.sum(on_disk), 0)).where(signing_requests.c.agency == agency)
    ).scalar_one()
    if held >= bounds.number:
        raise TooManySignings(f"{held} files wait for a signature; at most {bounds.number} may.")
    if held_bytes + size > bounds.bytes:
        raise TooManySignings(f"The files that are kept may have {bounds.bytes} bytes together.")


def find(connection: Connection, request_id: str, agency: AgencyCode) -> SigningRequest | None:
    """As ``Ledger.signing``, inside a transaction."""
    row = connection.execute(select(signing_requests).where(*_is(request_id, agency))).first()
    return None if row is None else SigningRequest(**row._mapping)


def complete(
    connection: Connection,
    request_id: str,
    agency: AgencyCode,
    *,
    signature_sha256: str,
    result_sha256: str,
    result_size: int,
    stamped: bool,
    now: datetime,
    kept_until: datetime,
) -> SigningRequest:
    """As ``Ledger.complete_signing``, inside a transaction."""
    row = connection.execute(select(signing_requests).where(*_is(request_id, agency)).with_for_update()).first()
    if row is None:
        raise NotFound
    if row.state is SigningState.COMPLETED:
        if row.signature_sha256 != signature_sha256:
            raise SigningCompleted
        return SigningRequest(**row._mapping)
    if row.expires_at <= now:
        raise SigningExpired
    values: dict[str, Any] = {
        "state": SigningState.COMPLETED,
        "completed_at": now,
        "expires_at": kept_until,
        "signature_sha256": signature_sha256,
        "result_sha256": result_sha256,
        "result_size": result_size,
        "stamped": stamped,
    }
    connection.execute(update(signing_requests).where(*_is(request_id, agency)).values(values))
    done = SigningRequest(**{**row._mapping, **values})
    record(connection, [_event(now, Action.SIGNING_COMPLETED, done, sha256=result_sha256, stamped=stamped)])
    return done


def note_mismatch(connection: Connection, request: SigningRequest, *, now: datetime) -> None:
    """As ``Ledger.note_signing_mismatch``, inside a transaction."""
    record(connection, [_event(now, Action.SIGNING_MISMATCH, request)])


def cancel(connection: Connection, request_id: str, agency: AgencyCode, *, now: datetime) -> None:
    """As ``Ledger.cancel_signing``, inside a transaction."""
    row = connection.execute(delete(signing_requests).where(*_is(request_id, agency)).returning(signing_requests))
    gone = row.first()
    if gone is None:
        raise NotFound
    record(connection, [_event(now, Action.SIGNING_CANCELLED, SigningRequest(**gone._mapping), state=gone.state)])


def expire(connection: Connection, *, now: datetime) -> list[str]:
    """As ``Ledger.expire_signings``, inside a transaction."""
    over = select(signing_requests.c.id).where(signing_requests.c.expires_at <= now).limit(_SWEPT_AT_ONCE)
    # The moment is asked of the row itself too: PostgreSQL looks at it again after waiting for whoever completes it.
    is_over = signing_requests.c.id.in_(over), signing_requests.c.expires_at <= now
    rows = connection.execute(delete(signing_requests).where(*is_over).returning(signing_requests))
    gone = [SigningRequest(**row._mapping) for row in rows]
    unsigned = [request for request in gone if request.state is SigningState.PREPARED]
    record(connection, [_event(now, Action.SIGNING_EXPIRED, request) for request in unsigned])
    return [request.id for request in gone]


def known(connection: Connection, ids: list[str]) -> set[str]:
    """As ``Ledger.known_signings``, inside a transaction."""
    rows = connection.execute(select(signing_requests.c.id).where(signing_requests.c.id.in_(ids)))
    return set(rows.scalars())


def _is(request_id: str, agency: AgencyCode) -> tuple[Any, ...]:
    return signing_requests.c.id == request_id, signing_requests.c.agency == agency


def _event(at: datetime, action: Action, request: SigningRequest, **data: Any) -> dict[str, Any]:
    """The certificate by its hash: whose it is stands in the directory, and no name in the log."""
    facts = {"request": request.id, "kind": request.kind, "certificate": request.certificate, **data}
    return event(at, action, actor=request.agency, **facts)
