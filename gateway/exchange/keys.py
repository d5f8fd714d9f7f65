"""API keys of agencies: made at random, shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

_MARK = "gwk"
_PREFIX_BYTES = 6
_SECRET_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class IssuedKey:
    """A new key. ``token`` exists only here and on the holder's side."""

    token: str
    prefix: str
    """Public part: names the key in lists and finds it in the ledger."""
    hash: str
    """Lower-case hex SHA-256 of the token. A slow hash would add nothing: the secret has 256 random bits."""


def issue_key() -> IssuedKey:
    """A new random key."""
    prefix = secrets.token_hex(_PREFIX_BYTES)
    token = f"{_MARK}_{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return IssuedKey(token=token, prefix=prefix, hash=hash_of(token))


def prefix_of(token: str) -> str | None:
    """The public part of a token; ``None`` when it does not have the form of one."""
    mark, _, rest = token.partition("_")
    prefix, _, secret = rest.partition("_")
    return prefix if mark == _MARK and len(prefix) == 2 * _PREFIX_BYTES and secret else None


def hash_of(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def matches(token: str, stored_hash: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(hash_of(token), stored_hash)
