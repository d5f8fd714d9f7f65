"""
An authority's services over HTTP on the loopback: CRLs, OCSP and RFC 3161 time-stamps, with faults to choose.

``with PkiServer() as server: server.revoke(certificate, when); server.ocsp = Fault.DOWN``. Answers
are made afresh for every request, at the server's own ``clock``.
"""

from __future__ import annotations

import base64
import enum
import functools
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from gateway.signing.keys import SigningKey
from tests.support import pki


class Fault(enum.Enum):
    """What is wrong with a service, or with its answer for one certificate."""

    NONE = "none"
    DOWN = "down"
    """503 to everything."""
    CUT = "cut"
    """The connection ends without an answer."""
    HANGS = "hangs"
    """No answer until the server is closed."""
    STALE = "stale"
    """A true answer whose nextUpdate passed an hour ago."""
    SKEWED = "skewed"
    """A true answer by a clock that is 10 minutes fast: thisUpdate (or the stamp) lies in the future."""
    GARBAGE = "garbage"
    """200 with an HTML page, as from a captive portal."""
    FORGED = "forged"
    """Signed by somebody else than the authority."""
    REDIRECT = "redirect"
    """302 to another host."""
    ENDLESS = "endless"
    """A body that does not end (16 MB of it)."""
    REFUSES = "refuses"
    """A well-formed refusal of the protocol: OCSP tryLater, a TSA's rejection; 404 for a CRL."""


SKEW = timedelta(minutes=10)

_LISTS = {"intermediate.crl": pki.intermediate, "root.crl": pki.root, "rsa.crl": pki.rsa_authority}


class PkiServer:
    """
    The test authorities' services; see the module. A context manager.

    Every attribute may be changed while it runs. ``requests`` counts by ``"crl"``, ``"ocsp"``, ``"tsa"``.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC), *, port: int = 0) -> None:
        """
        :param clock: the authority's, aware; the machine's by default, ``lambda: pki.NOW`` for pure tests.
        :param port: 0: a free one.
        """
        self.clock = clock
        self.crl = Fault.NONE
        self.ocsp = Fault.NONE
        self.tsa = Fault.NONE
        self.of: dict[int, Fault] = {}
        """OCSP faults of single certificates, by serial number, before ``ocsp``."""
        self.unknown: set[int] = set()
        """Serial numbers that OCSP has never heard of."""
        self.revoked: dict[int, tuple[datetime, pki.Reason | None]] = {}
        self.authority: SigningKey | None = None
        """Who stamps; ``None``: :func:`pki.tsa`."""
        self.lasts = timedelta(hours=12)
        """From thisUpdate to nextUpdate."""
        self.requests: Counter[str] = Counter()
        self.paths: list[str] = []
        self.closing = threading.Event()
        self._server = _Server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> PkiServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port/``, the prefix of all that follow."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    @property
    def crl_url(self) -> str:
        """The intermediate's CRL."""
        return self.url + "crl/intermediate.crl"

    @property
    def root_crl_url(self) -> str:
        """The root's CRL, which is about the intermediate."""
        return self.url + "crl/root.crl"

    @property
    def ocsp_url(self) -> str:
        """OCSP of the root and the intermediate, by POST and GET."""
        return self.url + "ocsp"

    @property
    def tsa_url(self) -> str:
        """RFC 3161 over HTTP."""
        return self.url + "tsa"

    def revoke(
        self, certificate: x509.Certificate, when: datetime, reason: pki.Reason | None = pki.Reason.key_compromise
    ) -> None:
        """From now on both CRL and OCSP say that it was revoked at ``when``."""
        self.revoked[certificate.serial_number] = (when, reason)

    # Answers

    def crl_answer(self, issuer: SigningKey) -> bytes:
        """The CRL of one authority as ``crl`` would have it."""
        this_update, next_update = self._span(self.crl)
        signer = pki.stranger() if self.crl is Fault.FORGED else None
        return pki.crl(issuer, self.revoked, this_update=this_update, next_update=next_update, signer=signer)

    def ocsp_answer(self, request: bytes) -> bytes:
        """The OCSP answer to one request."""
        asked = ocsp.load_der_ocsp_request(request)
        serial = asked.serial_number
        fault = self.of.get(serial, self.ocsp)
        issuer = _issuer_of(asked)
        if fault is Fault.REFUSES or issuer is None:
            status = ocsp.OCSPResponseStatus.TRY_LATER if issuer else ocsp.OCSPResponseStatus.UNAUTHORIZED
            return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(serialization.Encoding.DER)
        this_update, next_update = self._span(fault)
        nonces = [e.value.nonce for e in asked.extensions if isinstance(e.value, x509.OCSPNonce)]
        return pki.ocsp_response(
            serial,
            issuer=issuer,
            revoked=self.revoked.get(serial),
            unknown=serial in self.unknown,
            this_update=this_update,
            next_update=next_update,
            responder=pki.stranger() if fault is Fault.FORGED else None,
            nonce=nonces[0] if nonces else None,
            algorithm=asked.hash_algorithm,
        )

    def tsa_answer(self, request: bytes) -> bytes:
        """The time-stamp that was asked for."""
        if self.tsa is Fault.REFUSES:
            return pki.timestamp_refusal()
        at = self.clock() + (SKEW if self.tsa is Fault.SKEWED else timedelta(0))
        authority = pki.tsa_stranger() if self.tsa is Fault.FORGED else self.authority
        return pki.timestamp_answer(request, at=at, authority=authority)

    def _span(self, fault: Fault) -> tuple[datetime, datetime]:
        start = self.clock().replace(microsecond=0) - timedelta(minutes=1)
        if fault is Fault.STALE:
            start -= self.lasts + timedelta(hours=1)
        elif fault is Fault.SKEWED:
            start += SKEW + timedelta(minutes=1)
        return start, start + self.lasts


