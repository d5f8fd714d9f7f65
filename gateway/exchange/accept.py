"""
Accept a package: read, verify, route, record, answer with a receipt.

The checklist of the gateway. Nothing is answered before the package and everything that
follows from it are durable in one transaction (design D5); every package that is turned
away leaves a trace (D12).
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from cryptography import x509

from gateway import faults
from gateway.directory import Directory, certificate_of, closed_at, registered_certificates
from gateway.edxml import Package, SignatureForm, read_unverified
from gateway.edxml.complete import complete
from gateway.errors import (
    DocumentError,
    IncompleteUpload,
    InvalidPackage,
    MalwareFound,
    NotAuthenticated,
    RecipientNotInPackage,
    RevocationUnknown,
    RoutingError,
    SenderClosed,
    SenderNotAllowed,
    SignatureRejected,
    UnknownSender,
)
from gateway.evidence.receipt import ReceiptFacts, make_receipt
from gateway.exchange import awaiting, reserialised
from gateway.exchange.identity import names_in_package, number_in_package, targets_of
from gateway.exchange.parts import Parts
from gateway.exchange.proofs import prove
from gateway.exchange.recalls import Packaged, with_operation
from gateway.exchange.reported import new_status
from gateway.exchange.screening import screened
from gateway.exchange.upload import Upload, spooled, unwritten, upload_of
from gateway.ledger.actions import Action
from gateway.ledger.records import (
    DocumentRow,
    Duplicate,
    NewDelivery,
    NewDocument,
    NewEvent,
    NewExamination,
    NewRefusal,
    new_id,
)
from gateway.model import (
    VIETNAM_TIME,
    Agency,
    AgencyCode,
    BusinessType,
    Envelope,
    Hop,
    PackageKind,
    Severity,
    Standing,
    Verdict,
    Violation,
)
from gateway.routing import Route, route
from gateway.signing.policy import SignaturePolicy
from gateway.signing.sign import sign_package
from gateway.signing.verify import verify

_log = structlog.get_logger()

_LARGEST_COMPLETED = 8 * 1024 * 1024
"""Bytes. A larger unsigned package is forwarded as it came: the seal speaks for it, and nothing large is held."""


Addressing = Callable[[Envelope], Sequence[AgencyCode] | None]
"""Says of a package that has been read for which of its recipients it was handed over; ``None`` means all."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the sender is told."""

    document_id: str
    """The gateway's id."""
    receipt: dict[str, Any]
    duplicate: bool
    """True when the package had been accepted before; ``receipt`` is then the first one."""


def accept(
    parts: Parts,
    upload: Upload,
    *,
    caller: Agency | Sequence[Agency],
    only: Sequence[AgencyCode] | Addressing | None = None,
    made_here: bool = False,
    system: str | None = None,
    by_gateway: bool = False,
) -> Answer:
    """
    Take over the responsibility for one package.

    :param upload: the raw package; the caller of this function closes it.
    :param caller: the authenticated agency that hands it over. Of several (a system that speaks for them all) it
        is the first that speaks for the package's sender, or else the first.
    :param only: the recipients that this copy is for (another gateway forwards part of a package);
        ``None`` means all that it names. A function is asked for them once the package has been read.
    :param made_here: the gateway built the package from the caller's own words; a status then needs no signature.
    :param system: id of the system that handed it over, for the event of its acceptance; ``None``: it came with an
        API key, or was made here.
    :param by_gateway: that system is itself an axis or a province's centre; of a caller with an endpoint it is known
        without.
    :return: the receipt, once everything is durable.
    :raises NotAuthenticated: there is no caller: none of the system's agencies is in the directory any more.
    :raises DocumentError: why it was turned away; recorded among the refusals.
    :raises LedgerUnavailable, StorageFull, PayloadStoreUnavailable: not accepted; the same may succeed later.
    """
    faults.point("accept.after_spool")
    now = parts.clock()
    callers = [caller] if isinstance(caller, Agency) else list(caller)
    if not callers:
        raise NotAuthenticated("None of the agencies that this system speaks for is in the directory any more.")
    speaker = callers[0]
    try:
        with read_unverified(
            upload.source, limits=parts.rules.limits, spool=parts.spool, sha256=upload.sha256
        ) as package:
            speaker = _speaking(parts.directory(), package.envelope, callers, now)
            return _accept(
                parts,
                upload,
                package,
                caller=speaker,
                only=only,
                made_here=made_here,
                system=system,
                by_gateway=by_gateway or (speaker.endpoint is not None and speaker.endpoint.channel.is_gateway),
                now=now,
            )
    except IncompleteUpload:
        raise
    except OSError as error:  # attachments are unwrapped, and packages completed, in the spool
        raise unwritten(error) from error
    except DocumentError as error:
        _record_refusal(parts, upload, error, speaker, now)
        raise


