"""
The gateway's key in a token, for all processes of one machine: one of them holds the token, the others ask it.

Whoever needs the key first takes a lock and listens on a socket in the keys' folder; when that
process ends, the kernel frees the lock and the next one that needs the key takes over, with the
PIN that the machine is given. So there is one session at the token, nothing to supervise, and
killing any process costs one signature a second try. docs/decisions/0033.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import struct
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import KeyUnusable, SigningProcessGone, TokenUnusable, every_error
from gateway.signing.keys import fingerprint, scheme_of
from gateway.signing.token import Token, TokenKey

_log = structlog.get_logger(__name__)

_SOCKET, _LOCK = "token.sock", "token.lock"
_PATH_MAX = 100
"""Bytes of a socket's path that every system takes (sun_path has 104 or 108)."""
_MESSAGE_MAX = 4 * 1024 * 1024
"""What is signed: receipts, seals, SignedInfo; the largest are some hundred kilobytes."""
_PATIENCE = 20.0
"""Seconds that an answer may take: a slow token with others in line before us."""
_IN_LINE = 15.0
"""Seconds of them that a request may wait for those before it: fewer, so that who asked hears why it was not done."""
_TAKE_OVER = 5.0
"""Seconds in which somebody must hold the token."""
_SHORTAGE = 0.2
"""Seconds until the next try to listen, when the system refused."""
_WHO, _SIGN, _CHECK = b"W", b"S", b"C"
_OK, _FAILED = b"+", b"-"
_ERRORS = {error.code: error for error in every_error(KeyUnusable)}
_BROKEN = (OSError, EOFError)


