"""The wheel that people install: it works apart from the source tree."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
SCHEMAS = sorted(path.name for path in (REPOSITORY / "schemas").glob("*.xsd"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a wheel of this source tree holds."""
    pytest.importorskip("hatchling", reason="the build backend is not installed (pip install .[build])")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_holds_the_schemas(installed: Path) -> None:
    assert len(SCHEMAS) >= 3
    assert sorted(path.name for path in (installed / "gateway/edxml/schemas").glob("*.xsd")) == SCHEMAS


def test_what_is_installed_finds_its_own_schemas(installed: Path) -> None:
    program = (
        "import pathlib, sys; from gateway.edxml import schema\n"
        "assert pathlib.Path(schema.__file__).is_relative_to(sys.argv[1]), schema.__file__\n"
        "for name in sys.argv[2:]: schema.compiled(name)"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(installed), *SCHEMAS],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=True,
    )
