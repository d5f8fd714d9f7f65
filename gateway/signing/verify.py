"""
The one door to a verified document (design D2).

``judge`` says what is known of a package's signature and never raises for a bad one;
``verify`` lets a package through when the sender's policy accepts that, and is the only
maker of :class:`VerifiedDocument`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from datetime import datetime

from cryptography import x509
from lxml import etree

from gateway.edxml.package import Package, ParsedPackage, SignatureForm
from gateway.errors import MalformedPackage, SignatureRejected
from gateway.model import SignedBy, Standing, Verdict
from gateway.signing import engine, form
from gateway.signing import policy as table
from gateway.signing.form import EnvelopedSignature, Finding, Reference
from gateway.signing.keys import KnownCertificate, known
from gateway.signing.policy import DS, Reason, SignaturePolicy
from gateway.signing.trust import Revocation, TrustAnchors, TrustFinding

_DOOR = object()


@dataclass(frozen=True)
class VerifiedDocument:
    """A package that has been judged and let in. Only :func:`verify` makes one."""

    package: Package
    verdict: Verdict
    signed: bool
    """True when a registered certificate's signature covers the whole package. When False, its
    content is only what the caller's credential vouches for: it must not be shown as signed."""
    door: InitVar[object]

    def __post_init__(self, door: object) -> None:
        if door is not _DOOR:
            raise TypeError("A VerifiedDocument is made by gateway.signing.verify.verify alone.")


def verify(
    package: Package,
    *,
    sender: Sequence[x509.Certificate],
    gateway: Sequence[x509.Certificate],
    policy: SignaturePolicy,
    anchors: TrustAnchors,
    at: datetime,
) -> VerifiedDocument:
    """
    Judge a package and let it in when the policy for its sender accepts the verdict.

    The arguments are those of :func:`judge`.

    :raises SignatureRejected: the verdict is not among ``policy.accepted``; it carries the verdict.
        Reject; sending the same again will not help.
    """
    verdict = judge(package, sender=sender, gateway=gateway, policy=policy, anchors=anchors, at=at)
    if verdict.standing not in policy.accepted:
        raise SignatureRejected(verdict)
    signed = verdict.standing in (Standing.VALID, Standing.VALID_WEAK, Standing.INDETERMINATE)
    return VerifiedDocument(package, verdict, signed, _DOOR)


def judge(
    package: ParsedPackage,
    *,
    sender: Sequence[x509.Certificate],
    gateway: Sequence[x509.Certificate],
    policy: SignaturePolicy,
    anchors: TrustAnchors,
    at: datetime,
) -> Verdict:
    """
    Say what is known of the package's signature; a bad signature is a verdict, not an exception.

    Whom to trust is never the document's to say: KeyInfo only chooses among the registered
    certificates, and a KeyInfo that names none of a known sender's is refused. A signature of the
    right kind that does not verify is ``invalid``, whatever is wrong with it; one that only an
    unregistered certificate could verify, of a sender that has none registered, is ``unverifiable``.

    :param package: as parsed or read; its content is not believed.
    :param sender: certificates registered, at ``at``, for the agency that the package names as its sender.
    :param gateway: those of the gateway that handed the package over; empty when an agency did.
    :param at: the moment to judge certificates at, aware UTC: the time of receipt.
    :return: the verdict with its evidence; reasons are those of :class:`Reason`.

    Source: design D2; XML-DSig 1.1; W3C XML Signature Best Practices, "see what is signed".
    """
    candidates = [(known(c), SignedBy.SENDER) for c in sender] + [(known(c), SignedBy.GATEWAY) for c in gateway]
    signature: EnvelopedSignature | None = None
    try:
        root = _signed_root(package)
        signature = form.take_apart(root, policy)
        _compare_digest(package, signature.reference)
        signer = _check_value(signature, candidates, policy=policy, anchors=anchors, at=at)
    except _Distrusted as distrusted:
        return _verdict(Standing.INVALID, distrusted.reason, at, signature, trust=distrusted.trust)
    except Finding as finding:
        return _verdict(finding.standing, finding.reason, at, signature)
    weak = signer.trust.weak or any(
        table.is_weak(signature.signature_method, r.digest_method) for r in signature.references
    )
    standing, reason = Standing.VALID_WEAK if weak else Standing.VALID, Reason.VERIFIED
    if signer.trust.undecided:
        standing, reason = Standing.INDETERMINATE, Reason.REVOCATION_UNKNOWN
    return _verdict(standing, reason, at, signature, signer=signer, trust=signer.trust)


@dataclass(frozen=True, kw_only=True)
class _Signer:
    """Whose key made a signature, and what is known of the certificate."""

    certificate: KnownCertificate
    signed_by: SignedBy
    trust: TrustFinding


class _Distrusted(Finding):
    """A registered certificate was not good at the moment."""

    def __init__(self, trust: TrustFinding) -> None:
        assert trust.reason is not None
        super().__init__(trust.reason)
        self.trust = trust


