"""The machine's time zone, however it is set, is nothing to what the gateway does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.signing.keys import key_to_pkcs12
from tests.support import pdfs, pki


@pytest.mark.parametrize("zone", ["ICT-7", "Nowhere/Never", "Europe/Brussels"])
def test_pdfs_are_signed_with_vietnams_time_whatever_the_zone_of_the_machine(tmp_path: Path, zone: str) -> None:
    (tmp_path / "person.p12").write_bytes(key_to_pkcs12(pki.person(), "secret"))
    (tmp_path / "a.pdf").write_bytes(pdfs.plain())
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "sign", "a.pdf", "--key", "person.p12", "-o", "signed.pdf"],
        cwd=tmp_path,
        env=os.environ | {"TZ": zone, "GATEWAY_KEY_PASSWORD": "secret"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    signed = (tmp_path / "signed.pdf").read_bytes()
    # When it was changed, by the library; when it was signed, by us. In PDF's octal escapes: +07'00'.
    assert signed.count(rb"\05307\04700\047)") == 2
