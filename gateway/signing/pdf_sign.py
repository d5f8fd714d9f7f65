"""
Signing PDFs (PAdES): an empty signature with its picture, then the CMS that fills it.

The decree's rules on place and text (NĐ 30/2020/NĐ-CP Annex I; domain §4.2) are here: a person's
image where the person signs, the agency's seal over a third of it, a line of text at the top right
of copies and annexes, the agency after the person. Each signature is an incremental update, so the
ones before it stay valid. ``prepare.py`` joins the steps.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
import io
import struct
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import fontpkg_noto_serif
from asn1crypto import algos, cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fontTools.ttLib import TTLibError
from PIL import Image
from pyhanko.pdf_utils import layout
from pyhanko.pdf_utils.font.api import FontEngineFactory
from pyhanko.pdf_utils.font.opentype import GlyphAccumulator
from pyhanko.pdf_utils.images import PdfImage
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.text import TextBoxStyle
from pyhanko.pdf_utils.writer import BasePdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.signers.pdf_byterange import PreparedByteRangeDigest
from pyhanko.stamp import BaseStampStyle, StaticStampStyle, TextStampStyle
from pyhanko_certvalidator.registry import SimpleCertificateStore

from gateway.errors import FileNotSignable, PersonSignatureMissing, SigningImageUnusable
from gateway.model import FileSignature, FileStanding, SignerRole
from gateway.signing.files.limits import FileLimits
from gateway.signing.files.pdf import check_signable, judge_pdf
from gateway.signing.files.policy import FilePolicy
from gateway.signing.files.reasons import FileReason
from gateway.signing.files.signer import Scope
from gateway.signing.files.usages import CountedReader
from gateway.signing.files.verdicts import Unreadable
from gateway.signing.keys import der_signature, fingerprint, scheme_of
from gateway.signing.pdf_page import Page, Rectangle, newest_picture, page_of
from gateway.signing.trust import TrustAnchors

VIETNAM = timezone(timedelta(hours=7))

PDF_BYTES_MAX = 256 * 1024 * 1024
IMAGE_BYTES_MAX = 2 * 1024 * 1024
IMAGE_PIXELS_MAX = 4_000_000
_HEADER = 33
"""Bytes of a PNG up to the end of the chunk that says its size."""
SEAL_MM = 36.0
"""Across a seal whose image does not say its size."""
WIDTH_MM = (5.0, 200.0)
"""Of an image: less is a speck, more no signature."""
_BETWEEN = f"{WIDTH_MM[0]:.0f} to {WIDTH_MM[1]:.0f} mm"
PERSON_MM = 45.0
"""Width of a person's signature, when nobody says another."""
_TEXT_BOX_MM = (75.0, 12.0)
_MARGIN_MM = 12.0
_TEXT_POINTS = 10
_LINE_POINTS = 14
"""From line to line: what accents above and marks below need."""
_TOKEN_ROOM = 16 * 1024
"""Kept free for a time-stamp token, whose size is not known before the signature exists."""

_INTACT = frozenset({FileStanding.VALID, FileStanding.VALID_WEAK, FileStanding.INDETERMINATE, FileStanding.UNTRUSTED})
"""Of a signature whose signer nobody here is asked to trust."""

# What pyHanko lets through besides its own errors when a PDF is not what it seems; each is translated.
_LEAKS = (
    PdfError,
    ValueError,  # SigningError is one
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    RecursionError,
    OverflowError,
    AssertionError,
    zlib.error,
    struct.error,
)


class PdfForm(enum.StrEnum):
    """What is signed: it decides what the decree wants to be seen."""

    ISSUED = "issued"
    """The dispatch itself: images of the person's signature and of the seal."""
    ANNEX = "annex"
    """An annex in a file of its own: the agency alone, as a line of text."""
    COPY = "copy"
    """A certified copy: the agency alone, as a line of text."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a picture goes."""

    page: int = -1
    """From 1; negative counts from the last."""
    x_mm: float
    """Of its lower left corner, from the page's left edge."""
    y_mm: float
    """From the page's lower edge."""


