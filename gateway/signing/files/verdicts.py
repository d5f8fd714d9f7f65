"""Joining judgements: of signatures to that of a file, and of a file to its attachment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.model import FileSignature, FileStanding, FileVerdict
from gateway.signing.files.reasons import FileReason

WORST_FIRST = (
    FileStanding.ALTERED,
    FileStanding.REVOKED,
    FileStanding.UNREADABLE,
    FileStanding.UNTRUSTED,
    FileStanding.INDETERMINATE,
    FileStanding.NOT_JUDGED,
    FileStanding.UNSIGNED,
    FileStanding.VALID_WEAK,
    FileStanding.VALID,
)
"""A file stands as the worst of its signatures stands: one bad signature is what a clerk has to see."""


_SHOWN_MAX = 600
"""Characters of a name out of a file; a path in two archives has at most 511."""


def shown(text: str | bytes) -> str:
    """A name that somebody chose, as it can be kept and shown: short, and without signs that turn or hide the rest."""
    said = text.decode("latin-1") if isinstance(text, bytes) else text
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in said[:_SHOWN_MAX])


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What is found of one file, before it is said which attachment it is."""

    format: str
    """``pdf``, ``ooxml``, ``zip`` or ``other``."""
    standing: FileStanding
    reason: str
    signatures: tuple[FileSignature, ...] = ()

    def of(self, *, content_id: str, name: str, member: str | None, at: datetime) -> FileVerdict:
        """The same as the verdict on an attachment, or on a file inside it."""
        return FileVerdict(
            content_id=content_id,
            name=name,
            member=None if member is None else shown(member),
            format=self.format,
            standing=self.standing,
            reason=self.reason,
            signatures=tuple(
                replace(s, field=shown(s.field), subject=None if s.subject is None else shown(s.subject))
                for s in self.signatures
            ),
            judged_at=at,
        )


class Unreadable(Exception):
    """A file that cannot be judged, and why; never leaves this package."""

    def __init__(self, reason: FileReason) -> None:
        self.reason = reason
        super().__init__(reason.value)


def unreadable(form: str, reason: FileReason) -> Judgement:
    """The judgement on a file that cannot be judged."""
    return Judgement(format=form, standing=FileStanding.UNREADABLE, reason=reason)


def joined(form: str, signatures: Sequence[FileSignature]) -> Judgement:
    """The judgement on a file that carries these signatures."""
    if not signatures:
        return Judgement(format=form, standing=FileStanding.UNSIGNED, reason=FileReason.UNSIGNED)
    worst = min(signatures, key=lambda s: WORST_FIRST.index(s.standing))
    return Judgement(format=form, standing=worst.standing, reason=worst.reason, signatures=tuple(signatures))
