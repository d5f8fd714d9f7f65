"""
The rows of the kit's lists (domain §2.1). Pure.

Codes stand as the package wrote them. Members beside the kit's own are for programs that know us; kits pass over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from types import MappingProxyType
from typing import Any

from gateway.api.vxp.moments import shown
from gateway.directory import Directory, closed_at
from gateway.directory.directory import vietnam_day
from gateway.exchange.mailbox import transport_status
from gateway.ledger.records import LogRow
from gateway.model import VIETNAM_TIME, Agency, AgencyCode, CodeGeneration, DocumentNumber, PackageKind, StatusCode

SERVICE = "eDoc"
_AT_ONCE = 500
"""Agencies whose times of change are asked for together."""

_MESSAGES: Mapping[str, PackageKind] = MappingProxyType({"edoc": PackageKind.DOCUMENT, "status": PackageKind.STATUS})

_TRANSPORT: Mapping[str, str] = MappingProxyType(
    {"initial": "Cho nhan", "processing": "Dang xu ly", "done": "Da nhan", "fail": "Khong thanh cong"}
)

_REPORTED: Mapping[StatusCode, str] = MappingProxyType(
    {
        StatusCode.ARRIVED: "Da den",
        StatusCode.REFUSED: "Tu choi tiep nhan",
        StatusCode.REGISTERED: "Da tiep nhan",
        StatusCode.ASSIGNED: "Phan cong",
        StatusCode.PROCESSING: "Dang xu ly",
        StatusCode.DONE: "Hoan thanh",
        StatusCode.RECALL_ASKED: "Lay lai",
        StatusCode.AGREED: "Dong y",
        StatusCode.DISAGREED: "Tu choi",
    }
)

ChangedAt = Callable[[Sequence[AgencyCode]], Mapping[AgencyCode, datetime]]
"""When the directory last changed what it says of some agencies; aware UTC."""


def kind_of(message_type: str) -> PackageKind | None:
    """The kind that ``messagetype`` means; ``None`` when it is none that there is."""
    return _MESSAGES.get(message_type.lower())


def _message_type(kind: PackageKind) -> str:
    return next(name for name, meant in _MESSAGES.items() if meant is kind)


# Documents


def received(row: LogRow) -> dict[str, Any]:
    """One line of ``getReceivedEdocList``; its ``docId`` is the delivery's id."""
    status = transport_status(row.delivery)
    return {
        "docId": row.delivery.id,
        "serviceType": SERVICE,
        "messageType": _message_type(row.document.kind),
        "created_time": shown(row.delivery.created_at),
        "updated_time": shown(row.delivery.changed_at),
        "from": row.document.sender_as_written,
        "to": row.delivery.as_written,
        "status": status,
        "status_desc": _TRANSPORT[status],
    }


def sent(row: LogRow) -> dict[str, Any]:
    """
    One line of ``getSentEdocList``: one document on its way to one recipient.

    How far it came is the send status, in the words of ``updateStatus``; the receive status is what the receiver has
    reported, 01 to 16.
    """
    document, delivery = row.document, row.delivery
    status = transport_status(delivery)
    return {
        "serviceType": SERVICE,
        "messageType": _message_type(document.kind),
        "receiverDocId": delivery.id,
        "senderDocId": document.id,
        "documentId": document.document_id or "",
        "fromCode": document.sender_as_written,
        "toCode": delivery.as_written,
        "title": document.subject or "",
        "notation": DocumentNumber(number=document.number, notation=document.notation).text or "",
        "sentTime": shown(document.received_at),
        "receivedTime": shown(delivery.settled_at) if status == "done" else "",
        "sendStatus": status,
        "sendStatusDesc": _TRANSPORT[status],
        "receiveStatus": delivery.status or "",
        "receiveStatusDesc": _REPORTED[delivery.status] if delivery.status else "",
    }


def by_document(rows: Sequence[LogRow]) -> list[LogRow]:
    """The documents as they are listed; the copies of each in the order in which its recipients were routed."""
    first_seen = {row.document.id: position for position, row in reversed(list(enumerate(rows)))}
    return sorted(rows, key=lambda row: (first_seen[row.document.id], row.delivery.id))


# The catalogue


def agencies(directory: Directory, *, at: datetime) -> Iterator[dict[str, Any]]:
    """The lines of ``getAgenciesList``: agencies that exist, under their primary codes."""
    for agency in directory.agencies():
        if _exists(agency, at):
            yield {
                "id": agency.code,
                "pid": agency.parent or "",
                "code": agency.code,
                "name": agency.name,
                "mail": "",
                "oldCode": _other_code(agency),
            }


def agencies_of_level(directory: Directory, level: int | None, *, at: datetime) -> Iterator[dict[str, Any]]:
    """
    The lines of ``getAgenciesListQD20``: agencies that exist and have a code by QĐ 20/2020.

    :param level: how many parts that code has; ``None`` for all.
    """
    for agency in directory.agencies():
        code = _code_by(agency, CodeGeneration.QD20)
        if not code or not _exists(agency, at) or level not in (None, code.count(".") + 1):
            continue
        yield {
            "id": agency.code,
            "code": code,
            "name": agency.name,
            "mail": "",
            "code102": _code_by(agency, CodeGeneration.TT10),
        }


def units(directory: Directory, changed_at: ChangedAt, *, at: datetime) -> Iterator[dict[str, Any]]:
    """
    The lines of ``getSynchronizeUnit``: all agencies, closed ones too, each with the version of its last change.

    A version is the second of the change: whoever remembers the highest that it saw finds later ones above it. For a
    closed agency ``modifyDate`` is the moment at which it closed.
    """
    known = directory.agencies()
    for start in range(0, len(known), _AT_ONCE):
        some = [agency for agency in known[start : start + _AT_ONCE] if _has_begun(agency, at)]
        changes = changed_at([agency.code for agency in some])
        for agency in some:
            yield _unit(agency, directory, changes.get(agency.code), at)


def _unit(agency: Agency, directory: Directory, changed: datetime | None, at: datetime) -> dict[str, Any]:
    deleted = closed_at(agency, at)
    holder = directory.endpoint_holder(agency, at=at)
    # The days on which it opened and closed came later, perhaps, than the directory learnt of them.
    passed = [_midnight(day) for day in (agency.valid_from, agency.valid_to) if day and day <= vietnam_day(at)]
    latest = max([*passed, *([changed] if changed else [])], default=datetime.fromtimestamp(0, UTC))
    return {
        "id": agency.code,
        "pid": agency.parent or "",
        "code": agency.code,
        "oldCode": _other_code(agency),
        "name": agency.name,
        "mail": "",
        "version": int(latest.timestamp()),
        "centerCode": holder.code if holder else "",
        "deleted": deleted,
        "modifyDate": shown(_midnight(agency.valid_to) if deleted and agency.valid_to else latest),
        "isAgency": not agency.hidden,
    }


def _has_begun(agency: Agency, at: datetime) -> bool:
    return agency.valid_from is None or agency.valid_from <= vietnam_day(at)


def _exists(agency: Agency, at: datetime) -> bool:
    return _has_begun(agency, at) and not closed_at(agency, at)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), VIETNAM_TIME)


def _code_by(agency: Agency, generation: CodeGeneration) -> str:
    return next((code for code in agency.codes if code.generation is generation), "")


def _other_code(agency: Agency) -> str:
    """Its code of the generation that the primary one is not of; of neither, nobody asks."""
    other = CodeGeneration.TT10 if agency.code.generation is CodeGeneration.QD20 else CodeGeneration.QD20
    return _code_by(agency, other)
