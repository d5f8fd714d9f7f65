"""
Keys in tokens: PKCS#11, for any USB token or HSM that has a module for it.

A log-in counts for the whole process (ecosystem §1 (5)), so a token is used by one process, with one
session and one operation at a time; other processes ask that one (``token_service.py``). The PIN
is asked for when a session opens, is handed to the token and kept nowhere. A PIN that the token has
refused is not tried again, for a few tries lock it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pkcs11
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pkcs11 import Attribute, Mechanism, ObjectClass, TokenFlag
from pkcs11 import exceptions as fault

from gateway.errors import (
    KeyUnusable,
    TokenAbsent,
    TokenKeyUnknown,
    TokenLibraryUnusable,
    TokenPinLocked,
    TokenPinWrong,
    TokenUnusable,
)
from gateway.signing.keys import Scheme, fingerprint, is_authority, known, scheme_of, signature_fits

T = TypeVar("T")

CERTIFICATES_MAX = 64
"""Read from one token."""

_ABSENT = (
    fault.NoSuchToken,
    fault.TokenNotPresent,
    fault.TokenNotRecognised,
    fault.DeviceRemoved,
    fault.DeviceError,
    fault.SlotIDInvalid,
)
_WRONG_PIN = (fault.PinIncorrect, fault.PinInvalid, fault.PinLenRange)

# DigestInfo of each digest (RFC 8017 §9.2), for tokens that sign only what has been hashed already.
_DIGEST_INFO = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
_HASHING = {"sha256": Mechanism.SHA256_RSA_PKCS}

# Per module: to notice a token that is gone or back its library is started anew, which ends every session in it.
_LOCKS: dict[Path, threading.RLock] = {}
_LOCKS_LOCK = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class TokenFacts:
    """A token that is plugged in."""

    label: str
    serial: str
    model: str
    pin_locked: bool
    last_try: bool
    """One more wrong PIN locks it."""


@dataclass(frozen=True, kw_only=True)
class TokenCertificate:
    """A certificate in a token."""

    label: str
    key_id: bytes
    """PKCS#11 id that it shares with its private key; may be empty."""
    certificate: x509.Certificate

    @property
    def sha256(self) -> str:
        """Lower-case hex of the DER."""
        return fingerprint(self.certificate)


def list_tokens(module: Path) -> tuple[TokenFacts, ...]:
    """
    The tokens that this module sees now; plugging in and out is noticed.

    :param module: the token's PKCS#11 library.
    :raises TokenLibraryUnusable: it cannot be loaded.
    """
    with _lock_of(module), _named():
        found = _present(module)
        if not found:
            # Only then: whatever session there was is gone with its token.
            _start_anew(module)
            found = _present(module)
        return tuple(_facts(token) for token in found)


