"""
How deliveries and recalls move from state to state, and what a reported status means for one. Pure.

A pair of state and event that is not in ``TRANSITIONS`` or ``RECALLS`` is forbidden.
"""

from __future__ import annotations

import enum
from types import MappingProxyType

from gateway.errors import TransitionForbidden
from gateway.ledger.records import StatusEffect
from gateway.model import BusinessType, DeliveryState, RecallState, StatusCode


class DeliveryEvent(enum.StrEnum):
    """What can happen to a delivery."""

    TAKE = "take"
    """A worker claims it, or its receiver locks it."""
    LOSE_LEASE = "lose_lease"
    """The lease ended without an outcome."""
    GIVE_BACK = "give_back"
    """A worker returns it untried."""
    FAIL = "fail"
    """The try failed; there will be another."""
    FORWARD = "forward"
    DELIVER = "deliver"
    REFUSE = "refuse"
    """The try ended with a refusal."""
    REJECT = "reject"
    """The gateway does not hand it over, after an examination that held it."""
    ABANDON = "abandon"
    REPORT_ARRIVAL = "report_arrival"
    """A status 01, 03, 04, 05 or 06 says that the receiver has it."""
    REPORT_REFUSAL = "report_refusal"
    """A status 02 says that the receiver refuses it; legal before and after collection (domain §1.7)."""
    REPORT_WITHDRAWAL = "report_withdrawal"
    """A status 15 says that the receiver gives it back."""
    REPLAY = "replay"
    WITHDRAW = "withdraw"
    """It is taken back before it was collected."""


_S = DeliveryState
_E = DeliveryEvent

TRANSITIONS = MappingProxyType(
    {
        (_S.WAITING, _E.TAKE): _S.LEASED,
        (_S.LEASED, _E.LOSE_LEASE): _S.WAITING,
        (_S.LEASED, _E.GIVE_BACK): _S.WAITING,
        (_S.LEASED, _E.FAIL): _S.WAITING,
        (_S.LEASED, _E.FORWARD): _S.FORWARDED,
        (_S.LEASED, _E.DELIVER): _S.DELIVERED,
        (_S.LEASED, _E.REFUSE): _S.REFUSED,
        (_S.LEASED, _E.ABANDON): _S.ABANDONED,
        (_S.WAITING, _E.REJECT): _S.REFUSED,
        (_S.FORWARDED, _E.REPORT_ARRIVAL): _S.DELIVERED,
        # The answer to the last try was lost, but the document was not.
        (_S.ABANDONED, _E.REPORT_ARRIVAL): _S.DELIVERED,
        (_S.WAITING, _E.REPORT_REFUSAL): _S.REFUSED,
        (_S.LEASED, _E.REPORT_REFUSAL): _S.REFUSED,
        (_S.FORWARDED, _E.REPORT_REFUSAL): _S.REFUSED,
        (_S.DELIVERED, _E.REPORT_REFUSAL): _S.REFUSED,
        (_S.ABANDONED, _E.REPORT_REFUSAL): _S.REFUSED,
        (_S.WAITING, _E.REPORT_WITHDRAWAL): _S.WITHDRAWN,
        (_S.LEASED, _E.REPORT_WITHDRAWAL): _S.WITHDRAWN,
        (_S.FORWARDED, _E.REPORT_WITHDRAWAL): _S.WITHDRAWN,
        (_S.DELIVERED, _E.REPORT_WITHDRAWAL): _S.WITHDRAWN,
        (_S.ABANDONED, _E.REPORT_WITHDRAWAL): _S.WITHDRAWN,
        (_S.ABANDONED, _E.REPLAY): _S.WAITING,
        (_S.REFUSED, _E.REPLAY): _S.WAITING,
        (_S.WAITING, _E.WITHDRAW): _S.WITHDRAWN,
        (_S.ABANDONED, _E.WITHDRAW): _S.WITHDRAWN,
    }
)

HOLDS_BACK = frozenset({_S.WAITING, _S.LEASED, _S.ABANDONED})
"""
States in which a delivery still holds back those that must not overtake it. An abandoned one does:
it may be replayed, and a recall that went ahead would recall nothing. Withdrawing it lets them go.
"""


