"""The demo's child processes: started together, their logs in files, all gone at the end."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.cli.demo.patience import Patience
from gateway.errors import OperatorError

_END_SECONDS = 10


@dataclass
class Children:
    """A context manager: leaving it ends all processes."""

    folder: Path
    """Where their logs go."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.terminate()
        deadline = time.monotonic() + _END_SECONDS
        for process in self.processes.values():
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, name: str, arguments: Sequence[str]) -> None:
        """Start our own program (``-m …``) as a process."""
        # A setting of the person's own gateway must not leak into those of the demo.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
        with self.log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(  # noqa: S603 - our own interpreter, our own arguments
                [sys.executable, "-m", *arguments],
                env=environment | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def log(self, name: str) -> Path:
        """The log of a process."""
        return self.folder / f"{name}.log"

    def tail(self, name: str, lines: int = 6) -> list[str]:
        """The end of its log."""
        path = self.log(name)
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return text.splitlines()[-lines:]

    def wait_ready(self, ports: Mapping[str, tuple[int, str]], patience: Patience) -> None:
        """
        Wait until every process answers.

        :param ports: name → port and path to ask.
        :raises OperatorError: one has ended, or none more begins to answer.
        """
        for name, (port, path) in ports.items():
            while not _answers(port, path):
                if self.processes[name].poll() is not None:
                    raise OperatorError(f"{name} has ended: see {self.log(name)}.")
                if patience.over:
                    raise OperatorError(f"{name} does not answer: see {self.log(name)}.")
                time.sleep(0.1)
            patience.see(("ready", name))


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
