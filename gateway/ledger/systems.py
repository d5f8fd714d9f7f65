"""Systems that speak the protocols of the country, their sealed secrets, and what they ask of the directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from gateway.errors import NotFound, StateConflict, TooManyRegistrations
from gateway.ledger.actions import Action
from gateway.ledger.records import AgencyRequest, Decision, System, SystemSecret
from gateway.ledger.statements import event, insert_new, lock_names, record
from gateway.ledger.tables import agency_requests, system_logins, system_secrets, systems
from gateway.model import AgencyCode


def add_system(connection: Connection, system: System, sealed: str, *, actor: str | None) -> None:
    """As ``Ledger.add_system``, inside a transaction."""
    if not insert_new(connection, systems, ("id",), asdict(system)):
        raise StateConflict(f"There is, or was, a system {system.id}; an id is never given twice.")
    _add_secret(connection, system.id, sealed, now=system.created_at)
    added = event(
        system.created_at,
        Action.SYSTEM_ADDED,
        actor=actor,
        system=system.id,
        agencies=list(system.agencies),
        gateway=system.gateway,
    )
    record(connection, [added])


def find_system(connection: Connection, system_id: str) -> tuple[System, tuple[SystemSecret, ...]] | None:
    """As ``Ledger.find_system``."""
    row = connection.execute(select(systems).where(systems.c.id == system_id)).one_or_none()
    if row is None:
        return None
    names = SystemSecret.__dataclass_fields__
    secrets = (
        select(*(system_secrets.c[name] for name in names))
        .where(system_secrets.c.system == system_id)
        .order_by(system_secrets.c.id.desc())
    )
    return _system(row), tuple(SystemSecret(**row._mapping) for row in connection.execute(secrets))


def all_systems(connection: Connection) -> list[System]:
    """All, by id."""
    return [_system(row) for row in connection.execute(select(systems).order_by(systems.c.id))]


def rotate_secret(
    connection: Connection, system_id: str, sealed: str, *, until: datetime, actor: str | None, now: datetime
) -> System:
    """As ``Ledger.rotate_secret``, inside a transaction."""
    system = _locked(connection, system_id)
    if system.revoked_at is not None:
        raise StateConflict(f"The system {system_id} was revoked at {system.revoked_at.isoformat()}.")
    secrets = system_secrets.c
    connection.execute(
        update(system_secrets)
        .where(secrets.system == system_id, or_(secrets.expires_at.is_(None), secrets.expires_at > until))
        .values(expires_at=until)
    )
    _add_secret(connection, system_id, sealed, now=now)
    rotated = event(now, Action.SYSTEM_SECRET_ROTATED, actor=actor, system=system_id, former_until=until.isoformat())
    record(connection, [rotated])
    return system


def change_system(
    connection: Connection,
    system_id: str,
    *,
    name: str | None,
    agencies: Sequence[AgencyCode] | None,
    actor: str | None,
    now: datetime,
) -> System:
    """As ``Ledger.change_system``, inside a transaction."""
    _locked(connection, system_id)
    given = {"name": name, "agencies": None if agencies is None else tuple(agencies)}
    values = {column: value for column, value in given.items() if value is not None}
    if values:
        connection.execute(update(systems).where(systems.c.id == system_id).values(values))
        spoken_for = None if agencies is None else list(agencies)
        record(connection, [event(now, Action.SYSTEM_CHANGED, actor=actor, system=system_id, agencies=spoken_for)])
    return _locked(connection, system_id)


def revoke_system(connection: Connection, system_id: str, *, actor: str | None, now: datetime) -> System:
    """As ``Ledger.revoke_system``, inside a transaction."""
    system = _locked(connection, system_id)
    if system.revoked_at is not None:
        return system
    connection.execute(update(systems).where(systems.c.id == system_id).values(revoked_at=now))
    record(connection, [event(now, Action.SYSTEM_REVOKED, actor=actor, system=system_id)])
    return _locked(connection, system_id)


def note_token(connection: Connection, system_id: str, token_id: str, *, now: datetime) -> None:
    """As ``Ledger.note_token``, inside a transaction."""
    values = {"system": system_id, "token": token_id, "at": now}
    if not insert_new(connection, system_logins, ("system",), values):
        connection.execute(update(system_logins).where(system_logins.c.system == system_id).values(values))


def last_token(connection: Connection, system_id: str) -> str | None:
    """As ``Ledger.last_token``."""
    return connection.scalar(select(system_logins.c.token).where(system_logins.c.system == system_id))


def _system(row: Row[Any]) -> System:
    values = dict(row._mapping)
    return System(**values | {"agencies": tuple(map(AgencyCode, values["agencies"]))})


def _locked(connection: Connection, system_id: str) -> System:
    row = connection.execute(select(systems).where(systems.c.id == system_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"There is no system {system_id}.")
    return _system(row)


def _add_secret(connection: Connection, system_id: str, sealed: str, *, now: datetime) -> None:
    connection.execute(insert(system_secrets), {"system": system_id, "sealed": sealed, "created_at": now})


# What they ask of the directory


def request_agency(connection: Connection, asked: AgencyRequest, *, limit: int) -> AgencyRequest:
    """As ``Ledger.request_agency``, inside a transaction."""
    # One at a time, or the number of what is open could not be counted.
    lock_names(connection, [("agency_requests", asked.system)])
    table = agency_requests.c
    undecided = select(agency_requests).where(table.system == asked.system, table.decided_at.is_(None))
    same = undecided.where(table.kind == asked.kind, table.code == asked.code)
    if (known := connection.execute(same).one_or_none()) is not None:
        return AgencyRequest(**known._mapping)
    if (connection.scalar(select(func.count()).select_from(undecided.subquery())) or 0) >= limit:
        raise TooManyRegistrations
    connection.execute(insert(agency_requests), asdict(asked))
    requested = event(
        asked.requested_at, Action.AGENCY_REQUESTED, request=asked.id, system=asked.system, kind=asked.kind.value,
        code=asked.code, parent=asked.parent,
    )  # fmt: skip
    record(connection, [requested])
    return asked


def find_request(connection: Connection, request_id: str) -> AgencyRequest | None:
    """By id."""
    row = connection.execute(select(agency_requests).where(agency_requests.c.id == request_id)).one_or_none()
    return None if row is None else AgencyRequest(**row._mapping)


def requests(connection: Connection, *, undecided: bool, limit: int) -> list[AgencyRequest]:
    """As ``Ledger.agency_requests``."""
    statement = select(agency_requests).order_by(agency_requests.c.requested_at, agency_requests.c.id).limit(limit)
    if undecided:
        statement = statement.where(agency_requests.c.decided_at.is_(None))
    return [AgencyRequest(**row._mapping) for row in connection.execute(statement)]


def decide_request(
    connection: Connection, request_id: str, decision: Decision, *, reason: str | None, actor: str, now: datetime
) -> AgencyRequest:
    """As ``Ledger.decide_request``, inside a transaction."""
    changed = connection.execute(
        update(agency_requests)
        .where(agency_requests.c.id == request_id, agency_requests.c.decided_at.is_(None))
        .values(decided_at=now, decision=decision, actor=actor, reason=reason)
    )
    decided = find_request(connection, request_id)
    if decided is None:
        raise NotFound(f"There is no request {request_id}.")
    if not changed.rowcount:
        raise StateConflict(f"The request {request_id} was {decided.decision} before.")
    said = event(
        now, Action.AGENCY_REQUEST_DECIDED, actor=actor, request=request_id, system=decided.system,
        kind=decided.kind.value, code=decided.code, decision=decision.value, reason=reason,
    )  # fmt: skip
    record(connection, [said])
    return decided
