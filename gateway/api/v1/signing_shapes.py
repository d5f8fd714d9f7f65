"""What goes in and out of signing in two steps; as ``shapes``."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.exchange.signing_requests import HandedOut, PdfWishes, Registration
from gateway.ledger.records import SigningRequest, SigningState

_SHA256 = r"^[0-9a-f]{64}$"


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Out(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SigningPath(BaseModel):
    """A file that is signed in two steps."""

    signing: str = Field(max_length=64, description="The id that the first step answered")


class CertificatePath(BaseModel):
    """A certificate by its hash."""

    sha256: str = Field(pattern=_SHA256, description="SHA-256 of the DER, lower-case hex")


class PlaceIn(_In):
    """Where a picture goes, in millimetres from the page's lower left corner."""

    page: int = Field(default=-1, ge=-2000, le=2000, description="From 1; negative counts from the last")
    x_mm: float = Field(ge=0, le=5000)
    y_mm: float = Field(ge=0, le=5000)


class SigningIn(_In):
    """How a file is to be signed, and by whose certificate; who that is, person or agency, its registration says."""

    kind: Literal["pdf", "package"]
    certificate: str = Field(max_length=16 * 1024, description="PEM; registered for the calling agency")
    chain: list[str] = Field(default=[], max_length=5, description="PEM of the issuers, which a PDF carries along")
    pdf_form: Literal["issued", "copy", "annex"] = Field(
        default="issued",
        description="`issued`: the dispatch, the person before the agency; `copy`, `annex`: the agency alone",
    )
    package_form: Literal["xades", "xmldsig"] = "xades"
    place: PlaceIn | None = Field(default=None, description="Of the image; absent: where the decree wants it")
    width_mm: float | None = Field(default=None, gt=0, le=500, description="Of the image")
    number: str | None = Field(
        default=None, max_length=200, description="Number and notation, for the line at the top of a copy or an annex"
    )
    reason: str | None = Field(default=None, max_length=500)
    location: str | None = Field(default=None, max_length=500)

    def wishes(self, image: bytes | None) -> PdfWishes:
        """As the use case takes it."""
        place = None if self.place is None else (self.place.page, self.place.x_mm, self.place.y_mm)
        return PdfWishes(
            form=self.pdf_form,
            image=image,
            place=place,
            width_mm=self.width_mm,
            number=self.number,
            reason=self.reason,
            location=self.location,
        )


class SignatureIn(_In):
    """What the key has made of what was to be signed."""

    signature: str = Field(
        max_length=4096,
        description="Base64: RSA PKCS#1 v1.5; ECDSA as two numbers of the curve's width, or in DER",
    )


class SigningOut(_Out):
    """A file that is signed in two steps."""

    id: str
    state: SigningState
    kind: str
    certificate_sha256: str
    source_sha256: str
    size: int
    created_at: datetime
    expires_at: datetime
    """Until when the signature is awaited; once it is there, until when the file can be fetched."""
    sha256: str | None = Field(description="Of the signed file")
    signed_size: int | None
    stamped: bool = Field(description="Whether the signed file carries a time-stamp")
    file: str | None = Field(description="Where the signed file is")

    @classmethod
    def of(cls, request: SigningRequest) -> SigningOut:
        """As the ledger has it."""
        return cls(**_facts(request))


class PreparedOut(SigningOut):
    """The answer to the first step."""

    to_be_signed: str = Field(description="Base64: what the key signs, hashing it with `digest_algorithm`")
    digest: str = Field(description="Base64: that hash, for keys that are given the hash alone")
    digest_algorithm: str = Field(description="`sha256`, `sha384` or `sha512`: what the key's kind asks for")
    signature_algorithm: str = Field(description="The same as an XML-DSig URI")

    @classmethod
    def handed_out(cls, made: HandedOut) -> PreparedOut:
        """What was prepared."""
        return cls(
            **_facts(made.request),
            to_be_signed=b64encode(made.to_be_signed).decode("ascii"),
            digest=b64encode(made.digest).decode("ascii"),
            digest_algorithm=made.digest_algorithm,
            signature_algorithm=made.signature_algorithm,
        )


class RegistrationOut(_Out):
    """What the gateway says of a certificate before anybody signs with it."""

    sha256: str
    registered: bool
    role: str | None = Field(description="`person` or `agency`; absent: it is not registered for the calling agency")
    reason: str | None = Field(description="Why a signature by it would not be valid now, as verdicts name it")
    now: datetime = Field(description="The gateway's clock")

    @classmethod
    def of(cls, registration: Registration, now: datetime) -> RegistrationOut:
        """As the use case found it."""
        return cls(
            sha256=registration.sha256,
            registered=registration.role is not None,
            role=registration.role,
            reason=registration.reason,
            now=now,
        )


def _facts(request: SigningRequest) -> dict[str, Any]:
    return {
        "id": request.id,
        "state": request.state,
        "kind": request.kind,
        "certificate_sha256": request.certificate,
        "source_sha256": request.source_sha256,
        "size": request.size,
        "created_at": request.created_at,
        "expires_at": request.expires_at,
        "sha256": request.result_sha256,
        "signed_size": request.result_size,
        "stamped": request.stamped,
        "file": f"/api/v1/signing/{request.id}/file" if request.result_sha256 else None,
    }
