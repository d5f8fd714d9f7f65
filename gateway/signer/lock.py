"""One signing process per token: a lock that ends with the process, however it ends."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gateway.errors import HelperRunning, NoWayToAsk


@contextmanager
def only_one(folder: Path, key: Path, *, label: str | None = None) -> Iterator[None]:
    """
    Be the only helper of this person that signs with something, for as long as the block lasts.

    :param folder: the helper's own; made when it is not there.
    :param key: the key's file, or the module of tokens; however its path is written.
    :param label: of one token of that module; ``None``: whichever there is, so that no other helper may use any.
    :raises HelperRunning: another process is it.
    """
    name = str(key.resolve())
    with ExitStack() as held:
        held.enter_context(_held(folder, name, shared=label is not None))
        if label is not None:
            held.enter_context(_held(folder, f"{name}\0{label}"))
        yield


@contextmanager
def _held(folder: Path, what: str, *, shared: bool = False) -> Iterator[None]:
    """A lock whose name is made of the hash of what it is for."""
    name = hashlib.sha256(what.encode()).hexdigest()[:32]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as e:
        raise NoWayToAsk(f"The helper's folder {folder} cannot be written to ({e.strerror}).") from e
    try:
        if not _lock(descriptor, shared=shared):
            raise HelperRunning
        yield
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, *, shared: bool) -> bool:
        """Windows has no locks that several hold: one helper for all tokens of a module, there."""
        del shared
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int, *, shared: bool) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
