"""The one blueprint that all pages belong to."""

from __future__ import annotations

from flask import Blueprint

pages = Blueprint("console", __name__, url_prefix="/console", template_folder="templates", static_folder="static")

PUBLIC = frozenset({"console.login", "console.language", "console.static", "console.signing"})
"""Endpoints that work without a log-in; every other one demands it."""
