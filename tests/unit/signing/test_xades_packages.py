"""XAdES in packages is accepted in one form, whoever wrote it: references to the document and to its own properties."""

import base64
import hashlib
import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from gateway.errors import NotSignable
from gateway.model import Standing
from gateway.signing import engine, form, xades
from gateway.signing.form import Finding
from gateway.signing.keys import fingerprint
from gateway.signing.policy import DS, SIGNED_PROPERTIES, XADES, Reason
from gateway.signing.sign import sign_package_xades
from tests.support import documents, pki, signed
from tests.support.hostile import SMUGGLED

AT = datetime(2026, 3, 5, 7, 0, tzinfo=UTC)


def good(*, with_stamp: bool = False) -> bytes:
    out = io.BytesIO()
    stamp = pki.timestamp_token if with_stamp else None
    sign_package_xades(documents.a_package(), pki.agency_ec(), out, at=AT, stamp=stamp)
    return out.getvalue()


def properties(identity: str = "props", certificate: bytes | None = None) -> str:
    """SignedProperties in canonical form."""
    digest = hashlib.sha256(certificate or pki.agency_ec().certificate_der).digest()
    return (
        f'<x:SignedProperties xmlns:x="{XADES}" Id="{identity}"><x:SignedSignatureProperties>'
        "<x:SigningTime>2026-03-05T07:00:00Z</x:SigningTime><x:SigningCertificateV2><x:Cert><x:CertDigest>"
        f'<ds:DigestMethod xmlns:ds="{DS}" Algorithm="{signed.SHA256}"></ds:DigestMethod>'
        f'<ds:DigestValue xmlns:ds="{DS}">{base64.b64encode(digest).decode()}</ds:DigestValue>'
        "</x:CertDigest></x:Cert></x:SigningCertificateV2></x:SignedSignatureProperties></x:SignedProperties>"
    )


def holder(inside: str, target: str = "#sig") -> str:
    return (
        f'<ds:Object><x:QualifyingProperties xmlns:x="{XADES}" Target="{target}">{inside}'
        "</x:QualifyingProperties></ds:Object>"
    )


def own_reference(
    text: str, *, uri: str = "#props", kind: str = SIGNED_PROPERTIES, transforms: tuple[str, ...] = (signed.EXCLUSIVE,)
) -> str:
    return signed.reference(
        b"", uri=uri, transforms=transforms, digest=hashlib.sha256(text.encode()).digest(), attributes=f' Type="{kind}"'
    )


def handmade(
    *,
    text: str | None = None,
    references: str | None = None,
    after: str | None = None,
    package: bytes | None = None,
    attributes: str = ' Id="sig"',
) -> bytes:
    """A package whose signature is put together here; right unless told otherwise."""
    raw = package or documents.a_package()
    text = properties() if text is None else text
    return signed.handmade(
        raw,
        pki.agency_ec(),
        references=signed.reference(raw) + own_reference(text) if references is None else references,
        after=holder(text) if after is None else after,
        attributes=attributes,
    )


def reason(raw: bytes, spool: Path) -> str:
    return signed.verdict_on(raw, spool).reason


@pytest.mark.parametrize("make", [good, lambda: good(with_stamp=True), handmade], ids=["b", "t", "by-hand"])
def test_the_one_form_is_valid(make: Callable[[], bytes], tmp_path: Path) -> None:
    verdict = signed.verdict_on(make(), tmp_path)
    assert verdict.standing is Standing.VALID
    assert verdict.certificate_sha256 == pki.agency_ec().certificate_sha256


def test_the_order_of_the_references_does_not_matter(tmp_path: Path) -> None:
    raw = documents.a_package()
    swapped = handmade(references=own_reference(properties()) + signed.reference(raw))
    assert signed.verdict_on(swapped, tmp_path).standing is Standing.VALID


PLAIN = documents.a_package()


