"""
Places where a test may kill the process, to prove that nothing is lost or doubled there.

Without the environment variable ``GATEWAY_FAULT`` a point is one dictionary look-up.
``GATEWAY_FAULT=accept.after_commit:3`` kills the process, as a power cut would, when that
point is passed for the third time.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "accept.after_spool",
    "accept.after_verify",
    "accept.before_payload",
    "accept.after_payload",
    "accept.before_commit",
    "accept.after_commit",
    "deliver.after_claim",
    "deliver.before_send",
    "deliver.after_send",
    "deliver.before_settle",
    "deliver.after_settle",
    "mailbox.before_acknowledge",
    "mailbox.after_acknowledge",
)
"""Every named step of accepting and delivering, in order."""

_name, _, _count = os.environ.get("GATEWAY_FAULT", "").partition(":")
_remaining = {_name: int(_count or "1")} if _name else {}

if _name and _name not in POINTS:
    raise ValueError(f"GATEWAY_FAULT names no fault point: {_name}")


def point(name: str) -> None:
    """Die here if the test asked for it; SIGKILL, because nothing may clean up."""
    if name in _remaining:
        _remaining[name] -= 1
        if _remaining[name] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
