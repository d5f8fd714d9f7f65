"""The help teaches: every command, in both languages."""

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
    assert "gateway" in command.examples


def test_the_version_is_told() -> None:
    done = CliRunner().invoke(root, ["--version"])
    assert (done.exit_code, done.output) == (0, f"gateway {__version__}\n")


def test_options_of_the_program_may_stand_after_the_command_too() -> None:
    done = CliRunner().invoke(root, ["verify", "--lang", "en", "--help"])
    assert "Examples" in done.output


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(root, ["nonsense"]).exit_code == 2


def test_settings_that_are_not_there_are_for_the_operator(tmp_path: object) -> None:
    done = CliRunner().invoke(root, ["--lang", "en", "--config", f"{tmp_path}/none.toml", "config", "show"])
    assert done.exit_code == 4
    assert "settings.invalid" in done.stderr
    assert "gateway init" in done.stderr