@dataclass(frozen=True, kw_only=True)
class PdfSignOptions:
    """How a PDF is to be signed, besides by whom and when."""

    role: SignerRole = SignerRole.PERSON
    form: PdfForm = PdfForm.ISSUED
    image: bytes | None = None
    """PNG with transparency: the person's signature (blue) or the seal (red); ``None``: nothing is drawn."""
    place: Place | None = None
    """``None``: a seal goes over the person's signature, another image to the lower right of the last page."""
    page: int = -1
    """Of a person's image without a place of its own; as in :class:`Place`."""
    width_mm: float | None = None
    """Of the image; ``None``: a seal has the size that its image names, or 36 mm; a signature 45 mm."""
    number: str | None = None
    """Number and notation of the document, for the line on copies and annexes; ``None``: no line."""
    reason: str | None = None
    location: str | None = None
    font: Path | None = None
    """TrueType or OpenType file for that line; ``None``: Noto Serif."""
    without_person: bool = False
    """Let the agency sign a dispatch that nobody has signed before."""


@dataclass(frozen=True, kw_only=True)
class EmptySignature:
    """A PDF with room for one signature, written already; what is needed to fill it."""

    document_digest: bytes
    region_start: int
    region_end: int
    signed_attributes: bytes
    """DER of the CMS signed attributes: what the key signs."""


def write_empty_signature(
    source: Path,
    out: BinaryIO,
    *,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    options: PdfSignOptions,
    at: datetime,
) -> EmptySignature:
    """
    Write the PDF with one more signature field, drawn and empty, and say what is to be signed.

    :param source: not trusted: a hostile one may cost much time. Where others than the program's
        own user choose it, run this in a process that can be ended.
    :param out: empty; readable and seekable.
    :param at: the signing time that the PDF claims, aware; written as Vietnam's.
    :raises FileNotSignable, PersonSignatureMissing, SigningImageUnusable: see there.
    :raises KeyUnusable: no signature can be made with the certificate's key.
    """
    if source.stat().st_size > PDF_BYTES_MAX:
        raise FileNotSignable(f"The file has more than {PDF_BYTES_MAX} bytes.")
    scheme = scheme_of(certificate)
    try:
        with source.open("rb") as file:
            reader = CountedReader(file, strict=False)
            writer = IncrementalPdfFileWriter.from_reader(reader)
            if reader.encrypted:
                raise FileNotSignable("The PDF is encrypted.")
            before = _signatures(file, at) if reader.embedded_signatures else ()
            if options.role is SignerRole.AGENCY and options.form is PdfForm.ISSUED and not options.without_person:
                _demand_person(before, certificate)
            style, spec = _picture(writer, options, at)
            metadata = signers.PdfSignatureMetadata(
                field_name=spec.sig_field_name,
                md_algorithm=scheme.digest,
                subfilter=fields.SigSeedSubFilter.PADES,
                reason=options.reason,
                location=options.location,
            )
            signer = _cms_maker(certificate, chain)
            pdf_signer = signers.PdfSigner(metadata, signer, stamp_style=style, new_field_spec=spec)
            session = pdf_signer.init_signing_session(writer)
            session.system_time = at.astimezone(VIETNAM)
            prepared, _ = session.prepare_tbs_document(
                validation_info=None, bytes_reserved=2 * _room(certificate, chain)
            ).digest_tbs_document(output=out)
            attributes = asyncio.run(signer.signed_attrs(prepared.document_digest, scheme.digest, use_pades=True))
        intact = {s.field for s in _signatures(out, at) if _is_intact(s)}
        if not intact.issuperset(s.field for s in before if _is_intact(s)):
            raise FileNotSignable("The PDF is locked or broken: one more signature would break one that is in it.")
    except Unreadable as e:
        raise FileNotSignable(f"The PDF could not be read by others ({e.reason}).") from e
    except _LEAKS as e:
        _refuse(e)
    return EmptySignature(
        document_digest=prepared.document_digest,
        region_start=prepared.reserved_region_start,
        region_end=prepared.reserved_region_end,
        signed_attributes=attributes.dump(),
    )


