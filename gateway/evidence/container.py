"""
ASiC-E containers of one exact form (ETSI EN 319 162-1 §4.4; ZIP as in APPNOTE 6.3, stored, no extras).

An evidence file is opened years later by whoever doubts it, so there is one way only to write it: every byte of the
ZIP's structure follows from the names, sizes and checksums of its parts. A reader that finds any other byte refuses.
That leaves no place for what ZIP tricks live on: second entries of a name, entries outside the directory, comments,
bytes before or after, sizes that lie, ZIP64, encryption, attributes, times.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Final, Self
from xml.sax.saxutils import quoteattr

from gateway.errors import EvidenceAltered, EvidenceTooLarge

if TYPE_CHECKING:  # who reads seals and packages alone need not wait for the library of time-stamps
    from gateway.signing.timestamp import HashName

MEDIA_TYPE: Final = "application/vnd.etsi.asic-e+zip"
MIMETYPE: Final = "mimetype"
MANIFEST: Final = "META-INF/manifest.xml"
SIGNATURES: Final = "META-INF/signatures.xml"

ENTRIES_MAX = 5_000
NAME_MAX = 120
BYTES_MAX = 2**32 - 2**20
"""Of the whole container: sizes above are ZIP64's, which is not written and not read."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){0,2}")
"""ASCII, no empty steps, none that begins with a dot: no name can leave the folder that it is unpacked into."""

_MEDIA_TYPES: Final[Mapping[str, str]] = {
    "cer": "application/pkix-cert",
    "crl": "application/pkix-crl",
    "edxml": "application/xml",
    "html": "text/html",
    "json": "application/json",
    "jws": "application/jose",
    "ors": "application/ocsp-response",
    "pdf": "application/pdf",
    "tsr": "application/timestamp-token",
    "tst": "application/vnd.etsi.timestamp-token",
    "xml": "application/xml",
}

_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s4H2IH")
_VERSION = 10
_DAY = (0 << 9) | (1 << 5) | 1
"""1 January 1980: the first day that ZIP can name. The times that count are in the parts."""
_CHUNK = 256 * 1024


def media_type_of(name: str) -> str:
    """The media type of a part, which follows from its name's end."""
    return _MEDIA_TYPES.get(name.rpartition(".")[2], "application/octet-stream")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One part, as the ZIP names it."""

    name: str
    size: int
    crc: int
    start: int
    """Offset of its local header."""

    @property
    def data_start(self) -> int:
        """Offset of its first byte."""
        return self.start + _LOCAL.size + len(self.name)


class ContainerWriter:
    """
    Writes one container into a file, part by part; nothing is held.

    ``mimetype`` is written by itself. The manifest and the signature are the caller's, and whatever renews them.
    """

    def __init__(self, out: BinaryIO, hash_name: HashName = "sha256") -> None:
        self._out = out
        self._hash_name = hash_name
        self._entries: list[Entry] = []
        self.digests: dict[str, bytes] = {}
        """Of each part written, by ``hash_name``."""
        self.add(MIMETYPE, [MEDIA_TYPE.encode()])

    def add(self, name: str, pieces: Iterator[bytes] | list[bytes]) -> None:
        """
        Write one part.

        :param name: new in this container, of the form of ``_NAME``.
        :raises EvidenceTooLarge: the container would exceed what its form can hold.
        """
        if not _is_name(name) or name in self.digests:
            raise ValueError(f"{name} cannot name a part.")
        if len(self._entries) >= ENTRIES_MAX:
            raise EvidenceTooLarge
        start = self._out.tell()
        entry = Entry(name=name, size=0, crc=0, start=start)
        self._out.write(_local(entry))
        digest, size, crc = hashlib.new(self._hash_name), 0, 0
        for piece in pieces:
            size += len(piece)
            if start + size > BYTES_MAX:
                raise EvidenceTooLarge
            digest.update(piece)
            crc = zlib.crc32(piece, crc)
            self._out.write(piece)
        end = self._out.tell()
        entry = Entry(name=name, size=size, crc=crc, start=start)
        # The header stands before the bytes and names their number and checksum: it is written again.
        self._out.seek(start)
        self._out.write(_local(entry))
        self._out.seek(end)
        self._entries.append(entry)
        self.digests[name] = digest.digest()

    def close(self) -> None:
        """Write the directory; the file itself is the caller's to close."""
        self._out.write(_directory(self._entries, self._out.tell()))


