"""CMS signatures (RFC 5652): their value, their time-stamps, and files that are one (``.p7s``, ``.p7m``)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO

from asn1crypto import cms, pem, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from pyhanko.sign.general import SignedDataCerts
from pyhanko.sign.validation import generic_cms

from gateway.model import FileSignature, FileStanding, SignerRole
from gateway.signing.files.leaks import LEAKS
from gateway.signing.files.policy import STRONG_DIGESTS, WEAK_DIGESTS, FilePolicy, role_by_subject
from gateway.signing.files.reasons import FileReason
from gateway.signing.files.verdicts import Judgement, Unreadable, joined
from gateway.signing.keys import known
from gateway.signing.trust import TrustAnchors

_LARGEST = 16 * 1024 * 1024
"""Bytes of a CMS file; what it encloses is not judged, so nothing larger is worth holding."""
_CERTIFICATE_MAX = 64 * 1024
"""Bytes; real ones have two thousand, and what is not bounded here is kept with the verdict."""
_SIGNERS_MAX = 32
_STAMPS_MAX = 4
_HARMLESS = frozenset({"affiliation_changed", "superseded", "cessation_of_operation"})
"""Reasons for which what was stamped before a revocation stays good (RFC 3161 §4). "Unspecified" is one there; here it
also stands for no reason at all, which is none."""
_SIGNATURES = frozenset({"rsassa_pkcs1v15", "rsassa_pss", "ecdsa"})


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A signature value that its certificate's key made over the digest given."""

    certificate: x509.Certificate
    embedded: tuple[x509.Certificate, ...]
    """The other certificates that came with it; not believed."""
    weak: bool


class Refused(Exception):
    """A signature that is not good, and how it stands; never leaves this package."""

    def __init__(self, standing: FileStanding, reason: FileReason) -> None:
        self.standing = standing
        self.reason = reason
        super().__init__(reason.value)


def digest_names(info: cms.SignerInfo) -> tuple[str, str]:
    """The names of a signature's two digests: of the content, and of the signed attributes."""
    content = str(info["digest_algorithm"]["algorithm"].native).lower()
    algorithm = info["signature_algorithm"]
    # In the oldest form of RSA (rsaEncryption) the algorithm names no hash: it is that of the content.
    named = algorithm["algorithm"].native != "rsassa_pkcs1v15"
    return content, str(algorithm.hash_algo).lower() if named else content


def check_signature(
    signed: cms.SignedData, info: cms.SignerInfo, digest: bytes, *, content_type: str, policy: FilePolicy
) -> Checked:
    """
    Check one signer's value over a digest with the key of the certificate that it names.

    Whom that certificate belongs to, and whether it was good, is not looked at.

    :param digest: of the content, by the digest algorithm that ``info`` names.
    :raises Refused: it is not a good signature.
    """
    try:
        found: SignedDataCerts = generic_cms.extract_certs_for_validation(signed)
        weak = _is_weak(info, policy)
        intact, valid = generic_cms.validate_sig_integrity(info, found.signer_cert, content_type, digest)
        certificate = plain(found.signer_cert)
        others = tuple(plain(c) for c in found.other_certs)
    except LEAKS as e:
        raise Refused(FileStanding.UNREADABLE, FileReason.SIGNATURE_BROKEN) from e
    if not intact:
        raise Refused(FileStanding.ALTERED, FileReason.DIGEST_MISMATCH)
    if not valid:
        raise Refused(FileStanding.ALTERED, FileReason.VALUE_MISMATCH)
    return Checked(certificate=certificate, embedded=others, weak=weak)


def _is_weak(info: cms.SignerInfo, policy: FilePolicy) -> bool:
    """
    Whether a signature uses what policy only tolerates.

    :raises Refused: it uses what policy does not accept.
    """
    digests = set(digest_names(info))
    refused = digests - STRONG_DIGESTS
    if policy.tolerate_sha1:
        refused -= WEAK_DIGESTS
    if refused or info["signature_algorithm"].signature_algo not in _SIGNATURES:
        raise Refused(FileStanding.UNTRUSTED, FileReason.ALGORITHM)
    return bool(digests & WEAK_DIGESTS)


def plain(certificate: asn1_x509.Certificate) -> x509.Certificate:
    """
    The certificate as ``cryptography`` has it.

    :raises ValueError: it is none, or far larger than any real one; so do others of ``LEAKS``.
    """
    der = certificate.dump()
    if len(der) > _CERTIFICATE_MAX:
        raise ValueError("A certificate that is too large.")
    return x509.load_der_x509_certificate(der)


# Time-stamps


def stamped_at(info: cms.SignerInfo, *, anchors: TrustAnchors, policy: FilePolicy) -> datetime | None:
    """
    When a trusted authority stamped the signature's value; ``None`` when none that is trusted did.

    :return: aware UTC; the earliest of several.

    Source: RFC 5816, RFC 3161 Appendix A; ETSI EN 319 122-1 §5.3.
    """
    value = info["signature"].native
    try:
        tokens = list(generic_cms.extract_tst_data_iter(info, signed=False))[:_STAMPS_MAX]
    except LEAKS:
        return None
    times = [check_token(token, value, anchors=anchors, policy=policy) for token in tokens]
    return min((t for t in times if t is not None), default=None)


