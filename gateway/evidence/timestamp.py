"""
Time-stamps that others made: are they over what we have, and is their maker believed.

Offline: only the anchors given count, and what the token brings along. A token is judged at the moment that it names
itself: it outlives the authority's certificate, which is what it is for. What it does not outlive is the theft of the
authority's key: from then on anybody could date back. So revocation lists that are given are asked whatever their age,
and a revoked authority is believed only where RFC 3161 §4 says so, or where something newer proves that the token
existed before the key can have been stolen.

Source: RFC 3161, RFC 5816; ETSI EN 319 102-1 §5.4, §5.6.2.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from asn1crypto import cms, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign.general import CMSStructuralError
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.generic_cms import validate_tst_signed_data
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.errors import PathError, ValidationError

from gateway.errors import TimestampInvalid, TimestampRevoked
from gateway.signing.timestamp import TOKEN_BYTES_MAX, HashName

# That a token is not believed is a finding; the library would print it with a traceback where no log is configured.
logging.getLogger("pyhanko.sign.validation").addHandler(logging.NullHandler())

# What asn1crypto and cryptography raise for bytes that are not what they should be.
_LEAKS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
    x509.InvalidVersion,
    UnsupportedAlgorithm,
)


_CHAIN_MAX = 10
"""Certificates in a token whose form is looked at: each is held against the others."""


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What a token that holds says."""

    at: datetime
    """Aware UTC: what it is over existed then."""
    authority: str
    """Subject of the certificate that signed it."""
    policy: str
    """OID of the policy under which it was made."""
    serial: int
    chain: tuple[x509.Certificate, ...]
    """The authority's certificate first, the anchor last; only the former when nobody's trust was asked for."""
    ends: datetime
    """When the first certificate of the chain below the anchor ends; from then on revocation lists need not name it."""
    trusted: bool
    """False only when no anchors were given, so that trust was not judged."""


def check_token(
    token: bytes,
    digest: bytes,
    anchors: Sequence[x509.Certificate],
    *,
    extra: Sequence[x509.Certificate] = (),
    crls: Iterable[bytes] = (),
    at: datetime | None = None,
    policy: str | None = None,
    held: datetime | None = None,
    hash_name: HashName = "sha256",
) -> Stamp:
    """
    What a time-stamp says, once it is known to be over this digest and to come from an authority that is believed.

    :param token: RFC 3161 ``TimeStampToken`` (CMS), DER; not trusted.
    :param digest: of what was stamped, by ``hash_name``.
    :param anchors: whom to believe; empty: the signature is checked and nobody is trusted (``Stamp.trusted``).
    :param extra: certificates that may stand between; believed for nothing.
    :param crls: revocation lists, DER, that are held against the token's own moment.
    :param at: the moment to judge the authority's certificate at; ``None``: the token's own.
    :param policy: OID that the token must name; ``None``: any.
    :param held: the moment by which the token itself is proven to have existed: what happened to the authority's key
        later does not touch it. ``None``: nothing proves one.
    :param hash_name: the algorithm that the imprint must be made by.
    :raises TimestampRevoked: it would hold, were it not for what became of the authority's key.
    :raises TimestampInvalid: for every other way of not being such a token.
    """
    if len(token) > TOKEN_BYTES_MAX:
        raise TimestampInvalid("The time-stamp is larger than any real one.")
    try:
        signed, facts = _read(token)
        stamped_at: datetime = facts["gen_time"].native.astimezone(UTC)
        imprint = facts["message_imprint"]
        if imprint["hash_algorithm"]["algorithm"].native != hash_name or imprint["hashed_message"].native != digest:
            raise TimestampInvalid("The time-stamp is over something else.")
        if policy is not None and facts["policy"].native != policy and facts["policy"].dotted != policy:
            raise TimestampInvalid("The time-stamp was made under another policy than the one asked for.")
        context = _context(anchors, extra=extra, at=at or stamped_at)
        found = _waited(signed, context, digest)
    except (*_LEAKS, CMSStructuralError, SignatureValidationError, PathError, ValidationError) as e:
        raise TimestampInvalid("The time-stamp is not one, or is damaged.") from e
    if not found["intact"] or not found["valid"]:
        raise TimestampInvalid("The time-stamp is not signed by the authority that it names.")
    path = found["validation_path"]
    if anchors and (found["trust_problem_indic"] is not None or path is None):
        raise TimestampInvalid(f"The time-stamp's authority is not believed ({_problem(found)}).")
    certificate: asn1_x509.Certificate = found["signing_cert"]
    try:
        chain = _chain(path, certificate) if anchors else (_own(certificate),)
    except _LEAKS as e:
        raise TimestampInvalid("The certificate of the time-stamp's authority cannot be read.") from e
    if anchors:
        _refuse_ended(chain[-1], at=at or stamped_at)
        _refuse_odd_bits(chain[:-1])
    try:
        _refuse_revoked(chain, crls, stamped_at=at or stamped_at, held=held)
    except _LEAKS as e:
        raise TimestampInvalid("A revocation list for the time-stamp's authority cannot be read.") from e
    return Stamp(
        at=stamped_at,
        authority=str(certificate.subject.human_friendly),
        policy=str(facts["policy"].dotted),
        serial=int(facts["serial_number"].native),
        chain=chain,
        ends=min(c.not_valid_after_utc for c in chain[:-1] or chain),
        trusted=bool(anchors),
    )


