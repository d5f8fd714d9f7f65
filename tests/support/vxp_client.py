"""
The national kit's client as it behaves on the wire, written from its description (domain §2.1) and nothing of ours.

Bytes on a socket: headers in the order of a Java ``HashMap``, JSON as Gson writes it, a header map that is only ever
put into (so that earlier calls leak into later ones), one time stamp for the life of the object, an unpadded hash, a
CRLF behind the package, ``Expect: 100-continue``. Each habit can be changed, for the kits that do not have it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

PREFIX = "XroadVnpt-"
AGENT = "JAVASDKAgent/1.0.0 XRoad/VPCP"
_SECONDS = 90.0


# How Java orders and writes things


def java_hash(text: str) -> int:
    """``String.hashCode``, spread as ``HashMap`` does: unsigned 32 bits."""
    raw = text.encode("utf-16-be")
    value = 0
    for i in range(0, len(raw), 2):
        value = (31 * value + (raw[i] << 8 | raw[i + 1])) & 0xFFFFFFFF
    return value ^ (value >> 16)


def hash_map_order(names: Iterable[str]) -> list[str]:
    """The order in which a ``java.util.HashMap`` filled with these keys, in this order, lists them."""
    keys = list(dict.fromkeys(names))
    size = 16
    while len(keys) > size * 0.75:
        size *= 2
    # Within a bucket the order is that of insertion; growing the table keeps it.
    return sorted(keys, key=lambda key: java_hash(key) & (size - 1))


_GSON = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "=": "\\u003d", "'": "\\u0027"}


def gson(values: Mapping[str, str]) -> str:
    """A JSON object as ``new Gson().toJson(map)`` writes it: no spaces, letters of HTML escaped."""
    text = json.dumps(dict(values), ensure_ascii=False, separators=(",", ":"))
    return "".join(_GSON.get(letter, letter) for letter in text)


def unpadded_sha256(data: bytes) -> str:
    """SHA-256 as the kit writes it: ``Integer.toHexString`` of each byte, so that 0x0a is ``a``."""
    return "".join(f"{byte:x}" for byte in hashlib.sha256(data).digest())


def padded_sha256(data: bytes) -> str:
    """SHA-256 as everybody else writes it."""
    return hashlib.sha256(data).hexdigest()


def kit_time(at: datetime) -> str:
    """``ddMMyyyy'T'HHmmss+SSSS``; what looks like a zone is milliseconds."""
    return f"{at:%d%m%YT%H%M%S}+{at.microsecond // 1000:04}"


# What comes back


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer of the server."""

    status: int
    headers: Mapping[str, str]
    """Names in small letters."""
    body: bytes
    invited: bool = False
    """Whether ``100 Continue`` came before the body was sent."""

    def json(self) -> dict[str, Any]:
        """The body as the kit reads it: a JSON object in ASCII or UTF-8."""
        content = json.loads(self.body)
        assert isinstance(content, dict), content
        return content

    @property
    def ok(self) -> bool:
        """As the kit decides it: by the body alone."""
        content = self.json()
        return (content["status"], content["ErrorCode"]) == ("OK", "0")


def exchange(port: int, head: bytes, body: bytes, *, waits: bool = False) -> Reply:
    """
    One request on a connection of its own.

    :param waits: the body is held back until the server asks for it (``Expect: 100-continue``) or answers.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as connection:
        connection.sendall(head if waits else head + body)
        with connection.makefile("rb") as file:
            status, headers = _read_head(file)
            invited = status == 100
            if invited:
                if waits:
                    connection.sendall(body)
                status, headers = _read_head(file)
            return Reply(status=status, headers=headers, body=_read_body(file, headers), invited=invited)


def _read_head(file: Any) -> tuple[int, dict[str, str]]:
    line = file.readline()
    assert line.startswith(b"HTTP/1.1 "), line
    headers: dict[str, str] = {}
    while (field_line := file.readline()) not in (b"\r\n", b""):
        name, _, value = field_line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(line.split()[1]), headers


def _read_body(file: Any, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        length = headers.get("content-length")
        return bytes(file.read() if length is None else file.read(int(length)))
    body = b""
    while size := int(file.readline().partition(b";")[0], 16):
        body += file.read(size)
        file.readline()
    return body


def request_head(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """A request line and header lines, just so."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n"


# The client


