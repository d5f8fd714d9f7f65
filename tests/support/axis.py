"""
An axis on the loopback that speaks VXP or LGSP, written from the rules of the trade (domain §2); it fails as told.

It is strict where a real one may be: signatures, hashes and tokens are checked, its inbox lists until a docId is
acknowledged, and what it was sent stands in its sent list, one row per recipient. ``faults`` holds what goes wrong
with the next calls of a name; ``calls`` what was called.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import re
import secrets
import sys
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SYSTEM = "000.00.00.H37"
SECRET = "secret-of-the-axis"
LGSP_SECRET = json.dumps({"username": "h37", "password": "p4ssw0rd", "application_code": "EDOC", "secret_key": SECRET})
"""What the gateway's settings hold for the LGSP account."""


@dataclass(frozen=True)
class Fault:
    """What happens to one call instead of its usual answer."""

    status: int = 200
    body: bytes | None = None
    """``None``: the usual answer."""
    media_type: str = "text/html"
    takes_effect: bool = False
    """Whether the call does what it should before the answer goes wrong."""
    drops: bool = False
    """The connection ends without an answer."""
    until: threading.Event | None = None
    """Answered only when this is set."""
    headers: tuple[tuple[str, str], ...] = ()


PROXY_PAGE = Fault(502, b"<html><body>502 Bad Gateway</body></html>")
LOGIN_PAGE = Fault(200, b"<html>Please log in</html>")
EMPTY = Fault(200, b"")
CUT = Fault(200, b'{"status":"OK","ErrorCode":"0","data":[{"docId":"a', "application/json")
NO_CODE = Fault(200, b"{}", "application/json")
ANSWER_LOST = Fault(takes_effect=True, drops=True)
"""Stored, and nobody is told."""
DROPPED = Fault(drops=True)


def says(code: str, *, status: int = 200, description: str = "Loi", **more: Any) -> Fault:
    """The envelope of VXP with an error code."""
    content = {"status": "OK" if code == "0" else "FAIL", "ErrorCode": code, "ErrorDesc": description, **more}
    return Fault(status, json.dumps(content).encode(), "application/json")


def lgsp_says(code: int, *, status: int = 200, **more: Any) -> Fault:
    """The real envelope of LGSP with a code."""
    content = {"code": code, "message": "x", "data": None, **more}
    return Fault(status, json.dumps(content).encode(), "application/json")


@dataclass(frozen=True)
class Call:
    """One call as it arrived."""

    name: str
    """Last part of the path: ``sendEdoc``."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    query: dict[str, str]

    def logical(self, name: str) -> str | None:
        """One of the kit's headers."""
        return self.headers.get(f"xroadvnpt-{name}".lower())


@dataclass
class Waiting:
    """One delivery in the axis' inbox."""

    kind: str
    content: bytes
    status: str = "initial"


