"""What a document is called, by its own package and by the packages that speak of it (domain §1.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from gateway.model import AgencyCode, BusinessType, DocumentId, Envelope, Replacement, ResponseFor, normal_key


def names_in_package(envelope: Envelope, sha256: str) -> tuple[str, str | None]:
    """The identity of an accepted package and the second name under which statuses may refer to it."""
    identity = envelope.identity or f"sha256:{sha256}"
    by_number = _by_number(envelope.number.text, envelope.issued_on)
    by_id = envelope.document_id.key if envelope.document_id else None
    alias = next((n for n in (by_id, by_number) if n and n != identity), None)
    return identity, alias


def number_in_package(envelope: Envelope) -> str | None:
    """Number, notation and date of a package as one name; ``None`` when a part is missing."""
    number = envelope.number
    return _by_number(number.text, envelope.issued_on) if number.number and number.notation else None


def names_in_reference(response: ResponseFor) -> tuple[str, str | None]:
    """
    The names that a ``ResponseFor`` gives its document, the better one first; empty when it gives none.

    Where it gives no number, the one within its id serves: the id may be written under another code of the sender.
    """
    by_id = response.document_id.key if response.document_id else None
    by_number = _by_number(response.number, response.issued_on) or (number_within(by_id) if by_id else None)
    names = [n for n in (by_id, by_number) if n]
    return (names[0] if names else "", names[1] if len(names) > 1 else None)


def targets_of(envelope: Envelope) -> tuple[str, ...]:
    """
    Identities of the documents that a package operates on; empty for a new one.

    A recall names its target in ``Bussiness`` or else re-uses the header's id; an update the
    other way round, because the samples carry a foreign id in ``Bussiness`` (domain §1.6).
    """
    inner = envelope.business.document_id if envelope.business else None
    outer = envelope.document_id
    match envelope.business_type:
        case BusinessType.REVOKE:
            candidates = [inner, outer]
        case BusinessType.UPDATE:
            candidates = [outer, inner]
        case BusinessType.REPLACE:
            return _keys(r.document_id for r in (envelope.business.replacements if envelope.business else ()))
        case BusinessType.NEW:
            return ()
    return _keys(candidates) or ((envelope.identity,) if envelope.identity else ())


def names_of_target(envelope: Envelope) -> tuple[str, ...]:
    """
    Names of the document that a recall or an update concerns, the surest first; empty when it gives none.

    After the ids come number, notation and date: those of the header, which is the document's own (domain §1.6),
    and those within the ids, since one document is named under both codes of its sender.
    """
    ids = targets_of(envelope)
    by_number = _by_number(envelope.number.text, envelope.issued_on)
    return _distinct((*ids, by_number, *(number_within(name) for name in ids)))


def names_of_replaced(replacement: Replacement) -> tuple[str, ...]:
    """Names of a document that another takes the place of, as ``names_of_target``."""
    ids = _keys([replacement.document_id])
    return _distinct((*ids, *(number_within(name) for name in ids)))


_BY_NORM = re.compile(r"(?P<code>[^,~]+),(?P<day>[0-9]{4}/[0-9]{2}/[0-9]{2}),(?P<number>.+)")
"""A DocumentId by QĐ 28/2018 Art. 10."""


def number_within(name: str) -> str | None:
    """Date, number and notation of an id of the norm's form as a name; ``None`` for ids of other forms."""
    found = _BY_NORM.fullmatch(name)
    return normal_key(f"~{found['day']},{found['number']}") if found else None


def issuer_within(name: str) -> AgencyCode | None:
    """The agency code in an id of the norm's form, as written."""
    found = _BY_NORM.fullmatch(name)
    return AgencyCode(found["code"].strip()) if found else None


def _distinct(names: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


def _keys(ids: Iterable[DocumentId | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(i.key for i in ids if i is not None and i.key))


def _by_number(number: str | None, issued_on: date | None) -> str | None:
    return normal_key(f"~{issued_on:%Y/%m/%d},{number}") if number and issued_on else None
