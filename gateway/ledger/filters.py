"""Filters and cursors as SQL."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal_column, or_, select, true, union
from sqlalchemy.sql.util import ClauseAdapter

from gateway.errors import RequestError
from gateway.ledger.identity import stored
from gateway.ledger.records import Filter, OperationState
from gateway.ledger.tables import deliveries, document_concerns, documents, operation_requests, statuses
from gateway.model import AgencyCode, DeliveryState, Lane, PackageKind, fold

MOST_ROWS = 200
"""Of one page."""

MOST_WORDS = 8
"""Of one search; further ones are not looked for."""

Condition = ColumnElement[bool]


def words(text: str | None) -> list[str]:
    """The search words, without accents and case."""
    # NUL separates words like a blank: no stored text holds one, and PostgreSQL takes none.
    return fold((text or "").replace("\0", " ")).split()[:MOST_WORDS]


@dataclass(frozen=True)
class Way:
    """One of the ways in which a row can be meant by a filter; each is served by an index of its own."""

    condition: Condition
    on_delivery: bool
    """Whether the index is one on deliveries; their ``accepted_at`` is their document's ``received_at``."""
    received_at: ColumnElement[datetime] | None = None
    """That time as the index has it when it is one on neither deliveries nor documents."""


def ways(filters: Filter, *, on_delivery: bool) -> list[Way]:
    """
    The ways of the most telling member of a filter; a row has to be met by one of them.

    :param on_delivery: which table to go by when no member tells.
    """
    if filters.concern is not None:
        own = document_concerns.c
        condition = and_(own.document == documents.c.id, own.concern == filters.concern)
        return [Way(condition, on_delivery=False, received_at=own.received_at)]
    if filters.agency is not None:
        return _concerning(filters.agency)
    if filters.visible_to is not None:
        return _visible(filters.visible_to)
    if filters.sender is not None:
        return [Way(documents.c.sender == filters.sender, on_delivery=False)]
    if filters.recipient is not None:
        return [Way(deliveries.c.recipient == filters.recipient, on_delivery=True)]
    in_states = [Way(deliveries.c.state == state, on_delivery=True) for state in sorted(filters.states)]
    return in_states or [Way(true(), on_delivery=on_delivery)]


def _concerning(agency: AgencyCode) -> list[Way]:
    return [
        Way(documents.c.sender == agency, on_delivery=False),
        Way(deliveries.c.recipient == agency, on_delivery=True),
    ]


_TO_BE_SEEN = and_(
    or_(deliveries.c.state != DeliveryState.WITHDRAWN, deliveries.c.status.is_not(None)), deliveries.c.blockers == 0
)
"""Of a copy by its receiver: neither taken back before it was collected, nor held up behind an earlier one."""


def _visible(agency: AgencyCode) -> list[Way]:
    # Mostly the sender hands over and the recipient is the endpoint itself; the indexes hold the exceptions only.
    return [
        Way(documents.c.sender == agency, on_delivery=False),
        Way(
            and_(documents.c.received_from == agency, documents.c.received_from != documents.c.sender),
            on_delivery=False,
        ),
        Way(and_(deliveries.c.recipient == agency, _TO_BE_SEEN), on_delivery=True),
        Way(
            and_(deliveries.c.via == agency, deliveries.c.via != deliveries.c.recipient, _TO_BE_SEEN),
            on_delivery=True,
        ),
    ]


def delivery_conditions(filters: Filter) -> list[Condition]:
    """What a delivery, joined with its document, must meet besides one of the ways and the times."""
    conditions = _of_delivery(filters) + _of_document(filters)
    if filters.kind is not None:
        conditions.append(deliveries.c.kind == filters.kind)
    if filters.concern is not None and filters.agency is not None:
        conditions.append(or_(*(way.condition for way in _concerning(filters.agency))))
    if filters.visible_to is not None and (filters.agency is not None or filters.concern is not None):
        conditions.append(or_(*(way.condition for way in _visible(filters.visible_to))))
    for word in words(filters.text):
        conditions.append(
            or_(_has(documents.c.folded, word), _has(deliveries.c.folded, word), *_of_report(filters, word))
        )
    return conditions


def document_conditions(filters: Filter) -> list[Condition]:
    """What a document must meet besides one of the ways and the times; of its deliveries, some one must."""
    conditions = _of_document(filters)
    if filters.kind is not None:
        conditions.append(documents.c.kind == filters.kind)
    if of_one := _of_delivery(filters):
        if filters.visible_to is not None:
            # What became of the copies of others is not told by asking for it either.
            of_one.append(or_(_brought(filters.visible_to), _received(filters.visible_to)))
        conditions.append(_some_delivery(*of_one))
    if filters.concern is not None and filters.agency is not None:
        conditions.append(
            or_(documents.c.sender == filters.agency, _some_delivery(deliveries.c.recipient == filters.agency))
        )
    if filters.visible_to is not None and (filters.agency is not None or filters.concern is not None):
        conditions.append(visible_to(filters.visible_to))
    for word in words(filters.text):
        conditions.append(
            or_(
                _has(documents.c.folded, word),
                _some_delivery(_has(deliveries.c.folded, word)),
                *_of_report(filters, word),
            )
        )
    return conditions


def visible_to(agency: AgencyCode) -> Condition:
    """Whether a document is this agency's to see, as one condition."""
    return or_(_brought(agency), _some_delivery(_received(agency)))


def _brought(agency: AgencyCode) -> Condition:
    return or_(documents.c.sender == agency, documents.c.received_from == agency)


