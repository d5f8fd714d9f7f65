"""The names that documents are known by, as they stand in the ledger. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from gateway.model import BusinessType

_LONGEST = 200
"""Characters. PostgreSQL indexes no key above 2,700 bytes; what is longer is known by its hash."""


def stored(name: str) -> str:
    """The form under which a name is stored and compared."""
    if len(name) <= _LONGEST:
        return name
    return f"long-sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def revision_of(business_type: BusinessType, sha256: str) -> str:
    """What tells packages with one identity apart: a new document has no other, business types 1–3 repeat its id."""
    return "" if business_type is BusinessType.NEW else sha256


def stored_all(names: Iterable[str | None]) -> list[str]:
    """The stored forms of those that are given, in order, without repetition."""
    return list(dict.fromkeys(stored(name) for name in names if name))