def _speaking(directory: Directory, envelope: Envelope, callers: Sequence[Agency], now: datetime) -> Agency:
    """Who of the callers hands the package over: the first that speaks for its sender; the first when none does."""
    if len(callers) == 1:
        return callers[0]
    code = envelope.sender.code
    return next((agency for agency in callers if directory.speaks_for(agency, code, at=now)), callers[0])


def _accept(
    parts: Parts,
    upload: Upload,
    package: Package,
    *,
    caller: Agency,
    only: Sequence[AgencyCode] | Addressing | None,
    made_here: bool,
    system: str | None,
    by_gateway: bool,
    now: datetime,
) -> Answer:
    if package.errors:
        raise InvalidPackage([*package.errors, *package.warnings])
    directory = parts.directory()
    envelope = package.envelope
    rewritten = reserialised.accepted_before(parts, package, directory, now=now) if _is_axis(caller) else None
    if rewritten is not None and not directory.speaks_for(caller, envelope.sender.code, at=now):
        return _echo(parts, upload, rewritten, caller, now)
    sender = _sender(directory, envelope, caller, now)
    only = only(envelope) if callable(only) else only
    names = _names(package)
    known = rewritten or _accepted_before(parts, package, sender.code, names[0])
    if (
        known is None
        and envelope.kind is PackageKind.DOCUMENT
        and closed_at(sender, _sent_at(parts, envelope, now) if by_gateway and caller.code != sender.code else now)
    ):
        # Its reports on what it received before are welcome; new documents are its successors' to send.
        raise SenderClosed(choices=[a.code for a in directory.heirs(sender, at=now)])
    verdict = known.verdict if known else _judge(parts, package, sender, caller, made_here=made_here, now=now)
    faults.point("accept.after_verify")
    examinations = () if known else _examinations(parts, package, sender, verdict, now=now)
    recipients = recipient_codes(envelope)
    missing = _not_yet_routed(parts, known, recipients, only, directory) if known else only
    routes: tuple[Route, ...] = ()
    if missing != []:
        try:
            routes = route(recipients, directory, at=now, only=missing, came_from=caller.code)
        except RoutingError as error:
            if envelope.kind is PackageKind.DOCUMENT or isinstance(error, RecipientNotInPackage):
                raise
            # What the receiver did is true, and belongs on the record, though its asker is gone.
            _log.warning("no way back", action="status.no_way_back", sha256=upload.sha256, code=error.code)
    if known and routes and verdict.standing is Standing.INVALID:
        # It was judged anew since: who repeats it gets the first answer, but nobody else gets the document.
        raise SignatureRejected(verdict)

    document = (
        _again(known, caller, now)
        if known
        else _new(
            parts,
            upload,
            package,
            verdict,
            routes,
            names=names,
            sender=sender,
            caller=caller,
            made_here=made_here,
            system=system,
            now=now,
        )
    )
    deliveries = [_delivery(r, envelope, directory, now) for r in routes]
    status = (
        new_status(parts, envelope, directory, reporter=sender.code, caller=caller, now=now)
        if envelope.status
        else None
    )
    faults.point("accept.before_commit")
    result = with_operation(
        parts,
        Packaged(envelope=envelope, document=document, status=status, sender=sender, caller=caller, ways=routes),
        now=now,
        record=lambda operation: parts.ledger.accept(
            document, deliveries, status, operation=operation, examinations=examinations
        ),
    )
    faults.point("accept.after_commit")
    parts.wake()
    receipt = json.loads(result.receipt)
    if receipt["sha256"] != upload.sha256:
        receipt = _receipt_for_other_bytes(parts, receipt, upload)
    return Answer(document_id=result.document_id, receipt=receipt, duplicate=isinstance(result, Duplicate))


def _is_axis(caller: Agency) -> bool:
    """Whether what the caller hands over was fetched from an axis, which writes every package anew."""
    return caller.endpoint is not None and caller.endpoint.channel.is_axis


