"""One agency with all that the directory knows around it, for people to read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.directory.directory import Directory, closed_at
from gateway.model import Agency


@dataclass(frozen=True, kw_only=True)
class AgencyDetails:
    """An agency at one moment."""

    agency: Agency
    closed: bool
    ancestors: tuple[Agency, ...]
    """The nearest first."""
    children: tuple[Agency, ...]
    reached_through: Agency | None
    """Whose endpoint is used; ``None`` when the agency cannot be reached, or is closed."""
    successor: Agency | None
    """Who gets documents in its place; ``None`` while it is open, and when senders must choose."""
    choices: tuple[Agency, ...]
    """What a sender is told to choose among; empty while it is open."""


def describe(directory: Directory, code: str, *, at: datetime) -> AgencyDetails | None:
    """
    The agency of a code with its surroundings.

    :param code: any of its codes.
    :return: ``None`` when nobody had the code at that moment.
    """
    agency = directory.find(code, at=at)
    if agency is None:
        return None
    closed = closed_at(agency, at)
    _, *ancestors = directory.lineage(agency)
    return AgencyDetails(
        agency=agency,
        closed=closed,
        ancestors=tuple(ancestors),
        children=directory.children(agency.code),
        reached_through=None if closed else directory.endpoint_holder(agency, at=at),
        successor=directory.successor(agency, at=at) if closed else None,
        choices=directory.heirs(agency, at=at) if closed else (),
    )
