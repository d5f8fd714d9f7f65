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
