"""Column types that read back what was written, on both engines."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import DateTime, Dialect, Integer, String, Text, TypeDecorator
from typing_extensions import override

V = TypeVar("V")
E = TypeVar("E", bound=enum.Enum)
S = TypeVar("S", bound=str)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware times, UTC; SQLite drops zones, so there they are stored as UTC without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time: it would be taken for UTC silently."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("The ledger takes aware times only.")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time in UTC, whatever the session's zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class Json(TypeDecorator[V], Generic[V]):
    """A value as JSON text; validated when it is read."""

    impl = Text
    cache_ok = True

    def __init__(self, of: Any) -> None:
        super().__init__()
        # Private names stay out of SQLAlchemy's cache key, which is right: the SQL is the same for all.
        self._adapter: TypeAdapter[V] = TypeAdapter(of)

    @override
    def process_bind_param(self, value: V | None, dialect: Dialect) -> str | None:
        """As compact JSON, letters unescaped."""
        return None if value is None else self._adapter.dump_json(value).decode("utf-8")

    @override
    def process_result_value(self, value: str | None, dialect: Dialect) -> V | None:
        """The value; pydantic's own error means that somebody edited the database by hand."""
        return None if value is None else self._adapter.validate_json(value)


class Coded(TypeDecorator[E], Generic[E]):
    """An enum by its value."""

    impl = String
    cache_ok = True

    def __init__(self, of: type[E], length: int = 32) -> None:
        # Kept public: it is part of SQLAlchemy's cache key, because results are read by it.
        self.of = of
        self.length = length
        super().__init__(length)

    @override
    def process_bind_param(self, value: E | None, dialect: Dialect) -> str | None:
        """The wire's value."""
        return None if value is None else str(self.of(value).value)

    @override
    def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:
        """The member."""
        return None if value is None else self.of(value)


class Numbered(TypeDecorator[E], Generic[E]):
    """An enum with numbers for values."""

    impl = Integer
    cache_ok = True

    def __init__(self, of: type[E]) -> None:
        self.of = of
        super().__init__()

    @override
    def process_bind_param(self, value: E | None, dialect: Dialect) -> int | None:
        """The number."""
        return None if value is None else int(self.of(value).value)

    @override
    def process_result_value(self, value: int | None, dialect: Dialect) -> E | None:
        """The member."""
        return None if value is None else self.of(value)


class Named(TypeDecorator[S], Generic[S]):
    """A text with a type of its own, such as ``AgencyCode``."""

    impl = Text
    cache_ok = True

    def __init__(self, of: type[S]) -> None:
        self.of = of
        super().__init__()

    @override
    def process_bind_param(self, value: S | None, dialect: Dialect) -> str | None:
        """Plain text."""
        return None if value is None else str(value)

    @override
    def process_result_value(self, value: str | None, dialect: Dialect) -> S | None:
        """The text, typed."""
        return None if value is None else self.of(value)
