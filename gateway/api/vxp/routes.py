"""
The calls of the national kit; each turns signed headers into one use case and its answer into the kit's envelope.

Whoever calls is a system (``XroadVnpt-systemid``) and speaks for the agencies that it is registered for. A call looks
at the parameters that it uses and at no others: the kit sends along what earlier calls have left.

Source: domain §2.1; ``docs/integrate/vxp.md`` says where it is silent and what is done here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Literal

import structlog
from flask import Blueprint, Flask, Response, current_app, g, json, request
from werkzeug.exceptions import HTTPException

from gateway.api.encoding import base64_chunks, base64_length
from gateway.api.services import Services
from gateway.api.systems import SystemCaller, SystemDoor
from gateway.api.turned_away import refusals_kept
from gateway.api.vxp import answers, moments, paging, shapes
from gateway.api.vxp.body import read_package
from gateway.api.vxp.headers import SignedHeaders, check_signature, system_of
from gateway.errors import (
    GatewayError,
    HashFileMismatch,
    NotFound,
    NotPermitted,
    RegistrationInvalid,
    RequestError,
    UnsupportedMedia,
)
from gateway.exchange import mailbox
from gateway.exchange.handover import Announced, hand_over
from gateway.exchange.registrations import request_agency
from gateway.exchange.systems import acting
from gateway.ledger.records import LogRow, Page, RequestKind
from gateway.model import Agency, AgencyCode, PackageKind

_log = structlog.get_logger()

_EXTENSION = "gateway.vxp"
_CHUNK = 256 * 1024
_READ = ["GET", "POST"]
"""The kit posts what its source says that it gets."""
_MOST_ANNOUNCED = 5_000
"""Recipients in ``to`` that are compared with those of the package."""
_STILL_NOW = timedelta(days=1)
"""A window that ended no longer ago was meant to reach up to now: clients' clocks are slow, and some write UTC."""

_OUTCOMES: Mapping[str, Literal["done", "processing", "fail"]] = {
    "done": "done",
    "processing": "processing",
    "fail": "fail",
}


@dataclass(frozen=True, kw_only=True)
class Vxp:
    """What this protocol needs besides the services of every API."""

    door: SystemDoor
    changed_at: shapes.ChangedAt


vxp = Blueprint("vxp", __name__)


def install(app: Flask, own: Vxp, *, prefix: str) -> None:
    """
    Add the calls of the protocol to an application that has the API.

    :param prefix: path before the names of the calls, without a slash at its end; empty for none.
    """
    app.extensions[_EXTENSION] = own
    app.register_blueprint(vxp, url_prefix=prefix or None)
    if prefix:
        # Of all other paths it cannot be said that they were meant for this protocol.
        app.add_url_rule(f"{prefix}/<path:call>", "vxp.unknown", _unknown, methods=["GET", "POST", "PUT", "DELETE"])


def _unknown(call: str) -> Response:
    raise NotFound(f"There is no call {call[:100]!r}.")


def _own() -> Vxp:
    own: Vxp = current_app.extensions[_EXTENSION]
    return own


def _services() -> Services:
    services: Services = current_app.extensions["gateway"]
    return services


def _caller() -> SystemCaller:
    caller: SystemCaller = g.caller
    return caller


def _agencies() -> Sequence[Agency]:
    return _caller().agencies


def _header(name: str) -> str | None:
    """A parameter of this call, which its system has signed."""
    signed: SignedHeaders = g.signed
    return signed.get(name)


# Who is calling


@vxp.before_request
def _admit() -> None:
    """Nobody passes without the signature of a system; the body is asked for only afterwards."""
    door = _own().door
    with door.watching(request.remote_addr or "?"):
        live = door.find(system_of(request.headers.get))
        g.signed = check_signature(request.headers.get, live.secrets if live else ())
        assert live is not None  # nothing is a signature of no secret
        g.caller = door.admit(live.system)
    if request.endpoint != "vxp.send_edoc":
        # The kit posts ``{}`` where nothing is asked for; what is left unread costs it its connection.
        request.get_data(cache=True)
        g.body_read = True


@vxp.errorhandler(GatewayError)
def _refused(error: GatewayError) -> Response:
    return answers.of_gateway(error)


@vxp.errorhandler(HTTPException)
def _refused_by_framework(error: HTTPException) -> Response:
    return answers.of_framework(error)


@vxp.errorhandler(Exception)
def _failed(error: Exception) -> Response:
    return answers.of_anything(error)


# Sending


