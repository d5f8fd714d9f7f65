"""
Where a page shows something, so that nothing is put over it that its signers did not see.

Text and pictures of the page's content are laid out as far as their places are concerned: every run of text by the
widths of its font, every picture by its corners. Lines, frames and coloured rectangles do not count: stamps are set
on forms and tables. Whatever cannot be laid out makes the whole page count as painted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pyhanko.pdf_utils import generic

from gateway.signing.files.content import TooMuch, Work, operators
from gateway.signing.files.leaks import LEAKS
from gateway.signing.files.objects import dictionary, inherited, resolved

_WORK_MAX = 1_000_000
"""Tokens of one page, and what takes as long; a page full of small print has about 100,000."""
_AREAS_MAX = 50_000
_FORMS_DEEP = 8
_STACK_MAX = 64
_CORNERS = 5
"""Points of a rectangle that ends where it began."""
_SLACK = 1.0
"""Points by which neighbours may touch."""
_ABOVE, _BELOW = 0.85, 0.2
"""Of the font's size: how far letters reach above and below their line; Vietnamese capitals have two marks."""
_WIDTH_UNKNOWN = 0.7
"""Of the font's size, for the fonts that every viewer has and files need not describe; none is much wider."""
_WIDTHS_MAX = 0x20000
"""Told of the characters of one font, of which there are half as many."""
_BLANK = frozenset(b" \t\r\n\f\0")

