"""How the demo is shown: a live table at a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import click
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text as RichText

from gateway.cli.demo.judge import Line
from gateway.cli.demo.proof import in_short
from gateway.cli.demo.watch import Step, Watch
from gateway.cli.shell import Shell, plain
from gateway.cli.words import Text
from gateway.console.words import STATES
from gateway.model import DeliveryState, FileVerdict

_STEPS_SHOWN = 10
_STYLES = {
    DeliveryState.WAITING: "yellow",
    DeliveryState.LEASED: "yellow",
    DeliveryState.FORWARDED: "cyan",
    DeliveryState.DELIVERED: "green",
    DeliveryState.REFUSED: "red",
    DeliveryState.ABANDONED: "bold red",
    DeliveryState.WITHDRAWN: "dim",
}
_TONES = {"good": "green", "warn": "yellow", "bad": "bold red", "busy": "yellow", "calm": "dim"}
_COLUMNS = (
    Text("Văn bản", "Document"),
    Text("Nơi gửi", "From"),
    Text("Chữ ký trong tệp", "Signed in the file"),
    Text("Nơi nhận", "To"),
    Text("Qua", "Through"),
    Text("Lượt chuyển", "Delivery"),
    Text("Trạng thái đã về nơi gửi", "Statuses back at the sender"),
)


Files = Mapping[str, FileVerdict | None]
"""By the name of a dispatch: what its gateway found in its main file, ``None`` until then."""


class Screen:
    """A context manager: shows what happens while it is open."""

    def __init__(self, shell: Shell, watch: Watch) -> None:
        self._shell = shell
        self._watch = watch
        console = shell.console()
        live = console.is_terminal and shell.verbosity >= 0
        self._live = Live(console=console, refresh_per_second=5, transient=True) if live else None
        self._steps: deque[Step] = deque(maxlen=_STEPS_SHOWN)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def update(self, steps: Sequence[Step], table: Sequence[Line], files: Files) -> None:
        """Show what is new."""
        shown = [step for step in steps if not step.is_report or self._shell.verbosity > 0]
        if self._live is None:
            if self._shell.verbosity >= 0:
                for step in shown:
                    click.echo(self._line(step))
            return
        self._steps.extend(shown)
        lines = RichText("\n".join(self._line(step) for step in self._steps), overflow="ellipsis", no_wrap=True)
        self._live.update(Group(self.table(table, files), lines))

    def _line(self, step: Step) -> str:
        return f"{step.at:%H:%M:%S.%f}"[:-4] + f"  {step.gateway:<30} {plain(step.words.say(self._shell.language))}"

    def table(self, lines: Sequence[Line], files: Files) -> Table:
        """Documents × recipients × states × statuses, and what the signatures in the files are worth."""
        language = self._shell.language
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for column in _COLUMNS:
            table.add_column(column.say(language), overflow="fold")
        before = None
        for line in lines:
            mark = STATES[line.delivery.state]
            absent = [code for code in line.expected if code not in line.returned]
            returned = RichText(" ".join(line.returned), style="green" if not absent else "yellow")
            first = line.dispatch is not before
            before = line.dispatch
            shown = in_short(files[line.dispatch.name], language) if first and line.dispatch.name in files else None
            table.add_row(
                RichText(line.dispatch.name if first else ""),
                RichText(plain(self._watch.name_of(line.delivery.sender)) if first else ""),
                RichText(shown[0], style=_TONES[shown[1]]) if shown else RichText(""),
                RichText(plain(self._watch.name_of(line.delivery.as_written))),
                RichText(plain(self._watch.name_of(line.delivery.via))),
                RichText(f"{mark.shape} {mark.words.say(language)}", style=_STYLES[line.delivery.state]),
                returned,
            )
        return table
