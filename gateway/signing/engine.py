"""
signxml as the engine for SignedInfo and SignatureValue, fitted to a skeleton.

signxml parses a document four times and holds it six times over. Here it sees only the
skeleton, already parsed, and is told the digest of the whole document, which was computed
while the package was read. Some of its hooks are replaced for that and nothing else;
``tests/unit/signing/test_engine.py`` fails when signxml stops calling them in this way.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Any

from cryptography import x509
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidDigest, InvalidSignature, SignXMLException
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from gateway.edxml.limits import Limits
from gateway.edxml.parser import Guard, parse, pieces, read_prolog
from gateway.signing.form import EnvelopedSignature, Finding, Reference, read_signature
from gateway.signing.policy import DS, Reason, SignaturePolicy

# What signxml 5.2 lets through besides its own exceptions, each seen with a hostile input
# (spec/security.md trap 6): parser and schema errors, bad base64, bad key values.
_LEAKS = (etree.LxmlError, binascii.Error, TypeError, ValueError, NotImplementedError, KeyError, x509.InvalidVersion)

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


class _SkeletonVerifier(XMLVerifier):
    """signxml with the document's digest brought from outside."""

    def __init__(self, signature: etree._Element, check_reference: Callable[[etree._Element], None]) -> None:
        self._signature_of_package = signature
        self._check_reference = check_reference

    def get_root(self, data: etree._Element) -> etree._Element:
        """The skeleton as it stands; signxml would serialise and parse it again."""
        return data

    def _get_signature(self, root: etree._Element) -> etree._Element:  # noqa: ARG002 - signxml's hook passes it
        """The one signature that was examined, wherever signxml would have looked."""
        return self._signature_of_package

    def _tostring(self, xml_node: etree._Element, **kwargs: Any) -> etree._Element:  # noqa: ARG002 - as above
        """The signature is examined in place; the copy that signxml makes of it is not needed."""
        return xml_node

    def _fromstring(self, xml_string: bytes | etree._Element, **kwargs: Any) -> etree._Element:  # noqa: ARG002 - as above
        """Bytes are parsed: the canonical SignedInfo, out of which references are believed."""
        return xml_string if isinstance(xml_string, etree._Element) else etree.fromstring(xml_string, _PARSER)

    def _c14n(
        self,
        nodes: etree._Element,
        algorithm: CanonicalizationMethod,
        inclusive_ns_prefixes: list[str] | None = None,
    ) -> bytes:
        """
        Canonical form of SignedInfo, from a fresh parse.

        C14N on a sub-element writes stray ``xmlns=""`` when the signature has its namespace as
        the default one, which is just the published form (signxml #193, #275). Once SignedInfo
        is a root of its own, with the namespaces of its ancestors, it comes out right.
        """
        alone = etree.fromstring(etree.tostring(nodes, with_tail=False), _PARSER)
        canonical: bytes = super()._c14n(alone, algorithm=algorithm, inclusive_ns_prefixes=inclusive_ns_prefixes)
        return canonical

    def _check_cert_validity(self, cert: x509.Certificate, cert_source: str) -> None:
        """Nothing: ``verify.fault_of`` has judged it at the same moment, and says which fault it is."""

    def _verify_reference(self, reference: etree._Element, *_: object) -> VerifyResult:
        """
        Judge a Reference out of the *verified* SignedInfo.

        What else signxml passes serves to fetch and digest what is referred to, which has been
        done. Nothing is returned as signed XML: the package is it.
        """
        self._check_reference(reference)
        return VerifyResult(b"", None, self._signature_of_package, b"")


def check(
    root: etree._Element,
    signature: EnvelopedSignature,
    certificate: x509.Certificate,
    *,
    read: Callable[[etree._Element], Reference],
) -> None:
    """
    Check SignedInfo's signature with one registered certificate's key.

    The document's digest must have been compared with ``signature.reference`` before; here
    the same reference is read again from the bytes whose signature verified.

    :param certificate: judged to be good at the moment of receipt; only its key matters here.
    :param read: how a ``ds:Reference`` is read.
    :raises Finding: it does not verify.
    """

    def same_reference(reference: etree._Element) -> None:
        if read(reference) != signature.reference:
            raise InvalidDigest("The verified reference is not the one that was examined.")

    config = SignatureConfiguration(
        signature_methods=frozenset({SignatureMethod[signature.method_name]}),
        digest_algorithms=frozenset({DigestAlgorithm(signature.reference.digest_method)}),
        # KeyInfo proves nothing; but a KeyValue beside it that is another key is a contradiction.
        ignore_ambiguous_key_info=not signature.has_key_value,
    )
    verifier = _SkeletonVerifier(signature.element, same_reference)
    try:
        # form.py has read the whole signature more strictly than its schema would.
        verifier.verify(root, x509_cert=certificate, validate_schema=False, expect_config=config)
    except InvalidSignature as e:
        raise Finding(Reason.VALUE_MISMATCH) from e
    except (SignXMLException, *_LEAKS) as e:
        raise Finding(Reason.STRUCTURE) from e


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
