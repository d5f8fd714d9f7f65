"""
Signing in two steps: the gateway prepares a file and finishes it, the key between the two is somebody else's.

What is handed out is what the key signs; what comes back must be that certificate's signature over just that. The
files wait in a folder of their own, and go when their time is over.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Literal

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.directory import registered_certificates
from gateway.errors import (
    BodyTooLarge,
    GatewayError,
    KeyUnusable,
    LedgerUnavailable,
    NotFound,
    PayloadMissing,
    SigningCertificateUnknown,
    SigningCertificateUnusable,
    SigningCompleted,
    SigningExpired,
    SigningMismatch,
    SigningNotCompleted,
)
from gateway.exchange.parts import Parts
from gateway.exchange.upload import Upload, unwritten
from gateway.ledger.records import SigningBounds, SigningRequest, SigningState, new_id
from gateway.model import Agency, RegisteredCertificate, SignerRole
from gateway.signing.apart import PreparedApart
from gateway.signing.keys import fingerprint, known, scheme_of
from gateway.signing.pdf_sign import IMAGE_BYTES_MAX, PdfForm, PdfSignOptions, Place
from gateway.signing.policy import Reason
from gateway.signing.prepare import (
    PackageForm,
    Prepared,
    PreparedKind,
    check_signature,
    complete_package,
    complete_pdf,
    prepare_package,
)

__all__ = ["IMAGE_BYTES_MAX", "HandedOut", "PdfWishes", "Registration", "SigningRules", "Signings", "Stamp"]

_log = structlog.get_logger()

_SOURCE, _PREPARED = "source", "prepared"
_SWEEP_EVERY = timedelta(minutes=1)
_STRAY_AFTER = timedelta(hours=1)
"""A folder without a request may be one that is being made; after an hour it is what a power cut has left."""
_MOST_STRAYS = 500
_ROLES = {"agency": SignerRole.AGENCY, "person": SignerRole.PERSON}

Stamp = Callable[[bytes], bytes | None]
"""Asks for a time-stamp over a SHA-256; ``None`` when no authority answers now."""


@dataclass(frozen=True, kw_only=True)
class SigningRules:
    """How long files wait, and how many of one agency."""

    wait: timedelta = timedelta(minutes=15)
    """For the signature."""
    kept: timedelta = timedelta(hours=1)
    """From the signature on, to be fetched."""
    bounds: SigningBounds = field(default_factory=lambda: SigningBounds(number=50, bytes=1024**3))
    largest_bytes: int = 64 * 1024**2


@dataclass(frozen=True, kw_only=True)
class PdfWishes:
    """How a PDF is to be signed; in which role is the certificate's registration to say."""

    form: Literal["issued", "copy", "annex"] = "issued"
    """A dispatch is signed by the person before the agency; copies and annexes by the agency alone (domain §4.2)."""
    image: bytes | None = None
    """PNG, untrusted; at most ``IMAGE_BYTES_MAX``."""
    place: tuple[int, float, float] | None = None
    """Page (from 1, negative from the last), and millimetres from its lower left corner; ``None``: by the decree."""
    width_mm: float | None = None
    number: str | None = None
    """Number and notation for the line on copies and annexes."""
    reason: str | None = None
    location: str | None = None

    def options(self, role: SignerRole) -> PdfSignOptions:
        """As ``gateway.signing`` takes it. That the agency signs before the person cannot be wished for."""
        place = None if self.place is None else Place(page=self.place[0], x_mm=self.place[1], y_mm=self.place[2])
        return PdfSignOptions(
            role=role,
            form=PdfForm(self.form),
            image=self.image,
            place=place,
            width_mm=self.width_mm,
            number=self.number,
            reason=self.reason,
            location=self.location,
        )


@dataclass(frozen=True, kw_only=True)
class HandedOut:
    """The first step's result: the request, and what the key is to do."""

    request: SigningRequest
    to_be_signed: bytes
    digest: bytes
    """Of ``to_be_signed``."""
    digest_algorithm: str
    """hashlib's name."""
    signature_algorithm: str
    """XML-DSig URI."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What the gateway says of a certificate before anything is signed with it."""

    sha256: str
    role: str | None
    """``agency`` or ``person``; ``None``: it is not registered for the agency now."""
    reason: str | None
    """Why a signature by it would not be valid now, as verdicts name it; ``None``: nothing is known against it."""


