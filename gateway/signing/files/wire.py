"""Verdicts as plain JSON values and back: between the reader's process and ours, and for the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.model import FileSignature, FileStanding, FileVerdict, SignerRole


def to_json(verdict: FileVerdict) -> dict[str, Any]:
    """The verdict as an object that JSON can hold; times in ISO 8601, UTC."""
    return {
        "content_id": verdict.content_id,
        "name": verdict.name,
        "member": verdict.member,
        "format": verdict.format,
        "standing": verdict.standing.value,
        "reason": str(verdict.reason),
        "signatures": [_signature_to_json(s) for s in verdict.signatures],
        "judged_at": verdict.judged_at.isoformat(),
    }


def from_json(value: Mapping[str, Any]) -> FileVerdict:
    """
    The verdict that :func:`to_json` wrote.

    :raises ValueError: it is something else; so do TypeError and KeyError.
    """
    return FileVerdict(
        content_id=str(value["content_id"]),
        name=str(value["name"]),
        member=_text(value["member"]),
        format=str(value["format"]),
        standing=FileStanding(value["standing"]),
        reason=str(value["reason"]),
        signatures=tuple(_signature_from_json(s) for s in value["signatures"]),
        judged_at=datetime.fromisoformat(value["judged_at"]),
    )


def _signature_to_json(signature: FileSignature) -> dict[str, Any]:
    return {
        "field": signature.field,
        "role": signature.role.value,
        "standing": signature.standing.value,
        "reason": str(signature.reason),
        "subject": signature.subject,
        "certificate_sha256": signature.certificate_sha256,
        "claimed_at": signature.claimed_at.isoformat() if signature.claimed_at else None,
        "stamped_at": signature.stamped_at.isoformat() if signature.stamped_at else None,
        "revision": signature.revision,
        "revisions": signature.revisions,
        "added_after": list(signature.added_after),
        "certificate": signature.certificate,
    }


def _signature_from_json(value: Mapping[str, Any]) -> FileSignature:
    return FileSignature(
        field=str(value["field"]),
        role=SignerRole(value["role"]),
        standing=FileStanding(value["standing"]),
        reason=str(value["reason"]),
        subject=_text(value["subject"]),
        certificate_sha256=_text(value["certificate_sha256"]),
        claimed_at=_moment(value["claimed_at"]),
        stamped_at=_moment(value["stamped_at"]),
        revision=_number(value["revision"]),
        revisions=_number(value["revisions"]),
        added_after=tuple(str(word) for word in value["added_after"]),
        certificate=_text(value["certificate"]),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _moment(value: Any) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
