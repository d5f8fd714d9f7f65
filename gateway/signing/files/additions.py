"""
What later revisions of a PDF may add to a signed one: the rule of docs/trust.md, on top of pyHanko's.

pyHanko compares the objects of two revisions and wants every change explained. Its own rules explain new
signature fields, new signatures, the document security store, metadata and filled-in forms. This module takes
filled-in forms away, unless the signer allowed them, and adds stamps: the incoming stamp of a receiver, a note.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import Reference
from pyhanko.pdf_utils.reader import RawPdfPath
from pyhanko.sign.diff_analysis import (
    CatalogModificationRule,
    DocInfoRule,
    DSSCompareRule,
    FieldComparisonContext,
    FieldMDPRule,
    FormUpdate,
    FormUpdatingRule,
    GenericFieldModificationRule,
    MetadataUpdateRule,
    ModificationLevel,
    ObjectStreamRule,
    SigFieldCreationRule,
    SigFieldModificationRule,
    StandardDiffPolicy,
    SuspiciousModification,
    XrefStreamRule,
)
from pyhanko.sign.diff_analysis.rules_api import RelativeContext

from gateway.signing.files.appearance import extent, is_contained
from gateway.signing.files.objects import dictionary, inherited, raw_items
from gateway.signing.files.painted import Painted, Rectangle, painted, rectangle_of
from gateway.signing.files.references import Mentioned, mentioned

# What pyHanko says of a file quotes the file; the verdict says what is to be said.
for _library in ("pyhanko", "pyhanko_certvalidator"):
    logging.getLogger(_library).addHandler(logging.NullHandler())
    logging.getLogger(_library).propagate = False

_KINDS = frozenset({"/Stamp", "/FreeText", "/Text", "/Popup"})
"""Annotations that a stamp or a note is made of."""
_KEYS = frozenset(
    f"/{key}"
    for key in (
        *("Type", "Subtype", "Rect", "P", "NM", "M", "F", "AP", "Border", "C", "CA", "T", "Popup", "Parent", "Open"),
        *("Contents", "RC", "Subj", "CreationDate", "DA", "DS", "Q", "Name", "IT", "BS", "BE", "RD", "Rotate", "IC"),
    )
)
"""What such an annotation may hold: no action, no optional content, no place in the structure tree."""
_FLAGS = 4 | 64 | 128 | 512
"""Print, ReadOnly, Locked, LockedContents: none that hides it from the screen or from paper."""
_FLAGS_OF_NOTE = _FLAGS | 8 | 16
"""NoZoom and NoRotate too: a sign on the page, which does not grow with it. Anything else would grow over the page."""
_WIDGET_KEYS = frozenset(
    f"/{key}"
    for key in (
        *("Type", "Subtype", "Rect", "P", "NM", "M", "F", "AP", "AS", "Border", "C", "T", "TU", "TM", "Parent", "Kids"),
        *("MK", "BS", "H", "FT", "Ff", "V", "DA", "DS", "Q", "Lock", "SV", "Contents"),
    )
)
"""What a signature field may hold, which may be its own widget."""
_NOTE = 24.0
"""Points that a note's sign takes at most to the right and down, whatever its place says (PDFium, MuPDF)."""
_SHARE_MAX = 0.15
"""Of the page that one stamp may take: the stamp for incoming documents is 35 × 50 mm, 3 % of an A4 page."""
_PER_PAGE_MAX = 16
_PAGES_MAX = 5_000
_DEPTH_MAX = 32


@dataclass
class Additions:
    """What was found that later revisions added to one signed revision; filled while they are compared."""

    stamps: bool = False
    covering: set[str] = field(default_factory=set)
    """Names of signature fields, made or filled after signing, whose appearance lies over what the signed page shows,
    takes more of it than a stamp may, or can be switched off."""
    showing: set[str] = field(default_factory=set)
    """Names of signature fields, made after signing, that show something beside that."""
    mentioned: dict[int, Mentioned] = field(default_factory=dict)
    """What each revision that others were compared with names, found out once."""