def _signed_root(package: ParsedPackage) -> etree._Element:
    """
    The root of a package that carries a real XML signature, fit to be examined.

    :raises Finding: it carries none, or none that anybody could verify.
    """
    if not package.namespace_well_formed:
        # Its canonical form is not defined, so no signature over it can ever have been right.
        if package.signature_form is SignatureForm.NONE:
            raise Finding(Reason.NONE, Standing.UNSIGNED)
        raise Finding(Reason.PLACEHOLDER, Standing.UNVERIFIABLE)
    root = package.root
    if package.signature_form is not SignatureForm.XMLDSIG and next(root.iter(f"{{{DS}}}*"), None) is None:
        # What edxml says stands only when nothing of XML-DSig hides elsewhere in the package.
        match package.signature_form:
            case SignatureForm.FOREIGN:
                raise Finding(Reason.FOREIGN_NAMESPACE, Standing.UNVERIFIABLE)
            case SignatureForm.EMPTY:
                raise Finding(Reason.PLACEHOLDER, Standing.UNVERIFIABLE)
            case SignatureForm.NONE:
                raise Finding(Reason.NONE, Standing.UNSIGNED)
    if form.is_placeholder(root):
        raise Finding(Reason.PLACEHOLDER, Standing.UNVERIFIABLE)
    if package.has_comments:
        raise Finding(Reason.COMMENTS)
    if package.markup.declarations > table.NAMESPACES_IN_SCOPE_MAX:
        form.bound_namespaces(root)
    return root


def _compare_digest(package: ParsedPackage, reference: Reference) -> None:
    try:
        digest = package.enveloped_digest(
            c14n=reference.c14n, digest=reference.hash_name, inclusive_prefixes=reference.prefixes
        )
    except MalformedPackage as e:
        raise Finding(Reason.STRUCTURE) from e  # A relative namespace URI has no canonical form.
    if digest != reference.digest:
        raise Finding(Reason.DIGEST_MISMATCH)


def _check_value(
    signature: EnvelopedSignature,
    candidates: Sequence[tuple[KnownCertificate, SignedBy]],
    *,
    policy: SignaturePolicy,
    anchors: TrustAnchors,
    at: datetime,
) -> _Signer:
    """The registered certificate, good at ``at``, whose key made the signature."""
    # Only the gateway that handed it over is known: a signature that is not its own is the sender's,
    # of whom nothing is known here, and proves nothing either way.
    sender_is_known = any(signed_by is SignedBy.SENDER for _, signed_by in candidates)
    if not candidates:
        raise Finding(Reason.NO_REGISTERED_CERTIFICATE, Standing.UNVERIFIABLE)
    if signature.named_certificates:
        named = set(signature.named_certificates)
        candidates = [c for c in candidates if c[0].der in named]
        if not candidates and not sender_is_known:
            raise Finding(Reason.NO_REGISTERED_CERTIFICATE, Standing.UNVERIFIABLE)
        if not candidates:
            raise Finding(Reason.CERTIFICATE_NOT_REGISTERED)
    of_rsa = signature.method_name.startswith("RSA")
    # A key of the other kind cannot have made it.
    fitting = [c for c in candidates if of_rsa == (c[0].rsa_bits is not None)]
    faults: list[Finding] = []
    mismatches: list[Finding] = []
    for certificate, signed_by in fitting:
        trust = anchors.judge(
            certificate,
            at=at,
            tolerate_sha1=policy.tolerate_sha1,
            minimum_rsa_bits=policy.minimum_rsa_bits,
            tolerate_rsa_1024=policy.tolerate_rsa_1024,
        )
        if trust.reason is not None:
            faults.append(_Distrusted(trust))
            continue
        try:
            engine.check(signature, certificate.certificate, read=lambda r: form.read_reference(r, policy))
        except Finding as mismatch:
            mismatches.append(mismatch)
            continue
        return _Signer(certificate=certificate, signed_by=signed_by, trust=trust)
    if not sender_is_known and not signature.named_certificates:
        raise Finding(Reason.NO_REGISTERED_CERTIFICATE, Standing.UNVERIFIABLE)
    # Of several, a good certificate's mismatch says more than another one's expiry.
    raise [*mismatches, *faults, Finding(Reason.VALUE_MISMATCH)][0]


def _verdict(
    standing: Standing,
    reason: Reason,
    at: datetime,
    signature: EnvelopedSignature | None,
    *,
    signer: _Signer | None = None,
    trust: TrustFinding | None = None,
) -> Verdict:
    asked = trust is not None and trust.revocation is not Revocation.NOT_ASKED
    return Verdict(
        standing=standing,
        reason=str(reason),
        judged_at=at,
        signed_by=signer.signed_by if signer else None,
        certificate_sha256=signer.certificate.sha256 if signer else None,
        subject=signer.certificate.subject if signer else None,
        signature_method=signature.signature_method if signature else None,
        digest_method=signature.reference.digest_method if signature else None,
        canonicalization=signature.reference.c14n.value if signature else None,
        revocation=str(trust.revocation) if trust and asked else None,
        revoked_at=trust.revoked_at if trust else None,
    )
