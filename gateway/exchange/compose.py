"""Build a package for an agency that has no edXML writer of its own, and accept it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from gateway.directory import Directory
from gateway.edxml import write_document_to
from gateway.errors import DocumentConflict
from gateway.exchange.accept import Answer, accept
from gateway.exchange.parts import Parts
from gateway.exchange.upload import Upload, receive_for, spool_file, unwritten
from gateway.ledger.identity import stored
from gateway.ledger.records import DocumentRow, DocumentSummary
from gateway.model import Agency, AgencyCode, Business, Envelope, Hop, Organization


def compose(parts: Parts, envelope: Envelope, contents: Mapping[str, Path | bytes], *, caller: Agency) -> Answer:
    """
    Write the package in the kit's form and accept it.

    What the caller did not say and the gateway knows is filled in: the names of agencies, and the first hop, which
    is the sender's at the moment of its first post, so that the same words later are the same package.

    :param envelope: with one reference for each file.
    :param contents: content id → the file as it is.
    :raises DocumentError: as ``accept``; what was wrong in the words is named by the package's paths.
    """
    now = parts.clock()
    parts = replace(parts, clock=lambda: now)  # The first hop and the receipt then say the same moment.
    directory = parts.directory()
    first = _first_posted(parts, envelope, directory, now)
    envelope = _named(envelope, {} if first is None else _names_then(parts, first), directory, now)
    try:
        return _hand_over(parts, envelope, contents, caller=caller, posted=now if first is None else first.received_at)
    except DocumentConflict as conflict:
        existing = parts.ledger.document(conflict.existing)
        if existing is None or first is not None:
            raise
        # Perhaps the same words, posted by two requests at once: then they differ in nothing but the hop.
        return _hand_over(parts, envelope, contents, caller=caller, posted=existing.received_at)


def post(
    parts: Parts,
    envelope: Envelope,
    contents: Mapping[str, Path | bytes],
    *,
    after: DocumentSummary | None,
    caller: Agency,
) -> Answer:
    """
    Write a recall, an update or a replacement as it is posted now, and accept it.

    :param after: the last such operation: the same words again are another package, though the hop knows no parts
        of a second.
    """
    now = parts.clock()
    parts = replace(parts, clock=lambda: now)  # As in ``compose``.
    posted = now if after is None else max(now, after.received_at + timedelta(seconds=1))
    named = _named(envelope, {}, parts.directory(), now)
    with _written(parts, _first_hop(named, posted), contents) as upload:
        return accept(parts, upload, caller=caller, made_here=True)


def repeat(
    parts: Parts, envelope: Envelope, contents: Mapping[str, Path | bytes], *, of: DocumentSummary, caller: Agency
) -> Answer | None:
    """
    The first answer again, when these are the words of an earlier operation; ``None`` when they are not.

    :param of: the earlier one.
    """
    named = _named(envelope, {}, parts.directory(), parts.clock())
    with _written(parts, _first_hop(named, of.received_at), contents) as upload:
        if upload.sha256 != of.sha256:
            return None
        return accept(parts, upload, caller=caller, made_here=True)


def _first_hop(envelope: Envelope, posted: datetime) -> Envelope:
    return replace(envelope, trace=(Hop(code=envelope.sender.code, at=posted),))


def _named(envelope: Envelope, then: Mapping[AgencyCode, str | None], directory: Directory, now: datetime) -> Envelope:
    """With the names of the first post, or else those that the directory knows, where the caller gave none."""

    def named(organization: Organization) -> Organization:
        if organization.name and organization.name.strip():
            return organization
        if organization.code in then:
            return replace(organization, name=then[organization.code])
        known = directory.find(organization.code, at=now)
        return organization if known is None else replace(organization, name=known.name)

    return replace(envelope, sender=named(envelope.sender), recipients=tuple(named(one) for one in envelope.recipients))


def _names_then(parts: Parts, first: DocumentRow) -> dict[AgencyCode, str | None]:
    """What the agencies of a document were called when it was accepted: they may have been renamed since."""
    # Of a redirected copy the ledger keeps the successor's name, which stands nowhere in the package.
    copies = {d.as_written: d.recipient_name for d in parts.ledger.deliveries(first.id) if d.redirected_from is None}
    return {first.sender_as_written: first.sender_name, **copies}


def _first_posted(parts: Parts, envelope: Envelope, directory: Directory, now: datetime) -> DocumentRow | None:
    """The document of this identity that was accepted first; ``None`` when none was."""
    sender = directory.find(envelope.sender.code, at=now)
    if sender is None or envelope.identity is None:
        return None
    first = parts.ledger.find_document(sender.code, envelope.identity, business_type=envelope.business_type)
    if first is None or first.identity != stored(envelope.identity):  # another, whose second name this is
        return None
    return first


def _hand_over(
    parts: Parts, envelope: Envelope, contents: Mapping[str, Path | bytes], *, caller: Agency, posted: datetime
) -> Answer:
    complete = replace(
        envelope,
        trace=envelope.trace or (Hop(code=envelope.sender.code, at=posted),),
        business=envelope.business or Business(),
    )
    with _written(parts, complete, contents) as upload:
        return accept(parts, upload, caller=caller, made_here=True)


def _written(parts: Parts, envelope: Envelope, contents: Mapping[str, Path | bytes]) -> Upload:
    handle, path = spool_file(parts.spool, "composed-")
    try:
        with os.fdopen(handle, "wb") as out:
            write_document_to(envelope, contents, out)
        with path.open("rb") as written:
            return receive_for(parts, written, expected=path.stat().st_size)
    except OSError as e:
        raise unwritten(e) from e
    finally:
        path.unlink()
