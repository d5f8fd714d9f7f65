"""Searching all files of one package, with one bound on time, and a pause after the scanner has failed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
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
        at_once: int = 4,
        turn: timedelta = timedelta(seconds=2),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Join the parts.

        :param timeout: for all files of one package together.
        :param max_bytes: of one file; clamd's own bound is ``StreamMaxLength``.
        :param pause: after clamd was not there, nobody waits for it anew for so long, and then one alone tries.
        :param at_once: packages searched at the same time; with fewer than there are threads of the web server, some
            of these are free whatever becomes of clamd.
        :param turn: how long the others wait to be among them; then theirs counts as not searched.
        """
        self.clamd = clamd
        self.timeout = timeout
        self._max_bytes = max_bytes
        self._pause = pause.total_seconds()
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._away_until: float | None = None
        self._places = threading.BoundedSemaphore(at_once)
        self._turn = turn.total_seconds()
        self._version: tuple[float, str] | None = None

    def takes(self, size: int) -> bool:
        """Whether a file of so many bytes is searched at all; clamd may have a narrower bound."""
        return size <= self._max_bytes

    def scan(self, files: Iterable[File]) -> Scanned:
        """
        Search files, in their order, until something is found.

        :raises MalwareFound: naming the file and the malware.
        :raises TooLargeToScan: a file is larger than is searched, and nothing was found in those that could be.
        :raises ScanFailed: clamd gave no answer about a file; nothing is known of it and those after it.
        """
        with self._place():
            self._still_away()
            try:
                done = self._search(files, Deadline.after(self.timeout))
            except ScannerUnreachable:
                # One that is alive had too much to do with these files, which is nothing against those of others.
                self._note(away=not self.clamd.is_there())
                raise
            except (MalwareFound, ScanFailed):
                self._note(away=False)
                raise
            self._note(away=False)
            return done

    def _search(self, files: Iterable[File], deadline: Deadline) -> Scanned:
        too_large: TooLargeToScan | None = None
        count = 0
        for file in files:
            try:
                self._scan(file, deadline)
                count += 1
            except TooLargeToScan as error:
                too_large = too_large or error
        if too_large is not None:
            raise too_large
        return Scanned(files=count, scanner=self._named(deadline))

    def _scan(self, file: File, deadline: Deadline) -> None:
        if not self.takes(file.size):
            raise TooLargeToScan(f"{TooLargeToScan.en()} ({file.size} bytes)")
        with file.open() as content:
            found = self.clamd.find(content, deadline=deadline)
        if found is not None:
            raise MalwareFound(f"{MalwareFound.en()} ({file.name}: {found})", file=file.name, malware=found)

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=self._turn):
            raise ScannerUnreachable("The malware scanner is busy with other packages.")
        try:
            yield
        finally:
            self._places.release()

    def _still_away(self) -> None:
        with self._guard:
            now, away = self._monotonic(), self._away_until
            if away is None:
                return
            if now >= away:
                # This one finds out for all; the others go on without until it knows.
                self._away_until = now + self.timeout.total_seconds() + self._pause
                return
        raise ScannerUnreachable("The malware scanner failed a moment ago, and is not asked again yet.")

    def _note(self, *, away: bool) -> None:
        with self._guard:
            self._away_until = self._monotonic() + self._pause if away else None

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
