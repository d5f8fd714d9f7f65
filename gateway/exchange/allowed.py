"""
Which addresses may be fetched for revocation: those that the operator listed, whatever a certificate says.

A certificate's own URL is a stranger's wish for a request from inside of the network. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

_LONGEST = 2_048
_PLAIN = re.compile(r"[!-\[\]-~]+")
"""Visible ASCII without the backslash, which some readers of URLs take for a slash."""
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class _Place:
    scheme: str
    host: str
    port: int
    path: str


def _place(url: str) -> _Place | None:
    """A URL in parts; ``None`` for what is not a plain http or https URL."""
    if len(url) > _LONGEST or not _PLAIN.fullmatch(url):
        return None
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc or "#" in url:
        return None
    if any(_climbs(segment) for segment in parts.path.split("/")):
        return None
    return _Place(parts.scheme, parts.hostname.lower(), port or _PORTS[parts.scheme], parts.path or "/")


def _climbs(segment: str) -> bool:
    """Whether a server might read a segment of a path as the way out of a folder, however often it is encoded."""
    while segment not in (".", "..") and "/" not in segment and "\\" not in segment:
        plain = unquote(segment)
        if plain == segment:
            return False
        segment = plain
    return True


class AllowedUrls:
    """The operator's list of prefixes."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        """
        Read the list.

        :param prefixes: each ``scheme://host[:port]/path``: that address, and everything below it.
        :raises ValueError: one that is not such a URL.
        """
        self._places = [self._read(prefix) for prefix in prefixes]

    @staticmethod
    def _read(prefix: str) -> _Place:
        place = _place(prefix)
        if place is None or "?" in prefix:
            raise ValueError(f"{prefix!r} is not an http or https address without credentials and query.")
        return place

    def __bool__(self) -> bool:
        """False: nothing is ever fetched."""
        return bool(self._places)

    def allows(self, url: str) -> bool:
        """Whether a URL lies at or below one of the listed ones: the same scheme, host and port, and path by path."""
        place = _place(url)
        return place is not None and any(_within(place, listed) for listed in self._places)


def _within(place: _Place, listed: _Place) -> bool:
    if (place.scheme, place.host, place.port) != (listed.scheme, listed.host, listed.port):
        return False
    folder = listed.path if listed.path.endswith("/") else listed.path + "/"
    return place.path == listed.path or place.path.startswith(folder)
