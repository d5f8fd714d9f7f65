"""Who signed inside the files of a document: asked about from then on, and a reason to judge the files anew."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from gateway.exchange.revocation import watched_signer
from gateway.ledger import Ledger
from gateway.ledger.revocation import NewWatched
from gateway.model import FileStanding, FileVerdict

_CHAINED = (FileStanding.VALID, FileStanding.VALID_WEAK, FileStanding.INDETERMINATE, FileStanding.REVOKED)
"""Of an authority that is believed; of others nobody could be asked."""


def note_signers(ledger: Ledger, document_id: str, verdicts: Sequence[FileVerdict], *, now: datetime) -> None:
    """Remember whose certificates the verdicts on a document's files rest on, and watch these."""
    signers: dict[str, NewWatched] = {}
    undecided: dict[str, bool] = {}
    for signature in (s for one in verdicts for s in one.signatures):
        name, der = signature.certificate_sha256, signature.certificate
        if name is None or der is None or signature.standing not in _CHAINED:
            continue
        try:
            signers[name] = watched_signer(x509.load_der_x509_certificate(base64.b64decode(der)))
        except (ValueError, binascii.Error, x509.InvalidVersion):
            continue  # judged by another reader of certificates; there is nobody to ask with this one
        undecided[name] = undecided.get(name, False) or signature.standing is FileStanding.INDETERMINATE
    if signers:
        ledger.note_file_signers(document_id, [(signer, undecided[name]) for name, signer in signers.items()], now=now)