def fill_signature(
    file: BinaryIO,
    empty: EmptySignature,
    signature: bytes,
    *,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    token: bytes | None,
) -> None:
    """
    Put the signature into the PDF that :func:`write_empty_signature` wrote.

    :param file: that PDF, readable and writable, position free.
    :param signature: over ``signed_attributes``, as :meth:`gateway.signing.keys.Signer.sign` gives it; checked before.
    :param token: DER of a time-stamp over :func:`stamped_part`; checked before.
    :raises FileNotSignable: the file is not what was prepared, or the signature does not fit in it.
    """
    scheme = scheme_of(certificate)
    if _digest_around(file, empty, scheme.digest) != empty.document_digest:
        raise FileNotSignable("The prepared file has been changed since it was prepared.")
    attributes = cms.CMSAttributes.load(empty.signed_attributes)
    signer = _cms_maker(certificate, chain, stamped_part(certificate, signature))
    content = asyncio.run(signer.async_sign_prescribed_attributes(scheme.digest, attributes))
    if token is not None:
        stamp = {"type": "signature_time_stamp_token", "values": [cms.ContentInfo.load(token)]}
        content["content"]["signer_infos"][0]["unsigned_attrs"] = cms.CMSAttributes([cms.CMSAttribute(stamp)])
    prepared = PreparedByteRangeDigest(
        document_digest=empty.document_digest,
        reserved_region_start=empty.region_start,
        reserved_region_end=empty.region_end,
    )
    try:
        prepared.fill_with_cms(file, content)
    except ValueError as e:
        raise FileNotSignable("The signature with its certificates and time-stamp is larger than its place.") from e


def stamped_part(certificate: x509.Certificate, signature: bytes) -> bytes:
    """What a time-stamp authority is given to hash: the signature value as CMS writes it."""
    return der_signature(signature, scheme_of(certificate))


def _refuse(error: BaseException) -> NoReturn:
    raise FileNotSignable(f"The PDF cannot be signed as it is ({type(error).__name__}).") from error


def _cms_maker(
    certificate: x509.Certificate, chain: Sequence[x509.Certificate], signature: bytes | None = None
) -> signers.ExternalSigner:
    scheme = scheme_of(certificate)
    kind = "rsa" if scheme.width is None else "ecdsa"
    known = SimpleCertificateStore.from_certs([_asn1(c) for c in chain])  # type: ignore[no-untyped-call]  # pyHanko's
    return signers.ExternalSigner(
        signing_cert=_asn1(certificate),
        cert_registry=known,
        signature_value=signature,
        signature_mechanism=algos.SignedDigestAlgorithm({"algorithm": f"{scheme.digest}_{kind}"}),
        embed_roots=False,
    )


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def _room(certificate: x509.Certificate, chain: Sequence[x509.Certificate]) -> int:
    """Bytes that the CMS may take: certificates, attributes and signature, and a time-stamp that is not known yet."""
    return sum(len(c.public_bytes(Encoding.DER)) for c in (certificate, *chain)) + 4096 + _TOKEN_ROOM


def _digest_around(file: BinaryIO, empty: EmptySignature, algorithm: str) -> bytes:
    """The digest of all but the place of the signature."""
    digest = hashlib.new(algorithm)
    file.seek(0)
    left = empty.region_start
    while left and (chunk := file.read(min(left, 1 << 20))):
        digest.update(chunk)
        left -= len(chunk)
    file.seek(empty.region_end)
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.digest()


# The person before the agency


def _signatures(file: BinaryIO, at: datetime) -> tuple[FileSignature, ...]:
    """
    The signatures in a PDF as whoever receives it will judge them, but for whom to trust.

    :raises FileNotSignable: it cannot be read as strictly as there; lax readers differ on what such a file shows.
    """
    policy = FilePolicy(tolerate_sha1=True, tolerate_rsa_1024=True)
    try:
        scope = Scope(registered=(), anchors=TrustAnchors(), policy=policy, at=at)
        check_signable(file, limits=FileLimits())
        return judge_pdf(file, scope=scope, limits=FileLimits()).signatures
    except Unreadable as e:
        raise FileNotSignable(f"A signature in the PDF could not be read by others ({e.reason}).") from e


def _is_intact(signature: FileSignature) -> bool:
    """Whether it stands, by whomever. What lies over it is for those to judge who know whom to trust."""
    return signature.standing in _INTACT or signature.reason == FileReason.COVERED_AFTER


def _demand_person(found: Sequence[FileSignature], agency: x509.Certificate) -> None:
    """
    Refuse a dispatch that nobody but the agency has signed (NĐ 30/2020 Art. 32–33), or that was changed since.

    Whether that signature is the *competent* person's, and trusted, is judged by whoever receives
    the file; here it must be intact, cover what the file shows, and be made with another certificate.
    """
    others = [s for s in found if s.certificate_sha256 != fingerprint(agency)]
    if any(s.reason == FileReason.ALTERED_AFTER for s in others):
        raise FileNotSignable("The PDF was changed after somebody had signed it.")
    if not any(_is_intact(s) for s in others):
        raise PersonSignatureMissing


# What is seen


