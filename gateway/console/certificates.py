"""Certificates: who signs with what, until when, whether it was revoked, and which verdicts changed for that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from flask import abort, render_template, request
from flask.typing import ResponseReturnValue

from gateway.console import words
from gateway.console.blueprint import pages
from gateway.console.log import number_text
from gateway.console.parts import parts
from gateway.console.rendering import directory, language
from gateway.console.texts import Text
from gateway.console.verdicts import REASONS, Mark, subject_name
from gateway.directory import certificate_of, exists_at
from gateway.directory.certificates import covered, registrations
from gateway.exchange.expiry import THRESHOLDS
from gateway.ledger.revocation import Source, Watched

ROWS: Final = 500
"""Certificates on one page, those that end first; the filter finds the others."""
CHANGES: Final = 50
"""Changed verdicts on one page."""

Show = Literal["all", "expiring", "revoked"]

STATES: Final = {
    "good": Mark(Text("Còn hiệu lực", "Good"), "✔", "good"),
    "revoked": Mark(Text("Bị thu hồi", "Revoked"), "✖", "bad"),
    "unknown": Mark(Text("Chưa rõ", "Unknown"), "?", "warn"),
    "not_asked": Mark(Text("Không hỏi", "Not asked"), "–", "calm"),
}
"""What is known of revocation."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One certificate on the page."""

    sha256: str
    agency: str | None
    """``None``: the gateway's own."""
    role: str
    """Of the texts ``certificates.role.<role>``."""
    holder: str | None
    subject: str
    begins: datetime | None
    ends: datetime
    covered: bool
    state: Mark
    revoked_at: datetime | None
    days: int
    """Left; 0 on the last day."""

    @property
    def name(self) -> str:
        """The holder, as people say it."""
        return subject_name(self.subject)

    @property
    def tone(self) -> str | None:
        """How loud its end is."""
        # As they are told of: who has 60 days and an hour left has more than 60 days.
        if self.covered or self.days >= max(THRESHOLDS):
            return None
        return "bad" if self.days < min(THRESHOLDS) else "warn"

    @property
    def attention(self) -> str | None:
        """How much its row stands out."""
        return "bad" if self.revoked_at is not None else self.tone


@pages.get("/certificates")
def certificates() -> ResponseReturnValue:
    """Certificates that count now, those that end first at the head."""
    show = request.args.get("show", "all")
    if show not in ("all", "expiring", "revoked"):
        abort(400)
    before = request.args.get("before", "")
    if before and not (before.isascii() and before.isdigit() and len(before) <= 18):
        abort(400)
    now = parts().clock()
    ledger = parts().ledger
    lines = _lines(ledger.watched_certificates(), now)
    chosen = [line for line in lines if _is_shown(line, show)]
    changes = ledger.changed_verdicts(limit=CHANGES + 1, before=int(before) if before else None)
    shown = changes[:CHANGES]
    changed = ledger.summaries([judged.document for _, judged in shown])
    return render_template(
        "console/certificates.html",
        show=show,
        lines=chosen[:ROWS],
        more=len(chosen) - ROWS,
        counts={name: sum(_is_shown(line, name) for line in lines) for name in ("all", "expiring", "revoked")},
        failing=[s for s in ledger.revocation_sources() if _fails(s, now)],
        changes=[
            (judged, words.STANDINGS[judged.verdict.standing], _why(judged.verdict.reason), changed[judged.document])
            for _, judged in shown
        ],
        number_text=number_text,
        older=changes[CHANGES - 1][0] if len(changes) > CHANGES else None,
        before=before,
    )


def _lines(watched: Iterable[Watched], now: datetime) -> list[Line]:
    known = {w.sha256: w for w in watched}
    lines = [
        Line(
            sha256=w.sha256,
            agency=None,
            role=w.origin,
            holder=None,
            subject=w.subject,
            begins=None,
            ends=w.not_after,
            covered=False,
            state=STATES[w.state],
            revoked_at=w.revoked_at,
            days=(w.not_after - now).days,
        )
        for w in known.values()
        if w.origin in ("own", "former") and w.not_after > now
    ]
    agencies = [a for a in directory().agencies() if a.certificates and exists_at(a, now)]
    for one in registrations(agencies):
        if one.ends <= now:
            continue
        seen = known.get(one.certificate.sha256)
        lines.append(
            Line(
                sha256=one.certificate.sha256,
                agency=one.agency.code,
                role=one.certificate.role,
                holder=one.certificate.holder,
                subject=certificate_of(one.certificate).subject.rfc4514_string(),
                begins=one.begins,
                ends=one.ends,
                covered=covered(one),
                state=STATES[seen.state if seen else "not_asked"],
                revoked_at=seen.revoked_at if seen else None,
                days=(one.ends - now).days,
            )
        )
    return sorted(lines, key=lambda line: (line.ends, line.sha256, line.agency or ""))


def _is_shown(line: Line, show: str) -> bool:
    if show == "expiring":
        return line.tone is not None
    return show == "all" or line.revoked_at is not None


def _fails(source: Source, now: datetime) -> bool:
    late = source.next_update is not None and source.next_update < now - timedelta(minutes=10)
    return source.failures > 0 or late


def _why(reason: str) -> str:
    text = REASONS.get(reason)
    return text.say(language()) if text else reason