def policy(additions: Additions) -> StandardDiffPolicy:
    """The rules for one signed revision; what they find is written into ``additions``."""
    return StandardDiffPolicy(
        global_rules=[
            CatalogModificationRule(),  # type: ignore[no-untyped-call]  # pyHanko's
            DocInfoRule().as_qualified(ModificationLevel.LTA_UPDATES),
            XrefStreamRule().as_qualified(ModificationLevel.LTA_UPDATES),
            ObjectStreamRule().as_qualified(ModificationLevel.LTA_UPDATES),
            DSSCompareRule().as_qualified(ModificationLevel.LTA_UPDATES),
            MetadataUpdateRule().as_qualified(ModificationLevel.LTA_UPDATES),  # type: ignore[no-untyped-call]  # pyHanko's
        ],
        form_rule=FormUpdatingRule(
            field_rules=[
                # New widgets are looked at together with stamps: both are entries of a page's /Annots.
                SigFieldCreationRule(  # type: ignore[no-untyped-call]  # pyHanko's
                    approve_widget_bindings=False, allow_new_visible_after_certify=True
                ),
                SigFieldModificationRule(allow_in_place_appearance_stream_changes=False),
                GenericFieldModificationRule(allow_in_place_appearance_stream_changes=False),
                _ReferencesRule(additions),
                _FormDefaultsRule(),
                _AnnotationsRule(additions),
            ]
        ),
    )


class _ReferencesRule(FieldMDPRule):
    """
    What pyHanko leaves out when it looks for where an object is used: whatever is named as a ``/Parent``.

    A page has its fonts, its size and its turn from what it names so, and a viewer goes there. Nor is anything
    defined later that was named before, and was not there.
    """

    def __init__(self, additions: Additions) -> None:
        self._additions = additions

    def apply(self, context: FieldComparisonContext) -> Iterable[tuple[ModificationLevel, FormUpdate]]:
        old, known = context.old, self._additions.mentioned
        if old.revision not in known:
            known[old.revision] = mentioned(old)
        fields = {r.idnum for s in context.field_specs.values() for r in (s.old_field_ref, s.new_field_ref) if r}
        for ref in context.new.explicit_refs_in_revision():  # type: ignore[no-untyped-call]  # pyHanko's
            if ref.idnum in known[old.revision].missing:
                raise SuspiciousModification("An object was defined that was missing when it was signed.")
            is_parent = ref.idnum in known[old.revision].parents and ref.idnum not in fields
            if is_parent and old(ref) != context.new(ref):
                raise SuspiciousModification("Something was changed that others take over from.")
        return ()


class _FormDefaultsRule(FieldMDPRule):
    """Fields that are there keep their looks: fonts may be added to the form's defaults, and none exchanged."""

    def apply(self, context: FieldComparisonContext) -> Iterable[tuple[ModificationLevel, FormUpdate]]:
        old, new = (dictionary(r.root.get("/AcroForm")) for r in (context.old, context.new))
        if _flag(new, "/NeedAppearances") and not _flag(old, "/NeedAppearances"):
            raise SuspiciousModification("The form asks for new appearances of its fields.")
        if any(spec.old_field_ref and spec.field_type != "/Sig" for spec in context.field_specs.values()) and any(
            old.get(key) != new.get(key) for key in ("/DA", "/Q")
        ):
            raise SuspiciousModification("The form has its fields look otherwise.")
        resources = dictionary(new.get("/DR"))
        for category, before in dictionary(old.get("/DR")).items():
            kept = dict(raw_items(dictionary(resources.get(category))))
            if any(kept.get(name) != value for name, value in raw_items(dictionary(before))):
                raise SuspiciousModification("A default resource of the form was exchanged.")
        return ()


