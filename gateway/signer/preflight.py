"""Whether a signature made now would be worth something: asked before the person types a PIN; pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.signer.texts import Text
from gateway.signing.keys import fingerprint, usage_allows_signing

EXPIRING = timedelta(days=30)
WRONG_BY = timedelta(minutes=2)
"""A signature's own time is this machine's; receivers take a few minutes for granted, and a stamp tells the truth."""

Level = Literal["error", "warning"]


class AtGateway(enum.StrEnum):
    """What an agency's gateway says of a certificate."""

    GOOD = "good"
    UNUSABLE = "unusable"
    """Registered, and a signature by it would not be valid now: revoked, for one."""
    STRANGER = "stranger"
    """Not registered for the agency."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that stands in the way (``error``), or soon will (``warning``)."""

    code: str
    level: Level
    words: Text


@dataclass(frozen=True, kw_only=True)
class CertificateState:
    """A certificate of the token, and what is to be said of it."""

    sha256: str
    subject: str
    """RFC 4514."""
    holder: str
    """Common name, or the whole subject where there is none."""
    issuer: str
    serial: str
    """Hex."""
    not_before: datetime
    not_after: datetime
    pem: str
    findings: tuple[Finding, ...]

    @property
    def can_sign(self) -> bool:
        """Nothing stands in the way."""
        return all(f.level != "error" for f in self.findings)


def holder_of(certificate: x509.Certificate) -> str:
    """Whom a certificate names, for a person to read."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def examine(certificate: x509.Certificate, *, at_gateway: AtGateway | None, at: datetime) -> CertificateState:
    """
    What is to be said of a certificate.

    :param at_gateway: ``None``: nobody could be asked.
    :param at: aware.
    """
    return CertificateState(
        sha256=fingerprint(certificate),
        subject=certificate.subject.rfc4514_string(),
        holder=holder_of(certificate),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        pem=certificate.public_bytes(Encoding.PEM).decode("ascii"),
        findings=tuple(_of_certificate(certificate, at_gateway, at)),
    )


def _of_certificate(certificate: x509.Certificate, at_gateway: AtGateway | None, at: datetime) -> list[Finding]:
    found = []
    end = certificate.not_valid_after_utc
    if at < certificate.not_valid_before_utc:
        found.append(_error("certificate.not_yet_valid", "Chứng thư chưa có hiệu lực.", "It is not valid yet."))
    elif at > end:
        found.append(_error("certificate.expired", "Chứng thư đã hết hạn.", "It has expired."))
    elif end - at < EXPIRING:
        days = (end - at).days
        words = Text(f"Chứng thư còn {days} ngày là hết hạn.", f"It expires in {days} days.")
        found.append(Finding(code="certificate.expiring", level="warning", words=words))
    if not usage_allows_signing(certificate):
        found.append(
            _error("certificate.usage", "Chứng thư không dùng để ký văn bản.", "It is not for signing documents.")
        )
    if at_gateway is AtGateway.STRANGER:
        found.append(
            _error(
                "certificate.not_registered",
                "Chứng thư chưa đăng ký cho cơ quan này tại trục liên thông.",
                "It is not registered for this agency at the gateway.",
            )
        )
    if at_gateway is AtGateway.UNUSABLE:
        found.append(
            _error(
                "certificate.unusable",
                "Trục liên thông sẽ không coi chữ ký của chứng thư này là hợp lệ.",
                "The gateway would not take a signature by it for valid.",
            )
        )
    return found


def examine_clock(ahead: timedelta | None) -> tuple[Finding, ...]:
    """
    What is to be said of this machine's clock.

    :param ahead: of the gateway's; ``None``: nobody could be asked.
    """
    if ahead is None or abs(ahead) <= WRONG_BY:
        return ()
    minutes = round(abs(ahead).total_seconds() / 60)
    way = Text("nhanh", "ahead") if ahead > timedelta() else Text("chậm", "behind")
    words = Text(
        f"Đồng hồ máy này chạy {way.vi} {minutes} phút so với trục liên thông.",
        f"This machine's clock is {minutes} minutes {way.en} of the gateway's.",
    )
    return (Finding(code="clock.wrong", level="warning", words=words),)


def _error(code: str, vi: str, en: str) -> Finding:
    return Finding(code=code, level="error", words=Text(vi, en))
