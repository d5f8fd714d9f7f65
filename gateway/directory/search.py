"""Finding agencies by what a person types; accents ignored."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import merge

from gateway.model import Agency, AgencyCode, Level, fold

_GAP = re.compile(r"[^0-9a-z.]+")
_LEVELS = tuple(Level)
_LAST = "\U0010ffff"


_SHORT = {"ubnd": "uy ban nhan dan", "hdnd": "hoi dong nhan dan", "tp": "thanh pho"}
"""What people write short; each agency is found by both, whichever its name has."""


def words_of(text: str) -> list[str]:
    """The folded words of a text."""
    return _GAP.sub(" ", fold(text)).split()


def _name_words(name: str) -> set[str]:
    """The words that an agency is found by."""
    text = _GAP.sub(" ", fold(name))
    words = set(text.split())
    for short, full in _SHORT.items():
        if short in words:
            words.update(full.split())
        elif full in text:
            words.add(short)
    return words


def searched_by(name: str, codes: Iterable[str]) -> str:
    """What a database looks for words in: name and codes, folded, and what people write short in it."""
    text = fold(" ".join((name, *dict.fromkeys(codes))))
    return " ".join((text, *sorted(_name_words(name).difference(words_of(text)))))


class NameIndex:
    """
    The words of all agencies' names, each with the agencies that have it.

    A catalogue of 123,000 agencies has only some thousand different words (they are syllables),
    so that looking through the words is cheap and nothing ever looks through the agencies.
    """

    def __init__(self, agencies: Sequence[Agency], holder: Mapping[str, Agency]) -> None:
        """
        Index the names; the agencies come back higher tiers first, then by name.

        :param holder: the agency of every code.
        """
        self._agencies = tuple(sorted(agencies, key=lambda a: (_LEVELS.index(a.level), fold(a.name), a.code)))
        self._holder = holder
        self._codes = sorted(holder)
        self._words = sorted({word for agency in agencies for word in _name_words(agency.name)})
        numbers = {word: number for number, word in enumerate(self._words)}
        # Word numbers of all names, one name after the other, and where each begins; and the way back.
        self._names, self._starts = array("I"), array("I", (0,))
        self._postings = [array("I") for _ in self._words]
        for ordinal, agency in enumerate(self._agencies):
            for word in _name_words(agency.name):
                self._names.append(numbers[word])
                self._postings[numbers[word]].append(ordinal)
            self._starts.append(len(self._names))

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
                yield self._holder[self._codes[i]]

    def _by_words(self, words: Sequence[str], known: Callable[[str], Iterable[int]]) -> Iterator[Agency]:
        """Agencies in whose names every word is found, in the index's order."""
        found = [set(known(word)) for word in dict.fromkeys(words)]
        # The rarest word gives the candidates; the others are looked for in their names only.
        counts = [sum(len(self._postings[number]) for number in each) for each in found]
        rarest = found.pop(counts.index(min(counts)))
        # Merged as far as it is read: the first page of a common word costs little.
        for ordinal in merge(*(self._postings[number] for number in rarest)):
            name = self._names[self._starts[ordinal] : self._starts[ordinal + 1]]
            if all(not each.isdisjoint(name) for each in found):
                yield self._agencies[ordinal]

    def _beginning_with(self, word: str) -> Iterable[int]:
        return range(bisect_left(self._words, word), bisect_left(self._words, word + _LAST))

    def _containing(self, word: str) -> Iterable[int]:
        return (number for number, known in enumerate(self._words) if word in known)
