"""Bytes → package: the tolerant reader (domain §1.1–1.11)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lxml import etree

from gateway.edxml import names
from gateway.edxml.attachments import read_contents
from gateway.edxml.content import Base64Sink, Sink, Spool
from gateway.edxml.envelope import Outline, looks_like_csharp, outline, read_envelope
from gateway.edxml.findings import Findings
from gateway.edxml.limits import Limits
from gateway.edxml.package import Digester, Package, SignatureForm
from gateway.edxml.parser import Guard, Prolog, Tree, parse, pieces, read_prolog, refuse_xinclude
from gateway.edxml.sections import Section
from gateway.edxml.stream import StreamedPackage
from gateway.edxml.tree import DS_SIGNATURE, children, encoded_contents, own_namespaces, recognise_root
from gateway.edxml.whole import WholeTree
from gateway.errors import MalformedPackage, PackageLimitExceeded
from gateway.model import Severity, Variant

Decoder = Callable[[Section], Base64Sink | None]
"""Attachment element → its decoded content; ``None`` when it holds none."""


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
        if size > limits.stream_above:
            return _read_large(source, limits=limits, spool=own_spool)
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
    if len(raw) > limits.text_bytes:
        _bound_texts(tree, limits)
    whole = WholeTree(tree.root, limits)
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


def _read_large(source: bytes | Path, *, limits: Limits, spool: Spool) -> Package:
    streamed = StreamedPackage(source, limits=limits, spool=spool)
    return build(
        streamed.tree,
        prolog=streamed.source.prolog,
        has_comments=streamed.has_comments,
        decode=lambda section: streamed.content(section.one(names.CONTENT)),
        skeleton=streamed.skeleton,
        digester=streamed.digest,
        sha256=streamed.source.sha256,
        size=streamed.source.size,
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


def _bound_texts(tree: Tree, limits: Limits) -> None:
    """The streaming reader bounds texts as they come; here it matters only when the limits are set unusually."""
    contents = set(encoded_contents(tree.root))
    if any(
        max(len(e.text or "") if e not in contents else 0, len(e.tail or "")) > limits.text_bytes
        for e in tree.root.iter()
    ):
        raise PackageLimitExceeded(limit="text_bytes", allowed=limits.text_bytes)


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
    standard = sum(child.tag == DS_SIGNATURE for child in header)
    if standard > 1:
        findings.meaningless(
            names.SIGNATURE,
            Severity.WARNING,
            vi="Phần đầu gói tin chứa nhiều chữ ký.",
            en="The header holds several signatures.",
        )
    own = own_namespaces(etree.QName(header.getroottree().getroot()).namespace)
    if standard:
        return SignatureForm.XMLDSIG, standard
    if next(children(header, names.SIGNATURE, own), None) is not None:
        return SignatureForm.FOREIGN, 0
    empty = next(children(header, names.DIGITAL_SIGNATURE, own), None)
    if empty is None:
        return SignatureForm.NONE, 0
    return (SignatureForm.FOREIGN if len(empty) or (empty.text or "").strip() else SignatureForm.EMPTY), 0


def _variant(parts: Outline, root: etree._Element, findings: Findings) -> Variant:
    if looks_like_csharp(parts):
        return Variant.V2
    as_the_kit = etree.QName(root).localname == names.ROOT and not findings.respelled
    return Variant.V1 if as_the_kit else Variant.V5
