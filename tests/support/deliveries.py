"""A gateway's sending half for tests: a ledger, a small directory, secrets, and workers on them."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

from gateway.delivery.circuit import CircuitPolicy
from gateway.delivery.http import HttpClient
from gateway.delivery.retry import RetryPolicy
from gateway.delivery.send import Sender, stored_payload
from gateway.delivery.worker import Pace, Worker
from gateway.directory import Directory
from gateway.ledger import Ledger
from gateway.ledger.records import DeliveryRow, NewDelivery, NewDocument, new_id
from gateway.model import AgencyCode, Channel, Endpoint, Lane, PackageKind, Standing, Verdict
from tests.support import axis
from tests.support.agencies import a_directory, an_agency

NOON = datetime(2026, 3, 2, 5, tzinfo=UTC)
SENDER = AgencyCode("000.00.14.H37")
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
KEY = "gw_0000_key-of-the-peer"
POLICY = RetryPolicy(
    first_wait=timedelta(minutes=1), longest_wait=timedelta(hours=4), give_up_after=timedelta(days=3), spread=0
)
CIRCUITS = CircuitPolicy(opens_after=3, first_pause=timedelta(seconds=30), longest_pause=timedelta(minutes=5), spread=0)
PATIENT = CircuitPolicy(opens_after=1_000_000)
"""Never opens: for tests about something else."""
QUICK = Pace(threads=4, shortest_poll=timedelta(milliseconds=5), poll=timedelta(milliseconds=20))


@dataclass
class SendingSite:
    """What a worker works with; change ``endpoints`` and ``secrets`` as an operator would."""

    ledger: Ledger
    http: HttpClient
    endpoints: dict[str, Endpoint | None] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=lambda: {"push": SECRET, "peer": KEY})
    store: dict[str, bytes] = field(default_factory=dict)
    """The payload store, by SHA-256."""

    def push_to(self, code: str, url: str) -> None:
        """An agency with a system of its own at this URL."""
        self.endpoints[code] = Endpoint(channel=Channel.PUSH, url=url + "/hook", credential="push")

    def peer_at(self, code: str, url: str) -> None:
        """Another gateway."""
        self.endpoints[code] = Endpoint(channel=Channel.PEER, url=url, credential="peer")

    def axis_at(self, code: str, url: str, channel: Channel = Channel.VXP, secret: str = axis.SECRET) -> None:
        """An axis at which we have an account."""
        self.secrets["axis"] = secret
        self.endpoints[code] = Endpoint(channel=channel, url=url, credential="axis", system=axis.SYSTEM)

    def directory(self) -> Directory:
        """The directory as it is now."""
        return a_directory(an_agency(code, endpoint=endpoint) for code, endpoint in self.endpoints.items())

    def accept(
        self,
        via: str,
        *recipients: str,
        body: bytes | None = None,
        lane: Lane = Lane.NORMAL,
        at: datetime = NOON,
        stored: bool = False,
        **facts: Any,
    ) -> str:
        """Accept one document for these recipients (by default the endpoint's own agency); the gateway's id of it."""
        document = new_id()
        raw = body if body is not None else f"<edXML>{document}</edXML>".encode()
        sha256 = hashlib.sha256(raw).hexdigest()
        if stored:
            self.store[sha256] = raw
        endpoint = self.endpoints[via]
        assert endpoint is not None
        self.ledger.accept(
            NewDocument(
                id=document,
                kind=PackageKind.DOCUMENT,
                sender=SENDER,
                sender_as_written=SENDER,
                sha256=sha256,
                size=len(raw),
                payload=None if stored else raw,
                lane=lane,
                verdict=Verdict(standing=Standing.UNSIGNED, reason="signature.absent", judged_at=at),
                received_at=at,
                received_from=SENDER,
                receipt="{}",
                seal=b"<seal/>",
                **{"identity": f"sha256:{sha256}", **facts},
            ),
            [
                NewDelivery(
                    id=new_id(),
                    recipient=AgencyCode(recipient),
                    as_written=AgencyCode(recipient),
                    via=AgencyCode(via),
                    channel=endpoint.channel,
                    lane=lane,
                    due_at=at,
                )
                for recipient in recipients or (via,)
            ],
        )
        return document

    def delivery(self, document: str) -> DeliveryRow:
        """The only delivery of a document."""
        (row,) = self.ledger.deliveries(document)
        return row

    def worker(self, name: str = "w-1", **changes: Any) -> Worker:
        """A worker on all this."""
        options: dict[str, Any] = {
            "policies": dict.fromkeys(Lane, POLICY),
            "circuits": CIRCUITS,
            "pace": QUICK,
            "clock": lambda: NOON,
            "jitter": lambda: 0.0,
            **changes,
        }
        return Worker(name=name, queue=self.ledger, sender=self.sender(), **options)

    def sender(self) -> Sender:
        """How the worker sends."""
        open_stored: Callable[[str], BinaryIO] = lambda sha256: io.BytesIO(self.store[sha256])  # noqa: E731 # a name for its type
        return Sender(
            http=self.http,
            directory=self.directory,
            payload=stored_payload(self.ledger.payload, open_stored),
            secret=self.secrets.get,
            document=self.ledger.document,
            deliveries=self.ledger.deliveries,
        )
