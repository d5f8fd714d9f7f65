"""
Marks of state secrets. Such documents never travel over the axis (QĐ 28/2018 Art. 1(2); domain §4.4).

A mark stands alone: ``MẬT``, ``Độ mật: Tối mật``, ``(TUYỆT MẬT)``. Words that merely contain the
syllable (bảo mật, bí mật kinh doanh, the names Mật Sơn, Mật) are not marks.
"""

from __future__ import annotations

import re
import unicodedata

_MARKS = frozenset({"mật", "tối mật", "tuyệt mật"})
_BARE = frozenset({"mat", "toi mat", "tuyet mat"})
"""From systems that drop the marks above letters."""
_LABEL = re.compile(r"^(?:văn bản|tài liệu|công văn|dấu|hồ sơ|mức|loại) (?=(?:tối |tuyệt )?mật$)")
_ALONE = re.compile(r"[\s]*[,;:/()\[\]{}|.–—*+_=\"'“”-]+[\s]*")
_UNMISTAKABLE = re.compile(r"(?<!\w)(?:tối|tuyệt) mật(?!\w)")
_BRACKETED = re.compile(r"[(\[]\s*((?:tối |tuyệt )?mật)\s*[)\]]")


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def is_marked(text: str, *, bare: bool = False) -> bool:
    """
    Whether a short field (sphere, notation, kind of document) carries a secrecy mark.

    :param bare: also believe marks without accents; not for notations, where ``MAT`` may be an office.
    """
    plain = _plain(text)
    if "mật" not in plain and "mat" not in plain:
        return False  # what every mark ends in
    marks = _MARKS | _BARE if bare else _MARKS
    if _UNMISTAKABLE.search(plain):
        return True
    return any(_LABEL.sub("", part) in marks for part in _ALONE.split(plain))


def is_marked_in_brackets(text: str) -> bool:
    """Whether a subject carries a mark in brackets; a subject may well speak of secrets without being one."""
    return _BRACKETED.search(_plain(text)) is not None
