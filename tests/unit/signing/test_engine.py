"""
What the engine relies on in signxml: each fails when a new release no longer works that way.

The verification tests would notice too; these say what has changed.
"""

import dataclasses
import inspect
from collections.abc import Callable

import cryptography.exceptions
import pytest
from lxml import etree
from signxml.algorithms import SignatureMethod
from signxml.exceptions import InvalidSignature, SignXMLException
from signxml.processor import XMLSignatureProcessor
from signxml.verifier import XMLVerifier

from gateway.edxml import C14N
from gateway.signing import engine, form
from gateway.signing.form import EnvelopedSignature, Finding, Reference
from gateway.signing.keys import SigningKey
from gateway.signing.policy import METHODS, WEAK_METHODS, Reason
from tests.support import documents, hostile, pki, signed


@pytest.mark.parametrize(
    ("owner", "step", "parameters"),
    [
        (XMLSignatureProcessor, "_c14n", ["self", "nodes", "algorithm", "inclusive_ns_prefixes"]),
        (
            XMLVerifier,
            "_verify_signature_with_pubkey",
            [
                "self",
                "signed_info_c14n",
                "raw_signature",
                "signature_alg",
                "key_value",
                "der_encoded_key_value",
                "signing_certificate",
            ],
        ),
        (
            XMLVerifier,
            "_check_key_value_matches_cert_public_key",
            ["self", "key_value", "public_key", "signature_alg"],
        ),
    ],
)
def test_signxml_still_has_the_steps(owner: type, step: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(owner, step)).parameters) == parameters


def test_the_steps_keep_nothing_on_the_instance() -> None:
    before = dict(vars(engine._STEPS))
    engine.check(_examined(hostile.good()), pki.agency().certificate, read=_read)
    assert vars(engine._STEPS) == before


def test_our_names_of_methods_are_signxml_s() -> None:
    for uri, name in (METHODS | WEAK_METHODS).items():
        assert SignatureMethod[name].value == uri


@pytest.mark.parametrize("key", [pki.agency, pki.agency_ec], ids=["rsa", "ec"])
@pytest.mark.parametrize("value", [b"", bytes(64), bytes(256), b"\xff" * 64], ids=["none", "64", "256", "ones"])
def test_a_wrong_value_is_an_invalid_signature_and_nothing_else(key: Callable[[], SigningKey], value: bytes) -> None:
    with pytest.raises((InvalidSignature, cryptography.exceptions.InvalidSignature)):
        engine._STEPS._verify_signature_with_pubkey(
            signed_info_c14n=b"<a></a>",
            raw_signature=value,
            signature_alg=SignatureMethod(key().algorithm),
            signing_certificate=key().certificate,
        )


def test_a_method_for_another_kind_of_key_is_refused() -> None:
    with pytest.raises(SignXMLException):
        engine._STEPS._verify_signature_with_pubkey(
            signed_info_c14n=b"<a></a>",
            raw_signature=bytes(64),
            signature_alg=SignatureMethod.ECDSA_SHA256,
            signing_certificate=pki.agency().certificate,
        )


def _examined(raw: bytes) -> EnvelopedSignature:
    return form.take_apart(etree.fromstring(raw), signed.ONLY_VALID)


def _read(reference: etree._Element) -> Reference:
    return form.read_reference(reference, signed.ONLY_VALID)


def test_the_reference_is_read_again_out_of_the_verified_signed_info() -> None:
    seen: list[etree._Element] = []

    def read(reference: etree._Element) -> Reference:
        seen.append(reference)
        return _read(reference)

    engine.check(_examined(hostile.good()), pki.agency().certificate, read=read)
    assert [element.getroottree().getroot().tag for element in seen] == [f"{{{signed.DS}}}SignedInfo"]


def test_no_reference_is_looked_at_before_the_value_is_right() -> None:
    def unreachable(_: etree._Element) -> Reference:
        raise AssertionError("an unverified reference was looked at")

    signature = dataclasses.replace(_examined(hostile.good()), value=bytes(256))
    with pytest.raises(Finding) as caught:
        engine.check(signature, pki.agency().certificate, read=unreachable)
    assert caught.value.reason is Reason.VALUE_MISMATCH


def test_a_reference_that_differs_from_the_examined_one_is_refused() -> None:
    signature = _examined(hostile.good())
    other = dataclasses.replace(signature, reference=dataclasses.replace(signature.reference, prefixes=("x",)))
    with pytest.raises(Finding) as caught:
        engine.check(other, pki.agency().certificate, read=_read)
    assert caught.value.reason is Reason.DIGEST_MISMATCH


@pytest.mark.parametrize("c14n", [C14N.INCLUSIVE_10, C14N.INCLUSIVE_11])
def test_signed_info_is_canonicalised_alone(c14n: C14N) -> None:
    """Trap: inclusive C14N of an inner element whose namespace is the default one (signxml #193)."""
    raw = signed.by_xmlsec(documents.a_package(), pki.agency(), c14n=c14n, prefix=None)
    engine.check(_examined(raw), pki.agency().certificate, read=_read)
