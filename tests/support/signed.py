"""
Signed packages: by the gateway, by signxml, by libxmlsec1, and by hand, one piece at a time.

``handmade`` signs what it is told to, however strange, with a right digest and a right value:
so a hostile vector differs from a good package in the one thing that it is about.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree
from signxml import methods
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

from gateway.edxml import C14N
from gateway.model import Standing, Verdict
from gateway.signing.keys import SigningKey
from gateway.signing.policy import SignaturePolicy
from gateway.signing.sign import sign_package
from gateway.signing.trust import TrustAnchors
from gateway.signing.verify import judge, verify
from tests.support import documents, pki
from tests.support.judge import xmlsec_signs

DS = "http://www.w3.org/2000/09/xmldsig#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
SHA1 = DS + "sha1"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
ENVELOPED = DS + "enveloped-signature"
END_OF_HEADER = b"</edXML:edXMLHeader>"

ONLY_VALID = SignaturePolicy(accepted=frozenset({Standing.VALID}))
TOLERANT = SignaturePolicy(accepted=frozenset(Standing) - {Standing.INVALID}, tolerate_sha1=True)


def certificates(*keys: SigningKey) -> list[x509.Certificate]:
    """The certificates of some keys, as the directory would give them."""
    return [key.certificate for key in keys]


def verdict_on(
    raw: bytes | Path,
    spool: Path,
    *,
    sender: Sequence[SigningKey] | None = None,
    gateway: Sequence[SigningKey] = (),
    policy: SignaturePolicy = ONLY_VALID,
    anchors: TrustAnchors | None = None,
) -> Verdict:
    """Read and judge at ``pki.NOW``; the sender has registered both its keys unless told otherwise."""
    with documents.read(raw, spool) as package:
        return judge(
            package,
            sender=certificates(*((pki.agency(), pki.agency_ec()) if sender is None else sender)),
            gateway=certificates(*gateway),
            policy=policy,
            anchors=pki.anchors() if anchors is None else anchors,
            at=pki.NOW,
        )


def let_in(raw: bytes | Path, spool: Path, *, sender: Sequence[SigningKey] | None = None) -> None:
    """Read and verify as the gateway does; returns when the package is accepted as validly signed."""
    with documents.read(raw, spool) as package:
        verify(
            package,
            sender=certificates(*((pki.agency(), pki.agency_ec()) if sender is None else sender)),
            gateway=(),
            policy=ONLY_VALID,
            anchors=pki.anchors(),
            at=pki.NOW,
        )


def by_gateway(raw: bytes, key: SigningKey, *, c14n: C14N = C14N.EXCLUSIVE, prefix: str | None = "ds") -> bytes:
    """Signed by the code under test."""
    return sign_package(raw, key, c14n=c14n, prefix=prefix)


def by_xmlsec(
    raw: bytes,
    key: SigningKey,
    *,
    c14n: C14N = C14N.EXCLUSIVE,
    prefix: str | None = "ds",
    digest: object = xmlsec.constants.TransformSha256,
    method: object | None = None,
) -> bytes:
    """Signed by libxmlsec1."""

    transform = {
        C14N.EXCLUSIVE: xmlsec.constants.TransformExclC14N,
        C14N.INCLUSIVE_10: xmlsec.constants.TransformInclC14N,
        C14N.INCLUSIVE_11: xmlsec.constants.TransformInclC14N11,
    }[c14n]
    usual = (
        xmlsec.constants.TransformRsaSha256
        if isinstance(key.private, rsa.RSAPrivateKey)
        else xmlsec.constants.TransformEcdsaSha256
    )
    return xmlsec_signs(raw, key, c14n=transform, prefix=prefix, method=method or usual, digest=digest)


def by_signxml(raw: bytes, key: SigningKey, *, c14n: C14N = C14N.EXCLUSIVE, prefix: str | None = "ds") -> bytes:
    """Signed by signxml's own signer, where its placeholder element stands."""
    signer = XMLSigner(
        method=methods.enveloped,
        signature_algorithm=SignatureMethod(key.algorithm),
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod(c14n.value),
    )
    signer.namespaces = {prefix: DS}  # type: ignore[dict-item]  # None is lxml's default prefix, and signxml's own documentation uses it
    name, declaration = (f"{prefix}:Signature", f"xmlns:{prefix}") if prefix else ("Signature", "xmlns")
    mark = f'<{name} {declaration}="{DS}" Id="placeholder"/>'.encode()
    marked = etree.fromstring(raw.replace(END_OF_HEADER, mark + END_OF_HEADER))
    chain = certificates(key)
    return bytes(etree.tostring(signer.sign(marked, key=key.private, cert=chain), encoding="UTF-8"))  # type: ignore[arg-type]  # takes certificates too


