"""
signxml as the engine for SignedInfo and SignatureValue, and for whole small documents.

Given a package, signxml would parse it four times, hold it six times over, and stop at 10 MB of
text. So for packages only the two of its steps are called that do the cryptographic work:
canonicalising SignedInfo and checking a value with a certificate's key. The digest of the document
was computed while it was read. ``tests/unit/signing/test_engine.py`` fails when a new signxml
does these steps otherwise.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Callable

import cryptography.exceptions
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidDigest, InvalidSignature, SignXMLException
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from gateway.edxml.limits import Limits
from gateway.edxml.package import C14N
from gateway.edxml.parser import Guard, parse, pieces, read_prolog
from gateway.signing.form import EnvelopedSignature, Finding, Reference, SignedProperties, read_signature
from gateway.signing.policy import DS, Reason, SignaturePolicy

# What signxml 5.2 lets through besides its own exceptions, each seen with a hostile input
# (spec/security.md trap 6): parser and schema errors, bad base64, bad key values.
_LEAKS = (etree.LxmlError, binascii.Error, TypeError, ValueError, NotImplementedError, KeyError, x509.InvalidVersion)

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


# The two steps keep nothing on the instance, so one serves all threads.
_STEPS = XMLVerifier()


def check(
    signature: EnvelopedSignature, certificate: x509.Certificate, *, read: Callable[[etree._Element], Reference]
) -> None:
    """
    Check SignedInfo's signature with one registered certificate's key.

    The document's digest must have been compared with ``signature.reference`` before; here the same
    references are read again out of the bytes whose signature has just verified, and the digest of
    XAdES' own properties is compared.

    :param certificate: judged to be good at the moment of receipt; only its key matters here.
    :param read: how a ``ds:Reference`` is read.
    :raises Finding: it does not verify.
    """
    try:
        canonical = _canonical(signature)
        _STEPS._verify_signature_with_pubkey(
            signed_info_c14n=canonical,
            raw_signature=signature.value,
            signature_alg=SignatureMethod[signature.method_name],
            signing_certificate=certificate,
        )
        if signature.key_value is not None:
            # KeyInfo proves nothing; but a KeyValue that is another key is a contradiction.
            _match_key_value(signature, certificate)
        verified = etree.fromstring(canonical, _PARSER)
    except cryptography.exceptions.InvalidSignature as e:
        raise Finding(Reason.VALUE_MISMATCH) from e
    except (SignXMLException, *_LEAKS) as e:
        raise Finding(Reason.STRUCTURE) from e
    references = [read(r) for r in verified.iterchildren(f"{{{DS}}}Reference")]
    if len(references) != len(signature.references) or set(references) != signature.references:
        raise Finding(Reason.DIGEST_MISMATCH)
    if signature.properties is not None:
        _check_properties(signature.properties, certificate)


def _check_properties(properties: SignedProperties, certificate: x509.Certificate) -> None:
    """
    See that XAdES' properties are what was signed, and mean the certificate whose key verified.

    Another certificate for the same key may name another holder (ETSI EN 319 132-1 §5.2.2).
    """
    wanted = properties.reference
    try:
        canonical = _c14n(_alone(properties.element), wanted.c14n.value, wanted.prefixes)
    except (SignXMLException, *_LEAKS) as e:
        raise Finding(Reason.STRUCTURE) from e
    if not hmac.compare_digest(hashlib.new(wanted.hash_name, canonical).digest(), wanted.digest):
        raise Finding(Reason.DIGEST_MISMATCH)
    for name, digest in properties.certificate_digests[:1]:
        if hashlib.new(name, certificate.public_bytes(Encoding.DER)).digest() != digest:
            raise Finding(Reason.CERTIFICATE_NOT_REGISTERED)


def _canonical(signature: EnvelopedSignature) -> bytes:
    """
    The canonical form of SignedInfo, from a fresh parse where that matters.

    C14N on a sub-element writes stray ``xmlns=""`` when the signature has its namespace as
    the default one, which is just the published form (signxml #193, #275), and knows nothing of the
    ancestors' namespaces. Once SignedInfo is a root of its own, with those namespaces, it comes out
    right. The exclusive form of a prefixed one asks for neither and is right where it stands.
    """
    signed_info = signature.element[0]
    needs_ancestors = signature.canonicalization != C14N.EXCLUSIVE or signature.canonicalization_prefixes
    if needs_ancestors or signed_info.prefix is None:
        signed_info = _alone(signed_info)
    return _c14n(signed_info, signature.canonicalization, signature.canonicalization_prefixes)


def _alone(element: etree._Element) -> etree._Element:
    """The element as a root of its own, with the namespaces of its ancestors."""
    return etree.fromstring(etree.tostring(element, with_tail=False), _PARSER)


def _c14n(element: etree._Element, algorithm: str, prefixes: tuple[str, ...]) -> bytes:
    canonical: bytes = _STEPS._c14n(
        element,
        algorithm=CanonicalizationMethod(algorithm),
        inclusive_ns_prefixes=list(prefixes) or None,
    )
    return canonical


def _match_key_value(signature: EnvelopedSignature, certificate: x509.Certificate) -> None:
    if not _STEPS._check_key_value_matches_cert_public_key(
        signature.key_value, certificate.public_key(), SignatureMethod[signature.method_name]
    ):
        raise Finding(Reason.STRUCTURE)


def read_signed(raw: bytes, certificate: x509.Certificate) -> etree._Element:
    """
    The root of a small document as its enveloped signature covers it: signature and comments gone.

    For documents that are not packages, such as seals. The certificate's validity is not judged.

    :param raw: UTF-8, not trusted; small enough to be parsed several times over.
    :raises Finding: the signature is not the root's child, or does not verify.
    :raises DocumentError: it is not XML, or exceeds a limit.
    """
    prolog = read_prolog(raw)
    guard = Guard(Limits(), prolog)
    guard.feed(pieces(raw[prolog.skip :]))
    if prolog.encoding != "utf-8" or prolog.skip or guard.comments:
        raise Finding(Reason.STRUCTURE)
    root = parse(raw).root
    signatures = list(root.iter(f"{{{DS}}}Signature"))
    if len(signatures) != 1 or signatures[0].getparent() is not root:
        raise Finding(Reason.STRUCTURE)
    policy = SignaturePolicy(accepted=frozenset())
    signature = read_signature(signatures[0], policy)
    if signature.properties is not None:
        raise Finding(Reason.STRUCTURE)  # XAdES is read by ``xades.read``, and only as it is written here.
    config = SignatureConfiguration(
        location="./",
        signature_methods=frozenset({SignatureMethod[signature.method_name]}),
        digest_algorithms=frozenset({DigestAlgorithm(signature.reference.digest_method)}),
        verification_time=certificate.not_valid_before_utc,
    )
    try:
        result = XMLVerifier().verify(raw, x509_cert=certificate, parser=_PARSER, expect_config=config)
    except InvalidDigest as e:
        raise Finding(Reason.DIGEST_MISMATCH) from e
    except InvalidSignature as e:
        raise Finding(Reason.VALUE_MISMATCH) from e
    except (SignXMLException, *_LEAKS) as e:
        raise Finding(Reason.STRUCTURE) from e
    assert isinstance(result, VerifyResult), "one Reference gives one result"
    if result.signed_xml is None:
        raise Finding(Reason.STRUCTURE)
    return result.signed_xml
