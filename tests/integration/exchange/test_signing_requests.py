"""What prepares and completes files, as bootstrap joins it: with the settings' authority, its own folder, its job."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.bootstrap import Gateway, join, make_signings, prepare_database
from gateway.cli.founding import make_keys, settings_toml
from gateway.exchange.signing_requests import PdfWishes, Signings
from gateway.exchange.upload import Upload
from gateway.ledger.records import SigningRequest
from gateway.model import FileStanding
from gateway.settings import load_settings
from gateway.signing.keys import certificates_to_pem
from tests.support import pdfs, pki
from tests.support.exchange import DEPARTMENT, agencies, registered
from tests.support.pki_server import Fault, PkiServer

PERSON = pki.person()
AGENCY = replace(agencies()[DEPARTMENT], certificates=(registered(PERSON, "person"),))


@pytest.fixture
def authority() -> Iterator[PkiServer]:
    with PkiServer(lambda: pki.NOW) as running:
        yield running


@pytest.fixture
def gateway(tmp_path: Path, authority: PkiServer) -> Iterator[Gateway]:
    config = tmp_path / "config" / "gateway.toml"
    config.parent.mkdir()
    (config.parent / "tsa.pem").write_bytes(certificates_to_pem([pki.root().certificate]))
    sections: dict[str, dict[str, object]] = {
        "gateway": {"code": "000.00.00.H37", "name": "Thử", "first_levels": ["H37"]},
        "timestamps": {"urls": [authority.tsa_url], "ca": ["tsa.pem"]},
        "signing_requests": {"minutes": 1},
    }
    config.write_text(settings_toml(sections), encoding="utf-8")
    settings = load_settings(config)
    make_keys(settings, at=pki.NOW)
    prepare_database(settings, now=pki.NOW)
    joined = join(settings, clock=lambda: pki.NOW)
    yield joined
    joined.ledger.engine.dispose()


@pytest.fixture
def signings(gateway: Gateway) -> Signings:
    return make_signings(gateway)


def signed(signings: Signings, tmp_path: Path) -> SigningRequest:
    """The plain dispatch, signed by the person."""
    source = tmp_path / "upload.pdf"
    source.write_bytes(pdfs.plain())
    upload = Upload(source=source, size=len(pdfs.plain()), sha256=hashlib.sha256(pdfs.plain()).hexdigest())
    made = signings.prepare_pdf(AGENCY, upload, certificate=PERSON.certificate, chain=PERSON.chain, wishes=PdfWishes())
    return signings.complete(AGENCY, made.request.id, PERSON.sign(made.to_be_signed))


def test_the_authority_of_the_settings_stamps_what_is_completed(
    signings: Signings, authority: PkiServer, tmp_path: Path
) -> None:
    done = signed(signings, tmp_path)
    assert (done.stamped, authority.requests["tsa"]) == (True, 1)
    _, content = signings.open_signed(AGENCY, done.id)
    with content:
        [verdict] = pdfs.judged(content.read())
    assert [(s.standing, s.stamped_at) for s in verdict.signatures] == [(FileStanding.VALID, pki.NOW)]


def test_an_authority_that_is_down_stops_no_signature(signings: Signings, authority: PkiServer, tmp_path: Path) -> None:
    authority.tsa = Fault.DOWN
    assert signed(signings, tmp_path).stamped is False


def test_the_folder_is_for_nobody_else(signings: Signings, gateway: Gateway, tmp_path: Path) -> None:
    done = signed(signings, tmp_path)
    folder = gateway.settings.data / "signing"
    assert [f.stat().st_mode & 0o077 for f in (folder, folder / done.id)] == [0, 0]


def test_the_job_sweeps_at_once_when_it_is_started(gateway: Gateway, tmp_path: Path) -> None:
    done = signed(make_signings(gateway), tmp_path)
    later = replace(gateway, parts=replace(gateway.parts, clock=lambda: done.expires_at))
    stop = threading.Event()
    stop.set()
    make_signings(later).run(stop)
    assert list((gateway.settings.data / "signing").iterdir()) == []
