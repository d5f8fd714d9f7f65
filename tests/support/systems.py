"""Systems of a running or stopped gateway, registered as an operator does it."""

from __future__ import annotations

import json

from tests.support.gateways import RunningGateway


def a_system(gateway: RunningGateway, system: str, *agencies: str, gateway_system: bool = False) -> str:
    """
    Register a system by ``gateway systems add``; its secret.

    :param gateway_system: it is an axis itself.
    """
    asked = ["systems", "add", system, "--name", f"Hệ thống {system}", "--json"]
    asked += [word for code in agencies for word in ("--agency", code)]
    done = gateway.run(*asked, *(["--gateway"] if gateway_system else []))
    return str(json.loads(done.stdout)["secret"])
