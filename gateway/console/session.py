"""Log-in, log-out, language."""

from __future__ import annotations

from flask import make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.console.access import choose_language, doorkeeper, log_in, log_out, safe_next, visitor
from gateway.console.blueprint import pages


@pages.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """The log-in page."""
    target = safe_next(request.values.get("next"))
    if request.method == "GET":
        return redirect(target) if visitor() else _page(target)
    name = request.form.get("login", "").strip()
    address = request.remote_addr or ""
    if not doorkeeper().may_try(address=address, login=name):
        response = make_response(_page(target, name, "login.too_many"), 429)
        response.headers["Retry-After"] = str(doorkeeper().seconds_to_wait(address=address))
        return response
    if not log_in(name, request.form.get("password", "")):
        return _page(target, name, "login.failed"), 401
    return redirect(target)


def _page(target: str, name: str = "", fault: str | None = None) -> str:
    return render_template("console/login.html", target=target, name=name, fault=fault)


@pages.post("/logout")
def logout() -> ResponseReturnValue:
    """End the session and say so."""
    log_out()
    return redirect(url_for("console.login", left=1))


@pages.post("/language")
def language() -> ResponseReturnValue:
    """Change the language and come back."""
    choose_language(request.form.get("language", ""))
    return redirect(safe_next(request.form.get("next")))
