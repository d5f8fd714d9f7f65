"""1,000 packages changed at random (bar 8 of trust): named errors only, quickly, and nothing altered is valid."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import pytest

from gateway.errors import DocumentError
from gateway.model import Attachment, Envelope, Standing
from gateway.signing.verify import judge
from tests.support import documents, mutations, pki, signed

_COUNT = 1_000
_SECONDS = 2.0
_WORDS = (
    b"<!DOCTYPE x [<!ENTITY e 'x'>]>",
    b"&e;",
    b"<!-- -->",
    b"<?x y?>",
    b"<![CDATA[x]]>",
    b"<edXML:Subject>khac</edXML:Subject>",
    b' Id="x"',
    b' xmlns:edXML="urn:x"',
    b'<ds:Object xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/>',
    b"\0",
    b"\xff\xfe",
    "Đ".encode(),
    b"=" * 70,
)
_PIECES = re.compile(rb"<(?P<name>[\w:]+)(?:\s[^<>]*)?>[^<>]*</(?P=name)>")

Read = tuple[Envelope, tuple[Attachment, ...]]


def _originals() -> list[bytes]:
    """Signed by us with each kind of key, by libxmlsec1 in its own form, and not at all."""
    small = documents.a_package()
    return [
        signed.by_gateway(small, pki.agency_ec()),
        signed.by_gateway(small, pki.agency()),
        signed.by_xmlsec(small, pki.agency()),
        small,
    ]


def _limits(number: int) -> dict[str, int]:
    """Half of the packages are read as a tree, half as a stream."""
    return {"stream_above": 0} if number % 2 else {}


def _read(raw: bytes, spool: Path, number: int) -> Read:
    with documents.read(raw, spool, **_limits(number)) as package:
        return package.envelope, package.attachments


def _judged(raw: bytes, spool: Path, number: int) -> Standing:
    with documents.read(raw, spool, **_limits(number)) as package:
        verdict = judge(
            package,
            sender=signed.certificates(pki.agency(), pki.agency_ec()),
            gateway=(),
            policy=signed.TOLERANT,
            anchors=pki.anchors(),
            at=pki.NOW,
        )
        return verdict.standing


@pytest.mark.slow
def test_a_thousand_changed_packages_are_refused_by_name_or_read_as_they_were_signed(tmp_path: Path) -> None:
    originals = _originals()
    meant = [_read(raw, tmp_path, 0) for raw in originals]
    found: Counter[str] = Counter()
    slowest = 0.0
    changed = mutations.mutated(originals, count=_COUNT, seed=8, words=_WORDS, pieces=_PIECES)
    for number, (index, raw) in enumerate(changed):
        began = time.thread_time()
        try:
            standing = _judged(raw, tmp_path, number)
        except DocumentError as e:
            found[e.code] += 1
        else:
            found[standing.value] += 1
            if standing in (Standing.VALID, Standing.VALID_WEAK):
                assert _read(raw, tmp_path, number) == meant[index], f"package {number} is altered and valid"
        slowest = max(slowest, time.thread_time() - began)
    assert slowest < _SECONDS
    # The changes reach the readers and the judge, or the rest would prove little.
    assert found[Standing.INVALID.value] > _COUNT // 20, found
    assert len(found) >= 5, found
