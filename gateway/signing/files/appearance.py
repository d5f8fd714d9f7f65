"""
Whether an annotation is drawn where it says, by every reader.

Its appearance is content like a page's, to be cut off at its ``/BBox`` and fitted into its ``/Rect``. PDFium cuts
nothing off where there is no ``/BBox``; pdf.js leaves the annotation with the first ``Q`` that has no ``q``; MuPDF
makes appearances that are missing, and does not fit those of notes. What is added must leave nothing to a reader.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import Reference

from gateway.signing.files.content import TooMuch, Work, operators
from gateway.signing.files.leaks import LEAKS
from gateway.signing.files.objects import dictionary, raw_items, resolved
from gateway.signing.files.painted import UNIT, Matrix, Rectangle, moved, rectangle_of

_SMALLEST, _LARGEST = 0.1, 1e5
"""Of what a reader can fit into something else without losing its figures: units of a ``/BBox`` or a ``/Matrix``."""
_OBJECTS_MAX = 2_000
_DEPTH_MAX = 32
_WAYS_OUT = frozenset({"/Parent", "/P", "/Metadata"})
_WORK_MAX = 500_000
"""Tokens of all that one annotation shows, and what takes as long."""
_OPERATORS = frozenset(
    b"b B b* B* BDC BMC BT BX c cm CS cs d d0 d1 Do DP EMC ET EX f F f* G g gs h i j J K k l m M MP n q Q re RG rg ri "
    b"s S SC sc SCN scn sh T* Tc Td TD Tf Tj TJ TL Tm Tr Ts Tw Tz v w W W* y ' \"".split()
)
"""All there are but those of inline images, the ends of which readers find in different places."""


def is_contained(annotation: generic.DictionaryObject) -> bool:
    """Whether an annotation has one appearance, and that is seen within its place."""
    looks = dictionary(annotation.get("/AP"))
    normal = resolved(looks.get("/N"))
    if looks.keys() - {"/N"} or not isinstance(normal, generic.StreamObject):
        return False
    try:
        return extent(normal) is not None and _is_plain(annotation.raw_get("/AP"))
    except (TooMuch, *LEAKS):
        return False


def extent(form: generic.DictionaryObject) -> Rectangle | None:
    """What a form takes by itself, before it is fitted into a place; ``None``: readers would not agree."""
    box = rectangle_of(form.get("/BBox"))
    matrix = _matrix(form.get("/Matrix"))
    if box is None or matrix is None or not _is_fit(box):
        return None
    a, b, c, d, _, _ = matrix
    if abs(a * d - b * c) * box.size < _SMALLEST**2:
        return None
    corners = [moved(matrix, x, y) for x in (box.left, box.right) for y in (box.bottom, box.top)]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    found = Rectangle(left=min(xs), bottom=min(ys), right=max(xs), top=max(ys))
    return found if _is_fit(found) else None


def _is_fit(box: Rectangle) -> bool:
    """Whether figures are of a size at which all readers still reckon alike."""
    sides = (box.right - box.left, box.top - box.bottom)
    return min(sides) >= _SMALLEST and max(map(abs, (box.left, box.right, box.top, box.bottom))) <= _LARGEST


def _matrix(value: generic.PdfObject | None) -> Matrix | None:
    """The one that changes nothing where there is none; ``None``: it is not one."""
    given = resolved(value)
    if given is None:
        return UNIT
    if not isinstance(given, generic.ArrayObject) or len(given) != len(UNIT):
        return None
    a, b, c, d, e, f = (float(str(resolved(n))) for n in given)
    return (a, b, c, d, e, f) if all(math.isfinite(n) and abs(n) <= _LARGEST for n in (a, b, c, d, e, f)) else None


def _is_plain(looks: generic.PdfObject) -> bool:
    """Whether all content in an appearance keeps to itself."""
    work = Work(_WORK_MAX)
    for stream in _streams(looks):
        # An image is a stream that says its width; programs and fonts are none that is content.
        if "/BBox" not in stream and "/Width" in stream:
            continue
        if "/BBox" not in stream and stream.get("/Subtype") != "/Form" and "/PatternType" not in stream:
            continue
        if "/F" in stream or extent(stream) is None:
            return False
        if not _is_balanced(stream.data, work):
            return False
    return True


def _is_balanced(content: bytes, work: Work) -> bool:
    """
    Whether what is saved is what is restored, by operators that there are.

    :raises TooMuch: it would take too long to know.
    """
    saved = 0
    # White space to Python, and none in a PDF.
    if b"\x0b" in content:
        return False
    for operator, _ in operators(content, work):
        saved += (operator == b"q") - (operator == b"Q")
        if saved < 0 or operator not in _OPERATORS:
            return False
    return saved == 0


def _streams(value: generic.PdfObject) -> Iterator[generic.StreamObject]:
    """
    All streams that an appearance is made of.

    :raises TooMuch: there are too many objects, or they lie too deep, or the content of a font is drawn by itself.
    """
    seen: set[Reference] = set()
    waiting: list[tuple[generic.PdfObject, int]] = [(value, 0)]
    taken = 0
    while waiting:
        named, depth = waiting.pop()
        taken += 1
        if taken > _OBJECTS_MAX or depth > _DEPTH_MAX:
            raise TooMuch
        if isinstance(named, generic.IndirectObject):
            if named.reference in seen:
                continue
            seen.add(named.reference)
        node = resolved(named)
        if isinstance(node, generic.StreamObject):
            yield node
        if isinstance(node, generic.DictionaryObject):
            if "/CharProcs" in node:
                raise TooMuch
            waiting += [(v, depth + 1) for k, v in raw_items(node) if k not in _WAYS_OUT]
        elif isinstance(node, generic.ArrayObject):
            waiting += [(v, depth + 1) for v in list(node)]
