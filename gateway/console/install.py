"""Putting the pages into an application."""

from __future__ import annotations

from flask import Flask, redirect, url_for
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers.response import Response

from gateway.console import agencies, certificates, document, failures, log, refusals, release, replay, session, signing
from gateway.console.access import Doorkeeper, guard, make_login_manager
from gateway.console.blueprint import pages
from gateway.console.headers import secure
from gateway.console.parts import EXTENSION, ConsoleParts
from gateway.console.rendering import vocabulary

__all__ = ["install"]

# Imported for their routes; named here so that no import looks unused.
_PAGES = (agencies, certificates, document, failures, log, refusals, release, replay, session, signing)


def install(app: Flask, parts: ConsoleParts) -> None:
    """
    Serve the console under ``/console/`` of an application.

    Sets the application's session (key, cookie) and its login manager; requests outside of
    ``/console/`` run none of the console's code.

    :raises ValueError: the session key is too short to be one.
    """
    if len(parts.session_key) < 32:
        raise ValueError("The session key has fewer than 32 bytes.")
    app.secret_key = parts.session_key
    app.config.update(
        SESSION_COOKIE_NAME="gateway_console",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=parts.secure_cookies,
        PERMANENT_SESSION_LIFETIME=parts.session,
        # The log-in ends at its time even when the page refreshes its counts for ever.
        SESSION_REFRESH_EACH_REQUEST=False,
        # The API has no cookies to forge; the guard below protects every console request.
        WTF_CSRF_CHECK_DEFAULT=False,
        # As long as the session that holds it.
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.extensions[EXTENSION] = parts
    app.extensions[Doorkeeper.EXTENSION] = Doorkeeper(parts.login_rate_limit)
    CSRFProtect(app)
    # Not through init_app: that adds a hook to every request of the application, which would
    # read the session, and so vary on the cookie, in the API as well.
    app.login_manager = make_login_manager()  # type: ignore[attr-defined]  # flask-login looks for it there
    app.register_blueprint(pages)
    app.add_url_rule("/", "home", _home)


def _home() -> Response:
    """Who types the bare address is a person."""
    return redirect(url_for("console.log"))


pages.before_request(guard)
pages.after_request(secure)
pages.context_processor(vocabulary)
