"""Packages in Base64 within JSON, as these protocols hand them out, without holding one."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import BinaryIO

_CHUNK = 192 * 1024
"""A multiple of three, so that what is encoded apart fits together."""


def base64_length(size: int) -> int:
    """Characters of Base64, with its padding, for so many bytes."""
    return (size + 2) // 3 * 4


def base64_chunks(reader: BinaryIO) -> Iterator[bytes]:
    """All that a reader has, encoded; nothing longer than a chunk is held."""
    held = b""
    while piece := reader.read(_CHUNK):
        held += piece
        whole = len(held) - len(held) % 3
        if whole:
            yield base64.b64encode(held[:whole])
            held = held[whole:]
    if held:
        yield base64.b64encode(held)
