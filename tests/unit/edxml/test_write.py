"""What is written: the kit's form to the byte, and nothing lost on the way there and back."""

from __future__ import annotations

import io
import re
import unicodedata
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.edxml import (
    check_emit,
    check_receive,
    kit_reference,
    write_document,
    write_document_to,
    write_status,
)
from gateway.errors import InvalidPackage
from gateway.model import (
    AgencyCode,
    Business,
    BusinessType,
    DocumentChange,
    DocumentId,
    DocumentNumber,
    DocumentType,
    Envelope,
    Hop,
    Organization,
    OtherInfo,
    PackageKind,
    ReceiverChange,
    Reference,
    Replacement,
    ResponseFor,
    SignerInfo,
    StaffInfo,
    StatusCode,
    StatusReport,
    Variant,
)
from tests.support.documents import (
    PDF,
    a_package,
    a_status,
    a_status_package,
    an_envelope,
    content_of,
    contents_of,
    read,
    zipped,
)
from tests.support.samples import sample, sample_names

WRITTEN_BY_THE_KIT = ["edoc_new", "edoc_replacement", "edoc_revocation", "edoc_update", "status"]
"""Samples as the kit wrote them; the others were typed by hand, with tabs and other orders."""


def written_again(path: Path, spool: Path) -> bytes:
    with read(path, spool) as package:
        if package.envelope.kind is PackageKind.STATUS:
            return write_status(package.envelope)
        return write_document(package.envelope, {a.content_id: content_of(package, a) for a in package.attachments})


@pytest.mark.parametrize("name", sample_names() or ["samples"])
def test_every_sample_is_read(name: str, tmp_path: Path) -> None:
    with read(sample(name), tmp_path) as package:
        assert package.variant is Variant.V1
        assert not check_receive(package.skeleton)
        # The one with errors carries a load tester's placeholder where base64 should be.
        errors = {"T.AttachmentEncoded.Attachment.ContentTransferEncoded"} if name == "edoc.edxml" else set()
        assert {v.code for v in package.errors} == errors
        expected = PackageKind.STATUS if name.startswith("status") else PackageKind.DOCUMENT
        assert package.envelope.kind is expected


def test_the_two_odd_samples_are_read_with_warnings(tmp_path: Path) -> None:
    with read(sample("edoc.edxml"), tmp_path) as package:
        assert {"T.edXML", "M.Comment", "M.MessageHeader.DueDate"} <= {v.code for v in package.warnings}
        assert not package.namespace_well_formed
    with read(sample("edoc_new.edxml"), tmp_path) as package:
        assert {"M.Prolog", "M.TraceHeaderList.Bussiness.DocumentId"} <= {v.code for v in package.warnings}


@pytest.mark.parametrize("name", WRITTEN_BY_THE_KIT)
def test_written_again_a_sample_is_byte_for_byte_the_kits(name: str, tmp_path: Path) -> None:
    """Except for line ends, blanks that reading trims, the signature, and how the ZIP happens to be packed."""

    def comparable(raw: bytes) -> list[bytes]:
        raw = re.sub(rb"^[^<]+", b"", raw.replace(b"\r\n", b"\n"))
        raw = re.sub(rb" *<Signature>.*</Signature>\n", b"", raw, flags=re.DOTALL)
        raw = re.sub(rb"(ContentTransferEncoded[^>]*>)[^<]*<", rb"\1<", raw)
        return [re.sub(rb"> ", b">", line) for line in raw.split(b"\n") if line.strip()]

    path = sample(f"{name}.edxml")
    assert comparable(written_again(path, tmp_path)) == comparable(path.read_bytes())


@pytest.mark.parametrize("name", [n for n in sample_names() if n != "edoc.edxml"] or ["samples"])
def test_written_again_a_sample_says_the_same(name: str, tmp_path: Path) -> None:
    again = written_again(sample(name), tmp_path)
    with read(sample(name), tmp_path) as first, read(again, tmp_path) as second:
        assert second.envelope == first.envelope
        assert [(a.name, a.sha256, a.size) for a in second.attachments] == [
            (a.name, a.sha256, a.size) for a in first.attachments
        ]
        for a, b in zip(first.attachments, second.attachments, strict=True):
            assert content_of(first, a) == content_of(second, b)
    assert not check_emit(again)


