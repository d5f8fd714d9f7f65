"""The national kit's protocol: a client of it, and each of its rules as a question to a gateway (domain §2.1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.conformance import samples
from gateway.conformance.rules import Book, Broken, LeftOut, require
from gateway.conformance.samples import Letter
from gateway.conformance.wire import Answer, Server, multipart
from gateway.model import VIETNAM_TIME

PREFIX = "XroadVnpt-"
_ITEM = ("docId", "serviceType", "messageType", "created_time", "updated_time", "from", "to", "status", "status_desc")
_SENT = ("serviceType", "messageType", "receiverDocId", "senderDocId", "fromCode", "toCode", "title", "notation",
         "sentTime", "receivedTime", "sendStatus", "sendStatusDesc", "receiveStatus", "receiveStatusDesc")  # fmt: skip
_UNIT = ("id", "pid", "code", "name", "mail", "version", "centerCode", "deleted", "modifyDate", "isAgency")


def signed_headers(
    logical: Mapping[str, str], *, system: str, secret: str, at: datetime, json_text: str | None = None
) -> list[tuple[str, str]]:
    """
    The headers of one call.

    :param at: the time stamp, in Vietnam's hours as the kit writes it.
    :param json_text: another writing of the signed object; ``None`` for the usual one.
    """
    local = at.astimezone(VIETNAM_TIME)
    stamp = f"{local:%d%m%YT%H%M%S}+{local.microsecond // 1000:04}"
    values = {f"{PREFIX}{name}": value for name, value in logical.items()}
    values |= {f"{PREFIX}systemid": system, f"{PREFIX}timestamp": stamp}
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":")) if json_text is None else json_text
    mac = hmac.new(secret.encode(), text.encode("utf-8"), hashlib.sha256).hexdigest()
    names = ";".join(name.removeprefix(PREFIX) for name in values)
    return [
        *values.items(),
        (f"{PREFIX}sign-header-key", names),
        (f"{PREFIX}sign-header", text),
        (f"{PREFIX}hash-header", mac),
        (f"{PREFIX}version", "3.0.201608"),
        ("User-Agent", "JAVASDKAgent/1.0.0 XRoad/VPCP"),
    ]


@dataclass
class Vxp:
    """A system that examines a gateway, and what it has learned so far."""

    server: Server
    system: str
    secret: str
    sender: str
    """Code of the agency that test documents come from; the system's own."""
    receiver: str
    """And that they go to; the system's own, too."""
    foreign: str | None = None
    """An agency of the gateway that the system does not speak for; ``None`` leaves some rules out."""
    letter: Letter | None = None
    """The letter whose way the rules follow, once sent."""
    doc_id: str | None = None
    """What sendEdoc answered."""
    received_id: str | None = None
    """Under which it is listed."""
    is_let_in: bool = False
    """Whether a right call was seen to be answered."""
    before: dict[str, set[str]] = field(default_factory=dict)
    """``docId`` of what was listed before anything was sent, by kind: real documents, which nobody looks into."""

    def call(
        self,
        path: str,
        logical: Mapping[str, str] | None = None,
        *,
        body: bytes = b"{}",
        method: str = "POST",
        content_type: str = "application/json",
        waits: bool = False,
        **spoilt: Any,
    ) -> Answer:
        """One call; ``spoilt`` as ``signed_headers`` (system, secret, at, json_text)."""
        own: dict[str, Any] = {"system": self.system, "secret": self.secret, "at": datetime.now(UTC)}
        headers = signed_headers(logical or {}, **(own | spoilt))
        return self.say(path, headers, body=body, method=method, content_type=content_type, waits=waits)

    def say(
        self,
        path: str,
        headers: Sequence[tuple[str, str]],
        *,
        body: bytes = b"{}",
        method: str = "POST",
        content_type: str = "application/json",
        waits: bool = False,
    ) -> Answer:
        """One call with finished headers."""
        rest = [("Content-Type", content_type)]
        if method != "GET":
            rest.append(("Content-Length", str(len(body))))
        return self.server.ask(method, path, [*headers, *rest], b"" if method == "GET" else body, waits=waits)

    def send(
        self,
        package: bytes,
        *,
        kind: str = "edoc",
        more: Mapping[str, str] | None = None,
        end: bytes = b"\r\n",
        waits: bool = False,
        **spoilt: Any,
    ) -> Answer:
        """sendEdoc, with a line end behind the package."""
        logical = {"from": self.system, "servicetype": "eDoc", "messagetype": kind, **(more or {})}
        return self.call(
            "/sendEdoc", logical, body=package + end, content_type="application/octet-stream", waits=waits, **spoilt
        )

    def received(self, kind: str = "edoc") -> list[dict[str, Any]]:
        """getReceivedEdocList."""
        logical = {"servicetype": "eDoc", "messagetype": kind}
        return rows(self.call("/getReceivedEdocList", logical, body=b""))

    def arrived(self, kind: str = "edoc") -> list[dict[str, Any]]:
        """What is listed since the first test document was sent."""
        return [item for item in self.received(kind) if item.get("docId") not in self.before.get(kind, ())]

    def find(self, letter: Letter) -> str | None:
        """The ``docId`` under which a letter is listed."""
        ids = [str(item["docId"]) for item in self.arrived() if item.get("docId")]
        return next((i for i in ids if letter.document_id.encode() in self.fetch(i)), None)

    def fetch(self, doc_id: str) -> bytes:
        """getEdoc, decoded."""
        return package_of(self.call("/getEdoc", {"docId": doc_id, "filePath": "/edoc"}))

    def update(self, doc_id: str, status: str, *, name: str = "docId") -> Answer:
        """updateStatus."""
        return self.call("/updateStatus", {name: doc_id, "status": status})

    def refuses(self, answer: Answer) -> dict[str, Any]:
        """
        The body of a failure that was expected.

        :raises LeftOut: this gateway turns away everything from us, so that a refusal proves nothing.
        """
        if not self.is_let_in:
            answers = self.call("/getReceivedEdocList", {"servicetype": "eDoc", "messagetype": "edoc"}, body=b"")
            self.is_let_in = answers.json().get("status") == "OK"
        if not self.is_let_in:
            raise LeftOut("Trục từ chối cả lời gọi đúng.", "The gateway turns right calls away as well.")
        return refused(answer)

    def new_letter(self) -> Letter:
        """A letter to itself, which ``tidy`` takes away at the end."""
        for kind in () if self.before else ("edoc", "status"):
            self.before[kind] = {str(item.get("docId")) for item in self.received(kind)}
        return samples.a_letter(self.sender, [self.receiver])

    def needs_sent(self) -> Letter:
        """The letter under way, for rules that it is enough to have sent it for."""
        if self.letter is None:
            raise LeftOut("Chưa gửi được văn bản kiểm thử.", "No test document could be sent.")
        return self.letter

    def needs_letter(self) -> tuple[Letter, str]:
        """The letter under way and its ``docId`` in the list, for rules that follow it."""
        if self.letter is None or self.received_id is None:
            raise LeftOut("Chưa gửi và nhận lại được văn bản kiểm thử.", "No test document has come back yet.")
        return self.letter, self.received_id


