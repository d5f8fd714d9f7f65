"""Files changed at random, always the same for the same seed: what a fuzzer would send, without waiting for one."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence

Change = Callable[[random.Random, bytes], bytes]

_NUMBER = re.compile(rb"\d+")
_ODD_NUMBERS = (b"0", b"-1", b"1", b"65536", b"2147483648", b"4294967295", b"9" * 30, b"0.5", b"1e9")


def mutated(
    originals: Sequence[bytes],
    *,
    count: int,
    seed: int,
    words: Sequence[bytes],
    pieces: re.Pattern[bytes],
    in_place: float = 0.0,
) -> Iterator[tuple[int, bytes]]:
    """
    Changed files, each differing from one of the originals by one to three changes.

    :param words: what the format's readers look for; put in at random places.
    :param pieces: what is a whole of the format (an element, an object): doubled, dropped and exchanged as such.
    :param in_place: share of the files whose length stays, for formats in which offsets matter.
    :return: the index of the original, and the changed bytes; never the original itself.
    """
    chance = random.Random(seed)  # the same files every time, and nothing secret
    changes: list[Change] = [
        _bit,
        _byte,
        _drop,
        _double,
        _cut,
        _number,
        lambda r, b: _put(r, b, r.choice(words)),
        lambda r, b: _exchange(r, b, pieces),
        lambda r, b: _double_piece(r, b, pieces),
        lambda r, b: _drop_piece(r, b, pieces),
        lambda r, b: _splice(r, b, r.choice(originals)),
    ]
    lengthless: list[Change] = [_bit, _byte, _digits, lambda r, b: _over(r, b, r.choice(words)), _over_with_itself]
    made = 0
    while made < count:
        index = made % len(originals)
        content = originals[index]
        kinds = lengthless if chance.random() < in_place else changes
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            content = chance.choice(kinds)(chance, content)
        if content != originals[index]:
            made += 1
            yield index, content


def _place(chance: random.Random, content: bytes) -> int:
    return chance.randrange(len(content)) if content else 0


def _bit(chance: random.Random, content: bytes) -> bytes:
    at = _place(chance, content)
    return content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :] if content else content


def _byte(chance: random.Random, content: bytes) -> bytes:
    at = _place(chance, content)
    return content[:at] + chance.randbytes(1) + content[at + 1 :]


def _drop(chance: random.Random, content: bytes) -> bytes:
    at = _place(chance, content)
    return content[:at] + content[at + chance.choice((1, 2, 16, 200)) :]


def _double(chance: random.Random, content: bytes) -> bytes:
    at = _place(chance, content)
    size = chance.choice((1, 8, 64, 500))
    return content[: at + size] + content[at : at + size] + content[at + size :]


def _cut(chance: random.Random, content: bytes) -> bytes:
    return content[: _place(chance, content)] if chance.random() < 0.3 else _byte(chance, content)


def _number(chance: random.Random, content: bytes) -> bytes:
    found = list(_NUMBER.finditer(content))
    if not found:
        return content
    one = chance.choice(found)
    return content[: one.start()] + chance.choice(_ODD_NUMBERS) + content[one.end() :]


def _digits(chance: random.Random, content: bytes) -> bytes:
    found = list(_NUMBER.finditer(content))
    if not found:
        return content
    one = chance.choice(found)
    digits = str(chance.randrange(10 ** min(len(one[0]), 9))).encode()
    return content[: one.start()] + digits.rjust(len(one[0]), b"0") + content[one.end() :]


def _over(chance: random.Random, content: bytes, word: bytes) -> bytes:
    at = chance.randrange(max(1, len(content) - len(word)))
    return content[:at] + word + content[at + len(word) :]


def _over_with_itself(chance: random.Random, content: bytes) -> bytes:
    start = _place(chance, content)
    return _over(chance, content, content[start : start + chance.choice((4, 40, 400))])


def _put(chance: random.Random, content: bytes, word: bytes) -> bytes:
    at = _place(chance, content)
    return content[:at] + word + content[at:]


def _splice(chance: random.Random, content: bytes, other: bytes) -> bytes:
    at, start = _place(chance, content), _place(chance, other)
    size = chance.choice((4, 40, 400))
    return content[:at] + other[start : start + size] + content[at + size :]


def _exchange(chance: random.Random, content: bytes, pieces: re.Pattern[bytes]) -> bytes:
    found = list(pieces.finditer(content))
    if len(found) < 2:
        return content
    first, second = sorted(chance.sample(found, 2), key=lambda m: m.start())
    if first.end() > second.start():
        return content
    between = content[first.end() : second.start()]
    return content[: first.start()] + second[0] + between + first[0] + content[second.end() :]


def _double_piece(chance: random.Random, content: bytes, pieces: re.Pattern[bytes]) -> bytes:
    found = list(pieces.finditer(content))
    return _put(chance, content, b"") if not found else _after(content, chance.choice(found))


def _after(content: bytes, piece: re.Match[bytes]) -> bytes:
    return content[: piece.end()] + piece[0] + content[piece.end() :]


def _drop_piece(chance: random.Random, content: bytes, pieces: re.Pattern[bytes]) -> bytes:
    found = list(pieces.finditer(content))
    if not found:
        return content
    one = chance.choice(found)
    return content[: one.start()] + content[one.end() :]
