"""One document: its facts, its way, its proof."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Response, abort, render_template, send_file
from flask.typing import ResponseReturnValue

from gateway.console import words
from gateway.console.access import actor, demand_replay, note
from gateway.console.blueprint import pages
from gateway.console.log import number_text
from gateway.console.parts import parts
from gateway.console.rendering import agency_name, language
from gateway.console.verdicts import FILE_STANDINGS, Mark, subject_name, verdict_sentence
from gateway.console.way import steps
from gateway.evidence.container import MEDIA_TYPE as EVIDENCE_TYPE
from gateway.ledger.actions import Action
from gateway.ledger.records import AttemptRow, DeliveryRow, ExaminationRow, Trace
from gateway.ledger.states import DeliveryEvent, states_that
from gateway.model import DeliveryState, ExaminationKind, ExaminationState, FileVerdict, PackageKind

REPLAYABLE = states_that(DeliveryEvent.REPLAY)

REASON_LONGEST = 500
"""Characters, of why an operator does something."""

LEGS_SHOWN = 25
"""Of many recipients; the others are folded, those that need attention come first."""

STEPS_SHOWN = 40
"""Of a long way; the earlier ones are folded."""

ALARMS_SHOWN = 10
"""Files told at the head of the page; an archive may hold hundreds."""

_TONES = {"bad": 0, "warn": 1, None: 2}


@dataclass(frozen=True, kw_only=True)
class Leg:
    """One recipient's part of the way."""

    delivery: DeliveryRow
    mark: Mark
    attention: str | None
    waited: str | None
    attempts: tuple[AttemptRow, ...]
    replayable: bool


@pages.get("/documents/<document_id>")
def document(document_id: str) -> ResponseReturnValue:
    """The page of one accepted package."""
    trace = parts().ledger.trace(document_id)
    if trace is None:
        abort(404)
    way = steps(trace, language(), agency_name)
    examinations = parts().ledger.examinations(document_id)
    files = _files(examinations)
    alarming = [f for each in files.values() for f in each if FILE_STANDINGS[f.standing].tone == "bad"]
    legs = _legs(trace, kept_back=_refused(examinations))
    report = parts().ledger.reports([trace.document.id]).get(trace.document.id)
    sender = agency_name(trace.document.sender, trace.document.sender_name)
    return render_template(
        "console/document.html",
        doc=trace.document,
        report=report,
        title=words.report_title(report, language()) if report else number_text(trace.document),
        number_text=number_text,
        legs=legs,
        legs_shown=LEGS_SHOWN,
        tally=Counter(leg.mark for leg in legs).most_common(),
        failed=[leg.delivery.id for leg in legs if leg.replayable],
        older=way[:-STEPS_SHOWN],
        way=way[-STEPS_SHOWN:],
        statuses=trace.statuses,
        operations=trace.operations,
        requests=trace.requests,
        own_code=parts().directory().local.code,
        sentence=verdict_sentence(trace.document.verdict, sender, language()),
        judgements=parts().ledger.judgements(document_id),
        examinations=examinations,
        longest_reason=REASON_LONGEST,
        files=files,
        alarming=alarming[:ALARMS_SHOWN],
        more_alarming=len(alarming) - ALARMS_SHOWN,
        at_a_glance=words.glance_marks(parts().ledger.glances([document_id]).get(document_id)),
        holder=subject_name,
    )


def _files(examinations: Sequence[ExaminationRow]) -> dict[str, list[FileVerdict]]:
    """The verdicts on the attached files by content id; several for an archive."""
    found: dict[str, list[FileVerdict]] = defaultdict(list)
    for one in examinations:
        for verdict in one.result.files if one.result else ():
            found[verdict.content_id].append(verdict)
    return found


def _refused(examinations: Sequence[ExaminationRow]) -> bool:
    """Whether an examination refuses the document, which is sent again when that is released and not before."""
    return any(one.state is ExaminationState.REFUSED for one in examinations)


def _legs(trace: Trace, *, kept_back: bool) -> list[Leg]:
    tries: dict[str, list[AttemptRow]] = defaultdict(list)
    for attempt in trace.attempts:
        tries[attempt.delivery].append(attempt)
    now = parts().clock()
    legs = [
        _leg(each, trace.document.kind, tuple(tries[each.id]), now, kept_back=kept_back) for each in trace.deliveries
    ]
    # Python's sort keeps the ledger's order among equals.
    return sorted(legs, key=lambda leg: _TONES[leg.attention])


def _leg(
    delivery: DeliveryRow, kind: PackageKind, attempts: tuple[AttemptRow, ...], now: datetime, *, kept_back: bool
) -> Leg:
    waited = words.long_wait(delivery, now)
    return Leg(
        delivery=delivery,
        mark=words.delivery_mark(delivery, kind),
        attention=words.needs_attention(delivery, now),
        waited=words.age(waited, language()) if waited else None,
        attempts=attempts,
        replayable=delivery.state in REPLAYABLE and not (kept_back and delivery.state is DeliveryState.REFUSED),
    )


@pages.get("/documents/<document_id>/package")
def package(document_id: str) -> Response:
    """The package as it was received, byte for byte; with malware in it, not for those who only look."""
    found = parts().ledger.document(document_id)
    if found is None:
        abort(404)
    _demand_care(found.id)
    content = parts().open_package(found.id)
    note(Action.OPERATOR_PACKAGE_DOWNLOADED, actor(), document_id=found.id)
    # Named by the gateway's own id: numbers hold slashes, subjects hold anything.
    response = send_file(content, "application/octet-stream", as_attachment=True, download_name=f"{found.id}.edxml")
    response.content_length = found.size
    return response


@pages.get("/documents/<document_id>/evidence")
def evidence(document_id: str) -> Response:
    """Everything that proves the document's way, as one file (ASiC-E); with malware in it, as ``package``."""
    trace = parts().ledger.trace(document_id)
    if trace is None:
        abort(404)
    _demand_care(trace.document.id)
    content = parts().export_evidence(trace, actor())
    response = send_file(content, EVIDENCE_TYPE, as_attachment=True, download_name=f"{trace.document.id}.asice")
    response.content_length = content.seek(0, io.SEEK_END)
    content.seek(0)
    return response


def _demand_care(document_id: str) -> None:
    """Refuse (403) whoever may only look what malware was found in."""
    if _refused([e for e in parts().ledger.examinations(document_id) if e.kind is ExaminationKind.MALWARE]):
        demand_replay()
