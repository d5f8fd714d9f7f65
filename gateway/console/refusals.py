"""What the gateway turned away."""

from __future__ import annotations

import io

from flask import Response, abort, render_template, request, send_file
from flask.typing import ResponseReturnValue

from gateway.console.access import actor, demand_replay, note
from gateway.console.blueprint import pages
from gateway.console.failures import failure
from gateway.console.parts import parts
from gateway.ledger.actions import Action

ROWS = 50


@pages.get("/refusals")
def refusals() -> ResponseReturnValue:
    """Refused packages, newest first."""
    typed = request.args.get("before", "")
    # Eighteen digits are more refusals than there will be, and fit both databases.
    if typed and not (typed.isascii() and typed.isdigit() and len(typed) <= 18):
        abort(400)
    before = int(typed) if typed else None
    rows = parts().ledger.refusals(limit=ROWS + 1, before=before)
    more = rows[ROWS - 1].id if len(rows) > ROWS else None
    return render_template("console/refusals.html", rows=rows[:ROWS], before=before, next=more)


@pages.get("/refusals/<int:refusal_id>/package")
def refused_package(refusal_id: int) -> Response | ResponseReturnValue:
    """The bytes of a refused package, to be examined with care; not for those who only look."""
    demand_replay()
    content = parts().ledger.refusal_payload(refusal_id) if refusal_id < 10**18 else None
    if content is None:
        return failure(404, "refusal_payload")
    note(Action.OPERATOR_PACKAGE_DOWNLOADED, actor(), refusal=str(refusal_id))
    # Never as XML, nor under the name it came with: nothing on the way may feel invited to open it.
    name = f"refused-{refusal_id}.bin"
    return send_file(io.BytesIO(content), "application/octet-stream", as_attachment=True, download_name=name)
