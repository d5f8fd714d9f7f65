"""The calls of ``/api/v1``; each turns a request into one use case and its answer into JSON."""

from __future__ import annotations

import base64
import io
import tempfile
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import jwt
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Response, current_app, g, json, request, send_file
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ValidationError

from gateway.api.services import Services
from gateway.api.turned_away import refusals_kept
from gateway.api.v1.shapes import (
    AckIn,
    AgenciesOut,
    AgenciesQuery,
    AgencyOut,
    AttachmentOut,
    AttemptOut,
    DeliveryOut,
    DeliveryPath,
    DocumentDetailOut,
    DocumentOut,
    DocumentPath,
    DocumentsOut,
    DocumentsQuery,
    EventOut,
    EvidenceOut,
    ExaminationOut,
    FileOut,
    InboxItemOut,
    InboxOut,
    InboxQuery,
    JudgementOut,
    LockOut,
    MetadataIn,
    OperationOut,
    ProblemOut,
    ReceiptOut,
    RefuseIn,
    ReplaceIn,
    RevokeIn,
    SettledOut,
    StatusIn,
    StatusOut,
    TraceOut,
    UpdateIn,
    VerdictOut,
    ViolationOut,
)
from gateway.errors import (
    DigestMismatch,
    NotFound,
    RequestError,
    SenderNotAllowed,
    UnsupportedMedia,
)
from gateway.evidence.container import MEDIA_TYPE as EVIDENCE_TYPE
from gateway.exchange import compose, lookup, mailbox, operations, statuses
from gateway.exchange.accept import Answer, accept
from gateway.exchange.upload import Upload, receive_for, unwritten
from gateway.ledger.records import DocumentRow, Filter
from gateway.model import Agency, AgencyCode, Reference, normal_key

In = TypeVar("In", bound=BaseModel)

_XML_TYPES = frozenset({"application/xml", "text/xml", "application/octet-stream"})
_CHUNK = 256 * 1024
_LARGEST_METADATA = 1024 * 1024
_LOST = "\N{REPLACEMENT CHARACTER}"
"""What the form parser, as others before it, puts where bytes were not UTF-8; a document is not made of that."""

_TAGS = {
    "documents": Tag(name="documents", description="Post packages, and see where they are"),
    "inbox": Tag(name="inbox", description="Collect: peek, lock, fetch, acknowledge or refuse"),
    "statuses": Tag(name="statuses", description="Report on received documents without writing XML"),
    "agencies": Tag(name="agencies", description="Find recipients"),
}

_PROBLEMS: dict[Any, Any] = {
    code: {"description": what, "content": {"application/problem+json": {"schema": ProblemOut.model_json_schema()}}}
    for code, what in {
        "400": "The request or package is malformed",
        "401": "No valid key",
        "403": "Not allowed, or the signature is not trusted",
        "404": "There is none, or it is not the caller's",
        "409": "Conflict with what was accepted or done before",
        "410": "Its time is over",
        "413": "Too large",
        "415": "Content type not accepted",
        "422": "The package departs from the standard, or cannot be routed",
        "429": "Too many requests",
        "503": "The ledger cannot be used; try again",
    }.items()
}

_SCOPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "post_document": ("send",),
        "list_documents": ("read",),
        "get_document": ("read",),
        "revoke_document": ("send",),
        "update_document": ("send",),
        "replace_document": ("send",),
        "get_package": ("read",),
        "get_trace": ("read",),
        "get_evidence": ("read",),
        "peek_inbox": ("receive",),
        "lock_delivery": ("receive",),
        "fetch_package": ("receive",),
        "acknowledge_delivery": ("receive",),
        "refuse_delivery": ("receive",),
        "post_status": ("receive", "send"),
        "find_agencies": ("read",),
        "prepare_signing": ("send",),
        "get_signing": ("send",),
        "complete_signing": ("send",),
        "get_signed_file": ("send",),
        "cancel_signing": ("send",),
        "get_certificate": ("send",),
    }
)
"""What a key must be good for, one of them, to make each call; asked before anything of the body is read."""

