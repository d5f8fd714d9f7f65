"""
Every state of a certificate × the three things that are signed: a package, a PDF inside it, the gateway's seal.

Each certificate differs from the good one in the one thing that its row names: the same subject, the same key,
the same issuer, the same dates, usage and algorithms otherwise. Nothing is mocked: every vector is signed
with the certificate's key, and judged as at acceptance.
"""

from __future__ import annotations

import functools
import io
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ReasonFlags
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, SimpleSigner
from pyhanko_certvalidator.registry import SimpleCertificateStore

from gateway.errors import EvidenceInvalid
from gateway.evidence.belief import Belief, Given
from gateway.evidence.points import Outcome
from gateway.evidence.seal import SealFacts, check_seal, make_seal
from gateway.model import AgencyCode, DocumentId, FileStanding, SignerRole, Standing, Verdict
from gateway.signing import keys
from gateway.signing.files import FilePolicy, RegisteredSigner
from gateway.signing.files.reasons import FileReason
from gateway.signing.keys import SigningKey
from gateway.signing.policy import Reason, SignaturePolicy
from gateway.signing.trust import RevocationFacts, RevocationItem, RevocationMode, TrustAnchors, read_item
from tests.support import documents, pdfs, pki, signed
from tests.support.programs import needs

NOW, HOUR, DAY = pki.NOW, timedelta(hours=1), timedelta(days=1)
SUBJECT = keys.subject_name("Sở Thử nghiệm Đặc biệt", organization="Sở Thử nghiệm Đặc biệt", code="MST:0100000000")

GOOD = (Standing.VALID, Reason.VERIFIED)
GOOD_FILE = (FileStanding.VALID, FileReason.VERIFIED)
BELIEVED = (Outcome.HOLDS, None)


def made(**change: object) -> SigningKey:
    """The good certificate, or what becomes of it by one change."""
    private = change.pop("private", None) or pki.rsa_key()
    return pki.certify(SUBJECT, private, **change)  # type: ignore[arg-type] # pki.certify's own


@functools.cache
def good() -> SigningKey:
    return made()


@functools.cache
def foreign_authority() -> SigningKey:
    """Of the same name as the real one, and certified by nobody."""
    return keys.make_ca(pki.intermediate().certificate.subject, at=NOW - pki.YEAR)


@functools.cache
def with_sha1() -> SigningKey:
    return SigningKey(good().private, pki.resigned_with_sha1(good().certificate, pki.intermediate()), good().chain)


@functools.cache
def usual_facts() -> tuple[RevocationItem, ...]:
    """Fresh lists of both authorities that name nobody."""
    return (_list(pki.crl(pki.root())), _list(pki.crl()))


def _list(der: bytes) -> RevocationItem:
    return read_item(der, source="http://ca.test/list.crl")


def named(when: datetime, reason: ReasonFlags | None = None) -> list[RevocationItem]:
    """The good certificate's serial number is in its authority's list, and nothing else is different."""
    serial = good().certificate.serial_number
    return [usual_facts()[0], _list(pki.crl(revoked={serial: (when, reason)}, this_update=when + HOUR))]


def authority_named(when: datetime) -> list[RevocationItem]:
    serial = pki.intermediate().certificate.serial_number
    return [_list(pki.crl(pki.root(), revoked={serial: (when, None)})), usual_facts()[1]]


@dataclass(frozen=True, kw_only=True)
class State:
    """One way to differ from good, and what follows for a package, a PDF and a seal."""

    key: Callable[[], SigningKey] = good
    facts: Callable[[], list[RevocationItem]] = lambda: list(usual_facts())
    policy: dict[str, bool] = field(default_factory=dict)
    package: tuple[Standing, Reason] = GOOD
    pdf: tuple[FileStanding, FileReason] = GOOD_FILE
    seal: tuple[Outcome, Reason | None] | None = BELIEVED
    """``None``: it is not even a seal."""


def bad(
    key: Callable[[], SigningKey],
    reason: Reason,
    file_reason: FileReason,
    *,
    pdf: FileStanding = FileStanding.UNTRUSTED,
) -> State:
    """A certificate that nobody believes, for one reason."""
    return State(
        key=key,
        package=(Standing.INVALID, reason),
        pdf=(pdf, file_reason),
        seal=(Outcome.UNPROVEN, reason),
    )


REVOKED = (Standing.INVALID, Reason.CERTIFICATE_REVOKED)
REVOKED_FILE = (FileStanding.REVOKED, FileReason.CERTIFICATE_REVOKED)
REVOKED_SEAL = (Outcome.BROKEN, Reason.CERTIFICATE_REVOKED)

