"""Plays the provincial axis to a client of it (domain §2.2)."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import date, datetime, timedelta
from typing import Any

from gateway.conformance.axis import PARTNER, SHARED, Axis, Item, Rejected
from gateway.conformance.server import Heard, Said, parts_of
from gateway.conformance.watch import Asked, Watch
from gateway.model import VIETNAM_TIME

RULES = (
    Asked("login", "Đăng nhập bằng JSON có username, password, applicationCode.",
          "Logs in by JSON with username, password, applicationCode."),
    Asked("login.shared", "Dùng lại token, không đăng nhập cho mỗi lời gọi.",
          "Uses its token again instead of logging in for each call."),
    Asked("login.renewed", "Token bị hủy (401): đăng nhập lại một lần rồi gọi tiếp.",
          "A token that was killed (401): logs in anew and goes on."),
    Asked("headers", "Mọi lời gọi có Authorization, X-SystemId và X-SecretKey đúng.",
          "Every call has Authorization, X-SystemId and X-SecretKey, and they are right."),
    Asked("send.form", "sendEdoc là multipart có edocFile và messageType.",
          "sendEdoc is multipart with edocFile and messageType."),
    Asked("send.length", "sendEdoc có Content-Length, không chia chunk.", "sendEdoc has a Content-Length."),
    Asked("list.window", "fromDate, toDate dạng yyyy/MM/dd, không quá 7 ngày.",
          "fromDate and toDate are yyyy/MM/dd, at most 7 days apart."),
    Asked("list.exclusive", "toDate không tính: cửa sổ không rỗng, và có cửa sổ đến sau hôm nay.",
          "toDate is exclusive: no window is empty, and one ends after today."),
    *SHARED,
)  # fmt: skip

_MOST_LOGINS = 5
"""For each ten calls: a client that logs in more often does not keep its token."""
_MOST_PAST = 60
"""Windows of the past in a row before one that holds today: a year's worth of weeks."""
_KILLED_AT = 4
"""At this call the token is killed once, as another login would."""


