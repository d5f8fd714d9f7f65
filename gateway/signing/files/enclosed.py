"""What a PDF brings along for its own judgement: certificates, CRLs and OCSP answers (PAdES-B-LT, and Adobe's form)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from asn1crypto import cms
from cryptography import x509
from pyhanko.pdf_utils import generic
from pyhanko.sign.general import find_unique_cms_attribute

from gateway.errors import RevocationUnreadable
from gateway.signing.files.leaks import LEAKS
from gateway.signing.files.objects import dictionary, resolved
from gateway.signing.files.signer import Scope
from gateway.signing.trust import RevocationItem, RevocationMode, TrustAnchors, read_item

_EACH_MAX = 64
"""Certificates, CRLs and OCSP answers that are looked at, of each."""
_SOURCE = "the signed file"


@dataclass(frozen=True, kw_only=True)
class Enclosed:
    """Not believed: an authority's signature on each is checked when it is used, and certificates need a path."""

    certificates: tuple[x509.Certificate, ...] = ()
    items: tuple[RevocationItem, ...] = ()

    def added_to(self, scope: Scope) -> Scope:
        """The same scope, knowing these facts too."""
        anchors = scope.anchors
        if not self.items or anchors.mode is RevocationMode.OFF or not anchors:
            return scope
        facts = anchors.facts.beside(self.items)
        return replace(
            scope,
            anchors=TrustAnchors(
                anchors.anchors,
                anchors.intermediates,
                mode=anchors.mode,
                facts=facts,
                clock_skew=anchors.clock_skew,
                authorities=anchors.authority_anchors,
            ),
        )


def of_document(root: generic.DictionaryObject) -> Enclosed:
    """The document security store (ETSI EN 319 142-1 §5.4.2.2); what cannot be read of it is left out."""
    store = dictionary(root.get("/DSS"))
    certificates = []
    for raw in _streams(store, "/Certs"):
        try:
            certificates.append(x509.load_der_x509_certificate(raw))
        except (ValueError, x509.InvalidVersion):
            continue
    raws = [raw for key in ("/OCSPs", "/CRLs") for raw in _streams(store, key)]
    return Enclosed(certificates=tuple(certificates), items=tuple(_items(raws)))


def of_signature(info: cms.SignerInfo) -> Enclosed:
    """What Adobe's signed attribute holds (``adbe-revocationInfoArchival``); nothing when there is none."""
    try:
        held = find_unique_cms_attribute(info["signed_attrs"], "adobe_revocation_info_archival")
        raws = [item.dump() for key in ("ocsp", "crl") for item in list(held[key] or ())[:_EACH_MAX]]
    except LEAKS:
        return Enclosed()
    return Enclosed(items=tuple(_items(raws)))


def _streams(store: generic.DictionaryObject, key: str) -> Iterator[bytes]:
    found = resolved(store.get(key))
    for entry in list(found)[:_EACH_MAX] if isinstance(found, generic.ArrayObject) else ():
        try:
            stream = resolved(entry)
            if isinstance(stream, generic.StreamObject):
                yield stream.data
        except LEAKS:
            continue


def _items(raws: list[bytes]) -> Iterator[RevocationItem]:
    for raw in raws:
        try:
            yield read_item(raw, source=_SOURCE)
        except RevocationUnreadable:
            continue
