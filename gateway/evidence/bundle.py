"""
The evidence file of one document: everything that proves what became of it, in one ASiC-E container.

It is made so that a stranger can judge it in ten years with the root certificates alone: the package as received, the
seal with a time-stamp, receipts, statuses, what the log proves, the certificates and the answers about their
revocation, and a page for people. The gateway signs all parts together; ``evidence/offline.py`` judges.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.evidence import container
from gateway.evidence.chain import EventProof
from gateway.evidence.container import ContainerWriter, media_type_of
from gateway.evidence.points import Words
from gateway.signing import xades
from gateway.signing.keys import Signer
from gateway.signing.xades import XadesSignature

FACTS: Final = "evidence.json"
PACKAGE: Final = "package.edxml"
SEAL: Final = "seal.xml"
RECEIPT: Final = "receipt.json"
PROOFS: Final = "log/proofs.json"
STATUSES: Final = "statuses"
OPERATIONS: Final = "operations"

KIND: Final = "gateway evidence"
VERSION: Final = 1

_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n<asic:XAdESSignatures xmlns:asic="http://uri.etsi.org/02918/v1.2.1#">'
_TAIL = b"</asic:XAdESSignatures>\n"

Content = Callable[[], Iterator[bytes]]
"""Opens some bytes anew and gives them in pieces."""

Stamper = Callable[[bytes], bytes | None]
"""``stamp(digest)``: an RFC 3161 token over a SHA-256, DER; ``None``: no authority is configured, or none answers."""


@dataclass(frozen=True, kw_only=True)
class SealedPackage:
    """A package with what was given for it."""

    content: Content
    """As received."""
    seal: bytes
    receipt: str
    """JSON, as it was answered and is stored."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What an evidence file is made of."""

    facts: Mapping[str, Any]
    """What ``evidence.json`` says, besides what :func:`write_bundle` adds; the page is made from it, too."""
    document: SealedPackage
    """Its seal with a time-stamp, where there is one."""
    statuses: Sequence[SealedPackage] = ()
    """The packages that reported on the document, in the order of ``facts["statuses"]``."""
    operations: Sequence[SealedPackage] = ()
    """The packages that recalled, updated or replaced the document, in the order of ``facts["operations"]``."""
    certificates: Sequence[x509.Certificate] = ()
    """Of signers and authorities: hints for paths, believed for nothing."""
    revocation: Sequence[tuple[str, bytes]] = ()
    """CRLs (``crl``) and OCSP answers (``ocsp``), DER."""
    proofs: Sequence[EventProof] = ()
    """Of the document's events, in order."""


def write_bundle(
    out: BinaryIO, contents: Contents, *, signer: Signer, stamp: Stamper, words: Words, at: datetime
) -> None:
    """
    Write an evidence file; nothing large is held.

    :param out: seekable; closed by the caller.
    :param signer: the gateway's present key.
    :param stamp: asked once, for the signature over all parts.
    :param words: how states and verdicts are called, for the page.
    :param at: the moment of making it, aware.
    :raises EvidenceTooLarge: a container cannot hold as much.
    """
    # Here and not above: whoever only reads evidence needs no library that draws pages.
    from gateway.evidence import report  # noqa: PLC0415

    writer = ContainerWriter(out)
    facts = {"kind": KIND, "version": VERSION, "made_with": report.MADE_WITH, **contents.facts}
    writer.add(FACTS, [_json(facts)])
    writer.add(PACKAGE, contents.document.content())
    writer.add(SEAL, [contents.document.seal])
    writer.add(RECEIPT, [contents.document.receipt.encode()])
    for folder, packages in ((STATUSES, contents.statuses), (OPERATIONS, contents.operations)):
        for number, package in enumerate(packages, start=1):
            writer.add(part_beside(folder, number, "edxml"), package.content())
            writer.add(part_beside(folder, number, "seal.xml"), [package.seal])
            writer.add(part_beside(folder, number, "receipt.json"), [package.receipt.encode()])
    _add_proofs(writer, contents.proofs)
    for certificate in dict.fromkeys(contents.certificates):
        der = certificate.public_bytes(Encoding.DER)
        writer.add(f"certificates/{_name(der)}.cer", [der])
    for kind, der in dict.fromkeys(contents.revocation):
        writer.add(f"revocation/{_name(der)}.{'crl' if kind == 'crl' else 'ors'}", [der])
    for language in report.LANGUAGES:
        writer.add(f"page.{language}.html", [report.as_html(facts, language, words)])
        writer.add(f"page.{language}.pdf", [report.as_pdf(facts, language, words)])
    _sign(writer, signer, stamp, at)
    writer.close()


def part_beside(folder: str, number: int, kind: str) -> str:
    """Name of one part of the n-th status or operation."""
    return f"{folder}/{number:04d}.{kind}"


def signature_part(signature: XadesSignature) -> bytes:
    """``META-INF/signatures.xml`` around one signature (EN 319 162-1 §A.5)."""
    return _HEAD + signature.render() + _TAIL


def read_signature_part(raw: bytes) -> XadesSignature:
    """
    The signature in ``META-INF/signatures.xml``.

    :raises EvidenceInvalid: it is not, byte for byte, as :func:`signature_part` writes it.
    """
    inside = raw.removeprefix(_HEAD).removesuffix(_TAIL)
    signature = xades.read(inside)
    if signature_part(signature) != raw:
        raise xades.not_ours()
    return signature


def signed_parts(names: Sequence[str]) -> list[str]:
    """The parts that the gateway's signature must cover: all but those that follow from the names, and itself."""
    return [n for n in names if n not in (container.MIMETYPE, container.MANIFEST, container.SIGNATURES)]


def _sign(writer: ContainerWriter, signer: Signer, stamp: Stamper, at: datetime) -> None:
    names = signed_parts(list(writer.digests))
    references = [xades.Reference(uri=n, digest=writer.digests[n], media_type=media_type_of(n)) for n in names]
    signature = xades.sign(references, signer, at=at)
    token = stamp(hashlib.sha256(signature.stamped_bytes()).digest())
    writer.add(container.MANIFEST, [container.manifest_of(names)])
    writer.add(container.SIGNATURES, [signature_part(signature if token is None else signature.stamped(token))])


def _add_proofs(writer: ContainerWriter, proofs: Sequence[EventProof]) -> None:
    """
    The events with their proofs; statements and tokens are files of their own.

    Several events share a token, and ``openssl ts -verify -data`` wants both as files.
    """
    stamps: dict[tuple[str | None, bytes | None], str | None] = {(None, None): None}
    written = []
    for proof in proofs:
        key = (proof.statement, proof.token)
        if key not in stamps and proof.statement is not None and proof.token is not None:
            stamps[key] = name = f"log/statement-{len(stamps)}"
            writer.add(f"{name}.json", [proof.statement.encode()])
            writer.add(f"{name}.tsr", [proof.token])
        written.append({**proof.as_json(), "statement": None, "token": None, "stamp": stamps[key]})
    writer.add(PROOFS, [_json(written)])


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()


def _name(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()[:32]
