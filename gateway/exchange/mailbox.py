"""Collect: an agency peeks into its mailbox, locks a document, fetches it, and takes or refuses it (design D6)."""

from __future__ import annotations

from datetime import timedelta

from gateway import faults
from gateway.errors import NotFound, ReasonRequired
from gateway.exchange.lookup import formerly
from gateway.exchange.parts import Parts
from gateway.exchange.statuses import arrival, own_report
from gateway.ledger.records import Lock, LogRow, Page, Reply, Settled
from gateway.model import Agency, Channel, DeliveryState, StatusCode


def peek(parts: Parts, *, caller: Agency, limit: int, after: str | None) -> Page[LogRow]:
    """What is to be collected by the caller; most urgent first."""
    return parts.ledger.inbox(caller.code, formerly=formerly(parts, caller), limit=limit, after=after)


def lock(parts: Parts, delivery_id: str, *, caller: Agency, lease: timedelta) -> Lock:
    """Reserve one delivery; errors as ``Ledger.lock``."""
    return parts.ledger.lock(delivery_id, caller.code, formerly=formerly(parts, caller), now=parts.clock(), lease=lease)


def acknowledge(parts: Parts, delivery_id: str, token: str, *, caller: Agency) -> Settled:
    """
    The caller has stored the document: the delivery is done, and the sender gets status 01.

    Repeating it changes nothing and answers the same.
    """
    reply = _report(parts, delivery_id, caller, StatusCode.ARRIVED)
    faults.point("mailbox.before_acknowledge")
    settled = parts.ledger.acknowledge(
        delivery_id, caller.code, token, formerly=formerly(parts, caller), now=parts.clock(), reply=reply
    )
    faults.point("mailbox.after_acknowledge")
    parts.wake()
    return settled


def refuse(parts: Parts, delivery_id: str, token: str, *, reason: str, caller: Agency) -> Settled:
    """
    The caller does not take the document: the sender gets status 02 with the reason.

    :raises ReasonRequired: the reason is blank (QĐ 28/2018 Art. 5).
    """
    if not reason.strip():
        raise ReasonRequired(path="reason")
    reply = _report(parts, delivery_id, caller, StatusCode.REFUSED, reason=reason.strip())
    settled = parts.ledger.refuse(
        delivery_id,
        caller.code,
        token,
        reason=reason.strip(),
        formerly=formerly(parts, caller),
        now=parts.clock(),
        reply=reply,
    )
    parts.wake()
    return settled


def delivery_of(parts: Parts, delivery_id: str, caller: Agency) -> LogRow:
    """
    One delivery of the caller's mailbox, collected ones included.

    :raises NotFound: there is none of that id, it is another's, was taken back, or waits behind an earlier one.
    """
    row = parts.ledger.log_row(delivery_id)
    if row is None or row.delivery.channel is not Channel.MAILBOX:
        raise NotFound
    if row.delivery.via not in (caller.code, *formerly(parts, caller)):
        raise NotFound
    if row.delivery.blocked or row.delivery.state is DeliveryState.WITHDRAWN:
        raise NotFound
    return row


def _report(
    parts: Parts, delivery_id: str, caller: Agency, code: StatusCode, *, reason: str | None = None
) -> Reply | None:
    """The status that goes back; without a reason it says that the document has arrived."""
    row = delivery_of(parts, delivery_id, caller)
    document = parts.ledger.document(row.document.id)
    if document is None:
        raise NotFound
    words = arrival(row.delivery) if reason is None else reason
    return own_report(parts, document, row.delivery, code=code, description=words, now=parts.clock())
