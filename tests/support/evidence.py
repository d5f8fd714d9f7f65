"""Evidence files of a small gateway, with the stamps that they need."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.console.words import called
from gateway.evidence import report
from gateway.evidence.bundle import Stamper
from gateway.evidence.points import Language, Words
from gateway.evidence.seal import SealFacts, make_seal
from gateway.evidence.timestamp import Stamp, check_token
from gateway.exchange.evidence import EvidenceMaker
from gateway.exchange.sealing import Sealer
from gateway.exchange.stamping import Stamper as LogStamper
from gateway.exchange.stamping import StampPace, Timestamps
from gateway.ledger import Ledger, open_engine, prepare
from gateway.model import StatusCode
from gateway.signing.keys import SigningKey
from gateway.signing.sign import sign_package
from gateway.signing.template import enveloped_signature
from tests.support import documents, pki
from tests.support.exchange import COMMUNE, DEPARTMENT, Site, a_site


def stamping(clock: Callable[[], datetime]) -> Stamper:
    """An authority that always answers, at the clock's time."""
    return lambda digest: pki.timestamp_token(digest, at=clock())


def nobody(_: bytes) -> None:
    """No authority is configured, or none answers."""


class _Authority:
    """In the place of ``Timestamps``: the same tokens, without a way to them."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    def fetch(self, digest: bytes, *, near: datetime | None = None) -> tuple[bytes, Stamp]:
        token = pki.timestamp_token(digest, at=self._clock())
        return token, check_token(token, digest, [pki.root().certificate])


def seal_log(site: Site, *, stamped: bool = True) -> None:
    """Chain what has happened, and have it stamped."""
    gateway = site.parts.site.code
    Sealer(site.ledger.log, gateway=gateway, clock=site.clock).seal()
    if stamped:
        authority = cast("Timestamps", _Authority(site.clock))
        LogStamper(site.ledger.log, authority, gateway=gateway, clock=site.clock, pace=StampPace()).stamp(at_once=True)


def a_maker(site: Site, *, stamp: Stamper | None = None, **options: Any) -> EvidenceMaker:
    """What makes evidence files at a site."""
    certificates = {pki.gateway().certificate_sha256: pki.gateway().certificate}
    return EvidenceMaker(
        site.parts,
        **{
            "name": "Trục liên thông tỉnh Lạng Sơn",
            "certificate": certificates.get,
            "stamp": stamping(site.clock) if stamp is None else stamp,
            "words": called,
            **options,
        },
    )


def accepted_and_reported(site: Site) -> str:
    """A signed document that a commune has collected and registered; the gateway's id."""
    site.change(DEPARTMENT, certificates=site.known[DEPARTMENT].certificates)
    raw = sign_package(documents.a_package(), pki.agency())
    document = site.accept(raw).document_id
    site.clock.forward(minutes=5)
    site.collect(COMMUNE)
    site.clock.forward(minutes=5)
    registered = documents.a_status_package(StatusCode.REGISTERED, sender=documents.an_organization(COMMUNE))
    site.accept(registered, caller=COMMUNE)
    site.clock.forward(minutes=1)
    return document


def exported(site: Site, document: str, **options: Any) -> bytes:
    """The evidence file of a document, as its sender gets it."""
    trace = site.ledger.trace(document)
    assert trace is not None
    with a_maker(site, **options).export(trace, actor="test") as made:
        return made.read()


@contextmanager
def own_site(folder: Path) -> Iterator[Site]:
    """A gateway with a database of its own, for what outlives it."""
    engine = open_engine(f"sqlite:///{folder / 'ledger.db'}")
    try:
        prepare(engine)
        with a_site(Ledger(engine), folder) as site:
            yield site
    finally:
        engine.dispose()


def an_evidence_file(folder: Path, *, log: bool = True, **options: Any) -> bytes:
    """The evidence file of a document with everything: stamped seal, stamped log, a status."""
    with own_site(folder) as site:
        document = accepted_and_reported(site)
        if log:
            seal_log(site)
        site.clock.forward(minutes=2)
        return exported(site, document, **options)


def of_the_first_form(sealed: SealFacts, key: SigningKey) -> bytes:
    """As seals were made before there were time-stamps: the same manifest, plain XML-DSig."""
    new = make_seal(sealed, key)
    manifest = (new[: new.index(b"<ds:Signature ")] + b"</Seal>").replace(b"gateway:seal:2", b"gateway:seal:1")
    signature = enveloped_signature(hashlib.sha256(manifest).digest(), key)
    return manifest.replace(b"</Seal>", signature + b"</Seal>")


def each_page_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each page of the same facts once: laying out a PDF is most of the time that evidence takes."""
    for name in ("as_html", "as_pdf"):
        monkeypatch.setattr(report, name, functools.partial(_page, getattr(report, name)))


_pages: dict[tuple[str, str, Words, str], bytes] = {}


def _page(
    make: Callable[[dict[str, Any], Language, Words], bytes], facts: dict[str, Any], language: Language, words: Words
) -> bytes:
    asked = make.__name__, language, words, json.dumps(facts)
    if asked not in _pages:
        _pages[asked] = make(facts, language, words)
    return _pages[asked]


YEARS_LATER = pki.NOW + pki.LONG
"""All certificates of the tests have ended, and nobody knows any of these keys any more."""
