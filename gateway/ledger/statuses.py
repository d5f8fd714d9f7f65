"""Reported statuses: found their document and their copy of it, or wait until these come."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, bindparam, or_, select, text, union, update

from gateway.ledger import recalls, settling
from gateway.ledger.actions import Action
from gateway.ledger.bounds import LONGEST_DESCRIPTION, cut
from gateway.ledger.identity import stored, stored_all
from gateway.ledger.records import NewDocument, NewStatus, StatusEffect
from gateway.ledger.rows import Insert, Question
from gateway.ledger.statements import event, record
from gateway.ledger.states import TRANSITIONS, DeliveryEvent, judge_status
from gateway.ledger.tables import WITHOUT_COPY, attempts, deliveries, documents, statuses
from gateway.model import AgencyCode, BusinessType, DeliveryState, PackageKind, StatusCode


def find_report(connection: Connection, status: NewStatus) -> str | None:
    """The package (gateway's id) that reported this very status before."""
    found = _REPORTED.first(
        connection,
        status.reporter,
        status.about_sender,
        stored(status.about_identity),
        status.code,
        status.reported_at,
        _particulars(status),
    )
    return None if found is None else found[0]


_REPORTED = Question(
    "SELECT package FROM statuses WHERE reporter = ? AND about_sender = ? AND about_identity = ?"
    " AND code = ? AND reported_at = ? AND particulars = ?",
    *(statuses.c[name] for name in ("reporter", "about_sender", "about_identity", "code", "reported_at")),
    statuses.c.particulars,
)


def _particulars(status: NewStatus) -> str:
    """
    What tells two reports of one second apart: whose copy, and the words.

    A sender asks several receivers at once for their copies; a corrected reason is not a repetition.
    """
    # The agency meant, and not those whose place it has taken by now: that would change with the directory.
    return hashlib.sha256("\0".join([*status.copy_of[:1], status.description or ""]).encode()).hexdigest()


_INSERT = Insert(statuses)


def report(
    connection: Connection, status: NewStatus, *, package: str, received_at: datetime, by_gateway: bool = False
) -> StatusEffect:
    """
    Record one status and let it take effect, or park it.

    :param by_gateway: an answer to an operation has taken effect where the gateway gave it.
    """
    names = stored_all((status.about_identity, status.about_alias))
    document, delivery = _locate(connection, status.about_sender, names, status.copy_of)
    said = _Said(code=status.code, reporter=status.reporter, status=status.id, by_gateway=by_gateway)
    effect = _effect(connection, document, delivery, said, received_at)
    values = {
        "id": status.id,
        "package": package,
        "document": document,
        "delivery": delivery.id if delivery else None,
        "code": status.code,
        "description": cut(status.description, LONGEST_DESCRIPTION),
        "reported_at": status.reported_at,
        "received_at": received_at,
        "reporter": status.reporter,
        "about_sender": status.about_sender,
        "about_identity": stored(status.about_identity),
        "about_alias": stored(status.about_alias) if status.about_alias else None,
        "copy_of": tuple(status.copy_of),
        "particulars": _particulars(status),
        "effect": effect,
    }
    _INSERT.one(connection, values)
    action = {
        StatusEffect.PARKED: Action.STATUS_PARKED,
        StatusEffect.CONTRADICTORY: Action.STATUS_CONTRADICTORY,
    }.get(effect, Action.STATUS_RECEIVED)
    _record(
        connection,
        received_at,
        action,
        document=document or package,
        delivery=delivery,
        reporter=status.reporter,
        status=status.code.value,
        effect=effect.value,
        package=package,
    )
    return effect


# Two names at most, so that the statement is the same each time; one search per column, so that each has its index.
_NAMES: list[BindParameter[str]] = [bindparam("identity"), bindparam("alias")]
_WAITING = select(statuses.c.id).where(text(WITHOUT_COPY), statuses.c.about_sender == bindparam("sender"))
_ALL_WAITING = (
    select(statuses)
    .where(
        statuses.c.id.in_(
            union(
                _WAITING.where(statuses.c.about_identity.in_(_NAMES)),
                _WAITING.where(statuses.c.about_alias.in_(_NAMES)),
            )
        )
    )
    .order_by(statuses.c.received_at, statuses.c.id)
)


# Asked for every document, and almost always there is none.
_ABOUT = (statuses.c.about_sender, statuses.c.about_identity, statuses.c.about_identity)
_ANY_WAITING = Question(
    f"SELECT 1 FROM statuses WHERE {WITHOUT_COPY} AND about_sender = ? AND about_identity IN (?, ?)"  # noqa: S608 # a constant
    f" UNION ALL SELECT 1 FROM statuses WHERE {WITHOUT_COPY} AND about_sender = ? AND about_alias IN (?, ?) LIMIT 1",
    *_ABOUT,
    *_ABOUT,
)


def apply_parked(connection: Connection, document: NewDocument) -> None:
    """
    Let the statuses that came before this document, or before their copy of it, take effect in their order.

    To be called whenever a document gets deliveries, the first or further ones.
    """
    names = {"identity": stored(document.identity), "alias": stored(document.alias) if document.alias else None}
    asked = (document.sender, names["identity"], names["alias"])
    if _ANY_WAITING.first(connection, *asked, *asked) is None:
        return
    waiting = connection.execute(_ALL_WAITING, {"sender": document.sender, **names}).all()
    at = document.received_at
    for row in waiting:
        about = stored_all((row.about_identity, row.about_alias))
        found, delivery = _locate(connection, row.about_sender, about, row.copy_of)
        effect = _effect(connection, found, delivery, _Said(code=row.code, reporter=row.reporter, status=row.id), at)
        if effect is row.effect:  # still unmatched
            continue
        connection.execute(
            update(statuses)
            .where(statuses.c.id == row.id)
            .values(document=found, delivery=delivery.id if delivery else None, effect=effect)
        )
        contradictory = effect is StatusEffect.CONTRADICTORY
        action = Action.STATUS_CONTRADICTORY if contradictory else Action.STATUS_APPLIED
        _record(
            connection,
            at,
            action,
            document=found or document.id,
            delivery=delivery,
            reporter=row.reporter,
            status=row.code.value,
            effect=effect.value,
            package=row.package,
        )


def _locate(
    connection: Connection, sender: str, names: Sequence[str], copy_of: Sequence[str]
) -> tuple[str | None, Row[Any] | None]:
    """
    The document that these names stand for, and the reporter's delivery of it, locked.

    Several packages can carry one identity (a document and its updates): the oldest kind that was
    delivered to the reporter is meant, since the main line of statuses belongs to it (domain §1.7);
    but not what it gave back, once an update has come to it as a document of its own.

    :param names: the surest first. A number that a careless sender gave to two documents must not bring one
        of them what is said of the other by its own id.
    """
    ids = next((found for name in names if (found := _named_so(connection, sender, name))), ())
    if not ids:
        return None, None
    copies = connection.execute(
        select(deliveries)
        .where(
            deliveries.c.document.in_(ids),
            # Not by whom a redirected copy was meant for: who may speak for that one need not for its successor.
            deliveries.c.recipient.in_(list(copy_of)),
        )
        .order_by(deliveries.c.id)
        .with_for_update()
    ).all()
    if not copies:
        return ids[0], _went_instead(connection, ids, copy_of[0])
    delivery = recalls.the_copy(connection, copies, ids, copy_of)
    assert delivery is not None  # there are copies
    return delivery.document, delivery


def _named_so(connection: Connection, sender: str, name: str) -> Sequence[str]:
    """The documents of a sender under one name, the oldest kind and the oldest first; last recalls, which are none."""
    known = [
        documents.c.sender == sender,
        documents.c.kind == PackageKind.DOCUMENT,
        or_(documents.c.identity == name, documents.c.alias == name),
    ]
    return connection.scalars(
        select(documents.c.id)
        .where(*known)
        .order_by(documents.c.business_type == BusinessType.REVOKE, documents.c.business_type, documents.c.received_at)
    ).all()


def _went_instead(connection: Connection, ids: Sequence[str], reporter: str) -> Row[Any] | None:
    """
    The delivery that the next gateway made to the reporter instead of its recipient, as its receipt says; locked.

    That gateway may know of a successor, or of another code, that our directory does not. Receipts name all
    recipients of one post: when several copies of it went elsewhere, nobody guesses which one went where.
    """
    columns = [deliveries.c[name] for name in ("id", "recipient", "as_written")]
    tried = connection.execute(
        select(*columns, attempts.c.receipt)
        .join_from(deliveries, attempts)
        .where(deliveries.c.document.in_(ids), attempts.c.receipt.is_not(None))
    )
    found = set()
    for row in tried:
        given_to = _recipients(row.receipt)
        if reporter in given_to and given_to.isdisjoint((row.recipient, AgencyCode.normal(row.as_written))):
            found.add(row.id)
    if len(found) != 1:
        return None
    return connection.execute(select(deliveries).where(deliveries.c.id == found.pop()).with_for_update()).one()


def _recipients(receipt: str) -> set[str]:
    """Whom a peer's receipt names; only its hash was looked at when it came."""
    named = json.loads(receipt).get("recipients")
    return {AgencyCode.normal(code) for code in named if isinstance(code, str)} if isinstance(named, list) else set()


@dataclass(frozen=True, kw_only=True)
class _Said:
    """What a report says, who says it, and its id."""

    code: StatusCode
    reporter: AgencyCode
    status: str
    by_gateway: bool = False


def _effect(
    connection: Connection, document: str | None, delivery: Row[Any] | None, said: _Said, now: datetime
) -> StatusEffect:
    code = said.code
    if document is None:
        return StatusEffect.PARKED
    if delivery is None:
        return StatusEffect.UNMATCHED
    answers_operation = code in (StatusCode.AGREED, StatusCode.DISAGREED)
    if answers_operation and said.by_gateway:
        return StatusEffect.ANSWERED
    if delivery.state is DeliveryState.WITHDRAWN:
        return StatusEffect.RECORDED
    if answers_operation:
        reporter, status = said.reporter, said.status
        answers = recalls.answer(connection, delivery, code, reporter=reporter, status=status, now=now)
        return StatusEffect.ANSWERED if answers else StatusEffect.RECORDED
    effect = judge_status(delivery.status, code)
    if effect in (StatusEffect.ADVANCED, StatusEffect.REFUSED):
        connection.execute(
            update(deliveries).where(deliveries.c.id == delivery.id).values(status=code, status_at=now, changed_at=now)
        )
        happening = DeliveryEvent.REPORT_REFUSAL if effect is StatusEffect.REFUSED else DeliveryEvent.REPORT_ARRIVAL
        # A status often says what is known already; only a change of state is a transition.
        if (delivery.state, happening) in TRANSITIONS:
            # Who collected it before may still repeat the acknowledgement.
            kept = {} if delivery.state.is_open else {"token": delivery.token}
            step = settling.Move(delivery=delivery, happening=happening, changes=kept, data={"by_status": code.value})
            settling.move(connection, step, now=now)
    if effect is StatusEffect.REFUSED:
        recalls.refused(connection, delivery, reporter=said.reporter, status=said.status, now=now)
    return effect


def _record(
    connection: Connection,
    at: datetime,
    action: Action,
    *,
    document: str,
    delivery: Row[Any] | None,
    reporter: str,
    **facts: str,
) -> None:
    delivery_id = delivery.id if delivery else None
    record(connection, [event(at, action, document=document, delivery=delivery_id, actor=reporter, **facts)])
