"""The gateway's own REST API: each of its rules as a question (docs/integrate.md)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.conformance import samples
from gateway.conformance.rules import Book, LeftOut, require
from gateway.conformance.samples import Letter
from gateway.conformance.wire import Answer, Server


@dataclass
class V1:
    """An agency's system that examines a gateway, and what it has learned so far."""

    server: Server
    key: str
    """The API key."""
    sender: str
    receiver: str
    """Codes of agencies that the key speaks for."""
    foreign: str | None = None
    """An agency that it does not speak for; ``None`` leaves a rule out."""
    letter: Letter | None = None
    document: str | None = None
    """The gateway's id of the letter."""
    delivery: str | None = None
    token: str | None = None

    def call(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        content_type: str = "application/json",
        key: str | None = "",
        more: Sequence[tuple[str, str]] = (),
        waits: bool = False,
    ) -> Answer:
        """One call; ``key`` is ours unless another is given, ``None`` for none."""
        headers = list(more)
        if key is not None:
            headers.append(("Authorization", f"Bearer {key or self.key}"))
        if method == "POST":
            headers += [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        return self.server.ask(method, f"/api/v1{target}", headers, body, waits=waits)

    def post(self, package: bytes, **how: Any) -> Answer:
        """Hand a package over."""
        return self.call("POST", "/documents", package, content_type="application/xml", **how)

    def needs_sent(self) -> tuple[Letter, str]:
        """The letter under way and the gateway's id of it."""
        if self.letter is None or self.document is None:
            raise LeftOut("Chưa gửi được văn bản kiểm thử.", "No test document could be sent.")
        return self.letter, self.document

    def needs_lock(self) -> tuple[str, bytes]:
        """The delivery under way, and the body that holds its lock."""
        if self.delivery is None or self.token is None:
            raise LeftOut("Chưa khóa được lượt chuyển.", "No delivery is locked.")
        return self.delivery, json.dumps({"token": self.token}).encode()


def good(answer: Answer, *statuses: int) -> dict[str, Any]:
    """The body of a success with one of these statuses."""
    require(
        answer.status in statuses,
        f"HTTP {answer.status}: {answer.body[:200].decode('utf-8', 'replace')}",
        f"HTTP {answer.status}: {answer.body[:200].decode('utf-8', 'replace')}",
    )
    return answer.json()


def problem(answer: Answer, status: int, code: str) -> None:
    """
    It must be this problem.

    :raises Broken: it is not.
    """
    content = answer.json()
    found = f"HTTP {answer.status}, {content.get('code')}"
    require(answer.status == status and content.get("code") == code, f"{found}.", f"{found}.")
    kind = answer.headers.get("content-type", "")
    require(kind.startswith("application/problem+json"), f"Content-Type: {kind}.", f"Content-Type: {kind}.")


book: Book[V1] = Book("v1")


@book.rule("key.missing", "Không có khóa: 401, problem+json.")
def no_key(v1: V1) -> None:
    """Without a key: 401, problem+json."""
    problem(v1.call("GET", "/inbox", key=None), 401, "request.not_authenticated")


@book.rule("key.wrong", "Khóa sai: 401.")
def wrong_key(v1: V1) -> None:
    """A wrong key: 401."""
    problem(v1.call("GET", "/inbox", key=f"{v1.key}x"), 401, "request.not_authenticated")


@book.rule("send", "Gói tin được tiếp nhận: 202 và biên nhận có sha256 của đúng gói tin.")
def send(v1: V1) -> None:
    """A package is accepted: 202 and a receipt with its sha256."""
    letter = samples.a_letter(v1.sender, [v1.receiver])
    receipt = good(v1.post(letter.raw), 202)
    sent, told = samples.sha256(letter.raw), receipt.get("sha256")
    require(told == sent, f"sha256 trong biên nhận là {told}.", f"The receipt says sha256 {told}.")
    v1.letter, v1.document = letter, str(receipt.get("id"))


@book.rule("send.repeated", "Gửi lại: 200, cùng biên nhận, duplicate.")
def send_again(v1: V1) -> None:
    """Sent again: 200, the same receipt, marked as a duplicate."""
    letter, document = v1.needs_sent()
    receipt = good(v1.post(letter.raw), 200)
    same = receipt.get("id") == document and receipt.get("duplicate") is True
    require(same, f"id {receipt.get('id')}, duplicate {receipt.get('duplicate')}.",
            f"id {receipt.get('id')}, duplicate {receipt.get('duplicate')}.")  # fmt: skip


@book.rule("send.conflict", "Nội dung khác dưới cùng DocumentId: 409 document.conflict.")
def conflict(v1: V1) -> None:
    """Other content under a used DocumentId: 409 document.conflict."""
    problem(v1.post(samples.changed(v1.needs_sent()[0]).raw), 409, "document.conflict")


@book.rule("send.digest", "Content-Digest đúng được nhận, sai thì 400 package.digest_mismatch.")
def digest(v1: V1) -> None:
    """A right Content-Digest is accepted, a wrong one is 400 package.digest_mismatch."""
    letter, _ = v1.needs_sent()
    right = base64.b64encode(hashlib.sha256(letter.raw).digest()).decode()
    wrong = base64.b64encode(bytes(32)).decode()
    good(v1.post(letter.raw, more=[("Content-Digest", f"sha-256=:{right}:")]), 200)
    other = samples.a_letter(v1.sender, [v1.receiver])
    answer = v1.post(other.raw, more=[("Content-Digest", f"sha-256=:{wrong}:")])
    problem(answer, 400, "package.digest_mismatch")


@book.rule("send.malformed", "Thứ không phải edXML: 4xx có mã.")
def malformed(v1: V1) -> None:
    """What is no edXML: 4xx with a code."""
    answer = v1.post(b"<edXML")
    code = str(answer.json().get("code"))
    require(400 <= answer.status < 500 and code.startswith("package."), f"HTTP {answer.status}, {code}.",
            f"HTTP {answer.status}, {code}.")  # fmt: skip


@book.rule("send.foreign", "Gói tin của cơ quan khác: 403.")
def foreign_sender(v1: V1) -> None:
    """A package of another agency: 403."""
    if v1.foreign is None:
        raise LeftOut("Cần --foreign: mã một cơ quan khác.", "Needs --foreign: the code of another agency.")
    status = v1.post(samples.a_letter(v1.foreign, [v1.receiver]).raw).status
    require(status == 403, f"HTTP {status}.", f"HTTP {status}.")


@book.rule("send.expect", "Expect: 100-continue được trả lời; khóa sai thì không phải gửi gói tin.")
def expecting(v1: V1) -> None:
    """Expect: 100-continue is answered; with a wrong key the body is not asked for."""
    if v1.server.url.startswith("https:"):
        raise LeftOut("Chỉ quan sát được trên HTTP thường.", "This can be observed over plain HTTP only.")
    letter, _ = v1.needs_sent()
    asked, wrong = v1.post(letter.raw, waits=True), v1.post(letter.raw, waits=True, key="x")
    found = f"{asked.invited}, {wrong.invited}"
    require(asked.invited and not wrong.invited, f"100 Continue: {found}.", f"100 Continue: {found}.")


@book.rule("request-id", "X-Request-ID của lời gọi được trả lại.")
def request_id(v1: V1) -> None:
    """The X-Request-ID of a call comes back."""
    found = v1.call("GET", "/inbox?limit=1", more=[("X-Request-ID", "conformance-kit-1")]).headers.get("x-request-id")
    require(found == "conformance-kit-1", f"X-Request-ID: {found}.", f"X-Request-ID: {found}.")


@book.rule("inbox", "Hộp thư liệt kê văn bản vừa gửi cho mình.")
def inbox(v1: V1) -> None:
    """The mailbox lists what was sent to oneself."""
    _, document = v1.needs_sent()
    target = "/inbox?limit=200"
    while True:
        page = good(v1.call("GET", target), 200)
        for item in page.get("items", []):
            if item.get("document", {}).get("id") == document:
                v1.delivery = str(item.get("delivery"))
                return
        cursor = page.get("next")
        require(cursor, "Không có trong hộp thư.", "It is not in the mailbox.")
        target = f"/inbox?limit=200&cursor={cursor}"


@book.rule("inbox.lock", "Khóa lượt chuyển trả token.")
def lock(v1: V1) -> None:
    """Locking a delivery answers a token."""
    if v1.delivery is None:
        raise LeftOut("Không thấy lượt chuyển.", "There is no delivery.")
    v1.token = str(good(v1.call("POST", f"/inbox/{v1.delivery}/lock", b"{}"), 200).get("token"))


@book.rule("inbox.package", "Gói tin lấy về nguyên vẹn; lấy tiếp được bằng Range, ETag là SHA-256.")
def package(v1: V1) -> None:
    """The package comes whole, goes on by Range, and its ETag is its SHA-256."""
    delivery, _ = v1.needs_lock()
    letter, _ = v1.needs_sent()
    answer = v1.call("GET", f"/inbox/{delivery}/package")
    require(answer.status == 200, f"HTTP {answer.status}.", f"HTTP {answer.status}.")
    samples.require_same(letter, answer.body)
    tag = answer.headers.get("etag", "").strip('"')
    require(tag == samples.sha256(answer.body), f"ETag: {tag}.", f"ETag: {tag}.")
    rest = v1.call("GET", f"/inbox/{delivery}/package", more=[("Range", "bytes=100-")])
    right = rest.status == 206 and rest.body == answer.body[100:]
    require(right, f"Range: HTTP {rest.status}.", f"Range: HTTP {rest.status}.")


@book.rule("status.early", "Báo 03 trước khi xác nhận đã nhận: 409 delivery.not_collected.")
def early_status(v1: V1) -> None:
    """Status 03 before the acknowledgement: 409 delivery.not_collected."""
    _, document = v1.needs_sent()
    v1.needs_lock()
    body = json.dumps({"document": document, "code": "03"}).encode()
    problem(v1.call("POST", "/statuses", body), 409, "delivery.not_collected")


@book.rule("inbox.ack", "Xác nhận được, và xác nhận lần nữa vẫn thành công.")
def acknowledge(v1: V1) -> None:
    """It can be acknowledged, and again."""
    delivery, body = v1.needs_lock()
    for _ in range(2):
        good(v1.call("POST", f"/inbox/{delivery}/ack", body), 200)


@book.rule("status", "Báo 03 được nhận và hiện ở đường đi của văn bản, sau 01 tự động.")
def status(v1: V1) -> None:
    """Status 03 is accepted and shows in the document's trace, after the automatic 01."""
    _, document = v1.needs_sent()
    v1.needs_lock()
    good(v1.call("POST", "/statuses", json.dumps({"document": document, "code": "03"}).encode()), 200, 202)
    found = [s.get("code") for s in good(v1.call("GET", f"/documents/{document}/trace"), 200).get("statuses", [])]
    require({"01", "03"} <= set(found), f"Đường đi có trạng thái {found}.", f"The trace has statuses {found}.")


@book.rule("status.reason", "Báo 16 không có lý do thì bị từ chối.")
def reason(v1: V1) -> None:
    """Status 16 without a reason is refused."""
    _, document = v1.needs_sent()
    status = v1.call("POST", "/statuses", json.dumps({"document": document, "code": "16"}).encode()).status
    require(400 <= status < 500, f"HTTP {status}.", f"HTTP {status}.")


@book.rule("evidence", "Có bằng chứng (biên nhận, niêm phong) của văn bản.")
def evidence(v1: V1) -> None:
    """There is evidence (receipt, seal) of the document."""
    _, document = v1.needs_sent()
    content = good(v1.call("GET", f"/documents/{document}/evidence", more=[("Accept", "application/json")]), 200)
    require(content.get("seal"), "Không có niêm phong.", "There is no seal.")


@book.rule("documents.unknown", "Văn bản không tồn tại: 404.")
def unknown(v1: V1) -> None:
    """A document that does not exist: 404."""
    problem(v1.call("GET", "/documents/khong-co"), 404, "request.not_found")


@book.rule("agencies", "Tìm được cơ quan, không cần dấu.")
def agencies(v1: V1) -> None:
    """Agencies are found."""
    found = good(v1.call("GET", f"/agencies?q={v1.receiver}"), 200).get("agencies")
    require(found, "Không tìm thấy cơ quan của chính mình.", "One's own agency is not found.")


@book.rule("tidy", "Trạng thái của văn bản kiểm thử được lấy khỏi hộp thư.")
def tidy(v1: V1) -> None:
    """The reports on the test document are taken out of the mailbox."""
    letter, _ = v1.needs_sent()
    for item in good(v1.call("GET", "/inbox?limit=200"), 200).get("items", []):
        base = f"/inbox/{item['delivery']}"
        if item.get("locked") or item.get("document", {}).get("kind") != "status":
            continue
        if letter.document_id.encode() in v1.call("GET", f"{base}/package").body:
            token = good(v1.call("POST", f"{base}/lock", b"{}"), 200)["token"]
            good(v1.call("POST", f"{base}/ack", json.dumps({"token": token}).encode()), 200)
