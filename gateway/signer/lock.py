"""One signing process per token: a lock that ends with the process, however it ends."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import HelperRunning, NoWayToAsk


@contextmanager
def only_one(folder: Path, what: str) -> Iterator[None]:
    """
    Be the only helper of this person that signs with something, for as long as the block lasts.

    :param folder: the helper's own; made when it is not there.
    :param what: names the token or the file; the name of the lock is made of its hash.
    :raises HelperRunning: another process is it.
    """
    name = hashlib.sha256(what.encode()).hexdigest()[:32]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as e:
        raise NoWayToAsk(f"The helper's folder {folder} cannot be written to ({e.strerror}).") from e
    try:
        if not _lock(descriptor):
            raise HelperRunning
        yield
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
