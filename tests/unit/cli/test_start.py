"""What a command loads before it does anything: a clerk who checks one file waits for no server's libraries."""

import subprocess
import sys
from pathlib import Path

import pytest

_SERVER = {"sqlalchemy", "alembic", "flask_openapi3", "prometheus_client", "gateway.bootstrap", "gateway.ledger"}
_PAGES = {"flask", "reportlab", "PIL"}
_KEYS = {"pkcs11"}
_SETTINGS = {"pydantic", "gateway.settings"}
_LOADED = """
import sys
from gateway.__main__ import main
try:
    main()
finally:
    print(*sys.modules)
"""


@pytest.mark.parametrize(
    ("arguments", "needless"),
    [
        (("--help",), _SERVER | _PAGES | _KEYS | _SETTINGS | {"cryptography", "lxml", "pyhanko"}),
        (("verify", "--help"), _SERVER | _PAGES | _KEYS | _SETTINGS | {"pyhanko", "aiohttp"}),
        (("sign", "--help"), _SERVER | _SETTINGS | {"flask", "reportlab", "requests"}),
        (("signer", "--help"), _SERVER | _SETTINGS | {"reportlab", "PIL", "pyhanko"}),
    ],
    ids=["help", "verify", "sign", "signer"],
)
def test_a_command_loads_no_library_that_it_does_not_use(arguments: tuple[str, ...], needless: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, *arguments],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "gateway.cli.root" in loaded
    assert loaded & needless == set()