def _issuer_of(request: ocsp.OCSPRequest) -> SigningKey | None:
    for issuer in (pki.intermediate(), pki.root(), pki.rsa_authority()):
        digest = hashes.Hash(request.hash_algorithm)
        digest.update(issuer.certificate.subject.public_bytes())
        if digest.finalize() == request.issuer_name_hash:
            return issuer
    return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers["Content-Length"])))

    def _serve(self, body: bytes) -> None:
        pki_server = self.server.pki
        service, _, rest = self.path.lstrip("/").partition("/")
        pki_server.requests[service] += 1
        pki_server.paths.append(self.path)
        make: Callable[[], bytes]
        match service:
            case "crl" if rest in _LISTS:
                fault, media_type = pki_server.crl, "application/pkix-crl"
                make = functools.partial(pki_server.crl_answer, _LISTS[rest]())
            case "ocsp":
                request = body or base64.b64decode(urllib.parse.unquote(rest))
                serial = ocsp.load_der_ocsp_request(request).serial_number
                fault, media_type = pki_server.of.get(serial, pki_server.ocsp), "application/ocsp-response"
                make = functools.partial(pki_server.ocsp_answer, request)
            case "tsa":
                fault, media_type = pki_server.tsa, "application/timestamp-reply"
                make = functools.partial(pki_server.tsa_answer, body)
            case _:
                self._answer(404, "text/plain", b"")
                return
        if not self._failed(fault, service):
            self._answer(200, media_type, make())

    def _failed(self, fault: Fault, service: str) -> bool:
        """Answer in the way of a fault of transport; False when the fault is in the answer's content."""
        match fault:
            case Fault.DOWN:
                self._answer(503, "text/plain", b"")
            case Fault.CUT:
                self.close_connection = True
            case Fault.HANGS:
                self.server.pki.closing.wait(60)
                self.close_connection = True
            case Fault.GARBAGE:
                self._answer(200, "text/html", b"<html>Please log in</html>")
            case Fault.REDIRECT:
                self._answer(302, "text/plain", b"", ("Location", "http://127.0.0.2:9/elsewhere"))
            case Fault.ENDLESS:
                self._answer(200, "application/octet-stream", bytes(16 * 1024 * 1024))
            case Fault.REFUSES if service == "crl":
                self._answer(404, "text/plain", b"")
            case _:
                return False
        return True

    def _answer(self, status: int, media_type: str, body: bytes, *headers: tuple[str, str]) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # The asker may have had enough of it.

    def log_message(self, *args: object) -> None:
        """Tests read ``requests`` and ``paths`` instead."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, pki_server: PkiServer, port: int) -> None:
        self.pki = pki_server
        super().__init__(("127.0.0.1", port), _Handler)
