"""Every vector of ``tests/vectors``: accepted ones with just the warnings named, rejected ones by their code."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import DocumentError, InvalidPackage
from tests.support.documents import BUILT, read

VECTORS = Path(__file__).parents[2] / "vectors"
REJECTED = sorted((VECTORS / "rejected").glob("*.xml"))
ACCEPTED = sorted((VECTORS / "accepted").glob("*.xml"))
AS_TREE, AS_STREAM = 10**9, 0


def sidecar(path: Path) -> dict[str, str | list[str]]:
    """What the vector's file says of itself."""
    return tomllib.loads(path.with_suffix(".toml").read_text())


def refusal_codes(raw: bytes | Path, spool: Path, stream_above: int) -> set[str]:
    """Every code by which a package is refused; empty when it is accepted."""
    try:
        with read(raw, spool, stream_above=stream_above) as package:
            return {v.code for v in package.errors}
    except InvalidPackage as e:
        return {v.code for v in e.violations}
    except DocumentError as e:
        return {e.code}


def test_there_are_enough_vectors_each_with_its_sidecar() -> None:
    assert len(REJECTED) + len(BUILT) >= 55
    assert all(p.with_suffix(".toml").is_file() for p in REJECTED + ACCEPTED)


@pytest.mark.parametrize("stream_above", [AS_TREE, AS_STREAM], ids=["tree", "stream"])
@pytest.mark.parametrize("path", REJECTED, ids=lambda p: p.stem)
def test_rejected_vectors_are_refused_by_their_code(path: Path, stream_above: int, tmp_path: Path) -> None:
    assert sidecar(path)["code"] in refusal_codes(path, tmp_path, stream_above)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stream_above", [AS_TREE, AS_STREAM], ids=["tree", "stream"])
@pytest.mark.parametrize("path", ACCEPTED, ids=lambda p: p.stem)
def test_accepted_vectors_are_read_with_the_warnings_named(path: Path, stream_above: int, tmp_path: Path) -> None:
    with read(path, tmp_path, stream_above=stream_above) as package:
        assert not package.errors
        found, named = {v.code for v in package.warnings}, set(sidecar(path)["codes"])
        assert named <= found
        assert bool(found) == bool(named)
        assert package.size == path.stat().st_size


@pytest.mark.parametrize("stream_above", [AS_TREE, AS_STREAM], ids=["tree", "stream"])
@pytest.mark.parametrize(("name", "build", "code"), BUILT, ids=[b[0] for b in BUILT])
def test_built_vectors_are_refused_quickly(
    name: str, build: Callable[[], bytes], code: str, stream_above: int, tmp_path: Path
) -> None:
    raw = build()
    started = time.process_time()
    assert code in refusal_codes(raw, tmp_path, stream_above)
    # Seconds of CPU: far below what reading it all would take, far above what refusing takes, also while traced.
    assert time.process_time() - started < 20


@pytest.mark.parametrize("path", ACCEPTED, ids=lambda p: p.stem)
def test_tree_and_stream_read_the_same(path: Path, tmp_path: Path) -> None:
    with read(path, tmp_path, stream_above=AS_TREE) as one, read(path, tmp_path, stream_above=AS_STREAM) as other:
        assert one.envelope == other.envelope
        assert one.attachments == other.attachments
        assert one.violations == other.violations
        assert (one.variant, one.signature_form, one.sha256) == (other.variant, other.signature_form, other.sha256)
