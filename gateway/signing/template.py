"""
The signatures that are written: enveloped, over a whole document, already canonical.

A signature is put around a digest that has been computed elsewhere, so that signing costs one
private-key operation, whatever is signed. It is made in two steps, a :class:`SignatureDraft` with
the bytes to be signed and the element around their signature value, so that the key may be
anywhere. With properties it is XAdES (ETSI EN 319 132-1): level B as written, level T with a
time-stamp over its value.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.edxml.package import C14N
from gateway.errors import NotSignable
from gateway.signing.keys import Signer
from gateway.signing.policy import DS, ENVELOPED, SIGNED_PROPERTIES, XADES

_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_QUALIFYING_END = b"</xades:QualifyingProperties>"
_VALUE_BEGIN, _VALUE_END = b"<ds:SignatureValue>", b"</ds:SignatureValue>"


@dataclass(frozen=True, kw_only=True)
class SignatureDraft:
    """A signature that lacks its value; plain texts, so that it can be kept until somebody has signed."""

    to_be_signed: str
    """SignedInfo as canonicalisation makes it: its UTF-8 bytes are what the key signs."""
    signed_info: str
    """What stands inside SignedInfo, with its end."""
    prefix: str | None
    """Of the signature's namespace; ``None``: it is the default namespace."""
    certificate: str
    """Base64 of the signer's certificate, for KeyInfo."""
    identity: str | None = None
    """Id of the signature; only of XAdES."""
    properties: str | None = None
    """XAdES: SignedProperties in canonical form."""

    def signed(self, value: bytes, *, token: bytes | None = None) -> bytes:
        """
        The ``ds:Signature``, as canonical UTF-8.

        :param value: as :meth:`gateway.signing.keys.Signer.sign` gives it, over ``to_be_signed``; not checked here.
        :param token: DER of a time-stamp token over :meth:`stamped_part`; only for XAdES.
        """
        p = f"{self.prefix}:" if self.prefix else ""
        identity = f' Id="{self.identity}"' if self.identity else ""
        unsigned = _unsigned_properties(token) if token is not None else ""
        qualifying = (
            f'<{p}Object><xades:QualifyingProperties xmlns:xades="{XADES}" Target="#{self.identity}">'
            f"{self.properties}{unsigned}</xades:QualifyingProperties></{p}Object>"
            if self.properties
            else ""
        )
        return (
            f"<{p}Signature {_declaration(self.prefix)}{identity}><{p}SignedInfo>{self.signed_info}"
            f"<{p}SignatureValue>{b64encode(value).decode()}</{p}SignatureValue>"
            f"<{p}KeyInfo><{p}X509Data><{p}X509Certificate>{self.certificate}"
            f"</{p}X509Certificate></{p}X509Data></{p}KeyInfo>{qualifying}</{p}Signature>"
        ).encode()

    def stamped_part(self, value: bytes) -> bytes:
        """What a time-stamp authority is given to hash: SignatureValue in canonical form (EN 319 132-1 §5.3)."""
        return _canonical_value(b64encode(value))


def enveloped_signature(
    digest: bytes,
    key: Signer,
    *,
    c14n: C14N = C14N.EXCLUSIVE,
    prefix: str | None = "ds",
    namespaces: Mapping[str | None, str] | None = None,
) -> bytes:
    """A ``ds:Signature`` over a document with this digest, as canonical UTF-8; see :func:`draft_xmldsig`."""
    draft = draft_xmldsig(
        digest,
        algorithm=key.algorithm,
        certificate=key.certificate_der,
        c14n=c14n,
        prefix=prefix,
        namespaces=namespaces,
    )
    return draft.signed(key.sign(draft.to_be_signed.encode()))


def enveloped_xades(digest: bytes, key: Signer, *, at: datetime) -> bytes:
    """An XAdES-B ``ds:Signature`` over a document with this digest, as canonical UTF-8; see :func:`draft_xades`."""
    draft = draft_xades(digest, algorithm=key.algorithm, certificate=key.certificate_der, at=at)
    return draft.signed(key.sign(draft.to_be_signed.encode()))


