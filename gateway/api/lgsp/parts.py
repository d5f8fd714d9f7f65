"""What the provincial protocol is given; it builds nothing and reads no settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from gateway.api.lgsp.access import Gatekeeper
from gateway.api.lgsp.answers import Shape
from gateway.exchange.parts import Parts

EXTENSION = "gateway.lgsp"
"""Key of the parts in ``app.extensions``."""


@dataclass(frozen=True, kw_only=True)
class LgspParts:
    """The parts of the program that its calls use."""

    parts: Parts
    gatekeeper: Gatekeeper
    shape: Shape
    window_days: int
    """The widest window that ``syncReceivedEdocList`` answers."""


def lgsp_parts() -> LgspParts:
    """The parts of the application that serves this request."""
    return cast("LgspParts", current_app.extensions[EXTENSION])