STATES: dict[str, State] = {
    "good": State(),
    "good, EC P-256": State(key=lambda: made(private=pki.agency_ec().private)),
    "good, digitalSignature alone": State(key=lambda: made(usages=frozenset({"digital_signature"}))),
    "good, nonRepudiation alone": State(key=lambda: made(usages=frozenset({"content_commitment"}))),
    "good, no key usage": State(key=lambda: made(usages=frozenset())),
    "keyEncipherment alone": bad(
        lambda: made(usages=frozenset({"key_encipherment"})),
        Reason.CERTIFICATE_USAGE,
        FileReason.CERTIFICATE_USAGE,
    ),
    "an authority's": bad(lambda: made(ca=True), Reason.CERTIFICATE_USAGE, FileReason.CERTIFICATE_USAGE),
    "expired before signing": bad(
        lambda: made(valid_for=pki.YEAR - 3 * HOUR), Reason.CERTIFICATE_EXPIRED, FileReason.CERTIFICATE_EXPIRED
    ),
    # A PDF says when it was signed; a package is judged at receipt.
    "expired between signing and receipt": State(
        key=lambda: made(valid_for=pki.YEAR - HOUR),
        package=(Standing.INVALID, Reason.CERTIFICATE_EXPIRED),
        seal=(Outcome.UNPROVEN, Reason.CERTIFICATE_EXPIRED),
    ),
    "not yet valid": bad(
        lambda: made(at=NOW + HOUR, valid_for=pki.LONG - pki.YEAR - HOUR),
        Reason.CERTIFICATE_NOT_YET_VALID,
        FileReason.CERTIFICATE_NOT_YET_VALID,
    ),
    "issued by an unknown authority of the same name": bad(
        lambda: made(issuer=foreign_authority()), Reason.CERTIFICATE_UNTRUSTED, FileReason.CERTIFICATE_UNTRUSTED
    ),
    "signed by its authority with SHA-1": bad(
        with_sha1, Reason.CERTIFICATE_UNTRUSTED, FileReason.CERTIFICATE_UNTRUSTED
    ),
    "signed by its authority with SHA-1, tolerated": State(
        key=with_sha1,
        policy={"tolerate_sha1": True},
        package=(Standing.VALID_WEAK, Reason.VERIFIED),
        pdf=(FileStanding.VALID_WEAK, FileReason.WEAK),
        seal=(Outcome.UNPROVEN, Reason.CERTIFICATE_UNTRUSTED),
    ),
    "RSA-1024": State(
        key=lambda: made(private=pki.rsa_key(1024)),
        package=(Standing.INVALID, Reason.KEY_TOO_SMALL),
        pdf=(FileStanding.UNTRUSTED, FileReason.KEY_TOO_SMALL),
        seal=None,
    ),
    "RSA-1024, tolerated": State(
        key=lambda: made(private=pki.rsa_key(1024)),
        policy={"tolerate_rsa_1024": True},
        package=(Standing.VALID_WEAK, Reason.VERIFIED),
        pdf=(FileStanding.VALID_WEAK, FileReason.WEAK),
        seal=None,
    ),
    "revoked before signing": State(
        facts=lambda: named(NOW - DAY, ReasonFlags.key_compromise),
        package=REVOKED,
        pdf=REVOKED_FILE,
        seal=REVOKED_SEAL,
    ),
    # Whoever has a stolen key can claim any time: without a time-stamp a revocation before receipt counts.
    "revoked between signing and receipt": State(
        facts=lambda: named(NOW - HOUR), package=REVOKED, pdf=REVOKED_FILE, seal=REVOKED_SEAL
    ),
    "revoked after receipt": State(facts=lambda: named(NOW + HOUR)),
    "its authority revoked": State(
        facts=lambda: authority_named(NOW - DAY), package=REVOKED, pdf=REVOKED_FILE, seal=REVOKED_SEAL
    ),
    # Evidence is judged with what is in it: that nothing is known of revocation is told and breaks nothing.
    "revocation unknown": State(
        facts=list,
        package=(Standing.INDETERMINATE, Reason.REVOCATION_UNKNOWN),
        pdf=(FileStanding.INDETERMINATE, FileReason.REVOCATION_UNKNOWN),
    ),
}


@pytest.fixture(params=STATES, ids=lambda name: name.replace(" ", "-").replace(",", ""))
def state(request: pytest.FixtureRequest) -> State:
    return STATES[request.param]


def anchors(state: State) -> TrustAnchors:
    return TrustAnchors(
        [pki.root().certificate],
        [pki.intermediate().certificate],
        mode=RevocationMode.REQUIRED,
        facts=RevocationFacts(state.facts()),
    )


def test_a_package(state: State, tmp_path: Path) -> None:
    key = state.key()
    verdict = signed.verdict_on(
        signed.by_gateway(documents.a_package(), key),
        tmp_path,
        sender=[key],
        policy=SignaturePolicy(accepted=frozenset(), **state.policy),
        anchors=anchors(state),
    )
    assert (verdict.standing, verdict.reason) == state.package


def by_an_old_token(pdf: bytes, key: SigningKey) -> bytes:
    """The PDF signed by pyHanko, which signs with any key that it is given."""
    signer = SimpleSigner(
        signing_cert=asn1_x509.Certificate.load(key.certificate_der),
        signing_key=asn1_keys.PrivateKeyInfo.load(
            key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        ),
        cert_registry=SimpleCertificateStore(),
    )
    metadata = PdfSignatureMetadata(field_name="Signature1", md_algorithm="sha256")
    with_signature = PdfSigner(metadata, signer).sign_pdf(IncrementalPdfFileWriter(io.BytesIO(pdf)))
    return bytes(with_signature.getvalue())


