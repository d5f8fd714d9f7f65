"""
What a recall, an update or a replacement asks, of whom, and what the gateway answers to it by itself.

Made when such a package is accepted, and recorded with it: business types 1–3, and the status 13, which asks the
same as type 1 (domain §1.6, §1.7; docs/lifecycle.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from gateway.directory import Directory, closed_at
from gateway.errors import OperationNotAllowed, OperationOutpaced
from gateway.exchange.identity import (
    issuer_within,
    names_in_package,
    names_in_reference,
    names_of_replaced,
    names_of_target,
    targets_of,
)
from gateway.exchange.own_reports import About, own_report, report_for
from gateway.exchange.parts import Parts
from gateway.exchange.reported import code_now, one_place
from gateway.ledger.records import Asked, Finding, Found, NewDocument, NewOperation, NewStatus, Reply
from gateway.model import (
    Agency,
    AgencyCode,
    BusinessType,
    Channel,
    Envelope,
    Organization,
    ResponseFor,
    StatusCode,
    StatusReport,
)
from gateway.routing import Route

T = TypeVar("T")

_TURNS = 5
"""How often an operation is prepared anew because the document moved meanwhile."""

_UNCOLLECTED = "Nơi nhận chưa lấy văn bản; trục liên thông đã rút lại theo đề nghị của cơ quan gửi"
_TAKEN_BACK = "Văn bản đã được rút lại trước đó"
_NOT_SENT = "Văn bản này không được gửi tới cơ quan nhận"
_REFUSED = "Cơ quan nhận đã từ chối tiếp nhận văn bản này trước đó"
_ORPHAN = "Trục liên thông không xác định được văn bản cần {what} do cơ quan gửi phát hành"
_WORDS = {BusinessType.REVOKE: "thu hồi", BusinessType.UPDATE: "cập nhật", BusinessType.REPLACE: "thay thế"}


@dataclass(frozen=True, kw_only=True)
class Packaged:
    """A package that may be an operation, with what its acceptance has found out."""

    envelope: Envelope
    document: NewDocument
    status: NewStatus | None
    sender: Agency
    caller: Agency
    ways: Sequence[Route]
    """To whom it goes now."""


def with_operation(parts: Parts, packaged: Packaged, *, now: datetime, record: Callable[[NewOperation | None], T]) -> T:
    """
    Record a package together with what it asks.

    :param record: records it in one transaction.
    :raises OperationNotAllowed: the document meant is another agency's.
    :raises OperationOutpaced: it moved again and again while the answers were prepared; try later.
    """
    directory = parts.directory()
    draft = _draft(parts, packaged, directory, now)
    if draft is None:
        return record(None)
    for _ in range(_TURNS - 1):
        try:
            return record(_prepared(parts, packaged, draft, directory, now))
        except OperationOutpaced:
            continue
    return record(_prepared(parts, packaged, draft, directory, now))


# What is asked, and of whom


def _draft(parts: Parts, packaged: Packaged, directory: Directory, now: datetime) -> NewOperation | None:
    """The operation without answers; ``None`` for packages that are none, or go to nobody new."""
    envelope, status = packaged.envelope, packaged.status
    if status is not None:
        if status.code is not StatusCode.RECALL_ASKED:
            return None
        kind = BusinessType.REVOKE
        ids: tuple[str, ...] = (status.about_identity,)
        asked = _asked_by_status(packaged, status)
    else:
        kind, ids = envelope.business_type, targets_of(envelope)
        if kind is BusinessType.NEW or not packaged.ways:
            return None
        named = _named(envelope, directory, now)
        asked = tuple(
            one for way in packaged.ways for one in _asked(envelope, way, named.get(way.recipient, ()), directory, now)
        )
    senders = _senders(directory, packaged.sender, ids, now)
    handed_over_by = packaged.caller.endpoint
    return NewOperation(
        business_type=kind,
        senders=tuple(dict.fromkeys([status.about_sender, *senders])) if status else senders,
        asked=asked,
        take_back=parts.rules.withdraw_uncollected,
        # A gateway of this kind has found the same, and has answered.
        answers_orphans=handed_over_by is None or handed_over_by.channel is not Channel.PEER,
        gateway=parts.site.code,
    )


def _asked_by_status(packaged: Packaged, status: NewStatus) -> tuple[Asked, ...]:
    """A status 13 asks one receiver."""
    names = tuple(name for name in (status.about_identity, status.about_alias) if name)
    recipient = packaged.ways[0].recipient if packaged.ways else status.copy_of[0]
    places = tuple(dict.fromkeys([*status.copy_of, recipient]))
    return (Asked(recipient=recipient, places=places, aims=(names,)),)


def _asked(
    envelope: Envelope, way: Route, named: Sequence[AgencyCode], directory: Directory, now: datetime
) -> Iterator[Asked]:
    """What a package asks one of its recipients: once for each of those named whose place it has taken."""
    merged = one_place(directory, directory.get(way.recipient), way.recipient, now)
    former = () if way.redirected_from is None else (way.redirected_from,)
    named = named or (*former, way.recipient)[:1]
    for place in named:
        places = tuple(dict.fromkeys([place, way.recipient, *former, *merged]))
        listed = places if len(named) == 1 else (place, way.recipient)
        yield replace(_asked_at(envelope, way, listed, directory, now), places=places)


def _named(envelope: Envelope, directory: Directory, now: datetime) -> dict[AgencyCode, list[AgencyCode]]:
    """Recipient → the primary codes of those that the package names and it stands for now."""
    named: dict[AgencyCode, list[AgencyCode]] = {}
    for agency in dict.fromkeys(directory.find(one.code, at=now) for one in envelope.recipients):
        end = None if agency is None else directory.successor(agency, at=now)
        if agency is not None and end is not None:
            named.setdefault(end.code, []).append(agency.code)
    return named


def _asked_at(
    envelope: Envelope, way: Route, places: tuple[AgencyCode, ...], directory: Directory, now: datetime
) -> Asked:
    if envelope.business_type is not BusinessType.REPLACE:
        return Asked(recipient=way.recipient, places=places, aims=(names_of_target(envelope),))
    replaced = envelope.business.replacements if envelope.business else ()
    if not any(r.document_id for r in replaced):
        inner = envelope.business.document_id if envelope.business else None
        return Asked(recipient=way.recipient, places=places, aims=((inner.key,) if inner else (),))
    aims = [
        names_of_replaced(r)
        for r in replaced
        if r.document_id and (not r.recipients or _is_among(r.recipients, way, places, directory, now))
    ]
    return Asked(recipient=way.recipient, places=places, aims=tuple(dict.fromkeys(aims)))


def _is_among(
    codes: Iterable[AgencyCode], way: Route, places: Sequence[AgencyCode], directory: Directory, now: datetime
) -> bool:
    """Whether a recipient is one of those named, under whichever of its codes."""
    found = ((code, directory.find(code, at=now)) for code in codes)
    named = {AgencyCode.normal(code) if agency is None else agency.code for code, agency in found}
    return AgencyCode.normal(way.as_written) in named or not named.isdisjoint(places)


def _senders(directory: Directory, sender: Agency, ids: Sequence[str], now: datetime) -> tuple[AgencyCode, ...]:
    """
    Whose documents a sender may operate on: its own, and those of closed agencies that it has succeeded.

    An agency whose work several took over is found by the code within the document's id: each of them is its
    registered successor.
    """
    codes = [sender.code, *(former.code for former in directory.predecessors(sender, at=now))]
    for issuer in filter(None, map(issuer_within, ids)):
        codes += [
            holder.code
            for holder in directory.holders(issuer)
            if closed_at(holder, now) and sender.code in {heir.code for heir in directory.heirs(holder, at=now)}
        ]
    return tuple(dict.fromkeys(codes))


# What the gateway answers


def _prepared(
    parts: Parts, packaged: Packaged, draft: NewOperation, directory: Directory, now: datetime
) -> NewOperation:
    """The operation with the answers to what it meets now."""
    found = parts.ledger.meet(draft, package=packaged.document.id, now=now)
    if any(f.finding is Finding.ORPHAN for f in found):
        _check_issuer(parts, packaged, draft, directory)
    replies: dict[tuple[AgencyCode, AgencyCode], dict[Finding, Reply]] = {}
    for one in found:
        own = replies.setdefault((one.recipient, one.place), {})
        if draft.needs_reply(one.finding) and one.finding not in own:
            own[one.finding] = _reply(parts, packaged, draft, one, now)
    asked = (replace(one, replies=replies.get((one.recipient, one.places[0]), {})) for one in draft.asked)
    return replace(draft, asked=tuple(asked))


def _check_issuer(parts: Parts, packaged: Packaged, draft: NewOperation, directory: Directory) -> None:
    """
    Refuse an operation on a document that another agency has issued, as its id says and the ledger knows.

    :raises OperationNotAllowed: named by the code of its issuer only, which the sender has written itself.
    """
    for name in dict.fromkeys(name for asked in draft.asked for aim in asked.aims for name in aim):
        issuer = issuer_within(name)
        if issuer is None:
            continue
        holders = [agency.code for agency in directory.holders(issuer)] or [AgencyCode.normal(issuer)]
        for holder in holders:
            if holder not in draft.senders and parts.ledger.find_document(holder, name) is not None:
                raise OperationNotAllowed(path=_path(packaged.envelope))


def _path(envelope: Envelope) -> str:
    if envelope.status is not None:
        return "MessageHeader.ResponseFor.DocumentId"
    if envelope.business_type is BusinessType.REPLACE:
        return "TraceHeaderList.Bussiness.ReplacementInfoList.ReplacementInfo.DocumentId"
    return "TraceHeaderList.Bussiness.DocumentId"


def _reply(parts: Parts, packaged: Packaged, draft: NewOperation, found: Found, now: datetime) -> Reply:
    code = found.finding.answer
    assert code is not None
    words = {
        Finding.UNCOLLECTED: _UNCOLLECTED,
        Finding.TAKEN_BACK: _TAKEN_BACK,
        Finding.NOT_SENT: _NOT_SENT,
        Finding.REFUSED: _REFUSED,
    }.get(found.finding) or _ORPHAN.format(what=_WORDS[draft.business_type])
    document = parts.ledger.document(found.document) if found.document else None
    copy = parts.ledger.delivery(found.delivery) if found.delivery else None
    if document is not None and copy is not None:
        reply = own_report(parts, document, copy, code=code, description=words, now=now)
        assert reply is not None  # what is operated on is a document
        return reply
    return _about_the_operation(packaged, found, StatusReport(code=code, description=words, reported_at=now), parts)


def _about_the_operation(packaged: Packaged, found: Found, report: StatusReport, parts: Parts) -> Reply:
    """An answer where there is no copy that it could be about: it refers to what the operation itself says."""
    directory, now = parts.directory(), report.reported_at
    envelope = packaged.envelope
    agency = directory.get(found.recipient)
    way = next((w for w in packaged.ways if w.recipient == found.recipient), None)
    as_written = found.recipient if way is None else code_now(directory, way.as_written, found.recipient, now)
    if packaged.status is not None:
        meant = envelope.responses[0]
        (identity, alias), sender = names_in_reference(meant), packaged.status.about_sender
    else:
        meant = ResponseFor(number=envelope.number.text, document_id=envelope.document_id, issued_on=envelope.issued_on)
        (identity, alias), sender = names_in_package(envelope, packaged.document.sha256), packaged.sender.code
    return report_for(
        parts,
        reporter=found.recipient,
        writes=Organization(code=as_written, name=agency.name if agency else None),
        response=replace(meant, code=code_now(directory, envelope.sender.code, packaged.sender.code, now)),
        told_name=envelope.sender.name,
        about=About(sender=sender, identity=identity, alias=alias),
        report=report,
        log_document=packaged.document.id,
    )
