"""Packages that the gateway writes for those who post words and files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.edxml import Package
from gateway.errors import DocumentConflict
from gateway.exchange import lookup
from gateway.exchange.accept import Answer
from gateway.exchange.compose import compose
from gateway.ledger import Ledger
from gateway.ledger.records import DocumentRow
from gateway.model import AgencyCode, BusinessType, DocumentId, DocumentNumber, Envelope, Hop, Organization
from tests.support import documents
from tests.support.exchange import COMMUNE, DEPARTMENT, OTHER_PROVINCE, PROVINCE, Site

OUTSIDE = AgencyCode("000.00.99.H38")
"""Known to the gateway above alone."""


def words(*recipients: AgencyCode | Organization, **changes: Any) -> Envelope:
    """What a caller says who names agencies by their codes alone."""
    named = tuple(r if isinstance(r, Organization) else Organization(code=r) for r in recipients or (COMMUNE,))
    said = documents.an_envelope(sender=Organization(code=DEPARTMENT), recipients=named, trace=(), business=None)
    return replace(said, **changes)


def posted(site: Site, envelope: Envelope) -> Answer:
    return compose(site.parts, envelope, documents.contents_of(envelope), caller=site.known[DEPARTMENT])


def row_of(site: Site, answer: Answer) -> DocumentRow:
    row = site.ledger.document(answer.document_id)
    assert row is not None
    return row


def package_of(sha256: str, site: Site, spool: Path) -> Package:
    return documents.read(lookup.open_package(site.parts, sha256).read(), spool)


def test_what_the_gateway_writes_departs_from_the_standard_in_nothing(site: Site) -> None:
    assert row_of(site, posted(site, words(COMMUNE, OTHER_PROVINCE))).warnings == ()


def test_only_what_the_caller_could_have_said_is_held_against_it(site: Site) -> None:
    row = row_of(site, posted(site, words(COMMUNE, OUTSIDE, signer=None)))
    assert {w.code for w in row.warnings} == {"N.MessageHeader.SignerInfo", "N.MessageHeader.To.OrganName"}
    said = Organization(code=OUTSIDE, name="Sở ở tỉnh khác")
    number = DocumentNumber(number="08", notation="SA-VP")
    other = words(COMMUNE, said, number=number, document_id=DocumentId(f"{DEPARTMENT},2026/03/05,{number.text}"))
    assert row_of(site, posted(site, other)).warnings == ()


def test_agencies_are_named_as_in_the_directory_unless_the_caller_does(site: Site, tmp_path: Path) -> None:
    called = Organization(code=OTHER_PROVINCE, name="Tỉnh Lào Cai")
    row = row_of(site, posted(site, words(COMMUNE, called)))
    with package_of(row.sha256, site, tmp_path) as package:
        assert package.envelope.sender.name == site.known[DEPARTMENT].name
        assert [o.name for o in package.envelope.recipients] == [site.known[COMMUNE].name, "Tỉnh Lào Cai"]


def test_the_sender_is_the_first_hop_and_the_gateway_the_second(site: Site, tmp_path: Path) -> None:
    now = site.clock().replace(microsecond=0)
    row = row_of(site, posted(site, words()))
    with package_of(row.sha256, site, tmp_path) as package:
        assert package.envelope.trace == (Hop(code=DEPARTMENT, at=now),)
        assert package.envelope.business is not None
        assert package.envelope.business.type is BusinessType.NEW
    with package_of(row.sent_sha256, site, tmp_path) as package:
        assert [hop.code for hop in package.envelope.trace] == [DEPARTMENT, PROVINCE]


def test_the_same_words_days_later_are_the_same_package(site: Site) -> None:
    first = posted(site, words())
    for _ in range(2):
        site.clock.forward(days=1, microseconds=700_001)
        again = posted(site, words())
        assert (again.duplicate, again.document_id, again.receipt) == (True, first.document_id, first.receipt)
    assert site.ledger.refusals() == []


def test_the_same_words_after_a_recipient_was_renamed_are_the_same_package(site: Site) -> None:
    first = posted(site, words())
    site.change(COMMUNE, name="Ủy ban nhân dân phường mới")
    again = posted(site, words())
    assert (again.document_id, again.duplicate) == (first.document_id, True)


@pytest.mark.parametrize("document_id", ["x" * 230, "0f8fad5b-d9cb-469f-a165-70867728950e"])
def test_a_repeat_leaves_no_refusal_behind(site: Site, document_id: str) -> None:
    posted(site, words())
    first = posted(site, words(document_id=DocumentId(document_id)))
    site.clock.forward(minutes=1)
    again = posted(site, words(document_id=DocumentId(document_id)))
    assert (again.document_id, again.duplicate) == (first.document_id, True)
    assert site.ledger.refusals() == []


def test_other_words_under_the_same_name_are_a_conflict(site: Site) -> None:
    first = posted(site, words())
    site.clock.forward(days=1)
    with pytest.raises(DocumentConflict) as conflict:
        posted(site, words(subject="V/v khác"))
    assert conflict.value.existing == first.document_id


class LookedTooEarly(Ledger):
    """A ledger that does not find a document yet: its first post commits only after the second has looked."""

    def find_document(self, *names: Any, **kinds: Any) -> None:
        return None


def test_the_same_words_posted_twice_at_once_are_one_package(site: Site) -> None:
    first = posted(site, words())
    site.clock.forward(seconds=5)
    late = replace(site, parts=replace(site.parts, ledger=LookedTooEarly(site.ledger.engine)))
    again = posted(late, words())
    assert (again.duplicate, again.document_id) == (True, first.document_id)
    site.clock.forward(seconds=5)
    with pytest.raises(DocumentConflict):
        posted(late, words(subject="V/v khác"))
