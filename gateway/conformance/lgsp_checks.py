"""The provincial axis' protocol: a client of it, and each of its rules as a question to a gateway (domain §2.2)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from gateway.conformance import samples
from gateway.conformance.rules import Book, Broken, LeftOut, require
from gateway.conformance.samples import Letter
from gateway.conformance.wire import Answer, Server, multipart
from gateway.model import VIETNAM_TIME

_HEADERS = ("Authorization", "X-SystemId", "X-SecretKey")


@dataclass
class Lgsp:
    """A system that examines a gateway, and what it has learned so far."""

    server: Server
    system: str
    secret: str
    """Of ``X-SecretKey``."""
    username: str
    password: str
    application: str
    """``applicationCode`` of login."""
    sender: str
    """Code of the agency that test documents come from; the system's own."""
    receiver: str
    """And that they go to; the system's own, too."""
    foreign: str | None = None
    """An agency of the gateway that the system does not speak for; ``None`` leaves some rules out."""
    token: str | None = None
    letter: Letter | None = None
    """The letter whose way the rules follow, once sent."""
    doc_id: str | None = None
    """Under which it is listed."""
    before: frozenset[str] = frozenset()
    """``docId`` of what was listed before anything was sent: real documents, which nobody looks into."""

    def login(self, *, password: str | None = None) -> Answer:
        """A login; the token is kept only by the rule about it."""
        account = {
            "username": self.username,
            "password": self.password if password is None else password,
            "applicationCode": self.application,
            "otp": None,
            "twoFactorProvider": None,
            "typeObjs": [0, 1],
        }
        body = json.dumps(account).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        return self.server.ask("POST", "/v1/auth/login?allow_anonymous=true", headers, body)

    def needs_token(self) -> str:
        """
        Our token; got when first asked for.

        :raises LeftOut: there is none to be had.
        """
        if self.token is None:
            self.token = _token(self.login())
        if self.token is None:
            raise LeftOut("Không đăng nhập được.", "There is no login.")
        return self.token

    def call(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        content_type: str | None = None,
        leave_out: Sequence[str] = (),
        chunked: bool = False,
        **changes: str,
    ) -> Answer:
        """
        One call with the three headers of every call.

        :param leave_out: of the three, by name.
        :param changes: ``token``, ``system`` or ``secret`` in place of ours.
        """
        own = self.needs_token()
        values = (f"Bearer {changes.get('token', own)}", changes.get("system", self.system),
                  changes.get("secret", self.secret))  # fmt: skip
        headers = [(n, v) for n, v in zip(_HEADERS, values, strict=True) if n not in leave_out]
        if content_type:
            headers.append(("Content-Type", content_type))
        if chunked:
            headers.append(("Transfer-Encoding", "chunked"))
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        elif method == "POST":
            headers.append(("Content-Length", str(len(body))))
        return self.server.ask(method, target, headers, body)

    def send(self, package: bytes, *, kind: str = "edoc", chunked: bool = False) -> Answer:
        """sendEdoc."""
        fields: dict[str, tuple[str | None, str | None, bytes]] = {
            "edocFile": ("kiem-thu.edxml", "application/xml", package),
            "messageType": (None, None, kind.encode()),
        }
        content_type, body = multipart(fields)
        return self.call("POST", "/v1/sendEdoc", body, content_type=content_type, chunked=chunked)

    def listed(self, since: int, until: int, *, kind: str = "edoc") -> Answer:
        """syncReceivedEdocList for days counted from today."""
        window = {"messageType": kind, "fromDate": day(since), "toDate": day(until)}
        return self.call("GET", f"/v1/syncReceivedEdocList?{urlencode(window, safe='/')}")

    def waiting(self, kind: str = "edoc") -> list[str]:
        """``docId`` of what is listed for yesterday and today, but for what was there before."""
        found = [str(row["docId"]) for row in rows(self.listed(-1, 1, kind=kind))]
        return [doc_id for doc_id in found if doc_id not in self.before]

    def fetch(self, doc_id: str) -> bytes:
        """getEdoc, decoded."""
        answer = self.call("GET", f"/v1/getEdoc?docId={quote(doc_id)}")
        data = succeeded(answer).get("data")
        # The real axis wraps once more than its document says; clients read both.
        data = data.get("data") if isinstance(data, dict) else data
        try:
            return base64.b64decode(data if isinstance(data, str) else "", validate=True)
        except binascii.Error as e:
            raise Broken("data.data không phải base64.", "data.data is no base64.") from e

    def update(self, doc_id: str, status: str) -> Answer:
        """updateStatus."""
        body = json.dumps({"docId": doc_id, "status": status}).encode()
        return self.call("POST", "/v1/updateStatus", body, content_type="application/json")

    def new_letter(self) -> Letter:
        """A letter to itself, which ``tidy`` takes away at the end."""
        if not self.before:
            self.before = frozenset(
                str(row["docId"]) for kind in ("edoc", "status") for row in rows(self.listed(-1, 1, kind=kind))
            ) | {""}
        return samples.a_letter(self.sender, [self.receiver])

    def needs_letter(self) -> tuple[Letter, str]:
        """The letter under way and its ``docId``, for rules that follow it."""
        if self.letter is None or self.doc_id is None:
            raise LeftOut("Chưa gửi và nhận lại được văn bản kiểm thử.", "No test document has come back yet.")
        return self.letter, self.doc_id


