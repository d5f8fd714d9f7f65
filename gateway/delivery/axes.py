"""The client of an axis, as the directory and the settings describe it now."""

from __future__ import annotations

from collections.abc import Callable

from gateway.delivery.axis import Axis
from gateway.delivery.http import HttpClient
from gateway.delivery.lgsp import LgspAxis, Tokens
from gateway.delivery.vxp import VxpAxis
from gateway.errors import EndpointMisconfigured, OperatorError
from gateway.model import Agency, Channel, Endpoint


def reach(agency: Agency | None, code: str, secret: Callable[[str], str | None]) -> tuple[Endpoint, str, str]:
    """
    The endpoint of an agency, its URL and its secret, read at this moment.

    :param agency: as the directory has it now; ``None`` when it is not there any more.
    :param secret: the secret of that name, or ``None``.
    :raises EndpointMisconfigured: one of them is missing or cannot be read.
    """
    endpoint = agency.endpoint if agency else None
    if endpoint is None or endpoint.url is None:
        raise EndpointMisconfigured(f"{code} has no URL in the directory any more.")
    if endpoint.credential is None:
        raise EndpointMisconfigured(f"The endpoint of {code} names no credential.")
    name = endpoint.credential
    try:
        value = secret(name)
    except OperatorError as e:
        raise EndpointMisconfigured(f"The secret {name} cannot be read ({e.code}).") from e
    if not value:
        raise EndpointMisconfigured(f"There is no secret {name} in the settings.")
    return endpoint, endpoint.url, value


def axis_at(http: HttpClient, endpoint: Endpoint, url: str, secret: str, tokens: Tokens) -> Axis:
    """
    The client for one endpoint; cheap to make.

    :param tokens: shared by all clients of a process: a second log-in would end the first one's token.
    :raises EndpointMisconfigured: the endpoint names no system id.
    """
    if not endpoint.system:
        raise EndpointMisconfigured("The endpoint of the axis names no system id.")
    if endpoint.channel is Channel.LGSP:
        return LgspAxis(http=http, url=url, system=endpoint.system, secret=secret, tokens=tokens)
    return VxpAxis(http=http, url=url, system=endpoint.system, secret=secret)
