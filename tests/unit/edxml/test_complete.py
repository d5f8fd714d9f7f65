"""Completing a package: what is added is there, and no other byte has moved."""

from __future__ import annotations

import hashlib
import io
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.edxml import C14N, Limits, SignatureForm, complete
from gateway.errors import MalformedPackage
from gateway.model import Hop
from tests.support.documents import a_package, a_status_package, read
from tests.support.samples import sample, sample_names

HOP = Hop(code="000.00.00.H37", at=datetime(2026, 3, 5, 7, 4, tzinfo=UTC))
SIGNATURE = b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo/></Signature>'


def completed(source: bytes | Path, *, hop: Hop | None = None, signature: bytes | None = None) -> bytes:
    out = io.BytesIO()
    sha256 = complete(source, hop=hop, signature=signature, limits=Limits(), out=out)
    assert sha256 == hashlib.sha256(out.getvalue()).hexdigest()
    return out.getvalue()


def assert_only_added(before: bytes, after: bytes) -> None:
    """What was there is still there, in one piece on either side of what was added."""
    common = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before))
    tail = len(before) - common
    assert before[:common] == after[:common]
    assert before[common:] == after[len(after) - tail :]


def trace_list(replacement: bytes) -> bytes:
    return re.sub(rb" *<edXML:TraceHeaderList>.*</edXML:TraceHeaderList>\n", replacement, a_package(), flags=re.DOTALL)


@pytest.mark.parametrize(
    "raw",
    [
        a_package(),
        trace_list(b""),
        trace_list(b'<edXML:TraceHeaderList id="a&gt;b>c"></edXML:TraceHeaderList>'),
        trace_list(b"<!-- > --><edXML:TraceHeaderList><!-- c --><edXML:Bussiness/></edXML:TraceHeaderList>"),
        trace_list(b"<TraceHeaderList><TraceHeader/></TraceHeaderList>"),
        b"1212" + a_package(),
        b"\xef\xbb\xbf" + a_package().replace(b"\n", b"\r\n"),
        a_package().decode().replace('encoding="UTF-8"', "").encode("utf-16"),
    ],
)
def test_a_hop_is_added_behind_the_others(raw: bytes, tmp_path: Path) -> None:
    after = completed(raw, hop=HOP)
    assert_only_added(raw, after)
    with read(raw, tmp_path) as one, read(after, tmp_path) as two:
        assert two.envelope.trace == (*one.envelope.trace, HOP)
        assert two.envelope.business == one.envelope.business
        assert not two.errors


def test_an_empty_trace_list_is_opened(tmp_path: Path) -> None:
    with read(completed(trace_list(b'<edXML:TraceHeaderList id="a>b" />'), hop=HOP), tmp_path) as package:
        assert package.envelope.trace == (HOP,)


def test_a_status_gets_no_hop() -> None:
    assert completed(a_status_package(), hop=HOP) == a_status_package()


@pytest.mark.parametrize(
    "raw",
    [
        a_package(),
        a_status_package(),
        a_package()
        .replace(b"edXML:edXML", b"x:edXML")
        .replace(b"xmlns:edXML=", b'xmlns:x="http://www.mic.gov.vn/TBT/QCVN_102_2016" xmlns:edXML=', 1),
    ],
)
def test_a_signature_becomes_the_last_child_of_the_header(raw: bytes, tmp_path: Path) -> None:
    after = completed(raw, signature=SIGNATURE)
    assert_only_added(raw, after)
    with read(raw, tmp_path) as one, read(after, tmp_path) as two:
        assert two.signature_form is SignatureForm.XMLDSIG
        for c14n in C14N:  # a digest made before it was added holds after it
            assert one.enveloped_digest(c14n=c14n, digest="sha256") == two.enveloped_digest(c14n=c14n, digest="sha256")


def test_hop_and_signature_are_added_together_and_to_files_alike(tmp_path: Path) -> None:
    path = tmp_path / "package.xml"
    path.write_bytes(a_package())
    assert completed(path, hop=HOP, signature=SIGNATURE) == completed(a_package(), hop=HOP, signature=SIGNATURE)


@pytest.mark.parametrize("name", sample_names() or ["samples"])
def test_samples_are_completed(name: str, tmp_path: Path) -> None:
    raw = sample(name).read_bytes()
    after = completed(sample(name), hop=HOP)
    assert_only_added(raw, after)
    with read(after, tmp_path) as package:
        assert (HOP in package.envelope.trace) is (not name.startswith("status"))


@pytest.mark.parametrize("raw", [b"<edXML/>", b"<a><b/></a>", a_package()[:300]])
def test_without_a_header_there_is_nothing_to_add_to(raw: bytes) -> None:
    with pytest.raises(MalformedPackage):
        completed(raw, hop=HOP)
