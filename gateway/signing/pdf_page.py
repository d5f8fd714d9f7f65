"""
Where something is on a page as it is shown: pages may be turned, and begin elsewhere than at zero.

Scanners turn pages by ``/Rotate``. A picture that keeps upright (annotation flag NoRotate, ISO 32000-1
§12.5.3) is held by its upper left corner and not turned with the page; so a rectangle on the page as a
person sees it is moved, never turned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields

from gateway.errors import FileNotSignable

Rectangle = tuple[float, float, float, float]
"""Left, low, right, top; in points."""

_PAGES_MAX: Final = 2000
"""Looked through for the person's signature."""
_LEVELS_MAX: Final = 64
"""Of the page tree, above one page; more is a circle."""
_KEEPS_UPRIGHT: Final = 16
_POINTS: Final = 72 / 25.4
"""In a millimetre."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page's measures."""

    index: int
    """From 0."""
    box: Rectangle
    """What of the page is shown, in its own coordinates."""
    turn: int
    """How far it is turned clockwise to be shown: 0, 90, 180 or 270."""
    mm: float
    """Units of its coordinates in a millimetre."""

    @property
    def size(self) -> tuple[float, float]:
        """Width and height as shown."""
        left, low, right, top = self.box
        return (right - left, top - low) if self.turn in (0, 180) else (top - low, right - left)

    def place(self, shown: Rectangle) -> Rectangle:
        """The rectangle of an annotation that keeps upright and is seen at ``shown``."""
        left, low, right, top = shown
        x, y = self._own(left, top)
        return x, y - (top - low), x + (right - left), y

    def shown(self, placed: Rectangle, *, upright: bool) -> Rectangle:
        """Where an annotation with this rectangle is seen."""
        left, low, right, top = placed
        x, y = self._seen(left, top)
        if upright:
            return x, y - (top - low), x + (right - left), y
        other_x, other_y = self._seen(right, low)
        return min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y)

    def _own(self, x: float, y: float) -> tuple[float, float]:
        """A point that is seen there, in the page's own coordinates."""
        left, low, right, top = self.box
        match self.turn:
            case 90:
                return right - y, low + x
            case 180:
                return right - x, top - y
            case 270:
                return left + y, top - x
            case _:
                return left + x, low + y

    def _seen(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the page's own coordinates is seen."""
        left, low, right, top = self.box
        match self.turn:
            case 90:
                return y - low, right - x
            case 180:
                return right - x, top - y
            case 270:
                return top - y, x - left
            case _:
                return x - left, y - low


def page_of(writer: IncrementalPdfFileWriter, number: int) -> Page:
    """
    The page of this number: from 1, negative from the last.

    :raises FileNotSignable: there is none.
    """
    count = _count(writer)
    index = number - 1 if number > 0 else count + number
    if not 0 <= index < count:
        raise FileNotSignable(f"The file has no page {number}.")
    page = _reference(writer, index).get_object()
    turn = int(_inherited(page, "/Rotate") or 0) % 360
    return Page(index=index, box=_shown(page), turn=turn if turn in (90, 180, 270) else 0, mm=_POINTS / _unit(page))


def newest_picture(writer: IncrementalPdfFileWriter) -> tuple[Page, Rectangle] | None:
    """The newest signature that is seen: its page, and where on it."""
    seen: tuple[generic.Reference, Rectangle, bool] | None = None
    for _, value, field in fields.enumerate_sig_fields(writer.prev, filled_status=True):
        widget = field.get_object()
        placed = _rectangle(widget.get("/Rect", (0, 0, 0, 0)))
        if value is not None and placed[2] > placed[0] and placed[3] > placed[1] and "/P" in widget:
            upright = bool(int(widget.get("/F", 0)) & _KEEPS_UPRIGHT)
            seen = widget.raw_get("/P").reference, placed, upright
    if seen is None:
        return None
    reference, placed, upright = seen
    for index in range(min(_count(writer), _PAGES_MAX)):
        if _reference(writer, index) == reference:
            page = page_of(writer, index + 1)
            return page, page.shown(placed, upright=upright)
    return None


def _count(writer: IncrementalPdfFileWriter) -> int:
    return int(writer.prev.root["/Pages"]["/Count"])


def _reference(writer: IncrementalPdfFileWriter, index: int) -> generic.Reference:
    found: generic.IndirectObject = writer.prev.find_page_for_modification(index)[0]  # type: ignore[no-untyped-call]  # pyHanko's
    return found.reference


def _inherited(page: Any, name: str) -> Any:
    """An entry of the page or of what it is a leaf of; ``None``: nobody has it."""
    node = page
    for _ in range(_LEVELS_MAX):
        if name in node:
            return node[name]
        if "/Parent" not in node:
            return None
        node = node["/Parent"]
    return None


def _shown(page: Any) -> Rectangle:
    """What readers show of a page: of its crop box what lies in the media box (ISO 32000-1 §14.11.2), or all."""
    media = _inherited(page, "/MediaBox")
    if media is None:
        raise FileNotSignable("A page does not say its size.")
    left, low, right, top = _rectangle(media)
    cropped = _rectangle(_inherited(page, "/CropBox") or media)
    x, y, other_x, other_y = max(left, cropped[0]), max(low, cropped[1]), min(right, cropped[2]), min(top, cropped[3])
    return (x, y, other_x, other_y) if x < other_x and y < other_y else (left, low, right, top)


def _unit(page: Any) -> float:
    """The size of a unit of the page's coordinates in points (ISO 32000-1 §14.11.1); no page inherits it."""
    unit = float(page.get("/UserUnit", 1))
    return unit if 0 < unit < math.inf else 1.0


def _rectangle(values: Any) -> Rectangle:
    x, y, other_x, other_y = (float(v) for v in values)
    return min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y)
