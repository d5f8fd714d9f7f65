"""
Hostile packages about signatures, each differing from a good one in exactly one way.

``code`` is what must be answered: the reason of an ``invalid`` (or unsigned, or unverifiable)
verdict, or the code of the error that reading raises. Sources: spec traps found with signxml 5.2,
W3C best practices, the SAML wrapping families, ECDSA and base64 malleability.
"""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree

from gateway.edxml.names import QCVN
from gateway.signing import keys
from gateway.signing.keys import SigningKey
from gateway.signing.policy import Reason
from tests.support import documents, pki, signed
from tests.support.signed import DS, ENVELOPED, EXCLUSIVE, INCLUSIVE, MORE, handmade, reference

END = signed.END_OF_HEADER
SIGNATURE = re.compile(rb"<ds:Signature .*</ds:Signature>", re.DOTALL)
FORBIDDEN = "package.forbidden_markup"
MALFORMED = "package.malformed"
INVALID = "package.invalid"


@dataclass(frozen=True)
class Hostile:
    """One package that must not be accepted."""

    differs: str
    """In what way, as the test's id."""
    code: str
    make: Callable[[], bytes]
    sender: Sequence[Callable[[], SigningKey]] = (pki.agency, pki.agency_ec)
    """Whose certificates are registered."""


@functools.cache
def plain() -> bytes:
    """The good package before it is signed."""
    return documents.a_package()


@functools.cache
def good() -> bytes:
    """The good package: signed by its sender, RSA, exclusive, prefix ``ds``."""
    return signed.by_gateway(plain(), pki.agency())


def _signature() -> bytes:
    match = SIGNATURE.search(good())
    assert match is not None
    return match[0]


def _replaced(old: bytes, new: bytes, count: int = 1) -> Callable[[], bytes]:
    def make() -> bytes:
        assert old in good(), old
        return good().replace(old, new, count)

    return make


def _moved(before: bytes) -> Callable[[], bytes]:
    """The signature taken out of the header and put before some other text."""

    def make() -> bytes:
        without = good().replace(_signature(), b"")
        assert without.count(before) >= 1, before
        return without.replace(before, _signature() + before, 1)

    return make


def _by_hand(**parts: object) -> Callable[[], bytes]:
    return lambda: handmade(plain(), pki.agency(), **parts)  # type: ignore[arg-type]  # parts are handmade's own


def _referring(**parts: object) -> Callable[[], bytes]:
    return lambda: handmade(plain(), pki.agency(), references=reference(plain(), **parts))  # type: ignore[arg-type]  # as above


def _over(change: Callable[[bytes], bytes]) -> Callable[[], bytes]:
    """A strange package that its sender has signed rightly."""
    return lambda: handmade(change(plain()), pki.agency())


def _element(name: bytes) -> bytes:
    match = re.search(rb"<edXML:" + name + rb"\b.*?</edXML:" + name + rb">", plain(), re.DOTALL)
    assert match is not None
    return match[0]


def _value(
    change: Callable[[bytes], bytes | str], key: Callable[[], SigningKey] = pki.agency_ec
) -> Callable[[], bytes]:
    """A right signature whose value is then changed."""

    def make() -> bytes:
        package = handmade(plain(), key())
        old = re.search(rb"<ds:SignatureValue>([^<]*)<", package)
        assert old is not None
        new = change(base64.b64decode(old[1]))
        text = base64.b64encode(new) if isinstance(new, bytes) else new.encode()
        return package.replace(old[1], text)

    return make


def _der(value: bytes) -> bytes:
    half = len(value) // 2
    return encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))


