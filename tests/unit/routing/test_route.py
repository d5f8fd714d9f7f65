"""Where a package goes, or why it goes nowhere."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RecipientClosed, RecipientNotInPackage, RoutingError, UnknownRecipient
from gateway.model import AgencyCode, Level
from gateway.routing import route
from tests.support.agencies import (
    BEFORE_JULY,
    MAILBOX,
    NATIONAL,
    NOW,
    PEER,
    PUSH,
    SINCE_JULY,
    a_directory,
    an_agency,
)

JULY = date(2025, 7, 1)
AGENCIES = [
    an_agency("000.00.22.W00", level=Level.NATIONAL, endpoint=PEER, hidden=True),
    an_agency("000.00.00.H37", "H37", level=Level.PROVINCE, endpoint=MAILBOX),
    an_agency("000.00.14.H37", "H37.14", parent="H37", endpoint=PUSH),
    an_agency("000.01.14.H37", parent="H37.14"),
    an_agency("000.00.13.H37", parent="H37", valid_to=JULY, successors=("H37.14",)),
    an_agency("000.00.10.H37", parent="H37", valid_to=date(2020, 1, 1), successors=("000.00.13.H37",)),
    an_agency(
        "000.00.24.H37",
        level=Level.DISTRICT,
        parent="H37",
        endpoint=MAILBOX,
        valid_to=JULY,
        successors=("H37.21", "H37.22"),
        closed_reason="Nghị quyết 202/2025/QH15",
    ),
    an_agency("000.00.99.H37", parent="H37", valid_to=JULY),
    an_agency("H37.21", "000.21.24.H37", level=Level.COMMUNE, parent="H37", endpoint=MAILBOX),
    an_agency("H37.22", level=Level.COMMUNE, parent="H37"),
    an_agency("H37.77"),
    an_agency("000.00.00.H38", "H38", level=Level.PROVINCE),
    an_agency("H39.CU", level=Level.PROVINCE, valid_to=JULY, successors=("000.00.00.H38",)),
]
DIRECTORY = a_directory(AGENCIES)


def written(*codes: str) -> list[AgencyCode]:
    return [AgencyCode(code) for code in codes]


def test_each_recipient_gets_its_route_in_the_order_of_the_package() -> None:
    routes = route(written("H37.22", "h37.14", "G22"), DIRECTORY, at=NOW)
    assert [(r.recipient, r.as_written, r.via) for r in routes] == [
        ("H37.22", "H37.22", "000.00.00.H37"),
        ("000.00.14.H37", "h37.14", "000.00.14.H37"),
        ("G22", "G22", "000.00.22.W00"),
    ]
    assert [r.endpoint for r in routes] == [MAILBOX, PUSH, PEER]
    assert all(r.redirected_from is None for r in routes)


def test_an_agency_named_twice_or_under_two_codes_gets_one_route() -> None:
    (only,) = route(written("H37.21", "000.21.24.H37", "21.24.h37", "H37.21"), DIRECTORY, at=NOW)
    assert (only.recipient, only.as_written) == ("H37.21", "H37.21")


def test_two_agencies_behind_one_endpoint_get_two_routes() -> None:
    routes = route(written("H37", "H37.22"), DIRECTORY, at=NOW)
    assert [r.via for r in routes] == ["000.00.00.H37"] * 2


def test_a_closed_agency_is_replaced_by_its_one_successor_and_the_redirection_is_told() -> None:
    (redirected,) = route(written("000.00.10.H37"), DIRECTORY, at=NOW)
    assert redirected.recipient == "000.00.14.H37"
    assert redirected.as_written == redirected.redirected_from == "000.00.10.H37"


def test_before_its_closing_an_agency_receives_itself() -> None:
    (before,) = route(written("000.00.13.H37"), DIRECTORY, at=BEFORE_JULY)
    (after,) = route(written("000.00.13.H37"), DIRECTORY, at=SINCE_JULY)
    assert (before.recipient, before.redirected_from) == ("000.00.13.H37", None)
    assert (after.recipient, after.redirected_from) == ("000.00.14.H37", "000.00.13.H37")


@pytest.mark.parametrize("order", [("000.00.13.H37", "H37.14"), ("H37.14", "000.00.13.H37")])
def test_a_successor_named_beside_its_predecessor_gets_one_route_and_the_redirection_is_kept(
    order: tuple[str, str],
) -> None:
    (only,) = route(written(*order), DIRECTORY, at=NOW)
    assert (only.as_written, only.redirected_from) == (order[0], "000.00.13.H37")


def test_a_successor_outside_the_province_is_reached_through_the_gateway_above() -> None:
    (only,) = route(written("H39.CU"), DIRECTORY, at=NOW)
    assert (only.recipient, only.via, only.redirected_from) == ("000.00.00.H38", "000.00.22.W00", "H39.CU")


def test_several_successors_are_refused_with_the_choices() -> None:
    with pytest.raises(RecipientClosed) as caught:
        route(written("H37", "000.00.24.H37"), DIRECTORY, at=NOW)
    assert caught.value.recipients == ("000.00.24.H37",)
    assert caught.value.choices == ("H37.21", "H37.22")
    assert "202/2025/QH15" in caught.value.detail


def test_no_successor_is_refused_without_a_guess() -> None:
    with pytest.raises(RecipientClosed) as caught:
        route(written("000.00.99.H37"), DIRECTORY, at=NOW)
    assert caught.value.choices == ()


def test_all_unknown_recipients_of_the_province_are_named() -> None:
    with pytest.raises(UnknownRecipient) as caught:
        route(written("H37.98", "H37", "98.H37"), DIRECTORY, at=NOW)
    assert caught.value.recipients == ("H37.98", "98.H37")


@pytest.mark.parametrize("bad", ["", "  ", "X" * 36])
def test_what_cannot_be_a_code_is_unknown_and_not_sent_up(bad: str) -> None:
    with pytest.raises(UnknownRecipient):
        route(written(bad), DIRECTORY, at=NOW)


def test_an_unknown_code_goes_up_in_its_normal_form() -> None:
    (only,) = route(written(" 28.22.h17"), DIRECTORY, at=NOW)
    assert (only.recipient, only.as_written) == ("000.28.22.H17", " 28.22.h17")


def test_without_a_gateway_above_what_is_unknown_is_unknown() -> None:
    with pytest.raises(UnknownRecipient):
        route(written("G22"), a_directory(AGENCIES, NATIONAL), at=NOW)


def test_an_agency_without_any_way_is_unreachable() -> None:
    with pytest.raises(RoutingError) as caught:
        route(written("H37.77"), DIRECTORY, at=NOW)
    assert caught.value.code == "recipient.unreachable"
    assert caught.value.recipients == ("H37.77",)


def test_faults_of_several_kinds_are_named_together() -> None:
    with pytest.raises(RoutingError) as caught:
        route(written("H37.98", "000.00.24.H37", "H37.77", "H37"), DIRECTORY, at=NOW)
    assert type(caught.value) is RoutingError
    assert set(caught.value.recipients) == {"H37.98", "000.00.24.H37", "H37.77"}


def test_thousands_of_faults_are_all_named_but_told_briefly() -> None:
    many = [f"H37.X{n}" for n in range(5_000)]
    with pytest.raises(UnknownRecipient) as caught:
        route(written(*many), DIRECTORY, at=NOW)
    assert len(caught.value.recipients) == 5_000
    assert len(caught.value.detail) < 2_000


def test_a_package_without_recipients_goes_nowhere() -> None:
    with pytest.raises(RoutingError):
        route([], DIRECTORY, at=NOW)


# Handed over by another gateway


def test_only_the_asked_recipients_are_routed_under_the_packages_own_writing() -> None:
    routes = route(written("G22", "000.21.24.H37", "H37.98"), DIRECTORY, at=NOW, only=written("h37.21"))
    assert [(r.recipient, r.as_written) for r in routes] == [("H37.21", "000.21.24.H37")]


def test_an_unknown_code_may_be_asked_for_in_another_writing() -> None:
    (only,) = route(written("28.22.H17"), DIRECTORY, at=NOW, only=written("000.28.22.h17"))
    assert only.as_written == "28.22.H17"


def test_a_successor_may_be_asked_for_when_the_package_names_the_closed_agency() -> None:
    (only,) = route(written("000.00.13.H37"), DIRECTORY, at=NOW, only=written("H37.14"))
    assert (only.recipient, only.redirected_from) == ("000.00.14.H37", "000.00.13.H37")


def test_recipients_that_the_package_does_not_name_are_refused() -> None:
    with pytest.raises(RecipientNotInPackage) as caught:
        route(written("H37.21"), DIRECTORY, at=NOW, only=written("H37.21", "H37.22", "G22"))
    assert caught.value.recipients == ("H37.22", "G22")


def test_asking_for_nobody_is_not_asking_for_all() -> None:
    with pytest.raises(RoutingError):
        route(written("H37.21"), DIRECTORY, at=NOW, only=[])


@pytest.mark.parametrize("only", [None, written("G22")])
def test_nothing_is_sent_back_to_the_gateway_that_handed_it_over(only: list[AgencyCode] | None) -> None:
    with pytest.raises(RoutingError) as caught:
        route(written("H37.21", "G22"), DIRECTORY, at=NOW, only=only, came_from=AgencyCode("00.22.w00"))
    assert caught.value.recipients == ("G22",)
    assert "000.00.22.W00" in caught.value.detail


def test_an_agencys_own_mailbox_is_no_way_back() -> None:
    (only,) = route(written("H37.22"), DIRECTORY, at=NOW, came_from=AgencyCode("H37"))
    assert only.via == "000.00.00.H37"


ROUTABLE = [code for a in AGENCIES if a.code not in ("000.00.24.H37", "000.00.99.H37", "H37.77") for code in a.codes]


@given(st.lists(st.sampled_from(ROUTABLE), min_size=1, max_size=30))
def test_no_agency_ever_gets_two_routes_and_none_is_dropped(recipients: list[AgencyCode]) -> None:
    routes = route(recipients, DIRECTORY, at=NOW)
    reached = [r.recipient for r in routes]
    assert len(reached) == len(set(reached))
    for code in recipients:
        agency = DIRECTORY.find(code, at=NOW)
        assert agency is not None
        living = DIRECTORY.successor(agency, at=NOW)
        assert living is not None
        assert living.code in reached
    assert all(r.as_written in recipients for r in routes)