def digested_with_sha1() -> bytes:
    """Only the properties are digested so; the document, with SHA-256."""
    own = signed.reference(
        b"",
        uri="#props",
        transforms=(signed.EXCLUSIVE,),
        digest_method=signed.SHA1,
        digest=hashlib.sha1(properties().encode()).digest(),
        attributes=f' Type="{SIGNED_PROPERTIES}"',
    )
    return handmade(references=signed.reference(PLAIN) + own)


BAD: dict[str, tuple[Callable[[], bytes], Reason]] = {
    "properties changed": (
        lambda: handmade().replace(b"07:00:00Z", b"08:00:00Z"),
        Reason.DIGEST_MISMATCH,
    ),
    "document changed": (lambda: handmade().replace(b"H37.21", b"H37.22"), Reason.DIGEST_MISMATCH),
    "properties that no reference covers": (
        lambda: handmade(references=signed.reference(PLAIN)),
        Reason.STRUCTURE,
    ),
    "a reference to properties that are not there": (lambda: handmade(after=""), Reason.STRUCTURE),
    "only the properties, not the document": (
        lambda: handmade(references=own_reference(properties())),
        Reason.REFERENCE,
    ),
    "the properties twice": (
        lambda: handmade(references=signed.reference(PLAIN) + own_reference(properties()) * 2),
        Reason.REFERENCE,
    ),
    "a third reference": (
        lambda: handmade(references=signed.reference(PLAIN) * 2 + own_reference(properties())),
        Reason.REFERENCE,
    ),
    "another type of reference": (
        lambda: handmade(references=signed.reference(PLAIN) + own_reference(properties(), kind="urn:other")),
        Reason.REFERENCE,
    ),
    "the type on the reference to the document": (
        lambda: handmade(
            references=signed.reference(PLAIN, attributes=f' Type="{SIGNED_PROPERTIES}"')
            + own_reference(properties(), kind="urn:other")
        ),
        Reason.REFERENCE,
    ),
    "a reference to another Id": (
        lambda: handmade(references=signed.reference(PLAIN) + own_reference(properties(), uri="#others")),
        Reason.REFERENCE,
    ),
    "a reference elsewhere": (
        lambda: handmade(references=signed.reference(PLAIN) + own_reference(properties(), uri="http://x/#props")),
        Reason.REFERENCE,
    ),
    "an XPath over the properties": (
        lambda: handmade(
            references=signed.reference(PLAIN)
            + own_reference(properties(), transforms=("http://www.w3.org/TR/1999/REC-xpath-19991116",))
        ),
        Reason.TRANSFORM,
    ),
    "enveloped over the properties": (
        lambda: handmade(
            references=signed.reference(PLAIN)
            + own_reference(properties(), transforms=(signed.ENVELOPED, signed.EXCLUSIVE))
        ),
        Reason.TRANSFORM,
    ),
    "properties of another signature": (
        lambda: handmade(after=holder(properties(), target="#other")),
        Reason.REFERENCE,
    ),
    "a signature without Id": (lambda: handmade(attributes=""), Reason.REFERENCE),
    "a target that is no Id": (
        lambda: handmade(attributes="", after=holder(properties(), target="#None")),
        Reason.REFERENCE,
    ),
    "an empty Id": (
        lambda: handmade(attributes=' Id=""', after=holder(properties(), target="#")),
        Reason.REFERENCE,
    ),
    "properties that are moved out of the signature": (
        lambda: handmade(
            package=PLAIN.replace(b"</edXML:MessageHeader>", properties().encode() + b"</edXML:MessageHeader>", 1),
            after=holder(properties("others")),
        ),
        Reason.STRUCTURE,
    ),
    "two objects": (
        lambda: handmade(after=holder(properties()) + "<ds:Object>x</ds:Object>"),
        Reason.STRUCTURE,
    ),
    "something beside the properties": (
        lambda: handmade(after=holder(properties()).replace("</ds:Object>", "<y/></ds:Object>")),
        Reason.STRUCTURE,
    ),
    "a Manifest instead": (
        lambda: handmade(after="<ds:Object><ds:Manifest/></ds:Object>"),
        Reason.STRUCTURE,
    ),
    "two sets of properties": (
        lambda: handmade(after=holder(properties() + properties("more"))),
        Reason.STRUCTURE,
    ),
    "the Id also elsewhere": (
        lambda: handmade(package=PLAIN.replace(b"<edXML:Subject>", b'<edXML:Subject Id="props">', 1)),
        Reason.STRUCTURE,
    ),
    "another certificate in the properties": (
        lambda: handmade(text=properties(certificate=pki.agency().certificate_der)),
        Reason.CERTIFICATE_NOT_REGISTERED,
    ),
    "properties digested with SHA-1": (digested_with_sha1, Reason.ALGORITHM),
    "a token that is no base64": (
        lambda: handmade(
            after=holder(
                properties() + "<x:UnsignedProperties><x:UnsignedSignatureProperties><x:SignatureTimeStamp>"
                "<x:EncapsulatedTimeStamp>§</x:EncapsulatedTimeStamp></x:SignatureTimeStamp>"
                "</x:UnsignedSignatureProperties></x:UnsignedProperties>"
            )
        ),
        Reason.STRUCTURE,
    ),
}


