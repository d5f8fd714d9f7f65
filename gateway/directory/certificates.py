"""Certificates as the directory registers them: PEM text, named by the SHA-256 of the DER."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import KeyUnusable
from gateway.model import Agency, RegisteredCertificate

ROLES = ("agency", "person", "gateway")


def register_certificate(
    pem: str, *, role: str = "agency", valid_from: datetime | None = None, valid_to: datetime | None = None
) -> RegisteredCertificate:
    """
    One certificate in the form that the directory keeps.

    :param pem: exactly one certificate; text around it is dropped.
    :raises KeyUnusable: when there is none, are several, or a private key lies beside it: the
        directory is copied about and shown, and must never carry one.
    """
    if "PRIVATE KEY" in pem:
        raise KeyUnusable("The PEM text holds a private key; register the certificate alone.")
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError as e:
        raise KeyUnusable(f"The PEM text holds no readable certificate ({e}).") from e
    if len(found) != 1:
        raise KeyUnusable(f"The PEM text holds {len(found)} certificates; register each by itself.")
    return RegisteredCertificate(
        pem=found[0].public_bytes(Encoding.PEM).decode(),
        sha256=found[0].fingerprint(hashes.SHA256()).hex(),
        role=role,
        valid_from=valid_from,
        valid_to=valid_to,
    )


def registered_certificates(
    agency: Agency, *, at: datetime, roles: tuple[str, ...] = ("agency", "person")
) -> tuple[RegisteredCertificate, ...]:
    """The certificates that the agency could sign with at a moment; the certificates' own dates are for ``signing``."""
    return tuple(
        c
        for c in agency.certificates
        if c.role in roles and (c.valid_from is None or c.valid_from <= at) and (c.valid_to is None or at < c.valid_to)
    )


def certificate_of(registered: RegisteredCertificate) -> x509.Certificate:
    """The parsed certificate, remembered: a busy sender's is asked for with every package."""
    return _parsed(registered.pem)


@lru_cache(maxsize=4096)
def _parsed(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as e:
        raise KeyUnusable(f"A registered certificate cannot be read ({e}).") from e
