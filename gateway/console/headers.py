"""Response headers of the console."""

from __future__ import annotations

from flask import Response, request

from gateway.console.parts import parts

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Own files only; no inline script or style anywhere, so that hostile text stays text even if it were not escaped."""

WITH_HELPER = CONTENT_SECURITY_POLICY.replace("connect-src 'self'", "connect-src 'self' http://127.0.0.1:*")
"""For the one page that also asks the signing helper on the reader's own machine."""

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: the CSRF check wants the page's own address over TLS.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def secure(response: Response) -> Response:
    """Add the headers to a response of the console."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if parts().secure_cookies:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    if request.endpoint != "console.static":
        # Pages name persons and documents: nothing of them stays in a shared computer's cache.
        response.headers["Cache-Control"] = "no-store"
    elif "v" in request.args:
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
