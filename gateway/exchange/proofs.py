"""What the gateway gives for a package that it takes over: a signed receipt and a detached seal (design D1, D5)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from gateway.evidence.receipt import ReceiptFacts, make_receipt
from gateway.evidence.seal import SealedAttachment, SealFacts, make_seal
from gateway.exchange.parts import Parts
from gateway.exchange.upload import Upload
from gateway.model import AgencyCode, Attachment, DocumentId, Verdict


def prove(
    parts: Parts,
    *,
    document_id: str,
    wire_id: DocumentId | None,
    sender: AgencyCode,
    recipients: Sequence[AgencyCode],
    upload: Upload,
    attachments: Sequence[Attachment],
    verdict: Verdict,
    at: datetime,
) -> tuple[str, bytes]:
    """
    Sign what is true of one package at the moment of its receipt.

    :param document_id: the gateway's own id.
    :param wire_id: the DocumentId as the sender wrote it.
    :param upload: the package as received.
    :return: the receipt as JSON, and the seal as XML.
    """
    facts = ReceiptFacts(
        receipt_id=document_id,
        gateway=parts.site.code,
        document_id=wire_id,
        sender=sender,
        recipients=tuple(recipients),
        sha256=upload.sha256,
        size=upload.size,
        accepted_at=at,
        standing=verdict.standing,
    )
    sealed = SealFacts(
        id=document_id,
        gateway=parts.site.code,
        document_id=wire_id,
        sender=sender,
        recipients=facts.recipients,
        sha256=upload.sha256,
        size=upload.size,
        attachments=tuple(SealedAttachment.of(a) for a in attachments),
        verdict=verdict,
        received_at=at,
        sealed_at=at,
    )
    receipt = json.dumps(make_receipt(facts, parts.key).as_json(), ensure_ascii=False)
    return receipt, make_seal(sealed, parts.key)
