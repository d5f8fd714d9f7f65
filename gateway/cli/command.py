"""
Commands, groups and options whose help is in both languages and teaches by examples.

``--config``, ``--lang``, ``-q``, ``-v`` may stand before or after the command's name: people write both.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from pathlib import Path
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

import click

from gateway.cli import exits, misuse
from gateway.cli.shell import Shell, shell_of
from gateway.cli.words import LANGUAGES, Language, Text
from gateway.errors import GatewayError

P = ParamSpec("P")
R = TypeVar("R")


class Option(click.Option):
    """An option that explains itself in the caller's language."""

    def __init__(self, *args: Any, words: Text, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.words = words

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """As click's, after the language is known."""
        self.help = self.words.say(shell_of(ctx).language)
        return super().get_help_record(ctx)


def option(*names: str, words: Text, **settings: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare an option."""
    return click.option(*names, cls=Option, words=words, **settings)


def _set_language(context: click.Context, _option: click.Parameter, value: Language | None) -> None:
    if value is not None:
        shell_of(context).language = value


def _set_config(context: click.Context, _option: click.Parameter, value: Path | None) -> None:
    if value is not None:
        shell_of(context).config = value


def _quieter(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        shell_of(context).verbosity = -1


def _louder(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        shell_of(context).verbosity = 1


def _for_programs(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        shell_of(context).json = True


def shared_options() -> list[click.Parameter]:
    """The options of every command."""
    return [
        Option(
            ["--config"],
            type=click.Path(dir_okay=False, path_type=Path),
            expose_value=False,
            callback=_set_config,
            words=Text(
                "Tệp cấu hình (hoặc biến GATEWAY_CONFIG); mặc định config/gateway.toml.",
                "Settings file (or GATEWAY_CONFIG); by default config/gateway.toml.",
            ),
        ),
        Option(
            ["--lang"],
            type=click.Choice(LANGUAGES),
            expose_value=False,
            is_eager=True,
            callback=_set_language,
            words=Text("Ngôn ngữ (hoặc biến LANG); mặc định tiếng Việt.", "Language (or LANG); by default Vietnamese."),
        ),
        Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_quieter,
            words=Text("Chỉ hiện kết quả và lỗi.", "Show results and errors only."),
        ),
        Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_louder,
            words=Text("Hiện cả nguyên nhân của lỗi.", "Show what caused an error, too."),
        ),
    ]


def for_programs() -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Give a command the option ``--json``, which it finds in its shell."""
    return option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_for_programs,
        words=Text("Kết quả dạng JSON cho chương trình đọc.", "The result as JSON, for programs."),
    )


_HELP = Text("Hiện hướng dẫn này.", "Show this message.")


def _examples(given: Text | str) -> Text:
    """Examples without comments are the same in both languages."""
    return Text(given, given) if isinstance(given, str) else given


class _Taught(click.Command):
    """The help of commands and groups: words in the caller's language, then examples."""

    words: Text
    examples: Text
    """Their comments are in the caller's language, too."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        found = super().get_help_option(ctx)
        if found is not None:
            found.help = _HELP.say(shell_of(ctx).language)
        return found

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        prefix = Text("Cách dùng: ", "Usage: ").say(shell_of(ctx).language)
        formatter.write_usage(ctx.command_path, " ".join(self.collect_usage_pieces(ctx)), prefix)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        records = [option.get_help_record(ctx) for option in options]
        with formatter.section(Text("Tùy chọn", "Options").say(shell_of(ctx).language)):
            formatter.write_dl([record for record in records if record is not None])

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.indentation():
            formatter.write_paragraph()
            formatter.write_text(self.words.say(shell_of(ctx).language))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        language = shell_of(ctx).language
        lines = self.examples.say(language).splitlines()
        if not lines:
            return
        with formatter.section(Text("Ví dụ", "Examples").say(language)):
            for line in lines:
                formatter.write(" " * formatter.current_indent + line + "\n")


class Command(_Taught):
    """One command."""

    def __init__(self, *args: Any, words: Text, examples: Text | str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.words, self.examples = words, _examples(examples)
        self.params += shared_options()


class Place(NamedTuple):
    """Where a command is found, so that asking for one does not load the others."""

    module: str
    attribute: str
    words: Text
    """Its line in the list of commands."""


class Group(_Taught, click.Group):
    """Commands under a common name, loaded when one of them is called."""

    def __init__(
        self,
        *args: Any,
        words: Text,
        examples: Text | str = "",
        places: Mapping[str, Place] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.words, self.examples = words, _examples(examples)
        self.places = dict(places or {})
        self.params += shared_options()

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's name and number of arguments
        """In the order in which they were declared: the way somebody meets them."""
        return [*self.places, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load what was asked for."""
        place = self.places.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        command = getattr(importlib.import_module(place.module), place.attribute)
        assert isinstance(command, click.Command)
        return command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, then the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list, without loading anything."""
        language = shell_of(ctx).language
        lines = [(name, place.words.say(language)) for name, place in self.places.items()]
        lines += [
            (name, command.words.say(language).partition("\n")[0])
            for name, command in self.commands.items()
            if isinstance(command, Command | Group) and not command.hidden
        ]
        with formatter.section(Text("Lệnh", "Commands").say(language)):
            formatter.write_dl(lines)

    def command_of(
        self, name: str, words: Text, *, examples: Text | str = "", hidden: bool = False
    ) -> Callable[[Callable[Concatenate[Shell, P], R]], Command]:
        """Declare a command of this group; the function gets the shell first."""
        return _declared(self, name, words, examples=examples, hidden=hidden)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """
        Run, and end the process with the exit code of ``exits``.

        An error of ours becomes its sentence; anything else is a fault of the program and keeps its traceback.
        """
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        shell = Shell()
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, obj=shell, **extra)
        except GatewayError as error:
            shell.failed(error)
            code = exits.exit_code(error)
        except click.exceptions.Abort:
            click.echo(err=True)
            code = exits.INTERRUPTED
        except click.ClickException as error:
            misuse.tell(shell, error, sys.argv[1:] if args is None else args)
            code = error.exit_code
        except BrokenPipeError:
            # The reader (`head`) has had enough; the interpreter must not complain while flushing.
            raise SystemExit(exits.FAILED) from None
        raise SystemExit(code if isinstance(code, int) else exits.DONE)


def _declared(
    group: Group | None, name: str, words: Text, *, examples: Text | str, hidden: bool
) -> Callable[[Callable[Concatenate[Shell, P], R]], Command]:
    def declare(function: Callable[Concatenate[Shell, P], R]) -> Command:
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            return function(shell_of(click.get_current_context()), *args, **kwargs)

        made = click.command(name, cls=Command, words=words, examples=examples, hidden=hidden)(
            update_wrapper(called, function)
        )
        assert isinstance(made, Command)
        if group is not None:
            group.add_command(made)
        return made

    return declare


def command(
    name: str, words: Text, *, examples: Text | str = "", hidden: bool = False
) -> Callable[[Callable[Concatenate[Shell, P], R]], Command]:
    """Declare a command of the top level; ``root`` names its place. The function gets the shell first."""
    return _declared(None, name, words, examples=examples, hidden=hidden)
