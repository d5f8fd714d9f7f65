"""Which format a file is in, by its content: names and declared types are not believed."""

from __future__ import annotations

import enum
from typing import BinaryIO

_HEAD = 1024
"""Bytes in which a PDF's header may stand (ISO 32000-1, Annex H.3, note 13)."""
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
"""The object identifier of CMS SignedData (RFC 5652 §5.1)."""
_PEM = (b"-----BEGIN PKCS7-----", b"-----BEGIN CMS-----")


class Format(enum.StrEnum):
    """What a file is looked at as; an OOXML file is a ZIP until its parts are seen."""

    PDF = "pdf"
    ZIP = "zip"
    CMS = "cms"
    OTHER = "other"


def is_called_pdf_and_both(name: str, source: BinaryIO) -> bool:
    """
    Whether a ZIP would be opened as a PDF by who goes by its name, and shows another document then.

    A ZIP with a stored PDF at its beginning is one to readers that look for ``%PDF-`` further in; what they show is
    not what the archive holds.
    """
    source.seek(0)
    head = source.read(_HEAD)
    source.seek(0)
    return is_called_pdf(name) and head.startswith(_ZIP) and b"%PDF-" in head


def is_called_pdf(name: str) -> bool:
    """Whether who goes by the name takes a file for a PDF."""
    return _is_called(name, ".pdf")


def is_called_archive(name: str) -> bool:
    """Whether who goes by the name sees the files in a ZIP, whatever else that is."""
    return _is_called(name, ".zip")


def _is_called(name: str, ending: str) -> bool:
    """Systems drop dots and spaces at the end."""
    return name.rstrip(". ").lower().endswith(ending)


def recognise(source: BinaryIO) -> Format:
    """The format of a file; it is left at its beginning."""
    source.seek(0)
    head = source.read(_HEAD)
    source.seek(0)
    # A ZIP first: one that begins with a stored PDF would else be read as that.
    if head.startswith(_ZIP):
        return Format.ZIP
    if b"%PDF-" in head:
        return Format.PDF
    if head.lstrip().startswith(_PEM) or (head[:1] == b"\x30" and _SIGNED_DATA in head[:24]):
        return Format.CMS
    return Format.OTHER
