"""
Revoke, update, replace: what a sender does to a document, in plain words; the gateway writes the package.

The package is accepted like any other; what it asks and who answers is decided there (``recalls``). Operators take
copies back here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.directory import Directory, closed_at
from gateway.edxml import Package, kit_reference
from gateway.errors import NothingToAsk, NotPermitted, ReasonRequired, RecipientNotInPackage
from gateway.exchange import compose, lookup
from gateway.exchange.accept import Answer
from gateway.exchange.own_reports import own_report
from gateway.exchange.parts import Parts
from gateway.exchange.reported import one_place
from gateway.exchange.stored import spool_folder, stored_package, unwrap
from gateway.ledger.records import DeliveryRow, DocumentRow, DocumentSummary, OperationState, Reply, Trace
from gateway.ledger.states import may_be_asked
from gateway.model import (
    Agency,
    AgencyCode,
    Business,
    BusinessType,
    DocumentChange,
    DocumentId,
    Envelope,
    Organization,
    OtherInfo,
    PackageKind,
    ReceiverChange,
    Reference,
    Replacement,
    StatusCode,
)

Contents = Mapping[str, Path | bytes]
"""Content id → the file as it is."""

_TAKEN_BACK = "Người vận hành trục liên thông đã rút lại văn bản: {reason}"


def revoke(
    parts: Parts,
    *,
    caller: Agency,
    document_id: str,
    reason: str,
    recipients: Sequence[AgencyCode] | None = None,
) -> Answer:
    """
    Take a document back (business type 1); what nobody has collected is gone at once, others are asked.

    The same words again, as long as nobody has declined, are a repetition and ask nothing anew.

    :param document_id: the gateway's id.
    :param recipients: whose copies, by any of their codes; ``None`` means all that can be asked for.
    :raises NotFound, NotPermitted: it is not the caller's, nor its predecessor's.
    :raises ReasonRequired: the reason is blank.
    :raises RecipientNotInPackage: one of the recipients has no copy.
    :raises NothingToAsk: every copy was refused or taken back before, by other words.
    """
    target = _target(parts, caller, document_id, reason)
    wanted = _asked(parts, target, recipients)
    with stored_package(parts, target.document) as package:
        original = package.envelope

    def recall(copies: Sequence[DeliveryRow]) -> Envelope:
        return replace(
            original,
            sender=target.sender,
            recipients=tuple(_organization(original, copy) for copy in copies),
            references=(),
            responses=(),
            business=_business(original, BusinessType.REVOKE, reason),
        )

    return _post(parts, _Operation(kind=BusinessType.REVOKE, write=recall), target, wanted, caller=caller)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What an update changes; what is not said stays as it is."""

    header: Callable[[OtherInfo | None], Mapping[str, Any]]
    """Members of the envelope with their new values; some stand within ``OtherInfo``, which is given as it is."""
    added: tuple[AgencyCode, ...] = ()
    """Further recipients, as written."""


def update(
    parts: Parts,
    *,
    caller: Agency,
    document_id: str,
    reason: str,
    changes: Changes,
    files: tuple[Sequence[Reference], Contents] | None = None,
) -> Answer:
    """
    Send a new version of a document to its recipients (business type 2).

    The package is whole: what is not changed is taken over from the document, its files included.

    :param files: instead of all the files there were; ``None`` keeps them.
    :raises NotFound, NotPermitted, ReasonRequired, NothingToAsk: as ``revoke``.
    """
    target = _target(parts, caller, document_id, reason)
    added = tuple(Organization(code=code) for code in changes.added)
    with (
        stored_package(parts, target.document) as package,
        _kept_files(parts, package, files) as (references, contents),
    ):
        original = package.envelope
        header = changes.header(original.other)
        change = DocumentChange(
            content=bool(files is not None or header),
            receivers=bool(added),
            receiver_changes=tuple(ReceiverChange(code=code, added=True) for code in changes.added),
        )

        def new_version(copies: Sequence[DeliveryRow]) -> Envelope:
            kept = [copy for copy in copies if copy.as_written not in changes.added]
            return replace(
                original,
                **header,
                sender=target.sender,
                recipients=(*(_organization(original, copy) for copy in kept), *added),
                references=tuple(references),
                business=replace(_business(original, BusinessType.UPDATE, reason), changes=(change,)),
            )

        operation = _Operation(
            kind=BusinessType.UPDATE, write=new_version, contents=contents, reaches_others=bool(added)
        )
        return _post(parts, operation, target, _asked(parts, target, None), caller=caller)


