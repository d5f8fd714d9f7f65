"""How the program's log lines are written."""

from __future__ import annotations

import logging
import sys

import structlog


def _name_action(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Every line has an ``action`` for machines; where none is given, the event is one."""
    event.setdefault("action", event.get("event"))
    return event


def configure_logging(level: str, form: str) -> None:
    """
    One line per event on standard output, nothing else: JSON for machines, text for a person at a terminal.

    Diacritics are written as they are; times are UTC, ISO 8601.
    """
    tail: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if form == "json"
        # Not the traceback of ``rich``, which shows the variables of every frame: secrets and documents among them.
        else [
            structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _name_action,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *tail,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=True,
    )