@vxp.post("/sendEdoc")
def send_edoc() -> Response:
    """Accept a package; ``DocId`` is the document's id, and of a repetition the id of the first."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise UnsupportedMedia(f"Send the package as it is, not encoded as {coding}.")
    hash_file = _header("hash-file")
    announced = Announced(kind=_message_kind(), recipients=_announced_recipients())
    parts = _services().parts
    own_code = _caller().agency.code
    with refusals_kept(parts, own_code):
        upload, is_right = read_package(
            request.stream,
            content_type=request.content_type,
            expected=request.content_length,
            hash_file=hash_file,
            limit_bytes=parts.rules.body_limit_bytes,
            inline_bytes=parts.rules.inline_bytes,
            spool=parts.spool,
        )
    with upload:
        g.body_read = True
        if not is_right:
            with refusals_kept(parts, own_code, upload):
                raise HashFileMismatch(path="XroadVnpt-hash-file")
        answer = hand_over(parts, upload, system=_caller().system, announced=announced)
    return answers.success(DocId=answer.document_id)


def _message_kind() -> PackageKind | None:
    """
    The kind of package that is meant.

    :raises RequestError: ``messagetype`` is none that there is.
    """
    text = _header("messagetype")
    if text is None:
        return None
    kind = shapes.kind_of(text)
    if kind is None:
        raise RequestError("messagetype is edoc or status.", path="XroadVnpt-messagetype")
    return kind


def _announced_recipients() -> tuple[AgencyCode, ...] | None:
    """``to``: a JSON array, or codes with commas between them. It is compared, and decides nothing."""
    text = _header("to")
    if text is None:
        return None
    try:
        codes = json.loads(text)
    except (ValueError, RecursionError):
        codes = text.split(",")
    named = codes if isinstance(codes, list) else [codes]
    return tuple(AgencyCode(code.strip()) for code in named[:_MOST_ANNOUNCED] if isinstance(code, str))


# Lists


@vxp.route("/getReceivedEdocList", methods=_READ)
def get_received_edoc_list() -> Response:
    """
    What waits for the system's agencies and was not acknowledged, whoever fetched it before.

    A window that reaches up to now has no beginning: clients ask for the last days, and after an outage what waited
    longer would never be asked for.
    """
    kind, what = _message_kind(), _page_wanted()
    since, until = _window()
    if until is None or until > _services().parts.clock() - _STILL_NOW:
        since = None

    def page(limit: int, after: str | None) -> Page[LogRow]:
        return mailbox.listed(
            _services().parts, _agencies(), kind=kind, since=since, until=until, limit=limit, after=after
        )

    return answers.rows(map(shapes.received, paging.rows_of(page, what)))


@vxp.route("/getSentEdocList", methods=_READ)
def get_sent_edoc_list() -> Response:
    """What the system's agencies sent, a line for each recipient."""
    kind, what, agencies = _message_kind(), _page_wanted(), _senders()
    since, until = _window()

    def listed(document_id: str | None) -> list[LogRow]:
        def page(limit: int, after: str | None) -> Page[LogRow]:
            return mailbox.sent(
                _services().parts,
                agencies,
                since=since,
                until=until,
                document_id=document_id,
                limit=limit,
                after=after,
                kind=kind,
            )

        return paging.rows_of(page, what)

    asked = _header("docId")
    found = listed(asked)
    if not found and asked is not None and _is_received(asked):
        # Left over from fetching: nobody looks for a received document among the sent ones.
        found = listed(None)
    return answers.rows(map(shapes.sent, shapes.by_document(found)))


def _senders() -> Sequence[Agency]:
    """Whose documents are asked for: those of ``from``, or of all agencies when it is the system itself."""
    text = _header("from")
    caller, parts = _caller(), _services().parts
    if text is None or text == caller.system.id:
        return caller.agencies
    agency = acting(caller.system, parts.directory(), AgencyCode(text), parts.clock())
    if agency is None:
        raise NotPermitted(f"This system does not speak for {text[: AgencyCode.LONGEST]!r}.", path="XroadVnpt-from")
    return [agency]


def _is_received(doc_id: str) -> bool:
    for agency in _agencies():
        try:
            mailbox.delivery_of(_services().parts, doc_id, agency)
        except NotFound:
            continue
        return True
    return False


def _page_wanted() -> paging.Wanted:
    return paging.wanted(_header("pageSize"), _header("pageIndex"))


def _window() -> tuple[datetime | None, datetime | None]:
    return _moment("fromDate", moments.since), _moment("toDate", moments.until)


def _moment(name: str, read: Callable[[str], datetime | None]) -> datetime | None:
    text = _header(name)
    moment = None if text is None else read(text)
    if text is not None and moment is None:
        # In which forms clients write it is not known; a list that is too long loses nothing, one too short might.
        _log.warning("date not understood", action="vxp.date_ignored", header=name, system=_caller().system.id)
    return moment


@vxp.route("/countReceiveEdoc", methods=_READ)
def count_receive_edoc() -> Response:
    """How many documents wait."""
    return _count(PackageKind.DOCUMENT)


@vxp.route("/countReceiveStatus", methods=_READ)
def count_receive_status() -> Response:
    """How many status packages wait."""
    return _count(PackageKind.STATUS)


