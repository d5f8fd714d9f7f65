"""The clock of the program; everything else is given the moment."""

from __future__ import annotations

import os
from datetime import UTC, datetime

_ZONE = "Asia/Ho_Chi_Minh"


def utc_now() -> datetime:
    """This moment, aware UTC."""
    return datetime.now(UTC)


def settle_zone() -> None:
    """
    Let libraries that ask for the machine's zone find Vietnam's; moments of our own are aware and do not need it.

    pyHanko asks when it writes a PDF, and gives up where ``TZ`` is no name (``ICT-7``), or where ``/etc/timezone`` and
    ``/etc/localtime`` differ, as when the host's file is mounted into a container: nobody could sign there.
    """
    os.environ["TZ"] = _ZONE