class ContainerReader:
    """
    Reads a container whose every byte of structure is as :class:`ContainerWriter` writes it.

    :raises EvidenceAltered: anything is otherwise; it names the part at which it was seen.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._hashes: frozenset[HashName] = frozenset()
        self._digests: dict[tuple[str, HashName], bytes] = {}
        size = source.seek(0, 2)
        if size > BYTES_MAX:
            raise EvidenceAltered(part="zip", detail="The file is larger than a container can be.")
        entries = _walk(source, size)
        end = entries[-1].data_start + entries[-1].size if entries else 0
        expected = _directory(entries, end)
        source.seek(end)
        found = source.read(len(expected) + 1)
        if found != expected:
            names = _two_names(entries, _listed(source, size))
            if names is not None:
                raise EvidenceAltered(part="zip", detail=f"A part has two names: {names[0]} and {names[1]}.")
            part = _part_at(entries, _first_difference(found, expected))
            raise EvidenceAltered(part=part, detail="The directory of the ZIP is not that of its parts.")
        self.entries: Mapping[str, Entry] = {e.name: e for e in entries}
        """In their order; ``mimetype`` is the first."""
        if len(self.entries) != len(entries):
            raise EvidenceAltered(part="zip", detail="Two parts have one name.")
        if not entries or entries[0].name != MIMETYPE or self.read(MIMETYPE, limit=100) != MEDIA_TYPE.encode():
            raise EvidenceAltered(part=MIMETYPE, detail="The first part does not say that this is an ASiC-E container.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.close()

    def pieces(self, name: str) -> Iterator[bytes]:
        """
        The bytes of one part, not trusted before they have been compared with a signed digest.

        :raises EvidenceAltered: there is no such part, or its checksum is another one.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise EvidenceAltered(part=name, detail="The part is missing.")
        at, end, crc = entry.data_start, entry.data_start + entry.size, 0
        while at < end:
            self._source.seek(at)
            piece = self._source.read(min(_CHUNK, end - at))
            if not piece:
                raise EvidenceAltered(part=name, detail="The part is cut off.")
            crc = zlib.crc32(piece, crc)
            at += len(piece)
            yield piece
        if crc != entry.crc:
            raise EvidenceAltered(part=name, detail="The part's bytes are not those that were written.")

    def read(self, name: str, *, limit: int) -> bytes:
        """
        One small part whole.

        :raises EvidenceAltered: as :meth:`pieces`, or it is larger than ``limit`` bytes.
        """
        entry = self.entries.get(name)
        if entry is not None and entry.size > limit:
            raise EvidenceAltered(part=name, detail="The part is larger than such a part can be.")
        return b"".join(self.pieces(name))

    def digest(self, name: str, hash_name: HashName = "sha256") -> bytes:
        """
        The digest of one part, of any size; read once for all algorithms that were announced by :meth:`hash_by`.

        :raises EvidenceAltered: as :meth:`pieces`.
        """
        if (name, hash_name) not in self._digests:
            found = {each: hashlib.new(each) for each in {hash_name, *self._hashes}}
            for piece in self.pieces(name):
                for hashed in found.values():
                    hashed.update(piece)
            self._digests.update({(name, each): hashed.digest() for each, hashed in found.items()})
        return self._digests[name, hash_name]

    def hash_by(self, hash_names: Iterable[HashName]) -> None:
        """Say which digests of the parts will be asked for, so that each part is read once."""
        self._hashes = frozenset(hash_names)


def manifest_of(names: list[str]) -> bytes:
    """
    ``META-INF/manifest.xml`` of a container with these parts (OpenDocument 1.2 part 3 §3.2; EN 319 162-1 §4.4.3.2).

    It follows from the names, so it is compared and needs no signature of its own.
    """

    def entry(path: str, media_type: str) -> str:
        return (
            f"  <manifest:file-entry manifest:full-path={quoteattr(path)} manifest:media-type={quoteattr(media_type)}/>"
        )

    files = "\n".join([entry("/", MEDIA_TYPE), *(entry(n, media_type_of(n)) for n in names)])
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" '
        'manifest:version="1.2">\n'
        f"{files}\n</manifest:manifest>\n"
    ).encode()


def _is_name(name: str) -> bool:
    return len(name) <= NAME_MAX and _NAME.fullmatch(name) is not None