def _token(answer: Answer) -> str | None:
    """What a login gave; ``None`` for no token."""
    data = answer.json().get("data")
    token = data.get("token") if isinstance(data, dict) else None
    return token if isinstance(token, str) and token else None


def day(offset: int) -> str:
    """A date of Vietnam as the protocol writes it."""
    return f"{datetime.now(UTC).astimezone(VIETNAM_TIME) + timedelta(days=offset):%Y/%m/%d}"


def succeeded(answer: Answer) -> dict[str, Any]:
    """The body of a success, in the real shape or in the documented one."""
    content = answer.json()
    good = content.get("success") is True if "success" in content else content.get("code") in (0, 200)
    require(
        good and 200 <= answer.status < 300,
        f"Bị từ chối: HTTP {answer.status}, {error_number(content)} {content.get('message')}",
        f"Refused: HTTP {answer.status}, {error_number(content)} {content.get('message')}",
    )
    return content


def refused(answer: Answer, *numbers: int) -> None:
    """
    It must be a failure, and with one of these numbers when some are given.

    :raises Broken: it is not.
    """
    content = answer.json()
    number = error_number(content)
    require(
        content.get("success") is not True and number not in (0, 200),
        "Được chấp nhận.",
        "It was accepted.",
    )
    wanted = ", ".join(map(str, numbers))
    require(
        not numbers or number in numbers,
        f"Mã lỗi {number}, phải là {wanted}.",
        f"The error is {number}, must be {wanted}.",
    )


def error_number(content: dict[str, Any]) -> int | None:
    """The number of an answer in either shape."""
    data = content.get("data")
    inner = data.get("errorCode") if isinstance(data, dict) else None
    found = str(inner if "success" in content else content.get("code"))
    return int(found) if found.isdecimal() else None


def rows(answer: Answer) -> list[dict[str, Any]]:
    """The rows of a list."""
    found = succeeded(answer).get("data")
    require(
        isinstance(found, list) and all(isinstance(row, dict) and "docId" in row for row in found),
        f"data = {str(found)[:60]}, phải là danh sách có docId.",
        f"data = {str(found)[:60]}, must be a list with docId.",
    )
    assert isinstance(found, list)
    return found


book: Book[Lgsp] = Book("lgsp")


# Who calls


@book.rule("login", "Đăng nhập đúng trả data.token.")
def login(lgsp: Lgsp) -> None:
    """A right login answers data.token."""
    answer = lgsp.login()
    succeeded(answer)
    lgsp.token = _token(answer)
    require(lgsp.token, "Không có data.token.", "There is no data.token.")


@book.rule("login.wrong", "Sai mật khẩu thì không có token.")
def wrong_password(lgsp: Lgsp) -> None:
    """A wrong password gives no token."""
    lgsp.needs_token()
    answer = lgsp.login(password=f"{lgsp.password}x")
    refused(answer)
    require(_token(answer) is None, "Vẫn có token.", "There is a token all the same.")


