"""What the API works with; put into the app by ``gateway.bootstrap``."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.api.auth import Doorkeeper
from gateway.exchange.parts import Parts


@dataclass(frozen=True, kw_only=True)
class Services:
    """Found by the views as ``current_app.extensions["gateway"]``."""

    parts: Parts
    doorkeeper: Doorkeeper
    mailbox_lease_seconds: int
