"""Which objects of a PDF name others in which way, as far as that decides what may be changed."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import HistoricalResolver

from gateway.signing.files.objects import raw_items


@dataclass
class Mentioned:
    """Numbers of objects; generations do not count, for MuPDF and pdf.js pass over them."""

    parents: set[int] = field(default_factory=set)
    """What is named as the ``/Parent`` of something, which may take over from it."""
    missing: set[int] = field(default_factory=set)
    """What is named and is not there."""


def mentioned(revision: HistoricalResolver) -> Mentioned:
    """All that can be reached in one revision, by whatever name: each object is looked at once."""
    found = Mentioned()
    xrefs = revision.reader.xrefs
    seen: set[int] = set()
    waiting: list[generic.PdfObject] = [revision.trailer_view]
    while waiting:
        node = waiting.pop()
        if isinstance(node, generic.IndirectObject):
            if node.idnum in seen:
                continue
            seen.add(node.idnum)
            if xrefs.get_historical_ref(node.reference, revision.revision) is None:
                found.missing.add(node.idnum)
                continue
            node = revision(node.reference)
        if isinstance(node, generic.DictionaryObject):
            for key, value in raw_items(node):
                waiting.append(value)
                if key == "/Parent" and isinstance(value, generic.IndirectObject):
                    found.parents.add(value.idnum)
        elif isinstance(node, generic.ArrayObject):
            waiting += list(node)
    return found
