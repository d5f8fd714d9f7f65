"""Each change of the directory makes a new version, by which running processes see that they must load it anew."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import Connection, collate, func, insert, select

from gateway.directory.database import STREAMED
from gateway.directory.tables import agencies_table, units_table, versions_table


def latest(connection: Connection) -> int:
    """Of the present directory; 0 before the first import."""
    return connection.execute(select(func.max(versions_table.c.version))).scalar() or 0


def record(connection: Connection, *, source: str, now: datetime) -> int | None:
    """
    Make a version of what the tables say now.

    :return: its number; ``None`` when the present version says the same.
    """
    table, version, digest = versions_table, latest(connection), _digest(connection)
    if connection.execute(select(table.c.sha256).where(table.c.version == version)).scalar() == digest:
        return None
    connection.execute(insert(table), {"version": version + 1, "at": now, "source": source, "sha256": digest})
    return version + 1


def _digest(connection: Connection) -> str:
    """Of all agencies as they are stored, the operator's own first: equal when two gateways know the same."""
    # By bytes, not by a language's order, which is not the same everywhere.
    order = "C" if connection.dialect.name == "postgresql" else "BINARY"
    digest = hashlib.sha256()
    for table, key in ((agencies_table, agencies_table.c.code), (units_table, units_table.c.unit)):
        query = select(table.c.body).where(table.c.body.is_not(None)).order_by(collate(key, order))
        for (body,) in connection.execute(query, execution_options=STREAMED):
            digest.update(body.encode() + b"\n")
    return digest.hexdigest()
