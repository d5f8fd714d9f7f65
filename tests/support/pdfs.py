"""PDFs as agencies make and sign them, small and made once per run."""

from __future__ import annotations

import functools
import hashlib
import io
import tempfile
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from asn1crypto import x509 as asn1_x509
from asn1crypto.keys import PrivateKeyInfo
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name, pdf_string
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko_certvalidator.registry import SimpleCertificateStore
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen import canvas

from gateway.model import FileVerdict, SignerRole
from gateway.signing.files.judge import inspect_file
from gateway.signing.files.limits import FileLimits
from gateway.signing.files.policy import FilePolicy, RegisteredSigner
from gateway.signing.keys import SigningKey
from gateway.signing.pdf_sign import PdfSignOptions
from gateway.signing.prepare import complete_pdf, prepare_pdf
from gateway.signing.trust import TrustAnchors
from tests.support import pki

NOW = pki.NOW
SIGNED = NOW - timedelta(hours=2)
"""When signers say that they signed."""
LINE = (72.0, 500.0)
"""Where the text of :func:`plain` begins, in points."""
Write = Callable[[IncrementalPdfFileWriter], None]


@functools.cache
def plain(text: str = "Thanh toan 1.000.000 dong cho Nguyen Van A", *, pages: int = 1) -> bytes:
    """A dispatch of A4 pages with one line of text in the middle of each; not signed."""
    out = io.BytesIO()
    page = canvas.Canvas(out, pagesize=A4, invariant=1)
    for number in range(pages):
        page.setFont("Helvetica", 14)
        page.drawString(*LINE, text if pages == 1 else f"{text} - {number + 1}")
        page.showPage()
    page.save()
    return out.getvalue()


def signed(
    pdf: bytes,
    key: SigningKey,
    *,
    at: datetime = SIGNED,
    options: PdfSignOptions | None = None,
    token: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """
    The PDF with one more signature.

    :param token: makes a time-stamp token over what it is given (a SHA-256 digest); ``None``: no time-stamp.
    """
    options = options or PdfSignOptions(role=SignerRole.PERSON)
    with tempfile.TemporaryDirectory() as folder:
        source, prepared_file, out = (Path(folder) / n for n in ("source", "prepared", "out"))
        source.write_bytes(pdf)
        prepared = prepare_pdf(
            source, prepared_file, certificate=key.certificate, chain=key.chain, options=options, at=at
        )
        value = key.sign(prepared.to_be_signed)
        stamp = token(hashlib.sha256(prepared.stamped_part(value)).digest()) if token else None
        complete_pdf(prepared, value, prepared_file=prepared_file, out=out, timestamp=stamp)
        return out.read_bytes()


@functools.cache
def by_person() -> bytes:
    """:func:`plain`, signed by the competent person."""
    return signed(plain(), pki.person())


@functools.cache
def issued() -> bytes:
    """Signed by the person, then by the agency: what the law expects of a dispatch."""
    return signed(by_person(), pki.agency_seal(), options=PdfSignOptions(role=SignerRole.AGENCY))


def updated(pdf: bytes, write: Write) -> bytes:
    """The PDF with one more revision, written by ``write``."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    write(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def annotation(
    rect: tuple[float, float, float, float] = (60, 700, 200, 780), *, page: int = 0, **entries: generic.PdfObject
) -> Write:
    """An incoming stamp as an annotation: by default on the empty upper left of the page."""

    def write(writer: IncrementalPdfFileWriter) -> None:
        page_ref = writer.find_page_for_modification(page)[0]
        appearance = generic.StreamObject(
            {
                pdf_name("/Type"): pdf_name("/XObject"),
                pdf_name("/Subtype"): pdf_name("/Form"),
                pdf_name("/BBox"): generic.ArrayObject([generic.FloatObject(v) for v in (0, 0, 140, 80)]),
            },
            stream_data=b"1 0 0 RG 2 2 136 76 re S",
        )
        stamp = generic.DictionaryObject(
            {
                pdf_name("/Type"): pdf_name("/Annot"),
                pdf_name("/Subtype"): pdf_name("/Stamp"),
                pdf_name("/Rect"): generic.ArrayObject([generic.FloatObject(v) for v in rect]),
                pdf_name("/Contents"): pdf_string("DEN so 12 ngay 05/03/2026"),
                pdf_name("/F"): generic.NumberObject(4),
                pdf_name("/P"): page_ref,
                pdf_name("/AP"): generic.DictionaryObject({pdf_name("/N"): writer.add_object(appearance)}),
                **{pdf_name(f"/{k}"): v for k, v in entries.items()},
            }
        )
        stamp_ref = writer.add_object(stamp)
        found = page_ref.get_object()
        found["/Annots"] = generic.ArrayObject([*found.get("/Annots", generic.ArrayObject()), stamp_ref])
        writer.update_container(found)

    return write


def lacking(number: int) -> bytes:
    """A PDF whose page names an object that is not there: free when it is 5, beyond the end of the table otherwise."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents[4 0 R %d 0 R]/Resources<</Font<</F1 6 0 R>>>>>>"
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        3: page % number,
        4: b"<</Length 38>>stream\nBT /F1 14 Tf 72 500 Td (1.000) Tj ET   \nendstream",
        6: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    }
    content, rows = b"%PDF-1.7\n", [b"0000000005 65535 f \n"]
    for n in range(1, 7):
        rows.append(b"%010d 00000 n \n" % len(content) if n in objects else b"0000000000 00000 f \n")
        content += b"%d 0 obj\n%s\nendobj\n" % (n, objects[n]) if n in objects else b""
    end = b"trailer\n<</Size 7/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(content)
    return content + b"xref\n0 7\n" + b"".join(rows) + end


