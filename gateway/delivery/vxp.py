"""
The national axis as its kit speaks with it: all parameters in headers, signed by an HMAC (domain §2.1).

What the kit does wrong is not repeated: the timestamp is that of the request, no header of an earlier call
comes along, and an answer counts only when status, JSON and error code say so. What the other side was built
around is: the body is followed by CRLF, and the hash in the header is written as the kit writes it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from gateway.delivery.axis import (
    LISTED,
    Inbox,
    Outgoing,
    Readable,
    beginning,
    framed,
    json_of,
    listed,
    lost,
    refusal,
    rows_of,
)
from gateway.delivery.http import Answer, HttpClient, spool_file
from gateway.delivery.unwrap import Decoded, split
from gateway.errors import (
    AxisDown,
    AxisPackageUnusable,
    EndpointMisconfigured,
    PeerFailed,
    PeerRefused,
    PeerUnreachable,
)
from gateway.model import VIETNAM_TIME, AgencyCode, BusinessType, PackageKind, normal_key

PREFIX = "XroadVnpt-"
_ALWAYS = MappingProxyType({"XroadVnpt-version": "3.0.201608", "User-Agent": "JAVASDKAgent/1.0.0 XRoad/VPCP"})
_BINARY = "application/octet-stream"
_JSON = "application/json"
_DONE = "0"
_CATALOGUE = 512 * 1024 * 1024
"""Bytes of a catalogue; that of the country has about 30 MB."""
_SLACK = timedelta(days=1)
"""How far the axis' clock may be behind ours when sent documents are looked for."""
_BUSY = (429, 500, 502, 503, 504)
"""Statuses that say nothing of whether there is such a list, whatever the code beside them."""
_PAGE = 500
_PAGES = 20


def signed_headers(logical: Mapping[str, str], *, system: str, secret: str, at: datetime) -> dict[str, str]:
    """
    The headers of one call.

    :param logical: names without prefix; ASCII values.
    :param at: of the call, aware; written in Vietnam time.

    Source: domain §2.1; the last four digits of the timestamp are milliseconds, not a zone.
    """
    local = at.astimezone(VIETNAM_TIME)
    stamp = f"{local:%d%m%YT%H%M%S}+{local.microsecond // 1000:04d}"
    values = {"timestamp": stamp, "systemid": system, **logical}
    single = {PREFIX + name: value for name, value in values.items()}
    signed = json.dumps(single, separators=(",", ":"))
    return {
        **single,
        f"{PREFIX}sign-header-key": ";".join(values),
        f"{PREFIX}sign-header": signed,
        f"{PREFIX}hash-header": hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest(),
        **_ALWAYS,
        "Content-Type": values["Content-Type"],
    }


def kit_hash(sha256: str) -> str:
    """A SHA-256 as the kit writes it: each byte in hex without a leading zero, so 50 to 64 characters."""
    return "".join(f"{byte:x}" for byte in bytes.fromhex(sha256))


