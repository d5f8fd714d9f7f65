"""Statements that several modules need, and that the two engines spell differently."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects import postgresql, sqlite

from gateway.ledger.actions import Action
from gateway.ledger.rows import Insert
from gateway.ledger.tables import events

T = TypeVar("T")

CHUNK = 500
"""Ids per statement; both engines bound the number of parameters."""


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items in portions that fit one statement."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def insert_new(connection: Connection, table: Table, keys: Sequence[str], values: Mapping[str, Any]) -> bool:
    """
    Insert one row unless its keys are taken.

    A concurrent insert of the same keys is waited for, so exactly one of the two is told ``True``.
    """
    maker = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = maker(table).on_conflict_do_nothing(index_elements=list(keys)).returning(table.c[keys[0]])
    # Asked for rather than counted: not every driver counts the rows of an insert.
    return connection.execute(statement, dict(values)).first() is not None


def lock_names(connection: Connection, pairs: Iterable[tuple[str, str]]) -> None:
    """
    Let one transaction at a time deal with what these names (sender and identity) stand for.

    Without it a document and a status about it, accepted at the same moment, would each not see
    the other. On SQLite there is one writer anyway. In one order everywhere, so that nobody
    waits in a circle; taken before any row is locked, for the same reason.
    """
    if connection.dialect.name != "postgresql":
        return
    digests = (hashlib.sha256("\0".join(pair).encode()).digest()[:8] for pair in pairs)
    keys = sorted({int.from_bytes(digest, "big", signed=True) for digest in digests})
    for key in keys:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def event(
    at: datetime,
    action: Action,
    *,
    document: str | None = None,
    delivery: str | None = None,
    actor: str | None = None,
    **data: Any,
) -> dict[str, Any]:
    """
    One row of the event log.

    :param data: codes, counts and hashes; members that are ``None`` are left out.
    """
    return {
        "at": at,
        "action": action,
        "document": document,
        "delivery": delivery,
        "actor": actor,
        "data": {k: v for k, v in data.items() if v is not None},
    }


_APPEND = Insert(events)


def record(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append to the event log; the only way in which it changes."""
    _APPEND.all(connection, rows)