class Signings:
    """The files that wait for a signature, in one folder; safe for several threads and processes."""

    def __init__(
        self,
        parts: Callable[[], Parts],
        folder: Path,
        *,
        rules: SigningRules | None = None,
        apart: PreparedApart | None = None,
        stamp: Stamp | None = None,
    ) -> None:
        """
        Use a folder.

        :param parts: asked once per use.
        :param folder: made when first used, for nobody but the gateway; shared by its processes.
        :param stamp: ``None``: no time-stamp authority is configured.
        """
        self._parts = parts
        self._folder = folder
        self.rules = rules or SigningRules()
        self._apart = apart or PreparedApart()
        self._stamp = stamp

    # The first step

    def registration(self, agency: Agency, sha256: str) -> Registration:
        """What a signature by one of an agency's certificates would be worth now."""
        parts = self._parts()
        now = parts.clock()
        found = _registered(agency, sha256, now)
        if found is None:
            return Registration(sha256=sha256, role=None, reason=None)
        reason = _why_not(parts, agency, x509.load_pem_x509_certificate(found.pem.encode()), now)
        return Registration(sha256=sha256, role=found.role, reason=reason)

    def check_room(self, agency: Agency, size: int = 0) -> None:
        """
        Whether one more file may come; asked before it is read.

        :raises TooManySignings: it may not.
        :raises BodyTooLarge: no file of so many bytes may.
        """
        if size > self.rules.largest_bytes:
            raise BodyTooLarge(f"A file to be signed has at most {self.rules.largest_bytes} bytes.")
        parts = self._parts()
        parts.ledger.check_signing_room(agency.code, size, self.rules.bounds, now=parts.clock())

    def prepare_pdf(
        self,
        agency: Agency,
        upload: Upload,
        *,
        certificate: x509.Certificate,
        chain: Sequence[x509.Certificate] = (),
        wishes: PdfWishes,
    ) -> HandedOut:
        """
        Make a PDF wait for its signature.

        :param upload: untrusted; the caller closes it.
        :raises SigningCertificateUnknown, SigningCertificateUnusable: the certificate may not sign, or not now.
        :raises FileNotSignable, PersonSignatureMissing, SigningImageUnusable: the file or how it is to be signed.
        :raises TooManySignings: the agency has as many files as it may.
        """
        parts = self._parts()
        now = parts.clock()
        role = self._role(parts, agency, certificate, now)
        with self._new_folder(upload) as (request_id, own):
            prepared = self._apart.prepare(
                own / _SOURCE,
                own / _PREPARED,
                certificate=certificate,
                chain=chain,
                options=wishes.options(role),
                at=now,
            )
            # The prepared file holds all of it.
            (own / _SOURCE).unlink()
            return self._keep(parts, agency, upload, prepared, request_id=request_id, now=now)

    def prepare_package(
        self,
        agency: Agency,
        upload: Upload,
        *,
        certificate: x509.Certificate,
        form: Literal["xades", "xmldsig"] = "xades",
    ) -> HandedOut:
        """
        Make an edXML package wait for its signature.

        :raises SigningCertificateUnknown, SigningCertificateUnusable, TooManySignings: as ``prepare_pdf``.
        :raises DocumentError: it cannot be read, is signed already, or no signature over it would be accepted.
        """
        parts = self._parts()
        now = parts.clock()
        self._role(parts, agency, certificate, now)
        with self._new_folder(upload) as (request_id, own):
            prepared = prepare_package(
                own / _SOURCE,
                certificate=certificate,
                form=PackageForm(form),
                at=now,
                limits=parts.rules.limits,
                spool=parts.spool,
            )
            return self._keep(parts, agency, upload, prepared, request_id=request_id, now=now)

    def _role(
        self,
        parts: Parts,
        agency: Agency,
        certificate: x509.Certificate,
        now: datetime,
        *,
        path: str | None = "options.certificate",
    ) -> SignerRole:
        """Whom the certificate signs for is the directory's to say, never the request's (design D2)."""
        found = _registered(agency, fingerprint(certificate), now)
        if found is None:
            raise SigningCertificateUnknown(path=path)
        reason = _why_not(parts, agency, certificate, now)
        if reason is not None:
            raise SigningCertificateUnusable(f"A signature by this certificate would be judged {reason}.", path=path)
        return _ROLES[found.role]

    @contextmanager
    def _new_folder(self, upload: Upload) -> Iterator[tuple[str, Path]]:
        """A new id and its folder with the file in it; gone again when the block fails."""
        request_id = new_id()
        own = self._folder / request_id
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            own.mkdir(mode=0o700)
            with upload.open() as source, (own / _SOURCE).open("xb") as copy:
                shutil.copyfileobj(source, copy)
        except OSError as e:
            self._remove(request_id)
            raise unwritten(e) from e
        try:
            yield request_id, own
        except OSError as e:
            self._remove(request_id)
            raise unwritten(e) from e
        except BaseException:
            self._remove(request_id)
            raise

    def _keep(
        self, parts: Parts, agency: Agency, upload: Upload, prepared: Prepared, *, request_id: str, now: datetime
    ) -> HandedOut:
        request = SigningRequest(
            id=request_id,
            agency=agency.code,
            state=SigningState.PREPARED,
            certificate=fingerprint(prepared.certificate),
            kind=prepared.kind.value,
            source_sha256=upload.sha256,
            size=upload.size,
            prepared=prepared.state,
            created_at=now,
            expires_at=now + self.rules.wait,
        )
        parts.ledger.add_signing(request, self.rules.bounds)
        return HandedOut(
            request=request,
            to_be_signed=prepared.to_be_signed,
            digest=prepared.digest,
            digest_algorithm=prepared.digest_algorithm,
            signature_algorithm=prepared.signature_algorithm,
        )

    # The second step

    def find(self, agency: Agency, request_id: str) -> SigningRequest:
        """
        One of the agency's.

        :raises NotFound: there is none, or it is another's.
        :raises SigningExpired: its time is over.
        """
        parts = self._parts()
        found = parts.ledger.signing(request_id, agency.code)
        if found is None:
            raise NotFound
        if found.expires_at <= parts.clock():
            raise SigningExpired
        return found

    def complete(self, agency: Agency, request_id: str, signature: bytes) -> SigningRequest:
        """
        Put the signature into the file; the same signature again changes nothing.

        A time-stamp is asked for where an authority is configured; without one the file is complete all the same.

        :param signature: over what was handed out; untrusted. EC also in DER, as OpenSSL writes it.
        :raises NotFound, SigningExpired: as ``find``.
        :raises SigningCertificateUnknown, SigningCertificateUnusable: since it was prepared the certificate has ended.
        :raises SigningMismatch: it is no signature by the prepared certificate over that; recorded, and the request
            stays open.
        :raises SigningCompleted: it was completed with another signature.
        """
        parts = self._parts()
        request = self.find(agency, request_id)
        prepared = Prepared.from_state(request.prepared)
        value = _plain(prepared.certificate, signature)
        name = hashlib.sha256(value).hexdigest()
        if request.state is SigningState.COMPLETED:
            return _as_completed(request, name)
        # Whoever took a stolen key back between the steps is not to see it stamped now.
        self._role(parts, agency, prepared.certificate, parts.clock(), path=None)
        try:
            check_signature(prepared, value)
        except SigningMismatch:
            parts.ledger.note_signing_mismatch(request, now=parts.clock())
            raise
        token = self._token(prepared, value)
        try:
            sha256, size = self._write(request_id, prepared, value, token)
        except PayloadMissing:
            # It has been cancelled, swept or completed by another meanwhile.
            found = self.find(agency, request_id)
            if found.state is SigningState.COMPLETED:
                return _as_completed(found, name)
            raise
        now = parts.clock()
        done = parts.ledger.complete_signing(
            request_id,
            agency.code,
            signature_sha256=name,
            result_sha256=sha256,
            result_size=size,
            stamped=token is not None,
            now=now,
            kept_until=now + self.rules.kept,
        )
        self._keep_only(done)
        return done

    def _keep_only(self, done: SigningRequest) -> None:
        """The signed file: neither what it was made of, nor what another process made of it at that moment."""
        with suppress(OSError):  # the sweep removes all of it
            for file in (self._folder / done.id).iterdir():
                if file.name != done.result_sha256:
                    file.unlink(missing_ok=True)

    def _token(self, prepared: Prepared, signature: bytes) -> bytes | None:
        """A time-stamp where the form carries one and an authority answers."""
        if self._stamp is None or not prepared.carries_stamp:
            return None
        return self._stamp(hashlib.sha256(prepared.stamped_part(signature)).digest())

    def _write(self, request_id: str, prepared: Prepared, signature: bytes, token: bytes | None) -> tuple[str, int]:
        """The signed file, durable under the hash of its content: two at the same moment do not meet."""
        own = self._folder / request_id
        part = own / f"part-{new_id()}"
        try:
            if prepared.kind is PreparedKind.PDF:
                complete_pdf(prepared, signature, prepared_file=own / _PREPARED, out=part, timestamp=token)
            else:
                complete_package(
                    prepared,
                    signature,
                    source=own / _SOURCE,
                    out=part,
                    limits=self._parts().rules.limits,
                    timestamp=token,
                )
            with part.open("rb") as written:
                sha256 = hashlib.file_digest(written, "sha256").hexdigest()
                size = written.tell()
                os.fsync(written.fileno())
            part.replace(own / sha256)
            _sync_folder(own)
        except FileNotFoundError as e:
            raise PayloadMissing("The prepared file is not on this machine, or has been cleared away.") from e
        except OSError as e:
            raise unwritten(e) from e
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        return sha256, size

    def open_signed(self, agency: Agency, request_id: str) -> tuple[SigningRequest, BinaryIO]:
        """
        The signed file, from its first byte; the caller closes it.

        :raises NotFound, SigningExpired: as ``find``.
        :raises SigningNotCompleted: it has no signature yet.
        """
        request = self.find(agency, request_id)
        if request.result_sha256 is None:
            raise SigningNotCompleted
        try:
            return request, (self._folder / request_id / request.result_sha256).open("rb")
        except FileNotFoundError as e:
            raise PayloadMissing("The signed file is not on this machine, or has been cleared away.") from e
        except OSError as e:
            raise unwritten(e) from e

    def cancel(self, agency: Agency, request_id: str) -> None:
        """
        Forget a file, signed or not.

        :raises NotFound: there is none, or it is another's.
        """
        parts = self._parts()
        parts.ledger.cancel_signing(request_id, agency.code, now=parts.clock())
        self._remove(request_id)

    # Clearing away

    def sweep(self) -> int:
        """Remove what is over, and folders that no request knows; how many requests that were."""
        parts = self._parts()
        now = parts.clock()
        over = parts.ledger.expire_signings(now=now)
        for request_id in over:
            self._remove(request_id)
        strays = [entry.name for entry in self._entries() if _age(entry, datetime.now(UTC)) > _STRAY_AFTER]
        for request_id in set(strays) - parts.ledger.known_signings(strays):
            self._remove(request_id)
        return len(over)

    def run(self, stop: threading.Event) -> None:
        """Sweep now and every minute until told to stop."""
        while True:
            try:
                self.sweep()
            except LedgerUnavailable as error:
                _log.warning("sweep of signings failed", action="signing.sweep_failed", code=error.code)
            except GatewayError as error:
                _log.error("sweep of signings failed", action="signing.sweep_failed", code=error.code)
            if stop.wait(_SWEEP_EVERY.total_seconds()):
                return

    def _entries(self) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._folder) as entries:
                return [e for e, _ in zip(entries, range(_MOST_STRAYS), strict=False)]
        except OSError:
            return []  # nobody has signed anything here yet

    def _remove(self, request_id: str) -> None:
        shutil.rmtree(self._folder / request_id, ignore_errors=True)


