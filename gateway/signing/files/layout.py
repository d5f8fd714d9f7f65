"""
The bytes between the objects of a signed PDF: laid out so that no reader finds an object that another does not.

A reader that stumbles over a table or a number looks through the whole file instead, and goes by the last object of
each number that it comes across, listed or not, also inside of streams and behind the end of a table. Each reader
stumbles over something else. So in a signed file there is nothing to be found but what is listed, in the order in
which it counts, and what was added after the first signature is written as the standard has it, byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.xref import XRefSectionData, XRefSectionMetaInfo, XRefSectionType, read_object_header

from gateway.signing.files.reasons import FileReason
from gateway.signing.files.syntax import is_plain
from gateway.signing.files.verdicts import Unreadable

# Each part of a pattern is possessive, or begins where no other match can begin: no file makes them slow.
_WS = rb"[\0\t\n\f\r ]"
_EOL = rb"(?:\r\n|\r|\n)"
_HEADER = re.compile(rb"(?<!\d)(\d++)" + _WS + rb"++(\d++)" + _WS + rb"*+obj")
_HEADER_AT = re.compile(_WS + rb"*+(\d++)" + _WS + rb"++(\d++)" + _WS + rb"*+obj(?![A-Za-z0-9])")
_HEADER_GUESSED = re.compile(rb"(?:" + _WS + rb"++|%[^\r\n]*+)*+([^\0\t\n\f\r ]++)" + _WS + rb"++([^\0\t\n\f\r ]++)")
_TRAILER = re.compile(rb"(?<![A-Za-z])trailer(?:" + _WS + rb"++|%[^\r\n]{0,200}+(?=[\r\n])){0,20}+<<")
"""Comments that are longer are not looked behind: a file full of this word would take hours."""
_GAP = re.compile(rb"(?:" + _WS + rb"++|%(?!%EOF)[^\r\n]*+)*+")
_FIRST = re.compile(_GAP.pattern + rb"(\d++)" + _GAP.pattern + rb"\d++" + _GAP.pattern + rb"obj")
_TABLE = re.compile(
    rb"xref[ \t]*"
    + _EOL
    + rb"(?:\d{1,10} \d{1,10}[ \t]*"
    + _EOL
    + rb"(?:\d{10} \d{5} [nf](?: \r| \n|\r\n))*+)++trailer"
)
_END = re.compile(rb"startxref[ \t]*" + _EOL + rb"[ \t]*(\d{1,12})[ \t]*" + _EOL + rb"%%EOF")
_END_OF_OBJECT = re.compile(_WS + rb"*+endobj(?![A-Za-z0-9])")
_BROKEN = Unreadable(FileReason.BROKEN)


def check_layout(reader: PdfFileReader, *, signed: int) -> None:
    """
    Look through the bytes of a signed file.

    :param signed: the revision, counted from 0, of the first signature; what comes after it is held to more.
    :raises Unreadable: readers may come to see other objects than those that were compared. What pyHanko raises when
        an object cannot be read goes through.

    Source: ISO 32000-2 §7.5; docs/decisions/0041.
    """
    reader.stream.seek(0)
    raw = reader.stream.read()
    _check_end(raw, reader)
    _check_headers(raw, reader)
    _check_order(reader)
    _check_hybrids(reader)
    _check_linearised(raw, reader)
    sections = [reader.xrefs.get_xref_container_info(n) for n in range(reader.xrefs.total_revisions)]
    tables = {s.end_location for s in sections if s.xref_section_type is not XRefSectionType.STREAM}
    if any(found.end() - 2 not in tables for found in _TRAILER.finditer(raw)):
        raise _BROKEN
    if signed + 1 < len(sections):
        behind = _END.search(raw, max(s.end_location for s in sections[: signed + 1]))
        at = behind.end() if behind else len(raw)
        for revision in range(signed + 1, len(sections)):
            at = _check_addition(raw, reader, revision, at)


def _check_end(raw: bytes, reader: PdfFileReader) -> None:
    """Readers look for the last ``startxref``, and do not agree on what may stand beside its number."""
    last = raw.rfind(b"startxref")
    found = _END.match(raw, last) if last > 0 and raw[last - 1] in b"\r\n" else None
    if found is None or int(found[1]) != reader.last_startxref:
        raise _BROKEN


def _check_headers(raw: bytes, reader: PdfFileReader) -> None:
    """Whatever looks like the beginning of an object is one that is listed, and all that is listed looks so to all."""
    known = {at for at, _, _ in _tables_in_streams(raw, reader)}
    for data in _sections(reader):
        for number, (generation, at) in data.standard_xrefs.items():
            found = _HEADER_AT.match(raw, at)
            if found is not None and (int(found[1]), int(found[2])) == (number, generation):
                known.add(found.start(1))
            elif _is_guessed(raw, at, number, generation):
                raise _BROKEN
    if any(found.start() not in known for found in _HEADER.finditer(raw)):
        raise _BROKEN


def _is_guessed(raw: bytes, at: int, number: int, generation: int) -> bool:
    """Whether pyHanko would read an object here all the same; where it does not, nobody finds one."""
    found = _HEADER_GUESSED.match(raw, at)
    try:
        return found is not None and (int(found[1]), int(found[2])) == (number, generation)
    except ValueError:
        return False


def _tables_in_streams(raw: bytes, reader: PdfFileReader) -> Iterator[tuple[int, int, XRefSectionMetaInfo]]:
    """Where tables that are streams begin and end; not all of them list themselves."""
    for revision in range(reader.xrefs.total_revisions):
        info = reader.xrefs.get_xref_container_info(revision)
        hybrid = reader.xrefs.get_xref_data(revision).hybrid
        if info.xref_section_type is XRefSectionType.STREAM:
            yield _begin(raw, info.start_location), info.end_location, info
        if hybrid is not None:
            yield _begin(raw, hybrid.meta_info.start_location), hybrid.meta_info.end_location, hybrid.meta_info


def _begin(raw: bytes, at: int) -> int:
    found = _HEADER_AT.match(raw, at)
    return at if found is None else found.start(1)


def _sections(reader: PdfFileReader) -> Iterator[XRefSectionData]:
    """Of all revisions, the oldest first."""
    for revision in range(reader.xrefs.total_revisions):
        data = reader.xrefs.get_xref_data(revision)
        yield data
        if data.hybrid is not None:
            yield data.hybrid.xref_data


def _check_order(reader: PdfFileReader) -> None:
    """Of two objects with one number the newer stands behind the older."""
    places: dict[int, int] = {}
    for data in _sections(reader):
        found = {number: at for number, (_, at) in data.standard_xrefs.items()}
        # An object in a stream stands where its stream stands.
        within = {
            n: found.get(ref.obj_stream_id, places.get(ref.obj_stream_id, 0)) for n, ref in data.xrefs_in_objstm.items()
        }
        for number, at in (within | found).items():
            if at < places.get(number, 0):
                raise _BROKEN
            places[number] = at


def _check_linearised(raw: bytes, reader: PdfFileReader) -> None:
    """
    A file whose first object says that it is linearised, and as long as it is, begins with its newest table.

    poppler and pdf.js go by the table that stands there, and not by ``startxref``; only while the length is right, so
    another document can come to be seen by what is added, whatever that is.

    Source: ISO 32000-2 Annex F.3.
    """
    first = _FIRST.match(raw)
    if first is None:
        return
    header = _HEADER_AT.match(raw, first.start(1))
    if header is None:
        raise _BROKEN
    reader.stream.seek(_behind_gap(raw, header.end()))
    found = generic.read_object(reader.stream, generic.Reference(int(header[1]), int(header[2]), reader))
    if not isinstance(found, generic.DictionaryObject) or "/Linearized" not in found:
        return
    end = _END_OF_OBJECT.match(raw, reader.stream.tell())
    newest = reader.xrefs.get_xref_container_info(reader.xrefs.total_revisions - 1).declared_startxref
    if found.get("/L") == len(raw) and (end is None or _behind_gap(raw, end.end()) != _behind_gap(raw, newest)):
        raise _BROKEN


def _check_hybrids(reader: PdfFileReader) -> None:
    """
    Of a table that has a second one in a stream readers take what stands in the first, also that an object is free.

    Word writes an empty table with such a stream behind a whole one: that is read alike by all.
    """
    for revision in range(reader.xrefs.total_revisions):
        data = reader.xrefs.get_xref_data(revision)
        if data.hybrid is None:
            continue
        second = data.hybrid.xref_data
        if (data.standard_xrefs.keys() | data.freed.keys()) & (
            second.standard_xrefs.keys() | second.xrefs_in_objstm.keys() | second.freed.keys()
        ):
            raise _BROKEN


def _check_addition(raw: bytes, reader: PdfFileReader, revision: int, at: int) -> int:
    """
    Go through one revision: objects that are listed, one behind the other, their table, and the end.

    :param at: where the revision before it ends.
    :return: where this one ends.
    """
    info = reader.xrefs.get_xref_container_info(revision)
    data = reader.xrefs.get_xref_data(revision)
    # Some programs list what did not change once more.
    begins = {
        _begin(raw, place)
        for number, (generation, place) in data.standard_xrefs.items()
        if place != reader.xrefs.get_historical_ref(generic.Reference(number, generation, reader), revision - 1)
    }
    is_table = info.xref_section_type is XRefSectionType.STANDARD
    if info.xref_section_type is XRefSectionType.STREAM:
        begins.add(info.declared_startxref)
    elif not is_table:
        raise _BROKEN
    at = _behind_gap(raw, at)
    for begin in sorted(begins):
        if begin != at:
            raise _BROKEN
        at = _behind_gap(raw, _behind_object(raw, reader, begin))
    if is_table:
        at = _behind_gap(raw, _behind_table(raw, reader, info, at))
    end = _END.match(raw, at)
    if end is None or int(end[1]) != info.declared_startxref:
        raise _BROKEN
    return end.end()


def _behind_gap(raw: bytes, at: int) -> int:
    """Behind white space and comments."""
    found = _GAP.match(raw, at)
    return found.end() if found else at


def _behind_object(raw: bytes, reader: PdfFileReader, at: int) -> int:
    """Where an object ends, as it was read when it was compared."""
    reader.stream.seek(at)
    number, generation = read_object_header(reader.stream, strict=True)  # type: ignore[no-untyped-call]  # pyHanko's
    found = generic.read_object(reader.stream, generic.Reference(number, generation, reader))
    behind: int = reader.stream.tell()
    body_end = behind
    if isinstance(found, generic.StreamObject):
        body_end = _before_data(raw, behind, len(found.encoded_data))
    header, end = _HEADER_AT.match(raw, at), _END_OF_OBJECT.match(raw, behind)
    if header is None or end is None or not is_plain(raw[header.end() : body_end]):
        raise _BROKEN
    return end.end()


def _before_data(raw: bytes, behind: int, length: int) -> int:
    """
    Where the dictionary of a stream ends.

    :raises Unreadable: the stream is not as long as it says, or its data do not stand between whole lines.
    """
    data_end = behind - len(b"endstream")
    for ending in (b"\r\n", b"\n", b"\r", b""):
        begin = data_end - len(ending) - length
        for beginning in (b"stream\r\n", b"stream\n"):
            is_whole = raw.endswith(ending, 0, data_end) and raw.endswith(beginning, 0, max(begin, 0))
            if is_whole and raw.endswith(b"endstream", 0, behind):
                return begin - len(beginning)
    raise _BROKEN


def _behind_table(raw: bytes, reader: PdfFileReader, info: XRefSectionMetaInfo, at: int) -> int:
    """Where a table's trailer ends; it says itself which object is the root, and that is no other than before."""
    table = _TABLE.match(raw, at)
    if at != info.declared_startxref or table is None or raw[table.end() : info.end_location].strip(b"\0\t\n\f\r "):
        raise _BROKEN
    reader.stream.seek(info.end_location)
    trailer = generic.DictionaryObject.read_from_stream(reader.stream, generic.TrailerReference(reader))  # type: ignore[no-untyped-call]  # pyHanko's
    behind: int = reader.stream.tell()
    root = trailer.raw_get("/Root")
    if not is_plain(raw[info.end_location : behind]):
        raise _BROKEN
    if not isinstance(root, generic.IndirectObject) or root.reference != reader.root_ref:
        raise _BROKEN
    return behind
