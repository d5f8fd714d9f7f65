"""A document's way so far, as a list of steps in plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from gateway.console import words
from gateway.console.texts import Language, say
from gateway.console.verdicts import FILE_STANDINGS
from gateway.ledger.actions import Action
from gateway.ledger.records import EventRow, OperationState, Trace
from gateway.model import BusinessType, ExaminationKind, ExaminationState, FileStanding, Standing, StatusCode

NameOf = Callable[[str | None], str]
"""From an agency's code to its name."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line of the timeline."""

    at: datetime
    sentence: str
    tone: str
    actor: str | None = None
    """Who did it, when that is not the gateway itself and not said by the sentence."""
    note: str | None = None
    """Cause or reason, in words."""
    detail: str | None = None
    """Technical words of the other side, or free text of a person."""
    retry_at: datetime | None = None


_BY_ITSELF = frozenset(
    {Action.STATUS_RECEIVED, Action.STATUS_PARKED, Action.STATUS_APPLIED, Action.STATUS_CONTRADICTORY}
)
"""Their actor is the subject of their sentence."""

_REASON_IS_A_CODE = frozenset({Action.DOCUMENT_REJUDGED})
"""Their reason is no person's."""

_BY_WORKERS = frozenset(
    {
        Action.DELIVERY_ATTEMPT_FAILED,
        Action.DELIVERY_FORWARDED,
        Action.DELIVERY_DELIVERED,
        Action.DELIVERY_REFUSED,
        Action.DELIVERY_ABANDONED,
    }
)
"""Their actor is a process of the gateway, unless it is an agency of the directory."""


def steps(trace: Trace, language: Language, name_of: NameOf) -> list[Step]:
    """
    The events of a trace, oldest first.

    Queueing for many recipients is one step: three hundred lines of it hide the way.
    """
    recipients: dict[str, str] = {d.id: d.recipient_name or name_of(d.recipient) for d in trace.deliveries}
    found: list[Step] = []
    for action, group in groupby(trace.events, key=lambda e: e.action):
        several = list(group)
        if action is Action.DELIVERY_ENQUEUED and len(several) > 1:
            found.append(_queued(several, language))
        else:
            found.extend(_step(event, recipients, language, name_of) for event in several)
    return found


def _queued(several: list[EventRow], language: Language) -> Step:
    return Step(at=several[0].at, sentence=say("doc.way.queued", language, n=len(several)), tone="calm")


def _step(event: EventRow, recipients: Mapping[str, str], language: Language, name_of: NameOf) -> Step:
    about = recipients.get(event.delivery or "") or name_of(_text(event, "recipient"))
    if event.action in _BY_ITSELF:
        about = name_of(event.actor)
    return Step(
        at=event.at,
        sentence=words.EVENTS[event.action].say(
            language,
            recipient=about,
            status=_status(event, language),
            operation=_operation(event, language),
            answer=_answer(event, language),
            examination=_examination(event, language),
            outcome=_outcome(event, language),
        ),
        tone=_tone(event),
        actor=_actor(event, about, language, name_of),
        note=" · ".join(_notes(event, language)) or None,
        detail=_text(event, "detail") or (None if event.action in _REASON_IS_A_CODE else _text(event, "reason")),
        retry_at=_moment(event, "retry_at"),
    )


def _notes(event: EventRow, language: Language) -> Iterator[str]:
    for standing, count in _files(event):
        yield say("doc.way.files", language, n=count, standing=FILE_STANDINGS[standing].words.say(language))
    if event.action is Action.DOCUMENT_REJUDGED:
        old, new = (_standing(event, name) for name in ("old", "new"))
        if old and new:
            yield f"{words.STANDINGS[old].words.say(language)} → {words.STANDINGS[new].words.say(language)}"
    code = _text(event, "reason" if event.action in _REASON_IS_A_CODE else "code")
    if code:
        yield words.finding(code, language)


def _standing(event: EventRow, name: str) -> Standing | None:
    value = _text(event, name)
    return next((s for s in Standing if s.value == value), None)


def _tone(event: EventRow) -> str:
    """How much a step stands out: for what it is, or for what was found in the files."""
    found = {FILE_STANDINGS[standing].tone for standing, _ in _files(event)}
    if event.action is Action.DOCUMENT_REJUDGED and (new := _standing(event, "new")):
        return words.STANDINGS[new].tone
    if event.action is Action.DOCUMENT_EXAMINED and "state" in event.data:
        found |= {mark.tone for state, mark in words.EXAMINATION_STATES.items() if state.value == event.data["state"]}
    loud = next((tone for tone in ("bad", "warn") if tone in found), None)
    return loud or words.EVENT_TONES.get(event.action, "calm")


def _files(event: EventRow) -> Iterator[tuple[FileStanding, int]]:
    """How many files were found to stand how."""
    counted = event.data.get("files")
    if not isinstance(counted, dict):
        return
    for standing in FileStanding:
        count = counted.get(standing.value)
        if isinstance(count, int):
            yield standing, count


def _actor(event: EventRow, about: str, language: Language, name_of: NameOf) -> str | None:
    if event.actor is None or event.action in _BY_ITSELF:
        return None
    name = name_of(event.actor)
    if name == event.actor and event.action in _BY_WORKERS:
        return say("doc.way.worker", language, actor=name)
    return None if name == about else name


def _status(event: EventRow, language: Language) -> str:
    code = _text(event, "status")
    known = next((c for c in StatusCode if c.value == code), None)
    return words.STATUSES[known].say(language) if known else code or ""


def _operation(event: EventRow, language: Language) -> str:
    number = event.data.get("business_type")
    known = next((b for b in BusinessType if b.value == number), None)
    return words.BUSINESS[known].say(language) if known else ""


def _answer(event: EventRow, language: Language) -> str:
    state = _text(event, "state")
    known = next((s for s in OperationState if s.value == state), None)
    return words.OPERATION_STATES[known].words.say(language) if known else state or ""


def _examination(event: EventRow, language: Language) -> str:
    value = _text(event, "kind")
    known = next((k for k in ExaminationKind if k.value == value), None)
    return words.EXAMINATIONS[known].say(language) if known else value or ""


def _outcome(event: EventRow, language: Language) -> str:
    value = _text(event, "state")
    known = next((s for s in ExaminationState if s.value == value), None)
    return words.EXAMINATION_STATES[known].words.say(language) if known else value or ""


def _text(event: EventRow, name: str) -> str | None:
    value = event.data.get(name)
    return value if isinstance(value, str) and value else None


def _moment(event: EventRow, name: str) -> datetime | None:
    value = _text(event, name)
    return datetime.fromisoformat(value) if value else None
