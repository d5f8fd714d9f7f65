"""A command line that is wrong, told in the caller's language, or as JSON to programs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import click

from gateway.cli.shell import Shell, as_json, plain
from gateway.cli.words import LANGUAGES, Text

CODE: Final = "command.usage"


class Misuse(click.UsageError):
    """What a command itself finds wrong with its call."""

    def __init__(self, words: Text, **values: object) -> None:
        super().__init__(words.say("en", **values))
        self.vi = words.say("vi", **values)


def tell(shell: Shell, error: click.ClickException, arguments: Sequence[str]) -> None:
    """
    Show on standard error what is wrong, and where help is.

    :param arguments: of the whole call: its language and ``--json`` count even where reading it has failed before them.
    """
    options = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    _choose_language(shell, options)
    context = error.ctx if isinstance(error, click.UsageError) else None
    lacks_command = isinstance(error, click.exceptions.NoArgsIsHelpError)
    detail = "A command is missing." if lacks_command else plain(" ".join(error.format_message().split()))
    vi = plain(_in_vietnamese(error))
    if shell.json or "--json" in options:
        facts = {"code": CODE, "path": _option_at_fault(error), "detail": detail, "vi": vi, "en": detail}
        click.echo(as_json({"error": facts}), err=True)
        return
    if lacks_command:
        error.show()  # the help of the group that was called alone
        return
    if shell.language == "vi":
        click.echo(f"Lỗi ({CODE}): {vi}", err=True)
        if not isinstance(error, Misuse):
            click.echo(f"  {detail}", err=True)
    else:
        click.echo(f"Error ({CODE}): {detail}", err=True)
    # Click does not say where an option without its value was found.
    path = context.command_path if context else "gateway"
    click.echo(shell.words(Text("Thử: {command} --help", "Try: {command} --help"), command=path), err=True)


def _choose_language(shell: Shell, options: Sequence[str]) -> None:
    for before, word in pairwise(["", *options]):
        value = word if before == "--lang" else word.removeprefix("--lang=")
        shell.language = next((known for known in LANGUAGES if known == value), shell.language)


def _in_vietnamese(error: click.ClickException) -> str:
    """Our own sentence; what click says in English follows it as the detail."""
    match error:
        case Misuse():
            sentence = error.vi
        case click.exceptions.NoArgsIsHelpError():
            sentence = "Thiếu tên lệnh."
        case click.NoSuchOption():
            sentence = f"Không có tùy chọn {error.option_name}."
        case click.exceptions.NoSuchCommand():
            sentence = f"Không có lệnh {error.command_name}."
        case click.MissingParameter():
            sentence = f"Thiếu {_option_at_fault(error) or 'tham số'}."
        case click.BadParameter():
            sentence = f"Giá trị của {_option_at_fault(error) or 'tham số'} không hợp lệ."
        case click.BadOptionUsage():
            sentence = f"Tùy chọn {error.option_name} dùng chưa đúng."
        case _:
            sentence = "Dòng lệnh không đúng."
    return sentence


def _option_at_fault(error: click.ClickException) -> str | None:
    match error:
        case click.NoSuchOption() | click.BadOptionUsage():
            return error.option_name
        case click.BadParameter(param=click.Option() as option):
            return max(option.opts, key=len)
        case click.BadParameter(param=click.Parameter() as argument):
            return argument.human_readable_name
        case _:
            return None
