"""What an axis leaves of a package that it hands on (domain §1.9)."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.edxml import Limits, SignatureForm, read_unverified, reserialise
from gateway.model import AgencyCode, Envelope, PackageKind, ResponseFor
from gateway.signing.sign import sign_package
from tests.support import documents, pki
from tests.support.samples import sample, sample_names

AXIS = AgencyCode("000.00.00.G22")
AT = datetime(2026, 3, 6, 1, 0, tzinfo=UTC)


def through_the_axis(raw: bytes, spool: Path) -> bytes:
    return reserialise(raw, axis=AXIS, at=AT, limits=Limits(), spool=spool)


def contents(raw: bytes, spool: Path) -> list[tuple[str | None, str]]:
    with read_unverified(raw, limits=Limits(), spool=spool) as package:
        assert not package.errors
        return [(a.name, a.sha256) for a in package.attachments]


def envelope(raw: bytes, spool: Path) -> Envelope:
    with read_unverified(raw, limits=Limits(), spool=spool) as package:
        return package.envelope


@pytest.fixture
def signed() -> bytes:
    package = documents.a_package(contents={"main": documents.PDF})
    return sign_package(package, pki.agency())


def test_unwrapped_contents_survive(signed: bytes, tmp_path: Path) -> None:
    assert contents(through_the_axis(signed, tmp_path), tmp_path) == contents(signed, tmp_path)


def test_a_content_longer_than_a_text_may_be_survives(tmp_path: Path) -> None:
    raw = documents.a_package(contents={"main": documents.PDF + random.Random(1).randbytes(9_000_000)})
    assert contents(through_the_axis(raw, tmp_path), tmp_path) == contents(raw, tmp_path)


def test_identity_and_subject_survive(signed: bytes, tmp_path: Path) -> None:
    before, after = envelope(signed, tmp_path), envelope(through_the_axis(signed, tmp_path), tmp_path)
    kept = ("sender", "recipients", "document_id", "number", "issued_on", "subject", "business")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]


def test_a_signature_is_left_that_means_nothing(signed: bytes, tmp_path: Path) -> None:
    with read_unverified(through_the_axis(signed, tmp_path), limits=Limits(), spool=tmp_path) as package:
        assert package.signature_form is SignatureForm.FOREIGN


def test_a_hop_of_the_axis_is_added(signed: bytes, tmp_path: Path) -> None:
    before, after = envelope(signed, tmp_path), envelope(through_the_axis(signed, tmp_path), tmp_path)
    assert after.trace[:-1] == before.trace
    assert (after.trace[-1].code, after.trace[-1].at) == (AXIS, AT)


def test_what_a_document_answers_is_forgotten(tmp_path: Path) -> None:
    raw = documents.a_package(
        responses=(ResponseFor(code=documents.RECIPIENT, document_id=documents.an_envelope().document_id),)
    )
    assert envelope(raw, tmp_path).responses
    assert not envelope(through_the_axis(raw, tmp_path), tmp_path).responses


def test_a_status_still_says_what_it_is_about(tmp_path: Path) -> None:
    raw = documents.a_status_package()
    before, after = envelope(raw, tmp_path), envelope(through_the_axis(raw, tmp_path), tmp_path)
    assert after.kind is PackageKind.STATUS
    assert (after.responses, after.status) == (before.responses, before.status)


def test_twice_through_the_axis_keeps_the_contents(signed: bytes, tmp_path: Path) -> None:
    twice = through_the_axis(through_the_axis(signed, tmp_path), tmp_path)
    assert contents(twice, tmp_path) == contents(signed, tmp_path)


@pytest.mark.parametrize("name", sample_names() or ["samples"])
def test_a_package_from_the_field_keeps_its_contents(name: str, tmp_path: Path) -> None:
    raw = sample(name).read_bytes()
    with read_unverified(raw, limits=Limits(), spool=tmp_path) as package:
        before = [(a.name, a.sha256) for a in package.attachments]
    with read_unverified(through_the_axis(raw, tmp_path), limits=Limits(), spool=tmp_path) as package:
        assert [(a.name, a.sha256) for a in package.attachments] == before