def _echo(parts: Parts, upload: Upload, known: DocumentRow, caller: Agency, now: datetime) -> Answer:
    """A document that we handed to an axis came back from it: it is there already, and nothing follows from it."""
    repeated = NewEvent(
        action=Action.DOCUMENT_DUPLICATE, actor=caller.code, data={"sha256": upload.sha256, "echo": True}
    )
    parts.ledger.record_event(repeated, now=now, document_id=known.id)
    receipt = json.loads(known.receipt)
    if receipt["sha256"] != upload.sha256:
        receipt = _receipt_for_other_bytes(parts, receipt, upload)
    return Answer(document_id=known.id, receipt=receipt, duplicate=True)


def _receipt_for_other_bytes(parts: Parts, first: dict[str, Any], upload: Upload) -> dict[str, Any]:
    """
    The receipt for what was accepted before in other bytes: a status word for word, a document from an axis.

    Who hands a package over believes only a receipt for the bytes that it sent; this one says as well
    which bytes are kept.
    """
    facts = replace(ReceiptFacts.from_json(first), sha256=upload.sha256, size=upload.size, same_as=first["sha256"])
    return make_receipt(facts, parts.key).as_json()


def recipient_codes(envelope: Envelope) -> list[AgencyCode]:
    """Who must receive a package: its ``To``, or for a status the agency that ``ResponseFor`` names."""
    if envelope.kind is PackageKind.STATUS:
        return [r.code for r in envelope.responses[:1] if r.code]
    return [o.code for o in envelope.recipients]


# Who sends


def _sender(directory: Directory, envelope: Envelope, caller: Agency, now: datetime) -> Agency:
    """The sending agency, when the caller speaks for it; a stranger from outside stands for itself."""
    code = envelope.sender.code
    if not directory.speaks_for(caller, code, at=now):
        if directory.find(code, at=now) is None:
            raise UnknownSender(f"{UnknownSender.en()} ({code})", path="MessageHeader.From.OrganId")
        raise SenderNotAllowed(path="MessageHeader.From.OrganId")
    known = directory.find(code, at=now)
    if known is not None:
        return known
    normal = AgencyCode.normal(code)
    # Only the level cannot be known from here, and nothing depends on it.
    return Agency(code=normal, name=envelope.sender.name or normal, level=caller.level)


def _sent_at(parts: Parts, envelope: Envelope, now: datetime) -> datetime:
    """
    The moment at which the sender of what another gateway hands over must have existed.

    What that one accepted, it cannot take back: so it is the time of the package's last hop, which whoever wrote
    last into the package stated (that gateway, or the sender that signed it), and not longer ago than this
    deployment bears with. A sender that hands its documents over itself must exist now.
    """
    hops = [hop.at for hop in envelope.trace if hop.at is not None]
    if not hops:
        return now
    return max(min(max(hops), now), now - parts.rules.closed_sender_grace)


def _judge(
    parts: Parts, package: Package, sender: Agency, caller: Agency, *, made_here: bool, now: datetime
) -> Verdict:
    accepts = parts.rules.accepts if sender.accepts is None else sender.accepts
    if made_here and package.envelope.kind is PackageKind.STATUS:
        accepts |= {Standing.UNSIGNED}  # The agency's key proved who reports; the gateway signs the report.
    parts.freshen()
    policy = SignaturePolicy(
        accepted=accepts | awaiting.borne(parts.rules.examinations, package.envelope),
        tolerate_sha1=sender.tolerate_sha1,
        minimum_rsa_bits=parts.rules.minimum_rsa_bits,
        tolerate_rsa_1024=sender.tolerate_rsa_1024,
    )
    try:
        return verify(
            package,
            sender=_certificates(sender, now, "agency", "person"),
            # Also when the caller is the sender: a province's gateway acts under the code of the province.
            gateway=_certificates(caller, now, "gateway"),
            policy=policy,
            anchors=parts.anchors,
            at=now,
        ).verdict
    except SignatureRejected as e:
        if e.verdict.standing is Standing.INDETERMINATE:
            raise RevocationUnknown(path="Signature") from e
        raise


def _certificates(agency: Agency, now: datetime, *roles: str) -> list[x509.Certificate]:
    return [certificate_of(c) for c in registered_certificates(agency, at=now, roles=roles)]


# What is recorded


