"""
The kit's hash of a file, in the forms in which it may be right.

``hash-file`` is the SHA-256 of the file without the line end that the kit adds to the body, in hex of which the
kit leaves out the leading zero of each byte: 50 to 64 characters.

Source: domain §2.1.
"""

from __future__ import annotations


def forms(digest: bytes) -> frozenset[str]:
    """Both ways of writing a digest: padded, and as Java's ``Integer.toHexString`` does byte by byte."""
    return frozenset({digest.hex(), "".join(f"{byte:x}" for byte in digest)})


def is_hash_of(hash_file: str, digest: bytes) -> bool:
    """Whether a ``hash-file`` is meant for that digest."""
    return hash_file.strip().lower() in forms(digest)
