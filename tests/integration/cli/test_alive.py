"""Supervisors learn whether the gateway runs, and can stop it at any moment, also as a container's first process."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli.root import root
from gateway.cli.server import Patience, Serving, WebServer
from gateway.signing.keys import certificates_to_pem, key_to_pem
from tests.support import pki
from tests.support.programs import needs, program

_SETTINGS = '[gateway]\ncode = "000.00.00.H37"\nname = "Lạng Sơn"\nfirst_levels = ["H37"]\n\n[web]\n'


def _application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    found = environ["PATH_INFO"] == "/healthz"
    start_response("200 OK" if found else "404 Not Found", [("Content-Length", "0")])
    return []


def _broken(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("500 Internal Server Error", [("Content-Length", "0")])
    return []


@contextmanager
def _served(application: Any, tls: tuple[Path, Path] | None = None) -> Iterator[int]:
    server = WebServer("127.0.0.1", 0, application, threads=2, patience=Patience())
    if tls is not None:
        server.use_tls(*tls)
    server.prepare()
    serving = Serving(server)
    serving.start()
    try:
        yield server.port
    finally:
        serving.stop()


def _asked(folder: Path, web: str, *arguments: str) -> Result:
    config = folder / "gateway.toml"
    config.write_text(_SETTINGS + web, encoding="utf-8")
    return CliRunner().invoke(root, ["--lang", "en", "--config", str(config), "alive", *arguments])


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", ""])
def test_a_gateway_that_answers_is_alive(tmp_path: Path, host: str) -> None:
    with _served(_application) as port:
        done = _asked(tmp_path, f'host = "{host}"\nport = {port}\n')
    assert (done.exit_code, done.output) == (0, "The gateway runs.\n")


def test_the_command_line_wins_over_the_settings(tmp_path: Path) -> None:
    with _served(_application) as port:
        assert _asked(tmp_path, 'host = "192.0.2.1"\n', "--host", "127.0.0.1", "--port", str(port)).exit_code == 0


def test_a_gateway_behind_its_own_tls_is_alive_whatever_name_its_certificate_has(tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_bytes(certificates_to_pem([pki.gateway().certificate]))
    key.write_bytes(key_to_pem(pki.gateway()))
    with _served(_application, (certificate, key)) as port:
        done = _asked(tmp_path, f'port = {port}\ntls_certificate = "tls.crt"\ntls_key = "tls.key"\n')
    assert done.exit_code == 0


def test_a_gateway_that_answers_otherwise_is_not(tmp_path: Path) -> None:
    with _served(_broken) as port:
        done = _asked(tmp_path, f"port = {port}\n")
    assert (done.exit_code, done.output) == (1, "The gateway does not answer: HTTP 500\n")


def test_nobody_who_listens_is_said_with_the_reason(tmp_path: Path) -> None:
    with _served(_application) as port:
        pass
    done = _asked(tmp_path, f"port = {port}\n")
    assert done.exit_code == 1
    assert "ConnectionRefusedError" in done.output


def _may_begin_a_namespace() -> bool:
    unshare = program("unshare")
    return (
        unshare is not None
        and not subprocess.run([unshare, "-pf", "true"], capture_output=True, check=False).returncode
    )


@needs("unshare")
@pytest.mark.skipif(not _may_begin_a_namespace(), reason="this user may make no process namespace")
def test_a_first_process_ends_when_told_before_it_serves() -> None:
    waits = (
        "import click, os, time\n"
        "from gateway.cli import root as the\n"
        "def wait(**_): print(os.getpid(), flush=True); time.sleep(600)\n"
        "the.root.main = wait\n"
        "the.main()\n"
    )
    started = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", waits], stdout=subprocess.PIPE, text=True
    )
    try:
        assert started.stdout is not None
        assert started.stdout.readline() == "1\n"
        (first,) = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text("ascii").split()
        subprocess.run(["kill", "-TERM", first], check=True)
        assert started.wait(timeout=60) == 128 + 15
    finally:
        started.kill()
        started.wait()
        started.stdout.close()  # type: ignore[union-attr]  # asked for above