def freeing(pdf: bytes, number: int) -> bytes:
    """The PDF with one more revision, by which that object is no more."""
    before = pdf.rindex(b"startxref")
    previous = pdf[before:].split()[1]
    size = pdf[:before].rsplit(b"/Size", 1)[1].split()[0]
    root = pdf[:before].rsplit(b"/Root", 1)[1].split(b"R")[0]
    table = b"xref\n%d 1\n0000000000 00001 f \ntrailer\n<</Size %s/Root%sR/Prev %s>>\n" % (number, size, root, previous)
    return pdf + table + b"startxref\n%d\n%%%%EOF\n" % len(pdf)


def pyhanko_signer(key: SigningKey) -> signers.SimpleSigner:
    """pyHanko's own signer with one of our keys."""
    store = SimpleCertificateStore()
    store.register_multiple([_asn1(c) for c in key.chain])
    private = key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return signers.SimpleSigner(
        signing_cert=_asn1(key.certificate), signing_key=PrivateKeyInfo.load(private), cert_registry=store
    )


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def unpacking_to(size: int) -> bytes:
    """A PDF whose form stands in an object stream that unpacks to ``size`` blanks before it."""
    catalog = b"1 0 obj<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R>>endobj\n"
    pages = b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    body = b"%PDF-1.7\n" + catalog + pages
    packer = zlib.compressobj(9)
    packed = packer.compress(b"5 0 <</Fields []>>")
    for _ in range(size // 2**20):
        packed += packer.compress(b" " * 2**20)
    packed += packer.flush()
    at = [len(b"%PDF-1.7\n"), len(b"%PDF-1.7\n" + catalog), len(body)]
    body += b"3 0 obj<</Type/ObjStm/N 1/First 4/Filter/FlateDecode/Length %d>>stream\n" % len(packed)
    body += packed + b"\nendstream endobj\n"
    rows = [(0, 0, 255), (1, at[0], 0), (1, at[1], 0), (1, at[2], 0), (1, len(body), 0), (2, 3, 0)]
    table = b"".join(bytes([kind]) + place.to_bytes(4, "big") + bytes([rest]) for kind, place, rest in rows)
    start = len(body)
    body += b"4 0 obj<</Type/XRef/Size 6/W[1 4 1]/Root 1 0 R/Length %d>>stream\n" % len(table)
    return body + table + b"\nendstream endobj\nstartxref\n%d\n%%%%EOF\n" % start


def registered() -> tuple[RegisteredSigner, ...]:
    """The person and the agency, as the directory would name them."""
    return (
        RegisteredSigner(sha256=pki.person().certificate_sha256, role=SignerRole.PERSON),
        RegisteredSigner(sha256=pki.agency_seal().certificate_sha256, role=SignerRole.AGENCY),
    )


def judged(
    content: bytes,
    *,
    name: str = "01.pdf",
    anchors: TrustAnchors | None = None,
    signers: tuple[RegisteredSigner, ...] | None = None,
    at: datetime = NOW,
    policy: FilePolicy | None = None,
    limits: FileLimits | None = None,
) -> tuple[FileVerdict, ...]:
    """The verdicts on a file of this content, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        return inspect_file(
            path,
            content_id="cid-1",
            name=name,
            registered=registered() if signers is None else signers,
            anchors=pki.anchors() if anchors is None else anchors,
            at=at,
            policy=policy,
            limits=limits,
        )