def _local(entry: Entry) -> bytes:
    name = entry.name.encode("ascii")
    sizes = (entry.crc, entry.size, entry.size)
    return _LOCAL.pack(b"PK\x03\x04", _VERSION, 0, 0, 0, _DAY, *sizes, len(name), 0) + name


def _directory(entries: list[Entry], at: int) -> bytes:
    """The central directory and its end, as they follow from the parts."""
    central = b"".join(_central(e) for e in entries)
    count = len(entries)
    return central + _END.pack(b"PK\x05\x06", 0, 0, count, count, len(central), at, 0)


def _first_difference(found: bytes, expected: bytes) -> int:
    pairs = enumerate(zip(found, expected, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(found), len(expected)))


def _part_at(entries: list[Entry], offset: int) -> str:
    """Of which part the directory speaks at this offset; ``zip`` when of none."""
    for entry in entries:
        offset -= len(_central(entry))
        if offset < 0:
            return entry.name
    return "zip"


def _central(entry: Entry) -> bytes:
    name = entry.name.encode("ascii")
    sizes = (entry.crc, entry.size, entry.size)
    fixed = (b"PK\x01\x02", _VERSION, _VERSION, 0, 0, 0, _DAY)
    return _CENTRAL.pack(*fixed, *sizes, len(name), 0, 0, 0, 0, 0, entry.start) + name


def _walk(source: BinaryIO, size: int) -> list[Entry]:
    """The parts from the first byte on, each header compared with the one that its values give."""
    entries: list[Entry] = []
    at = 0
    while len(entries) <= ENTRIES_MAX:
        source.seek(at)
        head = source.read(_LOCAL.size + NAME_MAX)
        if head.startswith(b"PK\x01\x02"):
            return entries
        entry = _entry(head, at)
        if entry is None or entry.data_start + entry.size > size:
            part = _broken(entries, at, _listed(source, size))
            raise EvidenceAltered(part=part, detail="The structure of the ZIP is broken at or after this part.")
        entries.append(entry)
        at = entry.data_start + entry.size
    raise EvidenceAltered(part="zip", detail="There are more parts than a container can have.")


def _listed(source: BinaryIO, size: int) -> list[tuple[str, int]]:
    """Names and offsets as the directory has them, as far as it can be read: only to name what is broken."""
    source.seek(max(size - _END.size, 0))
    end = source.read(_END.size)
    if len(end) < _END.size or not end.startswith(b"PK\x05\x06"):
        return []
    *_, length, start, _ = _END.unpack(end)
    source.seek(min(start, size))
    directory = source.read(min(length, ENTRIES_MAX * (_CENTRAL.size + NAME_MAX)))
    found, at = [], 0
    while directory.startswith(b"PK\x01\x02", at) and len(directory) >= at + _CENTRAL.size:
        fields = _CENTRAL.unpack_from(directory, at)
        name = directory[at + _CENTRAL.size : at + _CENTRAL.size + fields[10]].decode("latin-1")
        if not _is_name(name):
            break
        found.append((name, fields[16]))
        at += _CENTRAL.size + fields[10]
    return found


def _broken(entries: list[Entry], at: int, listed: list[tuple[str, int]]) -> str:
    """The part at which what is there and what is listed part ways; ``zip`` when nothing is listed."""
    pairs = zip(entries, listed, strict=False)
    differing = next((name for entry, (name, start) in pairs if (entry.name, entry.start) != (name, start)), None)
    return differing or next((name for name, start in reversed(listed) if start <= at), "zip")


def _two_names(entries: list[Entry], listed: list[tuple[str, int]]) -> tuple[str, str] | None:
    """The first part that is called otherwise in the directory, by both names: which is right is not known here."""
    pairs = zip(entries, listed, strict=False)
    return next(((e.name, name) for e, (name, start) in pairs if e.start == start and e.name != name), None)


def _entry(head: bytes, at: int) -> Entry | None:
    """The part whose header these bytes begin with; ``None`` when it is not one of ours."""
    if len(head) < _LOCAL.size:
        return None
    _, _, _, _, _, _, crc, size, _, length, _ = _LOCAL.unpack_from(head)
    name = head[_LOCAL.size : _LOCAL.size + min(length, NAME_MAX + 1)].decode("latin-1")
    if not _is_name(name):
        return None
    entry = Entry(name=name, size=size, crc=crc, start=at)
    return entry if head.startswith(_local(entry)) else None
