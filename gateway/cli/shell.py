"""What every command shares: language, settings, and the ways of showing something."""

from __future__ import annotations

import dataclasses
import enum
import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text as RichText

from gateway.cli.words import Language, Text, language_of
from gateway.errors import GatewayError
from gateway.model import VIETNAM_TIME

if TYPE_CHECKING:
    from gateway.settings import Settings

_WIDE = 400
"""Columns of a table that is not shown at a terminal: wide enough that no line is broken."""
_NO_ROWS = Text("Không có gì để liệt kê.", "There is nothing to list.")


def plain(text: object) -> str:
    """
    A text that may be printed: names and subjects come from strangers' packages, and control or
    direction characters in them would move the cursor, recolour the terminal or reverse the line.
    """
    return "".join("�" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in str(text))


def moment(at: datetime | None) -> str:
    """A time as people here read it: Vietnam time."""
    return at.astimezone(VIETNAM_TIME).strftime("%d/%m/%Y %H:%M:%S") if at else "–"


def as_json(value: object) -> str:
    """Indented JSON with its diacritics; dataclasses, enumerations, sets, times and paths as one expects."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=_plain_value)


def _plain_value(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return sorted(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(type(value).__name__)


@dataclasses.dataclass
class Shell:
    """One call of the program; click keeps it in its root context."""

    language: Language = dataclasses.field(default_factory=language_of)
    config: Path | None = None
    """``None``: ``GATEWAY_CONFIG``, else ``config/gateway.toml`` here."""
    verbosity: int = 0
    """Below 0: results and errors only. Above 0: also what caused an error."""
    json: bool = False
    """A program reads the output."""

    def settings(self) -> Settings:
        """The settings in force; errors as ``load_settings``."""
        # Here and not above: most of the time of a short command would go into loading what it does not read.
        from gateway.settings import load_settings  # noqa: PLC0415

        return load_settings(self.config)

    def words(self, text: Text, **values: object) -> str:
        """A sentence in the language of this call; its values are made printable."""
        return text.say(self.language, **{name: plain(value) for name, value in values.items()})

    def say(self, text: Text, **values: object) -> None:
        """Tell what was done, on standard output; not to programs, not when asked to be quiet."""
        if self.verbosity >= 0 and not self.json:
            click.echo(self.words(text, **values))

    def note(self, text: Text, **values: object) -> None:
        """Say something beside the result, on standard error."""
        if self.verbosity >= 0:
            click.echo(self.words(text, **values), err=True)

    def result(self, value: object) -> None:
        """The result as JSON."""
        click.echo(as_json(value))

    def table(self, columns: Sequence[Text], rows: Sequence[Sequence[object]]) -> None:
        """
        Rows under headings, or a sentence that there are none.

        Lines are broken only at a terminal. Cells that are rich texts keep their style.
        """
        if not rows:
            # Headings with nothing below them look like an answer that was cut off.
            click.echo(self.words(_NO_ROWS))
            return
        console = self.console()
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column.say(self.language), overflow="fold")
        for row in rows:
            table.add_row(*(cell if isinstance(cell, RichText) else RichText(plain(cell)) for cell in row))
        console.print(table)

    def console(self, *, errors: bool = False) -> Console:
        """Standard output, or standard error; rich keeps to NO_COLOR by itself."""
        stream = sys.stderr if errors else sys.stdout
        return Console(file=stream, width=None if stream.isatty() else _WIDE, highlight=False)

    def failed(self, error: GatewayError) -> None:
        """Show an error on standard error."""
        if self.json:
            facts = {"code": error.code, "path": error.path, "detail": error.detail, "vi": error.vi, "en": error.en()}
            click.echo(as_json({"error": facts}), err=True)
            return
        if self.language == "vi":
            click.echo(f"Lỗi ({error.code}): {error.vi}", err=True)
            click.echo(f"  {plain(error.detail)}", err=True)
        else:
            click.echo(f"Error ({error.code}): {plain(error.detail)}", err=True)
        cause = error.__cause__
        while self.verbosity > 0 and cause is not None:
            click.echo(f"  <- {type(cause).__name__}: {plain(cause)}", err=True)
            cause = cause.__cause__


def shell_of(context: click.Context) -> Shell:
    """The shell of a call, made when first asked for."""
    root = context.find_root()
    if not isinstance(root.obj, Shell):
        root.obj = Shell()
    return root.obj