def _as_completed(request: SigningRequest, signature_sha256: str) -> SigningRequest:
    """
    A completed request, for whoever brings the signature that completed it.

    :raises SigningCompleted: it was another.
    """
    if request.signature_sha256 != signature_sha256:
        raise SigningCompleted
    return request


def _registered(agency: Agency, sha256: str, now: datetime) -> RegisteredCertificate | None:
    return next((c for c in registered_certificates(agency, at=now) if c.sha256 == sha256), None)


def _why_not(parts: Parts, agency: Agency, certificate: x509.Certificate, now: datetime) -> str | None:
    """Why a signature by it would not be valid now; revocation that is not known is not held against it."""
    parts.freshen()
    finding = parts.anchors.judge(
        known(certificate),
        at=now,
        tolerate_sha1=agency.tolerate_sha1,
        minimum_rsa_bits=parts.rules.minimum_rsa_bits,
        tolerate_rsa_1024=agency.tolerate_rsa_1024,
    )
    if finding.reason is not None:
        return str(finding.reason)
    try:
        scheme_of(certificate)
    except KeyUnusable:
        # What is tolerated of old signatures is not made anew.
        return str(Reason.KEY_TOO_SMALL)
    return None


def _plain(certificate: x509.Certificate, signature: bytes) -> bytes:
    """An EC signature as two numbers of the curve's width, also where it came in DER; others as they are."""
    width = scheme_of(certificate).width
    if width is None or len(signature) == 2 * width:
        return signature
    try:
        r, s = decode_dss_signature(signature)
        return r.to_bytes(width, "big") + s.to_bytes(width, "big")
    except (ValueError, OverflowError):
        return signature


def _age(entry: os.DirEntry[str], now: datetime) -> timedelta:
    """By the disk's clock, which is the machine's."""
    try:
        return now - datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, UTC)
    except OSError:
        return timedelta()


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows keeps directory entries by itself and cannot open folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
