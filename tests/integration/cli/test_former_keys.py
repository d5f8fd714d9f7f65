"""A gateway with its third key still proves what the first two have signed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from gateway.bootstrap import join, make_app
from gateway.cli.founding import CERTIFICATE, make_keys
from gateway.errors import EvidenceInvalid
from gateway.evidence.receipt import check_receipt
from gateway.evidence.seal import check_seal
from gateway.settings import load_settings
from tests.integration.cli.test_life import COMMUNE, DEPARTMENT, agencies
from tests.support import documents
from tests.support.gateways import RunningGateway, a_gateway


@dataclass
class Kept:
    """What a document's sender has of it."""

    id: str
    jws: str
    certificate: x509.Certificate
    """The gateway's at that time."""


def ask(gateway: RunningGateway, method: str, path: str, **more: Any) -> Any:
    """One call of the API, by a gateway that has just been started with its settings."""
    joined = join(load_settings(gateway.config))
    try:
        headers = {"Authorization": f"Bearer {gateway.key(DEPARTMENT)}", "Accept": "application/json"}
        answer = make_app(joined).test_client().open(path, method=method, headers=headers, **more)
        assert answer.status_code < 300, answer.text
        return answer.get_json()
    finally:
        joined.ledger.engine.dispose()


def sent(gateway: RunningGateway, number: int) -> Kept:
    raw = documents.a_package(recipients=(documents.an_organization(COMMUNE),))
    raw = raw.replace(b"07/SA-VP", b"%d/SA-VP" % number)
    receipt = ask(gateway, "POST", "/api/v1/documents", data=raw, content_type="application/xml")
    return Kept(receipt["id"], receipt["jws"], own_certificate(gateway))


def own_certificate(gateway: RunningGateway) -> x509.Certificate:
    return x509.load_pem_x509_certificates((gateway.settings.data / CERTIFICATE).read_bytes())[0]


def take_new_key(gateway: RunningGateway, kept_as: Path) -> None:
    """As the operator's guide has it: the old certificate is kept, the old key is not."""
    data = gateway.settings.data
    kept_as.parent.mkdir(parents=True, exist_ok=True)
    (data / CERTIFICATE).replace(kept_as)
    (data / gateway.settings.signing.key).unlink()
    make_keys(gateway.settings, at=datetime.now(UTC))


def test_seals_and_receipts_of_former_keys_are_checked_by_their_fingerprint(tmp_path: Path) -> None:
    gateway = a_gateway(
        tmp_path / "h37",
        code="000.00.00.H37",
        first_levels=["H37"],
        agencies=agencies(),
        signing={"former": ["../kept/first.pem"]},
    )
    (tmp_path / "h37" / "kept").mkdir()
    (tmp_path / "h37" / "kept" / "first.pem").write_bytes((gateway.settings.data / CERTIFICATE).read_bytes())
    first = sent(gateway, 1)
    take_new_key(gateway, tmp_path / "h37" / "kept" / "first.pem")
    second = sent(gateway, 2)
    take_new_key(gateway, gateway.settings.data / "keys" / "former" / "second.pem")
    third = sent(gateway, 3)
    assert len({k.certificate.fingerprint(k.certificate.signature_hash_algorithm) for k in (first, second, third)}) == 3
    for kept in (first, second, third):
        shown = ask(gateway, "GET", f"/api/v1/documents/{kept.id}/evidence")
        assert x509.load_pem_x509_certificate(shown["certificate"].encode()) == kept.certificate
        assert check_seal(shown["seal"].encode(), kept.certificate).id == kept.id
        assert check_receipt(kept.jws, kept.certificate).receipt_id == kept.id
    with pytest.raises(EvidenceInvalid):
        check_receipt(first.jws, third.certificate)