@dataclass
class FakeAxis:
    """The axis' memory and orders."""

    url: str = ""
    secrets: set[str] = field(default_factory=lambda: {SECRET})
    system: str = SYSTEM
    inbox: dict[str, Waiting] = field(default_factory=dict)
    """By docId."""
    sent: list[dict[str, Any]] = field(default_factory=list)
    """Rows of the sent list."""
    packages: list[bytes] = field(default_factory=list)
    """What was posted and took effect."""
    calls: list[Call] = field(default_factory=list)
    faults: defaultdict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    """By name of the call, to the next ones."""
    rule: Callable[[Call], Fault | None] | None = None
    heeds_to: bool = True
    """False: it delivers to all whom the package names (``everybody``), whatever ``to`` says."""
    everybody: list[str] = field(default_factory=list)
    created: dict[str, str] = field(default_factory=dict)
    """``created_time`` in the list, by docId."""
    never_shrinks: bool = False
    """Lists what was acknowledged as well."""
    documented: bool = False
    """LGSP: answers in the documented shape."""
    escapes: bool = False
    """Writes ``=`` and ``/`` within JSON as Gson does, and breaks lines."""
    tokens: list[str] = field(default_factory=list)
    """LGSP: the last one is the only valid one."""
    data: dict[str, Any] = field(default_factory=dict)
    """Answers of the catalogue's calls, by name."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def put(self, doc_id: str, content: bytes, *, kind: str = "edoc") -> None:
        """Something arrives for the system."""
        with self.lock:
            self.inbox[doc_id] = Waiting(kind, content)

    def named(self, *names: str) -> list[Call]:
        """The calls of these names so far."""
        with self.lock:
            return [call for call in self.calls if call.name in names]

    def names(self) -> list[str]:
        """What was called, in order."""
        with self.lock:
            return [call.name for call in self.calls]

    def count(self, name: str) -> int:
        """How often it was called."""
        return Counter(self.names())[name]

    def statuses(self) -> dict[str, str]:
        """docId → transport status."""
        with self.lock:
            return {doc_id: waiting.status for doc_id, waiting in self.inbox.items()}

    # What the calls do; each returns the answer's JSON

    def serve(self, call: Call) -> dict[str, Any]:
        with self.lock:
            return self._lgsp(call) if call.headers.get("x-lgsp") else self._vxp(call)

    def _vxp(self, call: Call) -> dict[str, Any]:  # noqa: PLR0911 # one for each call of the protocol
        wrong = self._signature_fault(call)
        if wrong:
            return _vxp_fail("15", wrong)
        match call.name:
            case "sendEdoc":
                return self._send(call)
            case "getReceivedEdocList":
                rows = [{"docId": i, "serviceType": "eDoc", "messageType": w.kind, "status": w.status,
                         **({"created_time": self.created[i]} if i in self.created else {})}
                        for i, w in self._listed(call.logical("messagetype") or "")]  # fmt: skip
                return _vxp_ok(data=rows)
            case "getSentEdocList":
                kind = call.logical("messagetype")
                return _vxp_ok(data=[row for row in self.sent if row["messageType"] == kind])
            case "getEdoc":
                found = self.inbox.get(call.logical("docId") or "")
                return _vxp_ok(data=base64.b64encode(found.content).decode()) if found else _vxp_fail("21", "khong co")
            case "updateStatus":
                found = self.inbox.get(call.logical("docId") or "")
                if found is None:
                    return _vxp_fail("10", "khong co docId")
                found.status = call.logical("status") or ""
                return _vxp_ok()
            case "countReceiveEdoc":
                return _vxp_ok(count=len(self._listed("edoc")))
            case name if name in self.data:
                return _vxp_ok(data=self.data[name])
            case _:
                return _vxp_fail("20", "khong ho tro")

    def _listed(self, kind: str) -> list[tuple[str, Waiting]]:
        gone = set() if self.never_shrinks else {"done"}
        return [(i, w) for i, w in self.inbox.items() if w.kind == kind and w.status not in gone]

    def _signature_fault(self, call: Call) -> str | None:
        """Domain §2.1: the HMAC over the string received, then equality with the single headers."""
        signed = call.headers.get("xroadvnpt-sign-header", "")
        given = call.headers.get("xroadvnpt-hash-header", "")
        good = {hmac.new(s.encode(), signed.encode(), hashlib.sha256).hexdigest() for s in self.secrets}
        if given not in good:
            return "sai chu ky"
        values = {name.lower(): value for name, value in json.loads(signed).items()}
        for name, value in values.items():
            if call.headers.get(name) != value:
                return f"khong khop {name}"
        names = [name.lower() for name in call.headers["xroadvnpt-sign-header-key"].split(";")]
        if {f"xroadvnpt-{name}" for name in names} != set(values) or call.logical("systemid") != self.system:
            return "sai danh sach"
        return None

    def _send(self, call: Call) -> dict[str, Any]:
        content = call.body.removesuffix(b"\r\n")
        digest = hashlib.sha256(content).digest()
        if call.logical("hash-file") != "".join(f"{byte:x}" for byte in digest):
            return _vxp_fail("10", "sai hash-file")
        doc_id = self._stored(content, call.logical("messagetype") or "", json.loads(call.logical("to") or "[]"))
        return _vxp_ok(DocId=doc_id)

    def _stored(self, content: bytes, kind: str, to: list[str]) -> str:
        self.packages.append(content)
        doc_id = secrets.token_hex(12)
        for code in to if self.heeds_to else self.everybody:
            self.sent.append(
                {
                    "messageType": kind,
                    "receiverDocId": secrets.token_hex(12),
                    "senderDocId": doc_id,
                    "fromCode": _first(content, "From", "OrganId"),
                    "toCode": code,
                    "title": _first(content, "Subject"),
                    "notation": "/".join((_first(content, "CodeNumber"), _first(content, "CodeNotation"))),
                    "sentTime": "2026-03-02 12:00:00",
                }
            )
        return doc_id

    def _lgsp(self, call: Call) -> dict[str, Any]:  # noqa: PLR0911 # one for each call of the protocol
        if call.name == "login":
            given = json.loads(call.body)
            if (given["username"], given["password"]) != ("h37", "p4ssw0rd"):
                return {"code": 15, "message": "sai", "data": None}
            self.tokens.append(secrets.token_hex(8))
            return {"code": 200, "message": "OK", "data": {"token": self.tokens[-1]}}
        if call.headers.get("x-systemid") != self.system or call.headers.get("x-secretkey") not in self.secrets:
            return self._lgsp_answer(None, code=15)
        match call.name:
            case "sendEdoc":
                fields = _form(call)
                doc_id = self._stored(fields["edocFile"], fields["messageType"].decode(), [])
                return self._lgsp_answer({"docId": doc_id})
            case "syncReceivedEdocList":
                rows = [{"docId": i, "messageType": w.kind} for i, w in self._listed(call.query["messageType"])]
                return self._lgsp_answer(rows)
            case "getEdoc":
                found = self.inbox.get(call.query["docId"])
                if found is None:
                    return self._lgsp_answer(None, code=21)
                return self._lgsp_answer({"data": base64.b64encode(found.content).decode()})
            case "updateStatus":
                asked = json.loads(call.body)
                self.inbox[asked["docId"]].status = asked["status"]
                return self._lgsp_answer({})
            case _:
                return self._lgsp_answer(None, code=20)

    def _lgsp_answer(self, data: Any, code: int = 200) -> dict[str, Any]:
        if self.documented and isinstance(data, dict | None):
            inner = {**(data or {}), "errorCode": "0" if code == 200 else str(code), "errorDesc": ""}
            return {"success": code == 200, "message": "", "docId": (data or {}).get("docId"), "data": inner}
        return {"code": code, "message": "", "data": data, "errorDetail": []}


def _vxp_ok(**more: Any) -> dict[str, Any]:
    return {"status": "OK", "ErrorCode": "0", "ErrorDesc": "Thanh cong", **more}


def _vxp_fail(code: str, description: str) -> dict[str, Any]:
    return {"status": "FAIL", "ErrorCode": code, "ErrorDesc": description}


def _first(content: bytes, *path: str) -> str:
    """The text of the first element of that name, within the first of the names before."""
    text = content.decode("utf-8", "replace")
    for name in path[:-1]:
        text = text.partition(f":{name}>")[2]
    found = re.search(rf":{path[-1]}>([^<]*)<", text)
    return found[1] if found else ""


def _form(call: Call) -> dict[str, bytes]:
    head = f"Content-Type: {call.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + call.body)
    parts = list(message.iter_parts())  # type: ignore[attr-defined] # the policy makes EmailMessages
    return {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in parts}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        headers = {k.lower(): v for k, v in self.headers.items()}
        if "/v1/" in parts.path:
            headers["x-lgsp"] = "yes"
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        call = Call(parts.path.rpartition("/")[2], headers, body, query)
        axis = self.server.axis
        with axis.lock:
            axis.calls.append(call)
            fault = axis.rule(call) if axis.rule else None
            if fault is None and axis.faults[call.name]:
                fault = axis.faults[call.name].popleft()
        if fault is None and call.headers.get("x-lgsp") and call.name != "login" and not self._has_token(call):
            fault = Fault(401, b"", "text/plain")
        answer = (
            axis.serve(call) if fault is None or fault.takes_effect or (fault.body is None and not fault.drops) else {}
        )
        if fault is not None and fault.until is not None:
            fault.until.wait(30)
        if fault is not None and fault.drops:
            self.close_connection = True
            return
        content = json.dumps(answer).encode() if fault is None or fault.body is None else fault.body
        if axis.escapes:
            content = content.replace(b"=", b"\\u003d").replace(b"/", b"\\/")
        self.send_response(200 if fault is None else fault.status)
        self.send_header(
            "Content-Type", "application/json" if fault is None or fault.body is None else fault.media_type
        )
        self.send_header("Content-Length", str(len(content)))
        for name, value in fault.headers if fault else ():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(content)

    def _has_token(self, call: Call) -> bool:
        tokens = self.server.axis.tokens
        return bool(tokens) and call.headers.get("authorization") == f"Bearer {tokens[-1]}"

    def log_message(self, *args: object) -> None:
        """Tests read ``calls`` instead."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, axis: FakeAxis) -> None:
        self.axis = axis
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A broken connection is what the tests are about; anything else is a fault of the test."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type] # the base class types sockets only


@contextlib.contextmanager
def an_axis() -> Iterator[FakeAxis]:
    """An axis on a free loopback port until the block ends."""
    axis = FakeAxis()
    server = _Server(axis)
    axis.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield axis
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
