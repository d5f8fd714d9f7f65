"""Files that commands write: there is never half of one, and nothing is replaced unasked."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gateway.cli.misuse import Misuse
from gateway.cli.words import Text


@contextlib.contextmanager
def written(output: Path, *, force: bool, mode: int = 0o666) -> Iterator[BinaryIO]:
    """
    A file that appears only when it is complete.

    A device or a pipe is written into: as root, a file in the place of ``/dev/null`` would harm the whole machine. So
    is what this program's output goes to anyhow: ``/dev/stdout`` is a link to it.

    :return: of a file also what was written can be read again.
    :param force: whether a file, or a link, may be replaced; it keeps its permissions.
    :param mode: of a new file, before the umask takes from it.
    :raises Misuse: there is one, and it may not.
    :raises OSError: it cannot be written.
    """
    if (own := _own(output)) is not None or (output.exists() and not output.is_file()):
        with output.open("wb") if own is None else os.fdopen(os.dup(own), "wb") as out:
            yield out
        return
    _demand_free(output, force)
    mode = stat.S_IMODE(output.stat().st_mode) if output.exists() else mode & ~_umask()
    # Not named after it: a name that is as long as names may be has no room for more.
    handle, name = tempfile.mkstemp(dir=output.parent, prefix=".gateway-")
    try:
        with os.fdopen(handle, "w+b") as out:
            yield out
            os.fchmod(out.fileno(), mode)
            out.flush()
            os.fsync(out.fileno())
        _demand_free(output, force)
        Path(name).replace(output)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _own(output: Path) -> int | None:
    """Which of this program's outputs goes to that file, as a descriptor; ``None``: neither."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):  # One that is closed goes nowhere.
            if os.path.samestat(output.stat(), os.fstat(descriptor)):
                return descriptor
    return None


def _demand_free(output: Path, force: bool) -> None:
    """:raises Misuse: there is a file, or a link, and it may not be replaced."""
    if os.path.lexists(output) and not force:
        raise Misuse(Text("{output} đã có; --force để thay.", "{output} exists; --force replaces it."), output=output)


def _umask() -> int:
    """What new files of this program are not allowed; there is no other way to ask."""
    found = os.umask(0o077)
    os.umask(found)
    return found
