"""Bounds on what is read of an attached file. One table; the settings fill it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class FileLimits:
    """What ends the reading of a file: the file is then ``unreadable``, and nothing else is affected."""

    file_bytes: int = 200 * 1024 * 1024
    """One file; what a package may hold at most (``edxml.limits``)."""
    members: int = 200
    """Files inside one archive, archives inside it included."""
    member_bytes: int = 64 * 1024 * 1024
    """One file inside an archive, unpacked; it is held in memory."""
    unpacked_bytes: int = 256 * 1024 * 1024
    """All files inside one archive together, unpacked."""
    unpacked_ratio: int = 200
    """Unpacked ÷ packed size of a file in an archive; not applied below 1 MB, where no harm can be done."""
    nesting: int = 2
    """Archives within archives: 1 is an attached archive, 2 an archive within it."""
    signatures: int = 32
    """In one file; a dispatch that went through five offices has about ten."""
    revisions: int = 64
    """Of one PDF; each signature's revision is compared with each later one."""
    seconds: float = 20.0
    """Wall time for one attached file, archives with all that is in them; then the reader is killed."""
    memory_bytes: int = 768 * 1024 * 1024
    """Of the process that reads, for one file: beyond its libraries (80 MB) and what is known of revocation."""
    files_per_reader: int = 200
    """Then a new process is started, so that nothing that one file left behind lasts."""

    memory_bytes_min: ClassVar[int] = 256 * 1024 * 1024
    """With less a reader might fail on files that are as they should be."""

    def __post_init__(self) -> None:
        if self.memory_bytes < self.memory_bytes_min:
            raise ValueError(f"A reader of files needs at least {self.memory_bytes_min} bytes of memory.")
