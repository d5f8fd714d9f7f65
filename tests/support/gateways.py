"""
Real gateways as processes: set up in a folder of the test, served on a free port, stopped or killed.

``a_gateway(folder)`` prepares one (settings, keys, directory, database), ``.start()`` serves it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.bootstrap import prepare_database
from gateway.cli.founding import make_keys, settings_toml, write_new
from gateway.cli.keys import make_key
from gateway.delivery.agency import AgencyClient, AgencySettings
from gateway.directory import dump_agencies
from gateway.directory.store import DirectoryStore
from gateway.ledger import Ledger, open_engine
from gateway.model import Agency, AgencyCode
from gateway.settings import Settings, load_settings
from gateway.signing.keys import SigningKey

START_SECONDS = 120.0
"""Until a process must answer ``/readyz``; generous, for busy machines."""


def _environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The test's surroundings without any settings of a gateway; coverage goes on in the child when it is on."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
    return own | {"PYTHONUNBUFFERED": "1"} | dict(extra or {})


@dataclass
class RunningGateway:
    """One gateway of a test: its folder, and its process while there is one."""

    folder: Path
    settings: Settings
    port: int = 0
    """Once started; the same after every further start, so that its peers find it again."""
    process: subprocess.Popen[bytes] | None = None
    worker: subprocess.Popen[bytes] | None = None
    """A worker process of its own; see ``start(worker="process")``."""
    program: str = "gateway"
    """The module that is run; ``tests.support.served`` is the same program with the clock of ``pki.NOW``."""
    _keys: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "config" / "gateway.toml"

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What the web process wrote."""
        return self.folder / "serve.log"

    # Processes

    def start(
        self,
        *,
        environment: Mapping[str, str] | None = None,
        worker: str = "thread",
        wait: bool = True,
        processes: int = 1,
    ) -> RunningGateway:
        """
        Serve.

        :param environment: added to that of the process, e.g. ``{"GATEWAY_FAULT": "accept.after_commit"}``.
        :param worker: ``thread`` (as ``gateway serve`` does), ``process`` (one more process) or ``none``.
        :param processes: of the web; more than one are gunicorn's.
        :param wait: until ``/readyz`` answers; False when the process is expected to die at once.
        """
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        arguments = ["serve", "--port", str(self.port), "--port-file", str(port_file), "--processes", str(processes)]
        self.process = self._spawn(
            [*arguments, *(["--no-worker"] if worker != "thread" else [])], environment, self.log
        )
        if wait:
            self.wait_ready(port_file)
        if worker == "process":
            self.start_worker(environment=environment)
        return self

    def start_worker(self, *, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Run a worker process beside it."""
        self.worker = self._spawn(["worker"], environment, self.folder / "worker.log")
        return self.worker

    def _spawn(self, arguments: Sequence[str], environment: Mapping[str, str] | None, log: Path) -> Any:
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", self.program, "--config", str(self.config), *arguments],
                env=_environment(environment),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # so that whatever it starts can be ended with it
            )

    def wait_ready(self, port_file: Path, seconds: float = START_SECONDS) -> None:
        """Until it answers ``/readyz``; shows its log when it does not."""
        deadline = time.monotonic() + seconds
        assert self.process is not None
        while time.monotonic() < deadline and self.process.poll() is None:
            if port_file.exists():
                self.port = int(port_file.read_text())
                if is_ready(self.url):
                    return
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"{self.folder.name} did not become ready:\n{self.log_tail()}")

    def log_tail(self, lines: int = 30) -> str:
        """The end of its log, for failures."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def stop(self, *, seconds: float = 120) -> int:
        """Ask it to end (SIGTERM) and wait; the exit code of the web process."""
        codes = [_end(p, signal.SIGTERM, seconds) for p in (self.worker, self.process) if p is not None]
        self.worker = self.process = None
        return codes[-1] if codes else 0

    def kill(self) -> None:
        """As a power cut would: SIGKILL, nothing is finished."""
        for process in (self.process, self.worker):
            if process is not None:
                _end(process, signal.SIGKILL, 60)
        self.process = self.worker = None

    def wait_for_end(self, *, seconds: float = 120) -> int:
        """Wait until the web process has ended by itself; its exit code (negative: a signal)."""
        assert self.process is not None
        code = self.process.wait(timeout=seconds)
        self.process = None
        return code

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One command of the program on this gateway, in a process."""
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "--config", str(self.config), *arguments],
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    # What a test asks of it

    def ledger(self) -> Ledger:
        """Its ledger, read beside the running process; dispose of ``.engine`` afterwards."""
        return Ledger(open_engine(self.settings.ledger_url))

    def key(self, agency: str) -> str:
        """An API key of an agency, made when first asked for."""
        if agency not in self._keys:
            ledger = self.ledger()
            try:
                issued = make_key(ledger, AgencyCode.normal(agency), now=datetime.now(UTC), by="test")
            finally:
                ledger.engine.dispose()
            self._keys[agency] = issued.token
        return self._keys[agency]

    def client(self, agency: str) -> AgencyClient:
        """An agency's client of it; a context manager."""
        return AgencyClient(AgencySettings(url=self.url, key=self.key(agency)))

    def set_agencies(self, agencies: Sequence[Agency]) -> None:
        """Replace its directory, also while it runs (seen within about a second)."""
        engine = open_engine(self.settings.ledger_url)
        try:
            DirectoryStore(engine).import_agencies(agencies, source="test", now=datetime.now(UTC))
        finally:
            engine.dispose()

    def set_secret(self, name: str, value: str) -> None:
        """Give it a secret that its settings name (``secrets={"name"}``), also while it runs."""
        path = self.folder / "config" / f"{name}.secret"
        path.write_text(value + "\n", encoding="ascii")
        path.chmod(0o600)


def a_gateway(
    folder: Path,
    *,
    code: str,
    agencies: Sequence[Agency],
    first_levels: Sequence[str] = (),
    default_route: str | None = None,
    secrets: Sequence[str] = (),
    ledger_url: str | None = None,
    ca: SigningKey | None = None,
    **sections: Mapping[str, object],
) -> RunningGateway:
    """
    Set up a gateway that is not yet served: settings, keys, database, directory.

    :param secrets: names of secrets that its agencies use; give their values by ``set_secret``.
    :param ledger_url: ``None`` for SQLite in the folder; a PostgreSQL URL of an empty or prepared database.
    :param sections: more settings, e.g. ``delivery={"wait_factor": 0.001}``.
    """
    config = folder / "config" / "gateway.toml"
    own: dict[str, object] = {"code": code, "name": f"Gateway {code}", "first_levels": list(first_levels)}
    if default_route is not None:
        own["default_route"] = default_route
    own["data"] = "../var"
    quick: dict[str, object] = {"poll_seconds": 0.1, "wait_factor": 0.01, "connect_timeout_seconds": 2}
    content: dict[str, Mapping[str, object]] = {
        "gateway": own,
        **({"ledger": {"url": ledger_url}} if ledger_url else {}),
        **{name: dict(values) for name, values in sections.items()},
        "delivery": quick | dict(sections.get("delivery", {})),
        **{f"secrets.{name}": {"file": f"{name}.secret"} for name in secrets},
    }
    write_new(config, settings_toml(content))
    write_new(config.with_name("agencies.toml"), dump_agencies(agencies))
    settings = load_settings(config)
    now = datetime.now(UTC)
    make_keys(settings, at=now, ca=ca)
    prepare_database(settings, now=now)
    return RunningGateway(folder=folder, settings=settings)


def start_gateway(folder: Path, *, environment: Mapping[str, str] | None = None, **wanted: Any) -> RunningGateway:
    """``a_gateway`` and ``start`` in one."""
    return a_gateway(folder, **wanted).start(environment=environment)


def is_ready(url: str) -> bool:
    """Whether a gateway says that it can accept documents."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _end(process: subprocess.Popen[bytes], how: signal.Signals, seconds: float) -> int:
    with suppress(ProcessLookupError):
        if how is signal.SIGKILL and os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, how)
        else:
            process.send_signal(how)
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=60)
        raise AssertionError(f"process {process.pid} did not end within {seconds} s") from None
