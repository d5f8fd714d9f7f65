"""Packages as files named by their hash, in folders of two levels."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gateway.errors import PayloadMissing, PayloadStoreUnavailable, StorageFull
from gateway.payloads.store import CHUNK_BYTES, checked_name
from gateway.scratch import OwnFolder

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FileStore:
    """
    ``<root>/ab/cd/abcd…``; a file under its name is whole, whatever happened while it was written.

    Files are written beside, fsynced, renamed, and their folder fsynced. What a crash leaves in
    ``<root>/incoming`` belongs to no document; the next process to use the store removes it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._own: OwnFolder | None = None
        self._lock = threading.Lock()

    def put(self, source: Path, sha256: str) -> None:
        """As ``PayloadStore.put``."""
        target = self._path(sha256)
        with _translated():
            if target.is_file() and target.stat().st_size == source.stat().st_size:
                # An earlier put may have died between the rename and the fsync of the folder.
                _sync_folder(target.parent)
                return
            _make_folder(target.parent, self.root)
            part = self._incoming() / f"{sha256}.{secrets.token_hex(8)}"
            try:
                _copy_durably(source, part, sha256)
                part.rename(target)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
            _sync_folder(target.parent)

    def open(self, sha256: str, start: int = 0) -> BinaryIO:
        """As ``PayloadStore.open``."""
        with _translated(sha256):
            stream = self._path(sha256).open("rb")
            stream.seek(start)
            return stream

    def exists(self, sha256: str) -> bool:
        """As ``PayloadStore.exists``."""
        with _translated():
            return self._path(sha256).is_file()

    def size(self, sha256: str) -> int:
        """As ``PayloadStore.size``."""
        with _translated(sha256):
            return self._path(sha256).stat().st_size

    def check(self) -> None:
        """As ``PayloadStore.check``."""
        with _translated():
            probe = self._incoming() / f"check.{secrets.token_hex(8)}"
            try:
                probe.write_bytes(b"\0" * 4096)
            finally:
                probe.unlink(missing_ok=True)

    def _incoming(self) -> Path:
        """Where this process writes; made anew if somebody has cleared it away."""
        with self._lock:
            if self._own is None or not self._own.path.is_dir():
                _make_folder(self.root / "incoming", self.root)
                self._own = OwnFolder(self.root / "incoming")
            return self._own.path

    def _path(self, sha256: str) -> Path:
        name = checked_name(sha256)
        return self.root / name[:2] / name[2:4] / name


@contextlib.contextmanager
def _translated(sha256: str | None = None) -> Iterator[None]:
    """Name what the file system says; a missing file is a missing payload only where one was asked for."""
    try:
        yield
    except OSError as e:
        if e.errno in _FULL:
            raise StorageFull("The payload store has no room left.") from e
        if sha256 is not None and isinstance(e, FileNotFoundError):
            raise PayloadMissing(f"The payload {sha256} is not in the store.") from e
        raise PayloadStoreUnavailable(f"The payload store cannot be used now ({e.strerror}).") from e


def _make_folder(folder: Path, root: Path) -> None:
    """Make a folder and those above it, durably: a file is lost when its folder's entry was."""
    if folder.is_dir():
        return
    if folder != root:
        _make_folder(folder.parent, root)
    folder.mkdir(parents=folder == root, exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows keeps directory entries by itself and cannot open folders
        return
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_durably(source: Path, part: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with source.open("rb") as reader, part.open("xb") as writer:
        while chunk := reader.read(CHUNK_BYTES):
            digest.update(chunk)
            writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    if digest.hexdigest() != sha256:
        raise PayloadMissing("The content to be stored is not what its hash says.")
