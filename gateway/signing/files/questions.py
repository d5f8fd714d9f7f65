"""What a reader is told: whom to trust, and which file to judge by what; as JSON values and back."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.model import SignerRole
from gateway.signing.files.policy import FilePolicy, RegisteredSigner
from gateway.signing.trust import RevocationFacts, RevocationItem, RevocationMode, TrustAnchors


def trust_to_json(anchors: TrustAnchors) -> dict[str, Any]:
    """Anchors, intermediates and all revocation facts that are known now."""
    return {
        "anchors": [_certificate_to_json(c) for c in anchors.anchors],
        "intermediates": [_certificate_to_json(c) for c in anchors.intermediates],
        "mode": anchors.mode.value,
        "clock_skew": anchors.clock_skew.total_seconds(),
        "items": [_item_to_json(i) for i in anchors.facts.items],
        "authorities": [_certificate_to_json(c) for c in anchors.authority_anchors],
    }


def trust_from_json(value: Mapping[str, Any]) -> TrustAnchors:
    """The trust that :func:`trust_to_json` wrote."""
    return TrustAnchors(
        [_certificate_from_json(c) for c in value["anchors"]],
        [_certificate_from_json(c) for c in value["intermediates"]],
        mode=RevocationMode(value["mode"]),
        facts=RevocationFacts([_item_from_json(i) for i in value["items"]]),
        clock_skew=timedelta(seconds=value["clock_skew"]),
        authorities=[_certificate_from_json(c) for c in value["authorities"]],
    )


def registered_to_json(registered: Sequence[RegisteredSigner]) -> list[dict[str, Any]]:
    """Whose certificates are known; of a country they are told once and not with every file."""
    return [_registered_to_json(r) for r in registered]


def registered_from_json(value: Sequence[Mapping[str, Any]]) -> tuple[RegisteredSigner, ...]:
    """Those that :func:`registered_to_json` wrote."""
    return tuple(_registered_from_json(r) for r in value)


def question_to_json(
    path: Path,
    *,
    content_id: str,
    name: str,
    policy: FilePolicy,
    at: datetime,
) -> dict[str, Any]:
    """One file to be judged: arguments of ``judge.inspect_file``."""
    return {
        "path": str(path),
        "content_id": content_id,
        "name": name,
        "policy": asdict(policy),
        "at": at.isoformat(),
    }


def question_from_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that :func:`question_to_json` wrote."""
    return {
        "path": Path(value["path"]),
        "content_id": value["content_id"],
        "name": value["name"],
        "policy": FilePolicy(**value["policy"]),
        "at": datetime.fromisoformat(value["at"]),
    }


def _certificate_to_json(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def _certificate_from_json(text: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(base64.b64decode(text))


def _item_to_json(item: RevocationItem) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "der": base64.b64encode(item.der).decode(),
        "this_update": item.this_update.isoformat(),
        "next_update": item.next_update.isoformat() if item.next_update else None,
        "source": item.source,
    }


def _item_from_json(value: Mapping[str, Any]) -> RevocationItem:
    return RevocationItem(
        kind=value["kind"],
        der=base64.b64decode(value["der"]),
        this_update=datetime.fromisoformat(value["this_update"]),
        next_update=_moment(value["next_update"]),
        source=value["source"],
    )


def _registered_to_json(signer: RegisteredSigner) -> dict[str, Any]:
    return {
        "sha256": signer.sha256,
        "role": signer.role.value,
        "valid_from": signer.valid_from.isoformat() if signer.valid_from else None,
        "valid_to": signer.valid_to.isoformat() if signer.valid_to else None,
    }


def _registered_from_json(value: Mapping[str, Any]) -> RegisteredSigner:
    return RegisteredSigner(
        sha256=value["sha256"],
        role=SignerRole(value["role"]),
        valid_from=_moment(value["valid_from"]),
        valid_to=_moment(value["valid_to"]),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