Matrix = tuple[float, float, float, float, float, float]
UNIT: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Rectangle:
    """In points, in the space of the page."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def size(self) -> float:
        """Square points."""
        return (self.right - self.left) * (self.top - self.bottom)

    def holds(self, other: Rectangle) -> bool:
        """Whether ``other`` lies within."""
        return (
            self.left - _SLACK <= other.left
            and self.bottom - _SLACK <= other.bottom
            and other.right <= self.right + _SLACK
            and other.top <= self.top + _SLACK
        )

    def meets(self, other: Rectangle) -> bool:
        """Whether both have more in common than a border."""
        return (
            self.left + _SLACK < other.right
            and other.left + _SLACK < self.right
            and self.bottom + _SLACK < other.top
            and other.bottom + _SLACK < self.top
        )


@dataclass(frozen=True)
class Painted:
    """The areas in which one page shows something."""

    areas: Sequence[Rectangle] | None
    """``None``: anywhere, as far as could be found out."""

    def meets(self, other: Rectangle | None) -> bool:
        """Whether something lies over what the page shows; an area without extent lies over nothing."""
        if other is None or other.size <= 0:
            return False
        return self.areas is None or any(area.meets(other) for area in self.areas)


def painted(page: generic.DictionaryObject, *, besides: generic.Reference | None = None) -> Painted:
    """
    Where a page, of one revision, shows text, pictures and annotations.

    :param besides: an annotation that does not count.
    """
    try:
        layout = _Layout()
        resources = dictionary(inherited(page, "/Resources"))
        layout.run(b"\n".join(_contents(page)), resources, UNIT, depth=0)
        return Painted([*layout.areas, *_annotations(page, besides)])
    except (TooMuch, *LEAKS):
        return Painted(None)


def rectangle_of(value: generic.PdfObject | None) -> Rectangle | None:
    """An array of four numbers, corners in any order; ``None``: it is not one."""
    found = resolved(value)
    if not isinstance(found, generic.ArrayObject) or len(found) != 4:
        return None
    try:
        numbers = [float(str(resolved(n))) for n in found]
    except (TypeError, ValueError):
        return None
    if not all(math.isfinite(n) for n in numbers):
        return None
    x1, y1, x2, y2 = numbers
    return Rectangle(left=min(x1, x2), bottom=min(y1, y2), right=max(x1, x2), top=max(y1, y2))


def _contents(page: generic.DictionaryObject) -> Iterator[bytes]:
    found = resolved(page.get("/Contents"))
    for part in found if isinstance(found, generic.ArrayObject) else [found]:
        stream = resolved(part)
        if isinstance(stream, generic.StreamObject):
            yield stream.data


def _annotations(page: generic.DictionaryObject, besides: generic.Reference | None) -> Iterator[Rectangle]:
    found = resolved(page.get("/Annots"))
    for entry in found if isinstance(found, generic.ArrayObject) else ():
        if isinstance(entry, generic.IndirectObject) and entry.reference == besides:
            continue
        annotation = dictionary(entry)
        if annotation.get("/Subtype") in ("/Link", "/Popup"):
            continue
        area = rectangle_of(annotation.get("/Rect"))
        if area is not None:
            yield area
        elif "/Rect" in annotation:
            # Some readers find four numbers in it all the same.
            raise ValueError("The place of an annotation is none.")


# Fonts


@dataclass(frozen=True, kw_only=True)
class _Font:
    """How wide the characters of one font are, in thousandths of its size."""

    code_bytes: int
    widths: dict[int, float]
    otherwise: float

    def width(self, text: bytes) -> float:
        """Of a run of text, in sizes of the font."""
        codes = (
            text
            if self.code_bytes == 1
            else [int.from_bytes(text[i : i + 2], "big") for i in range(0, len(text) - 1, 2)]
        )
        return sum(self.widths.get(code, self.otherwise) for code in codes) / 1000

    def count(self, text: bytes) -> int:
        """Characters."""
        return len(text) // self.code_bytes

    def is_blank(self, text: bytes) -> bool:
        """Whether nothing is seen of it. Of fonts with two bytes a character, glyph 3 is the blank of TrueType."""
        if self.code_bytes == 1:
            return all(code in _BLANK for code in text)
        return all(text[i : i + 2] == b"\0\3" for i in range(0, len(text), 2))


_FONT_UNKNOWN = _Font(code_bytes=1, widths={}, otherwise=1000 * _WIDTH_UNKNOWN)


def _font(described: generic.DictionaryObject) -> _Font:
    if described.get("/Subtype") == "/Type0":
        descendants = resolved(described.get("/DescendantFonts"))
        own = dictionary(descendants[0]) if isinstance(descendants, generic.ArrayObject) else described
        return _Font(code_bytes=2, widths=_cid_widths(resolved(own.get("/W"))), otherwise=float(own.get("/DW", 1000)))
    widths = resolved(described.get("/Widths"))
    if not isinstance(widths, generic.ArrayObject):
        return _FONT_UNKNOWN
    # A Type 3 font has a space of its own, usually of thousandths too.
    scale = 1.0
    matrix = resolved(described.get("/FontMatrix"))
    if described.get("/Subtype") == "/Type3" and isinstance(matrix, generic.ArrayObject):
        scale = abs(float(matrix[0])) * 1000
    first = int(described.get("/FirstChar", 0))
    missing = float(dictionary(described.get("/FontDescriptor")).get("/MissingWidth", 1000 * _WIDTH_UNKNOWN))
    found = {first + n: float(width) * scale for n, width in enumerate(widths)}
    return _Font(code_bytes=1, widths=found, otherwise=missing)


def _cid_widths(listed: generic.PdfObject | None) -> dict[int, float]:
    """Widths of a CID font: ``c [w …]`` or ``first last w`` (ISO 32000-2 §9.7.4.3)."""
    found: dict[int, float] = {}
    entries = list(listed) if isinstance(listed, generic.ArrayObject) else []
    at = told = 0
    while at + 1 < len(entries):
        first, second = int(entries[at]), resolved(entries[at + 1])
        if isinstance(second, generic.ArrayObject):
            found |= {first + n: float(width) for n, width in enumerate(second)}
            at += 2
            continue
        last = int(entries[at + 1])
        told += last - first
        if not 0 <= first <= last <= 0xFFFF or at + 2 >= len(entries) or told > _WIDTHS_MAX:
            raise ValueError("The widths of a font are none.")
        found |= dict.fromkeys(range(first, last + 1), float(entries[at + 2]))
        at += 3
    return found


# Content


@dataclass(frozen=True, kw_only=True)
class _State:
    """What of the graphics state decides where text and pictures go."""

    ctm: Matrix
    font: _Font = _FONT_UNKNOWN
    size: float = 1.0
    character_spacing: float = 0.0
    word_spacing: float = 0.0
    stretch: float = 1.0
    leading: float = 0.0
    rise: float = 0.0


@dataclass
class _Layout:
    """The areas painted by a page's content and by the forms in it."""

    areas: list[Rectangle] = field(default_factory=list)
    work: Work = field(default_factory=lambda: Work(_WORK_MAX))

    def run(self, content: bytes, resources: generic.DictionaryObject, ctm: Matrix, *, depth: int) -> None:
        """Lay out one content stream."""
        if depth > _FORMS_DEEP:
            raise TooMuch
        _Run(self, resources, ctm, depth).through(content)

    def add(self, matrix: Matrix, left: float, bottom: float, right: float, top: float) -> None:
        """A rectangle of some space is painted."""
        corners = [moved(matrix, x, y) for x in (left, right) for y in (bottom, top)]
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        if len(self.areas) >= _AREAS_MAX or not all(map(math.isfinite, (*xs, *ys))):
            raise TooMuch
        self.areas.append(Rectangle(left=min(xs), bottom=min(ys), right=max(xs), top=max(ys)))


