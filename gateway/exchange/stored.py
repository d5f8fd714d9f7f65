"""A stored package, read again: what it says, and its files unwrapped in the spool."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.edxml import Package, read_unverified
from gateway.exchange import lookup
from gateway.exchange.parts import Parts
from gateway.exchange.upload import unwritten
from gateway.ledger.records import DocumentRow
from gateway.model import Attachment


@contextmanager
def stored_package(parts: Parts, document: DocumentRow) -> Iterator[Package]:
    """
    The package of a document as it was received, read again; it was judged when it was accepted.

    :raises PayloadMissing: its bytes are lost.
    :raises StorageFull, PayloadStoreUnavailable: there is no room in the spool.
    """
    with spool_folder(parts) as folder:
        path = folder / "original"
        try:
            with lookup.open_received(parts, document.id) as stored, path.open("wb") as out:
                shutil.copyfileobj(stored, out)
        except OSError as e:
            raise unwritten(e) from e
        with read_unverified(path, limits=parts.rules.limits, spool=parts.spool, sha256=document.sha256) as package:
            yield package


def unwrap(package: Package, attachment: Attachment, path: Path) -> Path:
    """
    Write the unwrapped content of one attachment to a path of ours.

    :raises StorageFull, PayloadStoreUnavailable: there is no room for it.
    """
    try:
        with package.open(attachment) as content, path.open("wb") as out:
            shutil.copyfileobj(content, out)
    except OSError as e:
        raise unwritten(e) from e
    return path


@contextmanager
def spool_folder(parts: Parts) -> Iterator[Path]:
    """A folder in the spool for as long as the block lasts."""
    try:
        folder = tempfile.mkdtemp(dir=parts.spool, prefix="operation-")
    except OSError as e:
        raise unwritten(e) from e
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
