"""Where the person's keys are: a token, or a PKCS#12 or PEM file. Certificates are read freely, keys opened by PIN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from cryptography import x509

from gateway.errors import HelperKeyUnknown, KeyUnusable
from gateway.signing.keys import Signer, fingerprint, load_key


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


def read_file(path: Path, password: str) -> FileKeyring:
    """
    A key file, after one look into it.

    :raises KeyUnusable: as ``load_key``.
    """
    return FileKeyring(path, [load_key(path, password).certificate])


def find(certificates: list[x509.Certificate], sha256: str) -> x509.Certificate:
    """
    The certificate of that name.

    :raises HelperKeyUnknown: it is not among them.
    """
    found = next((c for c in certificates if fingerprint(c) == sha256), None)
    if found is None:
        raise HelperKeyUnknown
    return found