def draft_xmldsig(
    digest: bytes,
    *,
    algorithm: str,
    certificate: bytes,
    c14n: C14N = C14N.EXCLUSIVE,
    prefix: str | None = "ds",
    namespaces: Mapping[str | None, str] | None = None,
) -> SignatureDraft:
    """
    A plain XML signature over a document with this digest.

    SignedInfo is canonical as written here, so its bytes are signed as they stand; only the
    namespace declarations that canonicalisation puts on it are added for signing.

    :param digest: SHA-256 of the document's canonical form without its signature.
    :param algorithm: SignatureMethod URI of the key that will sign.
    :param certificate: DER.
    :param c14n: how the document was canonicalised, and how SignedInfo is.
    :param prefix: of the signature's namespace; ``None`` makes it the default namespace.
    :param namespaces: in scope where the signature will stand (``None`` is the default one), free
        of characters that need escaping; inclusive canonicalisation writes all of them on
        SignedInfo, exclusive none.
    """
    p = f"{prefix}:" if prefix else ""
    signed_info = f"{_methods(p, c14n, algorithm)}{_document_reference(p, c14n, digest)}</{p}SignedInfo>"
    scope = _declaration(prefix) if c14n is C14N.EXCLUSIVE else _namespace_axis({**(namespaces or {}), prefix: DS})
    return SignatureDraft(
        to_be_signed=f"<{p}SignedInfo {scope}>{signed_info}",
        signed_info=signed_info,
        prefix=prefix,
        certificate=b64encode(certificate).decode(),
    )


def draft_xades(digest: bytes, *, algorithm: str, certificate: bytes, at: datetime) -> SignatureDraft:
    """
    An XAdES baseline B signature over a document with this digest.

    Two references: the whole document, and the properties that say when and by which certificate it
    was signed. Both name their canonicalisation: without that, what is digested would be the
    inclusive form of what surrounds the signature, on which implementations differ.

    :param digest: SHA-256 of the document's exclusive canonical form without its signature.
    :param algorithm: SignatureMethod URI of the key that will sign.
    :param certificate: DER.
    :param at: the signing time that the signature claims; aware, whole seconds are written.

    Source: ETSI EN 319 132-1 §6.3, level B.
    """
    # Names must differ from every other Id of the document; this one cannot have been known when that was written.
    moment = at.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    name = hashlib.sha256(digest + certificate + moment.encode()).hexdigest()[:24]
    identity, reference, properties_id = f"S-{name}", f"R-{name}", f"P-{name}"
    properties = (
        f'<xades:SignedProperties xmlns:xades="{XADES}" Id="{properties_id}"><xades:SignedSignatureProperties>'
        f"<xades:SigningTime>{moment}</xades:SigningTime><xades:SigningCertificateV2><xades:Cert><xades:CertDigest>"
        f'<ds:DigestMethod xmlns:ds="{DS}" Algorithm="{_SHA256}"></ds:DigestMethod>'
        f'<ds:DigestValue xmlns:ds="{DS}">{b64encode(hashlib.sha256(certificate).digest()).decode()}</ds:DigestValue>'
        "</xades:CertDigest></xades:Cert></xades:SigningCertificateV2></xades:SignedSignatureProperties>"
        f'<xades:SignedDataObjectProperties><xades:DataObjectFormat ObjectReference="#{reference}">'
        "<xades:MimeType>application/xml</xades:MimeType></xades:DataObjectFormat></xades:SignedDataObjectProperties>"
        "</xades:SignedProperties>"
    )
    c14n = C14N.EXCLUSIVE
    signed_info = (
        f"{_methods('ds:', c14n, algorithm)}{_document_reference('ds:', c14n, digest, identity=reference)}"
        f'<ds:Reference Type="{SIGNED_PROPERTIES}" URI="#{properties_id}"><ds:Transforms>'
        f'<ds:Transform Algorithm="{c14n.value}"></ds:Transform></ds:Transforms>'
        f"{_digest('ds:', hashlib.sha256(properties.encode()).digest())}</ds:Reference></ds:SignedInfo>"
    )
    return SignatureDraft(
        to_be_signed=f'<ds:SignedInfo xmlns:ds="{DS}">{signed_info}',
        signed_info=signed_info,
        prefix="ds",
        certificate=b64encode(certificate).decode(),
        identity=identity,
        properties=properties,
    )