@book.rule("headers", "Mọi lời gọi cần Authorization, X-SystemId và X-SecretKey.")
def all_headers(lgsp: Lgsp) -> None:
    """Every call needs Authorization, X-SystemId and X-SecretKey."""
    target = f"/v1/syncReceivedEdocList?messageType=edoc&fromDate={day(-1)}&toDate={day(1)}"
    for name in _HEADERS:
        refused(lgsp.call("GET", target, leave_out=[name]))


@book.rule("headers.secret", "Sai X-SystemId hoặc X-SecretKey: mã 15.")
def wrong_secret(lgsp: Lgsp) -> None:
    """A wrong X-SystemId or X-SecretKey: 15."""
    refused(lgsp.call("GET", "/v1/getEdoc?docId=x", secret=f"{lgsp.secret}x"), 15)
    refused(lgsp.call("GET", "/v1/getEdoc?docId=x", system=f"{lgsp.system}x"), 15)


@book.rule("token", "Token sai hoặc hết hạn: HTTP 401, để hệ thống đăng nhập lại.")
def bad_token(lgsp: Lgsp) -> None:
    """A token that is none: HTTP 401, on which clients log in anew."""
    status = lgsp.call("GET", "/v1/getEdoc?docId=x", token="x").status  # noqa: S106 # a token that must be refused
    require(status == 401, f"HTTP {status}.", f"HTTP {status}.")


# Sending


@book.rule("send", "sendEdoc nhận edocFile và messageType trong multipart.")
def send(lgsp: Lgsp) -> None:
    """sendEdoc takes edocFile and messageType in multipart."""
    letter = lgsp.new_letter()
    succeeded(lgsp.send(letter.raw))
    lgsp.letter = letter


@book.rule("send.repeated", "Gửi lại cùng gói tin không thành bản thứ hai.")
def send_again(lgsp: Lgsp) -> None:
    """The same package again makes no second copy."""
    if lgsp.letter is None:
        raise LeftOut("Chưa gửi được văn bản kiểm thử.", "No test document could be sent.")
    before = len(lgsp.waiting())
    succeeded(lgsp.send(lgsp.letter.raw))
    require(len(lgsp.waiting()) == before, "Danh sách có thêm một bản.", "The list has one more.")


@book.rule("send.chunked", "Thân bài không có Content-Length bị từ chối, không làm hỏng kết nối.")
def chunked(lgsp: Lgsp) -> None:
    """A body without Content-Length is refused by an answer."""
    status = lgsp.send(lgsp.new_letter().raw, chunked=True).status
    require(status >= 400, f"HTTP {status}.", f"HTTP {status}.")


@book.rule("send.no-file", "Không có edocFile: mã 10.")
def no_file(lgsp: Lgsp) -> None:
    """Without edocFile: 10."""
    content_type, body = multipart({"messageType": (None, None, b"edoc")})
    refused(lgsp.call("POST", "/v1/sendEdoc", body, content_type=content_type), 10)


@book.rule("send.malformed", "Tệp không phải edXML: mã 10 hoặc 22.")
def malformed(lgsp: Lgsp) -> None:
    """A file that is no edXML: 10 or 22."""
    refused(lgsp.send(b"<html><body>502 Bad Gateway</body></html>"), 10, 22)


@book.rule("send.unknown-recipient", "Nơi nhận không tồn tại: mã 18.")
def unknown_recipient(lgsp: Lgsp) -> None:
    """A recipient that does not exist: 18."""
    level1 = lgsp.sender.rpartition(".")[2] if lgsp.sender[:1].isdigit() else lgsp.sender.partition(".")[0]
    refused(lgsp.send(samples.a_letter(lgsp.sender, [lgsp.receiver, f"{level1}.KHONG"]).raw), 18)


@book.rule("send.foreign", "Nơi gửi không thuộc hệ thống: mã 19.")
def foreign_sender(lgsp: Lgsp) -> None:
    """A sender that is not the system's: 19."""
    if lgsp.foreign is None:
        raise LeftOut("Cần --foreign: mã một cơ quan khác.", "Needs --foreign: the code of another agency.")
    refused(lgsp.send(samples.a_letter(lgsp.foreign, [lgsp.receiver]).raw), 19)


