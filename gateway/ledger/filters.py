"""Filters and cursors as SQL."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select, true
from sqlalchemy.sql.util import ClauseAdapter

from gateway.errors import RequestError
from gateway.ledger.identity import stored
from gateway.ledger.records import Filter
from gateway.ledger.tables import deliveries, documents
from gateway.model import AgencyCode, fold

MOST_ROWS = 200
"""Of one page."""

MOST_WORDS = 8
"""Of one search; further ones are not looked for."""

Condition = ColumnElement[bool]


def words(text: str | None) -> list[str]:
    """The search words, without accents and case."""
    # NUL separates words like a blank: no stored text holds one, and PostgreSQL takes none.
    return fold((text or "").replace("\0", " ")).split()[:MOST_WORDS]


def delivery_conditions(filters: Filter) -> list[Condition]:
    """All conditions, for deliveries joined with their documents."""
    return [*_delivery_common(filters), or_(*delivery_alternatives(filters))]


def delivery_page_conditions(filters: Filter) -> tuple[list[Condition], list[Condition]]:
    """What every row must meet, and alternatives of which it must meet one, each served by an index of its own."""
    return _delivery_common(filters), delivery_alternatives(filters)


def delivery_alternatives(filters: Filter) -> list[Condition]:
    """The ways in which a row can concern the agency asked for."""
    if filters.agency is not None:
        return [deliveries.c.sender == filters.agency, deliveries.c.recipient == filters.agency]
    return [true()] if filters.visible_to is None else _visible_deliveries(filters.visible_to)


def _visible_deliveries(agency: AgencyCode) -> list[Condition]:
    return [
        deliveries.c.sender == agency,
        deliveries.c.recipient == agency,
        deliveries.c.via == agency,
        documents.c.received_from == agency,
    ]


def _delivery_common(filters: Filter) -> list[Condition]:
    conditions = _times(filters, deliveries.c.accepted_at) + _of_delivery(filters) + _of_document(filters)
    if filters.sender is not None:
        conditions.append(deliveries.c.sender == filters.sender)
    if filters.kind is not None:
        conditions.append(deliveries.c.kind == filters.kind)
    if filters.agency is not None and filters.visible_to is not None:
        conditions.append(or_(*_visible_deliveries(filters.visible_to)))
    for word in words(filters.text):
        conditions.append(or_(_has(documents.c.folded, word), _has(deliveries.c.folded, word)))
    return conditions


def document_page_conditions(filters: Filter) -> tuple[list[Condition], list[tuple[bool, Condition]]]:
    """
    As ``delivery_page_conditions``, for documents.

    :return: the flag of an alternative says that it is about a delivery of the document, to be joined.
    """
    conditions = _times(filters, documents.c.received_at) + _of_document(filters)
    if filters.sender is not None:
        conditions.append(documents.c.sender == filters.sender)
    if filters.kind is not None:
        conditions.append(documents.c.kind == filters.kind)
    if of_one := _of_delivery(filters):
        conditions.append(_some_delivery(*of_one))
    if filters.agency is not None and filters.visible_to is not None:
        conditions.append(visible_to(filters.visible_to))
    for word in words(filters.text):
        conditions.append(or_(_has(documents.c.folded, word), _some_delivery(_has(deliveries.c.folded, word))))
    if filters.agency is not None:
        return conditions, [
            (False, documents.c.sender == filters.agency),
            (True, deliveries.c.recipient == filters.agency),
        ]
    return conditions, [(False, true())] if filters.visible_to is None else _visible_documents(filters.visible_to)


def _visible_documents(agency: AgencyCode) -> list[tuple[bool, Condition]]:
    return [
        (False, documents.c.sender == agency),
        (False, documents.c.received_from == agency),
        (True, deliveries.c.recipient == agency),
        (True, deliveries.c.via == agency),
    ]


def visible_to(agency: AgencyCode) -> Condition:
    """Whether a document is this agency's to see, as one condition."""
    return or_(*(_some_delivery(c) if on_delivery else c for on_delivery, c in _visible_documents(agency)))


def _some_delivery(*conditions: Condition) -> Condition:
    # An alias, because the outer statement may join the deliveries for another reason.
    one = deliveries.alias()
    adapted = [ClauseAdapter(one).traverse(condition) for condition in conditions]
    return select(one.c.id).where(one.c.document == documents.c.id, *adapted).correlate(documents).exists()


def _times(filters: Filter, accepted_at: ColumnElement[datetime]) -> list[Condition]:
    conditions: list[Condition] = []
    if filters.since is not None:
        conditions.append(accepted_at >= filters.since)
    if filters.until is not None:
        conditions.append(accepted_at < filters.until)
    return conditions


def _of_document(filters: Filter) -> list[Condition]:
    if filters.identity is None:
        return []
    name = stored(filters.identity)
    return [or_(documents.c.identity == name, documents.c.alias == name)]


def _of_delivery(filters: Filter) -> list[Condition]:
    conditions: list[Condition] = []
    if filters.recipient is not None:
        conditions.append(deliveries.c.recipient == filters.recipient)
    if filters.via is not None:
        conditions.append(deliveries.c.via == filters.via)
    if filters.states:
        conditions.append(deliveries.c.state.in_(filters.states))
    return conditions


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
    return moment, row_id


def bounded(limit: int) -> int:
    """
    The limit, if it is one.

    :raises RequestError: it is not between 1 and ``MOST_ROWS``.
    """
    if not 1 <= limit <= MOST_ROWS:
        raise RequestError(f"A page has 1 to {MOST_ROWS} rows.", path="limit")
    return limit