def _count(kind: PackageKind) -> Response:
    return answers.success(count=mailbox.count(_services().parts, _agencies(), kind))


# One document


@vxp.route("/getEdoc", methods=_READ)
def get_edoc() -> Response:
    """A received package as Base64 within the envelope; fetching settles nothing."""
    _, reader, size = mailbox.package(_services().parts, _doc_id(), _agencies())
    before, after = answers.before_data().encode() + b'"', b'"}'

    def pieces() -> Iterator[bytes]:
        yield before
        yield from base64_chunks(reader)
        yield after

    answer = Response(pieces(), content_type=answers.TYPE)
    answer.call_on_close(reader.close)
    answer.headers["Content-Length"] = str(len(before) + base64_length(size) + len(after))
    return answer


@vxp.get("/downloadEdoc")
def download_edoc() -> Response:
    """
    A received package as it is.

    The kit takes whatever comes for the package; a failure has its HTTP status, so that others do not.
    """
    row, reader, size = mailbox.package(_services().parts, _doc_id(), _agencies())
    answer = Response(_pieces(reader), content_type="application/octet-stream")
    answer.call_on_close(reader.close)
    answer.headers["Content-Length"] = str(size)
    answer.headers["Content-Disposition"] = f'attachment; filename="{row.delivery.id}.edxml"'
    return answer


def _pieces(reader: BinaryIO) -> Iterator[bytes]:
    while piece := reader.read(_CHUNK):
        yield piece


def _doc_id(spelled: str = "docId") -> str:
    doc_id = _header(spelled)
    if doc_id is None:
        raise RequestError("docId is missing.", path="XroadVnpt-docId")
    return doc_id


@vxp.post("/updateStatus")
def update_status() -> Response:
    """What became of a fetched document on its way into the receiver's system; not what its clerks did with it."""
    # With both spellings, the one by which documents are fetched has been left over from that.
    doc_id = _doc_id("docid")
    outcome = _OUTCOMES.get((_header("status") or "").lower())
    if outcome is None:
        raise RequestError("status is done, processing or fail.", path="XroadVnpt-status")
    mailbox.settle(_services().parts, doc_id, _agencies(), outcome, gateway=_caller().system.gateway)
    return answers.success()


# The catalogue


@vxp.route("/getAgenciesList", methods=_READ)
def get_agencies_list() -> Response:
    """All agencies that exist."""
    parts = _services().parts
    return answers.rows(shapes.agencies(parts.directory(), at=parts.clock()))


@vxp.route("/getAgenciesListQD20", methods=_READ)
def get_agencies_list_qd20() -> Response:
    """Those of one level that have a code by QĐ 20/2020."""
    text = _header("level")
    if text is not None and (not text.isascii() or not text.isdigit() or len(text) > 2):
        raise RequestError("level is not a number.", path="XroadVnpt-level")
    parts = _services().parts
    return answers.rows(shapes.agencies_of_level(parts.directory(), int(text) if text else None, at=parts.clock()))


@vxp.route("/getSynchronizeUnit", methods=_READ)
def get_synchronize_unit() -> Response:
    """All agencies with the versions of their last changes, closed ones too."""
    parts = _services().parts
    return answers.rows(shapes.units(parts.directory(), _own().changed_at, at=parts.clock()))


@vxp.post("/registerAgency")
def register_agency() -> Response:
    """Ask for an agency to be added. An operator decides: nobody registers himself."""
    wish = _json_object()
    request_agency(
        _services().parts,
        _caller().system,
        kind=RequestKind.ADD,
        code=_word(wish, "code") or "",
        parent=_word(wish, "pcode"),
        name=_word(wish, "name"),
        mail=_word(wish, "mail"),
    )
    return answers.success(ErrorDesc=_TO_BE_APPROVED)


@vxp.post("/deleteAgency")
def delete_agency() -> Response:
    """Ask for an agency to be closed; an operator decides."""
    code = _header("AgencyCode")
    if code is None:
        raise RegistrationInvalid("AgencyCode is missing.", path="XroadVnpt-AgencyCode")
    request_agency(_services().parts, _caller().system, kind=RequestKind.DELETE, code=code)
    return answers.success(ErrorDesc=_TO_BE_APPROVED)


_TO_BE_APPROVED = "Thanh cong. Yeu cau dang cho phe duyet"


def _json_object() -> Mapping[str, object]:
    try:
        wish = json.loads(request.get_data(cache=True))
    except (ValueError, RecursionError) as e:
        raise RequestError("The body is not JSON in UTF-8.") from e
    if not isinstance(wish, dict):
        raise RequestError("The body is not a JSON object.")
    return wish


def _word(wish: Mapping[str, object], name: str) -> str | None:
    value = wish.get(name)
    if value is not None and not isinstance(value, str):
        raise RegistrationInvalid(f"{name} is not a text.", path=name)
    return value
