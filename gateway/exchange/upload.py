"""A package on its way in: spooled and hashed while it arrives."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from gateway.errors import BodyTooLarge, EmptyPackage, IncompleteUpload, PayloadStoreUnavailable, StorageFull
from gateway.exchange.parts import Parts

_CHUNK = 256 * 1024


class Readable(Protocol):
    """Anything that bytes can be read from, once."""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes; empty at the end."""
        ...


@dataclass(frozen=True, kw_only=True)
class Upload:
    """The raw bytes of one package, in memory when small and in the spool when not."""

    source: bytes | Path
    size: int
    """Bytes."""
    sha256: str
    """Lower-case hex."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(self.source, Path):
            self.source.unlink(missing_ok=True)

    def open(self) -> BinaryIO:
        """A fresh reader from the first byte."""
        if isinstance(self.source, Path):
            return self.source.open("rb")

        return io.BytesIO(self.source)


def upload_of(raw: bytes) -> Upload:
    """A package that is in memory already."""
    return Upload(source=raw, size=len(raw), sha256=hashlib.sha256(raw).hexdigest())


@contextmanager
def spooled(upload: Upload, spool: Path) -> Iterator[Path]:
    """The upload as a file: its own, or one in the spool for as long as the block lasts."""
    if isinstance(upload.source, Path):
        yield upload.source
        return
    handle, path = spool_file(spool, "spooled-")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(upload.source)
        yield path
    except OSError as e:
        raise unwritten(e) from e
    finally:
        path.unlink(missing_ok=True)


def spool_file(spool: Path, prefix: str) -> tuple[int, Path]:
    """
    A new file in the spool, open for writing.

    :raises StorageFull, PayloadStoreUnavailable: there is no room, or no spool.
    """
    try:
        handle, name = tempfile.mkstemp(dir=spool, prefix=prefix, suffix=".edxml")
    except OSError as e:
        raise unwritten(e) from e
    return handle, Path(name)


def unwritten(error: OSError) -> StorageFull | PayloadStoreUnavailable:
    """What it means that the spool could not be used: our trouble, which passes, and not the sender's."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageFull("The spool has no room left.")
    return PayloadStoreUnavailable(f"The spool cannot be used ({error.strerror}).")


def receive_for(parts: Parts, stream: Readable, *, expected: int | None) -> Upload:
    """As ``receive``, within the bounds of this deployment."""
    return receive(
        stream,
        expected=expected,
        limit_bytes=parts.rules.body_limit_bytes,
        inline_bytes=parts.rules.inline_bytes,
        spool=parts.spool,
    )


def receive(stream: Readable, *, expected: int | None, limit_bytes: int, inline_bytes: int, spool: Path) -> Upload:
    """
    Read one package to its end.

    :param expected: declared length in bytes; ``None`` for a chunked body.
    :param limit_bytes: the longest body accepted.
    :param inline_bytes: up to this length the package stays in memory.
    :param spool: folder for longer ones; the caller closes the upload, which removes the file.
    :raises BodyTooLarge: more than ``limit_bytes``, declared or sent.
    :raises IncompleteUpload: the body ended early; some servers hand a cut body on without an error.
    :raises EmptyPackage: no byte came.
    :raises StorageFull, PayloadStoreUnavailable: the spool's disk is full or cannot be used.
    """
    if expected is not None and expected > limit_bytes:
        raise BodyTooLarge(f"The body has {expected} bytes; at most {limit_bytes} are accepted.")
    digest = hashlib.sha256()
    head: list[bytes] = []
    size = 0
    chunks = _bounded(stream, limit_bytes)
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        head.append(chunk)
        if size > inline_bytes:
            break
    if size <= inline_bytes:
        _check_length(size, expected)
        return Upload(source=b"".join(head), size=size, sha256=digest.hexdigest())
    return _spooled(head, chunks, size=size, digest=digest, expected=expected, spool=spool)


def _bounded(stream: Readable, limit_bytes: int) -> Iterator[bytes]:
    size = 0
    while chunk := _read(stream):
        size += len(chunk)
        if size > limit_bytes:
            raise BodyTooLarge(f"The body has more than {limit_bytes} bytes.")
        yield chunk


def _read(stream: Readable) -> bytes:
    try:
        return stream.read(_CHUNK)
    except OSError as e:
        raise IncompleteUpload from e


def _spooled(
    head: list[bytes],
    rest: Iterator[bytes],
    *,
    size: int,
    digest: hashlib._Hash,
    expected: int | None,
    spool: Path,
) -> Upload:
    handle, path = spool_file(spool, "upload-")
    try:
        with os.fdopen(handle, "wb") as out:
            out.writelines(head)
            for chunk in rest:
                digest.update(chunk)
                size += len(chunk)
                out.write(chunk)
        _check_length(size, expected)
    except OSError as e:
        path.unlink(missing_ok=True)
        raise unwritten(e) from e
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Upload(source=path, size=size, sha256=digest.hexdigest())


def _check_length(size: int, expected: int | None) -> None:
    if expected is not None and size < expected:
        raise IncompleteUpload(f"The body ended after {size} of {expected} bytes.")
    if size == 0:
        raise EmptyPackage
