"""
Which of a document's files must be signed by whom, and which of them are not; no clock, no files, no network.

A package can enclose a genuine dispatch of the past beside a new text that nobody signed. So it is not enough that
some file carries the required signatures: where a type of document demands any, its other PDFs are looked at too
(docs/decisions/0038).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from gateway.model import FilePart, FileStanding, FileVerdict, SignerRole
from gateway.signing.files.formats import Format, is_called_pdf

GOOD = frozenset({FileStanding.VALID, FileStanding.VALID_WEAK})
"""What counts as a signature that is required."""

Roles = frozenset[SignerRole]


class MainFile(enum.StrEnum):
    """Which file of a package is its dispatch."""

    ANY = "any"
    """One that carries the required signatures: the order of files is nobody's promise. Of several the first that
    could not be an enclosure, else the first."""
    FIRST = "first"
    """The first one, for senders who keep that order."""


@dataclass(frozen=True, kw_only=True)
class RequiredSignatures:
    """Whose signatures the files of one document must carry."""

    main: Roles = frozenset()
    """The dispatch itself; empty: nothing is required of any file."""
    others: Roles = frozenset({SignerRole.AGENCY})
    """Every other PDF, and what cannot be read and may be one (NĐ 30/2020 Annex I: annexes in files of their own, and
    copies, carry the agency's signature). Office files, drawings and pictures need none."""
    which: MainFile = MainFile.ANY


@dataclass(frozen=True, kw_only=True)
class Cover:
    """A signature over the whole package by its sender: it answers for every file in it."""

    role: SignerRole
    standing: FileStanding


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The files of a document, held against what is required of them."""

    files: tuple[FileVerdict, ...]
    """As they were, with ``part`` and ``lacks``."""
    main: int | None
    """Index of the dispatch; ``None``: no file carries what it must."""
    lacking: tuple[int, ...] = field(default=())
    """Indexes of the other files that do not carry what they must."""

    @property
    def met(self) -> bool:
        """Whether nothing is missing."""
        return self.main is not None and not self.lacking


def compare(
    files: Sequence[FileVerdict],
    required: RequiredSignatures,
    *,
    good: Collection[FileStanding] = GOOD,
    of_others: Callable[[str], bool] = lambda _: False,
    cover: Cover | None = None,
) -> Compared:
    """
    Find the dispatch among the files of a document, and what it and the others lack.

    :param files: in the order of the package; files inside an archive follow each other in its order.
    :param required: with at least one role in ``main``.
    :param good: standings of signatures that count.
    :param of_others: whether a certificate, by its SHA-256, is known to be of an agency that is not the sender: on the
        dispatch its signature does not count. It does on the others, for documents enclose other agencies' files.
    :param cover: what the sender's signature over the package gives to the others; to the dispatch it gives nothing.
    """
    own = [_carried(without(one, of_others), good) for one in files]
    candidates = range(len(files))[:1] if required.which is MainFile.FIRST else range(len(files))
    able = [n for n in candidates if required.main <= own[n]]
    if not able:
        named = FilePart.MAIN if required.which is MainFile.FIRST else None
        told = (
            replace(one, part=named, lacks=_sorted(required.main - own[n])) if n in candidates else one
            for n, one in enumerate(files)
        )
        return Compared(files=tuple(told), main=None)
    given = {cover.role} if cover is not None and cover.standing in good else set()
    lacks = [required.others - _carried(one, good) - given if _may_be_pdf(one) else frozenset() for one in files]
    # Of several that could be it, the one that could not lie beside another.
    main = next((n for n in able if lacks[n]), able[0])
    lacks[main] = frozenset()
    shown = tuple(
        replace(one, part=FilePart.MAIN if n == main else FilePart.ENCLOSED, lacks=_sorted(lacks[n]))
        for n, one in enumerate(files)
    )
    return Compared(files=shown, main=main, lacking=tuple(n for n, one in enumerate(shown) if one.lacks))


def without(one: FileVerdict, of_others: Callable[[str], bool]) -> FileVerdict:
    """The same file without the signatures of other agencies; a certificate that nobody could name stays."""
    kept = (s for s in one.signatures if s.certificate_sha256 is None or not of_others(s.certificate_sha256))
    return replace(one, signatures=tuple(kept))


def _carried(one: FileVerdict, good: Collection[FileStanding]) -> Roles:
    """Whose signatures count on a file; on one that was altered, nobody's."""
    if one.standing is FileStanding.ALTERED:
        return frozenset()
    return frozenset(s.role for s in one.signatures if s.standing in good)


def _may_be_pdf(one: FileVerdict) -> bool:
    """Whether somebody may take it for a dispatch: by content, by name, or because nobody knows what is in it."""
    name = one.name if one.member is None else one.member
    return one.format == Format.PDF or one.standing is FileStanding.UNREADABLE or is_called_pdf(name)


def _sorted(roles: Roles) -> tuple[SignerRole, ...]:
    return tuple(sorted(roles))
