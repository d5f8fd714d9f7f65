"""
The program with a clock that starts at ``pki.NOW``: what is valid then, and what is not, the hostile vectors say.

``python -m tests.support.served --config … serve``; all else is as ``python -m gateway``.
"""

from __future__ import annotations

import functools
import importlib
from datetime import datetime

from gateway.__main__ import main
from gateway.bootstrap import join
from gateway.clock import utc_now
from tests.support import pki

_STARTED = utc_now()


def clock() -> datetime:
    """Aware UTC: as long after ``pki.NOW`` as this process has run."""
    return pki.NOW + (utc_now() - _STARTED)


if __name__ == "__main__":
    # By name: the package's attribute of that name is the command.
    importlib.import_module("gateway.cli.serve").join = functools.partial(join, clock=clock)
    main()
