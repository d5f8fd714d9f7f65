"""What is shipped against the project: the Dockerfile, what it sees of the tree, and the wheel that it installs."""

import ast
import fnmatch
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COPIED = [name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()]


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower()


NEEDED = {_name(r) for r in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]}
(REMOVED,) = ({*line.split()} for line in re.findall(r"pip uninstall -y (.+)$", DOCKERFILE, re.MULTILINE))
LEFT = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)) - REMOVED


# The Dockerfile


def test_the_image_removes_nothing_that_the_gateway_runs_on() -> None:
    assert REMOVED
    assert not NEEDED - LEFT


def test_the_image_copies_what_is_there() -> None:
    assert COPIED
    assert [name for name in COPIED if not (ROOT / name).exists()] == []


def _is_seen(path: str) -> bool:
    """As Docker reads ``.dockerignore``: the last line that fits the path, or a folder above it, decides."""
    seen = True
    above = [path.rsplit("/", n)[0] for n in range(path.count("/") + 1)]
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("**/")
            anywhere = "**/" in line
            fits = [p.rsplit("/", 1)[-1] if anywhere else p for p in above]
            if any(p.count("/") == pattern.count("/") and fnmatch.fnmatchcase(p, pattern) for p in fits):
                seen = line.startswith("!")
    return seen


def test_the_build_sees_all_that_the_image_copies() -> None:
    files = [f for name in COPIED for f in ([ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*"))]
    tracked = [str(f.relative_to(ROOT)) for f in files if f.is_file() and "__pycache__" not in f.parts]
    assert len(tracked) > 100
    assert [name for name in tracked if not _is_seen(name)] == []


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        "config/gateway.toml",
        "config/secrets/national.key",
        "gateway/__pycache__/model.cpython-313.pyc",
        "var/keys/gateway.p12",
        "data/ledger.sqlite3",
        "tests/conftest.py",
    ],
)
def test_the_build_does_not_see_what_is_the_builders_own(path: str) -> None:
    assert not _is_seen(path)


def test_the_image_runs_as_a_number_that_is_the_guides() -> None:
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    assert f"chown {user}:{user} " in (ROOT / "docs" / "operate.md").read_text("utf-8")


# The wheel


def _imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {n.partition(".")[0] for n in plain | {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)}}


def test_the_program_imports_nothing_that_the_image_lacks() -> None:
    imported = set().union(*(_imported(path) for path in (ROOT / "gateway").rglob("*.py")))
    homes = packages_distributions()
    foreign = imported - set(sys.stdlib_module_names) - {"gateway", ""}
    assert len(foreign) > 20
    assert {n for n in foreign if not LEFT & {d.lower().replace("_", "-") for d in homes.get(n, [])}} == set()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip lays it down, with nothing of the source tree beside it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=300,
    )
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_every_file_of_the_program(installed: Path) -> None:
    there = [p.relative_to(ROOT) for p in (ROOT / "gateway").rglob("*") if p.is_file() and p.suffix != ".pyc"]
    assert [str(name) for name in there if not (installed / name).is_file()] == []


_USED = """
import json, sys
from pathlib import Path
import gateway
from gateway.cli.demo.places import demo_config
from gateway.edxml.schema import compiled
from gateway.ledger import engine
for name in ("receive.xsd", "emit.xsd", "seal.xsd", "seal2.xsd"):
    compiled(name)
print(json.dumps([gateway.__file__, str(demo_config())]))
"""


def test_an_installed_gateway_finds_its_files_with_itself(installed: Path, tmp_path: Path) -> None:
    # Whatever else is called so beside it is not ours.
    for decoy in ("schemas", "config/demo"):
        (installed / decoy).mkdir(parents=True, exist_ok=True)
    (installed / "schemas" / "emit.xsd").write_text("<x/>")
    (installed / "config" / "demo" / "langson.agencies.toml").touch()
    environment = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-P", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        return done.stdout

    program, demo = json.loads(run("-c", _USED))
    assert Path(program).is_relative_to(installed)
    assert Path(demo).is_relative_to(installed / "gateway")
    made = json.loads(run("-m", "gateway", "init", "--json"))
    assert str(tmp_path / "var" / "keys" / "gateway.p12") in made["made"]
    assert json.loads(run("-m", "gateway", "log", "verify", "--json"))["whole"]
