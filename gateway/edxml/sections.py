"""Elements as the reader sees them: children by name, order and letter case forgiven, everything odd noted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date

from lxml import etree

from gateway.edxml import moments, names
from gateway.edxml.findings import Findings
from gateway.edxml.names import Spellings
from gateway.edxml.tree import split_name
from gateway.model import Severity

_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")
_FLAGS = {"1": True, "true": True, "0": False, "false": False}
_XLINK = "{http://www.w3.org/1999/xlink}"


class Section:
    """
    One element and its children, as a reader without regard to order wants them.

    :param path: dotted path for violation codes, from below the envelope (``MessageHeader.To``).
    :param namespace: the root's, ``""`` for none; elements must be in it or in the standard's.
    """

    __slots__ = ("_children", "_known", "_repeated", "element", "findings", "namespace", "path")

    def __init__(
        self, element: etree._Element, path: str, known: Spellings, namespace: str, findings: Findings
    ) -> None:
        self.element = element
        self.path = path
        self.namespace = namespace
        self.findings = findings
        self._known = known
        children: dict[str, etree._Element] = {}
        self._children = children
        """The first of each name."""
        self._repeated: dict[str, list[etree._Element]] = {}
        """All of those names that several have; hardly ever any."""
        exact = known.exact
        for child in element:
            name = exact.get(child.tag) or self._respelled(child)
            if name is None:
                continue
            if name in children:
                self._repeated.setdefault(name, [children[name]]).append(child)
            else:
                children[name] = child

    def __contains__(self, name: str) -> bool:
        return name in self._children

    def all(self, name: str) -> Sequence[etree._Element]:
        """Every child of that name, in document order."""
        if name in self._repeated:
            return self._repeated[name]
        return (self._children[name],) if name in self._children else ()

    def one(self, name: str) -> etree._Element | None:
        """The child of that name; several are an error, because readers differ in which one they take."""
        if name in self._repeated:
            self._note_repeated(name)
        return self._children.get(name)

    def section(self, name: str, known: Spellings, *, at: str | None = None) -> Section | None:
        """The child of that name as a section; ``at`` replaces its path."""
        child = self._children.get(name)
        if child is None:
            return None
        if name in self._repeated:
            self._note_repeated(name)
        path = self._below(name) if at is None else at
        return Section(child, path, known, self.namespace, self.findings)

    def sections(self, name: str, known: Spellings) -> Iterator[Section]:
        """All children of that name as sections."""
        path = self._below(name)
        for child in self.all(name):
            yield Section(child, path, known, self.namespace, self.findings)

    def text(
        self,
        name: str,
        *,
        longest: int | None = None,
        severity: Severity = Severity.WARNING,
        required: Severity | None = None,
    ) -> str | None:
        """
        The text of the child of that name, trimmed; absent and empty are both ``None``.

        :param longest: characters that the standard allows; more is a violation of ``severity``.
        :param required: report it when missing, as this severe.
        """
        child = self._children.get(name)
        value = None
        if child is not None:
            if name in self._repeated:
                self._note_repeated(name)
            # What ``plain`` does, written out for what nearly all elements are.
            value = self.plain(child, name) if len(child) else (child.text or "").strip() or None
        if value is None:
            if required is not None:
                self.findings.missing(self._below(name), required)
        elif longest is not None and len(value) > longest:
            self.findings.too_long(self._below(name), longest, severity)
        return value

    def texts(self, name: str, *, longest: int | None = None) -> tuple[str, ...]:
        """The texts of all children of that name, empty ones left out."""
        found = tuple(t for c in self.all(name) if (t := self.plain(c, name)) is not None)
        if longest is not None and any(len(t) > longest for t in found):
            self.findings.too_long(self._below(name), longest)
        return found

    def number(self, name: str, *, required: Severity | None = None, bad: Severity = Severity.WARNING) -> int | None:
        """The child's whole number; what is not one is a violation, and ``None``."""
        value = self.text(name, required=required)
        if value is None or (len(value) < 10 and value.isascii() and value.isdigit()) or _NUMBER.fullmatch(value):
            return None if value is None else int(value)
        self.findings.bad_form(self._below(name), "a whole number", bad, vi="số nguyên")
        return None

    def flag(self, name: str) -> bool | None:
        """The child's ``0``/``1`` or ``true``/``false``."""
        value = self.text(name)
        if value is None or value.lower() in _FLAGS:
            return None if value is None else _FLAGS[value.lower()]
        self.findings.bad_form(self._below(name), "0 or 1", Severity.WARNING, vi="0 hoặc 1")
        return None

    def date(self, name: str, *, required: Severity | None = None, bad: Severity = Severity.WARNING) -> date | None:
        """The child's date; one in another form than the kit's is a warning."""
        value = self.text(name, required=required)
        if value is None:
            return None
        read = moments.read_date(value)
        if read is None or not read[1]:
            severity = bad if read is None else Severity.WARNING
            self.findings.bad_form(self._below(name), "a date as yyyy/MM/dd", severity, vi="ngày dạng yyyy/MM/dd")
        return None if read is None else read[0]

    def plain(self, element: etree._Element, name: str) -> str | None:
        """The trimmed text of a child that must not have children."""
        if len(element):
            self.findings.bad_form(
                self._below(name), "text without elements in it", vi="văn bản, không chứa phần tử con"
            )
            return None
        return (element.text or "").strip() or None

    def _note_repeated(self, name: str) -> None:
        path = self._below(name)
        self.findings.meaningless(
            path, Severity.ERROR, vi=f"{path} xuất hiện nhiều lần.", en=f"{path} occurs more than once."
        )

    def _below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _respelled(self, child: etree._Element) -> str | None:
        """The name of a child that is not named exactly as the kit names it; ``None`` when nothing reads it."""
        namespace, local = split_name(child)
        own = namespace in (names.QCVN, self.namespace)
        name = self._known.get(local.lower()) if own else None
        if name is None:
            self._note_unknown(child, local)
        elif local != name:
            self.findings.respelled = True
            self.findings.meaningless(
                self._below(name),
                Severity.WARNING,
                vi=f"Tên phần tử {self._below(name)} viết khác chuẩn.",
                en=f"The name of {self._below(name)} is not spelled as the standard spells it.",
            )
        return name

    def _note_unknown(self, child: etree._Element, local: str) -> None:
        if child.tag == f"{{{names.DSIG}}}{names.SIGNATURE}" and names.SIGNATURE.lower() in self._known:
            return  # judged by gateway.signing, not read here
        path = self._below(local)
        self.findings.meaningless(
            path,
            Severity.WARNING,
            vi=f"{path} không thuộc chuẩn QCVN 102 và không được đọc.",
            en=f"{path} is not part of QCVN 102 and was not read.",
        )


def has_xlink(element: etree._Element) -> bool:
    """Whether an element carries xlink attributes, as the C# kit writes them."""
    return any(str(key).startswith(_XLINK) for key in element.attrib)
