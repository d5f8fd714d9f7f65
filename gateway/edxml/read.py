"""Bytes → package: the tolerant reader (domain §1.1–1.11)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lxml import etree

from gateway.edxml import names
from gateway.edxml.attachments import read_contents
from gateway.edxml.content import Decoded, Spool, decode
from gateway.edxml.envelope import Outline, looks_like_csharp, outline, read_envelope
from gateway.edxml.findings import Findings
from gateway.edxml.limits import Limits
from gateway.edxml.package import Markup, Package, ParsedPackage, SignatureForm
from gateway.edxml.parser import (
    Guard,
    Prolog,
    Tree,
    parse,
    parse_plain,
    pieces,
    plain_tags,
    read_prolog,
    refuse_xinclude,
)
from gateway.edxml.stream import StreamedPackage
from gateway.edxml.tree import (
    children,
    encoded_contents,
    header_signatures,
    headers,
    own_namespaces,
    recognise_root,
    split_name,
)
from gateway.edxml.whole import WholeTree
from gateway.errors import MalformedPackage, PackageLimitExceeded
from gateway.model import Severity, Variant


def read_unverified(source: bytes | Path, *, limits: Limits, spool: Path, sha256: str | None = None) -> Package:
    """
    Read a package, believing nothing: every departure from QCVN 102 is in its ``violations``.

    What a package says is believed only after ``gateway.signing.verify``. A package with errors is
    returned, not raised, so that the refusal can be recorded with all that is wrong.

    :param source: the bytes as received, untrusted; or a file of them, which is neither changed nor
        deleted, and must stay until the package is closed. Above ``limits.stream_above`` it is never
        wholly in memory.
    :param spool: an existing folder for contents; what is made there goes when the package is closed.
    :param sha256: that of ``source``, lower-case hex, when the caller has computed it from these very bytes;
        then they are not hashed again. Of files and of large packages it is computed all the same.
    :raises EmptyPackage: no bytes.
    :raises MalformedPackage: not well-formed XML in UTF-8 or UTF-16.
    :raises ForbiddenMarkup: DOCTYPE, entity, XInclude, processing instruction.
    :raises PackageLimitExceeded: a bound of ``limits``; found before anything expensive is done.
    :raises UnknownPackage: XML, but not edXML. ``UnsupportedVariant``: an old form, named in the detail.
    :raises InvalidPackage: nothing to speak of: no header, no sender's code, or a status without a
        known code or time. Carries the violations like any other refusal.
    """
    parsed = parse_unverified(source, limits=limits, spool=spool, sha256=sha256)
    try:
        return _read(parsed, limits)
    except BaseException:
        parsed.close()
        raise


def parse_unverified(source: bytes | Path, *, limits: Limits, spool: Path, sha256: str | None = None) -> ParsedPackage:
    """
    The first half of ``read_unverified``: bound and parse a package, and read nothing of what it says.

    Enough for a verdict on its signature. Arguments and exceptions are those of ``read_unverified``,
    less ``InvalidPackage``: whether there is a header has not been asked.
    """
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size > limits.package_bytes:
        raise PackageLimitExceeded(limit="package_bytes", allowed=limits.package_bytes)
    own_spool = Spool(spool)
    try:
        if size > limits.stream_above:
            return ParsedPackage(_parse_large(source, limits=limits, spool=own_spool))
        if isinstance(source, bytes):
            raw, known = source, sha256
        else:
            raw, known = source.read_bytes(), None
        return ParsedPackage(_parse_small(raw, limits=limits, spool=own_spool, sha256=known))
    except BaseException:
        own_spool.close()
        raise


def _parse_small(raw: bytes, *, limits: Limits, spool: Spool, sha256: str | None) -> Markup:
    prolog = read_prolog(raw)
    body = raw[prolog.skip :]
    written = plain_tags(body, limits) if prolog.encoding == "utf-8" else None
    tree = None if written is None else parse_plain(body, limits)
    is_plain, has_comments = tree is not None, False
    if written is None or tree is None:
        guard = Guard(limits, prolog)
        guard.feed(pieces(body))
        written, has_comments = _as_utf8(body, prolog), guard.comments
        tree = parse(written)
    recognise_root(tree.root)
    # Plain packages have no references: a namespace that is not written in their tags is not there.
    if not is_plain or names.XINCLUDE.encode() in written:
        refuse_xinclude(tree.root)
    if len(raw) > limits.text_bytes:
        _bound_texts(tree, limits)
    whole = WholeTree(tree.root, limits)
    form, signatures = _signature_form(tree.root, whole.signatures)
    return Markup(
        tree=tree,
        declarations=written.count(b"xmlns"),
        prolog=prolog,
        has_comments=has_comments,
        signature_form=form,
        signatures=signatures,
        sha256=hashlib.sha256(raw).hexdigest() if sha256 is None else sha256,
        size=len(raw),
        skeleton=whole.skeleton,
        digester=whole.digest,
        content=lambda element: _decode(element, whole.text(element), spool, limits),
        spool=spool,
    )


def _parse_large(source: bytes | Path, *, limits: Limits, spool: Spool) -> Markup:
    streamed = StreamedPackage(source, limits=limits, spool=spool)
    form, signatures = _signature_form(streamed.tree.root, header_signatures(streamed.tree.root))
    return Markup(
        tree=streamed.tree,
        declarations=streamed.skeleton().count(b"xmlns"),
        prolog=streamed.source.prolog,
        has_comments=streamed.has_comments,
        signature_form=form,
        signatures=signatures,
        sha256=streamed.source.sha256,
        size=streamed.source.size,
        skeleton=streamed.skeleton,
        digester=streamed.digest,
        content=streamed.content,
        spool=spool,
    )


def _read(parsed: ParsedPackage, limits: Limits) -> Package:
    """Make the model from the tree; the same for small and large packages."""
    markup, root = parsed.markup, parsed.root
    findings = Findings()
    _note_form(findings, markup)
    parts = outline(root, findings, limits)
    envelope = read_envelope(parts, findings, limits)
    elements = [section.one(names.CONTENT) for section in parts.attachments]
    contents = read_contents(
        parts.references,
        parts.attachments,
        [None if element is None else markup.content(element) for element in elements],
        findings=findings,
        limits=limits,
        spool=markup.spool,
    )
    if markup.signatures > 1:
        findings.meaningless(
            names.SIGNATURE,
            Severity.WARNING,
            vi="Phần đầu gói tin chứa nhiều chữ ký.",
            en="The header holds several signatures.",
        )
    return Package(
        markup,
        envelope=replace(envelope, references=contents.references),
        variant=_variant(parts, root, findings),
        attachments=contents.held,
        order=contents.attachments,
        violations=findings.violations,
    )


def _decode(element: etree._Element, text: str, spool: Spool, limits: Limits) -> Decoded:
    """Decode the content of one attachment of a tree."""
    if len(element) and text.isascii():
        return Decoded(None, "it holds elements")
    return decode(text, spool, limits)


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


def _note_form(findings: Findings, markup: Markup) -> None:
    """Departures of the package as a whole."""
    prolog, tree = markup.prolog, markup.tree
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
    if not split_name(tree.root)[0]:
        findings.bad_form(names.ROOT, "the namespace of QCVN 102", Severity.WARNING, vi="không gian tên QCVN 102")
    if markup.has_comments:
        findings.meaningless(
            "Comment",
            Severity.WARNING,
            vi="Gói tin chứa chú thích XML; đã bỏ qua.",
            en="The package holds XML comments; they were skipped.",
        )


def _signature_form(root: etree._Element, standard: Sequence[etree._Element]) -> tuple[SignatureForm, int]:
    """The best form that is present in the header, and how many ``ds:Signature`` there are."""
    if standard:
        return SignatureForm.XMLDSIG, len(standard)
    own = own_namespaces(split_name(root)[0])
    within = headers(root)
    if any(True for header in within for _ in children(header, names.SIGNATURE, own)):
        return SignatureForm.FOREIGN, 0
    digital = [element for header in within for element in children(header, names.DIGITAL_SIGNATURE, own)]
    if not digital:
        return SignatureForm.NONE, 0
    empty = not len(digital[0]) and not (digital[0].text or "").strip()
    return (SignatureForm.EMPTY if empty else SignatureForm.FOREIGN), 0


def _variant(parts: Outline, root: etree._Element, findings: Findings) -> Variant:
    if looks_like_csharp(parts):
        return Variant.V2
    as_the_kit = split_name(root)[1] == names.ROOT and not findings.respelled
    return Variant.V1 if as_the_kit else Variant.V5
