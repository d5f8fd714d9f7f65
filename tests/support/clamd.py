"""The real clamd with signatures of our own, and a peer that does to its clients what clamd does on bad days."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.errors import ScanFailed
from gateway.scanning import Address, Clamd, Scanner
from gateway.scanning.clamd import Deadline
from tests.support.programs import program

MALWARE = b"%PDF-1.7 a file that the tests take for malware; it does no harm\n" * 40
MALWARE_NAME = "Thu.Nghiem-1"
STREAM_MAX = 1024 * 1024
"""Bytes. What the real clamd of the tests takes."""


@contextlib.contextmanager
def running_clamd() -> Iterator[Address]:
    """The real daemon on a socket of its own; it knows one signature, the hash of ``MALWARE``."""
    with tempfile.TemporaryDirectory(prefix="clamd-") as name:
        folder = Path(name)
        (folder / "db").mkdir()
        signature = f"{hashlib.md5(MALWARE, usedforsecurity=False).hexdigest()}:{len(MALWARE)}:{MALWARE_NAME}\n"
        (folder / "db" / "test.hdb").write_text(signature, encoding="ascii")
        path = folder / "clamd.ctl"
        settings = folder / "clamd.conf"
        settings.write_text(
            f"LocalSocket {path}\nDatabaseDirectory {folder / 'db'}\nForeground yes\nTemporaryDirectory {folder}\n"
            f"StreamMaxLength {STREAM_MAX}\nMaxThreads 4\nLogFile {folder / 'clamd.log'}\n",
            encoding="utf-8",
        )
        found = program("clamd")
        assert found is not None
        with subprocess.Popen(
            [found, f"--config-file={settings}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                _wait_for(Clamd(Address(path=path)), process)
                yield Address(path=path)
            finally:
                process.kill()


def _wait_for(clamd: Clamd, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            clamd.version(deadline=Deadline.after(timedelta(seconds=5)))
        except ScanFailed:
            assert process.poll() is None, "clamd ended by itself"
            assert time.monotonic() < until, "clamd does not answer"
            time.sleep(0.05)
        else:
            return


def scanner(address: Address, **options: Any) -> Scanner:
    """A client as the gateway has it."""
    usual: dict[str, Any] = {"timeout": timedelta(seconds=20), "max_bytes": 25 * 1024 * 1024}
    return Scanner(Clamd(address), **(usual | options))


# A peer that misbehaves


@dataclass
class Fault:
    """What the peer does to one connection."""

    answer: bytes | None = b"stream: OK\0"
    """``None``: none, and it hangs up."""
    after: int | None = None
    """Answers when so many bytes of the file have come, and hangs up; ``None``: at its end."""
    silent: bool = False
    """Keeps the connection and says nothing."""
    deaf: bool = False
    """Does not even read."""
    alive: bool = False
    """Answers a ``PING`` all the same, as one does that is at work on a file."""


@dataclass
class FakeClamd:
    """Listens on the loopback and answers ``INSTREAM`` as told; counts its connections and keeps what it read."""

    fault: Fault = field(default_factory=Fault)
    connections: int = 0
    files: list[bytes] = field(default_factory=list)
    version: bytes = b"ClamAV 1.4.3/27600/Sat Nov 21 09:00:00 2026\0"
    _open: list[socket.socket] = field(default_factory=list)

    @contextlib.contextmanager
    def listening(self) -> Iterator[Address]:
        """Serve for as long as the block lasts."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=self._serve, args=(listener,), daemon=True)
            thread.start()
            try:
                yield Address(host="127.0.0.1", port=listener.getsockname()[1])
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                for connection in self._open:
                    connection.close()
                thread.join(5)

    def _serve(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.connections += 1
                self._open.append(connection)
                with contextlib.suppress(OSError):
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        if self.fault.deaf:
            return
        command = _exactly(connection, 10)
        if command == b"zPING\0":
            if self.fault.alive:
                connection.sendall(b"PONG\0")
                connection.close()
            return
        if command == b"zVERSION\0":
            connection.sendall(self.version)
            connection.close()
            return
        self.files.append(_file(connection, self.fault.after))
        if self.fault.silent:
            return
        if self.fault.answer is not None:
            connection.sendall(self.fault.answer)
        connection.close()


def _exactly(connection: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size and not read.endswith(b"\0"):
        read += connection.recv(size - len(read))
    return read


def _file(connection: socket.socket, limit: int | None) -> bytes:
    content = b""
    with connection.makefile("rb") as stream:
        # Shorter at its end, when the client has had enough.
        while len(head := stream.read(4)) == 4 and (size := struct.unpack("!I", head)[0]):
            content += stream.read(size)
            if limit is not None and len(content) >= limit:
                break
    return content