class _AnnotationsRule(FieldMDPRule):
    """
    What may be added to the pages' annotations: widgets of new signature fields, and stamps.

    Nothing is taken away or re-ordered, for a later annotation is painted over an earlier one. Pages
    are the same pages, with the same dictionaries but for ``/Annots``.
    """

    def __init__(self, additions: Additions) -> None:
        self._additions = additions

    def apply(self, context: FieldComparisonContext) -> Iterable[tuple[ModificationLevel, FormUpdate]]:
        widgets = _new_widgets(context)
        filled = _filled_widgets(context)
        old_pages, new_pages = (list(_pages(r.root["/Pages"])) for r in (context.old, context.new))
        if [ref for ref, _ in old_pages] != [ref for ref, _ in new_pages]:
            raise SuspiciousModification("The page tree was changed.")
        for (ref, old_page), (_, new_page) in zip(old_pages, new_pages, strict=True):
            before, after = _annotations(old_page), _annotations(new_page)
            self._note_filled(context, old_page, before, filled)
            if before == after:
                continue
            added = _added(before, after)
            yield from self._of_page(context, ref, old_page, new_page, added=added, widgets=widgets)

    def _note_filled(
        self,
        context: FieldComparisonContext,
        page: generic.DictionaryObject,
        annotations: Sequence[generic.PdfObject],
        filled: dict[Reference, str],
    ) -> None:
        """Fields that were there, empty, when the page was signed: whoever filled one answers for what it lies over."""
        for annotation in annotations:
            ref = annotation.reference if isinstance(annotation, generic.IndirectObject) else None
            if ref not in filled:
                continue
            widget = dictionary(context.new(ref))
            if not _keeps_to_itself(widget) or painted(page, besides=ref).meets(_area(widget)):
                self._additions.covering.add(filled[ref])

    def _of_page(
        self,
        context: FieldComparisonContext,
        ref: Reference,
        old_page: generic.DictionaryObject,
        new_page: generic.DictionaryObject,
        *,
        added: Sequence[Reference],
        widgets: dict[Reference, str],
    ) -> Iterator[tuple[ModificationLevel, FormUpdate]]:
        if {k: v for k, v in raw_items(old_page) if k != "/Annots"} != {
            k: v for k, v in raw_items(new_page) if k != "/Annots"
        }:
            raise SuspiciousModification("A page was changed.")
        if len(added) > _PER_PAGE_MAX or len(set(added)) < len(added):
            raise SuspiciousModification("Too many annotations were added to a page.")
        seen = painted(old_page)
        for new_ref in added:
            annotation = dictionary(context.new(new_ref))
            area = _area(annotation)
            if new_ref in widgets:
                self._note_widget(annotation, widgets[new_ref], page=dictionary(context.old(ref)), seen=seen)
                continue
            self._check_stamp(context, new_ref, annotation, page=ref, added=added)
            if (annotation.get("/Subtype") != "/Popup" or _is_open(annotation)) and seen.meets(
                _reach(annotation, area)
            ):
                raise SuspiciousModification("A stamp lies over what the page shows.")
            self._additions.stamps = True
            yield from _explained(context, new_ref, annotation)
        yield ModificationLevel.LTA_UPDATES, FormUpdate(updated_ref=ref, field_name=None, valid_when_locked=True)
        array = new_page.raw_get("/Annots")
        if isinstance(array, generic.IndirectObject):
            old_array = old_page.raw_get("/Annots") if "/Annots" in old_page else None
            if array == old_array or context.old.is_ref_unassignable(array.reference):
                yield (
                    ModificationLevel.LTA_UPDATES,
                    FormUpdate(
                        updated_ref=array.reference,
                        field_name=None,
                        valid_when_locked=True,
                        context_checked=RelativeContext(ref, RawPdfPath("/Annots")),
                    ),
                )

    def _note_widget(
        self, widget: generic.DictionaryObject, name: str, *, page: generic.DictionaryObject, seen: Painted
    ) -> None:
        """
        Where a signature field that was made later is seen.

        :raises SuspiciousModification: it is something else besides, or can do something.
        """
        if widget.get("/Subtype") != "/Widget" or widget.keys() - (_WIDGET_KEYS | {"/OC"}):
            raise SuspiciousModification("A signature's widget is more than that, or can do something.")
        area = _area(widget)
        if area is not None and not area.size and _keeps_to_itself(widget):
            return
        is_plain = area is not None and "/OC" not in widget and _keeps_to_itself(widget)
        if not is_plain or area is None or seen.meets(area) or not _is_small(area, page):
            self._additions.covering.add(name)
        else:
            self._additions.showing.add(name)

    def _check_stamp(
        self,
        context: FieldComparisonContext,
        ref: Reference,
        annotation: generic.DictionaryObject,
        *,
        page: Reference,
        added: Sequence[Reference],
    ) -> None:
        """
        Refuse what is no stamp.

        :raises SuspiciousModification: it is something else, can do something, or could not be seen where it lies.
        """
        if not context.old.is_ref_unassignable(ref) or annotation.get("/Subtype") not in _KINDS:
            raise SuspiciousModification("An annotation other than a stamp or a note was added.")
        if strange := annotation.keys() - _KEYS:
            raise SuspiciousModification(f"A stamp holds {sorted(strange)}.")
        is_note = annotation.get("/Subtype") in ("/Text", "/Popup")
        flags = annotation.get("/F", 0)
        is_sign = is_note and _is_sign(annotation)
        if not isinstance(flags, int) or flags & ~(_FLAGS_OF_NOTE if is_sign else _FLAGS):
            raise SuspiciousModification("A stamp could be hidden, or grow.")
        for key, allowed in (("/P", {page}), ("/Popup", set(added)), ("/Parent", set(added))):
            value = annotation.raw_get(key) if key in annotation else None
            if value is not None and (not isinstance(value, generic.IndirectObject) or value.reference not in allowed):
                raise SuspiciousModification(f"The {key} of a stamp is something else.")
        if annotation.get("/Subtype") == "/Popup":
            # A window of the viewer: it is shown only to who opens it, and not on paper. Poppler draws its appearance.
            if "/AP" in annotation:
                raise SuspiciousModification("A note's window draws on the page.")
            return
        # Of stamps and texts without an appearance each reader makes one of its own, MuPDF beyond their place.
        if not is_contained(annotation) and (not is_note or "/AP" in annotation):
            raise SuspiciousModification("A stamp is not seen where it lies.")
        if is_note and _is_open(annotation) and "/Popup" not in annotation:
            raise SuspiciousModification("A note opens somewhere over the page.")
        area = _area(annotation)
        if area is None or not _is_small(area, dictionary(context.old(page))):
            raise SuspiciousModification("A stamp is too large, or not on its page.")