@dataclass
class Kit:
    """
    One service object of the kit: not for two threads, and with a memory of every header that it ever set.

    The habits are fields; ``spoil`` changes the finished headers just before they are sent.
    """

    port: int
    system: str
    secret: str
    prefix: str = "/vxp"
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    pads: bool = False
    """Whether the hash is written with its zeros."""
    crlf: bool = True
    """Whether a line end follows the package."""
    hashes: bool = True
    expects: bool = False
    """Whether the body waits for ``100 Continue``."""
    forgets: bool = False
    """A kit of a better kind: every call has its own headers only."""
    lower_case: bool = False
    """Some proxies write all names small."""
    spoil: Callable[[dict[str, str]], None] | None = None
    _map: dict[str, str] = field(default_factory=dict)

    def call(
        self,
        path: str,
        logical: Mapping[str, str] | None = None,
        *,
        body: bytes = b"{}",
        method: str = "POST",
        content_type: str = "application/json",
    ) -> Reply:
        """One call with these logical headers."""
        headers = self.headers(logical or {}, content_type=content_type)
        headers |= {"Host": f"127.0.0.1:{self.port}", "Connection": "close", "User-Agent": AGENT}
        if method != "GET":
            headers["Content-Length"] = str(len(body))
        if self.expects:
            headers["Expect"] = "100-continue"
        if self.spoil is not None:
            self.spoil(headers)
        lines = [(n.lower() if self.lower_case else n, headers[n]) for n in hash_map_order(headers)]
        head = request_head(method, f"{self.prefix}{path}", lines)
        return exchange(self.port, head, b"" if method == "GET" else body, waits=self.expects)

    def headers(self, logical: Mapping[str, str], *, content_type: str) -> dict[str, str]:
        """The signed headers of a call, with all that earlier ones left behind."""
        if self.forgets:
            self._map.clear()
        self._map |= {"timestamp": kit_time(self.made_at), "systemid": self.system, "Content-Type": content_type}
        self._map |= logical
        order = hash_map_order(self._map)
        signed = gson({f"{PREFIX}{name}": self._map[name] for name in order})
        mac = hmac.new(self.secret.encode(), signed.encode("utf-8"), hashlib.sha256).hexdigest()
        return {
            **{f"{PREFIX}{name}": self._map[name] for name in order},
            f"{PREFIX}sign-header-key": ";".join(order),
            f"{PREFIX}sign-header": signed,
            f"{PREFIX}hash-header": mac,
            f"{PREFIX}version": "3.0.201608",
            "Content-Type": content_type,
        }

    # The calls of the kit

    def send(
        self,
        package: bytes,
        *,
        kind: str = "edoc",
        to: Iterable[str] | None = None,
        file_hash: str | None = None,
        sender: str | None = None,
    ) -> Reply:
        """sendEdoc: the raw package and a line end, called ``application/octet-stream``."""
        logical = {"from": sender or self.system, "servicetype": "eDoc", "messagetype": kind}
        if to is not None:
            logical["to"] = json.dumps(list(to))
        if file_hash is not None:
            logical["hash-file"] = file_hash
        elif self.hashes:
            logical["hash-file"] = padded_sha256(package) if self.pads else unpadded_sha256(package)
        body = package + b"\r\n" if self.crlf else package
        return self.call("/sendEdoc", logical, body=body, content_type="application/octet-stream")

    def received(self, kind: str = "edoc", **more: str) -> Reply:
        """getReceivedEdocList."""
        logical = {"servicetype": "eDoc", "messagetype": kind, **more}
        return self.call("/getReceivedEdocList", logical, body=b"")

    def sent(self, kind: str = "edoc", **more: str) -> Reply:
        """getSentEdocList."""
        return self.call("/getSentEdocList", {"servicetype": "eDoc", "messagetype": kind, **more}, body=b"")

    def fetch(self, doc_id: str, *, name: str = "docId") -> Reply:
        """getEdoc: the package as base64 within JSON; a path of the client's own machine goes along."""
        return self.call("/getEdoc", {name: doc_id, "filePath": "C:\\edoc\\store=1\\"})

    def fetched(self, doc_id: str) -> bytes:
        """The package itself."""
        reply = self.fetch(doc_id)
        assert reply.ok, reply.body
        return base64.b64decode(reply.json()["data"], validate=True)

    def download(self, doc_id: str) -> Reply:
        """downloadEdoc: the package as it is."""
        return self.call("/downloadEdoc", {"docId": doc_id, "filePath": "/var/edoc/"}, method="GET")

    def update(self, doc_id: str, status: str, *, name: str = "docId") -> Reply:
        """updateStatus."""
        return self.call("/updateStatus", {name: doc_id, "status": status})

    def count(self, call: str = "countReceiveEdoc", kind: str = "edoc") -> Reply:
        """countReceiveEdoc or countReceiveStatus."""
        return self.call(f"/{call}", {"servicetype": "eDoc", "messagetype": kind})

    def waiting(self, kind: str = "edoc") -> list[dict[str, Any]]:
        """What the list shows."""
        reply = self.received(kind)
        assert reply.ok, reply.body
        items = reply.json()["data"]
        assert isinstance(items, list)
        return items

    def waiting_ids(self, kind: str = "edoc") -> list[str]:
        """Their ``docId``."""
        return [item["docId"] for item in self.waiting(kind)]