def _picture(
    writer: IncrementalPdfFileWriter, options: PdfSignOptions, at: datetime
) -> tuple[BaseStampStyle, fields.SigFieldSpec]:
    """How the signature looks, and the field that it goes into; an empty box is not seen."""
    name = _free_name(writer, options.role)
    if options.form is not PdfForm.ISSUED:
        if options.number is None or not options.number.strip():
            return StaticStampStyle(), fields.SigFieldSpec(name)
        page = page_of(writer, 1)
        right, top = (side - _MARGIN_MM * page.mm for side in page.size)
        wide, high = (side * page.mm for side in _TEXT_BOX_MM)
        _demand_seen(page, right - wide, top - high, wide, high)
        box = (right - wide, top - high, right, top)
        return _line(copy_line(options.number, at), options.font), _spec(name, page, box)
    if options.image is None:
        return StaticStampStyle(), fields.SigFieldSpec(name)
    image, named_mm = _read_image(options.image)
    is_seal = options.role is SignerRole.AGENCY
    wide_mm = options.width_mm or (named_mm or SEAL_MM if is_seal else PERSON_MM)
    if not WIDTH_MM[0] <= wide_mm <= WIDTH_MM[1]:
        raise SigningImageUnusable(f"The image would be {wide_mm:.1f} mm wide; give its width, {_BETWEEN}.")
    page, person = _page(writer, options)
    wide = wide_mm * page.mm
    high = wide * image.height / image.width
    x, y = _corner(page, person, options, wide, high)
    _demand_seen(page, x, y, wide, high)
    style = StaticStampStyle(
        border_width=0,
        background=PdfImage(image),
        background_layout=layout.SimpleBoxLayoutRule(
            x_align=layout.AxisAlignment.ALIGN_MID,
            y_align=layout.AxisAlignment.ALIGN_MID,
            margins=layout.Margins(),
            inner_content_scaling=layout.InnerScaling.STRETCH_TO_FIT,
        ),
    )
    return style, _spec(name, page, (x, y, x + wide, y + high))


def copy_line(number: str, at: datetime) -> str:
    """
    The line on copies and annexes: number and notation; date; time; Vietnam's zone by ISO 8601.

    Source: NĐ 30/2020/NĐ-CP Annex I (domain §4.2).
    """
    return f"{number};\n{at.astimezone(VIETNAM):%d/%m/%Y; %H:%M:%S} +07:00"


def _spec(name: str, page: Page, shown: Rectangle) -> fields.SigFieldSpec:
    x0, y0, x1, y1 = (round(v) for v in page.place(shown))
    return fields.SigFieldSpec(
        name,
        on_page=page.index,
        box=(x0, y0, x1, y1),
        visible_sig_settings=fields.VisibleSigSettings(rotate_with_page=not page.turn),
    )


class _Font(FontEngineFactory):
    """The font out of a file; pyHanko's own factory leaves the file open."""

    def __init__(self, file: Path, text: str) -> None:
        self._file = file
        self._text = text

    def create_font_engine(self, writer: BasePdfFileWriter, obj_stream: Any = None) -> GlyphAccumulator:
        try:
            made = GlyphAccumulator(
                writer, io.BytesIO(self._file.read_bytes()), font_size=_TEXT_POINTS, obj_stream=obj_stream
            )
            known = made.tt.getBestCmap() or {}
        except (OSError, TTLibError) as e:
            raise FileNotSignable(f"{self._file.name} is not a font that can be used.") from e
        # Others would be drawn as empty boxes, or turn the line round unseen.
        text = set(unicodedata.normalize("NFC", self._text)) - {"\n"}
        missing = sorted(c for c in text if ord(c) not in known or unicodedata.category(c) in ("Cc", "Cf"))
        if missing:
            signs = ", ".join(f"U+{ord(c):04X}" for c in missing[:5])
            raise FileNotSignable(f"The font {self._file.name} has no sign for {signs} of the line.")
        return made