def succeeded(answer: Answer) -> dict[str, Any]:
    """The body of a success."""
    content = answer.json()
    require(
        content.get("status") == "OK" and content.get("ErrorCode") == "0",
        f"Bị từ chối: {content.get('ErrorCode')} {content.get('ErrorDesc')}",
        f"Refused: {content.get('ErrorCode')} {content.get('ErrorDesc')}",
    )
    return content


def refused(answer: Answer) -> dict[str, Any]:
    """The body of a failure."""
    content = answer.json()
    require(
        content.get("status") == "FAIL",
        f"Được chấp nhận: status = {content.get('status')!r}.",
        f"It was accepted: status = {content.get('status')!r}.",
    )
    code = content.get("ErrorCode")
    require(
        isinstance(code, str) and code != "0",
        f'ErrorCode = {code!r}, phải là chuỗi khác "0".',
        f'ErrorCode = {code!r}, must be a text other than "0".',
    )
    return content


def rows(answer: Answer) -> list[dict[str, Any]]:
    """The rows of a list."""
    found = succeeded(answer).get("data")
    require(
        isinstance(found, list) and all(isinstance(row, dict) for row in found),
        f"data = {str(found)[:60]}, phải là danh sách đối tượng.",
        f"data = {str(found)[:60]}, must be a list of objects.",
    )
    assert isinstance(found, list)
    return found


