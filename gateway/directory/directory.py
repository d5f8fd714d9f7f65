"""
The directory as one immutable snapshot: find an agency by any of its codes, at any moment.

Pure: built from values, asked with ``at``. Looking up and routing cost the same in a directory
of ten agencies and of the national catalogue's 123,000.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

from gateway.directory.search import NameIndex
from gateway.errors import DirectoryInvalid
from gateway.model import VIETNAM_TIME, Agency, AgencyCode


@dataclass(frozen=True, kw_only=True)
class LocalSite:
    """Where in the country this gateway stands."""

    code: AgencyCode
    """The agency that the gateway acts under."""
    first_levels: frozenset[str]
    """First-level parts (``H37``) of its own agencies; several after a merger of provinces. A gateway
    below a province names the codes at the top of its own branch instead (``H37.21``, ``000.21.24.H37``)."""
    default_route: AgencyCode | None = None
    """The gateway above, an agency of the directory; ``None`` on the national level."""

    def covers(self, code: AgencyCode) -> bool:
        """Whether a code is one of its own: by its first-level part, or by a code above it in its own generation."""
        if not self.first_levels:
            return False
        if code in self.first_levels or code.level1 in self.first_levels:
            return True
        # Asked of every agency of a catalogue: only gateways below a province have reason to climb.
        above = code.parent if self._has_branches else None
        while above is not None and above not in self.first_levels:
            above = above.parent
        return above is not None

    @cached_property
    def _has_branches(self) -> bool:
        return any("." in code for code in self.first_levels)


def vietnam_day(at: datetime) -> date:
    """The day in Vietnam at a moment: agencies open and close at midnight there."""
    if at.tzinfo is None:
        raise ValueError("a moment must be aware")
    return at.astimezone(VIETNAM_TIME).date()


def closed_at(agency: Agency, at: datetime) -> bool:
    """Whether the agency no longer exists at that moment."""
    return agency.valid_to is not None and agency.valid_to <= vietnam_day(at)


def exists_at(agency: Agency, at: datetime) -> bool:
    """Whether the agency exists at that moment: founded, and not closed."""
    return not closed_at(agency, at) and (agency.valid_from is None or agency.valid_from <= vietnam_day(at))


class Directory:
    """
    All agencies at one version of the directory, found by every code they ever had.

    Immutable; a change makes a new one. It trusts that the agencies were checked
    (``check_agencies``), but circles among parents or successors do not hang it.
    """

    def __init__(self, agencies: Iterable[Agency], local: LocalSite, *, version: int = 0) -> None:
        """
        Index the agencies.

        :param agencies: each with codes in their normal form (``AgencyCode.normal``).
        :param version: of the store that they come from; 0 when they come from elsewhere.
        :raises DirectoryInvalid: when two agencies have the same primary code.
        """
        self.local = local
        self.version = version
        self._agencies = tuple(sorted(agencies, key=lambda a: a.code))
        # Nearly every code has one holder. A code that passed from one agency to another
        # (a merged province keeps its number) has several, at different times.
        self._holder: dict[str, Agency] = {}
        self._holders: dict[str, tuple[Agency, ...]] = {}
        self._children: dict[str, list[Agency]] = {}
        self._replaced: dict[str, list[Agency]] = {}
        self._index()
        self._names: NameIndex | None = None
        self._names_lock = threading.Lock()

    def _index(self) -> None:
        for agency in self._agencies:
            if agency.code in self._holder:
                raise DirectoryInvalid(f"Two agencies have the primary code {agency.code}.", path=agency.code)
            self._holder[agency.code] = agency
        for agency in self._agencies:
            for alias in agency.aliases:
                first = self._holder.setdefault(alias, agency)
                if first is not agency:
                    self._holders[alias] = (*self._holders.get(alias, (first,)), agency)
            if agency.parent is not None:
                parent = self.get(agency.parent)
                key = agency.parent if parent is None else parent.code
                self._children.setdefault(key, []).append(agency)
        for agency in self._agencies:
            if agency.valid_to is not None and len(agency.successors) == 1:
                heir = self.get(agency.successors[0])
                if heir is not None:
                    self._replaced.setdefault(heir.code, []).append(agency)

    def __len__(self) -> int:
        return len(self._agencies)

    # Finding

    def get(self, code: str) -> Agency | None:
        """The agency of a code, whatever the time; a code that was passed on belongs to its primary holder."""
        return self._holder.get(AgencyCode.normal(code))

    def find(self, code: str, *, at: datetime) -> Agency | None:
        """
        The agency that a code means at a moment.

        :param code: any of its codes, of either generation, short or in any letter case.
        :param at: aware.
        :return: the agency that existed then; failing that, the last one that had the code and is
            closed (its successors are for routing to judge). ``None`` when nobody had the code yet.
        """
        day = vietnam_day(at)
        founded = [a for a in self.holders(code) if a.valid_from is None or a.valid_from <= day]
        if len(founded) == 1:
            return founded[0]
        return max(founded, key=lambda a: a.valid_to or date.max, default=None)

    def holders(self, code: str) -> tuple[Agency, ...]:
        """Every agency that ever had a code, or will have it; nearly always one or none."""
        key = AgencyCode.normal(code)
        several = self._holders.get(key)
        if several is not None:
            return several
        only = self._holder.get(key)
        return () if only is None else (only,)

    def agencies(self) -> tuple[Agency, ...]:
        """All agencies in the order of their primary codes."""
        return self._agencies

    def children(self, code: str) -> tuple[Agency, ...]:
        """The agencies directly below one, in the order of their codes, closed ones too."""
        agency = self.get(code)
        return () if agency is None else tuple(self._children.get(agency.code, ()))

    def lineage(self, agency: Agency) -> Iterator[Agency]:
        """The agency itself, its parent, and so on to the top; ends where a circle would begin."""
        seen: set[str] = set()
        step: Agency | None = agency
        while step is not None and step.code not in seen:
            yield step
            seen.add(step.code)
            step = None if step.parent is None else self.get(step.parent)

    def search(
        self, text: str, limit: int = 20, *, at: datetime | None = None, hidden: bool = False
    ) -> tuple[Agency, ...]:
        """
        Agencies that a person may mean, best first; accents and letter case ignored.

        First those with a code that begins so, then those where every word begins a word of
        the name, then those where every word occurs in it; higher tiers of government first.

        :param text: as typed; blank means all.
        :param at: only agencies that exist then; ``None`` means closed ones too.
        :param hidden: also those that are not offered as recipients.
        """
        found: dict[str, Agency] = {}
        for agency in self._name_index().matches(text):
            if len(found) >= limit:
                break
            if (hidden or not agency.hidden) and (at is None or exists_at(agency, at)):
                found.setdefault(agency.code, agency)
        return tuple(found.values())

    def _name_index(self) -> NameIndex:
        """Made at the first search: programs that only route never pay for it."""
        with self._names_lock:
            if self._names is None:
                self._names = NameIndex(self._agencies, self._holder)
            return self._names

    # Time

    def heirs(self, agency: Agency, *, at: datetime) -> tuple[Agency, ...]:
        """The agencies not closed at ``at`` that took over from a closed one, directly or in steps."""
        heirs: dict[str, Agency] = {}
        seen = {agency.code}
        steps = [agency]
        while steps:
            for code in steps.pop().successors:
                heir = self.get(code)
                if heir is None or heir.code in seen:
                    continue
                seen.add(heir.code)
                if closed_at(heir, at):
                    steps.append(heir)
                else:
                    heirs[heir.code] = heir
        return tuple(heirs.values())

    def successor(self, agency: Agency, *, at: datetime) -> Agency | None:
        """
        The one agency that takes the place of a closed one (design D11).

        :return: the end of the chain of *single* successors; ``None`` when at some step there
            are several or none, so that only the sender can choose (``heirs`` names the choices).
        """
        seen = {agency.code}
        step = agency
        while closed_at(step, at):
            if len(step.successors) != 1:
                return None
            heir = self.get(step.successors[0])
            if heir is None or heir.code in seen:
                return None
            seen.add(heir.code)
            step = heir
        return step

    def predecessors(self, agency: Agency, *, at: datetime) -> tuple[Agency, ...]:
        """The closed agencies whose place an agency takes: those whose ``successor`` it is, also in steps."""
        found: dict[str, Agency] = {}
        steps = [] if closed_at(agency, at) else [agency]
        while steps:
            for former in self._replaced.get(steps.pop().code, ()):
                if closed_at(former, at) and former.code not in found:
                    found[former.code] = former
                    steps.append(former)
        return tuple(found.values())

    # Reaching

    def is_inside(self, agency: Agency) -> bool:
        """Whether the agency belongs to this gateway's own province or branch: by its or an ancestor's code."""
        # Aliases do not count: a code of a former province does not bring an agency back into it.
        return any(self.local.covers(step.code) for step in self.lineage(agency))

    def default_holder(self, *, at: datetime) -> Agency | None:
        """The gateway above, when there is one that can be reached at ``at``."""
        if self.local.default_route is None:
            return None
        agency = self.find(self.local.default_route, at=at)
        if agency is None or agency.endpoint is None or closed_at(agency, at):
            return None
        return agency

    def endpoint_holder(self, agency: Agency, *, at: datetime) -> Agency | None:
        """
        The agency at whose endpoint another one is reached.

        :return: itself or the nearest ancestor with an endpoint; for agencies outside the own
            province that have none, the gateway above. A closed agency holds nothing: nobody
            collects there any more. ``None`` when there is no way.
        """
        for step in self.lineage(agency):
            if step.endpoint is not None and not closed_at(step, at):
                return step
        return None if self.is_inside(agency) else self.default_holder(at=at)

    def speaks_for(self, holder: Agency, sender_code: str, *, at: datetime) -> bool:
        """
        Whether the holder of an endpoint may hand over packages of a sender: the way back.

        True when the sender is the holder, or is reached through it; the gateway above speaks
        for everybody outside the own province, known here or not, and for nobody inside. For a
        closed sender those speak who took over, so that documents under way are answered.
        """
        sender = self.find(sender_code, at=at)
        if sender is None:
            code = AgencyCode.normal(sender_code)
            return bool(code) and not self.local.covers(code) and self._is_default(holder, at=at)
        if sender.code == holder.code:
            return True
        if not self.is_inside(sender) and self._is_default(holder, at=at):
            return True
        behind = (sender, *self.heirs(sender, at=at)) if closed_at(sender, at) else (sender,)
        reached = (self.endpoint_holder(agency, at=at) for agency in behind)
        return any(agency is not None and agency.code == holder.code for agency in reached) or any(
            agency.code == holder.code for agency in behind
        )

    def _is_default(self, holder: Agency, *, at: datetime) -> bool:
        above = self.default_holder(at=at)
        return above is not None and above.code == holder.code