class LgspStand:
    """The axis for one system."""

    def __init__(self, axis: Axis, watch: Watch, *, system: str, secret: str, username: str, password: str) -> None:
        self._axis = axis
        self._watch = watch
        self._proof = (system, secret)
        self._account = (username, password)
        self._token: str | None = None
        self._logins = 0
        self._calls = 0
        self._past_windows = 0
        self._killed = not axis.faults

    def answer(self, heard: Heard) -> Said:
        """
        One call, at whatever prefix.

        :raises AnswerLost: the connection is to be closed without an answer.
        """
        name = heard.path.rstrip("/").rpartition("/")[2]
        if name == "login":
            return self._login(heard)
        call = {"sendEdoc": self._send, "syncReceivedEdocList": self._list, "getEdoc": self._get,
                "updateStatus": self._update}.get(name)  # fmt: skip
        if call is None:
            return _failed(404, 20, f"Khong co loi goi {name[:40]!a}")
        self._calls += 1
        if not self._killed and self._calls == _KILLED_AT:
            self._killed, self._token = True, None
        try:
            denied = self._denied(heard)
            return denied or call(heard)
        except Rejected as e:
            return _failed(200, e.number, e.words)

    def _login(self, heard: Heard) -> Said:
        account = _object(heard.body)
        complete = all(isinstance(account.get(n), str) for n in ("username", "password", "applicationCode"))
        self._watch.judge("login", complete, f"Đăng nhập có: {', '.join(account)}.",
                          f"The login has: {', '.join(account)}.")  # fmt: skip
        if (account.get("username"), account.get("password")) != self._account:
            return _failed(401, 401, "Sai ten dang nhap hoac mat khau")
        self._logins += 1
        self._token = secrets.token_urlsafe(24)
        return _good({"token": self._token})

    def _denied(self, heard: Heard) -> Said | None:
        """The refusal of a call whose three headers are not right."""
        system, secret = self._proof
        given = (heard.headers.get("x-systemid"), heard.headers.get("x-secretkey"))
        if not self._watch.judge("headers", given == self._proof,
                                 f"{heard.path}: X-SystemId hoặc X-SecretKey thiếu hay sai.",
                                 f"{heard.path}: X-SystemId or X-SecretKey is missing or wrong."):  # fmt: skip
            return _failed(200, 15, f"Sai SystemId hoac SecretKey, phai la {system!a}")
        del secret
        if self._token is None or heard.headers.get("authorization") != f"Bearer {self._token}":
            return _failed(401, 401, "Token khong hop le")
        if self._axis.faults and self._killed and self._logins > 1:
            self._watch.keeps("login.renewed")
        if self._calls >= 10:
            often = self._logins * 10 > self._calls * _MOST_LOGINS
            self._watch.judge("login.shared", not often, f"{self._logins} lần đăng nhập cho {self._calls} lời gọi.",
                              f"{self._logins} logins for {self._calls} calls.")  # fmt: skip
        return None

    def _send(self, heard: Heard) -> Said:
        if not self._watch.judge("send.length", not heard.chunked, "Thân bài chia chunk.", "The body is chunked."):
            return _failed(411, 20, "Unexpected end of Stream")
        fields = parts_of(heard)
        complete = "edocFile" in fields and "messageType" in fields
        self._watch.judge("send.form", complete, f"Biểu mẫu có: {', '.join(fields) or '–'}.",
                          f"The form has: {', '.join(fields) or '–'}.")  # fmt: skip
        if "edocFile" not in fields:
            raise Rejected(10, "Khong co edocFile")
        kind = fields.get("messageType", b"").decode("utf-8", "replace").strip()
        return _good({"docId": self._axis.take(fields["edocFile"], kind)})

    def _list(self, heard: Heard) -> Said:
        since, until = (_day(heard.query.get(name, "")) for name in ("fromDate", "toDate"))
        asked = f"{heard.query.get('fromDate')} – {heard.query.get('toDate')}"
        right = since is not None and until is not None and until - since <= timedelta(days=7)
        if not self._watch.judge("list.window", right, asked, asked) or since is None or until is None:
            raise Rejected(20, "Khoang ngay khong hop le")
        self._judge_end(since, until, asked)
        items = self._axis.waiting(heard.query.get("messageType", ""))
        if items is None:
            return Said(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html")
        days = {i.id: i.made_at.astimezone(VIETNAM_TIME).date() for i in items}
        return _good([_item(i, self._axis.agency) for i in items if since <= days[i.id] < until])

    def _judge_end(self, since: date, until: date, asked: str) -> None:
        """Windows of the past are good, too; but one that has no day, or never one of today, misses documents."""
        if until > datetime.now(VIETNAM_TIME).date():
            self._watch.keeps("list.exclusive")
            return
        self._past_windows += 1
        if since == until or (self._past_windows > _MOST_PAST and self._watch.is_open("list.exclusive")):
            self._watch.breaks("list.exclusive", asked, asked)

    def _get(self, heard: Heard) -> Said:
        package = self._axis.fetch(heard.query.get("docId", ""))
        return _good({"data": base64.b64encode(package).decode()})

    def _update(self, heard: Heard) -> Said:
        wanted = _object(heard.body)
        self._axis.update(str(wanted.get("docId", "")), str(wanted.get("status", "")))
        return _good(None)


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y/%m/%d").replace(tzinfo=VIETNAM_TIME).date()
    except ValueError:
        return None


def _good(data: object) -> Said:
    return Said.json(200, {"code": 200, "message": "Thanh cong", "data": data, "errorDetail": []})


def _failed(status: int, number: int, words: str) -> Said:
    content = {"code": number, "message": words, "data": None, "errorDetail": [{"exception": words}]}
    return Said.json(status, content)


def _item(item: Item, agency: str) -> dict[str, str]:
    at = f"{item.made_at.astimezone(VIETNAM_TIME):%Y/%m/%d %H:%M:%S}"
    return {"docId": item.id, "messageType": item.kind, "from": PARTNER, "to": agency, "createdTime": at,
            "status": item.state}  # fmt: skip
