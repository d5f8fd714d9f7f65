"""Passwords of operators: hashed with Argon2id, compared at the same cost whoever is asked for."""

from __future__ import annotations

import functools
import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# OWASP's smallest recommended setting (19 MiB, two passes): eight log-ins at once must fit
# beside everything else on a commune's small machine.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

PASSWORD_LONGEST = 256
"""Characters; a longer one is not looked at, so that nobody can make the hash expensive."""


def hash_password(password: str) -> str:
    """
    The Argon2id hash to keep in ``Operator.password_hash``.

    NFC first: the same Vietnamese letters come composed from one keyboard and decomposed from another.

    :raises ValueError: the password is empty or longer than ``PASSWORD_LONGEST``.
    """
    if not 1 <= len(password) <= PASSWORD_LONGEST:
        raise ValueError(f"A password has 1 to {PASSWORD_LONGEST} characters.")
    return _HASHER.hash(unicodedata.normalize("NFC", password))


def is_password(password: str, password_hash: str | None) -> bool:
    """
    Whether a password is the one behind a hash.

    :param password_hash: ``None`` for a login that nobody has; the answer then takes as long and is no.
    """
    try:
        _HASHER.verify(password_hash or _nobodys_hash(), unicodedata.normalize("NFC", password[: PASSWORD_LONGEST + 1]))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


@functools.cache
def _nobodys_hash() -> str:
    """Of a password that nobody has, made with the same costs as everybody's."""
    return _HASHER.hash(secrets.token_urlsafe(32))