def _examinations(
    parts: Parts, package: Package, sender: Agency, verdict: Verdict, *, now: datetime
) -> tuple[NewExamination, ...]:
    """What a new package is examined for, before it is recorded and afterwards."""
    return (
        *screened(parts, package, now=now),
        *awaiting.awaited(parts.rules.examinations, sender, verdict, now=now),
    )


def _names(package: Package) -> tuple[str, str | None]:
    """Identity and second name; a status package has no other name than its bytes."""
    if package.envelope.kind is PackageKind.STATUS:
        return f"sha256:{package.sha256}", None
    return names_in_package(package.envelope, package.sha256)


def _accepted_before(parts: Parts, package: Package, sender: AgencyCode, identity: str) -> DocumentRow | None:
    """The same bytes from the same sender: judged then, whatever happened to its certificate since."""
    return parts.ledger.accepted_before(
        sender,
        identity,
        business_type=package.envelope.business_type,
        kind=package.envelope.kind,
        sha256=package.sha256,
    )


def _new(
    parts: Parts,
    upload: Upload,
    package: Package,
    verdict: Verdict,
    routes: Sequence[Route],
    *,
    names: tuple[str, str | None],
    sender: Agency,
    caller: Agency,
    made_here: bool,
    system: str | None,
    now: datetime,
) -> NewDocument:
    envelope = package.envelope
    identity, alias = names
    document_id = new_id()
    completed = _completed(parts, upload, package, verdict, made_here=made_here, now=now)
    receipt, seal = prove(
        parts,
        document_id=document_id,
        wire_id=envelope.document_id,
        sender=sender.code,
        recipients=[r.recipient for r in routes],
        upload=upload,
        attachments=package.attachments,
        verdict=verdict,
        at=now,
    )
    return NewDocument(
        id=document_id,
        kind=envelope.kind,
        sender=sender.code,
        sender_as_written=envelope.sender.code,
        sender_name=envelope.sender.name or sender.name,
        document_id=envelope.document_id,
        identity=identity,
        alias=alias,
        business_type=envelope.business_type,
        revision="" if envelope.business_type is BusinessType.NEW else package.sha256,
        targets=targets_of(envelope),
        sha256=package.sha256,
        size=package.size,
        payload=_stored(parts, upload),
        forward_sha256=completed.sha256 if completed else None,
        forward_size=completed.size if completed else None,
        forward_payload=_stored(parts, completed) if completed else None,
        number=envelope.number.number,
        notation=envelope.number.notation,
        issued_on=envelope.issued_on,
        type_name=envelope.document_type.name if envelope.document_type else None,
        subject=envelope.subject,
        lane=envelope.lane,
        verdict=verdict,
        warnings=(
            *package.warnings,
            *_warnings_of_time(envelope, now),
            *_shared_number(parts, envelope, sender, identity),
        ),
        attachments=package.attachments,
        received_at=now,
        received_from=caller.code,
        system=system,
        receipt=receipt,
        seal=seal,
    )


def _not_yet_routed(
    parts: Parts,
    known: DocumentRow,
    recipients: Sequence[AgencyCode],
    only: Sequence[AgencyCode] | None,
    directory: Directory,
) -> list[AgencyCode]:
    """
    The recipients that no earlier request for this package asked for.

    Those that were routed then are not routed anew: their agencies may have closed or merged since,
    and a repeat must neither be refused for that nor bring the successor a second copy.
    """

    then = known.received_at

    def meant(code: AgencyCode) -> set[AgencyCode]:
        agency = directory.find(code, at=then)
        return {AgencyCode.normal(code)} if agency is None else {AgencyCode.normal(code), agency.code}

    def served_by(code: AgencyCode) -> set[AgencyCode]:
        """Also the successor's copy, which went to it then, perhaps in the name of another predecessor."""
        agency = directory.find(code, at=then)
        heir = None if agency is None else directory.successor(agency, at=then)
        return meant(code) if heir is None else meant(code) | {heir.code}

    covered: set[AgencyCode] = set()
    for delivery in parts.ledger.deliveries(known.id):
        covered |= {*meant(delivery.as_written), delivery.recipient, delivery.redirected_from or delivery.recipient}
    return [code for code in (recipients if only is None else only) if covered.isdisjoint(served_by(code))]


