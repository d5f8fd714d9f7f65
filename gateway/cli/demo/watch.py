"""What happens in the three gateways, read from their event logs as it happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.cli.demo.places import DemoGateway
from gateway.cli.words import Text
from gateway.console.words import STANDINGS
from gateway.directory import Directory
from gateway.errors import LedgerUnavailable
from gateway.ledger import Action, Ledger, open_engine
from gateway.ledger.records import DeliveryRow, DocumentRow, EventRow, Filter, LogRow
from gateway.model import (
    AgencyCode,
    BusinessType,
    DeliveryState,
    DocumentId,
    ExaminationKind,
    ExaminationState,
    FileVerdict,
    PackageKind,
)

UNFINISHED = frozenset({DeliveryState.WAITING, DeliveryState.LEASED, DeliveryState.ABANDONED})


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of one package, for people."""

    at: datetime
    gateway: str
    words: Text
    is_report: bool
    """A step of a status package on its way: many, and shown on request only."""


class Watch:
    """The ledgers of the demo's gateways, read beside the processes that write them."""

    def __init__(self, gateways: Mapping[str, DemoGateway], directory: Directory) -> None:
        self._gateways = gateways
        self._ledgers = {name: Ledger(open_engine(g.settings.ledger_url)) for name, g in gateways.items()}
        self._seen = dict.fromkeys(gateways, 0)
        self._documents: dict[str, DocumentRow | None] = {}
        self._deliveries: dict[str, DeliveryRow | None] = {}
        self._named: dict[tuple[str, AgencyCode, str], Sequence[str]] = {}
        self._files: dict[tuple[str, str], Sequence[FileVerdict]] = {}
        self._directory = directory

    def close(self) -> None:
        """Let the databases go."""
        for ledger in self._ledgers.values():
            ledger.engine.dispose()

    def name_of(self, code: str) -> str:
        """An agency's name, shortened for a table."""
        agency = self._directory.get(code)
        name = agency.name if agency else code
        for long, short in (
            ("Ủy ban nhân dân", "UBND"),
            ("Sở Khoa học và Công nghệ", "Sở KH&CN"),
            (" (đơn vị mẫu)", ""),
        ):
            name = name.replace(long, short)
        return name

    def deliveries(self, gateway: str, document_id: str) -> list[DeliveryRow]:
        """All deliveries of a document at one gateway."""
        return self._ledgers[gateway].deliveries(document_id)

    def document(self, gateway: str, document_id: str) -> DocumentRow | None:
        """A document at one gateway."""
        return self._ledgers[gateway].document(document_id)

    def named(self, gateway: str, sender: AgencyCode, document_id: str) -> Sequence[str]:
        """What a new document of a sender is called at one gateway; empty: it has not come there."""
        key = (gateway, sender, document_id)
        if key not in self._named:
            identity = DocumentId(document_id).key
            rows = self._ledgers[gateway].documents_named(sender, identity, business_type=BusinessType.NEW)
            if not rows:
                return []
            self._named[key] = [row.id for row in rows]
        return self._named[key]

    def files(self, gateway: str, document_id: str) -> Sequence[FileVerdict] | None:
        """What one gateway found of the signatures inside a document's files; ``None``: not judged yet."""
        key = (gateway, document_id)
        if key not in self._files:
            for found in self._ledgers[gateway].examinations(document_id):
                is_done = found.kind is ExaminationKind.FILES and found.state is ExaminationState.DONE
                if is_done and found.result is not None:
                    self._files[key] = found.result.files
        return self._files.get(key)

    def is_sealed(self, gateway: str) -> bool:
        """Whether all that has happened at a gateway is sealed in its log's chain."""
        state = self._ledgers[gateway].log.state()
        return state.sealed_to >= state.newest_id

    def unfinished(self) -> list[tuple[str, LogRow]]:
        """What has not reached its end, at every gateway."""
        found = []
        for name, ledger in self._ledgers.items():
            page = ledger.search(Filter(states=UNFINISHED), limit=200)
            found += [(name, row) for row in page.rows]
        return found

    def steps(self) -> list[Step]:
        """What has happened since the last call, in order."""
        found: list[Step] = []
        for name, ledger in self._ledgers.items():
            try:
                events = ledger.events(after=self._seen[name], limit=1000)
            except LedgerUnavailable:
                continue  # busy for a moment; nothing is lost, the next call reads on
            for event in events:
                self._seen[name] = event.id
                step = self._step(name, ledger, event)
                if step is not None:
                    found.append(step)
        return sorted(found, key=lambda step: step.at)

    def _step(self, name: str, ledger: Ledger, event: EventRow) -> Step | None:
        if event.document is None:
            return self._refused(name, event) if event.action is Action.DOCUMENT_REFUSED else None
        if event.document not in self._documents:
            self._documents[event.document] = ledger.document(event.document)
        document = self._documents[event.document]
        if document is None:
            return None
        delivery = None
        if event.delivery is not None:
            if event.delivery not in self._deliveries:
                self._deliveries[event.delivery] = ledger.delivery(event.delivery)
            delivery = self._deliveries[event.delivery]
        words = self._words(event, document, delivery)
        if words is None:
            return None
        return Step(
            at=event.at,
            gateway=self._gateways[name].title,
            words=words,
            is_report=document.kind is PackageKind.STATUS,
        )

    def _refused(self, name: str, event: EventRow) -> Step:
        code = event.data.get("code", "?")
        return Step(
            at=event.at,
            gateway=self._gateways[name].title,
            words=Text(f"từ chối một gói tin: {code}", f"refuses a package: {code}"),
            is_report=False,
        )

    def _words(self, event: EventRow, document: DocumentRow, delivery: DeliveryRow | None) -> Text | None:
        what = called(document)
        to = self.name_of(delivery.recipient) if delivery else ""
        via = self.name_of(delivery.via) if delivery else ""
        words: Text | None = None
        match event.action:
            case Action.DOCUMENT_ACCEPTED:
                sender = self.name_of(document.sender)
                standing = STANDINGS[document.verdict.standing].words
                words = Text(
                    f"tiếp nhận {what} từ {sender} [{standing.vi}]", f"accepts {what} from {sender} [{standing.en}]"
                )
            case Action.DELIVERY_FORWARDED:
                words = Text(f"chuyển {what} cho {to} qua {via}", f"forwards {what} for {to} through {via}")
            case Action.DELIVERY_DELIVERED if "status" not in event.data and "by_status" not in event.data:
                words = Text(f"{what} đã tới {to}", f"{what} has reached {to}")
            case Action.STATUS_RECEIVED if document.kind is PackageKind.DOCUMENT:
                code, reporter = event.data.get("status", "?"), self.name_of(event.actor or "?")
                words = Text(f"trạng thái {code} của {reporter} về {what}", f"status {code} of {reporter} on {what}")
            case Action.DELIVERY_REFUSED:
                words = Text(f"{what} bị {to} từ chối", f"{what} is refused by {to}")
            case Action.DELIVERY_ABANDONED:
                words = Text(f"ngừng gửi {what} cho {to}", f"gives up on {what} for {to}")
            case Action.DELIVERY_ATTEMPT_FAILED:
                code = event.data.get("code", "?")
                words = Text(
                    f"chưa gửi được {what} cho {to} ({code}), sẽ thử lại",
                    f"{what} for {to} failed ({code}), will retry",
                )
        return words


def called(document: DocumentRow) -> str:
    """How people call a package."""
    if document.kind is PackageKind.STATUS:
        return f"trạng thái {document.id[-6:]}"
    return "/".join(filter(None, (document.number, document.notation))) or (document.document_id or document.id)


def same_agency(directory: Directory, one: str, other: str) -> bool:
    """Whether two codes are one agency's."""
    first, second = directory.get(one), directory.get(other)
    if first is None or second is None:
        return AgencyCode.normal(one) == AgencyCode.normal(other)
    return first.code == second.code
