"""
Report on a document in plain words: for agencies that report in JSON the gateway writes the package.

It is a package like any other and travels the same way (domain §1.7).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from gateway.directory import Directory
from gateway.edxml import write_status
from gateway.errors import NotCollected, NotFound, NotPermitted, ReasonRequired
from gateway.exchange import lookup
from gateway.exchange.accept import Answer, accept
from gateway.exchange.own_reports import response_for
from gateway.exchange.parts import Parts
from gateway.exchange.reported import code_now, one_place
from gateway.exchange.upload import upload_of
from gateway.ledger.bounds import LONGEST_DESCRIPTION, cut
from gateway.ledger.records import (
    DeliveryRow,
    StatusRow,
)
from gateway.model import (
    Agency,
    AgencyCode,
    Channel,
    DeliveryState,
    Envelope,
    Organization,
    PackageKind,
    RecallState,
    StatusCode,
    StatusReport,
)


def report_status(
    parts: Parts,
    *,
    caller: Agency,
    document_id: str,
    code: StatusCode,
    description: str | None,
    agency: AgencyCode | None = None,
    reported_at: datetime | None = None,
) -> Answer:
    """
    Report on a document in plain words; the gateway writes the package.

    A receiver reports on its copy; the sender asks for one back (13). Where the gateway itself knows that a
    copy has not arrived, it does not let the sender be told otherwise; where it has told of the arrival
    itself, an 01 is a repetition (domain §1.7: 01 is the system's to send, 02 legal at any time).

    :param document_id: the gateway's id of the document reported on.
    :param agency: whose copy; needed only when there are several that the caller has to do with.
    :param reported_at: aware; absent means the moment of the call, which is when it is reported.
    :raises NotFound: no such document among those that the caller may see.
    :raises NotPermitted: there is no such copy, or not one only, or 13 is asked for by another than the sender.
    :raises ReasonRequired: 02, 13 and 16 must say why.
    :raises NotCollected: 01 or 03 to 06 on a copy that still waits in the mailbox, locked or not.
    """
    if code.needs_reason and not (description and description.strip()):
        raise ReasonRequired(path="description")
    now = parts.clock()
    document = lookup.visible_document(parts, document_id, caller=caller)
    if document.kind is PackageKind.STATUS:
        raise NotPermitted("A status is not reported on.")
    directory = parts.directory()
    copies = parts.ledger.deliveries(document_id)
    sender_code = code_now(directory, document.sender_as_written, document.sender, now)
    if code is StatusCode.RECALL_ASKED:
        if not directory.speaks_for(caller, document.sender, at=now):
            raise NotPermitted("Only its sender asks to take a document back.")
        copy = _the_copy(copies, directory, agency, now)
        reporter = Organization(code=sender_code, name=document.sender_name)
        response = response_for(document, code=code_now(directory, copy.as_written, copy.recipient, now))
    else:
        mine = [d for d in copies if d.via == caller.code or directory.speaks_for(caller, d.recipient, at=now)]
        copy = _the_copy(mine, directory, agency, now)
        if code.rank is not None:
            _check_collected(copy)
        if code is StatusCode.ARRIVED and (told := _arrival_told(parts, copy)):
            return told
        copy_code = code_now(directory, copy.as_written, copy.recipient, now)
        reporter = Organization(code=copy_code, name=copy.recipient_name)
        response = response_for(document, code=sender_code)
    speaker = directory.find(reporter.code, at=now)
    known = _said_before(
        parts,
        copy,
        reporter=speaker.code if speaker else AgencyCode.normal(reporter.code),
        code=code,
        description=description,
    )
    if reported_at is None and known is not None:
        return known
    envelope = Envelope(
        sender=reporter,
        responses=(response,),
        status=StatusReport(code=code, description=description, reported_at=reported_at or now),
    )
    return accept(parts, upload_of(write_status(envelope)), caller=caller, made_here=True)


def _check_collected(copy: DeliveryRow) -> None:
    """Of its own mailbox the gateway knows that nobody has the document; another system's answer may be late."""
    if copy.channel is Channel.MAILBOX and copy.state in (DeliveryState.WAITING, DeliveryState.LEASED):
        raise NotCollected(f"Acknowledge the delivery {copy.id} first, then report this status.", path="code")


def _arrival_told(parts: Parts, copy: DeliveryRow) -> Answer | None:
    """The answer to an 01 on a delivered copy: the receipt of the one that went to the sender at the delivery."""
    if copy.state is not DeliveryState.DELIVERED:
        return None
    last = parts.ledger.last_report(copy.document, copy.id)
    if last is not None and last.code is not StatusCode.ARRIVED:
        trace = parts.ledger.trace(copy.document)
        told = trace.statuses if trace else ()
        last = next((s for s in reversed(told) if (s.delivery, s.code) == (copy.id, StatusCode.ARRIVED)), None)
    return None if last is None else _first_answer(parts, last)


def _said_before(
    parts: Parts, copy: DeliveryRow, *, reporter: AgencyCode, code: StatusCode, description: str | None
) -> Answer | None:
    """
    The answer to a report that repeats the last one on this copy: a retry, whose answer was lost.

    Once anything has happened since (another's report, a replay), the same words are news.
    """
    last = parts.ledger.last_report(copy.document, copy.id)
    if code is StatusCode.RECALL_ASKED and copy.recall is not RecallState.NONE:
        # Nothing has been declined since; what was answered at once is no news to ask for.
        last = _last_asked(parts, copy)
    if last is None or (last.reporter, last.code) != (reporter, code):
        return None
    if code in (StatusCode.AGREED, StatusCode.DISAGREED) and _asked_since(parts, copy, last):
        return None
    if (last.description or None) != cut((description or "").strip() or None, LONGEST_DESCRIPTION):
        return None
    return _first_answer(parts, last)


def _asked_since(parts: Parts, copy: DeliveryRow, last: StatusRow) -> bool:
    """Whether something waits for an answer that this report cannot have been about."""
    waiting = (r for r in parts.ledger.operations_on(copy.document) if r.state.is_open)
    return any(copy.id in (r.delivery, r.own) and r.asked_at > last.received_at for r in waiting)


def _last_asked(parts: Parts, copy: DeliveryRow) -> StatusRow | None:
    """The last time that this copy was asked back by a status."""
    trace = parts.ledger.trace(copy.document)
    told = trace.statuses if trace else ()
    asked = (s for s in reversed(told) if (s.delivery, s.code) == (copy.id, StatusCode.RECALL_ASKED))
    return next(asked, None)


def _first_answer(parts: Parts, report: StatusRow) -> Answer:
    package = parts.ledger.document(report.package)
    if package is None:
        raise NotFound
    return Answer(document_id=package.id, receipt=json.loads(package.receipt), duplicate=True)


def _the_copy(
    copies: Sequence[DeliveryRow], directory: Directory, agency: AgencyCode | None, now: datetime
) -> DeliveryRow:
    """The one copy that is meant; with several, the caller must say whose."""
    if agency is not None:
        named = directory.find(agency, at=now)
        codes = {agency, AgencyCode.normal(agency), *((named.code,) if named else ())}
        merged = one_place(directory, named, agency, now)
        own = [d for d in copies if d.recipient in codes or d.as_written in codes]
        copies = own or [d for d in copies if d.recipient in merged]
    recipients = {d.recipient: d for d in copies}
    if not recipients:
        raise NotPermitted("The caller has to do with no such copy of this document.", path="agency")
    if len(recipients) > 1:
        raise NotPermitted(f"Say for which agency: {', '.join(sorted(recipients))}.", path="agency")
    return next(iter(recipients.values()))
