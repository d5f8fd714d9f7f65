"""
Statuses that the gateway writes itself: on arrival, on a mailbox's refusal, and for agencies
that report in JSON.

They are packages like any other, signed by the gateway, and travel the same way (domain §1.7).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import structlog

from gateway.directory import Directory
from gateway.edxml import write_status
from gateway.errors import NotCollected, NotFound, NotPermitted, ReasonRequired, RoutingError
from gateway.exchange import lookup
from gateway.exchange.accept import Answer, accept
from gateway.exchange.parts import Parts
from gateway.exchange.proofs import prove
from gateway.exchange.reported import code_now, one_place
from gateway.exchange.upload import upload_of
from gateway.ledger.records import (
    Claim,
    DeliveryRow,
    DocumentRow,
    NewDelivery,
    NewDocument,
    NewStatus,
    Reply,
    StatusRow,
    new_id,
)
from gateway.model import (
    Agency,
    AgencyCode,
    Channel,
    DeliveryState,
    DocumentId,
    DocumentNumber,
    Envelope,
    Organization,
    PackageKind,
    ResponseFor,
    SignedBy,
    Standing,
    StatusCode,
    StatusReport,
    Verdict,
)
from gateway.routing import route
from gateway.signing.policy import Reason
from gateway.signing.sign import sign_package

_ARRIVED = "Đã đến hệ thống của cơ quan nhận"
_ARRIVED_AT_SUCCESSOR = "Đã đến hệ thống của {successor}, cơ quan kế thừa của {closed} đã ngừng hoạt động"

_log = structlog.get_logger()


def arrival(delivery: DeliveryRow) -> str:
    """
    The description of the automatic 01; the wire has one language.

    Of a delivery that was redirected it names both agencies: the sender is to learn of it (design D11).
    """
    if delivery.redirected_from is None:
        return _ARRIVED
    name, code = delivery.recipient_name, delivery.recipient
    successor = f"{name} ({code})" if name else code
    return _ARRIVED_AT_SUCCESSOR.format(successor=successor, closed=delivery.redirected_from)


def arrival_report(parts: Parts, claim: Claim, now: datetime) -> Reply | None:
    """The automatic 01 for a delivery that a push has just completed; ``None`` for a status, which gets none."""
    if claim.kind is PackageKind.STATUS:
        return None
    document = parts.ledger.document(claim.document_id)
    delivery = parts.ledger.delivery(claim.delivery_id)
    if document is None or delivery is None:
        raise NotFound(f"The claimed delivery {claim.delivery_id} is not in the ledger.")
    return own_report(parts, document, delivery, code=StatusCode.ARRIVED, description=arrival(delivery), now=now)


def own_report(
    parts: Parts, document: DocumentRow, delivery: DeliveryRow, *, code: StatusCode, description: str, now: datetime
) -> Reply | None:
    """
    A status on one delivery, made and signed by the gateway for the receiver.

    It goes to the document's sender; when the directory knows no way there any more, it is still
    recorded here, without a delivery, and logged.

    :return: ``None`` when the document is itself a status.
    """
    if document.kind is PackageKind.STATUS:
        return None
    directory = parts.directory()
    reported_as = code_now(directory, delivery.as_written, delivery.recipient, now)
    told = code_now(directory, document.sender_as_written, document.sender, now)
    envelope = Envelope(
        sender=Organization(code=reported_as, name=delivery.recipient_name),
        responses=(response_for(document, code=told),),
        status=StatusReport(code=code, description=description, reported_at=now),
    )
    raw = sign_package(write_status(envelope), parts.key)
    upload = upload_of(raw)
    reporter = delivery.recipient
    verdict = own_verdict(parts, now)
    try:
        ways = route([told], directory, at=now)
    except RoutingError as error:
        _log.warning("no way back", action="status.no_way_back", document=document.id, code=error.code)
        ways = ()
    document_id = new_id()
    receipt, seal = prove(
        parts,
        document_id=document_id,
        wire_id=None,
        sender=reporter,
        recipients=[w.recipient for w in ways],
        upload=upload,
        attachments=(),
        verdict=verdict,
        at=now,
    )
    package = NewDocument(
        id=document_id,
        kind=PackageKind.STATUS,
        sender=reporter,
        sender_as_written=reported_as,
        sender_name=delivery.recipient_name,
        identity=f"sha256:{upload.sha256}",
        sha256=upload.sha256,
        size=upload.size,
        payload=raw,
        verdict=verdict,
        received_at=now,
        received_from=parts.site.code,
        receipt=receipt,
        seal=seal,
    )
    deliveries = tuple(
        NewDelivery(
            id=new_id(),
            recipient=w.recipient,
            as_written=w.as_written,
            recipient_name=document.sender_name,
            via=w.via,
            channel=w.endpoint.channel,
            due_at=now,
            redirected_from=w.redirected_from,
        )
        for w in ways
    )
    status = NewStatus(
        id=new_id(),
        code=code,
        description=description,
        reported_at=now,
        reporter=reporter,
        # Not by the code that the sender wrote: it may mean another agency by now.
        about_sender=document.sender,
        about_identity=document.identity,
        about_alias=document.alias,
        copy_of=(delivery.recipient,),
    )
    return Reply(document=package, deliveries=deliveries, status=status)


def response_for(document: DocumentRow, *, code: AgencyCode) -> ResponseFor:
    """
    How a status refers to a document: by everything that the sender may look it up by.

    :param code: of the agency that receives the status.
    """
    return ResponseFor(
        code=code,
        number=DocumentNumber(number=document.number, notation=document.notation).text,
        document_id=DocumentId(document.document_id) if document.document_id else None,
        issued_on=document.issued_on,
    )


def own_verdict(parts: Parts, now: datetime) -> Verdict:
    """The verdict on a package that this gateway has just signed."""
    certificate = parts.key.certificate
    return Verdict(
        standing=Standing.VALID,
        reason=Reason.VERIFIED,
        judged_at=now,
        signed_by=SignedBy.GATEWAY,
        certificate_sha256=parts.key.certificate_sha256,
        subject=certificate.subject.rfc4514_string(),
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
    if last is None or (last.reporter, last.code) != (reporter, code):
        return None
    if (last.description or None) != ((description or "").strip() or None):
        return None
    return _first_answer(parts, last)


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