@pytest.mark.parametrize("element", SMUGGLED.values(), ids=SMUGGLED)
def test_nothing_of_a_package_stands_among_the_unsigned_properties(element: str, tmp_path: Path) -> None:
    unsigned = f"<x:UnsignedProperties><x:UnsignedSignatureProperties>{element}</x:UnsignedSignatureProperties>"
    raw = handmade(after=holder(properties() + unsigned + "</x:UnsignedProperties>"))
    assert reason(raw, tmp_path) == Reason.STRUCTURE


def test_properties_digested_with_sha1_make_it_weak_where_that_is_tolerated(tmp_path: Path) -> None:
    verdict = signed.verdict_on(digested_with_sha1(), tmp_path, policy=signed.TOLERANT)
    assert verdict.standing is Standing.VALID_WEAK


@pytest.mark.parametrize(("make", "expected"), BAD.values(), ids=BAD)
def test_every_other_form_is_invalid(make: Callable[[], bytes], expected: Reason, tmp_path: Path) -> None:
    verdict = signed.verdict_on(make(), tmp_path)
    assert verdict.standing is Standing.INVALID
    assert verdict.reason == expected


def test_what_the_properties_say_is_read() -> None:
    root = etree.fromstring(good(with_stamp=True))
    read = form.take_apart(root, signed.ONLY_VALID)
    assert read.properties is not None
    assert read.properties.signing_time == AT
    assert [d.hex() for _, d in read.properties.certificate_digests] == [fingerprint(pki.agency_ec().certificate)]
    assert len(read.properties.tokens) == 1


@pytest.mark.parametrize("identity", ["signature", "reference-0", "signature-properties"])
def test_a_package_that_uses_the_signature_s_own_ids_is_not_signed(identity: str) -> None:
    raw = PLAIN.replace(b"<edXML:Subject>", f'<edXML:Subject Id="{identity}">'.encode(), 1)
    with pytest.raises(NotSignable):
        sign_package_xades(raw, pki.agency_ec(), io.BytesIO(), at=AT)
    twice = PLAIN.replace(b"<edXML:Subject>", b'<edXML:Subject Id="a" x:Id="a" xmlns:x="urn:x">', 1)
    with pytest.raises(NotSignable):
        sign_package_xades(twice, pki.agency_ec(), io.BytesIO(), at=AT)


def test_a_document_with_xades_is_not_read_as_one_with_a_plain_signature() -> None:
    """Seals are; ``xades.read`` reads those, and only in the form in which they are written."""
    document = b'<s:Seal xmlns:s="urn:s"><s:A>1</s:A></s:Seal>'
    reference = xades.Reference(
        uri="",
        digest=hashlib.sha256(document).digest(),
        media_type="application/xml",
        transforms=xades.ENVELOPED_XML,
    )
    signature = xades.sign([reference], pki.gateway(), at=AT).render()
    with pytest.raises(Finding) as caught:
        engine.read_signed(document.replace(b"</s:Seal>", signature + b"</s:Seal>"), pki.gateway().certificate)
    assert caught.value.reason is Reason.STRUCTURE
