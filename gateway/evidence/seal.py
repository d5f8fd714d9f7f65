"""
Seals: what the gateway found in a package, signed apart from it (design D1).

The national axis re-serialises packages, so no signature on the envelope survives the way. A
seal names the hashes that do: of the package as received here, and of each unwrapped
attachment. It is a small XML manifest with an enveloped XAdES signature, written directly in
canonical form, because a seal is made for every document before it is answered. A time-stamp can be
put into it later (XAdES-T), which changes nothing that was signed. ``schemas/seal2.xsd`` is its schema;
seals of the first form (``seal.xsd``, plain XML-DSig) are read and never written.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509
from lxml import etree

from gateway.edxml.schema import compiled
from gateway.errors import DocumentError, EvidenceInvalid
from gateway.model import AgencyCode, Attachment, DocumentId, SignedBy, Standing, Verdict
from gateway.signing.engine import read_signed
from gateway.signing.form import Finding
from gateway.signing.keys import Signer
from gateway.signing.xades import ENVELOPED_XML, Reference, XadesSignature, read, sign

NAMESPACE = "urn:x-edxml-gateway:seal:2"
FIRST_NAMESPACE = "urn:x-edxml-gateway:seal:1"
"""Of seals with a plain XML-DSig signature, as they were made before there were time-stamps."""

MEDIA_TYPE = "application/xml"

BYTES_MAX = 1024 * 1024
"""Largest seal that is read: 500 attachments and 5,000 recipients need half of it."""

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
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


@dataclass(frozen=True, kw_only=True)
class Seal:
    """A seal of the present form, taken apart; whose key signed it is still to be checked."""

    facts: SealFacts
    signature: XadesSignature

    def check(self, certificate: x509.Certificate) -> None:
        """
        Check the signature with one certificate's key.

        :raises EvidenceInvalid: signed by another key.
        """
        self.signature.check(certificate)

    def render(self) -> bytes:
        """The seal as stored: canonical UTF-8 XML."""
        return _around(_manifest(self.facts), self.signature)

    def stamped(self, token: bytes) -> Seal:
        """The same with a time-stamp over its signature; the token is not checked here."""
        return replace(self, signature=self.signature.stamped(token))

    def unstamped(self) -> Seal:
        """As it was made at acceptance."""
        return replace(self, signature=replace(self.signature, token=None))


def make_seal(facts: SealFacts, key: Signer) -> bytes:
    """
    The seal of one document: canonical UTF-8 XML with an enveloped XAdES signature of baseline B.

    :raises EvidenceInvalid: a text of the facts holds a character that XML cannot carry.
    """
    manifest = _manifest(facts)
    return _around(manifest, sign([_reference(manifest)], key, at=facts.sealed_at))


def read_seal(raw: bytes) -> Seal:
    """
    A seal of the present form, whose digests hold; ``Seal.check`` says whose key signed it.

    :param raw: as stored or received; not trusted, at most ``BYTES_MAX`` bytes.
    :raises EvidenceInvalid: it is not, byte for byte, a seal as this program writes them, or was changed.
    """
    if len(raw) > BYTES_MAX:
        raise EvidenceInvalid("The seal is larger than any seal is.")
    # No text holds a "<", so the signature begins where it seems to.
    head, found, tail = raw.partition(b"<ds:Signature ")
    manifest = head + b"</Seal>"
    if not found or not tail.endswith(b"</Seal>"):
        raise EvidenceInvalid("What is signed is not a seal.")
    signature = read(found + tail.removesuffix(b"</Seal>"))
    facts = _facts(manifest)
    if _manifest(facts) != manifest or signature.references != (_reference(manifest),):
        raise EvidenceInvalid("The seal was changed after it was signed.")
    return Seal(facts=facts, signature=signature)


def check_seal(raw: bytes, certificate: x509.Certificate) -> SealFacts:
    """
    The facts of a seal of either form that this certificate's key has signed.

    The certificate comes from the caller's configuration. Its validity is not judged: a seal
    outlives the certificate, and the time of sealing is in the facts.

    :param raw: as stored or received; not trusted, at most ``BYTES_MAX`` bytes.
    :raises EvidenceInvalid: signed by another key, changed, or not a seal.
    """
    if not raw.startswith(f'<Seal xmlns="{FIRST_NAMESPACE}"'.encode()):
        seal = read_seal(raw)
        seal.check(certificate)
        return seal.facts
    if len(raw) > BYTES_MAX:
        raise EvidenceInvalid("The seal is larger than any seal is.")
    try:
        signed = read_signed(raw, certificate)
    except (Finding, DocumentError) as e:
        raise EvidenceInvalid("The seal is not signed with the key of this certificate.") from e
    if not compiled("seal.xsd").validate(signed):
        raise EvidenceInvalid("What is signed is not a seal.")
    return _read(signed, FIRST_NAMESPACE)


def _reference(manifest: bytes) -> Reference:
    """What a seal's signature says of the manifest around it."""
    digest = hashlib.sha256(manifest).digest()
    return Reference(uri="", digest=digest, media_type=MEDIA_TYPE, transforms=ENVELOPED_XML)


def _manifest(facts: SealFacts) -> bytes:
    return f'<Seal xmlns="{NAMESPACE}">{"".join(_lines(facts))}</Seal>'.encode()


def _around(manifest: bytes, signature: XadesSignature) -> bytes:
    end = len(manifest) - len("</Seal>")
    return manifest[:end] + signature.render() + manifest[end:]


def _facts(manifest: bytes) -> SealFacts:
    try:
        # No Guard is needed: what is not written as this program writes it is refused right after.
        root = etree.fromstring(manifest, _PARSER)
    except etree.LxmlError as e:
        raise EvidenceInvalid("What is signed is not a seal.") from e
    if not compiled("seal2.xsd").validate(root):
        raise EvidenceInvalid("What is signed is not a seal.")
    return _read(root, NAMESPACE)


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
        ("Revocation", verdict.revocation),
        ("RevokedAt", None if verdict.revoked_at is None else _moment(verdict.revoked_at)),
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


def _read(seal: etree._Element, namespace: str) -> SealFacts:
    def text(path: str, within: etree._Element = seal) -> str | None:
        return within.findtext("/".join(f"{{{namespace}}}{step}" for step in path.split("/")))

    def given(path: str, within: etree._Element = seal) -> str:
        value = text(path, within)
        assert value is not None, f"the schema demands {path}"
        return value

    signed_by, document_id = text("Verdict/SignedBy"), text("DocumentId")
    revoked_at = text("Verdict/RevokedAt")
    return SealFacts(
        id=given("Id"),
        gateway=AgencyCode(given("Gateway")),
        document_id=None if document_id is None else DocumentId(document_id),
        sender=AgencyCode(given("Sender")),
        recipients=tuple(AgencyCode(r.text or "") for r in seal.iter(f"{{{namespace}}}Recipient")),
        sha256=given("Package/Sha256"),
        size=int(given("Package/Size")),
        attachments=tuple(
            SealedAttachment(
                content_id=given("ContentId", a),
                name=given("Name", a),
                size=int(given("Size", a)),
                sha256=given("Sha256", a),
            )
            for a in seal.iter(f"{{{namespace}}}Attachment")
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
            revocation=text("Verdict/Revocation"),
            revoked_at=None if revoked_at is None else datetime.fromisoformat(revoked_at),
        ),
        received_at=datetime.fromisoformat(given("ReceivedAt")),
        sealed_at=datetime.fromisoformat(given("SealedAt")),
    )
