"""What is known of revocation, which certificates are watched, and verdicts that changed since."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from gateway.ledger import concerns
from gateway.ledger.actions import Action
from gateway.ledger.statements import chunks, event, insert_new, record
from gateway.ledger.tables import (
    documents,
    examinations,
    file_signers,
    judgements,
    revocation_rounds,
    revocation_sources,
    watched_certificates,
)
from gateway.model import ExaminationKind, ExaminationState, Standing, Verdict

_ROUND = 1
"""Key of the only row."""
_LONGEST_DETAIL = 500
AT_RECEIPT = "receipt"
"""Cause of the first judgement of a document."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a CRL or an OCSP answer comes from, and what is known of it."""

    name: str
    """A URL, ``ocsp:<certificate> <URL>``, or ``file:<name>``."""
    kind: str
    """``crl`` or ``ocsp``."""
    due_at: datetime
    failures: int
    """In a row; 0 when the last try was good."""
    last_success_at: datetime | None
    last_failure_at: datetime | None
    last_error_code: str | None
    last_error_detail: str | None
    this_update: datetime | None
    """Of the last good item, like ``next_update`` and ``sha256``; ``None`` when there has been none."""
    next_update: datetime | None
    sha256: str | None


@dataclass(frozen=True, kw_only=True)
class StoredItem:
    """A CRL or an OCSP answer as it is kept."""

    name: str
    kind: str
    der: bytes
    sha256: str
    this_update: datetime
    next_update: datetime | None


@dataclass(frozen=True, kw_only=True)
class NewWatched:
    """A certificate to be watched from now on."""

    sha256: str
    origin: str
    """``registered``, ``own``, ``former`` (keys of the gateway), or ``file`` (a signer inside a file)."""
    subject: str
    not_after: datetime
    der: bytes


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A certificate whose revocation and end are looked after."""

    sha256: str
    origin: str
    state: str
    """``good``, ``revoked``, ``unknown`` or ``not_asked``, when it was looked at last."""
    revoked_at: datetime | None
    reason: str | None
    checked_at: datetime | None
    """``None``: not looked at yet."""
    not_after: datetime
    first_seen: datetime
    last_seen: datetime
    announced_days: int | None
    announced_end: datetime | None
    subject: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found of one watched certificate."""

    sha256: str
    state: str
    revoked_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Expiring:
    """That the end of a certificate is near."""

    sha256: str
    ends: datetime
    days: int
    """The threshold that was passed: 60, 30 or 7."""
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One judgement of a document's package."""

    document: str
    at: datetime
    cause: str
    """``receipt``, ``revoked``, ``unrevoked`` or ``known``."""
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Rejudged:
    """A change of one document's verdict."""

    document: str
    old: Verdict
    """As it was read; another one by now, and nothing is changed."""
    new: Verdict
    cause: str


# Rounds


def take_round(connection: Connection, *, now: datetime, lease: timedelta, at_once: bool) -> bool:
    """As ``Ledger.take_revocation_round``, inside a transaction."""
    insert_new(connection, revocation_rounds, ("id",), {"id": _ROUND, "due_at": now, "version": 0})
    row = connection.execute(select(revocation_rounds).where(revocation_rounds.c.id == _ROUND).with_for_update()).one()
    # A moment that no round would have set comes from a clock that was ahead.
    is_ahead = row.due_at > now + max(4 * lease, timedelta(hours=2))
    if row.due_at > now and not (at_once or is_ahead):
        return False
    connection.execute(update(revocation_rounds).values(due_at=now + lease))
    return True


def end_round(connection: Connection, *, now: datetime, due_at: datetime, done: bool) -> None:
    """As ``Ledger.end_revocation_round``, inside a transaction."""
    values: dict[str, Any] = {"due_at": due_at}
    if done:
        values["last_round_at"] = now
    connection.execute(update(revocation_rounds).values(values))


def last_round(connection: Connection) -> datetime | None:
    """When a round was completed last."""
    return connection.execute(select(revocation_rounds.c.last_round_at)).scalar()


def version(connection: Connection) -> int:
    """Grows with each change of the items; 0 when there has been none."""
    return connection.execute(select(revocation_rounds.c.version)).scalar() or 0


