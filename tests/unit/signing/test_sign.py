"""What is signed changes by its signature alone, and what must not be signed is refused by name."""

from pathlib import Path

import pytest

from gateway.edxml import C14N
from gateway.errors import AlreadySigned, NotSignable
from gateway.model import Standing
from gateway.signing.sign import sign_package, sign_package_to
from tests.support import documents, hostile, judge, pki, signed


def test_only_the_signature_is_added() -> None:
    raw = documents.a_package()
    before, signature, after = hostile.SIGNATURE.sub(b"", hostile.good()), hostile.SIGNATURE, raw
    assert signature.search(hostile.good())
    assert before == after


@pytest.mark.parametrize("c14n", list(C14N), ids=lambda c: c.name)
@pytest.mark.parametrize("prefix", ["ds", "dsig", None])
@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw,
        lambda raw: raw.replace(b"<edXML ", b'<edXML xmlns:xsi="urn:xsi" xmlns:a="urn:a" xsi:b="c" ', 1),
        lambda raw: b"1212\n" + raw,
        lambda raw: raw.replace(b"\n", b"\r\n"),
        lambda raw: raw.replace(b"edXML:", b"e:").replace(b"xmlns:edXML", b"xmlns:e"),
        lambda raw: raw.replace(b"</edXML:edXMLHeader>", b"<edXML:DigitalSignature/></edXML:edXMLHeader>"),
        lambda raw: raw.decode().encode("utf-16").replace(*(t.encode("utf-16-le") for t in ("UTF-8", "UTF-16"))),
    ],
    ids=["kit", "csharp-namespaces", "junk", "crlf", "other-prefix", "digital-signature", "utf-16"],
)
def test_every_form_is_verified_here_and_by_xmlsec(c14n: C14N, prefix: str | None, change, tmp_path: Path) -> None:
    raw = sign_package(change(documents.a_package()), pki.agency_ec(), c14n=c14n, prefix=prefix)
    assert signed.verdict_on(raw, tmp_path).standing is Standing.VALID
    if raw[:2] != b"\xff\xfe" and not raw.startswith(b"1212"):
        judge.xmlsec_verifies(raw, pki.agency_ec().certificate)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (hostile.good, AlreadySigned),
        (lambda: hostile.plain().replace(signed.END_OF_HEADER, b"<Signature/>" + signed.END_OF_HEADER), AlreadySigned),
        (hostile._moved(b"<AttachmentEncoded>"), AlreadySigned),
        (lambda: hostile.plain().replace(b"<edXML ", b"<!-- --><edXML ", 1), NotSignable),
        (lambda: hostile.plain().replace(b"<AttachmentEncoded>", b'<AttachmentEncoded x:y="">'), NotSignable),
    ],
    ids=["signed", "kit-form", "signature-elsewhere", "comment", "undeclared-prefix"],
)
def test_what_must_not_be_signed_is_refused_by_name(make, error: type[NotSignable]) -> None:
    with pytest.raises(NotSignable) as caught:
        sign_package(make(), pki.gateway())
    assert type(caught.value) is error


@pytest.mark.parametrize("attribute", [b'xml:lang="vi" ', b'xmlns:x="urn:a&amp;b" '])
def test_what_inclusive_canonicalization_would_carry_along_is_signed_exclusively_only(
    attribute: bytes, tmp_path: Path
) -> None:
    raw = documents.a_package().replace(b"<edXML ", b"<edXML " + attribute, 1)
    with pytest.raises(NotSignable):
        sign_package(raw, pki.agency(), c14n=C14N.INCLUSIVE_10)
    assert signed.verdict_on(sign_package(raw, pki.agency()), tmp_path).standing is Standing.VALID


def test_a_package_with_more_text_than_libxml2_takes_is_signed_from_file_to_file(tmp_path: Path) -> None:
    source = tmp_path / "large.edxml"
    source.write_bytes(documents.a_package(contents={"main": documents.PDF + bytes(9_000_000)}))
    with (tmp_path / "signed.edxml").open("wb") as out:
        sign_package_to(source, pki.agency(), out, spool=tmp_path)
    assert signed.verdict_on(tmp_path / "signed.edxml", tmp_path).standing is Standing.VALID
    judge.xmlsec_verifies((tmp_path / "signed.edxml").read_bytes(), pki.agency().certificate)


def test_signing_leaves_nothing_in_the_spool(tmp_path: Path) -> None:
    sign_package(documents.a_package(contents={"main": bytes(300_000)}), pki.agency(), spool=tmp_path)
    assert list(tmp_path.iterdir()) == []