class Token:
    """
    One token in this process: one session, opened when it is first needed and again after it was lost.

    Serves many threads, one operation at a time.
    """

    def __init__(
        self, module: Path, *, label: str | None = None, serial: str | None = None, pin: Callable[[], str]
    ) -> None:
        """
        Nothing is opened yet.

        :param label: ``None`` with ``serial`` ``None``: the only token there is.
        :param pin: asks for the PIN, or reads it from where a machine keeps it; called at each log-in.
        """
        self._module = module
        self._label = label
        self._serial = serial
        self._pin = pin
        self._lock = _lock_of(module)
        self._session: Any = None
        self._mechanisms: frozenset[object] = frozenset()
        self._keys: dict[str, Any] = {}
        # Of a refused PIN only a salted digest, to know it again.
        self._salt = secrets.token_bytes(16)
        self._refused: bytes | None = None

    def facts(self) -> TokenFacts:
        """
        What the token says of itself now.

        :raises TokenAbsent: it is not there.
        """
        with self._lock, _named():
            return _facts(self._find())

    def check(self) -> None:
        """
        See whether it could sign, without a try of the PIN.

        :raises TokenAbsent: it is not there.
        :raises TokenPinLocked: it takes no PIN any more.
        :raises TokenPinWrong: the PIN that is at hand is the one that it has refused.
        """
        with self._lock, _named():
            if self._find().flags & TokenFlag.USER_PIN_LOCKED:
                raise TokenPinLocked
            if self._refused is not None and self._digest(self._pin()) == self._refused:
                raise TokenPinWrong

    def certificates(self) -> tuple[TokenCertificate, ...]:
        """
        The certificates in it that can be seen without a PIN.

        :raises TokenAbsent: it is not there.
        """
        with self._lock:
            return self._again(self._read_certificates)

    def key(self, *, label: str | None = None, sha256: str | None = None) -> TokenKey:
        """
        The key of one certificate; nothing is signed and no PIN is asked for yet.

        :param label: of the certificate; ``None`` with ``sha256`` ``None``: the only one that can sign.
        :param sha256: lower-case hex of the certificate's DER.
        :raises TokenKeyUnknown: there is no such certificate, or several are meant.
        """
        every = self.certificates()
        # Authorities' certificates are in most tokens too.
        meant = [c for c in every if not is_authority(c.certificate)]
        if sha256 is not None:
            meant = [c for c in meant if c.sha256 == sha256]
        if label is not None:
            meant = [c for c in meant if c.label == label]
        if len(meant) != 1:
            labels = ", ".join(sorted(c.label for c in every)) or "none"
            raise TokenKeyUnknown(f"{len(meant)} certificates in the token are meant; it holds: {labels}.")
        return TokenKey(self, meant[0], _chain(meant[0].certificate, [c.certificate for c in every]))

    def sign(self, which: TokenCertificate, data: bytes) -> bytes:
        """
        The signature over ``data`` by the key of this certificate, in the form of :meth:`Signer.sign`.

        :raises TokenUnusable: every way of not getting one; those that a person can end have names.
        """
        with self._lock:
            value = self._again(lambda: self._sign(which, data))
        if not signature_fits(which.certificate, value, data):
            raise TokenUnusable("The token's private key does not belong to its certificate.")
        return value

    def close(self) -> None:
        """Log out; the next operation opens it again."""
        with self._lock:
            session, self._session = self._session, None
            self._keys.clear()
            if session is not None:
                with contextlib.suppress(fault.PKCS11Error):
                    session.close()

    def _again(self, act: Callable[[], T]) -> T:
        """Do it, and once more over a new session when the old one has been lost, as by pulling the token out."""
        try:
            return act()
        except (TokenPinWrong, TokenPinLocked, TokenKeyUnknown):
            raise
        except (fault.PKCS11Error, TokenUnusable):
            self.close()
            _start_anew(self._module)
        try:
            return act()
        except fault.PKCS11Error as e:
            self.close()
            _raise(e)

    def _find(self) -> Any:
        found = [
            token
            for token in _present(self._module)
            if self._label in (None, token.label) and self._serial in (None, _text(token.serial))
        ]
        if not found:
            raise fault.NoSuchToken
        if len(found) > 1:
            raise TokenUnusable("Several tokens are plugged in; say which by its label.")
        return found[0]

    def _read_certificates(self) -> tuple[TokenCertificate, ...]:
        with contextlib.ExitStack() as closing:
            session = self._session or closing.enter_context(self._find().open())
            found: list[TokenCertificate] = []
            for thing in session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE}):
                if len(found) == CERTIFICATES_MAX:
                    break
                try:
                    certificate = x509.load_der_x509_certificate(thing[Attribute.VALUE])
                    known(certificate)  # Reads its name and dates, which are decoded only when they are asked for.
                except (ValueError, x509.InvalidVersion):
                    continue
                label, key_id = _attribute(thing, Attribute.LABEL, ""), _attribute(thing, Attribute.ID, b"")
                found.append(TokenCertificate(label=label, key_id=key_id, certificate=certificate))
        return tuple(found)

    def _sign(self, which: TokenCertificate, data: bytes) -> bytes:
        scheme = scheme_of(which.certificate)
        private = self._private(which)
        digest = hashlib.new(scheme.digest, data).digest()
        if scheme.width is not None:
            value: bytes = private.sign(digest, mechanism=Mechanism.ECDSA)
            return value
        hashing = _HASHING[scheme.digest]
        if hashing in self._mechanisms:
            value = private.sign(data, mechanism=hashing)
        else:
            value = private.sign(_DIGEST_INFO[scheme.digest] + digest, mechanism=Mechanism.RSA_PKCS)
        return value

    def _private(self, which: TokenCertificate) -> Any:
        """The private key beside a certificate, after logging in."""
        session = self._open()
        if which.sha256 not in self._keys:
            wanted: dict[Attribute, object] = {Attribute.CLASS: ObjectClass.PRIVATE_KEY}
            wanted |= {Attribute.ID: which.key_id} if which.key_id else {Attribute.LABEL: which.label}
            found = list(session.get_objects(wanted))
            if len(found) != 1:
                raise TokenKeyUnknown("The token holds no private key beside this certificate.")
            self._keys[which.sha256] = found[0]
        return self._keys[which.sha256]

    def _open(self) -> Any:
        if self._session is not None:
            return self._session
        token = self._find()
        if token.flags & TokenFlag.USER_PIN_LOCKED:
            raise TokenPinLocked
        pin = self._pin()
        seen = self._digest(pin)
        if seen == self._refused:
            raise TokenPinWrong("The token has refused this PIN before; it is not tried again.")
        try:
            session = token.open(user_pin=pin)
        except (*_WRONG_PIN, fault.PinLocked) as e:
            self._refused = seen
            _start_anew(self._module)  # The library leaves a session behind that is not logged in.
            _raise(e)
        self._refused = None
        self._session = session
        self._mechanisms = frozenset(token.slot.get_mechanisms())
        return session

    def _digest(self, pin: str) -> bytes:
        return hashlib.sha256(self._salt + pin.encode()).digest()


