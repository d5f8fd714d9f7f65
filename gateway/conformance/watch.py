"""What is known of a client's conformance so far: each rule open, kept, or broken with the first reason seen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gateway.conformance.rules import Line, Outcome, Report, Rule, Words


class Asked(NamedTuple):
    """One rule for clients."""

    name: str
    vi: str
    en: str


def _nobody(_: Line) -> None:
    """Tells nobody."""


class Watch:
    """The verdicts on one client; safe for several threads."""

    def __init__(self, protocol: str, rules: Sequence[Asked], *, told: Callable[[Line], None] = _nobody) -> None:
        """:param told: is given each line when its outcome changes, from the thread that served the call."""
        self._protocol = protocol
        self._lines = {
            rule.name: Line(
                rule=Rule(id=f"{protocol}.{rule.name}", words=Words(rule.vi, rule.en)), outcome=Outcome.OPEN
            )
            for rule in rules
        }
        self._told = told
        self._lock = threading.Lock()

    @property
    def rules(self) -> list[Rule]:
        """All of them."""
        return [line.rule for line in self._lines.values()]

    def keeps(self, name: str) -> None:
        """The client was seen to keep a rule; what was broken once stays so."""
        self._set(name, Outcome.PASS, None)

    def breaks(self, name: str, vi: str, en: str) -> None:
        """The client was seen to break a rule, and how."""
        self._set(name, Outcome.FAIL, Words(vi, en))

    def judge(self, name: str, holds: bool, vi: str, en: str) -> bool:
        """``keeps`` or ``breaks``; whether it holds."""
        if holds:
            self.keeps(name)
        else:
            self.breaks(name, vi, en)
        return holds

    def is_open(self, name: str) -> bool:
        """Whether nothing has been seen of a rule yet."""
        return self._lines[name].outcome is Outcome.OPEN

    def report(self) -> Report:
        """All lines as they stand."""
        with self._lock:
            return Report(tuple(self._lines.values()))

    def _set(self, name: str, outcome: Outcome, reason: Words | None) -> None:
        with self._lock:
            before = self._lines[name]
            if before.outcome in (outcome, Outcome.FAIL):
                return
            after = Line(rule=before.rule, outcome=outcome, reason=reason)
            self._lines[name] = after
        self._told(after)
