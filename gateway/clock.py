"""The clock of the program; everything else is given the moment."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """This moment, aware UTC."""
    return datetime.now(UTC)
