"""What waits for its turn while another call about the same document is under way."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from gateway.delivery.send import Turns


def test_one_key_is_one_at_a_time_and_another_is_not_waited_for() -> None:
    turns = Turns()
    within: list[str] = []
    most: list[int] = []
    first_is_in, may_leave = threading.Event(), threading.Event()

    def hold() -> None:
        with turns.of("d1", "axis"):
            first_is_in.set()
            may_leave.wait(10)
            within.append("first")

    def follow() -> None:
        with turns.of("d1", "axis"):
            most.append(len(within))
            within.append("second")

    with ThreadPoolExecutor(3) as pool:
        started = [pool.submit(hold)]
        assert first_is_in.wait(10)
        started += [pool.submit(follow), pool.submit(follow)]
        with turns.of("d2", "axis"):
            may_leave.set()
        for one in started:
            one.result(10)
    assert within == ["first", "second", "second"]
    assert most == [1, 2]


def test_nothing_is_remembered_of_what_has_had_its_turn() -> None:
    turns = Turns()
    for n in range(100):
        with turns.of(str(n)):
            pass
    assert turns._held == {}
