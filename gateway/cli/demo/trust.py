"""The demo's own authorities: a root, one below it, and the keys of agencies and of the persons who sign for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.cli.demo.mail import DEPARTMENT, GOVERNMENT_OFFICE, LAO_CAI, Office
from gateway.model import AgencyCode
from gateway.signing.keys import (
    SigningKey,
    certificates_to_pem,
    generate_key,
    issue_certificate,
    key_to_pkcs12,
    make_ca,
    subject_name,
    write_secret,
)

ROOT = "ca.crt"
"""File of the one certificate that the demo's gateways, and ``gateway verify`` at its end, believe."""
INTERMEDIATE = "ca-signing.crt"

_ORGANIZATION = "Trình diễn"
_PASSWORD = "demo"  # noqa: S105 - of keys that are good for nothing outside a demonstration


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    code: AgencyCode
    person: str
    """Whose signature stands before the agency's."""
    position: str
    rsa_bits: int | None = None
    """Of the agency's key; ``None``: P-256."""


_OFFICES = {
    "department": _Wanted(code=DEPARTMENT, person="Nguyễn Văn Mẫu", position="Giám đốc"),
    "laocai": _Wanted(code=LAO_CAI, person="Trần Thị Mẫu", position="Chủ tịch"),
    # Many agencies hold RSA keys of public CAs; both kinds must work side by side.
    "government": _Wanted(code=GOVERNMENT_OFFICE, person="Lê Văn Mẫu", position="Phó Chủ nhiệm", rsa_bits=2048),
}


@dataclass(frozen=True, kw_only=True)
class Authorities:
    """The demo's PKI, its certificates and the agencies' keys lying in the demo's folder."""

    issuing: SigningKey
    """Issues what signs; its own certificate is the root's."""
    offices: Mapping[str, Office]
    """By name: the agencies that sign."""


def make_authorities(folder: Path, *, now: datetime) -> Authorities:
    """
    Make all keys and certificates, and lay them into the folder.

    :param now: aware; certificates are valid from then on.
    """
    root = make_ca(subject_name("Demo Root CA", organization=_ORGANIZATION), at=now)
    issuing = make_ca(subject_name("Demo Signing CA", organization=_ORGANIZATION), at=now, issuer=root)
    write_secret(folder / ROOT, certificates_to_pem([root.certificate]))
    write_secret(folder / INTERMEDIATE, certificates_to_pem([issuing.certificate]))
    offices = {name: _office(wanted, issuing, now) for name, wanted in _OFFICES.items()}
    for name, office in offices.items():
        # Kept beside, so that a person can sign PDFs and packages of their own while the demo runs.
        for file, key in ((name, office.seal), (f"{name}-person", office.person)):
            write_secret(folder / f"{file}.p12", key_to_pkcs12(key, _PASSWORD))
            write_secret(folder / f"{file}.crt", certificates_to_pem([key.certificate]))
    return Authorities(issuing=issuing, offices=offices)


def _office(wanted: _Wanted, issuing: SigningKey, now: datetime) -> Office:
    seal = subject_name(f"Con dấu số {wanted.code}", organization=_ORGANIZATION, code=wanted.code)
    person = subject_name(wanted.person, organization=_ORGANIZATION)
    return Office(
        code=wanted.code,
        seal=issue_certificate(issuing, seal, generate_key(rsa_bits=wanted.rsa_bits), at=now),
        person=issue_certificate(issuing, person, generate_key(), at=now),
        holder=f"{wanted.person}, {wanted.position}",
    )
