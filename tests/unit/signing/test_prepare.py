"""What comes back completes a file only if it signs just what was prepared."""

import hashlib
import io
import json
import random
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from asn1crypto import keys
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from PIL import Image
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec, MDPPerm, SigFieldSpec
from reportlab.pdfgen import canvas

from gateway.errors import (
    AlreadySigned,
    FileNotSignable,
    KeyUnusable,
    NotSignable,
    PersonSignatureMissing,
    SigningImageUnusable,
    SigningMismatch,
    TimestampRefused,
)
from gateway.model import FileStanding, SignerRole, Standing
from gateway.signing.keys import SigningKey
from gateway.signing.pdf_page import newest_picture
from gateway.signing.pdf_sign import PdfForm, PdfSignOptions, Place, copy_line
from gateway.signing.prepare import (
    PackageForm,
    Prepared,
    complete_package,
    complete_pdf,
    prepare_package,
    prepare_pdf,
)
from gateway.signing.sign import sign_pdf
from tests.support import documents, hostile, pdfs, pki, signed

AGENCY = PdfSignOptions(role=SignerRole.AGENCY)


def png(colour: tuple[int, int, int], *, width: int = 60, height: int = 40, alpha: int = 0, **how: object) -> bytes:
    """An image of a stroke on a background of this opacity."""
    image = Image.new("RGBA", (width, height), (255, 255, 255, alpha))
    image.paste((*colour, 255), (2, 2, width // 2, height // 2))
    out = io.BytesIO()
    image.save(out, "PNG", **how)
    return out.getvalue()


def sized(side: int) -> bytes:
    """The beginning of a square PNG that says that it is so many pixels wide."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(bytes(1000))
    chunks = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, pixels, b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def unseen() -> bytes:
    """An image of nothing."""
    out = io.BytesIO()
    Image.new("RGBA", (60, 40)).save(out, "PNG")
    return out.getvalue()


BLUE, RED = png((0, 0, 200)), png((200, 0, 0), width=100, height=100, dpi=(72, 72))


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.pdf"
    path.write_bytes(pdfs.plain(pages=2))
    return path


def prepared(plain: Path, key: SigningKey | None = None, options: PdfSignOptions | None = None) -> Prepared:
    """In ``prepared.pdf`` beside it, and read again as another process would."""
    key = key or pki.person()
    made = prepare_pdf(
        plain,
        plain.with_name("prepared.pdf"),
        certificate=key.certificate,
        chain=key.chain,
        options=options,
        at=pki.NOW,
    )
    return Prepared.from_state(made.state)


def completed(made: Prepared, value: bytes, plain: Path, **more: bytes) -> bytes:
    out = plain.with_name("out.pdf")
    complete_pdf(made, value, prepared_file=plain.with_name("prepared.pdf"), out=out, **more)
    return out.read_bytes()


# PDFs


@pytest.mark.parametrize("key", [pki.person, pki.agency, lambda: pki.agency_of_curve("secp384r1")])
def test_a_prepared_pdf_is_valid_once_completed(key: Callable[[], SigningKey], plain: Path) -> None:
    made = prepared(plain, key())
    assert made.digest == hashlib.new(made.digest_algorithm, made.to_be_signed).digest()
    assert made.signature_algorithm == key().algorithm
    done = completed(made, key().sign(made.to_be_signed), plain)
    assert done.startswith(plain.read_bytes())
    assert pdfs.judged(done)[0].standing is FileStanding.VALID


def test_the_state_is_plain_json_without_a_secret(plain: Path) -> None:
    state = json.loads(prepared(plain).state)
    assert set(state) == {"version", "kind", "certificates", "to_be_signed", "details"}


@pytest.mark.parametrize(
    "value",
    [
        lambda made: pki.person().sign(made.to_be_signed + b"\0"),
        lambda made: pki.agency_ec().sign(made.to_be_signed),
        lambda made: pki.person().sign(made.digest),
        lambda made: pki.person().sign(made.to_be_signed)[:-1],
        lambda made: bytes(64),
        lambda made: b"",
    ],
    ids=["other-bytes", "other-key", "hashed-twice", "cut", "zeros", "nothing"],
)
def test_a_signature_over_anything_else_is_refused(value: Callable[[Prepared], bytes], plain: Path) -> None:
    made = prepared(plain)
    with pytest.raises(SigningMismatch) as caught:
        completed(made, value(made), plain)
    assert caught.value.code == "signing.mismatch"
    assert not plain.with_name("out.pdf").exists()
    completed(made, pki.person().sign(made.to_be_signed), plain)  # It can still be completed.


def test_a_prepared_file_that_was_changed_meanwhile_is_refused(plain: Path) -> None:
    made = prepared(plain)
    file = plain.with_name("prepared.pdf")
    file.write_bytes(file.read_bytes().replace(b"1.000.000", b"9.000.000").replace(b"/MediaBox", b"/MediaBoy", 1))
    with pytest.raises(FileNotSignable):
        completed(made, pki.person().sign(made.to_be_signed), plain)


def test_a_time_stamp_must_be_over_this_signature(plain: Path) -> None:
    made = prepared(plain)
    value = pki.person().sign(made.to_be_signed)
    right = pki.timestamp_token(hashlib.sha256(made.stamped_part(value)).digest())
    for wrong in (pki.timestamp_token(hashlib.sha256(b"other").digest()), right[:-1], b"", b"0" * 100):
        with pytest.raises(TimestampRefused):
            completed(made, value, plain, timestamp=wrong)
    [verdict] = pdfs.judged(completed(made, value, plain, timestamp=right))
    assert verdict.signatures[0].stamped_at == pki.NOW
    assert pdfs.judged(completed(made, value, plain))[0].signatures[0].stamped_at is None


def test_the_agency_signs_after_the_person_only(plain: Path) -> None:
    with pytest.raises(PersonSignatureMissing):
        prepared(plain, pki.agency_seal(), AGENCY)
    own = plain.with_name("own.pdf")
    sign_pdf(
        plain, own, pki.agency_seal(), at=pki.NOW, options=PdfSignOptions(role=SignerRole.AGENCY, without_person=True)
    )
    with pytest.raises(PersonSignatureMissing):  # Its own signature is no person's.
        prepared(own, pki.agency_seal(), AGENCY)
    altered = plain.with_name("altered.pdf")
    altered.write_bytes(pdfs.by_person().replace(b"/MediaBox", b"/MediaBoy", 1))
    with pytest.raises(PersonSignatureMissing):  # A broken one is none.
        prepared(altered, pki.agency_seal(), AGENCY)
    first = plain.with_name("first.pdf")
    first.write_bytes(pdfs.by_person())
    made = prepared(first, pki.agency_seal(), AGENCY)
    [verdict] = pdfs.judged(completed(made, pki.agency_seal().sign(made.to_be_signed), plain))
    assert [s.role for s in verdict.signatures] == [SignerRole.PERSON, SignerRole.AGENCY]
    assert verdict.standing is FileStanding.VALID


@pytest.mark.parametrize("form", [PdfForm.ANNEX, PdfForm.COPY])
def test_annexes_and_copies_carry_a_line_at_the_top_right_and_need_no_person(form: PdfForm, plain: Path) -> None:
    out = plain.with_name("copy.pdf")
    options = PdfSignOptions(role=SignerRole.AGENCY, form=form, number="12/2026/QĐ-UBND 100%")
    sign_pdf(plain, out, pki.agency_seal(), at=pki.NOW, options=options)
    assert pdfs.judged(out.read_bytes())[0].standing is FileStanding.VALID
    page, (left, low, right, top) = pdfs_widget(out)
    assert page == 0
    assert right > 540  # of 595
    assert top > 790  # of 842
    assert low > 770
    assert left > 300


def test_a_font_that_is_none_is_refused_by_name(plain: Path) -> None:
    options = PdfSignOptions(role=SignerRole.AGENCY, form=PdfForm.COPY, number="1", font=plain)
    with pytest.raises(FileNotSignable):
        prepared(plain, pki.agency_seal(), options)


def test_the_line_says_number_date_time_and_vietnam_s_zone() -> None:
    assert copy_line("12/QĐ-UBND", pki.NOW) == "12/QĐ-UBND;\n05/03/2026; 14:30:00 +07:00"


def pdfs_widget(file: Path) -> tuple[int, tuple[float, float, float, float]]:
    """Page and place of the newest signature that is seen."""
    with file.open("rb") as opened:
        found = newest_picture(IncrementalPdfFileWriter(opened))
    assert found is not None
    return found[0].index, found[1]


def with_page(**entries: generic.PdfObject) -> bytes:
    """An A4 page that says these things of itself."""

    def write(writer: IncrementalPdfFileWriter) -> None:
        page = writer.find_page_for_modification(0)[0].get_object()
        page.update({generic.pdf_name(f"/{name}"): value for name, value in entries.items()})
        writer.update_container(page)

    return pdfs.updated(pdfs.plain(), write)


def box(*sides: float) -> generic.ArrayObject:
    return generic.ArrayObject([generic.FloatObject(v) for v in sides])


@pytest.mark.parametrize(
    ("crop", "right"),
    [
        ((100, 100, 400, 700), 400),
        # Readers show what of it lies on the page; all of the page where that is nothing.
        ((-100, -100, 2000, 2000), 595),
        ((5000, 5000, 6000, 6000), 595),
        ((10, 10, 10, 10), 595),
    ],
)
def test_pictures_stand_on_what_is_shown_of_a_cropped_page(crop: tuple[float, ...], right: float, plain: Path) -> None:
    plain.write_bytes(with_page(CropBox=box(*crop)))
    out = plain.with_name("out.pdf")
    sign_pdf(plain, out, pki.person(), at=pki.NOW, options=PdfSignOptions(image=BLUE))
    assert widget(out)[2] == pytest.approx(right - 56.7, abs=1)


def widget(file: Path) -> tuple[float, ...]:
    """The place of the newest signature as it is written down."""
    with file.open("rb") as opened:
        *_, (_, _, field) = fields.enumerate_sig_fields(PdfFileReader(opened))
        return tuple(float(v) for v in field.get_object()["/Rect"])


def test_millimetres_are_millimetres_on_pages_with_a_unit_of_their_own(plain: Path) -> None:
    plain.write_bytes(with_page(UserUnit=generic.FloatObject(2)))
    out, copy = plain.with_name("out.pdf"), plain.with_name("copy.pdf")
    place = Place(x_mm=20, y_mm=40)
    sign_pdf(plain, out, pki.person(), at=pki.NOW, options=PdfSignOptions(image=BLUE, place=place, width_mm=60))
    left, low, right, _ = widget(out)
    half = 72 / 25.4 / 2
    assert (left, low, right - left) == pytest.approx((20 * half, 40 * half, 60 * half), abs=1)
    options = PdfSignOptions(role=SignerRole.AGENCY, form=PdfForm.COPY, number="12/SY-UBND")
    sign_pdf(plain, copy, pki.agency_seal(), at=pki.NOW, options=options)
    left, low, right, top = widget(copy)
    assert (right - left, top - low) == pytest.approx((75 * half, 12 * half), abs=1)


def test_nothing_is_drawn_on_a_page_that_is_smaller(plain: Path) -> None:
    plain.write_bytes(with_page(MediaBox=box(0, 0, 100, 100)))
    copy = PdfSignOptions(role=SignerRole.AGENCY, form=PdfForm.COPY, number="12/SY-UBND")
    for options in (PdfSignOptions(image=BLUE), copy):
        with pytest.raises(FileNotSignable, match="edge"):
            prepared(plain, pki.agency_seal() if options is copy else pki.person(), options)


def test_a_seal_whose_image_says_that_it_is_a_metre_wide_or_a_speck_is_refused(plain: Path) -> None:
    first = plain.with_name("first.pdf")
    sign_pdf(plain, first, pki.person(), at=pki.NOW, options=PdfSignOptions(image=BLUE))
    for dots in (5, 100_000):
        out = io.BytesIO()
        Image.new("RGBA", (200, 200), (200, 0, 0, 128)).save(out, "PNG", dpi=(dots, dots))
        with pytest.raises(SigningImageUnusable, match="wide"):
            prepared(first, pki.agency_seal(), PdfSignOptions(role=SignerRole.AGENCY, image=out.getvalue()))


@pytest.mark.parametrize("number", ["数/SY", "12\u202e/SY", "12\0/SY", "12 \U0001f600"])
def test_a_line_with_signs_that_the_font_does_not_have_is_refused(number: str, plain: Path) -> None:
    options = PdfSignOptions(role=SignerRole.AGENCY, form=PdfForm.COPY, number=number)
    with pytest.raises(FileNotSignable, match="font"):
        prepared(plain, pki.agency_seal(), options)


def turned(turn: int) -> bytes:
    """A page that is shown turned, as scanners make them, and does not begin at zero."""

    def write(writer: IncrementalPdfFileWriter) -> None:
        page = writer.find_page_for_modification(0)[0].get_object()
        page["/MediaBox"] = generic.ArrayObject([generic.NumberObject(v) for v in (10, 20, 605, 862)])
        page["/Rotate"] = generic.NumberObject(turn)
        writer.update_container(page)

    return pdfs.updated(pdfs.plain(), write)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_pictures_stand_where_they_should_on_pages_that_are_turned(turn: int, plain: Path) -> None:
    plain.write_bytes(turned(turn))
    first, second = plain.with_name("1.pdf"), plain.with_name("2.pdf")
    sign_pdf(plain, first, pki.person(), at=pki.NOW, options=PdfSignOptions(image=BLUE))
    sign_pdf(first, second, pki.agency_seal(), at=pki.NOW, options=PdfSignOptions(role=SignerRole.AGENCY, image=RED))
    width = 595 if turn in (0, 180) else 842
    _, person = pdfs_widget(first)
    assert person[2] == pytest.approx(width - 56.7, abs=1)  # 20 mm from the right edge
    assert person[1] == pytest.approx(170, abs=1)  # 60 mm from the lower one
    _, seal = pdfs_widget(second)
    assert seal[2] == pytest.approx(person[0] + (person[2] - person[0]) / 3, abs=2)
    assert pdfs.judged(second.read_bytes())[0].standing is FileStanding.VALID


def test_the_seal_covers_a_third_of_the_person_s_signature_from_the_left_in_its_true_size(plain: Path) -> None:
    first, second = plain.with_name("1.pdf"), plain.with_name("2.pdf")
    sign_pdf(plain, first, pki.person(), at=pki.NOW, options=PdfSignOptions(image=BLUE))
    sign_pdf(first, second, pki.agency_seal(), at=pki.NOW, options=PdfSignOptions(role=SignerRole.AGENCY, image=RED))
    page, person = pdfs_widget(first)
    assert page == 1  # the last
    page, seal = pdfs_widget(second)
    assert page == 1
    assert seal[2] - seal[0] == pytest.approx(100, abs=1)  # 100 pixels at 72 dpi are 100 points
    assert seal[2] == pytest.approx(person[0] + (person[2] - person[0]) / 3, abs=1)
    assert seal[0] < person[0]
    assert pdfs.judged(second.read_bytes())[0].standing is FileStanding.VALID


def test_an_image_goes_where_one_says(plain: Path) -> None:
    out = plain.with_name("out.pdf")
    options = PdfSignOptions(image=BLUE, place=Place(page=1, x_mm=10, y_mm=20), width_mm=30)
    sign_pdf(plain, out, pki.person(), at=pki.NOW, options=options)
    page, (left, low, right, _) = pdfs_widget(out)
    assert page == 0
    assert (left, low, right) == pytest.approx((28.3, 56.7, 113.4), abs=1)


@pytest.mark.parametrize(
    "image",
    [
        b"no image",
        BLUE[:40],
        png((0, 0, 200), alpha=255),
        png((0, 0, 200), width=2500, height=2500),
        sized(10_000),
        sized(30_000),
        unseen(),
        b"\xff\xd8\xff\xe0" + bytes(100),
        BLUE + bytes(2 * 1024 * 1024),
    ],
    ids=["text", "cut", "opaque", "pixels", "10000", "30000", "nothing", "jpeg", "bytes"],
)
def test_images_that_are_not_small_transparent_pngs_are_refused(image: bytes, plain: Path) -> None:
    with pytest.raises(SigningImageUnusable):
        prepared(plain, options=PdfSignOptions(image=image))


@pytest.mark.parametrize(
    "content",
    [
        lambda: b"",
        lambda: b"%PDF-1.7\n",
        lambda: pdfs.plain()[:-300],
        lambda: b"PK\x03\x04" + bytes(1000),
        lambda: pdfs.plain().replace(b"/Root", b"/Toor"),
    ],
    ids=["empty", "head", "cut", "zip", "no-root"],
)
def test_what_is_no_sound_pdf_is_refused_by_name(content: Callable[[], bytes], plain: Path) -> None:
    plain.write_bytes(content())
    with pytest.raises(FileNotSignable) as caught:
        prepared(plain, options=PdfSignOptions(image=BLUE))
    assert caught.value.code == "file.not_signable"


def encrypted() -> bytes:
    out = io.BytesIO()
    page = canvas.Canvas(out, encrypt="secret")
    page.drawString(72, 700, "x")
    page.save()
    return out.getvalue()


def by_author(*, lock: SigFieldSpec | None = None, **how: object) -> bytes:
    """Signed by a person with another program, which may certify or lock the document."""
    signer = signers.SimpleSigner(
        signing_cert=asn1_x509.Certificate.load(pki.person().certificate_der),
        signing_key=keys.PrivateKeyInfo.load(
            pki.person().private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        ),
        cert_registry=None,
    )
    out = io.BytesIO()
    metadata = signers.PdfSignatureMetadata(field_name="Author", **how)
    signers.PdfSigner(metadata, signer, new_field_spec=lock).sign_pdf(
        IncrementalPdfFileWriter(io.BytesIO(pdfs.plain())), output=out
    )
    return out.getvalue()


def closed() -> bytes:
    """Certified by its author so that nothing may be added."""
    return by_author(certify=True, docmdp_permissions=MDPPerm.NO_CHANGES)


def locked() -> bytes:
    """The person's signature locks all fields, and with them the adding of any."""
    return by_author(lock=SigFieldSpec("Author", field_mdp_spec=FieldMDPSpec(FieldMDPAction.ALL)))


@pytest.mark.parametrize("content", [encrypted, closed, locked])
def test_a_pdf_that_allows_no_further_signature_is_refused(content: Callable[[], bytes], plain: Path) -> None:
    plain.write_bytes(content())
    for key, options in ((pki.person(), None), (pki.agency_seal(), AGENCY)):
        with pytest.raises(FileNotSignable) as caught:
            prepared(plain, key, options)
        assert type(caught.value) is FileNotSignable


def test_a_pdf_certified_for_signatures_takes_one(plain: Path) -> None:
    plain.write_bytes(by_author(certify=True, docmdp_permissions=MDPPerm.FILL_FORMS))
    made = prepared(plain, pki.agency_seal(), AGENCY)
    [verdict] = pdfs.judged(completed(made, pki.agency_seal().sign(made.to_be_signed), plain))
    assert verdict.standing is FileStanding.VALID


def test_an_agency_seals_nothing_that_was_changed_after_the_person_had_signed(plain: Path) -> None:
    def another_sum(writer: IncrementalPdfFileWriter) -> None:
        page = writer.find_page_for_modification(0)[0].get_object()
        text = generic.StreamObject(stream_data=b"BT /F1 14 Tf 72 500 Td (9.000.000) Tj ET")
        page["/Contents"] = writer.add_object(text)
        writer.update_container(page)

    plain.write_bytes(pdfs.updated(pdfs.by_person(), another_sum))
    with pytest.raises(FileNotSignable, match="changed"):
        prepared(plain, pki.agency_seal(), AGENCY)


def test_whatever_is_signed_can_be_read_by_whoever_judges_it(plain: Path) -> None:
    """Damaged PDFs that a lax reader takes: each is refused, or valid for the strict one."""
    whole, chance = pdfs.plain(), random.Random(4)
    outcomes: Counter[str] = Counter()
    for _ in range(40):
        place = chance.randrange(len(whole))
        plain.write_bytes(whole[:place] + whole[place + 1 :])
        try:
            made = prepared(plain)
        except FileNotSignable:
            outcomes["refused"] += 1
            continue
        outcomes[pdfs.judged(completed(made, pki.person().sign(made.to_be_signed), plain))[0].standing] += 1
    assert set(outcomes) == {"refused", FileStanding.VALID}


@pytest.mark.parametrize(("x", "y"), [(5000, 10), (-1, 10), (10, 290), (170, 10)])
def test_an_image_that_would_not_be_seen_whole_is_refused(x: float, y: float, plain: Path) -> None:
    with pytest.raises(FileNotSignable, match="edge"):
        prepared(plain, options=PdfSignOptions(image=BLUE, place=Place(x_mm=x, y_mm=y)))


def test_a_page_that_is_not_there_is_refused(plain: Path) -> None:
    for page in (0, 3, -3):
        with pytest.raises(FileNotSignable):
            prepared(plain, options=PdfSignOptions(image=BLUE, place=Place(page=page, x_mm=1, y_mm=1)))


def test_small_keys_prepare_nothing(plain: Path) -> None:
    with pytest.raises(KeyUnusable):
        prepared(plain, pki.rsa1024())


# Packages


@pytest.mark.parametrize("form", list(PackageForm))
def test_a_prepared_package_is_valid_once_completed(form: PackageForm, tmp_path: Path) -> None:
    key = pki.agency_ec()
    source, out = tmp_path / "package.edxml", tmp_path / "signed.edxml"
    source.write_bytes(documents.a_package())
    made = Prepared.from_state(prepare_package(source, certificate=key.certificate, form=form, at=pki.NOW).state)
    complete_package(made, key.sign(made.to_be_signed), source=source, out=out)
    assert signed.verdict_on(out, tmp_path).standing is Standing.VALID
    assert hostile.SIGNATURE.sub(b"", out.read_bytes()) == source.read_bytes()


@pytest.mark.parametrize("form", list(PackageForm))
def test_a_package_is_completed_by_its_own_signature_alone(form: PackageForm, tmp_path: Path) -> None:
    key, raw = pki.agency_ec(), documents.a_package()
    made = prepare_package(raw, certificate=key.certificate, form=form, at=pki.NOW)
    out = tmp_path / "signed.edxml"
    for wrong in (pki.agency().sign(made.to_be_signed), key.sign(made.to_be_signed + b" "), b""):
        with pytest.raises(SigningMismatch):
            complete_package(made, wrong, source=raw, out=out)
    with pytest.raises(FileNotSignable):
        complete_package(made, key.sign(made.to_be_signed), source=raw.replace(b"H37.21", b"H37.22"), out=out)
    assert not out.exists()


def test_only_xades_carries_a_time_stamp(tmp_path: Path) -> None:
    key, raw = pki.agency_ec(), documents.a_package()
    made = prepare_package(raw, certificate=key.certificate, form=PackageForm.XMLDSIG, at=pki.NOW)
    value = key.sign(made.to_be_signed)
    assert not made.carries_stamp
    with pytest.raises(NotSignable):
        made.stamped_part(value)
    token = pki.timestamp_token(hashlib.sha256(value).digest())
    with pytest.raises(NotSignable):
        complete_package(made, value, source=raw, out=tmp_path / "out", timestamp=token)


def test_a_signed_package_is_not_prepared() -> None:
    with pytest.raises(AlreadySigned):
        prepare_package(hostile.good(), certificate=pki.agency_ec().certificate, at=pki.NOW)
