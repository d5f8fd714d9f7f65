"""
Signing in two steps, for a key that is elsewhere: what is to be signed, then the file around the signature.

Everything between the steps is in :class:`Prepared`, which holds no secret and can be kept as JSON.
What comes back is believed only when it verifies with the prepared certificate over just the
prepared bytes. Signing with a key at hand (``sign.py``) takes the same two steps.
"""

from __future__ import annotations

import enum
import hashlib
import json
import os
import shutil
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.edxml import names
from gateway.edxml.complete import complete
from gateway.edxml.limits import Limits
from gateway.edxml.package import C14N, Package, SignatureForm
from gateway.edxml.parser import parse
from gateway.edxml.read import read_unverified
from gateway.errors import AlreadySigned, FileNotSignable, NotSignable, SigningMismatch, TimestampRefused
from gateway.signing import pdf_sign, timestamp
from gateway.signing.form import ids
from gateway.signing.keys import scheme_of, signature_fits
from gateway.signing.pdf_sign import EmptySignature, PdfSignOptions
from gateway.signing.policy import DS
from gateway.signing.template import SignatureDraft, draft_xmldsig
from gateway.signing.xades import ENVELOPED_XML, IDS, Reference, XadesSignature

_VERSION = 1


class PackageForm(enum.StrEnum):
    """How a package is signed; both are enveloped in its header."""

    XMLDSIG = "xmldsig"
    XADES = "xades"


class PreparedKind(enum.StrEnum):
    """What waits for a signature."""

    PDF = "pdf"
    PACKAGE = "package"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A file that waits for one signature value."""

    kind: PreparedKind
    certificate: x509.Certificate
    """The signer's; nobody else's signature completes the file."""
    chain: tuple[x509.Certificate, ...]
    """Issuers, which a PDF carries along; leaf's issuer first; may be empty."""
    to_be_signed: bytes
    """What the key signs: the DER of the signed attributes, or SignedInfo in canonical form."""
    details: Mapping[str, Any] = field(repr=False)
    """The rest of what completing needs, as JSON has it."""

    @property
    def digest_algorithm(self) -> str:
        """Of what the key signs, by hashlib's name."""
        return scheme_of(self.certificate).digest

    @property
    def digest(self) -> bytes:
        """The digest of ``to_be_signed``, for keys that are given only that."""
        return hashlib.new(self.digest_algorithm, self.to_be_signed).digest()

    @property
    def signature_algorithm(self) -> str:
        """XML-DSig URI of the signature that is awaited: PKCS#1 v1.5, or ECDSA as ``r || s``."""
        return scheme_of(self.certificate).xmldsig

    @property
    def state(self) -> bytes:
        """All of this as JSON; :meth:`from_state` reads it."""
        return json.dumps(
            {
                "version": _VERSION,
                "kind": self.kind,
                "certificates": [_base64(c.public_bytes(Encoding.DER)) for c in (self.certificate, *self.chain)],
                "to_be_signed": _base64(self.to_be_signed),
                "details": dict(self.details),
            }
        ).encode()

    @classmethod
    def from_state(cls, state: bytes) -> Prepared:
        """
        What :attr:`state` wrote.

        :param state: out of our own storage; it is trusted.
        """
        given = json.loads(state)
        if given["version"] != _VERSION:
            raise ValueError(f"A signing request of version {given['version']} cannot be completed.")
        certificate, *chain = [x509.load_der_x509_certificate(b64decode(c)) for c in given["certificates"]]
        return cls(
            kind=PreparedKind(given["kind"]),
            certificate=certificate,
            chain=tuple(chain),
            to_be_signed=b64decode(given["to_be_signed"]),
            details=given["details"],
        )

    @property
    def carries_stamp(self) -> bool:
        """Whether a time-stamp can go into the file; plain XML signatures have no place for one."""
        return self.kind is PreparedKind.PDF or self.details["form"] == PackageForm.XADES

    def stamped_part(self, signature: bytes) -> bytes:
        """
        What a time-stamp over this signature covers: its SHA-256 is what an authority is asked for.

        :raises SigningMismatch: the signature does not complete this.
        :raises NotSignable: a signature of this form carries no time-stamp.
        """
        check_signature(self, signature)
        if not self.carries_stamp:
            raise NotSignable("Only an XAdES signature can carry a time-stamp.")
        if self.kind is PreparedKind.PDF:
            return pdf_sign.stamped_part(self.certificate, signature)
        return replace(_xades(self.details, self.certificate), value=signature).stamped_bytes()


def check_signature(prepared: Prepared, signature: bytes) -> None:
    """
    See that this is the prepared certificate's signature over what was prepared.

    :param signature: from outside; not trusted.
    :raises SigningMismatch: another key's, over other bytes, or none at all.
    """
    if not signature_fits(prepared.certificate, signature, prepared.to_be_signed):
        raise SigningMismatch