def check_token(
    token: cms.SignedData, stamped: bytes | None, *, anchors: TrustAnchors, policy: FilePolicy, imprint: Any = None
) -> datetime | None:
    """
    The time that a token proves; ``None`` when it is not over this, not intact, or not by a trusted authority.

    The authority's certificate must be for time-stamping and nothing else, chain to an anchor, and have been good
    at the time that the token gives; one whose key may be in other hands proves no time at all.

    :param stamped: the bytes that were stamped; ``None``: ``imprint`` says their digest by its algorithm's name.
    """
    try:
        encapsulated = token["encap_content_info"]
        content = encapsulated["content"]
        said = content.parsed
        if encapsulated["content_type"].native != "tst_info" or not isinstance(said, tsp.TSTInfo):
            return None
        name = str(said["message_imprint"]["hash_algorithm"]["algorithm"].native).lower()
        if name not in STRONG_DIGESTS | (WEAK_DIGESTS if policy.tolerate_sha1 else frozenset()):
            return None
        digest = imprint(name) if stamped is None else hashlib.new(name, stamped).digest()
        if said["message_imprint"]["hashed_message"].native != digest:
            return None
        (info,) = token["signer_infos"]
        own = hashlib.new(digest_names(info)[0], bytes(content)).digest()
        checked = check_signature(token, info, own, content_type="tst_info", policy=policy)
        at: datetime = said["gen_time"].native.astimezone(UTC)
        return at if _is_authority(checked, at, anchors=anchors, policy=policy) else None
    except (Refused, *LEAKS):
        return None


def _is_authority(checked: Checked, at: datetime, *, anchors: TrustAnchors, policy: FilePolicy) -> bool:
    """Whether a time-stamp authority's certificate was good at ``at``; without anchors for them none is."""
    authorities = anchors.authorities
    if not authorities:
        return False
    try:
        purposes = checked.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, ValueError):
        return False
    if list(purposes.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        return False
    finding = authorities.judge(
        known(checked.certificate),
        at=at,
        tolerate_sha1=policy.tolerate_sha1,
        minimum_rsa_bits=policy.minimum_rsa_bits,
        tolerate_rsa_1024=policy.tolerate_rsa_1024,
        extra=checked.embedded,
    )
    if finding.revoked_at is not None and finding.revocation_reason not in _HARMLESS:
        return False  # whoever has its key can write any time
    return finding.reason is None


# Files that are a CMS


def judge_cms(source: BinaryIO) -> Judgement:
    """
    Name the signers of a CMS file; their signatures are not judged, for what they sign may be another file.

    :raises Unreadable: it is too large, or no CMS after all.
    """
    raw = source.read(_LARGEST + 1)
    if len(raw) > _LARGEST:
        raise Unreadable(FileReason.TOO_LARGE)
    try:
        if pem.detect(raw[:1024].lstrip()):
            raw = pem.unarmor(raw.lstrip())[2]
        content = cms.ContentInfo.load(raw)
        if content["content_type"].native != "signed_data":
            raise Unreadable(FileReason.BROKEN)
        signed = content["content"]
        infos = list(signed["signer_infos"])
        if len(infos) > _SIGNERS_MAX:
            raise Unreadable(FileReason.TOO_LARGE)
        certificates = [c.chosen for c in signed["certificates"] if isinstance(c.chosen, asn1_x509.Certificate)]
        found = [_named(n, info, certificates) for n, info in enumerate(infos, 1)]
    except LEAKS as e:
        raise Unreadable(FileReason.BROKEN) from e
    return joined("other", found)


def _named(number: int, info: cms.SignerInfo, certificates: Sequence[asn1_x509.Certificate]) -> FileSignature:
    own = next((c for c in certificates if _is_named_by(info["sid"], c)), None)
    facts = known(plain(own)) if own is not None else None
    claimed = generic_cms.extract_self_reported_ts(info)
    return FileSignature(
        field=f"SignerInfo {number}",
        role=role_by_subject(facts) if facts else SignerRole.UNKNOWN,
        standing=FileStanding.NOT_JUDGED,
        reason=FileReason.NOT_JUDGED,
        subject=facts.subject if facts else None,
        certificate_sha256=facts.sha256 if facts else None,
        claimed_at=claimed.astimezone(UTC) if claimed and claimed.tzinfo else None,
    )


def _is_named_by(sid: cms.SignerIdentifier, certificate: asn1_x509.Certificate) -> bool:
    if sid.name == "issuer_and_serial_number":
        chosen = sid.chosen
        return bool(
            chosen["issuer"] == certificate.issuer and chosen["serial_number"].native == certificate.serial_number
        )
    return bool(sid.native == certificate.key_identifier)
