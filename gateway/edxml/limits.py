"""Bounds on what a package may be. One table; the settings fill it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is refused before anything expensive looks at it; each name is also that of the setting."""

    package_bytes: int = 300 * 1024 * 1024
    """The package as received, base64 included."""
    depth: int = 64
    """Nesting of elements; a signed package of the kit has 10."""
    elements: int = 60_000
    attributes_per_element: int = 64
    """Namespace declarations count: canonicalising 100,000 attributes takes over a minute."""
    name_bytes: int = 256
    """Length of an element's or attribute's name, prefix included, in characters."""
    tag_bytes: int = 64 * 1024
    """One start tag, or one comment: expat reads an unfinished one again with each chunk."""
    text_bytes: int = 1024 * 1024
    """Any text except the content of an attachment."""
    skeleton_bytes: int = 16 * 1024 * 1024
    """The package without the content of its attachments, which is held in memory."""
    attachments: int = 500
    attachment_bytes: int = 200 * 1024 * 1024
    """One attachment, decoded and unwrapped."""
    unpacked_ratio: int = 200
    """Unwrapped size ÷ size of the ZIP; not applied below 1 MB, where no harm can be done."""
    recipients: int = 5_000
    stream_above: int = 150 * 1024
    """Packages above this many bytes are read as a stream (measured: below, a tree is cheaper)."""
