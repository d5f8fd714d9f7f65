"""
The page that signs a file with a key on the clerk's own machine; also an example for other software.

It knows nobody and holds nothing: its script asks the API with the agency's own key, and the helper on the machine
(``gateway signer``) for the signature. So it needs no log-in of an operator.
"""

from __future__ import annotations

from flask import make_response, render_template
from flask.typing import ResponseReturnValue

from gateway.console.blueprint import pages
from gateway.console.headers import WITH_HELPER


@pages.get("/signing")
def signing() -> ResponseReturnValue:
    """The page; all that it does is in ``signing.js``."""
    response = make_response(render_template("console/signing.html"))
    response.headers["Content-Security-Policy"] = WITH_HELPER
    return response
