"""
The kit's headers: who signed them, and what they say.

Every parameter of a call is a header ``XroadVnpt-K``. One of them, ``sign-header``, is a JSON object of all the
others, another its HMAC. The HMAC is taken of the text as it was received; only then is that text read, and a
parameter counts when its single header says the same. The kit keeps its headers from one call to the next, so a
call looks at those that it uses and at no others.

Source: domain §2.1.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.errors import HeadersDiffer, HeadersNotSigned, NotAuthenticated

PREFIX = "XroadVnpt-"
Single = Callable[[str], str | None]
"""The single headers: by name, in any case, the value as WSGI gives it (Latin-1 for bytes); ``None`` when absent."""

_SYSTEM = re.compile(r"[\x21-\x7e]{1,64}")
_MOST_SPELLINGS = 3
"""Of one name in one request: the kit has two of ``docId``."""


def system_of(single: Single) -> str:
    """
    Who says to be calling; no proof of anything.

    :raises NotAuthenticated: nobody does.
    """
    claimed = _text(single(PREFIX + "systemid")) or ""
    if not _SYSTEM.fullmatch(claimed):
        raise NotAuthenticated("The header XroadVnpt-systemid is missing or is no system's id.")
    return claimed


@dataclass(frozen=True)
class SignedHeaders:
    """The headers of one call whose signature is that of its system."""

    _single: Single
    _signed: Mapping[str, str]
    """By logical name as the system wrote it."""

    def get(self, name: str) -> str | None:
        """
        One parameter of the call.

        The kit writes some names in two ways, and its headers are left over from earlier calls: with both ways in
        one request, that of this call counts.

        :param name: logical name, spelled as the kit does in this call.
        :return: trimmed; ``None`` when it is absent or empty.
        :raises HeadersDiffer: the single header is not signed, is missing, or says something else.
        """
        spelled = {key: value for key, value in self._signed.items() if key.lower() == name.lower()}
        single = _text(self._single(PREFIX + name))
        if not _same(single, list(spelled.values())):
            raise HeadersDiffer(path=PREFIX + name)
        values = set(spelled.values())
        if len(values) > 1 and name not in spelled:
            raise HeadersDiffer(path=PREFIX + name)
        return spelled.get(name, next(iter(values), "")) or None


def check_signature(single: Single, secrets: Sequence[str]) -> SignedHeaders:
    """
    The headers, once their signature has been checked.

    :param secrets: those of the system that are valid now; none of them for a system that nobody knows, which costs
        the same.
    :raises HeadersNotSigned: there is no signature, or it is of none of the secrets.
    :raises HeadersDiffer: ``systemid`` or ``timestamp`` is not what was signed.
    """
    text = (single(PREFIX + "sign-header") or "").encode("latin-1", "replace")
    given = (single(PREFIX + "hash-header") or "").strip().lower().encode("latin-1", "replace")
    right = [hmac.compare_digest(hmac_of(text, secret).encode(), given) for secret in secrets or ("",)]
    if not secrets or not any(right):
        raise HeadersNotSigned
    headers = SignedHeaders(single, _read(text))
    headers.get("systemid")
    # The moment at which the client began to work, hours ago perhaps: signed like the others, and no more than that.
    headers.get("timestamp")
    return headers


def hmac_of(text: bytes, secret: str) -> str:
    """What ``hash-header`` must be: lower-case hex."""
    return hmac.new(secret.encode("utf-8"), text, hashlib.sha256).hexdigest()


def _read(text: bytes) -> dict[str, str]:
    """The signed object: names without the prefix, which may be written in any case."""
    try:
        pairs = json.loads(text.decode("utf-8"), object_pairs_hook=list, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as e:
        raise HeadersNotSigned("XroadVnpt-sign-header is signed, but is not JSON in UTF-8.") from e
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise HeadersNotSigned("XroadVnpt-sign-header is signed, but is not a JSON object.")
    signed: dict[str, str] = {}
    for key, value in pairs:
        if not key.lower().startswith(PREFIX.lower()) or value is None:
            continue
        name = key[len(PREFIX) :]
        if not isinstance(value, str) or name in signed:
            raise HeadersNotSigned(f"XroadVnpt-sign-header holds {name!r} twice, or not as a text.")
        signed[name] = value.strip()
    return signed


def _text(value: str | None) -> str | None:
    """A header's value: UTF-8 where it is that."""
    if value is None:
        return None
    try:
        return value.encode("latin-1").decode("utf-8").strip()
    except UnicodeError:
        return value.strip()


def _same(single: str | None, signed: Sequence[str]) -> bool:
    """Whether a single header says what was signed; of two spellings it holds both values, in either order."""
    if len(signed) <= 1:
        return (single or "") == "".join(signed)
    if len(signed) > _MOST_SPELLINGS:
        return False
    if single is None or set(signed) == {single}:
        return single is not None
    joined = {",".join(map(_closed_up, order)) for order in itertools.permutations(signed)}
    return _closed_up(single) in joined


def _closed_up(text: str) -> str:
    return re.sub(r"\s*,\s*", ",", text)
