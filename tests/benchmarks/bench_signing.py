"""
What trust costs in CPU.

Verifying, with certificate path, revocation and policy in place, and reading with verifying, as a multiple of a
floor, which is one hardened lxml parse, one exclusive-C14N pass, SHA-256 and one RSA-2048 verification. Seal and
receipt: as a multiple of the two P-256 signatures in them. Both sides take turns in one process, and the best
round of each counts, for the machine's speed is nobody's merit.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from gateway.edxml import Limits, ParsedPackage, parse_unverified, read_unverified
from gateway.evidence.receipt import ReceiptFacts, make_receipt
from gateway.evidence.seal import SealedAttachment, SealFacts, make_seal
from gateway.model import AgencyCode, DocumentId, SignedBy, Standing, Verdict
from gateway.signing.keys import SigningKey
from gateway.signing.trust import Revocation, RevocationFacts, RevocationMode, TrustAnchors, read_item
from gateway.signing.verify import judge
from tests.support import documents, pki, signed

Row = tuple[str, float, float]
"""Name, measured ratio, and the bar that it must not exceed."""

ROUNDS = 15


def seconds(work: Callable[[], object], times: int) -> float:
    """CPU seconds of one call."""
    before = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - before) / times


def ratio(work: Callable[[], object], floor: Callable[[], object], times: int) -> float:
    """The best round of ``work`` over the best round of ``floor``, taken in turns."""
    pairs = [(seconds(work, times), seconds(floor, times)) for _ in range(ROUNDS)]
    return min(w for w, _ in pairs) / min(f for _, f in pairs)


Work = Callable[[bytes, Path, SigningKey], Standing]
"""What is measured: (package, folder for contents, the key whose certificate is registered) → standing."""


@functools.cache
def anchors() -> TrustAnchors:
    """Path, policy and revocation in place: two lists, of which one names 5,000 others."""
    many = {2**100 + n: (pki.NOW - timedelta(days=1), None) for n in range(5_000)}
    lists = [read_item(raw, source="http://ca.test/") for raw in (pki.crl(pki.root()), pki.crl(revoked=many))]
    return TrustAnchors(
        [pki.root().certificate],
        [pki.intermediate().certificate],
        mode=RevocationMode.REQUIRED,
        facts=RevocationFacts(lists),
    )


def judged(package: ParsedPackage, key: SigningKey) -> Standing:
    """The verdict, by the one certificate that is registered."""
    verdict = judge(
        package,
        sender=[key.certificate],
        gateway=(),
        policy=signed.ONLY_VALID,
        anchors=anchors(),
        at=pki.NOW,
    )
    assert verdict.revocation == Revocation.GOOD
    return verdict.standing


def verify(raw: bytes, spool: Path, key: SigningKey) -> Standing:
    """Bytes → verdict, and nothing that a verdict does not need; large packages are decoded while they stream."""
    with parse_unverified(raw, limits=Limits(), spool=spool) as package:
        return judged(package, key)


def read_and_verify(raw: bytes, spool: Path, key: SigningKey) -> Standing:
    """Bytes → model and verdict, with every content decoded, unwrapped and hashed: what accepting needs."""
    with read_unverified(raw, limits=Limits(), spool=spool) as package:
        return judged(package, key)


def over_floor(name: str, work: Work, size: int, bar: float) -> Row:
    """``work`` over the floor, for a validly signed package of this many bytes on the wire."""
    key = pki.agency()
    content = documents.PDF + os.urandom(max(100, (size - 6_000) * 3 // 4))
    raw = signed.by_gateway(documents.a_package(contents={"main": content}), key)
    public, value = key.certificate.public_key(), key.sign(bytes(500))
    assert isinstance(public, rsa.RSAPublicKey)

    def floor() -> None:
        root = etree.fromstring(raw, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
        hashlib.sha256(etree.tostring(root, method="c14n", exclusive=True)).digest()
        public.verify(value, bytes(500), padding.PKCS1v15(), hashes.SHA256())

    with tempfile.TemporaryDirectory() as folder:
        spool = Path(folder)
        assert work(raw, spool, key) is Standing.VALID
        times = max(1, min(50, 2_000_000 // size))
        return name, ratio(lambda: work(raw, spool, key), floor, times), bar


def bench_evidence() -> Row:
    """A seal and a receipt over the two P-256 signatures in them."""
    key = pki.gateway()
    sender, recipients = AgencyCode("000.00.14.H37"), (AgencyCode("000.00.00.H38"), AgencyCode("H37.21"))
    document = "0195f0d2-7a51-7000-8000-000000000001"
    document_id = DocumentId("000.00.14.H37,2026/03/05,07/SA-VP")
    receipt = ReceiptFacts(
        receipt_id=document,
        gateway=AgencyCode("H37"),
        document_id=document_id,
        sender=sender,
        recipients=recipients,
        sha256="ab" * 32,
        size=20_480,
        accepted_at=pki.NOW,
        standing=Standing.VALID,
    )
    seal = SealFacts(
        id=document,
        gateway=AgencyCode("H37"),
        document_id=document_id,
        sender=sender,
        recipients=recipients,
        sha256="ab" * 32,
        size=20_480,
        attachments=(SealedAttachment(content_id="main", name="07-SA-VP.pdf", size=10_000, sha256="cd" * 32),),
        verdict=Verdict(
            standing=Standing.VALID,
            reason="signature.verified",
            judged_at=pki.NOW,
            signed_by=SignedBy.SENDER,
            certificate_sha256=key.certificate_sha256,
            subject="CN=Sở Thử nghiệm,C=VN",
        ),
        received_at=pki.NOW,
        sealed_at=pki.NOW + timedelta(milliseconds=3),
    )

    def work() -> None:
        make_seal(seal, key)
        make_receipt(receipt, key)

    def floor() -> None:
        key.sign(bytes(500))
        key.sign(bytes(500))

    return "seal + receipt ÷ two P-256 signatures", ratio(work, floor, 200), 4.0


def bench_verify_20_kb() -> Row:
    """A letter with one page attached."""
    return over_floor("verify (bytes → verdict) ÷ (parse + floor), 20 KB", verify, 20_000, 4.0)


def bench_verify_1_mb() -> Row:
    """A scanned letter."""
    return over_floor("verify (bytes → verdict) ÷ (parse + floor), 1 MB", verify, 1_000_000, 3.0)


def bench_verify_10_mb() -> Row:
    """A plan with drawings."""
    return over_floor("verify (bytes → verdict) ÷ (parse + floor), 10 MB", verify, 10_000_000, 3.0)


def bench_read_and_verify_20_kb() -> Row:
    """All that a letter is asked before it is routed; the bar says where this is, not where it should be."""
    name = "read + verify (bytes → model and verdict) ÷ (parse + floor), 20 KB"
    return over_floor(name, read_and_verify, 20_000, 7.0)


BENCHES = (
    bench_verify_20_kb,
    bench_verify_1_mb,
    bench_verify_10_mb,
    bench_read_and_verify_20_kb,
    bench_evidence,
)

if __name__ == "__main__":
    for bench in BENCHES:
        name, measured, bar = bench()
        print(f"{name}: {measured:.2f} (bar {bar}) {'ok' if measured <= bar else 'MISSED'}")