@dataclass
class _Subpath:
    """A part of a path, from where the pen was set down on."""

    points: list[tuple[float, float]] = field(default_factory=list)
    is_bent: bool = False

    @property
    def is_shape(self) -> bool:
        """Whether, filled, it is anything but a rectangle that stands straight: the bar of a table, a frame."""
        if self.is_bent:
            return True
        edges = zip(self.points, self.points[1:], strict=False)
        return len(self.points) > _CORNERS or any(x1 != x2 and y1 != y2 for (x1, y1), (x2, y2) in edges)


class _Run:
    """One content stream being laid out."""

    def __init__(self, layout: _Layout, resources: generic.DictionaryObject, ctm: Matrix, depth: int) -> None:
        self._layout = layout
        self._resources = resources
        self._depth = depth
        self._state = _State(ctm=ctm)
        self._saved: list[_State] = []
        self._text: Matrix = UNIT
        self._line: Matrix = UNIT
        self._fonts: dict[str, _Font] = {}
        self._path: list[_Subpath] = []
        self._points = 0

    def through(self, content: bytes) -> None:
        """Every operator in its order."""
        for operator, operands in operators(content, self._layout.work):
            act = _ACTS.get(operator)
            if act is not None:
                act(self, operands)

    def save(self, _: list[object]) -> None:
        if len(self._saved) >= _STACK_MAX:
            raise TooMuch
        self._saved.append(self._state)

    def restore(self, _: list[object]) -> None:
        if self._saved:
            self._state = self._saved.pop()

    def transform(self, operands: list[object]) -> None:
        self._state = replace(self._state, ctm=_joined(_matrix(operands), self._state.ctm))

    def begin_text(self, _: list[object]) -> None:
        self._text = self._line = UNIT

    def set_font(self, operands: list[object]) -> None:
        name, size = str(operands[-2]), _number(operands[-1])
        if name not in self._fonts:
            described = dictionary(dictionary(self._resources.get("/Font")).get(name))
            self._fonts[name] = _font(described) if described else _FONT_UNKNOWN
            self._layout.work.take(len(self._fonts[name].widths))
        self._state = replace(self._state, font=self._fonts[name], size=size)

    def move(self, operands: list[object]) -> None:
        x, y = _number(operands[-2]), _number(operands[-1])
        self._line = self._text = _joined((1, 0, 0, 1, x, y), self._line)

    def move_and_lead(self, operands: list[object]) -> None:
        self._state = replace(self._state, leading=-_number(operands[-1]))
        self.move(operands)

    def next_line(self, _: list[object]) -> None:
        self.move([0.0, -self._state.leading])

    def place(self, operands: list[object]) -> None:
        self._line = self._text = _matrix(operands)

    def show(self, operands: list[object]) -> None:
        shown = operands[-1]
        for part in shown if isinstance(shown, list) else [shown]:
            if isinstance(part, bytes):
                self._show(part)
            else:
                self._advance(-_number(part) / 1000 * self._state.size * self._state.stretch)

    def next_line_and_show(self, operands: list[object]) -> None:
        self.next_line([])
        self.show(operands)

    def space_and_show(self, operands: list[object]) -> None:
        self._state = replace(self._state, word_spacing=_number(operands[-3]), character_spacing=_number(operands[-2]))
        self.next_line_and_show(operands)

    def _show(self, text: bytes) -> None:
        state = self._state
        spaces = text.count(b" ") if state.font.code_bytes == 1 else 0
        spacing = state.character_spacing * state.font.count(text) + state.word_spacing * spaces
        width = (state.font.width(text) * state.size + spacing) * state.stretch
        if not state.font.is_blank(text):
            matrix = _joined(self._text, state.ctm)
            low, high = state.rise - _BELOW * state.size, state.rise + _ABOVE * state.size
            self._layout.add(matrix, 0, low, width, high)
        self._advance(width)

    def _advance(self, by: float) -> None:
        self._text = _joined((1, 0, 0, 1, by, 0), self._text)

    def paint_object(self, operands: list[object]) -> None:
        found = resolved(dictionary(self._resources.get("/XObject")).get(str(operands[-1])))
        if not isinstance(found, generic.StreamObject):
            return
        if found.get("/Subtype") != "/Form":
            self._layout.add(self._state.ctm, 0, 0, 1, 1)
            return
        matrix = resolved(found.get("/Matrix"))
        own = _matrix(list(matrix)) if isinstance(matrix, generic.ArrayObject) else UNIT
        resources = dictionary(found.get("/Resources")) or self._resources
        self._layout.run(found.data, resources, _joined(own, self._state.ctm), depth=self._depth + 1)

    def inline_image(self, _: list[object]) -> None:
        self._layout.add(self._state.ctm, 0, 0, 1, 1)

    def begin_path(self, operands: list[object]) -> None:
        self._path.append(_Subpath())
        self.point(operands)

    def point(self, operands: list[object]) -> None:
        numbers = [_number(o) for o in operands]
        if not self._path:
            self._path.append(_Subpath())
        self._path[-1].points += zip(numbers[::2], numbers[1::2], strict=False)
        self._points += len(numbers) // 2
        if self._points > _AREAS_MAX:
            raise TooMuch

    def curve(self, operands: list[object]) -> None:
        self.point(operands)
        self._path[-1].is_bent = True

    def fill(self, _: list[object]) -> None:
        """Letters that were turned into outlines are shapes; rectangles and lines are not counted."""
        for part in self._path:
            if part.is_shape:
                xs, ys = [x for x, _ in part.points], [y for _, y in part.points]
                self._layout.add(self._state.ctm, min(xs), min(ys), max(xs), max(ys))
        self.end_path([])

    def end_path(self, _: list[object]) -> None:
        self._path = []
        self._points = 0

    def set_pattern(self, operands: list[object]) -> None:
        """What a pattern draws may be anything, wherever it is used to fill."""
        named = str(operands[-1]) if operands else ""
        pattern = dictionary(dictionary(self._resources.get("/Pattern")).get(named))
        if pattern.get("/PatternType") == 1:
            raise TooMuch


