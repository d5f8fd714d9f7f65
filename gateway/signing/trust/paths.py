"""
Certificate paths to configured anchors, by pyhanko-certvalidator, without network and without revocation.

The rules are RFC 5280's; what is ours: which algorithms count (:class:`Algorithms`), and that the anchor,
too, must be within its time. Nothing is ever fetched: certificates that a path needs are configured, or came
with the signature.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from asn1crypto import algos, keys
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko_certvalidator.authority import TrustAnchor
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import PathBuildingError, PathError, ValidationError
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import (
    NO_REVOCATION,
    AlgorithmUsageConstraint,
    AlgorithmUsagePolicy,
    CertRevTrustPolicy,
)
from pyhanko_certvalidator.registry import CertificateRegistry, TrustManager
from pyhanko_certvalidator.validate import async_validate_path

from gateway.signing.trust.facts import UNREADABLE

PATHS_TRIED = 8
"""Paths to one certificate that are looked at; cross-signed authorities make two or three."""
STEPS_MAX = 500
"""Of one search for paths. Certificates of one name that may all have issued each other make a maze whose ways
grow as a factorial; a real path has three steps."""
EXTRA_CERTIFICATES = 16
"""Of the certificates that came with a signature."""
OLDEST_RSA_BITS = 1024
"""Never less, whatever is tolerated."""

FAILURES = (PathError, ValidationError, UnsupportedAlgorithm, x509.InvalidVersion, *UNREADABLE)
"""What certvalidator raises for a certificate that does not chain, or that cannot be decoded."""

# It logs, with stack traces, the names of whose certificates it does not like; the finding says all.
logging.getLogger("pyhanko_certvalidator").setLevel(logging.CRITICAL)

NO_CHECK = CertRevTrustPolicy(NO_REVOCATION, retroactive_revinfo=True)

_STRONG_DIGESTS = frozenset({"sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"})
_EDWARDS = frozenset({"ed25519", "ed448"})
_Result = TypeVar("_Result")

EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """Which weak algorithms a path may use."""

    sha1: bool = False
    rsa_1024: bool = False
    minimum_rsa_bits: int = 2048
    """Of an issuer's key."""


