"""``gateway serve`` and ``gateway worker``: the programs that run all the time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import click
import structlog

from gateway.bootstrap import Gateway, join, make_app, prepare_database, run_worker
from gateway.cli import exits
from gateway.cli.command import command, option
from gateway.cli.server import DRAIN_SECONDS, HEADER_BYTES, Patience, Serving, WebServer
from gateway.cli.shell import Shell
from gateway.cli.signals import Signals
from gateway.cli.words import Text
from gateway.clock import utc_now
from gateway.errors import GatewayError, SettingsInvalid
from gateway.logs import configure_logging
from gateway.settings import Settings, settings_path

_log = structlog.get_logger()


class Working:
    """The delivery worker in a thread of its own."""

    def __init__(self, gateway: Gateway, name: str | None = None) -> None:
        self._gateway = gateway
        self._stop = threading.Event()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, args=(name,), name="worker", daemon=True)

    def start(self) -> None:
        """Deliver what is due."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is under way, give back the rest."""
        self._stop.set()
        self._gateway.waker()
        self._thread.join(timeout=self._gateway.settings.delivery.read_timeout_seconds + DRAIN_SECONDS)

    @property
    def is_alive(self) -> bool:
        """False when it has ended by itself, which it never should."""
        return self._thread.is_alive()

    def _work(self, name: str | None) -> None:
        try:
            run_worker(self._gateway, self._stop, name)
        except GatewayError as error:
            # The process ends with it, and whoever supervises the process starts it again.
            _log.error("worker failed", action="worker.failed", code=error.code, detail=error.detail)


@command(
    "serve",
    Text(
        """Chạy trục: nâng cấp cơ sở dữ liệu, phục vụ API và trang điều hành, chuyển văn bản.
SIGTERM hoặc Ctrl-C: hoàn tất việc đang làm rồi kết thúc.""",
        """Run the gateway: upgrade the database, serve API and console, deliver documents.
SIGTERM or Ctrl-C: finish what is under way, then end.""",
    ),
    examples="""\
gateway serve
gateway serve --host 0.0.0.0 --port 8080
gateway serve --port 0 --port-file /run/gateway.port    # any free port
gateway serve --processes 4                             # gunicorn and a worker; PostgreSQL advised""",
)
@option("--host", words=Text("Địa chỉ lắng nghe; mặc định theo cấu hình.", "Address; by default the settings'."))
@option(
    "--port",
    type=click.IntRange(0, 65535),
    words=Text("Cổng; 0: bất kỳ cổng trống.", "Port; 0 takes any free one."),
)
@option(
    "--port-file",
    type=click.Path(dir_okay=False, path_type=Path),
    words=Text("Ghi cổng đang dùng vào tệp này.", "Write the port in use to this file."),
)
@option("--no-worker", is_flag=True, words=Text("Không chạy bộ chuyển.", "Do not deliver; `gateway worker` does."))
@option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    words=Text("Số tiến trình web (gunicorn), thêm một bộ chuyển.", "Web processes (gunicorn), plus one worker."),
)
def serve(
    shell: Shell, *, host: str | None, port: int | None, port_file: Path | None, no_worker: bool, processes: int
) -> int:
    """Serve and deliver until told to stop."""
    settings = shell.settings()
    configure_logging(settings.log.level, settings.log.format)
    prepare_database(settings, now=utc_now())
    listen = (host or settings.web.host, settings.web.port if port is None else port)
    if processes > 1:
        return _serve_with_gunicorn(shell, settings, listen, processes, port_file=port_file, worker=not no_worker)
    return _serve_here(settings, listen, port_file=port_file, worker=not no_worker)


def _serve_here(settings: Settings, listen: tuple[str, int], *, port_file: Path | None, worker: bool) -> int:
    gateway = join(settings)
    server = WebServer(*listen, make_app(gateway), threads=settings.web.threads, patience=Patience())
    if settings.web.tls_certificate is not None and settings.web.tls_key is not None:
        server.use_tls(settings.beside(settings.web.tls_certificate), settings.beside(settings.web.tls_key))
    try:
        server.prepare()
    except OSError as e:
        raise _cannot_listen(listen, e) from e
    parts: list[Serving | Working] = [Serving(server)]
    if worker:
        parts.append(Working(gateway))
    with Signals() as signals:
        for part in parts:
            part.start()
        _listening(listen[0], server.port, port_file)
        failed = _wait(signals.stop, lambda: all(part.is_alive for part in parts))
        _log.info("stopping", action="server.stopping")
        # Requests first: what they accept while they end is still delivered, now or after the next start.
        for part in parts:
            part.stop()
    gateway.ledger.engine.dispose()
    _log.info("stopped", action="server.stopped")
    return exits.FAILED if failed else exits.DONE


