"""Opening, preparing and checking the database."""

from __future__ import annotations

from sqlalchemy import Engine


def open_engine(url: str) -> Engine:
    """
    An engine for ``sqlite:///file`` or ``postgresql+psycopg://…``.

    On SQLite every transaction begins as ``BEGIN IMMEDIATE`` unless its connection has the execution
    option ``read_only`` (``engine.execution_options(read_only=True)``).

    :raises SettingsInvalid: for any other kind of URL.
    """
    raise NotImplementedError


def prepare(engine: Engine) -> None:
    """Bring the tables to this version and set WAL; before workers start. Safe when two processes do it at once."""
    raise NotImplementedError


def check(engine: Engine) -> None:
    """
    Make sure that the tables are of this version.

    :raises LedgerOutdated: they are not; ``prepare`` brings them there.
    """
    raise NotImplementedError


def sqlite_version_is_safe() -> bool:
    """False for the SQLite versions that can corrupt a WAL database (3.7.0–3.51.2)."""
    raise NotImplementedError
