"""A package in two steps, neither verified: parsed, so that its signature can be judged, and read."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Self

from lxml import etree

from gateway.edxml.content import Content, Decoded, Spool
from gateway.edxml.parser import Prolog, Tree
from gateway.errors import MalformedPackage
from gateway.model import Attachment, Envelope, Severity, Variant, Violation


class SignatureForm(enum.StrEnum):
    """What kind of signature a package carries in its header."""

    NONE = "none"
    XMLDSIG = "xmldsig"
    """``ds:Signature`` in the namespace of XML-DSig, under whatever prefix."""
    FOREIGN = "foreign"
    """The names of XML-DSig in the namespace of QCVN 102: the kit's, which no library verifies (domain §1.9)."""
    EMPTY = "empty"
    """``<DigitalSignature/>``, as the C# kit writes it."""


class C14N(enum.StrEnum):
    """Canonical forms that an enveloped signature may name; comments are dropped in all."""

    INCLUSIVE_10 = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
    EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
    INCLUSIVE_11 = "http://www.w3.org/2006/12/xml-c14n11"
    """The same octets as 1.0 for a whole document: they differ only where ancestors are left out."""


Digester = Callable[[C14N, str, Sequence[str], int], bytes]
"""(canonical form, digest name, inclusive prefixes, position of the signature) → digest."""


@dataclass(frozen=True, kw_only=True)
class Markup:
    """A package after the parser: the one tree that is digested, judged and read."""

    tree: Tree
    """Without the texts of encoded contents, which are held or spooled beside it. Nobody changes it."""
    declarations: int
    """No more namespace declarations than this are in it."""
    prolog: Prolog
    has_comments: bool
    signature_form: SignatureForm
    signatures: int
    sha256: str
    size: int
    skeleton: Callable[[], bytes]
    digester: Digester
    content: Callable[[etree._Element], Decoded]
    """Element of an encoded content → what it decodes to."""
    spool: Spool


class ParsedPackage:
    """
    A package that was bounded and parsed, of which nothing was read: all that judging its signature takes.

    A context manager: leaving it removes the spooled contents. ``parse_unverified`` makes one.
    """

    def __init__(self, markup: Markup) -> None:
        self.markup = markup
        self.sha256 = markup.sha256
        """Lower-case hex, of the raw bytes as received."""
        self.size = markup.size
        """Raw bytes as received."""
        self.signature_form = markup.signature_form
        self.signatures = markup.signatures
        """How many ``ds:Signature`` stand in the header; more than one is for ``signing`` to judge."""
        self.namespace_well_formed = markup.tree.namespace_well_formed
        """False when prefixes were undeclared and local names decided; such a package has no canonical form."""
        self.has_comments = markup.has_comments
        self._skeleton: bytes | None = None

    @property
    def root(self) -> etree._Element:
        """
        The root of the tree that was read and digested; take ``SignedInfo`` from here or from the skeleton.

        To be looked at, not changed. The texts of its encoded contents have been left out.
        """
        return self.markup.tree.root

    @property
    def skeleton(self) -> bytes:
        """
        The package with the text of its attachments emptied: UTF-8, without comments, no prolog.

        It is the tree that was read and digested, written down.
        """
        if self._skeleton is None:
            self._skeleton = self.markup.skeleton()
        return self._skeleton

    def enveloped_digest(
        self, *, c14n: C14N, digest: str, inclusive_prefixes: Sequence[str] = (), position: int = 0
    ) -> bytes:
        """
        Digest of the canonical form of the whole document less one ``ds:Signature`` of its header.

        That is what ``Reference URI=""`` with the enveloped transform covers. Without a signature in
        the header it is the digest of the whole document.

        :param c14n: canonical form; without comments.
        :param digest: name for ``hashlib``, e.g. ``sha256``.
        :param inclusive_prefixes: ``PrefixList`` of exclusive canonicalisation; ``#default`` for the default.
        :param position: which of several signatures in the header envelops; counted from 0.
        :raises MalformedPackage: the package is not namespace-well-formed and has no canonical form.
        """
        if not self.namespace_well_formed:
            raise MalformedPackage("The package uses undeclared prefixes and has no canonical form.")
        return self.markup.digester(c14n, digest, inclusive_prefixes, position)

    def close(self) -> None:
        """Remove the spooled contents."""
        self.markup.spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Package(ParsedPackage):
    """
    What a package says, unverified. A context manager: leaving it removes the spooled contents.

    Use ``read_unverified`` to get one, and ``gateway.signing.verify`` before believing it.
    """

    def __init__(
        self,
        markup: Markup,
        *,
        envelope: Envelope,
        variant: Variant,
        attachments: Mapping[Attachment, Content],
        order: Sequence[Attachment],
        violations: tuple[Violation, ...],
    ) -> None:
        super().__init__(markup)
        self.envelope = envelope
        self.variant = variant
        self.attachments = tuple(order)
        """Those whose content could be decoded, in document order; violations tell of the others."""
        self.violations = violations
        """Errors first."""
        self._contents = attachments

    @property
    def errors(self) -> tuple[Violation, ...]:
        """What cannot be trusted; any of them refuses the package."""
        return tuple(v for v in self.violations if v.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Violation, ...]:
        """Departures that stay with the document."""
        return tuple(v for v in self.violations if v.severity is Severity.WARNING)

    def open(self, attachment: Attachment) -> BinaryIO:
        """A new reader of the unwrapped content; close it before the package."""
        return self._contents[attachment].open()
