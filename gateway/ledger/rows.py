"""
Rows written and asked for past SQLAlchemy, on what is done for every document.

What SQLAlchemy does around a statement costs several times the statement. The statements here go straight to the
driver, through the connection of the same transaction; how a value is stored is still said by the column's type alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Dialect, Table


def spelled(question: str, dialect: Dialect) -> str:
    """A statement with ``?`` for each value, as the driver wants it."""
    return question if dialect.paramstyle == "qmark" else question.replace("?", "%s")


def _driver(connection: Connection) -> Any:
    """The driver's own connection, in the transaction that SQLAlchemy began."""
    return connection.connection.driver_connection


class _Stored:
    """How the values of some columns are stored, for each kind of database; asked of their types once."""

    def __init__(self, columns: Sequence[Column[Any]]) -> None:
        self._columns = columns
        self._converters: dict[str, list[Callable[[Any], Any] | None]] = {}

    def __call__(self, values: Iterable[Any], dialect: Dialect) -> list[Any]:
        converters = self._converters.get(dialect.name)
        if converters is None:
            converters = [c.type.dialect_impl(dialect).bind_processor(dialect) for c in self._columns]
            self._converters[dialect.name] = converters
        return [
            value if value is None or convert is None else convert(value)
            for value, convert in zip(values, converters, strict=True)
        ]


class Question:
    """A SELECT of which the first row matters."""

    def __init__(self, text: str, *columns: Column[Any]) -> None:
        """
        Keep the text.

        :param text: with ``?`` for each value.
        :param columns: those that the values are compared with, in the same order.
        """
        self._text = text
        self._stored = _Stored(columns)

    def first(self, connection: Connection, *values: Any) -> tuple[Any, ...] | None:
        """
        The first row, seen from within this transaction, or ``None``.

        :param values: as Python has them; the row comes back as it is stored.
        """
        dialect = connection.dialect
        found = _driver(connection).execute(spelled(self._text, dialect), self._stored(values, dialect))
        row: tuple[Any, ...] | None = found.fetchone()
        return row


class Insert:
    """The insertion of rows into one table."""

    def __init__(self, table: Table, *, or_nothing_if: Sequence[str] = ()) -> None:
        """
        Make the text.

        :param or_nothing_if: columns that are unique together; rows whose values are taken are passed over.
        """
        # A serial number is the database's to give.
        columns = [c for c in table.columns if c is not table.autoincrement_column]
        self._names = [c.name for c in columns]
        self._stored = _Stored(columns)
        places = ", ".join("?" for _ in columns)
        self._text = f"INSERT INTO {table.name} ({', '.join(self._names)}) VALUES ({places})"  # noqa: S608 # names of ours
        if or_nothing_if:
            self._text += f" ON CONFLICT ({', '.join(or_nothing_if)}) DO NOTHING"

    def one(self, connection: Connection, values: Mapping[str, Any]) -> bool:
        """
        Insert one row; whether it was inserted.

        A concurrent insertion of the same unique values is waited for, so that exactly one of the two is ``True``.

        :param values: by column, as Python has them; absent ones are NULL.
        """
        dialect = connection.dialect
        done = _driver(connection).execute(spelled(self._text, dialect), self._row(values, dialect))
        return bool(done.rowcount)

    def all(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert any number of rows; values as for ``one``."""
        if not rows:
            return
        dialect = connection.dialect
        with contextlib.closing(_driver(connection).cursor()) as cursor:
            cursor.executemany(spelled(self._text, dialect), [self._row(values, dialect) for values in rows])

    def _row(self, values: Mapping[str, Any], dialect: Dialect) -> list[Any]:
        return self._stored(map(values.get, self._names), dialect)


class Update:
    """The change of some columns of rows, each found by one column."""

    def __init__(self, table: Table, *, where: str, columns: Sequence[str]) -> None:
        """
        Make the text.

        :param where: the column by which a row is found.
        :param columns: what is set, always all of it.
        """
        self._names = [*columns, where]
        self._stored = _Stored([table.c[name] for name in self._names])
        places = ", ".join(f"{name} = ?" for name in columns)
        self._text = f"UPDATE {table.name} SET {places} WHERE {where} = ?"  # noqa: S608 # names of ours

    def all(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """
        Change any number of rows.

        :param rows: by column, as Python has them.
        :raises KeyError: a value is missing; nothing is NULL by oversight.
        """
        if not rows:
            return
        dialect = connection.dialect
        values = [self._stored([row[name] for name in self._names], dialect) for row in rows]
        with contextlib.closing(_driver(connection).cursor()) as cursor:
            cursor.executemany(spelled(self._text, dialect), values)
