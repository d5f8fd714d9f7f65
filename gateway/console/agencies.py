"""Suggestions while an agency is typed into the filter."""

from __future__ import annotations

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from gateway.console.blueprint import pages
from gateway.console.filters import agency_label
from gateway.console.parts import parts

SUGGESTIONS = 12


@pages.get("/agencies.json")
def agencies() -> ResponseReturnValue:
    """Agencies that ``q`` may mean, accents ignored, closed and hidden ones too: the log has them."""
    found = parts().directory().search(request.args.get("q", ""), SUGGESTIONS, hidden=True)
    return jsonify(agencies=[agency_label(agency) for agency in found])