def _line(text: str, font: Path | None) -> TextStampStyle:
    """
    Black, upright, 10 points; smaller only for a number that fills more than a line.

    The decree's Times New Roman may not be passed on, so the default is Noto Serif.
    """
    file = font or next(p for p in (fontpkg_noto_serif.ROOT / "files").iterdir() if p.name.startswith("NotoSerif["))
    return TextStampStyle(
        border_width=0,
        # The style's text is a template for %-formatting.
        stamp_text=text.replace("%", "%%"),
        text_box_style=TextBoxStyle(
            font=_Font(file, text),
            font_size=_TEXT_POINTS,
            leading=_LINE_POINTS,
            border_width=0,
            # Without a rule of its own a box has margins, and all that is in it becomes smaller for them.
            box_layout_rule=layout.SimpleBoxLayoutRule(
                x_align=layout.AxisAlignment.ALIGN_MIN,
                y_align=layout.AxisAlignment.ALIGN_MAX,
                margins=layout.Margins(),
            ),
        ),
        inner_content_layout=layout.SimpleBoxLayoutRule(
            x_align=layout.AxisAlignment.ALIGN_MAX,
            y_align=layout.AxisAlignment.ALIGN_MAX,
            margins=layout.Margins(),
            inner_content_scaling=layout.InnerScaling.SHRINK_TO_FIT,
        ),
    )


def _read_image(raw: bytes) -> tuple[Image.Image, float | None]:
    """The image, and its width in millimetres when it says its resolution."""
    if len(raw) > IMAGE_BYTES_MAX:
        raise SigningImageUnusable(f"The image has more than {IMAGE_BYTES_MAX} bytes.")
    # Before Pillow looks: it says on its own how it finds very large ones.
    sides = struct.unpack(">II", raw[16:24]) if raw[12:16] == b"IHDR" and len(raw) >= _HEADER else (0, 0)
    if sides[0] * sides[1] > IMAGE_PIXELS_MAX:
        raise SigningImageUnusable(f"The image has more than {IMAGE_PIXELS_MAX} pixels.")
    try:
        with Image.open(io.BytesIO(raw), formats=("PNG",)) as opened:
            if opened.width * opened.height > IMAGE_PIXELS_MAX or not opened.width * opened.height:
                raise SigningImageUnusable(f"The image has more than {IMAGE_PIXELS_MAX} pixels.")
            resolution = opened.info.get("dpi", (0, 0))[0]
            image = opened.convert("RGBA")
    # Pillow's own errors are OSErrors; broken chunks come out as SyntaxError or struct.error.
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error, Image.DecompressionBombError) as e:
        raise SigningImageUnusable("The image is not a PNG.") from e
    thinnest, thickest = image.getchannel("A").getextrema()
    if thinnest == 255:
        raise SigningImageUnusable("The image has no transparent background.")
    if thickest == 0:
        raise SigningImageUnusable("The image shows nothing: all of it is transparent.")
    millimetres = image.width / float(resolution) * 25.4 if resolution > 1 else None
    return image, millimetres


def _page(writer: IncrementalPdfFileWriter, options: PdfSignOptions) -> tuple[Page, Rectangle | None]:
    """The page of an image; and where on it the person's signature is seen that a seal goes over."""
    if options.place is not None:
        return page_of(writer, options.place.page), None
    if options.role is not SignerRole.AGENCY:
        return page_of(writer, options.page), None
    person = newest_picture(writer)
    if person is None:
        raise FileNotSignable("No person's signature is seen in the file, so the place of the seal must be given.")
    return person


def _corner(
    page: Page, person: Rectangle | None, options: PdfSignOptions, wide: float, high: float
) -> tuple[float, float]:
    """The lower left corner of an image as its page is shown."""
    if options.place is not None:
        return options.place.x_mm * page.mm, options.place.y_mm * page.mm
    if person is not None:
        # Over the left third of the person's signature, at the height of its middle.
        left, low, right, top = person
        return max(left + (right - left) / 3 - wide, 0), max((low + top - high) / 2, 0)
    width, height = page.size
    return max(width - 20 * page.mm - wide, 0), min(60 * page.mm, max(height - high, 0))


def _demand_seen(page: Page, x: float, y: float, wide: float, high: float) -> None:
    """:raises FileNotSignable: what is drawn there would not be seen whole."""
    width, height = page.size
    # Not the other way round: what is not a number lies nowhere.
    if not (0 <= x <= width - wide + 1 and 0 <= y <= height - high + 1):
        raise FileNotSignable("What is to be drawn would not be seen: its place is beyond the edge of the page.")


def _free_name(writer: IncrementalPdfFileWriter, role: SignerRole) -> str:
    """A field name that is not taken, such as ``Person-1``."""
    taken = {name for name, _, _ in fields.enumerate_sig_fields(writer.prev)}
    return next(n for n in (f"{role.value.capitalize()}-{i}" for i in range(1, len(taken) + 2)) if n not in taken)
