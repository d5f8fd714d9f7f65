"""
Signatures inside one attached file: what it is, who signed it, and whether that stands.

Here it is done in the process that asks. A server uses :class:`gateway.signing.files.Inspector`, which does it
in another process: a PDF can be made to crash or stall whatever reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

from gateway.model import FileStanding, FileVerdict
from gateway.signing.files.archive import Archive, Budget, Member
from gateway.signing.files.cms import judge_cms
from gateway.signing.files.formats import Format, is_called_archive, is_called_pdf_and_both, recognise
from gateway.signing.files.limits import FileLimits
from gateway.signing.files.ooxml import CONTENT_TYPES, LARGEST_PART, judge_ooxml
from gateway.signing.files.pdf import judge_pdf
from gateway.signing.files.policy import FilePolicy, RegisteredSigner
from gateway.signing.files.reasons import FileReason
from gateway.signing.files.signer import Scope
from gateway.signing.files.verdicts import Judgement, Unreadable, unreadable
from gateway.signing.trust import TrustAnchors

_DOCUMENTS = frozenset({"mimetype", "META-INF/manifest.xml"})
"""Parts of ODF and of signature containers: documents that are a ZIP, and no archive."""
_OTHER = Judgement(format="other", standing=FileStanding.NOT_JUDGED, reason=FileReason.NO_SIGNATURES_KNOWN)
_EMPTY = Judgement(format="zip", standing=FileStanding.NOT_JUDGED, reason=FileReason.EMPTY_ARCHIVE)


def inspect_file(
    path: Path,
    *,
    content_id: str,
    name: str,
    registered: Sequence[RegisteredSigner],
    anchors: TrustAnchors,
    at: datetime,
    policy: FilePolicy | None = None,
    limits: FileLimits | None = None,
) -> tuple[FileVerdict, ...]:
    """
    Judge the signatures inside one attached file, or inside each file of an attached archive.

    A bad signature or file is a verdict, not an exception. Nothing is fetched: whatever is not in the file,
    among the anchors or among the known revocation facts is not known.

    :param path: the attachment, unwrapped; not trusted.
    :param content_id: how the package names it.
    :param name: as sent; only repeated in the verdict.
    :param registered: certificates whose holders are known, whichever agency's they are.
    :param at: aware UTC: the time of receipt. Nothing in the file can have been signed later.
    :return: one verdict; of an archive one for each file inside it, or one for the archive when that is empty or
        cannot be looked into.
    :raises OSError: the file cannot be opened.

    Source: domain §4.3; docs/trust.md, signatures inside files.
    """
    limits = limits or FileLimits()
    scope = Scope(registered=registered, anchors=anchors, policy=policy or FilePolicy(), at=at)
    with path.open("rb") as source:
        found = list(_judged(source, name, size=path.stat().st_size, scope=scope, limits=limits))
    return tuple(j.of(content_id=content_id, name=name, member=member, at=at) for member, j in found)


def _judged(
    source: BinaryIO, name: str, *, size: int, scope: Scope, limits: FileLimits
) -> Iterator[tuple[str | None, Judgement]]:
    budget = Budget(members=limits.members, bytes=limits.unpacked_bytes)
    form = recognise(source)
    if size > limits.file_bytes:
        yield None, unreadable(_word(form), FileReason.TOO_LARGE)
    elif is_called_pdf_and_both(name, source):
        yield None, unreadable(_word(form), FileReason.BROKEN)
    elif form is Format.ZIP:
        yield from _of_zip(source, None, name, depth=1, scope=scope, limits=limits, budget=budget)
    else:
        yield None, _of_plain(source, form, scope=scope, limits=limits)


def _of_plain(source: BinaryIO, form: Format, *, scope: Scope, limits: FileLimits) -> Judgement:
    """The judgement on a file that is no ZIP."""
    try:
        if form is Format.PDF:
            return judge_pdf(source, scope=scope, limits=limits)
        return judge_cms(source) if form is Format.CMS else _OTHER
    except Unreadable as e:
        return unreadable(_word(form), e.reason)


def _of_zip(
    source: BinaryIO, within: str | None, called: str, *, depth: int, scope: Scope, limits: FileLimits, budget: Budget
) -> Iterator[tuple[str | None, Judgement]]:
    """
    The judgements on a ZIP: an Office file by itself, an archive by the files inside it.

    :param within: its own place inside another archive; ``None``: it is the attachment.
    :param called: what is called an archive is one, whatever marks of other formats lie in it: its files are what
        its receiver sees.
    """
    try:
        archive = Archive(source, limits=limits, budget=budget)
        names = archive.names
        is_archive = is_called_archive(called)
        if CONTENT_TYPES in names and not is_archive:
            read = partial(archive.part, largest=LARGEST_PART)
            yield within, judge_ooxml(names, read, signatures_max=limits.signatures)
            return
        if names and not is_archive and (names[0] == "mimetype" or set(names) >= _DOCUMENTS):
            yield within, _OTHER
            return
        members = archive.members(too_deep=depth > limits.nesting)
    except Unreadable as e:
        yield within, unreadable("zip", e.reason)
        return
    if not members:
        yield within, _EMPTY
    for member in members:
        inside = f"{within}/{member.path}" if within else member.path
        yield from _of_member(archive, member, inside, depth=depth, scope=scope, limits=limits, budget=budget)


def _of_member(
    archive: Archive, member: Member, inside: str, *, depth: int, scope: Scope, limits: FileLimits, budget: Budget
) -> Iterator[tuple[str | None, Judgement]]:
    try:
        content = archive.open(member)
    except Unreadable as e:
        yield inside, unreadable("other", e.reason)
        return
    form = recognise(content)
    if is_called_pdf_and_both(member.entry.filename, content):
        yield inside, unreadable(_word(form), FileReason.BROKEN)
    elif form is not Format.ZIP:
        yield inside, _of_plain(content, form, scope=scope, limits=limits)
    else:
        yield from _of_zip(
            content, inside, member.entry.filename, depth=depth + 1, scope=scope, limits=limits, budget=budget
        )


def _word(form: Format) -> str:
    return "other" if form is Format.CMS else form.value
