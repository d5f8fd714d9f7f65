"""
Signing with a key at hand: packages and PDFs, all other bytes as they were.

A package gets an enveloped ``ds:Signature`` in its header. The digest comes from the reader and the
signature is spliced into the bytes, so a package of any size is signed without being held (signxml's
signer stops at 10 MB of text). A PDF gets one more revision.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from gateway.edxml.complete import complete
from gateway.edxml.limits import Limits
from gateway.edxml.package import C14N
from gateway.edxml.read import read_unverified
from gateway.signing.keys import Signer
from gateway.signing.pdf_sign import PdfSignOptions
from gateway.signing.prepare import (
    PackageForm,
    complete_package,
    complete_pdf,
    prepare_package,
    prepare_pdf,
    signable_scope,
)
from gateway.signing.template import enveloped_signature

Stamp = Callable[[bytes], bytes]
"""A time-stamp token (DER) over this SHA-256; raises a DeliveryError when there is none to be had."""


def sign_package(
    source: bytes | Path,
    key: Signer,
    *,
    limits: Limits | None = None,
    spool: Path | None = None,
    c14n: C14N = C14N.EXCLUSIVE,
    prefix: str | None = "ds",
) -> bytes:
    """
    The package with an enveloped signature in its header; nothing else in it is changed.

    :param source: an edXML package without a signature, as bytes or as a file.
    :param limits: ``None``: the defaults.
    :param spool: where attachments go while they are read; ``None``: the system's temporary folder.
    :param c14n: exclusive or inclusive 1.0.
    :param prefix: ``None`` writes ``<Signature xmlns="…">``, the published form (domain §1.9).
    :raises AlreadySigned: it carries a signature of any kind.
    :raises NotSignable: a signature over it would be refused.
    :raises DocumentError: it cannot be read as a package.
    """
    out = io.BytesIO()
    sign_package_to(source, key, out, limits=limits, spool=spool, c14n=c14n, prefix=prefix)
    return out.getvalue()


def sign_package_to(
    source: bytes | Path,
    key: Signer,
    out: BinaryIO,
    *,
    limits: Limits | None = None,
    spool: Path | None = None,
    c14n: C14N = C14N.EXCLUSIVE,
    prefix: str | None = "ds",
) -> None:
    """As :func:`sign_package`, written to ``out``: for packages that should not be in memory."""
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="gateway-sign-") as own:
        with read_unverified(source, limits=limits, spool=spool or Path(own)) as package:
            namespaces = signable_scope(package, c14n)
            digest = package.enveloped_digest(c14n=c14n, digest="sha256")
        signature = enveloped_signature(digest, key, c14n=c14n, prefix=prefix, namespaces=namespaces)
        complete(source, hop=None, signature=signature, limits=limits, out=out)


def sign_package_xades(
    source: bytes | Path,
    key: Signer,
    out: BinaryIO,
    *,
    at: datetime,
    stamp: Stamp | None = None,
    limits: Limits | None = None,
    spool: Path | None = None,
) -> None:
    """
    As :func:`sign_package_to`, as XAdES: level T with ``stamp``, level B without.

    :param at: the signing time that is claimed, aware.
    :raises DeliveryError: what ``stamp`` raises; nothing has been written then.
    """
    prepared = prepare_package(
        source, certificate=key.certificate, form=PackageForm.XADES, at=at, limits=limits, spool=spool
    )
    value = key.sign(prepared.to_be_signed)
    token = None if stamp is None else stamp(hashlib.sha256(prepared.stamped_part(value)).digest())
    complete_package(prepared, value, source=source, out=out, limits=limits, timestamp=token)


def sign_pdf(
    source: Path,
    out: Path,
    key: Signer,
    *,
    at: datetime,
    options: PdfSignOptions | None = None,
    stamp: Stamp | None = None,
) -> None:
    """
    Write the PDF with one more signature: PAdES-B-T with ``stamp``, PAdES-B-B without.

    :param out: appears only when it is complete; replaced.
    :param at: the signing time that is claimed, aware.
    :raises FileNotSignable, PersonSignatureMissing, SigningImageUnusable: see there.
    :raises DeliveryError: what ``stamp`` raises; nothing has been written then.
    """
    with tempfile.TemporaryDirectory(prefix="gateway-sign-") as own:
        middle = Path(own) / "prepared.pdf"
        prepared = prepare_pdf(source, middle, certificate=key.certificate, chain=key.chain, options=options, at=at)
        value = key.sign(prepared.to_be_signed)
        token = None if stamp is None else stamp(hashlib.sha256(prepared.stamped_part(value)).digest())
        complete_pdf(prepared, value, prepared_file=middle, out=out, timestamp=token)
