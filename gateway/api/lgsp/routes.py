"""
The calls of the provincial protocol; each turns a request into one use case (domain §2.2).

Every answer is JSON in the shape of ``gateway.api.lgsp.answers``. ``docId`` is the delivery's id for what a system
receives, and the document's for what it has sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, g, json, request
from werkzeug.exceptions import HTTPException

from gateway.api.lgsp import answers
from gateway.api.lgsp.parts import lgsp_parts
from gateway.api.lgsp.windows import widest_since, window
from gateway.api.multipart import Form
from gateway.api.systems import SystemCaller
from gateway.api.turned_away import refusals_kept
from gateway.errors import EmptyPackage, GatewayError, LengthRequired, NotFound, NotPermitted, RequestError
from gateway.exchange import lookup, mailbox, statuses
from gateway.exchange.handover import Announced, hand_over
from gateway.exchange.systems import acting
from gateway.exchange.upload import Upload, receive_for
from gateway.ledger.protocol import MOST_LISTED
from gateway.ledger.records import DocumentRow, LogRow
from gateway.model import VIETNAM_TIME, Agency, DocumentNumber, PackageKind, StatusCode

lgsp = Blueprint("lgsp", __name__)

_KINDS = {"edoc": PackageKind.DOCUMENT, "status": PackageKind.STATUS}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_FILE = "edocFile"
_LOGIN_BYTES = 8 * 1024
"""Of a body that comes before anybody knows from whom."""
_NO_REASON = "Hệ thống báo trạng thái không nêu lý do (giao thức LGSP không mang lý do)."
"""A report without the reason that it should give is still true, and the axis of Lạng Sơn takes it."""


def _caller() -> SystemCaller:
    caller: SystemCaller = g.caller
    return caller


@lgsp.before_request
def _admit() -> None:
    """Nobody passes without the three headers, but to log in."""
    if request.endpoint == "lgsp.login":
        request.max_content_length = _LOGIN_BYTES
        return
    headers = request.headers
    g.caller = lgsp_parts().gatekeeper.admit(
        headers.get("Authorization"),
        headers.get("X-SystemId", "").strip(),
        headers.get("X-SecretKey", "").strip(),
        address=_address(),
    )


def _address() -> str:
    return request.remote_addr or "?"


@lgsp.errorhandler(GatewayError)
def _of_gateway(error: GatewayError) -> Response:
    return answers.of_gateway(lgsp_parts().shape, error)


@lgsp.errorhandler(HTTPException)
def _of_framework(error: HTTPException) -> Response:
    return answers.of_framework(lgsp_parts().shape, error)


@lgsp.errorhandler(Exception)
def _of_anything(error: Exception) -> Response:
    return answers.of_anything(lgsp_parts().shape, error)


def _json_object() -> dict[str, Any]:
    """The body, whatever its content type is called; the app bounds its length."""
    body = request.get_data(cache=False)
    g.body_read = True
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as e:
        raise RequestError("The body is not JSON in UTF-8.") from e
    if not isinstance(content, dict):
        raise RequestError("The body is not a JSON object.")
    return content


def _text(content: dict[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value.strip():
        raise RequestError(f"The member {name} is missing, or is not a text.", path=name)
    return value.strip()


@lgsp.post("/v1/auth/login")
def login() -> Response:
    """A token for a system's id and secret; the other members of the kit's body say nothing here."""
    content = _json_object()
    caller, token = lgsp_parts().gatekeeper.login(
        _text(content, "username"), _text(content, "password"), address=_address()
    )
    g.caller = caller
    system = caller.system
    data = {"id": system.id, "username": system.id, "name": system.name, "token": token}
    return answers.success(lgsp_parts().shape, data, token=token)


# Sending


@lgsp.post("/v1/sendEdoc")
def send_edoc() -> Response:
    """Accept the package in the form's file; the same package again is the same document."""
    if request.content_length is None:
        raise LengthRequired
    own, caller = lgsp_parts(), _caller()
    with ExitStack() as held:
        with refusals_kept(own.parts, caller.agency.code):
            upload, kind = _posted(held)
        answer = hand_over(own.parts, upload, system=caller.system, announced=Announced(kind=kind))
    return answers.success(own.shape, answers.about_document(answer.document_id), docId=answer.document_id)


def _posted(held: ExitStack) -> tuple[Upload, PackageKind | None]:
    """The package of the form, closed with ``held``, and what the form calls it."""
    parts = lgsp_parts().parts
    form = Form(request.stream, request.headers.get("Content-Type"), files={_FILE})
    upload: Upload | None = None
    while (file := form.next_file()) is not None:
        if upload is not None:
            raise RequestError(f"The form has several files {_FILE}: send each by itself.", path=_FILE)
        upload = held.enter_context(receive_for(parts, file, expected=None))
    g.body_read = True
    if upload is None:
        raise EmptyPackage(f"The form has no file {_FILE}.", path=_FILE)
    named = form.fields.get("messageType")
    return upload, None if named is None else _kind(named)


# Receiving


@lgsp.get("/v1/syncReceivedEdocList")
def sync_received_edoc_list() -> Response:
    """What the system's agencies have to collect and have not called done, of some days."""
    own = lgsp_parts()
    asked = window(request.args.get("fromDate"), request.args.get("toDate"), longest_days=own.window_days)
    kind = _kind(request.args.get("messageType", "edoc"))
    now = own.parts.clock()
    rows = [*_waiting(kind, asked.since, asked.until)]
    if asked.reaches(now):
        # After an outage of that length no window ever reaches back to it again.
        rows += _waiting(kind, None, min(asked.since, widest_since(now, longest_days=own.window_days)))
        # One order for both, so that no backlog, however long, stands before what is urgent today.
        rows.sort(key=lambda row: (-row.delivery.lane, row.delivery.id))
    shown = [_listed(row) for row in rows[:MOST_LISTED]]
    return answers.success(own.shape, shown, count=len(shown))


