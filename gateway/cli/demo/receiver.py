"""
The department's own system, as a process: a small HTTP receiver of pushed packages.

It believes nobody without the signature that Standard Webhooks prescribe, stores a package once
whatever number of times it comes, and answers 2xx only after it is stored.

    python -m gateway.cli.demo.receiver PORT SECRET_FILE FOLDER
"""

from __future__ import annotations

import hmac
import os
import re
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

from gateway.delivery.push import read_secrets, signature

_ID = re.compile(r"[0-9a-f-]{36}")
_TOLERANCE_SECONDS = 300
_LARGEST = 300 * 1024 * 1024


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        """Take one package."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _LARGEST:
            self._answer(411 if not length else 413)
            return
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            self.close_connection = True
            return
        self._answer(self.server.take(self.headers.get, body))

    def do_GET(self) -> None:
        """It is up."""
        self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """One line per request to the process's log."""
        sys.stdout.write(f"{self.log_date_time_string()} {format % args}\n")
        sys.stdout.flush()


class Receiver(ThreadingHTTPServer):
    """Verifies and stores."""

    daemon_threads = True

    def __init__(self, port: int, secret: str, folder: Path) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self._keys = read_secrets(secret)
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, header: object, body: bytes) -> int:
        """Store a package; the HTTP status to answer."""
        assert callable(header)
        webhook_id = str(header("webhook-id"))
        timestamp = str(header("webhook-timestamp"))
        if not _ID.fullmatch(webhook_id) or not timestamp.isdigit():
            return 400
        if abs(time.time() - int(timestamp)) > _TOLERANCE_SECONDS:
            return 401
        expected = signature(self._keys, webhook_id=webhook_id, timestamp=int(timestamp), body=body).split()
        given = str(header("webhook-signature")).split()
        if not any(hmac.compare_digest(e, g) for e in expected for g in given):
            return 401
        self._store(f"{webhook_id}.edxml", body)
        return 204

    def _store(self, name: str, body: bytes) -> None:
        path = self._folder / name
        if path.exists():
            return  # It came before; the answer was lost.
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)


def main(port: str, secret_file: str, folder: str) -> None:
    """Receive until SIGTERM."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with Receiver(int(port), Path(secret_file).read_text(encoding="ascii"), Path(folder)) as receiver:
        receiver.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