def stamped_part(document: bytes) -> bytes:
    """
    What a time-stamp over the XAdES signature in this document covers, for the authority to hash.

    :param document: with one signature as :func:`draft_xades` writes it.
    :raises NotSignable: it holds none, or several.
    """
    begin, end = document.find(_VALUE_BEGIN), document.find(_VALUE_END)
    if document.count(_QUALIFYING_END) != 1 or document.count(_VALUE_END) != 1 or not 0 <= begin < end:
        raise NotSignable("There is not one XAdES signature in it that a time-stamp could be added to.")
    return _canonical_value(document[begin + len(_VALUE_BEGIN) : end])


def with_timestamp(document: bytes, token: bytes) -> bytes:
    """
    The document with a time-stamp added to its XAdES-B signature, which makes it XAdES-T; all else stays.

    :param document: as for :func:`stamped_part`.
    :param token: DER of a time-stamp token over that part; not checked here.
    :raises NotSignable: as :func:`stamped_part`, or it carries a time-stamp already.
    """
    stamped_part(document)
    if b"<xades:UnsignedProperties" in document:
        raise NotSignable("Its signature carries a time-stamp already.")
    return document.replace(_QUALIFYING_END, _unsigned_properties(token).encode() + _QUALIFYING_END)


def _canonical_value(base64: bytes) -> bytes:
    return b'<ds:SignatureValue xmlns:ds="%b">%b%b' % (DS.encode(), base64, _VALUE_END)


def _unsigned_properties(token: bytes) -> str:
    return (
        "<xades:UnsignedProperties><xades:UnsignedSignatureProperties><xades:SignatureTimeStamp>"
        f'<ds:CanonicalizationMethod Algorithm="{C14N.EXCLUSIVE.value}"></ds:CanonicalizationMethod>'
        f"<xades:EncapsulatedTimeStamp>{b64encode(token).decode()}</xades:EncapsulatedTimeStamp>"
        "</xades:SignatureTimeStamp></xades:UnsignedSignatureProperties></xades:UnsignedProperties>"
    )


def _methods(p: str, c14n: C14N, algorithm: str) -> str:
    return (
        f'<{p}CanonicalizationMethod Algorithm="{c14n.value}"></{p}CanonicalizationMethod>'
        f'<{p}SignatureMethod Algorithm="{algorithm}"></{p}SignatureMethod>'
    )


def _document_reference(p: str, c14n: C14N, digest: bytes, *, identity: str | None = None) -> str:
    named = f'Id="{identity}" ' if identity else ""
    return (
        f'<{p}Reference {named}URI=""><{p}Transforms><{p}Transform Algorithm="{ENVELOPED}"></{p}Transform>'
        f'<{p}Transform Algorithm="{c14n.value}"></{p}Transform></{p}Transforms>{_digest(p, digest)}</{p}Reference>'
    )


def _digest(p: str, digest: bytes) -> str:
    return (
        f'<{p}DigestMethod Algorithm="{_SHA256}"></{p}DigestMethod>'
        f"<{p}DigestValue>{b64encode(digest).decode()}</{p}DigestValue>"
    )


def _declaration(prefix: str | None) -> str:
    return f'xmlns:{prefix}="{DS}"' if prefix else f'xmlns="{DS}"'


def _namespace_axis(namespaces: Mapping[str | None, str]) -> str:
    """Declarations as C14N writes them: the default namespace first, then by prefix; ``xml`` never."""
    return " ".join(
        f'xmlns:{prefix}="{uri}"' if prefix else f'xmlns="{uri}"'
        for prefix, uri in sorted(namespaces.items(), key=lambda item: item[0] or "")
        if prefix != "xml"
    )
