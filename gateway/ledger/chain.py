"""
What the event log's chain is kept in: batches of sealed events, and statements that wait for their stamp.

Events are read here text for text, as the database has them, because the chain is made over just that.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, or_, select, text, update

from gateway.ledger.actions import Action
from gateway.ledger.engine import reading, writing, written
from gateway.ledger.rows import spelled
from gateway.ledger.statements import event, insert_new, record
from gateway.ledger.tables import events, log_batches, log_stamps
from gateway.model import LogBatch, LogEvent, LogStamp

_TRIES, _PAUSE_SECONDS = 25, 0.02
"""How often, and with what pause, is looked whether those who write have ended: half a second in all."""

_WRITERS = text(
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND relation = 'events'::regclass "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND mode = 'RowExclusiveLock' AND granted"
)
"""Transactions that may have been given the number of an event: the lock comes first, and stays to their end."""

_SQLITE_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6})")


@dataclass(frozen=True, kw_only=True)
class LogState:
    """How sealing and stamping stand."""

    batches: int
    """Batches sealed so far; the number of the newest."""
    sealed_to: int
    """Id of the last sealed event; 0 when there is none."""
    newest_id: int
    """Id of the newest event; 0 when there is none."""
    stamped_batches: int
    """Number of the last batch that a token covers; 0 when there is none."""
    stamped_at: datetime | None
    """Of the newest token."""
    waiting: LogStamp | None
    """The statement that waits for its stamp; ``None`` when none does."""
    unstamped_header: str | None
    """Header of the first batch that no token covers; ``None`` when all are covered."""


class EventLog:
    """
    The event log, its batches and its stamps; ``Ledger.log``.

    Methods raise what those of ``Ledger`` do.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # Events

    def between(self, after: int, to: int | None, *, limit: int) -> list[LogEvent]:
        """
        Events by id, as they are stored.

        :param after: exclusive.
        :param to: inclusive; ``None``: to the end.
        """
        with reading(self._engine) as connection:
            return _events(connection, "id > ? AND id <= ?", (after, to if to is not None else 2**63 - 1), limit)

    def of(self, document: str, *, limit: int) -> list[LogEvent]:
        """The events of one document by id, as they are stored."""
        with reading(self._engine) as connection:
            return _events(connection, "document = ?", (document,), limit)

    def decided_to(self, *, after: int) -> int | None:
        """
        An id of which it is known that no event with it or a smaller one will still appear.

        PostgreSQL gives numbers out before their transactions end, in any order. Whoever was given one holds a lock
        on the table until its transaction ends, and none of those is ever in another's way: so those are waited for
        who hold it after the newest event was seen. Nobody waits for the sealer. On SQLite there is one writer at a
        time, and a number is given where it is committed.

        :param after: what is sealed already; nobody is waited for when there is nothing newer.
        :return: ``None`` when somebody writes for long; try again later.
        """
        with reading(self._engine) as connection:
            newest: int = connection.execute(select(func.max(events.c.id))).scalar_one() or 0
            if newest <= after or self._engine.dialect.name != "postgresql":
                return newest
            # Asked after the newest number was seen: all smaller ones had been given by then.
            undecided, tries = _writers(connection), 1
            while undecided and tries < _TRIES:
                time.sleep(_PAUSE_SECONDS)
                undecided &= _writers(connection)
                tries += 1
        return None if undecided else newest

    def last_given(self) -> int | None:
        """
        The last number that SQLite gave to an event, or ``None`` where the engine gives numbers that come to nothing.

        A rollback takes the number back there, so that every gap, at the end too, is an event that was removed.
        """
        if self._engine.dialect.name != "sqlite":
            return None
        with reading(self._engine) as connection:
            found = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'events'").first()
        return int(found[0]) if found else 0

    # Batches

    def newest_batch(self) -> LogBatch | None:
        """The newest batch."""
        with reading(self._engine) as connection:
            row = connection.execute(select(log_batches).order_by(log_batches.c.number.desc()).limit(1)).first()
        return None if row is None else _batch(row)

    def add_batch(self, batch: LogBatch) -> bool:
        """Keep a batch; false when another process has sealed one of this number meanwhile."""
        values = {name: getattr(batch, name) for name in ("number", "last_id", "header", "ids", "links")}
        return written(self._engine, lambda connection: insert_new(connection, log_batches, ["number"], values))

    def batches_after(self, number: int, *, limit: int) -> list[LogBatch]:
        """Batches by number."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(log_batches).where(log_batches.c.number > number).order_by(log_batches.c.number).limit(limit)
            )
            return [_batch(row) for row in rows]

    def batch_of(self, event_id: int) -> LogBatch | None:
        """The batch in which an event of this id is sealed, if it is; ``None`` when it is not yet."""
        with reading(self._engine) as connection:
            row = connection.execute(
                select(log_batches).where(log_batches.c.last_id >= event_id).order_by(log_batches.c.last_id).limit(1)
            ).first()
        return None if row is None else _batch(row)

    def headers_between(self, first: int, last: int) -> list[str]:
        """The headers of batches by number, both ends included."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(log_batches.c.header)
                .where(log_batches.c.number.between(first, last))
                .order_by(log_batches.c.number)
            )
            return [str(header) for header in rows.scalars()]

    # Stamps

    def newest_stamp(self) -> LogStamp | None:
        """The newest statement, stamped or not."""
        with reading(self._engine) as connection:
            return _newest_stamp(connection)

    def add_stamp(self, stamp: LogStamp) -> bool:
        """Keep a statement until it is stamped; false when another process has made one of this number meanwhile."""
        names = ("number", "last_batch", "made_at", "attempts", "statement")
        values = {name: getattr(stamp, name) for name in names}
        return written(self._engine, lambda connection: insert_new(connection, log_stamps, ["number"], values))

    def stamps_after(self, number: int, *, limit: int) -> list[LogStamp]:
        """Statements by number, stamped or not; without the times of their rows, which may hold anything."""
        columns = (log_stamps.c.number, log_stamps.c.last_batch, log_stamps.c.statement, log_stamps.c.token)
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(*columns).where(log_stamps.c.number > number).order_by(log_stamps.c.number).limit(limit)
            )
            return [
                LogStamp(
                    number=row.number,
                    last_batch=_number(row.last_batch),
                    statement=_text(row.statement),
                    token=None if row.token is None else _blob(row.token),
                )
                for row in rows
            ]

    def stamp_of(self, batch: int) -> LogStamp | None:
        """The statement that covers a batch; ``None`` when none does yet."""
        with reading(self._engine) as connection:
            row = connection.execute(
                select(log_stamps).where(log_stamps.c.last_batch >= batch).order_by(log_stamps.c.last_batch).limit(1)
            ).first()
        return None if row is None else _stamp(row)

    def claim_stamp(self, number: int, *, now: datetime, tried_before: datetime) -> bool:
        """
        The right to ask an authority to stamp a statement; for one process at a time.

        :param tried_before: false when it was tried since then; a try that is as far in the future was made by a
            clock that was wrong, and does not count.
        """
        tried_at, ahead = log_stamps.c.tried_at, now + (now - tried_before)
        due = or_(tried_at.is_(None), tried_at <= tried_before, tried_at > ahead)
        with writing(self._engine) as connection:
            done = connection.execute(
                update(log_stamps)
                .where(log_stamps.c.number == number, log_stamps.c.token.is_(None), due)
                .values(tried_at=now)
            )
            return bool(done.rowcount)

    def stamped(self, number: int, *, token: bytes, at: datetime, now: datetime) -> bool:
        """
        Keep the token of a statement; an event when the tries before had failed.

        :param at: what the token says.
        :return: false when it has one already.
        """
        with writing(self._engine) as connection:
            return _stamped(connection, number, token=token, at=at, now=now)

    def stamp_failed(self, number: int, *, code: str, detail: str, now: datetime) -> bool:
        """
        Note that no authority has stamped a statement; an event the first time, and for each new cause.

        :return: whether there was an event.
        """
        with writing(self._engine) as connection:
            return _stamp_failed(connection, number, code=code, detail=detail, now=now)

    # How it stands

    def state(self) -> LogState:
        """How sealing and stamping stand, of one moment on SQLite."""
        with reading(self._engine) as connection:
            newest_id = connection.execute(select(func.max(events.c.id))).scalar_one() or 0
            batch = connection.execute(
                select(log_batches.c.number, log_batches.c.last_id).order_by(log_batches.c.number.desc()).limit(1)
            ).first()
            newest = _newest_stamp(connection)
            last = connection.execute(
                select(log_stamps.c.last_batch, log_stamps.c.stamped_at)
                .where(log_stamps.c.token.is_not(None))
                .order_by(log_stamps.c.number.desc())
                .limit(1)
            ).first()
            covered = 0 if last is None else int(last.last_batch)
            header = connection.execute(
                select(log_batches.c.header)
                .where(log_batches.c.number > covered)
                .order_by(log_batches.c.number)
                .limit(1)
            ).scalar_one_or_none()
        return LogState(
            batches=0 if batch is None else batch.number,
            sealed_to=0 if batch is None else batch.last_id,
            newest_id=newest_id,
            stamped_batches=covered,
            stamped_at=None if last is None else last.stamped_at,
            waiting=newest if newest is not None and newest.token is None else None,
            unstamped_header=None if header is None else _text(header),
        )


