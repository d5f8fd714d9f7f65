"""The routing log: what went where, and what is stuck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import jsonify, render_template, request
from flask.typing import ResponseReturnValue

from gateway.console import words
from gateway.console.access import visitor
from gateway.console.blueprint import pages
from gateway.console.filters import EVERY_KIND, OFFERED_OPERATIONS, agency_label, read_filters
from gateway.console.parts import parts
from gateway.console.rendering import directory, language, number
from gateway.console.verdicts import Mark
from gateway.exchange.stamping import overdue
from gateway.ledger.records import Counts, DeliveryRow, DocumentSummary, LogRow, Page, Report
from gateway.model import DeliveryState, DocumentNumber, PackageKind

ROWS = 50
"""Of one page."""

LISTED_AGENCIES = 300
"""A directory up to this size is offered whole, which works without JavaScript; a larger one as it is typed into."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row as the table shows it."""

    delivery: DeliveryRow
    document: DocumentSummary
    report: Report | None
    """What it says when it is a status."""
    title: str | None
    """What people call it; ``None`` for a document without a number."""
    mark: Mark
    attention: str | None
    waited: str | None
    """Age in words, when it has been open for too long."""
    selectable: bool


def lines_of(rows: Sequence[LogRow], now: datetime) -> list[Line]:
    """Rows of the ledger as of now."""
    statuses = {row.document.id for row in rows if row.document.kind is PackageKind.STATUS}
    reports = parts().ledger.reports(sorted(statuses))
    return [_line(row, reports.get(row.document.id), now) for row in rows]


def _line(row: LogRow, report: Report | None, now: datetime) -> Line:
    waited = words.long_wait(row.delivery, now)
    return Line(
        delivery=row.delivery,
        document=row.document,
        report=report,
        title=words.report_title(report, language()) if report else number_text(row.document),
        mark=words.delivery_mark(row.delivery, row.document.kind),
        attention=words.needs_attention(row.delivery, now),
        waited=words.age(waited, language()) if waited else None,
        selectable=row.delivery.state is DeliveryState.ABANDONED,
    )


def number_text(document: DocumentSummary) -> str | None:
    """Number and notation as on paper."""
    return DocumentNumber(number=document.number, notation=document.notation).text


@pages.get("/")
def log() -> ResponseReturnValue:
    """The first page."""
    asked = read_filters(request.args, directory())
    ledger = parts().ledger
    cursor = request.args.get("cursor") or None
    filters = asked.filters
    backwards = filters.since is not None and filters.until is not None and filters.since >= filters.until
    found: Page[LogRow] = Page(rows=(), next=None)
    if not backwards:
        found = ledger.search(filters, limit=ROWS, cursor=cursor)
    now = parts().clock()
    lines = lines_of(found.rows, now)
    person = visitor()
    known = directory()
    return render_template(
        "console/log.html",
        asked=asked,
        backwards=backwards,
        lines=lines,
        next=found.next,
        cursor=cursor,
        counts=ledger.counts(kind=asked.kind),
        unstamped_hours=_unstamped_hours(now),
        selecting=person is not None and person.may_replay and any(each.selectable for each in lines),
        agencies=[agency_label(a) for a in known.agencies()] if len(known) <= LISTED_AGENCIES else (),
        agency_label=agency_label,
        every_kind=EVERY_KIND,
        operations_offered=OFFERED_OPERATIONS,
    )


def _unstamped_hours(now: datetime) -> int | None:
    """For how many hours a stamp of the event log could not be had, once that is an alarm."""
    late = overdue(parts().ledger.log.newest_stamp(), now=now)
    return int(late / timedelta(hours=1)) if late > parts().timestamp_alarm else None


@pages.get("/counts.json")
def counts() -> ResponseReturnValue:
    """Live counts, for the script: exact numbers and as they are written."""
    kind = request.args.get("kind")
    known = next((k for k in PackageKind if k.value == kind), None)
    return jsonify(_counted(parts().ledger.counts(kind=known)))


def _counted(found: Counts) -> dict[str, dict[str, int | str]]:
    values: dict[str, int] = {state.value: n for state, n in found.states.items()}
    values |= {"parked": found.parked_statuses, "refusals": found.refusals}
    return {"counts": {**values}, "text": {name: number(n) for name, n in values.items()}}
