"""
What a certificate costs that is held against a long revocation list: seconds for one certificate against a list of
200,000 entries ÷ against one of 1,000, both loaded and asked about another certificate before. Bar: 3.

So a list of a national authority, renewed every hour, costs each certificate that is in use a look-up, not a search.
"""

from __future__ import annotations

import random
import statistics
import time

from gateway.signing.keys import KnownCertificate, known, subject_name
from gateway.signing.trust import RevocationFacts, RevocationItem, RevocationMode, TrustAnchors, read_item
from tests.support import pki

BAR = 3.0
FEW, MANY = 1_000, 200_000
ROUNDS = 20


def _a_list(entries: int) -> RevocationItem:
    numbers = random.Random(4)
    item = read_item(pki.long_crl([numbers.getrandbits(120) for _ in range(entries)]), source="list")
    item.ready()
    return item


def _seconds(listed: RevocationItem, certificates: list[KnownCertificate]) -> list[float]:
    facts = RevocationFacts([listed, read_item(pki.crl(pki.root()), source="root")])
    anchors = TrustAnchors(
        [pki.root().certificate], [pki.intermediate().certificate], mode=RevocationMode.REQUIRED, facts=facts
    )
    anchors.judge(known(pki.agency().certificate), at=pki.NOW)
    found = []
    for certificate in certificates:
        began = time.perf_counter()
        assert anchors.judge(certificate, at=pki.NOW).reason is None
        found.append(time.perf_counter() - began)
    return found


def one_more_certificate() -> tuple[str, float, float]:
    """As above."""
    certificates = [known(pki.certify(subject_name(f"Sở {n}")).certificate) for n in range(ROUNDS)]
    many, few = (_seconds(_a_list(entries), certificates) for entries in (MANY, FEW))
    return "a certificate against a list of 200,000 ÷ of 1,000", statistics.median(many) / statistics.median(few), BAR


BENCHES = (one_more_certificate,)
