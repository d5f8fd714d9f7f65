"""Look up: what an agency may see of documents, and the bytes of a package."""

from __future__ import annotations

import io
from typing import BinaryIO

from gateway.errors import NotFound
from gateway.exchange.parts import Parts
from gateway.ledger.records import DocumentRow, Trace
from gateway.model import Agency


def visible_document(parts: Parts, document_id: str, *, caller: Agency) -> DocumentRow:
    """
    One document that the caller sent, handed over or receives.

    :raises NotFound: there is none, or it is not the caller's to see; the two are not told apart.
    """
    document = parts.ledger.document(document_id)
    if document is None or not parts.ledger.may_see(document_id, caller.code):
        raise NotFound
    return document


def visible_trace(parts: Parts, document_id: str, *, caller: Agency) -> Trace:
    """The way of one document; errors as ``visible_document``."""
    visible_document(parts, document_id, caller=caller)
    trace = parts.ledger.trace(document_id)
    if trace is None:
        raise NotFound
    return trace


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
