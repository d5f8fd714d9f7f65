"""Searching all files of one package, with one bound on time, and a pause after the scanner has failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO

from gateway.errors import MalwareFound, ScanFailed, ScannerUnreachable, TooLargeToScan
from gateway.scanning.clamd import Clamd, Deadline

_VERSION_IS_FRESH = 600.0
"""Seconds. ClamAV's signatures change a few times a day."""


@dataclass(frozen=True, kw_only=True)
class File:
    """One file to be searched."""

    name: str
    """As sent; only repeated in the finding."""
    size: int
    """Bytes."""
    open: Callable[[], AbstractContextManager[BinaryIO]]
    """A new reader of its content."""


@dataclass(frozen=True, kw_only=True)
class Scanned:
    """Nothing was found."""

    files: int
    """How many were searched."""
    scanner: str | None
    """Its own words for itself and its signatures; ``None``: it did not say."""


class Scanner:
    """What acceptance and the job ask. Safe for several threads."""

    def __init__(
        self,
        clamd: Clamd,
        *,
        timeout: timedelta,
        max_bytes: int,
        pause: timedelta = timedelta(seconds=15),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Join the parts.

        :param timeout: for all files of one package together.
        :param max_bytes: of one file; clamd's own bound is ``StreamMaxLength``.
        :param pause: after clamd was not there or too slow, nobody waits for it anew for so long; so a scanner that
            hangs costs one request its timeout and not every request.
        """
        self.clamd = clamd
        self.timeout = timeout
        self._max_bytes = max_bytes
        self._pause = pause.total_seconds()
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._away_until: float | None = None
        self._version: tuple[float, str] | None = None

    def scan(self, files: Iterable[File]) -> Scanned:
        """
        Search files, in their order, until something is found.

        :raises MalwareFound: naming the file and the malware.
        :raises TooLargeToScan: a file is larger than is searched, and nothing was found in those that could be.
        :raises ScanFailed: clamd gave no answer about a file; nothing is known of it and those after it.
        """
        self._still_away()
        deadline = Deadline.after(self.timeout)
        too_large: TooLargeToScan | None = None
        count = 0
        try:
            for file in files:
                try:
                    self._scan(file, deadline)
                    count += 1
                except TooLargeToScan as error:
                    too_large = too_large or error
            version = self._named(deadline) if too_large is None else None
        except ScannerUnreachable:
            self._away()
            raise
        if too_large is not None:
            raise too_large
        return Scanned(files=count, scanner=version)

    def _scan(self, file: File, deadline: Deadline) -> None:
        if file.size > self._max_bytes:
            raise TooLargeToScan(f"{TooLargeToScan.en()} ({file.size} bytes)")
        with file.open() as content:
            found = self.clamd.find(content, deadline=deadline)
        if found is not None:
            raise MalwareFound(f"{MalwareFound.en()} ({file.name}: {found})", file=file.name, malware=found)

    def _still_away(self) -> None:
        with self._guard:
            away = self._away_until
            if away is None or self._monotonic() >= away:
                return
        raise ScannerUnreachable("The malware scanner failed a moment ago, and is not asked again yet.")

    def _away(self) -> None:
        with self._guard:
            self._away_until = self._monotonic() + self._pause

    def _named(self, deadline: Deadline) -> str | None:
        """The version, asked for now and then; that it is not to be had spoils no scan."""
        now = self._monotonic()
        with self._guard:
            if self._version is not None and now - self._version[0] < _VERSION_IS_FRESH:
                return self._version[1]
        try:
            version = self.clamd.version(deadline=deadline)
        except ScanFailed:
            return None
        with self._guard:
            self._version = (now, version)
        return version
