"""The national kit's own packages, posted as the offices that they come from; only where they are present."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from gateway.cli.demo.mail import Dispatch
from gateway.directory import Directory
from gateway.edxml import Limits, read_unverified
from gateway.errors import DocumentError
from gateway.model import AgencyCode, Envelope, PackageKind

EXPECTED_REFUSALS = {"edoc.edxml": "package.invalid"}
"""Its attachment is the word of a template, not a file."""


def samples_folder(given: Path | None) -> Path | None:
    """The folder with the packages: the given one, ``GATEWAY_SAMPLES``, or ``shared/samples`` beside the project."""
    if given is not None:
        return given
    named = os.environ.get("GATEWAY_SAMPLES")
    folder = Path(named) if named else Path(__file__).resolve().parents[4] / "shared" / "samples"
    return folder if folder.is_dir() else None


def sample_dispatches(folder: Path, directory: Directory, *, spool: Path) -> list[Dispatch]:
    """Documents first, then the statuses on them, in the order of their codes."""
    found = []
    for path in sorted(folder.glob("*.edxml")):
        read = _read(path, spool)
        if read is not None:
            envelope, files = read
            is_status = envelope.kind is PackageKind.STATUS
            found.append((is_status, _code(envelope), path.name, _dispatch(path, envelope, files, directory)))
    return [dispatch for *_, dispatch in sorted(found, key=lambda entry: entry[:3])]


def _read(path: Path, spool: Path) -> tuple[Envelope, frozenset[str]] | None:
    with tempfile.TemporaryDirectory(dir=spool) as folder:
        try:
            with read_unverified(path, limits=Limits(), spool=Path(folder)) as package:
                return package.envelope, frozenset(a.sha256 for a in package.attachments)
        except DocumentError:
            return None


def _code(envelope: Envelope) -> str:
    if envelope.status is not None:
        return envelope.status.code.value
    # A new document before those that change it.
    return str(envelope.business_type.value)


def _dispatch(path: Path, envelope: Envelope, files: frozenset[str], directory: Directory) -> Dispatch:
    return Dispatch(
        name=path.name,
        at="national",
        by=_holder(envelope.sender.code, directory),
        package=path,
        refusal=EXPECTED_REFUSALS.get(path.name),
        contents=files,
        document_id=envelope.document_id,
        is_sample=True,
        is_status=envelope.kind is PackageKind.STATUS,
    )


def _holder(sender: AgencyCode, directory: Directory) -> AgencyCode:
    """The nearest office above the sender that has a system of its own."""
    agency = directory.get(sender)
    while agency is not None and agency.endpoint is None and agency.parent is not None:
        agency = directory.get(agency.parent)
    return agency.code if agency else sender
