"""
Whether a registered certificate chains to an anchor, at a given moment.

Revocation is not looked at yet. The path rules are permissive where Vietnamese clerks'
certificates need it (no subjectAltName, no web purposes) and those of cryptography's verifier
otherwise: SHA-1 in the chain and weak CA keys are refused and cannot be allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from gateway.signing.keys import KnownCertificate

# A clerk's certificate has any extensions; critical CertificatePolicies need naming to pass.
_LEAF = ExtensionPolicy.permit_all().may_be_present(x509.CertificatePolicies, Criticality.AGNOSTIC, None)
# Of an authority, only that it says it is one.
_AUTHORITY = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    .may_be_present(x509.CertificatePolicies, Criticality.AGNOSTIC, None)
)


class TrustAnchors:
    """
    The configured anchors and known intermediates, and what was found of chains before.

    Found chains are remembered by the certificate's hash together with the span in which
    every certificate of the chain is valid: a check costs 0.2 ms, remembering 0.004 ms.
    Failures are not remembered; only registered certificates are ever asked about.
    """

    def __init__(
        self, anchors: Sequence[x509.Certificate] = (), intermediates: Sequence[x509.Certificate] = ()
    ) -> None:
        self._anchors = tuple(anchors)
        self._intermediates = list(intermediates)
        # Made once: the store indexes the anchors, and is immutable.
        self._store = Store(list(anchors)) if anchors else None
        self._spans: dict[str, tuple[datetime, datetime]] = {}

    def __bool__(self) -> bool:
        """False when no anchor is configured: registration alone is then the ground of trust."""
        return bool(self._anchors)

    def trusts(self, certificate: KnownCertificate, *, at: datetime) -> bool:
        """
        Say whether ``certificate`` chains to an anchor at ``at``.

        :param at: aware; every certificate of the chain, the anchor included, must be valid then.
        :return: True also when no anchor is configured.
        """
        if self._store is None:
            return True
        name = certificate.sha256
        span = self._spans.get(name)
        if span is None or not span[0] <= at <= span[1]:
            span = self._chain_span(self._store, certificate.certificate, at)
            if span is None:
                return False
            self._spans[name] = span
        return True

    def _chain_span(
        self, store: Store, certificate: x509.Certificate, at: datetime
    ) -> tuple[datetime, datetime] | None:
        """The time in which the whole chain is valid; ``None`` when there is no chain at ``at``."""
        verifier = (
            PolicyBuilder()
            .store(store)
            .time(at.astimezone(UTC))
            .extension_policies(ee_policy=_LEAF, ca_policy=_AUTHORITY)
            .build_client_verifier()
        )
        try:
            chain = verifier.verify(certificate, self._intermediates).chain
        # ValueError: an extension of the certificate that cannot be decoded.
        except (VerificationError, ValueError):
            return None
        return max(c.not_valid_before_utc for c in chain), min(c.not_valid_after_utc for c in chain)
