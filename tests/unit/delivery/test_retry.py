"""When to try again, and when to give up."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.retry import POLICIES, RetryPolicy, scaled
from gateway.model import Lane

NOON = datetime(2026, 3, 2, 5, tzinfo=UTC)
POLICY = RetryPolicy(
    first_wait=timedelta(minutes=1), longest_wait=timedelta(hours=4), give_up_after=timedelta(days=3), spread=0.5
)


@pytest.mark.parametrize(
    ("attempts", "wait"),
    [
        (1, timedelta(minutes=1)),
        (2, timedelta(minutes=2)),
        (8, timedelta(minutes=128)),
        (9, timedelta(hours=4)),  # 256 minutes would be more than the longest wait
        (100_000, timedelta(hours=4)),  # no overflow, however often it was tried
    ],
)
def test_waits_double_up_to_the_longest(attempts: int, wait: timedelta) -> None:
    assert POLICY.next_attempt(since=NOON, attempts=attempts, now=NOON, jitter=0.0) == NOON + wait


def test_chance_only_lengthens_a_wait() -> None:
    at = POLICY.next_attempt(since=NOON, attempts=1, now=NOON, jitter=0.5)
    assert at == NOON + timedelta(seconds=75)


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        (timedelta(minutes=10), timedelta(minutes=10)),
        (timedelta(seconds=1), timedelta(minutes=1)),  # never sooner than our own wait
        (timedelta(days=30), timedelta(hours=4)),  # an endpoint cannot park a document for a month
        (timedelta(days=-1), timedelta(minutes=1)),
    ],
)
def test_retry_after_is_heeded_within_bounds(asked: timedelta, wait: timedelta) -> None:
    at = POLICY.next_attempt(since=NOON, attempts=1, now=NOON, jitter=0.0, not_before=NOON + asked)
    assert at == NOON + wait


def test_a_document_too_old_is_given_up() -> None:
    now = NOON + POLICY.give_up_after - timedelta(seconds=59)
    assert POLICY.next_attempt(since=NOON, attempts=1, now=now, jitter=0.0) is None
    assert POLICY.next_attempt(since=now, attempts=1, now=now, jitter=0.0) is not None, "patience begins anew"


@given(
    lane=st.sampled_from(Lane),
    attempts=st.integers(1, 10**6),
    age=st.timedeltas(timedelta(0), timedelta(days=30)),
    jitter=st.floats(0, 1, exclude_max=True),
    asked=st.none() | st.timedeltas(timedelta(days=-365), timedelta(days=365)),
)
def test_an_attempt_is_always_later_than_now_and_within_patience(
    lane: Lane, attempts: int, age: timedelta, jitter: float, asked: timedelta | None
) -> None:
    policy, now = POLICIES[lane], NOON + age
    at = policy.next_attempt(
        since=NOON, attempts=attempts, now=now, jitter=jitter, not_before=now + asked if asked else None
    )
    if at is None:
        assert age + policy.longest_wait * (1 + policy.spread) > policy.give_up_after
    else:
        assert now < at <= min(NOON + policy.give_up_after, now + policy.longest_wait * (1 + policy.spread))


def test_every_lane_has_a_policy_and_the_urgent_are_tried_sooner() -> None:
    first = [POLICIES[lane].first_wait for lane in Lane]
    assert first == sorted(first, reverse=True)
    assert POLICIES[Lane.FLASH].first_wait < timedelta(minutes=1)
    assert min(policy.give_up_after for policy in POLICIES.values()) > timedelta(days=9), "Tết"


def test_scaling_shortens_waits_and_leaves_patience() -> None:
    fast = scaled(POLICIES, 0.01)[Lane.NORMAL]
    assert fast.first_wait == timedelta(seconds=0.6)
    assert fast.give_up_after == POLICIES[Lane.NORMAL].give_up_after
