"""Puts a server of the kit together."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.conformance import stand_lgsp, stand_vxp
from gateway.conformance.axis import Axis
from gateway.conformance.server import ConformanceServer
from gateway.conformance.stand_lgsp import LgspStand
from gateway.conformance.stand_vxp import VxpStand
from gateway.conformance.watch import Asked, Watch
from gateway.errors import SettingsInvalid

RULES: Mapping[str, tuple[Asked, ...]] = {"vxp": stand_vxp.RULES, "lgsp": stand_lgsp.RULES}
"""Protocol → what is watched of a client."""


def a_stand(
    address: tuple[str, int], watch: Watch, *, protocol: str, system: str, secret: str, agency: str, faults: bool
) -> ConformanceServer:
    """
    A server that listens and is not served yet.

    :param secret: of the system; with LGSP its password, too, and the system its user.
    :param faults: whether it loses some answers on purpose.
    :raises SettingsInvalid: it cannot listen there.
    """
    axis = Axis(agency, watch, faults=faults)
    answer = (
        VxpStand(axis, watch, system=system, secret=secret).answer
        if protocol == "vxp"
        else LgspStand(axis, watch, system=system, secret=secret, username=system, password=secret).answer
    )
    try:
        return ConformanceServer(address, axis, watch, answer)
    except OSError as e:
        raise SettingsInvalid(f"Cannot listen at {address[0]}:{address[1]}: {e.strerror}.") from e
