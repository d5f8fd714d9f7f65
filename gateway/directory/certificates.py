"""Certificates as the directory registers them: PEM text, named by the SHA-256 of the DER."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import KeyUnusable, NotFound, StateConflict
from gateway.model import Agency, RegisteredCertificate

ROLES = ("agency", "person", "gateway")


def register_certificate(
    pem: str,
    *,
    role: str = "agency",
    holder: str | None = None,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
) -> RegisteredCertificate:
    """
    One certificate in the form that the directory keeps.

    :param pem: exactly one certificate; text around it is dropped.
    :param holder: name and position of a person, for people to read.
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
    try:
        # Decoded only when they are asked for: later one of these would stop whoever goes through all certificates.
        _ = found[0].subject.rfc4514_string(), found[0].not_valid_before_utc, found[0].not_valid_after_utc
    except ValueError as e:
        raise KeyUnusable(f"The certificate's name or dates cannot be read ({e}).") from e
    return RegisteredCertificate(
        pem=found[0].public_bytes(Encoding.PEM).decode(),
        sha256=found[0].fingerprint(hashes.SHA256()).hex(),
        role=role,
        holder=holder,
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


# Registering, rotating, ending


@dataclass(frozen=True, kw_only=True)
class Registration:
    """One certificate of one agency."""

    agency: Agency
    certificate: RegisteredCertificate

    @property
    def ends(self) -> datetime:
        """When nothing can be signed with it any more: the certificate's own end, or that of its registration."""
        own = certificate_of(self.certificate).not_valid_after_utc
        registered = self.certificate.valid_to
        return own if registered is None else min(own, registered)

    @property
    def begins(self) -> datetime:
        """From when on it counts."""
        own = certificate_of(self.certificate).not_valid_before_utc
        registered = self.certificate.valid_from
        return own if registered is None else max(own, registered)


def registrations(agencies: Iterable[Agency]) -> list[Registration]:
    """Every registered certificate, in the order of the agencies."""
    return [Registration(agency=a, certificate=c) for a in agencies for c in a.certificates]


def find_registrations(agencies: Iterable[Agency], sha256: str) -> list[Registration]:
    """
    The registrations of one certificate: of one agency or of several, in one role or in more.

    :param sha256: its name, or the first characters of it, eight at least.
    :raises NotFound: none is registered, or several begin so.
    """
    wanted = sha256.strip().lower().replace(":", "")
    if not re.fullmatch("[0-9a-f]{8,64}", wanted):
        raise NotFound("A certificate is named by its SHA-256, or by at least the first 8 characters of it.")
    found = [r for r in registrations(agencies) if r.certificate.sha256.startswith(wanted)]
    if len(names := {r.certificate.sha256 for r in found}) != 1:
        raise NotFound(f"{len(names)} registered certificates begin with {wanted}.")
    return found


def covered(registration: Registration, *, role: str | None = None) -> bool:
    """Whether the same agency has another certificate, of the same role and holder, that goes on after this one."""
    mine = registration.certificate
    return any(
        other.sha256 != mine.sha256
        and other.role == (role or mine.role)
        and other.holder == mine.holder
        and (then := Registration(agency=registration.agency, certificate=other)).begins <= registration.ends
        and then.ends > registration.ends
        for other in registration.agency.certificates
    )


def added(agency: Agency, new: RegisteredCertificate) -> Agency:
    """
    The agency with one certificate more.

    :raises StateConflict: it is registered for this agency, in this role.
    """
    if any(c.sha256 == new.sha256 and c.role == new.role for c in agency.certificates):
        raise StateConflict(f"{agency.code} has this certificate already, in the role {new.role}.")
    return replace(agency, certificates=(*agency.certificates, new))


def ended(agency: Agency, sha256: str, *, at: datetime, role: str | None = None) -> Agency:
    """
    The agency with the registration of a certificate ending at ``at``, unless it ends earlier.

    What was signed before stays what it is: the registration is kept as history.

    :param role: of several registrations of one certificate; ``None``: all of them.
    """
    return replace(
        agency,
        certificates=tuple(
            replace(c, valid_to=at if c.valid_to is None else min(c.valid_to, at))
            if c.sha256 == sha256 and role in (None, c.role)
            else c
            for c in agency.certificates
        ),
    )


def rotated(
    agency: Agency, new: RegisteredCertificate, *, replaces: str | None, now: datetime, overlap: timedelta
) -> tuple[Agency, RegisteredCertificate]:
    """
    The agency with a certificate in another's place; the old one still counts for the overlap.

    :param new: its role and holder say whose place it takes, unless ``replaces`` does.
    :param replaces: SHA-256 of the old one.
    :return: the agency, and the old certificate as it was.
    :raises NotFound: nothing in force that it could replace.
    :raises StateConflict: several, of which ``replaces`` must name one; or the new one is registered already, or
        has ended.
    """
    old = _replaced(_in_force(agency.certificates, now), new, replaces)
    if len(old) > 1:
        raise StateConflict(
            f"{agency.code} has {len(old)} such certificates in force; say which one is replaced: "
            + ", ".join(c.sha256[:16] for c in old)
        )
    if not old:
        raise NotFound(f"{agency.code} has no certificate in force that this one could replace.")
    if new.holder is None:
        new = replace(new, holder=old[0].holder)
    with_new = added(agency, new)
    coming = Registration(agency=with_new, certificate=new)
    if coming.ends <= now:
        raise StateConflict(f"The certificate in its place has ended ({coming.ends.isoformat()}).")
    # The new one's own first moment too: authorities date ahead, and nobody could sign in between.
    return ended(with_new, old[0].sha256, at=max(now, coming.begins) + overlap, role=old[0].role), old[0]


def _in_force(certificates: Sequence[RegisteredCertificate], now: datetime) -> list[RegisteredCertificate]:
    return [
        c
        for c in certificates
        if (c.valid_to is None or now < c.valid_to) and now <= certificate_of(c).not_valid_after_utc
    ]


def _replaced(
    present: Sequence[RegisteredCertificate], new: RegisteredCertificate, replaces: str | None
) -> list[RegisteredCertificate]:
    if replaces is not None:
        return [c for c in present if c.sha256.startswith(replaces.lower()) and c.role == new.role]
    return [c for c in present if c.role == new.role and c.holder == new.holder]