def _explained(
    context: FieldComparisonContext, ref: Reference, annotation: generic.DictionaryObject
) -> Iterator[tuple[ModificationLevel, FormUpdate]]:
    """The objects that a stamp brings with it."""
    own = {ref}
    if "/AP" in annotation:
        own |= context.new.collect_dependencies(annotation.raw_get("/AP"), since_revision=context.old.revision + 1)
    for found in own:
        yield ModificationLevel.ANNOTATIONS, FormUpdate(updated_ref=found, field_name=None, valid_when_locked=True)


def _new_widgets(context: FieldComparisonContext) -> dict[Reference, str]:
    """The widgets of signature fields that were made after signing, with the fields' names."""
    found: dict[Reference, str] = {}
    for name, spec in context.field_specs.items():
        if spec.field_type != "/Sig" or spec.old_field_ref is not None or spec.new_field_ref is None:
            continue
        found |= dict.fromkeys(_widgets_of(spec.new_field_ref, dictionary(context.new(spec.new_field_ref))), name)
    return found


def _widgets_of(ref: Reference, made: generic.DictionaryObject) -> list[Reference]:
    """Where a field is seen: its kids, or itself."""
    kids = made.get("/Kids")
    if isinstance(kids, generic.ArrayObject):
        return [k.reference for k in kids if isinstance(k, generic.IndirectObject)]
    return [ref]


