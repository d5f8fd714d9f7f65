"""
The same document in other bytes: an axis parses and writes anew every package that passes through it.

Its signature, the order of its elements and the wrapping of its attachments do not survive that (domain §1.9). What
does is what the sender wrote and the unwrapped content of the files. By these a document is known again that comes
under two docIds, or that is an echo of one of our own; by its bytes it would be a conflict.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from gateway.directory import Directory
from gateway.edxml import Package, read_unverified
from gateway.exchange import lookup
from gateway.exchange.identity import names_in_package
from gateway.exchange.parts import Parts
from gateway.exchange.upload import receive_for
from gateway.ledger.records import DocumentRow
from gateway.model import AgencyCode, Business, BusinessType, Envelope, PackageKind, normal_key


def accepted_before(parts: Parts, package: Package, directory: Directory, *, now: datetime) -> DocumentRow | None:
    """
    The document that was accepted from the sender that a package names and is the same, whatever its bytes.

    The same sender, identity, business type and subject, the same set of contents, for a document without files the
    same text, and for an operation (business types 1 to 3) the same operation. ``None`` for a status, which the ledger
    knows by what it reports, and for a document without a name of its own.
    """
    envelope = package.envelope
    if envelope.kind is not PackageKind.DOCUMENT or envelope.identity is None:
        return None
    known = directory.find(envelope.sender.code, at=now)
    sender = AgencyCode.normal(envelope.sender.code) if known is None else known.code
    identity, _ = names_in_package(envelope, package.sha256)
    candidates = parts.ledger.documents_named(sender, identity, business_type=envelope.business_type)
    return next((row for row in candidates if _is_same(parts, row, package)), None)


def _is_same(parts: Parts, row: DocumentRow, package: Package) -> bool:
    if row.sha256 == package.sha256:
        return True
    if normal_key(row.subject or "") != normal_key(package.envelope.subject or ""):
        return False
    if {a.sha256 for a in row.attachments} != {a.sha256 for a in package.attachments}:
        return False
    # The text of a document without files is in its header, and may differ under one subject.
    return (row.business_type is BusinessType.NEW and bool(row.attachments)) or _says_alike(parts, row, package)


def _says_alike(parts: Parts, row: DocumentRow, package: Package) -> bool:
    """
    Whether the stored package says the same.

    Two updates of one document may have one subject and the same files, and still say different things.

    And a recall that was declined may be asked again in the same words: then it set out at another time. What left
    this gateway is looked at, since it may have added the first hop itself.
    """
    rules = parts.rules
    with (
        lookup.open_package(parts, row.sent_sha256) as stored,
        receive_for(parts, stored, expected=row.forward_size or row.size) as upload,
        read_unverified(upload.source, limits=rules.limits, spool=parts.spool, sha256=upload.sha256) as first,
    ):
        then, now = first.envelope, package.envelope
        if row.business_type is BusinessType.NEW:
            return _wording(then) == _wording(now)
        return (_essence(then.business), _set_out(then)) == (_essence(now.business), _set_out(now))


def _wording(envelope: Envelope) -> tuple[str, list[str], date | None]:
    """What a document without files consists of; an axis indents anew."""
    return envelope.number.text or "", normal_key(envelope.content or "").split(), envelope.issued_on


def _essence(business: Business | None) -> Business | None:
    """What an operation says, without whom to ask about it."""
    return None if business is None else replace(business, staff=(), paper=None)


def _set_out(envelope: Envelope) -> datetime | None:
    """When a package left its sender, as its hops have it; an axis adds one of its own at the end."""
    return min((hop.at for hop in envelope.trace if hop.at is not None), default=None)
