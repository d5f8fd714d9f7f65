"""
Statuses that the gateway writes itself: on arrival, on a mailbox's refusal, and where an operation meets nobody
who could answer it.

They are packages like any other, signed by the gateway, and travel the same way (domain §1.7).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from gateway.edxml import write_status
from gateway.errors import NotFound, RoutingError
from gateway.exchange.parts import Parts
from gateway.exchange.proofs import prove
from gateway.exchange.reported import code_now
from gateway.exchange.upload import upload_of
from gateway.ledger.records import Claim, DeliveryRow, DocumentRow, NewDelivery, NewDocument, NewStatus, Reply, new_id
from gateway.model import (
    AgencyCode,
    BusinessType,
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
    told = code_now(directory, document.sender_as_written, document.sender, now)
    return report_for(
        parts,
        reporter=delivery.recipient,
        writes=Organization(
            code=code_now(directory, delivery.as_written, delivery.recipient, now), name=delivery.recipient_name
        ),
        response=response_for(document, code=told),
        told_name=document.sender_name,
        # Not by the code that the sender wrote: it may mean another agency by now.
        about=About(sender=document.sender, identity=document.identity, alias=document.alias),
        report=StatusReport(code=code, description=description, reported_at=now),
        log_document=document.id,
    )


def refusal(parts: Parts, document: DocumentRow, delivery: DeliveryRow, *, reason: str, now: datetime) -> Reply | None:
    """
    What the sender is told when a copy is not taken: 02 with the reason.

    Of a recall or an update it is 16 on the copy that it concerns, which stays as it is.

    :return: ``None`` when the document is itself a status, or its operation was answered before.
    """
    operations = parts.ledger.operations_on(document.id)
    asking = [o for o in operations if o.own == delivery.id and o.business_type is not BusinessType.REPLACE]
    if not asking:
        return own_report(parts, document, delivery, code=StatusCode.REFUSED, description=reason, now=now)
    waiting = next((o for o in asking if o.state.is_open), None)
    if waiting is None:
        return None
    meant = None if waiting.document is None else parts.ledger.document(waiting.document)
    copy = None if waiting.delivery is None else parts.ledger.delivery(waiting.delivery)
    if meant is None or copy is None:
        meant, copy = document, delivery
    return own_report(parts, meant, copy, code=StatusCode.DISAGREED, description=reason, now=now)


@dataclass(frozen=True, kw_only=True)
class About:
    """The names of the document that a status is about, as the ledger has them."""

    sender: AgencyCode
    identity: str
    alias: str | None


def report_for(
    parts: Parts,
    *,
    reporter: AgencyCode,
    writes: Organization,
    response: ResponseFor,
    told_name: str | None,
    about: About,
    report: StatusReport,
    log_document: str,
) -> Reply:
    """
    A status made and signed by the gateway in the name of an agency.

    :param reporter: primary code of that agency, whose copy is meant; ``writes``: how the package names it.
    :param response: with the code of whom is told, as it is written to today.
    """
    now = report.reported_at
    told = response.code
    assert told is not None
    envelope = Envelope(sender=writes, responses=(response,), status=report)
    raw = sign_package(write_status(envelope), parts.key)
    upload = upload_of(raw)
    verdict = own_verdict(parts, now)
    try:
        ways = route([told], parts.directory(), at=now)
    except RoutingError as error:
        _log.warning("no way back", action="status.no_way_back", document=log_document, code=error.code)
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
        sender_as_written=writes.code,
        sender_name=writes.name,
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
            recipient_name=told_name,
            via=w.via,
            channel=w.endpoint.channel,
            due_at=now,
            redirected_from=w.redirected_from,
        )
        for w in ways
    )
    status = NewStatus(
        id=new_id(),
        code=report.code,
        description=report.description,
        reported_at=now,
        reporter=reporter,
        about_sender=about.sender,
        about_identity=about.identity,
        about_alias=about.alias,
        copy_of=(reporter,),
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