def _writers(connection: Connection) -> set[str]:
    return set(connection.execute(_WRITERS).scalars())


def _events(connection: Connection, condition: str, values: Sequence[Any], limit: int) -> list[LogEvent]:
    sqlite = connection.dialect.name == "sqlite"
    at = "at" if sqlite else """to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    question = (
        f"SELECT id, {at}, action, document, delivery, actor, data FROM events "  # noqa: S608 # texts of ours
        f"WHERE {condition} ORDER BY id LIMIT {int(limit)}"
    )
    driver: Any = connection.connection.driver_connection
    with _as_stored(driver) if sqlite else contextlib.nullcontext():
        rows = driver.execute(spelled(question, connection.dialect), tuple(values)).fetchall()
    return [LogEvent(id=row[0], at=_moment(row[1]), **dict(zip(_TEXTS, row[2:], strict=True))) for row in rows]


_TEXTS = ("action", "document", "delivery", "actor", "data")


@contextlib.contextmanager
def _as_stored(driver: Any) -> Iterator[None]:
    """
    Let texts be read that are not UTF-8.

    The gateway writes none, but whoever edits the file can, and the driver would refuse to read on.
    """
    before = driver.text_factory
    driver.text_factory = lambda stored: stored.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        driver.text_factory = before


def _moment(stored: Any) -> Any:
    """The moment in one form for both engines; what is no moment stays as it is, and fits no hash."""
    match = _SQLITE_MOMENT.fullmatch(stored) if isinstance(stored, str) else None
    return f"{match[1]}T{match[2]}Z" if match else stored


def _batch(row: Row[Any]) -> LogBatch:
    # What somebody edited may be of another kind than the column's; then it is no header, and no hashes.
    return LogBatch(
        number=row.number,
        last_id=_number(row.last_id),
        header=_text(row.header),
        ids=_blob(row.ids),
        links=_blob(row.links),
    )


def _number(stored: Any) -> int:
    return stored if isinstance(stored, int) else 0


def _text(stored: Any) -> str:
    return stored if isinstance(stored, str) else repr(stored)


def _blob(stored: Any) -> bytes:
    return stored if isinstance(stored, bytes) else b""


def _newest_stamp(connection: Connection) -> LogStamp | None:
    row = connection.execute(select(log_stamps).order_by(log_stamps.c.number.desc()).limit(1)).first()
    return None if row is None else _stamp(row)


def _stamp(row: Row[Any]) -> LogStamp:
    token = row.token
    return LogStamp(
        number=row.number,
        last_batch=row.last_batch,
        statement=_text(row.statement),
        token=None if token is None else _blob(token),
        made_at=row.made_at,
        stamped_at=row.stamped_at,
        attempts=row.attempts,
        error_code=row.error_code,
        tried_at=row.tried_at,
    )


def _stamped(connection: Connection, number: int, *, token: bytes, at: datetime, now: datetime) -> bool:
    row = connection.execute(select(log_stamps).where(log_stamps.c.number == number)).first()
    done = connection.execute(
        update(log_stamps)
        .where(log_stamps.c.number == number, log_stamps.c.token.is_(None))
        .values(token=token, stamped_at=at, error_code=None)
    )
    if row is None or not done.rowcount:
        return False
    if row.attempts:
        waited = int((now - row.made_at).total_seconds())
        facts = {"statement": number, "attempts": row.attempts, "code": row.error_code, "waited_seconds": waited}
        record(connection, [event(now, Action.TIMESTAMP_RECOVERED, **facts)])
    return True


def _stamp_failed(connection: Connection, number: int, *, code: str, detail: str, now: datetime) -> bool:
    row = connection.execute(
        select(log_stamps.c.error_code).where(log_stamps.c.number == number, log_stamps.c.token.is_(None))
    ).first()
    if row is None:
        return False
    connection.execute(
        update(log_stamps)
        .where(log_stamps.c.number == number)
        .values(attempts=log_stamps.c.attempts + 1, error_code=code, tried_at=now)
    )
    if row.error_code == code:
        return False
    record(connection, [event(now, Action.TIMESTAMP_FAILED, statement=number, code=code, detail=detail)])
    return True
