"""
The content of attachments: base64 → bytes → unwrapped bytes, hashed on the way, never held when large.

Only the *unwrapped* content survives the axis, which unzips and zips again (domain §1.9), so that
is what is measured and hashed. Declared types are not believed; first bytes are (domain §1.8).
"""

from __future__ import annotations

import binascii
import codecs
import hashlib
import io
import os
import re
import string
import struct
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from gateway.edxml.limits import Limits
from gateway.errors import PackageLimitExceeded

_IN_MEMORY = 192 * 1024
_IN_MEMORY_IN_ALL = 1024 * 1024
_PIECE = 256 * 1024
_HEAD = 1024
_ZIP: Final = b"PK\x03\x04"
_EOCD = struct.Struct("<4s4H2LH")
_REPLACEMENT = b"\xef\xbf\xbd"
_LARGEST_LISTING = 1024 * 1024
"""Bytes of a ZIP's central directory that are read; zipfile makes an object of each entry."""
_RATIO_FLOOR = 1024 * 1024
_BLANKS = b" \t\r\n"
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_NOT_BASE64 = "it holds characters that are not base64"
_CUT = "it ends in the middle of a group"

_OFFICE_FILES = "docx docm dotx xlsx xlsm xltx xlsb pptx pptm ppsx odt ods odp odg ott vsdx"
_ZIP_FILES = frozenset(f"{_OFFICE_FILES} zip jar apk epub asice asic kmz".split())
"""Extensions whose files are themselves ZIPs."""
_NEVER_UNWRAPPED = frozenset({"zip"})
"""The kit never unwraps these, whatever they hold (domain §1.8)."""
_TEXT_FILES = frozenset(["txt", "xml", "csv", "html", "htm", "json", "md", "log", "eml", "edxml", "svg", "xsl", "xsd"])

