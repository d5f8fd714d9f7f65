"""What keeps the memory of a process, through which PINs pass, off the disk."""

from __future__ import annotations

import sys

_PR_SET_DUMPABLE = 4


def keep_from_dumps() -> None:
    """
    Let no crash of this process leave its memory behind, and on Linux let no program of the same account read it.

    Windows writes such dumps only where an administrator has asked for them.
    """
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - Unix has it

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - for this alone

        # The limit does not hold where the system pipes dumps to a program.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
