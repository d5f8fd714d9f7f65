"""Objects of a PDF, read without surprises: what is missing or of another kind is an empty dictionary."""

from __future__ import annotations

from collections.abc import Iterator

from pyhanko.pdf_utils import generic


def resolved(value: generic.PdfObject | None) -> generic.PdfObject | None:
    """What a reference stands for, in the revision that it was read from; anything else as it is."""
    if value is None:
        return None
    found: generic.PdfObject = value.get_object()  # type: ignore[no-untyped-call]  # pyHanko's
    return found


def dictionary(value: generic.PdfObject | None) -> generic.DictionaryObject:
    """A dictionary; an empty one for anything else."""
    found = resolved(value)
    return found if isinstance(found, generic.DictionaryObject) else generic.DictionaryObject()  # type: ignore[no-untyped-call]  # pyHanko's


def raw_items(node: generic.DictionaryObject) -> Iterator[tuple[str, generic.PdfObject]]:
    """Keys and values as they stand, references not followed."""
    return ((key, node.raw_get(key)) for key in node)


def inherited(page: generic.DictionaryObject, key: str, *, depth: int = 32) -> generic.PdfObject | None:
    """The value of a page, or of the nearest node above it that has one."""
    node = page
    for _ in range(depth):
        if key in node:
            return resolved(node.raw_get(key))
        node = dictionary(node.get("/Parent"))
    return None
