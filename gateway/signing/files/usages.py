"""
By which paths each object of a signed revision is reached: what pyHanko's comparison asks, found out in bounded steps.

An object may be reached by as many paths as there are ways through the file, which double with every object that
names the next one twice: thirty of them, and pyHanko's own listing takes years. Here each step counts, and none calls
another, so that a chain of a thousand bookmarks is not too deep.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, BinaryIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import Reference
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader, RawPdfPath

from gateway.signing.files.objects import raw_items
from gateway.signing.files.reasons import FileReason
from gateway.signing.files.verdicts import Unreadable

_STEPS = 500_000
"""Of any file, all its revisions together: about a second."""
_STEPS_A_BYTE = 2
"""More for larger ones: 500 tagged pages are 3 MB and take 600,000 for each signature that something was added to."""
_STEPS_MAX = 5_000_000
_LONG = 16
"""Keys of a path that are copied in the time of one step."""
_OBJECT = 5
"""Steps in the time of going to an object."""

_Path = tuple[str | int, ...]


class Steps:
    """What is left of the steps that one file may take."""

    def __init__(self, size: int) -> None:
        """:param size: bytes of the file."""
        self.left = min(_STEPS + _STEPS_A_BYTE * size, _STEPS_MAX)

    def take(self, count: int = 1) -> None:
        """:raises Unreadable: there are no more."""
        self.left -= count
        if self.left < 0:
            raise Unreadable(FileReason.TOO_LARGE)


class CountedReader(PdfFileReader):
    """
    A reader that counts each object that is asked for, and the steps of comparing revisions.

    Whatever goes through a file from object to object ends with :class:`Unreadable` when there were too many.
    """

    def __init__(self, stream: BinaryIO, *, strict: bool = True) -> None:
        self.steps = Steps(stream.seek(0, os.SEEK_END))
        super().__init__(stream, strict=strict)

    def get_object(self, ref: Reference, *how: Any, **named: Any) -> generic.PdfObject:
        """What a reference stands for."""
        self.steps.take(_OBJECT)
        found: generic.PdfObject = super().get_object(ref, *how, **named)  # type: ignore[no-untyped-call]  # pyHanko's
        return found

    def get_historical_resolver(self, revision: int) -> HistoricalResolver:
        """One revision, remembered."""
        cache = self._historical_resolver_cache
        if revision not in cache:
            cache[revision] = _Revision(self, revision)
        found: HistoricalResolver = cache[revision]
        return found


class _Revision(HistoricalResolver):
    """One revision, which counts too."""

    def __init__(self, reader: CountedReader, revision: int) -> None:
        super().__init__(reader, revision)
        self._steps = reader.steps
        self._usages: dict[Reference, list[_Path]] | None = None

    def get_object(self, ref: Reference, *how: Any, **named: Any) -> generic.PdfObject:
        """What a reference stands for; whoever asks goes through what it holds."""
        found: generic.PdfObject = super().get_object(ref, *how, **named)
        self._steps.take(_OBJECT + (len(found) if isinstance(found, list | dict) else 0))
        return found

    def _load_reverse_xref_cache(self) -> None:
        if self._usages is None:
            self._usages = usages(self, self._steps)

    def _get_usages_of_ref(self, ref: Reference) -> set[RawPdfPath]:
        found = (self._usages or {}).get(ref, [])
        self._steps.take(sum(map(len, found)))
        return {RawPdfPath(*path) for path in found}


def usages(revision: HistoricalResolver, steps: Steps) -> dict[Reference, list[_Path]]:
    """
    Every path from the trailer to each object, on which no object comes twice.

    Pages are entered by the page tree alone, elements of the structure tree by that, and what names its ``/Parent``
    does not lead there: the same paths as pyHanko's, which its rules know.

    :raises Unreadable: there are too many.
    :raises PdfReadError: a page, or an element of the structure, hangs in its tree at two places.
    """
    pages, structure = _pages(revision, steps), _structure(revision, steps)
    found: dict[Reference, list[_Path]] = defaultdict(list)
    entered: set[Reference] = set()
    # What is yet to be looked at; or a reference alone, that of an object which has been looked through.
    waiting: list[tuple[generic.PdfObject, _Path, bool] | Reference] = [(revision.trailer_view, (), False)]
    while waiting:
        step = waiting.pop()
        if isinstance(step, Reference):
            entered.remove(step)
            continue
        node, path, is_structure = step
        steps.take(1 + len(path) // _LONG)
        if isinstance(node, generic.IndirectObject):
            ref = node.reference
            if ref in entered:
                continue
            found[ref].append(path)
            if pages.get(ref, path) != path or (ref in structure and not is_structure):
                continue
            entered.add(ref)
            waiting.append(ref)
            node = revision(ref)
        for key, value in _held(node):
            steps.take()
            if key == "/Parent" or (is_structure and key == "/P"):
                continue
            if isinstance(value, generic.IndirectObject | generic.DictionaryObject | generic.ArrayObject):
                begins = path == ("/Root", "/StructTreeRoot") and key == "/K"
                waiting.append((value, (*path, key), is_structure or begins))
    return found


def _held(node: generic.PdfObject) -> Iterator[tuple[str | int, generic.PdfObject]]:
    """What a dictionary or a list holds; of anything else nothing."""
    if isinstance(node, generic.DictionaryObject):
        yield from raw_items(node)
    elif isinstance(node, generic.ArrayObject):
        yield from enumerate(list(node))


def _pages(revision: HistoricalResolver, steps: Steps) -> dict[Reference, _Path]:
    """Where each node of the page tree hangs in it."""
    root = revision.root.raw_get("/Pages")
    top: _Path = ("/Root", "/Pages")
    found = {root.reference: top} if isinstance(root, generic.IndirectObject) else {}
    waiting = [(root.get_object(), top)]
    while waiting:
        node, path = waiting.pop()
        for place, kid in enumerate(node["/Kids"]):
            steps.take(1 + len(path) // _LONG)
            at = (*path, "/Kids", place)
            if isinstance(kid, generic.IndirectObject):
                if kid.reference in found:
                    raise PdfReadError("A page hangs in its tree at two places.")
                found[kid.reference] = at
            below = kid.get_object()
            if below.get("/Type") == "/Pages":
                waiting.append((below, at))
    return found


def _structure(revision: HistoricalResolver, steps: Steps) -> set[Reference]:
    """The elements of the structure tree that are objects of their own."""
    root = revision.root
    if "/StructTreeRoot" not in root:
        return set()
    found: set[Reference] = set()
    waiting = [root["/StructTreeRoot"]]
    while waiting:
        held = waiting.pop().get("/K", generic.ArrayObject())
        for kid in held if isinstance(held, generic.ArrayObject) else (held,):
            steps.take()
            element = kid.get_object()
            if not isinstance(element, generic.DictionaryObject):
                continue
            if element.get("/Type", "/StructElem") != "/StructElem":
                continue
            if isinstance(kid, generic.IndirectObject):
                if kid.reference in found:
                    raise PdfReadError("An element hangs in the structure tree at two places.")
                found.add(kid.reference)
            waiting.append(element)
    return found
