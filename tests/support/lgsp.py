"""A gateway that speaks the provincial protocol without a socket, and the systems that call it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from gateway.api.lgsp.access import Gatekeeper
from gateway.api.lgsp.install import install
from gateway.api.lgsp.parts import LgspParts
from gateway.api.lgsp.tokens import TokenMint
from gateway.api.services import Services
from gateway.api.systems import SystemDoor
from gateway.exchange.systems import add_system
from gateway.model import VIETNAM_TIME, AgencyCode
from tests.support.exchange import Site

PREFIX = "/lgsp/v1"
SESSION_KEY = bytes(range(32))


@dataclass
class LgspSystem:
    """A system and the web client through which it calls; says what it is told to."""

    web: FlaskClient
    id: str
    secret: str
    headers: dict[str, str] = field(default_factory=dict)

    def login(self, **changes: Any) -> TestResponse:
        """Log in; the token is kept when there is one."""
        account = {"username": self.id, "password": self.secret, "applicationCode": "qlvb", "otp": None,
                   "twoFactorProvider": None, "typeObjs": [0, 1]}  # fmt: skip
        answer = self.web.post(f"{PREFIX}/auth/login?allow_anonymous=true", json=account | changes)
        if answer.status_code == 200:
            token = answer.get_json()["data"]["token"]
            self.headers = {
                "Authorization": f"Bearer {token}",
                "X-SystemId": self.id,
                "X-SecretKey": self.secret,
            }
        return answer

    def send(self, package: bytes, *, kind: str = "edoc", **form: Any) -> TestResponse:
        """sendEdoc; ``form`` are further parts."""
        file = FileStorage(io.BytesIO(package), filename="07-SA-VP.edxml", content_type="application/xml")
        boundary, body = encode_multipart({"edocFile": file, "messageType": kind, **form})
        content_type = f"multipart/form-data; boundary={boundary}"
        return self.web.post(f"{PREFIX}/sendEdoc", data=body, headers=self.headers, content_type=content_type)

    def days(self, since: str, until: str, *, kind: str = "edoc") -> TestResponse:
        """syncReceivedEdocList."""
        query = {"messageType": kind, "fromDate": since, "toDate": until}
        return self.web.get(f"{PREFIX}/syncReceivedEdocList", query_string=query, headers=self.headers)

    def fetch(self, doc_id: str) -> TestResponse:
        """getEdoc."""
        query = {"docId": doc_id}
        return self.web.get(f"{PREFIX}/getEdoc", query_string=query, headers=self.headers, buffered=True)

    def update(self, doc_id: str, status: object, **more: object) -> TestResponse:
        """updateStatus."""
        return self.web.post(
            f"{PREFIX}/updateStatus", json={"docId": doc_id, "status": status, **more}, headers=self.headers
        )


@dataclass
class Lgsp:
    """The protocol of one site."""

    site: Site
    web: FlaskClient

    def system(self, *agencies: AgencyCode, id: str = "H37.DN.001", gateway: bool = False) -> LgspSystem:  # noqa: A002 # the protocol's word
        """A registered system, logged in."""
        secret = add_system(
            self.site.ledger, self.site.box, id=id, name="Phần mềm thử", agencies=agencies, gateway=gateway,
            now=self.site.clock(),
        )  # fmt: skip
        system = LgspSystem(self.web, id, secret)
        assert system.login().status_code == 200
        return system

    def today(self, offset: int = 0) -> str:
        """A day in Việt Nam by the site's clock, as the protocol writes it."""
        return f"{self.site.clock().astimezone(VIETNAM_TIME) + timedelta(days=offset):%Y/%m/%d}"

    def listed(self, system: LgspSystem, *, kind: str = "edoc") -> Sequence[Mapping[str, Any]]:
        """What a system's list of yesterday and today holds."""
        answer = system.days(self.today(-1), self.today(1), kind=kind)
        assert answer.status_code == 200, answer.get_json()
        rows: Sequence[Mapping[str, Any]] = answer.get_json()["data"]
        return rows


def an_lgsp(site: Site, *, rate_limit: str = "100000 per minute", prefix: str = "/lgsp", **changes: Any) -> Lgsp:
    """The protocol as ``bootstrap`` joins it; ``changes`` of its settings."""
    web = site.client()
    services: Services = web.application.extensions["gateway"]
    parts = LgspParts(
        parts=site.parts,
        gatekeeper=Gatekeeper(
            door=SystemDoor(
                systems=services.systems, directory=site.parts.directory, clock=site.clock, rate_limit=rate_limit
            ),
            ledger=site.ledger,
            clock=site.clock,
            mint=TokenMint(SESSION_KEY, life=timedelta(minutes=30)),
            single_token=changes.pop("single_token", False),
            shared_login=changes.pop("shared_login", False),
        ),
        shape=changes.pop("shape", "actual"),
        window_days=changes.pop("window_days", 7),
    )
    assert not changes
    install(web.application, parts, prefix=prefix)
    return Lgsp(site=site, web=web)
