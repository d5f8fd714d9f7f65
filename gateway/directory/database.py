"""Transactions on the directory's tables, and one translation of the drivers' errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Connection, Engine, exc, text

from gateway.errors import LedgerOutdated, LedgerUnavailable

_T = TypeVar("_T")

CHUNK = 2_000
"""Rows in memory at once while a catalogue is read or written."""
STREAMED = {"yield_per": CHUNK}


def chunks(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """A long list in pieces."""
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads."""
    with _translated(), engine.execution_options(read_only=True).begin() as connection:
        yield connection


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One writer at a time: the ledger's engine begins with the write lock on SQLite, here PostgreSQL takes it."""
    with _translated(), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE directory_versions IN SHARE ROW EXCLUSIVE MODE"))
        yield connection


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """The drivers' errors as the gateway's own; their sentences may name hosts and stay in the chained cause."""
    try:
        yield
    except exc.DBAPIError as e:
        if getattr(e.orig, "sqlstate", None) == "42P01" or str(e.orig).startswith("no such table"):
            raise LedgerOutdated from e
        if isinstance(e, exc.OperationalError | exc.InterfaceError | exc.InternalError):
            raise LedgerUnavailable(f"The directory cannot be used now ({type(e.orig).__name__}).") from e
        raise
    except exc.TimeoutError as e:
        raise LedgerUnavailable("No connection to the ledger became free in time.") from e
