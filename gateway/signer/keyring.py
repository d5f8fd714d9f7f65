"""Where the person's keys are: a token, or a PKCS#12 or PEM file. Certificates are read freely, keys opened by PIN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from cryptography import x509

from gateway.errors import HelperKeyUnknown, KeyUnusable, TokenPinLocked, TokenPinNeeded, TokenUnusable
from gateway.signing.keys import Signer, fingerprint, is_authority, load_key
from gateway.signing.token import Token


class Keyring(Protocol):
    """The keys of one person; used by one thread at a time."""

    @property
    def name(self) -> str:
        """What the person calls it, such as the token's label or the file's name."""

    def certificates(self) -> list[x509.Certificate]:
        """
        Those that it holds a key for, as it is now.

        :raises KeyUnusable: there is none, or the token has been pulled out.
        """

    def unlocked(self, sha256: str, pin: str) -> AbstractContextManager[Signer]:
        """
        One key, open for as long as the block lasts.

        :param sha256: of its certificate, lower-case hex.
        :raises KeyUnusable: the PIN is wrong, or the key cannot be had.
        :raises HelperKeyUnknown: there is no such certificate.
        """


class FileKeyring:
    """A key in a file."""

    def __init__(self, path: Path, certificates: list[x509.Certificate]) -> None:
        """
        Name a file whose certificates are known.

        :param certificates: read from it before (``read_file``): PKCS#12 shows them to whoever has the password only.
        """
        self._path = path
        self._certificates = certificates

    @property
    def name(self) -> str:
        """As ``Keyring``."""
        return self._path.name

    def certificates(self) -> list[x509.Certificate]:
        """As ``Keyring``."""
        if not self._path.is_file():
            raise KeyUnusable(f"{self._path.name} is not there.")
        return list(self._certificates)

    @contextmanager
    def unlocked(self, sha256: str, pin: str) -> Iterator[Signer]:
        """As ``Keyring``; the key is read anew each time and forgotten."""
        key = load_key(self._path, pin)
        if key.certificate_sha256 != sha256:
            raise HelperKeyUnknown
        yield key


class TokenKeyring:
    """The keys in a PKCS#11 token, such as a USB token."""

    def __init__(self, module: Path, *, label: str | None = None) -> None:
        """
        Name a token; nothing is opened yet, and it need not be plugged in.

        :param label: ``None``: the only one there is.
        """
        self._module = module
        self._label = label
        self._pin: str | None = None
        # One object for as long as the helper runs: it knows a refused PIN again, and does not try it twice.
        self._token = Token(module, label=label, pin=self._given)

    @property
    def name(self) -> str:
        """As ``Keyring``."""
        return self._label or self._module.stem

    def certificates(self) -> list[x509.Certificate]:
        """As ``Keyring``; those of authorities, which are in most tokens too, are left out."""
        found = [c.certificate for c in self._token.certificates() if not is_authority(c.certificate)]
        # A locked token still shows them; nobody should type a PIN that it does not take any more.
        if self._is_locked():
            raise TokenPinLocked
        return found

    def _is_locked(self) -> bool:
        try:
            return self._token.facts().pin_locked
        except TokenUnusable:
            return False  # It has gone this moment; whoever needs it next is told.

    @contextmanager
    def unlocked(self, sha256: str, pin: str) -> Iterator[Signer]:
        """As ``Keyring``; the log-in ends with the block, the PIN is forgotten as soon as the token has had it."""
        self._pin = pin
        try:
            yield self._token.key(sha256=sha256)
        finally:
            self._pin = None
            self._token.close()

    def _given(self) -> str:
        """The PIN of the present block, once: a session that is lost meanwhile is not opened again unasked."""
        pin, self._pin = self._pin, None
        if pin is None:
            raise TokenPinNeeded
        return pin


def read_file(path: Path, password: str) -> FileKeyring:
    """
    A key file, after one look into it.

    :param password: not empty: a key that lies open would sign without anybody being asked for anything.
    :raises KeyUnusable: as ``load_key``; and the file has no password.
    """
    if not password or is_unprotected(path):
        raise KeyUnusable(f"{path.name} has no password; give it one before pages may ask for its signatures.")
    return FileKeyring(path, [load_key(path, password).certificate])


def is_unprotected(path: Path) -> bool:
    """Whether a key file opens without a password."""
    try:
        load_key(path)
    except KeyUnusable:
        return False
    return True


def find(certificates: list[x509.Certificate], sha256: str) -> x509.Certificate:
    """
    The certificate of that name.

    :raises HelperKeyUnknown: it is not among them.
    """
    found = next((c for c in certificates if fingerprint(c) == sha256), None)
    if found is None:
        raise HelperKeyUnknown
    return found
