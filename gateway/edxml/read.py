"""Bytes → package: the tolerant reader (domain §1.1–1.11)."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lxml import etree

from gateway.edxml import names
from gateway.edxml.attachments import read_contents
from gateway.edxml.content import Base64Sink, Sink, Spool
from gateway.edxml.envelope import Outline, looks_like_csharp, outline, read_envelope
from gateway.edxml.findings import Findings
from gateway.edxml.limits import Limits
from gateway.edxml.package import C14N, Digester, Package, SignatureForm
from gateway.edxml.parser import Guard, Prolog, Tree, parse, pieces, read_prolog, refuse_xinclude
from gateway.edxml.sections import Section
from gateway.errors import MalformedPackage, PackageLimitExceeded, UnknownPackage, UnsupportedVariant
from gateway.model import Severity, Variant

Decoder = Callable[[Section], Base64Sink | None]
"""Attachment element → its decoded content; ``None`` when it holds none."""

_OLD_FORMS = {
    names.SOAP: "V3, the Bkav e-doc in a SOAP envelope",
    names.BKAV: "V3, the Bkav e-doc",
    names.GO_VN: "V4, the flat go.vn form",
}
_DS_SIGNATURE = f"{{{names.DSIG}}}{names.SIGNATURE}"


def read_unverified(source: bytes | Path, *, limits: Limits, spool: Path) -> Package:
    """
    Read a package, believing nothing: every departure from QCVN 102 is in its ``violations``.

    What a package says is believed only after ``gateway.signing.verify``. A package with errors is
    returned, not raised, so that the refusal can be recorded with all that is wrong.

    :param source: the bytes as received, untrusted; or a file of them, which is neither changed nor
        deleted, and must stay until the package is closed. Above ``limits.stream_above`` it is never
        wholly in memory.
    :param spool: an existing folder for contents; what is made there goes when the package is closed.
    :raises EmptyPackage: no bytes.
    :raises MalformedPackage: not well-formed XML in UTF-8 or UTF-16.
    :raises ForbiddenMarkup: DOCTYPE, entity, XInclude, processing instruction.
    :raises PackageLimitExceeded: a bound of ``limits``; found before anything expensive is done.
    :raises UnknownPackage: XML, but not edXML. ``UnsupportedVariant``: an old form, named in the detail.
    :raises InvalidPackage: nothing to speak of: no header, no sender's code, or a status without a
        known code or time. Carries the violations like any other refusal.
    """
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size > limits.package_bytes:
        raise PackageLimitExceeded(limit="package_bytes", allowed=limits.package_bytes)
    own_spool = Spool(spool)
    try:
        raw = source if isinstance(source, bytes) else source.read_bytes()
        return _read_small(raw, limits=limits, spool=own_spool)
    except BaseException:
        own_spool.close()
        raise


def _read_small(raw: bytes, *, limits: Limits, spool: Spool) -> Package:
    prolog = read_prolog(raw)
    body = raw[prolog.skip :]
    guard = Guard(limits, prolog)
    guard.feed(pieces(body))
    tree = parse(_as_utf8(body, prolog))
    recognise_root(tree.root)
    refuse_xinclude(tree.root)
    whole = _WholeTree(tree.root)
    return build(
        tree,
        prolog=prolog,
        has_comments=guard.comments,
        decode=lambda section: _decode(section, spool, limits),
        skeleton=whole.skeleton,
        digester=whole.digest,
        sha256=hashlib.sha256(raw).hexdigest(),
        size=len(raw),
        limits=limits,
        spool=spool,
    )


def build(
    tree: Tree,
    *,
    prolog: Prolog,
    has_comments: bool,
    decode: Decoder,
    skeleton: Callable[[], bytes],
    digester: Digester,
    sha256: str,
    size: int,
    limits: Limits,
    spool: Spool,
) -> Package:
    """Make the package from its tree; the same for small and large ones."""
    findings = Findings()
    _note_form(findings, prolog, tree, has_comments=has_comments)
    parts = outline(tree.root, findings, limits)
    envelope = read_envelope(parts, findings, limits)
    contents = read_contents(
        parts.references,
        parts.attachments,
        [decode(section) for section in parts.attachments],
        findings=findings,
        limits=limits,
        spool=spool,
    )
    form, count = _signature_form(parts.header.element, findings)
    return Package(
        envelope=replace(envelope, references=contents.references),
        variant=_variant(parts, tree.root, findings),
        attachments=contents.held,
        order=contents.attachments,
        violations=findings.violations,
        sha256=sha256,
        size=size,
        skeleton=skeleton,
        digester=digester,
        signature_form=form,
        signatures=count,
        namespace_well_formed=tree.namespace_well_formed,
        has_comments=has_comments,
        spool=spool,
    )


def recognise_root(root: etree._Element) -> None:
    """
    Tell edXML from other XML by the root element.

    :raises UnsupportedVariant: V3 or V4 (domain §1.11).
    :raises UnknownPackage: anything else.
    """
    name = etree.QName(root)
    refuse_root(name.namespace, name.localname)


def refuse_root(namespace: str | None, local: str) -> None:
    """The same from the name alone, for the streaming reader, which has no tree yet."""
    if namespace in _OLD_FORMS:
        raise UnsupportedVariant(f"The package is of an old form that is not accepted: {_OLD_FORMS[namespace]}.")
    if namespace not in (names.QCVN, None) or local.lower() != names.ROOT.lower():
        raise UnknownPackage("The root element is not edXML in the namespace of QCVN 102.")


class _WholeTree:
    """Skeleton and digests of a package that is in memory as one tree."""

    def __init__(self, root: etree._Element) -> None:
        self._root = root
        self._skeleton: bytes | None = None

    def skeleton(self) -> bytes:
        """Empty the attachments, write, and put their text back."""
        if self._skeleton is None:
            contents = [(e, e.text) for e in encoded_contents(self._root)]
            for element, _ in contents:
                element.text = None
            self._skeleton = etree.tostring(self._root, encoding="utf-8", xml_declaration=False)
            for element, text in contents:
                element.text = text
        return self._skeleton

    def digest(self, c14n: C14N, digest: str, inclusive_prefixes: Sequence[str], position: int) -> bytes:
        """Canonicalise a copy of the tree without its signature; small packages only, so the copy is cheap."""
        root = copy.deepcopy(self._root)
        signatures = header_signatures(root)
        if signatures:
            _remove(signatures[position])
        exclusive = c14n is C14N.EXCLUSIVE
        prefixes = list(inclusive_prefixes) if exclusive and inclusive_prefixes else None
        try:
            canonical = etree.tostring(
                root, method="c14n", exclusive=exclusive, with_comments=False, inclusive_ns_prefixes=prefixes
            )
        except etree.C14NError as e:
            raise MalformedPackage("The package has no canonical form: a namespace is not an absolute URI.") from e
        return hashlib.new(digest, canonical, usedforsecurity=False).digest()


def header_signatures(root: etree._Element) -> list[etree._Element]:
    """Every ``ds:Signature`` that is a child of the header, in document order."""
    return [
        child
        for envelope in children(root, names.ENVELOPE)
        for header in children(envelope, names.HEADER)
        for child in header
        if child.tag == _DS_SIGNATURE
    ]


def encoded_contents(root: etree._Element) -> list[etree._Element]:
    """Every element that holds an encoded content, in document order: the ones that the streaming reader empties."""
    return [
        content
        for encoded in children(root, names.ENCODED)
        for attachment in children(encoded, names.ATTACHMENT)
        for content in children(attachment, names.CONTENT)
    ]


def children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """Children of the package's namespace by name, letter case forgiven."""
    for child in element:
        found = etree.QName(child)
        if found.localname.lower() == name.lower() and found.namespace in (names.QCVN, None):
            yield child


