"""
The application for a WSGI server of one's own choice: ``gunicorn gateway.wsgi:app``.

The database must be prepared (``gateway db upgrade``) and workers run apart (``gateway worker``).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from gateway.bootstrap import application

T = TypeVar("T")


class SaidAsIOError:
    """
    A request body whose broken coding is reported as WSGI applications expect it.

    Gunicorn raises errors of its own for chunks that are none; they would be answered as faults of the gateway.
    """

    def __init__(self, body: Any, broken: type[Exception]) -> None:
        self._body = body
        self._broken = broken

    def read(self, *size: int) -> bytes:
        """As the server's."""
        read: Callable[..., bytes] = self._body.read
        return self._said(read, *size)

    def readline(self, *size: int) -> bytes:
        """As the server's."""
        read: Callable[..., bytes] = self._body.readline
        return self._said(read, *size)

    def readlines(self, *hint: int) -> list[bytes]:
        """As the server's."""
        read: Callable[..., list[bytes]] = self._body.readlines
        return self._said(read, *hint)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _said(self, read: Callable[..., T], *size: int) -> T:
        try:
            return read(*size)
        except self._broken as e:
            raise OSError("The body is not coded as it says.") from e


def behind_gunicorn(served: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The same application, to which gunicorn's errors of reading are errors of reading."""
    if importlib.util.find_spec("gunicorn") is None:
        return served
    # Here, because it is absent where another server is used; it ships no types.
    from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]  # noqa: PLC0415

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"] = SaidAsIOError(environ["wsgi.input"], ParseException)
        return served(environ, start_response)

    return call


app = application()
app.wsgi_app = behind_gunicorn(app.wsgi_app)  # type: ignore[method-assign] # as Werkzeug documents it
