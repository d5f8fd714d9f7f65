"""Signatures inside PDFs: by whom, in which role, when, and what may be added after them."""

from __future__ import annotations

import asyncio
import functools
import io
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.x509 import ReasonFlags as Reason
from cryptography.x509.oid import NameOID
from PIL import Image
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name, pdf_string
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko.sign.timestamps import TimeStamper
from pyhanko.sign.validation.dss import DocumentSecurityStore
from reportlab.pdfgen import canvas

from gateway.model import FileSignature, FileStanding, FileVerdict, SignerRole
from gateway.signing.files import FileLimits, FilePolicy, FileReason, RegisteredSigner
from gateway.signing.keys import SigningKey
from gateway.signing.pdf_sign import PdfSignOptions, Place
from gateway.signing.trust import RevocationFacts, RevocationMode, TrustAnchors, read_item
from tests.support import pdfs, pki

VALID, ALTERED = FileStanding.VALID, FileStanding.ALTERED
HOUR = timedelta(hours=1)
AGENCY = PdfSignOptions(role=SignerRole.AGENCY)


def judged(content: bytes, **how: object) -> FileVerdict:
    (verdict,) = pdfs.judged(content, **how)  # type: ignore[arg-type]
    return verdict


def only(verdict: FileVerdict) -> FileSignature:
    (signature,) = verdict.signatures
    return signature


def required(*items: bytes) -> TrustAnchors:
    """Trust that asks for revocation, and knows these items."""
    return TrustAnchors(
        [pki.root().certificate],
        [pki.intermediate().certificate],
        mode=RevocationMode.REQUIRED,
        facts=RevocationFacts([read_item(i, source="test") for i in items]),
    )


def test_both_expected_signatures_are_found_with_their_roles_and_revisions() -> None:
    verdict = judged(pdfs.issued())
    person, agency = verdict.signatures
    assert (verdict.standing, verdict.reason, verdict.format) == (VALID, FileReason.VERIFIED, "pdf")
    assert (verdict.has_person, verdict.has_agency) == (True, True)
    assert (person.role, person.revision, person.revisions) == (SignerRole.PERSON, 2, 3)
    assert (agency.role, agency.revision, agency.revisions) == (SignerRole.AGENCY, 3, 3)
    assert (person.added_after, agency.added_after) == (("signature",), ())
    assert person.claimed_at == pdfs.SIGNED
    assert person.certificate_sha256 == pki.person().certificate_sha256
    assert "Nguyễn Văn Thử" in (person.subject or "")


def test_a_dispatch_without_the_agencys_signature_lacks_it() -> None:
    verdict = judged(pdfs.by_person())
    assert (verdict.standing, verdict.has_person, verdict.has_agency) == (VALID, True, False)


def test_a_pdf_without_signatures_is_unsigned() -> None:
    verdict = judged(pdfs.plain())
    assert (verdict.standing, verdict.reason, verdict.signatures) == (FileStanding.UNSIGNED, FileReason.UNSIGNED, ())


def test_a_pdf_is_one_by_its_content_even_behind_other_bytes() -> None:
    assert judged(b"\r\n\r\n" + pdfs.plain()).standing is FileStanding.UNSIGNED
    signed = judged(b"\r\n\r\n" + pdfs.issued())
    assert (signed.standing, signed.reason) == (ALTERED, FileReason.COVERAGE)  # nobody signed those bytes


# Who


def test_a_registered_role_counts_more_than_the_subject() -> None:
    as_agency = (RegisteredSigner(sha256=pki.person().certificate_sha256, role=SignerRole.AGENCY),)
    assert only(judged(pdfs.by_person(), signers=as_agency)).role is SignerRole.AGENCY


@pytest.mark.parametrize("roles", [(SignerRole.AGENCY, SignerRole.PERSON), (SignerRole.PERSON, SignerRole.AGENCY)])
def test_a_certificate_that_is_registered_in_both_roles_is_told_by_its_subject(roles: tuple[SignerRole, ...]) -> None:
    both = tuple(RegisteredSigner(sha256=pki.person().certificate_sha256, role=role) for role in roles)
    assert only(judged(pdfs.by_person(), signers=both)).role is SignerRole.PERSON
    neither = judged(pdfs.by_person(), signers=both, policy=FilePolicy(role_by_subject=False))
    assert (neither.standing, only(neither).role) == (VALID, SignerRole.UNKNOWN)


def test_a_registration_that_begins_later_names_no_role_and_is_no_ground_of_trust() -> None:
    later = (
        RegisteredSigner(sha256=pki.person().certificate_sha256, role=SignerRole.AGENCY, valid_from=pdfs.NOW + HOUR),
    )
    assert only(judged(pdfs.by_person(), signers=later)).role is SignerRole.PERSON
    assert judged(pdfs.by_person(), signers=later, anchors=TrustAnchors()).standing is FileStanding.UNTRUSTED


def test_an_ended_registration_names_no_role() -> None:
    ended = (
        RegisteredSigner(sha256=pki.person().certificate_sha256, role=SignerRole.AGENCY, valid_to=pdfs.SIGNED - HOUR),
    )
    assert only(judged(pdfs.by_person(), signers=ended)).role is SignerRole.PERSON
    unknown = judged(pdfs.by_person(), signers=ended, policy=FilePolicy(role_by_subject=False))
    assert only(unknown).role is SignerRole.UNKNOWN


def test_without_anchors_only_the_registered_are_trusted() -> None:
    nobody = TrustAnchors()
    assert judged(pdfs.by_person(), anchors=nobody).standing is VALID
    verdict = judged(pdfs.by_person(), anchors=nobody, signers=())
    assert (verdict.standing, verdict.reason) == (FileStanding.UNTRUSTED, FileReason.CERTIFICATE_UNTRUSTED)