def replace_by(
    parts: Parts,
    *,
    caller: Agency,
    document_ids: Sequence[str],
    reason: str,
    envelope: Envelope,
    contents: Contents,
) -> Answer:
    """
    Send a new document that takes the place of earlier ones (business type 3).

    :param document_ids: the gateway's ids of those, at least one.
    :param envelope: of the new document, with one reference for each file; its business is said here.
    :raises NotFound, NotPermitted, ReasonRequired: as ``revoke``, for each of the documents.
    """
    targets = [_target(parts, caller, document_id, reason) for document_id in document_ids]
    business = Business(
        type=BusinessType.REPLACE,
        reason=reason.strip(),
        paper=False,
        replacements=tuple(Replacement(document_id=_name(target.document)) for target in targets),
    )
    new = replace(envelope, business=business)
    operation = _Operation(
        kind=BusinessType.REPLACE, write=lambda _: new, contents=contents, reaches_others=True, identity=new.identity
    )
    return _post(parts, operation, targets[0], [], caller=caller)


def withdraw(parts: Parts, delivery_ids: Sequence[str], *, reason: str, actor: str) -> list[str]:
    """
    Take copies back that have not left, on an operator's word.

    A recall that waits for one of them is answered 15 by the gateway; nobody else is told.

    :param actor: the operator, for the event log.
    :raises ReasonRequired, NotFound, TransitionForbidden, OperationOutpaced: as ``Ledger.withdraw``; nothing was
        changed.
    """
    if not reason.strip():
        raise ReasonRequired(path="reason")
    now = parts.clock()
    waiting = parts.ledger.recalls_waiting(delivery_ids)
    replies = {delivery: _taken_back(parts, delivery, reason.strip(), now) for delivery in waiting}
    done = parts.ledger.withdraw(delivery_ids, reason=reason.strip(), actor=actor, now=now, replies=replies)
    parts.wake()
    return done


def _taken_back(parts: Parts, delivery_id: str, reason: str, now: datetime) -> Reply:
    copy = parts.ledger.delivery(delivery_id)
    document = None if copy is None else parts.ledger.document(copy.document)
    assert copy is not None  # a recall waits for it
    assert document is not None
    words = _TAKEN_BACK.format(reason=reason)
    reply = own_report(parts, document, copy, code=StatusCode.AGREED, description=words, now=now)
    assert reply is not None  # what is recalled is a document
    return reply


# What is operated on, and by whom


@dataclass(frozen=True, kw_only=True)
class _Target:
    document: DocumentRow
    trace: Trace
    sender: Organization
    """Who operates on it, as the package is to name it."""
    sender_code: AgencyCode
    copies: tuple[DeliveryRow, ...]
    """One for each recipient: of the document, or of the update that brought it to him, or brought it again."""


def _target(parts: Parts, caller: Agency, document_id: str, reason: str) -> _Target:
    if not reason.strip():
        raise ReasonRequired(path="reason")
    document = lookup.visible_document(parts, document_id, caller=caller)
    if document.kind is PackageKind.STATUS or document.business_type is BusinessType.REVOKE:
        raise NotPermitted("Only a document can be recalled, updated or replaced.")
    directory, now = parts.directory(), parts.clock()
    sender = _operator(directory, caller, document, now)
    trace = parts.ledger.trace(document_id)
    assert trace is not None  # it was found just now
    same = sender.code == document.sender
    return _Target(
        document=document,
        trace=trace,
        sender=Organization(
            code=document.sender_as_written if same else sender.code,
            name=document.sender_name if same else sender.name,
        ),
        sender_code=sender.code,
        copies=_copies(parts, trace),
    )


def _copies(parts: Parts, trace: Trace) -> tuple[DeliveryRow, ...]:
    copies = {copy.recipient: copy for copy in trace.deliveries}
    for later in trace.operations:
        if later.business_type is not BusinessType.UPDATE:
            continue
        # What only asked to change a copy is none.
        asking = {request.own for request in parts.ledger.operations_on(later.id) if request.delivery}
        for copy in parts.ledger.deliveries(later.id):
            first = copies.setdefault(copy.recipient, copy)
            if not may_be_asked(first.state) and may_be_asked(copy.state) and copy.id not in asking:
                copies[copy.recipient] = copy
    return tuple(copies.values())


def _operator(directory: Directory, caller: Agency, document: DocumentRow, now: datetime) -> Agency:
    """The agency in whose name it is done: the sender, or whoever has taken its place and the caller speaks for."""
    issuer = directory.get(document.sender)
    if issuer is None or not closed_at(issuer, now):
        candidates = [issuer] if issuer is not None else []
    else:
        candidates = list(directory.heirs(issuer, at=now))
    for agency in candidates:
        if directory.speaks_for(caller, agency.code, at=now):
            return agency
    raise NotPermitted("Only its sender, or its registered successor, recalls, updates or replaces a document.")


