"""
Where packages are kept that are too large for the ledger (design D4).

Every method raises ``PayloadStoreUnavailable`` when the store cannot be used; try again later.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol


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
