"""
Renewals of an evidence file: archive time-stamps over everything that was there before (EN 319 162-1 §A.7).

A time-stamp is worth what its authority's key is worth. Before that key, its certificate or an algorithm is given up,
the file is stamped anew: an ``ASiCArchiveManifest`` names the digest of every part so far, with what is needed to judge
the older stamps put in beside them, and an RFC 3161 token is over the manifest. Nothing that was there is touched, so
that renewals can follow each other without end, and without the last one the file is what it was before.

As everything in an evidence file a renewal has one form, which the reader makes anew and compares.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import BinaryIO, Final, get_args
from xml.sax.saxutils import quoteattr

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import EvidenceAltered, EvidenceTooLarge
from gateway.evidence import container
from gateway.evidence.container import ContainerReader, ContainerWriter, media_type_of
from gateway.signing.policy import DS
from gateway.signing.timestamp import TOKEN_BYTES_MAX, HashName, covers
from gateway.signing.trust import RevocationItem

RENEWALS_MAX = 100
"""Of one file: one for every year of a century."""

_MANIFEST_MAX = 4 * 1024 * 1024
_ALGORITHMS: Final[dict[str, HashName]] = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
_URIS: Final[dict[HashName, str]] = {name: uri for uri, name in _ALGORITHMS.items()}
assert set(_URIS) == set(get_args(HashName))
_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" xmlns:ds="{DS}">\n'
)
_TAIL: Final = "</asic:ASiCManifest>\n"
_METHOD: Final = re.compile(rb'<ds:DigestMethod Algorithm="([^"]{1,100})"/>')
_REFERENCE: Final = re.compile(
    rb'<asic:DataObjectReference URI="([^"]{1,120})" .{0,300}?<ds:DigestValue>([^<]{1,100})<'
)


_FACT: Final = re.compile(r"[0-9a-f]{32}\.(cer|crl|ors)")
"""What a renewal brings is named after its SHA-256: nothing else can be put in."""


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """One archive time-stamp of a file, with the parts that came with it."""

    number: int
    """From 1: the oldest."""
    facts: tuple[str, ...]
    """Certificates, CRLs and OCSP answers that were put in before it was made."""
    manifest: str
    """Name of its ``ASiCArchiveManifest``."""
    token: str
    """Name of the RFC 3161 token over that."""
    covered: tuple[str, ...]
    """The parts that the manifest names, in order: all before it but ``mimetype``, which is the same in every file."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What helps to judge the older time-stamps, and is not there yet."""

    name: str
    der: bytes


def manifest_name(number: int, count: int) -> str:
    """The newest manifest has no number; it is given one when it is followed by another (EN 319 162-1 §A.7)."""
    return f"META-INF/ASiCArchiveManifest{'' if number == count else f'{number:03d}'}.xml"


def token_name(number: int) -> str:
    """Of the token of the n-th renewal."""
    return f"META-INF/timestamp{number:03d}.tst"


def facts_folder(number: int) -> str:
    """Where the n-th renewal keeps what it brought."""
    return f"META-INF/renewal{number:03d}/"


def split(names: Sequence[str]) -> tuple[list[str], list[Renewal]]:
    """
    The parts of the file as it was made, and its renewals, oldest first.

    :param names: of all parts, in their order.
    :raises EvidenceAltered: what stands behind the signature is not a row of renewals.
    """
    if container.SIGNATURES not in names:
        return list(names), []
    first = list(names).index(container.SIGNATURES) + 1
    tokens = enumerate(filter(_is_token, names[first:]), start=1)
    count = len(list(takewhile(lambda token: token[1] == token_name(token[0]), tokens)))
    if count > RENEWALS_MAX:
        raise EvidenceAltered(part="META-INF", detail="There are more renewals than a file can have.")
    renewals: list[Renewal] = []
    at = first
    for number in range(1, count + 1):
        end = list(names).index(token_name(number), at)
        *facts, manifest = names[at:end] or [""]
        wrong = [n for n in facts if not (n.startswith(facts_folder(number)) and _FACT.fullmatch(_last(n)))]
        if wrong or manifest != manifest_name(number, count):
            raise _stray(wrong[0] if wrong else manifest or token_name(number))
        renewals.append(
            Renewal(
                number=number,
                facts=tuple(facts),
                manifest=manifest,
                token=token_name(number),
                covered=_covered(names[: end - 1]),
            )
        )
        at = end + 1
    if at < len(names):
        raise _stray(names[at])
    return list(names[:first]), renewals


def manifest_of(digests: Sequence[tuple[str, bytes]], *, number: int, hash_name: HashName) -> bytes:
    """
    The ``ASiCArchiveManifest`` of the n-th renewal.

    :param digests: of every part that it covers, in order.
    """
    before = manifest_name(number - 1, number) if number > 1 else None
    lines = [f"<asic:SigReference URI={quoteattr(token_name(number))} MimeType={quoteattr(media_type_of('x.tst'))}/>\n"]
    for name, digest in digests:
        # The manifest before is the root of what this one renews.
        root = ' Rootfile="true"' if name == before else ""
        lines.append(
            f"<asic:DataObjectReference URI={quoteattr(name)} MimeType={quoteattr(media_type_of(name))}{root}>"
            f'<ds:DigestMethod Algorithm="{_URIS[hash_name]}"/>'
            f"<ds:DigestValue>{b64encode(digest).decode()}</ds:DigestValue></asic:DataObjectReference>\n"
        )
    return f"{_HEAD}{''.join(lines)}{_TAIL}".encode()