class Algorithms(AlgorithmUsagePolicy):
    """
    The signature algorithms that a path, a CRL or an OCSP answer may use: an allow-list.

    ``weak`` says afterwards whether something was let through that is only tolerated.
    """

    def __init__(self, tolerance: Tolerance) -> None:
        self.tolerance = tolerance
        self.weak = False

    def digest_algorithm_allowed(
        self, algo: algos.DigestAlgorithm, moment: datetime | None
    ) -> AlgorithmUsageConstraint:
        """Whether a digest may be used; ``moment`` does not matter: the moment's policy is the tolerance."""
        del moment
        return AlgorithmUsageConstraint(allowed=self._digest(algo["algorithm"].native))

    def signature_algorithm_allowed(
        self, algo: algos.SignedDigestAlgorithm, moment: datetime | None, public_key: keys.PublicKeyInfo | None
    ) -> AlgorithmUsageConstraint:
        """Whether a signature algorithm may be used with an issuer's key."""
        del moment
        try:
            allowed = algo["algorithm"].native in _EDWARDS or self._signature(algo, public_key)
        except ValueError:  # An algorithm that asn1crypto has no name for.
            allowed = False
        return AlgorithmUsageConstraint(allowed=allowed)

    def _signature(self, algo: algos.SignedDigestAlgorithm, public_key: keys.PublicKeyInfo | None) -> bool:
        match algo.signature_algo:
            case "rsassa_pkcs1v15" | "rsassa_pss":
                fits = public_key is None or self._rsa(public_key.bit_size)
            case "ecdsa":
                fits = True
            case _:
                fits = False
        return fits and self._digest(algo.hash_algo)

    def _digest(self, name: str) -> bool:
        if name == "sha1" and self.tolerance.sha1:
            self.weak = True
            return True
        return name in _STRONG_DIGESTS

    def _rsa(self, bits: int) -> bool:
        if self.tolerance.rsa_1024 and OLDEST_RSA_BITS <= bits < self.tolerance.minimum_rsa_bits:
            self.weak = True
            return True
        return bits >= self.tolerance.minimum_rsa_bits


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A validated path, and the time in which every certificate of it is valid."""

    certificates: tuple[x509.Certificate, ...]
    """Leaf first, anchor last."""
    path: ValidationPath
    weak: bool
    start: datetime
    end: datetime
    """Both inclusive, aware UTC."""


class Store:
    """Anchors and known intermediates, decoded once."""

    def __init__(self, anchors: Sequence[x509.Certificate], intermediates: Sequence[x509.Certificate]) -> None:
        self.anchors = tuple(_decoded(c) for c in anchors)
        self.intermediates = tuple(_decoded(c) for c in intermediates)

    def context(
        self, *, at: datetime, algorithms: Algorithms, extra: Iterable[asn1.Certificate] = (), **more: Any
    ) -> ValidationContext:
        """
        A context that never fetches and, unless ``more`` says otherwise, asks nothing about revocation.

        :param more: further arguments of :class:`ValidationContext`.
        """
        registry = _Registry()
        for certificate in (*self.intermediates, *extra):
            registry.register(certificate)
        return ValidationContext(
            trust_roots=list(self.anchors),
            certificate_registry=registry,
            moment=at,
            allow_fetching=False,
            algorithm_usage_policy=algorithms,
            **{"revinfo_policy": NO_CHECK, **more},
        )

    def chains(
        self, certificate: bytes, *, at: datetime, tolerance: Tolerance, extra: Sequence[x509.Certificate] = ()
    ) -> tuple[list[Chain], tuple[datetime, datetime]]:
        """
        The valid paths from an anchor to a certificate at a moment, best first, and how long this answer stands.

        :param certificate: DER; not trusted.
        :param extra: came with the signature; they can help to find a path and are not believed.
        :return: chains, none when there is none; the span around ``at`` in which no certificate of
            any path begins or ends.
        """
        try:
            leaf = asn1.Certificate.load(certificate, strict=True)
            context = self.context(
                at=at, algorithms=Algorithms(tolerance), extra=map(_decoded, extra[:EXTRA_CERTIFICATES])
            )
            paths = list(_paths(context, leaf))
        except FAILURES:
            return [], EVER
        found = [chain for path in paths if (chain := self._validated(path, at, tolerance)) is not None]
        edges = [_span(c) for path in paths for c in _certificates(path)]
        return sorted(found, key=lambda chain: chain.weak), _around(at, edges)

    def _validated(self, path: ValidationPath, at: datetime, tolerance: Tolerance) -> Chain | None:
        certificates = list(_certificates(path))
        spans = [_span(c) for c in certificates]
        start, end = max(s for s, _ in spans), min(e for _, e in spans)
        if not start <= at <= end:
            return None
        algorithms = Algorithms(tolerance)
        # A context of its own: certvalidator remembers in it what it has validated.
        context = self.context(at=at, algorithms=algorithms, extra=certificates)
        try:
            run(async_validate_path(context, path))
            made = tuple(x509.load_der_x509_certificate(c.dump()) for c in certificates)
        except FAILURES:
            return None
        return Chain(certificates=made, path=path, weak=algorithms.weak, start=start, end=end)


def run(waiting: Awaitable[_Result]) -> _Result:
    """
    The result of a coroutine that waits for nothing, without an event loop.

    certvalidator is asynchronous because it can fetch; it never does here. So its coroutines end at the
    first step, in a thread of Flask as inside somebody's event loop.

    :raises RuntimeError: it waits after all.
    """
    steps = waiting.__await__()
    try:
        next(steps)
    except StopIteration as done:
        result: _Result = done.value
        return result
    raise RuntimeError("certvalidator waits for something, although nothing may be fetched.")


def _paths(context: ValidationContext, leaf: asn1.Certificate) -> Iterator[ValidationPath]:
    candidates = context.path_builder.async_build_paths_lazy(leaf)
    for _ in range(PATHS_TRIED):
        try:
            yield run(candidates.__anext__())
        except StopAsyncIteration:
            return


def _certificates(path: ValidationPath) -> Iterator[asn1.Certificate]:
    """Leaf first; the anchor last."""
    yield from reversed(list(path))


def _span(certificate: asn1.Certificate) -> tuple[datetime, datetime]:
    validity = certificate["tbs_certificate"]["validity"]
    return validity["not_before"].native, validity["not_after"].native


def _around(at: datetime, spans: Iterable[tuple[datetime, datetime]]) -> tuple[datetime, datetime]:
    """The longest time around ``at`` in which none of these spans begins or ends, both ends included."""
    start, end = EVER
    for begins, ends in spans:
        if at < begins:
            end = min(end, begins - _TICK)
        elif at > ends:
            start = max(start, ends + _TICK)
        else:
            start, end = max(start, begins), min(end, ends)
    return start, end


class _Registry(CertificateRegistry):
    """Certificates to build paths from, in a bounded number of steps."""

    def __init__(self) -> None:
        super().__init__()
        self._steps = 0

    def find_potential_issuers(
        self, cert: asn1.Certificate, trust_manager: TrustManager
    ) -> Iterator[TrustAnchor | asn1.Certificate]:
        """Who may have issued a certificate."""
        self._steps += 1
        if self._steps > STEPS_MAX:
            raise PathBuildingError("The certificates that came along lead nowhere in any bounded time.")
        return super().find_potential_issuers(cert, trust_manager)


def _decoded(certificate: x509.Certificate) -> asn1.Certificate:
    return asn1.Certificate.load(certificate.public_bytes(Encoding.DER))
