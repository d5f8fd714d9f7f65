"""
Folders for what is needed only while a process lives, and their clearing when one has died.

Each process has a folder of its own, held by a lock that ends with the process, however it ends. Who
comes next removes the folders that nobody holds. So a killed process leaves nothing for ever, and no
process ever removes what another is writing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

_LOCK = "own.lock"
_REGISTER = "register.lock"
"""Held while folders are made and cleared, so that a new one is not cleared before it is locked."""


class OwnFolder:
    """One process's folder under a shared one; removed with its content when no longer used."""

    def __init__(self, parent: Path) -> None:
        """
        Make the folder, and remove those whose processes are gone, with everything that was there before them.

        :param parent: exists; holds nothing but such folders.
        :raises OSError: it cannot be written to.
        """
        with _registering(parent):
            _clear(parent)
            self.path = parent / f"{os.getpid()}-{secrets.token_hex(4)}"
            self.path.mkdir(mode=0o700)
            held = _open(self.path / _LOCK)
            _lock(held, wait=True)
        self._close = weakref.finalize(self, _give_up, self.path, held, os.getpid())

    def close(self) -> None:
        """Remove it; otherwise this happens when it is forgotten, or at the end of the process."""
        self._close()


def _give_up(path: Path, held: int, process: int) -> None:
    if os.getpid() == process:  # a fork has the lock of its parent, and must leave it the folder
        shutil.rmtree(path, ignore_errors=True)
    os.close(held)


@contextlib.contextmanager
def _registering(parent: Path) -> Iterator[None]:
    register = _open(parent / _REGISTER)
    try:
        _lock(register, wait=True)
        yield
    finally:
        os.close(register)


def _clear(parent: Path) -> None:
    """Remove what no living process holds; what cannot be removed waits for the next start."""
    for entry in parent.iterdir():
        if entry.name == _REGISTER:
            continue
        if not entry.is_dir():
            entry.unlink(missing_ok=True)
        elif not _is_held(entry):
            shutil.rmtree(entry, ignore_errors=True)


def _is_held(folder: Path) -> bool:
    lock = folder / _LOCK
    if not lock.exists():
        return False  # its process died before it could lock it, or while removing it
    descriptor = _open(lock)
    try:
        return not _lock(descriptor, wait=False)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


if sys.platform == "win32":

    def _lock(descriptor: int, *, wait: bool) -> bool:
        """Windows has no such lock: every folder counts as held, and the operator clears them."""
        del descriptor
        return wait

else:
    import fcntl

    def _lock(descriptor: int, *, wait: bool) -> bool:
        """Lock a file for as long as it is open here; False when another holds it and ``wait`` is not asked."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
