"""The test authorities' CRLs, OCSP answers and time-stamps, judged by OpenSSL."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.signing.keys import certificates_to_pem
from tests.support import pki
from tests.support.pki_server import Fault, PkiServer
from tests.support.programs import needs

pytestmark = needs("openssl")


@pytest.fixture
def server() -> Iterator[PkiServer]:
    with PkiServer() as running:
        yield running


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, certificates in {
        "root": [pki.root().certificate],
        "chain": [pki.root().certificate, pki.intermediate().certificate],
        "issuer": [pki.intermediate().certificate],
        "person": [pki.person().certificate],
        "revoked": [pki.revoked_person().certificate],
        "sha1": [pki.sha1_certificate().certificate],
        "sha1_rsa": [pki.sha1_rsa_certificate().certificate],
        "rsa_issuer": [pki.rsa_authority().certificate],
    }.items():
        (tmp_path / f"{name}.pem").write_bytes(certificates_to_pem(certificates))
    return tmp_path


def openssl(files: Path, *arguments: str) -> str:
    ran = subprocess.run(["openssl", *arguments], cwd=files, capture_output=True, text=True, timeout=30, check=False)
    return ran.stdout + ran.stderr


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def test_openssl_reads_the_served_crl_and_finds_the_revoked_one_in_it(server: PkiServer, files: Path) -> None:
    server.revoke(pki.revoked_person().certificate, pki.NOW)
    (files / "list.crl").write_bytes(fetch(server.crl_url))
    assert "verify OK" in openssl(files, "crl", "-inform", "DER", "-in", "list.crl", "-CAfile", "chain.pem", "-noout")
    (files / "root.crl").write_bytes(fetch(server.root_crl_url))
    for name in ("list", "root"):
        openssl(files, "crl", "-inform", "DER", "-in", f"{name}.crl", "-out", f"{name}.crl.pem")
    both = (files / "list.crl.pem").read_text() + (files / "root.crl.pem").read_text()
    (files / "lists.pem").write_text(both)
    check = ("verify", "-crl_check_all", "-CRLfile", "lists.pem", "-CAfile", "root.pem", "-untrusted", "issuer.pem")
    assert "person.pem: OK" in openssl(files, *check, "person.pem")
    assert "certificate revoked" in openssl(files, *check, "revoked.pem")


@pytest.mark.parametrize(
    ("who", "fault", "says"),
    [
        ("person", Fault.NONE, "person.pem: good"),
        ("revoked", Fault.NONE, "revoked.pem: revoked"),
        ("person", Fault.STALE, "Status times invalid"),
        ("person", Fault.FORGED, "Response Verify Failure"),
        ("person", Fault.REFUSES, "trylater"),
    ],
)
def test_openssl_judges_the_served_ocsp_answers(
    server: PkiServer, files: Path, who: str, fault: Fault, says: str
) -> None:
    server.revoke(pki.revoked_person().certificate, pki.NOW)
    server.ocsp = fault
    found = openssl(
        files, "ocsp", "-issuer", "issuer.pem", "-cert", f"{who}.pem", "-url", server.ocsp_url, "-CAfile", "chain.pem"
    )
    assert says in found
    assert ("Response verify OK" in found) == (fault in (Fault.NONE, Fault.STALE))


def test_openssl_verifies_the_served_time_stamp_over_these_bytes_and_no_others(server: PkiServer, files: Path) -> None:
    (files / "data").write_bytes(b"this")
    (files / "other").write_bytes(b"that")
    openssl(files, "ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "request")
    request = urllib.request.Request(server.tsa_url, (files / "request").read_bytes())
    (files / "answer").write_bytes(urllib.request.urlopen(request, timeout=10).read())
    verify = ("ts", "-verify", "-in", "answer", "-CAfile", "chain.pem")
    assert "Verification: OK" in openssl(files, *verify, "-queryfile", "request")
    assert "Verification: OK" in openssl(files, *verify, "-data", "data")
    assert "message imprint mismatch" in openssl(files, *verify, "-data", "other")


def test_the_sha1_certificates_differ_from_good_ones_in_their_signature_alone(files: Path) -> None:
    check = ("verify", "-CAfile", "root.pem", "-untrusted")
    for name, issuer in (("sha1", "issuer"), ("sha1_rsa", "rsa_issuer")):
        assert f"{name}.pem: OK" in openssl(files, *check, f"{issuer}.pem", "-auth_level", "0", f"{name}.pem")
        assert "CA signature digest algorithm too weak" in openssl(
            files, *check, f"{issuer}.pem", "-auth_level", "2", f"{name}.pem"
        )
