"""
Hold what ``evidence.json`` tells, and the page with it, against what is proven: seal, package, statuses, log.

People read the page and programs the JSON; both are the gateway's word. So whatever of it the proven parts say as
well must be what they say. The rest (recipients, verdicts on files, who asked) has nothing to be held against.
Each function names the members that differ; an empty list: none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.evidence.chain import ProvenEvent, moment
from gateway.evidence.points import Words
from gateway.evidence.seal import SealFacts
from gateway.model import BusinessType, DocumentNumber, Envelope, Verdict

_CUT = 400
"""Characters from which on a ledger may have shortened a text, ending it with an ellipsis."""


def of_seal(facts: Mapping[str, Any], sealed: SealFacts, *, signer: str, stamped: datetime | None) -> list[str]:
    """
    What contradicts the seal.

    :param signer: subject of the certificate that signed the seal.
    :param stamped: the moment that the seal's time-stamp proves; ``None``: none, or nobody who is believed.
    """
    document = _object(facts, "document")
    differing = [
        *_differing(facts, "", {"id": sealed.id}),
        *_differing(_object(facts, "gateway"), "gateway.", {"code": str(sealed.gateway)}),
        *_differing(
            document,
            "document.",
            {
                "sha256": sealed.sha256,
                "size": sealed.size,
                "sender": str(sealed.sender),
                "document_id": sealed.document_id,
                "received_at": sealed.received_at,
            },
        ),
        *_differing(_object(facts, "seal"), "seal.", {} if not signer else {"subject": signer}),
        *_of_attachments(_objects(document, "attachments"), sealed),
        *_of_verdict(facts, sealed.verdict),
    ]
    if stamped is not None:
        differing += _differing(_object(facts, "seal"), "seal.", {"stamped_at": stamped})
    return differing


def of_package(facts: Mapping[str, Any], envelope: Envelope) -> list[str]:
    """What contradicts the package."""
    expected: dict[str, object] = {
        "kind": envelope.kind.value,
        "number": envelope.number.text,
        "issued_on": None if envelope.issued_on is None else envelope.issued_on.isoformat(),
        "type": envelope.document_type.name if envelope.document_type else None,
        "subject": envelope.subject,
    }
    if envelope.sender.name:
        # A name that is not in the package is the one in the gateway's directory.
        expected["sender_name"] = envelope.sender.name
    return _differing(_object(facts, "document"), "document.", expected)


def of_status(facts: Mapping[str, Any], part: str, envelope: Envelope, sealed: SealFacts) -> list[str]:
    """What contradicts one status package, of all that is told to come from it."""
    told = [row for row in _objects(facts, "statuses") if row.get("package") == part]
    if not told or envelope.status is None:
        return ["statuses"]
    expected = {
        "code": envelope.status.code.value,
        "description": envelope.status.description,
        "reporter": str(sealed.sender),
        "received_at": sealed.received_at,
    }
    return [name for row in told for name in _differing(row, "statuses.", expected)]


def of_operation(facts: Mapping[str, Any], part: str, envelope: Envelope, sealed: SealFacts) -> list[str]:
    """What contradicts one package that recalled, updated or replaced the document."""
    told = [row for row in _objects(facts, "operations") if row.get("package") == part]
    if not told:
        return ["operations"]
    expected = {
        "id": sealed.id,
        "business_type": None if envelope.business is None else envelope.business.type.value,
        "number": envelope.number.text,
        "subject": envelope.subject,
        "sender": str(sealed.sender),
        "received_at": sealed.received_at,
    }
    return [name for row in told for name in _differing(row, "operations.", expected)]


def packages(facts: Mapping[str, Any], member: str) -> tuple[set[str], int]:
    """
    The parts that are told to be the packages of statuses or operations, and how many of these have none.

    :param member: ``statuses`` or ``operations``.
    """
    places = [row.get("package") for row in _objects(facts, member)]
    if member == "statuses" and _object(facts, "document").get("kind") == "status":
        # The report of a status is itself.
        places = [place for place in places if place is not None]
    return {place for place in places if isinstance(place, str)}, sum(not isinstance(place, str) for place in places)


def operates_on(envelope: Envelope, sealed: SealFacts, number: DocumentNumber) -> bool:
    """Whether a package recalls, updates or replaces a document that it names by its id or by its number."""
    business = envelope.business
    if business is None or business.type is BusinessType.NEW:
        return False
    replaced = [str(r.document_id or "") for r in business.replacements]
    named = {_key(str(envelope.document_id or "")), _key(envelope.number.text), *map(_key, replaced)}
    return bool({_key(sealed.document_id), _key(number.text)} - {""} & named)


def is_about(envelope: Envelope, sealed: SealFacts, number: DocumentNumber) -> bool:
    """Whether a status package names a document by its id or by its number."""
    wanted = {_key(sealed.document_id), _key(number.text)} - {""}
    return any(wanted & {_key(r.document_id), _key(r.number)} for r in envelope.responses)


def of_events(facts: Mapping[str, Any], proven: Sequence[tuple[ProvenEvent, datetime | None]]) -> list[str]:
    """What contradicts the events that the log proves; those that it does not prove yet may be told as well."""
    told = {row.get("id"): row for row in _objects(facts, "events") if isinstance(row.get("id"), int)}
    differing: list[str] = []
    for one, at in proven:
        event = one.event
        expected: dict[str, object] = {
            "at": moment(event.at),
            "action": event.action,
            "actor": event.actor,
            "delivery": event.delivery,
        }
        if at is not None:
            expected["stamped_at"] = at
        differing += _differing(told.get(event.id, {}), f"events[{event.id}].", expected)
    stamped = {one.event.id for one, _ in proven if one.stamped is not None}
    return differing + [
        f"events[{n}].stamped_at" for n, row in told.items() if row.get("stamped_at") and n not in stamped
    ]


def pages(facts: Mapping[str, Any], words: Words) -> Iterator[tuple[str, bytes | None]]:
    """Each page as this program makes it of these facts, by the name of its part; ``None``: it can make none."""
    # The page's libraries: half a second to load, which whoever checks no evidence file need not wait for.
    from reportlab.platypus.doctemplate import LayoutError  # noqa: PLC0415

    from gateway.evidence import report  # noqa: PLC0415

    # What facts of any other shape raise while a page is made of them.
    shapeless = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, LayoutError)
    for language in report.LANGUAGES:
        for form, make in (("html", report.as_html), ("pdf", report.as_pdf)):
            try:
                page: bytes | None = make(facts, language, words)
            except shapeless:
                page = None
            yield f"page.{language}.{form}", page


def are_too_long(facts: Mapping[str, Any], words: Words) -> bool:
    """Whether making the pages anew would take minutes, which somebody may have wanted."""
    from gateway.evidence import report  # noqa: PLC0415 - as in ``pages``

    try:
        return any(report.shown(facts, language, words) > report.SHOWN_MAX for language in report.LANGUAGES)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError):
        return False  # of another shape: no page is made of them


def _of_attachments(told: Sequence[Mapping[str, Any]], sealed: SealFacts) -> list[str]:
    if len(told) != len(sealed.attachments):
        return ["document.attachments"]
    return [
        name
        for row, a in zip(told, sealed.attachments, strict=True)
        for name in _differing(
            row,
            "document.attachments.",
            {"content_id": a.content_id, "name": a.name, "size": a.size, "sha256": a.sha256},
        )
    ]


def _of_verdict(facts: Mapping[str, Any], sealed: Verdict) -> list[str]:
    """The verdict told is the sealed one, or what the last of the judgements told, which begin with it, made of it."""
    judgements = _objects(facts, "judgements")
    if judgements and judgements[-1].get("verdict") != facts.get("verdict"):
        return ["verdict"]
    # The first of several is that of the receipt.
    first = _object(judgements[0], "verdict") if judgements else _object(facts, "verdict")
    expected: dict[str, object] = {
        "standing": sealed.standing.value,
        "reason": sealed.reason,
        "judged_at": sealed.judged_at,
        "signed_by": None if sealed.signed_by is None else sealed.signed_by.value,
        "certificate_sha256": sealed.certificate_sha256,
        "subject": sealed.subject,
    }
    return _differing(first, "verdict.", expected)


def _differing(told: Mapping[str, Any], prefix: str, expected: Mapping[str, object]) -> list[str]:
    return [f"{prefix}{name}" for name, value in expected.items() if not _same(told.get(name), value)]


def _same(told: object, proven: object) -> bool:
    if isinstance(proven, datetime):
        try:
            return isinstance(told, str) and datetime.fromisoformat(told) == proven
        except (TypeError, ValueError):
            return False
    if isinstance(told, str) and isinstance(proven, str):
        head = told.rpartition("…")[0]
        return told == proven or (len(head) >= _CUT and proven.startswith(head))
    return type(told) is not bool and (told or None) == (proven or None)


def _key(name: str | None) -> str:
    return re.sub(r"\s+", "", name or "").casefold()


def _object(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = facts.get(name)
    return found if isinstance(found, dict) else {}


def _objects(facts: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = facts.get(name)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