def _asked(parts: Parts, target: _Target, recipients: Sequence[AgencyCode] | None) -> list[DeliveryRow]:
    """The copies meant that can be asked for; each of the recipients named must have one."""
    copies: Sequence[DeliveryRow] = target.copies
    if recipients is not None:
        directory, now = parts.directory(), parts.clock()
        found = {code: _copy_of(target.copies, directory, code, now) for code in recipients}
        strangers = [code for code, copy in found.items() if copy is None]
        if strangers:
            raise RecipientNotInPackage(f"The document was not sent to {', '.join(strangers)}.", recipients=strangers)
        meant = {copy.id for copy in found.values() if copy is not None}
        copies = [copy for copy in target.copies if copy.id in meant]
    return [copy for copy in copies if may_be_asked(copy.state)]


def _copy_of(
    copies: Sequence[DeliveryRow], directory: Directory, code: AgencyCode, now: datetime
) -> DeliveryRow | None:
    agency = directory.find(code, at=now)
    meant = {code, AgencyCode.normal(code), *one_place(directory, agency, code, now)}
    return next((c for c in copies if not meant.isdisjoint((c.recipient, c.as_written, c.redirected_from))), None)


def _organization(envelope: Envelope, copy: DeliveryRow) -> Organization:
    """A recipient as the document names it; one that an update added, as that named it."""
    named = next((one for one in envelope.recipients if one.code == copy.as_written), None)
    return named or Organization(code=copy.as_written, name=copy.recipient_name)


def _business(envelope: Envelope, kind: BusinessType, reason: str) -> Business:
    return Business(type=kind, document_id=envelope.document_id, reason=reason.strip(), paper=False)


def _name(document: DocumentRow) -> DocumentId:
    """The document's id; of one without, that which sender, date and number give (QĐ 28/2018 Art. 10)."""
    if document.document_id:
        return DocumentId(document.document_id)
    return DocumentId(
        f"{document.sender_as_written},{document.issued_on:%Y/%m/%d},{document.number}/{document.notation}"
    )


# Reading the document, writing the operation


@contextmanager
def _kept_files(
    parts: Parts, package: Package, files: tuple[Sequence[Reference], Contents] | None
) -> Iterator[tuple[Sequence[Reference], Contents]]:
    """The new files, or those of the document, unwrapped in the spool."""
    if files is not None:
        yield files
        return
    with spool_folder(parts) as folder:
        contents: dict[str, Path | bytes] = {}
        for number, attachment in enumerate(package.attachments, 1):
            contents[attachment.content_id] = unwrap(package, attachment, folder / str(number))
        yield [kit_reference(a.content_id, a.name) for a in package.attachments], contents


@dataclass(frozen=True, kw_only=True)
class _Operation:
    """What is to be posted."""

    kind: BusinessType
    write: Callable[[Sequence[DeliveryRow]], Envelope]
    """The envelope for the recipients of these copies."""
    contents: Contents = field(default_factory=dict)
    reaches_others: bool = False
    """Whether it goes to somebody even when no copy can be asked for."""
    identity: str | None = None
    """Of a replacement: it is a document of its own."""


def _post(
    parts: Parts, operation: _Operation, target: _Target, wanted: Sequence[DeliveryRow], *, caller: Agency
) -> Answer:
    """
    Accept the operation. The same words for the same copies again are the same package, unless somebody has declined.

    :raises NothingToAsk: it would go to nobody.
    """
    last = _asked_before(parts, operation, target)
    before = None if last is None or not _stands(parts, last, wanted) else last
    if before is not None:
        asked_then = {delivery.recipient for delivery in parts.ledger.deliveries(before.id)}
        then = [copy for copy in target.copies if copy.recipient in asked_then]
        if {copy.id for copy in wanted} <= {copy.id for copy in then}:
            words = operation.write(then)
            repeated = compose.repeat(parts, words, operation.contents, of=before, caller=caller)
            if repeated is not None:
                return repeated
    if not wanted and not operation.reaches_others:
        raise NothingToAsk
    return compose.post(parts, operation.write(wanted), operation.contents, after=last, caller=caller)


def _asked_before(parts: Parts, operation: _Operation, target: _Target) -> DocumentSummary | None:
    """The last operation of this kind; a replacement is one of the same new document."""
    if operation.identity is not None:
        return parts.ledger.find_document(target.sender_code, operation.identity, business_type=operation.kind)
    same = [o for o in target.trace.operations if o.business_type is operation.kind]
    return same[-1] if same else None


def _stands(parts: Parts, operation: DocumentSummary, wanted: Sequence[DeliveryRow]) -> bool:
    """Whether it has asked for all of these copies, and nobody has declined it: else the same words ask anew."""
    requests = [r for r in parts.ledger.operations_on(operation.id) if r.package == operation.id]
    asked = {r.delivery for r in requests if r.state is not OperationState.LAPSED}
    covered = all(copy.id in asked or copy.document == operation.id for copy in wanted)
    return covered and all(r.state is not OperationState.DECLINED for r in requests)