def _waiting(kind: PackageKind, since: datetime | None, until: datetime) -> Sequence[LogRow]:
    parts, agencies = lgsp_parts().parts, _caller().agencies
    return mailbox.listed(parts, agencies, kind=kind, since=since, until=until, limit=MOST_LISTED, after=None).rows


def _kind(message_type: str) -> PackageKind:
    kind = _KINDS.get(message_type.strip().lower())
    if kind is None:
        raise RequestError("messageType is edoc or status.", path="messageType")
    return kind


def _listed(row: LogRow) -> dict[str, Any]:
    delivery, document = row.delivery, row.document
    return {
        "docId": delivery.id,
        "serviceType": "eDoc",
        "messageType": _NAMES[document.kind],
        "from": document.sender_as_written,
        "to": delivery.as_written,
        "status": mailbox.transport_status(delivery),
        "statusDesc": delivery.error_code or "",
        "createdTime": f"{delivery.created_at.astimezone(VIETNAM_TIME):%Y/%m/%d %H:%M:%S}",
        "updatedTime": f"{delivery.changed_at.astimezone(VIETNAM_TIME):%Y/%m/%d %H:%M:%S}",
    }


@lgsp.get("/v1/getEdoc")
def get_edoc() -> Response:
    """The whole package in Base64; nothing is settled by it."""
    own = lgsp_parts()
    row, reader, size = mailbox.package(own.parts, request.args.get("docId", ""), _caller().agencies)
    document = row.document
    facts = {
        "docId": row.delivery.id,
        "from": document.sender_as_written,
        "fromName": document.sender_name or "",
        "edocCode": DocumentNumber(number=document.number, notation=document.notation).text or "",
        "edocAbstract": document.subject or "",
    }
    return answers.package(own.shape, facts, reader, size)


@lgsp.post("/v1/updateStatus")
def update_status() -> Response:
    """
    What a system says of a document: where it is (``done``, ``processing``, ``fail``), or a status of QĐ 28.

    The latter come from software that reports here and not by a status package (domain §2.2).
    """
    own, caller = lgsp_parts(), _caller()
    content = _json_object()
    doc_id, status = _text(content, "docId"), _text(content, "status").lower()
    reason = content.get("reason")
    if reason is not None and not isinstance(reason, str):
        raise RequestError("The member reason is not a text.", path="reason")
    match status:
        case "done" | "processing" | "fail":
            mailbox.settle(own.parts, doc_id, caller.agencies, status, gateway=caller.system.gateway, reason=reason)
        case _ if status in set(StatusCode):
            _report(doc_id, StatusCode(status), reason)
        case _:
            raise RequestError("status is done, processing, fail or a code of QĐ 28.", path="status")
    return answers.success(own.shape, answers.about_document(doc_id), docId=doc_id)


def _report(doc_id: str, code: StatusCode, reason: str | None) -> None:
    """
    A status of QĐ 28 on a received document; 13 on one that was sent.

    Whoever reports progress has the document: it counts as collected, and 01 is no more than that, but from a
    gateway: collecting it there is no arrival yet.
    """
    own, caller = lgsp_parts(), _caller()
    words = (reason or "").strip() or (_NO_REASON if code.needs_reason else None)
    if code is StatusCode.RECALL_ASKED:
        _ask_back(doc_id, words)
        return
    row, agency = _received(doc_id)
    is_report = row.document.kind is PackageKind.STATUS
    if is_report and code is not StatusCode.ARRIVED:
        # Before it is settled: what is refused leaves it on the list.
        raise NotPermitted("A status is not reported on.")
    if code.rank is not None:
        mailbox.settle(own.parts, doc_id, caller.agencies, "done", gateway=caller.system.gateway, reason=None)
    if code is StatusCode.ARRIVED and (is_report or not caller.system.gateway):
        return
    statuses.report_status(
        own.parts,
        caller=agency,
        document_id=row.document.id,
        code=code,
        description=words,
        agency=row.delivery.recipient,
    )


def _received(doc_id: str) -> tuple[LogRow, Agency]:
    """A delivery, and the agency of the caller whose mailbox it is in."""
    for agency in _caller().agencies:
        try:
            return mailbox.delivery_of(lgsp_parts().parts, doc_id, agency), agency
        except NotFound:
            continue
    raise NotFound


def _ask_back(doc_id: str, reason: str | None) -> None:
    """Ask every receiver of a sent document to give it back."""
    parts, caller = lgsp_parts().parts, _caller()
    document = _visible(doc_id)
    sender = acting(caller.system, parts.directory(), document.sender, parts.clock())
    if sender is None:
        raise NotPermitted("Only its sender asks to take a document back.")
    for copy in lookup.visible_deliveries(parts, document, caller=sender):
        statuses.report_status(
            parts,
            caller=sender,
            document_id=doc_id,
            code=StatusCode.RECALL_ASKED,
            description=reason,
            agency=copy.recipient,
        )


def _visible(doc_id: str) -> DocumentRow:
    """A document that one of the caller's agencies may see."""
    for agency in _caller().agencies:
        try:
            return lookup.visible_document(lgsp_parts().parts, doc_id, caller=agency)
        except NotFound:
            continue
    raise NotFound