def _filled_widgets(context: FieldComparisonContext) -> dict[Reference, str]:
    """The widgets of signature fields that were empty when the page was signed and are not now, with their names."""
    found: dict[Reference, str] = {}
    for name, spec in context.field_specs.items():
        old, new = spec.old_field, spec.new_field
        if spec.field_type != "/Sig" or spec.new_field_ref is None or old is None or new is None:
            continue
        if "/V" not in old and "/V" in new:
            found |= dict.fromkeys(_widgets_of(spec.new_field_ref, new), name)
    return found


def _pages(node: generic.PdfObject, depth: int = 0) -> Iterator[tuple[Reference, generic.DictionaryObject]]:
    """The pages of a tree in their order."""
    kids = dictionary(node).get("/Kids")
    if depth > _DEPTH_MAX or not isinstance(kids, generic.ArrayObject) or len(kids) > _PAGES_MAX:
        raise SuspiciousModification("The page tree is not one.")
    for kid in kids:
        if not isinstance(kid, generic.IndirectObject):
            raise SuspiciousModification("A page is not an object of its own.")
        page = dictionary(kid)
        if page.get("/Type") == "/Pages":
            yield from _pages(page, depth + 1)
        else:
            yield kid.reference, page


def _annotations(page: generic.DictionaryObject) -> list[generic.PdfObject]:
    """As they stand: some programs write links into the page instead of naming objects."""
    found = page.get("/Annots", generic.ArrayObject())
    if not isinstance(found, generic.ArrayObject):
        raise SuspiciousModification("The annotations of a page are not a list.")
    return list(found)


def _added(before: Sequence[generic.PdfObject], after: Sequence[generic.PdfObject]) -> list[Reference]:
    """
    The annotations that were added to those of a page.

    :raises SuspiciousModification: others were taken away or re-ordered, or an added one is no object of its own.
    """
    added = []
    kept = 0
    for annotation in after:
        if kept < len(before) and annotation == before[kept]:
            kept += 1
        elif isinstance(annotation, generic.IndirectObject):
            added.append(annotation.reference)
        else:
            raise SuspiciousModification("An annotation was added that is no object of its own.")
    if kept < len(before):
        raise SuspiciousModification("Annotations were taken away or re-ordered.")
    return added


def _area(annotation: generic.PdfObject) -> Rectangle | None:
    return rectangle_of(dictionary(annotation).get("/Rect"))


def _reach(annotation: generic.DictionaryObject, area: Rectangle | None) -> Rectangle | None:
    """How far an annotation may be seen; a note as far as its sign, or a reader's, goes from its upper left corner."""
    if area is None or annotation.get("/Subtype") != "/Text":
        return area
    looks = dictionary(dictionary(annotation.get("/AP")).get("/N"))
    own = extent(looks) if looks else None
    width = max(area.right - area.left, own.right - own.left if own else _NOTE)
    height = max(area.top - area.bottom, own.top - own.bottom if own else _NOTE)
    return Rectangle(left=area.left, bottom=area.top - height, right=area.left + width, top=area.top)


def _is_sign(note: generic.DictionaryObject) -> bool:
    """Whether a note is a sign on the page, and no picture; its window may have any size."""
    area = _area(note)
    largest = 2 * _NOTE
    is_little = area is not None and area.right - area.left <= largest and area.top - area.bottom <= largest
    return note.get("/Subtype") == "/Popup" or is_little


def _is_open(annotation: generic.DictionaryObject) -> bool:
    """Whether the window of a note is there when the page is opened."""
    of_note = dictionary(annotation.get("/Parent")) if annotation.get("/Subtype") == "/Popup" else annotation
    return _flag(annotation, "/Open") or _flag(of_note, "/Open")


def _keeps_to_itself(widget: generic.DictionaryObject) -> bool:
    """Whether a signature field is seen within its place, or not at all."""
    return "/AP" not in widget or is_contained(widget)


def _is_small(area: Rectangle, page: generic.DictionaryObject) -> bool:
    """Whether a stamp may be of this size at this place."""
    sheet = rectangle_of(inherited(page, "/MediaBox"))
    return sheet is not None and sheet.holds(area) and area.size <= _SHARE_MAX * sheet.size


def _flag(node: generic.DictionaryObject, key: str) -> bool:
    return bool(node.get(key, False))