@pytest.mark.parametrize(
    ("key", "standing", "reason"),
    [
        (pki.person, VALID, FileReason.VERIFIED),
        (pki.signs_only, VALID, FileReason.VERIFIED),
        (pki.repudiates_not, VALID, FileReason.VERIFIED),
        (pki.no_usage, VALID, FileReason.VERIFIED),
        (pki.agency, VALID, FileReason.VERIFIED),  # RSA
        (pki.stranger, FileStanding.UNTRUSTED, FileReason.CERTIFICATE_UNTRUSTED),
        (pki.expired, FileStanding.UNTRUSTED, FileReason.CERTIFICATE_EXPIRED),
        (pki.not_yet_valid, FileStanding.UNTRUSTED, FileReason.CERTIFICATE_NOT_YET_VALID),
        (pki.wrong_usage, FileStanding.UNTRUSTED, FileReason.CERTIFICATE_USAGE),
        (pki.sha1_rsa_certificate, FileStanding.UNTRUSTED, FileReason.CERTIFICATE_UNTRUSTED),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_certificate_decides(key: Callable[[], SigningKey], standing: FileStanding, reason: FileReason) -> None:
    verdict = judged(pdfs.signed(pdfs.plain(), key(), at=pdfs.NOW - timedelta(minutes=10)))
    assert (verdict.standing, verdict.reason) == (standing, reason)


def test_weak_chains_and_keys_are_valid_weak_where_tolerated() -> None:
    sha1 = by_pyhanko(pki.sha1_rsa_certificate())
    short = by_pyhanko(pki.rsa1024())
    assert judged(short).reason == FileReason.KEY_TOO_SMALL
    for content, policy in ((sha1, FilePolicy(tolerate_sha1=True)), (short, FilePolicy(tolerate_rsa_1024=True))):
        assert judged(content).standing is FileStanding.UNTRUSTED
        verdict = judged(content, policy=policy)
        assert (verdict.standing, verdict.reason) == (FileStanding.VALID_WEAK, FileReason.WEAK)


def test_a_signature_with_sha1_is_valid_weak_where_tolerated() -> None:
    content = by_pyhanko(pki.agency(), digest="sha1")
    verdict = judged(content)
    assert (verdict.standing, verdict.reason) == (FileStanding.UNTRUSTED, FileReason.ALGORITHM)
    assert judged(content, policy=FilePolicy(tolerate_sha1=True)).standing is FileStanding.VALID_WEAK


def test_an_algorithm_that_nobody_tolerates_is_refused() -> None:
    content = by_pyhanko(pki.agency(), digest="md5")
    assert judged(content, policy=FilePolicy(tolerate_sha1=True)).reason == FileReason.ALGORITHM


# When


def stamped(key: SigningKey, at: datetime, authority: SigningKey | None = None) -> bytes:
    return pdfs.signed(pdfs.plain(), key, token=lambda digest: pki.timestamp_token(digest, at=at, authority=authority))


def test_a_trusted_time_stamp_is_the_time_of_signing() -> None:
    signature = only(judged(stamped(pki.person(), pdfs.NOW - HOUR)))
    assert (signature.standing, signature.stamped_at) == (VALID, pdfs.NOW - HOUR)


@pytest.mark.parametrize("authority", [pki.tsa_stranger, pki.person, lambda: pki.tsa(expired=True)])
def test_a_time_stamp_of_anybody_else_proves_no_time(authority: Callable[[], SigningKey]) -> None:
    signature = only(judged(stamped(pki.person(), pdfs.NOW - timedelta(minutes=1), authority())))
    assert (signature.standing, signature.stamped_at) == (VALID, None)


def test_a_time_stamp_over_something_else_proves_no_time() -> None:
    def token(_: bytes) -> bytes:
        return pki.timestamp_token(b"\1" * 32)

    with_other = by_pyhanko(pki.person(), token=token)
    assert only(judged(with_other)).stamped_at is None


def test_a_time_stamp_of_the_document_dates_every_signature_before_it() -> None:
    content = with_document_stamp(pdfs.by_person(), pdfs.NOW - HOUR)
    signature = only(judged(content))
    assert (signature.standing, signature.stamped_at, signature.added_after) == (VALID, pdfs.NOW - HOUR, ())


def test_an_expired_certificate_is_believed_to_have_signed_before() -> None:
    later = pdfs.NOW + pki.LONG  # when the certificate has long expired
    assert judged(pdfs.by_person(), at=later).standing is VALID


def test_a_claimed_time_after_receipt_is_not_believed() -> None:
    received = pki.NOW - pki.YEAR - timedelta(days=30)  # before the certificate began
    signature = only(judged(pdfs.by_person(), at=received))
    assert signature.reason == FileReason.CERTIFICATE_NOT_YET_VALID


# Revocation: (revoked when, time-stamped?) -> standing


@pytest.mark.parametrize(
    ("revoked_at", "stamp", "standing"),
    [
        (pdfs.SIGNED - HOUR, None, FileStanding.REVOKED),
        (pdfs.SIGNED + HOUR, None, FileStanding.REVOKED),  # before receipt: the claimed time is the signer's word
        (pdfs.SIGNED + HOUR, pdfs.SIGNED, VALID),  # a time-stamp shows that it is older
        (pdfs.SIGNED + HOUR, pdfs.SIGNED + HOUR + timedelta(minutes=5), FileStanding.REVOKED),
    ],
)
def test_a_revocation_counts_by_the_time_that_is_proven(
    revoked_at: datetime, stamp: datetime | None, standing: FileStanding
) -> None:
    key = pki.revoked_person()
    content = stamped(key, stamp) if stamp else pdfs.signed(pdfs.plain(), key)
    verdict = judged(content, anchors=required(authority_list(), pki.crl(revoked=pki.revocations(revoked_at))))
    assert verdict.standing is standing
    assert verdict.reason == (FileReason.VERIFIED if standing is VALID else FileReason.CERTIFICATE_REVOKED)


def test_a_revocation_after_receipt_takes_nothing_back() -> None:
    crl = pki.crl(
        revoked=pki.revocations(pdfs.NOW + HOUR),
        this_update=pdfs.NOW + 2 * HOUR,
        next_update=pdfs.NOW + timedelta(days=7),
    )
    later = pki.crl(pki.root(), this_update=pdfs.NOW + 2 * HOUR, next_update=pdfs.NOW + timedelta(days=7))
    verdict = judged(pdfs.signed(pdfs.plain(), pki.revoked_person()), anchors=required(later, crl))
    assert verdict.standing is VALID


def test_where_revocation_is_required_and_unknown_a_signature_is_indeterminate() -> None:
    verdict = judged(pdfs.issued(), anchors=required())
    assert (verdict.standing, verdict.reason) == (FileStanding.INDETERMINATE, FileReason.REVOCATION_UNKNOWN)
    assert (verdict.has_person, verdict.has_agency) == (False, False)


def test_revocation_facts_inside_the_file_are_used() -> None:
    assert judged(with_facts(pki.person(), pki.crl()), anchors=required()).standing is VALID
    revoked = with_facts(pki.revoked_person(), pki.crl(revoked=pki.revocations()))
    assert judged(revoked, anchors=required()).standing is FileStanding.REVOKED


@pytest.mark.parametrize(("stamp", "standing"), [(False, FileStanding.INDETERMINATE), (True, VALID)])
def test_facts_of_the_time_that_is_claimed_say_nothing_of_the_time_since(stamp: bool, standing: FileStanding) -> None:
    # Whoever has the key of a revoked certificate has its lists of former days, too.
    before = pdfs.NOW - timedelta(days=40)
    former = pki.crl(this_update=before - HOUR, next_update=before + timedelta(days=2))
    token = (lambda digest: pki.timestamp_token(digest, at=before)) if stamp else None
    source = pdfs.signed(pdfs.plain(), pki.revoked_person(), at=before, token=token)
    content = pdfs.updated(source, facts(authority_list(), former))
    assert judged(content, anchors=required()).standing is standing


@pytest.mark.parametrize(
    ("reason", "proven"),
    [(None, False), (Reason.key_compromise, False), (Reason.cessation_of_operation, True)],
)
def test_an_authority_whose_key_may_be_in_other_hands_proves_no_time(reason: Reason | None, proven: bool) -> None:
    serial = pki.tsa().certificate.serial_number
    revoked = pki.crl(revoked={serial: (pdfs.NOW - timedelta(minutes=30), reason)})
    verdict = judged(stamped(pki.person(), pdfs.NOW - HOUR), anchors=required(authority_list(), revoked))
    assert only(verdict).stamped_at == (pdfs.NOW - HOUR if proven else None)


def test_revocation_facts_inside_the_file_are_not_believed_by_themselves() -> None:
    forged = with_facts(pki.person(), pki.crl(signer=pki.stranger()))
    assert judged(forged, anchors=required()).standing is FileStanding.INDETERMINATE


def test_forged_facts_inside_the_file_do_not_push_out_what_is_known() -> None:
    forged = [pki.crl(signer=pki.stranger(), this_update=pki.NOW - timedelta(seconds=n)) for n in range(20)]
    content = pdfs.updated(pdfs.signed(pdfs.plain(), pki.revoked_person()), facts(*forged))
    known = required(authority_list(), pki.crl(revoked=pki.revocations()))
    assert judged(content, anchors=known).standing is FileStanding.REVOKED


# What later revisions may add


def free_text(writer: IncrementalPdfFileWriter) -> None:
    pdfs.annotation(Subtype=pdf_name("/FreeText"), DA=pdf_string("/Helv 10 Tf 1 0 0 rg"))(writer)


def note_with_popup(writer: IncrementalPdfFileWriter) -> None:
    page = writer.find_page_for_modification(0)[0]
    popup = writer.allocate_placeholder()
    note = writer.add_object(
        dictionary(
            Type="/Annot", Subtype="/Text", Rect=[500, 780, 520, 800], Contents=pdf_string("ghi chú"), Popup=popup
        )
    )
    made = dictionary(Type="/Annot", Subtype="/Popup", Rect=[100, 400, 400, 600], Parent=note)
    writer.add_object(made, idnum=popup.reference.idnum)
    extend(writer, page.get_object(), "/Annots", [note, popup])


def metadata(writer: IncrementalPdfFileWriter) -> None:
    writer.set_info(writer.add_object(dictionary(Producer=pdf_string("another program"))))


def stamps_on_two_pages(writer: IncrementalPdfFileWriter) -> None:
    pdfs.annotation()(writer)
    pdfs.annotation(page=1)(writer)


@pytest.mark.parametrize(
    ("write", "added"),
    [
        (pdfs.annotation(), ("stamp",)),
        (pdfs.annotation((72, 440, 300, 496)), ("stamp",)),  # right below the line of text
        (free_text, ("stamp",)),
        (note_with_popup, ("stamp",)),
        (stamps_on_two_pages, ("stamp",)),
        (metadata, ()),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_stamps_and_notes_of_receivers_leave_signatures_valid(write: pdfs.Write, added: tuple[str, ...]) -> None:
    verdict = judged(pdfs.updated(two_pages(), write))
    assert (verdict.standing, only(verdict).added_after) == (VALID, added)


def test_a_stamp_on_both_signatures_and_another_after_it() -> None:
    once = pdfs.updated(pdfs.issued(), pdfs.annotation())
    twice = pdfs.updated(once, pdfs.annotation((300, 700, 440, 780)))
    person, agency = judged(twice).signatures
    assert (person.standing, person.added_after) == (VALID, ("signature", "stamp"))
    assert (agency.standing, agency.added_after, agency.revisions) == (VALID, ("stamp",), 5)


def test_a_signed_incoming_stamp_leaves_signatures_valid() -> None:
    receiver = pki.agency_seal("Sở Nhận văn bản")
    place = Place(page=1, x_mm=20, y_mm=250)
    options = PdfSignOptions(role=SignerRole.AGENCY, image=drawn(), place=place)
    verdict = judged(pdfs.signed(pdfs.issued(), receiver, options=options))
    assert (verdict.standing, len(verdict.signatures)) == (VALID, 3)
    assert verdict.signatures[0].added_after == ("signature",)


@functools.cache
def drawn() -> bytes:
    out = io.BytesIO()
    seal = Image.new("RGBA", (60, 20), (200, 0, 0, 255))
    seal.putpixel((0, 0), (0, 0, 0, 0))
    seal.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("key", "x_mm", "first"),
    [
        (pki.agency_seal, 25.4, VALID),  # he answers for what he covers
        (pki.stranger, 25.4, ALTERED),
        (pki.stranger, 140.0, VALID),  # beside the text; the file is untrusted all the same
    ],
)
def test_what_lies_over_the_text_must_be_signed_by_who_is_trusted(
    key: Callable[[], SigningKey], x_mm: float, first: FileStanding
) -> None:
    place = Place(page=1, x_mm=x_mm, y_mm=175 if x_mm < 100 else 250)
    options = PdfSignOptions(role=SignerRole.AGENCY, image=drawn(), place=place, width_mm=40)
    verdict = judged(pdfs.signed(pdfs.by_person(), key(), options=options))
    assert verdict.signatures[0].standing is first
    if first is ALTERED:
        assert verdict.signatures[0].reason == FileReason.COVERED_AFTER
    assert (verdict.standing is VALID) == (key is pki.agency_seal)


# What they may not


def page_of(writer: IncrementalPdfFileWriter) -> generic.DictionaryObject:
    found: generic.DictionaryObject = writer.find_page_for_modification(0)[0].get_object()
    return found


def dictionary(**entries: object) -> generic.DictionaryObject:
    def value(v: object) -> object:
        if isinstance(v, str) and v.startswith("/"):
            return pdf_name(v)
        if isinstance(v, bool):
            return generic.BooleanObject(v)
        if isinstance(v, int):
            return generic.NumberObject(v)
        return generic.ArrayObject([value(n) for n in v]) if isinstance(v, list) else v

    return generic.DictionaryObject({pdf_name(f"/{k}"): value(v) for k, v in entries.items()})


def extend(writer: IncrementalPdfFileWriter, holder: generic.DictionaryObject, key: str, added: list[object]) -> None:
    holder[key] = generic.ArrayObject([*holder.get(key, generic.ArrayObject()), *added])
    writer.update_container(holder)


def content_replaced(writer: IncrementalPdfFileWriter) -> None:
    page = page_of(writer)
    page["/Contents"] = writer.add_object(generic.StreamObject(stream_data=b"BT /F1 14 Tf 72 500 Td (9) Tj ET"))
    writer.update_container(page)


def content_added(writer: IncrementalPdfFileWriter) -> None:
    page = page_of(writer)
    more = writer.add_object(generic.StreamObject(stream_data=b"0 0 600 800 re f"))
    page["/Contents"] = generic.ArrayObject([page.raw_get("/Contents"), more])
    writer.update_container(page)


def stream_overwritten(writer: IncrementalPdfFileWriter) -> None:
    stream = page_of(writer)["/Contents"]
    stream._data, stream._encoded_data = b"BT ET", None
    writer.update_container(stream)


def font_exchanged(writer: IncrementalPdfFileWriter) -> None:
    fonts = page_of(writer)["/Resources"]["/Font"]
    fonts["/F1"] = writer.add_object(dictionary(Type="/Font", Subtype="/Type1", BaseFont="/ZapfDingbats"))
    writer.update_container(fonts)


def page_added(writer: IncrementalPdfFileWriter) -> None:
    pages = writer.root["/Pages"]
    extra = writer.add_object(dictionary(Type="/Page", Parent=writer.root.raw_get("/Pages"), MediaBox=[0, 0, 9, 9]))
    pages["/Count"] = generic.NumberObject(2)
    extend(writer, pages, "/Kids", [extra])


def page_cropped(writer: IncrementalPdfFileWriter) -> None:
    page = page_of(writer)
    page["/CropBox"] = dictionary(x=[0, 600, 595, 842])["/x"]
    writer.update_container(page)


def page_turned(writer: IncrementalPdfFileWriter) -> None:
    page = page_of(writer)
    page["/Rotate"] = generic.NumberObject(180)
    writer.update_container(page)


def opens_with_an_action(writer: IncrementalPdfFileWriter) -> None:
    writer.root["/OpenAction"] = dictionary(S="/JavaScript", JS=pdf_string("app.alert(1)"))
    writer.update_root()


def layers_added(writer: IncrementalPdfFileWriter) -> None:
    layer = writer.add_object(dictionary(Type="/OCG", Name=pdf_string("x")))
    writer.root["/OCProperties"] = dictionary(OCGs=[layer], D=dictionary(OFF=[layer]))
    writer.update_root()


def text_field_added(writer: IncrementalPdfFileWriter) -> None:
    page = page_of(writer)
    entries = dictionary(
        Type="/Annot", Subtype="/Widget", FT="/Tx", T=pdf_string("tien"), V=pdf_string("9"), Rect=[300, 300, 400, 320]
    )
    added = writer.add_object(entries)
    extend(writer, writer.root["/AcroForm"], "/Fields", [added])
    extend(writer, page, "/Annots", [added])


def signature_moved(writer: IncrementalPdfFileWriter) -> None:
    field = writer.root["/AcroForm"]["/Fields"][0].get_object()
    field["/Rect"] = dictionary(x=[0, 0, 500, 800])["/x"]
    writer.update_container(field)


def signature_rewritten(writer: IncrementalPdfFileWriter) -> None:
    field = writer.root["/AcroForm"]["/Fields"][0].get_object()
    field.raw_get("/V").get_object()["/Reason"] = pdf_string("khác")
    writer.update_container(field.raw_get("/V").get_object())


def annotations_dropped(writer: IncrementalPdfFileWriter) -> None:
    page = page_of(writer)
    page["/Annots"] = generic.ArrayObject()
    writer.update_container(page)


def appearances_asked_for(writer: IncrementalPdfFileWriter) -> None:
    form = writer.root["/AcroForm"]
    form["/NeedAppearances"] = generic.BooleanObject(True)
    writer.update_container(form)


JAVASCRIPT = dictionary(S="/JavaScript", JS=pdf_string("app.alert(1)"))


@pytest.mark.parametrize(
    "write",
    [
        content_replaced,
        content_added,
        stream_overwritten,
        font_exchanged,
        page_added,
        page_cropped,
        page_turned,
        opens_with_an_action,
        layers_added,
        text_field_added,
        signature_moved,
        annotations_dropped,
        appearances_asked_for,
        pytest.param(pdfs.annotation((100, 495, 220, 520)), id="stamp-over-text"),
        pytest.param(pdfs.annotation((0, 0, 595, 400)), id="stamp-too-large"),
        pytest.param(pdfs.annotation((-100, 700, 40, 780)), id="stamp-off-the-page"),
        pytest.param(pdfs.annotation(F=generic.NumberObject(2)), id="stamp-hidden"),
        pytest.param(pdfs.annotation(F=generic.NumberObject(32)), id="stamp-on-paper-only"),
        pytest.param(pdfs.annotation(A=JAVASCRIPT), id="stamp-with-an-action"),
        pytest.param(pdfs.annotation(OC=dictionary(Type="/OCG", Name=pdf_string("x"))), id="stamp-on-a-layer"),
        pytest.param(pdfs.annotation(Subtype=pdf_name("/Link")), id="link"),
        pytest.param(pdfs.annotation(Subtype=pdf_name("/Square")), id="square"),
        pytest.param(pdfs.annotation(Subtype=pdf_name("/FileAttachment")), id="attached-file"),
        # Windows of notes may lie over text; poppler draws what they look like.
        pytest.param(pdfs.annotation((60, 490, 300, 520), Subtype=pdf_name("/Popup")), id="popup-that-draws"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_else_is_added_later_makes_a_signature_altered(write: pdfs.Write) -> None:
    verdict = judged(pdfs.updated(pdfs.by_person(), write))
    assert (verdict.standing, verdict.reason) == (ALTERED, FileReason.ALTERED_AFTER)
    assert only(verdict).added_after == ("content",)
    assert only(verdict).role is SignerRole.PERSON  # whom it names, whatever it is worth
    assert not verdict.has_person


TEXT, BLANK = [60, 490, 300, 520], [300, 700, 440, 780]


def signature_field(
    rect: list[object], value: Callable[[IncrementalPdfFileWriter], generic.PdfObject] | None = None, **entries: object
) -> pdfs.Write:
    """A signature field that shows something, with or without a signature in it."""

    def write(writer: IncrementalPdfFileWriter) -> None:
        page = writer.find_page_for_modification(0)[0]
        box = dictionary(BBox=[0, 0, 9, 9], Subtype="/Form")
        looks = writer.add_object(generic.StreamObject(box, stream_data=b"1 1 1 rg 0 0 9 9 re f"))
        held = {"V": value(writer), **entries} if value else entries
        made = dictionary(
            Type="/Annot",
            Subtype="/Widget",
            FT="/Sig",
            T=pdf_string("Them"),
            Rect=rect,
            P=page,
            AP=dictionary(N=looks),
            **held,
        )
        added = writer.add_object(made)
        if "/AcroForm" not in writer.root:
            writer.root["/AcroForm"] = writer.add_object(dictionary(Fields=[]))
            writer.update_root()
        extend(writer, writer.root["/AcroForm"], "/Fields", [added])
        extend(writer, page.get_object(), "/Annots", [added])

    return write


def no_stamp(writer: IncrementalPdfFileWriter) -> generic.PdfObject:
    return writer.add_object(
        dictionary(
            Type="/DocTimeStamp",
            SubFilter="/ETSI.RFC3161",
            ByteRange=[0, 1, 2, 3],
            Contents=generic.ByteStringObject(b"\0"),
        )
    )


@pytest.mark.parametrize("value", [None, no_stamp], ids=["empty", "time-stamp"])
def test_a_field_that_nobody_signed_counts_as_a_stamp(
    value: Callable[[IncrementalPdfFileWriter], generic.PdfObject] | None,
) -> None:
    beside = judged(pdfs.updated(pdfs.by_person(), signature_field(BLANK, value))).signatures[0]
    assert (beside.standing, beside.added_after) == (VALID, ("stamp",))
    over = judged(pdfs.updated(pdfs.by_person(), signature_field(TEXT, value))).signatures[0]
    assert (over.standing, over.reason) == (ALTERED, FileReason.COVERED_AFTER)


@pytest.mark.parametrize(
    "write",
    [
        signature_field([0, 520, 595, 842]),
        signature_field(BLANK, OC=dictionary(Type="/OCG", Name=pdf_string("x"))),
        signature_field([560, 800, 700, 900]),
    ],
    ids=["too-large", "on-a-layer", "off-the-page"],
)
def test_a_field_that_nobody_signed_may_do_no_more_than_a_stamp(write: pdfs.Write) -> None:
    verdict = judged(pdfs.updated(pdfs.by_person(), write))
    assert (verdict.standing, verdict.reason) == (ALTERED, FileReason.COVERED_AFTER)


@pytest.mark.parametrize(
    ("rect", "key", "first"),
    [
        (TEXT, pki.agency_seal, VALID),  # he answers for what he covers
        (TEXT, pki.stranger, ALTERED),
        (BLANK, pki.stranger, VALID),
    ],
)
def test_who_fills_a_field_that_was_there_answers_for_what_it_lies_over(
    rect: list[object], key: Callable[[], SigningKey], first: FileStanding
) -> None:
    source = pdfs.signed(pdfs.updated(pdfs.plain(), signature_field(rect)), pki.person())
    assert judged(source).standing is VALID
    verdict = judged(by_pyhanko(key(), source, field="Them"))
    assert verdict.signatures[0].standing is first
    assert verdict.signatures[0].added_after == ("signature",)


def test_links_that_stand_in_the_page_itself_are_no_change() -> None:
    def link(writer: IncrementalPdfFileWriter) -> None:
        extend(writer, page_of(writer), "/Annots", [dictionary(Type="/Annot", Subtype="/Link", Rect=[9, 9, 50, 20])])

    source = pdfs.signed(pdfs.updated(pdfs.plain(), link), pki.person())
    assert judged(pdfs.updated(source, pdfs.annotation())).standing is VALID
    assert judged(pdfs.signed(source, pki.agency_seal(), options=AGENCY)).has_agency
    assert judged(pdfs.updated(source, link)).standing is ALTERED


def test_a_signature_that_is_written_anew_no_longer_covers_itself() -> None:
    verdict = judged(pdfs.updated(pdfs.by_person(), signature_rewritten))
    assert (verdict.standing, verdict.reason) == (ALTERED, FileReason.COVERAGE)


def test_the_last_signature_covers_what_the_first_did_not_allow() -> None:
    verdict = judged(by_pyhanko(pki.agency_seal(), pdfs.updated(pdfs.by_person(), content_added)))
    assert [s.standing for s in verdict.signatures] == [ALTERED, VALID]
    assert (verdict.standing, verdict.has_person, verdict.has_agency) == (ALTERED, False, True)


def test_hidden_content_that_is_uncovered_later_is_altered() -> None:
    # The shadow attack "hide": a picture over the text is signed with it, and set free afterwards.
    source = pdfs.updated(pdfs.plain(), content_added)
    signed = pdfs.signed(source, pki.person())
    overlay = int(signed.split(b"0 0 600 800 re f")[0].rsplit(b" 0 obj", 1)[0].rsplit(None, 1)[-1])
    assert judged(signed).standing is VALID
    assert judged(pdfs.freeing(signed, overlay)).standing is ALTERED


@pytest.mark.parametrize("free", [False, True], ids=["missing", "free"])
def test_content_that_was_missing_when_it_was_signed_and_comes_later_is_not_valid(free: bool) -> None:
    # A page that names an object which is not there shows nothing of it; a later revision defines it.
    number = 5 if free else 50
    signed = pdfs.signed(pdfs.lacking(number), pki.person())
    assert judged(signed).standing is VALID

    def define(writer: IncrementalPdfFileWriter) -> None:
        content = generic.StreamObject(stream_data=b"BT /F1 14 Tf 72 500 Td (9.000.000) Tj ET")
        content.container_ref = generic.Reference(number, 0, writer)
        writer.objects[0, number] = content
        # What a stamp brings with it is explained by the stamp: so it is brought with one.
        pdfs.annotation(Name=pdf_name("/X"))(writer)
        looks = [o for o in writer.objects.values() if isinstance(o, generic.StreamObject) and "/BBox" in o]
        looks[0]["/Resources"] = dictionary(XObject=dictionary(X=generic.IndirectObject(number, 0, writer)))

    verdict = judged(pdfs.updated(signed, define))
    assert verdict.standing in (ALTERED, FileStanding.UNREADABLE)


FORGED = b"<</Length 41>>\nstream\nBT /F1 14 Tf 72 500 Td (9.000.000) Tj ET \nendstream"


def row(place: int) -> bytes:
    return b"%010d 00000 n \n" % place


def with_table(table: Callable[[int, int, int], bytes], *, as_stream: bool = False, body: bytes | None = None) -> bytes:
    """
    The signed PDF and one more revision, with a table by hand.

    :param table: of the number of the page's content, its place in the signed revision, and the place of a forged one.
    :param body: what stands before the table; ``None``: the forged content.
    """
    signed = pdfs.by_person()
    reader = PdfFileReader(io.BytesIO(signed))
    number = reader.root["/Pages"]["/Kids"][0].get_object().raw_get("/Contents").idnum
    true = signed.index(b"\n%d 0 obj" % number) + 1
    made = table(number, true, len(signed))
    end = signed[signed.rindex(b"trailer") :]
    previous = end[end.index(b"startxref") :].split()[1]
    size = int(end.split(b"/Size", 1)[1].split()[0])
    rest = b"/Root%sR/Prev %s" % (end.split(b"/Root", 1)[1].split(b"R")[0], previous)
    content = signed + (b"%d 0 obj\n%s\nendobj\n" % (number, FORGED) if body is None else body)
    start = len(content)
    if as_stream:
        content += b"%d 0 obj<</Type/XRef/Size %d/Index[%d 1 %d 1]/W[1 4 1]" % (size, size + 1, number, size)
        rows = made + b"\1" + start.to_bytes(4, "big") + b"\0"
        content += rest + b"/Length %d>>stream\n%s\nendstream endobj\n" % (len(rows), rows)
    else:
        content += b"xref\n%strailer\n<</Size %d%s>>\n" % (made, size, rest)
    return content + b"startxref\n%d\n%%%%EOF\n" % start


def test_a_table_by_hand_is_read_and_what_it_changes_found() -> None:
    again = with_table(lambda number, true, _: b"%d 1\n%s" % (number, row(true)), body=b"% nothing\n")
    assert judged(again).standing is VALID
    forged = with_table(lambda number, _, forged: b"%d 1\n%s" % (number, row(forged)))
    assert (judged(forged).standing, judged(forged).reason) == (ALTERED, FileReason.ALTERED_AFTER)
    as_stream = with_table(lambda _, __, forged: b"\1" + forged.to_bytes(4, "big") + b"\0", as_stream=True)
    assert (judged(as_stream).standing, judged(as_stream).reason) == (ALTERED, FileReason.ALTERED_AFTER)


@pytest.mark.parametrize(
    ("table", "as_stream"),
    [
        # poppler, qpdf and pypdf take the first of two entries; pyHanko the last.
        (lambda number, true, forged: b"%d 1\n%s%d 1\n%s" % (number, row(forged), number, row(true)), False),
        (lambda number, true, forged: b"%d 1\n%s%d 1\n%s" % (number, row(true), number, row(forged)), False),
        # poppler counts this one from object 0.
        (lambda number, true, forged: b"1 2\n0000000000 65535 f \n" + row(forged), False),
        # A kind of entry that nobody knows is no object to one reader and the former one to another.
        (lambda number, true, forged: b"\7" + forged.to_bytes(4, "big") + b"\0", True),
    ],
    ids=["twice", "twice-reversed", "shifted", "unknown-kind"],
)
def test_tables_that_readers_understand_differently_are_unreadable(
    table: Callable[[int, int, int], bytes], as_stream: bool
) -> None:
    verdict = judged(with_table(table, as_stream=as_stream))
    assert (verdict.standing, verdict.reason) == (FileStanding.UNREADABLE, FileReason.BROKEN)


@pytest.mark.parametrize("twice", [False, True])
def test_an_object_stream_that_holds_an_object_twice_is_unreadable(twice: bool) -> None:
    # The page as it is, and another one with its number: qpdf shows the other.
    number, page = 10, b"<</Type/Page/Parent 99 0 R/Contents 98 0 R>>"
    head = b"%d 0 %d %d " % (number, number if twice else number + 1, len(page) + 1)
    held = b"<</Type/ObjStm/N 2/First %d/Length %d>>stream\n%s\nendstream endobj\n"
    held %= len(head), len(head) + 2 * len(page) + 1, head + page + b" " + page
    content = b"%PDF-1.5\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    places = {1: 9, 2: len(content)}
    content += b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    places[3] = len(content)
    content += b"3 0 obj" + held
    rows = b"".join(b"\1" + places[n].to_bytes(4, "big") + b"\0" for n in (1, 2, 3))
    rows += b"\2" + (3).to_bytes(4, "big") + b"\0"
    start = len(content)
    content += b"4 0 obj<</Type/XRef/Size 11/Index[1 3 10 1]/W[1 4 1]/Root 1 0 R/Length %d>>" % len(rows)
    content += b"stream\n%s\nendstream endobj\nstartxref\n%d\n%%%%EOF\n" % (rows, start)
    verdict = judged(content)
    expected = (FileStanding.UNREADABLE, FileReason.BROKEN) if twice else (FileStanding.UNSIGNED, FileReason.UNSIGNED)
    assert (verdict.standing, verdict.reason) == expected


@functools.cache
def a_form() -> bytes:
    out = io.BytesIO()
    page = canvas.Canvas(out, invariant=1)
    page.acroForm.textfield(name="so_tien", value="1000", x=100, y=600, width=200, height=20)
    page.showPage()
    page.save()
    return out.getvalue()


def filled_in(writer: IncrementalPdfFileWriter) -> None:
    field = writer.root["/AcroForm"]["/Fields"][0].get_object()
    field["/V"] = pdf_string("9000")
    writer.update_container(field)


def test_a_form_filled_in_after_signing_is_altered_unless_the_signer_allowed_it() -> None:
    # The shadow attack "replace": fields show another value than was signed.
    verdict = judged(pdfs.updated(by_pyhanko(pki.person(), a_form()), filled_in))
    assert (verdict.standing, only(verdict).added_after) == (ALTERED, ("form",))
    certified = by_pyhanko(pki.person(), a_form(), certify=True)
    verdict = judged(pdfs.updated(certified, filled_in))
    assert (verdict.standing, only(verdict).added_after) == (VALID, ())


@pytest.mark.parametrize(
    ("permitted", "write", "standing"),
    [
        (fields.MDPPerm.NO_CHANGES, metadata, VALID),
        (fields.MDPPerm.NO_CHANGES, pdfs.annotation((300, 700, 440, 780)), ALTERED),
        (fields.MDPPerm.FILL_FORMS, pdfs.annotation((300, 700, 440, 780)), ALTERED),
        (fields.MDPPerm.ANNOTATE, pdfs.annotation((300, 700, 440, 780)), VALID),
        (fields.MDPPerm.ANNOTATE, content_added, ALTERED),
    ],
)
def test_what_the_signer_certified_the_document_for_counts(
    permitted: fields.MDPPerm, write: pdfs.Write, standing: FileStanding
) -> None:
    certified = by_pyhanko(pki.person(), certify=True, permitted=permitted)
    assert judged(pdfs.updated(certified, write)).standing is standing


def test_bytes_after_the_end_that_are_no_revision_are_not_signed() -> None:
    verdict = judged(pdfs.issued() + b"<script>")
    assert (verdict.standing, verdict.reason) == (ALTERED, FileReason.COVERAGE)
    assert judged(pdfs.issued() + b"\r\n").standing is VALID


def test_an_earlier_version_of_the_file_says_so_by_what_is_missing() -> None:
    cut = pdfs.issued()[: len(pdfs.by_person())]
    assert cut == pdfs.by_person()
    assert judged(cut).has_agency is False


@pytest.mark.parametrize("place", [0.02, 0.3, 0.5, 0.9, 0.98])
def test_a_changed_byte_alters_every_signature_over_it(place: float) -> None:
    content = bytearray(pdfs.by_person())
    start = content.index(b"/Contents <") + len(b"/Contents <")
    end = content.index(b">", start)
    outside = [*range(start), *range(end + 1, len(content))]
    at = next(n for n in outside[int(place * len(outside)) :] if chr(content[n]).isalnum())
    content[at] ^= 1
    assert judged(bytes(content)).standing in (ALTERED, FileStanding.UNREADABLE, FileStanding.UNSIGNED)


# Bounds and forms


def test_an_encrypted_pdf_is_unreadable() -> None:
    out = io.BytesIO()
    page = canvas.Canvas(out, encrypt="mật khẩu")
    page.drawString(100, 100, "x")
    page.save()
    verdict = judged(out.getvalue())
    assert (verdict.standing, verdict.reason) == (FileStanding.UNREADABLE, FileReason.ENCRYPTED)


@pytest.mark.parametrize(
    "limits",
    [FileLimits(signatures=1), FileLimits(revisions=2), FileLimits(file_bytes=1_000)],
    ids=["signatures", "revisions", "bytes"],
)
def test_more_than_is_looked_at_is_too_large(limits: FileLimits) -> None:
    verdict = judged(pdfs.issued(), limits=limits)
    assert (verdict.standing, verdict.reason) == (FileStanding.UNREADABLE, FileReason.TOO_LARGE)


@pytest.mark.parametrize("content", [b"%PDF-", b"%PDF-1.7\n" + b"x" * 3000, pdfs.plain()[:-200], b"%PDF-1.7\n%%EOF"])
def test_a_broken_pdf_is_unreadable(content: bytes) -> None:
    verdict = judged(content)
    assert (verdict.standing, verdict.reason) == (FileStanding.UNREADABLE, FileReason.BROKEN)


def test_a_form_of_signature_that_is_not_judged_is_named_and_not_valid() -> None:
    content = pdfs.by_person().replace(b"/ETSI.CAdES.detached", b"/adbe.x509.rsa_sha1 ")
    verdict = judged(content)
    assert (verdict.standing, verdict.reason) == (FileStanding.NOT_JUDGED, FileReason.SIGNATURE_FORM)


def test_a_signature_that_is_no_cms_is_unreadable() -> None:
    content = pdfs.by_person()
    start = content.index(b"/Contents <") + len(b"/Contents <")
    verdict = judged(content[:start] + b"0" * 400 + content[start + 400 :])
    assert (verdict.standing, verdict.reason) == (FileStanding.UNREADABLE, FileReason.SIGNATURE_BROKEN)


def test_names_out_of_a_file_are_short_and_hide_nothing() -> None:
    for name in ("a\0b\u202efdp", "Ký " * 10_000):
        verdict = judged(by_pyhanko(pki.person(), field=name))
        field = only(verdict).field
        assert (verdict.standing, len(field) <= 600, field.isprintable()) == (VALID, True, True)


def test_a_certificate_that_is_larger_than_any_real_one_is_not_read() -> None:
    key = pki.person()
    many = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{n:064}") for n in range(1_000)])
    signature = only(judged(by_pyhanko(pki.certify(many, key.private))))
    assert (signature.standing, signature.reason) == (FileStanding.UNREADABLE, FileReason.SIGNATURE_BROKEN)
    assert signature.certificate is None


# Signed by others


@pytest.mark.parametrize("form", [fields.SigSeedSubFilter.PADES, fields.SigSeedSubFilter.ADOBE_PKCS7_DETACHED])
def test_signatures_made_by_pyhanko_itself_are_valid(form: fields.SigSeedSubFilter) -> None:
    signature = only(judged(by_pyhanko(pki.person(), form=form)))
    assert (signature.standing, signature.role) == (VALID, SignerRole.PERSON)


class _Authority(TimeStamper):
    """The test authority, asked without a network."""

    def __init__(self, token: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self._token = token

    async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
        token = self._token(req["message_imprint"]["hashed_message"].native)
        return tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": cms.ContentInfo.load(token)})

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> cms.ContentInfo:
        return cms.ContentInfo.load(self._token(message_digest))


def by_pyhanko(
    key: SigningKey,
    source: bytes | None = None,
    *,
    digest: str = "sha256",
    form: fields.SigSeedSubFilter = fields.SigSeedSubFilter.PADES,
    certify: bool = False,
    permitted: fields.MDPPerm = fields.MDPPerm.FILL_FORMS,
    token: Callable[[bytes], bytes] | None = None,
    field: str = "Ky",
) -> bytes:
    """Signed by pyHanko's own signer, not by ours."""
    writer = IncrementalPdfFileWriter(io.BytesIO(source or pdfs.plain()))
    about = signers.PdfSignatureMetadata(
        field_name=field,
        md_algorithm=digest,
        subfilter=form,
        certify=certify,
        docmdp_permissions=permitted,
    )
    timestamper = _Authority(token) if token else None
    made = asyncio.run(
        signers.async_sign_pdf(writer, about, pdfs.pyhanko_signer(key), timestamper=timestamper, in_place=False)
    )
    content: bytes = made.getvalue()
    return content


def with_document_stamp(content: bytes, at: datetime) -> bytes:
    """The PDF with a time-stamp over all of it (PAdES-B-LTA)."""
    authority = _Authority(lambda digest: pki.timestamp_token(digest, at=at))
    stamper = signers.PdfTimeStamper(authority)
    writer = IncrementalPdfFileWriter(io.BytesIO(content))
    made = asyncio.run(stamper.async_timestamp_pdf(writer, md_algorithm="sha256"))
    stamped_content: bytes = made.getvalue()
    return stamped_content


def authority_list() -> bytes:
    """That the intermediate itself is good."""
    return pki.crl(pki.root())


def with_facts(key: SigningKey, crl: bytes) -> bytes:
    """Signed, with the revocation lists of its authorities in the document security store (PAdES-B-LT)."""
    return pdfs.updated(pdfs.signed(pdfs.plain(), key), facts(authority_list(), crl))


def facts(*crls: bytes) -> pdfs.Write:
    """Revocation lists for the document security store."""

    def write(writer: IncrementalPdfFileWriter) -> None:
        store = DocumentSecurityStore(writer)
        lists = [writer.add_object(generic.StreamObject(stream_data=raw)) for raw in crls]
        store.crls = lists
        writer.root["/DSS"] = writer.add_object(dictionary(Type="/DSS", CRLs=list(lists)))
        writer.update_root()

    return write


@functools.cache
def two_pages() -> bytes:
    return pdfs.signed(pdfs.plain(pages=2), pki.person())
