"""
Cross-reference tables and object streams that every reader of PDFs understands alike.

Which of two entries for one object counts, readers do not agree on: pyHanko takes the later, poppler and qpdf the
earlier. A revision with both would be compared as one document and be seen as another.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.xref import (
    XRefEntry,
    XRefSectionMetaInfo,
    XRefSectionType,
    XRefType,
    parse_xref_stream,
    parse_xref_table,
    read_object_header,
)

from gateway.signing.files.reasons import FileReason
from gateway.signing.files.verdicts import Unreadable

_FIRST_FREE = 65_535
"""Generation of the entry for object 0, with which each file's first table begins."""


def check_tables(reader: PdfFileReader) -> None:
    """
    Look through the tables, and the object streams, of all revisions.

    :raises Unreadable: an object is listed twice in one, or an entry means different things to different readers.
        Tables that cannot be read raise what pyHanko raises.

    Source: ISO 32000-2 §7.5.4: "no object number … shall appear more than once in the same section".
    """
    for revision in range(reader.xrefs.total_revisions):
        _check_object_streams(reader, revision)
        info = reader.xrefs.get_xref_container_info(revision)
        if info.xref_section_type is XRefSectionType.STREAM:
            _stream_entries(reader, info)
            continue
        reader.stream.seek(info.start_location)
        listed = _check(parse_xref_table(reader.stream, strict=True))
        hybrid = reader.xrefs.get_xref_data(revision).hybrid
        if hybrid is not None and listed & _check(_stream_entries(reader, hybrid.meta_info)):
            raise Unreadable(FileReason.BROKEN)


def _check_object_streams(reader: PdfFileReader, revision: int) -> None:
    """Of two objects with one number in a stream pyHanko goes by their place, and qpdf takes the last."""
    for ref in reader.xrefs.object_streams_used_in(revision):  # type: ignore[no-untyped-call]  # pyHanko's
        held = reader.get_object(ref, revision=revision)  # type: ignore[no-untyped-call]  # pyHanko's
        if not isinstance(held, generic.StreamObject):
            raise Unreadable(FileReason.BROKEN)
        numbers = [int(n) for n in held.data[: int(held["/First"])].split()[: 2 * int(held["/N"]) : 2]]
        if len(set(numbers)) < len(numbers):
            raise Unreadable(FileReason.BROKEN)


def _check(entries: Iterable[XRefEntry]) -> set[int]:
    """The objects that are in use."""
    seen: set[int] = set()
    used: set[int] = set()
    for entry in entries:
        # A table that seems to begin with object 1, and whose first entry is that of object 0: many count it from 0.
        is_shifted = entry.idnum == 1 and entry.xref_type is XRefType.FREE and entry.generation == _FIRST_FREE
        if entry.idnum in seen or (is_shifted and 0 not in seen):
            raise Unreadable(FileReason.BROKEN)
        seen.add(entry.idnum)
        if entry.xref_type is not XRefType.FREE:
            used.add(entry.idnum)
    return used


def _stream_entries(reader: PdfFileReader, info: XRefSectionMetaInfo) -> list[XRefEntry]:
    """The entries of a table that is a stream; of a kind that nobody knows none may be, which pyHanko passes over."""
    reader.stream.seek(info.start_location)
    number, generation = read_object_header(reader.stream, strict=True)  # type: ignore[no-untyped-call]  # pyHanko's
    table = generic.StreamObject.read_from_stream(reader.stream, generic.Reference(number, generation, pdf=reader))
    entries = list(parse_xref_stream(table, strict=True))
    sections = table.get("/Index", [0, table["/Size"]])
    if len(entries) != sum(map(int, list(sections)[1::2])):
        raise Unreadable(FileReason.BROKEN)
    return entries
