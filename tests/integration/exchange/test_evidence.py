"""What an evidence file proves to somebody who has nothing but the root certificate."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from gateway.evidence import container
from gateway.evidence.belief import Given
from gateway.evidence.container import ContainerReader
from gateway.evidence.offline import verify_bundle
from gateway.evidence.points import Findings, Outcome
from gateway.ledger.actions import Action
from tests.support import pki
from tests.support.evidence import (
    YEARS_LATER,
    a_maker,
    accepted_and_reported,
    an_evidence_file,
    exported,
    nobody,
    seal_log,
)
from tests.support.exchange import Site

ROOT = pki.root().certificate


def judged(raw: bytes, spool: Path, **given: object) -> Findings:
    known = Given(**{"anchors": (ROOT,), "at": pki.NOW, **given})
    return verify_bundle(io.BytesIO(raw), known, spool=spool)


def codes(findings: Findings) -> list[tuple[str, str]]:
    return [(p.code, str(p.outcome)) for p in findings.points]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return an_evidence_file(tmp_path_factory.mktemp("gateway"))


def test_an_evidence_file_proves_itself_with_the_root_alone(site: Site, tmp_path: Path) -> None:
    document = accepted_and_reported(site)
    seal_log(site)
    findings = judged(exported(site, document), tmp_path, at=site.clock())
    assert codes(findings) == [
        ("container.whole", "holds"),
        ("stamp.holds", "holds"),
        ("signer.believed", "holds"),
        ("stamp.holds", "holds"),
        ("log.holds", "holds"),
        ("log.seal", "holds"),
        ("seal.holds", "holds"),
        ("stamp.holds", "holds"),
        ("signer.believed", "holds"),
        ("package.same", "holds"),
        ("sender.signed", "holds"),
        ("receipt.holds", "holds"),
        ("statuses.hold", "holds"),
        ("facts.told", "noted"),
    ]
    assert findings.proven