def _changed(connection: Connection, now: datetime) -> None:
    insert_new(connection, revocation_rounds, ("id",), {"id": _ROUND, "due_at": now, "version": 0})
    connection.execute(update(revocation_rounds).values(version=revocation_rounds.c.version + 1))


# Sources and their items

_SOURCE = [revocation_sources.c[name] for name in Source.__dataclass_fields__]


def sources(connection: Connection) -> list[Source]:
    """All sources, by name; without their items."""
    return [Source(**row._mapping) for row in connection.execute(select(*_SOURCE).order_by(revocation_sources.c.name))]


def plan(connection: Connection, wanted: Mapping[str, str], *, now: datetime) -> None:
    """Note sources (name → kind) that are to be asked from now on; those that are known stay as they are."""
    for part in chunks(list(wanted.items())):
        names = [name for name, _ in part]
        query = select(revocation_sources.c.name).where(revocation_sources.c.name.in_(names))
        known = set(connection.execute(query).scalars())
        for name, kind in part:
            if name not in known:
                values = {"name": name, "kind": kind, "due_at": now, "failures": 0}
                insert_new(connection, revocation_sources, ("name",), values)


def keep(connection: Connection, item: StoredItem, *, now: datetime, due_at: datetime) -> bool:
    """As ``Ledger.keep_revocation``, inside a transaction."""
    insert_new(
        connection,
        revocation_sources,
        ("name",),
        {"name": item.name, "kind": item.kind, "due_at": now, "failures": 0},
    )
    before = _locked(connection, item.name)
    _answered(connection, item.name, before, now=now)
    values: dict[str, Any] = {"due_at": due_at, "failures": 0, "last_success_at": now}
    # An older one than we have, from a server that lags behind or from somebody on the way, takes nothing back.
    is_new = before.sha256 != item.sha256 and (before.this_update is None or before.this_update <= item.this_update)
    if is_new:
        values |= {
            "this_update": item.this_update,
            "next_update": item.next_update,
            "sha256": item.sha256,
            "der": item.der,
        }
    connection.execute(update(revocation_sources).where(revocation_sources.c.name == item.name).values(values))
    if is_new:
        _changed(connection, now)
    return is_new


def same(connection: Connection, name: str, sha256: str, *, now: datetime, due_at: datetime) -> bool:
    """As ``Ledger.same_revocation``, inside a transaction."""
    before = connection.execute(
        select(revocation_sources.c.failures, revocation_sources.c.last_error_code)
        .where(revocation_sources.c.name == name, revocation_sources.c.sha256 == sha256)
        .with_for_update()
    ).one_or_none()
    if before is None:
        return False
    _answered(connection, name, before, now=now)
    values = {"due_at": due_at, "failures": 0, "last_success_at": now}
    connection.execute(update(revocation_sources).where(revocation_sources.c.name == name).values(values))
    return True


def _answered(connection: Connection, name: str, before: Any, *, now: datetime) -> None:
    """It is told when a source that had failed answers again."""
    if before.failures:
        facts = {"source": name, "failures": before.failures, "code": before.last_error_code}
        record(connection, [event(now, Action.REVOCATION_RECOVERED, **facts)])


def failed(connection: Connection, name: str, *, code: str, detail: str, now: datetime, due_at: datetime) -> None:
    """As ``Ledger.revocation_failed``, inside a transaction."""
    kind = "crl" if not name.startswith("ocsp:") else "ocsp"
    insert_new(connection, revocation_sources, ("name",), {"name": name, "kind": kind, "due_at": now, "failures": 0})
    before = _locked(connection, name)
    if not before.failures or before.last_error_code != code:
        # Once for each cause, not for each time that it is met.
        facts = {"source": name, "code": code, "detail": detail[:_LONGEST_DETAIL]}
        record(connection, [event(now, Action.REVOCATION_FAILED, **facts)])
    connection.execute(
        update(revocation_sources)
        .where(revocation_sources.c.name == name)
        .values(
            due_at=due_at,
            failures=before.failures + 1,
            last_failure_at=now,
            last_error_code=code,
            last_error_detail=detail[:_LONGEST_DETAIL],
        )
    )


