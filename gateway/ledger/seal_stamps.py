"""Time-stamps over seals: had once, kept for every evidence file that follows."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from gateway.ledger.statements import insert_new
from gateway.ledger.tables import seal_stamps


def find(connection: Connection, document_id: str) -> bytes | None:
    """The token over a document's seal, DER; ``None``: it has none yet."""
    return connection.execute(
        select(seal_stamps.c.token).where(seal_stamps.c.document == document_id)
    ).scalar_one_or_none()


def keep(connection: Connection, document_id: str, token: bytes, *, at: datetime) -> bytes:
    """
    Keep a token; the first one stays.

    :param at: when it was had.
    :return: the one that is kept.
    """
    insert_new(connection, seal_stamps, ["document"], {"document": document_id, "token": token, "had_at": at})
    kept = find(connection, document_id)
    assert kept is not None, "it was inserted, or was there"
    return kept
