"""How much of what senders write is kept for reading and searching; the package keeps the whole. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from gateway.model import Attachment

# Characters, well above what QCVN 102 allows for each. Names by which documents are known are
# never cut but hashed (``gateway.ledger.identity``), and codes of agencies are those of the directory.
LONGEST_SUBJECT = 2_000
LONGEST_DESCRIPTION = 2_000
LONGEST_DOCUMENT_ID = 1_000
LONGEST_NAME = 500
"""Of an agency, of a type of documents, of a file."""
LONGEST_NUMBER = 500
"""Of the number and of the notation each."""


Text = TypeVar("Text", str, str | None)


def cut(text: Text, longest: int) -> Text:
    """The text when it is no longer than that, else its beginning with an ellipsis, as long as allowed."""
    if text is None or len(text) <= longest:
        return text
    return text[: longest - 1] + "…"


_NEVER_STORED = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> bool:
    """Whether both databases take a text: without NUL, and without halves of characters, which JSON can spell."""
    return _NEVER_STORED.search(text) is None


def made_storable(text: str) -> str:
    """The text with a blank for each character that is not taken."""
    return _NEVER_STORED.sub(" ", text)


def cut_attachments(attachments: Iterable[Attachment]) -> tuple[Attachment, ...]:
    """Attachments with bounded texts; by ``content_id``, which stays, they are found in the package."""
    return tuple(map(_cut_attachment, attachments))


def _cut_attachment(attachment: Attachment) -> Attachment:
    return replace(
        attachment,
        name=cut(attachment.name, LONGEST_NAME),
        content_type=cut(attachment.content_type, LONGEST_NAME),
        description=cut(attachment.description, LONGEST_DESCRIPTION),
        field_name=cut(attachment.field_name, LONGEST_NAME),
        mime_type=cut(attachment.mime_type, LONGEST_NAME),
    )
