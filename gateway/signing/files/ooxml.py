"""Signatures of Office files (OOXML, ECMA-376 Part 2 §12): recognised and named, not judged."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from cryptography import x509
from lxml import etree

from gateway.edxml.limits import Limits
from gateway.edxml.parser import Guard, parse, pieces, read_prolog
from gateway.errors import DocumentError
from gateway.model import FileSignature, FileStanding, SignerRole
from gateway.signing.files.leaks import LEAKS
from gateway.signing.files.policy import role_by_subject
from gateway.signing.files.reasons import FileReason
from gateway.signing.files.verdicts import Judgement, Unreadable, joined
from gateway.signing.keys import known
from gateway.signing.policy import DS

CONTENT_TYPES = "[Content_Types].xml"
"""The part that every OOXML file has, and by which it is known."""
_ORIGIN = "_xmlsignatures/origin.sigs"
_FOLDER = "_xmlsignatures/"
LARGEST_PART = 1024 * 1024
"""Bytes of a signature part; it may hold pictures of a signature line."""
_LIMITS = Limits(package_bytes=LARGEST_PART, attributes_per_element=64)
_TIMES = (
    "{http://uri.etsi.org/01903/v1.3.2#}SigningTime",
    "{http://schemas.openxmlformats.org/package/2006/digital-signature}Value",
)


def judge_ooxml(names: Sequence[str], read: Callable[[str], bytes], *, signatures_max: int) -> Judgement:
    """
    Name who signed an Office file.

    :param names: of all its parts.
    :param read: the bytes of a part, at most :data:`LARGEST_PART`.
    :raises Unreadable: it holds more signatures than are looked at, or a part cannot be unpacked.
    """
    folded = {name.lower(): name for name in names}
    parts = sorted(n for n in folded if n.startswith(_FOLDER) and n.endswith(".xml") and "/" not in n[len(_FOLDER) :])
    if _ORIGIN not in folded and not parts:
        return joined("ooxml", ())
    if len(parts) > signatures_max:
        raise Unreadable(FileReason.TOO_LARGE)
    return joined("ooxml", [_named(folded[part], read(folded[part])) for part in parts])


def _named(part: str, raw: bytes) -> FileSignature:
    base = FileSignature(
        field=part, role=SignerRole.UNKNOWN, standing=FileStanding.NOT_JUDGED, reason=FileReason.NOT_JUDGED
    )
    try:
        root = _tree(raw)
        certificate = next(root.iter(f"{{{DS}}}X509Certificate"), None)
        claimed = _claimed(root)
        if certificate is None:
            return base
        facts = known(x509.load_der_x509_certificate(base64.b64decode(certificate.text or "")))
        return FileSignature(
            field=part,
            role=role_by_subject(facts),
            standing=FileStanding.NOT_JUDGED,
            reason=FileReason.NOT_JUDGED,
            subject=facts.subject,
            certificate_sha256=facts.sha256,
            claimed_at=claimed,
        )
    except (DocumentError, *LEAKS):
        return base


def _tree(raw: bytes) -> etree._Element:
    prolog = read_prolog(raw)
    utf8 = raw[prolog.skip :].decode(prolog.encoding).encode()
    guard = Guard(_LIMITS, prolog)
    guard.feed(pieces(raw[prolog.skip :]))
    return parse(utf8).root


def _claimed(root: etree._Element) -> datetime | None:
    """The time that the signer says, aware UTC; Office writes the same in two places."""
    for name in _TIMES:
        text = root.findtext(f".//{name}")
        if text and text.strip():
            said = datetime.fromisoformat(text.strip())
            return said.astimezone(UTC) if said.tzinfo is not None else None
    return None
