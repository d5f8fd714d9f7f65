"""Objects of a PDF as the standard writes them (ISO 32000-2 §7.3), without anything that readers make the best of."""

from __future__ import annotations

import re

from gateway.signing.files.content import string_at

_END = rb"(?=[\0\t\n\f\r ()<>\[\]/%]|$)"
_REGULAR = rb"[^\x00-\x20()<>\[\]{}/%#\x7f-\xff]"
_TOKEN = re.compile(
    rb"[\0\t\n\f\r ]*+(?:(?P<open><<|\[)|(?P<close>>>|\])|(?P<string>\()|(?P<end>$)"
    rb"|<[0-9A-Fa-f\0\t\n\f\r ]*+>"
    rb"|/(?:"
    + _REGULAR
    + rb"|#(?!00)[0-9A-Fa-f]{2})*+"
    + _END
    + rb"|[+-]?(?:\d++\.?\d*+|\.\d++)"
    + _END
    + rb"|(?:true|false|null|R)"
    + _END
    + rb")"
)
_CLOSES = {b"<<": b">>", b"[": b"]"}
_DEPTH_MAX = 200


def is_plain(body: bytes) -> bool:
    """
    Whether bytes are one object, or several, of which each reader makes the same.

    Comments are not among them: where one ends is seen differently.
    """
    at = 0
    opened: list[bytes] = []
    while token := _TOKEN.match(body, at):
        at = token.end()
        kind = token.lastgroup
        if kind == "end":
            return not opened
        if kind == "open":
            opened.append(_CLOSES[token["open"]])
            if len(opened) > _DEPTH_MAX:
                return False
        elif kind == "close" and (not opened or opened.pop() != token["close"]):
            return False
        elif kind == "string":
            try:
                _, at = string_at(body, at)
            except ValueError:
                return False
    return False
