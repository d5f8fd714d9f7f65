"""What every template can say: texts, moments, numbers, names."""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections.abc import Callable, Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any

from flask import g, session, url_for

from gateway.console import words
from gateway.console.access import here, visitor
from gateway.console.parts import parts
from gateway.console.texts import LANGUAGES, Language, Text, as_language, say
from gateway.console.verdicts import FILE_PARTS, SIGNER_ROLES
from gateway.directory import Directory
from gateway.model import VIETNAM_TIME, FilePart, SignerRole

_STATIC = Path(__file__).parent / "static"


def language() -> Language:
    """Of this page: chosen in this session, else remembered for this person, else the installation's."""
    found = visitor()
    return (
        as_language(session.get("language"))
        or (as_language(found.operator.language) if found else None)
        or parts().default_language
    )


def directory() -> Directory:
    """One snapshot for the whole page."""
    if "directory" not in g:
        g.directory = parts().directory()
    found = g.directory
    assert isinstance(found, Directory)
    return found


def agency_name(code: str | None, name: str | None = None) -> str:
    """How people know an agency: the name given, else the directory's, else its code."""
    if name:
        return name
    if code is None:
        return say("refusals.unknown", language())
    agency = directory().get(code)
    return agency.name if agency else code


def moment(at: datetime) -> str:
    """``dd/mm/yyyy HH:MM:SS`` in Vietnam."""
    return f"{at.astimezone(VIETNAM_TIME):%d/%m/%Y %H:%M:%S}"


def clock_of(at: datetime) -> str:
    """``HH:MM:SS`` in Vietnam."""
    return f"{at.astimezone(VIETNAM_TIME):%H:%M:%S}"


def day(at: date | datetime) -> str:
    """``dd/mm/yyyy``; of a moment, in Vietnam."""
    return f"{at.astimezone(VIETNAM_TIME) if isinstance(at, datetime) else at:%d/%m/%Y}"


def number(value: int) -> str:
    """Grouped by thousands: ``1.234.567``, in English ``1,234,567``."""
    grouped = f"{value:,}"
    return grouped.replace(",", ".") if language() == "vi" else grouped


def size(value: int) -> str:
    """Bytes in the largest unit that keeps the number at one or more."""
    amount, unit = float(value), "B"
    for larger in ("KB", "MB", "GB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    text = f"{value}" if unit == "B" else f"{amount:.1f}"
    return f"{text.replace('.', ',') if language() == 'vi' else text} {unit}"


def plain(text: str | None) -> str:
    """
    A text of somebody else's, made safe to look at.

    Characters that turn the direction of reading or cannot be seen are named instead: a file
    called ``cong-van<RLO>fdp.exe`` must not look like a PDF. Line ends become spaces.
    """
    return "".join(_shown(c) for c in text or "")


def _shown(character: str) -> str:
    if character in "\n\r\t":
        return " "
    # Cc, Cf: controls and invisible formatting (bidi overrides, zero-width); Co, Cs: nobody's.
    if unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs"):
        return f"⟨U+{ord(character):04X}⟩"
    return character


@functools.cache
def _digest(filename: str) -> str:
    return hashlib.sha256((_STATIC / filename).read_bytes()).hexdigest()[:12]


def asset(filename: str) -> str:
    """The address of a static file, another one for other content, so that it may be cached for ever."""
    return url_for("console.static", filename=filename, v=_digest(filename))


def vocabulary() -> dict[str, Any]:
    """Names for the templates."""
    spoken = language()

    def t(key: str, **values: object) -> str:
        return say(key, spoken, **values)

    def word(text: Text) -> str:
        return text.say(spoken)

    def cause(code: str) -> str:
        return words.cause(code, spoken)

    def finding(code: str) -> str:
        return words.finding(code, spoken)

    def added(names: Iterable[str]) -> str:
        return ", ".join(words.ADDED[name].say(spoken) if name in words.ADDED else plain(name) for name in names)

    def part(of: FilePart) -> str:
        return FILE_PARTS[of].say(spoken)

    def roles(given: Iterable[SignerRole]) -> str:
        return ", ".join(SIGNER_ROLES[role].say(spoken) for role in given)

    functions: dict[str, Callable[..., Any]] = {
        "t": t,
        "word": word,
        "cause": cause,
        "finding": finding,
        "added": added,
        "part": part,
        "roles": roles,
        "moment": moment,
        "clock_of": clock_of,
        "day": day,
        "number": number,
        "size": size,
        "plain": plain,
        "agency_name": agency_name,
        "asset": asset,
    }
    return {
        **functions,
        "words": words,
        "language": spoken,
        "other_language": next(known for known in LANGUAGES if known != spoken),
        "visitor": visitor(),
        "here": here(),
        "gateway_name": parts().gateway_name,
    }
