"""What the acceptance tests say at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support import torture


@pytest.fixture(autouse=True)
def _kills_of_this_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tell the report how many kills the test made, also from a process of pytest-xdist."""
    before = torture.KILLS.copy()
    yield
    made = torture.KILLS - before
    if made:
        request.node.user_properties.append(("kills", [[*names, count] for names, count in made.items()]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The kills made, by step and engine."""
    kills: Counter[tuple[str, str]] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "teardown":
                for name, rows in report.user_properties:
                    if name == "kills":
                        kills.update({(engine, step): count for engine, step, count in rows})
    if kills:
        terminalreporter.section("kills")
        for line in torture.summary(kills):
            terminalreporter.write_line(line)