def drop(connection: Connection, names: Collection[str], *, now: datetime) -> None:
    """Forget sources and their items."""
    for part in chunks(sorted(names)):
        connection.execute(delete(revocation_sources).where(revocation_sources.c.name.in_(part)))
    if names:
        _changed(connection, now)


def item_names(connection: Connection) -> dict[str, str]:
    """SHA-256 of the item of each source that has one, by name."""
    query = select(revocation_sources.c.name, revocation_sources.c.sha256)
    rows = connection.execute(query.where(revocation_sources.c.sha256.is_not(None)))
    return {row.name: row.sha256 for row in rows}


def items(connection: Connection, names: Sequence[str]) -> list[StoredItem]:
    """The items of some sources."""
    columns = [revocation_sources.c[name] for name in StoredItem.__dataclass_fields__]
    found: list[StoredItem] = []
    for part in chunks(names):
        query = select(*columns).where(revocation_sources.c.name.in_(part), revocation_sources.c.der.is_not(None))
        found += [StoredItem(**row._mapping) for row in connection.execute(query)]
    return found


def _locked(connection: Connection, name: str) -> Any:
    columns = [c for c in revocation_sources.c if c.name != "der"]
    return connection.execute(select(*columns).where(revocation_sources.c.name == name).with_for_update()).one()


# Certificates

_WATCHED = [watched_certificates.c[name] for name in Watched.__dataclass_fields__]


def watch(connection: Connection, new: Sequence[NewWatched], *, now: datetime, most_of_files: int) -> None:
    """As ``Ledger.watch_certificates``, inside a transaction."""
    table = watched_certificates
    for part in chunks(new):
        query = select(table.c.sha256, table.c.origin, table.c.last_seen).where(
            table.c.sha256.in_([c.sha256 for c in part])
        )
        known = {row.sha256: row for row in connection.execute(query)}
        for one in part:
            before = known.get(one.sha256)
            if before is None:
                values = {
                    "sha256": one.sha256,
                    "origin": one.origin,
                    "state": "not_asked",
                    "not_after": one.not_after,
                    "first_seen": now,
                    "last_seen": now,
                    "subject": one.subject,
                    "der": one.der,
                }
                insert_new(connection, table, ("sha256",), values)
            elif one.origin not in (before.origin, "file"):
                # Registered after it was met in a file, or the other way round: what is registered counts.
                connection.execute(update(table).where(table.c.sha256 == one.sha256).values(origin=one.origin))
            elif now - before.last_seen > timedelta(days=1):
                connection.execute(update(table).where(table.c.sha256 == one.sha256).values(last_seen=now))
    _forget(connection, most_of_files)


def _forget(connection: Connection, most: int) -> None:
    """Strangers sign files, too: of their certificates only so many are watched, those seen last."""
    table = watched_certificates
    of_files = table.c.origin == "file"
    count = connection.execute(select(func.count()).select_from(table).where(of_files)).scalar() or 0
    if count <= most:
        return
    oldest = select(table.c.sha256).where(of_files).order_by(table.c.last_seen, table.c.sha256).limit(count - most)
    names = list(connection.execute(oldest).scalars())
    for part in chunks(names):
        connection.execute(delete(table).where(table.c.sha256.in_(part)))


def watched(connection: Connection) -> list[Watched]:
    """All watched certificates, those that end first at the head; without their bytes."""
    query = select(*_WATCHED).order_by(watched_certificates.c.not_after, watched_certificates.c.sha256)
    return [Watched(**row._mapping) for row in connection.execute(query)]


def certificates(connection: Connection, names: Sequence[str]) -> dict[str, bytes]:
    """The DER of watched certificates by SHA-256; unknown ones are left out."""
    table = watched_certificates
    found: dict[str, bytes] = {}
    for part in chunks(names):
        rows = connection.execute(select(table.c.sha256, table.c.der).where(table.c.sha256.in_(part)))
        found |= {row.sha256: row.der for row in rows}
    return found