def stripped(token: bytes, certificates: Sequence[x509.Certificate]) -> bytes:
    """
    The same token in the one form that an evidence file's newest time-stamp has, for nothing is over that one.

    A token's signature leaves much open: which certificates come with it, what else was attached unsigned, in which
    encoding. All of that is set here; what was signed, and by whom, stays byte for byte.

    :param certificates: the authority's first, then those between it and an anchor.
    :raises TimestampInvalid: it is no token.
    """
    try:
        signed, _ = _read(token)
        (given,) = signed["signer_infos"]
        kept = ("digest_algorithm", "signed_attrs", "signature_algorithm", "signature")
        own = _foreign(certificates[0])
        name = {"issuer": own.issuer, "serial_number": own.serial_number}
        signer = cms.SignerInfo(
            {"version": "v1", "sid": {"issuer_and_serial_number": name}, **{each: given[each] for each in kept}}
        )
        data = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [given["digest_algorithm"]],
                "encap_content_info": signed["encap_content_info"],
                "certificates": [_foreign(c) for c in certificates],
                "signer_infos": [signer],
            }
        )
        return bytes(cms.ContentInfo({"content_type": "signed_data", "content": data}).dump())
    except _LEAKS as e:
        raise TimestampInvalid("The time-stamp is not one, or is damaged.") from e


def refuse_loose(token: bytes, chain: Sequence[x509.Certificate]) -> None:
    """
    Refuse a token in which something is not as :func:`stripped` writes it.

    :param chain: as :func:`check_token` found it. What the token has of authorities above its end, for those who
        believe in one of them, must at least have issued that end.
    :raises TimestampInvalid: a byte that its signature leaves open is not what it was.
    """
    try:
        inside = [_own(c.chosen) for c in _read(token)[0]["certificates"]]
        if len(inside) > _CHAIN_MAX:
            raise TimestampInvalid("More certificates came with the time-stamp than with any real one.")
        above, top = [c for c in inside if c not in chain], chain[-1]
        while (issuer := next((c for c in above if _is_issued(top, c)), None)) is not None:
            above.remove(issuer)
            top = issuer
        same = stripped(token, [chain[0], *(c for c in inside if c != chain[0])]) == token
    except _LEAKS as e:
        raise TimestampInvalid("The certificates in the time-stamp cannot be read.") from e
    if not same or above:
        raise TimestampInvalid("Something that came with the time-stamp was changed.")


def _is_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _read(token: bytes) -> tuple[cms.SignedData, tsp.TSTInfo]:
    content = cms.ContentInfo.load(token, strict=True)
    if content["content_type"].native != "signed_data":
        raise TimestampInvalid("The time-stamp is not a signed one.")
    signed = content["content"]
    inside = signed["encap_content_info"]
    if inside["content_type"].native != "tst_info":
        raise TimestampInvalid("What is signed is not a time-stamp.")
    return signed, inside["content"].parsed


