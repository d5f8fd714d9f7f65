"""
From the recipients that a package names to the endpoints that it goes to, or why not.

Pure. A package is routed whole or not at all: every fault is found before one is raised, so that
the sender corrects the package once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.directory.directory import Directory, closed_at
from gateway.errors import RecipientClosed, RecipientNotInPackage, RoutingError, UnknownRecipient
from gateway.model import Agency, AgencyCode, Endpoint

_SENTENCES = 20
"""A package may name thousands of wrong recipients: all are in ``recipients``, so many are put into words."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """One recipient and the endpoint through which it is reached: what becomes one delivery."""

    recipient: AgencyCode
    """Primary code of the agency that gets the document; the normal form of the code when only the
    gateway above can know it."""
    as_written: AgencyCode
    """As the package names it. The next gateway is asked for the recipient by this code, which
    stands in the package, and not by ours, which it may not know."""
    via: AgencyCode
    """Primary code of the agency that holds the endpoint."""
    endpoint: Endpoint
    redirected_from: AgencyCode | None = None
    """Primary code of the closed agency that the package named and whose one successor the
    recipient is; the sender is told. ``None`` when nothing was redirected."""


@dataclass(kw_only=True)
class _Faults:
    """What stands in the way, by kind; recipients as written, each with its sentence."""

    unknown: dict[AgencyCode, str] = field(default_factory=dict)
    closed: dict[AgencyCode, str] = field(default_factory=dict)
    unreachable: dict[AgencyCode, str] = field(default_factory=dict)
    choices: dict[AgencyCode, None] = field(default_factory=dict)

    def raise_any(self) -> None:
        """One kind of fault has its own error, a mixture the general one; each names all recipients at fault."""
        faults = {**self.unknown, **self.closed, **self.unreachable}
        if not faults:
            return
        detail = " ".join(list(faults.values())[:_SENTENCES])
        if len(faults) > _SENTENCES:
            detail += f" And {len(faults) - _SENTENCES} more."
        kind: type[RoutingError] = RoutingError
        if len(faults) == len(self.unknown):
            kind = UnknownRecipient
        elif len(faults) == len(self.closed):
            kind = RecipientClosed
        raise kind(detail, recipients=tuple(faults), choices=tuple(self.choices))


def route(
    recipients: Sequence[AgencyCode],
    directory: Directory,
    *,
    at: datetime,
    only: Sequence[AgencyCode] | None = None,
    came_from: AgencyCode | None = None,
) -> tuple[Route, ...]:
    """
    Decide where a package goes: one route per agency, in the order of the package.

    An agency named twice, or under two of its codes, or by its own and a closed predecessor's
    code, gets one. A closed agency is replaced by its one successor, never by a guess. A code
    that the directory does not know goes to the gateway above, unless it is one of our own.

    :param recipients: the codes of the package's ``To``, as written; untrusted.
    :param at: aware; the time of receipt.
    :param only: the recipients for which a gateway handed the package over; others are ignored.
        ``None`` means all.
    :param came_from: the agency whose endpoint is the gateway that handed the package over; nothing
        is ever sent back to it.
    :raises UnknownRecipient: nobody knows a code.
    :raises RecipientClosed: several successors or none; ``choices`` names those there are.
    :raises RecipientNotInPackage: ``only`` names an agency that the package does not.
    :raises RoutingError: there is no way to a recipient, or only back to where the package came from,
        or the faults are of several kinds.
    """
    asked = recipients if only is None else _asked(recipients, directory, at=at, only=only)
    if not asked:
        raise RoutingError("The package names no recipient.")
    origin = None if came_from is None else (directory.find(came_from, at=at) or directory.get(came_from))
    faults = _Faults()
    routes: dict[AgencyCode, Route] = {}
    for as_written in asked:
        made = _route_one(as_written, directory, at=at, origin=origin, faults=faults)
        if made is not None:
            routes[made.recipient] = _merged(routes.get(made.recipient), made)
    faults.raise_any()
    return tuple(routes.values())


def _route_one(
    as_written: AgencyCode, directory: Directory, *, at: datetime, origin: Agency | None, faults: _Faults
) -> Route | None:
    named = directory.find(as_written, at=at)
    if named is None:
        recipient = AgencyCode.normal(as_written)
        if not _may_be_known_above(recipient, directory):
            faults.unknown[as_written] = f"No agency has the code {as_written[: AgencyCode.LONGEST + 1]!r}."
            return None
        living, holder = None, directory.default_holder(at=at)
    else:
        living = directory.successor(named, at=at)
        if living is None:
            choices = directory.heirs(named, at=at)
            faults.choices.update(dict.fromkeys(agency.code for agency in choices))
            faults.closed[as_written] = _closed_sentence(as_written, named, choices)
            return None
        recipient, holder = living.code, directory.endpoint_holder(living, at=at)
    if holder is None or holder.endpoint is None:
        faults.unreachable[as_written] = f"There is no endpoint through which {as_written} is reached."
        return None
    if origin is not None and holder.code == origin.code and holder.endpoint.channel.is_gateway:
        faults.unreachable[as_written] = (
            f"The way to {as_written} leads back to {origin.code}, the gateway that handed the package over."
        )
        return None
    return Route(
        recipient=recipient,
        as_written=as_written,
        via=holder.code,
        endpoint=holder.endpoint,
        redirected_from=named.code if named is not None and named is not living else None,
    )


def _may_be_known_above(code: AgencyCode, directory: Directory) -> bool:
    """
    Whether a code that is unknown here is the gateway above's to judge.

    Only what could be a code at all: a name in its place (``Sở Tài chính``) would be tried in vain for days.
    """
    above = directory.local.default_route is not None
    return above and _CODE.fullmatch(code) is not None and not directory.local.covers(code)


_CODE = re.compile(rf"[A-Za-z0-9._-]{{1,{AgencyCode.LONGEST}}}")


def _closed_sentence(as_written: AgencyCode, agency: Agency, choices: Sequence[Agency]) -> str:
    reason = f" ({agency.closed_reason})" if agency.closed_reason else ""
    instead = f"choose among {', '.join(a.code for a in choices)}" if choices else "nobody took its place"
    return f"{as_written} is closed since {agency.valid_to}{reason}; {instead}."


def _merged(first: Route | None, second: Route) -> Route:
    """One route for one agency: the first writing stands, a redirection is never forgotten."""
    if first is None:
        return second
    return replace(first, redirected_from=first.redirected_from or second.redirected_from)


def _asked(
    recipients: Sequence[AgencyCode], directory: Directory, *, at: datetime, only: Sequence[AgencyCode]
) -> tuple[AgencyCode, ...]:
    """The package's own writings of the recipients in ``only``."""
    written: dict[str, AgencyCode] = {}
    for code in recipients:
        written.setdefault(_identity(code, directory, at=at), code)
    for code in recipients:
        # The gateway before may have known the successor already.
        agency = directory.find(code, at=at)
        heir = None if agency is None or not closed_at(agency, at) else directory.successor(agency, at=at)
        if heir is not None:
            written.setdefault(heir.code, code)
    wanted = {code: _identity(code, directory, at=at) for code in only}
    strangers = [code for code, identity in wanted.items() if identity not in written]
    if strangers:
        raise RecipientNotInPackage(
            f"The package does not name {', '.join(strangers)} among its recipients.", recipients=strangers
        )
    chosen: Mapping[AgencyCode, None] = dict.fromkeys(written[identity] for identity in wanted.values())
    return tuple(chosen)


def _identity(code: AgencyCode, directory: Directory, *, at: datetime) -> str:
    """What two codes of one agency have in common."""
    agency = directory.find(code, at=at)
    return AgencyCode.normal(code) if agency is None else agency.code
