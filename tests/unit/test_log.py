"""What the program's own log tells of a failure that nobody foresaw, and what it never does."""

import subprocess
import sys

import pytest

_FAILS = """
import structlog
from gateway.logs import configure_logging

configure_logging("info", "{form}")

def check(secret):
    raise ValueError("unforeseen")

try:
    check("khoa" * 4)
except ValueError as error:
    structlog.get_logger().error("unexpected failure", exc_info=error)
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_says_where_and_never_with_what(form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FAILS.format(form=form)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "unforeseen" in done.stdout
    assert "in check" in done.stdout
    assert "khoa" * 4 not in done.stdout