# PDF


def prepare_pdf(
    source: Path,
    out: Path,
    *,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate] = (),
    options: PdfSignOptions | None = None,
    at: datetime,
) -> Prepared:
    """
    Write a PDF with an empty signature, for :func:`complete_pdf` to fill.

    :param source: as for :func:`pdf_sign.write_empty_signature`: where strangers choose it, run this in a
        process that can be ended.
    :param out: where the prepared PDF goes; replaced. Keep it unchanged until it is completed.
    :param at: the signing time that the PDF claims, aware.
    :raises FileNotSignable, PersonSignatureMissing, SigningImageUnusable, KeyUnusable: see there.
    """
    with out.open("w+b") as file:
        empty = pdf_sign.write_empty_signature(
            source, file, certificate=certificate, chain=chain, options=options or PdfSignOptions(), at=at
        )
    return Prepared(
        kind=PreparedKind.PDF,
        certificate=certificate,
        chain=tuple(chain),
        to_be_signed=empty.signed_attributes,
        details={
            "document_digest": _base64(empty.document_digest),
            "region_start": empty.region_start,
            "region_end": empty.region_end,
        },
    )


def complete_pdf(
    prepared: Prepared, signature: bytes, *, prepared_file: Path, out: Path, timestamp: bytes | None = None
) -> None:
    """
    Write the signed PDF: PAdES-B-T with a time-stamp, PAdES-B-B without.

    :param signature: over ``prepared.to_be_signed``; from outside, not trusted.
    :param prepared_file: as :func:`prepare_pdf` wrote it; it stays as it is, so that this can be done again.
    :param out: appears only when it is complete; replaced.
    :param timestamp: DER of a token over ``prepared.stamped_part(signature)``.
    :raises SigningMismatch: it is not the prepared certificate's signature over what was prepared.
    :raises TimestampRefused: the token is over something else.
    :raises FileNotSignable: the prepared file has been changed.
    """
    _check_token(prepared, signature, timestamp)
    empty = EmptySignature(
        document_digest=b64decode(prepared.details["document_digest"]),
        region_start=prepared.details["region_start"],
        region_end=prepared.details["region_end"],
        signed_attributes=prepared.to_be_signed,
    )

    def write(file: BinaryIO) -> None:
        with prepared_file.open("rb") as before:
            shutil.copyfileobj(before, file)
        pdf_sign.fill_signature(
            file, empty, signature, certificate=prepared.certificate, chain=prepared.chain, token=timestamp
        )

    _write_whole(out, write)


# Packages


def prepare_package(
    source: Path | bytes,
    *,
    certificate: x509.Certificate,
    form: PackageForm = PackageForm.XMLDSIG,
    at: datetime,
    limits: Limits | None = None,
    spool: Path | None = None,
    c14n: C14N = C14N.EXCLUSIVE,
    prefix: str | None = "ds",
) -> Prepared:
    """
    Say what is to be signed for an enveloped signature in a package's header.

    :param source: an edXML package without a signature.
    :param at: the signing time that XAdES claims, aware.
    :param limits: ``None``: the defaults.
    :param spool: where attachments go while they are read; ``None``: the system's temporary folder.
    :param c14n: of XML-DSig; XAdES is written with the exclusive form.
    :param prefix: of XML-DSig; ``None`` writes ``<Signature xmlns="…">``, the published form (domain §1.9).
    :raises AlreadySigned: it carries a signature of any kind.
    :raises NotSignable: a signature over it would be refused.
    :raises DocumentError: it cannot be read as a package.
    :raises KeyUnusable: no signature can be made with the certificate's key.
    """
    form = PackageForm(form)
    c14n = C14N.EXCLUSIVE if form is PackageForm.XADES else c14n
    with (
        tempfile.TemporaryDirectory(prefix="gateway-sign-") as own,
        read_unverified(source, limits=limits or Limits(), spool=spool or Path(own)) as package,
    ):
        namespaces = signable_scope(package, c14n, reserved=IDS if form is PackageForm.XADES else frozenset())
        digest = package.enveloped_digest(c14n=c14n, digest="sha256")
        sha256 = package.sha256
    algorithm, der = scheme_of(certificate).xmldsig, certificate.public_bytes(Encoding.DER)
    if form is PackageForm.XADES:
        details: dict[str, Any] = {"signed_at": at.astimezone(UTC).replace(microsecond=0).isoformat()}
        details["digest"] = _base64(digest)
        to_be_signed = _xades(details, certificate).to_be_signed()
    else:
        draft = draft_xmldsig(
            digest, algorithm=algorithm, certificate=der, c14n=c14n, prefix=prefix, namespaces=namespaces
        )
        details, to_be_signed = {"draft": asdict(draft)}, draft.to_be_signed.encode()
    return Prepared(
        kind=PreparedKind.PACKAGE,
        certificate=certificate,
        chain=(),
        to_be_signed=to_be_signed,
        details={"sha256": sha256, "form": form} | details,
    )