def _again(known: DocumentRow, caller: Agency, now: datetime) -> NewDocument:
    """The document as it was accepted first, handed over again now, so that only missing deliveries are added."""
    return NewDocument(
        id=known.id,
        kind=known.kind,
        sender=known.sender,
        sender_as_written=known.sender_as_written,
        identity=known.identity,
        alias=known.alias,
        business_type=known.business_type,
        revision="" if known.business_type is BusinessType.NEW else known.sha256,
        targets=known.targets,
        sha256=known.sha256,
        size=known.size,
        verdict=known.verdict,
        received_at=now,
        received_from=caller.code,
        receipt=known.receipt,
        seal=known.seal,
    )


def _stored(parts: Parts, upload: Upload) -> bytes | None:
    """The bytes to put into the ledger, or ``None`` once they are durable in the payload store."""
    if upload.size <= parts.rules.inline_bytes and isinstance(upload.source, bytes):
        return upload.source
    faults.point("accept.before_payload")
    with spooled(upload, parts.spool) as path:
        parts.payloads.put(path, upload.sha256)
    faults.point("accept.after_payload")
    return None


def _completed(
    parts: Parts, upload: Upload, package: Package, verdict: Verdict, *, made_here: bool, now: datetime
) -> Upload | None:
    """
    The package with this gateway's hop and signature, when design D1 lets it be completed; else ``None``.

    What the gateway itself has written it signs, whatever the operator wants for packages of others.
    """
    if (
        not (parts.rules.complete_unsigned or made_here)
        or verdict.standing is not Standing.UNSIGNED
        or package.signature_form is not SignatureForm.NONE
        or not package.namespace_well_formed
        or upload.size > _LARGEST_COMPLETED
    ):
        return None
    with_hop = io.BytesIO()
    complete(
        upload.source,
        hop=Hop(code=parts.site.code, at=now),
        signature=None,
        limits=parts.rules.limits,
        out=with_hop,
    )
    return upload_of(sign_package(with_hop.getvalue(), parts.key, limits=parts.rules.limits, spool=parts.spool))


def _delivery(way: Route, envelope: Envelope, directory: Directory, now: datetime) -> NewDelivery:
    agency = directory.get(way.recipient)
    written = next((o.name for o in envelope.recipients if o.code == way.as_written), None)
    return NewDelivery(
        id=new_id(),
        recipient=way.recipient,
        as_written=way.as_written,
        recipient_name=agency.name if agency else written,
        via=way.via,
        channel=way.endpoint.channel,
        lane=envelope.lane,
        due_at=now,
        redirected_from=way.redirected_from,
    )


def _warnings_of_time(envelope: Envelope, now: datetime) -> list[Violation]:
    """What can be said only with a clock: a date of issue in the future (domain §1.2)."""
    if envelope.issued_on is None or envelope.issued_on <= now.astimezone(VIETNAM_TIME).date():
        return []
    return [
        Violation(
            code="M.MessageHeader.PromulgationInfo.PromulgationDate",
            severity=Severity.WARNING,
            vi="Ngày ban hành ở tương lai so với lúc tiếp nhận.",
            en="The date of issue lies in the future of the moment of receipt.",
        )
    ]


def _shared_number(parts: Parts, envelope: Envelope, sender: Agency, identity: str) -> list[Violation]:
    """A number that this sender gave to another document too: an alert, not a refusal (NĐ 30/2020, Annex VI)."""
    number = number_in_package(envelope)
    if (
        number is None
        or envelope.kind is PackageKind.STATUS
        or envelope.business_type is not BusinessType.NEW
        or parts.ledger.numbered(sender.code, number, other_than=identity) is None
    ):
        return []
    return [
        Violation(
            code="M.MessageHeader.Code",
            severity=Severity.WARNING,
            vi="Cơ quan gửi đã dùng số, ký hiệu và ngày này cho một văn bản khác.",
            en="The sender has given this number, notation and date to another document.",
        )
    ]


def _record_refusal(parts: Parts, upload: Upload, error: DocumentError, caller: Agency, now: datetime) -> None:
    parts.ledger.record_refusal(
        NewRefusal(
            at=now,
            credential_agency=caller.code,
            code=error.code,
            path=error.path,
            detail=error.detail,
            sha256=upload.sha256,
            size=upload.size,
            # Nobody is to take malware out of here by accident; its hash tells the experts which it was.
            payload=upload.source if isinstance(upload.source, bytes) and not isinstance(error, MalwareFound) else None,
        )
    )
