"""
The plain XML signature that is written: enveloped, over a whole document, already canonical.

It is put around a digest that has been computed elsewhere, so that signing costs one private-key
operation, whatever is signed. It is made in two steps, a :class:`SignatureDraft` with the bytes to be
signed and the element around their signature value, so that the key may be anywhere. XAdES is
``xades.py``'s.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.edxml.package import C14N
from gateway.signing.keys import Signer
from gateway.signing.policy import DS, ENVELOPED

_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"


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

    def signed(self, value: bytes) -> bytes:
        """
        The ``ds:Signature``, as canonical UTF-8.

        :param value: as :meth:`gateway.signing.keys.Signer.sign` gives it, over ``to_be_signed``; not checked here.
        """
        p = f"{self.prefix}:" if self.prefix else ""
        return (
            f"<{p}Signature {_declaration(self.prefix)}><{p}SignedInfo>{self.signed_info}"
            f"<{p}SignatureValue>{b64encode(value).decode()}</{p}SignatureValue>"
            f"<{p}KeyInfo><{p}X509Data><{p}X509Certificate>{self.certificate}"
            f"</{p}X509Certificate></{p}X509Data></{p}KeyInfo></{p}Signature>"
        ).encode()


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
    signed_info = (
        f'<{p}CanonicalizationMethod Algorithm="{c14n.value}"></{p}CanonicalizationMethod>'
        f'<{p}SignatureMethod Algorithm="{algorithm}"></{p}SignatureMethod>'
        f'<{p}Reference URI=""><{p}Transforms><{p}Transform Algorithm="{ENVELOPED}"></{p}Transform>'
        f'<{p}Transform Algorithm="{c14n.value}"></{p}Transform></{p}Transforms>'
        f'<{p}DigestMethod Algorithm="{_SHA256}"></{p}DigestMethod>'
        f"<{p}DigestValue>{b64encode(digest).decode()}</{p}DigestValue></{p}Reference></{p}SignedInfo>"
    )
    scope = _declaration(prefix) if c14n is C14N.EXCLUSIVE else _namespace_axis({**(namespaces or {}), prefix: DS})
    return SignatureDraft(
        to_be_signed=f"<{p}SignedInfo {scope}>{signed_info}",
        signed_info=signed_info,
        prefix=prefix,
        certificate=b64encode(certificate).decode(),
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