def _hmac_with_the_public_key() -> bytes:
    """CVE-2025-48994's family: the registered public key as the HMAC's secret."""
    secret = (
        pki.agency()
        .certificate.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    method = MORE + "hmac-sha256"
    package = handmade(plain(), pki.agency(), method=method)
    signed_info = etree.fromstring(package).find(f".//{{{DS}}}SignedInfo")
    mac = hmac.HMAC(secret, hashes.SHA256())
    mac.update(etree.tostring(signed_info, method="c14n", exclusive=True))
    return handmade(plain(), pki.agency(), method=method, value=mac.finalize())


def _resigned_after_altering(key: Callable[[], SigningKey]) -> Callable[[], bytes]:
    return lambda: signed.by_gateway(documents.a_package(subject="V/v khác"), key())


def _wrapped() -> bytes:
    """The whole signed package inside another one that says something else."""
    inner = good()[good().index(b"<edXML ") :]
    return documents.a_package(subject="V/v khác").replace(b"</edXML>", inner + b"</edXML>")


def _two_headers(raw: bytes) -> bytes:
    header = re.search(rb"<edXML:edXMLHeader>.*</edXML:edXMLHeader>", raw, re.DOTALL)
    assert header is not None
    return raw.replace(header[0], header[0].replace(b"07-SA-VP", b"08-SA-VP") + header[0])


SMUGGLED = {
    "message-header": f'<e:MessageHeader xmlns:e="{QCVN}"><e:Subject>V/v khác</e:Subject></e:MessageHeader>',
    # The kit reads names with their prefix, and no namespaces.
    "message-header-by-prefix": f'<edXML:MessageHeader xmlns:edXML="{DS}"/>',
    "attachments-in-other-case": f'<attachmentencoded xmlns="{DS}"/>',
    "foreign-element": '<a xmlns="urn:x"/>',
}
"""What some reader would take for the package's own, or nobody knows; for places that no signature covers."""


def _key_info_with(element: str) -> str:
    """A KeyInfo that names the signer, and holds something else."""
    named = signed.named(pki.agency().certificate_der)
    return named.replace("</ds:KeyInfo>", f"<ds:KeyName>{element}</ds:KeyName></ds:KeyInfo>")


def _object(inside: str) -> str:
    return f'<ds:Object Id="o">{inside}</ds:Object>'


def _over_object_only() -> bytes:
    """Enveloping: only an Object inside the signature is covered."""
    inside = "<a xmlns='urn:x'/>"
    canonical = etree.tostring(
        etree.fromstring(f'<ds:Object xmlns:ds="{DS}" Id="o">{inside}</ds:Object>'), method="c14n", exclusive=True
    )
    digest = hashes.Hash(hashes.SHA256())
    digest.update(canonical)
    refers = reference(plain(), uri="#o", transforms=[EXCLUSIVE], digest=digest.finalize())
    return handmade(plain(), pki.agency(), references=refers, after=_object(inside))


def _manifest() -> str:
    return _object(f'<ds:Manifest Id="m">{reference(plain())}</ds:Manifest>')


def _inclusive_prefixes(listed: str, count: int = 1) -> str:
    return f'<ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="{listed}"/>' * count


def _prefixes_not_digested() -> bytes:
    """The list names a prefix whose declaration the digest leaves out."""
    raw = plain().replace(b"<edXML ", b'<edXML xmlns:x="urn:x" ', 1)
    return handmade(raw, pki.agency(), references=reference(raw, inside=_inclusive_prefixes("x")))


def _comment_in(text: bytes) -> bytes:
    return good().replace(text, text[:4] + b"<!-- -->" + text[4:], 1)


def _self_signed_as(name: x509.Name) -> bytes:
    """A stranger's certificate with the agency's own subject."""
    return signed.by_gateway(plain(), keys.make_ca(name, at=pki.NOW - pki.YEAR))


_XSLT = (
    '<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0">'
    '<xsl:template match="/"><xsl:value-of select="document(\'file:///etc/passwd\')"/></xsl:template></xsl:stylesheet>'
)
_XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
_XPATH_FILTER = "<ds:XPath>not(ancestor-or-self::*[local-name()='To'])</ds:XPath>"

HOSTILE: tuple[Hostile, ...] = (
    # The content is not what was signed.
    Hostile("subject-altered", Reason.DIGEST_MISMATCH, _replaced("V/v kiểm".encode(), "V/v đổi".encode())),
    Hostile("recipient-altered", Reason.DIGEST_MISMATCH, _replaced(b"H37.21", b"H37.22", 9)),
    Hostile("sender-altered", Reason.DIGEST_MISMATCH, _replaced(b"000.00.14.H37</", b"000.00.15.H37</", 1)),
    Hostile("recipient-added", Reason.DIGEST_MISMATCH, lambda: good().replace(_element(b"To"), _element(b"To") * 2, 1)),
    Hostile(
        "attachment-byte-altered",
        Reason.DIGEST_MISMATCH,
        lambda: re.sub(rb"(ContentTransferEncoded[^>]*>.{20}).", rb"\1A", good()),
    ),
    Hostile(
        "attachment-emptied",
        Reason.DIGEST_MISMATCH,
        lambda: re.sub(rb"(<edXML:ContentTransferEncoded[^>]*>)[^<]*", rb"\1", good()),
    ),
    Hostile(
        "hop-added", Reason.DIGEST_MISMATCH, _replaced(b"<edXML:Bussiness>", b"<edXML:TraceHeader/><edXML:Bussiness>")
    ),
    Hostile("blank-added", Reason.DIGEST_MISMATCH, _replaced(b"</AttachmentEncoded>", b" </AttachmentEncoded>")),
    Hostile("attribute-added", Reason.DIGEST_MISMATCH, _replaced(b"<edXML:edXMLBody>", b'<edXML:edXMLBody x="y">')),
    Hostile("text-behind-signature", Reason.DIGEST_MISMATCH, _replaced(b"</ds:Signature>", b"</ds:Signature>text")),
    Hostile(
        "prefix-renamed",
        Reason.DIGEST_MISMATCH,
        lambda: good().replace(b"edXML:", b"e:").replace(b"xmlns:edXML=", b"xmlns:e="),
    ),
    Hostile(
        "namespace-dropped",
        Reason.DIGEST_MISMATCH,
        _replaced(b'<edXML xmlns="http://www.mic.gov.vn/TBT/QCVN_102_2016"', b"<edXML"),
    ),
    Hostile(
        "namespace-of-signature-redeclared",
        Reason.FOREIGN_NAMESPACE,
        _replaced(DS.encode() + b'">', b'http://www.mic.gov.vn/TBT/QCVN_102_2016">'),
    ),
    Hostile(
        "relative-namespace",
        Reason.STRUCTURE,
        _replaced(b"<edXML:edXMLBody>", b'<edXML:edXMLBody xmlns:x="relative" x:y="">'),
    ),
    # It was signed by somebody else.
    Hostile(
        "resigned-by-another-agency", Reason.CERTIFICATE_NOT_REGISTERED, _resigned_after_altering(pki.other_agency)
    ),
    Hostile("resigned-by-a-stranger", Reason.CERTIFICATE_NOT_REGISTERED, _resigned_after_altering(pki.stranger)),
    Hostile(
        "resigned-under-the-same-name",
        Reason.CERTIFICATE_NOT_REGISTERED,
        lambda: _self_signed_as(pki.agency().certificate.subject),
    ),
    Hostile(
        "resigned-by-the-authority-itself",
        Reason.CERTIFICATE_NOT_REGISTERED,
        _resigned_after_altering(pki.intermediate),
    ),
    Hostile(
        "resigned-naming-the-sender",
        Reason.VALUE_MISMATCH,
        lambda: handmade(plain(), pki.other_agency(), key_info=signed.named(pki.agency().certificate_der)),
    ),
    Hostile(
        "resigned-naming-nobody", Reason.VALUE_MISMATCH, lambda: handmade(plain(), pki.other_agency(), key_info="")
    ),
    Hostile(
        "key-info-of-a-stranger",
        Reason.CERTIFICATE_NOT_REGISTERED,
        _by_hand(key_info=signed.named(pki.stranger().certificate_der)),
    ),
    Hostile(
        "key-value-of-a-stranger",
        Reason.STRUCTURE,
        lambda: handmade(plain(), pki.agency(), key_info=_rsa_key_value(pki.other_agency())),
    ),
    Hostile("key-value-without-parts", Reason.STRUCTURE, _by_hand(key_info="<ds:KeyInfo><ds:KeyValue/></ds:KeyInfo>")),
    Hostile(
        "key-info-not-a-certificate",
        Reason.CERTIFICATE_NOT_REGISTERED,
        _by_hand(key_info=signed.named(b"no certificate")),
    ),
    Hostile(
        "key-info-not-base64",
        Reason.STRUCTURE,
        _by_hand(
            key_info="<ds:KeyInfo><ds:X509Data><ds:X509Certificate>*</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
        ),
    ),
    Hostile(
        "key-info-by-retrieval",
        Reason.STRUCTURE,
        _by_hand(key_info='<ds:KeyInfo><ds:RetrievalMethod URI="http://127.0.0.1:9/"/></ds:KeyInfo>'),
    ),
    Hostile(
        "key-info-of-eleven", Reason.STRUCTURE, _by_hand(key_info=signed.named(*[pki.agency().certificate_der] * 11))
    ),
    *(
        Hostile(f"{what}-in-key-info", Reason.STRUCTURE, _by_hand(key_info=_key_info_with(element)))
        for what, element in SMUGGLED.items()
    ),
    Hostile(
        "value-of-another-package",
        Reason.DIGEST_MISMATCH,
        lambda: documents.a_package(subject="V/v khác").replace(END, _signature() + END),
    ),
    # The signature is gone, doubled, or elsewhere.
    Hostile("stripped", Reason.NONE, plain),
    Hostile(
        "emptied", Reason.STRUCTURE, lambda: plain().replace(END, f'<ds:Signature xmlns:ds="{DS}"/>'.encode() + END)
    ),
    Hostile(
        "stripped-to-the-kit-form",
        Reason.FOREIGN_NAMESPACE,
        lambda: good().replace(f' xmlns:ds="{DS}"'.encode(), b"").replace(b"ds:", b""),
    ),
    Hostile("moved-to-the-root", Reason.STRUCTURE, _moved(b"<AttachmentEncoded>")),
    Hostile("moved-before-the-envelope", Reason.STRUCTURE, _moved(b"<edXML:edXMLEnvelope")),
    Hostile("moved-into-the-envelope", Reason.STRUCTURE, _moved(b"<edXML:edXMLBody>")),
    Hostile("moved-into-the-body", Reason.STRUCTURE, _moved(b"<edXML:edXMLManifest")),
    Hostile("moved-into-the-message-header", Reason.STRUCTURE, _moved(b"<edXML:Subject>")),
    Hostile("moved-into-an-attachment", Reason.STRUCTURE, _moved(b"</Attachment>")),
    Hostile(
        "added-to-the-body",
        Reason.STRUCTURE,
        lambda: good().replace(b"<edXML:edXMLManifest", _signature() + b"<edXML:edXMLManifest", 1),
    ),
    Hostile(
        "object-without-a-signature",
        Reason.STRUCTURE,
        lambda: plain().replace(END, f'<ds:Object xmlns:ds="{DS}"/>'.encode() + END),
    ),
    Hostile("doubled", Reason.STRUCTURE, lambda: good().replace(END, _signature() + END)),
    Hostile(
        "another-agency-s-beside",
        Reason.STRUCTURE,
        lambda: good().replace(END, (SIGNATURE.search(handmade(plain(), pki.other_agency())) or [b""])[0] + END),
    ),
    Hostile("kit-form-beside", Reason.STRUCTURE, lambda: good().replace(END, b"<Signature/>" + END)),
    Hostile("inside-another-package", Reason.STRUCTURE, _wrapped),
    Hostile(
        "second-message-header",
        INVALID,
        _over(lambda raw: raw.replace(_element(b"MessageHeader"), _element(b"MessageHeader") * 2)),
    ),
    Hostile("second-header", INVALID, lambda: _two_headers(good())),
    Hostile(
        "second-envelope",
        INVALID,
        _over(lambda raw: raw.replace(b"<AttachmentEncoded>", b"<edXMLEnvelope/><AttachmentEncoded>")),
    ),
    Hostile(
        "header-of-another-namespace",
        Reason.STRUCTURE,
        _over(lambda raw: raw.replace(b"<edXML:edXMLBody>", b'<edXMLHeader xmlns="urn:x"/><edXML:edXMLBody>')),
    ),
    Hostile(
        "reference-loose-in-the-header",
        Reason.STRUCTURE,
        _over(lambda raw: raw.replace(END, f'<ds:Manifest xmlns:ds="{DS}"/>'.encode() + END)),
    ),
    Hostile(
        "duplicate-ids",
        Reason.STRUCTURE,
        _over(
            lambda raw: raw.replace(b"<edXML:From>", b'<edXML:From Id="a">').replace(
                b"<edXML:Subject>", b'<edXML:Subject ID="a">'
            )
        ),
    ),
    # It covers something else, or nothing.
    Hostile("object-only", Reason.STRUCTURE, _over_object_only),
    Hostile("object-beside", Reason.STRUCTURE, _by_hand(after=_object("<a xmlns='urn:x'/>"))),
    Hostile(
        "manifest",
        Reason.STRUCTURE,
        lambda: handmade(
            plain(),
            pki.agency(),
            references=reference(plain(), uri="#m", attributes=f' Type="{DS}Manifest"'),
            after=_manifest(),
        ),
    ),
    Hostile("no-reference", Reason.REFERENCE, _by_hand(references="")),
    Hostile(
        "two-references", Reason.REFERENCE, lambda: handmade(plain(), pki.agency(), references=reference(plain()) * 2)
    ),
    Hostile(
        "two-thousand-references",
        Reason.REFERENCE,
        lambda: handmade(plain(), pki.agency(), references=reference(plain()) * 2000),
    ),
    Hostile(
        "reference-to-an-id",
        Reason.REFERENCE,
        lambda: handmade(
            plain().replace(b"<edXML:edXMLBody>", b'<edXML:edXMLBody Id="b">'),
            pki.agency(),
            references=reference(plain(), uri="#b"),
        ),
    ),
    Hostile("reference-to-a-file", Reason.REFERENCE, _referring(uri="file:///etc/passwd")),
    Hostile("reference-to-a-host", Reason.REFERENCE, _referring(uri="http://127.0.0.1:9/x")),
    Hostile("reference-by-cid", Reason.REFERENCE, _referring(uri="cid:main")),
    Hostile("reference-by-xpointer", Reason.REFERENCE, _referring(uri="#xpointer(/)")),
    Hostile("reference-without-uri", Reason.REFERENCE, _referring(uri=None)),
    Hostile("reference-with-a-type", Reason.REFERENCE, _referring(attributes=f' Type="{DS}Object"')),
    # Transforms.
    Hostile(
        "transform-missing",
        Reason.TRANSFORM,
        lambda: handmade(
            plain(), pki.agency(), references=re.sub(r"<ds:Transforms>.*</ds:Transforms>", "", reference(plain()))
        ),
    ),
    Hostile("transforms-empty", Reason.TRANSFORM, _referring(transforms=())),
    Hostile("transform-not-enveloped", Reason.TRANSFORM, _referring(transforms=[EXCLUSIVE])),
    Hostile("transforms-in-wrong-order", Reason.TRANSFORM, _referring(transforms=[EXCLUSIVE, ENVELOPED])),
    Hostile("transforms-enveloped-twice", Reason.TRANSFORM, _referring(transforms=[ENVELOPED, ENVELOPED])),
    Hostile("transforms-three", Reason.TRANSFORM, _referring(transforms=[ENVELOPED, INCLUSIVE, EXCLUSIVE])),
    Hostile("transforms-many", Reason.TRANSFORM, _referring(transforms=[ENVELOPED, *[EXCLUSIVE] * 1000])),
    Hostile(
        "transform-xslt",
        Reason.TRANSFORM,
        _referring(transforms=[ENVELOPED, "http://www.w3.org/TR/1999/REC-xslt-19991116"], inside=_XSLT),
    ),
    Hostile("transform-xpath", Reason.TRANSFORM, _referring(transforms=[ENVELOPED, _XPATH], inside=_XPATH_FILTER)),
    Hostile(
        "transform-xpath-filter2",
        Reason.TRANSFORM,
        _referring(transforms=[ENVELOPED, "http://www.w3.org/2002/06/xmldsig-filter2"]),
    ),
    Hostile(
        "transform-decrypt",
        Reason.TRANSFORM,
        _referring(transforms=[ENVELOPED, "http://www.w3.org/2002/07/decrypt#XML"]),
    ),
    Hostile("transform-base64", Reason.TRANSFORM, _referring(transforms=[ENVELOPED, DS + "base64"])),
    Hostile(
        "transform-of-the-kit",
        Reason.TRANSFORM,
        _referring(transforms=[ENVELOPED, "http://www.w3.org/TR/xml-exc-c14n#"]),
    ),
    Hostile(
        "transform-with-comments", Reason.TRANSFORM, _referring(transforms=[ENVELOPED, EXCLUSIVE + "WithComments"])
    ),
    Hostile(
        "transform-c14n2", Reason.TRANSFORM, _referring(transforms=[ENVELOPED, "http://www.w3.org/2010/xml-c14n2"])
    ),
    Hostile("xpath-inside-enveloped", Reason.TRANSFORM, _referring(transforms=[ENVELOPED], inside=_XPATH_FILTER)),
    Hostile(
        "inclusive-prefixes-too-many",
        Reason.TRANSFORM,
        _referring(inside=_inclusive_prefixes(" ".join(f"p{i}" for i in range(17)))),
    ),
    Hostile("inclusive-prefixes-too-long", Reason.TRANSFORM, _referring(inside=_inclusive_prefixes("p" * 513))),
    Hostile("inclusive-prefixes-twice", Reason.TRANSFORM, _referring(inside=_inclusive_prefixes("edXML", 2))),
    Hostile(
        "inclusive-prefixes-of-inclusive-c14n",
        Reason.TRANSFORM,
        _referring(transforms=[ENVELOPED, INCLUSIVE], inside=_inclusive_prefixes("edXML")),
    ),
    Hostile("inclusive-prefixes-not-digested", Reason.DIGEST_MISMATCH, _prefixes_not_digested),
    # Algorithms.
    Hostile("hmac-with-the-public-key", Reason.ALGORITHM, _hmac_with_the_public_key),
    Hostile(
        "hmac-cut-to-zero",
        Reason.ALGORITHM,
        _by_hand(method=DS + "hmac-sha1", in_method="<ds:HMACOutputLength>0</ds:HMACOutputLength>", value=b""),
    ),
    Hostile(
        "output-length-for-rsa", Reason.STRUCTURE, _by_hand(in_method="<ds:HMACOutputLength>8</ds:HMACOutputLength>")
    ),
    Hostile("method-none", Reason.ALGORITHM, _by_hand(method="none")),
    Hostile(
        "method-empty",
        Reason.ALGORITHM,
        lambda: handmade(plain(), pki.agency()).replace(
            f'SignatureMethod Algorithm="{MORE}rsa-sha256"'.encode(), b"SignatureMethod"
        ),
    ),
    Hostile("method-md5", Reason.ALGORITHM, _by_hand(method=MORE + "rsa-md5")),
    Hostile("method-rsa-sha1", Reason.ALGORITHM, _by_hand(method=DS + "rsa-sha1")),
    Hostile("method-ecdsa-sha1", Reason.ALGORITHM, _by_hand(method=MORE + "ecdsa-sha1")),
    Hostile("method-dsa", Reason.ALGORITHM, _by_hand(method=DS + "dsa-sha1")),
    Hostile("method-pss", Reason.ALGORITHM, _by_hand(method="http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1")),
    Hostile("method-of-another-kind", Reason.VALUE_MISMATCH, _by_hand(method=MORE + "ecdsa-sha256")),
    Hostile(
        "method-of-another-digest",
        Reason.VALUE_MISMATCH,
        lambda: handmade(plain(), pki.agency()).replace(b"rsa-sha256", b"rsa-sha512"),
    ),
    Hostile("digest-sha1", Reason.ALGORITHM, _referring(digest_method=signed.SHA1)),
    Hostile("digest-md5", Reason.ALGORITHM, _referring(digest_method=MORE + "md5")),
    Hostile("digest-of-another-kind", Reason.DIGEST_MISMATCH, _referring(digest_method=MORE + "sha384")),
    Hostile("canonicalization-unknown", Reason.ALGORITHM, _by_hand(canonicalization="urn:none")),
    Hostile("canonicalization-with-comments", Reason.ALGORITHM, _by_hand(canonicalization=EXCLUSIVE + "WithComments")),
    Hostile("canonicalization-as-a-transform", Reason.ALGORITHM, _by_hand(canonicalization=_XPATH)),
    Hostile("canonicalization-with-xpath", Reason.TRANSFORM, _by_hand(in_canonicalization=_XPATH_FILTER)),
    # Values.
    Hostile("digest-empty", Reason.DIGEST_MISMATCH, _referring(digest=b"")),
    Hostile(
        "digest-cut",
        Reason.DIGEST_MISMATCH,
        lambda: handmade(plain(), pki.agency(), references=_cut_digest(reference(plain()))),
    ),
    Hostile("digest-not-base64", Reason.STRUCTURE, lambda: good().replace(b"<ds:DigestValue>", b"<ds:DigestValue>!")),
    Hostile(
        "digest-of-elements", Reason.STRUCTURE, lambda: good().replace(b"<ds:DigestValue>", b"<ds:DigestValue><a/>")
    ),
    Hostile("value-empty", Reason.VALUE_MISMATCH, _by_hand(value="")),
    Hostile(
        "value-missing", Reason.STRUCTURE, lambda: re.sub(rb"<ds:SignatureValue>.*</ds:SignatureValue>", b"", good())
    ),
    Hostile("value-garbage", Reason.STRUCTURE, _by_hand(value="£$%^&amp;*()")),
    Hostile(
        "value-with-a-tail",
        Reason.STRUCTURE,
        lambda: good().replace(b"</ds:SignatureValue>", b"QUJD</ds:SignatureValue>"),
    ),
    Hostile("value-zeros", Reason.VALUE_MISMATCH, _by_hand(value=bytes(256))),
    Hostile("value-ones", Reason.VALUE_MISMATCH, _by_hand(value=b"\xff" * 256)),
    Hostile("value-one", Reason.VALUE_MISMATCH, _by_hand(value=bytes(255) + b"\x01")),
    Hostile("value-huge", Reason.STRUCTURE, _by_hand(value=b"\x01" * 4096)),
    Hostile("value-flipped", Reason.VALUE_MISMATCH, _value(lambda v: v[:-1] + bytes([v[-1] ^ 1]), pki.agency)),
    Hostile("ecdsa-in-der", Reason.VALUE_MISMATCH, _value(_der)),
    Hostile("ecdsa-r-zero", Reason.VALUE_MISMATCH, _value(lambda v: bytes(32) + v[32:])),
    Hostile("ecdsa-s-zero", Reason.VALUE_MISMATCH, _value(lambda v: v[:32] + bytes(32))),
    Hostile("ecdsa-both-zero", Reason.VALUE_MISMATCH, _value(lambda v: bytes(64))),
    Hostile("ecdsa-r-and-s-order", Reason.VALUE_MISMATCH, _value(lambda v: _P256_ORDER * 2)),
    Hostile("ecdsa-cut", Reason.VALUE_MISMATCH, _value(lambda v: v[:63])),
    Hostile("ecdsa-lengthened", Reason.VALUE_MISMATCH, _value(lambda v: b"\x00" + v[:32] + b"\x00" + v[32:])),
    Hostile("ecdsa-swapped", Reason.VALUE_MISMATCH, _value(lambda v: v[32:] + v[:32])),
    Hostile(
        "signed-info-altered",
        Reason.VALUE_MISMATCH,
        lambda: good().replace(b"<ds:SignedInfo>", b'<ds:SignedInfo Id="x">'),
    ),
    Hostile(
        "signed-info-twice",
        Reason.STRUCTURE,
        lambda: good().replace(
            b"<ds:SignatureValue>",
            re.search(rb"<ds:SignedInfo>.*</ds:SignedInfo>", good(), re.DOTALL)[0] + b"<ds:SignatureValue>",
        ),
    ),  # type: ignore[index]  # it is there
    Hostile(
        "signed-info-out-of-order", Reason.STRUCTURE, _by_hand(before="<ds:SignatureValue>QUJD</ds:SignatureValue>")
    ),
    Hostile("text-inside-signature", Reason.STRUCTURE, _by_hand(after="QUJD")),
    Hostile(
        "text-inside-key-info", Reason.STRUCTURE, _replaced(b"</ds:X509Certificate>", b"</ds:X509Certificate>text")
    ),
    Hostile("unknown-child-of-signature", Reason.STRUCTURE, _by_hand(after="<x xmlns='urn:x'/>")),
    Hostile("unknown-attribute-of-signature", Reason.STRUCTURE, _by_hand(attributes=' x="y"')),
    # Certificates that are registered and still not good enough.
    Hostile(
        "certificate-expired",
        Reason.CERTIFICATE_EXPIRED,
        lambda: signed.by_gateway(plain(), pki.expired()),
        (pki.expired,),
    ),
    Hostile(
        "certificate-not-yet-valid",
        Reason.CERTIFICATE_NOT_YET_VALID,
        lambda: signed.by_gateway(plain(), pki.not_yet_valid()),
        (pki.not_yet_valid,),
    ),
    Hostile(
        "certificate-untrusted",
        Reason.CERTIFICATE_UNTRUSTED,
        lambda: signed.by_gateway(plain(), pki.stranger()),
        (pki.stranger,),
    ),
    Hostile("certificate-weak", Reason.KEY_TOO_SMALL, lambda: signed.by_gateway(plain(), pki.weak()), (pki.weak,)),
    Hostile(
        "certificate-for-enciphering",
        Reason.CERTIFICATE_USAGE,
        lambda: signed.by_gateway(plain(), pki.wrong_usage()),
        (pki.wrong_usage,),
    ),
    Hostile(
        "certificate-of-an-authority",
        Reason.CERTIFICATE_USAGE,
        lambda: signed.by_gateway(plain(), pki.authority_as_signer()),
        (pki.authority_as_signer,),
    ),
    Hostile(
        "certificate-expired-unnamed",
        Reason.CERTIFICATE_EXPIRED,
        lambda: handmade(plain(), pki.expired(), key_info=""),
        (pki.expired,),
    ),
    # Markup that no signature covers.
    Hostile("comment-in-the-sender-s-code", Reason.COMMENTS, lambda: _comment_in(b"000.00.14.H37</edXML:OrganId>")),
    Hostile(
        "comment-in-the-content",
        Reason.COMMENTS,
        lambda: re.sub(rb"(ContentTransferEncoded[^>]*>....)", rb"\1<!---->", good()),
    ),
    Hostile("comment-in-signed-info", Reason.COMMENTS, _replaced(b"<ds:SignedInfo>", b"<ds:SignedInfo><!-- -->")),
    Hostile("comment-before-the-root", Reason.COMMENTS, lambda: good().replace(b"<edXML ", b"<!-- --><edXML ", 1)),
    Hostile("comment-behind-the-root", Reason.COMMENTS, lambda: good() + b"<!-- -->"),
    Hostile("instruction-before-the-root", FORBIDDEN, lambda: good().replace(b"<edXML ", b"<?x y?><edXML ", 1)),
    Hostile("instruction-inside", FORBIDDEN, _replaced(b"<edXML:edXMLBody>", b"<?x y?><edXML:edXMLBody>")),
    Hostile("doctype", FORBIDDEN, lambda: good().replace(b"<edXML ", b"<!DOCTYPE edXML><edXML ", 1)),
    Hostile(
        "entity-for-the-code",
        FORBIDDEN,
        lambda: good().replace(b"<edXML ", b'<!DOCTYPE edXML [<!ENTITY c "000.00.14.H37">]><edXML ', 1),
    ),
    Hostile("second-root", MALFORMED, lambda: good() + b"<edXML/>"),
    Hostile("prefix-undeclared", Reason.PLACEHOLDER, _replaced(b"<edXML:edXMLBody>", b'<edXML:edXMLBody x:y="">')),
)

_P256_ORDER = bytes.fromhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")


def _cut_digest(text: str) -> str:
    digest = re.search(r"<ds:DigestValue>([^<]*)<", text)
    assert digest is not None
    return text.replace(digest[1], base64.b64encode(base64.b64decode(digest[1])[:16]).decode())


def _rsa_key_value(key: SigningKey) -> str:
    numbers = key.private.public_key().public_numbers()
    modulus = base64.b64encode(numbers.n.to_bytes(256, "big")).decode()
    return (
        f"<ds:KeyInfo><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus>"
        "<ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo>"
    )
