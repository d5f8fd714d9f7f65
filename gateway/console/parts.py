"""What the console is given; it builds nothing and reads no settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import BinaryIO, cast

from flask import current_app

from gateway.console.texts import Language
from gateway.directory import Directory
from gateway.ledger import Ledger
from gateway.ledger.records import Trace

EXTENSION = "gateway.console"
"""Key of the parts in ``app.extensions``."""


@dataclass(frozen=True, kw_only=True)
class ConsoleParts:
    """The parts of the program that the pages use."""

    ledger: Ledger
    directory: Callable[[], Directory]
    """The present snapshot; asked once per request."""
    clock: Callable[[], datetime]
    """Aware UTC."""
    replay: Callable[[Sequence[str], str, str], int]
    """Put deliveries back to waiting: delivery ids, reason, the operator's login; returns how many.
    Raises as ``Ledger.replay`` does."""
    open_package: Callable[[str], BinaryIO]
    """The bytes of a document's package as received, by the gateway's document id; raises ``PayloadMissing``."""
    export_evidence: Callable[[Trace, str], BinaryIO]
    """The evidence file of a document, as far as a trace goes: the trace, the operator's login; the event is recorded.
    Raises ``PayloadMissing`` and ``EvidenceTooLarge``."""
    session_key: bytes = field(repr=False)
    """Signs the session cookie; at least 32 random bytes, the same in all processes."""
    session: timedelta = timedelta(hours=8)
    """How long a log-in lasts, whatever is done meanwhile."""
    default_language: Language = "vi"
    """Until a person has chosen one."""
    secure_cookies: bool = False
    """True behind TLS."""
    timestamp_alarm: timedelta = timedelta(hours=4)
    """When a stamp of the event log has been due for so long, the first page says so."""
    login_rate_limit: str = "10 per minute"
    """Log-in tries per address, and per login name, in the notation of ``limits``; counted by each process alone."""
    gateway_name: str


def parts() -> ConsoleParts:
    """The parts of the application that serves this request."""
    return cast("ConsoleParts", current_app.extensions[EXTENSION])