# Other kits


@dataclass(frozen=True)
class Part:
    """One part of a real multipart body, as other kits send it."""

    name: str
    value: bytes
    filename: str | None = None
    content_type: str | None = None


def multipart(parts: Iterable[Part], boundary: str = "----WebKitFormBoundary7MA4YWxkTrZu0gW") -> tuple[str, bytes]:
    """``multipart/form-data``: its Content-Type and body."""
    body = b""
    for part in parts:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{part.name}"'
        head += f'; filename="{part.filename}"' if part.filename else ""
        head += f"\r\nContent-Type: {part.content_type}" if part.content_type else ""
        body += head.encode() + b"\r\n\r\n" + part.value + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


@dataclass
class LgspClient:
    """A client of the provincial axis (domain §2.2): token, two headers with every call, multipart to send."""

    port: int
    system: str
    secret: str
    prefix: str = "/lgsp"
    username: str | None = None
    password: str | None = None
    token: str | None = None

    def login(self, **changes: Any) -> Reply:
        """A new token; kept when one is given."""
        account = {
            "username": self.username or self.system,
            "password": self.password or self.secret,
            "applicationCode": "edoc",
            "otp": None,
            "twoFactorProvider": None,
            "typeObjs": [0, 1],
        } | changes
        body = json.dumps(account).encode()
        head = [("Host", "127.0.0.1"), ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        reply = self._say("POST", "/v1/auth/login?allow_anonymous=true", [*head, ("Connection", "close")], body)
        if reply.status == 200 and isinstance(reply.json().get("data"), dict):
            self.token = reply.json()["data"].get("token", self.token)
        return reply

    def call(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        content_type: str | None = None,
        leave_out: Iterable[str] = (),
        length: bool = True,
        **changes: str,
    ) -> Reply:
        """
        One call with the three headers that every call has.

        :param leave_out: of them, by name.
        :param length: False sends the body in chunks.
        :param changes: of their values, by name with ``_`` for ``-``.
        """
        own = {"Authorization": f"Bearer {self.token}", "X-SystemId": self.system, "X-SecretKey": self.secret}
        own |= {name.replace("_", "-"): value for name, value in changes.items()}
        lines = [(name, value) for name, value in own.items() if name not in set(leave_out)]
        lines += [("Host", f"127.0.0.1:{self.port}"), ("Connection", "close")]
        if content_type is not None:
            lines.append(("Content-Type", content_type))
        if method == "POST" and length:
            lines.append(("Content-Length", str(len(body))))
        elif method == "POST":
            lines.append(("Transfer-Encoding", "chunked"))
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        return self._say(method, target, lines, body)

    def _say(self, method: str, target: str, lines: Iterable[tuple[str, str]], body: bytes) -> Reply:
        return exchange(self.port, request_head(method, f"{self.prefix}{target}", lines), body)

    def send(self, package: bytes, *, kind: str = "edoc", length: bool = True) -> Reply:
        """sendEdoc."""
        content_type, body = multipart(
            [
                Part("edocFile", package, filename="07-SA-VP.edxml", content_type="application/xml"),
                Part("messageType", kind.encode()),
            ]
        )
        return self.call("POST", "/v1/sendEdoc", body, content_type=content_type, length=length)

    def listed(self, since: str, until: str, *, kind: str = "edoc") -> Reply:
        """syncReceivedEdocList; dates as ``yyyy/MM/dd``, the second one exclusive."""
        return self.call("GET", f"/v1/syncReceivedEdocList?messageType={kind}&fromDate={since}&toDate={until}")

    def fetch(self, doc_id: str) -> Reply:
        """getEdoc."""
        return self.call("GET", f"/v1/getEdoc?docId={doc_id}")

    def update(self, doc_id: str, status: str) -> Reply:
        """updateStatus."""
        body = json.dumps({"docId": doc_id, "status": status}).encode()
        return self.call("POST", "/v1/updateStatus", body, content_type="application/json")
