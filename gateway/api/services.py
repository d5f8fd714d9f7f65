"""What the API works with; put into the app by ``gateway.bootstrap``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509

from gateway.api.auth import Doorkeeper
from gateway.exchange.evidence import EvidenceMaker
from gateway.exchange.parts import Parts
from gateway.exchange.signing_requests import Signings
from gateway.exchange.systems import Systems


@dataclass(frozen=True, kw_only=True)
class Services:
    """Found by the views as ``current_app.extensions["gateway"]``."""

    parts: Parts
    doorkeeper: Doorkeeper
    systems: Systems
    mailbox_lease_seconds: int
    signings: Signings | None = None
    """Files that are signed in two steps; ``None``: this gateway prepares none."""
    evidence: EvidenceMaker | None = None
    """Makes evidence files; ``None``: this gateway makes none."""
    certificates: Mapping[str, x509.Certificate] = field(default_factory=dict)
    """The gateway's former certificates, by SHA-256 of the DER in lower-case hex; the present one need not be here."""

    def certificate(self, sha256: str) -> x509.Certificate | None:
        """The certificate of the gateway that is meant, present or former; ``None`` when it is not at hand."""
        present = self.parts.key
        return present.certificate if sha256 == present.certificate_sha256 else self.certificates.get(sha256)
