"""The certificate behind one signature: when it counts, whether it was good then, and in which role it signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from cryptography import x509

from gateway.model import FileStanding, SignerRole
from gateway.signing.files.policy import FilePolicy, RegisteredSigner, registered_roles, role_by_subject
from gateway.signing.files.reasons import OF_CERTIFICATE, FileReason
from gateway.signing.keys import known
from gateway.signing.policy import Reason
from gateway.signing.trust import TrustAnchors


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What every signature of one file is judged by."""

    registered: Sequence[RegisteredSigner]
    anchors: TrustAnchors
    policy: FilePolicy
    at: datetime
    """Aware UTC: when the file was received; nothing in it can have been signed later."""


@dataclass(frozen=True, kw_only=True)
class Signer:
    """What is found of one signer."""

    role: SignerRole
    standing: FileStanding
    reason: FileReason
    subject: str
    sha256: str


def judge_signer(
    certificate: x509.Certificate,
    *,
    scope: Scope,
    claimed_at: datetime | None,
    stamped_at: datetime | None,
    weak: bool,
    embedded: Sequence[x509.Certificate] = (),
) -> Signer:
    """
    Say whether the certificate of an intact signature was good when it signed.

    The moment is that of a trusted time-stamp. Without one it is the claimed time, when that is not
    after receipt: a certificate that has expired since is believed to have signed before, as years of
    archived dispatches need. A certificate that was revoked before receipt is not believed: whoever has
    its key can claim any time, and only a time-stamp shows that the signature is older.

    :param claimed_at: the signer's word; ``None``: it does not say.
    :param stamped_at: by a trusted time-stamp authority; ``None``: there is none.
    :param weak: the signature itself uses what policy only tolerates.
    :param embedded: certificates that came with the signature; they may help to build the path.

    Source: docs/trust.md, signatures inside files; ETSI EN 319 102-1 §5.5 (past signature validation).
    """
    facts = known(certificate)
    moment = stamped_at or believed(claimed_at, scope)
    standing, reason = _standing(
        certificate,
        scope,
        moment,
        registered=bool(registered_roles(facts.sha256, scope.registered, at=moment)),
        stamped=stamped_at is not None,
        embedded=embedded,
    )
    if weak and standing is FileStanding.VALID:
        standing, reason = FileStanding.VALID_WEAK, FileReason.WEAK
    role = role_of(certificate, scope=scope, at=moment)
    return Signer(role=role, standing=standing, reason=reason, subject=facts.subject, sha256=facts.sha256)


def role_of(certificate: x509.Certificate, *, scope: Scope, at: datetime) -> SignerRole:
    """
    In which role a certificate signs: as it is registered at that moment, else by its subject.

    By its subject too, when it is registered in both roles: the order of the directory is no reason.
    """
    facts = known(certificate)
    roles = registered_roles(facts.sha256, scope.registered, at=at)
    if len(roles) == 1:
        return min(roles)
    return role_by_subject(facts) if scope.policy.role_by_subject else SignerRole.UNKNOWN


def believed(claimed_at: datetime | None, scope: Scope) -> datetime:
    """The claimed time, when it is not after receipt; else the time of receipt."""
    return claimed_at if claimed_at is not None and claimed_at < scope.at else scope.at


def _standing(
    certificate: x509.Certificate,
    scope: Scope,
    moment: datetime,
    *,
    registered: bool,
    stamped: bool,
    embedded: Sequence[x509.Certificate],
) -> tuple[FileStanding, FileReason]:
    """How the certificate stood at ``moment``."""
    judge = partial(
        scope.anchors.judge,
        known(certificate),
        tolerate_sha1=scope.policy.tolerate_sha1,
        minimum_rsa_bits=scope.policy.minimum_rsa_bits,
        tolerate_rsa_1024=scope.policy.tolerate_rsa_1024,
        extra=embedded,
    )
    finding = judge(at=moment)
    revoked_at = finding.revoked_at
    if finding.reason is Reason.CERTIFICATE_REVOKED or (revoked_at and not stamped and revoked_at <= scope.at):
        return FileStanding.REVOKED, FileReason.CERTIFICATE_REVOKED
    if finding.reason is not None:
        reason = OF_CERTIFICATE.get(finding.reason, FileReason.CERTIFICATE_UNTRUSTED)
        return FileStanding.UNTRUSTED, reason
    if not scope.anchors and not registered:
        # Without anchors registration alone is the ground of trust, and nobody registered this one.
        return FileStanding.UNTRUSTED, FileReason.CERTIFICATE_UNTRUSTED
    # The claimed time says nothing about revocation: a list of that day, in the file, is no word on the time since.
    if finding.undecided or (not stamped and moment < scope.at and judge(at=scope.at).undecided):
        return FileStanding.INDETERMINATE, FileReason.REVOCATION_UNKNOWN
    if finding.weak:
        return FileStanding.VALID_WEAK, FileReason.WEAK
    return FileStanding.VALID, FileReason.VERIFIED
