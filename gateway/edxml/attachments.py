"""Pairing of manifest entries with encoded contents, and what each attachment then is (domain §1.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.edxml import names
from gateway.edxml.content import Content, ContentFault, Decoded, Spool, contradicts, unwrap
from gateway.edxml.findings import Findings
from gateway.edxml.limits import Limits
from gateway.edxml.sections import Section
from gateway.model import Attachment, Reference, Severity

_ENCODED = f"{names.ENCODED}.{names.ATTACHMENT}"
_ENTRY = f"{names.MANIFEST}.Reference"


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The attachments whose content can be trusted, and the manifest."""

    references: tuple[Reference, ...]
    attachments: tuple[Attachment, ...]
    held: dict[Attachment, Content]


def bare_id(text: str) -> str:
    """A content id without any leading ``cid:``; the kit may write it twice (domain §1.2)."""
    while text[:4].lower() == "cid:":
        text = text[4:].lstrip()
    return text


def read_contents(
    entries: Sequence[Section],
    encoded: Sequence[Section],
    decoded: Sequence[Decoded | None],
    *,
    findings: Findings,
    limits: Limits,
    spool: Spool,
) -> Contents:
    """
    Pair, unwrap and describe the attachments.

    :param decoded: for each element of ``encoded`` its decoded content; ``None`` where there was none.
    :raises PackageLimitExceeded: one unpacks to more than the limits allow.
    """
    references = [_reference(entry) for entry in entries]
    partners = _pair(references, encoded)
    found = set(partners.values())
    for index, reference in enumerate(references):
        if index not in found:
            findings.missing(names.ENCODED)  # a reference without its file: the package is incomplete
        if not reference.content_id:
            findings.missing(f"{_ENTRY}.ContentId", Severity.WARNING)
        if reference.name is None:
            findings.missing(f"{_ENTRY}.AttachmentName", Severity.WARNING)
    attachments: list[Attachment] = []
    held: dict[Attachment, Content] = {}
    for index, section in enumerate(encoded):
        partner = references[partners[index]] if index in partners else None
        if partner is None:
            findings.meaningless(
                _ENCODED,
                Severity.WARNING,
                vi="Có tệp đính kèm không được kê trong edXMLManifest.",
                en="An attachment is not listed in edXMLManifest.",
            )
        read = _attachment(section, decoded[index], partner, limits=limits, spool=spool)
        if read is not None:
            attachments.append(read[0])
            held[read[0]] = read[1]
    _refuse_shared_ids(attachments, findings)
    return Contents(references=tuple(references), attachments=tuple(attachments), held=held)


def _reference(entry: Section) -> Reference:
    return Reference(
        content_id=bare_id(entry.text("ContentId", longest=255) or ""),
        name=entry.text("AttachmentName", longest=500),
        content_type=entry.text("ContentType"),
        description=entry.text("Description"),
    )


def _pair(references: Sequence[Reference], encoded: Sequence[Section]) -> dict[int, int]:
    """Index in ``encoded`` → index in ``references``: by id, else by name, else by position when counts are equal."""
    ids = [bare_id(s.text("ContentId") or "").lower() for s in encoded]
    ids_of_references = [r.content_id.lower() for r in references]
    titles = [s.text("AttachmentName") for s in encoded]
    if ids == ids_of_references and all(ids):
        return {i: i for i in range(len(ids))}  # as nearly all are written, and what the rules below come to
    free_references, free_encoded = set(range(len(references))), set(range(len(encoded)))
    found: dict[int, int] = {}

    def match(keys_of_encoded: Sequence[str | None], keys_of_references: Sequence[str | None]) -> None:
        waiting: dict[str, list[int]] = {}
        for r in sorted(free_references, reverse=True):
            if key := keys_of_references[r]:
                waiting.setdefault(key, []).append(r)
        for e in sorted(free_encoded):
            key = keys_of_encoded[e]
            if key and waiting.get(key):
                found[e] = waiting[key].pop()
                free_references.discard(found[e])
                free_encoded.discard(e)

    match(ids, ids_of_references)
    match(titles, [r.name for r in references])
    if len(references) == len(encoded):
        # By position, but never against two ids that are both there and differ.
        left = free_encoded & free_references
        found |= {i: i for i in left if not ids[i] or not references[i].content_id}
    return found


def _attachment(
    section: Section,
    decoded: Decoded | None,
    partner: Reference | None,
    *,
    limits: Limits,
    spool: Spool,
) -> tuple[Attachment, Content] | None:
    findings = section.findings
    content_path = f"{_ENCODED}.{names.CONTENT}"
    content_id = bare_id(section.text("ContentId", longest=255) or "")
    name = section.text("AttachmentName", longest=500)
    if not content_id:
        known = partner is not None and bool(partner.content_id)
        findings.missing(f"{_ENCODED}.ContentId", Severity.WARNING if known else Severity.ERROR)
        content_id = partner.content_id if partner is not None else ""
    if name is None:
        known = partner is not None and partner.name is not None
        findings.missing(f"{_ENCODED}.AttachmentName", Severity.WARNING if known else Severity.ERROR)
        name = partner.name if partner is not None else None
    if decoded is None:
        findings.missing(content_path)
        return None
    if decoded.content is None:
        findings.bad_form(content_path, f"base64: {decoded.fault}", vi="base64")
        return None
    try:
        result = unwrap(decoded.content, name or "", spool=spool, limits=limits)
    except ContentFault as e:
        findings.add(f"{e.letter}.{content_path}", Severity.ERROR, vi=e.vi, en=e.en)
        return None
    if name is None or not content_id:
        return None
    if contradicts(name, result.media_type):
        findings.meaningless(
            f"{_ENCODED}.AttachmentName",
            Severity.WARNING,
            vi="Phần mở rộng của tên tệp không đúng với nội dung tệp.",
            en="The extension of a file's name is not that of its content.",
        )
    attachment = Attachment(
        content_id=content_id,
        name=name,
        size=result.content.size,
        sha256=result.content.sha256,
        media_type=result.media_type,
        wrapped=result.wrapped,
        content_type=section.text("ContentType"),
        description=section.text("Description"),
        field_name=section.text("FieldName"),
        mime_type=section.text("MimeType"),
    )
    return attachment, result.content


def _refuse_shared_ids(attachments: Sequence[Attachment], findings: Findings) -> None:
    if len({a.content_id.lower() for a in attachments}) < len(attachments):
        findings.meaningless(
            f"{_ENCODED}.ContentId",
            Severity.ERROR,
            vi="Nhiều tệp đính kèm dùng chung một ContentId.",
            en="Several attachments share one ContentId.",
        )
