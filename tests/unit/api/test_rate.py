"""How often each caller may come: a window that slides."""

from __future__ import annotations

import threading

from limits import parse

from gateway.api.rate import RateLimit


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 6_000.0

    def __call__(self) -> float:
        return self.now


def admitted(limit: RateLimit, whom: str, tries: int) -> int:
    return sum(limit.admits(whom) for _ in range(tries))


def test_one_too_many_is_refused_and_others_are_not_touched() -> None:
    limit = RateLimit(parse("3 per minute"), monotonic=Watch())
    assert [limit.admits("a") for _ in range(4)] == [True, True, True, False]
    assert limit.admits("b")


def test_the_last_window_counts_by_the_part_that_is_still_within() -> None:
    watch = Watch()
    limit = RateLimit(parse("10 per minute"), monotonic=watch)
    assert admitted(limit, "a", 20) == 10
    watch.now += 60  # The whole last window still lies within the last minute.
    assert admitted(limit, "a", 20) == 0
    watch.now += 30
    assert admitted(limit, "a", 20) == 5
    watch.now += 30
    assert admitted(limit, "a", 20) == 5


def test_what_was_refused_does_not_count() -> None:
    watch = Watch()
    limit = RateLimit(parse("10 per minute"), monotonic=watch)
    admitted(limit, "a", 1_000)
    watch.now += 60 + 59
    assert admitted(limit, "a", 20) == 10


def test_a_pause_of_two_windows_forgets_everything() -> None:
    watch = Watch()
    limit = RateLimit(parse("10 per minute"), monotonic=watch)
    admitted(limit, "a", 10)
    watch.now += 120
    assert admitted(limit, "a", 20) == 10


def test_no_more_are_admitted_when_many_ask_at_once() -> None:
    limit = RateLimit(parse("500 per minute"), monotonic=Watch())
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(admitted(limit, "a", 200))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 500
