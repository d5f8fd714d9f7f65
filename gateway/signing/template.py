"""
The one signature that is written: enveloped, over a whole document, already canonical.

It is put around a digest that has been computed elsewhere, so that signing costs one
private-key operation, whatever is signed.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

from gateway.edxml.package import C14N
from gateway.signing.keys import Signer
from gateway.signing.policy import DS, ENVELOPED

_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"


def enveloped_signature(
    digest: bytes,
    key: Signer,
    *,
    c14n: C14N = C14N.EXCLUSIVE,
    prefix: str | None = "ds",
    namespaces: Mapping[str | None, str] | None = None,
) -> bytes:
    """
    A ``ds:Signature`` over a document with this digest, as canonical UTF-8.

    SignedInfo is canonical as written here, so its bytes are signed as they stand; only the
    namespace declarations that canonicalisation puts on it are added for signing.

    :param digest: SHA-256 of the document's canonical form without its signature.
    :param c14n: how the document was canonicalised, and how SignedInfo is.
    :param prefix: of the signature's namespace; ``None`` makes it the default namespace.
    :param namespaces: in scope where the signature will stand (``None`` is the default one), free
        of characters that need escaping; inclusive canonicalisation writes all of them on
        SignedInfo, exclusive none.
    """
    p = f"{prefix}:" if prefix else ""
    declaration = f'xmlns:{prefix}="{DS}"' if prefix else f'xmlns="{DS}"'
    signed_info = (
        f'<{p}CanonicalizationMethod Algorithm="{c14n.value}"></{p}CanonicalizationMethod>'
        f'<{p}SignatureMethod Algorithm="{key.algorithm}"></{p}SignatureMethod>'
        f'<{p}Reference URI=""><{p}Transforms><{p}Transform Algorithm="{ENVELOPED}"></{p}Transform>'
        f'<{p}Transform Algorithm="{c14n.value}"></{p}Transform></{p}Transforms>'
        f'<{p}DigestMethod Algorithm="{_SHA256}"></{p}DigestMethod>'
        f"<{p}DigestValue>{b64encode(digest).decode()}</{p}DigestValue></{p}Reference></{p}SignedInfo>"
    )
    scope = declaration if c14n is C14N.EXCLUSIVE else _namespace_axis({**(namespaces or {}), prefix: DS})
    value = key.sign(f"<{p}SignedInfo {scope}>{signed_info}".encode())
    return (
        f"<{p}Signature {declaration}><{p}SignedInfo>{signed_info}"
        f"<{p}SignatureValue>{b64encode(value).decode()}</{p}SignatureValue>"
        f"<{p}KeyInfo><{p}X509Data><{p}X509Certificate>{b64encode(key.certificate_der).decode()}"
        f"</{p}X509Certificate></{p}X509Data></{p}KeyInfo></{p}Signature>"
    ).encode()


def _namespace_axis(namespaces: Mapping[str | None, str]) -> str:
    """Declarations as C14N writes them: the default namespace first, then by prefix; ``xml`` never."""
    return " ".join(
        f'xmlns:{prefix}="{uri}"' if prefix else f'xmlns="{uri}"'
        for prefix, uri in sorted(namespaces.items(), key=lambda item: item[0] or "")
        if prefix != "xml"
    )