class SharedTokenKey:
    """A key in a token as a :class:`gateway.signing.keys.Signer`, wherever on this machine the session is."""

    def __init__(self, token: Token, *, folder: Path, certificate_label: str | None = None) -> None:
        """
        Ask for the certificate; the token is opened here only if nobody else has it.

        :param token: used when this process holds it.
        :param folder: of the keys: the same for all processes, closed to other users.
        :param certificate_label: ``None``: the token's only one that can sign.
        :raises TokenUnusable: as ``Token``.
        """
        self._token = token
        self._label = certificate_label
        self._folder = folder
        self._lock = threading.Lock()
        self._holding: _Holding | None = None
        try:
            ders = [b64decode(c) for c in json.loads(self._ask(_WHO))]
        except BaseException:
            self.close()  # Nobody else could: whoever asked for this key has not got it.
            raise
        self.certificate, *issuers = [x509.load_der_x509_certificate(der) for der in ders]
        scheme = scheme_of(self.certificate)
        self.chain = tuple(issuers)
        self.algorithm = scheme.xmldsig
        self.jws_algorithm = scheme.jws
        self.certificate_der = ders[0]
        self.certificate_sha256 = fingerprint(self.certificate)

    def sign(self, data: bytes) -> bytes:
        """See :meth:`gateway.signing.keys.Signer.sign`; raises as ``Token.sign``, and SigningProcessGone."""
        return self._ask(_SIGN, data)

    def check(self) -> None:
        """
        See that the token could sign; nothing is signed, and no PIN is tried.

        :raises TokenUnusable: it could not.
        """
        self._ask(_CHECK)

    @property
    def holds_token(self) -> bool:
        """Whether the session is in this process."""
        return self._holding is not None

    def close(self) -> None:
        """Let another process take over."""
        with self._lock:
            holding, self._holding = self._holding, None
        if holding is not None:
            holding.close()

    def _ask(self, what: bytes, data: bytes = b"") -> bytes:
        """The answer of whoever holds the token, who may be this process."""
        ends = time.monotonic() + _TAKE_OVER
        while True:
            with self._lock:
                holding = self._holding = self._holding or self._try_to_hold()
            if holding is not None:
                return holding.answer(what, data)
            try:
                return _exchange(self._folder, what + data)
            except _BROKEN as e:
                # It is ending, or has not begun to listen; the lock tells which.
                if time.monotonic() > ends:
                    raise SigningProcessGone from e
                time.sleep(0.02)

    def _try_to_hold(self) -> _Holding | None:
        """
        The token for this process, unless another one has it.

        :raises TokenUnusable: the keys' folder cannot be used for that.
        """
        with contextlib.ExitStack() as undone:
            try:
                lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                undone.callback(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                holding = _Holding(self._token, self._label, self._folder, lock)
            except BlockingIOError:
                return None
            except OSError as e:
                raise TokenUnusable(f"The token cannot be shared in the folder {self._folder}: {e.strerror}.") from e
            undone.pop_all()
        return holding


class _Holding:
    """The one session, and the socket on which other processes ask for it."""

    def __init__(self, token: Token, label: str | None, folder: Path, lock: int) -> None:
        self._token = token
        self._label = label
        self._key: TokenKey | None = None
        self._lock_file = lock
        self._ended = threading.Event()
        self._turn = threading.Lock()
        with _address(folder, new=True) as address, contextlib.ExitStack() as undone:
            self._listener = undone.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            self._listener.bind(address)
            Path(address).chmod(0o600)  # Before it listens, so nobody else was ever let in.
            self._listener.listen(64)
            undone.pop_all()
        threading.Thread(target=self._serve, name="token", daemon=True).start()

    def answer(self, what: bytes, data: bytes) -> bytes:
        """
        Do what is asked, one request at a time.

        :raises TokenUnusable: as ``Token``; also when a request before this one hangs in the token's library.
        """
        if not self._turn.acquire(timeout=_IN_LINE):
            raise TokenUnusable("The token does not answer.")
        try:
            if self._ended.is_set():
                raise SigningProcessGone  # Another process may hold the token already.
            return self._do(what, data)
        finally:
            self._turn.release()

    def _do(self, what: bytes, data: bytes) -> bytes:
        # The certificate is looked for once; another token in its place would be another key.
        self._key = self._key or self._token.key(label=self._label)
        match what:
            case b"W":
                every = (self._key.certificate, *self._key.chain)
                return json.dumps([b64encode(c.public_bytes(Encoding.DER)).decode() for c in every]).encode()
            case b"S":
                return self._key.sign(data)
            case b"C":
                self._token.check()
                return b""
            case _:
                raise TokenUnusable("The signing process does not know this request.")

    def close(self) -> None:
        """Log out, stop listening, free the lock."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if not self._turn.acquire(timeout=_IN_LINE):
            return  # It hangs in the token's library; session and lock end with the process.
        try:
            self._token.close()
            os.close(self._lock_file)
        finally:
            self._turn.release()

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                asking, _ = self._listener.accept()
            except OSError as e:
                # Closed, or out of descriptors for a while: who asks waits, for nobody else may hold the token.
                if not self._ended.wait(_SHORTAGE):
                    _log.error("token.cannot_listen", error=e.strerror)
                continue
            try:
                threading.Thread(target=self._one, args=(asking,), name="token-request", daemon=True).start()
            except RuntimeError:  # No more threads; who asked tries again.
                asking.close()

    def _one(self, asking: socket.socket) -> None:
        with asking:
            asking.settimeout(_PATIENCE)
            with contextlib.suppress(*_BROKEN):  # Whoever asked has gone.
                if not _is_ours(asking):
                    return
                message = _receive(asking)
                try:
                    reply = _OK + self.answer(message[:1], message[1:])
                except KeyUnusable as e:
                    reply = _FAILED + json.dumps({"code": e.code, "detail": e.detail}).encode()
                except Exception as e:  # noqa: BLE001 - the other process must be told that it failed, and nothing else
                    _log.exception("token.request_failed", action="token.request_failed", error=type(e).__name__)
                    reply = _FAILED + json.dumps({"code": TokenUnusable.code, "detail": None}).encode()
                _send(asking, reply)


def _exchange(folder: Path, message: bytes) -> bytes:
    """One question to the process that holds the token."""
    with _address(folder) as address, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        asked.settimeout(_PATIENCE)
        asked.connect(address)
        if not _is_ours(asked):
            raise TokenUnusable("The signing process runs as another user.")
        _send(asked, message)
        reply = _receive(asked)
    if reply[:1] == _OK:
        return reply[1:]
    told = json.loads(reply[1:])
    raise _ERRORS.get(told["code"], TokenUnusable)(told["detail"])


@contextlib.contextmanager
def _address(folder: Path, *, new: bool = False) -> Iterator[str]:
    """The socket's path in a form that is short enough; ``new`` removes what a dead process has left."""
    path = folder / _SOCKET
    if new:
        path.unlink(missing_ok=True)
    if len(os.fsencode(path)) <= _PATH_MAX:
        yield str(path)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{_SOCKET}"
    finally:
        os.close(descriptor)


def _is_ours(peer: socket.socket) -> bool:
    """Whether the other side runs as this user; the folder and the socket are closed to others anyway."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1]) == os.geteuid()


def _send(peer: socket.socket, message: bytes) -> None:
    peer.sendall(struct.pack(">I", len(message)) + message)


def _receive(peer: socket.socket) -> bytes:
    (length,) = struct.unpack(">I", _exactly(peer, 4))
    if not 0 < length <= _MESSAGE_MAX:
        raise EOFError
    return _exactly(peer, length)


def _exactly(peer: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        piece = peer.recv(min(length - len(parts), 1 << 16))
        if not piece:
            raise EOFError
        parts += piece
    return bytes(parts)
