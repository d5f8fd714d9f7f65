"""
What the engine relies on in signxml: each fails when a new release no longer works that way.

The verification tests would notice too; these say what has changed.
"""

import inspect
from collections.abc import Callable

import pytest
from lxml import etree
from signxml.exceptions import InvalidDigest
from signxml.processor import XMLProcessor, XMLSignatureProcessor
from signxml.verifier import SignatureConfiguration, XMLVerifier

from gateway.signing import engine, form
from gateway.signing.engine import _SkeletonVerifier
from gateway.signing.form import Finding
from gateway.signing.policy import Reason
from tests.support import documents, hostile, pki, signed


@pytest.mark.parametrize(
    ("owner", "hook", "parameters"),
    [
        (XMLProcessor, "get_root", ["self", "data"]),
        (XMLVerifier, "_get_signature", ["self", "root"]),
        (XMLProcessor, "_tostring", ["self", "xml_node", "kwargs"]),
        (XMLProcessor, "_fromstring", ["self", "xml_string", "kwargs"]),
        (XMLSignatureProcessor, "_c14n", ["self", "nodes", "algorithm", "inclusive_ns_prefixes"]),
        (XMLVerifier, "_check_cert_validity", ["self", "cert", "cert_source"]),
        (
            XMLVerifier,
            "_verify_reference",
            ["self", "reference", "index", "root", "uri_resolver", "c14n_algorithm", "signature", "signature_key_used"],
        ),
    ],
)
def test_signxml_still_has_the_hooks(owner: type, hook: str, parameters: list[str]) -> None:
    assert hook in vars(owner)
    assert list(inspect.signature(getattr(owner, hook)).parameters) == parameters
    assert hook in vars(_SkeletonVerifier)


def _verify(raw: bytes, check_reference: Callable[[etree._Element], None]) -> _SkeletonVerifier:
    root = etree.fromstring(raw)
    verifier = _SkeletonVerifier(root.find(f".//{{{signed.DS}}}Signature"), check_reference)
    verifier.verify(
        root,
        x509_cert=pki.agency().certificate,
        validate_schema=False,
        expect_config=SignatureConfiguration(verification_time=pki.NOW),
    )
    return verifier


def test_the_reference_is_judged_by_us_and_comes_out_of_the_verified_signed_info() -> None:
    seen: list[etree._Element] = []
    _verify(hostile.good(), seen.append)
    assert [element.tag for element in seen] == [f"{{{signed.DS}}}Reference"]
    assert seen[0].getroottree().getroot().tag == f"{{{signed.DS}}}SignedInfo"


def test_our_judgement_of_the_reference_is_believed() -> None:
    def refuse(_: etree._Element) -> None:
        raise InvalidDigest("not this one")

    with pytest.raises(InvalidDigest):
        _verify(hostile.good(), refuse)


def test_the_value_is_checked_before_any_reference_is_looked_at() -> None:
    def unreachable(_: etree._Element) -> None:
        raise AssertionError("an unverified reference was looked at")

    with pytest.raises(Exception, match="verification failed"):
        _verify(hostile.good().replace(b"enveloped-signature", b"enveloped-signaturE"), unreachable)


def test_a_reference_that_differs_from_the_examined_one_is_refused() -> None:
    root = etree.fromstring(hostile.good())
    signature = form.take_apart(root, signed.ONLY_VALID)

    def read_otherwise(reference: etree._Element) -> form.Reference:
        read = form.read_reference(reference, signed.ONLY_VALID)
        return form.Reference(read.c14n, ("x",), read.digest_method, read.hash_name, read.digest)

    with pytest.raises(Finding) as caught:
        engine.check(root, signature, pki.agency().certificate, read=read_otherwise)
    assert caught.value.reason is Reason.VALUE_MISMATCH


def test_signed_info_is_canonicalised_alone() -> None:
    """Trap: inclusive C14N of an inner element whose namespace is the default one (signxml #193)."""
    raw = signed.by_xmlsec(documents.a_package(), pki.agency(), c14n=signed.C14N.INCLUSIVE_10, prefix=None)
    _verify(raw, lambda _: None)
