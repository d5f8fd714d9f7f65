"""Reading: times, forms of signatures, contents in the spool, limits that are set; the vectors show the rest."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from gateway.edxml import C14N, SignatureForm
from gateway.edxml.moments import read_date, read_moment, write_date, write_moment
from gateway.edxml.secrecy import is_marked, is_marked_in_brackets
from gateway.errors import MalformedPackage, PackageLimitExceeded
from gateway.model import BusinessType, Variant
from gateway.signing.sign import sign_package
from tests.support import pki
from tests.support.documents import PDF, a_package, a_status_package, read, with_content, zipped

VECTORS = Path(__file__).parents[2] / "vectors" / "accepted"


@pytest.mark.parametrize(
    "text",
    ["2026/03/05 00:30:00", "2026-03-05 00:30:00", "05/03/2026 00:30", "2026-03-05T00:30:00+07:00",
     "2026-03-04T17:30:00Z", "2026-03-04T17:30:00.000Z", "2026-03-04T12:30:00-0500", "2026/3/5 0:30:00"],
)  # fmt: skip
def test_a_time_is_read_in_every_form_seen(text: str) -> None:
    read_as = read_moment(text)
    assert read_as is not None
    assert read_as[0] == datetime(2026, 3, 4, 17, 30, tzinfo=UTC)
    assert read_as[1] is (text == "2026/03/05 00:30:00")


@pytest.mark.parametrize(
    "text",
    ["", "2014/02/30", "2026/13/01", "0034/09/28", "28/09/18", "2026/03-05", "2026/03/05 25:00:00", "20260305",
     "2026/03/05 10:00:00 ICT", "٢٠٢٦/٠٣/٠٥", "9999-12-31T23:59:59-23:00", "2026-03-05T10:00:00+99:00"],
)  # fmt: skip
def test_what_is_no_time_is_not_guessed(text: str) -> None:
    assert read_moment(text) is None


def test_the_date_around_midnight_is_vietnams() -> None:
    for moment in (datetime(2026, 3, 4, 16, 30, tzinfo=UTC), datetime(2026, 3, 4, 17, 30, tzinfo=UTC)):
        day = read_date(moment.isoformat())
        assert day is not None
        assert write_date(day[0]) == write_moment(moment)[:10]
    assert read_date("2026-03-04T17:30:00Z") == (date(2026, 3, 5), False)


@pytest.mark.parametrize(
    "text", ["MẬT", "mật", "Tối mật", "TUYỆT MẬT", "Độ mật: Mật", "TOI MAT", "Văn bản mật", "Dấu: TỐI MẬT, khẩn"]
)
def test_secrecy_marks_are_seen(text: str) -> None:
    assert is_marked(text, bare=True)


@pytest.mark.parametrize(
    "text",
    ["", "Công khai", "Bảo mật", "bí mật kinh doanh", "Mật Sơn", "phường Mật Sơn", "Độ mật: Thường", "Mặt trận",
     "mất", "Nguyễn Văn Mật"],
)  # fmt: skip
def test_words_with_the_syllable_are_not_marks(text: str) -> None:
    assert not is_marked(text, bare=True)


def test_a_notation_with_an_office_named_mat_is_not_secret() -> None:
    assert not is_marked("CV-MAT")
    assert is_marked("CV-MẬT")
    assert not is_marked_in_brackets("Hướng dẫn xử lý tài liệu tối mật (lần 2)")


@pytest.mark.parametrize(
    ("inserted", "form"),
    [
        (b"", SignatureForm.NONE),
        (b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>', SignatureForm.XMLDSIG),
        (b'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/>', SignatureForm.XMLDSIG),
        (b"<Signature><SignedInfo/></Signature>", SignatureForm.FOREIGN),
        (b"<edXML:DigitalSignature/>", SignatureForm.EMPTY),
        (b"<edXML:DigitalSignature>x</edXML:DigitalSignature>", SignatureForm.FOREIGN),
    ],
)
def test_the_form_of_the_signature_is_told(inserted: bytes, form: SignatureForm, tmp_path: Path) -> None:
    raw = a_package().replace(b"</edXML:edXMLHeader>", inserted + b"</edXML:edXMLHeader>")
    with read(raw, tmp_path) as package:
        assert package.signature_form is form
        assert package.signatures == (form is SignatureForm.XMLDSIG)


def test_a_signature_elsewhere_is_no_signature(tmp_path: Path) -> None:
    signature = b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>'
    raw = a_package().replace(b"</edXML:edXMLEnvelope>", signature + b"</edXML:edXMLEnvelope>")
    with read(raw, tmp_path) as package:
        assert package.signature_form is SignatureForm.NONE
        assert package.signatures == 0


@pytest.mark.parametrize(
    ("name", "variant"), [("variant-v2", Variant.V2), ("letter-case", Variant.V5), ("document", Variant.V1)]
)
def test_variants_are_told_apart(name: str, variant: Variant, tmp_path: Path) -> None:
    with read(VECTORS / f"{name}.xml", tmp_path) as package:
        assert package.variant is variant


def test_a_revocation_spelled_right_is_a_revocation(tmp_path: Path) -> None:
    with read(VECTORS / "business-spelled-right.xml", tmp_path) as package:
        assert package.envelope.business_type is BusinessType.REVOKE


def test_decomposed_text_is_kept_and_compared_composed(tmp_path: Path) -> None:
    with read(VECTORS / "nfd.xml", tmp_path) as decomposed, read(VECTORS / "document.xml", tmp_path) as composed:
        assert decomposed.envelope.subject != composed.envelope.subject
        assert decomposed.envelope.identity == composed.envelope.identity


@pytest.mark.parametrize("stream_above", [0, 10**9])
@pytest.mark.parametrize("size", [100, 200_000, 3_000_000])
def test_contents_are_hashed_and_removed_with_the_package(size: int, stream_above: int, tmp_path: Path) -> None:
    content = PDF + bytes(range(256)) * (size // 256)
    path = tmp_path / "package.xml"
    path.write_bytes(with_content(a_package(), content))
    spool = tmp_path / "spool"
    spool.mkdir()
    with read(path, spool, stream_above=stream_above) as package:
        (attachment,) = package.attachments
        assert attachment.size == len(content)
        assert attachment.sha256 == hashlib.sha256(content).hexdigest()
        assert package.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert len(package.skeleton) < 8_000
        with package.open(attachment) as one, package.open(attachment) as two:
            assert one.read() == two.read() == content
    assert not list(spool.iterdir())
    assert path.is_file()


@pytest.mark.parametrize("stream_above", [0, 10**9])
@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"attachment_bytes": 1000}, "attachment_bytes"),
        ({"attachments": 0}, "attachments"),
        ({"recipients": 1}, "recipients"),
        ({"elements": 20}, "elements"),
        ({"depth": 4}, "depth"),
        ({"text_bytes": 10}, "text_bytes"),
        ({"package_bytes": 1000}, "package_bytes"),
    ],
)
def test_each_limit_is_kept_by_both_readers(
    limits: dict[str, int], name: str, stream_above: int, tmp_path: Path
) -> None:
    raw = with_content(a_package(), PDF * 100)
    with pytest.raises(PackageLimitExceeded) as refused:
        read(raw, tmp_path, stream_above=stream_above, **limits)
    assert refused.value.limit == name
    assert not list(tmp_path.iterdir())


def test_a_wrapped_file_that_grows_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    raw = with_content(a_package(), zipped({"a.pdf": PDF * 100}))
    with pytest.raises(PackageLimitExceeded) as refused:
        read(raw, tmp_path, attachment_bytes=2000)
    assert refused.value.limit == "attachment_bytes"


@pytest.mark.parametrize("stream_above", [0, 10**9])
@pytest.mark.parametrize(
    ("entries", "media_type"),
    [
        (
            {"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"},
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
        (
            {"[Content_Types].xml": b"<x/>", "ppt/presentation.xml": b"<x/>"},
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ),
        ({"mimetype": b"x", "META-INF/manifest.xml": b"<x/>"}, "application/vnd.oasis.opendocument"),
        ({"a.txt": b"x"}, "application/zip"),
    ],
)
def test_a_document_that_is_a_zip_itself_is_told_from_an_archive_inside_the_wrapper(
    entries: dict[str, bytes], media_type: str, stream_above: int, tmp_path: Path
) -> None:
    raw = with_content(a_package(), zipped({"a.bin": zipped(entries)}))
    with read(raw, tmp_path, stream_above=stream_above) as package:
        assert (package.attachments[0].media_type, package.attachments[0].wrapped) == (media_type, True)


@pytest.mark.parametrize("end", [b"&lt;", b"&amp;&gt;", b"<![CDATA[<]]>"])
def test_what_is_left_over_of_a_content_is_digested_alike_by_both_readers(end: bytes, tmp_path: Path) -> None:
    raw = with_content(sign_package(a_package(), pki.agency()), base64.b64encode(PDF) + end, encode=False)
    digests = set()
    for stream_above in (0, 10**9):
        with read(raw, tmp_path, stream_above=stream_above) as package:
            digests.add(package.enveloped_digest(c14n=C14N.EXCLUSIVE, digest="sha256"))
            assert package.errors
    assert len(digests) == 1


@pytest.mark.parametrize("stream_above", [0, 10**9])
def test_bytes_left_over_of_a_content_must_be_text(stream_above: int, tmp_path: Path) -> None:
    raw = with_content(a_package(), base64.b64encode(PDF) + b"\xff", encode=False)
    with pytest.raises(MalformedPackage):
        read(raw, tmp_path, stream_above=stream_above)


def test_a_source_that_changes_between_two_passes_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "package.xml"
    path.write_bytes(a_package())
    with read(path, tmp_path, stream_above=0) as package:
        path.write_bytes(a_package(subject="V/v khác"))
        with pytest.raises(MalformedPackage):
            package.enveloped_digest(c14n=C14N.EXCLUSIVE, digest="sha256")


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    raw = a_package(subject=None, issued_place=None, recipients=())
    with read(raw, tmp_path) as package:
        assert {v.code for v in package.errors} == {
            "N.MessageHeader.Subject",
            "N.MessageHeader.PromulgationInfo.Place",
            "N.MessageHeader.To",
        }
        assert all(v.vi and v.en for v in package.violations)
        assert package.violations[: len(package.errors)] == package.errors


def test_a_status_is_recognised_by_its_code_alone(tmp_path: Path) -> None:
    raw = a_status_package().replace(
        b"<edXML:ResponseFor>", b"<edXML:To><edXML:OrganId>H37.21</edXML:OrganId></edXML:To><edXML:ResponseFor>"
    )
    with read(raw, tmp_path) as package:
        assert package.envelope.kind == "status"
        assert not package.envelope.recipients


@pytest.mark.parametrize("stream_above", [0, 10**9])
def test_a_frame_in_no_namespace_is_neither_read_nor_left_out_of_the_digest(stream_above: int, tmp_path: Path) -> None:
    signature = b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>'
    fake = b'<edXMLEnvelope xmlns=""><edXMLHeader>' + signature + b"</edXMLHeader></edXMLEnvelope>"
    raw = a_package().replace(b"  <edXML:edXMLEnvelope", fake + b"  <edXML:edXMLEnvelope")
    other = raw.replace(signature, signature.replace(b"/>", b">x</Signature>"))
    with read(raw, tmp_path, stream_above=stream_above) as one, read(other, tmp_path, stream_above=stream_above) as two:
        assert one.signatures == 0
        assert one.enveloped_digest(c14n=C14N.EXCLUSIVE, digest="sha256") != two.enveloped_digest(
            c14n=C14N.EXCLUSIVE, digest="sha256"
        )


@pytest.mark.parametrize("stream_above", [0, 10**9])
def test_a_package_in_no_namespace_is_read_with_a_warning(stream_above: int, tmp_path: Path) -> None:
    raw = a_package().replace(b' xmlns="http://www.mic.gov.vn/TBT/QCVN_102_2016"', b"")
    with read(raw, tmp_path, stream_above=stream_above) as package:
        assert not package.errors
        assert package.attachments
        assert "T.edXML" in {v.code for v in package.warnings}
