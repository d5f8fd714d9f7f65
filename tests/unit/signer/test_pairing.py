"""Pages are paired by a code that only the person at the machine sees."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import PageNotPaired, PairingCodeWrong
from gateway.signer.pairing import Pairings
from tests.support.exchange import Clock

PAGE = "https://eoffice.example.vn"
OTHER = "https://other.example.vn"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pairings(clock: Clock) -> Pairings:
    return Pairings(None, clock=clock)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08}"


def test_the_code_gives_its_page_a_token(pairings: Pairings) -> None:
    token = pairings.finish(PAGE, pairings.begin(PAGE))
    pairings.check(PAGE, token)


def test_a_token_is_good_for_its_own_page_alone(pairings: Pairings) -> None:
    token = pairings.finish(PAGE, pairings.begin(PAGE))
    with pytest.raises(PageNotPaired):
        pairings.check(OTHER, token)


def test_another_token_is_refused(pairings: Pairings) -> None:
    pairings.finish(PAGE, pairings.begin(PAGE))
    with pytest.raises(PageNotPaired):
        pairings.check(PAGE, "guessed")


def test_a_code_works_once(pairings: Pairings) -> None:
    code = pairings.begin(PAGE)
    pairings.finish(PAGE, code)
    with pytest.raises(PairingCodeWrong):
        pairings.finish(PAGE, code)


def test_a_code_works_for_its_own_page_alone(pairings: Pairings) -> None:
    code = pairings.begin(PAGE)
    with pytest.raises(PairingCodeWrong):
        pairings.finish(OTHER, code)


def test_after_five_wrong_tries_the_right_code_is_void(pairings: Pairings) -> None:
    code = pairings.begin(PAGE)
    for _ in range(5):
        with pytest.raises(PairingCodeWrong):
            pairings.finish(PAGE, wrong(code))
    with pytest.raises(PairingCodeWrong):
        pairings.finish(PAGE, code)


def test_after_four_wrong_tries_the_right_code_still_works(pairings: Pairings) -> None:
    code = pairings.begin(PAGE)
    for _ in range(4):
        with pytest.raises(PairingCodeWrong):
            pairings.finish(PAGE, wrong(code))
    pairings.check(PAGE, pairings.finish(PAGE, code))


def test_a_code_of_some_minutes_ago_is_void(pairings: Pairings, clock: Clock) -> None:
    code = pairings.begin(PAGE)
    clock.forward(minutes=3, seconds=1)
    with pytest.raises(PairingCodeWrong):
        pairings.finish(PAGE, code)


def test_codes_cannot_be_asked_for_one_after_the_other(pairings: Pairings, clock: Clock) -> None:
    first = pairings.begin(PAGE)
    with pytest.raises(PairingCodeWrong):
        pairings.begin(PAGE)
    pairings.finish(PAGE, first)
    with pytest.raises(PairingCodeWrong):
        pairings.begin(PAGE)
    clock.forward(seconds=5)
    pairings.begin(PAGE)


def test_a_clock_that_is_put_back_neither_keeps_a_code_alive_nor_keeps_from_another(
    pairings: Pairings, clock: Clock
) -> None:
    code = pairings.begin(PAGE)
    clock.forward(hours=-1)
    with pytest.raises(PairingCodeWrong):
        pairings.finish(PAGE, code)
    assert pairings.finish(PAGE, pairings.begin(PAGE))


def test_a_pairing_ends_after_thirty_days(pairings: Pairings, clock: Clock) -> None:
    token = pairings.finish(PAGE, pairings.begin(PAGE))
    clock.forward(days=29)
    pairings.check(PAGE, token)
    clock.forward(days=1)
    with pytest.raises(PageNotPaired):
        pairings.check(PAGE, token)


def test_a_forgotten_page_is_paired_no_more(pairings: Pairings, clock: Clock) -> None:
    token = pairings.finish(PAGE, pairings.begin(PAGE))
    kept = pairings.finish(OTHER, pairings.begin(OTHER))
    pairings.forget(PAGE)
    with pytest.raises(PageNotPaired):
        pairings.check(PAGE, token)
    pairings.check(OTHER, kept)


# Between starts


@pytest.fixture
def started(tmp_path: Path, clock: Clock) -> Callable[[], Pairings]:
    return lambda: Pairings(tmp_path / "helper" / "pairings.json", clock=clock)


def test_a_pairing_outlives_the_helper_and_its_file_does_not_hold_the_token(
    started: Callable[[], Pairings], tmp_path: Path
) -> None:
    before = started()
    token = before.finish(PAGE, before.begin(PAGE))
    started().check(PAGE, token)
    file = tmp_path / "helper" / "pairings.json"
    assert token not in file.read_text(encoding="utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_pairings_that_ended_are_not_kept(started: Callable[[], Pairings], tmp_path: Path, clock: Clock) -> None:
    helper = started()
    helper.finish(PAGE, helper.begin(PAGE))
    clock.forward(days=31)
    helper.finish(OTHER, helper.begin(OTHER))
    assert PAGE not in (tmp_path / "helper" / "pairings.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"origin": "x"}]', '[{"origin":"x","sha256":"y","until":"z"}]'])
def test_a_broken_file_means_that_nothing_is_paired(
    started: Callable[[], Pairings], tmp_path: Path, content: str
) -> None:
    file = tmp_path / "helper" / "pairings.json"
    file.parent.mkdir()
    file.write_text(content, encoding="utf-8")
    helper = started()
    with pytest.raises(PageNotPaired):
        helper.check(PAGE, "any")
    helper.check(PAGE, helper.finish(PAGE, helper.begin(PAGE)))


def test_a_folder_that_cannot_be_written_to_does_not_stop_the_helper(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    helper = Pairings(tmp_path / "file" / "pairings.json", clock=clock)
    helper.check(PAGE, helper.finish(PAGE, helper.begin(PAGE)))
