"""A gateway that speaks the national kit's protocol without a socket, and the systems that call it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from gateway.api.services import Services
from gateway.api.systems import SystemDoor
from gateway.api.vxp.routes import Vxp, install
from gateway.exchange.systems import add_system
from gateway.model import AgencyCode
from tests.support.exchange import Site

MARK = "XroadVnpt-"
OCTETS = "application/octet-stream"


def signed(logical: Mapping[str, str], secret: str) -> dict[str, str]:
    """The headers of one call, as the kit writes them; an agency's own software need not keep their order."""
    single = {MARK + name: value for name, value in logical.items()}
    text = json.dumps(single, separators=(",", ":"))
    return {
        **single,
        f"{MARK}sign-header-key": ";".join(logical),
        f"{MARK}sign-header": text,
        f"{MARK}hash-header": hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest(),
        f"{MARK}version": "3.0.201608",
        "User-Agent": "JAVASDKAgent/1.0.0 XRoad/VPCP",
    }


@dataclass
class VxpSystem:
    """A system and the web client through which it calls; says what it is told to."""

    web: FlaskClient
    id: str
    secret: str

    def call(
        self, name: str, body: bytes = b"", *, method: str = "POST", kind: str = OCTETS, **logical: str
    ) -> TestResponse:
        """One call with these parameters; ``_`` in their names is ``-``."""
        own = {"timestamp": "05032026T140309+0042", "systemid": self.id, "Content-Type": kind}
        parameters = own | {name.replace("_", "-"): value for name, value in logical.items()}
        return self.web.open(
            f"/vxp/{name}", method=method, data=body, headers=signed(parameters, self.secret), content_type=kind
        )

    def send(self, package: bytes, **changes: Any) -> TestResponse:
        """SendEdoc, with the kit's line end behind the package unless ``line_end`` is false."""
        end = b"\r\n" if changes.pop("line_end", True) else b""
        asked = {"from": self.id, "servicetype": "eDoc", "messagetype": "edoc"} | changes
        return self.call("sendEdoc", package + end, **asked)

    def waiting(self, kind: str = "edoc", **logical: str) -> Sequence[Mapping[str, Any]]:
        """What waits for it."""
        return rows(self.call("getReceivedEdocList", servicetype="eDoc", messagetype=kind, **logical))

    def sent(self, kind: str = "edoc", **logical: str) -> Sequence[Mapping[str, Any]]:
        """What it sent."""
        return rows(self.call("getSentEdocList", servicetype="eDoc", messagetype=kind, **logical))

    def update(self, doc_id: str, status: str) -> TestResponse:
        """What became of a document."""
        return self.call("updateStatus", b"{}", docId=doc_id, status=status)


def rows(answer: TestResponse) -> Sequence[Mapping[str, Any]]:
    """The list of an answer that is one."""
    found: Sequence[Mapping[str, Any]] = succeeded(answer)["data"]
    return found


def succeeded(answer: TestResponse) -> Mapping[str, Any]:
    """The envelope of a call that was carried out."""
    content: Mapping[str, Any] = json.loads(answer.data)
    assert (answer.status_code, content["status"], content["ErrorCode"]) == (200, "OK", "0"), content
    return content


def failed(answer: TestResponse) -> tuple[str, str]:
    """The number of a failure in the protocol, and the gateway's own code."""
    content = json.loads(answer.data.decode("ascii"))
    assert content["status"] == "FAIL"
    return content["ErrorCode"], content["ErrorDesc"].rpartition("[")[2].rstrip("]")


@dataclass
class VxpSite:
    """The protocol of one site."""

    site: Site
    web: FlaskClient

    def system(self, *agencies: AgencyCode, id: str = "H37.SYS", gateway: bool = False) -> VxpSystem:  # noqa: A002 # the protocol's word
        """A registered system."""
        secret = add_system(
            self.site.ledger, self.site.box, id=id, name="Phần mềm thử", agencies=agencies, gateway=gateway,
            now=self.site.clock(),
        )  # fmt: skip
        return VxpSystem(self.web, id, secret)


def a_vxp(site: Site, *, rate_limit: str = "100000 per minute", changed: datetime | None = None) -> VxpSite:
    """
    The protocol as ``bootstrap`` joins it.

    :param changed: when the directory learnt of every agency; ``None``: it does not say.
    """
    web = site.client()
    services: Services = web.application.extensions["gateway"]
    door = SystemDoor(systems=services.systems, directory=site.parts.directory, clock=site.clock, rate_limit=rate_limit)

    def changed_at(codes: Sequence[AgencyCode]) -> dict[AgencyCode, datetime]:
        return dict.fromkeys(codes, changed) if changed else {}

    install(web.application, Vxp(door=door, changed_at=changed_at), prefix="/vxp")
    return VxpSite(site=site, web=web)
