"""
An axis in memory, with one client: what waits for it, what it has sent, and what its calls say about it.

It knows no protocol; ``stand_vxp`` and ``stand_lgsp`` put its answers into words. It behaves as real axes do on a bad
day: once each, an answer is lost after the package was stored, an acknowledgement is lost, a list is an error page, and
one document comes under two ids. A client that is right never notices; whether it is, shows in what it does next.
"""

from __future__ import annotations

import re
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.conformance import samples
from gateway.conformance.samples import Letter, Seen
from gateway.conformance.watch import Asked, Watch
from gateway.errors import DocumentError
from gateway.model import AgencyCode, BusinessType, Envelope, PackageKind, StatusCode

PARTNER = AgencyCode("000.00.99.H99")
"""The invented agency that the kit plays: it sends to the client, and the client to it."""

SHARED = (
    Asked("send.package", "Gói tin gửi đi là edXML đúng chuẩn.", "What is sent is edXML without errors."),
    Asked("send.from", "From là cơ quan của chính hệ thống.", "From is the system's own agency."),
    Asked("send.document-id", "Văn bản có DocumentId dạng mã,yyyy/MM/dd,số/ký hiệu.",
          "Documents have a DocumentId of the form code,yyyy/MM/dd,number/notation."),
    Asked("send.identity", "DocumentId đã dùng không dùng lại cho nội dung khác.",
          "A used DocumentId is not used again for other content."),
    Asked("send.ambiguous", "Gửi mà không có trả lời: gửi lại đúng các byte cũ, hoặc tra danh sách đã gửi.",
          "A send without answer is repeated with the same bytes, or looked up in the list of what was sent."),
    Asked("send.kind", "Loại gói (edoc, status) nêu đúng như trong gói tin.",
          "The kind (edoc, status) is given as the package has it."),
    Asked("list", "Hỏi danh sách văn bản chờ nhận.", "Asks for the documents that wait."),
    Asked("list.status", "Hỏi danh sách trạng thái chờ nhận.", "Asks for the statuses that wait."),
    Asked("list.outage", "Danh sách là trang lỗi 502: coi là sự cố, hỏi lại sau.",
          "A list that is an error page with 502 is an outage, and asked for again."),
    Asked("get", "Lấy văn bản được liệt kê.", "Fetches what is listed."),
    Asked("ack.after-get", "Chỉ xác nhận done sau khi đã lấy.", "Acknowledges (done) only what was fetched."),
    Asked("ack", "Xác nhận done văn bản đã lấy.", "Acknowledges (done) what was fetched."),
    Asked("ack.lost", "Xác nhận bị mất thì xác nhận lại, không coi là văn bản mới.",
          "An acknowledgement that was lost is repeated."),
    Asked("ack.twice", "Một văn bản đến dưới hai docId: xác nhận cả hai.",
          "A document that comes under two ids is acknowledged under both."),
    Asked("status.arrived", "Tự động báo 01 (đã đến) cho văn bản đã nhận.",
          "Reports 01 (arrived) by itself for what it received."),
    Asked("status.registered", "Báo 03 (đã tiếp nhận) hoặc trạng thái xử lý tiếp theo.",
          "Reports 03 (registered) or what comes after."),
    Asked("status.about", "Trạng thái nêu đúng văn bản và đúng cơ quan đã gửi nó.",
          "Statuses name the document and the agency that sent it."),
    Asked("status.reason", "Trạng thái 02, 13, 16 có lý do.", "Statuses 02, 13, 16 give a reason."),
    Asked("status.taken", "Lấy và xác nhận trạng thái của văn bản mình đã gửi.",
          "Fetches and acknowledges the statuses of what it sent."),
    Asked("recall", "Lấy và xác nhận gói thu hồi (BussinessDocType 1).",
          "Fetches and acknowledges a recall (BussinessDocType 1)."),
    Asked("recall.answer", "Trả lời yêu cầu thu hồi bằng 15 hoặc 16.", "Answers the recall by 15 or 16."),
)  # fmt: skip

_DOCUMENT_ID = re.compile(r"[^,]+,\d{4}/\d{2}/\d{2},[^/]+/.+")
_LATER = (StatusCode.REGISTERED, StatusCode.ASSIGNED, StatusCode.PROCESSING, StatusCode.DONE)


class Rejected(Exception):
    """The axis turns a package or an id down."""

    def __init__(self, number: int, words: str) -> None:
        self.number = number
        """As in the list of the provincial axis: 10, 18, 19, 22 …"""
        self.words = words
        """ASCII."""
        super().__init__(words)


class AnswerLost(Exception):
    """The axis did what it was asked, or did not, and the answer never arrives."""


