"""Files other than PDFs: archives are looked into, Office files and CMS are named, all else is said to be neither."""

from __future__ import annotations

import base64
import io
import subprocess
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from gateway.model import FileStanding, SignerRole
from gateway.signing.files import FileLimits, FileReason
from tests.support import pdfs, pki
from tests.support.programs import needs

NOT_JUDGED, UNREADABLE = FileStanding.NOT_JUDGED, FileStanding.UNREADABLE


def zipped(entries: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


def office(**parts: bytes) -> bytes:
    """An Office file, with these parts among its signatures."""
    signatures = {f"_xmlsignatures/{name}": content for name, content in parts.items()}
    return zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<d/>", **signatures})


def office_signature(said: str = "2026-03-05T05:30:00Z") -> bytes:
    certificate = base64.b64encode(pki.person().certificate_der).decode()
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Signature xmlns="http://www.w3.org/2000/09/xmldsig#" Id="idPackageSignature">
<KeyInfo><X509Data><X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo>
<Object><SignatureProperties><SignatureProperty Id="t" Target="#x">
<mdssi:SignatureTime xmlns:mdssi="http://schemas.openxmlformats.org/package/2006/digital-signature">
<mdssi:Value>{said}</mdssi:Value></mdssi:SignatureTime></SignatureProperty></SignatureProperties></Object>
</Signature>""".encode()


def test_files_in_an_archive_are_judged_one_by_one() -> None:
    verdicts = pdfs.judged(
        zipped({"QD-12.pdf": pdfs.issued(), "phụ lục/01.pdf": pdfs.by_person(), "ghi chú.txt": b"x"})
    )
    assert [(v.member, v.format, v.standing) for v in verdicts] == [
        ("QD-12.pdf", "pdf", FileStanding.VALID),
        ("phụ lục/01.pdf", "pdf", FileStanding.VALID),
        ("ghi chú.txt", "other", NOT_JUDGED),
    ]
    assert [v.has_agency for v in verdicts] == [True, False, False]
    assert {v.name for v in verdicts} == {"01.pdf"}  # of the attachment


def test_an_archive_in_an_archive_is_looked_into_and_no_deeper() -> None:
    twice = zipped({"trong.zip": zipped({"a.pdf": pdfs.by_person()})})
    (verdict,) = pdfs.judged(twice)
    assert (verdict.member, verdict.standing) == ("trong.zip/a.pdf", FileStanding.VALID)
    (verdict,) = pdfs.judged(zipped({"ngoài.zip": twice}))
    assert (verdict.member, verdict.reason) == ("ngoài.zip/trong.zip", FileReason.TOO_LARGE)


def test_what_is_called_a_pdf_and_is_none_is_judged_as_what_it_is() -> None:
    (verdict,) = pdfs.judged(zipped({"a.pdf": b"not one", "b.txt": pdfs.plain()}), signers=())[:1]
    assert (verdict.format, verdict.standing) == ("other", NOT_JUDGED)
    (verdict,) = pdfs.judged(zipped({"b.txt": pdfs.plain()}))
    assert (verdict.format, verdict.standing) == ("pdf", FileStanding.UNSIGNED)


def test_an_archive_that_a_reader_of_pdfs_would_open_is_not_called_a_pdf() -> None:
    # Stored, a PDF at its beginning makes it one to readers that forgive much; which document they show is open.
    both = zipped({"a.pdf": pdfs.by_person()}, zipfile.ZIP_STORED)
    for name in ("QD-12.pdf", "QD-12.PDF. "):
        (verdict,) = pdfs.judged(both, name=name)
        assert (verdict.format, verdict.standing, verdict.reason) == ("zip", UNREADABLE, FileReason.BROKEN)
        (verdict,) = pdfs.judged(zipped({name: both}))
        assert (verdict.standing, verdict.reason) == (UNREADABLE, FileReason.BROKEN)
    (verdict,) = pdfs.judged(both, name="QD-12.zip")
    assert (verdict.member, verdict.standing) == ("a.pdf", FileStanding.VALID)


def test_names_that_are_utf_8_without_saying_so_are_read_as_such() -> None:
    name = "Phụ lục.txt"
    plain = "x" * len(name.encode())
    said = zipped({plain: b""}).replace(plain.encode(), name.encode())
    (verdict,) = pdfs.judged(said)
    assert verdict.member == name
    (verdict,) = pdfs.judged(zipped({"x": b""}).replace(b"x", b"\xea"))  # cp437, as the format has it
    assert verdict.member == "Ω"


def test_names_in_archives_hide_nothing() -> None:
    (verdict,) = pdfs.judged(zipped({"Quyết định\u202efdp.exe\n": b""}))
    assert verdict.member == "Quyết định\N{REPLACEMENT CHARACTER}fdp.exe\N{REPLACEMENT CHARACTER}"


def test_names_in_archives_are_never_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (verdict,) = pdfs.judged(zipped({"../../ngoai.pdf": pdfs.plain()}))
    assert (verdict.member, verdict.standing) == ("../../ngoai.pdf", FileStanding.UNSIGNED)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_archive_says_so() -> None:
    (verdict,) = pdfs.judged(zipped({}))
    assert (verdict.member, verdict.standing, verdict.reason) == (None, NOT_JUDGED, FileReason.EMPTY_ARCHIVE)


@pytest.mark.parametrize(
    ("limits", "place"),
    [
        (FileLimits(members=1), None),
        (FileLimits(member_bytes=1_000), "a.pdf"),
        (FileLimits(unpacked_bytes=1_000), "a.pdf"),
    ],
    ids=["members", "member_bytes", "unpacked_bytes"],
)
def test_an_archive_that_holds_more_than_is_looked_at_is_too_large(limits: FileLimits, place: str | None) -> None:
    found = pdfs.judged(zipped({"a.pdf": pdfs.plain(), "b.pdf": pdfs.plain()}), limits=limits)
    assert (found[0].member, found[0].standing, found[0].reason) == (place, UNREADABLE, FileReason.TOO_LARGE)


def test_a_file_that_unpacks_to_far_more_than_its_size_is_too_large() -> None:
    (verdict,) = pdfs.judged(zipped({"bom.pdf": bytes(20 * 1024 * 1024)}))
    assert (verdict.standing, verdict.reason) == (UNREADABLE, FileReason.TOO_LARGE)


def test_an_encrypted_member_is_unreadable_and_the_others_are_judged() -> None:
    content = bytearray(zipped({"a.pdf": pdfs.plain(), "b.pdf": pdfs.plain()}))
    content[content.index(b"PK\1\2") + 8] |= 1  # the flag in the directory
    content[6] |= 1
    locked, other = pdfs.judged(bytes(content))
    assert (locked.standing, locked.reason) == (UNREADABLE, FileReason.ENCRYPTED)
    assert other.standing is FileStanding.UNSIGNED


@pytest.mark.parametrize(
    "content", [zipped({"a": b"x"})[:-10], b"PK\3\4" + bytes(200)], ids=["cut off", "no directory"]
)
def test_a_broken_archive_is_unreadable(content: bytes) -> None:
    (verdict,) = pdfs.judged(content)
    assert (verdict.format, verdict.standing, verdict.reason) == ("zip", UNREADABLE, FileReason.BROKEN)


# Office files


def test_a_signed_office_file_is_named_and_not_judged() -> None:
    (verdict,) = pdfs.judged(office(**{"origin.sigs": b"", "sig1.xml": office_signature()}))
    assert (verdict.format, verdict.standing, verdict.reason) == ("ooxml", NOT_JUDGED, FileReason.NOT_JUDGED)
    (signature,) = verdict.signatures
    assert (signature.field, signature.role) == ("_xmlsignatures/sig1.xml", SignerRole.PERSON)
    assert signature.certificate_sha256 == pki.person().certificate_sha256
    assert signature.claimed_at == datetime(2026, 3, 5, 5, 30, tzinfo=UTC)
    assert not verdict.has_person  # nothing was verified


def test_an_office_file_without_signatures_is_unsigned() -> None:
    (verdict,) = pdfs.judged(office())
    assert (verdict.format, verdict.standing) == ("ooxml", FileStanding.UNSIGNED)


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"<x",
        b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
        b"<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'><X509Certificate>AAAA</X509Certificate></Signature>",
        office_signature(said="hôm qua"),
    ],
    ids=["empty", "cut", "entity", "no-certificate", "no-time"],
)
def test_a_signature_part_that_cannot_be_read_is_still_one(part: bytes) -> None:
    (verdict,) = pdfs.judged(office(**{"origin.sigs": b"", "sig1.xml": part}))
    (signature,) = verdict.signatures
    assert (signature.standing, signature.subject) == (NOT_JUDGED, None)


def test_an_office_file_in_an_archive_in_an_archive_is_recognised() -> None:
    (verdict,) = pdfs.judged(zipped({"a.zip": zipped({"b.docx": office()})}))
    assert (verdict.member, verdict.format) == ("a.zip/b.docx", "ooxml")


def test_open_documents_are_no_archives() -> None:
    content = zipped({"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b"<d/>"})
    (verdict,) = pdfs.judged(content)
    assert (verdict.member, verdict.format, verdict.standing) == (None, "other", NOT_JUDGED)


@pytest.mark.parametrize("mark", ["mimetype", "[Content_Types].xml"])
@pytest.mark.parametrize("name", ["kèm theo.ZIP", "kem.zip. "])
def test_what_is_called_an_archive_is_one_whatever_marks_lie_in_it(mark: str, name: str) -> None:
    """Whoever opens it by its name sees its files: a mark of another format must not hide them."""
    hiding = zipped({mark: b"<Types/>", "moi.pdf": pdfs.plain()})
    told = [(v.member, v.format, v.standing) for v in pdfs.judged(hiding, name=name)]
    assert told == [(mark, "other", NOT_JUDGED), ("moi.pdf", "pdf", FileStanding.UNSIGNED)]
    nested = zipped({name: hiding})
    assert [v.member for v in pdfs.judged(nested, name="tat-ca.zip")] == [f"{name}/{mark}", f"{name}/moi.pdf"]


# CMS


def cms(encoding: serialization.Encoding) -> bytes:
    key = pki.person()
    builder = (
        pkcs7.PKCS7SignatureBuilder().set_data(b"noi dung").add_signer(key.certificate, key.private, hashes.SHA256())
    )
    return builder.sign(encoding, [])


@pytest.mark.parametrize("encoding", [serialization.Encoding.DER, serialization.Encoding.PEM])
def test_the_signer_of_a_cms_is_named_and_not_judged(encoding: serialization.Encoding) -> None:
    (verdict,) = pdfs.judged(cms(encoding))
    assert (verdict.format, verdict.standing) == ("other", NOT_JUDGED)
    (signature,) = verdict.signatures
    assert signature.certificate_sha256 == pki.person().certificate_sha256
    assert (signature.field, signature.role) == ("SignerInfo 1", SignerRole.PERSON)
    assert signature.claimed_at is not None


def test_a_cms_that_is_cut_is_unreadable() -> None:
    (verdict,) = pdfs.judged(cms(serialization.Encoding.DER)[:-40])
    assert (verdict.standing, verdict.reason) == (UNREADABLE, FileReason.BROKEN)


@pytest.mark.parametrize("content", [b"", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x89PNG\r\n\x1a\n", b"van ban"])
def test_other_files_are_said_to_be_other(content: bytes) -> None:
    (verdict,) = pdfs.judged(content)
    assert (verdict.format, verdict.standing, verdict.reason) == (
        "other",
        NOT_JUDGED,
        FileReason.NO_SIGNATURES_KNOWN,
    )


# A signature that OpenSSL made


@needs("openssl")
def test_a_pdf_signed_by_openssl_is_valid(tmp_path: Path) -> None:
    """The bytes around the hole are signed by another program altogether, as a detached CMS."""
    before = pdfs.by_person()
    start = before.index(b"/Contents <") + len(b"/Contents ")
    end = before.index(b">", start) + 1
    (tmp_path / "covered").write_bytes(before[:start] + before[end:])
    key = pki.person()
    (tmp_path / "certificate").write_bytes(key.certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key").write_bytes(
        key.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    made = subprocess.run(
        [
            *("openssl", "cms", "-sign", "-binary", "-in", "covered", "-signer", "certificate", "-inkey", "key"),
            *("-md", "sha256", "-outform", "DER", "-cades"),
        ],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    content = before[: start + 1] + made.hex().encode().ljust(end - start - 2, b"0") + before[end - 1 :]
    (verdict,) = pdfs.judged(content)
    assert (verdict.standing, verdict.has_person) == (FileStanding.VALID, True)
