"""Signing in two steps: a file in, what is to be signed out; then a signature in, and the signed file out."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from cryptography import x509
from flask import Response, current_app, g, request
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ValidationError

from gateway.api.multipart import FORM, FilePart, Form
from gateway.api.services import Services
from gateway.api.v1.routes import invalid, v1
from gateway.api.v1.signing_shapes import (
    CertificatePath,
    PreparedOut,
    RegistrationOut,
    SignatureIn,
    SigningIn,
    SigningOut,
    SigningPath,
)
from gateway.errors import BodyTooLarge, NotFound, RequestError, SigningCertificateUnusable
from gateway.exchange.signing_requests import IMAGE_BYTES_MAX, Signings
from gateway.exchange.upload import Upload, receive

_TAG = Tag(name="signing", description="Sign a file with a key that the gateway never sees")
_MEDIA_TYPES = {"pdf": "application/pdf", "package": "application/xml"}
_CHUNK = 256 * 1024


def _services() -> Services:
    services: Services = current_app.extensions["gateway"]
    return services


def _signings() -> Signings:
    signings = _services().signings
    if signings is None:
        raise NotFound("This gateway does not prepare files for signing.")
    return signings


def _answer(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(model.model_dump_json(), status, headers, content_type="application/json; charset=utf-8")


@v1.post(
    "/signing",
    tags=[_TAG],
    summary="First step: prepare a file, and say what is to be signed",
    description=(
        "A form with the part `options` (JSON, see SigningIn), the part `file`, and, for a picture in a PDF, the part "
        "`image` (PNG with a transparent background). The key signs `to_be_signed` as it is, hashing it itself, or is "
        "given `digest`."
    ),
    responses={"201": PreparedOut},
    openapi_extensions={
        "requestBody": {
            "required": True,
            "content": {
                FORM: {
                    "schema": {
                        "type": "object",
                        "required": ["options", "file"],
                        "properties": {
                            "options": SigningIn.model_json_schema(ref_template="#/components/schemas/{model}"),
                            "file": {"type": "string", "format": "binary"},
                            "image": {"type": "string", "format": "binary"},
                        },
                    }
                }
            },
        }
    },
)
def prepare_signing() -> Response:
    """The certificate must be the calling agency's, and good now."""
    signings = _signings()
    signings.check_room(g.caller.agency)
    with ExitStack() as stack:
        posted = _posted(signings, stack)
        wanted = posted.options
        certificate, *others = _certificates([wanted.certificate, *wanted.chain])
        if wanted.kind == "pdf":
            made = signings.prepare_pdf(
                g.caller.agency,
                posted.file,
                certificate=certificate,
                chain=others,
                wishes=wanted.wishes(posted.image),
            )
        else:
            made = signings.prepare_package(
                g.caller.agency, posted.file, certificate=certificate, form=wanted.package_form
            )
    body = PreparedOut.handed_out(made)
    return _answer(body, 201, {"Location": f"/api/v1/signing/{body.id}"})


@dataclass(frozen=True, kw_only=True)
class _Posted:
    """The parts of the form."""

    options: SigningIn
    file: Upload
    image: bytes | None


def _posted(signings: Signings, stack: ExitStack) -> _Posted:
    """Read the form to its end, in whatever order its parts come."""
    form = Form(request.stream, request.content_type, files={"file", "image"})
    file: Upload | None = None
    image: bytes | None = None
    while (part := form.next_file()) is not None:
        if part.name == "image":
            image = _image(part)
            continue
        if file is not None:
            raise RequestError("One file is signed at a time.", path="file")
        file = stack.enter_context(
            receive(
                part,
                expected=None,
                limit_bytes=signings.rules.largest_bytes,
                inline_bytes=0,
                spool=_services().parts.spool,
            )
        )
    g.body_read = True
    if file is None:
        raise RequestError("The part `file` is missing.", path="file")
    if "options" not in form.fields:
        raise RequestError("The part `options` is missing.", path="options")
    try:
        options = SigningIn.model_validate_json(form.fields["options"])
    except ValidationError as e:
        raise invalid(e, "options") from e
    signings.check_room(g.caller.agency, file.size)
    return _Posted(options=options, file=file, image=image)


def _image(part: FilePart) -> bytes:
    raw = bytearray()
    while piece := part.read(_CHUNK):
        raw += piece
        if len(raw) > IMAGE_BYTES_MAX:
            raise BodyTooLarge(f"The image has more than {IMAGE_BYTES_MAX} bytes.")
    return bytes(raw)


def _certificates(texts: list[str]) -> list[x509.Certificate]:
    found = []
    for text in texts:
        try:
            found.append(x509.load_pem_x509_certificate(text.encode()))
        except (ValueError, x509.InvalidVersion) as e:
            raise SigningCertificateUnusable("The certificate is not PEM.", path="options.certificate") from e
    return found


@v1.get("/signing/<signing>", tags=[_TAG], summary="How far a file is", responses={"200": SigningOut})
def get_signing(path: SigningPath) -> Response:
    """The calling agency's own."""
    return _answer(SigningOut.of(_signings().find(g.caller.agency, path.signing)))


@v1.post(
    "/signing/<signing>/complete",
    tags=[_TAG],
    summary="Second step: send the signature",
    description=(
        "The same signature again answers as the first time; another one 409 `signing.completed`. What is no signature "
        "of the prepared certificate over what was to be signed answers 422 `signing.mismatch`, and the file waits on."
    ),
    responses={"200": SigningOut},
)
def complete_signing(path: SigningPath, body: SignatureIn) -> Response:
    """The file is then fetched, and posted as any other."""
    try:
        signature = b64decode(body.signature, validate=True)
    except ValueError as e:
        raise RequestError("The signature is not Base64.", path="signature") from e
    return _answer(SigningOut.of(_signings().complete(g.caller.agency, path.signing, signature)))


@v1.get(
    "/signing/<signing>/file",
    tags=[_TAG],
    summary="The signed file",
    responses={"200": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
def get_signed_file(path: SigningPath) -> Response:
    """Its bytes, as often as they are asked for until `expires_at`."""
    found, content = _signings().open_signed(g.caller.agency, path.signing)

    def chunks() -> Iterator[bytes]:
        with content:
            while chunk := content.read(_CHUNK):
                yield chunk

    suffix = {"pdf": "pdf", "package": "edxml"}[found.kind]
    response = Response(
        chunks(),
        headers={
            "Content-Length": str(found.result_size),
            # The sender's name of it is his own; ours holds nothing to be escaped.
            "Content-Disposition": f'attachment; filename="signed-{found.id}.{suffix}"',
            "ETag": f'"{found.result_sha256}"',
        },
        content_type=_MEDIA_TYPES[found.kind],
    )
    # Also when nothing of it is read, as for HEAD.
    response.call_on_close(content.close)
    return response


@v1.delete("/signing/<signing>", tags=[_TAG], summary="Forget a file, signed or not")
def cancel_signing(path: SigningPath) -> Response:
    """Its files are gone at once."""
    _signings().cancel(g.caller.agency, path.signing)
    return Response(status=204)


@v1.get(
    "/signing/certificates/<sha256>",
    tags=[_TAG],
    summary="Whether a certificate can sign for the calling agency now",
    responses={"200": RegistrationOut},
)
def get_certificate(path: CertificatePath) -> Response:
    """For a preflight, with the gateway's clock to compare with."""
    registration = _signings().registration(g.caller.agency, path.sha256)
    return _answer(RegistrationOut.of(registration, _services().parts.clock()))