def _wait(stop: threading.Event, is_well: Callable[[], bool]) -> bool:
    """Wait to be told to stop; True when something ended by itself instead."""
    while not stop.wait(0.5):
        if not is_well():
            return True
    return False


def _listening(host: str, port: int, port_file: Path | None) -> None:
    _log.info("listening", action="server.listening", host=host, port=port, pid=os.getpid())
    if port_file is not None:
        # Whoever waits for the file must never read half of it.
        part = port_file.with_name(port_file.name + ".part")
        part.write_text(f"{port}\n", encoding="ascii")
        part.replace(port_file)


def _cannot_listen(listen: tuple[str, int], error: OSError) -> SettingsInvalid:
    return SettingsInvalid(f"Cannot listen on {listen[0]}:{listen[1]}: {error.strerror or error}.", path="web.port")


# Several processes


def _serve_with_gunicorn(
    shell: Shell, settings: Settings, listen: tuple[str, int], processes: int, *, port_file: Path | None, worker: bool
) -> int:
    if settings.ledger_url.startswith("sqlite"):
        shell.note(
            Text(
                "Chú ý: nhiều tiến trình cùng ghi một tệp SQLite phải chờ nhau; nên dùng PostgreSQL ([ledger] url).",
                "Note: several processes writing one SQLite file wait for each other; PostgreSQL is advised.",
            )
        )
    try:
        family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
        listener = socket.create_server(listen, family=family, backlog=1024)
    except OSError as e:
        raise _cannot_listen(listen, e) from e
    environment = os.environ | {"GATEWAY_CONFIG": str(settings_path(shell.config))}
    with listener, Signals() as signals:
        children = [
            subprocess.Popen(  # noqa: S603 - our own interpreter, our own arguments
                _gunicorn(settings, listener.fileno(), processes), env=environment, pass_fds=[listener.fileno()]
            )
        ]
        if worker:
            children.append(subprocess.Popen([sys.executable, "-m", "gateway", "worker"], env=environment))
        _listening(listen[0], listener.getsockname()[1], port_file)
        failed = _wait(signals.stop, lambda: all(child.poll() is None for child in children))
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(timeout=settings.delivery.read_timeout_seconds + 2 * DRAIN_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                failed = True
    return exits.FAILED if failed else exits.DONE


def _gunicorn(settings: Settings, descriptor: int, processes: int) -> list[str]:
    arguments = {
        "--bind": f"fd://{descriptor}",
        "--worker-class": "gthread",
        "--workers": str(processes),
        "--threads": str(settings.web.threads),
        "--graceful-timeout": str(DRAIN_SECONDS),
        "--timeout": "120",
        "--keep-alive": "20",
        "--backlog": "1024",
        "--log-level": "warning",
        # The kit signs all of its headers in one of them.
        "--limit-request-field_size": str(HEADER_BYTES),
    }
    if settings.web.tls_certificate is not None and settings.web.tls_key is not None:
        arguments["--certfile"] = str(settings.beside(settings.web.tls_certificate))
        arguments["--keyfile"] = str(settings.beside(settings.web.tls_key))
    flat = [word for pair in arguments.items() for word in pair]
    return [sys.executable, "-m", "gunicorn", *flat, "gateway.wsgi:app"]


# The worker alone


@command(
    "worker",
    Text(
        "Chỉ chạy bộ chuyển, cạnh các tiến trình web. Có thể chạy nhiều bộ trên cùng một cơ sở dữ liệu.",
        "Run the delivery worker alone, beside web processes. Several may share one database.",
    ),
    examples="gateway worker\ngateway worker --name kho-du-phong",
)
@option("--name", words=Text("Tên ghi trong sổ; mặc định tự đặt.", "Its name in the ledger; by default made up."))
def worker(shell: Shell, *, name: str | None) -> int:
    """Deliver until told to stop."""
    settings = shell.settings()
    configure_logging(settings.log.level, settings.log.format)
    gateway = join(settings)
    working = Working(gateway, name)
    with Signals() as signals:
        working.start()
        failed = _wait(signals.stop, lambda: working.is_alive)
        working.stop()
    gateway.ledger.engine.dispose()
    return exits.FAILED if failed else exits.DONE
