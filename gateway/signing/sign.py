"""
Signing packages: an enveloped ``ds:Signature`` in the header, all other bytes as they were.

The digest comes from the reader and the signature is spliced into the bytes, so a package of
any size is signed without being held (signxml's signer stops at 10 MB of text).
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from gateway.edxml import names
from gateway.edxml.complete import complete
from gateway.edxml.limits import Limits
from gateway.edxml.package import C14N, Package, SignatureForm
from gateway.edxml.parser import parse
from gateway.edxml.read import read_unverified
from gateway.errors import AlreadySigned, NotSignable
from gateway.signing.keys import Signer
from gateway.signing.policy import DS
from gateway.signing.template import enveloped_signature


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
            namespaces = _signable_scope(package, c14n)
            digest = package.enveloped_digest(c14n=c14n, digest="sha256")
        signature = enveloped_signature(digest, key, c14n=c14n, prefix=prefix, namespaces=namespaces)
        complete(source, hop=None, signature=signature, limits=limits, out=out)


def _signable_scope(package: Package, c14n: C14N) -> Mapping[str | None, str]:
    """
    The namespaces in scope in the header of a package that may be signed.

    :raises NotSignable: with a signature already, comments, undeclared prefixes, or something
        around the header that inclusive canonicalisation would carry into SignedInfo and on
        which implementations differ: ``xml:`` attributes, namespaces that need escaping.
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
    header = next(e for e in root.iter() if str(e.tag).rpartition("}")[2].lower() == names.HEADER.lower())
    if c14n is not C14N.EXCLUSIVE and (
        any(str(a).startswith(f"{{{names.XML}}}") for e in (header, *header.iterancestors()) for a in e.attrib)
        or any(set(uri) & set('&<"\t\n\r') for uri in header.nsmap.values())
    ):
        raise NotSignable("What surrounds the header has no certain inclusive form; sign with the exclusive one.")
    return header.nsmap
