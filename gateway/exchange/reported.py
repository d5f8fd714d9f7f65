"""What a status package reports: of which document and of whose copy, though agencies have merged (domain §1.7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.directory import Directory
from gateway.exchange.identity import names_in_reference
from gateway.exchange.parts import Parts
from gateway.ledger.records import NewStatus, new_id
from gateway.model import Agency, AgencyCode, BusinessType, Envelope, StatusCode


def new_status(
    parts: Parts, envelope: Envelope, directory: Directory, *, reporter: AgencyCode, caller: Agency, now: datetime
) -> NewStatus:
    """
    What a status package reports, with its agencies as the directory knows them.

    :param reporter: primary code of the agency that sent it.
    :param caller: who handed it over, and speaks for the reporter.
    """
    report = envelope.status
    assert report is not None
    response = envelope.responses[0]
    identity, alias = names_in_reference(response)
    if report.code is StatusCode.RECALL_ASKED:
        # Reported by the document's own sender, who may ask back every copy, about that of the receiver it names.
        senders = _spoken_for(directory, caller, reporter, now)
        asked = response.code or reporter
        copies = one_place(directory, directory.find(asked, at=now), asked, now)
    else:
        senders = _senders_named(directory, response.code or reporter, now)
        copies = _spoken_for(directory, caller, reporter, now)
    return NewStatus(
        id=new_id(),
        code=report.code,
        description=report.description,
        reported_at=report.reported_at,
        reporter=reporter,
        about_sender=_sender_meant(parts, senders, [name for name in (identity, alias) if name]),
        about_identity=identity,
        about_alias=alias,
        copy_of=copies,
    )


def _spoken_for(directory: Directory, caller: Agency, reporter: AgencyCode, now: datetime) -> tuple[AgencyCode, ...]:
    """
    The reporter, and those of its place for whom the caller may speak as well.

    Nobody else: a unit does not answer for its superior, nor an heir for its fellow heir, nor the
    superior of a closed agency for that one's successor.
    """
    own, *others = one_place(directory, directory.get(reporter), reporter, now)
    return (own, *(code for code in others if directory.speaks_for(caller, code, at=now)))


def one_place(directory: Directory, agency: Agency | None, code: AgencyCode, now: datetime) -> tuple[AgencyCode, ...]:
    """An agency, and then those that took its place when it closed, the living one last, or whose place it took."""
    if agency is None:
        return (AgencyCode.normal(code),)
    living = directory.successor(agency, at=now)
    if living is agency:
        return (agency.code, *(former.code for former in directory.predecessors(agency, at=now)))
    steps = [agency]
    while living is not None and steps[-1] is not living:
        heir = directory.get(steps[-1].successors[0])
        assert heir is not None  # there is a living end
        steps.append(heir)
    return tuple(step.code for step in steps)


def code_now(directory: Directory, written: AgencyCode, agency: AgencyCode, now: datetime) -> AgencyCode:
    """How an agency is named today: as it was written, unless that code has passed on and means a stranger by now."""
    holder = directory.find(written, at=now)
    if holder is None or holder.code in one_place(directory, directory.get(agency), agency, now):
        return written
    return agency


def _senders_named(directory: Directory, code: AgencyCode, now: datetime) -> tuple[AgencyCode, ...]:
    """Whose document is meant when one of this code is answered: now's holder's, its place's, a former holder's."""
    former = (agency.code for agency in directory.holders(code))
    return tuple(dict.fromkeys((*one_place(directory, directory.find(code, at=now), code, now), *former)))


def _sender_meant(parts: Parts, senders: Sequence[AgencyCode], names: Sequence[str]) -> AgencyCode:
    """
    The first of these senders with a document of such a name; when none has one yet, the first of all.

    A successor's recall or update has the name of what its predecessor sent, and is what is meant only without that.
    """
    if len(senders) > 1:
        for name in names:
            found = ((sender, parts.ledger.find_document(sender, name)) for sender in senders)
            known = {sender: document.business_type for sender, document in found if document is not None}
            if known:
                own = (s for s, kind in known.items() if kind not in (BusinessType.REVOKE, BusinessType.UPDATE))
                return next(own, next(iter(known)))
    return senders[0]
