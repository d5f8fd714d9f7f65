"""Programs that examples in the pages use, and that a machine may lack."""

import shutil

import pytest


def needs(*programs: str) -> pytest.MarkDecorator:
    """A mark that skips a test, saying so, where one of these programs is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"PROGRAMS ABSENT: {', '.join(missing)}: an example was not run")
