"""
Seals: what the gateway found in a package, signed apart from it (design D1).

The national axis re-serialises packages, so no signature on the envelope survives the way. A
seal names the hashes that do: of the package as received here, and of each unwrapped
attachment. It is a small XML manifest with an enveloped ``ds:Signature``, written directly in
canonical form, because a seal is made for every document before it is answered.
``schemas/seal.xsd`` is its schema.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from lxml import etree

from gateway.edxml.schema import compiled
from gateway.errors import DocumentError, EvidenceInvalid
from gateway.model import AgencyCode, Attachment, DocumentId, SignedBy, Standing, Verdict
from gateway.signing.engine import read_signed
from gateway.signing.form import Finding
from gateway.signing.keys import Signer
from gateway.signing.template import enveloped_signature

NAMESPACE = "urn:x-edxml-gateway:seal:1"

BYTES_MAX = 1024 * 1024
"""Largest seal that is read: 500 attachments and 5,000 recipients need half of it."""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})


@dataclass(frozen=True, kw_only=True)
class SealedAttachment:
    """One attachment as it was found."""

    content_id: str
    name: str
    size: int
    """Bytes, unwrapped."""
    sha256: str
    """Lower-case hex, unwrapped."""

    @classmethod
    def of(cls, attachment: Attachment) -> SealedAttachment:
        """What a seal says of an attachment."""
        return cls(
            content_id=attachment.content_id, name=attachment.name, size=attachment.size, sha256=attachment.sha256
        )


@dataclass(frozen=True, kw_only=True)
class SealFacts:
    """What a seal says."""

    id: str
    """The gateway's own id of the document."""
    gateway: AgencyCode
    document_id: DocumentId | None
    sender: AgencyCode
    recipients: tuple[AgencyCode, ...]
    sha256: str
    """Lower-case hex, of the package as received."""
    size: int
    """Bytes of the same."""
    attachments: tuple[SealedAttachment, ...]
    verdict: Verdict
    received_at: datetime
    """Aware UTC."""
    sealed_at: datetime
    """Aware UTC."""


def make_seal(facts: SealFacts, key: Signer) -> bytes:
    """
    The seal of one document: canonical UTF-8 XML with an enveloped signature.

    :raises EvidenceInvalid: a text of the facts holds a character that XML cannot carry.
    """
    manifest = f'<Seal xmlns="{NAMESPACE}">{"".join(_lines(facts))}</Seal>'.encode()
    end = len(manifest) - len("</Seal>")
    signature = enveloped_signature(hashlib.sha256(manifest).digest(), key)
    return manifest[:end] + signature + manifest[end:]


def check_seal(raw: bytes, certificate: x509.Certificate) -> SealFacts:
    """
    The facts of a seal that this certificate's key has signed.

    The certificate comes from the caller's configuration. Its validity is not judged: a seal
    outlives the certificate, and the time of sealing is in the facts.

    :param raw: as stored or received; not trusted, at most ``BYTES_MAX`` bytes.
    :raises EvidenceInvalid: signed by another key, changed, or not a seal.
    """
    if len(raw) > BYTES_MAX:
        raise EvidenceInvalid("The seal is larger than any seal is.")
    try:
        signed = read_signed(raw, certificate)
    except (Finding, DocumentError) as e:
        raise EvidenceInvalid("The seal is not signed with the key of this certificate.") from e
    if not compiled("seal.xsd").validate(signed):
        raise EvidenceInvalid("What is signed is not a seal.")
    return _read(signed)


def _lines(facts: SealFacts) -> Iterator[str]:
    """The manifest's elements, already in canonical form: no blanks, no attributes, escaped as C14N escapes."""
    yield _element("Id", facts.id)
    yield _element("Gateway", facts.gateway)
    if facts.document_id is not None:
        yield _element("DocumentId", facts.document_id)
    yield _element("Sender", facts.sender)
    yield "<Recipients>"
    for recipient in facts.recipients:
        yield _element("Recipient", recipient)
    yield f"</Recipients><Package>{_element('Sha256', facts.sha256)}{_element('Size', str(facts.size))}</Package>"
    yield "<Attachments>"
    for a in facts.attachments:
        yield f"<Attachment>{_element('ContentId', a.content_id)}{_element('Name', a.name)}"
        yield f"{_element('Sha256', a.sha256)}{_element('Size', str(a.size))}</Attachment>"
    yield "</Attachments><Verdict>"
    verdict = facts.verdict
    yield _element("Standing", verdict.standing)
    yield _element("Reason", verdict.reason)
    yield _element("JudgedAt", _moment(verdict.judged_at))
    for name, value in (
        ("SignedBy", verdict.signed_by),
        ("CertificateSha256", verdict.certificate_sha256),
        ("Subject", verdict.subject),
        ("SignatureMethod", verdict.signature_method),
        ("DigestMethod", verdict.digest_method),
        ("Canonicalization", verdict.canonicalization),
    ):
        if value is not None:
            yield _element(name, value)
    yield f"</Verdict>{_element('ReceivedAt', _moment(facts.received_at))}"
    yield _element("SealedAt", _moment(facts.sealed_at))


def _element(name: str, text: str) -> str:
    if _NOT_XML.search(text):
        raise EvidenceInvalid(f"{name} holds a character that XML cannot carry.")
    return f"<{name}>{text.translate(_TEXT)}</{name}>"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _read(seal: etree._Element) -> SealFacts:
    def text(path: str, within: etree._Element = seal) -> str | None:
        return within.findtext("/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/")))

    def given(path: str, within: etree._Element = seal) -> str:
        value = text(path, within)
        assert value is not None, f"the schema demands {path}"
        return value

    signed_by, document_id = text("Verdict/SignedBy"), text("DocumentId")
    return SealFacts(
        id=given("Id"),
        gateway=AgencyCode(given("Gateway")),
        document_id=None if document_id is None else DocumentId(document_id),
        sender=AgencyCode(given("Sender")),
        recipients=tuple(AgencyCode(r.text or "") for r in seal.iter(f"{{{NAMESPACE}}}Recipient")),
        sha256=given("Package/Sha256"),
        size=int(given("Package/Size")),
        attachments=tuple(
            SealedAttachment(
                content_id=given("ContentId", a),
                name=given("Name", a),
                size=int(given("Size", a)),
                sha256=given("Sha256", a),
            )
            for a in seal.iter(f"{{{NAMESPACE}}}Attachment")
        ),
        verdict=Verdict(
            standing=Standing(given("Verdict/Standing")),
            reason=given("Verdict/Reason"),
            judged_at=datetime.fromisoformat(given("Verdict/JudgedAt")),
            signed_by=None if signed_by is None else SignedBy(signed_by),
            certificate_sha256=text("Verdict/CertificateSha256"),
            subject=text("Verdict/Subject"),
            signature_method=text("Verdict/SignatureMethod"),
            digest_method=text("Verdict/DigestMethod"),
            canonicalization=text("Verdict/Canonicalization"),
        ),
        received_at=datetime.fromisoformat(given("ReceivedAt")),
        sealed_at=datetime.fromisoformat(given("SealedAt")),
    )