def _context(
    anchors: Sequence[x509.Certificate], *, extra: Sequence[x509.Certificate], at: datetime
) -> ValidationContext:
    return ValidationContext(
        trust_roots=[_foreign(c) for c in anchors],
        other_certs=[_foreign(c) for c in extra],
        moment=at,
        allow_fetching=False,
        # Revocation is judged below: a list is rarely of the token's own moment, and RFC 3161 has rules of its own.
        revocation_mode="soft-fail",
    )


def _refuse_ended(anchor: x509.Certificate, *, at: datetime) -> None:
    """The library takes an anchor whatever its dates are; whose key was thrown away years ago may be found."""
    if not anchor.not_valid_before_utc <= at <= anchor.not_valid_after_utc:
        raise TimestampInvalid("The time-stamp's authority is not believed (the root was not valid at that time).")


def _refuse_odd_bits(certificates: Sequence[x509.Certificate]) -> None:
    """Every signature is of whole octets: how many bits of the last are unused is signed by nobody."""
    for certificate in certificates:
        der = certificate.public_bytes(Encoding.DER)
        if der[-len(certificate.signature) - 1] != 0:
            raise TimestampInvalid("A certificate that came with the time-stamp was changed.")


def _refuse_revoked(
    chain: Sequence[x509.Certificate], crls: Iterable[bytes], *, stamped_at: datetime, held: datetime | None
) -> None:
    """Hold revocation lists against a chain; those of other issuers, or not signed by theirs, say nothing."""
    lists = [x509.load_der_x509_crl(der) for der in crls]
    for certificate, issuer in pairwise(chain):
        for one in lists:
            if one.issuer != issuer.subject or not one.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]  # kinds of keys that sign no lists raise TypeError
                continue
            entry = one.get_revoked_certificate_by_serial_number(certificate.serial_number)
            if entry is not None:
                since, reason = _since(entry), _reason(entry)
                refuse_revoked(since, harmless=reason in _HARMLESS, stamped_at=stamped_at, held=held)


def refuse_revoked(since: datetime, *, harmless: bool, stamped_at: datetime, held: datetime | None) -> None:
    """
    The rule for a token of which a certificate of the authority's chain was revoked.

    :param since: aware: from when on it is not to be believed.
    :param harmless: for a reason that leaves the key where it was.
    :raises TimestampRevoked: the token is not to be believed.

    Source: RFC 3161 §4; ETSI EN 319 102-1 §5.6.2.4.
    """
    existed = stamped_at if harmless else held
    if since <= stamped_at or existed is None or since <= existed:
        raise TimestampRevoked(since=since)


def _since(entry: x509.RevokedCertificate) -> datetime:
    """From when on; an authority that knows when the key was stolen says so beside the date of revoking."""
    try:
        stolen = entry.extensions.get_extension_for_class(x509.InvalidityDate).value.invalidity_date_utc
    except x509.ExtensionNotFound:
        return entry.revocation_date_utc
    return min(stolen, entry.revocation_date_utc)


_HARMLESS = frozenset(
    {
        x509.ReasonFlags.unspecified,
        x509.ReasonFlags.affiliation_changed,
        x509.ReasonFlags.superseded,
        x509.ReasonFlags.cessation_of_operation,
    }
)
"""Reasons for which what was stamped before the revocation stays good (RFC 3161 §4); without a reason it does not."""


def _reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags | None:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return None


def _waited(signed: cms.SignedData, context: ValidationContext, digest: bytes) -> dict[str, Any]:
    """The library's judgement; its interface is a coroutine, which may also be wanted from within another one."""

    def judge() -> dict[str, Any]:
        found: dict[str, Any] = asyncio.run(validate_tst_signed_data(signed, context, lambda _: digest))
        return found

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return judge()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(judge).result()


def _problem(found: dict[str, Any]) -> str:
    problem = found["trust_problem_indic"]
    return "no path to an anchor" if problem is None else str(problem.name).lower()


def _chain(path: Any, certificate: asn1_x509.Certificate) -> tuple[x509.Certificate, ...]:
    chain = [_own(c) for c in path.iter_certs(include_root=True)]
    own = _own(certificate)
    # certvalidator gives the anchor first.
    return tuple(reversed(chain)) if chain and chain[-1] == own else (own,)


def _foreign(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def _own(certificate: asn1_x509.Certificate) -> x509.Certificate:
    return x509.load_der_x509_certificate(certificate.dump())
