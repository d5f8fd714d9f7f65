"""Signatures inside a PDF (PAdES and its forerunner): read by pyHanko, judged by the rules of docs/trust.md."""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, BinaryIO

from asn1crypto import cms
from cryptography import x509
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfDecodeLimitError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import DiffResult
from pyhanko.sign.fields import MDPPerm, enumerate_sig_fields
from pyhanko.sign.validation import EmbeddedPdfSignature
from pyhanko.sign.validation.generic_cms import extract_self_reported_ts
from pyhanko.sign.validation.status import SignatureCoverageLevel

from gateway.model import FileSignature, FileStanding, SignerRole
from gateway.signing.files import additions
from gateway.signing.files.cms import Refused, check_signature, check_token, plain, stamped_at
from gateway.signing.files.enclosed import Enclosed, of_document, of_signature
from gateway.signing.files.layout import check_layout
from gateway.signing.files.leaks import LEAKS
from gateway.signing.files.limits import FileLimits
from gateway.signing.files.objects import dictionary
from gateway.signing.files.reasons import FileReason
from gateway.signing.files.signer import Scope, believed, judge_signer, role_of
from gateway.signing.files.tables import check_tables
from gateway.signing.files.usages import CountedReader
from gateway.signing.files.verdicts import Judgement, Unreadable, joined
from gateway.signing.keys import known

_JUDGED = frozenset({"/ETSI.CAdES.detached", "/adbe.pkcs7.detached", "/PBAD.PAdES"})
"""Forms in which a CMS signs the bytes of the file around it."""
_STAMP = "/ETSI.RFC3161"
_HEX = re.compile(rb"<([0-9a-fA-F\s]*)>")
_CONTENTS_MAX = 16 * 1024 * 1024
"""Hexadecimal digits of one signature, revocation facts and time-stamps included."""
_GOOD = frozenset({FileStanding.VALID, FileStanding.VALID_WEAK, FileStanding.INDETERMINATE})
"""Who stands so answers for what he added."""


class _Embedded(EmbeddedPdfSignature):
    """A signature in a file that may have been written by Word."""

    def _enforce_hybrid_xref_policy(self) -> None:
        """Tables with a second one in a stream, which pyHanko refuses all, were looked at (:func:`check_layout`)."""


@dataclass(kw_only=True)
class _Found:
    """One signature on its way to a judgement."""

    name: str
    signed_revision: int
    """Counted from 0, as pyHanko does."""
    embedded: EmbeddedPdfSignature
    added: additions.Additions = field(default_factory=additions.Additions)
    verdict: FileSignature | None = None


def judge_pdf(source: BinaryIO, *, scope: Scope, limits: FileLimits) -> Judgement:
    """
    Judge every signature inside a PDF.

    :param source: seekable; the PDF may begin within the first 1,024 bytes.
    :return: the signatures in the order of their revisions.
    :raises Unreadable: it cannot be read as a PDF, is encrypted, or holds more than is looked at.
    """
    reader, fields = _opened(source, limits)
    enclosed = _enclosed(reader)
    scope = enclosed.added_to(scope)
    signatures: list[_Found] = []
    stamps: list[tuple[int, datetime]] = []
    verdicts: list[FileSignature] = []
    for name, value, holder in fields:
        try:
            if dictionary(value).get("/SubFilter") not in _JUDGED | {_STAMP}:
                verdicts.append(_plain(name, FileStanding.NOT_JUDGED, FileReason.SIGNATURE_FORM))
                continue
            found = _Embedded(reader, holder, name)
        except LEAKS:
            verdicts.append(_plain(name, FileStanding.UNREADABLE, FileReason.SIGNATURE_BROKEN))
            continue
        if found.sig_object_type == "/DocTimeStamp" or found.sig_object.get("/SubFilter") == _STAMP:
            if (at := _document_stamp(found, scope)) is not None:
                stamps.append((found.signed_revision, at))
            continue
        signatures.append(_Found(name=name, signed_revision=found.signed_revision, embedded=found))
    signatures.sort(key=lambda s: s.signed_revision)
    if signatures:
        _check_layout(reader, signed=signatures[0].signed_revision)
    for signature in signatures:
        signature.verdict = _judge(reader, signature, scope=scope, stamps=stamps, others=enclosed.certificates)
    return joined("pdf", [*_settle(signatures), *verdicts])


def check_signable(source: BinaryIO, *, limits: FileLimits) -> None:
    """
    Look whether a PDF, once it is signed, can be read as strictly as :func:`judge_pdf` reads.

    :raises Unreadable: it could not.
    """
    reader, _ = _opened(source, limits)
    _check_layout(reader, signed=reader.xrefs.total_revisions - 1)