def reference(
    raw: bytes,
    *,
    uri: str | None = "",
    transforms: Sequence[str] = (ENVELOPED, EXCLUSIVE),
    inside: str = "",
    digest_method: str = SHA256,
    digest: bytes | None = None,
    attributes: str = "",
) -> str:
    """One ``ds:Reference`` over ``raw``, right unless told otherwise; ``inside`` goes into the last transform."""
    if digest is None:
        root = etree.fromstring(raw)
        canonical = etree.tostring(root, method="c14n", exclusive=transforms[-1:] != [INCLUSIVE])
        digest = hashlib.new("sha1" if digest_method == SHA1 else "sha256", canonical).digest()
    chain = "".join(f'<ds:Transform Algorithm="{t}"/>' for t in transforms[:-1])
    chain += "".join(f'<ds:Transform Algorithm="{t}">{inside}</ds:Transform>' for t in transforms[-1:])
    return (
        "<ds:Reference"
        + ("" if uri is None else f' URI="{uri}"')
        + f"{attributes}><ds:Transforms>{chain}</ds:Transforms>"
        f'<ds:DigestMethod Algorithm="{digest_method}"/>'
        f"<ds:DigestValue>{base64.b64encode(digest).decode()}</ds:DigestValue></ds:Reference>"
    )


def handmade(
    raw: bytes,
    key: SigningKey,
    *,
    references: str | None = None,
    canonicalization: str = EXCLUSIVE,
    in_canonicalization: str = "",
    method: str | None = None,
    in_method: str = "",
    value: bytes | str | None = None,
    key_info: str | None = None,
    before: str = "",
    after: str = "",
    attributes: str = "",
) -> bytes:
    """A package with a signature put together piece by piece; right unless told otherwise."""
    signed_info = (
        f'<ds:SignedInfo xmlns:ds="{DS}"><ds:CanonicalizationMethod Algorithm="{canonicalization}">'
        f"{in_canonicalization}"
        f'</ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="{method or key.algorithm}">{in_method}'
        f"</ds:SignatureMethod>{reference(raw) if references is None else references}</ds:SignedInfo>"
    )
    if value is None:
        canonical = etree.tostring(etree.fromstring(signed_info), method="c14n", exclusive=True)
        value = sha1_value(key, canonical) if method == DS + "rsa-sha1" else key.sign(canonical)
    text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
    if key_info is None:
        key_info = named(key.certificate_der)
    signature = (
        f'<ds:Signature xmlns:ds="{DS}"{attributes}>{before}{signed_info}<ds:SignatureValue>{text}</ds:SignatureValue>'
        f"{key_info}{after}</ds:Signature>"
    )
    return raw.replace(END_OF_HEADER, signature.encode() + END_OF_HEADER)


def named(*ders: bytes) -> str:
    """A KeyInfo that names certificates."""
    inside = "".join(f"<ds:X509Certificate>{base64.b64encode(d).decode()}</ds:X509Certificate>" for d in ders)
    return f"<ds:KeyInfo><ds:X509Data>{inside}</ds:X509Data></ds:KeyInfo>"


def sha1_value(key: SigningKey, data: bytes) -> bytes:
    """RSA-SHA1, which the code under test never makes."""
    assert isinstance(key.private, rsa.RSAPrivateKey)
    return key.private.sign(data, padding.PKCS1v15(), hashes.SHA1())
