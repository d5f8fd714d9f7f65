"""Build a package for an agency that has no edXML writer of its own, and accept it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gateway.edxml import write_document_to
from gateway.exchange.accept import Answer, accept
from gateway.exchange.parts import Parts
from gateway.exchange.upload import Upload, receive, spool_file, unwritten
from gateway.model import Agency, Envelope


def compose(parts: Parts, envelope: Envelope, contents: Mapping[str, Path | bytes], *, caller: Agency) -> Answer:
    """
    Write the package in the kit's form and accept it.

    :param envelope: with one reference for each file.
    :param contents: content id → the file as it is.
    :raises DocumentError: as ``accept``; what was wrong in the words is named by the package's paths.
    """
    with _written(parts, envelope, contents) as upload:
        return accept(parts, upload, caller=caller, made_here=True)


def _written(parts: Parts, envelope: Envelope, contents: Mapping[str, Path | bytes]) -> Upload:
    handle, path = spool_file(parts.spool, "composed-")
    try:
        with os.fdopen(handle, "wb") as out:
            write_document_to(envelope, contents, out)
        with path.open("rb") as written:
            return receive(
                written,
                expected=path.stat().st_size,
                limit_bytes=parts.rules.body_limit_bytes,
                inline_bytes=parts.rules.inline_bytes,
                spool=parts.spool,
            )
    except OSError as e:
        raise unwritten(e) from e
    finally:
        path.unlink()