def package_of(answer: Answer) -> bytes:
    """The package in the ``data`` of an answer."""
    data = succeeded(answer).get("data")
    try:
        return base64.b64decode(data if isinstance(data, str) else "", validate=True)
    except binascii.Error as e:
        raise Broken("data không phải base64.", "data is no base64.") from e


def require_members(row: Mapping[str, Any], names: Sequence[str]) -> None:
    """
    Whether a row has all of these.

    :raises Broken: it lacks some.
    """
    missing = ", ".join(name for name in names if name not in row)
    require(not missing, f"Thiếu trường: {missing}.", f"Missing: {missing}.")


book: Book[Vxp] = Book("vxp")


# Who calls

_LIST = {"servicetype": "eDoc", "messagetype": "edoc"}


def _list(vxp: Vxp, **spoilt: Any) -> Answer:
    return vxp.call("/getReceivedEdocList", _LIST, body=b"", **spoilt)


@book.rule("envelope", 'Câu trả lời có status "OK", ErrorCode "0" và ErrorDesc.')
def envelope(vxp: Vxp) -> None:
    """Answers have status "OK", ErrorCode "0" and an ErrorDesc."""
    content = succeeded(_list(vxp))
    require(isinstance(content.get("ErrorDesc"), str), "Không có ErrorDesc.", "There is no ErrorDesc.")


@book.rule("signature.text", "HMAC được kiểm tra trên đúng chuỗi nhận được, thứ tự và khoảng trắng tùy ý.")
def any_writing(vxp: Vxp) -> None:
    """The HMAC is checked over the string that came, in whatever order and spacing."""
    now = datetime.now(UTC)
    usual = dict(signed_headers(_LIST, system=vxp.system, secret=vxp.secret, at=now))[f"{PREFIX}sign-header"]
    other = json.dumps(dict(reversed(json.loads(usual).items())), separators=(" , ", " : "))
    succeeded(_list(vxp, at=now, json_text=other))


@book.rule("signature.case", "Tên header không phân biệt hoa thường.")
def any_case(vxp: Vxp) -> None:
    """Names of headers count in any case."""
    headers = signed_headers(_LIST, system=vxp.system, secret=vxp.secret, at=datetime.now(UTC))
    succeeded(vxp.say("/getReceivedEdocList", [(name.lower(), value) for name, value in headers], body=b""))


@book.rule("signature.wrong", "Sai khóa bí mật thì bị từ chối.")
def wrong_secret(vxp: Vxp) -> None:
    """A wrong secret is refused."""
    vxp.refuses(_list(vxp, secret=f"{vxp.secret}x"))


@book.rule("signature.missing", "Không ký thì bị từ chối.")
def unsigned(vxp: Vxp) -> None:
    """A call without signature is refused."""
    headers = signed_headers(_LIST, system=vxp.system, secret=vxp.secret, at=datetime.now(UTC))
    vxp.refuses(vxp.say("/getReceivedEdocList", [h for h in headers if h[0] != f"{PREFIX}hash-header"], body=b""))


@book.rule("signature.unknown", "systemid chưa đăng ký thì bị từ chối.")
def unknown_system(vxp: Vxp) -> None:
    """An unknown systemid is refused."""
    vxp.refuses(_list(vxp, system=f"{vxp.system}-khong-co"))


@book.rule("signature.differs", "Header lẻ khác giá trị đã ký thì bị từ chối.")
def differing_header(vxp: Vxp) -> None:
    """A single header that differs from the signed one is refused."""
    headers = dict(signed_headers(_LIST, system=vxp.system, secret=vxp.secret, at=datetime.now(UTC)))
    headers[f"{PREFIX}messagetype"] = "status"
    vxp.refuses(vxp.say("/getReceivedEdocList", list(headers.items()), body=b""))


@book.rule("signature.not-signed", "Header mà lời gọi dùng nhưng không ký thì bị từ chối.")
def unsigned_header(vxp: Vxp) -> None:
    """A header that the call uses and nobody signed is refused."""
    headers = signed_headers({"servicetype": "eDoc"}, system=vxp.system, secret=vxp.secret, at=datetime.now(UTC))
    vxp.refuses(vxp.say("/getReceivedEdocList", [*headers, (f"{PREFIX}messagetype", "edoc")], body=b""))