@dataclass
class Item:
    """Something that waits for the client."""

    id: str
    kind: str
    """``edoc`` or ``status``."""
    raw: bytes
    about: Letter
    """The document that it is, recalls or reports on."""
    made_at: datetime
    recalls: bool = False
    fetched: bool = False
    state: str = "initial"


@dataclass
class Sent:
    """Something that the client has sent."""

    id: str
    kind: str
    sha256: str
    seen: Seen
    at: datetime


@dataclass
class Axis:
    """See the module."""

    agency: str
    """The client's."""
    watch: Watch
    faults: bool = True
    """False: it has a good day."""
    items: dict[str, Item] = field(default_factory=dict)
    sent: dict[str, Sent] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held by the protocol around each call."""
    _lists: int = 0
    _ambiguous: Sent | None = None
    _lost: str | None = None
    _twice: set[str] = field(default_factory=set)
    _letters: list[Letter] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Two documents wait, one of them twice."""
        first, second = (samples.a_letter(PARTNER, [self.agency]) for _ in range(2))
        self._letters += [first, second]
        self._put("edoc", first.raw, first)
        self._twice = {self._put("edoc", second.raw, second) for _ in range(2 if self.faults else 1)}

    def _put(self, kind: str, raw: bytes, about: Letter, *, recalls: bool = False) -> str:
        item = Item(str(uuid.uuid4()), kind, raw, about, datetime.now(UTC), recalls=recalls)
        self.items[item.id] = item
        return item.id

    # What waits

    def waiting(self, kind: str) -> list[Item] | None:
        """What is listed; ``None`` for an error page in its place."""
        self.watch.keeps("list.status" if kind == "status" else "list")
        if kind == "edoc" and self.faults:
            self._lists += 1
            if self._lists == 2:
                return None
            if self._lists > 2:
                self.watch.keeps("list.outage")
        return [i for i in self.items.values() if i.kind == kind and i.state in ("initial", "processing")]

    def fetch(self, doc_id: str) -> bytes:
        """
        The package of an id.

        :raises Rejected: there is none.
        """
        item = self._item(doc_id)
        item.fetched = True
        self.watch.keeps("get")
        return item.raw

    def _item(self, doc_id: str) -> Item:
        item = self.items.get(doc_id)
        if item is None:
            raise Rejected(20, f"Khong co docId {doc_id[:64]!a}")
        return item

    def update(self, doc_id: str, state: str) -> None:
        """
        A transport status.

        :raises Rejected: there is no such document or status.
        :raises AnswerLost: once, for the document that waits under two ids, and then nothing has happened.
        """
        item = self._item(doc_id)
        if state not in ("done", "processing", "fail"):
            raise Rejected(20, "Trang thai phai la done, processing hoac fail")
        if state != "done":
            # A failed one comes back at once: the client of a test need not wait.
            item.state = "processing" if state == "processing" else "initial"
            return
        self.watch.judge("ack.after-get", item.fetched, f"Xác nhận {doc_id} mà chưa lấy.",
                         f"Acknowledged {doc_id} without fetching it.")  # fmt: skip
        if self.faults and self._lost is None and doc_id in self._twice:
            self._lost = doc_id
            raise AnswerLost
        self._done(item)

    def _done(self, item: Item) -> None:
        first_time = item.state != "done"
        item.state = "done"
        self.watch.keeps("ack")
        if item.id == self._lost:
            self.watch.keeps("ack.lost")
        if self._twice and all(self.items[i].state == "done" for i in self._twice):
            self.watch.keeps("ack.twice")
        if item.kind == "status":
            self.watch.keeps("status.taken")
        elif item.recalls:
            self.watch.keeps("recall")
        elif first_time and item.about is self._letters[0]:
            # Now that it has arrived, its sender wants it back.
            self._put("edoc", samples.recall(item.about).raw, item.about, recalls=True)

    # What is sent

    def take(self, raw: bytes, kind: str) -> str:
        """
        A package that the client sends; the id of what was made of it.

        :param kind: as the call says: ``edoc`` or ``status``.
        :raises Rejected: it is turned down.
        :raises AnswerLost: once, after the package was stored.
        """
        seen = self._read(raw)
        sha256 = samples.sha256(raw)
        before = next((s for s in self.sent.values() if s.sha256 == sha256), None)
        if self._ambiguous is not None:
            self._judge_repetition(self._ambiguous, sha256, seen.envelope)
        if before is not None:
            return before.id
        own_kind = "status" if seen.envelope.kind is PackageKind.STATUS else "edoc"
        self.watch.judge("send.kind", kind == own_kind, f"Gói {own_kind} gửi là {kind!r}.",
                         f"A package of kind {own_kind} was sent as {kind!r}.")  # fmt: skip
        made = Sent(str(uuid.uuid4()), own_kind, sha256, seen, datetime.now(UTC))
        if own_kind == "status":
            self._report(seen.envelope)
            self.sent[made.id] = made
        else:
            self._document(made, raw)
        return made.id

    def looked_up(self) -> None:
        """The client has asked what it has sent."""
        if self._ambiguous is not None:
            self.watch.keeps("send.ambiguous")

    def _read(self, raw: bytes) -> Seen:
        try:
            seen = samples.seen_in(raw)
        except DocumentError as e:
            self.watch.breaks("send.package", f"{e.vi} {e.detail}", str(e))
            raise Rejected(22, f"edXML sai dinh dang [{e.code}]") from e
        self.watch.keeps("send.package")
        sender = seen.envelope.sender.code
        own = self.watch.judge("send.from", sender == self.agency, f"From là {sender}, không phải {self.agency}.",
                               f"From is {sender}, not {self.agency}.")  # fmt: skip
        if not own:
            raise Rejected(19, f"Noi gui {sender!a} khong thuoc he thong nay")
        return seen

    def _document(self, made: Sent, raw: bytes) -> None:
        envelope = made.seen.envelope
        strangers = [o.code for o in envelope.recipients if o.code not in (PARTNER, self.agency)]
        if strangers:
            raise Rejected(18, f"Noi nhan khong ton tai: {', '.join(strangers)!a}")
        name = str(envelope.document_id or "")
        self.watch.judge("send.document-id", _DOCUMENT_ID.fullmatch(name) is not None,
                         f"DocumentId là {name!r}.", f"DocumentId is {name!r}.")  # fmt: skip
        if name and _business(envelope) is BusinessType.NEW:
            used = any(
                s.kind == "edoc" and str(s.seen.envelope.document_id) == name and s is not self._ambiguous
                for s in self.sent.values()
            )
            self.watch.judge("send.identity", not used, f"{name} đã dùng cho nội dung khác.",
                             f"{name} has been used for other content.")  # fmt: skip
        self.sent[made.id] = made
        letter = Letter(envelope=envelope, content=b"", raw=raw)
        for code in (StatusCode.ARRIVED, StatusCode.REGISTERED):
            self._put("status", samples.a_report(letter, PARTNER, code), letter)
        if self.faults and self._ambiguous is None:
            self._ambiguous = made
            raise AnswerLost

    def _judge_repetition(self, first: Sent, sha256: str, envelope: Envelope) -> None:
        """Whether what comes after the lost answer is the same again."""
        if sha256 == first.sha256:
            self.watch.keeps("send.ambiguous")
            return
        other = first.seen.envelope
        same = envelope.kind is PackageKind.DOCUMENT and (
            envelope.document_id == other.document_id
            or (envelope.number, envelope.issued_on) == (other.number, other.issued_on)
        )
        if same and self.watch.is_open("send.ambiguous"):
            self.watch.breaks(
                "send.ambiguous",
                "Gửi lại văn bản không rõ kết quả bằng nội dung hoặc DocumentId khác: nơi nhận có hai bản.",
                "The document was sent again in other bytes or under another DocumentId: its recipient has it twice.",
            )

    def _report(self, envelope: Envelope) -> None:
        status = envelope.status
        assert status is not None
        about = self._about(envelope)
        named = ", ".join(str(r.document_id or r.number) for r in envelope.responses) or "–"
        self.watch.judge("status.about", about is not None, f"Trạng thái {status.code.value} về {named}.",
                         f"Status {status.code.value} is about {named}.")  # fmt: skip
        if status.code.needs_reason:
            self.watch.judge("status.reason", bool(status.description), f"{status.code.value} không có lý do.",
                             f"{status.code.value} has no reason.")  # fmt: skip
        if about is None:
            return
        if status.code is StatusCode.ARRIVED:
            self.watch.keeps("status.arrived")
        elif status.code in _LATER:
            self.watch.keeps("status.registered")
        elif status.code in (StatusCode.AGREED, StatusCode.DISAGREED) and about is self._letters[0]:
            self.watch.keeps("recall.answer")

    def _about(self, envelope: Envelope) -> Letter | None:
        """The document of ours that a status is about: by its id, or by its number and date; and told to us."""
        for response in envelope.responses[:1]:
            for letter in self._letters:
                by_id = str(response.document_id) == letter.document_id
                by_number = (response.number, response.issued_on) == (letter.number, letter.envelope.issued_on)
                if response.code == PARTNER and (by_id or by_number):
                    return letter
        return None


def _business(envelope: Envelope) -> BusinessType:
    return envelope.business.type if envelope.business else BusinessType.NEW
