"""Rules, what became of each, and the reports of both sides of the kit."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

S = TypeVar("S")
F = TypeVar("F", bound=Callable[..., Any])


class Words(NamedTuple):
    """One sentence in both languages."""

    vi: str
    en: str


class Outcome(enum.StrEnum):
    """What is known of a rule."""

    PASS = "pass"  # noqa: S105 # no password
    FAIL = "fail"
    SKIP = "skip"
    """Not asked, with the reason: it would do harm, or what it needs is not there."""
    OPEN = "open"
    """Not seen yet: only the kit's own server has these."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One thing that the protocol asks for."""

    id: str
    """Stable: ``vxp.hash-file.unpadded``."""
    words: Words
    """What must hold."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One rule and its verdict."""

    rule: Rule
    outcome: Outcome
    reason: Words | None = None
    """Why it failed or was left out."""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        reason = self.reason._asdict() if self.reason else None
        return {"rule": self.rule.id, **self.rule.words._asdict(), "outcome": self.outcome.value, "reason": reason}


@dataclass(frozen=True)
class Report:
    """What became of all rules."""

    lines: tuple[Line, ...]

    @property
    def passed(self) -> bool:
        """Nothing failed."""
        return not any(line.outcome is Outcome.FAIL for line in self.lines)

    def counts(self) -> dict[str, int]:
        """How many rules had each outcome."""
        found = Counter(line.outcome for line in self.lines)
        return {outcome.value: found[outcome] for outcome in Outcome if found[outcome]}

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"passed": self.passed, "counts": self.counts(), "rules": [line.as_json() for line in self.lines]}


# Verdicts of a check


class Verdict(Exception):
    """Ends a check before its end."""

    def __init__(self, vi: str, en: str) -> None:
        self.words = Words(vi, en)
        super().__init__(en)


class Broken(Verdict):
    """The rule does not hold."""


class LeftOut(Verdict):
    """The rule could not be asked."""


def require(holds: object, vi: str, en: str) -> None:
    """
    Go on if it holds.

    :raises Broken: it does not; the words say what was found instead.
    """
    if not holds:
        raise Broken(vi, en)


@dataclass(frozen=True)
class _Check(Generic[S]):
    rule: Rule
    ask: Callable[[S], None]


@dataclass
class Book(Generic[S]):
    """The checks of one protocol, in the order in which they are asked."""

    protocol: str
    checks: list[_Check[S]] = field(default_factory=list)

    def rule(self, name: str, vi: str) -> Callable[[Callable[[S], None]], Callable[[S], None]]:
        """
        Declare a check: a function that returns if the rule holds, and raises ``Broken`` or ``LeftOut``.

        :param vi: what must hold; the function's docstring says it in English.
        """

        def declare(ask: Callable[[S], None]) -> Callable[[S], None]:
            assert ask.__doc__, name
            words = Words(vi, " ".join(ask.__doc__.split()))
            self.checks.append(_Check(Rule(id=f"{self.protocol}.{name}", words=words), ask))
            return ask

        return declare

    @property
    def rules(self) -> list[Rule]:
        """All of them."""
        return [check.rule for check in self.checks]

    def run(self, subject: S, *, only: Iterable[str] = ()) -> Iterator[Line]:
        """
        Ask one rule after the other.

        :param only: beginnings of rules' names; empty for all.
        """
        wanted = tuple(only)
        for check in self.checks:
            if wanted and not check.rule.id.startswith(wanted):
                continue
            yield _asked(check, subject)


def _asked(check: _Check[S], subject: S) -> Line:
    try:
        check.ask(subject)
    except LeftOut as e:
        return Line(rule=check.rule, outcome=Outcome.SKIP, reason=e.words)
    except Broken as e:
        return Line(rule=check.rule, outcome=Outcome.FAIL, reason=e.words)
    return Line(rule=check.rule, outcome=Outcome.PASS)
