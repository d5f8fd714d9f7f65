"""What is turned away before ``accept`` sees it leaves a trace too (design D12); ``accept`` keeps its own refusals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from gateway.errors import BodyTooLarge, DocumentError, IncompleteUpload
from gateway.exchange.parts import Parts
from gateway.exchange.upload import Upload
from gateway.ledger.records import NewRefusal
from gateway.model import AgencyCode

_LARGEST_SIZE = 2**63 - 1
"""What the ledger can write down; a request may announce more."""


@contextmanager
def refusals_kept(parts: Parts, agency: AgencyCode, upload: Upload | None = None) -> Iterator[None]:
    """
    Record what is refused within the block, then let the refusal go on its way.

    :param agency: of the credential.
    :param upload: the package, when it has been read to its end.
    """
    try:
        yield
    except IncompleteUpload:
        raise
    except RequestEntityTooLarge as error:
        too_large = BodyTooLarge()
        _keep(parts, agency, too_large, upload)
        raise too_large from error
    except (DocumentError, BodyTooLarge) as error:
        _keep(parts, agency, error, upload)
        raise


def _keep(parts: Parts, agency: AgencyCode, error: DocumentError | BodyTooLarge, upload: Upload | None) -> None:
    parts.ledger.record_refusal(
        NewRefusal(
            at=parts.clock(),
            credential_agency=agency,
            code=error.code,
            path=error.path,
            detail=error.detail,
            sha256=upload.sha256 if upload else None,
            size=upload.size if upload else min(request.content_length or 0, _LARGEST_SIZE),
            payload=upload.source if upload and isinstance(upload.source, bytes) else None,
        )
    )