# Receiving


@book.rule("list", "syncReceivedEdocList liệt kê văn bản vừa gửi.")
def listed(lgsp: Lgsp) -> None:
    """syncReceivedEdocList lists what was sent."""
    if lgsp.letter is None:
        raise LeftOut("Chưa gửi được văn bản kiểm thử.", "No test document could be sent.")
    letter = lgsp.letter
    lgsp.doc_id = next((i for i in lgsp.waiting() if letter.document_id.encode() in lgsp.fetch(i)), None)
    require(lgsp.doc_id is not None, "Không thấy văn bản vừa gửi.", "What was sent is not listed.")


@book.rule("list.exclusive", "toDate không tính: cửa sổ một ngày luôn rỗng.")
def exclusive(lgsp: Lgsp) -> None:
    """toDate is exclusive: a window of one day is empty."""
    lgsp.needs_letter()
    found = rows(lgsp.listed(0, 0))
    require(not found, f"Có {len(found)} dòng.", f"There are {len(found)} rows.")


@book.rule("list.week", "Cửa sổ bảy ngày được trả lời, dài hơn thì bị từ chối.")
def week(lgsp: Lgsp) -> None:
    """A window of seven days is answered, a longer one refused."""
    rows(lgsp.listed(-6, 1))
    refused(lgsp.listed(-8, 1))


@book.rule("get", "getEdoc trả data.data dạng base64, tệp đính kèm còn nguyên.")
def get(lgsp: Lgsp) -> None:
    """getEdoc answers data.data as base64, the attachment intact."""
    letter, doc_id = lgsp.needs_letter()
    samples.require_same(letter, lgsp.fetch(doc_id))


@book.rule("get.unknown", "docId không tồn tại thì là lỗi.")
def unknown_id(lgsp: Lgsp) -> None:
    """A docId that does not exist is an error."""
    refused(lgsp.call("GET", "/v1/getEdoc?docId=khong-co"))


@book.rule("list.again", "Đã lấy nhưng chưa xác nhận thì còn được liệt kê.")
def listed_again(lgsp: Lgsp) -> None:
    """What was fetched and not acknowledged is listed again."""
    _, doc_id = lgsp.needs_letter()
    require(doc_id in lgsp.waiting(), "Đã biến mất chỉ vì đã lấy.", "It has gone because it was fetched.")


@book.rule("update.done", "updateStatus done: không còn trong danh sách; xác nhận lần nữa vẫn được.")
def done(lgsp: Lgsp) -> None:
    """After updateStatus done it is no longer listed, and doing it again succeeds."""
    _, doc_id = lgsp.needs_letter()
    succeeded(lgsp.update(doc_id, "done"))
    require(doc_id not in lgsp.waiting(), "Vẫn còn trong danh sách.", "It is still listed.")
    succeeded(lgsp.update(doc_id, "done"))


@book.rule("status", "Gói trạng thái gửi bằng messageType=status đến được nơi gửi văn bản.")
def status_package(lgsp: Lgsp) -> None:
    """A status package, sent with messageType=status, reaches the sender of the document."""
    letter, _ = lgsp.needs_letter()
    known = set(lgsp.waiting("status"))
    succeeded(lgsp.send(samples.a_report(letter, lgsp.receiver), kind="status"))
    new = set(lgsp.waiting("status")) - known
    require(
        any(b"StatusCode>03<" in lgsp.fetch(doc_id) for doc_id in new),
        "Trạng thái 03 vừa gửi không có trong danh sách trạng thái.",
        "The status 03 that was sent is not in the list of statuses.",
    )


@book.rule("tidy", "Văn bản kiểm thử của bộ này được lấy và xác nhận hết.")
def tidy(lgsp: Lgsp) -> None:
    """The kit's own test documents are fetched and acknowledged."""
    for kind in ("edoc", "status"):
        for doc_id in lgsp.waiting(kind):
            if f"/{samples.NOTATION}".encode() in lgsp.fetch(doc_id):
                succeeded(lgsp.update(doc_id, "done"))
