"""Sending again what did not arrive: first a page that shows what and asks why, then the deed."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from flask import flash, redirect, render_template, request
from flask.typing import ResponseReturnValue

from gateway.console.access import actor, demand_replay, safe_next
from gateway.console.blueprint import pages
from gateway.console.document import REASON_LONGEST, REPLAYABLE
from gateway.console.log import lines_of
from gateway.console.parts import parts
from gateway.console.rendering import language
from gateway.console.texts import say
from gateway.errors import TransitionForbidden
from gateway.ledger.records import LogRow

MOST = 300
"""Deliveries of one request: a page of the log, or the recipients of one document."""


@pages.get("/replay")
def review() -> ResponseReturnValue:
    """What would be sent again: the deliveries named, or all of one document that did not arrive."""
    demand_replay()
    document = request.args.get("document")
    if document is None:
        ids = _asked(request.args.getlist("delivery"))
    else:
        # A document may have more recipients than an address has room for.
        ids = [d.id for d in parts().ledger.deliveries(document) if d.state in REPLAYABLE][:MOST]
    return _page(ids, _replayable(ids), target=safe_next(request.args.get("next")))


@pages.post("/replay")
def replay() -> ResponseReturnValue:
    """
    Send again what is still to be sent again.

    Pressed twice, or by two people at once, it does so once: what is waiting already is left alone.
    """
    demand_replay()
    ids = _asked(request.form.getlist("delivery"))
    target = safe_next(request.form.get("next"))
    reason = " ".join(request.form.get("reason", "")[:REASON_LONGEST].split())
    rows = _replayable(ids)
    if not reason and rows:
        return _page(ids, rows, target=target, missing=True), 400
    done = _replayed([row.delivery.id for row in rows], reason)
    if done:
        flash(say("replay.done", language(), n=done), "good")
    else:
        flash(say("replay.none", language()), "calm")
    return redirect(target, 303)


def _replayed(ids: Sequence[str], reason: str) -> int:
    if not ids:
        return 0
    try:
        return parts().replay(ids, reason, actor())
    except TransitionForbidden:
        # Somebody else was faster between the look and the deed.
        return sum(_replayed_one(each, reason) for each in ids)


def _replayed_one(delivery_id: str, reason: str) -> int:
    try:
        return parts().replay([delivery_id], reason, actor())
    except TransitionForbidden:
        structlog.get_logger("gateway.console").info(
            "It had been sent again before.", action="console.replay_repeated", delivery=delivery_id
        )
        return 0


def _asked(ids: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(ids))[:MOST]


def _replayable(ids: Sequence[str]) -> list[LogRow]:
    rows = (parts().ledger.log_row(each) for each in ids)
    return [row for row in rows if row is not None and row.delivery.state in REPLAYABLE]


def _page(ids: Sequence[str], rows: Sequence[LogRow], *, target: str, missing: bool = False) -> str:
    return render_template(
        "console/replay.html",
        lines=lines_of(rows, parts().clock()),
        skipped=len(ids) - len(rows),
        target=target,
        missing=missing,
        longest=REASON_LONGEST,
    )
