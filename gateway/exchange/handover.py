"""A package that a system hands over, over whichever protocol: in whose name, and for which of its recipients."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime

import structlog

from gateway.directory import Directory
from gateway.errors import RoutingError
from gateway.exchange.accept import Answer, accept, recipient_codes
from gateway.exchange.parts import Parts
from gateway.exchange.systems import callers
from gateway.exchange.upload import Upload
from gateway.ledger.bounds import made_storable
from gateway.ledger.records import System
from gateway.model import Agency, AgencyCode, Envelope, PackageKind

_log = structlog.get_logger()

_MOST_LOGGED = 20
"""Codes of a header that says other than the package; thousands of them are long."""


@dataclass(frozen=True, kw_only=True)
class Announced:
    """What the request says of the package beside it. The package wins; a difference is logged."""

    kind: PackageKind | None = None
    """``None`` when the request does not say."""
    recipients: tuple[AgencyCode, ...] | None = None
    """As written; ``None`` when the request does not say."""


def hand_over(parts: Parts, upload: Upload, *, system: System, announced: Announced) -> Answer:
    """
    Accept a package from a system, in the name of those that it speaks for.

    What an axis or a province's centre hands over is taken for the recipients beyond it; those behind it are its own
    to deliver, as it has the same package.

    :param upload: the raw package; the caller of this function closes it.
    :return: the receipt, once everything is durable.
    :raises RoutingError: a gateway hands over a document of which every recipient is behind it.
    :raises DocumentError: as ``accept``; recorded among the refusals.
    """
    directory, now = parts.directory(), parts.clock()
    agencies = callers(system, directory, now)

    def addressed(envelope: Envelope) -> Sequence[AgencyCode] | None:
        _compare(announced, envelope, system, directory, now)
        return beyond(envelope, agencies, directory, at=now) if system.gateway else None

    return accept(parts, upload, caller=agencies, only=addressed, system=system.id, by_gateway=system.gateway)


def beyond(
    envelope: Envelope, agencies: Sequence[Agency], directory: Directory, *, at: datetime
) -> Sequence[AgencyCode]:
    """
    The recipients of a package that are not reached through the agencies of the gateway that hands it over.

    :return: as written; for a status perhaps none: it is recorded, and goes nowhere.
    :raises RoutingError: none of the recipients of a document is.
    """
    recipients = recipient_codes(envelope)
    holders = {agency.code for agency in agencies}
    others = [code for code in recipients if _holder(code, directory, at=at) not in holders]
    if recipients and not others and envelope.kind is PackageKind.DOCUMENT:
        raise RoutingError(
            f"Every recipient is behind the gateway that handed the package over: {', '.join(recipients)}.",
            recipients=tuple(recipients),
        )
    return others


def _holder(code: AgencyCode, directory: Directory, *, at: datetime) -> AgencyCode | None:
    """Whose endpoint leads to an agency, as routing has it; ``None`` when nobody's does."""
    named = directory.find(code, at=at)
    if named is not None:
        holder = directory.endpoint_holder(directory.successor(named, at=at) or named, at=at)
    else:
        holder = None if directory.local.covers(AgencyCode.normal(code)) else directory.default_holder(at=at)
    return None if holder is None else holder.code


def _compare(announced: Announced, envelope: Envelope, system: System, directory: Directory, now: datetime) -> None:
    if announced.kind not in (None, envelope.kind):
        _log.warning("another kind announced", action="package.kind_differs", system=system.id, kind=envelope.kind)
    if announced.recipients is None:
        return

    def meant(codes: Sequence[AgencyCode]) -> set[AgencyCode]:
        known = ((code, directory.find(code, at=now)) for code in codes)
        return {AgencyCode.normal(code) if agency is None else agency.code for code, agency in known}

    named, asked = meant(recipient_codes(envelope)), meant(announced.recipients)
    if named != asked:
        _log.warning(
            "other recipients announced",
            action="package.recipients_differ",
            system=system.id,
            only_announced=_logged(asked - named),
            only_in_package=_logged(named - asked),
        )


def _logged(codes: Set[AgencyCode]) -> list[str]:
    """Some of them; a header may hold anything, and what cannot be written must not stop the package."""
    return [made_storable(code[: AgencyCode.LONGEST + 1]) for code in sorted(codes)[:_MOST_LOGGED]]
