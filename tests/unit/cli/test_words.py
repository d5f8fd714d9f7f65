"""Languages and what may be printed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.cli.shell import as_json, moment, plain
from gateway.cli.words import Text, language_of
from gateway.model import StatusCode


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "vi"),
        ({"LANG": "C.UTF-8"}, "vi"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "vi_VN.UTF-8"}, "vi"),
        ({"LANG": "vi_VN.UTF-8", "GATEWAY_LANG": "en"}, "en"),
    ],
)
def test_the_language_is_that_of_the_surroundings_and_otherwise_vietnamese(
    environment: dict[str, str], language: str
) -> None:
    assert language_of(environment) == language


def test_a_sentence_takes_values_and_leaves_braces_alone_without_any() -> None:
    assert Text("có {n}", "{n} there").say("en", n=3) == "3 there"
    assert Text("{}", "{}").say("vi") == "{}"


@pytest.mark.parametrize("hostile", ["\x1b[31mred", "a\rb", "a\u202eb", "a\u200fb", "\x9b2J"])
def test_names_from_packages_cannot_steer_the_terminal(hostile: str) -> None:
    assert not set(plain(hostile)) & {"\x1b", "\r", "\u202e", "\u200f", "\x9b"}


def test_accents_are_printed_as_they_are() -> None:
    assert plain("Ủy ban nhân dân xã Đồng Đăng") == "Ủy ban nhân dân xã Đồng Đăng"


def test_times_are_shown_in_vietnam_time() -> None:
    assert moment(datetime(2026, 3, 5, 17, 30, tzinfo=UTC)) == "06/03/2026 00:30:00"
    assert moment(None) == "–"


@dataclass
class _Thing:
    code: StatusCode
    at: datetime
    path: Path
    some: frozenset[str]


def test_json_has_values_as_one_expects() -> None:
    thing = _Thing(
        code=StatusCode.DONE, at=datetime(2026, 3, 5, tzinfo=UTC), path=Path("Đồng"), some=frozenset({"b", "a"})
    )
    text = as_json(thing)
    assert '"code": "06"' in text
    assert "Đồng" in text
    assert '"2026-03-05T00:00:00+00:00"' in text