@book.rule("signature.leaked", "Header thừa của các lời gọi trước được bỏ qua.")
def leaked_headers(vxp: Vxp) -> None:
    """Headers left over from earlier calls are ignored."""
    leaked = {"docId": "0", "status": "done", "hash-file": "0", "to": "[]", "filePath": "C:\\edoc"}
    succeeded(vxp.call("/getReceivedEdocList", {**leaked, **_LIST}, body=b""))


@book.rule("signature.timestamp", "Timestamp chỉ để tham khảo: cũ nhiều ngày vẫn dùng được.")
def old_timestamp(vxp: Vxp) -> None:
    """The time stamp is advisory: one of days ago still counts."""
    succeeded(_list(vxp, at=datetime.now(UTC) - timedelta(days=9)))


# Sending


@book.rule("send", "sendEdoc nhận gói tin thô, có CRLF ở cuối, và trả DocId.")
def send(vxp: Vxp) -> None:
    """sendEdoc takes the raw package with a line end behind it and answers a DocId."""
    letter = vxp.new_letter()
    doc_id = succeeded(vxp.send(letter.raw, more={"hash-file": samples.sha256(letter.raw)})).get("DocId")
    require(isinstance(doc_id, str) and doc_id, f"DocId = {doc_id!r}.", f"DocId = {doc_id!r}.")
    vxp.letter, vxp.doc_id = letter, str(doc_id)


@book.rule("send.repeated", "Gửi lại cùng gói tin là cùng văn bản: cùng DocId, không thành bản thứ hai.")
def send_again(vxp: Vxp) -> None:
    """The same package again is the same document: the same DocId, no second copy."""
    again = succeeded(vxp.send(vxp.needs_sent().raw)).get("DocId")
    require(again == vxp.doc_id, f"Lần sau DocId = {again!r}.", f"The second time DocId = {again!r}.")


@book.rule("send.conflict", "Nội dung khác dưới cùng DocumentId không được nhận lặng lẽ.")
def send_conflict(vxp: Vxp) -> None:
    """Other content under a used DocumentId is not taken silently."""
    vxp.refuses(vxp.send(samples.changed(vxp.needs_sent()).raw))


@book.rule("hash-file.padded", "hash-file có đủ số 0 được nhận.")
def padded_hash(vxp: Vxp) -> None:
    """A hash-file with its zeros is accepted."""
    letter = vxp.new_letter()
    succeeded(vxp.send(letter.raw, more={"hash-file": samples.sha256(letter.raw)}))


@book.rule("hash-file.unpadded", "hash-file không có số 0 (như bộ SDK viết) được nhận.")
def unpadded_hash(vxp: Vxp) -> None:
    """A hash-file without zeros, as the kit writes it, is accepted."""
    letter = vxp.new_letter()
    succeeded(vxp.send(letter.raw, more={"hash-file": unpadded(letter.raw)}))


@book.rule("hash-file.with-line-end", "hash-file tính cả CRLF được nhận.")
def hash_with_line_end(vxp: Vxp) -> None:
    """A hash-file that covers the line end is accepted."""
    letter = vxp.new_letter()
    succeeded(vxp.send(letter.raw, more={"hash-file": unpadded(letter.raw + b"\r\n")}))


@book.rule("hash-file.wrong", "hash-file sai thì bị từ chối.")
def wrong_hash(vxp: Vxp) -> None:
    """A wrong hash-file is refused."""
    letter = vxp.new_letter()
    vxp.refuses(vxp.send(letter.raw, more={"hash-file": samples.sha256(b"x")}))


@book.rule("send.bare", "Gói tin không có CRLF ở cuối, không có hash-file vẫn được nhận.")
def bare_send(vxp: Vxp) -> None:
    """A package without line end and without hash-file is accepted."""
    succeeded(vxp.send(vxp.new_letter().raw, end=b""))


@book.rule("send.multipart", "Gói tin trong multipart thật (các bộ SDK khác) được nhận.")
def multipart_send(vxp: Vxp) -> None:
    """A package in real multipart, as other kits send it, is accepted."""
    letter = vxp.new_letter()
    content_type, body = multipart({"file_doc": ("kiem-thu.edxml", "application/xml", letter.raw)})
    logical = {"from": vxp.system, "servicetype": "eDoc", "messagetype": "edoc"}
    succeeded(vxp.call("/sendEdoc", logical, body=body, content_type=content_type))


