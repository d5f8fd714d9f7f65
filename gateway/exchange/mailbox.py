"""Collect: an agency peeks into its mailbox, locks a document, fetches it, and takes or refuses it (design D6)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import BinaryIO, Literal, NamedTuple

from gateway import faults
from gateway.edxml import reserialise
from gateway.errors import NotFound, ReasonRequired, TransitionForbidden
from gateway.exchange.lookup import formerly, open_package
from gateway.exchange.own_reports import arrival, own_report, refusal
from gateway.exchange.parts import Parts
from gateway.ledger.bounds import made_storable, storable
from gateway.ledger.protocol import Window
from gateway.ledger.records import DeliveryRow, Lock, LogRow, Page, Reply, Settled
from gateway.model import Agency, AgencyCode, Channel, DeliveryState, PackageKind, StatusCode


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

    What it does not take of a recall or an update is that: the sender gets 16, and the copy stays as it is.

    :raises ReasonRequired: the reason is blank (QĐ 28/2018 Art. 5).
    """
    if not reason.strip():
        raise ReasonRequired(path="reason")
    reply = _refusal(parts, delivery_id, caller, reason.strip())
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


def hand_out(parts: Parts, delivery_id: str, *, caller: Agency) -> LogRow:
    """
    One delivery whose package is about to be handed to the caller; errors as ``delivery_of``.

    A recall that comes after this asks the receiver, however long it takes to acknowledge.
    """
    row = delivery_of(parts, delivery_id, caller)
    if row.delivery.state.is_open:
        _mark(parts, delivery_id, caller)
    return row


def _mark(parts: Parts, delivery_id: str, owner: Agency) -> None:
    parts.ledger.hand_out(delivery_id, owner.code, formerly=formerly(parts, owner), now=parts.clock())


# Over the protocols of the country, whose clients know no locks and speak for several agencies


def listed(
    parts: Parts,
    callers: Sequence[Agency],
    *,
    kind: PackageKind | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    after: str | None,
) -> Page[LogRow]:
    """
    What the callers have to collect and have not said ``done`` to: highest lane first, then oldest.

    What is under ``processing`` stays among it; what failed is left out until its delay is over.

    :param since: at or after which it became collectable; aware.
    :param until: exclusive.
    :param limit: rows of one page, at most 1,000.
    """
    owners = _owners(parts, callers)
    if not owners:
        return Page(rows=(), next=None)
    window = Window(kind=kind, since=since, until=until)
    return parts.ledger.listed(owners, window, now=parts.clock(), limit=limit, after=after)


def count(parts: Parts, callers: Sequence[Agency], kind: PackageKind | None) -> int:
    """How much there is to collect now."""
    owners = _owners(parts, callers)
    return parts.ledger.count_listed(owners, Window(kind=kind), now=parts.clock()) if owners else 0


class Handout(NamedTuple):
    """A package as it is handed out."""

    row: LogRow
    reader: BinaryIO
    """The caller's to close."""
    size: int
    """Bytes that the reader has."""


def package(parts: Parts, delivery_id: str, callers: Sequence[Agency]) -> Handout:
    """
    One delivery, and the package that is handed out for it.

    What was not collected yet is then under way, as if its receiver had said ``processing``: whoever has it in hand
    must not be overtaken by a recall that takes it back unseen. What was collected before can be had again.

    :raises NotFound: as ``delivery_of``.
    :raises PayloadMissing: the package is lost.
    """
    row, owner = _owned(parts, delivery_id, callers)
    if row.delivery.state.is_open:
        with contextlib.suppress(TransitionForbidden):  # another client of the receiver has just settled it
            settle(parts, delivery_id, [owner], "processing", gateway=False)
        _mark(parts, delivery_id, owner)
    reader = open_package(parts, row.document.sent_sha256)
    if parts.rules.reserialise:
        with reader:
            source = reader.read()
        changed = reserialise(
            source, axis=parts.site.code, at=parts.clock(), limits=parts.rules.limits, spool=parts.spool
        )
        return Handout(row, io.BytesIO(changed), len(changed))
    document = row.document
    return Handout(row, reader, document.size if document.forward_size is None else document.forward_size)