def complete_package(
    prepared: Prepared,
    signature: bytes,
    *,
    source: Path | bytes,
    out: Path | BinaryIO,
    limits: Limits | None = None,
    timestamp: bytes | None = None,
) -> None:
    """
    Write the signed package: nothing in it is changed but for the signature in its header.

    :param signature: over ``prepared.to_be_signed``; from outside, not trusted.
    :param source: the package that was prepared.
    :param out: a path appears only when it is complete, and is replaced; a file is neither flushed nor closed.
    :param timestamp: DER of a token over ``prepared.stamped_part(signature)``; XAdES only.
    :raises SigningMismatch: it is not the prepared certificate's signature over what was prepared.
    :raises TimestampRefused: the token is over something else.
    :raises NotSignable: the package is another than was prepared, or its form carries no time-stamp.
    """
    _check_token(prepared, signature, timestamp)
    if _sha256(source) != prepared.details["sha256"]:
        raise FileNotSignable("The package is not the one that was prepared.")
    if prepared.details["form"] == PackageForm.XADES:
        whole = replace(_xades(prepared.details, prepared.certificate), value=signature, token=timestamp).render()
    else:
        whole = SignatureDraft(**prepared.details["draft"]).signed(signature)

    def write(file: BinaryIO) -> None:
        complete(source, hop=None, signature=whole, limits=limits or Limits(), out=file)

    if isinstance(out, Path):
        _write_whole(out, write)
    else:
        write(out)


def signable_scope(package: Package, c14n: C14N, *, reserved: frozenset[str] = frozenset()) -> Mapping[str | None, str]:
    """
    The namespaces in scope in the header of a package that may be signed.

    :raises NotSignable: with a signature already, comments, undeclared prefixes, or something
        around the header that inclusive canonicalisation would carry into SignedInfo and on
        which implementations differ: ``xml:`` attributes, namespaces that need escaping. Also with an
        Id that occurs twice or is ``reserved`` for the signature: the signature would be refused for it.
    """
    if package.signature_form not in (SignatureForm.NONE, SignatureForm.EMPTY):
        raise AlreadySigned
    if package.has_comments:
        raise NotSignable("The package holds comments, which a signature would not cover.")
    if not package.namespace_well_formed:
        raise NotSignable("The package uses undeclared prefixes and therefore has no canonical form.")
    root = parse(package.skeleton).root
    if root.find(f".//{{{DS}}}*") is not None:
        raise AlreadySigned
    taken = ids(root)
    if len(taken) != len(set(taken)) or reserved.intersection(taken):
        raise NotSignable("An Id in the package could mean two elements.")
    header = next(e for e in root.iter() if str(e.tag).rpartition("}")[2].lower() == names.HEADER.lower())
    if c14n is not C14N.EXCLUSIVE and (
        any(str(a).startswith(f"{{{names.XML}}}") for e in (header, *header.iterancestors()) for a in e.attrib)
        or any(set(uri) & set('&<"\t\n\r') for uri in header.nsmap.values())
    ):
        raise NotSignable("What surrounds the header has no certain inclusive form; sign with the exclusive one.")
    return header.nsmap


def _xades(details: Mapping[str, Any], certificate: x509.Certificate) -> XadesSignature:
    """The signature that lacks its value."""
    document = Reference(
        uri="", digest=b64decode(details["digest"]), media_type="application/xml", transforms=ENVELOPED_XML
    )
    return XadesSignature(
        references=(document,),
        method=scheme_of(certificate).xmldsig,
        signed_at=datetime.fromisoformat(details["signed_at"]),
        certificate_der=certificate.public_bytes(Encoding.DER),
        value=b"",
    )


def _check_token(prepared: Prepared, signature: bytes, token: bytes | None) -> None:
    """The signature, and the time-stamp over it when there is one."""
    check_signature(prepared, signature)
    if token is not None and not timestamp.covers(token, hashlib.sha256(prepared.stamped_part(signature)).digest()):
        raise TimestampRefused("The token is over something else than this signature.")


def _sha256(source: Path | bytes) -> str:
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_whole(out: Path, write: Callable[[BinaryIO], None]) -> None:
    """A file that appears only when it is complete."""
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=out.name)
    try:
        with os.fdopen(handle, "w+b") as file:
            write(file)
        Path(name).replace(out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
