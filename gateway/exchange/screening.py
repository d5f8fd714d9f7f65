"""
What a package is examined for when it is accepted, and what is left for later.

Malware is searched for at once, so that its sender is told at once. Signatures inside files are judged by the worker:
reading a stranger's PDF takes long, and may crash or stall the process that does it.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

import structlog

from gateway.edxml import Package
from gateway.errors import FileSignatureRequired, ScanFailed
from gateway.exchange.parts import Parts
from gateway.ledger.records import ExaminationResult, NewExamination
from gateway.model import BusinessType, Envelope, ExaminationKind, ExaminationState, PackageKind
from gateway.scanning import File
from gateway.signing.files.required import RequiredSignatures

_log = structlog.get_logger()

NOTHING_FOUND = "malware.none"
"""Stands where errors have their code."""


def screened(parts: Parts, package: Package, *, now: datetime) -> tuple[NewExamination, ...]:
    """
    Search the files of a new package for malware, and say what it is to be examined for later.

    Waits for the malware scanner within that one's own bound; nothing is locked meanwhile.

    :return: those done and those to come; none for a package without files.
    :raises MalwareFound: the package is refused.
    :raises FileSignatureRequired: its type demands signatures inside a file, and there is no file.
    """
    required = bool(required_signatures(parts, package.envelope).main)
    if not package.attachments:
        if required:
            raise FileSignatureRequired
        return ()
    malware = _malware(parts, package, now=now)
    return (*malware, *_files(parts, required, now=now))


def required_signatures(parts: Parts, envelope: Envelope) -> RequiredSignatures:
    """Whose signatures its files must carry; a status and a recall carry no dispatch."""
    if envelope.kind is PackageKind.STATUS or envelope.business_type is BusinessType.REVOKE:
        return RequiredSignatures()
    return parts.rules.examinations.required(envelope.document_type)


def scannable(package: Package) -> list[File]:
    """The files of a package as the scanner takes them."""
    return [File(name=a.name, size=a.size, open=partial(package.open, a)) for a in package.attachments]


def _files(parts: Parts, required: bool, *, now: datetime) -> tuple[NewExamination, ...]:
    if not (parts.rules.examinations.inspect or required):
        return ()
    return (NewExamination(kind=ExaminationKind.FILES, holds=required, due_at=now),)


def _malware(parts: Parts, package: Package, *, now: datetime) -> tuple[NewExamination, ...]:
    if parts.scanner is None:
        return ()
    kind = ExaminationKind.MALWARE
    try:
        done = parts.scanner.scan(scannable(package))
    except ScanFailed as error:
        # Neither the name of the file nor what it is about.
        _log.warning("not scanned", action="malware.not_scanned", code=error.code, sha256=package.sha256)
        if parts.rules.examinations.unscanned == "pass":
            return (NewExamination(kind=kind, state=ExaminationState.FAILED, reason=error.code, due_at=now),)
        return (NewExamination(kind=kind, holds=True, reason=error.code, due_at=now),)
    found = ExaminationResult(scanned=done.files, scanner=done.scanner)
    state = ExaminationState.DONE
    return (NewExamination(kind=kind, state=state, reason=NOTHING_FOUND, due_at=now, result=found),)
