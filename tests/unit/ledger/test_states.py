"""Every pair of state and event is either listed here as it moves, or forbidden."""

import pytest

from gateway.errors import TransitionForbidden
from gateway.ledger.records import StatusEffect
from gateway.ledger.states import (
    HOLDS_BACK,
    RECALLS,
    TRANSITIONS,
    DeliveryEvent,
    RecallEvent,
    answer_to,
    judge_status,
    may_be_asked,
    next_recall,
    next_state,
    states_that,
)
from gateway.model import BusinessType, DeliveryState, RecallState, StatusCode

W, L, F, D, R, A, T = DeliveryState
E = DeliveryEvent

MOVES = {
    (W, E.TAKE): L,
    (L, E.LOSE_LEASE): W,
    (L, E.GIVE_BACK): W,
    (L, E.FAIL): W,
    (L, E.FORWARD): F,
    (L, E.DELIVER): D,
    (L, E.REFUSE): R,
    (L, E.ABANDON): A,
    (W, E.REJECT): R,
    (F, E.REPORT_ARRIVAL): D,
    (A, E.REPORT_ARRIVAL): D,
    (W, E.REPORT_REFUSAL): R,
    (L, E.REPORT_REFUSAL): R,
    (F, E.REPORT_REFUSAL): R,
    (D, E.REPORT_REFUSAL): R,
    (A, E.REPORT_REFUSAL): R,
    (W, E.REPORT_WITHDRAWAL): T,
    (L, E.REPORT_WITHDRAWAL): T,
    (F, E.REPORT_WITHDRAWAL): T,
    (D, E.REPORT_WITHDRAWAL): T,
    (A, E.REPORT_WITHDRAWAL): T,
    (A, E.REPLAY): W,
    (R, E.REPLAY): W,
    (W, E.WITHDRAW): T,
    (A, E.WITHDRAW): T,
}


@pytest.mark.parametrize("state", DeliveryState)
@pytest.mark.parametrize("event", DeliveryEvent)
def test_every_pair_moves_as_listed_or_is_forbidden(state: DeliveryState, event: DeliveryEvent) -> None:
    if (state, event) in MOVES:
        assert next_state(state, event) is MOVES[state, event]
    else:
        with pytest.raises(TransitionForbidden):
            next_state(state, event)


def test_nothing_is_allowed_that_is_not_listed_here() -> None:
    assert dict(TRANSITIONS) == MOVES


def test_every_state_but_waiting_is_reached() -> None:
    assert set(MOVES.values()) == set(DeliveryState)


def test_withdrawn_is_the_end() -> None:
    assert not [e for (state, e) in MOVES if state is T]


def test_every_event_says_where_it_can_happen() -> None:
    assert states_that(E.REPLAY) == {A, R}
    assert all(states_that(event) for event in DeliveryEvent)


def test_what_is_open_or_may_be_replayed_holds_others_back() -> None:
    assert {W, L, A} == HOLDS_BACK


# What a report does: rows are what is known, columns what is reported, both in the order of the codes.

_EFFECTS = {
    "-": StatusEffect.RECORDED,
    ">": StatusEffect.ADVANCED,
    "x": StatusEffect.REFUSED,
    "!": StatusEffect.CONTRADICTORY,
}
_MATRIX = """
        01 02 03 04 05 06 13 15 16
none    >  x  >  >  >  >  -  -  -
01      -  x  >  >  >  >  -  -  -
02      -  -  -  -  -  -  -  -  -
03      -  !  -  >  >  >  -  -  -
04      -  !  -  -  >  >  -  -  -
05      -  !  -  -  -  >  -  -  -
06      -  !  -  -  -  -  -  -  -
"""


def _cells() -> list[tuple[StatusCode | None, StatusCode, StatusEffect]]:
    header, *rows = [line.split() for line in _MATRIX.strip().splitlines()]
    return [
        (None if known == "none" else StatusCode(known), StatusCode(reported), _EFFECTS[mark])
        for known, *marks in rows
        for reported, mark in zip(header, marks, strict=True)
    ]


@pytest.mark.parametrize(("known", "reported", "effect"), _cells())
def test_a_report_moves_forward_or_is_history(
    known: StatusCode | None, reported: StatusCode, effect: StatusEffect
) -> None:
    assert judge_status(known, reported) is effect


def test_the_matrix_names_every_code() -> None:
    assert {reported for _, reported, _ in _cells()} == set(StatusCode)


# What becomes of a recall: each pair moves as listed, or is forbidden (domain §1.7).

NONE, REQUESTED, AGREED, TAKEN_BACK = RecallState
H = RecallEvent

RECALL_MOVES = {
    (NONE, H.ASK): REQUESTED,
    (REQUESTED, H.ASK): REQUESTED,
    (AGREED, H.ASK): REQUESTED,
    (REQUESTED, H.AGREE_TO_RECALL): TAKEN_BACK,
    (REQUESTED, H.AGREE_TO_CHANGE): AGREED,
    (REQUESTED, H.DECLINE): NONE,
    (REQUESTED, H.LAPSE): NONE,
    (NONE, H.TAKE_BACK): TAKEN_BACK,
    (REQUESTED, H.TAKE_BACK): TAKEN_BACK,
    (AGREED, H.TAKE_BACK): TAKEN_BACK,
}


@pytest.mark.parametrize("state", RecallState)
@pytest.mark.parametrize("event", RecallEvent)
def test_every_pair_of_a_recall_moves_as_listed_or_is_forbidden(state: RecallState, event: RecallEvent) -> None:
    if (state, event) in RECALL_MOVES:
        assert next_recall(state, event) is RECALL_MOVES[state, event]
    else:
        with pytest.raises(TransitionForbidden):
            next_recall(state, event)


def test_no_recall_moves_but_as_listed_here() -> None:
    assert dict(RECALLS) == RECALL_MOVES


def test_what_was_taken_back_stays_taken_back() -> None:
    assert not [event for (state, event) in RECALL_MOVES if state is TAKEN_BACK]


def test_what_was_declined_may_be_asked_again() -> None:
    declined = next_recall(next_recall(NONE, H.ASK), H.DECLINE)
    assert next_recall(declined, H.ASK) is REQUESTED


@pytest.mark.parametrize(
    ("business_type", "code", "event"),
    [
        (BusinessType.REVOKE, StatusCode.AGREED, H.AGREE_TO_RECALL),
        (BusinessType.UPDATE, StatusCode.AGREED, H.AGREE_TO_CHANGE),
        (BusinessType.REPLACE, StatusCode.AGREED, H.AGREE_TO_CHANGE),
        (BusinessType.REVOKE, StatusCode.DISAGREED, H.DECLINE),
        (BusinessType.UPDATE, StatusCode.DISAGREED, H.DECLINE),
        (BusinessType.REPLACE, StatusCode.DISAGREED, H.DECLINE),
    ],
)
def test_an_answer_means_what_was_asked(business_type: BusinessType, code: StatusCode, event: RecallEvent) -> None:
    assert answer_to(business_type, code) is event


def test_only_what_was_refused_or_taken_back_cannot_be_asked_for() -> None:
    assert {s for s in DeliveryState if not may_be_asked(s)} == {R, T}
