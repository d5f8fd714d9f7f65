"""
A posted form, read while it arrives: small fields in memory, the wanted file as a stream.

The framework's own reader puts every file on disk before anybody may look at it; here a package goes
straight to where it is hashed and spooled, and what nobody asked for is passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from gateway.errors import BodyTooLarge, IncompleteUpload, RequestError, UnsupportedMedia
from gateway.exchange.upload import Readable

FORM = "multipart/form-data"
_CHUNK = 256 * 1024
_FIELD_BYTES = 64 * 1024
"""All fields of a form together."""
_PARTS = 100
_HEADER_BYTES = 16 * 1024
"""Of one part, and what may stand before the first; a bound on what is held, met to a chunk."""
_PADDING = 64
"""Bytes of blanks and line end after a delimiter."""
_UNDECIDED_BYTES = 3 * _CHUNK
"""Held while it is open whether a delimiter ends there; an honest one is decided within a chunk and its padding."""


class FilePart:
    """One file of a form, to be read once."""

    def __init__(self, name: str, filename: str | None, headers: Headers, pieces: Iterator[bytes]) -> None:
        self.name = name
        self.filename = filename
        """As its sender called it: untrusted, for reading only."""
        self.headers = headers
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, all that is left when it is negative; empty at the end."""
        if size < 0:
            whole, self._rest = self._rest + b"".join(self._pieces), b""
            return whole
        piece = self._rest or next(self._pieces, b"")
        self._rest = piece[size:]
        return piece[:size]

    def pass_over(self) -> None:
        """Read it to its end for nothing."""
        self._rest = b""
        for _ in self._pieces:
            pass


class Form:
    """
    The parts of a ``multipart/form-data`` body in their order (RFC 7578).

    Ask for one file after the other; what stands before, between and after them is read on the way.
    """

    def __init__(self, stream: Readable, content_type: str | None, *, files: Collection[str] | None) -> None:
        """
        :param stream: the body; it ends by itself.
        :param files: names of the parts to be handed out as streams, with a file name or without; other
            files are passed over. ``None``: every part with a file name.
        :raises UnsupportedMedia: the content type is another, or names no boundary.
        """
        kind, options = parse_options_header(content_type)
        boundary = options.get("boundary", "")
        if kind.lower() != FORM or not boundary:
            raise UnsupportedMedia(f"Send {FORM} with its boundary, not {kind or 'nothing'}.")
        self._stream = stream
        self._files = files
        self._delimiter = b"--" + boundary.encode("latin-1", "replace")
        self._decoder = MultipartDecoder(self._delimiter[2:], max_parts=_PARTS)
        self._ended = False
        self.fields: dict[str, str] = {}
        """By name, as far as the form has been read; of a name that comes again the last."""
        self._field_bytes = 0
        self._open: FilePart | None = None

    def next_file(self) -> FilePart | None:
        """
        The next wanted file; ``None`` when the form has been read to its end.

        :raises IncompleteUpload: the body ended within the form.
        :raises RequestError: it is not such a form.
        :raises BodyTooLarge: too many parts, or too much in its fields.
        """
        if self._open is not None:
            self._open.pass_over()
            self._open = None
        while not self._ended:
            event = self._next()
            if isinstance(event, Epilogue):
                self._ended = True
            elif isinstance(event, Field | File) and self._is_wanted(event):
                self._open = FilePart(event.name, getattr(event, "filename", None), event.headers, self._pieces())
                return self._open
            elif isinstance(event, File):
                for _ in self._pieces():
                    pass
            elif isinstance(event, Field):
                self.fields[event.name or ""] = self._text()
        return None

    def _is_wanted(self, part: Field | File) -> bool:
        return isinstance(part, File) if self._files is None else part.name in self._files

    def _text(self) -> str:
        whole = bytearray()
        for piece in self._pieces():
            self._field_bytes += len(piece)
            if self._field_bytes > _FIELD_BYTES:
                raise BodyTooLarge(f"The fields of the form have more than {_FIELD_BYTES} bytes.")
            whole += piece
        try:
            return whole.decode("utf-8")
        except UnicodeDecodeError as e:
            raise RequestError("A field of the form is not UTF-8.") from e

    def _pieces(self) -> Iterator[bytes]:
        """The content of the part that has just begun, to its end."""
        while True:
            event = self._next()
            if not isinstance(event, Data):
                raise RequestError("The form is not well formed.")
            if event.data:
                yield event.data
            if not event.more_data:
                return

    def _next(self) -> Event:
        """The next event that says something."""
        try:
            while isinstance(event := self._decoder.next_event(), NeedData):
                self._feed()
        except RequestEntityTooLarge as e:
            raise BodyTooLarge(f"The form has more than {_PARTS} parts.") from e
        except ValueError as e:
            if self._decoder.complete:
                raise IncompleteUpload("The body ended within the form.") from e
            raise RequestError("The form is not well formed.") from e
        return event

    def _feed(self) -> None:
        """More of the body to the decoder, which has found nothing in what it still holds."""
        if len(self._decoder.buffer) > _HEADER_BYTES:  # content goes on at once; this is a header without an end
            raise BodyTooLarge(f"The headers of a part have more than {_HEADER_BYTES} bytes.")
        while chunk := self._read():
            self._decoder.receive_data(chunk)
            if not self._cut_in_delimiter():
                return
            if len(self._decoder.buffer) > _UNDECIDED_BYTES:
                raise RequestError("The content of the form is full of its own boundary.")
        self._decoder.receive_data(None)

    def _cut_in_delimiter(self) -> bool:
        """
        Whether what the decoder holds ends between a delimiter and the end of its line.

        There Werkzeug 3.1 takes the CR before the delimiter for content, and a package would not be what was sent.
        """
        tail = self._decoder.buffer[-len(self._delimiter) - _PADDING :]
        _, found, rest = tail.rpartition(self._delimiter)
        return bool(found) and b"\n" not in rest

    def _read(self) -> bytes:
        try:
            return self._stream.read(_CHUNK)
        except OSError as e:
            raise IncompleteUpload from e
