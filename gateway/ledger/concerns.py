"""
Why somebody should look at a document: kept beside it, made from its examinations and judgements.

Lists would otherwise have to read the verdicts on every file of every document that they show, or leave to chance
which one is opened. Rows exist only where there is a reason, so what is in order costs an acceptance nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, select

from gateway.errors import EnclosureSignatureRequired, FileSignatureRequired, MalwareFound
from gateway.ledger.records import Concern, ExaminationResult, Glance, NewExamination, SignedFiles
from gateway.ledger.rows import Insert
from gateway.ledger.statements import chunks
from gateway.ledger.tables import document_concerns, documents, examinations
from gateway.model import ExaminationKind, ExaminationState, FileStanding, FileVerdict, Standing, Verdict

REVOKED: Final = "signature.certificate_revoked"
"""Reason of the verdict on a package whose certificate had been revoked."""

GOOD_STANDINGS: Final = frozenset({Standing.VALID, Standing.VALID_WEAK})
_GOOD_FILES: Final = frozenset({FileStanding.VALID, FileStanding.VALID_WEAK})

_OF_FILES: Final = {
    FileStanding.ALTERED: Concern.ALTERED,
    FileStanding.REVOKED: Concern.REVOKED,
    FileStanding.UNTRUSTED: Concern.UNTRUSTED,
    FileStanding.UNREADABLE: Concern.UNREADABLE,
}
"""Other standings are no reason to look: most annexes are unsigned, and what is not known becomes known."""

_OF_REASONS: Final = {
    MalwareFound.code: Concern.MALWARE,
    FileSignatureRequired.code: Concern.MISSING,
    EnclosureSignatureRequired.code: Concern.MISSING,
}

_INSERT = Insert(document_concerns, or_nothing_if=("document", "concern"))

# What follows from what was found; pure


def of_examination(
    state: ExaminationState, *, holds: bool, reason: str | None, result: ExaminationResult | None
) -> Iterator[Concern]:
    """The reasons to look at a document that one of its examinations gives, some perhaps twice."""
    if holds and state.keeps:
        yield Concern.KEPT
    if state is ExaminationState.FAILED:
        yield Concern.UNEXAMINED
    if state is ExaminationState.RELEASED:
        yield Concern.RELEASED
    if reason in _OF_REASONS:
        yield _OF_REASONS[reason]
    for one in result.files if result else ():
        # One signature that was altered or revoked is worth a look in a file that is called by another's worse one.
        for standing in (one.standing, *(s.standing for s in one.signatures)):
            if standing in _OF_FILES:
                yield _OF_FILES[standing]


def of_verdict(verdict: Verdict) -> Iterator[Concern]:
    """The reasons that the package's own signature gives; a bad one is accepted by nobody, but found out later."""
    if verdict.reason == REVOKED:
        yield Concern.REVOKED


def signed(result: ExaminationResult | None) -> SignedFiles | None:
    """Which signatures the best of the files carries; an altered file counts as none. ``None``: none was judged."""
    if result is None or not result.files:
        return None
    best = max(_roles(one) for one in result.files)
    return {(True, True): SignedFiles.BOTH, (True, False): SignedFiles.PERSON, (False, True): SignedFiles.AGENCY}.get(
        best[1:], SignedFiles.NONE
    )


def _roles(one: FileVerdict) -> tuple[int, bool, bool]:
    if one.standing is FileStanding.ALTERED:
        return 0, False, False
    return one.has_person + one.has_agency, one.has_person, one.has_agency


def differ(before: ExaminationResult | None, after: ExaminationResult | None) -> bool:
    """
    Whether files were judged otherwise than before, and more than that a signature became known as good.

    What was not judged before is judged for the first time, not otherwise.
    """
    if before is None or after is None or not before.files:
        return False
    old = {(one.content_id, one.member): one.standing for one in before.files}
    changes = ((old.get((one.content_id, one.member)), one.standing) for one in after.files)
    return any(
        was is not None and was is not now and not (was is FileStanding.INDETERMINATE and now in _GOOD_FILES)
        for was, now in changes
    )


# Keeping


def begin(connection: Connection, document_id: str, new: Sequence[NewExamination], *, received_at: datetime) -> None:
    """With the acceptance: what its examinations give as reasons already."""
    found = {
        concern
        for one in new
        for concern in of_examination(one.state, holds=one.holds, reason=one.reason, result=one.result)
    }
    _INSERT.all(connection, _rows(document_id, found, received_at))


