"""
Whom to trust at a given moment: paths to configured anchors, revocation, and the one policy on key usage.

``anchors`` asks, ``paths`` and ``revocation`` answer with pyhanko-certvalidator, ``facts`` holds what is
known. No network, no clock, no settings.
"""

from gateway.signing.trust.anchors import CLOCK_SKEW, RevocationMode, TrustAnchors, TrustFinding
from gateway.signing.trust.facts import RevocationFacts, RevocationItem, read_item
from gateway.signing.trust.revocation import Revocation

__all__ = [
    "CLOCK_SKEW",
    "Revocation",
    "RevocationFacts",
    "RevocationItem",
    "RevocationMode",
    "TrustAnchors",
    "TrustFinding",
    "read_item",
]