def note_findings(connection: Connection, found: Iterable[Finding], *, now: datetime) -> None:
    """As ``Ledger.note_revocation``, inside a transaction."""
    table = watched_certificates
    rows = []
    for one in found:
        before = connection.execute(
            select(table.c.state, table.c.revoked_at).where(table.c.sha256 == one.sha256).with_for_update()
        ).one_or_none()
        if before is None:
            continue
        if one.revoked_at is not None and one.revoked_at != before.revoked_at:
            facts = {"certificate": one.sha256, "revoked_at": one.revoked_at.isoformat(), "reason": one.reason}
            rows.append(event(now, Action.CERTIFICATE_REVOKED, **facts))
        elif one.state == "good" and before.revoked_at is not None:
            facts = {"certificate": one.sha256, "was": before.revoked_at.isoformat()}
            rows.append(event(now, Action.CERTIFICATE_UNREVOKED, **facts))
        connection.execute(
            update(table)
            .where(table.c.sha256 == one.sha256)
            .values(state=one.state, revoked_at=one.revoked_at, reason=one.reason, checked_at=now)
        )
    record(connection, rows)


def announce(connection: Connection, ends: Sequence[Expiring], *, now: datetime) -> None:
    """As ``Ledger.announce_expiring``, inside a transaction."""
    table = watched_certificates
    rows = []
    for one in ends:
        before = connection.execute(
            select(table.c.announced_days, table.c.announced_end).where(table.c.sha256 == one.sha256).with_for_update()
        ).one_or_none()
        if before is None or (before.announced_end == one.ends and (before.announced_days or 1_000) <= one.days):
            continue
        facts = {"certificate": one.sha256, "ends": one.ends.isoformat(), "days": one.days, **one.facts}
        rows.append(event(now, Action.CERTIFICATE_EXPIRING, **facts))
        connection.execute(
            update(table).where(table.c.sha256 == one.sha256).values(announced_days=one.days, announced_end=one.ends)
        )
    record(connection, rows)


# Signers inside files


def note_signers(
    connection: Connection, document: str, signers: Sequence[tuple[NewWatched, bool]], *, now: datetime, most: int
) -> None:
    """As ``Ledger.note_file_signers``, inside a transaction."""
    watch(connection, [one for one, _ in signers], now=now, most_of_files=most)
    connection.execute(delete(file_signers).where(file_signers.c.document == document))
    rows = [{"document": document, "certificate": one.sha256, "undecided": open_} for one, open_ in signers]
    connection.execute(file_signers.insert(), rows)


def examine_again(
    connection: Connection, certificate: str, *, since: datetime | None, now: datetime, after: str, limit: int
) -> tuple[int, str | None]:
    """
    As ``Ledger.examine_files_again`` for one portion, inside a transaction.

    :param after: the last document of the portion before; empty: this is the first.
    :return: how many are judged anew; the last document of this portion, or ``None`` when there are no more.
    """
    signed = select(file_signers.c.document).where(
        file_signers.c.certificate == certificate, file_signers.c.document > after
    )
    if since is None:
        signed = signed.where(file_signers.c.undecided)
    else:
        signed = signed.join(documents, documents.c.id == file_signers.c.document).where(
            documents.c.received_at >= since
        )
    found = list(connection.execute(signed.order_by(file_signers.c.document).limit(limit)).scalars())
    again = (
        update(examinations)
        .where(
            examinations.c.kind == ExaminationKind.FILES,
            examinations.c.state == ExaminationState.DONE,
            examinations.c.document.in_(found),
        )
        # What was let go is not called back: it is judged, and shown.
        .values(state=ExaminationState.PENDING, holds=False, due_at=now, attempts=0, token=None, changed_at=now)
    )
    # Whoever is judging them this moment goes by what was known before, and does not end it.
    begun = (
        update(examinations)
        .where(
            examinations.c.kind == ExaminationKind.FILES,
            examinations.c.state == ExaminationState.PENDING,
            examinations.c.token.is_not(None),
            examinations.c.document.in_(found),
        )
        .values(due_at=now, token=None, changed_at=now)
    )
    done = sum(connection.execute(one).rowcount for one in (begun, again)) if found else 0
    return done, found[-1] if len(found) == limit else None


# Judgements


