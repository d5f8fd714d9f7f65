"""The filters of the log: what a person typed, as it stands in the URL, and what it means to the ledger."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from gateway.directory import Directory
from gateway.ledger.records import Concern, Filter, OperationState
from gateway.model import VIETNAM_TIME, Agency, AgencyCode, CodeGeneration, DeliveryState, PackageKind, fold

LONGEST: Final = 200
"""Characters of one member that are looked at."""

EVERY_KIND: Final = "all"
NOT_OFFERED: Final = "log.filter.not_offered"
OFFERED_OPERATIONS: Final = tuple(state for state in OperationState if state.is_open)
"""Recalls, updates and replacements that somebody should look at."""
CHOICES: Final = 8
"""Agencies offered when a text names several."""

_MEMBERS: Final = ("q", "agency", "state", "operation", "concern", "kind", "from", "to")

_DAY = re.compile(
    r"(?P<day>\d{1,2})[/.-](?P<month>\d{1,2})[/.-](?P<year>2[01]\d\d)(?: (?P<hour>\d{1,2}):(?P<minute>\d{2}))?",
    re.ASCII,
)
_SEPARATOR = " — "


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One reading of the URL's filters."""

    typed: Mapping[str, str] = field(default_factory=dict)
    """Every member as it stands in the URL, cleaned."""
    text: str = ""
    agency: str = ""
    """As typed; shown again."""
    state: DeliveryState | None = None
    operation: OperationState | None = None
    concern: Concern | None = None
    kind: PackageKind | None = PackageKind.DOCUMENT
    """``None``: every kind. Statuses are as many as documents and would drown them, so they are asked for."""
    since: str = ""
    until: str = ""
    faults: Mapping[str, str] = field(default_factory=dict)
    """What could not be used as typed: by member (``state``, ``operation``, ``concern``, ``kind``, ``from``,
    ``to``, ``agency``), the key of a text."""
    choices: tuple[Agency, ...] = ()
    """Agencies that ``agency`` may mean when it does not name one."""
    filters: Filter

    @property
    def restricts(self) -> bool:
        """Whether anything but the kind is asked for."""
        chosen = self.state or self.operation or self.concern
        return bool(self.text or self.agency or chosen or self.since or self.until)

    @property
    def kind_value(self) -> str:
        """As it stands in the URL."""
        return EVERY_KIND if self.kind is None else self.kind.value

    def query(self, **changes: str | None) -> dict[str, str]:
        """The members for a URL, without those that say nothing; ``None`` leaves one out."""
        members: dict[str, str | None] = {
            "q": self.text,
            "agency": self.agency,
            "state": self.state.value if self.state else "",
            "operation": self.operation.value if self.operation else "",
            "concern": self.concern.value if self.concern else "",
            "kind": "" if self.kind is PackageKind.DOCUMENT else self.kind_value,
            "from": self.since,
            "to": self.until,
        }
        return {name: value for name, value in (members | changes).items() if value}


def agency_label(agency: Agency) -> str:
    """How an agency is offered and typed back: its name and code."""
    return f"{agency.name}{_SEPARATOR}{agency.code}"


def read_filters(args: Mapping[str, str], directory: Directory) -> Asked:
    """
    Read the filters of a URL; nothing in it is an error, what cannot be used is said.

    :param args: ``q``, ``agency``, ``state``, ``operation``, ``concern``, ``kind``, ``from``, ``to``; from a
        hostile hand perhaps.
    """
    typed = {name: _clean(args.get(name, "")) for name in _MEMBERS}
    faults: dict[str, str] = {}
    since, until = _moment(typed["from"], "from", faults), _moment(typed["to"], "to", faults, end=True)
    code, words, choices = _agency(typed["agency"], directory)
    if words:
        faults["agency"] = "log.filter.agency_as_text"
    state = next((s for s in DeliveryState if s.value == typed["state"]), None)
    if state is None and typed["state"]:
        faults["state"] = NOT_OFFERED
    operation = next((o for o in OFFERED_OPERATIONS if o.value == typed["operation"]), None)
    if operation is None and typed["operation"]:
        faults["operation"] = NOT_OFFERED
    concern = next((c for c in Concern if c.value == typed["concern"]), None)
    if concern is None and typed["concern"]:
        faults["concern"] = NOT_OFFERED
    kind = next((k for k in PackageKind if k.value == typed["kind"]), None)
    if kind is None and typed["kind"] != EVERY_KIND:
        kind = PackageKind.DOCUMENT
        if typed["kind"]:
            faults["kind"] = NOT_OFFERED
    return Asked(
        typed=typed,
        text=typed["q"],
        agency=typed["agency"],
        state=state,
        operation=operation,
        concern=concern,
        kind=kind,
        since=typed["from"],
        until=typed["to"],
        faults=faults,
        choices=choices,
        filters=Filter(
            agency=code,
            states=frozenset({state}) if state else frozenset(),
            operation=operation,
            concern=concern,
            kind=kind,
            since=since,
            until=until,
            text=f"{typed['q']} {words}".strip() or None,
        ),
    )


def _clean(text: str) -> str:
    """Bounded, and without control characters: PostgreSQL refuses some, and nobody types them."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:LONGEST]).split())


def _moment(typed: str, member: str, faults: dict[str, str], *, end: bool = False) -> datetime | None:
    """
    The moment that a typed day, or a minute of a day, means in Vietnam.

    :param end: the end of what was typed: the next midnight of a day, the next minute of a minute.
    """
    if not typed:
        return None
    found = _DAY.fullmatch(typed)
    at = _parsed(found) if found else None
    if found is None or at is None:
        faults[member] = "log.filter.bad_date"
        return None
    if not end:
        return at
    return at + (timedelta(days=1) if found["hour"] is None else timedelta(minutes=1))


def _parsed(found: re.Match[str]) -> datetime | None:
    try:
        return datetime(
            int(found["year"]),
            int(found["month"]),
            int(found["day"]),
            int(found["hour"] or 0),
            int(found["minute"] or 0),
            tzinfo=VIETNAM_TIME,
        )
    except ValueError:
        return None


def _agency(typed: str, directory: Directory) -> tuple[AgencyCode | None, str, tuple[Agency, ...]]:
    """The code that a text names; or the words to look for instead, and the agencies that it may mean."""
    if not typed:
        return None, "", ()
    tail = typed.rpartition(_SEPARATOR)[2]
    exact = directory.get(tail)
    if exact is not None:
        return exact.code, "", ()
    found = directory.search(typed, CHOICES, hidden=True)
    # The whole name: the one agency that part of a name finds here may not be the one meant, others are known by the
    # ledger alone.
    named = tuple(a for a in found if fold(a.name) == fold(typed))
    if len(named) == 1:
        return named[0].code, "", ()
    code = unlisted_code(tail)
    if not found and code is not None:
        return code, "", ()
    return None, typed, found


def unlisted_code(typed: str) -> AgencyCode | None:
    """
    The code that a text is by its form alone; ``None`` when it has the form of none.

    Beyond the default route there are agencies that only the ledger has met.
    """
    code = AgencyCode.normal(typed)
    return None if code.generation is CodeGeneration.OTHER else code
