"""Putting the provincial protocol into an application."""

from __future__ import annotations

from flask import Flask

from gateway.api.lgsp.parts import EXTENSION, LgspParts
from gateway.api.lgsp.routes import lgsp


def install(app: Flask, own: LgspParts, *, prefix: str) -> None:
    """
    Serve the provincial protocol under a path of an application.

    :param prefix: begins with a slash; empty for the root.
    """
    app.extensions[EXTENSION] = own
    app.register_blueprint(lgsp, url_prefix=prefix or None)
