"""Revisions of PDFs written by hand, byte by byte, as no library would write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Bytes = Callable[[bytes], bytes]

TEXT = b"BT /F1 14 Tf 72 500 Td (Thanh toan 1.000.000 dong) Tj ET"
"""What the page of :data:`PAGE` shows."""
FORGED_TEXT = b"BT /F1 20 Tf 72 500 Td (9.000.000.000 dong cho nguoi khac) Tj ET"


def stream(data: bytes, entries: bytes = b"") -> bytes:
    """A stream object that is as long as it says."""
    return b"<</Length %d%s>>\nstream\n%s\nendstream" % (len(data), entries, data)


PAGE: Mapping[int, bytes] = {
    1: b"<</Type/Catalog/Pages 2 0 R>>",
    2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
    3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
    4: stream(TEXT),
    5: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
}
"""The objects of a PDF of one page."""
FORGED = b"4 0 obj\n%s\nendobj\n" % stream(FORGED_TEXT)
"""Other content for that page; whoever goes by the last object of its number shows it."""


def written(objects: Mapping[int, bytes], *, trailer: bytes = b"", entry: bytes = b"%010d 00000 n \n") -> bytes:
    """
    A PDF of these objects, the first of which is the root.

    :param entry: how each line of the table is written.
    """
    content, places = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", {}
    for number, body in objects.items():
        places[number] = len(content)
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    size = max(objects) + 1
    rows = [entry % places[n] if n in places else b"0000000000 00000 f \n" for n in range(1, size)]
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, b"".join(rows))
    end = b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, len(content))
    return content + table + end


def revised(
    pdf: bytes,
    objects: Mapping[int, bytes],
    *,
    unlisted: bytes = b"",
    header: bytes = b"%d 0 obj\n",
    trailer: bytes = b"",
    table: Bytes = bytes,
    end: Callable[[int], bytes] = lambda at: b"startxref\n%d\n%%%%EOF\n" % at,
) -> bytes:
    """
    The PDF with one more revision.

    :param unlisted: stands before the objects, and is in no table.
    :param header: what each object begins with.
    :param trailer: more entries of the trailer.
    :param table: changes the table and its trailer.
    :param end: what follows the table, of its place.
    """
    previous = int(pdf[pdf.rindex(b"startxref") :].split()[1])
    sizes = [int(found[1]) for found in re.finditer(rb"/Size\s*(\d+)", pdf)]
    size = max(*sizes, *(n + 1 for n in objects), 0)
    roots = re.findall(rb"/Root\s*(\d+) 0 R", pdf)
    content, places = pdf + unlisted, {}
    for number, body in objects.items():
        places[number] = len(content)
        content += header % number + body + b"\nendobj\n"
    rows = b"".join(b"%d 1\n%010d 00000 n \n" % (n, at) for n, at in sorted(places.items())) or b"0 0\n"
    made = b"xref\n%strailer\n<</Size %d/Root %s 0 R/Prev %d%s>>\n" % (rows, size, roots[-1], previous, trailer)
    return content + table(made) + end(len(content))


def by_word(*, as_one: bool = False, entry: bytes = b"0000000000 65535 f \n") -> bytes:
    """
    :data:`PAGE` as Word writes it: a table, and behind it an empty one with a second one in a stream.

    What only readers since PDF 1.5 find, the page itself here, is free in the first table.

    :param as_one: the stream belongs to the first table, as Acrobat 6 did it.
    :param entry: of the page, in the first table.
    """
    content, places = b"%PDF-1.7\r\n%\xb5\xb5\xb5\xb5\r\n", {}
    packed = b"3 0 " + PAGE[3]
    streams = {
        6: b"<</Type/ObjStm/N 1/First 4/Length %d>>\r\nstream\r\n%s\r\nendstream" % (len(packed), packed),
        7: b"<</Type/XRef/Size 7/Index[3 1]/W[1 4 1]/Root 1 0 R/Length 6>>\r\nstream\r\n\2\0\0\0\6\0\r\nendstream",
    }
    for number, body in ({n: b for n, b in PAGE.items() if n != 3} | streams).items():
        places[number] = len(content)
        content += b"%d 0 obj\r\n%s\r\nendobj\r\n" % (number, body)
    rows = [b"%010d 00000 n\r\n" % places[n] if n in places else entry for n in range(1, 8)]
    trailer = b"<</Size 8/Root 1 0 R%s>>\r\nstartxref\r\n%d\r\n%%%%EOF"
    second = b"/XRefStm %d" % places[7]
    table = b"xref\r\n0 8\r\n0000000003 65535 f\r\n%strailer\r\n" % b"".join(rows)
    if as_one:
        return content + table + trailer % (second, len(content))
    whole = content + table + trailer % (b"", len(content)) + b"\r\n"
    return whole + b"xref\r\n0 0\r\ntrailer\r\n" + trailer % (b"/Prev %d%s" % (len(content), second), len(whole))


def linearised(length: int) -> bytes:
    """
    :data:`PAGE`, and at its beginning a table for readers of linearised files, by which another page is shown.

    :param length: what the file says of its own.
    """
    forged = {
        10: stream(FORGED_TEXT),
        11: PAGE[3].replace(b"4 0 R", b"10 0 R").replace(b"2 0 R", b"12 0 R"),
        12: b"<</Type/Pages/Kids[11 0 R]/Count 1>>",
        13: b"<</Type/Catalog/Pages 12 0 R>>",
    }
    head, content, table = b"%PDF-1.7\n", b"", 0
    places: dict[int, int] = {}
    # Of a length that does not depend on the places: the second time they are right.
    for _ in range(2):
        content = head + b"9 0 obj\n<</Linearized 1/L %010d/H[400 10]/O 11/E %010d/N 1/T %010d>>\nendobj\n" % (
            length,
            places.get(4, 0),
            table,
        )
        found = {9: len(head), 14: len(content)}
        rows = b"".join(b"\1" + places.get(n, 0).to_bytes(4, "big") + b"\0" for n in range(9, 15))
        entries = b"/Type/XRef/Size 15/Index[9 6]/W[1 4 1]/Root 13 0 R/Prev %010d" % table
        content += b"14 0 obj\n%s\nendobj\nstartxref\n0\n%%%%EOF\n" % stream(rows, entries)
        for number, body in {**PAGE, **forged}.items():
            found[number] = len(content)
            content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
        places, table = found, len(content)
    lines = [b"%010d 00000 n \n" % places[n] if n in places else b"0000000000 00000 f \n" for n in range(1, 15)]
    end = b"trailer\n<</Size 15/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % table
    return content + b"xref\n0 15\n0000000000 65535 f \n" + b"".join(lines) + end