@dataclass(frozen=True, kw_only=True)
class VxpAxis:
    """One axis that speaks VXP, as one system sees it; the contract of the methods is in ``axis.Axis``."""

    http: HttpClient
    url: str
    """Base URL; the names of the calls are added."""
    system: str
    secret: str = field(repr=False)

    @property
    def lists_until_acknowledged(self) -> bool:
        """Until it is told ``done``."""
        return True

    # Sending

    def send(self, outgoing: Outgoing, *, now: datetime) -> str:
        """Post the package; ``DocId`` is the axis' proof that it has it."""
        body, size = framed(b"", outgoing.body, b"\r\n")
        logical = {
            "Content-Type": _BINARY,
            "from": self.system,
            "to": json.dumps(list(outgoing.recipients)),
            **_kind(outgoing.document.kind),
            "hash-file": kit_hash(outgoing.sha256),
        }
        headers = signed_headers(logical, system=self.system, secret=self.secret, at=now)
        try:
            answer = self.http.request("POST", self._url("sendEdoc"), headers=headers, body=body, size=size)
        except PeerUnreachable as e:
            raise lost(e) from e
        content = self._checked(answer, attempt=outgoing.attempt, now=now)
        doc_id = content.get("DocId")
        if not isinstance(doc_id, str) or not doc_id:
            raise AxisDown(f"HTTP {answer.status} and success, without a DocId.")
        return json.dumps({"protocol": "vxp", "docId": doc_id[:200]})

    def already_sent(self, outgoing: Outgoing, *, now: datetime) -> Mapping[AgencyCode, str]:
        """
        Look for an earlier try in the list of what was sent.

        Only new documents are looked for: a recall has the DocumentId of the document that it recalls, and the
        statuses on a document have no name of their own, so that another one would be taken for it. Those are
        sent again, and known again by their bytes or their content.
        """
        document = outgoing.document
        if document.kind is not PackageKind.DOCUMENT or document.business_type is not BusinessType.NEW:
            return {}
        wanted = {normal_key(code).upper(): code for code in outgoing.recipients}
        found: dict[AgencyCode, str] = {}
        try:
            rows = list(self._sent(outgoing, now))
        except (PeerRefused, PeerFailed, EndpointMisconfigured):
            # This axis has no such list for us. If it is the credential, sending will say so.
            return {}
        for row in rows:
            recipient = wanted.get(_text(row, "toCode").upper())
            if recipient is not None and _is_of(row, outgoing):
                doc_id = _text(row, "receiverDocId") or _text(row, "docId") or _text(row, "senderDocId")
                receipt = {"protocol": "vxp", "docId": doc_id[:200], "found": "getSentEdocList"}
                found.setdefault(recipient, json.dumps(receipt))
        return found

    def _sent(self, outgoing: Outgoing, now: datetime) -> Iterator[Mapping[str, Any]]:
        """
        What this system has sent since the gateway accepted the document.

        Page by page, until one brings nothing new: whether an axis heeds dates and pages is not known.
        """
        seen: set[str] = set()
        for page in range(1, _PAGES + 1):
            logical = {
                "Content-Type": _JSON,
                **_kind(outgoing.document.kind),
                "fromDate": _day(outgoing.since - _SLACK),
                "toDate": _day(now + _SLACK),
                "pageSize": str(_PAGE),
                "pageIndex": str(page),
            }
            answer = self._answer("getSentEdocList", logical, now=now)
            if answer.status in _BUSY:
                raise AxisDown(f"HTTP {answer.status} instead of the list of what was sent.")
            rows = rows_of(self._checked(answer, attempt=1, now=now).get("data"))
            new = [row for row in rows if json.dumps(row, sort_keys=True) not in seen]
            seen.update(json.dumps(row, sort_keys=True) for row in new)
            yield from new
            if len(new) < _PAGE:
                return

    # Fetching

    def inbox(self, kind: PackageKind, *, since: datetime | None, now: datetime) -> Inbox:
        """
        Everything that was not acknowledged, however old: the axis lists it until it is.

        Of a list that is longer than is read, its beginning: once that is acknowledged, the rest comes forward.
        """
        del since
        answer = self._answer("getReceivedEdocList", {"Content-Type": _JSON, **_kind(kind)}, now=now)
        cut = beginning(answer)
        content = json_of(answer, now=now) if cut is None else cut
        self._accepted(content, answer, attempt=1, now=now)
        return Inbox(entries=listed(rows_of(content.get("data"))), cut=cut is not None)

    @contextmanager
    def package(self, doc_id: str, *, folder: Path, limit_bytes: int, now: datetime) -> Iterator[Readable]:
        """
        By ``getEdoc``, whose answer has an error code.

        ``downloadEdoc`` would be a quarter shorter, and has none: the kit stores its error message as the document.
        """
        with self._downloaded(
            "getEdoc", {"docId": doc_id}, folder, body=b"{}", limit=limit_bytes, now=now, about=doc_id
        ) as file:
            content, where = split(file)
            answer = Answer(status=200, media_type="", body=b"", truncated=False)
            self._accepted(content, answer, attempt=1, now=now, about=doc_id)
            inline = content.get("data")
            if where is not None and inline == "":
                yield Decoded.within(file, where)
            elif isinstance(inline, str) and inline:
                yield Decoded.of(inline)
            else:
                raise AxisPackageUnusable(f"The axis has no content under {doc_id}.")

    def acknowledge(self, doc_id: str, *, taken: bool, now: datetime) -> None:
        """``updateStatus``."""
        status = "done" if taken else "fail"
        logical = {"Content-Type": _JSON, "docId": doc_id, "status": status}
        self._call("updateStatus", logical, body=b"{}", now=now, about=doc_id)

    def count(self, kind: PackageKind, *, now: datetime) -> int | None:
        """How much waits, by the axis' own count; ``None`` when it does not say. For finding out whether it answers."""
        content = self._call("countReceiveEdoc", {"Content-Type": _JSON, **_kind(kind)}, body=b"{}", now=now)
        count = content.get("count")
        return count if isinstance(count, int) else None

    @contextmanager
    def catalogue(self, call: str, *, folder: Path, now: datetime, **parameters: str) -> Iterator[BinaryIO]:
        """
        The answer to one of the catalogue's calls, as a file at its first byte.

        Its error code is the reader's to check: whoever reads 123,000 agencies must read them as a stream.

        :param call: ``getAgenciesList``, ``getAgenciesListQD20`` (``level="1"``) or ``getSynchronizeUnit``.
        :param folder: for the file, which is removed at the end of the block.
        """
        with self._downloaded(call, parameters, folder, body=b"", limit=_CATALOGUE, now=now) as file:
            file.seek(0)
            yield file

    # Calls

    def _url(self, call: str) -> str:
        return f"{self.url.rstrip('/')}/{call}"

    def _call(
        self, call: str, logical: Mapping[str, str], *, now: datetime, body: bytes = b"", about: str | None = None
    ) -> dict[str, Any]:
        return self._checked(self._answer(call, logical, now=now, body=body), attempt=1, now=now, about=about)

    def _answer(self, call: str, logical: Mapping[str, str], *, now: datetime, body: bytes = b"") -> Answer:
        headers = signed_headers(logical, system=self.system, secret=self.secret, at=now)
        return self.http.request(
            "POST", self._url(call), headers=headers, body=body, size=len(body), answer_limit_bytes=LISTED
        )

    @contextmanager
    def _downloaded(
        self,
        call: str,
        logical: Mapping[str, str],
        folder: Path,
        *,
        body: bytes,
        limit: int,
        now: datetime,
        about: str | None = None,
    ) -> Iterator[BinaryIO]:
        """
        The answer in a temporary file.

        :param limit: bytes of the package within; in base64 it is a third longer.
        """
        headers = signed_headers({"Content-Type": _JSON, **logical}, system=self.system, secret=self.secret, at=now)
        with spool_file(folder) as file:
            answer = self.http.download(
                "POST", self._url(call), headers=headers, body=body, to=file, limit_bytes=limit // 3 * 4 + LISTED
            )
            if not 200 <= answer.status < 300:
                self._checked(answer, attempt=1, now=now, about=about)
            if answer.truncated:
                raise AxisPackageUnusable(f"The answer to {call} is longer than {limit} bytes allow.")
            yield file

    def _checked(self, answer: Answer, *, attempt: int, now: datetime, about: str | None = None) -> dict[str, Any]:
        content = json_of(answer, now=now)
        self._accepted(content, answer, attempt=attempt, now=now, about=about)
        return content

    def _accepted(
        self, content: Mapping[str, Any], answer: Answer, *, attempt: int, now: datetime, about: str | None = None
    ) -> None:
        """
        Status, JSON and error code all say that it went well; otherwise what went wrong.

        :raises AxisDown: they contradict each other, or there is no error code.
        """
        code = content.get("ErrorCode")
        if not isinstance(code, str | int) or isinstance(code, bool):
            raise AxisDown(f"HTTP {answer.status} with JSON that has no ErrorCode.")
        if str(code) != _DONE:
            raise refusal(str(code), content.get("ErrorDesc"), answer, attempt=attempt, now=now, about=about)
        if not 200 <= answer.status < 300 or str(content.get("status", "OK")).upper() != "OK":
            raise AxisDown(f"HTTP {answer.status} with ErrorCode 0 and a status that is not OK.")


def _kind(kind: PackageKind) -> dict[str, str]:
    return {"servicetype": "eDoc", "messagetype": "status" if kind is PackageKind.STATUS else "edoc"}


def _day(at: datetime) -> str:
    return f"{at.astimezone(VIETNAM_TIME):%Y/%m/%d}"


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return normal_key(value) if isinstance(value, str) else ""


def _is_of(row: Mapping[str, Any], outgoing: Outgoing) -> bool:
    """
    Whether a row of the sent list is this very document.

    By its DocumentId, or by sender, number with notation and title together. Less is not enough: to take another one
    for it would lose it, while to miss it only sends it again.
    """
    document = outgoing.document
    own = normal_key(document.document_id or "")
    if own and own in (_text(row, "senderDocId"), _text(row, "documentId")):
        return True
    number = "/".join(part for part in (document.number, document.notation) if part)
    named = document.number and document.notation and _text(row, "notation") == normal_key(number)
    titled = document.subject and _text(row, "title") == normal_key(document.subject)
    return bool(named and titled and _text(row, "fromCode") in (document.sender_as_written, document.sender))
