"""
NIST's path validation tests (PKITS 2011), as far as their names say what is right.

The certificates and lists are not part of this project; ``pip install cryptography-vectors`` brings them
(56 MB), and then they are judged. 20 of the 223 depend on settings of certificate policies, which there are none of.
"""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from gateway.signing.keys import known, load_certificates
from gateway.signing.trust import RevocationFacts, RevocationMode, TrustAnchors, read_item
from tests.support.programs import ABSENT

_FOUND = importlib.util.find_spec("cryptography_vectors")
_FOLDER = Path(next(iter(_FOUND.submodule_search_locations or ()))) / "x509/PKITS_data" if _FOUND else Path()

pytestmark = pytest.mark.skipif(not _FOUND, reason=f"{ABSENT}cryptography-vectors: what they judge was not judged")

AT = datetime(2012, 6, 1, tzinfo=UTC)

REFUSED = {
    "ValidDSASignaturesTest4EE": "DSA never counts",
    "ValidDSAParameterInheritanceTest5EE": "DSA never counts",
    "ValidonlyContainsCACertsTest13EE": "an authority's certificate signs no documents",
    "ValidpathLenConstraintTest8EE": "an authority's certificate signs no documents",
    "ValidpathLenConstraintTest14EE": "an authority's certificate signs no documents",
    "ValiddeltaCRLTest2EE": "delta CRLs say nothing by themselves",
    "ValiddeltaCRLTest5EE": "delta CRLs say nothing by themselves",
    "ValiddeltaCRLTest7EE": "delta CRLs say nothing by themselves",
    "ValiddeltaCRLTest8EE": "delta CRLs say nothing by themselves",
    "ValidonlySomeReasonsTest18EE": "lists of only some reasons say nothing by themselves",
    "ValidonlySomeReasonsTest19EE": "lists of only some reasons say nothing by themselves",
    "ValidNameUIDsTest6EE": "its authority has a unique identifier, of which certvalidator makes nothing",
}
"""Valid by RFC 5280, and not believed here; none the other way round."""


def _certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(path.read_bytes())
    except ValueError:
        return None  # DSA parameters that are inherited


# Some of the certificates have serial numbers that are not positive, as some old authorities' do.
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_nothing_that_nist_calls_invalid_is_believed_and_what_is_refused_besides_is_named() -> None:
    read = {path.stem: _certificate(path) for path in sorted((_FOLDER / "certs").glob("*.crt"))}
    between = [c for n, c in read.items() if c and not n.endswith("EE") and not n.startswith("TrustAnchor")]
    lists = [read_item(p.read_bytes(), source=p.name) for p in sorted((_FOLDER / "crls").glob("*.crl"))]
    where = TrustAnchors(
        load_certificates(_FOLDER / "certs/TrustAnchorRootCertificate.crt"),
        between,
        mode=RevocationMode.REQUIRED,
        facts=RevocationFacts(lists),
    )
    believed = set()
    for name, certificate in read.items():
        if certificate is not None and name.endswith("EE") and name.startswith(("Valid", "Invalid")):
            finding = where.judge(known(certificate), at=AT)
            if finding.reason is None and not finding.undecided:
                believed.add(name)
    valid = {name for name in read if name.endswith("EE") and name.startswith("Valid")}
    assert len(valid) == 88
    assert believed == valid - REFUSED.keys()
