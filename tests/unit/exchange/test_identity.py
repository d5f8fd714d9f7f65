"""What documents are called, and what operations concern (domain §1.4, §1.6)."""

from __future__ import annotations

import dataclasses

import pytest

from gateway.exchange.identity import (
    issuer_within,
    names_in_package,
    names_in_reference,
    names_of_replaced,
    names_of_target,
    number_within,
    targets_of,
)
from gateway.exchange.keys import hash_of, issue_key, matches, prefix_of
from gateway.model import Business, BusinessType, DocumentId, DocumentNumber, Replacement, ResponseFor
from tests.support.documents import a_status, an_envelope

OWN = "000.00.14.H37,2026/03/05,07/SA-VP"
NUMBER = "~2026/03/05,07/SA-VP"
UUID = "9fbfbad2-f1f8-4256-a2eb-50fb1061cddb"


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, (OWN, NUMBER)),
        ({"document_id": DocumentId(UUID)}, (NUMBER, UUID)),
        ({"document_id": None}, (NUMBER, None)),
        ({"document_id": None, "number": DocumentNumber()}, ("sha256:abc", None)),
        ({"document_id": DocumentId(UUID), "number": DocumentNumber()}, ("sha256:abc", UUID)),
    ],
)
def test_a_package_has_an_identity_and_a_second_name(changes: dict[str, object], names: tuple[str, str | None]) -> None:
    assert names_in_package(an_envelope(**changes), "abc") == names


@pytest.mark.parametrize(
    ("changes", "names"),
    [({}, (OWN, NUMBER)), ({"document_id": None}, (NUMBER, None)), ({"number": None}, (OWN, NUMBER))],
)
def test_a_reference_is_found_by_id_first_then_by_number(
    changes: dict[str, object], names: tuple[str, str | None]
) -> None:
    assert names_in_reference(dataclasses.replace(a_status().responses[0], **changes)) == names


def test_an_empty_reference_names_nothing() -> None:
    assert names_in_reference(ResponseFor()) == ("", None)


INNER = DocumentId("G22,2014/02/30,7806/X")


@pytest.mark.parametrize(
    ("business", "targets"),
    [
        (None, ()),
        (Business(type=BusinessType.NEW, document_id=INNER), ()),
        (Business(type=BusinessType.REVOKE, document_id=INNER), (INNER, OWN)),
        (Business(type=BusinessType.REVOKE), (OWN,)),
        (Business(type=BusinessType.UPDATE, document_id=INNER), (OWN, INNER)),
        (
            Business(
                type=BusinessType.REPLACE,
                replacements=(Replacement(document_id=INNER), Replacement(document_id=INNER), Replacement()),
            ),
            (INNER,),
        ),
    ],
)
def test_operations_name_what_they_concern(business: Business | None, targets: tuple[str, ...]) -> None:
    assert targets_of(an_envelope(business=business)) == targets


def test_an_operation_without_any_id_concerns_the_number() -> None:
    recall = an_envelope(document_id=None, business=Business(type=BusinessType.REVOKE))
    assert targets_of(recall) == (NUMBER,)


def test_keys_are_random_and_only_their_hash_is_kept() -> None:
    one, other = issue_key(), issue_key()
    assert one.token != other.token
    assert prefix_of(one.token) == one.prefix
    assert matches(one.token, one.hash)
    assert not matches(other.token, one.hash)
    assert hash_of(one.token) not in one.token


@pytest.mark.parametrize("token", ["", "gwk", "gwk_short_x", "gwk_000000000000_", "xxx_000000000000_s", "gwk__s"])
def test_what_is_not_of_the_form_of_a_key_has_no_prefix(token: str) -> None:
    assert prefix_of(token) is None


@pytest.mark.parametrize(
    ("name", "number", "issuer"),
    [
        ("H37.14,2026/03/05,07/SA-VP", "~2026/03/05,07/SA-VP", "H37.14"),
        ("000.00.14.H37,2024/05/06,12/2024/QĐ-UBND", "~2024/05/06,12/2024/QĐ-UBND", "000.00.14.H37"),
        ("9fbfbad2-f1f8-4256-a2eb-50fb1061cddb", None, None),
        ("~2026/03/05,07/SA-VP", None, None),
        ("H37.14,2026-03-05,07/SA-VP", None, None),
    ],
)
def test_an_id_of_the_norms_form_tells_issuer_date_and_number(
    name: str, number: str | None, issuer: str | None
) -> None:
    assert (number_within(name), issuer_within(name)) == (number, issuer)


def test_the_names_of_a_target_end_with_the_number() -> None:
    business = Business(type=BusinessType.REVOKE, document_id=INNER)
    assert names_of_target(an_envelope(business=business)) == (INNER, OWN, NUMBER, "~2014/02/30,7806/X")


def test_what_is_replaced_is_named_by_its_id_and_the_number_within() -> None:
    assert names_of_replaced(Replacement(document_id=INNER)) == (INNER, "~2014/02/30,7806/X")