def _opened(source: BinaryIO, limits: FileLimits) -> tuple[PdfFileReader, list[Any]]:
    """
    The reader, and the signature fields that hold a signature.

    Read strictly: what one reader forgives another does not, and a signed file must look the same to all.

    :raises Unreadable: see :func:`judge_pdf`.
    """
    try:
        reader = CountedReader(_from_header(source))
        if reader.encrypted:
            raise Unreadable(FileReason.ENCRYPTED)
        if reader.xrefs.total_revisions > limits.revisions:
            raise Unreadable(FileReason.TOO_LARGE)
        check_tables(reader)
        fields = []
        for found in enumerate_sig_fields(reader, filled_status=True):
            if not isinstance(found[0], str | bytes):
                raise Unreadable(FileReason.BROKEN)
            fields.append(found)
            if len(fields) > limits.signatures:
                raise Unreadable(FileReason.TOO_LARGE)
    except PdfDecodeLimitError as e:
        raise Unreadable(FileReason.TOO_LARGE) from e
    except LEAKS as e:
        raise Unreadable(FileReason.BROKEN) from e
    return reader, fields


def _check_layout(reader: PdfFileReader, *, signed: int) -> None:
    """:raises Unreadable: see :func:`check_layout`."""
    try:
        check_layout(reader, signed=signed)
    except LEAKS as e:
        raise Unreadable(FileReason.BROKEN) from e


def _enclosed(reader: PdfFileReader) -> Enclosed:
    """What the newest revision brings along; nothing when it cannot be read."""
    try:
        return of_document(reader.root)
    except LEAKS:
        return Enclosed()


def _from_header(source: BinaryIO) -> BinaryIO:
    """
    The file from its header on: what stands before it is not part of the PDF, and places count from there.

    A signature does not cover what stands there, so it is never good in such a file; one without is read.
    """
    source.seek(0)
    before = source.read(1024).find(b"%PDF-")
    source.seek(0)
    return source if before <= 0 else io.BufferedReader(_From(source, before))


def _judge(
    reader: PdfFileReader,
    found: _Found,
    *,
    scope: Scope,
    stamps: Sequence[tuple[int, datetime]],
    others: tuple[x509.Certificate, ...],
) -> FileSignature:
    """The judgement on one signature by itself; what later ones covered comes after."""
    base = FileSignature(
        field=found.name,
        role=SignerRole.UNKNOWN,
        standing=FileStanding.UNREADABLE,
        reason=FileReason.SIGNATURE_BROKEN,
        revision=found.signed_revision + 1,
        revisions=reader.xrefs.total_revisions,
    )
    try:
        embedded = found.embedded
        base = _named(base, embedded, scope)
        _check_contents(embedded)
        checked = check_signature(
            embedded.signed_data,
            embedded.signer_info,
            embedded.compute_digest(embedded.md_algorithm),
            content_type="data",
            policy=scope.policy,
        )
        added = _check_additions(found)
        base = replace(base, added_after=added)
        if {"content", "form"} & set(added):
            return replace(base, standing=FileStanding.ALTERED, reason=FileReason.ALTERED_AFTER)
        times = [at for revision, at in stamps if revision > found.signed_revision]
        own = stamped_at(embedded.signer_info, anchors=scope.anchors, policy=scope.policy)
        proven = min([*times, *([own] if own else [])], default=None)
        signer = judge_signer(
            checked.certificate,
            scope=of_signature(embedded.signer_info).added_to(scope),
            claimed_at=base.claimed_at,
            stamped_at=proven,
            weak=checked.weak,
            embedded=(*checked.embedded, *others),
        )
    except Refused as e:
        return replace(base, standing=e.standing, reason=e.reason)
    except LEAKS:
        return replace(base, standing=FileStanding.UNREADABLE, reason=FileReason.SIGNATURE_BROKEN)
    return replace(
        base,
        role=signer.role,
        standing=signer.standing,
        reason=signer.reason,
        subject=signer.subject,
        certificate_sha256=signer.sha256,
        stamped_at=proven,
    )


def _named(base: FileSignature, embedded: EmbeddedPdfSignature, scope: Scope) -> FileSignature:
    """Whom a signature names, in which role and when, whether or not it is his."""
    certificate = plain(embedded.signer_cert)
    facts, claimed = known(certificate), _claimed(embedded)
    return replace(
        base,
        role=role_of(certificate, scope=scope, at=believed(claimed, scope)),
        subject=facts.subject,
        certificate_sha256=facts.sha256,
        certificate=base64.b64encode(facts.der).decode("ascii"),
        claimed_at=claimed,
    )