def _received(agency: AgencyCode) -> Condition:
    return and_(or_(deliveries.c.recipient == agency, deliveries.c.via == agency), _TO_BE_SEEN)


def _some_delivery(*conditions: Condition) -> Condition:
    # An alias, because the outer statement may join the deliveries for another reason.
    one = deliveries.alias()
    adapted = [ClauseAdapter(one).traverse(condition) for condition in conditions]
    return select(one.c.id).where(one.c.document == documents.c.id, *adapted).correlate(documents).exists()


def within_times(filters: Filter, accepted_at: ColumnElement[datetime]) -> list[Condition]:
    """The bounds in time, on the column that a list goes by."""
    conditions: list[Condition] = []
    if filters.since is not None:
        conditions.append(accepted_at >= filters.since)
    if filters.until is not None:
        conditions.append(accepted_at < filters.until)
    return conditions


def _of_document(filters: Filter) -> list[Condition]:
    conditions: list[Condition] = []
    if filters.sender is not None:
        conditions.append(documents.c.sender == filters.sender)
    if filters.identity is not None:
        name = stored(filters.identity)
        conditions.append(or_(documents.c.identity == name, documents.c.alias == name))
    return conditions


def _asked_so(state: OperationState) -> Condition:
    """Whether an operation in this state concerns a delivery, or is what it brings."""
    # The state is written out, so that the planners see that the index on the open ones serves.
    so: ColumnElement[bool] = literal_column(f"operation_requests.state = '{state.value}'")
    asked = union(
        select(operation_requests.c.delivery).where(so, operation_requests.c.delivery.is_not(None)),
        select(operation_requests.c.own).where(so, operation_requests.c.own.is_not(None)),
    )
    return deliveries.c.id.in_(asked)


def _of_delivery(filters: Filter) -> list[Condition]:
    conditions: list[Condition] = []
    if filters.recipient is not None:
        conditions.append(deliveries.c.recipient == filters.recipient)
    if filters.via is not None:
        conditions.append(deliveries.c.via == filters.via)
    if filters.operation is not None:
        conditions.append(_asked_so(filters.operation))
    if filters.states:
        conditions.append(deliveries.c.state.in_(filters.states))
    return conditions


def _of_report(filters: Filter, word: str) -> list[Condition]:
    """Whether it is a status, of a document with this word; as one condition, or none where that is not to be found."""
    # An agency may report on a document that it cannot see: what the search finds would tell it the subject.
    if filters.kind is PackageKind.DOCUMENT or filters.visible_to is not None:
        return []
    about = documents.alias()
    named = (_has(_without_marks(name), word) for name in (statuses.c.about_identity, statuses.c.about_alias))
    report = (
        select(statuses.c.id)
        .select_from(statuses.outerjoin(about, statuses.c.document == about.c.id))
        .where(statuses.c.package == documents.c.id, or_(_has(about.c.folded, word), *named))
        .correlate(documents)
    )
    return [and_(documents.c.kind == PackageKind.STATUS, report.exists())]


def _without_marks(column: ColumnElement[Any]) -> ColumnElement[str]:
    """A name as ``fold`` makes it, as far as both engines can: of the letters with marks, numbers hold the đ alone."""
    # SQLite lowers the letters of ASCII only.
    return func.replace(func.replace(func.lower(column), "đ", "d"), "Đ", "d")


def _has(column: ColumnElement[str], word: str) -> Condition:
    return column.contains(word, autoescape=True)


# Cursors


def encode_cursor(*position: Any) -> str:
    """A position in a list, opaque to those who carry it."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *types: type) -> list[Any]:
    """
    The position that ``encode_cursor`` made.

    :raises RequestError: it did not.
    """
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as e:
        raise RequestError("The cursor is not one that this gateway gave.", path="cursor") from e
    if (
        not isinstance(position, list)
        or len(position) != len(types)
        or not all(type(p) is t for p, t in zip(position, types, strict=True))
    ):
        raise RequestError("The cursor is not one that this gateway gave.", path="cursor")
    return position


def moment_cursor(cursor: str) -> tuple[datetime, str]:
    """
    A position in a list by time and id.

    :raises RequestError: the cursor is not of such a list.
    """
    at, row_id = decode_cursor(cursor, str, str)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as e:
        raise RequestError("The cursor is not one that this gateway gave.", path="cursor") from e
    if moment.tzinfo is None:
        raise RequestError("The cursor is not one that this gateway gave.", path="cursor")
    try:
        return moment.astimezone(UTC), row_id
    except OverflowError as e:  # at the ends of the calendar
        raise RequestError("The cursor is not one that this gateway gave.", path="cursor") from e


def after_in_mailbox(cursor: str) -> ColumnElement[bool]:
    """
    What follows a position in a mailbox, which has the most urgent first and of each lane the oldest.

    :raises RequestError: the cursor is not of such a list.
    """
    number, last = decode_cursor(cursor, int, str)
    if number not in set(Lane):
        raise RequestError("The cursor is not one that this gateway gave.", path="cursor")
    lane = Lane(number)
    return or_(deliveries.c.lane < lane, and_(deliveries.c.lane == lane, deliveries.c.id > last))


def bounded(limit: int, most: int = MOST_ROWS) -> int:
    """
    The limit, if it is one.

    :raises RequestError: it is not between 1 and ``most``.
    """
    if not 1 <= limit <= most:
        raise RequestError(f"A page has 1 to {most} rows.", path="limit")
    return limit
