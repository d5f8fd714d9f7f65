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

    A device or a pipe is written into: as root, a file in the place of ``/dev/null`` would harm the whole machine.

    :param force: whether a file, or a link, may be replaced; it keeps its permissions.
    :param mode: of a new file, before the umask takes from it.
    :raises Misuse: there is one, and it may not.
    :raises OSError: it cannot be written.
    """
    if output.exists() and not output.is_file():
        with output.open("wb") as out:
            yield out
        return
    if os.path.lexists(output) and not force:
        raise Misuse(Text("{output} đã có; --force để thay.", "{output} exists; --force replaces it."), output=output)
    mode = stat.S_IMODE(output.stat().st_mode) if output.exists() else mode & ~_umask()
    # Not named after it: a name that is as long as names may be has no room for more.
    handle, name = tempfile.mkstemp(dir=output.parent, prefix=".gateway-")
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            os.fchmod(out.fileno(), mode)
        Path(name).replace(output)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """What new files of this program are not allowed; there is no other way to ask."""
    found = os.umask(0o077)
    os.umask(found)
    return found
