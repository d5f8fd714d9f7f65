"""What the person who checks a file gives; apart from those who use it, so that a package is checked without them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from gateway.signing.trust import RevocationItem


@dataclass(frozen=True, kw_only=True)
class Given:
    """What the person who checks gives, and believes."""

    anchors: tuple[x509.Certificate, ...] = ()
    """Root certificates of signers."""
    authorities: tuple[x509.Certificate, ...] = ()
    """Root certificates of time-stamp authorities; none: whoever is a root of signers may be one of these too."""
    gateways: tuple[x509.Certificate, ...] = ()
    """Certificates of the gateway that is meant: believed as they are; nobody else is taken for it."""
    senders: tuple[x509.Certificate, ...] = ()
    """Certificates of senders, for packages."""
    revocation: tuple[RevocationItem, ...] = ()
    """CRLs and OCSP answers, besides those in the file."""
    require_revocation: bool = False
    """Whether a signature or time-stamp counts only when it is known that its certificate was not revoked."""
    at: datetime
    """Now, aware UTC: the moment that counts for what no time-stamp proves to be older."""

    @property
    def stamp_anchors(self) -> tuple[x509.Certificate, ...]:
        """Whom to believe for time-stamps."""
        return self.authorities or self.anchors