def _setter(name: str, factor: float = 1.0) -> Callable[[_Run, list[object]], None]:
    def act(run: _Run, operands: list[object]) -> None:
        changed: dict[str, Any] = {name: _number(operands[-1]) * factor}
        run._state = replace(run._state, **changed)

    return act


_ACTS: dict[bytes, Callable[[_Run, list[object]], None]] = {
    b"q": _Run.save,
    b"Q": _Run.restore,
    b"cm": _Run.transform,
    b"BT": _Run.begin_text,
    b"Tf": _Run.set_font,
    b"Tc": _setter("character_spacing"),
    b"Tw": _setter("word_spacing"),
    b"Tz": _setter("stretch", 0.01),
    b"TL": _setter("leading"),
    b"Ts": _setter("rise"),
    b"Td": _Run.move,
    b"TD": _Run.move_and_lead,
    b"T*": _Run.next_line,
    b"Tm": _Run.place,
    b"Tj": _Run.show,
    b"TJ": _Run.show,
    b"'": _Run.next_line_and_show,
    b'"': _Run.space_and_show,
    b"Do": _Run.paint_object,
    b"BI": _Run.inline_image,
    b"m": _Run.begin_path,
    b"l": _Run.point,
    **dict.fromkeys((b"c", b"v", b"y"), _Run.curve),
    **dict.fromkeys((b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*"), _Run.fill),
    **dict.fromkeys((b"S", b"s", b"n"), _Run.end_path),
    **dict.fromkeys((b"scn", b"SCN"), _Run.set_pattern),
}


def _joined(first: Matrix, then: Matrix) -> Matrix:
    a, b, c, d, e, f = first
    g, h, i, j, k, m = then
    return (
        a * g + b * i,
        a * h + b * j,
        c * g + d * i,
        c * h + d * j,
        e * g + f * i + k,
        e * h + f * j + m,
    )


def moved(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _matrix(operands: Sequence[object]) -> Matrix:
    a, b, c, d, e, f = (_number(o) for o in operands[-6:])
    return a, b, c, d, e, f


def _number(value: object) -> float:
    if isinstance(value, int | float):
        return float(value)
    # pyHanko's real numbers are decimals.
    return float(str(value))