def renew(connection: Connection, document_id: str, *, rejudged: bool = False) -> None:
    """
    Make a document's reasons anew, after one of its examinations or its verdict has changed.

    :param rejudged: a signature has just been judged otherwise; that this once happened stays.
    """
    renew_all(connection, {document_id: rejudged})


def renew_all(connection: Connection, rejudged: Mapping[str, bool]) -> None:
    """As ``renew`` for several documents, of which each is told whether it was just judged otherwise."""
    for part in chunks(sorted(rejudged)):
        _renew(connection, {document: rejudged[document] for document in part})


def _renew(connection: Connection, rejudged: Mapping[str, bool]) -> None:
    ids = sorted(rejudged)
    # Locked: of two changes at once the later one sees both, and its reasons are those that stay.
    own = select(documents.c.id, documents.c.verdict, documents.c.received_at).where(documents.c.id.in_(ids))
    rows = connection.execute(own.order_by(documents.c.id).with_for_update(key_share=True)).all()
    present: dict[str, set[Concern]] = {document: set() for document in ids}
    kept = select(document_concerns.c.document, document_concerns.c.concern)
    for row in connection.execute(kept.where(document_concerns.c.document.in_(ids))):
        present[row.document].add(row.concern)
    wanted = {row.id: set(of_verdict(row.verdict)) for row in rows}
    for document, concern in _examined(connection, ids):
        wanted[document].add(concern)
    new: list[dict[str, Any]] = []
    for row in rows:
        before, after = present[row.id], wanted[row.id]
        after |= {Concern.REJUDGED} if rejudged[row.id] else before & {Concern.REJUDGED}
        if gone := before - after:
            theirs = (document_concerns.c.document == row.id, document_concerns.c.concern.in_(gone))
            connection.execute(delete(document_concerns).where(*theirs))
        new += _rows(row.id, after - before, row.received_at)
    _INSERT.all(connection, new)


def _examined(connection: Connection, document_ids: Sequence[str]) -> Iterator[tuple[str, Concern]]:
    own = (examinations.c[name] for name in ("document", "state", "holds", "reason", "result"))
    for row in connection.execute(select(*own).where(examinations.c.document.in_(document_ids))):
        for concern in of_examination(row.state, holds=row.holds, reason=row.reason, result=row.result):
            yield row.document, concern


def _rows(document_id: str, new: Iterable[Concern], received_at: datetime) -> list[dict[str, Any]]:
    return [{"document": document_id, "concern": one, "received_at": received_at} for one in sorted(new)]


# Looking

_WEIGHT: Final = {concern: weight for weight, concern in enumerate(Concern)}


def glances(connection: Connection, document_ids: Collection[str]) -> dict[str, Glance]:
    """What lists show of documents; those of which there is nothing to say have no entry."""
    concerns: dict[str, list[Concern]] = {}
    files: dict[str, Row[Any]] = {}
    own = (examinations.c[name] for name in ("document", "state", "signed"))
    of_files = select(*own).where(examinations.c.kind == ExaminationKind.FILES)
    reasons = select(document_concerns.c.document, document_concerns.c.concern)
    for part in chunks(sorted(document_ids)):
        for row in connection.execute(reasons.where(document_concerns.c.document.in_(part))):
            concerns.setdefault(row.document, []).append(row.concern)
        for row in connection.execute(of_files.where(examinations.c.document.in_(part))):
            files[row.document] = row
    return {
        each: Glance(
            concerns=tuple(sorted(concerns.get(each, ()), key=_WEIGHT.__getitem__)),
            signed=files[each].signed if each in files else None,
            pending=each in files and files[each].state is ExaminationState.PENDING,
        )
        for each in {*concerns, *files}
    }


def counts(connection: Connection, *, since: datetime) -> dict[Concern, int]:
    """
    How many documents there is each reason to look at; every reason has an entry.

    :param since: those accepted from then on, for most reasons stay for ever; what is kept here counts always.
    """
    own = document_concerns.c
    each = [
        select(func.count())
        .where(own.concern == concern, *(() if concern is Concern.KEPT else (own.received_at >= since,)))
        .scalar_subquery()
        for concern in Concern
    ]
    row = connection.execute(select(*each)).one()
    return dict(zip(Concern, row, strict=True))