def settle(
    parts: Parts,
    delivery_id: str,
    callers: Sequence[Agency],
    outcome: Literal["done", "processing", "fail"],
    *,
    gateway: bool,
    reason: str | None = None,
) -> Settled:
    """
    Note what a receiver's system says of a document that it has fetched; it needs no lock of its own.

    ``done``: it is safe there; the sender gets status 01, unless a gateway says so, which delivers it further.
    ``processing``: it is kept for the mailbox's lease, or that much longer; it stays listed.
    ``fail``: it could not be used; a failed try, and it is listed again after the delay of its lane, for ever.

    :param gateway: the system is itself an axis or a province's centre.
    :return: repeated, when it was said before and nothing was changed.
    :raises NotFound: as ``delivery_of``.
    :raises TransitionForbidden: ``processing`` or ``fail`` after it was settled.
    """
    row, owner = _owned(parts, delivery_id, callers, withdrawn=outcome == "done")
    former = formerly(parts, owner)
    now = parts.clock()
    if outcome == "processing":
        return parts.ledger.hold(delivery_id, owner.code, formerly=former, now=now, lease=parts.rules.mailbox_lease)
    if outcome == "fail":
        policy = parts.rules.retries[row.delivery.lane]
        return parts.ledger.put_back(
            delivery_id,
            owner.code,
            formerly=former,
            reason=None if reason is None else made_storable(reason),
            retry_at=lambda tries: now + policy.wait(attempts=tries),
            now=now,
        )
    reply = None if gateway else _report(parts, delivery_id, owner, StatusCode.ARRIVED)
    faults.point("mailbox.before_acknowledge")
    settled = parts.ledger.finish(delivery_id, owner.code, formerly=former, forwarded=gateway, now=now, reply=reply)
    faults.point("mailbox.after_acknowledge")
    parts.wake()
    return settled


def sent(
    parts: Parts,
    callers: Sequence[Agency],
    *,
    since: datetime | None,
    until: datetime | None,
    document_id: str | None,
    limit: int,
    after: str | None,
    kind: PackageKind | None = PackageKind.DOCUMENT,
) -> Page[LogRow]:
    """
    What the callers sent or handed over, newest first: one row per recipient.

    :param since: accepted at or after; aware.
    :param until: exclusive.
    :param document_id: the gateway's id of one document, or the DocumentId that a caller gave its own.
    :param limit: rows of one page, at most 1,000.
    """
    window = Window(kind=kind, since=since, until=until)
    return parts.ledger.sent(_owners(parts, callers), window, document_id=document_id, limit=limit, after=after)


def transport_status(delivery: DeliveryRow) -> str:
    """Where a delivery stands, in the protocols' word: ``initial``, ``processing``, ``done`` or ``fail``."""
    match delivery.state:
        case DeliveryState.WAITING:
            return "initial" if delivery.error_code is None else "fail"
        case DeliveryState.LEASED:
            return "processing"
        case DeliveryState.FORWARDED | DeliveryState.DELIVERED:
            return "done"
        case DeliveryState.REFUSED | DeliveryState.ABANDONED | DeliveryState.WITHDRAWN:
            return "fail"


def _owners(parts: Parts, callers: Sequence[Agency]) -> list[AgencyCode]:
    """Whose mailboxes the callers may empty: their own, and of those whose place they have taken."""
    codes = (code for caller in callers for code in (caller.code, *formerly(parts, caller)))
    return list(dict.fromkeys(codes))


def _owned(
    parts: Parts, delivery_id: str, callers: Sequence[Agency], *, withdrawn: bool = False
) -> tuple[LogRow, Agency]:
    """
    One delivery and the caller whose mailbox it is in.

    :param withdrawn: also one that was taken back; whether that was before it was collected is for the ledger to judge.
    """
    row = _collectable(parts, delivery_id, withdrawn=withdrawn)
    owner = next((c for c in callers if row.delivery.via in (c.code, *formerly(parts, c))), None)
    if owner is None:
        raise NotFound
    return row, owner


# One delivery


def delivery_of(parts: Parts, delivery_id: str, caller: Agency) -> LogRow:
    """
    One delivery of the caller's mailbox, collected ones included.

    :raises NotFound: there is none of that id, it is another's, was taken back, or waits behind an earlier one.
    """
    return _owned(parts, delivery_id, [caller])[0]


def _collectable(parts: Parts, delivery_id: str, *, withdrawn: bool) -> LogRow:
    # Ids come as strangers write them.
    row = parts.ledger.log_row(delivery_id) if storable(delivery_id) else None
    if row is None or row.delivery.channel is not Channel.MAILBOX:
        raise NotFound
    if row.delivery.blocked or (row.delivery.hidden and not withdrawn):
        raise NotFound
    return row


def _refusal(parts: Parts, delivery_id: str, caller: Agency, reason: str) -> Reply | None:
    """What a refusal tells the sender; ``None`` when the receiver has answered before."""
    row = delivery_of(parts, delivery_id, caller)
    document = parts.ledger.document(row.document.id)
    if document is None:
        raise NotFound
    return refusal(parts, document, row.delivery, reason=reason, now=parts.clock())


def _report(parts: Parts, delivery_id: str, caller: Agency, code: StatusCode) -> Reply | None:
    """The status that goes back and says that the document has arrived."""
    row = delivery_of(parts, delivery_id, caller)
    document = parts.ledger.document(row.document.id)
    if document is None:
        raise NotFound
    return own_report(parts, document, row.delivery, code=code, description=arrival(row.delivery), now=parts.clock())
