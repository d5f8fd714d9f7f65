"""
Pages by number, of lists that go by a cursor. Pure.

What the kit's ``pageIndex`` begins with is not known (domain §2.1): 0 and 1 both are the first page here, so that
whoever counts from 0 sees the first twice, and misses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.errors import RequestError
from gateway.ledger.protocol import MOST_LISTED
from gateway.ledger.records import LogRow, Page

_LARGEST = 500
_USUAL = 100
_DEEPEST = 100_000
"""Rows that may stand before a page: each of them is read anew."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which rows of a list are wanted."""

    size: int
    before: int


def wanted(size: str | None, index: str | None) -> Wanted:
    """
    What ``pageSize`` and ``pageIndex`` ask for.

    :param size: absent or 0: as many as are given at once, or a page of usual length when an index is asked for.
    :raises RequestError: one of them is no number, or it leads too far.
    """
    number, rows = _number(index, "pageIndex"), _number(size, "pageSize")
    if not rows and not number:
        return Wanted(size=MOST_LISTED, before=0)
    rows = min(rows or _USUAL, _LARGEST)
    before = max(number - 1, 0) * rows
    if before > _DEEPEST:
        raise RequestError(f"pageIndex leads past the first {_DEEPEST} rows.", path="pageIndex")
    return Wanted(size=rows, before=before)


def _number(text: str | None, name: str) -> int:
    if text is None:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise RequestError(f"{name} is not a number.", path=name)
    return int(text)


def rows_of(page: Callable[[int, str | None], Page[LogRow]], what: Wanted) -> list[LogRow]:
    """
    The rows that are wanted.

    :param page: from a limit and the cursor after which to go on, as ``mailbox.listed``.
    """
    found: list[LogRow] = []
    passed = 0
    after: str | None = None
    while passed < what.before + what.size:
        part = page(min(what.before + what.size - passed, MOST_LISTED), after)
        found += part.rows[max(what.before - passed, 0) :]
        passed += len(part.rows)
        after = part.next
        if after is None:
            break
    return found
