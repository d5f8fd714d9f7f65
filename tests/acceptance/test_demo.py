"""``gateway demo --once`` as a newcomer runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.samples import sample_names

# Other tests may keep both cores busy; alone it takes about twenty seconds.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def _demo(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "tmp").mkdir()
    environment = {k: v for k, v in os.environ.items() if k == "GATEWAY_SAMPLES" or not k.startswith("GATEWAY")}
    return subprocess.run(
        [sys.executable, "-m", "gateway", "--lang", "en", "demo", "--once", *arguments],
        env=environment | {"TMPDIR": str(tmp_path / "tmp")},
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )


def test_every_document_arrives_and_every_status_comes_back(tmp_path: Path) -> None:
    done = _demo(tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for name in ("07/SKHCN-CĐS", "11/SKHCN-CĐS", "12/UBND-VP", "345/UBND-NC", "7816/VPCP-KSTT", *sample_names()):
        assert name in done.stdout, name
    assert "Done in" in done.stdout
    shown = done.stdout.splitlines()
    issued = "Nguyễn Văn Mẫu (competent person): valid · Con dấu số 000.00.14.H37 (agency): valid"
    everywhere = ("quốc gia", "Lạng Sơn", "Lào Cai")
    assert [
        all(place in line for place in everywhere) for line in shown if f"✔ 07-SKHCN-CĐS.pdf · {issued}" in line
    ] == [True]
    forged = "✖ 13-SKHCN-VP.pdf · Nguyễn Văn Mẫu (competent person): altered"
    assert [line for line in shown if forged in line]
    assert [line for line in shown if "gateway verify 07-SKHCN-CĐS.asice --anchor ca.crt: CONCLUSION: proven" in line]
    assert [line for line in shown if line.endswith("gateway log verify: The log is whole.")]
    refused = {line.rpartition("(")[2].rstrip(")") for line in shown if line.startswith("Refused, as it must be: ")}
    assert refused >= {"recipient.closed", "signature.rejected"}
    assert list((tmp_path / "tmp").glob("gateway-demo-*")) == []


def test_a_gateway_that_is_down_is_noticed_and_what_is_missing_is_named(tmp_path: Path) -> None:
    done = _demo(tmp_path, "--without", "laocai", "--patience", "15")
    assert done.returncode == 1
    assert "07/SKHCN-CĐS" in done.stderr
    assert "000.00.00.H38" in done.stderr
    assert "345/UBND-NC" in done.stderr
    assert "nothing has moved for 15 s" in done.stderr


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "mine").write_text("x")
    done = _demo(tmp_path, "--keep", str(keep))
    assert done.returncode == 4
    assert [p.name for p in keep.iterdir()] == ["mine"]
