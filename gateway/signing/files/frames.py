"""Messages between a process and the reader of files that it started: a length, then JSON."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

_LENGTH = struct.Struct(">I")


def write(stream: BinaryIO, message: Mapping[str, Any]) -> None:
    """Send one message; :raises OSError: nobody reads any more."""
    body = json.dumps(message, ensure_ascii=False).encode()
    stream.write(_LENGTH.pack(len(body)))
    stream.write(body)
    stream.flush()


def read(stream: BinaryIO, *, largest: int) -> dict[str, Any] | None:
    """
    The next message; ``None`` when there is none any more.

    :param largest: bytes.
    :raises ValueError: it is larger, or no message.
    """
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > largest:
        raise ValueError("A message that is too long.")
    body = stream.read(length)
    if len(body) < length:
        return None
    try:
        message: dict[str, Any] = json.loads(body)
    except RecursionError as e:
        raise ValueError("A message that goes too deep.") from e
    return message