class RecallEvent(enum.StrEnum):
    """What can happen to the sender's wish to take back or change one copy (domain §1.7)."""

    ASK = "ask"
    """A recall (business type 1, status 13), an update (2) or a replacement (3) was accepted."""
    AGREE_TO_RECALL = "agree_to_recall"
    """15 on a recall."""
    AGREE_TO_CHANGE = "agree_to_change"
    """15 on an update or a replacement."""
    DECLINE = "decline"
    """16."""
    LAPSE = "lapse"
    """The receiver refused the document itself (02), or what asked was taken back before it was answered."""
    TAKE_BACK = "take_back"
    """The gateway or its operator took back what nobody had collected."""


_R = RecallState
_A = RecallEvent

RECALLS = MappingProxyType(
    {
        (_R.NONE, _A.ASK): _R.REQUESTED,
        (_R.REQUESTED, _A.ASK): _R.REQUESTED,
        (_R.AGREED, _A.ASK): _R.REQUESTED,
        (_R.REQUESTED, _A.AGREE_TO_RECALL): _R.WITHDRAWN,
        (_R.REQUESTED, _A.AGREE_TO_CHANGE): _R.AGREED,
        (_R.REQUESTED, _A.DECLINE): _R.NONE,
        (_R.REQUESTED, _A.LAPSE): _R.NONE,
        (_R.NONE, _A.TAKE_BACK): _R.WITHDRAWN,
        (_R.REQUESTED, _A.TAKE_BACK): _R.WITHDRAWN,
        (_R.AGREED, _A.TAKE_BACK): _R.WITHDRAWN,
    }
)


def next_recall(state: RecallState, event: RecallEvent) -> RecallState:
    """
    What has become of a recall after an event.

    :raises TransitionForbidden: the event cannot happen in that state.
    """
    after = RECALLS.get((state, event))
    if after is None:
        raise TransitionForbidden(f"A recall that is {state} cannot {event.replace('_', ' ')}.")
    return after


def answer_to(business_type: BusinessType, code: StatusCode) -> RecallEvent:
    """What 15 or 16 says to an operation; other codes are no answers."""
    if code is StatusCode.DISAGREED:
        return RecallEvent.DECLINE
    recalls = business_type is BusinessType.REVOKE
    return RecallEvent.AGREE_TO_RECALL if recalls else RecallEvent.AGREE_TO_CHANGE


def may_be_asked(state: DeliveryState) -> bool:
    """Whether its receiver can be asked for a copy: not once it was refused or taken back (domain §1.7)."""
    return state not in (DeliveryState.REFUSED, DeliveryState.WITHDRAWN)


def next_state(state: DeliveryState, event: DeliveryEvent) -> DeliveryState:
    """
    The state after an event.

    :raises TransitionForbidden: the event cannot happen in that state.
    """
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise TransitionForbidden(f"A delivery that is {state} cannot {event.replace('_', ' ')}.")
    return after


def states_that(event: DeliveryEvent) -> frozenset[DeliveryState]:
    """The states in which an event can happen."""
    return frozenset(state for state, e in TRANSITIONS if e is event)


def judge_status(known: StatusCode | None, reported: StatusCode) -> StatusEffect:
    """
    What a reported status does to a delivery whose status is ``known`` (``None``: nothing reported yet).

    The main line 01 < 03 < 04 < 05 < 06 never moves back; 02 ends it unless the document was
    registered before; 13, 15 and 16 are history only (domain §1.7).
    """
    if reported is StatusCode.REFUSED:
        if known in (None, StatusCode.ARRIVED):
            return StatusEffect.REFUSED
        return StatusEffect.RECORDED if known is StatusCode.REFUSED else StatusEffect.CONTRADICTORY
    if reported.rank is None or known is StatusCode.REFUSED:
        return StatusEffect.RECORDED
    if known is None or known.rank is None or reported.rank > known.rank:
        return StatusEffect.ADVANCED
    return StatusEffect.RECORDED
