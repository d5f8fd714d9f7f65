"""
Renew an evidence file: one more archive time-stamp over everything in it, before the older ones lose their worth.

No network: the caller passes a function that asks an authority. What is needed to judge the older time-stamps later is
put in first, for in ten years nobody can fetch it any more: the certificates above their authorities, and what is known
of the revocation of these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import BinaryIO, Final

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import EvidenceAltered, EvidenceInvalid, EvidenceTooLarge, TimestampInvalid
from gateway.evidence import bundle, container, renewal
from gateway.evidence.belief import Belief
from gateway.evidence.given import Given
from gateway.evidence.offline import Whole, read_whole
from gateway.evidence.renewal import Fact
from gateway.evidence.seal import read_seal
from gateway.evidence.timestamp import Stamp, check_token, stripped
from gateway.signing.timestamp import HashName
from gateway.signing.trust import CLOCK_SKEW, RevocationFacts, RevocationItem

Ask = Callable[[bytes, HashName], bytes]
"""``ask(digest, hash_name)``: an RFC 3161 token over the digest, DER, that names the moment of asking; raises a
DeliveryError when there is none."""

_SEAL_MAX: Final = 1024 * 1024
_LOG_STAMPS_MAX: Final = 500


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """What a renewal came to."""

    number: int
    """Of how many renewals the file has now."""
    stamp: Stamp
    doubtful: tuple[str, ...]
    """The parts with older time-stamps that are not believed now: no renewal makes them better."""


@dataclass(frozen=True, kw_only=True)
class _Old:
    """A time-stamp that is in the file already."""

    part: str
    token: bytes
    digest: bytes
    hash_name: HashName = "sha256"


def renew(
    source: BinaryIO,
    out: BinaryIO,
    given: Given,
    *,
    ask: Ask,
    known: RevocationFacts | None = None,
    hash_name: HashName = "sha512",
) -> Renewed:
    """
    Write an evidence file anew with one more time-stamp; nothing that was in it changes.

    :param source: the file as it is; not trusted.
    :param out: seekable; what stands in it after an error is to be thrown away.
    :param given: whom to believe; the authority that is asked must chain to ``stamp_anchors``. All of ``revocation``
        goes in.
    :param known: of which goes in what is about the authorities in the file, as far as there is room.
    :param hash_name: stronger than what the file was signed with, so that it outlives the ageing of that.
    :raises EvidenceAltered: a part is not what was signed: what was changed is not made to look old.
    :raises EvidenceInvalid: it is no evidence file, or its signature does not hold.
    :raises EvidenceTooLarge: one more renewal does not fit, or what is given about revocation.
    :raises TimestampInvalid: the token is not over what was asked, or its authority is not believed, or is known to be
        revoked.
    """
    whole = _unaltered(source)
    known = known or RevocationFacts()
    chains, doubtful = _chains(whole, given)
    # The authorities' own are in their tokens.
    certificates = list(dict.fromkeys(c for chain in chains for c in chain[1:]))
    facts = _facts(whole, certificates, given.revocation, about=_about(chains, known))
    prepared = renewal.copy_with(whole.reader, out, facts, hash_name)
    token = ask(prepared.digest, hash_name)
    extra = [*whole.certificates(), *certificates]
    stamp = check_token(token, prepared.digest, given.stamp_anchors, extra=extra, hash_name=hash_name)
    if stamp.at < given.at - CLOCK_SKEW:
        raise TimestampInvalid("The authority's clock and this machine's differ by more than ten minutes.")
    token = stripped(token, stamp.chain[:-1] or stamp.chain)
    # As whoever reads the file will judge it; copying a large one took its time.
    told = [*whole.items(), *given.revocation, *_about([*chains, stamp.chain], known)]
    belief = Belief(replace(given, at=max(given.at, stamp.at)), extra, told)
    points, again = belief.stamp(
        renewal.token_name(prepared.number), token, prepared.digest, hash_name=hash_name, renews=True
    )
    if again != stamp:
        raise TimestampInvalid(f"The time-stamp would not be believed ({points[0].code}).")
    prepared.finish(token)
    return Renewed(number=prepared.number, stamp=stamp, doubtful=tuple(doubtful))


def is_due(source: BinaryIO, given: Given, *, within: timedelta) -> bool:
    """
    Whether a file should be renewed: its newest time-stamp will not be vouched for in so long, or is not believed.

    :raises EvidenceAltered: as :func:`renew`.
    :raises EvidenceInvalid: as :func:`renew`.
    """
    whole = _unaltered(source)
    belief = Belief(given, whole.certificates(), whole.items())
    newest = next(_old(whole), None)
    if newest is None or newest.part not in (container.SIGNATURES, *(one.token for one in whole.renewals)):
        return True
    _, stamp = belief.stamp(newest.part, newest.token, newest.digest, hash_name=newest.hash_name)
    return stamp is None or stamp.ends <= given.at + within


def _unaltered(source: BinaryIO) -> Whole:
    whole = read_whole(source)
    for point in whole.altered:
        raise EvidenceAltered(part=point.part, detail=point.values["detail"])
    return whole


def _chains(whole: Whole, given: Given) -> tuple[list[tuple[x509.Certificate, ...]], list[str]]:
    """The chains of all authorities in the file, and the parts whose time-stamps are not believed."""
    belief = Belief(given, whole.certificates(), whole.items())
    chains: dict[tuple[x509.Certificate, ...], None] = {}
    doubtful: list[str] = []
    held: datetime | None = None
    for old in _old(whole):
        _, stamp = belief.stamp(old.part, old.token, old.digest, held=held, hash_name=old.hash_name)
        if stamp is None:
            doubtful.append(old.part)
            continue
        chains[stamp.chain] = None
        # The log's and the seal's are side by side, below the one over the whole.
        held = stamp.at if old.part.startswith("META-INF/") else held
    return list(chains), doubtful


def _old(whole: Whole) -> Iterator[_Old]:
    """The time-stamps in a file, the newest first."""
    reader = whole.reader
    for one in reversed(whole.renewals):
        hash_name = renewal.hash_of(reader, one)
        digest = reader.digest(one.manifest, hash_name)
        yield _Old(part=one.token, token=renewal.token_of(reader, one), digest=digest, hash_name=hash_name)
    if whole.signature.token is not None:
        digest = hashlib.sha256(whole.signature.stamped_bytes()).digest()
        yield _Old(part=container.SIGNATURES, token=whole.signature.token, digest=digest)
    names = [n for n in reader.entries if n.startswith("log/") and n.endswith(".tsr")]
    for name in names[:_LOG_STAMPS_MAX]:
        statement = f"{name.removesuffix('.tsr')}.json"
        if statement in reader.entries:
            yield _Old(part=name, token=reader.read(name, limit=_SEAL_MAX), digest=reader.digest(statement))
    if bundle.SEAL in reader.entries:
        yield from _of_seal(reader.read(bundle.SEAL, limit=_SEAL_MAX))


def _of_seal(raw: bytes) -> Iterator[_Old]:
    try:
        signature = read_seal(raw).signature
    except EvidenceInvalid:
        return  # of the first form, which has none
    if signature.token is not None:
        digest = hashlib.sha256(signature.stamped_bytes()).digest()
        yield _Old(part=bundle.SEAL, token=signature.token, digest=digest)


def _facts(
    whole: Whole,
    certificates: Sequence[x509.Certificate],
    items: Sequence[RevocationItem],
    *,
    about: Iterator[RevocationItem],
) -> list[Fact]:
    """
    What goes in.

    :param items: all of these.
    :param about: of these what there is room for.
    :raises EvidenceTooLarge: there is none for what must go in.
    """
    facts = renewal.facts_missing(whole.reader, certificates, items)
    if not whole.has_room(facts):
        raise EvidenceTooLarge
    needed = {fact.name for fact in facts}
    for fact in renewal.facts_missing(whole.reader, certificates, [*items, *about]):
        if fact.name not in needed and whole.has_room([*facts, fact]):
            facts.append(fact)
    return facts


def _about(chains: Sequence[Sequence[x509.Certificate]], known: RevocationFacts) -> Iterator[RevocationItem]:
    """What is known about the certificates of these chains."""
    for certificate in dict.fromkeys(c for chain in chains for c in chain[:-1]):
        issuer = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER)).issuer
        yield from known.about(certificate.serial_number, issuer.hashable)
