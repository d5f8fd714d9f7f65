"""The routing log: what went where, and what is stuck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

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
from gateway.ledger.records import Concern, Counts, DeliveryRow, DocumentSummary, Glance, LogRow, Page, Report
from gateway.model import VIETNAM_TIME, DeliveryState, DocumentNumber, PackageKind

ROWS = 50
"""Of one page."""

LOOKED_BACK = timedelta(days=30)
"""For how long the first page counts what somebody should look at: most reasons never end."""

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
    glance: list[Mark]
    """Of its signatures and examinations."""


def lines_of(rows: Sequence[LogRow], now: datetime) -> list[Line]:
    """Rows of the ledger as of now."""
    statuses = {row.document.id for row in rows if row.document.kind is PackageKind.STATUS}
    ledger = parts().ledger
    reports = ledger.reports(sorted(statuses))
    glances = ledger.glances({row.document.id for row in rows})
    return [_line(row, reports.get(row.document.id), glances.get(row.document.id), now) for row in rows]


def _line(row: LogRow, report: Report | None, glance: Glance | None, now: datetime) -> Line:
    waited = words.long_wait(row.delivery, now)
    marks = words.glance_marks(glance)
    return Line(
        delivery=row.delivery,
        document=row.document,
        report=report,
        title=words.report_title(report, language()) if report else number_text(row.document),
        mark=words.delivery_mark(row.delivery, row.document.kind),
        attention=_louder(words.needs_attention(row.delivery, now), marks),
        waited=words.age(waited, language()) if waited else None,
        selectable=row.delivery.state is DeliveryState.ABANDONED,
        glance=marks,
    )


def _louder(attention: str | None, marks: Sequence[Mark]) -> str | None:
    """How much a row stands out, for its delivery or for what was found in its files."""
    tones = {attention, *(mark.tone for mark in marks)}
    return next((tone for tone in ("bad", "warn") if tone in tones), None)


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
        concerns=ledger.concern_counts(since=_looked_back(now)),
        looked_back=_looked_back(now),
        for_ever=Concern.KEPT,
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
    ledger = parts().ledger
    return jsonify(_counted(ledger.counts(kind=known), ledger.concern_counts(since=_looked_back(parts().clock()))))


def _looked_back(now: datetime) -> datetime:
    """Since when documents are counted that somebody should look at: midnight in Vietnam, as a day that is typed."""
    day = (now - LOOKED_BACK).astimezone(VIETNAM_TIME).date()
    return datetime.combine(day, time(), VIETNAM_TIME)


def _counted(found: Counts, concerns: Mapping[Concern, int]) -> dict[str, dict[str, int | str]]:
    values: dict[str, int] = {state.value: n for state, n in found.states.items()}
    values |= {"parked": found.parked_statuses, "refusals": found.refusals}
    values |= {f"concern-{concern}": n for concern, n in concerns.items()}
    return {"counts": {**values}, "text": {name: number(n) for name, n in values.items()}}