def _check_contents(embedded: EmbeddedPdfSignature) -> None:
    """
    Make sure that the signature covers all of its revision but its own hexadecimal digits.

    pyHanko compares lengths; the place matters too, and so does what follows the CMS in its room.

    :raises Refused: it covers less.

    Source: ISO 32000-2 §12.8.1; the universal signature forgeries of 2019 (pdf-insecurity.org).
    """
    ranges = embedded.byte_range
    whole = Refused(FileStanding.ALTERED, FileReason.COVERAGE)
    if len(ranges) != 4 or not all(isinstance(n, int) and n >= 0 for n in ranges):
        raise whole
    start, length, after, rest = (int(n) for n in ranges)
    if start or not 0 < after - length <= _CONTENTS_MAX:
        raise whole
    stream = embedded.reader.stream
    if isinstance(stream, io.BufferedReader) and isinstance(stream.raw, _From):
        raise whole
    stream.seek(length)
    digits = _HEX.fullmatch(stream.read(after - length))
    size = stream.seek(0, 2)
    if digits is None or after + rest > size:
        raise whole
    try:
        inside = binascii.unhexlify(b"".join(digits[1].split()))
    except binascii.Error:
        raise whole from None
    cms_length = len(cms.ContentInfo.load(inside).dump())
    if inside != embedded.pkcs7_content or inside[cms_length:].strip(b"\0"):
        raise whole
    if embedded.evaluate_signature_coverage() < SignatureCoverageLevel.ENTIRE_REVISION or not _ends(stream):
        raise whole


def _ends(stream: BinaryIO) -> bool:
    """Whether nothing follows the last revision: other readers look for the last ``startxref`` in what does."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - 1024))
    return not stream.read().rpartition(b"%%EOF")[2].strip(b"\0\t\n\f\r ")


def _check_additions(found: _Found) -> tuple[str, ...]:
    """
    What was added after the signature, in the words of :class:`FileSignature`; ``content`` when it may not be.

    Filled-in forms are the signer's will only where he certified the document for them (DocMDP 2 or 3).
    """
    embedded = found.embedded
    embedded.compute_integrity_info(diff_policy=additions.policy(found.added))  # type: ignore[no-untyped-call]  # pyHanko's
    status = embedded.summarise_integrity_info()
    difference = status["diff_result"]
    if not isinstance(difference, DiffResult) or not status["docmdp_ok"]:
        return ("content",)
    later = {
        name: value
        for name, value, _ in enumerate_sig_fields(embedded.reader, filled_status=None)
        if name != found.name
    }
    words = []
    changed = difference.changed_form_fields
    if any(_is_signature(later[name]) for name in changed if name in later):
        words.append("signature")
    unsigned = {name for name in found.added.showing | found.added.covering if not _is_signature(later.get(name))}
    if found.added.stamps or unsigned:
        words.append("stamp")
    if changed - later.keys() and embedded.docmdp_level not in (MDPPerm.FILL_FORMS, MDPPerm.ANNOTATE):
        words.append("form")
    return tuple(words)


def _is_signature(value: generic.PdfObject | None) -> bool:
    """Whether a signature field's value is one of a signer, not a time-stamp and not nothing."""
    made = dictionary(value)
    return bool(made) and made.get("/SubFilter") != _STAMP


def _settle(signatures: Sequence[_Found]) -> list[FileSignature]:
    """
    The verdicts, once it is known who added what: whoever is trusted answers for what he put over a page.

    What anybody else put over something that was signed makes that altered.
    """
    good = {s.name for s in signatures if s.verdict is not None and s.verdict.standing in _GOOD}
    settled = []
    for found in signatures:
        verdict = found.verdict
        assert verdict is not None  # each was judged before
        if found.added.covering - good and verdict.standing is not FileStanding.ALTERED:
            verdict = replace(verdict, standing=FileStanding.ALTERED, reason=FileReason.COVERED_AFTER)
        settled.append(verdict)
    return settled


def _document_stamp(found: EmbeddedPdfSignature, scope: Scope) -> datetime | None:
    """The time that a document time-stamp proves for all revisions before it; ``None``: it proves none."""
    try:
        _check_contents(found)
        return check_token(
            found.signed_data, None, anchors=scope.anchors, policy=scope.policy, imprint=found.compute_digest
        )
    except (Refused, *LEAKS):
        return None


def _claimed(embedded: EmbeddedPdfSignature) -> datetime | None:
    """When the signer says that it signed; a time without a zone says nothing."""
    try:
        said = extract_self_reported_ts(embedded.signer_info) or embedded.self_reported_timestamp
        return said.astimezone(UTC) if said is not None and said.tzinfo is not None else None
    except LEAKS:
        return None


def _plain(name: str, standing: FileStanding, reason: FileReason) -> FileSignature:
    return FileSignature(field=name, role=SignerRole.UNKNOWN, standing=standing, reason=reason)


class _From(io.RawIOBase):
    """A file seen from a place within it on."""

    def __init__(self, source: BinaryIO, start: int) -> None:
        self._source = source
        self._start = start
        source.seek(start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._source.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            offset += self._start
        return self._source.seek(offset, whence) - self._start
