"""Keys of agencies' systems, and people who may log in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, insert, or_, select, update

from gateway.errors import NotFound, StateConflict
from gateway.ledger.actions import Action
from gateway.ledger.records import ApiKey, Operator
from gateway.ledger.statements import event, insert_new, record
from gateway.ledger.tables import api_keys, operators
from gateway.model import AgencyCode

USE_IS_FRESH = timedelta(hours=1)
"""That a key was used is noted no more often than this."""


def add_key(connection: Connection, key: ApiKey, *, actor: str) -> None:
    """Register a key."""
    connection.execute(insert(api_keys), asdict(key))
    added = event(
        key.created_at, Action.KEY_ADDED, actor=actor, prefix=key.prefix, agency=key.agency, scopes=sorted(key.scopes)
    )
    record(connection, [added])


_KEY = select(api_keys).where(api_keys.c.prefix == bindparam("prefix"))


def find_key(connection: Connection, prefix: str) -> ApiKey | None:
    """By the part that may be shown."""
    row = connection.execute(_KEY, {"prefix": prefix}).one_or_none()
    return None if row is None else ApiKey(**row._mapping)


def keys(connection: Connection, agency: AgencyCode | None) -> list[ApiKey]:
    """All keys, oldest first."""
    statement = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
    if agency is not None:
        statement = statement.where(api_keys.c.agency == agency)
    return [ApiKey(**row._mapping) for row in connection.execute(statement)]


def revoke_key(connection: Connection, prefix: str, *, at: datetime, actor: str, now: datetime) -> ApiKey:
    """Refuse a key from a moment on."""
    changed = connection.execute(
        update(api_keys)
        .where(api_keys.c.prefix == prefix, or_(api_keys.c.revoked_at.is_(None), api_keys.c.revoked_at > at))
        .values(revoked_at=at)
    )
    key = find_key(connection, prefix)
    if key is None:
        raise NotFound(f"There is no key {prefix}.")
    if changed.rowcount:
        record(connection, [event(now, Action.KEY_REVOKED, actor=actor, prefix=prefix, revoked_at=at.isoformat())])
    return key


def touch_key(connection: Connection, key_id: str, *, now: datetime) -> None:
    """Note that a key was used."""
    connection.execute(
        update(api_keys)
        .where(
            api_keys.c.id == key_id,
            or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at <= now - USE_IS_FRESH),
        )
        .values(last_used_at=now)
    )


def add_operator(connection: Connection, operator: Operator, *, actor: str) -> None:
    """Register a person."""
    if not insert_new(connection, operators, ("login",), asdict(operator)):
        raise StateConflict(f"The login {operator.login} is taken.")
    added = event(
        operator.created_at, Action.OPERATOR_ADDED, actor=actor, login=operator.login, role=operator.role.value
    )
    record(connection, [added])


def find_operator(connection: Connection, login: str) -> Operator | None:
    """By login."""
    row = connection.execute(select(operators).where(operators.c.login == login)).one_or_none()
    return None if row is None else Operator(**row._mapping)


def operator(connection: Connection, operator_id: str) -> Operator | None:
    """By id."""
    row = connection.execute(select(operators).where(operators.c.id == operator_id)).one_or_none()
    return None if row is None else Operator(**row._mapping)


def all_operators(connection: Connection) -> list[Operator]:
    """All, by login."""
    return [Operator(**row._mapping) for row in connection.execute(select(operators).order_by(operators.c.login))]


def change_operator(
    connection: Connection, login: str, *, values: Mapping[str, Any], actor: str, now: datetime
) -> Operator:
    """Set what is given."""
    if values:
        connection.execute(update(operators).where(operators.c.login == login).values(dict(values)))
    changed = find_operator(connection, login)
    if changed is None:
        raise NotFound(f"There is no operator {login}.")
    record(connection, [event(now, Action.OPERATOR_CHANGED, actor=actor, login=login, changed=sorted(values))])
    return changed


def note_login(connection: Connection, login: str, *, now: datetime) -> None:
    """Remember when a person last logged in."""
    connection.execute(update(operators).where(operators.c.login == login).values(last_login_at=now))
