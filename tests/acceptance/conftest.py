"""What the acceptance tests say at the end."""

from __future__ import annotations

import pytest

from tests.support import torture


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The kills made, by step and engine."""
    if torture.KILLS:
        terminalreporter.section("kills")
        for line in torture.summary():
            terminalreporter.write_line(line)
