"""ZIPs: an Office file, or an archive that is looked into; every bound is kept while unpacking."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from gateway.signing.files.limits import FileLimits
from gateway.signing.files.reasons import FileReason
from gateway.signing.files.verdicts import Unreadable

_EOCD = b"PK\x05\x06"
_EOCD_SIZE = 22
_DIRECTORY_MAX = 1024 * 1024
"""Bytes of the central directory; zipfile makes an object of each of its entries."""
_PIECE = 64 * 1024
_RATIO_FLOOR = 1024 * 1024
_NAME_MAX = 255
_SAYS_UTF8 = 0x800
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError, OSError, KeyError)


@dataclass
class Budget:
    """What may still be unpacked of one attached file; shared by the archives inside it."""

    members: int
    bytes: int

    def take(self, size: int) -> None:
        """:raises Unreadable: it is used up."""
        self.bytes -= size
        if self.bytes < 0:
            raise Unreadable(FileReason.TOO_LARGE)


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file inside an archive."""

    path: str
    """As written there, shortened; never used as a path."""
    entry: zipfile.ZipInfo


class Archive:
    """The files of a ZIP, listed, and unpacked one by one."""

    def __init__(self, source: BinaryIO, *, limits: FileLimits, budget: Budget) -> None:
        """:raises Unreadable: it is broken, or its directory is too large."""
        self._limits = limits
        self._budget = budget
        _check_directory(source)
        source.seek(0)
        try:
            self._zip = zipfile.ZipFile(source)
            self._entries = [e for e in self._zip.infolist() if not e.is_dir()]
        except _BROKEN as e:
            raise Unreadable(FileReason.BROKEN) from e

    @property
    def names(self) -> list[str]:
        """Of all files, as written."""
        return [e.filename for e in self._entries]

    def members(self, *, too_deep: bool) -> list[Member]:
        """
        The files to be looked at.

        :param too_deep: whether it lies in too many other archives to be looked into.
        :raises Unreadable: it does, or there are more files than are looked at.
        """
        if too_deep or len(self._entries) > self._budget.members:
            raise Unreadable(FileReason.TOO_LARGE)
        self._budget.members -= len(self._entries)
        return [Member(path=_name(e)[:_NAME_MAX], entry=e) for e in self._entries]

    def part(self, name: str, largest: int) -> bytes:
        """
        The bytes of the file of that name.

        :raises Unreadable: see :meth:`open`.
        """
        entry = next(e for e in self._entries if e.filename == name)
        return self._unpacked(entry, min(largest, self._limits.member_bytes)).getvalue()

    def open(self, member: Member) -> BinaryIO:
        """
        One file, unpacked into memory.

        :raises Unreadable: it is broken, encrypted, or unpacks to more than the limits allow.
        """
        return self._unpacked(member.entry, self._limits.member_bytes)

    def _unpacked(self, entry: zipfile.ZipInfo, largest: int) -> io.BytesIO:
        if entry.flag_bits & 1:
            raise Unreadable(FileReason.ENCRYPTED)
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unreadable(FileReason.BROKEN)
        allowed = min(largest, max(_RATIO_FLOOR, self._limits.unpacked_ratio * entry.compress_size))
        made = io.BytesIO()
        try:
            with self._zip.open(entry) as packed:
                while piece := packed.read(_PIECE):
                    self._budget.take(len(piece))
                    made.write(piece)
                    if made.tell() > allowed:
                        raise Unreadable(FileReason.TOO_LARGE)
        except _BROKEN as e:
            raise Unreadable(FileReason.BROKEN) from e
        made.seek(0)
        return made


def _name(entry: zipfile.ZipInfo) -> str:
    """As its maker meant it: many write UTF-8 without saying so, which is read as the letters of 1981's PCs."""
    if entry.flag_bits & _SAYS_UTF8:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def _check_directory(source: BinaryIO) -> None:
    size = source.seek(0, io.SEEK_END)
    source.seek(max(0, size - _EOCD_SIZE - 0xFFFF))
    tail = source.read()
    at = tail.rfind(_EOCD)
    if at < 0 or len(tail) - at < _EOCD_SIZE:
        raise Unreadable(FileReason.BROKEN)
    if int.from_bytes(tail[at + 12 : at + 16], "little") > _DIRECTORY_MAX:
        raise Unreadable(FileReason.TOO_LARGE)