def verified_by(
    connection: Connection, sha256: str, *, since: datetime | None, after: tuple[datetime, str] | None, limit: int
) -> list[tuple[str, datetime, Verdict]]:
    """As ``Ledger.documents_verified_by``, inside a transaction."""
    query = select(documents.c.id, documents.c.received_at, documents.c.verdict).where(
        documents.c.certificate == sha256, documents.c.certificate.is_not(None)
    )
    if since is not None:
        query = query.where(documents.c.received_at >= since)
    if after is not None:
        at, last = after
        query = query.where(
            (documents.c.received_at > at) | ((documents.c.received_at == at) & (documents.c.id > last))
        )
    query = query.order_by(documents.c.received_at, documents.c.id).limit(limit)
    return [(row.id, row.received_at, row.verdict) for row in connection.execute(query)]


def rejudge(connection: Connection, changes: Sequence[Rejudged], *, now: datetime) -> list[str]:
    """As ``Ledger.rejudge``, inside a transaction."""
    done: list[str] = []
    for part in chunks(changes):
        done += _rejudge(connection, part, now=now)
    return done


_NEW_VERDICT = (
    update(documents).where(documents.c.id == bindparam("of_document")).values(verdict=bindparam("new_verdict"))
)


def _rejudge(connection: Connection, changes: Sequence[Rejudged], *, now: datetime) -> list[str]:
    """A few statements for all: while one writes, SQLite lets nobody else."""
    ids = [change.document for change in changes]
    # Locked in one order, so that two who judge the same documents do not wait in a circle.
    query = select(documents.c.id, documents.c.verdict).where(documents.c.id.in_(ids)).order_by(documents.c.id)
    present = {row.id: row.verdict for row in connection.execute(query.with_for_update())}
    changed = [change for change in changes if present.get(change.document) == change.old]
    if not changed:
        return []
    with_history = select(judgements.c.document).where(judgements.c.document.in_(ids)).distinct()
    seen = set(connection.execute(with_history).scalars())
    history: list[dict[str, Any]] = []
    for change in changed:
        if change.document not in seen:
            history.append(_judgement(change.document, change.old.judged_at, AT_RECEIPT, change.old))
        history.append(_judgement(change.document, now, change.cause, change.new))
    connection.execute(judgements.insert(), history)
    connection.execute(_NEW_VERDICT, [{"of_document": c.document, "new_verdict": c.new} for c in changed])
    told = [event(now, Action.DOCUMENT_REJUDGED, document=c.document, **_facts(c)) for c in changed]
    record(connection, told)
    concerns.renew_all(connection, {c.document: not _became_good(c) for c in changed})
    return [change.document for change in changed]


def _became_good(change: Rejudged) -> bool:
    """What was not known has become known as good: nobody need look at that."""
    return change.old.standing is Standing.INDETERMINATE and change.new.standing in concerns.GOOD_STANDINGS


def _judgement(document: str, at: datetime, cause: str, verdict: Verdict) -> dict[str, Any]:
    return {"document": document, "at": at, "cause": cause, "verdict": verdict}


def _facts(change: Rejudged) -> dict[str, Any]:
    return {
        "old": change.old.standing.value,
        "new": change.new.standing.value,
        "reason": change.new.reason,
        "cause": change.cause,
        "certificate": change.new.certificate_sha256,
        "revoked_at": change.new.revoked_at.isoformat() if change.new.revoked_at else None,
    }


def history(connection: Connection, document: str) -> tuple[Judged, ...]:
    """The judgements of a document, oldest first; empty when the first one stands."""
    query = select(judgements).where(judgements.c.document == document).order_by(judgements.c.id)
    return tuple(_judged(row) for row in connection.execute(query))


def changed_verdicts(connection: Connection, *, limit: int, before: int | None) -> list[tuple[int, Judged]]:
    """Verdicts that changed after the acceptance, the latest first, each with its number."""
    query = select(judgements).where(judgements.c.cause != AT_RECEIPT)
    if before is not None:
        query = query.where(judgements.c.id < before)
    rows = connection.execute(query.order_by(judgements.c.id.desc()).limit(limit))
    return [(row.id, _judged(row)) for row in rows]


def _judged(row: Any) -> Judged:
    return Judged(document=row.document, at=row.at, cause=row.cause, verdict=row.verdict)