@book.rule("send.expect", "Expect: 100-continue được trả lời.")
def expecting_send(vxp: Vxp) -> None:
    """Expect: 100-continue is answered."""
    if vxp.server.url.startswith("https:"):
        raise LeftOut("Chỉ quan sát được trên HTTP thường.", "This can be observed over plain HTTP only.")
    answer = vxp.send(vxp.new_letter().raw, waits=True)
    succeeded(answer)
    require(answer.invited, "Trả lời trước khi nhận gói tin.", "The answer came before the package was asked for.")


@book.rule("send.foreign", "Gói tin của cơ quan mà hệ thống không đại diện thì bị từ chối.")
def foreign_sender(vxp: Vxp) -> None:
    """A package from an agency that the system does not speak for is refused."""
    if vxp.foreign is None:
        raise LeftOut("Cần --foreign: mã một cơ quan khác.", "Needs --foreign: the code of another agency.")
    # To the system itself: should it be accepted, it troubles nobody.
    vxp.refuses(vxp.send(samples.a_letter(vxp.foreign, [vxp.receiver]).raw))


@book.rule("send.unknown-recipient", "Nơi nhận không có trong danh mục thì cả gói bị từ chối, mã 18.")
def unknown_recipient(vxp: Vxp) -> None:
    """A recipient that nobody knows makes the whole package refused, with code 18."""
    level1 = vxp.sender.rpartition(".")[2] if vxp.sender[:1].isdigit() else vxp.sender.partition(".")[0]
    code = vxp.refuses(vxp.send(samples.a_letter(vxp.sender, [vxp.receiver, f"{level1}.KHONG"]).raw))["ErrorCode"]
    require(code == "18", f"ErrorCode = {code}.", f"ErrorCode = {code}.")


@book.rule("send.malformed", "Thứ không phải edXML bị từ chối bằng JSON.")
def malformed(vxp: Vxp) -> None:
    """What is no edXML is refused in JSON."""
    vxp.refuses(vxp.send(b"<html><body>502 Bad Gateway</body></html>"))


@book.rule("answer.ascii", "Câu trả lời của sendEdoc chỉ có ký tự ASCII.")
def ascii_answer(vxp: Vxp) -> None:
    """Answers of sendEdoc are ASCII only: the kit reads them as such."""
    answer = vxp.send(b"<edXML>")
    require(answer.body.isascii(), "Có ký tự ngoài ASCII.", "There are other characters.")


# Receiving


@book.rule("list", "getReceivedEdocList liệt kê văn bản chờ lấy với đủ các trường.")
def received_list(vxp: Vxp) -> None:
    """getReceivedEdocList lists what waits, with all its members."""
    letter = vxp.needs_sent()
    for item in vxp.received():
        require_members(item, _ITEM)
    vxp.received_id = vxp.find(letter)
    require(
        vxp.received_id is not None,
        "Văn bản vừa gửi không có trong danh sách.",
        "The document that was sent is not listed.",
    )


@book.rule("get", "getEdoc trả cả gói tin dạng base64, tệp đính kèm còn nguyên.")
def get(vxp: Vxp) -> None:
    """getEdoc hands out the whole package as base64, its attachment intact."""
    letter, doc_id = vxp.needs_letter()
    samples.require_same(letter, vxp.fetch(doc_id))


@book.rule("get.docid", "Tên docid viết thường cũng được nhận.")
def lower_case_id(vxp: Vxp) -> None:
    """The header may be spelt docid as well."""
    _, doc_id = vxp.needs_letter()
    package_of(vxp.call("/getEdoc", {"docid": doc_id}))


@book.rule("download", "downloadEdoc trả chính gói tin.")
def download(vxp: Vxp) -> None:
    """downloadEdoc hands out the package itself."""
    letter, doc_id = vxp.needs_letter()
    answer = vxp.call("/downloadEdoc", {"docId": doc_id, "filePath": "/edoc"}, method="GET")
    require(answer.status == 200, f"HTTP {answer.status}.", f"HTTP {answer.status}.")
    samples.require_same(letter, answer.body)


