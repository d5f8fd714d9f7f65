"""Signatures inside attached files: what the gateway tells of them, against what is found when judged again."""

from __future__ import annotations

from typing import Any, Final

from gateway.evidence import bundle
from gateway.evidence.points import Outcome, Point
from gateway.model import FileStanding, FileVerdict
from gateway.signing.trust import Revocation

_GOOD: Final = frozenset({FileStanding.VALID, FileStanding.VALID_WEAK, FileStanding.INDETERMINATE})
_HERE: Final = frozenset({FileStanding.UNTRUSTED, FileStanding.UNREADABLE, FileStanding.NOT_JUDGED})
"""What may differ by what was given here, and by this program's bounds, while nothing was changed."""


class FileVerdicts:
    """The verdicts on files that ``evidence.json`` tells."""

    def __init__(self, told: Any, *, require_revocation: bool = False) -> None:
        """
        :param told: the member ``files``; of any shape.
        :param require_revocation: a signature of whose certificate nobody says whether it was revoked proves nothing.
        """
        self._good = _GOOD - {FileStanding.INDETERMINATE} if require_revocation else _GOOD
        self._here = _HERE | {FileStanding.INDETERMINATE} if require_revocation else _HERE
        rows = [row for row in told if isinstance(row, dict)] if isinstance(told, list) else []
        self._told = {(str(row.get("content_id")), row.get("member") or None): row for row in rows if _plain(row)}

    def tells(self, content_id: str) -> bool:
        """Whether signatures are told of inside a file."""
        return any(key[0] == content_id and row.get("signatures") for key, row in self._told.items())

    def point(self, again: FileVerdict) -> Point:
        """One file, judged again: whether that is what the gateway tells of it."""
        row = self._told.get((again.content_id, again.member))
        name = again.name if again.member is None else f"{again.name} › {again.member}"
        signers = "; ".join(s.subject or "–" for s in again.signatures) or "–"
        values = {"name": name, "state": str(again.standing), "why": again.reason, "signers": signers}
        # Judged as if revocation had to be known: so it is seen whether it is.
        if again.standing is FileStanding.INDETERMINATE:
            values["revocation"] = str(Revocation.UNKNOWN)
        if row is None:
            return Point(part=bundle.PACKAGE, outcome=Outcome.NOTED, code="file.found", values=values)
        found = str(row.get("standing"))
        told = [s.get("certificate_sha256") for s in row.get("signatures") or () if isinstance(s, dict)]
        good = again.standing in self._good
        same = found == again.standing or (again.standing in _GOOD and found in _GOOD)
        if same and again.standing is FileStanding.INDETERMINATE and not good:
            return Point(
                part=bundle.PACKAGE, outcome=Outcome.UNPROVEN, code="file.differs", values={**values, "found": found}
            )
        if same and told == [s.certificate_sha256 for s in again.signatures]:
            outcome = Outcome.HOLDS if good else Outcome.NOTED
            return Point(part=bundle.PACKAGE, outcome=outcome, code="file.signed", values=values)
        outcome = Outcome.UNPROVEN if again.standing in self._here or found not in _GOOD else Outcome.BROKEN
        return Point(part=bundle.PACKAGE, outcome=outcome, code="file.differs", values={**values, "found": found})


def _plain(row: dict[str, Any]) -> bool:
    """Whether its members are of the kinds that they should be."""
    return isinstance(row.get("member"), str | None) and isinstance(row.get("signatures") or [], list)