v1 = APIBlueprint(
    "v1",
    __name__,
    url_prefix="/api/v1",
    abp_security=[{"key": []}],
    abp_responses=_PROBLEMS,
)


def _services() -> Services:
    services: Services = current_app.extensions["gateway"]
    return services


def _answer(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(model.model_dump_json(), status, headers, content_type="application/json; charset=utf-8")


@v1.before_request
def _admit() -> None:
    """Nobody passes without a key, nor with one for something else; only then is a body in JSON looked at."""
    g.caller = _services().doorkeeper.admit(request.headers.get("Authorization"), address=request.remote_addr or "?")
    g.caller.must(*_SCOPES[(request.endpoint or "").removeprefix("v1.")])
    if request.method == "POST" and request.endpoint not in _READ_BY_THEMSELVES and not _is_form():
        _read_json()


_READ_BY_THEMSELVES = ("v1.post_document", "v1.prepare_signing")
_WITH_FILES = ("v1.update_document", "v1.replace_document")
"""Calls that take JSON, or a form with that JSON and files."""


def _is_form() -> bool:
    return request.endpoint in _WITH_FILES and request.mimetype == "multipart/form-data"


def _read_json() -> None:
    """Read the body once; Flask keeps what it parsed for the call itself. The app bounds its length."""
    if not request.is_json:
        raise UnsupportedMedia("This call takes application/json.")
    body = request.get_data(cache=True)
    g.body_read = True
    if not body:
        return
    try:
        request.get_json()
    except RecursionError as e:
        raise RequestError("The body is nested too deeply.") from e


# Documents


@v1.post(
    "/documents",
    tags=[_TAGS["documents"]],
    summary="Post a document or a status package",
    description=(
        "`application/xml`: the edXML package as it is, up to the body limit, also chunked. `multipart/form-data`: "
        "a part `metadata` (JSON, see MetadataIn) and the files; the gateway writes the package. 202 means durable. "
        "The same package again answers 200 with the first receipt. `Gateway-Recipients` (codes, comma-separated) "
        "restricts this copy to some of the package's recipients; gateways use it among themselves."
    ),
    responses={"202": ReceiptOut, "200": ReceiptOut},
    openapi_extensions={
        "requestBody": {
            "required": True,
            "content": {
                "application/xml": {"schema": {"type": "string", "format": "binary"}},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["metadata"],
                        "properties": {
                            "metadata": MetadataIn.model_json_schema(ref_template="#/components/schemas/{model}"),
                            "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        },
                    }
                },
            },
        }
    },
)
def post_document() -> Response:
    """Accept a package, raw or described."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise UnsupportedMedia(f"Send the package as it is, not encoded as {coding}.")
    kind = request.mimetype
    if kind == "multipart/form-data":
        return _receipt(_composed())
    if kind not in _XML_TYPES:
        raise UnsupportedMedia(f"Send application/xml or multipart/form-data, not {kind or 'nothing'}.")
    services = _services()
    with _refusals_kept():
        upload = receive_for(services.parts, request.stream, expected=request.content_length)
    with upload:
        g.body_read = True
        with _refusals_kept(upload):
            _check_digest(upload.sha256)
        return _receipt(accept(services.parts, upload, caller=g.caller.agency, only=_asked_recipients()))


def _refusals_kept(upload: Upload | None = None) -> AbstractContextManager[None]:
    return refusals_kept(_services().parts, g.caller.agency.code, upload)


def _check_digest(sha256: str) -> None:
    """Compare with ``Content-Digest`` when the sender gave one with SHA-256 (RFC 9530 §2)."""
    for member in request.headers.get("Content-Digest", "").split(","):
        name, _, value = member.strip().partition("=")
        if name.lower() != "sha-256":
            continue
        try:
            claimed = base64.b64decode(value.strip().strip(":"), validate=True).hex()
        except ValueError as e:
            raise DigestMismatch("Content-Digest is not of the form sha-256=:base64:.") from e
        if claimed != sha256:
            raise DigestMismatch


def _asked_recipients() -> list[AgencyCode] | None:
    header = request.headers.get("Gateway-Recipients")
    if header is None:
        return None
    codes = [AgencyCode(code.strip()) for code in header.split(",") if code.strip()]
    if not codes:
        raise RequestError("Gateway-Recipients names nobody.", path="Gateway-Recipients")
    return codes


def _receipt(answer: Answer) -> Response:
    body = ReceiptOut(**{**answer.receipt, "duplicate": answer.duplicate})
    location = {"Location": f"/api/v1/documents/{answer.document_id}"}
    return _answer(body, 200 if answer.duplicate else 202, location)


def _composed() -> Answer:
    services = _services()
    caller: Agency = g.caller.agency
    with _refusals_kept():
        metadata = _metadata(MetadataIn)
        sender = _sender_of(metadata, caller)
    with _files(services.parts.spool) as (references, contents):
        envelope = metadata.envelope(sender, tuple(references))
        return compose.compose(services.parts, envelope, contents, caller=caller)


def _sender_of(metadata: MetadataIn, caller: Agency) -> Agency:
    if metadata.sender is None:
        return caller
    parts = _services().parts
    now, directory = parts.clock(), parts.directory()
    found = directory.find(metadata.sender, at=now)
    if found is None or not directory.speaks_for(caller, metadata.sender, at=now):
        raise SenderNotAllowed(path="metadata.sender")
    return found


def _metadata(shape: type[In]) -> In:
    """The part ``metadata`` of a form, or the whole body in JSON where a call takes either."""
    if not _is_form() and request.endpoint in _WITH_FILES:
        return _checked(shape, request.get_data(cache=True).decode("utf-8", errors="replace"), "body")
    text = request.form.get("metadata")
    if text is None and "metadata" in request.files:
        try:
            text = request.files["metadata"].read(_LARGEST_METADATA).decode("utf-8")
        except UnicodeDecodeError as e:
            raise RequestError("The part `metadata` is not UTF-8.", path="metadata") from e
    if text is None:
        raise RequestError("The part `metadata` is missing.", path="metadata")
    return _checked(shape, text, "metadata")


def _checked(shape: type[In], text: str, where: str) -> In:
    try:
        found = shape.model_validate_json(text)
    except ValidationError as e:
        raise invalid(e, where) from e
    if _LOST in found.model_dump_json():
        raise RequestError(f"The part `{where}` is not UTF-8, or has lost characters before.", path=where)
    return found


@contextmanager
def _files(spool: Path) -> Iterator[tuple[list[Reference], dict[str, Path | bytes]]]:
    """The posted files in the spool, named by us and never by the sender."""
    references: list[Reference] = []
    contents: dict[str, Path | bytes] = {}
    posted = [f for name, f in request.files.items(multi=True) if name != "metadata"]
    with ExitStack() as stack:
        folder = _own_folder(stack, spool)
        for number, file in enumerate(posted, 1):
            if _LOST in (file.filename or ""):
                raise RequestError("The name of a file is not UTF-8.", path=f"files.{number}")
            path = folder / str(number)
            try:
                file.save(path)
            except OSError as e:
                raise unwritten(e) from e
            content_id = f"file-{number}"
            references.append(
                Reference(
                    content_id=content_id,
                    name=normal_key(file.filename or f"file-{number}"),
                    content_type=file.mimetype or None,
                )
            )
            contents[content_id] = path
        yield references, contents


def _own_folder(stack: ExitStack, spool: Path) -> Path:
    try:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(dir=spool, prefix="files-")))
    except OSError as e:
        raise unwritten(e) from e


# Operations on documents


def _form_of(shape: type[BaseModel]) -> dict[str, Any]:
    """The body of a call that takes JSON, or a form with it and files."""
    schema = shape.model_json_schema(ref_template="#/components/schemas/{model}")
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    form = {"type": "object", "required": ["metadata"], "properties": {"metadata": schema, "files": files}}
    content = {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


@v1.post(
    "/documents/<document>/revoke",
    tags=[_TAGS["documents"]],
    summary="Recall a sent document",
    description=(
        "What nobody has collected is taken back at once, and the gateway answers 15 itself; whoever has it is asked, "
        "and answers 15 or 16. The same words again, as long as nobody has declined, answer 200 with the first receipt."
    ),
    responses={"202": ReceiptOut, "200": ReceiptOut},
)
def revoke_document(path: DocumentPath, body: RevokeIn) -> Response:
    """The gateway writes the package (business type 1)."""
    recipients = None if body.recipients is None else [AgencyCode(code) for code in body.recipients]
    answer = operations.revoke(
        _services().parts,
        caller=g.caller.agency,
        document_id=path.document,
        reason=body.reason,
        recipients=recipients,
    )
    return _receipt(answer)


@v1.post(
    "/documents/<document>/update",
    tags=[_TAGS["documents"]],
    summary="Send a new version of a sent document",
    description=(
        "JSON (see UpdateIn), or a form with that JSON as the part `metadata` and files, which take the place of all "
        "that there were. What is not given stays as it was. Repeats as for `revoke`."
    ),
    responses={"202": ReceiptOut, "200": ReceiptOut},
    openapi_extensions=_form_of(UpdateIn),
)
def update_document(path: DocumentPath) -> Response:
    """The gateway writes the package (business type 2)."""
    parts = _services().parts
    with _refusals_kept():
        wanted = _metadata(UpdateIn)
    with _files_if_any(parts.spool) as files:
        answer = operations.update(
            parts,
            caller=g.caller.agency,
            document_id=path.document,
            reason=wanted.reason,
            changes=operations.Changes(header=wanted.changes, added=tuple(map(AgencyCode, wanted.added))),
            files=files,
        )
    return _receipt(answer)


@v1.post(
    "/documents/<document>/replace",
    tags=[_TAGS["documents"]],
    summary="Send a document that takes the place of a sent one",
    description=(
        "JSON (see ReplaceIn), or a form with that JSON as the part `metadata` and files. The new document is posted "
        "as any other, and names what it replaces. Repeats as for `revoke`."
    ),
    responses={"202": ReceiptOut, "200": ReceiptOut},
    openapi_extensions=_form_of(ReplaceIn),
)
def replace_document(path: DocumentPath) -> Response:
    """The gateway writes the package (business type 3)."""
    parts = _services().parts
    caller: Agency = g.caller.agency
    with _refusals_kept():
        wanted = _metadata(ReplaceIn)
        sender = _sender_of(wanted, caller)
    with _files_if_any(parts.spool) as files:
        references, contents = files or ((), {})
        answer = operations.replace_by(
            parts,
            caller=caller,
            document_ids=list(dict.fromkeys([path.document, *wanted.also])),
            reason=wanted.reason,
            envelope=wanted.envelope(sender, tuple(references)),
            contents=contents,
        )
    return _receipt(answer)


@contextmanager
def _files_if_any(spool: Path) -> Iterator[tuple[list[Reference], dict[str, Path | bytes]] | None]:
    """The files of a form; ``None`` when there are none, or the body is JSON."""
    if not _is_form() or not any(name != "metadata" for name in request.files):
        yield None
        return
    with _files(spool) as found:
        yield found


@v1.get(
    "/documents", tags=[_TAGS["documents"]], summary="List documents, newest first", responses={"200": DocumentsOut}
)
def list_documents(query: DocumentsQuery) -> Response:
    """What the caller sent, handed over or receives."""
    services = _services()
    now = services.parts.clock()

    def code(text: str | None) -> AgencyCode | None:
        if text is None:
            return None
        agency = services.parts.directory().find(text, at=now)
        return agency.code if agency else AgencyCode.normal(text)

    page = services.parts.ledger.documents(
        Filter(
            visible_to=g.caller.agency.code,
            agency=code(query.agency),
            sender=code(query.sender),
            recipient=code(query.recipient),
            states=frozenset({query.state} if query.state else ()),
            operation=query.operation,
            kind=query.kind,
            since=query.since,
            until=query.until,
            text=query.q,
            identity=normal_key(query.document_id) if query.document_id else None,
        ),
        limit=query.limit,
        cursor=query.cursor,
    )
    answer = _answer(DocumentsOut(documents=[DocumentOut.of(d) for d in page.rows], next=page.next))
    _link_next(answer, page.next)
    return answer


def _link_next(answer: Response, cursor: str | None) -> None:
    if cursor is not None:
        args = {**request.args.to_dict(), "cursor": cursor}
        query = urllib.parse.urlencode(args)
        answer.headers["Link"] = f'<{request.path}?{query}>; rel="next"'


@v1.get(
    "/documents/<document>", tags=[_TAGS["documents"]], summary="One document", responses={"200": DocumentDetailOut}
)
def get_document(path: DocumentPath) -> Response:
    """Its facts, copies, files and warnings."""
    parts = _services().parts
    row = lookup.visible_document(parts, path.document, caller=g.caller.agency)
    examinations = parts.ledger.examinations(row.id)
    return _answer(
        DocumentDetailOut(
            **DocumentOut.of(row).model_dump(),
            deliveries=[DeliveryOut.of(d) for d in lookup.visible_deliveries(parts, row, caller=g.caller.agency)],
            attachments=[AttachmentOut.of(a) for a in row.attachments],
            files=[FileOut.of(f) for e in examinations if e.result for f in e.result.files],
            examinations=[ExaminationOut.of(e) for e in examinations],
            warnings=[ViolationOut.of(w) for w in row.warnings],
            judgements=[
                JudgementOut(at=j.at, cause=j.cause, verdict=VerdictOut.of(j.verdict))
                for j in parts.ledger.judgements(row.id)
            ],
        )
    )


@v1.get(
    "/documents/<document>/package",
    tags=[_TAGS["documents"]],
    summary="The package as it is handed on, byte for byte",
    description="Honours `Range` (one range) and `If-None-Match`; the ETag is the SHA-256.",
    responses={"200": {"content": {"application/xml": {"schema": {"type": "string", "format": "binary"}}}}},
)
def get_package(path: DocumentPath) -> Response:
    """Its bytes."""
    parts = _services().parts
    row = lookup.visible_document(parts, path.document, caller=g.caller.agency)
    return _package(row)


def _package(row: DocumentRow) -> Response:
    """The sent bytes of a document; one byte range, so that a dropped link resumes where it broke."""
    parts = _services().parts
    size = row.forward_size if row.forward_size is not None else row.size
    start, end = 0, size
    status = 200
    if request.headers.get("If-None-Match", "").strip(' "') == row.sent_sha256:
        return Response(status=304, headers={"ETag": f'"{row.sent_sha256}"'})
    wanted = request.range
    if_range = request.headers.get("If-Range")
    if wanted is not None and (if_range is None or if_range.strip(' "') == row.sent_sha256):
        bounds = wanted.range_for_length(size)
        if bounds is None:
            return Response(status=416, headers={"Content-Range": f"bytes */{size}"})
        start, end = bounds
        status = 206

    # Opened before anything is said: a package that is not there must not begin as a 200.
    reader = lookup.open_package(parts, row.sent_sha256, start=start)

    def chunks() -> Iterator[bytes]:
        left = end - start
        while left and (chunk := reader.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk

    answer = Response(chunks(), status, content_type="application/xml")
    answer.call_on_close(reader.close)  # also when the client has gone, or asked for the head only
    answer.headers["Content-Length"] = str(end - start)
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["ETag"] = f'"{row.sent_sha256}"'
    answer.headers["Content-Disposition"] = f'attachment; filename="{row.id}.edxml"'
    if status == 206:
        answer.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return answer


@v1.get("/documents/<document>/trace", tags=[_TAGS["documents"]], summary="Its way so far", responses={"200": TraceOut})
def get_trace(path: DocumentPath) -> Response:
    """Every step, try and status."""
    trace = lookup.visible_trace(_services().parts, path.document, caller=g.caller.agency)
    return _answer(
        TraceOut(
            document=DocumentOut.of(trace.document),
            deliveries=[DeliveryOut.of(d) for d in trace.deliveries],
            attempts=[AttemptOut.of(a) for a in trace.attempts],
            statuses=[StatusOut.of(s) for s in trace.statuses],
            operations=[OperationOut.of(o) for o in trace.requests],
            events=[EventOut.of(e) for e in trace.events],
        )
    )


@v1.get(
    "/documents/<document>/evidence",
    tags=[_TAGS["documents"]],
    summary="What proves its way",
    responses={
        "200": {
            "description": "OK",
            "content": {
                EVIDENCE_TYPE: {"schema": {"type": "string", "format": "binary"}},
                "application/json": {
                    "schema": EvidenceOut.model_json_schema(ref_template="#/components/schemas/{model}")
                },
            },
        }
    },
)
def get_evidence(path: DocumentPath) -> Response:
    """
    One file with all evidence on the document (ASiC-E), which `gateway verify` checks offline.

    With `Accept: application/json` the short form: receipt, seal, verdict and statuses, with the certificate that
    signed the first two. The receipt's `jws` names it in `kid` by its SHA-256; `null` when the gateway does not have
    it any more.
    """
    parts, maker = _services().parts, _services().evidence
    trace = lookup.visible_trace(parts, path.document, caller=g.caller.agency)
    # Who accepts anything gets the file.
    wanted = request.accept_mimetypes.best_match([EVIDENCE_TYPE, "application/json"], default=EVIDENCE_TYPE)
    if maker is not None and wanted == EVIDENCE_TYPE:
        content = maker.export(trace, actor=g.caller.agency.code)
        # Named by the gateway's own id: numbers hold slashes, subjects hold anything.
        answer = send_file(content, EVIDENCE_TYPE, as_attachment=True, download_name=f"{trace.document.id}.asice")
        answer.content_length = content.seek(0, io.SEEK_END)
        content.seek(0)
        answer.vary.add("Accept")
        return answer
    receipt = ReceiptOut(**json.loads(trace.document.receipt))
    signer = _services().certificate(jwt.get_unverified_header(receipt.jws)["kid"])
    return _answer(
        EvidenceOut(
            receipt=receipt,
            seal=trace.document.seal.decode("utf-8"),
            certificate=signer.public_bytes(Encoding.PEM).decode("ascii") if signer else None,
            verdict=VerdictOut.of(trace.document.verdict),
            statuses=[StatusOut.of(s) for s in trace.statuses],
        )
    )


# The mailbox


@v1.get("/inbox", tags=[_TAGS["inbox"]], summary="Peek: what is to be collected", responses={"200": InboxOut})
def peek_inbox(query: InboxQuery) -> Response:
    """Most urgent first; looking changes nothing."""
    page = mailbox.peek(_services().parts, caller=g.caller.agency, limit=query.limit, after=query.cursor)
    answer = _answer(InboxOut(items=[InboxItemOut.of(r) for r in page.rows], next=page.next))
    _link_next(answer, page.next)
    return answer


@v1.post(
    "/inbox/<delivery>/lock",
    tags=[_TAGS["inbox"]],
    summary="Lock one for a while",
    description="The body may be empty (`{}`). Lock, fetch, store, acknowledge; a lock that ends gives it back.",
    responses={"200": LockOut},
)
def lock_delivery(path: DeliveryPath) -> Response:
    """Reserve one delivery."""
    services = _services()
    lock = mailbox.lock(
        services.parts, path.delivery, caller=g.caller.agency, lease=timedelta(seconds=services.mailbox_lease_seconds)
    )
    return _answer(LockOut(delivery=lock.delivery_id, token=lock.token, until=lock.until))


@v1.get(
    "/inbox/<delivery>/package",
    tags=[_TAGS["inbox"]],
    summary="Fetch its package",
    responses={"200": {"content": {"application/xml": {"schema": {"type": "string", "format": "binary"}}}}},
)
def fetch_package(path: DeliveryPath) -> Response:
    """The bytes; with `Range`, so that a dropped link resumes."""
    parts = _services().parts
    row = mailbox.hand_out(parts, path.delivery, caller=g.caller.agency)
    document = parts.ledger.document(row.document.id)
    if document is None:
        raise NotFound
    return _package(document)


@v1.post(
    "/inbox/<delivery>/ack",
    tags=[_TAGS["inbox"]],
    summary="Acknowledge: it is stored on the receiver's side",
    responses={"200": SettledOut},
)
def acknowledge_delivery(path: DeliveryPath, body: AckIn) -> Response:
    """Done; the sender gets status 01. Repeating it is harmless."""
    settled = mailbox.acknowledge(_services().parts, path.delivery, body.token, caller=g.caller.agency)
    return _answer(
        SettledOut(delivery=settled.delivery_id, state=settled.state, at=settled.at, repeated=settled.repeated)
    )


@v1.post(
    "/inbox/<delivery>/refuse",
    tags=[_TAGS["inbox"]],
    summary="Refuse it, with a reason",
    responses={"200": SettledOut},
)
def refuse_delivery(path: DeliveryPath, body: RefuseIn) -> Response:
    """Not taken; the sender gets status 02 with the reason."""
    settled = mailbox.refuse(_services().parts, path.delivery, body.token, reason=body.reason, caller=g.caller.agency)
    return _answer(
        SettledOut(delivery=settled.delivery_id, state=settled.state, at=settled.at, repeated=settled.repeated)
    )


# Statuses and agencies


@v1.post(
    "/statuses",
    tags=[_TAGS["statuses"]],
    summary="Report 02…06, 15, 16 on a received document, or ask for a sent one back (13)",
    description=(
        "On a document that still waits in the mailbox 02 alone; the others answer 409 `delivery.not_collected` until "
        "it is acknowledged. The gateway has sent 01 itself: repeating it answers 200 with that one's receipt."
    ),
    responses={"202": ReceiptOut, "200": ReceiptOut},
)
def post_status(body: StatusIn) -> Response:
    """The gateway writes the status package, signs it and sends it to the other side."""
    answer = statuses.report_status(
        _services().parts,
        caller=g.caller.agency,
        document_id=body.document,
        code=body.code,
        description=body.description,
        agency=AgencyCode(body.agency) if body.agency else None,
        reported_at=body.reported_at,
    )
    return _receipt(answer)


@v1.get("/agencies", tags=[_TAGS["agencies"]], summary="Find agencies", responses={"200": AgenciesOut})
def find_agencies(query: AgenciesQuery) -> Response:
    """By name or code, accents ignored; those that exist today."""
    parts = _services().parts
    found = parts.directory().search(query.q, query.limit, at=parts.clock())
    return _answer(AgenciesOut(agencies=[AgencyOut.of(a) for a in found]))


def invalid(error: ValidationError, where: str) -> RequestError:
    """A pydantic refusal in the gateway's words; the values themselves are not repeated."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    first = faults[0]
    path = ".".join([where, *(str(p) for p in first["loc"])])
    return RequestError("; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in faults[:10]), path=path)
