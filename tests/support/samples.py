"""The packages of the national axis' own kit, which live beside the project and not in it."""

import os
from pathlib import Path

import pytest

SAMPLES = Path(os.environ.get("GATEWAY_SAMPLES") or Path(__file__).resolve().parents[3] / "shared" / "samples")


def sample_names() -> list[str]:
    """File names, sorted; empty when the samples are not here."""
    return sorted(p.name for p in SAMPLES.glob("*.edxml"))


def sample(name: str) -> Path:
    """The path of one sample; skips the test, saying so, when the samples are absent."""
    path = SAMPLES / name
    if not path.is_file():
        pytest.skip(f"SAMPLES ABSENT: {name} was not judged (set GATEWAY_SAMPLES to the folder that holds it)")
    return path
