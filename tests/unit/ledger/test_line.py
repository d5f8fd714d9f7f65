"""The line of writers: one at a time, in order; errands of those who wait are taken along, and nobody is left there."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import pytest
from sqlalchemy import Connection

from gateway.errors import LedgerUnavailable
from gateway.ledger.line import Errand, Line

LONG = 30.0
NOWHERE = cast("Connection", None)  # these errands need no database


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


class Commits:
    """Runs errands as a database would, and remembers which went together."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.error: BaseException | None = None

    def __call__(self, errands: Sequence[Errand[Any]]) -> None:
        self.groups.append(len(errands))
        for errand in errands:
            try:
                errand.run(NOWHERE)
            except ArithmeticError as e:
                errand.error = e
        if self.error is not None:
            raise self.error


def answering(answer: object) -> Callable[[Connection], object]:
    return lambda _connection: answer


def failing(error: BaseException) -> Callable[[Connection], object]:
    def fail(_connection: Connection) -> object:
        raise error

    return fail


@contextmanager
def waiting(line: Line, number: int) -> Iterator[None]:
    """Holds the line while the block runs, and until so many wait in it."""
    with line.alone():
        yield
        until(lambda: line.length == number)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def results(futures: Sequence[Future[object]]) -> list[object]:
    """What each returned, or the error that it raised."""
    return [future.exception(LONG) or future.result() for future in futures]


def test_who_is_alone_goes_at_once_and_alone() -> None:
    commits = Commits()
    line = Line(LONG)
    assert [line.together(answering(n), commits) for n in range(3)] == [0, 1, 2]
    assert commits.groups == [1, 1, 1]


def test_those_who_wait_together_are_committed_together_and_get_their_own_answers(pool: ThreadPoolExecutor) -> None:
    commits = Commits()
    line = Line(LONG)
    with waiting(line, 5):
        futures = [pool.submit(line.together, answering(n), commits) for n in range(5)]
    assert results(futures) == [0, 1, 2, 3, 4]
    assert commits.groups == [5]


def test_an_error_goes_to_the_one_whose_errand_it_was(pool: ThreadPoolExecutor) -> None:
    commits = Commits()
    line = Line(LONG)
    own = ZeroDivisionError()
    with waiting(line, 3):
        futures = [pool.submit(line.together, work, commits) for work in (answering(1), failing(own), answering(3))]
    assert results(futures) == [1, own, 3]


def test_a_commit_that_fails_fails_all_and_leaves_each_its_own_error(pool: ThreadPoolExecutor) -> None:
    commits = Commits()
    commits.error = OSError()
    line = Line(LONG)
    own = ZeroDivisionError()
    with waiting(line, 3):
        futures = [pool.submit(line.together, work, commits) for work in (answering(1), failing(own), answering(3))]
    assert results(futures) == [commits.error, own, commits.error]
    commits.error = None
    assert line.together(answering(4), commits) == 4


@pytest.mark.parametrize("stopped", ["first", "second"])
def test_a_thread_that_is_stopped_strands_nobody(stopped: str, pool: ThreadPoolExecutor) -> None:
    commits = Commits()
    line = Line(LONG)
    stop = SystemExit()
    works = [failing(stop), answering(2)] if stopped == "first" else [answering(1), failing(stop)]
    with waiting(line, 2):
        futures = []
        for number, work in enumerate(works, 1):
            futures.append(pool.submit(line.together, work, commits))
            until(lambda n=number: line.length == n)  # type: ignore[misc] # bound for the loop
    leader, follower = results(futures)
    assert leader is stop
    assert isinstance(follower, LedgerUnavailable)
    assert line.together(answering(3), commits) == 3


def test_who_wants_a_turn_alone_is_not_taken_along(pool: ThreadPoolExecutor) -> None:
    commits = Commits()
    line = Line(LONG)
    inside = threading.Event()

    def alone() -> None:
        with line.alone():
            inside.set()

    with waiting(line, 3):
        first = pool.submit(line.together, answering(1), commits)
        until(lambda: line.length == 1)
        turn = pool.submit(alone)
        until(lambda: line.length == 2)
        last = pool.submit(line.together, answering(3), commits)
    assert (first.result(LONG), last.result(LONG), turn.result(LONG)) == (1, 3, None)
    assert inside.is_set()
    assert commits.groups == [2]


def test_who_waited_too_long_leaves_the_line_and_nothing_is_done_for_him(pool: ThreadPoolExecutor) -> None:
    commits = Commits()
    line = Line(0.05)
    with line.alone():
        late = pool.submit(line.together, answering(1), commits)
        assert isinstance(late.exception(LONG), LedgerUnavailable)
    assert commits.groups == []
    assert line.together(answering(2), commits) == 2
    assert commits.groups == [1]


def test_who_was_taken_along_waits_for_what_comes_of_it_however_long(pool: ThreadPoolExecutor) -> None:
    line = Line(0.2)
    began, end = threading.Event(), threading.Event()

    def slow(errands: Sequence[Errand[Any]]) -> None:
        for errand in errands:
            errand.run(NOWHERE)
        began.set()
        end.wait(LONG)

    with waiting(line, 2):
        futures = [pool.submit(line.together, answering(n), slow) for n in range(2)]
    assert began.wait(LONG)
    time.sleep(0.4)  # longer than anybody waits for a turn
    assert not any(future.done() for future in futures)
    end.set()
    assert results(futures) == [0, 1]


def test_who_is_interrupted_while_waiting_leaves_the_line(pool: ThreadPoolExecutor) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    commits = Commits()
    line = Line(LONG)
    leave = threading.Event()
    main = threading.get_ident()

    def hold() -> None:
        with line.alone():
            until(lambda: line.length == 1)
            # To the thread that waits: raised here, it would be heard only when that thread's wait is over.
            signal.pthread_kill(main, signal.SIGUSR1)
            leave.wait(LONG)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        holder = pool.submit(hold)
        until(lambda: line._inside is not None)
        with pytest.raises(Interrupted):
            line.together(answering(1), commits)
    finally:
        signal.signal(signal.SIGUSR1, before)
        leave.set()
    holder.result(LONG)
    assert (line.length, commits.groups) == (0, [])
    assert line.together(answering(2), commits) == 2


def test_a_thread_that_would_wait_for_itself_is_told_so() -> None:
    commits = Commits()
    line = Line(LONG)
    with line.alone(), pytest.raises(RuntimeError):
        line.together(answering(1), commits)
    assert line.together(answering(2), commits) == 2


def test_all_get_their_turn_when_many_come_and_go(pool: ThreadPoolExecutor) -> None:
    commits = Commits()
    line = Line(LONG)
    inside = 0

    def one(number: int) -> int:
        nonlocal inside
        if number % 3:
            return cast("int", line.together(answering(number), commits))
        with line.alone():
            inside += 1
            assert inside == 1
            inside -= 1
        return number

    assert list(pool.map(one, range(600))) == list(range(600))
    assert sum(commits.groups) == 400
    assert line.length == 0
