"""
Where packages are kept that are too large for the ledger (design D4).

Every method raises ``PayloadStoreUnavailable`` when the store cannot be used; try again later.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO, Protocol

CHUNK_BYTES = 1024 * 1024
"""How much of a package is in memory at a time."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def checked_name(sha256: str) -> str:
    """
    The hash, if it is one: it becomes a path.

    :raises ValueError: it is not 64 lower-case hexadecimal digits.
    """
    if _SHA256.fullmatch(sha256) is None:
        raise ValueError("A payload is named by its SHA-256 in lower-case hex.")
    return sha256


class PayloadStore(Protocol):
    """Packages by the SHA-256 of their bytes; what is put stays as it is."""

    def put(self, source: Path, sha256: str) -> None:
        """
        Make the file's content durable under its hash; does nothing when it is there already.

        :param source: not changed, not removed.
        :raises PayloadMissing: the content is not what ``sha256`` says.
        :raises StorageFull: there is no room.
        """
        ...

    def open(self, sha256: str, start: int = 0) -> BinaryIO:
        """
        A seekable stream of the content, positioned at byte ``start``. The caller closes it.

        :raises PayloadMissing: it is not there.
        """
        ...

    def exists(self, sha256: str) -> bool:
        """Whether it is there."""
        ...

    def size(self, sha256: str) -> int:
        """
        Bytes.

        :raises PayloadMissing: it is not there.
        """
        ...

    def check(self) -> None:
        """
        Make sure that the store can be reached and written to.

        :raises StorageFull: there is no room.
        :raises PayloadStoreUnavailable: it cannot.
        """
        ...