@book.rule("get.unknown", "docId không tồn tại thì bị từ chối bằng JSON, cả ở downloadEdoc.")
def unknown_id(vxp: Vxp) -> None:
    """A docId that does not exist is refused in JSON, by downloadEdoc as well."""
    vxp.refuses(vxp.call("/getEdoc", {"docId": "khong-co"}))
    vxp.refuses(vxp.call("/downloadEdoc", {"docId": "khong-co"}, method="GET"))


@book.rule("list.again", "Đã lấy nhưng chưa xác nhận thì còn được liệt kê.")
def listed_again(vxp: Vxp) -> None:
    """What was fetched and not acknowledged is listed again."""
    _, doc_id = vxp.needs_letter()
    require(
        any(item.get("docId") == doc_id for item in vxp.received()),
        "Văn bản đã biến mất khỏi danh sách chỉ vì đã lấy.",
        "The document has gone from the list because it was fetched.",
    )


@book.rule("send.to", "Header to không thu hẹp nơi nhận ghi trong gói tin.")
def narrowing_header(vxp: Vxp) -> None:
    """The header to does not narrow the recipients that the package names."""
    letter = vxp.new_letter()
    succeeded(vxp.send(letter.raw, more={"to": "[]"}))
    require(
        vxp.find(letter) is not None,
        "Nơi nhận trong gói tin không nhận được.",
        "The recipient in the package did not get it.",
    )


@book.rule("update.processing", "updateStatus processing được nhận; văn bản chưa mất khỏi danh sách.")
def processing(vxp: Vxp) -> None:
    """updateStatus processing is accepted, and the document stays listed."""
    _, doc_id = vxp.needs_letter()
    succeeded(vxp.update(doc_id, "processing"))
    listed_again(vxp)


@book.rule("update.other", "Trạng thái vận chuyển khác done, processing, fail bị từ chối.")
def other_status(vxp: Vxp) -> None:
    """A transport status other than done, processing and fail is refused."""
    _, doc_id = vxp.needs_letter()
    vxp.refuses(vxp.update(doc_id, "06"))


@book.rule("count", "countReceiveEdoc và countReceiveStatus trả count là số.")
def counts(vxp: Vxp) -> None:
    """countReceiveEdoc and countReceiveStatus answer a number."""
    for call, kind in (("/countReceiveEdoc", "edoc"), ("/countReceiveStatus", "status")):
        count = succeeded(vxp.call(call, {"servicetype": "eDoc", "messagetype": kind})).get("count")
        require(str(count).isdecimal(), f"{call}: count = {count!r}.", f"{call}: count = {count!r}.")


@book.rule("update.done", "updateStatus done: văn bản không còn trong danh sách.")
def done(vxp: Vxp) -> None:
    """After updateStatus done a document is no longer listed."""
    _, doc_id = vxp.needs_letter()
    succeeded(vxp.update(doc_id, "done"))
    require(
        all(item.get("docId") != doc_id for item in vxp.received()),
        "Văn bản vẫn còn trong danh sách.",
        "The document is still listed.",
    )


@book.rule("update.repeated", "Xác nhận done lần nữa vẫn thành công.")
def done_again(vxp: Vxp) -> None:
    """Acknowledging again succeeds."""
    _, doc_id = vxp.needs_letter()
    succeeded(vxp.update(doc_id, "done", name="docid"))


@book.rule("update.unknown", "Xác nhận docId không tồn tại thì bị từ chối.")
def update_unknown(vxp: Vxp) -> None:
    """Acknowledging a docId that does not exist is refused."""
    vxp.refuses(vxp.update("khong-co", "done"))


@book.rule("sent", "getSentEdocList tìm được văn bản đã gửi, với đủ các trường.")
def sent_list(vxp: Vxp) -> None:
    """getSentEdocList finds what was sent, with all its members."""
    letter = vxp.needs_sent()
    found = rows(vxp.call("/getSentEdocList", _LIST, body=b""))
    for row in found:
        require_members(row, _SENT)
    require(
        any(vxp.doc_id in (row["senderDocId"], row["receiverDocId"]) or row["notation"] == letter.number
            for row in found),
        "Không thấy văn bản vừa gửi theo DocId hay số ký hiệu: lần gửi không rõ kết quả không kiểm tra lại được.",
        "The document is not found by its DocId or number: an ambiguous send cannot be looked up.",
    )  # fmt: skip