def test_prefixes_and_order_are_the_kits() -> None:
    root = etree.fromstring(a_package())
    found = [(e.prefix, etree.QName(e).localname) for e in root.iter() if etree.QName(e).localname != "To"]
    inside = [name for prefix, name in found if prefix == "edXML"]
    assert [name for prefix, name in found if prefix is None] == [
        "edXML", "AttachmentEncoded", "Attachment", "ContentId", "AttachmentName", "Description", "ContentType",
    ]  # fmt: skip
    order = [
        n for n in inside if n in ("From", "DocumentId", "Code", "Subject", "TraceHeader", "Bussiness", "edXMLBody")
    ]
    assert order == ["From", "DocumentId", "Code", "Subject", "TraceHeader", "Bussiness", "edXMLBody"]
    assert inside[-1] == "ContentTransferEncoded"
    assert b'<edXML:ContentTransferEncoded xmlns:edXML="http://www.mic.gov.vn/TBT/QCVN_102_2016">' in a_package()


def test_writing_twice_gives_the_same_bytes() -> None:
    changes: dict[str, Any] = {"references": (kit_reference("x", "a.xlsx"),)}
    assert a_package(**changes) == a_package(**changes)


@pytest.mark.parametrize(
    ("name", "content", "wrapped"),
    [
        ("a.pdf", PDF, False),
        ("a.PDF", PDF, False),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), False),
        ("a.jpg", b"\xff\xd8\xff" + bytes(100), True),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), True),
        ("a.xlsx", zipped({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}), True),
        ("a.docx", zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"}), False),
        ("a.zip", zipped({"a.txt": b"x"}), False),
        ("a.pdf", zipped({"a.txt": b"x"}), True),  # bare, a reader would take it for the kit's own wrapping
        ("a.docx", zipped({"a.txt": b"x"}), True),
        ("noextension", b"text", True),
    ],
)
def test_contents_come_back_as_they_were(name: str, content: bytes, wrapped: bool, tmp_path: Path) -> None:
    raw = a_package(references=(kit_reference("a", name),), contents={"a": content})
    with read(raw, tmp_path) as package:
        assert not package.errors
        (attachment,) = package.attachments
        assert content_of(package, attachment) == content
        assert attachment.wrapped is wrapped
        assert attachment.content_type == ("application/zip" if wrapped else f"application/{name.lower()[2:]}")


def test_a_reference_that_declares_zip_is_wrapped(tmp_path: Path) -> None:
    reference = Reference(content_id="a", name="a.pdf", content_type="application/zip")
    with read(a_package(references=(reference,)), tmp_path) as package:
        assert package.attachments[0].wrapped
        assert package.envelope.references == (reference,)


def test_a_reference_without_content_is_not_written() -> None:
    with pytest.raises(InvalidPackage) as refused:
        write_document(an_envelope(), {})
    assert refused.value.violations[0].code == "N.AttachmentEncoded"


@pytest.mark.parametrize("text", ["a\x00b", "a\x1bb", "\ufffe", "\ud800"])
def test_what_xml_cannot_carry_is_not_written(text: str) -> None:
    with pytest.raises(InvalidPackage):
        a_package(subject=text)


def test_a_status_is_not_written_from_a_document() -> None:
    with pytest.raises(ValueError, match="without a status"):
        write_status(an_envelope())


def test_files_are_written_as_bytes_are(tmp_path: Path) -> None:
    content = PDF * 20_000
    path = tmp_path / "a.pdf"
    path.write_bytes(content)
    envelope = an_envelope(references=(kit_reference("a", "a.pdf"), kit_reference("b", "b.xml")))
    out = io.BytesIO()
    write_document_to(envelope, {"a": path, "b": path}, out)
    assert out.getvalue() == write_document(envelope, {"a": content, "b": content})


@pytest.mark.parametrize("kind", list(BusinessType))
def test_all_business_types_satisfy_the_strict_schema(kind: BusinessType) -> None:
    assert not check_emit(a_package(business=Business(type=kind, reason="lý do")))


@pytest.mark.parametrize("code", list(StatusCode))
def test_all_statuses_satisfy_the_strict_schema_and_come_back(code: StatusCode, tmp_path: Path) -> None:
    raw = a_status_package(code)
    assert not check_emit(raw)
    with read(raw, tmp_path) as package:
        assert package.envelope == a_status(code)
        assert not package.violations


def test_the_strict_schema_names_what_is_out_of_place() -> None:
    swapped = a_package().replace(b"edXML:Subject>", b"edXML:Sujet>")
    assert [v.code for v in check_emit(swapped)] == ["T.MessageHeader.Sujet"]


# Model → bytes → model

texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=20,
).map(lambda t: f"{t} ắ\n<&>\r]]>{unicodedata.normalize('NFD', 'ế')}")
plain = st.text("abcXYZ019-Đđ. ", min_size=1, max_size=15).map(str.strip).filter(bool)
codes = st.sampled_from(["000.00.14.H37", "000.00.00.H38", "H37.21", "G22", "H55.242", "000.46.24.H44"]).map(AgencyCode)
days = st.dates(date(1901, 1, 1), date(9998, 12, 31))
moments = st.datetimes(
    datetime(1901, 1, 1),  # noqa: DTZ001 - hypothesis wants its bounds naive
    datetime(9998, 12, 31),  # noqa: DTZ001 - as above
).map(lambda m: m.replace(microsecond=0, tzinfo=UTC))
flags = st.none() | st.booleans()
maybe = st.none() | texts
numbers = st.none() | st.integers(-999_999_999, 999_999_999)
document_ids = plain.map(DocumentId)


def said(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values that say something: an element with nothing in it is read as absent."""
    return strategy.filter(lambda value: value != type(value)())


organizations = st.builds(
    Organization, code=codes, in_charge=maybe, name=maybe, address=maybe, email=maybe, telephone=maybe, fax=maybe,
    website=maybe,
)  # fmt: skip
staff = said(
    st.builds(StaffInfo, department=maybe, department_id=maybe, staff=maybe, staff_id=maybe, email=maybe, mobile=maybe)
)
responses = said(
    st.builds(
        ResponseFor,
        code=st.none() | codes,
        number=maybe,
        document_id=st.none() | document_ids,
        issued_on=st.none() | days,
    )
)
businesses = st.builds(
    Business,
    type=st.sampled_from(BusinessType),
    document_id=st.none() | document_ids,
    reason=maybe,
    paper=flags,
    changes=st.lists(
        st.builds(
            DocumentChange,
            content=flags,
            receivers=flags,
            receiver_changes=st.lists(st.builds(ReceiverChange, code=codes, added=flags), max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    replacements=st.lists(
        st.builds(Replacement, document_id=st.none() | document_ids, recipients=st.lists(codes, max_size=2).map(tuple)),
        max_size=2,
    ).map(tuple),
    staff=st.lists(staff, max_size=2).map(tuple),
)
envelopes = st.builds(
    Envelope,
    sender=organizations,
    recipients=st.lists(organizations, max_size=3, unique_by=lambda o: o.code).map(tuple),
    document_id=st.none() | document_ids,
    number=st.builds(DocumentNumber, number=maybe, notation=maybe),
    issued_place=maybe,
    issued_on=st.none() | days,
    document_type=st.none() | st.builds(DocumentType, type=numbers, detail=numbers, name=maybe),
    subject=maybe,
    content=maybe,
    signer=st.none() | said(st.builds(SignerInfo, competence=maybe, position=maybe, full_name=maybe)),
    due_on=st.none() | days,
    other=st.none()
    | said(
        st.builds(
            OtherInfo, priority=numbers, sphere=maybe, typist=maybe, promulgation_amount=numbers, page_amount=numbers,
            reply_fors=maybe, direction=flags, reference_codes=maybe, appendixes=st.lists(texts, max_size=2).map(tuple),
        )
    ),
    responses=st.lists(responses, max_size=2).map(tuple),
    steering_type=numbers,
    task_codes=st.lists(texts, max_size=2).map(tuple),
    application_type=maybe,
    places=st.lists(texts, max_size=2).map(tuple),
    trace=st.lists(st.builds(Hop, code=maybe, at=st.none() | moments), max_size=2).map(tuple),
    business=st.none() | businesses,
    references=st.lists(
        st.builds(
            Reference, content_id=plain, name=plain.map(lambda n: f"{n}.pdf"),
            content_type=st.sampled_from([None, "application/zip", "application/pdf"]), description=maybe,
        ),
        max_size=3, unique_by=lambda r: r.content_id.lower(),
    ).map(tuple),
)  # fmt: skip
statuses = st.builds(
    Envelope,
    sender=organizations,
    responses=st.lists(responses, max_size=1).map(tuple),
    status=st.builds(
        StatusReport, code=st.sampled_from(StatusCode), description=maybe, reported_at=moments, staff=st.none() | staff
    ),
)
PROPERTY = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@PROPERTY
@given(envelope=envelopes, stream=st.booleans())
def test_a_document_comes_back_as_it_was_written(
    envelope: Envelope, stream: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    raw = write_document(envelope, contents_of(envelope))
    with read(raw, tmp_path_factory.getbasetemp(), stream_above=0 if stream else 10**9) as package:
        assert package.envelope == envelope
        assert len(package.attachments) == len(envelope.references)


@PROPERTY
@given(envelope=statuses)
def test_a_status_comes_back_as_it_was_written(envelope: Envelope, tmp_path_factory: pytest.TempPathFactory) -> None:
    with read(write_status(envelope), tmp_path_factory.getbasetemp()) as package:
        assert package.envelope == envelope
