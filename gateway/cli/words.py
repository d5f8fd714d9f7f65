"""Sentences in both languages, and the choice between them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, get_args

Language = Literal["vi", "en"]

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)


class Text(NamedTuple):
    """One sentence; values that it names stand in braces."""

    vi: str
    en: str

    def say(self, language: Language, **values: object) -> str:
        """The sentence in a language, with its values put in."""
        sentence = self.vi if language == "vi" else self.en
        return sentence.format(**values) if values else sentence


def as_language(value: str | None) -> Language | None:
    """A language that the program speaks, by the first two letters of a locale's name; else ``None``."""
    wanted = (value or "")[:2].lower()
    return next((known for known in LANGUAGES if known == wanted), None)


def language_of(environment: Mapping[str, str] = os.environ) -> Language:
    """The language that the surroundings ask for; Vietnamese when they ask for none of ours (``C.UTF-8``)."""
    for name in ("GATEWAY_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        language = as_language(environment.get(name))
        if language is not None:
            return language
    return "vi"
