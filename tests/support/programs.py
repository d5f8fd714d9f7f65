"""Programs that tests use as judges or as examples, and that a machine may lack."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable

import pytest

ABSENT = "PROGRAMS ABSENT: "

_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def program(name: str) -> str | None:
    """Where a program is, also one that Debian keeps for administrators (``clamd``); ``None`` when it is not there."""
    return shutil.which(name, path=_PATH)


def needs(*programs: str) -> pytest.MarkDecorator:
    """A mark that skips a test, saying so, where one of these programs is not installed."""
    missing = [name for name in programs if program(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{ABSENT}{', '.join(missing)}: what they judge was not judged")


def not_judged(reasons: Iterable[str]) -> Counter[str]:
    """How many tests each absent program has kept from being run, from the reasons of skipped ones."""
    return Counter(
        name
        for reason in reasons
        if ABSENT in reason
        for name in reason.partition(ABSENT)[2].partition(":")[0].split(", ")
    )
