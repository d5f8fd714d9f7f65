"""
The package in the body of ``sendEdoc``, without what the kit puts around it.

The kit sends the bytes of the file and a line end, whatever the content type says; other kits send a real form with
the file in it, some of them under the content type of the first. So the body itself says which it is: edXML begins
with ``<`` or the mark of its encoding, a form with ``--``.

Source: domain §2.1.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from werkzeug.http import parse_options_header

from gateway.api.multipart import FORM, Form
from gateway.api.vxp.hashes import is_hash_of
from gateway.errors import BodyTooLarge, IncompleteUpload, RequestError
from gateway.exchange.upload import Readable, Upload, receive

_LINE_END = b"\r\n"
_PEEKED = 1024
_LONGEST_BOUNDARY = 70
"""RFC 2046 §5.1.1."""


def read_package(
    stream: Readable,
    *,
    content_type: str | None,
    expected: int | None,
    hash_file: str | None,
    limit_bytes: int,
    inline_bytes: int,
    spool: Path,
) -> tuple[Upload, bool]:
    """
    Read the one package of a body to its end.

    The line end of the kit is no part of the package, unless ``hash_file`` is of both together.

    :param content_type: as sent; a hint.
    :param expected: declared length of the body; ``None`` for a chunked one.
    :param hash_file: as sent; ``None`` when there is none.
    :param limit_bytes: of the body.
    :return: the package, which the caller closes, and whether it is what ``hash_file`` says (true without one).
    :raises RequestError: a form without a file.
    :raises BodyTooLarge, IncompleteUpload, EmptyPackage, StorageFull, PayloadStoreUnavailable: as ``receive``.
    """
    if expected is not None and expected > limit_bytes:
        raise BodyTooLarge(f"The body has {expected} bytes; at most {limit_bytes} are accepted.")
    body = _Arriving(stream, expected=expected, limit_bytes=limit_bytes)
    form = _form_type(body.peek(), content_type)
    if form is None:
        return _received(_Package(body, hash_file, line_end=True), limit_bytes, inline_bytes, spool)
    parts = Form(body, form, files=None)
    file = parts.next_file()
    if file is None:
        raise RequestError("The form holds no file.", path="file_doc")
    upload, is_right = _received(_Package(file, hash_file, line_end=False), limit_bytes, inline_bytes, spool)
    try:
        while parts.next_file() is not None:  # what else there is, so that the connection can be used again
            pass
    except BaseException:
        upload.__exit__(None, None, None)
        raise
    return upload, is_right


def _received(package: _Package, limit_bytes: int, inline_bytes: int, spool: Path) -> tuple[Upload, bool]:
    upload = receive(package, expected=None, limit_bytes=limit_bytes, inline_bytes=inline_bytes, spool=spool)
    return upload, package.is_right(upload.sha256)


def _form_type(head: bytes, content_type: str | None) -> str | None:
    """The content type of a form, by its first line when the declared one is another; ``None`` for a bare package."""
    first = head.lstrip(b"\r\n")
    if first.startswith(b"--"):
        line = first.splitlines()[0].rstrip(b" \t")
        boundary = line[2 : 3 + _LONGEST_BOUNDARY].decode("latin-1")
        if 0 < len(boundary) <= _LONGEST_BOUNDARY and '"' not in boundary:
            return f'{FORM}; boundary="{boundary}"'
    kind, options = parse_options_header(content_type)
    if kind.lower() == FORM and options.get("boundary") and not _begins_as_xml(first):
        return content_type
    return None


def _begins_as_xml(head: bytes) -> bool:
    return head.lstrip(b" \t\r\n").startswith((b"<", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"))


class _Arriving:
    """The body as it comes, counted; its beginning can be looked at before it is read."""

    def __init__(self, stream: Readable, *, expected: int | None, limit_bytes: int) -> None:
        self._stream = stream
        self._expected = expected
        self._limit_bytes = limit_bytes
        self._size = 0
        self._held = b""

    def peek(self) -> bytes:
        """The first bytes, fewer only when there are no more."""
        while len(self._held) < _PEEKED and (more := self._next(_PEEKED)):
            self._held += more
        return self._held

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes; empty at the end."""
        if not self._held:
            return self._next(size)
        piece = self._held if size < 0 else self._held[:size]
        self._held = self._held[len(piece) :]
        return piece

    def _next(self, size: int) -> bytes:
        try:
            piece = self._stream.read(size)
        except OSError as e:
            raise IncompleteUpload from e
        self._size += len(piece)
        if self._size > self._limit_bytes:
            raise BodyTooLarge(f"The body has more than {self._limit_bytes} bytes.")
        if not piece and self._expected is not None and self._size < self._expected:
            raise IncompleteUpload(f"The body ended after {self._size} of {self._expected} bytes.")
        return piece


class _Package:
    """
    A package within a body; a line end at its end is held back until it is known whose it is.

    Nothing is hashed twice but what ``hash-file`` has to be compared with before the last bytes are given out.
    """

    def __init__(self, source: Readable, hash_file: str | None, *, line_end: bool) -> None:
        """:param line_end: without a ``hash-file`` to ask, one line end is the kit's and not the package's."""
        self._source = source
        self._hash_file = hash_file
        self._line_end = line_end
        self._digest = hashlib.sha256()
        self._tail = b""
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes; empty at the end."""
        while not self._ended:
            piece = self._source.read(size)
            if not piece:
                self._ended = True
                return self._given(self._last())
            whole = self._tail + piece
            # All but what may be the beginning of the last line end.
            kept = 2 if whole.endswith(_LINE_END) else 1 if whole.endswith(b"\r") else 0
            self._tail = whole[len(whole) - kept :]
            if given := whole[: len(whole) - kept]:
                return self._given(given)
        return b""

    def _last(self) -> bytes:
        if self._tail != _LINE_END:
            return self._tail
        if self._hash_file is None:
            return b"" if self._line_end else self._tail
        whole = self._digest.copy()
        whole.update(self._tail)
        without = is_hash_of(self._hash_file, self._digest.digest())
        return self._tail if is_hash_of(self._hash_file, whole.digest()) and not without else b""

    def _given(self, piece: bytes) -> bytes:
        if self._hash_file is not None:
            self._digest.update(piece)
        return piece

    def is_right(self, sha256: str) -> bool:
        """Whether the package, read to its end and of that hash, is what ``hash-file`` says."""
        return self._hash_file is None or is_hash_of(self._hash_file, bytes.fromhex(sha256))
