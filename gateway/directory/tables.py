"""
The directory's tables, made by the ledger's migrations (one history for one database).

They are described here because nothing else reads or writes them.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
)


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite drops zones, so there it is stored as UTC without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """In UTC; a naive time is a mistake of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment must be aware")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware, whatever the session's zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


metadata = MetaData()

agencies_table = Table(
    "agencies",
    metadata,
    Column("code", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("folded", Text, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
"""What the operator's own file and decisions say: wins over the catalogue."""

versions_table = Table(
    "directory_versions",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("source", Text, nullable=False),
    Column("sha256", Text, nullable=False),
)

units_table = Table(
    "catalogue_units",
    metadata,
    # As an axis lists them.
    Column("unit", Text, primary_key=True),
    Column("code", Text, nullable=False),
    Column("parent", Text, nullable=True),
    Column("name", Text, nullable=False),
    Column("version", BigInteger, nullable=True),
    Column("centre", Text, nullable=True),
    Column("deleted", Boolean, nullable=False),
    Column("closed_on", Date, nullable=True),
    Column("is_agency", Boolean, nullable=False),
    Column("same_as", Text, nullable=True),
    Column("sought", Text, nullable=True),
    # What the directory made of it; ``changed`` until it has.
    Column("changed", Boolean, nullable=False),
    Column("above", Text, nullable=True),
    Column("anchor", Text, nullable=True),
    Column("level1", Text, nullable=True),
    Column("tier", Text, nullable=True),
    Column("depth", Integer, nullable=False),
    Column("problem", Text, nullable=True),
    Column("body", Text, nullable=True),
    Column("folded", Text, nullable=True),
    Column("updated_at", UtcTime, nullable=False),
)
"""The units of an axis' catalogue: each as it was listed last, and the agency that was made of it, if one was."""
Index("ix_catalogue_units_parent", units_table.c.parent)
Index("ix_catalogue_units_same_as", units_table.c.same_as)
Index("ix_catalogue_units_sought", units_table.c.sought)
Index("ix_catalogue_units_above", units_table.c.above)
Index("ix_catalogue_units_depth", units_table.c.depth, units_table.c.unit)
Index(
    "ix_catalogue_units_changed",
    units_table.c.unit,
    sqlite_where=text("changed = 1"),
    postgresql_where=text("changed"),
)

codes_table = Table(
    "catalogue_codes",
    metadata,
    Column("code", Text, primary_key=True),
    Column("unit", Text, nullable=False),
    Column("former", Boolean, nullable=False),
)
"""Which unit answers to which code, one to each; a former code passes to whoever is listed with it."""
Index("ix_catalogue_codes_unit", codes_table.c.unit)

runs_table = Table(
    "catalogue_runs",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime, nullable=True),
    Column("counts", Text, nullable=False),
    Column("version", Integer, nullable=True),
)
"""When the catalogue was read, and with what result; one that was broken off has no end."""