def _remove(element: etree._Element) -> None:
    """Take an element out and leave the text behind it where it was."""
    parent, before = element.getparent(), element.getprevious()
    if parent is None:
        raise MalformedPackage
    if before is not None:
        before.tail = (before.tail or "") + (element.tail or "")
    else:
        parent.text = (parent.text or "") + (element.tail or "")
    parent.remove(element)


def _decode(section: Section, spool: Spool, limits: Limits) -> Base64Sink | None:
    """Decode the content of one attachment of a tree."""
    element = section.one(names.CONTENT)
    if element is None:
        return None
    sink = Base64Sink(Sink(spool, limits))
    if len(element):
        sink.fault = "it holds elements"
    text = element.text or ""
    if text.isascii():
        sink.feed(text.encode())
    else:
        sink.fault = "it holds characters that are not base64"
    return sink


def _as_utf8(body: bytes, prolog: Prolog) -> bytes:
    if prolog.encoding == "utf-8":
        return body
    try:
        return body.decode(prolog.encoding).encode()
    except UnicodeDecodeError as e:
        raise MalformedPackage("The package is not valid UTF-16.") from e


def _note_form(findings: Findings, prolog: Prolog, tree: Tree, *, has_comments: bool) -> None:
    """Departures of the package as a whole."""
    if prolog.junk:
        findings.meaningless(
            "Prolog",
            Severity.WARNING,
            vi="Có dữ liệu thừa trước phần khai báo XML; đã bỏ qua.",
            en="There is junk before the XML; it was skipped.",
        )
    if prolog.encoding != "utf-8":
        findings.bad_form("Prolog", "UTF-8", Severity.WARNING)
    if not tree.namespace_well_formed:
        findings.bad_form(
            names.ROOT,
            "every prefix declared; local names decided",
            Severity.WARNING,
            vi="mọi tiền tố phải được khai báo; đã đọc theo tên phần tử",
        )
    if etree.QName(tree.root).namespace is None:
        findings.bad_form(names.ROOT, "the namespace of QCVN 102", Severity.WARNING, vi="không gian tên QCVN 102")
    if has_comments:
        findings.meaningless(
            "Comment",
            Severity.WARNING,
            vi="Gói tin chứa chú thích XML; đã bỏ qua.",
            en="The package holds XML comments; they were skipped.",
        )


def _signature_form(header: etree._Element, findings: Findings) -> tuple[SignatureForm, int]:
    """The best form present, and how many ``ds:Signature`` there are."""
    standard = sum(child.tag == _DS_SIGNATURE for child in header)
    if standard > 1:
        findings.meaningless(
            names.SIGNATURE,
            Severity.WARNING,
            vi="Phần đầu gói tin chứa nhiều chữ ký.",
            en="The header holds several signatures.",
        )
    if standard:
        return SignatureForm.XMLDSIG, standard
    if next(children(header, names.SIGNATURE), None) is not None:
        return SignatureForm.FOREIGN, 0
    empty = next(children(header, names.DIGITAL_SIGNATURE), None)
    if empty is None:
        return SignatureForm.NONE, 0
    return (SignatureForm.FOREIGN if len(empty) or (empty.text or "").strip() else SignatureForm.EMPTY), 0


def _variant(parts: Outline, root: etree._Element, findings: Findings) -> Variant:
    if looks_like_csharp(parts):
        return Variant.V2
    as_the_kit = etree.QName(root).localname == names.ROOT and not findings.respelled
    return Variant.V1 if as_the_kit else Variant.V5
