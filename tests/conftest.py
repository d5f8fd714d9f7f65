"""What every test may ask for; the fixtures live with what they make, in ``tests/support``."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.support.programs import not_judged

pytest_plugins = ["tests.support.databases"]

# A machine that is busy with something else is slow, which says nothing about what is tested.
settings.register_profile(
    "busy machine", parent=settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy machine")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly at the end which programs were absent, and how many tests they would have judged."""
    reasons = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", []) if report.longrepr]
    absent = not_judged(reasons)
    if absent:
        terminalreporter.section("NOT JUDGED", sep="!", red=True, bold=True)
        for name, tests in sorted(absent.items()):
            terminalreporter.line(f"{name} is not installed: {tests} tests were not run", red=True)
