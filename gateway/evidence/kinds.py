"""What a file is that somebody wants checked, told by its first bytes."""

from __future__ import annotations

import enum
import re
from pathlib import Path

from gateway.evidence.container import MEDIA_TYPE

HEAD_BYTES = 1024
"""PDF readers look for ``%PDF-`` this far (ISO 32000-1, Annex H.3.4.1)."""

_JWS = re.compile(rb"\s*[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+\.")
_SEAL = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<Seal\b")


class FileKind(enum.StrEnum):
    """The kinds that are told apart."""

    EVIDENCE = "evidence"
    """An ASiC-E container, or what is left of one."""
    SEAL = "seal"
    RECEIPT = "receipt"
    """JSON, or a compact JWS."""
    FILE = "file"
    """Something with signatures of its own: PDF, Office, ZIP."""
    PACKAGE = "package"
    """Anything else: the reader of packages says what is wrong with it."""


def kind_of(path: Path) -> FileKind:
    """
    The kind of a file.

    :raises OSError: it cannot be read.
    """
    with path.open("rb") as source:
        head = source.read(HEAD_BYTES)
    # Any of the three is enough: a container with one changed byte is to be named as one.
    if path.suffix.lower() == ".asice" or MEDIA_TYPE.encode() in head[:100] or head[30:38] == b"mimetype":
        return FileKind.EVIDENCE
    if b"%PDF-" in head or head.startswith(b"PK\x03\x04"):
        return FileKind.FILE
    if _SEAL.match(head):
        return FileKind.SEAL
    if head.lstrip().startswith(b"{") or _JWS.match(head):
        return FileKind.RECEIPT
    return FileKind.PACKAGE
