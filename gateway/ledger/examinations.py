"""
Examinations of documents that are accepted: what is to come, who carries it out, and what holds a document until then.

``deliveries.blockers`` counts, besides the rows of ``delivery_blocks``, the examinations that keep the document here:
so nothing is claimed, collected or seen by its receiver before they are done, and nothing at all of what was refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, exists, func, select, update

from gateway.errors import DocumentKeptBack
from gateway.ledger import concerns
from gateway.ledger.actions import Action
from gateway.ledger.bounds import LONGEST_NAME, cut, made_storable
from gateway.ledger.records import (
    ExaminationClaim,
    ExaminationCount,
    ExaminationResult,
    ExaminationRow,
    NewExamination,
)
from gateway.ledger.rows import Insert, Question
from gateway.ledger.statements import chunks, event
from gateway.ledger.tables import deliveries, documents, examinations
from gateway.model import AgencyCode, ExaminationKind, ExaminationState

MOST_VERDICTS = 500
"""Files of one document whose verdicts are kept."""

_INSERT = Insert(examinations)

# With the acceptance


def begin(connection: Connection, document_id: str, new: Sequence[NewExamination], *, now: datetime) -> int:
    """Record the examinations of a document that is being accepted; how many of them keep it here."""
    _INSERT.all(
        connection,
        [
            {
                "document": document_id,
                "kind": one.kind,
                "holds": one.holds,
                "state": one.state,
                "due_at": one.due_at,
                "attempts": 0,
                "created_at": now,
                "changed_at": now,
                "reason": one.reason,
                "result": None if one.result is None else bounded(one.result),
            }
            for one in new
        ],
    )
    concerns.begin(connection, document_id, new, received_at=now)
    return sum(one.holds and one.state.keeps for one in new)


def told(document_id: str, new: Sequence[NewExamination], *, now: datetime) -> list[dict[str, Any]]:
    """What the event log says of those that the acceptance has done already."""
    return [
        event(
            now,
            Action.DOCUMENT_EXAMINED,
            document=document_id,
            kind=one.kind.value,
            state=one.state.value,
            code=one.reason,
            scanned=None if one.result is None else one.result.scanned,
        )
        for one in new
        if one.state is not ExaminationState.PENDING
    ]


_ANY = Question("SELECT 1 FROM examinations WHERE document = ? LIMIT 1", examinations.c.document)


def keeping(connection: Connection, document_id: str) -> int:
    """
    How many examinations keep a document here, to which deliveries are about to be added.

    None of them ends meanwhile: whoever ends one takes the locks of the document's names first, as the caller did.

    :raises DocumentKeptBack: it was refused after an examination, and goes to nobody.
    """
    if _ANY.first(connection, document_id) is None:
        return 0
    rows = [row for row in of_document(connection, document_id) if row.keeps]
    refused = next((row for row in rows if row.state is ExaminationState.REFUSED), None)
    if refused is not None:
        raise DocumentKeptBack(f"{DocumentKeptBack.en()} ({refused.reason})")
    return len(rows)


def bounded(result: ExaminationResult) -> ExaminationResult:
    files = [
        replace(
            one,
            name=made_storable(cut(one.name, LONGEST_NAME)),
            member=None if one.member is None else made_storable(cut(one.member, LONGEST_NAME)),
            signatures=tuple(replace(s, certificate=None) for s in one.signatures),
        )
        for one in result.files[:MOST_VERDICTS]
    ]
    return replace(result, files=tuple(files))


# Carrying them out


_WINDOW = 1_000
"""So many of the longest due, and of those that fell due last, are looked through for one of another sender."""


def due(
    connection: Connection,
    kinds: Collection[ExaminationKind],
    *,
    now: datetime,
    limit: int,
    served: Collection[AgencyCode] = (),
) -> list[Row[Any]]:
    """
    What is to be examined now: what holds a document first, then the longest due; a look without locks.

    :param served: senders of which others come first, where they have something as urgent.
    """
    found: list[Row[Any]] = []
    for holds in (True, False):
        for kind in sorted(kinds):
            all_due = _due(kind, holds=holds, now=now)
            # Whoever comes after more than a window of another's has his turn when he comes.
            windows = (all_due.order_by(*_LONGEST), all_due.order_by(*_LAST)) if served else ()
            queries = [*(_of_others(window, served) for window in windows), all_due.order_by(*_LONGEST)]
            for query in queries:
                if limit > len(found):
                    known = {(one.document, one.kind) for one in found}
                    rows = connection.execute(query.limit(limit))
                    found += [one for one in rows if (one.document, one.kind) not in known][: limit - len(found)]
    return found


_LONGEST = (examinations.c.due_at, examinations.c.document)
_LAST = (examinations.c.due_at.desc(), examinations.c.document.desc())


def _of_others(ordered: Any, served: Collection[AgencyCode]) -> Any:
    window = ordered.add_columns(examinations.c.due_at).limit(_WINDOW).subquery()
    return (
        select(window.c.document, window.c.kind)
        .join(documents, documents.c.id == window.c.document)
        .where(documents.c.sender.not_in(sorted(served)))
        .order_by(window.c.due_at, window.c.document)
    )


def _due(kind: ExaminationKind, *, holds: bool, now: datetime) -> Any:
    return select(examinations.c.document, examinations.c.kind).where(
        examinations.c.kind == kind,
        examinations.c.holds.is_(holds),
        examinations.c.state == ExaminationState.PENDING,
        examinations.c.due_at <= now,
    )


def claim(
    connection: Connection, candidates: Sequence[Row[Any]], *, now: datetime, lease: timedelta
) -> list[ExaminationClaim]:
    """As ``Ledger.claim_examinations``, inside a transaction: those of the candidates that are still due."""
    token = secrets.token_urlsafe(16)
    claims = []
    for one in candidates:
        taken = connection.execute(
            update(examinations)
            .where(
                examinations.c.document == one.document,
                examinations.c.kind == one.kind,
                examinations.c.state == ExaminationState.PENDING,
                examinations.c.due_at <= now,
            )
            .values(due_at=now + lease, token=token, attempts=examinations.c.attempts + 1, changed_at=now)
            .returning(examinations.c.holds, examinations.c.attempts)
        ).one_or_none()
        if taken is not None:
            claims.append(
                ExaminationClaim(
                    document=one.document, kind=one.kind, holds=taken.holds, token=token, attempt=taken.attempts
                )
            )
    return claims


def _held_by(claim: ExaminationClaim) -> tuple[ColumnElement[bool], ...]:
    """The examination that was claimed, as long as nobody else has taken it or ended it."""
    return (
        examinations.c.document == claim.document,
        examinations.c.kind == claim.kind,
        examinations.c.state == ExaminationState.PENDING,
        examinations.c.token == claim.token,
    )


def postpone(connection: Connection, claim: ExaminationClaim, *, reason: str, due_at: datetime, now: datetime) -> bool:
    """As ``Ledger.postpone_examination``, inside a transaction."""
    done = connection.execute(
        update(examinations).where(*_held_by(claim)).values(due_at=due_at, token=None, reason=reason, changed_at=now)
    )
    return bool(done.rowcount)


def extend(connection: Connection, claim: ExaminationClaim, *, until: datetime, now: datetime) -> bool:
    """As ``Ledger.extend_examination``, inside a transaction."""
    done = connection.execute(update(examinations).where(*_held_by(claim)).values(due_at=until, changed_at=now))
    return bool(done.rowcount)


def hasten(connection: Connection, kind: ExaminationKind, *, reason: str, now: datetime) -> int:
    """As ``Ledger.hasten_examinations``, inside a transaction."""
    done = connection.execute(
        update(examinations)
        .where(
            examinations.c.kind == kind,
            examinations.c.state == ExaminationState.PENDING,
            examinations.c.reason == reason,
            examinations.c.token.is_(None),
            examinations.c.due_at > now,
        )
        .values(due_at=now, changed_at=now)
    )
    return done.rowcount


def _from_ahead(now: datetime, ahead: timedelta) -> Any:
    return (examinations.c.state == ExaminationState.PENDING) & (examinations.c.changed_at > now + ahead)


def any_from_ahead(connection: Connection, *, now: datetime, ahead: timedelta) -> bool:
    """Whether there is an examination to come that was written by a clock so far ahead."""
    found = connection.execute(select(examinations.c.document).where(_from_ahead(now, ahead)).limit(1))
    return found.first() is not None


def set_right(connection: Connection, *, now: datetime, ahead: timedelta) -> int:
    """As ``Ledger.set_examinations_right``, inside a transaction."""
    done = connection.execute(update(examinations).where(_from_ahead(now, ahead)).values(due_at=now, changed_at=now))
    return done.rowcount


# What was refused


NOT_KEPT_BACK = ~exists().where(
    examinations.c.document == deliveries.c.document, examinations.c.state == ExaminationState.REFUSED
)
"""Of a delivery: its document was not refused after an examination."""


def kept_back(connection: Connection, document_ids: Collection[str]) -> set[str]:
    """Those of the documents that were refused after an examination: none of their deliveries is sent again."""
    return {
        found
        for part in chunks(sorted(document_ids))
        for found in connection.scalars(
            select(examinations.c.document).where(
                examinations.c.document.in_(part), examinations.c.state == ExaminationState.REFUSED
            )
        )
    }


# Looking


_ROW = [examinations.c[name] for name in ExaminationRow.__dataclass_fields__]


def of_document(connection: Connection, document_id: str) -> tuple[ExaminationRow, ...]:
    """All examinations of one document, by kind."""
    statement = select(*_ROW).where(examinations.c.document == document_id).order_by(examinations.c.kind)
    return tuple(ExaminationRow(**row._mapping) for row in connection.execute(statement))


def pending(connection: Connection, kind: ExaminationKind, *, limit: int, after: str | None) -> list[ExaminationRow]:
    """Examinations of one kind that are to come or were refused, by document, after one of these."""
    statement = select(*_ROW).where(
        examinations.c.kind == kind,
        examinations.c.state.in_((ExaminationState.PENDING, ExaminationState.REFUSED)),
    )
    if after is not None:
        statement = statement.where(examinations.c.document > after)
    statement = statement.order_by(examinations.c.document).limit(limit)
    return [ExaminationRow(**row._mapping) for row in connection.execute(statement)]


def counts(connection: Connection) -> list[ExaminationCount]:
    """What is to come, and what was refused, by kind; what is zero has no entry."""
    own = (examinations.c.kind, examinations.c.state, examinations.c.holds)
    rows = connection.execute(
        select(*own, func.count().label("count"), func.min(examinations.c.created_at).label("oldest"))
        .where(examinations.c.state.in_((ExaminationState.PENDING, ExaminationState.REFUSED)))
        .group_by(*own)
        .order_by(*own)
    )
    return [ExaminationCount(**row._mapping) for row in rows]