_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"{\\rtf", "application/rtf"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"PK\x05\x06", "application/zip"),
    (_ZIP, "application/zip"),
    (b"<?xml", "application/xml"),
    (b"\xef\xbb\xbf<?xml", "application/xml"),
)
_OFFICE = (
    ("word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
)
_EXPECTED = {
    "pdf": {"application/pdf"},
    "doc": {"application/x-ole-storage", "application/rtf", _OFFICE[0][1]},
    "xls": {"application/x-ole-storage", _OFFICE[1][1]},
    "ppt": {"application/x-ole-storage", _OFFICE[2][1]},
    "docx": {_OFFICE[0][1]},
    "xlsx": {_OFFICE[1][1]},
    "pptx": {_OFFICE[2][1]},
    "png": {"image/png"},
    "jpg": {"image/jpeg"},
    "jpeg": {"image/jpeg"},
    "gif": {"image/gif"},
    "tif": {"image/tiff"},
    "tiff": {"image/tiff"},
    "rtf": {"application/rtf"},
    "zip": {"application/zip"},
}


def extension(name: str) -> str:
    """The extension of a file name, lower case, without the dot; empty when it has none."""
    stem, dot, last = name.rpartition(".")
    return last.strip().lower() if dot and stem else ""


class ContentFault(ValueError):
    """The content of one attachment cannot be trusted; ``vi`` and ``en`` say why, ``letter`` is the code's."""

    def __init__(self, letter: str, *, vi: str, en: str) -> None:
        self.letter = letter
        self.vi = vi
        self.en = en
        super().__init__(en)


class Spool:
    """Files for the contents of one package, in a folder that others use too, and removed with the package."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[tuple[Path, BinaryIO]] = []
        self.in_memory = 0
        """Bytes of small contents that are held instead of spooled."""

    def new_file(self) -> tuple[Path, BinaryIO]:
        """A new empty file, open for writing and nobody else's to read; its name owes nothing to the package."""
        number, name = tempfile.mkstemp(prefix="content-", dir=self._folder)
        made = Path(name), os.fdopen(number, "wb")
        self._files.append(made)
        return made

    def close(self) -> None:
        """Remove everything."""
        while self._files:
            path, file = self._files.pop()
            file.close()
            path.unlink()


@dataclass(frozen=True, kw_only=True)
class Content:
    """Bytes in memory or in a file of the spool."""

    size: int
    sha256: str
    """Lower-case hex."""
    head: bytes
    """The first bytes, to recognise it by."""
    mangled: bool
    """True when it looks like binary data that was once read as text (U+FFFD in place of bytes)."""
    textual: bool
    """True when it is UTF-8 without control characters, as far as it was looked at."""
    held: bytes | Path

    def open(self) -> BinaryIO:
        """A new reader from the beginning; close it before the package."""
        return io.BytesIO(self.held) if isinstance(self.held, bytes) else self.held.open("rb")


class Sink:
    """Takes bytes, hashes and inspects them, and keeps them in memory or, when large, in the spool."""

    def __init__(self, spool: Spool, limits: Limits) -> None:
        self._spool = spool
        self._limits = limits
        self._hash = hashlib.sha256()
        self._buffer: bytearray | None = bytearray()
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._head = b""
        self._decoder: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
        self._replaced = 0
        self.size = 0

    def write(self, data: bytes) -> int:
        """
        Take more bytes.

        :raises PackageLimitExceeded: the attachment has become too large.
        """
        self.size += len(data)
        if self.size > self._limits.attachment_bytes:
            raise PackageLimitExceeded(
                limit="attachment_bytes", allowed=self._limits.attachment_bytes, path="AttachmentEncoded.Attachment"
            )
        self._hash.update(data)
        if len(self._head) < _HEAD:
            self._head += data[: _HEAD - len(self._head)]
        self._inspect(data, final=False)
        if self._buffer is not None:
            self._buffer += data
            if len(self._buffer) > _IN_MEMORY or self._spool.in_memory + len(self._buffer) > _IN_MEMORY_IN_ALL:
                self._path, self._file = self._spool.new_file()
                self._file.write(self._buffer)
                self._buffer = None
        elif self._file is not None:
            self._file.write(data)
        return len(data)

    def finish(self) -> Content:
        """All bytes are there."""
        self._inspect(b"", final=True)
        held: bytes | Path
        if self._file is not None and self._path is not None:
            self._file.close()
            held = self._path
        else:
            held = bytes(self._buffer or b"")
            self._spool.in_memory += len(held)
        return _inspected(
            held,
            size=self.size,
            sha256=self._hash.hexdigest(),
            head=self._head,
            replaced=self._replaced,
            is_utf8=self._decoder is not None,
        )

    def _inspect(self, data: bytes, *, final: bool) -> None:
        self._replaced += data.count(_REPLACEMENT)
        if self._decoder is not None:
            try:
                self._decoder.decode(data, final)
            except UnicodeDecodeError:
                self._decoder = None


def hold(data: bytes, spool: Spool, limits: Limits) -> Content:
    """
    The content of bytes that are there at once: what a sink makes of them, for less.

    :raises PackageLimitExceeded: the attachment is too large.
    """
    size = len(data)
    if size > min(_IN_MEMORY, limits.attachment_bytes) or spool.in_memory + size > _IN_MEMORY_IN_ALL:
        sink = Sink(spool, limits)
        sink.write(data)
        return sink.finish()
    spool.in_memory += size
    try:
        data.decode()
        is_utf8 = True
    except UnicodeDecodeError:
        is_utf8 = False
    return _inspected(
        data,
        size=size,
        sha256=hashlib.sha256(data).hexdigest(),
        head=data[:_HEAD],
        replaced=data.count(_REPLACEMENT) if _REPLACEMENT[:1] in data else 0,
        is_utf8=is_utf8,
    )


def _inspected(held: bytes | Path, *, size: int, sha256: str, head: bytes, replaced: int, is_utf8: bool) -> Content:
    return Content(
        size=size,
        sha256=sha256,
        head=head,
        # A destroyed file is text throughout; a sound binary file fails to be UTF-8 within its first bytes.
        # Pieces of one destroyed file among sound ones show by density: chance makes one in 16 million bytes.
        mangled=replaced >= 1 and (is_utf8 or replaced * 300 > size),
        textual=is_utf8 and not _CONTROL.search(head),
        held=held,
    )


class Decoded(NamedTuple):
    """What an encoded content decodes to."""

    content: Content | None
    """``None`` when it was not base64."""
    fault: str | None
    """Why it was not."""


def decode(text: str, spool: Spool, limits: Limits) -> Decoded:
    """
    Decode base64 that is there at once; blanks anywhere are allowed.

    :raises PackageLimitExceeded: the attachment is too large.
    """
    if not text.isascii():
        return Decoded(None, _NOT_BASE64)
    encoded = _without_blanks(text.encode())
    whole = len(encoded) & ~3
    try:
        data = binascii.a2b_base64(encoded[:whole], strict_mode=True) if whole else b""
    except binascii.Error:
        return Decoded(None, _NOT_BASE64)
    content = hold(data, spool, limits)
    return Decoded(content, None) if whole == len(encoded) else Decoded(None, _CUT)


def _without_blanks(text: bytes) -> bytes:
    if any(blank in text for blank in (b"\n", b"\r", b" ", b"\t")):
        return text.translate(None, _BLANKS)
    return text


_LETTERS = string.ascii_letters.encode() + string.digits.encode() + b"+/="


class Base64Sink:
    """Decodes base64 as it arrives. A fault is remembered, not raised: the rest still has to be read and digested."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.fault: str | None = None
        self._left = b""
        self._padded = False
        self._finished: Decoded | None = None

    def feed(self, text: bytes) -> bool:
        """Take more text; blanks anywhere are allowed. ``False`` once there is a fault."""
        if self.fault is not None:
            return False
        text = _without_blanks(text)
        if self._left:
            text = self._left + text
        whole = len(text) & ~3
        self._left = text[whole:]
        if whole:
            self._decode(text[:whole])
        if self._left.strip(_LETTERS):  # now: what is taken here nobody else looks at
            self.fault = self.fault or _NOT_BASE64
        return self.fault is None

    def finish(self) -> Decoded:
        """The content, or why there is none."""
        if self._finished is None:
            if self.fault is None and self._left:
                self.fault = _CUT
            content = self.sink.finish()
            self._finished = Decoded(content if self.fault is None else None, self.fault)
        return self._finished

    def _decode(self, groups: bytes) -> None:
        if self._padded:
            self.fault = "there is text after the padding"
            return
        try:
            data = binascii.a2b_base64(groups, strict_mode=True)
        except binascii.Error:
            self.fault = _NOT_BASE64
            return
        self._padded = groups.endswith(b"=")
        self.sink.write(data)


@dataclass(frozen=True, kw_only=True)
class Unwrapped:
    """What an attachment really is."""

    content: Content
    media_type: str
    wrapped: bool


def unwrap(content: Content, name: str, *, spool: Spool, limits: Limits) -> Unwrapped:
    """
    Take a file out of the ZIP that the kit puts around it, or say that it is the file itself.

    Names of entries are never used: the kit's reader can be made to write outside its folder.

    :param name: the attachment's name as sent; only its extension counts.
    :raises ContentFault: a ZIP around it with several entries, paths, encryption or broken data;
        empty; or destroyed.
    :raises PackageLimitExceeded: it unpacks to more than the limits allow.

    Source: domain §1.8.
    """
    if not content.size:
        raise ContentFault("N", vi="Tệp đính kèm rỗng.", en="The attachment is empty.")
    kind = extension(name)
    result = Unwrapped(content=content, media_type=recognise(content), wrapped=False)
    if content.head.startswith(_ZIP) and kind not in _NEVER_UNWRAPPED:
        result = _look_inside(content, kind, spool, limits)
    _refuse_destroyed(result.content, kind)
    return result


def recognise(content: Content) -> str:
    """The media type by the first bytes."""
    for magic, media_type in _MAGIC:
        if content.head.startswith(magic):
            return media_type
    if b"%PDF-" in content.head:
        return "application/pdf"
    return "text/plain" if content.textual else "application/octet-stream"


def contradicts(name: str, media_type: str) -> bool:
    """Whether the extension promises another kind of file than the bytes are."""
    expected = _EXPECTED.get(extension(name))
    return expected is not None and media_type not in expected


def is_wrapper(file: BinaryIO, name: str) -> bool:
    """Whether a reader would take the file out of this content, or fail to; for writers, so that it is wrapped."""
    if file.read(len(_ZIP)) != _ZIP or extension(name) in _NEVER_UNWRAPPED:
        return False
    size = file.seek(0, io.SEEK_END)
    try:
        listing = _listing(file, size)
    except ContentFault:
        return extension(name) not in _ZIP_FILES
    return _package_type(listing) is None and (len(listing) == 1 or extension(name) not in _ZIP_FILES)


def _refuse_destroyed(content: Content, kind: str) -> None:
    if not content.size:
        raise ContentFault("N", vi="Tệp đính kèm rỗng.", en="The attachment is empty.")
    plain_text = kind in _TEXT_FILES or (content.textual and kind not in _EXPECTED)
    if content.mangled and not plain_text:
        raise ContentFault(
            "M",
            vi="Tệp nhị phân đã bị hỏng do bị đọc như văn bản (U+FFFD thay cho dữ liệu).",
            en="The binary file was destroyed by being read as text (U+FFFD in place of its bytes).",
        )


def _look_inside(content: Content, kind: str, spool: Spool, limits: Limits) -> Unwrapped:
    with content.open() as file:
        try:
            listing = _listing(file, content.size)
        except ContentFault:
            if kind in _ZIP_FILES:
                return Unwrapped(content=content, media_type="application/zip", wrapped=False)
            raise
        package = _package_type(listing)
        if package is not None or (kind in _ZIP_FILES and len(listing) != 1):
            return Unwrapped(content=content, media_type=package or "application/zip", wrapped=False)
        if len(listing) != 1:
            raise _bad_zip("it must hold exactly one file", "phải chứa đúng một tệp")
        inner = _extract(file, listing[0], content.size, spool, limits)
    return Unwrapped(content=inner, media_type=_recognise_unwrapped(inner), wrapped=True)


def _recognise_unwrapped(content: Content) -> str:
    """As ``recognise``; a document that is a ZIP itself (OOXML, ODF) is told from an archive."""
    if not content.head.startswith(_ZIP):
        return recognise(content)
    with content.open() as file:
        try:
            return _package_type(_listing(file, content.size)) or "application/zip"
        except ContentFault:
            return "application/zip"


def _listing(file: BinaryIO, size: int) -> list[zipfile.ZipInfo]:
    """
    The entries of a ZIP whose directory is small enough to be read.

    :raises ContentFault: it is broken, or its directory is too large.
    """
    file.seek(max(0, size - _EOCD.size - 0xFFFF))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _EOCD.size:
        raise _bad_zip("it is broken", "bị hỏng")
    directory = _EOCD.unpack_from(tail, at)[5]
    if directory > _LARGEST_LISTING:
        raise _bad_zip("it holds too many files", "chứa quá nhiều tệp")
    file.seek(0)
    try:
        return zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OverflowError) as e:
        raise _bad_zip("it is broken", "bị hỏng") from e


def _package_type(listing: list[zipfile.ZipInfo]) -> str | None:
    """The media type when the ZIP is itself a document (OOXML, ODF); ``None`` when it is just a ZIP."""
    entries = {entry.filename for entry in listing}
    if "[Content_Types].xml" in entries:
        return next((t for folder, t in _OFFICE if any(e.startswith(folder) for e in entries)), "application/zip")
    if "mimetype" in entries and "META-INF/manifest.xml" in entries:
        return "application/vnd.oasis.opendocument"
    return None


def _extract(file: BinaryIO, entry: zipfile.ZipInfo, packed: int, spool: Spool, limits: Limits) -> Content:
    if entry.is_dir() or re.search(r"[/\\:\x00]|^\.\.?$", entry.filename):
        raise _bad_zip("its entry must be a plain file without a path", "tệp bên trong không được mang đường dẫn")
    if entry.flag_bits & 1:
        raise _bad_zip("it is encrypted", "bị mã hóa")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _bad_zip("its compression method is not the one in use", "dùng phương pháp nén không được hỗ trợ")
    allowed = max(_RATIO_FLOOR, limits.unpacked_ratio * packed)
    sink = Sink(spool, limits)
    try:
        with zipfile.ZipFile(file) as archive, archive.open(entry) as packed_file:
            while data := packed_file.read(_PIECE):
                sink.write(data)
                if sink.size > allowed:
                    raise PackageLimitExceeded(
                        limit="unpacked_ratio", allowed=limits.unpacked_ratio, path="AttachmentEncoded.Attachment"
                    )
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError) as e:
        raise _bad_zip("it is broken", "bị hỏng") from e
    return sink.finish()


def _bad_zip(en: str, vi: str) -> ContentFault:
    return ContentFault(
        "M", vi=f"Gói ZIP bọc tệp đính kèm {vi}.", en=f"The ZIP around the attachment cannot be used: {en}."
    )
