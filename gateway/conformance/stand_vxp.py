"""Plays the national axis to a client of its kit (domain §2.1)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from gateway.conformance.axis import PARTNER, SHARED, Axis, Item, Rejected, Sent
from gateway.conformance.server import Heard, Said, file_of
from gateway.conformance.watch import Asked, Watch
from gateway.model import VIETNAM_TIME

_PREFIX = "xroadvnpt-"

RULES = (
    Asked("signature", "Mọi lời gọi có sign-header và HMAC-SHA256 đúng (hash-header).",
          "Every call has its sign-header and the right HMAC-SHA256 (hash-header)."),
    Asked("signature.system", "systemid là của hệ thống này.", "systemid is that of this system."),
    Asked("signature.headers", "Header mà lời gọi dùng bằng đúng giá trị đã ký.",
          "Headers that a call uses are equal to the signed values."),
    Asked("hash-file", "hash-file là SHA-256 của gói tin (có hoặc không có số 0, có hoặc không tính CRLF).",
          "hash-file is the package's SHA-256 (padded or not, with or without the line end)."),
    *SHARED,
)  # fmt: skip

_USES: Mapping[str, tuple[str, ...]] = {
    "sendEdoc": ("messagetype", "hash-file"),
    "getReceivedEdocList": ("messagetype",),
    "getSentEdocList": ("messagetype",),
    "getEdoc": ("docid",),
    "downloadEdoc": ("docid",),
    "updateStatus": ("docid", "status"),
    "countReceiveEdoc": ("messagetype",),
    "countReceiveStatus": ("messagetype",),
}
"""Call → the logical headers that it uses, in small letters; ``docId`` is written in two ways."""


class VxpStand:
    """The axis for one system."""

    def __init__(self, axis: Axis, watch: Watch, *, system: str, secret: str) -> None:
        self._axis = axis
        self._watch = watch
        self._system = system
        self._secret = secret.encode()
        self._calls: Mapping[str, Callable[[Heard, Mapping[str, str]], Said]] = {
            "sendEdoc": self._send,
            "getReceivedEdocList": self._received,
            "getSentEdocList": self._sent,
            "getEdoc": self._get,
            "downloadEdoc": self._download,
            "updateStatus": self._update,
            "countReceiveEdoc": self._count,
            "countReceiveStatus": self._count,
            "getAgenciesList": self._agencies,
            "getAgenciesListQD20": self._agencies,
            "getSynchronizeUnit": self._agencies,
            "registerAgency": self._nothing,
            "deleteAgency": self._nothing,
        }

    def answer(self, heard: Heard) -> Said:
        """
        One call, at whatever prefix.

        :raises AnswerLost: the connection is to be closed without an answer.
        """
        name = heard.path.rstrip("/").rpartition("/")[2]
        call = self._calls.get(name)
        if call is None:
            return _failed(20, f"Khong co loi goi {name[:40]!a}", status=404)
        try:
            return call(heard, self._signed(heard, _USES.get(name, ())))
        except Rejected as e:
            return _failed(e.number, e.words)

    def _signed(self, heard: Heard, used: tuple[str, ...]) -> Mapping[str, str]:
        """
        The logical headers that the client has signed, by name as it wrote them.

        :raises Rejected: it has not, or with another secret.
        """
        text = heard.headers.get(f"{_PREFIX}sign-header", "")
        mac = hmac.new(self._secret, text.encode("utf-8"), hashlib.sha256).hexdigest()
        given = heard.headers.get(f"{_PREFIX}hash-header", "")
        values = _object(text)
        right = bool(text) and hmac.compare_digest(mac.encode(), given.encode()) and values is not None
        if not self._watch.judge("signature", right, *_why_unsigned(heard, text, given)) or values is None:
            raise Rejected(15, "Sai systemid hoac khoa bi mat")
        signed = {name[len(_PREFIX) :]: str(value) for name, value in values.items()}
        system = signed.get("systemid", "")
        if not self._watch.judge("signature.system", system == self._system, f"systemid là {system!r}.",
                                 f"systemid is {system!r}."):  # fmt: skip
            raise Rejected(15, "Sai systemid hoac khoa bi mat")
        differing = [name for name in ("systemid", *used) if not _agree(heard, signed, name)]
        if not self._watch.judge("signature.headers", not differing, f"Khác giá trị đã ký: {', '.join(differing)}.",
                                 f"Other than signed: {', '.join(differing)}."):  # fmt: skip
            raise Rejected(15, "Header khac gia tri da ky")
        return signed

    # Calls

    def _send(self, heard: Heard, signed: Mapping[str, str]) -> Said:
        package = file_of(heard, ("file_doc", "file"))
        bare = package[:-2] if package.endswith(b"\r\n") else package
        given = signed.get("hash-file")
        if given is not None:
            hashes = {form(data) for data in (package, bare) for form in (_padded, _unpadded)}
            if not self._watch.judge("hash-file", given.lower() in hashes, f"hash-file là {given}.",
                                     f"hash-file is {given}."):  # fmt: skip
                raise Rejected(10, "hash-file khong khop goi tin")
        doc_id = self._axis.take(bare, signed.get("messagetype", ""))
        return _good(DocId=doc_id)

    def _received(self, _: Heard, signed: Mapping[str, str]) -> Said:
        items = self._axis.waiting(signed.get("messagetype", ""))
        if items is None:
            return Said(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html")
        return _good(data=[_item(item, self._axis.agency) for item in items])

    def _sent(self, _: Heard, signed: Mapping[str, str]) -> Said:
        self._axis.looked_up()
        kind = signed.get("messagetype", "edoc")
        return _good(data=[_sent_row(s) for s in self._axis.sent.values() if s.kind == kind])

    def _get(self, _: Heard, signed: Mapping[str, str]) -> Said:
        return _good(data=base64.b64encode(self._axis.fetch(_doc_id(signed, "docId", "docid"))).decode())

    def _download(self, _: Heard, signed: Mapping[str, str]) -> Said:
        return Said(200, self._axis.fetch(_doc_id(signed, "docId", "docid")), "application/octet-stream")

    def _update(self, _: Heard, signed: Mapping[str, str]) -> Said:
        self._axis.update(_doc_id(signed, "docid", "docId"), signed.get("status", ""))
        return _good()

    def _count(self, _: Heard, signed: Mapping[str, str]) -> Said:
        kind = signed.get("messagetype", "edoc")
        waiting = [i for i in self._axis.items.values() if i.kind == kind and i.state != "done"]
        return _good(count=len(waiting))

    def _agencies(self, _: Heard, signed: Mapping[str, str]) -> Said:
        del signed  # the catalogue of the kit has one level
        rows = [
            {"id": str(n), "pid": "", "code": code, "name": f"Cơ quan thử {code}", "mail": "", "oldCode": code,
             "code102": code, "version": 1, "centerCode": "00.99.W00", "deleted": False,
             "modifyDate": "2026-01-01 00:00:00", "isAgency": True}
            for n, code in enumerate((PARTNER, self._axis.agency), 1)
        ]  # fmt: skip
        return _good(data=rows)

    def _nothing(self, _: Heard, signed: Mapping[str, str]) -> Said:
        del signed
        return _good()


def _agree(heard: Heard, signed: Mapping[str, str], name: str) -> bool:
    """Whether the single headers of a name, in whatever spellings, say what was signed."""
    single = sorted(value for key, value in heard.lines if key.lower() == f"{_PREFIX}{name}")
    return single == sorted(value for key, value in signed.items() if key.lower() == name)


def _doc_id(signed: Mapping[str, str], *spellings: str) -> str:
    """The document that is meant: with both spellings in one request, one is left over from another call."""
    return next((signed[name] for name in spellings if name in signed), "")


def _object(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _why_unsigned(heard: Heard, text: str, given: str) -> tuple[str, str]:
    name = heard.path
    if not text or not given:
        return f"{name}: thiếu sign-header hoặc hash-header.", f"{name}: sign-header or hash-header is missing."
    return (
        f"{name}: hash-header không phải HMAC-SHA256 của chuỗi sign-header với khóa này.",
        f"{name}: hash-header is not the HMAC-SHA256 of the string in sign-header under this secret.",
    )


def _good(**more: object) -> Said:
    return Said.json(200, {"status": "OK", "ErrorCode": "0", "ErrorDesc": "Thanh cong", **more})


def _failed(number: int, words: str, *, status: int = 200) -> Said:
    return Said.json(status, {"status": "FAIL", "ErrorCode": str(number), "ErrorDesc": words})


def _padded(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _unpadded(data: bytes) -> str:
    return "".join(f"{byte:x}" for byte in hashlib.sha256(data).digest())


def _item(item: Item, agency: str) -> dict[str, str]:
    at = f"{item.made_at.astimezone(VIETNAM_TIME):%Y/%m/%d %H:%M:%S}"
    return {
        "docId": item.id, "serviceType": "eDoc", "messageType": item.kind, "created_time": at, "updated_time": at,
        "from": PARTNER, "to": agency, "status": item.state, "status_desc": "Cho xu ly",
    }  # fmt: skip


def _sent_row(sent: Sent) -> dict[str, str]:
    envelope = sent.seen.envelope
    at = f"{sent.at.astimezone(VIETNAM_TIME):%Y/%m/%d %H:%M:%S}"
    notation = "/".join(filter(None, (envelope.number.number, envelope.number.notation)))
    return {
        "serviceType": "eDoc", "messageType": sent.kind, "receiverDocId": sent.id, "senderDocId": sent.id,
        "fromCode": envelope.sender.code, "toCode": PARTNER, "title": envelope.subject or "", "notation": notation,
        "sentTime": at, "receivedTime": at, "sendStatus": "done", "sendStatusDesc": "Da gui",
        "receiveStatus": "done", "receiveStatusDesc": "Da nhan",
    }  # fmt: skip
