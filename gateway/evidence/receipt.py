"""
Receipts: the gateway's signed promise to pass a document on.

Facts as JSON for people and programs, and the same facts as a compact JWS that anybody can
check with the gateway's certificate and any JOSE library.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.api_jws import PyJWS

from gateway.errors import EvidenceInvalid
from gateway.model import AgencyCode, DocumentId, Standing
from gateway.signing.keys import Signer, fingerprint

TYPE = "receipt+jwt"
_JWS = PyJWS()
_OF_CURVE = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True, kw_only=True)
class ReceiptFacts:
    """What the gateway says it has accepted."""

    receipt_id: str
    """The gateway's own id of the document."""
    gateway: AgencyCode
    document_id: DocumentId | None
    sender: AgencyCode
    recipients: tuple[AgencyCode, ...]
    sha256: str
    """Lower-case hex, of the package as received."""
    size: int
    """Bytes of the same."""
    accepted_at: datetime
    """Aware UTC."""
    standing: Standing
    """The verdict on the package's signature."""
    same_as: str | None = None
    """SHA-256 of the package that is kept, when this one says the same in other bytes; else ``None``."""

    def as_json(self) -> dict[str, Any]:
        """The facts as they stand in a receipt; times as RFC 3339 in UTC."""
        return {
            "id": self.receipt_id,
            "gateway": self.gateway,
            "document_id": self.document_id,
            "sender": self.sender,
            "recipients": list(self.recipients),
            "sha256": self.sha256,
            "size": self.size,
            "accepted_at": self.accepted_at.astimezone(UTC).isoformat(),
            "standing": str(self.standing),
            **({"same_as": self.same_as} if self.same_as else {}),
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> ReceiptFacts:
        """
        The facts of a receipt; members added by later versions are ignored.

        :raises EvidenceInvalid: one is missing or of the wrong kind.
        """
        try:
            accepted_at = datetime.fromisoformat(facts["accepted_at"])
            if accepted_at.tzinfo is None or not all(isinstance(r, str) for r in facts["recipients"]):
                raise EvidenceInvalid("The receipt's members are not of the kind that they should be.")
            return cls(
                receipt_id=str(facts["id"]),
                gateway=AgencyCode(facts["gateway"]),
                document_id=None if facts["document_id"] is None else DocumentId(facts["document_id"]),
                sender=AgencyCode(facts["sender"]),
                recipients=tuple(AgencyCode(r) for r in facts["recipients"]),
                sha256=str(facts["sha256"]),
                size=int(facts["size"]),
                accepted_at=accepted_at.astimezone(UTC),
                standing=Standing(facts["standing"]),
                same_as=None if facts.get("same_as") is None else str(facts["same_as"]),
            )
        except (KeyError, TypeError, ValueError) as e:
            raise EvidenceInvalid("The receipt lacks a member, or one is not of the kind that it should be.") from e


@dataclass(frozen=True)
class Receipt:
    """Facts and their proof."""

    facts: ReceiptFacts
    jws: str
    """Compact JWS over the facts: ``typ`` ``receipt+jwt``, ``kid`` the certificate's SHA-256 in hex."""

    def as_json(self) -> dict[str, Any]:
        """What a client is answered: the facts, and ``jws``."""
        return {**self.facts.as_json(), "jws": self.jws}


def make_receipt(facts: ReceiptFacts, key: Signer) -> Receipt:
    """Sign the facts with the gateway's key; they are not checked here."""
    payload = json.dumps(facts.as_json(), ensure_ascii=False, separators=(",", ":")).encode()
    signed = b"%b.%b" % (_header(key.jws_algorithm, key.certificate_sha256), _base64url(payload))
    jws = b"%b.%b" % (signed, _base64url(key.sign(signed)))
    return Receipt(facts, jws.decode())


@lru_cache(maxsize=16)
def _header(algorithm: str, kid: str) -> bytes:
    """The first part of a receipt, the same in all of one key: to put it together costs as much as the rest."""
    header = {"alg": algorithm, "kid": kid, "typ": TYPE}
    return _base64url(json.dumps(header, separators=(",", ":")).encode())


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def check_receipt(jws: str, certificate: x509.Certificate) -> ReceiptFacts:
    """
    The facts of a receipt that this certificate's key has signed.

    The certificate comes from the caller's configuration, never from the receipt. Its validity
    is not judged: a receipt outlives the certificate.

    :param jws: as received; not trusted.
    :raises EvidenceInvalid: it was signed by another key, changed, or is not a receipt.
    """
    public = certificate.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        algorithm = "RS256"
    elif isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in _OF_CURVE:
        algorithm = _OF_CURVE[public.curve.name]
    else:
        raise EvidenceInvalid("The certificate's key is of a kind that signs no receipts.")
    try:
        signed = _JWS.decode_complete(jws, public, algorithms=[algorithm])
        facts = json.loads(signed["payload"])
    # jwt's own errors, and what its decoding of hostile text lets through.
    except (jwt.PyJWTError, ValueError, TypeError) as e:
        raise EvidenceInvalid("The receipt is not signed with the key of this certificate.") from e
    header = signed["header"]
    if header.get("typ") != TYPE or header.get("kid") != fingerprint(certificate) or not isinstance(facts, dict):
        raise EvidenceInvalid("What is signed is not a receipt of this certificate.")
    return ReceiptFacts.from_json(facts)