def test_a_pdf(state: State) -> None:
    key = state.key()
    # The gateway's own tools refuse to sign with RSA-1024.
    sign = pdfs.signed if key.certificate.public_key().key_size != 1024 else by_an_old_token  # type: ignore[union-attr] # RSA or EC
    content = sign(pdfs.plain(), key)
    signers = (RegisteredSigner(sha256=key.certificate_sha256, role=SignerRole.AGENCY),)
    (verdict,) = pdfs.judged(content, anchors=anchors(state), signers=signers, policy=FilePolicy(**state.policy))
    (signature,) = verdict.signatures
    assert (signature.standing, signature.reason) == state.pdf
    assert signature.role is SignerRole.AGENCY


def test_a_seal(state: State) -> None:
    key = state.key()
    raw = make_seal(SEALED, key)
    if state.seal is None:
        with pytest.raises(EvidenceInvalid):
            check_seal(raw, key.certificate)
        return
    assert check_seal(raw, key.certificate) == SEALED  # the arithmetic is right in every row
    given = Given(anchors=(pki.root().certificate,), at=NOW)
    point = Belief(given, [pki.intermediate().certificate], state.facts()).signer("seal", key.certificate, proven=NOW)
    outcome, reason = state.seal
    assert point.outcome is outcome
    if reason is not None:
        assert point.values["reason"] == reason


SEALED = SealFacts(
    id="0195f0d2-7a51-7000-8000-000000000001",
    gateway=AgencyCode("H37"),
    document_id=DocumentId("000.00.14.H37,2026/03/05,07/SA-VP"),
    sender=AgencyCode("000.00.14.H37"),
    recipients=(AgencyCode("000.00.00.H38"),),
    sha256="ab" * 32,
    size=20_480,
    attachments=(),
    verdict=Verdict(standing=Standing.UNSIGNED, reason="signature.none", judged_at=NOW),
    received_at=NOW,
    sealed_at=NOW,
)


def test_every_certificate_differs_from_the_good_one_in_one_thing() -> None:
    """Subject, key, issuer, dates, usage, signature algorithm and path: all but one are those of the good one."""

    def traits(key: SigningKey) -> dict[str, object]:
        certificate = key.certificate
        extensions = {e.oid.dotted_string: e.value.public_bytes() for e in certificate.extensions}
        return {
            "subject": certificate.subject,
            "key": certificate.public_key().public_numbers(),  # type: ignore[union-attr] # RSA or EC here
            "issuer": (certificate.issuer, extensions["2.5.29.35"]),
            "begin": certificate.not_valid_before_utc,
            "end": certificate.not_valid_after_utc,
            "usage": extensions.get("2.5.29.15"),
            "authority": extensions["2.5.29.19"],
            "algorithm": certificate.signature_algorithm_oid,
        }

    usual = traits(good())
    for name, state in STATES.items():
        found = traits(state.key())
        differences = {trait for trait in usual if found[trait] != usual[trait]}
        if state.facts() != list(usual_facts()):
            differences.add("facts")
        assert len(differences) == (0 if name == "good" else 1), (name, differences)


OTHERWISE = {
    "keyEncipherment alone": "without a purpose OpenSSL asks nothing of the usage",
    "an authority's": "without a purpose OpenSSL asks nothing of the usage",
    "signed by its authority with SHA-1, tolerated": "OpenSSL has no such policy per sender",
    "RSA-1024, tolerated": "OpenSSL has no such policy per sender",
    "revoked after receipt": "OpenSSL takes no list that is from after the moment",
    "revocation unknown": "OpenSSL knows no third answer",
}
"""States of which OpenSSL thinks otherwise, and why."""


@needs("openssl")
@pytest.mark.parametrize("name", [name for name in STATES if name not in OTHERWISE])
def test_openssl_thinks_the_same_of_the_certificate(name: str, tmp_path: Path) -> None:
    state = STATES[name]
    for file, certificates in (
        ("root", [pki.root().certificate]),
        ("between", [pki.intermediate().certificate]),
        ("leaf", [state.key().certificate]),
    ):
        (tmp_path / f"{file}.pem").write_bytes(keys.certificates_to_pem(certificates))
    lists = [x509.load_der_x509_crl(item.der).public_bytes(Encoding.PEM) for item in state.facts()]
    (tmp_path / "lists.pem").write_bytes(b"".join(lists))
    command = ["openssl", "verify", "-attime", str(int(NOW.timestamp())), "-auth_level", "2", "-crl_check_all"]
    command += ["-CRLfile", "lists.pem", "-CAfile", "root.pem", "-untrusted", "between.pem", "leaf.pem"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    believed = anchors(state).judge(keys.known(state.key().certificate), at=NOW).reason is None
    assert (ran.returncode == 0) == believed, ran.stdout + ran.stderr
