"""
What systems ask of the directory: ``registerAgency`` and ``deleteAgency`` of the national protocol.

They are wishes. An operator decides on each; nobody registers himself, and nobody is deleted unasked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from gateway.directory import Directory, closed_at
from gateway.directory.directory import vietnam_day
from gateway.directory.store import DirectoryStore
from gateway.errors import AgencyKnown, NotFound, NotPermitted, ReasonRequired, RegistrationInvalid, StateConflict
from gateway.exchange.parts import Parts
from gateway.exchange.systems import acting
from gateway.ledger import Action, Ledger
from gateway.ledger.bounds import LONGEST_NAME
from gateway.ledger.records import AgencyRequest, Decision, NewEvent, RequestKind, System, new_id
from gateway.model import Agency, AgencyCode, Level

MOST_OPEN = 100
"""Requests of one system that may wait for a decision."""

_CODE = re.compile(rf"[!-~]{{1,{AgencyCode.LONGEST}}}")
_LONGEST_MAIL = 320
"""Characters; RFC 3696 allows no more."""


def request_agency(
    parts: Parts,
    system: System,
    *,
    kind: RequestKind,
    code: str,
    parent: str | None = None,
    name: str | None = None,
    mail: str | None = None,
    limit: int = MOST_OPEN,
) -> AgencyRequest:
    """
    Keep a system's wish until an operator decides; the directory stays as it is.

    Asked again while it is undecided it is the same request, with the words of the first.

    :param code: of the agency to add or to delete; for ``DELETE`` one that the system speaks for.
    :param parent: code of the agency above, as the system gives it.
    :param name: needed for ``ADD``, as is ``mail``.
    :raises RegistrationInvalid: something is missing, too long or of the wrong form.
    :raises AgencyKnown: ``ADD`` of a code that the directory has, or had.
    :raises NotFound: ``DELETE`` of a code that it does not have.
    :raises NotPermitted: ``DELETE`` of another's agency.
    :raises StateConflict: ``DELETE`` of one that is closed already.
    :raises TooManyRegistrations: too many of this system wait.
    """
    directory, now = parts.directory(), parts.clock()
    wanted = _code(code, "code")
    known = directory.find(wanted, at=now)
    if kind is RequestKind.ADD:
        if known is not None:
            raise AgencyKnown(f"The directory has {wanted} as {known.code}.", path="code")
        name, mail = _words(name, "name", LONGEST_NAME), _words(mail, "mail", _LONGEST_MAIL)
    else:
        name = mail = parent = None
        if known is None:
            raise NotFound(f"The directory has no agency {wanted}.", path="code")
        if acting(system, directory, known.code, now) is None:
            raise NotPermitted(f"The system {system.id} does not speak for {known.code}.", path="code")
        if closed_at(known, now):
            raise StateConflict(f"{known.code} is closed since {known.valid_to}.", path="code")
        wanted = known.code
    asked = AgencyRequest(
        id=new_id(),
        system=system.id,
        kind=kind,
        code=wanted,
        parent=_code(parent, "parent") if parent and parent.strip() else None,
        name=name,
        mail=mail,
        requested_at=now,
    )
    return parts.ledger.request_agency(asked, limit=limit)


def _code(text: str, path: str) -> AgencyCode:
    code = AgencyCode.normal(text)
    if _CODE.fullmatch(code) is None:
        raise RegistrationInvalid(f"A code has 1 to {AgencyCode.LONGEST} ASCII characters without blanks.", path=path)
    return code


def _words(text: str | None, path: str, longest: int) -> str:
    words = (text or "").strip()
    if not words or len(words) > longest or not words.isprintable():
        raise RegistrationInvalid(f"{path}: 1 to {longest} printable characters are needed.", path=path)
    return words


# What operators decide


def approve(
    ledger: Ledger,
    store: DirectoryStore,
    directory: Directory,
    request_id: str,
    *,
    actor: str,
    now: datetime,
    level: Level | None = None,
    parent: AgencyCode | None = None,
    name: str | None = None,
    successors: Sequence[AgencyCode] = (),
    reason: str | None = None,
) -> Agency:
    """
    Do what a request asks: add the agency, without an endpoint, or close it as of today.

    What is given here wins over what was asked. The directory changes first: if the power fails between the
    two, the request is still open, and approving it again changes nothing twice.

    :param directory: the one in force.
    :param level: of an agency to add; the protocol does not say it, so it must be given.
    :param parent: of an agency to add, by any of its codes.
    :param successors: of an agency to close, by any of their codes.
    :param reason: kept with the decision; of an agency to close also what senders are shown.
    :return: the agency as the directory now has it.
    :raises NotFound: there is no such request, or the directory lacks an agency that is named.
    :raises StateConflict: it was decided before, or the agency is closed or known by now.
    :raises RegistrationInvalid: the level of an agency to add is not given.
    :raises DirectoryInvalid: the directory would contradict itself; nothing was changed.
    """
    asked = _open_request(ledger, request_id)
    if asked.kind is RequestKind.ADD:
        agency = _added(asked, directory, level=level, parent=parent, name=name, now=now)
    else:
        agency = _closed(asked, directory, successors=successors, reason=reason, now=now)
    result = store.import_agencies([agency], source=f"request {request_id}", now=now, keep_others=True)
    if not result.unchanged:
        facts = {"version": result.version, "added": result.added, "changed": result.changed, "removed": result.removed}
        ledger.record_event(NewEvent(action=Action.DIRECTORY_CHANGED, actor=actor, data=facts), now=now)
    ledger.decide_request(request_id, Decision.APPROVED, reason=reason, actor=actor, now=now)
    return agency


def reject(ledger: Ledger, request_id: str, *, reason: str, actor: str, now: datetime) -> AgencyRequest:
    """
    Turn a request down; the directory stays as it is.

    :raises ReasonRequired: the reason is blank.
    :raises NotFound: there is no such request.
    :raises StateConflict: it was decided before.
    """
    if not reason.strip():
        raise ReasonRequired(path="reason")
    return ledger.decide_request(request_id, Decision.REJECTED, reason=reason.strip(), actor=actor, now=now)


def _open_request(ledger: Ledger, request_id: str) -> AgencyRequest:
    asked = ledger.agency_request(request_id)
    if asked is None:
        raise NotFound(f"There is no request {request_id}.")
    if asked.decision is not None:
        raise StateConflict(f"The request {request_id} was {asked.decision} before.")
    return asked


def _added(
    asked: AgencyRequest,
    directory: Directory,
    *,
    level: Level | None,
    parent: AgencyCode | None,
    name: str | None,
    now: datetime,
) -> Agency:
    if level is None:
        raise RegistrationInvalid(
            f"Say of which level {asked.code} is: {', '.join(each.value for each in Level)}.", path="level"
        )
    above = parent or asked.parent
    agency = Agency(
        code=asked.code,
        name=name or asked.name or asked.code,
        level=level,
        parent=None if above is None else _known(directory, above, now).code,
    )
    known = directory.find(asked.code, at=now)
    if known is None:
        return agency
    # It may be this very approval, which was cut off before the decision was noted.
    if (known.code, known.name, known.level, known.parent) != (agency.code, agency.name, agency.level, agency.parent):
        raise AgencyKnown(f"The directory has {asked.code} as {known.code} by now; reject the request.", path="code")
    return known


def _closed(
    asked: AgencyRequest, directory: Directory, *, successors: Sequence[AgencyCode], reason: str | None, now: datetime
) -> Agency:
    known = _known(directory, asked.code, now)
    if closed_at(known, now):
        return known
    heirs = tuple(_known(directory, code, now).code for code in successors)
    return replace(known, valid_to=vietnam_day(now), successors=heirs, closed_reason=reason or known.closed_reason)


def _known(directory: Directory, code: AgencyCode, now: datetime) -> Agency:
    agency = directory.find(code, at=now)
    if agency is None:
        raise NotFound(f"The directory has no agency {code}.", path="code")
    return agency
