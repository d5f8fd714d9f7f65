"""The help teaches: every command, in both languages."""

import json
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from gateway import __version__
from gateway.cli.command import Command, Group, Option
from gateway.cli.root import root

_CONTEXT = click.Context(root)


def _commands(group: Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name in group.list_commands(_CONTEXT):
        command = group.get_command(_CONTEXT, name)
        yield (*path, name)
        if isinstance(command, Group):
            yield from _commands(command, (*path, name))


def _find(path: tuple[str, ...]) -> click.Command:
    found: click.Command = root
    for name in path:
        assert isinstance(found, Group)
        inner = found.get_command(_CONTEXT, name)
        assert inner is not None
        found = inner
    return found


ALL = list(_commands(root))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_explains_itself_in_both_languages(path: tuple[str, ...]) -> None:
    command = _find(path)
    assert isinstance(command, Command | Group)
    said = {}
    for language in ("vi", "en"):
        done = CliRunner().invoke(root, ["--lang", language, *path, "--help"])
        assert done.exit_code == 0, done.output
        said[language] = done.output
    assert said["vi"] != said["en"]
    assert command.words.vi != command.words.en


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_option_explains_itself_in_both_languages(path: tuple[str, ...]) -> None:
    for parameter in _find(path).params:
        if isinstance(parameter, click.Option):
            assert isinstance(parameter, Option), parameter.name
            assert parameter.words.vi != parameter.words.en, parameter.name


@pytest.mark.parametrize("path", [p for p in ALL if len(p) == 1], ids=" ".join)
def test_every_command_of_the_top_level_gives_examples(path: tuple[str, ...]) -> None:
    command = _find(path)
    assert isinstance(command, Command | Group)
    assert "gateway" in command.examples.vi


def test_the_version_is_told() -> None:
    done = CliRunner().invoke(root, ["--version"])
    assert (done.exit_code, done.output) == (0, f"gateway {__version__}\n")


def test_arguments_stand_in_the_usage_alone() -> None:
    said = CliRunner().invoke(root, ["--lang", "en", "init", "--help"], prog_name="gateway").output
    assert said.startswith("Usage: gateway init [OPTIONS] [FOLDER]\n")
    assert said.count("FOLDER") == 1


def test_options_of_the_program_may_stand_after_the_command_too() -> None:
    done = CliRunner().invoke(root, ["verify", "--lang", "en", "--help"])
    assert "Examples" in done.output


@pytest.mark.parametrize("path", [(), *ALL], ids=" ".join)
def test_vietnamese_help_keeps_none_of_the_frames_words_in_english(path: tuple[str, ...]) -> None:
    said = CliRunner().invoke(root, ["--lang", "vi", *path, "--help"]).output
    for word in ("Usage:", "Options:", "Show ", "Commands:", "Examples:"):
        assert word not in said


@pytest.fixture
def without_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_KEY", raising=False)


@pytest.mark.usefixtures("without_key")
@pytest.mark.parametrize(
    ("call", "english", "vietnamese", "option", "help_of"),
    [
        (
            "deliveries list --state nonsense",
            "'nonsense' is not one of",
            "Giá trị của --state",
            "--state",
            "gateway deliveries list",
        ),
        (
            "deliveries list --nonsense",
            "No such option",
            "Không có tùy chọn --nonsense",
            "--nonsense",
            "gateway deliveries list",
        ),
        ("deliveries nonsense", "No such command", "Không có lệnh nonsense", None, "gateway deliveries"),
        ("agencies show", "Missing argument", "Thiếu CODE", "CODE", "gateway agencies show"),
        ("deliveries list --state", "requires an argument", "Tùy chọn --state", "--state", "gateway"),
        ("inbox list", "A key is needed", "Cần có khóa", None, "gateway inbox list"),
    ],
)
def test_a_wrong_call_is_told_in_the_callers_language_and_to_programs_as_json(
    call: str, english: str, vietnamese: str, option: str | None, help_of: str
) -> None:
    def told(*before: str) -> str:
        done = CliRunner().invoke(root, [*before, *call.split()], prog_name="gateway")
        assert (done.exit_code, done.stdout) == (2, "")
        return done.stderr

    assert english in told("--lang", "en")
    assert told("--lang", "en").endswith(f"Try: {help_of} --help\n")
    assert vietnamese in told("--lang=vi")
    assert told("--lang=vi").endswith(f"Thử: {help_of} --help\n")
    for_programs = CliRunner().invoke(root, [*call.split()[:2], "--json", *call.split()[2:]]).stderr
    error = json.loads(for_programs)["error"]
    assert error.keys() == {"code", "path", "detail", "vi", "en"}
    assert (error["code"], error["path"]) == ("command.usage", option)
    assert english in error["detail"]
    assert vietnamese in error["vi"]


def test_the_language_counts_where_reading_has_failed_before_it() -> None:
    done = CliRunner().invoke(root, ["deliveries", "list", "--nonsense", "--lang", "en"])
    assert done.stderr.startswith("Error (command.usage): No such option")


def test_a_group_without_a_command_shows_its_help() -> None:
    done = CliRunner().invoke(root, ["--lang", "en", "deliveries"])
    assert done.exit_code == 2
    assert "Usage:" in done.stderr


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(root, ["nonsense"]).exit_code == 2


def test_settings_that_are_not_there_are_for_the_operator(tmp_path: object) -> None:
    done = CliRunner().invoke(root, ["--lang", "en", "--config", f"{tmp_path}/none.toml", "config", "show"])
    assert done.exit_code == 4
    assert "settings.invalid" in done.stderr
    assert "gateway init" in done.stderr
