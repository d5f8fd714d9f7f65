"""One gateway of Lạng Sơn, joined by hand over a real ledger, with a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry

from gateway.api import app as api
from gateway.api.auth import SCOPES, Doorkeeper
from gateway.api.services import Services
from gateway.directory import Directory, LocalSite
from gateway.directory.certificates import register_certificate
from gateway.edxml import Limits
from gateway.exchange import mailbox
from gateway.exchange.accept import Answer, accept
from gateway.exchange.keys import issue_key
from gateway.exchange.parts import Parts, Rules
from gateway.exchange.systems import SecretBox, Systems
from gateway.exchange.upload import upload_of
from gateway.ledger import Ledger
from gateway.ledger.records import ApiKey, new_id
from gateway.model import Agency, AgencyCode, Channel, Endpoint, Level, Standing
from gateway.payloads import FileStore
from gateway.signing.keys import SigningKey, certificates_to_pem
from tests.support import pki

DEPARTMENT = AgencyCode("000.00.14.H37")
COMMUNE = AgencyCode("H37.21")
PUSHED = AgencyCode("000.00.15.H37")
PROVINCE = AgencyCode("000.00.00.H37")
OTHER_PROVINCE = AgencyCode("000.00.00.H38")
ABOVE = AgencyCode("000.00.22.W00")
MAILBOX = Endpoint(channel=Channel.MAILBOX)


@dataclass
class Clock:
    """Says what it is told."""

    now: datetime = pki.NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> datetime:
        """Let time pass."""
        self.now += timedelta(**by)
        return self.now


def registered(key: SigningKey, role: str = "agency") -> Any:
    """The certificate of a key, as the directory keeps it."""
    return register_certificate(certificates_to_pem([key.certificate]).decode(), role=role)


def agencies() -> dict[AgencyCode, Agency]:
    """The province, a department that signs, a commune's mailbox, a department that is pushed to, the gateway above."""
    above = Endpoint(channel=Channel.PEER, url="http://127.0.0.1:9", credential="above")
    pushed = Endpoint(channel=Channel.PUSH, url="http://127.0.0.1:9/push", credential="pushed")
    known = [
        Agency(code=PROVINCE, aliases=(AgencyCode("H37"),), name="UBND tỉnh Lạng Sơn", level=Level.PROVINCE,
               endpoint=MAILBOX),
        Agency(code=DEPARTMENT, aliases=(AgencyCode("H37.14"),), name="Sở Kiểm thử", level=Level.DEPARTMENT,
               parent=PROVINCE, endpoint=MAILBOX, certificates=(registered(pki.agency()),)),
        Agency(code=PUSHED, name="Sở Nhận đẩy", level=Level.DEPARTMENT, parent=PROVINCE, endpoint=pushed),
        Agency(code=COMMUNE, name="UBND xã Đồng Đăng thử", level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX),
        Agency(code=OTHER_PROVINCE, name="UBND tỉnh Lào Cai", level=Level.PROVINCE),
        Agency(code=ABOVE, name="Trục quốc gia", level=Level.NATIONAL, endpoint=above, hidden=True,
               certificates=(registered(pki.gateway(), "gateway"),)),
    ]  # fmt: skip
    return {a.code: a for a in known}


@dataclass
class Site:
    """A gateway under test."""

    parts: Parts
    clock: Clock
    known: dict[AgencyCode, Agency]
    box: SecretBox
    """Seals the secrets of the systems that tests add."""
    tokens: dict[AgencyCode, str] = field(default_factory=dict)

    @property
    def ledger(self) -> Ledger:
        return self.parts.ledger

    def change(self, code: AgencyCode, **changes: Any) -> None:
        """Let the directory say something else of one agency."""
        self.known[code] = replace(self.known[code], **changes)

    def rule(self, **changes: Any) -> None:
        """Let the deployment accept or do something else from now on."""
        self.parts = replace(self.parts, rules=replace(self.parts.rules, **changes))

    def accept(self, raw: bytes, *, caller: AgencyCode = DEPARTMENT, **options: Any) -> Answer:
        """Accept a package handed over by an agency."""
        return accept(self.parts, upload_of(raw), caller=self.known[caller], **options)

    def collect(self, owner: AgencyCode) -> None:
        """Lock and acknowledge everything that waits in an agency's mailbox."""
        caller = self.known[owner]
        for row in mailbox.peek(self.parts, caller=caller, limit=50, after=None).rows:
            lock = mailbox.lock(self.parts, row.delivery.id, caller=caller, lease=timedelta(minutes=5))
            mailbox.acknowledge(self.parts, row.delivery.id, lock.token, caller=caller)

    def client(self, **options: Any) -> FlaskClient:
        """A client of the REST API of this gateway."""
        app = api.new_app("test", version="0")
        doorkeeper = Doorkeeper(
            ledger=self.ledger,
            directory=self.parts.directory,
            clock=self.clock,
            rate_limit=options.pop("rate_limit", "100000 per minute"),
        )
        systems = Systems(ledger=self.ledger, box=self.box, clock=self.clock)
        services = Services(
            parts=self.parts,
            doorkeeper=doorkeeper,
            systems=systems,
            mailbox_lease_seconds=300,
            signings=options.pop("signings", None),
            evidence=options.pop("evidence", None),
        )
        api.install(app, services, ready=options.pop("ready", dict), registry=CollectorRegistry())
        return app.test_client()

    def key(self, agency: AgencyCode, scopes: tuple[str, ...] = SCOPES, **options: Any) -> dict[str, str]:
        """The header with a fresh key of an agency."""
        issued = issue_key()
        self.ledger.add_key(
            ApiKey(
                id=new_id(),
                prefix=issued.prefix,
                secret_sha256=issued.hash,
                agency=agency,
                scopes=frozenset(scopes),
                created_at=self.clock(),
                **options,
            ),
            actor="test",
        )
        return {"Authorization": f"Bearer {issued.token}"}


@contextmanager
def a_site(ledger: Ledger, folder: Path, **rules: Any) -> Iterator[Site]:
    """A gateway over a ledger; ``rules`` change what the deployment accepts."""
    clock = Clock()
    known = agencies()
    local = LocalSite(code=PROVINCE, first_levels=frozenset({"H37"}), default_route=ABOVE)
    spool = folder / "spool"
    spool.mkdir()
    parts = Parts(
        site=local,
        ledger=ledger,
        payloads=FileStore(folder / "payloads"),
        directory=lambda: Directory(known.values(), local),
        key=pki.gateway(),
        anchors=pki.anchors(),
        rules=Rules(
            **{
                "limits": Limits(),
                "accepts": frozenset(Standing) - {Standing.INVALID},
                "minimum_rsa_bits": 2048,
                "complete_unsigned": True,
                "inline_bytes": 512 * 1024,
                "body_limit_bytes": 20 * 1024 * 1024,
                "closed_sender_grace": timedelta(days=14),
                "withdraw_uncollected": True,
                **rules,
            }
        ),
        spool=spool,
        clock=clock,
    )
    yield Site(parts=parts, clock=clock, known=known, box=SecretBox(folder / "systems.key"))
    assert not list(spool.iterdir()), "the spool is empty when nothing is under way"
