"""Vietnamese in the letters of ASCII, for protocols whose clients read nothing else. Pure."""

from __future__ import annotations

import unicodedata

_LETTERS = str.maketrans({"đ": "d", "Đ": "D", "–": "-", "…": "...", "“": '"', "”": '"'})


def unaccented(text: str) -> str:
    """The same words without diacritics, case kept; what has no counterpart in ASCII becomes ``?``."""
    decomposed = unicodedata.normalize("NFD", text.translate(_LETTERS))
    letters = "".join(c for c in decomposed if not unicodedata.combining(c))
    return letters.encode("ascii", "replace").decode("ascii")
