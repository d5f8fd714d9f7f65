"""
ClamAV's daemon over its socket: one file, one connection, one answer, within a bounded time.

Written here because the packaged client is of 2014: it has no deadline, holds the file in memory, and cannot tell
"too large" from a broken connection. The protocol is four commands (man 8 clamd).
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from gateway.errors import ScanFailed, ScannerAnswerUnusable, ScannerUnreachable, SettingsInvalid, TooLargeToScan

_CHUNK = 64 * 1024
"""Bytes. What is sent between two looks at whether clamd has answered already."""
_LONGEST_ANSWER = 4096
"""Bytes; names of signatures are far shorter."""
_TCP = re.compile(r"tcp:(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]/]+)):(?P<port>[0-9]{1,5})")
_FOUND = re.compile(r"stream: (?P<name>.{1,500}) FOUND")
_TOO_LARGE = re.compile(r"(stream: )?INSTREAM[: ]+size limit exceeded\.?( ERROR)?", re.IGNORECASE)
_BEYOND_LIMITS = "Heuristics.Limits.Exceeded"
"""What clamd calls a find when it has stopped looking, where ``AlertExceedsMax`` is on: nothing was found."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where clamd listens."""

    path: Path | None = None
    """Of a Unix socket."""
    host: str | None = None
    port: int = 3310

    @classmethod
    def parse(cls, text: str) -> Address:
        """
        The address in ``unix:/run/clamav/clamd.ctl`` or ``tcp:127.0.0.1:3310``.

        :raises SettingsInvalid: it is neither.
        """
        if text.startswith("unix:/"):
            return cls(path=Path(text.removeprefix("unix:")))
        found = _TCP.fullmatch(text)
        if found is None or not 0 < int(found["port"]) <= 65_535:
            raise SettingsInvalid(
                f"scanning.clamd: {text!r} is neither unix:/path nor tcp:host:port.", path="scanning.clamd"
            )
        return cls(host=found["v6"] or found["host"], port=int(found["port"]))


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """The end of what may take so long in all."""

    at: float
    """Of the monotonic clock, seconds."""

    @classmethod
    def after(cls, span: timedelta) -> Deadline:
        """From now."""
        return cls(at=time.monotonic() + span.total_seconds())

    @property
    def left(self) -> float:
        """
        Seconds until then.

        :raises ScannerUnreachable: it is over.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise ScannerUnreachable("The malware scanner did not answer in time.")
        return left


class Clamd:
    """A daemon at an address. Holds nothing between two calls, so that threads may share it."""

    def __init__(self, address: Address, *, connect_timeout: timedelta = timedelta(seconds=3)) -> None:
        self._address = address
        self._connect_timeout = connect_timeout

    def find(self, content: BinaryIO, *, deadline: Deadline) -> str | None:
        """
        Have one file searched.

        :param content: read once, from where it stands.
        :return: clamd's name of what it found; ``None``: nothing.
        :raises TooLargeToScan: it is larger than clamd takes, or than it looks into.
        :raises ScannerUnreachable: no connection, a broken one, or the time is over.
        :raises ScannerAnswerUnusable: an error of clamd, or another protocol.
        """
        with self._connected(deadline) as connection:
            _send(connection, b"zINSTREAM\0", deadline)
            answer = _stream(connection, content, deadline)
        if answer == "stream: OK":
            return None
        if _TOO_LARGE.fullmatch(answer):
            raise TooLargeToScan
        found = _FOUND.fullmatch(answer)
        if found is None:
            raise ScannerAnswerUnusable(f"The malware scanner answered: {_shown(answer)}")
        if found["name"].startswith(_BEYOND_LIMITS):
            raise TooLargeToScan("The malware scanner did not look into the whole file: it exceeds its limits.")
        return _shown(found["name"])

    def version(self, *, deadline: Deadline) -> str:
        """
        What it calls itself and its signatures: ``ClamAV 1.4.3/27600/Sat Nov 21 …``.

        :raises ScannerUnreachable, ScannerAnswerUnusable: as ``find``.
        """
        with self._connected(deadline) as connection:
            _send(connection, b"zVERSION\0", deadline)
            answer = _answer(connection, deadline)
        if not answer.startswith("ClamAV "):
            raise ScannerAnswerUnusable(f"The malware scanner answered: {_shown(answer)}")
        return _shown(answer)

    def is_there(self, *, within: timedelta = timedelta(seconds=1)) -> bool:
        """Whether it answers at all; one that is at work on a slow file does so at once."""
        deadline = Deadline.after(within)
        try:
            with self._connected(deadline) as connection:
                _send(connection, b"zPING\0", deadline)
                return _answer(connection, deadline) == "PONG"
        except ScanFailed:
            return False

    @contextlib.contextmanager
    def _connected(self, deadline: Deadline) -> Iterator[socket.socket]:
        timeout = min(self._connect_timeout.total_seconds(), deadline.left)
        try:
            if self._address.path is not None:
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                try:
                    connection.settimeout(timeout)
                    connection.connect(str(self._address.path))
                except OSError:
                    connection.close()
                    raise
            else:
                connection = socket.create_connection((self._address.host, self._address.port), timeout=timeout)
        except OSError as e:
            raise ScannerUnreachable(f"The malware scanner cannot be reached ({type(e).__name__}).") from e
        with connection:
            yield connection


def _send(connection: socket.socket, data: bytes, deadline: Deadline) -> None:
    connection.settimeout(deadline.left)
    try:
        connection.sendall(data)
    except OSError as e:
        raise ScannerUnreachable(f"The malware scanner broke the connection ({type(e).__name__}).") from e


def _stream(connection: socket.socket, content: BinaryIO, deadline: Deadline) -> str:
    """
    Hand over the whole file and take the answer, which comes before the end when the file is too large.

    Who goes on sending then is cut off, and may lose the answer with the connection.
    """
    look = select.poll()
    look.register(connection, select.POLLIN)
    while chunk := content.read(_CHUNK):
        if look.poll(0):
            return _answer(connection, deadline)
        try:
            _send(connection, struct.pack("!I", len(chunk)) + chunk, deadline)
        except ScannerUnreachable:
            if look.poll(0):  # what it said before it hung up
                return _answer(connection, deadline)
            raise
    _send(connection, struct.pack("!I", 0), deadline)
    return _answer(connection, deadline)


def _answer(connection: socket.socket, deadline: Deadline) -> str:
    """One answer, which ends with a NUL: one that was cut off could say anything."""
    answer = b""
    while not answer.endswith(b"\0"):
        connection.settimeout(deadline.left)
        try:
            more = connection.recv(_LONGEST_ANSWER)
        except OSError as e:
            raise ScannerUnreachable(f"The malware scanner broke the connection ({type(e).__name__}).") from e
        if not more:
            raise ScannerUnreachable("The malware scanner broke the connection before it had answered.")
        answer += more
        if len(answer) > _LONGEST_ANSWER:
            raise ScannerAnswerUnusable("The malware scanner answered at length.")
    return answer[:-1].decode("utf-8", errors="replace")


def _shown(answer: str) -> str:
    """An answer as it may be shown and logged."""
    return "".join(c if c.isprintable() else "?" for c in answer[:200])
