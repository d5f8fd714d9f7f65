"""Letting a document go that an examination keeps here, on an operator's word."""

from __future__ import annotations

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from gateway.console.access import actor, demand_replay
from gateway.console.blueprint import pages
from gateway.console.document import REASON_LONGEST
from gateway.console.parts import parts
from gateway.console.rendering import language
from gateway.console.texts import say
from gateway.errors import NotFound, TransitionForbidden
from gateway.model import ExaminationKind


@pages.post("/documents/<document_id>/release")
def release(document_id: str) -> ResponseReturnValue:
    """
    Release a document from one examination; the ledger keeps who did so and why.

    Pressed twice, or by two people at once, it does so once.
    """
    demand_replay()
    kind = request.form.get("kind", "")
    if kind not in set(ExaminationKind):
        abort(404)
    page = redirect(url_for("console.document", document_id=document_id), 303)
    reason = " ".join(request.form.get("reason", "")[:REASON_LONGEST].split())
    if not reason:
        flash(say("release.missing", language()), "bad")
        return page
    try:
        again = parts().ledger.release_examination(
            document_id, ExaminationKind(kind), reason=reason, actor=actor(), now=parts().clock()
        )
    except NotFound:
        abort(404)
    except TransitionForbidden:
        flash(say("release.none", language()), "calm")
        return page
    flash(say("release.done", language()), "good")
    if again:
        flash(say("replay.done", language(), n=len(again)), "good")
    return page
