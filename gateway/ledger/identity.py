"""The names that documents are known by, as they stand in the ledger. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from gateway.model import BusinessType

_LONGEST = 200
"""Characters. PostgreSQL indexes no key above 2,700 bytes; what is longer is known by its hash."""


def stored(name: str) -> str:
    """The form under which a name is stored and compared."""
    if len(name) <= _LONGEST:
        return name
    return f"long-sha256:{hashlib.sha256(name.encode()).hexdigest()}"


_NUMBERED = re.compile(r"(~|[^,]*,)[0-9]{4}/[0-9]{2}/[0-9]{2},(?P<number>.+)")


def number_in(name: str) -> str | None:
    """
    The number that a document's name ends with, as on paper; ``None`` when it is of another form.

    ``~2026/11/22,07/QĐ`` by number and date, ``H37.1,2026/11/22,07/QĐ`` by the norm of DocumentIds.
    """
    found = _NUMBERED.fullmatch(name)
    return found["number"] if found else None


def revision_of(business_type: BusinessType, sha256: str) -> str:
    """What tells packages with one identity apart: a new document has no other, business types 1–3 repeat its id."""
    return "" if business_type is BusinessType.NEW else sha256


def stored_all(names: Iterable[str | None]) -> list[str]:
    """The stored forms of those that are given, in order, without repetition."""
    return list(dict.fromkeys(stored(name) for name in names if name))
