"""Finding agencies by what a person types; accents ignored."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from gateway.model import Agency, AgencyCode, Level, fold

_GAP = re.compile(r"[^0-9a-z.]+")
_LEVELS = tuple(Level)
_LAST = "\U0010ffff"


_SHORT = {"ubnd": "uy ban nhan dan", "hdnd": "hoi dong nhan dan", "tp": "thanh pho"}
"""What people write short; each agency is found by both, whichever its name has."""


def words_of(text: str) -> list[str]:
    """The folded words of a text."""
    return _GAP.sub(" ", fold(text)).split()


def _name_words(folded_name: str) -> set[str]:
    """The words that an agency is found by."""
    text = _GAP.sub(" ", folded_name)
    words = set(text.split())
    for short, full in _SHORT.items():
        if short in words:
            words.update(full.split())
        elif full in text:
            words.add(short)
    return words


class NameIndex:
    """
    The words of all agencies' names, each with the agencies that have it.

    A catalogue of 123,000 agencies has only some thousand different words (they are syllables),
    so that looking through the words is cheap and nothing ever looks through the agencies.
    """

    def __init__(self, agencies: Sequence[Agency]) -> None:
        """Index names and codes; the agencies come back higher tiers first, then by name."""
        keyed = sorted((_LEVELS.index(a.level), fold(a.name), a.code, a) for a in agencies)
        self._agencies = tuple(agency for *_, agency in keyed)
        codes = sorted((code, ordinal) for ordinal, agency in enumerate(self._agencies) for code in agency.codes)
        self._codes = [code for code, _ in codes]
        self._code_holders = array("I", (ordinal for _, ordinal in codes))
        postings: dict[str, array[int]] = {}
        for ordinal, (_, name, _, _) in enumerate(keyed):
            for word in _name_words(name):
                postings.setdefault(word, array("I")).append(ordinal)
        self._postings = postings
        self._words = sorted(postings)

    def matches(self, text: str) -> Iterator[Agency]:
        """Agencies from best to least, some of them more than once."""
        words = words_of(text)
        if not words:
            yield from self._agencies
            return
        yield from self._by_code(text)
        yield from self._by_words(words, self._beginning_with)
        yield from self._by_words(words, self._containing)

    def _by_code(self, text: str) -> Iterator[Agency]:
        for typed in dict.fromkeys((AgencyCode.normal(text), AgencyCode(text.strip().upper()))):
            for i in range(bisect_left(self._codes, typed), len(self._codes)):
                if not self._codes[i].startswith(typed):
                    break
                yield self._agencies[self._code_holders[i]]

    def _by_words(self, words: Sequence[str], known: Callable[[str], list[str]]) -> Iterator[Agency]:
        """Agencies in whose names every word is found, in the index's order."""
        found = [set(known(word)) for word in dict.fromkeys(words)]
        # The rarest word gives the candidates; the others are looked for in their names only.
        counts = [sum(len(self._postings[name_word]) for name_word in each) for each in found]
        rarest = found.pop(counts.index(min(counts)))
        for ordinal in _merged([self._postings[name_word] for name_word in rarest]):
            name_words = _name_words(fold(self._agencies[ordinal].name))
            if all(not each.isdisjoint(name_words) for each in found):
                yield self._agencies[ordinal]

    def _beginning_with(self, word: str) -> list[str]:
        return self._words[bisect_left(self._words, word) : bisect_left(self._words, word + _LAST)]

    def _containing(self, word: str) -> list[str]:
        return [known for known in self._words if word in known]


def _merged(postings: Sequence[array[int]]) -> Iterable[int]:
    """Ordinals in order, each once; from any number of lists."""
    if len(postings) == 1:
        return postings[0]
    return sorted(set(chain.from_iterable(postings)))