@book.rule("status", "Gói trạng thái gửi bằng messagetype status đến được nơi gửi văn bản.")
def status_package(vxp: Vxp) -> None:
    """A status package, sent with messagetype status, reaches the sender of the document."""
    letter, _ = vxp.needs_letter()
    known = {item.get("docId") for item in vxp.received("status")}
    succeeded(vxp.send(samples.a_report(letter, vxp.receiver), kind="status"))
    new = [str(item["docId"]) for item in vxp.received("status") if item.get("docId") not in known]
    require(
        any(b"StatusCode>03<" in vxp.fetch(doc_id) for doc_id in new),
        "Trạng thái 03 vừa gửi không có trong danh sách trạng thái.",
        "The status 03 that was sent is not in the list of statuses.",
    )


@book.rule("status.arrived", "Trạng thái 01 (đã đến) tự động quay về sau khi xác nhận done.")
def arrived(vxp: Vxp) -> None:
    """Status 01 (arrived) comes back by itself after the acknowledgement."""
    letter, _ = vxp.needs_letter()
    for item in vxp.arrived("status"):
        package = vxp.fetch(str(item["docId"]))
        if letter.document_id.encode() in package and b"StatusCode>01<" in package:
            return
    raise Broken("Không có trạng thái 01 của văn bản đã xác nhận.", "There is no status 01 of what was acknowledged.")


# Catalogue


@book.rule("agencies", "getAgenciesList có id, pid, code, name, mail, oldCode.")
def agencies(vxp: Vxp) -> None:
    """getAgenciesList has id, pid, code, name, mail, oldCode."""
    for row in rows(vxp.call("/getAgenciesList", body=b""))[:100]:
        require_members(row, ("id", "pid", "code", "name", "mail", "oldCode"))


@book.rule("agencies.qd20", "getAgenciesListQD20 theo level có code và code102.")
def agencies_of_a_level(vxp: Vxp) -> None:
    """getAgenciesListQD20 of a level has code and code102."""
    for row in rows(vxp.call("/getAgenciesListQD20", {"level": "1"}, body=b""))[:100]:
        require_members(row, ("id", "code", "name", "mail", "code102"))


@book.rule("agencies.synchronise", "getSynchronizeUnit có version là số, deleted và isAgency là đúng/sai.")
def units(vxp: Vxp) -> None:
    """getSynchronizeUnit has versions as numbers, deleted and isAgency as truth values."""
    for row in rows(vxp.call("/getSynchronizeUnit", body=b""))[:100]:
        require_members(row, _UNIT)
        require(
            type(row["version"]) is int and type(row["deleted"]) is bool and type(row["isAgency"]) is bool,
            f"Kiểu dữ liệu sai: version={row['version']!r}, deleted={row['deleted']!r}.",
            f"Wrong types: version={row['version']!r}, deleted={row['deleted']!r}.",
        )


@book.rule("register.incomplete", "registerAgency thiếu code, name, mail thì bị từ chối.")
def incomplete_registration(vxp: Vxp) -> None:
    """registerAgency without code, name and mail is refused."""
    vxp.refuses(vxp.call("/registerAgency", body=b'{"id": "", "pcode": "", "code": "", "name": "", "mail": ""}'))


@book.rule("register", "registerAgency, deleteAgency: không thử vì sẽ để lại yêu cầu thật.")
def registration(_: Vxp) -> None:
    """registerAgency, deleteAgency."""
    raise LeftOut(
        "Lời gọi để lại một yêu cầu cho người vận hành: hãy thử bằng tay.",
        "The call would leave a request for an operator: try it by hand.",
    )


@book.rule("tidy", "Văn bản kiểm thử của bộ này được lấy và xác nhận hết.")
def tidy(vxp: Vxp) -> None:
    """The kit's own test documents are fetched and acknowledged."""
    for kind in ("edoc", "status"):
        for item in vxp.arrived(kind):
            doc_id = str(item.get("docId"))
            if f"/{samples.NOTATION}".encode() in vxp.fetch(doc_id):
                succeeded(vxp.update(doc_id, "done"))


def unpadded(data: bytes) -> str:
    """SHA-256 as ``Integer.toHexString`` of each byte writes it."""
    return "".join(f"{byte:x}" for byte in hashlib.sha256(data).digest())
