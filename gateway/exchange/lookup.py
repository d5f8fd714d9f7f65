"""Look up: what an agency may see of documents, and the bytes of a package."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import replace
from typing import BinaryIO

from gateway.errors import NotFound
from gateway.exchange.parts import Parts
from gateway.ledger.actions import Action
from gateway.ledger.records import DeliveryRow, DocumentRow, Trace
from gateway.model import Agency, AgencyCode


def formerly(parts: Parts, caller: Agency) -> tuple[AgencyCode, ...]:
    """The closed agencies whose place the caller has taken; what was theirs to collect is its own."""
    return tuple(agency.code for agency in parts.directory().predecessors(caller, at=parts.clock()))


def visible_document(parts: Parts, document_id: str, *, caller: Agency) -> DocumentRow:
    """
    One document that the caller sent, handed over or receives; a copy taken back before it was collected, or held
    up behind an earlier one, is not its receiver's to see.

    :raises NotFound: there is none, or it is not the caller's to see; the two are not told apart.
    """
    document = parts.ledger.document(document_id)
    if document is None or not _may_see(parts, document_id, caller):
        raise NotFound
    return document


def visible_deliveries(parts: Parts, document: DocumentRow, *, caller: Agency) -> list[DeliveryRow]:
    """The copies of a visible document that are the caller's to see: all for its sender, their own for others."""
    copies = parts.ledger.deliveries(document.id)
    if _sees_the_whole(parts, document, caller):
        return copies
    own = (caller.code, *formerly(parts, caller))
    return [d for d in copies if _receives(d, own)]


def visible_trace(parts: Parts, document_id: str, *, caller: Agency) -> Trace:
    """
    The way of one document: the whole for its sender, for a receiver what concerns its own copy.

    :raises NotFound: as ``visible_document``.
    """
    document = visible_document(parts, document_id, caller=caller)
    trace = parts.ledger.trace(document_id)
    if trace is None:
        raise NotFound
    return trace if _sees_the_whole(parts, document, caller) else _of_receiver(parts, trace, caller)


def _sees_the_whole(parts: Parts, document: DocumentRow, caller: Agency) -> bool:
    """Whether the caller sent the document, handed it over, or speaks for its sender."""
    if caller.code in (document.sender, document.received_from):
        return True
    return parts.directory().speaks_for(caller, document.sender, at=parts.clock())


def _may_see(parts: Parts, document_id: str, caller: Agency) -> bool:
    return any(parts.ledger.may_see(document_id, code) for code in (caller.code, *formerly(parts, caller)))


def _receives(copy: DeliveryRow, agencies: Collection[AgencyCode]) -> bool:
    return not copy.hidden and (copy.recipient in agencies or copy.via in agencies)


def _of_receiver(parts: Parts, trace: Trace, caller: Agency) -> Trace:
    agencies = (caller.code, *formerly(parts, caller))
    copies = tuple(d for d in trace.deliveries if _receives(d, agencies))
    own = {d.id for d in copies}
    return replace(
        trace,
        deliveries=copies,
        attempts=tuple(a for a in trace.attempts if a.delivery in own),
        # A status package is read by who receives it, whosever copy it reports on.
        statuses=tuple(s for s in trace.statuses if s.delivery in own or s.package == trace.document.id),
        events=tuple(e for e in trace.events if e.delivery in own or e.action is Action.DOCUMENT_ACCEPTED),
        operations=tuple(o for o in trace.operations if _may_see(parts, o.id, caller)),
        requests=tuple(r for r in trace.requests if own.intersection((r.delivery, r.own))),
    )


def open_package(parts: Parts, sha256: str, *, start: int = 0) -> BinaryIO:
    """
    The bytes of a stored package, from one offset on.

    :raises PayloadMissing: it is in neither place.
    """
    inline = parts.ledger.payload(sha256)
    if inline is not None:
        reader = io.BytesIO(inline)
        reader.seek(start)
        return reader
    return parts.payloads.open(sha256, start=start)


def open_received(parts: Parts, document_id: str) -> BinaryIO:
    """The package of one document exactly as it was received."""
    document = parts.ledger.document(document_id)
    if document is None:
        raise NotFound
    return open_package(parts, document.sha256)
