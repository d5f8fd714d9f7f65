"""Whose signatures are expected in files, and which algorithms are tolerated; data, and the rule on roles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.model import SignerRole, fold, normal_key
from gateway.signing.keys import KnownCertificate

STRONG_DIGESTS = frozenset({"sha256", "sha384", "sha512"})
WEAK_DIGESTS = frozenset({"sha1"})

_ORGANIZATION = re.compile(
    r"(ủy ban|uỷ ban|ubnd|hội đồng|hđnd|sở|bộ|ban|cục|chi cục|tổng cục|vụ|phòng|văn phòng|trung tâm|thanh tra|viện|"
    r"công an|tòa án|toà án|trường|học viện|bệnh viện|kho bạc|bảo hiểm|quỹ|đoàn đại biểu|đoàn thanh niên|hội|"
    r"đảng ủy|tỉnh ủy|thành ủy|công ty|tập đoàn|tổng công ty|chính phủ|quốc hội|nhà xuất bản|báo|đài|cơ quan|con dấu|"
    r"uy ban|hoi dong|hdnd|chi cuc|tong cuc|van phong|trung tam|cong an|toa an|benh vien|kho bac|cong ty)\b"
)
"""How the name of a Vietnamese organisation, or of its seal, begins, lower case. With its marks: Vụ is a department,
Vũ a surname."""
_PERSONAL_ID = re.compile(r"(cccd|cmnd|cmt|hc|pid):", re.IGNORECASE)
"""Prefixes of a person's number in ``UID`` or ``serialNumber``: identity card, passport."""
_COMPANY_ID = re.compile(r"(mst|mdn|mns|qhns):", re.IGNORECASE)
"""Prefixes of an organisation's number there: tax code, budget code."""


@dataclass(frozen=True, kw_only=True)
class RegisteredSigner:
    """A certificate whose holder is known: registered in the directory for an agency or one of its people."""

    sha256: str
    """Lower-case hex of the DER."""
    role: SignerRole
    valid_from: datetime | None = None
    """Start of the registration, aware UTC; ``None``: as long as the certificate itself."""
    valid_to: datetime | None = None
    """End of the registration, exclusive."""

    def holds_at(self, at: datetime) -> bool:
        """Whether the registration holds at that moment."""
        return (self.valid_from is None or self.valid_from <= at) and (self.valid_to is None or at < self.valid_to)


@dataclass(frozen=True, kw_only=True)
class FilePolicy:
    """What to accept inside the files of one sender."""

    tolerate_sha1: bool = False
    """Judge signatures and certificates made with SHA-1 as ``valid_weak`` instead of ``untrusted``."""
    tolerate_rsa_1024: bool = False
    minimum_rsa_bits: int = 2048
    role_by_subject: bool = True
    """Tell person from agency by the certificate's subject where it is not registered; else ``unknown``."""


def registered_roles(sha256: str, registered: Sequence[RegisteredSigner], *, at: datetime) -> frozenset[SignerRole]:
    """The roles in which a certificate is registered at ``at``: for several agencies, it may be more than one."""
    return frozenset(r.role for r in registered if r.sha256 == sha256 and r.holds_at(at))


def role_by_subject(certificate: KnownCertificate) -> SignerRole:
    """
    Person or agency, by what Vietnamese issuers write into a subject.

    A number of a person or of an organisation decides; else a given name or surname; else a common
    name that is missing, repeats the organisation, or begins as organisations' names do, is an agency's.

    Source: domain §4.3 (O/OU only against the CN of a person).
    """
    subject = certificate.certificate.subject
    numbers = [*_values(subject, NameOID.USER_ID), *_values(subject, NameOID.SERIAL_NUMBER)]
    if any(_PERSONAL_ID.match(n) for n in numbers):
        return SignerRole.PERSON
    if any(_COMPANY_ID.match(n) for n in numbers):
        return SignerRole.AGENCY
    if _values(subject, NameOID.GIVEN_NAME) or _values(subject, NameOID.SURNAME):
        return SignerRole.PERSON
    names = _values(subject, NameOID.COMMON_NAME)
    organizations = {
        fold(n) for oid in (NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME) for n in _values(subject, oid)
    }
    if not names:
        return SignerRole.AGENCY if organizations else SignerRole.UNKNOWN
    if {fold(n) for n in names} <= organizations or any(_ORGANIZATION.match(normal_key(n).casefold()) for n in names):
        return SignerRole.AGENCY
    return SignerRole.PERSON


def _values(name: x509.Name, oid: x509.ObjectIdentifier) -> list[str]:
    return [v for a in name.get_attributes_for_oid(oid) if isinstance(v := a.value, str) and v.strip()]
