"""Who may see the pages: log-ins, their limits, and the guard before every request."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import urlsplit

from flask import abort, current_app, g, jsonify, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, current_user, login_user, logout_user
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from werkzeug.exceptions import RequestEntityTooLarge

from gateway.console.blueprint import PUBLIC
from gateway.console.parts import parts
from gateway.console.passwords import is_password
from gateway.console.texts import as_language
from gateway.ledger.actions import Action
from gateway.ledger.records import NewEvent, Operator, OperatorRole
from gateway.model import fold

FORM_LONGEST = 64 * 1024
"""Bytes of a form; the largest one names a page of deliveries and a reason."""
STRANGERS_FORM_LONGEST = 8 * 1024
"""Of a form before the log-in: a name, a password, and the page to go on to."""


class Visitor:
    """An operator who has logged in, in the shape that flask-login asks for."""

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def __init__(self, operator: Operator) -> None:
        self.operator = operator

    @property
    def login(self) -> str:
        """The name that events are recorded under."""
        return self.operator.login

    @property
    def may_replay(self) -> bool:
        """Whether this person may act, not only look."""
        return self.operator.role in (OperatorRole.OPERATOR, OperatorRole.ADMIN)

    def get_id(self) -> str:
        """What the session holds: a changed password gives another id, which ends the log-ins made before."""
        key = parts().session_key
        stamp = hmac.new(key, self.operator.password_hash.encode(), hashlib.sha256).hexdigest()[:32]
        return f"{self.operator.id}:{stamp}"


def make_login_manager() -> LoginManager:
    """A manager that finds operators in the ledger."""
    manager = LoginManager()
    manager.user_loader(_load)
    return manager


def _load(visitor_id: str) -> Visitor | None:
    operator = parts().ledger.operator(visitor_id.partition(":")[0])
    if operator is None or operator.disabled_at is not None or _is_over():
        return None
    visitor = Visitor(operator)
    return visitor if hmac.compare_digest(visitor.get_id(), visitor_id) else None


def _is_over() -> bool:
    """Whether the log-in has lasted its time; judged here too, as a copied cookie knows no end of its own."""
    since = session.get("since")
    if not isinstance(since, int):
        return True
    age = parts().clock() - datetime.fromtimestamp(since, UTC)
    return age >= parts().session


def visitor() -> Visitor | None:
    """The operator of this request; ``None`` before a log-in, and when the ledger could not say."""
    found = g.get("visitor")
    return found if isinstance(found, Visitor) else None


def actor() -> str:
    """The login that this request's actions are recorded under; only for pages that demand one."""
    found = visitor()
    if found is None:
        abort(401)
    return found.login


def note(action: Action, actor: str | None, *, document_id: str | None = None, **data: str) -> None:
    """
    Keep what somebody did in the event log.

    Replays and changes of an operator are not noted here: the ledger records them with the deed itself.
    """
    event = NewEvent(action=action, actor=actor, data=data)
    parts().ledger.record_event(event, now=parts().clock(), document_id=document_id)


def demand_replay() -> None:
    """Refuse (403) whoever may only look."""
    found = visitor()
    if found is None or not found.may_replay:
        abort(403)


def guard() -> ResponseReturnValue | None:
    """Before every request of the console: bound the form, know the visitor, demand a log-in and a CSRF token."""
    request.max_content_length = STRANGERS_FORM_LONGEST
    if request.endpoint == "console.static":
        return None
    if current_user.is_authenticated:
        g.visitor = current_user._get_current_object()
        request.max_content_length = FORM_LONGEST
    current_app.extensions["csrf"].protect()
    if visitor() is not None or request.endpoint in PUBLIC:
        return None
    if request.path.endswith(".json"):
        return jsonify(login=url_for("console.login")), 401
    return redirect(url_for("console.login", next=here()))


def here() -> str:
    """The address of this page, to come back to; of the log when this is not a page to look at."""
    if request.method != "GET" or request.endpoint in PUBLIC:
        try:
            return safe_next(request.values.get("next"))
        except RequestEntityTooLarge:
            return url_for("console.log")
    query = request.query_string.decode("ascii", "replace")
    return request.script_root + request.path + (f"?{query}" if query else "")


def safe_next(target: str | None) -> str:
    """Where to go on: a page of the console and nothing else, so that no link leads a person away after the log-in."""
    home = url_for("console.log")
    if target is None or not target.startswith(home) or any(c in target for c in "\\\r\n\t"):
        return home
    split = urlsplit(target)
    if split.scheme or split.netloc:
        return home
    return target


class Doorkeeper:
    """Counts log-in tries, by address and by login name; one per process, shared by its threads."""

    EXTENSION = "gateway.console.doorkeeper"

    def __init__(self, rate: str) -> None:
        self._limit: RateLimitItem = parse(rate)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def may_try(self, *, address: str, login: str) -> bool:
        """Count one try; false when there were too many. Both counters run, whichever is exhausted."""
        by_address = self._limiter.hit(self._limit, "address", address)
        by_login = self._limiter.hit(self._limit, "login", hashlib.sha256(fold(login).encode()).hexdigest())
        return by_address and by_login

    def seconds_to_wait(self, *, address: str) -> int:
        """Until the address may try again."""
        reset, remaining = self._limiter.get_window_stats(self._limit, "address", address)
        return max(1, int(reset - datetime.now(UTC).timestamp())) if remaining <= 0 else self._limit.get_expiry()


def doorkeeper() -> Doorkeeper:
    """The counter of this application."""
    found = current_app.extensions[Doorkeeper.EXTENSION]
    assert isinstance(found, Doorkeeper)
    return found


def log_in(login: str, password: str) -> bool:
    """
    Begin a session when the password is right; every try is recorded.

    The same time and the same answer for a wrong password, an unknown login and a disabled person.
    """
    ledger, now = parts().ledger, parts().clock()
    operator = ledger.find_operator(login)
    right = is_password(password, operator.password_hash if operator else None)
    address = request.remote_addr or ""
    if not right or operator is None or operator.disabled_at is not None:
        # An unknown login is not kept: people type their password into the wrong field.
        known = operator.login if operator else None
        note(Action.OPERATOR_LOGIN_FAILED, known, address=address)
        return False
    chosen = as_language(session.get("language"))
    # Nothing of the session from before the log-in lives on, so that nobody can plant one.
    session.clear()
    session.permanent = True
    session["since"] = int(now.timestamp())
    g.visitor = Visitor(operator)
    login_user(g.visitor)
    ledger.note_login(operator.login, now=now)
    note(Action.OPERATOR_LOGGED_IN, operator.login, address=address)
    if chosen is not None:
        choose_language(chosen)
    return True


def log_out() -> None:
    """End the session."""
    found = visitor()
    if found is not None:
        note(Action.OPERATOR_LOGGED_OUT, found.login, address=request.remote_addr or "")
    language = as_language(session.get("language"))
    logout_user()
    session.clear()
    g.visitor = None
    if language is not None:
        session["language"] = language


def choose_language(language: str) -> None:
    """Remember the language: in the session, and for a known person for good."""
    chosen = as_language(language)
    if chosen is None:
        abort(400)
    session["language"] = chosen
    found = visitor()
    if found is not None and found.operator.language != chosen:
        parts().ledger.change_operator(found.login, actor=found.login, now=parts().clock(), language=chosen)
