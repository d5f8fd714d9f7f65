"""The gateway and libxmlsec1 agree: on what the gateway signs, on what others sign, and on what is altered."""

import itertools
from pathlib import Path

import pytest
import xmlsec

from gateway.edxml import C14N
from gateway.model import Standing
from tests.support import documents, judge, pki, signed
from tests.support.samples import sample, sample_names

KEYS = {
    "rsa": pki.agency,
    "p256": pki.agency_ec,
    "p384": lambda: pki.agency_of_curve("secp384r1"),
    "p521": lambda: pki.agency_of_curve("secp521r1"),
}
SIZES = {"small": 100, "streamed": 300_000}
FORMS = list(itertools.product(KEYS, C14N, ["ds", None], SIZES))


def _package(size: str) -> bytes:
    contents = {"main": documents.PDF + b"\x00\xff" * (SIZES[size] // 2), "second": "Đính kèm".encode()}
    references = (documents.kit_reference("main", "a.pdf"), documents.kit_reference("second", "b.txt"))
    return documents.a_package(contents=contents, references=references)


@pytest.mark.parametrize(("kind", "c14n", "prefix", "size"), FORMS, ids=lambda v: getattr(v, "name", str(v)))
def test_xmlsec_verifies_what_the_gateway_signs_and_nothing_altered(
    kind: str, c14n: C14N, prefix: str | None, size: str
) -> None:
    key = KEYS[kind]()
    raw = signed.by_gateway(_package(size), key, c14n=c14n, prefix=prefix)
    judge.xmlsec_verifies(raw, key.certificate)
    with pytest.raises(xmlsec.Error):
        judge.xmlsec_verifies(raw.replace(b"H37.21", b"H37.22"), key.certificate)


@pytest.mark.parametrize(("kind", "c14n", "prefix", "size"), FORMS, ids=lambda v: getattr(v, "name", str(v)))
def test_the_gateway_verifies_what_xmlsec_signs_and_nothing_altered(
    kind: str, c14n: C14N, prefix: str | None, size: str, tmp_path: Path
) -> None:
    key = KEYS[kind]()
    raw = signed.by_xmlsec(_package(size), key, c14n=c14n, prefix=prefix)
    assert signed.verdict_on(raw, tmp_path, sender=[key]).standing is Standing.VALID
    altered = raw.replace(b"AP8A/wD/", b"AP8A/wD+", 1) if size == "streamed" else raw.replace(b"H37.21", b"H37.22")
    assert altered != raw
    assert signed.verdict_on(altered, tmp_path, sender=[key]).reason == "signature.digest_mismatch"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("prefix", ["ds", None])
@pytest.mark.parametrize("c14n", list(C14N), ids=lambda c: c.name)
def test_the_gateway_verifies_what_signxml_signs(size: str, prefix: str | None, c14n: C14N, tmp_path: Path) -> None:
    raw = signed.by_signxml(_package(size), pki.agency(), c14n=c14n, prefix=prefix)
    assert signed.verdict_on(raw, tmp_path).standing is Standing.VALID


@pytest.mark.parametrize("name", sample_names() or ["(none)"])
def test_the_national_kit_s_samples_are_unverifiable(name: str, tmp_path: Path) -> None:
    verdict = signed.verdict_on(sample(name), tmp_path, policy=signed.TOLERANT)
    carries_one = b"<Signature" in sample(name).read_bytes()
    assert verdict.standing is (Standing.UNVERIFIABLE if carries_one else Standing.UNSIGNED)
    if carries_one:
        in_the_right_namespace = name == "edoc.edxml"
        expected = "signature.placeholder" if in_the_right_namespace else "signature.foreign_namespace"
        assert verdict.reason == expected
