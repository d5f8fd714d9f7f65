"""Packages as objects in an S3-compatible store."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store as _Bucket
from typing_extensions import Buffer, override

from gateway.errors import PayloadMissing, PayloadStoreUnavailable, StorageFull
from gateway.payloads.store import CHUNK_BYTES, checked_name

if TYPE_CHECKING:
    from obstore import ReadableFile
    from obstore.store import S3Config

_PART_BYTES = 5 * 1024 * 1024
"""The smallest part that S3 takes; two of them are in memory while a package goes up."""

_CHECKED_KEY = "check"
"""Written by ``check``; no hash has this name."""


class S3Store:
    """
    ``<prefix>/ab/cd/abcd…`` in a bucket. An object appears whole or not at all.

    Works with any store that speaks S3 (Garage, SeaweedFS, Ceph, AWS); the bucket must exist.
    """

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        endpoint: str | None = None,
        region: str | None = None,
        allow_http: bool = False,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        retry_for: timedelta = timedelta(seconds=30),
    ) -> None:
        """
        Name the bucket; nothing is sent yet.

        :param endpoint: URL of the store; ``None`` means AWS.
        :param access_key_id: ``None`` (with the secret) means the platform's own way to credentials.
        :param retry_for: how long one call may go on trying before the store counts as unavailable.
        """
        config: S3Config = {"bucket": bucket}
        if endpoint is not None:
            config["endpoint"] = endpoint
        if region is not None:
            config["region"] = region
        if access_key_id is not None and secret_access_key is not None:
            config["access_key_id"] = access_key_id
            config["secret_access_key"] = secret_access_key
        self._bucket = _Bucket(
            prefix=prefix or None,
            config=config,
            client_options={"allow_http": allow_http, "connect_timeout": "10s", "timeout": "120s"},
            retry_config={"max_retries": 5, "retry_timeout": retry_for},
        )

    def put(self, source: Path, sha256: str) -> None:
        """As ``PayloadStore.put``."""
        key = _key(sha256)
        size = _measured(source, sha256)
        with _translated():
            if self._stored_size(key) == size:
                return
            obstore.put(self._bucket, key, source, chunk_size=_PART_BYTES, max_concurrency=2)
            if self._stored_size(key) != size:
                raise PayloadStoreUnavailable("The payload store holds less than it was given.")

    def open(self, sha256: str, start: int = 0) -> BinaryIO:
        """As ``PayloadStore.open``."""
        with _translated(sha256):
            reader = obstore.open_reader(self._bucket, _key(sha256), buffer_size=CHUNK_BYTES)
        stream = io.BufferedReader(_ObjectStream(reader, sha256), CHUNK_BYTES)
        stream.seek(start)
        return stream

    def exists(self, sha256: str) -> bool:
        """As ``PayloadStore.exists``."""
        with _translated():
            return self._stored_size(_key(sha256)) is not None

    def size(self, sha256: str) -> int:
        """As ``PayloadStore.size``."""
        with _translated(sha256):
            return obstore.head(self._bucket, _key(sha256))["size"]

    def check(self) -> None:
        """As ``PayloadStore.check``."""
        with _translated():
            obstore.put(self._bucket, _CHECKED_KEY, b"")

    def _stored_size(self, key: str) -> int | None:
        try:
            return obstore.head(self._bucket, key)["size"]
        except FileNotFoundError:
            return None


class _ObjectStream(io.RawIOBase):
    """One object, read by ranges."""

    def __init__(self, reader: ReadableFile, sha256: str) -> None:
        super().__init__()
        self._reader = reader
        self._sha256 = sha256

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        with _translated(self._sha256):
            return self._reader.seek(offset, whence)

    @override
    def tell(self) -> int:
        return self._reader.tell()

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        with _translated(self._sha256):
            chunk = self._reader.read(len(view))
        view[: len(chunk)] = memoryview(chunk)
        return len(chunk)


def _key(sha256: str) -> str:
    name = checked_name(sha256)
    return f"{name[:2]}/{name[2:4]}/{name}"


def _measured(source: Path, sha256: str) -> int:
    """The size of the file, once its content is known to be what its hash says."""
    digest = hashlib.sha256()
    size = 0
    try:
        with source.open("rb") as reader:
            while chunk := reader.read(CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except OSError as e:
        raise PayloadStoreUnavailable(f"The package to be stored cannot be read ({e.strerror}).") from e
    if digest.hexdigest() != sha256:
        raise PayloadMissing("The content to be stored is not what its hash says.")
    return size


@contextlib.contextmanager
def _translated(sha256: str | None = None) -> Iterator[None]:
    """Name what the store says; what is not found is a missing payload only where one was asked for."""
    try:
        yield
    except FileNotFoundError as e:
        if sha256 is not None:
            raise PayloadMissing(f"The payload {sha256} is not in the store.") from e
        raise PayloadStoreUnavailable("The bucket of the payload store is not there.") from e
    except (BaseError, OSError) as e:
        # S3 has no error of its own for this; these are those of the stores that one runs oneself.
        if any(word in str(e) for word in ("StorageFull", "QuotaExceeded", "InsufficientStorage")):
            raise StorageFull("The payload store has no room left.") from e
        # The store's sentence may name hosts and keys; it stays in the chained cause.
        raise PayloadStoreUnavailable(f"The payload store cannot be used now ({type(e).__name__}).") from e