def hash_of(reader: ContainerReader, renewal: Renewal) -> HashName:
    """
    The algorithm by which a renewal's manifest names parts, and its token the manifest.

    :raises EvidenceAltered: it names none that is known.
    """
    found = _METHOD.search(reader.read(renewal.manifest, limit=_MANIFEST_MAX))
    name = None if found is None else _ALGORITHMS.get(found.group(1).decode("latin-1"))
    if name is None:
        raise EvidenceAltered(part=renewal.manifest, detail="It names no digest algorithm that is known.")
    return name


def token_of(reader: ContainerReader, renewal: Renewal) -> bytes:
    """
    The token of a renewal, not judged.

    :raises EvidenceAltered: it is larger than any.
    """
    return reader.read(renewal.token, limit=TOKEN_BYTES_MAX)


def differing(reader: ContainerReader, renewal: Renewal) -> Iterator[str]:
    """
    The parts that are not what a renewal's manifest names, or the manifest itself where it is what was changed; and
    those that it brought under another name than their own.

    Who compares has to say, by :meth:`ContainerReader.hash_by`, which digests will be asked for.

    :raises EvidenceAltered: a part cannot be read.
    """
    misnamed = [n for n in renewal.facts if not _last(n).startswith(_named_after(reader.digest(n)))]
    if misnamed:
        yield from misnamed
        return
    hash_name = hash_of(reader, renewal)
    found = reader.read(renewal.manifest, limit=_MANIFEST_MAX)
    digests = {name: reader.digest(name, hash_name) for name in renewal.covered}
    if found == manifest_of(list(digests.items()), number=renewal.number, hash_name=hash_name):
        return
    # Either a part was changed or the manifest. The token over the manifest knows.
    if not covers(token_of(reader, renewal), hashlib.new(hash_name, found).digest(), hash_name=hash_name):
        yield renewal.manifest
        return
    named = {m.group(1).decode("latin-1"): _decoded(m.group(2)) for m in _REFERENCE.finditer(found)}
    wrong = [name for name, digest in digests.items() if named.get(name) != digest]
    yield from wrong or [renewal.manifest]


def facts_missing(
    reader: ContainerReader, certificates: Sequence[x509.Certificate], items: Sequence[RevocationItem]
) -> list[Fact]:
    """Of what helps to judge the older time-stamps, that which the file does not have yet."""
    _, renewals = split(list(reader.entries))
    folder = facts_folder(len(renewals) + 1)
    ders = [(c.public_bytes(Encoding.DER), "cer") for c in certificates]
    ders += [(i.der, "crl" if i.kind == "crl" else "ors") for i in items]
    there = {_last(name) for name in reader.entries}
    named = {f"{_named_after(hashlib.sha256(der).digest())}.{kind}": der for der, kind in ders}
    return [Fact(name=f"{folder}{name}", der=der) for name, der in named.items() if name not in there]


def copy_with(reader: ContainerReader, out: BinaryIO, facts: Sequence[Fact], hash_name: HashName) -> Prepared:
    """
    Write a file anew with everything that it has and these facts, and the manifest over all of it.

    :param out: seekable; nothing large is held.
    :raises EvidenceTooLarge: one more renewal does not fit.
    """
    names = list(reader.entries)
    _, renewals = split(names)
    number = len(renewals) + 1
    if number > RENEWALS_MAX:
        raise EvidenceTooLarge
    renamed = {} if not renewals else {renewals[-1].manifest: manifest_name(number - 1, number)}
    writer = ContainerWriter(out, hash_name=hash_name)
    for name in names:
        if name != container.MIMETYPE:
            writer.add(renamed.get(name, name), reader.pieces(name))
    for fact in facts:
        writer.add(fact.name, [fact.der])
    digests = [(name, writer.digests[name]) for name in _covered(list(writer.digests))]
    manifest = manifest_of(digests, number=number, hash_name=hash_name)
    writer.add(manifest_name(number, number), [manifest])
    return Prepared(writer=writer, number=number, digest=hashlib.new(hash_name, manifest).digest())


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A file with a manifest, which lacks the token over it."""

    writer: ContainerWriter
    number: int
    digest: bytes
    """Of the manifest."""

    def finish(self, token: bytes) -> None:
        """Put the token in; the file is whole."""
        self.writer.add(token_name(self.number), [token])
        self.writer.close()


def _covered(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name != container.MIMETYPE)


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _named_after(sha256: bytes) -> str:
    return sha256.hex()[:32]


def _is_token(name: str) -> bool:
    return name.startswith("META-INF/timestamp") and name.endswith(".tst")


def _decoded(value: bytes) -> bytes:
    try:
        return b64decode(value, validate=True)
    except ValueError:
        return b""


def _stray(name: str) -> EvidenceAltered:
    return EvidenceAltered(part=name, detail="The part belongs neither to what was signed nor to a renewal.")
