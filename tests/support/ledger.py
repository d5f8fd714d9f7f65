"""Values to put into a ledger, each complete and each different unless told otherwise."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.ledger import Ledger
from gateway.ledger.records import (
    Accepted,
    Asked,
    Claim,
    Finding,
    NewDelivery,
    NewDocument,
    NewOperation,
    NewStatus,
    Reply,
    new_id,
)
from gateway.model import AgencyCode, BusinessType, Channel, PackageKind, Standing, StatusCode, Verdict

NOON = datetime(2026, 11, 22, 5, tzinfo=UTC)
LEASE = timedelta(minutes=5)
SENDER = AgencyCode("H37.1")
RECEIVER = AgencyCode("H37.14.2")
OTHER = AgencyCode("H38.7")
GATEWAY = AgencyCode("H37")

UNSIGNED = Verdict(standing=Standing.UNSIGNED, reason="signature.absent", judged_at=NOON)

_numbers = itertools.count(1)


def at(minutes: float) -> datetime:
    """A moment, in minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def a_document(**changes: Any) -> NewDocument:
    """A small dispatch with an identity of its own."""
    number = next(_numbers)
    payload = changes.pop("payload", f"<edXML>{number}</edXML>".encode())
    body = payload if payload is not None else b""
    values: dict[str, Any] = {
        "id": new_id(),
        "kind": PackageKind.DOCUMENT,
        "sender": SENDER,
        "sender_as_written": AgencyCode("000.00.01.H37"),
        "sender_name": "Sở Thông tin và Truyền thông",
        "document_id": f"000.00.01.H37,2026/11/22,{number}/QĐ-UBND",
        "identity": f"000.00.01.H37,2026/11/22,{number}/QĐ-UBND",
        "alias": f"~2026/11/22,{number}/QĐ-UBND",
        "sha256": hashlib.sha256(body).hexdigest(),
        "size": len(body),
        "payload": payload,
        "number": str(number),
        "notation": "QĐ-UBND",
        "issued_on": NOON.date(),
        "type_name": "Quyết định",
        "subject": "Về việc phê duyệt kế hoạch",
        "verdict": UNSIGNED,
        "received_at": NOON,
        "received_from": SENDER,
        "receipt": f'{{"number": {number}}}',
        "seal": b"<seal/>",
    }
    return NewDocument(**(values | changes))


def a_delivery(recipient: AgencyCode = RECEIVER, **changes: Any) -> NewDelivery:
    """A push to a receiver that has its own endpoint."""
    values: dict[str, Any] = {
        "id": new_id(),
        "recipient": recipient,
        "as_written": recipient,
        "recipient_name": "Uỷ ban nhân dân xã Đồng Đăng",
        "via": recipient,
        "channel": Channel.PUSH,
        "due_at": NOON,
    }
    return NewDelivery(**(values | changes))


def a_status(about: NewDocument, code: StatusCode = StatusCode.ARRIVED, **changes: Any) -> NewStatus:
    """A report by the receiver."""
    values: dict[str, Any] = {
        "id": new_id(),
        "code": code,
        "description": "Sai thẩm quyền" if code.needs_reason else None,
        "reported_at": NOON,
        "reporter": RECEIVER,
        "about_sender": about.sender,
        "about_identity": about.identity,
        "about_alias": about.alias,
        "copy_of": (RECEIVER,),
    }
    return NewStatus(**(values | changes))


def a_status_package(status: NewStatus, **changes: Any) -> NewDocument:
    """The package that carries a report."""
    payload = f"<status>{next(_numbers)}</status>".encode()
    sha256 = hashlib.sha256(payload).hexdigest()
    return a_document(
        **(
            {
                "kind": PackageKind.STATUS,
                "sender": status.reporter,
                "payload": payload,
                "document_id": None,
                "identity": f"sha256:{sha256}",
                "alias": None,
                "received_from": status.reporter,
            }
            | changes
        )
    )


def a_reply(about: NewDocument, code: StatusCode = StatusCode.ARRIVED, **changes: Any) -> Reply:
    """The status that the gateway answers with itself."""
    status = a_status(about, code, **changes)
    package = a_status_package(status, received_from=GATEWAY)
    return Reply(document=package, deliveries=(a_delivery(about.sender, channel=Channel.MAILBOX),), status=status)


def an_operation(on: NewDocument, business_type: BusinessType = BusinessType.REVOKE, **changes: Any) -> NewDocument:
    """A package of the same sender that operates on another."""
    made = a_document(**({"business_type": business_type, "targets": (on.identity,)} | changes))
    return replace(made, revision=made.sha256)


def asked(
    on: NewDocument,
    business_type: BusinessType = BusinessType.REVOKE,
    *recipients: AgencyCode,
    replies: Mapping[Finding, Reply] | None = None,
    **changes: Any,
) -> NewOperation:
    """What such a package asks of its recipients."""
    names = tuple(name for name in (on.identity, on.alias) if name)
    values: dict[str, Any] = {
        "business_type": business_type,
        "senders": (on.sender,),
        "asked": tuple(
            Asked(recipient=r, places=(r,), aims=(names,), replies=replies or {}) for r in recipients or (RECEIVER,)
        ),
        "take_back": False,
        "gateway": GATEWAY,
    }
    return NewOperation(**(values | changes))


def an_orphan(ledger: Ledger, **changes: Any) -> NewDocument:
    """An accepted recall of a document that the ledger does not know; answered by the gateway."""
    unknown = a_document()
    recall = an_operation(unknown, **changes)
    reply = a_reply(recall, StatusCode.DISAGREED)
    operation = asked(unknown, replies={Finding.ORPHAN: reply})
    ledger.accept(recall, [a_delivery()], operation=operation)
    return recall


def report(ledger: Ledger, status: NewStatus, **changes: Any) -> Accepted:
    """Have a status accepted."""
    answer = ledger.accept(a_status_package(status, **changes), [], status)
    assert isinstance(answer, Accepted)
    return answer


def claim(ledger: Ledger, now: datetime = NOON, **changes: Any) -> list[Claim]:
    """What a worker gets."""
    options: dict[str, Any] = {"worker": "w1", "lease": LEASE, "limit": 10, "per_endpoint": 10}
    return ledger.claim(now=now, **(options | changes))


def claim_one(ledger: Ledger, now: datetime = NOON, **changes: Any) -> Claim:
    """The only thing that a worker gets."""
    claims = claim(ledger, now, **changes)
    assert len(claims) == 1
    return claims[0]