class TokenKey:
    """A private key in a token, as a :class:`gateway.signing.keys.Signer`."""

    def __init__(self, token: Token, which: TokenCertificate, chain: Sequence[x509.Certificate] = ()) -> None:
        self._token = token
        self._which = which
        self._scheme: Scheme = scheme_of(which.certificate)
        self.certificate = which.certificate
        self.chain = tuple(chain)
        self.algorithm = self._scheme.xmldsig
        self.jws_algorithm = self._scheme.jws
        self.certificate_der = which.certificate.public_bytes(Encoding.DER)
        self.certificate_sha256 = which.sha256

    def sign(self, data: bytes) -> bytes:
        """See :meth:`gateway.signing.keys.Signer.sign`; raises as :meth:`Token.sign`."""
        return self._token.sign(self._which, data)


def read_pin(path: Path | None, *, variable: str = "GATEWAY_TOKEN_PIN") -> str | None:
    """
    The PIN that a machine is given: out of a file, or of the environment; ``None``: neither holds one.

    :raises KeyUnusable: the file cannot be read, or others can read it.
    """
    if path is None:
        return os.environ.get(variable)
    try:
        if path.stat().st_mode & 0o077:
            raise KeyUnusable(f"{path.name} holds a PIN and can be read by others than its owner.")
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise KeyUnusable(f"{path.name} cannot be read.") from e


def _lock_of(module: Path) -> threading.RLock:
    with _LOCKS_LOCK:
        return _LOCKS.setdefault(module.resolve(), threading.RLock())


def _library(module: Path) -> Any:
    # The loader would search the system's folders for a name without a slash.
    if not module.is_file():
        raise TokenLibraryUnusable(f"There is no file {module.name}.")
    try:
        return pkcs11.lib(str(module.resolve()))
    except (fault.PKCS11Error, RuntimeError, OSError) as e:
        raise TokenLibraryUnusable(f"{module.name} cannot be loaded as a PKCS#11 module.") from e


def _present(module: Path) -> list[Any]:
    return [token for token in _library(module).get_tokens() if token.flags & TokenFlag.TOKEN_INITIALIZED]


def _start_anew(module: Path) -> None:
    """Have the library look at its slots again; it forgets all sessions."""
    with contextlib.suppress(fault.PKCS11Error):
        _library(module).reinitialize()


def _facts(token: Any) -> TokenFacts:
    return TokenFacts(
        label=token.label,
        serial=_text(token.serial),
        model=token.model,
        pin_locked=bool(token.flags & TokenFlag.USER_PIN_LOCKED),
        last_try=bool(token.flags & TokenFlag.USER_PIN_FINAL_TRY),
    )


def _text(serial: bytes | str) -> str:
    return serial.decode("ascii", "replace").strip() if isinstance(serial, bytes) else serial.strip()


def _attribute(thing: Any, name: Attribute, absent: T) -> T:
    try:
        value: T = thing[name]
    except (fault.AttributeTypeInvalid, fault.AttributeSensitive):
        return absent
    return value


def _chain(leaf: x509.Certificate, every: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """The issuers that are in the token too, leaf's issuer first."""
    chain: list[x509.Certificate] = []
    current = leaf
    while current.issuer != current.subject and len(chain) < len(every):
        issuer = next((c for c in every if c.subject == current.issuer and is_authority(c)), None)
        if issuer is None or issuer in chain:
            break
        chain.append(issuer)
        current = issuer
    return tuple(chain)


@contextlib.contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except fault.PKCS11Error as e:
        _raise(e)


def _raise(error: Exception) -> NoReturn:
    """The library's error by our name; its own text is not passed on."""
    match error:
        case TokenUnusable():
            raise error
        case _ if isinstance(error, _ABSENT):
            raise TokenAbsent from error
        case _ if isinstance(error, _WRONG_PIN):
            raise TokenPinWrong from error
        case fault.PinLocked():
            raise TokenPinLocked from error
        case _:
            raise TokenUnusable(f"The token answers {type(error).__name__}.") from error
